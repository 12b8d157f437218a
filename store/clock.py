"""How late it was at least, for who opens the store next; and that the clock is right although it is behind that."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from store import totp
from store.errors import StoreError
from store.floor import STEP, Floor
from store.port import ClockAccepted, Deed, Event, EverythingChanged, Snapshot, Tx

log = logging.getLogger(__name__)

AGAIN: Final = 1.0
"""Seconds after which it is looked again, where it could not be."""


@dataclass(frozen=True, slots=True)
class NoteTime(Deed[None]):
    """It was so late at least (microseconds since 1970 UTC), as one says who knows of so many acceptances: where there was another since,
    or more is known, nothing changes."""

    moment: int
    accepted: int


@dataclass(frozen=True, slots=True)
class AcceptClock(Deed[None]):
    """What the clock says is right: nothing else is known from here on. `moment`: what it says, microseconds since 1970 UTC."""

    moment: int


@dataclass(frozen=True, slots=True)
class Known:
    """How often an operator said that the clock is right, and the latest moment that is known since then, 0: none."""

    accepted: int
    seen: int


def known(tx: Tx) -> Known:
    """What whoever opens the store begins with."""
    found = tx.one("clock.known")
    return Known(0, 0) if found is None else Known(int(found[0]), int(found[1]))


def behind(found: Known, moment: int) -> int:
    """By how many microseconds a clock that says this is behind what is known; less than is corrected while it runs is 0."""
    by = found.seen - moment
    return by if by > STEP else 0


def obey(floor: Floor, events: Sequence[Event]) -> None:
    """What a store that was opened by this process is told."""
    for event in events:
        if isinstance(event, ClockAccepted):
            floor.heard(event.accepted, 0)


class Obedience:
    """As `obey`, for a process that may miss what it is told, and hears afterwards that everything may have changed: it looks then."""

    def __init__(self, floor: Floor, snapshot: Callable[[], AbstractAsyncContextManager[Snapshot]]) -> None:
        self._floor = floor
        self._snapshot = snapshot
        self._looking: asyncio.Task[None] | None = None
        self._closed = self._wanted = False

    def told(self, events: Sequence[Event]) -> None:
        """Of the store, in its loop."""
        obey(self._floor, events)
        if any(isinstance(event, EverythingChanged) for event in events):
            self.look()

    def look(self) -> None:
        """Also once it is told whatever comes: what came before is known then."""
        # What one that is under way sees may be older than this.
        self._wanted = not self._closed
        if self._wanted and (self._looking is None or self._looking.done()):
            self._looking = asyncio.get_running_loop().create_task(self._look(), name="store clock")

    async def close(self) -> None:
        """Before the readers are."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait((self._looking,))

    async def _look(self) -> None:
        while self._wanted:
            self._wanted = False
            try:
                async with self._snapshot() as snapshot:
                    found = await snapshot.ask(known)
            except StoreError as fault:
                log.warning("clock", extra={"fields": {"outcome": "what was accepted is not known", "reason": str(fault)}})
                self._wanted = True
                await asyncio.sleep(AGAIN)
            else:
                self._floor.heard(found.accepted, found.seen)


def _note(tx: Tx, deed: NoteTime) -> None:
    tx.run("clock.note", seen=deed.moment, accepted=deed.accepted)


def _accept(tx: Tx, deed: AcceptClock) -> None:
    tx.run("clock.accept")
    totp.clock_was_ahead(tx, deed.moment)
    tx.wake(ClockAccepted(known(tx).accepted))


DEEDS = ((NoteTime, _note), (AcceptClock, _accept))
