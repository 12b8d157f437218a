"""Messages expunged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policy.identity import FolderId
from store import blobs, stretches
from store.counts import clipped, each, shrink
from store.flags import DELETED, SEEN
from store.folders import charge, existing
from store.messages import within
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
    going = within(tx, "messages.marked_deleted", folder.id, runs)
    if not going:
        return Expunged((), folder.modseq)
    return Expunged(runs_of(row[0] for row in going), remove(tx, folder, going))


def remove(tx: Tx, folder: FolderRow, going: Sequence[tuple[int, int, int, int]]) -> int:
    """Takes (uid, blob, size, flags), ascending, out of a folder whose row was read since its last change; returns the modseq."""
    runs = runs_of(row[0] for row in going)
    keys = [{"owner": folder.owner, "low": key(folder.id, low), "high": key(folder.id, high)} for low, high in runs]
    statements = ["messages.delete"]
    if folder.seen_private:
        statements.append("messages.delete_seen")
    low, high = span(folder.id)
    if tx.one("messages.any_filed", owner=folder.owner, low=low, high=high) is not None:
        statements.append("messages.delete_filed")
    if len(runs) < len(going) and len(runs) <= stretches.SEVERAL:
        stretches.loosen(tx, runs, folder)
    else:
        blobs.loosen(tx, folder.owner, {row[1] for row in going})
    for statement in statements:
        each(tx, statement, keys)
    size = sum(row[2] for row in going)
    unseen = sum(not row[3] & SEEN for row in going)
    charge(tx, folder.owner, -size)
    return shrink(tx, folder, stretches.Stretches(tuple(runs), len(going), size, unseen, sum(bool(row[3] & DELETED) for row in going)))


DEEDS: Final = ((Expunge, _expunge),)
