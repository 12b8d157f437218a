"""What ends by itself is announced before, once, to the owner and to the delegates."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.grant_warnings import EVERY, GrantWarnings
from policy.grants import FolderEntry, Grantee, GranteeKind, SendRight
from policy.rights import Right
from store import folders, tenure
from store.deeds import Several
from store.errors import NotFound
from store.grants import SetFolderEntry
from tests.gateway.house import SECOND, House, opened

READ = Right.LOOKUP | Right.READ
DAY = 86_400


async def entry(house: House, to: Grantee, rights: Right = READ, days: float = 30, note: str = "") -> None:
    root = await house.ask(folders.by_path, house.ids["anna"], "/")
    assert root is not None
    expires = house.clock.at + int(days * DAY) * SECOND
    await house.store.do(SetFolderEntry(root.id, FolderEntry(to, rights, None, expires, note)))


def account(house: House, name: str) -> Grantee:
    return Grantee(GranteeKind.ACCOUNT, house.ids[name])


async def counts(house: House, *names: str) -> list[int]:
    return [len(await house.mail(name)) for name in names]


async def test_a_week_before_once_and_everything_that_ends_together_in_one_mail(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno", "carla") as house:
        warnings = GrantWarnings(house.store, house.delivery)
        await entry(house, account(house, "bruno"), note="while she is away")
        await house.grant("anna", "bruno", SendRight.SEND_AS, expires=house.clock.at + 30 * DAY * SECOND)
        assert await warnings.look() == EVERY
        house.clock.turn(23 * DAY - 1)
        assert await warnings.look() == 1
        assert await counts(house, "anna", "bruno", "carla") == [0, 0, 0]
        house.clock.turn(1)
        for _ in range(3):
            await warnings.look()
        # A new process begins anew, with what is on disk.
        await GrantWarnings(house.store, house.delivery).look()
        assert await counts(house, "anna", "bruno", "carla") == [1, 1, 0]
        (to_anna,), (to_bruno,) = await house.mail("anna"), await house.mail("bruno")
    assert b"Subject: What account bruno@acme.test may do for anna@acme.test ends soon" in to_anna
    assert b"Subject: What you may do for anna@acme.test ends soon" in to_bruno
    assert b"you may use / of anna@acme.test (r): while she is away" in to_bruno
    assert b"you may sendAs on anna@acme.test" in to_bruno
    assert b"Auto-Submitted: auto-generated" in to_bruno


async def test_a_later_end_is_announced_again(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno") as house:
        warnings = GrantWarnings(house.store, house.delivery)
        await entry(house, account(house, "bruno"), days=10)
        house.clock.turn(6 * DAY)
        await warnings.look()
        await entry(house, account(house, "bruno"), days=10)
        await warnings.look()
        assert await counts(house, "anna", "bruno") == [1, 1]
        house.clock.turn(6 * DAY)
        await warnings.look()
        assert await counts(house, "anna", "bruno") == [2, 2]


async def test_members_of_groups_are_told_and_domains_are_not(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno", "carla", "dora") as house:
        team = await house.group("team", "bruno", "carla", "anna")
        await entry(house, Grantee(GranteeKind.GROUP, team))
        await entry(house, Grantee(GranteeKind.ALL))
        house.clock.turn(24 * DAY)
        await GrantWarnings(house.store, house.delivery).look()
        assert await counts(house, "anna", "bruno", "carla", "dora") == [2, 1, 1, 0]


async def test_the_owners_of_a_list_are_told(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", "bruno") as house:
        await house.group("news", owners=["anna"])
        await house.grant("news", "bruno", SendRight.SEND_AS, expires=house.clock.at + 10 * DAY * SECOND)
        house.clock.turn(6 * DAY)
        await GrantWarnings(house.store, house.delivery).look()
        assert await counts(house, "anna", "bruno") == [1, 1]


@pytest.mark.parametrize("what", ["switched off", "blocks", "denies", "has no end", "is over"])
async def test_what_is_not_announced(tmp_path: Path, what: str) -> None:
    async with opened(tmp_path, "anna", "bruno") as house:
        bruno = account(house, "bruno")
        match what:
            case "switched off":
                await house.values("anna", grant_warn_before="0")
                await entry(house, bruno)
            case "blocks":
                await entry(house, bruno, Right.NONE)
            case "denies":
                await house.grant("anna", "bruno", SendRight.SEND_AS, deny=True, expires=house.clock.at + 30 * DAY * SECOND)
            case "has no end":
                await house.grant("anna", "bruno", SendRight.SEND_AS)
            case _:
                await entry(house, bruno, days=1)
        house.clock.turn(29 * DAY)
        await GrantWarnings(house.store, house.delivery).look()
        assert await counts(house, "anna", "bruno") == [0, 0]


@asynccontextmanager
async def running(house: House) -> AsyncIterator[None]:
    warnings = GrantWarnings(house.store, house.delivery, pause=0)
    unwatch = house.store.watch(warnings.told)
    task = asyncio.ensure_future(warnings.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        unwatch()


async def test_a_change_wakes_it_and_what_cannot_be_written_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed: list[object] = []
    async with opened(tmp_path, "anna", "bruno") as house:
        through = house.store.do

        async def fails_once(deed: Any, *rest: Any, **options: Any) -> Any:
            if isinstance(deed, Several) and not failed:
                failed.append(deed)
                raise NotFound("somebody is gone")
            return await through(deed, *rest, **options)

        monkeypatch.setattr(house.store, "do", fails_once)
        async with running(house):
            await until_told(house)
        assert failed


async def until_told(house: House) -> None:
    await entry(house, account(house, "bruno"), days=10)
    house.clock.turn(6 * DAY)
    for turn in range(300):
        if turn % 10 == 0:
            await house.values("bruno", quota="0")  # any change wakes it
        if await counts(house, "anna", "bruno") == [1, 1]:
            break
        await asyncio.sleep(0.01)
    assert await counts(house, "anna", "bruno") == [1, 1]
    assert all(one.warned is not None for one in await house.ask(tenure.on, house.ids["anna"], 5))
