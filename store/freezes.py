"""The kill switches: in whose name nobody sends, and who sends in nobody's; what waits in the queue stops with them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from store.errors import NotFound
from store.model import QueueId
from store.port import Deed, QueueChanged, Tx


class Side(StrEnum):
    """As what somebody is frozen."""

    PRINCIPAL = "principal"  # nobody sends in its name but itself
    ACTOR = "actor"  # it sends in no other name


@dataclass(frozen=True, slots=True)
class Frozen:
    """`object`: an account or list; `at`: microseconds since 1970, since when."""

    object: int
    side: Side
    at: int
    note: str


@dataclass(frozen=True, slots=True)
class Freeze(Deed[int]):
    """From now on, with everything that waits; again: another note. Returns how many rows of the queue it stopped. Raises NotFound."""

    object: int
    side: Side
    note: str = ""


@dataclass(frozen=True, slots=True)
class Thaw(Deed[int | None]):
    """What waited is due again, where nothing else stops it. Returns how many rows that are; None: it was not frozen."""

    object: int
    side: Side


def is_frozen(tx: Tx, number: int, side: Side) -> bool:
    """One step of an index."""
    return tx.one("freezes.one", object=number, side=side) is not None


def one(tx: Tx, number: int, side: Side) -> Frozen | None:
    """None: it is not."""
    row = tx.one("freezes.one", object=number, side=side)
    return None if row is None else Frozen(number, side, *row)


def all_of_them(tx: Tx, side: Side) -> Sequence[Frozen]:
    """Oldest first."""
    return [Frozen(number, side, at, note) for number, at, note in tx.all("freezes.of_side", side=side)]


def behind(tx: Tx, row: QueueId) -> Sequence[tuple[Side, int]]:
    """Whose names stand behind a row of the queue: actor and principals."""
    return [(Side(side), number) for side, number in tx.all("freezes.behind", queue=row)]


def _freeze(tx: Tx, deed: Freeze) -> int:
    if tx.one("freezes.object_exists", id=deed.object) is None:
        raise NotFound(f"object {deed.object}")
    tx.run("freezes.set", object=deed.object, side=deed.side, at=tx.now, note=deed.note)
    tx.touch(deed.object)
    return tx.run("freezes.stop", object=deed.object, side=deed.side)


def _thaw(tx: Tx, deed: Thaw) -> int | None:
    if not tx.run("freezes.delete", object=deed.object, side=deed.side):
        return None
    tx.touch(deed.object)
    freed = tx.run("freezes.let_go", object=deed.object, side=deed.side, now=tx.now)
    if freed:
        tx.wake(QueueChanged())
    return freed


DEEDS = ((Freeze, _freeze), (Thaw, _thaw))
