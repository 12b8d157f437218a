"""Admin roles: who holds which, who gives and takes them, and do they count?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.identity import AccountId
from policy.roles import AdminStanding, Operation, Role, RoleGrant
from store import accounts, addresses, domains, roles
from store.errors import Conflict, NotFound
from store.port import Deed, Snapshot, Store

PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class HeldRole:
    """A role as an account has it. `domain` "": everywhere. `obstacle`: why it does not count now, "" where it does."""

    role: Role
    domain: str
    not_before: int | None = None
    expires: int | None = None
    note: str = ""
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class AdministratorView:
    """An administrator with names for ids. `marked`: isDelegatedAdminAccount."""

    account: AccountId
    name: str
    marked: bool
    held: Sequence[HeldRole]


class AdminRoles:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def all(self, domain: str | None = None) -> Sequence[AdministratorView]:
        """Everybody who is anything to administration, of one domain or of all that may be seen."""
        found: list[AdministratorView] = []
        async with self._store.snapshot() as snapshot:
            within = None if domain is None else await names.domain(snapshot, domain)
            if within is None:
                await self._records.browse(snapshot, Operation.VIEW_ROLES)
            else:
                await self._records.allow(snapshot, Matter(Operation.VIEW_ROLES, domains=(within.id,)), within.name)
            after = 0
            while True:
                page = await snapshot.work(roles.administrators, after, PAGE)
                for one in page:
                    wanted = within is None or one.domain == within.id
                    if wanted and await self._records.sees(snapshot, Matter(Operation.VIEW_ROLES, accounts=(one.account,))):
                        found.append(await _view(snapshot, one))
                if len(page) < PAGE:
                    return found
                after = page[-1].account

    async def of(self, name: str) -> AdministratorView:
        """What an account is to administration, if only nothing."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.VIEW_ROLES, accounts=(row.id,)), str(row.address))
            standing = await snapshot.ask(roles.standing, row.id)
            if standing is None:
                raise Fault(Code.NO_SUCH_ACCOUNT, name)
            return await _view(snapshot, standing)

    async def grant(
        self,
        name: str,
        role: Role,
        domain: str | None = None,
        *,
        not_before: int | None = None,
        expires: int | None = None,
        note: str = "",
    ) -> AdministratorView:
        """In the account's own domain (`domain`, if it is named, has to be that one). Replaces what the account had of that role."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            matter = Matter(Operation.GRANT_ROLE, accounts=(row.id,), roles=(role,))
            await self._records.allow(snapshot, matter, str(row.address))
            within = row.domain if domain is None else (await names.domain(snapshot, domain)).id
        if within != row.domain:
            raise Fault(Code.INVALID_REQUEST, f"{name} is not in {domain}: a role is held in the own domain")
        deed: Deed[None]
        if role is Role.GLOBAL:
            if not_before is not None or expires is not None or note:
                raise Fault(Code.INVALID_REQUEST, f"the role {role} has neither times nor a note")
            deed = accounts.SetGlobalAdministrator(row.id, True)
        else:
            if not_before is not None and expires is not None and expires <= not_before:
                raise Fault(Code.INVALID_REQUEST, "the role would end before it starts")
            deed = roles.SetRole(row.id, RoleGrant(role, within, not_before, expires, note))
        await self._records.do(
            deed,
            "role granted",
            str(row.address),
            matter=matter,
            principal=row.id,
            detail=role,
            words={NotFound: Fault(Code.NO_SUCH_ACCOUNT, name), Conflict: Fault(Code.INVALID_REQUEST, "such a role cannot be")},
        )
        async with self._store.snapshot() as snapshot:
            standing = await snapshot.ask(roles.standing, row.id)
            if standing is None:
                raise Fault(Code.NO_SUCH_ACCOUNT, name)
            return await _view(snapshot, standing)

    async def revoke(self, name: str, role: Role) -> None:
        """Gone at once, also in the middle of what its holder is doing."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
        matter = Matter(Operation.REVOKE_ROLE, accounts=(row.id,), roles=(role,), ends=row.id if role is Role.GLOBAL else None)
        words = {NotFound: Fault(Code.NO_SUCH_ACCOUNT, name)}
        missing = Fault(Code.NO_SUCH_GRANT, f"role {role} of {name}")
        deed: Deed[object]
        if role is Role.GLOBAL:
            deed = accounts.SetGlobalAdministrator(row.id, False)
            if not row.is_global_administrator:
                await self.of(name)
                raise missing
        else:
            deed = roles.RemoveRole(row.id, role)
        if (
            await self._records.do(deed, "role revoked", str(row.address), matter=matter, principal=row.id, detail=role, words=words)
            is False
        ):
            raise missing


async def _view(snapshot: Snapshot, one: AdminStanding) -> AdministratorView:
    held = [HeldRole(Role.GLOBAL, "", obstacle=one.obstacle(snapshot.now))] if one.is_global else []
    for grant in one.grants:
        row = await snapshot.ask(domains.by_id, grant.domain)
        domain = "" if row is None else names.shown_domain(row.name)
        held.append(HeldRole(grant.role, domain, grant.not_before, grant.expires, grant.note, _obstacle(one, grant, snapshot.now)))
    found = await snapshot.ask(addresses.primary, one.account)
    return AdministratorView(one.account, f"#{one.account}" if found is None else names.shown(found.address), one.marked, held)


def _obstacle(one: AdminStanding, grant: RoleGrant, now: int) -> str:
    """Why this very role does not count; that of a global administrator does beside."""
    alone = AdminStanding(one.account, one.domain, one.status, False, one.marked, one.initialised, (grant,))
    return alone.obstacle(now)
