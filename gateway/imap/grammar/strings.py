"""Strings in their three spellings, and the mailbox names and texts that they carry."""

import re
from typing import Final

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.names import MISSPELT, BadName, decode_utf7, fold_inbox

MAX_MAILBOXES: Final = 1_000
"""Names in one command; Dovecot takes 100, which a shared desk outgrows."""
_ASTRING = re.compile(rb"[^\x00-\x20\x7f-\xff(){%*\"\\]+")
_LIST_MAILBOX = re.compile(rb"[^\x00-\x20\x7f-\xff(){\"\\]+")
_QUOTED = re.compile(rb"\"([^\"\\\r\n\x00]*)\"")
_QUOTED_ESCAPED = re.compile(rb"\"((?:[^\"\\\r\n\x00]|\\[\"\\])*+)\"")
_UNESCAPE = re.compile(rb"\\(.)")
_NIL = re.compile(rb"[Nn][Ii][Ll](?![^\x00-\x20\x7f-\xff(){%*\"\\])")


def quoted(c: Cursor) -> bytes:
    """`quoted = DQUOTE *QUOTED-CHAR DQUOTE`; octets above 127 are let through (imap_tools and imapflow send raw UTF-8). Where the
    client enabled UTF-8, they have to be UTF-8 (RFC 6855 section 3, RFC 9051 section 9).
    """
    found = _QUOTED.match(c.text, c.position)
    if found is not None:
        octets = found[1]
    else:
        found = _QUOTED_ESCAPED.match(c.text, c.position)
        if found is None:
            c.fail("expected a quoted string that ends")
        octets = _UNESCAPE.sub(rb"\1", found[1])
    c.position = found.end()
    if c.utf8 and not octets.isascii():
        text(c, octets)
    return octets


def literal(c: Cursor) -> bytes:
    """`literal = "{" number "}" CRLF *CHAR8`, `CHAR8 = %x01-ff`: no NUL."""
    octets = c.take_literal()
    if b"\0" in octets:
        c.fail("a literal has no NUL")
    return octets


def string(c: Cursor, wanted: str = "a string") -> bytes:
    """`string = quoted / literal`"""
    if c.peek() == b'"':
        return quoted(c)
    if not c.at_literal():
        c.fail(f"expected {wanted}")
    return literal(c)


def nstring(c: Cursor, wanted: str = "a string or NIL") -> bytes | None:
    """`nstring = string / nil`"""
    return None if c.match(_NIL) else string(c, wanted)


def astring(c: Cursor, wanted: str = "a string") -> bytes:
    """`astring = 1*ASTRING-CHAR / string`"""
    return c.match(_ASTRING) or string(c, wanted)


def text(c: Cursor, octets: bytes) -> str:
    """These octets, just read, as UTF-8."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        c.fail("expected UTF-8 before this place")


def _name(c: Cursor, octets: bytes) -> str:
    try:
        # RFC 6855 section 3: UTF-8 in quotes is a name before it is enabled too. Modified UTF-7 has no octet above 127.
        return octets.decode("utf-8") if c.utf8 or not octets.isascii() else decode_utf7(octets)
    except UnicodeDecodeError:
        c.fail("expected a mailbox name in UTF-8 before this place")
    except BadName:
        # An astring all the same: no folder is called so, which is no error of syntax (RFC 3501 section 9, "mailbox").
        return MISSPELT + octets.decode("ascii", "backslashreplace")


def mailbox(c: Cursor) -> str:
    """`mailbox = "INBOX" / astring`; decoded, INBOX in upper case. Which folder it is, `names.Namespace.parse` says."""
    return fold_inbox(mailbox_as_written(c))


def one_or_more_mailboxes(c: Cursor) -> tuple[str, ...]:
    """`one-or-more-mailbox = mailbox / many-mailboxes`, `many-mailboxes = "(" mailbox *(SP mailbox) ")"` (RFC 5465 section 8), at most
    MAX_MAILBOXES."""
    if not c.skip(b"("):
        return (mailbox(c),)
    found = [mailbox(c)]
    while not c.skip(b")"):
        if len(found) == MAX_MAILBOXES:
            c.fail(f"expected at most {MAX_MAILBOXES} names of mailboxes")
        c.sp()
        found.append(mailbox(c))
    return tuple(found)


def mailbox_as_written(c: Cursor) -> str:
    """`mailbox`, decoded and otherwise as the client spelled it."""
    return _name(c, astring(c, "a mailbox name"))


def list_mailbox(c: Cursor) -> str:
    """`list-mailbox = 1*list-char / string`, `list-char = ATOM-CHAR / list-wildcards / resp-specials`"""
    return _name(c, c.match(_LIST_MAILBOX) or string(c, "a mailbox pattern"))


def reference(c: Cursor) -> str:
    """`mailbox`, as the first argument of LIST: may be empty, INBOX is not special."""
    return _name(c, astring(c, "a reference name"))
