"""The issuer's keys: fetched once for everybody, renewed in passing, used through an outage, never from elsewhere or in the clear."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from gateway.documents import Unavailable
from gateway.issuer import Issuer, IssuerRules, configuration_url
from gateway.refusal import Refused
from gateway.tokens import TokenRules, Untrusted
from policy.reasons import Defer, Reason
from tests.live.issuer import AUDIENCE, Keys, issuing, jwk
from tests.live.issuer import Issuer as Small

ANNA = "anna@acme.test"


@pytest.fixture(scope="module")
def small() -> Iterator[Small]:
    with issuing() as found:
        yield found


@pytest.fixture(autouse=True)
def fresh(small: Small) -> None:
    small.up = True
    small.asked.clear()
    small.jwks = small.keys.document()
    small.configuration = {"issuer": small.url, "jwks_uri": f"{small.url}/keys"}


@dataclass
class World:
    """An issuer as we see it, with a clock that the test turns."""

    small: Small
    clock: float = 1000.0
    made: list[Issuer] = field(default_factory=list)

    def issuer(self, fetch: Callable[[str], bytes] | None = None, **rules: object) -> Issuer:
        tokens = TokenRules(self.small.url, [AUDIENCE], "email", ["RS256", "ES256", "EdDSA"])
        made = Issuer(tokens, IssuerRules(**rules), fetch, clock=lambda: self.clock)  # type: ignore[arg-type]
        self.made.append(made)
        return made

    @property
    def asked(self) -> int:
        return self.small.asked.get("/keys", 0)


@pytest.fixture
def world(small: Small) -> Iterator[World]:
    found = World(small)
    yield found
    for made in found.made:
        made.close()


async def whose(issuer: Issuer, token: str) -> str:
    """The name, or why not."""
    try:
        return (await issuer.bearer(token)).name
    except Untrusted as untrusted:
        return untrusted.message
    except Refused as refused:
        assert refused.verdict == Defer(Reason.BUSY, "the issuer of tokens cannot be asked")
        return "later"


async def settled(issuer: Issuer) -> None:
    while issuer._asking is not None:
        await asyncio.sleep(0.01)


async def test_keys_are_discovered_and_fetched_once_for_many(world: World) -> None:
    issuer = world.issuer()
    tokens = [world.small.token(ANNA, algorithm) for algorithm in ("RS256", "ES256", "EdDSA")] * 5
    assert set(await asyncio.gather(*(whose(issuer, token) for token in tokens))) == {ANNA}
    assert world.small.asked == {"/.well-known/openid-configuration": 1, "/keys": 1}


async def test_a_place_that_is_named_is_not_discovered(world: World) -> None:
    issuer = world.issuer(jwks_url=f"{world.small.url}/keys")
    assert await whose(issuer, world.small.token(ANNA)) == ANNA
    assert world.small.asked == {"/keys": 1}


async def test_a_new_key_is_asked_for_but_not_for_every_stranger(world: World) -> None:
    issuer = world.issuer(refresh=60)
    assert await whose(issuer, world.small.token(ANNA)) == ANNA
    keys = Keys()
    world.small.jwks = {"keys": [jwk(keys.rsa, "new")]}
    old, world.small.keys = world.small.keys, keys
    try:
        token = world.small.token(ANNA, head={"kid": "new"})
        for _ in range(5):
            assert await whose(issuer, token) == "the issuer has no such key"
        assert world.asked == 1
        world.clock += 61
        assert await whose(issuer, token) == ANNA
        assert world.asked == 2
    finally:
        world.small.keys = old
    assert await whose(issuer, world.small.token(ANNA)) == "the issuer has no such key", "a key that was taken back"


async def test_old_keys_are_renewed_in_passing(world: World) -> None:
    issuer = world.issuer(lifetime=3600)
    assert await whose(issuer, world.small.token(ANNA)) == ANNA
    world.clock += 3601
    world.small.jwks = {"keys": [jwk(world.small.keys.ec, "e")]}
    assert await whose(issuer, world.small.token(ANNA)) == ANNA
    await settled(issuer)
    assert world.asked == 2
    world.clock += 61
    assert await whose(issuer, world.small.token(ANNA)) == "the issuer has no such key"


async def test_an_outage_is_survived_for_so_long(world: World) -> None:
    issuer = world.issuer(lifetime=3600, outage=7200, refresh=60)
    assert await whose(issuer, world.small.token(ANNA)) == ANNA
    world.small.up = False
    for _ in range(3):
        world.clock += 3599
        assert await whose(issuer, world.small.token(ANNA)) == ANNA
        await settled(issuer)
    world.clock += 61
    assert await whose(issuer, world.small.token(ANNA, head={"kid": "new"})) == "later", "who knows which keys it has now?"
    world.clock += 3600
    assert await whose(issuer, world.small.token(ANNA)) == "later"
    world.small.up = True
    assert await whose(issuer, world.small.token(ANNA)) == "later", "it was asked a moment ago"
    world.clock += 61
    assert await whose(issuer, world.small.token(ANNA)) == ANNA


async def test_nothing_is_asked_for_what_is_no_token(world: World) -> None:
    issuer = world.issuer()
    for token in ("", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."):
        await whose(issuer, token)
    assert world.small.asked == {}


@pytest.mark.parametrize(
    "configuration",
    [
        {"issuer": "http://127.0.0.1:1", "jwks_uri": "{}/keys"},
        {"issuer": "{}/", "jwks_uri": "{}/keys"},
        {"issuer": "{}", "jwks_uri": "http://issuer.example/keys"},
        {"issuer": "{}", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "{}", "jwks_uri": 7},
        {"issuer": "{}", "jwks_uri": "{}/moved"},
        {"issuer": "{}", "jwks_uri": "{}/large"},
        {"issuer": "{}", "jwks_uri": "{}/nothing"},
        {"issuer": "{}"},
        [],
        "no",
    ],
    ids=str,
)
async def test_a_configuration_that_leads_astray(world: World, configuration: object) -> None:
    world.small.configuration = json.loads(json.dumps(configuration).replace("{}", world.small.url))
    assert await whose(world.issuer(), world.small.token(ANNA)) == "later"
    assert world.asked == 0


async def test_one_thread_is_all_that_a_slow_issuer_holds(world: World) -> None:
    goes_on, threads = threading.Event(), set()

    def slow(url: str) -> bytes:
        threads.add(threading.get_ident())
        goes_on.wait(10)
        raise Unavailable("slow")

    issuer = world.issuer(slow)
    waiting = [asyncio.ensure_future(whose(issuer, world.small.token(ANNA))) for _ in range(20)]
    await asyncio.sleep(0.05)
    assert not any(one.done() for one in waiting)
    waiting[0].cancel()
    goes_on.set()
    assert set(await asyncio.gather(*waiting[1:])) == {"later"}
    assert len(threads) == 1


async def test_a_server_that_stops_waits_for_nobody(world: World) -> None:
    issuer = world.issuer()
    issuer.close()
    assert await whose(issuer, world.small.token(ANNA)) == "later"


def test_where_the_configuration_is() -> None:
    assert configuration_url("https://i.test/realms/x") == "https://i.test/realms/x/.well-known/openid-configuration"
    assert configuration_url("https://i.test/") == "https://i.test/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("ends", "behind", "found"),
    [
        (60, 0, ANNA),
        (-60, 0, "it has expired"),
        (60, 365 * 86_400, ANNA),
        (-60, 365 * 86_400, "put off"),
        (-366 * 86_400, 365 * 86_400, "it has expired"),
        (-60, 50, "it has expired"),
    ],
)
async def test_behind_a_clock_that_was_set_back(world: World, ends: int, behind: int, found: str) -> None:
    """A token that has ended does not live again; it is not taken for a guess either, for the time that goes on may be the wrong one.
    `ends`: seconds from the time that goes on; `behind`: by how many the machine's clock is behind that."""
    now = int(time.time())
    tokens = TokenRules(world.small.url, [AUDIENCE], "email", ["RS256", "ES256", "EdDSA"], leeway=0)
    issuer = Issuer(tokens, IssuerRules(), now=lambda: now * 1_000_000, machine=lambda: (now - behind) * 1_000_000)
    world.made.append(issuer)
    try:
        came = (await issuer.bearer(world.small.token(ANNA, exp=now + ends))).name
    except Untrusted as untrusted:
        came = untrusted.message
    except Refused as refused:
        assert refused.verdict == Defer(Reason.BUSY, "the clock is behind the time that was known here: procura clock")
        came = "put off"
    assert came == found
