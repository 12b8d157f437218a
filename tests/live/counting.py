"""A wire to PostgreSQL that counts how often its server is asked: a proxy on loopback, in the loop of the test.

Whatever a client sends before it waits ends with Sync or is a simple query, so these are the ways to the server and back. What nodes
say to each other in between (store/nodes.py) is counted apart.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Final

from tests.live.wire import Wire

_BETWEEN_NODES: Final = (b"procura_join", b"pg_notify", b"FROM node", b"UPDATE node", b"node_call")
_WAITS: Final = b"SQ"
_SSL: Final = 80877103


@dataclass
class _Heard:
    """One connection's. `prepared`: texts by the names that they were given."""

    between_nodes: bool = False
    said: list[bytes] = field(default_factory=list)
    prepared: dict[bytes, bytes] = field(default_factory=dict)


class Counting(Wire):
    """`url`: as the server's, through here. `asked`: what was asked since `forget`, once for each way to the server."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._heard: list[_Heard] = []

    @property
    def asked(self) -> list[str]:
        return [text.decode() for wire in self._heard if not wire.between_nodes for text in wire.said]

    def forget(self) -> None:
        for wire in self._heard:
            wire.said.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = _Heard()
        self._heard.append(wire)
        there: asyncio.StreamWriter | None = None
        back: asyncio.Task[None] | None = None
        try:
            answers, there = await self.there()
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


async def _forth(reader: asyncio.StreamReader, there: asyncio.StreamWriter, wire: _Heard) -> None:
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
