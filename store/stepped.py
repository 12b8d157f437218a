"""The clock was set while the server ran: what waits is dated anew, so that it waits as long as it would have waited."""

from dataclasses import dataclass
from typing import Final

from store.port import Deed, QueueChanged, Tx

NEAR: Final = 26 * 3600 * 1_000_000
"""Microseconds: what was due within this time was put off by a wait, and is to wait no longer and no shorter; what is due later has a
moment that somebody chose (RFC 4865), or was dated by a clock that ran ahead before."""


@dataclass(frozen=True, slots=True)
class ClockStepped(Deed[int]):
    """By so many microseconds, from `before` on the old clock; returns how many rows of the queue waited. Moved with the clock: when mail
    of the queue is due, how old it is and when it has had its time; failed logins and the lockouts they led to; when deleted accounts go
    for good. What the old clock dated ahead of the new one (rates, digests) is dated now. Moments that people chose, as the ends of
    grants, stay."""

    by: int
    before: int


@dataclass(frozen=True, slots=True)
class DatedAhead(Deed[int]):
    """An operator says that the clock is right, which says `moment`: what is dated later was dated by one that ran ahead, maybe while
    nobody looked. Mail on its way is due at once where it was put off, for nobody can tell by which clock; what came later than now came
    now, and has its time from now on. Returns how many rows of the queue were put off. Only where no step is to be told any more
    (ClockStepped), or its rows would be moved twice."""

    moment: int


def _stepped(tx: Tx, deed: ClockStepped) -> int:
    # What waits for a release says so in its parameters too, as JSON: no text in there has a quotation mark that is not escaped.
    tx.run("stepped.moments", by=deed.by, near=deed.before + NEAR)
    count = tx.run("stepped.due", by=deed.by, near=deed.before + NEAR)
    tx.run("stepped.ages", by=deed.by, before=deed.before)
    tx.run("stepped.failures", by=deed.by, before=deed.before)
    # A lockout that has no end is dated far beyond.
    tx.run("stepped.lockouts", by=deed.by, before=deed.before, far=1 << 61)
    tx.run("stepped.deleted", by=deed.by)
    tx.run("stepped.digests", now=tx.now)
    tx.run("rates.date_all_back", now=tx.now)
    tx.wake(QueueChanged())
    return count


def _ahead(tx: Tx, deed: DatedAhead) -> int:
    # What was to wait for a moment waits for as long as it was to; a moment that is far was chosen, and stays.
    tx.run("stepped.ahead_moments", moment=deed.moment, near=NEAR)
    count = tx.run("stepped.ahead_due", moment=deed.moment)
    tx.run("stepped.ahead_ages", moment=deed.moment)
    tx.run("stepped.digests", now=deed.moment)
    tx.run("rates.date_all_back", now=deed.moment)
    tx.wake(QueueChanged(at_once=True))
    return count


DEEDS = ((ClockStepped, _stepped), (DatedAhead, _ahead))
