"""Dates as SEARCH and APPEND spell them."""

import datetime
import re
from types import MappingProxyType

from gateway.imap.grammar.cursor import Cursor

_DATE = re.compile(rb"(\")?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})(?(1)\")")
_DATE_TIME = re.compile(rb"\"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})\"")
_MONTHS = MappingProxyType({name: at for at, name in enumerate(b"jan feb mar apr may jun jul aug sep oct nov dec".split(), 1)})
# Within these every time zone still has a date in UTC.
_FIRST_YEAR, _LAST_YEAR = 1000, 9998


def date(c: Cursor) -> datetime.date:
    """`date = date-text / DQUOTE date-text DQUOTE`, `date-text = date-day "-" date-month "-" date-year`"""
    found = _DATE.match(c.text, c.position)
    if found is None:
        c.fail("expected a date like 1-Feb-2024")
    try:
        value = datetime.date(_year(found[4]), _MONTHS[found[3].lower()], int(found[2]))
    except (ValueError, KeyError):
        c.fail("expected a date that exists")
    c.position = found.end()
    return value


def date_time(c: Cursor) -> datetime.datetime:
    """`date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE`; with its time zone.

    A leap second is taken for the second before it.
    """
    found = _DATE_TIME.match(c.text, c.position)
    if found is None:
        c.fail('expected a time like " 1-Feb-2024 13:59:00 +0100"')
    try:
        minutes = int(found[9])
        if minutes > 59:
            raise ValueError
        offset = datetime.timedelta(hours=int(found[8]), minutes=minutes)
        value = datetime.datetime(
            _year(found[3]),
            _MONTHS[found[2].lower()],
            int(found[1]),
            int(found[4]),
            int(found[5]),
            59 if found[6] == b"60" else int(found[6]),
            tzinfo=datetime.timezone(-offset if found[7] == b"-" else offset),
        )
    except (ValueError, KeyError):
        c.fail("expected a time that exists")
    c.position = found.end()
    return value


def _year(octets: bytes) -> int:
    year = int(octets)
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise ValueError
    return year
