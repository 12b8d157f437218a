"""Deadlines, backpressure, TLS and the end of connections, through real sockets."""

import asyncio
import contextlib
import socket
import ssl
import time
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from gateway.smtp.wire import BACKLOG, peer_address
from policy.reasons import Defer, Reason, Refuse
from tests.gateway.smtp.conftest import LIMITS, Client, Serve, client_context

ENVELOPE = ("MAIL FROM:<anna@acme.test>", "RCPT TO:<bob@acme.test>", "DATA")


# Class 5: endless input.
async def test_a_line_without_end_takes_no_memory_and_ends_the_connection(serve: Serve) -> None:
    async with serve() as place:
        client = await place.connect()
        tracemalloc.start()
        block = b"x" * 65_536
        with contextlib.suppress(ConnectionError):
            for _ in range(1_024):  # 64 MiB
                client.send(block)
                await client.writer.drain()
                if not place.house.here:
                    break
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3_000_000
        assert not place.house.here
        with contextlib.suppress(ConnectionError):
            assert await client.line() == "500 5.5.2 the line is too long, goodbye"


@pytest.mark.parametrize("size", [100_000, (1 << 20) - 1])
async def test_up_to_a_mebioctet_is_waited_out(size: int, serve: Serve) -> None:
    async with serve() as place:
        client = await place.connect()
        client.send(b"x" * size + b"\r\nNOOP\r\n")
        assert await client.reply() == "500 5.5.2 the line is too long"
        assert await client.reply() == "250 2.0.0 ok"


async def test_what_is_pipelined_behind_a_slow_command_is_bounded(serve: Serve) -> None:
    async with serve() as place:
        place.submission.gate = asyncio.Event()
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        client.send(b"Subject: x\r\n\r\n.\r\n")
        await place.submission.begun.wait()
        (connection,) = place.house.here
        flood = asyncio.create_task(_flood(client, b"NOOP\r\n" * 10_000, 200))
        await asyncio.sleep(0.2)
        assert len(connection.inbox) <= BACKLOG + (256 << 10)  # type: ignore[attr-defined]
        assert not flood.done()
        place.submission.gate.set()
        assert await client.reply() == "250 2.0.0 q1 accepted"
        flood.cancel()


async def _flood(client: Client, octets: bytes, times: int) -> None:
    for _ in range(times):
        client.send(octets)
        await client.writer.drain()


# Class 6: slowloris, both ways.
async def test_a_command_has_to_come_in_time_however_slowly_its_octets_come(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, command_timeout=0.5)) as place:
        client = await place.connect()
        began = time.perf_counter()
        drip = asyncio.create_task(_drip(client))
        assert await client.reply() == "421 4.4.2 that took too long, goodbye"
        assert 0.4 < time.perf_counter() - began < 2
        drip.cancel()


async def _drip(client: Client) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            client.send(b"N")
            await asyncio.sleep(0.05)


async def test_a_message_has_to_come_in_time(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, data_timeout=0.5)) as place:
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        drip = asyncio.create_task(_drip(client))
        assert await client.reply() == "421 4.4.2 that took too long, goodbye"
        drip.cancel()
        assert place.submission.kept == []


async def test_commands_do_not_prolong_a_session(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, session_timeout=0.6, idle_commands=1_000_000)) as place:
        client = await place.connect()
        began = time.perf_counter()
        said = ""
        with contextlib.suppress(ConnectionError):
            while not said.startswith("421"):
                said = await client.ask("NOOP")
                await asyncio.sleep(0.02)
        assert said.startswith("421 4.4.2 ")
        assert time.perf_counter() - began < 2


async def test_an_endless_group_does_not_prolong_a_session(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, session_timeout=0.4, idle_commands=1 << 60)) as place:
        client = await place.connect()
        flood = asyncio.create_task(_flood(client, b"NOOP\r\n" * 1_000, 100_000))
        said = b""
        began = time.perf_counter()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                while octets := await client.reader.read(1 << 20):
                    said = (said + octets)[-200:]
        assert time.perf_counter() - began < 3
        flood.cancel()


async def test_logging_in_has_its_own_time(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, login_timeout=0.4)) as place:
        stranger, known = await place.connect(), await place.logged_in()
        assert (await stranger.reply()).startswith("421 4.4.2 ")
        await asyncio.sleep(0.5)
        assert await known.ask("NOOP") == "250 2.0.0 ok"


async def test_a_peer_that_never_reads_is_cut_off(serve: Serve) -> None:
    async with serve(
        limits=replace(LIMITS, output_timeout=0.5, idle_commands=1 << 60, bad_commands=1 << 60, bad_commands_before_login=1 << 60)
    ) as place:
        reader, writer = await asyncio.open_connection("127.0.0.1", place.port, limit=1_024)
        writer.transport.pause_reading()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(20):
                while not writer.transport.is_closing():
                    writer.write(b"EHLO x\r\n" * 2_000)
                    await writer.drain()
                    if not place.house.here:
                        break
        await _until(lambda: not place.house.here)
        writer.transport.abort()
        del reader


async def test_a_peer_that_reads_slowly_gets_everything(serve: Serve) -> None:
    async with serve(limits=replace(LIMITS, idle_commands=1 << 60)) as place:
        client = await place.connect()
        send = asyncio.create_task(_flood(client, b"HELP\r\n" * 1_000, 40))
        for index in range(40_000):
            assert (await client.line()).startswith("214 2.0.0 "), index
            if index % 10_000 == 0:
                await asyncio.sleep(0.05)
        await send


# Class 2 and section 3, 3 and 5: TLS.
async def test_implicit_tls_counts_as_tls(serve: Serve) -> None:
    async with serve("submissions", plaintext_login=False) as place:
        client = await place.connect(tls=True)
        said = await client.ask("EHLO there")
        assert "AUTH PLAIN LOGIN" in said
        assert "STARTTLS" not in said
        assert await client.ask("STARTTLS") == "503 5.5.1 TLS is on already"
        assert (await client.ask("AUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U=")).startswith("235")
        assert place.login.asked[0][1].tls
        await client.ask(*ENVELOPE)
        client.send(b"x" * 90_000 + b"\r\n.\r\n")
        assert await client.reply() == "250 2.0.0 q1 accepted"


async def test_who_speaks_no_tls_on_the_tls_port_gets_nothing(serve: Serve) -> None:
    async with serve("submissions") as place:
        client = await place.connect(greeted=False)
        client.send(b"EHLO there\r\n")
        assert b"250" not in await client.rest()
        await _until(lambda: not place.house.here)


async def test_a_handshake_has_to_come_in_time(serve: Serve) -> None:
    async with serve("submissions", replace(LIMITS, tls_timeout=0.3)) as place:
        client = await place.connect(greeted=False)
        began = time.perf_counter()
        assert await client.rest() == b""
        assert time.perf_counter() - began < 2
        await _until(lambda: not place.house.here)


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"EHLO x\r\nMAIL FROM:<evil@acme.test>\r\n", b"\0"])
@pytest.mark.parametrize("at_once", [True, False])
async def test_what_stands_behind_starttls_is_never_read(behind: bytes, at_once: bool, serve: Serve) -> None:
    async with serve() as place:
        client = await place.connect()
        await client.ask("EHLO there")
        if at_once:
            client.send(b"STARTTLS\r\n" + behind)
            assert await client.reply() == "220 2.0.0 go ahead with TLS"
        else:
            assert await client.ask("STARTTLS") == "220 2.0.0 go ahead with TLS"
            client.send(behind)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await client.start_tls()
                assert await client.rest() == b""
        client.writer.close()
        await _until(lambda: not place.house.here)
        assert place.submission.began == []


async def test_not_even_a_handshake_stands_behind_starttls(serve: Serve) -> None:
    """What came before the 220 was sent in the clear, by whomever."""
    outgoing = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        client_context().wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    async with serve() as place:
        client = await place.connect()
        await client.ask("EHLO there")
        client.send(b"STARTTLS\r\n" + outgoing.read())
        assert await client.reply() == "220 2.0.0 go ahead with TLS"
        assert await client.rest() == b""


async def test_a_login_in_the_clear_does_not_count_after_starttls(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        assert await client.ask("STARTTLS") == "503 5.5.1 TLS comes before AUTH"
        assert await client.ask("NOOP") == "250 2.0.0 ok"


async def test_a_renewed_certificate_is_shown_to_the_next_client(serve: Serve, certificate: Any) -> None:
    asked: list[ssl.SSLContext] = []

    def context() -> ssl.SSLContext:
        asked.append(certificate.context)
        return asked[-1]

    async with serve("submissions", tls=context) as place:
        for expected in (1, 2):
            client = await place.connect(tls=True)
            assert len(asked) == expected
            client.writer.close()


async def test_tls_clients_can_be_cut_off_too(serve: Serve) -> None:
    async with serve("submissions") as place:
        client = await place.connect(tls=True)
        (connection,) = place.house.here
        connection.end(Refuse(Reason.ACCOUNT_STATUS, "locked"))  # type: ignore[attr-defined]
        assert await client.reply() == "421 4.3.2 account is locked"
        assert await client.rest() == b""


# Sessions that are ended from outside.
async def test_an_idle_session_ends_within_a_second(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        (end,) = place.sessions.open
        began = time.perf_counter()
        end(Refuse(Reason.ACCOUNT_STATUS, "closed"))
        end(Refuse(Reason.ACCOUNT_STATUS, "locked"))
        assert await client.reply() == "421 4.3.2 account is closed"
        assert time.perf_counter() - began < 0.5
        assert await client.rest() == b""
        await _until(lambda: not place.sessions.open)
        end(Refuse(Reason.ACCOUNT_STATUS, "closed"))  # after the end: nothing happens


async def test_so_does_one_in_the_middle_of_a_message(serve: Serve) -> None:
    async with serve() as place:
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        client.send(b"Subject: x\r\n\r\nhalf")
        await asyncio.sleep(0.02)
        place.sessions.open[0](Defer(Reason.ACCOUNT_MAINTENANCE))
        assert (await client.reply()).startswith("421 4.3.2 ")
        assert place.submission.kept == []
        await _until(lambda: place.house.intake.held == 0)


async def test_a_commit_under_way_is_finished_first(serve: Serve) -> None:
    async with serve() as place:
        place.submission.gate = asyncio.Event()
        client = await place.logged_in()
        await client.ask(*ENVELOPE)
        client.send(b"Subject: x\r\n\r\n.\r\nNOOP\r\n")
        await place.submission.begun.wait()
        place.sessions.open[0](Refuse(Reason.SESSION_ENDED, "the password was changed"))
        await asyncio.sleep(0.02)
        place.submission.gate.set()
        assert await client.reply() == "250 2.0.0 q1 accepted"
        assert await client.reply() == "421 4.3.2 this session has ended: the password was changed"
        assert await client.rest() == b""


async def test_a_session_that_leaves_is_off_the_list(serve: Serve) -> None:
    async with serve() as place:
        for leave in ("QUIT", "close", "abort"):
            client = await place.logged_in()
            assert len(place.sessions.open) == 1
            if leave == "QUIT":
                await client.ask("QUIT")
            elif leave == "close":
                client.writer.close()
            else:
                client.writer.transport.abort()
            await _until(lambda: not place.sessions.open)


async def test_last_words_arrive_though_octets_are_unread(serve: Serve) -> None:
    """A close with unread octets in the socket resets the connection, and takes the words with it."""
    async with serve(limits=replace(LIMITS, bad_commands_before_login=1)) as place:
        for _ in range(10):
            client = await place.connect()
            client.send(b"FOO\r\n" * 30_000)
            await asyncio.sleep(0.01)
            assert await client.reply() == "500 5.5.2 the command is not known"
            assert await client.reply() == "421 4.7.0 too many errors, goodbye"


async def test_a_reset_connection_leaves_nothing_behind(serve: Serve) -> None:
    async with serve() as place:
        for octets in (b"", b"EHLO x\r\n", b"EHLO x\r\nAUTH LOGIN\r\n", b"EHLO x\r\nSTARTTLS\r\n", b"NOOP"):
            raw = socket.create_connection(("127.0.0.1", place.port))
            raw.sendall(octets)
            await asyncio.sleep(0.02)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            raw.close()
        await _until(lambda: not place.house.here)
        assert place.house.commits == set()


async def test_everything_works_on_uvloop_too() -> None:
    """In a loop of its own: the transports differ in start_tls, write_eof and pausing."""
    uvloop = pytest.importorskip("uvloop")
    problems = await asyncio.to_thread(_in_uvloop, uvloop)
    assert problems == []


def _in_uvloop(uvloop: Any) -> list[str]:
    from tests.gateway.smtp.uvloop_dialogue import dialogue

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found: list[str] = runner.run(dialogue())
        return found


def test_peer_addresses() -> None:
    assert peer_address(("192.0.2.1", 25)) == "192.0.2.1"
    assert peer_address(("::ffff:192.0.2.1", 25, 0, 0)) == "192.0.2.1"
    assert peer_address(("fe80::1%eth0", 25, 0, 2)) == "fe80::1"
    assert peer_address("") == peer_address(None) == ""


async def _until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)
