"""GETQUOTA and GETQUOTAROOT: the owner's room, for whoever may read there (RFC 9208). Nobody sets it over IMAP."""

from dataclasses import dataclass
from typing import Final

from gateway.folders import Quota
from gateway.imap.grammar.quota import GetQuota, GetQuotaRoot
from gateway.imap.responses import NONEXISTENT, spell_astring, spell_mailbox
from gateway.imap.session import No, Output, Session

UNIT: Final = 1024
"""Octets that one of STORAGE stands for (RFC 9208 section 5.1)."""


@dataclass(frozen=True, slots=True)
class QuotaRootOf:
    """`quotaroot-response = "QUOTAROOT" SP mailbox *(SP quota-root-name)`: no name where nothing limits the folder."""

    mailbox: str
    roots: tuple[str, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* QUOTAROOT ...`"""
        roots = (spell_astring(root.encode("utf-8"), utf8=utf8) for root in self.roots)
        return b" ".join((b"* QUOTAROOT", spell_mailbox(self.mailbox, utf8=utf8), *roots)) + b"\r\n"


@dataclass(frozen=True, slots=True)
class QuotaOf:
    """`quota-response = "QUOTA" SP quota-root-name SP "(" resource-name SP usage SP limit ")"`, in units of 1024 octets, rounded up."""

    quota: Quota

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* QUOTA ...`"""
        quota = self.quota
        used, limit = (-(-octets // UNIT) for octets in (quota.used, quota.limit))
        return b"* QUOTA %b (STORAGE %d %d)\r\n" % (spell_astring(quota.root.encode("utf-8"), utf8=utf8), used, limit)


async def getquota(session: Session, command: GetQuota, emit: Output) -> None:
    """RFC 9208 section 4.1.1. A root of somebody whose folders may not be seen has the answer of one that is not there."""
    found = await session.services.folders.quota(session.acting, command.root)
    if found is None:
        raise No("no such quota root", NONEXISTENT)
    emit.say(QuotaOf(found))


async def getquotaroot(session: Session, command: GetQuotaRoot, emit: Output) -> None:
    """RFC 9208 section 4.1.2."""
    found = await session.services.folders.quota_of(session.acting, session.place(command.mailbox))
    if found is None:
        emit.say(QuotaRootOf(command.mailbox, ()))
    else:
        emit.say(QuotaRootOf(command.mailbox, (found.root,)), QuotaOf(found))
