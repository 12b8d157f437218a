"""Admin roles: who holds which, who is marked as delegated administrator, which domains are initialised for delegation."""

from collections.abc import Sequence
from dataclasses import dataclass

from policy.grantees import Grantee, GranteeKind
from policy.identity import AccountId, DomainId
from policy.roles import AdminStanding, Role, RoleGrant
from store import accounts, domains, grants, lists
from store.accounts import CreateAccount
from store.cos import DEFAULT
from store.errors import Conflict, NotFound
from store.port import DIRECTORY, Deed, Tx


@dataclass(frozen=True, slots=True)
class InitialiseDomain(Deed[None]):
    """Roles held in the domain count from now on; once more changes nothing. Raises NotFound, Conflict for an alias domain."""

    domain: DomainId


@dataclass(frozen=True, slots=True)
class UninitialiseDomain(Deed[None]):
    """Roles held in the domain count no more, and are kept. Raises NotFound."""

    domain: DomainId


@dataclass(frozen=True, slots=True)
class CreateMarked(Deed[AccountId]):
    """An account that is marked as delegated administrator from the start. Raises what making it raises."""

    create: CreateAccount


@dataclass(frozen=True, slots=True)
class MarkAdministrator(Deed[None]):
    """isDelegatedAdminAccount. Raises NotFound."""

    account: AccountId
    marked: bool


@dataclass(frozen=True, slots=True)
class SetRole(Deed[None]):
    """Replaces what the account had of that role. Raises NotFound, Conflict for `global` (it is SetGlobalAdministrator's), or when it
    would end before it starts."""

    account: AccountId
    grant: RoleGrant


@dataclass(frozen=True, slots=True)
class RemoveRole(Deed[bool]):
    """False: the account did not have it. Raises NotFound."""

    account: AccountId
    role: Role


def standing(tx: Tx, account: AccountId) -> AdminStanding | None:
    """What the account is to administration; None: there is none (any more)."""
    row = accounts.by_id(tx, account)
    if row is None:
        return None
    return AdminStanding(
        account,
        row.domain,
        row.status,
        row.is_global_administrator,
        is_marked(tx, account),
        initialised(tx, row.domain) is not None,
        of_account(tx, account),
    )


def of_account(tx: Tx, account: AccountId) -> tuple[RoleGrant, ...]:
    """As they were given, those that do not count too."""
    return tuple(RoleGrant(Role(role), DomainId(domain), *rest) for role, domain, *rest in tx.all("roles.of_account", account=account))


def is_marked(tx: Tx, account: AccountId) -> bool:
    """isDelegatedAdminAccount."""
    return tx.one("roles.marked", account=account) is not None


def initialised(tx: Tx, domain: DomainId) -> int | None:
    """Since when the domain is initialised for delegation; None: it is not."""
    found = tx.one("roles.initialised", domain=domain)
    return None if found is None else int(found[0])


def administrators(tx: Tx, after: int = 0, limit: int = 200) -> Sequence[AdminStanding]:
    """Whoever is anything to administration, by ascending id: pages of `limit`. Ask by `work`."""
    found = tx.all("roles.administrators", after=after, limit=limit)
    return [one for (number,) in found if (one := standing(tx, AccountId(number))) is not None]


def another_global(tx: Tx, besides: AccountId) -> AccountId | None:
    """An active global administrator besides this one."""
    found = tx.one("roles.globals", besides=besides)
    return None if found is None else AccountId(found[0])


def reached_through(tx: Tx, holder: int) -> tuple[Sequence[int], Sequence[AdminStanding]]:
    """The account or list and the lists it is in, and the administrators as whom one of them may log in; an account by its domain and
    class of service, too. Ask by `work`."""
    within = [holder, *(one.list for one in lists.memberships(tx, holder))]
    grantees = [Grantee(kind, one) for one in within for kind in (GranteeKind.ACCOUNT, GranteeKind.GROUP)]
    standing_of = lists.standing(tx, AccountId(holder))
    if standing_of is not None:
        grantees += [one for one in grants.grantees_of(standing_of) if one.kind not in (GranteeKind.ACCOUNT, GranteeKind.GROUP)]
    return within, _administrators_of(tx, grantees)


def reached_in(tx: Tx, domain: DomainId) -> Sequence[AdminStanding]:
    """The administrators as whom an account may log in that is made in this domain, and nothing more. Ask by `work`."""
    row = domains.by_id(tx, domain)
    by_class = DEFAULT if row is None or row.cos is None else row.cos
    some = (Grantee(GranteeKind.DOMAIN, domain), Grantee(GranteeKind.COS, by_class), Grantee(GranteeKind.ALL))
    return _administrators_of(tx, some)


def _administrators_of(tx: Tx, some: Sequence[Grantee]) -> Sequence[AdminStanding]:
    found = {target for one in some for (target,) in tx.all("roles.reached", kind=one.kind, grantee=one.id)}
    standings = [standing(tx, AccountId(one)) for one in sorted(found)]
    return [one for one in standings if one is not None and one.is_administrator]


def _there(tx: Tx, account: AccountId) -> None:
    if tx.one("accounts.exists", id=account) is None:
        raise NotFound(f"account {account}")


def _initialise(tx: Tx, deed: InitialiseDomain) -> None:
    row = domains.by_id(tx, deed.domain)
    if row is None:
        raise NotFound(f"domain {deed.domain}")
    if row.alias_of is not None:
        raise Conflict(f"{row.name} is an alias domain")
    tx.run("roles.initialise", domain=deed.domain, now=tx.now)
    tx.touch(DIRECTORY)


def _uninitialise(tx: Tx, deed: UninitialiseDomain) -> None:
    if domains.by_id(tx, deed.domain) is None:
        raise NotFound(f"domain {deed.domain}")
    tx.run("roles.uninitialise", domain=deed.domain)
    tx.touch(DIRECTORY)


def _create_marked(tx: Tx, deed: CreateMarked) -> AccountId:
    account = accounts.create(tx, deed.create)
    tx.run("roles.mark", account=account)
    tx.touch(account)
    return account


def _mark(tx: Tx, deed: MarkAdministrator) -> None:
    _there(tx, deed.account)
    tx.run("roles.mark" if deed.marked else "roles.unmark", account=deed.account)
    tx.touch(deed.account)


def _set(tx: Tx, deed: SetRole) -> None:
    _there(tx, deed.account)
    grant = deed.grant
    if grant.role is Role.GLOBAL:
        raise Conflict("the role global is an attribute of the account")
    if grant.not_before is not None and grant.expires is not None and grant.expires <= grant.not_before:
        raise Conflict("the role would end before it starts")
    if domains.by_id(tx, grant.domain) is None:
        raise NotFound(f"domain {grant.domain}")
    tx.run(
        "roles.set",
        account=deed.account,
        role=grant.role,
        domain=grant.domain,
        not_before=grant.not_before,
        expires=grant.expires,
        note=grant.note,
    )
    tx.touch(deed.account)


def _remove(tx: Tx, deed: RemoveRole) -> bool:
    _there(tx, deed.account)
    removed = tx.run("roles.remove", account=deed.account, role=deed.role) > 0
    tx.touch(deed.account)
    return removed


DEEDS = (
    (InitialiseDomain, _initialise),
    (UninitialiseDomain, _uninitialise),
    (CreateMarked, _create_marked),
    (MarkAdministrator, _mark),
    (SetRole, _set),
    (RemoveRole, _remove),
)
