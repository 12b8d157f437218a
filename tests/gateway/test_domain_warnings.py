"""Who is told that a domain is nearly full, how often, and what the mail says."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.domain_warnings import DomainWarnings
from policy.delivery import Door
from policy.quota import AggregatePolicy, DomainLimits
from store import domains
from store.domains import ModifyDomain
from tests.gateway.house import House, opened


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as house:
        for name in ("anna", "boss"):
            await house.account(name)
        yield house


async def limit(house: House, limits: DomainLimits) -> None:
    row = await house.ask(domains.by_name, "acme.test")
    assert row is not None
    await house.store.do(ModifyDomain(row.id, limits=limits))


async def test_somebody_is_told_once_a_day(house: House) -> None:
    warnings = DomainWarnings(house.store, house.delivery)
    await limit(house, DomainLimits(0, 100_000, AggregatePolicy.BLOCK_SEND, 50, ("boss@acme.test", "no address@")))
    await warnings.round()
    assert await house.mail("boss") == []
    letter = b"From: a@else.where\r\nTo: anna@acme.test\r\n\r\n" + (b"x" * 70 + b"\r\n") * 800
    await house.bring(Door.LMTP, "a@else.where", ["anna@acme.test"], letter)
    await warnings.round()
    await warnings.round()
    (mail,) = await house.mail("boss")
    assert b"Subject: The mailboxes of acme.test are nearly full\r\n" in mail
    assert b"nobody in the domain can send mail." in mail
    house.clock.turn(86_401)
    await warnings.round()
    assert len(await house.mail("boss")) == 2


@pytest.mark.parametrize("limits", [DomainLimits(0, 100, warn_percent=0, warn_recipients=("boss@acme.test",)), DomainLimits(0, 100)])
async def test_nobody_is_told_where_nobody_is_to_be(house: House, limits: DomainLimits) -> None:
    await limit(house, limits)
    await house.bring(Door.LMTP, "a@else.where", ["anna@acme.test"], b"From: a@else.where\r\n\r\nhello\r\n")
    await DomainWarnings(house.store, house.delivery).round()
    assert await house.mail("boss") == []
