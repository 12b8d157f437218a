"""The closed list of reasons."""

from policy.reasons import Defer, Reason, Refuse


def test_every_reason_has_a_name_of_its_own_that_says_what_it_is() -> None:
    assert len({str(reason) for reason in Reason}) == len(Reason)
    assert all(str(reason) == reason.name.lower().replace("_", "-") for reason in Reason)


def test_now_and_later_are_told_apart() -> None:
    verdicts: set[object] = {Refuse(Reason.BUSY), Defer(Reason.BUSY)}
    assert len(verdicts) == 2
