"""What was granted, seen as a whole: by whom and to whom, what ends soon, what nobody uses, what is to be reviewed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.directory import names
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.grantees import Grantee, GranteeKind
from policy.grants import SendGrant, in_force
from policy.identity import AccountId
from store import addresses, grants, lists, tenure
from store.addresses import ObjectKind
from store.port import Snapshot, Store, Tx
from store.tenure import Tenure

MOST: Final = 10_000
"""Grants of each kind in one answer."""


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


class GrantLists:
    """Every method raises Fault, and nothing else that is expected. `owner`, `actor`: only grants on that account or list, only what
    counts for that account or list, through groups, domain and class too. Times in microseconds since 1970 UTC."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def held(self, owner: str | None, actor: str | None) -> TenureList:
        """All there is, also what is outside its time; one of the two has to be said."""
        async with self._store.snapshot() as snapshot:
            target = None if owner is None else await _target(snapshot, owner)
            some = None if actor is None else await _grantees(snapshot, actor)
            if target is not None:
                found = await snapshot.work(tenure.on, target, MOST + 1)
            else:
                found = [one for grantee in some or () for one in await snapshot.work(tenure.to, grantee, MOST + 1)]
            return await _views(snapshot, found, target, some)

    async def expiring(self, until: int, owner: str | None = None, actor: str | None = None) -> TenureList:
        """What ends by then, the first to end first."""
        async with self._store.snapshot() as snapshot:
            limits = await _limits(snapshot, owner, actor)
            return await _views(snapshot, await snapshot.work(tenure.expiring, until, MOST + 1), *limits)

    async def unused(self, since: int, owner: str | None = None, actor: str | None = None) -> TenureList:
        """What was given by then and has decided nothing since, the longest unused first."""
        async with self._store.snapshot() as snapshot:
            limits = await _limits(snapshot, owner, actor)
            return await _views(snapshot, await snapshot.work(tenure.unused, since, MOST + 1), *limits)

    async def overdue(self, until: int | None = None, owner: str | None = None, actor: str | None = None) -> TenureList:
        """What was to be reviewed by now (or will be by then)."""
        async with self._store.snapshot() as snapshot:
            limits = await _limits(snapshot, owner, actor)
            by = snapshot.now if until is None else until
            return await _views(snapshot, await snapshot.work(tenure.overdue, by, MOST + 1), *limits)


async def _limits(snapshot: Snapshot, owner: str | None, actor: str | None) -> tuple[int | None, frozenset[Grantee] | None]:
    target = None if owner is None else await _target(snapshot, owner)
    return target, None if actor is None else await _grantees(snapshot, actor)


async def _target(snapshot: Snapshot, text: str) -> int:
    found = await names.resolved(snapshot, text)
    if found is None:
        raise Fault(Code.NO_SUCH_ACCOUNT, text)
    return found.id


async def _grantees(snapshot: Snapshot, text: str) -> frozenset[Grantee]:
    found = await names.resolved(snapshot, text)
    if found is None:
        raise Fault(Code.NO_SUCH_ACCOUNT, text)
    if found.kind is ObjectKind.ACCOUNT:
        standing = await snapshot.work(lists.standing, AccountId(found.id))
        return frozenset() if standing is None else frozenset(grants.grantees_of(standing))
    within = await snapshot.work(lists.memberships, found.id)
    return frozenset([Grantee(GranteeKind.GROUP, found.id), *(Grantee(GranteeKind.GROUP, one.list) for one in within)])


async def _views(snapshot: Snapshot, found: Iterable[Tenure], target: int | None, grantees: frozenset[Grantee] | None) -> TenureList:
    wanted = [one for one in found if (target is None or one.target == target) and (grantees is None or one.granted.grantee in grantees)]
    shown = wanted[:MOST]
    called = await snapshot.work(names.names_of, frozenset(one.granted.grantee for one in shown))
    owners = await snapshot.work(_owner_names, frozenset(one.target for one in shown))
    views = [TenureView(one, owners[one.target], called[one.granted.grantee], in_force(one.granted, snapshot.now)) for one in shown]
    return TenureList(views, len(wanted) > MOST)


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
