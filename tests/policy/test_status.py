"""The status table of delegation.md section 3, row by row as it stands there."""

from itertools import product

import pytest

from policy.cos import WhenLocked
from policy.reasons import Defer, Reason, Refuse
from policy.status import CONDUCT, Access, AccountStatus, DomainStatus, Hold, conduct, effective, owner_access, owner_sending

OK = None

ROWS = {
    # status: (login, LMTP, our SMTP listeners, delegates' access, delegates' sending)
    "active": (OK, OK, OK, "by-grant", OK),
    "maintenance": (
        Defer(Reason.ACCOUNT_MAINTENANCE, "maintenance"),
        Defer(Reason.RECIPIENT_MAINTENANCE, "maintenance"),
        Hold(),
        "unavailable",
        Defer(Reason.PRINCIPAL_MAINTENANCE, "maintenance"),
    ),
    "locked": (Refuse(Reason.ACCOUNT_STATUS, "locked"), OK, OK, "by-cos", Refuse(Reason.PRINCIPAL_STATUS, "locked")),
    "closed": (
        Refuse(Reason.ACCOUNT_STATUS, "closed"),
        Refuse(Reason.RECIPIENT_CLOSED, "closed"),
        Refuse(Reason.RECIPIENT_CLOSED, "closed"),
        "hidden",
        Refuse(Reason.PRINCIPAL_STATUS, "closed"),
    ),
    "pending": (
        Refuse(Reason.ACCOUNT_STATUS, "pending"),
        Refuse(Reason.RECIPIENT_CLOSED, "pending"),
        Refuse(Reason.RECIPIENT_CLOSED, "pending"),
        "hidden",
        Refuse(Reason.PRINCIPAL_STATUS, "pending"),
    ),
}


@pytest.mark.parametrize("status", ROWS)
def test_each_status_conducts_itself_as_its_row_says(status: str) -> None:
    row = conduct(AccountStatus(status))
    assert (row.login, row.lmtp, row.smtp, row.owner_access, row.owner_sending) == ROWS[status]


def test_every_status_has_a_row() -> None:
    assert set(CONDUCT) == set(AccountStatus) == set(ROWS)


LOCKED_BY_COS = [
    ("none", (Access.HIDDEN, False), False),
    ("read", (Access.BY_GRANT, True), False),
    ("full", (Access.BY_GRANT, False), True),
]


@pytest.mark.parametrize(("when_locked", "access", "may_send"), LOCKED_BY_COS)
def test_a_locked_owner_is_as_open_as_its_class_of_service_says(when_locked: str, access: tuple[Access, bool], may_send: bool) -> None:
    assert owner_access(AccountStatus.LOCKED, WhenLocked(when_locked)) == access
    refusal = owner_sending(AccountStatus.LOCKED, WhenLocked(when_locked))
    assert refusal == (None if may_send else Refuse(Reason.PRINCIPAL_STATUS, "locked"))


OTHERS = [("active", Access.BY_GRANT), ("maintenance", Access.UNAVAILABLE), ("closed", Access.HIDDEN), ("pending", Access.HIDDEN)]


@pytest.mark.parametrize(("status", "access"), OTHERS)
@pytest.mark.parametrize("when_locked", WhenLocked)
def test_delegation_when_locked_concerns_no_other_status(status: str, access: Access, when_locked: WhenLocked) -> None:
    assert owner_access(AccountStatus(status), when_locked) == (access, False)
    assert owner_sending(AccountStatus(status), when_locked) == ROWS[status][4]


OVERLAY = {
    # own status: under a domain that is active, locked, maintenance, suspended, closed
    "active": ("active", "locked", "maintenance", "maintenance", "closed"),
    "locked": ("locked", "locked", "maintenance", "maintenance", "closed"),
    "maintenance": ("maintenance", "maintenance", "maintenance", "maintenance", "closed"),
    "pending": ("pending", "pending", "pending", "pending", "closed"),
    "closed": ("closed", "closed", "closed", "closed", "closed"),
}
DOMAINS = ("active", "locked", "maintenance", "suspended", "closed")


@pytest.mark.parametrize(("own", "domain"), list(product(OVERLAY, DOMAINS)))
def test_the_stricter_of_account_and_domain_wins(own: str, domain: str) -> None:
    assert effective(AccountStatus(own), DomainStatus(domain)) == OVERLAY[own][DOMAINS.index(domain)]


@pytest.mark.parametrize(("own", "domain"), list(product(AccountStatus, DomainStatus)))
def test_global_administrators_ignore_the_domain(own: AccountStatus, domain: DomainStatus) -> None:
    assert effective(own, domain, global_administrator=True) is own
