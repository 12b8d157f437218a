"""Everything that can be done to the store: the one table from a deed's type to its function.

Each aggregate exports `DEEDS`, a tuple of `(type of deed, function)`; the function takes `(tx, deed)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from store import (
    accounts,
    addresses,
    annotations,
    audit,
    blobs,
    changes,
    cos,
    dkim,
    domains,
    folders,
    freezes,
    grants,
    list_bounces,
    list_requests,
    lists,
    login,
    members,
    messages,
    queue,
    rates,
    recalls,
    roles,
    subscriptions,
)
from store.audit import AuditEntry
from store.port import Deed, Tx

T = TypeVar("T")

Doing = tuple[type[Deed[Any]], Callable[[Tx, Any], Any]]


@dataclass(frozen=True, slots=True)
class Audited(Deed[T]):
    """A deed and what goes on record about it, in one transaction; returns what the deed returns."""

    deed: Deed[T]
    entries: tuple[AuditEntry, ...]

    @property
    def weight(self) -> int:
        """That of the deed."""
        return self.deed.weight


@dataclass(frozen=True, slots=True)
class Several(Deed[tuple[Any, ...]]):
    """Several deeds, all or none, in their order; returns what each returned."""

    deeds: tuple[Deed[Any], ...]

    @property
    def weight(self) -> int:
        """That of all of them."""
        return sum(deed.weight for deed in self.deeds)


def _audited(tx: Tx, deed: Audited[T]) -> T:
    done = perform(tx, deed.deed)
    for entry in deed.entries:
        audit.record(tx, entry)
    return done


def _several(tx: Tx, deed: Several) -> tuple[Any, ...]:
    return tuple(perform(tx, one) for one in deed.deeds)


def _merge(*tables: Sequence[Doing]) -> Mapping[type[Deed[Any]], Callable[[Tx, Any], Any]]:
    rows = [row for table in tables for row in table]
    merged = dict(rows)
    if len(merged) != len(rows):
        raise AssertionError("a deed has two functions")
    return MappingProxyType(merged)


FUNCTIONS = _merge(
    ((Audited, _audited), (Several, _several)),
    accounts.DEEDS,
    addresses.DEEDS,
    annotations.DEEDS,
    audit.DEEDS,
    cos.DEEDS,
    dkim.DEEDS,
    domains.DEEDS,
    grants.DEEDS,
    list_bounces.DEEDS,
    list_requests.DEEDS,
    lists.DEEDS,
    members.DEEDS,
    login.DEEDS,
    blobs.DEEDS,
    changes.DEEDS,
    folders.DEEDS,
    freezes.DEEDS,
    messages.DEEDS,
    queue.DEEDS,
    roles.DEEDS,
    rates.DEEDS,
    recalls.DEEDS,
    subscriptions.DEEDS,
)


def perform(tx: Tx, deed: Deed[T]) -> T:
    """Does it now, in this transaction. Raises what its function raises."""
    done: T = FUNCTIONS[type(deed)](tx, deed)
    return done
