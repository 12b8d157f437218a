"""A coroutine that is cancelled at its n-th await, for every n: what a peer that vanishes, a status that changes or a server that stops
may do to a handler at any moment (robustness.md F20)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, TypeVar

from store import blobs, verify
from store.blobs import Files
from store.port import Store

T = TypeVar("T")


class Moment(Enum):
    """Of an await: while it waits, so that what it waits for is cancelled too; or when that has just come to its end, and nobody takes
    what it came to."""

    WAITING = "waiting"
    ANSWERED = "answered"


@dataclass
class Aim:
    """The await at which to cancel, counted from 1. `fired`: there was one."""

    at: int
    moment: Moment
    awaited: int = 0
    fired: bool = False


class Stepped(Coroutine[Any, Any, T]):
    """Runs in a task of its own, which it cancels as `aim` says."""

    def __init__(self, work: Coroutine[Any, Any, T], aim: Aim) -> None:
        self._work = work
        self._aim = aim
        self.__qualname__ = getattr(work, "__qualname__", "stepped")

    def _yielded(self, waits_for: Any) -> Any:
        aim = self._aim
        aim.awaited += 1
        if aim.awaited == aim.at:
            aim.fired = True
            task = asyncio.current_task()
            assert task is not None
            if aim.moment is Moment.ANSWERED and isinstance(waits_for, asyncio.Future) and not waits_for.done():
                # Ours is called before the task's own, which is added when we return.
                waits_for.add_done_callback(lambda _: task.cancel())
            else:
                task.cancel()
        return waits_for

    def send(self, value: Any, /) -> Any:
        return self._yielded(self._work.send(value))

    def throw(
        self, kind: Any, value: BaseException | object | None = None, traceback: TracebackType | None = None, /
    ) -> Any:  # the protocol's own signature
        return self._yielded(self._work.throw(kind if isinstance(kind, BaseException) else value or kind))

    def close(self) -> None:
        self._work.close()

    def __await__(self) -> Generator[Any, Any, T]:
        raise TypeError("it runs in a task")


async def stepped(work: Coroutine[Any, Any, T], aim: Aim) -> T | None:
    """What it came to, None where it was cancelled."""
    task = asyncio.get_running_loop().create_task(Stepped(work, aim))
    await asyncio.wait({task}, timeout=30)
    assert task.done(), f"cancelled at await {aim.at} ({aim.moment.value}), it never ends"
    return None if task.cancelled() else task.result()


@contextmanager
def aimed(name: str, aim: Aim) -> Generator[None]:
    """The next task that is made of a coroutine of this (qualified) name is cancelled so."""
    loop = asyncio.get_running_loop()
    waiting = [aim]

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        if waiting and getattr(work, "__qualname__", "") == name:
            work = Stepped(work, waiting.pop())
        return asyncio.Task(work, loop=loop, **options)

    loop.set_task_factory(make)  # type: ignore[arg-type]
    try:
        yield
    finally:
        loop.set_task_factory(None)


@dataclass(frozen=True)
class Held:
    """What a process holds while nothing happens."""

    tasks: int
    descriptors: int
    lent: int
    """Connections that read and were not given back."""

    def exceeds(self, first: Held, room: int) -> bool:
        """Is anything held that was not before? One descriptor is a look at descriptors itself."""
        return bool(self.lent) or self.tasks > first.tasks + room or self.descriptors > first.descriptors + 1 + room


async def held(store: Store) -> Held:
    """Once nothing moves any more."""
    before: Held | None = None
    for _ in range(200):
        # What was under way comes to its end in threads too.
        await asyncio.sleep(0.005)
        now = _held(store)
        if now == before and not now.lent:
            return now
        before = now
    return _held(store)


def _held(store: Any) -> Held:
    readers = getattr(store, "_readers", None) or store.readers
    idle, opened, waiting = readers._idle, readers._opened, readers._waiting
    return Held(len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd")) - 2 * opened, opened - len(idle) + len(waiting))


async def faults(store: Store, files: Files) -> list[str]:
    """What `procura verify` finds wrong, of what a deed can break."""
    found: list[verify.Finding] = []
    for question in (verify.folders, verify.used, verify.messages):
        found += await _paged(store, question)
    async with store.snapshot() as snapshot:
        found += await snapshot.work(verify.strays)
        page, in_files = await snapshot.work(verify.octets, 0)
    found += page.findings
    said = [f"{one.where}: {one.what}" for one in found]
    return said + [why for one in in_files if (why := await verify.in_file(files, one)) is not None]


async def _paged(store: Store, question: Callable[..., verify.Counted]) -> list[verify.Finding]:
    found: list[verify.Finding] = []
    after: int | None = 0
    while after is not None:
        async with store.snapshot() as snapshot:
            page = await snapshot.work(question, after)
        found += page.findings
        after = page.after
    return found


async def unnamed(store: Store, files: Files) -> list[str]:
    """Files that no row names: they wait for the sweep."""
    aged = await asyncio.to_thread(files.aged, 1 << 62)
    async with store.snapshot() as snapshot:
        return list(await snapshot.work(blobs.orphans, aged))
