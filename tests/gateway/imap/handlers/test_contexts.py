"""Searches that are followed: after every update the client has what a fresh SEARCH or SORT finds, whoever did what (RFC 5267)."""

from __future__ import annotations

import asyncio
import random
import re
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.arrival import arrived
from gateway.imap.handlers.contexts import MOST, place_among
from store import folders, messages
from store.appending import AppendMessages, NewInFolder
from store.floor import unbound
from tests.gateway.imap.handlers.house import Client, House, Said, housed, message
from tests.gateway.imap.test_contexts import applied, numbers_of

SECOND = 1_000_000


@pytest.fixture
async def other(house: House, port: int) -> Client:
    return await house.client(port, "anna")


async def both_selected(house: House, count: int, *clients: Client) -> None:
    await house.put("anna", "/INBOX", count)
    for client in clients:
        await client.do("SELECT INBOX")


# --- one rule at a time


async def test_what_comes_goes_and_changes_is_told_beside_its_cause(house: House, anna: Client, other: Client) -> None:
    await both_selected(house, 4, anna, other)
    assert (await anna.do("UID SEARCH RETURN (UPDATE COUNT) UNSEEN")).untagged == [b'* ESEARCH (TAG "t3") UID COUNT 4']
    assert (await anna.do("SEARCH RETURN (CONTEXT UPDATE ALL) DELETED")).untagged == [b'* ESEARCH (TAG "t4")']
    await other.do("STORE 2:3 +FLAGS.SILENT (\\Seen)")
    await other.do("STORE 3:4 +FLAGS.SILENT (\\Deleted)")
    # Its own change too, of which it is not told otherwise.
    assert (await anna.do("STORE 1 +FLAGS.SILENT (\\Deleted)")).untagged[-2:] == [
        b'* ESEARCH (TAG "t3") UID REMOVEFROM (0 2:3)',
        b'* ESEARCH (TAG "t4") ADDTO (0 1,3:4)',
    ]
    await other.do("EXPUNGE")
    said = await anna.do("NOOP")
    # The numbers are those before the expunge (section 4.3.4).
    assert said.untagged == [
        b'* ESEARCH (TAG "t3") UID REMOVEFROM (0 1,4)',
        b'* ESEARCH (TAG "t4") REMOVEFROM (0 1,3:4)',
        b"* 4 EXPUNGE",
        b"* 3 EXPUNGE",
        b"* 1 EXPUNGE",
    ]
    await house.put("anna", "/INBOX", 1, first=9)
    # And those of new messages are told after EXISTS (section 4.3.3).
    assert (await anna.do("NOOP")).untagged == [b"* 2 EXISTS", b"* 2 RECENT", b'* ESEARCH (TAG "t3") UID ADDTO (0 5)']


async def test_sorted_results_have_places(house: House, anna: Client, other: Client) -> None:
    await both_selected(house, 5, anna, other)
    said = await anna.do("UID SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 UNFLAGGED")
    assert said.untagged == [b'* ESEARCH (TAG "t3") UID ALL 5,4,3,2,1']
    await other.do("STORE 1,3:4 +FLAGS (\\Flagged)")
    assert (await anna.do("NOOP")).having("ESEARCH") == [b'* ESEARCH (TAG "t3") UID REMOVEFROM (5 1 2 4,3)']
    await other.do("STORE 3 -FLAGS (\\Flagged)")
    await house.put("anna", "/INBOX", 1, first=7)
    assert (await anna.do("NOOP")).having("ESEARCH") == [b'* ESEARCH (TAG "t3") UID ADDTO (1 6 3 3)']


async def test_an_expunge_is_told_to_the_search_while_numbers_have_to_stay(house: House, anna: Client, other: Client) -> None:
    """Appendix A.3."""
    await both_selected(house, 4, anna, other)
    await anna.do("SEARCH RETURN (UPDATE) ALL")
    await other.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    assert (await anna.do("FETCH 4 (UID)")).untagged == [b"* 4 FETCH (UID 4)", b'* ESEARCH (TAG "t3") REMOVEFROM (0 2)']
    assert (await anna.do("FETCH 3 (UID)")).untagged == [b"* 3 FETCH (UID 3)"]
    assert (await anna.do("NOOP")).untagged == [b"* 2 EXPUNGE"]


async def test_with_qresync_it_stands_before_vanished(house: House, anna: Client, other: Client) -> None:
    await anna.do("ENABLE QRESYNC")
    await both_selected(house, 3, anna, other)
    await anna.do("SEARCH RETURN (UPDATE) ALL")
    await other.do("STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    assert (await anna.do("NOOP")).untagged == [b'* ESEARCH (TAG "t4") REMOVEFROM (0 1)', b"* VANISHED 1"]


async def test_while_idling(house: House, anna: Client, other: Client) -> None:
    await both_selected(house, 2, anna, other)
    await anna.do("UID SEARCH RETURN (UPDATE) FLAGGED BODY Hello")
    tag = await anna.idle()
    await other.do("STORE 2 +FLAGS (\\Flagged)")
    assert await anna.line() == b"* 2 FETCH (FLAGS (\\Flagged \\Recent))"
    assert await anna.line() == b'* ESEARCH (TAG "t3") UID ADDTO (0 2)'
    await other.do("STORE 2 +FLAGS (\\Deleted)")
    assert b"FETCH" in await anna.line()
    await other.do("EXPUNGE")
    assert await anna.line() == b'* ESEARCH (TAG "t3") UID REMOVEFROM (0 2)'
    assert await anna.line() == b"* 2 EXPUNGE"
    assert (await anna.done(tag)).ok


async def test_a_tag_is_followed_once_and_free_again_after_cancelupdate(house: House, anna: Client) -> None:
    await both_selected(house, 1, anna)
    anna.send(b"B01 UID SEARCH RETURN (UPDATE COUNT) UNSEEN\r\nB01 SORT RETURN (UPDATE COUNT) (DATE) UTF-8 ALL\r\nB01 SEARCH ALL\r\n")
    assert (await anna.until("B01")).untagged == [b'* ESEARCH (TAG "B01") UID COUNT 1']
    refused = await anna.until("B01")
    assert (refused.untagged, refused.tagged[:3]) == ([], b"BAD")
    # One that is not to be followed may have the tag.
    assert (await anna.until("B01")).untagged == [b"* SEARCH 1"]
    assert (await anna.do('CANCELUPDATE "B01"')).ok
    assert (await anna.do("STORE 1 +FLAGS (\\Seen)")).having("ESEARCH") == []
    assert (await anna.do('CANCELUPDATE "B01"')).tagged.startswith(b"NO")
    anna.send(b"B01 SORT RETURN (UPDATE COUNT) (DATE) UTF-8 ALL\r\n")
    assert (await anna.until("B01")).untagged == [b'* ESEARCH (TAG "B01") COUNT 1']
    await anna.do("SEARCH RETURN (UPDATE) ALL")
    assert (await anna.do('CANCELUPDATE "nothing" "B01"')).tagged.startswith(b"NO"), "but what is known is cancelled"
    assert (await anna.do('CANCELUPDATE "B01"')).tagged.startswith(b"NO")


async def test_how_many_are_followed_is_bounded_and_the_search_answered_all_the_same(house: House, anna: Client) -> None:
    await both_selected(house, 2, anna)
    for _ in range(MOST):
        assert not (await anna.do("SEARCH RETURN (UPDATE) UNSEEN")).having("NOUPDATE")
    said = await anna.do("UID SORT RETURN (UPDATE COUNT) (DATE) UTF-8 ALL")
    tag = f"t{3 + MOST}"
    assert said.untagged == [
        f'* ESEARCH (TAG "{tag}") UID COUNT 2'.encode(),
        f'* NO [NOUPDATE "{tag}"] too many searches are followed'.encode(),
    ]
    assert said.ok
    await anna.do('CANCELUPDATE "t3"')
    assert not (await anna.do("SEARCH RETURN (UPDATE) UNSEEN")).having("NOUPDATE")
    assert len((await anna.do("STORE 1 +FLAGS (\\Seen)")).having("REMOVEFROM")) == MOST


async def test_a_search_as_long_as_can_be_is_not_followed(house: House, anna: Client) -> None:
    await both_selected(house, 1, anna)
    longest = " ".join(["SUBJECT x"] * 500)
    said = await anna.do(f"SEARCH RETURN (UPDATE COUNT) {longest}")
    assert said.untagged == [b'* ESEARCH (TAG "t3") COUNT 0', b'* NO [NOUPDATE "t3"] that search is too long to be followed']
    said = await anna.do(f"SORT RETURN (UPDATE COUNT) (DATE) UTF-8 {longest}")
    assert said.having("NOUPDATE") == [b'* NO [NOUPDATE "t4"] that search is too long to be followed']


async def test_updates_end_with_the_folder(house: House, anna: Client, other: Client) -> None:
    await both_selected(house, 2, anna, other)
    for leave in ("UNSELECT", "CLOSE", "EXAMINE Sent", "UNAUTHENTICATE"):
        await anna.do("SELECT INBOX")
        await anna.do("SEARCH RETURN (UPDATE) SEEN")
        await anna.do(leave)
        if leave == "UNAUTHENTICATE":
            await anna.do("LOGIN anna@acme.test secret")
        await anna.do("SELECT INBOX")
        await other.do("STORE 1 +FLAGS (\\Seen)")
        assert not (await anna.do("NOOP")).having("ESEARCH"), leave
        await other.do("STORE 1 -FLAGS (\\Seen)")
        await anna.do("NOOP")
        await anna.do("UNSELECT")


async def test_message_numbers_and_saved_results_are_what_they_were(house: House, anna: Client, other: Client) -> None:
    await both_selected(house, 4, anna, other)
    await anna.do("SEARCH RETURN (SAVE) 3:4")
    await anna.do("UID SEARCH RETURN (UPDATE) 2:* UNSEEN")
    await anna.do("UID SEARCH RETURN (UPDATE) $ UNSEEN")
    await anna.do("UID SEARCH RETURN (UPDATE) 9 UNSEEN")
    await anna.do("SEARCH RETURN (SAVE) 1")
    await house.put("anna", "/INBOX", 6, first=5)
    assert not (await anna.do("NOOP")).having("ADDTO")
    await other.do("STORE 1:* +FLAGS (\\Seen)")
    assert (await anna.do("NOOP")).having("ESEARCH") == [
        b'* ESEARCH (TAG "t4") UID REMOVEFROM (0 2:4)',
        b'* ESEARCH (TAG "t5") UID REMOVEFROM (0 3:4)',
    ]
    await other.do("STORE 1:* -FLAGS (\\Seen)")
    assert (await anna.do("NOOP")).having("ESEARCH") == [
        b'* ESEARCH (TAG "t4") UID ADDTO (0 2:4)',
        b'* ESEARCH (TAG "t5") UID ADDTO (0 3:4)',
    ]


async def test_the_last_uid_moves_on(house: House, anna: Client, other: Client) -> None:
    await both_selected(house, 2, anna, other)
    assert (await anna.do("UID SEARCH RETURN (UPDATE ALL) UID *")).untagged == [b'* ESEARCH (TAG "t3") UID ALL 2']
    assert (await anna.do("UID SEARCH RETURN (UPDATE ALL) UID 4:*")).untagged == [b'* ESEARCH (TAG "t4") UID ALL 2']
    await house.put("anna", "/INBOX", 3, first=3)
    assert (await anna.do("NOOP")).having("ESEARCH") == [
        b'* ESEARCH (TAG "t3") UID REMOVEFROM (0 2)',
        b'* ESEARCH (TAG "t3") UID ADDTO (0 5)',
        b'* ESEARCH (TAG "t4") UID REMOVEFROM (0 2)',
        b'* ESEARCH (TAG "t4") UID ADDTO (0 4:5)',
    ]
    await other.do("NOOP")
    await other.do("STORE 4:5 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    assert [line for line in (await anna.do("NOOP")).having("ESEARCH") if b"ADDTO" in line] == [
        b'* ESEARCH (TAG "t3") UID ADDTO (0 3)',
        b'* ESEARCH (TAG "t4") UID ADDTO (0 3)',
    ]


async def test_messages_grow_older(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the store's time, which dates them, and which need not be the machine's."""
    now = time.time_ns() // 1000 + 365 * 86_400 * SECOND
    clock = [now]
    monkeypatch.setattr(house.store, "floor", unbound(lambda: clock[0]))
    items = tuple(NewInFolder(arrived(message(age)), received=now - age * SECOND + SECOND // 2) for age in (100, 59, 1))
    await house.store.do(AppendMessages(await house.folder("anna"), items, 0))
    await anna.do("SELECT INBOX")
    assert (await anna.do("UID SEARCH RETURN (UPDATE ALL) OLDER 59")).having("ALL 1")
    assert (await anna.do("UID SEARCH RETURN (UPDATE ALL) YOUNGER 59 NOT SUBJECT 9999")).having("ALL 2:3")
    assert (await anna.do("SEARCH RETURN (ALL) OLDER 59")).having("ALL 1")
    clock[0] += SECOND
    assert (await anna.do("NOOP")).untagged == [b'* ESEARCH (TAG "t3") UID ADDTO (0 2)', b'* ESEARCH (TAG "t4") UID REMOVEFROM (0 2)']


async def test_what_partial_shows_does_not_matter_to_updates(house: House, anna: Client, other: Client) -> None:
    """RFC 5267 section 4.4, RFC 9394 section 3.1."""
    await both_selected(house, 5, anna, other)
    assert (await anna.do("UID SEARCH RETURN (UPDATE PARTIAL 1:2) UNSEEN")).untagged == [b'* ESEARCH (TAG "t3") UID PARTIAL (1:2 1:2)']
    await other.do("STORE 5 +FLAGS (\\Seen)")
    assert (await anna.do("NOOP")).having("ESEARCH") == [b'* ESEARCH (TAG "t3") UID REMOVEFROM (0 5)']


async def test_own_seen_flags_count_where_they_are_private(house: House, anna: Client, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "rw")
    await house.store.do(folders.SwitchFolder(await house.folder("anna"), seen_private=True))
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    await bruno.do('SELECT "Other Users/anna/INBOX"')
    await bruno.do("UID SEARCH RETURN (UPDATE COUNT) UNSEEN")
    await anna.do("STORE 1 +FLAGS (\\Seen)")
    assert not (await bruno.do("NOOP")).having("ESEARCH")
    assert (await bruno.do("STORE 2 +FLAGS (\\Seen)")).having("ESEARCH") == [b'* ESEARCH (TAG "t3") UID REMOVEFROM (0 2)']
    # With that every own mark ends (delegation.md section 2), and the state is another one.
    await house.store.do(folders.SwitchFolder(await house.folder("anna"), seen_private=False))
    said = await bruno.do("NOOP")
    assert said.having("ESEARCH") == [b'* ESEARCH (TAG "t3") UID ADDTO (0 2)']


async def test_with_the_right_to_read_the_updates_are_gone(house: House, anna: Client, bruno: Client) -> None:
    await house.share("anna", "/INBOX", "bruno", "r")
    await house.put("anna", "/INBOX", 2)
    await bruno.do('SELECT "Other Users/anna/INBOX"')
    await bruno.do("UID SEARCH RETURN (UPDATE) ALL")
    await bruno.idle()
    await house.unshare("anna", "/INBOX", "bruno")
    await house.put("anna", "/INBOX", 1)
    heard = [await bruno.line(), await bruno.line()]
    assert heard[0].startswith(b"* BYE")
    assert heard[1] == b""


async def test_context_alone_is_a_hint(house: House, anna: Client) -> None:
    await both_selected(house, 2, anna)
    assert (await anna.do("SEARCH RETURN (CONTEXT COUNT) ALL")).untagged == [b'* ESEARCH (TAG "t3") COUNT 2']
    assert (await anna.do("SORT RETURN (CONTEXT COUNT) (DATE) UTF-8 ALL")).untagged == [b'* ESEARCH (TAG "t4") COUNT 2']
    await house.put("anna", "/INBOX", 1)
    assert not (await anna.do("NOOP")).having("ESEARCH")


async def test_one_change_costs_a_look_at_one_message(house: House, anna: Client, other: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await both_selected(house, 60, anna, other)
    await anna.do("UID SEARCH RETURN (UPDATE) TEXT Hello UNSEEN")
    await anna.do("UID SORT RETURN (UPDATE) (SUBJECT) UTF-8 TEXT Hello UNSEEN")
    # What flags have no part in is not looked at for them.
    await anna.do("UID SEARCH RETURN (UPDATE) TEXT Hello")
    read: list[int] = []
    octets = messages.octets

    def counted(tx: object, folder: int, uid: int, files: object) -> bytes | None:
        read.append(uid)
        return octets(tx, folder, uid, files)  # type: ignore[arg-type]

    monkeypatch.setattr(messages, "octets", counted)
    await other.do("STORE 30 +FLAGS (\\Flagged)")
    await other.do("STORE 40 +FLAGS (\\Seen)")
    assert len((await anna.do("NOOP")).having("REMOVEFROM")) == 2
    assert read == [30, 30]


@pytest.mark.parametrize("size", [0, 1, 5, 31, 32, 33, 700, 5000])
async def test_a_place_is_found_by_a_few_looks(size: int) -> None:
    order = list(range(0, 10 * size, 10))
    gone = {uid for uid in order if uid % 70 == 0 or 200 < uid < 900}
    learnt: list[int] = []

    async def learn(uids: object) -> list[int]:
        asked = list(uids)  # type: ignore[call-overload]
        learnt.extend(asked)
        return [uid for uid in asked if uid not in gone]

    there = [uid for uid in order if uid not in gone]
    for fresh in ([-5], [10 * size + 5], [5 * size + 3], [3, 333, 10 * size + 1]):
        learnt.clear()
        found = await place_among(order, fresh, lambda one, other: one < other, learn)
        assert [uid for _, uid in found] == fresh
        for place, uid in found:
            assert [one for one in order[:place] if one not in gone] == [one for one in there if one < uid]
        assert len(learnt) <= (300 if size == 5000 else size)


# --- everything at once: a client that only applies what it is told


@dataclass
class Followed:
    """A search that the client follows, and what it believes to be its results."""

    by_uid: bool
    fresh: str
    criteria: str | None
    results: list[int] = field(default_factory=list)

    def again(self, *, by_uid: bool) -> str:
        verb = "UID " if by_uid else ""
        return (
            f"{verb}SEARCH RETURN (ALL) {self.fresh}"
            if self.criteria is None
            else f"{verb}SORT RETURN (ALL) ({self.criteria}) UTF-8 {self.fresh}"
        )


class Follower:
    """Keeps a list of UIDs and results by tag, from what is said and nothing else."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.uids: list[int] = []
        self.followed: dict[bytes, Followed] = {}

    async def do(self, command: str) -> Said:
        said = await self.client.do(command)
        assert said.ok, (command, said)
        for line in said.untagged:
            self.hear(line)
        if 0 in self.uids and command != "FETCH 1:* (UID)":
            await self.do("FETCH 1:* (UID)")
        return said

    @property
    def count(self) -> int:
        return len(self.uids)

    def hear(self, line: bytes) -> None:
        if (exists := re.fullmatch(rb"\* (\d+) EXISTS", line)) is not None:
            # 0: not known yet.
            self.uids += [0] * (int(exists[1]) - len(self.uids))
        elif (gone := re.fullmatch(rb"\* (\d+) EXPUNGE", line)) is not None:
            self.expunged(int(gone[1]))
        elif (vanished := re.fullmatch(rb"\* VANISHED ([0-9:,]+)", line)) is not None:
            for uid in numbers_of(vanished[1]):
                self.expunged(self.uids.index(uid) + 1)
        elif (fetched := re.match(rb"\* (\d+) FETCH .*\bUID (\d+)", line)) is not None:
            number, uid = int(fetched[1]), int(fetched[2])
            assert self.uids[number - 1] in (0, uid)
            self.uids[number - 1] = uid
        elif (update := re.fullmatch(rb'\* ESEARCH \(TAG "([^"]*)"\)( UID)? (ADDTO|REMOVEFROM) (\(.*\))', line)) is not None:
            one = self.followed[update[1]]
            assert one.by_uid is bool(update[2])
            applied(one.results, update[4], adds=update[3] == b"ADDTO")
            if not one.by_uid:
                assert all(0 < number <= self.count for number in one.results)

    def expunged(self, number: int) -> None:
        del self.uids[number - 1]
        for one in self.followed.values():
            if not one.by_uid:
                assert number not in one.results, "REMOVEFROM has to come before EXPUNGE"
                one.results = [result - (result > number) for result in one.results]

    async def follow(self, key: str, fresh: str, criteria: str | None, by_uid: bool) -> None:
        verb = ("UID " if by_uid else "") + ("SEARCH" if criteria is None else "SORT")
        middle = "" if criteria is None else f"({criteria}) UTF-8 "
        tag = f"t{self.client._tag + 1}".encode()
        self.followed[tag] = Followed(by_uid, fresh, criteria)
        said = await self.do(f"{verb} RETURN (UPDATE ALL) {middle}{key}")
        assert not said.having("NOUPDATE"), said
        self.followed[tag].results = self.answer(said, tag)

    def answer(self, said: Said, tag: bytes) -> list[int]:
        for line in said.untagged:
            found = re.fullmatch(rb'\* ESEARCH \(TAG "%b"\)(?: UID)?(?: ALL (\S+))?(?: MODSEQ \d+)?' % re.escape(tag), line)
            if found is not None:
                return numbers_of(found[1]) if found[1] else []
        raise AssertionError(said)

    async def compare(self, *, quietly: bool) -> None:
        """`quietly`: expunges are held back all the time, message numbers stay."""
        await self.do("FETCH 1 (FLAGS)" if quietly and self.count else "NOOP")
        for one in self.followed.values():
            by_uid = one.by_uid and not quietly
            command = one.again(by_uid=by_uid)
            before = list(one.results)
            if one.by_uid and not by_uid:
                before = [self.uids.index(uid) + 1 for uid in before]
            tag = f"t{self.client._tag + 1}".encode()
            assert self.answer(await self.do(command), tag) == before, command


KEYS = (
    "UNSEEN",
    "DELETED",
    "OR FLAGGED KEYWORD $Work",
    "SUBJECT 3",
    "BODY Hello UNFLAGGED",
    "UID 3:*",
    "UID *",
    "NOT (SEEN SUBJECT 2)",
    "RECENT",
    "MODSEQ 5",
    "OR MODSEQ 9 SUBJECT 1",
)
CRITERIA = ("REVERSE SUBJECT", "SIZE REVERSE ARRIVAL", "SUBJECT REVERSE DATE", "ARRIVAL", "REVERSE FROM TO")
FLAGS = ("\\Seen", "\\Flagged", "\\Deleted", "$Work")

places = st.lists(st.integers(0, 11), min_size=1, max_size=5)
steps = st.one_of(
    st.tuples(st.just("store"), places, st.sampled_from(FLAGS), st.booleans(), st.sampled_from("ab")),
    st.tuples(st.just("expunge"), places, st.sampled_from("ab")),
    st.tuples(st.just("append"), st.lists(st.integers(1, 5), min_size=1, max_size=4)),
    st.tuples(st.just("move"), places, st.sampled_from("ab")),
    st.tuples(st.just("back")),
    st.tuples(st.just("read"), places),
    st.tuples(st.just("idle")),
    st.tuples(st.just("compare"), st.booleans()),
)


@settings(max_examples=14, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from(KEYS), st.none() | st.sampled_from(CRITERIA), st.booleans()), min_size=3, max_size=6),
    st.lists(steps, min_size=5, max_size=24),
    st.sampled_from(("plain", "qresync", "private")),
)
def test_the_client_has_what_a_fresh_search_finds(
    wanted: list[tuple[str, str | None, bool]], play: list[tuple[object, ...]], how: str
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(played(Path(directory), wanted, play, how))


async def played(directory: Path, wanted: list[tuple[str, str | None, bool]], play: list[tuple[object, ...]], how: str) -> None:
    async with housed(directory) as house:
        port = await house.listen()
        await house.make("anna", "/Posta")
        await house.put("anna", "/INBOX", 6)
        here = "INBOX"
        follower = Follower(await house.client(port, "bruno" if how == "private" else "anna"))
        if how == "private":
            await house.share("anna", "/INBOX", "bruno", "rwid")
            await house.share("anna", "/Posta", "bruno", "rwid")
            await house.store.do(folders.SwitchFolder(await house.folder("anna"), seen_private=True))
            here = '"Other Users/anna/INBOX"'
        other, posta = await house.client(port, "anna"), await house.client(port, "anna")
        if how == "qresync":
            await follower.do("ENABLE QRESYNC")
        await follower.do(f"SELECT {here}")
        await other.do("SELECT INBOX")
        await posta.do("SELECT Posta")
        frozen = ",".join(map(str, follower.uids[1:4]))
        await follower.follow("2:4 UNSEEN", f"UID {frozen} UNSEEN", None, False)
        for key, criteria, by_uid in wanted:
            await follower.follow(key, key, criteria, by_uid)
        for step in play:
            await one_step(house, follower, other, posta, step, how)
        await follower.compare(quietly=True)
        await follower.compare(quietly=False)


async def one_step(house: House, follower: Follower, other: Client, posta: Client, step: tuple[object, ...], how: str) -> None:
    async def doing(who: object, command: str) -> None:
        if who == "a":
            await follower.do(command)
        else:
            assert (await other.do(command)).ok

    def uids(chosen: object) -> str:
        assert isinstance(chosen, list)
        there = follower.uids
        return ",".join(str(there[at % len(there)]) for at in chosen) if there else "1"

    match step:
        case ("store", chosen, flag, on, who):
            await doing(who, f"UID STORE {uids(chosen)} {'+' if on else '-'}FLAGS ({flag})")
        case ("expunge", chosen, who):
            await doing(who, f"UID STORE {uids(chosen)} +FLAGS.SILENT (\\Deleted)")
            await doing(who, "EXPUNGE")
        case ("append", numbers):
            assert isinstance(numbers, list)
            for number in numbers:
                await house.put("anna", "/INBOX", 1, first=number, body="Hello" if number % 2 else "Goodbye")
        case ("move", chosen, who):
            target = '"Other Users/anna/Posta"' if how == "private" and who == "a" else "Posta"
            await doing(who, f"UID MOVE {uids(chosen)} {target}")
        case ("back",):
            await posta.do("NOOP")
            await posta.do("UID MOVE 1:* INBOX")
        case ("read", chosen):
            await follower.do(f"UID FETCH {uids(chosen)} (BODY[TEXT])")
        case ("idle",):
            tag = await follower.client.idle()
            await other.do("UID STORE 1:* -FLAGS ($Work)")
            for line in (await follower.client.done(tag)).untagged:
                follower.hear(line)
            await follower.do("NOOP")
        case ("compare", quietly):
            await follower.compare(quietly=bool(quietly))
        case _:
            raise AssertionError(step)


async def test_several_write_at_once_and_the_client_keeps_up(house: House, port: int) -> None:
    """Nobody waits for anybody here: what changes while an update is worked out is told with the next one."""
    await house.make("anna", "/Posta")
    await house.put("anna", "/INBOX", 30)
    follower = Follower(await house.client(port, "anna"))
    await follower.do("SELECT INBOX")
    for key in ("UNSEEN", "TEXT Hello UNFLAGGED", "NOT DELETED"):
        for criteria in (None, "REVERSE SUBJECT"):
            await follower.follow(key, key, criteria, criteria is None)
    ends = time.monotonic() + 2

    async def write(seed: int) -> None:
        chance = random.Random(seed)
        client = await house.client(port, "anna")
        await client.do("SELECT INBOX")
        while time.monotonic() < ends:
            said = await client.do("UID SEARCH ALL")
            assert said.ok, said
            uids = said.having("SEARCH")[0].split()[2:] or [b"1"]
            some = b",".join(chance.choices(uids, k=3)).decode()
            sign, flag = chance.choice("+-"), chance.choice(FLAGS)
            await client.do(
                chance.choice(
                    (f"UID STORE {some} {sign}FLAGS ({flag})", f"UID COPY {some} INBOX", "EXPUNGE", f"UID STORE {some} +FLAGS ({flag})")
                )
            )

    writers = [asyncio.create_task(write(seed)) for seed in range(3)]
    while not all(writer.done() for writer in writers):
        await follower.do("NOOP")
        if follower.count:
            await follower.do("FETCH 1 (FLAGS)")
    await asyncio.gather(*writers)
    await follower.compare(quietly=True)
    await follower.compare(quietly=False)
