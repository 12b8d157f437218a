"""Readers that begin their next transaction with the end of the last one: they see what is there when they are used, and do not stay so."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from store import domains, postgres
from store.connect import connect
from store.domains import CreateDomain
from store.port import Store
from tests.live.cluster import Cluster


@pytest.fixture
async def store(shared_url: str, tmp_path: Path) -> AsyncIterator[Store]:
    opened = await connect(shared_url, tmp_path)
    yield opened
    await opened.close()


async def look(store: Store) -> list[str]:
    async with store.snapshot() as snapshot:
        return [row.name for row in await snapshot.ask(domains.all_of_them)]


def readers(cluster: Cluster, url: str) -> list[str]:
    database = url.partition("?")[0].rpartition("/")[2]
    return cluster.sql(
        "SELECT state || coalesce(CAST(backend_xmin AS TEXT), '') FROM pg_stat_activity"
        f" WHERE datname = '{database}' AND application_name LIKE 'procura %' AND query LIKE '%REPEATABLE READ READ ONLY'"
    ).splitlines()


async def until_begun(cluster: Cluster, url: str, expected: list[str]) -> None:
    ends = time.monotonic() + 20
    # One, or two where the clock was looked at just then.
    while set(found := readers(cluster, url)) != set(expected):
        assert time.monotonic() < ends, found
        await asyncio.sleep(0.05)


async def test_what_was_committed_while_it_waited_is_seen(store: Store, cluster: Cluster, shared_url: str) -> None:
    assert await look(store) == []
    # It holds back nothing that PostgreSQL cleans up: it has no snapshot yet.
    await until_begun(cluster, shared_url, ["idle in transaction"])
    await store.do(CreateDomain("acme.test"))
    assert await look(store) == ["acme.test"]


async def test_who_is_not_used_rests_without_a_transaction(
    store: Store, cluster: Cluster, shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "BEGUN_SECONDS", 0.2)
    await look(store)
    await until_begun(cluster, shared_url, [])
    assert await look(store) == []


async def test_one_that_was_ended_while_it_waited_is_replaced(store: Store, cluster: Cluster, shared_url: str) -> None:
    await asyncio.gather(*(look(store) for _ in range(3)))
    await asyncio.sleep(0.1)
    database = shared_url.partition("?")[0].rpartition("/")[2]
    cluster.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND state = 'idle in transaction'")
    assert await look(store) == []
