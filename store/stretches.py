"""Messages copied, moved and taken away by the stretch: their rows go from one range of keys to another without being looked at.

For what is alike for all of them: one owner's folders, a \\Seen that everybody shares, and no keywords, whose bits mean something else in
each folder. What is otherwise goes message by message (store/copying.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from store.model import FIRST_KEYWORD_BIT, Flag, FolderRow, Run
from store.port import Tx
from store.runs import key, runs_of

SEVERAL: Final = 64
"""Runs of UIDs up to which a few statements for each cost less than rows that are looked at."""

_SYSTEM_FLAGS: Final = (1 << FIRST_KEYWORD_BIT) - 1


@dataclass(frozen=True, slots=True)
class Stretches:
    """Runs of UIDs without a gap, and what they are together: how many, of what size, how many unseen and deleted."""

    runs: tuple[Run, ...]
    count: int
    size: int
    unseen: int
    deleted: int

    @property
    def uids(self) -> list[int]:
        """All of them, ascending."""
        return [uid for low, high in self.runs for uid in range(low, high + 1)]


def found(tx: Tx, folder: FolderRow, runs: Sequence[Run]) -> Stretches | None:
    """The messages of these runs; None: some have keywords, or they lie too scattered."""
    if len(runs) > SEVERAL:
        return None
    there: list[Run] = []
    count = size = unseen = deleted = 0
    for low, high in runs:
        ends = {"owner": folder.owner, "low": key(folder.id, low), "high": key(folder.id, high)}
        number, octets, seen, marked, highest = tx.one("stretches.summed", **ends) or (0, 0, 0, 0, 0)
        if highest > _SYSTEM_FLAGS:
            return None
        if number == high - low + 1:
            there.append((low, high))
        elif number:
            there += runs_of([uid for uid, _ in tx.all("messages.sizes", **ends)])
        count, size, unseen, deleted = count + number, size + octets, unseen + number - seen, deleted + marked
    return None if len(there) > SEVERAL else Stretches(tuple(there), count, size, unseen, deleted)


def marked(tx: Tx, folder: FolderRow, runs: Sequence[Run]) -> Stretches:
    """Those of these runs that are marked \\Deleted, however scattered."""
    there: list[Run] = []
    count = size = unseen = 0
    for low, high in runs:
        ends = {"owner": folder.owner, "low": key(folder.id, low), "high": key(folder.id, high)}
        if folder.deleted <= SEVERAL:
            # Somebody deletes a mail among a hundred thousand: these are looked through once.
            ones = tx.all("stretches.marked_ones", **ends)
            number, octets, seen = len(ones), sum(one[1] for one in ones), sum(one[2] & 1 for one in ones)
            there += runs_of([one[0] for one in ones])
        else:
            number, octets, seen, first, last = tx.one("stretches.marked", **ends) or (0, 0, 0, 0, 0)
            if number and number == last - first + 1:
                there.append((first, last))
            elif number:
                there += runs_of([one[0] for one in tx.all("stretches.marked_ones", **ends)])
        count, size, unseen = count + number, size + octets, unseen + number - seen
    return Stretches(tuple(there), count, size, unseen, count)


def masked(stretches: Stretches, mask: int) -> tuple[int, int]:
    """How many are unseen and how many deleted when they keep these flags only."""
    return stretches.unseen if mask & Flag.SEEN else stretches.count, stretches.deleted if mask & Flag.DELETED else 0


def copy(tx: Tx, stretches: Stretches, source: FolderRow, target: FolderRow, mask: int) -> None:
    """Their rows once more, from the target's next UID on; its figures are the caller's to bring up to date."""
    _each(tx, "stretches.copy", stretches, source, target, mask)


def move(tx: Tx, stretches: Stretches, source: FolderRow, target: FolderRow, mask: int) -> None:
    """The same with the rows themselves. What else hangs on the messages' keys must not be there."""
    _each(tx, "stretches.move", stretches, source, target, mask)


def loosen(tx: Tx, runs: Sequence[Run], folder: FolderRow) -> None:
    """The octets of these messages, which are about to go, lose a user (store/blobs.py)."""
    for low, high in runs:
        tx.later("stretches.loosen", owner=folder.owner, low=key(folder.id, low), high=key(folder.id, high))


def _each(tx: Tx, statement: str, stretches: Stretches, source: FolderRow, target: FolderRow, mask: int) -> None:
    whose = {"owner": source.owner, "target_owner": target.owner}
    uid = target.uidnext
    for low, high in stretches.runs:
        ends = {"low": key(source.id, low), "high": key(source.id, high), "shift": key(target.id, uid) - key(source.id, low)}
        tx.later(statement, saved=tx.now, mask=mask & _SYSTEM_FLAGS, modseq=target.modseq + 1, **whose, **ends)
        uid += high - low + 1
