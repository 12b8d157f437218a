"""Who is logged in, who was, and ending it: for administrators."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.loginhistory import LoginHistory
from gateway.sessions import SessionRow, Sessions
from policy.identity import AccountId
from policy.roles import Operation
from store.audit import RecordAudit
from store.errors import StoreError
from store.logins import KEPT
from store.model import LoginRow
from store.port import Store

MOST_LOGINS: Final = 2 * KEPT
"""Of an account, in its history."""


class Live(Protocol):
    """The sessions of all processes. Every method raises Busy where one of them does not answer."""

    async def rows(self) -> list[SessionRow]:
        """The oldest first."""

    async def end(self, numbers: Collection[int]) -> int:
        """Ends those of these that are open; how many."""


class Here:
    """Where one process serves, its sessions are all there are."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def rows(self) -> list[SessionRow]:
        """See Live."""
        return self._sessions.rows()

    async def end(self, numbers: Collection[int]) -> int:
        """See Live."""
        return self._sessions.end(numbers)


class NoSessions:
    """Where no server runs, nobody is logged in."""

    async def rows(self) -> list[SessionRow]:
        """None."""
        return []

    async def end(self, numbers: Collection[int]) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True)
class Which:
    """A choice among the open sessions; what is None chooses none. `account`: whose it is, or who acts as that account."""

    account: str | None = None
    protocol: str | None = None
    peer: str | None = None


class OpenSessions:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records, live: Live, history: LoginHistory) -> None:
        self._store = store
        self._records = records
        self._live = live
        self._history = history

    def acting(self, records: Records) -> "OpenSessions":
        """The same, as whoever these records are kept for may see and end them."""
        return OpenSessions(self._store, records, self._live, self._history)

    async def listed(self, which: Which = Which()) -> Sequence[SessionRow]:
        """The oldest first."""
        return await self._chosen(which, await self._allowed(Operation.VIEW_SESSIONS, which.account))

    async def end(self, numbers: Sequence[int]) -> int:
        """These very sessions; all of them or, where one is not open, none. Returns how many."""
        rows = {row.number: row for row in await self._rows()}
        for number in numbers:
            if number not in rows:
                raise Fault(Code.NO_SUCH_SESSION, number)
        return await self._end([rows[number] for number in dict.fromkeys(numbers)])

    async def end_all(self, which: Which) -> int:
        """All that are chosen; returns how many. An account that there is not is a Fault, one without sessions is not."""
        return await self._end(await self._chosen(which, await self._allowed(Operation.END_SESSIONS, which.account)))

    async def logins(self, name: str, *, admitted: bool | None = None, limit: int = KEPT) -> Sequence[LoginRow]:
        """The newest first; `admitted`: only those that were, or were not."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.VIEW_LOGINS, accounts=(row.id,)), str(row.address))
        try:
            return await self._history.of_account(row.id, admitted, limit)
        except StoreError as error:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None

    async def _allowed(self, operation: Operation, name: str | None) -> str | None:
        """The account's address; None: all accounts, which is a matter of the whole gateway."""
        async with self._store.snapshot() as snapshot:
            if name is None:
                await self._records.allow(snapshot, Matter(operation))
                return None
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, Matter(operation, accounts=(row.id,)), str(row.address))
            return str(row.address)

    async def _chosen(self, which: Which, address: str | None) -> list[SessionRow]:
        tests: list[Callable[[SessionRow], bool]] = []
        if address is not None:
            tests.append(lambda row: address in (row.account, row.acting))
        if which.protocol is not None:
            tests.append(lambda row: row.protocol == which.protocol)
        if which.peer is not None:
            tests.append(lambda row: row.peer == which.peer)
        return [row for row in await self._rows() if all(test(row) for test in tests)]

    async def _rows(self) -> list[SessionRow]:
        try:
            return await self._live.rows()
        except StoreError as error:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None

    async def _end(self, rows: Sequence[SessionRow]) -> int:
        """On record first: what cannot be recorded is not done."""
        by_account: dict[str, list[SessionRow]] = {}
        for row in rows:
            by_account.setdefault(row.account, []).append(row)
        found: dict[str, AccountId] = {}
        async with self._store.snapshot() as snapshot:
            for account in by_account:
                found[account] = (await names.account(snapshot, account)).id
            # All of them before any: who may not end one of them ends none.
            for account, number in found.items():
                await self._records.allow(snapshot, Matter(Operation.END_SESSIONS, accounts=(number,)), account)
        for account, some in by_account.items():
            told = ", ".join(f"{row.protocol} {row.number} from {row.peer or 'here'}" for row in some)
            matter = Matter(Operation.END_SESSIONS, accounts=(found[account],))
            await self._records.do(RecordAudit(()), "sessions ended", account, matter=matter, principal=found[account], detail=told[:1000])
        try:
            return await self._live.end({row.number for row in rows})
        except StoreError as error:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None
