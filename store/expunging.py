"""Messages expunged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.identity import FolderId
from store import blobs, stretches
from store.counts import clipped, each, shrink
from store.flags import DELETED, SEEN
from store.folders import charge, existing
from store.model import FolderRow, Run
from store.port import Deed, Tx
from store.runs import LAST_UID, key, runs_of, span


@dataclass(frozen=True, slots=True)
class Expunged:
    """The UIDs that went, and the modseq at which they did (the folder's now, where none went)."""

    runs: tuple[Run, ...]
    modseq: int


@dataclass(frozen=True, slots=True)
class Expunge(Deed[Expunged]):
    """Those marked \\Deleted, all of them or (UID EXPUNGE) within `runs`. Raises NotFound."""

    folder: FolderId
    runs: tuple[Run, ...] | None = None


def _expunge(tx: Tx, deed: Expunge) -> Expunged:
    folder = existing(tx, deed.folder)
    if not folder.deleted:
        return Expunged((), folder.modseq)
    runs = clipped(((1, LAST_UID),) if deed.runs is None else deed.runs, folder)
    gone = stretches.marked(tx, folder, runs)
    if not gone.count:
        return Expunged((), folder.modseq)
    going = _keys(folder, gone.runs if len(gone.runs) <= stretches.SEVERAL else runs)
    for statement in ("stretches.loosen_marked", "stretches.delete_marked"):
        each(tx, statement, going)
    return Expunged(gone.runs, _taken(tx, folder, gone))


def remove(tx: Tx, folder: FolderRow, going: Sequence[tuple[int, int, int, int]]) -> int:
    """Takes (uid, blob, size, flags), ascending, out of a folder whose row was read since its last change; returns the modseq."""
    runs = runs_of(row[0] for row in going)
    if len(runs) < len(going) and len(runs) <= stretches.SEVERAL:
        stretches.loosen(tx, runs, folder)
    else:
        blobs.loosen(tx, folder.owner, {row[1] for row in going})
    each(tx, "messages.delete", _keys(folder, runs))
    size = sum(row[2] for row in going)
    unseen = sum(not row[3] & SEEN for row in going)
    deleted = sum(bool(row[3] & DELETED) for row in going)
    return _taken(tx, folder, stretches.Stretches(runs, len(going), size, unseen, deleted))


def _taken(tx: Tx, folder: FolderRow, gone: stretches.Stretches) -> int:
    """What else there is about messages whose rows went; returns the modseq."""
    if folder.seen_private:
        each(tx, "messages.delete_seen", _keys(folder, gone.runs))
    low, high = span(folder.id)
    if tx.one("messages.any_filed", owner=folder.owner, low=low, high=high) is not None:
        each(tx, "messages.delete_filed", _keys(folder, gone.runs))
    charge(tx, folder.owner, -gone.size)
    return shrink(tx, folder, gone)


def _keys(folder: FolderRow, runs: Sequence[Run]) -> list[dict[str, Any]]:
    return [{"owner": folder.owner, "low": key(folder.id, low), "high": key(folder.id, high)} for low, high in runs]


DEEDS: Final = ((Expunge, _expunge),)
