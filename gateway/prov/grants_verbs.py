"""The command `grants`: everything that was granted to somebody or by somebody, what ends, what nobody uses, what is to be reviewed."""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.grant_lists import MOST, TenureList, TenureView, spelled
from gateway.prov.answer import Answer, Usage, moment, stamp, table
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb
from policy.grantees import GranteeKind
from policy.grants import FolderEntry
from policy.rights import spell_letters

WITHIN: Final = "14d"
SINCE: Final = "90d"


async def _grants(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    word = word.lower()
    own = {"list": (), "expiring": ("--within",), "unused": ("--since",), "overdue": ("--within",)}.get(word)
    if own is None:
        raise Usage("list, expiring, unused or overdue")
    read = options(rest, valued=("--owner", "--actor", *own))
    if read.rest:
        raise Usage(f"{read.rest[0]} was not understood")
    owner, actor = read.values.get("--owner"), read.values.get("--actor")
    book = desk.directory.grant_lists
    now = await desk.directory.now()
    match word:
        case "list":
            if owner is None and actor is None:
                raise Usage("--owner or --actor is needed")
            found = await book.held(owner, actor)
        case "expiring":
            found = await book.expiring(read_moment(read.values.get("--within", WITHIN), now), owner, actor)
        case "unused":
            ahead = read_moment(read.values.get("--since", SINCE), now)
            found = await book.unused(2 * now - ahead if ahead > now else ahead, owner, actor)
        case _:
            within = read.values.get("--within")
            found = await book.overdue(None if within is None else read_moment(within, now), owner, actor)
    return Answer(_table(found, word), [_data(one) for one in found.views])


_EMPTY: Final = {
    "list": "nothing was granted\n",
    "expiring": "nothing ends in that time\n",
    "unused": "everything that was granted by then has been used since\n",
    "overdue": "nothing is to be reviewed\n",
}


def _table(found: TenureList, word: str) -> str:
    if not found.views:
        return _EMPTY[word]
    rows: list[Sequence[object]] = [("Owner", "Grantee", "Gives", "Last used", "Ends", "Remarks")]
    rows += [
        (one.owner, _grantee(one), _gives(one), _time(one.tenure.used), _time(one.tenure.granted.expires), _remarks(one))
        for one in found.views
    ]
    return table((28, 34, 24, 25, 25, 0), rows) + (
        f"and more than these {MOST:,}: --owner and --actor narrow it down\n" if found.more else ""
    )


def _grantee(one: TenureView) -> str:
    kind = one.tenure.granted.grantee.kind
    return "everybody" if kind is GranteeKind.ALL else f"{kind} {one.grantee}"


def _gives(one: TenureView) -> str:
    granted = one.tenure.granted
    return f"{spell_letters(granted.rights)} on {one.tenure.path}" if isinstance(granted, FolderEntry) else spelled(one.tenure)


def _time(at: int | None) -> str:
    return "-" if at is None else moment(at)


def _remarks(one: TenureView) -> str:
    granted = one.tenure.granted
    said = [] if one.holds else ["not now"]
    said += [f"from {moment(granted.not_before)}"] if granted.not_before is not None and not one.holds else []
    said += [f"review {moment(granted.review)}"] if granted.review is not None else []
    said += [f"share {one.tenure.share}"] if one.tenure.share is not None else []
    said += [granted.note] if granted.note else []
    return "; ".join(said)


def _data(one: TenureView) -> dict[str, Any]:
    tenure, granted = one.tenure, one.tenure.granted
    is_entry = isinstance(granted, FolderEntry)
    return {
        "owner": one.owner,
        "granteeType": str(granted.grantee.kind),
        "grantee": one.grantee or None,
        "folder": tenure.path if is_entry else None,
        "letters": spell_letters(granted.rights) if isinstance(granted, FolderEntry) else None,
        "right": None if is_entry else spelled(tenure),
        "from": stamp(granted.not_before),
        "until": stamp(granted.expires),
        "review": stamp(granted.review),
        "note": granted.note,
        "given": stamp(tenure.given),
        "lastUsed": stamp(tenure.used),
        "announced": stamp(tenure.warned),
        "share": tenure.share,
        "inForce": one.holds,
    }


VERB: Final = Verb(
    "grants",
    "",
    "list --owner A|--actor A | expiring [--within 14d] | unused [--since 90d] | overdue [--within T]; each with [--owner A] [--actor A]",
    "grants of every kind with their times: those on an account or list, those that count for somebody (groups' too), those that end soon,"
    " those that decided nothing since, those whose review is due",
    1,
    None,
    _grants,
)
