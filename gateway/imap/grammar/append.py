"""APPEND: messages for a folder."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.dates import date_time
from gateway.imap.grammar.flags import flag_list
from gateway.imap.grammar.strings import mailbox

MAX_MESSAGES = 1000
_UTF8 = re.compile(rb"UTF8 \(", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AppendMessage:
    """One message: its octets as sent. `binary` when it came as literal8 (RFC 3516), only then may it hold NUL."""

    flags: tuple[bytes, ...]
    internal_date: datetime | None
    octets: bytes = field(repr=False)
    binary: bool = False


@dataclass(frozen=True, slots=True)
class Append:
    """Messages for a folder; more than one only with MULTIAPPEND."""

    mailbox: str
    messages: tuple[AppendMessage, ...]


def append(c: Cursor, *, several: bool = False) -> Append:
    """`append = "APPEND" SP mailbox 1*append-message`, `append-message = append-opts SP append-data`,
    `append-opts = [SP flag-list] [SP date-time]`, `append-data = literal / literal8 / utf8-literal`,
    `utf8-literal = "UTF8" SP "(" literal8 ")"` (RFC 3501, RFC 4466, RFC 3502, RFC 3516, RFC 6855 section 4).

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
    as_utf8 = c.match(_UTF8) is not None
    as_binary = c.at_literal8()
    if as_binary:
        c.skip(b"~")
    if not c.at_literal() or (as_utf8 and not as_binary):
        c.fail("expected flags, a time or the message as a literal")
    octets = c.take_literal()
    if as_utf8:
        c.need(b")", ") behind the message")
    if not as_binary and b"\0" in octets:
        c.fail("a literal has no NUL")
    return AppendMessage(flags, when, octets, as_binary)
