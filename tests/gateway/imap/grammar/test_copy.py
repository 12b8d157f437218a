"""COPY, MOVE, EXPUNGE."""

from functools import partial

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.copy import Copy, Expunge, Move, copy, expunge, move, uid_expunge
from gateway.imap.grammar.numbers import SequenceSet
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

ALL = SequenceSet(((1, 0),))


def test_they_are_read() -> None:
    assert read(partial(copy, by_uid=True), b" 1:* inbox") == Copy(ALL, "INBOX", True)
    assert read(partial(move, by_uid=False), b' 1:* "A b"') == Move(ALL, "A b", False)
    assert read(expunge, b"") == Expunge()
    assert read(uid_expunge, b" 1:*") == Expunge(ALL)


@pytest.mark.parametrize("arguments", [b"", b" ", b" 1", b" x y", b" 1 a b", b" 0 a"])
def test_what_is_none_is_refused(arguments: bytes) -> None:
    refused(partial(copy, by_uid=True), arguments)
    refused(partial(move, by_uid=True), arguments)


def test_expunge_has_no_set_and_uid_expunge_has_one() -> None:
    refused(expunge, b" 1")
    refused(uid_expunge, b"")


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    for rule in (partial(copy, by_uid=True), partial(move, by_uid=True), expunge, uid_expunge):
        never_crashes(rule, found)
