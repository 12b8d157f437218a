"""The writer's end: does the deeds of other processes, tells them what came of each and what every commit changed.

To a process go, over its channel and in this order: what a commit changed, then the answers to the deeds that were in it. So whoever
has the answer to a deed has been told before whom it concerns, as in one process.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final, Protocol

from policy.decision import Witness
from store import outcomes
from store.channel import Channel, packed, told, unpacked
from store.errors import Busy, StoreError
from store.outcomes import KEYS_OF_A_LIFE, ForgetOutcomes, Once
from store.port import Deed, Event, Store

log = logging.getLogger(__name__)

FORGET_AFTER: Final = 5.0
"""Seconds between two looks at which answers have arrived."""
UNREAD: Final = 64 << 20
"""Octets that a process may leave unread before it is given up."""


class Writes(Store, Protocol):
    """A store that writes in this process."""

    def begin(self, deed: Deed[Any], witness: Witness | None, bulk: bool) -> Awaitable[Any]:
        """As `do`: a future that need not be awaited. Raises Busy."""


class _Remote:
    """A process whose deeds are done here. `answered`: its keys below have their answers; `forgotten`: and these are forgotten."""

    __slots__ = ("answered", "channel", "forgotten")

    def __init__(self, channel: Channel, first: int) -> None:
        self.channel = channel
        self.answered = first
        self.forgotten = first


class StoreServer:
    """`run` is a task of its process. `given_up`: told of a process (its number) that has stopped reading."""

    def __init__(self, store: Writes, given_up: Callable[[int], None]) -> None:
        self._store = store
        self._given_up = given_up
        self._remotes: dict[int, _Remote] = {}
        self._gone: list[tuple[int, int]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._unwatch = store.watch(self._told)

    def attach(self, life: int, channel: Channel) -> None:
        """A process, by its number, which is never used again; from now on it is told of every commit."""
        self._remotes[life] = _Remote(channel, life * KEYS_OF_A_LIFE)
        channel.send(("fault", self._store.fault))

    def detach(self, life: int) -> None:
        """It has ended, and will ask for no answers any more."""
        remote = self._remotes.pop(life, None)
        if remote is not None:
            self._gone.append((remote.forgotten, (life + 1) * KEYS_OF_A_LIFE))

    def do(self, life: int, key: int, answered: int, again: bool, bulk: bool, packed_deed: bytes) -> None:
        """A deed of this process. `answered`: up to (and without) which key all its deeds are answered; `again`: it was sent before,
        to a writer that ended."""
        remote = self._remotes[life]
        remote.answered = answered
        deed, witness = unpacked(packed_deed)
        if again:
            task = asyncio.get_running_loop().create_task(self._do_once(remote, key, deed, witness, bulk))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._begin(remote, key, deed, witness, bulk)

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(FORGET_AFTER)
            try:
                await self._forget()
            except StoreError as fault:
                log.warning("outcomes", extra={"fields": {"outcome": "not forgotten yet", "reason": str(fault)}})

    def close(self) -> None:
        """Tells nobody any more."""
        self._unwatch()
        for remote in self._remotes.values():
            remote.channel.close()

    async def _do_once(self, remote: _Remote, key: int, deed: Deed[Any], witness: Witness | None, bulk: bool) -> None:
        try:
            # Whoever did it is gone: what it committed is all there, and nobody but this process does anything now.
            async with self._store.snapshot() as snapshot:
                answer = await snapshot.ask(outcomes.of, key)
        except Exception as error:
            self._answer(remote, ("unknown", key, str(error)))
            return
        if answer is None:
            self._begin(remote, key, deed, witness, bulk)
        else:
            self._answer(remote, ("done", key, answer))

    def _begin(self, remote: _Remote, key: int, deed: Deed[Any], witness: Witness | None, bulk: bool) -> None:
        try:
            future = self._store.begin(Once(key, deed), witness, bulk)
        except Exception as error:
            self._answer(remote, ("failed", key, told(error)))
            return
        assert isinstance(future, asyncio.Future)
        future.add_done_callback(partial(self._ended, remote, key))

    def _ended(self, remote: _Remote, key: int, future: "asyncio.Future[bytes]") -> None:
        error = future.exception()
        if error is None:
            self._answer(remote, ("done", key, future.result()))
            return
        self._answer(remote, ("failed", key, told(error)))
        if isinstance(error, Busy):
            remote.channel.send(("fault", self._store.fault))

    def _answer(self, remote: _Remote, value: tuple[Any, ...]) -> None:
        try:
            octets = packed(value)
        except Exception:
            # A mistake of ours, which is told where it was made; the error may hold anything.
            log.exception("an answer cannot be sent")
            octets = packed(("failed", value[1], told(RuntimeError(repr(value[2])))))
        remote.channel.send_packed(octets)

    def _told(self, events: Sequence[Event]) -> None:
        if not self._remotes:
            return
        octets = packed(("woken", events))
        for life, remote in (*self._remotes.items(),):
            remote.channel.send_packed(octets)
            if remote.channel.waiting > UNREAD:
                log.warning("worker", extra={"fields": {"outcome": "given up: it does not read", "worker": life}})
                remote.channel.abort()
                self._given_up(life)

    async def _forget(self) -> None:
        known = [(one, one.answered) for one in self._remotes.values() if one.answered > one.forgotten]
        gone = len(self._gone)
        ranges = [(one.forgotten, end) for one, end in known] + self._gone[:gone]
        if ranges:
            await self._store.do(ForgetOutcomes(tuple(ranges)), bulk=True)
            for one, end in known:
                one.forgotten = end
            del self._gone[:gone]
