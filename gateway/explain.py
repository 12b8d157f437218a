"""What may this person do, who may do this, and why: decisions with their trace in words, names instead of numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.directory import names
from gateway.directory.faults import Code, Fault
from gateway.directory.mailboxes import read_path
from gateway.questions import OPERATIONS, RIGHTS, Question, barred, calendar_of, judge_all, may_do, who_may
from gateway.questions import Act as Act
from gateway.sending import may_send, may_send_as_address
from policy.decision import Decision, Step
from policy.grantees import Grantee, GranteeKind
from policy.grants import SendRight
from store import folders, lists
from store.addresses import ObjectKind
from store.port import Snapshot, Store, Tx

LIMIT = 1000
"""Persons that are listed unless more are wanted."""


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


@dataclass(frozen=True, slots=True)
class Able:
    """Somebody who may, and why."""

    account: str
    why: Explained


@dataclass(frozen=True, slots=True)
class Reached:
    """Something that somebody may do: `right` (a send right, or letters) on `principal`'s folder `folder` ("": on it itself)."""

    principal: str
    right: str
    folder: str
    why: Explained


class Explain:
    """Asks the judgement of the doors themselves, so that what is told is what would happen. Every method raises Fault."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def can(self, actor: str, act: Act, owner: str, folder: str | None = None) -> Explained:
        """All of it: may the actor log in, is the right held, does the owner's status let it count? `folder` None: INBOX, or Calendar
        for `accept`."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, actor)
            asked = await question(snapshot, act, owner, folder)
            decision = await snapshot.ask(judge_all, row.id, asked)
            if decision is None:
                raise Fault(Code.NO_SUCH_FOLDER, asked.path if folder is None else folder)
            return await told(snapshot, decision)

    async def who_can(self, act: Act, owner: str, folder: str | None = None, limit: int = LIMIT) -> tuple[Sequence[Able], bool]:
        """Everybody who may, the owner included, by address; whether there are more."""
        async with self._store.snapshot() as snapshot:
            asked = await question(snapshot, act, owner, folder)
            found, more = await snapshot.work(who_may, asked, limit)
            explained = await told_all(snapshot, [one.decision for one in found])
            return [Able(names.shown(one.account.address), why) for one, why in zip(found, explained, strict=True)], more

    async def all_of(self, actor: str) -> Sequence[Reached]:
        """All that this account may do with what is others'; nothing where it cannot log in."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, actor)
            found = await snapshot.work(may_do, row.id)
            explained = await told_all(snapshot, [one.decision for one in found])
            called = {one.principal: await snapshot.ask(_called, one.principal) for one in found}
            return [Reached(called[one.principal], one.right, one.path, why) for one, why in zip(found, explained, strict=True)]

    async def cannot_act(self, actor: str) -> str:
        """Why this account can do nothing at all now; "" where it can log in."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, actor)
            stopped = await snapshot.ask(barred, row)
            return "" if stopped is None else stopped[1]

    async def holds(self, actor: str, right: SendRight, kind: ObjectKind, target: str) -> Explained:
        """Is this right held, by itself (checkRight)? Status is not looked at."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, actor)
            on = await (names.account(snapshot, target) if kind is ObjectKind.ACCOUNT else names.mailing_list(snapshot, target))
            standing = await snapshot.ask(lists.standing, row.id)
            if standing is None:
                raise Fault(Code.NO_SUCH_ACCOUNT, actor)
            found = await names.resolved(snapshot, target)
            if right in (SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF) and found is not None:
                decision = await may_send_as_address(snapshot, standing, found, right)
            else:
                decision = await may_send(snapshot, standing, on.id, right)
            return await told(snapshot, decision)


async def question(snapshot: Snapshot, act: Act, owner: str, folder: str | None) -> Question:
    """What is asked, with everything in it found. Raises Fault."""
    if act in OPERATIONS:
        of = await names.account(snapshot, owner)
        path = read_path(folder) if folder is not None else "/INBOX"
        if folder is None and act is Act.ACCEPT:
            path = await snapshot.ask(calendar_of, of.id)
        if await snapshot.ask(folders.by_path, of.id, path) is None:
            raise Fault(Code.NO_SUCH_FOLDER, folder if folder is not None else path)
        return Question(of.id, operations=OPERATIONS[act], path=path)
    found = await names.resolved(snapshot, owner)
    if found is None:
        raise Fault(Code.NO_SUCH_ACCOUNT, owner)
    if act is Act.POST and found.kind is not ObjectKind.LIST:
        raise Fault(Code.NO_SUCH_DISTRIBUTION_LIST, owner)
    if act is Act.LOGIN_AS and found.kind is not ObjectKind.ACCOUNT:
        raise Fault(Code.NO_SUCH_ACCOUNT, owner)
    return Question(found.id, (RIGHTS[act],), found.matched)


async def told(snapshot: Snapshot, decision: Decision) -> Explained:
    """In words."""
    (one,) = await told_all(snapshot, [decision])
    return one


async def told_all(snapshot: Snapshot, decisions: Sequence[Decision]) -> Sequence[Explained]:
    """Each in words, every name looked up once."""
    called = await names_in(snapshot, [one for decision in decisions for one in decision.trace])
    call = names.caller(called)
    explained = []
    for decision in decisions:
        deciding = decision.deciding
        through = deciding.group_path if deciding is not None else ()
        grantee = deciding.grantee if deciding is not None and deciding.decided else None
        explained.append(
            Explained(
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
        )
    return explained


async def names_in(snapshot: Snapshot, steps: Iterable[Step]) -> dict[Grantee, str]:
    """What every grantee in these steps is called."""
    grantees: set[Grantee] = set()
    for one in steps:
        grantees |= {part for part in one.parts if isinstance(part, Grantee)}
        grantees |= {Grantee(GranteeKind.GROUP, group) for group in one.group_path}
        if one.grantee is not None:
            grantees.add(one.grantee)
    return await snapshot.work(names.names_of, frozenset(grantees))


def _called(tx: Tx, principal: int) -> str:
    return names.name_of(tx, Grantee(GranteeKind.ACCOUNT, principal))
