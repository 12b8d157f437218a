"""A delegate in somebody else's mailbox with clients that others wrote: imaplib and aioimaplib, one at a time and two at once."""

from __future__ import annotations

import asyncio
import imaplib
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aioimaplib import aioimaplib

from tests.live.server import PASSWORD, Server, compose

OWNER, DELEGATE, ELSEWHERE = "anna@acme.test", "bruno@acme.test", "carla@beta.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("shared")) as running:
        running.people("anna", "bruno")
        running.people("carla", domain="beta.test")
        box = f"selectMailbox {OWNER}"
        running.prov(
            f"{box} modifyFolderGrant /INBOX account {DELEGATE} rwid",
            f"{box} modifyFolderGrant /Sent account {DELEGATE} r",
            f"{box} modifyFolderGrant /Trash account {DELEGATE} rwid",
            *(f"{box} createFolder '/{name}'" for name in ("Post Büro", "Projects/2026/Q1", "Read only")),
            f"{box} modifyFolderGrant '/Post Büro' account {DELEGATE} rwid",
            f"{box} modifyFolderGrant /Projects account {DELEGATE} rwid",
            f"{box} modifyFolderGrant '/Read only' account {DELEGATE} r",
            f"{box} modifyFolderGrant '/Read only' account {ELSEWHERE} r",
        )
        for number in range(1, 4):
            running.deliver(OWNER, compose("a@elsewhere.test", OWNER, f"letter {number}"))
        yield running


@pytest.fixture
def delegate(server: Server) -> Iterator[imaplib.IMAP4]:
    client = server.imap(DELEGATE)
    yield client
    client.logout()


@pytest.fixture
def owner(server: Server) -> Iterator[imaplib.IMAP4]:
    client = server.imap(OWNER)
    yield client
    client.logout()


def names(listed: list[bytes]) -> dict[str, set[str]]:
    """What LIST or LSUB said: name → attributes."""
    found = {}
    for line in listed:
        match = re.match(r'\(([^)]*)\) "/" "(.*)"', line.decode())
        assert match is not None, line
        found[match[2]] = set(match[1].split())
    return found


def ok(answer: tuple[str, Any]) -> Any:
    """What came with an OK; imaplib mixes octets, pairs and None in it."""
    assert answer[0] == "OK", answer
    return answer[1]


def test_the_namespace_is_announced_and_used(delegate: imaplib.IMAP4) -> None:
    assert ok(delegate.namespace()) == [b'(("" "/")) (("Other Users/" "/")) NIL']
    listed = names(ok(delegate.list('"Other Users/"', "*")))
    assert {name for name, attributes in listed.items() if not attributes & {"\\Noselect", "\\NonExistent"}} == {
        f"Other Users/anna/{name}"
        for name in ("INBOX", "Sent", "Trash", "Post B&APw-ro", "Projects", "Projects/2026", "Projects/2026/Q1", "Read only")
    }
    # The owner's special-use folders keep their flags, under the owner's prefix only.
    assert "\\Sent" in listed["Other Users/anna/Sent"]
    assert "\\Trash" in listed["Other Users/anna/Trash"]
    own = names(ok(delegate.list('""', "%")))
    assert {"INBOX", "Sent", "Drafts", "Trash", "Other Users"} <= set(own)


def test_shared_folders_are_subscribed_until_the_delegate_says_otherwise(delegate: imaplib.IMAP4) -> None:
    folder = "Other Users/anna/Read only"
    assert folder in names(ok(delegate.lsub('""', "*")))
    ok(delegate.unsubscribe(f'"{folder}"'))
    assert folder not in names(ok(delegate.lsub('""', "*")))
    assert folder in names(ok(delegate.list('""', "*")))
    ok(delegate.subscribe(f'"{folder}"'))
    assert folder in names(ok(delegate.lsub('""', "*")))


def test_a_delegate_works_in_the_owners_inbox(server: Server, delegate: imaplib.IMAP4, owner: imaplib.IMAP4) -> None:
    inbox = '"Other Users/anna/INBOX"'
    assert ok(delegate.select(inbox)) == [b"3"]
    assert ok(delegate.search(None, "SUBJECT", '"letter 2"')) == [b"2"]
    assert b"Subject: letter 2" in ok(delegate.fetch("2", "(RFC822)"))[0][1]
    ok(delegate.store("2", "+FLAGS", "(\\Answered $Forwarded)"))
    ok(owner.select("INBOX"))
    flags = ok(owner.fetch("2", "(FLAGS)"))[0]
    assert all(flag in flags for flag in (b"\\Seen", b"\\Answered", b"$Forwarded"))
    # Own folder and shared folder, both ways.
    ok(delegate.create("Taken"))
    ok(delegate.copy("2", "Taken"))
    assert ok(delegate.status("Taken", "(MESSAGES)")) == [b'"Taken" (MESSAGES 1)']
    typ, appended = delegate.append(inbox, "\\Seen", None, compose(DELEGATE, OWNER, "left by bruno"))
    assert typ == "OK"
    assert b"APPENDUID" in appended[0]
    ok(delegate.uid("MOVE", "4", '"Other Users/anna/Trash"'))
    ok(owner.noop())
    assert ok(owner.search(None, "SUBJECT", '"left by bruno"')) == [b""]
    assert ok(owner.select("Trash")) == [b"1"]
    ok(delegate.store("3", "+FLAGS", "\\Deleted"))
    assert ok(delegate.expunge())[-1] == b"3"
    ok(owner.select("INBOX"))
    assert ok(owner.search(None, "ALL")) == [b"1 2"]
    ok(delegate.close())


def test_a_reader_reads_and_leaves_no_trace(server: Server, delegate: imaplib.IMAP4, owner: imaplib.IMAP4) -> None:
    folder = '"Other Users/anna/Read only"'
    ok(owner.append('"Read only"', "", None, compose("a@elsewhere.test", OWNER, "to be read")))
    with pytest.raises(imaplib.IMAP4.readonly):
        delegate.select(folder)
    ok(delegate.select(folder, readonly=True))
    assert b"to be read" in ok(delegate.fetch("1", "(BODY[])"))[0][1]
    ok(delegate.unselect())
    assert delegate.append(folder, "", None, compose(DELEGATE, OWNER))[1][0].startswith(b"[NOPERM] you need 'i' (insert)")
    ok(owner.select('"Read only"', readonly=True))
    assert b"\\Seen" not in ok(owner.fetch("1", "(FLAGS)"))[0]


def test_acl_commands_as_imaplib_says_them(delegate: imaplib.IMAP4, owner: imaplib.IMAP4) -> None:
    ok(owner.create("Lent"))
    ok(owner.setacl("Lent", DELEGATE, "lrsa"))
    assert ok(delegate.myrights('"Other Users/anna/Lent"')) == [b'"Other Users/anna/Lent" lrsa']
    assert ok(delegate.getacl('"Other Users/anna/Lent"')) == [b'"Other Users/anna/Lent" anna@acme.test lrswikxteacd bruno@acme.test lrsa']
    ok(delegate.setacl('"Other Users/anna/Lent"', ELSEWHERE, "lr"))
    ok(owner.deleteacl("Lent", DELEGATE))
    kind, words = delegate.myrights('"Other Users/anna/Lent"')
    assert (kind, words) == ("NO", [b"[NONEXISTENT] no such folder"])


def test_an_owner_in_another_domain_is_named_by_address(server: Server) -> None:
    client = server.imap(ELSEWHERE)
    listed = names(ok(client.list('""', "*")))
    assert "Other Users/anna@acme.test/Read only" in listed
    ok(client.select('"Other Users/anna@acme.test/Read only"', readonly=True))
    client.logout()


def test_a_delegate_makes_renames_and_removes_folders(delegate: imaplib.IMAP4, owner: imaplib.IMAP4) -> None:
    projects = "Other Users/anna/Projects"
    ok(delegate.create(f'"{projects}/2027/Q1"'))
    ok(delegate.rename(f'"{projects}/2027/Q1"', f'"{projects}/2027/Q2"'))
    assert {"Projects/2027", "Projects/2027/Q2"} <= set(names(ok(owner.list('""', "Projects/*"))))
    # What has children stays as a name, what has none is gone.
    ok(delegate.delete(f'"{projects}/2027/Q2"'))
    assert "Projects/2027/Q2" not in names(ok(owner.list('""', "Projects/*")))
    ok(delegate.delete(f'"{projects}/2026"'))
    left = names(ok(delegate.list('""', f'"{projects}/*"')))
    assert "\\Noselect" in left[f"{projects}/2026"]
    assert not left[f"{projects}/2026/Q1"] & {"\\Noselect", "\\NonExistent"}
    assert delegate.select(f'"{projects}/2026"')[0] == "NO"
    # Never between owners, INBOX never, special-use folders the owner only.
    assert delegate.rename(f'"{projects}/2027"', "Mine")[0] == "NO"
    ok(delegate.create("Mine"))
    assert delegate.rename("Mine", f'"{projects}/Mine"')[0] == "NO"
    for special in ("INBOX", "Trash"):
        assert delegate.delete(f'"Other Users/anna/{special}"')[0] == "NO"
        assert delegate.rename(f'"Other Users/anna/{special}"', f'"{projects}/Stolen"')[0] == "NO"
    ok(delegate.delete("Mine"))


def test_seen_of_ones_own(server: Server, delegate: imaplib.IMAP4, owner: imaplib.IMAP4) -> None:
    """A folder with `seen private`: what one has read is unread to the other."""
    ok(owner.create('"Private seen"'))
    for number in range(2):
        ok(owner.append('"Private seen"', "(\\Seen)" if number else "", None, compose("a@elsewhere.test", OWNER, f"unread {number}")))
    server.prov(
        f"selectMailbox {OWNER} modifyFolderGrant '/Private seen' account {DELEGATE} rw",
        f"selectMailbox {OWNER} modifyFolder '/Private seen' seen private",
    )
    shared = '"Other Users/anna/Private seen"'
    # It starts as a copy of the shared state.
    assert ok(delegate.status(shared, "(UNSEEN)")) == [shared.encode() + b" (UNSEEN 1)"]
    ok(delegate.select(shared))
    ok(delegate.fetch("1", "(BODY[])"))
    ok(delegate.store("2", "-FLAGS", "(\\Seen)"))
    ok(delegate.store("1", "+FLAGS", "(\\Flagged)"))
    assert ok(delegate.search(None, "UNSEEN")) == [b"2"]
    ok(owner.select('"Private seen"'))
    assert ok(owner.search(None, "UNSEEN")) == [b"1"]
    assert ok(owner.search(None, "FLAGGED")) == [b"1"]
    assert ok(owner.status('"Private seen"', "(UNSEEN)")) == [b'"Private seen" (UNSEEN 1)']


def test_what_a_delegate_throws_away_lands_in_the_owners_trash_where_that_is_set(server: Server) -> None:
    server.people("tidy", create=False)
    server.prov(
        "modifyAccount tidy@acme.test delegatedTrash owner",
        f"selectMailbox tidy@acme.test modifyFolderGrant / account {DELEGATE} rwid",
    )
    for subject in ("thrown away", "filed"):
        server.deliver("tidy@acme.test", compose("a@elsewhere.test", "tidy@acme.test", subject))
    client = server.imap(DELEGATE)
    ok(client.create("Filed"))
    ok(client.select('"Other Users/tidy/INBOX"'))
    before = len(server.messages(DELEGATE, "Trash"))
    ok(client.uid("MOVE", "1", "Trash"))
    # A foreign UIDVALIDITY is not named.
    assert client.response("COPYUID")[1] == [None]
    ok(client.uid("COPY", "2", "Trash"))
    assert client.response("COPYUID")[1] != [None]
    ok(client.uid("MOVE", "2", "Filed"))
    client.logout()
    assert [b"Subject: thrown away" in one for one in server.messages("tidy@acme.test", "Trash")] == [True]
    assert len(server.messages(DELEGATE, "Trash")) == before + 1, "COPY is never redirected"
    assert len(server.messages(DELEGATE, "Filed")) == 1
    assert server.messages("tidy@acme.test") == []


def test_two_delegates_at_once(server: Server) -> None:
    """Two clients change one folder through each other; both see one truth in the end, nothing is lost or doubled."""
    server.people("two", create=False)
    server.prov(
        f"selectMailbox {OWNER} createFolder /Busy",
        f"selectMailbox {OWNER} modifyFolderGrant /Busy account {DELEGATE} rwid",
        f"selectMailbox {OWNER} modifyFolderGrant /Busy account two@acme.test rwid",
    )
    faults: list[BaseException] = []

    def work(user: str, mark: str) -> None:
        try:
            client = server.imap(user)
            folder = '"Other Users/anna/Busy"'
            ok(client.select(folder))
            for number in range(15):
                typ, answer = client.append(folder, mark, None, compose(user, OWNER, f"{mark} {number}"))
                assert typ == "OK"
                found = re.search(rb"APPENDUID \d+ (\d+)", answer[0])
                assert found is not None
                uid = found[1].decode()
                ok(client.noop())
                ok(client.uid("STORE", uid, "+FLAGS", "(\\Flagged)"))
                if number % 3 == 0:
                    ok(client.uid("STORE", uid, "+FLAGS", "(\\Deleted)"))
                    ok(client.uid("EXPUNGE", uid))
            client.logout()
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=one) for one in ((DELEGATE, "Left"), ("two@acme.test", "Right"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not faults
    owner = server.imap(OWNER)
    assert ok(owner.select("Busy", readonly=True)) == [b"20"]
    for mark in ("Left", "Right"):
        assert len(ok(owner.search(None, "KEYWORD", mark))[0].split()) == 10
        assert len(ok(owner.search(None, "KEYWORD", mark, "FLAGGED", "UNDELETED", "SUBJECT", mark))[0].split()) == 10
    uids = [int(one) for one in ok(owner.uid("SEARCH", "ALL"))[0].split()]
    assert uids == sorted(set(uids))
    owner.logout()


def test_one_message_is_moved_once(server: Server) -> None:
    """Two sessions move the same messages out of a folder at the same time: each message arrives once."""
    server.prov(
        f"selectMailbox {OWNER} createFolder /From",
        f"selectMailbox {OWNER} createFolder /To",
        f"selectMailbox {OWNER} modifyFolderGrant /From account {DELEGATE} rwid",
        f"selectMailbox {OWNER} modifyFolderGrant /To account {DELEGATE} rwid",
    )
    owner = server.imap(OWNER)
    for number in range(20):
        ok(owner.append("From", "", None, compose("a@elsewhere.test", OWNER, f"once {number:02}")))
    delegate = server.imap(DELEGATE)
    ok(owner.select("From"))
    ok(delegate.select('"Other Users/anna/From"'))
    barrier = threading.Barrier(2)

    def move(client: imaplib.IMAP4, target: str) -> None:
        barrier.wait(10)
        client.uid("MOVE", "1:20", target)

    threads = [threading.Thread(target=move, args=one) for one in ((owner, "To"), (delegate, '"Other Users/anna/To"'))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert ok(owner.select("From")) == [b"0"]
    assert ok(owner.select("To")) == [b"20"]
    subjects = {part[1] for part in ok(owner.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")) if isinstance(part, tuple)}
    assert len(subjects) == 20
    owner.logout()
    delegate.logout()


async def test_aioimaplib_waits_in_a_shared_folder(server: Server) -> None:
    client = aioimaplib.IMAP4(host="127.0.0.1", port=server.ports["imap"], timeout=20)
    await client.wait_hello_from_server()
    assert (await client.login(DELEGATE, PASSWORD)).result == "OK"
    answer = await client.select('"Other Users/anna/Post B&APw-ro"')
    assert answer.result == "OK"
    idle = await client.idle_start(timeout=30)
    appending = await asyncio.to_thread(server.imap, OWNER)
    await asyncio.to_thread(appending.append, '"Post B&APw-ro"', "", None, compose("a@elsewhere.test", OWNER, "in idle"))
    said = await client.wait_server_push(20)
    while not any(line.endswith(b"1 EXISTS") for line in said):
        said = await client.wait_server_push(20)
    client.idle_done()
    await asyncio.wait_for(idle, 20)
    answer = await client.uid("fetch", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert answer.result == "OK"
    assert any(b"Subject: in idle" in line for line in answer.lines)
    assert (await client.store("1", "+FLAGS", "(\\Seen)")).result == "OK"
    assert (await client.logout()).result == "OK"
    await asyncio.to_thread(appending.logout)


async def test_many_delegates_wait_at_once(server: Server) -> None:
    """Thirty sessions in IDLE on one folder are all told of one message."""
    clients = [aioimaplib.IMAP4(host="127.0.0.1", port=server.ports["imap"], timeout=20) for _ in range(30)]

    async def wait(client: aioimaplib.IMAP4, ready: asyncio.Semaphore) -> None:
        await client.wait_hello_from_server()
        assert (await client.login(DELEGATE, PASSWORD)).result == "OK"
        assert (await client.select('"Other Users/anna/Sent"')).result == "OK"
        idle = await client.idle_start(timeout=60)
        ready.release()
        while not any(line.endswith(b"EXISTS") for line in await client.wait_server_push(30)):
            pass
        client.idle_done()
        await asyncio.wait_for(idle, 20)
        assert (await client.logout()).result == "OK"

    ready = asyncio.Semaphore(0)
    waiting = [asyncio.create_task(wait(client, ready)) for client in clients]
    for _ in clients:
        await asyncio.wait_for(ready.acquire(), 30)
    appending = await asyncio.to_thread(server.imap, OWNER)
    await asyncio.to_thread(appending.append, "Sent", "", None, compose(OWNER, "b@elsewhere.test", "to all"))
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    await asyncio.to_thread(appending.logout)
