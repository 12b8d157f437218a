"""Rows gathered in memory, those that are alike in one, and written in bulk a moment later: nobody waits for them."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, Generic, TypeVar

from store.errors import StoreError
from store.model import LoginRow
from store.port import Deed, Store
from store.refusals import RefusalRow

log = logging.getLogger(__name__)

PAUSE: Final = 2.0
"""Seconds for which rows are gathered before they are written: what a server that is killed forgets at most."""

K = TypeVar("K")
R = TypeVar("R", LoginRow, RefusalRow)


class Gathering(Generic[K, R]):
    """`name`: for the log; `deed`: keeps rows, of which one has `at_once` at most. Who gathers puts rows into `waiting` by their keys, and
    says so to `soon`."""

    def __init__(self, store: Store, name: str, deed: Callable[[tuple[R, ...]], Deed[Any]], at_once: int) -> None:
        self._store = store
        self._name = name
        self._deed: Callable[[tuple[R, ...]], Deed[Any]] = deed
        self._at_once = at_once
        self.waiting: dict[K, R] = {}
        self.task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    def soon(self) -> None:
        """What waits is written in a moment."""
        if self.task is None:
            self.task = asyncio.get_running_loop().create_task(self._later(), name=self._name)

    async def write(self) -> None:
        """Everything so far is kept when it returns. Raises StoreError; what could not be written waits on."""
        async with self._writing:
            while self.waiting:
                keys = list(self.waiting)[: self._at_once]
                rows = [self.waiting.pop(key) for key in keys]
                try:
                    await self._store.do(self._deed(tuple(rows)), bulk=True)
                except BaseException:
                    self._put_back(keys, rows)
                    raise

    async def close(self) -> None:
        """For the end of the process: what is here is written now, or lost with a line in the log."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait((self.task,))
        await self._try()

    def _put_back(self, keys: Sequence[K], rows: Sequence[R]) -> None:
        for key, row in zip(keys, rows, strict=True):
            since = self.waiting.get(key)
            self.waiting[key] = row if since is None else replace(since, first=row.first, times=row.times + since.times)

    async def _later(self) -> None:
        try:
            while self.waiting:
                await asyncio.sleep(PAUSE)
                await self._try()
        finally:
            self.task = None

    async def _try(self) -> None:
        try:
            await self.write()
        except StoreError as fault:
            log.warning(self._name, extra={"fields": {"outcome": f"{len(self.waiting)} not written", "reason": str(fault)}})
