"""Trying again: what is due, what is held, what bounces, on a clock that the test turns. More in tests/live/test_remote.py."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway import queue as service
from gateway.arrival import arrived
from gateway.queue import Queue, QueueRules
from gateway.relay import Fate, NextHop, Outcome, Parameters, Relay
from gateway.routing import Routing
from policy.delivery import Door
from policy.grants import SendRight
from policy.identity import Address
from policy.status import AccountStatus
from store import list_bounces
from store.accounts import CreateAccount, DeleteAccount
from store.domains import CreateDomain
from store.errors import Busy, NotFound
from store.freezes import Freeze, Side, Thaw
from store.model import QueueKind, QueueState
from store.queue import (
    AcceptMessage,
    ClaimDue,
    DropQueued,
    FreeLeases,
    HandedOn,
    HoldQueued,
    OntoQueue,
    ReleaseQueued,
    Reschedule,
    RetryNow,
)
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
    sink.answers = {"END": ["550 5.1.1 no", "550 5.1.1 no"]}
    # from outside by a list: the bounce is counted, and nobody is written to
    team = await house.group("team", "friend@elsewhere.test", owners=["anna"])
    await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    queue = queue_of(house, sink)
    await once(queue)
    await once(queue)
    assert await house.queued() == []
    assert len(await house.mail("anna")) == 0
    (bouncing,) = await house.ask(list_bounces.of_list, team)
    assert bouncing.history is not None
    assert bouncing.history.score == 1


# --- several destinations


@dataclass
class Roads:
    """In place of the relay, every domain a destination of its own: `down` cannot be reached, `said` is answered otherwise, `gate`
    holds a domain's dialogues up. `most` of them were open at a time, by domain and altogether ("")."""

    by_domain: bool = True
    down: set[str] = field(default_factory=set)
    said: dict[str, Outcome] = field(default_factory=dict)
    gate: dict[str, asyncio.Event] = field(default_factory=dict)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    now: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    parameters: list[Parameters] = field(default_factory=list)

    async def send(
        self, reverse_path: Address | None, recipients: Sequence[Address], octets: bytes, smtputf8: bool, *, parameters: Parameters
    ) -> dict[Address, Outcome]:
        (domain,) = {one.domain for one in recipients}
        self.asked.append(tuple(map(str, recipients)))
        self.parameters.append(parameters)
        for key in (domain, ""):
            self.now[key] += 1
            self.most[key] = max(self.most[key], self.now[key])
        try:
            if domain in self.gate:
                await self.gate[domain].wait()
            await asyncio.sleep(0)
        finally:
            for key in (domain, ""):
                self.now[key] -= 1
        if domain in self.down:
            return dict.fromkeys(recipients, Outcome(Fate.LATER, f"4.4.1 {domain} is down", unreachable=True))
        outcomes = {one: self.said.get(str(one), Outcome(Fate.SENT, "250 taken")) for one in recipients}
        self.sent += [str(one) for one, outcome in outcomes.items() if outcome.fate is Fate.SENT]
        return outcomes

    async def close(self) -> None:
        pass


def by_roads(house: House, roads: Roads, rules: QueueRules = RULES) -> Queue:
    return Queue(house.store, house.files, house.delivery, roads, rules)  # type: ignore[arg-type]


async def test_a_destination_that_is_down_is_asked_by_one_message_and_longer_each_time(house: House) -> None:
    roads = Roads(down={"down.test"})
    queue = by_roads(house, roads, QueueRules((60.0, 300.0, 900.0), 0.0, 50, each=3))
    for number in range(20):
        await send(house, [f"x{number}@down.test", f"x{number}@up.test"])
    await once(queue)
    assert len(roads.sent) == 20
    assert len(roads.asked) == 23, "three at a time, until it is known"
    waits = []
    for _ in range(4):
        rows = await house.queued()
        assert len(rows) == 20
        first = min(row.due for row in rows)
        waits.append((first - house.clock.at) / SECOND)
        assert {row.last_reply for row in rows} == {"4.4.1 down.test is down"}
        assert max(row.due for row in rows) - house.clock.at <= 1.21 * waits[-1] * SECOND, "they do not stay away for much longer"
        asked = len(roads.asked)
        house.clock.at = first - 1
        await once(queue)
        assert len(roads.asked) == asked, "not before its time"
        house.clock.at = max(row.due for row in rows)
        await once(queue)
        assert len(roads.asked) == asked + 1
    assert [60 <= waits[0] <= 67, 300 <= waits[1] <= 331, 900 <= waits[2] <= 991, 900 <= waits[3] <= 991] == [True] * 4
    assert sum(row.attempts for row in await house.queued()) == 3 + 4
    # Mail that comes meanwhile waits too, and when it is there again everything goes at once.
    await send(house, ["new@down.test"])
    asked = len(roads.asked)
    await once(queue)
    assert len(roads.asked) == asked
    roads.down.clear()
    house.clock.turn(2000)
    await once(queue)
    assert await house.queued() == []
    assert len(roads.sent) == 41


async def test_an_operator_who_says_now_is_not_made_to_wait(house: House) -> None:
    roads = Roads(down={"down.test"})
    queue = by_roads(house, roads)
    unwatch = house.store.watch(queue.told)
    await send(house, ["x@down.test", "y@down.test"])
    await once(queue)
    roads.down.clear()
    await once(queue)
    assert roads.sent == []
    await house.store.do(RetryNow())
    await asyncio.sleep(0.01)
    await once(queue)
    assert sorted(roads.sent) == ["x@down.test", "y@down.test"]
    unwatch()


async def test_a_fault_of_one_message_keeps_no_other_back(house: House) -> None:
    roads = Roads(said={"x@far.test": Outcome(Fate.LATER, "451 4.7.1 greylisted")})
    queue = by_roads(house, roads)
    await send(house, ["x@far.test"])
    await once(queue)
    await send(house, ["y@far.test"])
    await once(queue)
    assert roads.sent == ["y@far.test"]


async def test_a_message_of_which_no_report_can_be_made_keeps_no_other_back(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its octets are gone; its destination cannot be reached, and its time is over."""
    roads = Roads(down={"far.test"})
    queue = by_roads(house, roads)
    await send(house, ["first@far.test"])
    await once(queue)
    await send(house, ["broken@far.test"])
    await send(house, ["late@far.test"])
    through = Queue._octets

    async def faulty(self: Queue, row: Any) -> bytes:
        if row.recipient == "broken@far.test":
            raise NotFound("octets")
        return await through(self, row)

    monkeypatch.setattr(Queue, "_octets", faulty)
    house.clock.turn(house.delivery.rules.lifetime / SECOND)
    for destination in queue._destinations.values():
        destination.until = house.clock() + 3600 * SECOND
    await send(house, ["new@far.test"])
    await once(queue)
    rows = {row.recipient: row for row in await house.queued() if row.recipient.endswith("far.test")}
    assert rows.keys() == {"broken@far.test", "new@far.test"}
    assert {row.state for row in rows.values()} == {QueueState.DUE}
    assert rows["broken@far.test"].due >= house.clock() + 60 * SECOND, "not each second for ever"


async def test_a_row_that_always_raises_keeps_those_claimed_with_it_from_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    through = Routing.find

    async def faulty(self: Routing, recipient: Address, *, expand: bool) -> Any:
        if self.door is Door.QUEUE and recipient.local == "broken":
            raise ValueError("a fault")
        return await through(self, recipient, expand=expand)

    roads = Roads()
    queue = by_roads(house, roads)
    await send(house, ["a@far.test", "broken@far.test", "z@far.test"])
    monkeypatch.setattr(Routing, "find", faulty)
    await once(queue)
    assert {"a@far.test", "z@far.test"} <= set(roads.sent)


async def test_dialogues_are_counted_by_destination_and_altogether(house: House) -> None:
    roads = Roads(gate={f"d{number}.test": asyncio.Event() for number in range(4)})
    queue = by_roads(house, roads, QueueRules((60.0,), 0.0, 5, each=2))
    for number in range(40):
        await send(house, [f"x{number}@d{number % 4}.test"])
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)
        async with asyncio.timeout(10):
            while roads.now[""] < 5:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert roads.now[""] == 5
        for gate in roads.gate.values():
            gate.set()
    assert len(roads.sent) == 40
    assert roads.most == {"": 5, "d0.test": 2, "d1.test": 2, "d2.test": 2, "d3.test": 2} or roads.most[""] == 5
    assert max(count for domain, count in roads.most.items() if domain) == 2


async def test_a_slow_destination_keeps_nobody_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "EACH", 5)
    monkeypatch.setattr(service, "ROUND", 10)
    roads = Roads(gate={"slow.test": asyncio.Event()})
    queue = by_roads(house, roads, QueueRules((60.0,), 0.0, 50, each=2))
    for number in range(60):
        await send(house, [f"x{number}@slow.test"])
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, STRANGER, ["bruno"], MAIL)
    async with asyncio.TaskGroup() as attempts:
        for _ in range(5):
            await queue.round(attempts)
        assert len(queue._in_hand) < 25, "what waits for it stays in the store"
        await send(house, [f"y{number}@quick{number}.test" for number in range(30)])
        await house.status("bruno", AccountStatus.ACTIVE)
        for _ in range(10):
            await queue.round(attempts)
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        assert len(roads.sent) == 30
        assert len(await house.mail("bruno")) == 1
        roads.gate["slow.test"].set()
    for _ in range(20):
        await once(queue)
    assert len(roads.sent) == 90
    assert await house.queued() == []
    assert queue._destinations == {}


async def test_one_relay_that_is_slow_keeps_held_mail_from_nobody(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "EACH", 5)
    monkeypatch.setattr(service, "ROUND", 10)
    roads = Roads(by_domain=False, gate={"slow.test": asyncio.Event()})
    queue = by_roads(house, roads, QueueRules((60.0,), 0.0, 50, each=2))
    for number in range(30):
        await send(house, [f"x{number}@slow.test"])
    await house.status("bruno", AccountStatus.MAINTENANCE)
    await house.bring(Door.MX, STRANGER, ["bruno"], MAIL)
    async with asyncio.TaskGroup() as attempts:
        for _ in range(5):
            await queue.round(attempts)
        await house.status("bruno", AccountStatus.ACTIVE)
        await queue.round(attempts)
        await asyncio.sleep(0.1)
        assert len(await house.mail("bruno")) == 1
        roads.gate["slow.test"].set()


async def test_that_it_is_late_is_told_while_nobody_is_reached(house: House) -> None:
    roads = Roads(down={"down.test"})
    queue = by_roads(house, roads, QueueRules((600.0,), 3600.0, 50))
    for number in range(3):
        await send(house, [f"x{number}@down.test", f"y{number}@down.test"])
    for _ in range(12):
        await once(queue)
        house.clock.at = max(row.due for row in await house.queued())
    warnings = await house.mail("anna")
    assert len(warnings) == 3
    assert all(one.count(b"Action: delayed") == 2 for one in warnings)
    house.clock.turn(5 * 86400)
    for _ in range(3):
        await once(queue)
        house.clock.turn(700)
    assert await house.queued() == []
    bounces = (await house.mail("anna"))[3:]
    assert len(bounces) == 3
    assert all(b"Status: 4.4.7" in one and b"down.test is down" in one for one in bounces)


async def test_the_actors_part_of_what_was_not_delivered_is_on_record(house: House) -> None:
    await house.grant("bruno", "anna", SendRight.SEND_AS)
    roads = Roads(said={"x@far.test": Outcome(Fate.NEVER, "550 5.1.1 nobody")})
    await house.submit("anna", "bruno", ["x@far.test"], letter("bruno@acme.test", "x@far.test"))
    await send(house, ["x@far.test"])
    await once(by_roads(house, roads))
    (report,) = await house.mail("bruno")
    assert b"anna" not in report
    (entry,) = [row.entry for row in await house.records() if row.entry.event == "not delivered"]
    assert (entry.actor, entry.actor_address) == (house.ids["anna"], "anna@acme.test")
    assert (entry.principal, entry.principal_address) == (house.ids["bruno"], "bruno@acme.test")
    assert entry.because == "5.1.1 550 5.1.1 nobody"
    assert entry.detail == "x@far.test"
    assert len(await house.mail("anna")) == 1


async def test_what_is_dropped_while_it_is_tried_harms_no_other(house: House) -> None:
    roads = Roads(gate={"far.test": asyncio.Event()}, said={"z@far.test": Outcome(Fate.NEVER, "550 no")})
    queue = by_roads(house, roads)
    await send(house, ["x@far.test", "y@far.test", "z@far.test"])
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)
        await asyncio.sleep(0.02)
        rows = await house.queued()
        await house.store.do(DropQueued((rows[0].id, rows[2].id)))
        roads.gate["far.test"].set()
    assert await house.queued() == []
    assert len(roads.asked) == 1
    assert await house.mail("anna") == []


async def test_parameters_go_along(house: House) -> None:
    roads = Roads()
    expires = house.clock.at + 86400 * SECOND
    rows = [
        OntoQueue(QueueKind.RELAY, recipient, arrived(MAIL), "", expires, parameters=parameters)
        for recipient, parameters in (
            ("x@far.test", '{"mail": ["RET=HDRS"], "rcpt": ["NOTIFY=NEVER"]}'),
            ("y@far.test", '{"mail": ["RET=HDRS"]}'),
        )
    ]
    await house.store.do(AcceptMessage("k", queued=tuple(rows)))
    await once(by_roads(house, roads))
    (parameters,) = roads.parameters
    assert parameters == Parameters(("RET=HDRS",), {address("x@far.test"): ("NOTIFY=NEVER",), address("y@far.test"): ()})


async def test_what_is_held_by_hand_is_not_tried(house: House) -> None:
    roads = Roads()
    queue = by_roads(house, roads)
    await send(house, ["x@far.test"])
    (row,) = await house.queued()
    await house.store.do(HoldQueued((row.id,)))
    house.clock.turn(9 * 86400)
    await once(queue)
    assert (roads.asked, await house.mail("anna")) == ([], [])
    await house.store.do(ReleaseQueued((row.id,)))
    await once(queue)
    assert roads.sent == ["x@far.test"]


async def test_sent_and_not_to_be_written_down_is_not_sent_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk between the 250 and the end of the row."""
    monkeypatch.setattr(service, "AFTER_FAULT", 0.01)
    roads = Roads()
    queue = by_roads(house, roads)
    await send(house, ["x@far.test"])
    faults = [Busy("disk")] * 5
    do = house.store.do

    async def faulty(deed: Any, *rest: Any, **options: Any) -> Any:
        if isinstance(deed, HandedOn) and faults:
            raise faults.pop()
        return await do(deed, *rest, **options)

    monkeypatch.setattr(house.store, "do", faulty)
    await once(queue)
    assert (faults, len(roads.asked), await house.queued()) == ([], 1, [])


async def test_what_a_fault_left_leased_is_tried_again_soon(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    roads = Roads(down={"far.test"})
    queue = by_roads(house, roads)
    await send(house, ["x@far.test"])
    faults = [Busy("disk")] * 2
    do = house.store.do

    async def faulty(deed: Any, *rest: Any, **options: Any) -> Any:
        if isinstance(deed, Reschedule) and faults:
            raise faults.pop()
        return await do(deed, *rest, **options)

    monkeypatch.setattr(house.store, "do", faulty)
    await once(queue)
    (row,) = await house.queued()
    assert row.state is QueueState.LEASED
    await once(queue)
    (row,) = await house.queued()
    assert row.state is QueueState.DUE
    assert row.due <= house.clock.at + 2 * SECOND


async def test_what_is_claimed_anew_before_its_attempt_has_come_to_its_end_waits_for_no_lease(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many recipients are put off one after the other: the first are due again before the last are written down."""
    roads = Roads(said={"x@far.test": Outcome(Fate.LATER, "450 4.2.1 not now")})
    queue = by_roads(house, roads)
    await send(house, ["x@far.test"])
    do = house.store.do

    async def slowly(deed: Any, *rest: Any, **options: Any) -> Any:
        done = await do(deed, *rest, **options)
        if isinstance(deed, Reschedule):
            await do(RetryNow())
            async with asyncio.TaskGroup() as attempts:
                assert not await queue.round(attempts)
        return done

    monkeypatch.setattr(house.store, "do", slowly)
    await once(queue)
    monkeypatch.setattr(house.store, "do", do)
    roads.said.clear()
    await once(queue)
    (row,) = await house.queued()
    assert (row.state, row.attempts) == (QueueState.DUE, 1)
    assert row.due <= house.clock.at + 2 * SECOND
    house.clock.turn(2)
    await once(queue)
    assert (len(roads.asked), roads.sent, await house.queued()) == (2, ["x@far.test"], [])


async def test_when_it_stops_what_is_being_handed_on_comes_to_its_end(house: House) -> None:
    roads = Roads(gate={"far.test": asyncio.Event()})
    queue = by_roads(house, roads, QueueRules((60.0,), 0.0, 1, each=1))
    await send(house, ["x@far.test"])
    await send(house, ["y@far.test"])
    task = asyncio.ensure_future(queue.run())
    while not roads.asked:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.sleep(0.05)
    assert not task.done()
    roads.gate["far.test"].set()
    await asyncio.gather(task, return_exceptions=True)
    assert roads.sent == ["x@far.test"], "and nothing more is begun"
    (row,) = await house.queued()
    assert row.recipient == "y@far.test"


@pytest.mark.timeout(100)
async def test_ten_thousand_that_wait_take_no_memory(house: House) -> None:
    roads = Roads(gate={"slow.test": asyncio.Event()})
    queue = by_roads(house, roads, QueueRules((60.0,), 0.0, 20, each=10))
    body = arrived(MAIL + b"x" * 20_000)
    expires = house.clock.at + 86400 * SECOND
    for start in range(0, 10_000, 1000):
        rows = tuple(
            OntoQueue(QueueKind.RELAY, f"x{start + number}@{'slow' if number % 2 else f'd{number}'}.test", body, "", expires)
            for number in range(1000)
        )
        await house.store.do(AcceptMessage(f"k{start}", queued=rows))
    tracemalloc.start()
    async with asyncio.TaskGroup() as attempts:
        while len(roads.sent) < 5000:
            await queue.round(attempts)
            await asyncio.sleep(0)
            assert len(queue._in_hand) <= service.IN_HAND
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        tracemalloc.stop()
        queue._stopping = True
        roads.gate["slow.test"].set()
    assert not any(one.endswith("@slow.test") for one in roads.sent[:5000])


async def test_ten_thousand_for_a_dead_destination_keep_nobody_waiting(house: House) -> None:
    roads = Roads(down={"dead.test"})
    queue = by_roads(house, roads, QueueRules((60.0, 300.0), 0.0, 20, each=10))
    body, expires = arrived(MAIL), house.clock.at + 86400 * SECOND
    for start in range(0, 10_000, 1000):
        # Of a sender each: ten thousand dialogues, if they were begun.
        rows = tuple(
            OntoQueue(QueueKind.RELAY, f"x{one}@dead.test", body, f"p{one}@acme.test", expires) for one in range(start, start + 1000)
        )
        await house.store.do(AcceptMessage(f"k{start}", queued=rows))
    for wait in (0, 61, 301):
        house.clock.turn(wait)
        asked, sent = len(roads.asked), len(roads.sent)
        await send(house, [f"y{number}@alive{number}.test" for number in range(50)])
        async with asyncio.TaskGroup() as attempts:
            rounds = 0
            while len(roads.sent) < sent + 50:
                await queue.round(attempts)
                await asyncio.sleep(0)
                rounds += 1
                assert rounds < 20, "behind what cannot be sent"
        assert sum("@dead.test" in one[0] for one in roads.asked[asked:]) <= 10, "asked by one message, not by ten thousand"


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


# --- frozen on the way out


async def as_dora(house: House, *recipients: str) -> None:
    """dora, who may send as anna, does."""
    if "dora" not in house.ids:
        await house.account("dora")
        await house.grant("anna", "dora", SendRight.SEND_AS)
    await house.submit("dora", "", list(recipients), letter("anna@acme.test"))


async def test_what_is_frozen_while_it_waits_for_its_turn_is_not_begun(house: House) -> None:
    roads = Roads(gate={"slow.test": asyncio.Event()})
    queue = by_roads(house, roads, QueueRules((60.0,), 0.0, 50, each=1))
    await send(house, ["own@slow.test"])
    for number in range(3):
        await as_dora(house, f"x{number}@slow.test")
    async with asyncio.TaskGroup() as attempts:
        await queue.round(attempts)
        assert [row.state for row in await house.queued()] == [QueueState.LEASED] * 4
        await house.store.do(Freeze(house.ids["anna"], Side.PRINCIPAL))
        roads.gate["slow.test"].set()
    assert roads.asked == [("own@slow.test",)]
    assert [(row.state, row.frozen, row.attempts) for row in await house.queued()] == [(QueueState.HELD, True, 0)] * 3
    await house.store.do(Thaw(house.ids["anna"], Side.PRINCIPAL))
    await once(queue)
    assert len(roads.sent) == 4


@pytest.mark.parametrize("delegated", [True, False])
async def test_frozen_when_the_next_hop_waits_for_the_message_it_does_not_get_it(house: House, delegated: bool) -> None:
    got = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 sink ESMTP\r\n")
        while line := await reader.readline():
            if line.startswith(b"DATA"):
                await house.store.do(Freeze(house.ids["dora"], Side.ACTOR))
                writer.write(b"354 go on\r\n")
                while (line := await reader.readline()) not in (b".\r\n", b""):
                    got.extend(line)
            writer.write(b"250 2.0.0 ok\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        hop = NextHop("127.0.0.1", server.sockets[0].getsockname()[1], implicit_tls=False, starttls=False)
        queue = Queue(house.store, house.files, house.delivery, Relay(hop, "mx.acme.test", 5), RULES)
        await as_dora(house, "x@far.test")
        if not delegated:
            (row,) = await house.queued()
            await house.store.do(DropQueued((row.id,)))
            await house.submit("dora", "", ["x@far.test"], letter("dora@acme.test"))
        await once(queue)
    if delegated:
        assert bytes(got) == b""
        (row,) = await house.queued()
        assert (row.state, row.frozen) == (QueueState.HELD, True)
        assert row.last_reply == "4.4.2 it was stopped (before it was sent)"
    else:
        assert b"From: dora@acme.test" in got
        assert await house.queued() == []


async def test_no_more_destinations_are_known_than_agreed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "KNOWN", 3)
    queue = queue_of(house)
    for number in range(10):
        queue._destinations[f"d{number}.test"] = service._Destination(failures=1, until=number)
    queue._destinations["well.test"] = service._Destination()
    queue._forget(0)
    assert [*queue._destinations] == ["d7.test", "d8.test", "d9.test"]
