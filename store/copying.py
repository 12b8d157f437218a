"""Messages copied and moved (RFC 6851)."""

from dataclasses import dataclass
from typing import Any, Final

from policy.identity import AccountId, FolderId
from store import blobs, stretches
from store.counts import clipped, each, grow, require_uids, shrink
from store.errors import OverQuota
from store.expunging import remove
from store.flags import DELETED, EVERY_FLAG, SEEN, translation
from store.folders import charge, existing, take_room
from store.messages import rows, within
from store.model import FolderRow, Run, Uid
from store.port import Deed, Tx
from store.runs import key, runs_of, span


@dataclass(frozen=True, slots=True)
class Copied:
    """Pairwise: `sources[n]` became `targets[n]`. `modseq`: the target's; `source_modseq`: the source's after a move.
    By store/recalls.py: which of the sources were `recalled`, and for which it was too late (`gone`)."""

    uidvalidity: int
    sources: tuple[Uid, ...]
    targets: tuple[Uid, ...]
    modseq: int
    source_modseq: int | None = None
    recalled: tuple[Uid, ...] = ()
    gone: tuple[Uid, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyMessages(Deed[Copied]):
    """`mask`: the flags that may be kept. `quota`: of the target's owner. `seen_from`, `seen_to`: the actor, where \\Seen is
    private in the source, in the target. UIDs that are gone are left out; keywords for which the target has no room are
    dropped. Raises NotFound, OverQuota, LimitReached."""

    source: FolderId
    target: FolderId
    runs: tuple[Run, ...]
    quota: int
    mask: int = EVERY_FLAG
    seen_from: AccountId | None = None
    seen_to: AccountId | None = None


@dataclass(frozen=True, slots=True)
class MoveMessages(Deed[Copied]):
    """As CopyMessages, and gone from the source in the same transaction (RFC 6851). Within one owner no quota is asked."""

    source: FolderId
    target: FolderId
    runs: tuple[Run, ...]
    quota: int
    mask: int = EVERY_FLAG
    seen_from: AccountId | None = None
    seen_to: AccountId | None = None


def copy(tx: Tx, deed: CopyMessages | MoveMessages) -> Copied:
    """Does the deed."""
    return _copied(tx, deed, charged=True)


def move(tx: Tx, deed: MoveMessages) -> Copied:
    """Does the deed. What can be recalled by its filed copy can be by the copy in its new place."""
    moved = _moved(tx, deed)
    if moved is not None:
        return moved
    copied = _copied(tx, deed, charged=False)
    source = existing(tx, deed.source)
    if not copied.sources:
        return copied
    runs = runs_of(copied.sources)
    first, last = key(source.id, copied.sources[0]), key(source.id, copied.sources[-1])
    if tx.one("messages.any_waiting", owner=source.owner, low=first, high=last) is not None:
        whose = {"owner": source.owner, "target_owner": tx.owner_of(deed.target)}
        for uid, target in zip(copied.sources, copied.targets, strict=True):
            tx.run("messages.carry_waiting", **whose, old=key(source.id, uid), new=key(deed.target, target))
    modseq = remove(tx, source, within(tx, "messages.there", source.id, runs))
    return Copied(copied.uidvalidity, copied.sources, copied.targets, modseq if source.id == deed.target else copied.modseq, modseq)


def _alike(tx: Tx, deed: CopyMessages | MoveMessages, source: FolderRow, target: FolderRow) -> stretches.Stretches | None:
    """What is to be copied or moved, where that is alike for all of it."""
    if source.owner != target.owner or deed.seen_from is not None or deed.seen_to is not None:
        return None
    return stretches.found(tx, source, clipped(deed.runs, source))


def _moved(tx: Tx, deed: MoveMessages) -> Copied | None:
    """The deed, done by the stretch. None: it has to be done message by message."""
    source, target = existing(tx, deed.source), existing(tx, deed.target)
    alike = _alike(tx, deed, source, target)
    if alike is None or not alike.count:
        return None
    low, high = span(source.id)
    within = {"owner": source.owner, "low": low, "high": high}
    if source.seen_private or tx.one("messages.any_filed", **within) or tx.one("messages.any_waiting", **within):
        return None
    require_uids(target, alike.count)
    stretches.move(tx, alike, source, target, deed.mask)
    grow(tx, target, alike.count, *stretches.masked(alike, deed.mask), alike.size)
    # The same owner has as many octets as before.
    modseq = shrink(tx, existing(tx, source.id), alike)
    return _as_copied(alike, target, modseq if source.id == target.id else target.modseq + 1, modseq)


def _as_copied(alike: stretches.Stretches, target: FolderRow, modseq: int, source_modseq: int | None = None) -> Copied:
    targets = range(target.uidnext, target.uidnext + alike.count)
    return Copied(target.uidvalidity, tuple(map(Uid, alike.uids)), tuple(map(Uid, targets)), modseq, source_modseq)


def _copied(tx: Tx, deed: CopyMessages | MoveMessages, *, charged: bool) -> Copied:
    source, target = existing(tx, deed.source), existing(tx, deed.target)
    alike = _alike(tx, deed, source, target) if charged else None
    if alike is not None and alike.count:
        if not take_room(tx, target.owner, deed.quota, alike.size):
            raise OverQuota(f"account {target.owner}")
        require_uids(target, alike.count)
        stretches.copy(tx, alike, source, target, deed.mask)
        grow(tx, target, alike.count, *stretches.masked(alike, deed.mask), alike.size)
        return _as_copied(alike, target, target.modseq + 1)
    found = rows(tx, source.id, clipped(deed.runs, source), deed.seen_from)
    if not found:
        return Copied(target.uidvalidity, (), (), target.modseq)
    size = sum(row.size for row in found)
    if not (charged or source.owner != target.owner):
        charge(tx, target.owner, size)
    elif not take_room(tx, target.owner, deed.quota, size):
        raise OverQuota(f"account {target.owner}")
    require_uids(target, len(found))
    translated = translation(tx, source, target, found, deed.mask)
    modseq = target.modseq + 1
    first = target.uidnext
    making: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    read: list[dict[str, Any]] = []
    unseen = deleted = 0
    for uid, row in enumerate(found, first):
        flags = translated(row.flags)
        if deed.seen_to is not None and flags & SEEN:
            flags &= ~SEEN
            own.append({"owner": target.owner, "actor": deed.seen_to, "key": key(target.id, uid), "is_seen": 1, "modseq": modseq})
        unseen += not flags & SEEN
        deleted += bool(flags & DELETED)
        blob = row.blob
        if source.owner != target.owner:
            blob = blobs.keep_for(tx, target.owner, blob, source.owner)
            read.append({"owner": source.owner, "blob": row.blob, "target_owner": target.owner, "target_blob": blob})
        making.append(
            {
                "owner": target.owner,
                "key": key(target.id, uid),
                "blob": blob,
                "size": row.size,
                "received": row.received,
                "saved": tx.now,
                "flags": flags,
                "modseq": modseq,
            }
        )
    tx.many("messages.insert", making)
    if own:
        tx.many("messages.insert_seen", own)
    if read:
        for statement in ("messages.copy_wire", "messages.copy_head"):
            each(tx, statement, read)
    grow(tx, target, len(found), unseen, deleted, size)
    return Copied(target.uidvalidity, tuple(row.uid for row in found), tuple(Uid(uid) for uid in range(first, first + len(found))), modseq)


DEEDS: Final = (
    (CopyMessages, copy),
    (MoveMessages, move),
)
