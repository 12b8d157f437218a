"""Octets put into a body under its Content-Transfer-Encoding, where all others stay (RFC 2045 section 6)."""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, a2b_qp, b2a_base64
from collections.abc import Sequence
from typing import Final

# RFC 2045 section 6.7 (5), 6.8.
_LINE: Final = 76
_BLANKS: Final = b" \t\r\n"


class Undecodable(Exception):
    """The body is not what its Content-Transfer-Encoding says, so that programs decode it differently; the text says why."""


_ILL_FORMED = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n|\Z)|(?<![ \t])[ \t]++(?=\r?\n|\Z)")


def decoded(body: bytes, encoding: bytes) -> bytes:
    """The body's content. Raises Undecodable; quoted-printable that is only ill-formed decodes (`ill_formed` tells)."""
    match encoding:
        case b"base64":
            try:
                return a2b_base64(body.translate(None, _BLANKS), strict_mode=True)
            except Base64Error:
                raise Undecodable("it is not base64") from None
        case b"quoted-printable":
            return a2b_qp(body)
        case b"7bit" | b"8bit" | b"binary":
            return body
        case _:
            raise Undecodable("unknown Content-Transfer-Encoding")


def ill_formed(body: bytes, encoding: bytes) -> bool:
    """Quoted-printable with loose equals signs or blanks at a line's end, which some programs drop (RFC 2045 section 6.7)."""
    return encoding == b"quoted-printable" and _ILL_FORMED.search(body) is not None


def inserted(body: bytes, encoding: bytes, insertions: Sequence[tuple[int, bytes]]) -> bytes:
    """The body with octets put in at ascending offsets of its content, where it is `decoded` and not `ill_formed`."""
    match encoding:
        case b"base64":
            return _as_base64(_spliced(decoded(body, encoding), insertions), body)
        case b"quoted-printable":
            places = _places(body, [at for at, _ in insertions])
            return _spliced(body, [(place, _quoted(body, place, octets)) for place, (_, octets) in zip(places, insertions, strict=True)])
        case _:
            return _spliced(body, insertions)


def _spliced(octets: bytes, insertions: Sequence[tuple[int, bytes]]) -> bytes:
    pieces: list[bytes] = []
    position = 0
    for at, what in insertions:
        pieces += (octets[position:at], what)
        position = at
    return b"".join([*pieces, octets[position:]])


def _as_base64(content: bytes, like: bytes) -> bytes:
    """In lines as long as those of `like`, so that what stands before the change stays."""
    stripped = like.lstrip(_BLANKS)
    lead = like[: len(like) - len(stripped)]
    tail = like[len(like.rstrip(_BLANKS)) :]
    first, several, _ = stripped.rstrip(_BLANKS).partition(b"\n")
    width = len(first.rstrip())
    if not several or width % 4 or not 0 < width <= _LINE:
        width = _LINE
    step = width // 4 * 3
    lines = [b2a_base64(content[at : at + step], newline=False) for at in range(0, len(content), step)]
    return lead + b"\r\n".join(lines) + tail


_EQUALS: Final = 0x3D
_TOKEN = re.compile(rb"=..|[^=]", re.DOTALL)


def _places(body: bytes, offsets: Sequence[int]) -> list[int]:
    """Where in the encoded body the ascending offsets of the content are; before a soft line break, not behind it."""
    found: list[int] = []
    content = start = 0
    while len(found) < len(offsets) and start < len(body):
        line_end = body.find(b"\n", start) + 1 or len(body)
        line = body[start:line_end]
        plain = line.rstrip(b"\r\n")
        text = plain[:-1] if plain.endswith(b"=") else line
        size = len(text) - 2 * text.count(b"=")
        while len(found) < len(offsets) and size and offsets[len(found)] <= content + size:
            found.append(start + _into(text, offsets[len(found)] - content))
        content += size
        start = line_end
    # A body without content may hold soft line breaks, after which nothing could stand.
    return found + [0] * (len(offsets) - len(found))


def _into(text: bytes, octets: int) -> int:
    """The length of what stands for so many octets at the beginning."""
    length = 0
    for token in _TOKEN.finditer(text):
        if not octets:
            break
        octets -= 1
        length = token.end()
    return length


def _quoted(body: bytes, place: int, octets: bytes) -> bytes:
    """The octets for that place, with line breaks as such and soft ones where a line grows too long."""
    line_end, ended = (b"\r\n", b"\r\n") if b"\r\n" in octets else (b"\n", b"=0A=\r\n")
    column = place - (body.rfind(b"\n", 0, place) + 1)
    lines: list[bytes] = []
    for line in octets.split(line_end):
        made: list[bytes] = []
        for octet in line:
            piece = bytes((octet,)) if 0x20 <= octet < 0x7F and octet != _EQUALS else b"=%02X" % octet
            if column + len(piece) > _LINE - 1:
                made.append(b"=\r\n")
                column = 0
            made.append(piece)
            column += len(piece)
        lines.append(b"".join(made))
        column = 0
    return ended.join(lines)
