"""Which recipient takes mail at which door: delegation.md section 3."""

import pytest

from policy.delivery import Deliver, Door, QuotaFacts, judge_recipient
from policy.reasons import Defer, Reason, Refuse
from policy.status import AccountStatus, Hold

DOORS = (Door.SUBMISSION, Door.MX, Door.LMTP, Door.QUEUE)
IN = Deliver()
HELD = Hold()
LATER = Defer(Reason.RECIPIENT_MAINTENANCE, "maintenance")
CLOSED = Refuse(Reason.RECIPIENT_CLOSED, "closed")
PENDING = Refuse(Reason.RECIPIENT_CLOSED, "pending")

TABLE = {
    # status: submission, mx, lmtp, queue
    "active": (IN, IN, IN, IN),
    "locked": (IN, IN, IN, IN),
    "maintenance": (HELD, HELD, LATER, HELD),
    "closed": (CLOSED, CLOSED, CLOSED, CLOSED),
    "pending": (PENDING, PENDING, PENDING, PENDING),
}


@pytest.mark.parametrize("status", TABLE)
@pytest.mark.parametrize("door", DOORS)
def test_each_status_at_each_door(status: str, door: Door) -> None:
    assert judge_recipient(AccountStatus(status), door) == TABLE[status][DOORS.index(door)]


FULL = QuotaFacts(used=100, limit=100, size=1)


@pytest.mark.parametrize("door", DOORS)
def test_over_quota_defers_or_rejects_by_setting(door: Door) -> None:
    assert judge_recipient(AccountStatus.ACTIVE, door, FULL) == Defer(Reason.RECIPIENT_OVER_QUOTA)
    rejecting = QuotaFacts(used=100, limit=100, size=1, reject=True)
    assert judge_recipient(AccountStatus.LOCKED, door, rejecting) == Refuse(Reason.RECIPIENT_OVER_QUOTA)


@pytest.mark.parametrize("status", ["maintenance", "closed", "pending"])
def test_status_speaks_before_quota(status: str) -> None:
    assert judge_recipient(AccountStatus(status), Door.MX, FULL) == TABLE[status][1]


@pytest.mark.parametrize(
    ("used", "limit", "size", "fits"),
    [
        (0, 0, 10**12, True),
        (10**12, 0, 1, True),
        (90, 100, 10, True),
        (90, 100, 11, False),
        (99, 100, 0, True),
        (100, 100, 0, False),
        (0, 1, 2, False),
    ],
)
def test_what_fits_is_delivered(used: int, limit: int, size: int, fits: bool) -> None:
    verdict = judge_recipient(AccountStatus.ACTIVE, Door.LMTP, QuotaFacts(used, limit, size))
    assert isinstance(verdict, Deliver) is fits
