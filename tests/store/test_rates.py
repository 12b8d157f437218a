"""An exact sliding window, compared with one that remembers everything."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.rates import LONGEST, Rate, RateLimit
from store import rates
from store.model import QueueKind
from store.queue import AcceptMessage, OntoQueue
from store.rates import Counts, ForgetSent, RateReached
from tests.store.letters import START, Bench, letter

SECOND = 1_000_000
HOUR = Rate(3, 3600)


def charge(bench: Bench, limit: RateLimit, recipients: int = 1) -> None:
    bench.within(rates.charge, (limit,), recipients)


def test_so_many_fit_and_the_next_one_when_the_first_has_left(bench: Bench) -> None:
    limit = RateLimit(7, 0, HOUR)
    for _ in range(3):
        charge(bench, limit)
        bench.now += 600 * SECOND
    with pytest.raises(RateReached) as refused:
        charge(bench, limit)
    reached = refused.value.reached
    assert (reached.counts, reached.used, reached.again) == (Counts.MESSAGES, 3, START + 3600 * SECOND)
    bench.now = START + 3600 * SECOND - 1
    assert bench.ask(rates.reached, limit) is not None
    bench.now += 1
    assert bench.ask(rates.reached, limit) is None
    charge(bench, limit)
    assert bench.ask(rates.used, limit, Counts.MESSAGES) == 3


def test_recipients_are_counted_and_what_never_fits_has_no_time(bench: Bench) -> None:
    limit = RateLimit(7, 9, recipients=Rate(10, 60))
    charge(bench, limit, 4)
    bench.now += SECOND
    charge(bench, limit, 5)
    one = bench.ask(rates.reached, limit, 1, 2)
    assert one is not None
    assert (one.counts, one.used, one.again) == (Counts.RECIPIENTS, 9, START + 60 * SECOND)
    six = bench.ask(rates.reached, limit, 1, 6)
    assert six is not None
    assert six.again == START + 61 * SECOND
    never = bench.ask(rates.reached, limit, 1, 11)
    assert never is not None
    assert never.again is None
    assert bench.ask(rates.reached, limit, 1, 1) is None


def test_actors_and_names_are_counted_apart(bench: Bench) -> None:
    own, pair, other = RateLimit(7, 0, HOUR), RateLimit(7, 9, Rate(1, 60)), RateLimit(8, 0, HOUR)
    bench.within(rates.charge, (own, pair), 1)
    with pytest.raises(RateReached) as refused:
        bench.within(rates.charge, (own, pair), 1)
    assert refused.value.reached.limit == pair
    assert bench.ask(rates.used, own, Counts.MESSAGES) == 1, "what was refused counts for nobody"
    assert bench.ask(rates.used, other, Counts.MESSAGES) == 0


def test_a_clock_that_was_set_back_makes_nobody_wait_longer(bench: Bench) -> None:
    limit = RateLimit(7, 0, HOUR)
    bench.now += 30 * 86400 * SECOND
    charge(bench, limit)
    bench.now = START
    charge(bench, limit)
    charge(bench, limit)
    refused = bench.ask(rates.reached, limit)
    assert refused is not None
    assert refused.again == START + 3600 * SECOND
    bench.now += 3600 * SECOND
    assert bench.ask(rates.used, limit, Counts.MESSAGES) == 0


def test_a_clock_that_was_set_back_keeps_nobody_out_who_had_reached_the_limit(bench: Bench) -> None:
    limit = RateLimit(7, 0, HOUR)
    bench.now += 30 * 86400 * SECOND
    while bench.ask(rates.reached, limit) is None:
        charge(bench, limit)
    bench.now = START
    bench.do(ForgetSent())
    refused = bench.ask(rates.reached, limit)
    assert refused is not None
    assert refused.again == START + 3600 * SECOND
    bench.now += 3600 * SECOND
    assert bench.ask(rates.reached, limit) is None


def test_a_limit_that_is_changed_counts_what_was_sent(bench: Bench) -> None:
    charge(bench, RateLimit(7, 0, HOUR, Rate(100, 86400)), 5)
    bench.now += 7200 * SECOND
    assert bench.ask(rates.used, RateLimit(7, 0, recipients=Rate(10, 86400)), Counts.RECIPIENTS) == 5
    assert bench.ask(rates.used, RateLimit(7, 0, HOUR), Counts.MESSAGES) == 0


def test_what_no_limit_can_count_is_forgotten(bench: Bench) -> None:
    limit = RateLimit(7, 0, Rate(1000, 60))
    for _ in range(5):
        charge(bench, limit)
        bench.now += 61 * SECOND
    assert bench.raw.execute("SELECT count(*) FROM sent").fetchone() == (1,)
    bench.now += LONGEST * SECOND
    assert bench.do(ForgetSent()) == 1
    charge(bench, limit)
    assert bench.ask(rates.used, limit, Counts.MESSAGES) == 1


def test_accepting_counts_and_what_is_too_much_leaves_nothing(bench: Bench) -> None:
    limit = (RateLimit(bench.anna, 0, Rate(1, 60), Rate(2, 60)),)
    one = OntoQueue(QueueKind.RELAY, "x@far.test", letter(1), "", START * 2)
    bench.do(AcceptMessage("k1", queued=(one,), limits=limit, recipients=2))
    again = bench.do(AcceptMessage("k1", queued=(one,), limits=limit, recipients=2))
    assert again.repeated, "the same message is counted once"
    with pytest.raises(RateReached):
        bench.do(AcceptMessage("k2", queued=(one,), limits=limit, recipients=2))
    assert bench.raw.execute("SELECT count(*) FROM queue").fetchone() == (1,)
    bench.check()


@dataclass
class Remembered:
    """The same with a list of everything."""

    rate: Rate
    counts: Counts
    there: list[tuple[int, int]] = field(default_factory=list)

    def used(self, now: int) -> int:
        within = [count for at, count in self.there if at > now - self.rate.seconds * SECOND]
        return len(within) if self.counts is Counts.MESSAGES else sum(within)

    def again(self, now: int, asked: int) -> int | None:
        if asked > self.rate.count:
            return None
        times = sorted({now, *(at + self.rate.seconds * SECOND for at, _ in self.there)})
        return next(time for time in times if time >= now and self.used(time) + asked <= self.rate.count)


@settings(max_examples=60)
@given(
    st.integers(1, 6),
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 5)), max_size=40),
)
def test_it_is_the_window_that_remembers_everything(most_messages: int, most_recipients: int, steps: list[tuple[int, int]]) -> None:
    bench = Bench()
    limit = RateLimit(7, 0, Rate(most_messages, 60), Rate(most_recipients, 90))
    models = (Remembered(limit.messages, Counts.MESSAGES), Remembered(limit.recipients, Counts.RECIPIENTS))
    for pause, recipients in steps:
        bench.now += pause * SECOND
        expected = None
        for model, asked in zip(models, (1, recipients), strict=True):
            assert bench.ask(rates.used, limit, model.counts) == model.used(bench.now)
            if expected is None and model.used(bench.now) + asked > model.rate.count:
                expected = (model.counts, model.again(bench.now, asked))
        try:
            charge(bench, limit, recipients)
        except RateReached as refused:
            assert (refused.reached.counts, refused.reached.again) == expected
        else:
            assert expected is None
            for model in models:
                model.there.append((bench.now, recipients))
