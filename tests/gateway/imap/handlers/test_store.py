"""STORE: what the rights allow is done, the rest left alone."""

import asyncio
import re
from typing import Any

import pytest

from gateway.folders import OpenFolder
from gateway.imap.handlers.store import sorted_out
from policy.status import AccountStatus
from store import accounts, messages
from store.changes import PruneChanges
from store.flags import ChangeFlags, FlagMode
from store.model import Flag
from tests.gateway.imap.handlers.house import Client, House, snapshots_taken
from tests.store.held_back import held_back

SHARED = '"Other Users/anna/INBOX"'


def test_flags_are_sorted_out() -> None:
    assert sorted_out((b"\\Seen", b"$Todo", b"\\Draft", b"$Todo")) == (Flag.SEEN | Flag.DRAFT, ("$Todo",))


async def test_the_three_modes_and_silence(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    assert (await anna.do("STORE 1 FLAGS (\\Seen Old)")).having("1 FETCH") == [b"* 1 FETCH (FLAGS (\\Seen Old \\Recent))"]
    assert (await anna.do("STORE 1 +FLAGS \\Flagged")).untagged == [b"* 1 FETCH (FLAGS (\\Seen \\Flagged Old \\Recent))"]
    assert (await anna.do("STORE 1 -FLAGS (\\Seen OLD)")).untagged == [b"* 1 FETCH (FLAGS (\\Flagged \\Recent))"]
    assert (await anna.do("STORE 1:2 +FLAGS.SILENT (\\Answered)")).untagged == []
    assert (await anna.do("UID STORE 2 -FLAGS (\\Answered)")).untagged == [b"* 2 FETCH (UID 2 FLAGS (\\Recent))"]
    assert (await anna.do("STORE 1 +FLAGS ()")).ok
    assert (await anna.do("UID STORE 99 +FLAGS (\\Seen)")).ok
    assert (await anna.do("STORE 99 +FLAGS (\\Seen)")).tagged.startswith(b"BAD")
    assert (await anna.do("STORE 1 +FLAGS (\\Recent)")).tagged.startswith(b"BAD")


@pytest.mark.parametrize(
    ("rights", "change", "outcome"),
    [
        ("lrs", "+FLAGS (\\Seen)", b"\\Seen"),
        ("lrs", "+FLAGS (\\Seen \\Deleted \\Flagged $K)", b"\\Seen"),
        ("lrs", "+FLAGS (\\Deleted)", None),
        ("lrs", "+FLAGS (\\Flagged)", None),
        ("lrs", "FLAGS (\\Flagged)", b""),
        ("lrw", "+FLAGS (\\Seen \\Flagged)", b"\\Flagged"),
        ("lrw", "+FLAGS (\\Seen)", None),
        ("lrw", "FLAGS (\\Seen \\Flagged)", b"\\Flagged"),
        ("lrt", "+FLAGS (\\Deleted \\Seen)", b"\\Deleted"),
        ("lrt", "+FLAGS ($K)", None),
        ("lr", "+FLAGS (\\Seen)", None),
        ("lrike", "FLAGS (\\Seen)", None),
    ],
)
async def test_which_right_each_flag_needs(house: House, bruno: Client, rights: str, change: str, outcome: bytes | None) -> None:
    await house.put("anna", "/INBOX")
    await house.share("anna", "/INBOX", "bruno", rights, rfc=True)
    assert (await bruno.do(f"SELECT {SHARED}")).ok
    said = await bruno.do(f"STORE 1 {change}")
    if outcome is None:
        assert said.tagged.startswith(b"NO [NOPERM] you need "), said
        outcome = b""
    else:
        assert said.ok, said
    (flags,) = (await bruno.do("FETCH 1 FLAGS")).untagged
    assert flags.replace(b" \\Recent", b"").replace(b"\\Recent", b"") == b"* 1 FETCH (FLAGS (%b))" % outcome


async def test_nothing_is_changed_where_one_only_looks(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX")
    await anna.do("EXAMINE INBOX")
    for command in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 Trash"):
        assert (await anna.do(command)).tagged.startswith(b"NO [READ-ONLY]")


async def test_too_many_keywords_are_a_limit(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX")
    await anna.do("SELECT INBOX")
    said = await anna.do("STORE 1 +FLAGS (" + " ".join(f"k{number}" for number in range(58)) + ")")
    assert said.ok
    assert not said.having("PERMANENTFLAGS")[0].count(b"\\*")
    assert (await anna.do("STORE 1 +FLAGS (one-too-many)")).tagged.startswith(b"NO [LIMIT]")
    assert (await anna.do("NOOP")).ok


async def test_a_new_keyword_is_announced_before_a_fetch_names_it(house: House, port: int, anna: Client) -> None:
    """RFC 3501 section 7.2.6: clients know the flags of a folder from FLAGS."""
    await house.put("anna", "/INBOX", 2)
    other = await house.client(port, "anna")
    for client in (anna, other):
        await client.do("SELECT INBOX")
    said = await anna.do("STORE 1 +FLAGS ($New)")
    assert said.untagged[:2] == [
        b"* FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $New)",
        b"* 1 FETCH (FLAGS ($New \\Recent))",
    ]
    for command in ("FETCH 1 (FLAGS)", "FETCH 1 (FLAGS RFC822.SIZE)"):
        reader = await house.client(port, "anna")
        await reader.do("SELECT INBOX")
        keyword = command.replace(" ", "").replace("(", "").replace(")", "")
        await anna.do(f"STORE 1 +FLAGS ({keyword})")
        said = await reader.do(command)
        first = next(one for one in said.untagged if keyword.encode() in one)
        assert first.startswith(b"* FLAGS"), said
        assert len([one for one in said.untagged if one.startswith(b"* FLAGS")]) == 1
        assert [keyword.encode() in one for one in said.having("PERMANENTFLAGS")] == [True]


async def test_what_is_gone_is_left_out_and_said_to_be_gone(house: House, port: int, anna: Client) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await other.do("STORE 2 +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    said = await anna.do("STORE 1:3 +FLAGS (\\Seen)")
    assert said.untagged == [b"* 1 FETCH (FLAGS (\\Seen \\Recent))", b"* 3 FETCH (FLAGS (\\Seen \\Recent))"]
    assert said.tagged.startswith(b"OK [EXPUNGEISSUED]")
    assert (await anna.do("NOOP")).untagged == [b"* 2 EXPUNGE"]


async def test_silence_hides_only_what_the_client_did_itself(house: House, port: int, anna: Client) -> None:
    """RFC 3501 section 6.4.6: somebody else's change of the same message is told, even if ours came before it was heard of."""
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    assert (await anna.do("STORE 1 +FLAGS.SILENT (\\Draft)")).untagged == []
    await other.do("STORE 1 +FLAGS.SILENT (\\Flagged)")
    assert (await anna.do("STORE 1:2 +FLAGS.SILENT (\\Seen)")).having("1 FETCH") == [
        b"* 1 FETCH (FLAGS (\\Seen \\Flagged \\Draft \\Recent))"
    ]


async def test_after_a_change_of_its_own_nothing_is_read(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.put("anna", "/INBOX", 3)
    await anna.do("SELECT INBOX")
    assert (await anna.do("STORE 2 +FLAGS (\\Flagged)")).ok
    read = 0
    news = OpenFolder.news

    async def counted(self: OpenFolder, since: int | None) -> Any:
        nonlocal read
        read += 1
        return await news(self, since)

    monkeypatch.setattr(OpenFolder, "news", counted)
    assert (await anna.do("STORE 1:3 +FLAGS (\\Seen)")).untagged[-1] == b"* 3 FETCH (FLAGS (\\Seen \\Recent))"
    assert (await anna.do("STORE 2 -FLAGS (\\Flagged)")).untagged == [b"* 2 FETCH (FLAGS (\\Seen \\Recent))"]
    assert (await anna.do("STORE 2 -FLAGS (\\Flagged)")).untagged == [b"* 2 FETCH (FLAGS (\\Seen \\Recent))"]
    assert read == 0
    # Somebody else was there: now it is read, and told.
    await house.store.do(ChangeFlags(await house.folder("anna"), ((1, 1),), FlagMode.ADD, Flag.ANSWERED))
    said = await anna.do("STORE 3 +FLAGS (\\Flagged)")
    assert b"* 1 FETCH (FLAGS (\\Seen \\Answered \\Recent))" in said.untagged
    assert b"* 3 FETCH (FLAGS (\\Seen \\Flagged \\Recent))" in said.untagged
    assert read


async def test_sessions_that_changed_flags_in_one_commit_know_it_from_each_other(
    house: House, port: int, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.put("anna", "/INBOX", 4)
    clients = [anna, *[await house.client(port, "anna") for _ in range(3)]]
    for number, client in enumerate(clients, 1):
        await client.do("SELECT INBOX")
        await client.do(f"STORE {number} +FLAGS (\\Answered)")
    for client in clients:
        await client.do("NOOP")
    reached, may_go_on = held_back(monkeypatch)
    first = asyncio.ensure_future(house.store.do(PruneChanges(await house.folder("anna"))))
    await asyncio.to_thread(reached.wait, 10)
    taken = snapshots_taken(monkeypatch)
    commands = [asyncio.ensure_future(client.do(f"STORE {number} +FLAGS (\\Seen)")) for number, client in enumerate(clients, 1)]
    writer: Any = house.store
    while len(writer._writer._interactive) < len(clients):
        await asyncio.sleep(0)
    may_go_on.set()
    await first
    said = await asyncio.gather(*commands)
    assert not taken
    for number, one in enumerate(said, 1):
        told = [re.sub(rb" .Recent", b"", line) for line in one.untagged]
        assert told[0] == b"* %d FETCH (FLAGS (\\Seen \\Answered))" % number
        assert told[1:] == [b"* %d FETCH (FLAGS (\\Seen \\Answered))" % other for other in range(1, 5) if other != number]


@pytest.mark.parametrize("old", [0, 10, 20], ids=["all recent", "some recent", "none recent"])
async def test_many_are_told_as_each_of_them_would_be(house: House, port: int, anna: Client, old: int) -> None:
    if old:
        await house.put("anna", "/INBOX", old)
        await anna.do("SELECT INBOX")
        await anna.do("UNSELECT")
    if old < 20:
        await house.put("anna", "/INBOX", 20 - old)
    await anna.do("SELECT INBOX")
    recent = [b" \\Recent" if number > old else b"" for number in range(1, 21)]
    said = await anna.do("STORE 1:20 FLAGS (\\Seen Odd|keyword)")
    assert said.having("FETCH") == [b"* %d FETCH (FLAGS (\\Seen Odd|keyword%b))" % (n, recent[n - 1]) for n in range(1, 21)]
    await anna.do("STORE 3 +FLAGS (\\Draft)")
    said = await anna.do("UID STORE 1:20 -FLAGS (\\Seen Odd|keyword)")
    flags = [b"\\Draft" if number == 3 else b"" for number in range(1, 21)]
    spelled = [b" ".join(filter(None, (flag, one.strip()))) for flag, one in zip(flags, recent, strict=True)]
    assert said.untagged == [b"* %d FETCH (UID %d FLAGS (%b))" % (n, n, spelled[n - 1]) for n in range(1, 21)]
    await anna.do("ENABLE CONDSTORE")
    said = await anna.do("UID STORE 1:20 FLAGS.SILENT (\\Seen)")
    assert {re.sub(rb"\d+", b"n", line) for line in said.untagged} == {b"* n FETCH (UID n MODSEQ (n))"}
    assert len(said.untagged) == 20


async def test_what_was_judged_before_is_judged_again_when_the_status_changes(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 1)
    await anna.do("SELECT INBOX")
    assert (await anna.do("STORE 1 +FLAGS (\\Flagged)")).ok
    await house.store.do(accounts.SetAccountStatus(house.ids["anna"], AccountStatus.MAINTENANCE))
    anna.send(b"last STORE 1 -FLAGS (\\Flagged)\r\n")
    assert b"FETCH" not in await anna.line()
    async with house.store.snapshot() as snapshot:
        (row,) = await snapshot.ask(messages.rows, await house.folder("anna"), ((1, 1),))
    assert row.flags & Flag.FLAGGED
