"""Behind every commit, when the writer has time: the texts of new messages go into search.db, those of messages that are gone leave it.

Nothing waits for it. While the writer is busy, or the loop with those who read, it waits itself, and if that does not end, it takes a
tenth of the time. Whatever happens
to search.db (gone, damaged, another version's, of another database, no room on the disk), mail is accepted and found: what is not in the
index is looked for in the octets, and the index is made anew or continued.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter, thread_time
from typing import Final, TypeVar

from gateway.message.kept import kept_texts
from store import blobs
from store.away import Lost, Wanting
from store.blobs import QUEUE_OWNER, Files, Settled
from store.errors import NotFound, StoreError
from store.fulltext import Damaged, FullText, Standing, Texts, Unwritable, has_room
from store.model import BlobId
from store.port import Event, Store, Tx
from store.writer import ended

log = logging.getLogger(__name__)
T = TypeVar("T")

BATCH: Final = 64
"""Messages whose texts are kept in one transaction at most: some 5 ms."""
BATCH_OCTETS: Final = 2 << 20
"""Octets of messages after which a batch is closed."""
DIVIDED: Final = 128
"""Texts (two a message) that are divided in one transaction at most: some 15 ms."""
DIVIDED_OCTETS: Final = 1 << 20
"""Octets of texts after which none is added."""
TICK: Final = 0.25
"""Seconds that new mail rests before it is indexed, and between two looks whether the writer is busy."""
BUSY: Final = 20
"""Commits in a second from which the writer is busy."""
LOADED: Final = 0.1
"""Of the time, what the loop works from which it is busy: who reads a folder would share the interpreter with texts of others."""
OWN: Final = 0.002
"""Seconds of the loop's that a batch takes itself, and what comes by chance."""
PATIENCE: Final = 30.0
"""Seconds of waiting for a busy writer or loop, after which every batch waits nine times as long as it took."""
SHARE: Final = 9
SHORTEST: Final = 0.01
RETRY: Final = 1.0
"""Seconds until a file that could not be written is tried again; then twice as long, and again, up to `RETRY_MOST`."""
RETRY_MOST: Final = 60.0
TIDY: Final = 900.0
"""Seconds between two looks for what is gone."""
TIDIED: Final = 1000
"""Texts looked at, and at most a thirtieth of it removed, at once."""


class Indexing:
    """`run` is a task of the application, `told` watches the store. `changed` is told when other processes may ask the file (True), and
    before it is made anew (False). `worked`: seconds that the loop's thread has worked, asked in it."""

    def __init__(
        self,
        store: Store,
        files: Files,
        index: FullText,
        changed: Callable[[bool], None] | None = None,
        worked: Callable[[], float] = thread_time,
    ) -> None:
        self._changed = changed
        self._worked = worked
        self._store = store
        self._files = files
        self._index = index
        self._woken = asyncio.Event()
        self._commits = 0
        self._mark = 0
        self._settled = Settled()
        self._tidied = 0.0
        self._busy_since: float | None = None
        self._retry = RETRY

    def told(self, events: Sequence[Event]) -> None:
        """After each commit."""
        self._commits += 1
        self._woken.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self._begin()
                await self._follow()
            except Damaged as fault:
                log.warning("search index", extra={"fields": {"outcome": "made anew", "reason": str(fault)}})
                await self._remade()
            except (Unwritable, StoreError, OSError) as fault:
                log.warning("search index", extra={"fields": {"outcome": "put off", "reason": repr(fault)}})
                await self._wait()
            except Exception:
                log.exception("indexing failed")
                await self._wait()

    async def _begin(self) -> None:
        """Opens the file; one that does not belong to this database is made anew. Raises Unwritable, StoreError."""
        standing = await _in_thread(self._index.open)
        async with self._store.snapshot() as snapshot:
            newest = await snapshot.ask(blobs.newest)
            there = await snapshot.ask(blobs.digest, BlobId(standing.mark))
        # A database that was put back from a backup gives out again the numbers that the file knows.
        if standing.mark > newest or (there is not None and there != standing.hash):
            raise Damaged("of another database")
        self._mark = standing.mark
        self._index.trust()
        if self._changed is not None:
            self._changed(True)

    def distrust(self) -> None:
        """Another process found it damaged."""
        self._index.damaged = True
        self._woken.set()

    async def _remade(self) -> None:
        if self._changed is not None:
            self._changed(False)
        try:
            await _in_thread(self._index.remake)
        except Unwritable as fault:
            log.warning("search index", extra={"fields": {"outcome": "put off", "reason": str(fault)}})
            await self._wait()

    async def _wait(self) -> None:
        await asyncio.sleep(self._retry)
        self._retry = min(2 * self._retry, RETRY_MOST)

    async def _follow(self) -> None:
        while True:
            self._woken.clear()
            # Texts first: they make more of a difference.
            if not await self._batch() and not await self._divided():
                if perf_counter() - self._tidied > TIDY:
                    await self.tidy()
                    self._tidied = perf_counter()
                try:
                    # Not wait_for: before Python 3.12 it loses the cancellation that comes in the moment of waking.
                    async with asyncio.timeout(TICK if self._settled.is_waiting else RETRY_MOST):
                        await self._woken.wait()
                except TimeoutError:
                    pass
                else:
                    await self._rest(0)
            if self._index.damaged:
                raise Damaged("found in a search")

    async def _batch(self) -> bool:
        """The texts of the next messages; False: there are none. Raises Unwritable, StoreError."""
        since = self._now
        texts, standing = await self._files.brought(self._gathered)
        if standing is None:
            return False
        await _in_thread(partial(self._index.add, texts, standing))
        self._mark = standing.mark
        self._retry = RETRY
        await self._rest_if_busy(since)
        return True

    async def _gathered(self) -> tuple[list[Texts], Standing | None]:
        async with self._store.snapshot() as snapshot:
            self._settled.see(await snapshot.ask(blobs.drawn))
            return await snapshot.work(gathered, self._mark, self._settled.last, self._files)

    async def _divided(self) -> bool:
        """The trigrams of the next texts; False: there are none. Raises Unwritable."""
        since = self._now
        if not await _in_thread(partial(self._index.divide, DIVIDED, DIVIDED_OCTETS)):
            return False
        await self._rest_if_busy(since)
        return True

    @property
    def _now(self) -> tuple[float, int, float]:
        """When it is, how many commits there were, how long the loop has worked."""
        return perf_counter(), self._commits, self._worked()

    def _busy(self, since: tuple[float, int, float], by_chance: int) -> bool:
        """Were there more commits than a few that come by chance, or was the loop at work?"""
        took, commits, worked = (now - then for now, then in zip(self._now, since, strict=True))
        return commits > by_chance + BUSY * took or worked > LOADED * took + OWN

    async def _rest_if_busy(self, since: tuple[float, int, float]) -> None:
        # One or two may come by chance.
        if self._busy(since, 2):
            await self._rest(perf_counter() - since[0])

    async def _rest(self, took: float) -> None:
        """Until nobody is busy; when that has been for too long, for as long as the last batch's share asks."""
        while True:
            impatient = self._busy_since is not None and perf_counter() - self._busy_since > PATIENCE
            pause = max(took * SHARE, SHORTEST) if impatient else TICK
            since = self._now
            await asyncio.sleep(pause)
            if not self._busy(since, 1):
                self._busy_since = None
                return
            if self._busy_since is None:
                self._busy_since = perf_counter()
            if impatient:
                return

    async def tidy(self) -> None:
        """What is gone from the store leaves the index. Raises Unwritable, StoreError."""
        place = 0
        while rows := await _in_thread(partial(self._index.after, place, TIDIED)):
            place = rows[-1][0]
            owners = {blob: owner for _, owner, blob in rows}
            async with self._store.snapshot() as snapshot:
                gone = await snapshot.work(blobs.gone, [*owners])
            for start in range(0, len(gone), TIDIED // 30):
                part = [(owners[blob], blob) for blob in gone[start : start + TIDIED // 30]]
                await _in_thread(partial(self._index.forget, part))
                await self._rest(TICK / SHARE)


def gathered(tx: Tx, mark: int, last: BlobId, files: Files) -> tuple[list[Texts], Standing | None]:
    """The texts of the next blobs behind the mark, up to the last one that is settled, and where the mark stands then; None: there are
    none. Through `work`."""
    texts = []
    standing: Standing | None = None
    spent = 0
    wanting = Wanting()
    for blob, owner, digest, size in blobs.after(tx, BlobId(mark), last, BATCH):
        if owner != QUEUE_OWNER and has_room(owner, blob):
            with wanting.noted():
                texts.append(Texts(blob, owner, *_texts_of(tx, blob, files)))
            spent += size
        standing = Standing(blob, digest)
        if spent >= BATCH_OCTETS:
            break
    wanting.settle()
    return texts, standing


def _texts_of(tx: Tx, blob: BlobId, files: Files) -> tuple[bytes | None, bytes | None]:
    try:
        return kept_texts(blobs.octets(tx, blob, files))
    except (NotFound, Lost, OSError) as fault:
        log.warning("search index", extra={"fields": {"outcome": "octets left out", "reason": repr(fault)}})
        return None, None


async def _in_thread(function: Callable[[], T]) -> T:
    """Waited for also when cancelled: the file must not be closed while it is in use."""
    future = asyncio.get_running_loop().run_in_executor(None, function)
    cancelled = await ended(future)
    if cancelled is not None:
        future.exception()
        raise cancelled
    return future.result()
