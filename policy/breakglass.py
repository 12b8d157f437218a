"""May an administrator log in as this account: is a window open that was opened with a reason?"""

from collections.abc import Sequence
from dataclasses import dataclass

from policy.decision import Decision, step
from policy.identity import AccountId
from policy.reasons import Reason, Refuse

RIGHT = "break-glass"
"""As what its use is recorded."""
LONGEST = 24 * 3600
"""Seconds for which a window may be opened at most: who needs longer gives a reason again."""
USUAL = 3600
"""Seconds for which it is opened where nothing else is said (delegation.md section 10)."""


@dataclass(frozen=True, slots=True)
class Window:
    """Opened for one administrator on one account. Times in microseconds since 1970 UTC; `expires` excluded, `closed` before its time."""

    id: int
    account: AccountId
    administrator: AccountId
    reason: str
    opened: int
    expires: int
    closed: int | None = None


def is_open(window: Window, now: int) -> bool:
    """From when it was opened until it ends or is closed, to the microsecond."""
    return window.opened <= now < window.expires and window.closed is None


def judge_break_glass(person: AccountId, account: AccountId, windows: Sequence[Window], now: int) -> Decision:
    """delegation.md section 10. Allowed while a window of this very person on this very account is open; `valid_until` is its end."""
    mine = [one for one in windows if one.account == account and one.administrator == person and is_open(one, now)]
    if not mine:
        return Decision(Refuse(Reason.AUTHORIZATION_REFUSED), (step("no break-glass window is open", decided=True, right=RIGHT),))
    last = max(mine, key=lambda one: (one.expires, one.id))
    return Decision(None, (step(f"break-glass window {last.id}: {last.reason}", decided=True, right=RIGHT),), last.expires)
