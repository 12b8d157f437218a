"""What does a body say once its Content-Transfer-Encoding is undone (RFC 2045)? Piece by piece, in bounded memory; never raises.

However the octets are cut into pieces, the same comes out. Hostile content costs no more than honest content: what is no base64 is
skipped, what is ill-formed in quoted-printable stands for itself.
"""

import re
from binascii import a2b_base64, a2b_qp
from typing import Final, Protocol

IDENTITIES: Final = frozenset((b"7bit", b"8bit", b"binary"))
"""Encodings that change nothing (RFC 2045 section 6.2)."""
CHUNK: Final = 16_384
"""Octets given to a decoder at once: under a millisecond of honest content, some ten of the worst there is."""

_NOT_BASE64: Final = bytes(sorted(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")))
# RFC 2045 section 6.7 (3): blanks at the end of a line were added on the way. A line has 76 octets; longer runs are no such thing.
_MAX_BLANKS: Final = 998
_TRAILING_BLANKS = re.compile(rb"(?<![ \t\r])[ \t]{1,%d}+(?=\r?\n|\Z)" % _MAX_BLANKS)
_BLANK_AND_END: Final = (b" \r\n", b" \n", b"\t\r\n", b"\t\n")
_ILL_FORMED = re.compile(rb"=(?![0-9A-Fa-f]{2}|\r?\n)")
_HALF_AN_ESCAPE = re.compile(rb"=[0-9A-Fa-f]\Z")


class UnknownEncoding(Exception):
    """Nobody here knows this Content-Transfer-Encoding."""


class Decoder(Protocol):
    """Undoes an encoding. After `finish` it is used up."""

    def feed(self, octets: bytes) -> bytes:
        """What is certain once these octets have come too."""

    def finish(self) -> bytes:
        """What was waiting for octets that do not come."""

    def copy(self) -> "Decoder":
        """Another that stands where this one stands."""


class _Identity:
    __slots__ = ()

    def feed(self, octets: bytes) -> bytes:
        return octets

    def finish(self) -> bytes:
        return b""

    def copy(self) -> "_Identity":
        return self


class _Base64:
    """RFC 2045 section 6.8. Octets outside the alphabet are skipped; padding in its place ends the data."""

    __slots__ = ("_ended", "_waiting")

    def __init__(self) -> None:
        self._waiting = b""
        self._ended = False

    def feed(self, octets: bytes) -> bytes:
        if self._ended:
            return b""
        letters = self._waiting + octets.translate(None, _NOT_BASE64)
        if b"=" in letters:
            letters, self._ended = _before_padding(letters)
            if self._ended:
                self._waiting = b""
                return _whole_octets(letters)
        whole = len(letters) & ~3
        self._waiting = letters[whole:]
        return a2b_base64(letters[:whole])

    def finish(self) -> bytes:
        letters, self._waiting = self._waiting, b""
        return _whole_octets(letters)

    def copy(self) -> "_Base64":
        other = _Base64()
        other._waiting, other._ended = self._waiting, self._ended
        return other


def _before_padding(letters: bytes) -> tuple[bytes, bool]:
    """Up to the first = that can be padding, and whether there is one; one that stands where it means nothing is skipped."""
    kept: list[bytes] = []
    length = 0
    pieces = letters.split(b"=")
    for piece in pieces[:-1]:
        kept.append(piece)
        length += len(piece)
        if length & 3 >= 2:
            return b"".join(kept), True
    kept.append(pieces[-1])
    return b"".join(kept), False


def _whole_octets(letters: bytes) -> bytes:
    """Of the last letters what makes whole octets: one alone makes none."""
    if len(letters) & 3 == 1:
        letters = letters[:-1]
    return a2b_base64(letters + b"=" * (-len(letters) & 3))


class _QuotedPrintable:
    """RFC 2045 section 6.7, with the recommendations for what is ill-formed."""

    __slots__ = ("_in_blanks", "_waiting")

    def __init__(self) -> None:
        self._waiting = b""
        self._in_blanks = False  # within a run of blanks too long to be left out

    def feed(self, octets: bytes) -> bytes:
        before = b""
        if self._in_blanks:
            rest = octets.lstrip(b" \t")
            before, octets = octets[: len(octets) - len(rest)], rest
            if not rest:
                return before
            self._in_blanks = False
        octets = self._waiting + octets
        # What may yet become part of a line's end or of an escape waits.
        certain = octets.removesuffix(b"\r").rstrip(b" \t")
        if len(octets) - len(certain) > _MAX_BLANKS + 1 and not octets.endswith(b"\r"):
            self._waiting = b""
            self._in_blanks = True
            return before + _decoded(octets[: len(certain)] + b"x")[:-1] + octets[len(certain) :]
        if certain.endswith(b"\r"):
            # Blanks behind a lone CR are at no line's end; that it stood there has to be seen then too.
            certain = certain[:-1]
        elif certain.endswith(b"="):
            certain = certain[:-1]
        elif len(certain) == len(octets) and _HALF_AN_ESCAPE.search(certain, max(0, len(certain) - 2)) is not None:
            certain = certain[:-2]
        self._waiting = octets[len(certain) :]
        # The letter keeps what ends here from being taken for the end of the body.
        return before + _decoded(certain + b"x")[:-1]

    def finish(self) -> bytes:
        waiting, self._waiting = self._waiting, b""
        blanks = waiting.rstrip(b" \t")
        # The line break before a boundary belongs to the boundary: a soft one that lost its CRLF ends the body.
        if blanks == b"=" and len(waiting) - 1 <= _MAX_BLANKS:
            return b""
        return _decoded(waiting)

    def copy(self) -> "_QuotedPrintable":
        other = _QuotedPrintable()
        other._waiting, other._in_blanks = self._waiting, self._in_blanks
        return other


def _decoded(octets: bytes) -> bytes:
    if octets.endswith((b" ", b"\t")) or any(end in octets for end in _BLANK_AND_END):
        octets = _TRAILING_BLANKS.sub(b"", octets)
    if b"=" in octets:
        octets = a2b_qp(_ILL_FORMED.sub(b"=3D", octets))
    return octets


def decoder(encoding: bytes) -> Decoder:
    """The decoder for an encoding in lower case. Raises UnknownEncoding."""
    if encoding in IDENTITIES:
        return _Identity()
    if encoding == b"base64":
        return _Base64()
    if encoding == b"quoted-printable":
        return _QuotedPrintable()
    raise UnknownEncoding
