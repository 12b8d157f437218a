"""FETCH and UID FETCH: which parts of which messages are wanted?"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from gateway.imap.grammar.cursor import Cursor, again
from gateway.imap.grammar.numbers import SequenceSet, number64, nz_number64, sequence_set
from gateway.imap.grammar.parameters import Parameter, parameters
from gateway.imap.grammar.strings import astring

_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9.-]{0,40}")
_PATH = re.compile(rb"[0-9]{1,10}(?>(?:\.[0-9]{1,10})*)")
_TEXT = re.compile(rb"HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|MIME", re.IGNORECASE)
_LAZY = re.compile(rb" \(LAZY(?: LAZY)*+\)", re.IGNORECASE)
_FIELD = re.compile(rb"[\x21-\x39\x3b-\x7e]+\Z")
_ATOMIC = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+\Z")
MAX_ITEMS = 256
# Deeper than any message is taken apart.
MAX_PATH = 100
MAX_FIELDS = 512
# RFC 5322 section 2.1.1 bounds the line that a field name stands in.
MAX_FIELD = 998


@dataclass(frozen=True, slots=True)
class FetchItem:
    """Something about a message that can be fetched; `label` is how the answer names it."""

    label: bytes


@dataclass(frozen=True, slots=True)
class Attribute(FetchItem):
    """An item that is all said by its name: FLAGS, UID, ENVELOPE, BODY, BODYSTRUCTURE, INTERNALDATE, RFC822, RFC822.SIZE,
    RFC822.HEADER, RFC822.TEXT, MODSEQ, SAVEDATE, EMAILID, THREADID.
    """


class SectionText(Enum):
    """Which part of a message or of one of its parts."""

    HEADER = b"HEADER"
    HEADER_FIELDS = b"HEADER.FIELDS"
    HEADER_FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """BODY[...]: part numbers, then what of that part (None: all of it). Field names in upper case, as often as the client named them:
    it knows the answer by them."""

    path: tuple[int, ...] = ()
    text: SectionText | None = None
    fields: tuple[bytes, ...] = ()

    def spell(self) -> bytes:
        """The section as the answer names it, without brackets."""
        found = b".".join(b"%d" % at for at in self.path)
        if self.text is not None:
            found = found + b"." + self.text.value if found else self.text.value
        if self.fields:
            found += b" (" + b" ".join(name if _ATOMIC.match(name) else _quote(name) for name in self.fields) + b")"
        return found


def _quote(octets: bytes) -> bytes:
    return b'"' + octets.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


@dataclass(frozen=True, slots=True)
class BodySection(FetchItem):
    """BODY[section]<first.count>. `peek`: leaves \\Seen alone. The label has the first octet, as the answer shows it."""

    section: Section = field(default_factory=Section)
    peek: bool = False
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class BinarySection(FetchItem):
    """BINARY[part]<first.count> (RFC 3516 section 4.2): the part with its encoding undone, the partial counted in what that gives."""

    path: tuple[int, ...] = ()
    peek: bool = False
    partial: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class BinarySize(FetchItem):
    """BINARY.SIZE[part]: how many octets BINARY[part] has."""

    path: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch:
    """Messages and what is wanted of each, items in the client's order, each once."""

    messages: SequenceSet
    items: tuple[FetchItem, ...]
    by_uid: bool
    modifiers: tuple[Parameter, ...] = ()


FetchItems = Mapping[bytes, Callable[[Cursor, bytes], FetchItem]]
"""Name in upper case to the rule for what follows it (called with the cursor behind the name, and the name)."""


def fetch(c: Cursor, *, by_uid: bool, items: FetchItems | None = None) -> Fetch:
    """`fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")
    [fetch-modifiers]` (RFC 3501 section 9, RFC 4466 section 2.4). Raises BadSyntax.
    """
    c.sp()
    messages = sequence_set(c)
    c.sp()
    found, modifiers = _known_items(c) if items is None else _items(c, items)
    return Fetch(messages, found, by_uid, modifiers)


def _items(c: Cursor, known: FetchItems) -> tuple[tuple[FetchItem, ...], tuple[Parameter, ...]]:
    """What stands behind the messages."""
    found: dict[FetchItem, None] = {}
    if c.skip(b"("):
        while True:
            found[fetch_att(c, known)] = None
            if c.skip(b")"):
                break
            if len(found) == MAX_ITEMS:
                c.fail(f"expected at most {MAX_ITEMS} items")
            c.sp()
    else:
        start = c.position
        macro = MACROS.get((c.match(_NAME) or b"").upper())
        if macro is None:
            c.position = start
            found[fetch_att(c, known)] = None
        else:
            found = dict.fromkeys(macro)
    modifiers = parameters(c, "a modifier of FETCH") if c.skip(b" ") else ()
    return tuple(found), modifiers


def fetch_att(c: Cursor, items: FetchItems) -> FetchItem:
    """`fetch-att = "ENVELOPE" / "FLAGS" / "INTERNALDATE" / "RFC822" [".HEADER" / ".SIZE" / ".TEXT"] / "BODY" ["STRUCTURE"] /
    "UID" / "BODY" section [partial] / "BODY.PEEK" section [partial]`, `partial = "<" number64 "." nz-number64 ">"` (RFC 9051)
    """
    name = c.expect(_NAME, "something to fetch").upper()
    rule = items.get(name)
    if rule is None:
        c.fail("expected something to fetch that this server has before this place")
    return rule(c, name)


def attribute(c: Cursor, name: bytes) -> FetchItem:
    """An item that has nothing behind its name."""
    return ATTRIBUTES.get(name) or Attribute(name)


def preview(c: Cursor, name: bytes) -> FetchItem:
    """`"PREVIEW" [SP "(" preview-mod *(SP preview-mod) ")"]`, `preview-mod = "LAZY"` (RFC 8970 section 6). What is lazy is made too."""
    c.match(_LAZY)
    return Attribute(name)


def body(c: Cursor, name: bytes) -> FetchItem:
    """`"BODY"`, or with a section."""
    if c.peek() != b"[":
        return ATTRIBUTES[name]
    return _body_section(c, peek=False)


def body_peek(c: Cursor, name: bytes) -> FetchItem:
    """`"BODY.PEEK" section [partial]`"""
    return _body_section(c, peek=True)


def _body_section(c: Cursor, *, peek: bool) -> BodySection:
    found = section(c)
    partial = _partial(c)
    return BodySection(_labelled(b"BODY", found.spell(), partial), found, peek, partial)


def _partial(c: Cursor) -> tuple[int, int] | None:
    """`partial = "<" number64 "." nz-number64 ">"` (RFC 9051), if there is one."""
    if not c.skip(b"<"):
        return None
    first = number64(c)
    c.need(b".", "a dot and a count")
    found = first, nz_number64(c)
    c.need(b">", ">")
    return found


def _labelled(name: bytes, inside: bytes, partial: tuple[int, int] | None) -> bytes:
    return b"%b[%b]" % (name, inside) if partial is None else b"%b[%b]<%d>" % (name, inside, partial[0])


def binary(c: Cursor, name: bytes) -> FetchItem:
    """`"BINARY" [".PEEK"] section-binary [partial]` (RFC 3516 section 7)"""
    path = section_binary(c)
    partial = _partial(c)
    return BinarySection(_labelled(b"BINARY", Section(path).spell(), partial), path, name != b"BINARY", partial)


def binary_size(c: Cursor, name: bytes) -> FetchItem:
    """`"BINARY.SIZE" section-binary`"""
    path = section_binary(c)
    return BinarySize(_labelled(name, Section(path).spell(), None), path)


def section_binary(c: Cursor) -> tuple[int, ...]:
    """`section-binary = "[" [section-part] "]"`"""
    c.need(b"[", "a section in brackets")
    path = _section_part(c)
    c.need(b"]", "part numbers and ]")
    return path


def section(c: Cursor) -> Section:
    """`section = "[" [section-spec] "]"`, `section-spec = section-msgtext / (section-part ["." section-text])`,
    `section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"`, `section-part = nz-number *("." nz-number)`,
    `section-text = section-msgtext / "MIME"`
    """
    c.need(b"[", "a section in brackets")
    path = _section_part(c)
    if path and c.skip(b"]"):
        return Section(path)
    if not path and c.skip(b"]"):
        return Section()
    if path:
        c.need(b".", "a dot or ]")
    kind = SectionText(c.expect(_TEXT, "HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, MIME or a part number").upper())
    if kind is SectionText.MIME and not path:
        c.fail("expected a part number before MIME")
    fields: tuple[bytes, ...] = ()
    if kind is SectionText.HEADER_FIELDS or kind is SectionText.HEADER_FIELDS_NOT:
        c.sp()
        fields = header_list(c)
    c.need(b"]", "]")
    return Section(path, kind, fields)


def _section_part(c: Cursor) -> tuple[int, ...]:
    octets = c.match(_PATH)
    if octets is None:
        return ()
    steps = octets.split(b".")
    if len(steps) > MAX_PATH:
        c.fail(f"expected at most {MAX_PATH} part numbers before this place")
    path = tuple(map(int, steps))
    if not all(0 < step <= 0xFFFFFFFF for step in path):
        c.fail("expected part numbers above zero before this place")
    return path


def header_list(c: Cursor) -> tuple[bytes, ...]:
    """`header-list = "(" header-fld-name *(SP header-fld-name) ")"`, `header-fld-name = astring`; in upper case."""
    c.need(b"(", "a list of header fields")
    found: list[bytes] = []
    while True:
        name = astring(c, "the name of a header field")
        # What is no field name is in no message; echoing it would only put octets into the answer.
        if not _FIELD.match(name) or len(name) > MAX_FIELD:
            c.fail("expected the name of a header field before this place")
        found.append(name.upper())
        if c.skip(b")"):
            return tuple(found)
        if len(found) == MAX_FIELDS:
            c.fail(f"expected at most {MAX_FIELDS} header fields")
        c.sp()


ATTRIBUTES: Mapping[bytes, Attribute] = MappingProxyType(
    {
        name: Attribute(name)
        for name in (
            b"ENVELOPE",
            b"FLAGS",
            b"INTERNALDATE",
            b"RFC822",
            b"RFC822.HEADER",
            b"RFC822.SIZE",
            b"RFC822.TEXT",
            b"BODY",
            b"BODYSTRUCTURE",
            b"UID",
            b"MODSEQ",
            b"SAVEDATE",
            b"EMAILID",
            b"THREADID",
        )
    }
)

FETCH_ITEMS: FetchItems = MappingProxyType(
    {
        **dict.fromkeys(ATTRIBUTES, attribute),
        b"BODY": body,
        b"BODY.PEEK": body_peek,
        b"BINARY": binary,
        b"BINARY.PEEK": binary,
        b"BINARY.SIZE": binary_size,
        b"PREVIEW": preview,
    }
)
"""What can be fetched. An extension adds a row."""

_known_items = again(lambda c: _items(c, FETCH_ITEMS))

_FAST = (ATTRIBUTES[b"FLAGS"], ATTRIBUTES[b"INTERNALDATE"], ATTRIBUTES[b"RFC822.SIZE"])
MACROS: Mapping[bytes, tuple[FetchItem, ...]] = MappingProxyType(
    {
        b"FAST": _FAST,
        b"ALL": (*_FAST, ATTRIBUTES[b"ENVELOPE"]),
        b"FULL": (*_FAST, ATTRIBUTES[b"ENVELOPE"], ATTRIBUTES[b"BODY"]),
    }
)
