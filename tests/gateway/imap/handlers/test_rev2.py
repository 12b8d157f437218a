"""IMAP4rev2 (RFC 9051): what changes for who enables it, and that nothing changes for who does not."""

from __future__ import annotations

import re

import pytest

from gateway.arrival import arrived
from gateway.imap.capabilities import REGISTRY
from store import folders
from store.appending import AppendMessages, NewInFolder
from tests.gateway.imap.handlers.house import Client, House, message

pytestmark = pytest.mark.skipif(not REGISTRY.enables(b"IMAP4REV2"), reason="IMAP4rev2 needs BINARY, which is not in the table")
SHARED = "Other Users/anna/"


@pytest.fixture
async def rev2(house: House, port: int) -> Client:
    client = await house.client(port, "anna")
    assert (await client.do("ENABLE IMAP4rev2")).untagged == [b"* ENABLED IMAP4rev2"]
    return client


async def put(house: House, octets: bytes, path: str = "/INBOX") -> None:
    await house.store.do(AppendMessages(await house.folder("anna", path), (NewInFolder(arrived(octets)),), 0))


# Announced, enabled, undone


async def test_it_is_announced_beside_rev1_and_enabling_changes_no_capability(house: House, port: int, rev2: Client) -> None:
    stranger = await house.client(port)
    assert b"[CAPABILITY IMAP4rev1 IMAP4rev2 " in stranger.greeting
    other = await house.client(port, "anna")
    assert (await rev2.do("CAPABILITY")).untagged == (await other.do("CAPABILITY")).untagged
    assert (await rev2.do("ENABLE CONDSTORE")).untagged == [b"* ENABLED CONDSTORE"]


async def test_who_does_not_enable_it_sees_nothing_of_it(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    said = await anna.do("SELECT INBOX")
    assert b"* 2 RECENT" in said.untagged
    assert said.having("[UNSEEN 1]")
    assert not said.having("* LIST")
    assert (await anna.do("SEARCH ALL")).untagged == [b"* SEARCH 1 2"]
    assert (await anna.do("STORE 1 +FLAGS (\\Seen)")).untagged == [b"* 1 FETCH (FLAGS (\\Seen \\Recent))"]


async def test_unauthenticate_ends_it(rev2: Client) -> None:
    assert (await rev2.do("UNAUTHENTICATE")).ok
    assert (await rev2.do("LOGIN anna@acme.test secret")).ok
    assert (await rev2.do("SELECT INBOX")).having("RECENT")


# SELECT


async def test_select_tells_list_and_neither_recent_nor_unseen(house: House, rev2: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await house.make("anna", "/INBOX/Below")
    for command, text in (("SELECT", b"[READ-WRITE]"), ("EXAMINE", b"[READ-ONLY]")):
        said = await rev2.do(f"{command} INBOX")
        assert text in said.tagged
        assert b'* LIST (\\HasChildren) "/" "INBOX"' in said.untagged
        assert b"* 2 EXISTS" in said.untagged
        assert not said.having("RECENT")
        assert not said.having("UNSEEN")
        assert not said.having("\\Recent")
    assert b'* LIST (\\HasNoChildren \\Sent) "/" "Sent"' in (await rev2.do("SELECT Sent")).untagged
    again = await rev2.do("SELECT INBOX")
    assert again.untagged[0].startswith(b"* OK [CLOSED]")


async def test_select_names_what_was_written_otherwise(rev2: Client) -> None:
    assert b'* LIST (\\HasNoChildren) "/" "INBOX" ("OLDNAME" ("inbox"))' in (await rev2.do("SELECT inbox")).untagged
    assert b'* LIST (\\HasNoChildren) "/" "INBOX"' in (await rev2.do("EXAMINE INBOX")).untagged


async def test_select_of_a_shared_folder_tells_its_visible_children_only(house: House, port: int) -> None:
    await house.make("anna", "/Posta/Segreta")
    await house.share("anna", "/Posta", "bruno", "r")
    await house.share("anna", "/Posta/Segreta", "bruno", "", rfc=True)
    bruno = await house.client(port, "bruno")
    await bruno.do("ENABLE IMAP4rev2")
    said = await bruno.do(f'SELECT "{SHARED}Posta"')
    assert b'* LIST (\\HasNoChildren) "/" "Other Users/anna/Posta"' in said.untagged
    await house.share("anna", "/Posta/Segreta", "bruno", "l", rfc=True)
    said = await bruno.do('EXAMINE "Other Users/anna@acme.test/Posta"')
    assert b'* LIST (\\HasChildren) "/" "Other Users/anna@acme.test/Posta"' in said.untagged
    await house.share("anna", "/Posta/Segreta", "bruno", "", rfc=True)
    await bruno.do("UNSELECT")
    hidden = await bruno.do(f'SELECT "{SHARED}Posta/Segreta"')
    missing = await bruno.do(f'SELECT "{SHARED}Posta/Nessuna"')
    assert (hidden.untagged, hidden.tagged) == (missing.untagged, missing.tagged)


# \Recent


async def test_nothing_is_recent_and_nobody_else_is_told_so(house: House, port: int, rev2: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await rev2.do("SELECT INBOX")
    assert (await rev2.do("FETCH 1:2 (FLAGS)")).untagged == [b"* 1 FETCH (FLAGS ())", b"* 2 FETCH (FLAGS ())"]
    await house.put("anna", "/INBOX", 1, first=3)
    assert (await rev2.do("NOOP")).untagged == [b"* 3 EXISTS"]
    other = await house.client(port, "anna")
    assert b"* 0 RECENT" in (await other.do("SELECT INBOX")).untagged


async def test_recent_ends_where_it_is_enabled_in_a_folder(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 1)
    await anna.do("SELECT INBOX")
    assert b"\\Recent" in (await anna.do("FETCH 1 FLAGS")).untagged[0]
    await anna.do("ENABLE IMAP4rev2")
    assert (await anna.do("FETCH 1 FLAGS")).untagged == [b"* 1 FETCH (FLAGS ())"]


# SEARCH


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("SEARCH ALL", b'* ESEARCH (TAG "t%d") ALL 1:4'),
        ("UID SEARCH 2,4", b'* ESEARCH (TAG "t%d") UID ALL 2,4'),
        ("SEARCH SUBJECT nothing", b'* ESEARCH (TAG "t%d")'),
        ("UID SEARCH SUBJECT nothing", b'* ESEARCH (TAG "t%d") UID'),
        ("SEARCH RETURN () 3", b'* ESEARCH (TAG "t%d") ALL 3'),
        ("SEARCH RETURN (MIN COUNT) ALL", b'* ESEARCH (TAG "t%d") MIN 1 COUNT 4'),
        ("SEARCH CHARSET UTF-8 ALL", b'* ESEARCH (TAG "t%d") ALL 1:4'),
        ("SEARCH LARGER 4294967296", b'* ESEARCH (TAG "t%d")'),
        ("SEARCH SMALLER 9223372036854775807", b'* ESEARCH (TAG "t%d") ALL 1:4'),
        ("SEARCH MODSEQ 1", b'* ESEARCH (TAG "t%d") ALL 1:4 MODSEQ 2'),
    ],
)
async def test_search_is_answered_by_esearch(house: House, rev2: Client, command: str, answer: bytes) -> None:
    await house.put("anna", "/INBOX", 4)
    await rev2.do("SELECT INBOX")
    said = await rev2.do(command)
    assert said.ok
    assert [one for one in said.untagged if b"HIGHESTMODSEQ" not in one] == [answer % 4]


async def test_saved_results_and_a_charset_that_is_not_known(house: House, rev2: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await rev2.do("SELECT INBOX")
    assert (await rev2.do("SEARCH RETURN (SAVE) 2:3")).untagged == []
    assert len((await rev2.do("FETCH $ UID")).untagged) == 2
    # RFC 9051 section 6.4.4.4, example 5.
    assert (await rev2.do("SEARCH RETURN (SAVE) CHARSET KOI8-X ALL")).tagged.startswith(b"NO [BADCHARSET")
    assert (await rev2.do("FETCH $ UID")).untagged == []
    await rev2.do("SEARCH RETURN (SAVE) 1")
    assert (await rev2.do("SEARCH CHARSET KOI8-X ALL")).tagged.startswith(b"NO [BADCHARSET")
    assert len((await rev2.do("FETCH $ UID")).untagged) == 1


async def test_keywords_of_the_rfc_are_kept(house: House, rev2: Client) -> None:
    await rev2.do("SELECT INBOX")
    names = ["$Forwarded", "$MDNSent", "$Junk", "$NotJunk", "$Phishing"]
    assert (await rev2.do(f"APPEND INBOX ({' '.join(names)}) {{}}", message())).ok
    assert (await rev2.do("COPY 1 Archive")).ok
    await rev2.do("SELECT Archive")
    for name in names:
        assert (await rev2.do(f"SEARCH KEYWORD {name}")).untagged[0].endswith(b"ALL 1")


# FETCH


async def test_unsolicited_fetch_has_the_uid(house: House, port: int, rev2: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    other = await house.client(port, "anna")
    for client in (rev2, other):
        await client.do("SELECT INBOX")
    await other.do("STORE 2 +FLAGS.SILENT (\\Flagged)")
    assert (await rev2.do("NOOP")).untagged == [b"* 2 FETCH (UID 2 FLAGS (\\Flagged))"]
    # What \\Seen a FETCH sets comes unasked, too.
    assert b"* 1 FETCH (UID 1 FLAGS (\\Seen))" in (await rev2.do("FETCH 1 BODY[TEXT]")).untagged
    await rev2.do("ENABLE CONDSTORE")
    await other.do("STORE 2 -FLAGS.SILENT (\\Flagged)")
    assert re.fullmatch(rb"\* 2 FETCH \(UID 2 FLAGS \(\) MODSEQ \(\d+\)\)", (await rev2.do("NOOP")).untagged[0])
    await rev2.do("ENABLE QRESYNC")
    await other.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    assert (await rev2.do("NOOP")).untagged == [b"* VANISHED 1"]


GLOBAL = (
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/global\r\n\r\n"
    "From: Jürgen <jürgen@müller.test>\r\nSubject: Grüße\r\n\r\nHallo\r\n--b--\r\n"
).encode()


async def test_message_global_is_a_message(house: House, port: int, rev2: Client) -> None:
    await put(house, GLOBAL)
    other = await house.client(port, "anna")
    for client in (rev2, other):
        await client.do("SELECT INBOX")
    old = (await other.do("FETCH 1 (BODY BODYSTRUCTURE)")).untagged[0]
    new = (await rev2.do("FETCH 1 (BODY BODYSTRUCTURE)")).untagged[0]
    assert b'("message" "global" NIL NIL NIL "7bit" 63)' in old
    assert "Grüße".encode() not in old
    assert new.count("Grüße".encode()) == 2
    assert new.count(b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0') == 2
    header = (await rev2.do("FETCH 1 BODY.PEEK[1.HEADER]")).untagged[0]
    assert "Subject: Grüße\r\n".encode() in header
    assert b"BODY[1.1] {5}\r\nHallo)" in (await rev2.do("FETCH 1 BODY.PEEK[1.1]")).untagged[0]


async def test_pieces_of_parameters_are_joined(house: House, port: int, rev2: Client) -> None:
    await put(
        house,
        b"Content-Type: application/x; baz*0=a; baz*1=\"b c\"; name*0*=utf-8''gr%C3%BC; name*1=n\r\n"
        b"Content-Disposition: attachment; filename*=iso-8859-1''gr%FCn.txt\r\n\r\nx\r\n",
    )
    other = await house.client(port, "anna")
    for client in (rev2, other):
        await client.do("SELECT INBOX")
    assert b'"baz*0" "a" "baz*1" "b c"' in (await other.do("FETCH 1 BODYSTRUCTURE")).untagged[0]
    new = (await rev2.do("FETCH 1 BODYSTRUCTURE")).untagged[0]
    assert '("baz" "ab c" "name*" {5}\r\ngrün)'.encode() in new
    assert '("attachment" ("filename*" {9}\r\ngrün.txt))'.encode() in new
    assert (await rev2.do("FETCH 1 BODY")).untagged[0].count(b"baz") == 1


async def test_partial_fetch_takes_numbers_of_63_bits(house: House, rev2: Client) -> None:
    await house.put("anna", "/INBOX", 1)
    await rev2.do("SELECT INBOX")
    said = await rev2.do("FETCH 1 BODY.PEEK[TEXT]<0.9223372036854775807>")
    assert said.untagged == [b"* 1 FETCH (BODY[TEXT]<0> {9}\r\nHello 1\r\n)"]
    assert (await rev2.do("FETCH 1 BODY.PEEK[TEXT]<4294967296.1>")).untagged == [b"* 1 FETCH (BODY[TEXT]<4294967296> {0}\r\n)"]


# STATUS and LIST


async def test_status_deleted_and_of_the_selected_folder(house: House, rev2: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await rev2.do("SELECT INBOX")
    await rev2.do("STORE 1,3 +FLAGS (\\Deleted)")
    said = await rev2.do("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE)")
    assert re.search(rb"MESSAGES 3 UIDNEXT 4 UIDVALIDITY \d+ UNSEEN 3 DELETED 2 SIZE \d+\)", said.untagged[0])
    said = await rev2.do('LIST "" INBOX RETURN (STATUS (DELETED) SUBSCRIBED CHILDREN)')
    assert said.untagged[1] == b'* STATUS "INBOX" (DELETED 2)'


async def test_what_may_be_seen_but_not_read_has_no_status(house: House, port: int) -> None:
    await house.make("anna", "/Vista")
    await house.share("anna", "/Vista", "bruno", "l", rfc=True)
    bruno = await house.client(port, "bruno")
    await bruno.do("ENABLE IMAP4rev2")
    said = await bruno.do(f'LIST "" "{SHARED}*" RETURN (STATUS (MESSAGES))')
    assert said.untagged == [b'* LIST (\\Noselect \\HasNoChildren) "/" "Other Users/anna/Vista"']


async def test_what_is_subscribed_and_gone(rev2: Client) -> None:
    await rev2.do("CREATE Wein")
    await rev2.do("SUBSCRIBE Wein")
    await rev2.do("DELETE Wein")
    assert b'* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "Wein"' in (await rev2.do('LIST (SUBSCRIBED) "" "*"')).untagged


async def test_commands_that_are_gone_from_rev2_still_work(rev2: Client) -> None:
    await rev2.do("SELECT INBOX")
    for command in ("CHECK", 'LSUB "" "*"', "STATUS INBOX (RECENT)", "SEARCH RECENT", "FETCH 1:* (RFC822.HEADER)"):
        assert not (await rev2.do(command)).tagged.startswith(b"NO"), command


# Names


async def test_names_are_utf8_both_ways(house: House, port: int, rev2: Client) -> None:
    assert (await rev2.do('CREATE "Entwürfe & Müll"'.encode())).ok
    assert '* LIST (\\HasNoChildren) "/" "Entwürfe & Müll"'.encode() in (await rev2.do('LIST "" "Entw*"')).untagged
    other = await house.client(port, "anna")
    assert b'* LIST (\\HasNoChildren) "/" "Entw&APw-rfe &- M&APw-ll"' in (await other.do('LIST "" "Entw*"')).untagged
    # & is no shift any more.
    assert (await rev2.do('CREATE "&APw-"')).ok
    assert b'* LIST (\\HasNoChildren) "/" "&APw-"' in (await rev2.do('LIST "" "&*"')).untagged
    assert b'* LIST (\\HasNoChildren) "/" "&-APw-"' in (await other.do('LIST "" "&-*"')).untagged


async def test_a_name_in_another_form_is_told(house: House, rev2: Client) -> None:
    written, name = "Mu\u0308ll", "Müll"
    said = await rev2.do(f'CREATE "{written}"'.encode())
    assert said.untagged == [f'* LIST (\\HasNoChildren) "/" "{name}" ("OLDNAME" ("{written}"))'.encode()]
    assert b"[MAILBOXID" in said.tagged
    assert (await rev2.do(f'CREATE "{name}"'.encode())).tagged.startswith(b"NO [ALREADYEXISTS]")
    assert said.untagged[0] in (await rev2.do(f'SELECT "{written}"'.encode())).untagged
    assert (await rev2.do(f'APPEND "{written}" {{}}'.encode(), message())).untagged == [said.untagged[0], b"* 1 EXISTS"]
    assert f'* STATUS "{written}" (MESSAGES 1)'.encode() in (await rev2.do(f'STATUS "{written}" (MESSAGES)'.encode())).untagged
    assert (await rev2.do(f'COPY 1 "{written}"'.encode())).ok
    assert (await rev2.do(f'SUBSCRIBE "{written}"'.encode())).ok
    assert (await rev2.do(f'LIST (SUBSCRIBED) "" "{written}"'.encode())).having(name)
    renamed = await rev2.do(f'RENAME "{written}" "A\u0308/B"'.encode())
    assert renamed.untagged == [f'* LIST (\\HasNoChildren) "/" "Ä/B" ("OLDNAME" ("{written}"))'.encode()]
    deleted = await rev2.do('DELETE "A\u0308/B"'.encode())
    assert deleted.untagged == ['* LIST (\\NonExistent) "/" "Ä/B" ("OLDNAME" ("A\u0308/B"))'.encode()]
    # Whoever writes a name as it is listed hears nothing of the kind.
    assert (await rev2.do('CREATE "Ö/"'.encode())).untagged == []
    assert (await rev2.do('RENAME "Ö" "Ü"'.encode())).untagged == []
    assert (await rev2.do('DELETE "Ü"'.encode())).untagged == []
    async with house.store.snapshot() as snapshot:
        assert await snapshot.ask(folders.by_path, house.ids["anna"], "/Ä") is not None


async def test_a_form_that_is_not_told_before_rev2_means_the_same(anna: Client) -> None:
    assert (await anna.do("CREATE M&APw-ll")).ok
    # u and U+0308 in modified UTF-7.
    assert (await anna.do("SELECT Mu&Awg-ll")).ok
    assert (await anna.do("CREATE Mu&Awg-ll")).tagged.startswith(b"NO [ALREADYEXISTS]")


async def test_a_name_with_children_says_so(rev2: Client) -> None:
    await rev2.do("CREATE Posta/Sotto")
    assert (await rev2.do("DELETE Posta")).ok
    assert (await rev2.do("DELETE Posta")).tagged.startswith(b"NO [HASCHILDREN]")
    assert b'* LIST (\\Noselect \\HasChildren) "/" "Posta"' in (await rev2.do('LIST "" Posta')).untagged


@pytest.mark.parametrize("written", [b"\xff", b"a\xc0\xafb", b"\xed\xa0\x80", b"\xc3", b"\xf4\x90\x80\x80"])
async def test_what_is_no_utf8_is_bad(rev2: Client, written: bytes) -> None:
    for command in (b'CREATE "%b"', b'SELECT "%b"', b'LIST "" "%b"', b'STATUS "%b" (MESSAGES)', b'LIST "%b" *'):
        assert (await rev2.do(command % written)).tagged.startswith(b"BAD"), command
    assert (await rev2.do(b"SELECT {}", written)).tagged.startswith(b"BAD")


@pytest.mark.parametrize("written", ["a\u2028b", "a\x85b", "\ufeffa", "a\x7f", "a/../b", "a//b", "a" * 256, "ä" * 128])
async def test_what_is_no_name_is_refused(rev2: Client, written: str) -> None:
    assert (await rev2.do(f'CREATE "{written}"'.encode())).tagged.startswith(b"NO [CANNOT]")
    assert not (await rev2.do(f'SELECT "{written}"'.encode())).ok


async def test_delegation_with_names_beyond_ascii(house: House, port: int, rev2: Client) -> None:
    await rev2.do('CREATE "Büro"'.encode())
    assert (await rev2.do('SETACL "Bu\u0308ro" bruno@acme.test lrswi'.encode())).ok
    bruno = await house.client(port, "bruno")
    assert b'"Other Users/anna/B&APw-ro"' in (await bruno.do('LIST "" "Other Users/anna/*"')).all
    await bruno.do("ENABLE IMAP4rev2")
    assert '* LIST (\\HasNoChildren) "/" "Other Users/anna/Büro"'.encode() in (await bruno.do('LIST "" "Other Users/anna/*"')).untagged
    said = await bruno.do('SELECT "Other Users/anna/Bu\u0308ro"'.encode())
    told = '* LIST (\\HasNoChildren) "/" "Other Users/anna/Büro" ("OLDNAME" ("Other Users/anna/Bu\u0308ro"))'
    assert told.encode() in said.untagged
    assert '* MYRIGHTS "Other Users/anna/Büro" lrswi'.encode() in (await bruno.do('MYRIGHTS "Other Users/anna/Büro"'.encode())).untagged


async def test_a_header_in_utf8_is_taken_as_it_is(house: House, rev2: Client) -> None:
    octets = "Subject: Grüße\r\nFrom: jürgen@müller.test\r\n\r\nHallo\r\n".encode()
    assert (await rev2.do("APPEND INBOX {}", octets)).ok
    await rev2.do("SELECT INBOX")
    assert octets in (await rev2.do("FETCH 1 BODY.PEEK[]")).untagged[0]
    assert (await rev2.do('SEARCH SUBJECT "grüß"'.encode())).untagged[0].endswith(b"ALL 1")
