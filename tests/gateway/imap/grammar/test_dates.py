"""Dates that exist."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from gateway.imap.grammar.dates import date as date_rule
from gateway.imap.grammar.dates import date_time
from tests.gateway.imap.grammar.reading import read, refused, spaced


@pytest.mark.parametrize("octets", [b"1-Feb-2024", b"01-feb-2024", b'"1-FEB-2024"'])
def test_dates_are_read(octets: bytes) -> None:
    assert read(spaced(date_rule), b" " + octets) == date(2024, 2, 1)


@pytest.mark.parametrize(
    "octets",
    [
        b"30-Feb-2024",
        b"0-Feb-2024",
        b"1-Foo-2024",
        b"1-Feb-24",
        b'"1-Feb-2024',
        b'1-Feb-2024"',
        b"1-Feb-0000",
        b"1-Feb-9999",
        b"001-Feb-2024",
        b"1.2.2024",
    ],
)
def test_dates_that_are_none_are_refused(octets: bytes) -> None:
    refused(spaced(date_rule), b" " + octets)


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        (b'" 1-Feb-2024 13:59:00 +0130"', datetime(2024, 2, 1, 13, 59, tzinfo=timezone(timedelta(minutes=90)))),
        (b'"01-Feb-2024 13:59:00 -0100"', datetime(2024, 2, 1, 13, 59, tzinfo=timezone(timedelta(hours=-1)))),
        (b'"31-Dec-2016 23:59:60 +0000"', datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (b'" 1-Jan-1000 00:00:00 +2359"', datetime(1000, 1, 1, tzinfo=timezone(timedelta(minutes=1439)))),
    ],
)
def test_times_are_read_with_their_zone(octets: bytes, value: datetime) -> None:
    found = read(spaced(date_time), b" " + octets)
    assert found == value
    assert found.utcoffset() == value.utcoffset()
    assert found.astimezone(UTC).year


@pytest.mark.parametrize(
    "octets",
    [
        b'"1-Feb-2024 13:59:00 +0100"',
        b'" 1-Feb-2024 24:00:00 +0100"',
        b'" 1-Feb-2024 13:60:00 +0100"',
        b'" 1-Feb-2024 13:59:61 +0100"',
        b'" 1-Feb-2024 13:59:00 +2400"',
        b'" 1-Feb-2024 13:59:00 +0160"',
        b'" 1-Feb-2024 13:59:00"',
        b'"31-Feb-2024 13:59:00 +0100"',
        b'" 1-Feb-0000 13:59:00 +0100"',
        b'" 1-Feb-9999 23:59:00 -2359"',
        b'"  -Feb-2024 13:59:00 +0100"',
        b"x",
    ],
)
def test_times_that_are_none_are_refused(octets: bytes) -> None:
    refused(spaced(date_time), b" " + octets)
