"""One of several processes that speak the mail protocols: connections are its own, everything else it shares with the others.

On SQLite its store reads here and writes where the keeper is; of a keeper that is replaced, its sessions notice a wait. On PostgreSQL it
is a node of its own.
"""

import asyncio
import logging
import socket
from typing import Any

from config.settings import Settings
from gateway.app import App, Elsewhere, certificate_of, mail_doors, opened, read_again
from gateway.binding import Sockets
from gateway.garbage import look_seldom
from gateway.login import LockoutBegan
from gateway.orders import Order, Orders
from gateway.tallies import Tallies
from store.channel import Channel, join
from store.connect import connect, connect_remote, has_one_writer
from store.errors import StoreError
from store.port import Store
from store.remote import RemoteStore

log = logging.getLogger(__name__)


class Link:
    """This worker's end of the channel to the keeper, which may be another one tomorrow."""

    def __init__(self, remote: RemoteStore | None) -> None:
        self._remote = remote
        self._channel: Channel | None = None
        self._app: App | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()

    def begin(self, app: App) -> None:
        """Whom the keeper's words are for."""
        self._app = app

    async def attach(self, end: socket.socket) -> None:
        """A keeper. Raises OSError."""
        await join(end, self._made, self._received, self._ended)

    def failed(self, source: str, now: float) -> None:
        """A login failed here."""
        self._send(("login failed", source, now))

    def damaged(self) -> None:
        """A search has found the index damaged. In some thread."""
        self._loop.call_soon_threadsafe(self._send, ("index damaged",))

    async def tell_lockouts(self, began: "asyncio.Queue[LockoutBegan]") -> None:
        """Until it is cancelled."""
        while True:
            self._send(("locked out", await began.get()))

    def _send(self, value: tuple[Any, ...]) -> None:
        if self._channel is not None:
            self._channel.send(value)

    def _made(self, channel: Channel) -> None:
        self._channel = channel
        if self._remote is not None:
            self._remote.attach(channel)

    def _ended(self) -> None:
        self._channel = None
        if self._remote is not None:
            self._remote.detach()

    def _received(self, value: tuple[Any, ...]) -> None:
        if self._remote is not None and self._remote.received(value):
            return
        app = self._app
        if app is None:
            return
        match value:
            case ("ask", number, "sessions", _):
                self._send(("answer", number, app.sessions.rows()))
            case ("ask", number, "end", numbers):
                self._send(("answer", number, app.sessions.end(numbers)))
            case ("ask", number, "written", _):
                task = self._loop.create_task(self._write(app, number))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case ("login failed", source, now):
                app.sources.heard(source, now)
            case ("index", trusted):
                app.index.follow(trusted=trusted)
            case _:
                log.error("the keeper said what nobody understands", extra={"fields": {"reason": str(value[0])}})

    async def _write(self, app: App, number: int) -> None:
        try:
            await app.history.write()
            await app.refusals.write()
        except StoreError as error:
            self._send(("busy", number, str(error)))
        else:
            self._send(("answer", number, True))


async def work(settings: Settings, end: socket.socket, sockets: Sockets, tallies: Tallies, life: int) -> None:
    """Until the supervisor says `stop`; then it drains. `life`: its number, which no process has had before.

    Raises what `opened` raises.
    """
    stop = asyncio.Event()
    store: Store
    remote: RemoteStore | None = None
    if has_one_writer(settings.store_url):
        store = remote = await connect_remote(settings.store_url, settings.data, life)
    else:
        store = await connect(settings.store_url, settings.data, staleness=settings.policy_max_staleness, locks=(), process=tallies.process)
    link = Link(remote)
    elsewhere = Elsewhere(tallies=tallies, failed=link.failed, damaged=link.damaged)
    async with opened(settings, elsewhere, store) as app:
        link.begin(app)
        certificate = certificate_of(settings)
        tasks: set[asyncio.Task[None]] = set()

        def obey(order: Order) -> None:
            match order.word:
                case "attach":
                    tasks.add(asyncio.get_running_loop().create_task(link.attach(socket.socket(fileno=order.descriptor))))
                case "reload":
                    read_again(certificate.reload)
                case "stop":
                    stop.set()
                case _:
                    log.error("the supervisor said what nobody understands", extra={"fields": {"reason": order.word}})

        orders = Orders(end, obey)
        # The notice is the keeper's to write: it lives longer than a worker.
        began: asyncio.Queue[LockoutBegan] = asyncio.Queue()
        app.login.lockout_began[:] = [began]
        tasks.add(asyncio.get_running_loop().create_task(link.tell_lockouts(began)))
        async with mail_doors(app, certificate, {}, sockets):
            orders.say("ready")
            look_seldom()
            await stop.wait()
        for task in tasks:
            task.cancel()
