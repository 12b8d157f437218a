"""Which octets of a stored message does BODY[section] mean?"""

from collections.abc import Callable, Iterable
from typing import Final

from gateway.imap.grammar.fetch import Section, SectionText
from gateway.message.encoding import CHUNK, decoder
from gateway.message.layout import Layout, Place
from gateway.message.split import Field, cutter, end_of_header, fields_named, read_header

OF_HEADER: Final = frozenset({SectionText.HEADER, SectionText.HEADER_FIELDS, SectionText.HEADER_FIELDS_NOT})
"""What `header_section` makes."""
# Names are made into a pattern, which takes time by their length; beyond this all fields are read once.
_SEVERAL = 32
_LETTERS = 1024
_LARGE = 64 * 1024

Piece = bytes | memoryview
"""Octets of a message; beyond 64 KiB they are not copied, so that a command may ask for the same ones many times."""
Range = tuple[int, int]
"""Octets of a message: the first, and the one behind the last."""


def between(octets: bytes, start: int, end: int) -> Piece:
    """These of the octets."""
    return octets[start:end] if end - start <= _LARGE else memoryview(octets)[start:end]


def find_part(layout: Layout, path: Iterable[int]) -> Place | None:
    """The part that has these numbers, None if there is none.

    RFC 3501 section 6.4.5: the parts of a multipart are counted from 1; a message that is no multipart has part 1, its body; the
    numbers go on inside a message/rfc822 part as in any message.
    """
    part = layout.place(0)
    # The numbers belong to the message around them, until a part is stepped into.
    inside_message = True
    for number in path:
        if not inside_message and part.is_message:
            part = layout.place(part.first)
            inside_message = True
        if part.is_multipart:
            if not 1 <= number <= part.within:
                return None
            part = layout.place(part.first + number - 1)
        elif number != 1 or not inside_message:
            return None
        inside_message = False
    return part


def extent(layout: Layout, wanted: Section) -> Range | None:
    """Where the octets of a section stand, None where the message has no such part; of HEADER.FIELDS and HEADER.FIELDS.NOT the
    header, of which `header_section` takes the fields.

    RFC 3501 section 6.4.5. HEADER and TEXT of a part exist for message/rfc822 only; MIME is the part's own header.
    """
    part = find_part(layout, wanted.path)
    if part is None:
        return None
    if wanted.text is SectionText.MIME:
        # Part 1 of a message that is no multipart has no header of its own but the message's.
        return part.start, part.body
    if wanted.text is None:
        return (part.body, part.end) if wanted.path else (part.start, part.end)
    if wanted.path:
        if not part.is_message:
            return None
        part = layout.place(part.first)
    return (part.body, part.end) if wanted.text is SectionText.TEXT else (part.start, part.body)


def section(octets: bytes, wanted: Section, layout: Layout) -> bytes | None:
    """The octets of a section of this message as they are stored, None where the message has no such part (RFC 3501 section 6.4.5)."""
    found = extent(layout, wanted)
    if found is None:
        return None
    cut_out = octets[found[0] : found[1]]
    return header_section(cut_out, wanted) if wanted.text in OF_HEADER else cut_out


def header_section(head: bytes, wanted: Section) -> bytes:
    """HEADER, HEADER.FIELDS or HEADER.FIELDS.NOT of the message whose header this is: whole fields in its order, and the empty line."""
    if wanted.text is SectionText.HEADER:
        return head
    names = frozenset([name.lower() for name in wanted.fields])
    if wanted.text is SectionText.HEADER_FIELDS_NOT:
        return _whole(head, [field for field in read_header(head).fields if field.name not in names])
    if len(names) <= _SEVERAL and sum(map(len, names)) <= _LETTERS and len(head) <= _LARGE:
        return _ended([head[start:end] for start, end in fields_named(head, names)])
    return _whole(head, [field for field in read_header(head).fields if field.name in names])


def header_cutter(wanted: Section) -> Callable[[bytes], bytes]:
    """For many messages: what `header_section` gives of the header of each, of octets in which the whole header is."""
    names = frozenset([name.lower() for name in wanted.fields])
    fields = None
    if wanted.text is SectionText.HEADER_FIELDS and len(names) <= _SEVERAL and sum(map(len, names)) <= _LETTERS:
        fields = cutter(names)

    def section_of(octets: bytes) -> bytes:
        end = end_of_header(octets)
        if end is None or fields is None or end > _LARGE:
            return header_section(octets if end is None else octets[:end], wanted)
        return fields(octets[:end]) + b"\r\n"

    return section_of


def _whole(octets: bytes, fields: list[Field]) -> bytes:
    return _ended([octets[field.start : field.end] for field in fields])


def _ended(pieces: list[bytes]) -> bytes:
    # A header that ends with the message may lack its last line end.
    if pieces and not pieces[-1].endswith(b"\n"):
        pieces.append(b"\r\n")
    pieces.append(b"\r\n")
    return b"".join(pieces)


def cut(octets: bytes | None, partial: tuple[int, int] | None) -> bytes | None:
    """`<first.count>`: these octets of the section, empty beyond its end (RFC 3501 section 6.4.5)."""
    if octets is None or partial is None:
        return octets
    first, count = partial
    return octets[first : first + count]


def clip(found: Range, partial: tuple[int, int] | None) -> Range:
    """`<first.count>` of octets that stand there: as `cut` cuts them."""
    if partial is None:
        return found
    low = min(found[0] + partial[0], found[1])
    return low, min(low + partial[1], found[1])


def encoded(layout: Layout, path: tuple[int, ...]) -> tuple[int, int, bytes] | None:
    """Where the octets of BINARY[path] begin and end, and their encoding; None where the message has no such part.

    Only leaves are encoded (RFC 9051 section 6.4.5.1); the whole message, and what has parts of its own, is as it is stored.
    """
    part = find_part(layout, path)
    if part is None:
        return None
    if not path:
        return part.start, part.end, b"binary"
    return part.body, part.end, b"binary" if part.within else part.encoding


class PartReader:
    """One part of one message on its way through its decoder, so that who reads it piece by piece pays once (RFC 3516 section 4.2).

    Holds a few octets; whoever has it feeds it. Raises UnknownEncoding when it is made.
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

    def goes_on(self, stop: int | None = None) -> bool:
        """Is there more, before this decoded octet?"""
        return not self._ended and (stop is None or self._position < stop)

    @property
    def wanted(self) -> Range:
        """The octets to be fed next: none at the end, which has to be told too."""
        return self._at, min(self._at + CHUNK, self.end)

    def likely(self, stop: int | None = None) -> int:
        """Where the octets end that will be `wanted` before `stop` is reached, if they are base64: four for three, and line ends."""
        if stop is None:
            return self.end
        pieces = -(-11 * (stop - self._position) // (8 * CHUNK))
        return min(self._at + pieces * CHUNK, self.end)

    def feed(self, octets: bytes, first: int = 0, stop: int | None = None) -> tuple[bytes, bool]:
        """Takes the octets that are `wanted`. Returns what of those they decode to stands from `first` to before `stop`, and whether
        there is more."""
        before = self._decoder.copy()
        decoded = self._decoder.feed(octets) if self._at < self.end else self._decoder.finish()
        after = self._position + len(decoded)
        skipped = max(0, first - self._position)
        if stop is not None and after > stop:
            # Who reads on needs the rest of this piece again.
            self._decoder = before
            return decoded[skipped : stop - self._position], False
        self._position = after
        self._ended = self._at >= self.end
        self._at = min(self._at + CHUNK, self.end)
        return decoded[skipped:], self.goes_on(stop)
