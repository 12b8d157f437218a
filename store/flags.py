"""Flags and keywords of messages: changed, and translated from one folder's keywords to another's."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from policy.identity import AccountId, FolderId
from store import changes
from store.counts import FEW_MESSAGES, clipped
from store.errors import LimitReached, NotFound
from store.messages import keywords
from store.model import FIRST_KEYWORD_BIT, KEYWORDS_PER_FOLDER, Flag, FolderNumbers, FolderRow, MessageRow, Run
from store.port import Deed, FolderChanged, Tx
from store.runs import LAST_UID, key, merged, runs_of, without

# Plain integers: ~Flag.SEEN knows the system flags only, and would take every keyword with it.
SEEN: Final = int(Flag.SEEN)


DELETED: Final = int(Flag.DELETED)
NO_FLAGS: Final = Flag(0)
EVERY_FLAG: Final = (1 << 63) - 1
"""A mask that lets everything change; without one flag: `EVERY_FLAG - Flag.DELETED` (`& ~Flag.DELETED` would drop keywords)."""
SYSTEM_FLAGS: Final = (1 << FIRST_KEYWORD_BIT) - 1
MAX_KEYWORD: Final = 100
"""Octets of a keyword's name; Dovecot allows 50."""
SEVERAL_RUNS: Final = 64
"""Of messages whose flags change: up to so many, each is looked up by itself."""
CHANGED_AT_ONCE: Final = 10_000
"""Messages changed by one statement."""
_FEW_UIDS: Final = 100


class FlagMode(StrEnum):
    """+FLAGS, -FLAGS, FLAGS."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


class FlagsChanged(NamedTuple):
    """`modseq`: the folder's now, that of the change if there was one; `refused`: changed since `unchanged_since` (MODIFIED).

    What was changed has the flags (flags & `keep`) | `added` now, but for an actor's own \\Seen.
    """

    changed: bool
    modseq: int
    refused: tuple[Run, ...] = ()
    keep: int = EVERY_FLAG
    added: int = 0


@dataclass(frozen=True, slots=True)
class ChangeFlags(Deed[FlagsChanged]):
    """`mask`: the bits that may change (permitted flags; keywords are bits 5 and up). Keywords not yet known are made when they
    are added. `seen_of`: the actor, where folder.seen_private. Raises NotFound, LimitReached (keywords)."""

    folder: FolderId
    runs: tuple[Run, ...]
    mode: FlagMode
    flags: int = NO_FLAGS
    keywords: tuple[str, ...] = ()
    mask: int = EVERY_FLAG
    unchanged_since: int | None = None
    seen_of: AccountId | None = None

    @property
    def brief(self) -> bool:
        """A few messages."""
        return _are_few(self.runs)


@dataclass(frozen=True, slots=True)
class MarkSeen(Deed[FlagsChanged]):
    """What FETCH BODY[] does besides. Raises NotFound."""

    folder: FolderId
    runs: tuple[Run, ...]
    seen_of: AccountId | None = None

    @property
    def brief(self) -> bool:
        """A few messages."""
        return _are_few(self.runs)


def change_flags(tx: Tx, deed: ChangeFlags) -> FlagsChanged:
    """Does the deed; for other deeds too, as `copy` and `move`."""
    folder = numbered(tx, deed.folder)
    runs = clipped(deed.runs, folder)
    refused: tuple[Run, ...] = ()
    if deed.unchanged_since is not None:
        refused = runs_of(_newer(tx, folder.id, runs, min(deed.unchanged_since, folder.modseq), deed.seen_of))
        runs = without(runs, refused)
    mode, mask, bits = deed.mode, deed.mask, int(deed.flags)
    if deed.keywords:
        bits |= bits_of(tx, folder.id, deed.keywords, create=mode is not FlagMode.REMOVE and mask > SYSTEM_FLAGS)
    bits &= mask
    keep = EVERY_FLAG & ~(0 if mode is FlagMode.ADD else bits if mode is FlagMode.REMOVE else mask)
    added = 0 if mode is FlagMode.REMOVE else bits
    own_seen: bool | None = None
    if deed.seen_of is not None:
        own_seen = True if added & SEEN else None if keep & SEEN else False
        keep, added = keep | SEEN, added & ~SEEN
    modseq = folder.modseq + 1
    touched: list[Run] = []
    unseen = deleted = 0
    scattered = own_seen is None and len(runs) > SEVERAL_RUNS and len(runs) * 16 > folder.exists
    if scattered:
        touched, unseen, deleted = _change_scattered(tx, folder, runs, keep, added, modseq)
    for low, high in () if scattered else runs:
        first, last = key(folder.id, low), key(folder.id, high)
        changed = _change_run(tx, folder, (low, high), keep, added, modseq)
        if changed is not None:
            count, was_seen, was_deleted, run = changed
            unseen += was_seen - (count if added & SEEN else was_seen if keep & SEEN else 0)
            deleted += (count if added & DELETED else was_deleted if keep & DELETED else 0) - was_deleted
            touched.append(run)
        if own_seen is not None and tx.run(
            "messages.mark_own", owner=folder.owner, actor=deed.seen_of, value=own_seen, modseq=modseq, low=first, high=last
        ):
            touched.append((low, high))
    if not touched:
        return FlagsChanged(False, folder.modseq, refused)
    tx.later("messages.count_flagged", owner=folder.owner, folder=folder.id, modseq=modseq, unseen=unseen, deleted=deleted)
    changes.log(tx, folder, modseq, merged(touched))
    tx.wake(FolderChanged(folder.id, modseq))
    return FlagsChanged(True, modseq, refused, keep, added)


def numbered(tx: Tx, folder: FolderId) -> FolderNumbers:
    """Raises NotFound: gone, or a name that holds no messages."""
    row = tx.one("messages.numbered", owner=tx.owner_of(folder), folder=folder)
    if row is None:
        raise NotFound(f"folder {folder}")
    return FolderNumbers(*row)


def _change_run(tx: Tx, folder: FolderNumbers, run: Run, keep: int, added: int, modseq: int) -> tuple[int, int, int, Run] | None:
    """How many messages change, how many of them had \\Seen, \\Deleted, and within which UIDs they are; None: there are none."""
    change = {"owner": folder.owner, "low": key(folder.id, run[0]), "high": key(folder.id, run[1]), "keep": keep, "added": added}
    touched = (EVERY_FLAG & ~keep) | added
    if not touched:
        return None
    if touched & (SEEN | DELETED) and touched.bit_count() > 1:
        counted = tx.one("messages.count_changes", **change)
        if counted is None or not counted[0]:
            return None
        count, was_seen, was_deleted, lowest, highest = counted
        tx.later("messages.change_flags", **change, modseq=modseq)
        return count, was_seen, was_deleted, (lowest & LAST_UID, highest & LAST_UID)
    # One flag: whoever changes did not have it, or had it. Or others, which nobody counts.
    count = tx.run("messages.change_flags", **change, modseq=modseq)
    had = 0 if added else count
    return (count, had, had, run) if count else None


def _change_scattered(tx: Tx, folder: FolderNumbers, runs: Sequence[Run], keep: int, added: int, modseq: int) -> tuple[list[Run], int, int]:
    """As run by run, where the runs are so many that reading all between them costs less than two statements for each.
    Returns what changed, and by how many the unseen and the deleted grew."""
    changed: list[int] = []
    unseen = deleted = 0
    found = iter(tx.all("messages.flags_between", owner=folder.owner, low=key(folder.id, runs[0][0]), high=key(folder.id, runs[-1][1])))
    uid, flags = next(found, (None, 0))
    for low, high in runs:
        while uid is not None and uid <= high:
            new = (flags & keep) | added
            if uid >= low and new != flags:
                changed.append(uid)
                unseen += (flags & SEEN) - (new & SEEN)
                deleted += bool(new & DELETED) - bool(flags & DELETED)
            uid, flags = next(found, (None, 0))
    first = key(folder.id, 0)
    for start in range(0, len(changed), CHANGED_AT_ONCE):
        keys = ",".join([str(first + uid) for uid in changed[start : start + CHANGED_AT_ONCE]])
        tx.run("messages.change_keys", owner=folder.owner, keys=f"[{keys}]", keep=keep, added=added, modseq=modseq)
    return [*runs_of(changed)], unseen, deleted


def _mark_seen(tx: Tx, deed: MarkSeen) -> FlagsChanged:
    return change_flags(tx, ChangeFlags(deed.folder, deed.runs, FlagMode.ADD, Flag.SEEN, seen_of=deed.seen_of))


def bits_of(tx: Tx, folder: FolderId, names: Sequence[str], *, create: bool) -> int:
    """The keywords' flags; those the folder does not know are made or left out. Raises LimitReached."""
    if not names:
        return 0
    owner = tx.owner_of(folder)
    known = {folded: bit for bit, _, folded in tx.all("messages.keywords", owner=owner, folder=folder)}
    bits = 0
    for name in names:
        folded = name.lower()
        bit = known.get(folded)
        if bit is None:
            if not create:
                continue
            if len(known) >= KEYWORDS_PER_FOLDER:
                raise LimitReached(f"{KEYWORDS_PER_FOLDER} keywords in a folder")
            if len(name.encode()) > MAX_KEYWORD:
                raise LimitReached(f"{MAX_KEYWORD} octets of a keyword")
            bit = known[folded] = FIRST_KEYWORD_BIT + len(known)
            tx.run("messages.insert_keyword", owner=owner, folder=folder, bit=bit, name=name, folded=folded)
        bits |= 1 << bit
    return bits


class Translation:
    """The source's flags as the target's: keywords by name, those the target has no room for dropped."""

    def __init__(self, mask: int, bits: dict[int, int]) -> None:
        self._mask = mask & SYSTEM_FLAGS
        self._bits = bits

    def __call__(self, flags: int) -> int:
        """The target's."""
        made = flags & self._mask
        if flags > SYSTEM_FLAGS:
            for bit, other in self._bits.items():
                if flags & bit:
                    made |= other
        return made


def translation(tx: Tx, source: FolderRow, target: FolderRow, found: Sequence[MessageRow], mask: int) -> Translation:
    """For messages that go from one folder to another; keywords that the target lacks are made. Raises LimitReached."""
    used = 0
    for row in found:
        used |= row.flags
    used &= mask & ~SYSTEM_FLAGS
    if not used:
        return Translation(mask, {})
    names = [(1 << bit, name) for bit, name in keywords(tx, source.id) if used & 1 << bit]
    room = KEYWORDS_PER_FOLDER
    known = {name.lower() for _, name in keywords(tx, target.id)}
    bits = {}
    for bit, name in names:
        if name.lower() not in known:
            if len(known) >= room:
                continue
            known.add(name.lower())
        bits[bit] = bits_of(tx, target.id, (name,), create=True)
    return Translation(mask, bits)


def _newer(tx: Tx, folder: FolderId, runs: Sequence[Run], modseq: int, seen_of: AccountId | None) -> list[int]:
    found: list[int] = []
    owner = tx.owner_of(folder)
    for low, high in runs:
        first, last = key(folder, low), key(folder, high)
        if seen_of is None:
            newer = tx.all("messages.newer", owner=owner, low=first, high=last, modseq=modseq)
        else:
            newer = tx.all("messages.newer_for", owner=owner, low=first, high=last, modseq=modseq, actor=seen_of)
        found += [uid for (uid,) in newer]
    return found


def _are_few(runs: Sequence[Run]) -> bool:
    return len(runs) <= FEW_MESSAGES and sum([high - low for low, high in runs]) < _FEW_UIDS


DEEDS: Final = (
    (ChangeFlags, change_flags),
    (MarkSeen, _mark_seen),
)
