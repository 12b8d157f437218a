"""A wire to PostgreSQL that can be cut at a chosen moment: a proxy on loopback, in the loop of the test."""

from __future__ import annotations

import asyncio
import contextlib
from enum import Enum
from urllib.parse import urlsplit

COMMIT = b"COMMIT\x00"


class Cut(Enum):
    """When a connection that says COMMIT is lost."""

    BEFORE = "the server never hears it"
    AFTER = "the server has done it, and nobody hears that"
    LATE = "the server hears it when the connection was lost long ago"


class Severing:
    """`url`: as the server's, through here. `cuts`: what befalls the next ones that say COMMIT. `dead`: nobody gets through."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._host, self._port = parts.hostname, parts.port
        self._parts = parts
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.cuts: list[Cut] = []
        self.made = 0
        self.dead = False
        self.silent = asyncio.Event()
        self.silent.set()
        self.url = ""

    async def __aenter__(self) -> Severing:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        login = self._parts.netloc.rpartition("@")[0]
        self.url = self._parts._replace(netloc=f"{login}@127.0.0.1:{port}").geturl()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.silent.set()
        self.cut_all()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut_all(self) -> None:
        """Every connection that there is."""
        for writer in [*self._open]:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._open.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            if self.dead:
                return
            answers, there = await asyncio.open_connection(self._host, self._port)
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
            self._tasks.discard(task)

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
