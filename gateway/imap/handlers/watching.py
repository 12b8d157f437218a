"""What happens beyond the selected folder that this client wants to know, and what does it know already (RFC 5465, RFC 5464)?

A session that follows folders sleeps in the indices of gateway/changes.py and costs nothing there. When it is woken it looks: at the
folders whose messages changed, each on the right that is confirmed in the same snapshot; at everything it may see when folders or rights
changed. What it finds it compares with what the client was told. So nothing is queued but names, a thousand changes of a folder are one
STATUS, and a folder that may no longer be seen goes as one that was deleted.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.changes import Ledger, News
from gateway.folders import Listed, Survey, figures_of
from gateway.imap.grammar.notify import (
    FLAG_CHANGE,
    MAILBOX_METADATA_CHANGE,
    MAILBOX_NAME,
    MESSAGE_EVENTS,
    MESSAGE_NEW,
    SELECTED,
    SERVER_METADATA_CHANGE,
    SUBSCRIPTION_CHANGE,
    EventGroup,
)
from gateway.imap.handlers.listing import Name, attributes, named, parents
from gateway.imap.handlers.metadata import EntriesOf
from gateway.imap.handlers.status import of as status_of
from gateway.imap.names import INBOX, BadName, NoFolder
from gateway.imap.responses import NOTIFICATIONOVERFLOW, Condition, Status, oldname
from gateway.imap.responses import Listed as ListedName
from gateway.imap.session import Heard, No, Output, Session
from gateway.imap.view import View
from gateway.refusal import Refused
from policy.identity import Address, FolderId
from policy.rights import Right

REST: Final = 0.2
"""Seconds between two looks beyond the selected folder: a folder that is busy is told of five times a second."""
SHARE: Final = 4
"""Times as long as it took to look, nothing is looked at: many sessions of one busy account leave room for others."""
REST_AT_MOST: Final = 2.0
AGAIN: Final = 0.5
"""Seconds until a look that the store had no time for is tried again."""
SEEN_AT_MOST: Final = 5
"""Times as many folders as may be followed are looked through for those that are."""
ENTRIES_IN_A_LINE: Final = 20
_AT_ONCE: Final = 100
"""Folders looked through before others may run."""
_NOTHING: Final[frozenset[bytes]] = frozenset()


class TooMuch(Exception):
    """More folders than one session may follow."""


@dataclass(frozen=True, slots=True)
class _Group:
    """Events for the folders of a filter; `names` in canonical spelling, with how the client wrote them (clients.md 11)."""

    filter: bytes
    names: dict[str, str]
    events: frozenset[bytes]


class _Filters:
    """All groups at once, each a bit: what it costs to ask about a name does not grow with them."""

    __slots__ = ("_at", "_below", "_combined", "_everywhere", "_groups", "_inboxes", "_personal", "_subscribed", "_written")

    def __init__(self, groups: Sequence[_Group]) -> None:
        self._groups = groups
        self._inboxes = self._personal = self._subscribed = self._everywhere = 0
        self._at: dict[str, int] = {}
        self._below: dict[str, int] = {}
        self._written: dict[str, str] = {}
        self._combined: dict[int, frozenset[bytes]] = {0: _NOTHING}
        for number, group in enumerate(groups):
            bit = 1 << number
            match group.filter:
                case b"INBOXES":
                    self._inboxes |= bit
                case b"PERSONAL":
                    self._personal |= bit
                case b"SUBSCRIBED":
                    self._subscribed |= bit
                case _:
                    pass
            for name, written in group.names.items():
                self._at[name] = self._at.get(name, 0) | bit
                if group.filter == b"SUBTREE":
                    self._below[name] = self._below.get(name, 0) | bit
                if written != name:
                    self._written.setdefault(name, written)
        self._everywhere = self._below.pop("", 0)

    def events(self, name: str, *, own: bool, subscribed: bool) -> frozenset[bytes]:
        """All that any group wants to hear of this name (RFC 5465 section 6)."""
        chosen = self._everywhere | self._at.get(name, 0)
        if own:
            chosen |= self._personal
        if subscribed:
            chosen |= self._subscribed
        if name == INBOX:
            chosen |= self._inboxes
        if self._below:
            for above in parents(name):
                chosen |= self._below.get(above, 0)
        found = self._combined.get(chosen)
        if found is None:
            events = (group.events for number, group in enumerate(self._groups) if chosen >> number & 1)
            found = self._combined[chosen] = frozenset().union(*events)
        return found

    def spell(self, name: str) -> str:
        """As the client writes it, where it named the folder or one above it in its own way."""
        if self._written:
            for one in (name, *parents(name)):
                written = self._written.get(one)
                if written is not None:
                    return written + name[len(one) :]
        return name


@dataclass(slots=True)
class _Known:
    """What the client knows of a folder. `told`: up to this mod-sequence it knows the messages in another way; `unsure`: it may have
    heard of other figures meanwhile, so that those that are as they were may be news."""

    name: str
    events: frozenset[bytes]
    readable: bool
    subscribed: bool
    noselect: bool
    uidvalidity: int
    uidnext: int
    exists: int
    modseq: int
    unseen: int
    told: int = 0
    unsure: bool = False

    def learn(self, folder: Listed) -> None:
        row = folder.row
        self.uidvalidity, self.uidnext, self.exists, self.modseq = row.uidvalidity, row.uidnext, row.exists, row.modseq
        self.unseen = folder.unseen
        self.unsure = False


class Watching:
    """The groups of a NOTIFY SET but for that of the selected folder, and `metadata`: ENABLE METADATA. Call `begin`, then `end` once."""

    __slots__ = (
        "_everybody",
        "_filters",
        "_groups",
        "_known",
        "_looks",
        "_loop",
        "_metadata",
        "_mine",
        "_news",
        "_owners",
        "_rest_until",
        "_scopes",
        "_session",
        "_subscribed",
        "_timer",
        "_valid_until",
        "interest",
        "ledger",
    )

    def __init__(self, session: Session, groups: Sequence[EventGroup], *, metadata: bool) -> None:
        assert session.actor is not None
        self._session = session
        self._groups = tuple(self._resolved(group) for group in groups if group.filter not in SELECTED and group.events)
        self._metadata = metadata
        self._looks = any(group.events - {SERVER_METADATA_CHANGE} for group in self._groups)
        self._known: dict[FolderId, _Known] = {}
        self._subscribed: set[str] = set()
        self._filters = _Filters(self._groups)
        names = session.names
        named = {name for group in self._groups for name in group.names}
        self._everybody = bool({"", names.node} & named) or any(group.filter == b"SUBSCRIBED" for group in self._groups)
        self._owners = {
            name[: len(names.prefix)] + name.removeprefix(names.prefix).partition("/")[0] for name in named if name.startswith(names.prefix)
        }
        self._mine: set[str] = set()
        self._news = 0
        self._scopes: tuple[int, ...] = ()
        self._valid_until: int | None = None
        self._loop = asyncio.get_running_loop()
        self._rest_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        changes = session.services.changes
        origin = session.acting.origin = session.acting.origin or changes.number()
        self.ledger = Ledger(session.actor.account, origin)
        self.interest = changes.register(self)
        self.interest.ledger = self.ledger

    @property
    def needed(self) -> bool:
        """Is there anything to be watched?"""
        return bool(self._groups) or self._metadata

    # --- which folders

    def _resolved(self, group: EventGroup) -> _Group:
        found: dict[str, str] = {}
        names = self._session.names
        for written in group.names:
            try:
                canonical = names.spell(names.parse(written)) if written else ""
            except NoFolder:
                canonical = names.node
            except BadName:
                # RFC 5465 section 3.1: what is no folder is passed over.
                continue
            found.setdefault(canonical, written if canonical != names.node else canonical)
        return _Group(group.filter, found, group.events)

    def _events(self, name: str, *, subscribed: bool) -> frozenset[bytes]:
        """All that any group wants to hear of this name (RFC 5465 section 6)."""
        names = self._session.names
        own = name != names.node and not name.startswith(names.prefix)
        return self._filters.events(name, own=own, subscribed=subscribed)

    def _others(self, owner: Address) -> bool:
        """Could any group be about folders of this owner?"""
        return self._everybody or self._session.names.owner_node(str(owner)) in self._owners

    def _spell(self, name: str) -> str:
        return self._filters.spell(name)

    # --- being woken

    def wake(self, news: int) -> asyncio.Future[None] | None:
        """Something of this kind may have changed; see Woken."""
        self._news |= news
        if self._timer is not None:
            return None
        wait = self._rest_until - self._loop.time()
        if wait > 0:
            self._timer = self._loop.call_later(wait, self._ring)
            return None
        return self._session.wire.wake(News.ELSEWHERE)

    def _ring(self) -> None:
        self._timer = None
        self._session.wire.wake(News.ELSEWHERE)

    def end(self) -> None:
        """No more."""
        self.interest.end()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def did(self, *names: str) -> None:
        """The client itself made, renamed, removed, subscribed to these names: no news to it (RFC 5465 section 5)."""
        for written in names:
            try:
                self._mine.add(self._session.names.spell(self._session.names.parse(written)))
            except BadName:
                continue
        # At once, before somebody else does something to the same names.
        self._news |= News.FOLDERS
        self._session.wire.wake(News.ELSEWHERE)

    def added(self, folder: FolderId, modseq: int) -> None:
        """The client itself put messages into this folder; if nobody else did anything since it was told, it knows all."""
        known = self._known.get(folder)
        if known is not None and max(known.modseq, known.told) == modseq - 1:
            known.told = modseq
            known.unsure = True

    def asked(self, folder: FolderId) -> None:
        """The client asked for figures of this folder itself, and has those of now."""
        known = self._known.get(folder)
        if known is not None:
            known.unsure = True

    def left(self, folder: FolderId, view: View) -> None:
        """The folder is selected no more; the client knows of it what it was told there."""
        known = self._known.get(folder)
        if known is not None:
            known.told = max(known.told, view.modseq if FLAG_CHANGE in known.events else view.counted)
            known.unsure = True
            if known.readable and known.events & MESSAGE_EVENTS:
                # What it was not told while it was there is told now.
                self.ledger.folders.add(folder)
                self.wake(News.FOLDER)

    async def include_metadata(self) -> None:
        """ENABLE METADATA: entries of every folder are told as well. Raises Refused."""
        self._metadata = True
        await self._follow(await self._wider(self._scopes), self._valid_until)

    @property
    def pending(self) -> bool:
        """Is there something to look at?"""
        return bool(self._news)

    # --- looking and telling

    async def begin(self, output: Output, *, status: bool) -> None:
        """Take in what there is. `status`: and tell the figures of what is followed. Raises No, Refused."""
        session = self._session
        if not self._looks:
            await self._follow(await self._wider((session.acting.actor.account,)), None)
            return
        survey = await self._survey()
        try:
            names = named(session, survey.listing)
            await self._take(survey, names, output)
        except TooMuch:
            raise No("too many folders to be followed", NOTIFICATIONOVERFLOW) from None
        for known in self._known.values():
            if known.events and not known.readable and not known.noselect:
                self._list(known.name, names, output)
        followed = self._followed()
        self.interest.follow_folders(followed)
        await self._follow(await self._wider(survey.scopes), survey.valid_until)
        # What a snapshot has that was opened after the folders were followed is the beginning: nothing falls between.
        for folder in await session.services.folders.glance(session.acting, followed):
            known = self._known[folder.row.id]
            known.learn(folder)
            if status and folder.figures and not self._is_selected(folder.row.id):
                self._say_status(known, folder, self._first_items(known), output)
                await output.breathe()
        self.wake(News.FOLDERS)

    async def tell(self, output: Output) -> None:
        """What happened since it was last told. Raises ConnectionError."""
        session = self._session
        session.news &= ~News.ELSEWHERE
        news, self._news = self._news, 0
        changed, entries, lost = self.ledger.folders, self.ledger.entries, self.ledger.lost
        self.ledger.clear()
        began = self._loop.time()
        self._rest_until = began + REST
        try:
            if lost:
                raise TooMuch
            if news & News.POLICY or (news & News.FOLDERS and self._looks):
                changed = changed | await self._look_again(output)
                now = self._loop.time()
                self._rest_until = now + min(max(REST, SHARE * (now - began)), REST_AT_MOST)
            if changed:
                await self._look_at(changed, output)
            if entries:
                await self._tell_entries(entries, output)
        except TooMuch:
            self._overflow(output)
        except Refused:
            # Nothing here is refused but for want of time: it is looked for again, and told twice rather than not at all.
            self.ledger.folders |= changed
            for folder, of_folder in entries.items():
                self.ledger.entries.setdefault(folder, {}).update(of_folder)
            self._rest_until = self._loop.time() + AGAIN
            self.wake(news | News.FOLDER)

    def _overflow(self, output: Output) -> None:
        """RFC 5465 section 5.8: as after NOTIFY NONE. What ENABLE METADATA asked for is told on."""
        output.say(Status(Condition.OK, "too much to be told", NOTIFICATIONOVERFLOW))
        if not self._groups:
            return
        self._session.heard = Heard(messages=False, flags=False)
        if not self._metadata:
            self._session.look_with(None)
            return
        self._groups = ()
        self._filters = _Filters(())
        self._looks = False
        self._known, self._subscribed = {}, set()
        self.interest.follow_folders(())
        self.wake(News.POLICY)

    async def _survey(self) -> Survey:
        session = self._session
        own = any(group.filter not in (b"SUBTREE", b"MAILBOXES") or self._names_own(group) for group in self._groups)
        return await session.services.folders.survey(session.acting, self._others, own=own)

    def _names_own(self, group: _Group) -> bool:
        names = self._session.names
        return any(name != names.node and not name.startswith(names.prefix) for name in group.names)

    async def _wider(self, scopes: tuple[int, ...]) -> tuple[int, ...]:
        return (*scopes, *await self._session.services.folders.scopes(self._session.acting)) if self._metadata else scopes

    async def _follow(self, scopes: Iterable[int], valid_until: int | None) -> None:
        wanted = tuple(sorted(set(scopes)))
        fresh = set(wanted) - set(self._scopes)
        self._scopes = wanted
        self.interest.follow_scopes(wanted)
        self.interest.follow_clock(valid_until)
        self._valid_until = valid_until
        if fresh:
            # Who is followed from now on may have changed something since the snapshot.
            self.wake(News.POLICY)

    def _followed(self) -> list[FolderId]:
        return [folder for folder, known in self._known.items() if known.readable and known.events & MESSAGE_EVENTS]

    def _is_selected(self, folder: FolderId) -> bool:
        selected = self._session.selected
        return selected is not None and selected.folder.row.id == folder

    async def _look_again(self, output: Output) -> set[FolderId]:
        """Folders or rights changed: what is there now? Returns the folders that have to be looked at."""
        if not self._looks:
            await self._follow(await self._wider((self._session.acting.actor.account,)), None)
            return set()
        survey = await self._survey()
        names = named(self._session, survey.listing)
        before, subscribed = self._known, self._subscribed
        behind = await self._take(survey, names, output)
        for name, old in self._different(before, subscribed, names).items():
            self._list(name, names, output, old)
            await output.breathe()
        fresh = self.interest.follow_folders(self._followed())
        await self._follow(await self._wider(survey.scopes), survey.valid_until)
        return behind | fresh

    async def _take(self, survey: Survey, names: dict[str, Name], output: Output) -> set[FolderId]:
        """What was found becomes what is known; the figures stay those that the client was told. Returns where these are not those that
        were found. Raises TooMuch."""
        limit = self._session.services.watch_limit
        if len(survey.listing.folders) > SEEN_AT_MOST * limit:
            raise TooMuch
        known: dict[FolderId, _Known] = {}
        behind: set[FolderId] = set()
        covered = 0
        for number, (name, one) in enumerate(names.items()):
            folder = one.folder
            if folder is None:
                continue
            if number % _AT_ONCE == 0:
                await output.breathe()
            row = folder.row
            events = self._events(name, subscribed=folder.subscribed)
            covered += bool(events)
            readable = Right.READ in folder.held and not row.noselect
            found = _Known(
                name, events - MESSAGE_EVENTS if row.noselect else events, readable, folder.subscribed, row.noselect,
                row.uidvalidity, row.uidnext, row.exists, row.modseq, folder.unseen,
            )  # fmt: skip
            old = self._known.get(row.id)
            if old is not None and old.readable and old.events & MESSAGE_EVENTS:
                found.uidvalidity, found.uidnext, found.exists, found.modseq, found.unseen, found.told, found.unsure = (
                    old.uidvalidity, old.uidnext, old.exists, old.modseq, old.unseen, old.told, old.unsure
                )  # fmt: skip
                if (row.uidvalidity, row.modseq) != (old.uidvalidity, old.modseq):
                    behind.add(row.id)
            known[row.id] = found
        if covered > limit:
            raise TooMuch
        self._known = known
        self._subscribed = {name for name, one in names.items() if one.subscribed}
        return behind

    def _different(self, before: dict[FolderId, _Known], subscribed: set[str], names: dict[str, Name]) -> dict[str, str | None]:
        """Names of which the client has to hear, with the old name of what was renamed."""
        told: dict[str, str | None] = {}
        carried: dict[str, str] = {}
        for folder, known in self._known.items():
            old = before.get(folder)
            name = known.name
            if old is None:
                if MAILBOX_NAME in known.events:
                    self._affected(name, told, names)
            elif old.name != name:
                self._renamed(old, known, told, carried, names)
            elif old.noselect != known.noselect and MAILBOX_NAME in old.events | known.events:
                self._affected(name, told, names)
            elif old.readable != known.readable and old.events | known.events:
                told.setdefault(name)
        for folder, old in before.items():
            if folder not in self._known and MAILBOX_NAME in old.events:
                self._affected(old.name, told, names)
        for name in subscribed ^ self._subscribed:
            if SUBSCRIPTION_CHANGE in self._events(name, subscribed=True):
                told.setdefault(name)
        mine, self._mine = self._mine, set()
        return {name: old_name for name, old_name in told.items() if not any(_is_about(name, own) for own in mine)}

    def _renamed(self, old: _Known, known: _Known, told: dict[str, str | None], carried: dict[str, str], names: dict[str, Name]) -> None:
        above, _, last = known.name.rpartition("/")
        old_above, _, old_last = old.name.rpartition("/")
        if last == old_last and carried.get(above) == old_above and above:
            # RFC 5465 section 5.4: what lies below goes without saying.
            carried[known.name] = old.name
        elif MAILBOX_NAME in known.events:
            told[known.name] = old.name
            carried[known.name] = old.name
        elif MAILBOX_NAME in old.events:
            self._affected(old.name, told, names)

    def _affected(self, name: str, told: dict[str, str | None], names: dict[str, Name]) -> None:
        """A name that came or went, and the one above it, which may have children now or none (RFC 5465 section 5.4)."""
        told.setdefault(name)
        above = name.rpartition("/")[0]
        if above:
            one = names.get(above)
            if MAILBOX_NAME in self._events(above, subscribed=one is not None and one.subscribed):
                told.setdefault(above)

    def _list(self, name: str, names: dict[str, Name], output: Output, old: str | None = None) -> None:
        one = names.get(name)
        if one is None:
            shown: tuple[bytes, ...] = (b"\\NonExistent", b"\\HasNoChildren")
        else:
            shown = attributes(one, tells_subscribed=True)
            if one.folder is not None and one.folder.row.noselect:
                shown = (b"\\NonExistent", *shown)
            elif one.folder is not None and Right.READ not in one.folder.held:
                shown = (b"\\NoAccess", *shown)
        extended = () if old is None else (oldname(self._spell(old), utf8=output.utf8),)
        output.say(ListedName(shown, self._spell(name), extended))

    async def _look_at(self, changed: set[FolderId], output: Output) -> None:
        """Messages came, went or changed in these folders."""
        session = self._session
        wanted = sorted(folder for folder in changed if folder in self._known)
        for folder in await session.services.folders.glance(session.acting, wanted):
            known = self._known.get(folder.row.id)
            if known is None or not folder.figures or not known.readable or self._is_selected(folder.row.id):
                continue
            told = folder.row.modseq <= known.told and folder.row.uidvalidity == known.uidvalidity
            items = () if told else self._items(known, folder)
            known.learn(folder)
            if items:
                self._say_status(known, folder, items, output)
                await output.breathe()

    def _items(self, known: _Known, folder: Listed) -> tuple[bytes, ...]:
        """RFC 5465 sections 5.1 to 5.3: what has to be told of a folder that is not selected."""
        row = folder.row
        by_modseq = b"CONDSTORE" in self._session.enabled
        found: list[bytes] = []
        if MESSAGE_NEW in known.events and (row.uidnext != known.uidnext or row.exists != known.exists):
            found += [b"MESSAGES", b"UIDNEXT"]
        if FLAG_CHANGE in known.events and (folder.unseen != known.unseen or known.unsure):
            found.append(b"UNSEEN")
        renumbered = row.uidvalidity != known.uidvalidity
        flagged = FLAG_CHANGE in known.events and by_modseq and row.modseq != known.modseq
        if renumbered or (flagged and b"MESSAGES" not in found):
            found.append(b"UIDVALIDITY")
        if by_modseq and (found or flagged):
            found.append(b"HIGHESTMODSEQ")
        return tuple(found)

    def _first_items(self, known: _Known) -> tuple[bytes, ...]:
        """RFC 5465 section 3.1."""
        if MESSAGE_NEW not in known.events:
            return ()
        if FLAG_CHANGE not in known.events:
            return b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY"
        return b"MESSAGES", b"UIDNEXT", b"UIDVALIDITY", b"UNSEEN", b"HIGHESTMODSEQ"

    def _say_status(self, known: _Known, folder: Listed, items: tuple[bytes, ...], output: Output) -> None:
        figures = folder.figures or figures_of(folder.row, folder.unseen)
        output.say(status_of(self._spell(known.name), items, figures, self._session.services))

    async def _tell_entries(self, entries: dict[FolderId, dict[str, None]], output: Output) -> None:
        """RFC 5464 section 4.4.2: which entries changed, never what stands in them now."""
        session = self._session
        of_server = entries.get(FolderId(0))
        if of_server and (self._metadata or any(SERVER_METADATA_CHANGE in group.events for group in self._groups)):
            self._say_entries("", of_server, output)
        wanted = sorted(folder for folder in entries if folder)
        for folder in await session.services.folders.glance(session.acting, wanted):
            if not folder.figures:
                continue
            known = self._known.get(folder.row.id)
            name = session.name_of(folder.owner_address, folder.row.path)
            events = self._events(name, subscribed=known is not None and known.subscribed)
            if self._metadata or MAILBOX_METADATA_CHANGE in events:
                self._say_entries(self._spell(name), entries[folder.row.id], output)
                await output.breathe()

    def _say_entries(self, name: str, entries: Iterable[str], output: Output) -> None:
        changed = tuple(entries)
        for start in range(0, len(changed), ENTRIES_IN_A_LINE):
            output.say(EntriesOf(name, changed[start : start + ENTRIES_IN_A_LINE]))


def _is_about(name: str, own: str) -> bool:
    """Is the name the client's own doing, or one above it?"""
    return name == own or own.startswith(name + "/")
