"""May this actor do this to this folder, and if so, it is done: the only way from a protocol to stored mail."""

from __future__ import annotations  # `Judged[...]` of a nested function would be made for each command: 31,000 instructions

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final, NoReturn

from gateway.arrival import arrived
from gateway.folders.entries import Entries
from gateway.folders.judging import BUSY, EXISTS, HAS_CHILDREN, IN_THE_WAY, UNKNOWN, Judging
from gateway.folders.listing import Listings, counted, readable_by
from gateway.folders.metadata import Metadata
from gateway.folders.octets import FEW, IN_PLACE, Octets, octets_of
from gateway.folders.opened import OTHERS, OpenFolder, mask_of
from gateway.folders.quota import Quotas
from gateway.folders.standpoint import NOBODY, Judged, Standpoint
from gateway.folders.uses import NOT_ONES_OWN, require_free
from gateway.folders.values import ROOT, Extra, NewItem, Place, Recaller, Recalling, Visit
from gateway.refusal import Refused, later
from policy.cos import DelegatedTrash
from policy.decision import Decision, Witness
from policy.folders import FolderOp, SpecialUse
from policy.identity import AccountId, Actor, FolderId
from policy.reasons import Reason, Refuse
from policy.rights import Right
from store import folders, grants, messages, recalls
from store.appending import Appended, AppendMessages, NewInFolder, ReplaceMessage
from store.blobs import ALL_IN_ROWS, Files
from store.copying import Copied, CopyMessages, MoveMessages
from store.errors import Busy
from store.flags import EVERY_FLAG
from store.fulltext import FullText
from store.model import Figures, Flag, FolderRow, NewMessage, Run, Uid
from store.port import Deed, Snapshot, Store, Tx

log = logging.getLogger(__name__)
_SMALL: Final = 4096
"""Octets of a message that is taken apart on the loop, also where it is one of many."""
IN_ROWS: Final = 32 << 20
"""Octets of one APPEND that go to the database, and from a worker through its channel (store/remote.py), in one piece."""


def _new(message: NewMessage, item: NewItem, mask: int) -> NewInFolder:
    """Of the flags what the rights allow."""
    return NewInFolder(message, item.flags and Flag(int(item.flags) & mask & 31), item.keywords if mask & OTHERS else (), item.received)


class _Gone(Exception):
    """The message that was to be replaced is not there any more."""


class Folders(Entries, Listings, Quotas, Metadata):
    """The service. Every method raises Refused, and nothing else that is expected.

    `files`: where large messages lie; `index`: what makes searches fast; `recalling`: without it nothing is recalled. Methods take the
    visit (who acts) first.
    """

    def __init__(self, store: Store, files: Files, index: FullText | None = None, recalling: Recalling | None = None) -> None:
        super().__init__(Judging(store))
        self._recalling = recalling
        self._octets = Octets(files, index)

    async def close(self) -> None:
        """Waits until what is to be recorded is on disk, a few seconds at most."""
        await self._judging.recorder.close()

    # --- judging

    async def may(self, actor: Actor, op: FolderOp, place: Place) -> Decision:
        """What would be decided, with its trace; nothing is done and nothing recorded. Raises Refused when there is no such owner."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.stand(snapshot, actor, place)
            if stand is None or stand.owner.id == NOBODY:
                raise Refused(UNKNOWN)
            return stand.judge(op, snapshot.now)

    async def originals(self, actor: Actor, message_id: str) -> tuple[list[bytes], Witness]:
        """The octets of every message with this Message-ID in a folder that the actor may read, for what is resent (delegation.md
        5.5), and what that rests on. Nothing is recorded."""

        async def read() -> tuple[list[bytes], Witness]:
            async with self._judging.snapshot() as snapshot:
                readable, owners, valid_until = await snapshot.work(readable_by, actor)
                witness = await snapshot.witness(actor.account, *owners, valid_until=valid_until)
                found = await snapshot.work(messages.originals, readable, message_id)
                octets = [one for folder, uid, _ in found for _, one in await snapshot.work(octets_of, folder, (uid,), self._octets.files)]
            return octets, witness

        return await self._judging.brought(self._octets.files, read)

    # --- one folder

    async def open(self, visit: Visit, place: Place, op: FolderOp = FolderOp.READ) -> OpenFolder:
        """A folder that holds messages, for reading."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=True, op=op)
            now, moment = snapshot.now, snapshot.moment
            decision = self._judging.require(visit, stand, op, now)
        self._judging.note(visit, stand, op, decision, now)
        return OpenFolder(self._judging, self._octets, visit, stand, moment)

    async def find(self, visit: Visit, where: Place | FolderId) -> OpenFolder | None:
        """A folder that may be read, when several are looked through: None for any other, be it hidden or missing, in maintenance or
        no folder for messages, without a word and without a record, since nothing is refused (RFC 7377 section 2.2)."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.stand(snapshot, visit.actor, where)
            if stand is None:
                return None
            decision = stand.judge(FolderOp.READ, snapshot.now)
            if not decision.allowed or stand.row is None or stand.row.noselect or stand.facts.is_root:
                return None
            moment = snapshot.moment
        self._judging.note(visit, stand, FolderOp.READ, decision)
        return OpenFolder(self._judging, self._octets, visit, stand, moment)

    async def figures(self, visit: Visit, place: Place, extra: Extra = Extra.NONE) -> Figures:
        """STATUS."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=True, op=FolderOp.READ)
            decision = self._judging.require(visit, stand, FolderOp.READ, snapshot.now)
            assert stand.row is not None
            row = stand.row
            many = Extra.RECENT in extra and row.uidnext - row.recent_from > FEW
            ask = snapshot.work if many or row.seen_private or Extra.DELETED_SIZE in extra else snapshot.ask
            found = await ask(counted, row, visit.actor.account, extra)
        self._judging.note(visit, stand, FolderOp.READ, decision)
        return found

    async def admits(self, visit: Visit, place: Place) -> None:
        """Raises Refused unless messages may be filed there; nothing is recorded before they are."""
        async with self._judging.snapshot() as snapshot:
            target = await self._judging.target(snapshot, visit, place)
            self._judging.require(visit, target, FolderOp.INSERT, snapshot.now)

    async def rights(self, visit: Visit, place: Place) -> Right:
        """MYRIGHTS."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False, op=FolderOp.SEE)
            self._judging.require(visit, stand, FolderOp.SEE, snapshot.now)
            return stand.held

    async def create(self, visit: Visit, place: Place, special_use: SpecialUse | None = None) -> FolderRow:
        """With the parents that are missing, each judged as the nearest folder there is. `special_use`: in one's own mailbox only."""

        async def judge(snapshot: Snapshot) -> Judged[FolderRow]:
            above = await self._judging.stand(snapshot, visit.actor, place.parent)
            if above is None:
                raise Refused(UNKNOWN)
            here = await self._judging.stand(snapshot, visit.actor, place)
            if here is not None and here.row is not None and (not here.row.noselect or Right.LOOKUP not in here.held):
                self._taken(visit, here, above, snapshot.now)
            decision = self._judging.require(visit, above, FolderOp.CREATE, snapshot.now)
            if special_use is not None:
                if above.owner.id != visit.actor.account:
                    raise Refused(NOT_ONES_OWN)
                await snapshot.ask(require_free, above.owner.id, special_use)
            missing = await snapshot.ask(_missing_parents, above.owner.id, place.path)
            deed = folders.CreateFolder(above.owner.id, place.path, missing, special_use)
            return deed, above.witness, ((above, FolderOp.CREATE, decision),)

        return await self._judging.act(visit, judge)

    def _taken(self, visit: Visit, there: Standpoint, above: Standpoint, now: int) -> NoReturn:
        """A folder has the name that one was to get."""
        if Right.LOOKUP in there.held:
            raise Refused(EXISTS)
        # One that may not be seen: the parent's right decides what is said.
        self._judging.require(visit, above, FolderOp.CREATE, now)
        raise Refused(IN_THE_WAY)

    async def rename(self, visit: Visit, place: Place, to: Place) -> FolderRow:
        """Within one mailbox, with everything below it."""

        async def judge(snapshot: Snapshot) -> Judged[FolderRow]:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False, op=FolderOp.RENAME)
            decision = self._judging.require(visit, stand, FolderOp.RENAME, snapshot.now)
            above = await self._judging.stand(snapshot, visit.actor, to.parent)
            if above is None:
                raise Refused(UNKNOWN)
            allowed = self._judging.require(visit, above, FolderOp.CREATE, snapshot.now)
            if above.owner.id != stand.owner.id:
                raise Refused(Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "a folder cannot be renamed into another person's mailbox"))
            if to.path == place.path or to.path.startswith(place.path + "/"):
                raise Refused(Refuse(Reason.NOT_ALLOWED_ON_THIS_FOLDER, "a folder cannot be renamed to itself or into itself"))
            there = await self._judging.stand(snapshot, visit.actor, to)
            if there is not None and there.row is not None:
                self._taken(visit, there, above, snapshot.now)
            missing = await snapshot.ask(_missing_parents, above.owner.id, to.path)
            assert stand.row is not None
            deed = folders.RenameFolder(stand.row.id, to.path, missing)
            return deed, stand.witness.joined(above.witness), ((stand, FolderOp.RENAME, decision), (above, FolderOp.CREATE, allowed))

        return await self._judging.act(visit, judge)

    async def delete(self, visit: Visit, place: Place) -> None:
        """One with folders below it stays as a name. The owner's own special-use folders go too, INBOX never."""

        async def judge(snapshot: Snapshot) -> Judged[None]:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False, op=FolderOp.DELETE)
            decision = self._judging.require(visit, stand, FolderOp.DELETE, snapshot.now)
            assert stand.row is not None
            return folders.DeleteFolder(stand.row.id), stand.witness, ((stand, FolderOp.DELETE, decision),)

        await self._judging.act(visit, judge, conflict=HAS_CHILDREN)

    # --- messages into folders

    async def append(self, visit: Visit, place: Place, items: Sequence[NewItem]) -> tuple[FolderRow, Appended]:
        """All or none, charged to the owner. Of the flags what the rights allow is kept (RFC 4314 section 4). Who may not read there is
        told no UIDs (RFC 4315 section 3)."""
        most = IN_ROWS // len(items) if sum(len(item.octets) for item in items) > IN_ROWS else ALL_IN_ROWS
        prepared = [await self._prepare(item.octets, one_of=len(items), most=most) for item in items]
        row: FolderRow | None = None
        is_read = False

        def deed_of(stand: Standpoint) -> AppendMessages:
            nonlocal row, is_read
            is_read = Right.READ in stand.held
            assert stand.row is not None
            row = stand.row
            mask = mask_of(stand.permits())
            new = tuple(_new(message, item, mask) for message, item in zip(prepared, items, strict=True))
            seen_of = visit.actor.account if row.seen_private else None
            return AppendMessages(row.id, new, stand.owner.values.quota, actor=visit.actor.account, seen_of=seen_of)

        async def judge(snapshot: Snapshot) -> Judged[Appended]:
            stand = await self._judging.target(snapshot, visit, place)
            decision = self._judging.require(visit, stand, FolderOp.INSERT, snapshot.now)
            return deed_of(stand), stand.witness, ((stand, FolderOp.INSERT, decision),)

        known = self._judging.assumed(visit, place, FolderOp.INSERT)
        done = await self._judging.act(visit, judge, assumed=None if known is None else (deed_of(known), known.witness))
        self._judging.was_allowed(visit, place, FolderOp.INSERT)
        assert row is not None
        return row, done if is_read else replace(done, uids=())

    async def _prepare(self, octets: bytes, one_of: int = 1, most: int = ALL_IN_ROWS) -> NewMessage:
        """`most`: octets above which they go to a file, where there may be files."""
        if len(octets) <= (IN_PLACE if one_of == 1 else _SMALL):
            if one_of > 1:
                await asyncio.sleep(0)
            return arrived(octets)
        if len(octets) <= min(IN_PLACE, most):
            # One such message takes milliseconds; many would keep the loop from everybody else.
            return await asyncio.to_thread(arrived, octets)
        try:
            return await self._octets.files.kept(await asyncio.to_thread(arrived, octets), most)
        except (OSError, Busy) as fault:
            log.error("octets could not be written", extra={"fields": {"fault": str(fault)}})
            raise Refused(later(fault) if isinstance(fault, Busy) else BUSY) from fault

    async def replace(self, source: OpenFolder, uid: int, place: Place, item: NewItem) -> Appended | None:
        """A message in place of one of the open folder, in one transaction (RFC 8508). None: that one is gone, and nothing was done.

        `i` on the target and `r t e` on the source; within a \\Drafts folder `r w` is enough (delegation.md section 2).
        """
        visit = source.visit
        prepared = await self._prepare(item.octets)
        is_read = False

        async def judge(snapshot: Snapshot) -> Judged[Appended]:
            nonlocal is_read
            stand = await source.confirm(snapshot, FolderOp.READ)
            target = await self._judging.target(snapshot, visit, place)
            is_read = Right.READ in target.held
            assert stand.row is not None
            assert target.row is not None
            if stand.row.id == target.row.id:
                acts = [(stand, FolderOp.REPLACE_DRAFT)]
            else:
                acts = [(stand, FolderOp.TAKE_OUT), (target, FolderOp.INSERT)]
            judged = tuple((one, op, self._judging.require(visit, one, op, snapshot.now)) for one, op in acts)
            if not await snapshot.ask(messages.rows, stand.row.id, ((uid, uid),)):
                raise _Gone
            mask = mask_of(target.permits())
            new = _new(prepared, item, mask)
            seen_of = visit.actor.account if target.row.seen_private else None
            append = AppendMessages(target.row.id, (new,), target.owner.values.quota, visit.actor.account, seen_of)
            return ReplaceMessage(stand.row.id, Uid(uid), append), stand.witness.joined(target.witness), judged

        try:
            done = await self._judging.act(visit, judge)
        except _Gone:
            return None
        return done if is_read else replace(done, uids=())

    async def copy(self, source: OpenFolder, place: Place, runs: Sequence[Run]) -> tuple[FolderRow, Copied]:
        """Copies are full copies, charged to the target's owner."""
        return await self._transfer(source, place, runs, moves=False)

    async def move(self, source: OpenFolder, place: Place, runs: Sequence[Run]) -> tuple[FolderRow, Copied, bool]:
        """In one transaction. True: by `delegated_trash` the messages went to the owner's Trash instead of the actor's."""
        redirected = False

        async def redirect(snapshot: Snapshot, stand: Standpoint, target: Standpoint) -> Standpoint | None:
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
            instead = await self._judging.stand(snapshot, visit.actor, trash.id)
            if instead is None or not instead.judge(FolderOp.READ, snapshot.now).allowed:
                return None
            redirected = True
            return instead

        row, done = await self._transfer(source, place, runs, moves=True, redirect=redirect)
        return row, done, redirected

    async def _transfer(
        self,
        source: OpenFolder,
        place: Place,
        runs: Sequence[Run],
        *,
        moves: bool,
        redirect: Callable[[Snapshot, Standpoint, Standpoint], Awaitable[Standpoint | None]] | None = None,
    ) -> tuple[FolderRow, Copied]:
        visit = source.visit
        row: FolderRow | None = None
        is_read = False
        taking = FolderOp.TAKE_OUT if moves else FolderOp.READ

        def deed_of(stand: Standpoint, target: Standpoint, mask: int) -> CopyMessages | MoveMessages:
            nonlocal row, is_read
            assert target.row is not None
            assert stand.row is not None
            row = target.row
            is_read = Right.READ in target.held
            return (MoveMessages if moves else CopyMessages)(
                stand.row.id,
                row.id,
                tuple(runs),
                target.owner.values.quota,
                mask,
                visit.actor.account if stand.row.seen_private else None,
                visit.actor.account if row.seen_private else None,
            )

        async def judge(snapshot: Snapshot) -> Judged[Copied]:
            stand = await source.confirm(snapshot, taking)
            leaving = stand.judge(taking, snapshot.now)
            acts = [(stand, taking, leaving)]
            target = await self._judging.target(snapshot, visit, place)
            instead = None if redirect is None else await redirect(snapshot, stand, target)
            mask = EVERY_FLAG
            if instead is None:
                acts.append((target, FolderOp.INSERT, self._judging.require(visit, target, FolderOp.INSERT, snapshot.now)))
                mask = mask_of(target.permits())
            else:
                target = instead
            deed = await self._taking_back(snapshot, visit, stand, target, deed_of(stand, target, mask))
            return deed, stand.witness.joined(target.witness), tuple(acts)

        assumed: tuple[Deed[Copied], Witness] | None = None
        there, to = source.assumed(taking), self._judging.assumed(visit, place, FolderOp.INSERT)
        if there is not None and to is not None and to.facts.special_use is not SpecialUse.DRAFTS:
            assumed = deed_of(there, to, mask_of(to.permits())), there.witness.joined(to.witness)
        # What is taken back may lie elsewhere; that is found out before anything is done.
        done = await self._judging.brought(self._octets.files, lambda: self._judging.act(visit, judge, assumed=assumed))
        self._judging.was_allowed(visit, place, FolderOp.INSERT)
        assert row is not None
        return row, done if is_read else replace(done, sources=(), targets=())

    async def _taking_back(
        self, snapshot: Snapshot, visit: Visit, stand: Standpoint, target: Standpoint, transfer: CopyMessages | MoveMessages
    ) -> Deed[Copied]:
        """To Drafts goes what is to be written anew: of messages that wait it recalls the sending. By COPY too, since clients without
        MOVE begin with it, but only for who could take the copy away."""
        if self._recalling is None or target.row is None or target.row.special_use is not SpecialUse.DRAFTS:
            return transfer
        found = await snapshot.ask(recalls.copies_within, transfer.source, transfer.runs)
        if not found or not stand.judge(FolderOp.TAKE_OUT, snapshot.now).allowed:
            return transfer
        actor = visit.actor
        by = Recaller(actor, str(actor.via_address or actor.address), "moved to Drafts", visit.protocol, visit.source)
        return recalls.TakeBack(transfer, await self._recalling.prepared(snapshot, (one.queue for one in found if one.waits), by))


def _missing_parents(tx: Tx, owner: AccountId, path: str) -> tuple[str, ...]:
    found = {row.path for row in folders.up_to_root(tx, owner, path)}
    return tuple(step for step in grants.way_up(path)[1:] if step != ROOT and step not in found)
