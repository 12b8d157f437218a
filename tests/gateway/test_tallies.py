"""Counting that holds over processes: never too few, nothing left of who was killed."""

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gateway.tallies import BUCKETS, OwnTally, SharedTallies, SharedTally, Tallies


@given(some.lists(some.tuples(some.integers(0, 2), some.sampled_from("abcdefgh"), some.booleans()), max_size=60))
def test_it_counts_as_a_counter_does(steps: list[tuple[int, str, bool]]) -> None:
    shared = SharedTally(3)
    own = OwnTally()
    there: Counter[tuple[int, str]] = Counter()
    for column, key, adds in steps:
        shared.within(column)
        if adds:
            there[column, key] += 1
            # Eight keys in 16,384 buckets of four rows: that all four rows are shared by two of them does not happen.
            assert shared.add(key) == own.add(key)
        elif there[column, key]:
            there[column, key] -= 1
            shared.take(key)
            own.take(key)
        assert shared.of(key) == own.of(key) == sum(count for (_, one), count in there.items() if one == key)


def test_no_key_is_ever_counted_as_fewer() -> None:
    shared = SharedTally(1).within(0)
    for number in range(BUCKETS // 2):
        shared.add(f"192.0.{number >> 8}.{number & 255}")
    counts = [shared.of(f"192.0.{number >> 8}.{number & 255}") for number in range(BUCKETS // 2)]
    assert min(counts) == 1
    assert sum(count > 1 for count in counts) < len(counts) // 10


def test_a_process_sees_what_another_counts_and_nothing_of_one_that_was_killed() -> None:
    shared = SharedTally(2)
    child = os.fork()
    if not child:
        mine = shared.within(1)
        for _ in range(5):
            mine.add("anna")
        mine.add("bruno")
        os._exit(0)
    os.waitpid(child, 0)
    own = shared.within(0)
    assert own.add("anna") == 6
    assert shared.in_column(1, "bruno") == 1
    shared.wipe(1)
    assert own.of("anna") == 1
    assert own.of("bruno") == 0


def test_numbers_are_given_once_also_by_who_comes_after_a_killed_one() -> None:
    shared = SharedTallies(2)
    first, second = shared.within(0), None
    numbers = [first.number() for _ in range(3)]
    second = shared.within(1)
    numbers += [second.number() for _ in range(3)]
    shared.wipe(1)
    numbers += [shared.within(1).number()]
    assert len(set(numbers)) == len(numbers)
    assert [number % 2 for number in numbers] == [0, 0, 0, 1, 1, 1, 1]


def test_octets_are_counted_over_processes_and_those_of_a_killed_one_are_free() -> None:
    shared = SharedTallies(2)
    child = os.fork()
    if not child:
        shared.within(1).arriving.add(5 << 30)
        os._exit(0)
    os.waitpid(child, 0)
    own = shared.within(0).arriving
    assert own.add(100) == (5 << 30) + 100
    own.take(40)
    assert own.all() == (5 << 30) + 60
    shared.wipe(1)
    assert own.all() == 60


@pytest.mark.parametrize("tallies", [Tallies()], ids=["one process"])
def test_one_process_counts_alone(tallies: Tallies) -> None:
    assert tallies.connections.add("") == 1
    assert [tallies.number(), tallies.number()] == [1, 2]
    assert Tallies().connections.of("") == 0
