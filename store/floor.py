"""What time it is at least: behind a clock that is set back time goes on from where it was, and nothing that has ended begins again."""

import logging
import time
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

STEP: Final = 60_000_000
"""Microseconds: less is what clocks are corrected by while they run, and harms nothing."""
BELIEVED: Final = 900_000_000
"""Microseconds for which a clock has to stand ahead before going back from there means that it was set back: a machine that starts with
a wrong clock has had it corrected by then. So long has it to stand at first, too, where nothing is known."""
SETTLED: Final = 3_600_000_000
"""Microseconds: once in so many what the clock was corrected by is taken over, or many small corrections would become a step."""

SAID_AGAIN: Final = 3_600_000_000
"""Microseconds: so often the log says that the clock is behind."""

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
    this process began (0: none), the monotonic clock has run on. `accepted`: how often an operator had said by then that the clock is
    right.

    Every moment of a store passes `judged`, in any thread. `clock`, `monotonic`: microseconds.
    """

    def __init__(
        self, seen: int = 0, clock: Callable[[], int] = wall_clock, monotonic: Callable[[], int] = monotonic_clock, accepted: int = 0
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._from: _Point | None = (seen, monotonic()) if seen else None
        self._standing: _Point | None = None
        self._said = 0
        self.accepted = accepted
        self.behind = 0
        """Microseconds by which the clock was behind when it was last looked at; less than STEP is 0."""

    def now(self) -> int:
        """Microseconds since 1970 UTC, by the clock of the store."""
        return self.judged(self._clock())

    def machine(self) -> int:
        """Microseconds since 1970 UTC, as the clock of this machine says, be it right or not: for what others have dated by theirs."""
        return self._clock()

    def judged(self, moment: int) -> int:
        """What time it is when the clock says this."""
        ran = self._monotonic()
        known, standing = self._from, self._standing
        if known is not None:
            lived = known[0] + ran - known[1]
            if moment < lived - STEP:
                self._standing = None
                self._became(lived - moment, ran)
                return lived
            self._became(0, ran)
            if moment <= lived + STEP:
                self._standing = None
                if ran - known[1] >= SETTLED:
                    self._from = moment, ran
                return moment
        else:
            self._became(0, ran)
        if standing is None or abs(moment - standing[0] - (ran - standing[1])) > STEP:
            self._standing = moment, ran
        elif ran - standing[1] >= BELIEVED:
            self._standing = None
            self._from = moment, ran
        return moment

    def lived(self) -> int:
        """What time it is at least; 0: nothing is known yet."""
        known = self._from
        return 0 if known is None else known[0] + self._monotonic() - known[1]

    @property
    def doubtful(self) -> bool:
        """Is the clock ahead of what is known by more than is corrected, and has not stood so for long enough to be believed? What it says
        ends what is to end; nothing is to be thrown away because of it. Where nothing is known there is nothing to doubt it by."""
        return self._from is not None and self._standing is not None

    def heard(self, accepted: int, seen: int) -> None:
        """What the store says about it now: where an operator has said meanwhile that the clock is right, nothing counts but what has been
        known since, and the clock once it has stood so for long enough to be believed. What is told late or twice does nothing."""
        if accepted > self.accepted:
            self.accepted = accepted
            self._standing = None
            self._from = (seen, self._monotonic()) if seen else None

    def _became(self, behind: int, ran: int) -> None:
        before, self.behind = self.behind, behind
        if behind and (not before or ran - self._said >= SAID_AGAIN):
            self._said = ran
            why = "what has ended stays ended: time goes on from there. If the clock is right now: procura clock accept"
            said = {"outcome": f"{behind // 1_000_000} s behind the time that was known here", "reason": why}
            log.error("clock", extra={"fields": said})
        elif before and not behind:
            log.warning("clock", extra={"fields": {"outcome": "no longer behind the time that was known here"}})


class Elsewhere:
    """The clock of another machine: what it said, and the time that has run here since. `monotonic`: microseconds."""

    def __init__(self, moment: int, monotonic: Callable[[], int] = monotonic_clock) -> None:
        self._monotonic = monotonic
        self._last: _Point = moment, monotonic()

    def __call__(self) -> int:
        """Microseconds since 1970 UTC."""
        moment, ran = self._last
        return moment + self._monotonic() - ran

    def said(self, moment: int) -> int:
        """It says so; returned as it is."""
        ran = self._monotonic()
        before, since = self._last
        # What was long on its way is late, and would turn this one back.
        late = before + ran - since - moment
        if not 0 <= late <= STEP or ran - since >= SETTLED:
            self._last = moment, ran
        return moment


def unbound(clock: Callable[[], int]) -> Floor:
    """A clock that may go anywhere, and is right wherever it is."""
    return Floor(0, clock, lambda: 0)
