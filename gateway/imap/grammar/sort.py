"""SORT and THREAD: which messages, in which order or in which conversations?"""

import re
from dataclasses import dataclass
from types import MappingProxyType

from gateway.imap.grammar.cursor import Cursor, atom
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.partial import option as partial_option
from gateway.imap.grammar.search import SearchKey, SearchOptions, charset_name, returning, search_keys

SORT_KEYS = frozenset({b"ARRIVAL", b"CC", b"DATE", b"DISPLAYFROM", b"DISPLAYTO", b"FROM", b"SIZE", b"SUBJECT", b"TO"})
"""RFC 5256 section 3, RFC 5957."""
ALGORITHMS = frozenset({b"ORDEREDSUBJECT", b"REFERENCES"})
RETURN_OPTIONS: SearchOptions = MappingProxyType(
    {b"MIN": None, b"MAX": None, b"ALL": None, b"COUNT": None, b"PARTIAL": partial_option, b"CONTEXT": None, b"UPDATE": None}
)
"""RFC 5267 sections 3 and 4; what SEARCH gains besides is not SORT's for that."""
MAX_CRITERIA = 32
_REVERSE = re.compile(rb"REVERSE ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SortKey:
    """One criterion, by its name in upper case."""

    name: bytes
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Sort:
    """The messages that match, the first criterion counting most. `returning`: as for SEARCH (ESORT), None without RETURN."""

    criteria: tuple[SortKey, ...]
    key: SearchKey
    by_uid: bool
    returning: tuple[Parameter, ...] | None = None

    def returns(self, option: bytes) -> bool:
        """Is this return option wanted?"""
        return self.returning is not None and any(given.name == option for given in self.returning)


@dataclass(frozen=True, slots=True)
class Thread:
    """The messages that match, in conversations."""

    algorithm: bytes
    key: SearchKey
    by_uid: bool


def sort(c: Cursor, *, by_uid: bool) -> Sort:
    """`sort = ["UID" SP] "SORT" [search-return-opts] SP sort-criteria SP search-criteria`,
    `search-criteria = charset 1*(SP search-key)` (RFC 5256 section 5, RFC 5267 section 6). Raises BadSyntax, BadCharset.
    """
    c.sp()
    wanted = returning(c, RETURN_OPTIONS)
    criteria = _sort_criteria(c)
    c.sp()
    return Sort(criteria, _search_criteria(c), by_uid, wanted)


def thread(c: Cursor, *, by_uid: bool) -> Thread:
    """`thread = ["UID" SP] "THREAD" SP thread-alg SP search-criteria`, `thread-alg = "ORDEREDSUBJECT" / "REFERENCES" / atom`"""
    c.sp()
    algorithm = atom(c, "a threading algorithm").upper()
    if algorithm not in ALGORITHMS:
        c.fail("expected a threading algorithm that this server has before this place")
    c.sp()
    return Thread(algorithm, _search_criteria(c), by_uid)


def _sort_criteria(c: Cursor) -> tuple[SortKey, ...]:
    """`sort-criteria = "(" sort-criterion *(SP sort-criterion) ")"`, `sort-criterion = ["REVERSE" SP] sort-key`"""
    c.need(b"(", "sort criteria")
    found: list[SortKey] = []
    while True:
        reverse = c.match(_REVERSE) is not None
        name = atom(c, "a sort criterion").upper()
        if name not in SORT_KEYS:
            c.fail("expected a sort criterion that this server has before this place")
        found.append(SortKey(name, reverse))
        if c.skip(b")"):
            return tuple(found)
        if len(found) == MAX_CRITERIA:
            c.fail(f"expected at most {MAX_CRITERIA} sort criteria")
        c.sp()


def _search_criteria(c: Cursor) -> SearchKey:
    charset = charset_name(c)
    c.sp()
    return search_keys(c, charset)
