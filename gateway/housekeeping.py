"""Once an hour: octets that nothing names any more, old change logs, idempotency keys and deleted accounts are put away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from gateway.clock import Clock
from store import blobs, changes, deleted
from store.blobs import Files
from store.changes import PruneChanges
from store.deleted import PurgeDeleted
from store.errors import StoreError
from store.floor import BELIEVED
from store.port import Store
from store.queue import ForgetAccepted
from store.rates import ForgetSent

log = logging.getLogger(__name__)

LONG_LOG: Final = 20_000
"""Rows of a folder's change log from which it is pruned to the newest 10,000."""
EVERY: Final = 3600.0
"""Seconds."""
LEADING: Final = 60.0
"""Seconds after which a node looks whether the house is its own by now, and whether the clock is to be believed."""
FORGET_AFTER: Final = 24 * 3600 * 1_000_000
"""Microseconds: how long an acceptance that is repeated is known again."""
FILE_AGE: Final = 3600 * 1_000_000
"""Microseconds: files outlive their rows by an hour, for the snapshots that still read them and the deeds that will name them."""


class Housekeeping:
    """`run` is a task of the application; what fails is logged and done an hour later. `besides`: what else is due once an hour."""

    def __init__(self, store: Store, files: Files, *besides: Callable[[], Awaitable[object]], clock: Clock | None = None) -> None:
        self._store = store
        self._files = files
        self._besides = besides
        self._clock = clock
        self._orphans: frozenset[str] = frozenset()
        self._doubted = False

    async def run(self) -> None:
        """Until it is cancelled; begins with a round."""
        while True:
            # Of several nodes one keeps house; which one that is may change.
            due_now = self._store.leads and await self._is_time()
            for due in (self.round, *self._besides) if due_now else ():
                try:
                    await due()
                except (StoreError, OSError) as fault:
                    log.warning("housekeeping", extra={"fields": {"outcome": "put off", "reason": repr(fault)}})
                except Exception:
                    log.exception("housekeeping failed")
            await asyncio.sleep(EVERY if due_now else LEADING)

    async def _is_time(self) -> bool:
        """Nothing goes because of a clock that is ahead and may be wrong: a round waits until that is set right, or believed."""
        try:
            async with self._store.snapshot() as snapshot:
                now = snapshot.now
        except StoreError as fault:
            log.warning("housekeeping", extra={"fields": {"outcome": "put off", "reason": repr(fault)}})
            return False
        doubted, self._doubted = self._doubted, self._store.floor.doubtful
        if self._doubted and not doubted:
            ahead = (now - self._store.floor.lived()) // 1_000_000
            why = f"the clock is {ahead} s ahead of the time that was known here"
            until = f"nothing is purged, and no mail expires, until it has stood so for {BELIEVED // 60_000_000} min"
            log.warning("housekeeping", extra={"fields": {"outcome": "put off", "reason": f"{why}: {until}"}})
        return not self._doubted

    async def round(self) -> None:
        """Raises StoreError, OSError."""
        if self._clock is not None:
            # Before anything is too old: nothing may go because the clock was set.
            await self._clock.now()
        async with self._store.snapshot() as snapshot:
            now = snapshot.now
            if self._store.floor.doubtful:
                return
            long = await snapshot.work(changes.long_logs, LONG_LOG)
        await self._store.do(ForgetAccepted(now - FORGET_AFTER), bulk=True)
        await self._store.do(ForgetSent(), bulk=True)
        for folder, _ in long:
            await self._store.do(PruneChanges(folder), bulk=True)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while (await self._store.do(blobs.SweepBlobs(), bulk=True)).more:
            # A turn keeps whoever writes waiting, on PostgreSQL on every node: they have as long for themselves.
            await asyncio.sleep(loop.time() - begun)
            begun = loop.time()
        async with self._store.snapshot() as snapshot:
            overdue = await snapshot.ask(deleted.overdue)
        for account in overdue:
            while not await self._store.do(PurgeDeleted(account), bulk=True):
                pass
        left: list[str] = []
        async for aged in self._files.aged_pages(now - FILE_AGE):
            async with self._store.snapshot() as snapshot:
                orphans = await snapshot.work(blobs.orphans, aged)
            # A file may be old when its row goes, and a snapshot of that moment still names it: it goes when the last round found it
            # without a row too.
            due = [one for one in orphans if one in self._orphans]
            await self._files.discard(due)
            left += [one for one in orphans if one not in self._orphans]
        self._orphans = frozenset(left)
