import errno
import io
import os
import secrets
import threading
import time
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest

from policy.identity import FolderId
from store import blobs, messages
from store.accounts import DeleteAccount
from store.appending import AppendMessages, NewInFolder
from store.blobs import IN_ROW, Drawn, Files, Settled, SweepBlobs
from store.copying import CopyMessages
from store.deleted import PurgeDeleted
from store.errors import Full, NotFound
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.folders import CreateFolder, DeleteFolder
from store.model import BlobId, Flag, QueueKind, Spooled
from store.queue import AcceptMessage, IntoMailbox, OntoQueue
from store.statements import load
from tests.store.letters import Bench, letter


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "octets")


def on_disk(files: Files) -> list[str]:
    return sorted(str(path.relative_to(files.directory)) for path in files.directory.rglob("*") if path.is_file())


def count(bench: Bench) -> int:
    return int(bench.raw.execute("SELECT count(*) FROM blob").fetchone()[0])


def remove(bench: Bench, folder: FolderId, uid: int) -> None:
    bench.do(ChangeFlags(folder, ((uid, uid),), FlagMode.ADD, Flag.DELETED))
    bench.do(Expunge(folder))


def test_small_octets_stay_and_large_ones_go_to_a_file(bench: Bench, files: Files) -> None:
    small, large = letter(1, IN_ROW), letter(2, IN_ROW + 1)
    assert files.keep(small) is small
    kept = files.keep(large)
    assert (kept.octets, kept.size) == (b"", IN_ROW + 1)
    assert isinstance(kept.spooled, Spooled)
    assert kept.spooled.hash == sha256(large.octets).digest()
    assert files.keep(kept) is kept
    assert on_disk(files) == [kept.spooled.place]
    assert (files.directory / kept.spooled.place).stat().st_mode & 0o077 == 0
    inbox = bench.inbox(bench.anna)
    bench.do(AppendMessages(inbox, (NewInFolder(small), NewInFolder(kept), NewInFolder(letter(3, IN_ROW + 9))), 0))
    assert bench.ask(messages.octets, inbox, 1, files) == small.octets
    assert bench.ask(messages.octets, inbox, 2, files) == large.octets
    assert bench.ask(messages.octets, inbox, 3, files) == letter(3, IN_ROW + 9).octets
    bench.check()


def test_pieces_are_those_of_the_whole_wherever_it_lies(bench: Bench, files: Files) -> None:
    """And only they are read of a file."""
    inbox = bench.inbox(bench.anna)
    octets = secrets.token_bytes(150_000)
    inline, large = letter(1)._replace(octets=octets), files.keep(letter(2)._replace(octets=octets[:-1]))
    bench.do(AppendMessages(inbox, (NewInFolder(inline), NewInFolder(large)), 0))
    wanted = [(0, 5), (50_000, 70_001), (9, 9), (140_000, 250_000), (150_000, 150_001), (3, 4)]
    for uid, whole in ((1, octets), (2, octets[:-1])):
        assert bench.ask(messages.pieces, inbox, uid, wanted, files) == [whole[low:high] for low, high in wanted]
    assert bench.ask(messages.pieces, inbox, 2, [], files) == []
    assert bench.ask(messages.pieces, inbox, 3, wanted, files) is None
    assert bench.ask(messages.pieces, inbox, 0, wanted, files) is None
    files.remove(on_disk(files))
    with pytest.raises(NotFound):
        bench.ask(messages.pieces, inbox, 2, wanted, files)


def test_a_file_that_comes_in_parts_is_read_whole() -> None:
    class Slow(io.BytesIO):
        def read(self, count: int | None = -1, /) -> bytes:
            return super().read(min(count or 0, 3))

    assert blobs._exactly(Slow(b"0123456789"), 2, 7) == b"2345678"  # type: ignore[arg-type]
    assert blobs._exactly(Slow(b"0123456789"), 8, 7) == b"89"  # type: ignore[arg-type]


def test_the_same_octets_are_kept_once_per_owner(bench: Bench, files: Files) -> None:
    inbox = bench.inbox(bench.anna)
    kept = files.keep(letter(1, IN_ROW + 1))
    again = files.keep(letter(1, IN_ROW + 1))
    bench.do(AppendMessages(inbox, (NewInFolder(kept), NewInFolder(again), NewInFolder(letter(1, IN_ROW + 1))), 0))
    assert count(bench) == 1
    bench.do(AppendMessages(bench.inbox(bench.bruno), (NewInFolder(kept),), 0))
    assert count(bench) == 2


def test_octets_go_when_their_last_user_is_gone(bench: Bench, files: Files) -> None:
    inbox = bench.inbox(bench.anna)
    kept = files.keep(letter(1, IN_ROW + 1))
    assert kept.spooled is not None
    bench.do(AppendMessages(inbox, (NewInFolder(kept), NewInFolder(letter(2))), 0))
    bench.do(CopyMessages(inbox, inbox, ((1, 1),), 0))
    remove(bench, inbox, 1)
    assert bench.do(SweepBlobs()).places == ()
    assert count(bench) == 2
    remove(bench, inbox, 3)
    assert bench.do(SweepBlobs()).places == (kept.spooled.place,)
    assert count(bench) == 1
    assert bench.do(SweepBlobs()).places == ()
    bench.check()


def test_octets_of_a_deleted_folder_go(bench: Bench) -> None:
    made = bench.do(CreateFolder(bench.anna, "/a"))
    bench.do(AppendMessages(made.id, (NewInFolder(letter(1)), NewInFolder(letter(2))), 0))
    bench.do(DeleteFolder(made.id))
    bench.do(SweepBlobs(limit=1))
    assert count(bench) == 1
    bench.do(SweepBlobs(limit=1))
    assert count(bench) == 0


def read_of(bench: Bench) -> list[tuple[int, int]]:
    """(blob, of how many tables there is a row of what was read of it)."""
    return bench.raw.execute(
        "SELECT blob, count(*) FROM (SELECT blob FROM wire UNION ALL SELECT blob FROM head) AS one GROUP BY blob ORDER BY blob"
    ).fetchall()


def test_what_was_read_of_octets_is_kept_once_and_goes_with_them(bench: Bench) -> None:
    inbox, other = bench.inbox(bench.anna), bench.do(CreateFolder(bench.anna, "/a")).id
    bench.do(AppendMessages(inbox, (NewInFolder(letter(1)), NewInFolder(letter(2)), NewInFolder(letter(1))), 0))
    bench.do(CopyMessages(inbox, other, ((1, 3),), 0))
    bench.do(AppendMessages(other, (NewInFolder(letter(2)),), 0))
    assert read_of(bench) == [(1, 2), (2, 2)]
    bench.check()
    remove(bench, inbox, 2)
    remove(bench, other, 2)
    bench.do(SweepBlobs())
    assert [envelope for _, envelope, _ in bench.ask(messages.envelopes, other, ((1, 9),))] == [
        letter(number).envelope for number in (1, 1, 2)
    ]
    remove(bench, other, 4)
    # Nobody sees it any more, and the sweep takes it together with the octets.
    assert [uid for uid, _ in bench.ask(messages.previews, other, ((1, 9),))] == [1, 3]
    assert read_of(bench) == [(1, 2), (2, 2)]
    bench.do(SweepBlobs())
    assert (read_of(bench), count(bench)) == ([(1, 2)], 1)


def test_another_owners_copy_has_what_was_read_for_itself(bench: Bench) -> None:
    inbox, brunos = bench.inbox(bench.anna), bench.inbox(bench.bruno)
    bench.do(AppendMessages(inbox, (NewInFolder(letter(1)), NewInFolder(letter(2)), NewInFolder(letter(1))), 0))
    bench.do(CopyMessages(inbox, brunos, ((1, 3),), 0))
    assert [tables for _, tables in read_of(bench)] == [2] * 4
    for uid in (1, 2, 3):
        remove(bench, inbox, uid)
    bench.do(SweepBlobs())
    assert ([tables for _, tables in read_of(bench)], count(bench)) == ([2, 2], 2)
    wires = bench.ask(messages.wires, brunos, ((1, 9),))
    assert [row.envelope for row in wires] == [letter(number).envelope for number in (1, 2, 1)]
    assert [row.subject for row in bench.ask(messages.heads, brunos, ((1, 9),))] == [letter(number).subject for number in (1, 2, 1)]
    bench.check()


def test_octets_that_only_waited_are_read_when_a_message_has_them(bench: Bench) -> None:
    held = OntoQueue(QueueKind.HELD, "bruno@acme.test", letter(1), "", 1 << 60, account=bench.bruno)
    bench.do(AcceptMessage("q", (), (held,)))
    assert (count(bench), read_of(bench)) == (1, [])
    bench.do(AppendMessages(bench.inbox(bench.bruno), (NewInFolder(letter(1)),), 0))
    assert (count(bench), read_of(bench)) == (1, [(1, 2)])
    bench.check()


def test_a_turn_of_the_sweep_takes_so_many_octets_in_rows(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs, "SWEPT", 250)
    made = bench.do(CreateFolder(bench.anna, "/a"))
    bench.do(AppendMessages(made.id, tuple(NewInFolder(letter(number, 100)) for number in range(7)), 0))
    bench.do(DeleteFolder(made.id))
    left = []
    for _ in range(3):
        more = bench.do(SweepBlobs()).more
        left.append((count(bench), len(read_of(bench)), more))
    assert left == [(4, 4, True), (1, 1, True), (0, 0, False)]


@pytest.mark.parametrize("keep_for", [0, 1])
def test_nothing_of_a_deleted_account_is_left(bench: Bench, keep_for: int) -> None:
    bench.do(AppendMessages(bench.inbox(bench.anna), tuple(NewInFolder(letter(number)) for number in range(5)), 0))
    bench.do(AppendMessages(bench.inbox(bench.bruno), (NewInFolder(letter(1)),), 0))
    bench.do(DeleteAccount(bench.anna, keep_for))
    while keep_for and not bench.do(PurgeDeleted(bench.anna, most=2)):
        pass
    assert (read_of(bench), count(bench)) == ([(6, 2)], 1)


def test_octets_found_again_before_the_sweep_stay(bench: Bench) -> None:
    inbox = bench.inbox(bench.anna)
    bench.do(AppendMessages(inbox, (NewInFolder(letter(1)),), 0))
    remove(bench, inbox, 1)
    bench.do(AppendMessages(inbox, (NewInFolder(letter(1)),), 0))
    bench.do(SweepBlobs())
    assert count(bench) == 1
    bench.check()


def test_octets_that_the_queue_still_needs_stay(bench: Bench) -> None:
    inbox = bench.inbox(bench.bruno)
    held = OntoQueue(QueueKind.HELD, "bruno@acme.test", letter(1), "", 1 << 60, account=bench.bruno)
    bench.do(AcceptMessage("q", (IntoMailbox(bench.bruno, letter(1), 0),), (held,)))
    assert count(bench) == 1
    remove(bench, inbox, 1)
    bench.do(SweepBlobs())
    assert count(bench) == 1
    bench.check()


def test_a_file_that_two_owners_share_goes_with_the_last(bench: Bench, files: Files) -> None:
    kept = files.keep(letter(1, IN_ROW + 1))
    assert kept.spooled is not None
    bench.do(AcceptMessage("q", (IntoMailbox(bench.anna, kept, 0), IntoMailbox(bench.bruno, kept, 0))))
    remove(bench, bench.inbox(bench.anna), 1)
    assert bench.do(SweepBlobs()).places == ()
    assert bench.ask(messages.octets, bench.inbox(bench.bruno), 1, files) == letter(1, IN_ROW + 1).octets
    remove(bench, bench.inbox(bench.bruno), 1)
    assert bench.do(SweepBlobs()).places == (kept.spooled.place,)


def test_orphans_are_the_old_files_that_no_row_names(bench: Bench, files: Files) -> None:
    used, unused = files.keep(letter(1, IN_ROW + 1)), files.keep(letter(2, IN_ROW + 1))
    assert used.spooled is not None
    assert unused.spooled is not None
    bench.do(AppendMessages(bench.inbox(bench.anna), (NewInFolder(used),), 0))
    now = time.time_ns() // 1000
    assert files.aged(now - 3_600_000_000) == []
    for spooled in (used.spooled, unused.spooled):
        os.utime(files.directory / spooled.place, (0, 0))
    old = files.aged(now - 3_600_000_000)
    assert sorted(old) == sorted([used.spooled.place, unused.spooled.place])
    orphans = bench.ask(blobs.orphans, old)
    assert orphans == [unused.spooled.place]
    files.remove([*orphans, "00/gone"])
    assert on_disk(files) == [used.spooled.place]


def test_there_may_be_no_files_yet(files: Files) -> None:
    assert files.aged(1 << 62) == []
    with pytest.raises(NotFound):
        files.read("00/none")


@pytest.mark.parametrize(("number", "said"), [(errno.EIO, OSError), (errno.ENOSPC, Full), (errno.EDQUOT, Full)])
def test_a_disk_that_fails_leaves_no_half_file(files: Files, monkeypatch: pytest.MonkeyPatch, number: int, said: type[Exception]) -> None:
    def fail(handle: int) -> None:
        raise OSError(number, "it failed")

    files.spool(b"x")
    before = on_disk(files)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(said, match="it failed"):
        files.spool(b"y")
    assert on_disk(files) == before


def test_octets_by_blob(bench: Bench, files: Files) -> None:
    inbox = bench.inbox(bench.anna)
    bench.do(AppendMessages(inbox, (NewInFolder(letter(1)),), 0))
    (row,) = bench.ask(messages.rows, inbox, ((1, 1),))
    assert bench.ask(blobs.octets, row.blob, files) == letter(1).octets
    with pytest.raises(NotFound):
        bench.ask(blobs.octets, type(row.blob)(999), files)


def test_a_file_is_durable_with_every_directory_above_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    flush = os.fsync

    def noting(handle: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")))
        flush(handle)

    monkeypatch.setattr(os, "fsync", noting)
    monkeypatch.setattr(secrets, "token_hex", lambda octets: "ab" * octets)
    top = tmp_path / "data" / "octets"
    Files(top).spool(b"x")
    assert {tmp_path, tmp_path / "data", top, top / "ab"} <= set(synced)
    # A shelf that an earlier process made may not have come to the disk yet; one of this process has.
    (top / "ab" / ("ab" * 16)).unlink()
    again = Files(top)
    synced.clear()
    again.spool(b"x")
    assert top in synced
    (top / "ab" / ("ab" * 16)).unlink()
    synced.clear()
    again.spool(b"x")
    assert top not in synced
    assert top / "ab" in synced


def test_who_finds_a_shelf_that_is_just_being_made_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files(tmp_path)
    begun, go_on = threading.Event(), threading.Event()
    order: list[str] = []
    flush = os.fsync

    def slow(handle: int) -> None:
        if Path(os.readlink(f"/proc/self/fd/{handle}")) == tmp_path and not begun.is_set():
            begun.set()
            assert go_on.wait(10)
            order.append("the shelf is on disk")
        flush(handle)

    monkeypatch.setattr(os, "fsync", slow)
    names = iter(("ab" * 16, "ab" + "cd" * 15))
    monkeypatch.setattr(secrets, "token_hex", lambda octets: next(names))
    first = threading.Thread(target=files.spool, args=(b"1",))
    second = threading.Thread(target=lambda: (files.spool(b"2"), order.append("the second is spooled")))
    first.start()
    assert begun.wait(10)
    second.start()
    second.join(0.1)
    go_on.set()
    first.join(10)
    second.join(10)
    assert order == ["the shelf is on disk", "the second is spooled"]


def test_what_is_seen_is_settled_at_once_where_one_writes() -> None:
    settled = Settled()
    for newest in (0, 3, 7):
        settled.see(Drawn(BlobId(newest), 0, 0))
        assert (settled.last, settled.is_waiting) == (newest, False)


def test_what_is_seen_while_others_write_is_settled_when_they_have_ended() -> None:
    settled = Settled()
    settled.see(Drawn(BlobId(5), 100, 100))  # nobody writes
    assert settled.last == 5
    settled.see(Drawn(BlobId(9), 101, 104))  # 101 may have drawn 6
    assert (settled.last, settled.is_waiting) == (5, True)
    settled.see(Drawn(BlobId(12), 103, 110))  # 103 may have as well
    assert (settled.last, settled.is_waiting) == (5, True)
    settled.see(Drawn(BlobId(12), 104, 111))
    assert (settled.last, settled.is_waiting) == (9, True)
    settled.see(Drawn(BlobId(12), 111, 111))
    assert (settled.last, settled.is_waiting) == (12, False)


async def test_what_is_seen_before_a_lower_one_is_not_settled(shared_url: str) -> None:
    """On PostgreSQL, where several write at once."""
    address = shared_url.partition("?")[0]
    slow, quick, reader = [await asyncpg.connect(address) for _ in range(3)]
    inserting = "INSERT INTO blob (owner, hash, size, octets) VALUES (1, $1, 1, $1) RETURNING id"
    settled = Settled()

    async def look() -> None:
        settled.see(Drawn(*await reader.fetchrow(load("postgres")["blobs.drawn"])))

    writing = slow.transaction()
    await writing.start()
    assert await slow.fetchval(inserting, b"a") == 1
    assert await quick.fetchval(inserting, b"b") == 2
    for _ in range(3):
        await look()
        assert (settled.last, settled.is_waiting) == (0, True)
    await writing.commit()
    await look()
    assert settled.last == 2
    for connection in (slow, quick, reader):
        await connection.close()
