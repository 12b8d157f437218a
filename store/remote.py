"""A store whose writer is another process: reads are made here, deeds go there and come back as answers.

A writer that ends leaves deeds whose outcome nobody knows. They are sent again to the next one under their keys, and answered from
what their transaction left (store/outcomes.py); meanwhile their callers wait. Whatever was changed may have been changed unheard:
`EverythingChanged`.
"""

# ruff: noqa: D102 - what the methods promise stands in store/port.py

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from policy.decision import Witness
from store.channel import LARGEST, Channel, packed, raised, unpacked
from store.clock import Obedience
from store.errors import Busy
from store.floor import Floor
from store.lending import Lending
from store.outcomes import KEYS_OF_A_LIFE
from store.port import Deed, Event, EverythingChanged
from store.sqlite import Connection, SqliteSnapshot, copied, reader
from store.writer import Bounds, ended

T = TypeVar("T")

PATIENCE: Final = 10.0
"""Seconds that a deed waits for a writer when there is none; then it is Busy, for it was sent to nobody."""


class _Job:
    __slots__ = ("bulk", "future", "octets", "sent", "timer")

    def __init__(self, octets: bytes, bulk: bool, future: "asyncio.Future[Any]") -> None:
        self.octets = octets
        self.bulk = bulk
        self.future = future
        self.sent = False
        self.timer: asyncio.TimerHandle | None = None


class RemoteStore:
    """See store.port.Store. `life`: the number of this process, which no other has had since the installation was started."""

    def __init__(
        self,
        path: Path,
        statements: Mapping[str, str],
        floor: Floor,
        readers: int,
        life: int,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    ) -> None:
        self._path = path
        self._statements = statements
        self.floor = floor
        self._now = floor.now
        self._readers = Lending(partial(reader, path), Connection.stop, readers)
        self.node = secrets.token_hex(8)
        self._bounds = bounds
        self._channel: Channel | None = None
        self._attached = False
        self._jobs: dict[int, _Job] = {}
        self._octets = 0
        self._next = life * KEYS_OF_A_LIFE
        self._told: dict[object, Callable[[Sequence[Event]], None]] = {}
        self._obedience = Obedience(floor, self.snapshot)
        self.watch(self._obedience.told)
        self._closing = False
        self._idle: asyncio.Future[None] | None = None
        self._fault: str | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def fault(self) -> str | None:
        return self._fault

    @property
    def moved(self) -> None:
        return None

    @property
    def leads(self) -> bool:
        # What is done once is done where the writer is.
        return False

    def snapshot(self) -> SqliteSnapshot:
        return SqliteSnapshot(self._readers, self._statements, self._now)

    async def do(self, deed: Deed[T], witness: Witness | None = None, *, bulk: bool = False) -> T:
        if self._closing:
            raise Busy("the store is closing")
        octets = packed((deed, witness))
        waiting = len(self._jobs)
        full = waiting >= self._bounds.waiting or (waiting and self._octets + len(octets) > self._bounds.waiting_octets)
        if full or len(octets) > LARGEST // 2:
            raise Busy("too much is waiting to be written")
        key = self._next
        self._next += 1
        job = self._jobs[key] = _Job(octets, bulk, self._loop.create_future())
        self._octets += len(octets)
        if self._channel is None:
            job.timer = self._loop.call_later(PATIENCE, self._give_up, key)
        else:
            self._send(self._channel, key, job)
        done: T = await job.future
        return done

    def watch(self, told: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        token = object()
        self._told[token] = told

        def end() -> None:
            self._told.pop(token, None)

        return end

    async def copy(self, target: Path, told: Callable[[int, int], None]) -> int:
        future = self._loop.run_in_executor(None, copied, self._path, target, told, self._now)
        cancelled = await ended(future)
        if cancelled is not None:
            future.exception()
            raise cancelled
        return future.result()

    async def close(self) -> None:
        """What is under way is waited for."""
        self._closing = True
        try:
            while self._jobs:
                self._idle = self._loop.create_future()
                await asyncio.wait((self._idle,))
            await self._obedience.close()
        finally:
            await self._readers.close(Connection.close)

    # --- the writer's end

    def attach(self, channel: Channel) -> None:
        """A writer is there: the first, or the next."""
        self._channel = channel
        for key, job in (*self._jobs.items(),):
            self._send(channel, key, job)
        if self._attached:
            self._tell((EverythingChanged(),))
        else:
            self._obedience.look()
        self._attached = True

    def detach(self) -> None:
        """The writer is gone."""
        self._channel = None

    def received(self, value: tuple[Any, ...]) -> bool:
        """What came over the channel; False: it is not the store's."""
        match value:
            case ("done", key, answer):
                self._settle(key, unpacked(answer), None)
            case ("failed", key, fault):
                self._settle(key, None, raised(fault))
            case ("unknown", key, _):
                # The writer could not look; what it has not answered is asked for until it can.
                self._loop.call_later(1.0, self._ask_again, key)
            case ("woken", events):
                self._tell(events)
            case ("fault", fault):
                self._fault = fault
            case _:
                return False
        return True

    def _send(self, channel: Channel, key: int, job: _Job) -> None:
        if job.timer is not None:
            job.timer.cancel()
            job.timer = None
        # The oldest that has no answer: the keys below have theirs.
        channel.send(("do", key, next(iter(self._jobs)), job.sent, job.bulk, job.octets))
        job.sent = True

    def _ask_again(self, key: int) -> None:
        job = self._jobs.get(key)
        if job is not None and self._channel is not None:
            self._send(self._channel, key, job)

    def _give_up(self, key: int) -> None:
        self._settle(key, None, Busy("the writer is not there"))

    def _settle(self, key: int, value: Any, error: BaseException | None) -> None:
        job = self._jobs.pop(key, None)
        if job is None:
            return
        self._octets -= len(job.octets)
        if not job.future.done():
            if error is None:
                job.future.set_result(value)
            else:
                job.future.set_exception(error)
        if not self._jobs and self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _tell(self, events: Sequence[Event]) -> None:
        for told in (*self._told.values(),):
            try:
                told(events)
            except Exception as error:
                self._loop.call_exception_handler({"message": "a watcher of the store failed", "exception": error})
