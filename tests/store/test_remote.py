"""A store whose writer is elsewhere: answers, wakes before them, and what becomes of deeds when the writer is killed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from policy.identity import Address, DomainId
from store import accounts, outcomes, remote
from store.accounts import CreateAccount
from store.channel import Channel, told, unpacked
from store.connect import connect, connect_remote
from store.domains import CreateDomain, ModifyDomain
from store.errors import Busy, Conflict, NotFound, Stale
from store.floor import unbound
from store.port import DIRECTORY, Event, EverythingChanged, PolicyChanged
from store.remote import RemoteStore
from store.server import StoreServer
from store.sqlite import SqliteStore

URL = "sqlite:///{data}/procura.db"
LIFE = 3


class Line:
    """A channel that keeps what is sent, until the test carries it to the other end."""

    waiting = 0

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.aborted = False

    def send(self, value: Any) -> None:
        self.sent.append(value)

    def send_packed(self, octets: bytes) -> None:
        self.sent.append(unpacked(octets))

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        pass


class Between:
    """A worker's store, the writer's end, and what lies between them."""

    def __init__(self, store: SqliteStore, far: RemoteStore) -> None:
        self.store = store
        self.far = far
        self.given_up: list[int] = []
        self.begin()

    def begin(self) -> None:
        """A new writer on the same database."""
        self.server = StoreServer(self.store, self.given_up.append)
        self.up, self.down = Line(), Line()
        self.server.attach(LIFE, cast(Channel, self.down))
        self.far.attach(cast(Channel, self.up))

    def carry_up(self) -> None:
        sent, self.up.sent = self.up.sent, []
        for _, *rest in sent:
            self.server.do(LIFE, *rest)

    async def done(self, count: int = 1) -> None:
        """Until so many answers wait to be carried down."""
        for _ in range(1000):
            if sum(value[0] in ("done", "failed") for value in self.down.sent) >= count:
                return
            await asyncio.sleep(0.005)
        raise AssertionError(self.down.sent)

    def carry_down(self) -> None:
        sent, self.down.sent = self.down.sent, []
        for value in sent:
            assert self.far.received(value)

    async def do(self, deed: Any, witness: Any = None) -> Any:
        asked = asyncio.ensure_future(self.far.do(deed, witness))
        await asyncio.sleep(0)
        self.carry_up()
        await self.done()
        self.carry_down()
        return await asked

    def die(self) -> None:
        """The writer is killed: nothing that it sent arrives."""
        self.server.close()
        self.far.detach()
        self.begin()


@pytest.fixture
async def between(tmp_path: Path) -> AsyncIterator[Between]:
    store = await connect(URL, tmp_path)
    assert isinstance(store, SqliteStore)
    await store.do(CreateDomain("acme.test"))
    far = await connect_remote(URL, tmp_path, LIFE)
    yield Between(store, far)
    await far.close()
    await store.close()


def anna() -> CreateAccount:
    return CreateAccount(Address("anna", "acme.test"))


async def counted(store: SqliteStore | RemoteStore) -> int:
    async with store.snapshot() as snapshot:
        found = await snapshot.ask(accounts.of_domain, DomainId(1), 0, 100)
        return len(found)


async def test_what_is_done_there_is_seen_here(between: Between) -> None:
    number = await between.do(anna())
    async with between.far.snapshot() as snapshot:
        row = await snapshot.ask(accounts.by_id, number)
    assert row is not None
    assert row.address == Address("anna", "acme.test")


async def test_refusals_keep_their_types(between: Between) -> None:
    await between.do(anna())
    with pytest.raises(Conflict):
        await between.do(anna())
    with pytest.raises(NotFound):
        await between.do(ModifyDomain(DomainId(99), note="x"))
    async with between.far.snapshot() as snapshot:
        witness = await snapshot.witness(DIRECTORY)
    await between.do(CreateDomain("other.test"))
    with pytest.raises(Stale):
        await between.do(CreateDomain("third.test"), witness)


async def test_wakes_come_before_the_answer(between: Between) -> None:
    told: list[Sequence[Event]] = []
    answered: list[bool] = []
    asked = asyncio.ensure_future(between.far.do(CreateDomain("other.test")))
    asked.add_done_callback(lambda _: answered.append(bool(told)))
    between.far.watch(told.append)
    await asyncio.sleep(0)
    between.carry_up()
    await between.done()
    assert [value[0] for value in between.down.sent if value[0] != "fault"] == ["woken", "done"]
    between.carry_down()
    await asked
    assert answered == [True]
    assert any(isinstance(event, PolicyChanged) for event in told[0])


async def test_a_deed_whose_answer_was_lost_is_answered_and_not_done_twice(between: Between) -> None:
    asked = asyncio.ensure_future(between.far.do(anna()))
    await asyncio.sleep(0)
    between.carry_up()
    await between.done()
    between.die()
    assert not asked.done()
    assert between.up.sent[0][3] is True, "it is said that it was sent before"
    between.carry_up()
    await between.done()
    between.carry_down()
    number = await asked
    assert await counted(between.store) == 1
    async with between.store.snapshot() as snapshot:
        assert (await snapshot.ask(accounts.by_id, number)) is not None


async def test_a_deed_that_was_lost_on_its_way_is_done(between: Between) -> None:
    asked = asyncio.ensure_future(between.far.do(anna()))
    await asyncio.sleep(0)
    between.die()
    assert between.up.sent[0][3] is True
    between.carry_up()
    await between.done()
    between.carry_down()
    await asked
    assert await counted(between.store) == 1


async def test_a_witness_that_the_deed_itself_made_stale_does_not_refuse_it_again(between: Between) -> None:
    async with between.far.snapshot() as snapshot:
        witness = await snapshot.witness(DIRECTORY)
    asked = asyncio.ensure_future(between.far.do(CreateDomain("other.test"), witness))
    await asyncio.sleep(0)
    between.carry_up()
    await between.done()
    between.die()
    between.carry_up()
    await between.done()
    between.carry_down()
    assert await asked


async def test_everything_counts_as_changed_after_another_writer_came(between: Between) -> None:
    told: list[Sequence[Event]] = []
    between.far.watch(told.append)
    between.die()
    assert told == [(EverythingChanged(),)]


async def test_cancelling_the_caller_does_not_cancel_the_deed(between: Between) -> None:
    asked = asyncio.ensure_future(between.far.do(anna()))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait((asked,))
    between.carry_up()
    await between.done()
    between.carry_down()
    assert await counted(between.store) == 1


async def test_without_a_writer_a_deed_waits_for_a_while_and_was_not_done(between: Between, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PATIENCE", 0.05)
    between.far.detach()
    with pytest.raises(Busy):
        await between.far.do(anna())
    between.begin()
    assert between.up.sent == []


async def test_what_waited_for_a_writer_is_sent_to_it(between: Between) -> None:
    between.far.detach()
    asked = asyncio.ensure_future(between.far.do(anna()))
    await asyncio.sleep(0)
    between.begin()
    assert [value[3] for value in between.up.sent] == [False]
    between.carry_up()
    await between.done()
    between.carry_down()
    assert await asked


async def test_answers_that_arrived_are_forgotten(between: Between) -> None:
    first = remote.KEYS_OF_A_LIFE * LIFE
    await between.do(anna())
    await between.do(CreateDomain("other.test"))
    await between.server._forget()
    async with between.store.snapshot() as snapshot:
        # The second one tells that the first is answered; of itself nobody has told yet.
        assert await snapshot.ask(outcomes.of, first) is None
        assert await snapshot.ask(outcomes.of, first + 1) is not None
    between.server.detach(LIFE)
    await between.server._forget()
    async with between.store.snapshot() as snapshot:
        assert await snapshot.ask(outcomes.of, first + 1) is None


async def test_what_waits_is_bounded(between: Between) -> None:
    far = RemoteStore(between.far._path, {}, unbound(lambda: 0), 1, 9, remote.Bounds(waiting=2))
    far.attach(cast(Channel, Line()))
    asked = [asyncio.ensure_future(far.do(anna())) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Busy):
        await far.do(anna())
    for number, one in enumerate(asked):
        far.received(("failed", 9 * remote.KEYS_OF_A_LIFE + number, told(Busy("later"))))
        with pytest.raises(Busy):
            await one
    await far.close()


async def test_closing_waits_for_what_is_under_way(between: Between) -> None:
    asked = asyncio.ensure_future(between.far.do(anna()))
    await asyncio.sleep(0)
    closing = asyncio.ensure_future(between.far.close())
    await asyncio.sleep(0)
    assert not closing.done()
    with pytest.raises(Busy):
        await between.far.do(anna())
    between.carry_up()
    await between.done()
    between.carry_down()
    await asked
    await closing


async def test_who_does_not_read_is_given_up(between: Between) -> None:
    between.down.waiting = 1 << 30
    await between.store.do(CreateDomain("other.test"))
    assert between.down.aborted
    assert between.given_up == [LIFE]
