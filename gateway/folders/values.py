"""What is said to the folders service and what it answers: places, visits, and what was found there."""

import enum
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from gateway.refusal import Refused
from policy.folders import FolderOp
from policy.identity import AccountId, Actor, Address
from policy.rights import Right
from store.changes import Changes
from store.messages import State
from store.model import Figures, FolderRow, QueueId
from store.port import Snapshot
from store.recalls import Recall

ROOT: Final = "/"
_NOTHING: Final = MappingProxyType(dict[tuple[int, FolderOp], int]())


class UnknownRight(Exception):
    """A letter that RFC 4314 does not have: a protocol calls it a syntax error. The message names it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder as a protocol names it: `owner` None for the actor's own mailbox, else an address as written; `path` from the
    mailbox root, "/INBOX". It may be no folder at all."""

    owner: str | None
    path: str

    @property
    def parent(self) -> "Place":
        """The folder above it, the root in the end."""
        return Place(self.owner, self.path[: self.path.rfind("/")] or ROOT)


class Visit:
    """One session's dealings with folders: who acts, through which protocol, from where, and what of it is on record already.
    `used`: from when on (microseconds since 1970 UTC) it is to be noted again that grants are in use.
    `origin`: by which number it knows its own changes again, where it is told of changes (store/port.py)."""

    __slots__ = ("actor", "origin", "protocol", "source", "used")

    def __init__(self, actor: Actor, protocol: str, source: str) -> None:
        self.actor = actor
        self.protocol = protocol
        self.source = source
        self.used: Mapping[tuple[int, FolderOp], int] = _NOTHING
        self.origin = 0

    @property
    def recorded(self) -> Container[tuple[int, FolderOp]]:
        """What is on record already."""
        return self.used

    def record(self, keys: Iterable[tuple[int, FolderOp]]) -> None:
        """These are on record now."""
        self.use((key for key in keys if key not in self.used), 0)

    def use(self, keys: Iterable[tuple[int, FolderOp]], again: int) -> None:
        """The grants behind these are in use, which is to be noted again from `again` on."""
        # Most sessions never leave their own mailbox: who has nothing to keep shares what is empty.
        used = self.used if isinstance(self.used, dict) else {}
        used.update(dict.fromkeys(keys, again))
        self.used = used or self.used


@dataclass(frozen=True, slots=True)
class Recaller:
    """Who takes back what was sent and waits. `actor` None: an administrator, called `name`. `because`: how, for the record."""

    actor: Actor | None
    name: str
    because: str
    protocol: str
    source: str = ""


class Recalling(Protocol):
    """Knows what has to be done, recorded and told when messages that wait are taken back."""

    async def prepared(self, snapshot: Snapshot, rows: Iterable[QueueId], by: Recaller) -> tuple[Recall, ...]:
        """For those of the rows that wait."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A folder the actor may see. `figures`: those that the actor may be told, None where he may not, or did not ask. `metadata`: the
    entries asked for, empty where they may not be read."""

    owner: AccountId
    owner_address: Address
    row: FolderRow
    held: Right
    subscribed: bool
    figures: Figures | None = None
    metadata: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def unseen(self) -> int:
        """By the actor's own \\Seen where he may be told."""
        return self.row.unseen if self.figures is None else self.figures.unseen


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A name the actor subscribed to that is no folder now."""

    owner: AccountId
    path: str


@dataclass(frozen=True, slots=True)
class Listing:
    """What the actor may see, in order of path, own folders first, then owner by owner."""

    folders: tuple[Listed, ...]
    vanished: tuple[Subscribed, ...] = ()


@dataclass(frozen=True, slots=True)
class Survey:
    """What may be seen, for who is told when that changes: whose changes of policy and of folders concern it, and until when no clock
    alone changes it."""

    listing: Listing
    scopes: tuple[int, ...]
    valid_until: int | None


class Extra(enum.Flag):
    """Figures that take more than a look at the folder's row: at each message there is."""

    NONE = 0
    RECENT = enum.auto()
    DELETED_SIZE = enum.auto()


def figures_of(row: FolderRow, unseen: int, recent: int = 0, deleted_size: int = 0) -> Figures:
    """Of a row that is there already. `unseen`: by the \\Seen that counts for the actor."""
    numbers = (row.uidvalidity, row.uidnext, row.modseq, row.exists, unseen, row.deleted, row.size, row.recent_from, row.born)
    return Figures(row.id, *numbers, recent, deleted_size)


@dataclass(frozen=True, slots=True)
class Quota:
    """The room of an owner, who is known by the primary address: octets in use and octets allowed."""

    root: str
    used: int
    limit: int


@dataclass(frozen=True, slots=True)
class News:
    """What happened since a mod-sequence: `changes`, or the whole `state` where the log does not reach back or nothing was known.
    `moment`: when that was looked for (store/moved.py)."""

    row: FolderRow
    changes: Changes | None = None
    state: State | None = None
    keywords: tuple[tuple[int, str], ...] | None = None
    moment: int = 0


@dataclass(frozen=True, slots=True)
class NewItem:
    """A message to be appended. `received`: microseconds, None: now."""

    octets: bytes
    flags: int = 0
    keywords: tuple[str, ...] = ()
    received: int | None = None


@dataclass(frozen=True, slots=True)
class Identified:
    """An entry as IMAP shows it: who and which letters."""

    identifier: str
    rights: str


class MissingTarget(Refused):
    """Where messages were to go is no folder (or none that may be seen)."""
