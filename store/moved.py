"""What has been changed since a moment? Known without asking the database, in a process through which everything is written.

The writer notes what a group changes before it commits: nothing is taken for unchanged here that a reader might see changed already.
"""

from collections.abc import Sequence
from typing import Final

from policy.decision import Witness
from policy.identity import FolderId
from store.port import Event, FolderChanged, PolicyChanged

REMEMBERED: Final = 10_000
"""Scopes, and folders; when there are more, all are forgotten, and whoever asks has to look once more."""


class Moved:
    """`moment`: now, a number of groups that were written; a look at the database that begins at it sees all that they changed."""

    __slots__ = ("_begun", "_folders", "_forgotten", "_scopes", "moment")

    def __init__(self) -> None:
        self.moment = 0
        self._begun = 0
        self._forgotten = 0
        self._scopes: dict[int, int] = {}
        self._folders: dict[FolderId, int] = {}

    def note(self, events: Sequence[Event]) -> None:
        """A group that changes this is about to be committed. In the thread that does it."""
        self._begun += 1
        if len(self._scopes) > REMEMBERED or len(self._folders) > REMEMBERED:
            # In this order, for the loop may look meanwhile.
            self._forgotten = self._begun
            self._scopes.clear()
            self._folders.clear()
        for event in events:
            match event:
                case PolicyChanged(scopes):
                    for scope in scopes:
                        self._scopes[scope] = self._begun
                case FolderChanged(folder, modseq):
                    self._folders[folder] = modseq
                case _:
                    pass

    def settle(self) -> None:
        """It was committed, or undone. On the loop."""
        self.moment = self._begun

    def stands(self, witness: Witness, since: int, now: int) -> bool:
        """Does a witness that stood at the moment `since` stand still? False: the database has to be asked."""
        if witness.valid_until is not None and now >= witness.valid_until:
            return False
        last = self._scopes.get
        for scope, _ in witness.epochs:
            if last(scope, 0) > since:
                return False
        return since >= self._forgotten

    def is_at(self, folder: FolderId, modseq: int, since: int) -> bool:
        """Is a folder that was at this mod-sequence at the moment `since` at it still? False: the database has to be asked."""
        noted = self._folders.get(folder)
        return since >= self._forgotten if noted is None else noted == modseq
