import asyncio

import pytest

from store import lending
from store.errors import Busy
from store.lending import Lending


def lender(most: int, discarded: list[int]) -> Lending[int]:
    numbers = iter(range(100))

    async def opens() -> int:
        await asyncio.sleep(0)
        return next(numbers)

    return Lending(opens, discarded.append, most)


async def test_the_last_returned_is_lent_first_and_no_more_are_opened_than_may_be() -> None:
    discarded: list[int] = []
    lent = lender(2, discarded)
    first, second = await lent.take(), await lent.take()
    waiting = asyncio.create_task(lent.take())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    lent.give(first)
    assert await waiting == first
    lent.give(second)
    lent.give(first)
    assert await lent.take() == first
    assert discarded == []


async def test_a_broken_one_leaves_its_place_to_another() -> None:
    discarded: list[int] = []
    lent = lender(1, discarded)
    first = await lent.take()
    waiting = asyncio.create_task(lent.take())
    await asyncio.sleep(0.01)
    lent.give(first, broken=True)
    assert await waiting == 1
    assert discarded == [0]


async def test_idle_ones_can_be_forgotten_all_at_once() -> None:
    discarded: list[int] = []
    lent = lender(3, discarded)
    for one in [await lent.take() for _ in range(3)]:
        lent.give(one)
    lent.forget_idle()
    assert sorted(discarded) == [0, 1, 2]
    assert await lent.take() == 3


async def test_nobody_waits_for_ever_and_nobody_gets_one_that_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "TAKE_SECONDS", 0.05)
    discarded: list[int] = []
    lent = lender(1, discarded)
    first = await lent.take()
    with pytest.raises(Busy):
        await lent.take()
    closed: list[int] = []

    async def closes(one: int) -> None:
        closed.append(one)

    await lent.close(closes)
    with pytest.raises(Busy, match="closed"):
        await lent.take()
    lent.give(first)
    assert (discarded, closed) == ([0], [])


async def test_those_that_are_picked_are_lent() -> None:
    lent = lender(3, [])
    several = [await lent.take() for _ in range(3)]
    for one in several:
        lent.give(one)
    assert lent.has(lambda one: one == 1)
    assert lent.pick(lambda one: one == 1) == [1]
    assert not lent.has(lambda one: one == 1)
    assert {await lent.take(), await lent.take()} == {0, 2}
    waiting = asyncio.create_task(lent.take())
    await asyncio.sleep(0.01)
    lent.give(1)
    assert await waiting == 1
