"""Several processes that serve as one: the keeper and the workers are started, replaced when they end, and ended together.

It has one thread, no loop, no database and no connection, so that it can fork at any time and has little to fail by. It holds the
store's lock (the keeper has it too: it is free when both are gone), the listening sockets (what comes while a worker is replaced waits
there), and the memory in which the workers count. Without it the others end.
"""

import asyncio
import ctypes
import gc
import logging
import os
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from time import monotonic
from typing import Any, Final, NoReturn

import uvloop

from config.settings import Settings
from gateway.app import bind, certificate_of, raise_descriptors
from gateway.binding import Binding
from gateway.keeper import keep
from gateway.orders import hear, pair, say
from gateway.readiness import Readiness
from gateway.tallies import SharedTallies
from gateway.worker import work
from store import channel
from store.connect import locked
from store.errors import StoreError, Unusable
from store.lock import Lock

log = logging.getLogger(__name__)

START_SECONDS: Final = 120.0
"""For a process to be ready; the keeper may have a schema to bring up to date, which is waited for as long as it takes."""
LIVED: Final = 10.0
"""Seconds after which the end of a process is no failure to start."""
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 30.0
"""Seconds between the ends of one that ends again and again and the next try; twice as many each time."""
GRACE: Final = 15.0
"""Seconds beyond limits.stop_timeout in which a process ends, or is ended."""

_KEEPER: Final = -1
_SET_PDEATHSIG: Final = 1
_SET_NAME: Final = 15
"""prctl(2)"""


@dataclass(eq=False, slots=True)
class _Child:
    """`slot`: which worker it is, or _KEEPER; `life`: its number, which no other has."""

    slot: int
    life: int
    pid: int
    end: socket.socket
    since: float
    ready: bool = False
    told: str = ""

    @property
    def name(self) -> str:
        return "keeper" if self.slot == _KEEPER else f"worker {self.slot + 1}"


@dataclass(slots=True)
class _Slot:
    """A place that has to have a process. `failures`: ends in a row that came at once; `due`: when the next one is started."""

    child: _Child | None = None
    failures: int = 0
    due: float = 0.0
    waits: bool = field(default=False)


class _Stopped(Exception):
    """A signal ended it before it began."""


def supervise(settings: Settings, readiness: Readiness) -> None:
    """Serves until SIGTERM or SIGINT, then drains; SIGHUP reads the certificate again. Raises store.errors.InUse, Unusable, OSError."""
    raise_descriptors()
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Unusable(f"data: {settings.data} cannot be made: {error.strerror}") from None
    locks = locked(settings.store_url, settings.data)
    try:
        with _signals() as woken:
            Supervisor(settings, locks, woken).run(readiness)
    finally:
        for lock in locks:
            lock.release()


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Where the numbers of signals arrive."""
    woken, waker = socket.socketpair()
    woken.setblocking(False)
    waker.setblocking(False)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
    before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    old = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    try:
        yield woken
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        woken.close()
        waker.close()


class Supervisor:
    """See `supervise`, which is the way in."""

    def __init__(self, settings: Settings, locks: Sequence[Lock], woken: socket.socket) -> None:
        self._settings = settings
        self._locks = locks
        self._woken = woken
        self._tallies = SharedTallies(settings.workers)
        self._binding: Binding | None = None
        self._keeper = _Slot()
        self._workers = [_Slot() for _ in range(settings.workers)]
        self._lives = count(1)
        self._selector = selectors.DefaultSelector()
        self._selector.register(woken, selectors.EVENT_READ)
        self._stopping = False
        self._serving = False

    def run(self, readiness: Readiness) -> None:
        """Until a signal ends it. Raises StoreError, OSError where it cannot begin."""
        try:
            try:
                self._begin()
            except _Stopped:
                return
            assert self._binding is not None
            bound = self._binding.spelled
            readiness.serving(bound)
            told = ", ".join(f"{name} {' '.join(where)}" for name, where in bound.items() if where)
            log.info("serving", extra={"fields": {"outcome": told, "workers": len(self._workers)}})
            self._serving = True
            while not self._stopping:
                self._turn(self._next_due())
                self._replace()
            readiness.stopping()
            log.info("stopping", extra={"fields": {}})
            self._stop()
        finally:
            self._kill_all()
            if self._binding is not None:
                self._binding.close()
            self._selector.close()

    # --- its life

    def _begin(self) -> None:
        """The keeper first: it brings the schema up to date, and makes the keys."""
        self._start_keeper()
        self._until_ready([self._keeper], None)
        certificate_of(self._settings)
        self._binding = bind(self._settings)
        for number in range(len(self._workers)):
            self._start_worker(number)
        self._until_ready(self._workers, monotonic() + START_SECONDS)

    def _until_ready(self, slots: Sequence[_Slot], deadline: float | None) -> None:
        """Raises _Stopped, Unusable."""
        starting = [slot.child for slot in slots]
        while not all(child is not None and child.ready for child in starting):
            if deadline is not None and monotonic() > deadline:
                raise Unusable("a process does not become ready")
            self._turn(deadline)
            if self._stopping:
                raise _Stopped
            for slot, child in zip(slots, starting, strict=True):
                if slot.child is not child and child is not None:
                    raise Unusable(child.told or f"the {child.name} ended before it was ready")

    def _stop(self) -> None:
        """Workers drain first: until they are gone, somebody has to write for them."""
        assert self._binding is not None
        self._binding.close()
        self._order(self._keeper.child, "drain")
        for slot in self._workers:
            self._order(slot.child, "stop")
        self._until_gone(self._workers, self._settings.limits.stop_timeout + GRACE)
        self._order(self._keeper.child, "stop")
        self._until_gone([self._keeper], GRACE)

    def _until_gone(self, slots: Sequence[_Slot], seconds: float) -> None:
        deadline = monotonic() + seconds
        while any(slot.child is not None for slot in slots):
            if monotonic() > deadline:
                for slot in slots:
                    if slot.child is not None:
                        log.warning("process", extra={"fields": {"outcome": "killed: it did not end in time", "name": slot.child.name}})
                        os.kill(slot.child.pid, signal.SIGKILL)
                deadline += seconds
            self._turn(min(deadline, self._next_due() or deadline))
            self._replace()

    def _kill_all(self) -> None:
        for slot in (*self._workers, self._keeper):
            if slot.child is not None:
                with suppress(ProcessLookupError):
                    os.kill(slot.child.pid, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(slot.child.pid, 0)
                slot.child.end.close()
                slot.child = None

    # --- one turn

    def _turn(self, until: float | None) -> None:
        """Waits for a signal or a word, until then at the longest."""
        for key, _ in self._selector.select(None if until is None else max(0.0, until - monotonic())):
            if key.data is None:
                with suppress(BlockingIOError):
                    for number in self._woken.recv(4096):
                        self._signalled(number)
            else:
                self._heard(key.data)
        self._reap()

    def _signalled(self, number: int) -> None:
        match number:
            case signal.SIGTERM | signal.SIGINT:
                self._stopping = True
            case signal.SIGHUP:
                for slot in self._workers:
                    self._order(slot.child, "reload")
            case _:  # SIGCHLD: whoever has ended is found anyway
                pass

    def _heard(self, child: _Child) -> None:
        try:
            order = hear(child.end)
        except BlockingIOError:
            return
        if order is None:
            self._forget_end(child)
            return
        match order.word:
            case "ready":
                child.ready = True
                if child.slot == _KEEPER:
                    for slot in self._workers:
                        self._connect(slot.child)
                if self._serving:
                    log.info("process", extra={"fields": {"outcome": "ready", "name": child.name, "process": child.pid}})
            case "failed":
                child.told = order.text
            case "lost":
                for slot in () if self._stopping else self._workers:
                    if slot.child is not None and slot.child.life == order.number:
                        os.kill(slot.child.pid, signal.SIGKILL)
            case _:
                log.error("process", extra={"fields": {"outcome": "not understood", "name": child.name, "reason": order.word}})

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for slot in (self._keeper, *self._workers):
                if slot.child is not None and slot.child.pid == pid:
                    self._ended(slot, slot.child, status)

    def _ended(self, slot: _Slot, child: _Child, status: int) -> None:
        # What it said last may still be there.
        with suppress(BlockingIOError):
            while (order := hear(child.end)) is not None:
                if order.word == "failed":
                    child.told = order.text
        self._forget_end(child)
        child.end.close()
        slot.child = None
        if child.slot != _KEEPER:
            self._tallies.wipe(child.slot)
            if self._stopping:
                return
        elif self._stopping and not any(one.child for one in self._workers):
            return
        if not self._serving:
            return
        slot.failures = 0 if monotonic() - child.since > LIVED else slot.failures + 1
        pause = 0.0 if slot.failures <= 1 else min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (slot.failures - 2))
        slot.due = monotonic() + pause
        slot.waits = True
        code = os.waitstatus_to_exitcode(status)
        how = child.told or (f"signal {-code}" if code < 0 else f"exit status {code}")
        log.warning(
            "process",
            extra={
                "fields": {
                    "outcome": "ended, and is replaced" if not pause else f"ended again, and is replaced in {pause:g} s",
                    "name": child.name,
                    "process": child.pid,
                    "reason": how,
                }
            },
        )

    def _next_due(self) -> float | None:
        return min((slot.due for slot in (self._keeper, *self._workers) if slot.waits), default=None)

    def _replace(self) -> None:
        now = monotonic()
        if self._keeper.waits and self._keeper.due <= now:
            self._start_keeper(again=True)
        for number, slot in enumerate(self._workers):
            if slot.waits and slot.due <= now and not self._stopping:
                self._start_worker(number)

    # --- processes

    def _start_keeper(self, *, again: bool = False) -> None:
        def run(end: socket.socket) -> Coroutine[Any, Any, None]:
            if self._binding is not None:
                for some in self._binding.sockets.values():
                    for one in some:
                        one.close()
            return keep(self._settings, end, self._locks, first=not again)

        self._start(self._keeper, _KEEPER, next(self._lives), run)

    def _start_worker(self, number: int) -> None:
        slot, life = self._workers[number], next(self._lives)

        def run(end: socket.socket) -> Coroutine[Any, Any, None]:
            for lock in self._locks:
                lock.release()  # in this process only: the supervisor holds it
            assert self._binding is not None
            return work(self._settings, end, self._binding.sockets, self._tallies.within(number), life)

        self._start(slot, number, life, run)
        self._connect(slot.child)

    def _start(self, slot: _Slot, number: int, life: int, run: Callable[[socket.socket], Coroutine[Any, Any, None]]) -> None:
        ours, theirs = pair()
        gc.collect()
        gc.freeze()  # what is there already stays shared memory: the collector must not write into it
        ourselves = os.getpid()
        pid = os.fork()
        if not pid:
            self._become(number, theirs, ours, ourselves, run)
        gc.unfreeze()
        theirs.close()
        child = _Child(number, life, pid, ours, monotonic())
        slot.child = child
        slot.waits = False
        self._selector.register(ours, selectors.EVENT_READ, child)

    def _become(
        self,
        number: int,
        theirs: socket.socket,
        ours: socket.socket,
        parent: int,
        run: Callable[[socket.socket], Coroutine[Any, Any, None]],
    ) -> NoReturn:
        """In the new process."""
        status = 1
        try:
            _die_with_parent(parent, "keeper" if number == _KEEPER else "worker")
            # Signals are the supervisor's: whoever sends one to all of a group would stop the keeper before those it writes for.
            signal.set_wakeup_fd(-1)
            for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(one, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            ours.close()
            self._selector.close()
            self._woken.close()
            for other in (*self._workers, self._keeper):
                if other.child is not None:
                    other.child.end.close()
            try:
                with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                    runner.run(run(theirs))
                status = 0
            except (StoreError, OSError) as error:
                with suppress(OSError):
                    say(theirs, "failed", str(error))
        except BaseException:
            log.exception("a process ended")
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(status)

    def _connect(self, worker: _Child | None) -> None:
        """A channel between this worker and the keeper, if both are there."""
        keeper = self._keeper.child
        if worker is None or keeper is None or not keeper.ready:
            return
        ends = channel.pair()
        try:
            say(keeper.end, "attach", str(worker.life), ends[0].fileno())
            say(worker.end, "attach", "", ends[1].fileno())
        except OSError as error:
            log.warning("process", extra={"fields": {"outcome": "not connected", "name": worker.name, "reason": str(error)}})
            with suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGKILL)
        finally:
            for end in ends:
                end.close()

    def _order(self, child: _Child | None, word: str) -> None:
        if child is None:
            return
        try:
            say(child.end, word)
        except OSError as error:
            log.warning("process", extra={"fields": {"outcome": f"not told to {word}", "name": child.name, "reason": str(error)}})

    def _forget_end(self, child: _Child) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(child.end)


def _die_with_parent(parent: int, name: str) -> None:
    """Linux kills this process with its parent; elsewhere the end of the socketpair has to do (gateway/orders.py)."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.prctl(_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        libc.prctl(_SET_NAME, f"procura {name}".encode()[:15], 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
