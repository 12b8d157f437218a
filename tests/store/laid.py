"""New stores on SQLite whose schema is not made anew, which is most of what opening one takes: each is a copy of one that was made once."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
import threading
from functools import cache
from pathlib import Path
from typing import Final

from store.connect import connect, database_of
from store.durable import private
from store.migrate import migrate, steps

START: Final = 1_800_000_000_000_000
"""When they were made, in microseconds since 1970 UTC."""


def laid(url: str, data: Path) -> str:
    """`url`, where connect(url, data) now finds a store that is made and empty, unless it is one of PostgreSQL."""
    if url.startswith("sqlite:") and not (file := database_of(url, data)).exists():
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(file, "xb", opener=private) as new:
            new.write(_file())
    return url


def in_memory() -> sqlite3.Connection:
    """A database with our schema."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.deserialize(_octets())
    return connection


@cache
def _file() -> bytes:
    url = "sqlite:///{data}/made.db"

    async def make(data: Path) -> None:
        await (await connect(url, data, now=lambda: START)).close()

    with tempfile.TemporaryDirectory() as directory:
        # Whoever asks may have a loop that runs.
        thread = threading.Thread(target=lambda: asyncio.run(make(Path(directory))))
        thread.start()
        thread.join()
        return database_of(url, Path(directory)).read_bytes()


@cache
def _octets() -> bytes:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection, steps(), lambda: START)
    octets = connection.serialize()
    connection.close()
    return octets
