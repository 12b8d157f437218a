"""What LIST and LSUB said last, kept to be said again to the same actor who asks the same, as long as what it rests on stands.

Clients ask for their folders whenever they connect, and little of it ever changes. What does (who may see what, names, uses,
subscriptions) moves an epoch, which the store is asked about each time; the figures of STATUS are never kept.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

from gateway.folders import Footing
from policy.identity import FolderId

LIMIT: Final = 16 << 20
"""Octets kept in a process. LIST of 1,000 folders is 45 KB, with STATUS twice that."""
LARGEST: Final = 1 << 20
"""Octets of one answer with its question at most."""
_ROOM: Final = 600
"""Octets that an answer takes besides what is said, roughly."""
_ROOM_OF_PIECE: Final = 80
_ROOM_OF_EPOCH: Final = 150
_ROOM_OF_ACT: Final = 3000
"""What a judgement rests on: the owner's row, grants, the trace."""
_ROOM_OF_CHARACTER: Final = 4
"""Of the question: patterns that match nothing are long, and what is said to them is short."""


@dataclass(frozen=True, slots=True)
class Said:
    """An answer. `pieces`: its octets; behind each but the last one come the figures of the folder at the same place of `folders`."""

    footing: Footing
    pieces: tuple[bytes, ...]
    folders: tuple[FolderId, ...] = ()

    @property
    def octets(self) -> int:
        """Memory it takes, roughly."""
        rests = len(self.footing.witness.epochs) * _ROOM_OF_EPOCH + len(self.footing.acts) * _ROOM_OF_ACT
        return sum(map(len, self.pieces)) + len(self.pieces) * _ROOM_OF_PIECE + rests + _ROOM


class Saying:
    """An answer while it is made."""

    __slots__ = ("_folders", "_now", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._folders: list[FolderId] = []
        self._now: list[bytes] = []

    def say(self, octets: bytes) -> bytes:
        """Returns them."""
        self._now.append(octets)
        return octets

    def figures(self, folder: FolderId) -> None:
        """Here the folder's figures are said."""
        self._pieces.append(b"".join(self._now))
        self._folders.append(folder)
        self._now.clear()

    def said(self, footing: Footing) -> Said:
        """All of it."""
        return Said(footing, (*self._pieces, b"".join(self._now)), tuple(self._folders))


class Answers:
    """The answers of a process that were given last, by who asked what."""

    __slots__ = ("_kept", "_limit", "octets")

    def __init__(self, limit: int = LIMIT) -> None:
        self._kept: OrderedDict[Hashable, tuple[Said, int]] = OrderedDict()
        self._limit = limit
        self.octets = 0

    def last(self, question: Hashable) -> Said | None:
        """What was said; whether it may be said again its footing tells."""
        found = self._kept.get(question)
        if found is None:
            return None
        self._kept.move_to_end(question)
        return found[0]

    def keep(self, question: Hashable, said: Said) -> None:
        """In the place of what was said before; unless it is too long."""
        _, before = self._kept.pop(question, (None, 0))
        self.octets -= before
        octets = said.octets + _ROOM_OF_CHARACTER * len(repr(question))
        if octets > LARGEST:
            return
        self._kept[question] = said, octets
        self.octets += octets
        while self.octets > self._limit:
            _, (_, oldest) = self._kept.popitem(last=False)
            self.octets -= oldest
