"""Admit or refuse a login, and what one more failure changes: the sliding window, suppressed repeats, spared sources."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policy.cos import ServiceValues
from policy.reasons import Defer, Reason, Refuse
from policy.status import AccountStatus, login_after_password


@dataclass(frozen=True, slots=True)
class Failure:
    """One counted failure. `at`: microseconds since 1970 UTC; `source`: network (IPv4 /24, IPv6 /48) as text;
    `digest`: 16 bits of a keyed hash of the wrong password, None where it cannot be known (SCRAM)."""

    at: int
    source: str
    digest: int | None


@dataclass(frozen=True, slots=True)
class FailureHistory:
    """`locked_until`: None: no lockout; a far future (see FOREVER) when the class of service lets it not end by itself.
    `known_sources`: networks from which the account logged in well during the last 30 days.

    `failures` are those that the last `after_failure`, `after_success` or `cleared` left, no older ones: whoever keeps
    this replaces them whole. None is dropped during a lockout, or a known source that caused it would be spared.
    """

    failures: Sequence[Failure] = ()
    locked_until: int | None = None
    known_sources: frozenset[str] = frozenset()


FOREVER = 1 << 62


@dataclass(frozen=True, slots=True)
class Admit:
    """`clear_source`: there were failures from this source network, to be forgotten now (a deed)."""

    clear_source: bool = False


_SECOND = 1_000_000


def is_locked_out(history: FailureHistory, rules: ServiceValues, source: str, now: int) -> bool:
    """Is this source refused by lockout now? Asked before the password is looked at; a spared known source is not."""
    return lockout_end(history, rules, now) is not None and not _is_spared(history, rules, source)


def lockout_end(history: FailureHistory, rules: ServiceValues, now: int) -> int | None:
    """When the present lockout ends (microseconds), None when there is none; for the CLI and pages.

    One whose end is twice as far away as it can be was dated by a clock that was set back since: it is over.
    """
    ends = history.locked_until
    if not rules.lockout_enabled or ends is None or ends <= now:
        return None
    if rules.lockout_duration and ends < FOREVER and ends - now > 2 * (rules.lockout_duration + rules.lockout_failure_lifetime) * _SECOND:
        return None
    return ends


def _is_spared(history: FailureHistory, rules: ServiceValues, source: str) -> bool:
    """A known source that has no part in the lockout: while one lasts, the history is the failures it stands on and those since."""
    known = rules.lockout_spare_known_sources and source in history.known_sources
    return known and all(failure.source != source for failure in history.failures)


def _window(failures: Sequence[Failure], rules: ServiceValues, now: int) -> tuple[Failure, ...]:
    """The failures that count at `now`; a lifetime of 0 means that they do not age. Those of a time that is further ahead than they live
    were dated by a clock that was set back since."""
    lifetime = rules.lockout_failure_lifetime * _SECOND
    if lifetime == 0:
        return tuple(failures)
    return tuple(failure for failure in failures if now - lifetime < failure.at < now + lifetime)


def after_failure(history: FailureHistory, failure: Failure, rules: ServiceValues, now: int) -> FailureHistory:
    """The history with this failure counted, or unchanged where it does not count (lockout, a repeat of the same password).

    A spared source's failure during a lockout counts: it is spared no longer then, or it could guess without end.
    Failures that have left the window go, but none that a lockout still stands on.
    """
    if not rules.lockout_enabled or rules.lockout_max_failures == 0:
        return history
    if is_locked_out(history, rules, failure.source, now):
        return history
    window = _window(history.failures, rules, now)
    if failure.digest is not None and any(one.digest == failure.digest for one in window):
        return history
    locked_until = lockout_end(history, rules, now)
    if len(window) + 1 >= rules.lockout_max_failures:
        last = max(failure.at, max((one.at for one in window if one.at <= now), default=0))
        ends = FOREVER if rules.lockout_duration == 0 else last + rules.lockout_duration * _SECOND
        locked_until = max(ends, locked_until or 0)
    kept = window if lockout_end(history, rules, now) is None else tuple(history.failures)
    return replace(history, failures=(*kept, failure), locked_until=locked_until)


def after_success(history: FailureHistory, source: str) -> FailureHistory:
    """What a good login leaves: the failures from its own source network are forgotten, a lockout others caused is not."""
    return replace(history, failures=tuple(failure for failure in history.failures if failure.source != source))


def cleared(history: FailureHistory) -> FailureHistory:
    """What `status active` and a password change leave: no failure and no lockout; the known sources stay."""
    return replace(history, failures=(), locked_until=None)


def judge_login(
    status: AccountStatus,
    password_ok: bool,
    must_change_password: bool,
    history: FailureHistory,
    rules: ServiceValues,
    source: str,
    now: int,
) -> Admit | Refuse | Defer:
    """delegation.md sections 3 and 8. Wrong password, unknown account and lockout give the one same answer."""
    if is_locked_out(history, rules, source, now) or not password_ok:
        return Refuse(Reason.BAD_CREDENTIALS)
    by_status = login_after_password(status)
    if by_status is not None:
        return by_status
    if must_change_password:
        return Refuse(Reason.PASSWORD_EXPIRED)
    return Admit(clear_source=any(failure.source == source for failure in history.failures))
