"""What an account's status means: one row per status for login, for delivery, for delegates, for sending."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from policy.cos import WhenLocked
from policy.reasons import Defer, Reason, Refuse


class AccountStatus(StrEnum):
    """Own status, as stored. `lockout` is no member: it is computed from the failures (policy/login.py)."""

    ACTIVE = "active"
    MAINTENANCE = "maintenance"
    LOCKED = "locked"
    CLOSED = "closed"
    PENDING = "pending"


class DomainStatus(StrEnum):
    """As stored; it overlays the status of the accounts in the domain."""

    ACTIVE = "active"
    LOCKED = "locked"
    MAINTENANCE = "maintenance"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class Access(StrEnum):
    """What delegates of an owner with this status find."""

    BY_GRANT = "by-grant"
    BY_COS = "by-cos"  # delegation_when_locked
    UNAVAILABLE = "unavailable"  # folders stay listed, nothing can be done
    HIDDEN = "hidden"  # as if not there


@dataclass(frozen=True, slots=True)
class Hold:
    """Accepted with 250, kept in our queue until the status changes."""


@dataclass(frozen=True, slots=True)
class Conduct:
    """One row of delegation.md section 3. None: it simply works."""

    login: Refuse | Defer | None
    lmtp: Refuse | Defer | None
    smtp: Refuse | Hold | None  # our own listeners: submission and MX
    owner_access: Access
    owner_sending: Refuse | Defer | None  # delegates sending in the owner's name; for BY_COS ask `owner_sending` below


CONDUCT: Mapping[AccountStatus, Conduct] = MappingProxyType(
    {
        AccountStatus.ACTIVE: Conduct(
            login=None,
            lmtp=None,
            smtp=None,
            owner_access=Access.BY_GRANT,
            owner_sending=None,
        ),
        AccountStatus.MAINTENANCE: Conduct(
            login=Defer(Reason.ACCOUNT_MAINTENANCE, "maintenance"),
            lmtp=Defer(Reason.RECIPIENT_MAINTENANCE, "maintenance"),
            smtp=Hold(),
            owner_access=Access.UNAVAILABLE,
            owner_sending=Defer(Reason.PRINCIPAL_MAINTENANCE, "maintenance"),
        ),
        AccountStatus.LOCKED: Conduct(
            login=Refuse(Reason.ACCOUNT_STATUS, "locked"),
            lmtp=None,
            smtp=None,
            owner_access=Access.BY_COS,
            owner_sending=Refuse(Reason.PRINCIPAL_STATUS, "locked"),
        ),
        AccountStatus.CLOSED: Conduct(
            login=Refuse(Reason.ACCOUNT_STATUS, "closed"),
            lmtp=Refuse(Reason.RECIPIENT_CLOSED, "closed"),
            smtp=Refuse(Reason.RECIPIENT_CLOSED, "closed"),
            owner_access=Access.HIDDEN,
            owner_sending=Refuse(Reason.PRINCIPAL_STATUS, "closed"),
        ),
        AccountStatus.PENDING: Conduct(
            login=Refuse(Reason.ACCOUNT_STATUS, "pending"),
            lmtp=Refuse(Reason.RECIPIENT_CLOSED, "pending"),
            smtp=Refuse(Reason.RECIPIENT_CLOSED, "pending"),
            owner_access=Access.HIDDEN,
            owner_sending=Refuse(Reason.PRINCIPAL_STATUS, "pending"),
        ),
    }
)

_STRICTNESS = (AccountStatus.ACTIVE, AccountStatus.LOCKED, AccountStatus.MAINTENANCE, AccountStatus.PENDING, AccountStatus.CLOSED)

_OVERLAY: Mapping[DomainStatus, AccountStatus] = MappingProxyType(
    {
        DomainStatus.ACTIVE: AccountStatus.ACTIVE,
        DomainStatus.LOCKED: AccountStatus.LOCKED,
        DomainStatus.MAINTENANCE: AccountStatus.MAINTENANCE,
        DomainStatus.SUSPENDED: AccountStatus.MAINTENANCE,
        DomainStatus.CLOSED: AccountStatus.CLOSED,
    }
)


def effective(own: AccountStatus, domain: DomainStatus, global_administrator: bool = False) -> AccountStatus:
    """The stricter of the two (closed > pending > maintenance = suspended > locked > active); global administrators: their own."""
    if global_administrator:
        return own
    return max(own, _OVERLAY[domain], key=_STRICTNESS.index)


def conduct(status: AccountStatus) -> Conduct:
    """The row of this effective status."""
    return CONDUCT[status]


def owner_access(status: AccountStatus, when_locked: WhenLocked) -> tuple[Access, bool]:
    """What delegates find at an owner: (BY_GRANT, UNAVAILABLE or HIDDEN, and whether only reading is allowed).

    `delegation_when_locked` = none takes every right from the delegates, and without `l` a folder does not exist:
    HIDDEN (room README, decision 3).
    """
    access = CONDUCT[status].owner_access
    if access is not Access.BY_COS:
        return access, False
    match when_locked:
        case WhenLocked.NONE:
            return Access.HIDDEN, False
        case WhenLocked.READ:
            return Access.BY_GRANT, True
        case WhenLocked.FULL:
            return Access.BY_GRANT, False


def owner_sending(status: AccountStatus, when_locked: WhenLocked) -> Refuse | Defer | None:
    """May anybody send in this owner's name now, as far as the owner's status is concerned? `detail` is the status."""
    row = CONDUCT[status]
    if row.owner_access is Access.BY_COS and when_locked is WhenLocked.FULL:
        return None
    return row.owner_sending


def login_after_password(status: AccountStatus) -> Refuse | Defer | None:
    """What the status says to a login whose password was right; also to an open session whose account's status changed."""
    return CONDUCT[status].login
