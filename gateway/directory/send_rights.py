"""Who may send in whose name, post to which list, log in as whom: granting, taking back, and telling what was granted."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.grantees import Grantee, GranteeKind
from policy.grants import SendGrant, SendRight
from policy.identity import AccountId, ListId
from policy.roles import Operation
from store import addresses, grants, lists
from store.addresses import ObjectKind as ObjectKind
from store.errors import Conflict, NotFound
from store.grants import RemoveSendGrant, SetSendGrant
from store.model import AccountRow, ListRow
from store.port import Snapshot, Store


@dataclass(frozen=True, slots=True)
class Target:
    """The account or list in whose name something may be done."""

    kind: ObjectKind
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant with names for ids."""

    target: Target
    grantee: Grantee
    grantee_name: str
    grant: SendGrant


class SendRights:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def grant(
        self,
        target_kind: ObjectKind,
        target: str,
        kind: GranteeKind,
        grantee: str,
        right: SendRight,
        *,
        deny: bool = False,
        not_before: int | None = None,
        expires: int | None = None,
        note: str = "",
        undo_window: int | None = None,
        review: int | None = None,
    ) -> None:
        """Replaces that grantee's grant of that right on that target, whether it allowed or denied. Times in microseconds."""
        _fits(target_kind, right)
        if undo_window is not None and (deny or right not in (SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF)):
            raise Fault(Code.INVALID_REQUEST, "a recall window is for what is sent by it: sendAs and sendOnBehalfOf, allowed")
        async with self._store.snapshot() as snapshot:
            on = await target_of(snapshot, target_kind, target)
            to = await names.grantee(snapshot, kind, grantee)
            matter = _matter(on, Operation.GRANT_ON_ACCOUNT, Operation.GRANT_ON_LIST, to)
            await self._records.allow(snapshot, matter, on.name)
        if to == Grantee(GranteeKind.ACCOUNT, on.id):
            raise Fault(Code.INVALID_REQUEST, f"{on.name} needs no grant on itself")
        if not_before is not None and expires is not None and expires <= not_before:
            raise Fault(Code.INVALID_REQUEST, "the grant would end before it starts")
        check_review(expires, review)
        spelled = f"{'-' if deny else ''}{right}"
        await self._records.do(
            SetSendGrant(SendGrant(on.id, to, right, deny, not_before, expires, note, undo_window, review)),
            "grant changed",
            on.name,
            matter=matter,
            principal=on.id,
            right=spelled,
            detail=f"to {kind} {grantee}".rstrip() + ("" if undo_window is None else f", recall window {undo_window} s"),
            words={Conflict: Fault(Code.INVALID_REQUEST, "such a grant cannot be"), NotFound: Fault(Code.NO_SUCH_GRANT, target)},
        )

    async def revoke(
        self, target_kind: ObjectKind, target: str, kind: GranteeKind, grantee: str, right: SendRight, *, deny: bool = False
    ) -> None:
        """A grant that denies is not taken back as one that allows."""
        async with self._store.snapshot() as snapshot:
            on = await target_of(snapshot, target_kind, target)
            to = await names.grantee(snapshot, kind, grantee)
            there = await snapshot.ask(grants.send_grants_on, on.id, right)
        spelled = f"{'-' if deny else ''}{right}"
        missing = Fault(Code.NO_SUCH_GRANT, f"{spelled} on {on.name} for {kind} {grantee}".rstrip())
        if not any(one.grantee == to and one.deny == deny for one in there):
            await self._look(on)
            raise missing
        removed = await self._records.do(
            RemoveSendGrant(on.id, to, right, deny),
            "grant removed",
            on.name,
            matter=_matter(on, Operation.REVOKE_ON_ACCOUNT, Operation.REVOKE_ON_LIST),
            principal=on.id,
            right=spelled,
            detail=f"to {kind} {grantee}".rstrip(),
        )
        if not removed:
            raise missing

    async def on(self, target_kind: ObjectKind, target: str) -> Sequence[GrantView]:
        """Everything granted on this target, expired ones too."""
        async with self._store.snapshot() as snapshot:
            found = await target_of(snapshot, target_kind, target)
            await self._records.allow(snapshot, _viewing(found), found.name)
            return await _views(snapshot, await snapshot.ask(grants.send_grants_on, found.id))

    async def to(self, kind: GranteeKind, grantee: str, *, through_groups: bool = True) -> Sequence[GrantView]:
        """Everything granted to this grantee, and (an account's or list's) to the lists it is in."""
        async with self._store.snapshot() as snapshot:
            asked = await names.grantee(snapshot, kind, grantee)
            await self._records.allow(snapshot, Matter(Operation.VIEW_ACCOUNT_GRANTS, grantees=(asked,)), grantee)
            grantees = [asked]
            if through_groups and kind in (GranteeKind.ACCOUNT, GranteeKind.GROUP):
                within = await snapshot.work(lists.memberships, asked.id)
                grantees += [Grantee(GranteeKind.GROUP, one.list) for one in within if one.list != asked.id]
            found: list[SendGrant] = []
            for one in grantees:
                found += await snapshot.ask(grants.send_grants_to, one)
            views = await _views(snapshot, found)
            return [one for one in views if await self._records.sees(snapshot, _viewing(one.target))]

    async def _look(self, on: Target) -> None:
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _viewing(on), on.name)


def _matter(on: Target, account: Operation, mailing_list: Operation, *grantees: Grantee) -> Matter:
    if on.kind is ObjectKind.ACCOUNT:
        return Matter(account, accounts=(AccountId(on.id),), grantees=grantees)
    return Matter(mailing_list, lists=(ListId(on.id),), grantees=grantees)


def _viewing(on: Target) -> Matter:
    return _matter(on, Operation.VIEW_ACCOUNT_GRANTS, Operation.VIEW_LIST_GRANTS)


def check_review(expires: int | None, review: int | None) -> None:
    """Raises Fault."""
    if review is not None and expires is not None and review >= expires:
        raise Fault(Code.INVALID_REQUEST, "the grant would have ended before it is reviewed")


def _fits(kind: ObjectKind, right: SendRight) -> None:
    if right is SendRight.SEND_TO_LIST and kind is not ObjectKind.LIST:
        raise Fault(Code.INVALID_REQUEST, f"{right} is granted on a dl, not on an account")
    if right is SendRight.LOGIN_AS and kind is not ObjectKind.ACCOUNT:
        raise Fault(Code.INVALID_REQUEST, f"{right} is granted on an account, not on a dl")


async def target_of(snapshot: Snapshot, kind: ObjectKind, text: str) -> Target:
    """Raises Fault."""
    row: AccountRow | ListRow
    if kind is ObjectKind.ACCOUNT:
        row = await names.account(snapshot, text)
    else:
        row = await names.mailing_list(snapshot, text)
    return Target(kind, row.id, names.shown(row.address))


async def _views(snapshot: Snapshot, found: Sequence[SendGrant]) -> Sequence[GrantView]:
    called = await snapshot.ask(names.names_of, frozenset(one.grantee for one in found))
    views = []
    for one in found:
        target = await snapshot.ask(addresses.primary, one.target)
        if target is not None:
            views.append(GrantView(Target(target.kind, target.id, names.shown(target.address)), one.grantee, called[one.grantee], one))
    return views
