"""Deadlines, bounded output, one reading at a time, and TLS that takes nothing said in the clear."""

import asyncio
import math
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.carrier import COARSE, TICK, Carrier, Reading, Wheel, use_small_tls_buffers


class Item:
    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.slot = 0
        self.called: list[float] = []

    def late(self) -> None:
        self.called.append(asyncio.get_running_loop().time())


class Echo:
    """Says back what it hears; remembers what happened to it."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self.heard = bytearray()
        self.was_late = 0
        self.has_ended = False
        self.is_connected = False
        self.echoes = True

    def connected(self) -> None:
        self.is_connected = True

    def received(self, octets: memoryview) -> None:
        self.heard += octets
        if self.echoes:
            self.carrier.write(bytes(octets))

    def late(self) -> None:
        self.was_late += 1

    def ended(self) -> None:
        self.has_ended = True


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(scene(), 10)

    asyncio.run(limited())


class House:
    def __init__(self, **limits: float) -> None:
        self.wheel = Wheel(asyncio.get_running_loop())
        self.reading = Reading()
        self.dialogues: list[Echo] = []
        self.carriers: list[Carrier] = []
        self.limits = limits

    def _dialogue(self, carrier: Carrier) -> Echo:
        self.dialogues.append(Echo(carrier))
        return self.dialogues[-1]

    def _carrier(self) -> Carrier:
        self.carriers.append(Carrier(self.wheel, self.reading, self._dialogue, **self.limits))  # type: ignore[arg-type]
        return self.carriers[-1]

    async def open(self) -> int:
        self.server = await asyncio.get_running_loop().create_server(self._carrier, "127.0.0.1", 0)
        return int(self.server.sockets[0].getsockname()[1])

    def close(self) -> None:
        self.server.close()
        self.wheel.close()


async def until(true: Callable[[], bool], seconds: float = 3) -> None:
    end = asyncio.get_running_loop().time() + seconds
    while not true():
        assert asyncio.get_running_loop().time() < end, "waited in vain"
        await asyncio.sleep(0.01)


def test_a_deadline_is_kept_within_a_tick() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        item = Item(loop.time() + 0.3)
        wheel.watch(item)
        due = item.deadline
        await asyncio.sleep(0.3 + 2 * TICK)
        assert len(item.called) == 1
        assert due <= item.called[0] <= due + TICK + 0.05
        assert len(wheel) == 0

    run(scene)


def test_a_deadline_moved_later_needs_no_call_and_one_moved_earlier_is_not_doubled() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        moved_later, moved_earlier = Item(loop.time() + 0.2), Item(loop.time() + 500)
        wheel.watch(moved_later)
        wheel.watch(moved_earlier)
        moved_later.deadline = loop.time() + 0.8
        for _ in range(100):
            moved_earlier.deadline = loop.time() + 500
            wheel.watch(moved_earlier)
            moved_earlier.deadline = loop.time() + 0.3
            wheel.watch(moved_earlier)
        assert len(wheel) == 2
        await asyncio.sleep(0.6)
        assert not moved_later.called
        assert len(moved_earlier.called) == 1
        await asyncio.sleep(0.6)
        assert len(moved_later.called) == 1

    run(scene)


def test_what_is_over_is_let_go_at_once() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        over, other, never = Item(loop.time() + 0.2), Item(loop.time() + 0.2), Item(loop.time())
        wheel.watch(over)
        wheel.watch(other)
        for item in (over, never, over):
            wheel.forget(item)
        assert len(wheel) == 1
        await asyncio.sleep(0.2 + 2 * TICK)
        assert (len(over.called), len(other.called)) == (0, 1)
        over.deadline = loop.time() + 0.1
        wheel.watch(over)
        wheel.forget(over)
        assert not wheel._slots
        await asyncio.sleep(0.1 + 2 * TICK)
        assert not over.called
        wheel.close()

    run(scene)


def test_an_infinite_deadline_falls_off_and_far_ones_share_slots() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        wheel = Wheel(loop)
        item = Item(math.inf)
        wheel.watch(item)
        assert len(wheel) == 0
        base = (loop.time() // COARSE + 20) * COARSE
        for number in range(1000):
            wheel.watch(Item(base + number % int(COARSE)))
        assert len(wheel._slots) == 1
        wheel.close()

    run(scene)


def test_octets_go_both_ways_and_the_end_is_told() -> None:
    async def scene() -> None:
        house = House()
        port = await house.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        assert house.dialogues[0].is_connected
        assert house.carriers[0].peer == "127.0.0.1"
        writer.close()
        await until(lambda: house.dialogues[0].has_ended)
        assert house.carriers[0].lost
        house.close()

    run(scene)


def test_connections_share_the_buffer_without_mixing() -> None:
    async def scene() -> None:
        house = House()
        port = await house.open()

        async def talk(letter: bytes) -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(20):
                writer.write(letter * 5000)
                assert await reader.readexactly(5000) == letter * 5000
            writer.close()

        await asyncio.gather(*(talk(bytes([65 + number])) for number in range(10)))
        house.close()

    run(scene)


def test_a_silent_peer_makes_the_dialogue_late() -> None:
    async def scene() -> None:
        house = House()
        port = await house.open()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: bool(house.dialogues) and house.dialogues[0].is_connected)
        house.carriers[0].expect(100)
        house.carriers[0].expect(0.3)
        await asyncio.sleep(0.1)
        assert not house.dialogues[0].was_late
        await until(lambda: house.dialogues[0].was_late == 1)
        house.carriers[0].expect(0.2)
        house.carriers[0].expect(None)
        await asyncio.sleep(0.6)
        assert house.dialogues[0].was_late == 1
        writer.close()
        house.close()

    run(scene)


def test_output_for_a_peer_that_does_not_read_is_bounded_and_the_peer_cut_off() -> None:
    async def scene() -> None:
        house = House(output_backlog=65536, output_timeout=0.5)
        port = await house.open()
        client = socket.create_connection(("127.0.0.1", port))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await until(lambda: bool(house.dialogues) and house.dialogues[0].is_connected)
        carrier = house.carriers[0]
        written = 0
        while not carrier.stalled:
            carrier.write(b"x" * 4096)
            written += 4096
            assert written < 64 << 20
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(carrier.drain(), 3)
        await until(lambda: house.dialogues[0].has_ended)
        client.close()
        house.close()

    run(scene)


def test_a_slow_reader_is_waited_for() -> None:
    async def scene() -> None:
        house = House(output_backlog=65536, output_timeout=5)
        port = await house.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        await until(lambda: bool(house.dialogues) and house.dialogues[0].is_connected)
        carrier = house.carriers[0]
        written = 0
        while not carrier.stalled:
            carrier.write(b"x" * 4096)
            written += 4096
        waiting = asyncio.ensure_future(carrier.drain())
        await asyncio.sleep(0.05)
        assert not waiting.done()
        assert len(await reader.readexactly(written)) == written
        await asyncio.wait_for(waiting, 3)
        assert not carrier.stalled
        writer.close()
        house.close()

    run(scene)


def test_held_octets_wait_in_the_peer() -> None:
    async def scene() -> None:
        house = House()
        port = await house.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: bool(house.dialogues) and house.dialogues[0].is_connected)
        house.carriers[0].hold()
        writer.write(b"later")
        await asyncio.sleep(0.1)
        assert not house.dialogues[0].heard
        house.carriers[0].listen()
        assert await reader.readexactly(5) == b"later"
        writer.close()
        house.close()

    run(scene)


def make_context(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    import datetime

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    client = ssl.create_default_context()
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    return server, client


def test_a_connection_goes_over_to_tls(tmp_path: Path) -> None:
    async def scene() -> None:
        use_small_tls_buffers()
        server, client = make_context(tmp_path)
        house = House()
        port = await house.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: bool(house.dialogues) and house.dialogues[0].is_connected)
        securing = asyncio.ensure_future(house.carriers[0].secure(server, 5))
        await writer.start_tls(client)
        await securing
        assert house.carriers[0].secured
        message = bytes(range(256)) * 1000
        writer.write(message)
        assert await reader.readexactly(len(message)) == message
        writer.close()
        await until(lambda: house.dialogues[0].has_ended)
        house.close()

    run(scene)


def test_a_peer_that_speaks_no_tls_is_cut_off(tmp_path: Path) -> None:
    async def scene() -> None:
        server, _ = make_context(tmp_path)
        house = House()
        port = await house.open()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: bool(house.dialogues) and house.dialogues[0].is_connected)
        securing = asyncio.ensure_future(house.carriers[0].secure(server, 5))
        await asyncio.sleep(0)
        writer.write(b"a1 CAPABILITY\r\n" * 100)
        with pytest.raises(OSError):
            await securing
        assert not house.dialogues[0].heard
        assert b"CAPABILITY" not in await reader.read()
        writer.close()
        house.close()

    run(scene)


def test_a_handshake_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    async def scene() -> None:
        server, _ = make_context(tmp_path)
        house = House()
        port = await house.open()
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: bool(house.dialogues) and house.dialogues[0].is_connected)
        with pytest.raises(OSError):
            await asyncio.wait_for(house.carriers[0].secure(server, 0.2), 3)
        writer.close()
        house.close()

    run(scene)
