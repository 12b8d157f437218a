"""COPY, MOVE and their kin under UID: messages go elsewhere."""

from gateway.changes import News
from gateway.imap.grammar.copy import Copy, Move
from gateway.imap.handlers.expunge import told
from gateway.imap.responses import ALERT, READ_ONLY, Condition, Status, copyuid
from gateway.imap.session import Answer, No, Output, Session, newest, runs_of


async def copy(session: Session, command: Copy, emit: Output) -> Answer:
    """RFC 3501 section 6.4.7, RFC 4315 section 3: all or none."""
    selected = session.here
    place = session.place(command.mailbox)
    spans = selected.view.spans(command.messages, by_uid=command.by_uid)
    if not spans:
        return Answer()
    _, too_many = newest(selected.view, spans, session.services.message_limit)
    if too_many is not None:
        # RFC 9738 section 3.1: all or none, so none.
        raise No("too many messages to copy at once", too_many.code)
    row, done = await session.services.folders.copy(selected.folder, place, runs_of(selected.view, spans))
    _tell_recalled(len(done.recalled), len(done.gone), emit)
    session.added(row, done.targets, done.modseq)
    return Answer(code=copyuid(done.uidvalidity, done.sources, done.targets) if done.sources else None)


async def move(session: Session, command: Move, emit: Output) -> Answer:
    """RFC 6851: in one transaction; COPYUID comes before the EXPUNGEs, and not at all where it would name what the client did not."""
    selected = session.here
    place = session.place(command.mailbox)
    if selected.examined:
        raise No("the folder was opened to be looked at only", READ_ONLY)
    spans, cutoff = newest(selected.view, selected.view.spans(command.messages, by_uid=command.by_uid), session.services.message_limit)
    if not spans:
        return Answer()
    row, done, redirected = await session.services.folders.move(selected.folder, place, runs_of(selected.view, spans))
    session.added(row, done.targets, done.modseq)
    _tell_recalled(len(done.recalled), len(done.gone), emit)
    if done.sources and not redirected:
        emit.say(Status(Condition.OK, "moved", copyuid(done.uidvalidity, done.sources, done.targets)))
    session.news |= News.FOLDER
    answer = await told(session, emit)
    return answer if cutoff is None else cutoff.tell(answer, emit)


def _tell_recalled(recalled: int, gone: int, emit: Output) -> None:
    """Whether it came in time has to reach a person, which is what ALERT is for (RFC 3501 section 7.1)."""
    if recalled:
        emit.say(Status(Condition.OK, f"recalled: {_messages(recalled)} had not been sent yet, and will not be", ALERT))
    if gone:
        emit.say(Status(Condition.OK, f"too late to recall: {_messages(gone)} had been sent already", ALERT))


def _messages(count: int) -> str:
    return "the message" if count == 1 else f"{count} messages"
