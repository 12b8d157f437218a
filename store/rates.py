"""What a limited sender has sent within the time that counts: an exact sliding window, kept in the transaction that accepts."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from policy.rates import LONGEST, Rate, RateLimit
from store.errors import LimitReached
from store.port import Deed, Tx

_SECOND = 1_000_000


class Counts(StrEnum):
    """What a rate counts."""

    MESSAGES = "messages"
    RECIPIENTS = "recipients"


@dataclass(frozen=True, slots=True)
class Reached:
    """Why no more can be sent now. `again`: microseconds since 1970, when it can; None: never so much at once."""

    limit: RateLimit
    counts: Counts
    rate: Rate
    used: int
    again: int | None


class RateReached(LimitReached):
    """A limit of what may be sent; nothing was done."""

    def __init__(self, reached: Reached) -> None:
        super().__init__(f"{reached.rate} {reached.counts}")
        self.reached = reached


@dataclass(frozen=True, slots=True)
class ForgetSent(Deed[int]):
    """What no limit can count any more is forgotten, and what a clock dated ahead that was set back is dated now; returns how many rows
    are forgotten."""


def used(tx: Tx, limit: RateLimit, counts: Counts) -> int:
    """Messages or recipients within the limit's time up to now: three steps of an index, however many they are."""
    rate = limit.messages if counts is Counts.MESSAGES else limit.recipients
    last = _last(tx, limit)
    if last is None:
        return 0
    number, _, total = last
    first = tx.one("rates.first_within", actor=limit.actor, principal=limit.principal, since=tx.now - rate.seconds * _SECOND)
    if first is None:
        return 0
    first_number, first_total, first_own = first
    return int(number - first_number + 1 if counts is Counts.MESSAGES else total - first_total + first_own)


def reached(tx: Tx, limit: RateLimit, messages: int = 1, recipients: int = 1) -> Reached | None:
    """Which rate keeps this sender from so many more; None: none does."""
    for counts, rate, asked in ((Counts.MESSAGES, limit.messages, messages), (Counts.RECIPIENTS, limit.recipients, recipients)):
        if rate:
            there = used(tx, limit, counts)
            if not rate.fits(there, asked):
                return Reached(limit, counts, rate, there, _again(tx, limit, counts, rate, asked))
    return None


def charge(tx: Tx, counting: tuple[RateLimit, ...], recipients: int) -> None:
    """For the deed that accepts a message: counts it for every limit, or raises RateReached."""
    for limit in counting:
        why = reached(tx, limit, 1, recipients)
        if why is not None:
            raise RateReached(why)
    for limit in counting:
        who = {"actor": limit.actor, "principal": limit.principal}
        number, at, total = _last(tx, limit) or (0, 0, 0)
        if at > tx.now:
            # The clock was set back: what it had dated ahead counts from now on, or it would count for too long.
            tx.later("rates.date_back", now=tx.now, **who)
        tx.later("rates.insert", number=number + 1, at=tx.now, total=total + recipients, own=recipients, **who)
        tx.later("rates.forget_before", before=tx.now - max(limit.messages.seconds, limit.recipients.seconds) * _SECOND, **who)


def _last(tx: Tx, limit: RateLimit) -> Any | None:
    """(number, at, total)."""
    return tx.one("rates.last", actor=limit.actor, principal=limit.principal)


def _again(tx: Tx, limit: RateLimit, counts: Counts, rate: Rate, asked: int) -> int | None:
    """When so much has left the window that what is asked fits: the row that has to, found by halving since rows are numbered."""
    last = _last(tx, limit)
    if asked > rate.count or last is None:
        return None
    number, _, total = last
    if counts is Counts.MESSAGES:
        leaving = number + asked - rate.count
    else:
        since = tx.now - rate.seconds * _SECOND
        first = tx.one("rates.first_within", actor=limit.actor, principal=limit.principal, since=since)
        low, high = (number if first is None else first[0]), number
        while low < high:
            middle = (low + high) // 2
            row = tx.one("rates.numbered", actor=limit.actor, principal=limit.principal, number=middle)
            if row is not None and row[1] >= total + asked - rate.count:
                high = middle
            else:
                low = middle + 1
        leaving = low
    row = tx.one("rates.numbered", actor=limit.actor, principal=limit.principal, number=leaving)
    return None if row is None else int(row[0]) + rate.seconds * _SECOND


def _forget(tx: Tx, deed: ForgetSent) -> int:
    # Who has reached a limit charges nothing any more, and so would wait until the clock is again where it was.
    tx.run("rates.date_all_back", now=tx.now)
    return tx.run("rates.forget_all_before", before=tx.now - LONGEST * _SECOND)


DEEDS = ((ForgetSent, _forget),)
