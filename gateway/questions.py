"""May this account do this? Every question there is about delegation, answered in one transaction by those who answer it at the doors."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.folders.standpoint import NOBODY, Standpoint, look_by_path, standpoint
from gateway.rates import reached_first, too_much
from gateway.sending import may_log_in_as, out_of_room, send_right_as
from policy.decision import Decision, Step, step
from policy.folders import FolderOp, SpecialUse
from policy.grantees import Grantee, GranteeKind
from policy.grants import FolderEntry, Level, SendGrant, SendRight, Standing, earliest
from policy.identity import AccountId, Actor, Address
from policy.login import FOREVER, lockout_end
from policy.rates import limits
from policy.reasons import Defer, Reason, Refuse
from policy.rights import Right, spell_letters
from policy.status import login_after_password, owner_sending
from store import accounts, addresses, breakglass, folders, freezes, grants, lists, login
from store.addresses import ObjectKind, Resolved
from store.freezes import Side
from store.model import AccountRow
from store.port import Tx
from store.rates import Counts, used

CANDIDATES: Final = 200_000
"""Accounts that are asked about for one question; sites are smaller."""


WINDOWS: Final = 10_000
"""Break-glass windows among which open ones are looked for: they last a day at most."""


class Act(StrEnum):
    """What people ask about, in their words."""

    SEE = "see"
    READ = "read"
    WRITE = "write"
    INSERT = "insert"
    DELETE = "delete"
    CREATE = "create"
    ADMINISTER = "administer"
    ACCEPT = "accept"
    SEND_AS = "send-as"
    SEND_ON_BEHALF_OF = "send-on-behalf-of"
    POST = "post"
    LOGIN_AS = "login-as"


OPERATIONS: Final[Mapping[Act, tuple[FolderOp, ...]]] = MappingProxyType(
    {
        Act.SEE: (FolderOp.SEE,),
        Act.READ: (FolderOp.READ,),
        Act.WRITE: (FolderOp.MARK,),
        Act.INSERT: (FolderOp.INSERT,),
        Act.DELETE: (FolderOp.MARK_DELETED, FolderOp.EXPUNGE),
        Act.CREATE: (FolderOp.CREATE,),
        Act.ADMINISTER: (FolderOp.ADMINISTER,),
        Act.ACCEPT: (FolderOp.ACCEPT,),
    }
)
RIGHTS: Final[Mapping[Act, SendRight]] = MappingProxyType(
    {
        Act.SEND_AS: SendRight.SEND_AS,
        Act.SEND_ON_BEHALF_OF: SendRight.SEND_ON_BEHALF_OF,
        Act.POST: SendRight.SEND_TO_LIST,
        Act.LOGIN_AS: SendRight.LOGIN_AS,
    }
)
_SENDING: Final = frozenset({SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF})
_BY_MAIL: Final = _SENDING | {SendRight.SEND_TO_LIST}
_FROZEN: Final = {Side.PRINCIPAL: Reason.PRINCIPAL_FROZEN, Side.ACTOR: Reason.ACTOR_FROZEN}
assert OPERATIONS.keys() | RIGHTS.keys() == set(Act)


@dataclass(frozen=True, slots=True)
class Question:
    """May somebody do this to `principal` (an account's or list's id)?

    Either `rights`, of which one is enough, on `address` (None: the primary one); or all of `operations` on the folder `path`, where
    `gives` are the rights that are to be given there besides.
    """

    principal: int
    rights: tuple[SendRight, ...] = ()
    address: Address | None = None
    operations: tuple[FolderOp, ...] = ()
    path: str = ""
    gives: Right = Right.NONE


@dataclass(frozen=True, slots=True)
class Supposed:
    """A grant as it would be: a send grant in the place of that grantee's, or an entry on the folder that is asked about; `gone`: which
    there is not any more."""

    grant: SendGrant | None = None
    entry: FolderEntry | None = None
    gone: bool = False

    def grants(self, there: Sequence[SendGrant]) -> Sequence[SendGrant]:
        """With it instead of what it replaces."""
        one = self.grant
        if one is None:
            return there
        left = [other for other in there if (other.target, other.grantee, other.right) != (one.target, one.grantee, one.right)]
        return left if self.gone else [*left, one]

    def levels(self, there: Sequence[Level]) -> Sequence[Level]:
        """The first level with it instead of what it replaces."""
        one = self.entry
        if one is None:
            return there
        here, *above = there
        left = [other for other in here.entries if other.grantee != one.grantee]
        return [replace(here, entries=left if self.gone else [*left, one]), *above]


NOTHING: Final = Supposed()


def judge(tx: Tx, actor: AccountId, question: Question, supposed: Supposed = NOTHING) -> Decision | None:
    """What would be decided now, the actor's own status left aside. None: there is no such actor, owner or folder."""
    decision = _judge(tx, actor, question, supposed)
    row = accounts.by_id(tx, actor) if _goes_out(question) else None
    full = None if row is None else out_of_room(row)
    return decision if decision is None or full is None else without(decision, full, f"but {full.detail}")


def _goes_out(question: Question) -> bool:
    """Does it end in a message?"""
    return not _BY_MAIL.isdisjoint(question.rights) or FolderOp.ACCEPT in question.operations


def _judge(tx: Tx, actor: AccountId, question: Question, supposed: Supposed) -> Decision | None:
    if question.operations:
        return _judge_folder(tx, actor, question, supposed)
    standing = lists.standing(tx, actor)
    found = target_of(tx, question)
    if standing is None or found is None:
        return None
    judged = [_judge_right(tx, standing, found, right, supposed) for right in question.rights]
    held = next((one for one in judged if one.allowed), None)
    if held is None:
        return Decision(judged[0].refusal, tuple(one for decision in judged for one in decision.trace), judged[0].valid_until)
    if found.id == actor:
        return held
    owner = accounts.by_id(tx, AccountId(found.id)) if found.kind is ObjectKind.ACCOUNT else None
    if SendRight.LOGIN_AS in question.rights and owner is not None:
        barred = login_after_password(owner.status)
        return held if barred is None else without(held, barred, f"but {owner.address} is {owner.status}: nobody logs in as it")
    if _SENDING.isdisjoint(question.rights):
        return held
    held = _within_limits(tx, _stopped(tx, held, actor, found.id), actor, found, owner)
    withheld = None if owner is None else owner_sending(owner.status, owner.values.delegation_when_locked)
    if withheld is None or owner is None:
        return held
    return without(held, withheld, f"but {owner.address} is {owner.status}: nobody sends in its name")


def _stopped(tx: Tx, decision: Decision, actor: AccountId, principal: int) -> Decision:
    """The kill switches, for what is sent in another's name."""
    if principal == actor or not decision.allowed:
        return decision
    for side, number in ((Side.PRINCIPAL, principal), (Side.ACTOR, int(actor))):
        frozen = freezes.one(tx, number, side)
        who = addresses.primary(tx, number)
        if frozen is not None and who is not None:
            told = f"{who.address} is frozen as {side}"
            return without(decision, Refuse(_FROZEN[side], told), f"but {told}{f' ({frozen.note})' if frozen.note else ''}")
    return decision


def _within_limits(tx: Tx, decision: Decision, actor: AccountId, found: Resolved, owner: AccountRow | None) -> Decision:
    """What is left of the limits now, and how long it would wait."""
    row = accounts.by_id(tx, actor)
    if not decision.allowed or row is None:
        return decision
    values = (owner or row).values
    pair = (found.id, values.delegated_send_rate, values.delegated_send_recipient_rate)
    counting = limits(row.id, (row.values.send_rate, row.values.send_recipient_rate), (pair,))
    why = reached_first(tx, counting)
    if why is not None:
        refusal = too_much(why, found.address if why.limit.principal else None)
        return without(decision, refusal, f"but {refusal.detail}")
    told = [
        step(f"{used(tx, one, counts)} of {rate} {counts} {'in this name' if one.principal else 'in any name'}")
        for one in counting
        for counts, rate in ((Counts.MESSAGES, one.messages), (Counts.RECIPIENTS, one.recipients))
        if rate
    ]
    waits = values.undo_window if decision.undo_window is None else decision.undo_window
    told += [step(f"it waits {waits} s, and can be recalled so long")] if waits else []
    return replace(decision, trace=(*decision.trace, *told))


def _judge_right(tx: Tx, standing: Standing, found: Resolved, right: SendRight, supposed: Supposed) -> Decision:
    if right is SendRight.LOGIN_AS:
        return may_log_in_as(tx, standing, AccountId(found.id), supposed.grants)
    return send_right_as(tx, standing, found, right, supposed.grants)


def target_of(tx: Tx, question: Question) -> Resolved | None:
    """The account or list that is asked about, by the address that was named while it still has it."""
    found = None if question.address is None else addresses.resolve(tx, question.address)
    return found if found is not None and found.id == question.principal else addresses.primary(tx, question.principal)


def _judge_folder(tx: Tx, actor: AccountId, question: Question, supposed: Supposed) -> Decision | None:
    stand = stand_at(tx, actor, AccountId(question.principal), question.path, supposed)
    if stand is None or stand.row is None:
        return None
    decision = None
    for operation in question.operations:
        decision = stand.judge(operation, tx.now)
        if decision.allowed and question.gives and actor != question.principal:
            decision = stand.judge_grant(question.gives, Right.NONE, tx.now)
        if not decision.allowed:
            break
    if decision is not None and FolderOp.ACCEPT in question.operations:
        decision = _stopped(tx, decision, actor, question.principal)
    return decision


def stand_at(tx: Tx, actor: AccountId, owner: AccountId, path: str, supposed: Supposed = NOTHING) -> Standpoint | None:
    """None: the actor or the owner is gone."""
    acting = addresses.primary(tx, actor)
    look = None if acting is None else look_by_path(tx, Actor(actor, acting.address), owner, path)
    if look is None or look.owner is None or look.owner.id == NOBODY:
        return None
    return standpoint(look.standing, look.owner, look.path, supposed.levels(look.levels), look.row, tx.now)


def calendar_of(tx: Tx, owner: AccountId) -> str:
    """Where `x` is asked about."""
    found = folders.by_special_use(tx, owner, SpecialUse.CALENDAR)
    return "/" if found is None else found.path


def barred(tx: Tx, row: AccountRow) -> tuple[Refuse | Defer, str] | None:
    """Why this account cannot act at all now: nobody acts without having logged in."""
    refusal = login_after_password(row.status)
    if refusal is not None:
        return refusal, f"but {row.address} is {row.status} and cannot log in"
    until = lockout_end(login.history(tx, row.id), row.values, tx.now)
    if until is not None:
        end = "until an administrator ends it" if until >= FOREVER else "for a while"
        return Refuse(Reason.BAD_CREDENTIALS, "lockout"), f"but {row.address} is locked out {end}"
    return None


def without(decision: Decision, refusal: Refuse | Defer, words: str) -> Decision:
    """The decision turned into a refusal by what stands outside the grants; one that refuses already stays as it is."""
    if not decision.allowed:
        return decision
    earlier: list[Step] = [replace(one, decided=False) for one in decision.trace]
    return Decision(refusal, (*earlier, step(words, decided=True)), decision.valid_until)


def judge_all(tx: Tx, actor: AccountId, question: Question) -> Decision | None:
    """As `judge`, the actor's own status included: what would happen."""
    decision = judge(tx, actor, question)
    row = accounts.by_id(tx, actor)
    if decision is None or row is None:
        return None
    stopped = barred(tx, row)
    return decision if stopped is None else without(decision, *stopped)


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who may, and why."""

    account: AccountRow
    decision: Decision


def who_may(tx: Tx, question: Question, limit: int) -> tuple[Sequence[Holder], bool]:
    """Everybody who may do it now, by address; whether there are more than `limit`. None is left out who would be allowed: whoever holds
    something holds it by a grant that is stored, and all whom one matches are asked about. Who may log in as one of them is one, too:
    that session is the holder's (delegation.md section 10); there it ends, for nobody logs in as a third from it. Ask by `work`."""
    found: list[Holder] = []
    for account in _candidates(tx, question):
        decision = judge_all(tx, account, question)
        row = accounts.by_id(tx, account)
        if decision is not None and decision.allowed and row is not None:
            found.append(Holder(row, decision))
            if len(found) > limit:
                break
    if SendRight.LOGIN_AS not in question.rights:
        for one in _through_them(tx, question, found):
            if len(found) > limit:
                break
            found.append(one)
    found.sort(key=lambda one: str(one.account.address))
    return found[:limit], len(found) > limit


def _through_them(tx: Tx, question: Question, holders: Sequence[Holder]) -> Iterable[Holder]:
    """Who may not do it, but may log in as somebody who may; each once."""
    seen = {one.account.id for one in holders}
    sending = not _SENDING.isdisjoint(question.rights)
    for holder in [*holders]:
        if sending and freezes.one(tx, holder.account.id, Side.PRINCIPAL) is not None:
            continue
        asked = Question(holder.account.id, (SendRight.LOGIN_AS,))
        for account in _candidates(tx, asked):
            row = accounts.by_id(tx, account)
            if row is None or account in seen or (sending and freezes.one(tx, account, Side.ACTOR) is not None):
                continue
            entering = judge_all(tx, account, asked)
            if entering is not None and entering.allowed:
                seen.add(account)
                told = step(f"logging in as {holder.account.address}", decided=True)
                ends = earliest((entering.valid_until, holder.decision.valid_until))
                yield Holder(row, Decision(None, (told, *entering.trace, *holder.decision.trace), ends))


def _candidates(tx: Tx, question: Question) -> Iterable[AccountId]:
    grantees: list[Grantee] = []
    if question.operations:
        for level in grants.levels(tx, AccountId(question.principal), question.path):
            grantees += [entry.grantee for entry in level.entries]
    for right in question.rights:
        there = grants.send_grants_on(tx, question.principal, right)
        grantees += [one.grantee for one in there]
        if right is SendRight.LOGIN_AS:
            windows = breakglass.newest(tx, WINDOWS)
            grantees += [Grantee(GranteeKind.ACCOUNT, one.administrator) for one in windows if one.account == question.principal]
        if right is SendRight.SEND_TO_LIST and not there:
            grantees.append(Grantee(GranteeKind.ALL))
    seen: dict[AccountId, None] = {}
    if accounts.by_id(tx, AccountId(question.principal)) is not None:
        seen[AccountId(question.principal)] = None
    for grantee in dict.fromkeys(grantees):
        seen.update(dict.fromkeys(grants.accounts_matching(tx, grantee, CANDIDATES)))
    return seen


@dataclass(frozen=True, slots=True)
class Reach:
    """Something that an account may do: a right on an account or list, or letters on a folder and what is below it."""

    principal: int
    right: str
    path: str
    decision: Decision


def may_do(tx: Tx, actor: AccountId) -> Sequence[Reach]:
    """All that this account may do with what is others': rights to send, post and log in, then folders (those whose rights differ from
    the folder above). Lists that are open to everybody are left out. Its own status is left aside. Ask by `work`."""
    standing = lists.standing(tx, actor)
    if standing is None:
        return ()
    asked = {(one.target, one.right) for grantee in grants.grantees_of(standing) for one in grants.send_grants_to(tx, grantee)}
    found: list[Reach] = []
    for target, right in sorted(asked):
        decision = judge(tx, actor, Question(target, (right,)))
        if decision is not None and decision.allowed and target != actor:
            found.append(Reach(target, right, "", decision))
    for owner in grants.owners_granting(tx, standing):
        found += _folders_of(tx, standing, owner)
    return found


def _folders_of(tx: Tx, standing: Standing, owner: AccountId) -> Iterable[Reach]:
    row = accounts.by_id(tx, owner)
    if row is None:
        return
    levels = grants.mailbox_levels(tx, owner)
    held: dict[str, Right] = {}
    for path in sorted(levels):
        way = grants.way_up(path)
        stand = standpoint(standing, row, path, [levels.get(one) or Level(one, ()) for one in way], None, tx.now)
        held[path] = stand.held
        above = held.get(way[1], Right.NONE) if len(way) > 1 else Right.NONE
        if stand.held != above:
            operation = FolderOp.SEE if Right.LOOKUP in stand.held else FolderOp.ACCEPT
            yield Reach(owner, spell_letters(stand.held), path, stand.judge(operation, tx.now))
