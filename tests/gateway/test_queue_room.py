from pathlib import Path

from gateway.queue_room import QueueRoom
from store.connect import connect
from store.domains import CreateDomain
from store.model import NewMessage, QueueKind
from store.port import Store
from store.queue import AcceptMessage, DropQueued, OntoQueue, queued, rows_up_to


def onto_queue(number: int) -> OntoQueue:
    octets = b"Subject: %d\r\n\r\nhi\r\n" % number
    return OntoQueue(
        QueueKind.RELAY, f"r{number}@elsewhere.test", NewMessage(octets, b"", b"", b"", 1, "", "", "", "", "", None), "", 1 << 60
    )


async def fill(store: Store, count: int) -> None:
    await store.do(AcceptMessage("", queued=tuple(map(onto_queue, range(count)))))


async def test_as_many_rows_as_there_may_be(tmp_path: Path) -> None:
    store = await connect("sqlite:///{data}/x.db", tmp_path)
    try:
        await store.do(CreateDomain("acme.test"))
        await fill(store, 4)
        room = QueueRoom(6)
        assert await room.fits_now(2, store)
        assert not await room.fits_now(3, store)
        # What is added counts at once, whether it was counted in the store or not.
        room.added(2)
        await fill(store, 2)
        assert not await room.fits_now(1, store)
        assert await room.fits_now(0, store)
        # What did not come about does not.
        room.added(-1)
        assert await room.fits_now(1, store)
    finally:
        await store.close()


async def test_a_new_count_sees_what_has_left(tmp_path: Path) -> None:
    store = await connect("sqlite:///{data}/x.db", tmp_path)
    try:
        await fill(store, 3)
        async with store.snapshot() as snapshot:
            rows = await snapshot.ask(queued)
            assert await snapshot.ask(rows_up_to, 2) == 2, "counts no further than it has to"
        assert not await QueueRoom(3).fits_now(1, store)
        await store.do(DropQueued((rows[0].id,)))
        assert await QueueRoom(3).fits_now(1, store)
        assert not await QueueRoom(3).fits_now(2, store)
    finally:
        await store.close()
