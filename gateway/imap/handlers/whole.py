"""FETCH of whole messages: many are read in one go, and each goes out as the piece that it was read as.

What a message costs here is what its octets cost: a line is spelled before them, nothing is copied, and the hop to the reader's thread,
the snapshot and the right that is confirmed in it are shared by as many messages as come to `AHEAD` octets.
"""

from collections.abc import Callable, Sequence
from typing import Final

from gateway.folders import OpenFolder
from gateway.imap.session import Output, Selected
from gateway.imap.view import Span, View

AHEAD: Final = 512 * 1024
"""Octets of messages that are read in one go."""
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
    for low, high in spans:
        while low < high:
            emit.say(*view.new_flags())
            end, missing = await _some(folder, view, (low, min(low + count, high)), spell, emit)
            gone = gone or missing
            count = min((end - low) * 3 // 2 + 1, MOST)
            low = end
            await emit.breathe()
    return gone


async def _some(folder: OpenFolder, view: View, span: Span, spell: Lines, emit: Output) -> tuple[int, bool]:
    """Tells the first of these; up to which place, and whether one of them is gone."""
    low, end = span
    found, all_of_them = await folder.wholes(view.uids[low], view.uids[end - 1], AHEAD)
    if not all_of_them:
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
