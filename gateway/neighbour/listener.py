"""How does one connection of a neighbour become questions and answers? Carrier, frame, map or access decision, answer.

One listener speaks both protocols, told apart by the first octet of a connection: a netstring begins with a digit, an attribute of a
policy request with a letter. Neither has a login, so both have the same guard: `policy_networks`, or the mode of a Unix socket.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from config.addresses import ListenAddress, TcpAddress, UnixAddress
from gateway.binding import BACKLOG, spelled
from gateway.carrier import Carrier, Reading, Wheel
from gateway.neighbour import attributes, socketmap
from gateway.neighbour.attributes import Request
from gateway.neighbour.socketmap import Lookup
from gateway.smtp.terms import Admission
from store.errors import StoreError

log = logging.getLogger(__name__)

NAME: Final = "policy"
UNIX_MODE: Final = 0o660
"""The socket's owner and group: whoever may connect may ask who may do what."""
IDLE: Final = 1_200.0
"""Seconds between two questions: Postfix itself gives up a connection after 300 without one and after 1000 altogether."""
WHOLE: Final = 30.0
"""Seconds for a question to arrive once it has begun; neighbours write it at once."""
ANSWERED: Final = 50.0
"""Seconds in which an answer is found, or "later" takes its place; Postfix waits 100."""
WAITING: Final = 2 * attributes.REQUEST
"""Octets that may wait behind a question that is being answered; then the neighbour is read no further."""
_LATER: Final = "not now, try again later"

LookUp = Callable[[Lookup], Awaitable[bytes]]
Decide = Callable[[Request], Awaitable[str]]


class Connection:
    """One connection, which asks one thing after the other."""

    __slots__ = ("_address", "_asked", "_carrier", "_house", "_looked_at", "_task", "_welcome")

    def __init__(self, house: "NeighbourListener", carrier: Carrier) -> None:
        self._house = house
        self._carrier = carrier
        self._asked = bytearray()
        self._looked_at = 0
        self._task: asyncio.Task[None] | None = None
        self._address = ""
        self._welcome = False

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What is being answered."""
        return self._task

    def connected(self) -> None:
        """The neighbour is there."""
        self._address = self._carrier.peer
        why_not = self._house.admission.enter(self._address)
        if why_not is not None:
            log.warning("connection", extra={"fields": {"listener": NAME, "peer": self._address, "outcome": "refused", "reason": why_not}})
            self._carrier.abort()
            return
        self._welcome = True
        self._house.here.add(self)
        if self._house.stopping:
            self._carrier.close()
            return
        self._carrier.expect(IDLE)

    def received(self, octets: memoryview) -> None:
        """Octets came."""
        if not self._welcome or self._house.stopping:
            return
        if not self._asked and self._task is None:
            self._carrier.expect(WHOLE)
        self._asked += octets
        if self._task is not None:
            if len(self._asked) > WAITING:
                self._carrier.hold()
            return
        self._task = self._next()

    def _next(self) -> asyncio.Task[None] | None:
        """Begins to answer the first whole question; None: there is none, or nothing more will be heard."""
        question: Lookup | Request
        try:
            if not self._asked:
                return None
            if 0x30 <= self._asked[0] <= 0x39:
                lookup = socketmap.take(self._asked)
                if lookup is None:
                    return None
                question, size = lookup
            else:
                request = attributes.take(self._asked, self._looked_at)
                if request is None:
                    self._looked_at = len(self._asked)
                    return None
                question, size = request
        except (socketmap.BadFrame, attributes.BadRequest) as bad:
            log.warning("question", extra={"fields": {"listener": NAME, "peer": self._address, "outcome": "cut off", "reason": str(bad)}})
            self._carrier.abort()
            return None
        del self._asked[:size]
        self._looked_at = 0
        return asyncio.get_running_loop().create_task(self._serve(question))

    async def _serve(self, question: Lookup | Request) -> None:
        self._carrier.expect(None)
        try:
            self._carrier.write(await self._answer(question))
            if self._carrier.stalled:
                await self._carrier.drain()
        except ConnectionError:
            self._carrier.abort()
        finally:
            self._task = None
        if self._house.stopping:
            self._carrier.close()
        elif not self._carrier.lost:
            self._carrier.expect(WHOLE if self._asked else IDLE)
            self._carrier.listen()
            self._task = self._next()

    async def _answer(self, question: Lookup | Request) -> bytes:
        match question:
            case Lookup():
                try:
                    async with asyncio.timeout(ANSWERED):
                        return await self._house.look_up(question)
                except (StoreError, TimeoutError):
                    return socketmap.later(_LATER)
                except Exception as fault:
                    return socketmap.later(f"{_LATER} ({_on_log(fault)})")
            case Request():
                try:
                    async with asyncio.timeout(ANSWERED):
                        return attributes.spell(await self._house.decide(question))
                except (StoreError, TimeoutError):
                    return attributes.spell(f"DEFER 4.3.2 {_LATER}")
                except Exception as fault:
                    return attributes.spell(f"DEFER 4.3.0 {_LATER} ({_on_log(fault)})")

    def late(self) -> None:
        """Nothing came in time."""
        self._carrier.abort()

    def stop(self) -> None:
        """Nothing more is asked; what is being answered is answered."""
        if self._task is None:
            self._carrier.close()

    def abort(self) -> None:
        """The end, whatever is being answered."""
        self._carrier.abort()

    def ended(self) -> None:
        """The connection is gone."""
        if self._welcome:
            self._welcome = False
            self._house.here.discard(self)
            self._house.admission.leave(self._address)
        if self._task is not None:
            self._task.cancel()


class NeighbourListener:
    """`look_up` answers a lookup whole, `decide` a request with an action; both may raise StoreError, and whatever else they raise is a
    fault of ours: "later", with an id that the log has."""

    def __init__(self, look_up: LookUp, decide: Decide, wheel: Wheel, admission: Admission) -> None:
        self.look_up = look_up
        self.decide = decide
        self.admission = admission
        self.here: set[Connection] = set()
        self.stopping = False
        self._wheel = wheel
        self._reading = Reading()
        self._servers: list[asyncio.Server] = []
        self._paths: list[tuple[str, int]] = []

    async def start(self, addresses: "Sequence[ListenAddress | socket.socket]") -> tuple[str, ...]:
        """Listen, and return where. Sockets are taken as they are, bound already.

        Raises OSError where an address cannot be had; nothing listens then.
        """
        bound: list[str] = []
        try:
            bound += [await self._listen(address) for address in addresses]
        except OSError:
            await self.close(0)
            raise
        return tuple(bound)

    async def _listen(self, address: "ListenAddress | socket.socket") -> str:
        loop = asyncio.get_running_loop()
        match address:
            case TcpAddress(host, port):
                server = await loop.create_server(self._carrier, host, port, backlog=BACKLOG, reuse_address=True)
                self._servers.append(server)
                return spelled(server.sockets[0])
            case UnixAddress(path):
                server = await loop.create_unix_server(self._carrier, path, backlog=BACKLOG, start_serving=False)
                self._servers.append(server)
                self._paths.append((path, os.stat(path).st_ino))  # noqa: PTH116
                os.chmod(path, UNIX_MODE)  # noqa: PTH101
                await server.start_serving()
                return str(address)
            case socket.socket():
                unix = address.family == socket.AF_UNIX
                make = loop.create_unix_server if unix else loop.create_server
                self._servers.append(await make(self._carrier, sock=address, backlog=BACKLOG))
                return spelled(address)

    def _carrier(self) -> Carrier:
        return Carrier(self._wheel, self._reading, lambda made: Connection(self, made))

    async def close(self, seconds: float) -> None:
        """No new connections; what is being answered gets so many seconds."""
        self.stopping = True
        for server in self._servers:
            server.close()
        self._servers.clear()
        for path, inode in self._paths:
            with contextlib.suppress(OSError):
                if os.stat(path).st_ino == inode:  # noqa: PTH116 — not the socket of a server that came after us
                    os.unlink(path)  # noqa: PTH108
        self._paths.clear()
        here = list(self.here)
        for connection in here:
            connection.stop()
        waiting = {connection.task for connection in here if connection.task is not None}
        if waiting and seconds > 0:
            await asyncio.wait(waiting, timeout=seconds)
        for connection in list(self.here):
            connection.abort()


def _on_log(fault: Exception) -> str:
    """Under which id it is on the log."""
    number = secrets.token_hex(4)
    log.error("fault", exc_info=fault, extra={"fields": {"listener": NAME, "error_id": number}})
    return number
