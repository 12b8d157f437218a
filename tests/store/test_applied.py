"""Applying a document: all deeds or none, on the state that was looked at, and its row to take it back by."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from policy.identity import AccountId, Address
from policy.status import AccountStatus
from store import accounts, applied
from store.accounts import CreateAccount, SetAccountStatus
from store.applied import Apply
from store.connect import connect
from store.domains import CreateDomain
from store.errors import NotFound, Stale
from store.port import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await connect("sqlite:///{data}/procura.db", tmp_path)
    await store.do(CreateDomain("acme.test"))
    try:
        yield store
    finally:
        await store.close()


async def test_on_the_state_that_was_looked_at(store: Store) -> None:
    anna = await store.do(CreateAccount(Address("anna", "acme.test")))
    async with store.snapshot() as snapshot:
        mark = await snapshot.ask(applied.mark)
        assert await snapshot.ask(applied.last) is None
    locking = (SetAccountStatus(anna, AccountStatus.LOCKED),)
    await store.do(Apply(locking, mark, "d-1", "[]"))
    async with store.snapshot() as snapshot:
        row = await snapshot.ask(applied.last)
        moved = await snapshot.ask(applied.mark)
    assert row is not None
    assert (row.decision, row.changes) == ("d-1", "[]")
    assert moved != mark
    with pytest.raises(Stale):
        await store.do(Apply(locking, mark, "d-2", "[]"))
    await store.do(Apply((SetAccountStatus(anna, AccountStatus.ACTIVE),), moved, "d-3", "[]", undoes=row.id))
    async with store.snapshot() as snapshot:
        assert await snapshot.ask(applied.last) is None
        now = await snapshot.ask(applied.mark)
    with pytest.raises(Stale):
        await store.do(Apply((), now, "d-4", "[]", undoes=row.id))


async def test_all_or_nothing(store: Store) -> None:
    anna = await store.do(CreateAccount(Address("anna", "acme.test")))
    async with store.snapshot() as snapshot:
        mark = await snapshot.ask(applied.mark)
    with pytest.raises(NotFound):
        await store.do(
            Apply((SetAccountStatus(anna, AccountStatus.CLOSED), SetAccountStatus(AccountId(99), AccountStatus.CLOSED)), mark, "d-1", "[]")
        )
    async with store.snapshot() as snapshot:
        assert await snapshot.ask(applied.last) is None
        assert await snapshot.ask(applied.mark) == mark
        row = await snapshot.ask(accounts.by_id, anna)
    assert row is not None
    assert row.own_status is AccountStatus.ACTIVE
