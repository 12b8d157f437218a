from dataclasses import replace

import pytest

from policy.breakglass import Party, Window, is_open, judge_break_glass
from policy.identity import AccountId, Address
from policy.reasons import Reason
from policy.scope import Scope

OWNER, ADMIN, OTHER = AccountId(1), AccountId(2), AccountId(3)
PERSON = Party(ADMIN, Address("root", "acme.test"), True)
OF = Party(OWNER, Address("olga", "acme.test"), False)
WINDOW = Window(7, OWNER, ADMIN, "the audit", 100, 200)


@pytest.mark.parametrize(("now", "expected"), [(99, False), (100, True), (199, True), (200, False)])
def test_a_window_is_open_from_its_beginning_to_its_end(now: int, expected: bool) -> None:
    assert is_open(WINDOW, now) is expected
    decision = judge_break_glass(PERSON, OF, [WINDOW], now)
    assert decision.allowed is expected
    assert decision.valid_until == (200 if expected else None)


def test_one_that_was_closed_is_open_no_more() -> None:
    assert not judge_break_glass(PERSON, OF, [replace(WINDOW, closed=150)], 160).allowed


@pytest.mark.parametrize(("person", "account"), [(OTHER, OWNER), (ADMIN, OTHER), (OWNER, ADMIN)])
def test_it_is_for_one_person_on_one_account(person: AccountId, account: AccountId) -> None:
    refusal = judge_break_glass(replace(PERSON, account=person), replace(OF, account=account), [WINDOW], 150).refusal
    assert refusal is not None
    assert refusal.reason is Reason.AUTHORIZATION_REFUSED


def test_the_longest_of_several_counts_and_its_reason_is_told() -> None:
    decision = judge_break_glass(PERSON, OF, [WINDOW, replace(WINDOW, id=8, reason="again", expires=300)], 150)
    assert (decision.because, decision.valid_until) == ("break-glass window 8: again", 300)


def test_it_ends_with_what_it_was_opened_for() -> None:
    for person, owner in ((replace(PERSON, is_global=False), OF), (PERSON, replace(OF, is_global=True))):
        assert not judge_break_glass(person, owner, [WINDOW], 150).allowed
    by_app_password = judge_break_glass(PERSON, OF, [WINDOW], 150, Scope(1, "phone"))
    assert (by_app_password.allowed, "app password" in by_app_password.because) == (False, True)
