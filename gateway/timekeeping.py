"""Once a minute the store is told how late it is: a clock that is set back while no server runs must not bring back what has ended."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from store import clock
from store.clock import NoteTime
from store.errors import StoreError
from store.port import Store

log = logging.getLogger(__name__)

EVERY: Final = 60.0
PATIENCE: Final = 2.0
"""Seconds."""


class Timekeeping:
    """`run` is a task of the application."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self) -> None:
        """Until it is cancelled; begins at once."""
        while True:
            # Of several nodes one tells it; all of them look, so that what is wrong is on the log of each.
            self._store.floor.now()
            if self._store.leads:
                try:
                    await self.note()
                except StoreError as fault:
                    log.warning("clock", extra={"fields": {"outcome": "not noted", "reason": repr(fault)}})
            await asyncio.sleep(EVERY)

    async def last(self) -> None:
        """For the end of the process; what cannot be noted soon is not."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.note()

    async def note(self) -> None:
        """What time it is at least, once that is known. Raises StoreError."""
        floor = self._store.floor
        async with self._store.snapshot() as snapshot:  # on PostgreSQL the clock is the database's
            found = await snapshot.ask(clock.known)
        floor.heard(found.accepted, found.seen)
        accepted, lived = floor.accepted, floor.lived()
        if lived > found.seen:
            await self._store.do(NoteTime(lived, accepted), bulk=True)
