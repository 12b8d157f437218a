"""What SQLite keeps of the files: connections that have read and written many times as much have no more pages than they may."""

from __future__ import annotations

import _sqlite3
import ctypes
import gc
import sqlite3
from pathlib import Path

import pytest

from store import fulltext, sqlite

STEP = 64 << 10
SLACK = 1.2
"""SQLite needs something for each page besides its octets, and for statements."""


def used() -> int:
    """Octets that SQLite has, in this process."""
    memory_used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    memory_used.restype = ctypes.c_int64
    return int(memory_used())


def statements() -> int:
    """That are prepared in this process; their type has no name in the module."""
    return sum(type(one).__module__ == "sqlite3" and type(one).__qualname__ == "Statement" for one in gc.get_objects())


@pytest.mark.parametrize(
    ("opened", "writes", "most"),
    [
        (sqlite.open_file, True, sqlite.WRITER_PAGES),
        (sqlite.open_file, False, sqlite.READER_PAGES),
        (fulltext._connected, True, fulltext.WRITER_PAGES),
        (fulltext._connected, False, fulltext.READER_PAGES),
    ],
    ids=["writer", "reader", "writer of the index", "reader of the index"],
)
def test_pages_are_bounded(tmp_path: Path, opened: object, writes: bool, most: int) -> None:
    path = tmp_path / "some.db"
    with sqlite3.connect(path) as making:
        making.execute("PRAGMA journal_mode = WAL")
        making.execute("CREATE TABLE some (octets BLOB)")
        making.executemany("INSERT INTO some VALUES (zeroblob(?))", [(STEP,)] * (3 * most // STEP))
    making.close()
    before = used()
    connection = opened(path, writes=writes)  # type: ignore[operator]
    try:
        reached = 0
        for (octets,) in connection.execute("SELECT octets FROM some"):
            assert len(octets) == STEP
            reached = max(reached, used() - before)
        if writes:
            connection.execute("UPDATE some SET octets = zeroblob(?)", (STEP,))
            reached = max(reached, used() - before)
        assert 0.5 * most < reached < SLACK * most + STEP
    finally:
        connection.close()


def test_prepared_statements_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "some.db"
    sqlite3.connect(path).close()
    gc.collect()
    before = statements()
    connection = sqlite.open_file(path, writes=False)
    try:
        for number in range(3 * sqlite.STATEMENTS):
            connection.execute(f"SELECT {number}").fetchall()
        assert 0.5 * sqlite.STATEMENTS < statements() - before < 1.1 * sqlite.STATEMENTS
    finally:
        connection.close()
