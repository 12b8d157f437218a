"""STORE and UID STORE: flags of messages are changed."""

from gateway.folders import FlagMode
from gateway.imap.grammar.store import Store, StoreMode
from gateway.imap.responses import READ_ONLY
from gateway.imap.session import Answer, Bad, No, Output, Session, runs_of
from store.model import Flag

_MODES = {StoreMode.REPLACE: FlagMode.REPLACE, StoreMode.ADD: FlagMode.ADD, StoreMode.REMOVE: FlagMode.REMOVE}
_SYSTEM = {
    b"\\Seen": Flag.SEEN,
    b"\\Answered": Flag.ANSWERED,
    b"\\Flagged": Flag.FLAGGED,
    b"\\Deleted": Flag.DELETED,
    b"\\Draft": Flag.DRAFT,
}
NONE = Flag(0)


def sorted_out(flags: tuple[bytes, ...]) -> tuple[Flag, tuple[str, ...]]:
    """System flags as bits, keywords by name, each once."""
    bits = NONE
    keywords: dict[str, None] = {}
    for flag in flags:
        known = _SYSTEM.get(flag)
        if known is None:
            keywords[flag.decode("ascii", "replace")] = None
        else:
            bits |= known
    return bits, tuple(keywords)


async def store(session: Session, command: Store, emit: Output) -> Answer:
    """RFC 3501 section 6.4.6; what the rights allow of it is done (RFC 4314 section 4). The new flags are told for every message
    unless .SILENT, so that the client sees what was left alone."""
    if command.modifiers:
        raise Bad("there is no such modifier of STORE here")
    selected = session.here
    if selected.examined:
        raise No("the folder was opened to be looked at only", READ_ONLY)
    view = selected.view
    spans = view.spans(command.messages, by_uid=command.by_uid)
    if not spans:
        return Answer()
    flags, keywords = sorted_out(command.flags)
    done = await selected.folder.change_flags(runs_of(view, spans), _MODES[command.mode], flags, keywords)
    selected = await session.refresh()
    view, state = selected.view, selected.view.state
    if done.changed:
        view.told(done.modseq)
    if command.silent:
        # What somebody else did to them meanwhile is told all the same: only our own change is known.
        return Answer()
    gone = False
    for low, high in spans:
        for place in range(low, high):
            uid = view.uids[place]
            at = place if view.current else state.index(uid)
            if at is None:
                gone = True
                continue
            item = state.spell_flags(state.flags[at], recent=view.is_recent(uid))
            if command.by_uid:
                emit(b"* %d FETCH (UID %d %b)\r\n" % (place + 1, uid, item))
            else:
                emit(b"* %d FETCH (%b)\r\n" % (place + 1, item))
            if place % 256 == 255:
                await emit.breathe()
    return Answer("some messages are gone") if gone else Answer()
