"""Sessions with PostgreSQL: opened as we need them, checked when the first one is, their statements prepared, their failures told apart."""

import asyncio
import logging
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlencode

import asyncpg

from store import pooler
from store.errors import Broken, LimitReached, Unusable
from store.numbered import Numbered
from store.owners import Owners
from store.writer import Fault

log = logging.getLogger(__name__)

OLDEST: Final = 140000
"""server_version_num of PostgreSQL 14."""
CONNECT_SECONDS: Final = 4.0
STATEMENT_SECONDS: Final = 30
LOCK_SECONDS: Final = 20
IDLE_SECONDS: Final = 10
"""A node that stops in the middle of a transaction holds locks that others wait for: for less than LOCK_SECONDS."""
COMMAND_SECONDS: Final = 40.0
"""After so long without an answer the connection is given up; the server's own times do not hold while a commit waits for a standby."""
KEEPALIVE_SECONDS: Final = 30
"""After so long without a word the other side is asked whether it is there, three times in 30 seconds."""

_SERVER: Final = {
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "lock_timeout": f"{LOCK_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    "tcp_keepalives_idle": str(KEEPALIVE_SECONDS),
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
}

_SAID_LATER: Final = {name: value for name, value in _SERVER.items() if not name.startswith("tcp_")}
"""To a pooler, which drops them: it may set keepalives itself."""

_DURABLE: Final = ("fsync", "full_page_writes", "synchronous_commit")

_AGAIN: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
_RACED: Final = (asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError)
_PASSING: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.PostgresSystemError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InFailedSQLTransactionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InvalidCatalogNameError,
)
_LOST: Final = (OSError, TimeoutError, EOFError, asyncpg.InternalClientError)


@dataclass(frozen=True, slots=True)
class Server:
    """Where it is: a URL as libpq reads it. `checked`: it is refused where it may lose what it has promised to keep."""

    url: str
    checked: bool = True
    owners: Owners = field(default_factory=Owners, repr=False, compare=False)


def server(url: str) -> Server:
    """`postgresql://user@host1,host2/database?...`; `durable=no` among what follows the question mark is ours: for tests."""
    address, _, query = url.partition("?")
    options = parse_qsl(query, keep_blank_values=True)
    checked = ("durable", "no") not in options
    rest = urlencode([option for option in options if option[0] != "durable"])
    return Server(address + (f"?{rest}" if rest else ""), checked)


def translated(error: BaseException, connection: "asyncpg.Connection[Any] | None" = None, *, raced: bool = False) -> BaseException:
    """What it means for a deed or a question; the error itself where it is a mistake of ours. `raced`: what breaks a constraint may be
    somebody else who was quicker."""
    if isinstance(error, _AGAIN):
        return Fault(f"others were in the way: {error}", again=True)
    if isinstance(error, _RACED) and raced:
        return Fault(f"somebody else was quicker: {error}", again=True)
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        log.error("a constraint of the database was broken", exc_info=error)
        return Broken(f"{error} ({type(error).__name__})")
    if isinstance(error, asyncpg.ProgramLimitExceededError):
        return LimitReached("larger than the database takes")
    if isinstance(error, _PASSING):
        return Fault(f"the database: {error}", full=isinstance(error, asyncpg.DiskFullError))
    if isinstance(error, _LOST) or (isinstance(error, asyncpg.InterfaceError) and (connection is None or connection.is_closed())):
        return Fault(f"the connection to the database was lost: {error}")
    return error


class Session:
    """One connection, used by one at a time."""

    __slots__ = ("_prepared", "begun", "connection", "name", "owners", "pid", "pooled", "seconds", "used", "warned")

    def __init__(self, connection: "asyncpg.Connection[Any]", name: str = "", owners: Owners | None = None) -> None:
        """`name`: no other session's; `owners`: what all of this process have found; `warned`: the server said something that nobody asked
        about; `used`: it has served before; `begun`: when (on the loop's clock) a transaction was begun on it for whoever uses it next, in
        which nothing was said yet."""
        self.connection = connection
        self.name = name
        self.owners = Owners() if owners is None else owners
        self.pid = connection.get_server_pid()
        self.pooled = False
        self.seconds: float | None = None  # for each answer; None: COMMAND_SECONDS
        self.used = False
        self.warned = False
        self.begun: float | None = None
        self._prepared: dict[str, asyncpg.prepared_stmt.PreparedStatement[Any]] = {}

    async def plain(self, sql: str) -> None:
        """One or several statements without parameters, in one go."""
        await self.connection.execute(sql)

    async def rows(self, statement: Numbered, arguments: Sequence[Any], *, keep: bool = True) -> list[Any]:
        """All of them. `keep`: the statement will come again; of others asyncpg keeps the last ones."""
        asked = await self._statement(statement) if keep else None
        return await self._fetched(statement, asked, arguments)

    async def row(self, statement: Numbered, arguments: Sequence[Any]) -> Any | None:
        """The first one."""
        return await (await self._statement(statement)).fetchrow(*arguments, timeout=self.seconds)

    async def _fetched(
        self, statement: Numbered, asked: "asyncpg.prepared_stmt.PreparedStatement[Any] | None", arguments: Sequence[Any]
    ) -> list[Any]:
        if asked is None:
            return cast("list[Any]", await self.connection.fetch(statement.sql, *arguments, timeout=self.seconds))
        return cast("list[Any]", await asked.fetch(*arguments, timeout=self.seconds))

    async def value(self, statement: Numbered, arguments: Sequence[Any]) -> Any:
        """The first of the first one."""
        return await (await self._statement(statement)).fetchval(*arguments)

    async def changed(self, statement: Numbered, arguments: Sequence[Any]) -> int:
        """How many rows were."""
        prepared = await self._statement(statement)
        await prepared.fetch(*arguments)
        return int(prepared.get_statusmsg().rpartition(" ")[2])

    async def many(self, statement: Numbered, rows: Sequence[Sequence[Any]]) -> None:
        """In one go."""
        await (await self._statement(statement)).executemany(rows)

    async def _statement(self, statement: Numbered) -> "asyncpg.prepared_stmt.PreparedStatement[Any]":
        found = self._prepared.get(statement.sql)
        if found is None:
            found = self._prepared[statement.sql] = await self._prepare(statement)
        return found

    async def _prepare(self, statement: Numbered) -> "asyncpg.prepared_stmt.PreparedStatement[Any]":
        prepared = await self.connection.prepare(statement.sql)
        # Every integer of ours has 64 bits; PostgreSQL takes `:number + 1` for one of 32.
        small = {
            place: "BIGINT" for place, kind in enumerate(prepared.get_parameters(), 1) if kind.name in ("int4", "int2", "numeric", "float8")
        }
        return await self.connection.prepare(statement.with_casts(small).sql) if small else prepared

    async def close(self) -> None:
        """Politely, else at once. Raises nothing."""
        try:
            await self.connection.close(timeout=2)
        except Exception:
            self.connection.terminate()

    def discard(self) -> None:
        """At once."""
        self.connection.terminate()


async def opened(where: Server) -> Session:
    """With a server that may be written to. Raises Fault."""
    name = f"procura {secrets.token_hex(8)}"
    try:
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            where.url,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            statement_cache_size=64,
            server_settings={**_SERVER, "application_name": name},
            target_session_attrs="read-write",
        )
    except asyncio.CancelledError:
        raise
    except Exception as error:
        if pooler.NOT_LET_IN in str(error):
            raise Fault(f"a pooler in between (PgBouncer): set its ignore_startup_parameters = {', '.join(sorted(_SERVER))}") from error
        raise Fault(f"the database cannot be reached: {str(error) or type(error).__name__}") from error
    try:
        _keep_alive(connection)
        pid = await pooler.process_behind(connection)
        pooled = pid != connection.get_server_pid()
        if pooled:
            await pooler.set_up(connection, _SAID_LATER)
        for kind in ("numeric",):
            await connection.set_type_codec(kind, schema="pg_catalog", encoder=str, decoder=_number, format="text")
    except BaseException as error:
        connection.terminate()
        if isinstance(error, Exception):
            raise Fault(f"the database cannot be used: {error}") from error
        raise
    session = Session(connection, name, where.owners)
    session.pid, session.pooled = pid, pooled

    def heard(_: object, message: asyncpg.PostgresLogMessage) -> None:
        session.warned = session.warned or getattr(message, "severity_en", "") == "WARNING"

    connection.add_log_listener(heard)
    return session


async def check(session: Session, where: Server) -> None:
    """Is it a server on which our promises hold? Raises Unusable, and asyncpg's errors."""
    connection = session.connection
    number = int(await connection.fetchval("SHOW server_version_num"))
    if number < OLDEST:
        raise Unusable(f"PostgreSQL {number // 10000} is too old: 14 at least")
    if session.pooled:
        await _check_pooler(connection, where)
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise Unusable(f"the database is encoded in {encoding}, not in UTF8")
    if where.checked:
        for name in _DURABLE:
            value = await connection.fetchval("SELECT current_setting($1)", name)
            if value not in ("on", "remote_apply"):
                raise Unusable(f"{name} is {value}: what was accepted could be lost; it must be on")


async def _check_pooler(connection: "asyncpg.Connection[Any]", where: Server) -> None:
    another = await opened(where)
    try:
        if await pooler.parts_sessions(connection, another.connection):
            raise Unusable(
                "a pooler in between (PgBouncer with pool_mode = transaction or statement?) gives the server's connections to others"
                " between transactions: LISTEN, advisory locks, prepared statements and settings do not last there; name the server"
                " itself, or set pool_mode = session"
            )
    finally:
        await another.close()


def _keep_alive(connection: "asyncpg.Connection[Any]") -> None:
    """Ours; the server's are among its settings."""
    transport = cast(asyncio.Transport, connection._transport)  # asyncpg shows it nowhere else
    plug = transport.get_extra_info("socket")
    if plug is None or plug.family not in (socket.AF_INET, socket.AF_INET6):
        return
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", KEEPALIVE_SECONDS), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        number = getattr(socket, option, None)
        if number is not None:
            plug.setsockopt(socket.IPPROTO_TCP, number, value)


def _number(text: str) -> int | float:
    """Sums of ours are integers; PostgreSQL makes them numeric."""
    return float(text) if "." in text else int(text)
