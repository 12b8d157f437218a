"""Why was this decided, what may this person do: decisions with their trace in words, names instead of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from gateway.directory import names
from gateway.directory.faults import Code, Fault
from gateway.directory.mailboxes import read_path
from gateway.folders import Folders, Place
from gateway.rates import reached_first, too_much
from gateway.refusal import Refused
from gateway.sending import may_send, may_send_as_address
from policy.decision import Decision, Step, step
from policy.folders import FolderOp
from policy.grantees import Grantee, GranteeKind
from policy.grants import SendRight
from policy.identity import Actor, Address
from policy.login import FOREVER, lockout_end
from policy.rates import limits
from policy.reasons import Defer, Reason, Refuse
from policy.status import login_after_password, owner_sending
from store import folders, freezes, lists, login
from store.addresses import ObjectKind, Resolved
from store.freezes import Side
from store.model import AccountRow
from store.port import Snapshot, Store
from store.rates import Counts, used


class Act(StrEnum):
    """What `procura can` asks about."""

    READ = "read"
    WRITE = "write"
    INSERT = "insert"
    DELETE = "delete"
    ACCEPT = "accept"
    SEND_AS = "send-as"
    SEND_ON_BEHALF_OF = "send-on-behalf-of"


_OPERATIONS: Final = {
    Act.READ: (FolderOp.READ,),
    Act.WRITE: (FolderOp.MARK,),
    Act.INSERT: (FolderOp.INSERT,),
    Act.DELETE: (FolderOp.MARK_DELETED, FolderOp.EXPUNGE),
    Act.ACCEPT: (FolderOp.ACCEPT,),
}
_RIGHTS: Final = {Act.SEND_AS: SendRight.SEND_AS, Act.SEND_ON_BEHALF_OF: SendRight.SEND_ON_BEHALF_OF}
_FROZEN: Final = {Side.PRINCIPAL: Reason.PRINCIPAL_FROZEN, Side.ACTOR: Reason.ACTOR_FROZEN}
assert set(_OPERATIONS) | set(_RIGHTS) == set(Act)


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision in words. `refusal` "": allowed. `grantee`, `grantee_kind` and `through` (group path, from the actor's side) tell
    whose grant decided, where one did; `trace` is every line, the deciding ones marked."""

    allowed: bool
    refusal: str
    because: str
    right: str
    folder: str
    grantee_kind: GranteeKind | None
    grantee: str
    through: Sequence[str]
    trace: Sequence[tuple[str, bool]]


class Explain:
    """Asks the services' own judgement, so that what is told is what would happen. Every method raises Fault."""

    def __init__(self, store: Store, may: Folders) -> None:
        self._store = store
        self._folders = may

    async def can(self, actor: str, act: Act, owner: str, folder: str | None = None) -> Explained:
        """All of it: may the actor log in, is the right held, does the owner's status let it count? `folder` None: INBOX, or Calendar
        for `accept`."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, actor)
            barred = await _barred(snapshot, row)
            sending = await self._sending(snapshot, row, _RIGHTS[act], owner) if act in _RIGHTS else None
        decision = sending if sending is not None else await self._folder(row, act, owner, folder)
        if act is Act.ACCEPT:
            async with self._store.snapshot() as snapshot:
                of = await names.account(snapshot, owner)
                decision = await _stopped(snapshot, decision, row, of.id, of.address)
        if barred is not None:
            decision = _without(decision, *barred)
        return await self._told(decision)

    async def holds(self, actor: str, right: SendRight, kind: ObjectKind, target: str) -> Explained:
        """Is this right held, by itself (checkRight)? Status is not looked at."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, actor)
            on = await (names.account(snapshot, target) if kind is ObjectKind.ACCOUNT else names.mailing_list(snapshot, target))
            standing = await snapshot.work(lists.standing, row.id)
            if standing is None:
                raise Fault(Code.NO_SUCH_ACCOUNT, actor)
            found = await names.resolved(snapshot, target)
            if right in _RIGHTS.values() and found is not None:
                decision = await may_send_as_address(snapshot, standing, found, right)
            else:
                decision = await may_send(snapshot, standing, on.id, right)
        return await self._told(decision)

    async def _sending(self, snapshot: Snapshot, row: AccountRow, right: SendRight, principal: str) -> Decision:
        found = await names.resolved(snapshot, principal)
        standing = await snapshot.work(lists.standing, row.id)
        if found is None or standing is None:
            raise Fault(Code.NO_SUCH_ACCOUNT, principal)
        decision = await may_send_as_address(snapshot, standing, found, right)
        if found.id == row.id or not decision.allowed:
            return decision
        owner = await names.account(snapshot, principal) if found.kind is ObjectKind.ACCOUNT else None
        decision = await _stopped(snapshot, decision, row, found.id, found.address)
        if not decision.allowed:
            return decision
        decision = await self._within_limits(snapshot, decision, row, found, owner)
        if owner is None:
            return decision
        withheld = owner_sending(owner.status, owner.values.delegation_when_locked)
        if withheld is None or not decision.allowed:
            return decision
        return _without(decision, withheld, f"but {names.shown(owner.address)} is {owner.status}: nobody sends in its name")

    async def _within_limits(
        self, snapshot: Snapshot, decision: Decision, row: AccountRow, found: Resolved, owner: AccountRow | None
    ) -> Decision:
        """What is left of the limits now, and how long it would wait."""
        values = (owner or row).values
        pair = (found.id, values.delegated_send_rate, values.delegated_send_recipient_rate)
        counting = limits(row.id, (row.values.send_rate, row.values.send_recipient_rate), (pair,))
        why = await snapshot.ask(reached_first, counting)
        if why is not None:
            refusal = too_much(why, found.address if why.limit.principal else None)
            return _without(decision, refusal, f"but {refusal.detail}")
        told = [
            step(f"{await snapshot.ask(used, one, counts)} of {rate} {counts} {'in this name' if one.principal else 'in any name'}")
            for one in counting
            for counts, rate in ((Counts.MESSAGES, one.messages), (Counts.RECIPIENTS, one.recipients))
            if rate
        ]
        waits = values.undo_window if decision.undo_window is None else decision.undo_window
        told += [step(f"it waits {waits} s, and can be recalled so long")] if waits else []
        return replace(decision, trace=(*decision.trace, *told))

    async def _folder(self, row: AccountRow, act: Act, owner: str, folder: str | None) -> Decision:
        path = read_path(folder if folder is not None else "/Calendar" if act is Act.ACCEPT else "/INBOX")
        async with self._store.snapshot() as snapshot:
            of = await names.account(snapshot, owner)
            if await snapshot.ask(folders.by_path, of.id, path) is None:
                raise Fault(Code.NO_SUCH_FOLDER, folder if folder is not None else path)
        actor = Actor(row.id, row.address, row.display_name)
        decision = None
        for operation in _OPERATIONS[act]:
            try:
                decision = await self._folders.may(actor, operation, Place(str(of.address), path))
            except Refused as refused:
                raise Fault(Code.TEMPORARILY_UNAVAILABLE, refused.verdict.reason) from None
            if not decision.allowed:
                break
        assert decision is not None
        return decision

    async def _told(self, decision: Decision) -> Explained:
        grantees = {part for one in decision.trace for part in one.parts if isinstance(part, Grantee)}
        grantees |= {one.grantee for one in decision.trace if one.grantee is not None}
        grantees |= {Grantee(GranteeKind.GROUP, group) for one in decision.trace for group in one.group_path}
        async with self._store.snapshot() as snapshot:
            called = await snapshot.ask(names.names_of, frozenset(grantees))
        call = names.caller(called)
        deciding = decision.deciding
        through = deciding.group_path if deciding is not None else ()
        grantee = deciding.grantee if deciding is not None and deciding.decided else None
        return Explained(
            allowed=decision.allowed,
            refusal="" if decision.refusal is None else decision.refusal.detail or decision.refusal.reason,
            because="" if deciding is None else deciding.named(call),
            right="" if deciding is None else deciding.right,
            folder="" if deciding is None else deciding.folder,
            grantee_kind=None if grantee is None else grantee.kind,
            grantee="" if grantee is None else called[grantee],
            through=[called[Grantee(GranteeKind.GROUP, group)] for group in through],
            trace=[(one.named(call), one.decided) for one in decision.trace],
        )


async def _barred(snapshot: Snapshot, row: AccountRow) -> tuple[Refuse | Defer, str] | None:
    """Why this account cannot act at all now: nobody acts without having logged in."""
    who = names.shown(row.address)
    refusal = login_after_password(row.status)
    if refusal is not None:
        return refusal, f"but {who} is {row.status} and cannot log in"
    until = lockout_end(await snapshot.ask(login.history, row.id), row.values, snapshot.now)
    if until is not None:
        end = "until an administrator ends it" if until >= FOREVER else "for a while"
        return Refuse(Reason.BAD_CREDENTIALS, "lockout"), f"but {who} is locked out {end}"
    return None


async def _stopped(snapshot: Snapshot, decision: Decision, row: AccountRow, principal: int, address: Address) -> Decision:
    """The kill switches, for what is sent in another's name."""
    if principal == row.id or not decision.allowed:
        return decision
    for side, number, who in ((Side.PRINCIPAL, principal, address), (Side.ACTOR, row.id, row.address)):
        frozen = await snapshot.ask(freezes.one, number, side)
        if frozen is not None:
            told = f"{names.shown(who)} is frozen as {side}"
            return _without(decision, Refuse(_FROZEN[side], told), f"but {told}{f' ({frozen.note})' if frozen.note else ''}")
    return decision


def _without(decision: Decision, refusal: Refuse | Defer, words: str) -> Decision:
    """The decision turned into a refusal by what stands outside the grants; one that refuses already stays as it is."""
    if not decision.allowed:
        return decision
    earlier: list[Step] = [replace(one, decided=False) for one in decision.trace]
    return Decision(refusal, (*earlier, step(words, decided=True)), decision.valid_until)
