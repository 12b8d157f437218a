"""Taking back what was submitted and waits: either it is recalled, or it goes, and the writer knows no third."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policy.folders import SpecialUse
from policy.identity import AccountId, FolderId
from store import appending, audit, copying
from store.appending import NewInFolder
from store.audit import AuditEntry
from store.copying import Copied, CopyMessages, MoveMessages
from store.errors import Conflict, NotFound
from store.flags import EVERY_FLAG, ChangeFlags, FlagMode, change_flags
from store.folders import charge, existing, special_folder
from store.model import Flag, NewMessage, QueueId, Run, Uid
from store.port import Deed, Tx
from store.queue import AcceptMessage, accept, remove
from store.runs import LAST_UID, key, merged, runs_of


@dataclass(frozen=True, slots=True)
class WaitingCopy:
    """A message in a folder that is the filed copy of row `queue`, or several times, of several. `waits`: that can still be recalled;
    else it has gone."""

    uid: Uid
    queue: QueueId
    waits: bool


@dataclass(frozen=True, slots=True)
class Recall:
    """One row that is to be recalled, with what goes on record and who is told; nothing of it happens when the row has gone.

    Every filed copy goes to the Drafts of the mailbox it lies in. `draft`: what goes to the Drafts of `actor` where there is none.
    """

    row: QueueId
    actor: AccountId
    draft: NewMessage | None = None
    audit: tuple[AuditEntry, ...] = ()
    tell: tuple[AcceptMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class RecallMessage(Deed[bool]):
    """False: it has gone (or has been recalled) already. Raises Conflict where no copy is left and there is no draft."""

    recall: Recall

    @property
    def weight(self) -> int:
        """Octets of the draft."""
        return 0 if self.recall.draft is None else self.recall.draft.size


@dataclass(frozen=True, slots=True)
class TakeBack(Deed[Copied]):
    """A COPY or MOVE into Drafts of filed copies: what waits is recalled by it, and marked \\Draft there. Raises what the transfer
    raises, and Conflict where a copy waits that no recall was prepared for."""

    transfer: CopyMessages | MoveMessages
    recalls: tuple[Recall, ...]


@dataclass(frozen=True, slots=True)
class ReturnCopies(Deed[None]):
    """The row ends without having been sent: its filed copies go to Drafts. For use beside what ends the row."""

    row: QueueId


# --- reading


def copies_within(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[WaitingCopy]:
    """In UID order."""
    owner = tx.owner_of(folder)
    return [
        WaitingCopy(Uid(uid), QueueId(queue), bool(waits))
        for low, high in merged(runs)
        for uid, queue, waits in tx.all("recalls.within", owner=owner, low=key(folder, low), high=key(folder, high))
    ]


def copies_of(tx: Tx, row: QueueId) -> list[tuple[FolderId, Uid]]:
    """Where its filed copies lie now; those that were expunged are not among them."""
    return [(FolderId(there >> 32), Uid(there & LAST_UID)) for (there,) in tx.all("recalls.copies", queue=row)]


# --- doing


def _recall(tx: Tx, recall: Recall, at_hand: FolderId | None = None, uids: Sequence[Uid] = ()) -> bool:
    """`uids` of folder `at_hand` are copies of it that somebody else moves."""
    row = tx.one("recalls.blob", id=recall.row)
    if row is None:
        return False
    copies = copies_of(tx, recall.row)
    if not copies:
        if recall.draft is None:
            raise Conflict("no copy is left")
        _draft(tx, recall.actor, recall.draft)
    _to_drafts(tx, [one for one in copies if one[0] != at_hand or one[1] not in uids])
    tx.run("recalls.delete_copies", queue=recall.row)
    remove(tx, recall.row, *row)
    for entry in recall.audit:
        audit.record(tx, entry)
    for one in recall.tell:
        accept(tx, one)
    return True


def _draft(tx: Tx, owner: AccountId, message: NewMessage) -> None:
    try:
        folder = special_folder(tx, owner, SpecialUse.DRAFTS)
    except NotFound:  # whoever wrote it is gone
        return
    charge(tx, owner, message.size)
    appending.put(tx, folder, (NewInFolder(message, Flag.SEEN | Flag.DRAFT),))


def _to_drafts(tx: Tx, copies: Sequence[tuple[FolderId, Uid]]) -> None:
    for folder, uid in copies:
        source = existing(tx, folder)
        target = special_folder(tx, source.owner, SpecialUse.DRAFTS)
        if target.id == source.id:
            moved: Sequence[Uid] = (uid,)
            change_flags(tx, ChangeFlags(source.id, ((uid, uid),), FlagMode.ADD, Flag.DRAFT))
        else:
            moved = copying.move(tx, MoveMessages(source.id, target.id, ((uid, uid),), 0)).targets
            _mark(tx, target.id, moved)


def _mark(tx: Tx, folder: FolderId, uids: Sequence[Uid]) -> None:
    """\\Draft on what has just come into the folder: at the modseq at which it came."""
    row = existing(tx, folder)
    marking = {"owner": row.owner, "added": int(Flag.DRAFT), "keep": EVERY_FLAG - Flag.DRAFT, "modseq": row.modseq}
    for low, high in runs_of(uids):
        tx.run("recalls.mark", **marking, low=key(folder, low), high=key(folder, high))


def _recall_message(tx: Tx, deed: RecallMessage) -> bool:
    return _recall(tx, deed.recall)


def _take_back(tx: Tx, deed: TakeBack) -> Copied:
    transfer = deed.transfer
    found = copies_within(tx, transfer.source, transfer.runs)
    prepared = {one.row: one for one in deed.recalls}
    recalled: set[Uid] = set()
    for row in dict.fromkeys(one.queue for one in found if one.waits):
        if row not in prepared:
            raise Conflict("a copy of a message that waits came meanwhile")
        uids = [one.uid for one in found if one.queue == row]
        if _recall(tx, prepared[row], transfer.source, uids):
            recalled.update(uids)
    copied = copying.move(tx, transfer) if isinstance(transfer, MoveMessages) else copying.copy(tx, transfer)
    there = dict(zip(copied.sources, copied.targets, strict=True))
    came = sorted(there[uid] for uid in recalled if uid in there)
    if came:
        _mark(tx, transfer.target, came)
    gone = {one.uid for one in found} - recalled
    return replace(copied, recalled=tuple(sorted(recalled)), gone=tuple(sorted(gone)))


def _return_copies(tx: Tx, deed: ReturnCopies) -> None:
    _to_drafts(tx, copies_of(tx, deed.row))
    tx.run("recalls.delete_copies", queue=deed.row)


DEEDS = ((RecallMessage, _recall_message), (TakeBack, _take_back), (ReturnCopies, _return_copies))
