"""How is a message with NUL octets kept where BODY[] has to be able to say it (RFC 3516 section 4.4), and one of octets that are no
lines where only lines are carried on (RFC 3030 section 3), and one of octets beyond ASCII where those are not (RFC 6152 section 3)?

No literal but literal8 holds a NUL, and FETCH BODY answers with a literal (RFC 3501 section 4.3.1, RFC 9051 section 4.3.1). So bodies
that have one are kept in base64, which BODYSTRUCTURE then says (RFC 3516 section 6); nothing else is touched, and FETCH BINARY gives
back what came.
"""

from binascii import b2a_base64
from typing import Final

from gateway.message.encoding import IDENTITIES
from gateway.message.occurrences import occurrences
from gateway.message.structure import Part, parse

_LINE: Final = 57
"""Octets that make one line of 76 characters (RFC 2045 section 6.8)."""
_NAME: Final = b"content-transfer-encoding"
_FIELD: Final = b"Content-Transfer-Encoding: base64\r\n"
_SEVEN_BIT: Final = b"Content-Transfer-Encoding: 7bit\r\n"
_EIGHT_BIT: Final = b"Content-Transfer-Encoding: 8bit\r\n"
_VERSION: Final = b"MIME-Version: 1.0\r\n"


class CannotKeep(Exception):
    """A NUL stands where no encoding can hide it: in a header, between parts, in a body that is encoded already."""


def without_nul(octets: bytes) -> bytes:
    """The same message with the bodies that hold a NUL in base64. Linear. Raises CannotKeep."""
    if b"\0" not in octets:
        return octets
    root = parse(octets)
    pieces: list[bytes] = []
    at = 0
    for part in root.walk():
        if part.children or octets.find(b"\0", part.body, part.end) < 0:
            continue
        if part.encoding not in IDENTITIES or part.cut or not part.header.complete:
            raise CannotKeep
        pieces.append(octets[at : part.start])
        pieces.append(_header(octets, part, part is root))
        pieces.append(_base64(octets[part.body : part.end]))
        at = part.end
    pieces.append(octets[at:])
    kept = b"".join(pieces)
    if b"\0" in kept:
        raise CannotKeep
    return kept


def without_binary(octets: bytes) -> bytes:
    """A BINARYMIME message as one that DATA could have brought: without NUL, every line ended by CRLF, no part said to be binary.

    Bodies that need it are in base64 then, and everything else is as it was. Linear. Raises CannotKeep.
    """
    root = parse(octets)
    pieces: list[bytes] = []
    at = 0
    for part in root.walk():
        binary = part.encoding == b"binary"
        if part.children:
            if binary:
                pieces.append(octets[at : part.start])
                pieces.append(_header(octets, part, part is root, _EIGHT_BIT))
                at = part.body
            continue
        body = octets[part.body : part.end]
        if not binary and _is_lines(body):
            continue
        if part.encoding not in IDENTITIES or part.cut or not part.header.complete:
            raise CannotKeep
        pieces.append(octets[at : part.start])
        pieces.append(_header(octets, part, part is root))
        pieces.append(_base64(body))
        at = part.end
    pieces.append(octets[at:])
    kept = b"".join(pieces)
    if not _is_lines(kept):
        raise CannotKeep
    return kept if kept.endswith(b"\r\n") or not kept else kept + b"\r\n"


def without_eight_bit(octets: bytes) -> bytes:
    """A message as one that servers without 8BITMIME take (RFC 6152 section 3): bodies with octets beyond ASCII in base64, and
    everything else as it was. Linear. Raises CannotKeep: such octets in a header or between parts, in what says that it is encoded,
    or in what is signed, part by part (RFC 1847 section 2.1)."""
    if octets.isascii():
        return octets
    root = parse(octets)
    pieces: list[bytes] = []
    at = 0
    for part in root.walk():
        if part.children:
            if (part.type, part.subtype) == (b"multipart", b"signed") and not octets[part.body : part.end].isascii():
                raise CannotKeep
            if part.encoding in (b"8bit", b"binary"):
                pieces.append(octets[at : part.start])
                pieces.append(_header(octets, part, part is root, _SEVEN_BIT))
                at = part.body
            continue
        body = octets[part.body : part.end]
        if body.isascii():
            continue
        if part.encoding not in IDENTITIES or part.cut or not part.header.complete:
            raise CannotKeep
        pieces.append(octets[at : part.start])
        pieces.append(_header(octets, part, part is root))
        pieces.append(_base64(body))
        at = part.end
    pieces.append(octets[at:])
    kept = b"".join(pieces)
    if not kept.isascii():
        raise CannotKeep
    return kept


def _is_lines(octets: bytes) -> bool:
    """Neither a NUL nor a CR or LF that stands alone."""
    return octets.count(b"\r\n") == occurrences(octets, b"\r") == occurrences(octets, b"\n") and b"\0" not in octets


def _header(octets: bytes, part: Part, is_message: bool, encoding: bytes = _FIELD) -> bytes:
    """The part's header, with its empty line, saying base64 or `encoding`."""
    header = part.header
    pieces: list[bytes] = []
    at = header.start
    said = False
    for field in header.fields:
        if field.name == _NAME:
            pieces.append(octets[at : field.start])
            if not said:
                pieces.append(encoding)
            said = True
            at = field.end
    pieces.append(octets[at : header.end])
    if not said:
        pieces.append(encoding)
        if is_message and header.first(b"mime-version") is None:
            pieces.append(_VERSION)
    pieces.append(octets[header.end : header.body])
    return b"".join(pieces)


def _base64(octets: bytes) -> bytes:
    """In lines, without an end to the last: what follows is a delimiter with its own, or nothing."""
    return b"\r\n".join([b2a_base64(octets[at : at + _LINE], newline=False) for at in range(0, len(octets), _LINE)])
