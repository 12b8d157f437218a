"""What is wanted is asked for at once, and only where something is."""

import pytest

from store.away import Away, Want, Wanting


def test_what_is_noted_is_asked_for_once_and_in_order() -> None:
    wanting = Wanting()
    done = []
    for place in ("a", "b", "a", "here"):
        with wanting.noted():
            if place != "here":
                raise Away((Want(place),))
            done.append(place)
    assert done == ["here"]
    with pytest.raises(Away) as caught:
        wanting.settle()
    assert caught.value.wanted == (Want("a"), Want("b"))


def test_what_is_here_needs_no_second_round() -> None:
    wanting = Wanting()
    with wanting.noted():
        pass
    wanting.settle()


def test_other_failures_are_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError), Wanting().noted():
        raise ZeroDivisionError
