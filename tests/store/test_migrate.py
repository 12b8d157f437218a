import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from store.errors import Unusable
from store.migrate import Step, migrate, migrate_shared, statements_of, steps, version, version_of
from tests.live.cluster import Cluster

ROOT = Path(__file__).parents[2]
ONE = Step(1, "one", "CREATE TABLE a (x INTEGER PRIMARY KEY); -- a comment; with a semicolon\nINSERT INTO a VALUES (1);")
TWO = Step(2, "two", "CREATE TABLE b (\n    a INTEGER REFERENCES a (x) -- why\n);\nINSERT INTO b VALUES (1);")


def opened(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path / "x.db", isolation_level=None)


def tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_steps_are_done_once_in_their_order(tmp_path: Path) -> None:
    connection = opened(tmp_path)
    assert version(connection) == 0
    assert migrate(connection, [ONE], lambda: 5) == [ONE]
    assert migrate(connection, [ONE, TWO], lambda: 6) == [TWO]
    assert migrate(connection, [ONE, TWO], lambda: 7) == []
    assert connection.execute("SELECT number, name, at FROM migration").fetchall() == [(1, "one", 5), (2, "two", 6)]
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    connection.close()


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    connection = opened(tmp_path)
    migrate(connection, [ONE, TWO], lambda: 0)
    with pytest.raises(Unusable, match="schema 2"):
        migrate(connection, [ONE], lambda: 0)
    assert version(connection) == 2
    connection.close()


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE c (x); CREATE TABLE a (x);",
        "CREATE TABLE c (x); INSERT INTO nowhere VALUES (1);",
        "CREATE TABLE c (x); INSERT INTO b VALUES (99);",
        "CREATE TABLE c (x); SELECT",
    ],
    ids=["there already", "no such table", "a row that refers to nothing", "ends within"],
)
def test_a_step_that_fails_leaves_nothing(tmp_path: Path, script: str) -> None:
    connection = opened(tmp_path)
    migrate(connection, [ONE, TWO], lambda: 0)
    before = tables(connection)
    with pytest.raises(Unusable):
        migrate(connection, [ONE, TWO, Step(3, "three", script)], lambda: 0)
    assert (tables(connection), version(connection), connection.in_transaction) == (before, 2, False)
    connection.close()


KILLED = """
import os, signal, sqlite3, sys
from store.migrate import Step, migrate, steps
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
count = 0
def count_down():
    global count
    count += 1
    if count >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
connection.set_trace_callback(lambda _: count_down())
migrate(connection, steps(), lambda: 0)
"""


@pytest.mark.parametrize("after", [3, 8, 20, 40])
def test_killed_in_the_middle_it_begins_again(tmp_path: Path, after: int) -> None:
    process = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "x.db"), str(after)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert process.returncode == -signal.SIGKILL
    connection = opened(tmp_path)
    done = version(connection)
    assert done < len(steps())
    assert len(migrate(connection, steps(), lambda: 0)) == len(steps()) - done
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    migrate(fresh, steps(), lambda: 0)
    schema = "SELECT name, sql FROM sqlite_master ORDER BY name"
    assert connection.execute(schema).fetchall() == fresh.execute(schema).fetchall()
    connection.close()
    fresh.close()


def test_our_own_steps_are_numbered_one_by_one_and_whole(tmp_path: Path) -> None:
    found = steps()
    assert [step.number for step in found] == [*range(1, len(found) + 1)]
    connection = opened(tmp_path)
    migrate(connection, found, lambda: 0)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_messages_from_before_sorting_are_there_and_unsorted(tmp_path: Path) -> None:
    connection = opened(tmp_path)
    migrate(connection, steps()[:2], lambda: 0)
    connection.execute(
        "INSERT INTO head (key, sent, sent_day, sender, recipient, copied, subject, message_id) VALUES (7, 1, 0, 's', 'r', 'c', 'x', '<i>')"
    )
    connection.execute("INSERT INTO message (key, blob, size, received, saved, flags, modseq) VALUES (7, 3, 1, 0, 0, 0, 1)")
    migrate(connection, steps(), lambda: 0)
    row = connection.execute("SELECT sender, message_id, sort_version, sort_from, is_reply, ancestors FROM head WHERE blob = 3").fetchone()
    assert row == ("s", "<i>", 0, "", 0, "")
    connection.close()


def read_by_message(connection: sqlite3.Connection) -> None:
    """As what was read of octets was kept with each message: several of one blob, one that a fault has left without."""
    before = next(number for number, step in enumerate(steps()) if step.name == "read_by_octets")
    migrate(connection, steps()[:before], lambda: 0)
    for key, blob in ((7 << 32 | 1, 5), (7 << 32 | 2, 3), (7 << 32 | 3, 5), (8 << 32 | 1, 3), (8 << 32 | 2, 4)):
        connection.execute(
            "INSERT INTO message (key, blob, size, received, saved, flags, modseq) VALUES (?, ?, 1, 0, 0, 0, 1)", (key, blob)
        )
        if key == 7 << 32 | 1:
            continue
        connection.execute(
            "INSERT INTO wire (key, rendering, envelope, structure, body, preview) VALUES (?, 2, ?, 's', 'b', NULL)", (key, f"e{blob}")
        )
        connection.execute(
            "INSERT INTO head (key, sent, sender, recipient, copied, subject, message_id, is_reply)"
            " VALUES (?, NULL, 'f', 't', '', ?, '<i>', 1)",
            (key, f"s{blob}"),
        )


READ = [(3, "e3", None, "s3", 1, ""), (4, "e4", None, "s4", 1, ""), (5, "e5", None, "s5", 1, "")]
BY_OCTETS = (
    "SELECT blob, envelope, preview, subject, is_reply, ancestors FROM wire JOIN head USING (blob)"
    " WHERE rendering = 2 AND structure = 's' AND body = 'b' AND sender = 'f' AND recipient = 't' AND message_id = '<i>' ORDER BY blob"
)


def test_what_was_read_of_octets_is_there_once_for_each(tmp_path: Path) -> None:
    connection = opened(tmp_path)
    read_by_message(connection)
    migrate(connection, steps(), lambda: 0)
    assert connection.execute(BY_OCTETS).fetchall() == READ
    for table in ("wire", "head"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (3,)
    connection.close()


ENDED = """
import os, signal, sqlite3, sys
from store.migrate import migrate, steps
for after in range(1, 1000):
    if os.fork() == 0:
        connection = sqlite3.connect(sys.argv[1], isolation_level=None)
        left = [after]
        def count_down(_):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        connection.set_trace_callback(count_down)
        migrate(connection, steps(), lambda: 0)
        os._exit(0)
    if os.wait()[1] == 0:
        print(after)
        break
"""
"""Migrates in one process after the other, each killed one statement later; says how many it took."""


def test_killed_at_each_statement_nothing_of_what_was_read_is_lost(tmp_path: Path) -> None:
    connection = opened(tmp_path)
    connection.execute("PRAGMA journal_mode = WAL")
    read_by_message(connection)
    connection.close()
    ended = subprocess.run(
        [sys.executable, "-c", ENDED, str(tmp_path / "x.db")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(ended.stdout) > 10
    connection = opened(tmp_path)
    assert version(connection) == len(steps())
    assert connection.execute(BY_OCTETS).fetchall() == READ
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_what_waited_before_there_were_destinations_has_one(tmp_path: Path) -> None:
    connection = opened(tmp_path)
    before = next(number for number, step in enumerate(steps()) if step.name == "outbound")
    migrate(connection, steps()[:before], lambda: 0)
    for number, (kind, recipient) in enumerate([("relay", '"a@b"@far.test'), ("relay", "x@far.test"), ("held", "anna@acme.test")], 1):
        connection.execute(
            "INSERT INTO queue (accepted, kind, state, due, lease, recipient, reverse_path, parameters, blob, size, created, expires, "
            "attempts, last_reply) VALUES ('q', ?, 'due', 0, '', ?, '', '{}', ?, 1, 0, 1, 0, '')",
            (kind, recipient, number),
        )
    migrate(connection, steps(), lambda: 0)
    rows = connection.execute("SELECT destination, stopped, warned FROM queue ORDER BY id").fetchall()
    assert rows == [("far.test", 0, 0), ("far.test", 0, 0), ("", 0, 0)]
    connection.close()


def test_members_elsewhere_from_before_they_had_numbers_have_one(tmp_path: Path) -> None:
    connection = opened(tmp_path)
    before = next(number for number, step in enumerate(steps()) if step.name == "lists")
    migrate(connection, steps()[:before], lambda: 0)
    connection.execute(
        "INSERT INTO domain (id, name, status, delimiter, note, max_accounts, created) VALUES (1, 'a.test', 'active', '+', '', 0, 0)"
    )
    connection.execute("INSERT INTO object (id, kind, domain) VALUES (5, 'list', 1)")
    connection.execute("INSERT INTO list (id, display_name, note, attributes, created) VALUES (5, '', '', '{}', 0)")
    connection.executemany("INSERT INTO list_external (list, local, domain) VALUES (5, ?, 'far.test')", [("b",), ("a",)])
    migrate(connection, steps(), lambda: 0)
    assert connection.execute("SELECT id, list, local, domain FROM list_external ORDER BY id").fetchall() == [
        (1, 5, "a", "far.test"),
        (2, 5, "b", "far.test"),
    ]
    connection.execute("DELETE FROM object WHERE id = 5")
    assert connection.execute("SELECT count(*) FROM list_external").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize("names", [["0001_a.sql", "0003_b.sql"], ["0001_a.sql", "0001_b.sql"], ["0002_a.sql"], ["1_a.sql"]])
def test_numbers_with_gaps_or_twice_are_refused(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "sqlite").mkdir()
    for name in names:
        (tmp_path / "sqlite" / name).write_text("SELECT 1;")
    with pytest.raises(Unusable):
        steps("sqlite", tmp_path)


def test_a_script_comes_apart_at_its_statements_only() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\nEND;\n"
    script = f"CREATE TABLE a (x TEXT DEFAULT ';');\n-- a; comment\n{trigger}-- the end\n"
    assert [statement.splitlines()[-1] for statement in statements_of(script)] == ["CREATE TABLE a (x TEXT DEFAULT ';');", "END;"]


# --- on PostgreSQL

FIRST = Step(1, "one", "CREATE TABLE a (x BIGINT PRIMARY KEY); -- a comment; with a semicolon\nINSERT INTO a VALUES (1);")
SECOND = Step(2, "two", "CREATE TABLE b (a BIGINT REFERENCES a (x)); INSERT INTO b VALUES (1);")


@pytest.fixture
async def database(cluster: Cluster) -> AsyncIterator[str]:
    """An empty one."""
    yield cluster.create("steps")
    cluster.drop("steps")


@pytest.fixture
async def session(database: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database)
    yield connection
    connection.terminate()


async def shared_tables(session: Any) -> set[str]:
    return {row[0] for row in await session.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


async def test_steps_are_done_once_in_their_order_on_postgresql(session: Any) -> None:
    assert await version_of(session) == 0
    assert await migrate_shared(session, [FIRST], lambda: 5) == [FIRST]
    assert await migrate_shared(session, [FIRST, SECOND], lambda: 6) == [SECOND]
    assert await migrate_shared(session, [FIRST, SECOND], lambda: 7) == []
    assert [tuple(row) for row in await session.fetch("SELECT number, name, at FROM migration")] == [(1, "one", 5), (2, "two", 6)]


async def test_of_nodes_that_start_at_once_one_does_each_step(database: str, cluster: Cluster) -> None:
    nodes = [await asyncpg.connect(database) for _ in range(4)]
    done = await asyncio.gather(*(migrate_shared(node, [FIRST, SECOND], lambda: 0) for node in nodes))
    assert sorted(step.name for steps_of_one in done for step in steps_of_one) == ["one", "two"]
    assert cluster.sql("SELECT count(*) FROM b", "steps") == "1"
    for node in nodes:
        await node.close()


async def test_a_newer_schema_is_refused_and_left_alone_on_postgresql(session: Any) -> None:
    await migrate_shared(session, [FIRST, SECOND], lambda: 0)
    with pytest.raises(Unusable, match="schema 2"):
        await migrate_shared(session, [FIRST], lambda: 0)
    assert await version_of(session) == 2


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE c (x TEXT); CREATE TABLE a (x TEXT);",
        "CREATE TABLE c (x TEXT); INSERT INTO nowhere VALUES (1);",
        "CREATE TABLE c (x TEXT); INSERT INTO b VALUES (99);",
        "CREATE TABLE c (x TEXT); CREATE TABLE d (",
    ],
    ids=["there already", "no such table", "a row that refers to nothing", "ends within"],
)
async def test_a_step_that_fails_leaves_nothing_on_postgresql(session: Any, script: str) -> None:
    await migrate_shared(session, [FIRST, SECOND], lambda: 0)
    before = await shared_tables(session)
    with pytest.raises(Unusable, match="0003_three"):
        await migrate_shared(session, [FIRST, SECOND, Step(3, "three", script)], lambda: 0)
    assert (await shared_tables(session), await version_of(session)) == (before, 2)


async def test_cut_off_in_the_middle_it_begins_again_on_postgresql(session: Any, database: str, cluster: Cluster) -> None:
    await migrate_shared(session, [FIRST], lambda: 0)
    slow = Step(2, "slow", "CREATE TABLE b (x BIGINT); SELECT pg_sleep(60);")
    other = await asyncpg.connect(database)
    doing = asyncio.create_task(migrate_shared(other, [FIRST, slow], lambda: 0))
    deadline = asyncio.get_running_loop().time() + 20
    while cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'") == "0":
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.02)
    cluster.sql(f"SELECT pg_terminate_backend({other.get_server_pid()})")
    with pytest.raises(Unusable):
        await doing
    assert await version_of(session) == 1
    assert await migrate_shared(session, [FIRST, SECOND], lambda: 0) == [SECOND]


def test_postgresql_has_its_own_steps_numbered_one_by_one() -> None:
    found = steps("postgres")
    assert [step.number for step in found] == [*range(1, len(found) + 1)]
