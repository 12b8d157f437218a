"""SELECT, EXAMINE, CHECK, CLOSE, UNSELECT: going into a folder and out of it."""

from gateway.changes import News
from gateway.imap.grammar.select import Check, Close, Select, Unselect
from gateway.imap.responses import (
    READ_ONLY,
    READ_WRITE,
    Condition,
    Exists,
    Flags,
    Recent,
    Status,
    permanentflags,
    uidnext,
    uidvalidity,
    unseen,
)
from gateway.imap.session import Answer, Bad, Output, Session
from gateway.refusal import Refused
from policy.rights import Right
from store.model import Flag


async def select(session: Session, command: Select, emit: Output) -> Answer:
    """RFC 3501 sections 6.3.1 and 6.3.2. [READ-ONLY] where nothing may be changed (delegation.md section 2)."""
    session.deselect()
    if command.parameters:
        raise Bad("there is no such parameter of SELECT here")
    folder = await session.services.folders.open(session.acting, session.place(command.mailbox))
    selected = await session.select(folder, examined=command.read_only)
    view, state, row = selected.view, selected.view.state, folder.row
    emit.say(Flags(state.names), Exists(view.exists), Recent(view.recent))
    first = next((at for at, flags in enumerate(state.flags) if not flags & Flag.SEEN), None)
    if first is not None:
        emit.say(Status(Condition.OK, "the first unseen message", unseen(first + 1)))
    emit.say(
        Status(Condition.OK, "these flags may be changed", permanentflags(selected.permanent)),
        Status(Condition.OK, "UIDs are valid", uidvalidity(row.uidvalidity)),
        Status(Condition.OK, "the next UID", uidnext(max(row.uidnext, view.uids[-1] + 1 if view.exists else 1))),
    )
    await emit.breathe()
    return Answer("EXAMINE completed" if command.read_only else "SELECT completed", READ_WRITE if selected.writable else READ_ONLY)


async def check(session: Session, command: Check, emit: Output) -> None:
    """Everything is on disk already (clients.md 27: offlineimap and mbsync ask)."""
    session.news |= News.FOLDER


async def close(session: Session, command: Close, emit: Output) -> None:
    """Expunges silently where that is allowed, and says nothing where it is not (RFC 4314 section 4)."""
    selected = session.here
    try:
        if not selected.examined and Right.EXPUNGE in selected.folder.held:
            await session.refresh()
            if any(flags & Flag.DELETED for flags in selected.view.state.flags):
                await selected.folder.expunge()
    except Refused:
        pass
    finally:
        session.deselect()


async def unselect(session: Session, command: Unselect, emit: Output) -> None:
    """RFC 3691: leave the folder as it is."""
    session.deselect()
