"""Accounts and their aliases, for administrators."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.directory import names, values
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy import people
from policy.identity import AccountId, Address, CosId, ListId
from policy.login import lockout_end
from policy.roles import AdminStanding, Operation
from policy.status import AccountStatus, DomainStatus
from store import accounts, addresses, cos, domains, lists, login, roles
from store import people as store_people
from store.deeds import Several
from store.errors import Conflict, LimitReached, NotFound
from store.model import AccountRow, Verifiers
from store.port import Deed, Snapshot, Store

MOST_PASSWORD: Final = 1024
"""Octets; longer ones are no passwords, and hashing them is work for nothing."""

PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class AccountView:
    """An account with names for ids. `lockout_until`: microseconds, None: no lockout. `cos_values`: what its class of service sets.
    `administration`: what it is there; `personal`: by the names of policy.people.PERSONAL."""

    row: AccountRow
    aliases: Sequence[Address]
    cos: str
    cos_values: Mapping[str, str]
    domain_status: DomainStatus
    lockout_until: int | None
    now: int
    administration: AdminStanding | None = None
    personal: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountChanges:
    """None leaves as it is. `cos` "": back to what the domain says. `values` by field; an empty text restores what is inherited.
    `personal` by name; an empty text takes a value away. `were`: own values by field, "" for none, from which `values` were made."""

    display_name: str | None = None
    note: str | None = None
    status: AccountStatus | None = None
    cos: str | None = None
    must_change_password: bool | None = None
    is_global_administrator: bool | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    is_delegated_administrator: bool | None = None
    personal: Mapping[str, str] = field(default_factory=dict)
    were: Mapping[str, str] = field(default_factory=dict)

    @property
    def attributes(self) -> frozenset[str]:
        """The plain names of what is set."""
        named = {
            "displayName": self.display_name,
            "note": self.note,
            "status": self.status,
            "cos": self.cos,
            "mustChangePassword": self.must_change_password,
            "isGlobalAdministrator": self.is_global_administrator,
            "isDelegatedAdminAccount": self.is_delegated_administrator,
        }
        return (
            frozenset(name for name, value in named.items() if value is not None)
            | {values.BY_FIELD[one].name for one in self.values}
            | {*self.personal}
        )

    @property
    def ends_administration(self) -> bool:
        """Would a global administrator be one no longer, or not come in any more?"""
        return self.is_global_administrator is False or self.status not in (None, AccountStatus.ACTIVE)


@dataclass(frozen=True, slots=True)
class MembershipView:
    """A list that something is in; `via`: the lists that lead to it, from the member's side, none for a direct member."""

    id: ListId
    name: str
    via: Sequence[str]


class Accounts:
    """Every method raises Fault, and nothing else that is expected. `hashed`: a password's verifiers, made in a thread. `keep_deleted`:
    microseconds for which a deleted account can be restored; 0: not at all."""

    def __init__(self, store: Store, records: Records, hashed: Callable[[str], Awaitable[Verifiers]], *, keep_deleted: int = 0) -> None:
        self._store = store
        self._records = records
        self._hashed = hashed
        self._keep_deleted = keep_deleted

    async def verifiers(self, password: str) -> Verifiers:
        """What is stored in place of the password; nothing for the empty one, with which nobody logs in."""
        if not password:
            return Verifiers()
        if "\0" in password or len(password.encode("utf-8", "surrogateescape")) > MOST_PASSWORD:
            raise Fault(Code.INVALID_REQUEST, f"a password has at most {MOST_PASSWORD} octets, and none of them is NUL")
        try:
            password.encode()
        except UnicodeEncodeError:
            raise Fault(Code.INVALID_REQUEST, "the password is not UTF-8") from None
        return await self._hashed(password)

    async def create(self, name: str, password: Verifiers, changes: AccountChanges) -> AccountId:
        """With its standard folders. `password` as `verifiers` makes it."""
        address = names.new_address(name)
        matter = Matter(Operation.CREATE_ACCOUNT, made=(address,), attributes=changes.attributes)
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, matter, str(address))
            await free(snapshot, address, Code.ACCOUNT_EXISTS)
            service_class = await _cos(snapshot, changes.cos)
            checked = await values.checked(snapshot, changes.values)
            domain = await snapshot.ask(domains.by_name, address.domain)
        values.require_room(checked, 0 if domain is None else domain.limits.max_quota)
        deed = accounts.CreateAccount(
            address,
            changes.display_name or "",
            password.argon2,
            changes.status or AccountStatus.ACTIVE,
            service_class,
            checked,
            bool(changes.must_change_password),
            bool(changes.is_global_administrator),
            changes.note or "",
            password.scram,
            personal_values(changes.personal),
        )
        words = {
            Conflict: Fault(Code.ACCOUNT_EXISTS, name),
            NotFound: Fault(Code.NO_SUCH_DOMAIN, names.shown_domain(address.domain)),
            LimitReached: Fault(Code.TOO_MANY_ACCOUNTS, names.shown_domain(address.domain)),
        }
        if changes.is_delegated_administrator:
            return await self._records.do(
                roles.CreateMarked(deed), "account created", str(address), matter=matter, detail="isDelegatedAdminAccount True", words=words
            )
        return await self._records.do(deed, "account created", str(address), matter=matter, words=words)

    async def get(self, name: str) -> AccountView:
        """By address, alias or id."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.VIEW_ACCOUNT, accounts=(row.id,)), str(row.address))
            return await _view(snapshot, row)

    async def all(self, domain: str | None = None) -> AsyncIterator[AccountView]:
        """Of one domain or of all that may be seen, in the order in which they were made; a page per snapshot."""
        within = None
        async with self._store.snapshot() as snapshot:
            if domain is None:
                await self._records.browse(snapshot, Operation.VIEW_ACCOUNT)
            else:
                within = (await names.domain(snapshot, domain)).id
                await self._records.allow(snapshot, Matter(Operation.VIEW_ACCOUNT, domains=(within,)), domain)
        after: AccountId | None = None
        while True:
            async with self._store.snapshot() as snapshot:
                rows = await snapshot.work(accounts.of_domain, within, after, PAGE)
                page = [
                    await _view(snapshot, row)
                    for row in rows
                    if await self._records.sees(snapshot, Matter(Operation.VIEW_ACCOUNT, domains=(row.domain,)))
                ]
            for one in page:
                yield one
            if len(rows) < PAGE:
                return
            after = rows[-1].id

    async def modify(self, name: str, changes: AccountChanges) -> None:
        """All of it or nothing. Status `active` clears failures and ends a lockout; any new status releases mail that was held."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            matter = Matter(
                Operation.MODIFY_ACCOUNT,
                accounts=(row.id,),
                attributes=changes.attributes,
                ends=row.id if changes.ends_administration else None,
            )
            await self._records.allow(snapshot, matter, str(row.address))
            service_class = await _cos(snapshot, changes.cos)
            checked = await values.checked(snapshot, changes.values, row.id)
            domain = await snapshot.ask(domains.by_id, row.domain)
        values.require_room(checked, 0 if domain is None else domain.limits.max_quota)
        deeds: list[Deed[Any]] = []
        said: list[str] = []
        personal = personal_values(changes.personal)
        if changes.display_name is not None or changes.note is not None or checked or personal:
            deeds.append(accounts.ModifyAccount(row.id, changes.display_name, changes.note, checked, personal, changes.were))
            said += [*personal]
            said += [f"{values.BY_FIELD[name].name} {text or '(inherited)'}" for name, text in checked.items()]
            said += ["displayName"] if changes.display_name is not None else []
            said += ["note"] if changes.note is not None else []
        if changes.status is not None:
            deeds.append(accounts.SetAccountStatus(row.id, changes.status))
            said.append(f"status {changes.status}")
        if changes.cos is not None:
            deeds.append(accounts.SetAccountCos(row.id, service_class))
            said.append(f"cos {changes.cos or '(of the domain)'}")
        if changes.must_change_password is not None:
            deeds.append(accounts.SetMustChangePassword(row.id, changes.must_change_password))
            said.append(f"mustChangePassword {changes.must_change_password}")
        if changes.is_global_administrator is not None:
            deeds.append(accounts.SetGlobalAdministrator(row.id, changes.is_global_administrator))
            said.append(f"isGlobalAdministrator {changes.is_global_administrator}")
        if changes.is_delegated_administrator is not None:
            deeds.append(roles.MarkAdministrator(row.id, changes.is_delegated_administrator))
            said.append(f"isDelegatedAdminAccount {changes.is_delegated_administrator}")
        if deeds:
            await self._records.do(
                Several(tuple(deeds)),
                "account changed",
                str(row.address),
                matter=matter,
                principal=row.id,
                detail=", ".join(said),
                words=_gone(name),
            )

    async def rename(self, name: str, to: str) -> None:
        """The old address is gone; grants, folders and memberships stay."""
        address = names.new_address(to)
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            matter = Matter(Operation.RENAME_ACCOUNT, accounts=(row.id,), made=(address,))
            await self._records.allow(snapshot, matter, str(row.address))
            await free(snapshot, address, Code.ACCOUNT_EXISTS, besides=row.id)
        words = {
            Conflict: Fault(Code.ACCOUNT_EXISTS, to),
            LimitReached: Fault(Code.TOO_MANY_ACCOUNTS, names.shown_domain(address.domain)),
        }
        await self._records.do(
            accounts.RenameAccount(row.id, address),
            "account renamed",
            str(row.address),
            matter=matter,
            principal=row.id,
            detail=f"to {address}",
            words=words,
        )

    async def delete(self, name: str) -> None:
        """With its mail, and with every grant to it or on it. It is gone for everybody, but can be restored for a while."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
        matter = Matter(Operation.DELETE_ACCOUNT, accounts=(row.id,), ends=row.id)
        if not await self._records.do(
            accounts.DeleteAccount(row.id, self._keep_deleted), "account deleted", str(row.address), matter=matter, principal=row.id
        ):
            raise Fault(Code.NO_SUCH_ACCOUNT, name)

    async def set_password(self, name: str, password: Verifiers, *, must_change: bool = False) -> None:
        """`password` as `verifiers` makes it, of one that PasswordRules let pass. Clears failures and lockout; open sessions end."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
        deed = accounts.SetVerifier(row.id, password.argon2, must_change, password.scram)
        matter = Matter(Operation.SET_PASSWORD, accounts=(row.id,))
        detail = "to be changed at the next login" if must_change else ""
        await self._records.do(
            deed, "password changed", str(row.address), matter=matter, principal=row.id, detail=detail, words=_gone(name)
        )

    async def unlock(self, name: str) -> int | None:
        """Ends a lockout and forgets the failures; returns until when it would have lasted, None: there was none."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            until = lockout_end(await snapshot.ask(login.history, row.id), row.values, snapshot.now)
        matter = Matter(Operation.UNLOCK, accounts=(row.id,))
        await self._records.do(login.ClearFailures(row.id), "account unlocked", str(row.address), matter=matter, principal=row.id)
        return until

    async def add_alias(self, name: str, alias: str) -> None:
        """One more address of the account."""
        address = names.new_address(alias)
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            matter = Matter(Operation.ADD_ACCOUNT_ALIAS, accounts=(row.id,), made=(address,))
            await self._records.allow(snapshot, matter, str(row.address))
            await free(snapshot, address, Code.ACCOUNT_EXISTS)
        words = {Conflict: Fault(Code.ACCOUNT_EXISTS, alias)}
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
        """Only one of this account's."""
        address = names.new_address(alias)
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
        words = {NotFound: Fault(Code.NO_SUCH_ALIAS, alias), Conflict: Fault(Code.NO_SUCH_ALIAS, f"{alias} is the primary address")}
        await self._records.do(
            addresses.RemoveAlias(row.id, address),
            "alias removed",
            str(row.address),
            matter=Matter(Operation.REMOVE_ACCOUNT_ALIAS, accounts=(row.id,), made=(address,)),
            principal=row.id,
            detail=str(address),
            words=words,
        )

    async def memberships(self, name: str) -> Sequence[MembershipView]:
        """The lists it is in, directly or through others."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.VIEW_ACCOUNT, accounts=(row.id,)), str(row.address))
            return await memberships(snapshot, row.id)


async def memberships(snapshot: Snapshot, member: int) -> Sequence[MembershipView]:
    """Of an account or list."""
    found = []
    for one in await snapshot.work(lists.memberships, member):
        between = [await snapshot.ask(addresses.primary, group) for group in one.path[:-1]]
        via = [names.shown(group.address) for group in between if group is not None]
        found.append(MembershipView(one.list, names.shown(one.address), via))
    return found


async def free(snapshot: Snapshot, address: Address, taken: Code, besides: int | None = None) -> None:
    """Raises Fault when the address is somebody's (`besides`: but that object's), or its domain none in which addresses are made."""
    row = await snapshot.ask(domains.by_name, address.domain)
    if row is None:
        raise Fault(Code.NO_SUCH_DOMAIN, names.shown_domain(address.domain))
    if row.alias_of is not None:
        target = await snapshot.ask(domains.by_id, row.alias_of)
        main = names.shown_domain(target.name) if target is not None else "another"
        raise Fault(
            Code.INVALID_REQUEST, f"{names.shown_domain(row.name)} is an alias of {main}: make the address there, it exists here too"
        )
    found = await snapshot.ask(addresses.resolve, address)
    if found is not None and not found.tag_cut and found.id != besides:
        raise Fault(taken, names.shown(address))


def personal_values(values: Mapping[str, str]) -> dict[str, str]:
    """As they are kept. Raises Fault that names the attribute."""
    try:
        return people.checked(values)
    except ValueError as error:
        raise Fault(Code.INVALID_ATTR_VALUE, error) from None


def _gone(name: str) -> dict[Any, Fault]:
    return {NotFound: Fault(Code.NO_SUCH_ACCOUNT, name)}


async def _cos(snapshot: Snapshot, name: str | None) -> CosId | None:
    return (await names.service_class(snapshot, name)).id if name else None


async def _view(snapshot: Snapshot, row: AccountRow) -> AccountView:
    service_class = await snapshot.ask(cos.by_id, row.cos)
    domain = await snapshot.ask(domains.by_id, row.domain)
    history = await snapshot.ask(login.history, row.id)
    return AccountView(
        row,
        await snapshot.ask(addresses.aliases, row.id),
        "" if service_class is None else service_class.name,
        {} if service_class is None else service_class.values,
        DomainStatus.ACTIVE if domain is None else domain.status,
        lockout_end(history, row.values, snapshot.now),
        snapshot.now,
        await snapshot.ask(roles.standing, row.id),
        await snapshot.ask(store_people.personal, row.id),
    )
