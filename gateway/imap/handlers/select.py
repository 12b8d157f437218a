"""SELECT, EXAMINE, CHECK, CLOSE, UNSELECT: going into a folder and out of it."""

from itertools import compress, count
from typing import Final

from gateway.changes import News
from gateway.imap.grammar.condstore import Resync, select_parameters
from gateway.imap.grammar.numbers import SequenceSet
from gateway.imap.grammar.select import Check, Close, Select, Unselect
from gateway.imap.handlers.listing import listed
from gateway.imap.responses import (
    CLOSED,
    READ_ONLY,
    READ_WRITE,
    UIDREQUIRED,
    Condition,
    Exists,
    Flags,
    Recent,
    Status,
    highestmodseq,
    mailboxid,
    permanentflags,
    uidnext,
    uidvalidity,
    unseen,
    vanished,
)
from gateway.imap.session import Answer, Bad, Output, Selected, Session, mailbox_id
from gateway.refusal import Refused
from policy.rights import Right
from store.model import Flag

_SEEN: Final = int(Flag.SEEN)
_DELETED: Final = int(Flag.DELETED)


async def select(session: Session, command: Select, emit: Output) -> Answer:
    """RFC 3501 sections 6.3.1 and 6.3.2. [READ-ONLY] where nothing may be changed (delegation.md section 2). With IMAP4rev2 LIST takes
    the place of RECENT and UNSEEN (RFC 9051 section 6.3.2).
    """
    wanted = select_parameters(command.parameters)
    if wanted.resync is not None and b"QRESYNC" not in session.enabled:
        raise Bad("QRESYNC has to be enabled first")
    if wanted.resync is not None and wanted.resync.matches and session.uid_only:
        # RFC 9586 section 3.7.
        raise Bad("matching numbers are not used once UIDONLY is enabled", UIDREQUIRED)
    if session.selected is not None:
        session.deselect()
        # RFC 7162 section 3.2.11: what comes from here on is not about the folder before.
        emit.say(Status(Condition.OK, "the folder before is closed", CLOSED))
    if wanted.condstore or wanted.resync is not None:
        session.use_modseqs(emit)
    folder = await session.services.folders.open(session.acting, session.place(command.mailbox))
    selected = await session.select(folder, examined=command.read_only)
    view, state, row = selected.view, selected.view.state, folder.row
    emit.say(Flags(state.names), Exists(view.exists))
    if session.is_rev2:
        emit.say(await listed(session, command.mailbox, row, owner=folder.owner))
    else:
        emit.say(Recent(view.recent))
        # Few sets of flags are different.
        without = {flags for flags in set(state.flags) if not flags & _SEEN}
        if without and not session.uid_only:
            first = next(compress(count(1), map(without.__contains__, state.flags)))
            emit.say(Status(Condition.OK, "the first unseen message", unseen(first)))
    emit.say(
        Status(Condition.OK, "these flags may be changed", permanentflags(selected.permanent)),
        Status(Condition.OK, "UIDs are valid", uidvalidity(row.uidvalidity)),
        Status(Condition.OK, "the next UID", uidnext(max(row.uidnext, view.uids[-1] + 1 if view.exists else 1))),
        Status(Condition.OK, "the highest mod-sequence", highestmodseq(view.modseq)),
        Status(Condition.OK, "the folder's id", mailboxid(mailbox_id(row))),
    )
    await emit.breathe()
    if wanted.resync is not None and wanted.resync.uidvalidity == row.uidvalidity:
        await _catch_up(selected, wanted.resync, emit, uid_only=session.uid_only)
    return Answer("EXAMINE completed" if command.read_only else "SELECT completed", READ_WRITE if selected.writable else READ_ONLY)


async def _catch_up(selected: Selected, known: Resync, emit: Output, *, uid_only: bool) -> None:
    """RFC 7162 section 3.2.5: what is gone since, then what changed. Where the log does not reach back, what may be gone is all that
    the client may know and that is not there, without what its matching numbers prove to be unchanged."""
    view = selected.view
    messages = SequenceSet(((1, 0),)) if known.known is None else known.known
    modseq = known.modseq if known.modseq <= view.modseq else 0
    gone = view.unknown(await selected.folder.gone_since(modseq, messages.slices))
    proven = _proven(selected, known)
    for response in vanished([(max(low, proven + 1), high) for low, high in gone if high > proven], earlier=True):
        emit.say(response)
        await emit.breathe()
    emit.say(*view.new_flags())
    state = view.state
    spans = view.spans(messages, by_uid=True) if view.exists else []
    for low, high in view.changed(spans, modseq):
        for place in range(low, high):
            uid = view.uids[place]
            at = state.index(uid)
            if at is not None:
                flags = state.spell_flags(state.flags[at], recent=view.is_recent(uid))
                head = b"* %d UIDFETCH (" % uid if uid_only else b"* %d FETCH (UID %d " % (place + 1, uid)
                emit(b"%b%b MODSEQ (%d))\r\n" % (head, flags, state.modseqs[at]))
                await emit.breathe()


def _proven(selected: Selected, known: Resync) -> int:
    """The highest UID up to which the client has just what there is: the last of its pairs that still stands where it stood."""
    view = selected.view
    return max((uid for number, uid in known.matches if number <= view.exists and view.uids[number - 1] == uid), default=0)


async def check(session: Session, command: Check, emit: Output) -> None:
    """Everything is on disk already (clients.md 27: offlineimap and mbsync ask)."""
    session.news |= News.FOLDER


async def close(session: Session, command: Close, emit: Output) -> None:
    """Expunges silently where that is allowed, and says nothing where it is not (RFC 4314 section 4)."""
    selected = session.here
    try:
        if not selected.examined and Right.EXPUNGE in selected.folder.held:
            await session.refresh()
            if any(flags & _DELETED for flags in set(selected.view.state.flags)):
                await selected.folder.expunge()
    except Refused:
        pass
    finally:
        session.deselect()


async def unselect(session: Session, command: Unselect, emit: Output) -> None:
    """RFC 3691: leave the folder as it is."""
    session.deselect()
