"""EXPUNGE and UID EXPUNGE: what is marked \\Deleted goes."""

from gateway.changes import News
from gateway.imap.grammar.copy import Expunge
from gateway.imap.responses import READ_ONLY, highestmodseq
from gateway.imap.session import Answer, No, Output, Session, runs_of


async def expunge(session: Session, command: Expunge, emit: Output) -> Answer:
    """RFC 3501 section 6.4.3, RFC 4315 section 2.1. What went is told before the tagged answer, whoever removed it."""
    selected = session.here
    if selected.examined:
        raise No("the folder was opened to be looked at only", READ_ONLY)
    runs = None
    if command.uids is not None:
        runs = runs_of(selected.view, selected.view.spans(command.uids, by_uid=True))
    if runs is None or runs:
        await selected.folder.expunge(runs)
    session.news |= News.FOLDER
    return await told(session, emit)


async def told(session: Session, emit: Output) -> Answer:
    """What happened is told at once, so that with QRESYNC the tagged OK can say up to where (RFC 7162 section 3.2.7)."""
    if b"QRESYNC" not in session.enabled:
        return Answer()
    await session.settle(emit, expunge_allowed=True)
    return Answer(code=highestmodseq(session.here.view.modseq))
