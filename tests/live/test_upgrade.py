"""kill -9 while a store with mail in it is brought up to date (robustness.md section 5, F21): the next start finishes it, and all that was
there is there: messages, flags, folders, grants and what waits to be sent."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from store.migrate import steps, version
from tests.live import earlier
from tests.live.cluster import Cluster
from tests.live.installation import ANNA, begun, filled, letter
from tests.live.picture import picture
from tests.live.server import Server
from tests.live.test_kill_points import Mortal, killed
from tests.live.verified import SOAK, verified
from tests.store.behind import waited

ROOT = Path(__file__).parents[2]
SETTINGS = {"relay": "smtp://127.0.0.1:9", "queue.retries": ["1h"]}
"""Nobody takes what is to be sent."""
QUEUE = "SELECT recipient, reverse_path, size, blob, kind FROM queue ORDER BY id"
EMBEDDED, SHARED = 21, 5
ANEW = 8
"""The step that writes all messages anew."""
"""Versions of schemas: five steps and three before the newest."""

# Ends itself before the Nth statement.
KILLED = """
import os, signal, sqlite3, sys
from store.migrate import migrate, steps
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
left = int(sys.argv[2])
def count_down(_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
connection.set_trace_callback(count_down)
migrate(connection, steps(), lambda: 0)
"""
STRIDE = 1 if SOAK else 9
"""Statements from one kill to the next."""


def office(directory: Path, settings: dict[str, object]) -> tuple[Server, dict[str, object], list[tuple[object, ...]]]:
    """A server with mail that has stopped; what its owner sees, and what waits."""
    server = filled(directory, settings={**SETTINGS, **settings})
    with server:
        with server.smtp(ANNA) as client:
            for number in range(3):
                client.sendmail(
                    ANNA,
                    [f"far{number}@elsewhere.test"],
                    letter(number, 200_000 if number == 2 else 10).replace(b"stan@elsewhere.test", ANNA.encode()),
                )
        seen = picture(server, ANNA)
    return server, seen, waiting(server)


def waiting(server: Server) -> list[tuple[object, ...]]:
    with server.behind() as behind:
        return [tuple(row) for row in behind.execute(QUEUE).fetchall()]


def whole(server: Server, seen: dict[str, object], queued: list[tuple[object, ...]]) -> None:
    """After a start of the server, which does what is left to do."""
    assert len(queued) == 3
    verified(server)
    with server:
        assert picture(server, ANNA) == seen
        assert waiting(server) == queued
        server.deliver(ANNA, letter(200))
        assert len(server.messages(ANNA)) == len(seen["INBOX"][2]) + 1  # type: ignore[index]
        verified(server)
    assert "Traceback" not in server.log.read_text()


@pytest.mark.timeout(600 if SOAK else 120)
def test_killed_at_any_statement(tmp_path: Path) -> None:
    server, seen, queued = office(tmp_path / "server", {"store": "sqlite:///{data}/procura.db"})
    file, old = server.data / "procura.db", tmp_path / "old.db"
    earlier.embedded(file, old, EMBEDDED)
    for one in server.data.glob("procura.db-*"):
        one.unlink()
    old.chmod(0o600)
    old.rename(file)
    Path(f"{old}-wal").unlink(missing_ok=True)
    Path(f"{old}-shm").unlink(missing_ok=True)
    # Behind what is asked at the beginning, and of each step that is done already.
    reached, kills, at, further = {EMBEDDED}, 0, EMBEDDED, 1
    while True:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(file), str(5 + 4 * at + further)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        kills += 1
        with closing(sqlite3.connect(file)) as connection:
            before, at = at, version(connection)
            reached.add(at)
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        further = 1 if at > before else further + STRIDE
    assert kills > 3
    assert len(reached) > (len(steps()) - EMBEDDED if SOAK else 2), f"it was killed in versions {reached} only"
    print(f"{kills} kills")
    whole(server, seen, queued)


@pytest.mark.timeout(300)
def test_killed_at_any_step_on_postgresql(tmp_path: Path, cluster: Cluster, migrated_database: str) -> None:
    cluster.create("upgraded", migrated_database)
    cluster.create("before_the_upgrade")
    try:
        server, seen, queued = office(tmp_path / "server", {"store": cluster.url("upgraded")})
        earlier.shared(cluster.dsn("upgraded"), cluster.dsn("before_the_upgrade"), SHARED)
        mortal = Mortal(server.directory, {**server.settings, "store": cluster.url("before_the_upgrade")})
        command = ("prov", "getDomain", "acme.test")
        for number in range(SHARED, len(steps("postgres"))):
            if SOAK:
                killed(mortal, "store.migrate:_do_shared", "before", 1, *command)
                assert reached(cluster) == number
            if number + 1 == ANEW:
                killed_in_the_middle(mortal, cluster, command)
                assert reached(cluster) == number
            if SOAK or number == SHARED:
                killed(mortal, "store.migrate:_do_shared", "after", 1, *command)
                assert reached(cluster) == number + 1
        whole(mortal, seen, queued)
    finally:
        cluster.drop("before_the_upgrade")
        cluster.drop("upgraded")


def reached(cluster: Cluster) -> int:
    return int(cluster.sql("SELECT max(number) FROM migration", "before_the_upgrade"))


def killed_in_the_middle(server: Server, cluster: Cluster, command: tuple[str, ...]) -> None:
    """Of the step that writes all messages anew: it waits for somebody who reads them."""
    reader = waited(asyncpg.connect(cluster.dsn("before_the_upgrade")))
    try:
        waited(reader.execute("BEGIN; LOCK TABLE message IN ACCESS SHARE MODE"))
        process = begun(server, *command)
        end = time.monotonic() + 60
        while cluster.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = 'before_the_upgrade'") == "0":
            assert time.monotonic() < end, "it never came there"
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        process.wait()
        waited(reader.execute("ROLLBACK"))
    finally:
        waited(reader.close())
