from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from store.runs import LAST_UID, common, key, merged, runs_of, span, without

some_runs = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)))


@given(some_runs)
def test_merged_runs_are_the_same_set_in_order_and_apart(runs: list[tuple[int, int]]) -> None:
    found = merged(runs)
    assert {uid for low, high in found for uid in range(low, high + 1)} == {
        uid for low, high in runs for uid in range(max(low, 1), high + 1)
    }
    assert all(before[1] + 1 < after[0] for before, after in pairwise(found))


@given(st.sets(st.integers(1, 80)))
def test_runs_of_uids_are_as_few_as_can_be(uids: set[int]) -> None:
    assert list(runs_of(sorted(uids))) == merged([(uid, uid) for uid in uids])


def test_runs_beyond_what_a_uid_can_be_are_cut() -> None:
    assert merged([(1, 1 << 40)]) == [(1, LAST_UID)]


def test_the_spans_of_folders_do_not_overlap() -> None:
    assert span(7)[1] < span(8)[0] == key(8, 0)


@given(some_runs, some_runs)
def test_what_two_sets_have_in_common(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    both = [{uid for low, high in merged(side) for uid in range(low, high + 1)} for side in (left, right)]
    assert common(merged(left), merged(right)) == merged(list(runs_of(sorted(both[0] & both[1]))))


@given(some_runs, some_runs)
def test_what_is_left_is_what_was_not_taken(runs: list[tuple[int, int]], taken: list[tuple[int, int]]) -> None:
    left = without(merged(runs), merged(taken))
    gone = {uid for low, high in merged(taken) for uid in range(low, high + 1)}
    assert {uid for low, high in left for uid in range(low, high + 1)} == {
        uid for low, high in merged(runs) for uid in range(low, high + 1)
    } - gone
    assert left == merged(left)
