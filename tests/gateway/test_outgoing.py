"""What another server may do to us while we hand it mail: every way of it ends in time, in bounded memory, and with one outcome."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from gateway import relay as relaying
from gateway.certificate import self_signed
from gateway.outgoing import connect
from gateway.peers import Envelope, Lost, Peer, Tls, Unreachable
from gateway.relay import Fate, NextHop, Outcome, Parameters, Relay
from gateway.sasl.exchange import Challenge, Claimed, ScramProof
from gateway.sasl.scram import Scram, is_proved, keys_of
from tests.gateway.house import address
from tests.live.far import OFFERS, Far, far

MAIL = b"From: anna@acme.test\r\nSubject: x\r\n\r\nhello\r\n"
ANNA = address("anna@acme.test")
A, B, C = (address(f"{one}@elsewhere.test") for one in "abc")


@asynccontextmanager
async def saying(behaviour: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[int]:
    """A server that does whatever it likes."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def relay(port: int, seconds: float = 3.0, **options: object) -> Relay:
    authorities = options.pop("authorities", None)
    hop = NextHop("localhost", port, implicit_tls=False, **({"starttls": False} | options))  # type: ignore[arg-type]
    return Relay(hop, "mx.acme.test", seconds, authorities=authorities)  # type: ignore[arg-type]


async def handed(one: Relay, *recipients: object, octets: bytes = MAIL, **options: object) -> list[Outcome]:
    wanted = recipients or (A,)
    said = await one.send(ANNA, wanted, octets, **options)  # type: ignore[arg-type]
    return [said[recipient] for recipient in wanted]  # type: ignore[index]


# --- pipelining and reuse


async def test_everything_but_the_message_goes_out_at_once() -> None:
    async with far() as there:
        fates = await handed(relay(there.port), A, B, C)
        assert [one.fate for one in fates] == [Fate.SENT] * 3
        (batch,) = [one for one in there.batches if one.startswith(b"MAIL")]
        assert batch.count(b"\r\n") == 5
        assert batch.endswith(b"DATA\r\n")


async def test_who_does_not_offer_it_is_asked_one_by_one() -> None:
    async with far(offers="250-far.test\r\n250 8BITMIME") as there:
        await handed(relay(there.port), A, B)
        assert all(one.count(b"\r\n") == 1 for one in there.batches if not one.startswith(b"From"))
        assert there.taken == [MAIL]


@pytest.mark.parametrize("offers", [OFFERS, "250 far.test"])
async def test_if_nobody_is_wanted_no_message_goes(offers: str) -> None:
    async with far(offers=offers) as there:
        there.answers = {f"RCPT {one}": ["550 5.1.1 no"] for one in (A, B)}
        one = relay(there.port)
        assert [each.fate for each in await handed(one, A, B)] == [Fate.NEVER] * 2
        assert [octets for octets in there.taken if octets] == []
        assert (await handed(one, C))[0].fate is Fate.SENT
        assert there.taken[-1] == MAIL
        assert there.connections == 1


async def test_a_connection_is_used_again() -> None:
    async with far() as there:
        one = relay(there.port)
        for _ in range(5):
            await handed(one)
        assert (there.connections, len(there.taken)) == (1, 5)
        await one.close()
        assert there.commands[-1] == "QUIT"


async def test_a_connection_is_used_a_hundred_times_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "MOST_MESSAGES", 3)
    async with far() as there:
        one = relay(there.port)
        for _ in range(7):
            await handed(one)
        assert there.connections == 3
        await one.close()


async def test_a_connection_that_waits_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "IDLE", 0.05)
    async with far() as there:
        one = relay(there.port)
        await handed(one)
        await asyncio.sleep(0.15)
        assert there.commands[-1] == "QUIT"
        assert one._resting == 0
        assert one._idle == {}


@pytest.mark.parametrize("answer", [None, "421 4.4.2 idle for too long"])
async def test_that_it_was_closed_meanwhile_is_nobodys_fault(answer: str | None) -> None:
    async with far() as there:
        one = relay(there.port)
        await handed(one)
        there.answers = {"MAIL": [answer]}
        assert (await handed(one))[0].fate is Fate.SENT
        assert (there.connections, len(there.taken)) == (2, 2)
        await one.close()


async def test_what_was_said_unasked_is_no_answer_to_the_next_message() -> None:
    async with far() as there:
        there.answers = {"END": ["250 2.0.0 taken", "250 2.0.0 taken"]}
        one = relay(there.port)
        await handed(one)
        (writer,) = there.writers
        writer.write(b"250 2.0.0 stray\r\n")
        await asyncio.sleep(0.05)
        there.answers = {"MAIL": ["550 5.7.1 not you"]}
        assert (await handed(one))[0].reply == "550 5.7.1 not you"
        assert there.connections == 2
        await one.close()


async def test_a_flood_between_two_messages_is_not_kept() -> None:
    async with far() as there:
        one = relay(there.port)
        await handed(one)
        (writer,) = there.writers
        tracemalloc.start()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    while True:
                        writer.write(b"250 ok\r\n" * 10_000)
                        await writer.drain()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 4_000_000
        await one.close()


async def test_too_many_recipients_go_in_several_transactions() -> None:
    many = [address(f"r{number}@elsewhere.test") for number in range(10)]
    async with far() as there:
        there.answers = {f"RCPT {one}": ["452 4.5.3 too many"] * (number // 4) for number, one in enumerate(many)}
        assert {one.fate for one in await handed(relay(there.port), *many)} == {Fate.SENT}
        assert len(there.taken) == 3
        assert there.connections == 1


async def test_a_server_that_takes_no_recipient_at_all_is_not_asked_for_ever() -> None:
    async with far() as there:
        there.answers = {f"RCPT {one}": ["452 4.5.3 too many"] * 99 for one in (A, B)}
        assert [one.fate for one in await handed(relay(there.port), A, B)] == [Fate.LATER] * 2


# --- what is said


@pytest.mark.parametrize(
    ("octets", "arrives"),
    [
        (b"a: b\r\n\r\n.\r\n..\r\nx", b"a: b\r\n\r\n..\r\n...\r\nx\r\n"),
        (b".a\r\n", b"..a\r\n"),
        (b"a: b\r\n\r\nx\n.\nQUIT\r.\r\n", b"a: b\r\n\r\nx\r\n..\r\nQUIT\r\n..\r\n"),
        (b"a: b\r\n\r\n" + b"x" * 3_000_000, b"a: b\r\n\r\n" + b"x" * 3_000_000 + b"\r\n"),
    ],
)
async def test_the_message_cannot_end_itself(octets: bytes, arrives: bytes) -> None:
    async with far(offers="250-far\r\n250 PIPELINING") as there:
        assert (await handed(relay(there.port), octets=octets))[0].fate is Fate.SENT
        assert there.taken == [arrives]


async def test_parameters_go_to_those_who_know_them() -> None:
    parameters = Parameters(("RET=HDRS", "ENVID=7"), {A: ("NOTIFY=NEVER",)})
    async with far() as there:
        await handed(relay(there.port), A, B, parameters=parameters)
        assert f"MAIL FROM:<anna@acme.test> SIZE={len(MAIL)} BODY=8BITMIME RET=HDRS ENVID=7" in there.commands
        assert "RCPT TO:<a@elsewhere.test> NOTIFY=NEVER" in there.commands
        assert "RCPT TO:<b@elsewhere.test>" in there.commands
    async with far(offers="250 far.test") as there:
        await handed(relay(there.port), A, parameters=parameters)
        assert "MAIL FROM:<anna@acme.test>" in there.commands


async def test_what_is_too_large_is_not_sent() -> None:
    async with far() as there:
        (one,) = await handed(relay(there.port), octets=MAIL + b"x" * 1000)
        assert (one.fate, one.reply[:5]) == (Fate.NEVER, "5.3.4")
        assert "DATA" not in there.commands


async def test_an_address_cannot_end_its_command() -> None:
    async with far() as there:
        connection = await connect(Peer("far", "127.0.0.1", there.port, Tls.NEVER), "mx.acme.test", 3, None)
        with pytest.raises(ValueError, match="control"):
            await connection.send(Envelope("a@b>\r\nRCPT TO:<x@y", ("a@b.test",)), MAIL, [])
        connection.abort()


# --- closing, and silence, at every point

POINTS = ("CONNECT", "EHLO", "MAIL", "RCPT a@elsewhere.test", "DATA", "END")


@pytest.mark.parametrize("at", POINTS)
@pytest.mark.parametrize("offers", [OFFERS, "250 far.test"])
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="closes"),
        pytest.param("421 4.3.2 busy", id="421"),
        pytest.param("451 4.3.0 later", id="451"),
        pytest.param(b"250", id="no end of line"),
        pytest.param(b"\xff\xfe\x00\r\n", id="garbage"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
        pytest.param(b"9" * 20_000, id="a line without end"),
        pytest.param(b"250-x\r\n" * 20_000, id="a reply without end"),
        pytest.param(b"", id="says nothing"),
        pytest.param(b"999 what\r\n", id="no such code"),
    ],
)
async def test_whatever_happens_it_may_pass(at: str, offers: str, answer: str | bytes | None) -> None:
    async with far(offers=offers) as there:
        there.answers = {at: [answer]}
        began = time.monotonic()
        # Time only runs out where an answer never comes; a slow machine must not make it run out elsewhere.
        (one,) = await handed(relay(there.port, 0.5 if answer in (b"", b"250") else 20.0))
        assert time.monotonic() - began < 15
        # HELO follows an EHLO that is refused, and is taken.
        assert one.fate is (Fate.SENT if at == "EHLO" and answer == "451 4.3.0 later" else Fate.LATER)
        if answer == b"" and at == "MAIL" and offers == OFFERS:
            return  # the answer to RCPT was taken for this one, as it would be by anybody
        assert one.unreachable == (one.fate is Fate.LATER and (at in ("CONNECT", "EHLO") or (at == "MAIL" and answer != "451 4.3.0 later")))
        assert len(one.reply) < 2000
        assert one.reply.isprintable()


@pytest.mark.parametrize("at", POINTS)
async def test_what_is_refused_for_good(at: str) -> None:
    async with far() as there:
        there.answers = {at: ["554 5.7.1 no"], "HELO": ["554 5.7.1 no"]}
        (one,) = await handed(relay(there.port))
        assert one.fate is (Fate.LATER if at in ("CONNECT", "EHLO") else Fate.NEVER)


async def test_whether_it_was_taken_is_not_known_without_an_answer() -> None:
    async with far() as there:
        connection = await connect(Peer("far", "127.0.0.1", there.port, Tls.NEVER), "mx.acme.test", 3, None)
        there.answers = {"END": [None]}
        with pytest.raises(Lost) as caught:
            await connection.send(Envelope("", ("a@b.test",)), MAIL, [])
        assert caught.value.dotted
        connection = await connect(Peer("far", "127.0.0.1", there.port, Tls.NEVER), "mx.acme.test", 3, None)
        there.answers = {"DATA": [None]}
        with pytest.raises(Lost) as caught:
            await connection.send(Envelope("", ("a@b.test",)), MAIL, [])
        assert not caught.value.dotted


async def test_drops_by_the_octet_do_not_hold_us() -> None:
    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"2")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with saying(dripping) as port:
        began = time.monotonic()
        assert (await handed(relay(port, 0.3)))[0].fate is Fate.LATER
        assert time.monotonic() - began < 2


async def test_who_does_not_read_does_not_hold_us() -> None:
    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 far\r\n")
        for reply in (b"250 far\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        await asyncio.sleep(30)

    async with saying(deaf) as port:
        began = time.monotonic()
        (one,) = await handed(relay(port, 0.3), octets=b"a: b\r\n\r\n" + b"x" * 30_000_000)
        assert one.fate is Fate.LATER
        assert time.monotonic() - began < 5


async def test_a_flood_of_replies_is_not_kept() -> None:
    async def flooding(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 far\r\n")
        while True:
            writer.write(b"250 ok\r\n" * 10_000)
            await writer.drain()

    async with saying(flooding) as port:
        tracemalloc.start()
        try:
            one = relay(port, 1.0)
            await handed(one)
            await asyncio.sleep(0.3)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8_000_000
        await one.close()


async def test_what_was_said_before_it_was_asked_for_is_no_answer() -> None:
    """Or a 250 that lies ready would stand for a message that nobody has taken."""

    async def ahead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 far\r\n250 far\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n")
        await reader.read()

    async with saying(ahead) as port:
        (one,) = await handed(relay(port, 1))
        assert (one.fate, one.unreachable) == (Fate.LATER, True)


async def test_a_message_is_not_taken_before_it_is_over() -> None:
    async with far(offers="250 far.test") as there:
        there.answers = {"DATA": [b"354 go\r\n250 2.0.0 taken already\r\n"]}
        (one,) = await handed(relay(there.port, 1))
        assert one.fate is Fate.LATER
        assert there.taken == []


@pytest.mark.parametrize(
    ("refusal", "fate"), [("552 5.3.4 too large", Fate.NEVER), ("452 4.3.1 full", Fate.LATER), ("421 4.3.2 bye", Fate.LATER)]
)
async def test_a_refusal_in_the_middle_of_the_message_counts(refusal: str, fate: Fate) -> None:
    async def full(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 far\r\n")
        for reply in (b"250 far\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n"):
            await reader.readline()
            writer.write(reply)
        await reader.readexactly(1000)
        writer.write(refusal.encode() + b"\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)

    async with saying(full) as port:
        (one,) = await handed(relay(port, 2), octets=b"a: b\r\n\r\n" + b"x" * 20_000_000)
        assert (one.fate, one.reply[:3]) == (fate, refusal[:3])


async def test_who_throws_away_what_comes_together_is_asked_one_by_one() -> None:
    async def forgetful(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 far\r\n")
        while came := await reader.read(65536):
            command = came.split(b"\r\n")[0]  # and what came with it is lost
            replies = {b"EHLO": b"250-far\r\n250 PIPELINING\r\n", b"DATA": b"354 go\r\n"}
            writer.write(replies.get(command[:4], b"250 ok\r\n") if not came.endswith(b"\r\n.\r\n") else b"250 taken\r\n")

    async with saying(forgetful) as port:
        one = relay(port, 1.0)
        assert (await handed(one))[0].fate is Fate.LATER
        assert (await handed(one))[0].fate is Fate.SENT
        await one.close()


@pytest.mark.parametrize(
    ("reply", "together"),
    [
        ("452 4.5.3 too many", True),
        ("452 Too many recipients", True),
        ("452 4.2.2 full", False),
        ("452 4.3.1 no room", False),
        ("552 Too many recipients", True),
        ("552 5.5.3 too many", True),
        ("552 5.2.2 mailbox full", False),
        ("450 4.2.1 too many recipients of greylisting", False),
    ],
)
async def test_which_refusals_of_a_recipient_mean_another_transaction(reply: str, together: bool) -> None:
    async with far() as there:
        there.answers = {f"RCPT {B}": [reply]}
        fates = [one.fate for one in await handed(relay(there.port), A, B)]
        assert fates == [Fate.SENT, Fate.SENT if together else Fate.NEVER if reply.startswith("5") else Fate.LATER]
        assert len(there.taken) == (2 if together else 1)


EIGHT_BIT = "From: anna@acme.test\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nj\u00fcrgen\r\n".encode()


async def test_what_is_beyond_ascii_is_encoded_for_who_cannot_take_it() -> None:
    async with far(offers="250 far.test") as there:
        assert (await handed(relay(there.port), octets=EIGHT_BIT))[0].fate is Fate.SENT
        assert there.taken[0].isascii()
        assert b"Content-Transfer-Encoding: base64" in there.taken[0]
    async with far() as there:
        assert (await handed(relay(there.port), octets=EIGHT_BIT))[0].fate is Fate.SENT
        assert there.taken == [EIGHT_BIT]
    async with far(offers="250 far.test") as there:
        (one,) = await handed(relay(there.port), octets="Subject: \u00fc\r\n\r\nx".encode())
        assert (one.fate, one.reply[:5]) == (Fate.NEVER, "5.6.3")
        assert "DATA" not in there.commands


# --- TLS and login


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("far"), "localhost")


def served(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


WITH_TLS = "250-far.test\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN"


async def test_starttls_and_login(certificate: tuple[Path, Path]) -> None:
    async with far(offers=WITH_TLS, tls=served(certificate)) as there:
        one = relay(there.port, starttls=True, authorities=certificate[0], username="us", password="sécret")
        assert (await handed(one))[0].fate is Fate.SENT
        assert there.commands[:4] == [
            "EHLO mx.acme.test",
            "STARTTLS",
            "EHLO mx.acme.test",
            "AUTH PLAIN " + base64.b64encode("\0us\0sécret".encode()).decode(),
        ]
        await one.close()


async def test_login_in_two_steps(certificate: tuple[Path, Path]) -> None:
    async with far(offers="250-far.test\r\n250 AUTH CRAM-MD5 LOGIN") as there:
        there.answers = {"AUTH": ["334 VXNlcm5hbWU6"], "DXM=": ["334"], "c2VjcmV0": ["235 in"], "dXM=": ["334 UGFzc3dvcmQ6"]}
        there.answers |= {key.upper(): value for key, value in there.answers.items()}
        one = relay(there.port, username="us", password="secret")
        assert (await handed(one))[0].fate is Fate.SENT
        await one.close()


@pytest.mark.parametrize("fault", ["not trusted", "not offered", "refused", "garbage", "closes", "injected"])
async def test_what_is_not_verified_gets_nothing(certificate: tuple[Path, Path], fault: str) -> None:
    async with far(offers=WITH_TLS if fault != "not offered" else "250 far.test", tls=served(certificate)) as there:
        there.answers = {
            "refused": {"STARTTLS": ["454 4.7.0 no"]},
            "garbage": {"STARTTLS": ["220 go\r\nhello"]},
            "closes": {"STARTTLS": ["220 go", None]},
            "injected": {"STARTTLS": [b"220 go\r\n250-far.test\r\n250 AUTH PLAIN\r\n"]},
        }.get(fault, {})  # type: ignore[assignment]
        if fault == "closes":
            there.tls = None
            there.answers["EHLO"] = [WITH_TLS]
        authorities = None if fault == "not trusted" else certificate[0]
        one = relay(there.port, 0.5, starttls=True, authorities=authorities, username="us", password="secret")
        (outcome,) = await handed(one)
        assert (outcome.fate, outcome.unreachable) == (Fate.LATER, True)
        assert not any(command.startswith(("MAIL", "AUTH")) for command in there.commands)
        assert there.taken == []


async def test_a_certificate_is_for_one_name(certificate: tuple[Path, Path]) -> None:
    context = ssl.create_default_context(cafile=str(certificate[0]))
    async with far(offers=WITH_TLS, tls=served(certificate)) as there:
        with pytest.raises(Unreachable, match=r"not trusted.*other\.test"):
            await connect(Peer("other.test", "127.0.0.1", there.port, Tls.VERIFIED), "mx.acme.test", 3, context)
        with pytest.raises(Unreachable):
            await connect(Peer("localhost", "127.0.0.1", there.port, Tls.VERIFIED, implicit_tls=True), "mx.acme.test", 3, context)


@dataclass
class Proving(Far):
    """Logs people in by SCRAM, as our own side of it does; `proves` False: and says afterwards what proves nothing."""

    proves: bool = True

    def __post_init__(self) -> None:
        self.keys = keys_of("sécret", b"salt of sixteen.", 4096)
        self.exchange = Scram("SCRAM-SHA-256", None)
        self.steps = 0

    def answer(self, key: str, otherwise: str) -> bytes | None:
        line = self.commands[-1] if self.commands else ""
        if line.startswith("AUTH PLAIN"):
            return b"535 5.7.8 no\r\n"
        if (not line.startswith("AUTH") and key in ("CONNECT", "EHLO", "MAIL", "DATA", "END", "QUIT")) or key.startswith("RCPT"):
            return super().answer(key, otherwise)
        self.steps += 1
        if self.steps == 1:
            self.exchange.take(base64.b64decode(line.split(" ")[2]))
            step = self.exchange.found(self.keys)
            assert isinstance(step, Challenge)
            return b"334 " + base64.b64encode(step.octets) + b"\r\n"
        if self.steps == 2:
            last = self.exchange.take(base64.b64decode(line))
            assert isinstance(last, Claimed)
            assert isinstance(last.claim, ScramProof)
            if not is_proved(last.claim):
                return b"535 5.7.8 no\r\n"
            said = (last.welcome or b"") if self.proves else b"v=" + b"A" * 43 + b"="
            return b"334 " + base64.b64encode(said) + b"\r\n"
        return b"235 2.7.0 in\r\n"


@pytest.mark.parametrize(("password", "proves", "taken"), [("sécret", True, True), ("wrong", True, False), ("sécret", False, False)])
async def test_a_login_that_shows_the_password_to_nobody(password: str, proves: bool, taken: bool) -> None:
    async with far(Proving, offers="250-far.test\r\n250 AUTH PLAIN SCRAM-SHA-256", proves=proves) as there:
        one = relay(there.port, username="us", password=password)
        (outcome,) = await handed(one)
        logins = [command.split(" ")[1] for command in there.commands if command.startswith("AUTH")]
        if taken:
            assert (outcome.fate, logins) == (Fate.SENT, ["SCRAM-SHA-256"])
        else:
            assert (outcome.fate, outcome.unreachable, outcome.reply[:5]) == (Fate.LATER, True, "4.7.0")
            assert logins == (["SCRAM-SHA-256", "PLAIN"] if proves else ["SCRAM-SHA-256"])
        await one.close()


async def test_where_scram_is_refused_the_plain_password_is_tried(certificate: tuple[Path, Path]) -> None:
    """Servers offer it that have no keys of the account."""
    async with far(offers="250-far.test\r\n250 AUTH LOGIN SCRAM-SHA-256 PLAIN") as there:
        there.answers = {"AUTH": ["535 5.7.8 no", "235 in"]}
        one = relay(there.port, username="us", password="secret")
        assert (await handed(one))[0].fate is Fate.SENT
        assert [command.split(" ")[1] for command in there.commands if command.startswith("AUTH")] == ["SCRAM-SHA-256", "PLAIN"]
        there.answers = {"AUTH": ["454 4.7.0 later"]}
        other = relay(there.port, username="us", password="secret")
        assert (await handed(other))[0].fate is Fate.LATER
        await one.close()


@pytest.mark.parametrize(
    ("offers", "said"), [("XOAUTH2 OAUTHBEARER PLAIN", "n,a=us,\1auth=Bearer {}\1\1"), ("XOAUTH2", "user=us\1auth=Bearer {}\1\1")]
)
@pytest.mark.parametrize("token", ["abc.def", "x" * 2000])
async def test_a_token_from_a_file(tmp_path: Path, offers: str, said: str, token: str) -> None:
    (tmp_path / "token").write_text(token + "\n")
    async with far(offers=f"250-far.test\r\n250 AUTH {offers}") as there:
        spelled = base64.b64encode(said.format(token).encode()).decode()
        if len(token) > 500:
            there.answers = {"AUTH": ["334 "], spelled.upper(): ["235 in"]}
        one = relay(there.port, username="us", token=tmp_path / "token")
        assert (await handed(one))[0].fate is Fate.SENT
        assert spelled in (there.commands[1].split(" ")[-1], there.commands[2])
        await one.close()


@pytest.mark.parametrize("text", ["", "a b", "a\nb", "\u00fc", None])
async def test_a_file_without_a_token_sends_nothing(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "token").write_text(text)
    async with far(offers="250-far.test\r\n250 AUTH XOAUTH2") as there:
        (one,) = await handed(relay(there.port, username="us", token=tmp_path / "token"))
        assert (one.fate, there.taken) == (Fate.LATER, [])
        assert not any(command.startswith("AUTH") for command in there.commands)


@pytest.mark.parametrize("challenges", [["334 !"], ["334 " + "x" * 7], ["334 cj0x"], ["334 "] * 99])
async def test_a_login_without_end_or_sense_is_given_up(challenges: list[str | bytes | None]) -> None:
    async with far(offers="250-far.test\r\n250 AUTH SCRAM-SHA-256 PLAIN") as there:
        there.answers = {"AUTH": [*challenges], "": ["334 "] * 99}
        (one,) = await handed(relay(there.port, username="us", password="secret"))
        assert (one.fate, one.unreachable) == (Fate.LATER, True)


@pytest.mark.parametrize("answer", ["535 5.7.8 wrong: us secret", "454 4.7.0 later", None])
async def test_a_refused_login_repeats_nothing(answer: str | None) -> None:
    async with far(offers="250-far.test\r\n250 AUTH PLAIN") as there:
        there.answers = {"AUTH": [answer]}
        (one,) = await handed(relay(there.port, username="us", password="secret"))
        assert (one.fate, one.unreachable, "secret" in one.reply) == (Fate.LATER, True, False)


async def test_tls_that_nobody_asked_for_does_not_keep_mail_back(certificate: tuple[Path, Path]) -> None:
    """RFC 7435: between servers it is taken where it works; the certificate is not looked at."""
    async with far(offers=WITH_TLS, tls=served(certificate)) as there:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = await connect(Peer("far.test", "127.0.0.1", there.port, Tls.IF_OFFERED), "mx.acme.test", 3, context)
        assert there.commands == ["EHLO mx.acme.test", "STARTTLS", "EHLO mx.acme.test"]
        await connection.quit()
        there.offers = "250 far.test"
        with pytest.raises(Unreachable, match="STARTTLS"):
            await connect(Peer("far.test", "127.0.0.1", there.port, Tls.REQUIRED), "mx.acme.test", 3, context)


async def test_an_abandoned_connection_is_closed() -> None:
    async with far() as there:
        there.answers = {"DATA": [b""]}
        one = relay(there.port, 30)
        task = asyncio.ensure_future(handed(one))
        while "DATA" not in there.commands:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert one._idle == {}


def test_all_of_it_on_the_loop_that_the_server_uses(certificate: tuple[Path, Path]) -> None:
    async def everything() -> None:
        async with far(offers=WITH_TLS, tls=served(certificate)) as there:
            one = relay(there.port, starttls=True, authorities=certificate[0], username="us", password="secret")
            for _ in range(3):
                assert (await handed(one, octets=MAIL + b"x" * 2_000_000))[0].fate is Fate.SENT
            assert there.connections == 1
            await one.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(everything())
