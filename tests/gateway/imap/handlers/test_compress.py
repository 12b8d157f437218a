"""COMPRESS=DEFLATE (RFC 4978) over real sockets."""

from __future__ import annotations

import asyncio
import zlib
from base64 import b64encode
from collections.abc import Callable
from typing import cast

import pytest

from gateway.imap.listener import LATE_BYE, Limits
from policy.status import AccountStatus
from tests.gateway.imap.handlers.house import PASSWORD, Client, House, message


class Deflating:
    """The client's side of the layer, between a `Client` and its connection."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.reader, self.writer = client.reader, client.writer
        self.inflate = zlib.decompressobj(-15)
        self.compress = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.came = 0
        self.inflated = asyncio.StreamReader(limit=1 << 26)
        client.reader = self.inflated
        client.writer = cast(asyncio.StreamWriter, self)
        self.task = asyncio.get_running_loop().create_task(self._pump())

    def write(self, octets: bytes) -> None:
        self.writer.write(self.compress.compress(octets) + self.compress.flush(zlib.Z_SYNC_FLUSH))

    def close(self) -> None:
        self.task.cancel()
        self.writer.close()

    async def _pump(self) -> None:
        while octets := await self.reader.read(65_536):
            self.came += len(octets)
            self.inflated.feed_data(self.inflate.decompress(octets))
            if self.inflate.eof:
                self.inflated.feed_data(self.inflate.unused_data)
                while octets := await self.reader.read(65_536):
                    self.inflated.feed_data(octets)
        self.inflated.feed_eof()


async def deflated(client: Client) -> Deflating:
    said = await client.do("COMPRESS DEFLATE")
    assert said.tagged == b"OK DEFLATE active"
    return Deflating(client)


@pytest.fixture
async def layer(anna: Client) -> Deflating:
    return await deflated(anna)


async def test_it_is_announced_and_only_after_login(house: House, port: int) -> None:
    stranger = await house.client(port)
    assert b"COMPRESS" not in stranger.greeting
    assert (await stranger.do("COMPRESS DEFLATE")).tagged == b"BAD log in first"
    anna = await house.client(port, "anna")
    assert b" COMPRESS=DEFLATE" in (await anna.do("CAPABILITY")).untagged[0]


@pytest.mark.parametrize("arguments", ["", " ", " GZIP", " DEFLATE now", ' "DEFLATE"', " ()"])
async def test_other_algorithms(anna: Client, arguments: str) -> None:
    assert (await anna.do(f"COMPRESS{arguments}")).tagged.startswith(b"BAD ")
    assert (await anna.do("NOOP")).ok


async def test_both_directions(house: House, anna: Client) -> None:
    await house.put("anna", "/INBOX", 300)
    layer = await deflated(anna)
    assert (await anna.do("SELECT INBOX")).ok
    said = await anna.do("UID FETCH 1:* (FLAGS ENVELOPE)")
    assert said.ok
    assert len(said.untagged) == 300
    assert layer.came < len(said.all) / 4
    assert (await anna.do("compress deflate")).tagged == b"NO [COMPRESSIONACTIVE] DEFLATE is active already, by COMPRESS"
    assert (await anna.do("NOOP")).ok


async def test_large_messages_go_and_come(anna: Client, layer: Deflating) -> None:
    large = message(1, "0123456789 " * 200_000)
    assert (await anna.do("APPEND INBOX {}", large)).ok
    anna.send(b"x APPEND INBOX {10}\r\n")
    assert await anna.line() == b"+ OK"
    anna.send(b"\r\n01234567\r\n")
    assert (await anna.until("x")).ok
    await anna.do("SELECT INBOX")
    assert large in (await anna.do("FETCH 1 BODY.PEEK[]", seconds=20)).untagged[0]


async def test_octet_by_octet(anna: Client, layer: Deflating) -> None:
    for octet in b"x SELECT INBOX\r\n":
        anna.send(bytes((octet,)))
        await asyncio.sleep(0)
    assert (await anna.until("x")).ok


async def test_pipelined_commands_behind_the_answer(anna: Client, layer: Deflating) -> None:
    anna.send(b"".join(b"p%d NOOP\r\n" % number for number in range(2000)))
    for number in range(2000):
        assert await anna.line() == b"p%d OK NOOP completed" % number


async def test_idle_pushes_are_flushed(house: House, anna: Client, layer: Deflating) -> None:
    await anna.do("SELECT INBOX")
    tag = await anna.idle()
    for number in (1, 2, 3):
        await house.put("anna", "/INBOX", first=number)
        assert await anna.line() == b"* %d EXISTS" % number
        assert await anna.line() == b"* %d RECENT" % number
    assert (await anna.done(tag)).ok
    assert (await anna.do("NOOP")).ok


async def test_logout_and_bye_arrive(house: House, port: int, anna: Client, layer: Deflating) -> None:
    said = await anna.do("LOGOUT")
    assert said.untagged == [b"* BYE goodbye"]
    assert said.ok
    assert await anna.line() == b""
    other = await house.client(port, "anna")
    await deflated(other)
    await house.status("anna", AccountStatus.LOCKED)
    assert (await other.line()).startswith(b"* BYE ")
    assert await other.line() == b""


async def test_too_long_idle(house: House) -> None:
    port = await house.listen(Limits(idle_timeout=0.5))
    anna = await house.client(port, "anna")
    await deflated(anna)
    assert await anna.line() == b"* BYE " + LATE_BYE.encode()


@pytest.mark.parametrize("behind", [b"y NOOP\r\n", b"y NO"])
async def test_octets_in_the_clear_behind_the_command(anna: Client, behind: bytes) -> None:
    anna.send(b"x COMPRESS DEFLATE\r\n" + behind)
    assert (await anna.until("x")).tagged.startswith(b"BAD nothing may be sent behind COMPRESS")
    if not behind.endswith(b"\n"):
        anna.send(b"OP\r\n")
    assert (await anna.until("y")).ok
    await deflated(anna)
    assert (await anna.do("NOOP")).ok


async def test_what_is_no_deflate_ends_the_session(anna: Client, layer: Deflating) -> None:
    layer.writer.write(b"z NOOP\r\n")
    assert await anna.line() == b"* BYE this cannot be inflated"
    assert await anna.line() == b""


async def test_a_stream_that_ends_ends_the_session(anna: Client, layer: Deflating) -> None:
    layer.writer.write(layer.compress.compress(b"z NOOP\r\n") + layer.compress.flush(zlib.Z_FINISH) + b"y NOOP\r\n")
    assert (await anna.until("z")).ok
    assert await anna.line() == b"* BYE the compressed stream has ended"


async def test_limits_hold_for_what_is_inflated(anna: Client, layer: Deflating) -> None:
    anna.send(b"x NOOP " + b"a" * 100_000 + b"\r\n")
    assert (await anna.until("x")).tagged == b"NO [TOOBIG] a line may have 65536 octets"
    anna.send(b"x ID ({200000}\r\n")
    assert (await anna.until("x")).tagged.startswith(b"NO [TOOBIG]")
    assert (await anna.do("NOOP")).ok


async def test_a_bomb_is_bounded_and_others_are_served(house: House, port: int, anna: Client, layer: Deflating) -> None:
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    layer.writer.write(bomb.compress(b"a" * (200 << 20)) + bomb.flush(zlib.Z_SYNC_FLUSH))
    bruno = await house.client(port, "bruno")
    assert (await bruno.do("NOOP", seconds=2)).ok
    assert (await anna.line()).startswith(b"* BYE [TOOBIG] ")


async def test_flushes_of_nothing(house: House, port: int, anna: Client, layer: Deflating) -> None:
    layer.writer.write(layer.compress.flush(zlib.Z_SYNC_FLUSH) + b"\0\0\0\xff\xff" * 200_000)
    bruno = await house.client(port, "bruno")
    assert (await bruno.do("NOOP", seconds=2)).ok
    assert (await anna.do("NOOP", seconds=20)).ok


async def test_a_bomb_of_commands(anna: Client, layer: Deflating) -> None:
    anna.send(b"n NOOP\r\n" * 50_000)
    for _ in range(1000):
        assert await anna.line() == b"n OK NOOP completed"


Ends = Callable[[Deflating, bytes], bytes]


def finished(layer: Deflating, octets: bytes) -> bytes:
    return layer.compress.compress(octets) + layer.compress.flush(zlib.Z_FINISH)


def flushed(layer: Deflating, octets: bytes) -> bytes:
    return layer.compress.compress(octets) + layer.compress.flush(zlib.Z_SYNC_FLUSH)


def flushed_and_finished(layer: Deflating, octets: bytes) -> bytes:
    return flushed(layer, octets) + layer.compress.flush(zlib.Z_FINISH)


@pytest.mark.parametrize("ends", [finished, flushed, flushed_and_finished])
async def test_unauthenticate_ends_the_layer(house: House, anna: Client, layer: Deflating, ends: Ends) -> None:
    plain = b64encode(f"\0bruno@acme.test\0{PASSWORD}".encode())
    # RFC 8437 section 3: the next login may be sent at once, in the clear (section 4.1).
    layer.writer.write(ends(layer, b"u UNAUTHENTICATE\r\n") + b"v AUTHENTICATE PLAIN " + plain + b"\r\n")
    assert (await anna.until("u")).ok
    assert (await anna.until("v")).ok
    assert layer.inflate.eof
    anna.reader, anna.writer = layer.inflated, layer.writer
    assert (await anna.do("SELECT INBOX")).ok
    layer.task.cancel()
    anna.reader = layer.reader
    await deflated(anna)
    assert (await anna.do("NOOP")).ok


async def test_a_client_that_does_not_read_is_cut_off(house: House) -> None:
    port = await house.listen(Limits(output_backlog=65_536, output_timeout=0.5))
    for number in range(1, 5):
        octets = message(number) + random_text(number)
        anna = await house.client(port, "anna")
        assert (await anna.do("APPEND INBOX {}", octets)).ok
    await anna.do("SELECT INBOX")
    layer = await deflated(anna)
    layer.task.cancel()
    for number in range(200):
        anna.send(b"f%d FETCH 1:* BODY.PEEK[]\r\n" % number)
    for _ in range(60):
        await asyncio.sleep(0.1)
        if len(house.sessions.rows()) < 4:
            break
    assert len(house.sessions.rows()) == 3


def random_text(seed: int) -> bytes:
    from random import Random

    return b64encode(Random(seed).randbytes(2_000_000))


async def test_no_response_is_broken_into_by_news_of_progress(house: House) -> None:
    port = await house.listen(Limits(progress_interval=0.01))
    anna = await house.client(port, "anna")
    octets = b"\r\n" + random_text(1) * 6
    assert (await anna.do("APPEND INBOX {}", octets, seconds=20)).ok
    await anna.do("SELECT INBOX")
    await deflated(anna)
    said = await anna.do("FETCH 1 BODY.PEEK[]", seconds=30)
    assert said.ok
    (one,) = said.having("FETCH")
    assert one == b"* 1 FETCH (BODY[] {%d}\r\n%b)" % (len(octets), octets)
