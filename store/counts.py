"""What a folder's row says of its messages (counts, sizes, the next UID and modseq), as they come and go."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from store import changes, stretches
from store.errors import LimitReached
from store.model import FolderNumbers, FolderRow, Run
from store.port import FolderChanged, Tx
from store.runs import LAST_UID, merged

FEW_MESSAGES: Final = 4
"""Appended, or changed in so many runs of UIDs, that nobody notices."""


def require_uids(folder: FolderRow, count: int) -> None:
    """Raises LimitReached where a folder has no UIDs left for so many."""
    if folder.uidnext + count > LAST_UID:
        raise LimitReached("UIDs of a folder")


def grow(tx: Tx, folder: FolderRow, count: int, unseen: int, deleted: int, size: int) -> None:
    """So many messages came, with the UIDs from the folder's next one on; goes into the log of changes and wakes who waits."""
    modseq = folder.modseq + 1
    uidnext = folder.uidnext + count
    tx.later(
        "messages.grow",
        owner=folder.owner,
        folder=folder.id,
        uidnext=uidnext,
        modseq=modseq,
        messages=count,
        unseen=unseen,
        deleted=deleted,
        size=size,
    )
    changes.log(tx, folder, modseq, [(folder.uidnext, uidnext - 1)])
    tx.wake(FolderChanged(folder.id, modseq))


def shrink(tx: Tx, folder: FolderRow, gone: stretches.Stretches) -> int:
    """So many went; likewise. Returns the modseq of it."""
    modseq = folder.modseq + 1
    tx.later(
        "messages.shrink",
        owner=folder.owner,
        folder=folder.id,
        modseq=modseq,
        messages=gone.count,
        unseen=gone.unseen,
        deleted=gone.deleted,
        size=gone.size,
    )
    changes.log(tx, folder, modseq, gone.runs, vanished=True)
    tx.wake(FolderChanged(folder.id, modseq))
    return modseq


def each(tx: Tx, statement: str, made: Sequence[dict[str, Any]]) -> None:
    """Does it for each; a single one may wait until the transaction has something to ask."""
    if len(made) == 1:
        tx.later(statement, **made[0])
    else:
        tx.many(statement, made)


def clipped(runs: Iterable[Run], folder: FolderRow | FolderNumbers) -> list[Run]:
    """Without the UIDs that the folder never gave, merged."""
    return merged([(low, min(high, folder.uidnext - 1)) for low, high in runs])
