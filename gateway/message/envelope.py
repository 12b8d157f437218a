"""What ENVELOPE, BODY and BODYSTRUCTURE say about a message, as the octets that go over the wire (RFC 3501 7.4.2).

They are rendered once, when the message is stored. `VERSION` grows with each change of what is rendered; rows of an
older version are rendered again when they are read.
"""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.message.addresses import GroupEnd, GroupStart, addresses
from gateway.message.lexis import Parameters
from gateway.message.remembered import remembered
from gateway.message.split import Header, Values, values_of
from gateway.message.structure import Part, parse
from gateway.message.text import joined_parameters

VERSION: Final = 1

_QUOTABLE = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-!#-\[\]-\x7f]*+").fullmatch
_NEEDS_LITERAL = re.compile(rb"[\x80-\xff\r\n]").search
_DIFFERS = re.compile(rb"\*[0-9]*\*?\"|\"message\" \"global\"").search
_ADDRESS_FIELDS: Final = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")
ENVELOPE_FIELDS: Final = frozenset((*_ADDRESS_FIELDS, b"date", b"subject", b"in-reply-to", b"message-id"))
# No part begins in it, but the grammar wants one (Dovecot sends the same).
_NO_PARTS: Final = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'


class Rendered(NamedTuple):
    """Wire octets of the three items, each without its name; literals stand in them as `{n}CRLF octets`."""

    envelope: bytes
    body: bytes
    bodystructure: bytes
    version: int = VERSION


def render(octets: bytes) -> Rendered:
    """The three items of one stored message; never raises."""
    return render_part(octets, parse(octets))


def render_part(octets: bytes, root: Part, values: Values | None = None) -> Rendered:
    """As `render`, for a message that is parsed already, of which the `values` of ENVELOPE_FIELDS may be read already too."""
    body, bodystructure = _structures(octets, root, rev2=False)
    return Rendered(envelope(octets, root.header) if values is None else _envelope(values), body, bodystructure)


def may_differ_in_rev2(structure: bytes) -> bool:
    """Could BODY or BODYSTRUCTURE be another for IMAP4rev2 than this one, as `render` made it? Seldom."""
    return _DIFFERS(structure) is not None


def render_rev2(octets: bytes) -> Rendered:
    """As `render`, in the manner of IMAP4rev2: message/global has an envelope and a structure, RFC 2231 pieces of parameters are
    joined and decoded to UTF-8 (RFC 9051 section 7.5.2).
    """
    root = parse(octets)
    body, bodystructure = _structures(octets, root, rev2=True)
    return Rendered(envelope(octets, root.header), body, bodystructure)


def string(value: bytes) -> bytes:
    """RFC 3501 `string`: quoted where that is possible, else a literal; NUL, which neither may hold, becomes 0x80."""
    if value.isalnum() or _QUOTABLE(value) is not None:
        return b'"' + value + b'"'
    if b"\x00" in value:
        value = value.replace(b"\x00", b"\x80")
    if _NEEDS_LITERAL(value) is not None:
        return b"{%d}\r\n%b" % (len(value), value)
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def nstring(value: bytes | None) -> bytes:
    """RFC 3501 `nstring`."""
    return b"NIL" if value is None else string(value)


def envelope(octets: bytes, header: Header) -> bytes:
    """RFC 3501 `envelope` of one header. Of repeated fields the first counts; repeated address fields are joined,
    so that no client sees an author whom another does not see."""
    return _envelope(values_of(octets, header, ENVELOPE_FIELDS))


def _envelope(values: Values) -> bytes:
    senders = _addressed(values.get(b"from"))
    sender = _addressed(values.get(b"sender"))
    reply_to = _addressed(values.get(b"reply-to"))
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _first(values.get(b"date")),
        _first(values.get(b"subject")),
        senders,
        senders if sender == b"NIL" else sender,
        senders if reply_to == b"NIL" else reply_to,
        _addressed(values.get(b"to")),
        _addressed(values.get(b"cc")),
        _addressed(values.get(b"bcc")),
        _first(values.get(b"in-reply-to")),
        _first(values.get(b"message-id")),
    )


def _first(values: Sequence[bytes] | None) -> bytes:
    return b"NIL" if values is None else string(values[0])


def _addressed(values: Sequence[bytes] | None) -> bytes:
    return b"NIL" if values is None else _address_list(values[0] if len(values) == 1 else b",".join(values))


@remembered
def _address_list(value: bytes) -> bytes:
    pieces: list[bytes] = []
    for entry in addresses(value):
        if isinstance(entry, GroupStart):
            pieces.append(b"(NIL NIL %b NIL)" % string(entry.name))
        elif isinstance(entry, GroupEnd):
            pieces.append(b"(NIL NIL NIL NIL)")
        else:
            display, route, local, domain = entry
            # NIL in these two would make a group of it; the words are Dovecot's, which clients know.
            pieces.append(
                b"(%b %b %b %b)"
                % (
                    b"NIL" if display is None else string(display),
                    b"NIL" if route is None else string(route),
                    b'"MISSING_MAILBOX"' if local is None else string(local),
                    b'"MISSING_DOMAIN"' if domain is None else string(domain),
                )
            )
    return b"(" + b"".join(pieces) + b")" if pieces else b"NIL"


def _structures(octets: bytes, root: Part, *, rev2: bool) -> tuple[bytes, bytes]:
    """BODY and BODYSTRUCTURE in one walk; what waits is a part to be rendered or a pair of finished pieces."""
    body: list[bytes] = []
    bodystructure: list[bytes] = []
    waiting: list[Part | tuple[bytes, bytes]] = [root]
    while waiting:
        item = waiting.pop()
        if not isinstance(item, Part):
            body.append(item[0])
            bodystructure.append(item[1])
        elif item.is_multipart:
            body.append(b"(")
            bodystructure.append(b"(")
            closing = b" " + string(item.subtype)
            extension = b" %b %b)" % (_parameters(item.parameters, rev2), _after_parameters(item, rev2))
            waiting.append((closing + b")", closing + extension))
            if item.children:
                waiting.extend(reversed(item.children))
            else:
                waiting.append((_NO_PARTS, _NO_PARTS))
        else:
            start = b"(%b %b %b %b %b %b %d" % (
                string(item.type),
                string(item.subtype),
                _parameters(item.parameters, rev2),
                nstring(item.id),
                nstring(item.description),
                string(item.encoding),
                item.octets,
            )
            extension = b" %b %b)" % (nstring(item.md5), _after_parameters(item, rev2))
            # RFC 3501 knows message/rfc822 only.
            embedded = item.embedded if rev2 or item.subtype == b"rfc822" else None
            if embedded is not None:
                start += b" " + envelope(octets, embedded.header) + b" "
                lines = b" %d" % item.lines
                waiting.append((lines + b")", lines + extension))
                waiting.append(embedded)
                body.append(start)
                bodystructure.append(start)
            else:
                if item.type == b"text":
                    start += b" %d" % item.lines
                body.append(start + b")")
                bodystructure.append(start + extension)
    return b"".join(body), b"".join(bodystructure)


def _parameters(parameters: Parameters, rev2: bool) -> bytes:
    if rev2:
        parameters = joined_parameters(parameters)
    if not parameters:
        return b"NIL"
    if len(parameters) == 1:
        ((name, value),) = parameters
        return b"(%b %b)" % (string(name), string(value))
    return b"(" + b" ".join([string(name) + b" " + string(value) for name, value in parameters]) + b")"


def _after_parameters(part: Part, rev2: bool) -> bytes:
    """body-fld-dsp, body-fld-lang and body-fld-loc."""
    disposition = b"NIL"
    if part.disposition is not None:
        disposition = b"(%b %b)" % (string(part.disposition), _parameters(part.disposition_parameters, rev2))
    language = b"NIL"
    if part.language:
        language = b"(" + b" ".join([string(tag) for tag in part.language]) + b")"
    return b"%b %b %b" % (disposition, language, nstring(part.location))
