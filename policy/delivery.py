"""Deliver, hold, defer or reject for this recipient, at this door."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from policy.quota import UNLIMITED_ROOM, DomainRoom
from policy.reasons import Defer, Reason, Refuse
from policy.status import AccountStatus, Hold, conduct

POSTMASTER: Final = "postmaster"
"""A local part that every domain has, in whatever case (RFC 5321 section 4.5.1)."""


class Door(StrEnum):
    """Where the mail comes in."""

    SUBMISSION = "submission"
    MX = "mx"
    LMTP = "lmtp"
    QUEUE = "queue"  # what was held or deferred is tried again


@dataclass(frozen=True, slots=True)
class Deliver:
    """Into the mailbox now."""


@dataclass(frozen=True, slots=True)
class QuotaFacts:
    """Octets. `limit` 0: unlimited. `size` 0: not known yet (RCPT without SIZE). `domain`: the room of all its accounts.

    `reject`: the setting quota_full=reject (552 instead of 452).
    """

    used: int
    limit: int
    size: int
    reject: bool = False
    domain: DomainRoom = UNLIMITED_ROOM


def judge_recipient(status: AccountStatus, door: Door, quota: QuotaFacts | None = None) -> Deliver | Hold | Defer | Refuse:
    """`status` is the effective one. Over quota: Defer or Refuse RECIPIENT_OVER_QUOTA at every door; held mail stays held.

    LMTP's peer is an MTA that queues for itself, so maintenance defers there; everywhere else we are the one who holds
    (delegation.md section 3).
    """
    row = conduct(status)
    by_status: Hold | Defer | Refuse | None
    match door:
        case Door.LMTP:
            by_status = row.lmtp
        case Door.SUBMISSION | Door.MX | Door.QUEUE:
            by_status = row.smtp
    if by_status is not None:
        return by_status
    if quota is not None and is_over_quota(quota):
        return (Refuse if quota.reject else Defer)(Reason.RECIPIENT_OVER_QUOTA)
    return Deliver()


def is_over_quota(quota: QuotaFacts) -> bool:
    """Would this message not fit? A full mailbox takes not even a message of unknown size, since none is empty."""
    octets = max(quota.size, 1)
    return (quota.limit > 0 and quota.used + octets > quota.limit) or not quota.domain.takes(octets)
