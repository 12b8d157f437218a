"""What would be: the store at another time, or a copy of what policy reads in which changes can be tried. Nobody is told of either."""

# ruff: noqa: D102 - what the methods promise stands in store/port.py

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from policy.decision import Witness
from policy.identity import AccountId, FolderId
from store.errors import Busy
from store.floor import Floor
from store.port import Deed, Event, Snapshot, Store, Tx
from store.postgres_session import Server, Session, opened, translated
from store.reading import OnlyReads

T = TypeVar("T")
P = ParamSpec("P")

COPIED: Final = (
    "domain",
    "object",
    "address",
    "account",
    "list",
    "list_owner",
    "list_member",
    "list_external",
    "folder",
    "share",
    "share_member",
    "folder_entry",
    "send_grant",
    "login_failure",
    "lockout",
    "known_source",
    "break_glass",
    "freeze",
    "sent",
    "person",
    "dynamic_list",
    "domain_cos_limit",
)
"""Tables of which policy reads something, and what members of lists follow from: the last, or each account would be judged as it
comes. Named one by one: what is added later may be a secret."""

PAGE: Final = 2000
"""Rows of a table that are brought over at once."""


class _AtTx(OnlyReads):
    """A reading transaction with another clock."""

    def __init__(self, tx: Tx, now: int) -> None:
        self._tx = tx
        self.now = now

    def all(self, statement: str, /, **parameters: Any) -> list[Any]:
        return self._tx.all(statement, **parameters)

    def one(self, statement: str, /, **parameters: Any) -> Any | None:
        return self._tx.one(statement, **parameters)

    def composed(self, sql: str, /, **parameters: Any) -> list[Any]:
        return self._tx.composed(sql, **parameters)

    def owner_of(self, folder: FolderId, /) -> AccountId:
        return self._tx.owner_of(folder)

    def owners_of(self, folders: Sequence[FolderId], /) -> Mapping[FolderId, AccountId]:
        return self._tx.owners_of(folders)


class _AtSnapshot:
    def __init__(self, snapshot: Snapshot, now: int) -> None:
        self._snapshot = snapshot
        self.now = now
        self.moment = 0

    async def ask(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._snapshot.ask(lambda tx: question(_AtTx(tx, self.now), *args, **kwargs))

    async def work(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._snapshot.work(lambda tx: question(_AtTx(tx, self.now), *args, **kwargs))

    async def take_time(self) -> None:
        await self._snapshot.take_time()

    async def confirms(self, witness: Witness) -> bool:
        return await self._snapshot.confirms(witness)

    async def witness(self, *scopes: int, valid_until: int | None = None) -> Witness:
        return await self._snapshot.witness(*scopes, valid_until=valid_until)


class At:
    """The store as it is, read as if it were `now` (microseconds since 1970 UTC). It only reads: `do` raises Busy."""

    def __init__(self, store: Store, now: int) -> None:
        self._store = store
        self._now = now

    @property
    def fault(self) -> str | None:
        return self._store.fault

    @property
    def node(self) -> str:
        return self._store.node

    @property
    def floor(self) -> Floor:
        return self._store.floor

    @property
    def moved(self) -> None:
        return None

    @property
    def leads(self) -> bool:
        return False

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with self._store.snapshot() as snapshot:
            yield _AtSnapshot(snapshot, self._now)

    async def do(self, deed: Deed[T], witness: Witness | None = None, *, bulk: bool = False) -> T:
        raise Busy("nothing is done at a time that is only supposed")

    def watch(self, told: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        return lambda: None

    async def copy(self, target: Path, told: Callable[[int, int], None]) -> int:
        raise Busy("nothing is copied at a time that is only supposed")

    async def close(self) -> None:
        """It stays open: it is not ours."""


def copy(path: Path, into: Path) -> None:
    """Everything that policy reads, from the database at `path` into the migrated, empty one at `into`, as one state: no password, no
    key, no message. Blocks the caller, but nobody who writes. Raises Busy."""
    try:
        connection = _opened(into)
        try:
            connection.execute("ATTACH ? AS live", (f"{path.absolute().as_uri()}?mode=ro",))
            connection.execute("BEGIN")
            connection.execute("DELETE FROM main.cos")
            for table in ("cos", *COPIED):
                connection.execute(f'INSERT INTO main."{table}" SELECT * FROM live."{table}"')  # noqa: S608 - names of ours
            connection.execute("UPDATE main.account SET verifier = ''")
            connection.execute("COMMIT")
            connection.execute("DETACH live")
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Busy(f"a copy could not be made: {error}") from error


async def copy_shared(where: Server, into: Path) -> None:
    """The same from a database of PostgreSQL, a page at a time. Raises Busy."""
    try:
        target = await asyncio.to_thread(_opened, into)
        try:
            session = await opened(where)
            try:
                await _copied(session, target)
            except Exception as error:
                raise translated(error, session.connection) from error
            finally:
                await session.close()
        finally:
            target.close()
    except sqlite3.Error as error:
        raise Busy(f"a copy could not be made: {error}") from error


async def _copied(session: Session, target: sqlite3.Connection) -> None:
    target.execute("BEGIN")
    target.execute("DELETE FROM cos")
    async with session.connection.transaction(isolation="repeatable_read", readonly=True):
        for table in ("cos", *COPIED):
            names = [name for (name,) in target.execute("SELECT name FROM pragma_table_info(?)", (table,))]
            columns = ", ".join(f'"{name}"' for name in names)
            # Names of ours.
            inserting = f'INSERT INTO "{table}" ({columns}) VALUES ({", ".join("?" * len(names))})'  # noqa: S608
            cursor = await session.connection.cursor(f'SELECT {columns} FROM "{table}"')  # noqa: S608
            while rows := await cursor.fetch(PAGE):
                await asyncio.to_thread(target.executemany, inserting, [tuple(row) for row in rows])
    target.execute("UPDATE account SET verifier = ''")
    target.execute("COMMIT")


def _opened(into: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{into.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=5, check_same_thread=False)
    connection.execute("PRAGMA synchronous = OFF")
    return connection
