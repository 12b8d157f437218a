"""REPLACE."""

from functools import partial

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.append import Append, AppendMessage
from gateway.imap.grammar.numbers import STAR, SequenceSet
from gateway.imap.grammar.replace import Replace, replace
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

by_uid = partial(replace, by_uid=True)


@pytest.mark.parametrize(("written", "number"), [(b"4", 4), (b"*", STAR), (b"4:4", 4)])
def test_replace_is_read(written: bytes, number: int) -> None:
    wanted = Append("Drafts", (AppendMessage((b"\\Draft",), None, b"abc"),))
    assert read(by_uid, b" " + written + b" Drafts (\\Draft) {3}\r\nabc") == Replace(SequenceSet(((number, number),)), True, wanted)


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" Drafts {3}\r\nabc",
        b" 0 Drafts {3}\r\nabc",
        b" 1:2 Drafts {3}\r\nabc",
        b" 1,2 Drafts {3}\r\nabc",
        b" 1 Drafts",
        b" 1 Drafts {3}\r\nabc {3}\r\nabc",
    ],
)
def test_replace_that_is_none_is_refused(arguments: bytes) -> None:
    refused(by_uid, arguments)


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(by_uid, found)
