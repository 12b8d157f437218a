"""Lists (which are groups too), their members, owners and aliases, for administrators."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.directory import names
from gateway.directory.accounts import MembershipView, free, memberships
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.people import wanted_filter
from gateway.directory.records import Records
from gateway.message.canonical import read_address
from policy.filters import spell
from policy.grantees import Grantee, GranteeKind
from policy.identity import AccountId, Address, BadAddress, ListId
from policy.roles import Operation
from store import addresses, dynamic, grants, lists
from store.deeds import Several
from store.errors import Conflict, LimitReached, NotFound
from store.model import ListRow, Member
from store.port import Deed, Snapshot, Store

PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class ListView:
    """A list with names for ids. `filter`: whom a dynamic list means, "" for lists whose members are put in."""

    row: ListRow
    aliases: Sequence[Address]
    owners: Sequence[str]
    members: Sequence[Member]
    filter: str = ""


@dataclass(frozen=True, slots=True)
class ListChanges:
    """None leaves as it is. `owners`: addresses of accounts, all of them; `owners_were`: the ids of those it was made from. `attributes`:
    an empty text takes one away. `filter`: of a dynamic list."""

    display_name: str | None = None
    note: str | None = None
    owners: Sequence[str] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    owners_were: Sequence[AccountId] | None = None
    filter: str | None = None


class MailingLists:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def create(self, name: str, changes: ListChanges) -> ListId:
        """An empty list."""
        if changes.filter is not None:
            raise Fault(Code.INVALID_REQUEST, "createDynamicDistributionList makes a list with a filter")
        address = names.new_address(name)
        async with self._store.snapshot() as snapshot:
            owners = await owners_of(snapshot, changes.owners or ())
            matter = Matter(Operation.CREATE_LIST, made=(address,), grantees=grantees_of(owners))
            await self._records.allow(snapshot, matter, str(address))
            await free(snapshot, address, Code.DISTRIBUTION_LIST_EXISTS)
        deed = lists.CreateList(address, changes.display_name or "", changes.note or "", owners, changes.attributes)
        words = {
            Conflict: Fault(Code.DISTRIBUTION_LIST_EXISTS, name),
            NotFound: Fault(Code.NO_SUCH_DOMAIN, names.shown_domain(address.domain)),
        }
        return await self._records.do(deed, "list created", str(address), matter=matter, words=words)

    async def get(self, name: str) -> ListView:
        """By address, alias or id."""
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.VIEW_LIST, lists=(row.id,)), str(row.address))
            return await _view(snapshot, row)

    async def all(self, domain: str | None = None) -> AsyncIterator[ListView]:
        """Of one domain or of all that may be seen, in the order in which they were made; a page per snapshot."""
        within = None
        async with self._store.snapshot() as snapshot:
            if domain is None:
                await self._records.browse(snapshot, Operation.VIEW_LIST)
            else:
                within = (await names.domain(snapshot, domain)).id
                await self._records.allow(snapshot, Matter(Operation.VIEW_LIST, domains=(within,)), domain)
        after: ListId | None = None
        while True:
            async with self._store.snapshot() as snapshot:
                rows = await snapshot.work(lists.of_domain, within, after, PAGE)
                page = [
                    await _view(snapshot, row)
                    for row in rows
                    if await self._records.sees(snapshot, Matter(Operation.VIEW_LIST, domains=(row.domain,)))
                ]
            for one in page:
                yield one
            if len(rows) < PAGE:
                return
            after = rows[-1].id

    async def modify(self, name: str, changes: ListChanges) -> None:
        """All of it or nothing."""
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            owners = None if changes.owners is None else await owners_of(snapshot, changes.owners)
        deeds: list[Deed[None]] = []
        if changes.filter is not None:
            deeds.append(dynamic.SetFilter(row.id, spell(wanted_filter(changes.filter))))
        deeds.append(lists.ModifyList(row.id, changes.display_name, changes.note, owners, changes.attributes, changes.owners_were))
        said = [f"{attribute} {text or '(removed)'}" for attribute, text in changes.attributes.items()]
        said += ["displayName"] if changes.display_name is not None else []
        said += ["note"] if changes.note is not None else []
        said += [f"owners {', '.join(changes.owners) or '(none)'}"] if changes.owners is not None else []
        said += [f"filter {changes.filter}"] if changes.filter is not None else []
        matter = Matter(Operation.MODIFY_LIST, lists=(row.id,), grantees=grantees_of(owners or ()))
        words = {NotFound: Fault(Code.NO_SUCH_DISTRIBUTION_LIST, name)}
        await self._records.do(
            Several(tuple(deeds)), "list changed", str(row.address), matter=matter, principal=row.id, detail=", ".join(said), words=words
        )

    async def rename(self, name: str, to: str) -> None:
        """The old address is gone; members and grants stay."""
        address = names.new_address(to)
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            matter = Matter(Operation.RENAME_LIST, lists=(row.id,), made=(address,))
            await self._records.allow(snapshot, matter, str(row.address))
            await free(snapshot, address, Code.DISTRIBUTION_LIST_EXISTS, besides=row.id)
        await self._records.do(
            lists.RenameList(row.id, address),
            "list renamed",
            str(row.address),
            matter=matter,
            principal=row.id,
            detail=f"to {address}",
            words={Conflict: Fault(Code.DISTRIBUTION_LIST_EXISTS, to)},
        )

    async def delete(self, name: str) -> None:
        """With every grant to it or on it; not while something is denied to it, which its members would get by that."""
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            matter = Matter(Operation.DELETE_LIST, lists=(row.id,))
            await self._records.allow(snapshot, matter, str(row.address))
            denied = await self._denied(snapshot, row)
        words = {
            Conflict: Fault(Code.INVALID_REQUEST, f"{names.shown(row.address)} is denied {denied}: take that away first (revokeRight)")
        }
        deed = lists.DeleteList(row.id)
        if not await self._records.do(deed, "list deleted", str(row.address), matter=matter, principal=row.id, words=words):
            raise Fault(Code.NO_SUCH_DISTRIBUTION_LIST, name)

    async def _denied(self, snapshot: Snapshot, row: ListRow) -> str:
        """In words; what is beyond the administrator's domain goes without a name."""
        found = []
        for one in await snapshot.ask(grants.denials, Grantee(GranteeKind.GROUP, row.id)):
            on = await snapshot.ask(addresses.primary, one.target)
            known = on is not None and await self._records.authority.knows(snapshot, str(on.address))
            found.append(f"-{one.right} on {names.shown(on.address) if on is not None and known else 'somebody beyond the domain'}")
        return ", ".join(found)

    async def add_members(self, name: str, members: Sequence[str]) -> None:
        """Accounts, lists and external addresses; one that is a member already stays one."""
        wanted = [_member(text) for text in members]
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            matter = Matter(Operation.ADD_MEMBERS, lists=(row.id,), members=tuple(wanted))
            await self._records.allow(snapshot, matter, str(row.address))
            for text, address in zip(members, wanted, strict=True):
                found = await snapshot.ask(addresses.resolve, address)
                if found is not None and found.id == row.id and not found.tag_cut:
                    raise Fault(Code.INVALID_REQUEST, f"cannot add self as a member: {text}")
        deed = lists.AddMembers(row.id, wanted)
        words = {
            NotFound: Fault(Code.NO_SUCH_DISTRIBUTION_LIST, name),
            LimitReached: Fault(Code.INVALID_REQUEST, f"lists may be nested {lists.NESTING} deep, and have {lists.MOST_MEMBERS} members"),
        }
        said = ", ".join(map(str, wanted))
        await self._records.do(deed, "members added", str(row.address), matter=matter, principal=row.id, detail=said, words=words)

    async def remove_members(self, name: str, members: Sequence[str]) -> None:
        """Those that were none are named in the fault, after the others are gone."""
        wanted = [_member(text) for text in members]
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
        deed = lists.RemoveMembers(row.id, wanted)
        said = ", ".join(map(str, wanted))
        words = {NotFound: Fault(Code.NO_SUCH_DISTRIBUTION_LIST, name)}
        removed = await self._records.do(
            deed,
            "members removed",
            str(row.address),
            matter=Matter(Operation.REMOVE_MEMBERS, lists=(row.id,)),
            principal=row.id,
            detail=said,
            words=words,
        )
        others = [names.shown(one) for one in wanted if one not in removed]
        if others:
            raise Fault(Code.NO_SUCH_MEMBER, ", ".join(others))

    async def add_alias(self, name: str, alias: str) -> None:
        """One more address of the list."""
        address = names.new_address(alias)
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            matter = Matter(Operation.ADD_LIST_ALIAS, lists=(row.id,), made=(address,))
            await self._records.allow(snapshot, matter, str(row.address))
            await free(snapshot, address, Code.DISTRIBUTION_LIST_EXISTS)
        words = {Conflict: Fault(Code.DISTRIBUTION_LIST_EXISTS, alias)}
        await self._records.do(
            addresses.AddAlias(row.id, address),
            "alias added",
            str(row.address),
            matter=matter,
            principal=row.id,
            detail=str(address),
            words=words,
        )

    async def remove_alias(self, name: str, alias: str) -> None:
        """Only one of this list's."""
        address = names.new_address(alias)
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
        words = {NotFound: Fault(Code.NO_SUCH_ALIAS, alias), Conflict: Fault(Code.NO_SUCH_ALIAS, f"{alias} is the primary address")}
        await self._records.do(
            addresses.RemoveAlias(row.id, address),
            "alias removed",
            str(row.address),
            matter=Matter(Operation.REMOVE_LIST_ALIAS, lists=(row.id,), made=(address,)),
            principal=row.id,
            detail=str(address),
            words=words,
        )

    async def memberships(self, name: str) -> Sequence[MembershipView]:
        """The lists it is in, directly or through others."""
        async with self._store.snapshot() as snapshot:
            row = await names.mailing_list(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.VIEW_LIST, lists=(row.id,)), str(row.address))
            return await memberships(snapshot, row.id)


def _member(text: str) -> Address:
    try:
        return read_address(text)
    except BadAddress as error:
        raise Fault(Code.INVALID_REQUEST, f"must be a valid email address: {text} ({error})") from None


def grantees_of(owners: Sequence[AccountId]) -> tuple[Grantee, ...]:
    """Owners as those who are given something."""
    return tuple(Grantee(GranteeKind.ACCOUNT, owner) for owner in owners)


async def owners_of(snapshot: Snapshot, wanted: Sequence[str]) -> tuple[AccountId, ...]:
    """The accounts of these names, each once. Raises Fault."""
    return tuple(dict.fromkeys([(await names.account(snapshot, one)).id for one in wanted]))


async def _view(snapshot: Snapshot, row: ListRow) -> ListView:
    owners = [await snapshot.ask(addresses.primary, owner) for owner in row.owners]
    text = await snapshot.ask(dynamic.filter_of, row.id)
    return ListView(
        row,
        await snapshot.ask(addresses.aliases, row.id),
        [names.shown(owner.address) for owner in owners if owner is not None],
        await snapshot.work(lists.members, row.id),
        text or "",
    )
