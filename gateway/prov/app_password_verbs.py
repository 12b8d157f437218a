"""The command `app-password`: create, list, revoke."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.app_passwords import AppPasswordView, Wish, described
from gateway.prov.answer import Answer, Usage, moment, stamp, table
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb

_LIMITS: Final = ("--protocols", "--networks", "--principal", "--rights", "--until")


async def _app_password(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    match word.lower():
        case "create":
            return await _create(desk, rest)
        case "list" if len(rest) == 1:
            return _listed(await desk.directory.app_passwords.listed(rest[0]))
        case "revoke":
            return await _revoke(desk, rest)
        case _:
            raise Usage("create ACCOUNT NAME, list ACCOUNT or revoke ACCOUNT NAME")


async def _create(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=_LIMITS)
    if len(read.rest) != 2:
        raise Usage("create ACCOUNT NAME and limits")
    account, name = read.rest
    until = read.values.get("--until")
    wish = Wish(
        name,
        _words(read.values.get("--protocols", "")),
        _words(read.values.get("--networks", "")),
        read.values.get("--principal"),
        _words(read.values["--rights"]) if "--rights" in read.values else None,
        None if until is None else read_moment(until, await desk.directory.now()),
    )
    made = await desk.directory.app_passwords.create(account, wish)
    return Answer(f"{made.spelled}\nIt is shown this once.\n", {"name": name.strip(), "password": made.spelled})


async def _revoke(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, ("--all",))
    if len(read.rest) != (1 if read.flags else 2):
        raise Usage("revoke ACCOUNT NAME or revoke ACCOUNT --all")
    if read.flags:
        count = await desk.directory.app_passwords.revoke_all(read.rest[0])
        return Answer(f"{count} revoked\n", {"revoked": count})
    await desk.directory.app_passwords.revoke(read.rest[0], read.rest[1])
    return Answer("", {"revoked": 1})


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _listed(views: Sequence[AppPasswordView]) -> Answer:
    data = [_data(view) for view in views]
    if not views:
        return Answer("no app passwords\n", data)
    told: list[Sequence[object]] = [("Name", "Until", "Last used", "Limits")]
    for view in views:
        scope = view.row.scope
        until = "-" if scope.expires is None else f"{moment(scope.expires)}{' (over)' if view.over else ''}"
        used = "never" if view.row.last_used is None else moment(view.row.last_used)
        limits = "; ".join(f"{name} {text}" for name, text in described(scope, view.principal))
        told.append((scope.name, until, used, limits))
    return Answer(table((16, 25, 25, 0), told), data)


def _data(view: AppPasswordView) -> dict[str, Any]:
    scope = view.row.scope
    return {
        "name": scope.name,
        "created": stamp(view.row.created),
        "until": stamp(scope.expires),
        "over": view.over,
        "lastUsed": stamp(view.row.last_used),
        "protocols": sorted(scope.doors) or None,
        "networks": [str(one) for one in scope.networks] or None,
        "principal": view.principal,
        "rights": dict(described(scope, view.principal))["rights"].split(),
    }


VERB: Final = Verb(
    "app-password",
    "",
    "create ACCOUNT NAME [--protocols imap,smtp] [--principal ADDRESS] [--rights rwixd,send,sendAs,sendOnBehalfOf,loginAs] "
    "[--networks 192.0.2.0/24,...] [--until T] | list ACCOUNT | revoke ACCOUNT NAME|--all",
    "further passwords with limits, for one client each; a new one is shown once",
    2,
    None,
    _app_password,
)
