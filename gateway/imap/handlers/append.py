"""APPEND: messages that the client brings."""

from datetime import UTC, datetime

from gateway.folders import NewItem
from gateway.imap.grammar.append import Append, AppendMessage
from gateway.imap.handlers.store import sorted_out
from gateway.imap.responses import appenduid, messagelimit
from gateway.imap.session import Answer, No, Output, Session

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def append(session: Session, command: Append, emit: Output) -> Answer:
    """RFC 3501 section 6.3.11, RFC 4315 section 3, RFC 3502. In place of a copy that the server filed itself: delegation.md section 6."""
    place = session.place(command.mailbox)
    if len(command.messages) > 1 and not all(message.octets for message in command.messages):
        raise No("nothing was appended: a message without an octet among several ends them all")
    limit = session.services.message_limit
    if len(command.messages) > limit:
        raise No("too many messages in one APPEND, nothing was appended", messagelimit(limit))
    row, done = await session.services.folders.append(session.acting, place, [item_of(message) for message in command.messages])
    session.added(row, done.uids, done.modseq)
    return Answer(code=appenduid(done.uidvalidity, done.uids))


def item_of(message: AppendMessage) -> NewItem:
    """What the client said of a message, in the service's terms."""
    flags, keywords = sorted_out(message.flags)
    received = None if message.internal_date is None else int((message.internal_date - _EPOCH).total_seconds() * 1_000_000)
    return NewItem(message.octets, flags, keywords, received)
