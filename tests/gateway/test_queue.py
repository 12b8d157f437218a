"""Trying again: what is due, what is held, what bounces, on a clock that the test turns. More in tests/live/test_remote.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import queue as service
from gateway.queue import Queue, QueueRules
from gateway.relay import NextHop, Relay
from policy.delivery import Door
from policy.status import AccountStatus
from store.accounts import CreateAccount, DeleteAccount
from store.domains import CreateDomain
from store.errors import Busy
from store.model import QueueState
from store.queue import ClaimDue, FreeLeases
from tests.gateway.house import SECOND, House, address, letter, opened
from tests.live.next_hop import NextHop as Sink
from tests.live.next_hop import next_hop as listening

RULES = QueueRules(retries=(60.0, 300.0), delay=3600.0, concurrency=4)
STRANGER = "stan@elsewhere.test"
MAIL = letter(STRANGER, "anna@acme.test", "Subject: hello")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", relays=True) as house:
        yield house


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as sink:
        yield sink


def queue_of(house: House, sink: Sink | None = None, rules: QueueRules = RULES) -> Queue:
    relay = None if sink is None else Relay(NextHop("127.0.0.1", sink.port, implicit_tls=False, starttls=False), "mx.acme.test", 5)
    return Queue(house.store, house.files, house.delivery, relay, rules)


async def once(queue: Queue) -> None:
    """One round, and every attempt that it began."""
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)


async def send(house: House, recipients: Sequence[str], octets: bytes = MAIL) -> None:
    await house.submit("anna", "anna", recipients, octets.replace(b"stan@elsewhere.test", b"anna@acme.test"))


# --- held for maintenance


async def test_held_mail_is_delivered_when_the_account_is_back(house: House) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, STRANGER, ["bruno"], MAIL)
    queue = queue_of(house)
    await once(queue)
    assert await house.mail("bruno") == []
    await house.status("bruno", AccountStatus.ACTIVE)
    await once(queue)
    (stored,) = await house.mail("bruno")
    assert stored.startswith(b"Return-Path: <stan@elsewhere.test>\r\n")
    assert stored.endswith(MAIL)
    assert await house.queued() == []
    await once(queue)
    assert len(await house.mail("bruno")) == 1


async def test_who_comes_back_closed_has_it_bounced(house: House) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, "anna@acme.test", ["bruno"], MAIL)
    await house.status("bruno", AccountStatus.CLOSED)
    await once(queue_of(house))
    (report,) = await house.mail("anna")
    assert b"Status: 5.2.1" in report
    assert await house.queued() == []


async def test_who_is_deleted_meanwhile_has_it_bounced(house: House) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, "anna@acme.test", ["bruno"], MAIL)
    await house.store.do(DeleteAccount(house.ids["bruno"]))
    await once(queue_of(house))
    assert await house.queued() == []


async def test_it_is_held_until_its_lifetime_ends_and_not_longer(house: House) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, "anna@acme.test", ["bruno"], MAIL)
    queue = queue_of(house)
    house.clock.turn(5 * 86400 - 1)
    await once(queue)
    assert await house.mail("anna") == []
    house.clock.turn(2)
    await once(queue)
    (report,) = await house.mail("anna")
    assert b"Status: 4.2.1" in report
    assert await house.queued() == []


async def test_held_mail_for_a_full_mailbox_is_tried_again(house: House) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, STRANGER, ["bruno"], MAIL)
    await house.values("bruno", quota="10")
    await house.status("bruno", AccountStatus.ACTIVE)
    queue = queue_of(house)
    await once(queue)
    (row,) = await house.queued()
    assert (row.state, row.attempts, row.last_attempt) == (QueueState.DUE, 1, house.clock.at)
    assert row.last_reply.startswith("5.2.2")
    await house.values("bruno", quota="0")
    house.clock.turn(70)
    await once(queue)
    assert len(await house.mail("bruno")) == 1


async def test_an_account_that_rests_again_when_its_turn_comes_is_held_for_again(house: House) -> None:
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, STRANGER, ["bruno"], MAIL)
    await house.status("bruno", AccountStatus.ACTIVE)  # due now
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await once(queue_of(house))
    (row,) = await house.queued()
    assert row.state is QueueState.HELD
    assert await house.mail("bruno") == []


# --- the next hop


async def test_the_schedule(house: House, sink: Sink) -> None:
    sink.answers = {"MAIL": ["451 4.3.0 later"] * 3}
    await send(house, ["x@elsewhere.test"])
    queue = queue_of(house, sink)
    waits = []
    for _ in range(3):
        await once(queue)
        (row,) = await house.queued()
        waits.append((row.due - house.clock.at) / SECOND)
        assert row.last_reply == "451 4.3.0 later"
        house.clock.at = row.due - 1
        await once(queue)
        assert sum(command.startswith("MAIL") for _, command in sink.seen) == len(waits), "not before its time"
        house.clock.at = row.due
    await once(queue)
    assert [60 <= waits[0] <= 66, 300 <= waits[1] <= 330, 300 <= waits[2] <= 330] == [True, True, True]
    assert len(sink.taken) == 1
    assert await house.queued() == []


async def test_one_dialogue_for_all_recipients_of_a_message(house: House, sink: Sink) -> None:
    await send(house, [f"x{number}@elsewhere.test" for number in range(30)])
    await send(house, ["other@elsewhere.test"])
    await once(queue_of(house, sink))
    assert sorted(len(taken.recipients) for taken in sink.taken) == [1, 30]
    assert await house.queued() == []


async def test_a_delay_is_told_once(house: House, sink: Sink) -> None:
    sink.answers = {"MAIL": ["451 4.3.0 later"] * 100}
    await send(house, ["x@elsewhere.test"])
    queue = queue_of(house, sink)
    for _ in range(20):
        await once(queue)
        (row,) = await house.queued()
        house.clock.at = row.due
    assert house.clock.at - row.created > 3600 * SECOND
    (warning,) = await house.mail("anna")
    assert b"Action: delayed" in warning
    # nor by the next process
    again = queue_of(house, sink)
    await once(again)
    assert len(await house.mail("anna")) == 1


async def test_what_cannot_be_handed_on_in_its_lifetime_bounces_with_the_last_reply(house: House, sink: Sink) -> None:
    sink.answers = {"MAIL": ["451 4.3.0 later"] * 100}
    await send(house, ["x@elsewhere.test"])
    queue = queue_of(house, sink, QueueRules((60.0,), 0.0, 4))
    house.clock.turn(5 * 86400 + 1)
    await once(queue)
    (report,) = await house.mail("anna")
    assert b"Status: 4.4.7" in report
    assert b"451 4.3.0 later" in report
    assert await house.queued() == []


async def test_a_slow_next_hop_is_not_asked_twice_for_the_same(house: House, sink: Sink) -> None:
    sink.gate.clear()
    await send(house, ["x@elsewhere.test"])
    queue = queue_of(house, sink)
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)
        await asyncio.to_thread(sink.wait_for, "DATA")
        house.clock.turn(16 * 60)  # the lease is over
        await queue.round(attempts)
        await asyncio.sleep(0.05)
        sink.gate.set()
    assert len(sink.taken) == 1
    assert await house.queued() == []


async def test_what_another_process_left_leased_is_freed_at_the_start(house: House, sink: Sink) -> None:
    await send(house, ["x@elsewhere.test"])
    await house.store.do(ClaimDue("who died", house.clock.at + 900 * SECOND))
    queue = queue_of(house, sink)
    await once(queue)
    assert sink.taken == []
    running = asyncio.ensure_future(queue.run())
    await asyncio.to_thread(sink.wait, 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert len(sink.taken) == 1


async def test_without_a_next_hop_it_waits(house: House) -> None:
    await send(house, ["x@elsewhere.test"])
    await once(queue_of(house))
    (row,) = await house.queued()
    assert row.last_reply.startswith("4.4.1")


async def test_a_recipient_who_has_become_local_is_delivered_here(house: House, sink: Sink) -> None:
    await send(house, ["late@elsewhere.test"])
    await house.store.do(CreateDomain("elsewhere.test"))
    house.ids["late"] = await house.store.do(CreateAccount(address("late@elsewhere.test")))
    await once(queue_of(house, sink))
    assert len(await house.mail("late")) == 1
    assert sink.taken == []


async def test_a_bounce_and_the_end_of_its_row_are_one(house: House, sink: Sink) -> None:
    sink.answers = {"END": ["550 5.6.0 no"]}
    await send(house, ["x@elsewhere.test", "y@elsewhere.test"])
    await once(queue_of(house, sink))
    assert await house.queued() == []
    (report,) = await house.mail("anna")
    assert report.count(b"Final-Recipient:") == 2
    assert b"Status: 5.6.0" in report


async def test_bounces_of_bounces_end(house: House, sink: Sink) -> None:
    sink.answers = {"END": ["550 5.6.0 no", "550 5.6.0 no"]}
    # from outside by a list: the bounce goes to its owners, and their own next hop refuses it too
    await house.group("team", "friend@elsewhere.test", owners=["anna"])
    await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    queue = queue_of(house, sink)
    await once(queue)
    await once(queue)
    assert await house.queued() == []
    assert len(await house.mail("anna")) == 1


# --- running


@asynccontextmanager
async def running(house: House, sink: Sink | None) -> AsyncIterator[Queue]:
    queue = queue_of(house, sink)
    unwatch = house.store.watch(queue.told)
    task = asyncio.ensure_future(queue.run())
    try:
        yield queue
    finally:
        unwatch()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_wakes_for_what_comes(house: House, sink: Sink) -> None:
    async with running(house, sink):
        await asyncio.sleep(0.05)
        for number in range(5):
            await send(house, [f"x{number}@elsewhere.test"])
            await asyncio.to_thread(sink.wait, number + 1)


async def test_it_wakes_for_a_status_that_changes(house: House) -> None:
    async with running(house, None):
        await house.status("bruno", AccountStatus.MAINTENANCE)
        await house.bring(Door.MX, STRANGER, ["bruno"], MAIL)
        await asyncio.sleep(0.05)
        assert await house.mail("bruno") == []
        await house.status("bruno", AccountStatus.ACTIVE)
        for _ in range(200):
            if await house.mail("bruno"):
                return
            await asyncio.sleep(0.02)
    raise AssertionError("nothing came")


@pytest.mark.parametrize("fault", [Busy("too much is waiting to be written"), RuntimeError("a fault of ours")])
@pytest.mark.parametrize("where", ["_sleep", "_release", "FreeLeases"])
async def test_a_busy_moment_does_not_end_it(
    house: House, sink: Sink, where: str, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a task among the doors: if it ended, they all would."""
    monkeypatch.setattr(service, "AFTER_FAULT", 0.05)
    faults = [fault, fault]
    if where == "FreeLeases":
        do = house.store.do

        async def faulty_do(deed: Any, *rest: Any, **options: Any) -> Any:
            if isinstance(deed, FreeLeases) and faults:
                raise faults.pop()
            return await do(deed, *rest, **options)

        monkeypatch.setattr(house.store, "do", faulty_do)
    else:
        through = getattr(Queue, where)

        async def faulty(self: Queue) -> None:
            if faults:
                raise faults.pop()
            await through(self)

        monkeypatch.setattr(Queue, where, faulty)
    async with running(house, sink):
        while faults:
            await asyncio.sleep(0.01)
        await send(house, ["x@elsewhere.test"])
        await asyncio.to_thread(sink.wait, 1)


async def test_a_fault_in_one_attempt_does_not_stop_it(house: House, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = queue_of(house, sink)
    through = Queue._octets
    faults = iter([RuntimeError("a fault")])

    async def faulty(self: Queue, row: object) -> bytes:
        for fault in faults:
            raise fault
        return await through(self, row)  # type: ignore[arg-type]

    monkeypatch.setattr(Queue, "_octets", faulty)
    await send(house, ["x@elsewhere.test"])
    await once(queue)
    (row,) = await house.queued()
    assert row.state is QueueState.DUE
    assert row.last_reply.startswith("4.3.0 a fault of this server")
    house.clock.at = row.due
    await once(queue)
    assert len(sink.taken) == 1
