"""A judgement that went stale is made again for a while; what stands in the way is for judgement to say."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.folders import Folders, NewItem, Place, judging
from gateway.refusal import Refused
from policy.reasons import Defer, Reason, Verdict
from store.blobs import Files
from store.errors import Broken, Conflict
from store.port import Deed, Store
from tests.gateway.folders.meddler import Meddler
from tests.gateway.imap.handlers.house import House, housed, message

INBOX = Place("anna@acme.test", "/INBOX")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with housed(tmp_path) as found:
        await found.make("anna", "/Posta")
        await found.share("anna", "/", "bruno", "rix")
        yield found


class Failing:
    """A store that does no deed that rests on a judgement."""

    def __init__(self, store: Store, error: Exception) -> None:
        self._store = store
        self._error = error
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def do(self, deed: Deed[Any], witness: Any = None, **options: Any) -> Any:
        if witness is None:
            return await self._store.do(deed, witness, **options)
        self.asked += 1
        raise self._error


def service(store: Any, house: House) -> Folders:
    return Folders(store, Files(house.directory / "octets"))


async def append(folders: Folders, house: House) -> None:
    await folders.append(house.visit("bruno"), INBOX, [NewItem(message())])


async def refused(folders: Folders, house: House) -> Verdict:
    with pytest.raises(Refused) as caught:
        await append(folders, house)
    return caught.value.verdict


async def test_who_is_always_overtaken_is_told_later(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def meddle() -> None:
        await house.share("anna", "/Posta", "clara", "r")

    monkeypatch.setattr(judging, "PATIENCE", 0.05)
    meddler = Meddler(house.store, meddle, times=999)
    assert await refused(service(meddler, house), house) == Defer(Reason.BUSY)
    assert meddler.left < 998


async def test_a_batch_of_changes_meanwhile_is_waited_for(house: House) -> None:
    async def meddle() -> None:
        await house.share("anna", "/Posta", "clara", "r")

    meddler = Meddler(house.store, meddle, times=8)
    await append(service(meddler, house), house)
    assert meddler.left == 0


async def test_what_only_the_store_finds_in_the_way_is_asked_about_once_more(house: House) -> None:
    store = Failing(house.store, Conflict("there is something"))
    with pytest.raises(Refused) as caught:
        await service(store, house).create(house.visit("bruno"), Place("anna@acme.test", "/Posta/Neu"))
    assert caught.value.verdict.reason is Reason.NOT_ALLOWED_ON_THIS_FOLDER
    assert store.asked == 2


async def test_a_constraint_that_was_broken_is_no_final_answer(house: House) -> None:
    store = Failing(house.store, Broken("UNIQUE constraint failed"))
    assert await refused(service(store, house), house) == Defer(Reason.BUSY)
    assert store.asked == 1
