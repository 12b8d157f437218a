"""Numbers are bounded, sets are never counted out."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.framing import Frame
from gateway.imap.grammar.numbers import MAX_MEMBERS, STAR, SequenceSet, number, number64, nz_number, sequence_set
from gateway.imap.responses import spell_set
from tests.gateway.imap.grammar.reading import frames, never_crashes, read, refused, spaced


@pytest.mark.parametrize(
    ("octets", "slices"),
    [
        (b"1", ((1, 1),)),
        (b"*", ((STAR, STAR),)),
        (b"4:*", ((4, STAR),)),
        (b"*:4", ((STAR, 4),)),
        (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, STAR))),
        (b"5:1", ((5, 1),)),
        (b"1:4294967295", ((1, 4294967295),)),
        (b"$", ()),
        (b"007", ((7, 7),)),
    ],
)
def test_sets_are_read_as_written(octets: bytes, slices: tuple[tuple[int, int], ...]) -> None:
    assert read(spaced(sequence_set), b" " + octets) == SequenceSet(slices)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"0",
        b"1:0",
        b",1",
        b"1,",
        b"1,,2",
        b"1:",
        b":1",
        b"1:2:3",
        b"4294967296",
        b"9" * 5000,
        b"1:" + b"9" * 5000,
        b"$,1",
        b"1,$",
        b"$:2",
        b"-1",
        b"1 ",
    ],
)
def test_what_is_no_set_is_refused(octets: bytes) -> None:
    refused(spaced(sequence_set), b" " + octets)


def test_members_are_capped() -> None:
    started = time.process_time()
    assert len(read(spaced(sequence_set), b" " + b",".join([b"1:*"] * MAX_MEMBERS)).slices) == MAX_MEMBERS
    refused(spaced(sequence_set), b" " + b",".join([b"1"] * (MAX_MEMBERS + 1)))
    assert time.process_time() - started < 1


def test_numbers_are_bounded_before_they_are_numbers() -> None:
    assert read(spaced(number), b" 4294967295") == 4294967295
    assert read(spaced(number64), b" 9223372036854775807") == 2**63 - 1
    for rule, octets in (
        (number, b"4294967296"),
        (number, b"1" * 11),
        (number, b"9" * 5000),
        (nz_number, b"0"),
        (number64, b"9" * 19),
        (number64, b"9" * 5000),
    ):
        refused(spaced(rule), b" " + octets)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=40))
def test_a_set_that_is_spelled_is_read_back(numbers: list[int]) -> None:
    found = read(spaced(sequence_set), b" " + spell_set(numbers))
    assert [number for low, high in found.slices for number in range(low, high + 1)] == numbers


@given(frames)
def test_any_frame_is_a_set_or_refused(found: Frame) -> None:
    never_crashes(spaced(sequence_set), found)
