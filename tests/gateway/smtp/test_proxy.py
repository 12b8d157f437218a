"""Whom a neighbour speaks for: the headers of the PROXY protocol and XCLIENT's arguments as tables, and what a connection makes of them."""

from __future__ import annotations

import asyncio
import socket
import struct
from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.grammar import BadSyntax
from gateway.smtp.listener import ConnectionLimits, Neighbours
from gateway.smtp.proxy import NoHeader, ProxyHeader, read_header, xclient
from tests.gateway.smtp.conftest import LIMITS, Client, Serve

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
HERE = (ip_network("127.0.0.0/8"),)
ELSEWHERE = (ip_network("192.0.2.0/24"),)


def v2(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def tcp(source: str, version: int) -> bytes:
    kind = socket.AF_INET if version == 4 else socket.AF_INET6
    return socket.inet_pton(kind, source) * 2 + struct.pack("!HH", 1, 25)


@pytest.mark.parametrize(
    ("octets", "address"),
    [
        (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n", "192.0.2.1"),
        (b"PROXY TCP6 2001:db8::1 ::1 56324 25\r\n", "2001:db8::1"),
        (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 56324 25\r\n", "192.0.2.1"),
        (b"PROXY UNKNOWN\r\n", None),
        (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
        (v2(0x21, 0x11, tcp("192.0.2.1", 4)), "192.0.2.1"),
        (v2(0x21, 0x21, tcp("2001:db8::1", 6)), "2001:db8::1"),
        (v2(0x21, 0x21, tcp("::ffff:192.0.2.1", 6)), "192.0.2.1"),
        (v2(0x21, 0x11, tcp("192.0.2.1", 4) + b"\x04\0\x01x"), "192.0.2.1"),
        (v2(0x20, 0x00, b""), None),
        (v2(0x20, 0x11, tcp("192.0.2.1", 4)), None),
        (v2(0x21, 0x00, b"any"), None),
        (v2(0x21, 0x31, b"\0" * 216), None),
    ],
)
def test_a_header_wherever_it_is_cut(octets: bytes, address: str | None) -> None:
    assert read_header(octets + b"EHLO x\r\n") == ProxyHeader(address, len(octets))
    for cut in range(len(octets)):
        assert read_header(octets[:cut]) is None


@pytest.mark.parametrize(
    "octets",
    [
        b"EHLO there\r\n",
        b"\x16\x03\x01",
        b"\r\nx",
        b"PROXZ",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n",
        b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 99999\r\n",
        b"PROXY TCP4 2001:db8::1 ::1 56324 25\r\n",
        b"PROXY TCP6 192.0.2.1 192.0.2.2 56324 25\r\n",
        b"PROXY TCP6 fe80::1%eth0 ::1 1 25\r\n",
        b"PROXY TCP4 192.0.2.01 192.0.2.2 56324 25\r\n",
        b"PROXY TCP4 anna 192.0.2.2 56324 25\r\n",
        b"PROXY UDP4 192.0.2.1 192.0.2.2 56324 25\r\n",
        b"PROXY TCP4 \xb9.0.2.1 192.0.2.2 1 25\r\n",
        b"PROXY UNKNOWN" + b"x" * 100,
        v2(0x11, 0x11, tcp("192.0.2.1", 4)),
        v2(0x22, 0x11, tcp("192.0.2.1", 4)),
        v2(0x21, 0x12, tcp("192.0.2.1", 4)),
        v2(0x21, 0x11, b"\0" * 11),
        v2(0x21, 0x21, b"\0" * 35),
    ],
)
def test_no_header(octets: bytes) -> None:
    with pytest.raises(NoHeader):
        read_header(octets)


@given(st.sampled_from([b"", SIGNATURE, b"PROXY ", b"PROXY TCP4 "]), st.binary(max_size=300))
def test_any_octets(start: bytes, rest: bytes) -> None:
    octets = start + rest
    try:
        header = read_header(octets)
    except NoHeader:
        return
    assert header is None or 15 <= header.size <= len(octets)


@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("ADDR=192.0.2.1", "192.0.2.1"),
        ("NAME=a.test ADDR=192.0.2.1 PORT=1 HELO=x+20y PROTO=ESMTP", "192.0.2.1"),
        ("addr=IPV6:2001:db8::1", "2001:db8::1"),
        ("ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]", None),
        ("NAME=a.test", None),
        ("", BadSyntax),
        ("ADDR", BadSyntax),
        ("ADDR=", BadSyntax),
        ("ADDR=anna", BadSyntax),
        ("ADDR=192.0.2.1 ADDR=192.0.2.2", BadSyntax),
        ("LOGIN=anna@acme.test", BadSyntax),
        ("ADDR=192.0.2.1 LOGIN=anna", BadSyntax),
        ("HELO=a=b", BadSyntax),
        ("ADDR=IPV6:192.0.2.1", "192.0.2.1"),
        ("ADDR=fe80::1%eth0", BadSyntax),
    ],
)
def test_xclient(argument: str, address: str | type[BadSyntax] | None) -> None:
    if isinstance(address, type):
        with pytest.raises(BadSyntax, match=r"^501 5\.5\.4 "):
            xclient(argument)
    else:
        assert xclient(argument) == address


# --- on a connection


@pytest.mark.parametrize("kind", ["submission", "submissions", "mx"])
@pytest.mark.parametrize("header", [b"PROXY TCP4 192.0.2.1 127.0.0.1 1 25\r\n", v2(0x21, 0x11, tcp("192.0.2.1", 4))], ids=["v1", "v2"])
@pytest.mark.parametrize("cut", [True, False])
async def test_it_comes_before_tls_and_greeting(kind: str, header: bytes, cut: bool, serve: Serve) -> None:
    limits = ConnectionLimits(10, 10)
    async with serve(kind, admission=limits, proxies=HERE) as place:
        client = await place.connect(greeted=False)
        if cut:
            for at in range(len(header)):
                client.send(header[at : at + 1])
                await asyncio.sleep(0.001)
        else:
            client.send(header)
        if kind == "submissions":
            await client.start_tls()
        assert await client.reply() == "220 mx.acme.test ESMTP"
        if kind == "mx":
            await client.ask("EHLO there", "MAIL FROM:<>")
            assert place.delivery.began[-1][-1] == "192.0.2.1"
        else:
            await client.ask("EHLO there", "AUTH PLAIN AGFubmFAYWNtZS50ZXN0AGNvcnJlY3QgaG9yc2U=")
            assert place.login.asked[-1][1].address == "192.0.2.1"
        client.writer.close()
        async with asyncio.timeout(5):
            while place.house.here:
                await asyncio.sleep(0.01)
        assert limits.count == 0


async def test_header_and_dialogue_in_one_packet(serve: Serve) -> None:
    async with serve("mx", proxies=HERE) as place:
        client = await place.connect(greeted=False)
        client.send(b"PROXY TCP4 192.0.2.1 127.0.0.1 1 25\r\nEHLO there\r\nMAIL FROM:<>\r\nQUIT\r\n")
        said = await client.rest()
        assert said.startswith(b"220 ")
        assert said.endswith(b"250 2.1.0 sender ok\r\n221 2.0.0 goodbye\r\n")


@pytest.mark.parametrize("octets", [b"EHLO there\r\n", b"PROXY TCP4 here there 1 25\r\n", b"\x16\x03\x01\0", SIGNATURE + b"\xff\xff\0\0"])
async def test_a_proxy_that_says_something_else_is_cut_off_without_a_word(octets: bytes, serve: Serve) -> None:
    limits = ConnectionLimits(10, 10)
    async with serve("mx", admission=limits, proxies=HERE) as place:
        client = await place.connect(greeted=False)
        client.send(octets)
        assert await client.rest() == b""
        assert limits.count == 0


async def test_a_proxy_that_says_nothing_is_not_waited_for(serve: Serve) -> None:
    async with serve("mx", replace(LIMITS, proxy_timeout=0.1), proxies=HERE) as place:
        client = await place.connect(greeted=False)
        assert (await client.rest())[:3] in (b"", b"421")


async def test_the_client_is_who_is_counted(serve: Serve) -> None:
    async with serve("mx", admission=ConnectionLimits(10, 1), proxies=HERE) as place:
        said, clients = [], []
        for last in (1, 2, 1):
            client = await place.connect(greeted=False)
            clients.append(client)
            client.send(b"PROXY TCP4 192.0.2.%d 127.0.0.1 1 25\r\n" % last)
            said.append((await client.reply())[:3])
        assert said == ["220", "220", "421"]


async def test_lmtp_behind_a_proxy_is_for_those_who_may_hand_mail_in(serve: Serve) -> None:
    async with serve("lmtp", admission=Neighbours(ELSEWHERE, ConnectionLimits(10, 10)), proxies=HERE) as place:
        for source, code in ((b"192.0.2.1", "220"), (b"198.51.100.1", "421")):
            client = await place.connect(greeted=False)
            client.send(b"PROXY TCP4 %b 127.0.0.1 1 25\r\n" % source)
            assert (await client.reply())[:3] == code


@pytest.mark.parametrize("kind", ["submission", "mx", "lmtp"])
async def test_from_anybody_else_it_is_refused_and_changes_nothing(kind: str, serve: Serve) -> None:
    async with serve(kind, proxies=ELSEWHERE, neighbours=ELSEWHERE) as place:
        client = await place.connect()
        assert "XCLIENT" not in await client.ask("LHLO there" if kind == "lmtp" else "EHLO there")
        assert (await client.ask("XCLIENT ADDR=192.0.2.1")).startswith("500 5.5.2 ")
        (connection,) = place.house.here
        assert connection.address == "127.0.0.1"  # type: ignore[attr-defined]
        assert (await client.ask("PROXY TCP4 192.0.2.1 127.0.0.1 1 25")).startswith("500 5.5.2 ")
        assert connection.address == "127.0.0.1"  # type: ignore[attr-defined]
        client = await place.connect()
        client.send(v2(0x21, 0x11, tcp("192.0.2.1", 4)) + b"NOOP\r\n")
        assert b"250" not in await client.rest()


async def _introduced(place_client: Client, argument: str = "ADDR=192.0.2.1") -> str:
    return await place_client.ask("EHLO proxy", f"XCLIENT {argument}")


async def test_xclient_begins_the_session_anew(serve: Serve) -> None:
    limits = ConnectionLimits(10, 10)
    async with serve("mx", admission=limits, neighbours=HERE) as place:
        client = await place.connect()
        assert "250-XCLIENT ADDR PORT NAME HELO PROTO" in await client.ask("EHLO proxy")
        assert await client.ask("XCLIENT ADDR=192.0.2.1") == "220 mx.acme.test ESMTP"
        assert (await client.ask("MAIL FROM:<>")).startswith("503 5.5.1 say EHLO")
        await client.ask("EHLO there", "MAIL FROM:<>")
        assert place.delivery.began[-1][-1] == "192.0.2.1"
        assert (await client.ask("XCLIENT ADDR=192.0.2.2")).startswith("503 5.5.1 ")
        # For the next client: it is the neighbour that counts, not whom it spoke for.
        assert (await client.ask("RSET", "XCLIENT ADDR=192.0.2.3"))[:3] == "220"
        assert (await client.ask("XCLIENT ADDR=[UNAVAILABLE]"))[:3] == "220"
        assert (await client.ask("XCLIENT LOGIN=anna@acme.test")).startswith("501 5.5.4 ")
        assert limits.count == 1


async def test_xclient_after_login_is_too_late(serve: Serve) -> None:
    async with serve(neighbours=HERE) as place:
        client = await place.logged_in()
        assert (await client.ask("XCLIENT ADDR=192.0.2.1")).startswith("503 5.5.1 ")


async def test_a_client_that_may_not_connect_may_not_through_xclient(serve: Serve) -> None:
    limits = ConnectionLimits(10, 1, HERE)
    async with serve("mx", admission=limits, neighbours=HERE) as place:
        first, second = await place.connect(), await place.connect()
        assert (await _introduced(first))[:3] == "220"
        assert (await _introduced(second))[:3] == "421"
        assert await second.rest() == b""
        assert limits.count == 1
