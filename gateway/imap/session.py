"""What does a session know: in which phase it is, who acts, which folder is selected, what was enabled?"""

import asyncio
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol
from weakref import WeakValueDictionary

from gateway import mechanisms
from gateway.changes import Changes, Interest, News
from gateway.folders import Figures, FlagsChanged, Folders, OpenFolder, Place, Visit
from gateway.folders import News as FolderNews
from gateway.imap.listed import Answers
from gateway.imap.names import BadName, FolderName, Namespace, NoFolder, namespace_of
from gateway.imap.phases import Phase
from gateway.imap.refusals import farewell
from gateway.imap.registry import Circumstances, Registry
from gateway.imap.responses import (
    CANNOT,
    NONEXISTENT,
    READ_ONLY,
    READ_WRITE,
    Code,
    Condition,
    Fetched,
    Response,
    Status,
    capability_code,
    highestmodseq,
    inprogress,
    messagelimit,
    permanentflags,
)
from gateway.imap.sections import PartReader, Piece
from gateway.imap.told import Told
from gateway.imap.view import TOGETHER, FolderState, Span, View
from gateway.login import Login
from gateway.refusal import Refused, until
from gateway.refusals import Refusals
from gateway.sessions import Doing, Sessions
from policy.folders import FlagChange
from policy.identity import Actor, Address, FolderId
from policy.reasons import Defer, Reason, Refuse, Verdict
from store.model import FIRST_KEYWORD_BIT, KEYWORDS_PER_FOLDER, FolderRow, Run

FLUSH: Final = 65_536
"""Octets of answers collected before they are sent and the peer is waited for."""
AT_ONCE: Final = 32
"""Responses of what happened in a folder, between which nobody looks whether others have waited long enough."""
SLICE: Final = 0.002
"""Seconds a command may keep the loop to itself."""
UNSEEN: Final = 0.002
"""Seconds from a command to the answer that there is no such folder of somebody else's: more than looking for it takes, be it hidden,
missing or shared with hundreds (delegation.md section 2)."""
STATES: Final = 64 << 20
"""Octets of folder states kept while no session uses them; a folder of 10,000 messages takes 200 KB."""
SPELLINGS: Final = MappingProxyType({b"IMAP4REV1": b"IMAP4rev1", b"IMAP4REV2": b"IMAP4rev2", b"RIGHTS=KXTE": b"RIGHTS=kxte"})
"""As the RFCs write them; the table has upper case."""
SYSTEM_FLAGS: Final = (b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Draft")


class Answer(NamedTuple):
    """How a command ends: the tagged response, and what happens once it is sent. `idles`: not yet; it waits for DONE."""

    text: str = ""
    code: Code | None = None
    then: Callable[[], Awaitable[None]] | None = None
    idles: bool = False


COMPLETED: Final = Answer()
"""Nothing more is to be said."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A command was done for the newest messages only, as many as `limit` allows; `lowest` is the first of their UIDs."""

    limit: int
    lowest: int

    @property
    def code(self) -> Code:
        """RFC 9738 section 3.1."""
        return messagelimit(self.limit, self.lowest)

    def tell(self, answer: Answer, emit: "Output") -> Answer:
        """The answer with the code, which goes untagged where another has the place (RFC 9738 section 3.1)."""
        if answer.code is None:
            return Answer(f"done for the newest {self.limit} messages", self.code)
        emit.say(Status(Condition.NO, f"done for the newest {self.limit} messages", self.code))
        return answer


class No(Exception):
    """A tagged NO for reasons that are IMAP's own."""

    def __init__(self, text: str, code: Code | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class Bad(Exception):
    """A tagged BAD: the client asked for what cannot be asked for."""

    def __init__(self, text: str, code: Code | None = None) -> None:
        super().__init__(text)
        self.code = code


class Ended(Exception):
    """The session is over; the farewell is said already or nobody is there to hear it."""


class Outlet(Protocol):
    """Where what is said goes out."""

    def write(self, octets: bytes) -> None:
        """Send."""

    @property
    def stalled(self) -> bool:
        """Nothing more is to be said now."""

    async def deliver(self, pieces: Sequence[Piece]) -> None:
        """Send, and wait for a peer that does not read. Once begun all of it is sent, or the connection ends. Raises ConnectionError."""


class Output:
    """What a command says, collected and sent in pieces. `utf8`: the client takes UTF-8 in names. `done` of `goal` is how far a
    command has come that takes its time, None: nobody knows; `sent`: when the client last heard of it (seconds, monotonic).
    `still`: raises Refused when what is left may not be said any more; asked after every wait for the peer.
    """

    __slots__ = ("_outlet", "_parts", "_since", "_size", "_still", "done", "goal", "sent", "tag", "utf8")

    def __init__(
        self, outlet: Outlet, tag: bytes | None = None, *, utf8: bool = False, still: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._outlet = outlet
        self._still = still
        self._parts: list[Piece] = []
        self._size = 0
        self._since = self.sent = time.monotonic()
        self.utf8 = utf8
        self.tag = tag
        self.done: int | None = None
        self.goal: int | None = None

    def __call__(self, octets: Piece) -> None:
        """Octets of a response; only whole responses stand between two calls of `breathe`."""
        self._parts.append(octets)
        self._size += len(octets)

    def extend(self, pieces: Sequence[Piece]) -> None:
        """The pieces of whole responses."""
        self._parts += pieces
        self._size += sum(map(len, pieces))

    def say(self, *responses: Response) -> None:
        """Responses, spelled."""
        for response in responses:
            self(response.spell(utf8=self.utf8))

    def flush(self) -> None:
        """Send what was collected."""
        if self._parts:
            self._outlet.write(b"".join(self._collected()))

    def _collected(self) -> list[Piece]:
        parts, self._parts = self._parts, []
        self._size = 0
        self.sent = time.monotonic()
        return parts

    def still_working(self) -> None:
        """Tell the client so, behind what was said so far (RFC 9585 section 4). Not to one that does not read what it has."""
        if self.tag is not None and not self._outlet.stalled:
            self.say(Status(Condition.OK, "still working", inprogress(self.tag, self.done, self.goal)))
            self.flush()

    async def breathe(self) -> None:
        """To be awaited between messages: sends when there is enough, waits for a slow peer, lets others run.

        Raises ConnectionError when the peer is gone, Refused as `still` does.
        """
        if self._size >= FLUSH:
            await self._outlet.deliver(self._collected())
            if self._still is not None:
                await self._still()
        now = time.monotonic()
        if now - self._since > SLICE:
            await asyncio.sleep(0)
            self._since = time.monotonic()


class Wire(Protocol):
    """What a session needs of its connection."""

    peer: str

    @property
    def circumstances_of_tls(self) -> tuple[bool, bool]:
        """(TLS is on, TLS can be switched on)."""

    @property
    def end_point(self) -> bytes | None:
        """What SCRAM is bound to on this channel (RFC 5929 section 4), None where there is nothing."""

    async def ask(self, prompt: bytes) -> bytes:
        """A continuation request with this text, already spelled, and the line that answers it. Raises FramingError, ConnectionError."""

    async def secure(self) -> None:
        """TLS from here on. Raises ConnectionError."""

    @property
    def compressed(self) -> bool:
        """Is what is said deflated?"""

    @property
    def pending(self) -> int:
        """Octets that came behind the command."""

    async def compress(self) -> None:
        """DEFLATE from here on, in both directions (RFC 4978). Raises ConnectionError."""

    async def expand(self) -> None:
        """No longer (RFC 8437 section 4.1)."""

    def end(self, verdict: Refuse | Defer) -> None:
        """Say BYE and why, now."""

    def wake(self, news: int) -> asyncio.Future[None] | None:
        """Something of this kind may have changed; see Woken."""


@dataclass(frozen=True, slots=True)
class Services:
    """Everything sessions share. `shared_prefix`: where other people's folders are; `plaintext_login`: passwords without TLS;
    `append_limit`: octets of one message; `mechanisms`: of SASL; `message_limit`: messages of one command; `watch_limit`: folders that
    one session follows; `refusals`: what names those that are no delegated acts."""

    folders: Folders
    login: Login
    sessions: Sessions
    changes: Changes
    registry: Registry
    states: "States"
    shared_prefix: str
    plaintext_login: bool
    append_limit: int
    mechanisms: tuple[str, ...]
    message_limit: int = 1_000_000
    watch_limit: int = 1_000
    refusals: Refusals | None = None
    announced: "dict[tuple[Phase, bool, bool, bool], Announced]" = field(default_factory=dict)
    """By circumstances, of which there are a dozen: each connection asks twice."""


@dataclass(frozen=True, slots=True)
class Announced:
    """Capabilities, as CAPABILITY has them and as a code does."""

    names: tuple[bytes, ...]
    code: Code


class States:
    """The folder states of a process: shared by all sessions that see them alike, kept a while when nobody does."""

    __slots__ = ("_kept", "_limit", "_live", "_octets", "listed", "told")

    def __init__(self, limit: int = STATES) -> None:
        self.told = Told()
        self.listed = Answers()
        self._live: WeakValueDictionary[tuple[int, int, int], FolderState] = WeakValueDictionary()
        self._kept: OrderedDict[tuple[int, int, int], tuple[FolderState, int]] = OrderedDict()
        self._octets = 0
        self._limit = limit

    def claimed(self, row: FolderRow | Figures) -> int:
        """How many messages sessions of this process were told of as \\Recent, that the row does not know of yet."""
        state = self._live.get((row.id, row.uidvalidity, 0))
        return 0 if state is None else state.claimed_since(row.recent_from)

    async def current(self, folder: OpenFolder) -> FolderState:
        """The state as the store has it now, the right to read confirmed with it. Raises Refused."""
        while True:
            key = self._key(folder)
            state = self._live.get(key)
            if state is not None and folder.is_at(state.modseq, state.read_at):
                if key in self._kept:
                    self._keep(key, state)  # it may keep more answers than before
                return state
            news = await folder.news(None if state is None else state.modseq)
            # Others may have been here while this one waited.
            key = self._key(folder)
            there = self._live.get(key)
            if news.state is not None:
                state = self._whole(there, news)
            elif there is None or there is not state:
                # What was read is news to another state than this one.
                continue
            else:
                state = there
                _apply(state, news)
            state.read_at = news.moment
            self._live[key] = state
            self._keep(key, state)
            return state

    def take(self, folder: OpenFolder, runs: Sequence[Run], done: FlagsChanged) -> bool:
        """A change of flags of these messages that is done. False: it is not all that happened since; what did has to be read."""
        state = self._live.get(self._key(folder))
        if state is None or folder.seen_of is not None or done.refused or done.added >> len(state.names):
            return False
        if not done.changed:
            return done.modseq == state.modseq
        if done.modseq != state.modseq + 1:
            return False
        spans = [(bisect_left(state.uids, low), bisect_right(state.uids, high)) for low, high in runs]
        state.change_within(spans, done.keep, done.added, done.modseq)
        return True

    def _key(self, folder: OpenFolder) -> tuple[int, int, int]:
        row = folder.row
        return row.id, row.uidvalidity, folder.seen_of or 0

    def _whole(self, there: FolderState | None, news: FolderNews) -> FolderState:
        assert news.state is not None
        found = news.state
        if there is None:
            state = FolderState(found.uids, found.flags, found.modseqs, modseq=found.modseq, unclaimed=news.row.recent_from)
            state.learn(_names(news))
            return state
        if found.modseq > there.modseq:
            new = set(found.uids)
            # At the modseq before: what changed since is told from it.
            there.expunge([uid for uid in there.uids if uid not in new], there.modseq)
            _merge(there, list(zip(found.uids, found.flags, found.modseqs, strict=True)), found.modseq)
            there.learn(_names(news))
        return there

    def _keep(self, key: tuple[int, int, int], state: FolderState) -> None:
        _, before = self._kept.pop(key, (None, 0))
        size = state.octets + 512
        self._kept[key] = (state, size)
        self._octets += size - before
        while self._octets > self._limit and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._octets -= dropped


def _names(news: FolderNews) -> tuple[bytes, ...]:
    names = list(SYSTEM_FLAGS)
    for bit, name in news.keywords or ():
        while len(names) < bit:
            names.append(b"$Unused%d" % len(names))
        names.append(name.encode("ascii", "replace"))
    return tuple(names)


def _apply(state: FolderState, news: FolderNews) -> None:
    if news.changes is None or news.changes.modseq <= state.modseq:
        return
    gone: list[int] = []
    for low, high in news.changes.vanished:
        gone += state.uids[bisect_left(state.uids, low) : bisect_right(state.uids, high)]
    state.expunge(gone, state.modseq)
    _merge(state, news.changes.changed, news.changes.modseq)
    state.learn(_names(news))


def _merge(state: FolderState, changed: Sequence[tuple[int, int, int]], modseq: int) -> None:
    """What came or changed, as it is now."""
    last = state.uids[-1] if state.uids else 0
    known = state.modseq
    by_modseq: dict[int, list[tuple[int, int]]] = {}
    fresh: list[tuple[int, int, int]] = []
    for uid, flags, at in changed:
        if uid > last:
            fresh.append((uid, flags, at))
        elif at > known:
            by_modseq.setdefault(at, []).append((uid, flags))
    for at in sorted(by_modseq):
        state.change([uid for uid, _ in by_modseq[at]], [flags for _, flags in by_modseq[at]], at)
    if fresh:
        state.append([uid for uid, _, _ in fresh], [flags for _, flags, _ in fresh], [at for _, _, at in fresh])
    state.modseq = max(state.modseq, modseq)


@dataclass(frozen=True, slots=True)
class Heard:
    """Which changes of the selected folder a client hears of, and when (RFC 5465); by default all, while a command runs.

    `messages`: new and expunged ones; `flags`: changed ones. `always`: between commands too, `expunges_always`: expunged ones
    as well. `fetch_new`: what is to be said of new messages, called with their places.
    """

    messages: bool = True
    flags: bool = True
    always: bool = False
    expunges_always: bool = False
    fetch_new: Callable[["Session", Sequence[Span], Output], Awaitable[None]] | None = None


EVERYTHING: Final = Heard()
NO_EXTENSIONS: Final = frozenset[bytes]()
"""One for all sessions that enabled none: an empty frozenset is an object of 216 octets each time it is made."""


class Watch(Protocol):
    """Who looks beyond the selected folder for a session, and tells at any time: NOTIFY, ENABLE METADATA."""

    @property
    def pending(self) -> bool:
        """Is there something to look at?"""

    async def tell(self, output: Output) -> None:
        """What happened since it was last told. Raises ConnectionError."""

    def did(self, *names: str) -> None:
        """The client itself made, renamed, removed, subscribed to these names: no news to it."""

    def added(self, folder: FolderId, modseq: int) -> None:
        """The client itself put messages into this folder."""

    def asked(self, folder: FolderId) -> None:
        """The client asked for figures of this folder itself, and has those of now."""

    def left(self, folder: FolderId, view: View) -> None:
        """The folder is selected no more; the client knows of it what it was told there."""

    async def include_metadata(self) -> None:
        """Entries of every folder are told as well. Raises Refused."""

    def end(self) -> None:
        """No more."""


class Following(Protocol):
    """Searches whose results the client is kept up to date with, as long as the folder is selected (RFC 5267)."""

    def leave(self, view: View, emit: Output) -> None:
        """Right before expunges are announced, or held back: what is gone. Waits for nothing, so that nothing else goes meanwhile."""

    async def keep_up(self, selected: "Selected", emit: Output) -> None:
        """After everything was announced: what came and what changed. Raises Refused."""


class Selected:
    """The folder a session is in. `examined`: by EXAMINE, nothing may be changed. `permanent`, `writable`: what the client was told;
    `names`: the flags that `permanent` was chosen from; `reader`: the part that is being fetched piece by piece; `own`: messages it put
    there itself that are still to be told."""

    __slots__ = ("contexts", "examined", "folder", "names", "own", "permanent", "reader", "view", "writable")

    def __init__(self, folder: OpenFolder, view: View, *, examined: bool) -> None:
        self.folder = folder
        self.view = view
        self.examined = examined
        self.own: set[int] | None = None
        self.reader: PartReader | None = None
        self.writable = folder.writable and not examined
        self.names = view.flags_told
        self.permanent = self.permanent_flags()
        self.contexts: Following | None = None

    def permanent_flags(self) -> tuple[bytes, ...]:
        """Exactly the flags this actor may change; an own \\Seen is one of them where the folder is read-only otherwise (RFC 4314 5.1)."""
        if self.examined or not self.folder.available:
            return ()
        return _permanent(self.view.flags_told, self.folder.permitted)


@lru_cache(maxsize=256)  # after every answer, for sessions that mostly have the same
def _permanent(names: tuple[bytes, ...], allowed: FlagChange) -> tuple[bytes, ...]:
    found: list[bytes] = []
    if allowed.others:
        found.extend(name for name in names if name not in (b"\\Seen", b"\\Deleted"))
    if allowed.deleted:
        found.append(b"\\Deleted")
    if allowed.seen:
        found.append(b"\\Seen")
    if allowed.others and len(names) < FIRST_KEYWORD_BIT + KEYWORDS_PER_FOLDER:
        found.append(b"\\*")
    return tuple(found)


class Session:
    """One client's session. Handlers read and change it; the listener drives it. `pushed`: since the last answer the client was told
    what happened in the folder after this mod-sequence, and may not have read it before it sent the command that runs now."""

    __slots__ = (
        "_leave",
        "actor",
        "began",
        "client",
        "enabled",
        "heard",
        "interest",
        "namespace",
        "news",
        "phase",
        "pushed",
        "selected",
        "services",
        "visit",
        "watch",
        "wire",
    )

    def __init__(self, services: Services, wire: Wire) -> None:
        self.services = services
        self.wire = wire
        self.phase = Phase.NOT_AUTHENTICATED
        self.actor: Actor | None = None
        self.client = ""
        self.visit: Visit | None = None
        self.namespace: Namespace | None = None
        self.selected: Selected | None = None
        self.enabled = NO_EXTENSIONS
        self.interest: Interest | None = None
        self.news = 0
        self.pushed: int | None = None
        self.began = 0.0
        self.heard = EVERYTHING
        self.watch: Watch | None = None
        self._leave: Callable[[], None] | None = None

    # --- who

    def enter(self, actor: Actor, heard: int) -> None:
        """Somebody has logged in. `heard`: as in Sessions.add. Raises No when the account has as many sessions as it may."""
        leave = self.services.sessions.add(actor, "imap", self.wire.peer, self.wire.end, self._doing, heard=heard)
        if leave is None:
            raise No("too many sessions of this account", Code(b"LIMIT"))
        self._leave = leave
        self.interest = self.services.changes.register(self.wire)
        self.actor = actor
        self.visit = Visit(actor, "imap", self.wire.peer)
        self.namespace = namespace_of(self.services.shared_prefix, actor.address.domain)

    def _doing(self) -> Doing:
        """What administrators are told of it."""
        if self.selected is None or self.actor is None:
            return Doing(self.client)
        row, owner = self.selected.folder.row, self.selected.folder.owner
        return Doing(self.client, row.path if row.owner == self.actor.account else f"{owner}:{row.path}")

    def leave(self) -> None:
        """The session is over; it may be told so more than once."""
        self.phase = Phase.LOGOUT
        self._end()

    def withdraw(self) -> None:
        """Nobody acts any more, and nothing of who did is left (RFC 8437 section 3): no folder, no extension that was enabled."""
        self._end()
        self.enabled = NO_EXTENSIONS
        self.heard = EVERYTHING
        self.news = 0
        self.actor = self.visit = self.namespace = None

    def _end(self) -> None:
        self.look_with(None)
        self.deselect()
        if self.interest is not None:
            self.interest.end()
            self.interest = None
        if self._leave is not None:
            self._leave()
            self._leave = None

    def look_with(self, watch: Watch | None) -> None:
        """Somebody looks beyond the selected folder from here on, and whoever did so before does not."""
        if self.watch is None and watch is None:
            return
        if self.watch is not None:
            self.watch.end()
        self.watch = watch
        self.news &= ~News.ELSEWHERE

    def added(self, folder: FolderRow, uids: Iterable[int], modseq: int) -> None:
        """The client itself put these messages there: it is not told of them as if somebody else had (RFC 5465 sections 5 and 5.2)."""
        if self.heard.fetch_new is not None and self.selected is not None and self.selected.folder.row.id == folder.id:
            self.selected.own = (self.selected.own or set()).union(uids)
        if self.watch is not None:
            self.watch.added(folder.id, modseq)

    def did(self, *names: str) -> None:
        """The client itself made, renamed, removed or subscribed to these names."""
        if self.watch is not None:
            self.watch.did(*names)

    @property
    def acting(self) -> Visit:
        """Who acts; only after login."""
        assert self.visit is not None
        return self.visit

    @property
    def names(self) -> Namespace:
        """How the actor names folders; only after login."""
        assert self.namespace is not None
        return self.namespace

    def capabilities(self) -> Announced:
        """What is announced now."""
        secure, can_secure = self.wire.circumstances_of_tls
        where = (self.phase, secure, can_secure, self.wire.end_point is not None)
        known = self.services.announced.get(where)
        if known is None:
            known = self.services.announced[where] = self._capabilities(secure, can_secure)
        return known

    def _capabilities(self, secure: bool, can_secure: bool) -> Announced:
        offered = mechanisms.offered(self.services.mechanisms, self.wire.end_point)
        circumstances = Circumstances(self.phase, secure, can_secure, self.services.plaintext_login, offered)
        announced = self.services.registry.announce(circumstances)
        spellings = {
            **SPELLINGS,
            b"APPENDLIMIT": b"APPENDLIMIT=%d" % self.services.append_limit,
            b"MESSAGELIMIT": b"MESSAGELIMIT=%d" % self.services.message_limit,
        }
        names = tuple([spellings.get(name, name) for name in announced])
        return Announced(names, capability_code(names))

    # --- names of folders

    def place(self, mailbox: str, *, to_create: bool = False) -> Place:
        """The folder that a mailbox name means. Raises No."""
        try:
            name = self.names.parse(mailbox, to_create=to_create)
        except NoFolder as error:
            raise No("no such folder", NONEXISTENT) from error
        except BadName as error:
            raise No(error.message, CANNOT) from error
        owner = name.owner
        if owner is not None and self.actor is not None and owner == str(self.actor.address):
            owner = None
        return Place(owner, "/" + name.path)

    def name_of(self, owner: Address, path: str) -> str:
        """The mailbox name of a folder, as LIST shows it."""
        assert self.actor is not None
        if owner == self.actor.address:
            return path[1:]
        return self.names.spell(FolderName(str(owner), path[1:]))

    async def have_looked(self, verdict: Verdict | None = None) -> None:
        """Before the answer that there is no such folder (`verdict` None: or that one of them was passed over): the time since the
        command `began` is the same for a folder that is not there and for one that may not be seen.
        """
        if verdict is None or (verdict.reason is Reason.FOLDER_UNKNOWN and verdict.decision):
            await until(self.began + UNSEEN)

    def named(self, verdict: Verdict, about: str = "") -> Verdict:
        """With the id by which an administrator can ask about it. `about`: the command."""
        refusals = self.services.refusals
        return verdict if refusals is None else refusals.named(verdict, "imap", self.wire.peer, self.actor, about)

    # --- the selected folder

    @property
    def here(self) -> Selected:
        """The selected folder; only in that phase."""
        assert self.selected is not None
        return self.selected

    async def select(self, folder: OpenFolder, *, examined: bool) -> Selected:
        """Go into a folder."""
        state = await self.services.states.current(folder)
        claims = folder.writable and not examined
        unclaimed = state.unclaimed
        view = View(state, claims=claims, tells_recent=not self.is_rev2)
        self.selected = Selected(folder, view, examined=examined)
        self.phase = Phase.SELECTED
        self.news &= ~News.FOLDER
        if self.interest is not None:
            self.interest.follow_folder(folder.row.id)
            self.interest.follow_scopes(folder.scopes)
            self.interest.follow_clock(folder.valid_until)
        if claims and state.unclaimed != unclaimed:
            folder.claim_recent()
        # What happened between the state and the following is not lost: it is looked for once more.
        self.news |= News.FOLDER
        return self.selected

    def deselect(self) -> None:
        """Leave the folder."""
        selected, self.selected = self.selected, None
        if self.phase is Phase.SELECTED:
            self.phase = Phase.AUTHENTICATED
        if selected is None:
            return
        if selected.view.has_claimed:
            selected.folder.claim_recent()
        if self.watch is not None:
            self.watch.left(selected.folder.row.id, selected.view)
        if self.interest is not None:
            self.interest.follow_folder(None)
            self.interest.follow_scopes(())
            self.interest.follow_clock(None)

    async def refresh(self) -> Selected:
        """Bring the folder's state up to date, the right to read it confirmed. Raises Refused, Ended."""
        selected = self.here
        self.news &= ~News.FOLDER
        state = await self.services.states.current(selected.folder)
        if state is not selected.view.state:
            self._rebase(selected, state)
        return selected

    async def changed(self, runs: Sequence[Run], done: FlagsChanged) -> Selected:
        """This session has just changed the flags of these messages: as `refresh`, but nothing is read where nobody else did anything.
        The deed has confirmed the right."""
        selected = self.here
        if self.services.states.take(selected.folder, runs, done):
            if self.interest is not None:
                if self.interest.heard > done.modseq:
                    # Others changed something in the same commit, and have their answers by now: what they know need not be read.
                    await asyncio.sleep(0)
                if self.interest.heard <= selected.view.state.modseq:
                    self.news &= ~News.FOLDER
            return selected
        return await self.refresh()

    def _rebase(self, selected: Selected, state: FolderState) -> None:
        """The state is another object now (\\Seen became private, or shared): go on with it."""
        fresh = View(state, claims=False)
        fresh.go_on(selected.view)
        selected.view = fresh

    async def settle(self, output: Output, *, expunge_allowed: bool, ask: bool = False, own: bool = False) -> None:
        """Before the tagged answer of a command and while idling: what happened in the folder. `ask`: even if nothing was heard.
        `own`: the client itself has just taken messages away, so that it hears of it whatever it wants to hear of."""
        selected = self.selected
        if selected is None:
            return
        if ask or self.news & News.FOLDER:
            selected = await self.refresh()
        if selected.view.pending:
            await self._announce(selected, output, expunge_allowed=expunge_allowed, own=own)
        elif selected.view.flags_told is not selected.names:
            self._permanent(selected, output)
        if selected.contexts is not None:
            await selected.contexts.keep_up(selected, output)

    async def _announce(self, selected: Selected, output: Output, *, expunge_allowed: bool, own: bool) -> None:
        view = selected.view
        if selected.contexts is not None:
            selected.contexts.leave(view, output)
        quick = b"QRESYNC" in self.enabled
        heard = self.heard
        # RFC 5465 section 5.1: who is told at any time is told by UID.
        item = self.flags_item if b"CONDSTORE" in self.enabled or heard.always or self.is_rev2 else None
        said = view.announce(
            expunge_allowed=expunge_allowed and (heard.messages or own),
            vanished=quick or self.uid_only,
            flags_item=item,
            uid_only=self.uid_only,
            messages=heard.messages,
            flags=heard.flags,
        )
        for number, response in enumerate(said, 1):
            output(response.spell(utf8=output.utf8))
            if not number % AT_ONCE or (type(response) is Fetched and len(response.messages) == TOGETHER):
                await output.breathe()
        if heard.fetch_new is not None and view.fresh < view.exists:
            await self._fetch_new(selected, heard.fetch_new, output)
        if heard.expunges_always and not expunge_allowed and view.withholds:
            self.news |= News.FOLDER
        if quick and view.withholds:
            # RFC 7162 section 3.2: mod-sequences above that of an expunge that is held back may have been told.
            output.say(Status(Condition.OK, "more is to be told", highestmodseq(view.modseq)))
        if view.flags_told is not selected.names:
            self._permanent(selected, output)

    async def _fetch_new(
        self, selected: Selected, fetch: Callable[["Session", Sequence[Span], Output], Awaitable[None]], output: Output
    ) -> None:
        view, own = selected.view, selected.own or ()
        selected.own = None
        spans: list[Span] = []
        for place in range(view.fresh, view.exists):
            if view.uids[place] in own:
                continue
            if spans and spans[-1][1] == place:
                spans[-1] = (spans[-1][0], place + 1)
            else:
                spans.append((place, place + 1))
        if spans:
            await fetch(self, spans, output)

    def flags_item(self, uid: int, flags: int, modseq: int, recent: bool) -> bytes:
        """What a FETCH tells of changed flags once CONDSTORE is on (RFC 7162 section 3.1), or IMAP4rev2; with that, QRESYNC or NOTIFY
        the UID is part of it (RFC 9051 section 7.5.2).
        """
        item = self.here.view.state.spell_flags(flags, recent=recent)
        if (b"QRESYNC" in self.enabled or self.heard.always or self.is_rev2) and not self.uid_only:
            item = b"UID %d %b" % (uid, item)
        return b"%b MODSEQ (%d)" % (item, modseq) if b"CONDSTORE" in self.enabled else item

    @property
    def uid_only(self) -> bool:
        """Messages are named by UIDs alone, in both directions (RFC 9586)."""
        return b"UIDONLY" in self.enabled

    def enable(self, *names: bytes) -> None:
        """Switch extensions on until the connection ends."""
        self.enabled |= frozenset(names)
        if self.is_rev2 and self.selected is not None:
            self.selected.view.tells_recent = False

    @property
    def is_rev2(self) -> bool:
        """Did the client enable IMAP4rev2?"""
        return b"IMAP4REV2" in self.enabled

    @property
    def takes_utf8(self) -> bool:
        """Does the client want UTF-8 in names and quoted strings (RFC 6855 section 3, RFC 9051 section 4.3)?"""
        return b"UTF8=ACCEPT" in self.enabled or b"IMAP4REV2" in self.enabled

    def use_modseqs(self, output: Output) -> None:
        """RFC 7162 section 3.1: the first command that shows knowledge of mod-sequences is answered with the folder's."""
        if b"CONDSTORE" in self.enabled:
            return
        self.enable(b"CONDSTORE")
        if self.selected is not None:
            output.say(Status(Condition.OK, "mod-sequences are told", highestmodseq(self.selected.view.modseq)))

    async def still(self) -> None:
        """In the middle of an answer: may the selected folder still be read? Who reads slowly gets no more of it than others. What
        there is to tell of policy is told after the command. Raises Refused.
        """
        if self.selected is None or not self.news & News.POLICY:
            return
        try:
            await self.selected.folder.renew()
        except Refused as refused:
            if refused.verdict.reason is not Reason.BUSY:
                raise

    async def renew(self, output: Output) -> None:
        """Policy changed, or a right's time is over: may the folder still be read, may it still be changed?

        delegation.md section 3: loss of `r` ends the session, loss of other rights is told. Raises Ended after the farewell.
        """
        self.news &= ~News.POLICY
        selected = self.selected
        if selected is None:
            return
        try:
            await selected.folder.renew()
        except Refused as refused:
            if isinstance(refused.verdict, Defer) and refused.verdict.reason is Reason.BUSY:
                raise
            said = farewell(refused.verdict)
            output.say(Status(Condition.BYE, said.text, None if said.code is None else Code(said.code)))
            output.flush()
            raise Ended(said.text) from None
        if self.interest is not None:
            self.interest.follow_scopes(selected.folder.scopes)
            self.interest.follow_clock(selected.folder.valid_until)
        self._permanent(selected, output)
        writable = selected.folder.writable and not selected.examined
        if writable != selected.writable:
            selected.writable = writable
            if writable:
                output.say(Status(Condition.OK, "the folder may be changed again", READ_WRITE))
            else:
                output.say(Status(Condition.OK, "the folder may no longer be changed", READ_ONLY))

    def _permanent(self, selected: Selected, output: Output) -> None:
        selected.names = selected.view.flags_told
        flags = selected.permanent_flags()
        if flags != selected.permanent:
            selected.permanent = flags
            output.say(Status(Condition.OK, "these flags may be changed", permanentflags(flags)))


def newest(view: View, spans: list[Span], limit: int) -> tuple[list[Span], Cut | None]:
    """The last of these places, no more than `limit`; None: it is all of them."""
    left = limit
    kept: list[Span] = []
    for low, high in reversed(spans):
        if not left:
            return kept[::-1], Cut(limit, view.uids[kept[-1][0]])
        first = max(low, high - left)
        kept.append((first, high))
        left -= high - first
        if first > low:
            return kept[::-1], Cut(limit, view.uids[first])
    return spans, None


def mailbox_id(row: FolderRow | Figures) -> bytes:
    """The folder's MAILBOXID in its parentheses: the same whatever it is called, no other folder's ever (RFC 8474 section 4)."""
    return b"(F%d-%d)" % (row.id, row.born) if row.born else b"(F%d)" % row.id


def runs_of(view: View, spans: Iterable[Span]) -> list[Run]:
    """Places of a view as runs of UIDs: all that is stored between two neighbours of a span is in the view."""
    return [(view.uids[low], view.uids[high - 1]) for low, high in spans]
