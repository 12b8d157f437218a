"""What was refused at a door and was no delegated act: the id that the peer was told, what it was about, and why it was so."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from store.port import Deed, Tx

KEPT: Final = 20_000
"""Rows; the oldest give way. Strangers can fill it and lose the ids of others, never the record nor the disk."""
KEPT_FOR: Final = 30 * 86_400 * 1_000_000
"""Microseconds since the last of a row: whence strangers came is nobody's to keep for longer."""


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """So many refusals that were alike, from the first to the last (microseconds since 1970 UTC).

    `actor` None: nobody was logged in. `principal`: the account or list that it was about, where the door knew; `about`: the address or
    folder as the peer named it, "" where it may be a password. `reason`: of policy.reasons, `later`: it was a "not now"; `detail` as
    the verdict had it. `because` is for administrators alone: it tells apart what the peer is told in the same words.
    """

    decision: str
    first: int
    last: int
    times: int
    protocol: str
    source: str
    actor: int | None
    actor_address: str
    principal: int | None
    about: str
    reason: str
    later: bool
    detail: str
    because: str


@dataclass(frozen=True, slots=True)
class RecordRefusals(Deed[None]):
    """Keeps these; of a decision that is there already, the latest, and how many there were together. Touches no epoch."""

    rows: tuple[RefusalRow, ...]


@dataclass(frozen=True, slots=True)
class ForgetRefusals(Deed[int]):
    """A thousand at most of those whose last is older than KEPT_FOR; returns how many that were."""


def by_decision(tx: Tx, decision: str) -> RefusalRow | None:
    """None: nothing is known under this id (any more)."""
    found = tx.one("refusals.by_decision", decision=decision)
    return None if found is None else _row(found)


def _row(found: Sequence[Any]) -> RefusalRow:
    decision, first, last, times, protocol, source, actor, address, principal, about, reason, later, detail, because = found
    told = (reason, bool(later), detail, because)
    return RefusalRow(decision, first, last, times, protocol, source, actor, address, principal, about, *told)


def _record(tx: Tx, deed: RecordRefusals) -> None:
    for row in deed.rows:
        tx.run(
            "refusals.record",
            decision=row.decision,
            first=row.first,
            last=row.last,
            times=row.times,
            protocol=row.protocol,
            source=row.source,
            actor=row.actor,
            actor_address=row.actor_address,
            principal=row.principal,
            about=row.about,
            reason=row.reason,
            later=int(row.later),
            detail=row.detail,
            because=row.because,
        )
    tx.run("refusals.trim", keep=KEPT)


def _forget(tx: Tx, deed: ForgetRefusals) -> int:
    return tx.run("refusals.forget", before=tx.now - KEPT_FOR)


DEEDS = ((RecordRefusals, _record), (ForgetRefusals, _forget))
