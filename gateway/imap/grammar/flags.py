"""Flags as clients spell them."""

import re
from types import MappingProxyType

from gateway.imap.grammar.cursor import Cursor

_FLAG = re.compile(rb"\\?[^\x00-\x20\x7f-\xff(){%*\"\\\]]+")
# A keyword is kept for good; nobody needs one longer than this.
MAX_KEYWORD = 128
MAX_FLAGS = 256

SYSTEM_FLAGS = MappingProxyType({name.lower(): name for name in (b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Draft")})


def flag(c: Cursor) -> bytes:
    """`flag = "\\Answered" / "\\Flagged" / "\\Deleted" / "\\Seen" / "\\Draft" / flag-keyword / flag-extension`

    System flags come back in the RFC's spelling, keywords as sent. `\\Recent` is no flag a client may set; an extension
    flag that is not known is refused, since RFC 3501 keeps them for future standards.
    """
    found = c.expect(_FLAG, "a flag")
    if found.startswith(b"\\"):
        known = SYSTEM_FLAGS.get(found.lower())
        if known is None:
            c.fail("expected a keyword, \\Seen, \\Answered, \\Flagged, \\Deleted or \\Draft before this place")
        return known
    if len(found) > MAX_KEYWORD:
        c.fail(f"expected a keyword of at most {MAX_KEYWORD} octets before this place")
    return found


def _spaced(c: Cursor) -> tuple[bytes, ...]:
    found = [flag(c)]
    while c.skip(b" "):
        if len(found) == MAX_FLAGS:
            c.fail(f"expected at most {MAX_FLAGS} flags")
        found.append(flag(c))
    return tuple(found)


def flag_list(c: Cursor) -> tuple[bytes, ...]:
    """`flag-list = "(" [flag *(SP flag)] ")"`"""
    c.need(b"(", "a list of flags")
    if c.skip(b")"):
        return ()
    found = _spaced(c)
    c.need(b")", "a flag or )")
    return found


def store_flags(c: Cursor) -> tuple[bytes, ...]:
    """`(flag-list / (flag *(SP flag)))`, as in `store-att-flags`"""
    return flag_list(c) if c.peek() == b"(" else _spaced(c)
