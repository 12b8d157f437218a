"""Where the header of a message ends, and where each of its fields begins and ends.

Two readings exist because two duties exist. What a user submits is read strictly: a header that two programs could
read differently is refused (robustness.md 2.4 a). What others deliver or a client stores is read leniently: it is
never refused, and whatever is no field is skipped.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple

# Postfix keeps about 100 KiB of header; mail with long ARC chains or thousands of recipients reaches several hundred.
MAX_HEADER_OCTETS: Final = 1024 * 1024
# Honest mail has up to about 150 (long Received and ARC chains); each field costs an object.
MAX_HEADER_FIELDS: Final = 2000


class Offence(StrEnum):
    """Why a submitted header is refused; the value is the sentence for the reply."""

    BARE_CR = "carriage return without line feed"
    BARE_LF = "line feed without carriage return"
    NUL = "NUL octet"
    CONTROL = "control character"
    LINE_SEPARATOR = "Unicode line separator or control character"
    NO_COLON = "line without colon"
    BAD_NAME = "field name with forbidden characters"
    BLANK_BEFORE_COLON = "blank before the colon"
    LEADING_CONTINUATION = "first line is a continuation"
    BLANK_CONTINUATION = "continuation line with nothing but blanks"
    BLANK_FIRST_LINE = "first line is empty"
    TOO_LARGE = "header is too large"
    TOO_MANY_FIELDS = "too many header fields"
    DUPLICATE = "field occurs more than once"
    EMPTY = "no address"
    EMPTY_ELEMENT = "empty element in the address list"
    NOT_ONE = "more than one address"
    TOO_MANY_ADDRESSES = "too many addresses"
    GROUP = "group syntax"
    ROUTE = "source route"
    QUOTED_LOCAL_PART = "quoted local part"
    DOMAIN_LITERAL = "domain literal"
    ENCODED_WORD = "encoded word in an address"
    TEXT_AFTER_ADDRESS = "text after the address"
    TWO_ADDRESSES = "at sign outside the angle address"
    NO_ADDRESS = "name without address"
    BAD_ANGLE = "angle brackets without a plain address"
    BAD_LOCAL_PART = "local part is no dot-atom"
    BAD_DOMAIN = "domain is no list of labels"
    NEEDS_SMTPUTF8 = "non-ASCII address without SMTPUTF8"
    INVALID_UTF8 = "octets that are not UTF-8"
    UNBALANCED_QUOTE = "unbalanced quotation mark"
    UNBALANCED_COMMENT = "unbalanced parenthesis"
    DEEP_COMMENT = "comments nested too deeply"
    SPECIAL = "special character outside quotation marks"


class MalformedHeader(Exception):
    """A submitted header that is refused (550 5.6.0); `field` is the field's name in lower case, or empty."""

    def __init__(self, field: bytes, offence: Offence) -> None:
        self.field = field
        self.offence = offence
        name = field.decode("ascii", "backslashreplace")
        super().__init__(f"{name}: {offence.value}" if name else offence.value)


class Field(NamedTuple):
    """One header field; a named tuple because a message has twenty of them and each is made on the hot path."""

    name: bytes
    """Lower case."""
    start: int
    """Offset of the name."""
    value: int
    """Offset of the octet after the colon."""
    end: int
    """Offset after the field's last line ending, continuations included."""


class Header(NamedTuple):
    """The fields of one header, in order, as offsets into the octets they were read from."""

    start: int
    fields: tuple[Field, ...]
    end: int
    """Offset after the last field: where the empty line stands, if there is one."""
    body: int
    """Offset after the empty line."""
    complete: bool = True
    """False when a limit kept later fields off the list."""

    def find(self, name: bytes) -> tuple[Field, ...]:
        """All fields of that (lower-case) name, in order."""
        return tuple([field for field in self.fields if field.name == name])

    def first(self, name: bytes) -> Field | None:
        """The first field of that (lower-case) name."""
        for field in self.fields:
            if field.name == name:
                return field
        return None


Values = Mapping[bytes, Sequence[bytes]]
"""What stands in the fields of some names, unfolded and in order; nothing of those that there are not."""

_EMPTY_LINE = re.compile(rb"\n\r?\n")
_LENIENT_FIELD = re.compile(rb"^([!-9;-~]++)[ \t]*+:(.*+(?:\n[ \t].*+)*+\n?)", re.MULTILINE)
_FIELD_NAME = re.compile(rb"[!-9;-~]++").fullmatch
_STRICT_FIELD = re.compile(rb"([!-9;-~]++):(.*+(?:\n[ \t].*+)*+\n?)")
_BLANK_CONTINUATION = re.compile(rb"\n[ \t]++(?:\r\n|\Z)")
_UTF8_CONTROL = re.compile(rb"\xc2[\x80-\x9f]|\xe2\x80[\xa8\xa9]")
_LINE_FEED: Final = 0x0A
_ALLOWED_OCTETS: Final = bytes([0x09, 0x0A, 0x0D, *range(0x20, 0x7F), *range(0x80, 0x100)])


def read_header(
    octets: bytes,
    start: int = 0,
    end: int | None = None,
    *,
    max_octets: int = MAX_HEADER_OCTETS,
    max_fields: int = MAX_HEADER_FIELDS,
) -> Header:
    """Read the header of a stored or received message (or body part) leniently: never raises.

    Lines may end in CRLF or LF. Without an empty line everything is header. Lines that are no field are skipped.
    `start` must be 0 or follow a line ending; fields that begin beyond a limit are left off and `complete` is False.
    """
    stop = len(octets) if end is None else end
    if octets.startswith(b"\n", start, stop):
        return Header(start, (), start, start + 1)
    if octets.startswith(b"\r\n", start, stop):
        return Header(start, (), start, start + 2)
    empty = _EMPTY_LINE.search(octets, start, stop)
    fields_end, body = (stop, stop) if empty is None else (empty.start() + 1, empty.end())
    limit = min(fields_end, start + max_octets)
    fields: list[Field] = []
    made = tuple.__new__  # a named tuple's own way to be made takes twice as long, and there are twenty of them in a message
    for match in _LENIENT_FIELD.finditer(octets, start, limit):
        if len(fields) == max_fields:
            return Header(start, tuple(fields), fields_end, body, complete=False)
        fields.append(made(Field, (match[1].lower(), match.start(), match.start(2), match.end())))
    return Header(start, tuple(fields), fields_end, body, complete=limit == fields_end)


def end_of_header(octets: bytes) -> int | None:
    """Where the body begins, as `read_header` sees it, without a look at the fields; None: there is no empty line, all is header."""
    if octets.startswith(b"\n"):
        return 1
    if octets.startswith(b"\r\n"):
        return 2
    empty = _EMPTY_LINE.search(octets)
    return None if empty is None else empty.end()


def fields_named(head: bytes, names: Iterable[bytes]) -> list[tuple[int, int]]:
    """Start and end of the fields of these (lower-case) names in a header, empty line included or not, in its order: what `read_header`
    finds, without making anything of the other fields."""
    pattern = _of_names(frozenset(names))
    if pattern is None:
        return []
    # What is looked for has one octet more in front, so each place is one less in `head`; of the line end that a field shares with
    # the next one nothing is taken.
    size = len(head)
    return [(field.start(), min(field.end(), size)) for field in pattern.finditer(b"\n" + head)]


def cutter(names: Iterable[bytes]) -> Callable[[bytes], bytes]:
    """For many headers, each with its empty line: the octets of the fields that `fields_named` finds in it, one behind the other."""
    pattern = _of_names(frozenset(names))
    if pattern is None:
        return lambda head: b""
    find = pattern.findall

    def cut(head: bytes) -> bytes:
        found = find(b"\n" + head)
        # Each was found with the line end before it, and without its own.
        return b"".join(found)[1:] + b"\n" if found else b""

    return cut


@lru_cache(maxsize=64)
def _of_names(names: frozenset[bytes]) -> re.Pattern[bytes] | None:
    """Clients ask for the same few fields again and again. None: no field has such a name."""
    possible = [re.escape(name) for name in sorted(names) if _FIELD_NAME(name) is not None]
    if not possible:
        return None
    # It begins with one literal octet, for which the engine looks fast.
    return re.compile(rb"\n(?:%b)[ \t]*+:.*+(?:\n[ \t].*+)*+(?=\n|\Z)" % b"|".join(possible), re.IGNORECASE)


def read_submitted_header(octets: bytes, *, max_octets: int = MAX_HEADER_OCTETS, max_fields: int = MAX_HEADER_FIELDS) -> Header:
    """Read the header of a submitted message strictly (delegation.md 5.1, robustness.md 2.4 a).

    Raises MalformedHeader for everything that two programs could read differently.
    """
    if octets.startswith((b"\r\n", b"\n")):
        raise MalformedHeader(b"", Offence.BLANK_FIRST_LINE)
    # One octet of room before and after: an ill line ending next to the limit is still seen.
    at = octets.find(b"\r\n\r\n", 0, max_octets + 4)
    fields_end, body = (len(octets), len(octets)) if at < 0 else (at + 2, at + 4)
    if fields_end > max_octets:
        raise MalformedHeader(b"", Offence.TOO_LARGE)
    block = octets[:fields_end]
    _refuse_controls(block)
    if block.startswith((b" ", b"\t")):
        raise MalformedHeader(b"", Offence.LEADING_CONTINUATION)
    blank = _BLANK_CONTINUATION.search(block)
    if blank is not None:
        raise MalformedHeader(_name_before(block, blank.start()), Offence.BLANK_CONTINUATION)
    fields: list[Field] = []
    position = 0
    while position < fields_end:
        match = _STRICT_FIELD.match(block, position)
        if match is None:
            raise _offence_of_line(block, position)
        if len(fields) == max_fields:
            raise MalformedHeader(b"", Offence.TOO_MANY_FIELDS)
        fields.append(Field(match[1].lower(), position, match.start(2), match.end()))
        position = match.end()
    return Header(0, tuple(fields), fields_end, body)


def unfolded(octets: bytes, field: Field) -> bytes:
    """The field's value with folding removed (RFC 5322 2.2.3) and without blanks around it."""
    _, _, start, end = field
    value = octets[start:end].strip(b" \t\r\n")
    if _LINE_FEED in value:  # one octet is looked for in a tenth of the instructions that a string takes
        value = value.replace(b"\r\n", b"").replace(b"\n", b"")
    return value


def values_of(octets: bytes, header: Header, names: Collection[bytes]) -> Values:
    """Of the fields with one of these (lower-case) names."""
    values: dict[bytes, list[bytes]] = {}
    for field in header.fields:
        name = field.name
        if name in names:
            there = values.get(name)
            if there is None:
                values[name] = [unfolded(octets, field)]
            else:
                there.append(unfolded(octets, field))
    return values


def _refuse_controls(block: bytes) -> None:
    pairs = block.count(b"\r\n")
    strange = block.translate(None, _ALLOWED_OCTETS)
    if strange:
        at = block.index(strange[:1])
        raise MalformedHeader(_name_before(block, at), Offence.NUL if strange[0] == 0 else Offence.CONTROL)
    if block.count(b"\r") != pairs:
        at = next(m.start() for m in re.finditer(rb"\r(?!\n)", block))
        raise MalformedHeader(_name_before(block, at), Offence.BARE_CR)
    if block.count(b"\n") != pairs:
        at = next(m.start() for m in re.finditer(rb"(?<!\r)\n", block))
        raise MalformedHeader(_name_before(block, at), Offence.BARE_LF)
    if not block.isascii():
        # Programs that split lines as str.splitlines does would see another header here (robustness.md 2.4).
        separator = _UTF8_CONTROL.search(block)
        if separator is not None:
            raise MalformedHeader(_name_before(block, separator.start()), Offence.LINE_SEPARATOR)


def _name_before(block: bytes, position: int) -> bytes:
    """The name of the field that holds `position`, for the reply."""
    found = b""
    for match in re.finditer(rb"(?:\A|\r\n)([!-9;-~]{1,80})[ \t]*+:", block[:position]):
        found = match[1]
    return found.lower()


def _offence_of_line(block: bytes, position: int) -> MalformedHeader:
    line = block[position:].split(b"\r\n", 1)[0]
    name, colon, _ = line.partition(b":")
    if not colon:
        return MalformedHeader(b"", Offence.NO_COLON)
    trimmed = name.rstrip(b" \t")
    if trimmed != name and re.fullmatch(rb"[!-9;-~]{1,80}", trimmed):
        return MalformedHeader(trimmed.lower(), Offence.BLANK_BEFORE_COLON)
    return MalformedHeader(b"", Offence.BAD_NAME)
