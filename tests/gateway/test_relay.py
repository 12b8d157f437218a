"""What the next hop says of each recipient, and what is made of it. More through a whole server: tests/live/test_remote.py."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import uvloop

from gateway.dane import Tlsa
from gateway.exchangers import Exchangers, NoRoute
from gateway.outgoing import Lost
from gateway.peers import Peer, Tls
from gateway.relay import Fate, NextHop, Relay
from tests.gateway.house import address
from tests.live.authority import made
from tests.live.far import Far, far
from tests.live.next_hop import DROP
from tests.live.next_hop import NextHop as Sink
from tests.live.next_hop import next_hop as listening

MAIL = b"From: anna@acme.test\r\nSubject: x\r\n\r\n.dot\r\n..\r\n\xff end\r\n"
A, B = address("a@elsewhere.test"), address("b@elsewhere.test")
ANNA = address("anna@acme.test")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with listening() as sink:
        yield sink


def relay(sink: Sink, timeout: float = 5.0, **options: object) -> Relay:
    hop = NextHop("127.0.0.1", sink.port, implicit_tls=False, starttls=False, **options)  # type: ignore[arg-type]
    return Relay(hop, "mx.acme.test", timeout)


async def test_both_are_sent_in_one_transaction(sink: Sink) -> None:
    outcomes = await relay(sink).send(ANNA, [A, B], MAIL)
    assert {one: outcome.fate for one, outcome in outcomes.items()} == {A: Fate.SENT, B: Fate.SENT}
    (taken,) = sink.taken
    assert taken.octets == MAIL
    assert taken.recipients == [str(A), str(B)]
    assert taken.sender == str(ANNA)


async def test_what_is_known_stays_known_when_the_time_for_all_of_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be sent twice, or be asked for again."""
    monkeypatch.setattr("gateway.relay.WHOLE", 1.0)
    c = address("c@elsewhere.test")
    async with far(offers="250 far.test") as there:
        there.answers = {
            "MAIL": ["250 2.1.0 ok", "250 2.1.0 ok"],
            f"RCPT {B}": ["452 4.5.3 many", "550 5.1.1 gone"],
            f"RCPT {c}": ["452 4.5.3 many", b""],
        }
        hop = NextHop("127.0.0.1", there.port, implicit_tls=False, starttls=False)
        outcomes = await Relay(hop, "mx.acme.test", 30).send(ANNA, [A, B, c], MAIL)
        assert {one: outcome.fate for one, outcome in outcomes.items()} == {A: Fate.SENT, B: Fate.NEVER, c: Fate.LATER}


async def test_the_empty_path(sink: Sink) -> None:
    await relay(sink).send(None, [A], MAIL)
    assert sink.taken[0].sender == ""


@pytest.mark.parametrize(
    ("replies", "fates"),
    [
        ({"RCPT a@elsewhere.test": ["550 5.1.1 gone"]}, (Fate.NEVER, Fate.SENT)),
        ({"RCPT a@elsewhere.test": ["450 4.2.1 later"]}, (Fate.LATER, Fate.SENT)),
        ({"RCPT a@elsewhere.test": ["550 5.1.1 gone"], "RCPT b@elsewhere.test": ["450 4.2.1 later"]}, (Fate.NEVER, Fate.LATER)),
        ({"RCPT a@elsewhere.test": ["452 4.5.3 too many"], "RCPT b@elsewhere.test": ["452 4.5.3 too many"]}, (Fate.LATER, Fate.LATER)),
        ({"MAIL": ["553 5.7.1 not you"]}, (Fate.NEVER, Fate.NEVER)),
        ({"MAIL": ["451 4.3.0 later"]}, (Fate.LATER, Fate.LATER)),
        ({"DATA": ["554 5.5.1 no"]}, (Fate.NEVER, Fate.NEVER)),
        ({"DATA": ["421 4.3.2 closing"]}, (Fate.LATER, Fate.LATER)),
        ({"END": ["550 5.6.0 no"]}, (Fate.NEVER, Fate.NEVER)),
        ({"END": ["451 4.3.0 later"]}, (Fate.LATER, Fate.LATER)),
        ({"END": [DROP]}, (Fate.LATER, Fate.LATER)),
        ({"CONNECT": ["554 5.7.1 go away"]}, (Fate.LATER, Fate.LATER)),
        ({"CONNECT": [DROP]}, (Fate.LATER, Fate.LATER)),
        ({"CONNECT": ["nonsense"]}, (Fate.LATER, Fate.LATER)),
        ({"EHLO": ["550 5.0.0 no", "550 5.0.0 no", "550 5.0.0 no"]}, (Fate.LATER, Fate.LATER)),
        ({"MAIL": ["\xff\xfe"]}, (Fate.LATER, Fate.LATER)),
        ({"END": ["250 2.0.0 taken"]}, (Fate.SENT, Fate.SENT)),
    ],
)
async def test_fates(sink: Sink, replies: dict[str, list[str]], fates: tuple[Fate, Fate]) -> None:
    sink.answers = replies
    outcomes = await relay(sink).send(ANNA, [A, B], MAIL)
    assert (outcomes[A].fate, outcomes[B].fate) == fates
    for outcome in outcomes.values():
        assert outcome.reply


async def test_an_old_server_that_knows_helo_only(sink: Sink) -> None:
    sink.answers = {"EHLO": ["500 5.5.1 what?", "250 hello"]}
    assert (await relay(sink).send(ANNA, [A], MAIL))[A].fate is Fate.SENT
    assert sink.taken[0].options == ""


async def test_addresses_beyond_ascii_need_smtputf8(sink: Sink) -> None:
    international = address("jürgen@elsewhere.test")
    assert (await relay(sink).send(ANNA, [international], MAIL, smtputf8=True))[international].fate is Fate.SENT
    assert "smtputf8" in sink.taken[0].options.lower()
    sink.extensions = ("8BITMIME",)
    outcome = (await relay(sink).send(ANNA, [international], MAIL, smtputf8=True))[international]
    assert (outcome.fate, outcome.reply[:5]) == (Fate.NEVER, "5.6.7")


async def test_nobody_listens() -> None:
    with socket.socket() as bound:  # taken, so that nobody else can listen there, but not listening
        bound.bind(("127.0.0.1", 0))
        hop = NextHop("127.0.0.1", bound.getsockname()[1], implicit_tls=False, starttls=False)
        assert (await Relay(hop, "mx.acme.test", 2).send(ANNA, [A], MAIL))[A].fate is Fate.LATER


async def test_a_next_hop_that_says_nothing_is_given_up(sink: Sink) -> None:
    sink.gate.clear()
    began = time.monotonic()
    outcome = (await relay(sink, timeout=0.3).send(ANNA, [A], MAIL))[A]
    assert outcome.fate is Fate.LATER
    assert time.monotonic() - began < 10


async def test_tls_that_is_asked_for_and_not_offered_is_no_plaintext(sink: Sink) -> None:
    hop = NextHop("127.0.0.1", sink.port, implicit_tls=False, starttls=True)
    assert (await Relay(hop, "mx.acme.test", 5).send(ANNA, [A], MAIL))[A].fate is Fate.LATER
    assert sink.taken == []
    assert not any(command.startswith("MAIL") for _, command in sink.seen)


async def test_a_login_that_is_refused_may_pass(sink: Sink) -> None:
    outcome = (await relay(sink, username="us", password="secret").send(ANNA, [A], MAIL))[A]
    assert outcome.fate is Fate.LATER
    assert "secret" not in outcome.reply
    assert sink.taken == []


async def test_another_host_is_asked_where_the_first_cannot_be_reached(sink: Sink) -> None:
    with listening(host="127.0.0.2", port=sink.port) as first:
        first.answers = {"CONNECT": ["421 4.3.2 busy"], "EHLO": []}
        hop = NextHop("127.0.0.9", sink.port, implicit_tls=False, starttls=False, others=("127.0.0.2", "127.0.0.1"))
        one = Relay(hop, "mx.acme.test", 2)
        assert (await one.send(ANNA, [A], MAIL))[A].fate is Fate.SENT
        assert (len(sink.taken), first.taken) == (1, [])
        await one.close()


async def test_the_password_has_no_repr() -> None:
    assert "secret" not in repr(NextHop("mail.test", 25, False, True, "us", "secret"))


async def test_many_at_once(sink: Sink) -> None:
    one = relay(sink)
    found = await asyncio.gather(*(one.send(ANNA, [A], MAIL) for _ in range(20)))
    assert all(outcomes[A].fate is Fate.SENT for outcomes in found)
    assert len(sink.taken) == 20


# --- servers by the DNS


class Known(Exchangers):
    """As if the DNS had said so."""

    def __init__(self, *peers: Peer) -> None:
        self._known = [*peers]

    async def peers(self, domain: str) -> list[Peer]:
        if not self._known:
            raise NoRoute(f"5.1.10 {domain} takes no mail", final=True)
        return self._known


def peer(sink: Sink, host: str = "far.test", tls: Tls = Tls.IF_OFFERED) -> Peer:
    return Peer(host, sink.host, sink.port, tls)


async def test_the_next_server_is_asked_where_one_does_not_take_us_in(sink: Sink) -> None:
    with listening() as full, listening() as shut:
        full.answers = {"CONNECT": ["421 4.3.2 too busy"]}
        shut.answers = {"CONNECT": ["554 5.7.1 go away"]}
        nobody = Peer("nobody.test", "127.0.0.9", sink.port, Tls.IF_OFFERED)
        one = Relay(Known(nobody, peer(full), peer(shut), peer(sink)), "mx.acme.test", 2)
        assert (await one.send(ANNA, [A], MAIL))[A].fate is Fate.SENT
        assert len(sink.taken) == 1
        await one.close()


async def test_no_other_server_is_asked_after_a_refusal(sink: Sink) -> None:
    with listening() as first:
        first.answers = {"MAIL": ["550 5.7.1 no"]}
        assert (await Relay(Known(peer(first), peer(sink)), "mx.acme.test", 2).send(ANNA, [A], MAIL))[A].fate is Fate.NEVER
        assert sink.seen == []


async def test_no_server_is_reached(sink: Sink) -> None:
    sink.answers = {"CONNECT": ["421 4.3.2 busy"]}
    outcome = (await Relay(Known(peer(sink)), "mx.acme.test", 2).send(ANNA, [A], MAIL))[A]
    assert (outcome.fate, outcome.unreachable) == (Fate.LATER, True)


async def test_what_the_dns_says_for_certain_is_final() -> None:
    outcome = (await Relay(Known(), "mx.acme.test", 2).send(ANNA, [A], MAIL))[A]
    assert (outcome.fate, outcome.reply[:6], outcome.unreachable) == (Fate.NEVER, "5.1.10", False)


@pytest.mark.parametrize("answer", ["454 4.7.0 not now", "220 go", DROP])
async def test_broken_tls_that_nobody_asked_for_keeps_no_mail_back(sink: Sink, answer: str) -> None:
    """The sink offers STARTTLS and does not know what TLS is."""
    sink.extensions = ("STARTTLS",)
    one = Relay(Known(peer(sink)), "mx.acme.test", 1)
    sink.answers = {"STAR": [answer] * 2}
    assert (await one.send(ANNA, [A], MAIL))[A].fate is Fate.SENT
    await one.close()
    required = Relay(Known(peer(sink, tls=Tls.REQUIRED)), "mx.acme.test", 1)
    assert (await required.send(ANNA, [B], MAIL))[B].fate is Fate.LATER
    assert len(sink.taken) == 1


# --- who it is, by the DNS and by policies

ROOT = made("root", authority=True)
MIDDLE = made("middle", ROOT, authority=True)
HOST = "mail.far.test"
GOOD = made(HOST, MIDDLE, names=[HOST], sends=[MIDDLE])
WITH_TLS = "250-far.test\r\n250 STARTTLS"
CERTIFICATES = {
    "good": GOOD,
    "by itself": made(HOST, names=[HOST]),
    "another name": made("x", MIDDLE, names=["other.test"], sends=[MIDDLE]),
    "the domain's name": made("x", MIDDLE, names=["far.test"], sends=[MIDDLE]),
    "a star": made("x", MIDDLE, names=["*.far.test"], sends=[MIDDLE]),
    "expired": made(HOST, MIDDLE, names=[HOST], days=(-30, -1), sends=[MIDDLE]),
    "to come": made(HOST, MIDDLE, names=[HOST], days=(1, 30), sends=[MIDDLE]),
    "common name alone": made(HOST, MIDDLE, sends=[MIDDLE]),
    "no chain": made(HOST, MIDDLE, names=[HOST]),
    "with its root": made(HOST, MIDDLE, names=[HOST], sends=[MIDDLE, ROOT]),
    "another's chain": made(HOST, names=[HOST], sends=[MIDDLE, ROOT]),
}


def tlsa(*texts: str) -> tuple[Tlsa, ...]:
    found = []
    for text in texts:
        usage, selector, matching, data = text.split()
        found.append(Tlsa(int(usage), int(selector), int(matching), bytes.fromhex(data)))
    return tuple(found)


def bound(there: Far, records: Sequence[Tlsa] = (), tls: Tls = Tls.DANE, otherwise: Tls | None = None) -> Peer:
    return Peer(HOST, "127.0.0.1", there.port, tls, tlsa=tuple(records), names=(HOST, "far.test"), otherwise=otherwise)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ROOT.write(tmp_path_factory.mktemp("authorities") / "root.pem")


async def handed_on(there: Far, *peers: Peer, authorities: Path | None = None) -> tuple[Fate, str]:
    one = Relay(Known(*peers), "mx.acme.test", 3, authorities=authorities)
    outcome = (await one.send(ANNA, [A], MAIL))[A]
    await one.close()
    assert (outcome.fate is Fate.SENT) == bool(there.taken)
    return outcome.fate, outcome.reply


@pytest.mark.parametrize(
    ("certificate", "record", "taken"),
    [
        # DANE-EE: the key or the certificate, and nothing else (RFC 7672 section 3.1.1)
        ("good", GOOD.tlsa(3, 1, 1), True),
        ("good", GOOD.tlsa(3, 0, 2), True),
        ("good", GOOD.tlsa(3, 0, 0), True),
        ("by itself", CERTIFICATES["by itself"].tlsa(3), True),
        ("another name", CERTIFICATES["another name"].tlsa(3), True),
        ("expired", CERTIFICATES["expired"].tlsa(3), True),
        ("good", CERTIFICATES["by itself"].tlsa(3), False),
        ("good", MIDDLE.tlsa(3), False),
        # DANE-TA: an authority, with names and dates (section 3.1.2)
        ("good", MIDDLE.tlsa(2, 1, 1), True),
        ("good", MIDDLE.tlsa(2, 0, 2), True),
        ("good", MIDDLE.tlsa(2, 0, 0), True),
        ("with its root", ROOT.tlsa(2, 0, 1), True),
        ("with its root", ROOT.tlsa(2, 1, 1), True),
        ("good", ROOT.tlsa(2, 0, 1), False),
        ("good", ROOT.tlsa(2, 0, 0), True),
        ("a star", MIDDLE.tlsa(2), True),
        ("the domain's name", MIDDLE.tlsa(2), True),
        ("common name alone", MIDDLE.tlsa(2), True),
        ("another name", MIDDLE.tlsa(2), False),
        ("expired", MIDDLE.tlsa(2), False),
        ("to come", MIDDLE.tlsa(2), False),
        ("no chain", MIDDLE.tlsa(2), False),
        ("no chain", MIDDLE.tlsa(2, 0, 0), True),
        ("another's chain", MIDDLE.tlsa(2), False),
        ("another's chain", ROOT.tlsa(2), False),
    ],
    # Records are of certificates made anew each time, which is no name for a test.
    ids=lambda value: value if isinstance(value, bool) or value in CERTIFICATES else value.rpartition(" ")[0],
)
async def test_what_tlsa_records_vouch_for(tmp_path: Path, certificate: str, record: str, taken: bool) -> None:
    async with far(offers=WITH_TLS, tls=CERTIFICATES[certificate].served(tmp_path / "x.pem")) as there:
        fate, reply = await handed_on(there, bound(there, tlsa(record)))
        assert fate is (Fate.SENT if taken else Fate.LATER)
        if not taken:
            assert reply.startswith("4.7.5 ")
            assert not any(command.startswith("MAIL") for command in there.commands)


async def test_one_record_of_several_is_enough(tmp_path: Path) -> None:
    async with far(offers=WITH_TLS, tls=GOOD.served(tmp_path / "x.pem")) as there:
        records = tlsa(CERTIFICATES["by itself"].tlsa(3), CERTIFICATES["expired"].tlsa(2), GOOD.tlsa(3))
        assert (await handed_on(there, bound(there, records)))[0] is Fate.SENT


@pytest.mark.parametrize("tls", [Tls.DANE, Tls.VERIFIED, Tls.REQUIRED])
@pytest.mark.parametrize("fault", ["no STARTTLS", "refused", "closes", "no TLS behind it"])
async def test_what_has_to_be_under_tls_never_goes_in_the_clear(tmp_path: Path, tls: Tls, fault: str) -> None:
    answers: dict[str, list[str | bytes | None]] = {"refused": {"STARTTLS": ["454 4.7.0 no"]}, "closes": {"STARTTLS": [None]}}.get(
        fault, {}
    )  # type: ignore[assignment]
    context = None if fault == "no TLS behind it" else GOOD.served(tmp_path / "x.pem")
    async with far(offers="250 far.test" if fault == "no STARTTLS" else WITH_TLS, tls=context, answers=answers) as there:
        one = Relay(Known(bound(there, tlsa(GOOD.tlsa(3)), tls)), "mx.acme.test", 1)
        outcome = (await one.send(ANNA, [A], MAIL))[A]
        assert (outcome.fate, outcome.unreachable) == (Fate.LATER, True)
        assert there.taken == []
        assert not any(command.startswith("MAIL") for command in there.commands)


@pytest.mark.parametrize(
    ("certificate", "taken"),
    [
        ("good", True),
        ("a star", True),
        ("by itself", False),
        ("another name", False),
        ("the domain's name", False),
        ("expired", False),
        ("to come", False),
        ("common name alone", False),
        ("no chain", False),
        ("another's chain", False),
    ],
)
async def test_a_policy_asks_for_a_certificate_of_the_servers_name(
    tmp_path: Path, authorities: Path, certificate: str, taken: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with far(offers=WITH_TLS, tls=CERTIFICATES[certificate].served(tmp_path / "x.pem")) as there:
        fate, reply = await handed_on(there, bound(there, tls=Tls.VERIFIED), authorities=authorities)
        assert (fate, reply[:6]) == ((Fate.SENT, "250 2.") if taken else (Fate.LATER, "4.7.5 "))
    async with far(offers=WITH_TLS, tls=CERTIFICATES[certificate].served(tmp_path / "x.pem")) as there:
        testing = bound(there, tls=Tls.VERIFIED, otherwise=Tls.IF_OFFERED)
        assert (await handed_on(there, testing, authorities=authorities))[0] is Fate.SENT
        assert "STARTTLS" in there.commands
        said = [one for one in caplog.records if one.message == "sts"]
        assert bool(said) is not taken


async def test_a_policy_in_testing_keeps_mail_from_nobody_who_has_no_tls(authorities: Path) -> None:
    async with far(offers="250 far.test") as there:
        testing = bound(there, tls=Tls.VERIFIED, otherwise=Tls.IF_OFFERED)
        assert (await handed_on(there, testing, authorities=authorities))[0] is Fate.SENT
    async with far(offers="250 far.test") as there:
        testing = bound(there, tls=Tls.VERIFIED, otherwise=Tls.REQUIRED)
        assert (await handed_on(there, testing, authorities=authorities))[0] is Fate.LATER


async def test_after_a_server_that_is_not_who_it_should_be_the_next_one_is_asked(tmp_path: Path) -> None:
    async with (
        far(offers=WITH_TLS, tls=CERTIFICATES["by itself"].served(tmp_path / "bad.pem")) as bad,
        far(offers=WITH_TLS, tls=GOOD.served(tmp_path / "good.pem")) as good,
    ):
        records = tlsa(GOOD.tlsa(3))
        assert (await handed_on(good, bound(bad, records), bound(good, records)))[0] is Fate.SENT
        assert bad.taken == []


async def test_a_connection_is_used_again_only_for_what_was_asked_of_it(tmp_path: Path, authorities: Path) -> None:
    async with far(offers=WITH_TLS, tls=CERTIFICATES["expired"].served(tmp_path / "x.pem")) as there:
        known = Known(bound(there, tls=Tls.IF_OFFERED))
        one = Relay(known, "mx.acme.test", 3, authorities=authorities)
        for _ in range(2):
            assert (await one.send(ANNA, [A], MAIL))[A].fate is Fate.SENT
        assert there.connections == 1
        known._known = [bound(there, tls=Tls.VERIFIED)]
        assert (await one.send(ANNA, [A], MAIL))[A].fate is Fate.LATER
        known._known = [bound(there, tlsa(CERTIFICATES["expired"].tlsa(3)))]
        for _ in range(2):
            assert (await one.send(ANNA, [A], MAIL))[A].fate is Fate.SENT
        assert there.connections == 3
        await one.close()


def test_dane_on_the_loop_that_the_server_uses(tmp_path: Path) -> None:
    async def both() -> None:
        async with far(offers=WITH_TLS, tls=GOOD.served(tmp_path / "x.pem")) as there:
            for record in (GOOD.tlsa(3), MIDDLE.tlsa(2)):
                there.taken.clear()
                assert (await handed_on(there, bound(there, tlsa(record))))[0] is Fate.SENT

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(both())


async def test_no_more_connections_wait_than_agreed(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.relay.MOST_IDLE", 2)
    there = relay(sink)
    await asyncio.gather(*(there.send(ANNA, [A], MAIL) for _ in range(8)))
    assert there._resting == sum(map(len, there._idle.values())) == 2
    await there.close()
    assert there._resting == len(there._idle) == 0


def test_no_more_servers_are_known_to_stumble_than_agreed(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.relay.MOST_STUMBLING", 3)
    there = relay(sink)
    for number in range(10):
        connection = SimpleNamespace(abort=lambda: None, peer=SimpleNamespace(address=f"192.0.2.{number}"))
        there._given_up(connection, Lost("it went away", together=True))  # type: ignore[arg-type]
    assert [*there._stumbling] == ["192.0.2.7", "192.0.2.8", "192.0.2.9"]
