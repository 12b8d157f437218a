"""CANCELUPDATE: which searches need no longer be followed?"""

from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.strings import quoted

MAX_TAGS = 256


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """No updates for the searches that had these tags, each once."""

    tags: tuple[bytes, ...]


def cancelupdate(c: Cursor) -> CancelUpdate:
    """`"CANCELUPDATE" 1*(SP quoted)` (RFC 5267 section 5)"""
    found: dict[bytes, None] = {}
    while not found or not c.at_end():
        if len(found) == MAX_TAGS:
            c.fail(f"expected at most {MAX_TAGS} tags")
        c.sp()
        if c.peek() != b'"':
            c.fail("expected the tag of a search, in quotes")
        found[quoted(c)] = None
    return CancelUpdate(tuple(found))
