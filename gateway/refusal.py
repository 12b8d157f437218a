"""How does a service say no? It raises `Refused` with the verdict; the protocol's own table has the words. When, where time would tell."""

import asyncio
from typing import Final

from policy.reasons import Defer, Reason, Verdict
from store.errors import Busy, Full

_TICK: Final = 0.0025
"""Seconds: more than a timer of the loop is late, unless the machine has too much to do."""


class Refused(Exception):
    """Expected, and final for what was asked. `verdict` says why, and whether it is worth trying again (`Defer`)."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict)
        self.verdict = verdict


def later(fault: Busy) -> Defer:
    """What the store could not do now."""
    return Defer(Reason.DISK_FULL if isinstance(fault, Full) else Reason.BUSY)


async def until(moment: float) -> None:
    """Waits for a moment, as the loop's clock has it, and no longer: so that an answer tells nothing by its time.

    A timer alone would. It counts in whole milliseconds from when it is set, so that whoever sets it later is woken later.
    """
    loop = asyncio.get_running_loop()
    await asyncio.sleep(max(0.0, moment - loop.time() - _TICK))
    while loop.time() < moment:  # noqa: ASYNC110 — a clock wakes nobody
        await asyncio.sleep(0)
