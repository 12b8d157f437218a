import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.list_chores import ListChores
from policy.delivery import Door
from policy.lists import DAY, BounceRules
from store import list_requests, members
from store.list_bounces import CountBounce
from store.lists import ModifyList
from tests.gateway.house import House, address, letter, opened

FRIEND = "friend@elsewhere.test"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "owen", "olive") as house:
        yield house


async def suspend(house: House) -> None:
    team = await house.group("team", FRIEND, owners=["owen", "olive"])
    number = await house.ask(members.number_of, team, address(FRIEND))
    assert number is not None
    await house.store.do(CountBounce(number, "no such user", BounceRules(1, DAY)))


async def test_owners_are_told_once(house: House) -> None:
    chores = ListChores(house.store, house.delivery)
    await suspend(house)
    for _ in range(3):
        await chores.round()
    assert (len(await house.mail("owen")), len(await house.mail("olive"))) == (1, 1)
    assert [row.entry.event for row in await house.records()] == ["member suspended"]


async def test_it_runs_when_something_changes(house: House) -> None:
    chores = ListChores(house.store, house.delivery)
    unwatch = house.store.watch(chores.told)
    task = asyncio.create_task(chores.run())
    try:
        await asyncio.sleep(0)
        await suspend(house)
        async with asyncio.timeout(20):
            while not await house.mail("olive"):
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        unwatch()


async def test_what_nobody_confirmed_is_forgotten(house: House) -> None:
    team = await house.group("team")
    await house.store.do(ModifyList(team, attributes={"subscriptionPolicy": "accept"}))
    await house.bring(Door.LMTP, FRIEND, ["team-subscribe"], letter(FRIEND, "x@acme.test"))
    chores = ListChores(house.store, house.delivery)
    await chores.forget()
    assert len(await house.ask(list_requests.waiting)) == 1
    house.clock.turn(4 * 86400)
    await chores.forget()
    assert await house.ask(list_requests.waiting) == []
