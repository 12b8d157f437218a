"""The index of followers against a plain dictionary of sets."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.followers import Followers

CHANGES = st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.sampled_from("abcd")), max_size=60)


@given(CHANGES)
def test_it_holds_what_a_dictionary_of_sets_holds(changes: list[tuple[bool, int, str]]) -> None:
    followers: Followers[int, str] = Followers()
    plain: dict[int, set[str]] = {}
    for comes, key, one in changes:
        if comes:
            followers.add(key, one)
            plain.setdefault(key, set()).add(one)
        else:
            followers.discard(key, one)
            plain.get(key, set()).discard(one)
            plain = {key: there for key, there in plain.items() if there}
        assert set(followers) == set(plain)
        assert len(followers) == len(plain)
        for asked in range(4):
            assert set(followers.of(asked)) == plain.get(asked, set())
            assert followers.count(asked) == len(list(followers.of(asked))) == len(plain.get(asked, ()))
        assert followers.everyone() == set().union(*plain.values())
