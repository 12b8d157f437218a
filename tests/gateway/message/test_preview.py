"""The first words of a message: tables, anything at all, bombs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.message import preview as module
from gateway.message.preview import MAX_CHARACTERS, preview
from gateway.message.structure import parse

MULTIPART = b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"


def of(octets: bytes) -> str:
    return preview(octets, parse(octets))


def parts(*pieces: bytes) -> bytes:
    return MULTIPART + b"".join(b"--b\r\n" + piece + b"\r\n" for piece in pieces) + b"--b--\r\n"


HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
PLAIN = b"Content-Type: text/plain\r\n\r\n"


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"", ""),
        (b"Subject: x\r\n\r\n", ""),
        (b"Subject: x\r\n\r\nHello\r\n  you\tthere\r\n", "Hello you there"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nsch=F6n", "sch\u00f6n"),
        (b"Content-Transfer-Encoding: base64\r\n\r\nSGVsbG8=\r\n", "Hello"),
        (HTML + b"<html><head><title>T</title><style>p {x: y}</style></head><body><p>Hello&nbsp;<b>you</b> &amp; me</p>", "Hello you & me"),
        (HTML + b"<!-- no --><script>if (a < b) x()</script>yes<style>p {", "yes"),
        (HTML + b"a < b", "a"),
        (parts(HTML + b"<p>html</p>", PLAIN + b"plain"), "plain"),
        (parts(HTML + b"<p>html</p>", b"Content-Type: image/png\r\n\r\nx"), "html"),
        (parts(b"Content-Disposition: attachment\r\n" + PLAIN + b"attached", HTML + b"shown"), "shown"),
        (parts(b"Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\ninside"), ""),
        (b"Content-Type: application/pdf\r\n\r\nx", ""),
        (b"\r\n" + b"word " * 100, ("word " * 40).strip()),
        (b"\r\n" + b"x" * 500, "x" * MAX_CHARACTERS),
        (b"\r\nzero\xe2\x80\x8bwidth", "zero width"),
    ],
)
def test_the_first_words(octets: bytes, words: str) -> None:
    assert of(octets) == words


@given(st.binary(max_size=400), st.sampled_from([b"", HTML, PLAIN, MULTIPART]))
def test_of_anything(octets: bytes, before: bytes) -> None:
    words = of(before + octets)
    assert len(words) <= MAX_CHARACTERS
    assert words == words.strip()
    assert "\n" not in words
    words.encode("utf-8", "replace")


@pytest.mark.parametrize("piece", [b"<", b"<!--", b"<style", b"<style>", b"&", b"</style", b"<style></styl", b" ", b"\xe2\x80\x8b"])
def test_it_takes_no_more_than_linear_time(piece: bytes) -> None:
    start = time.process_time()
    of(HTML + piece * 200_000)
    assert time.process_time() - start < 3


@given(st.text(st.characters(max_codepoint=0x7F), max_size=60), st.text(st.characters(max_codepoint=0x7F), max_size=60))
def test_ascii_is_put_in_one_line_like_everything_else(head: str, tail: str) -> None:
    text = f"{head}a{tail}"
    assert of(PLAIN + text.encode()) == of(b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + f"\u200b{text}".encode())


WORDS = st.lists(
    st.sampled_from((b"word", b"a", b" ", b"  ", b"\r\n", b"\n", b"\t", b"=\r\n", b"=3D", b"=", b"\xc3\xa4", b"+AGE-", b"\0", b"~{")),
    max_size=30,
)
CHARSETS = st.sampled_from((b"us-ascii", b"utf-8", b"iso-8859-1", b"utf-16", b"utf-7", b"hz", b"iso-2022-jp"))
ENCODINGS = st.sampled_from((b"7bit", b"quoted-printable", b"base64"))


@given(st.integers(0, 90).map(b"x".__mul__), WORDS, WORDS, CHARSETS, ENCODINGS)
def test_what_the_first_octets_tell_is_what_all_tell(
    start: bytes, first: list[bytes], more: list[bytes], charset: bytes, encoding: bytes
) -> None:
    text = (start + b" ".join(first)) * 3 + b"".join(more) * 9
    octets = b"Content-Type: text/plain; charset=%b\r\nContent-Transfer-Encoding: %b\r\n\r\n%b" % (charset, encoding, text)
    found = of(octets)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_AT_FIRST", 0)
        assert found == of(octets)
