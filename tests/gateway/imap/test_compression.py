"""Deflating and inflating: any cut of any octets, bombs, what is no deflate, the memory it takes."""

import random
import time
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.compression import INFLATED, BrokenStream, Deflater, Inflater

FLUSHES = st.sampled_from([zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH, zlib.Z_PARTIAL_FLUSH, zlib.Z_NO_FLUSH])


def client(*pieces: tuple[bytes, int], level: int = 6) -> bytes:
    deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
    said = b"".join(deflate.compress(octets) + deflate.flush(mode) for octets, mode in pieces if mode != zlib.Z_NO_FLUSH)
    return said + deflate.flush(zlib.Z_SYNC_FLUSH)


def taken(inflater: Inflater, count: int = INFLATED) -> bytes:
    found = b""
    while inflater.waiting:
        octets = inflater.take(count)
        assert len(octets) <= count
        found += octets
    return found


@given(st.lists(st.binary(max_size=200) | st.just(b"a" * 70_000), max_size=6))
def test_each_piece_is_whole_at_once(pieces: list[bytes]) -> None:
    deflater = Deflater()
    inflate = zlib.decompressobj(-15)
    for number, piece in enumerate(pieces):
        if number % 3 == 2:
            deflater.rest()
        assert inflate.decompress(deflater.deflate(piece)) == piece
    assert inflate.decompress(deflater.finish()) == b""
    assert inflate.eof


@given(
    st.lists(st.tuples(st.binary(max_size=100) | st.just(b"\0\0\xff\xff" * 5) | st.just(b"x" * 3000), FLUSHES), max_size=6),
    st.lists(st.integers(0, 2000), max_size=6),
    st.integers(0, 9),
    st.sampled_from([1, 7, 258, INFLATED]),
)
def test_any_cut_gives_the_same(pieces: list[tuple[bytes, int]], cuts: list[int], level: int, count: int) -> None:
    octets = client(*pieces, level=level)
    inflater = Inflater()
    found = b""
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    for low, high in zip(places, places[1:], strict=False):  # noqa: RUF007
        inflater.feed(memoryview(octets)[low:high])
        found += taken(inflater, count)
    assert found == b"".join(piece for piece, mode in pieces if mode != zlib.Z_NO_FLUSH)


@given(st.binary(max_size=100))
def test_anything_is_inflated_or_refused(octets: bytes) -> None:
    inflater = Inflater()
    inflater.feed(octets)
    try:
        while inflater.waiting:
            before = inflater.waiting
            if not inflater.take(50) and inflater.waiting >= before:
                break
    except BrokenStream:
        pass


def test_a_bomb_is_inflated_as_far_as_it_is_asked_for() -> None:
    bomb = client((b"\0" * (64 << 20), zlib.Z_SYNC_FLUSH), level=9)
    assert len(bomb) < 70_000
    tracemalloc.start()
    inflater = Inflater()
    inflater.feed(bomb)
    for _ in range(20):
        assert len(inflater.take(INFLATED)) == INFLATED
    assert inflater.waiting > 0
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1 << 20


def test_flushes_of_nothing_take_linear_time() -> None:
    inflater = Inflater()
    before = time.process_time()
    for _ in range(10):
        inflater.feed(b"\0\0\0\xff\xff" * 13_000)
        assert taken(inflater) == b""
    assert time.process_time() - before < 2


def test_what_is_no_deflate() -> None:
    inflater = Inflater()
    inflater.feed(b"a1 NOOP\r\n")
    with pytest.raises(BrokenStream):
        inflater.take(100)


def test_a_stream_that_ends_is_used_up_and_no_more() -> None:
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    inflater = Inflater()
    inflater.feed(deflate.compress(b"one") + deflate.flush(zlib.Z_FINISH) + b"two")
    assert inflater.take(100) == b"one"
    assert inflater.waiting == 3
    with pytest.raises(BrokenStream):
        inflater.take(100)
    inflater.finish()
    assert inflater.take(2) == b"tw"
    inflater.feed(b"three")
    assert taken(inflater) == b"othree"


@pytest.mark.parametrize("ends", [b"", b"\3\0"])
def test_what_is_in_the_clear_behind_a_flush_is_not_inflated(ends: bytes) -> None:
    command, clear = b"a UNAUTHENTICATE\r\n", b"b NOOP\r\n\0"
    octets = client((command, zlib.Z_SYNC_FLUSH)) + ends + clear
    for cut in range(len(octets)):
        inflater = Inflater()
        found = b""
        pieces = [octets[:cut], octets[cut:]]
        while found != command:
            if not inflater.waiting:
                inflater.feed(pieces.pop(0))
            found += inflater.take(INFLATED)
        inflater.finish()
        found = b""
        for piece in [b"", *pieces]:
            inflater.feed(piece)
            found += taken(inflater, 4)
        assert found == clear


def test_the_memory_of_a_session() -> None:
    """What an idle session costs: an inflater that has seen a whole window, no deflater."""
    text = random.Random(1).randbytes(40_000)
    octets = client((text, zlib.Z_SYNC_FLUSH))
    tracemalloc.start()
    inflater, deflater = Inflater(), Deflater()
    for at in range(0, len(octets), 1000):
        inflater.feed(octets[at : at + 1000])
        taken(inflater)
    deflater.deflate(text)
    busy, _ = tracemalloc.get_traced_memory()
    deflater.rest()
    idle, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert busy < 96 * 1024
    assert idle < 48 * 1024
