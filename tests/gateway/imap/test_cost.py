"""What a session costs: nothing is parsed again that was parsed at delivery, and memory does not grow with what is fetched.

How long things take is measured by tests/bench; here it is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import gc
import itertools
import re
import socket
import sys
import tracemalloc
from binascii import b2a_base64
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import gateway.arrival
import gateway.folders.octets
import gateway.folders.sorting
import gateway.imap.handlers.fetch
import gateway.message.envelope
import gateway.message.structure
from gateway.arrival import arrived
from gateway.carrier import Carrier, Wheel
from gateway.folders import NewItem, Place
from gateway.imap.listener import Connection, ImapListener, Limits
from gateway.imap.registry import Registry
from gateway.refusal import Refused
from store import folders as stored
from store import messages
from store.appending import AppendMessages, NewInFolder
from store.blobs import Files
from store.flags import ChangeFlags, FlagMode
from store.model import Flag
from store.sqlite import SqliteSnapshot, SqliteTx
from tests.gateway.imap.handlers.house import Client, House, message, snapshots_taken

NESTED = (
    b"From: Anna <anna@acme.test>\r\nTo: bruno@acme.test\r\nCc: clara@acme.test\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Date: Mon, 1 Jan 2024 10:00:00 +0100\r\nMessage-ID: <n@acme.test>\r\nIn-Reply-To: <m@acme.test>\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nThe first words of it\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: x@y.test\r\nSubject: within\r\n\r\ninner\r\n"
    b"--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\nAAECAwQF\r\n--b--\r\n"
)
# Beside the parts of the other one, a large one in base64 and a large one that is not encoded.
ENCODED = b2a_base64(bytes(range(256)) * 6_000, newline=False)
ROOT = Path(gateway.__file__).parents[1]
LARGE = NESTED.removesuffix(b"--b--\r\n") + (
    b"--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + b"\r\n".join(ENCODED[at : at + 76] for at in range(0, len(ENCODED), 76))
    + b"\r\n--b\r\nContent-Type: text/plain\r\n\r\n"
    + b"words and words\r\n" * 100_000
    + b"--b--\r\n"
)

READ = [
    "FETCH 1:* ALL",
    "FETCH 1:* FULL",
    "FETCH 1:* FAST",
    "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)",
    "FETCH 1:* (MODSEQ EMAILID THREADID SAVEDATE PREVIEW)",
    "FETCH 1:* (PREVIEW (LAZY))",
    "FETCH 1:* (RFC822 RFC822.HEADER RFC822.TEXT)",
    "FETCH 1:* (BODY[] BODY.PEEK[]<3.20> BODY[HEADER] BODY[TEXT])",
    "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)] BODY.PEEK[HEADER.FIELDS.NOT (FROM)])",
    "UID FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE) (CHANGEDSINCE 1)",
    "FETCH 1:* (BODY.PEEK[1] BODY[2]<1.3> BODY.PEEK[2.1] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] BODY.PEEK[2.MIME] BODY.PEEK[1.MIME])",
    "FETCH 1:* (BODY.PEEK[2.HEADER.FIELDS (SUBJECT)] BODY.PEEK[2.HEADER.FIELDS.NOT (SUBJECT)] BODY.PEEK[3] BODY.PEEK[2.1.MIME])",
    "FETCH 1:* (BINARY.PEEK[1] BINARY[3]<1.2> BINARY.SIZE[3] BINARY.SIZE[2] BINARY.PEEK[2.1] BINARY.PEEK[] BINARY.SIZE[4])",
    "UID FETCH 1:* (BODY.PEEK[HEADER] BODY.PEEK[1] BODY.PEEK[TEXT] BINARY.PEEK[3])",
    "SEARCH ALL",
    "SEARCH FROM anna SUBJECT e",
    "SEARCH TO bruno CC clara",
    "SEARCH SINCE 1-Jan-2020 SENTSINCE 1-Jan-2020 LARGER 1 UNANSWERED",
    "SEARCH RETURN (ALL) OR FROM anna KEYWORD none",
    "SORT (REVERSE DATE SUBJECT FROM TO CC SIZE ARRIVAL DISPLAYFROM DISPLAYTO) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "THREAD ORDEREDSUBJECT UTF-8 ALL",
    "STORE 1:* +FLAGS (\\Flagged)",
    "COPY 1:* Elsewhere",
    "MOVE 1 Elsewhere",
]


@pytest.fixture
def no_parser(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From here on whoever parses a message raises."""

    def refuse(*arguments: object, **named: object) -> Any:
        raise AssertionError("a message was parsed again")

    def forbid() -> None:
        for module in (
            gateway.message.structure,
            gateway.message.envelope,
            gateway.imap.handlers.fetch,
            gateway.folders.octets,
            gateway.folders.sorting,
            gateway.arrival,
        ):
            for name in ("parse", "render", "read_header", "preview", "preview_of", "sorting_of", "pack"):
                if hasattr(module, name):
                    monkeypatch.setattr(module, name, refuse)

    return forbid


async def test_what_was_parsed_when_it_came_is_not_parsed_again(house: House, anna: Client, no_parser: Callable[[], None]) -> None:
    """However the message came: by delivery, APPEND, COPY, MOVE or REPLACE."""
    await house.make("anna", "/Elsewhere")
    item = NewInFolder(arrived(NESTED))
    await house.store.do(AppendMessages(await house.folder("anna"), (item, item), 0))
    await anna.do("APPEND INBOX {} {}", NESTED, NESTED)
    await anna.do("SELECT INBOX")
    await anna.do("COPY 1:2 INBOX")
    await anna.do("MOVE 2 Elsewhere")
    assert (await anna.do("UID REPLACE 1 INBOX {}", NESTED.replace(b"first", b"new"))).ok
    await anna.do("NOOP")
    no_parser()
    for command in READ:
        said = await anna.do(command)
        assert said.ok, (command, said)
        if command.startswith(("FETCH 1:*", "UID FETCH")):
            assert len({line.split()[1] for line in said.having(" FETCH (")}) == 5, command
    assert (await anna.do("SELECT Elsewhere")).ok
    for command in READ[:-2]:
        assert (await anna.do(command)).ok, command


async def test_the_refusal_above_is_noticed(house: House, anna: Client, no_parser: Callable[[], None]) -> None:
    """What was stored before the parts were noted is looked at when one is asked for: so the test above could fail. Once."""
    made = [NewInFolder(arrived(octets)._replace(layout=None)) for octets in (NESTED, NESTED.replace(b"first", b"other"))]
    await house.store.do(AppendMessages(await house.folder("anna"), tuple(made), 0))
    await anna.do("SELECT INBOX")
    (one,) = (await anna.do("FETCH 1 BODY.PEEK[2.HEADER]")).untagged
    assert one.endswith(b"{35}\r\nFrom: x@y.test\r\nSubject: within\r\n\r\n)")
    for _ in range(100):
        async with house.store.snapshot() as snapshot:
            found = await snapshot.ask(messages.layouts, await house.folder("anna"), ((1, 2),))
        if found[0][1] is not None:
            break
        await asyncio.sleep(0.05)
    assert found == [(1, arrived(NESTED).layout), (2, None)]
    no_parser()
    assert (await anna.do("FETCH 1 BODY.PEEK[2.HEADER]")).untagged == [one]
    assert (await anna.do("FETCH 2 BODY.PEEK[2.HEADER]")).tagged.startswith(b"NO [SERVERBUG]")


async def test_a_copy_that_another_owner_has_is_not_parsed_again(
    house: House, anna: Client, bruno: Client, no_parser: Callable[[], None]
) -> None:
    await house.share("anna", "/", "bruno", "rwidx")
    await bruno.do("APPEND INBOX {} {}", NESTED, LARGE)
    await bruno.do("SELECT INBOX")
    assert (await bruno.do('COPY 1:2 "Other Users/anna/INBOX"')).ok
    assert (await bruno.do('MOVE 1:2 "Other Users/anna/INBOX"')).ok
    no_parser()
    await anna.do("SELECT INBOX")
    for command in READ[:-2]:
        assert (await anna.do(command)).ok, command


class Reading:
    """Counts the octets that are read of files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        for name in ("read", "beginning", "pieces"):
            monkeypatch.setattr(Files, name, self._counting(getattr(Files, name)))

    def _counting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def counting(files: Files, place: str, *arguments: Any) -> Any:
            found = method(files, place, *arguments)
            self.count += sum(map(len, found)) if isinstance(found, list) else len(found)
            return found

        return counting


@pytest.mark.parametrize(
    ("items", "least", "most"),
    [
        ("BODY.PEEK[1]", 21, 21),
        ("(BODY.PEEK[1] BODY.PEEK[3] BODY.PEEK[2.MIME])", 61, 61),
        ("(BODY.PEEK[HEADER] BODY.PEEK[1]<0.5>)", LARGE.index(b"\r\n\r\n") + 4 + 5, LARGE.index(b"\r\n\r\n") + 4 + 5),
        ("BODY.PEEK[HEADER.FIELDS (SUBJECT)]", 8_192, 8_192),
        ("BODY.PEEK[2.HEADER.FIELDS.NOT (SUBJECT)]", 30, 40),
        ("BODY.PEEK[]<1000.65536>", 65_536, 65_536),
        ("BODY.PEEK[TEXT]<1000.65536>", 65_536, 65_536),
        ("BODY.PEEK[4]<100000.65536>", 65_536, 65_536),
        ("(BODY.PEEK[5]<0.100> BODY.PEEK[4]<0.100> BODY.PEEK[5]<50.100>)", 250, 250),
        ("BODY.PEEK[5]", 1_699_998, 1_699_998),
        ("BODY.PEEK[6]", 0, 0),
        ("BODY.PEEK[4]<99999999.5>", 0, 0),
        ("(BINARY.PEEK[1] BINARY.PEEK[3] BINARY.SIZE[5] BINARY.PEEK[5]<100.50>)", 50, 100),
        ("BINARY.PEEK[4]<0.65536>", 88_000, 120_000),
        ("(FLAGS BODYSTRUCTURE BINARY.SIZE[5])", 0, 0),
    ],
)
async def test_of_a_large_message_no_more_is_read_than_is_told(
    house: House, anna: Client, no_parser: Callable[[], None], monkeypatch: pytest.MonkeyPatch, items: str, least: int, most: int
) -> None:
    await anna.do("APPEND INBOX {}", LARGE)
    await anna.do("SELECT INBOX")
    no_parser()
    reading = Reading(monkeypatch)
    assert (await anna.do(f"FETCH 1 {items}")).ok
    assert least <= reading.count <= most, reading.count


async def test_a_large_part_in_pieces_is_read_once(
    house: House, anna: Client, no_parser: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    await anna.do("APPEND INBOX {}", LARGE)
    await anna.do("SELECT INBOX")
    no_parser()
    reading = Reading(monkeypatch)
    found = b""
    while True:
        (one,) = (await anna.do(f"FETCH 1 BODY.PEEK[5]<{len(found)}.65536>")).untagged
        piece = one.partition(b"}\r\n")[2][:-1]
        found += piece
        if len(piece) < 65_536:
            break
    assert found == (b"words and words\r\n" * 100_000).removesuffix(b"\r\n")
    assert reading.count == len(found)
    reading.count = 0
    found = b""
    while len(found) < 256 * 6_000:
        (one,) = (await anna.do(f"FETCH 1 BINARY.PEEK[4]<{len(found)}.65536>")).untagged
        found += one.partition(b"}\r\n")[2][:-1]
    assert found == bytes(range(256)) * 6_000
    # Where one ends amidst what is decoded at once, that is read again for the next.
    assert reading.count < 1.4 * len(ENCODED)


async def _drained(client: Client, command: bytes) -> int:
    """Octets of an answer that nobody keeps."""
    client.send(b"z " + command + b"\r\n")
    count = 0
    tail = b""
    while re.search(rb"(?:\A|\n)z (OK|NO|BAD)[^\n]*\n\Z", tail) is None:
        octets = await asyncio.wait_for(client.reader.read(1 << 16), 10)
        assert octets
        count += len(octets)
        tail = (tail + octets)[-300:]
    assert b"z OK" in tail, tail
    return count


@pytest.mark.parametrize("command", [b"FETCH 1:* (BODY.PEEK[])", b"UID FETCH 1:* (FLAGS BODY.PEEK[TEXT] BODY.PEEK[HEADER])"])
async def test_memory_does_not_grow_with_what_is_fetched(house: House, port: int, command: bytes) -> None:
    body = b"x" * 70 + b"\r\n"
    octets = b"From: anna@acme.test\r\nSubject: Much\r\n\r\n" + body * 550
    item = NewInFolder(arrived(octets))
    for _ in range(10):
        await house.store.do(AppendMessages(await house.folder("anna"), (item,) * 100, 0))
    client = await house.client(port, "anna")
    client.reader._limit = 1 << 16  # type: ignore[attr-defined]
    await client.do("SELECT INBOX")
    await _drained(client, b"FETCH 1:50 (BODY.PEEK[])")
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        assert await _drained(client, command) > 1_000 * len(body) * 550
        gc.collect()
        after, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # 40 MB went by. On the way: what may wait for a peer (1 MiB), and a batch of messages.
    assert peak - before < 6 << 20, (peak - before, after - before)
    assert after - before < 1 << 20


def _deafened(client: Client, listener: ImapListener) -> Connection:
    """Reads no more; and the system takes little into its own buffers."""
    (connection,) = listener._connections
    ours = connection._carrier._transport
    assert ours is not None
    ours.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    theirs = client.writer.transport
    theirs.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    theirs.pause_reading()  # type: ignore[attr-defined]
    return connection


async def _most_that_waited(connection: Connection, deed: Callable[[], Awaitable[object]]) -> int:
    """Octets that waited for the peer, until it was cut off."""
    most = 0
    for _ in range(500):
        await deed()
        transport = connection._carrier._transport
        if transport is None:
            return most
        most = max(most, transport.get_write_buffer_size())
        await asyncio.sleep(0.02)
    raise AssertionError("it was not cut off")


@pytest.mark.parametrize(
    "command",
    [
        b"FETCH 1:* (BODY.PEEK[])",
        b"FETCH 1:* (FLAGS UID ENVELOPE BODYSTRUCTURE)",
        b"UID FETCH 1:* (UID FLAGS)",
        b"UID SEARCH OR SEEN UNSEEN",
        b"SORT (DATE) UTF-8 ALL",
        b'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN))',
        b"STORE 1:* FLAGS (\\Seen)",
    ],
)
async def test_who_asks_and_does_not_read_is_bounded_and_cut_off(house: House, tmp_path: Path, command: bytes) -> None:
    """Whatever it asks for, as often as it likes."""
    port = await house.listen(Limits(output_backlog=65_536, output_timeout=0.6))
    item = NewInFolder(arrived(NESTED), Flag.SEEN)
    for _ in range(4):
        await house.store.do(AppendMessages(await house.folder("anna"), (item,) * 500, 0))
    for number in range(100):
        await house.store.do(stored.CreateFolder(house.ids["anna"], f"/{'f' * 100}{number}"))
    deaf = await house.client(port, "anna")
    listener = house.listeners[-1]
    await deaf.do("SELECT INBOX")
    connection = _deafened(deaf, listener)
    deaf.send(b"".join(b"d%d %b\r\n" % (number, command) for number in range(1_500)))
    waiting = await _most_that_waited(connection, lambda: asyncio.sleep(0))
    assert listener.connections == 0
    # What may wait, what is sent at once, and one answer that is not cut up (SEARCH names all it found in one line).
    assert 0 < waiting < 65_536 * 4


async def test_who_idles_and_does_not_read_is_bounded_and_cut_off(house: House) -> None:
    port = await house.listen(Limits(output_backlog=65_536, output_timeout=0.6))
    item = NewInFolder(arrived(b"Subject: x\r\n\r\n"))
    folder = await house.folder("anna")
    await house.store.do(AppendMessages(folder, (item,) * 3_000, 0))
    deaf = await house.client(port, "anna")
    listener = house.listeners[-1]
    await deaf.do("SELECT INBOX")
    await deaf.idle()
    connection = _deafened(deaf, listener)
    modes = itertools.cycle((FlagMode.ADD, FlagMode.REMOVE))

    async def change() -> None:
        await house.store.do(ChangeFlags(folder, ((1, 3_000),), next(modes), Flag.FLAGGED))

    waiting = await _most_that_waited(connection, change)
    assert listener.connections == 0
    assert 0 < waiting < 65_536 * 4


ASKED = [
    "NOOP",
    "SEARCH UNSEEN",
    "FETCH 1:2 FLAGS",
    "STORE 1 +FLAGS (\\Flagged)",
    "STORE 1 -FLAGS (\\Flagged)",
    "COPY 1 Elsewhere",
    "EXPUNGE",
]


async def test_where_nothing_has_moved_nothing_is_looked_at(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one's own folder: what happened there, whether one may still, and what a name means."""
    await house.make("anna", "/Elsewhere")
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    append = "APPEND Elsewhere {}", message()
    for command in ASKED:
        await anna.do(command)
    await anna.do(*append)
    taken = snapshots_taken(monkeypatch)
    for command in ASKED:
        assert (await anna.do(command)).tagged.startswith(b"OK")
        assert not taken, command
    assert (await anna.do(*append)).tagged.startswith(b"OK")
    assert not taken, "APPEND"


async def test_what_has_moved_is_looked_at_once(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.put("anna", "/INBOX", 1)
    await anna.do("SELECT INBOX")
    await anna.do("NOOP")
    taken = snapshots_taken(monkeypatch)
    await house.put("anna", "/INBOX", 1)
    del taken[:]
    assert b"* 2 EXISTS" in (await anna.do("NOOP")).untagged
    assert len(taken) == 1
    await house.share("anna", "/INBOX", "bruno", "r")
    del taken[:]
    await anna.do("NOOP")
    assert taken, "her folder's rights have changed"
    del taken[:]
    await anna.do("NOOP")
    assert not taken


async def test_a_name_that_means_another_folder_now(house: House, anna: Client) -> None:
    """What was judged of a place is assumed, and the writer finds that it does not hold."""
    await house.make("anna", "/Elsewhere")
    await house.put("anna", "/INBOX", 1)
    await anna.do("SELECT INBOX")
    for _ in "ab":
        await anna.do("COPY 1 Elsewhere")
        await anna.do("APPEND Elsewhere {}", message())
    await anna.do("RENAME Elsewhere Before")
    assert (await anna.do("COPY 1 Elsewhere")).tagged.startswith(b"NO [TRYCREATE]")
    assert (await anna.do("APPEND Elsewhere {}", message())).tagged.startswith(b"NO [TRYCREATE]")
    await anna.do("CREATE Elsewhere")
    await anna.do("COPY 1 Elsewhere")
    await anna.do("APPEND Elsewhere {}", message())
    assert b'* STATUS "Elsewhere" (MESSAGES 2)' in (await anna.do("STATUS Elsewhere (MESSAGES)")).untagged
    assert b'* STATUS "Before" (MESSAGES 4)' in (await anna.do("STATUS Before (MESSAGES)")).untagged


async def test_a_folder_that_is_made_again_has_its_new_uidvalidity_at_once(house: House) -> None:
    """Its name stayed, for there was one below it; so nothing of its owner changed."""
    await house.make("anna", "/A")
    await house.make("anna", "/A/b")
    visit, place = house.visit("anna"), Place(None, "/A")
    await house.folders.append(visit, place, [NewItem(message())])
    await house.folders.delete(visit, place)
    with pytest.raises(Refused):
        await house.folders.figures(visit, place)
    made = await house.folders.create(visit, place)
    for _ in range(3):
        row, done = await house.folders.append(visit, place, [NewItem(message())])
        assert (row.uidvalidity, row.noselect) == (made.uidvalidity, False) == (done.uidvalidity, False)


async def test_only_so_many_places_are_remembered(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.folders.judging.REMEMBERED", 3)
    for number in range(9):
        await house.make("anna", f"/f{number}")
        await anna.do(f"STATUS f{number} (MESSAGES)")
        assert len(house.folders._judging._remembered) <= 3
    assert house.folders._judging._remembered


async def test_the_figures_of_a_place_are_of_now(house: House, anna: Client) -> None:
    for number in (1, 2, 3):
        await house.put("anna", "/INBOX", 1)
        assert (
            b'* STATUS "INBOX" (MESSAGES %d UIDNEXT %d)' % (number, number + 1)
            in (await anna.do("STATUS INBOX (MESSAGES UIDNEXT)")).untagged
        )


async def test_a_connection_that_logs_in_and_out(house: House, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write each for the greeting and two answers, a task for each command, one snapshot; what is announced is spelled once for all."""
    await (await house.client(port, "anna")).do("LOGOUT")
    await house.login.idle()
    sends: list[int] = []
    sending = Carrier.write
    monkeypatch.setattr(Carrier, "write", lambda self, octets: (sends.append(len(octets)), sending(self, octets))[1])
    begun: list[object] = []
    beginning = Connection._start
    monkeypatch.setattr(Connection, "_start", lambda self, work: (begun.append(work), beginning(self, work))[1])
    spelled: list[object] = []
    spelling = Registry.announce
    monkeypatch.setattr(Registry, "announce", lambda self, where: (spelled.append(where), spelling(self, where))[1])
    snapshots = snapshots_taken(monkeypatch)
    await (await house.client(port, "anna")).do("LOGOUT")
    assert (len(sends), len(begun), len(snapshots), len(spelled)) == (3, 2, 1, 0)


async def test_the_figures_of_many_folders(house: House, port: int, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked again: one statement for all of them, however many have mail that nobody has seen; nothing is looked at that was not asked
    for. A STATUS of what the folder's row has is asked in place."""
    for number in range(30):
        await house.make("anna", f"/f{number}")
        await house.put("anna", f"/f{number}", 2)
    looked: list[object] = []
    rows = messages.rows
    monkeypatch.setattr(messages, "rows", lambda *given: (looked.append(given), rows(*given))[1])
    asked: list[str] = []
    every = SqliteTx.all

    def all_of(tx: SqliteTx, statement: str, /, **parameters: Any) -> list[Any]:
        asked.append(statement)
        return every(tx, statement, **parameters)

    listing = 'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY))'
    first = await anna.do(listing)
    monkeypatch.setattr(SqliteTx, "all", all_of)
    assert (await anna.do(listing)).untagged == first.untagged
    assert asked == ["folders.figures"]
    assert not looked
    recent = await anna.do('LIST "" "*" RETURN (STATUS (RECENT))')
    assert b'* STATUS "f7" (RECENT 2)' in recent.untagged
    assert len(looked) == 30
    hops: list[object] = []
    working = SqliteSnapshot.work
    monkeypatch.setattr(SqliteSnapshot, "work", lambda self, *given: (hops.append(given), working(self, *given))[1])
    assert (await anna.do("STATUS f7 (MESSAGES UNSEEN)")).untagged == [b'* STATUS "f7" (MESSAGES 2 UNSEEN 2)']
    assert not hops


@contextlib.contextmanager
def calls_counted() -> Iterator[Counter[str]]:
    """Functions of ours that are called on the loop, and those of enumerations, whose operators are many; by their files."""
    found: Counter[str] = Counter()
    ours = tuple(f"{ROOT / room}/" for room in ("gateway", "policy", "store"))

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith((*ours, enum.__file__)):
            found[Path(frame.f_code.co_filename).name] += 1

    sys.setprofile(count)
    try:
        yield found
    finally:
        sys.setprofile(None)


@pytest.mark.parametrize(
    ("command", "most"),
    [
        ("NOOP", 65),
        ("FETCH 1 FLAGS", 125),
        ("SEARCH UNSEEN", 115),
        ('LSUB "" "*"', 85),
        ("STATUS INBOX (MESSAGES UNSEEN)", 130),
        ("EXAMINE INBOX", 230),
    ],
)
async def test_what_a_command_calls(house: House, anna: Client, command: str, most: int) -> None:
    """Counted, since that is what it costs: where it is a tenth more, somebody should know why."""
    await house.put("anna", "/INBOX", 2)
    await anna.do("SELECT INBOX")
    found = []
    for _ in range(5):
        with calls_counted() as calls:
            await anna.do(command)
        found.append(calls)
    # The first ones know less, and what else a server has to do may fall into any.
    least = min(found, key=Counter.total)
    assert least.total() <= most, least


@pytest.mark.parametrize("commands", [("EXAMINE INBOX",), ("SELECT INBOX", "CLOSE"), ("SELECT INBOX", "UID EXPUNGE 1:*")])
async def test_to_go_in_and_out_calls_nothing_for_each_message(house: House, anna: Client, commands: tuple[str, ...]) -> None:
    found = []
    for number in (2, 300):
        await house.put("anna", "/INBOX", number)
        await anna.do("SELECT INBOX")
        await anna.do("STORE 1:* +FLAGS.SILENT (\\Seen)")
        for _ in "ab":
            await anna.do("EXAMINE INBOX")
        with calls_counted() as calls:
            for command in commands:
                assert (await anna.do(command)).ok
        found.append(calls.total())
    few, many = found
    assert many < few + 60


async def test_what_every_command_needs(house: House, anna: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """One task and one send; no framer, since it comes whole, and the deadline hangs on the wheel already."""
    await anna.do("NOOP")
    counted: Counter[str] = Counter()

    def counting(owner: type, name: str) -> None:
        before = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: (counted.update((name,)), before(*given))[1])

    counting(Connection, "_start")
    counting(Connection, "_framing")
    counting(Carrier, "write")
    counting(Wheel, "watch")
    for _ in range(5):
        await anna.do("NOOP")
    assert counted == {"_start": 5, "write": 5}
