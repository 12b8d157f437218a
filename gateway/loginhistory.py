"""What is noted of logins on their way to the store: gathered in memory, written in bulk, waited for by nobody who logs in."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from gateway.gathering import Gathering
from policy.identity import AccountId
from store import logins
from store.logins import RecordLogins
from store.model import LoginRow
from store.port import Store

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
        self._gathering: Gathering[_Key, LoginRow] = Gathering(store, "history of logins", RecordLogins, AT_ONCE)
        self._waiting = self._gathering.waiting

    def note(
        self, account: AccountId, source: str, protocol: str, mechanism: str, *, admitted: bool, outcome: str, app_password: str = ""
    ) -> None:
        """One login, now."""
        now = self._wall_clock()
        key = (account, source, protocol, mechanism, admitted, outcome, app_password)
        there = self._waiting.get(key)
        if there is not None or len(self._waiting) < MOST:
            first, times = (now, 0) if there is None else (there.first, there.times)
            self._waiting[key] = LoginRow(account, first, now, times + 1, source, protocol, mechanism, admitted, outcome, app_password)
        self._gathering.soon()

    async def of_account(self, account: AccountId, admitted: bool | None = None, limit: int = logins.KEPT) -> Sequence[LoginRow]:
        """The newest first, those of this moment included. Raises StoreError."""
        await self.write()
        if self._others is not None:
            await self._others()
        async with self._store.snapshot() as snapshot:
            return await snapshot.ask(logins.of_account, account, admitted, limit)

    async def write(self) -> None:
        """Everything noted so far is kept when it returns. Raises StoreError; what could not be written waits on."""
        await self._gathering.write()

    async def close(self) -> None:
        """For the end of the process: what is noted is written now, or lost with a line in the log."""
        await self._gathering.close()
