"""Changing single fields of a header while every other octet of the message stays as it is (robustness.md 2.4 b)."""

import re
from base64 import b64encode
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Final

from gateway.message.canonical import read_domain
from gateway.message.dates import format_date
from gateway.message.lexis import unquoted, without_comments
from gateway.message.split import Field, Header, unfolded
from policy.identity import BadAddress

# RFC 5322 2.1.1: lines should have at most 78 characters; RFC 2047 2: one with an encoded word at most 76. Base64 makes 48
# and 60 characters of these octets, and the first word stands behind the field's name.
_LINE: Final = 78
_FIRST_WORD_OCTETS: Final = 36
_WORD_OCTETS: Final = 45
REMOVED_FROM_SUBMISSIONS: Final = (b"bcc", b"resent-bcc", b"return-path")

_FIELD_NAME = re.compile(rb"[!-9;-~]+")
_VALUE_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n[ \t])|(?<!\r)\n")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_TRACE_UNSAFE = re.compile(r"[^!#-'*-;=?-\[\]-~]")


def rewrite(
    octets: bytes,
    header: Header,
    *,
    remove: Iterable[Field] = (),
    replace: Mapping[Field, bytes] | None = None,
    top: Iterable[bytes] = (),
    bottom: Iterable[bytes] = (),
) -> bytes:
    """The message with whole fields removed, replaced or added; the given fields must be `header`'s own.

    `top` goes before the first field (trace fields, newest first), `bottom` after the last. New fields are whole
    (`field` makes them). Linear.
    """
    changes: dict[Field, bytes] = dict.fromkeys(remove, b"")
    changes.update(replace or {})
    pieces: list[bytes] = [octets[: header.start], *top]
    position = header.start
    for changed in sorted(changes, key=lambda one: one.start):
        pieces.append(octets[position : changed.start])
        pieces.append(changes[changed])
        position = changed.end
    pieces.append(octets[position : header.end])
    added = list(bottom)
    if added:
        if header.end > header.start and octets[header.end - 1 : header.end] != b"\n" and position < header.end:
            pieces.append(b"\r\n")
        pieces.extend(added)
    pieces.append(octets[header.end :])
    return b"".join(pieces)


def fields_named(header: Header, names: Collection[bytes]) -> tuple[Field, ...]:
    """All fields whose (lower-case) name is one of `names`, in order."""
    return tuple([one for one in header.fields if one.name in names])


def field(name: bytes, value: bytes) -> bytes:
    """One whole field, its line ending included; `value` may hold folds.

    Raises ValueError for a name or value that could end the field before its end: a programmer's error, or text of a
    stranger that was not cleaned.
    """
    if _FIELD_NAME.fullmatch(name) is None or _VALUE_FORBIDDEN.search(value) is not None:
        raise ValueError("not one header field")
    return name + b": " + value + b"\r\n"


def mailbox_value(display: str, address: str) -> bytes:
    """`display <address>` for an originator field: a phrase, a quoted string or encoded words (RFC 2047), folded.

    Control characters in the display name become blanks. Non-ASCII in the address goes as UTF-8 (RFC 6532).
    Raises ValueError for an address with blanks, controls or angle brackets.
    """
    if not address.isprintable() or " " in address or "<" in address or ">" in address:
        raise ValueError("not an address")
    where = address.encode("utf-8")
    name = " ".join("".join(char if char.isprintable() else " " for char in display).split())
    if not name:
        return where
    if not name.isascii():
        words = _encoded_words(name)
    elif _PHRASE.fullmatch(name) and "=?" not in name:
        words = [name.encode("ascii")]
    else:
        words = [b'"' + name.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"']
    last = words[-1]
    fits = len(words) == 1 and len(last) + len(where) + len("Resent-Sender:  <>") <= _LINE
    return b"\r\n ".join(words) + (b" <" if fits else b"\r\n <") + where + b">"


def _encoded_words(text: str) -> list[bytes]:
    words: list[bytes] = []
    piece = b""
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(piece) + len(encoded) > (_WORD_OCTETS if words else _FIRST_WORD_OCTETS):
            words.append(piece)
            piece = b""
        piece += encoded
    words.append(piece)
    return [b"=?UTF-8?B?" + b64encode(word) + b"?=" for word in words]


def from_field(display: str, address: str) -> bytes:
    """A From field (delegation.md 5.2)."""
    return field(b"From", mailbox_value(display, address))


def sender_field(display: str, address: str) -> bytes:
    """A Sender field (delegation.md 5.3)."""
    return field(b"Sender", mailbox_value(display, address))


def resent_sender_field(display: str, address: str) -> bytes:
    """A Resent-Sender field (delegation.md 5.5)."""
    return field(b"Resent-Sender", mailbox_value(display, address))


def date_field(at: datetime) -> bytes:
    """`at` is aware."""
    return field(b"Date", format_date(at).encode("ascii"))


def message_id_field(unique: str, domain: str) -> bytes:
    """`unique` is a dot-atom of the caller's making; `domain` the From's domain (delegation.md 5.2), A-label."""
    return field(b"Message-ID", f"<{unique}@{domain}>".encode())


def return_path_field(reverse_path: str) -> bytes:
    """`reverse_path` without angle brackets; empty for the null path (RFC 5321 4.4)."""
    return field(b"Return-Path", f"<{reverse_path}>".encode())


def delivered_to_field(address: str) -> bytes:
    """A Delivered-To field, by which lists and forwards notice loops."""
    return field(b"Delivered-To", address.encode("utf-8"))


def received_field(
    *,
    by: str,
    protocol: str,
    identifier: str,
    at: datetime,
    helo: str | None = None,
    source: str | None = None,
    recipient: str | None = None,
) -> bytes:
    """A Received field (RFC 5321 4.4). Without `helo` and `source` it names nobody (delegation.md 5.8).

    `helo` is what the peer said and may be anything: what a trace field cannot hold becomes `?`.
    """
    lines: list[str] = []
    if helo is not None or source is not None:
        lines.append(f"from {_trace_text(helo or 'unknown')}" + (f" ([{_literal(source)}])" if source else ""))
    lines.append(f"by {_trace_text(by)} with {_trace_text(protocol)} id {_trace_text(identifier)}")
    if recipient is not None and recipient.isprintable() and not set(recipient) & set("<> ()"):
        lines.append(f"for <{recipient}>")
    value = "\r\n\t".join(lines) + ";\r\n\t" + format_date(at)
    return field(b"Received", value.encode("utf-8"))


def _trace_text(text: str) -> str:
    return _TRACE_UNSAFE.sub("?", text[:255]) or "?"


def _literal(source: str) -> str:
    """What stands in an address literal (RFC 5321 section 4.1.3)."""
    return ("IPv6:" if ":" in source else "") + _trace_text(source)


def authentication_results_of(octets: bytes, header: Header, authserv_ids: Collection[str]) -> tuple[Field, ...]:
    """The Authentication-Results fields that claim to be ours (RFC 8601 5): their authserv-id is one of the ids.

    A field whose id cannot be read claims nothing that we could know to be false, and stays. ARC's twin counts too.
    """
    ours = {_host_name(one) for one in authserv_ids}
    return tuple(
        [
            one
            for one in header.fields
            if one.name in (b"authentication-results", b"arc-authentication-results") and _authserv_id(octets, one) in ours
        ]
    )


# No host name has a "/": what stands behind one may be a version to who reads leniently.
_AUTHSERV_ID = re.compile(
    rb"[\x00-\x20]*+(?:i[ \t]*+=[ \t]*+\d+[ \t]*+;[\x00-\x20]*+)?(?:\"([^\"\\]*+(?:\\.[^\"\\]*+)*+)\"|([^\x00-\x20;\"/]++))"
)


def _authserv_id(octets: bytes, one: Field) -> str:
    match = _AUTHSERV_ID.match(without_comments(unfolded(octets, one)))
    if match is None:
        return ""
    return _host_name((unquoted(match[1]) if match[1] is not None else match[2]).decode("utf-8", "replace"))


def _host_name(text: str) -> str:
    """As A-labels, in lower case, without blanks around it (no-break ones too) and the dot at its end; what is none as it is."""
    words = text.split()
    name = words[0].rstrip(".") if words else ""
    try:
        return read_domain(name)
    except BadAddress:
        return name.lower()


_BY = re.compile(rb"(?:\A|[ \t])by[ \t]++([^ \t;]++)", re.IGNORECASE)


def received_by(octets: bytes, header: Header, hosts: Collection[str]) -> tuple[Field, ...]:
    """The Received fields that say they were written by one of `hosts`."""
    ours = {_host_name(one) for one in hosts}
    found: list[Field] = []
    for one in header.fields:
        if one.name == b"received":
            by = _BY.search(without_comments(unfolded(octets, one)))
            if by is not None and _host_name(by[1].decode("utf-8", "replace")) in ours:
                found.append(one)
    return tuple(found)


def forged_results(octets: bytes, header: Header, authserv_ids: Collection[str]) -> tuple[Field, ...]:
    """The Authentication-Results fields of these servers in what came from a stranger (RFC 8601 section 5). ARC's twin stays: it is sealed,
    and what went round comes back with ours."""
    return tuple([one for one in authentication_results_of(octets, header, authserv_ids) if one.name == b"authentication-results"])


_TAG = re.compile(rb"(?:\A|;)[ \t]*+h[ \t]*+=([^;]*+)")
_BLANKS = re.compile(rb"[ \t\r\n]++")


def signatures_over(octets: bytes, header: Header, names: Collection[bytes]) -> tuple[Field, ...]:
    """The DKIM-Signature fields whose `h=` names one of the (lower-case) fields `names` (RFC 6376 3.5).

    To be asked about the header fields that were changed, added or removed: such a signature no longer holds.
    """
    found: list[Field] = []
    for one in header.fields:
        if one.name == b"dkim-signature":
            tag = _TAG.search(unfolded(octets, one))
            if tag is not None and not set(_BLANKS.sub(b"", tag[1]).lower().split(b":")).isdisjoint(names):
                found.append(one)
    return tuple(found)


_IDENTITY = re.compile(rb"(?:\A|;)[ \t]*+i[ \t]*+=([^;]*+)")


def signatures_naming_others(octets: bytes, header: Header, addresses: Collection[str]) -> tuple[Field, ...]:
    """The DKIM-Signature fields whose `i=` names a person who is none of `addresses` (delegation.md 5.8)."""
    known = {one.lower().encode("utf-8") for one in addresses}
    found: list[Field] = []
    for one in header.fields:
        if one.name == b"dkim-signature":
            for tag in _IDENTITY.finditer(unfolded(octets, one)):
                said = _BLANKS.sub(b"", tag[1]).lower()
                # What is spelled in another way than plainly is taken for somebody else.
                if not said.startswith(b"@") and said not in known:
                    found.append(one)
                    break
    return tuple(found)
