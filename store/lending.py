"""Connections that are lent to one user at a time, opened when first needed, the last returned lent first."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

from store.errors import Busy

C = TypeVar("C")

TAKE_SECONDS: Final = 5.0
"""How long a snapshot waits for a reader before it is Busy."""


class Lending(Generic[C]):
    """`opens` raises Busy; `discards` must not wait and not raise."""

    def __init__(self, opens: Callable[[], Awaitable[C]], discards: Callable[[C], object], most: int) -> None:
        self._opens = opens
        self._discards = discards
        self._most = most
        self._opened = 0
        self._idle: list[C] = []
        self._waiting: deque[asyncio.Future[C | None]] = deque()
        self._closed = False

    async def take(self) -> C:
        """Raises Busy when none comes free in time, or the store is closed."""
        if self._idle and not self._closed:
            return self._idle.pop()
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                while True:
                    if self._closed:
                        raise Busy("the store is closed")
                    if self._idle:
                        return self._idle.pop()
                    if self._opened < self._most:
                        return await self._open()
                    lent = await self._wait()
                    if lent is not None:
                        return lent
        except TimeoutError:
            raise Busy("no reader came free") from None

    async def _open(self) -> C:
        self._opened += 1
        try:
            return await self._opens()
        except BaseException:
            self._opened -= 1
            self._lend(None)
            raise

    async def _wait(self) -> C | None:
        """A reader, or None: there is a place to open one, or all has changed."""
        waiter: asyncio.Future[C | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            return await waiter
        except BaseException:
            # It may have been lent to us in the very moment in which we stopped waiting.
            if waiter.done() and not waiter.cancelled():
                lent = waiter.result()
                if lent is None:
                    self._lend(None)
                else:
                    self.give(lent)
            raise

    def give(self, reader: C, *, broken: bool = False) -> None:
        """Back from its snapshot; never waits, so that nothing can come between."""
        if broken or self._closed:
            self._opened -= 1
            self._discards(reader)
            self._lend(None)
        elif not self._lend(reader):
            self._idle.append(reader)

    def pick(self, wanted: Callable[[C], bool]) -> list[C]:
        """Those of the idle ones that are wanted, lent; nobody waits while there are idle ones."""
        found = [one for one in self._idle if wanted(one)]
        self._idle = [one for one in self._idle if one not in found]
        return found

    def has(self, wanted: Callable[[C], bool]) -> bool:
        """Is any of the idle ones so?"""
        return any(map(wanted, self._idle))

    def forget_idle(self) -> None:
        """At once: the server is another one now, or was restarted, and what is idle is worth nothing."""
        while self._idle:
            self.give(self._idle.pop(), broken=True)

    def _lend(self, reader: C | None) -> bool:
        """To whoever has waited longest; None: a place."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(reader)
                return True
        return False

    async def close(self, closes: Callable[[C], Awaitable[object]]) -> None:
        """Takes no more; `closes` those that are idle, the others are discarded when they come back."""
        self._closed = True
        while self._lend(None):
            pass
        try:
            while self._idle:
                self._opened -= 1
                await closes(self._idle.pop())
        finally:
            self.forget_idle()
