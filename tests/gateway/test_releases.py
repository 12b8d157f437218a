"""Postponed submissions on a clock that the test turns: they wait, and are judged again when their time has come (RFC 4865)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.folders import NewItem, Place, Visit
from gateway.queue import Queue, QueueRules
from gateway.refusal import Refused
from gateway.releases import Releases
from policy.grants import SendRight
from policy.rights import Right
from policy.status import AccountStatus
from store import audit
from store.accounts import DeleteAccount
from store.model import QueueState
from store.queue import DropQueued, RetryNow
from tests.gateway.house import SECOND, House, letter, opened

AS, BEHALF = SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF
HOUR = 3600
MAIL = letter("anna@acme.test", "bruno@acme.test", "Subject: later")
AS_OLGA = letter("olga@acme.test", "bruno@acme.test", "Subject: later")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno", "dora", "olga") as house:
        yield house


def queue_of(house: House) -> Queue:
    rules = QueueRules(retries=(60.0,), delay=0, concurrency=4)
    return Queue(house.store, house.files, house.delivery, None, rules, Releases(house.store, house.submission, house.delivery))


async def once(house: House) -> None:
    async with asyncio.TaskGroup() as attempts:
        await queue_of(house).round(attempts)


async def postpone(house: House, name: str = "anna", octets: bytes = MAIL, seconds: int = HOUR) -> str:
    return await house.submit(name, "", "bruno", octets, release=house.clock.at + seconds * SECOND)


async def test_it_waits_for_its_time_and_goes_then(house: House) -> None:
    await postpone(house)
    (row,) = await house.queued()
    assert (row.due, row.recipient, row.sender) == (house.clock.at + HOUR * SECOND, "bruno@acme.test", house.ids["anna"])
    await once(house)
    house.clock.turn(HOUR - 1)
    await once(house)
    assert await house.mail("bruno") == []
    house.clock.turn(2)
    await once(house)
    (stored,) = await house.mail("bruno")
    assert b"Subject: later" in stored
    assert stored.count(b"\r\nReceived:") <= 1
    assert await house.queued() == []
    await once(house)
    assert len(await house.mail("bruno")) == 1


async def test_a_time_that_has_come_already_is_no_delay(house: House) -> None:
    await postpone(house, seconds=0)
    assert len(await house.mail("bruno")) == 1
    assert await house.queued() == []


async def test_what_may_not_be_sent_now_is_not_held(house: House) -> None:
    with pytest.raises(Refused):
        await postpone(house, "dora", AS_OLGA)
    assert await house.queued() == []


async def test_a_delegates_message_is_filed_and_recorded_when_it_goes(house: House) -> None:
    await house.grant("olga", "dora", AS)
    await postpone(house, "dora", AS_OLGA)
    assert await house.mail("olga", "/Sent") == []
    house.clock.turn(HOUR)
    await once(house)
    (stored,) = await house.mail("bruno")
    assert b"dora" not in stored
    assert len(await house.mail("olga", "/Sent")) == 1
    events = [
        (row.entry.event, row.entry.allowed) for row in await house.ask(audit.of_owner, house.ids["olga"]) if "send-as" in row.entry.event
    ]
    assert sorted(events) == [("postpone: send-as", True), ("send-as", True)]


async def test_a_right_revoked_meanwhile_does_not_send(house: House) -> None:
    await house.grant("olga", "dora", AS)
    await postpone(house, "dora", AS_OLGA)
    await house.revoke("olga", "dora", AS)
    house.clock.turn(HOUR)
    await once(house)
    assert await house.mail("bruno") == []
    assert await house.mail("olga", "/Sent") == []
    assert await house.mail("olga") == [], "the owner is not told who tried"
    assert await house.queued() == []
    (report,) = await house.mail("dora")
    assert b"Final-Recipient: rfc822; bruno@acme.test" in report
    assert b"Status: 5.7.1" in report
    assert [row.entry.allowed for row in await house.ask(audit.of_owner, house.ids["olga"]) if row.entry.event == "send"] == [False]


async def test_it_is_rewritten_by_the_rights_of_then(house: House) -> None:
    await house.grant("olga", "dora", AS)
    await house.grant("olga", "dora", BEHALF)
    await postpone(house, "dora", AS_OLGA)
    await house.revoke("olga", "dora", AS)
    house.clock.turn(HOUR)
    await once(house)
    (stored,) = await house.mail("bruno")
    assert b"\r\nSender: " in stored


@pytest.mark.parametrize("status", [AccountStatus.LOCKED, AccountStatus.CLOSED])
async def test_who_may_not_log_in_any_more_sends_nothing(status: AccountStatus, house: House) -> None:
    await postpone(house)
    await house.status("anna", status)
    house.clock.turn(HOUR)
    await once(house)
    assert await house.mail("bruno") == []
    assert await house.queued() == []


async def test_who_is_deleted_sends_nothing(house: House) -> None:
    await postpone(house)
    await house.store.do(DeleteAccount(house.ids["anna"]))
    house.clock.turn(HOUR)
    await once(house)
    assert await house.mail("bruno") == []
    assert await house.queued() == []


@pytest.mark.parametrize("who", ["anna", "olga"])
async def test_maintenance_only_delays(who: str, house: House) -> None:
    await house.grant("olga", "anna", AS)
    await postpone(house, "anna", AS_OLGA)
    await house.status(who, AccountStatus.MAINTENANCE)
    house.clock.turn(HOUR)
    await once(house)
    assert await house.mail("bruno") == []
    (row,) = await house.queued()
    assert row.state is QueueState.DUE
    await house.status(who, AccountStatus.ACTIVE)
    house.clock.turn(120)
    await once(house)
    assert len(await house.mail("bruno")) == 1
    assert await house.queued() == []


async def test_retrying_by_hand_sends_nothing_early_and_dropping_ends_it(house: House) -> None:
    await postpone(house)
    (row,) = await house.queued()
    await house.store.do(RetryNow())
    await once(house)
    assert await house.mail("bruno") == []
    (again,) = await house.queued()
    assert (again.due, again.state) == (row.due, QueueState.DUE)
    await house.store.do(DropQueued((row.id,)))
    house.clock.turn(HOUR)
    await once(house)
    assert await house.mail("bruno") == []


async def test_dropped_while_it_goes_it_does_not_go(house: House) -> None:
    await postpone(house)
    (row,) = await house.queued()
    releases = Releases(house.store, house.submission, house.delivery)
    house.clock.turn(HOUR)
    await house.store.do(DropQueued((row.id,)))
    assert await releases.release(row, "lease", MAIL) is None
    assert await house.mail("bruno") == []


async def test_what_the_client_appended_meanwhile_is_the_copy(house: House) -> None:
    """delegation.md section 6, where the client's copy comes before the server's."""
    await house.grant("olga", "dora", AS)
    octets = letter("olga@acme.test", "bruno@acme.test", "Subject: later", "Date: Sun, 1 Nov 2026 10:00:00 +0000", "Message-ID: <1@x>")
    own = octets.replace(b"Subject", b"Bcc: hidden@acme.test\r\nSubject")
    await house.share("olga", "/Sent", "dora", Right.LOOKUP | Right.INSERT)
    await postpone(house, "dora", own)
    await house.folders.append(Visit(house.actor("dora"), "imap", "192.0.2.7"), Place("olga@acme.test", "/Sent"), [NewItem(own)])
    await once(house)
    assert await house.mail("olga", "/Sent") == [own]
    house.clock.turn(HOUR)
    await once(house)
    assert len(await house.mail("bruno")) == 1
    assert await house.mail("olga", "/Sent") == [own]
    await house.folders.append(Visit(house.actor("dora"), "imap", "192.0.2.7"), Place("olga@acme.test", "/Sent"), [NewItem(own)])
    assert await house.mail("olga", "/Sent") == [own, own], "what the client put there itself is not replaced"


async def test_a_message_that_is_not_filed_is_not_waited_for(house: House) -> None:
    await postpone(house)
    await house.folders.append(Visit(house.actor("anna"), "imap", "192.0.2.7"), Place(None, "/Sent"), [NewItem(MAIL)])
    house.clock.turn(HOUR)
    await once(house)
    assert await house.mail("anna", "/Sent") == [MAIL]
