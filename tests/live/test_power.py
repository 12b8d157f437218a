"""Power that goes while mail comes in (robustness.md section 5, F5): whatever the disk then holds, what was acknowledged is there, and
nothing is half. PROCURA_SOAK=1 looks at many more states of the disk."""

from __future__ import annotations

import asyncio
import base64
import random
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from config.sources import load
from gateway.app import opened
from store.connect import is_shared
from store.model import Flag
from tests.live.hostile import Raw
from tests.live.power import Disk, Entry, left_after, read, without
from tests.live.preloaded import EIO, Preloaded
from tests.live.server import PASSWORD, Server
from tests.live.verified import SOAK

STATES = 2000 if SOAK else 30
"""States of the disk that are looked at, in each of the two records."""
LYING = 300
"""States until one has to be found in which something is lost, when the disk lies."""
USER, FAR = "user@acme.test", "far@elsewhere.test"
SIZES = (200, 20_000, 60_000, 60_000, 200_000, 60_000, 300_000, 60_000)
"""Octets of messages: in rows, and in files."""

Where = tuple[str, int]
"""A folder and flags; or "queue" and 0."""


class Heard(Raw):
    """Counts what it was told."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.octets = 0

    def more(self) -> bool:
        before = len(self.buffer)
        found = super().more()
        self.octets += len(self.buffer) - before
        return found

    @property
    def place(self) -> tuple[int, int]:
        """How far it has read: a moment in the record."""
        return self.socket.getsockname()[1], self.octets - len(self.buffer)


@dataclass(slots=True)
class Fate:
    """Of one message: where it was to be, one after the other, and when each was acknowledged. Before the first it is nowhere."""

    octets: bytes
    states: list[Where | None] = field(default_factory=lambda: [None])
    told: list[tuple[int, int]] = field(default_factory=list)

    def may_be(self, cut: int, moments: Callable[[tuple[int, int]], int]) -> list[Where | None]:
        """At this entry of the record: what was acknowledged last, or what was tried after it."""
        known = sum(moments(one) < cut for one in self.told)
        return self.states[known : known + 2]


class Book:
    """What clients tried and what was acknowledged."""

    def __init__(self) -> None:
        self.fates: dict[str, Fate] = {}
        self.faults: list[BaseException] = []
        self._lock = threading.Lock()

    def begin(self, size: int, where: Where, sender: str = "far@elsewhere.test") -> tuple[str, bytes]:
        with self._lock:
            name = f"p{len(self.fates)}"
            text = (f"{name} what is not written down is soon forgotten\r\n" * (size // 45 + 1)).encode()
            octets = f"From: <{sender}>\r\nTo: <{USER}>\r\nDate: Sun, 22 Nov 2026 09:00:00 +0000\r\n".encode()
            octets += f"Message-ID: <{name}@power.test>\r\n\r\n".encode() + text
            self.fates[name] = Fate(octets, [None, where])
            return name, octets

    def then(self, name: str, where: Where | None) -> None:
        """It is tried next."""
        self.fates[name].states.append(where)

    def told(self, name: str, raw: Heard) -> None:
        self.fates[name].told.append(raw.place)


# --- what clients do


def handing_in(raw: Heard, book: Book, size: int, folder: str, sender: str = FAR, recipient: str = USER) -> None:
    name, octets = book.begin(size, (folder, 0), sender)
    for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
        assert raw.say(command.encode())[0] in "23"
    raw.send(octets + b".\r\n")
    answer = raw.reply()
    if answer.startswith("250"):
        book.told(name, raw)
    else:
        assert answer.startswith("4"), answer


def keeping(raw: Heard, book: Book, size: int) -> str | None:
    """Appends one and does all sorts of things to it. None: it was put off."""
    name, octets = book.begin(size, ("/One", 0))
    raw.send(b"a APPEND One {%d+}\r\n" % len(octets) + octets + b"\r\n")
    answer = raw.until(b"a")
    found = re.search(rb"APPENDUID \d+ (\d+)", answer)
    if found is None:
        assert b"a NO" in answer, answer
        return None
    book.told(name, raw)

    def do(command: str, where: Where | None) -> bytes:
        book.then(name, where)
        raw.send(f"b {command}\r\n".encode())
        answer = raw.until(b"b")
        assert b"b OK" in answer, answer
        book.told(name, raw)
        return answer

    uid = int(found[1])
    assert raw.do(b"s", b"SELECT One").startswith(b"s OK")
    do(f"UID STORE {uid} +FLAGS (\\Flagged)", ("/One", Flag.FLAGGED))
    moved = re.search(rb"COPYUID \d+ \d+ (\d+)", do(f"UID MOVE {uid} Two", ("/Two", Flag.FLAGGED)))
    assert moved is not None
    if size % 3 == 0:
        assert raw.do(b"s", b"SELECT Two").startswith(b"s OK")
        do(f"UID STORE {int(moved[1])} +FLAGS (\\Deleted)", ("/Two", Flag.FLAGGED | Flag.DELETED))
        do(f"UID EXPUNGE {int(moved[1])}", None)
    return name


def talking(server: Server, door: str) -> Heard:
    raw = Heard(server.ports[door])
    if door == "imap":
        raw.line()
        assert raw.do(b"l", f'LOGIN {USER} "{PASSWORD}"'.encode()).startswith(b"l OK")
        return raw
    raw.reply()
    assert raw.say(b"LHLO x" if door == "lmtp" else b"EHLO x").startswith("250")
    if door == "submission":
        assert raw.say(b"AUTH PLAIN " + base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())).startswith("235")
    return raw


def work(server: Server, book: Book, rounds: int) -> None:
    """All sorts of mail at once, each client in a thread."""

    def lmtp(raw: Heard) -> None:
        for number in range(3 * rounds):
            handing_in(raw, book, SIZES[number % len(SIZES)], "/INBOX")

    def submission(raw: Heard) -> None:
        for number in range(2 * rounds):
            handing_in(raw, book, SIZES[(3 * number) % len(SIZES)], "queue", USER, FAR)

    def imap(raw: Heard) -> None:
        for number in range(rounds):
            keeping(raw, book, SIZES[number % len(SIZES)] + number)

    def run(what: Callable[[Heard], None], raw: Heard) -> None:
        try:
            what(raw)
        except BaseException as fault:
            book.faults.append(fault)

    raws = [(lmtp, talking(server, "lmtp")), (submission, talking(server, "submission")), (imap, talking(server, "imap"))]
    _open.extend(raw for _, raw in raws)
    threads = [threading.Thread(target=run, args=one) for one in raws]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not book.faults, book.faults


_open: list[Heard] = []
"""Connections stay open while a record is made: no port stands for two of them."""


@dataclass(slots=True)
class Recorded:
    """`made`: from this entry on the accounts are there."""

    server: Preloaded
    book: Book
    entries: list[Entry]
    made: int


def recorded(directory: Path, during: Callable[[Preloaded, Book], None], workers: int = 1) -> Recorded:
    server = Preloaded(directory, {"relay": "smtp://127.0.0.1:9", "queue.retries": ["1h"], "workers": workers}, recorded=True)
    server.people("user")
    server.prov(f"modifyAccount {USER} delegatedSent none")
    made = len(read(server.record))
    book = Book()
    try:
        with server:
            with talking(server, "imap") as raw:
                for name in (b"One", b"Two"):
                    assert raw.do(b"c", b"CREATE " + name).startswith(b"c OK")
            during(server, book)
    finally:
        for one in _open:
            one.socket.close()
        _open.clear()
    return Recorded(server, book, read(server.record), made)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Mail, enough of it for a checkpoint in the middle, and an orderly end."""

    def during(server: Preloaded, book: Book) -> None:
        work(server, book, 24)
        end = time.monotonic() + 20
        while (server.data / "procura.db-wal").stat().st_size > 1 << 20 and time.monotonic() < end:
            time.sleep(0.05)
        work(server, book, 8)

    made = recorded(tmp_path_factory.mktemp("power"), during)
    assert made.server.process is not None
    assert made.server.process.returncode == 0
    assert all(len(fate.told) == len(fate.states) - 1 for fate in made.book.fates.values()), "everything was acknowledged"
    return made


# --- what is there afterwards


def there(data: Path) -> dict[str, list[Where]]:
    """Where each message is; raises AssertionError where its octets are not what was sent."""
    found: dict[str, list[Where]] = {}
    database = sqlite3.connect(data / "procura.db")
    try:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = database.execute(
            "SELECT folder.path, message.flags, blob.place, blob.octets, blob.size FROM message "
            "JOIN folder ON folder.id = message.key >> 32 JOIN blob ON blob.id = message.blob "
            "UNION ALL SELECT 'queue', 0, blob.place, blob.octets, blob.size FROM queue JOIN blob ON blob.id = queue.blob"
        ).fetchall()
    finally:
        database.close()
    for path, flags, place, octets, size in rows:
        whole = octets if place is None else (data / "messages" / place).read_bytes()
        assert len(whole) == size
        named = re.search(rb"\r\nMessage-ID: <(p\d+)@power\.test>\r\n", whole[:4096])
        assert named is not None, whole[:200]
        found.setdefault(named[1].decode(), []).append((path, flags))
        assert whole.endswith(_text(named[1], whole)), f"{named[1]!r} is not what was sent"
    return found


def _text(name: bytes, whole: bytes) -> bytes:
    line = name + b" what is not written down is soon forgotten\r\n"
    body = whole.partition(b"\r\n\r\n")[2]
    return line * (len(body) // len(line))


async def opens(data: Path) -> None:
    """As the server does at its start; everything agrees with everything, as `procura verify` sees it."""
    settings = load({"data": str(data), "hostname": "mx.acme.test"}, {}, data.parent).settings
    assert not is_shared(settings.store_url)
    async with opened(settings) as app:
        found = await app.directory.verification.verify(lambda *_: None)
    assert found.is_whole, found.findings


class Lost(AssertionError):
    """Something that was acknowledged is not there, or is half."""


@dataclass(slots=True)
class Moments:
    """When so many octets had been said to a port: entries of the record."""

    _said: dict[int, tuple[list[int], list[int]]] = field(default_factory=dict)

    def hear(self, entry: int, port: int, octets: bytes) -> None:
        ends, entries = self._said.setdefault(port, ([], []))
        ends.append((ends[-1] if ends else 0) + len(octets))
        entries.append(entry)

    def of(self, place: tuple[int, int]) -> int:
        port, count = place
        ends, entries = self._said[port]
        return entries[next(at for at, end in enumerate(ends) if end >= count)]


def moments(entries: Sequence[Entry]) -> Moments:
    found = Moments()
    for at, one in enumerate(entries):
        if one.kind == b"A":
            found.hear(at, one.number, one.first)
    return found


def cut(made: Recorded, entries: Sequence[Entry], states: int, seed: int, scratch: Path, first: int = 0) -> None:
    """Looks at so many states. Raises Lost."""
    draw = random.Random(seed)
    when = moments(entries)
    acknowledged = sorted({when.of(place) for fate in made.book.fates.values() for place in fate.told})
    # Most cuts are just behind an answer, where a promise is youngest, or shortly after.
    cuts = (
        draw.choice(acknowledged) + 1 + draw.choice((0, 0, 1, 3)) if draw.random() < 0.6 else draw.randrange(first, len(entries) + 1)
        for _ in range(states)
    )
    for left in left_after(made.server.disk, entries, cuts, draw, scratch):
        try:
            look(made, left.place / "data", left.at, when)
        except Exception as fault:
            raise Lost(f"seed {seed}: the power went after entry {left.at} of {len(entries)}, likely {left.likely}: {fault}") from fault


def look(made: Recorded, data: Path, at: int, when: Moments) -> None:
    if at < made.made and not data.exists():
        return
    asyncio.run(opens(data))
    found = there(data)
    for name, fate in made.book.fates.items():
        may = fate.may_be(at, when.of)
        now = found.get(name, [])
        assert len(now) <= 1, f"{name} is in {now}"
        assert (now[0] if now else None) in may, f"{name} is in {now}, not in one of {may}"
    assert found.keys() <= made.book.fates.keys()


# --- the tests


@pytest.mark.timeout(3600 if SOAK else 240)
def test_whatever_is_left_when_the_power_goes_has_all_that_was_acknowledged(house: Recorded, tmp_path: Path) -> None:
    cut(house, house.entries, STATES, 20_261_122, tmp_path)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """The same with several processes: one writes, others answer."""

    def during(server: Preloaded, book: Book) -> None:
        work(server, book, 40 if SOAK else 8)

    made = recorded(tmp_path_factory.mktemp("office"), during, workers=2)
    assert all(len(fate.told) == len(fate.states) - 1 for fate in made.book.fates.values()), "everything was acknowledged"
    return made


def writes_the_log(entries: Sequence[Entry]) -> set[int]:
    """Which processes do."""
    opened = {(one.process, one.descriptor): one.first.endswith(b"procura.db-wal") for one in entries if one.kind == b"O"}
    return {one.process for one in entries if one.kind == b"W" and opened[one.process, one.descriptor]}


@pytest.mark.timeout(3600 if SOAK else 240)
def test_a_workers_answer_is_given_when_what_the_keeper_wrote_is_on_the_disk(office: Recorded, tmp_path: Path) -> None:
    entries = office.entries[office.made :]
    answered = {one.process for one in entries if one.kind == b"A" and b"250 2.0.0" in one.first}
    assert answered
    assert answered.isdisjoint(writes_the_log(entries)), "whoever answered wrote it himself"
    cut(office, office.entries, STATES // 2, 20_261_123, tmp_path, office.made)


@pytest.mark.parametrize("lie", ["the log alone", "the octets of files"])
def test_it_can_tell_of_several_processes_too(office: Recorded, tmp_path: Path, lie: str) -> None:
    with pytest.raises(Lost):
        cut(office, list(without(office.entries, office.server.disk, LIES[lie])), LYING, 7, tmp_path, office.made)


LIES: dict[str, Callable[[str], bool]] = {
    "synchronous=OFF": lambda path: "procura.db" in path,
    "the log alone": lambda path: path.endswith("procura.db-wal"),
    "the octets of files": lambda path: "messages/" in path and not re.fullmatch(r"data/messages(/..)?", path),
    "the shelves of files": lambda path: re.fullmatch(r"data/messages/..", path) is not None,
    "the directory above the shelves": lambda path: path == "data/messages",
    "the directory of data": lambda path: path == "data",
}


@pytest.mark.parametrize("lie", LIES)
def test_it_can_tell_when_something_is_not_synchronised(house: Recorded, tmp_path: Path, lie: str) -> None:
    entries = list(without(house.entries, house.server.disk, LIES[lie]))
    assert entries != house.entries, "something is synchronised there"
    with pytest.raises(Lost):
        cut(house, entries, LYING, 7, tmp_path, house.made)


@pytest.mark.timeout(3600 if SOAK else 240)
def test_after_an_fsync_that_failed_nothing_rests_on_what_it_left(tmp_path: Path) -> None:
    """The system takes for written what it could not write (and says so once): what is acknowledged later must not need it."""

    def during(server: Preloaded, book: Book) -> None:
        for part in ("procura.db-wal", "messages/", "procura.db", "data/messages"):
            work(server, book, 3)
            with server.failing(("sync", part, EIO)):
                time.sleep(0.05)
                work_that_may_fail(server, book)
        work(server, book, 8)

    made = recorded(tmp_path / "made", during)
    assert any(one.kind == b"E" for one in made.entries)
    assert any(not fate.told for fate in made.book.fates.values()), "something was put off"
    cut(made, made.entries, STATES, 5, tmp_path, made.made)


def work_that_may_fail(server: Server, book: Book) -> None:
    """Refusals are no answer that anybody relies on."""
    for door in ("lmtp", "submission"):
        raw = talking(server, door)
        _open.append(raw)
        for number in range(4):
            recipient, folder, sender = (USER, "/INBOX", FAR) if door == "lmtp" else (FAR, "queue", USER)
            handing_in(raw, book, SIZES[number * 2], folder, sender, recipient)


def test_the_real_server_starts_on_what_is_left(house: Recorded, tmp_path: Path) -> None:
    draw = random.Random(3)
    disk = Disk(house.server.disk)
    played = 0
    for number, at in enumerate(sorted(draw.sample(range(house.made, len(house.entries)), 2))):
        for one in house.entries[played:at]:
            disk.play(one)
        played = at
        place = tmp_path / str(number)
        disk.leave(place, draw, 0.5)
        server = Server(place, {"relay": "smtp://127.0.0.1:9"})
        with server:
            server.deliver(USER, b"From: <x@elsewhere.test>\r\nMessage-ID: <after@power.test>\r\n\r\nx\r\n")
            assert any(b"<after@power.test>" in one for one in server.messages(USER))
            server.run("verify")
        assert "Traceback" not in server.log.read_text()


def test_moments_are_those_of_the_record() -> None:
    found = Moments()
    found.hear(3, 7, b"abc")
    found.hear(9, 7, b"de")
    assert [found.of((7, count)) for count in (1, 3, 4, 5)] == [3, 3, 9, 9]
