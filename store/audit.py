"""The record of who acted as whom, each entry chained to the one before by its hash (delegation.md section 11)."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from store.port import Deed, Tx

PAGE: Final = 1000
GENESIS: Final = bytes(32)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One decision or change.

    `event` in few words ("send-as", "open folder", "grant changed"); `right` the right that was asked; `because` the grant, the
    rule or what was missing (policy.decision.Decision.because). `person` is who typed the password where `actor` came by loginAs.
    Addresses stand beside the ids since the record outlives the objects.
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
class Broken:
    """The first record at which the chain does not hold."""

    number: int
    what: str


@dataclass(frozen=True, slots=True)
class RecordAudit(Deed[Head]):
    """Appends what no other deed carries; returns the chain's new end."""

    entries: tuple[AuditEntry, ...]


def record(tx: Tx, entry: AuditEntry) -> Head:
    """Appends within the deed at hand: undone with it, durable with it."""
    before = head(tx)
    number = before.number + 1
    values = {name: getattr(entry, name) for name in _FIELDS}
    values["allowed"] = int(entry.allowed)
    chained = _hash(before.hash, number, tx.now, [values[name] for name in _FIELDS])
    tx.run("audit.insert", number=number, at=tx.now, hash=chained, **values)
    return Head(number, chained)


def head(tx: Tx) -> Head:
    """Number 0 and 32 zero octets where nothing is on record."""
    found = tx.one("audit.head")
    return Head(0, GENESIS) if found is None else Head(*found)


def verify(tx: Tx, expected: Sequence[Head] = (), after: Head | None = None) -> Broken | None:
    """Walks the chain (from `after`, which is trusted, else from the start) and compares it with heads that were kept.

    None: it holds. Linear; ask by `work`.
    """
    last = Head(0, GENESIS) if after is None else after
    kept = {one.number: one.hash for one in expected if one.number > last.number}
    while True:
        rows = tx.all("audit.page", after=last.number, limit=PAGE)
        for number, at, *values, stored in rows:
            if number != last.number + 1:
                return Broken(last.number + 1, "missing")
            if _hash(last.hash, number, at, values) != stored:
                return Broken(number, "changed")
            if kept.pop(number, stored) != stored:
                return Broken(number, "not what the kept head says")
            last = Head(number, stored)
        if len(rows) < PAGE:
            break
    return Broken(min(kept), "missing: a kept head is beyond the end") if kept else None


def of_owner(tx: Tx, owner: int, before: int | None = None, limit: int = 200) -> Sequence[AuditRow]:
    """What others did (or were refused) with this account or list, newest first."""
    return [_row(found) for found in tx.all("audit.of_owner", owner=owner, before=_or_end(before), limit=limit)]


def of_actor(tx: Tx, actor: int, before: int | None = None, limit: int = 200) -> Sequence[AuditRow]:
    """What this account did (or was refused), newest first."""
    return [_row(found) for found in tx.all("audit.of_actor", actor=actor, before=_or_end(before), limit=limit)]


def by_decision(tx: Tx, decision: str) -> Sequence[AuditRow]:
    """The records under a decision id such as "d-7f3a91"."""
    return [_row(found) for found in tx.all("audit.by_decision", decision=decision)]


def newest(tx: Tx, before: int | None = None, limit: int = 200) -> Sequence[AuditRow]:
    """All, newest first."""
    return [_row(found) for found in tx.all("audit.newest", before=_or_end(before), limit=limit)]


_FIELDS: Final = tuple(one.name for one in fields(AuditEntry))


def _or_end(before: int | None) -> int:
    return (1 << 62) if before is None else before


def _hash(before: bytes, number: int, at: int, values: Sequence[Any]) -> bytes:
    content = json.dumps([number, at, *values], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(before + content.encode("ascii")).digest()


def _row(found: Sequence[Any]) -> AuditRow:
    number, at, decision, event, allowed, *rest, stored = found
    return AuditRow(number, at, AuditEntry(decision, event, bool(allowed), *rest), stored)


def _record_all(tx: Tx, deed: RecordAudit) -> Head:
    last = head(tx)
    for entry in deed.entries:
        last = record(tx, entry)
    return last


DEEDS = ((RecordAudit, _record_all),)
