"""Nothing is found wrong where nothing is: two nodes on one database, mail that comes, changes, moves and goes, and looks meanwhile."""

import asyncio
import random
from pathlib import Path

import pytest

from gateway.directory.premises import Premises
from gateway.directory.records import Records
from gateway.directory.verification import Verification
from policy.folders import SpecialUse
from policy.identity import AccountId, Address, FolderId
from store import folders, postgres_session
from store.accounts import CreateAccount
from store.audit import AuditEntry
from store.blobs import ALL_IN_ROWS, Files, SweepBlobs
from store.connect import connect
from store.copying import CopyMessages, MoveMessages
from store.deeds import Audited
from store.domains import CreateDomain
from store.errors import Busy
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.folders import CreateFolder, DeleteFolder
from store.model import Flag
from store.port import Store, Tx
from store.queue import AcceptMessage, ClaimDue, Filing, HandedOn, IntoMailbox, OntoQueue, QueueKind
from tests.store.letters import letter

LOOKS = 3


def looking(store: Store, data: Path) -> Verification:
    return Verification(store, Records(store), Premises(data, Files(data / "messages", ALL_IN_ROWS), lambda: ()))


async def live(stores: list[Store], people: list[tuple[AccountId, FolderId, FolderId]], number: int, done: asyncio.Event) -> int:
    """One who writes, to both nodes in turn."""
    draw = random.Random(number)
    count = 0
    while not done.is_set():
        count += 1
        key = number * 1_000_000 + count
        store = draw.choice(stores)
        (anna, inbox, sent), (other, _, _) = draw.sample(people, 2)
        runs = ((draw.randrange(1, 40), draw.randrange(40, 80)),)
        match draw.randrange(9):
            case 0 | 1 | 2:
                copies = tuple(IntoMailbox(owner, letter(key, draw.choice((0, 9000))), 0) for owner in (anna, other))
                await store.do(AcceptMessage(f"{key}", copies))
            case 3:
                queued = OntoQueue(QueueKind.RELAY, "far@elsewhere.test", letter(key), "anna@acme.test", 1 << 60, sender=anna)
                await store.do(AcceptMessage(f"{key}", (), (queued,), (Filing(letter(key), anna, sender=True),)))
            case 4:
                rows = await store.do(ClaimDue(store.node, 1 << 60, 5))
                await store.do(HandedOn(tuple(row.id for row in rows), store.node))
            case 5:
                await store.do(ChangeFlags(inbox, runs, draw.choice([*FlagMode]), draw.choice((Flag.SEEN, Flag.DELETED))))
            case 6:
                entry = AuditEntry(f"d-{key}", "opened", True, actor=other)
                await store.do(Audited(Expunge(draw.choice((inbox, sent))), (entry,)))
            case 7:
                await store.do(draw.choice((MoveMessages, CopyMessages))(inbox, sent, runs, 0))
            case _:
                made = await store.do(CreateFolder(anna, f"/f{key}"))
                await store.do(CopyMessages(inbox, made.id, runs, 0))
                await store.do(DeleteFolder(made.id))
                await store.do(SweepBlobs(50))
    return count


@pytest.mark.timeout(120)
async def test_nothing_is_found_wrong_while_two_nodes_write(shared_url: str, tmp_path: Path) -> None:
    stores = [await connect(shared_url, tmp_path / name) for name in ("one", "other")]
    try:
        await stores[0].do(CreateDomain("acme.test"))
        people = []
        for name in ("anna", "bruno", "carla"):
            number = await stores[0].do(CreateAccount(Address(name, "acme.test")))
            async with stores[0].snapshot() as snapshot:
                found = [await snapshot.ask(folders.by_special_use, number, use) for use in (SpecialUse.INBOX, SpecialUse.SENT)]
            inbox, sent = [one.id for one in found if one is not None]
            people.append((number, inbox, sent))
        done = asyncio.Event()
        writing = [asyncio.create_task(live(stores, people, number, done)) for number in range(6)]
        for look in range(LOOKS):
            found_wrong = await looking(stores[look % 2], tmp_path).verify(lambda *_: None)
            assert found_wrong.findings == [], found_wrong.findings[:5]
        done.set()
        assert sum(await asyncio.gather(*writing)) > 50
        # And nothing is wrong in the end.
        assert (await looking(stores[0], tmp_path).verify(lambda *_: None)).findings == []
    finally:
        for store in stores:
            await store.close()


def asleep(tx: Tx) -> None:
    tx.composed("SELECT 1 FROM pg_sleep(0.4)")


async def test_a_look_that_takes_its_time_is_no_damage(shared_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(postgres_session._SERVER, "statement_timeout", "100ms")  # type: ignore[arg-type]
    store = await connect(shared_url, tmp_path)
    try:
        async with store.snapshot() as snapshot:
            await snapshot.take_time()
            await snapshot.work(asleep)
        with pytest.raises(Busy, match="statement timeout"):
            async with store.snapshot() as snapshot:
                await snapshot.work(asleep)
    finally:
        await store.close()
