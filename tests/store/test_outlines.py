"""What LIST shows has an epoch of its own: it moves with every change of that, and is no change of policy."""

from typing import Any

import pytest

from policy.folders import SpecialUse
from store import applied, folders, outlines
from store.folders import CreateFolder, DeleteFolder, RenameFolder, SetSpecialUse, SwitchFolder
from store.port import Deed
from store.subscriptions import Subscribe, Unsubscribe
from tests.store.conftest import Directory


@pytest.mark.parametrize(
    "what", ["made", "renamed", "deleted", "switched", "used", "subscribed", "unsubscribed", "not wanted", "INBOX renamed"]
)
async def test_each_change_counts(directory: Directory, what: str) -> None:
    store, anna = directory.store, directory.anna
    folder = (await store.do(CreateFolder(anna, "/a"))).id
    inbox = await directory.ask(folders.by_path, anna, "/INBOX")
    archive = await directory.ask(folders.by_special_use, anna, SpecialUse.ARCHIVE)
    assert inbox is not None
    assert archive is not None
    await store.do(Subscribe(anna, anna, "/a"))
    deeds: dict[str, Deed[Any]] = {
        "made": CreateFolder(anna, "/b"),
        "renamed": RenameFolder(folder, "/b"),
        "deleted": DeleteFolder(folder),
        "switched": SwitchFolder(folder, subscribe_auto=True),
        "used": SetSpecialUse(archive.id, None),
        "subscribed": Subscribe(anna, directory.bruno, "/INBOX"),
        "unsubscribed": Unsubscribe(anna, anna, "/a"),
        "not wanted": Unsubscribe(anna, directory.bruno, "/INBOX", computed=True),
        "INBOX renamed": RenameFolder(inbox.id, "/b"),
    }
    async with store.snapshot() as snapshot:
        before = await snapshot.witness(outlines.scope(anna))
        others = await snapshot.witness(outlines.scope(directory.bruno))
    await store.do(deeds[what])
    async with store.snapshot() as snapshot:
        assert not await snapshot.confirms(before)
        assert await snapshot.confirms(others)


async def test_it_is_no_change_of_policy(directory: Directory) -> None:
    store, anna = directory.store, directory.anna
    async with store.snapshot() as snapshot:
        before = await snapshot.witness(anna)
    mark = await directory.ask(applied.mark)
    await store.do(CreateFolder(anna, "/a"))
    await store.do(Subscribe(anna, anna, "/a"))
    async with store.snapshot() as snapshot:
        assert await snapshot.confirms(before)
    assert await directory.ask(applied.mark) == mark


async def test_many_epochs_are_read_as_one_by_one(directory: Directory) -> None:
    """A witness of many scopes is read by one statement."""
    store, anna = directory.store, directory.anna
    async with store.snapshot() as snapshot:
        many = await snapshot.witness(*range(1, 3000), outlines.scope(anna))
        few = await snapshot.witness(anna, directory.bruno, outlines.scope(anna))
        assert dict(few.epochs).items() <= dict(many.epochs).items()
        assert await snapshot.confirms(many)
    await store.do(CreateFolder(anna, "/a"))
    async with store.snapshot() as snapshot:
        assert not await snapshot.confirms(many)
