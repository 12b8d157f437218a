"""APPEND: messages that the client brings."""

import asyncio
from datetime import UTC, datetime

from gateway.folders import IN_PLACE, NewItem
from gateway.imap.grammar.append import Append, AppendMessage
from gateway.imap.handlers.catenate import Catenation
from gateway.imap.handlers.listing import listed
from gateway.imap.handlers.store import sorted_out
from gateway.imap.responses import TOOBIG, UNKNOWN_CTE, appenduid, messagelimit
from gateway.imap.session import Answer, No, Output, Session
from gateway.message.binary import CannotKeep, without_nul
from gateway.message.split import read_header

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WRAPPED = (b"UTF8 (", b")")


async def append(session: Session, command: Append, emit: Output) -> Answer:
    """RFC 3501 section 6.3.11, RFC 4315 section 3, RFC 3502, RFC 4469.

    It takes the place of a copy that the server filed itself: delegation.md section 6.
    """
    place = session.place(command.mailbox)
    limit = session.services.message_limit
    if len(command.messages) > limit:
        raise No("too many messages in one APPEND, nothing was appended", messagelimit(limit))
    catenation = Catenation(session)
    if any(message.parts for message in command.messages):
        # RFC 3501 section 6.3.11: [TRYCREATE] comes before what is wrong with a message.
        await session.services.folders.admits(session.acting, place)
    items = [await item_of(session, message, catenation) for message in command.messages]
    if len(items) > 1 and not all(item.octets for item in items):
        raise No("nothing was appended: a message without an octet among several ends them all")
    row, done = await session.services.folders.append(session.acting, place, items)
    session.added(row, done.uids, done.modseq)
    if session.is_rev2 and session.names.canonical(command.mailbox) != command.mailbox:
        emit.say(await listed(session, command.mailbox, row))
    return Answer(code=appenduid(done.uidvalidity, done.uids) if done.uids else None)


async def item_of(session: Session, message: AppendMessage, catenation: Catenation) -> NewItem:
    """What the client said of a message, in the service's terms. Raises No for UTF-8 in its header from who did not enable UTF-8 (RFC
    6855 section 4), and for NULs that cannot be kept (RFC 3516 section 4.4).
    """
    flags, keywords = sorted_out(message.flags)
    received = None if message.internal_date is None else int((message.internal_date - _EPOCH).total_seconds() * 1_000_000)
    octets = await catenation.octets(message.parts) if message.parts else message.octets
    if session.takes_utf8:
        # Python's imaplib puts the words of RFC 6855 section 4 into the literal instead of around it. No header begins so.
        if octets.startswith(_WRAPPED[0]) and octets.endswith(_WRAPPED[1]):
            octets = octets[len(_WRAPPED[0]) : -len(_WRAPPED[1])]
    elif _has_utf8_header(octets):
        raise No("the header of the message has UTF-8 in it: ENABLE UTF8=ACCEPT or IMAP4rev2 first")
    if message.binary and b"\0" in octets:
        try:
            octets = without_nul(octets) if len(octets) <= IN_PLACE else await asyncio.to_thread(without_nul, octets)
        except CannotKeep:
            raise No("NUL octets can be kept in bodies that are not encoded, nowhere else", UNKNOWN_CTE) from None
        if len(octets) > session.services.append_limit:
            raise No("without its NUL octets the message is too big", TOOBIG)
    return NewItem(octets, flags, keywords, received)


def _has_utf8_header(octets: bytes) -> bool:
    """Octets of a header that are no UTF-8 are older than that and mean no internationalized message: whoever moves an old archive here
    could not store them otherwise, enabled or not.
    """
    if octets.isascii():
        return False
    header = octets[: read_header(octets).body]
    if header.isascii():
        return False
    try:
        header.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
