"""CONDSTORE and QRESYNC through real connections: who comes back with what he knew ends up with what there is."""

from __future__ import annotations

import asyncio
import random
import re

import pytest

from store import folders as stored
from store.changes import PruneChanges
from tests.gateway.imap.handlers.house import Client, House, Said

SHARED = '"Other Users/anna/INBOX"'


def code(said: Said, name: str) -> int:
    found = re.search(rb"\[%b (\d+)\]" % name.encode(), said.all)
    assert found is not None, said
    return int(found[1])


def modseq_of(line: bytes) -> int:
    found = re.search(rb"MODSEQ \((\d+)\)", line)
    assert found is not None, line
    return int(found[1])


@pytest.mark.parametrize(
    ("act", "tells"),
    [
        ("ENABLE CONDSTORE", True),
        ("ENABLE QRESYNC", True),
        ("SELECT INBOX (CONDSTORE)", True),
        ("EXAMINE INBOX (CONDSTORE)", True),
        ("STATUS Sent (HIGHESTMODSEQ)", True),
        ('LIST "" Sent RETURN (STATUS (HIGHESTMODSEQ))', True),
        ("FETCH 1 (MODSEQ)", True),
        ("FETCH 1 (FLAGS) (CHANGEDSINCE 1)", True),
        ("STORE 1 (UNCHANGEDSINCE 9) +FLAGS.SILENT (\\Draft)", True),
        ("SEARCH MODSEQ 1", True),
        ("NOOP", False),
        ("FETCH 1 (FLAGS)", False),
        ("STATUS Sent (MESSAGES)", False),
    ],
)
async def test_every_enabling_act_enables(house: House, port: int, anna: Client, act: str, tells: bool) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    said = await anna.do(act)
    assert said.ok, said
    assert (b"[HIGHESTMODSEQ 2]" in said.all) is tells
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("STORE 2 +FLAGS (\\Flagged)")
    (told,) = (await anna.do("NOOP")).having("2 FETCH")
    assert (b"MODSEQ" in told) is tells
    assert (b"UID" in told) is ("QRESYNC" in act)
    assert b"HIGHESTMODSEQ" not in (await anna.do(act.replace("CONDSTORE", "QRESYNC") if "ENABLE" in act else "CHECK")).all


async def test_status_and_select_agree(house: House, anna: Client) -> None:
    assert (await anna.do("STATUS INBOX (HIGHESTMODSEQ)")).untagged == [b'* STATUS "INBOX" (HIGHESTMODSEQ 1)']
    await house.put("anna", "/INBOX", 2)
    (line,) = (await anna.do("STATUS INBOX (HIGHESTMODSEQ MESSAGES)")).untagged
    assert line == b'* STATUS "INBOX" (HIGHESTMODSEQ 2 MESSAGES 2)'
    assert code(await anna.do("SELECT INBOX"), "HIGHESTMODSEQ") == 2


async def test_fetch_changed_since(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 5)
    known = code(await anna.do("SELECT INBOX (CONDSTORE)"), "HIGHESTMODSEQ")
    assert (await anna.do(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {known})")).untagged == []
    await anna.do("STORE 2,4 +FLAGS.SILENT (\\Seen)")
    said = await anna.do(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {known})")
    assert said.untagged == [b"* %d FETCH (FLAGS (\\Seen \\Recent) MODSEQ (3))" % number for number in (2, 4)]
    said = await anna.do(f"UID FETCH 3:* (RFC822.SIZE MODSEQ) (CHANGEDSINCE {known})")
    (line,) = said.untagged
    assert re.fullmatch(rb"\* 4 FETCH \(UID 4 RFC822\.SIZE \d+ MODSEQ \(3\)\)", line)
    assert [modseq_of(line) for line in (await anna.do("FETCH 1:* MODSEQ")).untagged] == [2, 3, 2, 3, 2]
    assert (await anna.do("FETCH 1:* FLAGS (NOSUCH 4)")).tagged.startswith(b"BAD")


async def test_store_unchanged_since(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 4)
    await anna.do("SELECT INBOX")
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("STORE 2:3 +FLAGS (\\Flagged)")
    said = await anna.do("STORE 1:3 (UNCHANGEDSINCE 2) +FLAGS.SILENT (\\Seen)")
    assert said.tagged.startswith(b"OK [MODIFIED 2:3]")
    assert said.having("1 FETCH") == [b"* 1 FETCH (MODSEQ (4))"]
    assert b"* 2 FETCH (FLAGS (\\Flagged \\Recent) MODSEQ (3))" in said.untagged
    said = await anna.do("UID STORE 1,4 (UNCHANGEDSINCE 0) FLAGS (\\Draft)")
    assert said.tagged.startswith(b"OK [MODIFIED 1,4]")
    said = await anna.do("STORE 1:4 (UNCHANGEDSINCE 4) FLAGS (\\Draft)")
    assert said.tagged == b"OK STORE completed"
    assert [modseq_of(line) for line in said.untagged] == [5] * 4
    assert [b"(FLAGS (\\Draft \\Recent)" in line for line in said.untagged] == [True] * 4
    # Once mod-sequences are told, they are told of every STORE.
    assert (await anna.do("STORE 1 +FLAGS.SILENT (\\Seen)")).untagged == [b"* 1 FETCH (MODSEQ (6))"]
    assert (await anna.do("STORE 1 (UNCHANGED 3) +FLAGS (\\Seen)")).tagged.startswith(b"BAD")


@pytest.mark.parametrize("mode", ["+FLAGS", "-FLAGS.SILENT", "FLAGS"])
async def test_a_message_whose_other_flag_changed_is_modified(house: House, port: int, anna: Client, mode: str) -> None:
    """RFC 7162 section 3.1.12 lets a server look deeper; one mod-sequence a message is simple, and the client sees why in the FETCH."""
    await house.put("anna", "/INBOX", 1)
    await anna.do("SELECT INBOX (CONDSTORE)")
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("STORE 1 +FLAGS (\\Deleted)")
    said = await anna.do(f"STORE 1 (UNCHANGEDSINCE 2) {mode} ($Processed)")
    assert said.tagged.startswith(b"OK [MODIFIED 1]")
    assert b"* 1 FETCH (FLAGS (\\Deleted \\Recent) MODSEQ (3))" in said.untagged


async def test_search_modseq(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 4)
    await anna.do("SELECT INBOX")
    await anna.do("STORE 3 +FLAGS (\\Seen)")
    await anna.do("STORE 2 +FLAGS (\\Seen)")
    assert b"* SEARCH 2 3 (MODSEQ 4)" in (await anna.do("SEARCH MODSEQ 3")).untagged
    assert (await anna.do('UID SEARCH MODSEQ "/flags/\\\\Seen" all 4')).untagged == [b"* SEARCH 2 (MODSEQ 4)"]
    assert (await anna.do("SEARCH MODSEQ 5")).untagged == [b"* SEARCH"]
    # By the store, since it asks for the text too.
    assert (await anna.do("SEARCH MODSEQ 3 SUBJECT Number")).untagged == [b"* SEARCH 2 3 (MODSEQ 4)"]
    assert (await anna.do("SEARCH OR (MODSEQ 4) NOT MODSEQ 3")).untagged == [b"* SEARCH 1 2 4 (MODSEQ 4)"]
    for options, data in (
        ("ALL", b"ALL 2:3 MODSEQ 4"),
        ("MAX", b"MAX 3 MODSEQ 3"),
        ("MIN MAX", b"MIN 2 MAX 3 MODSEQ 4"),
        ("MAX COUNT", b"MAX 3 COUNT 2 MODSEQ 4"),
    ):
        (line,) = (await anna.do(f"SEARCH RETURN ({options}) MODSEQ 3")).untagged
        assert line.endswith(data), line
    (line,) = (await anna.do("SEARCH RETURN (ALL COUNT) MODSEQ 99")).untagged
    assert line.endswith(b") COUNT 0")


async def test_private_seen_has_mod_sequences_of_its_own(house: House, anna: Client, bruno: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await house.store.do(stored.SwitchFolder(await house.folder("anna"), seen_private=True))
    await house.share("anna", "/INBOX", "bruno", "lrsw", rfc=True)
    await anna.do("SELECT INBOX (CONDSTORE)")
    known = code(await bruno.do(f"SELECT {SHARED} (CONDSTORE)"), "HIGHESTMODSEQ")
    await bruno.do("STORE 1 +FLAGS (\\Seen)")
    # What bruno read is no change for anna: neither pushed, nor found, nor in the way of her conditional STORE.
    assert not (await anna.do("NOOP")).having("FETCH")
    assert (await anna.do(f"FETCH 1:2 FLAGS (CHANGEDSINCE {known})")).untagged == []
    assert (await anna.do(f"SEARCH MODSEQ {known + 1}")).untagged == [b"* SEARCH"]
    assert (await anna.do(f"STORE 1 (UNCHANGEDSINCE {known}) +FLAGS (\\Seen)")).tagged == b"OK STORE completed"
    (line,) = (await bruno.do(f"FETCH 1:2 FLAGS (CHANGEDSINCE {known})")).untagged
    assert b"* 1 FETCH (FLAGS (\\Seen" in line
    assert b"[MODIFIED 1]" in (await bruno.do(f"STORE 1 (UNCHANGEDSINCE {known}) +FLAGS (\\Flagged)")).tagged
    # Who is there, and who left with this mod-sequence, hears of the end of private marks.
    known = code(await bruno.do(f"SELECT {SHARED}"), "HIGHESTMODSEQ")
    await house.store.do(stored.SwitchFolder(await house.folder("anna"), seen_private=False))
    (told,) = (await bruno.do("NOOP")).having("FETCH")
    assert b"\\Seen" not in told
    assert modseq_of(told) > known
    assert code(await bruno.do(f"SELECT {SHARED}"), "HIGHESTMODSEQ") > known
    (line,) = (await bruno.do(f"FETCH 1:2 FLAGS (CHANGEDSINCE {known})")).untagged
    assert b"\\Seen" not in line


async def test_qresync_has_to_be_enabled_first(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX")
    assert (await anna.do("SELECT INBOX (QRESYNC (1 1))")).tagged.startswith(b"BAD")
    await anna.do("SELECT INBOX")
    assert (await anna.do("UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)")).tagged.startswith(b"BAD")
    said = await anna.do("ENABLE QRESYNC")
    assert b"* ENABLED QRESYNC" in said.untagged
    assert (await anna.do("UID FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)")).ok
    assert (await anna.do("FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)")).tagged.startswith(b"BAD")
    assert (await anna.do("UID FETCH 1:* FLAGS (VANISHED)")).tagged.startswith(b"BAD")


async def test_vanished_comes_instead_of_expunge(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 6)
    other = await house.client(port, "anna")
    await other.do("ENABLE QRESYNC")
    for client in (anna, other):
        await client.do("SELECT INBOX")
    tag = await other.idle()
    await anna.do("STORE 2:3,6 +FLAGS.SILENT (\\Deleted)")
    assert await other.line() == b"* 2 FETCH (UID 2 FLAGS (\\Deleted) MODSEQ (3))"
    assert [await other.line() for _ in range(2)] == [b"* %d FETCH (UID %d FLAGS (\\Deleted) MODSEQ (3))" % (uid, uid) for uid in (3, 6)]
    assert (await anna.do("EXPUNGE")).untagged == [b"* 6 EXPUNGE", b"* 3 EXPUNGE", b"* 2 EXPUNGE"]
    assert await other.line() == b"* VANISHED 2:3,6"
    assert (await other.done(tag)).ok
    await other.do("STORE 1:2 +FLAGS.SILENT (\\Deleted)")
    said = await other.do("UID EXPUNGE 4")
    assert said.untagged == [b"* VANISHED 4"]
    assert said.tagged.startswith(b"OK [HIGHESTMODSEQ 6]")
    said = await other.do("MOVE 1 Trash")
    assert said.untagged[-1] == b"* VANISHED 1"
    assert said.tagged.startswith(b"OK [HIGHESTMODSEQ 7]")
    assert (await other.do("FETCH 1:* UID")).untagged == [b"* 1 FETCH (UID 5)"]


async def test_close_counts_its_expunges_and_says_no_mod_sequence(house: House, port: int, anna: Client) -> None:
    """RFC 7162 section 3.2.8: the client could not tell what that mod-sequence covers."""
    await house.put("anna", "/INBOX", 3)
    await anna.do("ENABLE QRESYNC")
    await anna.do("SELECT INBOX")
    await anna.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    assert (await anna.do("CLOSE")).all == b"OK CLOSE completed"
    said = await anna.do("SELECT INBOX")
    assert any(one.startswith(b"* OK [HIGHESTMODSEQ 4]") for one in said.untagged)
    assert (await anna.do("UID FETCH 1:* (FLAGS) (CHANGEDSINCE 3 VANISHED)")).untagged == [b"* VANISHED (EARLIER) 2"]


async def test_an_expunge_held_back_lowers_the_mod_sequence_that_is_told(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("ENABLE QRESYNC")
    known = code(await anna.do("SELECT INBOX"), "HIGHESTMODSEQ")
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("STORE 1 +FLAGS (\\Deleted)")
    await other.do("EXPUNGE")
    await other.do("STORE 1 +FLAGS (\\Flagged)")
    said = await anna.do("FETCH 1:3 (FLAGS MODSEQ)")
    assert not said.having("VANISHED")
    assert code(said, "HIGHESTMODSEQ") == known
    assert (await anna.do("NOOP")).having("VANISHED") == [b"* VANISHED 1"]


async def test_what_vanished_earlier_is_fetched(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 9)
    await anna.do("ENABLE QRESYNC")
    known = code(await anna.do("SELECT INBOX"), "HIGHESTMODSEQ")
    await anna.do("STORE 2:4,9 +FLAGS.SILENT (\\Deleted)")
    await anna.do("EXPUNGE")
    await anna.do("STORE 1 +FLAGS.SILENT (\\Seen)")
    said = await anna.do(f"UID FETCH 3:* (FLAGS) (CHANGEDSINCE {known} VANISHED)")
    assert said.untagged == [b"* VANISHED (EARLIER) 3:4,9"]
    said = await anna.do(f"UID FETCH 1:2 (UID FLAGS) (CHANGEDSINCE {known} VANISHED)")
    assert said.untagged == [b"* VANISHED (EARLIER) 2", b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (5))"]


@pytest.mark.parametrize(
    ("more", "gone"),
    [("", b"2,5"), (" 1:3", b"2"), (" 3:4", None), (" 1:6 (1:2 1,3)", b"2,5"), (" 4:9 (1 1)", b"5")],
)
async def test_select_qresync_with_a_log(house: House, anna: Client, more: str, gone: bytes | None) -> None:
    await house.put("anna", "/INBOX", 6)
    await anna.do("ENABLE QRESYNC")
    first = await anna.do("SELECT INBOX")
    known, validity = code(first, "HIGHESTMODSEQ"), code(first, "UIDVALIDITY")
    await anna.do("STORE 2,5 +FLAGS.SILENT (\\Deleted)")
    await anna.do("EXPUNGE")
    said = await anna.do(f"SELECT INBOX (QRESYNC ({validity} {known}{more}))")
    wanted = [] if gone is None or more.endswith("1,3)") else [b"* VANISHED (EARLIER) " + gone]
    if more.endswith("1,3)"):
        # The client's own pairs prove that it knows of 2 already.
        wanted = [b"* VANISHED (EARLIER) 5"]
    assert said.having("VANISHED") == wanted
    assert not said.having("FETCH")
    assert not (await anna.do(f"SELECT INBOX (QRESYNC ({validity + 1} {known}))")).having("VANISHED")


async def test_select_qresync_when_the_log_was_pruned_or_is_of_another_history(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 6)
    await anna.do("ENABLE QRESYNC")
    first = await anna.do("SELECT INBOX")
    known, validity = code(first, "HIGHESTMODSEQ"), code(first, "UIDVALIDITY")
    await anna.do("STORE 2,6 +FLAGS.SILENT (\\Deleted)")
    await anna.do("EXPUNGE")
    await anna.do("STORE 1 +FLAGS.SILENT (\\Seen)")
    await house.store.do(PruneChanges(await house.folder("anna"), keep=1))
    said = await anna.do(f"SELECT INBOX (QRESYNC ({validity} {known}))")
    assert said.having("VANISHED") == [b"* VANISHED (EARLIER) 2,6"]
    assert len(said.having("FETCH")) == 1
    said = await anna.do(f"SELECT INBOX (QRESYNC ({validity} {known} 1:9 (1,3 1,4)))")
    assert said.having("VANISHED") == [b"* VANISHED (EARLIER) 6"]
    said = await anna.do(f"SELECT INBOX (QRESYNC ({validity} {known + 1000} 1:3))")
    assert said.having("VANISHED") == [b"* VANISHED (EARLIER) 2"]
    assert len(said.having("FETCH")) == 2


class Mirror:
    """An offline client: UIDs and flags, brought up to date by nothing but what the server says."""

    def __init__(self) -> None:
        self.flags: dict[int, bytes] = {}
        self.modseq = 0
        self.validity = 0

    def hear(self, said: Said) -> None:
        for line in said.untagged:
            if vanished := re.fullmatch(rb"\* VANISHED (?:\(EARLIER\) )?([\d:,]+)", line):
                for run in vanished[1].split(b","):
                    low, _, high = run.partition(b":")
                    for uid in range(int(low), int(high or low) + 1):
                        self.flags.pop(uid, None)
            elif fetched := re.fullmatch(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)(?: MODSEQ \(\d+\))?\)", line):
                self.flags[int(fetched[1])] = b" ".join(sorted(set(fetched[2].split()) - {b"\\Recent"}))
            elif b" FETCH " in line:
                raise AssertionError(line)
        if (found := re.findall(rb"HIGHESTMODSEQ (\d+)", said.all)) != []:
            self.modseq = int(found[-1])
        if (found := re.findall(rb"UIDVALIDITY (\d+)", said.all)) != []:
            self.validity = int(found[-1])


@pytest.mark.parametrize("seed", range(8))
async def test_who_comes_back_ends_up_with_what_there_is(house: House, port: int, anna: Client, seed: int) -> None:
    chance = random.Random(seed)
    await house.put("anna", "/INBOX", 8)
    await anna.do("SELECT INBOX")
    mirror = Mirror()
    for _ in range(6):
        offline = await house.client(port, "anna")
        await offline.do("ENABLE QRESYNC")
        known = f" (QRESYNC ({mirror.validity} {mirror.modseq}))" if mirror.validity else ""
        mirror.hear(await offline.do(f"SELECT INBOX{known}"))
        if not known:
            mirror.hear(await offline.do("UID FETCH 1:* (FLAGS MODSEQ)"))
        for _ in range(chance.randrange(4)):
            await _something(house, anna, chance)
            mirror.hear(await offline.do(chance.choice(["NOOP", "SEARCH ALL", "UID FETCH 1 (FLAGS)", "CHECK"])))
        # The connection is lost: what was told up to here counts, no more.
        offline.writer.close()
        for _ in range(chance.randrange(6)):
            await _something(house, anna, chance)
        if not chance.randrange(3):
            await house.store.do(PruneChanges(await house.folder("anna"), keep=chance.randrange(1, 4)))
        back = await house.client(port, "anna")
        await back.do("ENABLE QRESYNC")
        mirror.hear(await back.do(f"SELECT INBOX (QRESYNC ({mirror.validity} {mirror.modseq}))"))
        truth = Mirror()
        truth.hear(await back.do("UID FETCH 1:* (FLAGS)"))
        assert mirror.flags == truth.flags
        back.writer.close()


async def _something(house: House, anna: Client, chance: random.Random) -> None:
    exists = len((await anna.do("UID SEARCH ALL")).untagged[-1].split()) - 2
    match chance.randrange(4):
        case 0:
            await house.put("anna", "/INBOX", chance.randrange(1, 3), first=chance.randrange(1000))
        case 1 if exists:
            await anna.do(f"STORE {chance.randrange(1, exists + 1)} FLAGS ({chance.choice(['', '$A', chr(92) + 'Flagged'])})")
        case _ if exists:
            await anna.do(f"STORE {chance.randrange(1, exists + 1)} +FLAGS (\\Deleted)")
            await anna.do("EXPUNGE")
    await anna.do("NOOP")


class Numbered:
    """An online client with QRESYNC: it numbers its UIDs by what it is told, and every number it hears has to agree."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.uids: list[int | None] = []
        self.flags: dict[int, bytes] = {}

    def place(self, uid: int) -> int:
        """Where this UID stands; one that was never fetched stands where none is known, behind the lower ones."""
        if uid in self.uids:
            return self.uids.index(uid)
        lower = max((at for at, one in enumerate(self.uids) if one is not None and one < uid), default=-1)
        assert self.uids[lower + 1] is None, (uid, self.uids)
        return lower + 1

    async def do(self, command: str) -> None:
        said = await self.client.do(command)
        assert said.ok, said
        for line in said.untagged:
            if vanished := re.fullmatch(rb"\* VANISHED ([\d:,]+)", line):
                for run in vanished[1].split(b","):
                    low, _, high = run.partition(b":")
                    for uid in range(int(low), int(high or low) + 1):
                        del self.uids[self.place(uid)]
            elif exists := re.fullmatch(rb"\* (\d+) EXISTS", line):
                assert int(exists[1]) >= len(self.uids), line
                self.uids += [None] * (int(exists[1]) - len(self.uids))
            elif fetched := re.match(rb"\* (\d+) FETCH \(UID (\d+) FLAGS \(([^)]*)\)", line):
                number, uid = int(fetched[1]) - 1, int(fetched[2])
                assert self.uids[number] in (None, uid), (line, self.uids)
                self.uids[number] = uid
                self.flags[uid] = b" ".join(sorted(set(fetched[3].split()) - {b"\\Recent"}))
            else:
                assert b"EXPUNGE" not in line, line
                assert b" FETCH " not in line, line
        if None in self.uids:
            await self.do("UID FETCH 1:* (FLAGS)")


@pytest.mark.parametrize("seed", range(6))
async def test_numbers_hold_while_several_write_at_once(house: House, port: int, seed: int) -> None:
    chance = random.Random(seed)
    await house.put("anna", "/INBOX", 6)
    sessions = [Numbered(await house.client(port, "anna")) for _ in range(3)]
    for session in sessions:
        await session.do("ENABLE QRESYNC")
        await session.do("SELECT INBOX")

    async def work(session: Numbered) -> None:
        for _ in range(12):
            some = chance.choice(session.uids or [1])
            await session.do(
                chance.choice(
                    [
                        "NOOP",
                        "SEARCH ALL",
                        "FETCH 1:* (UID FLAGS)" if session.uids else "NOOP",
                        f"UID STORE {some} FLAGS (\\Flagged)",
                        f"UID STORE {some} FLAGS ($A)",
                        f"UID STORE {some} +FLAGS (\\Deleted)",
                        "EXPUNGE",
                        f"UID MOVE {some} Trash",
                        f"UID COPY {some} INBOX",
                        f"UID COPY {some} INBOX",
                    ]
                )
            )

    await asyncio.gather(*map(work, sessions))
    for session in sessions:
        await session.do("NOOP")
    truth = Numbered(await house.client(port, "anna"))
    await truth.do("SELECT INBOX")
    assert len({tuple(session.uids) for session in (truth, *sessions)}) == 1
    for session in sessions:
        assert {uid: session.flags[uid] for uid in truth.flags} == truth.flags
