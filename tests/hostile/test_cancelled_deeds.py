"""F20, away from the doors of mail: verbs of administrators, on the control socket and behind it, and deeds of a worker, whose writer is
another process. Each is cancelled at each of its awaits: it is done whole and is on record once, or neither; the writer may also be gone
at each await of what it does for a worker."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from gateway.control import Broken, Control, ask
from gateway.prov.run import Ended, Request
from policy.grants import SendRight
from store import audit
from store.channel import Channel, join
from store.connect import connect_remote
from store.remote import RemoteStore
from store.server import StoreServer
from store.sqlite import SqliteStore
from tests.gateway.administration import Office, Told, opened_office
from tests.gateway.house import House as MailHouse
from tests.gateway.house import opened
from tests.hostile.stepping import Aim, Held, Moment, aimed, faults, held, stepped
from tests.hostile.test_cancelled import BRINGS, PEOPLE, SOAKED, Bring, _mail, aims, given_back, written

URL = "sqlite:///{data}/procura.db"
PASSWORD = "a good password"

VERBS: dict[str, tuple[str, str, bool]] = {
    "account": ("prov", f"createAccount {{}}@acme.test '{PASSWORD}' displayName One", True),
    "account gone": ("prov", "deleteAccount there-{}@acme.test", True),
    "status": ("prov", "modifyAccount there-{}@acme.test status locked", True),
    "password": ("prov", "setPassword there-{}@acme.test 'another good one'", SOAKED),
    "list": ("prov", "createDistributionList {}@acme.test", SOAKED),
    "member": ("prov", "addDistributionListMember all@acme.test there-{}@acme.test", True),
    "right": ("prov", "grantRight account owner@acme.test usr there-{}@acme.test sendAs", True),
    "folder": ("prov", "selectMailbox there-{}@acme.test createFolder /Work", SOAKED),
    "folder's grant": ("prov", "selectMailbox there-{}@acme.test modifyFolderGrant /INBOX account owner@acme.test rwi", True),
    "domain": ("prov", "createDomain {}.test", SOAKED),
    "class": ("prov", "createCos c{}", SOAKED),
    "freeze": ("principal", "freeze there-{}@acme.test", True),
    "app password": ("app-password", "create there-{}@acme.test phone", True),
    "window": ("break-glass", "open there-{}@acme.test --by root@acme.test --reason 'it is due'", True),
    "code": ("password", "code there-{}@acme.test", SOAKED),
}
"""What is typed after its command, for the n-th time; and whether it is tried in `make test`."""


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with opened_office(tmp_path) as made:
        await made.done("cd acme.test", "ca owner@acme.test ''", f"ca root@acme.test '{PASSWORD}' isAdminAccount TRUE", "cdl all@acme.test")
        yield made


async def _records(office: Office) -> int:
    async with office.store.snapshot() as snapshot:
        return (await snapshot.ask(audit.head)).number


async def _document(office: Office) -> str:
    """Everything that policy goes by, as an administrator would write it down; names of the n-th try apart."""
    return (await office.command("policy export")).out


async def _typed(office: Office, name: str, at: int) -> Told:
    command, line, _ = VERBS[name]
    return await (office.prov if command == "prov" else partial(_said, office, command))(line.format(f"n{at}"))


async def _said(office: Office, command: str, line: str) -> Told:
    return await office.command(f"{command} {line}")


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("name", [name for name, (_, _, always) in VERBS.items() if SOAKED or always])
async def test_a_verb_is_done_whole_and_on_record_or_neither(office: Office, name: str, moment: Moment) -> None:
    first: Held | None = None
    found: list[tuple[Aim, bool, int, bool]] = []
    for aim in aims(moment):
        await office.done(f"ca there-n{aim.at}@acme.test ''")
        before, at_first = await _records(office), await _document(office)
        told = await stepped(_typed(office, name, aim.at), aim)
        await written(office.store)
        first = await given_back(office.store, first)
        after = await _records(office)
        found.append((aim, told is not None and told.status == 0, after - before, await _document(office) != at_first))
    *_, (_, well, records, changed) = found
    assert well
    assert records == 1, "one record of what is done"
    for aim, answered, more, other in found:
        assert (more, other) in ((0, False), (records, changed)), f"cancelled at await {aim.at}"
        assert not answered or (more, other) == (records, changed), f"answered, and cancelled at await {aim.at}"
    told = await office.command("audit verify")
    assert told.status == 0, told.out


@pytest.mark.parametrize("moment", Moment)
async def test_a_call_that_ends_at_any_await_leaves_nothing(office: Office, tmp_path: Path, moment: Moment) -> None:
    """Through the socket: the task that answers, which ends when the server stops or the caller goes."""
    control = Control(tmp_path, office.desk)
    await control.start()
    first: Held | None = None
    try:
        for aim in aims(moment):
            line = f"n{aim.at}@acme.test"
            before = await _records(office)
            with aimed("Control._connected", aim):
                done = await _called(tmp_path, Request("prov", ("createAccount", line, "")))
            async with asyncio.timeout(10):
                while control._tasks:
                    await asyncio.sleep(0.005)
            await written(office.store)
            first = await given_back(office.store, first)
            there = (await office.prov(f"getAccount {line}")).status == 0
            assert await _records(office) - before == there, f"cancelled at await {aim.at}"
            assert there or not done
            assert done or aim.fired
    finally:
        await control.close()


async def _called(data: Path, request: Request) -> bool:
    try:
        async with asyncio.timeout(10):
            return [event async for event in ask(data, request)][-1] == Ended(0)
    except Broken:
        return False


# --- a worker: its deeds go over a channel


class Worker:
    """A worker's store, and the process that writes for it, which may be replaced."""

    LIFE = 5

    def __init__(self, store: SqliteStore, far: RemoteStore) -> None:
        self.store = store
        self.far = far
        self.server: StoreServer | None = None
        self.gone: list[int] = []
        self._ends: list[Channel] = []

    async def begin(self) -> None:
        """A writer."""
        server = self.server = StoreServer(self.store, self.gone.append)
        here, there = socket.socketpair()

        def received(value: tuple[object, ...]) -> None:
            if server is self.server:
                server.do(self.LIFE, *value[1:])  # type: ignore[arg-type]

        def made(channel: Channel) -> None:
            self._ends.append(channel)
            server.attach(self.LIFE, channel)

        await join(there, made, received, lambda: None)
        await join(here, self.far.attach, lambda value: None if server is not self.server else _heard(self.far, value), self.far.detach)

    async def replace(self) -> None:
        """The writer ends, with all that it has not told."""
        assert self.server is not None
        before, self.server = self.server, None
        before.close()
        for task in before._tasks:
            task.cancel()
        for _ in range(200):
            if self.far._channel is None:
                break
            await asyncio.sleep(0.005)
        await self.begin()


def _heard(far: RemoteStore, value: tuple[object, ...]) -> None:
    assert far.received(value)


@asynccontextmanager
async def worker(tmp_path: Path) -> AsyncIterator[tuple[Worker, MailHouse]]:
    async with AsyncExitStack() as stack:
        near = await stack.enter_async_context(opened(tmp_path, *PEOPLE, relays=True))
        store = near.store.store
        assert isinstance(store, SqliteStore)
        far = await connect_remote(URL, tmp_path / "data", Worker.LIFE)
        made = Worker(store, far)
        await made.begin()
        house = MailHouse(far, near.files, near.clock, relays=True)
        house.ids = near.ids
        await house.grant("olga", "anna", SendRight.SEND_AS)
        try:
            yield made, house
        finally:
            await house.folders.close()
            house.passwords.close()
            await far.close()
            assert made.server is not None
            made.server.close()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("bring", BRINGS[: 3 if SOAKED else 2])
async def test_what_a_worker_begins_is_done_whole_or_not_at_all(tmp_path: Path, bring: Bring, moment: Moment) -> None:
    async with worker(tmp_path) as (made, house):
        found: list[tuple[Aim, bool, dict[str, int]]] = []
        first: Held | None = None
        for aim in aims(moment):
            answered = await stepped(bring(house, f"s{aim.at}", large=True), aim) is not None
            await written(made.far)
            assert not made.far._jobs
            first = await given_back(made.far, first)
            found.append((aim, answered, await _mail(house, f"s{aim.at}")))
        whole = found[-1][2]
        assert len(whole) >= 2
        for aim, answered, there in found:
            assert there in ({}, whole), f"cancelled at await {aim.at}"
            assert not answered or there == whole, f"answered, and cancelled at await {aim.at}"
        assert await faults(made.store, house.files) == []
        assert not made.gone


async def test_a_writer_that_is_replaced_at_any_await_of_a_worker_does_it_once(tmp_path: Path) -> None:
    async with worker(tmp_path) as (made, house):
        for bring in BRINGS[:2]:
            whole: dict[str, int] | None = None
            for at in range(1, 60):
                subject = f"{bring.__name__}-{at}"
                awaits = await _replacing(made, bring(house, subject, large=False), at)
                await written(made.far)
                there = await _mail(house, subject)
                whole = whole or there
                assert there == whole, f"the writer was replaced at await {at}"
                assert set(there.values()) == {1}
                if awaits < at:
                    break
            else:
                raise AssertionError("more awaits than it can have")
        assert await faults(made.store, house.files) == []
        assert (await held(made.far)).lent == 0


async def _replacing(made: Worker, work: Coroutine[object, object, object], at: int) -> int:
    """Run it; at its n-th await the writer ends and another comes. Returns how many awaits there were."""
    counted = 0
    replaced: asyncio.Task[None] | None = None

    class Watched(Coroutine[object, object, object]):
        def send(self, value: object, /) -> object:
            nonlocal counted, replaced
            found = work.send(value)
            counted += 1
            if counted == at:
                replaced = asyncio.get_running_loop().create_task(made.replace())
            return found

        def throw(self, *error: object) -> object:  # type: ignore[override]
            return work.throw(*error)  # type: ignore[call-overload]

        def close(self) -> None:
            work.close()

        def __await__(self) -> object:  # type: ignore[override]
            raise TypeError("it runs in a task")

    async with asyncio.timeout(30):
        await asyncio.get_running_loop().create_task(Watched())
        if replaced is not None:
            await replaced
    return counted
