"""Canonical addresses: delegation.md section 1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.identity import AccountId, Actor, Address, BadAddress


@pytest.mark.parametrize(
    ("local", "domain"),
    [
        ("", "acme.test"),
        ("a", ""),
        ("cafe\u0301", "acme.test"),  # not NFC
        ("\uff41nna", "acme.test"),  # changes under NFKC
        ("\u2126", "acme.test"),  # Ohm sign: changes under NFC
        ("a", "ACME.test"),
        ("a", "bücher.test"),
    ],
)
def test_what_is_not_canonical_is_no_address(local: str, domain: str) -> None:
    with pytest.raises(BadAddress):
        Address(local, domain)


@pytest.mark.parametrize(
    ("local", "folded"), [("Anna", "anna"), ("\u00c4NNE", "\u00c4nne"), ("caf\u00e9", "caf\u00e9"), ("a.B+C", "a.b+c")]
)
def test_only_a_to_z_are_folded(local: str, folded: str) -> None:
    assert Address(local, "acme.test").folded() == Address(folded, "acme.test")


@pytest.mark.parametrize(
    ("local", "delimiter", "cut"),
    [
        ("anna+x", "+", "anna"),
        ("anna+x+y", "+", "anna"),
        ("anna", "+", None),
        ("+x", "+", None),
        ("anna-x", "-", "anna"),
        ("anna+x", "", None),
    ],
)
def test_a_tag_is_cut_at_the_first_delimiter(local: str, delimiter: str, cut: str | None) -> None:
    assert Address(local, "acme.test").without_tag(delimiter) == (Address(cut, "acme.test") if cut else None)


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=2))
def test_any_text_is_an_address_or_the_documented_error(local: str, domain: str, delimiter: str) -> None:
    try:
        address = Address(local, domain)
    except BadAddress:
        return
    assert address.folded().folded() == address.folded()
    cut = address.without_tag(delimiter)
    assert cut is None or address.local.startswith(cut.local)


def test_who_answers_for_a_session_is_the_one_who_typed_the_password() -> None:
    assert Actor(AccountId(1), Address("anna", "acme.test")).person == 1
    assert Actor(AccountId(1), Address("anna", "acme.test"), via=AccountId(2)).person == 2
