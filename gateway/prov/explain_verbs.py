"""The verbs that explain: may this be done, who may do it, and why was it decided so?"""

from collections.abc import Sequence
from typing import Any, Final

from gateway.directory.authority import Matter
from gateway.explain import Able, Act, Explained, Reached
from gateway.prov.answer import Answer, Usage, lines, moment, stamp
from gateway.prov.arguments import options
from gateway.prov.audit_verbs import row_data
from gateway.prov.right_verbs import verdict_data
from gateway.prov.supposing import supposing
from gateway.prov.verb import Desk, Verb
from gateway.questions import OPERATIONS
from gateway.suggestion import Suggestion
from gateway.why import Why
from gateway.why_refused import WhyRefused
from policy.roles import Operation

_SUPPOSING: Final = "[--at TIME] [--with FILE]"
_VALUED: Final = ("--at", "--with")


def _act(word: str) -> Act:
    try:
        return Act(word.lower())
    except ValueError:
        raise Usage(f"{word} is none of " + ", ".join(Act)) from None


async def _can(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=_VALUED)
    if len(read.rest) == 1:
        await _allow_all(desk)
        async with supposing(desk, read.values.get("--at"), read.values.get("--with")) as explain:
            stopped = await explain.cannot_act(read.rest[0])
            found = await explain.all_of(read.rest[0])
        return Answer(_told_reach(read.rest[0], found, stopped), {"stopped": stopped, "may": [_reach_data(one) for one in found]})
    if len(read.rest) not in (3, 4):
        raise Usage("who, what, and on whose account or list; or who alone")
    actor, word, owner, *folder = read.rest
    act = _act(word)
    if folder and act not in OPERATIONS:
        raise Usage(f"{act} is not about a folder")
    await desk.allow(await desk.directory.concerning(Operation.EXPLAIN, actor, owner), owner)
    if "--with" in read.values:
        await _allow_all(desk)
    async with supposing(desk, read.values.get("--at"), read.values.get("--with")) as explain:
        verdict = await explain.can(actor, act, owner, folder[0] if folder else None)
    return Answer(_told(verdict), verdict_data(verdict), denied=not verdict.allowed)


async def _allow_all(desk: Desk) -> None:
    """What tells of everybody, wherever they are: only who may read the whole record. Raises Fault."""
    for operation in (Operation.VIEW_AUDIT, Operation.EXPLAIN):
        await desk.allow(Matter(operation))


def _told(found: Explained) -> str:
    told = ["ALLOWED" if found.allowed else f"DENIED: {found.refusal}", "Via:"]
    # The deciding lines first is what people look for; all of them are told, since the others are why not.
    told += [f"  {'*' if decided else ' '} {text}" for text, decided in found.trace]
    return lines(told)


def _told_reach(actor: str, found: Sequence[Reached], stopped: str) -> str:
    told = [f"{actor} can do nothing now: {stopped.removeprefix('but ')}"] if stopped else []
    if not found:
        told.append(f"{actor} may do nothing with what is others'")
    for one in found:
        on = f"{one.principal} {one.folder}" if one.folder else one.principal
        told.append(f"{one.right} on {on}; via {_via(one.why)}")
    return lines(told)


def _via(why: Explained) -> str:
    deciding = [text for text, decided in why.trace if decided]
    return " and ".join(deciding) or why.because


def _reach_data(one: Reached) -> dict[str, Any]:
    return {"principal": one.principal, "right": one.right, "folder": one.folder or None, "via": verdict_data(one.why)}


async def _who_can(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, valued=(*_VALUED, "--limit"))
    if len(read.rest) not in (2, 3):
        raise Usage("what, on whose account or list, and in which folder")
    word, owner, *folder = read.rest
    act = _act(word)
    if folder and act not in OPERATIONS:
        raise Usage(f"{act} is not about a folder")
    limit = read.values.get("--limit", "1000")
    if not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= 100_000):
        raise Usage("--limit takes a number up to 100000")
    await _allow_all(desk)
    async with supposing(desk, read.values.get("--at"), read.values.get("--with")) as explain:
        found, more = await explain.who_can(act, owner, folder[0] if folder else None, int(limit))
    told = [f"{one.account}; via {_via(one.why)}" for one in found] or ["nobody"]
    told += [f"and more than these {len(found)} (--limit)"] if more else []
    return Answer(lines(told), {"who": [_able_data(one) for one in found], "more": more})


def _able_data(one: Able) -> dict[str, Any]:
    return {"account": one.account, "via": verdict_data(one.why)}


async def _why(desk: Desk, arguments: Sequence[str]) -> Answer:
    await _allow_all(desk)
    refused = await desk.reasons.refused(arguments[0])
    if refused is not None:
        return Answer(_told_refused(refused), [_refused_data(refused)])
    found = await desk.reasons.why(arguments[0])
    return Answer("\n".join(_told_why(one) for one in found), [_why_data(one) for one in found])


def _told_why(one: Why) -> str:
    row, entry = one.row, one.row.entry
    person = f" (by {entry.person_address})" if entry.person_address else ""
    told = [
        f"{entry.decision}  {moment(row.at)}  {'allowed' if entry.allowed else 'REFUSED'}  (record {row.number})",
        f"  who     {entry.actor_address or '-'}{person}, {entry.protocol or '-'} {entry.source}".rstrip(),
        f"  what    {entry.event}: {entry.right or '-'} on {entry.principal_address or '-'} {entry.detail}".rstrip(),
    ]
    if entry.message_id or entry.queue_id:
        told.append(f"  mail    {entry.message_id} {entry.queue_id}".rstrip())
    told.append("Then:")
    told += [f"  {'*' if decided else ' '} {text}" for text, decided in one.then]
    if entry.because and all(entry.because != text for text, _ in one.then) and not entry.allowed and entry.event == "send":
        told.append(f"    {entry.because}")
    if one.now is not None:
        told.append("Now: ALLOWED" if one.now.allowed else f"Now: DENIED: {one.now.refusal}")
        told += [f"  {'*' if decided else ' '} {text}" for text, decided in one.now.trace]
    told += _missing(one.suggestions, one.no_grant)
    return _printable(told)


def _missing(suggestions: Sequence[Suggestion], otherwise: str) -> list[str]:
    told: list[str] = []
    for number, suggested in enumerate(suggestions):
        told.append("Missing:" if number == 0 else "or:")
        told += [f"  procura prov {line}" for line in suggested.apply]
        told += [f"    in the place of: {suggested.replaces}"] if suggested.replaces else []
        told += [f"    taken back by: procura prov {line}" for line in suggested.undo]
        told.append(f"    may be given by: {', '.join(suggested.givers)}")
    return [*told, f"Missing: {otherwise}"] if otherwise else told


def _printable(told: Sequence[str]) -> str:
    """What clients sent stands in it: nothing of that is a line of its own."""
    return lines("".join(letter if letter.isprintable() else " " for letter in line) for line in told)


def _told_refused(one: WhyRefused) -> str:
    row = one.row
    times = f" ({row.times} times since {moment(row.first)})" if row.times > 1 else ""
    who = row.actor_address or (one.account and f"{one.account}, not logged in") or "-"
    told = [
        f"{row.decision}  {moment(row.last)}  {'PUT OFF' if row.later else 'REFUSED'}{times}",
        f"  who     {who}, {row.protocol} {row.source}".rstrip(),
        f"  what    {row.reason}: {row.about or '-'}",
        "Then:",
        *(f"  {'*' if number == 0 else ' '} {text}" for number, text in enumerate(one.then)),
        *([f"Now: {one.now}"] if one.now else []),
        *_missing(one.suggestions, one.otherwise),
    ]
    return _printable(told)


def _refused_data(one: WhyRefused) -> dict[str, Any]:
    row = one.row
    return {
        "refusal": {
            "decision": row.decision,
            "first": stamp(row.first),
            "last": stamp(row.last),
            "times": row.times,
            "protocol": row.protocol,
            "source": row.source,
            "actor": row.actor_address or None,
            "account": one.account or None,
            "about": row.about or None,
            "reason": row.reason,
            "later": row.later,
        },
        "then": [{"text": text, "decided": number == 0} for number, text in enumerate(one.then)],
        "now": one.now or None,
        "suggestions": [_suggestion_data(suggested) for suggested in one.suggestions],
        "noGrant": one.otherwise or None,
    }


def _why_data(one: Why) -> dict[str, Any]:
    return {
        "record": row_data(one.row),
        "then": [{"text": text, "decided": decided} for text, decided in one.then],
        "now": None if one.now is None else verdict_data(one.now),
        "suggestions": [_suggestion_data(suggested) for suggested in one.suggestions],
        "noGrant": one.no_grant or None,
    }


def _suggestion_data(one: Suggestion) -> dict[str, Any]:
    return {"apply": [*one.apply], "undo": [*one.undo], "replaces": one.replaces or None, "givers": [*one.givers]}


VERBS: Final = (
    Verb(
        "can",
        "",
        f"ACTOR [{'|'.join(Act)} OWNER [FOLDER]] {_SUPPOSING}",
        "would it be allowed now (or at a time, or after the prov lines in a file), and why; ends with 0 for ALLOWED, 1 for DENIED;"
        " ACTOR alone: all that it may do with what is others'",
        1,
        None,
        _can,
        files=("--with",),
    ),
    Verb(
        "who-can",
        "",
        f"{'|'.join(Act)} OWNER [FOLDER] [--limit N] {_SUPPOSING}",
        "everybody who may do it, each with the grant and the groups by which",
        2,
        None,
        _who_can,
        files=("--with",),
    ),
    Verb(
        "why",
        "",
        "DECISION",
        "a decision as refusals quote it: how it came about, what it would be now, which grant is missing, who may give it",
        1,
        1,
        _why,
    ),
)
