"""Credentials become an actor, or are refused in words that tell nothing. Through sockets: tests/live/test_lockout.py."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.login import Login, Peer
from gateway.refusal import Refused
from gateway.sasl.exchange import Credentials
from gateway.sources import FailingSources
from policy.grants import SendRight
from policy.identity import Actor, Address
from policy.reasons import Defer, Reason, Refuse
from policy.status import AccountStatus
from store import login as login_store
from store.accounts import DeleteAccount, RenameAccount, SetMustChangePassword, SetVerifier
from store.addresses import AddAlias
from store.errors import Busy
from tests.gateway.house import SECOND, House, address, opened

WORD = "correct horse 7"
WRONG = Refuse(Reason.BAD_CREDENTIALS)


class Door:
    """A house and its login."""

    def __init__(self, house: House, limit: int = 1000) -> None:
        self.house = house
        self.login = Login(house.store, house.passwords, FailingSources(limit, 600, []))

    async def come(self, name: str, word: str = WORD, source: str = "192.0.2.1", authzid: str = "") -> object:
        """The address of the actor, or the verdict."""
        credentials = Credentials("PLAIN", name if "@" in name or not name else f"{name}@acme.test", authzid, word.encode())
        try:
            return str((await self.login.authenticate(credentials, Peer(source, "imap", tls=True))).address)
        except Refused as refused:
            return refused.verdict

    async def confirm(self, actor: Actor) -> Refuse | Defer | None:
        """Why its session may not stay open."""
        return (await self.login.confirm([actor]))[actor].refusal

    async def history(self, name: str) -> int:
        return len((await self.house.ask(login_store.history, self.house.ids[name])).failures)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as house:
        for name in ("anna", "bruno"):
            await house.account(name, password=WORD, lockout_max_failures="3", lockout_duration="600")
        yield house


@pytest.fixture
async def door(house: House) -> AsyncIterator[Door]:
    door = Door(house)
    yield door
    await door.login.idle()


async def test_who_may_come_in_and_under_which_names(door: Door) -> None:
    await door.house.store.do(AddAlias(door.house.ids["anna"], address("boss")))
    await door.house.group("team", "anna")
    assert await door.come("anna") == "anna@acme.test"
    assert await door.come("ANNA@Acme.Test") == "anna@acme.test"
    assert await door.come("boss") == "anna@acme.test"
    for name in ("anna+tag", "team", "nobody", "anna@elsewhere.test", "", "@", "anna@", "\udcff@acme.test", "a" * 5000):
        assert await door.come(name) == WRONG, name


async def test_every_refusal_of_a_wrong_password_is_the_same(door: Door) -> None:
    for status in AccountStatus:
        await door.house.account(status.value, password=WORD, status=status)
        assert await door.come(status.value, "wrong") == WRONG
    await door.house.account("empty")
    assert await door.come("empty", "") == WRONG
    assert await door.come("nobody", "wrong") == WRONG


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (AccountStatus.ACTIVE, "x@acme.test"),
        (AccountStatus.LOCKED, Refuse(Reason.ACCOUNT_STATUS, "locked")),
        (AccountStatus.CLOSED, Refuse(Reason.ACCOUNT_STATUS, "closed")),
        (AccountStatus.PENDING, Refuse(Reason.ACCOUNT_STATUS, "pending")),
        (AccountStatus.MAINTENANCE, Defer(Reason.ACCOUNT_MAINTENANCE, "maintenance")),
    ],
)
async def test_a_right_password_is_told_the_status(door: Door, status: AccountStatus, expected: object) -> None:
    await door.house.account("x", password=WORD, status=status)
    assert await door.come("x") == expected


async def test_who_must_change_the_password(door: Door) -> None:
    await door.house.store.do(SetMustChangePassword(door.house.ids["anna"], True))
    verdict = await door.come("anna")
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.PASSWORD_EXPIRED
    assert await door.come("anna", "wrong") == WRONG


async def test_lockout_begins_ends_and_tells_once(door: Door) -> None:
    told: asyncio.Queue[object] = asyncio.Queue()
    door.login.lockout_began.append(told)  # type: ignore[arg-type]
    for word in ("one", "one", "two", "two"):
        assert await door.come("anna", word, "198.51.100.1") == WRONG
    assert await door.history("anna") == 2, "the same wrong password counts once"
    assert await door.come("anna", "three", "198.51.100.1") == WRONG
    assert told.qsize() == 1
    assert await door.come("anna") == WRONG, "the right one, during lockout"
    assert await door.come("anna", "four") == WRONG
    assert told.qsize() == 1
    assert await door.come("bruno") == "bruno@acme.test"
    door.house.clock.turn(601)
    assert await door.come("anna") == "anna@acme.test"


async def test_a_known_source_is_spared(door: Door) -> None:
    assert await door.come("anna", source="192.0.2.1") == "anna@acme.test"
    await door.login.idle()
    for word in ("one", "two", "three"):
        await door.come("anna", word, "198.51.100.1")
    assert await door.come("anna", source="198.51.100.1") == WRONG
    assert await door.come("anna", source="203.0.113.1") == WRONG
    assert await door.come("anna", source="192.0.2.77") == "anna@acme.test"


async def test_a_good_login_clears_its_own_source_only(door: Door) -> None:
    await door.come("anna", "one", "192.0.2.1")
    await door.come("anna", "two", "198.51.100.1")
    assert await door.come("anna", source="192.0.2.1") == "anna@acme.test"
    assert await door.history("anna") == 1


async def test_concurrent_guesses_each_count(door: Door) -> None:
    found = await asyncio.gather(*(door.come("anna", f"guess {number}") for number in range(10)))
    assert set(map(str, found)) == {str(WRONG)}
    assert await door.history("anna") == 3
    assert await door.come("anna") == WRONG


@pytest.mark.parametrize("right_at", [6, 15, 39])
async def test_a_right_guess_among_many_at_once_comes_after_the_wrong_ones(door: Door, right_at: int) -> None:
    """Forty connections guess at once, and three failures lock out: whichever of the later ones is right, it is too late.

    (Two passwords are looked at side by side, so the fourth may well come before the third.)
    """
    words = [WORD if number == right_at else f"guess {number}" for number in range(40)]
    found = await asyncio.gather(*(door.come("anna", word, f"198.51.100.{number}") for number, word in enumerate(words)))
    assert {str(one) for one in found} == {str(WRONG)}
    assert await door.history("anna") == 3


async def test_failures_that_are_still_being_written_count(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is slow, and so the history that a right guess finds is still clean: it is judged behind them."""
    through = door.house.store.do
    goes_on = asyncio.Event()
    waiting = 0

    async def slow(deed: Any, *rest: Any, **options: Any) -> Any:
        nonlocal waiting
        if isinstance(deed, login_store.RecordFailure):
            waiting += 1
            await goes_on.wait()
            recorded = await through(deed, *rest, **options)
            waiting -= 1
            return recorded
        if isinstance(deed, login_store.AdmitUnlessLocked):
            goes_on.set()
            while waiting:
                await asyncio.sleep(0.01)
        return await through(deed, *rest, **options)

    monkeypatch.setattr(door.house.store, "do", slow)
    guesses = [asyncio.ensure_future(door.come("anna", f"guess {number}", "198.51.100.1")) for number in range(3)]
    while waiting < 3:
        await asyncio.sleep(0.01)
    found = await door.come("anna")
    goes_on.set()
    assert set(map(str, await asyncio.gather(*guesses))) == {str(WRONG)}
    assert found == WRONG


async def test_a_password_that_is_changed_while_it_is_looked_at_is_wrong(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    through = door.house.passwords.verify

    async def slow(*arguments: object, **options: object) -> bool:
        right = await through(*arguments, **options)  # type: ignore[arg-type]
        await door.house.store.do(SetVerifier(door.house.ids["anna"], door.house.passwords.verifiers_now("new").argon2))
        return right

    monkeypatch.setattr(door.house.passwords, "verify", slow)
    assert await door.come("anna") == WRONG


async def test_a_good_login_with_a_clean_history_writes_nothing_on_its_path(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await door.come("anna")
    await door.login.idle()

    async def full(*_: object, **__: object) -> None:
        raise Busy("no room on the disk")

    monkeypatch.setattr(door.house.store, "do", full)
    assert await door.come("anna") == "anna@acme.test"


async def test_every_wrong_password_costs_one_durable_write(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever measures how long a refusal takes learns nothing from what is written for it."""
    await door.house.account("locked", password=WORD, lockout_max_failures="1")
    await door.come("locked", "wrong")
    await door.house.account("careless", password=WORD, lockout_enabled="FALSE")
    deeds = door.house.deeds_done(monkeypatch)
    watching = sqlite3.connect(next(tmp_path.rglob("procura.db")))
    tries = {
        "unknown": ("nobody", "x"),
        "unknown domain": ("x@elsewhere.test", "x"),
        "no address": ("nonsense@", "x"),
        "wrong": ("anna", "x"),
        "wrong again": ("anna", "x"),
        "locked out": ("locked", "y"),
        "locked out, right": ("locked", WORD),
        "not counted": ("careless", "x"),
    }
    for what, (name, word) in tries.items():
        before = watching.execute("PRAGMA data_version").fetchone()
        deeds.clear()
        assert await door.come(name, word) == WRONG
        assert len(deeds) == 1, what
        assert watching.execute("PRAGMA data_version").fetchone() != before, f"{what}: nothing was committed"
    watching.close()


async def test_what_was_typed_as_an_unknown_name_is_not_logged(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert await door.come("My-Secret-Password") == WRONG
    assert "unknown account" in str([vars(record) for record in caplog.records])
    assert "secret" not in str([vars(record) for record in caplog.records]).lower()


async def test_a_source_that_fails_too_often_is_refused_unheard(house: House) -> None:
    door = Door(house, limit=3)
    for name in ("nobody", "no-one", "none"):
        assert await door.come(name, source="198.51.100.1") == WRONG
    verdict = await door.come("anna", source="198.51.100.99")
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.TOO_MANY_FAILURES
    assert await door.come("anna", source="192.0.2.1") == "anna@acme.test"
    await door.login.idle()


async def test_a_fault_is_later_and_lets_nobody_guess_unseen(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: object, **__: object) -> None:
        raise Busy("no room on the disk")

    monkeypatch.setattr(door.house.store, "do", full)
    assert await door.come("anna", "wrong") == Defer(Reason.BUSY)
    assert await door.come("anna") == "anna@acme.test", "nothing has to be written for a good one"


async def test_an_account_that_is_deleted_while_its_password_is_checked(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    through = door.house.passwords.verify

    async def slow(*arguments: object, **options: object) -> bool:
        right = await through(*arguments, **options)  # type: ignore[arg-type]
        await door.house.store.do(DeleteAccount(door.house.ids["anna"]))
        return right

    monkeypatch.setattr(door.house.passwords, "verify", slow)
    assert await door.come("anna", "wrong") == WRONG


# --- acting as another (section 10)


async def test_an_authzid_of_ones_own_is_nothing_special(door: Door) -> None:
    await door.house.store.do(AddAlias(door.house.ids["anna"], address("boss")))
    for authzid in ("anna@acme.test", "boss@acme.test", "ANNA@acme.test"):
        assert await door.come("anna", authzid=authzid) == "anna@acme.test"
    assert await door.house.records() == []


async def test_any_other_needs_login_as(door: Door) -> None:
    house = door.house
    verdict = await door.come("bruno", authzid="anna@acme.test")
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.AUTHORIZATION_REFUSED
    (row,) = await house.records()
    assert (row.entry.event, row.entry.allowed, row.entry.decision) == ("login as", False, verdict.decision)
    await house.grant("anna", "bruno", SendRight.LOGIN_AS)
    assert await door.come("bruno", authzid="anna@acme.test") == "anna@acme.test"
    assert (await house.records())[-1].entry.allowed is True
    assert await door.come("anna", authzid="bruno@acme.test") != "bruno@acme.test"
    await house.status("anna", AccountStatus.LOCKED)
    verdict = await door.come("bruno", authzid="anna@acme.test")
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.AUTHORIZATION_REFUSED
    for nobody in ("nobody@acme.test", "nonsense", "x@elsewhere.test"):
        before = len(await house.records())
        verdict = await door.come("bruno", authzid=nobody)
        assert isinstance(verdict, Refuse)
        assert verdict.reason is Reason.AUTHORIZATION_REFUSED
        # With a decision id and a record like any other, or it would tell that there is no such account.
        (row,) = (await house.records())[before:]
        assert (row.entry.event, row.entry.allowed, row.entry.decision) == ("login as", False, verdict.decision)
        assert verdict.decision
        assert row.entry.principal is None


# --- may the session stay?


async def test_what_ends_a_session(door: Door) -> None:
    house = door.house
    actor = await door.login.authenticate(Credentials("PLAIN", "anna@acme.test", "", WORD.encode()), Peer("192.0.2.1", "imap", tls=True))
    assert await door.confirm(actor) is None
    for word in ("one", "two", "three"):
        await door.come("anna", word, "198.51.100.1")
    assert await door.confirm(actor) is None, "lockout ends no session"
    await house.status("anna", AccountStatus.MAINTENANCE)
    assert await door.confirm(actor) == Defer(Reason.ACCOUNT_MAINTENANCE, "account is maintenance")
    await house.status("anna", AccountStatus.LOCKED)
    assert await door.confirm(actor) == Refuse(Reason.SESSION_ENDED, "account is locked")
    await house.status("anna", AccountStatus.ACTIVE)
    assert await door.confirm(actor) is None
    await house.store.do(SetVerifier(house.ids["anna"], house.passwords.verifiers_now("new").argon2))
    assert await door.confirm(actor) == Refuse(Reason.SESSION_ENDED, "the password was changed")
    await house.store.do(DeleteAccount(house.ids["anna"]))
    assert await door.confirm(actor) == Refuse(Reason.SESSION_ENDED, "the account no longer exists")


async def test_what_ends_a_session_as_another(door: Door) -> None:
    house = door.house
    await house.grant("anna", "bruno", SendRight.LOGIN_AS, expires=house.clock.at + 60 * SECOND)
    credentials = Credentials("PLAIN", "bruno@acme.test", "anna@acme.test", WORD.encode())
    actor = await door.login.authenticate(credentials, Peer("192.0.2.1", "imap", tls=True))
    assert (str(actor.address), str(actor.via_address)) == ("anna@acme.test", "bruno@acme.test")
    assert await door.confirm(actor) is None
    await house.status("anna", AccountStatus.CLOSED)
    assert await door.confirm(actor) is not None
    await house.status("anna", AccountStatus.ACTIVE)
    await house.status("bruno", AccountStatus.CLOSED)
    assert await door.confirm(actor) is not None
    await house.status("bruno", AccountStatus.ACTIVE)
    assert await door.confirm(actor) is None
    house.clock.turn(60)
    assert await door.confirm(actor) is not None


@pytest.mark.parametrize(("renamed", "authzid"), [("anna", ""), ("bruno", "bruno@acme.test"), ("anna", "bruno@acme.test")])
async def test_another_address_ends_a_session(door: Door, renamed: str, authzid: str) -> None:
    """What other people's folders are called rests on whose address is whose."""
    house = door.house
    await house.grant("bruno", "anna", SendRight.LOGIN_AS)
    credentials = Credentials("PLAIN", "anna@acme.test", authzid, WORD.encode())
    actor = await door.login.authenticate(credentials, Peer("192.0.2.1", "imap", tls=True))
    assert await door.confirm(actor) is None
    await house.store.do(RenameAccount(house.ids[renamed], Address("other", "acme.test")))
    assert await door.confirm(actor) == Refuse(Reason.SESSION_ENDED, "the account was renamed")


async def test_what_is_noted_is_noted_unawaited_and_at_most_hourly(door: Door) -> None:
    await door.come("anna")
    await door.login.idle()
    first = await door.house.ask(login_store.seen, door.house.ids["anna"], "192.0.2.0/24")
    assert first == door.house.clock.at
    door.house.clock.turn(60)
    await door.come("anna")
    await door.login.idle()
    assert await door.house.ask(login_store.seen, door.house.ids["anna"], "192.0.2.0/24") == first
    await door.come("anna", source="203.0.113.1")
    await door.login.idle()
    assert await door.house.ask(login_store.seen, door.house.ids["anna"], "203.0.113.0/24") == door.house.clock.at


def test_credentials_have_no_repr_of_the_password() -> None:
    assert "secret" not in repr(Credentials("PLAIN", "a", "", b"secret"))


async def test_who_was_let_in_elsewhere_is_judged_without_the_password(door: Door) -> None:
    async def vouched(name: str, source: str = "192.0.2.1") -> object:
        try:
            return str((await door.login.vouched_for(name, Peer(source, "policy", tls=True))).address)
        except Refused as refused:
            return refused.verdict

    house = door.house
    await house.store.do(AddAlias(house.ids["anna"], address("boss")))
    assert await vouched("boss@acme.test") == "anna@acme.test"
    for name in ("anna+tag@acme.test", "nobody@acme.test", "anna", ""):
        assert await vouched(name) == WRONG
    for status in (AccountStatus.LOCKED, AccountStatus.MAINTENANCE, AccountStatus.CLOSED, AccountStatus.PENDING):
        await house.status("bruno", status)
        verdict = await vouched("bruno@acme.test")
        assert isinstance(verdict, Refuse | Defer)
        assert verdict.reason in (Reason.ACCOUNT_STATUS, Reason.ACCOUNT_MAINTENANCE)
    for guess in ("one", "two", "three"):
        await door.come("anna", guess, "198.51.100.1")
    assert await vouched("anna@acme.test") == WRONG
    assert await door.history("anna") == 3, "nothing was guessed here, so nothing is counted"


async def test_what_is_noted_is_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.login.MOST_NOTED", 3)
    for number in range(10):
        await door.come("anna", source=f"203.0.{number}.1")
    await door.login.idle()
    assert len(door.login._noted) == 3
