"""PARTIAL: which part of a result is wanted, from its beginning or from its end?"""

import re
from dataclasses import dataclass

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadSyntax, Cursor
from gateway.imap.grammar.parameters import Parameter

_RANGE = re.compile(rb"(-?)([0-9]{1,10}):(-?)([0-9]{1,10})(?![0-9])")
_LARGEST = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class PartialRange:
    """Results `first` to `last`, counted from 1; `from_end`: from the last result backwards. As they were written: either may be the
    greater (RFC 9394 section 4: 500:400 is the same as 400:500)."""

    first: int
    last: int
    from_end: bool = False

    def spell(self) -> bytes:
        """As the answer repeats it: what is nearer to where one counts from stands first."""
        sign = b"-" if self.from_end else b""
        return b"%b%d:%b%d" % (sign, min(self.first, self.last), sign, max(self.first, self.last))

    def within(self, count: int) -> tuple[int, int]:
        """Places low..high, high excluded, counted from 0, of what there is of the range in so many results; low == high: nothing."""
        low, high = min(self.first, self.last), max(self.first, self.last)
        if self.from_end:
            low, high = count - high + 1, count - low + 1
        low, high = max(low, 1), min(high, count)
        return (low - 1, high) if low <= high else (0, 0)


def partial_range(c: Cursor) -> PartialRange:
    """`partial-range = partial-range-first / partial-range-last`, `partial-range-first = nz-number ":" nz-number`,
    `partial-range-last = MINUS nz-number ":" MINUS nz-number` (RFC 9394 section 4, RFC 5267 section 5)
    """
    found = _RANGE.match(c.text, c.position)
    if found is None or found[1] != found[3]:
        c.fail("expected a range of results, 1:100 or -1:-100")
    first, last = int(found[2]), int(found[4])
    if not (0 < first <= _LARGEST and 0 < last <= _LARGEST):
        c.fail("expected results from 1 to 4294967295")
    c.position = found.end()
    return PartialRange(first, last, bool(found[1]))


def option(c: Cursor) -> bytes:
    """`modifier-partial = "PARTIAL" SP partial-range`, after the name: a return option of SEARCH and SORT."""
    c.sp()
    return partial_range(c).spell()


def read(value: bytes) -> PartialRange:
    """The value of a return option or modifier. Raises BadSyntax."""
    return Cursor(Frame((value,))).whole(partial_range)


def fetch_modifier(found: tuple[Parameter, ...], *, by_uid: bool) -> tuple[PartialRange | None, tuple[Parameter, ...]]:
    """`fetch-modifier =/ modifier-partial`, for UID FETCH only (RFC 9394 section 3.3), and the other modifiers. Raises BadSyntax."""
    wanted: PartialRange | None = None
    others: list[Parameter] = []
    for one in found:
        if one.name != b"PARTIAL":
            others.append(one)
            continue
        if not by_uid or not isinstance(one.value, bytes):
            raise BadSyntax("PARTIAL is for UID FETCH, with a range of results")
        wanted = read(one.value)
    return wanted, tuple(others)
