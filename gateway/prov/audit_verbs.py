"""What `procura audit` tells of the record of decisions."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from gateway.exported import Proof
from gateway.prov.answer import Answer, Usage, lines, moment, stamp
from gateway.prov.arguments import moment as read_moment
from gateway.prov.arguments import options
from gateway.prov.verb import Desk, Verb
from gateway.seals import spell_head, spell_key
from store.audit import AuditRow

_FILTERS: Final = ("--owner", "--actor", "--since", "--until", "--decision", "--right", "--limit")


async def _audit(desk: Desk, arguments: Sequence[str]) -> Answer:
    word, *rest = arguments
    match word.lower():
        case "show" | "list":
            return await _show(desk, rest)
        case "verify":
            read = options(rest, valued=("--key",))
            return told_proof(
                await desk.directory.trail.verify(read.rest, read.values["--key"].split(",") if "--key" in read.values else [])
            )
        case "head" if not rest:
            await desk.directory.trail.allow()
            signed = await desk.directory.trail.seal()
            if signed is None:
                return Answer("nothing is on record yet\n", None)
            spelled = spell_head(signed)
            return Answer(f"{spelled}\n", {"head": spelled, "number": signed.head.number, "at": stamp(signed.at), "key": signed.key})
        case "key" if not rest:
            key = await desk.directory.trail.key()
            return Answer(f"{spell_key(key.public)}\n", {"id": key.id, "public": spell_key(key.public)})
        case "keys" if not rest:
            known = await desk.directory.trail.keys()
            told = lines(f"{spell_key(one.public)} {one.id} since {moment(one.created)}" for one in known)
            return Answer(told, [{"id": one.id, "public": spell_key(one.public), "since": stamp(one.created)} for one in known])
        case "change-key" if not rest:
            key = await desk.directory.trail.change_key()
            return Answer(f"{spell_key(key.public)}\n", {"id": key.id, "public": spell_key(key.public)})
        case "export" if not rest:
            return Answer(pieces=desk.directory.trail.export())
        case _:
            raise Usage("show, verify, head, key, keys, change-key or export")


def told_proof(proof: Proof) -> Answer:
    """What `verify` says, of the store or of a file."""
    head, broken, sealed = spell_head(proof.head), proof.broken, proof.sealed
    signed = None if sealed is None else {"record": sealed.head.number, "at": stamp(sealed.at), "key": sealed.key}
    data: dict[str, Any] = {"whole": broken is None, "records": proof.head.number, "head": head, "signed": signed, "keys": [*proof.keys]}
    until = "no head of it is signed"
    if sealed is not None:
        until = f"signed up to record {sealed.head.number} with key {sealed.key} on {moment(sealed.at)}"
    if proof.beyond is not None:
        one = proof.beyond
        until += f"\nrecord {one.head.number} is signed with key {one.key}, which was not given (another server's? procura audit keys)"
        data["beyond"] = {"record": one.head.number, "at": stamp(one.at), "key": one.key}
    if broken is not None:
        text = f"BROKEN at record {broken.number}: {broken.what}\n{until}\n"
        return Answer(text, {**data, "record": broken.number, "what": broken.what}, denied=True)
    return Answer(f"OK: {proof.head.number} records\nhead {head}\n{until}\n", data)


async def _show(desk: Desk, arguments: Sequence[str]) -> Answer:
    read = options(arguments, ("--refused",), _FILTERS)
    values = read.values
    limit = values.get("--limit", "50")
    if read.rest or not (limit.isascii() and limit.isdigit() and 0 < int(limit[:9]) <= 100_000):
        raise Usage("show takes options only, and --limit a number up to 100000")
    now = await desk.directory.now()
    rows = await desk.directory.trail.find(
        int(limit),
        owner=values.get("--owner"),
        actor=values.get("--actor"),
        decision=values.get("--decision"),
        since=read_moment(values["--since"], now) if "--since" in values else None,
        until=read_moment(values["--until"], now) if "--until" in values else None,
        right=values.get("--right"),
        refused="--refused" in read.flags,
    )
    return Answer(told_rows(rows), [row_data(row) for row in rows])


def told_rows(rows: Iterable[AuditRow]) -> str:
    """One line each."""
    return lines(told_row(row) for row in rows)


def told_row(row: AuditRow) -> str:
    """A record in one line."""
    entry = row.entry
    verdict = "allowed" if entry.allowed else "REFUSED"
    actor = f"{entry.actor_address or '-'}{f' (by {entry.person_address})' if entry.person_address else ''}"
    because = f"because {entry.because}" if entry.because else ""
    rest = (entry.right, entry.detail, because, entry.protocol, entry.source, entry.decision)
    line = f"{row.number} {moment(row.at)} {verdict} {entry.event}: {actor} on {entry.principal_address or '-'}"
    # What clients sent stands in it: one record is one line, whatever they wrote.
    return "".join(one if one.isprintable() else " " for one in line + "".join(f"; {one}" for one in rest if one))


def row_data(row: AuditRow) -> dict[str, Any]:
    """A record for programs."""
    entry = row.entry
    return {
        "number": row.number,
        "at": stamp(row.at),
        "hash": row.hash.hex(),
        **{name: getattr(entry, name) for name in entry.__slots__},
    }


VERB: Final = Verb(
    "audit",
    "",
    "show [--owner A] [--actor A] [--since T] [--until T] [--right R] [--refused] [--decision ID] [--limit N]"
    " | verify [HEAD ...] [--key PUBLIC,...] | verify --file EXPORT [HEAD ...] [--key PUBLIC,...] | head | key | keys | change-key"
    " | export",
    "what the record of decisions says, and is it whole (up to heads that were signed, or kept elsewhere)",
    1,
    None,
    _audit,
)
