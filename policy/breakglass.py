"""May an administrator log in as this account: is a window open that was opened with a reason?"""

from collections.abc import Sequence
from dataclasses import dataclass

from policy.decision import Decision, step
from policy.identity import AccountId, Address
from policy.reasons import Reason, Refuse
from policy.scope import Scope, why_not_administer

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


@dataclass(frozen=True, slots=True)
class Party:
    """An account, as far as windows are concerned."""

    account: AccountId
    address: Address
    is_global: bool


def is_open(window: Window, now: int) -> bool:
    """From when it was opened until it ends or is closed, to the microsecond."""
    return window.opened <= now < window.expires and window.closed is None


def why_not(person: Party, owner: Party) -> str:
    """Who may have a window on whose account: global administrators, on everybody's but their own kind's. "" for yes."""
    if not person.is_global:
        return f"{person.address} is no administrator"
    return f"{owner.address} is an administrator" if owner.is_global else ""


def judge_break_glass(person: Party, owner: Party, windows: Sequence[Window], now: int, scope: Scope | None = None) -> Decision:
    """delegation.md section 10. Allowed while a window of this very person on this very account is open, and both are still those for
    whom one may be opened; `valid_until` is its end. `scope`: of the app password by which the person acts, None: of none."""
    account = owner.account
    mine = [one for one in windows if one.account == account and one.administrator == person.account and is_open(one, now)]
    if not mine:
        return Decision(Refuse(Reason.AUTHORIZATION_REFUSED), (step("no break-glass window is open", decided=True, right=RIGHT),))
    barred = why_not(person, owner)
    if not barred and why_not_administer(scope) is not None:
        barred = "an app password does not administer"
    if barred:
        return Decision(
            Refuse(Reason.AUTHORIZATION_REFUSED), (step(f"a break-glass window is open, but {barred}", decided=True, right=RIGHT),)
        )
    last = max(mine, key=lambda one: (one.expires, one.id))
    return Decision(None, (step(f"break-glass window {last.id}: {last.reason}", decided=True, right=RIGHT),), last.expires)
