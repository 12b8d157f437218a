"""Messages in folders: appended, read, flagged, copied, moved, expunged."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from policy.identity import AccountId, FolderId
from store import blobs, changes, stretches
from store.away import Wanting
from store.blobs import Files
from store.errors import LimitReached, NotFound, OverQuota
from store.folders import charge, existing, take_room
from store.model import (
    FIRST_KEYWORD_BIT,
    KEYWORDS_PER_FOLDER,
    BlobId,
    Flag,
    FolderRow,
    HeadRow,
    MessageRow,
    NewMessage,
    Run,
    Sorting,
    SortRow,
    Uid,
    WireRow,
)
from store.port import Deed, FolderChanged, Tx
from store.runs import LAST_UID, key, merged, runs_of, span, without

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
FEW_MESSAGES: Final = 4
"""Appended, or changed in so many runs of UIDs, that nobody notices."""
_FEW_UIDS: Final = 100

FILED_FOR: Final = 15 * 60 * 1_000_000
"""How long the client's own APPEND may take the place of the copy that the server filed (delegation.md section 6)."""

_DAY: Final = 86_400_000_000
_UNSORTED: Final = Sorting(0, "", "", "", "", "", "", False, "")


# --- reading
# `seen_of` is the actor whose own \Seen counts: pass it where folder.seen_private, else None.


@dataclass(frozen=True, slots=True)
class State:
    """Every message of a folder at its `modseq`, in UID order; `flags` and `modseqs` as one actor sees them."""

    modseq: int
    uids: "array[int]"  # 'I'
    flags: "array[int]"  # 'Q'
    modseqs: "array[int]"  # 'Q'


def state(tx: Tx, folder: FolderId, seen_of: AccountId | None = None) -> State:
    """The whole folder; through `work`. Raises NotFound."""
    owner = tx.owner_of(folder)
    row = tx.one("messages.modseq", owner=owner, folder=folder)
    if row is None:
        raise NotFound(f"folder {folder}")
    low, high = span(folder)
    if seen_of is None:
        found = tx.all("messages.state", owner=owner, low=low, high=high)
    else:
        found = tx.all("messages.state_for", owner=owner, low=low, high=high, actor=seen_of)
    uids, flags, modseqs = zip(*found, strict=True) if found else ((), (), ())
    return State(row[0], array("I", uids), array("Q", flags), array("Q", modseqs))


def rows(tx: Tx, folder: FolderId, runs: Sequence[Run], seen_of: AccountId | None = None) -> list[MessageRow]:
    """In UID order; UIDs that are not there are left out, here and in everything below."""
    if seen_of is None:
        return [MessageRow(*row) for row in _within(tx, "messages.rows", folder, runs)]
    owner = tx.owner_of(folder)
    return [
        MessageRow(*row)
        for low, high in merged(runs)
        for row in tx.all("messages.rows_for", owner=owner, low=key(folder, low), high=key(folder, high), actor=seen_of)
    ]


def envelopes(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes, int]]:
    """(uid, ENVELOPE, rendering) in UID order."""
    return _within(tx, "messages.envelopes", folder, runs)


def structures(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes, int]]:
    """(uid, BODYSTRUCTURE, rendering) in UID order."""
    return _within(tx, "messages.structures", folder, runs)


def bodies(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes, int]]:
    """(uid, BODY, rendering) in UID order."""
    return _within(tx, "messages.bodies", folder, runs)


def email_ids(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, str]]:
    """(uid, an id that every copy of the same octets has, whoever owns it), in UID order (RFC 8474 section 5.1)."""
    return [(uid, "M" + digest.hex()) for uid, digest in _within(tx, "messages.hashes", folder, runs)]


def octets_hash(email_id: str) -> bytes:
    """Of an id as `email_ids` makes it; of any other text nothing that is stored has."""
    try:
        digest = bytes.fromhex(email_id[1:])
    except ValueError:
        return b""
    return digest if email_id == "M" + digest.hex() else b""


def wires(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[WireRow]:
    """ENVELOPE, BODYSTRUCTURE and BODY at once."""
    return [WireRow(*row) for row in _within(tx, "messages.wires", folder, runs)]


def heads(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[HeadRow]:
    """The lowered columns, for SORT and THREAD."""
    return [HeadRow(*row) for row in _within(tx, "messages.heads", folder, runs)]


def previews(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes | None]]:
    """(uid, the first words in UTF-8) in UID order; None: they were not made yet."""
    return [(uid, None if words is None else bytes(words)) for uid, words in _within(tx, "messages.previews", folder, runs)]


def layouts(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes | None]]:
    """(uid, where the parts stand) in UID order; None: it was not made yet."""
    return [(uid, None if layout is None else bytes(layout)) for uid, layout in _within(tx, "messages.layouts", folder, runs)]


def sorting(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[SortRow]:
    """For SORT and THREAD; through `work`. A row whose `version` is not the one wanted has to be made again from the octets."""
    return [SortRow._make(row) for row in _within(tx, "messages.sorting", folder, runs)]


def octets(tx: Tx, folder: FolderId, uid: int, files: Files) -> bytes | None:
    """The whole message; None: it is gone."""
    row = tx.one("messages.octets", owner=tx.owner_of(folder), key=key(folder, uid)) if 0 < uid <= LAST_UID else None
    if row is None:
        return None
    inline, place = row
    return bytes(inline) if inline is not None else files.read(place)


def pieces(tx: Tx, folder: FolderId, uid: int, wanted: Sequence[Run], files: Files) -> list[bytes] | None:
    """The message's octets from each first offset up to the second; None: it is gone. Of what lies in a file no more is read."""
    row = tx.one("messages.octets", owner=tx.owner_of(folder), key=key(folder, uid)) if 0 < uid <= LAST_UID else None
    if row is None:
        return None
    inline, place = row
    return [bytes(inline[low:high]) for low, high in wanted] if inline is not None else files.pieces(place, wanted)


def octets_within(tx: Tx, folder: FolderId, runs: Sequence[Run], files: Files) -> list[tuple[int, bytes]]:
    """(uid, the whole message) in UID order. The caller keeps the sum of their sizes small."""
    found = _within(tx, "messages.octets_within", folder, runs)
    wanting = Wanting()
    octets: list[tuple[int, bytes]] = []
    for uid, inline, place in found:
        if inline is not None:
            octets.append((uid, bytes(inline)))
            continue
        with wanting.noted():
            octets.append((uid, files.read(place)))
    wanting.settle()
    return octets


def first_within(tx: Tx, folder: FolderId, low: int, high: int, most: int) -> tuple[list[tuple[int, int]], bool]:
    """(uid, size) of the first messages from one UID to another that have `most` octets together, or of one; and whether these are all."""
    found = tx.all("messages.sizes", owner=tx.owner_of(folder), low=key(folder, low), high=key(folder, high))
    together = 0
    for number, (_, size) in enumerate(found):
        together += size
        if together > most and number:
            return found[:number], False
    return found, True


def first_octets(tx: Tx, folder: FolderId, low: int, high: int, most: int, files: Files) -> tuple[list[tuple[int, bytes]], bool]:
    """(uid, the whole message) of the same; through `work`."""
    found, are_all = first_within(tx, folder, low, high, most)
    return octets_within(tx, folder, ((found[0][0], found[-1][0]),), files) if found else [], are_all


def beginnings(tx: Tx, folder: FolderId, runs: Sequence[Run], count: int, files: Files) -> list[tuple[int, bytes]]:
    """(uid, the message's first `count` octets) in UID order."""
    found: list[tuple[int, bytes]] = []
    wanting = Wanting()
    owner = tx.owner_of(folder)
    for low, high in merged(runs):
        for uid, inline, place in tx.all("messages.beginnings", owner=owner, low=key(folder, low), high=key(folder, high), count=count):
            if inline is not None or place is None:
                # Nothing of an empty message is NULL, as what lies in a file is.
                found.append((uid, bytes(inline or b"")))
                continue
            with wanting.noted():
                found.append((uid, files.beginning(place, count)))
    wanting.settle()
    return found


def deleted_size(tx: Tx, folder: FolderRow) -> int:
    """Octets that EXPUNGE would free; through `work`, since it looks at every message."""
    if not folder.deleted:
        return 0
    low, high = span(folder.id)
    return sum(size for _, _, size, _ in tx.all("messages.marked_deleted", owner=folder.owner, low=low, high=high))


def keywords(tx: Tx, folder: FolderId) -> list[tuple[int, str]]:
    """(bit number, name), by bit; the flag is 1 << bit number."""
    return [(bit, name) for bit, name, _ in tx.all("messages.keywords", owner=tx.owner_of(folder), folder=folder)]


def with_message_id(tx: Tx, folder: FolderId, message_id: str) -> list[Uid]:
    """`message_id` in the form of NewMessage.message_id. Looks at every message of the folder: through `work`."""
    low, high = span(folder)
    wanted = {"low": low, "high": high, "message_id": storable(message_id)}
    return [uid for uid, _ in tx.all("messages.with_message_id", owner=tx.owner_of(folder), **wanted)]


def originals(tx: Tx, folders: Sequence[FolderId], message_id: str) -> list[tuple[FolderId, Uid, BlobId]]:
    """Every message with this Message-ID in these folders (delegation.md 5.5); through `work`."""
    found = []
    for folder in folders:
        low, high = span(folder)
        wanted = {"low": low, "high": high, "message_id": storable(message_id)}
        for uid, blob in tx.all("messages.with_message_id", owner=tx.owner_of(folder), **wanted):
            found.append((folder, Uid(uid), BlobId(blob)))
    return found


# --- deeds


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


class FlagMode(StrEnum):
    """+FLAGS, -FLAGS, FLAGS."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class FlagsChanged:
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
    flags: Flag = NO_FLAGS
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


@dataclass(frozen=True, slots=True)
class Rerendered(Deed[None]):
    """Wire octets made again by a newer renderer; rows that are gone are left out."""

    folder: FolderId
    rows: tuple[WireRow, ...]


@dataclass(frozen=True, slots=True)
class SetSorting(Deed[None]):
    """What SORT and THREAD compare, made of octets that were stored before; messages that are gone are left out."""

    folder: FolderId
    rows: tuple[tuple[Uid, Sorting], ...]


@dataclass(frozen=True, slots=True)
class SetPreviews(Deed[None]):
    """The first words, UTF-8, of messages that were stored before; those that are gone are left out."""

    folder: FolderId
    rows: tuple[tuple[Uid, bytes], ...]


@dataclass(frozen=True, slots=True)
class SetLayouts(Deed[None]):
    """Where the parts stand of messages that were stored before; those that are gone are left out."""

    folder: FolderId
    rows: tuple[tuple[Uid, bytes], ...]


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
        modseq = _remove(tx, existing(tx, folder.id), replaced)
    return Appended(folder.uidvalidity, uids, modseq, tuple(Uid(row[0]) for row in replaced))


def _replace(tx: Tx, deed: ReplaceMessage) -> Appended:
    source = existing(tx, deed.source)
    gone = _within(tx, "messages.there", source.id, ((deed.uid, deed.uid),))
    if not gone:
        raise NotFound(f"message {deed.uid}")
    target = existing(tx, deed.append.folder)
    freed = gone[0][2] if source.owner == target.owner else 0
    appended = _append(tx, deed.append, freed, deed.uid if source.id == target.id else 0)
    if source.id == target.id and deed.uid in appended.replaced:
        return appended
    modseq = _remove(tx, existing(tx, source.id), gone)
    return appended if source.id != target.id else replace(appended, modseq=modseq)


def change_flags(tx: Tx, deed: ChangeFlags) -> FlagsChanged:
    """Does the deed; for other deeds too, as `copy` and `move`."""
    folder = existing(tx, deed.folder)
    runs = _clipped(deed.runs, folder)
    refused: tuple[Run, ...] = ()
    if deed.unchanged_since is not None:
        refused = runs_of(_newer(tx, folder.id, runs, min(deed.unchanged_since, folder.modseq), deed.seen_of))
        runs = without(runs, refused)
    creating = deed.mode is not FlagMode.REMOVE and deed.mask > SYSTEM_FLAGS
    bits = (int(deed.flags) | _bits(tx, folder.id, deed.keywords, create=creating)) & deed.mask
    cleared = {FlagMode.ADD: 0, FlagMode.REMOVE: bits, FlagMode.REPLACE: deed.mask}[deed.mode]
    keep = EVERY_FLAG & ~cleared
    added = 0 if deed.mode is FlagMode.REMOVE else bits
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
        counted = tx.one("messages.count_changes", owner=folder.owner, low=first, high=last, keep=keep, added=added)
        if counted is not None and counted[0]:
            count, was_seen, was_deleted, lowest, highest = counted
            tx.later("messages.change_flags", owner=folder.owner, low=first, high=last, keep=keep, added=added, modseq=modseq)
            unseen += was_seen - (count if added & SEEN else was_seen if keep & SEEN else 0)
            deleted += (count if added & DELETED else was_deleted if keep & DELETED else 0) - was_deleted
            touched.append((lowest & LAST_UID, highest & LAST_UID))
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


def _change_scattered(tx: Tx, folder: FolderRow, runs: Sequence[Run], keep: int, added: int, modseq: int) -> tuple[list[Run], int, int]:
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


def _expunge(tx: Tx, deed: Expunge) -> Expunged:
    folder = existing(tx, deed.folder)
    if not folder.deleted:
        return Expunged((), folder.modseq)
    runs = _clipped(((1, LAST_UID),) if deed.runs is None else deed.runs, folder)
    going = _within(tx, "messages.marked_deleted", folder.id, runs)
    if not going:
        return Expunged((), folder.modseq)
    return Expunged(runs_of(row[0] for row in going), _remove(tx, folder, going))


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
    modseq = _remove(tx, source, _within(tx, "messages.there", source.id, runs))
    return Copied(copied.uidvalidity, copied.sources, copied.targets, modseq if source.id == deed.target else copied.modseq, modseq)


def _alike(tx: Tx, deed: CopyMessages | MoveMessages, source: FolderRow, target: FolderRow) -> stretches.Stretches | None:
    """What is to be copied or moved, where that is alike for all of it."""
    if source.owner != target.owner or deed.seen_from is not None or deed.seen_to is not None:
        return None
    return stretches.found(tx, source, _clipped(deed.runs, source))


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
    _require_uids(target, alike.count)
    stretches.move(tx, alike, source, target, deed.mask)
    _grow(tx, target, alike.count, *stretches.masked(alike, deed.mask), alike.size)
    # The same owner has as many octets as before.
    modseq = _shrink(tx, existing(tx, source.id), alike)
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
        _require_uids(target, alike.count)
        stretches.copy(tx, alike, source, target, deed.mask)
        _grow(tx, target, alike.count, *stretches.masked(alike, deed.mask), alike.size)
        return _as_copied(alike, target, target.modseq + 1)
    found = rows(tx, source.id, _clipped(deed.runs, source), deed.seen_from)
    if not found:
        return Copied(target.uidvalidity, (), (), target.modseq)
    size = sum(row.size for row in found)
    if not (charged or source.owner != target.owner):
        charge(tx, target.owner, size)
    elif not take_room(tx, target.owner, deed.quota, size):
        raise OverQuota(f"account {target.owner}")
    _require_uids(target, len(found))
    translated = _translation(tx, source, target, found, deed.mask)
    modseq = target.modseq + 1
    first = target.uidnext
    making: list[dict[str, Any]] = []
    own: list[dict[str, Any]] = []
    unseen = deleted = 0
    for uid, row in enumerate(found, first):
        flags = translated(row.flags)
        if deed.seen_to is not None and flags & SEEN:
            flags &= ~SEEN
            own.append({"owner": target.owner, "actor": deed.seen_to, "key": key(target.id, uid), "is_seen": 1, "modseq": modseq})
        unseen += not flags & SEEN
        deleted += bool(flags & DELETED)
        making.append(
            {
                "owner": target.owner,
                "key": key(target.id, uid),
                "blob": row.blob if source.owner == target.owner else blobs.keep_for(tx, target.owner, row.blob, source.owner),
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
    uid = first
    for low, high in runs_of(row.uid for row in found):
        shift = key(target.id, uid) - key(source.id, low)
        for statement in ("messages.copy_wire", "messages.copy_head"):
            within = {"low": key(source.id, low), "high": key(source.id, high)}
            tx.later(statement, owner=source.owner, target_owner=target.owner, shift=shift, **within)
        uid += high - low + 1
    _grow(tx, target, len(found), unseen, deleted, size)
    return Copied(target.uidvalidity, tuple(row.uid for row in found), tuple(Uid(uid) for uid in range(first, first + len(found))), modseq)


def _rerendered(tx: Tx, deed: Rerendered) -> None:
    owner = tx.owner_of(deed.folder)
    tx.many(
        "messages.set_wire",
        [
            {
                "owner": owner,
                "key": key(deed.folder, row.uid),
                "rendering": row.rendering,
                "envelope": row.envelope,
                "structure": row.structure,
                "body": row.body,
            }
            for row in deed.rows
        ],
    )


def _set_previews(tx: Tx, deed: SetPreviews) -> None:
    owner = tx.owner_of(deed.folder)
    tx.many("messages.set_preview", [{"owner": owner, "key": key(deed.folder, uid), "preview": words} for uid, words in deed.rows])


def _set_layouts(tx: Tx, deed: SetLayouts) -> None:
    owner = tx.owner_of(deed.folder)
    tx.many("messages.set_layout", [{"owner": owner, "key": key(deed.folder, uid), "layout": layout} for uid, layout in deed.rows])


def _set_sorting(tx: Tx, deed: SetSorting) -> None:
    owner = tx.owner_of(deed.folder)
    tx.many("messages.set_sorting", [{"owner": owner, "key": key(deed.folder, uid), **_sorting(made)} for uid, made in deed.rows])


def _sorting(made: Sorting) -> dict[str, Any]:
    return {
        "sort_version": made.version,
        "sort_from": storable(made.from_),
        "sort_to": storable(made.to),
        "sort_cc": storable(made.cc),
        "sort_shown_from": storable(made.shown_from),
        "sort_shown_to": storable(made.shown_to),
        "sort_subject": storable(made.subject),
        "is_reply": made.is_reply,
        "ancestors": storable(made.ancestors),
    }


# --- for other deeds


def put(tx: Tx, folder: FolderRow, items: Sequence[NewInFolder], seen_of: AccountId | None = None) -> tuple[tuple[Uid, ...], int]:
    """Stores them in a folder whose row was read in this transaction, after room was taken. Returns UIDs and modseq."""
    _require_uids(folder, len(items))
    if not items:
        return (), folder.modseq
    modseq = folder.modseq + 1
    messages, wire, head, own = [], [], [], []
    unseen = deleted = size = 0
    for uid, item in enumerate(items, folder.uidnext):
        message = item.message
        flags = int(item.flags)
        if item.keywords:
            flags |= _bits(tx, folder.id, item.keywords, create=True)
        here = key(folder.id, uid)
        if seen_of is not None and flags & SEEN:
            flags &= ~SEEN
            own.append({"owner": folder.owner, "actor": seen_of, "key": here, "is_seen": 1, "modseq": modseq})
        unseen += not flags & SEEN
        deleted += bool(flags & DELETED)
        size += message.size
        messages.append(
            {
                "owner": folder.owner,
                "key": here,
                "blob": blobs.keep(tx, folder.owner, message),
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
                "key": here,
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
                "key": here,
                "sent": message.sent,
                "sent_day": message.sent // _DAY if day is None and message.sent is not None else day,
                "sender": storable(message.from_),
                "recipient": storable(message.to),
                "copied": storable(message.cc),
                "subject": storable(message.subject),
                "message_id": storable(message.message_id),
                **_sorting(message.sorting or _UNSORTED),
            }
        )
    for statement, made in (
        ("messages.insert", messages),
        ("messages.insert_wire", wire),
        ("messages.insert_head", head),
        ("messages.insert_seen", own),
    ):
        if made:
            _each(tx, statement, made)
    _grow(tx, folder, len(items), unseen, deleted, size)
    return tuple(Uid(uid) for uid in range(folder.uidnext, folder.uidnext + len(items))), modseq


def storable(text: str) -> str:
    """As it is kept and compared: what is no Unicode (lone surrogates) becomes a question mark, as SQL takes nothing else; for NUL,
    which PostgreSQL does not take, stands U+FFFD."""
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


# --- pieces


def _each(tx: Tx, statement: str, made: Sequence[dict[str, Any]]) -> None:
    if len(made) == 1:
        tx.later(statement, **made[0])
    else:
        tx.many(statement, made)


def _within(tx: Tx, statement: str, folder: int, runs: Sequence[Run]) -> list[Any]:
    found: list[Any] = []
    owner = tx.owner_of(FolderId(folder))
    for low, high in merged(runs):
        found += tx.all(statement, owner=owner, low=key(folder, low), high=key(folder, high))
    return found


def _are_few(runs: Sequence[Run]) -> bool:
    return len(runs) <= FEW_MESSAGES and sum([high - low for low, high in runs]) < _FEW_UIDS


def _clipped(runs: Iterable[Run], folder: FolderRow) -> list[Run]:
    return merged([(low, min(high, folder.uidnext - 1)) for low, high in runs])


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


def _bits(tx: Tx, folder: FolderId, names: Sequence[str], *, create: bool) -> int:
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


class _Translation:
    """The source's flags as the target's: keywords by name, those the target has no room for dropped."""

    def __init__(self, mask: int, bits: dict[int, int]) -> None:
        self._mask = mask & SYSTEM_FLAGS
        self._bits = bits

    def __call__(self, flags: int) -> int:
        made = flags & self._mask
        if flags > SYSTEM_FLAGS:
            for bit, other in self._bits.items():
                if flags & bit:
                    made |= other
        return made


def _translation(tx: Tx, source: FolderRow, target: FolderRow, found: Sequence[MessageRow], mask: int) -> _Translation:
    used = 0
    for row in found:
        used |= row.flags
    used &= mask & ~SYSTEM_FLAGS
    if not used:
        return _Translation(mask, {})
    names = [(1 << bit, name) for bit, name in keywords(tx, source.id) if used & 1 << bit]
    room = KEYWORDS_PER_FOLDER
    known = {name.lower() for _, name in keywords(tx, target.id)}
    bits = {}
    for bit, name in names:
        if name.lower() not in known:
            if len(known) >= room:
                continue
            known.add(name.lower())
        bits[bit] = _bits(tx, target.id, (name,), create=True)
    return _Translation(mask, bits)


def _require_uids(folder: FolderRow, count: int) -> None:
    if folder.uidnext + count > LAST_UID:
        raise LimitReached("UIDs of a folder")


def _grow(tx: Tx, folder: FolderRow, count: int, unseen: int, deleted: int, size: int) -> None:
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


def _remove(tx: Tx, folder: FolderRow, going: Sequence[tuple[int, int, int, int]]) -> int:
    """Takes (uid, blob, size, flags), ascending, out of a folder whose row was read since its last change; returns the modseq."""
    runs = runs_of(row[0] for row in going)
    keys = [{"owner": folder.owner, "low": key(folder.id, low), "high": key(folder.id, high)} for low, high in runs]
    statements = ["messages.delete", "messages.delete_wire", "messages.delete_head"]
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
        _each(tx, statement, keys)
    size = sum(row[2] for row in going)
    unseen = sum(not row[3] & SEEN for row in going)
    charge(tx, folder.owner, -size)
    return _shrink(tx, folder, stretches.Stretches(tuple(runs), len(going), size, unseen, sum(bool(row[3] & DELETED) for row in going)))


def _shrink(tx: Tx, folder: FolderRow, gone: stretches.Stretches) -> int:
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
    (ChangeFlags, change_flags),
    (MarkSeen, _mark_seen),
    (Expunge, _expunge),
    (CopyMessages, copy),
    (MoveMessages, move),
    (Rerendered, _rerendered),
    (SetPreviews, _set_previews),
    (SetLayouts, _set_layouts),
    (SetSorting, _set_sorting),
)
