"""The shared database: snapshots and groups of deeds on PostgreSQL, for one node of several."""

# ruff: noqa: D102 - what the methods of transactions, snapshots, engine and store promise stands in store/port.py and store/writer.py

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar
from uuid import UUID, uuid4

from policy.decision import Witness
from policy.identity import AccountId, FolderId
from store.clock import Obedience
from store.contention import Claim, claim, claims, lane
from store.errors import Busy
from store.floor import Floor
from store.foreseen import NOTHING_ASKED, Answers, Questions, foreseen
from store.lending import Lending
from store.lock import Lock
from store.nodes import Nodes
from store.numbered import Numbered, composed, rows_of
from store.port import DIRECTORY, Deed, Event, PolicyChanged, Snapshot, Tx
from store.postgres_session import Server, Session, opened, translated
from store.postponed import Postponed
from store.reading import OnlyReads
from store.switching import awaited, switched
from store.wakes import spelled
from store.writer import ATTEMPTS, Bounds, Fault, Functions, Watchers, Writer

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")

LANES: Final = 5
"""Writing connections of a node: one for what runs alone, the others side by side."""
MOST_DEEDS: Final = 60
"""In a group: beyond 64 savepoints in a transaction all others slow down."""
BEGUN_SECONDS: Final = 2.0
"""How long a reader that nobody uses stays in a transaction that was begun for the next one: far less than IDLE_SECONDS."""
LONG_SECONDS: Final = 3600
"""For a statement of a snapshot that takes its time."""
OUTCOME_SECONDS: Final = 60.0
"""How long it is looked for whether a group was done whose connection was lost."""

_READING: Final = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_CLOCK: Final = Numbered("SELECT procura_clock()", ())
_EPOCH: Final = "coalesce((SELECT value FROM epoch WHERE scope = ${}), 0)"
_ARRAY_OF_EPOCHS: Final = (
    "procura_clock(), ARRAY(SELECT coalesce(epoch.value, 0) FROM unnest(CAST($1 AS BIGINT[])) WITH ORDINALITY AS wanted (one, place)"
    " LEFT JOIN epoch ON epoch.scope = wanted.one ORDER BY wanted.place)"
)
FEW_EPOCHS: Final = 16
"""Up to so many are asked for one by one: an array, whose length is no part of the statement, would have it planned anew each time."""
_TELL: Final = Numbered("SELECT procura_tell($1, $2, $3, $4)", ())
_OWNER: Final = Numbered("SELECT owner FROM folder WHERE id = $1", ())
_OWNERS: Final = Numbered("SELECT id, owner FROM folder WHERE id = ANY (CAST($1 AS BIGINT[]))", ())
_EPOCHS: Final = Numbered("SELECT scope, value FROM epoch WHERE scope = ANY (CAST($1 AS BIGINT[]))", ())
_BUMP: Final = Numbered(
    "INSERT INTO epoch (scope, value) SELECT one, 1 FROM unnest(CAST($1 AS BIGINT[])) AS found (one) ORDER BY one"
    " ON CONFLICT (scope) DO UPDATE SET value = epoch.value + 1",
    (),
)
_IN_TURN: Final = Numbered("SELECT pg_advisory_xact_lock(x'70726F63757263'::BIGINT)", ())
# What is negative was put there by who looked for it: the group was not done, and cannot be any more.
_FENCE: Final = Numbered("INSERT INTO deed_group (key, at) VALUES ($1, -procura_clock()) ON CONFLICT (key) DO NOTHING", ())
_FENCED: Final = Numbered("SELECT at FROM deed_group WHERE key = $1", ())
_END_BACKEND: Final = Numbered("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = $2", ())


class PostgresTx(OnlyReads):
    """The reading half; the writing half refuses. Used inside `switched`."""

    __slots__ = ("_raced", "_session", "_statements", "now")

    def __init__(self, session: Session, statements: Mapping[str, Numbered], now: int) -> None:
        self._session = session
        self._statements = statements
        self._raced = False
        self.now = now

    def all(self, statement: str, /, **parameters: Any) -> list[Any]:
        known = self._statements[statement]
        return [tuple(row) for row in self._wait(self._session.rows(known, known.arguments(parameters)))]

    def one(self, statement: str, /, **parameters: Any) -> Any | None:
        known = self._statements[statement]
        row = self._wait(self._session.row(known, known.arguments(parameters)))
        return None if row is None else tuple(row)

    def composed(self, sql: str, /, **parameters: Any) -> list[Any]:
        known = composed(sql)
        return [tuple(row) for row in self._wait(self._session.rows(known, known.arguments(parameters), keep=False))]

    def owner_of(self, folder: FolderId, /) -> AccountId:
        owner = self._session.owners.of(folder)
        if owner is None:
            found = self._wait(self._session.row(_OWNER, [folder]))
            if found is None:
                return AccountId(0)
            owner = found[0]
            self._session.owners.remember(folder, owner)
        return AccountId(owner)

    def owners_of(self, folders: Sequence[FolderId], /) -> Mapping[FolderId, AccountId]:
        owners = self._session.owners
        found = {folder: AccountId(owner) for folder in folders if (owner := owners.of(folder)) is not None}
        missing = [folder for folder in folders if folder not in found]
        if missing:
            for folder, owner in self._wait(self._session.rows(_OWNERS, [missing])):
                owners.remember(folder, owner)
                found[folder] = AccountId(owner)
        return found

    async def epochs(self, scopes: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """To be awaited, not asked."""
        there = dict(await self._session.rows(_EPOCHS, [[*scopes]]))
        return tuple((scope, there.get(scope, 0)) for scope in scopes)

    async def confirms(self, witness: Witness) -> bool:
        """To be awaited, not asked: do these epochs stand, and is its time not over?"""
        if witness.valid_until is not None and self.now >= witness.valid_until:
            return False
        return await self.epochs([scope for scope, _ in witness.epochs]) == tuple(witness.epochs)

    def _wait(self, something: Coroutine[Any, Any, T]) -> T:
        try:
            return awaited(something)
        except Exception as error:
            raise translated(error, self._session.connection, raced=self._raced) from error


class ThreadedTx(PostgresTx):
    """For a function that works in a thread while the loop goes on: each statement is the loop's to await."""

    __slots__ = ("_loop", "stopped")

    def __init__(self, session: Session, statements: Mapping[str, Numbered], now: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(session, statements, now)
        self._loop = loop
        self.stopped = False

    def _wait(self, something: Coroutine[Any, Any, T]) -> T:
        if self.stopped:
            something.close()
            raise Busy("the question was given up")
        try:
            return asyncio.run_coroutine_threadsafe(something, self._loop).result()
        except Exception as error:
            raise translated(error, self._session.connection) from error


class PostgresWritingTx(PostgresTx):
    """The group's transaction; savepoints part the deeds in it. `single`: there is only one, whose end is that of the transaction;
    `alone`: nobody else writes in the whole cluster; `raced`: as for `translated`; `epochs`: as they were when it began; `foreseen`: what
    each deed will ask, and `answers` to what the first one asks."""

    __slots__ = (
        "_alone",
        "_answers",
        "_epochs",
        "_first",
        "_foreseen",
        "_in_turn",
        "_inserting",
        "_postponed",
        "_released",
        "_single",
        "_touched",
        "_turned",
        "_woken",
        "over",
    )

    def __init__(
        self,
        session: Session,
        statements: Mapping[str, Numbered],
        inserting: Mapping[str, Numbered],
        now: int,
        *,
        single: bool,
        alone: bool,
        raced: bool,
        epochs: Mapping[int, int],
        foreseen: Iterable["Questions"] = (),
        answers: Sequence[Sequence[Any]] | None = None,
    ) -> None:
        super().__init__(session, statements, now)
        self._foreseen = iter(foreseen)
        self._answers = Answers(NOTHING_ASKED)
        self._first = answers
        self._postponed = Postponed()
        self._inserting = inserting
        self._epochs = epochs
        self._raced = raced
        self._single = single
        self._alone = alone
        self._in_turn = alone
        self._turned = False
        self._released = False
        self._touched: dict[int, None] = {}
        self._woken: list[Event] = []
        self.over = False

    def all(self, statement: str, /, **parameters: Any) -> list[Any]:
        known = self._statements[statement]
        arguments = known.arguments(parameters)
        found = self._answered(known, arguments)
        if found is not None:
            return found
        return [tuple(row) for row in self._wait(self._session.rows(known, arguments))]

    def one(self, statement: str, /, **parameters: Any) -> Any | None:
        known = self._statements[statement]
        arguments = known.arguments(parameters)
        found = self._answered(known, arguments)
        if found is not None:
            return found[0] if found else None
        row = self._wait(self._session.row(known, arguments))
        return None if row is None else tuple(row)

    def composed(self, sql: str, /, **parameters: Any) -> list[Any]:
        self._catch_up()
        return super().composed(sql, **parameters)

    def _answered(self, known: Numbered, arguments: Sequence[Any]) -> list[Any] | None:
        """What was foreseen to be asked, once; None: it is to be asked now."""
        if self._postponed.concerns(known.sql):
            self._catch_up()
        answers = self._answers
        if not answers.foresaw(known, arguments):
            return None
        if not answers.there:
            asked = answers.questions
            row: Any = self._wait(self._session.row(asked.together(), asked.arguments))
            answers.arrived(row)
        return answers.take(known, arguments)

    def _catch_up(self) -> None:
        """What was postponed is done."""
        if self._postponed:
            statement, arguments = self._postponed.take()
            self._wait(self._session.rows(statement, arguments))

    def later(self, statement: str, /, **parameters: Any) -> None:
        known = self._statements[statement]
        if self._postponed and not self._postponed.admits(known):
            self._catch_up()
        self._postponed.add(known, known.arguments(parameters))

    def run(self, statement: str, /, **parameters: Any) -> int:
        known = self._statements[statement]
        self._catch_up()
        return self._wait(self._session.changed(known, known.arguments(parameters)))

    def insert(self, statement: str, /, **parameters: Any) -> int:
        known = self._inserting[statement]
        self._catch_up()
        return int(self._wait(self._session.value(known, known.arguments(parameters))) or 0)

    def many(self, statement: str, rows: Sequence[Mapping[str, Any]], /) -> None:
        if rows:
            known = self._statements[statement]
            self._catch_up()
            self._wait(self._session.many(known, rows_of(known, rows)))

    def touch(self, *scopes: int) -> None:
        self._touched.update(dict.fromkeys(scopes))

    def wake(self, event: Event, /) -> None:
        self._woken.append(event)

    def in_turn(self) -> None:
        if not self._in_turn:
            self._catch_up()
            self._wait(self._session.row(_IN_TURN, ()))
            self._in_turn = self._turned = True

    def savepoint(self) -> None:
        self._touched = {}
        self._woken = []
        self._turned = False
        self._answers = Answers(next(self._foreseen, NOTHING_ASKED), self._first)
        self._first = None
        if not self._single:
            self._plain("RELEASE deed; SAVEPOINT deed" if self._released else "SAVEPOINT deed")
            self._released = False

    def holds(self, witness: Witness) -> bool:
        if not all(scope in self._epochs for scope, _ in witness.epochs):
            return self._wait(self.confirms(witness))
        in_time = witness.valid_until is None or self.now < witness.valid_until
        return in_time and all(self._epochs[scope] == value for scope, value in witness.epochs)

    def release(self) -> Sequence[Event]:
        self._catch_up()
        if self._touched:
            self._wait(self._session.changed(_BUMP, [sorted(self._touched)]))
            self._epochs = {}
        self._released = True  # said with the next one, or by the commit
        if self._touched:
            return [PolicyChanged(frozenset(self._touched)), *self._woken]
        return self._woken

    def undo(self) -> None:
        self._postponed.forget()
        if self._single:
            self._plain("ROLLBACK")
            self.over = True
            return
        self._plain("ROLLBACK TO deed; RELEASE deed")
        if self._turned:
            # A lock that was taken behind a savepoint is gone with it.
            self._in_turn = False

    def _plain(self, sql: str) -> None:
        self._wait(self._session.plain(sql))


class PostgresEngine:
    """One writing connection: see store.writer.Engine. `committed`: told the version of the rights after a group that changed them."""

    def __init__(
        self,
        where: Server,
        statements: Mapping[str, Numbered],
        inserting: Mapping[str, Numbered],
        moment: Callable[[int], int],
        nodes: Nodes,
    ) -> None:
        self._where = where
        self._statements = statements
        self._inserting = inserting
        self._moment = moment
        self._nodes = nodes
        self._session: Session | None = None
        self._tx: PostgresWritingTx | None = None
        self._key: UUID = uuid4()

    def start(self, function: Callable[[], T], /) -> "asyncio.Future[T]":
        return asyncio.get_running_loop().create_task(switched(function))

    def begin(self, deeds: Sequence[Deed[Any]], scopes: Collection[int], attempt: int) -> PostgresWritingTx:
        return awaited(self._begin(deeds, sorted(scopes), attempt))

    def begin_here(self) -> None:
        """Every statement waits for the server."""

    def commit(self, events: Sequence[Event]) -> None:
        awaited(self._commit(events))

    def abandon(self) -> None:
        awaited(self._abandon())

    def tidy(self) -> None:
        """There is nothing."""

    async def close(self) -> None:
        """The connection; nothing is under way."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _begin(self, deeds: Sequence[Deed[Any]], scopes: list[int], attempt: int) -> PostgresWritingTx:
        if attempt:
            await asyncio.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 - so that two do not meet again
        if self._session is None:
            self._session = await opened(self._where)
        session = self._session
        what = claims(deeds).known(session.owners)
        self._key = uuid4()
        questions = (Questions([(self._statements[name], asked) for name, asked in foreseen(deed, session.owners)]) for deed in deeds)
        first = next(questions, NOTHING_ASKED)
        try:
            await session.plain(f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT {_locking(self._key, what)}")
            # A statement of its own, so that it sees what was committed before the locks were there.
            began, epochs, answers = await _began(session, scopes, first)
        except Exception as error:
            raise _undone(error, session) from error
        self._tx = PostgresWritingTx(
            session,
            self._statements,
            self._inserting,
            self._moment(began),
            single=len(deeds) == 1,
            alone=what.alone,
            raced=attempt < ATTEMPTS - 1,
            epochs=dict(zip(scopes, epochs, strict=True)),
            foreseen=chain((first,), questions),
            answers=answers,
        )
        return self._tx

    async def _commit(self, events: Sequence[Event]) -> None:
        tx, session = self._tx, self._session
        assert tx is not None
        assert session is not None
        self._tx = None
        if tx.over:
            return
        version = 0
        ending = "COMMIT"
        if any(isinstance(event, PolicyChanged) for event in events):
            try:
                version = await session.value(_TELL, [self._nodes.id, tx.now, spelled(events), True])
            except Exception as error:
                raise _undone(error, session) from error
        elif events:
            ending = f"SELECT {_telling(self._nodes.id, tx.now, events)}; COMMIT"
        session.warned = False
        try:
            # A wait for a standby that is called off ends well, but with a warning.
            await session.plain(ending)
            known = not session.warned
        except Exception as error:
            meant = translated(error, session.connection)
            if not session.connection.is_closed() and not isinstance(error, TimeoutError):
                raise meant from error  # the server said no: it was undone
            known = False
        if not known:
            session.discard()
            self._session = None
            if not await self._was_done(session):
                raise Fault("the connection was lost before the commit", again=True)
        if events:
            self._nodes.committed(version)

    async def _was_done(self, lost: Session) -> bool:
        """Whether the group with our key is there, now and for ever. Raises Fault when it cannot be found out in time."""
        log.warning("store", extra={"fields": {"outcome": "a connection was lost at a commit", "reason": "looking whether it was done"}})
        loop = asyncio.get_running_loop()
        ends = loop.time() + OUTCOME_SECONDS
        while True:
            session: Session | None = None
            try:
                session = await opened(self._where)
                return await self._looked(session, lost)
            except Exception as error:
                if session is not None:
                    session.discard()
                if loop.time() > ends:
                    log.error("store", extra={"fields": {"outcome": "not known whether a group of deeds was done", "reason": repr(error)}})
                    raise Fault(f"not known whether it was done: {error}") from error
            await asyncio.sleep(0.25)

    async def _looked(self, session: Session, lost: Session) -> bool:
        # Its backend may still be at it: it is ended, and until it is, the key is not to be had.
        await session.rows(_END_BACKEND, [lost.pid, lost.name])
        await session.plain("BEGIN")
        await session.changed(_FENCE, [self._key])
        at = await session.value(_FENCED, [self._key])
        # Something is written in any case: what is durable (and with standbys) now makes durable what was committed before.
        await session.changed(_FENCE, [uuid4()])
        session.warned = False
        await session.plain("COMMIT")
        if session.warned:
            raise Fault("no standby has confirmed it")
        self._session = session
        return at is not None and at > 0

    async def _abandon(self) -> None:
        session, self._tx = self._session, None
        if session is None:
            return
        try:
            if session.connection.is_closed():
                raise ConnectionError("closed")
            await session.plain("ROLLBACK")
        except Exception:
            session.discard()
            self._session = None


async def _began(session: Session, scopes: list[int], first: Questions) -> tuple[int, Sequence[int], Sequence[Sequence[Any]]]:
    """The time, the epochs of these scopes, what the first deed asks."""
    if len(scopes) > FEW_EPOCHS:
        began, found, *answers = await session.row(first.together(_ARRAY_OF_EPOCHS, 1), [scopes, *first.arguments]) or (0, [])
        return began, found, answers
    # Few selections, so that they are few statements: filled up with one that is asked for twice.
    missing = (1 << (len(scopes) - 1).bit_length()) - len(scopes) if scopes else 0
    asked = [*scopes, *scopes[:1] * missing]
    columns = ", ".join(["procura_clock()", *(_EPOCH.format(place + 1) for place in range(len(asked)))])
    began, *rest = await session.row(first.together(columns, len(asked)), [*asked, *first.arguments]) or (0,)
    return began, rest[: len(scopes)], rest[len(asked) :]


def _locking(key: UUID, what: Claim) -> str:
    """Only numbers, so that it may be said plainly, together with BEGIN."""
    numbers = (f"'{{{','.join([str(int(one)) for one in sorted(some)])}}}'" for some in (what.accounts, what.folders, what.rows))
    return f"procura_begin('{key}', {'true' if what.alone else 'false'}, {', '.join(numbers)})"


def _telling(node: str, now: int, events: Sequence[Event]) -> str:
    """What names of entries people made stand there as hexadecimal digits, so that it may be said plainly, together with COMMIT."""
    return f"procura_tell({_hexadecimal(node)}, {int(now)}, {_hexadecimal(spelled(events))}, false)"


def _hexadecimal(text: str) -> str:
    return f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8')"


def _undone(error: Exception, session: Session) -> BaseException:
    """What came before the commit and lost the connection can be done again: nothing is there."""
    meant = translated(error, session.connection)
    if isinstance(meant, Fault) and session.connection.is_closed():
        return Fault(str(meant), again=True)
    return meant


class PostgresSnapshot:
    """A reader that was lent, and a transaction on it."""

    __slots__ = ("_asking", "_moment", "_returning", "_session", "_store", "_tx", "moment", "now")

    def __init__(self, store: "PostgresStore", moment: Callable[[int], int]) -> None:
        self._store = store
        self._moment = moment
        self._session: Session | None = None
        self._tx: PostgresTx | None = None
        self._asking = asyncio.Lock()
        self.now = 0
        self.moment = 0

    async def __aenter__(self) -> Snapshot:
        readers = self._store.readers
        while True:
            session = await readers.take()
            try:
                if session.begun is None:
                    await session.plain(_READING)
                session.begun = None
                # What is seen is what there is when this is asked, not when the transaction was begun.
                began = await session.value(_CLOCK, ())
                break
            except BaseException as error:
                used, lost = session.used, session.connection.is_closed()
                readers.give(session, broken=True)
                if not isinstance(error, Exception):
                    raise
                if used and lost:
                    # Lost while it was idle, and so are the others: the server was restarted, or is another one.
                    readers.forget_idle()
                    continue
                raise translated(error, session.connection) from error
        session.used = True
        self.now = self._moment(int(began))
        self._session = session
        self._tx = PostgresTx(session, self._store.statements, self.now)
        return self

    async def __aexit__(self, *_: object) -> None:
        session, self._session, self._tx = self._session, None, None
        if session is not None:
            # Nobody waits for it.
            self._store.later(self._store.given_back(session))

    async def ask(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        tx = self._open()
        async with self._asking:
            return await switched(partial(question, tx, *args, **kwargs))

    async def work(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        session, reading = self._session, self._open()
        assert session is not None
        loop = asyncio.get_running_loop()
        tx = ThreadedTx(session, self._store.statements, reading.now, loop)
        async with self._asking:
            future = loop.run_in_executor(None, partial(question, tx, *args, **kwargs))
            cancelled: asyncio.CancelledError | None = None
            while not future.done():
                try:
                    await asyncio.wait((future,))
                except asyncio.CancelledError as error:
                    # The thread is told to stop, and waited for: the session must not go back while it is in use.
                    cancelled = error
                    tx.stopped = True
            if cancelled is not None:
                future.exception()
                raise cancelled
            return future.result()

    async def take_time(self) -> None:
        session = self._session
        self._open()
        assert session is not None
        async with self._asking:
            # Up to the end of this transaction; what ends with the snapshot here is `seconds`.
            await _told(session.plain(f"SET LOCAL statement_timeout = '{LONG_SECONDS}s'"), session)
            session.seconds = LONG_SECONDS

    async def confirms(self, witness: Witness) -> bool:
        tx = self._open()
        async with self._asking:
            return await _told(tx.confirms(witness), self._session)

    async def witness(self, *scopes: int, valid_until: int | None = None) -> Witness:
        tx = self._open()
        async with self._asking:
            return Witness(await _told(tx.epochs(sorted({DIRECTORY, *scopes})), self._session), valid_until)

    def _open(self) -> PostgresTx:
        if self._tx is None:
            raise RuntimeError("the snapshot is not open")
        return self._tx


async def _told(asked: Awaitable[T], session: Session | None) -> T:
    try:
        return await asked
    except Exception as error:
        raise translated(error, None if session is None else session.connection) from error


class PostgresStore:
    """See store.port.Store. `moment`: what time it is when the database says this (microseconds since 1970 UTC)."""

    def __init__(
        self,
        where: Server,
        statements: Mapping[str, Numbered],
        functions: Functions,
        moment: Callable[[int], int],
        floor: Floor,
        readers: int,
        bounds: Bounds,
        nodes: Nodes,
        watchers: Watchers,
        locks: Sequence[Lock],
        lanes: int = LANES,
    ) -> None:
        self._locks = locks
        self.statements = statements
        self.nodes = nodes
        self.readers = Lending(partial(opened, where), Session.discard, readers)
        self.floor = floor
        self._moment = moment
        self._watchers = watchers
        self._obedience = Obedience(floor, self.snapshot)
        watchers.watch(self._obedience.told)
        inserting = {name: _returning(one) for name, one in statements.items() if one.sql.lstrip().upper().startswith("INSERT")}
        most = Bounds(min(bounds.deeds, MOST_DEEDS), bounds.octets, bounds.seconds, bounds.waiting, bounds.waiting_octets)
        self._engines = [PostgresEngine(where, statements, inserting, moment, nodes) for _ in range(lanes)]
        self._writers = [Writer(engine, functions, most, watchers) for engine in self._engines]
        self._later: set[asyncio.Task[None]] = set()
        self._closed: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.TimerHandle | None = None
        self._obedience.look()

    @property
    def fault(self) -> str | None:
        return next((writer.fault for writer in self._writers if writer.fault is not None), None)

    @property
    def node(self) -> str:
        return self.nodes.id

    @property
    def moved(self) -> None:
        return None

    @property
    def leads(self) -> bool:
        return self.nodes.leads

    def snapshot(self) -> PostgresSnapshot:
        return PostgresSnapshot(self, self._moment)

    async def do(self, deed: Deed[T], witness: Witness | None = None, *, bulk: bool = False) -> T:
        if not self.nodes.confirmed:
            raise Busy("the rights in force are not known here: the database was not heard of for too long")
        what = claim(deed)
        done = await self._writers[lane(what, len(self._writers))].submit(deed, witness, bulk)
        if what.alone:
            # Whatever it took away is gone everywhere when this returns.
            await self.nodes.everywhere()
        return done

    def watch(self, told: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        return self._watchers.watch(told)

    async def copy(self, target: Path, told: Callable[[int, int], None]) -> int:
        raise Busy(
            "what is kept on PostgreSQL is backed up by its own tools: pg_basebackup with the log (or what is built on them) for any moment"
            " to go back to, pg_dump for one copy; nothing was copied"
        )

    async def given_back(self, session: Session) -> None:
        """Its transaction ends, and the next one begins: a way to the server less for who comes next."""
        broken = True
        session.seconds = None
        try:
            await session.plain(f"COMMIT; {_READING}")
            session.begun = self._loop.time()
            broken = False
        except Exception:
            log.debug("a reader was lost", exc_info=True)
        finally:
            self.readers.give(session, broken=broken)
            if self._resting is None and self._closed is None:
                self._resting = self._loop.call_later(BEGUN_SECONDS, self._rest)

    def _rest(self) -> None:
        """Who has waited for long in a transaction in vain waits without one."""
        self._resting = None
        since = self._loop.time() - BEGUN_SECONDS
        for session in self.readers.pick(lambda one: one.begun is not None and one.begun <= since):
            self.later(self._rested(session))
        if self._closed is None and self.readers.has(lambda one: one.begun is not None):
            self._resting = self._loop.call_later(BEGUN_SECONDS, self._rest)

    async def _rested(self, session: Session) -> None:
        broken = True
        try:
            await session.plain("COMMIT")
            session.begun = None
            broken = False
        except Exception:
            log.debug("a reader was lost", exc_info=True)
        finally:
            self.readers.give(session, broken=broken)

    def later(self, what: Coroutine[Any, Any, None]) -> None:
        """Something that nobody waits for, except who closes."""
        task = asyncio.get_running_loop().create_task(what)
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def close(self) -> None:
        for writer in self._writers:
            writer.end()
        if self._closed is None:
            self._closed = asyncio.get_running_loop().create_task(self._close(), name="store closing")
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        if self._resting is not None:
            self._resting.cancel()
        for writer in self._writers:
            await writer.close()
        await self._obedience.close()
        while self._later:
            await asyncio.wait(self._later)
        await self.nodes.close()
        await self.readers.close(Session.close)
        for engine in self._engines:
            await engine.close()
        for lock in self._locks:
            lock.release()


def _returning(statement: Numbered) -> Numbered:
    """An INSERT as `Tx.insert` needs it: with the new row's id, unless it says itself what it returns."""
    if "RETURNING" in statement.sql.upper():
        return statement
    return Numbered(f"{statement.sql} RETURNING id", statement.names)
