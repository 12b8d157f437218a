"""Is there a pooler between a session and PostgreSQL, and does it leave the session what it rests on?

PgBouncer tells each client a process number that is no server's. In session mode a client has one connection of the server's for as long
as it stays, and everything works: LISTEN, locks, prepared statements, settings, which are made here since PgBouncer drops them. In
transaction mode each transaction may be on another connection, and none of that holds.
"""

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

NOT_LET_IN: Final = "unsupported startup parameter"
"""How PgBouncer refuses a setting at the start of a session."""
PROBES: Final = 3


async def process_behind(connection: "asyncpg.Connection[Any]") -> int:
    """The number of the server's process that answers; another than `get_server_pid` says where there is a pooler."""
    return int(await connection.fetchval("SELECT pg_backend_pid()"))


async def set_up(connection: "asyncpg.Connection[Any]", settings: Mapping[str, str]) -> None:
    """What cannot be set at the start of a session, for the whole of it."""
    columns = ", ".join(f"set_config(${2 * place + 1}, ${2 * place + 2}, false)" for place in range(len(settings)))
    await connection.fetchrow(f"SELECT {columns}", *(text for setting in settings.items() for text in setting))


async def parts_sessions(connection: "asyncpg.Connection[Any]", another: "asyncpg.Connection[Any]") -> bool:
    """Is what one session leaves behind the next one's? While the other one's transaction is open, ours gets another process then, or
    the other one has got ours."""
    try:
        for _ in range(PROBES):
            async with connection.transaction():
                ours = await process_behind(connection)
            async with another.transaction():
                theirs = await process_behind(another)
                async with connection.transaction():
                    then = await process_behind(connection)
            if ours == theirs or ours != then:
                return True
    except asyncpg.PostgresError:
        # A statement that was prepared elsewhere, a transaction that may not be one (statement mode).
        return True
    return False
