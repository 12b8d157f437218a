"""Behind a clock that is set back time goes on from where it was; an operator may say that the clock is right."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from store import clock
from store.clock import AcceptClock, NoteTime
from store.connect import connect, connect_remote
from store.contention import NOTHING, claim
from store.floor import BELIEVED, SETTLED, STEP, Floor, unbound

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
    assert [record.levelname for record in caplog.records] == ["ERROR"], "said once"
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
    machine.floor.accept()
    assert (machine.floor.lived(), machine.ahead) == (0, 0)
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
        assert await snapshot.ask(clock.seen) == 0
    machine.clock += HOUR
    machine.monotonic += HOUR
    await store.do(NoteTime(store.floor.lived()))
    await store.close()
    machine.clock -= YEAR
    machine.monotonic = 0
    store = await opened()  # type: ignore[misc]
    async with store.snapshot() as snapshot:
        assert snapshot.now == START + HOUR
    assert store.floor.behind == YEAR
    await store.do(AcceptClock())
    async with store.snapshot() as snapshot:
        assert snapshot.now == machine.clock
    await store.close()
    store = await opened()  # type: ignore[misc]
    async with store.snapshot() as snapshot:
        assert snapshot.now == machine.clock
    await store.close()


def test_a_note_keeps_nobody_waiting_and_an_acceptance_is_heard_everywhere() -> None:
    assert claim(NoteTime(1)) == NOTHING
    assert claim(AcceptClock()).alone


async def test_a_process_that_reads_for_itself_knows_it_too(tmp_path: Path) -> None:
    url = "sqlite:///{data}/procura.db"
    store = await connect(url, tmp_path)
    known = store.floor.now() + DAY
    await store.do(NoteTime(known))
    far = await connect_remote(url, tmp_path, 1)
    try:
        async with far.snapshot() as snapshot:
            assert known <= snapshot.now < known + HOUR
        far.received(("woken", [clock.ClockAccepted()]))
        async with far.snapshot() as snapshot:
            assert snapshot.now < known
    finally:
        await far.close()
        await store.close()
