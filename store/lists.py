"""Lists, which are groups too: who gets what is sent to them, and through which of them an account is in which."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from policy.grants import Grantee, GranteeKind, Standing
from policy.identity import AccountId, Actor, Address, CosId, DomainId, ListId
from policy.lists import Joining, list_rules
from store import accounts, addresses, app_passwords, grants
from store.errors import Conflict, NotFound, Stale
from store.members import MOST_MEMBERS as MOST_MEMBERS
from store.members import NESTING as NESTING
from store.members import AddMembers as AddMembers
from store.members import RemoveMembers as RemoveMembers
from store.model import AccountRow, ListRow, Member
from store.port import DIRECTORY, Deed, Tx


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
    """None leaves as it is; `attributes` are merged, an empty text takes one away. `owners_were`: those that `owners` were made from.
    Raises NotFound; Stale when they are others by now."""

    list: ListId
    display_name: str | None = None
    note: str | None = None
    owners: Sequence[AccountId] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    owners_were: Sequence[AccountId] | None = None


@dataclass(frozen=True, slots=True)
class RenameList(Deed[None]):
    """Raises NotFound for list or domain, Conflict when the address is taken."""

    list: ListId
    address: Address


@dataclass(frozen=True, slots=True)
class DeleteList(Deed[bool]):
    """With its memberships and every grant to it or on it. False: there was none (any more). Raises Conflict where something is denied to
    it that is not over: that is taken away first, by who may."""

    list: ListId


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
    asked about to the one whose member this is. `row` is the account's; `member`: the number of an external address in its list.

    `lost`: the address is in a domain of ours and nobody's.
    """

    address: Address
    account: AccountId | None
    through: tuple[ListId, ...]
    row: AccountRow | None = field(default=None, compare=False, repr=False)
    member: int | None = field(default=None, compare=False)
    lost: bool = field(default=False, compare=False)


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
    paths = _paths_up(tx, account)
    return Standing(account, DomainId(domain), CosId(cos), MappingProxyType(paths) if paths else _NO_GROUPS, scope)


def memberships(tx: Tx, holder: int) -> Sequence[Membership]:
    """Every list that an account or list is in, directly or through others; by address. A list in a cycle is in itself."""
    found = []
    for group, path in _paths_up(tx, holder).items():
        at = addresses.primary(tx, group)
        if at is not None:
            found.append(Membership(group, at.address, path))
    return sorted(found, key=lambda membership: membership.address)


def holding(tx: Tx, address: Address, some: Collection[ListId]) -> bool:
    """Is this address elsewhere a direct member of one of these lists?"""
    folded = address.folded()
    return any(tx.one("members.kept", list=one, local=folded.local, domain=folded.domain) is not None for one in some)


def nested(tx: Tx, list_id: ListId, leave_out: Collection[ListId] = ()) -> Mapping[ListId, tuple[ListId, ...]]:
    """The list and every list that gets what is sent to it, with the path that leads there from it; what is only reached through
    `leave_out` is not there. A kept address that leads to a list of ours now is followed like a member.

    Ask by `work`: a list may have any number of members.
    """
    return _nested(tx, list_id, leave_out, {})


def _nested(tx: Tx, list_id: ListId, leave_out: Collection[ListId], ours: dict[str, bool]) -> Mapping[ListId, tuple[ListId, ...]]:
    paths: dict[ListId, tuple[ListId, ...]] = {list_id: (list_id,)} if list_id not in leave_out else {}
    waiting = [*paths]
    while waiting:
        following: dict[ListId, None] = {}
        for one in waiting:
            for inner in (*(found for (found,) in tx.all("lists.inner", list=one)), *_lists_kept(tx, one, ours)):
                if inner not in paths and inner not in leave_out:
                    paths[inner] = _longer(paths[one], inner)
                    following[inner] = None
        waiting = [*following]
    return paths


def expand(tx: Tx, list_id: ListId, leave_out: Collection[ListId] = ()) -> Sequence[ListRecipient]:
    """Everybody who gets what is sent to the list, each once, the nearest way; `leave_out`: lists that refuse the poster.

    A kept address of ours is what it leads to now; one of a local domain that leads nowhere is left as it is, and fails there.
    Members elsewhere to whom nothing is sent any more are not there. Ask by `work`: a list may have any number of members; of each
    list they are read by two statements, and no member is asked about on its own but those kept under an address of ours.
    """
    found: dict[Address, ListRecipient] = {}
    seen: set[int] = set()
    ours: dict[str, bool] = {}
    for one, through in _nested(tx, list_id, leave_out, ours).items():
        for row in accounts.of_list(tx, one):
            if row.id not in seen:
                seen.add(row.id)
                found[row.address] = ListRecipient(row.address, row.id, through, row)
        for member, local, domain in tx.all("lists.reached", list=one):
            address = Address(local, domain)
            if not _is_ours(tx, domain, ours):
                found.setdefault(address, ListRecipient(address, None, through, member=member))
                continue
            lead = addresses.resolve(tx, address)
            if lead is None:
                found.setdefault(address, ListRecipient(address, None, through, member=member, lost=True))
            elif lead.kind is addresses.ObjectKind.ACCOUNT and lead.id not in seen:
                seen.add(lead.id)
                found[address] = ListRecipient(address, AccountId(lead.id), through, accounts.by_id(tx, AccountId(lead.id)))
    return [*found.values()]


def _lists_kept(tx: Tx, list_id: ListId, ours: dict[str, bool]) -> Iterator[ListId]:
    """Lists to which an address leads that was kept as it was written: one with a tag, or one that came later."""
    for local, domain in tx.all("lists.externals", list=list_id):
        if _is_ours(tx, domain, ours):
            lead = addresses.resolve(tx, Address(local, domain))
            if lead is not None and lead.kind is addresses.ObjectKind.LIST:
                yield ListId(lead.id)


def _is_ours(tx: Tx, domain: str, known: dict[str, bool]) -> bool:
    """Asked once for each domain: a list has ten thousand members in ten of them."""
    if domain not in known:
        known[domain] = tx.one("addresses.serving_domain", name=domain) is not None
    return known[domain]


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


def create(tx: Tx, deed: CreateList) -> ListId:
    """Does the deed, for those who make more than a list."""
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


def check_dynamic(attributes: Mapping[str, str]) -> None:
    """Raises Conflict for what a dynamic list cannot have: nobody joins or leaves it."""
    rules = list_rules(attributes)
    if (rules.subscription, rules.unsubscription) != (Joining.REJECT, Joining.REJECT):
        raise Conflict("nobody joins or leaves a dynamic list: its members are those whom its filter means")


def _modify(tx: Tx, deed: ModifyList) -> None:
    found = tx.one("lists.stored", id=deed.list)
    if found is None:
        raise NotFound(f"list {deed.list}")
    display_name, note, attributes = found
    if deed.owners_were is not None and {owner for (owner,) in tx.all("lists.owners", list=deed.list)} != {*deed.owners_were}:
        raise Stale(f"the owners of list {deed.list} were changed in between")
    if tx.one("dynamic.filter", list=deed.list) is not None:
        check_dynamic(deed.attributes)
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
    denied = len(grants.denials(tx, Grantee(GranteeKind.GROUP, deed.list)))
    if denied:
        # With the list the denial would go, and everybody in it get by domain, class or all what it kept from them.
        raise Conflict(f"the list is denied {denied} right{'' if denied == 1 else 's'}")
    grants.forget_grantee(tx, (GranteeKind.GROUP,), deed.list)
    tx.run("lists.delete_object", id=deed.list)
    tx.touch(DIRECTORY, deed.list)
    return True


_NO_GROUPS: Final[Mapping[ListId, tuple[ListId, ...]]] = MappingProxyType({})
DEEDS = ((CreateList, create), (ModifyList, _modify), (RenameList, _rename), (DeleteList, _delete))
