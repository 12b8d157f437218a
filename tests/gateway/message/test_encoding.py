"""Undoing encodings: tables, any cut of any octets, round trips, bombs."""

import time
from binascii import b2a_base64, b2a_qp
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.encoding import CHUNK, UnknownEncoding, decoder

LONG = b" " * 998
ENCODINGS = st.sampled_from([b"base64", b"quoted-printable", b"8bit"])
SCRAPS = st.lists(
    st.sampled_from(
        [b"=", b"==", b"=4", b"=41", b"=c3", b"=\r\n", b"= \n", b" ", b"\t", b"\r", b"\n", b"\r\n", b"A", b"QUJD", b"\xff", b"\0"]
    )
    | st.sampled_from([LONG, LONG + b" "])
    | st.binary(max_size=5),
    max_size=14,
).map(b"".join)


def undone(encoding: bytes, pieces: Iterable[bytes]) -> bytes:
    found = decoder(encoding)
    return b"".join([*(found.feed(piece) for piece in pieces), found.finish()])


@pytest.mark.parametrize(
    ("encoding", "octets", "expected"),
    [
        (b"7bit", b"as it is", b"as it is"),
        (b"8bit", b"\xc3\xa4 = \r\n", b"\xc3\xa4 = \r\n"),
        (b"binary", b"\0\r\xff", b"\0\r\xff"),
        (b"base64", b"", b""),
        (b"base64", b"SGVsbG8=", b"Hello"),
        (b"base64", b"SGVs\r\nbG8=\r\n", b"Hello"),
        (b"base64", b"S G!V\xffs*b-G8", b"Hello"),
        (b"base64", b"SGVsbG8=\r\n-- \r\nA list's footer", b"Hello"),
        (b"base64", b"SGVsbA==SGVsbA==", b"Hell"),
        (b"base64", b"=SGVsb==G8=", b"Hello"),
        (b"base64", b"SGVsb", b"Hel"),
        (b"base64", b"SGVsbG", b"Hell"),
        (b"base64", b"====", b""),
        (b"base64", b"AAECAwA=", b"\0\1\2\3\0"),
        (b"quoted-printable", b"sch=C3=B6n", "sch\u00f6n".encode()),
        (b"quoted-printable", b"sch=c3=b6n", "sch\u00f6n".encode()),
        (b"quoted-printable", b"one =\r\nline\r\n", b"one line\r\n"),
        (b"quoted-printable", b"one = \t\r\nline\n", b"one line\n"),
        (b"quoted-printable", b"blanks \t\r\nare not=20\r\nmeant  ", b"blanks\r\nare not \r\nmeant"),
        (b"quoted-printable", b"kept =\r\n\r\n", b"kept \r\n"),
        (b"quoted-printable", b"=XY = == =4 =\rx", b"=XY = == =4 =\rx"),
        (b"quoted-printable", b"ends=", b"ends"),
        (b"quoted-printable", b"ends=  ", b"ends"),
        (b"quoted-printable", b"ends=4", b"ends=4"),
        (b"quoted-printable", b"a" + LONG + b"\r\nb", b"a\r\nb"),
        (b"quoted-printable", b"a" + LONG + b" \r\nb", b"a" + LONG + b" \r\nb"),
        (b"quoted-printable", b"=00=0D=0A", b"\0\r\n"),
        (b"quoted-printable", b"under_score", b"under_score"),
    ],
)
def test_what_is_said(encoding: bytes, octets: bytes, expected: bytes) -> None:
    assert undone(encoding, [octets]) == expected
    assert undone(encoding, [octets[at : at + 1] for at in range(len(octets))]) == expected


@pytest.mark.parametrize("encoding", [b"", b"x-uuencode", b"BASE64", b"base-64", b"\xff"])
def test_an_encoding_that_nobody_knows(encoding: bytes) -> None:
    with pytest.raises(UnknownEncoding):
        decoder(encoding)


@given(ENCODINGS, SCRAPS, st.lists(st.integers(0, 4000), max_size=6))
def test_any_cut_gives_the_same(encoding: bytes, octets: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(octets), *(cut % (len(octets) + 1) for cut in cuts)})
    pieces = [octets[low:high] for low, high in pairwise(places)]
    assert undone(encoding, pieces) == undone(encoding, [octets])


@given(ENCODINGS, SCRAPS, st.integers(0, 4000))
def test_a_copy_goes_on_alone(encoding: bytes, octets: bytes, at: int) -> None:
    first = decoder(encoding)
    before = first.feed(octets[:at])
    copy = first.copy()
    end = first.feed(octets[at:]) + first.finish()
    assert copy.feed(octets[at:]) + copy.finish() == end
    assert before + end == undone(encoding, [octets])


@given(st.binary(max_size=300), st.integers(1, 60))
def test_what_was_encoded_comes_back(octets: bytes, width: int) -> None:
    lines = [b2a_base64(octets[at : at + width], newline=False) for at in range(0, len(octets), width)]
    if width % 3 == 0:
        assert undone(b"base64", [b"\r\n".join(lines)]) == octets
    assert undone(b"quoted-printable", [b2a_qp(octets, istext=False)]) == octets


@pytest.mark.parametrize("scrap", [b"=", b" ", b" =", b"\r", b" \r", b"= ", b"a ", b"=4", b"=\r\n", b" \n", b"A=", b"AA=A", b"\xff"])
@pytest.mark.parametrize("encoding", [b"base64", b"quoted-printable"])
def test_a_bomb_takes_linear_time(encoding: bytes, scrap: bytes) -> None:
    octets = scrap * (2_000_000 // len(scrap))
    before = time.process_time()
    undone(encoding, [octets[at : at + CHUNK] for at in range(0, len(octets), CHUNK)])
    assert time.process_time() - before < 2
