"""Everything that can be done to the store: the one table from a deed's type to its function.

Each aggregate exports `DEEDS`, a tuple of `(type of deed, function)`; the function takes `(tx, deed)`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from types import MappingProxyType
from typing import Any, TypeVar

from store import (
    accounts,
    addresses,
    annotations,
    app_passwords,
    appending,
    applied,
    audit,
    blobs,
    breakglass,
    changes,
    copying,
    cos,
    deleted,
    digest,
    dkim,
    domains,
    dynamic,
    expunging,
    first_access,
    flags,
    folders,
    freezes,
    grants,
    list_bounces,
    list_requests,
    lists,
    login,
    logins,
    members,
    objects,
    outcomes,
    queue,
    rates,
    recalls,
    refusals,
    remade,
    renaming,
    renewal,
    roles,
    shares,
    stepped,
    subscriptions,
    tenure,
    totp,
    verify,
)
from store.applied import Apply
from store.audit import AuditEntry
from store.outcomes import Once
from store.port import Deed, Tx
from store.tenure import Used

T = TypeVar("T")

FEW_RECORDS = 8
"""Written in some tenths of a millisecond."""

Doing = tuple[type[Deed[Any]], Callable[[Tx, Any], Any]]


@dataclass(frozen=True, slots=True)
class Audited(Deed[T]):
    """A deed and what goes on record about it, in one transaction; returns what the deed returns. `uses`: the grants it stood on."""

    deed: Deed[T]
    entries: tuple[AuditEntry, ...]
    uses: tuple[Used, ...] = ()

    @property
    def weight(self) -> int:
        """That of the deed."""
        return self.deed.weight

    @property
    def brief(self) -> bool:
        """As the deed, where there is little to say about it."""
        return self.deed.brief and len(self.entries) + len(self.uses) <= FEW_RECORDS


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
    tenure.mark_used(tx, deed.uses)
    return done


def _several(tx: Tx, deed: Several) -> tuple[Any, ...]:
    return tuple(perform(tx, one) for one in deed.deeds)


def _once(tx: Tx, deed: Once) -> bytes:
    return outcomes.kept(tx, deed.key, perform(tx, deed.deed))


def _settling(*tables: Sequence[Doing]) -> Sequence[Doing]:
    """Deeds after which the members of dynamic lists may be others."""

    def with_settling(function: Callable[[Tx, Any], Any]) -> Callable[[Tx, Any], Any]:
        @wraps(function)
        def do(tx: Tx, deed: Any) -> Any:
            done = function(tx, deed)
            dynamic.settle(tx)
            return done

        return do

    return [(kind, with_settling(function)) for table in tables for kind, function in table]


def _apply(tx: Tx, deed: Apply) -> None:
    applied.begin(tx, deed)
    for one in deed.deeds:
        perform(tx, one)


def _merge(*tables: Sequence[Doing]) -> Mapping[type[Deed[Any]], Callable[[Tx, Any], Any]]:
    rows = [row for table in tables for row in table]
    merged = dict(rows)
    if len(merged) != len(rows):
        raise AssertionError("a deed has two functions")
    return MappingProxyType(merged)


FUNCTIONS = _merge(
    # Whatever administrators do is audited, in whichever module it is done.
    _settling(
        ((Audited, _audited),), accounts.DEEDS, addresses.DEEDS, cos.DEEDS, deleted.DEEDS, domains.DEEDS, lists.DEEDS, renaming.DEEDS
    ),
    ((Several, _several), (Apply, _apply), (Once, _once)),
    annotations.DEEDS,
    app_passwords.DEEDS,
    audit.DEEDS,
    digest.DEEDS,
    dkim.DEEDS,
    dynamic.DEEDS,
    first_access.DEEDS,
    grants.DEEDS,
    list_bounces.DEEDS,
    list_requests.DEEDS,
    members.DEEDS,
    login.DEEDS,
    logins.DEEDS,
    blobs.DEEDS,
    breakglass.DEEDS,
    changes.DEEDS,
    folders.DEEDS,
    freezes.DEEDS,
    appending.DEEDS,
    flags.DEEDS,
    copying.DEEDS,
    expunging.DEEDS,
    remade.DEEDS,
    outcomes.DEEDS,
    objects.DEEDS,
    queue.DEEDS,
    roles.DEEDS,
    rates.DEEDS,
    recalls.DEEDS,
    refusals.DEEDS,
    renewal.DEEDS,
    shares.DEEDS,
    stepped.DEEDS,
    subscriptions.DEEDS,
    tenure.DEEDS,
    totp.DEEDS,
    verify.DEEDS,
)


def perform(tx: Tx, deed: Deed[T]) -> T:
    """Does it now, in this transaction. Raises what its function raises."""
    done: T = FUNCTIONS[type(deed)](tx, deed)
    return done
