"""SORT, THREAD."""

from functools import partial

import pytest
from hypothesis import given

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadCharset
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.search import Contains, Everything, HasFlag
from gateway.imap.grammar.sort import ALGORITHMS, SORT_KEYS, Sort, SortKey, Thread, sort, thread
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused

by_number = partial(sort, by_uid=False)
threads = partial(thread, by_uid=True)


def test_sort_is_read() -> None:
    assert read(by_number, b" (REVERSE DATE) US-ASCII ALL") == Sort((SortKey(b"DATE", True),), Everything(), False)
    assert read(by_number, b" (subject reverse date) utf-8 unseen") == Sort(
        (SortKey(b"SUBJECT"), SortKey(b"DATE", True)), HasFlag(b"\\Seen", False), False
    )
    assert read(by_number, b' (TO) "UTF-8" SUBJECT {2}\r\n\xc3\xa4') == Sort((SortKey(b"TO"),), Contains(b"SUBJECT", "ä"), False)


def test_sort_with_return_options() -> None:
    assert read(by_number, b" RETURN () (DATE) UTF-8 ALL").returning == (Parameter(b"ALL"),)
    assert read(by_number, b" return (min COUNT) (DATE) UTF-8 ALL").returning == (Parameter(b"MIN"), Parameter(b"COUNT"))


@pytest.mark.parametrize("name", sorted(SORT_KEYS))
def test_every_criterion(name: bytes) -> None:
    assert read(by_number, b" (%b REVERSE %b) UTF-8 ALL" % (name, name)).criteria == (SortKey(name), SortKey(name, True))


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" () UTF-8 ALL",
        b" (DATE) ALL",
        b" (DATE) UTF-8",
        b" (REVERSE) UTF-8 ALL",
        b" (REVERSE REVERSE DATE) UTF-8 ALL",
        b" (DATE ) UTF-8 ALL",
        b" (BODY) UTF-8 ALL",
        b" DATE UTF-8 ALL",
        b" RETURN (SAVEX) (DATE) UTF-8 ALL",
        b" RETURN () RETURN () (DATE) UTF-8 ALL",
        b" (" + b"DATE " * 40 + b"DATE) UTF-8 ALL",
        b" (DATE) CHARSET UTF-8 ALL",
    ],
)
def test_sort_that_is_none_is_refused(arguments: bytes) -> None:
    refused(by_number, arguments)


def test_thread_is_read() -> None:
    assert read(threads, b" references UTF-8 ALL") == Thread(b"REFERENCES", Everything(), True)
    assert {read(threads, b" %b UTF-8 ALL" % name).algorithm for name in ALGORITHMS} == ALGORITHMS


@pytest.mark.parametrize("arguments", [b"", b" REFS UTF-8 ALL", b" REFERENCES ALL", b" REFERENCES UTF-8", b" (REFERENCES) UTF-8 ALL"])
def test_thread_that_is_none_is_refused(arguments: bytes) -> None:
    refused(threads, arguments)


def test_charsets_that_are_not_known() -> None:
    for rule, arguments in ((by_number, b" (DATE) KOI-99 ALL"), (threads, b" REFERENCES KOI-99 ALL")):
        assert isinstance(refused(rule, arguments), BadCharset)


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(by_number, found)
    never_crashes(threads, found)


def test_after_utf8_accept_the_charset_is_utf8() -> None:
    """RFC 6855, erratum 4029: BAD for any other, known or not."""
    assert read(by_number, b" (DATE) UTF-8 ALL", charset_is_utf8=True).key == Everything()
    for rule, arguments in (
        (by_number, b" (DATE) ISO-8859-1 ALL"),
        (threads, b" REFERENCES ISO-8859-1 ALL"),
        (by_number, b" (DATE) X ALL"),
    ):
        assert not isinstance(refused(rule, arguments, charset_is_utf8=True), BadCharset)
