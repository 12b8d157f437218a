"""What the next hop says of each recipient, and what is made of it. More through a whole server: tests/live/test_remote.py."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from gateway.exchangers import Exchangers, NoRoute
from gateway.outgoing import Peer, Tls
from gateway.relay import Fate, NextHop, Relay
from tests.gateway.house import address
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
