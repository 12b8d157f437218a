"""What stands in each map, key by key. Through a real Postfix: tests/interop/test_postfix.py."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.neighbour.logins import Logins
from gateway.neighbour.maps import Maps
from gateway.neighbour.socketmap import Lookup
from policy.grants import SendRight
from policy.status import AccountStatus, DomainStatus
from store.addresses import AddAlias
from store.domains import CreateAliasDomain, ModifyDomain
from tests.gateway.house import House, address, opened


@pytest.fixture
async def maps(tmp_path: Path) -> AsyncIterator[tuple[House, Maps]]:
    async with opened(tmp_path, "anna", "bruno") as house:
        for status in AccountStatus:
            await house.account(status.value, status=status)
        await house.store.do(AddAlias(house.ids["anna"], address("boss")))
        await house.store.do(CreateAliasDomain("acme.example", house.acme))
        await house.group("team", "anna", owners=["anna"])
        await house.group("board", "anna")
        await house.grant("board", "anna", SendRight.SEND_TO_LIST)
        await house.store.do(AddAlias(house.ids["team"], address("crew")))
        yield house, Maps(house.store, house.delivery, Logins(house.store, house.submission, candidates=5))


NO = "NOTFOUND "


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("mailbox anna@acme.test", "OK anna@acme.test"),
        ("mailbox Boss@acme.test", "OK anna@acme.test"),
        ("mailbox boss+tag@acme.example", "OK anna@acme.test"),
        ("mailbox team@acme.test", "OK team@acme.test"),
        ("mailbox board@acme.test", "OK board@acme.test"),
        ("mailbox team-owner@acme.test", "OK team-owner@acme.test"),
        ("mailbox maintenance@acme.test", "OK maintenance@acme.test"),
        ("mailbox locked@acme.test", "OK locked@acme.test"),
        ("mailbox closed@acme.test", NO),
        ("mailbox pending@acme.test", NO),
        ("mailbox nobody@acme.test", NO),
        ("mailbox anna@elsewhere.test", NO),
        ("mailbox anna", NO),
        ("mailbox @acme.test", NO),
        ("mailbox ", NO),
        ("mailbox \udcff@acme.test", NO),
        ("mailbox " + "a" * 9_000, NO),
        ("domain acme.test", "OK acme.test"),
        ("domain Acme.Example", "OK acme.example"),
        ("domain .acme.test", NO),
        ("domain test", NO),
        ("domain elsewhere.test", NO),
        ("domain [127.0.0.1]", NO),
        ("alias boss@acme.test", "OK anna@acme.test"),
        ("alias crew@acme.test", "OK team@acme.test"),
        ("alias anna@acme.example", "OK anna@acme.test"),
        ("alias anna@acme.test", NO),
        ("alias ANNA@acme.test", NO),
        ("alias boss+tag@acme.test", NO),
        ("alias nobody@acme.test", NO),
        ("alias @acme.test", NO),
        ("sender_login bruno@acme.test", "OK bruno@acme.test,bruno@acme.example"),
        ("sender_login closed@acme.test", "OK -"),
        ("sender_login nobody@acme.test", NO),
        ("sender_login anybody@elsewhere.test", NO),
        ("sender_login bruno", NO),
        ("nonsense x", "TEMP there is no such map; there are sender_login mailbox domain alias"),
    ],
)
async def test_what_is_there(maps: tuple[House, Maps], asked: str, answer: str) -> None:
    said = await maps[1].answer(Lookup(*asked.split(" ", 1)))
    assert said.partition(b":")[2].decode() == answer + ","


async def test_more_logins_than_fit_are_no_answer(maps: tuple[House, Maps]) -> None:
    house, there = maps
    group = await house.group("all", "anna", "bruno", *(status.value for status in AccountStatus))
    from policy.grants import Grantee, GranteeKind, SendGrant
    from store.grants import SetSendGrant

    await house.store.do(SetSendGrant(SendGrant(house.ids["anna"], Grantee(GranteeKind.GROUP, group), SendRight.SEND_AS)))
    said = await there.answer(Lookup("sender_login", "anna@acme.test"))
    assert b":TEMP more logins than an answer has room for" in said


async def test_a_full_mailbox_and_a_suspended_domain_are_there(maps: tuple[House, Maps]) -> None:
    house, there = maps
    await house.values("anna", quota="1")
    await house.store.do(ModifyDomain(house.acme, status=DomainStatus.SUSPENDED))
    assert b"OK anna@acme.test" in await there.answer(Lookup("mailbox", "anna@acme.test"))
    await house.store.do(ModifyDomain(house.acme, status=DomainStatus.CLOSED))
    assert b"NOTFOUND" in await there.answer(Lookup("mailbox", "anna@acme.test"))
    assert b"OK acme.test" in await there.answer(Lookup("domain", "acme.test"))
