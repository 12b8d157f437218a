"""SORT and THREAD: matching messages in an order, or in conversations (RFC 5256)."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final

from gateway.imap.contexts import Results
from gateway.imap.grammar.sort import Sort, SortKey, Thread
from gateway.imap.handlers.contexts import Context, Contexts, Placing, contexts_of, following, place_among, refuse
from gateway.imap.handlers.fetch import of_matching
from gateway.imap.handlers.search import (
    alters,
    asks_modseq,
    complete,
    frozen,
    highest,
    matching,
    matching_among,
    may_be_followed,
    require_uids,
    returned,
    within_limit,
)
from gateway.imap.responses import FoundExtended, messagelimit
from gateway.imap.session import Answer, No, Output, Selected, Session
from gateway.message.threads import Forest, Letter, by_references, by_subject, spell
from store.model import SortRow

_IN_PLACE: Final = 2_000
"""Messages that are sorted on the loop; more go to a thread."""

KEYS: Mapping[bytes, Callable[[SortRow], Any]] = MappingProxyType(
    {
        b"ARRIVAL": attrgetter("received"),
        b"CC": attrgetter("cc"),
        b"DATE": attrgetter("sent"),
        b"DISPLAYFROM": attrgetter("shown_from"),
        b"DISPLAYTO": attrgetter("shown_to"),
        b"FROM": attrgetter("from_"),
        b"SIZE": attrgetter("size"),
        b"SUBJECT": attrgetter("subject"),
        b"TO": attrgetter("to"),
    }
)
"""What each criterion compares."""
_ALGORITHMS: Mapping[bytes, Callable[[Sequence[Letter]], Forest]] = MappingProxyType(
    {b"ORDEREDSUBJECT": by_subject, b"REFERENCES": by_references}
)


@dataclass(frozen=True, slots=True)
class SortedNumbers:
    """`sort-data = "SORT" *(SP nz-number) [SP search-sort-mod-seq]`: message numbers or UIDs in their order, and the highest
    mod-sequence where that was searched by (RFC 7162 section 3.1.6)."""

    numbers: Sequence[int]
    modseq: int | None = None

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* SORT ...`"""
        end = b"" if self.modseq is None or not self.numbers else b" (MODSEQ %d)" % self.modseq
        return b"* SORT%b%b\r\n" % ("".join([f" {number}" for number in self.numbers]).encode("ascii"), end)


@dataclass(frozen=True, slots=True)
class Threads:
    """`thread-data = "THREAD" [SP 1*thread-list]`, the lists already spelled."""

    lists: bytes

    def spell(self, *, utf8: bool = False) -> bytes:
        """`* THREAD ...`"""
        return b"* THREAD %b\r\n" % self.lists if self.lists else b"* THREAD\r\n"


async def sort(session: Session, command: Sort, emit: Output) -> Answer:
    """RFC 5256 section 3, RFC 5957, and with RETURN RFC 5267 section 3: MIN is the first in the order, MAX the last."""
    contexts = None
    if command.returns(b"UPDATE"):
        following(session, emit.tag)
        contexts = contexts_of(session.here)
    rows, numbers = await _matching(session, command, emit)
    await _off_the_loop(len(rows), lambda: ordered(rows, command.criteria))
    found = [row.uid for row in rows] if command.by_uid else [numbers[row.uid] for row in rows]
    data, counted = ((), found) if command.returning is None else returned(found, command.returning)
    modseq = None
    if asks_modseq(command.key):
        session.use_modseqs(emit)
        # RFC 4731 section 3.2: with MIN, MAX or PARTIAL alone, of those that are returned.
        modseq = highest(session.here, counted, by_uid=command.by_uid) if counted else None
    if command.returning is None:
        emit.say(SortedNumbers(found, modseq))
        return await complete(session)
    if modseq is not None:
        data = (*data, (b"MODSEQ", b"%d" % modseq))
    emit.say(FoundExtended(emit.tag, command.by_uid, data))
    if contexts is not None and emit.tag is not None:
        _follow(session, contexts, emit.tag, command, [row.uid for row in rows], emit)
    return await complete(session)


def _follow(session: Session, contexts: Contexts, tag: bytes, command: Sort, uids: list[int], emit: Output) -> None:
    selected = session.here
    key = frozen(command.key, selected.view)
    if not may_be_followed(key, selected):
        refuse(tag, "that search is too long to be followed", emit)
        return
    results = Results(uids, is_sorted=True)
    fetch_new = of_matching(session, command.returning)
    placing = _placing(command.criteria)
    contexts.follow(Context(tag, command.by_uid, results, matching_among(key), placing, alters(key), fetch_new=fetch_new), emit)


def _placing(criteria: Sequence[SortKey]) -> Placing:
    """What a message is sorted by never changes, so that only what comes into a result has to find its place there."""

    async def placing(selected: Selected, order: Sequence[int], fresh: Collection[int]) -> list[tuple[int, int]]:
        coming = await selected.folder.sorting(sorted(fresh))
        await _off_the_loop(len(coming), lambda: ordered(coming, criteria))
        rows: dict[int, SortRow] = {row.uid: row for row in coming}

        async def learn(uids: Collection[int]) -> Collection[int]:
            rows.update((row.uid, row) for row in await selected.folder.sorting(sorted(uids)))
            return [uid for uid in uids if uid in rows]

        def is_before(one: int, other: int) -> bool:
            return _compared(rows[one], rows[other], criteria) < 0

        return await place_among(order, [row.uid for row in coming], is_before, learn)

    return placing


def _compared(one: SortRow, other: SortRow, criteria: Sequence[SortKey]) -> int:
    """Below zero: the first stands first."""
    for criterion in criteria:
        left, right = KEYS[criterion.name](one), KEYS[criterion.name](other)
        if left != right:
            return -1 if (left < right) is not criterion.reverse else 1
    return one.uid - other.uid


async def thread(session: Session, command: Thread, emit: Output) -> Answer:
    """RFC 5256 section 3."""
    rows, numbers = await _matching(session, command, emit)

    def threads() -> bytes:
        letters = [
            Letter(
                row.uid if command.by_uid else numbers[row.uid],
                row.sent,
                row.subject,
                bool(row.is_reply),
                row.message_id.replace('"', ""),
                tuple(row.ancestors.split(" ")) if row.ancestors else (),
            )
            for row in rows
        ]
        return spell(_ALGORITHMS[command.algorithm](letters))

    emit.say(Threads(await _off_the_loop(len(rows), threads)))
    return await complete(session)


def ordered(rows: list[SortRow], criteria: Sequence[SortKey]) -> None:
    """Sorts rows that are in the folder's order in place; where all criteria are equal, that order stays, under REVERSE too."""
    for criterion in reversed(criteria):
        rows.sort(key=KEYS[criterion.name], reverse=criterion.reverse)


async def _matching(session: Session, command: Sort | Thread, emit: Output) -> tuple[list[SortRow], dict[int, int]]:
    """What matches, in the folder's order, and the message number of each UID."""
    require_uids(session, command.key)
    selected: Selected = await session.refresh()
    limit = session.services.message_limit
    if within_limit(selected, command.key, limit)[1] is not None:
        # RFC 9738 section 3.3: an order of a part is no order.
        raise No("too many messages to be put in order", messagelimit(limit))
    numbers = {uid: number for number, uid in await matching(selected, command.key, emit)}
    rows = await selected.folder.sorting(list(numbers))
    await emit.breathe()
    return rows, numbers


async def _off_the_loop(count: int, work: Callable[[], Any]) -> Any:
    return work() if count <= _IN_PLACE else await asyncio.to_thread(work)
