"""Is there room on the queue for more mail?"""

import asyncio
from typing import Final

from store.port import Snapshot, Store
from store.queue import rows_up_to

FRESH: Final = 1.0
"""Seconds for which a count of a queue that is short is believed; of what has left it meanwhile nothing is known yet."""
LONG: Final = 10_000
"""Rows from which on counting takes milliseconds of a reader: then it is believed for STALE seconds."""
STALE: Final = 5.0


class QueueRoom:
    """`most`: rows of the queue. What is added between two counts is counted here; what is taken off is seen with the next
    count.

    Only what comes from outside is asked about: a report or a list's own mail is the consequence of what was accepted already.
    """

    __slots__ = ("_added", "_counted", "_most", "_until")

    def __init__(self, most: int) -> None:
        self._most = most
        self._counted = 0
        self._added = 0
        self._until = 0.0

    async def fits(self, rows: int, snapshot: Snapshot) -> bool:
        """Whether so many more may wait."""
        now = asyncio.get_running_loop().time()
        if now >= self._until:
            before = self._added
            self._counted = await snapshot.work(rows_up_to, self._most)
            # What was added while it was being counted may be in the count or not: it is taken for not.
            self._added -= before
            self._until = now + (FRESH if self._counted < LONG else STALE)
        return self._counted + self._added + rows <= self._most

    async def fits_now(self, rows: int, store: Store) -> bool:
        """The same outside of a snapshot."""
        async with store.snapshot() as snapshot:
            return await self.fits(rows, snapshot)

    def added(self, rows: int) -> None:
        """So many were."""
        self._added += rows
