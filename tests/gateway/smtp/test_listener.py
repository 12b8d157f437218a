"""Who may connect, where it listens, and how it stops."""

import asyncio
import ipaddress
import os
import socket
import stat
import time
from pathlib import Path

import pytest

from config.addresses import TcpAddress, UnixAddress
from gateway.carrier import Wheel
from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.hooks import InboundHooks
from gateway.smtp.listener import ConnectionLimits, Door, Listener, Neighbours
from gateway.smtp.terms import House, Terms, is_within
from tests.gateway.smtp.conftest import HOST, Client, Serve
from tests.gateway.smtp.services import FakeDelivery

NETWORKS = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("2001:db8::/32")]


def test_each_source_has_its_limit_and_all_together_theirs() -> None:
    limits = ConnectionLimits(5, 2)
    assert [limits.enter("192.0.2.1") for _ in range(2)] == [None, None]
    refused = limits.enter("192.0.2.1")
    assert refused is not None
    assert refused.startswith("421 4.7.0 ")
    # An IPv6 customer has a whole /64.
    assert limits.enter("2001:db8::1") is None
    assert limits.enter("2001:db8::2") is None
    assert limits.enter("2001:db8::3") is not None
    assert limits.enter("2001:db8:0:1::3") is None
    refused = limits.enter("192.0.2.9")
    assert refused is not None
    assert refused.startswith("421 4.3.2 ")
    limits.leave("192.0.2.1")
    assert limits.enter("192.0.2.1") is None


def test_counting_leaves_nothing_behind() -> None:
    limits = ConnectionLimits(100, 10, NETWORKS)
    addresses = ["192.0.2.1", "2001:db8::1", "2001:dead::1", "127.0.0.1", ""] * 5
    for address in addresses:
        assert limits.enter(address) is None
    for address in addresses:
        limits.leave(address)
    assert limits.count == 0
    assert not limits._tally._counts


def test_exempt_sources_count_only_for_the_total() -> None:
    limits = ConnectionLimits(3, 1, NETWORKS)
    assert [limits.enter("127.0.0.1") for _ in range(3)] == [None] * 3
    assert limits.enter("") is not None


def entered(door: Door, tries: int) -> int:
    return sum(door.enter("192.0.2.1") is None for _ in range(tries))


def test_what_is_kept_for_a_door_nobody_else_gets() -> None:
    limits = ConnectionLimits(20, 100, reserved=2, kinds=["imap", "mx", "lmtp"])
    imap, mx, lmtp = (limits.door(kind) for kind in ("imap", "mx", "lmtp"))
    assert entered(imap, 30) == 16
    refused = imap.enter("192.0.2.1")
    assert refused is not None
    assert refused.startswith("421 4.3.2 ")
    assert entered(lmtp, 5) == 2
    imap.leave("192.0.2.1")
    assert entered(lmtp, 5) == 1, "beyond what is kept for it a door has what is free"
    assert entered(imap, 5) == 0
    assert entered(mx, 5) == 2
    assert limits.count == 20
    # What leaves from the part that is kept is kept again.
    mx.leave("192.0.2.1")
    assert entered(imap, 1) == entered(lmtp, 1) == 0
    assert entered(mx, 2) == 1
    for door, count in ((imap, 15), (lmtp, 3), (mx, 2)):
        for _ in range(count):
            door.leave("192.0.2.1")
    assert not limits._tally._counts
    assert entered(imap, 30) == 16


def test_no_more_than_a_tenth_is_kept() -> None:
    kinds = ["imap", "mx"]
    assert entered(ConnectionLimits(9, 100, reserved=200, kinds=kinds).door("imap"), 30) == 9
    assert entered(ConnectionLimits(10, 100, reserved=200, kinds=kinds).door("imap"), 30) == 9
    assert entered(ConnectionLimits(30, 100, reserved=2, kinds=kinds).door("imap"), 50) == 28
    assert entered(ConnectionLimits(30, 100, reserved=0, kinds=kinds).door("imap"), 50) == 30


def test_who_is_refused_for_the_source_takes_nothing_of_a_door() -> None:
    limits = ConnectionLimits(20, 1, reserved=2, kinds=["imap", "lmtp"])
    lmtp = limits.door("lmtp")
    assert entered(lmtp, 5) == 1
    assert [limits.door("imap").enter(f"192.0.3.{number}") is None for number in range(20)].count(True) == 18


def test_only_neighbours_hand_mail_in() -> None:
    limits = ConnectionLimits(10, 10)
    neighbours = Neighbours(NETWORKS, limits)
    refused = neighbours.enter("192.0.2.1")
    assert refused is not None
    assert refused.startswith("421 4.7.1 ")
    assert limits.count == 0
    assert neighbours.enter("127.0.0.1") is None
    assert neighbours.enter("") is None
    assert limits.count == 2
    neighbours.leave("127.0.0.1")
    assert limits.count == 1


def test_networks() -> None:
    assert is_within("127.1.2.3", NETWORKS)
    assert is_within("2001:db8:1::", NETWORKS)
    assert not is_within("192.0.2.1", NETWORKS)
    assert not is_within("127.0.0.1", [])


async def test_one_too_many_is_told_to_come_back(serve: Serve) -> None:
    limits = ConnectionLimits(100, 2)
    async with serve("mx", admission=limits) as place:
        first, second = await place.connect(), await place.connect()
        third = await place.connect(greeted=False)
        assert await third.reply() == "421 4.7.0 too many connections from your network, try again later"
        assert await third.rest() == b""
        await first.ask("QUIT")
        first.writer.close()
        while limits.count > 1:
            await asyncio.sleep(0.01)
        assert (await (await place.connect()).ask("EHLO x"))[:3] == "250"
        assert (await second.ask("EHLO x"))[:3] == "250"


async def test_over_implicit_tls_one_too_many_is_just_closed(serve: Serve) -> None:
    async with serve("submissions", admission=ConnectionLimits(0, 0)) as place:
        client = await place.connect(greeted=False)
        assert await client.rest() == b""


async def test_a_flood_of_connections_leaves_nothing_behind(serve: Serve) -> None:
    limits = ConnectionLimits(100, 5)
    async with serve("mx", admission=limits) as place:
        clients = await asyncio.gather(*(place.connect(greeted=False) for _ in range(60)))
        greetings = [await client.reply() for client in clients]
        assert sum(greeting.startswith("220") for greeting in greetings) == 5
        for client in clients:
            client.writer.transport.abort()
        while limits.count or len(place.house.wheel):
            await asyncio.sleep(0.01)
        assert place.house.here == set()


async def test_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    limits = ConnectionLimits(10, 1)
    async with serve("lmtp", address=UnixAddress(str(path)), admission=Neighbours([], limits)) as place:
        assert place.addresses == (f"unix:{path}",)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        clients = [Client(*await asyncio.open_unix_connection(str(path))) for _ in range(3)]
        for client in clients:
            assert await client.reply() == "220 mx.acme.test LMTP"
            assert (await client.ask("LHLO x", "MAIL FROM:<>", "RCPT TO:<anna@acme.test>", "DATA"))[:3] == "354"
            assert (await client.ask("."))[:3] == "250"
        assert place.delivery.began[0][2] == ""
        assert limits.count == 3
    assert not path.exists()


async def test_a_socket_of_a_later_server_is_not_taken_away(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    async with serve("lmtp", address=UnixAddress(str(path))):
        path.unlink()
        path.write_text("another's")
    assert path.exists()


async def test_sockets_that_are_bound_already(serve: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        listener = Listener(
            HardenedSMTP, Terms("mx", HOST), House(Wheel(asyncio.get_running_loop())), lambda: InboundHooks(FakeDelivery(), hostname=HOST)
        )
        (address,) = await listener.start([bound])
        assert address == f"127.0.0.1:{bound.getsockname()[1]}"
        client = Client(*await asyncio.open_connection("127.0.0.1", bound.getsockname()[1]))
        assert await client.reply() == "220 mx.acme.test ESMTP"
        await listener.close(0.1)


async def test_an_address_that_is_taken_stops_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listener = Listener(HardenedSMTP, Terms("mx", HOST), House(Wheel(asyncio.get_running_loop())), object)
        with pytest.raises(OSError, match="in use"):
            await listener.start([TcpAddress("127.0.0.1", 0), TcpAddress("127.0.0.1", taken.getsockname()[1])])
        await listener.close(0)


async def test_ipv6_is_spelled_with_brackets(serve: Serve) -> None:
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        pytest.skip("no IPv6 here")
    try:
        async with serve("mx", address=TcpAddress("::1", 0)) as place:
            assert place.addresses[0].startswith("[::1]:")
    except OSError:
        pytest.skip("no IPv6 loopback here")


async def test_stopping_tells_everybody_and_waits_for_commits(serve: Serve) -> None:
    async with serve() as place:
        place.submission.gate = asyncio.Event()
        idle, busy, half = await place.logged_in(), await place.logged_in(), await place.logged_in()
        for client in (busy, half):
            await client.ask("MAIL FROM:<anna@acme.test>", "RCPT TO:<bob@acme.test>", "DATA")
        busy.send(b"Subject: x\r\n\r\n.\r\n")
        half.send(b"Subject: x\r\n")
        await place.submission.begun.wait()
        stopping = asyncio.create_task(place.listener.close(5))
        assert (await idle.reply()).startswith("421 4.3.2 ")
        assert (await half.reply()).startswith("421 4.3.2 ")
        for client in (idle, half):
            client.writer.close()
        await asyncio.sleep(0.05)
        assert not stopping.done()
        with pytest.raises(ConnectionError):
            await place.connect()
        place.submission.gate.set()
        assert await busy.reply() == "250 2.0.0 q1 accepted"
        assert (await busy.reply()).startswith("421 4.3.2 ")
        busy.writer.close()
        await stopping
        assert len(place.submission.kept) == 1


async def test_stopping_ends_in_time_whatever_hangs(serve: Serve) -> None:
    async with serve() as place:
        place.submission.gate = asyncio.Event()
        client = await place.logged_in()
        await client.ask("MAIL FROM:<anna@acme.test>", "RCPT TO:<bob@acme.test>", "DATA")
        client.send(b".\r\n")
        await place.submission.begun.wait()
        began = time.perf_counter()
        await place.listener.close(0.2)
        assert time.perf_counter() - began < 1
        place.submission.gate.set()
