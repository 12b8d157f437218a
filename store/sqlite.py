"""The embedded database: one connection that writes, a few that only read, and what SQLite's failures mean."""

# ruff: noqa: D102 - what the methods of transactions, snapshots, engine and store promise stands in store/port.py and store/writer.py

import asyncio
import logging
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from time import monotonic
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import aiosqlite
from aiosqlite.core import _STOP_RUNNING_SENTINEL

from policy.decision import Witness
from policy.identity import AccountId, FolderId
from store.clock import obey
from store.errors import Broken, Busy, LimitReached
from store.floor import Floor
from store.lending import Lending
from store.lock import Lock
from store.migrate import version
from store.moved import Moved
from store.port import DIRECTORY, Deed, Event, PolicyChanged, Snapshot, Tx
from store.reading import OnlyReads
from store.statements import without_owner
from store.writer import Bounds, Fault, Functions, Watchers, Writer, ended

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")

CHECKPOINT_PAGES: Final = 4000
"""16 MiB of log before a commit moves it into the database: fewer, larger checkpoints; recovery stays below a second."""

WAL_LARGE: Final = 4 << 20
"""Octets: a log larger than this is emptied when nothing is waiting."""

WAL_HUGE: Final = 64 << 20
"""Octets: a log larger than this (readers kept it from starting again) is waited for, at most once a second."""

COPY_PAGES: Final = 256
"""A mebibyte between two looks whether a copy is still wanted."""

WRITER_PAGES: Final = 32 << 20
READER_PAGES: Final = 8 << 20
"""Octets of pages that a connection keeps; what SQLite needs for that comes on top, a thirtieth. Beside a writer a reader seldom comes
that far: it begins anew with each commit."""
STATEMENTS: Final = 1024
"""Prepared, of a connection: procura has some 600 of its own, and puts some together for searches."""

BUSY_MILLISECONDS: Final = 5000
MOST_IN_PLACE: Final = 1000
"""Epochs read without a hop to the thread; more than a few by one statement, half a microsecond each."""
FEW_EPOCHS: Final = 4
"""Read by one statement in some 5 us: most judgements rest on two or three."""
_EPOCHS: Final = """SELECT coalesce((SELECT value FROM epoch WHERE scope = ?), 0), coalesce((SELECT value FROM epoch WHERE scope = ?), 0),
                         coalesce((SELECT value FROM epoch WHERE scope = ?), 0), coalesce((SELECT value FROM epoch WHERE scope = ?), 0)"""
_NO_SCOPES: Final = (None,) * FEW_EPOCHS
REMEMBERED: Final = 10_000
"""Epochs that the writer knows, since nobody else changes them; when there are more, all are read again."""

_NOBODY: Final = AccountId(0)
_composed: Final = lru_cache(maxsize=1000)(without_owner)
_LASTING: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM))
_PASSING: Final = frozenset(
    (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_NOMEM,
    )
)


def translated(error: sqlite3.Error) -> Exception:
    """What a failure of SQLite means for a deed or a question; the error itself where it is a mistake of ours."""
    if isinstance(error, sqlite3.IntegrityError):
        # A deed looks before it writes, and says Conflict itself: what the schema has to forbid is nobody's final answer.
        log.error("a constraint of the database was broken", exc_info=error)
        return Broken(f"{error} ({getattr(error, 'sqlite_errorname', 'constraint')})")
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return error
    primary = code & 0xFF
    if primary in _LASTING:
        return Fault(f"the database is not usable: {error} ({error.sqlite_errorname})", lasting=True)
    if primary in _PASSING:
        return Fault(f"{error} ({error.sqlite_errorname})", full=primary == sqlite3.SQLITE_FULL)
    if primary == sqlite3.SQLITE_TOOBIG:
        return LimitReached("larger than the database takes")
    return error


def open_file(path: Path, *, writes: bool) -> sqlite3.Connection:
    """A connection in autocommit mode with our settings. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        # A reader is asked in place by the loop, and works in its thread; whoever has checked it out has it alone.
        check_same_thread=False,
        cached_statements=STATEMENTS,
        timeout=BUSY_MILLISECONDS / 1000,
    )
    try:
        pragmas = [
            "mmap_size = 0",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "temp_store = MEMORY",
            f"cache_size = -{(WRITER_PAGES if writes else READER_PAGES) >> 10}",
        ]
        if writes:
            pragmas += [
                "journal_mode = WAL",
                "synchronous = FULL",
                "fullfsync = ON",
                "checkpoint_fullfsync = ON",
                f"journal_size_limit = {WAL_HUGE}",
                f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
            ]
        else:
            # Readers neither write nor checkpoint, not even when they close (robustness.md, decision 1).
            pragmas += ["query_only = ON", "wal_autocheckpoint = 0"]
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def copied(source: Path, target: Path, told: Callable[[int, int], None], now: Callable[[], int]) -> int:
    """One state of a database into a new file, page by page; returns its moment. The file is durable. Raises Busy, and what `told`
    raised."""
    target.touch(mode=0o600, exist_ok=False)
    try:
        reader = open_file(source, writes=False)
        try:
            # With a transaction of its own the copy is of one moment, however long it takes and whatever is written meanwhile.
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            moment = now()
            copy = sqlite3.connect(target, isolation_level=None)
            try:
                copy.execute("PRAGMA journal_mode = OFF").fetchall()
                copy.execute("PRAGMA synchronous = FULL").fetchall()
                reader.backup(copy, pages=COPY_PAGES, progress=lambda _, left, total: told(left, total))
            finally:
                copy.close()
            reader.execute("COMMIT")
        finally:
            reader.close()
    except sqlite3.Error as error:
        raise translated(error) from error
    return moment


@dataclass(frozen=True, slots=True)
class Inspected:
    """A database file that nobody writes. `faults`: what the engine finds wrong; `files`: (place, hash, size) of octets in files."""

    faults: Sequence[str]
    schema: int
    files: Sequence[tuple[str, bytes, int]]


def inspected(path: Path, told: Callable[[], None]) -> Inspected:
    """Of a copy. `told` is called now and then; what it raises ends the looking, and is raised."""
    ended_by: list[BaseException] = []

    def step() -> int:
        try:
            told()
        except BaseException as error:
            ended_by.append(error)
            return 1
        return 0

    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
        try:
            connection.execute("PRAGMA mmap_size = 0").fetchall()
            connection.set_progress_handler(step, 1_000_000)
            faults = [said for (said,) in connection.execute("PRAGMA integrity_check(20)") if said != "ok"]
            faults += [
                f"a row of {row[0]} refers to nothing in {row[2]}" for row in connection.execute("PRAGMA foreign_key_check").fetchmany(20)
            ]
            if faults:
                return Inspected(faults, 0, ())
            files = connection.execute("SELECT DISTINCT place, hash, size FROM blob WHERE place IS NOT NULL ORDER BY place").fetchall()
            return Inspected((), version(connection), files)
        finally:
            connection.close()
    except sqlite3.Error as error:
        if ended_by:
            raise ended_by[0] from None
        return Inspected([str(error)], 0, ())


class Connection(aiosqlite.Connection):
    """An aiosqlite connection in whose thread functions run whole."""

    @property
    def raw(self) -> sqlite3.Connection:
        return self._conn

    def replace(self, raw: sqlite3.Connection | None) -> None:
        """In its thread."""
        self._connection = raw

    async def begin(self) -> None:
        """Raises sqlite3.Error. Cancelled, it waits for its end nevertheless: `stop` is to follow either way."""
        self._thread.start()
        await self.run(self._begin)

    def stop(self) -> None:
        """Once what is under way in the thread has ended. Nobody is told: the loop may be closed by then."""
        if self._running:
            self._running = False
            self._tx.put_nowait((None, self._end))

    async def close(self) -> None:
        """As `stop`, and waits for it, also when cancelled. May be called twice."""
        if self._running:
            self._running = False
            await self.run(self._end)

    def _begin(self) -> None:
        self._connection = self._connector()

    def _end(self) -> object:
        raw, self._connection = self._connection, None
        if raw is not None:
            with suppress(sqlite3.Error):
                raw.close()
        return _STOP_RUNNING_SENTINEL

    def start(self, function: Callable[[], T]) -> "asyncio.Future[T]":
        """Begins it in the thread; cancelling the future does not stop it."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, function))
        return future

    async def run(self, function: Callable[[], T], /) -> T:
        """Runs it in the thread and waits for its end also when cancelled, so that nobody gets the connection before."""
        future = self.start(function)
        cancelled = await ended(future)
        if cancelled is not None:
            future.exception()
            raise cancelled
        return future.result()


async def opened(path: Path, *, writes: bool) -> Connection:
    """Raises sqlite3.Error."""
    connection = Connection(partial(open_file, path, writes=writes), 64)
    try:
        await connection.begin()
    except BaseException:
        connection.stop()
        raise
    return connection


class SqliteTx(OnlyReads):
    """The reading half; the writing half refuses."""

    __slots__ = ("_epochs", "_execute", "_statements", "now", "stopped")

    def __init__(self, raw: sqlite3.Connection, statements: Mapping[str, str], now: int) -> None:
        self._execute = raw.execute
        self._statements = statements
        self._epochs: dict[int, int] = {}
        """Those that were read: nothing changes in a transaction that only reads."""
        self.now = now
        self.stopped = False

    def all(self, statement: str, /, **parameters: Any) -> list[Any]:
        if self.stopped:
            raise Busy("the question was given up")
        try:
            return self._execute(self._statements[statement], parameters).fetchall()
        except sqlite3.Error as error:
            raise translated(error) from error

    def one(self, statement: str, /, **parameters: Any) -> Any | None:
        if self.stopped:
            raise Busy("the question was given up")
        try:
            return self._execute(self._statements[statement], parameters).fetchone()
        except sqlite3.Error as error:
            raise translated(error) from error

    def composed(self, sql: str, /, **parameters: Any) -> list[Any]:
        if self.stopped:
            raise Busy("the question was given up")
        try:
            return self._execute(_composed(sql), parameters).fetchall()
        except sqlite3.Error as error:
            raise translated(error) from error

    def owner_of(self, folder: FolderId, /) -> AccountId:
        return _NOBODY

    def owners_of(self, folders: Sequence[FolderId], /) -> Mapping[FolderId, AccountId]:
        return dict.fromkeys(folders, _NOBODY)

    def holds(self, witness: Witness) -> bool:
        """Do these epochs stand, and is its time not over?"""
        if witness.valid_until is not None and self.now >= witness.valid_until:
            return False
        epochs = witness.epochs
        return self.epochs([scope for scope, _ in epochs]) == epochs

    def epochs(self, scopes: Sequence[int]) -> tuple[tuple[int, int], ...]:
        known = self._epochs
        if not known:
            found = self._read(scopes)
            known.update(found)
            return found
        missing = [scope for scope in scopes if scope not in known]
        if missing:
            known.update(self._read(missing))
        return tuple([(scope, known[scope]) for scope in scopes])

    def _read(self, scopes: Sequence[int]) -> tuple[tuple[int, int], ...]:
        try:
            if len(scopes) <= FEW_EPOCHS:
                values = self._execute(_EPOCHS, (*scopes, *_NO_SCOPES[len(scopes) :])).fetchone()
                return tuple(zip(scopes, values, strict=False))
            found = dict(self._execute("SELECT scope, value FROM epoch WHERE scope IN (SELECT value FROM json_each(?))", (str(scopes),)))
        except sqlite3.Error as error:
            raise translated(error) from error
        return tuple([(scope, found.get(scope, 0)) for scope in scopes])


class SqliteWritingTx(SqliteTx):
    """The group's transaction; savepoints part the deeds in it. `epochs`: what groups before this one found, for the next."""

    __slots__ = ("_first", "_marked", "_raw", "_touched", "_woken")

    def __init__(self, raw: sqlite3.Connection, statements: Mapping[str, str], now: int, epochs: dict[int, int] | None = None) -> None:
        super().__init__(raw, statements, now)
        if epochs is not None:
            self._epochs = epochs
        self._raw = raw
        self._first = True
        self._marked = False
        self._touched: dict[int, None] = {}
        self._woken: list[Event] = []

    def run(self, statement: str, /, **parameters: Any) -> int:
        try:
            return self._execute(self._statements[statement], parameters).rowcount
        except sqlite3.Error as error:
            raise translated(error) from error

    def later(self, statement: str, /, **parameters: Any) -> None:
        """At once: nothing is far away here."""
        try:
            self._execute(self._statements[statement], parameters)
        except sqlite3.Error as error:
            raise translated(error) from error

    def insert(self, statement: str, /, **parameters: Any) -> int:
        try:
            done = self._execute(self._statements[statement], parameters)
            return (done.lastrowid or 0) if done.rowcount else 0
        except sqlite3.Error as error:
            raise translated(error) from error

    def many(self, statement: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        try:
            self._raw.executemany(self._statements[statement], rows)
        except sqlite3.Error as error:
            raise translated(error) from error

    def holds(self, witness: Witness) -> bool:
        """As when reading, and seldom read at all: epochs are changed by `release` and nowhere else (store/lock.py)."""
        if witness.valid_until is not None and self.now >= witness.valid_until:
            return False
        known = self._epochs
        for scope, value in witness.epochs:
            if known.get(scope) != value:
                break
        else:
            return True
        found = self._read([scope for scope, _ in witness.epochs])
        if len(known) > REMEMBERED:
            known.clear()
        # What is below 0 is counted by statements too (store/outlines.py, store/login.py).
        known.update([one for one in found if one[0] >= 0])
        return found == witness.epochs

    def epochs(self, scopes: Sequence[int]) -> tuple[tuple[int, int], ...]:
        return self._read(scopes)

    def touch(self, *scopes: int) -> None:
        self._touched.update(dict.fromkeys(scopes))

    def wake(self, event: Event, /) -> None:
        self._woken.append(event)

    def in_turn(self) -> None:
        """Nobody else writes."""

    def savepoint(self) -> None:
        # Behind the first deed of a group nothing stands that would have to be kept.
        self._marked, self._first = not self._first, False
        if self._marked:
            self._plain("SAVEPOINT deed")
        self._touched = {}
        self._woken = []

    def release(self) -> Sequence[Event]:
        for scope in self._touched:
            self._epochs.pop(scope, None)
            self._plain("INSERT INTO epoch (scope, value) VALUES (?, 1) ON CONFLICT (scope) DO UPDATE SET value = value + 1", scope)
        if self._marked:
            self._plain("RELEASE deed")
        if self._touched:
            return [PolicyChanged(frozenset(self._touched)), *self._woken]
        return self._woken

    def undo(self) -> None:
        # Nothing is known of what was undone.
        self._epochs.clear()
        if not self._raw.in_transaction:
            raise Fault("the database undid the transaction by itself")
        if self._marked:
            self._plain("ROLLBACK TO deed")
            self._plain("RELEASE deed")
        else:
            self._plain("ROLLBACK")
            self._plain("BEGIN IMMEDIATE")
            self._first = True

    def _plain(self, sql: str, *parameters: int) -> None:
        try:
            self._execute(sql, parameters)
        except sqlite3.Error as error:
            raise translated(error) from error


def _hasty(raw: sqlite3.Connection) -> sqlite3.Connection:
    """Waits for nobody: what is begun on the loop must not."""
    raw.execute("PRAGMA busy_timeout = 0")
    return raw


class SqliteEngine:
    """The one connection that writes and checkpoints."""

    def __init__(self, path: Path, statements: Mapping[str, str], now: Callable[[], int], connection: Connection) -> None:
        self._path = path
        self._log = path.with_name(path.name + "-wal")
        self._statements = statements
        self._now = now
        self._connection = connection
        self._open: sqlite3.Connection | None = _hasty(connection.raw)
        self._epochs: dict[int, int] = {}
        self._waited_at = 0.0

    def start(self, function: Callable[[], T], /) -> "asyncio.Future[T]":
        return self._connection.start(function)

    def begin(self, deeds: Sequence[Deed[Any]], scopes: Collection[int], attempt: int) -> SqliteWritingTx:
        try:
            if self._open is None:
                self._open = _hasty(open_file(self._path, writes=True))
                self._connection.replace(self._open)
            self._open.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            self._open.execute("BEGIN IMMEDIATE")
            _hasty(self._open)
        except sqlite3.Error as error:
            raise translated(error) from error
        return SqliteWritingTx(self._open, self._statements, self._now(), self._epochs)

    def begin_here(self) -> SqliteWritingTx | None:
        if self._open is None:
            return None
        try:
            self._open.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise translated(error) from error
        return SqliteWritingTx(self._open, self._statements, self._now(), self._epochs)

    def commit(self, events: Sequence[Event]) -> None:
        assert self._open is not None
        try:
            self._open.execute("COMMIT")
        except sqlite3.Error as error:
            raise translated(error) from error
        if self._log_size() > WAL_HUGE and monotonic() - self._waited_at > 1:
            self._waited_at = monotonic()
            self._checkpoint("RESTART")

    def abandon(self) -> None:
        # After a failed fsync the kernel may have dropped what was not written: this connection's view is worth nothing.
        raw, self._open = self._open, None
        self._epochs.clear()
        self._connection.replace(None)
        if raw is None:
            return
        try:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
        except sqlite3.Error:
            pass
        try:
            raw.close()
        except sqlite3.Error:
            pass

    def tidy(self) -> None:
        if self._log_size() > WAL_LARGE:
            self._checkpoint("TRUNCATE")

    def _checkpoint(self, how: str) -> None:
        if self._open is None:
            return
        try:
            # Long readers keep the log; they are not waited for while deeds are.
            self._open.execute("PRAGMA busy_timeout = 100")
            self._open.execute(f"PRAGMA wal_checkpoint({how})").fetchall()
            _hasty(self._open)
        except sqlite3.Error:
            # Everything is in the log still; the next commit meets whatever is wrong.
            pass

    def _log_size(self) -> int:
        try:
            return self._log.stat().st_size
        except OSError:
            return 0


async def reader(path: Path) -> Connection:
    """A connection that only reads. Raises Busy."""
    try:
        return await opened(path, writes=False)
    except sqlite3.Error as error:
        raise Busy(str(error)) from error


class SqliteSnapshot:
    """A reader that was checked out, and a transaction on it."""

    __slots__ = ("_moved", "_now", "_reader", "_readers", "_statements", "_tx", "moment", "now")

    def __init__(
        self, readers: Lending[Connection], statements: Mapping[str, str], now: Callable[[], int], moved: Moved | None = None
    ) -> None:
        self._readers = readers
        self._statements = statements
        self._now = now
        self._reader: Connection | None = None
        self._tx: SqliteTx | None = None
        self._moved = moved
        self.now = 0
        self.moment = 0

    async def __aenter__(self) -> Snapshot:
        reader = await self._readers.take()
        try:
            reader.raw.execute("BEGIN")
        except BaseException as error:
            self._readers.give(reader, broken=True)
            raise (translated(error) if isinstance(error, sqlite3.Error) else error) from error
        self.now = self._now()
        if self._moved is not None:
            # Before anything is read: what is seen may be newer, never older.
            self.moment = self._moved.moment
        self._reader = reader
        self._tx = SqliteTx(reader.raw, self._statements, self.now)
        return self

    async def __aexit__(self, *_: object) -> None:
        reader, tx = self._reader, self._tx
        self._reader = self._tx = None
        if reader is None or tx is None:
            return
        tx.stopped = True
        try:
            reader.raw.execute("COMMIT")
        except (sqlite3.Error, ValueError):
            self._readers.give(reader, broken=True)
        else:
            self._readers.give(reader)

    async def ask(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return question(self._open(), *args, **kwargs)

    async def work(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        tx = self._open()
        reader = self._reader
        assert reader is not None
        future = reader.start(partial(question, tx, *args, **kwargs))
        cancelled: asyncio.CancelledError | None = None
        while not future.done():
            try:
                await asyncio.wait((future,))
            except asyncio.CancelledError as error:
                # The thread is told to stop, and waited for: the reader must not go back while it is in use.
                cancelled = error
                tx.stopped = True
                reader.raw.interrupt()
        if cancelled is not None:
            future.exception()
            raise cancelled
        return future.result()

    async def take_time(self) -> None:
        """Nothing is ended after a time here."""

    async def confirms(self, witness: Witness) -> bool:
        tx = self._open()
        return tx.holds(witness) if len(witness.epochs) <= MOST_IN_PLACE else await self.work(lambda _: tx.holds(witness))

    async def witness(self, *scopes: int, valid_until: int | None = None) -> Witness:
        tx, wanted = self._open(), sorted({DIRECTORY, *scopes})
        epochs = tx.epochs(wanted) if len(wanted) <= MOST_IN_PLACE else await self.work(lambda _: tx.epochs(wanted))
        return Witness(epochs, valid_until)

    def _open(self) -> SqliteTx:
        if self._tx is None:
            raise RuntimeError("the snapshot is not open")
        return self._tx


class SqliteStore:
    """See store.port.Store."""

    def __init__(
        self,
        path: Path,
        connection: Connection,
        statements: Mapping[str, str],
        functions: Functions,
        floor: Floor,
        readers: int,
        bounds: Bounds,
        locks: Sequence[Lock],
    ) -> None:
        self.node = secrets.token_hex(8)
        self._path = path
        self._statements = statements
        self.floor = floor
        self._now = now = floor.now
        self._connection = connection
        self._readers = Lending(partial(reader, path), Connection.stop, readers)
        self._locks = locks
        self._watchers = Watchers()
        self._watchers.watch(partial(obey, floor))
        self.moved = Moved()
        self._writer = Writer(SqliteEngine(path, statements, now, connection), functions, bounds, self._watchers, self.moved)
        self._closed: asyncio.Task[None] | None = None

    @property
    def fault(self) -> str | None:
        return self._writer.fault

    @property
    def leads(self) -> bool:
        return True

    def snapshot(self) -> SqliteSnapshot:
        return SqliteSnapshot(self._readers, self._statements, self._now, self.moved)

    async def do(self, deed: Deed[T], witness: Witness | None = None, *, bulk: bool = False) -> T:
        return await self._writer.submit(deed, witness, bulk)

    def begin(self, deed: Deed[Any], witness: Witness | None, bulk: bool) -> Awaitable[Any]:
        """As `do`: a future that need not be awaited. Raises Busy."""
        return self._writer.submit(deed, witness, bulk)

    def watch(self, told: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        return self._watchers.watch(told)

    async def copy(self, target: Path, told: Callable[[int, int], None]) -> int:
        future = asyncio.get_running_loop().run_in_executor(None, copied, self._path, target, told, self._now)
        cancelled = await ended(future)
        if cancelled is not None:
            future.exception()
            raise cancelled
        return future.result()

    async def close(self) -> None:
        self._writer.end()
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_task(self._close(), name="store closing")
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        # Also where the loop ends meanwhile: no thread may stay behind, or the process would.
        async with AsyncExitStack() as last:
            for lock in self._locks:
                last.callback(lock.release)
            # A connection that was given up after a fault is closed already; its thread is not.
            last.push_async_callback(self._connection.close)
            last.push_async_callback(self._readers.close, Connection.close)
            await self._writer.close()
