"""How much room is there for an account, and in its domain; when is somebody to be warned that it is nearly used up?"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Usage:
    """Octets used, and those there are; `limit` 0: no limit."""

    used: int
    limit: int

    @property
    def percent(self) -> int:
        """How much of the room is used, rounded down; 0 where there is no limit."""
        return self.used * 100 // self.limit if self.limit > 0 else 0


def is_warning_due(usage: Usage, percent: int, interval: int, warned: int | None, now: int) -> bool:
    """Carbonio's zimbraQuotaWarnPercent and zimbraQuotaWarnInterval: `percent` of the room is used (0: nobody is warned), and the last
    warning is `interval` seconds ago. `warned`: when it was, in microseconds as `now` is; None: there was none.

    A clock that was set back does not silence warnings: one from the future counts for nothing.
    """
    if not percent or usage.limit <= 0 or usage.used * 100 < usage.limit * percent:
        return False
    return warned is None or not 0 <= now - warned < interval * 1_000_000


class AggregatePolicy(StrEnum):
    """What ends in a domain that has used up its aggregate quota (zimbraDomainAggregateQuotaPolicy)."""

    ALLOW_SEND_RECEIVE = "allowsendreceive"
    BLOCK_SEND = "blocksend"
    BLOCK_SEND_RECEIVE = "blocksendreceive"


@dataclass(frozen=True, slots=True)
class DomainRoom:
    """Octets for all accounts of a domain together, and those in use; `limit` 0: no limit, and nothing is counted."""

    limit: int = 0
    used: int = 0
    policy: AggregatePolicy = AggregatePolicy.ALLOW_SEND_RECEIVE

    @property
    def lets_send(self) -> bool:
        """May its accounts send?"""
        return self.policy is AggregatePolicy.ALLOW_SEND_RECEIVE or not 0 < self.limit <= self.used

    def takes(self, octets: int) -> bool:
        """May its mailboxes grow by so many octets?"""
        return self.policy is not AggregatePolicy.BLOCK_SEND_RECEIVE or not self.limit or self.used + octets <= self.limit


UNLIMITED_ROOM: Final = DomainRoom()


@dataclass(frozen=True, slots=True)
class DomainLimits:
    """What a domain sets about room. `max_quota`: of one account at most; `aggregate_quota` of all together. Octets, 0: no limit.

    `warn_recipients` are told when `warn_percent` of the aggregate quota are used (0: nobody is).
    """

    max_quota: int = 0
    aggregate_quota: int = 0
    policy: AggregatePolicy = AggregatePolicy.ALLOW_SEND_RECEIVE
    warn_percent: int = 80
    warn_recipients: tuple[str, ...] = ()


NO_LIMITS: Final = DomainLimits()

WARN_AGAIN: Final = 86_400
"""Seconds between two warnings about one domain."""


def effective_quota(own: int, largest: int) -> int:
    """Of an account whose own or inherited quota is `own`, in a domain that gives no account more than `largest`; 0: no limit."""
    return min(own, largest) if own and largest else own or largest
