"""Which right each folder operation needs, and which flags of a change are permitted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from types import MappingProxyType

from policy.decision import Decision, Step, step
from policy.grants import Held, Level, Standing, rights_of, trace_rights
from policy.identity import AccountId
from policy.reasons import Defer, Reason, Refuse
from policy.rights import READ_ONLY_RIGHTS, Right, spell_letters, spell_right
from policy.status import Access


class FolderOp(StrEnum):
    """The rows of delegation.md section 2's table, one question each; an operation on two folders asks twice."""

    SEE = "see"  # LIST, LSUB, SUBSCRIBE, MYRIGHTS
    READ = "read"  # SELECT, EXAMINE, STATUS, FETCH, SEARCH, COPY out of
    MARK_SEEN = "mark seen"  # STORE ±\Seen
    MARK_DELETED = "mark deleted"  # STORE ±\Deleted
    MARK = "mark"  # STORE any other flag or keyword
    CHANGE_FLAGS = "change flags"  # any of the three: the service applies what permitted_flags leaves
    INSERT = "insert"  # APPEND, COPY into, MOVE into
    TAKE_OUT = "take out"  # MOVE out of, REPLACE's source: r t e
    REPLACE_DRAFT = "replace draft"  # inside a \Drafts folder: r w
    EXPUNGE = "expunge"
    CREATE = "create"  # asked of the parent
    RENAME = "rename"  # x on the folder; CREATE is asked of the new parent besides
    DELETE = "delete"
    ADMINISTER = "administer"  # GETACL, SETACL, DELETEACL, LISTRIGHTS
    QUOTA = "quota"
    GET_METADATA = "get metadata"
    SET_METADATA = "set metadata"
    ACCEPT = "accept invitations"  # x: ACTION


class SpecialUse(StrEnum):
    """RFC 6154, as stored; INBOX and CALENDAR are ours."""

    INBOX = "inbox"
    DRAFTS = "drafts"
    SENT = "sent"
    TRASH = "trash"
    JUNK = "junk"
    ARCHIVE = "archive"
    CALENDAR = "calendar"  # made with the account, not listed over IMAP


@dataclass(frozen=True, slots=True)
class FolderFacts:
    """What the store says about a folder and its owner. `levels` from the folder up to the root."""

    actor: Standing
    owner: AccountId
    owner_address: str
    access: Access  # BY_GRANT, UNAVAILABLE or HIDDEN (policy.status.owner_access)
    read_only: bool  # the owner is locked and delegation_when_locked = read
    levels: Sequence[Level]
    special_use: SpecialUse | None = None
    is_root: bool = False
    seen_private: bool = False


@dataclass(frozen=True, slots=True)
class FlagChange:
    """Which flags a change touches: three classes, since three rights govern them."""

    seen: bool = False
    deleted: bool = False
    others: bool = False

    def __bool__(self) -> bool:
        return self.seen or self.deleted or self.others


@dataclass(frozen=True, slots=True)
class Need:
    """What an operation needs besides `l`: all of `rights`, or with `any_of` one of them."""

    rights: Right
    any_of: bool = False

    def missing(self, held: Right) -> Right:
        """What of it is not held; NONE: it is met."""
        # Plain numbers, as in rights.py: most commands ask this.
        needed, met = int(self.rights), int(self.rights) & int(held)
        if met == needed or (met and self.any_of):
            return Right.NONE
        return self.rights if self.any_of else Right(needed & ~met)


NEEDS: Mapping[FolderOp, Need] = MappingProxyType(
    {
        FolderOp.SEE: Need(Right.NONE),
        FolderOp.READ: Need(Right.READ),
        FolderOp.MARK_SEEN: Need(Right.SEEN),
        FolderOp.MARK_DELETED: Need(Right.DELETE_MESSAGES),
        FolderOp.MARK: Need(Right.WRITE),
        FolderOp.CHANGE_FLAGS: Need(Right.SEEN | Right.WRITE | Right.DELETE_MESSAGES, any_of=True),
        FolderOp.INSERT: Need(Right.INSERT),
        FolderOp.TAKE_OUT: Need(Right.READ | Right.DELETE_MESSAGES | Right.EXPUNGE),
        FolderOp.REPLACE_DRAFT: Need(Right.READ | Right.WRITE),
        FolderOp.EXPUNGE: Need(Right.EXPUNGE),
        FolderOp.CREATE: Need(Right.CREATE),
        FolderOp.RENAME: Need(Right.DELETE_FOLDER),
        FolderOp.DELETE: Need(Right.DELETE_FOLDER),
        FolderOp.ADMINISTER: Need(Right.ADMIN),
        FolderOp.QUOTA: Need(Right.READ),
        FolderOp.GET_METADATA: Need(Right.READ),
        FolderOp.SET_METADATA: Need(Right.WRITE),
        FolderOp.ACCEPT: Need(Right.ACTION),
    }
)
"""The right that each row of delegation.md section 2's table asks for."""

_REPLACE = Need(Right.INSERT | Right.READ | Right.DELETE_MESSAGES | Right.EXPUNGE)

_UNSEEN = Refuse(Reason.FOLDER_UNKNOWN)
_SEEN, _DELETE_MESSAGES, _WRITE = int(Right.SEEN), int(Right.DELETE_MESSAGES), int(Right.WRITE)


def rights_on(facts: FolderFacts, now: int) -> Right:
    """The rights as they count now, the owner's status included: NONE when hidden, without every changing right when read-only."""
    return _by_status(facts, rights_of(facts.actor, facts.owner, facts.levels, now).rights)


def _is_owner(facts: FolderFacts) -> bool:
    return facts.actor.account == facts.owner


def _by_status(facts: FolderFacts, granted: Right) -> Right:
    if _is_owner(facts):
        return granted
    if facts.access is Access.HIDDEN:
        return Right.NONE
    return granted & READ_ONLY_RIGHTS if facts.read_only else granted


def _need(op: FolderOp, facts: FolderFacts, held: Right) -> Need:
    """REPLACE within one folder needs i r t e; in a \\Drafts folder r w is enough besides."""
    if op is FolderOp.REPLACE_DRAFT and (facts.special_use is not SpecialUse.DRAFTS or not _REPLACE.missing(held)):
        return _REPLACE
    return NEEDS[op]


def judge_folder(op: FolderOp, facts: FolderFacts, now: int) -> Decision:
    """Without `l`: FOLDER_UNKNOWN, whatever was asked. Rights are judged before status. The trace names grant and group path.

    ACCEPT alone needs no `l`: it is asked about a message, not about a folder the actor would see (section 7).
    """
    held = rights_of(facts.actor, facts.owner, facts.levels, now)
    refusal, last = _verdict(op, facts, held)
    if _is_owner(facts):
        steps: tuple[Step, ...] = (step("the actor owns the mailbox and holds every right", decided=refusal is None),)
    else:
        needed = (_need(op, facts, held.rights).rights or Right.LOOKUP) if refusal is None else Right.NONE
        steps = trace_rights(facts.actor, facts.levels, now, needed)
    if facts.actor.scope is not None:
        steps = (*steps, step(f"the app password {facts.actor.scope.name} narrows what is held to {spell_letters(held.rights)}"))
    return Decision(refusal, (*steps, *last), held.valid_until)


def _verdict(op: FolderOp, facts: FolderFacts, held: Held) -> tuple[Refuse | Defer | None, tuple[Step, ...]]:
    """The refusal, and the step that says what was missing."""
    counting = _by_status(facts, held.rights)
    if (facts.access is Access.HIDDEN and not _is_owner(facts)) or (op is not FolderOp.ACCEPT and Right.LOOKUP not in counting):
        return _UNSEEN, (_why_none(held, Right.LOOKUP, "nothing"),)
    need = _need(op, facts, held.rights)
    missing = need.missing(held.rights)
    if missing:
        either = "one of " if need.any_of else ""
        scope = facts.actor.scope
        detail = f"you need {either}{spell_right(missing)} on this folder; ask {facts.owner_address}"
        if scope is not None and missing & ~scope.rights:
            detail = f"you need {either}{spell_right(missing)}, which the app password {scope.name} does not allow"
        return Refuse(Reason.RIGHT_MISSING, detail), (_why_none(held, missing, ""),)
    offence = _protected(op, facts)
    if offence:
        return Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, offence), (step(offence, decided=True),)
    withheld = need.missing(counting)
    if withheld:
        detail = f"{spell_right(withheld)} does not count while the owner's account is locked; ask {facts.owner_address}"
        return Refuse(Reason.RIGHT_MISSING, detail), (_why_none(held, withheld, "reading only"),)
    if facts.access is Access.UNAVAILABLE and op is not FolderOp.SEE and not _is_owner(facts):
        detail = "the owner's account is in maintenance"
        return Defer(Reason.OWNER_MAINTENANCE, detail), (step(detail, decided=True),)
    return None, ()


def _why_none(held: Held, missing: Right, left: str) -> Step:
    """The step that says why: the right is not granted, or it is and the owner's status leaves less to delegates."""
    if missing & ~held.rights:
        return step(f"missing: {spell_right(missing)}; held: {spell_letters(held.rights)}", decided=True)
    return step(f"granted, but the status of the owner's account leaves {left} to delegates", decided=True)


def _protected(op: FolderOp, facts: FolderFacts) -> str:
    """Why this folder may not be renamed or deleted by anybody, or by anybody but its owner; empty: it may."""
    if op not in {FolderOp.RENAME, FolderOp.DELETE}:
        return ""
    verb = "deleted" if op is FolderOp.DELETE else "renamed"
    if facts.is_root:
        return f"the root of a mailbox cannot be {verb}"
    if facts.special_use is SpecialUse.INBOX and op is FolderOp.DELETE:
        return "INBOX cannot be deleted"
    if facts.special_use is not None and not _is_owner(facts):
        return f"this folder has a special use and can be {verb} by its owner only"
    return ""


@lru_cache(maxsize=256)  # at each STORE, by people who mostly hold the same
def permitted_flags(change: FlagChange, held: Right) -> FlagChange:
    """What is left of a change (RFC 4314 section 4): s for \\Seen, t for \\Deleted, w for the rest."""
    bits = int(held)  # flags of an enum are asked ten times as slowly
    return FlagChange(
        seen=change.seen and bits & _SEEN != 0,
        deleted=change.deleted and bits & _DELETE_MESSAGES != 0,
        others=change.others and bits & _WRITE != 0,
    )


_WRITING = int(Right.WRITE | Right.INSERT | Right.DELETE_MESSAGES | Right.EXPUNGE)
_SEEN = int(Right.SEEN)


def selectable_for_writing(held: Right, seen_private: bool) -> bool:
    """SELECT is read-write when any of s w i t e is held (s counts only where \\Seen is shared)."""
    return bool(int(held) & (_WRITING if seen_private else _WRITING | _SEEN))


def judge_grant_change(facts: FolderFacts, given: Right, taken: Right, now: int) -> Decision:
    """May the actor give and take these rights here? `a` is needed, and every right given or taken must be held.

    GRANT_NOT_POSSIBLE names what the actor lacks. An administrator of the domain is not asked this at all.
    """
    decision = judge_folder(FolderOp.ADMINISTER, facts, now)
    lacking = (given | taken) & ~rights_on(facts, now)
    if not decision.allowed or not lacking:
        return decision
    detail = f"who lacks {spell_right(lacking)} can neither give nor take it"
    earlier = (replace(one, decided=False) for one in decision.trace)
    return Decision(Refuse(Reason.GRANT_NOT_POSSIBLE, detail), (*earlier, step(detail, decided=True)), decision.valid_until)
