"""What a client that applies ADDTO and REMOVEFROM has in the end is what the server has: against a naive list."""

import re
import time
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.imap.contexts import MAX_RUNS, Results, spell_pairs


def numbers_of(spelled: bytes) -> list[int]:
    found: list[int] = []
    for member in spelled.split(b","):
        low, _, high = member.partition(b":")
        found.extend(range(int(low), int(high or low) + 1))
    return found


def applied(client: list[int], spelled: bytes, *, adds: bool) -> None:
    """RFC 5267 sections 4.3.3 and 4.3.4, as a client does it."""
    words = re.fullmatch(rb"\((.*)\)", spelled)[1].split(b" ")  # type: ignore[index]
    for position, members in zip(map(int, words[::2]), words[1::2], strict=True):
        numbers = numbers_of(members)
        if adds and position:
            assert position <= len(client) + 1
            client[position - 1 : position - 1] = numbers
        elif adds:
            assert not set(client) & set(numbers)
            client[:] = sorted([*client, *numbers])
        elif position:
            assert client[position - 1 : position - 1 + len(numbers)] == numbers
            del client[position - 1 : position - 1 + len(numbers)]
        else:
            assert set(numbers) <= set(client)
            client[:] = [number for number in client if number not in numbers]


uids = st.sets(st.integers(1, 60), max_size=30)


@given(st.lists(st.tuples(uids, uids), max_size=6), st.permutations(range(1, 61)), st.booleans())
def test_updates_lead_to_what_there_is(steps: list[tuple[set[int], set[int]]], order: list[int], is_sorted: bool) -> None:
    rank = {uid: at for at, uid in enumerate(order)} if is_sorted else {uid: uid for uid in order}
    results = Results((), is_sorted=is_sorted)
    client: list[int] = []
    there: set[int] = set()
    for gone, new in steps:
        assert results.among(gone) == there & gone
        for data in spell_pairs(results.remove(gone), adds=False):
            applied(client, data, adds=False)
        there -= gone
        assert client == list(results.uids) == sorted(there, key=rank.__getitem__)
        fresh = sorted(new - there, key=rank.__getitem__)
        before = list(results.uids)
        placed = [(sum(rank[one] < rank[uid] for one in before), uid) for uid in fresh]
        for data in spell_pairs(results.add(placed), adds=True):
            applied(client, data, adds=True)
        there |= new
        assert client == list(results.uids) == sorted(there, key=rank.__getitem__)


@pytest.mark.parametrize("is_sorted", [True, False])
def test_lines_stay_bearable_however_much_changes(is_sorted: bool) -> None:
    count = 6 * MAX_RUNS
    every_other = range(1, 2 * count, 2)
    results = Results(every_other, is_sorted=is_sorted)
    client = list(every_other)
    lost = [uid for uid in every_other if uid % 3]
    removed = list(spell_pairs(results.remove(lost), adds=False))
    for data in removed:
        applied(client, data, adds=False)
    back = [(sum(1 for one in results.uids if one < uid) if is_sorted else 0, uid) for uid in lost]
    added = list(spell_pairs(results.add(back), adds=True))
    for data in added:
        applied(client, data, adds=True)
    assert client == list(every_other) == list(results.uids)
    assert len(removed) > 1
    assert len(added) > 1
    assert all(len(data) < 8000 for data in (*removed, *added))


def test_neighbours_are_one_range_and_removal_goes_from_the_last_place_on() -> None:
    results = Results([9, 8, 7, 1, 2, 3, 4], is_sorted=True)
    assert list(spell_pairs(results.remove([8, 1, 2, 4]), adds=False)) == [b"(7 4 4 1:2 2 8)"]
    assert list(spell_pairs(results.add([(0, 8), (0, 5), (0, 6), (3, 1), (3, 2)]), adds=True)) == [b"(1 8,5:6 7 1:2)"]
    assert list(results.uids) == [8, 5, 6, 9, 7, 3, 1, 2]


def test_a_few_of_very_many() -> None:
    results = Results(range(1, 1_000_001), is_sorted=False)
    begun = time.perf_counter()
    for uid in range(500_000, 500_010):
        assert results.among([uid]) == {uid}
        assert results.remove([uid]) == [(0, [uid])]
    assert results.add([(0, 1_000_002), (0, 1_000_001)]) == [(0, [1_000_001, 1_000_002])]
    assert time.perf_counter() - begun < 0.5
    assert isinstance(results.uids, array)
    assert results.uids.itemsize == 4
