"""One server for the offices of all client tests of a file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.interop.office import Office, furnish, open_office
from tests.live.server import Server

_numbers = count(1)


@pytest.fixture(scope="module")
def building(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = open_office(tmp_path_factory.mktemp("office"))
    yield server
    assert server.stop() == 0


@pytest.fixture
def office(building: Server) -> Office:
    return furnish(building, str(next(_numbers)))
