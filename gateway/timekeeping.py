"""Once a minute the store is told how late it is: a clock that is set back while no server runs must not bring back what has ended."""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from store.clock import NoteTime
from store.errors import StoreError
from store.port import Store

log = logging.getLogger(__name__)

EVERY: Final = 60.0
REPEATED: Final = 60
"""Looks after which it is said again that the clock is behind."""
PATIENCE: Final = 2.0
"""Seconds."""


class Timekeeping:
    """`run` is a task of the application."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._behind = 0
        """Looks in a row that found the clock behind."""

    async def run(self) -> None:
        """Until it is cancelled; begins at once."""
        while True:
            # Of several nodes one tells it; all of them look, so that what is wrong is on the log of each.
            self.look()
            if self._store.leads:
                try:
                    await self.note()
                except StoreError as fault:
                    log.warning("clock", extra={"fields": {"outcome": "not noted", "reason": repr(fault)}})
            await asyncio.sleep(EVERY)

    def look(self) -> None:
        """That the clock became behind is said by the floor; that it is so still is said here, once an hour."""
        self._store.floor.now()
        behind = self._store.floor.behind
        self._behind = self._behind + 1 if behind else 0
        if self._behind > REPEATED:
            self._behind = 1
            why = "what has ended stays ended; if the clock is right now: procura clock accept"
            said = {"outcome": f"still {behind // 1_000_000} s behind the time that was known here", "reason": why}
            log.error("clock", extra={"fields": said})

    async def last(self) -> None:
        """For the end of the process; what cannot be noted soon is not."""
        with suppress(StoreError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self.note()

    async def note(self) -> None:
        """What time it is at least. Raises StoreError."""
        async with self._store.snapshot():
            pass  # on PostgreSQL the clock is the database's
        await self._store.do(NoteTime(self._store.floor.lived()), bulk=True)
