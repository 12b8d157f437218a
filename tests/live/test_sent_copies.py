"""Where the copy of a delegated message is filed, and when a client's own copy takes its place: delegation.md section 6."""

from __future__ import annotations

import imaplib
import re
import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.live.post import Clients, Letter, Postbox, submit
from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Talk

SETTINGS = ("owner", "sender", "both", "none", "unset")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("copies"))
    server.directory.mkdir(exist_ok=True)
    lines = ["createDomain acme.test", "createDomain other.test", f"createAccount rita@other.test '{PASSWORD}'"]
    for name in SETTINGS:
        # each with a delegate of its own, so that one's Sent has one's copies only
        lines.append(f"createAccount o-{name}@acme.test '{PASSWORD}'" + ("" if name == "unset" else f" delegatedSent {name}"))
        lines.append(f"createAccount d-{name}@acme.test '{PASSWORD}'")
        lines.append(f"grantRight account o-{name}@acme.test usr d-{name}@acme.test sendAs")
        lines.append(f"grantRight account o-{name}@acme.test usr d-{name}@acme.test sendOnBehalfOf")
    for name in ("full", "gone", "fetch", "twice", "open"):
        lines.append(f"createAccount o-{name}@acme.test '{PASSWORD}'")
        lines.append(f"createAccount d-{name}@acme.test '{PASSWORD}'")
        lines.append(f"createAccount e-{name}@acme.test '{PASSWORD}'")
        lines.append(f"grantRight account o-{name}@acme.test usr d-{name}@acme.test sendAs")
        lines.append(f"selectMailbox o-{name}@acme.test modifyFolderGrant / account d-{name}@acme.test rwixd")
        lines.append(f"selectMailbox o-{name}@acme.test modifyFolderGrant / account e-{name}@acme.test rwixd")
    lines += [
        "modifyAccount o-full@acme.test quota 600",
        "modifyAccount d-full@acme.test quota 100",
        "createDistributionList sales@acme.test",
        "grantRight dl sales@acme.test usr d-open@acme.test sendAs",
        "grantRight account o-owner@acme.test usr d-open@acme.test sendOnBehalfOf",
        "grantRight account o-sender@acme.test usr d-open@acme.test sendOnBehalfOf",
        "grantRight account o-none@acme.test usr d-open@acme.test sendOnBehalfOf",
    ]
    server.prov(*lines)
    with server:
        yield server


def letters(server: Server, user: str, folder: str = "Sent") -> list[Letter]:
    box = Postbox(server, f"{user}@acme.test", folder)
    found = box.new()
    box.close()
    return found


@pytest.mark.parametrize(
    ("setting", "in_owners", "in_delegates"),
    [("owner", 1, 0), ("sender", 0, 1), ("both", 1, 1), ("none", 0, 0), ("unset", 1, 0)],
)
@pytest.mark.parametrize("how", ["send-as", "on-behalf"])
def test_the_owners_setting_decides(server: Server, clients: Clients, setting: str, in_owners: int, in_delegates: int, how: str) -> None:
    me, owner = f"d-{setting}", f"o-{setting}"
    before = len(letters(server, owner)), len(letters(server, me))
    fields = {"Sender": f"{me}@acme.test"} if how == "on-behalf" else {}
    octets = compose(f"{owner}@acme.test", "rita@other.test", how, Bcc="hidden@other.test", **fields)
    assert submit(clients[f"{me}@acme.test"], f"{me}@acme.test", "rita@other.test", octets).accepted
    assert (len(letters(server, owner)) - before[0], len(letters(server, me)) - before[1]) == (in_owners, in_delegates)


def test_the_copy_is_what_went_out_without_trace_and_seen(server: Server, clients: Clients) -> None:
    octets = compose("o-unset@acme.test", "rita@other.test", "to be looked at", Bcc="hidden@other.test")
    assert submit(clients["d-unset@acme.test"], "d-unset@acme.test", "rita@other.test", octets).accepted
    (copy,) = [one for one in letters(server, "o-unset") if one.one("Subject") == "to be looked at"]
    assert "\\Seen" in copy.flags
    assert copy.every("Return-Path") == []
    assert copy.every("Received") == []
    assert copy.every("Bcc") == []
    (arrived,) = [one for one in map(Letter, server.messages("rita@other.test")) if one.one("Subject") == "to be looked at"]
    assert arrived.submitted == copy.octets


def test_own_mail_is_not_filed(server: Server, clients: Clients) -> None:
    before = len(letters(server, "d-both"))
    octets = compose("d-both@acme.test", "rita@other.test")
    assert submit(clients["d-both@acme.test"], "d-both@acme.test", "rita@other.test", octets).accepted
    assert len(letters(server, "d-both")) == before


def test_a_refused_message_leaves_no_copy(server: Server, clients: Clients) -> None:
    before = len(letters(server, "o-owner"))
    octets = compose("o-owner@acme.test, o-none@acme.test, o-full@acme.test", "rita@other.test")
    assert submit(clients["d-owner@acme.test"], "", "rita@other.test", octets).enhanced == "550 5.7.1"
    octets = compose("o-owner@acme.test", "nobody@acme.test")
    assert submit(clients["d-owner@acme.test"], "", "nobody@acme.test", octets).enhanced == "550 5.1.1"
    assert len(letters(server, "o-owner")) == before


def test_a_list_as_principal_files_for_the_sender(server: Server, clients: Clients) -> None:
    before = len(letters(server, "d-open"))
    octets = compose("sales@acme.test", "rita@other.test")
    assert submit(clients["d-open@acme.test"], "", "rita@other.test", octets).accepted
    assert len(letters(server, "d-open")) == before + 1


def test_several_owners_each_by_its_own_setting(server: Server, clients: Clients) -> None:
    names = ("o-owner", "o-sender", "o-none", "d-open")
    before = {name: len(letters(server, name)) for name in names}
    octets = compose("o-owner@acme.test, o-sender@acme.test, o-none@acme.test", "rita@other.test")
    assert submit(clients["d-open@acme.test"], "", "rita@other.test", octets).accepted
    assert {name: len(letters(server, name)) - before[name] for name in names} == {"o-owner": 1, "o-sender": 0, "o-none": 0, "d-open": 1}


def test_without_room_the_copy_goes_to_the_delegate_over_quota_if_need_be(server: Server, clients: Clients) -> None:
    octets = compose("o-full@acme.test", "rita@other.test", text="x" * 2000)
    assert submit(clients["d-full@acme.test"], "", "rita@other.test", octets).accepted
    assert letters(server, "o-full") == []
    (copy,) = letters(server, "d-full")
    assert copy.one("From") == "o-full@acme.test"
    # what fits is filed for the owner again
    assert submit(clients["d-full@acme.test"], "", "rita@other.test", compose("o-full@acme.test", "rita@other.test", "s")).accepted
    assert len(letters(server, "o-full")) == 1
    assert len(letters(server, "d-full")) == 1


def test_a_missing_sent_folder_is_made(server: Server, clients: Clients) -> None:
    owner = server.imap("o-gone@acme.test")
    assert owner.delete("Sent")[0] == "OK"
    assert submit(clients["d-gone@acme.test"], "", "rita@other.test", compose("o-gone@acme.test", "rita@other.test")).accepted
    _, found = owner.list()
    (sent,) = [line for line in found if isinstance(line, bytes) and b"\\Sent" in line]
    assert sent.rstrip(b'"').endswith(b"Sent")
    owner.logout()
    assert len(letters(server, "o-gone")) == 1


def test_a_copy_shows_in_an_open_session(server: Server, clients: Clients) -> None:
    owner = server.imap("o-open@acme.test")
    owner.select("Sent")
    assert submit(clients["d-open@acme.test"], "", "rita@other.test", compose("o-open@acme.test", "rita@other.test")).accepted
    owner.noop()
    assert owner.untagged_responses["EXISTS"][-1] == b"1"
    owner.logout()


# --- the client's own copy


class Desk:
    """A delegate's client: sends, then appends its own copy to the owner's Sent."""

    def __init__(self, server: Server, clients: Clients, name: str) -> None:
        self.server = server
        self.owner = f"o-{name}@acme.test"
        self.me = f"d-{name}@acme.test"
        self.other = f"e-{name}@acme.test"
        self.sent = f'"Other Users/o-{name}/Sent"'
        self.smtp = clients[self.me]
        self.imap = server.imap(self.me)

    def message(self, number: str, subject: str = "mine", **fields: str) -> bytes:
        fields = {"Date": "Sun, 1 Nov 2026 10:00:00 +0000", "Message_ID": f"<{number}@client.test>", **fields}
        return compose(self.owner, "rita@other.test", subject, Bcc="hidden@other.test", **fields)

    def send(self, octets: bytes) -> None:
        assert submit(self.smtp, self.me, "rita@other.test", octets).accepted

    def append(self, octets: bytes, client: imaplib.IMAP4 | None = None, folder: str | None = None) -> int:
        """The UID in APPENDUID."""
        kind, told = (client or self.imap).append(folder or self.sent, "(\\Seen)", "", octets)
        assert kind == "OK", told
        found = re.search(rb"APPENDUID \d+ (\d+)", told[0])
        assert found is not None, told
        return int(found[1])

    def uids(self, identifier: str) -> list[int]:
        client = self.server.imap(self.owner)
        client.select("Sent", readonly=True)
        _, found = client.uid("SEARCH", "HEADER", "Message-ID", f'"<{identifier}@client.test>"')
        client.logout()
        return [int(one) for one in found[0].split()]

    def octets(self, uid: int) -> bytes:
        client = self.server.imap(self.owner)
        client.select("Sent", readonly=True)
        _, found = client.uid("FETCH", str(uid), "(BODY.PEEK[])")
        client.logout()
        (part,) = [one[1] for one in found if isinstance(one, tuple)]
        return part


@pytest.fixture(params=["fetch"])
def desk(server: Server, clients: Clients, request: pytest.FixtureRequest) -> Iterator[Desk]:
    desk = Desk(server, clients, request.param)
    yield desk
    desk.imap.logout()


def test_the_clients_copy_takes_the_filed_ones_place(desk: Desk) -> None:
    octets = desk.message("place")
    desk.send(octets)
    (filed,) = desk.uids("place")
    uid = desk.append(octets)
    assert desk.uids("place") == [uid]
    assert uid > filed
    assert desk.octets(uid) == octets
    assert b"Bcc: hidden@other.test" in desk.octets(uid)


def test_it_takes_its_place_once(desk: Desk) -> None:
    octets = desk.message("once")
    desk.send(octets)
    first = desk.append(octets)
    second = desk.append(octets)
    assert desk.uids("once") == [first, second]


@pytest.mark.parametrize(
    ("number", "before", "after"),
    [
        ("subject", b"Subject: mine", b"Subject: other"),
        ("from", b"From: o-fetch@acme.test", b"From: d-fetch@acme.test"),
        ("date", b"10:00:00", b"10:00:01"),
        ("id", b"<id@client.test>", b"<id2@client.test>"),
    ],
)
def test_what_differs_stays_beside_it(desk: Desk, number: str, before: bytes, after: bytes) -> None:
    octets = desk.message(number)
    assert before in octets
    desk.send(octets)
    (filed,) = desk.uids(number)
    uid = desk.append(octets.replace(before, after))
    assert filed in desk.uids(number)
    assert uid != filed


def test_another_actors_append_stays_beside_it(desk: Desk, server: Server) -> None:
    octets = desk.message("other actor")
    octets = octets.replace(b"<other actor@", b"<otheractor@")
    desk.send(octets)
    (filed,) = desk.uids("otheractor")
    for user in (desk.other, desk.owner):
        client = server.imap(user)
        uid = desk.append(octets, client, "Sent" if user == desk.owner else desk.sent)
        client.logout()
        assert {filed, uid} <= set(desk.uids("otheractor"))


def test_a_copy_whose_flags_were_touched_stays(desk: Desk) -> None:
    octets = desk.message("touched")
    desk.send(octets)
    (filed,) = desk.uids("touched")
    desk.imap.select(desk.sent)
    assert desk.imap.uid("STORE", str(filed), "+FLAGS", "(\\Flagged)")[0] == "OK"
    desk.imap.unselect()
    uid = desk.append(octets)
    assert desk.uids("touched") == [filed, uid]


def test_an_append_elsewhere_leaves_it(desk: Desk) -> None:
    octets = desk.message("elsewhere")
    desk.send(octets)
    (filed,) = desk.uids("elsewhere")
    desk.append(octets, folder="Sent")
    desk.append(octets, folder='"Other Users/o-fetch/Drafts"')
    assert desk.uids("elsewhere") == [filed]


def test_both_copies_have_their_place_taken_separately(server: Server, clients: Clients) -> None:
    octets = compose(
        "o-both@acme.test", "rita@other.test", "twofold", Date="Sun, 1 Nov 2026 10:00:00 +0000", Message_ID="<two@client.test>"
    )
    assert submit(clients["d-both@acme.test"], "", "rita@other.test", octets).accepted

    def there(user: str) -> list[bytes]:
        return [one.octets for one in letters(server, user) if one.one("Message-ID") == "<two@client.test>"]

    assert (len(there("o-both")), len(there("d-both"))) == (1, 1)
    client = server.imap("d-both@acme.test")
    own = octets.replace(b"Subject", b"X-Mine: yes\r\nSubject")
    assert client.append("Sent", "(\\Seen)", "", own)[0] == "OK"
    client.logout()
    assert there("d-both") == [own]
    assert len(there("o-both")) == 1


Way = Callable[[Desk, Talk, bytes], list[int]]
"""Puts a message into the owner's Sent; the UIDs that APPENDUID names."""


def told(talk: Talk, octets: bytes) -> list[int]:
    tag = octets.split(b" ", 1)[0].decode()
    talk.send(octets)
    answer = talk.finish(tag)
    assert answer.kind.startswith("OK"), answer
    found = re.search(r"APPENDUID \d+ ([\d:,]+)", answer.tagged + " ".join(one.decode() for one in answer.lines))
    assert found is not None, answer
    first, _, last = found[1].partition(":")
    return [*range(int(first), int(last or first) + 1)]


def literal(octets: bytes) -> bytes:
    return b"{%d+}\r\n%b" % (len(octets), octets)


def by_append(desk: Desk, talk: Talk, octets: bytes) -> list[int]:
    return told(talk, b"m APPEND %b (\\Seen) %b\r\n" % (desk.sent.encode(), literal(octets)))


def among_others(desk: Desk, talk: Talk, octets: bytes) -> list[int]:
    one, two = (desk.message(f"beside{number}", "beside it") for number in range(2))
    parts = b" ".join(b"(\\Seen) " + literal(each) for each in (one, octets, two))
    uids = told(talk, b"m APPEND %b %b\r\n" % (desk.sent.encode(), parts))
    assert len(uids) == 3
    return uids[1:2]


def by_catenate(desk: Desk, talk: Talk, octets: bytes) -> list[int]:
    """Header from the client, text from a draft."""
    header, text = octets[: octets.index(b"\r\n\r\n") + 4], octets[octets.index(b"\r\n\r\n") + 4 :]
    draft = drafted(talk, octets)
    url = f"/Drafts/;UID={draft}/;SECTION=TEXT"
    assert text in octets
    parts = b'(TEXT %b URL "%b")' % (literal(header), url.encode())
    return told(talk, b"m APPEND %b (\\Seen) CATENATE %b\r\n" % (desk.sent.encode(), parts))


def drafted(talk: Talk, octets: bytes) -> int:
    """A draft of the delegate's own, with the text of the message."""
    return told(talk, b"d APPEND Drafts (\\Draft) %b\r\n" % literal(octets))[0]


def by_replace(desk: Desk, talk: Talk, octets: bytes) -> list[int]:
    drafted(talk, octets)
    talk.ok("SELECT Drafts")
    return told(talk, b"m REPLACE * %b (\\Seen) %b\r\n" % (desk.sent.encode(), literal(octets)))


def by_uid_replace(desk: Desk, talk: Talk, octets: bytes) -> list[int]:
    uid = drafted(talk, octets)
    talk.ok("SELECT Drafts")
    uids = told(talk, b"m UID REPLACE %d %b (\\Seen) %b\r\n" % (uid, desk.sent.encode(), literal(octets)))
    assert not talk.ok(f"UID SEARCH UID {uid}").lines[0].split()[2:], "the draft is gone"
    return uids


def in_the_place_of_another(desk: Desk, talk: Talk, octets: bytes) -> list[int]:
    """UID REPLACE of the newest message in the very folder: of the filed copy, where that is what it is."""
    talk.ok(f"SELECT {desk.sent}")
    return told(talk, b"m UID REPLACE * %b (\\Seen) %b\r\n" % (desk.sent.encode(), literal(octets)))


WAYS = [by_append, among_others, by_catenate, by_replace, by_uid_replace]


@pytest.fixture
def talk(desk: Desk, server: Server) -> Iterator[Talk]:
    with Talk(server.ports["imap"], desk.me) as talk:
        yield talk


@pytest.mark.parametrize("way", [*WAYS, in_the_place_of_another])
def test_by_whatever_way_it_comes_it_takes_the_place(desk: Desk, talk: Talk, way: Way) -> None:
    octets = desk.message(f"place.{way.__name__}")
    desk.send(octets)
    (filed,) = desk.uids(f"place.{way.__name__}")
    (uid,) = way(desk, talk, octets)
    assert uid > filed
    assert desk.uids(f"place.{way.__name__}") == [uid], "one copy, and the one that APPENDUID names"
    assert desk.octets(uid) == octets


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("reason", ["subject", "from", "date", "actor", "flags"])
def test_by_whatever_way_it_comes_another_message_stays_beside_it(desk: Desk, server: Server, way: Way, reason: str) -> None:
    number = f"{reason}.{way.__name__}"
    octets = desk.message(number)
    desk.send(octets)
    (filed,) = desk.uids(number)
    changed = {
        "subject": octets.replace(b"Subject: mine", b"Subject: my"),
        "from": octets.replace(desk.owner.encode(), desk.me.encode(), 1),
        "date": octets.replace(b"10:00:00", b"10:00:01"),
    }.get(reason, octets)
    with Talk(server.ports["imap"], desk.other if reason == "actor" else desk.me) as talk:
        if reason == "flags":
            talk.ok(f"SELECT {desk.sent}")
            talk.ok(f"UID STORE {filed} -FLAGS (\\Seen)")
        (uid,) = way(desk, talk, changed)
    assert desk.uids(number) == [filed, uid]


def test_several_in_one_append_take_the_places_of_several(desk: Desk, talk: Talk) -> None:
    first, second = desk.message("multi1"), desk.message("multi2")
    desk.send(first)
    desk.send(second)
    parts = b"(\\Seen) %b (\\Seen) %b" % (literal(first), literal(second))
    uids = told(talk, b"m APPEND %b %b\r\n" % (desk.sent.encode(), parts))
    assert [*desk.uids("multi1"), *desk.uids("multi2")] == uids
    assert [desk.octets(uid) for uid in uids] == [first, second]


def test_the_same_twice_in_one_append_takes_its_place_once(desk: Desk, talk: Talk) -> None:
    octets = desk.message("twice")
    desk.send(octets)
    uids = told(talk, b"m APPEND %b (\\Seen) %b (\\Seen) %b\r\n" % (desk.sent.encode(), literal(octets), literal(octets)))
    assert desk.uids("twice") == uids
    assert len(uids) == 2


# --- what is sent later (RFC 4865): the client's copy comes before the server would file its own


def test_what_was_appended_while_the_message_waited_is_its_copy(desk: Desk, server: Server) -> None:
    names = ("deleted", "appended", "replaced", "silent", "differs", "others", "elsewhere")
    octets = {name: desk.message(f"later.{name}") for name in names}
    with server.smtp(desk.me) as client:
        client.ehlo()
        for one in octets.values():
            assert client.docmd("MAIL FROM:<> HOLDFOR=8")[0] == 250
            assert client.docmd("RCPT TO:<rita@other.test>")[0] == 250
            assert client.data(one)[0] == 250
    appended = {}
    with Talk(server.ports["imap"], desk.me) as talk, Talk(server.ports["imap"], desk.other) as other:
        (gone,) = by_append(desk, talk, octets["deleted"])
        talk.ok(f"SELECT {desk.sent}")
        talk.ok(f"UID STORE {gone} +FLAGS (\\Deleted)")
        talk.ok(f"UID EXPUNGE {gone}")
        talk.ok("UNSELECT")
        (appended["appended"],) = among_others(desk, talk, octets["appended"])
        (appended["replaced"],) = by_replace(desk, talk, octets["replaced"])
        (appended["differs"],) = by_append(desk, talk, octets["differs"].replace(b"Subject: mine", b"Subject: my"))
        (appended["others"],) = by_append(desk, other, octets["others"])
        told(talk, b"m APPEND Sent (\\Seen) %b\r\n" % literal(octets["elsewhere"]))
    missing = {f"<later.{name}@client.test>" for name in names}
    end = time.monotonic() + 60
    while missing := missing - {one.one("Message-ID") for one in map(Letter, server.messages("rita@other.test"))}:
        assert time.monotonic() < end, missing
        time.sleep(0.2)
    found = {name: desk.uids(f"later.{name}") for name in names}
    assert found["appended"] == [appended["appended"]]
    assert found["replaced"] == [appended["replaced"]]
    assert desk.octets(appended["appended"]) == octets["appended"], "with its Bcc"
    for name in ("deleted", "silent", "elsewhere"):
        assert len(found[name]) == 1, name
        assert b"Bcc" not in desk.octets(found[name][0])
    for name in ("differs", "others"):
        assert len(found[name]) == 2, name
        assert appended[name] in found[name]
    # What the server filed itself may still be replaced.
    with Talk(server.ports["imap"], desk.me) as talk:
        assert by_append(desk, talk, octets["silent"]) == desk.uids("later.silent")


def test_an_idle_owner_sees_one_copy_replace_the_other(desk: Desk, server: Server) -> None:
    octets = desk.message("watched")
    desk.send(octets)
    owner = server.imap(desk.owner)
    _, there = owner.select("Sent")
    desk.append(octets)
    owner.noop()
    assert len(owner.untagged_responses.get("EXPUNGE", [])) == 1
    assert owner.untagged_responses["EXISTS"][-1] == there[0]
    owner.logout()


def test_many_at_once_lose_no_copy(server: Server) -> None:
    """Eight sessions of one delegate send for one owner at the same time: as many copies as 250s."""
    before = len(letters(server, "o-twice"))
    barrier = threading.Barrier(8)

    def one(number: int) -> int:
        client: smtplib.SMTP = server.smtp("d-twice@acme.test")
        barrier.wait(30)
        done = 0
        for turn in range(5):
            octets = compose("o-twice@acme.test", "rita@other.test", f"{number} {turn}")
            done += submit(client, "d-twice@acme.test", "rita@other.test", octets).accepted
        client.quit()
        return done

    with ThreadPoolExecutor(8) as pool:
        accepted = sum(pool.map(one, range(8)))
    assert accepted == 40
    assert len(letters(server, "o-twice")) - before == 40
