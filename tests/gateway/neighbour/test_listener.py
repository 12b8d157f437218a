"""One connection: both protocols, cut anywhere, pipelined, hostile, idle; faults of ours are always "later"."""

import asyncio
import ipaddress
import logging
import os
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config.addresses import TcpAddress, UnixAddress
from gateway.carrier import Wheel
from gateway.neighbour import listener as module
from gateway.neighbour.attributes import REQUEST, Request
from gateway.neighbour.listener import WAITING, NeighbourListener
from gateway.neighbour.socketmap import Lookup, found
from gateway.smtp.listener import ConnectionLimits, Neighbours
from store.errors import Busy

LOOPBACK = [ipaddress.ip_network("127.0.0.0/8")]
ASKED = b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=a@acme.test\n\n"


async def echoes(lookup: Lookup) -> bytes:
    await asyncio.sleep(0)
    return found(f"{lookup.map}/{lookup.key}")


async def no_objection(request: Request) -> str:
    await asyncio.sleep(0)
    return f"DUNNO {request.recipient}"


@asynccontextmanager
async def listening(
    look_up: Callable[[Lookup], Awaitable[bytes]] = echoes,
    decide: Callable[[Request], Awaitable[str]] = no_objection,
    networks: object = LOOPBACK,
    total: int = 100,
) -> AsyncIterator[tuple[NeighbourListener, int]]:
    wheel = Wheel(asyncio.get_running_loop())
    limits = ConnectionLimits(total, 100)
    made = NeighbourListener(look_up, decide, wheel, Neighbours(networks, limits))  # type: ignore[arg-type]
    (where,) = await made.start([TcpAddress("127.0.0.1", 0)])
    try:
        yield made, int(where.rpartition(":")[2])
    finally:
        await made.close(5)
        for _ in range(100):
            if not limits.count:
                break
            await asyncio.sleep(0.01)
        assert limits.count == 0
        wheel.close()


async def told(port: int, *pieces: bytes, answers: int = 1) -> bytes:
    """What is answered, until there are so many answers or the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        said = b""
        while said.count(b",") + said.count(b"\n\n") < answers:
            try:
                more = await asyncio.wait_for(reader.read(65_536), 20)
            except ConnectionError:
                return said
            if not more:
                return said
            said += more
        return said
    finally:
        writer.close()


@pytest.mark.parametrize("cut", range(0, 17, 3))
async def test_a_lookup(cut: int) -> None:
    async with listening() as (_, port):
        octets = b"14:mailbox x@y.zz,"
        assert await told(port, octets[:cut], octets[cut:]) == b"17:OK mailbox/x@y.zz,"


@pytest.mark.parametrize("cut", [0, 1, 30, len(ASKED) - 1])
async def test_a_request(cut: int) -> None:
    async with listening() as (_, port):
        assert await told(port, ASKED[:cut], ASKED[cut:]) == b"action=DUNNO a@acme.test\n\n"


async def test_many_on_one_connection_are_answered_in_their_order() -> None:
    async with listening() as (_, port):
        questions = [b"%d:m %d," % (len(b"m %d" % number), number) for number in range(3_000)]
        said = await told(port, b"".join(questions), answers=3_000)
        assert said == b"".join(found(f"m/{number}") for number in range(3_000))
        assert await told(port, ASKED * 200, answers=200) == b"action=DUNNO a@acme.test\n\n" * 200


async def test_each_connection_may_speak_the_other_protocol() -> None:
    async with listening() as (_, port):
        said = await asyncio.gather(*(told(port, ASKED if number % 2 else b"3:m x,") for number in range(40)))
        assert said == [b"6:OK m/x,", b"action=DUNNO a@acme.test\n\n"] * 20


@pytest.mark.parametrize(
    "octets",
    [
        b"99999999999:",
        b"100000:",
        b"3:abcd",
        b"EHLO client.test\r\n\r\n\n\n",
        b"\n\n",
        b"request=junk\n\n",
        b"x" * (REQUEST + 65_536),
        b"\x16\x03\x01" + bytes(100) + b"\n\n",
    ],
)
async def test_what_is_no_question_ends_the_connection(octets: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with listening() as (there, port):
        assert await told(port, octets) == b""
        assert await told(port, b"3:m x,") == b"6:OK m/x,", "nobody else notices"
        for _ in range(100):
            if not there.here:
                break
            await asyncio.sleep(0.01)
    assert "cut off" in caplog.text or any("cut off" in str(record.__dict__.get("fields")) for record in caplog.records)


async def test_who_asks_more_than_is_answered_is_read_no_further() -> None:
    gate = asyncio.Event()
    asked = 0

    async def slowly(lookup: Lookup) -> bytes:
        nonlocal asked
        asked += 1
        await gate.wait()
        return found("x")

    async with listening(slowly) as (there, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"9:m 3456789," * 400_000)
        for _ in range(50):
            await asyncio.sleep(0.01)
        (connection,) = there.here
        assert asked == 1
        assert len(connection._asked) <= WAITING + 2 * 65_536
        gate.set()
        for _ in range(500):
            await asyncio.sleep(0.01)
            if asked > 1_000:
                break
        assert asked > 1_000
        writer.transport.abort()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("fault", "lookup", "action"),
    [
        (Busy("full"), b":TEMP not now, try again later,", b"action=DEFER 4.3.2 not now, try again later\n\n"),
        (ZeroDivisionError("secret"), b":TEMP not now, try again later (", b"action=DEFER 4.3.0 not now, try again later ("),
    ],
)
async def test_a_fault_of_ours_is_later(fault: Exception, lookup: bytes, action: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async def fails(_: object) -> object:
        raise fault

    async with listening(fails, fails) as (_, port):  # type: ignore[arg-type]
        by_map, by_policy = await told(port, b"3:m x,"), await told(port, ASKED)
        assert lookup in by_map
        assert by_policy.startswith(action)
        assert b"secret" not in by_map + by_policy
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == (0 if isinstance(fault, Busy) else 2)


async def test_only_neighbours_are_heard() -> None:
    async with listening(networks=[ipaddress.ip_network("10.0.0.0/8")]) as (there, port):
        assert await told(port, b"3:m x,") == b""
        assert there.here == set()


async def test_no_more_than_there_may_be() -> None:
    async with listening(total=1) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.05)
        assert await told(port, b"3:m x,") == b""
        writer.close()
        await asyncio.sleep(0.05)
        assert await told(port, b"3:m x,") == b"6:OK m/x,"


async def test_a_question_that_does_not_end_and_one_that_is_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WHOLE", 0.3)
    monkeypatch.setattr(module, "ANSWERED", 0.3)

    async def never(_: object) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with listening(never) as (_, port):
        assert await told(port, b"3:m") == b""
        assert await told(port, b"3:m x,") == b"29:TEMP not now, try again later,"
        assert await told(port, ASKED) == b"action=DUNNO a@acme.test\n\n"


async def test_it_stops_when_what_is_asked_is_answered() -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def slowly(lookup: Lookup) -> bytes:
        begun.set()
        await gate.wait()
        return found("x")

    async with listening(slowly) as (there, port):
        idle = await asyncio.open_connection("127.0.0.1", port)
        asking = asyncio.create_task(told(port, b"3:m x,3:m y,", answers=2))
        await begun.wait()
        closing = asyncio.create_task(there.close(10))
        assert await asyncio.wait_for(idle[0].read(), 20) == b""
        gate.set()
        assert await asking == b"4:OK x,"
        await closing
        idle[1].close()
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_a_unix_socket_is_for_its_owner_and_group(tmp_path: Path) -> None:
    wheel = Wheel(asyncio.get_running_loop())
    made = NeighbourListener(echoes, no_objection, wheel, Neighbours([], ConnectionLimits(10, 10)))
    path = str(tmp_path / "policy")
    assert await made.start([UnixAddress(path)]) == (f"unix:{path}",)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"3:m x,")
    assert await reader.readexactly(9) == b"6:OK m/x,"
    writer.close()
    await made.close(5)
    assert not os.path.exists(path)
    wheel.close()


async def test_an_address_that_cannot_be_had_leaves_nothing_behind(tmp_path: Path) -> None:
    wheel = Wheel(asyncio.get_running_loop())
    made = NeighbourListener(echoes, no_objection, wheel, Neighbours([], ConnectionLimits(10, 10)))
    path = str(tmp_path / "policy")
    with pytest.raises(OSError):
        await made.start([UnixAddress(path), UnixAddress(str(tmp_path / "no" / "policy"))])
    assert not os.path.exists(path)
    wheel.close()
