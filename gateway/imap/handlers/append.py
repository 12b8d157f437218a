"""APPEND: messages that the client brings."""

import asyncio
from datetime import UTC, datetime

from gateway.folders import IN_PLACE, NewItem
from gateway.imap.grammar.append import Append, AppendMessage
from gateway.imap.handlers.store import sorted_out
from gateway.imap.responses import TOOBIG, UNKNOWN_CTE, appenduid, messagelimit
from gateway.imap.session import Answer, No, Output, Session
from gateway.message.binary import CannotKeep, without_nul

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def append(session: Session, command: Append, emit: Output) -> Answer:
    """RFC 3501 section 6.3.11, RFC 4315 section 3, RFC 3502. In place of a copy that the server filed itself: delegation.md section 6."""
    place = session.place(command.mailbox)
    if len(command.messages) > 1 and not all(message.octets for message in command.messages):
        raise No("nothing was appended: a message without an octet among several ends them all")
    limit = session.services.message_limit
    if len(command.messages) > limit:
        raise No("too many messages in one APPEND, nothing was appended", messagelimit(limit))
    items = [await item_of(session, message) for message in command.messages]
    row, done = await session.services.folders.append(session.acting, place, items)
    session.added(row, done.uids, done.modseq)
    return Answer(code=appenduid(done.uidvalidity, done.uids))


async def item_of(session: Session, message: AppendMessage) -> NewItem:
    """What the client said of a message, in the service's terms. Raises No for NULs that cannot be kept (RFC 3516 section 4.4)."""
    flags, keywords = sorted_out(message.flags)
    received = None if message.internal_date is None else int((message.internal_date - _EPOCH).total_seconds() * 1_000_000)
    octets = message.octets
    if message.binary and b"\0" in octets:
        try:
            octets = without_nul(octets) if len(octets) <= IN_PLACE else await asyncio.to_thread(without_nul, octets)
        except CannotKeep:
            raise No("NUL octets can be kept in bodies that are not encoded, nowhere else", UNKNOWN_CTE) from None
        if len(octets) > session.services.append_limit:
            raise No("without its NUL octets the message is too big", TOOBIG)
    return NewItem(octets, flags, keywords, received)
