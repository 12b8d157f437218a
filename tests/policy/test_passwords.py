"""Which rules a password breaks, by hand; how old it may get."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.cos import DEFAULTS, ServiceValues
from policy.passwords import DAY, broken_rules, changeable_from, is_common, is_over_age

STRICT = ServiceValues(
    password_min_length=8,
    password_min_upper_case_chars=1,
    password_min_lower_case_chars=2,
    password_min_numeric_chars=1,
    password_min_punctuation_chars=1,
    password_min_digits_or_puncs=3,
)


@pytest.mark.parametrize(
    ("password", "names"),
    [
        ("Abcd12!x", []),
        ("Übér 12!", []),
        ("Abcd12x!", []),
        ("Abx12!!", ["passwordMinLength"]),
        ("abcd12!x", ["passwordMinUpperCaseChars"]),
        ("ABCD12!x", ["passwordMinLowerCaseChars"]),
        ("Abcd!!!x", ["passwordMinNumericChars"]),
        ("Abcd123x", ["passwordMinPunctuationChars"]),
        ("Abcdef1!", ["passwordMinDigitsOrPuncs"]),
        ("abcdefgh", ["passwordMinUpperCaseChars", "passwordMinNumericChars", "passwordMinPunctuationChars", "passwordMinDigitsOrPuncs"]),
    ],
)
def test_each_rule_has_its_name(password: str, names: list[str]) -> None:
    found = broken_rules(password, STRICT)
    assert [one.partition(": ")[2].split()[0] for one in found] == names


def test_the_defaults_are_carbonios() -> None:
    assert broken_rules("secret", DEFAULTS) == ()
    assert broken_rules("secre", DEFAULTS) == ("too short: passwordMinLength asks for 6 characters",)


COMMON = [
    "password",
    "Password1!",
    "P@ssw0rd",
    "passwordpassword",
    "123456",
    "qwertyuiop",
    "qwerasdf",
    "poiuytrewq",
    "aaaaaaaa",
    "abababab",
]
COMMON += ["Sommer2026", "letmein!", "!!admin99", "anna1990", "Anna.Verdi".partition(".")[2] + "7", "acme2027", "fdsarewq"]
FINE = ["correct horse 7", "Tr0ub4dor&3", "kx7f9m2qab", "anna likes pears", "qwertz?Stuhl", "passwords are old hat", "Zürich-Hbf-17"]


@pytest.mark.parametrize("password", COMMON)
def test_what_is_tried_first(password: str) -> None:
    assert is_common(password, {"anna", "verdi", "acme"})
    assert broken_rules(password, ServiceValues(password_min_length=0, password_block_common_enabled=True), {"anna", "verdi", "acme"})


@pytest.mark.parametrize("password", FINE)
def test_what_is_not(password: str) -> None:
    assert not is_common(password, {"anna", "verdi", "acme", "a"})


@given(st.text(max_size=60), st.lists(st.text(max_size=10), max_size=4))
def test_any_text_gets_an_answer(password: str, names: list[str]) -> None:
    broken_rules(password, STRICT, names)
    is_common(password, names)


def test_a_long_one_takes_linear_time() -> None:
    began = time.process_time()
    is_common("abcdefghijkl" * 5_000)
    is_common("1!" * 30_000)
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("age", "most", "over"), [(0, 0, False), (900, 0, False), (29, 30, False), (30, 30, True), (31, 30, True), (None, 30, False)]
)
def test_age(age: int | None, most: int, over: bool) -> None:
    set_at = None if age is None else 5 * DAY
    assert is_over_age(set_at, ServiceValues(password_max_age=most), (5 + (age or 0)) * DAY) is over


def test_when_it_may_be_changed() -> None:
    rules = ServiceValues(password_min_age=2)
    assert changeable_from(10 * DAY, rules, 11 * DAY) == 12 * DAY
    assert changeable_from(10 * DAY, rules, 12 * DAY) is None
    assert changeable_from(None, rules, 11 * DAY) is None
    assert changeable_from(10 * DAY, DEFAULTS, 10 * DAY) is None
