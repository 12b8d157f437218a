"""App passwords are long, read however they are typed, and known again by their hash."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.apppasswords import ALPHABET, LENGTH, SELECTOR, made, read

KEY = b"k" * 32


def test_there_is_nothing_to_guess() -> None:
    assert len(set(ALPHABET)) == 32
    assert (LENGTH - SELECTOR) * 5 >= 100, "bits beside the selector"
    assert len({made().text for _ in range(100)}) == 100


@pytest.mark.parametrize("spell", [str, str.upper, lambda s: s.replace("-", ""), lambda s: s.replace("-", " "), lambda s: f" {s} "])
def test_however_it_is_typed(spell: object) -> None:
    one = made()
    assert callable(spell)
    assert read(spell(one.spelled).encode()) == one


def test_it_is_known_again_and_no_other_is() -> None:
    one = made()
    verifier = one.verifier(KEY)
    assert one.is_right(verifier, KEY)
    assert not made().is_right(verifier, KEY)
    assert not one.is_right(verifier, b"another")
    wrong = read((one.text[:-1] + ("a" if one.text[-1] != "a" else "b")).encode())
    assert wrong is not None
    assert not wrong.is_right(verifier, KEY)
    assert one.text not in repr(one)


@pytest.mark.parametrize(
    "typed", [b"", b"correct horse 7", b"a" * 27, b"a" * 29, b"l" * 28, b"0" * 28, b"a" * 28 + b"-" * 64, "ä".encode() * 14]
)
def test_what_is_none(typed: bytes) -> None:
    assert read(typed) is None


@given(st.binary(max_size=200))
def test_whatever_octets_come(typed: bytes) -> None:
    found = read(typed)
    assert found is None or read(found.spelled.encode()) == found
