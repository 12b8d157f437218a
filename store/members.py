"""Who is a member of which list: taken in and let go, and asked by address."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from policy.identity import Address, ListId
from store import addresses
from store.errors import Conflict, LimitReached, NotFound
from store.port import DIRECTORY, Deed, Tx

MOST_MEMBERS: Final = 100_000
"""Of one list: what is posted goes to all of them in one transaction."""
NESTING: Final = 32
"""Lists within lists; real directories stay below five, and every walk and every trace is as long as this at most."""


@dataclass(frozen=True, slots=True)
class AddMembers(Deed[Sequence[Address]]):
    """Returns those that were not members yet.

    An address of an account or list of ours makes that object the member, whichever of its addresses it is; one that only
    leads there without its tag, or is nobody's of ours, is kept as it is written: it gets the mail, but no rights.
    Raises NotFound for the list, Conflict when it is dynamic, LimitReached when lists would be nested deeper
    than NESTING or have more than MOST_MEMBERS.
    """

    list: ListId
    members: Sequence[Address]


@dataclass(frozen=True, slots=True)
class RemoveMembers(Deed[Sequence[Address]]):
    """Returns those that were members. Raises NotFound for the list, Conflict when it is dynamic."""

    list: ListId
    members: Sequence[Address]


def direct(tx: Tx, list_id: ListId, address: Address) -> Address | None:
    """The address under which this one is a member of this very list, not through another; None: it is none.

    What is kept of an address elsewhere is compared without regard to case: hardly anybody tells two people apart by it.
    """
    found = addresses.resolve(tx, address)
    if found is not None and not found.tag_cut:
        return None if tx.one("members.is_member", list=list_id, member=found.id) is None else found.address
    folded = address.folded()
    kept = tx.one("members.kept", list=list_id, local=folded.local, domain=folded.domain)
    return None if kept is None else Address(*kept)


def number_of(tx: Tx, list_id: ListId, address: Address) -> int | None:
    """The number of a member elsewhere, by which its bounces are known; None: there is no such member."""
    folded = address.folded()
    found = tx.one("members.number_of", list=list_id, local=folded.local, domain=folded.domain)
    return None if found is None else int(found[0])


def _depth(start: ListId, step: Callable[[int], Sequence[int]]) -> int:
    """The greatest distance from here, breadth first; stops counting above NESTING."""
    seen: set[int] = {start}
    waiting: list[int] = [start]
    depth = 0
    while depth <= NESTING:
        waiting = [*dict.fromkeys(found for one in waiting for found in step(one) if found not in seen)]
        if not waiting:
            return depth
        seen.update(waiting)
        depth += 1
    return depth


def _there(tx: Tx, list_id: ListId) -> None:
    if tx.one("lists.exists", id=list_id) is None:
        raise NotFound(f"list {list_id}")
    if tx.one("dynamic.filter", list=list_id) is not None:
        raise Conflict("the members of a dynamic list are those whom its filter means")


def _add_members(tx: Tx, deed: AddMembers) -> Sequence[Address]:
    _there(tx, deed.list)
    above: int | None = None
    added = []
    standings = False
    for address in deed.members:
        found = addresses.resolve(tx, address)
        if found is None or found.tag_cut:
            kept = address if found is None else address.folded()
            if tx.run("members.add_external", list=deed.list, local=kept.local, domain=kept.domain):
                added.append(address)
            continue
        if found.kind is addresses.ObjectKind.LIST:
            if above is None:
                above = _depth(deed.list, lambda one: [outer for (outer,) in tx.all("members.outer", list=one)])
            below = _depth(ListId(found.id), lambda one: [inner for (inner,) in tx.all("lists.inner", list=one)])
            if above + 1 + below >= NESTING:
                raise LimitReached(f"lists may be nested {NESTING} deep")
        if tx.run("members.add_member", list=deed.list, member=found.id):
            standings = True
            added.append(address)
        # What was kept of it while it was nobody's would be the same member a second time.
        folded = address.folded()
        for kept in {address, folded}:
            tx.run("members.remove_external", list=deed.list, local=kept.local, domain=kept.domain)
    if added and tx.all("members.how_many", list=deed.list)[0][0] > MOST_MEMBERS:
        raise LimitReached(f"{MOST_MEMBERS} members of a list")
    _touch(tx, deed.list, changed=bool(added), standings=standings)
    return added


def _remove_members(tx: Tx, deed: RemoveMembers) -> Sequence[Address]:
    _there(tx, deed.list)
    removed = []
    standings = False
    for address in deed.members:
        found = addresses.resolve(tx, address)
        count = 0
        if found is not None and not found.tag_cut:
            count = tx.run("members.remove_member", list=deed.list, member=found.id)
            standings = standings or count > 0
        folded = address.folded()
        for kept in {address, folded}:
            count += tx.run("members.remove_external", list=deed.list, local=kept.local, domain=kept.domain)
        if count:
            removed.append(address)
    _touch(tx, deed.list, changed=bool(removed), standings=standings)
    return removed


def _touch(tx: Tx, list_id: ListId, *, changed: bool, standings: bool) -> None:
    """Who only gets the mail holds nothing by it: then nothing rests on it but what is sent to the list (`standings` False)."""
    if changed:
        tx.touch(*((DIRECTORY,) if standings else ()), list_id)


DEEDS = ((AddMembers, _add_members), (RemoveMembers, _remove_members))
