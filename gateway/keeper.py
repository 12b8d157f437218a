"""The process that there is one of where several serve: the store's writer, the queue, the control socket, and what is done by the hour.

Workers reach it over one channel each. What is theirs (who is logged in there) they are asked for; what all have to know (a failed
login, whether the index can be asked) is passed on to the others.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Collection, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any, Final

from config.settings import Settings
from gateway.app import App, Elsewhere, opened, working
from gateway.garbage import look_seldom
from gateway.orders import Order, Orders
from gateway.sessions import SessionRow
from store.channel import Channel, join
from store.connect import connect, has_one_writer
from store.errors import Busy, StoreError
from store.lock import Lock
from store.outcomes import ForgetOutcomes
from store.server import StoreServer
from store.sqlite import SqliteStore

log = logging.getLogger(__name__)

ANSWERED: Final = 5.0
"""Seconds in which a worker answers, or is said not to."""


class Workers:
    """The workers that are there, by their numbers. Implements open_sessions.Live. `lost` is told whose channel has ended:
    whoever is there without one can do nothing."""

    def __init__(self, lost: Callable[[int], None]) -> None:
        self._lost = lost
        self._channels: dict[int, Channel] = {}
        self._asked: dict[int, tuple[int, asyncio.Future[Any]]] = {}
        self._numbers = 0
        self._indexed = False
        self._app: App | None = None
        self._server: StoreServer | None = None

    def begin(self, app: App, server: StoreServer | None) -> None:
        """Whom their words are for. `server`: where they have no connections of their own that write."""
        self._app = app
        self._server = server

    async def attach(self, life: int, end: socket.socket) -> None:
        """A worker, by its number. Raises OSError."""
        await join(end, partial(self._made, life), partial(self._received, life), partial(self._ended, life))

    # --- sessions

    async def rows(self) -> list[SessionRow]:
        """See Live."""
        rows: list[SessionRow] = [row for some in await self._ask("sessions") for row in some]
        return sorted(rows, key=lambda row: (row.since, row.number))

    async def end(self, numbers: Collection[int]) -> int:
        """See Live."""
        return sum(await self._ask("end", frozenset(numbers)))

    async def written(self) -> None:
        """What they have noted of logins and refusals is in the store. Raises Busy."""
        await self._ask("written")

    # --- what all of them are told

    def failed(self, source: str, now: float, but: int = 0) -> None:
        """A login failed, somewhere else than in `but`."""
        for life, channel in self._channels.items():
            if life != but:
                channel.send(("login failed", source, now))

    def indexed(self, trusted: bool) -> None:
        """The index can be asked, or cannot."""
        self._indexed = trusted
        for channel in self._channels.values():
            channel.send(("index", trusted))

    async def _ask(self, what: str, argument: Any = None) -> list[Any]:
        """Each worker's answer; one that ends meanwhile has none. Raises Busy."""
        waiting: list[asyncio.Future[Any]] = []
        numbers: list[int] = []
        for life, channel in self._channels.items():
            self._numbers += 1
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._asked[self._numbers] = life, future
            waiting.append(future)
            numbers.append(self._numbers)
            channel.send(("ask", self._numbers, what, argument))
        try:
            if waiting:
                _, late = await asyncio.wait(waiting, timeout=ANSWERED)
                if late:
                    raise Busy("a worker does not answer")
            return [answer for future in waiting if (answer := future.result()) is not None]
        finally:
            for number in numbers:
                self._asked.pop(number, None)

    def _made(self, life: int, channel: Channel) -> None:
        self._channels[life] = channel
        if self._server is not None:
            self._server.attach(life, channel)
        channel.send(("index", self._indexed))
        if self._app is not None:
            for source, time in self._app.sources.on_record():
                channel.send(("login failed", source, time))

    def _ended(self, life: int) -> None:
        self._channels.pop(life, None)
        self._lost(life)
        if self._server is not None:
            self._server.detach(life)
        for asked, future in self._asked.values():
            if asked == life and not future.done():
                future.set_result(None)

    def _received(self, life: int, value: tuple[Any, ...]) -> None:
        app = self._app
        assert app is not None
        match value:
            case ("do", key, answered, again, bulk, deed):
                assert self._server is not None
                self._server.do(life, key, answered, again, bulk, deed)
            case ("answer", number, answer):
                _, future = self._asked.get(number, (0, None))
                if future is not None and not future.done():
                    future.set_result(answer)
            case ("busy", number, why):
                _, future = self._asked.get(number, (0, None))
                if future is not None and not future.done():
                    future.set_exception(Busy(why))
            case ("login failed", source, now):
                app.sources.heard(source, now)
                self.failed(source, now, but=life)
            case ("locked out", began):
                for queue in app.login.lockout_began:
                    queue.put_nowait(began)
            case ("index damaged",):
                app.indexing.distrust()
            case _:
                log.error("a worker said what nobody understands", extra={"fields": {"reason": str(value[0])}})


async def keep(settings: Settings, end: socket.socket, locks: Sequence[Lock], *, first: bool) -> None:
    """Until the supervisor says so: `drain` ends what is begun from outside, `stop` the rest. `first`: since the installation was started.

    Raises what `opened` raises.
    """
    drain, stop = asyncio.Event(), asyncio.Event()
    attaching: set[asyncio.Task[None]] = set()

    def obey(order: Order) -> None:
        match order.word:
            case "attach":
                task = asyncio.get_running_loop().create_task(workers.attach(order.number, socket.socket(fileno=order.descriptor)))
                attaching.add(task)
                task.add_done_callback(attaching.discard)
            case "drain":
                drain.set()
            case "stop":
                drain.set()
                stop.set()
            case _:
                log.error("the supervisor said what nobody understands", extra={"fields": {"reason": order.word}})

    one_writer = has_one_writer(settings.store_url)
    store = await connect(settings.store_url, settings.data, staleness=settings.policy_max_staleness, locks=locks)
    orders = Orders(end, obey)

    def lost(life: int) -> None:
        orders.say("lost", str(life))

    workers = Workers(lost)
    server = StoreServer(store, lost) if one_writer and isinstance(store, SqliteStore) else None
    if first and server is not None:
        # Whoever could ask for these is gone.
        await store.do(ForgetOutcomes(((0, 1 << 62),)))
    elsewhere = Elsewhere(live=workers, failed=workers.failed, written=workers.written, indexed=workers.indexed)
    forgetting = None if server is None else asyncio.get_running_loop().create_task(server.run())
    try:
        async with opened(settings, elsewhere, store) as app, AsyncExitStack() as doors:
            workers.begin(app, server)
            doors.push_async_callback(stop.wait)
            async with working(app, doors):
                orders.say("ready")
                look_seldom()
                await drain.wait()
            orders.close()
            if server is not None:
                server.close()
    finally:
        if forgetting is not None:
            forgetting.cancel()
            with suppress(asyncio.CancelledError, StoreError):
                await forgetting
