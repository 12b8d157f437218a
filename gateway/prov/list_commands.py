"""What an operator asks about mailing lists besides `prov`: who is on them, what waits for their owners, who cannot be reached."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.list_requests import RequestView, is_post
from gateway.directory.names import shown
from gateway.prov.answer import Answer, Usage, lines, moment, stamp, table
from gateway.prov.arguments import options
from gateway.prov.list_verbs import VERBS
from gateway.prov.verb import Desk, Verb
from store.model import BouncingMember, Stage

_GET: Final = next(verb for verb in VERBS if verb.short == "gdl")
_ALL: Final = next(verb for verb in VERBS if verb.short == "gadl")
_ADD: Final = next(verb for verb in VERBS if verb.short == "adlm")
_REMOVE: Final = next(verb for verb in VERBS if verb.short == "rdlm")
_WAITS: Final = {
    Stage.CONFIRM: "to be confirmed",
    Stage.OWNERS: "for the owners",
    Stage.APPROVED: "let through, on its way",
}


async def _list(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments or ("all",)
    requests = desk.directory.list_requests
    match word.lower():
        case "all" if len(rest) <= 1:
            return await _ALL(desk, rest)
        case "show" if len(rest) == 1:
            return await _GET(desk, rest)
        case "members" if len(rest) == 1:
            view = await desk.directory.lists.get(rest[0])
            members = [shown(member.address) for member in view.members]
            return Answer(lines(members), members)
        case "add" if len(rest) > 1:
            return await _ADD(desk, rest)
        case "remove" if len(rest) > 1:
            return await _REMOVE(desk, rest)
        case "pending" if len(rest) <= 1:
            return _told([one for one in await requests.waiting(*rest) if not is_post(one)], "nobody waits for anything")
        case "held" if len(rest) <= 1:
            return _told([one for one in await requests.waiting(*rest) if is_post(one)], "no post is held")
        case "approve" if rest:
            count = await requests.decide(rest, approve=True)
            return Answer(f"{count} approved\n", {"approved": count})
        case "reject":
            return await _reject(desk, rest)
        case "bounces" if len(rest) == 1:
            return _bounces(await requests.bouncing(rest[0]))
        case "resume" if len(rest) > 1:
            count = await requests.resume(rest[0], rest[1:])
            return Answer(f"{count} resumed\n", {"resumed": count})
        case _:
            raise Usage(
                "all [DOMAIN], show LIST, members LIST, add LIST MEMBER ..., remove LIST MEMBER ..., pending [LIST], held [LIST], "
                "approve KEY ..., reject [--reason TEXT] [--quiet] KEY ..., bounces LIST or resume LIST MEMBER ..."
            )


async def _reject(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, flags=("--quiet",), valued=("--reason",))
    if not read.rest:
        raise Usage("reject [--reason TEXT] [--quiet] KEY ...")
    reason = read.values.get("--reason", "")
    count = await desk.directory.list_requests.decide(read.rest, approve=False, reason=reason, tell="--quiet" not in read.flags)
    return Answer(f"{count} rejected\n", {"rejected": count})


def _told(views: Sequence[RequestView], nothing: str) -> Answer:
    data = [_data(view) for view in views]
    if not views:
        return Answer(f"{nothing}\n", data)
    told: list[Sequence[object]] = [("Key", "List", "What", "Waits", "Since", "Until", "Who")]
    for view in views:
        one = view.request
        told.append((one.key, view.group, one.kind, _WAITS[one.stage], moment(one.created), moment(one.expires), shown(one.address)))
        if is_post(view):
            told.append(("", "", "", "", "", "Subject:", "".join(part if part.isprintable() else " " for part in one.subject)))
    return Answer(table((16, 20, 11, 15, 25, 25, 0), told), data)


def _data(view: RequestView) -> dict[str, Any]:
    one = view.request
    return {
        "key": one.key,
        "list": view.group,
        "kind": str(one.kind),
        "stage": str(one.stage),
        "address": str(one.address),
        "subject": one.subject,
        "queue": one.queue,
        "created": stamp(one.created),
        "expires": stamp(one.expires),
    }


def _bounces(found: Sequence[BouncingMember]) -> Answer:
    data = [
        {
            "member": str(one.address),
            "days": 0 if one.history is None else one.history.score,
            "last": None if one.history is None else stamp(one.history.counted),
            "suspended": None if one.history is None else stamp(one.history.suspended),
            "reason": one.reason,
        }
        for one in found
    ]
    if not found:
        return Answer("nothing has come back\n", data)
    told: list[Sequence[object]] = [("Member", "Days", "Last", "Mail", "Reason")]
    for one in found:
        if one.history is not None:
            mail = "is sent" if one.history.suspended is None else f"suspended {moment(one.history.suspended)}"
            told.append((shown(one.address), one.history.score, moment(one.history.counted), mail, one.reason))
    return Answer(table((28, -4, 25, 35, 0), told), data)


LIST: Final = Verb(
    "list",
    "",
    "[all [DOMAIN] | show LIST | members LIST | add LIST MEMBER ... | remove LIST MEMBER ... | pending [LIST] | held [LIST] | "
    "approve KEY ... | reject [--reason TEXT] [--quiet] KEY ... | bounces LIST | resume LIST MEMBER ...]",
    "mailing lists: who is on them, what waits for their owners and is decided in their place, which members cannot be reached",
    0,
    None,
    _list,
)
