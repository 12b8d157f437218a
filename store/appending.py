"""Messages appended to folders, also in the place of others (RFC 8508), and of the copies that the server filed itself."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from policy.identity import AccountId, FolderId
from store import blobs
from store.counts import FEW_MESSAGES, each, grow, require_uids
from store.errors import NotFound, OverQuota
from store.expunging import remove
from store.flags import DELETED, NO_FLAGS, SEEN, bits_of
from store.folders import charge, existing, take_room
from store.messages import heads, storable, within
from store.model import Flag, FolderRow, NewMessage, Sorting, Uid
from store.port import Deed, Tx
from store.remade import sorting_columns
from store.runs import key, runs_of, span

FILED_FOR: Final = 15 * 60 * 1_000_000
"""How long the client's own APPEND may take the place of the copy that the server filed (delegation.md section 6)."""
_DAY: Final = 86_400_000_000
_UNSORTED: Final = Sorting(0, "", "", "", "", "", "", False, "")


@dataclass(frozen=True, slots=True)
class NewInFolder:
    """A message and what it comes with; `received` is INTERNALDATE, None: now."""

    message: NewMessage
    flags: Flag = NO_FLAGS
    keywords: tuple[str, ...] = ()
    received: int | None = None


@dataclass(frozen=True, slots=True)
class Appended:
    """`replaced`: the filed copies whose place they took."""

    uidvalidity: int
    uids: tuple[Uid, ...]
    modseq: int
    replaced: tuple[Uid, ...] = ()


@dataclass(frozen=True, slots=True)
class AppendMessages(Deed[Appended]):
    """All or none. `quota` of the folder's owner in octets, 0: no limit. `seen_of`: the actor, where folder.seen_private.
    `actor`: who appends, and so takes the place of the copy the server filed for them (delegation.md section 6); None: never.
    Raises NotFound, OverQuota, LimitReached (keywords, UIDs)."""

    folder: FolderId
    items: tuple[NewInFolder, ...]
    quota: int
    actor: AccountId | None = None
    seen_of: AccountId | None = None

    @property
    def weight(self) -> int:
        """Octets."""
        return sum(len(item.message.octets) for item in self.items)

    @property
    def brief(self) -> bool:
        """A few messages."""
        return len(self.items) <= FEW_MESSAGES


@dataclass(frozen=True, slots=True)
class ReplaceMessage(Deed[Appended]):
    """RFC 8508: appends, and expunges `uid` of `source`, in one. Raises as AppendMessages; NotFound when `uid` is gone.
    Quota counts what stays."""

    source: FolderId
    uid: Uid
    append: AppendMessages

    @property
    def weight(self) -> int:
        """Octets."""
        return self.append.weight


def _append(tx: Tx, deed: AppendMessages, freed: int = 0, leaving: int = 0) -> Appended:
    """`freed`: octets of the owner's that go in the same deed, with the message `leaving` of the same folder where it is that one."""
    folder = existing(tx, deed.folder)
    replaced = [] if deed.actor is None else _filed_copies(tx, folder, deed.actor, deed.items)
    if leaving in [row[0] for row in replaced]:
        freed = 0
    released = sum(size for _, _, size, _ in replaced)
    added = sum(item.message.size for item in deed.items)
    if not take_room(tx, folder.owner, deed.quota, added - released - freed):
        raise OverQuota(f"account {folder.owner}")
    charge(tx, folder.owner, released + freed)  # what goes is taken off again as it goes
    uids, modseq = put(tx, folder, deed.items, deed.seen_of)
    if deed.actor is not None:
        _note_brought(tx, folder, deed.actor, deed.items, uids)
    if replaced:
        _carry_waiting(tx, folder, replaced, deed.items, uids)
        modseq = remove(tx, existing(tx, folder.id), replaced)
    return Appended(folder.uidvalidity, uids, modseq, tuple(Uid(row[0]) for row in replaced))


def _replace(tx: Tx, deed: ReplaceMessage) -> Appended:
    source = existing(tx, deed.source)
    gone = within(tx, "messages.there", source.id, ((deed.uid, deed.uid),))
    if not gone:
        raise NotFound(f"message {deed.uid}")
    target = existing(tx, deed.append.folder)
    freed = gone[0][2] if source.owner == target.owner else 0
    appended = _append(tx, deed.append, freed, deed.uid if source.id == target.id else 0)
    if source.id == target.id and deed.uid in appended.replaced:
        return appended
    modseq = remove(tx, existing(tx, source.id), gone)
    return appended if source.id != target.id else replace(appended, modseq=modseq)


def put(tx: Tx, folder: FolderRow, items: Sequence[NewInFolder], seen_of: AccountId | None = None) -> tuple[tuple[Uid, ...], int]:
    """Stores them in a folder whose row was read in this transaction, after room was taken. Returns UIDs and modseq."""
    require_uids(folder, len(items))
    if not items:
        return (), folder.modseq
    modseq = folder.modseq + 1
    messages, wire, head, own = [], [], [], []
    unseen = deleted = size = 0
    for uid, item in enumerate(items, folder.uidnext):
        message = item.message
        flags = int(item.flags)
        if item.keywords:
            flags |= bits_of(tx, folder.id, item.keywords, create=True)
        here = key(folder.id, uid)
        if seen_of is not None and flags & SEEN:
            flags &= ~SEEN
            own.append({"owner": folder.owner, "actor": seen_of, "key": here, "is_seen": 1, "modseq": modseq})
        unseen += not flags & SEEN
        deleted += bool(flags & DELETED)
        size += message.size
        blob = blobs.keep(tx, folder.owner, message)
        messages.append(
            {
                "owner": folder.owner,
                "key": here,
                "blob": blob,
                "size": message.size,
                "received": tx.now if item.received is None else item.received,
                "saved": tx.now,
                "flags": flags,
                "modseq": modseq,
            }
        )
        wire.append(
            {
                "owner": folder.owner,
                "blob": blob,
                "rendering": message.rendering,
                "envelope": message.envelope,
                "structure": message.structure,
                "body": message.body,
                "preview": message.preview,
                "layout": message.layout,
            }
        )
        day = message.sent_day
        head.append(
            {
                "owner": folder.owner,
                "blob": blob,
                "sent": message.sent,
                "sent_day": message.sent // _DAY if day is None and message.sent is not None else day,
                "sender": storable(message.from_),
                "recipient": storable(message.to),
                "copied": storable(message.cc),
                "subject": storable(message.subject),
                "message_id": storable(message.message_id),
                **sorting_columns(message.sorting or _UNSORTED),
            }
        )
    for statement, made in (
        ("messages.insert", messages),
        ("messages.insert_wire", wire),
        ("messages.insert_head", head),
        ("messages.insert_seen", own),
    ):
        if made:
            each(tx, statement, made)
    grow(tx, folder, len(items), unseen, deleted, size)
    return tuple(Uid(uid) for uid in range(folder.uidnext, folder.uidnext + len(items))), modseq


def _carry_waiting(
    tx: Tx, folder: FolderRow, replaced: Sequence[tuple[int, int, int, int]], items: Sequence[NewInFolder], uids: Sequence[Uid]
) -> None:
    """To what takes the place of filed copies: they can be recalled by it (store/recalls.py)."""
    low, high = key(folder.id, replaced[0][0]), key(folder.id, replaced[-1][0])
    if tx.one("messages.any_waiting", owner=folder.owner, low=low, high=high) is None:
        return
    by_id = {storable(item.message.message_id): uid for item, uid in zip(items, uids, strict=True)}
    whose = {"owner": folder.owner, "target_owner": folder.owner}
    for head in heads(tx, folder.id, runs_of(row[0] for row in replaced)):
        if head.message_id in by_id:
            tx.run("messages.carry_waiting", **whose, old=key(folder.id, head.uid), new=key(folder.id, by_id[head.message_id]))


def _filed_copies(tx: Tx, folder: FolderRow, actor: AccountId, items: Sequence[NewInFolder]) -> list[tuple[int, int, int, int]]:
    """(uid, blob, size, flags) of the copies filed for this actor whose place these messages take."""
    low, high = span(folder.id)
    if tx.one("messages.any_filed", owner=folder.owner, low=low, high=high) is None:
        return []
    found: dict[int, tuple[int, int, int, int]] = {}
    for item in items:
        message = item.message
        if not message.message_id:
            continue
        for uid, blob, size, flags, sender, subject, sent, untouched in tx.all(
            "messages.filed",
            owner=folder.owner,
            low=low,
            high=high,
            actor=actor,
            message_id=storable(message.message_id),
            since=tx.now - FILED_FOR,
        ):
            if untouched and (sender, subject, sent) == (storable(message.from_), storable(message.subject), message.sent):
                found[uid] = (uid, blob, size, flags)
    return [found[uid] for uid in sorted(found)]


def _note_brought(tx: Tx, folder: FolderRow, actor: AccountId, items: Sequence[NewInFolder], uids: Sequence[Uid]) -> None:
    """What the actor submitted waits, and a copy will be filed when it goes: of these messages it is known then who brought them, and
    what waits can be recalled by them (store/recalls.py)."""
    expected = {message_id: (at, row) for message_id, at, row in tx.all("messages.expected", actor=actor)}
    if not expected:
        return
    for item, uid in zip(items, uids, strict=True):
        message_id = storable(item.message.message_id)
        if message_id in expected:
            at, row = expected[message_id]
            tx.later("messages.insert_brought", owner=folder.owner, key=key(folder.id, uid), actor=actor, message_id=message_id, at=at)
            tx.later("messages.insert_waiting", owner=folder.owner, key=key(folder.id, uid), queue=row, at=at)


DEEDS: Final = (
    (AppendMessages, _append),
    (ReplaceMessage, _replace),
)
