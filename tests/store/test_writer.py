import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from policy.decision import Witness
from policy.identity import AccountId, FolderId
from store import deeds
from store.connect import connect
from store.errors import Broken, Busy, Conflict, Full, NotFound, Stale
from store.port import DIRECTORY, Deed, Event, FolderChanged, FoldersChanged, PolicyChanged, QueueChanged, Store, Tx
from store.writer import Bounds, Fault
from tests.store.conftest import SECOND, START, Clock


@dataclass(frozen=True, slots=True)
class Note(Deed[int]):
    """Remembers a number, in a table of the real schema that nothing else refers to."""

    number: int
    then: Callable[[Tx], Any] | None = None
    octets: int = 0

    @property
    def weight(self) -> int:
        return self.octets


def _note(tx: Tx, deed: Note) -> int:
    tx.composed("INSERT INTO subscription (subscriber, owner, path, wanted) VALUES (1, 1, :path, 1)", path=f"/{deed.number:06}")
    tx.touch(1000 + deed.number)
    tx.wake(FoldersChanged(AccountId(deed.number)))
    if deed.then is not None:
        deed.then(tx)
    return deed.number


def raising(error: Exception) -> Callable[[Tx], Any]:
    def raise_it(_: Tx) -> None:
        raise error

    return raise_it


def noted(tx: Tx) -> list[int]:
    return [int(path[1:]) for (path,) in tx.composed("SELECT path FROM subscription ORDER BY path")]


async def all_noted(store: Store) -> list[int]:
    async with store.snapshot() as snapshot:
        return await snapshot.ask(noted)


Open = Callable[..., Awaitable[Store]]


@pytest.fixture(params=["in the thread", "on the loop"])
async def opening(tmp_path: Path, clock: Clock, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """What is promised holds wherever a deed is done."""
    monkeypatch.setattr(Note, "brief", request.param == "on the loop")
    opened: list[Store] = []

    async def open_it(**bounds: Any) -> Store:
        functions = {**deeds.FUNCTIONS, Note: _note}
        store = await connect("sqlite:///{data}/procura.db", tmp_path, now=clock, bounds=Bounds(**bounds), functions=functions)
        opened.append(store)
        return store

    yield open_it
    for store in opened:
        await store.close()


def groups_of(store: Store) -> list[Sequence[Event]]:
    """What was told, one per commit."""
    told: list[Sequence[Event]] = []
    store.watch(told.append)
    return told


async def test_what_waits_is_committed_together_in_its_order(opening: Open) -> None:
    store = await opening()
    told = groups_of(store)
    answers = await asyncio.gather(*(store.do(Note(number)) for number in range(200)))
    assert answers == [*range(200)]
    assert await all_noted(store) == [*range(200)]
    assert len(told) <= 2
    assert [event.owner for group in told for event in group if isinstance(event, FoldersChanged)] == [*range(200)]


@pytest.mark.parametrize(("bounds", "most"), [({"deeds": 10}, 10), ({"octets": 1000}, 5), ({"seconds": 0.0}, 1)])
async def test_a_group_is_bounded(opening: Open, bounds: dict[str, float], most: int) -> None:
    store = await opening(**bounds)
    told = groups_of(store)
    await asyncio.gather(*(store.do(Note(number, octets=200)) for number in range(40)))
    sizes = [sum(isinstance(event, FoldersChanged) for event in group) for group in told]
    assert sum(sizes) == 40
    assert max(sizes) == most
    assert [event.owner for group in told for event in group if isinstance(event, FoldersChanged)] == [*range(40)]


async def test_one_that_brings_more_than_a_group_takes_goes_alone(opening: Open) -> None:
    store = await opening(octets=100)
    told = groups_of(store)
    await asyncio.gather(*(store.do(Note(number, octets=weight)) for number, weight in enumerate((10, 5000, 10))))
    assert [sum(isinstance(event, FoldersChanged) for event in group) for group in told] == [1, 1, 1]


@pytest.mark.parametrize(
    "error", [Conflict("no"), NotFound("no"), ZeroDivisionError("a mistake of ours")], ids=lambda error: type(error).__name__
)
async def test_a_deed_that_fails_is_undone_alone(opening: Open, error: Exception) -> None:
    store = await opening()
    told = groups_of(store)
    answers = await asyncio.gather(store.do(Note(1)), store.do(Note(2, raising(error))), store.do(Note(3)), return_exceptions=True)
    assert (answers[0], type(answers[1]), answers[2]) == (1, type(error), 3)
    assert await all_noted(store) == [1, 3]
    assert [event for group in told for event in group] == [
        PolicyChanged(frozenset((1001,))),
        FoldersChanged(AccountId(1)),
        PolicyChanged(frozenset((1003,))),
        FoldersChanged(AccountId(3)),
    ]
    async with store.snapshot() as snapshot:
        witness = await snapshot.witness(1001, 1002, 1003)
    assert witness.epochs == ((DIRECTORY, 0), (1001, 1), (1002, 0), (1003, 1))


async def test_a_broken_constraint_that_nobody_foresaw_is_not_the_last_word(opening: Open) -> None:
    store = await opening()
    answers = await asyncio.gather(store.do(Note(1)), store.do(Note(1)), store.do(Note(2)), return_exceptions=True)
    assert (answers[0], type(answers[1]), answers[2]) == (1, Broken, 2)
    assert isinstance(answers[1], Busy)


async def test_a_witness_is_compared_in_the_transaction_that_acts(opening: Open, clock: Clock) -> None:
    store = await opening()
    witness = Witness(((DIRECTORY, 0), (1007, 0)), valid_until=START + SECOND)
    # The first changes what the second rests on; both are in one group.
    answers = await asyncio.gather(
        store.do(Note(1), witness), store.do(Note(7), witness), store.do(Note(2), witness), return_exceptions=True
    )
    assert (answers[0], answers[1], type(answers[2])) == (1, 7, Stale)
    assert await all_noted(store) == [1, 7]
    newer = Witness(((1007, 1),), valid_until=START + SECOND)
    clock.turn(0.999_999)
    await store.do(Note(3), newer)
    clock.turn(0.000_001)
    with pytest.raises(Stale):
        await store.do(Note(4), newer)


async def test_watchers_are_told_before_the_caller_is_answered_and_only_what_was_committed(opening: Open) -> None:
    store = await opening()
    order: list[str] = []

    def told(events: Sequence[Event]) -> None:
        order.append(f"told {len(events)}")

    end = store.watch(told)
    await store.do(Note(1))
    order.append("answered")
    with pytest.raises(Conflict):
        await store.do(Note(2, raising(Conflict("no"))))
    end()
    end()
    await store.do(Note(3))
    assert order == ["told 2", "answered"]


async def test_a_watcher_that_fails_keeps_nobody_from_the_answer(opening: Open) -> None:
    store = await opening()
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))

    def fails(_: Sequence[Event]) -> None:
        raise ZeroDivisionError

    store.watch(fails)
    told = groups_of(store)
    assert await store.do(Note(1)) == 1
    assert len(told) == 1
    assert [type(complaint["exception"]) for complaint in complaints] == [ZeroDivisionError]


async def test_fifty_wakes_of_a_folder_are_one_with_the_newest_modseq(opening: Open) -> None:
    store = await opening()
    told = groups_of(store)

    def wakes(modseq: int) -> Callable[[Tx], None]:
        def wake(tx: Tx) -> None:
            tx.wake(FolderChanged(FolderId(5), modseq))
            tx.wake(QueueChanged())

        return wake

    await asyncio.gather(*(store.do(Note(number, wakes(number))) for number in range(50)))
    folder = [event for group in told for event in group if isinstance(event, FolderChanged)]
    queue = [event for group in told for event in group if isinstance(event, QueueChanged)]
    assert len(folder) <= 2
    assert folder[-1] == FolderChanged(FolderId(5), 49)
    assert len(queue) <= 2


async def test_cancelling_the_caller_cancels_nothing_else(opening: Open) -> None:
    store = await opening()
    tasks = [asyncio.ensure_future(store.do(Note(number))) for number in range(5)]
    await asyncio.sleep(0)
    for task in tasks[1:4]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, *[asyncio.CancelledError] * 3, int]
    assert await store.do(Note(5)) == 5
    assert await all_noted(store) == [*range(6)]


async def test_what_is_bulk_is_overtaken_but_gets_on(opening: Open) -> None:
    store = await opening(deeds=4)
    order: list[int] = []

    async def do(number: int, *, bulk: bool) -> None:
        order.append(await store.do(Note(number), bulk=bulk))

    await asyncio.gather(*(do(number, bulk=True) for number in range(100, 106)), *(do(number, bulk=False) for number in range(12)))
    assert set(order[:3]) == {0, 1, 2}, "the interactive ones come first"
    assert 100 in order[:4], "one place is kept"
    assert [number for number in order if number >= 100] == [*range(100, 106)]
    assert [number for number in order if number < 100] == [*range(12)]


async def test_too_much_that_waits_is_busy(opening: Open) -> None:
    store = await opening(waiting=10, waiting_octets=1000)
    answers = await asyncio.gather(*(store.do(Note(number)) for number in range(15)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int] * 10 + [Busy] * 5
    answers = await asyncio.gather(*(store.do(Note(20 + number, octets=400)) for number in range(4)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [int, int, Busy, Busy]
    assert await store.do(Note(30, octets=5000)) == 30, "a large one is taken when nothing waits"


async def test_a_deed_that_nobody_can_do_is_a_mistake_of_ours(opening: Open) -> None:
    @dataclass(frozen=True, slots=True)
    class Unheard(Deed[None]):
        pass

    store = await opening()
    with pytest.raises(TypeError, match="Unheard"):
        await store.do(Unheard())


async def test_closing_does_what_waits_and_takes_no_more(opening: Open) -> None:
    store = await opening(deeds=3)
    waiting = [asyncio.ensure_future(store.do(Note(number))) for number in range(10)]
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(store.close())
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="closing"):
        await store.do(Note(99))
    closing.cancel()
    with suppress(asyncio.CancelledError):
        await closing
    assert await asyncio.gather(*waiting) == [*range(10)]
    await store.close()
    await store.close()
    again = await opening()
    assert await all_noted(again) == [*range(10)]


async def test_a_full_disk_fails_the_whole_group_and_no_one_after_it(opening: Open) -> None:
    store = await opening()
    await store.do(Note(0))
    told = groups_of(store)

    def fill(tx: Tx) -> None:
        tx.composed("PRAGMA max_page_count = 1")
        for number in range(1000):
            tx.composed("INSERT INTO subscription VALUES (2, :number, :path, 1)", number=number, path="x" * 4000)

    answers = await asyncio.gather(store.do(Note(1)), store.do(Note(2, fill)), store.do(Note(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Full] * 3
    assert "SQLITE_FULL" in str(answers[1])
    assert told == []
    assert await all_noted(store) == [0]
    assert store.fault is None
    assert await store.do(Note(4)) == 4, "the connection was opened anew"
    assert await all_noted(store) == [0, 4]


async def test_a_commit_that_fails_fails_the_whole_group(opening: Open) -> None:
    store = await opening()

    def broken_at_the_end(tx: Tx) -> None:
        tx.composed("PRAGMA defer_foreign_keys = ON")
        tx.composed("INSERT INTO list_member (list, member) VALUES (98, 99)")

    told = groups_of(store)
    answers = await asyncio.gather(store.do(Note(1)), store.do(Note(2, broken_at_the_end)), store.do(Note(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Busy] * 3
    assert (told, await all_noted(store), store.fault) == ([], [], None)
    assert await store.do(Note(4)) == 4
    assert await all_noted(store) == [4]


async def test_a_lasting_fault_ends_all_writing_but_no_reading(opening: Open) -> None:
    store = await opening()
    await store.do(Note(0))
    answers = await asyncio.gather(
        store.do(Note(1)), store.do(Note(2, raising(Fault("the database is not usable", lasting=True)))), return_exceptions=True
    )
    assert [type(answer) for answer in answers] == [Busy] * 2
    assert store.fault == "the database is not usable"
    with pytest.raises(Busy, match="not usable"):
        await store.do(Note(3))
    assert await all_noted(store) == [0]


async def test_a_deed_that_ends_the_transaction_by_itself_spoils_only_its_group(opening: Open) -> None:
    store = await opening()

    def roll_back(tx: Tx) -> None:
        tx.composed("ROLLBACK")
        raise Conflict("as the database does by itself on some errors")

    answers = await asyncio.gather(store.do(Note(1)), store.do(Note(2, roll_back)), store.do(Note(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Busy] * 3
    assert await store.do(Note(4)) == 4
    assert await all_noted(store) == [4]


async def test_the_loop_goes_on_while_deeds_are_done(opening: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Note, "brief", False)
    store = await opening()
    slow = asyncio.ensure_future(store.do(Note(1, lambda _: time.sleep(0.2))))
    started = time.perf_counter()
    await asyncio.sleep(0.01)
    assert time.perf_counter() - started < 0.1
    assert not slow.done()
    assert await slow == 1


async def test_the_writer_that_is_cancelled_answers_what_is_done_and_refuses_the_rest(opening: Open) -> None:
    store = await opening(deeds=1)
    first, second = asyncio.ensure_future(store.do(Note(1, lambda _: time.sleep(0.05)))), asyncio.ensure_future(store.do(Note(2)))
    await asyncio.sleep(0.01)
    (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "store writer"]
    task.cancel()
    assert await first == 1
    with pytest.raises(Busy):
        await second
    assert await all_noted(store) == [1]


async def where(store: Store, octets: int = 0) -> tuple[int, int]:
    """The threads in which a deed was done, and committed."""
    found: list[int] = []

    def look(tx: Tx) -> None:
        found.append(threading.get_ident())

    writer: Any = store
    engine = writer._writer._engine
    commit = engine.commit

    def committed(events: Sequence[Event]) -> None:
        found.append(threading.get_ident())
        commit(events)

    engine.commit = committed
    try:
        await store.do(Note(len(await all_noted(store)), look, octets))
    finally:
        engine.commit = commit
    return found[0], found[1]


async def test_what_is_brief_is_done_on_the_loop_and_committed_in_the_thread(opening: Open) -> None:
    store = await opening(octets=1 << 30)
    here = threading.get_ident()
    done, committed = await where(store)
    assert (done == here) == Note(0).brief
    assert committed != here
    assert here not in await where(store, octets=1 << 20)


async def test_what_the_loop_has_no_time_for_the_thread_does_in_the_same_commit(opening: Open) -> None:
    store = await opening(seconds=5)
    told = groups_of(store)
    threads: list[int] = []

    def slow(_: Tx) -> None:
        threads.append(threading.get_ident())
        time.sleep(0.003)

    await asyncio.gather(*(store.do(Note(number, slow)) for number in range(4)))
    assert await all_noted(store) == [*range(4)]
    assert len(told) == 1
    assert threads.count(threading.get_ident()) == Note(0).brief
    assert len(set(threads[1:])) == 1


async def test_where_somebody_else_writes_the_loop_does_not_wait(opening: Open, tmp_path: Path) -> None:
    store = await opening()
    await store.do(Note(0))
    other = sqlite3.connect(tmp_path / "procura.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    doing = asyncio.create_task(asyncio.wait_for(store.do(Note(1)), 10))
    await asyncio.sleep(0.05)  # reached while the deed waits in its thread
    assert not doing.done()
    other.execute("ROLLBACK")
    other.close()
    assert await doing == 1
