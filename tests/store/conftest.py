"""A store on each engine, with a clock that the test turns, and a small directory to begin with."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import pytest

from policy.identity import AccountId, Address, DomainId, FolderId
from store.accounts import CreateAccount
from store.connect import connect
from store.domains import CreateDomain
from store.port import Store, Tx
from tests.store.behind import Behind, SharedBehind, embedded
from tests.store.laid import laid
from tests.store.letters import Bench, SharedBench

T = TypeVar("T")
P = ParamSpec("P")

SECOND = 1_000_000
START = 1_800_000_000 * SECOND


@dataclass
class Clock:
    """Microseconds since 1970 UTC, standing still until it is turned."""

    at: int = START

    def __call__(self) -> int:
        return self.at

    def turn(self, seconds: float) -> None:
        self.at += int(seconds * SECOND)


@dataclass
class Directory:
    """acme.test with anna and bruno; `ask` reads in a snapshot of its own."""

    store: Store
    acme: DomainId
    anna: AccountId
    bruno: AccountId
    others: dict[str, AccountId] = field(default_factory=dict)

    async def ask(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        async with self.store.snapshot() as snapshot:
            return await snapshot.ask(question, *args, **kwargs)

    async def account(self, local: str, domain: str = "acme.test") -> AccountId:
        return await self.store.do(CreateAccount(Address(local, domain)))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """Of an empty store."""
    return "sqlite:///{data}/procura.db" if request.param == "sqlite" else str(request.getfixturevalue("shared_url"))


@pytest.fixture
async def store(url: str, tmp_path: Path, clock: Clock) -> AsyncIterator[Store]:
    opened = await connect(laid(url, tmp_path / "data"), tmp_path / "data", now=clock)
    yield opened
    await opened.close()


@pytest.fixture
async def directory(store: Store) -> Directory:
    acme = await store.do(CreateDomain("acme.test"))
    anna = await store.do(CreateAccount(Address("anna", "acme.test"), display_name="Anna"))
    bruno = await store.do(CreateAccount(Address("bruno", "acme.test"), display_name="Bruno"))
    return Directory(store, acme, anna, bruno)


@pytest.fixture
def behind(store: Store, url: str, tmp_path: Path) -> Iterator[Behind]:
    """The database of `store`, behind its back."""
    opened: Behind = embedded(tmp_path / "data" / "procura.db") if url.startswith("sqlite") else SharedBehind(url)
    yield opened
    opened.close()


@pytest.fixture
def bench(url: str) -> Iterator[Bench]:
    made = Bench() if url.startswith("sqlite") else SharedBench(url)
    yield made
    made.raw.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def bench_of_module(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """One for all tests of a file."""
    made = Bench() if request.param == "sqlite" else SharedBench(request.getfixturevalue("shared_url_of_module"))
    yield made
    made.raw.close()


@pytest.fixture
def inbox(bench: Bench) -> FolderId:
    return bench.inbox(bench.anna)
