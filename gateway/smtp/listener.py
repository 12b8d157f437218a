"""Starting and stopping a listener for submission, LMTP or MX, and how many connections it takes from where."""

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final

from config.addresses import ListenAddress, TcpAddress, UnixAddress
from gateway.binding import BACKLOG, UNIX_MODE, spelled
from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.terms import Admission, House, Network, Terms, is_within
from gateway.tallies import OwnTally, Tally

log = logging.getLogger(__name__)

_ALL: Final = ""
_KIND: Final = " "
"""Before the name of a kind of door: no address begins so."""
IPV6_SOURCE: Final = 64
"""RFC 6177: one customer has at least a /64, so an address of it is no source of its own."""


@lru_cache(maxsize=4096)  # a connection asks twice
def _source_of(address: str, exempt: tuple[Network, ...]) -> str | None:
    """What connections are counted by; None: they are not."""
    if not address or is_within(address, exempt):
        return None
    ip = ipaddress.ip_address(address)
    return address if ip.version == 4 else str(ipaddress.ip_network((ip, IPV6_SOURCE), strict=False))


class ConnectionLimits:
    """How many connections there are, altogether, at each kind of door and from each source; the same object for all listeners of a
    process, and the same `tally` for all processes.

    `reserved`: so many of all are kept for each of the `kinds` of doors, at most a tenth, so that a crowd at one of them, even of idle
    people, keeps nobody out who comes to another. A source is an IPv4 address or an IPv6 /64. Sources in `exempt`, and Unix sockets,
    count only for the total.
    """

    def __init__(
        self,
        total: int,
        per_source: int,
        exempt: Sequence[Network] = (),
        tally: Tally | None = None,
        reserved: int = 0,
        kinds: Sequence[str] = (),
    ) -> None:
        self._total = total
        self._per_source = per_source
        self._exempt = tuple(exempt)
        self._tally = tally or OwnTally()
        self._reserved = min(reserved, total // 10)
        self._kinds = kinds

    @property
    def count(self) -> int:
        """Connections now."""
        return self._tally.of(_ALL)

    def door(self, kind: str) -> "Door":
        """For the listeners of this kind."""
        return Door(self, kind)

    def enter(self, address: str, kind: str = "") -> str | None:
        """None, and the connection is counted until `leave`; or the 421 that it gets."""
        there = self._tally.add(_ALL)
        if there > self._total - self._reserved * len(self._kinds) and there > self._total - self._kept(kind):
            self._tally.take(_ALL)
            return "421 4.3.2 too many connections, try again later"
        source = _source_of(address, self._exempt)
        if source is not None and self._tally.add(source) > self._per_source:
            self._tally.take(source)
            self._tally.take(_ALL)
            return "421 4.7.0 too many connections from your network, try again later"
        if kind:
            self._tally.add(_KIND + kind)
        return None

    def leave(self, address: str, kind: str = "") -> None:
        """A connection that had entered has ended."""
        self._tally.take(_ALL)
        if kind:
            self._tally.take(_KIND + kind)
        source = _source_of(address, self._exempt)
        if source is not None:
            self._tally.take(source)

    def _kept(self, kind: str) -> int:
        """What the other kinds of doors have not used of what is kept for them."""
        return sum(max(0, self._reserved - self._tally.of(_KIND + other)) for other in self._kinds if other != kind)


class Door:
    """The limits, as the listeners of one kind meet them."""

    def __init__(self, limits: ConnectionLimits, kind: str) -> None:
        self._limits = limits
        self._kind = kind

    def enter(self, address: str) -> str | None:
        """None, or the reply with which the connection ends."""
        return self._limits.enter(address, self._kind)

    def leave(self, address: str) -> None:
        """A connection that had entered has ended."""
        self._limits.leave(address, self._kind)


class Neighbours:
    """Only peers within `networks` (`lmtp_networks`), and those of a Unix socket; within the limits as everybody."""

    def __init__(self, networks: Sequence[Network], limits: Admission) -> None:
        self._networks = networks
        self._limits = limits

    def enter(self, address: str) -> str | None:
        """None, or the reply with which the connection ends."""
        if address and not is_within(address, self._networks):
            # Not 554, which would have to wait for QUIT (RFC 5321 section 3.1); and mail waits while the setting is put right.
            return "421 4.7.1 mail is not taken from your network here, goodbye"
        return self._limits.enter(address)

    def leave(self, address: str) -> None:
        """A connection that had entered has ended."""
        self._limits.leave(address)


class Listener:
    """One kind of connection on any number of addresses. `hooks` makes the handler of a connection."""

    def __init__(self, engine: type[HardenedSMTP], terms: Terms, house: House, hooks: Callable[[], Any]) -> None:
        self._engine = engine
        self._terms = terms
        self._house = house
        self._hooks = hooks
        self._servers: list[asyncio.Server] = []
        self._paths: list[tuple[str, int]] = []

    @property
    def name(self) -> str:
        """As the ready file and the log have it."""
        return self._terms.name

    async def start(self, addresses: "Sequence[ListenAddress | socket.socket]") -> tuple[str, ...]:
        """Listen, and return where: `127.0.0.1:1587`, `[::1]:1587`, `unix:/path`. Sockets are taken as they are, bound already.

        Raises OSError where an address cannot be had; nothing listens then.
        """
        bound: list[str] = []
        try:
            for address in addresses:
                server = await self._serve(address)
                self._servers.append(server)
                bound += [spelled(one) for one in server.sockets]
        except OSError:
            await self.close(0)
            raise
        return tuple(bound)

    async def _serve(self, address: "ListenAddress | socket.socket") -> asyncio.Server:
        loop = asyncio.get_running_loop()
        match address:
            case TcpAddress(host, port):
                return await loop.create_server(self._connection, host, port, backlog=BACKLOG, reuse_address=True)
            case UnixAddress(path):
                server = await loop.create_unix_server(self._connection, path, backlog=BACKLOG, start_serving=False)
                self._paths.append((path, os.stat(path).st_ino))  # noqa: PTH116
                os.chmod(path, UNIX_MODE)  # noqa: PTH101
                await server.start_serving()
                return server
            case socket.socket():
                if address.family == socket.AF_UNIX:
                    return await loop.create_unix_server(self._connection, sock=address, backlog=BACKLOG)
                return await loop.create_server(self._connection, sock=address, backlog=BACKLOG)

    def _connection(self) -> HardenedSMTP:
        return self._engine(self._hooks(), self._terms, self._house)

    async def close(self, seconds: float) -> None:
        """Take no more connections, end those that are there (421; a commit under way is finished), and return when they have ended.

        After `seconds` those that remain are cut off. `house` must not be shared with a listener that goes on.
        """
        for server in self._servers:
            server.close()
        self._servers.clear()
        for path, inode in self._paths:
            with contextlib.suppress(OSError):
                if os.stat(path).st_ino == inode:  # noqa: PTH116 — not the socket of a server that came after us
                    os.unlink(path)  # noqa: PTH108
        self._paths.clear()
        here = list(self._house.here)
        for connection in here:
            connection.stop()
        waiting = {task for connection in here if (task := connection.task) is not None} | self._house.commits
        if waiting and seconds > 0:
            _, waiting = await asyncio.wait(waiting, timeout=seconds)
        for connection in list(self._house.here):
            connection.abort()
        if waiting:
            log.warning("smtp.cut_off", extra={"fields": {"listener": self.name, "reason": f"{len(waiting)} did not end in time"}})
