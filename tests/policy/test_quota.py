"""Whom to warn of a mailbox that is nearly full, and when."""

import pytest

from policy.quota import AggregatePolicy, DomainRoom, Usage, effective_quota, is_warning_due

DAY = 86_400
NOW = 1_000 * DAY * 1_000_000


@pytest.mark.parametrize(
    ("used", "limit", "percent", "due"),
    [
        (89, 100, 90, False),
        (90, 100, 90, True),
        (200, 100, 90, True),
        (899, 1000, 90, False),
        (0, 100, 90, False),
        (90, 0, 90, False),  # no limit
        (100, 100, 0, False),  # nobody is warned
        (99, 100, 100, False),
        (100, 100, 100, True),
        (5, 10**15, 1, False),
    ],
)
def test_from_which_use_on(used: int, limit: int, percent: int, due: bool) -> None:
    assert is_warning_due(Usage(used, limit), percent, DAY, None, NOW) is due


@pytest.mark.parametrize(
    ("ago", "due"),
    [(None, True), (0, False), (DAY - 1, False), (DAY, True), (30 * DAY, True), (-1, True)],
)
def test_not_again_within_the_interval(ago: int | None, due: bool) -> None:
    warned = None if ago is None else NOW - ago * 1_000_000
    assert is_warning_due(Usage(95, 100), 90, DAY, warned, NOW) is due


def test_an_interval_of_nothing_warns_each_time() -> None:
    assert is_warning_due(Usage(95, 100), 90, 0, NOW, NOW)


@pytest.mark.parametrize(("used", "limit", "percent"), [(0, 10, 0), (5, 10, 50), (999, 1000, 99), (11, 10, 110), (5, 0, 0)])
def test_percent(used: int, limit: int, percent: int) -> None:
    assert Usage(used, limit).percent == percent


@pytest.mark.parametrize(("own", "largest", "effective"), [(0, 0, 0), (5, 0, 5), (0, 5, 5), (5, 7, 5), (7, 5, 5)], ids=str)
def test_the_least_quota_counts_and_0_is_none(own: int, largest: int, effective: int) -> None:
    assert effective_quota(own, largest) == effective


@pytest.mark.parametrize(
    ("policy", "used", "sends", "takes"),
    [
        (AggregatePolicy.ALLOW_SEND_RECEIVE, 200, True, True),
        (AggregatePolicy.BLOCK_SEND, 99, True, True),
        (AggregatePolicy.BLOCK_SEND, 100, False, True),
        (AggregatePolicy.BLOCK_SEND_RECEIVE, 99, True, True),
        (AggregatePolicy.BLOCK_SEND_RECEIVE, 100, False, False),
    ],
)
def test_a_domain_without_room_does_what_its_policy_says(policy: AggregatePolicy, used: int, sends: bool, takes: bool) -> None:
    room = DomainRoom(100, used, policy)
    assert (room.lets_send, room.takes(1)) == (sends, takes)
    assert DomainRoom(0, used, policy).lets_send
    assert DomainRoom(0, used, policy).takes(1)
