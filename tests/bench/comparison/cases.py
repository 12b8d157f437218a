"""What is compared: each case measures one row of the table or several, on one server for one turn."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from tests.bench.comparison.letters import RARE, SENDER, SUBJECT, Letter, letter, plain
from tests.bench.comparison.load import Act, Clock, Figure, Imap, Smtp, Wrong, counted, mean, repeated
from tests.bench.comparison.peers import Dovecot, Hibernating, Mdbox, Peer, Postfix, user
from tests.bench.comparison.ratios import Kind, Row

RECEIVERS: Final = 100
"""u0 to u99 get the mail of SMTP and LMTP."""
SHARERS: Final = 200
"""u0 to u199 share a folder with the viewer."""
MIXED, MIXERS = 100, 10
IDLE, IDLERS = 110, 90
BIG, FOLDERS, VIEWER, COPIER, STORED = 200, 201, 202, 203, 204
DRAIN_SECONDS: Final = 60.0
KB: Final = 1024
TOPICS: Final = 40
FEWEST, MOST = 3, 50
"""Sessions that do a thing once each."""
MAKERS: Final = 8
"""Connections that make what a case needs."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """`seconds` of one turn of what is done again and again."""

    seconds: float = 0.7
    messages: int = 10_000
    folders: int = 1_000
    sharers: int = SHARERS
    some: int = 1_000
    """Messages that are copied, moved, flagged and expunged at once."""
    visible: int = 400
    idle: int = 1_000
    many: int = 5_000
    """That idle in the case that has to be asked for."""
    probes: int = 30


@dataclass
class Bench:
    """One server, and what has been made there already."""

    peer: Peer
    sizes: Sizes
    made: set[str] = field(default_factory=set)
    numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def once(self, what: str, making: Callable[[], Awaitable[object]]) -> None:
        """So that the first turn of several does it."""
        if what not in self.made:
            await making()
            self.made.add(what)

    async def imap(self, number: int) -> Imap:
        one = await Imap.to(self.peer.imap)
        return await one.login(user(number))

    async def repeated(self, *acts: Act, after: Callable[[], Awaitable[object]] | None = None, sustained: bool = False) -> Figure:
        return await repeated(self.peer.cpu, self.sizes.seconds, *acts, after=after, sustained=sustained)

    async def drained(self) -> None:
        end = time.monotonic() + DRAIN_SECONDS
        while self.peer.waits():
            if time.monotonic() > end:
                raise Wrong("mail still waits in the queue")
            await asyncio.sleep(0.02)


Turn = Callable[[Bench], Awaitable[Mapping[str, Figure]]]


@dataclass(frozen=True, slots=True)
class Case:
    """`turn` measures `rows`. `rare`: only where it is asked for by name."""

    name: str
    turn: Turn
    rows: Sequence[Row]
    rare: bool = False


# --- sending


def sending(key: str, connections: int, size: int, *, lmtp: bool = False, each: bool = False, sustained: bool = False) -> Turn:
    """Until the time is up; then the queue has to become empty, which costs processor time in every row, and time in `sustained`."""

    async def turn(bench: Bench) -> Mapping[str, Figure]:
        chance = random.Random(size)
        port = bench.peer.lmtp if lmtp else bench.peer.submission

        async def opened(number: int) -> Smtp:
            return await Smtp.ready(port, None if lmtp else user(number))

        open_ones = [] if each else [await opened(number) for number in range(connections)]

        def sender(number: int) -> Act:
            async def send() -> int:
                recipient = user(chance.randrange(RECEIVERS))
                client = await opened(number) if each else open_ones[number]
                await client.send(user(number), recipient, plain(next(bench.numbers), size, user(number), recipient))
                if each:
                    await client.ask(b"QUIT\r\n")
                    client.close()
                return 1

            return send

        senders = [sender(number) for number in range(connections)]
        figure = await bench.repeated(*senders, after=bench.drained, sustained=sustained)
        for client in open_ones:
            client.close()
        return {key: figure}

    return turn


async def visible(bench: Bench) -> Mapping[str, Figure]:
    """From the first octet until STATUS of ten mailboxes shows them all."""
    boxes = [await bench.imap(number) for number in range(10)]
    before = sum([await box.count("INBOX") for box in boxes])
    clients = [await Smtp.ready(bench.peer.submission, user(IDLE + number)) for number in range(8)]
    left = iter(range(bench.sizes.visible))

    async def send(number: int, client: Smtp) -> None:
        for one in left:
            await client.send(user(IDLE + number), user(one % 10), plain(one, 4 * KB, user(IDLE + number), user(one % 10)))

    clock = Clock(bench.peer.cpu)
    await asyncio.gather(*(send(number, client) for number, client in enumerate(clients)))
    while (got := sum(await asyncio.gather(*(box.count("INBOX") for box in boxes))) - before) < bench.sizes.visible:
        await asyncio.sleep(0.02)
    figure = clock.figure(bench.sizes.visible)
    if got != bench.sizes.visible:
        raise Wrong(f"{got} messages instead of {bench.sizes.visible}")
    for client in (*boxes, *clients):
        client.close()
    return {"visible": figure}


# --- a session


async def login(bench: Bench) -> Mapping[str, Figure]:
    """Of people who have logged in before: both servers remember for an hour that a password was right."""
    chance = random.Random(1)

    async def one(number: int) -> None:
        client = await bench.imap(number)
        await client.do("LOGOUT")
        client.close()

    async def everybody() -> None:
        for number in range(RECEIVERS):
            await one(number)

    async def act() -> int:
        await one(chance.randrange(RECEIVERS))
        return 1

    await bench.once("login", everybody)

    return {"login": await bench.repeated(*[act] * 16)}


def appending(key: str, connections: int, together: int) -> Turn:
    """Into a folder of this turn, for some servers become slower as it grows."""

    async def turn(bench: Bench) -> Mapping[str, Figure]:
        folder = f"Append{next(bench.numbers)}"
        clients = [await bench.imap(number) for number in range(connections)]
        for client in clients:
            await client.do(f"CREATE {folder}")

        def appender(client: Imap) -> Act:
            messages = [plain(number, 4 * KB) for number in range(together)]

            async def append() -> int:
                await client.append(folder, messages)
                return together

            return append

        figure = await bench.repeated(*map(appender, clients))
        for client in clients:
            client.close()
        return {key: figure}

    return turn


# --- the large folder


async def _fill(bench: Bench) -> None:
    """Every third is unseen."""
    client = await bench.imap(BIG)
    for first in range(0, bench.sizes.messages, 50):
        numbers = range(first, min(first + 50, bench.sizes.messages))
        flags = ["" if number % 3 == 0 else "\\Seen" for number in numbers]
        await client.append("INBOX", [found(number).octets for number in numbers], flags)
    client.close()


_letters: dict[int, Letter] = {}


def found(number: int) -> Letter:
    """Made once for all servers."""
    if number not in _letters:
        _letters[number] = letter(number)
    return _letters[number]


async def big(bench: Bench) -> Imap:
    await bench.once("big", lambda: _fill(bench))
    client = await bench.imap(BIG)
    if (there := await client.select("INBOX")) != bench.sizes.messages:
        raise Wrong(f"{there} messages in the large folder")
    return client


async def by_sessions(bench: Bench, line: str, operations: int, check: Callable[[bytearray], object], *, selected: bool = True) -> Figure:
    """A command in the large folder, once by each of many sessions, one after the other: what a session remembers of its own last command
    is worth nothing to a client that asks once. `check`: raises Wrong, outside of the clock."""
    await (first := await big(bench)).do(line)
    began = time.perf_counter()
    await first.do(line)
    first.close()
    count = max(FEWEST, min(MOST, int(bench.sizes.seconds / (time.perf_counter() - began))))
    sessions = [await (big if selected else big_unselected)(bench) for _ in range(count)]
    clock = Clock(bench.peer.cpu)
    answers = [await session.do(line) for session in sessions]
    figure = clock.figure(operations * count)
    for answer in answers:
        check(answer)
    for session in sessions:
        session.close()
    return figure


async def big_unselected(bench: Bench) -> Imap:
    return await bench.imap(BIG)


async def select(bench: Bench) -> Mapping[str, Figure]:
    def check(said: bytearray) -> None:
        if b"* %d EXISTS" % bench.sizes.messages not in said:
            raise Wrong(f"SELECT did not find {bench.sizes.messages} messages")

    return {"select": await by_sessions(bench, "SELECT INBOX", 1, check, selected=False)}


def fetching(key: str, items: str, most: int | None = None) -> Turn:
    async def turn(bench: Bench) -> Mapping[str, Figure]:
        count = min(most or bench.sizes.messages, bench.sizes.messages)

        def check(said: bytearray) -> None:
            if (answers := counted(said)) != count:
                raise Wrong(f"{answers} answers instead of {count}")

        return {key: await by_sessions(bench, f"FETCH 1:{count} {items}", count, check)}

    return turn


def searching(key: str, criteria: str, wanted: Callable[[int, Letter], bool]) -> Turn:
    async def turn(bench: Bench) -> Mapping[str, Figure]:
        expected = [number + 1 for number in range(bench.sizes.messages) if wanted(number, found(number))]

        def check(said: bytearray) -> None:
            hits = re.search(rb"\* SEARCH([ \d]*)", said)
            if hits is None or list(map(int, hits[1].split())) != expected:
                raise Wrong(f"SEARCH {criteria}: {len(hits[1].split()) if hits else 0} hits instead of {len(expected)}")

        return {key: await by_sessions(bench, f"SEARCH {criteria}", 1, check)}

    return turn


async def store_many(bench: Bench) -> Mapping[str, Figure]:
    client = await big(bench)
    count = min(bench.sizes.some, bench.sizes.messages)
    answers = set()
    await client.do(f"STORE 1:{count} -FLAGS.SILENT (\\Flagged)")

    async def there_and_back() -> int:
        for sign in "+-":
            answers.add(counted(await client.do(f"STORE 1:{count} {sign}FLAGS (\\Flagged)")))
        return 2 * count

    figure = await bench.repeated(there_and_back)
    if answers != {count}:
        raise Wrong(f"STORE of {count} answered {answers}")
    client.close()
    return {"store-many": figure}


def storing(key: str, *, shared: bool) -> Turn:
    """Sixteen clients, one flag after the other; in a mailbox of their own each, or all in the same."""

    async def turn(bench: Bench) -> Mapping[str, Figure]:
        async def make(client: Imap) -> None:
            await client.do("CREATE Store")
            await client.append("Store", [plain(number, KB) for number in range(50)])

        clients = [await bench.imap(STORED if shared else number) for number in range(16)]
        for number, client in enumerate(clients):
            await bench.once("store shared" if shared else f"store {number}", lambda client=client: make(client))  # type: ignore[misc]
            if await client.select("Store") != 50:
                raise Wrong("SELECT did not find 50 messages")

        def storer(number: int, client: Imap) -> Act:
            chance = random.Random(number)

            async def store() -> int:
                await client.do(f"STORE {chance.randint(1, 50)} +FLAGS (\\Seen)")
                await client.do(f"STORE {chance.randint(1, 50)} -FLAGS (\\Seen)")
                return 2

            return store

        figure = await bench.repeated(*(storer(number, client) for number, client in enumerate(clients)))
        for client in clients:
            client.close()
        return {key: figure}

    return turn


async def copy(bench: Bench) -> Mapping[str, Figure]:
    """COPY into a new folder, MOVE from there into another, EXPUNGE there."""
    count = bench.sizes.some
    client = await bench.imap(COPIER)

    async def make() -> None:
        await client.do("CREATE Source")
        for first in range(0, count, 50):
            await client.append("Source", [plain(number, 4 * KB) for number in range(first, min(first + 50, count))])

    await bench.once("copy", make)
    if await client.select("Source") != count:
        raise Wrong("SELECT did not find what is to be copied")
    spent: dict[str, list[Figure]] = {"copy": [], "move": [], "expunge": []}

    async def timed(key: str, line: str) -> bytearray:
        clock = Clock(bench.peer.cpu)
        said = await client.do(line)
        spent[key].append(clock.figure(count))
        return said

    end = time.perf_counter() + 2 * bench.sizes.seconds
    while time.perf_counter() < end:
        one, two = (f"Copy{next(bench.numbers)}" for _ in "ab")
        await client.do(f"CREATE {one}")
        await client.do(f"CREATE {two}")
        await client.select("Source")
        await timed("copy", f"COPY 1:{count} {one}")
        await client.select(one)
        await timed("move", f"MOVE 1:{count} {two}")
        if await client.count(one) != 0 or await client.select(two) != count:
            raise Wrong("COPY and MOVE lost messages")
        await client.do(f"STORE 1:{count} +FLAGS.SILENT (\\Deleted)")
        if (gone := counted(await timed("expunge", "EXPUNGE"), b"EXPUNGE")) != count:
            raise Wrong(f"EXPUNGE told {gone} instead of {count}")
        await client.do("CLOSE")
        for folder in (one, two):
            await client.do(f"DELETE {folder}")
    client.close()
    return {key: mean(figures) for key, figures in spent.items()}


# --- folders


async def _folders(bench: Bench) -> None:
    """Some connections, so that servers that write for several at once may do so; a folder's subfolders are made by one."""
    years = iter(range(-(-bench.sizes.folders // TOPICS)))

    async def some() -> None:
        client = await bench.imap(FOLDERS)
        for year in years:
            for topic in range(min(TOPICS, bench.sizes.folders - year * TOPICS)):
                # A server may make it for somebody beside and tell us that it is there: all of them are counted later.
                await client.begin(f"CREATE Year{year}/Topic{topic}".encode())
                if topic % 10 == 0:
                    await client.append(f"Year{year}/Topic{topic}", [plain(topic, KB)])
                    await client.do(f"SUBSCRIBE Year{year}/Topic{topic}")
        client.close()

    await asyncio.gather(*(some() for _ in range(MAKERS)))


async def _shares(bench: Bench) -> None:
    left = iter(range(bench.sizes.sharers))

    async def some() -> None:
        for number in left:
            client = await bench.imap(number)
            await client.do("CREATE Shared")
            await client.do(f'SETACL Shared "{user(VIEWER)}" lrswi')
            await client.do("LOGOUT")
            client.close()

    await asyncio.gather(*(some() for _ in range(MAKERS)))


def listing(
    key: str, number: int, making: Callable[[Bench], Awaitable[None]], least: Callable[[Sizes], int], *, subscribed: bool = False
) -> Turn:
    """`subscribed`: a tenth of them is, and is asked for too."""

    async def turn(bench: Bench) -> Mapping[str, Figure]:
        await bench.once(key, lambda: making(bench))
        client = await bench.imap(number)
        said = bytearray()
        figures = {}
        count = least(bench.sizes)
        asked = [
            (key, 'LIST "" "*"', b"LIST", count),
            (f"{key}-status", 'LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN UIDNEXT UIDVALIDITY))', b"STATUS", count),
        ]
        if subscribed:
            asked.append(("lsub", 'LSUB "" "*"', b"LSUB", count // 10))
        for row, line, kind, wanted in asked:

            async def ask(line: str = line) -> int:
                nonlocal said
                said = await client.do(line)
                return 1

            await ask()
            figures[row] = await bench.repeated(ask)
            if (answers := counted(said, kind)) < wanted:
                raise Wrong(f"{line}: {answers} answers")
        client.close()
        return figures

    return turn


# --- everything together

COMMANDS: Final[Sequence[tuple[int, str]]] = (
    (25, "FETCH {a}:{b} (UID FLAGS ENVELOPE RFC822.SIZE)"),
    (12, "FETCH {a} (UID BODY.PEEK[])"),
    (18, "STORE {a}:{b} {sign}FLAGS ({flag})"),
    (7, "SEARCH {criteria}"),
    (6, "STATUS {folder} (MESSAGES UNSEEN)"),
    (4, "COPY {a} Mixed"),
    (4, "EXPUNGE"),
    (4, 'LIST "" "*"'),
    (7, "NOOP"),
    (3, "SELECT INBOX"),
    (10, "APPEND"),
)


async def _mixed(bench: Bench) -> None:
    for number in range(MIXED, MIXED + MIXERS):
        client = await bench.imap(number)
        for folder in ("Mixed", "Papers"):
            await client.do(f"CREATE {folder}")
        await client.append("INBOX", [found(one).octets for one in range(50)])
        client.close()


class Random:
    """A client that does anything, and knows how many messages there are as far as it has been told."""

    def __init__(self, client: Imap, number: int) -> None:
        self._client, self._chance, self._count = client, random.Random(number), 0

    async def begin(self) -> Random:
        self._count = await self._client.select("INBOX")
        return self

    async def act(self) -> int:
        chance = self._chance
        (line,) = chance.choices([one for _, one in COMMANDS], [weight for weight, _ in COMMANDS])
        first = chance.randint(1, max(1, self._count))
        line = line if self._count >= 5 else "APPEND"
        if line == "APPEND":
            octets = found(chance.randrange(100)).octets if chance.random() < 0.2 else plain(first, 2_000)
            line_octets = b"APPEND INBOX {%d+}\r\n%b" % (len(octets), octets)
        else:
            line_octets = line.format(
                a=first,
                b=min(self._count, first + chance.randint(0, 10)),
                sign=chance.choice("+-"),
                flag=chance.choice(("\\Seen", "\\Flagged", "\\Answered", "\\Deleted")),
                criteria=chance.choice(("UNSEEN", "FLAGGED", "DELETED", "SMALLER 3000", "SUBJECT bench")),
                folder=chance.choice(("Papers", "INBOX")),
            ).encode()
        said = await self._client.begin(line_octets)
        if line == "SELECT INBOX":
            self._count = 0
        for told in re.finditer(rb"\r\n\* (\d+) (EXISTS|EXPUNGE)(?=\r)", said):
            self._count = int(told[1]) if told[2] == b"EXISTS" else self._count - 1
        # Somebody else may have expunged it already: NO is an answer then, BAD never is.
        if re.search(rb"\r\nt\d{6} BAD ", said[-2000:]):
            raise Wrong(f"{line_octets[:80]!r}: {bytes(said[-200:])!r}")
        return 1


async def mixed(bench: Bench) -> Mapping[str, Figure]:
    await bench.once("mixed", lambda: _mixed(bench))
    clients = [await bench.imap(MIXED + number % MIXERS) for number in range(50)]
    randoms = [await Random(client, number).begin() for number, client in enumerate(clients)]
    figure = await bench.repeated(*(one.act for one in randoms))
    for client in clients:
        client.close()
    return {"mixed": figure}


# --- idling


async def idle(bench: Bench) -> Mapping[str, Figure]:
    memory, took = await idling(bench, bench.sizes.idle)
    return {
        "idle-memory": Figure(memory),
        "exists-50": Figure(took[len(took) // 2]),
        "exists-99": Figure(took[min(len(took) - 1, len(took) * 99 // 100)]),
    }


async def idle_many(bench: Bench) -> Mapping[str, Figure]:
    memory, _ = await idling(bench, bench.sizes.many)
    return {"idle-many-memory": Figure(memory)}


async def idling(bench: Bench, count: int) -> tuple[float, list[float]]:
    """KiB of one, and seconds from a delivery to each EXISTS, ascending.

    Memory of the processes before and while many idle; then mail for some, until each of a person's connections has been told. The
    server is started anew: what it has freed before would be used again, and hide what they take."""
    bench.peer.stop()
    bench.peer.start()
    told: dict[int, list[float]] = {}
    clients: list[Imap] = []
    gate = asyncio.Semaphore(32)

    async def one(number: int) -> None:
        def tell(data: bytes) -> None:
            if b" EXISTS" in data:
                told.setdefault(number % IDLERS, []).append(time.perf_counter())

        async with gate:
            client = await bench.imap(IDLE + number % IDLERS)
            await client.select("INBOX")
            await client.idle(tell)
            clients.append(client)

    async def settled() -> None:
        await asyncio.sleep(4.0 if isinstance(bench.peer, Hibernating) else 1.0)

    sender = await Smtp.ready(bench.peer.lmtp)
    early = min(8, count // 2)
    for number in range(early):
        await one(number)
        await sender.send("stranger@far.test", user(IDLE + number), plain(number, 2 * KB))
    await settled()
    before = bench.peer.memory()
    await asyncio.gather(*(one(number) for number in range(early, count)))
    await settled()
    memory = (bench.peer.memory() - before) / (count - early)
    took: list[float] = []
    for probe in range(bench.sizes.probes):
        number = probe * 7 % min(IDLERS, count)
        there = len(range(number, count, IDLERS))
        told.pop(number, None)
        began = time.perf_counter()
        await sender.send("stranger@far.test", user(IDLE + number), plain(probe, 2 * KB))
        while len(told.get(number, ())) < there:
            if time.perf_counter() > began + 10:
                raise Wrong(f"{len(told.get(number, ()))} of {there} connections were told of new mail")
            await asyncio.sleep(0.001)
        took += [at - began for at in told[number]]
    for client in clients:
        client.close()
    sender.close()
    return memory, sorted(took)


# --- all of them

_POSTFIX, _MAIL, _IDLE = (Postfix.name,), (Mdbox.name, Dovecot.name), (Hibernating.name,)
_SIZE = "4 KB"


def _row(key: str, words: str, against: Sequence[str], goal: float, kind: Kind) -> Row:
    return Row(key, words, tuple(against), goal, kind)


def _one(key: str, words: str, turn: Turn, against: Sequence[str], goal: float, kind: Kind) -> Case:
    return Case(key, turn, (_row(key, words, against, goal, kind),))


def _is_small(_: int, one: Letter) -> bool:
    return len(one.octets) < 5_000


CASES: Final[Sequence[Case]] = (
    *(
        _one(
            f"submit-{n}",
            f"submission {_SIZE}, {n} connection{'s' if n > 1 else ''}",
            sending(f"submit-{n}", n, 4 * KB),
            _POSTFIX,
            goal,
            Kind.MESSAGES,
        )
        for n, goal in ((1, 2), (8, 4), (64, 3))
    ),
    _one("sustained", f"submission {_SIZE}, 8, delivered", sending("sustained", 8, 4 * KB, sustained=True), _POSTFIX, 4, Kind.MESSAGES),
    _one("submit-100k", "submission 100 KB, 8 connections", sending("submit-100k", 8, 100 * KB), _POSTFIX, 2, Kind.MESSAGES),
    _one("submit-each", "submission, a connection each", sending("submit-each", 8, 4 * KB, each=True), _POSTFIX, 3, Kind.MESSAGES),
    _one("lmtp", f"LMTP {_SIZE}, 8 connections", sending("lmtp", 8, 4 * KB, lmtp=True), _MAIL, 2, Kind.MESSAGES),
    _one("visible", "sent until visible by STATUS", visible, _POSTFIX, 4, Kind.MESSAGES),
    _one("login", "connect, LOGIN, LOGOUT, 16 clients", login, _MAIL, 1.5, Kind.TIMES),
    _one("append-1", f"APPEND {_SIZE}, 1 connection", appending("append-1", 1, 1), _MAIL, 1.2, Kind.MESSAGES),
    _one("append-8", f"APPEND {_SIZE}, 8 connections", appending("append-8", 8, 1), _MAIL, 1.2, Kind.MESSAGES),
    _one("append-many", "MULTIAPPEND of 50", appending("append-many", 1, 50), _MAIL, 1, Kind.MESSAGES),
    _one("select", "SELECT, new session", select, _MAIL, 1, Kind.MILLISECONDS),
    *(
        _one(f"fetch-{name}", f"FETCH {words}", fetching(f"fetch-{name}", items, most), _MAIL, goal, Kind.MESSAGES)
        for name, words, items, most, goal in (
            ("flags", "UID FLAGS", "(UID FLAGS)", None, 1),
            ("envelope", "ENVELOPE set", "(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)", None, 3),
            ("structure", "BODYSTRUCTURE", "(BODYSTRUCTURE)", None, 1),
            ("fields", "header fields", "(BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])", None, 1),
            ("body", "BODY.PEEK[] of 500", "(BODY.PEEK[])", 500, 1.5),
        )
    ),
    _one("store-many", "STORE of 1,000", store_many, _MAIL, 1, Kind.MESSAGES),
    _one("store-own", "single STOREs, 16 own mailboxes", storing("store-own", shared=False), _MAIL, 1, Kind.TIMES),
    _one("store-shared", "single STOREs, 16 in one mailbox", storing("store-shared", shared=True), _MAIL, 1, Kind.TIMES),
    *(
        _one(
            f"search-{name}", f"SEARCH {criteria.split()[0]}", searching(f"search-{name}", criteria, wanted), _MAIL, goal, Kind.MILLISECONDS
        )
        for name, criteria, wanted, goal in (
            ("unseen", "UNSEEN", lambda number, _: number % 3 == 0, 2),
            ("from", f"FROM {SENDER}", lambda _, one: one.has_sender, 2),
            ("subject", f"SUBJECT {SUBJECT}", lambda _, one: one.has_subject, 2),
            ("since", "SINCE 1-Jan-2020 SMALLER 5000", _is_small, 2),
            ("body", f"BODY {RARE}", lambda _, one: one.has_rare, 20),
        )
    ),
    Case(
        "copy",
        copy,
        tuple(_row(key, f"{key.upper()} of 1,000", _MAIL, 1, Kind.MESSAGES) for key in ("copy", "move", "expunge")),
    ),
    Case(
        "list",
        listing("list", FOLDERS, _folders, lambda sizes: sizes.folders, subscribed=True),
        (
            _row("list", "LIST of 1,000 folders", _MAIL, 2, Kind.MILLISECONDS),
            _row("list-status", "LIST-STATUS of 1,000 folders", _MAIL, 2, Kind.MILLISECONDS),
            _row("lsub", "LSUB of 100 among them", _MAIL, 2, Kind.MILLISECONDS),
        ),
    ),
    Case(
        "shared",
        listing("shared", VIEWER, _shares, lambda sizes: sizes.sharers),
        (
            _row("shared", "LIST of 200 owners' folders", _MAIL, 2, Kind.MILLISECONDS),
            _row("shared-status", "LIST-STATUS of 200 owners' folders", _MAIL, 2, Kind.MILLISECONDS),
        ),
    ),
    _one("mixed", "50 clients, random commands", mixed, _MAIL, 1.5, Kind.TIMES),
    Case(
        "idle",
        idle,
        (
            _row("idle-memory", "memory of an idle connection", _IDLE, 1, Kind.KIBIBYTES),
            _row("exists-50", "delivery to EXISTS, p50", _IDLE, 5, Kind.AT_MOST),
            _row("exists-99", "delivery to EXISTS, p99", _IDLE, 15, Kind.AT_MOST),
        ),
    ),
    Case("idle-many", idle_many, (_row("idle-many-memory", "memory of one of 5,000 that idle", _IDLE, 1, Kind.KIBIBYTES),), rare=True),
)
ROWS: Final[Sequence[Row]] = tuple(row for case in CASES for row in case.rows)
