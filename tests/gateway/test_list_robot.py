"""What the live tests of lists cannot show: requests that grow old, and two at the same time."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.list_addresses import Role, role_address
from gateway.message.split import read_header
from policy.delivery import Door
from policy.identity import ListId
from store import list_bounces, list_requests, lists, members
from store.domains import ModifyDomain
from store.lists import ModifyList
from tests.gateway.house import House, address, letter, opened

FRIEND = "friend@elsewhere.test"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "owen", relays=True) as house:
        yield house


async def team_of(house: House, policy: str, *people: str) -> ListId:
    team = await house.group("team", *people, owners=["owen"])
    await house.store.do(ModifyList(team, attributes={"subscriptionPolicy": policy, "unsubscriptionPolicy": policy}))
    return team


async def key_of(house: House) -> str:
    (asked,) = await house.ask(list_requests.waiting)
    return asked.key


async def names(house: House, team: ListId) -> set[str]:
    return {str(one.address) for one in await house.ask(lists.members, team)}


async def bring(house: House, to: str, *fields: str, sender: str = FRIEND, text: str = "x") -> object:
    return (await house.bring(Door.MX, sender, [to], letter(sender, to, *fields, text=text)))[0]


async def test_a_confirmation_has_its_time(house: House) -> None:
    team = await team_of(house, "accept")
    await bring(house, "team-subscribe")
    key = await key_of(house)
    house.clock.turn(3 * 86400 + 1)
    await bring(house, f"team-confirm+{key}")
    assert await names(house, team) == set()
    await bring(house, "team-subscribe")
    await bring(house, f"team-confirm+{await new_key(house, key)}")
    assert await names(house, team) == {FRIEND}


async def new_key(house: House, old: str) -> str:
    (asked,) = [one for one in await house.ask(list_requests.waiting) if one.key != old]
    return asked.key


async def test_two_confirmations_at_the_same_time_are_one(house: House) -> None:
    team = await team_of(house, "approval")
    await bring(house, "team-subscribe")
    key = await key_of(house)
    done = await asyncio.gather(*(bring(house, f"team-confirm+{key}") for _ in range(4)))
    assert all(isinstance(one, str) for one in done)
    assert await names(house, team) == set()
    assert len(await house.mail("owen")) == 1


async def test_two_decisions_at_the_same_time_are_one(house: House) -> None:
    team = await team_of(house, "approval")
    await house.submit("bruno", "bruno@acme.test", "team-subscribe", letter("bruno@acme.test", "team-subscribe@acme.test"))
    decide = re.search(rb"Reply-To: (\S+)", (await house.mail("owen"))[0])
    assert decide is not None
    to = decide[1].decode()

    async def say(word: str) -> None:
        await house.submit("owen", "owen@acme.test", to, letter("owen@acme.test", to, f"Subject: {word}", text=""))

    await asyncio.gather(say("approve"), say("reject"), say("approve"))
    told = [one for one in await house.mail("bruno") if b"is a member" in one or b"has not let" in one]
    assert len(told) == 1
    assert (await names(house, team) == {"bruno@acme.test"}) is (b"is a member" in told[0])


async def test_a_policy_that_was_changed_meanwhile_counts(house: House) -> None:
    team = await team_of(house, "accept")
    await bring(house, "team-subscribe")
    key = await key_of(house)
    await house.store.do(ModifyList(team, attributes={"subscriptionPolicy": "reject"}))
    await bring(house, f"team-confirm+{key}")
    assert await names(house, team) == set()
    assert await house.ask(list_requests.waiting) == []


async def test_who_leaves_may_write_the_name_otherwise(house: House) -> None:
    team = await team_of(house, "accept", "Friend@elsewhere.test")
    await bring(house, "team-unsubscribe", sender="FRIEND@elsewhere.test")
    await bring(house, f"team-confirm+{await key_of(house)}")
    assert await names(house, team) == set()


async def test_a_list_whose_delimiter_is_a_hyphen_has_its_addresses_too(house: House) -> None:
    team = await team_of(house, "accept", "anna")
    await house.store.do(ModifyDomain(house.acme, delimiter="-"))
    await bring(house, "team-owner")
    assert len(await house.mail("owen")) == 1
    assert await house.mail("anna") == []
    await bring(house, "team-subscribe")
    await bring(house, f"team-confirm+{await key_of(house)}")
    assert FRIEND in await names(house, team)


async def test_an_account_of_such_a_name_is_itself(house: House) -> None:
    await team_of(house, "accept")
    await house.account("team-subscribe")
    await bring(house, "team-subscribe")
    assert len(await house.mail("team-subscribe")) == 1


async def test_an_answer_without_an_author_goes_to_the_owners(house: House) -> None:
    await team_of(house, "accept")
    octets = b"From: a@x.test, b@x.test\r\nSubject: subscribe\r\n\r\nx\r\n"
    await house.bring(Door.MX, FRIEND, ["team-request"], octets)
    assert len(await house.mail("owen")) == 1


async def test_bounces_of_several_days_end_a_member_s_mail(house: House) -> None:
    team = await team_of(house, "reject", FRIEND)
    number = await house.ask(members.number_of, team, address(FRIEND))
    assert number is not None
    to = role_address(address("team"), Role.BOUNCES, house.delivery.robot.tags.member(number))
    report = (
        b'From: x@far.test\r\nContent-Type: multipart/report; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    assert read_header(report).fields
    for day in range(5):
        (found, *_) = [*await house.ask(list_bounces.of_list, team), None]
        assert found is None or (found.history is not None and found.history.suspended is None), day
        for _ in range(3):
            await house.bring(Door.MX, "", [str(to)], report)
        house.clock.turn(86400)
    (found,) = await house.ask(list_bounces.of_list, team)
    assert found.history is not None
    assert found.history.score == 5
    assert found.history.suspended is not None


async def test_not_everybody_can_be_made_to_wait(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.list_robot.MOST_WAITING", 2)
    await team_of(house, "accept")
    for number in range(4):
        await bring(house, "team-subscribe", sender=f"u{number}@elsewhere.test")
    assert len(await house.ask(list_requests.waiting)) == 2
    assert len(await house.queued()) == 2
