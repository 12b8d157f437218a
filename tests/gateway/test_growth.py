"""Nothing on a hot path grows with the accounts and grants there are: steps of SQLite's machine are counted, not seconds.

How long it takes in large stores: tests/bench/growth.py.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import pytest

import store.sqlite
from gateway.folders import Place
from gateway.folders.values import Visit
from gateway.login import Login, Peer
from gateway.neighbour.logins import Logins
from gateway.passwords import Passwords
from gateway.refusal import Refused
from gateway.sasl.exchange import Credentials
from gateway.sources import FailingSources
from policy.delivery import Door
from policy.folders import FolderOp
from policy.identity import AccountId
from store.accounts import ModifyAccount
from store.blobs import Files
from store.connect import connect
from store.criteria import Field, FieldContains, FlagIs
from store.model import Flag
from store.queue import ClaimDue, Reschedule
from tests.bench.population import NEVER, OWN_MAIL, Population, Sizes
from tests.gateway.house import CHEAP, Clock, House, address, letter

FEW = Sizes(accounts=10, grants=10, messages=20)
MANY = Sizes(accounts=10_000, grants=10_000, messages=20)
URL: Final = "sqlite:///{data}/procura.db"
WORD: Final = "correct horse 7"

SLACK: Final = 2500
"""Steps: what another depth of a tree and a few grants that are looked through make (FEW in store/grants.py). All of them make 40,000."""


class Steps:
    """Of every connection of the store, as often as SQLite looks whether it should go on: at each turn of a loop."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> int:
        self.count += 1
        return 0

    async def of(self, act: Callable[[], Awaitable[object]]) -> int:
        """The second time: the first fills what is kept."""
        await act()
        before = self.count
        await act()
        return self.count - before


@contextmanager
def counted() -> Iterator[Steps]:
    steps = Steps()
    through = store.sqlite.open_file

    def opening(path: Path, *, writes: bool) -> sqlite3.Connection:
        connection = through(path, writes=writes)
        connection.set_progress_handler(steps, 1)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.sqlite, "open_file", opening)
        yield steps


class Hot:
    """What happens all the time, each by the service that does it."""

    def __init__(self, house: House, login: Login) -> None:
        self.house = house
        self._login = login
        self._folders = house.folders
        self._helper = Visit(house.actor("helper"), "imap", "192.0.2.1")
        self._owner = Visit(house.actor("owner"), "imap", "192.0.2.1")
        self._posta = Place("owner@acme.test", "/Posta")
        self._sent = 0

    async def deliver(self) -> None:
        self._sent += 1
        assert await self.house.bring(Door.LMTP, "x@far.test", ["owner"], letter(text=f"{self._sent}")) != []

    async def submit(self) -> None:
        self._sent += 1
        await self.house.submit("owner", "owner", "helper", letter("owner@acme.test", text=f"{self._sent}"))

    async def send_as(self) -> None:
        self._sent += 1
        await self.house.submit("helper", "helper", "owner", letter("support@acme.test", text=f"{self._sent}"))

    async def send_as_refused(self) -> None:
        with pytest.raises(Refused):
            await self.house.submit("stranger", "stranger", "owner", letter("support@acme.test"))

    async def post(self) -> None:
        self._sent += 1
        await self.house.submit("helper", "helper", "staff", letter("helper@acme.test", text=f"{self._sent}"))

    async def post_refused(self) -> None:
        with pytest.raises(Refused):
            await self.house.submit("stranger", "stranger", "staff", letter("stranger@acme.test"))

    async def select(self) -> None:
        opened = await self._folders.open(self._owner, Place(None, "/INBOX"))
        assert (await opened.news(None)).state is not None

    async def select_shared(self) -> None:
        opened = await self._folders.open(self._helper, self._posta)
        assert (await opened.news(None)).state is not None

    async def select_refused(self) -> None:
        with pytest.raises(Refused):
            await self._folders.open(Visit(self.house.actor("stranger"), "imap", "192.0.2.1"), self._posta)

    async def fetch(self) -> None:
        opened = await self._folders.open(self._owner, Place(None, "/INBOX"))
        assert len(await opened.envelopes(((1, 50),))) == 50
        assert len(await opened.octets([(uid, 1000) for uid in range(1, 11)])) == 10

    async def store_flags(self) -> None:
        opened = await self._folders.open(self._owner, Place(None, "/INBOX"))
        await opened.mark_seen(((self._sent % OWN_MAIL + 1, self._sent % OWN_MAIL + 1),))

    async def list_own(self) -> None:
        assert (await self._folders.listing(self._owner)).folders

    async def list_shared(self) -> None:
        found = await self._folders.listing(self._helper, lambda _: True)
        assert any(one.row.path == "/Posta" for one in found.folders)

    async def may(self) -> None:
        assert (await self._folders.may(self._helper.actor, FolderOp.READ, self._posta)).allowed

    async def quota(self) -> None:
        await self._folders.quota(self._helper, "owner@acme.test")

    async def log_in(self) -> None:
        await self._login.authenticate(Credentials("PLAIN", "owner@acme.test", "", WORD.encode()), Peer("192.0.2.1", "imap", tls=True))

    async def log_in_wrongly(self) -> None:
        with pytest.raises(Refused):
            await self._login.authenticate(Credentials("PLAIN", "nobody@acme.test", "", b"guess"), Peer("192.0.2.1", "imap", tls=True))

    async def search(self) -> None:
        opened = await self._folders.open(self._owner, Place(None, "/INBOX"))
        assert await opened.search(FieldContains(Field.SUBJECT, "00000007"))
        await opened.search(FlagIs(Flag.SEEN, is_set=False))

    async def claim(self) -> None:
        now = self.house.clock()
        for row in await self.house.store.do(ClaimDue("a lease", now + 60_000_000, each=5)):
            await self.house.store.do(Reschedule(row.id, "a lease", NEVER, "not yet"))

    async def neighbour_asks(self) -> None:
        """Which logins may use it; nothing is remembered of it before."""
        logins = Logins(self.house.store, self.house.submission)
        assert await logins.of(address("shop@far.test")) == ("owner@acme.test",)
        assert await logins.of(address("owner@acme.test")) == ("owner@acme.test",)


HOT = [name for name in vars(Hot) if not name.startswith("_")]


@asynccontextmanager
async def a_house(directory: Path, sizes: Sizes) -> AsyncIterator[tuple[Hot, Steps]]:
    """Counting begins when all is there."""
    passwords = Passwords(CHEAP, b"key")
    data = directory / "data"
    making = await connect(URL, data, now=Clock())
    population = Population(making, passwords.verifiers_now(WORD))
    await population.begin()
    await population.grow(sizes)
    await making.do(ModifyAccount(AccountId(population.corner["owner"]), values={"allow_from_addresses": "shop@far.test"}))
    await making.close()
    with counted() as steps:
        clock = Clock()
        house = House(await connect(URL, data, now=clock), Files(data / "messages"), clock, relays=True)
        house.passwords = passwords
        house.ids.update({name: AccountId(number) for name, number in population.corner.items()})
        login = Login(house.store, passwords, FailingSources(1000, 600, []))
        try:
            yield Hot(house, login), steps
        finally:
            await login.idle()
            await house.folders.close()
            passwords.close()
            await house.store.close()


async def each(directory: Path, sizes: Sizes) -> Mapping[str, int]:
    """The steps of each operation."""
    async with a_house(directory, sizes) as (hot, steps):
        return {name: await steps.of(getattr(hot, name)) for name in HOT}


@pytest.fixture(scope="module")
def steps_taken(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[int, int]]:
    """Of each operation, among few and among many."""
    few, many = (asyncio.run(each(tmp_path_factory.mktemp("growth"), sizes)) for sizes in (FEW, MANY))
    return {name: (few[name], many[name]) for name in HOT}


@pytest.mark.parametrize("name", HOT)
async def test_it_takes_no_more_steps_among_ten_thousand_accounts_and_grants(name: str, steps_taken: Mapping[str, tuple[int, int]]) -> None:
    few, many = steps_taken[name]
    print(f"{name}: {few} and {many} steps")
    assert few > 0, "nothing was counted"
    assert many <= 1.2 * few + SLACK


async def test_looking_at_everybody_would_be_seen(tmp_path: Path) -> None:
    async with a_house(tmp_path, Sizes(1_000, 0, 0)) as (hot, steps):
        count = await steps.of(lambda: hot.house.ask(lambda tx: tx.all("grants.accounts", id=0, limit=10_000)))
    assert count > 1_000
