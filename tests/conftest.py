"""What tests of several rooms share: a PostgreSQL of our own where its programs are installed."""

import asyncio
import itertools
from collections.abc import Iterator

import asyncpg
import pytest

from store.migrate import migrate_shared, steps
from tests.live.cluster import TEMPLATE, Cluster, missing


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One for the whole run (for each of xdist's processes), quick and forgetful: not for tests of what survives a crash."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def migrated_database(cluster: Cluster) -> str:
    """The name of a database with our schema, to copy new ones from; nobody stays connected to it."""

    async def fill() -> None:
        connection = await asyncpg.connect(cluster.create(TEMPLATE))
        await migrate_shared(connection, steps("postgres"), lambda: 0)
        await connection.close()

    asyncio.run(fill())
    return TEMPLATE


_NUMBERS = itertools.count(1)


@pytest.fixture
def shared_url(cluster: Cluster, migrated_database: str) -> Iterator[str]:
    """A store of its own on PostgreSQL, migrated and empty."""
    database = f"store_{next(_NUMBERS)}"
    cluster.create(database, migrated_database)
    yield cluster.url(database)
    cluster.drop(database)
