"""The store is told how late it is, by one node, at the start, again and again, and at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway import timekeeping
from gateway.timekeeping import Timekeeping
from store import clock, floor
from store.connect import connect
from store.errors import Busy
from store.port import Store
from store.sqlite import SqliteStore


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock is believed at its second reading."""
    monkeypatch.setattr(floor, "BELIEVED", 0)


URL = "sqlite:///{data}/procura.db"


async def seen(store: Store) -> int:
    async with store.snapshot() as snapshot:
        return (await snapshot.ask(clock.known)).seen


async def test_it_is_noted_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timekeeping, "EVERY", 0.01)
    store = await connect(URL, tmp_path)
    task = asyncio.ensure_future(Timekeeping(store).run())
    found: set[int] = set()
    async with asyncio.timeout(10):
        while len(found - {0}) < 3:
            found.add(await seen(store))
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait({task})
    assert abs(max(found) - store.floor.now()) < 60_000_000
    await store.close()


async def test_who_does_not_lead_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "leads", False)
    store = await connect(URL, tmp_path)
    task = asyncio.ensure_future(Timekeeping(store).run())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.wait({task})
    assert await seen(store) == 0
    await store.close()


async def test_what_cannot_be_noted_ends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(timekeeping, "EVERY", 0.01)
    store = await connect(URL, tmp_path)

    async def busy(*_: object, **__: object) -> None:
        raise Busy("not now")

    with monkeypatch.context() as later:
        later.setattr(store, "do", busy)
        task = asyncio.ensure_future(Timekeeping(store).run())
        await asyncio.sleep(0.05)
        await Timekeeping(store).last()
    async with asyncio.timeout(10):
        while not await seen(store):
            await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait({task})
    assert "clock" in {record.message for record in caplog.records}
    await store.close()
