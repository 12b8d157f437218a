"""`procura migrate-store`: from the embedded database to PostgreSQL and back, by the real command, and a server on what came of it."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from store.connect import connect
from tests.bench.population import Population, Sizes
from tests.live.cluster import Cluster
from tests.live.forked import started
from tests.live.server import Server, compose

SQLITE = "sqlite:///{data}/procura.db"
SIZE = 200_000

_NUMBERS = count(1)


@pytest.fixture
def shared_url(cluster: Cluster, migrated_database: str) -> Iterator[str]:
    """A database that nobody else gets afterwards: some are left half filled."""
    database = f"moving_{next(_NUMBERS)}"
    cluster.create(database, migrated_database)
    yield cluster.url(database)
    cluster.drop(database)


@pytest.fixture
def filled(tmp_path: Path) -> Server:
    """anna has two messages, one of them large, and shares her inbox with bruno, who may send as her."""
    server = Server(tmp_path)
    with server:
        server.people("anna", "bruno")
        server.prov(
            "selectMailbox anna@acme.test modifyFolderGrant /INBOX account bruno@acme.test rw",
            "grantRight account anna@acme.test usr bruno@acme.test sendAs",
        )
        server.deliver("anna@acme.test", compose("a@far.test", "anna@acme.test", "small"))
        server.deliver("anna@acme.test", compose("a@far.test", "anna@acme.test", "large", "0123456789abcdef\r\n" * (SIZE // 18)))
    return server


def settled(directory: Path, url: str) -> Server:
    return Server(directory, {"store": url})


def view(server: Server) -> list[object]:
    """What anna's and bruno's clients are shown, UIDs and UIDVALIDITY among it."""
    said: list[object] = []
    for user, folder in (("anna", "INBOX"), ("bruno", '"Other Users/anna/INBOX"')):
        client = server.imap(f"{user}@acme.test")
        said.append(client.select(folder, readonly=True))
        said.append(client.response("UIDVALIDITY"))
        said.append(client.response("UIDNEXT"))
        said.append(client.uid("FETCH", "1:*", "(UID FLAGS INTERNALDATE ENVELOPE BODY.PEEK[])"))
        client.logout()
    return said


def test_a_house_moves_to_postgresql_and_back(filled: Server, tmp_path: Path, shared_url: str) -> None:
    with filled:
        before = view(filled)
        refused = filled.run("migrate-store", SQLITE, shared_url, check=False)
        assert refused.returncode == 1
        assert "another procura" in refused.stderr
    said = filled.run("migrate-store", SQLITE, shared_url, "--progress")
    assert "rows were moved, and compared" in said.stdout
    assert "1 messages lay in files and are in rows now" in said.stdout
    assert "sweeps such files away" in said.stdout
    assert "moving message" in said.stderr
    with settled(tmp_path, shared_url) as server:
        assert view(server) == before
        assert server.run("verify").returncode == 0
        with server.smtp("bruno@acme.test") as client:
            client.sendmail("anna@acme.test", ["anna@acme.test"], compose("anna@acme.test", "anna@acme.test", "as anna"))
        server.wait_for("anna@acme.test", count=3)
        after = view(server)
        refused = filled.run("migrate-store", shared_url, "sqlite:///{data}/back.db", check=False)
        assert refused.returncode == 1
    back = json.loads(filled.run("migrate-store", shared_url, "sqlite:///{data}/back.db", "--json").stdout)
    assert back["message"]["rows"] >= 3
    with settled(tmp_path, "sqlite:///{data}/back.db") as server:
        assert view(server) == after
        assert server.run("verify").returncode == 0
        assert server.run("audit", "verify").returncode == 0


async def more(data: Path) -> None:
    """So much that moving it takes a while."""
    store = await connect("sqlite:///{data}/procura.db", data)
    try:
        population = Population(store)
        await population.begin()
        await population.grow(Sizes(10, 0, 8_000))
    finally:
        await store.close()


def rows_of(data: Path) -> list[object]:
    with sqlite3.connect(data / "procura.db") as connection:
        return [connection.execute(f"SELECT count(*), sum({column}) FROM {table}").fetchone() for table, column in COUNTED]


COUNTED = (("message", "key"), ("blob", "id"), ("migration", "number"), ("folder", "uidnext"), ("folder_entry", "rights"))


@pytest.mark.slow
def test_a_move_that_is_killed_leaves_the_source_as_it_was_and_a_target_that_nobody_opens(
    tmp_path: Path, cluster: Cluster, shared_url: str
) -> None:
    filled = Server(tmp_path)
    asyncio.run(more(filled.data))
    before = rows_of(filled.data)
    database = shared_url.partition("?")[0].rpartition("/")[2]
    moving = started(
        [*filled.command, "migrate-store", SQLITE, shared_url],
        env={**filled.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + 60
        while cluster.sql("SELECT count(*) FROM blob", database) == "0":
            assert moving.poll() is None
            assert time.monotonic() < end
    finally:
        moving.kill()
        moving.wait(30)
    assert moving.returncode == -signal.SIGKILL, "it was through before anybody could kill it"
    assert rows_of(filled.data) == before
    refused = settled(tmp_path, shared_url).run("verify", check=False)
    assert refused.returncode == 1
    assert "run procura migrate-store again" in refused.stderr
    assert "compared" in filled.run("migrate-store", SQLITE, shared_url).stdout
    assert settled(tmp_path, shared_url).run("verify").stdout.startswith("OK: ")
