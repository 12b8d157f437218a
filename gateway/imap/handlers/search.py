"""SEARCH and UID SEARCH: which messages match?"""

from bisect import bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import compress
from types import MappingProxyType
from typing import Final

from gateway.imap.contexts import Results
from gateway.imap.grammar import partial
from gateway.imap.grammar import search as syntax
from gateway.imap.grammar.numbers import HIGHEST_UID, STAR, SequenceSet
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.search import Search, SearchKey
from gateway.imap.handlers.contexts import Alters, Context, Matching, contexts_of, following, refuse
from gateway.imap.handlers.fetch import of_matching
from gateway.imap.responses import EXPUNGEISSUED, UIDREQUIRED, Found, FoundExtended, search_data, spell_set
from gateway.imap.session import Answer, Bad, Cut, Output, Selected, Session, newest, runs_of
from gateway.imap.view import BadSequence, Span, View, neighbours, overlap
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


async def search(session: Session, command: Search, emit: Output, *, named: str | None = None) -> Answer:
    """RFC 3501 section 6.4.4, RFC 4731, RFC 5182, RFC 5267, RFC 9394; with IMAP4rev2 the answer is always ESEARCH (RFC 9051 section
    6.4.4). Numbers are those the client knows: what came since is not among them. `named`: in answer to ESEARCH, the mailbox's name,
    and nothing is said of it where nothing is found (RFC 7377 section 2.1).
    """
    require_uids(session, command.key)
    if command.returns(b"UPDATE"):
        following(session, emit.tag)
    try:
        cutoff = await _search(session, command, emit, named=named)
        answer = await complete(session)
        return answer if cutoff is None else cutoff.tell(answer, emit)
    except BadSequence:
        raise
    except Exception:
        # RFC 5182 section 2.1: a search that is answered NO leaves nothing in `$`.
        if command.returns(b"SAVE") and session.selected is not None:
            session.selected.view.save(())
        raise


async def complete(session: Session) -> Answer:
    """OK, with EXPUNGEISSUED where messages that the client believes in could not be looked at (RFC 5530 section 3)."""
    selected = await session.refresh()
    return Answer(code=EXPUNGEISSUED) if selected.view.withholds else Answer()


async def _search(session: Session, command: Search, emit: Output, *, named: str | None) -> Cut | None:
    selected = await session.refresh()
    follows = command.returns(b"UPDATE")
    contexts = contexts_of(selected) if follows else None
    mailbox = None if named is None else (named, selected.folder.row.uidvalidity)
    key, cutoff = within_limit(selected, command.key, session.services.message_limit)
    by_modseq = asks_modseq(command.key)
    if command.returning is None and not session.is_rev2 and not by_modseq and selected.view.current and _is_of_flags(key):
        emit(await _of_flags(selected, key, emit, by_uid=command.by_uid))
        return cutoff
    found: Sequence[int] = await _named(selected, key, emit, by_uid=command.by_uid)
    if by_modseq:
        session.use_modseqs(emit)
    if command.returning is None and not session.is_rev2:
        emit.say(Found(found, highest(selected, found, by_uid=command.by_uid) if by_modseq else None))
    else:
        # RFC 9051 section 6.4.4: without options as with RETURN (ALL).
        returning = (Parameter(b"ALL"),) if command.returning is None else command.returning
        options = [option.name for option in returning]
        data, counted = returned(found, returning)
        if b"SAVE" in options:
            view = selected.view
            view.save(counted if command.by_uid else [view.uids[number - 1] for number in counted])
        if by_modseq and counted:
            data = (*data, (b"MODSEQ", b"%d" % highest(selected, counted, by_uid=command.by_uid)))
        if options != [b"SAVE"] and (found or named is None):
            emit.say(FoundExtended(emit.tag, command.by_uid, data, mailbox))
        if contexts is not None and emit.tag is not None:
            uids = list(found) if command.by_uid else [selected.view.uids[number - 1] for number in found]
            context = _context(emit.tag, command, selected, uids, mailbox, of_matching(session, command.returning))
            if context is None or cutoff is not None:
                refuse(emit.tag, "that search is too long to be followed", emit)
            else:
                contexts.follow(context, emit)
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


def require_uids(session: Session, key: SearchKey) -> None:
    """Once UIDONLY is on, no key may name message numbers (RFC 9586 section 3.5); `$` names messages, not numbers. Raises Bad."""
    if session.uid_only and any(isinstance(one, syntax.Among) and not one.by_uid and one.messages.slices for one in _leaves(key)):
        raise Bad("message numbers are not used once UIDONLY is enabled", UIDREQUIRED)


def returned(found: Sequence[int], options: Sequence[Parameter]) -> tuple[tuple[tuple[bytes, bytes], ...], Sequence[int]]:
    """What the return options make of ascending numbers, and which of them are returned, and saved with SAVE: with MIN and MAX alone
    one or two (RFC 4731 section 3.2, RFC 5182 section 2.4), with PARTIAL a part, and those beside it (RFC 9394 section 3.2)."""
    names = {option.name for option in options}
    data = search_data(found, names)
    ends = [found[0]] * (b"MIN" in names) + [found[-1]] * (b"MAX" in names) if found else []
    part: Sequence[int] | None = None
    for option in options:
        if option.name == b"PARTIAL" and isinstance(option.value, bytes):
            part, spelled = part_of(found, option.value)
            data = (*data, spelled)
    if {b"ALL", b"COUNT"} & names or (part is None and not ends):
        return data, found
    return data, sorted({*ends, *(part or ())})


def part_of(found: Sequence[int], asked: bytes) -> tuple[Sequence[int], tuple[bytes, bytes]]:
    """`ret-data-partial = "PARTIAL" SP "(" partial-range SP partial-results ")"`, `partial-results = sequence-set / "NIL"`
    (RFC 9394 section 4): the results in that part, and the item."""
    low, high = partial.read(asked).within(len(found))
    part = found[low:high]
    return part, (b"PARTIAL", b"(%b %b)" % (asked, spell_set(part) if part else b"NIL"))


def _context(
    tag: bytes,
    command: Search,
    selected: Selected,
    uids: list[int],
    mailbox: tuple[str, int] | None,
    fetch_new: Callable[[Sequence[Span], Output], Awaitable[None]] | None,
) -> Context | None:
    key = frozen(command.key, selected.view)
    if not may_be_followed(key, selected):
        return None
    results = Results(uids, is_sorted=False)
    return Context(tag, command.by_uid, results, matching_among(key), alters=alters(key), mailbox=mailbox, fetch_new=fetch_new)


def frozen(key: SearchKey, view: View) -> SearchKey:
    """The key with what message numbers and `$` mean now (RFC 5267 section 4.3, "evaluated at the time the command is received")."""
    match key:
        case syntax.Among(messages, by_uid) if not by_uid or not messages.slices:
            runs = runs_of(view, view.spans(messages, by_uid=by_uid, lenient=True))
            return syntax.Among(SequenceSet(tuple(runs)), True) if runs else syntax.Not(syntax.Everything())
        case syntax.Not(inner):
            return syntax.Not(frozen(inner, view))
        case syntax.And(keys):
            return syntax.And(tuple(frozen(each, view) for each in keys))
        case syntax.Or(first, second):
            return syntax.Or(frozen(first, view), frozen(second, view))
        case _:
            return key


def alters(key: SearchKey) -> Alters:
    """When does it change whether a message matches?"""
    ages: set[int] = set()
    with_flags = with_last = False
    for leaf in _leaves(key):
        match leaf:
            case syntax.Aged(_, seconds):
                ages.add(seconds)
            case syntax.Among(messages):
                with_last = with_last or any(STAR in one for one in messages.slices)
            case syntax.HasFlag() | syntax.ModseqAtLeast():
                with_flags = True
            case _:
                pass
    return Alters(with_flags, with_last, tuple(sorted(ages)))


def may_be_followed(key: SearchKey, selected: Selected) -> bool:
    """Is there room left in the search to ask for a few messages only?"""
    depth, leaves = criteria.measure(criteria.And((criteria.Uids(()), criterion(key, selected.view, selected.folder.now()))))
    return depth <= criteria.MAX_DEPTH and leaves <= criteria.MAX_LEAVES


def matching_among(key: SearchKey) -> Matching:
    """Which of some messages match, at the cost of looking at these."""

    async def among(selected: Selected, uids: Sequence[int], emit: Output) -> Collection[int]:
        test, state = _by_state(key, selected), selected.view.state
        if test is None:
            return await selected.folder.search(
                criteria.And((criteria.Uids(tuple(neighbours(uids))), criterion(key, selected.view, selected.folder.now())))
            )
        found: list[int] = []
        slice_ = _slice(key)
        for start in range(0, len(uids), slice_):
            for uid in uids[start : start + slice_]:
                at = state.index(uid)
                if at is not None and test(uid, state.flags[at]):
                    found.append(uid)
            await emit.breathe()
        return found

    return among


def needs_numbers(key: SearchKey) -> bool:
    """Does the search, or its answer, rest on what a session knows of a folder: message numbers, `*`, `$`, \\Recent, mod-sequences?"""
    for leaf in _leaves(key):
        match leaf:
            case syntax.HasFlag(b"\\Recent") | syntax.ModseqAtLeast():
                return True
            case syntax.Among(messages, by_uid) if not by_uid or not messages.slices or any(STAR in one for one in messages.slices):
                return True
            case _:
                pass
    return False


def _leaves(key: SearchKey) -> Iterator[SearchKey]:
    waiting = [key]
    while waiting:
        match waiting.pop():
            case syntax.Not(inner):
                waiting.append(inner)
            case syntax.And(keys):
                waiting.extend(keys)
            case syntax.Or(first, second):
                waiting.extend((first, second))
            case leaf:
                yield leaf


def asks_modseq(key: SearchKey) -> bool:
    """Whether MODSEQ is among the keys (RFC 7162 section 3.1.5): then the answer names the highest, in SEARCH and SORT alike."""
    return any(isinstance(leaf, syntax.ModseqAtLeast) for leaf in _leaves(key))


def highest(selected: Selected, found: Sequence[int], *, by_uid: bool) -> int:
    """The highest mod-sequence of these messages; 1, which no message is below, where all went meanwhile."""
    view, state = selected.view, selected.view.state
    if view.current and not by_uid:
        return max((state.modseqs[number - 1] for number in found), default=1)
    places = (state.index(one if by_uid else view.uids[one - 1]) for one in found)
    return max((state.modseqs[at] for at in places if at is not None), default=1)


async def _of_flags(selected: Selected, key: SearchKey, emit: Output, *, by_uid: bool) -> bytes:
    """The answer to what every client asks for all the time, made once for all who ask before anything changes."""
    view, state = selected.view, selected.view.state
    question = key, by_uid, view.exists
    answer = state.answer(question)
    if answer is None:
        modseq = state.modseq
        answer = Found(await _named(selected, key, emit, by_uid=by_uid)).spell()
        if state.modseq == modseq:
            state.answered(question, answer)
    return answer


async def _named(selected: Selected, key: SearchKey, emit: Output, *, by_uid: bool) -> list[int]:
    """The message numbers, or UIDs, of what matches among the messages the client knows, ascending: columns, no pairs."""
    view = selected.view
    if not view.current or not _is_of_flags(key):
        if _by_state(key, selected) is not None and view.current:
            return [uid if by_uid else number for number, uid in await matching(selected, key, emit)]
        return view.named(await _in_store(selected, key, emit), by_uid=by_uid)
    test = _by_state(key, selected)
    assert test is not None
    exists = view.exists
    uids, flags = view.uids[:exists], view.state.flags[:exists]
    found: list[int] = []
    for start in range(0, exists, _SLICE):
        bits_of = flags[start : start + _SLICE]
        # What every client asks for all the time: few sets of flags are different, and each is asked about once.
        wanted = {bits for bits in set(bits_of) if test(0, bits)}
        names = uids[start : start + _SLICE] if by_uid else range(start + 1, start + 1 + len(bits_of))
        found += compress(names, map(wanted.__contains__, bits_of))
        await emit.breathe()
    return found


async def _in_store(selected: Selected, key: SearchKey, emit: Output) -> list[int]:
    view = selected.view
    counts = emit.goal is None
    if counts:
        emit.goal = view.exists

    def looked_at(uid: int) -> None:
        if counts:
            emit.done = bisect_right(view.uids, uid, 0, view.exists)

    return await selected.folder.search(criterion(key, view, selected.folder.now()), looked_at)


async def matching(selected: Selected, key: SearchKey, emit: Output) -> list[tuple[int, int]]:
    """(message number, UID) of what matches among the messages the client knows, ascending. For who does more with it than to name it."""
    view = selected.view
    test = _by_state(key, selected)
    if test is None or not view.current:
        return view.numbered(await _in_store(selected, key, emit))
    exists = view.exists
    uids, flags = view.uids[:exists], view.state.flags[:exists]
    found: list[tuple[int, int]] = []
    slice_ = _slice(key)
    by_flags = _is_of_flags(key)
    for start in range(0, exists, slice_):
        stop = min(start + slice_, exists)
        some, bits_of = uids[start:stop], flags[start:stop]
        numbered = zip(range(start + 1, stop + 1), some, strict=True)
        if by_flags:
            # What every client asks for all the time: few sets of flags are different, and each is asked about once.
            found += compress(numbered, map({bits for bits in set(bits_of) if test(0, bits)}.__contains__, bits_of))
        else:
            found += [(number, uid) for (number, uid), bits in zip(numbered, bits_of, strict=True) if test(uid, bits)]
        await emit.breathe()
    return found


def _is_of_flags(key: SearchKey) -> bool:
    """Do flags that a folder keeps decide alone?"""
    return all(isinstance(leaf, syntax.HasFlag) and leaf.flag != b"\\Recent" for leaf in _leaves(key))


def _slice(key: SearchKey) -> int:
    """As many messages as are looked at in a millisecond or two: the fewer, the more there is to ask of each."""
    return max(_SLICE // sum(1 for _ in _leaves(key)), 8)


def _bit(view: View, flag: bytes) -> int:
    """0: no message of the folder has it."""
    name = flag.lower()
    return next((1 << at for at, known in enumerate(view.state.names) if known.lower() == name), 0)


def _by_state(key: SearchKey, selected: Selected) -> _Test | None:
    """What the folder's state alone can answer; None: the store has to be asked."""
    view = selected.view
    match key:
        case syntax.Everything():
            return lambda uid, flags: True
        case syntax.HasFlag(b"\\Recent", present):
            return lambda uid, flags: view.is_recent(uid) is present
        case syntax.HasFlag(flag, present):
            bit = _bit(view, flag)
            return lambda uid, flags: bool(flags & bit) is present
        case syntax.Among(messages, by_uid):
            runs = runs_of(view, view.spans(messages, by_uid=by_uid, lenient=True))
            if len(runs) == 1:
                low, high = runs[0]
                return lambda uid, flags: low <= uid <= high
            # As large as what the client wrote, however many messages it means.
            begins, ends = [low for low, _ in runs], [high for _, high in runs]
            return lambda uid, flags: (at := bisect_right(begins, uid)) > 0 and uid <= ends[at - 1]
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


def criterion(key: SearchKey, view: View, now: int) -> Criterion:
    """The key in the store's terms: message numbers and \\Recent become UIDs, which only this session knows, and ages moments. `now`:
    the store's, which dates INTERNALDATEs."""
    match key:
        case syntax.Everything():
            return criteria.All()
        case syntax.HasFlag(b"\\Recent", present):
            recent = criteria.Uids(_recent(view))
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
        case syntax.Among(messages, True) if messages.slices and not any(STAR in one for one in messages.slices):
            return criteria.Uids(tuple((min(one), max(one)) for one in messages.slices))
        case syntax.Among(messages, by_uid):
            return criteria.Uids(tuple(runs_of(view, view.spans(messages, by_uid=by_uid, lenient=True))))
        case syntax.Aged(relation, seconds):
            moment = now - seconds * 1_000_000
            return criteria.Received(moment, None) if relation == b"YOUNGER" else criteria.Received(None, moment)
        case syntax.HasObjectId(b"EMAILID", object_id):
            return criteria.OctetsAre(object_id.decode("ascii"))
        case syntax.HasObjectId():
            # Messages belong to no thread here: THREADID is NIL for all of them.
            return criteria.Or(())
        case syntax.ModseqAtLeast(modseq):
            return criteria.ModseqAtLeast(modseq)
        case syntax.Not(inner):
            return criteria.Not(criterion(inner, view, now))
        case syntax.And(keys):
            return criteria.And(tuple(criterion(each, view, now) for each in keys))
        case syntax.Or(first, second):
            return criteria.Or((criterion(first, view, now), criterion(second, view, now)))
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


def _recent(view: View) -> tuple[Run, ...]:
    return tuple((uid, uid) for uid in view.uids[: view.exists] if view.is_recent(uid)) if view.recent else ()
