"""The first words of a message: tables, anything at all, bombs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
