"""What time it is at least: behind a clock that is set back time goes on from where it was, and nothing that has ended begins again."""

import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

STEP: Final = 60_000_000
"""Microseconds: less is what clocks are corrected by while they run."""
BELIEVED: Final = 900_000_000
"""Microseconds for which a clock has to stand ahead before going back from there means that it was set back: a machine that starts with
a wrong clock has had it corrected by then."""
SETTLED: Final = 3_600_000_000
"""Microseconds: once in so many what the clock was corrected by is taken over, or many small corrections would become a step."""

_Point = tuple[int, int]
"""A moment, and the monotonic clock's then."""


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def monotonic_clock() -> int:
    """Microseconds of the clock that nobody sets."""
    return time.monotonic_ns() // 1000


class Floor:
    """The later of what the clock says and of what time has been lived through: since `seen`, the latest moment that the store knew when
    this process began (0: none), the monotonic clock has run on.

    Every moment of a store passes `judged`, in any thread. `clock`, `monotonic`: microseconds.
    """

    def __init__(self, seen: int = 0, clock: Callable[[], int] = wall_clock, monotonic: Callable[[], int] = monotonic_clock) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._from: _Point | None = (seen, monotonic()) if seen else None
        self._ahead_since: int | None = None
        self.behind = 0
        """Microseconds by which the clock was behind when it was last looked at; less than STEP is 0."""

    def now(self) -> int:
        """Microseconds since 1970 UTC, by the clock of this machine."""
        return self.judged(self._clock())

    def machine(self) -> int:
        """Microseconds since 1970 UTC, as the clock of this machine says, be it right or not: for what others have dated by theirs."""
        return self._clock()

    def judged(self, moment: int) -> int:
        """What time it is when the clock says this."""
        ran = self._monotonic()
        if self._from is None:
            self._from = moment, ran
            self._became(0)
            return moment
        begun, since = self._from
        lived = begun + ran - since
        if moment < lived - STEP:
            self._ahead_since = None
            self._became(lived - moment)
            return lived
        self._became(0)
        if moment <= lived + STEP:
            self._ahead_since = None
            if ran - since >= SETTLED:
                self._from = moment, ran
        elif self._ahead_since is None:
            self._ahead_since = ran
        elif ran - self._ahead_since >= BELIEVED:
            self._ahead_since = None
            self._from = moment, ran
        return moment

    def lived(self) -> int:
        """What time it is at least; 0: nothing is known yet."""
        if self._from is None:
            return 0
        begun, since = self._from
        return begun + self._monotonic() - since

    @property
    def doubtful(self) -> bool:
        """Is the clock ahead of what is known by more than is corrected, and has not stood so for long enough to be believed? What it says
        ends what is to end; nothing is to be thrown away because of it."""
        return self._ahead_since is not None

    def accept(self) -> None:
        """The clock is right from here on, whatever it was before."""
        self._from = None

    def _became(self, behind: int) -> None:
        before, self.behind = self.behind, behind
        if behind and not before:
            why = "what has ended stays ended: time goes on from there. If the clock is right now: procura clock accept"
            said = {"outcome": f"{behind // 1_000_000} s behind the time that was known here", "reason": why}
            log.error("clock", extra={"fields": said})
        elif before and not behind:
            log.warning("clock", extra={"fields": {"outcome": "no longer behind the time that was known here"}})


def unbound(clock: Callable[[], int]) -> Floor:
    """A clock that may go anywhere, and is right wherever it is."""
    return _Unbound(1, clock, lambda: 0)


class _Unbound(Floor):
    @property
    def doubtful(self) -> bool:
        return False
