"""GETMETADATA, SETMETADATA: entries of folders and of the server (RFC 5464)."""

from dataclasses import dataclass
from typing import Final

from gateway.folders import Place
from gateway.imap.grammar.metadata import GetMetadata, SetMetadata
from gateway.imap.responses import Code, spell_astring, spell_list, spell_mailbox, spell_nstring
from gateway.imap.session import Answer, No, Output, Session
from gateway.refusal import Refused
from policy.reasons import Reason

MAX_VALUE: Final = 65_536
"""Octets of one value; RFC 5464 asks for no number, clients keep settings of some KiB here."""


@dataclass(frozen=True, slots=True)
class MetadataOf:
    """`metadata-resp = "METADATA" SP mailbox SP "(" entry SP value *(SP entry SP value) ")"`, `value = nstring / literal8`"""

    mailbox: str
    values: tuple[tuple[str, bytes | None], ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* METADATA ...`; a value with NUL is a literal8."""
        pairs = (b"%b %b" % (spell_astring(entry.encode("ascii")), _spell(value)) for entry, value in self.values)
        return b"* METADATA %b %b\r\n" % (spell_mailbox(self.mailbox, utf8=utf8), spell_list(pairs))


@dataclass(frozen=True, slots=True)
class EntriesOf:
    """`"METADATA" SP mailbox SP entry-list`, `entry-list = entry *(SP entry)` (RFC 5464 section 4.4.2): they changed."""

    mailbox: str
    entries: tuple[str, ...]

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* METADATA ...`"""
        names = b" ".join(spell_astring(entry.encode("ascii")) for entry in self.entries)
        return b"* METADATA %b %b\r\n" % (spell_mailbox(self.mailbox, utf8=utf8), names)


def _spell(value: bytes | None) -> bytes:
    if value is not None and b"\0" in value:
        return b"~{%d}\r\n%b" % (len(value), value)
    return spell_nstring(value)


async def getmetadata(session: Session, command: GetMetadata, emit: Output) -> Answer:
    """RFC 5464 section 4.2. Values longer than MAXSIZE are left out, and the largest of them is told."""
    place = _place(session, command.mailbox)
    values = await session.services.folders.metadata(session.acting, place, command.entries, command.depth)
    longest = 0
    if command.max_size is not None:
        sizes = [0 if value is None else len(value) for _, value in values]
        longest = max((size for size in sizes if size > command.max_size), default=0)
        values = tuple(one for one, size in zip(values, sizes, strict=True) if size <= command.max_size)
    if values:
        emit.say(MetadataOf(command.mailbox, values))
    return Answer(code=Code(b"METADATA", b"LONGENTRIES %d" % longest)) if longest else Answer()


async def setmetadata(session: Session, command: SetMetadata, emit: Output) -> None:
    """RFC 5464 section 4.3."""
    place = _place(session, command.mailbox)
    if any(value is not None and len(value) > MAX_VALUE for _, value in command.values):
        raise No("a value is too long", Code(b"METADATA", b"MAXSIZE %d" % MAX_VALUE))
    try:
        await session.services.folders.set_metadata(session.acting, place, command.values)
    except Refused as refused:
        if refused.verdict.reason is Reason.LIMIT:
            raise No("there are too many entries, or too much is in them", Code(b"METADATA", b"TOOMANY")) from None
        raise


def _place(session: Session, mailbox: str) -> Place | None:
    return session.place(mailbox) if mailbox else None
