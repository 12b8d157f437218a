"""SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS: identifiers and rights as text; the handler makes grantees of them."""

import re
from dataclasses import dataclass

from gateway.imap.grammar.cursor import Cursor
from gateway.imap.grammar.store import StoreMode
from gateway.imap.grammar.strings import astring, mailbox, text
from gateway.sasl.prepare import Unprepared, saslprep

_RIGHTS = re.compile(rb"([+-]?)([a-z0-9]{0,36})\Z")
MAX_IDENTIFIER = 512


@dataclass(frozen=True, slots=True)
class SetAcl:
    """The rights an identifier shall have, gain or lose, as letters."""

    mailbox: str
    identifier: str
    mode: StoreMode
    rights: str


@dataclass(frozen=True, slots=True)
class DeleteAcl:
    """An identifier whose entry goes."""

    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class GetAcl:
    """Who has which rights?"""

    mailbox: str


@dataclass(frozen=True, slots=True)
class ListRights:
    """Which rights can this identifier be given?"""

    mailbox: str
    identifier: str


@dataclass(frozen=True, slots=True)
class MyRights:
    """Which rights do I have?"""

    mailbox: str


def setacl(c: Cursor) -> SetAcl:
    """`setacl = "SETACL" SP mailbox SP identifier SP mod-rights`, `mod-rights = astring ; +rights to add, -rights to remove,
    rights to replace` (RFC 4314 section 6). Which letters exist, the handler says.
    """
    c.sp()
    name = mailbox(c)
    c.sp()
    who = identifier(c)
    c.sp()
    found = _RIGHTS.match(astring(c, "rights"))
    if found is None:
        c.fail("expected rights as lower-case letters, with + or - before them or nothing, before this place")
    return SetAcl(name, who, StoreMode(found[1]), found[2].decode("ascii"))


def deleteacl(c: Cursor) -> DeleteAcl:
    """`deleteacl = "DELETEACL" SP mailbox SP identifier`"""
    c.sp()
    name = mailbox(c)
    c.sp()
    return DeleteAcl(name, identifier(c))


def getacl(c: Cursor) -> GetAcl:
    """`getacl = "GETACL" SP mailbox`"""
    c.sp()
    return GetAcl(mailbox(c))


def listrights(c: Cursor) -> ListRights:
    """`listrights = "LISTRIGHTS" SP mailbox SP identifier`"""
    c.sp()
    name = mailbox(c)
    c.sp()
    return ListRights(name, identifier(c))


def myrights(c: Cursor) -> MyRights:
    """`myrights = "MYRIGHTS" SP mailbox`"""
    c.sp()
    return MyRights(mailbox(c))


def identifier(c: Cursor) -> str:
    """`identifier = astring`, in UTF-8, prepared with SASLprep; what cannot be prepared or is nothing then is BAD (RFC 4314 section 3)."""
    octets = astring(c, "an identifier")
    try:
        prepared = saslprep(text(c, octets), stored=False) if len(octets) <= MAX_IDENTIFIER else ""
    except Unprepared:
        prepared = ""
    if not prepared:
        c.fail(f"expected an identifier of 1 to {MAX_IDENTIFIER} octets before this place")
    return prepared
