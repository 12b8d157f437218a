"""From a store's URL to the store: the one table of engines."""

import asyncio
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from store import deeds, statements
from store.errors import Unusable
from store.lock import Lock
from store.migrate import DIRECTORY_OF_STEPS, migrate, steps
from store.port import Store
from store.remote import RemoteStore
from store.sqlite import Connection, SqliteStore, opened
from store.supposed import copy
from store.writer import Bounds, Functions

LOCK_FILE: Final = "procura.lock"
RESTORING: Final = ".restoring"
"""A directory in that of data: a restore is under way, or was killed (gateway/directory/reinstallation.py)."""
READERS: Final = 8


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


async def connect(
    url: str,
    data: Path,
    *,
    now: Callable[[], int] = wall_clock,
    readers: int = READERS,
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    functions: Functions = deeds.FUNCTIONS,
    locks: Sequence[Lock] | None = None,
) -> Store:
    """Takes the lock, brings the schema up to date, opens. `{data}` in the URL stands for the directory. `locks`: those of `locked`, where
    they are taken already.

    Raises InUse when another process has it, Unusable when it cannot be opened as it is.
    """
    return await _sqlite(database_of(url, data), now, readers, bounds, functions, locked(url, data) if locks is None else locks)


def has_one_writer(url: str) -> bool:
    """May only one process write it, for all that serve?"""
    return url.startswith("sqlite:")


def connect_remote(url: str, data: Path, life: int, *, now: Callable[[], int] = wall_clock, readers: int = READERS) -> RemoteStore:
    """A store that another process writes, which has opened it before. Raises Unusable."""
    return RemoteStore(database_of(url, data), statements.load(), now, readers, life)


def database_of(url: str, data: Path) -> Path:
    """The file of a SQLite store. Raises Unusable."""
    scheme, _, place = url.replace("{data}", str(data)).partition("://")
    match scheme:
        case "sqlite" if place.startswith("/") and len(place) > 1:
            return Path(place[1:])
        case "sqlite":
            raise Unusable(f"{url}: a SQLite store is sqlite:///PATH")
        case _:
            raise Unusable(f"{url}: no such kind of store; there is sqlite:///PATH")


def locked(url: str, data: Path) -> Sequence[Lock]:
    """The locks of the store, taken: whoever has them may open it. Raises InUse, Unusable."""
    path = database_of(url, data)
    try:
        for directory in (data, path.parent):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}") from None
    if (data / RESTORING).exists():
        raise Unusable(f"{data}: a restore was not finished there; run procura restore again, or remove the directory")
    # A database that lies elsewhere needs a lock of its own: two directories could name it.
    locks = [Lock(data / LOCK_FILE)]
    if not path.parent.samefile(data):
        locks.append(Lock(path.with_name(path.name + ".lock")))
    taken: list[Lock] = []
    try:
        for lock in locks:
            lock.take()
            taken.append(lock)
    except BaseException:
        for lock in taken:
            lock.release()
        raise
    return taken


async def _sqlite(
    path: Path,
    now: Callable[[], int],
    readers: int,
    bounds: Bounds,
    functions: Functions,
    taken: Sequence[Lock],
) -> SqliteStore:
    try:
        try:
            # SQLite gives its other files the mode of this one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise Unusable(f"{path}: {error.strerror}") from None
        connection = await _prepared(path, now)
    except BaseException:
        for lock in taken:
            lock.release()
        raise
    return SqliteStore(path, connection, statements.load(), functions, now, readers, bounds, taken)


async def _prepared(path: Path, now: Callable[[], int]) -> Connection:
    try:
        connection = await opened(path, writes=True)
    except sqlite3.Error as error:
        raise Unusable(f"{path}: {error}") from error
    try:
        await connection.run(partial(migrate, connection.raw, steps("sqlite", DIRECTORY_OF_STEPS), now))
    except BaseException as error:
        await asyncio.shield(connection.close())
        raise (Unusable(f"{path}: {error}") if isinstance(error, sqlite3.Error) else error) from error
    return connection


async def supposed(url: str, data: Path, into: Path, now: Callable[[], int] = wall_clock) -> Store:
    """A store of its own in the directory `into`, with all that policy reads of the one at `url` as that is now: what is done to it is
    done to nothing else. Raises Busy, Unusable."""
    _, _, place = url.replace("{data}", str(data)).partition("://")
    store = await connect("sqlite:///{data}/supposed.db", into, now=now, readers=2)
    try:
        await asyncio.to_thread(copy, Path(place[1:]), into / "supposed.db")
    except BaseException:
        await store.close()
        raise
    return store
