"""What a DKIM signature covers and how it is spelled (RFC 6376): canonical forms, tag lists, the field itself; no key is known here."""

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import Final

from gateway.message.split import Field, Header

PIECE: Final = 64 * 1024
"""Octets of a body that are made canonical at a time: other threads wait for about a millisecond."""
MOST_TAGS: Final = 50
MOST_NAMES: Final = 500
"""Names in `h=`; real ones have up to fifty."""
OVERSIGNED: Final = (
    *(b"from", b"sender", b"reply-to", b"subject", b"date", b"to", b"cc", b"message-id", b"in-reply-to", b"references"),
    *(b"mime-version", b"content-type", b"content-transfer-encoding", b"content-disposition", b"content-id", b"content-description"),
    *(b"content-language", b"content-location"),
)
"""Named once more than they are there, so that none can be added (RFC 6376 sections 5.4 and 8.15)."""
SIGNED: Final = frozenset(
    {
        *(b"resent-date", b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-message-id", b"auto-submitted"),
        *(b"list-id", b"list-help", b"list-unsubscribe", b"list-unsubscribe-post", b"list-subscribe", b"list-post", b"list-owner"),
        *(b"list-archive", b"autocrypt"),
    }
)
"""Named as often as they are there: who sends it on may add its own (RFC 6376 section 5.4.1, RFC 8058 section 4)."""

_CRLF: Final = b"\r\n"
_WIDTH: Final = 76
_BLANKS: Final = re.compile(rb"[ \t]+")
_RUNS: Final = re.compile(rb"  +")
_FOLD: Final = re.compile(rb"\r?\n(?=[ \t]|\Z)")
_BETWEEN: Final = re.compile(rb"[^ \t\r\n](?=[^ \t\r\n])")
_WHITE: Final = re.compile(rb"[ \t\r\n]+")
_TAG_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_]*")
_SIGNATURE_TAG: Final = re.compile(rb"((?:\A|;)[ \t\r\n]*+b[ \t\r\n]*+=)[^;]*+")


class BadSignature(Exception):
    """It is no signature that could hold; the text says why, in the words of a comment in Authentication-Results."""


class Form(Enum):
    """A canonical form (RFC 6376 section 3.4)."""

    SIMPLE = b"simple"
    RELAXED = b"relaxed"


def forms(value: bytes) -> tuple[Form, Form]:
    """Of header and body, as `c=` says. Raises BadSignature."""
    head, _, body = value.partition(b"/")
    try:
        return Form(head.strip().lower()), Form(body.strip().lower() or b"simple")
    except ValueError:
        raise BadSignature("unknown canonicalization") from None


def tags(value: bytes) -> Mapping[bytes, bytes]:
    """A tag list (RFC 6376 section 3.2), without white space around names and values. Raises BadSignature."""
    found: dict[bytes, bytes] = {}
    specs = value.split(b";", MOST_TAGS)
    if len(specs) > MOST_TAGS:
        raise BadSignature("too many tags")
    if not specs[-1].strip():
        specs.pop()
    for spec in specs:
        name, equals, said = spec.partition(b"=")
        name = name.strip()
        if not equals or _TAG_NAME.fullmatch(name) is None or name in found:
            raise BadSignature("no tag list")
        found[name] = said.strip()
    return found


def without_white(value: bytes) -> bytes:
    """Base64, and lists of names, may be folded anywhere."""
    return _WHITE.sub(b"", value)


# --- the header


def relaxed(name: bytes, value: bytes) -> bytes:
    """One whole field (RFC 6376 section 3.4.2)."""
    value = _FOLD.sub(b"", value) if b"\n" in value else value
    return name.lower() + b":" + _BLANKS.sub(b" ", value).strip(b" \r\n") + _CRLF


def canonical_field(octets: bytes, field: Field, form: Form) -> bytes:
    """One field of a message."""
    if form is Form.RELAXED:
        return relaxed(field.name, octets[field.value : field.end])
    whole = octets[field.start : field.end]
    return whole if whole.endswith(b"\n") else whole + _CRLF


def names_to_sign(header: Header) -> tuple[bytes, ...]:
    """What `h=` names of this header, in lower case."""
    there = Counter(field.name for field in header.fields)
    names: list[bytes] = []
    for name in OVERSIGNED:
        names += [name] * (there[name] + 1)
    for name in sorted(SIGNED & there.keys()):
        names += [name] * there[name]
    return tuple(names[:MOST_NAMES])


def selected(header: Header, names: Iterable[bytes]) -> list[Field]:
    """The fields that `h=` means: of each name from the last one upwards; those that are not there are nothing (section 5.4.2)."""
    left: dict[bytes, list[Field]] = {}
    for field in header.fields:
        left.setdefault(field.name, []).append(field)
    return [left[name].pop() for name in names if left.get(name)]


def signed_octets(octets: bytes, header: Header, names: Iterable[bytes], form: Form, name: bytes, value: bytes) -> bytes:
    """What the signature in the field `name` with this `value` signs of the header: the fields, then itself with an empty `b=`."""
    pieces = [canonical_field(octets, field, form) for field in selected(header, names)]
    return b"".join([*pieces, itself(name, value, form)])


def itself(name: bytes, value: bytes, form: Form = Form.RELAXED) -> bytes:
    """A signature's own field as it signs it: without what `b=` says, and without its line end (RFC 6376 section 3.7)."""
    emptied = _SIGNATURE_TAG.sub(rb"\1", value, count=1)
    if form is Form.RELAXED:
        return relaxed(name, emptied)[:-2]
    return name + b":" + emptied.rstrip(_CRLF)


def read_names(value: bytes) -> tuple[bytes, ...]:
    """Of `h=`, in lower case. Raises BadSignature."""
    names = without_white(value).lower().split(b":")
    if len(names) > MOST_NAMES or b"" in names:
        raise BadSignature("h= is no list of names")
    return tuple(names)


# --- the body


def canonical_body(octets: bytes, start: int, form: Form) -> Iterator[bytes]:
    """In pieces (RFC 6376 sections 3.4.3 and 3.4.4). Linear in the octets, whatever they are."""
    at, size = start, len(octets)
    empty_lines = 0
    content = False
    while at < size:
        end = _cut(octets, at, size)
        piece = octets[at:end]
        at = end
        if form is Form.RELAXED:
            if b"\t" in piece:
                piece = piece.replace(b"\t", b" ")
            if b"  " in piece:
                piece = _RUNS.sub(b" ", piece)
            if b" \r\n" in piece:
                piece = piece.replace(b" \r\n", _CRLF)
            if at == size and not piece.endswith(_CRLF):
                piece = piece.rstrip(b" ")
        kept, ends = _without_line_ends(piece)
        if kept:
            yield from _line_ends(empty_lines)
            yield kept
            content, empty_lines = True, 0
        empty_lines += ends
    if content or form is Form.SIMPLE:
        yield _CRLF


def body_digest(octets: bytes, start: int, form: Form, length: int | None = None) -> tuple[bytes, bool]:
    """SHA-256 of the canonical body from `start`, or of its first `length` octets; and whether there are more than those."""
    digest = sha256()
    if length is None:
        for piece in canonical_body(octets, start, form):
            digest.update(piece)
        return digest.digest(), False
    left, more = length, False
    for piece in canonical_body(octets, start, form):
        digest.update(piece[:left])
        more = more or len(piece) > left
        left -= min(left, len(piece))
    return digest.digest(), more


def _cut(octets: bytes, at: int, size: int) -> int:
    """Where the piece that begins at `at` may end: behind a line end, or between two octets that are not white."""
    if size - at <= PIECE:
        return size
    end = octets.rfind(_CRLF, at, at + PIECE)
    if end >= 0:
        return end + 2
    found = _BETWEEN.search(octets, at + PIECE - 1)
    return size if found is None else found.end()


def _without_line_ends(piece: bytes) -> tuple[bytes, int]:
    """The piece without the CRLFs at its end, and how many they were."""
    kept = piece.rstrip(_CRLF)
    ends, odd = divmod(len(piece) - len(kept), 2)
    if odd or piece[len(kept) :] != _CRLF * ends:
        ends = 0
        while piece.endswith(_CRLF, 0, len(piece) - 2 * ends):
            ends += 1
        kept = piece[: len(piece) - 2 * ends]
    return kept, ends


def _line_ends(count: int) -> Iterator[bytes]:
    while count > 0:
        some = min(count, PIECE // 2)
        yield _CRLF * some
        count -= some


# --- writing


def unsigned(name: bytes, said: Sequence[tuple[bytes, bytes]], names: Sequence[bytes] = (), digest: bytes | None = None) -> bytes:
    """A signature field up to its empty `b=`, folded: the tags as they are given, then `h=` and `bh=` where there are some."""
    specs = [tag + b"=" + value for tag, value in said]
    if names:
        specs.append(_folded_names(names))
    if digest is not None:
        specs.append(b"bh=" + b64encode(digest))
    lines: list[bytes] = []
    line = name + b":"
    for spec in specs:
        if len(line) + len(spec.partition(b"\r\n")[0]) + 2 > _WIDTH:
            lines.append(line)
            line = b"\t" + spec + b";"
        else:
            line += b" " + spec + b";"
        *whole, line = line.split(_CRLF)
        lines += whole
    return _CRLF.join([*lines, line, b"\tb="])


def signed(field: bytes, signature: bytes) -> bytes:
    """The whole field: `unsigned` with its signature, which is folded, and its line end."""
    spelled = b64encode(signature)
    width = _WIDTH - 4
    return field + b"\r\n\t ".join([spelled[at : at + width] for at in range(0, len(spelled), width)]) + _CRLF


def _folded_names(names: Sequence[bytes]) -> bytes:
    """White space around the colons is nothing (RFC 6376 section 3.5)."""
    lines: list[bytes] = []
    line = b"h="
    for number, name in enumerate(names):
        piece = name if number == 0 else b":" + name
        if len(line) + len(piece) > _WIDTH - 4:
            lines.append(line)
            line = b"\t " + piece
        else:
            line += piece
    return _CRLF.join([*lines, line])
