"""A database behind the back of its store: what is there, and what nobody of ours would write."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import asyncpg

T = TypeVar("T")


class Rows(Protocol):
    def __iter__(self) -> Iterator[Any]: ...

    def fetchone(self) -> Any: ...

    def fetchall(self) -> list[Any]: ...


class Behind(Protocol):
    """Each statement is a transaction; parameters are question marks."""

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows: ...

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> object: ...

    def close(self) -> None: ...


def embedded(path: Path | str) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=20)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One that runs in a thread of its own, so that who waits for it may have a loop too."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="behind", daemon=True).start()
    return loop


def waited(something: Coroutine[Any, Any, T]) -> T:
    return asyncio.run_coroutine_threadsafe(something, _loop()).result(60)


class _Fetched:
    def __init__(self, rows: Sequence[Any]) -> None:
        self._rows = [tuple(row) for row in rows]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def fetchone(self) -> Any:
        return self._rows[0] if self._rows else None

    def fetchall(self) -> list[Any]:
        return self._rows


class SharedBehind:
    """On PostgreSQL."""

    def __init__(self, url: str) -> None:
        self.connection: asyncpg.Connection[Any] = waited(asyncpg.connect(url.partition("?")[0]))

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> _Fetched:
        return _Fetched(waited(self.connection.fetch(_numbered(sql), *parameters)))

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> None:
        waited(self.connection.executemany(_numbered(sql), [*rows]))

    def close(self) -> None:
        waited(self.connection.close())


def _numbered(sql: str) -> str:
    first, *others = sql.split("?")
    return first + "".join(f"${number}{rest}" for number, rest in enumerate(others, 1))
