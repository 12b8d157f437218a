"""The commands through real sockets: every class of robustness.md 2.1 and every point of its section 3 that is no plain dialogue.

(The dialogues are in tests/transcripts/smtp; deadlines, backpressure and TLS are in test_wire.py.)
"""

import asyncio
import base64
import contextlib
import itertools
import logging
import smtplib
import socket
import struct
import time
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.lmtp import HardenedLMTP
from gateway.smtp.terms import Intake
from policy.identity import Address
from tests.gateway.smtp.conftest import LIMITS, Client, Place, Serve, client_context

ENVELOPE = ("MAIL FROM:<anna@acme.test>", "RCPT TO:<bob@acme.test>", "DATA")


def plain(user: str, password: str, authzid: str = "") -> str:
    return "AUTH PLAIN " + base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


GOOD = plain("anna@acme.test", "correct horse")
BAD = plain("anna@acme.test", "wrong")


def test_nothing_of_aiosmtpds_commands_is_left() -> None:
    inherited = {name for name in dir(SMTP) if name.startswith("smtp_")}
    assert inherited | {"smtp_BDAT", "smtp_XCLIENT"} == set(HardenedSMTP.verbs.values())
    for name in inherited | {"_handle_client", "push", "challenge_auth", "_call_handler_hook", "handle_exception"}:
        assert getattr(HardenedSMTP, name) is not getattr(SMTP, name), name
    for name in ("connection_made", "data_received", "eof_received", "connection_lost", "pause_writing", "resume_writing"):
        assert getattr(HardenedSMTP, name) is not getattr(SMTP, name), name
    assert {b"EHLO", b"HELO"}.isdisjoint(HardenedLMTP.verbs)


# SMTP smuggling (class 1): what others took for the end of a message.
@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n\0.\r\n", b"\r\n.\r\r\n"], ids=repr)
async def test_a_smuggled_message_is_refused_with_the_one_around_it(end: bytes, serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        client.send(
            b"Subject: x\r\n\r\nbody" + end + b"MAIL FROM:<evil@acme.test>\r\nRCPT TO:<bob@acme.test>\r\nDATA\r\nSubject: smuggled\r\n.\r\n"
        )
        assert (await client.reply()).startswith("550 5.6.0 the message is malformed")
        assert await client.ask("NOOP") == "250 2.0.0 ok"
        assert place.submission.kept == []
        assert len(place.submission.began) == 1


async def test_bare_newlines_can_be_fixed(serve: Serve) -> None:
    async with serve(bare_newline="fix") as place:
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        client.send(b"Subject: x\n\nbody\n.\nMAIL FROM:<evil@acme.test>\n\r\n.\r\n")
        assert await client.reply() == "250 2.0.0 q1 accepted"
        assert place.submission.kept[0][2] == b"Subject: x\r\n\r\nbody\r\n.\r\nMAIL FROM:<evil@acme.test>\r\n\r\n"


async def test_too_big_is_said_at_the_end_and_at_once_where_it_was_declared(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        assert await client.ask("MAIL FROM:<anna@acme.test> SIZE=100001") == "552 5.3.4 a message may have 100000 octets"
        assert await client.ask("MAIL FROM:<anna@acme.test> SIZE=100000") == "250 2.1.0 sender ok"
        assert await client.ask("RSET") == "250 2.0.0 ok"
        await client.ask(*ENVELOPE)
        client.send((b"x" * 98 + b"\r\n") * 1_001 + b".\r\n")
        assert await client.reply() == "552 5.3.4 a message may have 100000 octets"
        await client.ask(*ENVELOPE)
        client.send((b"x" * 98 + b"\r\n") * 1_000 + b".\r\n")
        assert await client.reply() == "250 2.0.0 q1 accepted"


@pytest.mark.parametrize(
    "line",
    [b"\r\n", b"..\r\n", b"a: b\r\n", b"x" * 5_000 + b"\r\n", b"x" * 9_000_000 + b"\r\n"],
    ids=["empty", "dots", "header", "long", "one"],
)
async def test_data_costs_no_more_for_odd_lines(line: bytes, serve: Serve) -> None:
    """Class 8. Eight million octets; the loop goes on turning meanwhile."""
    stalls: list[float] = []

    async def watch() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.005)
            stalls.append(time.perf_counter() - before)

    async with serve(limits=replace(LIMITS, message_size=10_000_000)) as place:
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        octets = (line * (8_000_000 // len(line) + 1)) + b".\r\n"
        watcher = asyncio.create_task(watch())
        began = time.perf_counter()
        for start in range(0, len(octets), 262_144):
            client.send(octets[start : start + 262_144])
            await client.writer.drain()
        assert await client.reply() == "250 2.0.0 q1 accepted"
        watcher.cancel()
        assert time.perf_counter() - began < 4
        assert max(stalls) < 0.4  # 100 ms on a machine of one's own
        assert place.house.intake.held == 0


async def test_the_room_for_messages_is_bounded_over_all_connections(serve: Serve) -> None:
    async with serve(intake=Intake(150_000)) as place:
        first, second = await place.logged_in(), await place.logged_in()
        await first.ask(*ENVELOPE)
        first.send(b"x" * 90_000)
        while place.house.intake.held < 90_000:
            await asyncio.sleep(0.01)
        await second.ask(*ENVELOPE)
        second.send(b"x" * 90_000 + b"\r\n.\r\n")
        assert await second.reply() == "452 4.3.1 there is no room for more messages now, try again later"
        first.send(b"\r\n.\r\n")
        assert await first.reply() == "250 2.0.0 q1 accepted"
        await second.ask(*ENVELOPE)
        second.send(b"x" * 90_000 + b"\r\n.\r\n")
        assert await second.reply() == "250 2.0.0 q2 accepted"
        assert place.house.intake.held == 0


# Class 3 and section 3, 4: AUTH.
async def test_login_needs_tls(serve: Serve) -> None:
    async with serve(plaintext_login=False) as place:
        client = await place.connect()
        assert "AUTH" not in await client.ask("EHLO there")
        assert await client.ask(GOOD) == "538 5.7.11 encryption is required: use STARTTLS first"
        assert place.login.asked == []
        assert await client.ask("STARTTLS") == "220 2.0.0 go ahead with TLS"
        await client.start_tls()
        assert await client.ask(GOOD) == "503 5.5.1 say EHLO first"
        assert "AUTH PLAIN LOGIN" in await client.ask("EHLO there")
        assert await client.ask(GOOD) == "235 2.7.0 welcome"
        assert place.login.asked[0][1].tls


async def test_a_wrong_password_never_gets_235_and_guessing_ends(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, failed_login_delay=0.1)) as place:
        client = await place.connect()
        await client.ask("EHLO there")
        began = time.perf_counter()
        client.send((BAD + "\r\n").encode() * 30)
        replies = [await client.reply() for _ in range(4)]
        assert [one.partition(" [d-")[0] for one in replies] == ["535 5.7.8 authentication failed"] * 3 + [
            "421 4.7.0 too many failed logins, goodbye"
        ]
        assert time.perf_counter() - began > 0.29
        assert await client.rest() == b""
        assert len(place.login.asked) == 3


async def test_a_pipelined_message_after_a_failed_login_goes_nowhere(serve: Serve) -> None:
    async with serve() as place:
        client = await place.connect()
        await client.ask("EHLO there")
        client.send((BAD + "\r\nMAIL FROM:<anna@acme.test>\r\nRCPT TO:<bob@acme.test>\r\nDATA\r\n").encode())
        assert [(await client.reply())[:3] for _ in range(4)] == ["535", "530", "530", "530"]


@pytest.mark.parametrize(
    "response", ["=", "*", "AA", "====", "AGE", "\u00fc", "AGEAYg", "AGEAYg===", "YQ==", "AAAA", "AGEA", "/////w==", "A" * 20_000]
)
async def test_odd_responses_change_nothing(response: str, serve: Serve) -> None:
    async with serve() as place:
        client = await place.connect()
        await client.ask("EHLO there")
        said = await client.ask("AUTH PLAIN " + response)
        assert said[:3] in ("500", "501")
        assert place.login.asked == []
        assert await client.ask(GOOD) == "235 2.7.0 welcome"


async def test_a_long_token_is_read_and_a_longer_one_is_not(serve: Serve) -> None:
    async with serve() as place:
        client = await place.connect()
        await client.ask("EHLO there")
        assert (await client.ask(plain("a" * 4_000, "b" * 4_000)))[:3] == "535"
        assert (await client.ask("AUTH PLAIN", base64.b64encode(b"\0" + b"a" * 4_000 + b"\0" + b"b" * 4_000)))[:3] == "535"
        assert (await client.ask("AUTH PLAIN", b"A" * 13_000)) == "500 5.5.6 the line is too long"
        assert (await client.ask(b"AUTH PLAIN " + b"A" * 13_000)) == "500 5.5.6 the line is too long"
        assert await client.ask("NOOP") == "250 2.0.0 ok"


async def test_a_fault_in_login_is_temporary_and_lets_nobody_in(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with serve() as place:
        client = await place.connect()
        await client.ask("EHLO there")
        with caplog.at_level(logging.ERROR):
            said = await client.ask(plain("boom@acme.test", "correct horse"))
        assert said.startswith("451 4.3.0 ")
        assert "secret" not in said
        error_id = said.rpartition("(")[2].rstrip(")")
        (record,) = caplog.records
        assert record.fields["error_id"] == error_id  # type: ignore[attr-defined]
        assert (await client.ask("MAIL FROM:<anna@acme.test>"))[:3] == "530"


async def test_an_account_with_too_many_sessions_waits(serve: Serve) -> None:
    async with serve(sessions=1) as place:
        first = await place.logged_in()
        second = await place.connect()
        assert (await second.ask("EHLO there", GOOD)).startswith("454 4.7.0 ")
        assert (await second.ask("MAIL FROM:<anna@acme.test>"))[:3] == "530"
        await first.ask("QUIT")
        assert (await second.ask(GOOD))[:3] == "235"


# Classes 4 and 5: lines.
async def test_a_line_that_is_too_long_is_refused_and_the_next_one_read(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        assert await client.ask("NOOP " + "x" * 4_089) == "250 2.0.0 ok"
        assert await client.ask("NOOP " + "x" * 4_090) == "500 5.5.2 the line is too long"
        assert await client.ask("NOOP " + "x" * 100_000) == "500 5.5.2 the line is too long"
        assert await client.ask("NOOP") == "250 2.0.0 ok"


async def test_the_limit_of_a_line_is_the_same_for_every_connection_and_every_ehlo(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        for _ in range(60):
            await client.ask("EHLO there")
        await place.connect()
        assert await client.ask("MAIL FROM:<" + "a" * 4_100 + "@acme.test>") == "500 5.5.2 the line is too long"


# Class 7: floods.
async def test_commands_that_bring_no_message_are_counted(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, idle_commands=10)) as place:
        client = await place.connect()
        client.send(b"EHLO there\r\n" * 5 + b"NOOP\r\nRSET\r\nVRFY x\r\nHELP\r\nEXPN x\r\nNOOP\r\nNOOP\r\n")
        replies = [await client.reply() for _ in range(11)]
        assert replies[-1] == "421 4.7.0 too many commands without a message, goodbye"
        assert await client.rest() == b""


async def test_errors_are_counted_and_fewer_are_borne_from_strangers(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, bad_commands=8, bad_commands_before_login=3)) as place:
        stranger, known = await place.connect(), await place.logged_in()
        for client, most in ((stranger, 3), (known, 8)):
            client.send(b"FOO\r\n" * 20)
            for _ in range(most):
                assert (await client.reply())[:3] == "500"
            assert await client.reply() == "421 4.7.0 too many errors, goodbye"
            assert await client.rest() == b""


async def test_recipients_that_do_not_exist_are_counted(serve: Serve) -> None:
    async with serve("mx", replace(LIMITS, refused_recipients=4)) as place:
        client = await place.connect()
        await client.ask("EHLO there", "MAIL FROM:<x@y.test>")
        client.send(b"RCPT TO:<nobody@acme.test>\r\n" * 10)
        assert [(await client.reply())[:3] for _ in range(5)] == ["550"] * 4 + ["421"]


# Section 3, 8: the commit.
async def test_a_commit_is_finished_whatever_the_peer_does(serve: Serve) -> None:
    async with serve() as place:
        place.submission.gate = asyncio.Event()
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        client.send(b"Subject: x\r\n\r\n.\r\n")
        await place.submission.begun.wait()
        # A reset, for the end of the stream alone leaves the connection open for the reply.
        client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.writer.transport.abort()
        await asyncio.sleep(0.05)
        (connection,) = place.house.here
        assert connection.transport is None  # type: ignore[attr-defined]
        assert place.submission.kept == []
        assert place.house.intake.held > 0
        place.submission.gate.set()
        while not place.submission.kept:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert place.house.here == set()
        assert place.house.commits == set()
        assert place.sessions.open == []


async def test_not_even_the_end_of_its_task_disturbs_a_commit(serve: Serve) -> None:
    async with serve() as place:
        place.submission.gate = asyncio.Event()
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        client.send(b"Subject: x\r\n\r\n.\r\n")
        await place.submission.begun.wait()
        (connection,) = place.house.here
        assert connection.task is not None
        connection.task.cancel()
        await client.rest()
        place.submission.gate.set()
        await asyncio.sleep(0.02)
        assert len(place.submission.kept) == 1


async def test_a_message_without_its_end_is_never_committed(serve: Serve) -> None:
    async with serve() as place:
        for end in ("close", "abort"):
            client = await place.logged_in()
            await client.ask(*ENVELOPE)
            client.send(b"Subject: x\r\n\r\nbody\r\n.")
            await client.writer.drain()
            client.writer.close() if end == "close" else client.writer.transport.abort()
        while place.house.here:
            await asyncio.sleep(0.01)
        assert place.submission.kept == []
        assert place.house.intake.held == 0


async def test_memory_of_a_message_is_given_back(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        client.send(b"x" * 50_000 + b"\r\n.\r\n")
        await client.reply()
        (connection,) = place.house.here
        assert isinstance(connection, HardenedSMTP)
        assert connection.envelope.content is None
        assert len(connection.inbox) == 0


# PIPELINING
async def test_replies_to_a_group_come_in_one_write(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        writes: list[bytes] = []
        (connection,) = place.house.here
        transport: Any = connection.transport  # type: ignore[attr-defined]
        connection.transport = _Recorder(transport, writes)  # type: ignore[attr-defined]
        client.send(b"MAIL FROM:<anna@acme.test>\r\nRCPT TO:<bob@acme.test>\r\nRCPT TO:<nobody@acme.test>\r\nDATA\r\n")
        for _ in range(4):
            await client.reply()
        assert len(writes) == 1


class _Recorder:
    def __init__(self, transport: Any, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def write(self, octets: bytes) -> None:
        self._writes.append(octets)
        self._transport.write(octets)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


DIALOGUES = [
    b"EHLO there\r\n"
    + GOOD.encode()
    + b"\r\nMAIL FROM:<anna@acme.test>\r\nRCPT TO:<bob@acme.test>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
    b"EHLO there\r\nAUTH LOGIN\r\nYW5uYUBhY21lLnRlc3Q=\r\nd3Jvbmc=\r\nNOOP\r\n" + b"x" * 5_000 + b"\r\nNOOP\0\r\nVRFY a\nQUIT\r\n",
    b"HELO there\r\nFOO\r\nMAIL\r\nRCPT\r\nDATA\r\nFOO\r\nNOOP\r\n",
    b"EHLO there\r\n"
    + GOOD.encode()
    + b"\r\nMAIL FROM:<>\r\nRCPT TO:<bob@acme.test>\r\nDATA\r\nbad\nline\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<bob@acme.test>\r\nDATA\r\n"
    b".\r\nRSET\r\nEHLO again\r\nRCPT TO:<x@y>\r\nQUIT\r\n",
    b"EHLO there\r\n"
    + GOOD.encode()
    + b"\r\nMAIL FROM:<>\r\nRCPT TO:<bob@acme.test>\r\nBDAT 12\r\nSubject: x\r\nBDAT 0\r\nBDAT 9 LAST\r\n\r\n.\r\nQUIT"
    b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<bob@acme.test>\r\nBDAT 7 LAST\r\n\r\n\0\n.\n\0RSET\r\n"
    b"BDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\nRCPT TO:<bob@acme.test>\r\nBDAT 3\r\na\nbBDAT 0 LAST\r\nQUIT\r\n",
    b"EHLO there\r\nSTARTTLS\r\nNOOP\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"NOOP " + b"x" * 9_000 + b"\r\n" + b"A" * 20_000 + b"\nQUIT\r\n",
]


@pytest.mark.parametrize("dialogue", DIALOGUES, ids=range(len(DIALOGUES)))
async def test_octets_in_any_cut_give_the_same_replies(dialogue: bytes, serve: Serve) -> None:
    async with serve() as place:
        whole = await _said(place, [dialogue])
        assert whole
        assert whole.endswith(b"\r\n")
        octets = [dialogue[index : index + 1] for index in range(min(len(dialogue), 4_000))]
        assert await _said(place, [*octets, dialogue[4_000:]]) == whole
        loop = asyncio.get_running_loop()
        cuts = st.lists(st.integers(1, len(dialogue)), max_size=6)

        @settings(max_examples=12, suppress_health_check=list(HealthCheck), database=None)
        @given(cuts)
        def any_cut(found: list[int]) -> None:
            edges = [0, *sorted(set(found)), len(dialogue)]
            pieces = [dialogue[start:end] for start, end in itertools.pairwise(edges)]
            assert asyncio.run_coroutine_threadsafe(_said(place, pieces), loop).result(20) == whole

        await asyncio.to_thread(any_cut)


async def _said(place: Place, pieces: list[bytes]) -> bytes:
    """Everything the server says to these octets, with the ids of messages taken out."""
    place.submission.kept.clear()
    client = await place.connect(greeted=False)
    heard = asyncio.create_task(_hear(client))
    for piece in pieces:
        client.send(piece)
        # So that the pieces arrive one by one.
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    if not client.writer.is_closing():
        with contextlib.suppress(OSError):
            client.writer.write_eof()
    octets = await heard
    client.writer.close()
    return octets


async def _hear(client: Client) -> bytes:
    """As it comes: what was said before a connection is reset counts."""
    heard = b""
    async with asyncio.timeout(10):
        with contextlib.suppress(ConnectionError):
            while octets := await client.reader.read(65_536):
                heard += octets
    return heard


WORDS = [
    b"EHLO x",
    b"HELO x",
    GOOD.encode(),
    BAD.encode(),
    b"AUTH LOGIN",
    b"YQ==",
    b"*",
    b"MAIL FROM:<>",
    b"MAIL FROM:<anna@acme.test> SIZE=3",
    b"RCPT TO:<bob@acme.test>",
    b"RCPT TO:<nobody@acme.test>",
    b"DATA",
    b".",
    b"..",
    b"",
    b"RSET",
    b"NOOP",
    b"VRFY x",
    b"QUIT",
    b"\0",
    b"\r",
    b"x" * 5_000,
    b"STARTTLS",
    b"BDAT 3",
    b"BDAT 3 LAST",
    b"BDAT 40000 LAST",
    b"BDAT 18446744073709551616",
    b"MAIL FROM:<anna@acme.test> BODY=BINARYMIME",
    b"\x16\x03\x01",
]


@pytest.fixture(scope="module")
def random_dialogues() -> st.SearchStrategy[bytes]:
    word = st.sampled_from(WORDS)
    end = st.sampled_from([b"\r\n"] * 12 + [b"\n", b"\r", b""])
    return st.lists(st.tuples(word, end).map(b"".join) | st.binary(max_size=20), max_size=14).map(b"".join)


async def test_any_octets_get_replies_and_nothing_breaks(
    serve: Serve, random_dialogues: st.SearchStrategy[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async with serve(limits=replace(LIMITS, failed_logins=2, linger=0.05)) as place:
        loop = asyncio.get_running_loop()

        @settings(max_examples=120, suppress_health_check=list(HealthCheck), database=None)
        @given(random_dialogues)
        def any_octets(octets: bytes) -> None:
            said = asyncio.run_coroutine_threadsafe(_said(place, [octets]), loop).result(20)
            for line in said.split(b"\r\n")[:-1]:
                assert line[:3].isdigit()
                assert line[3:4] in (b" ", b"-")
                assert all(0x20 <= octet < 0x7F for octet in line)
                assert len(line) <= 510

        with caplog.at_level(logging.ERROR):
            await asyncio.to_thread(any_octets)
        assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
        assert place.house.intake.held == 0


# chunks (RFC 3030)


async def test_a_connection_that_drops_within_a_chunk_leaves_nothing(serve: Serve) -> None:
    async with serve() as place:
        for chunk in (b"BDAT 100 LAST\r\nSubject: x", b"BDAT 10\r\nSubject: xBDAT 1", b"BDAT 10\r\nSubject: x"):
            client = await place.logged_in()
            await client.ask("MAIL FROM:<>", "RCPT TO:<bob@acme.test>")
            client.send(chunk)
            await client.writer.drain()
            await asyncio.sleep(0.02)
            client.writer.close()
        async with asyncio.timeout(5):
            while place.house.here:
                await asyncio.sleep(0.01)
        assert place.submission.kept == []
        assert place.house.intake.held == 0


async def test_the_room_for_chunks_is_bounded_and_given_back(serve: Serve) -> None:
    async with serve(intake=Intake(10_000)) as place:
        first, second = await place.logged_in(), await place.logged_in()
        for client in (first, second):
            await client.ask("MAIL FROM:<>", "RCPT TO:<bob@acme.test>")
        first.send(b"BDAT 8000\r\n" + b"x" * 8_000)
        assert (await first.reply()).startswith("250 2.0.0 ")
        second.send(b"BDAT 8000\r\n" + b"x" * 8_000 + b"BDAT 0 LAST\r\n")
        assert [(await second.reply())[:9] for _ in range(2)] == ["452 4.3.1"] * 2
        assert place.house.intake.held == 8_000
        assert await first.ask("RSET") == "250 2.0.0 ok"
        assert place.house.intake.held == 0
        await second.ask("MAIL FROM:<>", "RCPT TO:<bob@acme.test>")
        second.send(b"BDAT 8000 LAST\r\n" + b"x" * 8_000)
        assert (await second.reply()).startswith("250 2.0.0 ")
        assert place.house.intake.held == 0


@pytest.mark.parametrize("size", ["400001", "9223372036854775807", "9223372036854775808", "9" * 20, "9" * 21, "-1", "+1", "1e3", "0x1", ""])
async def test_a_size_that_nobody_can_mean_ends_the_connection_at_once(size: str, serve: Serve) -> None:
    async with serve("mx") as place:
        client = await place.connect()
        await client.ask("EHLO there", "MAIL FROM:<>", "RCPT TO:<bob@acme.test>")
        assert (await client.ask(f"BDAT {size} LAST"))[:9] in ("552 5.3.4", "501 5.5.4")
        assert await client.rest() == b""


async def test_empty_chunks_without_end_are_no_message(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        await client.ask("MAIL FROM:<>", "RCPT TO:<bob@acme.test>")
        client.send(b"BDAT 0\r\n" * 200)
        assert b"421 4.7.0 too many commands" in await client.rest()


async def test_a_chunk_that_does_not_come_is_waited_for_only_so_long(serve: Serve) -> None:
    async with serve("mx", replace(LIMITS, data_timeout=0.1)) as place:
        client = await place.connect()
        await client.ask("EHLO there", "MAIL FROM:<>", "RCPT TO:<bob@acme.test>")
        assert (await client.ask("BDAT 10 LAST")).startswith("421 4.4.2 ")
        assert place.delivery.kept == []


async def test_bare_newlines_in_chunks_can_be_fixed(serve: Serve) -> None:
    async with serve(bare_newline="fix") as place:
        client = await place.logged_in()
        await client.ask("MAIL FROM:<>", "RCPT TO:<bob@acme.test>")
        client.send(b"BDAT 4\r\na\r\nbBDAT 4 LAST\r\n\n.\n\r")
        assert [(await client.reply())[:3] for _ in range(2)] == ["250", "250"]
        assert place.submission.kept[-1][2] == b"a\r\nb\r\n.\r\n\r\n"


# Python's own client
@pytest.mark.parametrize("kind", ["submission", "submissions"])
async def test_smtplib(kind: str, serve: Serve) -> None:
    async with serve(kind, plaintext_login=False) as place:
        await asyncio.to_thread(_smtplib, place.port, kind)
        sender, recipients, octets = place.submission.kept[0]
        assert sender == Address("anna", "acme.test")
        assert [str(one) for one in recipients] == ["bob@acme.test"]
        assert b"\r\n.a dot\r\n" in octets
        assert place.submission.kept[1][2].startswith(b"Subject: ")


def _smtplib(port: int, kind: str) -> None:
    context = client_context()
    client: smtplib.SMTP = (
        smtplib.SMTP_SSL("127.0.0.1", port, context=context) if kind == "submissions" else smtplib.SMTP("127.0.0.1", port)
    )
    with client:
        if kind == "submission":
            client.starttls(context=context)
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login("anna@acme.test", "wrong")
        assert refused.value.smtp_code == 535
        client.login("anna@acme.test", "correct horse")
        assert client.verify("anna")[0] == 252
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "anna@acme.test", "bob@acme.test", "x"
        message.set_content("Hello\n.a dot\n")
        assert client.send_message(message) == {}
        assert client.sendmail("anna@acme.test", ["bob@acme.test", "nobody@acme.test"], b"Subject: y\r\n\r\n") == {
            "nobody@acme.test": (550, b"5.1.1 there is no such recipient")
        }
        with pytest.raises(smtplib.SMTPSenderRefused) as sender:
            client.sendmail("stranger@acme.test", ["bob@acme.test"], b"")
        assert sender.value.smtp_code == 553


async def test_many_messages_on_many_connections(serve: Serve) -> None:
    async with serve() as place:

        async def send(client: Client) -> None:
            for _ in range(20):
                client.send(b"MAIL FROM:<anna@acme.test>\r\nRCPT TO:<bob@acme.test>\r\nDATA\r\n")
                assert [(await client.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
                client.send(b"Subject: x\r\n\r\nbody\r\n.\r\n")
                assert (await client.reply())[:3] == "250"

        clients = [await place.logged_in() for _ in range(20)]
        await asyncio.gather(*map(send, clients))
        assert len(place.submission.kept) == 400


async def test_hooks_that_are_not_there_have_aiosmtpds_defaults(serve: Serve) -> None:
    async with serve("mx", handler=object) as place:
        client = await place.connect()
        assert (await client.ask("EHLO x", "MAIL FROM:<a@b.test>", "RCPT TO:<c@d.test>", "DATA"))[:3] == "354"
        assert (await client.ask(".")) == "250 2.0.0 accepted"


async def test_a_handler_may_have_aiosmtpds_other_hooks(serve: Serve) -> None:
    class Handler:
        async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> list[str]:
            return [responses[0], "250 X-" + hostname]

        async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:
            return "250 hi " + hostname

        async def handle_RSET(self, server: Any, session: Any, envelope: Any) -> str:
            await server.push(b"250-first")
            return "250 second"

    async with serve("mx", handler=Handler) as place:
        client = await place.connect()
        assert await client.ask("EHLO x") == "250-mx.acme.test\n250 X-x"
        assert await client.ask("HELO y") == "250 hi y"
        assert await client.ask("RSET") == "250-first\n250 second"
