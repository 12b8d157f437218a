"""APPEND, with and without flags and a time, once or several times."""

from datetime import UTC, datetime
from functools import partial

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.append import Append, AppendMessage, Url, append
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

WHEN = datetime(2024, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (b" Sent {3}\r\nabc", (AppendMessage((), None, b"abc"),)),
        (b" Sent (\\Seen x) {3+}\r\nabc", (AppendMessage((b"\\Seen", b"x"), None, b"abc"),)),
        (b' Sent " 1-Feb-2024 00:00:00 +0000" {3}\r\nabc', (AppendMessage((), WHEN, b"abc"),)),
        (b' Sent () " 1-Feb-2024 00:00:00 +0000" {0}\r\n', (AppendMessage((), WHEN, b""),)),
        (b" Sent ~{3}\r\na\0b", (AppendMessage((), None, b"a\0b", binary=True),)),
        (b" Sent (x) ~{1+}\r\na", (AppendMessage((b"x",), None, b"a", binary=True),)),
        (b" Sent CATENATE (TEXT {2}\r\nab URL c)", (AppendMessage((), None, b"", parts=(b"ab", Url(b"c"))),)),
        (b" Sent CATENATE (UTF8 (~{2}\r\na\0) URL b)", (AppendMessage((), None, b"", True, (b"a\0", Url(b"b"))),)),
        (b' Sent (x) catenate (url "/a b" url {1}\r\nc)', (AppendMessage((b"x",), None, b"", parts=(Url(b"/a b"), Url(b"c"))),)),
        (b" {4}\r\nSent {3}\r\nabc", (AppendMessage((), None, b"abc"),)),
    ],
)
def test_append_is_read(arguments: bytes, messages: tuple[AppendMessage, ...]) -> None:
    assert read(append, arguments) == Append("Sent", messages)


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" Sent",
        b" Sent abc",
        b' Sent "abc"',
        b" Sent {1}\r\n\0",
        b" Sent {1}\r\na ",
        b" Sent {1}\r\na {1}\r\nb",
        b" Sent ~",
        b" Sent () () {1}\r\na",
    ],
)
def test_append_that_is_none_is_refused(arguments: bytes) -> None:
    refused(append, arguments)


def test_several_messages_and_binary_ones() -> None:
    found = read(partial(append, several=True), b" x (\\Seen) {1}\r\na ~{2}\r\n\0b")
    assert found.messages == (AppendMessage((b"\\Seen",), None, b"a"), AppendMessage((), None, b"\0b", binary=True))


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(append, found)
    never_crashes(partial(append, several=True), found)
    never_crashes(append, Frame((b" x CATENATE (TEXT ", b"a", found.parts[0], *found.parts[1:])))


@pytest.mark.parametrize(
    "data",
    [
        *(b"CATENATE", b"CATENATE ", b"CATENATE ()", b"CATENATE (TEXT)", b"CATENATE (TEXT a)", b"CATENATE (URL )", b"CATENATE (URL a URL)"),
        *(
            b"CATENATE (URL a)) {1}\r\na",
            b"CATENATE (URL a",
            b"CATENATE (TEXT {1}\r\n\0)",
            b"CATENATE (TEXT ~{1}\r\na)",
            b"CATENATE(URL a)",
        ),
        *(b"CATENATE (UTF8 {1}\r\na)", b"CATENATE (UTF8 (~{1}\r\na)", b"CATENATE (UTF8 ({1}\r\na))"),
        *(b"CATENATE (URL " + b"a" * 8193 + b")", b"CATENATE (" + b"URL a " * 1000 + b"URL a)"),
    ],
)
def test_catenate_that_is_none_is_refused(data: bytes) -> None:
    refused(append, b" Sent " + data)


@pytest.mark.parametrize("word", [b"UTF8", b"utf8"])
def test_a_message_in_utf8(word: bytes) -> None:
    """RFC 6855 section 4: a literal8, so that it may have NUL as well."""
    octets = "Subject: ä\r\n".encode()
    literal = b"~{%d}\r\n%b" % (len(octets), octets)
    found = read(partial(append, several=True), b" x " + word + b" (" + literal + b") (\\Seen) " + word + b" (" + literal + b") {1}\r\na")
    assert found.messages == (
        AppendMessage((), None, octets, True),
        AppendMessage((b"\\Seen",), None, octets, True),
        AppendMessage((), None, b"a"),
    )


@pytest.mark.parametrize(
    "message",
    [b"UTF8 ({1}\r\na)", b"UTF8 (~{1}\r\na", b"UTF8 ~{1}\r\na", b"UTF8(~{1}\r\na)", b"UTF8 (~{1}\r\na) "],
)
def test_what_is_no_message_in_utf8_is_refused(message: bytes) -> None:
    refused(append, b" x " + message)
