"""A house per test: a temporary store, four people, an IMAP listener."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.gateway.imap.handlers.house import Client, House, housed


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as found:
        yield found


@pytest.fixture
async def port(house: House) -> int:
    return await house.listen()


@pytest.fixture
async def anna(house: House, port: int) -> Client:
    return await house.client(port, "anna")


@pytest.fixture
async def bruno(house: House, port: int) -> Client:
    return await house.client(port, "bruno")
