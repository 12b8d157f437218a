"""SEARCH and UID SEARCH: which messages match?"""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Final

from gateway.imap.grammar import search as syntax
from gateway.imap.grammar.numbers import HIGHEST_UID, SequenceSet
from gateway.imap.grammar.search import Search, SearchKey
from gateway.imap.responses import UIDREQUIRED, Found, FoundExtended, search_data
from gateway.imap.session import Answer, Bad, Cut, Output, Selected, Session, newest, runs_of
from gateway.imap.view import BadSequence, Span, View, overlap
from gateway.message.text import fold
from store import criteria
from store.criteria import Criterion
from store.model import Flag, Run

_SLICE: Final = 8_192
"""Messages looked at before others may run: about a millisecond."""
_DAY: Final = 86_400 * 1_000_000
_EPOCH: Final = date(1970, 1, 1).toordinal()
_SYSTEM: Mapping[bytes, Flag] = MappingProxyType(
    {
        b"\\Seen": Flag.SEEN,
        b"\\Answered": Flag.ANSWERED,
        b"\\Flagged": Flag.FLAGGED,
        b"\\Deleted": Flag.DELETED,
        b"\\Draft": Flag.DRAFT,
    }
)
# Decoded and folded beside the message; the octets need not be read.
_KEPT: Mapping[bytes, criteria.Field] = MappingProxyType(
    {b"FROM": criteria.Field.FROM, b"TO": criteria.Field.TO, b"CC": criteria.Field.CC, b"SUBJECT": criteria.Field.SUBJECT}
)

_Test = Callable[[int, int], bool]
"""By UID and flags."""


async def search(session: Session, command: Search, emit: Output) -> Answer:
    """RFC 3501 section 6.4.4, RFC 4731, RFC 5182; with IMAP4rev2 the answer is always ESEARCH (RFC 9051 section 6.4.4). Numbers are
    those the client knows: what came since is not among them."""
    try:
        cutoff = await _search(session, command, emit)
        return Answer() if cutoff is None else cutoff.tell(Answer(), emit)
    except BadSequence:
        raise
    except Exception:
        # RFC 5182 section 2.1: a search that is answered NO leaves nothing in `$`.
        if command.returns(b"SAVE") and session.selected is not None:
            session.selected.view.save(())
        raise


async def _search(session: Session, command: Search, emit: Output) -> Cut | None:
    require_uids(session, command.key)
    selected = await session.refresh()
    key, cutoff = within_limit(selected, command.key, session.services.message_limit)
    pairs = await matching(selected, key, emit)
    found: Sequence[int] = [uid if command.by_uid else number for number, uid in pairs]
    by_modseq = asks_modseq(command.key)
    if by_modseq:
        session.use_modseqs(emit)
    if command.returning is None and not session.is_rev2:
        emit.say(Found(found, highest(selected, found, by_uid=command.by_uid) if by_modseq else None))
    else:
        # RFC 9051 section 6.4.4: without options as with RETURN (ALL).
        options = [b"ALL"] if command.returning is None else [option.name for option in command.returning]
        data = search_data(found, options)
        # RFC 4731 section 3.2, RFC 5182 section 2.4: with MIN and MAX alone, one or two are returned, and one or two are saved.
        ends = [found[0]] * (b"MIN" in options) + [found[-1]] * (b"MAX" in options) if found else []
        counted = found if not ends or {b"ALL", b"COUNT"} & set(options) else sorted(set(ends))
        if b"SAVE" in options:
            view = selected.view
            view.save(counted if command.by_uid else [view.uids[number - 1] for number in counted])
            if options == [b"SAVE"]:
                return cutoff
        if by_modseq and found:
            data = (*data, (b"MODSEQ", b"%d" % highest(selected, counted, by_uid=command.by_uid)))
        emit.say(FoundExtended(emit.tag, command.by_uid, data))
    return cutoff


def within_limit(selected: Selected, key: SearchKey, limit: int) -> tuple[SearchKey, Cut | None]:
    """The key for the newest messages only, where it would look at more than may be looked at (RFC 9738 section 3.1). What counts are
    the messages that are searched, not those that are found: all, or those that the key names."""
    view = selected.view
    if view.exists <= limit:
        return key, None
    _, cutoff = newest(view, _searched(key, view), limit)
    if cutoff is None:
        return key, None
    return syntax.And((syntax.Among(SequenceSet(((cutoff.lowest, HIGHEST_UID),)), by_uid=True), key)), cutoff


def _searched(key: SearchKey, view: View) -> list[Span]:
    match key:
        case syntax.Among(messages, by_uid):
            return view.spans(messages, by_uid=by_uid, lenient=True)
        case syntax.And(keys):
            spans: list[Span] = [(0, view.exists)]
            for one in keys:
                spans = overlap(spans, _searched(one, view))
            return spans
        case _:
            return [(0, view.exists)]


def asks_modseq(key: SearchKey) -> bool:
    """Whether MODSEQ is among the keys (RFC 7162 section 3.1.5): then the answer names the highest, in SEARCH and SORT alike."""
    return any(isinstance(one, syntax.ModseqAtLeast) for one in _all_of(key))


def require_uids(session: Session, key: SearchKey) -> None:
    """Once UIDONLY is on, no key may name message numbers (RFC 9586 section 3.5); `$` names messages, not numbers. Raises Bad."""
    if session.uid_only and any(isinstance(one, syntax.Among) and not one.by_uid and one.messages.slices for one in _all_of(key)):
        raise Bad("message numbers are not used once UIDONLY is enabled", UIDREQUIRED)


def _all_of(key: SearchKey) -> Iterator[SearchKey]:
    """The key and all that is in it."""
    waiting = [key]
    while waiting:
        one = waiting.pop()
        yield one
        match one:
            case syntax.Not(inner):
                waiting.append(inner)
            case syntax.And(keys):
                waiting.extend(keys)
            case syntax.Or(first, second):
                waiting.extend((first, second))
            case _:
                pass


def highest(selected: Selected, found: Sequence[int], *, by_uid: bool) -> int:
    """The highest mod-sequence of these messages; 1, which no message is below, where all went meanwhile."""
    view, state = selected.view, selected.view.state
    if view.current and not by_uid:
        return max((state.modseqs[number - 1] for number in found), default=1)
    places = (state.index(one if by_uid else view.uids[one - 1]) for one in found)
    return max((state.modseqs[at] for at in places if at is not None), default=1)


async def matching(selected: Selected, key: SearchKey, emit: Output) -> list[tuple[int, int]]:
    """(message number, UID) of what matches among the messages the client knows, ascending. For who does more with it than to name it."""
    view = selected.view
    test = _by_state(key, selected)
    if test is None or not view.current:
        emit.goal = view.exists

        def looked_at(uid: int) -> None:
            emit.done = bisect_right(view.uids, uid, 0, view.exists)

        hits = await selected.folder.search(criterion(key, selected), looked_at)
        return [(number, uid) for uid in hits if (number := view.number(uid)) is not None]
    exists = view.exists
    uids, flags = view.uids[:exists], view.state.flags[:exists]
    found: list[tuple[int, int]] = []
    for start in range(0, exists, _SLICE):
        part = zip(uids[start : start + _SLICE], flags[start : start + _SLICE], strict=True)
        found.extend((number, uid) for number, (uid, bits) in enumerate(part, start + 1) if test(uid, bits))
        await emit.breathe()
    return found


def _by_state(key: SearchKey, selected: Selected) -> _Test | None:
    """What the folder's state alone can answer; None: the store has to be asked."""
    view = selected.view
    match key:
        case syntax.Everything():
            return lambda uid, flags: True
        case syntax.HasFlag(b"\\Recent", present):
            return lambda uid, flags: view.is_recent(uid) is present
        case syntax.HasFlag(flag, present):
            wanted = flag.lower()
            bit = next((1 << at for at, name in enumerate(view.state.names) if name.lower() == wanted), 0)
            return lambda uid, flags: bool(flags & bit) is present
        case syntax.Among(messages, by_uid):
            runs = runs_of(view, view.spans(messages, by_uid=by_uid, lenient=True))
            if len(runs) == 1:
                low, high = runs[0]
                return lambda uid, flags: low <= uid <= high
            members = frozenset(view.resolve(messages, by_uid=by_uid, lenient=True))
            return lambda uid, flags: uid in members
        case syntax.ModseqAtLeast(modseq):
            state = view.state
            return lambda uid, flags: (at := state.index(uid)) is not None and state.modseqs[at] >= modseq
        case syntax.Not(inner):
            one = _by_state(inner, selected)
            return None if one is None else lambda uid, flags: not one(uid, flags)
        case syntax.And(keys):
            tests = [_by_state(each, selected) for each in keys]
            sure = [test for test in tests if test is not None]
            return None if len(sure) != len(tests) else lambda uid, flags: all(test(uid, flags) for test in sure)
        case syntax.Or(first, second):
            left, right = _by_state(first, selected), _by_state(second, selected)
            return None if left is None or right is None else lambda uid, flags: left(uid, flags) or right(uid, flags)
        case _:
            return None


def criterion(key: SearchKey, selected: Selected) -> Criterion:
    """The key in the store's terms: message numbers and \\Recent become UIDs, which only this session knows."""
    match key:
        case syntax.Everything():
            return criteria.All()
        case syntax.HasFlag(b"\\Recent", present):
            recent = criteria.Uids(_recent(selected))
            return recent if present else criteria.Not(recent)
        case syntax.HasFlag(flag, present):
            bit = _SYSTEM.get(flag)
            return criteria.KeywordIs(flag.decode("ascii", "replace"), present) if bit is None else criteria.FlagIs(int(bit), present)
        case syntax.Contains(b"BODY", text):
            return criteria.BodyContains(fold(text))
        case syntax.Contains(b"TEXT", text):
            return criteria.TextContains(fold(text))
        case syntax.Contains(place, text):
            return _field(place, text)
        case syntax.HeaderContains(field, text):
            return _field(field, text)
        case syntax.Dated(relation, day):
            return _dated(relation, day)
        case syntax.Sized(b"LARGER", octets):
            return criteria.SizeLarger(octets)
        case syntax.Sized(_, octets):
            return criteria.SizeSmaller(octets)
        case syntax.Among(messages, by_uid):
            return criteria.Uids(tuple(runs_of(selected.view, selected.view.spans(messages, by_uid=by_uid, lenient=True))))
        case syntax.Aged(relation, seconds):
            moment = time.time_ns() // 1000 - seconds * 1_000_000
            return criteria.Received(moment, None) if relation == b"YOUNGER" else criteria.Received(None, moment)
        case syntax.HasObjectId(b"EMAILID", object_id):
            return criteria.OctetsAre(object_id.decode("ascii"))
        case syntax.HasObjectId():
            # Messages belong to no thread here: THREADID is NIL for all of them.
            return criteria.Or(())
        case syntax.ModseqAtLeast(modseq):
            return criteria.ModseqAtLeast(modseq)
        case syntax.Not(inner):
            return criteria.Not(criterion(inner, selected))
        case syntax.And(keys):
            return criteria.And(tuple(criterion(each, selected) for each in keys))
        case syntax.Or(first, second):
            return criteria.Or((criterion(first, selected), criterion(second, selected)))
        case _:
            raise AssertionError(f"a search key without an answer: {type(key).__name__}")


def _field(name: bytes, text: str) -> Criterion:
    kept = _KEPT.get(name)
    if kept is None or not text:
        return criteria.HeaderContains(name.decode("ascii"), fold(text))
    return criteria.FieldContains(kept, fold(text))


def _dated(relation: bytes, day: date) -> Criterion:
    number = day.toordinal() - _EPOCH
    unit = 1 if relation.startswith(b"SENT") else _DAY
    kind = criteria.Sent if relation.startswith(b"SENT") else criteria.Saved if relation.startswith(b"SAVED") else criteria.Received
    match relation.removeprefix(b"SENT").removeprefix(b"SAVED"):
        case b"BEFORE":
            return kind(None, number * unit)
        case b"ON":
            return kind(number * unit, (number + 1) * unit)
        case _:
            return kind(number * unit, None)


def _recent(selected: Selected) -> tuple[Run, ...]:
    view = selected.view
    return tuple((uid, uid) for uid in view.uids[: view.exists] if view.is_recent(uid)) if view.recent else ()
