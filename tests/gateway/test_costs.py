"""What a mail costs, counted: statements of readers and of the writer, and hops to a thread. How long it takes: tests/bench."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import store.sqlite
from gateway.login import Login, Peer
from gateway.sasl.exchange import Credentials
from gateway.sessions import Sessions
from gateway.sources import FailingSources
from policy.delivery import Door
from store.port import PolicyChanged
from tests.gateway.house import House, letter, opened

Count = Callable[[Callable[[], Awaitable[object]]], Awaitable[tuple[int, int, int]]]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Count:
    reading: list[str] = []
    writing: list[str] = []
    hops: list[object] = []
    through, start = store.sqlite.open_file, store.sqlite.SqliteEngine.start

    def opening(path: Path, *, writes: bool) -> sqlite3.Connection:
        connection = through(path, writes=writes)
        said = writing if writes else reading
        # One that sets off triggers is told again for each of them.
        connection.set_trace_callback(lambda sql: None if said[-1:] == [sql] else said.append(sql))
        return connection

    def starting(self: store.sqlite.SqliteEngine, function: Callable[[], Any]) -> Any:
        hops.append(function)
        return start(self, function)

    monkeypatch.setattr(store.sqlite, "open_file", opening)
    monkeypatch.setattr(store.sqlite.SqliteEngine, "start", starting)

    async def count(act: Callable[[], Awaitable[object]]) -> tuple[int, int, int]:
        for one in (reading, writing, hops):
            one.clear()
        await act()
        return len(reading), len(writing), len(hops)

    return count


@pytest.fixture
async def house(counts: Count, tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno") as house:
        await house.account("clara", password="correct horse 7")
        yield house


async def test_a_submission(house: House, counts: Count) -> None:
    """The first one finds out whose the addresses are."""

    async def submit(text: str) -> None:
        await house.submit("anna", "anna", "bruno", letter("anna@acme.test", text=text))

    await submit("one")
    reading, writing, hops = await counts(lambda: submit("two"))
    # MAIL, RCPT and DATA are a snapshot each: its beginning, its epochs, its end; DATA asks for the epochs of both.
    assert reading <= 10
    assert writing <= 13
    assert hops == 1


async def test_a_login(house: House, counts: Count) -> None:
    """With a password that is remembered: everything there is to know is asked of one snapshot, and nothing is written or waited for."""
    login, sessions = door(house)
    await come(login, sessions, "clara")
    await login.idle()
    # The snapshot's beginning and end; the account by its name; its failures, second factor and keys.
    assert await counts(lambda: come(login, sessions, "clara")) == (4, 0, 0)


async def test_a_login_whose_account_changes_meanwhile(house: House, counts: Count) -> None:
    """It is looked at once more, in a snapshot of its own."""
    login, sessions = door(house)
    await come(login, sessions, "clara")
    await login.idle()

    async def changed() -> None:
        heard = sessions.heard
        sessions.told([PolicyChanged(frozenset({house.ids["clara"]}))])
        await come(login, sessions, "clara", heard)

    reading, _, _ = await counts(changed)
    assert reading > 4


def door(house: House) -> tuple[Login, Sessions]:
    login = Login(house.store, house.passwords, FailingSources(1000, 600, []))
    return login, Sessions(login.confirm, 100, lambda _: False)


async def come(login: Login, sessions: Sessions, name: str, heard: int | None = None) -> None:
    """As a protocol does it: LOGIN, the session, LOGOUT."""
    heard = sessions.heard if heard is None else heard
    actor = await login.authenticate(Credentials("PLAIN", f"{name}@acme.test", "", b"correct horse 7"), Peer("192.0.2.1", "imap", True))
    leave = sessions.add(actor, "imap", "192.0.2.1", lambda _: None, heard=heard)
    assert leave is not None
    await sessions.idle()
    leave()


async def test_a_delivery(house: House, counts: Count) -> None:
    async def deliver(text: str) -> None:
        await house.bring(Door.LMTP, "x@far.test", ["bruno"], letter(text=text))

    await deliver("one")
    reading, writing, hops = await counts(lambda: deliver("two"))
    assert reading <= 6
    assert writing <= 13
    assert hops == 1
