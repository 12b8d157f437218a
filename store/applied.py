"""Documents of policy that were applied: all of their changes or none, on the state they were planned on, and how to take them back."""

from dataclasses import dataclass
from typing import Any

from store.errors import Stale
from store.port import Deed, Tx

Mark = tuple[int, int]
"""Grows with every change of what policy reads: the sum of all its epochs, and how many there are."""


@dataclass(frozen=True, slots=True)
class AppliedRow:
    """`changes`: JSON, [[key, before, after, [[section, name, number], ...]], ...]. `at`: microseconds since 1970 UTC."""

    id: int
    at: int
    decision: str
    changes: str


@dataclass(frozen=True, slots=True)
class Apply(Deed[None]):
    """The deeds, all or none. Raises Stale when anything has changed since `mark`, and what the deeds raise.

    `undoes`: the row that is taken back by this; None: `changes` are kept to be taken back.
    """

    deeds: tuple[Deed[Any], ...]
    mark: Mark
    decision: str
    changes: str
    undoes: int | None = None


def mark(tx: Tx) -> Mark:
    """As the database is now."""
    total, count = tx.one("applied.epochs") or (0, 0)
    return int(total), int(count)


def last(tx: Tx) -> AppliedRow | None:
    """The newest that was not taken back."""
    found = tx.one("applied.last")
    return None if found is None else AppliedRow(*found)


def begin(tx: Tx, deed: Apply) -> None:
    """What comes before the deeds. Raises Stale."""
    if mark(tx) != deed.mark:
        raise Stale("the directory has changed meanwhile")
    if deed.undoes is None:
        tx.insert("applied.insert", now=tx.now, decision=deed.decision, changes=deed.changes)
    elif not tx.run("applied.undo", id=deed.undoes, now=tx.now):
        raise Stale("it was taken back meanwhile")
