"""MTA-STS policies, fetched from a web server over https and kept: who takes it away, or answers in its place, changes nothing."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest

from gateway import policies as module
from gateway.policies import AGAIN, REFRESH, Policies, PolicyRules
from gateway.resolver import Resolver
from gateway.sts import Mode
from tests.live.authority import Made, made
from tests.live.names import Names
from tests.live.policy_host import ENFORCE, PolicyHost, policy_host

POLICY = ENFORCE.format("mail.far.test")
ROOT = made("root", authority=True)
WEEK = 604_800


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("certificates")
    ROOT.write(place / "root.pem")
    return place


def context(places: Path, one: Made | None = None) -> ssl.SSLContext:
    return (one or made("far", ROOT, names=["mta-sts.far.test", "mta-sts.other.test"])).served(places / "server.pem")


@dataclass
class World:
    """`at`: seconds since 1970, turned by the test."""

    host: PolicyHost
    names: Names
    place: Path
    authorities: Path | None
    at: float = 1_700_000_000.0
    refused: tuple[str, ...] = ()
    made: list[Policies] = field(default_factory=list)

    def policies(self) -> Policies:
        rules = PolicyRules(self.place / "sts", [ip_network(one) for one in self.refused], self.authorities, self.host.port)
        self.made.append(Policies(Resolver([("127.0.0.1", self.names.port)]), rules, now=lambda: self.at))
        return self.made[-1]

    def announce(self, number: str | None, domain: str = "far.test") -> None:
        """The resolver of a Policies that was made before still has the old one."""
        self.names.zone[f"_mta-sts.{domain}"] = {} if number is None else {"TXT": [f'"v=STSv1; id={number};"']}


@pytest.fixture
def world(tmp_path: Path, places: Path) -> Iterator[World]:
    zone = {"mta-sts.far.test": {"A": ["127.0.0.1"]}, "mta-sts.other.test": {"A": ["127.0.0.1"]}}
    names = Names(zone)
    with policy_host(context(places), POLICY) as host:
        found = World(host, names, tmp_path, places / "root.pem")
        found.announce("1")
        yield found
        for one in found.made:
            one.close()
    names.close()


async def settled(policies: Policies) -> None:
    while policies._asking:
        await asyncio.gather(*policies._asking.values())


async def test_it_is_fetched_once_for_many_and_kept_on_disk(world: World) -> None:
    policies = world.policies()
    found = await asyncio.gather(*(policies.of("far.test") for _ in range(10)))
    assert {(one.mode, one.exchangers) for one in found if one} == {(Mode.ENFORCE, ("mail.far.test",))}
    assert None not in found
    assert world.host.asked == ["mta-sts.far.test/.well-known/mta-sts.txt"]
    assert await world.policies().of("far.test") == found[0], "by another process, from disk"
    assert len(world.host.asked) == 1
    assert (world.place / "sts").stat().st_mode & 0o77 == 0


async def test_who_announces_none_has_none(world: World) -> None:
    world.announce(None)
    assert await world.policies().of("far.test") is None
    assert await world.policies().of("elsewhere.test") is None
    assert world.host.asked == []


@pytest.mark.parametrize("gone", ["no record", "two records", "the DNS is silent", "the server answers 500", "no policy there any more"])
async def test_what_is_kept_holds_whatever_is_taken_away(world: World, gone: str) -> None:
    kept = await world.policies().of("far.test")
    match gone:
        case "no record":
            world.announce(None)
        case "two records":
            world.names.zone["_mta-sts.far.test"] = {"TXT": ['"v=STSv1; id=2;"', '"v=STSv1; id=3;"']}
        case "the DNS is silent":
            world.names.broken.add("_mta-sts.far.test")
        case "the server answers 500":
            world.announce("2")
            world.host.status = 500
        case _:
            world.announce("2")
            world.host.policy = "<html>"
    world.at += WEEK - 10
    policies = world.policies()
    assert await policies.of("far.test") == kept
    await settled(policies)
    if gone not in ("the server answers 500", "no policy there any more"):
        return  # asked in passing, and had
    world.at += 20
    assert await world.policies().of("far.test") is None, "but not longer than it says"


async def test_another_id_means_another_policy(world: World) -> None:
    await world.policies().of("far.test")
    world.announce("2")
    world.host.policy = POLICY.replace("enforce", "none")
    assert await world.policies().of("far.test") is None
    world.announce("3")
    world.host.policy = POLICY.replace("mail.", "new.")
    found = await world.policies().of("far.test")
    assert found is not None
    assert found.exchangers == ("new.far.test",)
    assert len(world.host.asked) == 3


async def test_it_is_fetched_anew_before_it_expires_and_nobody_waits(world: World) -> None:
    policies = world.policies()
    kept = await policies.of("far.test")
    world.at += REFRESH + 1
    world.host.policy = POLICY.replace("604800", "1209600")
    world.host.gate.clear()
    assert await policies.of("far.test") == kept
    world.host.gate.set()
    await settled(policies)
    found = await policies.of("far.test")
    assert found is not None
    assert found.max_age == 1_209_600


async def test_the_daily_round_keeps_what_is_used_alive(world: World) -> None:
    policies = world.policies()
    await policies.of("far.test")
    for _ in range(20):
        world.at += REFRESH + 60
        await policies.round()
    assert len(world.host.asked) == 21
    world.host.status = 500
    assert await world.policies().of("far.test") is not None, "20 days later, of a policy good for a week"
    world.at += 31 * REFRESH
    world.host.status = 200
    await world.policies().round()
    assert [*(world.place / "sts").iterdir()] == [], "nobody wrote there for long, and it has expired"


@pytest.mark.parametrize(
    ("fault", "value"),
    [
        ("status", 404),
        ("status", 302),
        ("status", 503),
        ("kind", "text/html"),
        ("kind", ""),
        ("policy", "x" * 100_000),
        ("policy", POLICY.replace("STSv1", "STSv2")),
        ("policy", ""),
    ],
)
async def test_what_is_no_policy_is_none_and_is_not_asked_for_again_at_once(world: World, fault: str, value: object) -> None:
    setattr(world.host, fault, value)
    policies = world.policies()
    assert await policies.of("far.test") is None
    assert await policies.of("far.test") is None
    assert len(world.host.asked) == 1
    setattr(world.host, fault, {"status": 200, "kind": "text/plain", "policy": POLICY}[fault])
    world.at += AGAIN + 1
    assert await policies.of("far.test") is not None


async def test_a_clock_that_is_set_back_keeps_no_policy_away(world: World) -> None:
    world.host.status = 404
    policies = world.policies()
    assert await policies.of("far.test") is None
    world.host.status = 200
    world.at -= 365 * 86400
    assert await policies.of("far.test") is not None


@pytest.mark.parametrize(
    "certificate",
    [
        pytest.param(made("mta-sts.far.test", ROOT, names=["far.test"]), id="another name"),
        pytest.param(made("mta-sts.far.test", names=["mta-sts.far.test"]), id="by itself"),
        pytest.param(made("x", ROOT, names=["mta-sts.far.test"], days=(-30, -1)), id="expired"),
    ],
)
async def test_a_server_that_cannot_show_who_it_is_is_not_believed(world: World, places: Path, certificate: Made) -> None:
    with policy_host(context(places, certificate), POLICY) as host:
        world.host = host
        assert await world.policies().of("far.test") is None
        assert host.asked == []


async def test_nobody_has_us_ask_this_machine(world: World) -> None:
    world.refused = ("127.0.0.0/8",)
    assert await world.policies().of("far.test") is None
    assert world.host.asked == []


async def test_a_web_server_that_says_nothing_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    world.host.gate.clear()
    assert await world.policies().of("far.test") is None


@pytest.mark.parametrize(
    "octets", [b"", b"{", b"[]", b'{"mode": "enforce"}', b'{"mode": "x", "mx": [], "max_age": 1, "id": "1", "fetched": 1}', b"\xff"]
)
async def test_a_file_that_is_damaged_is_fetched_anew(world: World, octets: bytes) -> None:
    await world.policies().of("far.test")
    (world.place / "sts" / "far.test").write_bytes(octets)
    assert await world.policies().of("far.test") is not None
    assert len(world.host.asked) == 2


async def test_a_policy_is_obeyed_although_it_cannot_be_kept(world: World) -> None:
    (world.place / "sts").write_text("a file in the way")
    policies = world.policies()
    assert await policies.of("far.test") is not None
    assert await policies.of("far.test") is not None
    assert len(world.host.asked) == 1


@pytest.mark.parametrize("domain", ["..", "../etc", "a/b", "", ".hidden", "x" * 300])
async def test_no_name_leads_out_of_our_directory(world: World, domain: str) -> None:
    assert await world.policies().of(domain) is None
    assert not (world.place / "sts").exists()


async def test_a_silent_dns_is_waited_for_once_and_not_by_every_message(world: World) -> None:
    world.names.broken.add("_mta-sts.far.test")
    policies = world.policies()
    for _ in range(5):
        assert await policies.of("far.test") is None
    asked = world.names.asked["_mta-sts.far.test TXT"]
    assert await policies.of("far.test") is None
    assert world.names.asked["_mta-sts.far.test TXT"] == asked
    world.names.broken.clear()
    world.at += AGAIN + 1
    assert await policies.of("far.test") is not None


async def test_no_more_is_remembered_than_agreed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KNOWN", 6)
    monkeypatch.setattr(module, "IN_MEMORY", 3)
    policies = world.policies()
    for number in range(10):
        await policies.of(f"d{number}.test")
        world.announce("1", f"e{number}.test")
        await policies.of(f"e{number}.test")
    assert (len(policies._known), len(policies._failed)) == (3, 6)
