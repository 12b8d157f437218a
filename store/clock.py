"""How late it was at least, for who opens the store next; and that the clock is right although it is behind that."""

from collections.abc import Sequence
from dataclasses import dataclass

from store.floor import Floor
from store.port import ClockAccepted, Deed, Event, Tx


@dataclass(frozen=True, slots=True)
class NoteTime(Deed[None]):
    """It was so late at least (microseconds since 1970 UTC)."""

    moment: int


@dataclass(frozen=True, slots=True)
class AcceptClock(Deed[None]):
    """What the clock says is right: nothing else is known from here on."""


def seen(tx: Tx) -> int:
    """The latest moment that is known, 0: none."""
    found = tx.one("clock.seen")
    return 0 if found is None else int(found[0])


def obey(floor: Floor, events: Sequence[Event]) -> None:
    """What a store that was opened by this process is told."""
    if any(isinstance(event, ClockAccepted) for event in events):
        floor.accept()


def _note(tx: Tx, deed: NoteTime) -> None:
    tx.run("clock.note", seen=deed.moment)


def _accept(tx: Tx, deed: AcceptClock) -> None:
    tx.run("clock.note", seen=0)
    tx.wake(ClockAccepted())


DEEDS = ((NoteTime, _note), (AcceptClock, _accept))
