"""Dates as messages write them: RFC 5322 3.3, written strictly, read leniently."""

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS: Final = {name.lower().encode("ascii"): number for number, name in enumerate(_MONTHS, 1)}
# RFC 5322 4.3; military letters and unknown names count as -0000, as it says.
_ZONES: Final = {
    b"ut": 0, b"gmt": 0, b"utc": 0, b"est": -5, b"edt": -4, b"cst": -6, b"cdt": -5, b"mst": -7, b"mdt": -6, b"pst": -8, b"pdt": -7,
}  # fmt: skip
# Longer values are no dates; what stands behind is a comment.
_MAX_OCTETS: Final = 256
_MAX_ZONE_HOURS: Final = 24
_FIRST_YEAR, _LAST_YEAR = 1900, 9998
_TWO_DIGITS, _THREE_DIGITS, _PIVOT = 2, 3, 50

_RFC_5322 = re.compile(
    rb"\s*(?:[A-Za-z]{2,20}\.?\s*,?\s*)?(\d{1,2})[\s-]+([A-Za-z]{3})[A-Za-z]{0,10}\.?,?[\s-]+(\d{2,4}),?\s+"
    rb"(\d{1,2})\s?[:.]\s?(\d{1,2})(?:\s?[:.]\s?(\d{1,2})(?:[.,]\d{1,9})?)?\s*(?:([+-])(\d{2}):?(\d{2})|([A-Za-z]{1,5}))?"
)
# As nearly all programs write it: what is found so, is found the same way by the other, and ISO 8601 is read in C.
_USUAL = re.compile(rb"(?:[A-Za-z]{3}, )?(\d{1,2} [A-Za-z]{3} \d{4}) (\d\d:\d\d:\d\d) ([+-]\d\d[0-5]\d)").match
_ASCTIME = re.compile(
    rb"\s*(?:[A-Za-z]{3,9}\s+)?([A-Za-z]{3})[A-Za-z]{0,6}\s+(\d{1,2}),?\s+(\d{1,2}):(\d{2})(?::(\d{2}))?\s+"
    rb"(?:([+-])(\d{2}):?(\d{2})\s+|([A-Za-z]{1,5})\s+)?(\d{4})"
)


def format_date(at: datetime) -> str:
    """`at` (aware) as RFC 5322 date-time, with English names whatever the locale is."""
    day, time = f"{at.day:02d} {_MONTHS[at.month - 1]} {at.year:04d}", f"{at.hour:02d}:{at.minute:02d}:{at.second:02d}"
    return f"{_DAYS[at.weekday()]}, {day} {time} {_offset(at.utcoffset() or timedelta())}"


@lru_cache(maxsize=64)  # strftime takes as long as all the rest
def _offset(from_utc: timedelta) -> str:
    minutes = abs(from_utc) // timedelta(minutes=1)
    return f"{'-' if from_utc < timedelta() else '+'}{minutes // 60:02d}{minutes % 60:02d}"


def parse_date(value: bytes) -> datetime | None:
    """The date of a Date field, aware; None when it is none. Lenient (RFC 5322 4.3, asctime) and bounded; never raises.

    Years are within 1900 to 9998, so that every result can be shown in every zone.
    """
    usual = _USUAL(value)
    if usual is not None:
        day, time, zone = usual.groups()
        try:
            return datetime.fromisoformat(f"{_iso_day(day)}T{time.decode()}{zone.decode()}")
        except ValueError:
            pass  # a day that there is not, or a leap second
    return _unusual(_without_comments(value[:_MAX_OCTETS]))


@lru_cache(maxsize=64)  # mail that comes is of few days
def _iso_day(text: bytes) -> str:
    """2026-11-22 for `22 Nov 2026`; empty for what is none."""
    day, month, year = text.split(b" ")
    number = _MONTH_NUMBERS.get(month.lower())
    return f"{year.decode()}-{number:02d}-{int(day):02d}" if number and _FIRST_YEAR <= int(year) <= _LAST_YEAR else ""


def _unusual(text: bytes) -> datetime | None:
    match = _RFC_5322.match(text)
    if match is not None:
        day, month, year, hour, minute, second, sign, hours, minutes, name = match.groups()
    else:
        match = _ASCTIME.match(text)
        if match is None:
            return None
        month, day, hour, minute, second, sign, hours, minutes, name, year = match.groups()
    number = _MONTH_NUMBERS.get(month.lower())
    if number is None:
        return None
    full_year = int(year)
    if len(year) == _TWO_DIGITS:
        full_year += 2000 if full_year < _PIVOT else 1900
    elif len(year) == _THREE_DIGITS:
        full_year += 1900
    if not _FIRST_YEAR <= full_year <= _LAST_YEAR:
        return None
    zone = _zone(sign, hours, minutes, name)
    if zone is None:
        return None
    try:
        # A leap second (60) is the second before: datetime has none.
        return datetime(full_year, number, int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=zone)
    except ValueError:
        return None


@lru_cache(maxsize=256)  # there are not many, and each time zone is an object
def _zone(sign: bytes | None, hours: bytes | None, minutes: bytes | None, name: bytes | None) -> timezone | None:
    if sign is None or hours is None or minutes is None:
        offset = _ZONES.get(name.lower(), 0) if name is not None else 0
        return timezone(timedelta(hours=offset)) if offset else UTC
    if int(hours) >= _MAX_ZONE_HOURS:
        return UTC
    delta = timedelta(hours=int(hours), minutes=min(int(minutes), 59))
    return timezone(-delta if sign == b"-" else delta) if delta else UTC


_OPENING: Final = ord("(")
_COMMENT = re.compile(rb"\([^()]*+\)")


def _without_comments(text: bytes) -> bytes:
    while _OPENING in text:
        stripped = _COMMENT.sub(b" ", text)
        if stripped == text:
            return text.partition(b"(")[0]
        text = stripped
    return text
