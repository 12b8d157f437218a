"""Where the parts of a message stand, packed when it comes, so that no part is looked for in the octets later.

One octet says the version and how wide offsets are; then comes one record for each part, level by level, so that the parts of one
part stand together and each is found without a look at the others. 12 octets for a message of one part, 11 for each further one
(17 in a message of 64 KiB or more); there are `structure.MAX_PARTS` at most.
"""

from struct import Struct
from typing import Final, NamedTuple

from gateway.message.structure import Part

VERSION: Final = 1
"""Grows with each change of what is packed, and with each change of what `structure.parse` finds; an older layout is made again."""

ENCODINGS: Final = (b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable")
_UNKNOWN: Final = len(ENCODINGS)
_CODES: Final = {name: code for code, name in enumerate(ENCODINGS)}
_MESSAGE: Final = 0x80

# start, body, end, index of the first part within, number of parts within, encoding and kind.
_SHORT: Final = Struct("<HHHHHB")
_LONG: Final = Struct("<IIIHHB")
_HUGE: Final = Struct("<QQQHHB")
_WIDTHS: Final = (_SHORT, _LONG, _HUGE)
_FIRST: Final = tuple(bytes((VERSION << 2 | width,)) for width in range(len(_WIDTHS)))


class Place(NamedTuple):
    """One part, or the message itself: what of `structure.Part` says where it stands. All offsets are into the message's octets."""

    start: int
    """Where the header begins."""
    body: int
    """Where the body begins."""
    end: int
    first: int
    """The number of the first part within."""
    within: int
    """How many parts are within: those of a multipart, or the one message."""
    kind: int

    @property
    def is_multipart(self) -> bool:
        """Has it parts (at least one)?"""
        return self.within > 0 and not self.kind & _MESSAGE

    @property
    def is_message(self) -> bool:
        """Is it a message/rfc822 or message/global whose message is part `first`?"""
        return self.within > 0 and self.kind & _MESSAGE != 0

    @property
    def encoding(self) -> bytes:
        """Content-Transfer-Encoding in lower case; empty where nobody here knows it."""
        code = self.kind & ~_MESSAGE
        return b"" if code == _UNKNOWN else ENCODINGS[code]


class Layout:
    """A packed layout, read record by record."""

    __slots__ = ("_packed", "_records")

    def __init__(self, packed: bytes) -> None:
        self._packed = packed
        self._records = _WIDTHS[packed[0] & 3]

    def place(self, number: int) -> Place:
        """A part by its number; 0 is the message."""
        return Place._make(self._records.unpack_from(self._packed, 1 + number * self._records.size))


def is_current(packed: bytes | None) -> bool:
    """Is this a layout as `pack` makes them now?"""
    return packed is not None and packed[:1] in _FIRST


def pack(root: Part) -> bytes:
    """The layout of a parsed message."""
    width = 0 if root.end <= 0xFFFF else 1 if root.end <= 0xFFFFFFFF else 2
    record = _WIDTHS[width].pack
    pieces = [_FIRST[width]]
    level = [root]
    number = 1
    while level:
        within: list[Part] = []
        for part in level:
            header, children = part.header, part.children
            kind = _CODES.get(part.encoding, _UNKNOWN)
            if children:
                if part.type == b"message":
                    kind |= _MESSAGE
                within += children
            pieces.append(record(header.start, header.body, part.end, number if children else 0, len(children), kind))
            number += len(children)
        level = within
    return b"".join(pieces)
