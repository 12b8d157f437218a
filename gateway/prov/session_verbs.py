"""The commands about who is logged in and who was: sessions, logins."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.open_sessions import MOST_LOGINS, Which
from gateway.prov.answer import Answer, Usage, moment, stamp, table
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb
from gateway.sessions import SessionRow
from store.model import LoginRow

_CHOICE: Final = ("--account", "--protocol", "--peer")


async def _sessions(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments or ("list",)
    match word.lower():
        case "list":
            return await _list(desk, rest)
        case "end":
            return await _end(desk, rest)
        case _ if not rest:
            return _listed(await desk.sessions.listed(Which(account=word)))
        case _:
            raise Usage("list or end")


async def _list(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=_CHOICE)
    if len(read.rest) > 1 or (read.rest and "--account" in read.values):
        raise Usage("list [ACCOUNT] [--protocol imap|smtp] [--peer ADDRESS]")
    return _listed(await desk.sessions.listed(_which(read.values, read.rest[0] if read.rest else None)))


async def _end(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=_CHOICE)
    if bool(read.rest) == bool(read.values):
        raise Usage("end ID ... or end --account ACCOUNT [--protocol imap|smtp] [--peer ADDRESS]")
    if read.rest:
        if not all(one.isascii() and one.isdigit() and len(one) < 18 for one in read.rest):
            raise Usage("end ID ...: the number that list shows")
        ended = await desk.sessions.end([int(one) for one in read.rest])
    else:
        ended = await desk.sessions.end_all(_which(read.values, None))
    return Answer(f"{ended} ended\n", {"ended": ended})


def _which(values: dict[str, str], account: str | None) -> Which:
    protocol = values.get("--protocol")
    if protocol not in (None, "imap", "smtp"):
        raise Usage("--protocol is imap or smtp")
    return Which(values.get("--account", account), protocol, values.get("--peer"))


def _listed(rows: Sequence[SessionRow]) -> Answer:
    data = [_data(row) for row in rows]
    if not rows:
        return Answer("no open sessions\n", data)
    told: list[Sequence[object]] = [("Number", "Protocol", "Since", "Peer", "Account", "Client", "Folder")]
    for row in rows:
        who = row.account + (f" (by {row.acting})" if row.acting else "")
        told.append((row.number, row.protocol, moment(row.since), row.peer or "-", who, _plain(row.client), _plain(row.folder)))
    return Answer(table((-7, 8, 25, 16, 24, 20, 0), told), data)


def _data(row: SessionRow) -> dict[str, Any]:
    return {
        "number": row.number,
        "account": row.account,
        "actor": row.acting or None,
        "protocol": row.protocol,
        "peer": row.peer,
        "since": stamp(row.since),
        "seconds": row.seconds,
        "client": row.client or None,
        "folder": row.folder or None,
    }


def _plain(text: str) -> str:
    """What strangers wrote moves no cursor and makes no line."""
    return "".join(one if one.isprintable() else "?" for one in text) or "-"


async def _logins(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, ("--failed", "--admitted"), ("--limit",))
    limit = read.values.get("--limit", "50")
    if len(read.rest) != 1 or len(read.flags) > 1 or not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= MOST_LOGINS):
        raise Usage("ACCOUNT [--failed | --admitted] [--limit N]")
    admitted = None if not read.flags else "--admitted" in read.flags
    rows = await desk.sessions.logins(read.rest[0], admitted=admitted, limit=int(limit))
    data = [_login_data(row) for row in rows]
    if not rows:
        return Answer("no logins on record\n", data)
    told: list[Sequence[object]] = [("Last", "Times", "Protocol", "Mechanism", "Source", "Outcome")]
    for row in rows:
        outcome = row.outcome if row.admitted else f"FAILED: {row.outcome}"
        used = f" (app password {_plain(row.app_password)})" if row.app_password else ""
        told.append((moment(row.last), row.times, row.protocol, row.mechanism or "-", row.source or "-", outcome + used))
    return Answer(table((25, -5, 8, 13, 16, 0), told), data)


def _login_data(row: LoginRow) -> dict[str, Any]:
    return {
        "first": stamp(row.first),
        "last": stamp(row.last),
        "times": row.times,
        "source": row.source,
        "protocol": row.protocol,
        "mechanism": row.mechanism,
        "admitted": row.admitted,
        "outcome": row.outcome,
        "appPassword": row.app_password or None,
    }


VERBS: Final = (
    Verb(
        "sessions",
        "",
        "[list [ACCOUNT] [--protocol P] [--peer ADDRESS] | end ID ... | end --account ACCOUNT [--protocol P] [--peer ADDRESS]]",
        "who is logged in (a server that runs knows), and ending it at once",
        0,
        None,
        _sessions,
    ),
    Verb(
        "logins",
        "",
        "ACCOUNT [--failed | --admitted] [--limit N]",
        "the last logins of an account and those that failed: when, whence, how",
        1,
        None,
        _logins,
    ),
)
