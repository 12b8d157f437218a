"""PARTIAL in SEARCH, SORT and UID FETCH."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.framing import Frame
from gateway.imap.grammar.cursor import BadSyntax
from gateway.imap.grammar.parameters import Parameter
from gateway.imap.grammar.partial import PartialRange, fetch_modifier, partial_range
from gateway.imap.grammar.partial import read as read_value
from gateway.imap.grammar.search import Everything, Search, search
from gateway.imap.grammar.sort import sort
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused, spaced


@pytest.mark.parametrize(
    ("octets", "value", "repeated"),
    [
        (b"1:500", PartialRange(1, 500), b"1:500"),
        (b"500:400", PartialRange(500, 400), b"400:500"),
        (b"7:7", PartialRange(7, 7), b"7:7"),
        (b"-1:-100", PartialRange(1, 100, True), b"-1:-100"),
        (b"-500:-400", PartialRange(500, 400, True), b"-400:-500"),
        (b"1:4294967295", PartialRange(1, 4294967295), b"1:4294967295"),
    ],
)
def test_ranges_are_read_and_repeated(octets: bytes, value: PartialRange, repeated: bytes) -> None:
    assert read(spaced(partial_range), b" " + octets) == value
    assert read_value(octets) == value
    assert value.spell() == repeated


@pytest.mark.parametrize(
    "octets",
    [b"", b"1", b"*", b"1:*", b"0:4", b"4:0", b"-1:4", b"1:-4", b"-0:-1", b"1:4294967296", b"1:99999999999", b"1,2", b"--1:-2", b"1: 2"],
)
def test_what_is_no_range_is_refused(octets: bytes) -> None:
    refused(spaced(partial_range), b" " + octets)
    with pytest.raises(BadSyntax):
        read_value(octets)


@pytest.mark.parametrize(
    ("wanted", "count", "found"),
    [
        ((1, 3, False), 10, [0, 1, 2]),
        ((3, 1, False), 10, [0, 1, 2]),
        ((9, 20, False), 10, [8, 9]),
        ((11, 20, False), 10, []),
        ((1, 3, True), 10, [7, 8, 9]),
        ((3, 1, True), 10, [7, 8, 9]),
        ((9, 20, True), 10, [0, 1]),
        ((11, 20, True), 10, []),
        ((1, 1, True), 0, []),
        ((1, 1, False), 0, []),
        ((2, 2, True), 10, [8]),
    ],
)
def test_which_results_are_meant(wanted: tuple[int, int, bool], count: int, found: list[int]) -> None:
    assert list(range(*PartialRange(*wanted).within(count))) == found


@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(0, 30))
def test_each_result_by_its_number_from_either_end(first: int, last: int, from_end: bool, count: int) -> None:
    numbers = range(min(first, last), max(first, last) + 1)
    expected = {count - number if from_end else number - 1 for number in numbers if number <= count}
    assert set(range(*PartialRange(first, last, from_end).within(count))) == expected


def test_a_return_option_of_search_and_sort() -> None:
    returning = (Parameter(b"COUNT"), Parameter(b"PARTIAL", b"-1:-100"))
    assert read(lambda c: search(c, by_uid=True), b" RETURN (COUNT partial -1:-100) ALL") == Search(Everything(), True, returning)
    assert read(lambda c: sort(c, by_uid=True), b" RETURN (COUNT PARTIAL -1:-100) (DATE) UTF-8 ALL").returning == returning


@pytest.mark.parametrize(
    "options",
    [b"PARTIAL", b"PARTIAL 1", b"PARTIAL 1:2 PARTIAL 3:4", b"PARTIAL 1:2 ALL", b"ALL PARTIAL 1:2", b"PARTIAL (1:2)", b'PARTIAL "1:2"'],
)
def test_one_partial_with_a_range_and_not_beside_all(options: bytes) -> None:
    refused(lambda c: search(c, by_uid=True), b" RETURN (%b) ALL" % options)
    refused(lambda c: sort(c, by_uid=True), b" RETURN (%b) (DATE) UTF-8 ALL" % options)


def test_a_modifier_of_uid_fetch() -> None:
    since = Parameter(b"CHANGEDSINCE", b"7")
    partial = Parameter(b"PARTIAL", b"-1:-30")
    assert fetch_modifier((), by_uid=False) == (None, ())
    assert fetch_modifier((since,), by_uid=False) == (None, (since,))
    assert fetch_modifier((since, partial), by_uid=True) == (PartialRange(1, 30, True), (since,))
    for bad, by_uid in ((partial, False), (Parameter(b"PARTIAL"), True), (Parameter(b"PARTIAL", (b"1:2",)), True)):
        with pytest.raises(BadSyntax):
            fetch_modifier((bad,), by_uid=by_uid)


@given(frames)
def test_any_frame_is_read_or_refused(found: Frame) -> None:
    never_crashes(spaced(partial_range), found)
