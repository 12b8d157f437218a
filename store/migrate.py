"""From whatever schema a database has to the newest one: numbered steps forward, each in one transaction."""

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import asyncpg

from store.errors import Unusable

DIRECTORY_OF_STEPS: Final = Path(__file__).with_name("migrations")
MIGRATING: Final = 0x70726F63757261
"""The advisory lock of PostgreSQL under which a step is done: "procura"."""
LONGEST: Final = 7 * 86_400.0
"""Seconds for one step on PostgreSQL, with all that it writes anew."""
UNFINISHED: Final = 2_000_000_000
"""The number of a step that a database has had which is being filled from another (store/relocation.py), so that no version opens it."""
_HALF: Final = "not all of another store was moved into it: run procura migrate-store again, or take the database away"

_NAME: Final = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Step:
    """One file of migrations/<dialect>."""

    number: int
    name: str
    script: str


def steps(dialect: str = "sqlite", where: Path = DIRECTORY_OF_STEPS) -> Sequence[Step]:
    """The steps in their order. Raises Unusable when a number is missing or there twice."""
    found = []
    for file in sorted((where / dialect).glob("*.sql")):
        name = _NAME.fullmatch(file.name)
        if name is None:
            raise Unusable(f"{file.name} is no NNNN_name.sql")
        found.append(Step(int(name[1]), name[2], file.read_text(encoding="utf-8")))
    if [step.number for step in found] != [*range(1, len(found) + 1)]:
        raise Unusable(f"the migrations in {where / dialect} are not numbered one by one")
    return found


def version(connection: sqlite3.Connection) -> int:
    """The number of the last step that was done; 0 for an empty database."""
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration'").fetchone()
    if there is None:
        return 0
    (number,) = connection.execute("SELECT COALESCE(MAX(number), 0) FROM migration").fetchone()
    return int(number)


def migrate(connection: sqlite3.Connection, todo: Sequence[Step], now: Callable[[], int]) -> Sequence[Step]:
    """Does what was not done yet, in the thread that owns the (autocommitting) connection; returns it.

    A step is there whole or not at all, also when the process is killed in it. Raises Unusable: the schema is newer than
    `todo`, a step fails, or it leaves references that lead nowhere.
    """
    newest = todo[-1].number if todo else 0
    if version(connection) == UNFINISHED:
        raise Unusable(_HALF)
    if version(connection) > newest:
        raise Unusable(f"the database has schema {version(connection)}, this procura knows up to {newest}: it is too old")
    # Tables that are rebuilt must not take their dependants with them; off is only possible outside a transaction.
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        return [step for step in todo if _do(connection, step, now())]
    finally:
        connection.execute("PRAGMA foreign_keys = ON")


def _do(connection: sqlite3.Connection, step: Step, now: int) -> bool:
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Asked inside the transaction: another process may have been here in between.
        if version(connection) >= step.number:
            connection.execute("ROLLBACK")
            return False
        connection.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL)")
        for statement in statements_of(step.script):
            connection.execute(statement)
        astray = connection.execute("PRAGMA foreign_key_check").fetchone()
        if astray is not None and step.number > 1:
            raise Unusable(f"migration {step.number:04}_{step.name}: a row of {astray[0]} refers to nothing in {astray[2]}")
        connection.execute("INSERT INTO migration (number, name, at) VALUES (?, ?, ?)", (step.number, step.name, now))
        connection.execute("COMMIT")
    except BaseException as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if isinstance(error, sqlite3.Error):
            raise Unusable(f"migration {step.number:04}_{step.name}: {error}") from error
        raise
    return True


class Session(Protocol):
    """What is asked of a connection to PostgreSQL; asyncpg's does it."""

    async def execute(self, query: str, /, *arguments: Any, timeout: float | None = None) -> str:  # noqa: ASYNC109 - asyncpg's
        """One or, without arguments, several. `timeout` in seconds; None: the connection's own."""

    async def fetchval(self, query: str, /, *arguments: Any) -> Any:
        """The first value of the first row."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Committed at its end."""


async def version_of(session: Session) -> int:
    """As `version`, of a database of PostgreSQL."""
    if await session.fetchval("SELECT to_regclass('migration')") is None:
        return 0
    return int(await session.fetchval("SELECT COALESCE(MAX(number), 0) FROM migration"))


async def migrate_shared(session: Session, todo: Sequence[Step], now: Callable[[], int]) -> Sequence[Step]:
    """As `migrate`, for a database of PostgreSQL: of several nodes that start at once one does a step, the others wait for it.

    A step is there whole or not at all, also when the connection or the process is lost in it. Raises Unusable.
    """
    newest = todo[-1].number if todo else 0
    try:
        there = await version_of(session)
        if there == UNFINISHED:
            raise Unusable(_HALF)
        if there > newest:
            raise Unusable(f"the database has schema {there}, this procura knows up to {newest}: it is too old")
        return [step for step in todo[there:] if await _do_shared(session, step, now())]
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise Unusable(f"the version of the schema: {error}") from error


async def _do_shared(session: Session, step: Step, now: int) -> bool:
    try:
        async with session.transaction():
            # As many rows as there are: nobody is served meanwhile.
            await session.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
            await session.execute(f"SELECT pg_advisory_xact_lock({MIGRATING})", timeout=LONGEST)
            await session.execute(
                'CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY, name TEXT COLLATE "C" NOT NULL, at BIGINT NOT NULL)'
            )
            # Asked under the lock: another node may have been here in between. Asked of the table itself: that it is not there is what
            # a session may still believe that asked before.
            if await session.fetchval("SELECT COALESCE(MAX(number), 0) FROM migration") >= step.number:
                return False
            await session.execute(step.script, timeout=LONGEST)
            await session.execute("INSERT INTO migration (number, name, at) VALUES ($1, $2, $3)", step.number, step.name, now)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise Unusable(f"migration {step.number:04}_{step.name}: {error}") from error
    return True


def statements_of(script: str) -> Sequence[str]:
    """The statements of a script one by one: `executescript` would commit before each script."""
    found = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if ";" in line and sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    if re.sub(r"--[^\n]*", "", pending).strip():
        raise Unusable(f"a migration ends within a statement: {pending.strip()[:60]}")
    return found
