"""What is frozen, and what of the queue stops with it."""

import pytest

from store import freezes, queue
from store.accounts import DeleteAccount
from store.errors import NotFound
from store.freezes import Freeze, Frozen, Side, Thaw
from store.model import QueueKind, QueueRow, QueueState
from store.port import PolicyChanged, QueueChanged
from store.queue import (
    AcceptMessage,
    ClaimDue,
    Delegation,
    DropQueued,
    FreeLeases,
    HoldQueued,
    OntoQueue,
    PutOff,
    ReleaseHeld,
    ReleaseQueued,
    Reschedule,
    RetryNow,
)
from tests.store.letters import START, Bench, letter

DAY = 86_400_000_000
P, A = Side.PRINCIPAL, Side.ACTOR


def enqueue(bench: Bench, actor: int | None = None, *principals: int, due: int | None = None) -> None:
    delegation = None if actor is None else Delegation(actor, principals)
    one = OntoQueue(QueueKind.RELAY, "x@far.test", letter(1), "", START + 5 * DAY, due=due, delegation=delegation)
    bench.do(AcceptMessage("", queued=(one,)))


def rows(bench: Bench) -> list[QueueRow]:
    return bench.ask(queue.queued)


def states(bench: Bench) -> list[tuple[QueueState, bool]]:
    return [(row.state, row.frozen) for row in rows(bench)]


DUE, HELD, LEASED = (QueueState.DUE, False), (QueueState.HELD, True), (QueueState.LEASED, True)


def test_who_is_frozen_is_known_and_told_as_a_change_of_policy(bench: Bench) -> None:
    assert bench.do(Freeze(bench.anna, P, "lost laptop")) == 0
    assert bench.events[0] == PolicyChanged(frozenset({int(bench.anna)}))
    assert bench.ask(freezes.is_frozen, bench.anna, P)
    assert not bench.ask(freezes.is_frozen, bench.anna, A)
    first = Frozen(bench.anna, P, START, "lost laptop")
    assert bench.ask(freezes.all_of_them, P) == [first]
    bench.now += 5
    bench.do(Freeze(bench.anna, P, "found"))
    assert bench.ask(freezes.one, bench.anna, P) == Frozen(bench.anna, P, START, "found"), "since when stays"
    assert bench.do(Thaw(bench.anna, P)) == 0
    assert bench.do(Thaw(bench.anna, P)) is None
    assert bench.ask(freezes.one, bench.anna, P) is None
    with pytest.raises(NotFound):
        bench.do(Freeze(4711, P))


@pytest.mark.parametrize(("side", "held"), [(P, [HELD, DUE, DUE]), (A, [DUE, HELD, DUE])])
def test_what_waits_in_that_name_is_held_and_nothing_else(bench: Bench, side: Side, held: list[tuple[QueueState, bool]]) -> None:
    enqueue(bench, bench.bruno, bench.anna)
    enqueue(bench, bench.anna, bench.bruno)
    enqueue(bench)
    assert bench.do(Freeze(bench.anna, side)) == 1
    assert states(bench) == held
    assert len(bench.do(ClaimDue("me", bench.now + DAY))) == 2


def test_held_it_neither_goes_nor_bounces_whatever_is_done_to_it(bench: Bench) -> None:
    enqueue(bench, bench.bruno, bench.anna)
    (row,) = rows(bench)
    bench.do(Freeze(bench.anna, P))
    bench.now += 30 * DAY
    assert bench.do(RetryNow()) == 0
    assert bench.do(RetryNow((row.id,))) == 0
    assert bench.do(ReleaseHeld(None)) == 0
    assert bench.do(FreeLeases()) == 0
    assert bench.do(HoldQueued((row.id,))) == 1
    assert bench.do(ReleaseQueued((row.id,))) == 1
    assert states(bench) == [HELD]
    assert bench.do(ClaimDue("me", bench.now + DAY)) == ()
    assert bench.ask(queue.next_due) is None
    assert bench.do(DropQueued((row.id,))) == 1
    assert bench.raw.execute("SELECT count(*) FROM delegated").fetchone() == (0,)


def test_what_is_being_tried_is_held_when_it_comes_back(bench: Bench) -> None:
    for _ in range(2):
        enqueue(bench, bench.bruno, bench.anna)
    one, other = bench.do(ClaimDue("me", bench.now + DAY))
    bench.do(Freeze(bench.anna, P))
    assert states(bench) == [LEASED, LEASED]
    assert bench.ask(queue.frozen_among, [one.id, other.id, 99]) == {one.id, other.id}
    bench.do(Reschedule(one.id, "me", bench.now, "later"))
    bench.do(PutOff(((other.id, bench.now),), "me"))
    assert states(bench) == [HELD, HELD]


def test_let_go_it_is_due_at_its_time_unless_something_else_stops_it(bench: Bench) -> None:
    enqueue(bench, bench.bruno, bench.anna, due=START + DAY)
    enqueue(bench, bench.bruno, bench.anna)
    enqueue(bench, bench.bruno, bench.anna)
    later, _, stopped = rows(bench)
    bench.do(HoldQueued((stopped.id,)))
    bench.do(Freeze(bench.anna, P))
    bench.do(Freeze(bench.bruno, A))
    bench.now += 100
    assert bench.do(Thaw(bench.anna, P)) == 0
    assert states(bench) == [HELD, HELD, HELD]
    assert bench.do(Thaw(bench.bruno, A)) == 3
    assert QueueChanged() in bench.events
    assert [(row.due, row.state, row.frozen) for row in rows(bench)] == [
        (START + DAY, QueueState.DUE, False),
        (bench.now, QueueState.DUE, False),
        (START, QueueState.HELD, False),
    ]
    assert bench.do(ReleaseQueued((stopped.id,))) == 1
    assert later.due == START + DAY


def test_what_outlives_the_frozen_waits_for_an_operator(bench: Bench) -> None:
    enqueue(bench, bench.bruno, bench.anna)
    (row,) = rows(bench)
    bench.do(Freeze(bench.anna, P))
    bench.do(DeleteAccount(bench.anna))
    assert bench.raw.execute('SELECT count(*) FROM "freeze"').fetchone() == (0,)
    assert states(bench) == [HELD]
    assert bench.do(ReleaseQueued((row.id,))) == 1
    assert states(bench) == [DUE]


def test_several_names_stand_behind_one_message(bench: Bench) -> None:
    enqueue(bench, bench.bruno, bench.anna, bench.bruno)
    (row,) = rows(bench)
    assert bench.ask(freezes.behind, row.id) == [(A, bench.bruno), (P, bench.anna), (P, bench.bruno)]
    bench.do(Freeze(bench.bruno, P))
    assert states(bench) == [HELD]
