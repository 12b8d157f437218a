"""LIST, plain and extended, and LSUB."""

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.listing import List, Lsub, list_command, lsub
from gateway.imap.grammar.parameters import Parameter
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

SUBSCRIBED, SPECIAL_USE, CHILDREN = Parameter(b"SUBSCRIBED"), Parameter(b"SPECIAL-USE"), Parameter(b"CHILDREN")


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (b' "" ""', List("", ("",))),
        (b' "" *', List("", ("*",))),
        (b' "" "%"', List("", ("%",))),
        (b" Other&- {1}\r\n%", List("Other&", ("%",))),
        (b' (subscribed) "" "*" return (special-use)', List("", ("*",), (SUBSCRIBED,), (SPECIAL_USE,), True)),
        (b' () "" "*"', List("", ("*",), (), (), True)),
        (b' "" ("INBOX" Sent/%)', List("", ("INBOX", "Sent/%"), (), (), True)),
        (b' "" "*" RETURN ()', List("", ("*",), (), (), True)),
        (
            b' "" "*" RETURN (STATUS (MESSAGES UNSEEN) SPECIAL-USE CHILDREN SUBSCRIBED)',
            List("", ("*",), (), (Parameter(b"STATUS", (b"MESSAGES", b"UNSEEN")), SPECIAL_USE, CHILDREN, SUBSCRIBED), True),
        ),
        (b' (RECURSIVEMATCH SUBSCRIBED) "" "%"', List("", ("%",), (Parameter(b"RECURSIVEMATCH"), SUBSCRIBED), (), True)),
    ],
)
def test_list_is_read(arguments: bytes, value: List) -> None:
    assert read(list_command, arguments) == value


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" x",
        b' ""',
        b' "" ()',
        b' "" (a',
        b' (FOO) "" *',
        b' (RECURSIVEMATCH) "" *',
        b' (RECURSIVEMATCH REMOTE) "" *',
        b' "" * RETURN',
        b' "" * RETURN (FOO)',
        b' "" * RETURN (MYRIGHTS ())',
        b' "" * RETURN (STATUS)',
        b' "" * RETURN (STATUS ())',
        b' "" * RETURN (STATUS (FOO))',
        b' "" * FOO ()',
        b' "" * RETURN (CHILDREN',
        b' "" * x',
        b' "" (' + b" ".join([b"a"] * 65) + b")",
        b' "" * RETURN (' + b" ".join([b"CHILDREN"] * 40) + b")",
        b' "" \xc3',
    ],
)
def test_list_that_is_none_is_refused(arguments: bytes) -> None:
    refused(list_command, arguments)


def test_options_are_found_by_name() -> None:
    found = read(list_command, b' (SUBSCRIBED) "" * RETURN (STATUS (UNSEEN))')
    assert found.selects(b"SUBSCRIBED")
    assert not found.selects(b"REMOTE")
    assert found.returns(b"STATUS") == Parameter(b"STATUS", (b"UNSEEN",))
    assert found.returns(b"CHILDREN") is None


def test_lsub_is_read() -> None:
    assert read(lsub, b' "" "*"') == Lsub("", "*")
    refused(lsub, b' "" (a b)')
    refused(lsub, b' "" * RETURN ()')


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(list_command, found)
    never_crashes(lsub, found)
