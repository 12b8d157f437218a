"""What search keeps of a message: its folded texts, in a form that decides exactly as the octets would.

The header is `SEP name: value LF` for each field, the body its texts (`text.body_texts`) with SEP between them. SEP is a lone surrogate,
which no text that is looked for here contains, so that nothing is found across fields or parts. NUL, which full-text engines do not
take, and surrogates that a message brings along become another one. Whoever looks for such characters is answered by the octets.
"""

import re
import sys
from typing import Final
from unicodedata import unidata_version

from gateway.message.split import Header, unfolded
from gateway.message.structure import Part, parse
from gateway.message.text import MAX_HEADER_TEXT, body_texts, decode_header, fold

KEPT_VERSION: Final = f"1 {unidata_version} {sys.version_info[0]}.{sys.version_info[1]}"
"""Of the texts: raise the first number when folding or decoding changes. Foldings and codecs are Python's, so they count too."""
MAX_KEPT: Final = 1024 * 1024
"""Octets of text and part headers in a message, as they are written; of a larger one the body is not kept."""

_SEP: Final = "\ud800"
_ILL: Final = "\udc00"
_SEP_OCTETS: Final = _SEP.encode("utf-8", "surrogatepass")
_UNKEPT: Final = re.compile("[\0\ud800-\udfff]")


def kept_texts(octets: bytes) -> tuple[bytes | None, bytes | None]:
    """(header, body); None where the octets have to decide. Never raises."""
    root = parse(octets)
    return _header(octets, root.header), _body(octets, root)


def _header(octets: bytes, header: Header) -> bytes | None:
    fields: list[str] = []
    size = 0
    for field in header.fields:
        value = unfolded(octets, field)
        size += len(field.name) + len(value) + 3
        if size > MAX_HEADER_TEXT:
            return None
        fields.append(f"{field.name.decode('ascii')}: {decode_header(value)}\n")
    return _written(["", *fields])


def _body(octets: bytes, root: Part) -> bytes | None:
    size = 0
    for part in root.walk():
        size += part.body - part.start if part is not root else 0
        size += part.octets if part.type == b"text" else 0
        if size > MAX_KEPT:
            return None
    return _written([*body_texts(octets, root)])


def _written(texts: list[str]) -> bytes:
    return _SEP.join([_keepable(fold(text)) for text in texts]).encode("utf-8", "surrogatepass")


def _keepable(text: str) -> str:
    if text.isascii():
        return text.replace("\0", _ILL)
    return text if text.isprintable() else _UNKEPT.sub(_ILL, text)


def kept_needle(text: str, *, in_header: bool) -> bytes | None:
    """What to look for in kept texts to find this (folded) text; None: they cannot tell."""
    if _UNKEPT.search(text) or (in_header and "\n" in text):
        return None
    return text.encode()


def has_field(header: bytes, name: str, needle: bytes) -> bool:
    """Has a kept header a field of this name (in any case) whose value contains it?"""
    if ":" in name:
        return False
    start = f"{name.lower()}: ".encode("utf-8", "replace")
    if not needle:
        return _SEP_OCTETS + start in header
    if needle not in header:
        return False
    return any(one.startswith(start) and one.find(needle, len(start)) >= 0 for one in header.split(_SEP_OCTETS))
