"""What a message begins with, in a few words: the text of PREVIEW (RFC 8970); never raises."""

import re
from html import unescape
from typing import Final

from gateway.message.structure import Part
from gateway.message.text import part_text

MAX_CHARACTERS: Final = 200
"""RFC 8970 section 3 allows 256."""
_LOOKED_AT: Final = 16_384
"""Octets of the text; style sheets at the top of HTML are often longer than this, and then there is no preview."""

_AT_FIRST: Final = 256
"""Octets of plain text that are looked at first: mostly they are enough."""
_SPOILT: Final = 8
"""Characters at the end of what these octets say, which their end may have cut in two."""

_HIDDEN = re.compile(r"<!--.*?(?:-->|\Z)|<(style|script|head|title)\b.*?(?:</\1\s*+>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*+(?:>|\Z)")
_BLANKS = re.compile(r"[\s\x00-\x20\x7f-\xa0\u00ad\u034f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufffd]+")
_ASCII_BLANKS: Final = dict.fromkeys((*range(33), 127), " ")


def preview(octets: bytes, root: Part) -> str:
    """The first words of the first text that is no attachment, plain rather than HTML, in one line; empty where there is none.

    What stands in embedded messages is not looked at. Linear.
    """
    found: Part | None = None
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if part.is_multipart:
            waiting.extend(reversed(part.children))
        elif part.type == b"text" and part.disposition != b"attachment" and part.octets:
            if part.subtype == b"plain":
                found = part
                break
            if part.subtype == b"html" and found is None:
                found = part
    if found is None:
        return ""
    if found.subtype == b"plain":
        text = part_text(octets, found, _AT_FIRST)
        if text.isascii() and len(words := _in_one_line(text)) > MAX_CHARACTERS + _SPOILT:
            return _beginning(words)
    text = part_text(octets, found, _LOOKED_AT)
    if found.subtype == b"html":
        text = unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text)))
    text = text.lstrip()
    start = _in_one_line(text[: 2 * MAX_CHARACTERS])
    # Seldom is half of a text blank.
    return _beginning(start if len(start) > MAX_CHARACTERS or len(text) <= 2 * MAX_CHARACTERS else _in_one_line(text))


def _beginning(text: str) -> str:
    if len(text) <= MAX_CHARACTERS:
        return text
    words = text[:MAX_CHARACTERS].rpartition(" ")[0]
    return words or text[:MAX_CHARACTERS]


def _in_one_line(text: str) -> str:
    if text.isascii():  # the same, many times as fast
        words = text.replace("\r\n", " ").strip()
        return words if words.isprintable() and "  " not in words else " ".join(text.translate(_ASCII_BLANKS).split())
    return _BLANKS.sub(" ", text).strip()
