"""Numbers are renewed on either engine, and not while anybody serves."""

from pathlib import Path

import pytest

from gateway.directory.faults import Fault
from gateway.directory.recovery import renew, words
from policy.identity import Address
from store import audit, folders
from store.accounts import CreateAccount
from store.connect import connect
from store.domains import CreateDomain
from store.errors import InUse
from store.queue import AcceptMessage, IntoMailbox
from tests.store.letters import letter


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return "sqlite:///{data}/procura.db" if request.param == "sqlite" else str(request.getfixturevalue("shared_url"))


async def test_each_folder_has_a_new_uidvalidity_and_it_is_on_record(url: str, tmp_path: Path) -> None:
    store = await connect(url, tmp_path, staleness=1)
    await store.do(CreateDomain("acme.test"))
    anna = await store.do(CreateAccount(Address("anna", "acme.test")))
    await store.do(AcceptMessage("1", (IntoMailbox(anna, letter(1), 0),)))
    async with store.snapshot() as snapshot:
        before = await snapshot.ask(folders.of_owner, anna)
    with pytest.raises(InUse):
        await renew(url, tmp_path)
    await store.close()
    done = await renew(url, tmp_path)
    assert (done.folders, done.queued) == (len(before), 0)
    assert words(done) == [f"{len(before)} folders have a new UIDVALIDITY: mail clients fetch them again"]
    store = await connect(url, tmp_path)
    async with store.snapshot() as snapshot:
        after = await snapshot.ask(folders.of_owner, anna)
        assert all(new.uidvalidity > old.uidvalidity for new, old in zip(after, before, strict=True))
        (entry,) = await snapshot.ask(audit.newest)
        assert entry.entry.event == "installation restored"
    await store.close()


async def test_who_serves_is_named_and_nothing_is_changed(shared_url: str, tmp_path: Path) -> None:
    serving = await connect(shared_url, tmp_path / "serving", staleness=1)
    try:
        with pytest.raises(Fault, match=r"stop .*; nothing was changed"):
            await renew(shared_url, tmp_path / "other")
        async with serving.snapshot() as snapshot:
            assert (await snapshot.ask(audit.head)).number == 0
    finally:
        await serving.close()
