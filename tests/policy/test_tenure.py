import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.tenure import announced_at

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
WEEK = 7 * 86400  # as the setting has it, in seconds

# given, not_before, expires, before (seconds), announced
TABLE = {
    "a week before": (0, None, 30 * DAY, WEEK, 23 * DAY),
    "its time begins later": (0, 20 * DAY, 30 * DAY, WEEK, 25 * DAY),
    "a start that is over": (10 * DAY, 5 * DAY, 14 * DAY, WEEK, 12 * DAY),
    "half of a short one": (0, None, 4 * DAY, WEEK, 2 * DAY),
    "two hours": (0, None, 2 * HOUR, WEEK, HOUR),
    "too short for anybody": (0, None, 2 * HOUR - 2 * SECOND, WEEK, None),
    "the setting itself is shorter": (0, None, 10 * SECOND, 2, 8 * SECOND),
    "shorter than the short setting asks": (0, None, 3 * SECOND, 2, None),
    "never": (0, None, 30 * DAY, 0, None),
    "no earlier than a year before": (0, None, 5000 * DAY, 10**12, (5000 - 366) * DAY),
    "over before it was given": (10 * DAY, None, 5 * DAY, WEEK, None),
}


@pytest.mark.parametrize("name", TABLE)
def test_when_an_end_is_announced(name: str) -> None:
    *facts, announced = TABLE[name]
    assert announced_at(*facts) == announced  # type: ignore[arg-type]


TIMES = st.integers(0, 10**17)


@given(TIMES, st.none() | TIMES, TIMES, st.integers(0, 10**18))
def test_never_after_the_end_nor_in_its_first_half(given_at: int, not_before: int | None, expires: int, before: int) -> None:
    at = announced_at(given_at, not_before, expires, before)
    if at is not None:
        begins = max(given_at, not_before or 0)
        assert begins + (expires - begins) // 2 <= at < expires
