"""APPEND: messages for a folder."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.dates import date_time
from gateway.imap.grammar.flags import flag_list
from gateway.imap.grammar.strings import astring, literal, mailbox
from gateway.imap.grammar.url import MAX_URL

MAX_MESSAGES = 1000
MAX_PARTS = 1000
_CATENATE = re.compile(rb"CATENATE \(", re.IGNORECASE)
_TEXT = re.compile(rb"TEXT ", re.IGNORECASE)
_URL = re.compile(rb"URL ", re.IGNORECASE)
_UTF8 = re.compile(rb"UTF8 \(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Url:
    """A part of a message that is stored already, by its URL as sent."""

    url: bytes


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message: its octets as sent. `binary` when it came as literal8 (RFC 3516), only then may it hold NUL. `parts`: of which it
    is to be made (RFC 4469), instead."""

    flags: tuple[bytes, ...]
    internal_date: datetime | None
    octets: bytes = field(repr=False)
    binary: bool = False
    parts: tuple[bytes | Url, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Append:
    """Messages for a folder; more than one only with MULTIAPPEND."""

    mailbox: str
    messages: tuple[AppendMessage, ...]


def append(c: Cursor, *, several: bool = False) -> Append:
    """`append = "APPEND" SP mailbox 1*append-message`, `append-message = append-opts SP append-data`,
    `append-opts = [SP flag-list] [SP date-time]`, `append-data = literal / literal8 / utf8-literal /
    "CATENATE" SP "(" cat-part *(SP cat-part) ")"` (RFC 3501, RFC 4466, RFC 3502, RFC 3516, RFC 6855, RFC 4469).

    `several`: MULTIAPPEND is announced.
    """
    c.sp()
    name = mailbox(c)
    messages: list[AppendMessage] = []
    while True:
        messages.append(_append_message(c))
        if c.at_end():
            return Append(name, tuple(messages))
        if not several:
            c.fail("expected one message and then the end of the command")
        if len(messages) == MAX_MESSAGES:
            c.fail(f"expected at most {MAX_MESSAGES} messages")


def _append_message(c: Cursor) -> AppendMessage:
    c.sp()
    flags: tuple[bytes, ...] = ()
    when: datetime | None = None
    if c.peek() == b"(":
        flags = flag_list(c)
        c.sp()
    if c.peek() == b'"':
        when = date_time(c)
        c.sp()
    if c.match(_CATENATE):
        parts, as_binary = _parts(c)
        return AppendMessage(flags, when, b"", as_binary, parts)
    if c.match(_UTF8):
        return AppendMessage(flags, when, _utf8_literal(c), binary=True)
    as_binary = c.at_literal8()
    if as_binary:
        c.skip(b"~")
    if not c.at_literal():
        c.fail("expected flags, a time or the message as a literal")
    return AppendMessage(flags, when, c.take_literal() if as_binary else literal(c), as_binary)


def _utf8_literal(c: Cursor) -> bytes:
    """`utf8-literal = "UTF8" SP "(" literal8 ")"` (RFC 6855 section 4), behind its first parenthesis."""
    if not c.at_literal8():
        c.fail("expected a literal8")
    c.skip(b"~")
    octets = c.take_literal()
    c.need(b")", ") behind the message")
    return octets


def _parts(c: Cursor) -> tuple[tuple[bytes | Url, ...], bool]:
    """The parts, and whether one of them may hold NUL."""
    parts: list[bytes | Url] = []
    as_binary = False
    while True:
        if c.match(_UTF8):
            as_binary = True
            parts.append(_utf8_literal(c))
        else:
            parts.append(_cat_part(c))
        if c.skip(b")"):
            return tuple(parts), as_binary
        if len(parts) == MAX_PARTS:
            c.fail(f"expected at most {MAX_PARTS} parts")
        c.sp()


def _cat_part(c: Cursor) -> bytes | Url:
    """`cat-part = text-literal / url / utf8-literal`, `text-literal = "TEXT" SP literal`, `url = "URL" SP astring`"""
    if c.match(_TEXT):
        if not c.at_literal():
            c.fail("expected a literal")
        return literal(c)
    c.expect(_URL, "TEXT or URL")
    url = astring(c, "a URL")
    if len(url) > MAX_URL:
        c.fail(f"expected a URL of at most {MAX_URL} octets before this place")
    return Url(url)
