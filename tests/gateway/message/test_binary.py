"""Messages with NUL octets: what is kept, that nothing is lost, and what cannot be kept."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message.binary import CannotKeep, without_binary, without_eight_bit, without_nul
from gateway.message.encoding import decoder
from gateway.message.structure import Part, parse


def body(octets: bytes, part: Part) -> bytes:
    found = decoder(part.encoding)
    return found.feed(octets[part.body : part.end]) + found.finish()


def leaves(octets: bytes) -> list[tuple[bytes, bytes]]:
    return [(part.type + b"/" + part.subtype, body(octets, part)) for part in parse(octets).walk() if not part.children]


MIXED = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nbefore\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--b\r\nContent-Type: image/x; name=y\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <1>\r\n\r\n\0\1\r\n\0\xff\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\nContent-Type: audio/x\r\n\r\nla\0la\r\n"
    b"--b--\r\nafter\r\n"
)


@pytest.mark.parametrize(
    ("octets", "kept"),
    [
        (b"Subject: x\r\n\r\nno NUL", b"Subject: x\r\n\r\nno NUL"),
        (b"Subject: x\r\n\r\n\0", b"Subject: x\r\nContent-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\nAA=="),
        (b"\r\n\0", b"Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\nAA=="),
        (b"\n\0", b"Content-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\nAA=="),
        (
            b"mime-version: 1.0\r\ncontent-transfer-encoding:\r\n binary\r\nSubject: x\r\n\r\n\0",
            b"mime-version: 1.0\r\nContent-Transfer-Encoding: base64\r\nSubject: x\r\n\r\nAA==",
        ),
        (
            b"Content-Transfer-Encoding: 8bit\r\nX: y\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\0",
            b"Content-Transfer-Encoding: base64\r\nX: y\r\n\r\nAA==",
        ),
    ],
)
def test_what_is_kept(octets: bytes, kept: bytes) -> None:
    assert without_nul(octets) == kept


def test_only_the_bodies_that_need_it_change() -> None:
    kept = without_nul(MIXED)
    assert b"\0" not in kept
    assert leaves(kept) == leaves(MIXED)
    assert [part.encoding for part in parse(kept).walk()] == [b"7bit", b"7bit", b"base64", b"7bit", b"base64"]
    assert kept.startswith(MIXED[: MIXED.index(b"Content-Transfer")])
    assert kept.endswith(b"\r\n--b--\r\nafter\r\n")
    assert b"Content-ID: <1>\r\n\r\n" in kept


def test_lines_have_76_characters() -> None:
    _, _, kept = without_nul(b"\r\n" + b"\0" * 1000).partition(b"\r\n\r\n")
    assert {len(line) for line in kept.split(b"\r\n")[:-1]} == {76}


@pytest.mark.parametrize(
    "octets",
    [
        b"Sub\0ject: x\r\n\r\nHello",
        b"\0",
        b"Content-Transfer-Encoding: base64\r\n\r\nAA\0A",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n\0",
        b"Content-Transfer-Encoding: x-own\r\n\r\n\0",
        MIXED.replace(b"before", b"bef\0re"),
        MIXED.replace(b"after", b"aft\0r"),
        MIXED.replace(b"<1>", b"<\0>"),
    ],
)
def test_what_cannot_be_kept(octets: bytes) -> None:
    with pytest.raises(CannotKeep):
        without_nul(octets)


@given(
    st.lists(
        st.sampled_from(
            [
                b"\0", b"Content-Type: multipart/mixed; boundary=b\r\n", b"\r\n", b"--b\r\n", b"--b--\r\n", b"x", b"=",
                b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: binary\r\n", b"Content-Transfer-Encoding: base64\r\n",
            ]
        ),
        max_size=16,
    ).map(b"".join)
)  # fmt: skip
def test_nothing_is_lost(octets: bytes) -> None:
    try:
        kept = without_nul(octets)
    except CannotKeep:
        return
    assert b"\0" not in kept
    assert leaves(kept) == leaves(octets)
    assert without_nul(kept) == kept


# --- BINARYMIME (RFC 3030)

BINARY = (
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: binary\r\n\r\nbefore\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nbare\nline\r\n"
    b"--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: BINARY\r\n\r\nall lines\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\nSubject: inside\r\n\r\n\r.\n\0\r\n"
    b"--b--\r\nafter"
)


def test_a_binary_message_becomes_lines_and_loses_nothing() -> None:
    kept = without_binary(BINARY)
    assert leaves(kept) == leaves(BINARY)
    assert [part.encoding for part in parse(kept).walk()] == [b"8bit", b"7bit", b"base64", b"base64", b"8bit", b"base64"]
    assert kept.endswith(b"\r\n--b--\r\nafter\r\n")
    assert without_binary(kept) == kept


@pytest.mark.parametrize(
    "octets",
    [
        b"Content-Transfer-Encoding: base64\r\n\r\nAA\0",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\na\nb",
        b"Subject: a\nb: c\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\0\r\n--b\r\n\r\n--b--",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nA: b\nC: d\r\n\r\n--b--",
    ],
)
def test_what_cannot_be_made_lines(octets: bytes) -> None:
    with pytest.raises(CannotKeep):
        without_binary(octets)


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b"\0", b"\r\n", b"--b", b"--", b"Content-Transfer-Encoding: binary\r\n", b"x", b"\xff", b": "]))
)
def test_any_binary_message_is_lines_or_refused(pieces: list[bytes]) -> None:
    octets = b"Content-Type: multipart/mixed; boundary=b\r\n" + b"".join(pieces)
    try:
        kept = without_binary(octets)
    except CannotKeep:
        return
    assert b"\0" not in kept
    assert kept.count(b"\r") == kept.count(b"\n") == kept.count(b"\r\n")
    assert leaves(kept) == leaves(octets) or kept == octets + b"\r\n"


EIGHT_BIT = (
    b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nbefore\r\n"
    b"--b\r\nContent-Type: text/plain\r\n\r\nHello\r\n"
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nj\xc3\xbcrgen\r\n\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inside\r\nContent-Type: text/x\r\n\r\n\xff\r\n"
    b"--b--\r\nafter\r\n"
)


def test_eight_bit_bodies_are_encoded_and_say_the_same() -> None:
    kept = without_eight_bit(EIGHT_BIT)
    assert kept.isascii()
    assert leaves(kept) == leaves(EIGHT_BIT)
    assert [part.encoding for part in parse(kept).walk()] == [b"7bit", b"7bit", b"base64", b"7bit", b"base64"]
    assert without_eight_bit(kept) == kept


@pytest.mark.parametrize(
    "octets",
    [
        b"Subject: \xc3\xbc\r\n\r\nx",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n\xff\r\n--b\r\n\r\nx\r\n--b--\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\n\xff",
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n\xff",
        b"Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xff\r\n--b\r\n\r\nx\r\n--b--\r\n",
    ],
)
def test_eight_bits_that_cannot_be_encoded(octets: bytes) -> None:
    with pytest.raises(CannotKeep):
        without_eight_bit(octets)


@given(st.lists(st.sampled_from([*EIGHT_BIT.splitlines(True), b"\xff", b"--b\r\n", b"x\r\n", b"\r\n"])).map(b"".join))
def test_what_is_left_is_ascii_or_nothing(octets: bytes) -> None:
    try:
        assert without_eight_bit(octets).isascii()
    except CannotKeep:
        pass
