"""Which message, or which part of one, does a URL mean (RFC 5092)? Only such as CATENATE takes: of this server and this session."""

import re
from dataclasses import dataclass

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadSyntax, Cursor
from gateway.imap.grammar.fetch import Section, section

MAX_URL = 8192
# RFC 5092 section 11: bchar.
_BCHARS = rb"((?:[A-Za-z0-9._~!$'()*+,&=:@/-]|%[0-9A-Fa-f]{2})+?)"
_NZ = rb"([1-9][0-9]{0,9})"
_MAILBOX = rb"/(?!/)" + _BCHARS + rb"(?:;UIDVALIDITY=" + _NZ + rb")?"
_PART = rb"/;UID=" + _NZ + rb"(?:/;SECTION=" + _BCHARS + rb")?(?:/;PARTIAL=([0-9]{1,10})(?:\." + _NZ + rb")?)?\Z"
_URL = re.compile(_MAILBOX + _PART, re.IGNORECASE)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")


class BadUrl(Exception):
    """A URL that is none, or none of a message of this server. `message`: why, never what the client sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class MessageUrl:
    """A message by its folder and UID, and what of it. `partial`: first octet, and how many (None: all that follow)."""

    mailbox: str
    uidvalidity: int | None
    uid: int
    section: Section
    partial: tuple[int, int | None] | None


def message_url(octets: bytes) -> MessageUrl:
    """`iabsolute-path = "/" [ icommand ]`, `icommand = imessagepart`, `imessagepart = imailbox-ref iuid [isection] [ipartial]`.

    RFC 4469 section 3 takes relative URLs only, and RFC 5092 section 7.2 of these only absolute paths. Raises BadUrl.
    """
    found = _URL.match(octets) if len(octets) <= MAX_URL else None
    if found is None:
        raise BadUrl('expected the URL of a message of this server: "/mailbox;UIDVALIDITY=1/;UID=2/;SECTION=3/;PARTIAL=4.5"')
    mailbox, uidvalidity, uid, part, first, count = found.groups()
    try:
        name = _unescaped(mailbox).decode("utf-8")
    except UnicodeDecodeError:
        raise BadUrl("a mailbox in a URL is spelled in UTF-8") from None
    wanted = Section() if part is None else _section(_unescaped(part))
    numbers = [int(number) for number in (uidvalidity, uid, first, count) if number is not None]
    if max(numbers) > 0xFFFFFFFF:
        raise BadUrl("a number in a URL is too big")
    partial = None if first is None else (int(first), None if count is None else int(count))
    return MessageUrl(name, None if uidvalidity is None else int(uidvalidity), int(uid), wanted, partial)


def _unescaped(octets: bytes) -> bytes:
    return _ESCAPE.sub(lambda escape: bytes((int(escape[1], 16),)), octets) if b"%" in octets else octets


def _section(octets: bytes) -> Section:
    """`enc-section`: a section-spec as FETCH has it in brackets."""
    try:
        return Cursor(Frame((b"[" + octets + b"]",))).whole(section)
    except BadSyntax:
        raise BadUrl("a URL has a section that BODY[...] would not take") from None
