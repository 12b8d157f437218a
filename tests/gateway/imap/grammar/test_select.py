"""SELECT, EXAMINE, CHECK, CLOSE, UNSELECT."""

from functools import partial

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.select import Check, Close, Select, Unselect, check, close, select, unselect
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused


@pytest.mark.parametrize(
    ("arguments", "value"),
    [
        (b" inbox", Select("inbox", False)),
        (b' "Other Users/owner/Sent"', Select("Other Users/owner/Sent", False)),
        (b" {5}\r\nPosta", Select("Posta", False)),
        (b" x (CONDSTORE)", Select("x", False, (Parameter(b"CONDSTORE"),))),
    ],
)
def test_select_is_read(arguments: bytes, value: Select) -> None:
    assert read(partial(select, read_only=False), arguments) == value
    assert read(partial(select, read_only=True), arguments) == Select(value.mailbox, True, value.parameters)


@pytest.mark.parametrize("arguments", [b"", b" ", b" a b", b" a ()", b" a (X", b" %"])
def test_select_that_is_none_is_refused(arguments: bytes) -> None:
    refused(partial(select, read_only=False), arguments)


def test_the_others_have_no_arguments() -> None:
    assert (read(check, b""), read(close, b""), read(unselect, b"")) == (Check(), Close(), Unselect())


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(partial(select, read_only=False), found)
