"""What an S/MIME message says that is signed and not encrypted, with its content inside the signature (RFC 8551 section 3.5.2).

Reads just so much of CMS (RFC 5652) in BER as leads to the content; nothing is verified.
"""

from typing import Final

_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
_OID: Final = 0x06
_OCTET_STRING: Final = 0x04
_CONSTRUCTED: Final = 0x20
_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_INTEGER: Final = 0x02
_EXPLICIT: Final = 0xA0
_MULTIPLE_OCTETS: Final = 0x1F
_INDEFINITE: Final = 0x80


class _NotCms(Exception):
    pass


def signed_content(octets: bytes) -> bytes | None:
    """The content of a SignedData, or None where there is none: detached, encrypted, or no CMS at all. Linear, raises nothing."""
    try:
        at = _into(octets, 0, _SEQUENCE)
        at, kind = _object_identifier(octets, at)
        if kind != _SIGNED_DATA:
            return None
        at = _into(octets, _into(octets, at, _EXPLICIT), _SEQUENCE)
        at = _past(octets, _past(octets, at, _INTEGER), _SET)
        at, _ = _object_identifier(octets, _into(octets, at, _SEQUENCE))
        return _octet_string(octets, _into(octets, at, _EXPLICIT))
    except _NotCms:
        return None


def _header(octets: bytes, at: int) -> tuple[int, int, int | None]:
    """Tag, where the contents begin, and their length; None for the indefinite form."""
    head = octets[at : at + 6]
    if len(head) < 2 or head[0] & _MULTIPLE_OCTETS == _MULTIPLE_OCTETS:
        raise _NotCms
    first = head[1]
    if first < _INDEFINITE:
        start, length = at + 2, first
    elif first == _INDEFINITE:
        return head[0], at + 2, None
    else:
        more = first - _INDEFINITE
        if more > 4 or len(head) < 2 + more:
            raise _NotCms
        start, length = at + 2 + more, int.from_bytes(head[2 : 2 + more], "big")
    if start + length > len(octets):
        raise _NotCms
    return head[0], start, length


def _into(octets: bytes, at: int, expected: int) -> int:
    tag, start, _ = _header(octets, at)
    if tag != expected:
        raise _NotCms
    return start


def _past(octets: bytes, at: int, expected: int) -> int:
    _into(octets, at, expected)
    open_elements = 0
    while True:
        tag, start, length = _header(octets, at)
        if length is None:
            open_elements += 1
            at = start
            continue
        at = start + length
        if tag == 0 and length == 0:
            open_elements -= 1
        if open_elements <= 0:
            return at


def _object_identifier(octets: bytes, at: int) -> tuple[int, bytes]:
    """Where it ends, and what it is."""
    tag, start, length = _header(octets, at)
    if tag != _OID or length is None:
        raise _NotCms
    return start + length, octets[start : start + length]


def _octet_string(octets: bytes, at: int) -> bytes:
    """Its octets, from one piece or many."""
    pieces: list[bytes] = []
    ends: list[int | None] = []
    while True:
        tag, start, length = _header(octets, at)
        at = start
        if tag == _OCTET_STRING and length is not None:
            at = start + length
            pieces.append(octets[start:at])
        elif tag == _OCTET_STRING | _CONSTRUCTED:
            ends.append(None if length is None else start + length)
        elif tag == 0 and length == 0 and ends and ends[-1] is None:
            ends.pop()
        else:
            raise _NotCms
        while ends and ends[-1] == at:
            ends.pop()
        if not ends:
            return b"".join(pieces)
