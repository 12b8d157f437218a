from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policy.identity import Address, ListId
from policy.lists import DAY, BounceRules
from store import list_bounces, lists, members
from store.errors import NotFound
from store.list_bounces import ClearBounces, CountBounce, TellSuspended
from store.lists import AddMembers, RemoveMembers
from tests.gateway.house import House, opened

RULES = BounceRules(2, 10 * DAY)
FRIEND = Address("Friend", "elsewhere.test")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna") as house:
        yield house


async def team_of(house: House) -> tuple[ListId, int]:
    team = await house.group("team", "anna", str(FRIEND))
    number = await house.ask(members.number_of, team, Address("friend", "elsewhere.test"))
    assert number is not None
    return team, number


async def test_a_member_is_suspended_once_told_once_and_resumed(house: House) -> None:
    team, number = await team_of(house)
    assert await house.ask(list_bounces.of_list, team) == []
    assert await house.store.do(CountBounce(number, "x" * 1000, RULES)) is False
    assert await house.store.do(CountBounce(number, "the same day", RULES)) is False
    assert [one.address for one in await house.ask(lists.expand, team)] == [Address("anna", "acme.test"), FRIEND]
    house.clock.turn(86400)
    assert await house.store.do(CountBounce(number, "no such user", RULES)) is True
    (found,) = await house.ask(list_bounces.of_list, team)
    assert (found.id, found.list, found.address, found.reason) == (number, team, FRIEND, "no such user")
    assert found.history is not None
    assert (found.history.score, found.history.suspended) == (2, house.clock.at)
    assert await house.store.do(CountBounce(number, "again", RULES)) is False
    assert [one.address for one in await house.ask(lists.expand, team)] == [Address("anna", "acme.test")]
    assert FRIEND in [one.address for one in await house.ask(lists.members, team)]
    assert [one.id for one in await house.ask(list_bounces.untold)] == [number]
    assert await house.store.do(TellSuspended(number)) is True
    assert await house.store.do(TellSuspended(number)) is False
    assert await house.ask(list_bounces.untold) == []
    await house.store.do(ClearBounces(number))
    assert len(await house.ask(lists.expand, team)) == 2
    with pytest.raises(NotFound):
        await house.store.do(ClearBounces(number))


async def test_a_number_is_never_used_again(house: House) -> None:
    team, number = await team_of(house)
    await house.store.do(CountBounce(number, "x", RULES))
    await house.store.do(RemoveMembers(team, [FRIEND]))
    await house.store.do(AddMembers(team, [FRIEND]))
    other = await house.ask(members.number_of, team, FRIEND)
    assert other != number
    assert await house.store.do(CountBounce(number, "x", BounceRules(1, DAY))) is False
    assert await house.ask(list_bounces.of_list, team) == []
    assert await house.ask(list_bounces.by_member, number) is None
