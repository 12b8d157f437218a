"""Who has which right: nobody gives or takes, now or later, what he does not hold; what was asked and changed is on record."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.folders import Place
from gateway.refusal import Refused
from policy.reasons import Reason
from policy.rights import Change
from store import audit, grants
from tests.gateway.imap.handlers.house import House, housed

INBOX = Place("anna@acme.test", "/INBOX")
CLARA = "clara@acme.test"
HOUR = 3_600_000_000


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as found:
        yield found


async def records(house: House) -> list[tuple[str, str, bool]]:
    await house.folders.close()
    async with house.store.snapshot() as snapshot:
        return [(row.entry.event, row.entry.right, row.entry.allowed) for row in await snapshot.ask(audit.of_owner, house.ids["anna"])]


async def entries(house: House) -> int:
    async with house.store.snapshot() as snapshot:
        return len(await snapshot.ask(grants.entries, await house.folder("anna")))


@pytest.mark.parametrize("by", ["SETACL", "DELETEACL"])
@pytest.mark.parametrize(("coming", "allowed"), [("lrwd", False), ("lr", True)])
async def test_an_entry_that_is_not_yet_in_force_is_taken_like_one_that_is(house: House, by: str, coming: str, allowed: bool) -> None:
    await house.share("anna", "/INBOX", "bruno", "ra")
    await house.share("anna", "/INBOX", "clara", "r" if coming == "lr" else "rwd", since=time.time_ns() // 1000 + HOUR)
    act = (
        house.folders.remove_entry(house.visit("bruno"), INBOX, CLARA)
        if by == "DELETEACL"
        else house.folders.set_entry(house.visit("bruno"), INBOX, CLARA, Change.REPLACE, "l")
    )
    if allowed:
        await act
        assert await entries(house) == (1 if by == "DELETEACL" else 2)
        return
    with pytest.raises(Refused) as caught:
        await act
    assert caught.value.verdict.reason is Reason.GRANT_NOT_POSSIBLE
    assert await entries(house) == 2


async def test_what_one_holds_can_be_given_although_it_would_come_by_itself(house: House) -> None:
    await house.share("anna", "/INBOX", "bruno", "rwa")
    await house.share("anna", "/INBOX", "clara", "rw", since=time.time_ns() // 1000 + HOUR)
    await house.folders.set_entry(house.visit("bruno"), INBOX, CLARA, Change.REPLACE, "lrws")
    assert await entries(house) == 2


async def test_who_may_give_what_is_asked_on_record(house: House) -> None:
    await house.share("anna", "/INBOX", "bruno", "ra")
    await house.folders.grantable(house.visit("bruno"), INBOX, CLARA)
    assert await records(house) == [("folder access", "administer", True)]


async def test_where_nothing_was_removed_nothing_is_on_record(house: House) -> None:
    await house.share("anna", "/", "clara", "r")
    await house.share("anna", "/INBOX", "bruno", "ra")
    for identifier in ("dora@other.test", CLARA):
        await house.folders.remove_entry(house.visit("anna"), INBOX, identifier)
        await house.folders.remove_entry(house.visit("bruno"), INBOX, identifier)
    assert await records(house) == []
    with pytest.raises(Refused):
        await house.folders.remove_entry(house.visit("bruno"), INBOX, "anna@acme.test")


async def test_what_was_removed_is(house: House) -> None:
    await house.share("anna", "/INBOX", "clara", "r")
    await house.folders.remove_entry(house.visit("anna"), INBOX, CLARA)
    assert [event for event, _, _ in await records(house)] == ["grant changed"]
