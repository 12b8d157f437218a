"""What `procura break-glass` does: emergency access with a reason, which the owner is told of."""

import re
from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.breakglass import WindowView
from gateway.prov.answer import Answer, Usage, moment, stamp, table
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb
from policy.breakglass import USUAL

_DURATION: Final = re.compile(r"(\d{1,6})([smh])")
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


async def _break_glass(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    match word.lower():
        case "open":
            return await _open(desk, rest)
        case "close" if len(rest) == 1 and rest[0].isascii() and rest[0].isdigit() and len(rest[0]) < 18:
            view = await desk.directory.break_glass.close(int(rest[0]))
            return Answer(f"window {view.window.id} on {view.account} is closed\n", _data(view))
        case "list" if not rest:
            await desk.directory.trail.allow()
            views = await desk.directory.break_glass.windows()
            return Answer(_table(views) if views else "no window was ever opened\n", [_data(one) for one in views])
        case _:
            raise Usage("open ACCOUNT --by ADMIN --reason TEXT, close WINDOW, or list")


async def _open(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=("--by", "--reason", "--for"))
    if len(read.rest) != 1 or "--by" not in read.values:
        raise Usage("on whose account, and --by whom?")
    if not read.values.get("--reason", "").strip():
        raise Usage("--reason is needed: the owner reads it")
    view = await desk.directory.break_glass.open(
        read.rest[0], read.values["--by"], read.values["--reason"], _seconds(read.values["--for"]) if "--for" in read.values else USUAL
    )
    told = f"{view.administrator} may log in as {view.account} until {moment(view.window.expires)}; the owner was told"
    return Answer(f"window {view.window.id}: {told}\n", _data(view))


def _seconds(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if found is None:
        raise Usage(f"--for takes a duration: 90s, 30m or 1h, not {text}")
    return int(found[1]) * _UNITS[found[2]]


def _table(views: Sequence[WindowView]) -> str:
    head: Sequence[object] = ("Window", "State", "Opened", "Until", "Account", "Administrator", "Reason")
    rows: list[Sequence[object]] = [head]
    for one in views:
        times = moment(one.window.opened), moment(_end(one))
        rows.append((one.window.id, _state(one), *times, one.account, one.administrator, one.window.reason))
    return table((-6, 6, 25, 25, 24, 24, 0), rows)


def _state(one: WindowView) -> str:
    return "open" if one.is_open else "closed" if one.window.closed is not None else "over"


def _end(one: WindowView) -> int:
    return one.window.expires if one.window.closed is None else one.window.closed


def _data(one: WindowView) -> dict[str, Any]:
    return {
        "window": one.window.id,
        "state": _state(one),
        "account": one.account,
        "administrator": one.administrator,
        "reason": one.window.reason,
        "opened": stamp(one.window.opened),
        "until": stamp(one.window.expires),
        "closed": stamp(one.window.closed),
    }


VERB: Final = Verb(
    "break-glass",
    "",
    "open ACCOUNT --by ADMIN --reason TEXT [--for 1h] | close WINDOW | list",
    "lets an administrator log in as an account for a while; the owner is told by mail, and everything is on record",
    1,
    None,
    _break_glass,
)
