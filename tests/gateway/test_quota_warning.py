"""The warning of a mailbox that is nearly full: in the owner's INBOX, once in so long a time, whoever filled it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.folders import NewItem, Place, Visit
from gateway.message.split import read_header
from gateway.quota_warning import QuotaWarnings, worded
from gateway.refusal import Refused
from policy.delivery import Door
from policy.quota import Usage
from policy.rights import parse_letters
from policy.status import AccountStatus
from store import accounts
from store.cos import DEFAULT, ModifyCos
from store.errors import Busy
from tests.gateway.house import House, address, letter, opened

DAY = 86_400


@asynccontextmanager
async def warning(house: House) -> AsyncIterator[QuotaWarnings]:
    warnings = QuotaWarnings(house.store, house.delivery, pause=0)
    unwatch = house.store.watch(warnings.told)
    task = asyncio.ensure_future(warnings.run())
    try:
        yield warnings
        assert not task.done()
    finally:
        task.cancel()
        unwatch()


def of_us(found: list[bytes]) -> list[bytes]:
    return [octets for octets in found if b"postmaster@mx.acme.test" in octets]


async def warned(house: House, name: str, count: int) -> list[bytes]:
    """The warnings once there are so many, and a moment later, so that one too many is seen."""
    for _ in range(300):
        if len(of_us(await house.mail(name))) >= count:
            break
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    found = of_us(await house.mail(name))
    assert len(found) == count
    return found


async def fill(house: House, octets: int, *, to: str = "anna", path: str = "/INBOX", by: str | None = None) -> None:
    """By APPEND: of the owner, or of somebody whom the owner lets do it."""
    actor = house.actor(by or to)
    place = Place(None if by is None else f"{to}@acme.test", path)
    body = letter(text="x" * (octets - len(letter(text=""))))
    assert len(body) == octets
    await house.folders.append(Visit(actor, "imap", "192.0.2.1"), place, [NewItem(body)])


async def test_it_comes_when_the_threshold_is_passed_and_says_how_full(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna") as house, warning(house):
        await house.values("anna", quota="10000")
        await fill(house, 8_900)
        await warned(house, "anna", 0)
        await fill(house, 200)
        (octets,) = await warned(house, "anna", 1)
    assert b"Subject: Your mailbox is nearly full\r\n" in octets
    assert b"Auto-Submitted: auto-generated\r\n" in octets
    assert b"91%" in octets


async def test_not_twice_within_the_interval_and_again_after_it_also_by_another_process(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna") as house:
        await house.values("anna", quota="100000")
        async with warning(house):
            await fill(house, 95_000)
            await warned(house, "anna", 1)
            await fill(house, 200)
            await warned(house, "anna", 1)
        house.clock.turn(DAY - 60)
        async with warning(house):
            await fill(house, 200)
            await warned(house, "anna", 1)
            house.clock.turn(61)
            await fill(house, 200)
            await warned(house, "anna", 2)


async def test_who_filled_up_before_the_process_ended_is_told_by_the_next(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno") as house:
        await house.values("anna", quota="1000")
        await fill(house, 950)
        async with warning(house):
            await warned(house, "anna", 1)
        async with warning(house):
            await warned(house, "anna", 1)
        assert await house.mail("bruno") == []


@pytest.mark.parametrize("how", ["lmtp", "mx", "append", "copy", "move"])
async def test_whoever_fills_it_and_it_comes_to_the_owner(tmp_path: Path, how: str) -> None:
    async with opened(tmp_path, "anna", "bruno") as house, warning(house):
        await house.values("anna", quota="10000")
        await house.share("anna", "/INBOX", "bruno", parse_letters("rwid"))
        body = letter(text="x" * 9200)
        match how:
            case "lmtp" | "mx":
                assert isinstance((await house.bring(Door(how), "far@far.test", ["anna"], body))[0], str)
            case "append":
                await fill(house, 9500, by="bruno")
            case _:
                await fill(house, 9500, to="bruno")
                visit = Visit(house.actor("bruno"), "imap", "192.0.2.1")
                source = await house.folders.open(visit, Place(None, "/INBOX"))
                act = house.folders.copy if how == "copy" else house.folders.move
                await act(source, Place("anna@acme.test", "/INBOX"), ((1, 1),))
        await warned(house, "anna", 1)
        await warned(house, "bruno", 0)


async def test_it_finds_room_in_a_mailbox_that_is_full(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna") as house, warning(house):
        await house.values("anna", quota="1000")
        await fill(house, 1000)
        (octets,) = await warned(house, "anna", 1)
        row = await house.ask(accounts.by_id, house.ids["anna"])
        assert row is not None
        assert row.used == 1000 + len(octets)
        with pytest.raises(Refused, match="over-quota"):
            await fill(house, 100)


@pytest.mark.parametrize("values", [{"quota_warn_percent": "0", "quota": "1000"}, {"quota_warn_percent": "96", "quota": "1000"}, {}])
async def test_who_is_not_to_be_warned_is_not(tmp_path: Path, values: dict[str, str]) -> None:
    async with opened(tmp_path, "anna") as house, warning(house):
        await house.values("anna", **values)
        await fill(house, 950)
        await warned(house, "anna", 0)


async def test_the_class_of_service_says_when_and_the_account_may_say_otherwise(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno") as house, warning(house):
        values = {"quota": "1000", "quota_warn_percent": "50", "quota_warn_message": "Half of it"}
        await house.store.do(ModifyCos(DEFAULT, values=values))
        await house.values("bruno", quota_warn_percent="70")
        await fill(house, 600)
        await fill(house, 600, to="bruno")
        (octets,) = await warned(house, "anna", 1)
        assert octets.endswith(b"\r\n\r\nHalf of it\r\n")
        await warned(house, "bruno", 0)
        await fill(house, 100, to="bruno")
        await warned(house, "bruno", 1)


async def test_a_closed_account_gets_none_and_stops_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno") as house:
        for name in ("anna", "bruno"):
            await house.values(name, quota="1000")
            await fill(house, 950, to=name)
        await house.status("anna", AccountStatus.CLOSED)
        async with warning(house):
            await warned(house, "bruno", 1)
            await warned(house, "anna", 0)


@pytest.mark.parametrize("fault", [Busy("no reader"), RuntimeError("a fault of ours")])
async def test_one_that_cannot_be_written_is_tried_at_the_next_message(
    tmp_path: Path, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, failing = 0, True
    async with opened(tmp_path, "anna") as house, warning(house):
        through = house.delivery.notice

        async def faulty(*arguments: Any) -> Any:
            nonlocal tried
            if failing:
                tried += 1
                raise fault
            return await through(*arguments)

        monkeypatch.setattr(house.delivery, "notice", faulty)
        await house.values("anna", quota="10000")
        await fill(house, 9_500)
        while not tried:
            await asyncio.sleep(0.01)
        await warned(house, "anna", 0)
        failing = False
        await fill(house, 100)
        await warned(house, "anna", 1)


async def test_many_messages_and_one_warning(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna") as house, warning(house):
        await house.values("anna", quota="100000")
        await asyncio.gather(*(fill(house, 960) for _ in range(100)))
        await warned(house, "anna", 1)


CARBONIO = (
    "From: Postmaster <postmaster@${RECIPIENT_DOMAIN}>${NEWLINE}To: ${RECIPIENT_NAME} <${RECIPIENT_ADDRESS}>${NEWLINE}"
    "Subject: Quota warning${NEWLINE}Date: ${DATE}${NEWLINE}Content-Type: text/plain${NEWLINE}${NEWLINE}"
    "Over ${WARN_PERCENT}% of ${QUOTA_MB}MB.${NEWLINE}"
)


@pytest.mark.parametrize(
    ("written", "subject", "text"),
    [
        (CARBONIO, "Quota warning", "Over 90% of 2MB.\n"),
        ("${MBOX_SIZE_MB} of ${QUOTA_MB}", "Your mailbox is nearly full", "1.9 of 2"),
        (
            "Dear ${RECIPIENT_NAME},${NEWLINE}${NEWLINE}${PERCENT} ${NOBODY_KNOWS}",
            "Your mailbox is nearly full",
            "Dear Anna,\n\n95 ${NOBODY_KNOWS}",
        ),
        ("To: x${NEWLINE}${NEWLINE}body", "Your mailbox is nearly full", "body"),
        ("Subject: a\r\n\r\nb", "a", "b"),
    ],
)
async def test_words_of_ones_own(tmp_path: Path, written: str, subject: str, text: str) -> None:
    async with opened(tmp_path, "anna") as house:
        await house.values("anna", quota_warn_message=written)
        row = await house.ask(accounts.by_id, house.ids["anna"])
    assert row is not None
    assert worded(row, Usage(1_993_000, 2 << 20), 0) == (subject, text)


async def test_words_of_ones_own_make_no_header_fields(tmp_path: Path) -> None:
    """Whoever writes the text for a class of service writes no other From, and no second message."""
    async with opened(tmp_path, "anna") as house, warning(house):
        await house.values(
            "anna", quota="1000", quota_warn_message="Subject: a\x0dBcc: eve@far.test${NEWLINE}From: eve@far.test${NEWLINE}${NEWLINE}b"
        )
        await fill(house, 950)
        (octets,) = await warned(house, "anna", 1)
    head = octets[: read_header(octets).end]
    assert head.count(b"From:") == 1
    assert b"\nBcc:" not in head
    assert b"\rBcc:" not in head
    assert address("anna").local.encode() in head
