"""Backups of the whole installation while it runs, what there are, and whether they are whole."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

from gateway.directory.faults import Code, Fault
from gateway.directory.premises import Premises, Told
from gateway.directory.records import Records
from store.backups import Backups, Damaged, Draft, Kept, Watched, is_name
from store.backups import Run as Run
from store.deeds import Several
from store.errors import NotFound, StoreError
from store.port import Store
from store.sqlite import inspected

T = TypeVar("T")
P = ParamSpec("P")

SMALL: Final = 1 << 20
"""Octets: files of the directory of data that are larger are no keys."""
_NOT_KEPT: Final = (".db", ".db-wal", ".db-shm", ".lock", ".sock", ".new", ".part")


class Stopped(Exception):
    """Nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Made:
    """`removed`: the runs that went because only so many are kept."""

    run: Run
    removed: Sequence[str]


@dataclass(frozen=True, slots=True)
class There:
    """`unfinished`: runs that are under way, or were killed; the next backup removes those."""

    runs: Sequence[Run]
    unfinished: Sequence[str]


async def threaded(told: Told, function: Callable[Concatenate[Watched, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs it in a thread, telling on the loop how far it is. Cancelled, it tells the thread to stop, and waits until it has."""
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def watched(what: str, done: int, total: int) -> None:
        if stop.is_set():
            raise Stopped
        loop.call_soon_threadsafe(told, what, done, total)

    future = loop.run_in_executor(None, lambda: function(watched, *args, **kwargs))
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError as error:
            cancelled = error
            stop.set()
    if cancelled is not None:
        future.exception()
        raise cancelled
    return future.result()


def spelled(error: Exception) -> Fault:
    """What went wrong with a directory of backups, for whoever asked."""
    if isinstance(error, OSError):
        return Fault(Code.TEMPORARILY_UNAVAILABLE, f"{error.filename or 'the backup'}: {error.strerror or error}")
    return Fault(Code.INVALID_REQUEST, error)


class BackupRuns:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records, premises: Premises) -> None:
        self._store = store
        self._records = records
        self._premises = premises

    async def make(self, directory: Path, told: Told, keep: int | None = None) -> Made:
        """One more backup there; then, with `keep`, only the newest so many stay. The database is copied as of one moment; the files of
        messages that it names are copied after it, and none of them is removed meanwhile."""
        await self._records.only_operator("backup made", str(directory))
        backups = Backups(directory)
        self._check_place(directory)
        try:
            with backups.held(), self._premises.files.held():
                made = await self._make(backups, told)
                removed = [] if keep is None else await asyncio.to_thread(backups.prune, keep)
        except (OSError, StoreError, Damaged) as error:
            raise spelled(error) from None
        detail = f"{made.id}, {made.octets} octets, {made.added} of them new" + (f"; removed {', '.join(removed)}" if removed else "")
        await self._records.do(Several(()), "backup made", str(directory), matter=None, detail=detail)
        return Made(made, removed)

    async def _make(self, backups: Backups, told: Told) -> Run:
        async with self._store.snapshot() as snapshot:
            begun = snapshot.now
        draft = await asyncio.to_thread(backups.begin, begun)
        try:
            copy = draft.place / "database"
            loop = asyncio.get_running_loop()
            moment = await self._copy(copy, lambda left, total: loop.call_soon_threadsafe(told, "copying", total - left, total))
            draft.at = moment
            return await threaded(told, _filled, backups, draft, copy, self._premises, loop)
        except BaseException:
            await asyncio.to_thread(backups.abandon, draft)
            raise

    async def _copy(self, target: Path, told: Callable[[int, int], object]) -> int:
        stop = threading.Event()

        def watched(left: int, total: int) -> None:
            if stop.is_set():
                raise Stopped
            told(left, total)

        copying = asyncio.ensure_future(self._store.copy(target, watched))
        try:
            return await asyncio.shield(copying)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait({copying})
            copying.exception()
            raise

    def _check_place(self, directory: Path) -> None:
        if not directory.is_absolute():
            raise Fault(Code.INVALID_REQUEST, f"{directory}: write the whole path")
        data = self._premises.data.resolve()
        if directory.resolve() == data or data in directory.resolve().parents:
            raise Fault(Code.INVALID_REQUEST, f"{directory} lies in the directory of data: what takes one away takes the other")

    async def there(self, directory: Path) -> There:
        """Those that are whole, oldest first."""
        await self._records.only_operator("backups listed", str(directory))
        backups = Backups(directory)
        try:
            return There(await asyncio.to_thread(backups.runs), await asyncio.to_thread(backups.unfinished))
        except (OSError, StoreError, Damaged) as error:
            raise spelled(error) from None

    async def faults(self, directory: Path, wanted: Sequence[str], told: Told) -> Sequence[str]:
        """What is wrong with these backups, or with all, in words; everything that they name is read."""
        await self._records.only_operator("backups verified", str(directory))
        backups = Backups(directory)
        try:
            await asyncio.to_thread(backups.check)
            there = await asyncio.to_thread(backups.names)
            missing = [name for name in wanted if name not in there]
            if missing:
                raise NotFound(f"no backup {', '.join(missing)}")
            return await threaded(told, _faults, backups, list(wanted) or there)
        except (OSError, StoreError, Damaged) as error:
            raise spelled(error) from None


def _faults(watched: Watched, backups: Backups, names: Sequence[str]) -> Sequence[str]:
    return backups.faults(names, watched)


def _filled(watched: Watched, backups: Backups, draft: Draft, copy: Path, premises: Premises, loop: asyncio.AbstractEventLoop) -> Run:
    """In a thread: the copy of the database is looked at and kept in pieces, then what it names. `loop` reads what lies elsewhere."""

    def read(place: str) -> bytes:
        return asyncio.run_coroutine_threadsafe(premises.files.whole(place), loop).result()

    found = inspected(copy, lambda: watched("checking", 0, 0))
    if found.faults:
        raise Damaged(f"the database is damaged (procura verify says where): {'; '.join(found.faults[:5])}")
    size = backups.keep_database(draft, copy, watched)
    copy.unlink()
    for number, (place, digest, octets) in enumerate(found.files):
        watched("messages", number, len(found.files))
        backups.keep_message(draft, partial(read, place), Kept(place, digest.hex(), octets))
    for file in sorted(premises.data.iterdir()):
        # Names as ours are: what somebody else laid there is theirs to keep.
        if (
            is_name(file.name)
            and file.is_file()
            and not file.is_symlink()
            and not file.name.endswith(_NOT_KEPT)
            and file.stat().st_size <= SMALL
        ):
            backups.keep_other(draft, file)
    return backups.finish(draft, version=_version(), schema=found.schema, database=size)


def _version() -> str:
    try:
        return metadata.version("procura")
    except metadata.PackageNotFoundError:
        return ""
