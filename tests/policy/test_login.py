"""Login and lockout: delegation.md sections 3 and 8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cos import ServiceValues
from policy.login import (
    FOREVER,
    Admit,
    Failure,
    FailureHistory,
    after_failure,
    after_success,
    cleared,
    is_locked_out,
    judge_login,
    lockout_end,
)
from policy.reasons import Defer, Reason, Refuse
from policy.status import AccountStatus

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
NOON = 1_800_000_000 * SECOND
RULES = ServiceValues(lockout_max_failures=3)
HOME, OFFICE, EVIL = "192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"
BAD = Refuse(Reason.BAD_CREDENTIALS)


def fail(history: FailureHistory, at: int, digest: int | None = None, source: str = EVIL, rules: ServiceValues = RULES) -> FailureHistory:
    return after_failure(history, Failure(at, source, digest), rules, at)


def failing(*times: int, source: str = EVIL, rules: ServiceValues = RULES, known: frozenset[str] = frozenset()) -> FailureHistory:
    history = FailureHistory(known_sources=known)
    for number, at in enumerate(times):
        history = fail(history, at, number, source, rules)
    return history


LOCKED_OUT = failing(NOON, NOON + MINUTE, NOON + 2 * MINUTE)


ANSWERS = [
    # status, password right, must change it, answer
    ("active", True, False, Admit()),
    ("active", False, False, BAD),
    ("active", True, True, Refuse(Reason.PASSWORD_EXPIRED)),
    ("active", False, True, BAD),
    ("locked", True, False, Refuse(Reason.ACCOUNT_STATUS, "locked")),
    ("locked", True, True, Refuse(Reason.ACCOUNT_STATUS, "locked")),
    ("locked", False, False, BAD),
    ("closed", True, False, Refuse(Reason.ACCOUNT_STATUS, "closed")),
    ("closed", False, False, BAD),
    ("pending", True, False, Refuse(Reason.ACCOUNT_STATUS, "pending")),
    ("pending", False, False, BAD),
    ("maintenance", True, False, Defer(Reason.ACCOUNT_MAINTENANCE, "maintenance")),
    ("maintenance", False, False, BAD),
]


@pytest.mark.parametrize(("status", "password_ok", "must_change", "answer"), ANSWERS)
def test_what_a_refusal_says_depends_on_the_password(status: str, password_ok: bool, must_change: bool, answer: object) -> None:
    assert judge_login(AccountStatus(status), password_ok, must_change, FailureHistory(), RULES, HOME, NOON) == answer


@pytest.mark.parametrize("status", AccountStatus)
@pytest.mark.parametrize("password_ok", [True, False])
def test_during_lockout_nothing_tells_right_from_wrong(status: AccountStatus, password_ok: bool) -> None:
    assert judge_login(status, password_ok, False, LOCKED_OUT, RULES, HOME, NOON + 3 * MINUTE) == BAD


def test_the_failure_that_reaches_the_maximum_locks_out_for_the_duration_from_itself() -> None:
    assert lockout_end(failing(NOON, NOON + MINUTE), RULES, NOON + MINUTE) is None
    assert lockout_end(LOCKED_OUT, RULES, NOON + 2 * MINUTE) == NOON + 2 * MINUTE + HOUR


def test_a_lockout_ends_by_itself_on_the_microsecond() -> None:
    end = NOON + 2 * MINUTE + HOUR
    assert is_locked_out(LOCKED_OUT, RULES, HOME, end - 1)
    assert not is_locked_out(LOCKED_OUT, RULES, HOME, end)
    assert lockout_end(LOCKED_OUT, RULES, end) is None
    assert judge_login(AccountStatus.ACTIVE, True, False, LOCKED_OUT, RULES, HOME, end) == Admit()


def test_the_window_slides() -> None:
    spread = failing(NOON, NOON + 30 * MINUTE, NOON + 61 * MINUTE)
    assert lockout_end(spread, RULES, NOON + 61 * MINUTE) is None
    assert len(spread.failures) == 2  # the first has left the window
    assert lockout_end(fail(spread, NOON + 62 * MINUTE, 9), RULES, NOON + 62 * MINUTE) == NOON + 62 * MINUTE + HOUR


def test_a_failure_leaves_the_window_when_its_lifetime_is_over() -> None:
    assert lockout_end(failing(NOON, NOON + 1, NOON + HOUR - 1), RULES, NOON + HOUR) is not None
    assert lockout_end(failing(NOON, NOON + 1, NOON + HOUR), RULES, NOON + HOUR) is None


def test_attempts_during_a_lockout_change_nothing() -> None:
    assert fail(LOCKED_OUT, NOON + 3 * MINUTE, 77) == LOCKED_OUT


def test_counting_goes_on_after_a_lockout_with_a_short_duration() -> None:
    rules = ServiceValues(lockout_max_failures=3, lockout_duration=300)
    history = failing(NOON, NOON + 1, NOON + 2, rules=rules)
    after = NOON + 2 + 5 * MINUTE
    assert not is_locked_out(history, rules, HOME, after)
    assert lockout_end(fail(history, after, 9, rules=rules), rules, after) == after + 5 * MINUTE


def test_the_same_wrong_password_counts_once_per_window() -> None:
    history = FailureHistory()
    for minute in range(10):
        history = fail(history, NOON + minute * MINUTE, 42)
    assert len(history.failures) == 1
    again = fail(history, NOON + HOUR, 42)
    assert [failure.at for failure in again.failures] == [NOON + HOUR]


def test_failures_whose_password_is_unknown_always_count() -> None:
    history = FailureHistory()
    for minute in range(3):
        history = fail(history, NOON + minute * MINUTE, None)
    assert is_locked_out(history, RULES, HOME, NOON + 3 * MINUTE)


def test_duration_zero_does_not_end_until_cleared() -> None:
    rules = ServiceValues(lockout_max_failures=3, lockout_duration=0)
    history = failing(NOON, NOON + 1, NOON + 2, rules=rules)
    assert lockout_end(history, rules, NOON + 1000 * HOUR) == FOREVER
    assert is_locked_out(history, rules, HOME, NOON + 1000 * HOUR)
    assert not is_locked_out(cleared(history), rules, HOME, NOON + 3)


@pytest.mark.parametrize("rules", [ServiceValues(lockout_enabled=False), ServiceValues(lockout_max_failures=0)])
def test_without_a_limit_nothing_locks(rules: ServiceValues) -> None:
    history = FailureHistory()
    for number in range(50):
        history = fail(history, NOON + number, number, rules=rules)
    assert not is_locked_out(history, rules, EVIL, NOON + 51)


def test_switching_lockout_off_ends_a_present_one() -> None:
    assert not is_locked_out(LOCKED_OUT, ServiceValues(lockout_enabled=False), HOME, NOON + 3 * MINUTE)


KNOWN = frozenset({HOME})


def test_a_known_source_is_let_in_during_a_lockout_that_others_caused() -> None:
    history = failing(NOON, NOON + 1, NOON + 2, known=KNOWN)
    assert judge_login(AccountStatus.ACTIVE, True, False, history, RULES, HOME, NOON + 3) == Admit()
    assert judge_login(AccountStatus.ACTIVE, True, False, history, RULES, OFFICE, NOON + 3) == BAD


def test_a_known_source_with_a_failure_of_its_own_is_not_spared() -> None:
    history = fail(FailureHistory(known_sources=KNOWN), NOON, 1, HOME)
    history = fail(fail(history, NOON + 1, 2), NOON + 2, 3)
    assert judge_login(AccountStatus.ACTIVE, True, False, history, RULES, HOME, NOON + 3) == BAD


def test_sparing_can_be_switched_off() -> None:
    rules = ServiceValues(lockout_max_failures=3, lockout_spare_known_sources=False)
    history = failing(NOON, NOON + 1, NOON + 2, known=KNOWN, rules=rules)
    assert is_locked_out(history, rules, HOME, NOON + 3)


def test_a_known_source_that_caused_it_is_not_spared_when_its_failures_age() -> None:
    rules = ServiceValues(lockout_max_failures=3, lockout_duration=0)
    history = failing(NOON, NOON + 1, NOON + 2, source=HOME, known=KNOWN, rules=rules)
    assert is_locked_out(history, rules, HOME, NOON + 100 * HOUR)


def test_a_spared_source_that_guesses_is_spared_no_longer_and_prolongs_the_lockout() -> None:
    history = failing(NOON, NOON + 1, NOON + 2, known=KNOWN)
    guessed = fail(history, NOON + MINUTE, 9, HOME)
    assert is_locked_out(guessed, RULES, HOME, NOON + 2 * MINUTE)
    assert lockout_end(guessed, RULES, NOON + 2 * MINUTE) == NOON + MINUTE + HOUR
    assert fail(guessed, NOON + 2 * MINUTE, 10, HOME) == guessed


def test_failures_a_lockout_stands_on_are_kept_when_a_spared_source_fails_later() -> None:
    rules = ServiceValues(lockout_max_failures=3, lockout_duration=5 * 3600)
    known = frozenset({HOME, OFFICE})
    history = failing(NOON, NOON + 1, NOON + 2, source=HOME, known=known, rules=rules)
    later = fail(history, NOON + 2 * HOUR, 9, OFFICE, rules)
    assert is_locked_out(later, rules, HOME, NOON + 3 * HOUR)
    assert is_locked_out(later, rules, OFFICE, NOON + 3 * HOUR)
    assert lockout_end(later, rules, NOON + 3 * HOUR) == NOON + 2 + 5 * HOUR  # one failure in the window prolongs nothing


def test_a_shorter_duration_set_meanwhile_does_not_cut_a_present_lockout() -> None:
    history = failing(NOON, NOON + 1, NOON + 2, known=KNOWN)
    shorter = ServiceValues(lockout_max_failures=3, lockout_duration=60)
    later = fail(history, NOON + MINUTE, 9, HOME, shorter)
    assert lockout_end(later, shorter, NOON + MINUTE) == NOON + 2 + HOUR


def test_a_failure_before_the_window_does_not_count_against_sparing() -> None:
    history = fail(FailureHistory(known_sources=KNOWN), NOON - 2 * HOUR, 1, HOME)
    for number in range(3):
        history = fail(history, NOON + number, 10 + number)
    assert not is_locked_out(history, RULES, HOME, NOON + 3)
    assert is_locked_out(history, RULES, OFFICE, NOON + 3)


def test_a_good_login_clears_only_the_failures_from_its_own_source() -> None:
    history = fail(fail(FailureHistory(), NOON, 1, HOME), NOON + 1, 2, EVIL)
    assert judge_login(AccountStatus.ACTIVE, True, False, history, RULES, HOME, NOON + 2) == Admit(clear_source=True)
    assert judge_login(AccountStatus.ACTIVE, True, False, history, RULES, OFFICE, NOON + 2) == Admit(clear_source=False)
    assert [failure.source for failure in after_success(history, HOME).failures] == [EVIL]


def test_a_lockout_others_caused_outlives_a_good_login() -> None:
    history = failing(NOON, NOON + 1, NOON + 2, known=KNOWN)
    assert is_locked_out(after_success(history, HOME), RULES, EVIL, NOON + 3)


def test_clearing_forgets_failures_and_keeps_known_sources() -> None:
    history = failing(NOON, NOON + 1, NOON + 2, known=KNOWN)
    assert cleared(history) == FailureHistory(known_sources=KNOWN)


def test_a_lifetime_of_zero_never_forgets() -> None:
    rules = ServiceValues(lockout_max_failures=3, lockout_failure_lifetime=0)
    assert is_locked_out(failing(NOON, NOON + 100 * HOUR, NOON + 200 * HOUR, rules=rules), rules, HOME, NOON + 200 * HOUR)


attempts = st.lists(st.tuples(st.integers(0, 4 * HOUR), st.sampled_from([HOME, OFFICE, EVIL]), st.none() | st.integers(0, 5)), max_size=30)


@given(attempts)
def test_no_run_of_failures_opens_a_lockout_early_or_grows_without_end(tries: list[tuple[int, str, int | None]]) -> None:
    history = FailureHistory(known_sources=KNOWN)
    for after, source, digest in sorted(tries, key=lambda one: one[0]):
        at = NOON + after
        before = lockout_end(history, RULES, at)
        was_out = is_locked_out(history, RULES, source, at)
        new = after_failure(history, Failure(at, source, digest), RULES, at)
        if was_out:
            assert new == history
        if before is not None:
            end = lockout_end(new, RULES, at)
            assert end is not None
            assert end >= before
        assert len(new.failures) <= RULES.lockout_max_failures + len(KNOWN)
        history = new


# --- a clock that was set while nothing ran


@pytest.mark.parametrize("by", [24 * HOUR, 365 * 24 * HOUR])
def test_a_lockout_ends_although_the_clock_was_set_back(by: int) -> None:
    now = NOON - by
    assert lockout_end(LOCKED_OUT, RULES, now) is None
    assert not is_locked_out(LOCKED_OUT, RULES, EVIL, now)


def test_set_back_by_less_than_it_lasts_it_goes_on() -> None:
    assert lockout_end(LOCKED_OUT, RULES, NOON - HOUR) == NOON + 2 * MINUTE + HOUR


@pytest.mark.parametrize("lifetime", [0, 3600])
def test_whoever_guesses_after_that_is_locked_out_as_ever(lifetime: int) -> None:
    rules = ServiceValues(lockout_max_failures=3, lockout_failure_lifetime=lifetime)
    history = LOCKED_OUT
    now = NOON - 365 * 24 * HOUR
    for number in range(10, 13):
        history = fail(history, now, number, rules=rules)
    assert lockout_end(history, rules, now) == now + HOUR


def test_one_without_an_end_stays() -> None:
    rules = ServiceValues(lockout_max_failures=3, lockout_duration=0)
    history = failing(NOON, NOON, NOON, rules=rules)
    assert lockout_end(history, rules, NOON - 365 * 24 * HOUR) == FOREVER
