"""What was granted, seen as a whole: by whom and to whom, what ends soon, what nobody uses, what is to be reviewed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.grantees import Grantee, GranteeKind
from policy.grants import SendGrant, in_force
from policy.identity import AccountId, ListId
from policy.roles import Operation
from store import addresses, grants, lists, tenure
from store.addresses import ObjectKind, Resolved
from store.port import Snapshot, Store, Tx
from store.tenure import Tenure

MOST: Final = 10_000
"""Grants in one answer."""
MOST_LOOKED_AT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class TenureView:
    """A grant with names for ids. `grantee`: empty for everybody."""

    tenure: Tenure
    owner: str
    grantee: str
    holds: bool


@dataclass(frozen=True, slots=True)
class TenureList:
    """`more`: there are others beyond MOST."""

    views: Sequence[TenureView]
    more: bool


@dataclass(frozen=True, slots=True)
class _Limits:
    """`looked_at`: how many grants of each kind are read, before those are taken that are asked for."""

    target: int | None
    grantees: frozenset[Grantee] | None
    looked_at: int


class GrantLists:
    """Every method raises Fault, and nothing else that is expected. `owner`, `actor`: only grants on that account or list, only what
    counts for that account or list, through groups, domain and class too. Times in microseconds since 1970 UTC."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def held(self, owner: str | None, actor: str | None) -> TenureList:
        """All there is, also what is outside its time; one of the two has to be said."""
        async with self._store.snapshot() as snapshot:
            limits = await self._limits(snapshot, owner, actor)
            if limits.target is not None:
                found = await snapshot.work(tenure.on, limits.target, MOST + 1)
            else:
                found = [one for grantee in limits.grantees or () for one in await snapshot.work(tenure.to, grantee, MOST + 1)]
            return await self._views(snapshot, found, limits)

    async def expiring(self, until: int, owner: str | None = None, actor: str | None = None) -> TenureList:
        """What ends by then, the first to end first."""
        async with self._store.snapshot() as snapshot:
            limits = await self._limits(snapshot, owner, actor)
            return await self._views(snapshot, await snapshot.work(tenure.expiring, until, limits.looked_at), limits)

    async def unused(self, since: int, owner: str | None = None, actor: str | None = None) -> TenureList:
        """What was given by then and has decided nothing since, the longest unused first."""
        async with self._store.snapshot() as snapshot:
            limits = await self._limits(snapshot, owner, actor)
            return await self._views(snapshot, await snapshot.work(tenure.unused, since, limits.looked_at), limits)

    async def overdue(self, until: int | None = None, owner: str | None = None, actor: str | None = None) -> TenureList:
        """What was to be reviewed by now (or will be by then)."""
        async with self._store.snapshot() as snapshot:
            limits = await self._limits(snapshot, owner, actor)
            by = snapshot.now if until is None else until
            return await self._views(snapshot, await snapshot.work(tenure.overdue, by, limits.looked_at), limits)

    async def _limits(self, snapshot: Snapshot, owner: str | None, actor: str | None) -> _Limits:
        """Before anything is looked at: may it be? Raises Fault, on record."""
        target = None
        if owner is not None:
            on = await _resolved(snapshot, owner)
            await self._records.allow(snapshot, _viewing(on.kind, on.id), owner)
            target = on.id
        grantees = None
        if actor is not None:
            whom = await _resolved(snapshot, actor)
            kind = GranteeKind.ACCOUNT if whom.kind is ObjectKind.ACCOUNT else GranteeKind.GROUP
            asked = Grantee(kind, whom.id)
            await self._records.allow(snapshot, Matter(Operation.VIEW_ACCOUNT_GRANTS, grantees=(asked,)), actor)
            grantees = await _grantees(snapshot, asked)
        if owner is None and actor is None:
            await self._records.browse(snapshot, Operation.VIEW_ACCOUNT_GRANTS)
        narrow = owner is not None or actor is not None or not self._records.authority.is_operator
        return _Limits(target, grantees, MOST_LOOKED_AT if narrow else MOST + 1)

    async def _views(self, snapshot: Snapshot, found: Iterable[Tenure], limits: _Limits) -> TenureList:
        wanted = [
            one
            for one in found
            if (limits.target is None or one.target == limits.target)
            and (limits.grantees is None or one.granted.grantee in limits.grantees)
        ]
        if not self._records.authority.is_operator:
            seen = {target: await self._sees(snapshot, target) for target in {one.target for one in wanted}}
            wanted = [one for one in wanted if seen[one.target]]
        shown = wanted[:MOST]
        called = await snapshot.work(names.names_of, frozenset(one.granted.grantee for one in shown))
        owners = await snapshot.work(_owner_names, frozenset(one.target for one in shown))
        views = [TenureView(one, owners[one.target], called[one.granted.grantee], in_force(one.granted, snapshot.now)) for one in shown]
        return TenureList(views, len(wanted) > MOST)

    async def _sees(self, snapshot: Snapshot, target: int) -> bool:
        found = await snapshot.ask(addresses.primary, target)
        return found is not None and await self._records.sees(snapshot, _viewing(found.kind, found.id))


def _viewing(kind: ObjectKind, target: int) -> Matter:
    if kind is ObjectKind.ACCOUNT:
        return Matter(Operation.VIEW_ACCOUNT_GRANTS, accounts=(AccountId(target),))
    return Matter(Operation.VIEW_LIST_GRANTS, lists=(ListId(target),))


async def _resolved(snapshot: Snapshot, text: str) -> Resolved:
    found = await names.resolved(snapshot, text)
    if found is None:
        raise Fault(Code.NO_SUCH_ACCOUNT, text)
    return found


async def _grantees(snapshot: Snapshot, asked: Grantee) -> frozenset[Grantee]:
    if asked.kind is GranteeKind.ACCOUNT:
        standing = await snapshot.work(lists.standing, AccountId(asked.id))
        return frozenset() if standing is None else frozenset(grants.grantees_of(standing))
    within = await snapshot.work(lists.memberships, asked.id)
    return frozenset([asked, *(Grantee(GranteeKind.GROUP, one.list) for one in within)])


def _owner_names(tx: Tx, targets: frozenset[int]) -> dict[int, str]:
    found = {}
    for one in targets:
        at = addresses.primary(tx, one)
        found[one] = f"#{one}" if at is None else names.shown(at.address)
    return found


def spelled(granted: Tenure) -> str:
    """`sendAs`, `-sendAs`; of a folder's entry nothing."""
    one = granted.granted
    return f"{'-' if one.deny else ''}{one.right}" if isinstance(one, SendGrant) else ""
