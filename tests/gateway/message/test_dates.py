"""Dates: written as RFC 5322 says, read as mail contains them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.dates import format_date, parse_date


def test_a_date_is_written_in_english_with_its_zone() -> None:
    at = datetime(2024, 3, 5, 7, 8, 9, tzinfo=timezone(timedelta(hours=-3, minutes=-30)))
    assert format_date(at) == "Tue, 05 Mar 2024 07:08:09 -0330"
    assert format_date(datetime(2024, 3, 5, tzinfo=UTC)) == "Tue, 05 Mar 2024 00:00:00 +0000"


NOON = datetime(2024, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        b"Mon, 1 Jan 2024 12:00:00 +0000",
        b"1 Jan 2024 12:00 GMT",
        b"Mon, 01 Jan 24 13:00:00 +0100 (CET)",
        b"Mon,1 Jan 2024 12:00:00 UT",
        b"Mon, 1 Jan 2024 07:00:00 EST",
        b"Mon, 1 January 2024 05:00:00 -0700",
        b"Monday, 01-Jan-24 12:00:00 Z",
        b"(c (d)) Mon, 1 (x) Jan 2024 12:00:00 -0000",
        b"Mon, 1 Jan 124 12:00:00 +0000",
        b"  Mon ,  1  Jan  2024  12 : 00 : 00  +0000",
        b"Mon, 1 Jan 2024 12.00.00 +0000",
        b"Mon, 1 Jan 2024 12:00:00 +00:00",
        b"Mon, 1 Jan 2024 12:00:00",
        b"Mon Jan  1 12:00:00 2024",
        b"Mon Jan  1 12:00:00 UTC 2024",
        b"Mon, 1 Jan 2024 12:00:00 +9999",
    ],
)
def test_a_date_is_read_in_the_forms_that_mail_has(value: bytes) -> None:
    assert parse_date(value) == NOON


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"today",
        b"32 Jan 2024 12:00:00 +0000",
        b"30 Feb 2024 12:00:00 +0000",
        b"1 Foo 2024 12:00:00 +0000",
        b"1 Jan 2024 25:00:00 +0000",
        b"1 Jan 1024 12:00:00 +0000",
        b"1 Jan 9999 12:00:00 +0000",
        b"1 Jan 2024",
        b"((((",
        b"\xff" * 500,
        b" " * 10_000,
    ],
)
def test_what_is_no_date_is_none(value: bytes) -> None:
    assert parse_date(value) is None


def test_a_leap_second_is_the_second_before() -> None:
    assert parse_date(b"31 Dec 2016 23:59:60 +0000") == datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)


ZONES = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# Hypothesis wants bounds without a zone.
FIRST, LAST = datetime(1900, 1, 2, tzinfo=UTC).replace(tzinfo=None), datetime(9998, 12, 30, tzinfo=UTC).replace(tzinfo=None)


@given(st.datetimes(FIRST, LAST, timezones=ZONES))
def test_what_is_written_is_read_again(at: datetime) -> None:
    assert parse_date(format_date(at).encode()) == at.replace(microsecond=0)


@given(st.binary(max_size=80) | st.text("MonJan 0123456789:+-(),.").map(str.encode))
def test_any_octets_are_a_date_that_every_zone_can_show_or_none(value: bytes) -> None:
    found = parse_date(value)
    if found is not None:
        assert found.astimezone(timezone(timedelta(hours=-23, minutes=-59))) == found
        assert found.astimezone(timezone(timedelta(hours=23, minutes=59))) == found


@given(
    st.from_regex(
        rb"([A-Z][a-z]{2}, )?[0-9]{1,2} (Jan|feb|APR|Foo) (1|2|9)[09][0-9]{2} [0-9]{2}:[0-5][0-9]:[0-6][0-9] [+-][0-9]{4}", fullmatch=True
    ),
    st.sampled_from((b"", b" (CET)", b"0", b" (", b"\t")),
)
def test_the_usual_form_is_read_as_all_others_are(value: bytes, behind: bytes) -> None:
    """A blank before a colon makes it unusual."""
    assert parse_date(value + behind) == parse_date(value.replace(b":", b" :", 1) + behind)
