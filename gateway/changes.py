"""Whom does a change in the store concern, of those who are connected now?

The store tells after each commit which folders and which scopes (accounts, lists, the directory) changed, without data. Whoever has an
interest is woken once per turn of the loop at most and looks for itself, so that a lost or doubled wake costs nothing. Where it concerns
many, some are woken in each turn, those first whom it names. A right that ends by the clock alone wakes through the timer wheel.
"""

import asyncio
import itertools
import logging
import math
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, Protocol

from gateway.carrier import Wheel
from gateway.followers import Followers
from policy.identity import AccountId, FolderId
from store.port import DIRECTORY, Event, EverythingChanged, FolderChanged, FoldersChanged, MetadataChanged, PolicyChanged, Store

log = logging.getLogger(__name__)


class News:
    """What a wake may be about: bits, which are plain numbers since every command looks at them, and one operation on an IntFlag takes
    as long as reading the command's name."""

    FOLDER: Final = 1  # messages of the watched folder
    POLICY: Final = 2  # rights, status, password, membership
    FOLDERS: Final = 4  # which folders there are, subscriptions
    METADATA: Final = 8  # entries of folders and of the server
    ELSEWHERE: Final = 16  # something beside the selected folder, of whatever kind


AT_ONCE: Final = 25
"""Sleepers woken in one turn of the loop: a change of the directory concerns all there are, and who works must not wait for them. Of
those whom it may concern so many look at once, for they ask the store for its readers as those do who work."""
LONGEST: Final = 0.05
"""Seconds for which those that look are waited for before the next: one of them may have a peer that does not read."""


class Woken(Protocol):
    """Who is told."""

    def wake(self, news: int) -> asyncio.Future[None] | None:
        """Something of this kind may have changed. Called on the loop; must not wait, must not raise. Returns the task that was begun
        for it, if one was."""


METADATA_KEPT: Final = 1_000
"""Changed entries that are kept by name until they are told; whoever has more of them to hear is told that some were lost."""


class Ledger:
    """What changed, by name: kept for a sleeper that follows more than one folder, until it looks.

    `folders`: those followed whose messages changed. `entries`: the metadata, in order; only those this account may have: its own
    private ones and everybody's. `lost`: there were too many.
    """

    __slots__ = ("_count", "account", "entries", "folders", "lost", "origin")

    def __init__(self, account: AccountId, origin: int) -> None:
        self.account = account
        self.origin = origin
        self.clear()

    def clear(self) -> None:
        """Everything was looked at."""
        self.folders: set[FolderId] = set()
        self.entries: dict[FolderId, dict[str, None]] = {}
        self.lost = False
        self._count = 0

    def note(self, event: MetadataChanged) -> bool:
        """False: it is not for this sleeper."""
        if event.actor not in (0, self.account) or (event.origin and event.origin == self.origin):
            return False
        if not event.folder and event.owner != self.account:
            return False
        of_folder = self.entries.setdefault(event.folder, {})
        self._count -= len(of_folder)
        of_folder.update(dict.fromkeys(event.entries))
        self._count += len(of_folder)
        if self._count > METADATA_KEPT:
            self.lost = True
            self.entries = {}
            self._count = 0
        return True


class Interest:
    """What one sleeper wants to hear of; given out by `Changes.register`, changed and ended by its methods. `ledger`: None unless the
    sleeper has to know what changed, and not only that something did. `heard`: the highest mod-sequence it was told of, of whichever
    of its folders."""

    __slots__ = ("_changes", "_folders", "_scopes", "_until", "deadline", "heard", "ledger", "news", "slot", "woken")

    def __init__(self, changes: "Changes", woken: Woken) -> None:
        self._changes = changes
        self.woken = woken
        self.ledger: Ledger | None = None
        self.heard = 0
        self._folders: Collection[FolderId] = ()
        self._scopes: tuple[int, ...] = ()
        self._until: int | None = None
        self.deadline = math.inf
        self.slot = 0
        self.news = 0

    @property
    def folders(self) -> frozenset[FolderId]:
        """Those whose messages are followed."""
        return frozenset(self._folders)

    @property
    def is_guest(self) -> bool:
        """Is more followed than the directory and one account? Then what the directory says of groups may be all that lets it in."""
        return len(self._scopes) > 2

    def follow_folder(self, folder: FolderId | None) -> None:
        """The messages of this folder, and no longer those of the one before."""
        wanted = () if folder is None else (folder,)
        if wanted != self._folders:
            self._follow(wanted)

    def follow_folders(self, folders: Iterable[FolderId]) -> frozenset[FolderId]:
        """The messages of these folders, and no longer those of any others. Returns those that are new among them."""
        wanted, before = frozenset(folders), self.folders
        if wanted != before:
            # Most follow one folder, or none: a tuple is a quarter of a set.
            self._follow(wanted if len(wanted) > 1 else tuple(wanted))
        return wanted - before

    def _follow(self, wanted: Collection[FolderId]) -> None:
        before = self._folders
        self._changes.move(
            self,
            self._changes.by_folder,
            [one for one in before if one not in wanted],
            [one for one in wanted if one not in before],
        )
        self._folders = wanted
        self.heard = 0

    def follow_scopes(self, scopes: Iterable[int]) -> None:
        """The policy of these accounts (and of the directory, 0), and no longer that of those before."""
        wanted = tuple(sorted(set(scopes)))
        if wanted != self._scopes:
            self._changes.move(self, self._changes.by_scope, self._scopes, wanted)
            self._scopes = wanted

    def follow_clock(self, valid_until: int | None) -> None:
        """Wake with POLICY when this moment (microseconds since 1970 UTC) has come; None: never."""
        if valid_until == self._until:
            return
        self._until = valid_until
        if valid_until is None:
            self.deadline = math.inf
            return
        self._watch_clock(valid_until)

    def late(self) -> None:
        """The wheel's turn: has the moment really come? The wall clock may have been set meanwhile."""
        if self._until is None:
            return
        if self._until > self._changes.wall_clock():
            self._watch_clock(self._until)
            return
        self._until = None
        self._changes.tell(self, News.POLICY)

    def _watch_clock(self, valid_until: int) -> None:
        # At most an hour ahead: a wall clock that is set back or on is noticed by then.
        ahead = min(max(0.0, (valid_until - self._changes.wall_clock()) / 1e6), 3600.0)
        self.deadline = self._changes.loop_time() + ahead
        self._changes.wheel.watch(self)

    def end(self) -> None:
        """No more wakes."""
        self.follow_folder(None)
        self.follow_scopes(())
        self.follow_clock(None)
        self._changes.wheel.forget(self)
        self._changes.forget(self)


class Changes:
    """The indices folder → interests and scope → interests of one process. `first`: what no other process counts up to."""

    def __init__(
        self, store: Store, wheel: Wheel, *, wall_clock: Callable[[], int] = lambda: time.time_ns() // 1000, first: int = 0
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.wheel = wheel
        self.wall_clock = wall_clock
        self.by_folder: Followers[int, Interest] = Followers()
        self.by_scope: Followers[int, Interest] = Followers()
        # Dictionaries for their order; those whom a change names come before those whom it may concern.
        self._pressing: dict[Interest, None] = {}
        self._waiting: dict[Interest, None] = {}
        self._scheduled = False
        self._looking: set[asyncio.Future[None]] = set()
        self._patience: asyncio.TimerHandle | None = None
        self._numbers = first
        self._unwatch: Callable[[], None] | None = store.watch(self._told)

    def loop_time(self) -> float:
        """Seconds, as the wheel counts them."""
        return self._loop.time()

    def register(self, woken: Woken) -> Interest:
        """A new interest, in nothing yet."""
        return Interest(self, woken)

    def number(self) -> int:
        """A number that no other sleeper has: the `origin` of what it does itself."""
        self._numbers += 1
        return self._numbers

    def close(self) -> None:
        """Stop listening to the store; nobody is woken any more."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        self._pressing.clear()
        self._waiting.clear()
        self._go_on()

    def move(self, interest: Interest, index: Followers[int, Interest], old: Iterable[int], new: Iterable[int]) -> None:
        """Re-file an interest in one of the indices."""
        for key in old:
            index.discard(key, interest)
        for key in new:
            index.add(key, interest)

    def tell(self, interest: Interest, news: int, *, pressing: bool = True) -> None:
        """Wake this one in the next turn of the loop; where many wait in one of the next, before those that are not `pressing`."""
        if pressing:
            self._waiting.pop(interest, None)
            self._pressing[interest] = None
        elif interest not in self._pressing:
            self._waiting[interest] = None
        interest.news |= news
        self._schedule()

    def forget(self, interest: Interest) -> None:
        """What it was to be told is told no more."""
        self._pressing.pop(interest, None)
        self._waiting.pop(interest, None)
        interest.news = 0

    def _told(self, events: Sequence[Event]) -> None:
        for event in events:
            match event:
                case FolderChanged(folder, modseq):
                    for interest in self.by_folder.of(folder):
                        interest.heard = max(interest.heard, modseq)
                        if interest.ledger is not None:
                            interest.ledger.folders.add(folder)
                        self.tell(interest, News.FOLDER)
                case PolicyChanged(scopes):
                    for scope in scopes:
                        for interest in self.by_scope.of(scope):
                            self.tell(interest, News.POLICY, pressing=scope != DIRECTORY or interest.is_guest)
                case FoldersChanged(owner):
                    for interest in self.by_scope.of(owner):
                        self.tell(interest, News.FOLDERS)
                case MetadataChanged(owner):
                    for interest in self.by_scope.of(owner):
                        if interest.ledger is not None and interest.ledger.note(event):
                            self.tell(interest, News.METADATA)
                case EverythingChanged():
                    self._tell_all()
                case _:
                    pass

    def _tell_all(self) -> None:
        for interest in self.by_folder.everyone() | self.by_scope.everyone():
            if interest.ledger is not None:
                interest.ledger.folders |= interest.folders
                interest.ledger.lost = True
            self.tell(interest, News.FOLDER | News.POLICY | News.FOLDERS | News.METADATA, pressing=False)

    def _schedule(self) -> None:
        if not self._scheduled and (self._pressing or (self._waiting and not self._looking)):
            self._scheduled = True
            self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._scheduled = False
        self._rouse(self._pressing)
        if not self._pressing and not self._looking:
            self._looking = self._rouse(self._waiting)
            for one in self._looking:
                one.add_done_callback(self._has_looked)
            if self._looking:
                self._patience = self._loop.call_later(LONGEST, self._go_on)
        self._schedule()

    def _rouse(self, where: dict[Interest, None]) -> set[asyncio.Future[None]]:
        begun = set()
        for interest in [*itertools.islice(where, AT_ONCE)]:
            del where[interest]
            news, interest.news = interest.news, 0
            try:
                task = interest.woken.wake(news)
            except Exception:
                log.exception("a sleeper could not be woken")
            else:
                if task is not None:
                    begun.add(task)
        return begun

    def _has_looked(self, one: asyncio.Future[None]) -> None:
        if one in self._looking:
            self._looking.discard(one)
            if not self._looking:
                self._go_on()

    def _go_on(self) -> None:
        self._looking = set()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        self._schedule()
