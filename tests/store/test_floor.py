"""Behind a clock that is set back time goes on from where it was; an operator may say that the clock is right."""

from __future__ import annotations

import asyncio
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as some

from store import clock
from store.channel import Channel
from store.clock import AcceptClock, Known, NoteTime
from store.connect import connect, connect_remote
from store.contention import NOTHING, claim
from store.floor import BELIEVED, SETTLED, STEP, Elsewhere, Floor, unbound, wall_clock
from store.migrate import DIRECTORY_OF_STEPS, migrate, steps
from store.port import ClockAccepted, Store
from store.postgres import PostgresStore

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
YEAR = 365 * DAY
START = 1_800_000_000 * SECOND


@dataclass
class Machine:
    """Its clock can be set, the other one cannot."""

    clock: int = START
    monotonic: int = 5 * SECOND
    floor: Floor = field(init=False)

    def __post_init__(self) -> None:
        self.begin(0)

    def begin(self, seen: int) -> None:
        """A process, when so much is known."""
        self.floor = Floor(seen, lambda: self.clock, lambda: self.monotonic)

    def run(self, by: int) -> None:
        """Time goes by; somebody asks for it once a minute."""
        for _ in range(by // MINUTE):
            self.clock += MINUTE
            self.monotonic += MINUTE
            self.floor.now()
        self.clock += by % MINUTE
        self.monotonic += by % MINUTE

    @property
    def ahead(self) -> int:
        """Of what the clock says."""
        return self.floor.now() - self.clock


def test_what_the_clock_says_counts_as_long_as_nobody_sets_it() -> None:
    machine = Machine()
    assert machine.floor.lived() == 0
    machine.run(BELIEVED)
    for _ in range(100):
        assert machine.ahead == 0
        machine.run(7 * MINUTE)
    assert machine.floor.lived() == machine.clock


@pytest.mark.parametrize("by", [DAY, YEAR, STEP + SECOND])
def test_set_back_while_nobody_ran_time_goes_on(by: int, caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(clock=START - by)
    machine.begin(START)
    assert machine.floor.now() == START
    machine.run(HOUR)
    assert machine.floor.now() == START + HOUR
    assert (machine.floor.lived(), machine.floor.behind) == (START + HOUR, by)
    machine.run(3 * HOUR)
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 5, "said once an hour"
    machine.clock += by
    assert (machine.floor.now(), machine.floor.behind) == (machine.clock, 0), "it was set right"


@pytest.mark.parametrize("by", [0, SECOND, STEP])
def test_a_little_is_no_matter(by: int) -> None:
    machine = Machine(clock=START - by)
    machine.begin(START)
    assert (machine.ahead, machine.floor.behind) == (0, 0)


@pytest.mark.parametrize("by", [DAY, YEAR])
def test_set_back_while_it_runs(by: int) -> None:
    machine = Machine()
    machine.floor.now()
    machine.run(HOUR)
    machine.clock -= by
    assert machine.ahead == by
    machine.run(HOUR)
    assert machine.ahead == by


@pytest.mark.parametrize("by", [DAY, 10 * YEAR])
def test_a_clock_that_is_ahead_for_a_while_leaves_nothing_behind_when_it_is_set_right(by: int) -> None:
    """A machine that starts with a wrong clock."""
    machine = Machine(clock=START + by)
    machine.begin(START)
    machine.run(BELIEVED - MINUTE)
    assert machine.ahead == 0, "it counts at once, for what is to end"
    assert machine.floor.doubtful
    assert machine.floor.lived() == START + BELIEVED - MINUTE, "this is what the store is told"
    machine.clock -= by
    assert machine.ahead == 0
    assert not machine.floor.doubtful


def test_a_clock_that_stands_ahead_is_believed() -> None:
    machine = Machine(clock=START + DAY)
    machine.begin(START)
    machine.run(BELIEVED + 2 * MINUTE)
    assert machine.floor.lived() >= START + DAY
    assert not machine.floor.doubtful
    machine.clock -= DAY
    assert machine.ahead == DAY


def test_a_clock_that_goes_here_and_there_ahead_is_believed_where_it_stands() -> None:
    machine = Machine(clock=START + 70 * YEAR)
    machine.begin(START)
    machine.run(BELIEVED - MINUTE)
    machine.clock = START + DAY + BELIEVED
    machine.run(2 * MINUTE)
    assert machine.floor.doubtful
    assert machine.floor.lived() == START + BELIEVED + MINUTE
    machine.run(BELIEVED)
    assert not machine.floor.doubtful
    assert machine.floor.lived() == machine.clock


def test_a_first_reading_has_to_stand_before_it_is_known() -> None:
    machine = Machine(clock=START + 70 * YEAR)
    machine.run(BELIEVED - MINUTE)
    machine.clock -= 70 * YEAR
    assert (machine.ahead, machine.floor.lived(), machine.floor.doubtful) == (0, 0, False)
    machine.run(BELIEVED + MINUTE)
    assert machine.floor.lived() == machine.clock
    machine.clock -= DAY
    assert machine.ahead == DAY


def test_what_is_told_late_or_twice_changes_nothing() -> None:
    machine = Machine()
    machine.begin(START + YEAR)
    machine.floor.heard(0, START)
    assert machine.ahead == YEAR
    machine.floor.heard(2, START + DAY)
    assert machine.ahead == DAY
    for late in (1, 2):
        machine.floor.heard(late, 0)
    assert machine.ahead == DAY


def test_many_small_corrections_are_no_step() -> None:
    machine = Machine()
    machine.floor.now()
    for _ in range(200):
        machine.run(HOUR + MINUTE)
        machine.clock -= 5 * SECOND
        assert machine.ahead == 0
    assert SETTLED <= HOUR + MINUTE


def test_an_operator_says_that_the_clock_is_right() -> None:
    machine = Machine()
    machine.begin(START + YEAR)
    assert machine.ahead == YEAR
    machine.floor.heard(1, 0)
    assert (machine.floor.lived(), machine.ahead) == (0, 0)
    machine.run(BELIEVED)
    machine.clock -= DAY
    assert machine.ahead == DAY, "from there on it counts again"


def test_a_clock_that_may_go_anywhere() -> None:
    machine = Machine()
    free = unbound(lambda: machine.clock)
    for by in (YEAR, -2 * YEAR, DAY, -DAY, 10 * YEAR):
        machine.clock += by
        assert free.now() == machine.clock


@given(
    some.lists(some.tuples(some.sampled_from([0, DAY, -DAY, YEAR, -YEAR, 30 * SECOND, -30 * SECOND]), some.integers(0, 40)), max_size=12)
)
def test_time_never_goes_back_behind_what_was_lived_through(steps: list[tuple[int, int]]) -> None:
    machine = Machine()
    machine.begin(START)
    for by, minutes in steps:
        machine.clock += by
        least = machine.floor.lived()
        machine.run(minutes * MINUTE)
        assert machine.floor.now() >= least + minutes * MINUTE - STEP
        assert machine.floor.now() >= machine.clock, "nor behind the clock"


# --- a store


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return "sqlite:///{data}/procura.db" if request.param == "sqlite" else str(request.getfixturevalue("shared_url"))


async def test_the_store_knows_when_it_is_opened_again(url: str, tmp_path: Path) -> None:
    machine = Machine()

    def opened() -> object:
        return connect(url, tmp_path, now=lambda: machine.clock, monotonic=lambda: machine.monotonic)

    store = await opened()  # type: ignore[misc]
    async with store.snapshot() as snapshot:
        assert snapshot.now == machine.clock
        assert await snapshot.ask(clock.known) == Known(0, 0)
    machine.clock += HOUR
    machine.monotonic += HOUR
    store.floor.now()
    await store.do(NoteTime(store.floor.lived(), 0))
    await store.close()
    machine.clock -= YEAR
    machine.monotonic = 0
    store = await opened()  # type: ignore[misc]
    async with store.snapshot() as snapshot:
        assert snapshot.now == START + HOUR
    assert store.floor.behind == YEAR
    await store.do(AcceptClock(store.floor.machine()))
    async with store.snapshot() as snapshot:
        assert snapshot.now == machine.clock
    await store.close()
    store = await opened()  # type: ignore[misc]
    async with store.snapshot() as snapshot:
        assert snapshot.now == machine.clock
    await store.close()


def test_a_note_keeps_nobody_waiting_and_an_acceptance_is_heard_everywhere() -> None:
    assert claim(NoteTime(1, 0)) == NOTHING
    assert claim(AcceptClock(0)).alone


async def test_a_process_that_reads_for_itself_knows_it_too(tmp_path: Path) -> None:
    url = "sqlite:///{data}/procura.db"
    store = await connect(url, tmp_path)
    known = store.floor.now() + DAY
    await store.do(NoteTime(known, 0))
    far = await connect_remote(url, tmp_path, 1)
    try:
        async with far.snapshot() as snapshot:
            assert known <= snapshot.now < known + HOUR
        far.received(("woken", [clock.ClockAccepted(1)]))
        async with far.snapshot() as snapshot:
            assert snapshot.now < known
    finally:
        await far.close()
        await store.close()


async def known(store: Store) -> Known:
    async with store.snapshot() as snapshot:
        return await snapshot.ask(clock.known)


async def test_who_does_not_know_of_an_acceptance_undoes_nothing(url: str, tmp_path: Path) -> None:
    machine = Machine()
    store = await connect(url, tmp_path, now=lambda: machine.clock, monotonic=lambda: machine.monotonic)
    await store.do(NoteTime(START + YEAR, 0))
    await store.do(NoteTime(START, 0))
    assert await known(store) == Known(0, START + YEAR), "it does not fall"
    await store.do(AcceptClock(store.floor.machine()))
    await store.do(NoteTime(START + YEAR, 0))
    assert await known(store) == Known(1, 0)
    await store.do(NoteTime(START, store.floor.accepted))
    assert await known(store) == Known(1, START)
    await store.close()


async def heard(store: Store, moment: int) -> None:
    """Until it is not later any more than this."""
    async with asyncio.timeout(10):
        while True:
            async with store.snapshot() as snapshot:
                if snapshot.now <= moment:
                    return
            await asyncio.sleep(0.005)


async def test_a_worker_that_was_told_nothing_knows_it_when_it_is_attached(tmp_path: Path) -> None:
    url = "sqlite:///{data}/procura.db"
    store = await connect(url, tmp_path)
    await store.do(NoteTime(wall_clock() + DAY, 0))
    far = await connect_remote(url, tmp_path, 1)
    channel = cast(Channel, SimpleNamespace(send=lambda _: None))
    try:
        for _ in range(2):
            assert far.floor.now() > wall_clock() + HOUR
            await store.do(AcceptClock(store.floor.machine()))
            far.attach(channel)
            await heard(far, wall_clock() + HOUR)
            far.detach()
            await store.do(NoteTime(wall_clock() + DAY, store.floor.accepted))
            far.floor.heard(far.floor.accepted + 1, wall_clock() + DAY)
            far.floor.accepted -= 1
    finally:
        await far.close()
        await store.close()


async def test_a_node_that_could_not_listen_knows_it_when_it_does_again(shared_url: str, tmp_path: Path) -> None:
    ours = await connect(shared_url, tmp_path / "a")
    await ours.do(NoteTime(wall_clock() + DAY, 0))
    other = await connect(shared_url, tmp_path / "b")
    assert isinstance(other, PostgresStore)
    try:
        async with other.snapshot() as snapshot:
            assert snapshot.now > wall_clock() + HOUR
        assert other.nodes._listening is not None
        told = other._watchers.tell
        with patch.object(other._watchers, "tell", lambda some: told([one for one in some if not isinstance(one, ClockAccepted)])):
            await ours.do(AcceptClock(ours.floor.machine()))
            other.nodes._listening.connection.terminate()
            other.nodes._look_now.set()
            await heard(other, wall_clock() + HOUR)
            assert other.floor.accepted == 1
    finally:
        await other.close()
        await ours.close()


async def test_on_postgresql_one_clock_counts_whatever_that_of_the_machine_says(shared_url: str, tmp_path: Path) -> None:
    for by in (-90 * SECOND, 600 * SECOND, -YEAR):
        with patch("store.floor.time.time_ns", lambda by=by: (START + by) * 1000):
            store = await connect(shared_url, tmp_path)
            try:
                for _ in range(5):
                    async with store.snapshot() as snapshot:
                        assert abs(store.floor.now() - snapshot.now) < STEP
                        assert (store.floor.behind, store.floor.doubtful) == (0, False)
            finally:
                await store.close()


def test_the_clock_of_another_machine() -> None:
    machine = Machine()
    there = Elsewhere(START, lambda: machine.monotonic)
    machine.monotonic += HOUR
    assert there() == START + HOUR
    assert there.said(START + HOUR - SECOND) == START + HOUR - SECOND
    machine.monotonic += SECOND
    assert there.said(START + HOUR - 5 * SECOND) == START + HOUR - 5 * SECOND
    assert there() == START + HOUR, "that came late"
    for jump in (START - YEAR, START + YEAR):
        there.said(jump)
        assert there() == jump, "it was set"


async def test_what_was_written_last_says_how_late_it_was_before_there_was_a_clock(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "old.db", isolation_level=None)
    every = steps("sqlite", DIRECTORY_OF_STEPS)
    migrate(raw, every[:26], wall_clock)
    columns = [row[1] for row in raw.execute("PRAGMA table_info(audit)")]
    for number, at in ((1, START + YEAR), (2, START)):
        raw.execute(f"INSERT INTO audit VALUES ({', '.join('?' * len(columns))})", [number, at, *[""] * (len(columns) - 2)])
    migrate(raw, every, wall_clock)
    assert raw.execute("SELECT seen, accepted FROM clock").fetchall() == [(START, 0)], "the last, not the greatest: a clock was wrong once"
    raw.close()
