"""Judged on a snapshot, done on its witness, on record: what everything that is done to folders has in common."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, TypeVar

from gateway.decisions import new_decision
from gateway.folders.records import Recorder, entry_of
from gateway.folders.standpoint import NOBODY, Act, Judged, Standpoint, look_by_id, look_by_path, standpoint
from gateway.folders.values import MissingTarget, Place, Visit
from gateway.grant_use import stood_on
from gateway.message.canonical import read_address
from gateway.refusal import Refused, later
from gateway.refusals import UNRECORDED, Budget
from policy.decision import Decision, Witness, step
from policy.folders import FolderOp
from policy.identity import AccountId, Actor, Address, BadAddress, FolderId
from policy.reasons import Defer, Reason, Refuse, Verdict
from policy.rights import Right
from store import folders
from store.audit import AuditEntry
from store.blobs import Files
from store.deeds import Audited
from store.errors import Busy, Conflict, LimitReached, NotFound, OverQuota, Stale
from store.port import Deed, Snapshot, Store
from store.tenure import ROUNDED, GrantsUsed, Used

log = logging.getLogger(__name__)
T = TypeVar("T")

PATIENCE: Final = 2.0
"""Seconds for which a judgement that went stale before its deed is judged again; then the answer is "later"."""
FIRST_PAUSE: Final = 0.002
LONGEST_PAUSE: Final = 0.1
"""Seconds between two judgements of one act, twice as many each time: who changes a thousand grants is through meanwhile."""
EXISTS: Final = Refuse(Reason.FOLDER_EXISTS)
UNKNOWN: Final = Refuse(Reason.FOLDER_UNKNOWN)
_NOT_THERE: Final = Decision(UNKNOWN, (step("there is no such folder", decided=True),))
BUSY: Final = Defer(Reason.BUSY)
HAS_CHILDREN: Final = Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "this name has folders below it")
REMEMBERED: Final = 500
"""Places of which it is remembered what was judged, some 2 KiB each."""
IN_THE_WAY: Final = Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "a folder of this name cannot be made")


@dataclass(frozen=True, slots=True)
class _Riding:
    """What goes along with a deed: records, and grants that are in use; `keys` and `used` say for what, once it is done."""

    entries: tuple[AuditEntry, ...]
    keys: Sequence[tuple[int, FolderOp]]
    uses: tuple[Used, ...]
    used: Sequence[tuple[int, FolderOp]]


_NOTHING: Final = _Riding((), (), (), ())


@dataclass(slots=True)
class _Remembered:
    """What was judged of a place, at which moment (store/moved.py), and what was done there since on the strength of it."""

    stand: Standpoint
    since: int
    allowed: tuple[FolderOp, ...] = ()


class Reading:
    """A snapshot, from when `first` is content with it. Raises Refused where the store is busy. A class, since most commands enter one:
    made of a generator it takes 11,000 instructions more."""

    __slots__ = ("_first", "_snapshot")

    def __init__(self, snapshot: AbstractAsyncContextManager[Snapshot], first: Callable[[Snapshot], Awaitable[None]] | None = None) -> None:
        self._snapshot = snapshot
        self._first = first

    async def __aenter__(self) -> Snapshot:
        try:
            snapshot = await self._snapshot.__aenter__()
        except Busy:
            raise Refused(BUSY) from None
        if self._first is not None:
            try:
                await self._first(snapshot)
            except BaseException as error:
                await self.__aexit__(type(error), error, error.__traceback__)
                raise
        return snapshot

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            await self._snapshot.__aexit__(kind, error, trace)
        except Busy:
            raise Refused(BUSY) from None
        if isinstance(error, Busy):
            raise Refused(BUSY) from None


class Judging:
    """Shared by the parts of the folders service. Every method raises Refused, and nothing else that is expected."""

    __slots__ = ("_budget", "_remembered", "_store", "moved", "recorder")

    def __init__(self, store: Store) -> None:
        self._store = store
        self.moved = store.moved
        self._remembered: OrderedDict[tuple[Actor, Place], _Remembered] = OrderedDict()
        self.recorder = Recorder(store)
        self._budget = Budget()

    def now(self) -> int:
        """Microseconds since 1970 UTC, as the store dates what comes."""
        return self._store.floor.now()

    def snapshot(self, first: Callable[[Snapshot], Awaitable[None]] | None = None) -> "Reading":
        """Raises Refused when no reader comes free, and as `first` does."""
        return Reading(self._store.snapshot(), first)

    async def brought(self, files: Files, reading: Callable[[], Awaitable[T]]) -> T:
        """What a reading of octets returns (store/blobs.py). Raises Refused where they cannot be had now."""
        try:
            return await files.brought(reading)
        except Busy as fault:
            log.warning("octets", extra={"fields": {"outcome": "not now", "reason": str(fault)}})
            raise Refused(BUSY) from None

    async def stand(self, snapshot: Snapshot, actor: Actor, where: Place | FolderId) -> Standpoint | None:
        """None: the actor is gone (or there is no such folder by its id). An owner that there is not is NOBODY, who shows nothing."""
        if isinstance(where, Place):
            owner: AccountId | Address = actor.account
            if where.owner is not None:
                try:
                    owner = read_address(where.owner)
                except BadAddress:
                    owner = NOBODY
            look = await snapshot.ask(look_by_path, actor, owner, where.path)
        else:
            look = await snapshot.ask(look_by_id, actor, where)
        if look is None or look.owner is None:
            return None
        stand = standpoint(look.standing, look.owner, look.path, look.levels, look.row, snapshot.now)
        valid_until = stand.judge(FolderOp.SEE, snapshot.now).valid_until
        return replace(stand, witness=await snapshot.witness(actor.account, *_person(actor), look.owner.id, valid_until=valid_until))

    async def stand_again(self, snapshot: Snapshot, actor: Actor, place: Place) -> Standpoint | None:
        """As `stand`, of a folder that is used again and again: looked at anew only when something has moved that it rests on. Figures of
        its row are of now; what the owner had used is not."""
        if self.moved is None:
            return await self.stand(snapshot, actor, place)
        found = self._remembered.get((actor, place))
        if found is not None:
            stand = found.stand
            row = await snapshot.ask(folders.by_id, stand.row.id) if stand.row is not None else None
            if row is not None and self.moved.stands(stand.witness, found.since, snapshot.now):
                self._remembered.move_to_end((actor, place))
                found.stand = stand.at(row)  # its UIDVALIDITY may be another
                return found.stand
        judged = await self.stand(snapshot, actor, place)
        if judged is not None and judged.row is not None and Right.LOOKUP in judged.held:
            self._remembered[actor, place] = _Remembered(judged.kept(actor), snapshot.moment)
            if len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return judged

    def assumed(self, visit: Visit, place: Place, op: FolderOp) -> Standpoint | None:
        """Where the owner has done this before, in an own folder: for a deed, since the writer confirms its witness. None: it has to be
        judged. Figures of the row may be older."""
        found = self._remembered.get((visit.actor, place))
        return found.stand if found is not None and op in found.allowed and is_own(visit, found.stand) else None

    def was_allowed(self, visit: Visit, place: Place, op: FolderOp) -> None:
        """It was judged, and done."""
        found = self._remembered.get((visit.actor, place))
        if found is not None and op not in found.allowed:
            found.allowed += (op,)

    def require(self, visit: Visit, stand: Standpoint, op: FolderOp, now: int) -> Decision:
        """The decision, which allows. Raises Refused, on record."""
        decision = stand.judge(op, now)
        if decision.refusal is not None:
            raise self.refused(visit, stand, op.value, decision)
        return decision

    def refused(self, visit: Visit, stand: Standpoint, asked: str, decision: Decision) -> Refused:
        """What to raise for a decision that refuses; it goes on record, unless the owner acts."""
        assert decision.refusal is not None
        if is_own(visit, stand):
            return Refused(decision.refusal)
        if not self._budget.spend(visit.actor.person):
            return Refused(replace(decision.refusal, decision=UNRECORDED))
        number = new_decision()
        # A folder that is not there is on record like one that may not be seen: that nobody waits for the record is not enough, for
        # it costs time that whoever asks often can measure.
        if not self.recorder.put(entry_of(visit, stand, asked, number, decision)):
            log.warning("a refusal could not be recorded", extra={"fields": {"decision": number, "actor": str(visit.actor.address)}})
        return Refused(replace(decision.refusal, decision=number))

    def note(self, visit: Visit, stand: Standpoint, op: FolderOp, decision: Decision, now: int | None = None) -> None:
        """Delegated reading goes on record once per session and right, before anything is read. Raises Refused when that cannot be.

        `now`: microseconds; where it is given, what else this session reads there counts as use after an hour only.
        """
        if is_own(visit, stand) or stand.row is None:
            return
        key = (stand.row.id, op)
        if key in visit.recorded:
            return
        uses = stood_on(decision, stand.facts.owner)
        if not self.recorder.put(entry_of(visit, stand, op.value, new_decision(), decision), uses):
            raise Refused(BUSY)
        visit.record((key,))
        if now is not None:
            visit.use((key,), now + ROUNDED)

    def mark(self, visit: Visit, stand: Standpoint, op: FolderOp, decision: Decision, now: int) -> None:
        """The grants behind reading that is on record already are in use still: told once an hour, and nobody waits for it."""
        visit.use(((0 if stand.row is None else stand.row.id, op),), now + ROUNDED)
        uses = () if is_own(visit, stand) else stood_on(decision, stand.facts.owner)
        if uses:
            self.recorder.put(GrantsUsed(uses))

    def _riding(self, visit: Visit, acts: Sequence[Act], now: int) -> _Riding:
        """The records that ride in a deed, and what is on record when it is done."""
        entries: list[AuditEntry] = []
        keys: list[tuple[int, FolderOp]] = []
        uses: list[Used] = []
        used: list[tuple[int, FolderOp]] = []
        for stand, op, decision in acts:
            if is_own(visit, stand):
                continue
            key = (0 if stand.row is None else stand.row.id, op)
            if now >= visit.used.get(key, 0):
                uses += stood_on(decision, stand.facts.owner)
                used.append(key)
            if stand.row is not None and key in visit.recorded:
                continue
            entries.append(entry_of(visit, stand, op.value, new_decision(), decision))
            keys.append(key)
        return _Riding(tuple(entries), keys, tuple(uses), used)

    async def act(
        self,
        visit: Visit,
        judge: Callable[[Snapshot], Awaitable[Judged[T]]],
        *,
        conflict: Verdict = IN_THE_WAY,
        assumed: tuple[Deed[T], Witness] | None = None,
    ) -> T:
        """Judge on a snapshot, do with its witness; when that went stale meanwhile, judge again.

        `assumed`: what was judged before on this witness, which the writer confirms; of the owner only, who leaves no record.
        `conflict`: what is said when the store finds something in the way that a second judgement does not see.
        """
        loop = asyncio.get_running_loop()
        ends = loop.time() + PATIENCE
        pause = FIRST_PAUSE
        conflicts = 0
        acts: tuple[Act, ...] = ()
        now = 0
        while True:
            if assumed is not None:
                deed, witness = assumed
                assumed = None
            else:
                async with self.snapshot() as snapshot:
                    deed, witness, acts = await judge(snapshot)
                    now = snapshot.now
            riding = self._riding(visit, acts, now) if acts else _NOTHING
            with_it = Audited(deed, riding.entries, riding.uses) if riding.entries or riding.uses else deed
            try:
                done: T = await self._store.do(with_it, witness)
            except Stale:
                if loop.time() >= ends:
                    raise Refused(BUSY) from None
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
                continue
            except NotFound:
                raise Refused(UNKNOWN) from None
            except Conflict:
                # Somebody else may have been faster; what is said about that is for judgement to say.
                conflicts += 1
                if conflicts > 1:
                    raise Refused(conflict) from None
                continue
            except OverQuota:
                raise Refused(Refuse(Reason.OVER_QUOTA, "the owner's mailbox, or its domain, is full")) from None
            except LimitReached as error:
                raise Refused(Refuse(Reason.LIMIT, str(error))) from None
            except Busy as fault:
                raise Refused(later(fault)) from None
            if acts:
                visit.record(key for key in riding.keys if key[0])
                visit.use((key for key in riding.used if key[0]), now + ROUNDED)
            return done

    async def standing_at(
        self, snapshot: Snapshot, visit: Visit, place: Place, *, selectable: bool, op: FolderOp = FolderOp.SEE
    ) -> Standpoint:
        """Raises Refused when there is no such folder (`selectable`: that can hold messages), or none that may be seen. `op`: what it is
        wanted for, as a refusal says on record; the peer is told the same whatever it is."""
        stand = await (self.stand_again if selectable else self.stand)(snapshot, visit.actor, place)
        if stand is None:
            raise Refused(UNKNOWN)
        if Right.LOOKUP not in stand.held:
            self.require(visit, stand, op, snapshot.now)
        if stand.row is None:
            # Below a folder that may be seen there may be one that may not.
            raise self.refused(visit, stand, op.value, _NOT_THERE)
        if selectable and (stand.row.noselect or stand.facts.is_root):
            raise Refused(UNKNOWN)
        return stand

    async def plain(self, deed: Deed[T]) -> T:
        """A deed about the actor's own preferences, which rests on no judgement."""
        try:
            return await self._store.do(deed)
        except Busy as fault:
            raise Refused(later(fault)) from None
        except LimitReached as error:
            raise Refused(Refuse(Reason.LIMIT, str(error))) from None
        except NotFound:
            raise Refused(UNKNOWN) from None

    async def target(self, snapshot: Snapshot, visit: Visit, place: Place) -> Standpoint:
        """Where messages are to go. Raises MissingTarget where `standing_at` says that there is no such folder."""
        try:
            return await self.standing_at(snapshot, visit, place, selectable=True, op=FolderOp.INSERT)
        except Refused as refused:
            if refused.verdict.reason is Reason.FOLDER_UNKNOWN:
                raise MissingTarget(refused.verdict) from None
            raise


def _person(actor: Actor) -> tuple[AccountId, ...]:
    """Whose app password the session may rest on, where that is another account."""
    return () if actor.via is None or actor.scope is None else (actor.via,)


def is_own(visit: Visit, stand: Standpoint) -> bool:
    """Does the owner act? Who logged in as the owner holds what the owner holds, and is another (delegation.md sections 10 and 11)."""
    return visit.actor.account == stand.facts.owner and visit.actor.via is None


class Part:
    """A part of the folders service."""

    def __init__(self, judging: Judging) -> None:
        self._judging = judging
