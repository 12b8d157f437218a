"""Why was this decided: the rule path of then, what would be decided now, the nearest grant that is missing, and who may give it."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from typing import Final

from gateway.directory import names
from gateway.directory.faults import Code, Fault
from gateway.directory.mailboxes import read_rights
from gateway.explain import Explained, names_in, told
from gateway.message.canonical import read_address
from gateway.questions import Question, Supposed, calendar_of, judge, judge_all, stand_at, target_of, who_may
from gateway.refusals import Refusals
from gateway.suggestion import Suggestion as Suggestion
from gateway.suggestion import line
from gateway.trace import read_trace
from gateway.why_refused import WhyRefused, why_refused
from policy.folders import FolderOp
from policy.grantees import Grantee, GranteeKind
from policy.grants import FolderEntry, SendGrant, SendRight, entries_that_count
from policy.identity import AccountId, Address, BadAddress
from policy.rights import LETTERS, Right, spell_letters
from store import accounts, audit, grants, refusals
from store.addresses import ObjectKind
from store.audit import AuditEntry, AuditRow
from store.errors import Busy
from store.port import Store, Tx

GIVERS: Final = 20
"""Persons besides the owner that are named as those who may give a right."""
_CHANGE: Final = "change grants: "
_SENDING: Final = (SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF)
_WORDS: Final = re.compile(r"(postpone|envelope): ")


@dataclass(frozen=True, slots=True)
class Why:
    """One record, explained. `then`: the steps as they were recorded, the deciding ones marked; `now` None: what was asked about is
    gone, or it was no question of rights. `no_grant`: why no grant would change it, where it is refused and none would."""

    row: AuditRow
    then: Sequence[tuple[str, bool]]
    now: Explained | None
    suggestions: Sequence[Suggestion]
    no_grant: str


class Reasons:
    """Every method raises Fault."""

    def __init__(self, store: Store, waiting: Refusals | None = None) -> None:
        self._store = store
        self._waiting = waiting

    async def refused(self, decision: str) -> WhyRefused | None:
        """What was refused under this id and is not on record, since it was no delegated act; None where there was no such."""
        missing: Busy | None = None
        if self._waiting is not None:
            try:
                await self._waiting.write_all()
            except Busy as fault:
                missing = fault
        async with self._store.snapshot() as snapshot:
            row = await snapshot.ask(refusals.by_decision, _wanted(decision))
            if row is None and missing is not None and not await snapshot.work(audit.by_decision, _wanted(decision)):
                raise Fault(Code.TEMPORARILY_UNAVAILABLE, str(missing))
            return None if row is None else await snapshot.work(why_refused, row)

    async def why(self, decision: str) -> Sequence[Why]:
        """Every record under this decision id."""
        wanted = _wanted(decision)
        async with self._store.snapshot() as snapshot:
            rows = await snapshot.work(audit.by_decision, wanted)
            if not rows:
                raise Fault(Code.INVALID_REQUEST, f"no decision is on record under {decision}")
            found = []
            for row in rows:
                steps = read_trace(row.entry.trace)
                call = names.caller(await names_in(snapshot, steps))
                then = [(one.named(call), one.decided) for one in steps] or ([(row.entry.because, True)] if row.entry.because else [])
                asked = await snapshot.ask(asked_by, row.entry)
                now: Explained | None = None
                suggested: Sequence[Suggestion] = ()
                no_grant = ""
                if asked is not None:
                    actor, about = asked
                    judged = await snapshot.ask(judge_all, actor, about)
                    now = None if judged is None else await told(snapshot, judged)
                    if judged is not None and not judged.allowed:
                        suggested, no_grant = await snapshot.work(nearest, actor, about)
                    elif judged is None:
                        no_grant = "what was asked about is not there"
                elif not row.entry.allowed:
                    no_grant = "what was asked for is nobody's to give, or is gone"
                found.append(Why(row, then, now, suggested, no_grant))
            return found


def _wanted(decision: str) -> str:
    return decision.strip().strip("[]")


def asked_by(tx: Tx, entry: AuditEntry) -> tuple[AccountId, Question] | None:
    """The question that this record answered, so that it can be asked again; None where it answered none about a grant."""
    if entry.actor is None or entry.principal is None:
        return None
    actor, owner, event = AccountId(entry.actor), AccountId(entry.principal), _WORDS.sub("", entry.event)
    address = _address(entry.detail)
    match event:
        case "folder access":
            asked = _folder_question(entry, owner)
            return None if asked is None else (actor, asked)
        case "login as":
            return actor, Question(owner, (SendRight.LOGIN_AS,))
        case "answer invitation":
            return actor, Question(owner, operations=(FolderOp.ACCEPT,), path=calendar_of(tx, owner))
        case "send-as":
            return actor, Question(owner, (SendRight.SEND_AS,))
        case "on-behalf":
            return actor, Question(owner, _SENDING)
        case "post":
            return actor, Question(owner, (SendRight.SEND_TO_LIST,))
        case "send" | "rewrite":
            if entry.right == "x":
                return actor, Question(owner, operations=(FolderOp.ACCEPT,), path=calendar_of(tx, owner))
            if entry.right == SendRight.SEND_TO_LIST:
                return actor, Question(owner, (SendRight.SEND_TO_LIST,))
            return (actor, Question(owner, _SENDING, address)) if entry.right else None
        case _:
            return (actor, Question(owner, _SENDING, address)) if event == "envelope" else None


def _folder_question(entry: AuditEntry, owner: AccountId) -> Question | None:
    if entry.right.startswith(_CHANGE):
        try:
            gives = read_rights(entry.right.removeprefix(_CHANGE))
        except Fault:
            return None
        return Question(owner, operations=(FolderOp.ADMINISTER,), path=entry.detail, gives=gives)
    try:
        operation = FolderOp(entry.right)
    except ValueError:
        return None
    return Question(owner, operations=(operation,), path=entry.detail)


def _address(text: str) -> Address | None:
    try:
        return read_address(text)
    except BadAddress:
        return None


# --- what is missing


@dataclass(frozen=True, slots=True)
class _Candidate:
    supposed: Supposed
    apply: Sequence[str]
    undo: Sequence[str]
    replaces: str


def nearest(tx: Tx, actor: AccountId, question: Question) -> tuple[Sequence[Suggestion], str]:
    """Grants that would each allow what is refused, the smallest first (one for each right that would do); or why none would. Each was
    tried by the judgement itself. Ask by `work`."""
    found: list[Suggestion] = []
    row = accounts.by_id(tx, actor)
    refused = judge_all(tx, actor, question)
    if row is None or refused is None:
        return (), "what was asked about is gone"
    held = judge(tx, actor, question)
    if held is not None and held.allowed:
        # The grant is there: it is the actor's own status that stands in the way.
        return (), f"no grant would change it: {refused.because}"
    for candidates in _candidates(tx, actor, question):
        for one in candidates:
            decision = judge(tx, actor, question, one.supposed)
            if decision is not None and decision.allowed:
                found.append(Suggestion(one.apply, one.undo, one.replaces, _givers(tx, question, one.supposed)))
                break
    return found, "" if found else _why_none(tx, actor, question)


def _why_none(tx: Tx, actor: AccountId, question: Question) -> str:
    """With everything granted it is still refused: so says the judgement."""
    if question.operations:
        supposed = Supposed(entry=FolderEntry(Grantee(GranteeKind.ACCOUNT, actor), Right((1 << 11) - 1)))
        decision = judge(tx, actor, question, supposed)
    else:
        supposed = Supposed(grant=SendGrant(question.principal, Grantee(GranteeKind.ACCOUNT, actor), question.rights[0]))
        decision = judge(tx, actor, question, supposed)
    words = None if decision is None else decision.deciding
    if decision is None or words is None:
        return "no grant would change it"
    call = names.caller(names.names_of(tx, frozenset(part for part in words.parts if isinstance(part, Grantee))))
    return f"no grant would change it: {words.named(call)}"


def _candidates(tx: Tx, actor: AccountId, question: Question) -> Iterator[Iterable[_Candidate]]:
    """For each right that would do, what could be tried, the smallest change first."""
    grantee = Grantee(GranteeKind.ACCOUNT, actor)
    if question.operations:
        yield _entries(tx, actor, grantee, question)
        return
    target = target_of(tx, question)
    if target is None:
        return
    kind = "account" if target.kind is ObjectKind.ACCOUNT else "dl"
    on, to = str(target.address), _name(tx, actor)
    for right in question.rights:
        there = grants.send_grants_on(tx, target.id, right)
        own = next((one for one in there if one.grantee == grantee), None)
        back = [line("revokeRight", kind, on, "usr", to, right)] if own is None else [_granted(kind, on, to, own)]
        replaced = "" if own is None else _granted(kind, on, to, own)
        tried = []
        if own is not None and own.deny:
            # What denies the person alone may be all that stands in the way.
            supposed = Supposed(grant=own, gone=True)
            tried.append(_Candidate(supposed, [line("revokeRight", kind, on, "usr", to, f"-{right}")], back, replaced))
        given = SendGrant(target.id, grantee, right)
        tried.append(_Candidate(Supposed(grant=given), [line("grantRight", kind, on, "usr", to, right)], back, replaced))
        yield tried


def _entries(tx: Tx, actor: AccountId, grantee: Grantee, question: Question) -> Iterator[_Candidate]:
    owner = AccountId(question.principal)
    stand = stand_at(tx, actor, owner, question.path)
    if stand is None or stand.row is None or not stand.facts.levels:
        return
    own = next((one for one in stand.facts.levels[0].entries if one.grantee == grantee), None)
    counting = next((one.entry for one in entries_that_count(stand.facts.levels, tx.now)[0] if one.entry.grantee == grantee), None)
    base = Right.NONE if counting is None else counting.rights
    on, to = str(stand.owner.address), _name(tx, actor)
    none = line("selectMailbox", on, "modifyFolderGrant", question.path, "account", to, "none")
    back = [none] if own is None else [_entered(on, question.path, to, own)]
    replaced = "" if own is None else _entered(on, question.path, to, own)
    if own is not None:
        yield _Candidate(Supposed(entry=own, gone=True), [none], back, replaced)
    for count in range(1, len(LETTERS) + 1):
        for letters in combinations(LETTERS, count):
            rights = base
            for letter in letters:
                rights |= LETTERS[letter]
            if "i" in letters and Right.READ in rights:
                rights |= Right.CREATE
            if rights == base and counting is not None:
                continue
            # What is added to an entry that ends, ends with it: as SETACL does it.
            timed = (counting.not_before, counting.expires, counting.note) if counting is not None and base else (None, None, "")
            entry = FolderEntry(grantee, rights, *timed)
            yield _Candidate(Supposed(entry=entry), [_entered(on, question.path, to, entry)], back, replaced)


def _granted(kind: str, on: str, to: str, one: SendGrant) -> str:
    waits = [] if one.undo_window is None else [f"--undo-window={one.undo_window}s"]
    return line("grantRight", kind, on, "usr", to, f"{'-' if one.deny else ''}{one.right}", *_times(one), *waits)


def _entered(on: str, path: str, to: str, one: FolderEntry) -> str:
    block = [] if one.rights else ["--block"]
    return line("selectMailbox", on, "modifyFolderGrant", path, "account", to, spell_letters(one.rights), *block, *_times(one))


def _times(one: SendGrant | FolderEntry) -> list[str]:
    said = []
    for option, moment in (("--from", one.not_before), ("--until", one.expires)):
        if moment is not None:
            said.append(f"{option}={datetime.fromtimestamp(moment // 1_000_000, UTC).replace(microsecond=moment % 1_000_000).isoformat()}")
    return [*said, *([f"--note={one.note}"] if one.note else [])]


def _name(tx: Tx, account: AccountId) -> str:
    row = accounts.by_id(tx, account)
    return "" if row is None else str(row.address)


def _givers(tx: Tx, question: Question, supposed: Supposed) -> Sequence[str]:
    """The owner; on folders, those who hold `a` and every right that is given; the administrators of the domain."""
    target = target_of(tx, question)
    if target is None:
        return ()
    said: list[str] = []
    if target.kind is ObjectKind.ACCOUNT:
        said.append(str(target.address))
    if question.operations and supposed.entry is not None:
        gives = Right.NONE if supposed.gone else supposed.entry.rights
        asked = replace(question, operations=(FolderOp.ADMINISTER,), gives=gives)
        found, more = who_may(tx, asked, GIVERS)
        said += [str(one.account.address) for one in found if one.account.id != question.principal]
        said += ["others who hold 'a' on the folder"] if more else []
    said.append(f"an administrator of {names.shown_domain(target.address.domain)}")
    return said
