"""Who takes mail for a domain, asked of a DNS server of the tests' own on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from ipaddress import ip_network

import pytest
import uvloop

from gateway.exchangers import ExchangerRules, Exchangers, NoRoute
from gateway.peers import Peer, Tls
from gateway.policies import Policies
from gateway.resolver import Resolver
from gateway.sts import Mode, Policy
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


# --- DANE


SIGNED = {
    "safe.test": {"MX": ["10 mail.safe.test.", "20 plain.safe.test.", "30 alias.safe.test.", "40 open.test."]},
    "mail.safe.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "_25._tcp.mail.safe.test": {"TLSA": [f"3 1 1 {'ab' * 32}", f"1 1 1 {'cd' * 32}"]},
    "plain.safe.test": {"A": ["192.0.2.2"]},
    "alias.safe.test": {"CNAME": ["mail.safe.test."]},
    "open.test": {"A": ["192.0.2.4"]},
    "_25._tcp.open.test": {"TLSA": [f"3 1 1 {'ef' * 32}"]},
    "unusable.test": {"A": ["192.0.2.5"]},
    "_25._tcp.unusable.test": {"TLSA": [f"0 0 1 {'ab' * 32}"]},
    "silent.safe.test": {"MX": ["10 dark.test.", "20 plain.safe.test."]},
    "dark.test": {"A": ["192.0.2.6"]},
    "darker.test": {"MX": ["10 dark.test."]},
    "leads.test": {"MX": ["10 out.test."]},
    "out.test": {"CNAME": ["open.test."]},
    "_25._tcp.out.test": {"TLSA": [f"3 1 1 {'12' * 32}"]},
    "lower.test": {"MX": ["10 mail.safe.test."]},
    "own.test": {"MX": ["10 own2.test."]},
    "own2.test": {"CNAME": ["own3.test."]},
    "own3.test": {"A": ["192.0.2.7"]},
    "_25._tcp.own2.test": {"TLSA": [f"3 0 1 {'34' * 32}"]},
}


@pytest.fixture(scope="module")
def signed() -> Iterator[Names]:
    names = Names(SIGNED, broken=["_25._tcp.dark.test"])
    names.signed = {*SIGNED} - {"open.test", "lower.test"}
    yield names
    names.close()


async def dane(names: Names, domain: str, *, validates: bool = True) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    """address → how, by which name, and what other names would do"""
    resolver = Resolver([("127.0.0.1", names.port)], validates=validates)
    exchangers = Exchangers(resolver, ExchangerRules("mx.acme.test", [], dane=True))
    return {peer.address: (peer.tls.value, peer.host, peer.names) for peer in await exchangers.peers(domain)}


async def test_signed_records_bind_and_others_do_not(signed: Names) -> None:
    found = await dane(signed, "safe.test")
    bound = ("dane", "mail.safe.test", ("mail.safe.test", "safe.test"))
    assert found == {
        "192.0.2.1": bound,  # alias.safe.test leads there too: its records are those of the name it leads to
        "2001:db8::1": bound,
        "192.0.2.2": ("if offered", "plain.safe.test", ()),
        "192.0.2.4": ("if offered", "open.test", ()),
    }


async def test_a_resolver_that_is_not_known_to_validate_is_not_believed(signed: Names) -> None:
    assert {tls for tls, _, _ in (await dane(signed, "safe.test", validates=False)).values()} == {"if offered"}


async def test_records_that_tell_nothing_still_ask_for_tls(signed: Names) -> None:
    assert await dane(signed, "unusable.test") == {"192.0.2.5": ("required", "unusable.test", ())}


async def test_where_the_exchangers_are_not_signed_nothing_is_bound(signed: Names) -> None:
    assert {tls for tls, _, _ in (await dane(signed, "lower.test")).values()} == {"if offered"}
    assert signed.asked["_25._tcp.open.test TLSA"] == 0, "RFC 7672 section 2.2.2: not asked where the address is not signed"


async def test_a_server_whose_records_cannot_be_asked_for_gets_nothing(signed: Names) -> None:
    assert [*await dane(signed, "silent.safe.test")] == ["192.0.2.2"]
    with pytest.raises(NoRoute) as caught:
        await dane(signed, "darker.test")
    assert (caught.value.reply[:5], caught.value.final) == ("4.4.3", False)


async def test_an_alias_is_known_by_the_name_it_leads_to_or_else_by_its_own(signed: Names) -> None:
    assert await dane(signed, "own.test") == {"192.0.2.7": ("dane", "own2.test", ("own2.test", "own.test"))}
    # A signed alias that leads out of what is signed.
    assert await dane(signed, "leads.test") == {"192.0.2.4": ("dane", "out.test", ("out.test", "leads.test"))}


# --- MTA-STS


class Asked(Policies):
    """As if every domain had this policy."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy

    async def of(self, domain: str) -> Policy | None:
        return self._policy


async def by_policy(names: Names, domain: str, mode: Mode, *patterns: str, dane: bool = False, tls: Tls = Tls.IF_OFFERED) -> list[Peer]:
    resolver = Resolver([("127.0.0.1", names.port)], validates=dane)
    exchangers = Exchangers(resolver, ExchangerRules("mx.acme.test", [], tls, dane), Asked(Policy(mode, patterns, 86_400)))
    return await exchangers.peers(domain)


async def test_a_policy_that_is_enforced_leaves_the_servers_it_names(names: Names) -> None:
    found = await by_policy(names, "plain.test", Mode.ENFORCE, "second.plain.test")
    assert [(peer.address, peer.tls, peer.otherwise) for peer in found] == [("192.0.2.2", Tls.VERIFIED, None)]
    assert len(await by_policy(names, "plain.test", Mode.ENFORCE, "*.plain.test")) == 3


async def test_where_it_names_none_of_them_the_mail_waits(names: Names) -> None:
    with pytest.raises(NoRoute) as caught:
        await by_policy(names, "plain.test", Mode.ENFORCE, "*.elsewhere.test")
    assert (caught.value.reply[:5], caught.value.final) == ("4.7.5", False)


async def test_a_policy_in_testing_keeps_nobody_out(names: Names, caplog: pytest.LogCaptureFixture) -> None:
    found = await by_policy(names, "plain.test", Mode.TESTING, "second.plain.test", tls=Tls.REQUIRED)
    assert [(peer.address, peer.tls, peer.otherwise) for peer in found] == [
        ("2001:db8::1", Tls.REQUIRED, None),
        ("192.0.2.1", Tls.REQUIRED, None),
        ("192.0.2.2", Tls.VERIFIED, Tls.REQUIRED),
    ]
    assert "first.plain.test is not among the servers" in str(caplog.records[0].__dict__["fields"])


async def test_dane_comes_before_a_policy(signed: Names) -> None:
    found = await by_policy(signed, "safe.test", Mode.ENFORCE, "plain.safe.test", dane=True)
    assert {(peer.address, peer.tls) for peer in found} == {
        ("192.0.2.1", Tls.DANE),
        ("2001:db8::1", Tls.DANE),
        ("192.0.2.2", Tls.VERIFIED),
    }


async def test_what_a_peer_is_told_about_tls(names: Names) -> None:
    assert {peer.tls for peer in await asking(names, tls=Tls.REQUIRED).peers("plain.test")} == {Tls.REQUIRED}


def test_on_the_loop_that_the_server_uses(names: Names) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(asking(names).peers("plain.test"))
        assert [peer.host for peer in found] == ["first.plain.test", "first.plain.test", "second.plain.test"]
        assert len(runner.run(asking(names).peers("crowd.test"))) == 10  # by TCP: it is too long for a datagram
