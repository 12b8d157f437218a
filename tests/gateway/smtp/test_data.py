"""What ends a message, and what may stand in it: the tables read as the specification."""

import itertools
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.smtp.data import ChunkReader, DataReader, Fault

LIMIT = 10_000


def read(
    octets: bytes, *, cuts: tuple[int, ...] = (), fix: bool = False, limit: int = LIMIT
) -> tuple[bytes | None, Fault | None, bytes | None]:
    """(message, fault, what came after), None for a message that has not ended."""
    reader = DataReader(limit, fix=fix)
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(octets)}), len(octets)]
    rest: bytes | None = None
    for start, end in itertools.pairwise(edges):
        if rest is None:
            rest = reader.feed(octets[start:end])
        else:
            rest += octets[start:end]
    if rest is None or reader.fault is not None:
        return None, reader.fault, rest
    return reader.take(), None, rest


@pytest.mark.parametrize(
    ("octets", "message", "rest"),
    [
        (b".\r\n", b"", b""),
        (b"\r\n.\r\n", b"\r\n", b""),
        (b"a\r\n.\r\n", b"a\r\n", b""),
        (b"a\r\n.\r\nQUIT\r\n", b"a\r\n", b"QUIT\r\n"),
        (b"..\r\n.\r\n", b".\r\n", b""),
        (b"...\r\n.\r\n", b"..\r\n", b""),
        (b"..a\r\n..b\r\n\r\n..\r\n.\r\n", b".a\r\n.b\r\n\r\n.\r\n", b""),
        # RFC 5321 4.5.2: a leading dot is taken away whatever follows it.
        (b".a\r\n.\r\n", b"a\r\n", b""),
        (b"a.\r\n.\r\n", b"a.\r\n", b""),
        (b"a\r\n.\r\n.\r\n", b"a\r\n", b".\r\n"),
        (b"x" * 5_000 + b"\r\n.\r\n", b"x" * 5_000 + b"\r\n", b""),
        (b"\xe9\xff\x80\r\n.\r\n", b"\xe9\xff\x80\r\n", b""),
    ],
)
def test_a_message_ends_at_a_dot_between_crlfs(octets: bytes, message: bytes, rest: bytes) -> None:
    assert read(octets) == (message, None, rest)


# SMTP smuggling, 2023: each of these was the end of a message for somebody.
FALSE_ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n", b"\n\n.\r\n", b"\r\r\n.\r\r\n",
    b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\0\n", b"\r\n. \r\n\n", b"\r\n.\r\r\n", b"\n.\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
def test_nothing_else_ends_it_and_such_a_message_is_refused(end: bytes) -> None:
    smuggled = b"Subject: x\r\n\r\nbody" + end + b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nSubject: smuggled"
    assert read(smuggled)[2] is None
    message, fault, rest = read(smuggled + b"\r\n.\r\nQUIT\r\n")
    assert message is None
    assert fault in (Fault.BARE_NEWLINE, Fault.NUL)
    assert rest == b"QUIT\r\n"


@pytest.mark.parametrize("end", [end for end in FALSE_ENDS if b"\0" not in end], ids=repr)
def test_with_fix_it_becomes_crlf_and_is_still_no_end(end: bytes) -> None:
    message, fault, rest = read(b"body" + end + b"more\r\n.\r\n", fix=True)
    assert fault is None
    assert rest == b""
    assert message is not None
    assert message.startswith(b"body\r\n")
    assert message.endswith(b"more\r\n")
    assert message.count(b"\r") == message.count(b"\n") == message.count(b"\r\n")


def test_a_nul_is_refused_even_with_fix() -> None:
    assert read(b"a\0b\r\n.\r\n", fix=True)[1] is Fault.NUL


def test_the_limit_counts_without_the_dots_of_transparency() -> None:
    line = b"..23456789\r\n"  # eleven octets of message
    assert read(line * 10 + b".\r\n", limit=110)[1] is None
    assert read(line * 10 + b".\r\n", limit=109) == (None, Fault.TOO_BIG, b"")


def test_a_message_that_is_fixed_does_not_grow_past_the_limit() -> None:
    assert read(b"\n" * 100 + b"\r\n.\r\n", fix=True, limit=110)[1] is Fault.TOO_BIG


def naive(octets: bytes, limit: int) -> tuple[bytes | None, Fault | None, bytes | None]:
    """The specification, octet by octet and slow."""
    stream = b"\r\n" + octets
    end = stream.find(b"\r\n.\r\n")
    if end < 0:
        return None, None, None
    body, rest = stream[2 : end + 2], stream[end + 5 :]
    clean = body.replace(b"\r\n", b"")
    if b"\0" in clean or b"\r" in clean or b"\n" in clean:
        return None, Fault.BARE_NEWLINE, rest
    lines = [line[1:] if line.startswith(b".") else line for line in body.split(b"\r\n")]
    message = b"\r\n".join(lines)
    return (None, Fault.TOO_BIG, rest) if len(message) > limit else (message, None, rest)


PIECES = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"\r\n.\r\n", b"\r\n..", b"a", b"\0", b"xyz"]), max_size=40).map(b"".join)


@given(PIECES, st.lists(st.integers(0, 120), max_size=8), st.sampled_from([20, LIMIT]))
def test_any_octets_in_any_cut_give_what_the_specification_gives(octets: bytes, cuts: list[int], limit: int) -> None:
    message, fault, rest = read(octets, cuts=tuple(cuts), limit=limit)
    expected_message, expected_fault, expected_rest = naive(octets, limit)
    assert rest == expected_rest
    if rest is not None:
        assert message == expected_message
        assert (fault is None) == (expected_fault is None)


@given(PIECES, st.lists(st.integers(0, 120), max_size=8))
def test_fixing_does_not_depend_on_the_cut(octets: bytes, cuts: list[int]) -> None:
    assert read(octets, cuts=tuple(cuts), fix=True) == read(octets, fix=True)


def test_memory_is_about_the_message_whatever_its_lines() -> None:
    for line in (b"\r\n", b"..\r\n", b"x" * 70 + b"\r\n", b"x" * 65_536):
        block = (line * (65_536 // len(line) + 1))[:65_536].rpartition(b"\n")[0] + b"\n" if b"\n" in line else line
        reader = DataReader(1 << 30)
        tracemalloc.start()
        for _ in range(160):
            assert reader.feed(block) is None
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        # The bytearray grows by an eighth at a time, and moves when it does.
        assert peak < 2.5 * max(reader.size, 1 << 20)


def test_what_is_refused_is_not_kept() -> None:
    reader = DataReader(1_000_000)
    tracemalloc.start()
    reader.feed(b"bare\nnewline")
    for _ in range(100):
        reader.feed(b"x" * 65_536)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 300_000


# --- chunks (RFC 3030)


def chunked(*chunks: bytes, binary: bool = False, fix: bool = False, limit: int = LIMIT) -> bytes | Fault:
    reader = ChunkReader(limit)
    for chunk in chunks:
        reader.announce(len(chunk))
        reader.feed(chunk)
    reader.end(binary=binary, fix=fix)
    return reader.take() if reader.fault is None else reader.fault


@pytest.mark.parametrize(
    ("octets", "lines", "binary"),
    [
        (b"", b"", b""),
        (b"a\r\n.\r\n..\r\n", b"a\r\n.\r\n..\r\n", b"a\r\n.\r\n..\r\n"),
        (b"a: b\r\n\r\nc", b"a: b\r\n\r\nc\r\n", b"a: b\r\n\r\nc"),
        (b"a: b\r\n\r\n\n\r\0", Fault.NUL, b"a: b\r\n\r\n\n\r\0"),
        (b"\r\n\n", Fault.BARE_NEWLINE, b"\r\n\n"),
        (b"a: b\n\n\0", Fault.NUL, Fault.NUL),
        (b"a: b\n\nc", Fault.BARE_NEWLINE, Fault.BARE_NEWLINE),
        (b"a: \0\r\n\r\n", Fault.NUL, Fault.NUL),
        (b"a: b\r\r\n\r\n", Fault.BARE_NEWLINE, Fault.BARE_NEWLINE),
        (b"a\r", Fault.BARE_NEWLINE, Fault.BARE_NEWLINE),
    ],
)
def test_chunks(octets: bytes, lines: bytes | Fault, binary: bytes | Fault) -> None:
    assert chunked(octets) == lines
    assert chunked(octets, binary=True) == binary
    assert chunked(*(octets[at : at + 1] for at in range(len(octets))), b"") == lines


def test_too_big_is_known_before_the_chunk_comes() -> None:
    reader = ChunkReader(10)
    reader.announce(10)
    assert reader.fault is None
    reader.feed(b"x" * 10)
    reader.announce(1)
    assert reader.fault is Fault.TOO_BIG
    reader.feed(b"x")
    reader.end(binary=False)
    assert reader.size == 0


@given(st.lists(st.binary(max_size=30) | st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"\r\n.\r\n"]), max_size=12), st.booleans())
def test_where_chunks_are_cut_does_not_matter(chunks: list[bytes], binary: bool) -> None:
    whole = b"".join(chunks)
    assert chunked(*chunks, binary=binary) == chunked(whole, binary=binary)
    if binary:
        assert chunked(whole, binary=True) in (whole, Fault.NUL, Fault.BARE_NEWLINE)
        return
    kept = chunked(whole, fix=True)
    if isinstance(kept, bytes):
        assert kept.count(b"\r") == kept.count(b"\n") == kept.count(b"\r\n")
        # What DATA would have made of the same lines.
        stuffed = whole if whole.endswith(b"\r\n") or not whole else whole + b"\r\n"
        said = chunked(whole)
        if isinstance(said, bytes):
            assert read((b"\r\n" + stuffed).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")[0] == said
