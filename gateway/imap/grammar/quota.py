"""GETQUOTA and GETQUOTAROOT: how much room is there?"""

from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.strings import astring, mailbox, text

MAX_ROOT = 512


@dataclass(frozen=True, slots=True)
class GetQuota:
    """The room under a quota root."""

    root: str


@dataclass(frozen=True, slots=True)
class GetQuotaRoot:
    """The quota roots of a folder, and the room under each."""

    mailbox: str


def getquota(c: Cursor) -> GetQuota:
    """`getquota = "GETQUOTA" SP quota-root-name`, `quota-root-name = astring` (RFC 9208 section 6)"""
    c.sp()
    octets = astring(c, "the name of a quota root")
    if len(octets) > MAX_ROOT:
        c.fail(f"expected the name of a quota root of at most {MAX_ROOT} octets before this place")
    return GetQuota(text(c, octets))


def getquotaroot(c: Cursor) -> GetQuotaRoot:
    """`getquotaroot = "GETQUOTAROOT" SP mailbox`"""
    c.sp()
    return GetQuotaRoot(mailbox(c))
