"""A wire to PostgreSQL that counts how often its server is asked: a proxy on loopback, in the loop of the test.

Whatever a client sends before it waits ends with Sync or is a simple query, so these are the ways to the server and back. What nodes
say to each other in between (store/nodes.py) is counted apart.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_BETWEEN_NODES: Final = (b"procura_join", b"pg_notify", b"FROM node", b"UPDATE node", b"node_call")
_WAITS: Final = b"SQ"
_SSL: Final = 80877103


@dataclass
class _Wire:
    """One connection's. `prepared`: texts by the names that they were given."""

    between_nodes: bool = False
    said: list[bytes] = field(default_factory=list)
    prepared: dict[bytes, bytes] = field(default_factory=dict)


class Counting:
    """`url`: as the server's, through here. `asked`: what was asked since `forget`, once for each way to the server."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wires: list[_Wire] = []
        self.url = ""

    async def __aenter__(self) -> Counting:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = self._parts.netloc.rpartition("@")[0]
        self.url = self._parts._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def asked(self) -> list[str]:
        return [text.decode() for wire in self._wires if not wire.between_nodes for text in wire.said]

    def forget(self) -> None:
        for wire in self._wires:
            wire.said.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        wire = _Wire()
        self._wires.append(wire)
        there: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        try:
            answers, there = await asyncio.open_connection(self._parts.hostname, self._parts.port)
            back = asyncio.create_task(_back(answers, writer))
            await _forth(reader, there, wire)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            if back is not None:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
            for one in (writer, there):
                if one is not None:
                    one.transport.abort()
            self._tasks.discard(task)


async def _forth(reader: asyncio.StreamReader, there: asyncio.StreamWriter, wire: _Wire) -> None:
    started, text = False, b""
    while True:
        # The first messages have no letter (PostgreSQL's protocol, section 55.7).
        kind = await reader.readexactly(1) if started else b""
        length = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(length) - 4)
        if not started:
            started = int.from_bytes(body[:4]) != _SSL
        elif kind == b"P":
            name, text, _ = body.split(b"\0", 2)
            wire.prepared[name] = text
            wire.between_nodes = wire.between_nodes or any(name in text for name in _BETWEEN_NODES)
        elif kind == b"B":
            text = wire.prepared.get(body.split(b"\0", 2)[1], b"")
        elif kind == b"Q":
            text = body[:-1]
        if kind and kind in _WAITS:
            wire.said.append(text)
        there.write(kind + length + body)
        await there.drain()


async def _back(answers: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while octets := await answers.read(1 << 16):
            writer.write(octets)
            await writer.drain()
        writer.transport.abort()
