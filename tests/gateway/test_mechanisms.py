"""Every mechanism against the real login service: one choke point decides, whatever proved who somebody is."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import scramp

from gateway.documents import Unavailable
from gateway.issuer import Issuer, IssuerRules
from gateway.login import Login, Peer
from gateway.mechanisms import authenticate, mechanisms, offered
from gateway.passwords import PasswordCost, Passwords
from gateway.refusal import Refused
from gateway.sasl.exchange import Cancelled, Credentials, Malformed
from gateway.sources import FailingSources
from gateway.tokens import TokenRules
from policy.grants import SendRight
from policy.identity import Actor
from policy.reasons import Defer, Reason, Refuse
from policy.status import AccountStatus
from store import login as login_store
from store.accounts import DeleteAccount, SetMustChangePassword, SetVerifier
from store.addresses import AddAlias
from store.errors import Busy
from store.model import ScramKeys
from tests.gateway.house import SECOND, START, House, address, opened
from tests.live.issuer import AUDIENCE
from tests.live.issuer import Issuer as Small

WORD = "correct horse 7"
WRONG = Refuse(Reason.BAD_CREDENTIALS)
END_POINT = b"\x07" * 32
SMALL = Small(1)
COST = PasswordCost(memory=8, time=1, scram_iterations=4096)


class Door:
    """A house with SCRAM and an issuer, and clients that know every mechanism."""

    def __init__(self, house: House, *, limit: int = 1000, cost: PasswordCost = COST, **more: Any) -> None:
        house.passwords.close()
        house.passwords = Passwords(cost, b"key")
        self.house = house
        self.up = True
        self.rules = TokenRules(SMALL.url, [AUDIENCE], "email", ["RS256", "ES256", "EdDSA"], scope=more.pop("scope", ""))
        self.issuer = Issuer(self.rules, IssuerRules(jwks_url=f"{SMALL.url}/keys"), self._document, now=house.clock)
        self.login = Login(house.store, house.passwords, FailingSources(limit, 600, []), self.issuer, **more)
        self.asked: list[bytes] = []

    def _document(self, url: str) -> bytes:
        if not self.up:
            raise Unavailable("down")
        return json.dumps(SMALL.keys.document()).encode()

    def close(self) -> None:
        self.issuer.close()

    async def talk(self, mechanism: str, initial: bytes | None, answer: Callable[[bytes], bytes], *, source: str = "192.0.2.1") -> Actor:
        """Raises Refused."""
        self.asked.clear()

        async def ask(challenge: bytes) -> bytes:
            self.asked.append(challenge)
            return answer(challenge)

        return await authenticate(mechanism, initial, ask, self.login, Peer(source, "imap", tls=True, end_point=END_POINT))

    async def actor(self, mechanism: str, name: str, word: str, *, authzid: str = "", source: str = "192.0.2.1") -> Actor:
        match mechanism.partition("-")[0]:
            case "PLAIN":
                return await self.talk("PLAIN", b"\0".join([authzid.encode(), name.encode(), word.encode()]), no_answer, source=source)
            case "SCRAM":
                client = ScramClient(mechanism, name, word, authzid)
                found = await self.talk(mechanism, client.first(), client.answer, source=source)
                assert client.server_is_genuine
                return found
            case "OAUTHBEARER":
                gs2 = f"n,a={authzid}," if authzid else "n,,"
                token = word if word != WORD else SMALL.token(name, exp=self.house.clock.at / SECOND + 600)
                return await self.talk(mechanism, f"{gs2}\x01auth=Bearer {token}\x01\x01".encode(), lambda _: b"\x01", source=source)
            case _:
                token = word if word != WORD else SMALL.token(name, exp=self.house.clock.at / SECOND + 600)
                return await self.talk(
                    "XOAUTH2", f"user={authzid or name}\x01auth=Bearer {token}\x01\x01".encode(), lambda _: b"", source=source
                )

    async def come(self, mechanism: str, name: str, word: str = WORD, **more: Any) -> object:
        """The address of the actor, or the verdict."""
        try:
            return str((await self.actor(mechanism, f"{name}@acme.test", word, **more)).address)
        except Refused as refused:
            return refused.verdict

    async def failures(self, name: str) -> int:
        return len((await self.house.ask(login_store.history, self.house.ids[name])).failures)

    async def keys(self, name: str) -> ScramKeys | None:
        return await self.house.ask(login_store.scram_keys, self.house.ids[name])


def no_answer(challenge: bytes) -> bytes:
    raise AssertionError(f"asked {challenge!r}")


class ScramClient:
    """scramp's client, given an authorisation identity, which it does not know."""

    def __init__(self, mechanism: str, name: str, word: str, authzid: str = "", end_point: bytes = END_POINT) -> None:
        binding = ("tls-server-end-point", end_point) if mechanism.endswith("PLUS") else None
        self._client = scramp.ScramClient([mechanism], name, word, channel_binding=binding)
        self._binding = b"" if binding is None else end_point
        self._authzid = authzid.encode()
        self._state = 0
        self.server_is_genuine = False
        if authzid:
            header = (b"p=tls-server-end-point" if binding else b"n") + b",a=" + self._authzid + b","

            class Header(type(self._client.gs2_header)):  # type: ignore[misc]
                def __str__(self) -> str:
                    return header.decode()

                def make_cbind_input(self, cb: Any) -> bytes:
                    return header + (b"" if cb is None or binding is None else end_point)

            self._client.gs2_header.__class__ = Header

    def first(self) -> bytes:
        return str(self._client.get_client_first()).encode()

    def answer(self, challenge: bytes) -> bytes:
        self._state += 1
        if self._state == 1:
            self._client.set_server_first(challenge.decode())
            return str(self._client.get_client_final()).encode()
        self._client.set_server_final(challenge.decode())
        self.server_is_genuine = True
        return b""


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as house:
        yield house


@pytest.fixture
async def door(house: House) -> AsyncIterator[Door]:
    door = Door(house)
    for name in ("anna", "bruno"):
        await house.account(name, password=WORD, lockout_max_failures="3", lockout_duration="600")
    yield door
    await door.login.idle()
    door.close()


ALL = mechanisms(scram=True, bearer=True)
BY_PASSWORD = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
BY_TOKEN = ("OAUTHBEARER", "XOAUTH2")
EVERY = (*BY_PASSWORD, *BY_TOKEN)


def test_which_there_are() -> None:
    assert ALL == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2")
    assert mechanisms(scram=False, bearer=False) == ("PLAIN", "LOGIN")
    assert mechanisms(scram=True, bearer=False) == ALL[:4]
    assert offered(ALL, END_POINT) == ALL
    assert offered(ALL, None) == ALL[1:]


@pytest.mark.parametrize("mechanism", EVERY)
async def test_who_may_come_in(door: Door, mechanism: str) -> None:
    await door.house.store.do(AddAlias(door.house.ids["anna"], address("boss")))
    assert await door.come(mechanism, "anna") == "anna@acme.test"
    assert await door.come(mechanism, "ANNA") == "anna@acme.test"
    assert await door.come(mechanism, "boss") == "anna@acme.test"
    for nobody in ("nobody", "anna+tag", "x y"):
        assert await door.come(mechanism, nobody) == WRONG, nobody


@pytest.mark.parametrize("mechanism", EVERY)
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
async def test_the_status_table_holds_for_each(door: Door, mechanism: str, status: AccountStatus, expected: object) -> None:
    await door.house.account("x", password=WORD, status=status)
    assert await door.come(mechanism, "x") == expected
    assert await door.come(mechanism, "x", "wrong") == WRONG, "whoever proves nothing is told nothing"


@pytest.mark.parametrize("mechanism", EVERY)
async def test_who_must_change_the_password(door: Door, mechanism: str) -> None:
    await door.house.store.do(SetMustChangePassword(door.house.ids["anna"], True))
    verdict = await door.come(mechanism, "anna")
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.PASSWORD_EXPIRED


@pytest.mark.parametrize("mechanism", EVERY)
async def test_a_lockout_is_for_all_of_them(door: Door, mechanism: str) -> None:
    for word in ("one", "two", "three"):
        assert await door.come("PLAIN", "anna", word, source="198.51.100.1") == WRONG
    assert await door.come(mechanism, "anna") == WRONG
    assert await door.come(mechanism, "bruno") == "bruno@acme.test"
    door.house.clock.turn(601)
    assert await door.come(mechanism, "anna") == "anna@acme.test"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"])
async def test_failures_of_scram_always_count(door: Door, mechanism: str) -> None:
    told: asyncio.Queue[object] = asyncio.Queue()
    door.login.lockout_began.append(told)  # type: ignore[arg-type]
    for number in range(3):
        assert await door.failures("anna") == number
        assert await door.come(mechanism, "anna", "the same wrong one", source="198.51.100.1") == WRONG
    assert told.qsize() == 1
    assert await door.come(mechanism, "anna") == WRONG, "the right one, during lockout"
    assert await door.come("PLAIN", "anna") == WRONG
    assert await door.failures("anna") == 3


async def test_a_good_scram_login_clears_its_own_source(door: Door) -> None:
    await door.come("SCRAM-SHA-256", "anna", "one", source="192.0.2.1")
    await door.come("SCRAM-SHA-256", "anna", "two", source="198.51.100.1")
    assert await door.come("SCRAM-SHA-256", "anna", source="192.0.2.1") == "anna@acme.test"
    assert await door.failures("anna") == 1


async def test_concurrent_guesses_by_scram_each_count(door: Door) -> None:
    async def one(number: int) -> object:
        client = ScramClient("SCRAM-SHA-256", "anna@acme.test", WORD if number == 7 else f"guess {number}")
        keys = await door.login.scram_keys("anna@acme.test", Peer("192.0.2.1", "imap", tls=True))
        assert keys is not None

        async def ask(challenge: bytes) -> bytes:
            return client.answer(challenge)

        try:
            return await authenticate("SCRAM-SHA-256", client.first(), ask, door.login, Peer(f"198.51.100.{number}", "imap", tls=True))
        except Refused as refused:
            return refused.verdict

    for number in range(3):
        assert await one(number) == WRONG
    assert {str(found) for found in await asyncio.gather(*(one(number) for number in range(4, 12)))} == {str(WRONG)}
    assert await door.failures("anna") == 3


@pytest.mark.parametrize("mechanism", BY_TOKEN)
async def test_failures_of_tokens_count_for_the_source_only(house: House, mechanism: str) -> None:
    door = Door(house, limit=3)
    await house.account("anna", password=WORD, lockout_max_failures="1")
    expired = SMALL.token("anna@acme.test", exp=START / SECOND - 3600)
    for token in (expired, "nonsense", SMALL.token("nobody@acme.test", exp=START / SECOND + 60)):
        assert await door.come(mechanism, "anna", token, source="198.51.100.1") == WRONG
    assert await door.failures("anna") == 0
    verdict = await door.come(mechanism, "anna", source="198.51.100.1")
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.TOO_MANY_FAILURES
    assert await door.come(mechanism, "anna") == "anna@acme.test"
    await door.login.idle()
    door.close()


async def test_a_source_that_failed_too_often_learns_no_salt(house: House) -> None:
    door = Door(house, limit=2)
    await house.account("anna", password=WORD)
    for _ in range(2):
        await door.come("SCRAM-SHA-256", "nobody", source="198.51.100.1")
    verdict = await door.come("SCRAM-SHA-256", "anna", source="198.51.100.1")
    assert isinstance(verdict, Refuse)
    assert verdict.reason is Reason.TOO_MANY_FAILURES
    assert door.asked == []
    await door.login.idle()
    door.close()


# --- acting as another


@pytest.mark.parametrize("mechanism", EVERY)
async def test_any_other_identity_needs_login_as(door: Door, mechanism: str) -> None:
    assert await door.come(mechanism, "bruno", authzid="bruno@acme.test") == "bruno@acme.test"
    for other in ("anna@acme.test", "nobody@acme.test"):
        verdict = await door.come(mechanism, "bruno", authzid=other)
        assert isinstance(verdict, Refuse)
        assert verdict.reason is Reason.AUTHORIZATION_REFUSED
    await door.house.grant("anna", "bruno", SendRight.LOGIN_AS)
    actor = await door.actor(mechanism, "bruno@acme.test", WORD, authzid="anna@acme.test")
    assert (str(actor.address), str(actor.via_address)) == ("anna@acme.test", "bruno@acme.test")
    assert (actor.until is not None) is (mechanism in BY_TOKEN)


# --- SCRAM


async def test_nobody_gets_keys_like_everybody(door: Door) -> None:
    async def challenge(name: str) -> tuple[str, str]:
        client = scramp.ScramClient(["SCRAM-SHA-256"], name, "wrong")

        def answer(octets: bytes) -> bytes:
            client.set_server_first(octets.decode())
            return str(client.get_client_final()).encode()

        with pytest.raises(Refused) as refused:
            await door.talk("SCRAM-SHA-256", str(client.get_client_first()).encode(), answer)
        assert refused.value.verdict == WRONG
        _, salt, iterations = door.asked[0].decode().split(",")
        return salt, iterations

    nobody = await challenge("nobody@acme.test")
    assert await challenge("NoBody@ACME.test") == nobody, "one address, however it is written"
    assert await challenge("nobody@acme.test") == nobody
    others = {(await challenge(name))[0] for name in ("no-one@acme.test", "nonsense", "anna+tag@acme.test", "anna@acme.test")}
    assert len(others | {nobody[0]}) == 5
    anna = await challenge("anna@acme.test")
    assert (len(anna[0]), anna[1]) == (len(nobody[0]), nobody[1])
    # Started anew, with the same key in data, it says the same.
    other = Login(door.house.store, Passwords(COST, b"key"), FailingSources(1000, 600, []))
    keys = await other.scram_keys("nobody@acme.test", Peer("192.0.2.1", "imap", tls=True))
    assert f"s={b64encode(keys.salt).decode()}" == nobody[0]


async def test_an_older_account_gets_keys_at_its_next_plain_login(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    await door.house.store.do(SetVerifier(door.house.ids["anna"], door.house.passwords.verifiers_now(WORD).argon2))
    assert await door.keys("anna") is None
    for _ in range(4):
        assert await door.come("SCRAM-SHA-256", "anna") == WRONG
    assert await door.failures("anna") == 0, "nothing could be guessed: the account is not locked out by a client that tries SCRAM first"
    assert "no keys for SCRAM yet" in str([vars(record) for record in caplog.records]), "who runs the server is told"
    actor = await door.actor("PLAIN", "anna@acme.test", WORD)
    await door.login.idle()
    keys = await door.keys("anna")
    assert keys is not None
    assert (await door.login.confirm([actor]))[actor].refusal is None, "it is the same password"
    assert await door.come("SCRAM-SHA-256", "anna") == "anna@acme.test"
    await door.come("PLAIN", "anna")
    await door.login.idle()
    assert await door.keys("anna") == keys, "once"


async def test_another_number_of_iterations_comes_with_the_next_plain_login(house: House) -> None:
    door = Door(house)
    await house.account("anna", password=WORD)
    door.close()
    door = Door(house, cost=PasswordCost(memory=8, time=1, scram_iterations=5000))
    assert await door.come("SCRAM-SHA-256", "anna") == "anna@acme.test"
    assert (await door.keys("anna")).iterations == 4096  # type: ignore[union-attr]
    assert await door.come("PLAIN", "anna") == "anna@acme.test"
    await door.login.idle()
    assert (await door.keys("anna")).iterations == 5000  # type: ignore[union-attr]
    assert await door.come("SCRAM-SHA-256", "anna") == "anna@acme.test"
    await door.login.idle()
    door.close()


async def test_a_wrong_password_makes_no_keys(door: Door) -> None:
    await door.house.store.do(SetVerifier(door.house.ids["anna"], door.house.passwords.verifiers_now(WORD).argon2))
    await door.come("PLAIN", "anna", "wrong")
    await door.login.idle()
    assert await door.keys("anna") is None


async def test_keys_that_cannot_be_written_lock_nobody_out(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    await door.house.store.do(SetVerifier(door.house.ids["anna"], door.house.passwords.verifiers_now(WORD).argon2))

    async def full(*_: object, **__: object) -> None:
        raise Busy("no room on the disk")

    with monkeypatch.context() as patch:
        patch.setattr(door.house.store, "do", full)
        assert await door.come("PLAIN", "anna") == "anna@acme.test"
        await door.login.idle()
    assert await door.come("PLAIN", "anna") == "anna@acme.test"
    await door.login.idle()
    assert await door.keys("anna") is not None


async def test_a_new_password_is_the_only_one(door: Door) -> None:
    actor = await door.actor("SCRAM-SHA-256", "anna@acme.test", WORD)
    stored = await door.house.passwords.verifiers("another 8")
    await door.house.store.do(SetVerifier(door.house.ids["anna"], stored.argon2, scram=stored.scram))
    assert (await door.login.confirm([actor]))[actor].refusal == Refuse(Reason.SESSION_ENDED, "the password was changed")
    assert await door.come("SCRAM-SHA-256", "anna") == WRONG
    assert await door.come("SCRAM-SHA-256", "anna", "another 8") == "anna@acme.test"


async def test_a_password_that_changes_during_the_exchange(door: Door) -> None:
    client = ScramClient("SCRAM-SHA-256", "anna@acme.test", WORD)
    keys = await door.house.passwords.verifiers("another 8")

    async def ask(challenge: bytes) -> bytes:
        answer = client.answer(challenge)
        await door.house.store.do(SetVerifier(door.house.ids["anna"], keys.argon2, scram=keys.scram))
        return answer

    with pytest.raises(Refused) as refused:
        await authenticate("SCRAM-SHA-256", client.first(), ask, door.login, Peer("192.0.2.1", "imap", tls=True))
    assert refused.value.verdict == WRONG


async def test_an_account_that_is_deleted_during_the_exchange(door: Door) -> None:
    client = ScramClient("SCRAM-SHA-256", "anna@acme.test", WORD)

    async def ask(challenge: bytes) -> bytes:
        await door.house.store.do(DeleteAccount(door.house.ids["anna"]))
        return client.answer(challenge)

    with pytest.raises(Refused) as refused:
        await authenticate("SCRAM-SHA-256", client.first(), ask, door.login, Peer("192.0.2.1", "imap", tls=True))
    assert refused.value.verdict == WRONG


@pytest.mark.parametrize(
    ("mechanism", "first"),
    [("SCRAM-SHA-256", b"y,,n=anna@acme.test,r=x"), ("SCRAM-SHA-256-PLUS", b"p=tls-unique,,n=anna@acme.test,r=x")],
)
async def test_a_downgrade_is_noticed_and_tells_nothing(
    house: House, mechanism: str, first: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(house, limit=2)
    await house.account("anna", password=WORD, lockout_max_failures="1")
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            await door.talk(mechanism, first, no_answer)
        assert refused.value.verdict == WRONG
    assert await door.failures("anna") == 0
    with pytest.raises(Refused) as refused:
        await door.talk(mechanism, first, no_answer)
    assert refused.value.verdict == Refuse(Reason.TOO_MANY_FAILURES), "it counts for the source"
    assert "channel binding" in str([vars(record) for record in caplog.records]) or "took SCRAM" in str(
        [vars(record) for record in caplog.records]
    )
    door.close()


async def test_who_is_bound_to_another_certificate_stands_between_us(door: Door) -> None:
    client = ScramClient("SCRAM-SHA-256-PLUS", "anna@acme.test", WORD, end_point=b"\x08" * 32)
    with pytest.raises(Refused) as refused:
        await door.talk("SCRAM-SHA-256-PLUS", client.first(), client.answer)
    assert refused.value.verdict == WRONG
    assert not client.server_is_genuine


async def test_every_failure_costs_one_durable_write(door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await door.house.account("locked", password=WORD, lockout_max_failures="1")
    await door.come("PLAIN", "locked", "wrong")
    await door.house.store.do(SetVerifier(door.house.ids["bruno"], door.house.passwords.verifiers_now(WORD).argon2))
    deeds = door.house.deeds_done(monkeypatch)
    watching = sqlite3.connect(next(tmp_path.rglob("procura.db")))
    tries = {
        "scram, unknown": ("SCRAM-SHA-256", "nobody", "x"),
        "scram, wrong": ("SCRAM-SHA-256", "anna", "x"),
        "scram, locked out": ("SCRAM-SHA-256", "locked", "y"),
        "scram, locked out, right": ("SCRAM-SHA-256", "locked", WORD),
        "scram, no keys yet": ("SCRAM-SHA-256", "bruno", WORD),
        "token, wrong": ("OAUTHBEARER", "anna", "x"),
        "token, nobody's": ("OAUTHBEARER", "nobody", WORD),
        "token, locked out": ("OAUTHBEARER", "locked", WORD),
    }
    for what, (mechanism, name, word) in tries.items():
        before = watching.execute("PRAGMA data_version").fetchone()
        deeds.clear()
        assert await door.come(mechanism, name, word) == WRONG
        assert len(deeds) == 1, what
        assert watching.execute("PRAGMA data_version").fetchone() != before, f"{what}: nothing was committed"
    watching.close()


async def test_nobody_takes_as_long_as_somebody(door: Door) -> None:
    """The salt, and the refusal, come after the same time; the pauses are what makes it so."""
    await door.house.values("anna", lockout_enabled="FALSE")
    door.login._sources = FailingSources(1000, 600, [ip_network("192.0.2.0/24")])
    took: dict[str, list[float]] = {"anna": [], "nobody": []}
    for _ in range(12):
        for name, times in took.items():
            client = ScramClient("SCRAM-SHA-256", f"{name}@acme.test", "wrong")
            began = time.perf_counter()
            await door.login.scram_keys(f"{name}@acme.test", Peer("192.0.2.1", "imap", tls=True))
            salt = time.perf_counter() - began
            assert salt >= 0.0099
            began = time.perf_counter()
            with pytest.raises(Refused):
                await door.talk("SCRAM-SHA-256", client.first(), client.answer)
            times.append(time.perf_counter() - began)
    # The shortest: a machine that is busy makes some of them longer, and none shorter.
    somebody, nobody = (min(times) for times in took.values())
    assert abs(somebody - nobody) < 0.01, took


# --- tokens


async def test_the_reason_is_told_as_the_mechanism_has_it(house: House) -> None:
    door = Door(house, scope="mail.imap")
    await house.account("anna", password=WORD)
    assert await door.come("OAUTHBEARER", "anna", "nonsense") == WRONG
    configuration = f"{SMALL.url}/.well-known/openid-configuration"
    assert json.loads(door.asked[0]) == {"status": "invalid_token", "scope": "mail.imap", "openid-configuration": configuration}
    assert await door.come("OAUTHBEARER", "anna") == WRONG
    assert json.loads(door.asked[0])["status"] == "insufficient_scope"
    assert await door.come("XOAUTH2", "anna", "nonsense") == WRONG
    assert json.loads(door.asked[0]) == {"status": "401", "schemes": "bearer", "scope": "mail.imap"}
    good = SMALL.token("anna@acme.test", exp=START / SECOND + 60, scope="openid mail.imap")
    assert await door.come("OAUTHBEARER", "anna", good) == "anna@acme.test"
    await house.status("anna", AccountStatus.LOCKED)
    assert await door.come("OAUTHBEARER", "anna", good) == Refuse(Reason.ACCOUNT_STATUS, "locked")
    assert door.asked == [], "the token was good: there is no better one to be had"
    await door.login.idle()
    door.close()


async def test_a_client_that_cancels_after_the_reason_is_refused_all_the_same(door: Door) -> None:
    def cancel(challenge: bytes) -> bytes:
        raise Cancelled

    with pytest.raises(Refused):
        await door.talk("OAUTHBEARER", b"n,,\x01auth=Bearer x\x01\x01", cancel)


async def test_a_session_lasts_as_long_as_its_token(door: Door) -> None:
    actor = await door.actor("OAUTHBEARER", "anna@acme.test", WORD)
    assert actor.until == START + (600 + 30) * SECOND, "with the leeway that the token has"
    confirmed = (await door.login.confirm([actor]))[actor]
    assert (confirmed.refusal, confirmed.valid_until) == (None, actor.until)
    door.house.clock.turn(629)
    assert (await door.login.confirm([actor]))[actor].refusal is None
    door.house.clock.turn(1)
    assert (await door.login.confirm([actor]))[actor].refusal == Refuse(Reason.SESSION_ENDED, "the token has expired")


async def test_as_another_the_token_and_the_right_both_end_it(door: Door) -> None:
    await door.house.grant("anna", "bruno", SendRight.LOGIN_AS, expires=START + 60 * SECOND)
    actor = await door.actor("OAUTHBEARER", "bruno@acme.test", WORD, authzid="anna@acme.test")
    assert (await door.login.confirm([actor]))[actor].valid_until == START + 60 * SECOND
    await door.house.grant("anna", "bruno", SendRight.LOGIN_AS)
    assert (await door.login.confirm([actor]))[actor].valid_until == actor.until
    await door.house.status("bruno", AccountStatus.LOCKED)
    assert (await door.login.confirm([actor]))[actor].refusal is not None


async def test_an_administrator_may_let_sessions_outlast_their_tokens(house: House) -> None:
    door = Door(house, tokens_end_sessions=False)
    await house.account("anna", password=WORD)
    actor = await door.actor("XOAUTH2", "anna@acme.test", WORD)
    house.clock.turn(86_400)
    assert (await door.login.confirm([actor]))[actor].refusal is None
    await door.login.idle()
    door.close()


async def test_an_account_without_a_password_comes_with_a_token_only(door: Door) -> None:
    await door.house.account("modern")
    assert await door.come("OAUTHBEARER", "modern") == "modern@acme.test"
    for mechanism in BY_PASSWORD:
        assert await door.come(mechanism, "modern", "x") == WRONG


async def test_an_issuer_that_cannot_be_asked_is_no_failure_of_anybody(house: House) -> None:
    door = Door(house, limit=1)
    await house.account("anna", password=WORD)
    door.up = False
    for _ in range(3):
        verdict = await door.come("OAUTHBEARER", "anna")
        assert isinstance(verdict, Defer)
        assert verdict.reason is Reason.BUSY
        assert door.asked == []
    assert await door.come("PLAIN", "anna") == "anna@acme.test"
    await door.login.idle()
    door.close()


async def test_without_an_issuer_no_token_is_good(house: House) -> None:
    login = Login(house.store, house.passwords, FailingSources(1000, 600, []))
    await house.account("anna", password=WORD)

    async def ask(challenge: bytes) -> bytes:
        assert json.loads(challenge) == {"status": "invalid_token"}
        return b"\x01"

    message = f"n,,\x01auth=Bearer {SMALL.token('anna@acme.test')}\x01\x01".encode()
    with pytest.raises(Refused) as refused:
        await authenticate("OAUTHBEARER", message, ask, login, Peer("192.0.2.1", "imap", tls=True))
    assert refused.value.verdict == WRONG


async def test_no_token_and_no_name_is_logged(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    token = SMALL.token("secret-name@acme.test", exp=START / SECOND + 60)
    assert await door.come("OAUTHBEARER", "anna", token) == WRONG
    assert await door.come("SCRAM-SHA-256", "secret-name", "x") == WRONG
    said = str([vars(record) for record in caplog.records])
    assert token not in said
    assert "secret-name" not in said


# --- the exchange itself


@pytest.mark.parametrize("mechanism", ALL)
async def test_an_exchange_may_begin_with_a_challenge_and_be_cancelled(door: Door, mechanism: str) -> None:
    def cancel(challenge: bytes) -> bytes:
        assert challenge == (b"Username:" if mechanism == "LOGIN" else b"")
        raise Cancelled

    with pytest.raises(Cancelled):
        await door.talk(mechanism, None, cancel)


@pytest.mark.parametrize("mechanism", ALL)
async def test_nonsense_is_no_failure(door: Door, mechanism: str) -> None:
    with pytest.raises(Malformed):
        await door.talk(mechanism, b"\0\xff", lambda _: b"\0")
    assert door.login._sources.refused("192.0.2.1", 0) is False


async def test_who_answers_the_last_word_of_scram_is_not_let_in(door: Door) -> None:
    client = ScramClient("SCRAM-SHA-256", "anna@acme.test", WORD)

    def answer(challenge: bytes) -> bytes:
        return client.answer(challenge) or b"more"

    with pytest.raises(Malformed):
        await door.talk("SCRAM-SHA-256", client.first(), answer)


async def test_login(door: Door) -> None:
    words: Iterator[bytes] = iter([b"anna@acme.test", WORD.encode()])
    actor = await door.talk("LOGIN", None, lambda _: next(words))
    assert str(actor.address) == "anna@acme.test"
    assert door.asked == [b"Username:", b"Password:"]
    assert (await door.login.authenticate(Credentials("LOGIN", "anna@acme.test", "", WORD.encode()), Peer("", "imap", tls=True))) == actor
