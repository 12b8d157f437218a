"""What tests of several rooms share: a PostgreSQL of our own where its programs are installed."""

from collections.abc import Iterator

import pytest

from tests.live.cluster import Cluster, missing


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """One for the whole run (for each of xdist's processes), quick and forgetful: not for tests of what survives a crash."""
    why = missing()
    if why is not None:
        pytest.skip(why)
    with Cluster() as cluster:
        yield cluster
