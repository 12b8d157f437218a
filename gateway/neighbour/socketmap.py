"""Which lookup do these octets ask for, and how is it answered? (socketmap_table(5): one netstring each way)"""

import re
from dataclasses import dataclass
from typing import Final

QUESTION: Final = 10_000
"""Octets of a question: the name of a map, a blank and an address, which our own doors take up to 512 octets of."""
ANSWER: Final = 100_000
"""Octets of an answer: Postfix takes no longer one, and would answer 451 to its client for it."""

_LENGTH: Final = re.compile(rb"(0|[1-9][0-9]{0,5}):")
_LONGEST_LENGTH: Final = 7


class BadFrame(ValueError):
    """What stands there is no netstring, or a longer one than anybody needs."""


class TooLong(ValueError):
    """The answer is longer than Postfix takes."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """`map`: its name; `key`: as it was asked for, octets that are no UTF-8 as lone surrogates."""

    map: str
    key: str


def take(octets: bytes | bytearray) -> tuple[Lookup, int] | None:
    """The first question and how many octets it took; None: more are needed. Raises BadFrame as soon as there can be none."""
    length = _LENGTH.match(octets)
    if length is None:
        if len(octets) >= _LONGEST_LENGTH or not re.fullmatch(rb"0?|[1-9][0-9]*", octets):
            raise BadFrame("no netstring")
        return None
    size, start = int(length[1]), length.end()
    if size > QUESTION:
        raise BadFrame(f"a question of {size} octets")
    end = start + size
    if len(octets) <= end:
        return None
    if octets[end] != 0x2C:
        raise BadFrame("a netstring without its comma")
    name, _, key = octets[start:end].decode("utf-8", "surrogateescape").partition(" ")
    return Lookup(name, key), end + 1


def found(value: str) -> bytes:
    """The key is there. Raises TooLong."""
    return _netstring(b"OK " + value.encode())


def not_found() -> bytes:
    """The key is not there."""
    return _netstring(b"NOTFOUND ")


def later(reason: str) -> bytes:
    """No answer can be given now; Postfix tells its client to try again. We never say PERM, with which mail could be lost."""
    return _netstring(b"TEMP " + reason.encode("ascii", "replace"))


def _netstring(payload: bytes) -> bytes:
    if len(payload) > ANSWER:
        raise TooLong
    return b"%d:%b," % (len(payload), payload)
