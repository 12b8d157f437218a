"""Whichever way a list is reached, it is asked whether the poster may."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.refusal import Refused
from policy.delivery import Door
from policy.grants import SendRight
from policy.reasons import Reason
from policy.status import AccountStatus
from store.accounts import SetGlobalAdministrator
from store.addresses import AddAlias
from store.lists import AddMembers, CreateList
from tests.gateway.house import House, address, letter, opened

STRANGER = "stan@elsewhere.test"
MAIL = letter(STRANGER, "team@acme.test", "Subject: hello")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "carla") as house:
        yield house


async def restricted(house: House) -> None:
    """`board`, to which only anna may post, has carla in it."""
    await house.group("board", "carla")
    await house.grant("board", "anna", SendRight.SEND_TO_LIST)


async def by_tag(house: House) -> None:
    await restricted(house)
    await house.group("team", "bruno", "board+x")


async def before_it_was_a_list(house: House) -> None:
    await house.group("team", "bruno", "board")
    await restricted(house)


async def by_an_alias_that_came_later(house: House) -> None:
    await house.group("team", "bruno", "directors")
    await restricted(house)
    await house.store.do(AddAlias(house.ids["board"], address("directors")))


async def through_another(house: House) -> None:
    await restricted(house)
    await house.group("inner", "board+x")
    await house.group("team", "bruno", "inner+y")


@pytest.mark.parametrize(
    "arrange", [by_tag, before_it_was_a_list, by_an_alias_that_came_later, through_another], ids=lambda one: one.__name__
)
async def test_a_restricted_list_behind_a_kept_address(house: House, arrange: object) -> None:
    await arrange(house)  # type: ignore[operator]
    await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    assert [len(await house.mail(name)) for name in ("bruno", "carla")] == [1, 0]
    await house.bring(Door.LMTP, "anna@acme.test", ["team"], letter("anna@acme.test", "team@acme.test"))
    assert [len(await house.mail(name)) for name in ("bruno", "carla")] == [2, 1]


async def test_a_list_that_is_restricted_meanwhile(house: House) -> None:
    """What was judged about it is in the witness, also where no membership leads to it."""
    await house.group("board", "carla")
    await house.group("team", "bruno", "board+x")
    house.store.before = [lambda: house.grant("board", "anna", SendRight.SEND_TO_LIST)]
    await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    assert [len(await house.mail(name)) for name in ("bruno", "carla")] == [1, 0]


async def test_an_address_that_came_to_be_a_list_meanwhile(house: House) -> None:
    await house.group("team", "bruno", "board")

    async def found() -> None:
        board = await house.store.do(CreateList(address("board")))
        await house.store.do(AddMembers(board, [address("carla")]))

    house.store.before = [found]
    await house.bring(Door.LMTP, STRANGER, ["team"], MAIL)
    assert [len(await house.mail(name)) for name in ("bruno", "carla")] == [1, 1]


async def administered(house: House, *names: str) -> None:
    for name in names:
        await house.store.do(SetGlobalAdministrator(house.ids[name], True))


@pytest.mark.parametrize("recipient", ["postmaster@acme.test", "PostMaster@mx.acme.test"])
@pytest.mark.parametrize("door", [Door.MX, Door.LMTP])
async def test_what_is_for_the_postmaster_reaches_who_administers(house: House, door: Door, recipient: str) -> None:
    await administered(house, "anna", "carla")
    await house.bring(door, STRANGER, [recipient], MAIL)
    await house.bring(door, "", [recipient], MAIL)
    assert [len(await house.mail(name)) for name in ("anna", "bruno", "carla")] == [2, 0, 2]


async def test_people_write_to_the_postmaster_too(house: House) -> None:
    await administered(house, "carla")
    await house.submit("anna", "anna@acme.test", "postmaster@acme.test", letter("anna@acme.test"))
    assert len(await house.mail("carla")) == 1


async def test_a_postmaster_of_ones_own_comes_first(house: House) -> None:
    await administered(house, "carla")
    await house.store.do(AddAlias(house.ids["bruno"], address("postmaster")))
    await house.bring(Door.MX, STRANGER, ["postmaster"], MAIL)
    assert [len(await house.mail(name)) for name in ("bruno", "carla")] == [1, 0]


async def test_where_nobody_administers_there_is_no_postmaster(house: House) -> None:
    with pytest.raises(Refused) as refused:
        await house.bring(Door.MX, STRANGER, ["postmaster"], MAIL)
    assert refused.value.verdict.reason is Reason.RECIPIENT_UNKNOWN


async def test_the_postmaster_of_another_server_is_not_ours(house: House) -> None:
    await administered(house, "carla")
    with pytest.raises(Refused) as refused:
        await house.bring(Door.MX, STRANGER, ["postmaster@elsewhere.test"], MAIL)
    assert refused.value.verdict.reason is Reason.RELAY_NOT_PERMITTED


async def test_who_administers_and_takes_no_mail_is_passed_over(house: House) -> None:
    await administered(house, "anna", "carla")
    await house.status("anna", AccountStatus.CLOSED)
    await house.bring(Door.MX, STRANGER, ["postmaster"], MAIL)
    assert [len(await house.mail(name)) for name in ("anna", "carla")] == [0, 1]
