"""A wire to PostgreSQL: a proxy on loopback, in the loop of the test, for those that listen to it or cut it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Self
from urllib.parse import urlsplit


class Wire(ABC):
    """`url`: as the server's, through here."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._begin, "127.0.0.1", 0)
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

    async def there(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of the server's. Raises OSError."""
        return await asyncio.open_connection(self._parts.hostname, self._parts.port)

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client's, until it is over."""

    async def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.serve(reader, writer)
        finally:
            self._tasks.discard(task)
