"""What operators ask a server besides `prov`: can, who-can, why, account, unlock, queue, list, principal, actor, dkim, sessions, logins,
app-password, totp, password, audit, clock."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gateway.directory.freezes import Side
from gateway.directory.waiting import is_waiting
from gateway.held_posts import is_held_post
from gateway.prov.answer import Answer, Usage, lines, moment, stamp, table
from gateway.prov.app_password_verbs import VERB as APP_PASSWORD
from gateway.prov.arguments import options
from gateway.prov.audit_verbs import VERB as AUDIT
from gateway.prov.break_glass_verbs import VERB as BREAK_GLASS
from gateway.prov.clock_verbs import VERB as CLOCK
from gateway.prov.dkim_verbs import VERB as DKIM
from gateway.prov.explain_verbs import VERBS as EXPLAIN
from gateway.prov.grants_verbs import VERB as GRANTS
from gateway.prov.keeping_verbs import VERBS as KEEPING
from gateway.prov.list_commands import LIST
from gateway.prov.password_verbs import VERB as PASSWORD
from gateway.prov.people_verbs import ACCOUNT
from gateway.prov.policy_verbs import VERB as POLICY
from gateway.prov.role_verbs import ROLES
from gateway.prov.session_verbs import VERBS as SESSION_VERBS
from gateway.prov.share_verbs import VERB as SHARE
from gateway.prov.totp_verbs import VERB as TOTP
from gateway.prov.verb import Desk, Run, Verb
from store.model import Heap, QueueId, QueueRow, QueueState

LISTED: Final = 10_000
MOST_LISTED: Final = 100_000
"""Rows of the queue in one answer, some 300 octets each."""


async def _unlock(desk: Desk, arguments: Sequence[str]) -> Answer:
    until = await desk.directory.accounts.unlock(arguments[0])
    text = "" if until is not None else f"{arguments[0]} was not locked out; its failures are forgotten\n"
    return Answer(text, {"lockedOutUntil": stamp(until)})


async def _queue(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments or ("list",)
    match word.lower():
        case "list":
            return await _queue_list(desk, rest)
        case "summary" if not rest:
            return _queue_summary(await desk.directory.waiting.heaps())
        case "show" if rest:
            rows = await desk.directory.waiting.some(rest)
            behind = await desk.directory.waiting.behind(rows)
            return Answer("\n".join(_queue_shown(row, behind) for row in rows), [_queue_data(row, behind) for row in rows])
        case "hold" if rest:
            count = await desk.directory.waiting.hold(rest)
            return Answer(f"{count} held\n", {"held": count})
        case "release" if rest:
            count = await desk.directory.waiting.release(rest)
            return Answer(f"{count} released\n", {"released": count})
        case "retry":
            count = await desk.directory.waiting.retry(rest)
            return Answer(f"{count} to be tried now\n", {"retried": count})
        case "recall" if rest:
            count, gone = await desk.directory.waiting.recall(rest)
            told = [f"{count} recalled", *(f"{one} had gone already" for one in gone)]
            return Answer(lines(told), {"recalled": count, "gone": gone}, denied=bool(gone))
        case "drop" if rest:
            count = await desk.directory.waiting.drop(rest)
            return Answer(f"{count} dropped\n", {"dropped": count})
        case _:
            raise Usage("list, summary, show ID ..., hold ID ..., release ID ..., retry [ID ...], recall ID ... or drop ID ...")


async def _queue_list(desk: Desk, arguments: Sequence[str]) -> Answer:
    """Bounded: a queue may be longer than anybody reads, and who asks for all of it has the server hold all of it."""
    read = options(arguments, valued=("--to", "--limit"))
    limit = read.values.get("--limit", f"{LISTED}")
    if read.rest or not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= MOST_LISTED):
        raise Usage("list [--to DOMAIN] [--limit N]")
    destination = read.values.get("--to")
    rows, more = await desk.directory.waiting.listed(int(limit), None if destination is None else destination.lower())
    behind = await desk.directory.waiting.behind(rows)
    rest = f"and more; --limit N shows up to {MOST_LISTED:,}, summary how much waits for whom\n" if more else ""
    return Answer(_queue_table(rows, behind) + rest, [_queue_data(row, behind) for row in rows])


def _queue_summary(heaps: Sequence[Heap]) -> Answer:
    if not heaps:
        return Answer("the queue is empty\n", [])
    told: list[Sequence[object]] = [("Waiting", "Octets", "Held", "Tried", "Oldest", "Next", "For")]
    data = []
    for one in heaps:
        following = moment(one.next_due) if one.next_due else "-"
        told.append((one.rows, one.octets, one.held, one.leased, moment(one.oldest), following, one.destination or "accounts here"))
        data.append(
            {
                "destination": one.destination,
                "waiting": one.rows,
                "octets": one.octets,
                "held": one.held,
                "beingTried": one.leased,
                "oldest": stamp(one.oldest),
                "nextDue": stamp(one.next_due or None),
            }
        )
    return Answer(table((-7, -12, -7, -7, 25, 25, 0), told), data)


def _queue_state(row: QueueRow) -> str:
    if row.state is QueueState.LEASED:
        return "being tried, then held: operator" if row.stopped else "being tried"
    if row.stopped:
        return "held: operator"
    if is_held_post(row.parameters):
        return "held: list owners"
    if row.frozen:
        return "held: frozen"
    if is_waiting(row) and row.state is QueueState.DUE:
        return f"waits until {moment(row.due)}"
    return "held: maintenance" if row.state is QueueState.HELD else f"due {moment(row.due)}"


Behind = Mapping[QueueId, Sequence[str]]


def _queue_shown(row: QueueRow, behind: Behind) -> str:
    told = [("id", row.id), ("message", row.accepted), ("state", _queue_state(row)), ("recipient", row.recipient)]
    told += [("sender", row.reverse_path or "<>"), ("size", row.size), ("since", moment(row.created))]
    told += [
        ("bounces", "when it is released, at the earliest" if row.stopped or row.frozen else moment(row.expires)),
        ("attempts", row.attempts),
    ]
    if is_waiting(row):
        told.append(("recall", f"procura queue recall {row.accepted}"))
    told += [("frozen", one) for one in behind.get(row.id, ())]
    if row.last_attempt is not None:
        told.append(("last attempt", moment(row.last_attempt)))
    if row.last_reply:
        told.append(("last reply", row.last_reply.strip()))
    if row.warned:
        told.append(("warned", "the sender knows that it is late"))
    return lines(f"{name}: {value}" for name, value in told)


def _queue_table(rows: Sequence[QueueRow], behind: Behind) -> str:
    if not rows:
        return "the queue is empty\n"
    head = ("Id", "Message", "State", "Size", "Since", "Sender", "Recipient")
    told: list[Sequence[object]] = [head]
    for row in rows:
        told.append((row.id, row.accepted, _queue_state(row), row.size, moment(row.created), row.reverse_path or "<>", row.recipient))
        told += [("", "", "", "", "", "", f"frozen: {one}") for one in behind.get(row.id, ())]
        if row.last_reply:
            told.append(("", "", f"tried {row.attempts}", "", "", "", row.last_reply.strip()))
    return table((-6, 16, 37, -10, 25, 24, 0), told)


def _queue_data(row: QueueRow, behind: Behind) -> dict[str, Any]:
    return {
        "id": row.id,
        "message": row.accepted,
        "kind": str(row.kind),
        "state": str(row.state),
        "heldBy": _held_by(row),
        "frozen": [*behind.get(row.id, ())],
        "recallable": is_waiting(row),
        "due": stamp(row.due),
        "recipient": row.recipient,
        "sender": row.reverse_path,
        "size": row.size,
        "created": stamp(row.created),
        "expires": stamp(row.expires),
        "attempts": row.attempts,
        "lastAttempt": stamp(row.last_attempt),
        "lastReply": row.last_reply,
        "destination": row.destination,
        "warned": row.warned,
    }


def _held_by(row: QueueRow) -> str | None:
    if row.stopped:
        return "operator"
    if is_held_post(row.parameters):
        return "list owners"
    return "freeze" if row.frozen else "maintenance" if row.state is QueueState.HELD else None


def _freezing(side: Side) -> Run:
    async def run(desk: Desk, arguments: Sequence[str]) -> Answer:
        read = options(arguments, valued=("--note",))
        word, *rest = read.rest
        freezes = desk.directory.freezes
        if "--note" in read.values and word.lower() != "freeze":
            raise Usage("a note is for freezing")
        match word.lower():
            case "freeze" if len(rest) == 1:
                count = await freezes.freeze(side, rest[0], read.values.get("--note", ""))
                return Answer(f"{rest[0]} is frozen as {side}; of what waits, {count} held\n", {"held": count})
            case "unfreeze" if len(rest) == 1:
                count = await freezes.thaw(side, rest[0])
                return Answer(f"{rest[0]} is not frozen as {side} any more; of what was held, {count} go on\n", {"released": count})
            case "list" if not rest:
                found = await freezes.all_of_them(side)
                told = [f"{one.name} since {moment(one.frozen.at)}" + (f" ({one.frozen.note})" if one.frozen.note else "") for one in found]
                data = [{"name": one.name, "since": stamp(one.frozen.at), "note": one.frozen.note} for one in found]
                return Answer(lines(told) if told else "nobody is frozen\n", data)
            case _:
                raise Usage("freeze ADDRESS [--note TEXT], unfreeze ADDRESS or list")

    return run


COMMANDS: Final[Mapping[str, Verb]] = {
    verb.name: verb
    for verb in (
        *EXPLAIN,
        ACCOUNT,
        Verb("unlock", "", "ACCOUNT", "ends a lockout and forgets the failed logins", 1, 1, _unlock),
        Verb(
            "queue",
            "",
            "[list [--to DOMAIN] [--limit N] | summary | show ID ... | hold ID ... | release ID ... | retry [ID ...] | recall ID ... | "
            "drop ID ...]",
            "mail that waits: see it, keep it from being tried, try it now, put what waits to be sent back among the drafts, "
            "take it out without a bounce; ID: of a row or of a message",
            0,
            None,
            _queue,
        ),
        LIST,
        Verb(
            "principal",
            "",
            "freeze ADDRESS [--note TEXT] | unfreeze ADDRESS | list",
            "stop everybody else from sending in the name of an account or list, at once and for what waits; and let them go on",
            1,
            None,
            _freezing(Side.PRINCIPAL),
        ),
        Verb(
            "actor",
            "",
            "freeze ADDRESS [--note TEXT] | unfreeze ADDRESS | list",
            "stop an account from sending in any name but its own, at once and for what waits; and let it go on",
            1,
            None,
            _freezing(Side.ACTOR),
        ),
        DKIM,
        *KEEPING,
        SHARE,
        GRANTS,
        POLICY,
        ROLES,
        *SESSION_VERBS,
        APP_PASSWORD,
        TOTP,
        PASSWORD,
        AUDIT,
        BREAK_GLASS,
        CLOCK,
    )
}
"""By name."""
