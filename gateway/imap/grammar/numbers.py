"""Numbers, and sets of message numbers that are never counted out."""

import re
from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor

_DIGITS = re.compile(rb"[0-9]{1,10}(?![0-9])")
_LONG_DIGITS = re.compile(rb"[0-9]{1,19}(?![0-9])")
_SET = re.compile(rb"(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?(?>(?:,(?:[0-9]{1,10}|\*)(?::(?:[0-9]{1,10}|\*))?)*)")
HIGHEST_UID = 0xFFFFFFFF
_LARGEST = HIGHEST_UID
_LARGEST64 = 0x7FFFFFFFFFFFFFFF
# As many as fit into a line of 64 KiB; what resolves them merges first, so the number itself costs little.
MAX_MEMBERS = 16384

STAR = 0
"""Stands for `*`, the largest number in use, in a SequenceSet."""


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Slices (first, last) as they were written, STAR for `*`; `4:*` and `*:4` mean the same, and so do `2:4` and `4:2`.

    None at all: SAVED.
    """

    slices: tuple[tuple[int, int], ...]


SAVED = SequenceSet(())
"""`$`: what the last SEARCH with RETURN (SAVE) found (RFC 5182 section 2.1)."""


def number(c: Cursor) -> int:
    """`number = 1*DIGIT` (0 <= n < 4,294,967,296)"""
    found = int(c.expect(_DIGITS, "a number below 4294967296"))
    if found > _LARGEST:
        c.fail("expected a number below 4294967296 before this place")
    return found


def nz_number(c: Cursor) -> int:
    """`nz-number = digit-nz *DIGIT` (0 < n < 4,294,967,296); leading zeros are let through."""
    found = number(c)
    if not found:
        c.fail("expected a number above zero before this place")
    return found


def number64(c: Cursor) -> int:
    """`number64 = 1*DIGIT` (0 <= n <= 9,223,372,036,854,775,807; RFC 9051), `mod-sequence-valzer` of RFC 7162."""
    found = int(c.expect(_LONG_DIGITS, "a number of 63 bits"))
    if found > _LARGEST64:
        c.fail("expected a number of 63 bits before this place")
    return found


def nz_number64(c: Cursor) -> int:
    """`nz-number64 = digit-nz *DIGIT` (0 < n <= 9,223,372,036,854,775,807; RFC 9051)"""
    found = number64(c)
    if not found:
        c.fail("expected a number above zero before this place")
    return found


def sequence_set(c: Cursor) -> SequenceSet:
    """`sequence-set = (seq-number / seq-range) *("," sequence-set)`, `seq-number = nz-number / "*"`,
    `seq-range = seq-number ":" seq-number`, `sequence-set =/ seq-last-command`, `seq-last-command = "$"` (RFC 5182 section 4)
    """
    if c.skip(b"$"):
        return SAVED
    text = c.expect(_SET, "message numbers")
    if text.isdigit():
        low = _seq_number(c, text)
        return SequenceSet(((low, low),))
    members = text.split(b",")
    if len(members) > MAX_MEMBERS:
        c.fail(f"expected at most {MAX_MEMBERS} members in a set of messages")
    slices: list[tuple[int, int]] = []
    for member in members:
        first, colon, last = member.partition(b":")
        low = _seq_number(c, first)
        slices.append((low, _seq_number(c, last) if colon else low))
    return SequenceSet(tuple(slices))


def _seq_number(c: Cursor, octets: bytes) -> int:
    if octets == b"*":
        return STAR
    found = int(octets)
    if not 0 < found <= _LARGEST:
        c.fail("expected message numbers from 1 to 4294967295 before this place")
    return found
