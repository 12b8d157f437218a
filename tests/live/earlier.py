"""A store as an earlier version left it: with all that is in one of today, as far as there was a place for it then."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from store.migrate import migrate, migrate_shared, steps
from tests.store.behind import waited

_NOT_THEN = frozenset({"migration", "node"})
"""Which steps were done, and who runs: nobody."""
_BY_MESSAGE = frozenset({"wire", "head"})
"""What is kept with octets now, and was with each message."""


def embedded(source: Path, target: Path, version: int) -> None:
    """A new file with the schema of that version. AssertionError where that had something which is no more."""
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, steps()[:version], lambda: 0)
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("ATTACH ? AS source", (str(source),))
        # What they count is copied as it is.
        triggers = connection.execute("SELECT name, sql FROM main.sqlite_master WHERE type = 'trigger'").fetchall()
        tables = connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall()
        connection.execute("BEGIN")
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for (table,) in tables:
            if table in _NOT_THEN:
                continue
            then, now = (
                [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?, ?)", (table, schema))]
                for schema in ("main", "source")
            )
            columns = ", ".join(f'"{name}"' for name in then)
            connection.execute(f'DELETE FROM main."{table}"')
            connection.execute(f'INSERT INTO main."{table}" ({columns}) {_rows(table, then, now, "source.")}')
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")


def shared(source: str, target: str, version: int) -> None:
    """The same in an empty database of PostgreSQL."""
    waited(_shared(source, target, version))


_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'"


async def _shared(source: str, target: str, version: int) -> None:
    there, here = await asyncpg.connect(source), await asyncpg.connect(target)
    try:
        await migrate_shared(here, steps("postgres")[:version], lambda: 0)
        await here.execute("SET session_replication_role = replica")
        for row in await here.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            table = row[0]
            if table in _NOT_THEN:
                continue
            then, now = [[one[0] for one in await side.fetch(_COLUMNS, table)] for side in (here, there)]
            await here.execute(f'DELETE FROM "{table}"')
            rows: list[Any] = await there.fetch(_rows(table, then, now))
            await here.copy_records_to_table(table, records=map(tuple, rows), columns=then)
        for row in await here.fetch("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'"):
            last, is_called = await there.fetchrow(f"SELECT last_value, is_called FROM {row[0]}")
            await here.execute(f"SELECT setval('{row[0]}', {last}, {is_called})")
    finally:
        await there.close()
        await here.close()


def _rows(table: str, then: Sequence[str], now: Sequence[str], where: str = "") -> str:
    """What reads them, with the columns of that time."""
    assert then
    tables, columns = f'{where}"{table}" AS one', {name: f'one."{name}"' for name in now}
    if table in _BY_MESSAGE and "key" in then:
        tables += f" JOIN {where}message ON message.blob = one.blob"
        columns["key"] = "message.key"
    assert set(then) <= columns.keys(), f"{table} had {set(then) - columns.keys()}"
    return f"SELECT {', '.join(columns[name] for name in then)} FROM {tables}"
