"""REPLACE and UID REPLACE: a draft is saved anew, in one step (RFC 8508)."""

from gateway.changes import News
from gateway.imap.grammar.replace import Replace
from gateway.imap.handlers.append import item_of
from gateway.imap.handlers.catenate import Catenation
from gateway.imap.handlers.expunge import told
from gateway.imap.responses import NONEXISTENT, READ_ONLY, Condition, Status, appenduid
from gateway.imap.session import Answer, No, Output, Session


async def replace(session: Session, command: Replace, emit: Output) -> Answer:
    """RFC 8508 section 3: both or neither; APPENDUID is told before the EXPUNGE, which counts as one of UID EXPUNGE (section 4.5)."""
    selected = await session.refresh()
    place = session.place(command.append.mailbox)
    if selected.examined:
        raise No("the folder was opened to be looked at only", READ_ONLY)
    uids = selected.view.resolve(command.message, by_uid=command.by_uid)
    if not uids:
        raise No("there is no such message", NONEXISTENT)
    item = await item_of(session, command.append.messages[0], Catenation(session))
    done = await session.services.folders.replace(selected.folder, uids[0], place, item)
    session.news |= News.FOLDER
    if done is None:
        raise No("the message is gone, nothing was appended", NONEXISTENT)
    if done.uids:
        emit.say(Status(Condition.OK, "replaced", appenduid(done.uidvalidity, done.uids)))
    return await told(session, emit)
