"""STORE and UID STORE: flags of messages are changed."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from gateway.folders import FlagMode
from gateway.imap.grammar.condstore import store_modifiers
from gateway.imap.grammar.store import Store, StoreMode
from gateway.imap.responses import EXPUNGEISSUED, READ_ONLY, modified
from gateway.imap.session import COMPLETED, Answer, No, Output, Selected, Session, newest, runs_of
from gateway.imap.view import Span
from store.model import Flag, Run

_MODES = {StoreMode.REPLACE: FlagMode.REPLACE, StoreMode.ADD: FlagMode.ADD, StoreMode.REMOVE: FlagMode.REMOVE}
# Plain integers: what is done with members of an enumeration takes twenty times as long.
_SYSTEM = {
    b"\\Seen": int(Flag.SEEN),
    b"\\Answered": int(Flag.ANSWERED),
    b"\\Flagged": int(Flag.FLAGGED),
    b"\\Deleted": int(Flag.DELETED),
    b"\\Draft": int(Flag.DRAFT),
}
_FEW: Final = 8
_CHUNK: Final = 256
"""Messages whose new flags are spelled in one go."""


def sorted_out(flags: tuple[bytes, ...]) -> tuple[int, tuple[str, ...]]:
    """System flags as bits, keywords by name, each once."""
    bits = 0
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
    unchanged_since = store_modifiers(command.modifiers)
    if unchanged_since is not None:
        session.use_modseqs(emit)
    selected = session.here
    if selected.examined:
        raise No("the folder was opened to be looked at only", READ_ONLY)
    view = selected.view
    spans, cutoff = newest(view, view.spans(command.messages, by_uid=command.by_uid), session.services.message_limit)
    if not spans:
        return COMPLETED
    flags, keywords = sorted_out(command.flags)
    known = view.modseq
    # What was told of them just now may have crossed this command: the client could not say which came first.
    crossed = session.pushed is not None and bool(view.changed(spans, session.pushed))
    runs = runs_of(view, spans)
    done = await selected.folder.change_flags(runs, _MODES[command.mode], flags, keywords, unchanged_since)
    selected = await session.changed(runs, done)
    view, state = selected.view, selected.view.state
    # Without an answer the client knows its own change only: what somebody else did to the same messages just before is told.
    alone = (not crossed and done.modseq == known + 1) or (unchanged_since is not None and unchanged_since <= known)
    if done.changed and (alone or not command.silent):
        view.told(done.modseq)
    counts = b"CONDSTORE" in session.enabled
    if command.silent and not counts:
        # What somebody else did to them meanwhile is told all the same: only our own change is known.
        return COMPLETED if cutoff is None else cutoff.tell(COMPLETED, emit)
    emit.say(*view.new_flags())
    uid_only = session.uid_only
    by_uid = (command.by_uid or b"QRESYNC" in session.enabled) and not uid_only
    line = b"* %d UIDFETCH (%b)\r\n" if uid_only else b"* %d FETCH (%b)\r\n"
    refused: list[int] = []
    gone = False
    for low, high in _chunks(spans):
        if high - low > _FEW and view.current and not done.refused:
            recent = view.all_recent(low, high)
            if recent is not None:
                emit.say(*view.new_flags())
                alike = _Told(by_uid, flags=not command.silent, modseqs=counts, uid_only=uid_only, recent=recent)
                _told_alike(selected, (low, high), alike, emit)
                await emit.breathe()
                continue
        for place in range(low, high):
            uid = view.uids[place]
            at = place if view.current else state.index(uid)
            if at is None:
                gone = True
                continue
            pieces = [b"UID %d" % uid] if by_uid else []
            is_refused = bool(done.refused) and _among(uid, done.refused)
            if is_refused:
                refused.append(uid if command.by_uid else place + 1)
            # RFC 7162 section 3.1.3: with .SILENT too the new mod-sequence is told; and why the change was refused.
            if not command.silent or is_refused:
                pieces.append(state.spell_flags(state.flags[at], recent=view.is_recent(uid)))
            if counts:
                pieces.append(b"MODSEQ (%d)" % state.modseqs[at])
            emit(line % (uid if uid_only else place + 1, b" ".join(pieces)))
            if place % 256 == 255:
                await emit.breathe()
    if refused:
        answer = Answer("conditional STORE failed for some", modified(refused))
    else:
        # RFC 5530: what could not be changed was expunged; that is announced when it is allowed.
        answer = Answer("some messages are gone", EXPUNGEISSUED) if gone else COMPLETED
    return answer if cutoff is None else cutoff.tell(answer, emit)


@dataclass(frozen=True, slots=True)
class _Told:
    """What is told of each message; `recent`: all of them are."""

    uids: bool
    flags: bool
    modseqs: bool
    uid_only: bool
    recent: bool


def _told_alike(selected: Selected, span: Span, told: _Told, emit: Output) -> None:
    """Of messages that are all there and none left as it was: a template, and for each item a column; flags that all of them have now, as
    after most commands, are a part of the template."""
    view, state = selected.view, selected.view.state
    low, high = span
    uids, flags = view.uids[low:high], state.flags[low:high]
    spelled = {bits: state.spell_flags(bits, recent=told.recent) for bits in set(flags)} if told.flags else {}
    items = [b"UID %d"] * told.uids
    columns: list[Sequence[object]] = [uids if told.uid_only else range(low + 1, high + 1)]
    columns += [uids] * told.uids
    if len(spelled) == 1:
        items += [alike.replace(b"%", b"%%") for alike in spelled.values()]
    elif spelled:
        items.append(b"%b")
        columns.append([spelled[bits] for bits in flags])
    if told.modseqs:
        items.append(b"MODSEQ (%d)")
        columns.append(state.modseqs[low:high])
    line = (b"* %d UIDFETCH (" if told.uid_only else b"* %d FETCH (") + b" ".join(items) + b")\r\n"
    emit((line * len(uids)) % tuple(chain.from_iterable(zip(*columns, strict=True))))


def _chunks(spans: Sequence[Span]) -> Iterator[Span]:
    for low, high in spans:
        for first in range(low, high, _CHUNK):
            yield first, min(first + _CHUNK, high)


def _among(uid: int, runs: tuple[Run, ...]) -> bool:
    at = bisect_right(runs, (uid, 1 << 32)) - 1
    return at >= 0 and uid <= runs[at][1]
