"""What the gateway may ask of a store: snapshots to read, deeds to do, and being woken when something changed.

Reading: `async with store.snapshot() as snapshot: row = await snapshot.ask(accounts.by_address, address)`. The functions asked
are those of the aggregates (`store/accounts.py`, `store/folders.py`, ...); each takes a `Tx` first. Several asks in one snapshot
see one state. `ask` is for bounded, indexed reads (at most 200 rows or 64 KiB): on SQLite it runs in place, since a hop through a
thread costs more than the read. `work` is for everything else and runs in the reader's own thread.

Writing: `await store.do(CreateFolder(...), witness)`. A deed is a value; its function (store/deeds.py) runs whole in the writer's
transaction, under a savepoint of its own, together with whatever else was waiting. When `do` returns, it is durable.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from policy.decision import Witness
from policy.identity import AccountId, FolderId
from store.floor import Floor

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
P = ParamSpec("P")

type_of_row = tuple[Any, ...]

DIRECTORY = 0
"""The scope of everything that is no single account's: membership, classes of service, domains, aliases."""


class Tx(Protocol):
    """One transaction, synchronous, used by the functions of the aggregates only."""

    now: int  # microseconds since 1970 UTC, fixed for the transaction

    def all(self, statement: str, /, **parameters: Any) -> list[Any]:
        """Every row of a SELECT (tuples, columns in the statement's order)."""

    def one(self, statement: str, /, **parameters: Any) -> Any | None:
        """The first row, or None."""

    def composed(self, sql: str, /, **parameters: Any) -> list[Any]:
        """Every row of a SELECT that store/search.py put together; nobody else has SQL that is not in a file."""

    def owner_of(self, folder: FolderId, /) -> AccountId:
        """Whose the folder is, for statements that say so in brackets (store/statements.py): 0 where they are not heard, and for a folder
        that is not there."""

    def owners_of(self, folders: Sequence[FolderId], /) -> Mapping[FolderId, AccountId]:
        """The same of several. A folder that is not there may be left out."""

    def run(self, statement: str, /, **parameters: Any) -> int:
        """A change; returns the number of rows changed. Writer only."""

    def later(self, statement: str, /, **parameters: Any) -> None:
        """A change of which nobody asks how many rows it changed: done before anything that may see it is asked, and before the deed's
        end, but perhaps together with others. Writer only."""

    def insert(self, statement: str, /, **parameters: Any) -> int:
        """An INSERT; returns the new row's id, 0 where `ON CONFLICT DO NOTHING` made none. Writer only."""

    def many(self, statement: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        """The same change for many rows. Writer only."""

    def touch(self, *scopes: int) -> None:
        """What policy reads about these scopes has changed: bumps their epochs and wakes `PolicyChanged`. Writer only."""

    def wake(self, event: "Event", /) -> None:
        """To be told after the commit, and not at all if the deed fails. Writer only."""

    def in_turn(self) -> None:
        """From here until the commit nobody else who asks for it goes on: what is chained to what was written last. Writer only."""


@dataclass(frozen=True, slots=True)
class Deed(Generic[T_co]):
    """Something to be done to the store: a frozen dataclass beside its aggregate. T is what doing it returns."""

    @property
    def weight(self) -> int:
        """The octets it brings along; the writer bounds what it does in one commit by their sum."""
        return 0

    @property
    def brief(self) -> bool:
        """Is it done in some tenths of a millisecond, whatever it meets? Then it may be done where it was asked for (store/writer.py)."""
        return False


@dataclass(frozen=True, slots=True)
class PolicyChanged:
    """Rights, statuses, memberships or passwords of these scopes changed: confirm the witness or judge again."""

    scopes: frozenset[int]


@dataclass(frozen=True, slots=True)
class FolderChanged:
    """Messages came, went or changed in this folder; ask for the changes since your modseq."""

    folder: FolderId
    modseq: int


@dataclass(frozen=True, slots=True)
class FoldersChanged:
    """Folders of this owner were made, renamed or deleted, or subscriptions changed."""

    owner: AccountId


@dataclass(frozen=True, slots=True)
class MetadataChanged:
    """Entries of this folder (0: of the server) were set or taken away: this account's, or (`actor` 0) everybody's.

    `origin`: who did it, as the deed says, so that it is not told to itself; 0: nobody in particular.
    """

    owner: AccountId
    folder: FolderId
    actor: AccountId
    entries: tuple[str, ...]
    origin: int = 0


@dataclass(frozen=True, slots=True)
class QueueChanged:
    """Something became due in the queue. `at_once`: an operator wants it tried now, whatever was known of its destination."""

    at_once: bool = False


@dataclass(frozen=True, slots=True)
class RoomTaken:
    """The mailbox of this owner, who has a quota, has grown."""

    owner: AccountId


@dataclass(frozen=True, slots=True)
class EverythingChanged:
    """For a while nobody told what was changed: whoever remembers something looks again."""


@dataclass(frozen=True, slots=True)
class ClockAccepted:
    """An operator says that the clock is right, although it was later before; so often that was said."""

    accepted: int


Event = PolicyChanged | FolderChanged | FoldersChanged | MetadataChanged | QueueChanged | RoomTaken | EverythingChanged | ClockAccepted


class Snapshot(Protocol):
    """One state of the store, seen by every read in it. Short: nothing is written to a peer inside one."""

    now: int
    moment: int
    """That it is not older than (see Moves); 0 where nobody knows of any."""

    async def ask(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """A bounded, indexed read, in place."""

    async def work(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """A read of any size, in the reader's thread."""

    async def take_time(self) -> None:
        """What is asked from here on may take as long as it takes (up to an hour): for what looks at everything there is, and is begun by
        an operator only."""

    async def confirms(self, witness: Witness) -> bool:
        """Do the witness's epochs still stand in this snapshot, and is its time not over?"""

    async def witness(self, *scopes: int, valid_until: int | None = None) -> Witness:
        """The epochs of these scopes (DIRECTORY is always added) as this snapshot has them."""


class Moves(Protocol):
    """What has been changed since a moment, as far as that is known without a snapshot (store/moved.py)."""

    moment: int
    """Now; to be taken before the snapshot whose finds are remembered."""

    def stands(self, witness: Witness, since: int, now: int) -> bool:
        """Does a witness that stood at the moment `since` stand still? False: a snapshot has to say so."""

    def is_at(self, folder: FolderId, modseq: int, since: int) -> bool:
        """Is a folder that was at this mod-sequence at the moment `since` at it still? False: a snapshot has to say so."""


class Store(Protocol):
    """What was remembered, and how it is changed."""

    @property
    def fault(self) -> str | None:
        """Why nothing is written any more (a damaged or read-only database), in words for an operator; None: all is well."""

    @property
    def node(self) -> str:
        """Which of the processes that write to this database this is; no other has, or ever had, this name."""

    @property
    def floor(self) -> Floor:
        """Whom every moment of this store has passed."""

    @property
    def moved(self) -> Moves | None:
        """None: somebody else writes too, or alone."""

    @property
    def leads(self) -> bool:
        """Is it for this node to do what needs doing once only? What is done by two in the moment of a change must do no harm."""

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """Raises Busy when no reader comes free in time."""

    async def do(self, deed: Deed[T], witness: Witness | None = None, *, bulk: bool = False) -> T:
        """Does it and waits until it is durable. Raises Stale, NotFound, Conflict, OverQuota, LimitReached, Busy.

        Cancelling the caller does not cancel the deed. `bulk`: may be overtaken by what is interactive.
        """

    def watch(self, told: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """`told` is called on the loop after each commit, with what it changed, in commit order, before `do` returns to its
        caller; returns the function that ends it."""

    async def copy(self, target: Path, told: Callable[[int, int], None]) -> int:
        """One state of everything, while all goes on, into a file that must not be there; `told`: pages that are left, pages in all, in
        some thread; what it raises ends the copying. Returns the moment of that state. Raises Busy, and what `told` raised."""

    async def close(self) -> None:
        """Finishes what is queued and closes."""
