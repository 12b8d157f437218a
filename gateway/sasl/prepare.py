"""SASLprep (RFC 4013): user names and passwords in the one form in which they are compared."""

import stringprep
import unicodedata


class Unprepared(ValueError):
    """The text has characters that no user name or password may have."""


_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, *, stored: bool) -> str:
    """`stored`: for what is kept, in which code points that Unicode 3.2 did not assign are refused (RFC 3454 section 7).

    Raises Unprepared.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(" " if stringprep.in_table_c12(one) else one for one in text if not stringprep.in_table_b1(one))
    prepared = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    if any(prohibited(one) for one in prepared for prohibited in _PROHIBITED):
        raise Unprepared("a character that is not allowed")
    if stored and any(stringprep.in_table_a1(one) for one in prepared):
        raise Unprepared("a character that Unicode 3.2 does not know")
    _check_direction(prepared)
    return prepared


def _check_direction(text: str) -> None:
    """RFC 3454 section 6: a text with letters that run from right to left has no others, and begins and ends with one."""
    if not any(stringprep.in_table_d1(one) for one in text):
        return
    if any(stringprep.in_table_d2(one) for one in text):
        raise Unprepared("letters of both directions")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise Unprepared("letters of both directions")
