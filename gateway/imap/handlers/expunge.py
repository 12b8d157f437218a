"""EXPUNGE and UID EXPUNGE: what is marked \\Deleted goes."""

from bisect import bisect_right
from typing import Final

from gateway.changes import News
from gateway.imap.grammar.copy import Expunge
from gateway.imap.responses import READ_ONLY, highestmodseq
from gateway.imap.session import Answer, Cut, No, Output, Selected, Session, runs_of
from store.model import Flag, Run

_DELETED: Final = int(Flag.DELETED)


async def expunge(session: Session, command: Expunge, emit: Output) -> Answer:
    """RFC 3501 section 6.4.3, RFC 4315 section 2.1. What went is told before the tagged answer, whoever removed it."""
    selected = session.here
    if selected.examined:
        raise No("the folder was opened to be looked at only", READ_ONLY)
    runs = None
    cutoff = None
    if command.uids is not None:
        runs = runs_of(selected.view, selected.view.spans(command.uids, by_uid=True))
        runs, cutoff = _newest_deleted(selected, runs, session.services.message_limit)
    if runs is None or runs:
        await selected.folder.expunge(runs)
    session.news |= News.FOLDER
    answer = await told(session, emit)
    return answer if cutoff is None else cutoff.tell(answer, emit)


def _newest_deleted(selected: Selected, runs: list[Run], limit: int) -> tuple[list[Run], Cut | None]:
    """UID EXPUNGE takes so many away at once, from the newest down; EXPUNGE is never cut short (RFC 9738 section 3.1)."""
    state = selected.view.state
    if len(state) <= limit:
        return runs, None
    left = limit
    lowest = 0
    for low, high in reversed(runs):
        for at in range(bisect_right(state.uids, high) - 1, -1, -1):
            uid = state.uids[at]
            if uid < low:
                break
            if not state.flags[at] & _DELETED:
                continue
            if not left:
                return [(max(first, lowest), last) for first, last in runs if last >= lowest], Cut(limit, lowest)
            left -= 1
            lowest = uid
    return runs, None


async def told(session: Session, emit: Output) -> Answer:
    """What happened is told at once, so that with QRESYNC the tagged OK can say up to where (RFC 7162 section 3.2.7)."""
    await session.settle(emit, expunge_allowed=True, own=True)
    if b"QRESYNC" not in session.enabled:
        return Answer()
    return Answer(code=highestmodseq(session.here.view.modseq))
