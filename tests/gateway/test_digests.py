"""Once a week owners hear what others did in their mailbox: once, and not at all when nothing happened."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.digests import NAMED, Digests
from policy.grants import SendRight
from policy.rights import Right
from store.audit import AuditEntry, RecordAudit
from tests.gateway.house import SECOND, House, opened

DAY = 86400.0


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path) as house:
        for name in ("olga", "dora", "quiet"):
            await house.account(name)
        await Digests(house.store, house.delivery).round()
        yield house


async def did(house: House, event: str, right: str, detail: str = "", *, allowed: bool = True, actor: str = "dora", **more: object) -> None:
    known = {"actor": house.ids.get(actor), "actor_address": f"{actor}@acme.test", **more}
    entry = AuditEntry("d-1", event, allowed, principal=house.ids["olga"], right=right, detail=detail, **known)  # type: ignore[arg-type]
    await house.store.do(RecordAudit((entry,)))


async def week(house: House, days: float = 7) -> list[str]:
    """What has come to the owner by then."""
    house.clock.turn(days * DAY)
    await Digests(house.store, house.delivery).round()
    return [octets.decode() for octets in await house.mail("olga")]


async def test_who_did_what_is_told_after_a_week_and_once(house: House) -> None:
    for _ in range(3):
        await did(house, "send-as", "send-as")
    await did(house, "folder access", "read", "/INBOX")
    await did(house, "folder access", "insert", "/Work", allowed=False)
    assert await week(house, 6.9) == []
    (mail,) = await week(house, 0.1)
    assert "Subject: What others did in your mailbox\r\n" in mail
    assert "dora@acme.test\r\n  sent as you: 3\r\n  folders, read: /INBOX\r\n  was refused: folder access insert: 1\r\n" in mail
    assert len(await week(house, 0)) == 1
    assert len(await week(house, 1)) == 1
    assert len(await week(house)) == 1, "nothing happened since"
    await did(house, "on-behalf", "on-behalf")
    *_, second = await week(house)
    assert "sent on your behalf: 1" in second
    assert "sent as you" not in second


async def test_nobody_hears_of_what_is_anothers_or_ones_own(house: House) -> None:
    await did(house, "send-as", "send-as")
    await did(house, "folder access", "read", "/INBOX", actor="olga")
    (mail,) = await week(house)
    assert "olga@acme.test\r\n  " not in mail
    assert await house.mail("quiet") == []
    assert await house.mail("dora") == []


async def test_changes_and_ended_grants_are_told(house: House) -> None:
    await house.grant("olga", "dora", SendRight.SEND_AS, expires=house.clock.at + SECOND)
    await house.share("olga", "/INBOX", "dora", Right.LOOKUP | Right.READ)
    await did(house, "grant changed", "sendAs", "to account dora@acme.test", actor="operator")
    (mail,) = await week(house)
    assert "grant changed by operator@acme.test: sendAs to account dora@acme.test" in mail
    assert "Grants that came to their end:\r\n  sendAs, until " in mail
    assert "r on /INBOX" not in mail


async def test_who_logged_in_as_the_owner_is_told_by_name(house: House) -> None:
    await did(house, "folder access", "read", "/INBOX", actor="olga", person=house.ids["dora"], person_address="dora@acme.test")
    (mail,) = await week(house)
    assert "dora@acme.test\r\n  folders, read: /INBOX" in mail


async def test_an_owner_may_want_none_and_later_hears_nothing_old(house: House) -> None:
    await house.values("olga", delegation_digest="none")
    await did(house, "send-as", "send-as")
    assert await week(house) == []
    await house.values("olga", delegation_digest="weekly")
    assert await week(house) == []


async def test_many_folders_are_counted_and_nothing_breaks_a_line(house: House) -> None:
    for number in range(NAMED + 3):
        await did(house, "folder access", "read", f"/F{number:02}")
    await did(house, "folder access", "mark", "/evil\r\nSubject: x")
    (mail,) = await week(house)
    assert "and 3 more" in mail
    assert "/evil  Subject: x" in mail
