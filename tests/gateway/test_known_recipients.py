"""What is remembered of a recipient is never laxer, and never older, than asking again."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.known_recipients import KnownRecipients
from gateway.refusal import Refused
from gateway.routing import Poster
from policy.delivery import Door
from policy.identity import Address
from policy.quota import DomainLimits
from policy.reasons import Reason
from policy.status import AccountStatus
from store import accounts
from store.accounts import DeleteAccount
from store.addresses import AddAlias, RemoveAlias
from store.domains import ModifyDomain
from tests.gateway.house import House, address, letter, opened

NOBODY = Poster(None, empty_path=False)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno") as house:
        yield house


async def asked(house: House, recipient: Address) -> int:
    """Statements for one RCPT."""
    said: list[str] = []
    async with house.store.snapshot() as snapshot:
        inner: Any = snapshot
        inner._reader.raw.set_trace_callback(said.append)
        try:
            await house.delivery.takes(snapshot, Door.LMTP, recipient, NOBODY)
        finally:
            inner._reader.raw.set_trace_callback(None)
    return len(said)


async def why_not(house: House, recipient: Address) -> Reason | None:
    async with house.store.snapshot() as snapshot:
        try:
            await house.delivery.takes(snapshot, Door.LMTP, recipient, NOBODY)
        except Refused as refused:
            return refused.verdict.reason
    return None


async def test_who_got_mail_lately_is_found_by_the_epochs_alone(house: House) -> None:
    assert await asked(house, address("anna")) > 1
    assert await asked(house, address("anna")) == 1


async def closed(house: House) -> None:
    await house.status("anna", AccountStatus.CLOSED)


async def deleted(house: House) -> None:
    await house.store.do(DeleteAccount(house.ids["anna"]))


async def given_a_quota(house: House) -> None:
    await house.bring(Door.LMTP, "x@far.test", ["anna"], letter())
    await house.values("anna", quota="1")


async def in_a_domain_with_a_limit(house: House) -> None:
    await house.bring(Door.LMTP, "x@far.test", ["anna"], letter())
    await house.store.do(ModifyDomain(house.acme, limits=DomainLimits(max_quota=1)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (closed, Reason.RECIPIENT_CLOSED),
        (deleted, Reason.RECIPIENT_UNKNOWN),
        (given_a_quota, Reason.RECIPIENT_OVER_QUOTA),
        (in_a_domain_with_a_limit, Reason.RECIPIENT_OVER_QUOTA),
    ],
)
async def test_what_changes_is_known_at_the_next_mail(house: House, change: Callable[[House], Awaitable[None]], reason: Reason) -> None:
    for _ in range(2):
        assert await why_not(house, address("anna")) is None
    await change(house)
    assert await why_not(house, address("anna")) is reason


async def test_an_alias_that_went_over_to_somebody_else_is_theirs(house: House) -> None:
    info = address("info")
    await house.store.do(AddAlias(house.ids["anna"], info))
    await house.bring(Door.LMTP, "x@far.test", ["info"], letter(text="one"))
    await house.store.do(RemoveAlias(house.ids["anna"], info))
    assert await why_not(house, info) is Reason.RECIPIENT_UNKNOWN
    await house.store.do(AddAlias(house.ids["bruno"], info))
    await house.bring(Door.LMTP, "x@far.test", ["info"], letter(text="two"))
    assert (len(await house.mail("anna")), len(await house.mail("bruno"))) == (1, 1)


async def test_who_has_a_quota_is_looked_at_each_time(house: House) -> None:
    await house.values("anna", quota="1000000")
    known = KnownRecipients()
    async with house.store.snapshot() as snapshot:
        row = await snapshot.ask(accounts.by_id, house.ids["anna"])
        assert row is not None
        await known.keep(snapshot, address("anna"), row)
        assert await known.mailbox(snapshot, address("anna")) is None


async def test_only_so_many_are_kept_and_who_got_mail_last_stays(house: House) -> None:
    known = KnownRecipients(2)
    async with house.store.snapshot() as snapshot:
        row = await snapshot.ask(accounts.by_id, house.ids["anna"])
        assert row is not None
        one, two, three = address("one"), address("two"), address("three")
        for each in (one, two):
            await known.keep(snapshot, each, row)
        assert await known.mailbox(snapshot, one) is row
        await known.keep(snapshot, three, row)
        assert [await known.mailbox(snapshot, each) for each in (one, two, three)] == [row, None, row]


class Slow:
    """A snapshot whose witness is confirmed once others have had their turn."""

    def __init__(self, holds: bool, meanwhile: Callable[[], None]) -> None:
        self._holds = holds
        self._meanwhile = meanwhile

    async def confirms(self, _: object) -> bool:
        self._meanwhile()
        return self._holds


@pytest.mark.parametrize("holds", [True, False])
async def test_another_may_drop_it_while_it_is_confirmed(house: House, holds: bool) -> None:
    known = KnownRecipients()
    async with house.store.snapshot() as snapshot:
        row = await snapshot.ask(accounts.by_id, house.actor("anna").account)
        assert row is not None
        await known.keep(snapshot, address("anna"), row)
    slow: Any = Slow(holds, known._kept.clear)
    assert (await known.mailbox(slow, address("anna")) is None) is not holds
    assert not known._kept
