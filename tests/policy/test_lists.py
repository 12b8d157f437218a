import pytest

from policy.lists import (
    DAY,
    BounceHistory,
    BounceRules,
    Joining,
    ListRules,
    Moderation,
    after_bounce,
    judge_moderation,
    list_rules,
    says_unreachable,
)

RULES = BounceRules(limit=3, forget=10 * DAY)


def test_a_list_that_nobody_has_set_lets_nobody_in_by_mail_and_holds_nothing() -> None:
    assert list_rules({}) == ListRules(Joining.REJECT, Joining.REJECT, Moderation.NONE)
    assert list_rules({"subscriptionPolicy": "", "moderation": ""}) == ListRules()


def test_what_is_set_counts_and_what_cannot_be_read_is_strict() -> None:
    assert list_rules({"subscriptionPolicy": "accept", "unsubscriptionPolicy": "approval", "moderation": "non-members"}) == ListRules(
        Joining.ACCEPT, Joining.APPROVAL, Moderation.NON_MEMBERS
    )
    assert list_rules({"subscriptionPolicy": "perhaps", "moderation": "perhaps"}) == ListRules(moderation=Moderation.ALL)


@pytest.mark.parametrize(("kept", "restricted"), [({}, False), ("", False), ("FALSE", False), ("TRUE", True), ("perhaps", True)])
def test_what_cannot_be_read_restricts(kept: str | dict[str, str], restricted: bool) -> None:
    attributes = {"postingRestricted": kept} if isinstance(kept, str) else kept
    assert list_rules(attributes).restricted is restricted


@pytest.mark.parametrize(
    ("moderation", "owner", "member", "stranger"),
    [(Moderation.NONE, False, False, False), (Moderation.NON_MEMBERS, False, False, True), (Moderation.ALL, False, True, True)],
)
def test_whose_post_waits(moderation: Moderation, owner: bool, member: bool, stranger: bool) -> None:
    rules = ListRules(moderation=moderation)
    assert judge_moderation(rules, is_owner=True, is_member=False) is owner
    assert judge_moderation(rules, is_owner=True, is_member=True) is owner
    assert judge_moderation(rules, is_owner=False, is_member=True) is member
    assert judge_moderation(rules, is_owner=False, is_member=False) is stranger


def after(*days: float) -> BounceHistory | None:
    history = None
    for day in days:
        history = after_bounce(history, int(day * DAY), RULES)
    return history


@pytest.mark.parametrize(
    ("days", "score", "suspended"),
    [
        ((5,), 1, None),
        ((5, 5.1, 5.9), 1, None),  # one day
        ((5, 6), 2, None),
        ((5.9, 6.1), 2, None),  # two days, however near
        ((5, 6, 7), 3, 7),
        ((5, 9, 18), 3, 18),  # never ten days without one
        ((5, 6, 16.5), 1, None),  # ten days without one
        ((5, 6, 7, 8, 8.5), 4, 7),
        ((5, 6, 7, 30), 1, 7),  # mail that had been under way
    ],
)
def test_days_with_bounces_add_up(days: tuple[float, ...], score: int, suspended: float | None) -> None:
    history = after(*days)
    assert history is not None
    assert (history.score, history.suspended) == (score, None if suspended is None else suspended * DAY)


@pytest.mark.parametrize(
    ("status", "says"),
    [
        *((one, True) for one in ("5.1.1", "5.0.0", "5.2.1", "5.2.2", "4.4.7", "4.4.1", "5.4.4", "5.3.0", "5.5.0")),
        *((one, False) for one in ("5.7.1", "5.7.26", "5.6.0", "5.2.3", "5.3.4", "5.4.6", "", "5", "5.1", "x.y.z")),
    ],
)
def test_which_failures_speak_of_the_member(status: str, says: bool) -> None:
    assert says_unreachable(status) is says
