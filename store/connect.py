"""From a store's URL to the store: the one table of engines."""

import asyncio
import os
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg

from store import clock, deeds, sqlite, statements
from store.durable import keep, make_directory
from store.errors import Busy, Unusable
from store.floor import Elsewhere, Floor, unbound, wall_clock
from store.lock import Lock
from store.migrate import DIRECTORY_OF_STEPS, migrate, migrate_shared, steps, version_of
from store.nodes import STALENESS, Nodes
from store.numbered import numbered_all
from store.port import Store
from store.postgres import PostgresStore
from store.postgres_session import Server, check, opened, server
from store.remote import RemoteStore
from store.sqlite import Connection, SqliteStore
from store.supposed import copy, copy_shared
from store.writer import Bounds, Fault, Functions, Watchers

SUPPOSED_FILE: Final = "supposed.db"
LOCK_FILE: Final = "procura.lock"
RESTORING: Final = ".restoring"
"""A directory in that of data: a restore is under way, or was killed (gateway/directory/reinstallation.py)."""
READERS: Final = 8

_KNOWN: Final = "SELECT procura_clock(), coalesce(max(accepted), 0), coalesce(max(seen), 0) FROM clock"


async def connect(
    url: str,
    data: Path,
    *,
    now: Callable[[], int] | None = None,
    monotonic: Callable[[], int] | None = None,
    readers: int = READERS,
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    functions: Functions = deeds.FUNCTIONS,
    staleness: float = STALENESS,
    locks: Sequence[Lock] | None = None,
    process: int | None = None,
) -> Store:
    """Takes the lock, brings the schema up to date, opens. `{data}` in the URL stands for the directory. `now`: None is the clock of
    the database, or of the machine where that is the same, which is never taken to be earlier than it was (see store.floor.Floor);
    another one is, unless there is a `monotonic` one beside it; `staleness`, seconds, and `process`: see store.nodes.Nodes;
    `locks`: those of `locked`, where they are taken already.

    Raises InUse when another process has it, Unusable when it cannot be opened as it is.
    """
    taken = locked(url, data) if locks is None else locks
    if is_shared(url):
        return await _postgres(server(url), data, now, monotonic, readers, bounds, functions, staleness, taken, process)
    return await _sqlite(database_of(url, data), now, monotonic, readers, bounds, functions, taken)


def is_shared(url: str) -> bool:
    """Is it a database that several nodes share?"""
    return url.startswith("postgresql://")


def has_one_writer(url: str) -> bool:
    """May only one process write it, for all that serve?"""
    return url.startswith("sqlite:")


async def connect_remote(url: str, data: Path, life: int, *, now: Callable[[], int] | None = None, readers: int = READERS) -> RemoteStore:
    """A store that another process writes, which has opened it before. Raises Unusable, Busy."""
    path = database_of(url, data)
    connection = await sqlite.reader(path)
    try:
        floor = await connection.run(partial(_floor, connection.raw, now, None))
    finally:
        await connection.close()
    return RemoteStore(path, statements.load(), floor, readers, life)


def _floor(raw: sqlite3.Connection, now: Callable[[], int] | None, monotonic: Callable[[], int] | None) -> Floor:
    return floor_of(clock.known(sqlite.SqliteTx(raw, statements.load(), 0)), wall_clock, now, monotonic)


def floor_of(known: clock.Known, own: Callable[[], int], now: Callable[[], int] | None, monotonic: Callable[[], int] | None) -> Floor:
    """See `connect`; `own`: the clock where no other is given."""
    if now is None:
        return Floor(known.seen, own, accepted=known.accepted)
    if monotonic is None:
        return unbound(now)
    return Floor(known.seen, now, monotonic, known.accepted)


def database_of(url: str, data: Path) -> Path:
    """The file of a SQLite store. Raises Unusable."""
    scheme, _, place = url.replace("{data}", str(data)).partition("://")
    match scheme:
        case "sqlite" if place.startswith("/") and len(place) > 1:
            return Path(place[1:])
        case "sqlite":
            raise Unusable(f"{url}: a SQLite store is sqlite:///PATH")
        case _:
            raise Unusable(f"{url}: no such kind of store; there are sqlite:///PATH and postgresql://USER@HOST/DATABASE")


def locked(url: str, data: Path) -> Sequence[Lock]:
    """The locks of the store, taken: whoever has them may open it. Raises InUse, Unusable."""
    path = None if is_shared(url) else database_of(url, data)
    try:
        for directory in (data,) if path is None else (data, path.parent):
            make_directory(directory)
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}") from None
    if (data / RESTORING).exists():
        raise Unusable(f"{data}: a restore was not finished there; run procura restore again, or remove the directory")
    # The directory is one procura's also where the database is not: certificates, keys, the control socket.
    locks = [Lock(data / LOCK_FILE)]
    # A file that lies elsewhere needs a lock of its own: two directories could name it.
    if path is not None and not path.parent.samefile(data):
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
    now: Callable[[], int] | None,
    monotonic: Callable[[], int] | None,
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
        connection = await _prepared(path, now or wall_clock)
        try:
            floor = await connection.run(partial(_floor, connection.raw, now, monotonic))
        except BaseException:
            connection.stop()
            raise
    except BaseException:
        for lock in taken:
            lock.release()
        raise
    return SqliteStore(path, connection, statements.load(), functions, floor, readers, bounds, taken)


async def _prepared(path: Path, now: Callable[[], int]) -> Connection:
    try:
        connection = await sqlite.opened(path, writes=True)
    except sqlite3.Error as error:
        raise Unusable(f"{path}: {error}") from error
    try:
        await connection.run(partial(migrate, connection.raw, steps("sqlite", DIRECTORY_OF_STEPS), now))
    except BaseException as error:
        await asyncio.shield(connection.close())
        raise (Unusable(f"{path}: {error}") if isinstance(error, sqlite3.Error) else error) from error
    return connection


async def _postgres(
    where: Server,
    data: Path,
    now: Callable[[], int] | None,
    monotonic: Callable[[], int] | None,
    readers: int,
    bounds: Bounds,
    functions: Functions,
    staleness: float,
    taken: Sequence[Lock],
    process: int | None,
) -> PostgresStore:
    try:
        name = _name(data)
        session = await opened(where)
        try:
            await check(session, where)
            await migrate_shared(session.connection, steps("postgres", DIRECTORY_OF_STEPS), wall_clock if now is None else now)
            moment, *known = await session.connection.fetchrow(_KNOWN)
            # One clock for all nodes, whatever their own ones say.
            there = Elsewhere(moment)
            floor = floor_of(clock.Known(*known), there, now, monotonic)
        finally:
            await session.close()
        watchers = Watchers()
        nodes = Nodes(where, name, watchers, staleness, process)
        await nodes.join()
    except BaseException as error:
        for lock in taken:
            lock.release()
        if isinstance(error, Busy | asyncpg.PostgresError | OSError):
            raise Unusable(f"the store: {error}") from error
        raise

    def judged(moment: int) -> int:
        return floor.judged(there.said(moment) if now is None else now())

    return PostgresStore(
        where, numbered_all(statements.load("postgres")), functions, judged, floor, readers, bounds, nodes, watchers, taken
    )


def _name(data: Path) -> str:
    """Of this directory, that no other has. Raises Unusable."""
    file = data / "node"
    try:
        if not file.exists():
            keep(file, secrets.token_hex(16).encode())
        return file.read_text()
    except OSError as error:
        raise Unusable(f"{error.filename}: {error.strerror}") from None


async def inspected_server(url: str) -> None:
    """Can it be used as a store, without changing anything? Raises Unusable."""
    where = server(url)
    try:
        session = await opened(where)
        try:
            await check(session, where)
            there, newest = await version_of(session.connection), len(steps("postgres", DIRECTORY_OF_STEPS))
        finally:
            await session.close()
    except (Busy, asyncpg.PostgresError, OSError) as error:
        raise Unusable(str(error)) from error
    if there > newest:
        raise Unusable(f"the database has schema {there}, this procura knows up to {newest}: it is too old")


async def clock_behind(url: str, data: Path, now: Callable[[], int] = wall_clock) -> int:
    """By how many microseconds the clock (`now`, or that of the server the store is on) is behind the time that is known in the store; 0:
    it is not, or nothing is known. Changes nothing, whoever serves it meanwhile. Raises Unusable."""
    if not is_shared(url):
        return await asyncio.to_thread(_file_behind, database_of(url, data), now)
    try:
        session = await opened(server(url))
        try:
            moment, *found = await session.connection.fetchrow(_KNOWN)
        finally:
            await session.close()
    except (asyncpg.UndefinedFunctionError, asyncpg.UndefinedTableError):
        return 0  # there is none yet, or one of before
    except (Busy, asyncpg.PostgresError, OSError) as error:
        raise Unusable(str(error)) from error
    return clock.behind(clock.Known(*found), moment)


def _file_behind(path: Path, now: Callable[[], int]) -> int:
    try:
        if not path.stat().st_size:
            return 0
        # Where there is no log nobody writes, and nothing may be left beside it: whoever starts the server may be another user.
        log = path.with_name(path.name + "-wal")
        query = "mode=ro" if log.exists() else "mode=ro&immutable=1"
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{query}", uri=True, isolation_level=None)) as connection:
            if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'clock'").fetchone() is None:
                return 0
            return clock.behind(clock.known(sqlite.SqliteTx(connection, statements.load(), 0)), now())
    except FileNotFoundError:
        return 0
    except (OSError, sqlite3.Error, Fault) as error:
        raise Unusable(f"{path}: {error}") from error


async def supposed(url: str, data: Path, into: Path, now: Callable[[], int] = wall_clock) -> Store:
    """A store of its own in the directory `into`, with all that policy reads of the one at `url` as that is now: what is done to it is
    done to nothing else. Raises Busy, Unusable."""
    store = await connect(f"sqlite:///{{data}}/{SUPPOSED_FILE}", into, now=now, readers=2)
    try:
        if is_shared(url):
            await copy_shared(server(url), into / SUPPOSED_FILE)
        else:
            await asyncio.to_thread(copy, database_of(url, data), into / SUPPOSED_FILE)
    except BaseException:
        await store.close()
        raise
    return store
