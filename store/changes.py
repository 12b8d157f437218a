"""What happened in a folder since a mod-sequence: the log behind open sessions, CONDSTORE and QRESYNC."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policy.identity import AccountId, FolderId
from store.model import FolderNumbers, FolderRow, Run
from store.port import Deed, Tx
from store.runs import key, merged

CHANGED: Final = 0
VANISHED: Final = 1

MOST_RUNS: Final = 64
"""Of changed UIDs in one log entry; past that one run spans them all: reading looks at the messages' own modseq anyway."""


@dataclass(frozen=True, slots=True)
class Changes:
    """`changed`: (uid, flags, modseq) of messages that came or changed and are there, by UID; `vanished`: UIDs that went
    (some may have come and gone since). `modseq`, `uidnext`, `exists`: the folder's now."""

    modseq: int
    uidnext: int
    exists: int
    changed: list[tuple[int, int, int]]
    vanished: tuple[Run, ...]


class Many(Exception):
    """More has changed than is read in place."""


def since(tx: Tx, folder: FolderId, modseq: int, seen_of: AccountId | None = None, most: int | None = None) -> Changes | None:
    """None: the folder is gone, or the log does not reach back so far: read the whole state. RFC 7162 3.2.

    Raises Many when more than `most` messages may have changed, or more changes than that are logged.
    """
    owner = tx.owner_of(folder)
    row = tx.one("changes.folder", owner=owner, folder=folder)
    if row is None:
        return None
    now, uidnext, exists, complete_from = row
    if modseq >= now:
        return Changes(now, uidnext, exists, [], ())
    if modseq < complete_from:
        return None
    if most is not None and now - modseq > most:
        raise Many
    log = tx.all("changes.since", owner=owner, folder=folder, modseq=modseq)
    if most is not None and (len(log) > most or sum(high - low + 1 for kind, low, high in log if kind == CHANGED) > most):
        raise Many
    changed: list[tuple[int, int, int]] = []
    for low, high in merged([(low, high) for kind, low, high in log if kind == CHANGED]):
        first, last = key(folder, low), key(folder, high)
        if seen_of is None:
            changed += tx.all("changes.changed", owner=owner, low=first, high=last, modseq=modseq)
        else:
            changed += tx.all("changes.changed_for", owner=owner, low=first, high=last, modseq=modseq, actor=seen_of)
    return Changes(now, uidnext, exists, changed, tuple(merged([(low, high) for kind, low, high in log if kind == VANISHED])))


def vanished_since(tx: Tx, folder: FolderId, modseq: int) -> list[Run] | None:
    """What went, alone; None: as for `since`, and when the folder never was at this modseq (it is of another history)."""
    owner = tx.owner_of(folder)
    row = tx.one("changes.folder", owner=owner, folder=folder)
    if row is None or not row[3] <= modseq <= row[0]:
        return None
    return merged(
        [(low, high) for kind, low, high in tx.all("changes.since", owner=owner, folder=folder, modseq=modseq) if kind == VANISHED]
    )


@dataclass(frozen=True, slots=True)
class PruneChanges(Deed[int]):
    """Forgets all but the newest `keep` modseqs of a folder's log; returns how many rows went."""

    folder: FolderId
    keep: int = 10_000


def long_logs(tx: Tx, rows: int) -> list[tuple[FolderId, int]]:
    """Folders whose log has more rows than this, for the task that prunes."""
    return [(FolderId(folder), count) for folder, count in tx.all("changes.long", rows=rows)]


def log(tx: Tx, folder: FolderRow | FolderNumbers, modseq: int, runs: Sequence[Run], *, vanished: bool = False) -> None:
    """Writes what happened at this modseq; at most once per folder, modseq and kind."""
    kind = VANISHED if vanished else CHANGED
    if len(runs) == 1:
        ((low, high),) = runs
        tx.later("changes.log", owner=folder.owner, folder=folder.id, modseq=modseq, kind=kind, low=low, high=high)
        return
    if not runs:
        return
    at = {"owner": folder.owner, "folder": folder.id, "modseq": modseq, "kind": kind}
    if not vanished and len(runs) > MOST_RUNS:
        tx.later("changes.log", **at, low=min(low for low, _ in runs), high=max(high for _, high in runs))
        return
    tx.many("changes.log", [{**at, "low": low, "high": high} for low, high in runs])


def _prune(tx: Tx, deed: PruneChanges) -> int:
    owner = tx.owner_of(deed.folder)
    row = tx.one("changes.folder", owner=owner, folder=deed.folder)
    if row is None or row[0] <= deed.keep:
        return 0
    modseq = row[0] - deed.keep
    removed = tx.run("changes.prune", owner=owner, folder=deed.folder, modseq=modseq)
    tx.run("changes.set_from", owner=owner, folder=deed.folder, modseq=modseq)
    return removed


DEEDS: Final = ((PruneChanges, _prune),)
