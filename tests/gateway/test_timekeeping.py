"""The store is told how late it is, by one node, at the start, again and again, and at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway import timekeeping
from gateway.timekeeping import REPEATED, Timekeeping
from store import clock
from store.connect import connect
from store.errors import Busy
from store.floor import Floor
from store.port import Store
from store.sqlite import SqliteStore

DAY = 86_400_000_000
URL = "sqlite:///{data}/procura.db"


async def seen(store: Store) -> int:
    async with store.snapshot() as snapshot:
        return await snapshot.ask(clock.seen)


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


async def test_that_it_is_behind_is_said_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = await connect(URL, tmp_path)
    now = [0]
    monkeypatch.setattr(store, "floor", Floor(DAY, lambda: now[0], lambda: 0))
    keeping = Timekeeping(store)

    def looked(times: int) -> list[str]:
        """What was said meanwhile."""
        caplog.clear()
        for _ in range(times):
            keeping.look()
        return [record.__dict__["fields"]["outcome"] for record in caplog.records]

    assert looked(REPEATED) == ["86400 s behind the time that was known here"]
    assert looked(2 * REPEATED) == ["still 86400 s behind the time that was known here"] * 2
    now[0] = DAY
    assert looked(2 * REPEATED) == ["no longer behind the time that was known here"]
    await store.close()
