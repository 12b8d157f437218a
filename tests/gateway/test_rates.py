"""What may be sent in time, through the submission service on a clock that the test turns. Over sockets: tests/live/test_rates.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.rates import too_much
from gateway.refusal import Refused
from policy.grants import SendRight
from policy.identity import Actor
from policy.rates import Rate, RateLimit
from policy.reasons import Defer, Reason
from store.rates import Counts, Reached
from tests.gateway.house import SECOND, START, House, address, letter, opened

AS, BEHALF = SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF
AS_OLGA = letter("olga@acme.test")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "dora", "olga") as house:
        await house.grant("olga", "dora", AS)
        yield house


async def refusal(house: House, name: str, octets: bytes, *recipients: str) -> Defer:
    with pytest.raises(Refused) as refused:
        await house.submit(name, "", recipients or "bruno", octets)
    assert isinstance(refused.value.verdict, Defer), "it always passes"
    return refused.value.verdict


@pytest.mark.parametrize(
    ("counts", "again", "principal", "reason", "detail"),
    [
        (
            Counts.MESSAGES,
            START + 1,
            None,
            Reason.SEND_RATE,
            "you may send 5 messages within 1h; again from 2027-01-15 08:00:01 UTC",
        ),
        (
            Counts.RECIPIENTS,
            START,
            "olga",
            Reason.SEND_RECIPIENT_RATE,
            "you may send to 5 recipients in the name of olga@acme.test within 1h; again from 2027-01-15 08:00:00 UTC",
        ),
        (Counts.RECIPIENTS, None, None, Reason.SEND_RECIPIENT_RATE, "you may send to 5 recipients within 1h, so never so many at once"),
    ],
)
def test_what_is_said(counts: Counts, again: int | None, principal: str | None, reason: Reason, detail: str) -> None:
    rate = Rate(5, 3600)
    verdict = too_much(Reached(RateLimit(1, 2, rate, rate), counts, rate, 5, again), None if principal is None else address(principal))
    assert (verdict.reason, verdict.detail, verdict.principal) == (reason, detail, 2)


async def test_without_limits_nothing_is_counted(house: House) -> None:
    for _ in range(3):
        await house.submit("dora", "", "bruno", AS_OLGA)
    async with house.store.snapshot() as snapshot:
        assert await snapshot.ask(lambda tx: tx.one("rates.last", actor=house.ids["dora"], principal=0)) is None


async def test_own_mail_counts_and_the_next_one_is_refused_at_mail(house: House) -> None:
    await house.values("anna", send_rate="2/1h")
    for _ in range(2):
        await house.submit("anna", "", "bruno", letter())
    with pytest.raises(Refused) as refused:
        await house.submission.begin(house.actor("anna"), None, smtputf8=False)
    verdict = refused.value.verdict
    assert (verdict.reason, verdict.detail) == (
        Reason.SEND_RATE,
        "you may send 2 messages within 1h; again from 2027-01-15 09:00:00 UTC",
    )
    record = (await house.records())[-1].entry
    assert (record.event, record.allowed, record.actor_address, record.because, record.decision) == (
        "send",
        False,
        "anna@acme.test",
        verdict.detail,
        verdict.decision,
    )
    await house.submit("dora", "", "bruno", letter("dora@acme.test"))
    house.clock.turn(3600)
    await house.submit("anna", "", "bruno", letter())


async def test_recipients_are_refused_at_rcpt_as_soon_as_they_are_too_many(house: House) -> None:
    await house.values("anna", send_recipient_rate="3/1h")
    await house.submit("anna", "", ["bruno"], letter())
    transaction = await house.submission.begin(house.actor("anna"), None, smtputf8=False)
    await transaction.add(address("bruno"))
    await transaction.add(address("olga"))
    said = set()
    for name in ("dora", "anna"):
        with pytest.raises(Refused) as refused:
            await transaction.add(address(name))
        said.add((refused.value.verdict.reason, refused.value.verdict.decision))
    ((reason, decision),) = said
    assert reason is Reason.SEND_RECIPIENT_RATE
    assert [row.entry.decision for row in await house.records()] == [decision], "one record for all that are refused"
    await transaction.commit(letter())
    assert len(await house.mail("olga")) == 1


async def test_what_is_sent_in_somebodys_name_counts_for_the_pair_and_for_the_actor(house: House) -> None:
    await house.values("olga", delegated_send_rate="1/1h")
    await house.values("dora", send_rate="3/1h")
    await house.submit("dora", "", "bruno", AS_OLGA)
    verdict = await refusal(house, "dora", AS_OLGA)
    assert verdict.detail.startswith("you may send 1 messages in the name of olga@acme.test within 1h")
    record = (await house.records())[-1].entry
    assert (record.principal_address, record.allowed) == ("olga@acme.test", False)
    await house.grant("olga", "anna", AS)
    await house.submit("anna", "", "bruno", AS_OLGA)
    await house.submit("olga", "", "bruno", AS_OLGA)
    for _ in range(2):
        await house.submit("dora", "", "bruno", letter("dora@acme.test"))
    verdict = await refusal(house, "dora", letter("dora@acme.test"))
    assert verdict.detail.startswith("you may send 3 messages within 1h")


async def test_recipients_in_a_name_are_counted_at_the_end(house: House) -> None:
    await house.values("olga", delegated_send_recipient_rate="3/1h")
    await house.submit("dora", "", ["bruno", "anna"], AS_OLGA)
    assert (await refusal(house, "dora", AS_OLGA, "bruno", "anna")).reason is Reason.SEND_RECIPIENT_RATE
    await house.submit("dora", "", ["bruno"], AS_OLGA)


async def test_of_several_names_each_counts(house: House) -> None:
    await house.grant("anna", "dora", BEHALF)
    await house.grant("olga", "dora", BEHALF)
    await house.values("anna", delegated_send_rate="1/1h")
    await house.submit("dora", "", "bruno", letter("olga@acme.test, anna@acme.test"))
    assert "anna@acme.test" in (await refusal(house, "dora", letter("olga@acme.test, anna@acme.test"))).detail
    await house.submit("dora", "", "bruno", AS_OLGA)


async def test_a_lists_name_has_the_limits_of_who_sends(house: House) -> None:
    await house.group("team", "bruno")
    await house.grant("team", "dora", AS)
    await house.values("dora", delegated_send_rate="1/1h")
    await house.submit("dora", "", "bruno", letter("team@acme.test"))
    assert "team@acme.test" in (await refusal(house, "dora", letter("team@acme.test"))).detail


async def test_who_acts_as_the_owner_is_counted_as_who_it_is(house: House) -> None:
    await house.grant("olga", "anna", SendRight.LOGIN_AS)
    await house.values("olga", delegated_send_rate="1/1h")
    anna = Actor(house.ids["olga"], address("olga"), "Olga", house.ids["anna"], address("anna"))
    transaction = await house.submission.begin(anna, None, smtputf8=False)
    await transaction.add(address("bruno"))
    await transaction.commit(AS_OLGA)
    with pytest.raises(Refused) as refused:
        await house.submission.begin(anna, None, smtputf8=False)
    assert "in the name of olga@acme.test" in refused.value.verdict.detail
    await house.submit("olga", "", "bruno", AS_OLGA)


async def test_of_many_at_once_so_many_pass_as_may(house: House) -> None:
    await house.values("anna", send_rate="7/1h")
    # All have passed MAIL and RCPT before the first is accepted: only the accepting transaction can tell.
    begun = [await house.submission.begin(house.actor("anna"), None, smtputf8=False) for _ in range(30)]
    for one in begun:
        await one.add(address("bruno"))
    done = await asyncio.gather(*(one.commit(letter()) for one in begun), return_exceptions=True)
    assert len([one for one in done if isinstance(one, str)]) == 7
    assert all(isinstance(one, Refused) and one.verdict.reason is Reason.SEND_RATE for one in done if not isinstance(one, str))
    assert len(await house.mail("bruno")) == 7


async def test_what_is_refused_for_another_reason_is_not_counted(house: House) -> None:
    await house.values("dora", send_rate="1/1h")
    with pytest.raises(Refused):
        await house.submit("dora", "", "bruno", letter("anna@acme.test"))
    await house.submit("dora", "", "bruno", letter("dora@acme.test"))


async def test_what_waits_is_counted_when_it_is_taken_and_not_again(house: House) -> None:
    await house.values("anna", send_rate="1/1h")
    await house.submit("anna", "", "bruno", letter(), release=house.clock.at + 60 * SECOND)
    await refusal(house, "anna", letter())
