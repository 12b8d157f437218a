"""The writer: groups the deeds that are waiting, does each under its own savepoint, commits once, wakes, answers."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from policy.decision import Witness
from store.errors import Busy, Full, Stale
from store.moved import Moved
from store.port import Deed, Event, FolderChanged, PolicyChanged, Tx

T = TypeVar("T")

Functions = Mapping[type[Deed[Any]], Callable[[Tx, Any], Any]]


@dataclass(frozen=True, slots=True)
class Bounds:
    """`deeds`, `octets`, `seconds` of applying in one commit; `waiting`, `waiting_octets` in the queue before Busy.

    A group holds a reader's and a caller's patience: 20 ms of applying, and what an fsync takes.
    """

    deeds: int = 256
    octets: int = 8 << 20
    seconds: float = 0.020
    waiting: int = 10_000
    waiting_octets: int = 256 << 20


class Fault(Busy):
    """The engine failed, not the deed: the whole group is undone. `lasting`: nothing may be written any more; `again`: somebody else
    was in the way, and it may go well when it is done anew; `full`: there is no room on its disk."""

    def __init__(self, message: str, *, lasting: bool = False, again: bool = False, full: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting
        self.again = again
        self.full = full


class Engine(Protocol):
    """What the writer needs of a database; used within what `start` began, except `start` itself."""

    def start(self, function: Callable[[], T], /) -> "asyncio.Future[T]":
        """Begins it where the writing connection may be used (a thread, a greenlet); cancelling the future does not stop it."""

    def begin(self, deeds: Sequence[Deed[Any]], scopes: Collection[int], attempt: int) -> "WritingTx":
        """For these deeds, or the first of them; `scopes`: those that their witnesses name; `attempt` counts from 0 to ATTEMPTS - 1.
        Raises Fault, as everything below does."""

    def begin_here(self) -> "WritingTx | None":
        """As `begin`, on the loop, and nobody waits for anything; None: not here, or not now."""

    def commit(self, events: Sequence[Event]) -> None:
        """Durable when it returns; `events`: what was woken."""

    def abandon(self) -> None:
        """After a Fault: undoes what is open and makes the next `begin` start on a fresh connection. Raises nothing."""

    def tidy(self) -> None:
        """Called when nothing was waiting for a while: moves a large log into the database. Raises nothing."""


class WritingTx(Tx, Protocol):
    """The transaction of a group, parted into deeds by savepoints."""

    def savepoint(self) -> None:
        """A deed begins."""

    def holds(self, witness: Witness) -> bool:
        """Do its epochs stand, and is its time not over?"""

    def release(self) -> Sequence[Event]:
        """Bumps the epochs of what the deed touched, ends its savepoint; returns what it woke."""

    def undo(self) -> None:
        """Back to the savepoint. Raises Fault when the engine has undone everything by itself."""


@dataclass(slots=True, eq=False)
class _Job:
    deed: Deed[Any]
    witness: Witness | None
    weight: int
    future: "asyncio.Future[Any]"


class _Answer(NamedTuple):
    value: Any
    error: BaseException | None


@dataclass(frozen=True, slots=True)
class _Done:
    """`answers` to the first jobs of the group; the others were not begun."""

    answers: Sequence[_Answer]
    events: Sequence[Event]


@dataclass(slots=True)
class _Begun:
    """A group of which the first are done: `answers` to them, and what they woke. `ends`: by the clock of `perf_counter`, when no further
    deed of it is begun; `error`: the engine failed."""

    tx: WritingTx
    ends: float
    answers: list[_Answer] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    error: Exception | None = None


ATTEMPTS: Final = 4
"""How often a group is begun when others are in its way."""

IDLE_AFTER: Final = 1.0
"""Seconds without work after which `tidy` is called."""

SECONDS_HERE: Final = 0.002
"""For which the loop itself does brief deeds. In a thread each statement would let go of the interpreter and ask for it again, twenty
times a message; what is left of a group then, and every commit, is the thread's, which does it without the interpreter."""

_BRIEF_OCTETS: Final = 128 << 10
"""More than this is never brief."""

_Told = Callable[[Sequence[Event]], None]


async def ended(future: "asyncio.Future[Any]") -> asyncio.CancelledError | None:
    """Waits until it has ended, whatever happens to the waiting; returns the cancellation that came meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        waiter: asyncio.Future[None] = future.get_loop().create_future()
        future.add_done_callback(partial(_wake, waiter))
        try:
            await waiter
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def _wake(waiter: "asyncio.Future[None]", _: object) -> None:
    if not waiter.done():
        waiter.set_result(None)


class Watchers:
    """Who is told what was changed."""

    def __init__(self) -> None:
        self._told: dict[object, _Told] = {}
        self._loop = asyncio.get_running_loop()

    def watch(self, told: _Told) -> Callable[[], None]:
        """See store.port.Store."""
        token = object()
        self._told[token] = told

        def end() -> None:
            self._told.pop(token, None)

        return end

    def tell(self, events: Sequence[Event]) -> None:
        """On the loop."""
        if not events:
            return
        for told in (*self._told.values(),):
            try:
                told(events)
            except Exception as error:
                # One who listens badly must keep nobody from an answer that is already durable.
                self._loop.call_exception_handler({"message": "a watcher of the store failed", "exception": error})


class Writer:
    """Owned by the store that made it; lives on one loop."""

    def __init__(self, engine: Engine, functions: Functions, bounds: Bounds, watchers: Watchers, moved: Moved | None = None) -> None:
        self._watchers = watchers
        self._moved = moved or Moved()
        self._engine = engine
        self._functions = functions
        self._bounds = bounds
        self._interactive: deque[_Job] = deque()
        self._bulk: deque[_Job] = deque()
        self._octets = 0
        self._closing = False
        self._sleeper: asyncio.Future[bool] | None = None
        self.fault: str | None = None
        self._loop = asyncio.get_running_loop()
        self._task = self._loop.create_task(self._work(), name="store writer")

    def submit(self, deed: Deed[T], witness: Witness | None, bulk: bool) -> Awaitable[T]:
        """Puts it into the queue; await what is returned. Raises Busy, and TypeError for a deed that no one can do.

        Cancelling the awaiting only ends the waiting: the future is cancelled, the job stays.
        """
        if type(deed) not in self._functions:
            raise TypeError(f"no function does {type(deed).__name__}")
        if self._closing:
            raise Busy("the store is closing")
        if self.fault is not None:
            raise Busy(self.fault)
        weight = deed.weight
        waiting = len(self._interactive) + len(self._bulk)
        if waiting >= self._bounds.waiting or (waiting and self._octets + weight > self._bounds.waiting_octets):
            raise Busy("too much is waiting to be written")
        job = _Job(deed, witness, weight, self._loop.create_future())
        (self._bulk if bulk else self._interactive).append(job)
        self._octets += weight
        self._wake()
        return job.future

    def end(self) -> None:
        """Takes no more from now on."""
        self._closing = True
        self._wake()

    async def close(self) -> None:
        """Does what is waiting, takes no more. May be called twice, and cancelled: the rest is done nevertheless."""
        self.end()
        await asyncio.wait((self._task,))

    # --- on the loop

    def _wake(self) -> None:
        if self._sleeper is not None and not self._sleeper.done():
            self._sleeper.set_result(True)

    async def _work(self) -> None:
        group: list[_Job] = []
        untidy = False
        try:
            while True:
                group = self._take()
                if not group:
                    if self._closing:
                        return
                    if not await self._sleep(IDLE_AFTER if untidy else None):
                        untidy = False
                        await ended(self._engine.start(self._engine.tidy))
                    continue
                untidy = True
                applied = self._engine.start(partial(self._apply, group, self._begun_here(group)))
                cancelled = await ended(applied)
                self._settle(group, applied.result())
                if cancelled is not None:
                    raise cancelled
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                self.fault = f"the writer ended: {error!r}"
            raise
        finally:
            self._closing = True
            for job in (*group, *self._interactive, *self._bulk):
                self._answer(job, _Answer(None, Busy(self.fault or "the store is closed")))
            self._interactive.clear()
            self._bulk.clear()

    async def _sleep(self, seconds: float | None) -> bool:
        """Until something is submitted (True), or for so long (False)."""
        sleeper: asyncio.Future[bool] = self._loop.create_future()
        self._sleeper = sleeper

        def idle() -> None:
            if not sleeper.done():
                sleeper.set_result(False)

        timer = None if seconds is None else self._loop.call_later(seconds, idle)
        try:
            return await sleeper
        finally:
            self._sleeper = None
            if timer is not None:
                timer.cancel()

    def _settle(self, group: Sequence[_Job], done: _Done) -> None:
        # What was not begun goes back to the front, in its order.
        for job in reversed(group[len(done.answers) :]):
            self._interactive.appendleft(job)
            self._octets += job.weight
        self._moved.settle()
        self._watchers.tell(done.events)
        for job, answer in zip(group, done.answers, strict=False):
            self._answer(job, answer)

    def _take(self) -> list[_Job]:
        bounds = self._bounds
        group: list[_Job] = []
        octets = 0
        # One place is kept for what is bulk, so that it always gets on.
        for queue, most in ((self._interactive, max(1, bounds.deeds - bool(self._bulk))), (self._bulk, bounds.deeds)):
            first = True
            while queue and len(group) < most:
                weight = queue[0].weight
                if group and octets + weight > bounds.octets and not (first and queue is self._bulk):
                    break
                group.append(queue.popleft())
                octets += weight
                first = False
        self._octets -= octets
        return group

    @staticmethod
    def _answer(job: _Job, answer: _Answer) -> None:
        if job.future.done():
            return
        if answer.error is None:
            job.future.set_result(answer.value)
        else:
            job.future.set_exception(answer.error)

    def _begun_here(self, group: Sequence[_Job]) -> _Begun | None:
        """The brief deeds at the head of the group are done at once; None: it is all the thread's."""
        if self.fault is not None or not _is_brief(group[0]):
            return None
        try:
            tx = self._engine.begin_here()
        except Fault:
            return None  # the thread meets it too
        if tx is None:
            return None
        now = perf_counter()
        begun = _Begun(tx, now + self._bounds.seconds)
        ends = min(begun.ends, now + SECONDS_HERE)
        try:
            for job in group:
                if not _is_brief(job):
                    break
                begun.answers.append(self._do(tx, job, begun.events))
                if perf_counter() > ends:
                    break
        except Exception as error:
            begun.error = error
        return begun

    # --- in the thread of the writing connection, or in a greenlet

    def _apply(self, group: Sequence[_Job], begun: _Begun | None) -> _Done:
        attempt = 0
        while True:
            try:
                return self._applied(group, attempt, begun)
            except Exception as error:
                # Not the deed's fault (`_do` answers those): the engine's, so that nobody's deed is known to be done.
                self._engine.abandon()
                begun = None
                attempt += 1
                if isinstance(error, Fault) and error.again and attempt < ATTEMPTS:
                    continue
                if isinstance(error, Fault) and error.lasting:
                    self.fault = str(error)
                kind = Full if isinstance(error, Fault) and error.full else Busy
                return _Done([_Answer(None, kind(str(error))) for _ in group], ())

    def _applied(self, group: Sequence[_Job], attempt: int, begun: _Begun | None) -> _Done:
        if self.fault is not None:
            raise Fault(self.fault, lasting=True)
        if begun is None:
            scopes = {scope for job in group if job.witness is not None for scope, _ in job.witness.epochs}
            tx = self._engine.begin([job.deed for job in group], scopes, attempt)
            begun = _Begun(tx, perf_counter() + self._bounds.seconds)
        if begun.error is not None:
            raise begun.error
        answers = begun.answers
        for job in group[len(answers) :]:
            if answers and perf_counter() > begun.ends:
                break
            answers.append(self._do(begun.tx, job, begun.events))
        woken = _coalesced(begun.events)
        self._moved.note(woken)
        self._engine.commit(woken)
        return _Done(answers, woken)

    def _do(self, tx: WritingTx, job: _Job, events: list[Event]) -> _Answer:
        tx.savepoint()
        try:
            if job.witness is not None and not tx.holds(job.witness):
                raise Stale("what was judged has changed")
            value = self._functions[type(job.deed)](tx, job.deed)
            woken = tx.release()
        except Fault:
            raise
        except Exception as error:
            tx.undo()
            return _Answer(None, error)
        events.extend(woken)
        return _Answer(value, None)


def _is_brief(job: _Job) -> bool:
    return job.weight <= _BRIEF_OCTETS and job.deed.brief


def _coalesced(events: Sequence[Event]) -> Sequence[Event]:
    """One per folder (the newest modseq), owner and set of scopes: a wake-up carries no data, and fifty say no more than one."""
    if len(events) < 2:
        return events
    found: dict[object, Event] = {}
    for event in events:
        key: object = event
        if isinstance(event, FolderChanged):
            key = (FolderChanged, event.folder)
        elif isinstance(event, PolicyChanged):
            key = (PolicyChanged, event.scopes)
        found.pop(key, None)
        found[key] = event
    return [*found.values()]
