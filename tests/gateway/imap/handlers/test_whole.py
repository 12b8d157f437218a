"""FETCH of whole messages: in which words, how many at a time, and that octets are read once and not copied."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from gateway.arrival import arrived
from gateway.carrier import Carrier
from gateway.folders import OpenFolder
from gateway.imap.handlers import whole
from gateway.imap.sections import Piece
from store.appending import AppendMessages, NewInFolder
from store.blobs import Files
from store.sqlite import SqliteSnapshot
from tests.gateway.imap.handlers.house import Client, House, message, snapshots_taken

LONG = [message(number) + b"0123456789abcdef\r\n" * (number * 400) for number in range(1, 41)]
"""From 7 KB up to 290 KB: some lie in the rows, some in files, and one reading has some of them."""


async def stored(house: House, octets: Sequence[bytes]) -> None:
    files = Files(house.directory / "octets")
    items = tuple(NewInFolder(files.keep(arrived(one))) for one in octets)
    await house.store.do(AppendMessages(await house.folder("anna"), items, 0))


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("FETCH 1:* BODY.PEEK[]", b"* %(n)d FETCH (BODY[] {%(size)d}\r\n%(octets)b)"),
        ("UID FETCH 1:* RFC822", b"* %(n)d FETCH (UID %(uid)d RFC822 {%(size)d}\r\n%(octets)b)"),
        (
            "FETCH 1:* (RFC822.SIZE FLAGS BODY.PEEK[] UID)",
            b"* %(n)d FETCH (RFC822.SIZE %(size)d FLAGS () BODY[] {%(size)d}\r\n%(octets)b UID %(uid)d)",
        ),
        (
            "UID FETCH 1:* (BODY.PEEK[] FLAGS) (CHANGEDSINCE 1)",
            b"* %(n)d FETCH (UID %(uid)d BODY[] {%(size)d}\r\n%(octets)b FLAGS () MODSEQ (%(modseq)d))",
        ),
    ],
)
async def test_each_is_told_as_it_is_and_in_its_place(house: House, port: int, anna: Client, command: str, line: bytes) -> None:
    await stored(house, LONG)
    other = await house.client(port, "anna")
    await other.do("SELECT INBOX")
    await anna.do("ENABLE CONDSTORE")
    await anna.do("EXAMINE INBOX")
    for uid in (3, 4, 21, 40):
        await other.do(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)")
    await other.do("EXPUNGE")
    # What is gone keeps its number, as it was not announced: the others are told with theirs.
    said = await anna.do(command, seconds=20)
    # Of what is gone nothing changed that could be told.
    assert said.tagged.startswith(b"OK UID" if "CHANGEDSINCE" in command else b"OK [EXPUNGEISSUED]")
    expected = [
        line % {b"n": uid, b"uid": uid, b"size": len(octets), b"octets": octets, b"modseq": 2}
        for uid, octets in enumerate(LONG, 1)
        if uid not in (3, 4, 21, 40)
    ]
    assert said.having(" FETCH (") == expected
    # And with those that are left, when it was.
    await anna.do("NOOP")
    said = await anna.do(command, seconds=20)
    assert said.ok
    left = [uid for uid in range(1, 41) if uid not in (3, 4, 21, 40)]
    assert [int(one.split()[1]) for one in said.having(" FETCH (") if len(one) > 1000] == list(range(1, len(left) + 1))


async def test_uidonly_names_them_by_uid(house: House, anna: Client) -> None:
    await stored(house, LONG[:2])
    await anna.do("ENABLE UIDONLY")
    await anna.do("EXAMINE INBOX")
    said = await anna.do("UID FETCH 2 (FLAGS BODY.PEEK[])")
    assert said.untagged == [b"* 2 UIDFETCH (FLAGS (\\Recent) BODY[] {%d}\r\n%b)" % (len(LONG[1]), LONG[1])]


async def test_how_often_is_read_follows_the_octets_and_not_the_messages(
    house: House, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading costs a hop to a thread, a snapshot and a right that is confirmed: as much as some 30 messages."""
    await stored(house, [message(number, "x" * 3000) for number in range(1, 501)])
    await anna.do("SELECT INBOX")
    taken = snapshots_taken(monkeypatch)
    assert len((await anna.do("FETCH 1:* BODY.PEEK[]")).untagged) == 500
    octets = 500 * len(message(1, "x" * 3000))
    # The first reading looks at a few only; two are those before the command and behind it.
    assert len(taken) <= octets // whole.AHEAD + 6
    taken.clear()
    assert len((await anna.do("FETCH 7 BODY.PEEK[]")).untagged) == 1
    assert len(taken) <= 3


async def test_no_more_octets_are_read_ahead_than_are_meant_to_be(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that does not read holds no more of the server's memory than this."""
    await stored(house, LONG)
    most = 0
    reading = OpenFolder.wholes

    async def measured(folder: OpenFolder, low: int, high: int, limit: int, in_place: int) -> tuple[list[tuple[int, bytes]], bool]:
        nonlocal most
        found, are_all = await reading(folder, low, high, limit, in_place)
        most = max(most, sum(len(octets) for _, octets in found))
        return found, are_all

    monkeypatch.setattr(OpenFolder, "wholes", measured)
    await anna.do("SELECT INBOX")
    assert len((await anna.do("FETCH 1:* BODY.PEEK[]", seconds=20)).untagged) == 40
    assert max(map(len, LONG)) < most <= whole.AHEAD


async def test_the_octets_go_out_as_they_were_read(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await stored(house, LONG)
    await anna.do("SELECT INBOX")
    read: set[int] = set()
    written: set[int] = set()
    kept: list[object] = []
    reading, writing = OpenFolder.wholes, Carrier.write_all

    async def noted(folder: OpenFolder, low: int, high: int, limit: int, in_place: int) -> tuple[list[tuple[int, bytes]], bool]:
        found, are_all = await reading(folder, low, high, limit, in_place)
        kept.extend(found)
        read.update(id(octets) for _, octets in found)
        return found, are_all

    def sent(carrier: Carrier, pieces: Sequence[Piece]) -> None:
        for one in pieces:
            written.add(id(one.obj if isinstance(one, memoryview) else one))
        writing(carrier, pieces)

    monkeypatch.setattr(OpenFolder, "wholes", noted)
    monkeypatch.setattr(Carrier, "write_all", sent)
    assert len((await anna.do("FETCH 1:* BODY.PEEK[]", seconds=20)).untagged) == 40
    await asyncio.sleep(0)
    assert len(read) == 40
    # The last ones may go with the tagged answer.
    assert len(read & written) >= 35


def _work_seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what goes to the reader's thread from here on."""
    seen: list[str] = []
    working = SqliteSnapshot.work

    async def noted(snapshot: SqliteSnapshot, question: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        seen.append(question.__name__)
        return await working(snapshot, question, *args, **kwargs)

    monkeypatch.setattr(SqliteSnapshot, "work", noted)
    return seen


@pytest.mark.parametrize("what", ["blocks_read", "monotonic"])
async def test_they_are_read_in_place_but_where_the_disk_was_waited_for(
    house: House, anna: Client, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    await stored(house, [message(number, "x" * 9000) for number in range(1, 501)])
    await anna.do("SELECT INBOX")
    steps: list[int] = []
    at = 0

    def told() -> int:
        nonlocal at
        at += steps.pop(0) if steps else 0
        return at

    for one in ("blocks_read", "monotonic"):
        monkeypatch.setattr(whole, one, told if one == what else lambda: 0)
    seen = _work_seen(monkeypatch)
    assert len((await anna.do("FETCH 1:* BODY.PEEK[]")).untagged) == 500
    assert seen == []
    # It is asked before each reading and behind it: the second and the third waited, the others did not.
    steps += [0, 0, 0, 1, 0, 1, 0, 0]
    assert len((await anna.do("FETCH 1:* BODY.PEEK[]")).untagged) == 500
    assert seen == ["octets_of"] * 2
    # A disk that has to be waited for always keeps the loop from its work for one reading of each command, of few octets.
    seen.clear()
    taken = snapshots_taken(monkeypatch)
    steps += [0, 1] * 100
    assert len((await anna.do("FETCH 1:* BODY.PEEK[]")).untagged) == 500
    assert len(taken) - 4 <= len(seen) < len(taken)


async def test_a_large_one_alone_is_no_burden_on_the_loop(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await stored(house, [message(1, "x" * 90 + "\r\n") * 1000, message(2)])
    await anna.do("SELECT INBOX")
    monkeypatch.setattr(whole, "blocks_read", lambda: 0)
    monkeypatch.setattr(whole, "monotonic", lambda: 0)
    seen = _work_seen(monkeypatch)
    assert len((await anna.do("FETCH 1:2 BODY.PEEK[]")).untagged) == 2
    assert seen == ["octets_of"]


async def test_what_is_shared_no_longer_is_not_told_to_its_end(
    house: House, port: int, anna: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right is confirmed for each reading, in the snapshot that it is made in."""
    await stored(house, LONG)
    await house.share("anna", "/INBOX", "bruno", "r")
    bruno = await house.client(port, "bruno")
    assert (await bruno.do('SELECT "Other Users/anna/INBOX"')).ok
    told = 0
    reading = OpenFolder.wholes

    async def revoked(folder: OpenFolder, low: int, high: int, limit: int, in_place: int) -> tuple[list[tuple[int, bytes]], bool]:
        nonlocal told
        if low > 20:
            await house.unshare("anna", "/INBOX", "bruno")
        found, are_all = await reading(folder, low, high, limit, in_place)
        told += len(found)
        return found, are_all

    monkeypatch.setattr(OpenFolder, "wholes", revoked)
    bruno.send(b"x FETCH 1:* BODY.PEEK[]\r\n")
    said = await bruno.until("x")
    assert said.tagged.startswith(b"NO") or b"* BYE" in said.all
    assert 0 < told == len(said.having(" FETCH (")) < 40
