"""Large octets in an object store (S3, Google, Azure, a directory): written before the deed that names them, read outside of snapshots.

An object is called `<installation>/ab/<SHA-256>-<nonce>` and its place in the row of `blob` is `object/` and that name. So the name says
what the octets must be, and no name is ever used twice: what no row names an hour after it was written, no row will ever name, whatever
other nodes are doing. Found again by hash octets are in the table `blob` alone, within one owner (architecture.md section 12).
"""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from store.away import Away, Lost, Spans, Want
from store.blobs import ALL_IN_ROWS, IN_ROW, SHELF_OF_OBJECTS, Files
from store.durable import sync_directory, sync_file
from store.errors import Busy
from store.model import NewMessage, Spooled
from store.port import Deed, Tx

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore

T = TypeVar("T")

ATTEMPTS: Final = 3
"""For octets that came cut off or are not those of their name; what the object store refuses is tried again by obstore itself."""
AT_ONCE: Final = 32
"""Requests of this process that are under way, at most."""
ROUNDS: Final = 32
"""A reading that wants something new so often is given up."""
PAGE: Final = 1000
MARK: Final = "procura"
"""The object by which an installation knows its own place again."""

_NAME: Final = re.compile(r"(?P<home>[0-9a-f]{16})/[0-9a-f]{2}/(?P<hash>[0-9a-f]{64})-[0-9a-f]{16}")
_STATUS: Final = re.compile(r"status code: (\d{3}[A-Za-z ]*)")


@dataclass(frozen=True, slots=True)
class Home(Deed[str]):
    """Under which name this installation keeps its objects: this one, if it has none yet. No two installations have one in common: each
    sweeps what its own rows do not name."""

    proposed: str


def home(tx: Tx) -> str | None:
    """None: no object was ever kept."""
    row = tx.one("objects.home")
    return None if row is None else str(row[0])


def _home(tx: Tx, deed: Home) -> str:
    found = home(tx)
    if found is None:
        tx.run("objects.settle", name=deed.proposed)
    return deed.proposed if found is None else found


@dataclass(slots=True)
class _Held:
    """Octets that readings under way asked for, and how many of them did."""

    _octets: list[bytes]
    fault: Lost | None = None
    readers: int = 0

    @property
    def octets(self) -> list[bytes]:
        """Raises Lost."""
        if self.fault is not None:
            raise Lost(str(self.fault))
        return self._octets


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFiles(Files):
    """`above`: octets from which on a message is an object (up to `in_row` it is in the row, between them in a file); `deadline`:
    seconds for one object to be written or read. What the object store cannot do raises Busy, and never says that a message is gone.

    Places that lie in the directory too (a restored backup puts them there) are read there.
    """

    objects: "ObjectStore"
    name: str
    above: int = IN_ROW
    deadline: float = 30.0
    root: Path | None = None
    """Where the objects are files of this machine: they are made durable by us."""
    _there: dict[Want, _Held] = field(default_factory=dict, init=False, repr=False, compare=False)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE), init=False, repr=False, compare=False)

    # --- writing

    async def kept(self, message: NewMessage, most: int = ALL_IN_ROWS) -> NewMessage:
        """Durable when it returns, or Busy."""
        if message.spooled is not None or len(message.octets) <= max(self.above, self.in_row):
            return await asyncio.to_thread(self.keep, message, most)
        octets = message.octets
        digest = await asyncio.to_thread(lambda: sha256(octets).digest())
        name = f"{self.name}/{digest.hex()[:2]}/{digest.hex()}-{secrets.token_hex(8)}"
        await self._asked("write", name, lambda: self._put(name, octets))
        return message._replace(spooled=Spooled(SHELF_OF_OBJECTS + name, digest, len(octets)), octets=b"")

    async def _put(self, name: str, octets: bytes) -> None:
        from obstore import put_async

        # In one request: what is uploaded in parts leaves parts behind that no list shows.
        await put_async(self.objects, name, octets, use_multipart=False)
        if self.root is not None:
            await asyncio.to_thread(self._sync, self.root / name)

    def _sync(self, file: Path) -> None:
        sync_file(file)
        assert self.root is not None
        for directory in file.parents:
            sync_directory(directory)
            if directory == self.root:
                break

    # --- reading

    def read(self, place: str) -> bytes:
        """Raises NotFound, Away."""
        if not place.startswith(SHELF_OF_OBJECTS):
            return Files.read(self, place)
        found = self._there.get(Want(place))
        return found.octets[0] if found is not None else self._here(place, None)[0]

    def beginning(self, place: str, count: int) -> bytes:
        """Raises NotFound, Away."""
        if not place.startswith(SHELF_OF_OBJECTS):
            return Files.beginning(self, place, count)
        whole = self._there.get(Want(place))
        return whole.octets[0][:count] if whole is not None else self.pieces(place, [(0, count)])[0]

    def pieces(self, place: str, wanted: Sequence[tuple[int, int]]) -> list[bytes]:
        """Raises NotFound, Away."""
        if not place.startswith(SHELF_OF_OBJECTS):
            return Files.pieces(self, place, wanted)
        spans = tuple(wanted)
        found = self._there.get(Want(place, spans))
        return found.octets if found is not None else self._here(place, spans)

    def _here(self, place: str, spans: Spans | None) -> list[bytes]:
        try:
            return [Files.read(self, place)] if spans is None else Files.pieces(self, place, spans)
        except Busy:
            raise Away((Want(place, spans),)) from None

    async def brought(self, reading: Callable[[], Awaitable[T]]) -> T:
        """Raises what `reading` raises, and Busy where octets could not be had."""
        held: list[Want] = []
        try:
            for _ in range(ROUNDS):
                try:
                    return await reading()
                except Away as away:
                    wanted = [one for one in away.wanted if one not in held]
                # Each is waited for whatever happens to the others, so that what is held is known.
                done = await asyncio.gather(*(self._bring(one, held) for one in wanted), return_exceptions=True)
                for fault in done:
                    if isinstance(fault, BaseException):
                        raise fault
            raise Busy("octets that change faster than they are read")
        finally:
            for one in held:
                there = self._there[one]
                there.readers -= 1
                if not there.readers:
                    del self._there[one]

    async def _bring(self, want: Want, held: list[Want]) -> None:
        if want not in self._there:
            try:
                octets = [await self.whole(want.place)] if want.spans is None else await self._spans(want.place, want.spans)
                found = _Held(octets)
            except Lost as fault:  # the reading decides what that means
                found = _Held([], fault)
            self._there.setdefault(want, found)
        self._there[want].readers += 1
        held.append(want)

    async def whole(self, place: str) -> bytes:
        """Raises NotFound (a file that is gone), OSError (one that cannot be read), Busy (an object that cannot be had), and Lost."""
        name = place.removeprefix(SHELF_OF_OBJECTS)
        if name == place:
            return await asyncio.to_thread(Files.read, self, place)
        try:
            return await asyncio.to_thread(Files.read, self, place)
        except Busy:
            pass
        wanted = _NAME.fullmatch(name)
        if wanted is None:
            raise Lost(f"{place} is no name of an object")
        digest = wanted["hash"]

        async def get() -> bytes:
            from obstore import get_async

            octets = bytes(await (await get_async(self.objects, name)).bytes_async())
            found = await asyncio.to_thread(lambda: sha256(octets).hexdigest())
            if found != digest:
                raise _Torn(f"its {len(octets)} octets are not those that were stored")
            return octets

        return await self._asked("read", name, get)

    async def _spans(self, place: str, spans: Spans) -> list[bytes]:
        name = place.removeprefix(SHELF_OF_OBJECTS)

        async def get() -> list[bytes]:
            from obstore import get_async, head_async
            from obstore.exceptions import BaseError

            if len(spans) == 1 and spans[0][0] == 0 < spans[0][1]:
                # Of a beginning nobody knows whether there is so much of it.
                result = await get_async(self.objects, name, options={"range": spans[0]})
                octets = bytes(await result.bytes_async())
                if len(octets) < min(spans[0][1], result.meta["size"]):
                    raise _Torn(f"{len(octets)} octets came of {spans[0][1]}")
                return [octets]
            try:
                return await ranges(spans)
            except BaseError:
                # Perhaps the end lies before: a range that begins there is refused.
                size = (await head_async(self.objects, name))["size"]
                within = tuple((min(low, size), min(high, size)) for low, high in spans)
                if within == spans:
                    raise
                return await ranges(within)

        async def ranges(spans: Spans) -> list[bytes]:
            from obstore import get_ranges_async

            real = [(low, high) for low, high in spans if high > low]
            if not real:
                return [b""] * len(spans)
            found = await get_ranges_async(self.objects, name, starts=[low for low, _ in real], ends=[high for _, high in real])
            parts = dict(zip(real, map(bytes, found), strict=True))
            return [parts.get(one, b"") for one in spans]

        return await self._asked("read", name, get) if spans else []

    async def _asked(self, what: str, name: str, attempt: Callable[[], Awaitable[T]]) -> T:
        from obstore.exceptions import BaseError

        try:
            async with asyncio.timeout(self.deadline), self._turns:
                for left in range(ATTEMPTS - 1, -1, -1):
                    try:
                        return await attempt()
                    except (_Torn, BaseError, OSError, ValueError) as fault:
                        if isinstance(fault, FileNotFoundError):
                            raise Lost(f"the object store has no {name}") from None
                        if isinstance(fault, PermissionError) or not left:
                            raise Busy(f"the object store does not {what} {name}: {reason(fault)}") from None
        except TimeoutError:
            raise Busy(f"the object store does not {what} {name} within {self.deadline:g} seconds") from None
        raise AssertionError

    # --- what nothing names any more

    async def discard(self, places: Iterable[str]) -> None:
        """Files and objects. While they are `held` they stay. Raises OSError, Busy."""
        given = list(places)
        await Files.discard(self, given)
        # Objects of another name are an earlier installation's, which may be in use.
        own = f"{SHELF_OF_OBJECTS}{self.name}/"
        names = [one.removeprefix(SHELF_OF_OBJECTS) for one in given if one.startswith(own)]
        for start in range(0, len(names), PAGE):
            if self.is_held:
                return
            part = names[start : start + PAGE]
            await self._asked("delete", f"{len(part)} objects", partial(self._delete, part))

    async def _delete(self, names: list[str]) -> None:
        from obstore import delete_async

        try:
            await delete_async(self.objects, names)
        except FileNotFoundError:  # one was deleted by another node; in a directory that ends the request
            for one in names:
                try:
                    await delete_async(self.objects, one)
                except FileNotFoundError:
                    continue

    async def aged_pages(self, before: int) -> AsyncIterator[list[str]]:
        """Files, then objects, a page at a time; the times of objects are the object store's own. Raises OSError, Busy."""
        from obstore import list as listed

        async for files in Files.aged_pages(self, before):
            yield files
        pages = aiter(listed(self.objects, prefix=self.name, chunk_size=PAGE))
        while (page := await self._listed(pages)) is not None:
            yield [
                SHELF_OF_OBJECTS + one["path"]
                for one in page
                if one["last_modified"].timestamp() * 1_000_000 < before and _NAME.fullmatch(one["path"])
            ]

    async def _listed(self, pages: "AsyncIterator[Sequence[ObjectMeta]]") -> "Sequence[ObjectMeta] | None":
        """The next page; None: there is none."""
        from obstore.exceptions import BaseError

        try:
            async with asyncio.timeout(self.deadline):
                return await anext(pages, None)
        except TimeoutError:
            raise Busy(f"the object store does not list within {self.deadline:g} seconds") from None
        except (BaseError, OSError, ValueError) as fault:
            raise Busy(f"the object store does not list: {reason(fault)}") from None

    # --- whose it is

    async def claim(self, *, known: bool) -> None:
        """Leaves our mark there, or (`known`: objects were kept) finds it. Raises Lost: it is another object store; Busy."""
        if not known:
            await self._asked("write", MARK, lambda: self._put(f"{self.name}/{MARK}", b"procura\n"))
            return

        async def find() -> None:
            from obstore import head_async

            await head_async(self.objects, f"{self.name}/{MARK}")

        await self._asked("read", f"{self.name}/{MARK}", find)


class _Torn(Exception):
    """What came is not what was asked for."""


def reason(fault: BaseException) -> str:
    """What an object store said, without what it quotes of the request (which may name keys)."""
    told = str(fault)
    status = _STATUS.search(told)
    if status is not None:
        return f"{status[1].strip()} ({type(fault).__name__})"
    first = told.partition("\n")[0]
    if isinstance(fault, _Torn):
        return first
    # The cause stands last; before it addresses and numbers of attempts.
    return f"{first.rpartition(': ')[2][:120] or 'no reason given'} ({type(fault).__name__})"


DEEDS: Final = ((Home, _home),)
