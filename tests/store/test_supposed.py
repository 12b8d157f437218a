"""A store at another time, and a copy in which things can be tried."""

from pathlib import Path

import pytest

from policy.identity import Address
from policy.status import AccountStatus
from store import accounts, grants, lists
from store.accounts import ModifyAccount, SetAccountStatus, SetGlobalAdministrator
from store.connect import supposed
from store.dynamic import CreateDynamicList
from store.errors import Busy
from store.lists import CreateList
from store.port import Tx
from store.supposed import COPIED, At
from tests.store.conftest import START, Directory


def now_of(tx: Tx) -> int:
    return tx.now


async def test_at_another_time_everything_is_asked_with_its_clock(directory: Directory) -> None:
    then = At(directory.store, START + 5)
    async with then.snapshot() as snapshot:
        assert snapshot.now == START + 5
        assert (await snapshot.ask(now_of), await snapshot.work(now_of)) == (START + 5, START + 5)
        assert await snapshot.ask(accounts.by_id, directory.anna) == await directory.ask(accounts.by_id, directory.anna)
        assert await snapshot.confirms(await snapshot.witness(directory.anna))
        with pytest.raises(TypeError):
            await snapshot.ask(lambda tx: tx.run("accounts.exists"))
    with pytest.raises(Busy):
        await then.do(SetGlobalAdministrator(directory.anna, True))
    assert then.fault is None


async def test_what_is_done_to_a_copy_is_done_to_nothing_else(directory: Directory, url: str, tmp_path: Path) -> None:
    into = tmp_path / "copy"
    copied = await supposed(url, tmp_path / "data", into, lambda: START)
    async with copied.snapshot() as snapshot:
        assert await snapshot.ask(accounts.by_id, directory.anna) is not None
        assert await snapshot.work(grants.mailbox_levels, directory.anna) == await directory.ask(grants.mailbox_levels, directory.anna)
    await copied.do(SetGlobalAdministrator(directory.anna, True))
    async with copied.snapshot() as snapshot:
        row = await snapshot.ask(accounts.by_id, directory.anna)
    await copied.close()
    assert row is not None
    assert (row.is_global_administrator, row.verifier) == (True, "")
    there = await directory.ask(accounts.by_id, directory.anna)
    assert there is not None
    assert not there.is_global_administrator


async def test_in_a_copy_members_of_dynamic_lists_follow_too(directory: Directory, url: str, tmp_path: Path) -> None:
    await directory.store.do(ModifyAccount(directory.anna, personal={"department": "sales"}))
    made = CreateDynamicList(CreateList(Address("sales", "acme.test")), "(&(department=sales)(status=active))")
    sales = await directory.store.do(made)
    copied = await supposed(url, tmp_path / "data", tmp_path / "copy", lambda: START)
    seen = []
    for status in (None, AccountStatus.CLOSED, AccountStatus.ACTIVE):
        if status is not None:
            await copied.do(SetAccountStatus(directory.anna, status))
        async with copied.snapshot() as snapshot:
            seen.append(len(await snapshot.ask(lists.members, sales)))
    await copied.close()
    assert seen == [1, 0, 1]
    assert len(await directory.ask(lists.members, sales)) == 1


@pytest.mark.parametrize("url", ["sqlite:///{data}/procura.db", "postgresql://nobody@127.0.0.1:9/nothing"])
async def test_a_database_that_is_not_there_is_busy(url: str, tmp_path: Path) -> None:
    with pytest.raises(Busy):
        await supposed(url, tmp_path / "nowhere", tmp_path / "copy")


def test_no_table_of_secrets_is_copied() -> None:
    assert not {
        "scram_keys",
        "dkim_key",
        "audit",
        "audit_key",
        "queue",
        "head",
        "wire",
        "app_password",
        "totp",
        "one_time_code",
        "password_history",
    } & set(COPIED)
