"""What the parts of submission and delivery do to each other: freezes, lists, windows, and people who cease to be while mail waits."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.moderation import Moderation
from gateway.queue import Queue, QueueRules
from gateway.refusal import Refused
from gateway.releases import Releases
from policy.delivery import Door
from policy.grantees import Grantee, GranteeKind
from policy.grants import SendGrant, SendRight
from policy.identity import ListId
from policy.reasons import Defer
from policy.status import AccountStatus
from store import lists
from store.accounts import CreateAccount, DeleteAccount, RenameAccount
from store.addresses import AddAlias
from store.freezes import Freeze, Side, Thaw
from store.grants import SetSendGrant
from store.list_requests import OpenRequest
from store.lists import AddMembers, DeleteList, ModifyList
from store.model import QueueState, RequestKind, Stage
from tests.gateway.house import House, address, letter, opened

HOUR = 3600.0


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "carla", "owen", relays=True) as house:
        yield house


def queue_of(house: House) -> Queue:
    return Queue(
        house.store,
        house.files,
        house.delivery,
        None,
        QueueRules((60.0,), 0, 5),
        Releases(house.store, house.submission, house.delivery),
        moderation=Moderation(house.store, house.delivery),
    )


async def run(house: House, queue: Queue | None = None) -> None:
    queue = queue or queue_of(house)
    async with asyncio.TaskGroup() as attempts:
        while await queue.round(attempts):
            pass


async def moderated(house: House, name: str, *people: str) -> ListId:
    made = await house.group(name, *people, owners=["owen"])
    await house.store.do(ModifyList(made, attributes={"moderation": "all"}))
    return made


async def approve(house: House) -> None:
    found = re.search(rb"Reply-To: (\S+)", (await house.mail("owen"))[-1])
    assert found is not None
    to = found[1].decode()
    await house.submit("owen", "owen@acme.test", to, letter("owen@acme.test", to, "Subject: approve", text=""))


async def in_annas_name(house: House, to: str) -> None:
    await house.submit("bruno", "anna@acme.test", to, letter("anna@acme.test", to, "Subject: hello"))


# --- freezes and lists


async def test_what_an_owner_approves_while_its_poster_is_frozen_goes_when_that_ends(house: House) -> None:
    await moderated(house, "team", "carla")
    await house.grant("anna", "bruno", SendRight.SEND_AS)
    await in_annas_name(house, "team@acme.test")
    await house.store.do(Freeze(house.ids["anna"], Side.PRINCIPAL))
    await approve(house)
    await run(house)
    assert await house.mail("carla") == []
    await house.store.do(Thaw(house.ids["anna"], Side.PRINCIPAL))
    await run(house)
    assert len(await house.mail("carla")) == 1
    assert await house.queued() == []


async def test_what_an_owner_approved_still_stops_with_its_principal(house: House) -> None:
    """The rows to members elsewhere are new ones: whose name stands behind them must not be forgotten."""
    team = await moderated(house, "team", "carla")
    await house.store.do(AddMembers(team, [address("x@else.where")]))
    await house.grant("anna", "bruno", SendRight.SEND_AS)
    await in_annas_name(house, "team@acme.test")
    await approve(house)
    await run(house)
    (row,) = await house.queued()
    assert row.recipient == "x@else.where"
    assert await house.store.do(Freeze(house.ids["bruno"], Side.ACTOR)) == 1
    (row,) = await house.queued()
    assert row.frozen


# --- lists that were restricted


async def posts(house: House, name: str, group: str) -> bool:
    try:
        await house.submit(name, f"{name}@acme.test", group, letter(f"{name}@acme.test", group))
    except Refused:
        return False
    return True


@pytest.mark.parametrize("kind", ["account", "group", "denied"])
async def test_a_list_does_not_open_when_the_only_one_who_may_post_ceases_to_be(house: House, kind: str) -> None:
    team = await house.group("team", "carla")
    if kind == "group":
        staff = await house.group("staff", "anna")
        await house.store.do(SetSendGrant(SendGrant(team, Grantee(GranteeKind.GROUP, staff), SendRight.SEND_TO_LIST)))
    else:
        await house.grant("team", "anna", SendRight.SEND_TO_LIST, deny=kind == "denied")
    assert not await posts(house, "bruno", "team")
    await house.store.do(DeleteList(staff) if kind == "group" else DeleteAccount(house.ids["anna"]))
    assert not await posts(house, "bruno", "team")
    (told,) = await house.bring(Door.LMTP, "who@else.where", ["owen"], letter("who@else.where"))
    assert isinstance(told, str)
    with pytest.raises(Refused):
        await house.bring(Door.LMTP, "who@else.where", ["team"], letter("who@else.where"))
    await house.grant("team", "carla", SendRight.SEND_TO_LIST)
    assert await posts(house, "carla", "team")
    assert not await posts(house, "bruno", "team")
    await house.revoke("team", "carla", SendRight.SEND_TO_LIST)
    assert not await posts(house, "bruno", "team")
    await house.store.do(ModifyList(team, attributes={"postingRestricted": "FALSE"}))
    assert await posts(house, "bruno", "team")


async def test_a_list_that_others_may_still_post_to_is_not_marked(house: House) -> None:
    team = await house.group("team", "carla")
    for name in ("anna", "carla"):
        await house.grant("team", name, SendRight.SEND_TO_LIST)
    await house.grant("owen", "anna", SendRight.SEND_AS)
    await house.store.do(DeleteAccount(house.ids["anna"]))
    row = await house.ask(lists.by_id, team)
    assert row is not None
    assert not row.attributes
    await house.revoke("team", "carla", SendRight.SEND_TO_LIST)  # by hand: that is somebody's will
    assert await posts(house, "bruno", "team")


async def test_a_list_is_restricted_though_its_only_grant_is_over(house: House) -> None:
    await house.group("team", "carla")
    await house.grant("team", "anna", SendRight.SEND_TO_LIST, expires=1)
    assert not await posts(house, "bruno", "team")
    assert not await posts(house, "anna", "team")


# --- requests by mail


async def test_requests_that_nobody_confirmed_keep_no_post_from_its_owners(house: House) -> None:
    """Anybody can write a thousand addresses in From."""
    team = await moderated(house, "team", "carla")
    await house.store.do(ModifyList(team, attributes={"subscriptionPolicy": "accept"}))
    later = house.clock() + 10**12
    for number in range(1000):
        who = address(f"m{number}@else.where")
        await house.store.do(OpenRequest(f"k{number:031}", team, RequestKind.SUBSCRIBE, Stage.CONFIRM, who, later))
    assert await posts(house, "bruno", "team")
    assert any(b"Reply-To: team-moderate" in one for one in await house.mail("owen"))


async def test_while_too_much_waits_for_the_owners_of_a_list_inside_nobody_gets_it(house: House) -> None:
    """The neighbour is told "later", and brings it again: whoever had got it would get it again."""
    team = await moderated(house, "team", "carla")
    await house.group("all", "anna", "team")
    for number in range(1000):
        post = OpenRequest(f"k{number:015}", team, RequestKind.POST, Stage.OWNERS, address("x@else.where"), house.clock() + 10**12)
        await house.store.do(post)
    (said,) = await house.bring(Door.LMTP, "who@else.where", ["all"], letter("who@else.where"))
    assert isinstance(said, Defer)
    assert await house.mail("anna") == []


async def test_a_post_to_two_addresses_of_a_list_waits_once(house: House) -> None:
    team = await moderated(house, "team", "carla")
    await house.store.do(AddAlias(team, address("crew")))
    await house.group("all", "anna", "team")
    to = ["all", "team", "crew"]
    await house.submit("bruno", "bruno@acme.test", to, letter("bruno@acme.test", "team@acme.test"))
    assert len(await house.queued()) == 1
    await approve(house)
    await run(house)
    assert (len(await house.mail("anna")), len(await house.mail("carla"))) == (1, 1)


async def test_what_is_confirmed_twice_in_one_mail_is_confirmed(house: House) -> None:
    team = await house.group("team", "carla", owners=["owen"])
    await house.store.do(ModifyList(team, attributes={"subscriptionPolicy": "accept"}))
    await house.bring(Door.LMTP, "anna@acme.test", ["team-subscribe"], letter("anna@acme.test", "team-subscribe@acme.test"))
    found = re.search(rb"Reply-To: (\S+)", (await house.mail("anna"))[-1])
    assert found is not None
    to = found[1].decode()
    said = await house.bring(Door.LMTP, "anna@acme.test", [to, to], letter("anna@acme.test", to))
    assert all(isinstance(one, str) for one in said)
    assert address("anna") in [one.address for one in await house.ask(lists.members, team)]


async def test_tags_are_no_way_round_the_number_of_answers(house: House) -> None:
    await house.group("team", "carla", owners=["owen"])
    for number in range(30):
        who = f"anna+{number}@acme.test"
        await house.bring(Door.MX, "who@else.where", ["team-request"], letter(who, "team-request@acme.test", "Subject: help"))
    assert len(await house.mail("anna")) == house.delivery.robot.rules.answers


# --- people who cease to be


@pytest.mark.parametrize("size", [1000, 500_000], ids=["in the row", "in a file"])
async def test_mail_held_for_an_account_that_is_deleted_goes_back(house: House, size: int) -> None:
    await house.status("carla", AccountStatus.MAINTENANCE)
    await house.submit("anna", "anna@acme.test", "carla", letter("anna@acme.test", "carla@acme.test", text="x\r\n" * (size // 3)))
    await run(house)
    assert [row.state for row in await house.queued()] == [QueueState.HELD]
    await house.store.do(DeleteAccount(house.ids["carla"]))
    await house.store.do(CreateAccount(address("carla"), "Another", ""))
    await run(house)
    assert await house.queued() == []
    (report,) = await house.mail("anna")
    assert b"carla@acme.test" in report
    assert b"5.1.1" in report


async def test_what_may_not_be_sent_any_more_is_told_to_nobody_but_its_actor(house: House) -> None:
    """The actor has another name by now, and somebody else the old one."""
    await house.grant("anna", "bruno", SendRight.SEND_AS, window=60)
    await in_annas_name(house, "carla@acme.test")
    await house.revoke("anna", "bruno", SendRight.SEND_AS)
    bruno = house.ids["bruno"]
    await house.store.do(RenameAccount(bruno, address("bruce")))
    await house.account("bruno")
    house.clock.turn(120)
    await run(house)
    assert await house.queued() == []
    assert await house.mail("bruno") == []
    house.ids["bruce"] = bruno
    assert len(await house.mail("bruce")) == 1


async def test_what_a_deleted_actor_left_is_told_to_nobody_of_the_same_name(house: House) -> None:
    await house.grant("anna", "bruno", SendRight.SEND_AS, window=60)
    await in_annas_name(house, "carla@acme.test")
    await house.store.do(DeleteAccount(house.ids["bruno"]))
    await house.account("bruno")
    house.clock.turn(120)
    await run(house)
    assert await house.queued() == []
    assert await house.mail("bruno") == []
    assert await house.mail("carla") == []


async def test_a_poster_hears_that_the_list_is_gone(house: House) -> None:
    team = await moderated(house, "team", "carla")
    assert await posts(house, "bruno", "team")
    before = len(await house.mail("bruno"))
    await house.store.do(DeleteList(team))
    house.clock.turn(15 * 24 * HOUR)
    await run(house)
    assert await house.queued() == []
    assert len(await house.mail("bruno")) == before + 1
