"""What is asked through `work` may take long: everything else goes on meanwhile."""

import asyncio
import threading

import pytest

from store import accounts
from store.errors import Busy
from store.model import AccountRow
from store.port import Tx
from tests.store.conftest import Directory

PATIENCE = 20.0


async def until(said: threading.Event) -> None:
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while not said.is_set():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.005)


async def test_work_leaves_the_loop_to_others(directory: Directory) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(tx: Tx) -> tuple[AccountRow | None, bool, AccountRow | None]:
        before = accounts.by_id(tx, directory.anna)
        begun.set()
        return before, go_on.wait(PATIENCE), accounts.by_id(tx, directory.anna)

    async with directory.store.snapshot() as snapshot:
        working = asyncio.create_task(snapshot.work(slow))
        await until(begun)
        assert await directory.ask(accounts.by_id, directory.bruno) is not None
        go_on.set()
        before, told, after = await working
    assert before is not None
    assert told
    assert after == before


async def test_work_that_is_given_up_has_ended_before_anybody_else_reads(directory: Directory) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    refused: list[BaseException] = []

    def slow(tx: Tx) -> None:
        begun.set()
        go_on.wait(PATIENCE)
        try:
            accounts.by_id(tx, directory.anna)
        except Busy as error:
            refused.append(error)
            raise
        finally:
            ended.set()

    async with directory.store.snapshot() as snapshot:
        working = asyncio.create_task(snapshot.work(slow))
        await until(begun)
        working.cancel()
        await asyncio.sleep(0.02)
        assert not working.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert ended.is_set()
    assert len(refused) == 1
    assert await directory.ask(accounts.by_id, directory.anna) is not None


async def test_what_work_raises_is_raised(directory: Directory) -> None:
    def failing(tx: Tx) -> None:
        raise LookupError("no such thing")

    async with directory.store.snapshot() as snapshot:
        with pytest.raises(LookupError, match="no such thing"):
            await snapshot.work(failing)
        assert await snapshot.ask(accounts.by_id, directory.anna) is not None
