"""What was told of stretches of messages, kept to be told again to whoever asks the same of the same.

Clients ask the same of a folder each time they open it: UID and FLAGS of everything, the headers of their list. What a message is
never changes, and of what does change (its flags, its mod-sequence) and of which messages stand there each stretch carries what it
was made of: it is told again only where all of that is as it was. Rights are none of its business: whoever asks has confirmed them.
"""

from __future__ import annotations  # array[int] is no expression before Python 3.12

from array import array
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

LIMIT: Final = 48 << 20
"""Octets kept in a process. All of ENVELOPE and FLAGS of 10,000 messages are 5 MiB."""
LARGEST: Final = 1 << 20
"""Octets of one stretch at most."""
_ROOM: Final = 400
"""Octets that an entry takes besides its arrays and answers, roughly."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Messages from the place `low` of a folder up to before `high`, and what is asked of them.

    `flags` with their `names`, `modseqs`: None where that is not asked. `what`: the folder as its reader sees it, and the items.
    """

    what: Hashable
    low: int
    high: int
    uids: array[int]
    flags: array[int] | None
    names: tuple[bytes, ...] | None
    modseqs: array[int] | None

    @property
    def octets(self) -> int:
        """Memory it takes, roughly."""
        return sum(len(one) * one.itemsize for one in (self.uids, self.flags, self.modseqs) if one is not None) + _ROOM


class Told:
    """The answers of a process that were given last, by stretch."""

    __slots__ = ("_kept", "_limit", "octets")

    def __init__(self, limit: int = LIMIT) -> None:
        self._kept: OrderedDict[Hashable, tuple[Stretch, bytes]] = OrderedDict()
        self._limit = limit
        self.octets = 0

    def again(self, stretch: Stretch) -> bytes | None:
        """The responses to the same question, if nothing in them is different now."""
        place = stretch.what, stretch.low, stretch.high
        found = self._kept.get(place)
        if found is None or found[0] != stretch:
            return None
        self._kept.move_to_end(place)
        return found[1]

    def keep(self, stretch: Stretch, octets: bytes) -> None:
        """These were the responses. Unless they are too long they take the place of those before."""
        place = stretch.what, stretch.low, stretch.high
        before = self._kept.pop(place, None)
        if before is not None:
            self.octets -= before[0].octets + len(before[1])
        if len(octets) > LARGEST:
            return
        self._kept[place] = stretch, octets
        self.octets += stretch.octets + len(octets)
        while self.octets > self._limit:
            _, (oldest, answer) = self._kept.popitem(last=False)
            self.octets -= oldest.octets + len(answer)
