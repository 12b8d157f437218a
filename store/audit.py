"""The record of who acted as whom, each entry chained to the one before by its hash (delegation.md section 11)."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from store.errors import Conflict
from store.port import Deed, Tx

PAGE: Final = 1000
GENESIS: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One decision or change.

    `event` in few words ("send-as", "open folder", "grant changed"); `right` the right that was asked; `because` the grant, the
    rule or what was missing (policy.decision.Decision.because). `person` is who typed the password where `actor` came by loginAs.
    Addresses stand beside the ids since the record outlives the objects. `trace`: how the decision came about (gateway/trace.py).
    """

    decision: str
    event: str
    allowed: bool
    actor: int | None = None
    actor_address: str = ""
    person: int | None = None
    person_address: str = ""
    principal: int | None = None
    principal_address: str = ""
    right: str = ""
    because: str = ""
    protocol: str = ""
    source: str = ""
    message_id: str = ""
    queue_id: str = ""
    detail: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry as it stands in the chain. `at`: microseconds since 1970 UTC."""

    number: int
    at: int
    entry: AuditEntry
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain. Kept elsewhere, it proves that nothing up to it was changed, taken out or reordered."""

    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head under an Ed25519 signature. `key`: which public key; `at`: when it was signed, microseconds since 1970 UTC."""

    head: Head
    key: str
    at: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One with which heads were signed. `public`: the 32 octets of RFC 8032; `created` in microseconds."""

    id: str
    public: bytes
    created: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted. Times in microseconds, `until` excluded; `right`: a part of its name, in any case."""

    owner: int | None = None
    actor: int | None = None
    since: int | None = None
    until: int | None = None
    right: str | None = None
    refused: bool = False
    event: str | None = None
    after: int = 0
    before: int | None = None
    limit: int = 200


@dataclass(frozen=True, slots=True)
class Broken:
    """The first record at which the chain does not hold."""

    number: int
    what: str


@dataclass(frozen=True, slots=True)
class RecordAudit(Deed[Head]):
    """Appends what no other deed carries; returns the chain's new end."""

    entries: tuple[AuditEntry, ...]


@dataclass(frozen=True, slots=True)
class KeepHead(Deed[None]):
    """Keeps a signed head and the key that verifies it. Raises Conflict when no record of the chain has this hash."""

    signed: SignedHead
    key: PublicKey


def record(tx: Tx, entry: AuditEntry) -> Head:
    """Appends within the deed at hand: undone with it, durable with it."""
    tx.in_turn()
    before = head(tx)
    number = before.number + 1
    values = {name: getattr(entry, name) for name in _FIELDS}
    values["allowed"] = int(entry.allowed)
    for name, value in values.items():
        if isinstance(value, str) and "\0" in value:
            values[name] = value.replace("\0", "\ufffd")  # what is hashed is what every engine can keep
    chained = _hash(before.hash, number, tx.now, [values[name] for name in _FIELDS])
    tx.later("audit.insert", number=number, at=tx.now, hash=chained, **values)
    return Head(number, chained)


def head(tx: Tx) -> Head:
    """Number 0 and 32 zero octets where nothing is on record."""
    found = tx.one("audit.head")
    return Head(0, GENESIS) if found is None else Head(*found)


def verify(tx: Tx, expected: Sequence[Head] = (), after: Head | None = None) -> Broken | None:
    """Walks the chain (from `after`, which is trusted, else from the start) and compares it with heads that were kept.

    None: it holds. Linear; ask by `work`. Two kept heads of one number that differ are told like one that does not hold.
    """
    last = Head(0, GENESIS) if after is None else after
    kept: dict[int, set[bytes]] = {}
    for one in expected:
        if one.number > last.number:
            kept.setdefault(one.number, set()).add(one.hash)
    while True:
        rows = tx.all("audit.octets", after=last.number, limit=PAGE)
        for number, at, *values, stored in rows:
            if number != last.number + 1:
                return Broken(last.number + 1, "missing")
            read = _values(values)
            if read is None or not isinstance(at, int) or _hash(last.hash, number, at, read) != stored:
                return Broken(number, "changed")
            if kept.pop(number, {stored}) != {stored}:
                return Broken(number, "not what the kept head says")
            last = Head(number, stored)
        if len(rows) < PAGE:
            break
    return Broken(min(kept), "missing: a kept head is beyond the end") if kept else None


def chained(before: bytes, number: int, at: int, entry: AuditEntry) -> bytes:
    """The hash of a record behind the one with hash `before`: for who verifies an export without a database."""
    return _hash(before, number, at, [int(entry.allowed) if name == "allowed" else getattr(entry, name) for name in _FIELDS])


def page(tx: Tx, after: int, limit: int = PAGE) -> Sequence[AuditRow]:
    """In the order of the chain. What is not UTF-8 any more is told with replacement characters. Ask by `work`."""
    return [
        _row([one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in found[:-1]] + [found[-1]])
        for found in tx.all("audit.octets", after=after, limit=limit)
    ]


def matching(tx: Tx, wanted: Filter) -> Sequence[AuditRow]:
    """Newest first: what was done, or refused, with an owner's account or list, by an actor, or at all. Ask by `work`."""
    statement = "audit.of_owner" if wanted.owner is not None else "audit.of_actor" if wanted.actor is not None else "audit.newest"
    return _matching(tx, statement, wanted)


def about(tx: Tx, wanted: Filter) -> Sequence[AuditRow]:
    """What an owner may read (delegation.md section 11): what is about `wanted.owner`, and what others did logged in as that account."""
    return _matching(tx, "audit.about", wanted)


def by_decision(tx: Tx, decision: str, limit: int = 200) -> Sequence[AuditRow]:
    """The records under a decision id such as "d-7f3a91"."""
    return [_row(found) for found in tx.all("audit.by_decision", decision=decision, limit=limit)]


def of_owner(tx: Tx, owner: int, before: int | None = None, limit: int = 200) -> Sequence[AuditRow]:
    """What others did (or were refused) with this account or list, newest first."""
    return matching(tx, Filter(owner=owner, before=before, limit=limit))


def of_actor(tx: Tx, actor: int, before: int | None = None, limit: int = 200) -> Sequence[AuditRow]:
    """What this account did (or was refused), newest first."""
    return matching(tx, Filter(actor=actor, before=before, limit=limit))


def newest(tx: Tx, before: int | None = None, limit: int = 200) -> Sequence[AuditRow]:
    """All, newest first."""
    return matching(tx, Filter(before=before, limit=limit))


def heads(tx: Tx, after: int = 0, limit: int = PAGE) -> Sequence[SignedHead]:
    """Signed ones, in the order of the chain."""
    return [_signed(row) for row in tx.all("audit.heads", after=after, limit=limit)]


def hashes(tx: Tx, numbers: Sequence[int]) -> Mapping[int, bytes]:
    """Of these records, as far as they are there. Ask by `work`."""
    found = {}
    for number in numbers:
        row = tx.one("audit.hash_of", number=number)
        if row is not None:
            found[number] = row[0]
    return found


def last_head(tx: Tx) -> SignedHead | None:
    """The newest signed one."""
    row = tx.one("audit.last_head")
    return None if row is None else _signed(row)


def keys(tx: Tx) -> Sequence[PublicKey]:
    """All with which heads were ever signed here, the oldest first."""
    return [PublicKey(*row) for row in tx.all("audit.keys")]


_FIELDS: Final = tuple(one.name for one in fields(AuditEntry))


def _matching(tx: Tx, statement: str, wanted: Filter) -> Sequence[AuditRow]:
    rows = tx.all(
        statement,
        owner=wanted.owner,
        actor=wanted.actor,
        since=wanted.since,
        until=wanted.until,
        right=None if wanted.right is None else wanted.right.lower(),
        refused=int(wanted.refused),
        event=wanted.event,
        after=wanted.after,
        before=_or_end(wanted.before),
        limit=wanted.limit,
    )
    return [_row(row) for row in rows]


def _signed(row: Sequence[Any]) -> SignedHead:
    number, key, digest, at, signature = row
    return SignedHead(Head(number, digest), key, at, signature)


def _values(octets: Sequence[Any]) -> list[Any] | None:
    """As they were hashed; None for what never was."""
    values: list[Any] = []
    for one in octets:
        if isinstance(one, bytes):
            try:
                values.append(one.decode())
            except UnicodeDecodeError:
                return None
        elif one is None or isinstance(one, int):
            values.append(one)
        else:
            return None
    return values


def _or_end(before: int | None) -> int:
    return (1 << 62) if before is None else before


def _hash(before: bytes, number: int, at: int, values: Sequence[Any]) -> bytes:
    # Records from before traces were kept have none, and none in their hash.
    said = values if values[-1] else values[:-1]
    content = json.dumps([number, at, *said], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(before + content.encode("ascii")).digest()


def _row(found: Sequence[Any]) -> AuditRow:
    number, at, decision, event, allowed, *rest, stored = found
    return AuditRow(number, at, AuditEntry(decision, event, bool(allowed), *rest), stored)


def _record_all(tx: Tx, deed: RecordAudit) -> Head:
    last = head(tx)
    for entry in deed.entries:
        last = record(tx, entry)
    return last


def _keep_head(tx: Tx, deed: KeepHead) -> None:
    signed, key = deed.signed, deed.key
    there = tx.one("audit.hash_of", number=signed.head.number)
    if there is None or there[0] != signed.head.hash:
        raise Conflict(f"record {signed.head.number} is not what was signed")
    tx.run("audit.keep_key", id=key.id, public=key.public, created=key.created)
    tx.run(
        "audit.keep_head",
        number=signed.head.number,
        key=signed.key,
        hash=signed.head.hash,
        at=signed.at,
        signature=signed.signature,
    )


DEEDS = ((RecordAudit, _record_all), (KeepHead, _keep_head))
