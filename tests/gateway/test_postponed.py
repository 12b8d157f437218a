"""What is kept of a postponed submission comes back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.postponed import Postponed, is_postponed, read_postponed
from policy.identity import AccountId, Actor, Address

ANNA, BRUNO = Address("anna", "acme.test"), Address("josé", "acme.test")


@pytest.mark.parametrize("via", [None, AccountId(7)])
@pytest.mark.parametrize("path", [None, ANNA])
@given(name=st.text(max_size=20), at=st.integers(0, 1 << 60), smtputf8=st.booleans())
def test_it_comes_back_as_it_was(via: AccountId | None, path: Address | None, name: str, at: int, smtputf8: bool) -> None:
    actor = Actor(AccountId(3), ANNA, name, via, None if via is None else BRUNO)
    asked = Postponed(at, actor, path, (ANNA, BRUNO), smtputf8, "ESMTPSA", "192.0.2.7")
    assert is_postponed(asked.spelled())
    assert read_postponed(asked.spelled()) == asked


def test_other_rows_are_not_postponed() -> None:
    assert not is_postponed("{}")
    assert not is_postponed('{"notify": "release"}')
