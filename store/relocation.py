"""A whole installation from one database into another, of either engine: from one state, in batches, compared at the end row by row.

The target has a mark from before the first row until everything was compared (`migrate.UNFINISHED`): no procura of any version opens it.
Ids stay, and what numbers are made from goes on where it was. The source is only read.
"""

# ruff: noqa: S608 - names of tables and columns are those of the schemas, which are ours; values are parameters

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import asyncpg

from store.blobs import IN_ROW, Files
from store.connect import LOCK_FILE, RESTORING, database_of, is_shared
from store.durable import make_directory
from store.errors import InUse, StoreError, Unusable
from store.lock import Lock
from store.migrate import UNFINISHED, migrate, migrate_shared, steps, version, version_of
from store.postgres_session import Session, check, server
from store.sqlite import open_file, translated

BATCH_ROWS: Final = 2_000
BATCH_OCTETS: Final = 8 << 20
"""Of octets in one batch, but for a message that is larger alone."""
BLOB_ROWS: Final = 32
"""Of octets read at once: 128 KiB each at most in SQLite's rows."""

NOT_MOVED: Final = frozenset({"migration", "outcome", "deed_group", "node", "node_call", "policy_version", "shared_key", "wake"})
"""Each engine has its own, and what nodes tell each other is of the moment."""
LAST: Final = ("dynamic_list", "unjudged")
"""What is in them makes triggers work when accounts are written."""
OWNED: Final = MappingProxyType(
    {
        "message": "key",
        "wire": "blob",
        "head": "blob",
        "seen": "key",
        "filed": "key",
        "waiting_copy": "key",
        "keyword": "folder",
        "change": "folder",
        "loose": "blob",
    }
)
"""Tables whose rows begin with their owner on PostgreSQL alone, and by what the owner is found: the folder, which is the upper half of a
message's key, or the octets. It is no part of what is moved and compared."""
OWNER: Final = "owner"
FOUND_IN: Final = frozenset({"folder", "deleted_folder", "blob"})
OCTETS: Final = "blob"
OBJECTS: Final = "object/"
"""Octets whose place begins so are in an object store, and stay there (store/objects.py)."""
RECORD: Final = "audit"

Told = Callable[[str, int, int], None]
"""(what is being done, how much of it is, how much there is in all)"""
Row = tuple[Any, ...]


class Differs(StoreError):
    """What was written is not what was read. The target keeps its mark."""


@dataclass(frozen=True, slots=True)
class Table:
    """`key`: the columns of its primary key, in whose order its rows are compared; all of them where it has none. Where one engine's key
    has the account before it, it is the other's."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    parents: frozenset[str]
    numbered: bool  # its id is given by a counter that never goes back


@dataclass(frozen=True, slots=True)
class Summed:
    """What a table holds: how many rows, and a hash of them all in the order of their keys."""

    rows: int
    hash: str


@dataclass(frozen=True, slots=True)
class Relocated:
    """`into_rows`, `into_files`: octets that lie there now and lay elsewhere; `objects`: that stayed in the object store;
    `replaced`: NULs in texts, for which U+FFFD stands now, since PostgreSQL takes none."""

    tables: Mapping[str, Summed]
    into_rows: int
    into_files: int
    objects: int
    replaced: int


@dataclass(slots=True)
class _Sum:
    rows: int = 0
    _hash: Any = field(default_factory=sha256)

    def add(self, row: Row) -> None:
        self.rows += 1
        self._hash.update(repr(row).encode("utf-8", "surrogatepass"))

    def done(self) -> Summed:
        return Summed(self.rows, self._hash.hexdigest())


class Source(Protocol):
    """One state of a database."""

    async def tables(self) -> Sequence[Table]:
        """All that are moved."""

    async def count(self, table: Table) -> int:
        """Of its rows."""

    def rows(self, table: Table) -> AsyncGenerator[list[Row], None]:
        """In the order of the key, in batches."""

    async def counters(self) -> Mapping[str, int]:
        """The last number that was given, by table."""


class Target(Source, Protocol):
    """A database that is being filled."""

    async def begin(self) -> None:
        """Marks it and takes out what an earlier, unfinished run has left. Raises Unusable when something else is in it."""

    async def write(self, table: Table, rows: Sequence[Row]) -> None:
        """One batch, committed."""

    async def settle(self, counters: Mapping[str, int]) -> None:
        """The counters go on from here."""

    async def finish(self) -> None:
        """Takes the mark away, durably."""


async def relocate(source_url: str, target_url: str, data: Path, told: Told) -> Relocated:
    """Needs that nobody serves either of them. Raises InUse, Unusable, Differs, StoreError; then the source is as it was, and the target
    empty or marked."""
    if source_url == target_url:
        raise Unusable("the two stores are one")
    files = Files(data / "messages")
    with ExitStack() as locks:
        _lock(locks, [source_url, target_url], data)
        async with AsyncExitStack() as stack:
            try:
                source = await stack.enter_async_context(_source(source_url, data))
                target = await stack.enter_async_context(_target(target_url, data))
                return await _moved(source, target, files, told, into_rows=is_shared(target_url))
            except sqlite3.Error as error:
                raise translated(error) from error
            except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
                raise Unusable(f"{type(error).__name__}: {error}") from error


def _lock(locks: ExitStack, urls: Sequence[str], data: Path) -> None:
    if (data / RESTORING).exists():
        raise Unusable(f"{data}: a restore was not finished there")
    make_directory(data)
    places = [data / LOCK_FILE]
    for url in urls:
        if not is_shared(url):
            path = database_of(url, data)
            make_directory(path.parent)
            if not path.parent.samefile(data):
                places.append(path.with_name(path.name + ".lock"))
    for place in dict.fromkeys(places):
        lock = Lock(place)
        lock.take()
        locks.callback(lock.release)


async def _moved(source: Source, target: Target, files: Files, told: Told, *, into_rows: bool) -> Relocated:
    tables = _ordered(await source.tables())
    there = {table.name: table for table in await target.tables()}
    keys = {name: table.key for name, table in there.items()}
    for table in tables:
        other = there.pop(table.name, None)
        if other is None or set(other.columns) != set(table.columns):
            raise Unusable(f"the two stores have other columns in {table.name}")
    tables = [replace(table, key=min(table.key, keys[table.name], key=len)) for table in tables]
    if there:
        raise Unusable(f"the source has no {', '.join(sorted(there))}")
    counts = {table.name: await source.count(table) for table in tables}
    await target.begin()
    carrier = _Carrier(files, into_rows=into_rows)
    read: dict[str, Summed] = {}
    for table in tables:
        total = _Sum()
        # Rows that refer to each other, wherever in the order they stand, are written in one go: a domain and its alias domains.
        together: list[Row] = []
        async with aclosing(source.rows(table)) as batches:
            async for batch in batches:
                for part in carrier.carried(table, batch, total):
                    if table.name in table.parents:
                        together += part
                    else:
                        await target.write(table, part)
                    told(f"moving {table.name}", total.rows, counts[table.name])
        if together:
            await target.write(table, together)
        read[table.name] = total.done()
    await target.settle(await source.counters())
    for table in tables:
        total = _Sum()
        async with aclosing(target.rows(table)) as batches:
            async for batch in batches:
                for row in batch:
                    total.add(await asyncio.to_thread(carrier.looked_at, table, row) if table.name == OCTETS else row)
                told(f"comparing {table.name}", total.rows, counts[table.name])
        if total.done() != read[table.name]:
            raise Differs(f"{table.name}: {read[table.name].rows} rows were read, {total.rows} others are there")
    await target.finish()
    return Relocated(read, carrier.into_rows, carrier.into_files, carrier.objects, carrier.replaced)


class _Carrier:
    """Rows on their way: what one engine keeps otherwise than the other."""

    def __init__(self, files: Files, *, into_rows: bool) -> None:
        self._files = files
        self._to_rows = into_rows
        self.into_rows = 0
        self.into_files = 0
        self.objects = 0
        self.replaced = 0

    def carried(self, table: Table, batch: Sequence[Row], total: _Sum) -> Iterator[list[Row]]:
        """As they are written, in parts of bounded size; what is summed is the same on both sides."""
        part: list[Row] = []
        octets = 0
        for row in batch:
            if self._to_rows:
                row = self._without_nul(table, row)
            if table.name == OCTETS:
                row, size = self._placed(table, row)
                octets += size
                total.add(_summed(table, row))
            else:
                total.add(row)
            part.append(row)
            if octets >= BATCH_OCTETS:
                yield part
                part, octets = [], 0
        if part:
            yield part

    def _without_nul(self, table: Table, row: Row) -> Row:
        if not any(isinstance(value, str) and "\0" in value for value in row):
            return row
        if table.name == RECORD:
            raise Unusable(f"row {row[0]} of the record has a NUL, which PostgreSQL cannot keep: it would prove nothing any more")
        self.replaced += 1
        return tuple(value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row)

    def _placed(self, table: Table, row: Row) -> tuple[Row, int]:
        """Octets go into rows, or into files where they are large; what is in an object store stays."""
        at = {name: number for number, name in enumerate(table.columns)}
        place, octets = row[at["place"]], row[at["octets"]]
        changed = list(row)
        if octets is None and place.startswith(OBJECTS) and not (self._files.directory / place).exists():
            self.objects += 1
            return row, 0
        whole = self._files.read(place) if octets is None else bytes(octets)
        _require(row[at["id"]], row[at["hash"]], row[at["size"]], whole, "the source")
        if self._to_rows or len(whole) <= IN_ROW:
            self.into_rows += octets is None
            changed[at["place"]], changed[at["octets"]] = None, whole
            return tuple(changed), len(whole)
        self.into_files += octets is not None
        changed[at["place"]], changed[at["octets"]] = place if octets is None else self._files.spool(whole).place, None
        return tuple(changed), 0

    def looked_at(self, table: Table, row: Row) -> Row:
        """What is summed of octets that are there now, which must be what their hash says. Raises Differs."""
        at = {name: number for number, name in enumerate(table.columns)}
        place, octets = row[at["place"]], row[at["octets"]]
        if octets is not None or not place.startswith(OBJECTS):
            whole = self._files.read(place) if octets is None else bytes(octets)
            _require(row[at["id"]], row[at["hash"]], row[at["size"]], whole, "the target")
        return _summed(table, row)


def _require(number: int, digest: bytes, size: int, octets: bytes, where: str) -> None:
    if len(octets) != size or sha256(octets).digest() != bytes(digest):
        raise Differs(f"octets {number} of {where} are not those of their hash")


def _summed(table: Table, row: Row) -> Row:
    """Without where octets are: their hash stands for them."""
    return tuple(value for name, value in zip(table.columns, row, strict=True) if name not in ("place", "octets"))


def _ordered(tables: Sequence[Table]) -> list[Table]:
    """Each after those that its rows refer to."""
    waiting = {table.name: table for table in sorted(tables, key=lambda one: (one.name in LAST, one.name))}
    done: list[Table] = []
    while waiting:
        ready = [table for table in waiting.values() if not (_parents(table) - {table.name}) & waiting.keys()]
        late = [table for table in ready if table.name in LAST]
        some = [table for table in ready if table.name not in LAST] or late
        if not some:
            raise Unusable(f"tables refer to each other in a circle: {', '.join(waiting)}")
        done += [waiting.pop(table.name) for table in some]
    return done


def _parents(table: Table) -> frozenset[str]:
    return table.parents | FOUND_IN if table.name in OWNED else table.parents


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


# --- SQLite


class _Embedded:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def _all(self, sql: str, *arguments: Any) -> list[Any]:
        return await asyncio.to_thread(lambda: self._connection.execute(sql, arguments).fetchall())

    async def tables(self) -> Sequence[Table]:
        made = await self._all("SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^'")
        found = []
        for name, sql in made:
            if name in NOT_MOVED:
                continue
            columns = await self._all("SELECT name, pk FROM pragma_table_info(?)", name)
            key = [column for column, place in sorted(columns, key=lambda row: row[1]) if place]
            parents = await self._all('SELECT DISTINCT "table" FROM pragma_foreign_key_list(?)', name)
            names = tuple(column for column, _ in columns)
            found.append(Table(name, names, tuple(key) or names, frozenset(one for (one,) in parents), "AUTOINCREMENT" in sql))
        return found

    async def count(self, table: Table) -> int:
        ((count,),) = await self._all(f'SELECT count(*) FROM "{table.name}"')
        return int(count)

    async def rows(self, table: Table) -> AsyncGenerator[list[Row], None]:
        sql = f'SELECT {_quoted(table.columns)} FROM "{table.name}" ORDER BY {_quoted(table.key)}'
        cursor = await asyncio.to_thread(self._connection.execute, sql)
        try:
            while batch := await asyncio.to_thread(cursor.fetchmany, BLOB_ROWS if table.name == OCTETS else BATCH_ROWS):
                yield batch
        finally:
            cursor.close()

    async def counters(self) -> Mapping[str, int]:
        return dict(await self._all("SELECT name, seq FROM sqlite_sequence"))


class _EmbeddedTarget(_Embedded):
    async def begin(self) -> None:
        def mark() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("INSERT INTO migration (number, name, at) VALUES (?, 'a move that is not finished', 0)", (UNFINISHED,))
            self._connection.execute("DELETE FROM cos")
            self._connection.execute("COMMIT")

        await _require_empty(self)
        await asyncio.to_thread(mark)

    async def write(self, table: Table, rows: Sequence[Row]) -> None:
        def put() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(
                f'INSERT INTO "{table.name}" ({_quoted(table.columns)}) VALUES ({", ".join("?" * len(table.columns))})', rows
            )
            self._connection.execute("COMMIT")

        await asyncio.to_thread(put)

    async def settle(self, counters: Mapping[str, int]) -> None:
        def put() -> None:
            self._connection.execute("BEGIN IMMEDIATE")
            for table, number in counters.items():
                if not self._connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", (number, table)).rowcount:
                    self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (table, number))
            self._connection.execute("COMMIT")

        numbered = {table.name for table in await self.tables() if table.numbered}
        counters = {table: number for table, number in counters.items() if table in numbered and number > 0}
        await asyncio.to_thread(put)

    async def finish(self) -> None:
        def end() -> None:
            astray = self._connection.execute("PRAGMA foreign_key_check").fetchone()
            if astray is not None:
                raise Differs(f"a row of {astray[0]} refers to nothing in {astray[2]}")
            self._connection.execute("PRAGMA optimize")
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute("DELETE FROM migration WHERE number = ?", (UNFINISHED,))
            self._connection.execute("COMMIT")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        await asyncio.to_thread(end)


# --- PostgreSQL


class _Shared:
    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection

    async def tables(self) -> Sequence[Table]:
        columns: dict[str, list[str]] = {}
        for table, column in await self._connection.fetch(
            "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
            " ORDER BY c.relname, a.attnum"
        ):
            if not (table in OWNED and column == OWNER):
                columns.setdefault(table, []).append(column)
        keys = {
            table: tuple(column for column in key if not (table in OWNED and column == OWNER))
            for table, key in await self._connection.fetch(
                "SELECT c.relname, array_agg(a.attname::text ORDER BY k.place) FROM pg_constraint p JOIN pg_class c ON c.oid = p.conrelid"
                " CROSS JOIN unnest(p.conkey) WITH ORDINALITY AS k (number, place)"
                " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number"
                " WHERE p.contype = 'p' AND c.relnamespace = current_schema()::regnamespace GROUP BY c.relname"
            )
        }
        parents: dict[str, set[str]] = {}
        for table, parent in await self._connection.fetch(
            "SELECT c.relname, o.relname FROM pg_constraint p JOIN pg_class c ON c.oid = p.conrelid JOIN pg_class o ON o.oid = p.confrelid"
            " WHERE p.contype = 'f' AND c.relnamespace = current_schema()::regnamespace"
        ):
            parents.setdefault(table, set()).add(parent)
        counting = set(await self._counting())
        return [
            Table(name, tuple(names), keys.get(name, tuple(names)), frozenset(parents.get(name, ())), name in counting)
            for name, names in columns.items()
            if name not in NOT_MOVED
        ]

    async def _counting(self) -> Mapping[str, str]:
        """The sequence of each table that has one."""
        found = await self._connection.fetch(
            "SELECT c.relname, pg_get_serial_sequence(quote_ident(c.relname), a.attname) FROM pg_attribute a"
            " JOIN pg_class c ON c.oid = a.attrelid"
            " WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attidentity <> ''"
        )
        return {table: sequence for table, sequence in found if table not in NOT_MOVED}

    async def count(self, table: Table) -> int:
        return int(await self._connection.fetchval(f'SELECT count(*) FROM "{table.name}"'))

    async def rows(self, table: Table) -> AsyncGenerator[list[Row], None]:
        sql = f'SELECT {_quoted(table.columns)} FROM "{table.name}" ORDER BY {_quoted(table.key)}'
        async with self._connection.transaction() if not self._connection.is_in_transaction() else AsyncExitStack():
            cursor = await self._connection.cursor(sql)
            # Of octets few at once: here they are in the row whatever their size is.
            while batch := await cursor.fetch(4 if table.name == OCTETS else BATCH_ROWS):
                yield [tuple(row) for row in batch]

    async def counters(self) -> Mapping[str, int]:
        found = {}
        for table, sequence in (await self._counting()).items():
            last, called = await self._connection.fetchrow(f"SELECT last_value, is_called FROM {sequence}")
            found[table] = last if called else last - 1
        return found


class _SharedTarget(_Shared):
    async def begin(self) -> None:
        fresh = await self._connection.fetchval("SELECT max(number) FROM migration") != UNFINISHED
        if fresh:
            await _require_empty(self)
        async with self._connection.transaction():
            if fresh:
                await self._connection.execute(
                    "INSERT INTO migration (number, name, at) VALUES ($1, 'a move that is not finished', 0)", UNFINISHED
                )
            await self._connection.execute(f"TRUNCATE {_quoted([table.name for table in await self.tables()])}")

    async def write(self, table: Table, rows: Sequence[Row]) -> None:
        columns = table.columns
        if table.name in OWNED:
            columns = (OWNER, *columns)
            rows = [(owner, *row) for owner, row in zip(await self._owners(table, rows), rows, strict=True)]
        try:
            await self._connection.copy_records_to_table(table.name, records=rows, columns=columns)
        except (asyncpg.DataError, TypeError, ValueError, UnicodeError) as error:
            raise Unusable(f"{table.name} holds what PostgreSQL cannot keep: {error}") from error

    async def _owners(self, table: Table, rows: Sequence[Row]) -> Sequence[int]:
        """Of each row; 0 where nobody is known any more (migrations/postgres/0008)."""
        by = OWNED[table.name]
        place = table.columns.index(by)
        numbers = [row[place] >> 32 if by == "key" else row[place] for row in rows]
        kinds = ("blob",) if by == "blob" else ("folder", "deleted_folder")
        found: dict[int, int] = {}
        for kind in kinds:
            asked = f"SELECT id, owner FROM {kind} WHERE id = ANY ($1)"
            found.update(await self._connection.fetch(asked, list(set(numbers))))
        if table.name != "filed":
            return [found.get(number, 0) for number in numbers]
        # Below 0 the key is that of a submission that waits, and it is its sender's.
        actor = table.columns.index("actor")
        return [row[actor] if number < 0 else found.get(number, 0) for number, row in zip(numbers, rows, strict=True)]

    async def settle(self, counters: Mapping[str, int]) -> None:
        for table, sequence in (await self._counting()).items():
            highest = int(await self._connection.fetchval(f'SELECT coalesce(max(id), 0) FROM "{table}"'))
            last = max(highest, counters.get(table, 0))
            await self._connection.execute("SELECT setval($1::text::regclass, $2, $3)", sequence, max(last, 1), last > 0)

    async def finish(self) -> None:
        # Of these alone: those of the nodes are locked by us.
        await self._connection.execute(f"ANALYZE {_quoted([table.name for table in await self.tables()])}")
        await self._connection.execute("DELETE FROM migration WHERE number = $1", UNFINISHED)


async def _require_empty(target: Source) -> None:
    for table in await target.tables():
        count = await target.count(table)
        if count > (table.name == "cos"):  # the default class, which every schema brings with it
            raise Unusable(f"there is something in {table.name} already: the target has to be an empty store")


# --- opening


@asynccontextmanager
async def _source(url: str, data: Path) -> AsyncIterator[Source]:
    if is_shared(url):
        async with _session(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await _require_newest(await version_of(connection), "postgres", "the source")
            yield _Shared(connection)
        return
    path = database_of(url, data)
    if not path.exists():
        raise Unusable(f"{path} is not there")
    reader = open_file(path, writes=False)
    try:
        reader.execute("BEGIN")
        await _require_newest(version(reader), "sqlite", "the source")
        yield _Embedded(reader)
    finally:
        reader.close()


@asynccontextmanager
async def _target(url: str, data: Path) -> AsyncIterator[Target]:
    if is_shared(url):
        await _prepared(url)
        async with _session(url) as connection:
            yield _SharedTarget(connection)
        return
    path = database_of(url, data)
    if path.exists() and path.stat().st_size:
        _clear_unfinished(path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    writer = open_file(path, writes=True)
    try:
        migrate(writer, steps("sqlite"), lambda: 0)
        # Looked at once, at the end.
        writer.execute("PRAGMA foreign_keys = OFF")
        yield _EmbeddedTarget(writer)
    finally:
        if writer.in_transaction:
            writer.execute("ROLLBACK")
        writer.close()


async def _prepared(url: str) -> None:
    """With our schema, if the database is empty or has an older one of ours. Raises Unusable, and asyncpg's errors."""
    connection = await _connected(url)
    try:
        await check(Session(connection), server(url))
        if await _is_marked(connection):
            return
        others = "SELECT count(*) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'"
        if await version_of(connection) == 0 and await connection.fetchval(others):
            raise Unusable("the database of the target has tables that are not ours: the target has to be an empty database")
        await migrate_shared(connection, steps("postgres"), lambda: 0)
    finally:
        connection.terminate()


def _clear_unfinished(path: Path) -> None:
    """A database with our mark is one that an earlier run has left; any other stays."""
    reader = open_file(path, writes=False)
    try:
        marked = reader.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migration'").fetchone() is not None and (
            reader.execute("SELECT 1 FROM migration WHERE number = ?", (UNFINISHED,)).fetchone() is not None
        )
    finally:
        reader.close()
    if marked:
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)


async def _is_marked(connection: "asyncpg.Connection[Any]") -> bool:
    if await connection.fetchval("SELECT to_regclass('migration')") is None:
        return False
    return bool(await connection.fetchval("SELECT EXISTS (SELECT 1 FROM migration WHERE number = $1)", UNFINISHED))


async def _require_newest(there: int, dialect: str, what: str) -> None:
    newest = len(steps(dialect))
    if there != newest:
        raise Unusable(f"{what} has schema {there}, not {newest}: run procura migrate with this version first")


@asynccontextmanager
async def _session(url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """While it is open no node can join. Raises InUse when one is there."""
    connection = await _connected(url)
    try:
        guard = await _connected(url)
        try:
            async with AsyncExitStack() as stack:
                if await guard.fetchval("SELECT to_regclass('node')") is not None:
                    await stack.enter_async_context(guard.transaction())
                    await guard.execute("LOCK TABLE node IN EXCLUSIVE MODE")
                    live = await guard.fetch("SELECT name FROM node WHERE lease_until > procura_clock() ORDER BY name")
                    if live:
                        raise InUse(f"a procura serves this database: {', '.join(name for (name,) in live)}")
                yield connection
        finally:
            guard.terminate()
    finally:
        connection.terminate()


async def _connected(url: str) -> "asyncpg.Connection[Any]":
    settings = {"timezone": "UTC", "jit": "off", "lock_timeout": "10s", "application_name": "procura migrate-store"}
    return await asyncpg.connect(server(url).url, timeout=10, server_settings=settings, target_session_attrs="read-write")
