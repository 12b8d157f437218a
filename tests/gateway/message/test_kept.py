"""What is kept decides as the octets do, whatever the octets are."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.folders.octets import DECODING
from gateway.message.kept import MAX_KEPT, has_field, kept_needle, kept_texts
from gateway.message.text import MAX_HEADER_TEXT, fold

SEP = "\ud800".encode("utf-8", "surrogatepass")

lines = st.sampled_from(
    [
        b"Subject: alpha beta\r\n",
        b"subject: =?utf-8?q?Stra=C3=9Fe?= =?utf-8?b?w4Q=?=\r\n",
        b"BCC: carla@acme.test\r\n dmitri@acme.test\r\n",
        b"X-Ill: a\0X-Other: carla\r\n",
        b"X-Ill: =?utf-8?q?a=0AX-Other:_carla?=\r\n",
        b"X-Ill: =?utf-7?q?+2AA-X-Other:_carla?=\r\n",
        b"X-Ill: =?utf-7?q?a+3AA-b?=\r\n",
        b"no field at all\r\n",
        b"Content-Type: text/plain; charset=utf-7\r\n",
        b"Content-Type: text/html; charset=iso-8859-2\r\n",
        b"Content-Type: multipart/mixed; boundary=cut\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"Content-Transfer-Encoding: base64\r\n",
        b"\r\n",
        b"--cut\r\n",
        b"--cut--\r\n",
        b"body Stra=C3=9Fe =00 \xc4\xff\0 text\r\n",
        b"+2AA- YWxwaGE= alpha\r\n",
        "ＡＬＰＨＡ İı ſ ﬁn Ⅷ \U0001f600\r\n".encode(),
        "Die Straße\r\n".encode("utf-16"),
    ]
)
messages = st.one_of(st.lists(lines, max_size=14).map(b"".join), st.binary(max_size=200))
needles = st.one_of(
    st.sampled_from(
        ["alpha", "carla", "strasse", "ä", "a", "\n", "x-other: carla", "carla\n", "\ud800", "\0", "a\0", "fin", "viii", "ss", "i̇"]
    ),
    st.text(max_size=4).map(fold),
)


@settings(max_examples=600)
@given(messages, needles, st.sampled_from(["subject", "BCC", "X-Other", "x-ill", "a: b", "", "Straße", "Content-Type"]), st.data())
@example(b"X-Ill: a\0X-Other: carla\r\n\r\n", "carla", "X-Other", None)
def test_kept_texts_answer_as_the_octets_do(octets: bytes, text: str, name: str, data: st.DataObject | None) -> None:
    header, body = kept_texts(octets)
    assert header is not None
    assert body is not None
    assert b"\0" not in header + body
    if data is not None and data.draw(st.booleans()):
        # Taken from what is there.
        there = (header + body).decode("utf-8", "surrogatepass")
        start = data.draw(st.integers(0, max(0, len(there) - 1)))
        text = there[start : start + data.draw(st.integers(1, 6))]
    in_body, in_header = kept_needle(text, in_header=False), kept_needle(text, in_header=True)
    assert (in_body is None) <= (in_header is None)
    if in_body is not None:
        assert (in_body in body) is DECODING.body(octets, text)
    if in_header is not None:
        assert (in_header in header or in_header in body) is DECODING.text(octets, text)
        assert has_field(header, name, in_header) is DECODING.header(octets, name, text)


@pytest.mark.parametrize("text", ["\0", "a\ud800", "\udfffb"])
def test_what_kept_texts_cannot_tell_is_left_to_the_octets(text: str) -> None:
    assert kept_needle(text, in_header=False) is None


def test_a_text_across_lines_is_looked_for_in_bodies_only() -> None:
    assert kept_needle("a\nb", in_header=False) == b"a\nb"
    assert kept_needle("a\nb", in_header=True) is None


def test_what_is_too_large_is_not_kept() -> None:
    line = b"y" * 70 + b"\r\n"
    header, body = kept_texts(b"Subject: a\r\n\r\n" + line * (MAX_KEPT // len(line) + 1))
    assert header is not None
    assert body is None
    header, body = kept_texts((b"X-Long: " + line) * (MAX_HEADER_TEXT // len(line) + 1) + b"\r\nshort\r\n")
    assert (header, body) == (None, b"short\r\n")


def test_an_attachment_takes_no_room() -> None:
    octets = b"Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b"QUJD" * MAX_KEPT
    assert kept_texts(octets)[1] == b""


def test_the_form() -> None:
    assert kept_texts(b"Subject: A\r\nTo: B\r\n\r\nC") == (SEP + b"subject: a\n" + SEP + b"to: b\n", b"c")
