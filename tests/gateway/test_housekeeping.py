"""What is put away, when, and what survives until nobody can be reading it any more."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway import housekeeping
from gateway.arrival import arrived
from gateway.housekeeping import Housekeeping
from policy.delivery import Door
from store import deleted
from store.accounts import DeleteAccount
from store.blobs import IN_ROW, Files
from store.errors import Busy
from store.queue import AcceptMessage, IntoMailbox
from tests.gateway.house import House, letter, opened
from tests.live.bucket import Bucket, speaking

LARGE = letter("stan@elsewhere.test", "anna@acme.test", text="x" * (IN_ROW + 1))


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno") as house:
        house.clock.at = time.time_ns() // 1000  # files have their times from the system
        yield house


def files(house: House) -> list[Path]:
    return [path for path in house.files.directory.rglob("*") if path.is_file()]


def age(house: House, hours: float) -> None:
    """As if the files had been written so long ago."""
    for path in files(house):
        os.utime(path, (time.time() - hours * 3600,) * 2)


async def test_a_file_outlives_its_row_by_a_round_however_old_it_is(house: House) -> None:
    await house.bring(Door.LMTP, "stan@elsewhere.test", ["anna"], LARGE)
    age(house, 24)
    keeping = Housekeeping(house.store, house.files)
    await keeping.round()
    assert len(files(house)) == 1
    async with house.store.snapshot() as reader:
        # A reader of this moment has found the message, and comes for its octets a little later.
        await house.store.do(DeleteAccount(house.ids["anna"]))
        await keeping.round()
        assert len(files(house)) == 1
        assert reader.now
    await keeping.round()
    assert files(house) == []


async def test_a_young_file_that_no_row_names_waits_for_its_deed(house: House) -> None:
    await asyncio.to_thread(house.files.spool, LARGE)
    keeping = Housekeeping(house.store, house.files)
    await keeping.round()
    await keeping.round()
    assert len(files(house)) == 1
    age(house, 1.1)
    await keeping.round()
    assert len(files(house)) == 1
    await keeping.round()
    assert files(house) == []


async def test_a_file_that_another_owner_still_has_stays(house: House) -> None:
    await house.bring(Door.LMTP, "stan@elsewhere.test", ["anna", "bruno"], LARGE)
    age(house, 24)
    await house.store.do(DeleteAccount(house.ids["anna"]))
    keeping = Housekeeping(house.store, house.files)
    await keeping.round()
    await keeping.round()
    (stored,) = await house.mail("bruno")
    assert stored.endswith(LARGE)


async def test_an_acceptance_is_forgotten_after_a_day(house: House) -> None:
    again = AcceptMessage("key", ())
    assert not (await house.store.do(again)).repeated
    keeping = Housekeeping(house.store, house.files)
    await keeping.round()
    assert (await house.store.do(again)).repeated
    house.clock.turn(24 * 3600 + 1)
    await keeping.round()
    assert not (await house.store.do(again)).repeated


@pytest.mark.parametrize("fault", [Busy("no reader"), OSError("input/output error"), RuntimeError("a fault of ours")])
async def test_no_fault_ends_it(house: House, fault: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(housekeeping, "EVERY", 0.01)
    caplog.set_level(logging.WARNING)
    rounds = 0

    async def faulty(_: Housekeeping) -> None:
        nonlocal rounds
        rounds += 1
        raise fault

    monkeypatch.setattr(Housekeeping, "round", faulty)
    task = asyncio.ensure_future(Housekeeping(house.store, Files(house.files.directory)).run())
    while rounds < 3:
        assert not task.done()
        await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert len([record for record in caplog.records if record.name == "gateway.housekeeping"]) >= 2


async def test_a_deleted_account_goes_for_good_when_its_time_is_over(house: House) -> None:
    await house.bring(Door.LMTP, "stan@elsewhere.test", ["anna"], LARGE)
    await house.store.do(DeleteAccount(house.ids["anna"], keep_for=3600 * 1_000_000))
    keeping = Housekeeping(house.store, house.files)

    async def kept() -> int:
        async with house.store.snapshot() as snapshot:
            return len(await snapshot.work(deleted.page))

    await keeping.round()
    assert await kept() == 1
    house.clock.turn(3601)
    await keeping.round()
    assert await kept() == 0
    age(house, 24)
    house.clock.turn(24 * 3600)
    await keeping.round()
    await keeping.round()
    assert files(house) == []


async def test_no_file_goes_while_somebody_copies_what_a_snapshot_names(house: House) -> None:
    await house.bring(Door.LMTP, "stan@elsewhere.test", ["anna"], LARGE)
    age(house, 24)
    keeping = Housekeeping(house.store, house.files)
    await house.store.do(DeleteAccount(house.ids["anna"]))
    with house.files.held():
        for _ in range(3):
            await keeping.round()
        assert len(files(house)) == 1
    await keeping.round()
    await keeping.round()
    assert files(house) == []


async def test_objects_that_no_row_names_go_page_by_page_and_nothing_else_does(house: House) -> None:
    """Of two nodes with their own rounds: what one has just written, the other leaves alone."""
    with Bucket() as bucket:
        one, other = (speaking(bucket, house.files.directory / node) for node in ("one", "other"))
        for number in range(7):
            kept = await one.kept(arrived(LARGE + b"%d" % number))
            if number % 2:
                copy = IntoMailbox(house.ids["anna"], kept, 0)
                await house.store.do(AcceptMessage(f"object {number}", (copy,)))
        rounds = [Housekeeping(house.store, files) for files in (one, other)]
        for _ in range(2):
            for keeping in rounds:
                await keeping.round()
        assert len(bucket.messages()) == 7, "none of them is an hour old"
        bucket.age(1.1)
        for keeping in rounds:
            await keeping.round()
        assert len(bucket.messages()) == 7, "each round looks twice"
        kept = await one.kept(arrived(LARGE + b"new"))
        assert bucket.count("GET") >= 6, "pages"
        bucket.is_down = True
        with pytest.raises(Busy):
            await rounds[0].round()
        bucket.is_down = False
        for _ in range(2):
            await asyncio.gather(*(keeping.round() for keeping in rounds))
        assert kept.spooled is not None
        assert len(bucket.messages()) == 3 + 1
        assert any(kept.spooled.place.endswith(name.rpartition("/")[2]) for name in bucket.messages())
