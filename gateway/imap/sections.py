"""Which octets of a stored message does BODY[section] mean?"""

from collections.abc import Callable, Iterable, Iterator

from gateway.imap.grammar.fetch import Section, SectionText
from gateway.message.encoding import CHUNK, decoder
from gateway.message.split import Field, Header, fields_named, read_header
from gateway.message.structure import Part

# Each name costs a look through the header, which is short then: beyond this all fields are read once.
_SEVERAL = 32
_LARGE = 64 * 1024

Piece = bytes | memoryview
"""Octets of a message; beyond 64 KiB they are not copied, so that a command may ask for the same ones many times."""

Structure = Callable[[], Part]
"""The message's structure, made only when a section has part numbers."""


def find_part(message: Part, path: Iterable[int]) -> Part | None:
    """The part that has these numbers, None if there is none.

    RFC 3501 section 6.4.5: the parts of a multipart are counted from 1; a message that is no multipart has part 1, its body; the
    numbers go on inside a message/rfc822 part as in any message.
    """
    part = message
    # The numbers belong to the message around them, until a part is stepped into.
    inside_message = True
    for number in path:
        if not inside_message:
            embedded = part.embedded
            if embedded is not None:
                part = embedded
                inside_message = True
            elif not part.is_multipart:
                return None
        if part.is_multipart:
            if not 1 <= number <= len(part.children):
                return None
            part = part.children[number - 1]
        elif number != 1 or not inside_message:
            return None
        inside_message = False
    return part


def header_section(head: bytes, wanted: Section) -> Piece | None:
    """HEADER, HEADER.FIELDS or HEADER.FIELDS.NOT of a message whose header this is: the same as `section` finds in the whole message."""
    match wanted.text:
        case SectionText.HEADER:
            return head
        case SectionText.HEADER_FIELDS if len(wanted.fields) <= _SEVERAL and len(head) <= _LARGE:
            return _ended([head[start:end] for start, end in fields_named(head, {name.lower() for name in wanted.fields})])
        case _:
            return _of_message(head, read_header(head), len(head), wanted)


def section(octets: bytes, wanted: Section, structure: Structure) -> Piece | None:
    """The octets of a section as they are stored, None where the message has no such part.

    RFC 3501 section 6.4.5. HEADER and TEXT of a part exist for message/rfc822 only; MIME is the part's own header. HEADER.FIELDS
    gives whole fields in the message's order and the empty line at the end.
    """
    if not wanted.path:
        return octets if wanted.text is None else _of_message(octets, read_header(octets), len(octets), wanted)
    part = find_part(structure(), wanted.path)
    if part is None:
        return None
    if wanted.text is None:
        return between(octets, part.body, part.end)
    if wanted.text is SectionText.MIME:
        # Part 1 of a message that is no multipart has no header of its own but the message's.
        return between(octets, part.start, part.body)
    inner = part.embedded
    return None if inner is None else _of_message(octets, inner.header, inner.end, wanted)


def between(octets: bytes, start: int, end: int) -> Piece:
    """These octets of a message."""
    return octets[start:end] if end - start <= _LARGE else memoryview(octets)[start:end]


def _of_message(octets: bytes, header: Header, end: int, wanted: Section) -> Piece | None:
    match wanted.text:
        case SectionText.HEADER:
            return between(octets, header.start, header.body)
        case SectionText.TEXT:
            return between(octets, header.body, end)
        case SectionText.HEADER_FIELDS:
            names = frozenset(name.lower() for name in wanted.fields)
            return _whole(octets, [field for field in header.fields if field.name in names])
        case SectionText.HEADER_FIELDS_NOT:
            names = frozenset(name.lower() for name in wanted.fields)
            return _whole(octets, [field for field in header.fields if field.name not in names])
        case SectionText.MIME | None:
            return None


def _whole(octets: bytes, fields: list[Field]) -> bytes:
    return _ended([octets[field.start : field.end] for field in fields])


def _ended(pieces: list[bytes]) -> bytes:
    # A header that ends with the message may lack its last line end.
    if pieces and not pieces[-1].endswith(b"\n"):
        pieces.append(b"\r\n")
    pieces.append(b"\r\n")
    return b"".join(pieces)


def cut(octets: Piece | None, partial: tuple[int, int] | None) -> Piece | None:
    """`<first.count>`: these octets of the section, empty beyond its end (RFC 3501 section 6.4.5)."""
    if octets is None or partial is None:
        return octets
    first, count = partial
    if isinstance(octets, bytes):
        return between(octets, first, min(first + count, len(octets)))
    return octets[first : first + count]


def encoded(octets: bytes, path: tuple[int, ...], structure: Structure) -> tuple[int, int, bytes] | None:
    """Where the octets of BINARY[path] begin and end, and their encoding; None where the message has no such part.

    Only leaves are encoded (RFC 9051 section 6.4.5.1); the whole message, and what has parts of its own, is as it is stored.
    """
    if not path:
        return 0, len(octets), b"binary"
    part = find_part(structure(), path)
    if part is None:
        return None
    return part.body, part.end, b"binary" if part.children else part.encoding


class PartReader:
    """One part of one message on its way through its decoder, so that who reads it piece by piece pays once (RFC 3516 section 4.2).

    Holds a few octets. Raises UnknownEncoding when it is made.
    """

    __slots__ = ("_at", "_decoder", "_ended", "_position", "encoding", "end", "key", "start")

    def __init__(self, key: object, start: int, end: int, encoding: bytes) -> None:
        self.key = key
        self.start = start
        self.end = end
        self.encoding = encoding
        self._decoder = decoder(encoding)
        self._at = start
        self._position = 0
        self._ended = False

    def reaches(self, first: int) -> bool:
        """Is this decoded octet still to come?"""
        return self._position <= first

    def read(self, octets: bytes, first: int = 0, count: int | None = None) -> Iterator[bytes]:
        """The decoded octets from `first`, in pieces, some of them empty: the caller may do something else after each."""
        stop = None if count is None else first + count
        while not self._ended and (stop is None or self._position < stop):
            before = self._decoder.copy()
            if self._at < self.end:
                decoded = self._decoder.feed(octets[self._at : min(self._at + CHUNK, self.end)])
            else:
                decoded = self._decoder.finish()
            after = self._position + len(decoded)
            skipped = max(0, first - self._position)
            if stop is not None and after > stop:
                # Who reads on needs the rest of this piece again.
                self._decoder = before
                yield decoded[skipped : stop - self._position]
                return
            self._position = after
            self._ended = self._at >= self.end
            self._at = min(self._at + CHUNK, self.end)
            yield decoded[skipped:]
