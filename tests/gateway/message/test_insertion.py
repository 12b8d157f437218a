"""Octets put into an encoded body, where all others stay."""

from base64 import b64encode
from binascii import a2b_base64, a2b_qp, b2a_qp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.message.insertion import Undecodable, decoded, ill_formed, inserted


@pytest.mark.parametrize(
    ("body", "encoding", "content"),
    [
        (b"a=b\r\n", b"7bit", b"a=b\r\n"),
        (b"a\xff", b"8bit", b"a\xff"),
        (b"a\x00", b"binary", b"a\x00"),
        (b"YWJj\r\n ZGVm\r\n", b"base64", b"abcdef"),
        (b"YQ==", b"base64", b"a"),
        (b"", b"base64", b""),
        (b"a=3Db=\r\nc=\n=e4\r\n", b"quoted-printable", b"a=bc\xe4\r\n"),
        (b"a=", b"quoted-printable", b"a"),
    ],
)
def test_decoding(body: bytes, encoding: bytes, content: bytes) -> None:
    assert decoded(body, encoding) == content


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"YWJj!", b"base64"),
        (b"YWJ", b"base64"),
        (b"YQ==YQ==", b"base64"),
        (b"=YWJj", b"base64"),
        (b"YWJj\r\n-- \r\nfooter\r\n", b"base64"),
        (b"begin 644 x", b"x-uuencode"),
        (b"", b""),
    ],
)
def test_what_programs_decode_differently(body: bytes, encoding: bytes) -> None:
    with pytest.raises(Undecodable):
        decoded(body, encoding)


@pytest.mark.parametrize(
    ("body", "ill"),
    [
        (b"a=3D=\r\nb", False),
        (b"a b\r\n\r\n", False),
        (b"a=", False),
        (b"a=3\r\n", True),
        (b"a=zz", True),
        (b"a==3D", True),
        (b"a= \r\nb", True),
        (b"a \r\nb", True),
        (b"a\r\n\t\r\nb", True),
        (b"a ", True),
    ],
)
def test_ill_formed_quoted_printable(body: bytes, ill: bool) -> None:
    assert ill_formed(body, b"quoted-printable") is ill
    assert not ill_formed(body, b"8bit")


def test_what_stands_around_stays_in_place() -> None:
    assert inserted(b"one two", b"8bit", [(3, b"+"), (7, b"!")]) == b"one+ two!"
    content = bytes(range(256)) * 3
    for width in (76, 60, 4):
        text = b64encode(content)
        body = b"\r\n" + b"".join(text[at : at + width] + b"\r\n" for at in range(0, len(text), width))
        made = inserted(body, b"base64", [(300, b"here")])
        assert a2b_base64(made) == content[:300] + b"here" + content[300:]
        same = 300 // 3 * 4 // width * (width + 2)
        assert made[: same + 2] == body[: same + 2]
        assert max(map(len, made.split(b"\r\n"))) <= max(map(len, body.split(b"\r\n")))
        assert made.endswith(b"\r\n")
    assert inserted(b"YWJj", b"base64", [(1, b"x")]) == b64encode(b"axbc")


@pytest.mark.parametrize(
    ("body", "at", "what", "made"),
    [
        (b"ab", 1, b"x=y", b"ax=3Dyb"),
        (b"a=\r\nb", 1, b"x", b"ax=\r\nb"),
        (b"=\r\nab", 0, b"x", b"=\r\nxab"),
        (b"=41=42", 1, b"x", b"=41x=42"),
        (b"=41=42", 2, b"x", b"=41=42x"),
        (b"a=", 1, b"x", b"ax="),
        (b"ab", 1, b"\xc3\xa4", b"a=C3=A4b"),
        (b"ab", 1, b"x\r\n y", b"ax\r\n yb"),
        (b"a=0Ab", 1, b"x\n y", b"ax=0A=\r\n y=0Ab"),
        (b"a" * 74 + b"b", 74, b"xyz", b"a" * 74 + b"x=\r\nyzb"),
    ],
)
def test_quoted_printable(body: bytes, at: int, what: bytes, made: bytes) -> None:
    assert inserted(body, b"quoted-printable", [(at, what)]) == made


PIECES = st.lists(st.sampled_from([b"a", b"bcd ", b".", b"=", b"\xe4", b"\r\n", b"\n", b"\t", b"x" * 50]), max_size=30).map(b"".join)


@given(PIECES, st.sampled_from([b"7bit", b"8bit", b"binary", b"base64", b"quoted-printable"]), st.data())
@settings(max_examples=400)
def test_the_content_is_what_was_and_what_was_put_in(content: bytes, encoding: bytes, data: st.DataObject) -> None:
    body = {b"base64": b64encode(content), b"quoted-printable": b2a_qp(content)}.get(encoding, content)
    content = decoded(body, encoding)
    if ill_formed(body, encoding):
        return
    places = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4, unique=True)))
    put_in = [(place, data.draw(st.sampled_from([b'=";x', b"ab\r\n c", b"\xc3\xa4" * 40]))) for place in places]
    made = inserted(body, encoding, put_in)
    expected = content
    for place, what in reversed(put_in):
        expected = expected[:place] + what + expected[place:]
    assert decoded(made, encoding) == expected
    if encoding == b"quoted-printable":
        assert not ill_formed(made, encoding) or ill_formed(body, encoding)
        assert a2b_qp(made) == expected
