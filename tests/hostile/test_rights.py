"""Sessions that reach for what is not theirs (robustness.md section 2.3): hidden is missing, and nothing of it gets done."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest

from tests.live.hostile import Bystander, Raw, Watched, imap, smtp, unharmed
from tests.live.server import PASSWORD, Server

OWNER, MALLORY, QUIET = "owner@acme.test", "mallory@acme.test", "quiet@acme.test"
THEIRS = "Other Users/owner"
MAIL = b"From: <a@elsewhere.test>\r\nSubject: plainly secret\r\n\r\nthe secret word is xyzzyx\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Watched(tmp_path_factory.mktemp("hostile-rights"), {"limits.bad_commands": 1000})
    made.people("owner", "mallory", "quiet")
    with made:
        yield made


@pytest.fixture(autouse=True)
def bystander(server: Server) -> Iterator[Bystander]:
    with unharmed(server, QUIET) as watching:
        yield watching


@pytest.fixture(scope="module")
def owner(server: Server) -> Iterator[Raw]:
    with imap(server, OWNER) as raw:
        for folder in ("Read", "Drop", "Hidden", "Hidden/Below", "Flip"):
            assert ok(raw, f'CREATE "{folder}"')
            raw.send(b'app APPEND "%b" {%d+}\r\n' % (folder.encode(), len(MAIL)) + MAIL + b"\r\n")
            assert raw.until(b"app").splitlines()[-1].startswith(b"app OK")
        assert ok(raw, f"SETACL Read {MALLORY} lr")
        assert ok(raw, f"SETACL Drop {MALLORY} lri")
        yield raw


@pytest.fixture
def mallory(server: Server, owner: Raw) -> Iterator[Raw]:
    with imap(server, MALLORY) as raw:
        yield raw


def said(raw: Raw, command: str) -> str:
    """All that is answered."""
    raw.send(f"t {command}\r\n".encode())
    return raw.until(b"t").decode("utf-8", "replace")


def last(raw: Raw, command: str) -> str:
    return said(raw, command).splitlines()[-1]


def ok(raw: Raw, command: str) -> bool:
    return last(raw, command).startswith("t OK")


def count(raw: Raw, folder: str) -> int:
    found = re.search(r"MESSAGES (\d+)", said(raw, f'STATUS "{folder}" (MESSAGES)'))
    assert found is not None, folder
    return int(found[1])


def test_a_reader_copies_out_but_moves_nothing_away(mallory: Raw, owner: Raw) -> None:
    assert ok(mallory, f'SELECT "{THEIRS}/Read"')
    mine = count(mallory, "INBOX")
    assert ok(mallory, "COPY 1 INBOX")
    for command in ("MOVE 1 INBOX", "UID MOVE 1:* INBOX", "MOVE 1:* Trash", f'MOVE 1 "{THEIRS}/Drop"'):
        assert last(mallory, command).startswith("t NO [NOPERM]"), command
    assert count(owner, "Read") == 1
    assert count(mallory, "INBOX") == mine + 1, "a move that was refused has copied"


def test_what_is_appended_and_copied_has_no_flags_that_one_may_not_set(mallory: Raw, owner: Raw) -> None:
    before = count(owner, "Drop")
    mallory.send(f'a APPEND "{THEIRS}/Drop" (\\Seen \\Flagged \\Deleted Junk) {{{len(MAIL)}+}}\r\n'.encode() + MAIL + b"\r\n")
    assert mallory.until(b"a").splitlines()[-1].startswith(b"a OK")
    assert ok(mallory, "SELECT INBOX")
    mallory.send(b"b APPEND INBOX (\\Flagged \\Deleted) {%d+}\r\n" % len(MAIL) + MAIL + b"\r\n")
    assert mallory.until(b"b").splitlines()[-1].startswith(b"b OK")
    assert ok(mallory, f'COPY * "{THEIRS}/Drop"')
    assert count(owner, "Drop") == before + 2
    assert ok(owner, "SELECT Drop")
    flags = re.findall(r"FLAGS \(([^)]*)\)", said(owner, f"FETCH {before + 1}:* FLAGS"))
    assert [set(one.split()) - {"\\Recent"} for one in flags] == [set(), set()]


@pytest.mark.parametrize(
    "command",
    [
        "STORE 1 +FLAGS (\\Deleted)",
        "STORE 1:* FLAGS (\\Seen)",
        "UID STORE 1:* +FLAGS.SILENT (\\Deleted Junk)",
        "EXPUNGE",
        "UID EXPUNGE 1:*",
    ],
)
def test_a_reader_marks_and_expunges_nothing(mallory: Raw, owner: Raw, command: str) -> None:
    assert ok(owner, "SELECT Read")
    assert ok(owner, "STORE 1 +FLAGS (\\Deleted)")
    before = said(owner, "UID FETCH 1:* FLAGS")
    assert ok(mallory, f'SELECT "{THEIRS}/Read"')
    assert last(mallory, command).startswith("t NO"), command
    assert ok(mallory, "CLOSE")
    assert said(owner, "UID FETCH 1:* FLAGS") == before
    assert ok(owner, "STORE 1 -FLAGS (\\Deleted)")


def test_a_grantee_changes_no_folder_and_no_right(mallory: Raw, owner: Raw) -> None:
    shared = f'"{THEIRS}/Read"'
    rights = said(owner, "GETACL Read")
    for command in (
        f'RENAME {shared} "{THEIRS}/Mine"',
        f"RENAME {shared} Mine",
        f'RENAME INBOX "{THEIRS}/Mine"',
        f"DELETE {shared}",
        f'CREATE "{THEIRS}/Read/Below"',
        f'CREATE "{THEIRS}/New"',
        f"SETACL {shared} {MALLORY} lrswipkxtea",
        f"SETACL {shared} anyone lr",
        f"DELETEACL {shared} {OWNER}",
        f"SETACL {shared} -{OWNER} lr",
        f"GETACL {shared}",
        f"LISTRIGHTS {shared} {OWNER}",
        f'SETMETADATA {shared} (/shared/comment "x")',
        'SETQUOTA "" (STORAGE 1)',
        f'SETQUOTA "{OWNER}" (STORAGE 1)',
    ):
        assert last(mallory, command).startswith(("t NO", "t BAD")), command
    assert said(owner, "GETACL Read") == rights
    assert 'Read"' in said(owner, 'LIST "" *') or " Read" in said(owner, 'LIST "" *')
    assert "Mine" not in said(owner, 'LIST "" *')


ORACLES = [
    "SELECT {}", "EXAMINE {}", "STATUS {} (MESSAGES UIDNEXT)", "MYRIGHTS {}", "GETACL {}", "LISTRIGHTS {} " + MALLORY,
    "SETACL {} " + MALLORY + " lr",
    "DELETEACL {} " + MALLORY, "GETQUOTAROOT {}", "GETMETADATA {} /shared/comment", 'SETMETADATA {} (/shared/comment "x")', "DELETE {}",
    "RENAME {} Taken", "COPY 1 {}", "MOVE 1 {}", "SUBSCRIBE {}", "UNSUBSCRIBE {}", 'LIST "" {}', 'LSUB "" {}', 'LIST (SUBSCRIBED) "" {}',
    'LIST "" {} RETURN (STATUS (MESSAGES) MYRIGHTS)', "ESEARCH IN (mailboxes {}) TEXT xyzzyx", "ESEARCH IN (subtree {}) ALL",
    "NOTIFY SET (mailboxes {} (MessageNew MessageExpunge))", 'APPEND INBOX CATENATE (URL "/{}/;UID=1")', "APPEND {} (\\Seen) {{0+}}\r\n",
]  # fmt: skip


@pytest.mark.parametrize("command", ORACLES)
@pytest.mark.parametrize("hidden", ["Hidden", "Hidden/Below"])
def test_a_hidden_folder_is_a_missing_one(mallory: Raw, command: str, hidden: str) -> None:
    missing = hidden.replace("Hidden", "Hollow")  # as long, so that nothing differs but the name
    answers = []
    for folder in (hidden, missing):
        assert ok(mallory, "SELECT INBOX")
        name = f"{THEIRS}/{folder}"
        answers.append(said(mallory, command.format(name if "URL" in command else f'"{name}"')).replace(hidden, "X").replace(missing, "X"))
    here, there = (re.sub(r"\[d-[0-9a-f]+\]|HIGHESTMODSEQ \d+", "", one) for one in answers)
    assert here == there
    assert "xyzzyx" not in here
    ok(mallory, "NOTIFY NONE")
    said(mallory, f'UNSUBSCRIBE "{THEIRS}/{hidden}"')
    said(mallory, f'UNSUBSCRIBE "{THEIRS}/{missing}"')


def test_a_search_everywhere_finds_nothing_hidden(mallory: Raw) -> None:
    for where in ("personal", "subscribed", f'subtree "{THEIRS}"', f'mailboxes "{THEIRS}/Hidden" "{THEIRS}/Read"', 'subtree "Other Users"'):
        found = said(mallory, f"ESEARCH IN ({where}) RETURN (COUNT) TEXT xyzzyx")
        assert "Hidden" not in found, where
        assert "Flip" not in found, where


def test_nothing_is_told_after_the_right_has_gone(mallory: Raw, owner: Raw, server: Server) -> None:
    assert ok(owner, f"SETACL Flip {MALLORY} lr")
    assert ok(mallory, f'NOTIFY SET (mailboxes "{THEIRS}/Flip" (MessageNew MessageExpunge))')
    with imap(server, MALLORY) as idling:
        assert ok(idling, f'SELECT "{THEIRS}/Flip"')
        idling.send(b"i IDLE\r\n")
        assert idling.line().startswith(b"+ ")
        assert ok(owner, f"DELETEACL Flip {MALLORY}")
        owner.send(b"app APPEND Flip {%d+}\r\n" % len(MAIL) + MAIL + b"\r\n")
        assert owner.until(b"app").splitlines()[-1].startswith(b"app OK")
        assert b"EXISTS" not in idling.rest()
    told = said(mallory, "NOOP") + said(mallory, "NOOP")
    assert "xyzzyx" not in told
    assert "MESSAGES" not in told


def test_what_was_granted_and_taken_in_a_storm_is_gone_when_it_is_gone(mallory: Raw, owner: Raw, server: Server) -> None:
    gone, stop, faults = threading.Event(), threading.Event(), list[str]()

    def reach() -> None:
        with imap(server, MALLORY) as raw:
            while not stop.is_set():
                was_gone = gone.is_set()
                answer = said(raw, f'STATUS "{THEIRS}/Flip" (MESSAGES)')
                if was_gone and gone.is_set() and "MESSAGES" in answer.splitlines()[0]:
                    faults.append(answer)

    threads = [threading.Thread(target=reach) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(60):
            gone.clear()
            assert ok(owner, f"SETACL Flip {MALLORY} lr")
            assert ok(owner, f"DELETEACL Flip {MALLORY}")
            gone.set()
            assert last(mallory, f'STATUS "{THEIRS}/Flip" (MESSAGES)').startswith("t NO [NONEXISTENT]")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []


def test_urls_open_nothing(mallory: Raw, owner: Raw) -> None:
    assert "URLAUTH" not in said(mallory, "CAPABILITY")
    for command in (
        'GENURLAUTH "imap://owner@h/Hidden/;UID=1;URLAUTH=anonymous" INTERNAL',
        'URLFETCH "imap://h/Hidden/;UID=1"',
        "RESETKEY",
    ):
        assert last(mallory, command).startswith("t BAD"), command
    assert ok(owner, f"SETACL Flip {MALLORY} lr")
    url = f'APPEND INBOX CATENATE (URL "/{THEIRS}/Flip/;UID=1/;SECTION=TEXT")'.replace("Other Users", "Other%20Users")
    assert ok(mallory, url)
    assert ok(owner, f"DELETEACL Flip {MALLORY}")
    assert last(mallory, url).startswith("t NO [BADURL"), "a URL is judged when it is used"


def test_delivery_makes_and_finds_no_folder_for_a_stranger(owner: Raw, server: Server) -> None:
    before = said(owner, 'LIST "" *')
    hidden = count(owner, "Hidden")
    for recipient in (b"owner+Hidden@acme.test", b"owner+../mallory@acme.test", b"owner+New/Folder@acme.test", b"owner/Hidden@acme.test"):
        with smtp(server, "lmtp") as raw:
            raw.say(b"MAIL FROM:<x@elsewhere.test>")
            if raw.say(b"RCPT TO:<" + recipient + b">").startswith("250"):
                assert raw.say(b"DATA").startswith("354")
                raw.send(MAIL + b".\r\n")
                assert raw.reply()[:1] in "245"
    assert said(owner, 'LIST "" *') == before
    assert count(owner, "Hidden") == hidden


def test_there_is_no_verb_of_administrators_in_mail_protocols(mallory: Raw, server: Server) -> None:
    for verb in (
        "XADMIN",
        "PROXYAUTH owner@acme.test",
        "UNSELECT x",
        "X-ZIMBRA",
        "SETROLE",
        "XKILLMY",
        "DUMP INBOX",
        "UNDUMP x",
        "RECONSTRUCT",
        "XFER INBOX h",
    ):
        assert last(mallory, verb).startswith("t BAD"), verb
    with smtp(server, "submission", login=MALLORY) as raw:
        for verb in (b"XCLIENT ADDR=127.0.0.1 LOGIN=owner@acme.test", b"XFORWARD ADDR=1.2.3.4", b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1"):
            assert raw.say(verb).startswith("5"), verb
    with imap(server) as raw:
        import base64

        token = base64.b64encode(f"{OWNER}\0{MALLORY}\0{PASSWORD}".encode()).decode()
        assert last(raw, f"AUTHENTICATE PLAIN {token}").startswith("t NO"), "nobody acts as another without loginAs"
