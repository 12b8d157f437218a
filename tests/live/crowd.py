"""Clients by the thousand, each of which costs no more than a socket and a few octets."""

from __future__ import annotations

import asyncio
import resource
import ssl
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import pytest

from tests.live.server import PASSWORD, Server

AT_ONCE = 64
"""Who come at the same moment."""
PATIENCE = 60.0
"""Seconds that anything may take, however busy the machine is; what has to be quick is counted elsewhere."""


class Peer(asyncio.Protocol):
    """One connection, and what was said on it since it was last looked at."""

    def __init__(self) -> None:
        self.said = b""
        self.gone = False
        self._transport: asyncio.Transport | None = None
        self._token: bytes | None = None
        self._waiting: asyncio.Future[None] | None = None

    @classmethod
    async def connect(cls, port: int, tls: ssl.SSLContext | None = None) -> Peer:
        patience = None if tls is None else PATIENCE
        there = asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port, ssl=tls, ssl_handshake_timeout=patience)
        _, peer = await there
        return peer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.said += data
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        self._look()

    def _look(self) -> None:
        if self._waiting is not None and not self._waiting.done() and (self.gone or self._has(self._token)):
            self._waiting.set_result(None)

    def _has(self, token: bytes | None) -> bool:
        return token is not None and self.said.endswith(b"\r\n") and token in b"\r\n" + self.said

    def send(self, octets: bytes) -> None:
        assert self._transport is not None
        self._transport.write(octets)

    async def until(self, token: bytes | None) -> bytes:
        """What was said up to the line with this in it; None: until the connection ends."""
        while not self._has(token) and not self.gone:
            self._token = token
            self._waiting = asyncio.get_running_loop().create_future()
            async with asyncio.timeout(PATIENCE):
                await self._waiting
        said, self.said = self.said, b""
        if token is not None and token not in b"\r\n" + said:
            raise ConnectionError(f"waited for {token!r}, and it ended with {said!r}")
        return said

    async def do(self, command: bytes) -> bytes:
        """An IMAP command and its answer, which has to be OK; who is told to come back does."""
        said = b"\r\na NO [UNAVAILABLE]"
        while b"\r\na NO [UNAVAILABLE]" in b"\r\n" + said:
            self.send(b"a " + command + b"\r\n")
            said = await self.until(b"\r\na ")
        assert b"\r\na OK" in b"\r\n" + said, said
        return said

    async def greeted(self) -> bytes:
        return await self.until(b"\r\n")

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def one_by_one(some: Iterable[Callable[[], Awaitable[Peer]]]) -> list[Peer]:
    """All of them, no more than AT_ONCE at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one(begin: Callable[[], Awaitable[Peer]]) -> Peer:
        async with room:
            return await begin()

    return await asyncio.gather(*map(one, some))


async def idling(server: Server, user: str, tls: ssl.SSLContext | None = None) -> Peer:
    """Somebody who waits for mail; `tls`: over TLS from the first octet."""
    peer = await Peer.connect(server.ports["imap" if tls is None else "imaps"], tls)
    await peer.greeted()
    await peer.do(f'LOGIN {user} "{PASSWORD}"'.encode())
    await peer.do(b"SELECT INBOX")
    peer.send(b"a IDLE\r\n")
    await peer.until(b"\r\n+ ")
    return peer


def memory(server: Server) -> int:
    """Octets of all its processes, shared ones in parts (PSS)."""
    found = 0
    for pid in server.pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                found += 1024 * int(line.split()[1])
    return found


def need_descriptors(count: int) -> None:
    """For so many connections, here and in the server, which has the same limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"needs {count} descriptors, and may have {hard}")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
