"""Did a machine write this, and may a machine answer it? (RFC 3834)"""

import re
from typing import Final

from gateway.message.addresses import Mailbox, addresses
from gateway.message.split import Header, unfolded

_WORD: Final = re.compile(rb"[ \t\r\n]*+([!-:<-~]*+)")
_ANSWERING: Final = frozenset({b"auto_reply", b"auto-reply", b"junk"})
_BULK: Final = frozenset({b"bulk", b"list", *_ANSWERING})
_ANSWERS: Final = (b"x-autoreply", b"x-autorespond", b"x-autoresponder")
_DAEMONS: Final = frozenset({b"mailer-daemon", b"postmaster"})


def is_automatic_reply(octets: bytes, header: Header) -> bool:
    """The answer of a machine to something: an absence notice. What machines write of their own accord (reports of a job, of a build) is
    none; nor is a delivery report, whose envelope sender is empty."""
    return (
        _word(octets, header, b"auto-submitted") == b"auto-replied"
        or _word(octets, header, b"precedence") in _ANSWERING
        or any(header.first(name) is not None and _word(octets, header, name) != b"no" for name in _ANSWERS)
    )


def is_never_answered(octets: bytes, header: Header) -> bool:
    """RFC 3834 section 2: no machine answers what a machine wrote, nor what came through a list. The empty envelope sender, which is not
    to be seen here, is the other reason."""
    submitted = _word(octets, header, b"auto-submitted")
    if submitted not in (b"", b"no") or is_automatic_reply(octets, header):
        return True
    if _word(octets, header, b"precedence") in _BULK or any(one.name.startswith(b"list-") for one in header.fields):
        return True
    if _word(octets, header, b"content-type") == b"multipart/report":
        return True
    return author(octets, header).partition(b"@")[0].lower() in _DAEMONS


def author(octets: bytes, header: Header) -> bytes:
    """The address of the one mailbox in the one From; nothing where there is none, or more than one."""
    there = header.find(b"from")
    if len(there) != 1:
        return b""
    found = addresses(unfolded(octets, there[0]), limit=2)
    if len(found) != 1 or not isinstance(found[0], Mailbox) or found[0].local is None or found[0].domain is None:
        return b""
    return found[0].local + b"@" + found[0].domain


def _word(octets: bytes, header: Header, name: bytes) -> bytes:
    """The first word of a field, in lower case, without parameters; nothing where there is no such field."""
    field = header.first(name)
    found = None if field is None else _WORD.match(unfolded(octets, field))
    return b"" if found is None else found[1].lower()
