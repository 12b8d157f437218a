"""Octets in an object store: in memory, in a directory, and in one that speaks S3 and misbehaves."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from obstore.store import LocalStore, MemoryStore

from policy.identity import FolderId
from store import blobs, messages, objects, verify
from store.appending import AppendMessages, NewInFolder
from store.away import Away, Lost, Want
from store.blobs import IN_ROW, SHELF_OF_OBJECTS, Files, SweepBlobs
from store.errors import Busy
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.model import Flag, NewMessage
from store.objects import Home, ObjectFiles
from store.renewal import Renew
from tests.live.bucket import ACCESS, HOME, SECRET, Bucket, Fault, speaking
from tests.store.letters import Bench, letter

KINDS = ("memory", "directory", "s3")


def large(number: int = 1, more: int = 1) -> NewMessage:
    return letter(number, IN_ROW + more)


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as bucket:
        yield bucket


@pytest.fixture(params=KINDS)
def files(request: pytest.FixtureRequest, tmp_path: Path, bucket: Bucket) -> ObjectFiles:
    if request.param == "memory":
        return ObjectFiles(tmp_path / "octets", objects=MemoryStore(), name=HOME)
    if request.param == "directory":
        (tmp_path / "objects").mkdir()
        return ObjectFiles(tmp_path / "octets", objects=LocalStore(tmp_path / "objects"), name=HOME, root=tmp_path / "objects")
    return speaking(bucket, tmp_path / "octets")


@pytest.fixture
def s3(bucket: Bucket, tmp_path: Path) -> ObjectFiles:
    return speaking(bucket, tmp_path / "octets")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def reading(bench: Bench, question: Callable[..., Any], *args: Any) -> Callable[[], Awaitable[Any]]:
    async def read() -> Any:
        return bench.ask(question, *args)

    return read


async def stored(bench: Bench, files: Files, message: NewMessage, uid: int = 1) -> FolderId:
    inbox = bench.inbox(bench.anna)
    bench.do(AppendMessages(inbox, (NewInFolder(await files.kept(message)),), 0))
    return inbox


async def listed(files: Files, before: int = 1 << 60) -> list[str]:
    return sorted([one async for page in files.aged_pages(before) for one in page])


async def test_what_is_large_is_an_object_and_is_read_again(bench: Bench, files: ObjectFiles) -> None:
    message = large()
    inbox = await stored(bench, files, message)
    kept = await files.kept(message)
    assert kept.spooled is not None
    assert kept.octets == b""
    assert kept.spooled.hash == sha256(message.octets).digest()
    assert not files.directory.exists()
    with pytest.raises(Away):
        bench.ask(messages.octets, inbox, 1, files)
    assert await files.brought(reading(bench, messages.octets, inbox, 1, files)) == message.octets
    assert not files._there, "what nobody reads any more is remembered"
    assert bench.ask(verify.messages, 0).findings == []


async def test_names_say_what_the_octets_are_and_are_never_used_twice(files: ObjectFiles) -> None:
    one, two = await files.kept(large()), await files.kept(large())
    assert one.spooled is not None
    assert two.spooled is not None
    assert one.spooled.hash == two.spooled.hash
    assert one.spooled.place != two.spooled.place
    for kept in (one, two):
        assert kept.spooled is not None
        start = f"{SHELF_OF_OBJECTS}{HOME}/{kept.spooled.hash.hex()[:2]}/{kept.spooled.hash.hex()}-"
        assert kept.spooled.place.startswith(start)


async def test_found_again_by_hash_within_one_owner_only(bench: Bench, files: ObjectFiles) -> None:
    await stored(bench, files, large())
    await stored(bench, files, large())
    bench.do(AppendMessages(bench.inbox(bench.bruno), (NewInFolder(await files.kept(large())),), 0))
    places = {place for (place,) in bench.raw.execute("SELECT place FROM blob")}
    assert len(places) == 2
    assert len(await listed(files)) == 3, "the second of anna's is nobody's, and for the sweep"


@pytest.mark.parametrize(
    ("size", "above", "where"), [(IN_ROW, IN_ROW, "row"), (IN_ROW + 1, 2 * IN_ROW, "file"), (3 * IN_ROW, 2 * IN_ROW, "object")]
)
async def test_the_threshold_parts_rows_files_and_objects(tmp_path: Path, size: int, above: int, where: str) -> None:
    files = ObjectFiles(tmp_path / "octets", objects=MemoryStore(), name=HOME, above=above)
    kept = await files.kept(letter(1, size))
    found = "row" if kept.spooled is None else "object" if kept.spooled.place.startswith(SHELF_OF_OBJECTS) else "file"
    assert found == where
    if kept.spooled is not None:
        assert await files.whole(kept.spooled.place) == letter(1, size).octets


async def test_pieces_are_those_of_the_whole(bench: Bench, files: ObjectFiles, bucket: Bucket) -> None:
    octets = secrets.token_bytes(300_000)
    inbox = await stored(bench, files, letter(1)._replace(octets=octets))
    for wanted in (
        [(0, 5)],
        [(50_000, 70_001), (9, 9), (0, 3)],
        [(0, 400_000)],
        [(250_000, 400_000)],
        [(300_000, 300_001), (3, 4)],
        [(7, 7)],
        [],
    ):
        found = await files.brought(reading(bench, messages.pieces, inbox, 1, wanted, files))
        assert found == [octets[low:high] for low, high in wanted], wanted
    assert await files.brought(reading(bench, messages.pieces, inbox, 2, [(0, 1)], files)) is None
    for count in (10, 65_536, 1_000_000):
        ((uid, beginning),) = await files.brought(reading(bench, messages.beginnings, inbox, ((1, 1),), count, files))
        assert (uid, beginning) == (1, octets[:count])
    if bucket.asked:
        whole = [one for one in bucket.asked if one[0] == "GET" and not one[2]]
        assert whole == [], "a piece is not worth the whole message"


async def test_many_are_asked_for_at_once(bench: Bench, files: ObjectFiles) -> None:
    inbox = bench.inbox(bench.anna)
    letters = [large(number, number) for number in range(1, 13)]
    for one in letters:
        await stored(bench, files, one)
    rounds = 0

    async def read() -> list[tuple[int, bytes]]:
        nonlocal rounds
        rounds += 1
        return bench.ask(messages.octets_within, inbox, ((1, 12),), files)

    assert await files.brought(read) == [(number, one.octets) for number, one in enumerate(letters, 1)]
    assert rounds == 2


async def test_two_readers_of_one_message_do_not_take_it_from_each_other(bench: Bench, files: ObjectFiles) -> None:
    inbox = await stored(bench, files, large())
    gate = asyncio.Event()

    async def slowly() -> bytes:
        bench.ask(messages.octets, inbox, 1, files)
        await gate.wait()
        return bench.ask(messages.octets, inbox, 1, files)

    one = asyncio.ensure_future(files.brought(slowly))
    await asyncio.sleep(0.05)
    assert await files.brought(reading(bench, messages.octets, inbox, 1, files)) == large().octets
    gate.set()
    assert await one == large().octets
    assert not files._there


async def test_the_sweep_takes_the_row_first_and_the_object_when_it_is_old(bench: Bench, files: ObjectFiles) -> None:
    inbox = await stored(bench, files, large())
    kept = await files.kept(large(2))
    bench.do(ChangeFlags(inbox, ((1, 1),), FlagMode.ADD, Flag.DELETED))
    bench.do(Expunge(inbox, ((1, 1),)))
    assert len(bench.do(SweepBlobs()).places) == 1
    places = await listed(files)
    assert len(places) == 2
    assert await listed(files, 0) == [], "what is young is not looked at"
    assert sorted(bench.ask(blobs.orphans, places)) == places
    with files.held():
        await files.discard(places)
    assert await listed(files) == places, "a backup is being made"
    assert kept.spooled is not None
    await files.discard([places[0], kept.spooled.place, *places, "object/" + "f" * 16 + "/ab/" + "0" * 64 + "-" + "0" * 16])
    assert await listed(files) == []
    await files.discard(places)


async def test_another_installations_objects_are_neither_listed_nor_deleted(files: ObjectFiles, tmp_path: Path) -> None:
    other = replace(files, name="f" * 16)
    theirs = await other.kept(large())
    assert theirs.spooled is not None
    assert await listed(files) == []
    await files.discard([theirs.spooled.place])
    assert await other.whole(theirs.spooled.place) == large().octets
    assert await files.whole(theirs.spooled.place) == large().octets, "but rows of a restored installation may name them"


async def test_the_mark_tells_whose_place_it_is(files: ObjectFiles) -> None:
    with pytest.raises(Lost):
        await files.claim(known=True)
    await files.claim(known=False)
    await files.claim(known=True)
    assert await listed(files) == []


def test_an_installation_has_one_name_and_a_restored_one_takes_another(bench: Bench) -> None:
    assert bench.ask(objects.home) is None
    assert bench.do(Home("a" * 16)) == "a" * 16
    assert bench.do(Home("b" * 16)) == "a" * 16
    assert bench.ask(objects.home) == "a" * 16
    bench.do(Renew())
    assert bench.ask(objects.home) is None


async def test_an_object_in_a_directory_is_durable_and_nobody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def noting(handle: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{handle}"))
        real(handle)

    monkeypatch.setattr(os, "fsync", noting)
    root = tmp_path / "objects"
    root.mkdir()
    kept = await ObjectFiles(tmp_path / "octets", objects=LocalStore(root), name=HOME, root=root).kept(large())
    assert kept.spooled is not None
    file = root / kept.spooled.place.removeprefix(SHELF_OF_OBJECTS)
    assert synced == [str(one) for one in (file, file.parent, file.parent.parent, root)]


async def test_files_without_an_object_store_say_so_and_not_that_it_is_gone(bench: Bench, files: ObjectFiles) -> None:
    inbox = await stored(bench, files, large())
    with pytest.raises(Busy, match="object store that is not set"):
        bench.ask(messages.octets, inbox, 1, Files(files.directory))


async def test_what_a_backup_brought_back_is_read_from_the_file(bench: Bench, files: ObjectFiles) -> None:
    message = large()
    inbox = await stored(bench, files, message)
    ((place,),) = bench.raw.execute("SELECT place FROM blob")
    file = files.directory / place
    file.parent.mkdir(parents=True)
    file.write_bytes(message.octets)
    assert bench.ask(messages.octets, inbox, 1, files) == message.octets
    assert bench.ask(messages.octets, inbox, 1, Files(files.directory)) == message.octets
    assert bench.ask(messages.pieces, inbox, 1, [(3, 9)], files) == [message.octets[3:9]]
    assert place in await listed(Files(files.directory))
    await files.discard([place])
    assert not file.exists()


# --- one that misbehaves


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", status=500),
        Fault("GET", status=503, times=2),
        Fault("GET", cut=0),
        Fault("GET", cut=40_000),
        Fault("GET", cut=40_000, times=2),
        Fault("GET", spoil=True),
        Fault("GET", drop=True),
    ],
    ids=str,
)
async def test_reading_gets_over_a_passing_fault(bench: Bench, s3: ObjectFiles, bucket: Bucket, fault: Fault) -> None:
    inbox = await stored(bench, s3, large())
    bucket.faults.append(fault)
    assert await s3.brought(reading(bench, messages.octets, inbox, 1, s3)) == large().octets
    assert not bucket.faults


@pytest.mark.parametrize(
    "fault",
    [Fault("PUT", status=500), Fault("PUT", status=503, times=2), Fault("PUT", drop=True), Fault("PUT", status=400)],
    ids=str,
)
async def test_writing_gets_over_a_passing_fault(bench: Bench, s3: ObjectFiles, bucket: Bucket, fault: Fault) -> None:
    bucket.faults.append(fault)
    inbox = await stored(bench, s3, large())
    assert await s3.brought(reading(bench, messages.octets, inbox, 1, s3)) == large().octets


@pytest.mark.parametrize(
    "fault",
    [
        Fault("", status=500, times=99),
        Fault("", status=503, times=99),
        Fault("", status=403, times=99),
        Fault("", drop=True, times=99),
        Fault("GET", cut=100, times=99),
        Fault("GET", spoil=True, times=99),
    ],
    ids=str,
)
async def test_what_stays_broken_is_later_and_never_gone(bench: Bench, s3: ObjectFiles, bucket: Bucket, fault: Fault) -> None:
    inbox = await stored(bench, s3, large())
    bucket.faults.append(fault)
    with pytest.raises(Busy) as caught:
        await s3.brought(reading(bench, messages.octets, inbox, 1, s3))
    assert not isinstance(caught.value, Lost)
    assert ACCESS not in str(caught.value)
    assert SECRET not in str(caught.value)
    assert bucket.count("GET") <= objects.ATTEMPTS * 2, "bounded"
    if fault.method == "":
        with pytest.raises(Busy):
            await s3.kept(large(2))
        with pytest.raises(Busy):
            await listed(s3)
    bucket.faults.clear()
    assert await s3.brought(reading(bench, messages.octets, inbox, 1, s3)) == large().octets


async def test_one_that_does_not_answer_ends_with_the_deadline(bench: Bench, bucket: Bucket, tmp_path: Path) -> None:
    s3 = speaking(bucket, tmp_path, deadline=0.4)
    bucket.faults.append(Fault("", wait=3.0, times=9))
    with pytest.raises(Busy, match="within"):
        await s3.kept(large())
    with pytest.raises(Busy):
        await s3.whole(f"{SHELF_OF_OBJECTS}{HOME}/ab/{'ab' * 32}-{'0' * 16}")


async def test_one_that_nobody_serves(tmp_path: Path) -> None:
    with Bucket() as bucket:
        s3 = speaking(bucket, tmp_path)
    with pytest.raises(Busy):
        await s3.kept(large())


async def test_an_object_that_is_gone_is_lost_to_whoever_reads_it(bench: Bench, s3: ObjectFiles, bucket: Bucket) -> None:
    inbox = await stored(bench, s3, large())
    bucket.objects.clear()
    with pytest.raises(Lost):
        await s3.brought(reading(bench, messages.octets, inbox, 1, s3))
    (found,) = bench.ask(verify.octets, 0)[1]
    assert await verify.in_file(s3, found) == "it is gone"
    assert not s3._there


async def test_verification_compares_octets_and_says_why_it_cannot(bench: Bench, s3: ObjectFiles, bucket: Bucket) -> None:
    await stored(bench, s3, large())
    (found,) = bench.ask(verify.octets, 0)[1]
    assert await verify.in_file(s3, found) is None
    ((name, (octets, at)),) = bucket.objects.items()
    bucket.objects[name] = (octets[:-1], at)
    assert "not those that were stored" in (await verify.in_file(s3, found) or "")
    bucket.is_down = True
    assert "cannot be read" in (await verify.in_file(s3, found) or "")


async def test_a_caller_who_leaves_leaves_nothing_behind(bench: Bench, s3: ObjectFiles, bucket: Bucket) -> None:
    inbox = await stored(bench, s3, large())
    bucket.faults.append(Fault("GET", wait=0.3))
    task = asyncio.ensure_future(s3.brought(reading(bench, messages.octets, inbox, 1, s3)))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not s3._there
    assert await s3.brought(reading(bench, messages.octets, inbox, 1, s3)) == large().octets


def test_wants_are_equal_when_they_want_the_same() -> None:
    assert len({Want("a"), Want("a"), Want("a", ((0, 1),)), Want("a", ((0, 1),))}) == 2
