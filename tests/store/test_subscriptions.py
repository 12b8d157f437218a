import pytest

from store import subscriptions
from store.errors import LimitReached
from store.port import FoldersChanged
from store.subscriptions import Subscribe, Unsubscribe
from tests.store.letters import Bench


def test_a_name_is_subscribed_whether_the_folder_exists_or_not(bench: Bench) -> None:
    bench.do(Subscribe(bench.anna, bench.anna, "/never made"))
    assert FoldersChanged(bench.anna) in bench.events
    bench.do(Subscribe(bench.anna, bench.bruno, "/INBOX"))
    assert bench.ask(subscriptions.of_subscriber, bench.anna) == {
        (bench.anna, "/never made"): True,
        (bench.bruno, "/INBOX"): True,
    }
    bench.do(Unsubscribe(bench.anna, bench.anna, "/never made"))
    bench.do(Unsubscribe(bench.anna, bench.anna, "/unknown"))
    assert bench.ask(subscriptions.of_subscriber, bench.anna) == {(bench.bruno, "/INBOX"): True}


def test_not_wanting_a_computed_one_is_remembered_until_it_is_wanted_again(bench: Bench) -> None:
    bench.do(Unsubscribe(bench.anna, bench.bruno, "/INBOX", computed=True))
    assert bench.ask(subscriptions.of_subscriber, bench.anna) == {(bench.bruno, "/INBOX"): False}
    bench.do(Subscribe(bench.anna, bench.bruno, "/INBOX"))
    assert bench.ask(subscriptions.of_subscriber, bench.anna) == {(bench.bruno, "/INBOX"): True}


def test_subscriptions_are_each_ones_own(bench: Bench) -> None:
    bench.do(Subscribe(bench.anna, bench.anna, "/INBOX"))
    assert bench.ask(subscriptions.of_subscriber, bench.bruno) == {}


def test_there_are_only_so_many(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "MAX_SUBSCRIPTIONS", 1)
    bench.do(Subscribe(bench.anna, bench.anna, "/a"))
    with pytest.raises(LimitReached):
        bench.do(Subscribe(bench.anna, bench.anna, "/b"))
