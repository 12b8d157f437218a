"""What is noted of logins on their way to the store: gathered in memory, written in bulk, waited for by nobody who logs in."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from policy.identity import AccountId
from store import logins
from store.errors import StoreError
from store.logins import RecordLogins
from store.model import LoginRow
from store.port import Store

log = logging.getLogger(__name__)

PAUSE: Final = 2.0
"""Seconds for which logins are gathered before they are written: what a server that is killed forgets at most."""
MOST: Final = 20_000
"""Logins that are unlike each other and wait; of more, the history is silent until these are written."""
AT_ONCE: Final = 500
"""In one deed."""

_Key = tuple[AccountId, str, str, str, bool, str, str]


class LoginHistory:
    """`wall_clock`: microseconds since 1970 UTC. `others`: has what other processes have noted written too.

    Noting writes nothing, so that a login costs no more on disk than before, and what is noted of a refusal tells nothing by its time.
    """

    def __init__(
        self,
        store: Store,
        *,
        wall_clock: Callable[[], int] = lambda: time.time_ns() // 1000,
        others: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self._store = store
        self._others = others
        self._wall_clock = wall_clock
        self._waiting: dict[_Key, LoginRow] = {}
        self._task: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()

    def note(
        self, account: AccountId, source: str, protocol: str, mechanism: str, *, admitted: bool, outcome: str, app_password: str = ""
    ) -> None:
        """One login, now."""
        now = self._wall_clock()
        key = (account, source, protocol, mechanism, admitted, outcome, app_password)
        there = self._waiting.get(key)
        if there is not None:
            self._waiting[key] = replace(there, last=now, times=there.times + 1)
        elif len(self._waiting) < MOST:
            self._waiting[key] = LoginRow(account, now, now, 1, source, protocol, mechanism, admitted, outcome, app_password)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._later(), name="history of logins")

    async def of_account(self, account: AccountId, admitted: bool | None = None, limit: int = logins.KEPT) -> Sequence[LoginRow]:
        """The newest first, those of this moment included. Raises StoreError."""
        await self.write()
        if self._others is not None:
            await self._others()
        async with self._store.snapshot() as snapshot:
            return await snapshot.ask(logins.of_account, account, admitted, limit)

    async def write(self) -> None:
        """Everything noted so far is kept when it returns. Raises StoreError; what could not be written waits on."""
        async with self._writing:
            while self._waiting:
                keys = list(self._waiting)[:AT_ONCE]
                rows = [self._waiting.pop(key) for key in keys]
                try:
                    await self._store.do(RecordLogins(tuple(rows)), bulk=True)
                except BaseException:
                    for key, row in zip(keys, rows, strict=True):
                        since = self._waiting.get(key)
                        self._waiting[key] = row if since is None else replace(since, first=row.first, times=row.times + since.times)
                    raise

    async def close(self) -> None:
        """For the end of the process: what is noted is written now, or lost with a line in the log."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._try()

    async def _later(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(PAUSE)
                await self._try()
        finally:
            self._task = None

    async def _try(self) -> None:
        try:
            await self.write()
        except StoreError as fault:
            log.warning("history of logins", extra={"fields": {"outcome": f"{len(self._waiting)} not written", "reason": str(fault)}})
