"""How much may be sent in how much time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.rates import LONGEST, MOST, UNLIMITED, Rate, RateLimit, limits, read_rate

READ = [
    ("200/1h", Rate(200, 3600), "200/1h"),
    ("20/m", Rate(20, 60), "20/1m"),
    ("20/90", Rate(20, 90), "20/90s"),
    (" 5 / 7D ", Rate(5, 604800), "5/7d"),
    ("1/24h", Rate(1, 86400), "1/1d"),
    ("10000000/31d", Rate(MOST, LONGEST), "10000000/31d"),
    ("0", UNLIMITED, "0"),
    ("0/1h", UNLIMITED, "0"),
]


@pytest.mark.parametrize(("text", "rate", "spelled"), READ)
def test_a_rate_is_read_and_spelled(text: str, rate: Rate, spelled: str) -> None:
    assert read_rate(text) == rate
    assert str(rate) == spelled
    assert read_rate(spelled) == rate


@pytest.mark.parametrize(
    "text", ["", "/", "5", "5/", "/1h", "5/0s", "5/32d", "-1/1h", "5/1h/2", "5/1w", "10000001/1h", "٥/1h", "5/1h\n5", "1" * 400 + "/1h"]
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="200/1h"):
        read_rate(text)


@given(st.integers(0, MOST), st.integers(1, LONGEST))
def test_every_rate_reads_back(count: int, seconds: int) -> None:
    rate = Rate(count, seconds) if count else UNLIMITED
    assert read_rate(str(rate)) == rate


@pytest.mark.parametrize(
    ("rate", "used", "asked", "fits"),
    [
        (Rate(3, 60), 2, 1, True),
        (Rate(3, 60), 3, 1, False),
        (Rate(3, 60), 0, 3, True),
        (Rate(3, 60), 0, 4, False),
        (Rate(3, 60), 9, 0, False),
        (UNLIMITED, 10**9, 10**9, True),
    ],
)
def test_what_fits(rate: Rate, used: int, asked: int, fits: bool) -> None:
    assert rate.fits(used, asked) is fits


HOUR, DAY = Rate(10, 3600), Rate(100, 86400)


def test_a_message_counts_for_its_actor_and_once_for_each_name() -> None:
    names = [(7, HOUR, UNLIMITED), (8, UNLIMITED, UNLIMITED), (7, HOUR, UNLIMITED), (9, UNLIMITED, DAY)]
    assert limits(3, (HOUR, DAY), names) == (
        RateLimit(3, 0, HOUR, DAY),
        RateLimit(3, 7, HOUR, UNLIMITED),
        RateLimit(3, 9, UNLIMITED, DAY),
    )
    assert limits(3, (UNLIMITED, UNLIMITED), [(8, UNLIMITED, UNLIMITED)]) == ()
