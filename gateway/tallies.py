"""Numbers that hold over all processes which serve together: how many connections, sessions, guesses there are of something."""

import mmap
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from struct import Struct
from typing import Final, Protocol

ROWS: Final = 4
BUCKETS: Final = 16_384
"""With ten thousand keys at once, one in twenty-five is counted as one more than there are; none is ever counted as fewer."""

_PLACES: Final = Struct(f"{ROWS}I")
_COLUMN: Final = ROWS * BUCKETS + 1


class Tally(Protocol):
    """How many there are of each key, in all processes."""

    def add(self, key: str) -> int:
        """One more; returns how many there are now, this one included, and never fewer. Of two that come at the same moment each may
        see the other."""

    def take(self, key: str) -> None:
        """One that was added here is gone."""

    def of(self, key: str) -> int:
        """How many there are."""


class OwnTally:
    """Where one process serves."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, key: str) -> int:
        """See Tally."""
        self._counts[key] += 1
        return self._counts[key]

    def take(self, key: str) -> None:
        """See Tally."""
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]

    def of(self, key: str) -> int:
        """See Tally."""
        return self._counts[key]


class SharedTally:
    """A count-min sketch (Cormode and Muthukrishnan, 2005) in memory that forked processes share, with a column for each of them.

    Nobody writes into another's column, so that nothing is locked and nothing lost; what there is of a key is the sum over the columns.
    A process that was killed leaves its column to be wiped.
    """

    def __init__(self, columns: int) -> None:
        self._memory = mmap.mmap(-1, columns * _COLUMN * 4)
        self._cells = memoryview(self._memory).cast("I")
        self._columns = columns
        self._key = secrets.token_bytes(16)
        self._own = 0

    def within(self, column: int) -> "SharedTally":
        """This process's view, after the fork."""
        self._own = column * _COLUMN
        return self

    def wipe(self, column: int) -> None:
        """Nothing is left of a process that has ended; its serial numbers go on."""
        first = column * _COLUMN * 4
        self._memory[first : first + (_COLUMN - 1) * 4] = bytes((_COLUMN - 1) * 4)

    def serial(self) -> int:
        """A number that no process has had from this column."""
        last = self._own + _COLUMN - 1
        self._cells[last] += 1
        return self._cells[last]

    def add(self, key: str) -> int:
        """See Tally."""
        places = self._places(key)
        cells, own = self._cells, self._own
        for place in places:
            cells[own + place] += 1
        return self._sum(places)

    def take(self, key: str) -> None:
        """See Tally."""
        cells, own = self._cells, self._own
        for place in self._places(key):
            cells[own + place] -= 1

    def of(self, key: str) -> int:
        """See Tally."""
        return self._sum(self._places(key))

    def in_column(self, column: int, key: str) -> int:
        """How many there are of it in one process."""
        return min(self._cells[column * _COLUMN + place] for place in self._places(key))

    def _sum(self, places: Sequence[int]) -> int:
        cells = self._cells
        return min(sum(cells[column + place] for column in range(0, self._columns * _COLUMN, _COLUMN)) for place in places)

    def _places(self, key: str) -> Sequence[int]:
        drawn = _PLACES.unpack(blake2b(key.encode(), digest_size=_PLACES.size, key=self._key).digest())
        return [row * BUCKETS + number % BUCKETS for row, number in enumerate(drawn)]


class Amount(Protocol):
    """How much there is of one thing, in all processes."""

    def add(self, units: int) -> int:
        """So many more; returns how many there are now, these included, and never fewer."""

    def take(self, units: int) -> None:
        """So many that were added here are gone."""

    def all(self) -> int:
        """How many there are."""


class OwnAmount:
    """Where one process serves."""

    __slots__ = ("_there",)

    def __init__(self) -> None:
        self._there = 0

    def add(self, units: int) -> int:
        """See Amount."""
        self._there += units
        return self._there

    def take(self, units: int) -> None:
        """See Amount."""
        self._there -= units

    def all(self) -> int:
        """See Amount."""
        return self._there


class SharedAmount:
    """A number for each process, in memory that they share; nobody writes another's, as with SharedTally."""

    def __init__(self, columns: int) -> None:
        self._memory = mmap.mmap(-1, columns * 8)
        self._cells = memoryview(self._memory).cast("Q")
        self._own = 0

    def within(self, column: int) -> "SharedAmount":
        """This process's view, after the fork."""
        self._own = column
        return self

    def wipe(self, column: int) -> None:
        """Nothing is left of a process that has ended."""
        self._cells[column] = 0

    def add(self, units: int) -> int:
        """See Amount."""
        self._cells[self._own] += units
        return sum(self._cells)

    def take(self, units: int) -> None:
        """See Amount."""
        self._cells[self._own] -= units

    def all(self) -> int:
        """See Amount."""
        return sum(self._cells)


def _counting() -> Callable[[], int]:
    numbers = count(1)
    return lambda: next(numbers)


@dataclass(frozen=True, slots=True)
class Tallies:
    """What the processes count together. `connections`: by source, and "" for all; `sessions` and `guesses` (passwords that were found
    wrong and are not on record yet): by account. `arriving`: octets of messages. `number`: of the next session; `process`: which one this
    is."""

    connections: Tally = field(default_factory=OwnTally)
    sessions: Tally = field(default_factory=OwnTally)
    guesses: Tally = field(default_factory=OwnTally)
    arriving: Amount = field(default_factory=OwnAmount)
    number: Callable[[], int] = field(default_factory=_counting)
    process: int = 0


class SharedTallies:
    """Made before the fork, for so many processes."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._every = [SharedTally(processes) for _ in range(3)]
        self._arriving = SharedAmount(processes)

    def within(self, process: int) -> Tallies:
        """For the process with this column, after the fork."""
        connections, sessions, guesses = (one.within(process) for one in self._every)
        arriving = self._arriving.within(process)
        return Tallies(connections, sessions, guesses, arriving, lambda: sessions.serial() * self._processes + process, process)

    def wipe(self, process: int) -> None:
        """It has ended."""
        for one in self._every:
            one.wipe(process)
        self._arriving.wipe(process)
