"""What tests of several rooms share: a PostgreSQL of our own where its programs are installed."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import settings

from tests import longest
from tests.live import forked
from tests.live.cluster import Cluster, migrated_template, missing, of_this_run

# How long an example takes says how busy the machine is.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest.first(items, longest.listed())


def pytest_sessionfinish() -> None:
    """However the run ends; and if it is killed, PostgreSQL ends with it."""
    if of_this_run.cache_info().currsize:
        of_this_run().remove()
    forked.end()


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """One for the whole run (for each of xdist's processes), quick and forgetful: not for tests of what survives a crash."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    return of_this_run()


@pytest.fixture(scope="session")
def migrated_database(cluster: Cluster) -> str:
    """The name of a database with our schema, to copy new ones from; nobody stays connected to it."""
    return migrated_template()


# As migrated: quicker than another copy of the template, by a tenth of a second.
_EMPTY = """
DO $$
DECLARE
    name TEXT;
BEGIN
    SET LOCAL session_replication_role = replica;
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migration' LOOP
        EXECUTE format('DELETE FROM %I', name);
    END LOOP;
    FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP
        PERFORM setval(CAST(name AS REGCLASS), 1, false);
    END LOOP;
    INSERT INTO cos (name, note, "values", created) VALUES ('default', '', '{}', 0);
    INSERT INTO policy_version (one, version) VALUES (1, 0);
END
$$
"""
_USES = 40
"""After so many tests another copy, without what the others left in its files."""

_databases = itertools.count(1)
_empty: list[tuple[str, int]] = []


@contextmanager
def lent() -> Iterator[str]:
    """The URL of a store on PostgreSQL, migrated and empty, for as long as nobody else has it."""
    cluster = of_this_run()
    if _empty:
        database, uses = _empty.pop()
    else:
        database, uses = f"store_{next(_databases)}", 0
        cluster.create(database, migrated_template())
    yield cluster.url(database)
    if uses + 1 < _USES:
        cluster.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()")
        cluster.sql(_EMPTY, database)
        _empty.append((database, uses + 1))
    else:
        cluster.drop(database)


@pytest.fixture
def shared_url(cluster: Cluster) -> Iterator[str]:
    """A store of its own on PostgreSQL, migrated and empty."""
    with lent() as url:
        yield url


@pytest.fixture(scope="module")
def shared_url_of_module(cluster: Cluster) -> Iterator[str]:
    """The same, for all tests of a file."""
    with lent() as url:
        yield url
