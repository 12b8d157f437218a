"""May this actor do this to this folder, and if so, it is done: the only way from a protocol to stored mail."""

import asyncio
import contextlib
import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from gateway.arrival import arrived, sorting_of
from gateway.message import envelope as rendering
from gateway.message.canonical import read_address
from gateway.message.split import read_header, unfolded
from gateway.message.structure import parse
from gateway.message.text import SORT_VERSION, body_texts, decode_header, fold, header_text, message_texts
from gateway.refusal import Refused
from policy.cos import DelegatedTrash
from policy.decision import Decision, Witness
from policy.folders import (
    FlagChange,
    FolderFacts,
    FolderOp,
    SpecialUse,
    judge_folder,
    judge_grant_change,
    permitted_flags,
    rights_on,
    selectable_for_writing,
)
from policy.grants import Counting, FolderEntry, Grantee, GranteeKind, Level, Standing, entries_that_count
from policy.identity import AccountId, Actor, Address, BadAddress, CosId, DomainId, FolderId
from policy.reasons import Defer, Reason, Refuse, Verdict
from policy.rights import ALL_RIGHTS, BadRights, Change, Right, UnknownLetter, UnsupportedRight, changed, list_rights, parse_rfc, spell_rfc
from policy.status import Access, owner_access
from store import accounts, addresses, cos, domains, folders, grants, lists, messages, search, subscriptions
from store import changes as changed_there
from store.audit import AuditEntry, RecordAudit
from store.blobs import Files
from store.criteria import Criterion
from store.deeds import Audited
from store.errors import Busy, Conflict, LimitReached, NotFound, OverQuota, Stale, StoreError
from store.messages import Appended, Copied, Expunged, FlagsChanged
from store.messages import FlagMode as FlagMode
from store.model import AccountRow, Flag, FolderRow, MessageRow, NewMessage, Run, Sorting, SortRow, Uid
from store.port import DIRECTORY, Deed, Snapshot, Store, Tx
from store.runs import runs_of

log = logging.getLogger(__name__)
T = TypeVar("T")

ROOT: Final = "/"
TRIES: Final = 3
"""How often a judgement that went stale before its deed is judged again; then the answer is "later"."""
IN_PLACE: Final = 64 * 1024
"""Octets read on the loop's own connection at most; more goes to the reader's thread."""
BATCH: Final = 512
"""Messages whose prepared items are read in one go: some 200 KiB of ENVELOPE."""
KEPT: Final = 64 << 20
"""Octets of large messages remembered while clients fetch them in pieces."""
SORTED_AT_ONCE: Final = 10_000
"""Messages whose sort keys are read in one snapshot."""
SORTED_OCTETS: Final = 8 << 20
"""Octets read in one snapshot to make the sort keys of messages that have none."""
RECORDS: Final = 10_000
"""Records of reading that may wait for the disk; when there are more, delegated reading is refused rather than unrecorded."""
_NO_FLAGS: Final = Flag(0)
_EXISTS: Final = Refuse(Reason.FOLDER_EXISTS)
_UNKNOWN: Final = Refuse(Reason.FOLDER_UNKNOWN)
_NOBODY: Final = AccountId(0)
_BUSY: Final = Defer(Reason.BUSY)
_OTHERS: Final = messages.EVERY_FLAG & ~int(Flag.SEEN | Flag.DELETED)


class UnknownRight(Exception):
    """A letter that RFC 4314 does not have: a protocol calls it a syntax error. The message names it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder as a protocol names it: `owner` None for the actor's own mailbox, else an address as written; `path` from the
    mailbox root, "/INBOX". It may be no folder at all."""

    owner: str | None
    path: str

    @property
    def parent(self) -> "Place":
        """The folder above it, the root in the end."""
        return Place(self.owner, self.path[: self.path.rfind("/")] or ROOT)


class Visit:
    """One session's dealings with folders: who acts, through which protocol, from where, and what of it is on record already."""

    __slots__ = ("actor", "protocol", "recorded", "source")

    def __init__(self, actor: Actor, protocol: str, source: str) -> None:
        self.actor = actor
        self.protocol = protocol
        self.source = source
        self.recorded: set[tuple[int, FolderOp]] = set()


@dataclass(frozen=True, slots=True)
class Listed:
    """A folder the actor may see. `children`: of the folders below it, some may be seen. `figures`: the actor may be told its counters;
    `unseen` then agrees with the actor's own \\Seen."""

    owner: AccountId
    owner_address: Address
    row: FolderRow
    held: Right
    subscribed: bool
    figures: bool = False
    unseen: int = 0
    recent: int = 0
    deleted_size: int = 0


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A name the actor subscribed to that is no folder now."""

    owner: AccountId
    path: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What the actor may see, in order of path, own folders first, then owner by owner."""

    folders: tuple[Listed, ...]
    vanished: tuple[Subscribed, ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """What STATUS tells. `unseen` by the \\Seen that counts for the actor; `deleted_size`: octets of what is \\Deleted, where asked for."""

    row: FolderRow
    unseen: int
    recent: int
    deleted_size: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """The room of an owner, who is known by the primary address: octets in use and octets allowed."""

    root: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class News:
    """What happened since a mod-sequence: `changes`, or the whole `state` where the log does not reach back or nothing was known."""

    row: FolderRow
    changes: changed_there.Changes | None = None
    state: messages.State | None = None
    keywords: tuple[tuple[int, str], ...] | None = None


@dataclass(frozen=True, slots=True)
class NewItem:
    """A message to be appended. `received`: microseconds, None: now."""

    octets: bytes
    flags: Flag = _NO_FLAGS
    keywords: tuple[str, ...] = ()
    received: int | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """An entry as IMAP shows it: who and which letters."""

    identifier: str
    rights: str


@dataclass(frozen=True, slots=True)
class _Standpoint:
    """All that judgements about one folder rest on, as one snapshot had it."""

    facts: FolderFacts
    owner: AccountRow
    row: FolderRow | None
    witness: Witness
    held: Right


_Act = tuple[_Standpoint, FolderOp, Decision]
_Judged = tuple[Deed[T], Witness, tuple[_Act, ...]]
"""What is to be done, what its judgement rests on, and what of it goes on record."""


@dataclass(frozen=True, slots=True)
class _Look:
    standing: Standing
    owner: AccountRow | None
    row: FolderRow | None
    levels: Sequence[Level]
    path: str


class _Decoding:
    """What search asks of a message's octets."""

    __slots__ = ()

    def header(self, octets: bytes, name: str, text: str) -> bool:
        wanted = name.lower().encode("utf-8", "replace")
        header = read_header(octets)
        return any(text in fold(decode_header(unfolded(octets, field))) for field in header.fields if field.name == wanted)

    def body(self, octets: bytes, text: str) -> bool:
        return not text or any(text in fold(piece) for piece in body_texts(octets, parse(octets)))

    def text(self, octets: bytes, text: str) -> bool:
        if not text or text in fold(header_text(octets, read_header(octets))):
            return True
        return any(text in fold(piece) for piece in message_texts(octets, parse(octets)))


_DECODING: Final = _Decoding()


class _Recorder:
    """Records of delegated reading and of refusals, on their way to the audit without anybody waiting for them."""

    __slots__ = ("_store", "_task", "_waiting")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[Deed[object] | AuditEntry] = deque()
        self._task: asyncio.Task[None] | None = None

    def put(self, what: "AuditEntry | Deed[object]") -> bool:
        """False: too many are waiting already."""
        if len(self._waiting) >= RECORDS:
            return False
        self._waiting.append(what)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        return True

    async def _work(self) -> None:
        try:
            while self._waiting:
                entries: list[AuditEntry] = []
                deeds: list[Deed[object]] = []
                while self._waiting and len(entries) < 256 and not deeds:
                    one = self._waiting.popleft()
                    if isinstance(one, AuditEntry):
                        entries.append(one)
                    else:
                        deeds.append(one)
                try:
                    if entries:
                        await self._store.do(RecordAudit(tuple(entries)), bulk=True)
                    for deed in deeds:
                        with contextlib.suppress(NotFound):
                            await self._store.do(deed, bulk=True)
                except Busy:
                    self._waiting.extendleft(reversed(entries))
                    await asyncio.sleep(1)
        except StoreError:
            log.exception("records of delegated access could not be written", extra={"fields": {"lost": len(self._waiting)}})
        finally:
            self._task = None

    async def close(self) -> None:
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=5)


class Folders:
    """The service. Every method raises Refused, and nothing else that is expected.

    `files`: where large messages lie. Methods take the visit (who acts) first.
    """

    def __init__(self, store: Store, files: Files) -> None:
        self._store = store
        self._files = files
        self._recorder = _Recorder(store)
        self._kept: OrderedDict[tuple[int, int, int], bytes] = OrderedDict()
        self._kept_octets = 0

    def _keep(self, key: tuple[int, int, int], octets: bytes) -> None:
        """Remember a large message that is being fetched piece by piece; what is stored never changes."""
        if len(octets) <= KEPT and key not in self._kept:
            self._kept[key] = octets
            self._kept_octets += len(octets)
            while self._kept_octets > KEPT:
                _, oldest = self._kept.popitem(last=False)
                self._kept_octets -= len(oldest)

    async def close(self) -> None:
        """Waits until what is to be recorded is on disk, a few seconds at most."""
        await self._recorder.close()

    # --- judging

    async def may(self, actor: Actor, op: FolderOp, place: Place) -> Decision:
        """What would be decided, with its trace; nothing is done and nothing recorded. Raises Refused when there is no such owner."""
        async with self._snapshot() as snapshot:
            stand = await self._stand(snapshot, actor.account, place)
            if stand is None or stand.owner.id == _NOBODY:
                raise Refused(_UNKNOWN)
            return judge_folder(op, stand.facts, snapshot.now)

    async def originals(self, actor: Actor, message_id: str) -> tuple[list[bytes], Witness]:
        """The octets of every message with this Message-ID in a folder that the actor may read, for what is resent (delegation.md
        5.5), and what that rests on. Nothing is recorded."""
        async with self._snapshot() as snapshot:
            readable, owners, valid_until = await snapshot.work(_readable, actor.account)
            witness = await snapshot.witness(actor.account, *owners, valid_until=valid_until)
            found = await snapshot.work(messages.originals, readable, message_id)
            octets = [one for folder, uid, _ in found for _, one in await snapshot.work(_octets_of, folder, (uid,), self._files)]
        return octets, witness

    @contextlib.asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Snapshot]:
        try:
            async with self._store.snapshot() as snapshot:
                yield snapshot
        except Busy:
            raise Refused(_BUSY) from None

    async def _stand(self, snapshot: Snapshot, actor: AccountId, where: Place | FolderId) -> _Standpoint | None:
        """None: the actor is gone (or there is no such folder by its id). An owner that there is not is _NOBODY, who shows nothing."""
        if isinstance(where, Place):
            owner: AccountId | Address = actor
            if where.owner is not None:
                try:
                    owner = read_address(where.owner)
                except BadAddress:
                    owner = _NOBODY
            look = await snapshot.ask(_look_by_path, actor, owner, where.path)
        else:
            look = await snapshot.ask(_look_by_id, actor, where)
        if look is None or look.owner is None:
            return None
        facts = _facts(look.standing, look.owner, look.path, look.levels, look.row)
        held = rights_on(facts, snapshot.now)
        valid_until = judge_folder(FolderOp.SEE, facts, snapshot.now).valid_until
        witness = await snapshot.witness(actor, look.owner.id, valid_until=valid_until)
        return _Standpoint(facts, look.owner, look.row, witness, held)

    def _require(self, visit: Visit, stand: _Standpoint, op: FolderOp, now: int) -> Decision:
        """The decision, which allows. Raises Refused, on record."""
        decision = judge_folder(op, stand.facts, now)
        if decision.refusal is not None:
            raise self._refused(visit, stand, op.value, decision)
        return decision

    def _refused(self, visit: Visit, stand: _Standpoint, asked: str, decision: Decision) -> Refused:
        assert decision.refusal is not None
        if visit.actor.account == stand.facts.owner:
            return Refused(decision.refusal)
        number = new_decision()
        # What is recorded and what is not must not be told apart by waiting: nobody waits.
        if stand.row is not None and not self._recorder.put(_entry(visit, stand, asked, number, decision)):
            log.warning("a refusal could not be recorded", extra={"fields": {"decision": number, "actor": str(visit.actor.address)}})
        return Refused(replace(decision.refusal, decision=number))

    def _note(self, visit: Visit, stand: _Standpoint, op: FolderOp, decision: Decision) -> None:
        """Delegated reading goes on record once per session and right, before anything is read. Raises Refused when that cannot be."""
        if visit.actor.account == stand.facts.owner or stand.row is None:
            return
        key = (stand.row.id, op)
        if key in visit.recorded:
            return
        if not self._recorder.put(_entry(visit, stand, op.value, new_decision(), decision)):
            raise Refused(_BUSY)
        visit.recorded.add(key)

    def _riding(self, visit: Visit, acts: Sequence[_Act]) -> tuple[tuple[AuditEntry, ...], list[tuple[int, FolderOp]]]:
        """The records that ride in a deed, and what is on record when it is done."""
        entries: list[AuditEntry] = []
        keys: list[tuple[int, FolderOp]] = []
        for stand, op, decision in acts:
            if visit.actor.account == stand.facts.owner:
                continue
            key = (0 if stand.row is None else stand.row.id, op)
            if stand.row is not None and key in visit.recorded:
                continue
            entries.append(_entry(visit, stand, op.value, new_decision(), decision))
            keys.append(key)
        return tuple(entries), keys

    async def _act(
        self,
        visit: Visit,
        judge: Callable[[Snapshot], Awaitable[_Judged[T]]],
        *,
        conflict: Verdict = _EXISTS,
    ) -> T:
        """Judge on a snapshot, do with its witness; when that went stale meanwhile, judge again."""
        for _ in range(TRIES):
            async with self._snapshot() as snapshot:
                deed, witness, acts = await judge(snapshot)
            entries, keys = self._riding(visit, acts)
            try:
                done: T = await self._store.do(Audited(deed, entries) if entries else deed, witness)
            except Stale:
                continue
            except NotFound:
                raise Refused(_UNKNOWN) from None
            except Conflict:
                raise Refused(conflict) from None
            except OverQuota:
                raise Refused(Refuse(Reason.OVER_QUOTA, "the owner's mailbox is full")) from None
            except LimitReached as error:
                raise Refused(Refuse(Reason.LIMIT, str(error))) from None
            except Busy:
                raise Refused(_BUSY) from None
            visit.recorded.update(key for key in keys if key[0])
            return done
        raise Refused(_BUSY)

    async def _standing_at(self, snapshot: Snapshot, visit: Visit, place: Place, *, selectable: bool) -> _Standpoint:
        """Raises Refused when there is no such folder (`selectable`: that can hold messages), or none that may be seen."""
        stand = await self._stand(snapshot, visit.actor.account, place)
        if stand is None:
            raise Refused(_UNKNOWN)
        if Right.LOOKUP not in stand.held:
            self._require(visit, stand, FolderOp.SEE, snapshot.now)
        if stand.row is None or (selectable and (stand.row.noselect or stand.facts.is_root)):
            raise Refused(_UNKNOWN)
        return stand

    # --- one folder

    async def open(self, visit: Visit, place: Place, op: FolderOp = FolderOp.READ) -> "OpenFolder":
        """A folder that holds messages, for reading."""
        async with self._snapshot() as snapshot:
            stand = await self._standing_at(snapshot, visit, place, selectable=True)
            decision = self._require(visit, stand, op, snapshot.now)
        self._note(visit, stand, op, decision)
        return OpenFolder(self, visit, stand)

    async def figures(self, visit: Visit, place: Place, *, deleted_size: bool = False) -> Figures:
        """STATUS. `deleted_size`: that is asked for, which costs a look at every message."""
        async with self._snapshot() as snapshot:
            stand = await self._standing_at(snapshot, visit, place, selectable=True)
            decision = self._require(visit, stand, FolderOp.READ, snapshot.now)
            assert stand.row is not None
            unseen, recent = await snapshot.work(_counted, stand.row, visit.actor.account)
            size = await snapshot.work(messages.deleted_size, stand.row) if deleted_size else 0
        self._note(visit, stand, FolderOp.READ, decision)
        return Figures(stand.row, unseen, recent, size)

    async def quota_of(self, visit: Visit, place: Place) -> Quota | None:
        """GETQUOTAROOT: the room of the folder's owner; None: it has no limit."""
        async with self._snapshot() as snapshot:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            decision = self._require(visit, stand, FolderOp.QUOTA, snapshot.now)
        self._note(visit, stand, FolderOp.QUOTA, decision)
        return _quota(stand.owner)

    async def quota(self, visit: Visit, root: str) -> Quota | None:
        """GETQUOTA: the room of an owner one of whose folders the actor may read; None: no limit, no such owner, or none to be seen."""
        try:
            address = read_address(root)
        except BadAddress:
            return None
        async with self._snapshot() as snapshot:
            found = await snapshot.work(_for_quota, visit.actor.account, address)
            if found is None:
                return None
            decision = self._require(visit, found, FolderOp.QUOTA, snapshot.now)
        self._note(visit, found, FolderOp.QUOTA, decision)
        return _quota(found.owner)

    async def rights(self, visit: Visit, place: Place) -> Right:
        """MYRIGHTS."""
        async with self._snapshot() as snapshot:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            self._require(visit, stand, FolderOp.SEE, snapshot.now)
            return stand.held

    async def create(self, visit: Visit, place: Place, special_use: SpecialUse | None = None) -> FolderRow:
        """With the parents that are missing, each judged as the nearest folder there is."""

        async def judge(snapshot: Snapshot) -> _Judged[FolderRow]:
            above = await self._stand(snapshot, visit.actor.account, place.parent)
            if above is None:
                raise Refused(_UNKNOWN)
            here = await self._stand(snapshot, visit.actor.account, place)
            if here is not None and here.row is not None and not here.row.noselect:
                if Right.LOOKUP in here.held:
                    raise Refused(_EXISTS)
                # Somebody else's folder that may not be seen has this name: the parent's right decides what is said.
                self._require(visit, above, FolderOp.CREATE, snapshot.now)
                raise Refused(Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "a folder of this name cannot be made"))
            decision = self._require(visit, above, FolderOp.CREATE, snapshot.now)
            missing = await snapshot.ask(_missing_parents, above.owner.id, place.path)
            deed = folders.CreateFolder(above.owner.id, place.path, missing, special_use)
            return deed, above.witness, ((above, FolderOp.CREATE, decision),)

        return await self._act(visit, judge)

    async def rename(self, visit: Visit, place: Place, to: Place) -> FolderRow:
        """Within one mailbox, with everything below it."""

        async def judge(snapshot: Snapshot) -> _Judged[FolderRow]:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            decision = self._require(visit, stand, FolderOp.RENAME, snapshot.now)
            above = await self._stand(snapshot, visit.actor.account, to.parent)
            if above is None:
                raise Refused(_UNKNOWN)
            allowed = self._require(visit, above, FolderOp.CREATE, snapshot.now)
            if above.owner.id != stand.owner.id:
                raise Refused(Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "a folder cannot be renamed into another person's mailbox"))
            if to.path == place.path or to.path.startswith(place.path + "/"):
                raise Refused(Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "a folder cannot be renamed to itself or into itself"))
            missing = await snapshot.ask(_missing_parents, above.owner.id, to.path)
            assert stand.row is not None
            deed = folders.RenameFolder(stand.row.id, to.path, missing)
            return deed, stand.witness.joined(above.witness), ((stand, FolderOp.RENAME, decision), (above, FolderOp.CREATE, allowed))

        return await self._act(visit, judge)

    async def delete(self, visit: Visit, place: Place) -> None:
        """One with folders below it stays as a name. The owner's own special-use folders go too, INBOX never."""

        async def judge(snapshot: Snapshot) -> _Judged[None]:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            decision = self._require(visit, stand, FolderOp.DELETE, snapshot.now)
            assert stand.row is not None
            return folders.DeleteFolder(stand.row.id), stand.witness, ((stand, FolderOp.DELETE, decision),)

        refusal = Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "this name has folders below it")
        await self._act(visit, judge, conflict=refusal)

    # --- lists of folders

    async def listing(
        self,
        visit: Visit,
        wanted: Callable[[Address], bool] | None = None,
        *,
        own: bool = True,
        figures: bool = False,
        deleted_size: bool = False,
    ) -> Listing:
        """Everything the actor may see. `wanted`: other people, by address, whose folders are asked for; None: nobody's."""
        async with self._snapshot() as snapshot:
            listing, acts = await snapshot.work(_list, visit.actor.account, wanted, own, figures, deleted_size)
        for stand, decision in acts:
            self._note(visit, stand, FolderOp.READ, decision)
        return listing

    async def subscribe(self, visit: Visit, place: Place) -> None:
        """Kept by name per subscriber; the folder has to be one that may be seen."""
        async with self._snapshot() as snapshot:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            self._require(visit, stand, FolderOp.SEE, snapshot.now)
        await self._plain(subscriptions.Subscribe(visit.actor.account, stand.owner.id, place.path))

    async def unsubscribe(self, visit: Visit, place: Place) -> None:
        """Always possible, for names that are no folders too: so it tells nothing about what there is."""
        async with self._snapshot() as snapshot:
            stand = await self._stand(snapshot, visit.actor.account, place)
            if stand is None:
                return
        computed = stand.row is not None and Right.LOOKUP in stand.held and _computed(stand.row, visit.actor.account)
        await self._plain(subscriptions.Unsubscribe(visit.actor.account, stand.owner.id, place.path, computed))

    async def _plain(self, deed: Deed[T]) -> T:
        """A deed about the actor's own preferences, which rests on no judgement."""
        try:
            return await self._store.do(deed)
        except Busy:
            raise Refused(_BUSY) from None
        except LimitReached as error:
            raise Refused(Refuse(Reason.LIMIT, str(error))) from None
        except NotFound:
            raise Refused(_UNKNOWN) from None

    # --- messages into folders

    async def append(self, visit: Visit, place: Place, items: Sequence[NewItem]) -> tuple[FolderRow, Appended]:
        """All or none, charged to the owner. Of the flags what the rights allow is kept (RFC 4314 section 4)."""
        prepared = [await self._prepare(item.octets) for item in items]
        row: FolderRow | None = None

        async def judge(snapshot: Snapshot) -> _Judged[Appended]:
            nonlocal row
            stand = await self._target(snapshot, visit, place)
            decision = self._require(visit, stand, FolderOp.INSERT, snapshot.now)
            assert stand.row is not None
            row = stand.row
            mask = _mask(permitted_flags(FlagChange(True, True, True), stand.held))
            new = tuple(
                messages.NewInFolder(message, item.flags & Flag(mask & 31), item.keywords if mask & _OTHERS else (), item.received)
                for message, item in zip(prepared, items, strict=True)
            )
            seen_of = visit.actor.account if row.seen_private else None
            deed = messages.AppendMessages(row.id, new, stand.owner.values.quota, actor=visit.actor.account, seen_of=seen_of)
            return deed, stand.witness, ((stand, FolderOp.INSERT, decision),)

        done = await self._act(visit, judge)
        assert row is not None
        return row, done

    async def _prepare(self, octets: bytes) -> NewMessage:
        if len(octets) <= IN_PLACE:
            return arrived(octets)
        return await asyncio.to_thread(lambda: self._files.keep(arrived(octets)))

    async def copy(self, source: "OpenFolder", place: Place, runs: Sequence[Run]) -> tuple[FolderRow, Copied]:
        """Copies are full copies, charged to the target's owner."""
        return await self._transfer(source, place, runs, moves=False)

    async def move(self, source: "OpenFolder", place: Place, runs: Sequence[Run]) -> tuple[FolderRow, Copied, bool]:
        """In one transaction. True: by `delegated_trash` the messages went to the owner's Trash instead of the actor's."""
        redirected = False

        async def redirect(snapshot: Snapshot, stand: _Standpoint, target: _Standpoint) -> _Standpoint | None:
            nonlocal redirected
            redirected = False
            visit = source.visit
            if (
                stand.owner.id == visit.actor.account
                or target.owner.id != visit.actor.account
                or target.row is None
                or target.row.special_use is not SpecialUse.TRASH
                or stand.owner.values.delegated_trash is not DelegatedTrash.OWNER
            ):
                return None
            trash = await snapshot.ask(folders.by_special_use, stand.owner.id, SpecialUse.TRASH)
            if trash is None:
                return None
            instead = await self._stand(snapshot, visit.actor.account, trash.id)
            if instead is None or not judge_folder(FolderOp.READ, instead.facts, snapshot.now).allowed:
                return None
            redirected = True
            return instead

        row, done = await self._transfer(source, place, runs, moves=True, redirect=redirect)
        return row, done, redirected

    async def _transfer(
        self,
        source: "OpenFolder",
        place: Place,
        runs: Sequence[Run],
        *,
        moves: bool,
        redirect: Callable[[Snapshot, _Standpoint, _Standpoint], Awaitable[_Standpoint | None]] | None = None,
    ) -> tuple[FolderRow, Copied]:
        visit = source.visit
        row: FolderRow | None = None
        taking = FolderOp.TAKE_OUT if moves else FolderOp.READ

        async def judge(snapshot: Snapshot) -> _Judged[Copied]:
            nonlocal row
            stand = await source.confirm(snapshot, taking)
            leaving = judge_folder(taking, stand.facts, snapshot.now)
            acts = [(stand, taking, leaving)]
            target = await self._target(snapshot, visit, place)
            instead = None if redirect is None else await redirect(snapshot, stand, target)
            mask = messages.EVERY_FLAG
            if instead is None:
                acts.append((target, FolderOp.INSERT, self._require(visit, target, FolderOp.INSERT, snapshot.now)))
                mask = _mask(permitted_flags(FlagChange(True, True, True), target.held))
            else:
                target = instead
            assert target.row is not None
            assert stand.row is not None
            row = target.row
            if row.id == stand.row.id and moves:
                raise Refused(Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "the messages are in this folder already"))
            deed_type = messages.MoveMessages if moves else messages.CopyMessages
            deed: Deed[Copied] = deed_type(
                stand.row.id,
                row.id,
                tuple(runs),
                target.owner.values.quota,
                mask,
                visit.actor.account if stand.row.seen_private else None,
                visit.actor.account if row.seen_private else None,
            )
            return deed, stand.witness.joined(target.witness), tuple(acts)

        done = await self._act(visit, judge)
        assert row is not None
        return row, done

    async def _target(self, snapshot: Snapshot, visit: Visit, place: Place) -> _Standpoint:
        try:
            return await self._standing_at(snapshot, visit, place, selectable=True)
        except Refused as refused:
            if refused.verdict.reason is Reason.FOLDER_UNKNOWN:
                raise MissingTarget(refused.verdict) from None
            raise

    # --- who has which right

    async def entries(self, visit: Visit, place: Place) -> tuple[Identified, ...]:
        """GETACL: the owner and every entry that counts, inherited ones included."""
        async with self._snapshot() as snapshot:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            decision = self._require(visit, stand, FolderOp.ADMINISTER, snapshot.now)
            counting, _ = entries_that_count(stand.facts.levels, snapshot.now)
            named = [
                Identified(name, spell_rfc(one.entry.rights))
                for one in counting
                if (name := await snapshot.ask(_spell_grantee, one.entry.grantee)) is not None
            ]
        self._note(visit, stand, FolderOp.ADMINISTER, decision)
        return (Identified(str(stand.owner.address), spell_rfc(ALL_RIGHTS)), *named)

    async def grantable(self, visit: Visit, place: Place, identifier: str) -> tuple[str, tuple[str, ...]]:
        """LISTRIGHTS: what the identifier always has, and what the actor may give or take."""
        async with self._snapshot() as snapshot:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            self._require(visit, stand, FolderOp.ADMINISTER, snapshot.now)
            grantee = await self._grantee(snapshot, identifier)
            if grantee == Grantee(GranteeKind.ACCOUNT, stand.owner.id):
                return list_rights(stand.held, Right.NONE, owner=True)
            counting = _counting(stand.facts.levels, grantee, snapshot.now)
            return list_rights(stand.held, Right.NONE if counting is None else counting.entry.rights)

    async def set_entry(self, visit: Visit, place: Place, identifier: str, change: Change, letters: str) -> None:
        """SETACL. Raises UnknownRight for letters that there are not."""
        try:
            named = parse_rfc(letters)
        except UnknownLetter as error:
            raise UnknownRight(str(error)) from None
        except (UnsupportedRight, BadRights) as error:
            raise Refused(Refuse(Reason.GRANT_NOT_POSSIBLE, str(error))) from None

        async def judge(snapshot: Snapshot) -> _Judged[None]:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            self._require(visit, stand, FolderOp.ADMINISTER, snapshot.now)
            grantee = await self._grantee(snapshot, identifier)
            counting = _counting(stand.facts.levels, grantee, snapshot.now)
            current = Right.NONE if counting is None else counting.entry.rights
            entry = FolderEntry(grantee, changed(current, change, named))
            if counting is not None and change is not Change.REPLACE and entry.rights:
                # What is added to an entry that ends ends with it.
                entry = replace(entry, not_before=counting.entry.not_before, expires=counting.entry.expires, note=counting.entry.note)
            decision = self._grant_change(visit, stand, grantee, current, entry.rights, snapshot.now)
            assert stand.row is not None
            change_of = _grant_entry(visit, stand, identifier, entry.rights, decision)
            deed = Audited(grants.SetFolderEntry(stand.row.id, entry), (change_of,))
            return deed, stand.witness, ()

        await self._act(visit, judge, conflict=Refuse(Reason.GRANT_NOT_POSSIBLE, "this cannot be granted"))

    async def remove_entry(self, visit: Visit, place: Place, identifier: str) -> None:
        """DELETEACL: the folder's own entry; what is inherited then counts again."""

        async def judge(snapshot: Snapshot) -> _Judged[bool]:
            stand = await self._standing_at(snapshot, visit, place, selectable=False)
            self._require(visit, stand, FolderOp.ADMINISTER, snapshot.now)
            grantee = await self._grantee(snapshot, identifier)
            counting = _counting(stand.facts.levels, grantee, snapshot.now)
            here, *above = stand.facts.levels
            without = _counting((replace(here, entries=()), *above), grantee, snapshot.now)
            current = Right.NONE if counting is None else counting.entry.rights
            afterwards = Right.NONE if without is None else without.entry.rights
            decision = self._grant_change(visit, stand, grantee, current, afterwards, snapshot.now)
            assert stand.row is not None
            change_of = _grant_entry(visit, stand, identifier, None, decision)
            return Audited(grants.RemoveFolderEntry(stand.row.id, grantee), (change_of,)), stand.witness, ()

        await self._act(visit, judge)

    def _grant_change(self, visit: Visit, stand: _Standpoint, grantee: Grantee, before: Right, after: Right, now: int) -> Decision:
        if grantee == Grantee(GranteeKind.ACCOUNT, stand.owner.id):
            raise Refused(Refuse(Reason.GRANT_NOT_POSSIBLE, "the owner holds every right already"))
        decision = judge_grant_change(stand.facts, after & ~before, before & ~after, now)
        if decision.refusal is not None:
            raise self._refused(visit, stand, "change grants", decision)
        return decision

    async def _grantee(self, snapshot: Snapshot, identifier: str) -> Grantee:
        if identifier.startswith("-"):
            raise Refused(Refuse(Reason.GRANT_NOT_POSSIBLE, "there are no negative rights"))
        found = await snapshot.ask(_find_grantee, identifier)
        if found is None:
            raise Refused(Refuse(Reason.GRANT_NOT_POSSIBLE, "there is no such identifier"))
        return found


class MissingTarget(Refused):
    """Where messages were to go is no folder (or none that may be seen)."""


class OpenFolder:
    """A folder that was opened; each method confirms or renews the right in the snapshot or deed that does the work."""

    __slots__ = ("_allowed", "_folders", "_stand", "visit")

    def __init__(self, service: Folders, visit: Visit, stand: _Standpoint) -> None:
        self._folders = service
        self._stand = stand
        self._allowed: set[FolderOp] = set()
        self.visit = visit

    @property
    def row(self) -> FolderRow:
        """As it was when the right was last judged; the counters may be older than the messages."""
        assert self._stand.row is not None
        return self._stand.row

    @property
    def owner(self) -> Address:
        """The owner's primary address."""
        return self._stand.owner.address

    @property
    def owner_id(self) -> AccountId:
        """Whose it is."""
        return self._stand.owner.id

    @property
    def held(self) -> Right:
        """The rights that count, as last judged."""
        return self._stand.held

    @property
    def valid_until(self) -> int | None:
        """Until when no clock alone changes what may be done here."""
        return self._stand.witness.valid_until

    @property
    def scopes(self) -> tuple[int, ...]:
        """Whose changes of policy concern it."""
        return (DIRECTORY, self.visit.actor.account, self._stand.owner.id)

    @property
    def seen_of(self) -> AccountId | None:
        """Whose own \\Seen counts here; None: the shared one."""
        return self.visit.actor.account if self.row.seen_private else None

    @property
    def writable(self) -> bool:
        """Is SELECT read-write? Not either while the owner is in maintenance."""
        return self._stand.facts.access is not Access.UNAVAILABLE and selectable_for_writing(self.held, self.row.seen_private)

    @property
    def permitted(self) -> FlagChange:
        """Which flags this actor may change."""
        return permitted_flags(FlagChange(True, True, True), self.held)

    async def confirm(self, snapshot: Snapshot, op: FolderOp) -> _Standpoint:
        """The standpoint as it holds in this snapshot. Raises Refused when the operation is not allowed in it."""
        if not await snapshot.confirms(self._stand.witness):
            row = self.row
            stand = await self._folders._stand(snapshot, self.visit.actor.account, row.id)
            if stand is None or stand.row is None or stand.row.noselect or stand.row.uidvalidity != row.uidvalidity:
                raise Refused(_UNKNOWN)
            self._stand = stand
            self._allowed.clear()
        if op not in self._allowed:
            self._folders._require(self.visit, self._stand, op, snapshot.now)
            self._allowed.add(op)
        return self._stand

    async def renew(self) -> None:
        """May it still be read? Raises Refused when not; `held` is up to date afterwards."""
        async with self._reading():
            pass

    @contextlib.asynccontextmanager
    async def _reading(self, op: FolderOp = FolderOp.READ) -> AsyncIterator[Snapshot]:
        async with self._folders._snapshot() as snapshot:
            stand = await self.confirm(snapshot, op)
            key = (stand.row.id if stand.row is not None else 0, op)
            if key not in self.visit.recorded:
                self._folders._note(self.visit, stand, op, judge_folder(op, stand.facts, snapshot.now))
            yield snapshot

    # --- reading

    async def news(self, since: int | None) -> News:
        """What happened after this mod-sequence; None: everything, as it is now."""
        async with self._reading() as snapshot:
            row = await snapshot.ask(folders.by_id, self.row.id)
            if row is None:
                raise Refused(_UNKNOWN)
            if since == row.modseq:
                return News(row)
            keywords = tuple(await snapshot.ask(messages.keywords, row.id))
            if since is not None:
                found = await snapshot.work(changed_there.since, row.id, since, self.seen_of)
                if found is not None:
                    return News(row, changes=found, keywords=keywords)
            state = await snapshot.work(messages.state, row.id, self.seen_of)
            return News(row, state=state, keywords=keywords)

    async def rows(self, runs: Sequence[Run]) -> list[MessageRow]:
        """Sizes, dates, flags; of messages that are there."""
        async with self._reading() as snapshot:
            read = snapshot.ask if _few(runs) else snapshot.work
            return await read(messages.rows, self.row.id, runs, self.seen_of)

    async def envelopes(self, runs: Sequence[Run]) -> list[tuple[int, bytes]]:
        """(UID, ENVELOPE as IMAP octets)."""
        return await self._prepared(messages.envelopes, runs, lambda rendered: rendered.envelope)

    async def structures(self, runs: Sequence[Run]) -> list[tuple[int, bytes]]:
        """(UID, BODYSTRUCTURE as IMAP octets)."""
        return await self._prepared(messages.structures, runs, lambda rendered: rendered.bodystructure)

    async def bodies(self, runs: Sequence[Run]) -> list[tuple[int, bytes]]:
        """(UID, BODY as IMAP octets)."""
        return await self._prepared(messages.bodies, runs, lambda rendered: rendered.body)

    async def _prepared(
        self,
        read: Callable[[Tx, FolderId, Sequence[Run]], list[tuple[int, bytes, int]]],
        runs: Sequence[Run],
        item: Callable[[rendering.Rendered], bytes],
    ) -> list[tuple[int, bytes]]:
        async with self._reading() as snapshot:
            ask = snapshot.ask if _few(runs) else snapshot.work
            found = await ask(read, self.row.id, runs)
            old = [uid for uid, _, version in found if version != rendering.VERSION]
            if not old:
                return [(uid, octets) for uid, octets, _ in found]
            renewed = await snapshot.work(_rendered_again, self.row.id, old, self._folders._files, item)
        return [(uid, renewed.get(uid, octets)) for uid, octets, _ in found]

    async def octets(self, sizes: Sequence[tuple[int, int]]) -> list[tuple[int, bytes]]:
        """(UID, the whole message) for (UID, size): those that are there. The caller keeps the sum of sizes small, where it can."""
        uids = [uid for uid, _ in sizes]
        async with self._reading() as snapshot:
            read = snapshot.ask if sum(size for _, size in sizes) <= IN_PLACE else snapshot.work
            return await read(_octets_of, self.row.id, uids, self._folders._files)

    async def large(self, uid: int) -> bytes | None:
        """A message of which a piece is wanted; more pieces will be. None: it is gone."""
        key = (self.row.id, self.row.uidvalidity, uid)
        async with self._reading() as snapshot:
            kept = self._folders._kept.get(key)
            if kept is not None:
                self._folders._kept.move_to_end(key)
                # Still there? What was expunged is not given out.
                return kept if await snapshot.ask(messages.rows, self.row.id, ((uid, uid),)) else None
            found = await snapshot.work(_octets_of, self.row.id, (uid,), self._folders._files)
        for _, octets in found:
            self._folders._keep(key, octets)
            return octets
        return None

    async def search(self, criterion: Criterion) -> list[int]:
        """UIDs, ascending. Runs in slices, each in a snapshot of its own in which the right is confirmed."""
        found: list[int] = []
        after = 0
        while True:
            async with self._reading() as snapshot:
                try:
                    part = await snapshot.work(search.search, self.row.id, criterion, _DECODING, self._folders._files, self.seen_of, after)
                except LimitReached as error:
                    raise Refused(Refuse(Reason.LIMIT, str(error))) from None
            found.extend(part.uids)
            if part.after is None:
                return found
            after = part.after

    async def sorting(self, uids: Sequence[int]) -> list[SortRow]:
        """What SORT and THREAD compare, for ascending UIDs, in slices, each in a snapshot of its own. What was stored before it was
        made at delivery is made now, and kept."""
        found: list[SortRow] = []
        for start in range(0, len(uids), SORTED_AT_ONCE):
            runs = runs_of(uids[start : start + SORTED_AT_ONCE])
            async with self._reading() as snapshot:
                rows = await snapshot.work(messages.sorting, self.row.id, runs)
            old = [row.uid for row in rows if row.version != SORT_VERSION]
            if old:
                made = await self._sorted_again(old)
                rows = [_with_sorting(row, made[row.uid]) if row.uid in made else row for row in rows]
            found.extend(rows)
        return found

    async def _sorted_again(self, uids: Sequence[int]) -> dict[int, Sorting]:
        made: dict[int, Sorting] = {}
        while uids:
            async with self._reading() as snapshot:
                part, looked_at = await snapshot.work(_sorting_of, self.row.id, uids, self._folders._files)
            made.update(part)
            uids = uids[looked_at:]
            if part:
                self._folders._recorder.put(messages.SetSorting(self.row.id, tuple((Uid(uid), one) for uid, one in part)))
        return made

    # --- changing

    async def change_flags(
        self, runs: Sequence[Run], mode: FlagMode, flags: Flag, keywords: tuple[str, ...], unchanged_since: int | None = None
    ) -> FlagsChanged:
        """What is allowed of it is applied, the rest left alone; refused only when nothing is left (RFC 4314 section 4)."""
        if mode is FlagMode.REPLACE:
            touched = FlagChange(True, True, True)
        else:
            others = bool(flags & ~(Flag.SEEN | Flag.DELETED)) or bool(keywords)
            touched = FlagChange(Flag.SEEN in flags, Flag.DELETED in flags, others)

        async def judge(snapshot: Snapshot) -> _Judged[FlagsChanged]:
            stand = await self.confirm(snapshot, FolderOp.READ)
            allowed = permitted_flags(touched, stand.held)
            if not allowed:
                needed = (
                    FolderOp.CHANGE_FLAGS if not touched or mode is FlagMode.REPLACE
                    else FolderOp.MARK if touched.others
                    else FolderOp.MARK_DELETED if touched.deleted
                    else FolderOp.MARK_SEEN
                )  # fmt: skip
                self._folders._require(self.visit, stand, needed, snapshot.now)
            decision = self._folders._require(self.visit, stand, FolderOp.CHANGE_FLAGS, snapshot.now)
            assert stand.row is not None
            deed = messages.ChangeFlags(
                stand.row.id,
                tuple(runs),
                mode,
                flags & Flag(_mask(allowed) & 31),
                keywords if allowed.others else (),
                _mask(allowed),
                unchanged_since,
                self.seen_of,
            )
            return deed, stand.witness, ((stand, FolderOp.CHANGE_FLAGS, decision),)

        return await self._folders._act(self.visit, judge)

    async def mark_seen(self, runs: Sequence[Run]) -> FlagsChanged | None:
        """The \\Seen of FETCH BODY[]. None: no right, no trace."""
        if not self.permitted.seen:
            return None

        async def judge(snapshot: Snapshot) -> _Judged[FlagsChanged]:
            stand = await self.confirm(snapshot, FolderOp.READ)
            decision = judge_folder(FolderOp.MARK_SEEN, stand.facts, snapshot.now)
            if decision.refusal is not None:
                raise Refused(decision.refusal)
            assert stand.row is not None
            return messages.MarkSeen(stand.row.id, tuple(runs), self.seen_of), stand.witness, ((stand, FolderOp.MARK_SEEN, decision),)

        try:
            return await self._folders._act(self.visit, judge)
        except Refused as refused:
            if isinstance(refused.verdict, Defer) or refused.verdict.reason is Reason.RIGHT_MISSING:
                return None
            raise

    async def expunge(self, runs: Sequence[Run] | None = None) -> Expunged:
        """Those marked \\Deleted, all or among these."""

        async def judge(snapshot: Snapshot) -> _Judged[Expunged]:
            stand = await self.confirm(snapshot, FolderOp.EXPUNGE)
            decision = judge_folder(FolderOp.EXPUNGE, stand.facts, snapshot.now)
            assert stand.row is not None
            deed = messages.Expunge(stand.row.id, None if runs is None else tuple(runs))
            return deed, stand.witness, ((stand, FolderOp.EXPUNGE, decision),)

        return await self._folders._act(self.visit, judge)

    def claim_recent(self) -> None:
        """No later session is told of these messages as \\Recent. Nobody waits for it: at worst one is told twice."""
        self._folders._recorder.put(folders.ClaimRecent(self.row.id))


# --- what is asked of the store in one go


def _look_by_path(tx: Tx, actor: AccountId, owner: AccountId | Address, path: str) -> _Look | None:
    standing = lists.standing(tx, actor)
    if isinstance(owner, Address):
        resolved = addresses.resolve(tx, owner)
        known = resolved is not None and resolved.kind is addresses.ObjectKind.ACCOUNT and not resolved.tag_cut
        owner = AccountId(resolved.id) if resolved is not None and known else _NOBODY
    row = accounts.by_id(tx, owner)
    if row is None:
        # An owner that there is not is judged as one who shows the actor nothing: so it takes as long, and the words are the same.
        own = accounts.by_id(tx, actor)
        row = None if own is None else replace(own, id=_NOBODY)
    levels = grants.levels(tx, owner, path)
    folder = folders.by_path(tx, owner, path)
    return None if standing is None else _Look(standing, row, folder, levels, path)


def _look_by_id(tx: Tx, actor: AccountId, folder: FolderId) -> _Look | None:
    row = folders.by_id(tx, folder)
    standing = lists.standing(tx, actor)
    if row is None or standing is None:
        return None
    return _Look(standing, accounts.by_id(tx, row.owner), row, grants.levels(tx, row.owner, row.path), row.path)


def _facts(standing: Standing, owner: AccountRow, path: str, levels: Sequence[Level], row: FolderRow | None) -> FolderFacts:
    access, read_only = owner_access(owner.status, owner.values.delegation_when_locked)
    return FolderFacts(
        actor=standing,
        owner=owner.id,
        owner_address=str(owner.address),
        access=access,
        read_only=read_only,
        levels=levels,
        special_use=None if row is None else row.special_use,
        is_root=path == ROOT,
        seen_private=row is not None and row.seen_private,
    )


def _missing_parents(tx: Tx, owner: AccountId, path: str) -> tuple[str, ...]:
    found = {row.path for row in folders.up_to_root(tx, owner, path)}
    return tuple(step for step in grants.way_up(path)[1:] if step != ROOT and step not in found)


def _computed(row: FolderRow, actor: AccountId) -> bool:
    """Is the folder subscribed without anybody having said so? What others granted with subscribe = auto; one's own standard folders."""
    return row.special_use is not None if row.owner == actor else row.subscribe_auto


def _counted(tx: Tx, row: FolderRow, actor: AccountId) -> tuple[int, int]:
    unseen = folders.unseen_by(tx, row.id, actor) if row.seen_private else row.unseen
    recent = 0 if row.recent_from >= row.uidnext else len(messages.rows(tx, row.id, ((row.recent_from, row.uidnext - 1),)))
    return unseen, recent


def _list(
    tx: Tx, actor: AccountId, wanted: Callable[[Address], bool] | None, own: bool, figures: bool, deleted_size: bool
) -> tuple[Listing, list[tuple[_Standpoint, Decision]]]:
    standing = lists.standing(tx, actor)
    if standing is None:
        return Listing(()), []
    chosen = subscriptions.of_subscriber(tx, actor)
    found: list[Listed] = []
    acts: list[tuple[_Standpoint, Decision]] = []
    owners: list[AccountId] = [actor] if own else []
    if wanted is not None:
        owners.extend(grants.owners_granting(tx, standing))
    there: set[tuple[AccountId, str]] = set()
    for owner_id in owners:
        owner = accounts.by_id(tx, owner_id)
        if owner is None or (owner_id != actor and wanted is not None and not wanted(owner.address)):
            continue
        access, _ = owner_access(owner.status, owner.values.delegation_when_locked)
        if owner_id != actor and access is Access.HIDDEN:
            continue
        levels = grants.mailbox_levels(tx, owner_id)
        for row in folders.of_owner(tx, owner_id):
            there.add((owner_id, row.path))
            if row.path == ROOT or row.special_use is SpecialUse.CALENDAR:
                continue
            facts = _facts(standing, owner, row.path, [levels[step] for step in grants.way_up(row.path) if step in levels], row)
            held = rights_on(facts, tx.now)
            if Right.LOOKUP not in held:
                continue
            unseen = recent = size = 0
            shows = False
            if figures and not row.noselect:
                decision = judge_folder(FolderOp.READ, facts, tx.now)
                shows = decision.allowed
                if shows:
                    unseen, recent = _counted(tx, row, actor)
                    size = messages.deleted_size(tx, row) if deleted_size else 0
                    acts.append((_Standpoint(facts, owner, row, Witness(), held), decision))
            subscribed = chosen.get((owner_id, row.path), not row.noselect and _computed(row, actor))
            found.append(Listed(owner_id, owner.address, row, held, subscribed, shows, unseen, recent, size))
    vanished = [
        Subscribed(owner_id, path)
        for (owner_id, path), is_wanted in chosen.items()
        if is_wanted and own and owner_id == actor and (owner_id, path) not in there
    ]
    return Listing(tuple(found), tuple(vanished)), acts


def _quota(owner: AccountRow) -> Quota | None:
    limit = owner.values.quota
    return Quota(str(owner.address), owner.used, limit) if limit else None


def _for_quota(tx: Tx, actor: AccountId, address: Address) -> _Standpoint | None:
    """The folder of this owner that lets the actor ask, else the first one that may be seen."""
    standing = lists.standing(tx, actor)
    resolved = addresses.resolve(tx, address)
    if standing is None or resolved is None or resolved.kind is not addresses.ObjectKind.ACCOUNT or resolved.tag_cut:
        return None
    owner = accounts.by_id(tx, AccountId(resolved.id))
    if owner is None or (owner.id != actor and owner.id not in grants.owners_granting(tx, standing)):
        return None
    seen: _Standpoint | None = None
    levels = grants.mailbox_levels(tx, owner.id)
    for row in folders.of_owner(tx, owner.id):
        if row.special_use is SpecialUse.CALENDAR:
            continue
        facts = _facts(standing, owner, row.path, [levels[step] for step in grants.way_up(row.path) if step in levels], row)
        decision = judge_folder(FolderOp.QUOTA, facts, tx.now)
        if decision.refusal is None or (seen is None and decision.refusal.reason is not Reason.FOLDER_UNKNOWN):
            seen = _Standpoint(facts, owner, row, Witness(), rights_on(facts, tx.now))
        if decision.refusal is None:
            break
    return seen


def _readable(tx: Tx, actor: AccountId) -> tuple[list[FolderId], list[AccountId], int | None]:
    """Every folder that the actor may read, the owners looked at, and until when no clock alone changes that."""
    standing = lists.standing(tx, actor)
    if standing is None:
        return [], [], None
    readable: list[FolderId] = []
    owners = [actor, *grants.owners_granting(tx, standing)]
    ends: list[int] = []
    for owner_id in owners:
        owner = accounts.by_id(tx, owner_id)
        if owner is None:
            continue
        levels = grants.mailbox_levels(tx, owner_id)
        for row in folders.of_owner(tx, owner_id):
            facts = _facts(standing, owner, row.path, [levels[step] for step in grants.way_up(row.path) if step in levels], row)
            decision = judge_folder(FolderOp.READ, facts, tx.now)
            if decision.valid_until is not None:
                ends.append(decision.valid_until)
            if decision.allowed and not row.noselect:
                readable.append(row.id)
    return readable, owners, min(ends, default=None)


def _few(runs: Sequence[Run]) -> bool:
    return sum(high - low + 1 for low, high in runs) <= 32


def _octets_of(tx: Tx, folder: FolderId, uids: Sequence[int], files: Files) -> list[tuple[int, bytes]]:
    return [(uid, octets) for uid in uids if (octets := messages.octets(tx, folder, uid, files)) is not None]


def _rendered_again(
    tx: Tx, folder: FolderId, uids: Sequence[int], files: Files, item: Callable[[rendering.Rendered], bytes]
) -> dict[int, bytes]:
    return {uid: item(rendering.render(octets)) for uid, octets in _octets_of(tx, folder, uids, files)}


def _sorting_of(tx: Tx, folder: FolderId, uids: Sequence[int], files: Files) -> tuple[list[tuple[int, Sorting]], int]:
    """Of as many of these as have a few MiB together; and how many that were."""
    made: list[tuple[int, Sorting]] = []
    spent = 0
    for looked_at, uid in enumerate(uids, 1):
        octets = messages.octets(tx, folder, uid, files)
        if octets is not None:
            made.append((uid, sorting_of(octets, read_header(octets))))
            spent += len(octets)
        if spent >= SORTED_OCTETS or looked_at >= SORTED_AT_ONCE:
            return made, looked_at
    return made, len(uids)


def _with_sorting(row: SortRow, made: Sorting) -> SortRow:
    return SortRow(
        *row[:4],
        made.version,
        made.from_,
        made.to,
        made.cc,
        made.shown_from,
        made.shown_to,
        made.subject,
        made.is_reply,
        row.message_id,
        made.ancestors,
    )


def _mask(allowed: FlagChange) -> int:
    return (int(Flag.SEEN) if allowed.seen else 0) | (int(Flag.DELETED) if allowed.deleted else 0) | (_OTHERS if allowed.others else 0)


def _counting(levels: Sequence[Level], grantee: Grantee, now: int) -> Counting | None:
    found, _ = entries_that_count(levels, now)
    return next((one for one in found if one.entry.grantee == grantee), None)


def _find_grantee(tx: Tx, identifier: str) -> Grantee | None:
    """`user@domain`, `group:list@domain`, `domain:example.org`, `cos:name`, `anyone` (delegation.md section 2)."""
    kind, _, name = identifier.partition(":")
    if identifier == "anyone":
        return Grantee(GranteeKind.ALL)
    try:
        match kind:
            case "domain" if name:
                domain = domains.by_name(tx, name.lower())
                return None if domain is None else Grantee(GranteeKind.DOMAIN, domain.id)
            case "cos" if name:
                found = cos.by_name(tx, name)
                return None if found is None else Grantee(GranteeKind.COS, found.id)
            case "group" if name:
                group = addresses.resolve(tx, read_address(name))
                is_group = group is not None and group.kind is addresses.ObjectKind.LIST and not group.tag_cut
                return Grantee(GranteeKind.GROUP, group.id) if group is not None and is_group else None
            case _:
                account = addresses.resolve(tx, read_address(identifier))
                is_account = account is not None and account.kind is addresses.ObjectKind.ACCOUNT and not account.tag_cut
                return Grantee(GranteeKind.ACCOUNT, account.id) if account is not None and is_account else None
    except BadAddress:
        return None


def _spell_grantee(tx: Tx, grantee: Grantee) -> str | None:
    """None: it is gone since."""
    match grantee.kind:
        case GranteeKind.ALL:
            return "anyone"
        case GranteeKind.ACCOUNT | GranteeKind.GROUP:
            found = addresses.primary(tx, grantee.id)
            prefix = "group:" if grantee.kind is GranteeKind.GROUP else ""
            return None if found is None else f"{prefix}{found.address}"
        case GranteeKind.DOMAIN:
            domain = domains.by_id(tx, DomainId(grantee.id))
            return None if domain is None else f"domain:{domain.name}"
        case GranteeKind.COS:
            row = cos.by_id(tx, CosId(grantee.id))
            return None if row is None else f"cos:{row.name}"


# --- what goes on record


def new_decision() -> str:
    """The id under which a decision is on record and which the person is told."""
    return f"d-{secrets.token_hex(4)}"


def _entry(visit: Visit, stand: _Standpoint, asked: str, number: str, decision: Decision) -> AuditEntry:
    actor = visit.actor
    return AuditEntry(
        decision=number,
        event="folder access",
        allowed=decision.allowed,
        actor=actor.account,
        actor_address=str(actor.address),
        person=actor.person if actor.via is not None else None,
        person_address=str(actor.via_address or ""),
        principal=stand.owner.id,
        principal_address=str(stand.owner.address),
        right=asked,
        because=decision.because,
        protocol=visit.protocol,
        source=visit.source,
        detail=stand.facts.levels[0].path if stand.facts.levels else "",
    )


def _grant_entry(visit: Visit, stand: _Standpoint, identifier: str, rights: Right | None, decision: Decision) -> AuditEntry:
    path = stand.facts.levels[0].path if stand.facts.levels else ""
    said = "removed" if rights is None else spell_rfc(rights) or "none"
    entry = _entry(visit, stand, "grants", new_decision(), decision)
    return replace(entry, event="grant changed", detail=f"{path}: {identifier} {said}")
