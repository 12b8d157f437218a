"""The octets of messages: once per owner and content, in the row up to 128 KiB, else in a file."""

import asyncio
import errno
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from io import RawIOBase
from json import dumps
from pathlib import Path
from threading import Lock
from typing import Final, TypeVar

from store.counts import each
from store.durable import sync_directory, write_whole
from store.errors import Busy, Full, NotFound
from store.model import BlobId, NewMessage, Spooled
from store.port import Deed, Tx

IN_ROW: Final = 128 * 1024
"""Octets. A row takes half of a file's processor time up to 250 KB and more, log and checkpoint among it (tests/bench/RESULTS.md), but is
written twice; most octets are in messages that are larger."""

ALL_IN_ROWS: Final = 1 << 30

SWEPT: Final = 1 << 20
"""Octets in rows that one turn of the sweep takes away: some 5 to 15 ms, as pages that come free are filled with zeros, in which nobody
else writes, on PostgreSQL on no node."""

QUEUE_OWNER: Final = 0

SHELF_OF_OBJECTS: Final = "object/"
"""Places that begin so are in an object store (store/objects.py), or were, and a backup brought them back into files."""

_UNFINISHED: Final = ".part"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """The directory of the octets that lie in files. Every method that is not `async` blocks: call it in a thread. `in_row`: so many
    octets lie in the database; all of them (ALL_IN_ROWS) where several nodes have one database, but no disk. `on_disk` False: nothing
    that is small enough for a row lies in a file, for that is so."""

    directory: Path
    in_row: int = IN_ROW
    on_disk: bool = True
    _durable: set[str] = field(default_factory=set, init=False, repr=False, compare=False)
    _making: Lock = field(default_factory=Lock, init=False, repr=False, compare=False)
    _holders: list[object] = field(default_factory=list, init=False, repr=False, compare=False)

    def spool(self, octets: bytes) -> Spooled:
        """Durable when it returns: written, fsynced, renamed, the directory fsynced. Raises OSError, Full."""
        name = secrets.token_hex(16)
        place = f"{name[:2]}/{name}"
        target = self.directory / place
        unfinished = target.with_name(name + _UNFINISHED)
        try:
            self._make(target.parent)
            write_whole(unfinished, target, octets)
            sync_directory(target.parent)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise Full(f"octets could not be written: {error.strerror}") from error
            raise
        return Spooled(place, sha256(octets).digest(), len(octets))

    def _make(self, shelf: Path) -> None:
        """A file is durable only when every directory above it is: whoever finds one that is just being made waits for it."""
        with self._making:
            if shelf.name in self._durable and shelf.is_dir():
                return
            missing = [one for one in (self.directory, *self.directory.parents) if not one.is_dir()]
            if not missing and not self._durable:
                # Whoever made it may have been cut off before its name was on disk.
                missing = [self.directory]
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            shelf.mkdir(mode=0o700, parents=True, exist_ok=True)
            for made in (shelf, *missing):
                sync_directory(made.parent)
            self._durable.add(shelf.name)

    def keep(self, message: NewMessage, most: int = ALL_IN_ROWS) -> NewMessage:
        """The message with its octets spooled where they are large: call it before the deed, so that the writer need not write
        them. (A deed also takes large octets as they are, only slower.) `most`: octets that are not large here, where there is a disk.
        Raises OSError, Full."""
        if message.spooled is not None or len(message.octets) <= (min(self.in_row, most) if self.on_disk else self.in_row):
            return message
        return message._replace(spooled=self.spool(message.octets), octets=b"")

    def read(self, place: str) -> bytes:
        """Raises NotFound."""
        try:
            with (self.directory / place).open("rb", buffering=0) as file:
                return file.read()
        except FileNotFoundError:
            raise _gone(place) from None

    def beginning(self, place: str, count: int) -> bytes:
        """So many octets at most. Raises NotFound."""
        try:
            with (self.directory / place).open("rb") as file:
                return file.read(count)
        except FileNotFoundError:
            raise _gone(place) from None

    def pieces(self, place: str, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """The octets from each first offset up to the second. Raises NotFound."""
        try:
            with (self.directory / place).open("rb", buffering=0) as file:
                return [_exactly(file, low, high - low) for low, high in wanted]
        except FileNotFoundError:
            raise _gone(place) from None

    async def kept(self, message: NewMessage, most: int = ALL_IN_ROWS) -> NewMessage:
        """What `keep` does, without blocking. Raises OSError, Busy."""
        return await asyncio.to_thread(self.keep, message, most)

    async def brought(self, reading: Callable[[], Awaitable[T]]) -> T:
        """What a reading of octets returns. It may be called several times, each in a snapshot of its own, and octets that lie in an
        object store come in between: snapshots are short (store/away.py). Raises what it raises, and Busy."""
        return await reading()

    async def whole(self, place: str) -> bytes:
        """Outside of any snapshot. Raises NotFound, OSError, Busy."""
        return await asyncio.to_thread(self.read, place)

    async def discard(self, places: Iterable[str]) -> None:
        """What `remove` does, without blocking. Raises OSError, Busy."""
        await asyncio.to_thread(self.remove, list(places))

    async def aged_pages(self, before: int) -> AsyncIterator[list[str]]:
        """What `aged` finds, a page at a time. Raises OSError, Busy."""
        yield await asyncio.to_thread(self.aged, before)

    @property
    def is_held(self) -> bool:
        """Is nothing to be removed?"""
        return bool(self._holders)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is removed meanwhile: what a snapshot of now names stays, however long it is read."""
        holder = object()
        self._holders.append(holder)
        try:
            yield
        finally:
            self._holders.remove(holder)

    def remove(self, places: Iterable[str]) -> None:
        """Ask `orphans` about them in a fresh snapshot first. Files that are gone are no error. While they are `held` they stay, and
        are for the next round to find."""
        for place in places:
            if self._holders:
                return
            (self.directory / place).unlink(missing_ok=True)

    def aged(self, before: int) -> list[str]:
        """Places of files last written before this (microseconds since 1970): what `orphans` may be asked about."""
        found = []
        for pattern in ("[0-9a-f][0-9a-f]", f"{SHELF_OF_OBJECTS}*/[0-9a-f][0-9a-f]"):
            for shelf in self.directory.glob(pattern):
                at = shelf.relative_to(self.directory).as_posix()
                with os.scandir(shelf) as entries:
                    found += [f"{at}/{entry.name}" for entry in entries if entry.stat().st_mtime_ns // 1000 < before]
        return found


def _gone(place: str) -> Exception:
    """An object that cannot be had may be there again in a minute; a file that is gone is gone."""
    return (
        Busy(f"octets {place} lie in an object store that is not set")
        if place.startswith(SHELF_OF_OBJECTS)
        else NotFound(f"octets {place}")
    )


def octets(tx: Tx, blob: BlobId, files: Files) -> bytes:
    """Raises NotFound."""
    row = tx.one("blobs.octets", id=blob)
    if row is None:
        raise NotFound(f"octets {blob}")
    inline, place = row
    return bytes(inline) if inline is not None else files.read(place)


def after(tx: Tx, blob: BlobId, last: BlobId, most: int) -> list[tuple[BlobId, int, bytes, int]]:
    """(id, owner, hash, size) of the next ones up to `last`, in the order of their ids."""
    return tx.all("blobs.after", id=blob, last=last, most=most)


@dataclass(frozen=True, slots=True)
class Drawn:
    """How far ids are given, and when no lower one can come any more: whoever writes has a number of their own, drawn before the ids;
    `oldest` of them still writes, `next_one` is not given yet. All are 0 where one writer gives ids in the order of its commits."""

    newest: BlobId
    oldest: int
    next_one: int


def drawn(tx: Tx) -> Drawn:
    """What this snapshot sees of it."""
    return Drawn(*(tx.one("blobs.drawn") or (BlobId(0), 0, 0)))


class Settled:
    """Up to which id every blob is there that will ever be. Ids are given when a deed is done, and seen when it is committed: where several
    write at once, a lower one may be seen later. What was seen is settled once all have ended who wrote then."""

    def __init__(self) -> None:
        self.last = BlobId(0)
        self._waiting: Drawn | None = None

    @property
    def is_waiting(self) -> bool:
        """Is more seen than is settled?"""
        return self._waiting is not None

    def see(self, drawn: Drawn) -> None:
        """What another snapshot sees."""
        waiting = self._waiting
        if waiting is not None and drawn.oldest >= waiting.next_one:
            self.last = max(self.last, waiting.newest)
            self._waiting = waiting = None
        if drawn.oldest >= drawn.next_one:
            self.last = max(self.last, drawn.newest)
            self._waiting = None
        elif waiting is None and drawn.newest > self.last:
            self._waiting = drawn


def newest(tx: Tx) -> int:
    """The highest id that was ever given; it may be gone. 0: none yet."""
    row = tx.one("blobs.newest")
    return 0 if row is None else int(row[0])


def owner(tx: Tx, blob: BlobId) -> int:
    """Whose they are, of which only the number is known. Raises NotFound."""
    row = tx.one("blobs.hash", id=blob)
    if row is None:
        raise NotFound(f"octets {blob}")
    return int(row[0])


def digest(tx: Tx, blob: BlobId) -> bytes | None:
    """SHA-256 of its octets; None: it is gone."""
    row = tx.one("blobs.hash", id=blob)
    return None if row is None else bytes(row[1])


def gone(tx: Tx, blobs: Sequence[int]) -> list[int]:
    """Those that are not there any more; through `work`. Their ids are never given again."""
    return [blob for (blob,) in tx.all("blobs.gone", blobs=dumps(blobs))]


def orphans(tx: Tx, places: Sequence[str]) -> list[str]:
    """Those of the places that no row names. Safe to remove when they are older than any deed under way (an hour)."""
    return [place for place in places if tx.one("blobs.place_named", place=place) is None]


@dataclass(frozen=True, slots=True)
class Swept:
    """`places` of files to remove once the snapshots that are open now have ended (a minute later). `more`: not all candidates were
    looked at."""

    places: tuple[str, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class SweepBlobs(Deed[Swept]):
    """Removes octets that nothing uses any more, with what was read of them, looking at `limit` candidates at most; fewer where their
    octets in rows come to SWEPT, since whoever writes waits for it."""

    limit: int = 500


def keep(tx: Tx, owner: int, message: NewMessage) -> BlobId:
    """The id of these octets among the owner's, stored if they were not yet."""
    spooled = message.spooled
    digest = sha256(message.octets).digest() if spooled is None else spooled.hash
    # Nearly all are new: so it is not asked first.
    made = tx.insert(
        "blobs.insert",
        owner=owner,
        hash=digest,
        size=message.size,
        place=None if spooled is None else spooled.place,
        octets=message.octets if spooled is None else None,
    )
    if made:
        return BlobId(made)
    there = tx.one("blobs.by_hash", owner=owner, hash=digest)
    assert there is not None  # else it would have been made
    return BlobId(there[0])


def keep_for(tx: Tx, owner: int, blob: BlobId, source: int) -> BlobId:
    """The same octets of `source`'s as a copy of this owner's. Raises NotFound."""
    row = tx.one("blobs.hash_of", owner=source, id=blob)
    if row is None:
        raise NotFound(f"octets {blob}")
    if source == owner:
        return blob
    found = tx.one("blobs.by_hash", owner=owner, hash=row[0])
    return BlobId(found[0] if found is not None else tx.insert("blobs.duplicate", owner=owner, source=source, id=blob))


def loosen(tx: Tx, owner: int, blobs: Iterable[int]) -> None:
    """These of the owner's lost a user: the next sweep looks at them."""
    each(tx, "blobs.loosen", [{"owner": owner, "blob": blob} for blob in blobs])


def loosen_queued(tx: Tx, blobs: Iterable[int]) -> None:
    """The same of what a row of the queue had, which does not say whose they are."""
    each(tx, "blobs.loosen_queued", [{"blob": blob} for blob in blobs])


def _sweep(tx: Tx, deed: SweepBlobs) -> Swept:
    looked_at: list[dict[str, int]] = []
    going: list[dict[str, int]] = []
    places: set[str] = set()
    octets = 0
    found = tx.all("blobs.loose", limit=deed.limit)
    for blob, place, size, used, owner in found:
        looked_at.append({"owner": owner, "blob": blob})
        if used:
            continue
        going.append(looked_at[-1])
        if place is not None:
            places.add(place)
        else:
            octets += size
        if octets >= SWEPT:
            break
    for statement, rows in (
        ("blobs.tighten", looked_at),
        ("blobs.delete_wire", going),
        ("blobs.delete_head", going),
        ("blobs.delete", going),
    ):
        if rows:
            each(tx, statement, rows)
    # One file may serve several owners who were sent the same message in one deed.
    unnamed = tuple(place for place in sorted(places) if tx.one("blobs.place_named", place=place) is None)
    return Swept(unnamed, more=len(looked_at) == deed.limit or len(looked_at) < len(found))


def _exactly(file: RawIOBase, first: int, count: int) -> bytes:
    """As many octets as there are; the system may give them in parts."""
    file.seek(first)
    octets = file.read(count) or b""
    if len(octets) == count:
        return octets
    parts = [octets]
    while octets and count > len(octets):
        count -= len(octets)
        octets = file.read(count) or b""
        parts.append(octets)
    return b"".join(parts)


DEEDS: Final = ((SweepBlobs, _sweep),)
