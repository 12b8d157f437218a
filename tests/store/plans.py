"""Which tables of an account's data a statement of PostgreSQL looks into without saying whose: asked of the server's own plan."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

import asyncpg

PARTED: Final[Mapping[str, str]] = MappingProxyType(
    dict.fromkeys(
        (
            *("folder", "folder_entry", "former", "mailbox", "message", "wire", "head", "keyword", "seen", "change", "filed"),
            *("waiting_copy", "blob", "loose", "annotation", "deleted_folder"),
        ),
        "owner",
    )
    | dict.fromkeys(
        (
            *("login_failure", "login_history", "password_history", "app_password", "break_glass", "known_source", "lockout"),
            *("scram_keys", "quota_warning", "password_set", "totp", "one_time_code", "person", "digest", "first_access"),
            *("admin_role", "delegated_administrator"),
        ),
        "account",
    )
    | {"account": "id", "deleted_account": "id", "subscription": "subscriber", "sent": "actor", "freeze": "object", "send_grant": "target"}
    | {"object": "id", "epoch": "scope", "address": "domain", "delegated_domain": "domain", "domain_cos_limit": "domain", "domain": "id"}
)
"""Tables of accounts and domains, and the column with the account (list, domain) with which their keys begin."""

DIRECTORY: Final = frozenset({"account", "object", "epoch", "address", "delegated_domain", "domain_cos_limit", "domain", "deleted_account"})
"""Of these, what everybody reads and little is written to: who there is, at all (store/README.md, "Where the keys begin")."""


async def unparted(connection: asyncpg.Connection[Any], sql: str, parameters: int) -> list[str]:
    """The tables of mail and of accounts' own data of which the statement reads rows and does not say whose. The same word from a table
    that says so (`seen.owner = message.owner`) is as good: the server then knows it of both."""
    await connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    await connection.execute(f"PREPARE one AS {sql}")
    try:
        given = f"({', '.join(['NULL'] * parameters)})" if parameters else ""
        plan = json.loads(await connection.fetchval(f"EXPLAIN (VERBOSE, COSTS OFF, FORMAT JSON) EXECUTE one{given}"))[0]["Plan"]
    finally:
        await connection.execute("DEALLOCATE one")
    return [step["Relation Name"] for step in _steps(plan) if _looks(step) and not _says_whose(step)]


def _steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _steps(part)


def _looks(step: dict[str, Any]) -> bool:
    table = step.get("Relation Name")
    return table in PARTED and table not in DIRECTORY and "Scan" in step["Node Type"]


def _says_whose(step: dict[str, Any]) -> bool:
    said = " ".join(step.get(what, "") for what in ("Index Cond", "Recheck Cond", "Filter"))
    alias = step["Alias"].strip('"')
    return re.search(rf"\b{alias}\"?\.{PARTED[step['Relation Name']]} = (\$\d+|\w+\.\w+)", said) is not None
