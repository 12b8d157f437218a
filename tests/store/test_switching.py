import asyncio
from functools import partial

import pytest

from store.switching import awaited, switched


async def later(value: int) -> int:
    await asyncio.sleep(0)
    return value


async def failing() -> int:
    await asyncio.sleep(0)
    raise KeyError("gone")


def summed(numbers: range) -> int:
    return sum(awaited(later(number)) for number in numbers)


async def test_a_function_waits_on_the_loop_as_often_as_it_likes() -> None:
    assert await switched(partial(summed, range(100))) == 4950
    assert await switched(lambda: 7) == 7


async def test_many_at_once_are_not_in_each_others_way() -> None:
    answers = await asyncio.gather(*(switched(partial(summed, range(number))) for number in range(30)))
    assert answers == [sum(range(number)) for number in range(30)]


async def test_what_is_raised_is_raised_where_it_is_awaited_and_may_be_caught_there() -> None:
    def catches() -> str:
        try:
            awaited(failing())
        except KeyError:
            return f"caught, and {awaited(later(3))}"
        return "nothing"

    assert await switched(catches) == "caught, and 3"
    with pytest.raises(KeyError):
        await switched(lambda: awaited(failing()))


async def test_a_function_that_is_cancelled_hears_of_it_and_may_clean_up() -> None:
    cleaned: list[int] = []

    def waits() -> None:
        try:
            awaited(asyncio.sleep(3600))
        finally:
            cleaned.append(awaited(later(1)))

    task = asyncio.create_task(switched(waits))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned == [1]


async def test_one_within_another_waits_for_its_own() -> None:
    async def inner(number: int) -> int:
        return await switched(lambda: awaited(later(number)) + 1)

    assert await switched(lambda: awaited(inner(1)) + awaited(inner(10))) == 13


async def test_outside_nobody_is_there_to_wait() -> None:
    with pytest.raises(RuntimeError, match="nobody is there"):
        awaited(later(1))
