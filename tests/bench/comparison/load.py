"""The clients: IMAP, SMTP and LMTP as bare protocols that do next to nothing for an octet, and the clocks beside them.

They run in this process, which is none of the servers'; `Figure.client` says how much of a processor it took for itself.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from tests.live.server import PASSWORD

Act = Callable[[], Awaitable[int]]
"""Does something, and says how many it were."""
PATIENCE: Final = 60.0
"""Seconds that an answer may take."""


class Wrong(Exception):
    """A server did not do what it was asked, or said something else than it should."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one operation cost in one turn: `cost` in seconds (or what its row counts in), `cpu` in the server's processor seconds.

    `client`: the share of one processor that the client took. None: not measured.
    """

    cost: float
    cpu: float | None = None
    client: float | None = None


def middle(figures: Sequence[Figure]) -> Figure:
    """The medians."""

    def median(name: str) -> float | None:
        values = [value for one in figures if (value := getattr(one, name)) is not None]
        return statistics.median(values) if values else None

    cost = median("cost")
    assert cost is not None
    return Figure(cost, median("cpu"), median("client"))


def mean(figures: Sequence[Figure]) -> Figure:
    """Of what was done several times in one turn."""
    return Figure(statistics.fmean(one.cost for one in figures), statistics.fmean(one.cpu or 0.0 for one in figures))


class Clock:
    """From its making to `figure`. `server`: the processor seconds that the server has used so far."""

    def __init__(self, server: Callable[[], float]) -> None:
        self._server = server
        self._cpu, self._client, self._began = server(), time.process_time(), time.perf_counter()
        self._wall: float | None = None

    def stop(self) -> None:
        """What comes later costs processor time only."""
        self._wall = time.perf_counter() - self._began
        self._client = (time.process_time() - self._client) / self._wall

    def figure(self, operations: int) -> Figure:
        if self._wall is None:
            self.stop()
        if not operations or self._wall is None:
            raise Wrong("nothing was done")
        return Figure(self._wall / operations, (self._server() - self._cpu) / operations, self._client)


async def repeated(
    server: Callable[[], float], seconds: float, *acts: Act, after: Callable[[], Awaitable[object]] | None = None, sustained: bool = False
) -> Figure:
    """Each act again and again beside the others, until the time is up; each that was begun is finished. `after`: what the server has to do
    yet counts as its processor time; with `sustained` it takes time too."""
    clock = Clock(server)
    end = time.perf_counter() + seconds

    async def again(act: Act) -> int:
        done = await act()
        while time.perf_counter() < end:
            done += await act()
        return done

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(again(act)) for act in acts]
    if not sustained:
        clock.stop()
    if after is not None:
        await after()
    return clock.figure(sum(task.result() for task in tasks))


class _Peer(asyncio.Protocol):
    """What is read is looked at by `_look`, which says when somebody who waits has an answer."""

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._waiting: asyncio.Future[Any] | None = None
        self.lost = False

    @classmethod
    async def to(cls, port: int) -> Self:
        loop = asyncio.get_running_loop()
        one = cls()
        one._waiting = loop.create_future()
        waiting = one._waiting
        await asyncio.wait_for(loop.create_connection(lambda: one, "127.0.0.1", port), PATIENCE)
        await waiting
        return one

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Wrong(f"the server closed ({exc})"))

    def _ask(self, octets: bytes) -> asyncio.Future[Any]:
        if self.lost:
            raise Wrong("the server had closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self.transport.write(octets)
        return self._waiting

    def _answer(self, value: object) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(value)

    def close(self) -> None:
        self.transport.abort()


class Imap(_Peer):
    def __init__(self) -> None:
        super().__init__()
        self._read = bytearray(b"\r\n")
        self._until = b"\r\n* OK"
        self._number = 0
        self.told: Callable[[bytes], None] | None = None
        """While idling."""

    def data_received(self, data: bytes) -> None:
        if self.told is not None:
            self.told(data)
            return
        was = len(self._read)
        self._read += data
        at = self._read.find(self._until, max(0, was - 512))
        if at >= 0 and self._read.endswith(b"\r\n") and self._read.find(b"\r\n", at + 2) >= 0:
            said, self._read = self._read, bytearray(b"\r\n")
            self._answer(said)

    def begin(self, line: bytes) -> asyncio.Future[bytearray]:
        self._number += 1
        tag = b"t%06d" % self._number
        self._until = b"\r\n" + tag + b" "
        return self._ask(tag + b" " + line + b"\r\n")

    async def do(self, line: str | bytes) -> bytearray:
        """What was said; Wrong unless it was OK."""
        said = await self.begin(line.encode() if isinstance(line, str) else line)
        if said.rfind(self._until + b"OK") < 0:
            raise Wrong(f"{line[:80]!r}: {bytes(said[-200:])!r}")
        return said

    async def login(self, user: str) -> Imap:
        await self.do(f'LOGIN "{user}" "{PASSWORD}"')
        return self

    async def append(self, folder: str, messages: Sequence[bytes], flags: Sequence[str] = ()) -> None:
        """All at once (RFC 3502), in literals that nobody waits for (RFC 7888)."""
        told = [*(f" ({one})" for one in flags), *[""] * (len(messages) - len(flags))]
        parts = [b"%b {%d+}\r\n%b" % (flag.encode(), len(one), one) for flag, one in zip(told, messages, strict=True)]
        await self.do(f'APPEND "{folder}"'.encode() + b"".join(parts))

    async def count(self, folder: str) -> int:
        said = re.search(rb"MESSAGES (\d+)", await self.do(f'STATUS "{folder}" (MESSAGES)'))
        return int(said[1]) if said else -1

    async def select(self, folder: str) -> int:
        """How many messages there are."""
        said = re.search(rb"\* (\d+) EXISTS", await self.do(f'SELECT "{folder}"'))
        return int(said[1]) if said else -1

    async def idle(self, told: Callable[[bytes], None]) -> None:
        self._until = b"\r\n+ "
        self._number += 1
        await self._ask(b"t%06d IDLE\r\n" % self._number)
        self.told = told


def counted(said: bytes | bytearray, kind: bytes = b"FETCH") -> int:
    """Lines "* N KIND" and "* KIND"."""
    return len(re.findall(rb"\r\n\* (?:\d+ )?" + kind + rb"(?=[ \r])", said))


class Smtp(_Peer):
    """SMTP with AUTH, and LMTP."""

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""
        self._replies: list[bytes] = []
        self._wanted = 1

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        self._replies += [line for line in lines if line[3:4] != b"-"]
        if len(self._replies) >= self._wanted:
            found, self._replies = self._replies, []
            self._answer(found)

    async def ask(self, octets: bytes, replies: int = 1) -> None:
        self._wanted = replies
        for reply in await self._ask(octets):
            if reply[:1] not in b"23":
                raise Wrong(f"{octets[:60]!r}: {reply!r}")

    @classmethod
    async def ready(cls, port: int, user: str | None = None) -> Smtp:
        """Greeted, and logged in; without a user it is LMTP."""
        one = await cls.to(port)
        await one.ask(b"EHLO client.bench.test\r\n" if user else b"LHLO client.bench.test\r\n")
        if user:
            await one.ask(b"AUTH PLAIN " + b64encode(f"\0{user}\0{PASSWORD}".encode()) + b"\r\n")
        return one

    async def send(self, sender: str, recipient: str, octets: bytes) -> None:
        """Both servers announce PIPELINING (RFC 2920)."""
        await self.ask(f"MAIL FROM:<{sender}>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n".encode(), 3)
        await self.ask(octets + b".\r\n")
