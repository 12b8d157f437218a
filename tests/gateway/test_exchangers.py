"""Who takes mail for a domain, asked of a DNS server of the tests' own on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest
import uvloop

from gateway.exchangers import ExchangerRules, Exchangers, NoRoute
from gateway.outgoing import Tls
from gateway.resolver import Resolver
from tests.live.names import Names

ZONE = {
    "plain.test": {"MX": ["20 second.plain.test.", "10 first.plain.test."]},
    "first.plain.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "second.plain.test": {"A": ["192.0.2.2"]},
    "bare.test": {"A": ["192.0.2.3"]},
    "six.test": {"AAAA": ["2001:db8::6"]},
    "null.test": {"MX": ["0 ."], "A": ["192.0.2.4"]},
    "odd.test": {"MX": ["0 .", "10 first.plain.test."]},
    "silent.test": {"TXT": ['"no mail"']},
    "lost.test": {"MX": ["10 nowhere.lost.test."]},
    "half.test": {"MX": ["10 nowhere.lost.test.", "20 second.plain.test."]},
    "backed.test": {"MX": ["10 first.plain.test.", "20 mx.acme.test.", "20 second.plain.test.", "30 bare.test."]},
    "ours.test": {"MX": ["10 mx.acme.test.", "20 second.plain.test."]},
    "local.test": {"MX": ["10 localhost.local.test."]},
    "localhost.local.test": {"A": ["127.0.0.1"], "AAAA": ["::1", "::ffff:127.0.0.1"]},
    "mixed.test": {"MX": ["10 localhost.local.test.", "20 second.plain.test."]},
    "even.test": {"MX": ["10 first.plain.test.", "10 second.plain.test.", "10 bare.test."]},
    "alias.test": {"CNAME": ["plain.test."]},
    "broken.test": {},
    "brokenhost.test": {"MX": ["10 broken.test."]},
    "many.test": {"MX": [f"{number} bare.test." for number in range(200)]},
    "crowd.test": {"A": [f"192.0.2.{number}" for number in range(1, 100)]},
    "xn--bcher-kva.test": {"MX": ["10 first.plain.test."]},
}


@pytest.fixture(scope="module")
def names() -> Iterator[Names]:
    names = Names(ZONE, broken=["broken.test"])
    yield names
    names.close()


def asking(names: Names, *refused: str, tls: Tls = Tls.IF_OFFERED) -> Exchangers:
    networks = [ip_network(one) for one in (refused or ("127.0.0.0/8", "::1"))]
    return Exchangers(Resolver([("127.0.0.1", names.port)]), ExchangerRules("mx.acme.test", networks, tls))


@pytest.mark.parametrize(
    ("domain", "addresses"),
    [
        pytest.param("plain.test", ["2001:db8::1", "192.0.2.1", "192.0.2.2"], id="by preference, IPv6 first"),
        pytest.param("PLAIN.test.", ["2001:db8::1", "192.0.2.1", "192.0.2.2"], id="any spelling"),
        pytest.param("bare.test", ["192.0.2.3"], id="no MX: the domain itself"),
        pytest.param("six.test", ["2001:db8::6"], id="no MX: IPv6 alone"),
        pytest.param("odd.test", ["2001:db8::1", "192.0.2.1"], id="a null MX beside others says nothing"),
        pytest.param("half.test", ["192.0.2.2"], id="a server without address is passed over"),
        pytest.param("backed.test", ["2001:db8::1", "192.0.2.1"], id="we are a backup: only those before us"),
        pytest.param("mixed.test", ["192.0.2.2"], id="never to ourselves"),
        pytest.param("alias.test", ["2001:db8::1", "192.0.2.1", "192.0.2.2"], id="an alias"),
        pytest.param("xn--bcher-kva.test", ["2001:db8::1", "192.0.2.1"], id="an A-label"),
    ],
)
async def test_the_servers_in_their_order(names: Names, domain: str, addresses: list[str]) -> None:
    assert [peer.address for peer in await asking(names).peers(domain)] == addresses


@pytest.mark.parametrize(
    ("domain", "status", "final"),
    [
        ("null.test", "5.1.10", True),
        ("nowhere.test", "5.1.2", True),
        ("silent.test", "5.4.4", True),
        ("lost.test", "5.4.4", True),
        ("ours.test", "5.4.6", True),
        ("local.test", "5.4.6", True),
        ("broken.test", "4.4.3", False),
        ("brokenhost.test", "4.4.3", False),
        ("a..b.test", "5.1.2", True),
        ("x" * 64 + ".test", "5.1.2", True),
    ],
)
async def test_who_cannot_be_handed_mail(names: Names, domain: str, status: str, final: bool) -> None:
    with pytest.raises(NoRoute) as caught:
        await asking(names).peers(domain)
    assert (caught.value.reply.split()[0], caught.value.final) == (status, final)


async def test_equal_servers_share_the_load(names: Names) -> None:
    exchangers = asking(names)
    firsts = {(await exchangers.peers("even.test"))[0].host for _ in range(60)}
    assert firsts == {"first.plain.test", "second.plain.test", "bare.test"}


@pytest.mark.parametrize("domain", ["many.test", "crowd.test"])
async def test_nobody_has_us_try_hundreds(names: Names, domain: str) -> None:
    assert len(await asking(names).peers(domain)) <= 10


async def test_answers_are_kept_while_they_are_good(names: Names) -> None:
    exchangers = asking(names)
    before = names.asked["plain.test MX"]
    for _ in range(5):
        await exchangers.peers("plain.test")
    assert names.asked["plain.test MX"] == before + 1


async def test_a_resolver_that_says_nothing_is_given_up(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.resolver.LIFETIME", 0.3)
    names.mute.add("mute.test")
    began = time.monotonic()
    with pytest.raises(NoRoute) as caught:
        await asking(names).peers("mute.test")
    assert not caught.value.final
    assert time.monotonic() - began < 5


async def test_what_a_peer_is_told_about_tls(names: Names) -> None:
    assert {peer.tls for peer in await asking(names, tls=Tls.REQUIRED).peers("plain.test")} == {Tls.REQUIRED}


def test_on_the_loop_that_the_server_uses(names: Names) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(asking(names).peers("plain.test"))
        assert [peer.host for peer in found] == ["first.plain.test", "first.plain.test", "second.plain.test"]
        assert len(runner.run(asking(names).peers("crowd.test"))) == 10  # by TCP: it is too long for a datagram
