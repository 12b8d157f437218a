"""A wire to PostgreSQL that can be cut at a chosen moment: a proxy on loopback, in the loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum

from tests.live.wire import Wire

COMMIT = b"COMMIT\x00"


class Cut(Enum):
    """When a connection that says COMMIT is lost."""

    BEFORE = "the server never hears it"
    AFTER = "the server has done it, and nobody hears that"
    LATE = "the server hears it when the connection was lost long ago"


class Severing(Wire):
    """`url`: as the server's, through here. `cuts`: what befalls the next ones that say COMMIT. `dead`: nobody gets through."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._open: set[asyncio.StreamWriter] = set()
        self.cuts: list[Cut] = []
        self.made = 0
        self.dead = False
        self.silent = asyncio.Event()
        self.silent.set()

    async def __aexit__(self, *fault: object) -> None:
        self.silent.set()
        self.cut_all()
        await super().__aexit__(*fault)

    def cut_all(self) -> None:
        """Every connection that there is."""
        for writer in [*self._open]:
            writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            if self.dead:
                return
            answers, there = await self.there()
            self._open.add(there)
            deaf = asyncio.Event()
            back = asyncio.create_task(self._back(answers, writer, deaf))
            try:
                await self._forth(reader, there, writer, deaf)
            finally:
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
        except OSError:
            pass
        finally:
            for one in (writer, there):
                if one is not None:
                    self._open.discard(one)
                    one.transport.abort()

    async def _forth(
        self, reader: asyncio.StreamReader, there: asyncio.StreamWriter, writer: asyncio.StreamWriter, deaf: asyncio.Event
    ) -> None:
        while octets := await reader.read(1 << 16):
            await self.silent.wait()
            if COMMIT in octets and self.cuts:
                cut = self.cuts.pop(0)
                self.made += 1
                if cut is Cut.BEFORE:
                    return
                deaf.set()
                if cut is Cut.LATE:
                    writer.transport.abort()
                    await asyncio.sleep(0.3)
                there.write(octets)
                with contextlib.suppress(OSError):
                    await there.drain()
                if cut is Cut.AFTER:
                    await asyncio.sleep(0.2)
                return
            there.write(octets)
            await there.drain()

    async def _back(self, answers: asyncio.StreamReader, writer: asyncio.StreamWriter, deaf: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while octets := await answers.read(1 << 16):
                await self.silent.wait()
                if deaf.is_set():
                    continue
                writer.write(octets)
                await writer.drain()
            writer.transport.abort()
