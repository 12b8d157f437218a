"""What did a search find that the client keeps up to date, and how is it told what changes (RFC 5267)?"""

from __future__ import annotations  # array[int] is no expression before Python 3.12

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence

from gateway.imap.responses import spell_set

# Neighbours in a set, and pairs, of one response: so that a line stays below 8,192 octets, as for VANISHED.
MAX_RUNS = 240
# From one in so many on, all are looked at once instead of each being looked for.
_FEW = 16

Pair = tuple[int, Sequence[int]]
"""A context position, counted from 1, and the results that come to stand there, or that stood there; 0: in the order of the mailbox,
which the client knows (sections 4.3.3 and 4.3.4)."""


class Results:
    """The UIDs that a search found, in the mailbox's order or, `is_sorted`, in one that was asked for; 4 octets each."""

    __slots__ = ("is_sorted", "uids")

    def __init__(self, uids: Iterable[int], *, is_sorted: bool) -> None:
        self.uids = array("I", uids)
        self.is_sorted = is_sorted

    def __len__(self) -> int:
        return len(self.uids)

    def among(self, uids: Collection[int]) -> set[int]:
        """Those of them that are results."""
        if self.is_sorted or len(uids) * _FEW > len(self.uids):
            return set(uids).intersection(self.uids)
        return {uid for uid in uids if self._place(uid) is not None}

    def _place(self, uid: int) -> int | None:
        at = bisect_left(self.uids, uid)
        return at if at < len(self.uids) and self.uids[at] == uid else None

    def remove(self, uids: Collection[int]) -> list[Pair]:
        """They are no results any more. What to tell, in order: REMOVEFROM."""
        if self.is_sorted:
            members = frozenset(uids)
            places = [place for place, uid in enumerate(self.uids) if uid in members]
        else:
            places = [place for uid in sorted(uids) if (place := self._place(uid)) is not None]
        if not places:
            return []
        lost = [self.uids[place] for place in places]
        kept = array("I")
        end = 0
        for place in places:
            kept.extend(self.uids[end:place])
            end = place + 1
        kept.extend(self.uids[end:])
        self.uids = kept
        if not self.is_sorted:
            return [(0, lost)]
        # From the last on, so that every position is right when its turn comes.
        return [(first + 1, run) for first, run in reversed(list(_neighbours(places, lost)))]

    def add(self, placed: Sequence[tuple[int, int]]) -> list[Pair]:
        """(place, UID) of new results: where they belong among those there are, ascending; in the mailbox's order places do not
        count. What to tell, in order: ADDTO."""
        if not placed:
            return []
        if not self.is_sorted:
            fresh = sorted(uid for _, uid in placed)
            if self.uids and fresh[0] < self.uids[-1]:
                self.uids = array("I", sorted([*self.uids, *fresh]))
            else:
                self.uids.extend(fresh)
            return [(0, fresh)]
        grown = array("I")
        end = 0
        places: list[int] = []
        for place, uid in placed:
            grown.extend(self.uids[end:place])
            end = place
            places.append(len(grown))
            grown.append(uid)
        grown.extend(self.uids[end:])
        self.uids = grown
        return [(first + 1, run) for first, run in _neighbours(places, [uid for _, uid in placed])]


def _neighbours(places: Sequence[int], uids: Sequence[int]) -> Iterator[tuple[int, list[int]]]:
    """Ascending places beside each other as one: the first, and the UIDs there."""
    first = 0
    run: list[int] = []
    for place, uid in zip(places, uids, strict=True):
        if run and place == first + len(run):
            run.append(uid)
            continue
        if run:
            yield first, run
        first, run = place, [uid]
    if run:
        yield first, run


def spell_pairs(pairs: Iterable[Pair], *, adds: bool) -> Iterator[bytes]:
    """`"(" context-position SP sequence-set *(SP context-position SP sequence-set) ")"` (RFC 5267 section 5), as many as lines of a
    bearable length need. `adds`: for ADDTO, where what is left of a set belongs behind its beginning; REMOVEFROM closes up instead."""
    pieces: list[bytes] = []
    runs = 0
    for position, numbers in pairs:
        start = 0
        while start < len(numbers):
            end, used = _cut(numbers, start, MAX_RUNS - runs)
            at = position + start if adds and position else position
            pieces.append(b"%d %b" % (at, spell_set(numbers[start:end])))
            runs += used
            start = end
            if runs >= MAX_RUNS:
                yield b"(" + b" ".join(pieces) + b")"
                pieces, runs = [], 0
    if pieces:
        yield b"(" + b" ".join(pieces) + b")"


def _cut(numbers: Sequence[int], start: int, room: int) -> tuple[int, int]:
    """Where a set that begins at `start` has to end so that it has at most `room` neighbourhoods, and how many it has."""
    used = 1
    for at in range(start + 1, len(numbers)):
        if numbers[at] != numbers[at - 1] + 1:
            if used == room:
                return at, used
            used += 1
    return len(numbers), used
