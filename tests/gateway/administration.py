"""A desk for administrators on a temporary store, with a clock that the test turns, and a way to type lines at it."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import Clock as Steps
from gateway.delivery import Delivery, DeliveryRules
from gateway.directory.open_sessions import OpenSessions
from gateway.directory.premises import Premises
from gateway.directory.service import Directory
from gateway.explain import Explain
from gateway.folders import Folders
from gateway.loginhistory import LoginHistory
from gateway.passwords import PasswordCost, Passwords
from gateway.prov.arguments import words
from gateway.prov.run import Ended, Progress, Request, Said, run
from gateway.prov.supposing import scratch_of
from gateway.prov.verb import Desk
from gateway.recalls import Recalls
from gateway.seals import Seals
from gateway.sessions import SessionRow
from store.blobs import Files
from store.connect import connect
from store.fulltext import FullText
from store.port import Store
from tests.store.laid import laid

SECOND = 1_000_000
START = 1_800_000_000 * SECOND  # 2027-01-15T08:00:00Z

CHEAP = PasswordCost(memory=8, time=1)


@dataclass
class Clock:
    """Microseconds since 1970 UTC, standing still until it is turned."""

    at: int = START

    def __call__(self) -> int:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


@dataclass(frozen=True)
class Told:
    """What came of a line."""

    status: int
    out: str
    err: str
    progress: tuple[int, ...] = ()


@dataclass
class Listed:
    """Open sessions that a test has put there, and those that were ended."""

    sessions: list[SessionRow]

    async def rows(self) -> list[SessionRow]:
        return [*self.sessions]

    async def end(self, numbers: Collection[int]) -> int:
        ended = [row for row in self.sessions if row.number in numbers]
        self.sessions[:] = [row for row in self.sessions if row.number not in numbers]
        return len(ended)


@dataclass
class Office:
    """A desk, and what stands behind it."""

    store: Store
    folders: Folders
    passwords: Passwords
    desk: Desk
    clock: Clock
    open_sessions: list[SessionRow]
    history: LoginHistory

    @property
    def directory(self) -> Directory:
        return self.desk.directory

    async def ask(self, request: Request, lines: Sequence[str] | None = None) -> Told:
        out, err, status, progress = "", "", -1, []

        async def each() -> AsyncIterator[str]:
            for line in lines or ():
                yield line

        async for event in run(self.desk, request, None if lines is None else each()):
            match event:
                case Said(text, error):
                    out, err = (out, err + text) if error else (out + text, err)
                case Progress(done):
                    progress.append(done)
                case Ended(found):
                    status = found
        return Told(status, out, err, tuple(progress))

    async def prov(self, line: str, *, as_json: bool = False) -> Told:
        """A line as it is typed after `procura prov`."""
        return await self.ask(Request("prov", tuple(words(line)), as_json))

    async def done(self, *lines: str) -> None:
        """Each of them works."""
        for line in lines:
            told = await self.prov(line)
            assert told.status == 0, f"{line}: {told.err}"

    async def command(self, line: str, *, as_json: bool = False) -> Told:
        """A line as it is typed after `procura`: can, unlock, queue, sessions, audit."""
        command, *arguments = words(line)
        return await self.ask(Request(command, tuple(arguments), as_json))


@asynccontextmanager
async def opened_office(
    data: Path, keep_deleted: int = 0, clock: Clock | None = None, monotonic: Callable[[], int] | None = None
) -> AsyncIterator[Office]:
    clock = clock or Clock()
    store = await connect(laid("sqlite:///{data}/procura.db", data), data, now=clock, monotonic=monotonic)
    files = Files(data / "messages")
    delivery = Delivery(store, files, DeliveryRules("mx.acme.test", relays=False, hops=50, quota_rejects=False, lifetime=86400 * SECOND))
    recalls = Recalls(store, files, delivery)
    folders = Folders(store, files, recalling=recalls)
    passwords = Passwords(CHEAP, b"key")
    sessions: list[SessionRow] = []
    index = FullText(data / "search.db", "1")
    premises = Premises(data, files, index.faults, keep_deleted)
    history = LoginHistory(store, wall_clock=clock)
    directory = Directory(
        store,
        folders,
        passwords.verifiers,
        delivery,
        premises,
        recalls=recalls,
        seals=Seals(data, clock),
        app_password_key=passwords.app_password_key,
        totp_key=passwords.totp_key,
        verify=passwords.verify,
        steps=None if monotonic is None else Steps(store, lambda: monotonic() / SECOND),
    )
    opened = OpenSessions(store, directory.records, Listed(sessions), history)
    desk = Desk(directory, Explain(store), opened, scratch_of("sqlite:///{data}/procura.db", data))
    try:
        yield Office(store, folders, passwords, desk, clock, sessions, history)
    finally:
        await history.close()
        await folders.close()
        passwords.close()
        await store.close()
