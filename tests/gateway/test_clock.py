"""A clock that is set while the server runs: noticed, told once, and nothing goes too early or waits for ever because of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.clock import Clock
from gateway.housekeeping import Housekeeping
from gateway.postponed import read_postponed
from gateway.queue import Queue, QueueRules
from gateway.relay import NextHop, Relay
from gateway.releases import Releases
from store import deleted
from store.accounts import DeleteAccount
from store.errors import Busy
from store.model import QueueState
from store.stepped import ClockStepped
from tests.gateway.house import SECOND, House, letter, opened
from tests.live.next_hop import next_hop

DAY = 86400.0
YEAR = 365 * DAY
RULES = QueueRules(retries=(60.0, 300.0), delay=3600.0, concurrency=4)
SETS = [DAY, -DAY, YEAR, -YEAR]


class Steady:
    """A clock that nobody sets."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", relays=True) as house:
        yield house


def pass_(house: House, steady: Steady, seconds: float) -> None:
    """Time goes by, on both."""
    house.clock.turn(seconds)
    steady.at += seconds


@pytest.mark.parametrize("by", [*SETS, 61.0, -61.0])
async def test_a_step_is_told_once_however_many_ask(house: House, by: float, monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Steady()
    clock = Clock(house.store, steady)
    told: list[int] = []
    clock.watch(told.append)
    await clock.now()
    pass_(house, steady, 500)
    await clock.now()
    assert told == []
    deeds = house.deeds_done(monkeypatch)
    house.clock.turn(by)
    assert set(await asyncio.gather(*(clock.now() for _ in range(20)))) == {house.clock.at}
    assert told == [int(by * SECOND)]
    assert deeds == [ClockStepped(int(by * SECOND), house.clock.at - int(by * SECOND))]
    pass_(house, steady, 500)
    await clock.now()
    assert len(told) == 1


async def test_clocks_that_are_corrected_bit_by_bit_are_no_matter(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Steady()
    clock = Clock(house.store, steady)
    deeds = house.deeds_done(monkeypatch)
    for by in (3.0, -50.0, 59.0) * 20:
        await clock.now()
        pass_(house, steady, 30)
        house.clock.turn(by)
    assert deeds == []


async def test_what_could_not_be_told_is_told_by_the_next_to_ask(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    steady = Steady()
    clock = Clock(house.store, steady)
    told: list[int] = []
    clock.watch(told.append)
    await clock.now()
    house.clock.turn(YEAR)

    async def busy(*_: object, **__: object) -> None:
        raise Busy("not now")

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "do", busy)
        with pytest.raises(Busy):
            await clock.now()
    assert told == []
    await clock.now()
    assert told == [int(YEAR * SECOND)]


async def test_a_question_that_took_long_is_no_step(house: House) -> None:
    """Each of the two clocks may be read at either end of the question."""
    moments = iter([0.0, 0.0, 10.0, 400.0, 410.0, 410.0])
    clock = Clock(house.store, lambda: next(moments))
    told: list[int] = []
    clock.watch(told.append)
    await clock.now()
    house.clock.turn(10)
    await clock.now()
    house.clock.turn(400)
    await clock.now()
    assert told == []


# --- the queue


async def once(queue: Queue) -> None:
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)


@pytest.mark.parametrize("by", SETS)
async def test_mail_waits_as_long_as_it_would_have_and_does_not_bounce(house: House, by: float) -> None:
    with next_hop() as sink:
        sink.answers["RCPT far@elsewhere.test"] = ["451 4.2.0 later"]
        steady = Steady()
        relay = Relay(NextHop("127.0.0.1", sink.port, implicit_tls=False, starttls=False), "mx.acme.test", 5)
        queue = Queue(house.store, house.files, house.delivery, relay, RULES, clock=Clock(house.store, steady))
        await house.submit("anna", "anna", ["far@elsewhere.test"], letter("anna@acme.test", "far@elsewhere.test"))
        await once(queue)
        house.clock.turn(by)
        for _ in range(5):
            pass_(house, steady, 10)
            await once(queue)
        assert sum(said.startswith("RCPT") for _, said in sink.seen) == 1, "its minute is not over"
        pass_(house, steady, 20)
        await once(queue)
        assert len(sink.taken) == 1
        assert await house.queued() == []
        assert await house.mail("anna") == [], "neither bounced nor late"
        await relay.close()


@pytest.mark.parametrize("by", SETS)
async def test_what_is_being_tried_meanwhile_does_not_bounce(house: House, by: float) -> None:
    with next_hop() as sink:
        sink.answers["END"] = ["451 4.2.0 later"]
        sink.gate.clear()
        steady = Steady()
        relay = Relay(NextHop("127.0.0.1", sink.port, implicit_tls=False, starttls=False), "mx.acme.test", 5)
        queue = Queue(house.store, house.files, house.delivery, relay, RULES, clock=Clock(house.store, steady))
        await house.submit("anna", "anna", ["far@elsewhere.test"], letter("anna@acme.test", "far@elsewhere.test"))
        async with asyncio.TaskGroup() as attempts:
            await queue.round(attempts)
            await asyncio.to_thread(sink.wait_for, "DATA")
            house.clock.turn(by)
            sink.gate.set()
        (row,) = await house.queued()
        assert row.state is QueueState.DUE
        assert 0 < row.due - house.clock.at <= 67 * SECOND
        assert row.expires - house.clock.at == 5 * 86400 * SECOND
        assert await house.mail("anna") == []
        await relay.close()


@pytest.mark.parametrize("by", SETS)
async def test_mail_for_later_is_not_forgotten_for_a_year(house: House, by: float) -> None:
    """A release soon is what a recall window is, too."""
    steady = Steady()
    clock = Clock(house.store, steady)
    await clock.now()
    await house.submit("anna", "anna", ["bruno"], letter(), release=house.clock.at + 60 * SECOND)
    house.clock.turn(by)
    await clock.now()
    (row,) = await house.queued()
    assert row.due - house.clock.at == 60 * SECOND
    assert read_postponed(row.parameters).at == row.due
    pass_(house, steady, 61)
    releases = Releases(house.store, house.submission, house.delivery)
    await once(Queue(house.store, house.files, house.delivery, None, RULES, releases, clock=clock))
    assert len(await house.mail("bruno")) == 1


async def test_nothing_is_put_away_because_the_clock_was_set_on(house: House) -> None:
    steady = Steady()
    clock = Clock(house.store, steady)
    keeping = Housekeeping(house.store, house.files, clock=clock)
    await keeping.round()
    await house.store.do(DeleteAccount(house.ids["bruno"], int(30 * DAY) * SECOND))
    house.clock.turn(YEAR)
    await keeping.round()
    pass_(house, steady, 29 * DAY)
    await keeping.round()
    assert len(await house.ask(deleted.page)) == 1
    pass_(house, steady, 2 * DAY)
    await keeping.round()
    assert await house.ask(deleted.page) == []
