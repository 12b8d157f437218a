"""Logging in by an app password: one hash and no Argon2, within its limits, and no help for who guesses."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.apppasswords import AppPassword, made
from gateway.login import Login, Peer, _Looked
from gateway.refusal import Refused
from gateway.sasl.exchange import Credentials
from gateway.sources import FailingSources
from policy.grants import SendRight
from policy.identity import Actor
from policy.reasons import Defer, Reason, Refuse
from policy.scope import Door, Scope, Sending
from policy.status import AccountStatus
from store import login as login_store
from store.accounts import SetAccountStatus, SetMustChangePassword, SetVerifier
from store.app_passwords import CreateAppPassword, RevokeAppPassword
from tests.gateway.house import House, opened

WORD = "correct horse 7"
WRONG = Refuse(Reason.BAD_CREDENTIALS)


class Place:
    def __init__(self, house: House) -> None:
        self.house = house
        self.login = Login(house.store, house.passwords, FailingSources(1000, 600, []))

    async def make(self, name: str, scope: Scope) -> AppPassword:
        one = made()
        key = self.house.passwords.app_password_key
        await self.house.store.do(CreateAppPassword(self.house.ids[name], scope, one.selector, one.verifier(key)))
        return one

    async def come(
        self, name: str, word: str, source: str = "192.0.2.1", protocol: str = "imap", authzid: str = ""
    ) -> Actor | Refuse | Defer:
        credentials = Credentials("PLAIN", f"{name}@acme.test", authzid, word.encode())
        try:
            return await self.login.authenticate(credentials, Peer(source, protocol, tls=True))
        except Refused as refused:
            return refused.verdict

    async def failures(self, name: str) -> int:
        return len((await self.house.ask(login_store.history, self.house.ids[name])).failures)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    async with opened(tmp_path) as house:
        await house.account("anna", password=WORD, lockout_max_failures="3", lockout_spare_known_sources="FALSE")
        await house.account("bruno", password="")
        place = Place(house)
        yield place
        await place.login.idle()


async def test_it_comes_in_with_its_limits(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    scope = Scope(0, "phone", frozenset({Door.IMAP}))
    words = [await place.make("anna", Scope(0, f"other {n}")) for n in range(5)] + [await place.make("anna", scope)]

    async def never(*_: object, **__: object) -> bool:
        raise AssertionError("Argon2 was asked")

    monkeypatch.setattr(place.house.passwords, "verify", never)
    actor = await place.come("anna", words[-1].spelled)
    assert isinstance(actor, Actor)
    assert actor.scope is not None
    assert (actor.scope.name, actor.scope.doors, actor.proof) == ("phone", {"imap"}, "")
    assert actor.on_record("because") == "because; by app password phone"
    assert isinstance(await place.come("anna", words[0].text.upper(), protocol="smtp"), Actor)


async def test_beyond_its_limits_it_is_told_why_and_nothing_is_counted(place: Place) -> None:
    word = await place.make("anna", Scope(0, "phone", frozenset({Door.IMAP})))
    for _ in range(5):
        verdict = await place.come("anna", word.spelled, protocol="smtp")
        assert verdict == Refuse(Reason.CREDENTIAL_NOT_PERMITTED, "this app password is not for smtp")
    assert await place.failures("anna") == 0


async def test_another_accounts_and_a_revoked_one_are_wrong_passwords(place: Place) -> None:
    word = await place.make("bruno", Scope(0, "robot"))
    assert await place.come("anna", word.spelled) == WRONG
    assert isinstance(await place.come("bruno", word.spelled), Actor), "an account without a password of its own"
    await place.house.store.do(RevokeAppPassword(place.house.ids["bruno"], "robot"))
    for _ in range(4):
        assert await place.come("bruno", word.spelled) == WRONG
    assert await place.failures("bruno") == 1, "the same wrong one again counts once: an old phone locks nobody out"


async def test_during_a_lockout_it_is_as_wrong_as_any(place: Place) -> None:
    word = await place.make("anna", Scope(0, "phone"))
    for wrong in ("a", "b", "c"):
        assert await place.come("anna", wrong) == WRONG
    assert await place.come("anna", word.spelled) == WRONG
    asked = 0
    really = place.house.passwords.verify

    async def verify(verifier: str, password: bytes, *, recall: bool = True) -> bool:
        nonlocal asked
        asked += 1
        return await really(verifier, password, recall=recall)

    place.house.passwords.verify = verify  # type: ignore[method-assign]
    assert await place.come("anna", word.spelled) == WRONG
    assert asked == 1, "and takes as long"


async def test_it_forgets_no_failures(place: Place) -> None:
    """Who found one would guess the account's own password without end, coming in by the app password between two guesses."""
    word = await place.make("anna", Scope(0, "phone"))
    for wrong in ("a", "b"):
        await place.come("anna", wrong)
    assert isinstance(await place.come("anna", word.spelled), Actor)
    assert await place.failures("anna") == 2
    assert isinstance(await place.come("anna", WORD), Actor)
    assert await place.failures("anna") == 0


async def test_status_and_must_change_hold(place: Place) -> None:
    word = await place.make("anna", Scope(0, "phone"))
    anna = place.house.ids["anna"]
    await place.house.store.do(SetMustChangePassword(anna, True))
    assert await place.come("anna", word.spelled) == Refuse(Reason.PASSWORD_EXPIRED)
    await place.house.store.do(SetMustChangePassword(anna, False))
    await place.house.store.do(SetAccountStatus(anna, AccountStatus.CLOSED))
    verdict = await place.come("anna", word.spelled)
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.ACCOUNT_STATUS


async def test_what_ends_its_sessions(place: Place) -> None:
    anna = place.house.ids["anna"]
    later = place.house.clock() + 10_000_000
    actors = []
    for name, expires in (("kept", None), ("revoked", None), ("timed", later)):
        actor = await place.come("anna", (await place.make("anna", Scope(0, name, expires=expires))).text)
        assert isinstance(actor, Actor)
        actors.append(actor)
    await place.house.store.do(SetVerifier(anna, "another"))
    found = await place.login.confirm(actors)
    assert [found[actor].refusal for actor in actors] == [None] * 3, "the account's own password is another matter"
    assert found[actors[2]].valid_until == later
    await place.house.store.do(RevokeAppPassword(anna, "revoked"))
    place.house.clock.turn(10)
    found = await place.login.confirm(actors)
    details = [None if (one := found[actor].refusal) is None else one.detail for actor in actors]
    assert details == [None, "the app password was revoked", "the app password has expired"]


async def test_login_as_another_needs_grant_and_scope(place: Place) -> None:
    bruno = place.house.ids["bruno"]
    await place.house.grant("bruno", "anna", SendRight.LOGIN_AS)
    usual = await place.make("anna", Scope(0, "usual"))
    able = await place.make("anna", Scope(0, "able", sending=frozenset({Sending.LOGIN_AS, Sending.SELF})))
    for_self = await place.make("anna", Scope(0, "self", principal=place.house.ids["anna"], sending=frozenset(Sending)))
    for word in (usual, for_self):
        verdict = await place.come("anna", word.text, authzid="bruno@acme.test")
        assert isinstance(verdict, Refuse)
        assert verdict.reason is Reason.AUTHORIZATION_REFUSED
    actor = await place.come("anna", able.text, authzid="bruno@acme.test")
    assert isinstance(actor, Actor)
    assert (actor.account, actor.via, actor.scope is not None and actor.scope.name) == (bruno, place.house.ids["anna"], "able")
    assert (await place.login.confirm([actor]))[actor].refusal is None
    await place.house.store.do(RevokeAppPassword(place.house.ids["anna"], "able"))
    assert (await place.login.confirm([actor]))[actor].refusal is not None


async def test_revoked_while_it_is_looked_at(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    word = await place.make("anna", Scope(0, "phone"))
    really = place.login._look_at

    async def slowly(*args: object, **kwargs: object) -> _Looked:
        found = await really(*args, **kwargs)  # type: ignore[arg-type]
        await place.house.store.do(RevokeAppPassword(place.house.ids["anna"], "phone"))
        return replace(found, waited=True)

    monkeypatch.setattr(place.login, "_look_at", slowly)
    assert await asyncio.wait_for(place.come("anna", word.text), 10) == WRONG
