"""Reads one command through the real framing, as a connection would."""

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import strategies as st

from gateway.imap.framing import Allowance, Frame, Framer
from gateway.imap.grammar.cursor import BadSyntax, Cursor, command_name

T = TypeVar("T")


def frame(octets: bytes) -> Frame:
    """The one frame of these octets (without their last line end)."""
    framer = Framer(200000, lambda parts: Allowance(10**6, 10**7))
    framer.feed(octets + b"\r\n")
    while not isinstance(found := framer.next_frame(), Frame):
        pass
    return found


def read(rule: Callable[[Cursor], T], arguments: bytes, *, utf8: bool = False, charset_is_utf8: bool = False) -> T:
    """What a rule makes of the arguments of a command (with their leading space)."""
    _, _, c = command_name(frame(b"a X" + arguments), utf8=utf8, charset_is_utf8=charset_is_utf8)
    return c.whole(rule)


def spaced(rule: Callable[[Cursor], T]) -> Callable[[Cursor], T]:
    """The rule behind a space, as arguments stand."""

    def behind_a_space(c: Cursor) -> T:
        c.sp()
        return rule(c)

    return behind_a_space


def refused(rule: Callable[[Cursor], object], arguments: bytes, *, charset_is_utf8: bool = False) -> BadSyntax:
    """The error a rule raises; fails when it raises none or another."""
    with pytest.raises(BadSyntax) as caught:
        read(rule, arguments, charset_is_utf8=charset_is_utf8)
    assert caught.value.tag == b"a"
    assert caught.value.message.isprintable()
    return caught.value


_pieces = st.sampled_from(
    [
        *(
            b" ",
            b"(",
            b")",
            b"[",
            b"]",
            b"<",
            b">",
            b'"',
            b"\\",
            b"*",
            b"%",
            b":",
            b",",
            b".",
            b"~",
            b"=",
            b"&",
            b"\0",
            b"\xff",
            b"\xc3\xa4",
        ),
        *(b"0", b"1", b"4294967295", b"4294967296", b"9" * 30, b"1-Feb-2024", b'" 1-Feb-2024 00:00:00 +0000"', b"NIL", b"INBOX", b"x"),
        *b"&AOQ- RETURN CHARSET UTF-8 BODY BODY.PEEK[ HEADER.FIELDS MIME TEXT FLAGS +FLAGS.SILENT \\Seen NOT OR SUBJECT UID ALL".split(),
        *(b"SINCE", b"STATUS", b"MESSAGES", b"SUBSCRIBED", b"(QRESYNC (1 2))", b"lrs"),
    ]
)

frames = st.lists(st.lists(_pieces | st.binary(max_size=4), max_size=14).map(b"".join), min_size=1, max_size=5).map(
    lambda parts: Frame((b" " + parts[0], *parts[1:], *([b""] if len(parts) % 2 == 0 else [])))
)
"""Frames that look like arguments, text and literals."""


def never_crashes(rule: Callable[[Cursor], object], found: Frame) -> None:
    """A value or the one documented error, whatever was enabled."""
    for enabled in (False, True):
        try:
            Cursor(found, utf8=enabled, charset_is_utf8=enabled).whole(rule)
        except BadSyntax as error:
            assert error.message.isprintable()
