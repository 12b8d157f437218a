"""What tells two distributions of times apart: the arithmetic of `distributions.py`, without a clock."""

from __future__ import annotations

import random

import pytest

from tests.hostile.distributions import by_chance, dominance, report


def test_dominance_counts_pairs() -> None:
    assert dominance([1, 2, 3], [1, 2, 3]) == 0.5
    assert dominance([4, 5], [1, 2, 3]) == 1.0
    assert dominance([0], [1, 2, 3]) == 0.0
    assert dominance([2], [1, 2, 3, 4]) == pytest.approx((1 + 0.5) / 4)


def test_it_is_what_counting_every_pair_gives() -> None:
    chance = random.Random(7)
    one, other = ([chance.randrange(20) for _ in range(size)] for size in (31, 17))
    slow = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in one for b in other) / (31 * 17)
    assert dominance(one, other) == pytest.approx(slow)


def test_one_distribution_is_not_told_apart_from_itself_and_a_shifted_one_is(capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(11)
    drawn = {name: [chance.gauss(20, 2) for _ in range(300)] for name in ("one", "other", "third")}
    words = {name: {"NO"} for name in drawn}
    assert report("alike", drawn, words)
    assert "3 pairs, 0 told apart" in capsys.readouterr().out
    drawn["third"] = [value + 1 for value in drawn["third"]]
    assert not report("shifted", drawn, words)
    assert "3 pairs, 2 told apart" in capsys.readouterr().out


def test_more_tries_see_smaller_differences() -> None:
    assert by_chance(100, 100) > 2 * by_chance(1000, 1000) > 0.05
