"""GETMETADATA, SETMETADATA: entries of a folder and what stands in them."""

import re
from dataclasses import dataclass, field

from gateway.imap.grammar.cursor import Cursor, atom
from gateway.imap.grammar.numbers import number
from gateway.imap.grammar.strings import astring, mailbox, nstring

MAX_ENTRY = 256
MAX_ENTRIES = 100
_ENTRY = re.compile(rb"/(?:private|shared)(?:/[^/*%\x00-\x1f\x7f-\xff]+)*\Z", re.IGNORECASE)
_DEPTHS = {b"0": 0, b"1": 1, b"INFINITY": None}


@dataclass(frozen=True, slots=True)
class GetMetadata:
    """Entries in lower case, each once. `mailbox` "": the server's. `depth`: levels below them, None: all."""

    mailbox: str
    entries: tuple[str, ...]
    max_size: int | None = None
    depth: int | None = 0


@dataclass(frozen=True, slots=True)
class SetMetadata:
    """Entries in lower case, each once, and their values; None takes one away."""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...] = field(repr=False)


def getmetadata(c: Cursor) -> GetMetadata:
    """`getmetadata = "GETMETADATA" [SP getmetadata-options] SP mailbox SP entries`, `entries = entry / "(" entry *(SP entry) ")"`
    (RFC 5464 section 5); the options are taken behind the mailbox too (its erratum 2785).
    """
    c.sp()
    options = _options(c) if c.peek() == b"(" else None
    if options is not None:
        c.sp()
    name = mailbox(c)
    c.sp()
    if options is None and c.peek() == b"(" and c.text[c.position + 1 : c.position + 2] not in (b"/", b'"', b""):
        options = _options(c)
        c.sp()
    max_size, depth = options or (None, 0)
    found = entries(c) if c.peek() == b"(" else (entry(c),)
    return GetMetadata(name, found, max_size, depth)


def _options(c: Cursor) -> tuple[int | None, int | None]:
    """`"(" getmetadata-option *(SP getmetadata-option) ")"`, `"MAXSIZE" SP number / "DEPTH" SP ("0" / "1" / "infinity")`"""
    c.need(b"(", "options")
    max_size: int | None = None
    depth: int | None = 0
    given: set[bytes] = set()
    while True:
        name = atom(c, "an option").upper()
        if name not in (b"MAXSIZE", b"DEPTH") or name in given:
            c.fail("expected MAXSIZE or DEPTH, each once, before this place")
        given.add(name)
        c.sp()
        if name == b"MAXSIZE":
            max_size = number(c)
        else:
            wanted = atom(c, "a depth").upper()
            if wanted not in _DEPTHS:
                c.fail("expected 0, 1 or infinity before this place")
            depth = _DEPTHS[wanted]
        if c.skip(b")"):
            return max_size, depth
        c.sp()


def setmetadata(c: Cursor) -> SetMetadata:
    """`setmetadata = "SETMETADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"`, `value = nstring / literal8`"""
    c.sp()
    name = mailbox(c)
    c.sp()
    c.need(b"(", "entries and values")
    found: dict[str, bytes | None] = {}
    while True:
        one = entry(c)
        if one in found or one.count("/") < 2:
            c.fail("expected the name of an entry below /private or /shared, each once, before this place")
        c.sp()
        found[one] = _value(c)
        if c.skip(b")"):
            return SetMetadata(name, tuple(found.items()))
        if len(found) == MAX_ENTRIES:
            c.fail(f"expected at most {MAX_ENTRIES} entries")
        c.sp()


def _value(c: Cursor) -> bytes | None:
    if c.at_literal8():
        c.skip(b"~")
        return c.take_literal()
    return nstring(c, "a value")


def entries(c: Cursor) -> tuple[str, ...]:
    """`"(" entry *(SP entry) ")"`, as LIST's METADATA has it too (RFC 9590 section 3)."""
    c.need(b"(", "entries")
    found: dict[str, None] = {}
    while True:
        found[entry(c)] = None
        if c.skip(b")"):
            return tuple(found)
        if len(found) == MAX_ENTRIES:
            c.fail(f"expected at most {MAX_ENTRIES} entries")
        c.sp()


def entry(c: Cursor) -> str:
    """`entry = astring`: slash-separated, case makes no difference, no `*`, `%`, no octets above 127 (RFC 5464 section 3.2)."""
    octets = astring(c, "the name of an entry")
    if len(octets) > MAX_ENTRY or _ENTRY.match(octets) is None:
        c.fail(f"expected the name of an entry of at most {MAX_ENTRY} octets, of /private or /shared, before this place")
    return octets.decode("ascii").lower()
