"""Which user names are proposed, and which personal values can be."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.people import LONGEST, LONGEST_NAME, checked, latin, numbered, proposals


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("Müller-Lüdenscheidt", "mueller-luedenscheidt"),
        ("Strauß", "strauss"),
        ("O'Brien", "obrien"),
        ("D\u2019Arcy", "darcy"),
        ("de la Cruz", "de-la-cruz"),
        ("Muñoz", "munoz"),
        ("Łukasz", "lukasz"),
        ("Sørensen", "soerensen"),
        ("Mu\u0308ller", "mueller"),
        ("Παπαδόπουλος", "papadopoylos"),
        ("Щербакова", "shcherbakova"),
        ("İpek", "ipek"),
        ("Jr.", "jr"),
        ("林", ""),
        ("  ", ""),
    ],
)
def test_letters_by_a_clear_rule(text: str, spelled: str) -> None:
    assert latin(text) == spelled


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("Ada", "", "Lovelace"), ("a.lovelace", "ada.lovelace", "alovelace", "lovelace.ada", "lovelace", "ada")),
        (
            ("Ada", "K.", "Lovelace"),
            ("a.lovelace", "ada.lovelace", "a.k.lovelace", "ada.k.lovelace", "alovelace", "lovelace.ada", "lovelace", "ada", "k"),
        ),
        (("Ada", "AK", "Byron"), ("a.byron", "ada.byron", "a.k.byron", "ada.k.byron", "abyron", "byron.ada", "byron", "ada", "ak")),
        (("", "AK", "Byron"), ("ak.byron", "byron", "ak")),
        (("Ada", "", ""), ("ada",)),
        (("", "", "Lovelace"), ("lovelace",)),
        (("林", "", "王"), ()),
        (("", "", ""), ()),
    ],
)
def test_what_is_proposed(names: tuple[str, str, str], expected: tuple[str, ...]) -> None:
    assert proposals(*names) == expected


def test_numbers_follow_when_everything_is_taken() -> None:
    found = [*numbered("Ada", "", "Lovelace", 4)]
    assert found[-3:] == ["a.lovelace2", "a.lovelace3", "a.lovelace4"]
    assert [*numbered("", "", "")] == []


@given(st.text(max_size=90), st.text(max_size=20), st.text(max_size=90))
def test_every_proposal_is_a_local_part(given_name: str, initials: str, surname: str) -> None:
    for one in numbered(given_name, initials, surname, 30):
        assert re.fullmatch(r"[a-z0-9]+([.-]+[a-z0-9]+)*", one)
        assert ".." not in one
        assert len(one) <= LONGEST_NAME


def test_personal_values() -> None:
    assert checked({"sn": " Lovelace ", "title": ""}) == {"sn": "Lovelace", "title": ""}
    for bad in ({"nosuch": "x"}, {"sn": "a\nb"}, {"sn": "\ud800"}, {"sn": "x" * (LONGEST + 1)}):
        with pytest.raises(ValueError, match=r"sn|nosuch"):
            checked(bad)
