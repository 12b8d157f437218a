"""Refusals have ids that tell nobody anything, and a flood of them is a handful of rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.directory.faults import Code, Fault
from gateway.refusals import CHARACTERS, KNOWN, OF_A_SOURCE, RECORDS, TOGETHER, UNRECORDED, WAITING, Budget, Refusals
from gateway.why import Reasons
from policy.identity import AccountId, Actor, Address
from policy.reasons import Defer, Reason, Refuse, Verdict
from store.errors import Busy
from store.refusals import KEPT_FOR, ForgetRefusals, RefusalRow, by_decision
from tests.gateway.administration import Office, opened_office

UNKNOWN = Refuse(Reason.RECIPIENT_UNKNOWN)
ANNA = Actor(AccountId(7), Address("anna", "acme.test"), "Anna")


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
async def office(tmp_path: Path) -> object:
    async with opened_office(tmp_path) as office:
        yield office


async def kept(office: Office, decision: str) -> RefusalRow | None:
    async with office.store.snapshot() as snapshot:
        return await snapshot.ask(by_decision, decision)


async def test_what_is_alike_has_one_id_and_is_counted(office: Office) -> None:
    clock = Clock()
    refusals = Refusals(office.store, wall_clock=office.clock, clock=clock)
    first = refusals.named(UNKNOWN, "mx", "192.0.2.1", about="x@acme.test")
    office.clock.turn(5)
    assert refusals.named(UNKNOWN, "mx", "192.0.2.77", about="x@acme.test").decision == first.decision, "of the same network"
    others = [
        refusals.named(UNKNOWN, "mx", "192.0.2.1", about="y@acme.test"),
        refusals.named(UNKNOWN, "lmtp", "192.0.2.1", about="x@acme.test"),
        refusals.named(UNKNOWN, "mx", "198.51.100.1", about="x@acme.test"),
        refusals.named(UNKNOWN, "mx", "192.0.2.1", ANNA, about="x@acme.test"),
        refusals.named(Defer(Reason.RECIPIENT_UNKNOWN), "mx", "192.0.2.1", about="x@acme.test"),
    ]
    assert len({first.decision, *(one.decision for one in others)}) == 6
    await refusals.write()
    row = await kept(office, first.decision)
    assert row is not None
    assert (row.times, row.last - row.first, row.about, row.reason) == (2, 5_000_000, "x@acme.test", "recipient-unknown")
    refusals.named(UNKNOWN, "mx", "192.0.2.1", about="x@acme.test")
    await refusals.close()
    row = await kept(office, first.decision)
    assert row is not None
    assert row.times == 3
    clock.seconds = TOGETHER
    assert refusals.named(UNKNOWN, "mx", "192.0.2.1", about="x@acme.test").decision != first.decision
    await refusals.close()


LOGINS: list[Verdict] = [
    Refuse(Reason.BAD_CREDENTIALS, asked="anna", because="unknown account"),
    Refuse(Reason.BAD_CREDENTIALS, asked="anna", because="wrong password", principal=7),
    Refuse(Reason.BAD_CREDENTIALS, asked="anna", because="locked out", principal=7),
]


async def test_an_id_tells_no_cause(office: Office) -> None:
    """Which of the cases it is shows neither by the id's being the same nor by its being another one."""
    refusals = Refusals(office.store)
    assert len({refusals.named(one, "imap", "192.0.2.1").decision for one in LOGINS}) == 1
    again = [refusals.named(replace(one, asked="bert"), "imap", "192.0.2.1").decision for one in LOGINS]
    assert len(set(again)) == 1
    hidden = Refuse(Reason.RECIPIENT_CLOSED, "pending")
    found = {refusals.named(one, "mx", "", about="x@acme.test", told_as=Reason.RECIPIENT_UNKNOWN).decision for one in (hidden, UNKNOWN)}
    assert len(found) == 1
    # Beyond what one source has ids for, too.
    for number in range(OF_A_SOURCE):
        refusals.named(UNKNOWN, "mx", "203.0.113.1", about=f"{number}@acme.test")
    many = {refusals.named(replace(one, asked=f"{n}"), "imap", "203.0.113.1").decision for n, one in enumerate(LOGINS)}
    assert len(many) == 1
    await refusals.close()
    row = await kept(office, again[0])
    assert row is not None
    assert (row.because, row.about, row.principal) == ("locked out", "", 7), "what was typed is not kept"


async def test_a_flood_is_bounded(office: Office) -> None:
    refusals = Refusals(office.store)
    one_source = {refusals.named(UNKNOWN, "mx", "192.0.2.1", about=f"{number}@acme.test").decision for number in range(5000)}
    assert len(one_source) == OF_A_SOURCE + 1
    everywhere = {refusals.named(UNKNOWN, "mx", f"10.{n // 250}.{n % 250}.1", about="x@acme.test").decision for n in range(30_000)}
    assert len(everywhere | one_source) <= WAITING + 2 <= KNOWN
    (many,) = {refusals.named(UNKNOWN, "mx", f"172.16.{n}.1", about="x@acme.test").decision for n in range(9)}
    await refusals.close()
    row = await kept(office, many)
    assert row is not None
    assert row.times > 29_000, "they are counted"


async def test_long_questions_are_told_apart_and_not_kept(office: Office) -> None:
    refusals = Refusals(office.store)
    asked = ["x" * 50_000 + ending for ending in ("a", "b", "\ud800")]
    ids = [refusals.named(UNKNOWN, "imap", "192.0.2.1", about=one).decision for one in (*asked, *asked)]
    assert ids[:3] == ids[3:]
    assert len(set(ids)) == 3
    assert max(len(part) for key in refusals._known for part in key) <= CHARACTERS
    await refusals.close()


async def test_what_has_an_id_keeps_it_and_faults_of_ours_have_none(office: Office) -> None:
    refusals = Refusals(office.store)
    named = Refuse(Reason.SENDER_NOT_PERMITTED, "x", "d-12345678")
    assert refusals.named(named, "smtp", "") is named
    assert refusals.named(Defer(Reason.BUSY), "smtp", "").decision == ""
    assert refusals.named(Refuse(Reason.RIGHT_MISSING, "x", UNRECORDED), "imap", "").decision.startswith("d-")
    await refusals.close()


async def test_they_are_forgotten(office: Office) -> None:
    refusals = Refusals(office.store, wall_clock=office.clock)
    old = refusals.named(UNKNOWN, "mx", "192.0.2.1", about="x@acme.test").decision
    await refusals.write()
    office.clock.turn(KEPT_FOR / 1_000_000 + 1)
    new = refusals.named(UNKNOWN, "mx", "192.0.2.1", about="y@acme.test").decision
    await refusals.close()
    assert await office.store.do(ForgetRefusals()) == 1
    assert (await kept(office, old), (await kept(office, new)) is not None) == (None, True)


async def test_what_other_processes_gathered_is_found_at_once(office: Office) -> None:
    there = Refusals(office.store)
    reasons = Reasons(office.store, Refusals(office.store, others=there.write))
    said = there.named(UNKNOWN, "mx", "192.0.2.1", about="x@acme.test").decision
    found = await reasons.refused(said)
    assert found is not None
    assert found.row.about == "x@acme.test"
    await there.close()


async def test_of_one_that_does_not_answer_only_what_is_known_is_told(office: Office) -> None:
    async def silent() -> None:
        raise Busy("a worker does not answer")

    here = Refusals(office.store, others=silent)
    said = here.named(UNKNOWN, "mx", "192.0.2.1", about="x@acme.test").decision
    reasons = Reasons(office.store, here)
    assert await reasons.refused(said) is not None
    with pytest.raises(Fault) as fault:
        await reasons.refused("d-00000000")
    assert fault.value.code is Code.TEMPORARILY_UNAVAILABLE
    await here.close()


def test_the_record_has_a_budget_for_each_actor() -> None:
    clock = Clock()
    budget = Budget(clock)
    assert [budget.spend(7) for _ in range(RECORDS + 2)].count(True) == RECORDS
    assert budget.spend(8)
    clock.seconds = 600
    assert budget.spend(7)


def test_so_many_actors_have_a_budget_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.refusals.ACTORS", 5)
    budget = Budget(Clock())
    for actor in range(100):
        assert budget.spend(actor)
        assert len(budget._spent) <= 5
