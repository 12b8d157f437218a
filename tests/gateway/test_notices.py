"""The notice of a lockout arrives in the account's own INBOX."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.login import LockoutBegan, Login
from gateway.notices import Notices
from gateway.sources import FailingSources
from policy.login import FOREVER, Failure, FailureHistory
from store.errors import Busy
from tests.gateway.house import SECOND, START, House, address, opened


async def notice(house: House, *histories: FailureHistory) -> list[bytes]:
    login = Login(house.store, house.passwords, FailingSources(50, 600, []))
    notices = Notices(house.store, house.delivery, login)
    task = asyncio.ensure_future(notices.run())
    for history in histories:
        for queue in login.lockout_began:
            queue.put_nowait(LockoutBegan(house.ids["anna"], address("anna"), history, "imap"))
    for _ in range(200):
        if len(await house.mail("anna")) >= len(histories):
            break
        await asyncio.sleep(0.01)
    task.cancel()
    return await house.mail("anna")


async def test_it_tells_sources_times_and_the_end(tmp_path: Path) -> None:
    failures = (Failure(START, "192.0.2.0/24", 1), Failure(START + 60 * SECOND, "198.51.100.0/24", 2))
    async with opened(tmp_path, "anna") as house:
        await house.values("anna", quota="10")
        (octets,) = await notice(house, FailureHistory(failures, START + 3600 * SECOND))
    assert b"To: anna@acme.test\r\n" in octets
    assert b"2027-01-15 08:00:00 UTC  from 192.0.2.0/24" in octets
    assert b"2027-01-15 08:01:00 UTC  from 198.51.100.0/24" in octets
    assert b"ends by itself at 2027-01-15 09:00:00 UTC" in octets


@pytest.mark.parametrize("fault", [Busy("no reader"), RuntimeError("a fault of ours")])
async def test_one_that_cannot_be_written_does_not_stop_the_next(tmp_path: Path, fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = iter([fault])
    async with opened(tmp_path, "anna") as house:
        through = house.delivery.notice

        async def faulty(*arguments: Any) -> Any:
            for one in faults:
                raise one
            return await through(*arguments)

        monkeypatch.setattr(house.delivery, "notice", faulty)
        histories = (FailureHistory((), FOREVER), FailureHistory((Failure(START, "192.0.2.0/24", None),), FOREVER))
        login = Login(house.store, house.passwords, FailingSources(50, 600, []))
        task = asyncio.ensure_future(Notices(house.store, house.delivery, login).run())
        for history in histories:
            for queue in login.lockout_began:
                queue.put_nowait(LockoutBegan(house.ids["anna"], address("anna"), history, "imap"))
        while not await house.mail("anna"):
            assert not task.done()
            await asyncio.sleep(0.01)
        task.cancel()
        (octets,) = await house.mail("anna")
    assert b"from 192.0.2.0/24" in octets


async def test_one_that_does_not_end_by_itself_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna") as house:
        (octets,) = await notice(house, FailureHistory((Failure(START, "192.0.2.0/24", None),), FOREVER))
    assert b"ends when an administrator unlocks the account" in octets


async def test_several_after_each_other_and_at_most_fifty_attempts_each(tmp_path: Path) -> None:
    failures = tuple(Failure(START + number * SECOND, "192.0.2.0/24", number) for number in range(200))
    async with opened(tmp_path, "anna") as house:
        found = await notice(house, FailureHistory(failures, FOREVER), FailureHistory(failures[:1], FOREVER))
    assert [octets.count(b"from 192.0.2.0/24") for octets in found] == [50, 1]
