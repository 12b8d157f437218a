"""Who is listed for an address is who may send from it, now: by every kind of grantee, and never longer than it is so."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.neighbour.logins import Logins, TooMany
from policy.grants import Grantee, GranteeKind, SendGrant, SendRight
from policy.identity import Address, ListId
from policy.status import AccountStatus
from store.accounts import SetAccountCos
from store.addresses import AddAlias
from store.cos import CreateCos
from store.domains import CreateAliasDomain
from store.grants import SetSendGrant
from store.lists import AddMembers, RemoveMembers
from tests.gateway.house import SECOND, House, address, opened

BY_DOMAIN, BY_ALL = GranteeKind.DOMAIN, GranteeKind.ALL


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "owner", "anna", "bruno", "carla") as house:
        yield house


@pytest.fixture
async def logins(house: House) -> AsyncIterator[Logins]:
    made = Logins(house.store, house.submission)
    unwatch = house.store.watch(made.told)
    yield made
    unwatch()


async def listed(logins: Logins, text: str = "owner") -> set[str]:
    return {one.removesuffix("@acme.test") for one in await logins.of(address(text))}


async def granted(house: House, kind: GranteeKind, grantee: int, *, deny: bool = False, **times: int) -> None:
    target = house.ids["owner"]
    await house.store.do(SetSendGrant(SendGrant(target, Grantee(kind, grantee), SendRight.SEND_AS, deny, **times)))


async def test_the_owner_by_every_address(house: House, logins: Logins) -> None:
    await house.store.do(AddAlias(house.ids["owner"], address("boss")))
    await house.store.do(CreateAliasDomain("acme.example", house.acme))
    for text in ("owner", "boss", "owner+tag", "OWNER", "boss@acme.example"):
        assert await listed(logins, text) == {"owner", "boss", "owner@acme.example", "boss@acme.example"}
    assert await listed(logins, "nobody") == set()
    assert await listed(logins, "owner@elsewhere.test") == set()


async def test_a_name_that_would_read_as_two_is_left_out(house: House, logins: Logins) -> None:
    await house.store.do(AddAlias(house.ids["owner"], Address("a,anna", "acme.test")))
    assert await listed(logins) == {"owner"}


async def test_by_every_kind_of_grantee(house: House, logins: Logins) -> None:
    await house.grant("owner", "anna", SendRight.SEND_ON_BEHALF_OF)
    assert await listed(logins) == {"owner", "anna"}
    await house.group("inner", "bruno")
    team = await house.group("team", "inner")
    await granted(house, GranteeKind.GROUP, team)
    assert await listed(logins) == {"owner", "anna", "bruno"}
    staff = await house.store.do(CreateCos("staff"))
    await granted(house, GranteeKind.COS, staff)
    await house.store.do(SetAccountCos(house.ids["carla"], staff))
    assert await listed(logins) == {"owner", "anna", "bruno", "carla"}
    await granted(house, GranteeKind.ACCOUNT, house.ids["carla"], deny=True)
    assert await listed(logins) == {"owner", "anna", "bruno"}


@pytest.mark.parametrize("kind", [BY_DOMAIN, BY_ALL])
async def test_by_domain_and_by_everybody(house: House, logins: Logins, kind: GranteeKind) -> None:
    await granted(house, kind, house.acme if kind is BY_DOMAIN else 0)
    await granted(house, GranteeKind.ACCOUNT, house.ids["bruno"], deny=True)
    assert await listed(logins) == {"owner", "anna", "carla"}
    await house.account("dora")
    assert await listed(logins) == {"owner", "anna", "carla", "dora"}


async def test_a_list_is_a_principal_too(house: House, logins: Logins) -> None:
    await house.group("team", "anna")
    await house.grant("team", "carla", SendRight.SEND_AS)
    assert await listed(logins, "team") == {"carla"}


async def test_who_may_not_log_in_or_be_spoken_for_is_not_there(house: House, logins: Logins) -> None:
    await house.grant("owner", "anna", SendRight.SEND_AS)
    await house.status("anna", AccountStatus.LOCKED)
    assert await listed(logins) == {"owner"}
    await house.status("anna", AccountStatus.ACTIVE)
    await house.status("owner", AccountStatus.LOCKED)
    assert await listed(logins) == set()
    await house.values("owner", delegation_when_locked="full")
    assert await listed(logins) == {"anna"}


async def test_the_addresses_that_may_be_used(house: House, logins: Logins) -> None:
    await house.store.do(AddAlias(house.ids["owner"], address("boss")))
    await house.grant("owner", "anna", SendRight.SEND_AS)
    await house.values("owner", delegated_sender_addresses="boss@acme.test")
    assert await listed(logins) == {"owner", "boss"}
    assert await listed(logins, "boss") == {"owner", "boss", "anna"}


async def test_foreign_addresses(house: House, logins: Logins) -> None:
    await house.values("anna", allow_from_addresses="Me@Elsewhere.Test, x@else.test")
    assert await listed(logins, "me@elsewhere.test") == set(), "a local part means what it says elsewhere"
    assert await listed(logins, "Me@elsewhere.test") == {"anna"}
    free = await house.store.do(CreateCos("free", {"allow_any_from": "TRUE"}))
    await house.store.do(SetAccountCos(house.ids["bruno"], free))
    assert await listed(logins, "Me@elsewhere.test") == {"anna", "bruno"}
    assert await listed(logins, "carla") == {"carla"}


async def test_nothing_outlives_a_change(house: House, logins: Logins) -> None:
    await house.group("team", "anna")
    await granted(house, GranteeKind.GROUP, house.ids["team"])
    assert await listed(logins) == {"owner", "anna"}
    await house.store.do(AddMembers(ListId(house.ids["team"]), [address("bruno")]))
    assert await listed(logins) == {"owner", "anna", "bruno"}
    await house.store.do(RemoveMembers(ListId(house.ids["team"]), [address("anna")]))
    assert await listed(logins) == {"owner", "bruno"}


async def test_nor_the_time_of_a_grant(house: House, logins: Logins) -> None:
    now = house.clock.at
    await granted(house, GranteeKind.ACCOUNT, house.ids["anna"], not_before=now + 10 * SECOND, expires=now + 20 * SECOND)
    assert await listed(logins) == {"owner"}
    house.clock.turn(10)
    assert await listed(logins) == {"owner", "anna"}
    house.clock.turn(9.5)
    assert await listed(logins) == {"owner", "anna"}
    house.clock.turn(0.5)
    assert await listed(logins) == {"owner"}


async def test_what_changes_while_it_is_found_is_not_remembered(house: House, logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.grant("owner", "anna", SendRight.SEND_AS)
    through = house.submission.envelope_in
    revoked = False

    async def slowly(*asked: Any) -> Any:
        nonlocal revoked
        verdict = await through(*asked)
        if not revoked:
            revoked = True
            await house.revoke("owner", "anna", SendRight.SEND_AS)
        return verdict

    monkeypatch.setattr(house.submission, "envelope_in", slowly)
    await listed(logins)
    assert await listed(logins) == {"owner"}


async def test_it_is_remembered(house: House, logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    through = house.submission.envelope_in

    async def noted(*words: Any) -> Any:
        asked.append(words)
        return await through(*words)

    monkeypatch.setattr(house.submission, "envelope_in", noted)
    assert await asyncio.gather(*(listed(logins) for _ in range(10))) == [{"owner"}] * 10
    assert len(asked) <= 2


async def test_more_than_an_answer_has_room_for(house: House) -> None:
    few = Logins(house.store, house.submission, candidates=3)
    await granted(house, BY_DOMAIN, house.acme)
    with pytest.raises(TooMany):
        await few.of(address("owner"))
    assert await few.of(address("anna")) == ("anna@acme.test",)


async def test_many_are_found_without_keeping_others_waiting(house: House, logins: Logins) -> None:
    for number in range(60):
        await house.account(f"person{number}")
    await granted(house, BY_DOMAIN, house.acme)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(others())
    found: Sequence[str] = await logins.of(address("owner"))
    other.cancel()
    assert len(found) == 64
    assert turns >= 3


async def test_no_more_is_remembered_than_agreed(logins: Logins, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.neighbour.logins.REMEMBERED", 3)
    for number in range(10):
        await listed(logins, f"nobody{number}")
    assert len(logins._known) == 3
    assert await listed(logins) == {"owner"}
