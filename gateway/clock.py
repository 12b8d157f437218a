"""Has the clock been set while we run? Waits are measured by the clock that nobody can set; what the store has dated is dated anew."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from store import floor
from store.port import Store
from store.stepped import ClockStepped

log = logging.getLogger(__name__)

STEP: Final = floor.STEP
"""As the store has it: of less than that nobody is told."""

_Look = tuple[int, float, float]
"""The store's moment, and the monotonic clock's just before and just behind it."""


class Clock:
    """The store's moment, and by how much it has run apart from the monotonic clock since it was last asked. `monotonic`: seconds.

    A machine that slept has a step behind it too, where its monotonic clock slept with it: what waited has had no time to be tried.
    """

    def __init__(self, store: Store, monotonic: Callable[[], float] | None = None) -> None:
        self._store = store
        self._monotonic = monotonic or asyncio.get_running_loop().time
        self._last: _Look | None = None
        self._telling = asyncio.Lock()
        self._watchers: list[Callable[[int], None]] = []

    def watch(self, told: Callable[[int], None]) -> None:
        """`told`: by how many microseconds the clock was set, once the store knows."""
        self._watchers.append(told)

    async def now(self) -> int:
        """Microseconds since 1970 UTC. Raises Busy, also when the clock was set and the store cannot be told now: the next to ask tells
        it."""
        began = self._monotonic()
        async with self._store.snapshot() as snapshot:
            now = snapshot.now
        ended = self._monotonic()
        this = now, began, ended
        if self._last is not None and _stepped(self._last, this):
            async with self._telling:
                # Another may have told it while this one waited.
                await self._dated(self._last, this)
        elif self._last is None or ended > self._last[2]:
            self._last = this
        return now

    async def _dated(self, last: _Look, this: _Look) -> None:
        by = _stepped(last, this)
        if not by:
            return
        # Whoever is cancelled now has told it nevertheless: a deed that is begun is done.
        self._last = this
        waited = 0
        try:
            # Of several servers on one database one tells it: they read the same clock.
            if self._store.leads:
                waited = await self._store.do(ClockStepped(by, this[0] - by))
        except Exception:
            self._last = last
            raise
        for told in self._watchers:
            told(by)
        said = f"set {'on' if by > 0 else 'back'} by {abs(by) // 1_000_000} s"
        log.warning("clock", extra={"fields": {"outcome": said, "reason": f"{waited} rows of the queue are dated anew"}})


def _stepped(last: _Look, this: _Look) -> int:
    """By how much at least, whenever between the two moments each of the clocks was read."""
    ran = this[0] - last[0]
    least, most = int((this[1] - last[2]) * 1_000_000), int((this[2] - last[1]) * 1_000_000)
    by = ran - most if ran > most else ran - least if ran < least else 0
    return by if abs(by) >= STEP else 0
