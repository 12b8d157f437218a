"""A server starts with a clock that is years ahead: nothing is purged and nothing bounces before that clock is believed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.housekeeping import Housekeeping
from gateway.queue import Queue, QueueRules
from gateway.relay import NextHop, Relay
from gateway.releases import Releases
from policy.delivery import Door
from policy.identity import AccountId
from policy.status import AccountStatus
from store import deleted
from store.accounts import DeleteAccount
from store.blobs import Files
from store.clock import NoteTime
from store.connect import connect
from store.domains import CreateDomain
from store.floor import BELIEVED
from tests.gateway.house import SECOND, Clock, House, letter
from tests.live.next_hop import next_hop

YEARS = 73 * 365 * 86_400.0
MAIL = letter("anna@acme.test", "bruno@acme.test")


@asynccontextmanager
async def running(place: Path, clock: Clock, ran: Clock, ids: dict[str, AccountId]) -> AsyncIterator[House]:
    """One process after the other on the same data."""
    store = await connect("sqlite:///{data}/procura.db", place, now=clock, monotonic=ran)
    house = House(store, Files(place / "messages"), clock, relays=True)
    try:
        if not ids:
            await store.do(CreateDomain("acme.test"))
            for name in ("anna", "bruno", "gone"):
                await house.account(name)
            ids.update(house.ids)
        house.ids = dict(ids)
        yield house
        # As a server leaves it that has run for a quarter of an hour.
        await store.do(NoteTime(store.floor.lived() or store.floor.now(), store.floor.accepted))
    finally:
        await house.folders.close()
        house.passwords.close()
        await store.close()


def pass_(clock: Clock, ran: Clock, seconds: float) -> None:
    clock.turn(seconds)
    ran.turn(seconds)


async def once(queue: Queue) -> None:
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)


async def test_nothing_is_purged_before_the_clock_is_believed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clock, ran = Clock(), Clock()
    ids: dict[str, AccountId] = {}
    async with running(tmp_path, clock, ran, ids) as house:
        await house.store.do(DeleteAccount(house.ids["gone"], 30 * 86_400 * SECOND))
    clock.turn(YEARS)
    async with running(tmp_path, clock, ran := Clock(), ids) as house:
        besides = []

        async def also() -> None:
            besides.append(house.store.floor.doubtful)

        keeping = Housekeeping(house.store, house.files, also)
        with caplog.at_level(logging.WARNING):
            for _ in range(2):
                await begun(keeping)
                await keeping.round()
                pass_(clock, ran, 60)
        assert besides == []
        assert len(await house.ask(deleted.page)) == 1
        said = [record.__dict__["fields"]["reason"] for record in caplog.records if record.message == "housekeeping"]
        assert len(said) == 1, "once is enough"
        assert f"{int(YEARS)} s ahead" in said[0]
        pass_(clock, ran, BELIEVED / SECOND)
        await begun(keeping)
        assert besides == [False]
        assert await house.ask(deleted.page) == []


async def begun(keeping: Housekeeping) -> None:
    """Its first round."""
    task = asyncio.create_task(keeping.run())
    for _ in range(200):
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("set_right", [True, False])
async def test_nothing_bounces_before_the_clock_is_believed(tmp_path: Path, *, set_right: bool) -> None:
    clock, ran = Clock(), Clock()
    ids: dict[str, AccountId] = {}
    with next_hop() as sink:
        sink.answers["RCPT far@elsewhere.test"] = ["451 4.2.0 later"] * 9

        def queue_of(house: House) -> Queue:
            relay = Relay(NextHop("127.0.0.1", sink.port, implicit_tls=False, starttls=False), "mx.acme.test", 5)
            rules = QueueRules(retries=(60.0,), delay=0, concurrency=4)
            return Queue(house.store, house.files, house.delivery, relay, rules, Releases(house.store, house.submission, house.delivery))

        async with running(tmp_path, clock, ran, ids) as house:
            await house.status("bruno", AccountStatus.MAINTENANCE)
            await house.bring(Door.MX, "anna@acme.test", ["bruno"], MAIL)
            await house.submit("anna", "anna", ["far@elsewhere.test"], letter("anna@acme.test", "far@elsewhere.test"))
            await once(queue_of(house))
            assert len(await house.queued()) == 2
        clock.turn(YEARS)
        async with running(tmp_path, clock, ran := Clock(), ids) as house:
            queue = queue_of(house)
            for _ in range(3):
                await once(queue)
                assert len(await house.queued()) == 2
                assert await house.mail("anna") == []
                pass_(clock, ran, 70)
            if set_right:
                clock.turn(-YEARS)
            pass_(clock, ran, BELIEVED / SECOND)
            await once(queue)
            bounced = await house.mail("anna")
            assert len(bounced) == (0 if set_right else 2)
