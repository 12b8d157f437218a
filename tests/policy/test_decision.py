"""Verdicts with what led to them."""

from policy.decision import Decision, Step, Witness, step
from policy.grantees import Grantee, GranteeKind
from policy.reasons import Reason, Refuse

TEAM = Grantee(GranteeKind.GROUP, 11)


def test_the_deciding_step_is_the_reason_given() -> None:
    decision = Decision(None, (Step("looked"), Step("found", decided=True), Step("more")))
    assert decision.allowed
    assert decision.because == "found"


def test_without_a_deciding_step_the_last_one_is_given() -> None:
    assert Decision(Refuse(Reason.RIGHT_MISSING), (Step("looked"), Step("nothing"))).because == "nothing"
    assert Decision(None).because == ""
    assert Decision(None).deciding is None


def test_a_step_is_told_with_numbers_or_with_names() -> None:
    one = step(TEAM, " holds sendAs", grantee=TEAM, right="sendAs")
    assert one.text == "group #11 holds sendAs"
    assert one.named(lambda grantee: f"<{grantee.id}@acme.test>") == "<11@acme.test> holds sendAs"


def test_a_folder_named_like_a_grantee_is_not_renamed() -> None:
    one = step(TEAM, " on /group #11: r")
    assert one.named(lambda _: "team") == "team on /group #11: r"
    assert Step("group #11").named(lambda _: "team") == "group #11"


def test_joined_witnesses_keep_the_older_epoch_and_the_earlier_end() -> None:
    joined = Witness(((1, 5), (2, 7)), 90).joined(Witness(((2, 6), (3, 1)), 80))
    assert joined == Witness(((1, 5), (2, 6), (3, 1)), 80)
    assert Witness((), None).joined(Witness((), 4)).valid_until == 4
    assert Witness().joined(Witness()).valid_until is None
