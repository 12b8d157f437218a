"""FETCH of whole messages: many are read in one go, and each goes out as the piece that it was read as.

What a message costs here is what its octets cost: a line is spelled before them, nothing is copied, and the snapshot and the right that is
confirmed in it are shared by as many messages as come to `AHEAD` octets. They are read in place, more at a time each time, while the system
has them in memory; where the disk has to be waited for, the reader's thread does that. (Always by the thread, they cost half as much again:
two processors hand them to each other.)
"""

from collections.abc import Callable, Sequence
from resource import RUSAGE_SELF, getrusage
from time import monotonic
from typing import Final

from gateway.folders import IN_PLACE
from gateway.imap.session import Output, Selected
from gateway.imap.view import Span, View

AHEAD: Final = 512 * 1024
"""Octets of messages that are read in one go at most."""
LONG: Final = 0.02
"""Seconds after which the disk was waited for, whatever the system has counted: of other machines' disks it counts nothing."""
FEW: Final = 32
"""Messages whose sizes are looked at for the first of these readings; then half as many again as the last one had."""
MOST: Final = 256

Lines = Callable[[Sequence[int], Sequence[int], Sequence[bytes]], tuple[list[bytes], bytes | list[bytes]]]
"""Of messages at these places of the view and of the state, with these octets: what stands before the octets of each, and what behind."""


async def tell(selected: Selected, spans: Sequence[Span], spell: Lines, emit: Output) -> bool:
    """These messages, each of them whole. True: some of them are gone."""
    folder, view = selected.folder, selected.view
    gone = False
    count = FEW
    quick, most = True, IN_PLACE
    for low, high in spans:
        while low < high:
            emit.say(*view.new_flags())
            before, began = blocks_read(), monotonic()
            span = low, min(low + count, high)
            found, are_all = await folder.wholes(view.uids[low], view.uids[span[1] - 1], most, most if quick else 0)
            quick = blocks_read() == before and monotonic() - began < LONG
            most = min(2 * most, AHEAD) if quick else AHEAD
            end, missing = _say(view, span, found, are_all, spell, emit)
            gone = gone or missing
            count = min(max((end - low) * 3 // 2 + 1, count // 2), MOST)
            low = end
            await emit.breathe()
    return gone


def blocks_read() -> int:
    """How many were read from disks for this process."""
    return getrusage(RUSAGE_SELF).ru_inblock


def _say(view: View, span: Span, found: Sequence[tuple[int, bytes]], are_all: bool, spell: Lines, emit: Output) -> tuple[int, bool]:
    """Tells what was found of these; up to which place, and whether one of them is gone."""
    low, end = span
    if not are_all:
        number = view.number(found[-1][0])
        assert number is not None
        end = number
    places: Sequence[int] = range(low, end)
    at = places
    octets = [one for _, one in found]
    if not view.current or len(found) < end - low:
        by_uid = dict(found)
        there = [
            (place, index) for place in places if view.uids[place] in by_uid and (index := view.state.index(view.uids[place])) is not None
        ]
        places, at = [place for place, _ in there], [index for _, index in there]
        octets = [by_uid[view.uids[place]] for place in places]
    if octets:
        before, behind = spell(places, at, octets)
        if isinstance(behind, bytes):
            last = behind
            before[1:] = [behind + line for line in before[1:]]
        else:
            *between, last = behind
            before[1:] = [tail + line for tail, line in zip(between, before[1:], strict=True)]
        pieces = [last] * (2 * len(octets) + 1)
        pieces[0:-1:2] = before
        pieces[1::2] = octets
        emit.extend(pieces)
    return end, len(places) < end - low
