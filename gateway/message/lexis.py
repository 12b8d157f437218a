"""The lexical pieces that RFC 5322 and RFC 2045 share: comments, quoted strings, parameters."""

import re
from typing import Final

# RFC 2231 splits long names over several parameters; Dovecot reads 128 of them.
MAX_PARAMETERS: Final = 128

TYPE_AND_SUBTYPE = re.compile(rb"[ \t\r\n]*+([!#$%&'*+.^_`{|}~0-9A-Za-z-]++)[ \t\r\n]*+/[ \t\r\n]*+([!#$%&'*+.^_`{|}~0-9A-Za-z-]++)")
_PARAMETER = re.compile(
    rb"[ \t\r\n;]*+([^ \t\r\n;=\"]++)[ \t\r\n]*+"
    rb"(?:(=)[ \t\r\n]*+(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)(?:\"|\\?\Z)|([^ \t\r\n;\"]*+)))?",
    re.DOTALL,
)
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT_EDGE = re.compile(rb"[()\\]")
_OUTSIDE = re.compile(rb"[^(\"\\]++|\"[^\"\\]*+(?:\\.[^\"\\]*+)*+(?:\"|\\?\Z)|\\.?", re.DOTALL)
_FOLD = re.compile(rb"\r?\n")
# One octet is looked for in a tenth of the instructions that a string of it takes.
_OPENING, _LINE_FEED, _BACKSLASH = b"(\n\\"

Parameters = tuple[tuple[bytes, bytes], ...]


def comment_end(value: bytes, start: int, max_depth: int | None = None) -> int:
    """The offset after the comment that opens at `start`; -1 when it does not close, -2 when it nests too deeply."""
    depth = 0
    position = start
    while True:
        edge = _COMMENT_EDGE.search(value, position)
        if edge is None:
            return -1
        position = edge.end()
        match edge[0]:
            case b"(":
                depth += 1
                if max_depth is not None and depth > max_depth:
                    return -2
            case b")":
                depth -= 1
                if depth == 0:
                    return position
            case _:
                position += 1


def without_comments(value: bytes) -> bytes:
    """The value with each comment outside quoted strings replaced by a blank (an unclosed one runs to the end)."""
    if _OPENING not in value:
        return value
    kept: list[bytes] = []
    position = 0
    while position < len(value):
        match = _OUTSIDE.match(value, position)
        if match is not None:
            kept.append(match[0])
            position = match.end()
            continue
        end = comment_end(value, position)
        kept.append(b" ")
        position = len(value) if end < 0 else end
    return b"".join(kept)


def unquoted(text: bytes) -> bytes:
    """The content of a quoted string (given without its quotation marks): quoted pairs and folding resolved."""
    if _LINE_FEED in text:
        text = _FOLD.sub(b"", text)
    return _QUOTED_PAIR.sub(rb"\1", text) if _BACKSLASH in text else text


def parameters(value: bytes, position: int = 0) -> Parameters:
    """The parameters of a MIME field value from `position` on (RFC 2045 5.1), names in lower case, in order.

    Lenient: what is no parameter is skipped. RFC 2231 pieces stay as they are. At most MAX_PARAMETERS.
    """
    found: list[tuple[bytes, bytes]] = []
    while position < len(value) and len(found) < MAX_PARAMETERS:
        match = _PARAMETER.match(value, position)
        if match is None:
            position = value.find(b";", position + 1)
            if position < 0:
                break
            continue
        position = match.end()
        if match[2] is not None:
            found.append((match[1].lower(), unquoted(match[3]) if match[3] is not None else match[4]))
    return tuple(found)


def parameter(given: Parameters, name: bytes) -> bytes | None:
    """The value of one parameter, its RFC 2231 pieces joined and percent-decoded; None where it is absent.

    The plain form wins over the extended one: that is what most readers of boundary and charset do.
    """
    pieces: dict[int, tuple[bool, bytes]] = {}
    for key, value in given:
        if key == name:
            return value
        if key.startswith(name + b"*"):
            rest = key[len(name) + 1 :]
            extended = rest.endswith(b"*") or rest == b""
            number = rest.removesuffix(b"*") or b"0"
            if len(number) <= 3 and number.isdigit():
                pieces.setdefault(int(number), (extended, value))
    joined: list[bytes] = []
    for index in range(len(pieces)):
        if index not in pieces:
            break
        extended, value = pieces[index]
        if extended:
            if index == 0 and value.count(b"'") >= 2:
                value = value.split(b"'", 2)[2]
            value = percent_decoded(value)
        joined.append(value)
    return b"".join(joined) if joined else None


_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")


def percent_decoded(value: bytes) -> bytes:
    """`ext-octet = "%" 2(DIGIT / ...)` of RFC 2231 section 7 as octets."""
    return _PERCENT.sub(lambda match: bytes([int(match[1], 16)]), value)
