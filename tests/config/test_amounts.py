"""Durations and sizes as an operator writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.amounts import read_duration, read_size, write_duration, write_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [(0, 0), (90, 90), (1.5, 1.5), ("90", 90), ("90s", 90), ("15m", 900), ("4h", 14_400), ("5d", 432_000), ("1.5h", 5_400), (" 2 M ", 120)],
)
def test_a_duration_is_read(written: object, seconds: float) -> None:
    assert read_duration(written) == seconds


@pytest.mark.parametrize(
    "written", ["", "m", "-1", "-1s", "1w", "1 h 2 m", "1e3", "inf", "nan", -1, float("inf"), float("nan"), True, None, [], "9" * 50, "١m"]
)
def test_what_is_no_duration_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="duration"):
        read_duration(written)


@pytest.mark.parametrize(
    ("written", "octets"),
    [(0, 0), (512, 512), ("512", 512), ("64 KiB", 65_536), ("64kib", 65_536), ("50 MiB", 52_428_800), ("2 GiB", 2 << 30)],
)
def test_a_size_is_read(written: object, octets: int) -> None:
    assert read_size(written) == octets


@pytest.mark.parametrize("written", ["", "KiB", "1 kB", "1 MB", "-1", "1.5 MiB", 1.5, -1, True, None, "9" * 50, "٣ KiB"])
def test_what_is_no_size_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="size"):
        read_size(written)


@given(st.integers(0, 10**9))
def test_whole_seconds_are_read_back_as_written(seconds: int) -> None:
    assert read_duration(write_duration(seconds)) == seconds


@given(st.integers(0, 10**15))
def test_sizes_are_read_back_as_written(octets: int) -> None:
    assert read_size(write_size(octets)) == octets


@given(st.one_of(st.text(), st.integers(), st.floats(), st.none()))
def test_anything_is_an_amount_or_the_one_error(value: object) -> None:
    for read in (read_duration, read_size):
        try:
            assert read(value) >= 0
        except ValueError as fault:
            assert "must be" in str(fault)
