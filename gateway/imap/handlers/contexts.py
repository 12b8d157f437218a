"""CANCELUPDATE, and the searches that a client follows: when messages come, go and change, its results are kept right (RFC 5267)."""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.imap.contexts import Pair, Results, spell_pairs
from gateway.imap.grammar.contexts import CancelUpdate
from gateway.imap.responses import Condition, FoundExtended, Status, noupdate
from gateway.imap.session import Bad, No, Output, Selected, Session
from gateway.imap.view import FolderState, Span, View
from store import criteria

MOST: Final = 10
"""Searches that one session follows at a time."""
MOST_RESULTS: Final = 500_000
"""Results that are remembered for them, beyond those of the first, which RFC 5267 section 4.3.1 promises: 2 MB."""
_SECOND: Final = 1_000_000
_SLICE: Final = 512
"""Comparisons before others may run."""

Matching = Callable[[Selected, Sequence[int], Output], Awaitable[Collection[int]]]
"""Which of these messages match now; all of them known to the client."""
Placing = Callable[[Selected, Sequence[int], Collection[int]], Awaitable[list[tuple[int, int]]]]
"""Where among results in their order these messages belong: (place, UID), ascending; what is gone is left out."""


@dataclass(frozen=True, slots=True)
class Alters:
    """When does it change whether a message matches, once it is there? `with_flags`: it may when its flags do. `with_last`: when another
    message becomes the last one, since there is a `*` among UIDs. `ages`: when it becomes so many seconds old (OLDER, YOUNGER)."""

    with_flags: bool = False
    with_last: bool = False
    ages: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """One search that is followed. `placing` None: its results have the mailbox's order.

    `alters`: when it changes whether a message matches that is there. `mailbox`: as FoundExtended has it. `fetch_new`: what is said of
    new messages that match, called with their places (RFC 5465 section 7).
    """

    tag: bytes
    by_uid: bool
    results: Results
    matching: Matching
    placing: Placing | None = None
    alters: Alters = Alters()
    mailbox: tuple[str, int] | None = None
    fetch_new: Callable[[Sequence[Span], Output], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class _Mark:
    """Up to where a folder was looked at: the state with the end of its log and its mod-sequence, the last message, the time."""

    state: FolderState
    log_end: int
    modseq: int
    last: int
    moment: int


def _mark(selected: Selected) -> _Mark:
    view, state = selected.view, selected.view.state
    last = view.uids[view.exists - 1] if view.exists else 0
    return _Mark(state, state.log_end, state.modseq, last, selected.folder.now())


class Contexts:
    """All searches that a session follows in the selected folder."""

    __slots__ = ("_by_tag", "_mark")

    def __init__(self, selected: Selected) -> None:
        self._by_tag: dict[bytes, Context] = {}
        self._mark = _mark(selected)

    def __contains__(self, tag: bytes | None) -> bool:
        return tag in self._by_tag

    def forget(self, tag: bytes) -> bool:
        """No updates for this one any more. False: there was none."""
        return self._by_tag.pop(tag, None) is not None

    def follow(self, context: Context, emit: Output) -> None:
        """From now on, if that is possible; otherwise the client is told at once (RFC 5267 section 4.3.1)."""
        others = sum(len(one.results) for one in self._by_tag.values())
        if self._by_tag and (len(self._by_tag) >= MOST or others + len(context.results) > MOST_RESULTS):
            refuse(context.tag, "too many searches are followed", emit)
        else:
            self._by_tag[context.tag] = context

    def end_numbered(self, emit: Output) -> None:
        """Those that are told by message number are followed no more."""
        for context in [one for one in self._by_tag.values() if not one.by_uid]:
            self.forget(context.tag)
            refuse(context.tag, "message numbers are not used any more", emit)

    # --- what the session calls, around what it tells of the folder

    def leave(self, view: View, emit: Output) -> None:
        """What is gone, told at once, while its message numbers are still right (section 4.3.4)."""
        if not self._by_tag or view.current:
            return
        gone = view.gone()
        for context in self._by_tag.values():
            _tell(context, view, b"REMOVEFROM", context.results.remove(gone), emit)

    async def keep_up(self, selected: Selected, emit: Output) -> None:
        """What came and what changed, once its EXISTS and FETCH are told (section 4.3.3). Only those messages are looked at.

        Raises Refused; then they are looked at the next time.
        """
        view, before = selected.view, self._mark
        mark = _mark(selected)
        if self._by_tag:
            fresh = set(view.uids[bisect_right(view.uids, before.last, 0, view.exists) : view.exists])
            changed = _changed(view, before)
            if not fresh and not changed and mark.moment - before.moment < _SECOND:
                # What grows older is looked for once in a second, not with every command.
                mark = replace(mark, moment=before.moment)
            for context in list(self._by_tag.values()):
                touched = fresh | changed if context.alters.with_flags else fresh
                await self._look(context, selected, touched, fresh, before, mark, emit)
        self._mark = mark

    async def _look(
        self, context: Context, selected: Selected, touched: set[int], came: set[int], before: _Mark, mark: _Mark, emit: Output
    ) -> None:
        view = selected.view
        if context.alters.with_last and before.last != mark.last:
            touched = touched | {before.last, mark.last}
        if context.alters.ages and mark.moment != before.moment:
            touched = touched | await _crossing(context, selected, before.moment, mark.moment)
        uids = sorted(uid for uid in touched if view.number(uid) is not None)
        if not uids:
            return
        matching = set(await context.matching(selected, uids, emit))
        held = context.results.among(uids)
        _tell(context, view, b"REMOVEFROM", context.results.remove(held - matching), emit)
        fresh = matching - held
        if context.fetch_new is not None and (new := fresh & came):
            numbers = sorted(number for uid in new if (number := view.number(uid)) is not None)
            await context.fetch_new([(number - 1, number) for number in numbers], emit)
        if fresh:
            placed = [(0, uid) for uid in fresh]
            if context.placing is not None:
                placed = await context.placing(selected, context.results.uids, fresh)
            _tell(context, view, b"ADDTO", context.results.add(placed), emit)
        await emit.breathe()


def _changed(view: View, before: _Mark) -> set[int]:
    """Messages whose flags may be others than when they were last looked at."""
    state = view.state
    if state is not before.state:
        return set(view.uids[: view.exists])
    changes = state.changed_since(before.log_end)
    if changes is None:
        return {uid for uid, modseq in zip(state.uids, state.modseqs, strict=True) if modseq > before.modseq}
    found: set[int] = set()
    for _, uids in changes:
        found.update(uids)
    return found


async def _crossing(context: Context, selected: Selected, since: int, until: int) -> set[int]:
    """Messages that became as old as the search asks for between two moments."""
    spans = tuple(criteria.Received(since - age * _SECOND, until - age * _SECOND + 1) for age in context.alters.ages)
    return set(await selected.folder.search(criteria.Or(spans)))


def _tell(context: Context, view: View, name: bytes, pairs: Iterable[Pair], emit: Output) -> None:
    if not context.by_uid:
        pairs = [(position, [_number(view, uid) for uid in uids]) for position, uids in pairs]
    for data in spell_pairs(pairs, adds=name == b"ADDTO"):
        emit.say(FoundExtended(context.tag, context.by_uid, ((name, data),), context.mailbox))


def _number(view: View, uid: int) -> int:
    return bisect_left(view.uids, uid, 0, view.exists) + 1


# --- what searching commands call


def following(session: Session, tag: bytes | None) -> None:
    """Before a search that is to be followed. Raises Bad where its tag is that of another (section 4.3)."""
    selected = session.selected
    if selected is not None and isinstance(selected.contexts, Contexts) and tag in selected.contexts:
        raise Bad("a search with this tag is followed already")


def contexts_of(selected: Selected) -> Contexts:
    """Those of the selected folder; to be asked for before what is found is looked for, so that nothing is missed between."""
    if not isinstance(selected.contexts, Contexts):
        selected.contexts = Contexts(selected)
    return selected.contexts


def end_numbered(selected: Selected, emit: Output) -> None:
    """Nothing more is told by message number, once UIDONLY is enabled (RFC 9586 section 3)."""
    if isinstance(selected.contexts, Contexts):
        selected.contexts.end_numbered(emit)


def refuse(tag: bytes, why: str, emit: Output) -> None:
    """The search is answered, but it is not followed."""
    emit.say(Status(Condition.NO, why, noupdate(tag)))


async def cancelupdate(session: Session, command: CancelUpdate, emit: Output) -> None:
    """RFC 5267 section 4.3.5."""
    contexts = session.here.contexts
    unknown = [tag for tag in command.tags if not isinstance(contexts, Contexts) or not contexts.forget(tag)]
    if unknown:
        raise No("no search with such a tag is followed")


# --- a place among sorted results


async def place_among(
    order: Sequence[int],
    fresh: Sequence[int],
    is_before: Callable[[int, int], bool],
    learn: Callable[[Collection[int]], Awaitable[Collection[int]]],
) -> list[tuple[int, int]]:
    """Where `fresh`, which are there and in their own order already, belong in `order`, looking at a few of it, not at all.

    `learn` makes messages known to `is_before` and returns those that are there; what is gone is passed over.
    """
    found: list[tuple[int, int]] = []
    known: set[int] = set()
    asked: set[int] = set()

    async def ask(uids: Iterable[int]) -> None:
        wanted = array("I", (uid for uid in uids if uid not in asked))
        if wanted:
            asked.update(wanted)
            known.update(await learn(wanted))

    if len(fresh) * 64 > len(order):
        await ask(order)
        place = 0
        for uid in fresh:
            while place < len(order) and (order[place] not in known or not is_before(uid, order[place])):
                place += 1
                if place % _SLICE == 0:
                    await asyncio.sleep(0)
            found.append((place, uid))
        return found
    low = 0
    for uid in fresh:
        high = len(order)
        while low < high:
            step = max(1, (high - low) // 32)
            probes = range(low, high, step)
            await ask(order[place] for place in probes)
            there = [place for place in probes if order[place] in known]
            if not there:
                await ask(order[low:high])
                there = [place for place in range(low, high) if order[place] in known]
            if not there:
                # All of them are gone: no place between them is better than another.
                break
            count = sum(1 for place in there if not is_before(uid, order[place]))
            low, high = there[count - 1] + 1 if count else low, there[count] if count < len(there) else high
        found.append((low, uid))
    return found
