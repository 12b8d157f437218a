"""Lists, which are groups too: their members, and through which of them an account is in which."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from policy.grants import GranteeKind, Standing
from policy.identity import AccountId, Actor, Address, CosId, DomainId, ListId
from store import accounts, addresses, app_passwords, grants
from store.errors import LimitReached, NotFound
from store.model import ListRow, Member
from store.port import DIRECTORY, Deed, Tx

NESTING: Final = 32
"""Lists within lists; real directories stay below five, and every walk and every trace is as long as this at most."""


@dataclass(frozen=True, slots=True)
class CreateList(Deed[ListId]):
    """Raises Conflict when the address is taken, NotFound for its domain or an owner."""

    address: Address
    display_name: str = ""
    note: str = ""
    owners: Sequence[AccountId] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModifyList(Deed[None]):
    """None leaves as it is; `attributes` are merged, an empty text takes one away. Raises NotFound."""

    list: ListId
    display_name: str | None = None
    note: str | None = None
    owners: Sequence[AccountId] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RenameList(Deed[None]):
    """Raises NotFound for list or domain, Conflict when the address is taken."""

    list: ListId
    address: Address


@dataclass(frozen=True, slots=True)
class DeleteList(Deed[bool]):
    """With its memberships and every grant to it or on it. False: there was none (any more)."""

    list: ListId


@dataclass(frozen=True, slots=True)
class AddMembers(Deed[Sequence[Address]]):
    """Returns those that were not members yet.

    An address of an account or list of ours makes that object the member, whichever of its addresses it is; one that only
    leads there without its tag, or is nobody's of ours, is kept as it is written: it gets the mail, but no rights.
    Raises NotFound for the list, LimitReached when lists would be nested deeper than NESTING.
    """

    list: ListId
    members: Sequence[Address]


@dataclass(frozen=True, slots=True)
class RemoveMembers(Deed[Sequence[Address]]):
    """Returns those that were members. Raises NotFound for the list."""

    list: ListId
    members: Sequence[Address]


@dataclass(frozen=True, slots=True)
class Membership:
    """A list that an object is in; `path` as in policy.grants.Standing, the list itself being its last."""

    list: ListId
    address: Address
    path: tuple[ListId, ...]

    @property
    def is_direct(self) -> bool:
        """Not through another list."""
        return len(self.path) == 1


@dataclass(frozen=True, slots=True)
class ListRecipient:
    """One who gets what is sent to a list. `account` None: an external address. `through`: the lists from the one that was
    asked about to the one whose member this is."""

    address: Address
    account: AccountId | None
    through: tuple[ListId, ...]


def by_id(tx: Tx, list_id: ListId) -> ListRow | None:
    """None where there is none (any more)."""
    return _row(tx, tx.one("lists.by_id", id=list_id))


def by_address(tx: Tx, address: Address) -> ListRow | None:
    """The list that has this address, as `addresses.resolve` finds it; None when there is none, or it is an account."""
    found = addresses.resolve(tx, address)
    return None if found is None or found.kind is not addresses.ObjectKind.LIST else by_id(tx, ListId(found.id))


def of_domain(tx: Tx, domain: DomainId | None = None, after: ListId | None = None, limit: int = 200) -> Sequence[ListRow]:
    """Lists by ascending id, of one domain or of all, those behind `after`: pages of `limit`."""
    found = tx.all("lists.of_domain", domain=domain or 0, after=after or 0, limit=limit)
    return [row for one in found if (row := _row(tx, one)) is not None]


def members(tx: Tx, list_id: ListId) -> Sequence[Member]:
    """The direct members by address, objects of ours first."""
    own = [Member(number, Address(local, domain)) for number, _, local, domain in tx.all("lists.members", list=list_id)]
    return [*own, *(Member(None, Address(local, domain)) for local, domain in tx.all("lists.externals", list=list_id))]


def standing(tx: Tx, account: AccountId, actor: Actor | None = None) -> Standing | None:
    """Everything by which a grant can match this account; None when there is no such account.

    `actor`: who acts as the account; None too when the app password is revoked by which it does.
    """
    scope = None if actor is None else actor.scope
    if actor is not None and scope is not None and scope.id and not app_passwords.is_there(tx, actor.person, scope.id):
        return None
    found = tx.one("lists.standing", account=account)
    if found is None:
        return None
    domain, cos = found
    return Standing(account, DomainId(domain), CosId(cos), MappingProxyType(_paths_up(tx, account)), scope)


def memberships(tx: Tx, holder: int) -> Sequence[Membership]:
    """Every list that an account or list is in, directly or through others; by address. A list in a cycle is in itself."""
    found = []
    for group, path in _paths_up(tx, holder).items():
        at = addresses.primary(tx, group)
        if at is not None:
            found.append(Membership(group, at.address, path))
    return sorted(found, key=lambda membership: membership.address)


def nested(tx: Tx, list_id: ListId, leave_out: Collection[ListId] = ()) -> Mapping[ListId, tuple[ListId, ...]]:
    """The list and every list that gets what is sent to it, with the path that leads there from it; what is only reached through
    `leave_out` is not there. A kept address that leads to a list of ours now is followed like a member.

    Ask by `work`: a list may have any number of members.
    """
    paths: dict[ListId, tuple[ListId, ...]] = {list_id: (list_id,)} if list_id not in leave_out else {}
    waiting = [*paths]
    while waiting:
        following: dict[ListId, None] = {}
        for one in waiting:
            for inner in (*(found for (found,) in tx.all("lists.inner", list=one)), *_lists_kept(tx, one)):
                if inner not in paths and inner not in leave_out:
                    paths[inner] = _longer(paths[one], inner)
                    following[inner] = None
        waiting = [*following]
    return paths


def expand(tx: Tx, list_id: ListId, leave_out: Collection[ListId] = ()) -> Sequence[ListRecipient]:
    """Everybody who gets what is sent to the list, each once, the nearest way; `leave_out`: lists that refuse the poster.

    A kept address of ours is what it leads to now; one of a local domain that leads nowhere is left as it is, and fails there.
    Ask by `work`: a list may have any number of members.
    """
    found: dict[Address, ListRecipient] = {}
    seen: set[int] = set()
    for one, through in nested(tx, list_id, leave_out).items():
        for number, kind, local, domain in tx.all("lists.members", list=one):
            if kind == addresses.ObjectKind.ACCOUNT and number not in seen:
                seen.add(number)
                address = Address(local, domain)
                found[address] = ListRecipient(address, AccountId(number), through)
        for local, domain in tx.all("lists.externals", list=one):
            address = Address(local, domain)
            lead = addresses.resolve(tx, address)
            if lead is None:
                found.setdefault(address, ListRecipient(address, None, through))
            elif lead.kind is addresses.ObjectKind.ACCOUNT and lead.id not in seen:
                seen.add(lead.id)
                found[address] = ListRecipient(address, AccountId(lead.id), through)
    return [*found.values()]


def _lists_kept(tx: Tx, list_id: ListId) -> Iterator[ListId]:
    """Lists to which an address leads that was kept as it was written: one with a tag, or one that came later."""
    for local, domain in tx.all("lists.externals", list=list_id):
        lead = addresses.resolve(tx, Address(local, domain))
        if lead is not None and lead.kind is addresses.ObjectKind.LIST:
            yield ListId(lead.id)


def _longer(path: tuple[ListId, ...], step: ListId) -> tuple[ListId, ...]:
    # Only a chain that lost a shortcut can be longer than NESTING: its rights hold, its trace shows the last part.
    return (*path, step)[-NESTING:]


def _paths_up(tx: Tx, holder: int) -> dict[ListId, tuple[ListId, ...]]:
    """Breadth first, so that each path is a shortest one and cycles end by themselves."""
    edges: dict[int, list[ListId]] = {}
    for member, outer in tx.all("lists.edges_up", object=holder):
        edges.setdefault(member, []).append(ListId(outer))
    paths: dict[ListId, tuple[ListId, ...]] = {}
    waiting: list[int] = [holder]
    while waiting:
        following: list[int] = []
        for one in waiting:
            start = paths.get(ListId(one), ()) if one != holder else ()
            for group in edges.get(one, ()):
                if group not in paths:
                    paths[group] = _longer(start, group)
                    following.append(group)
        waiting = following
    return paths


@lru_cache(maxsize=1024)
def _unpack(stored: str) -> Mapping[str, str]:
    return MappingProxyType(json.loads(stored))


def _pack(attributes: Mapping[str, str]) -> str:
    return json.dumps({name: text for name, text in sorted(attributes.items()) if text != ""}, ensure_ascii=False)


def _row(tx: Tx, found: Any) -> ListRow | None:
    if found is None:
        return None
    number, local, domain_name, display_name, domain, note, attributes, created = found
    owners = tuple(AccountId(owner) for (owner,) in tx.all("lists.owners", list=number))
    return ListRow(ListId(number), Address(local, domain_name), display_name, DomainId(domain), note, owners, _unpack(attributes), created)


def _there(tx: Tx, list_id: ListId) -> None:
    if tx.one("lists.exists", id=list_id) is None:
        raise NotFound(f"list {list_id}")


def _set_owners(tx: Tx, list_id: ListId, owners: Sequence[AccountId]) -> None:
    tx.run("lists.drop_owners", list=list_id)
    for owner in dict.fromkeys(owners):
        if tx.one("accounts.exists", id=owner) is None:
            raise NotFound(f"account {owner}")
        tx.run("lists.add_owner", list=list_id, account=owner)


def _create(tx: Tx, deed: CreateList) -> ListId:
    domain = addresses.place(tx, deed.address)
    created = ListId(tx.insert("lists.insert_object", domain=domain))
    addresses.claim(tx, created, deed.address, is_primary=True)
    tx.run(
        "lists.insert",
        id=created,
        display_name=deed.display_name,
        note=deed.note,
        attributes=_pack(deed.attributes),
        now=tx.now,
    )
    _set_owners(tx, created, deed.owners)
    tx.touch(DIRECTORY, created)
    return created


def _modify(tx: Tx, deed: ModifyList) -> None:
    found = tx.one("lists.stored", id=deed.list)
    if found is None:
        raise NotFound(f"list {deed.list}")
    display_name, note, attributes = found
    tx.run(
        "lists.update",
        id=deed.list,
        display_name=display_name if deed.display_name is None else deed.display_name,
        note=note if deed.note is None else deed.note,
        attributes=_pack({**_unpack(attributes), **deed.attributes}),
    )
    if deed.owners is not None:
        _set_owners(tx, deed.list, deed.owners)
    tx.touch(deed.list)


def _rename(tx: Tx, deed: RenameList) -> None:
    _there(tx, deed.list)
    accounts.rename_object(tx, deed.list, deed.address)


def _delete(tx: Tx, deed: DeleteList) -> bool:
    if tx.one("lists.exists", id=deed.list) is None:
        return False
    grants.forget_grantee(tx, (GranteeKind.GROUP,), deed.list)
    tx.run("lists.delete_object", id=deed.list)
    tx.touch(DIRECTORY, deed.list)
    return True


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


def _add_members(tx: Tx, deed: AddMembers) -> Sequence[Address]:
    _there(tx, deed.list)
    above: int | None = None
    added = []
    standings = False
    for address in deed.members:
        found = addresses.resolve(tx, address)
        if found is None or found.tag_cut:
            kept = address if found is None else address.folded()
            if tx.run("lists.add_external", list=deed.list, local=kept.local, domain=kept.domain):
                added.append(address)
            continue
        if found.kind is addresses.ObjectKind.LIST:
            if above is None:
                above = _depth(deed.list, lambda one: [outer for (outer,) in tx.all("lists.outer", list=one)])
            below = _depth(ListId(found.id), lambda one: [inner for (inner,) in tx.all("lists.inner", list=one)])
            if above + 1 + below >= NESTING:
                raise LimitReached(f"lists may be nested {NESTING} deep")
        if tx.run("lists.add_member", list=deed.list, member=found.id):
            standings = True
            added.append(address)
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
            count = tx.run("lists.remove_member", list=deed.list, member=found.id)
            standings = standings or count > 0
        folded = address.folded()
        for kept in {address, folded}:
            count += tx.run("lists.remove_external", list=deed.list, local=kept.local, domain=kept.domain)
        if count:
            removed.append(address)
    _touch(tx, deed.list, changed=bool(removed), standings=standings)
    return removed


def _touch(tx: Tx, list_id: ListId, *, changed: bool, standings: bool) -> None:
    """Who only gets the mail holds nothing by it: then nothing rests on it but what is sent to the list (`standings` False)."""
    if changed:
        tx.touch(*((DIRECTORY,) if standings else ()), list_id)


DEEDS = (
    (CreateList, _create),
    (ModifyList, _modify),
    (RenameList, _rename),
    (DeleteList, _delete),
    (AddMembers, _add_members),
    (RemoveMembers, _remove_members),
)
