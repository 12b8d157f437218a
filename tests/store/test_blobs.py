import os
import time
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from policy.identity import FolderId
from store import blobs, messages
from store.blobs import IN_ROW, Files, SweepBlobs
from store.errors import NotFound
from store.folders import CreateFolder, DeleteFolder
from store.messages import AppendMessages, ChangeFlags, CopyMessages, Expunge, FlagMode, NewInFolder
from store.model import Flag, QueueKind, Spooled
from store.queue import AcceptMessage, IntoMailbox, OntoQueue
from tests.store.letters import Bench, letter


@pytest.fixture
def bench() -> Bench:
    return Bench()


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
    assert bench.do(SweepBlobs()) == ()
    assert count(bench) == 2
    remove(bench, inbox, 3)
    assert bench.do(SweepBlobs()) == (kept.spooled.place,)
    assert count(bench) == 1
    assert bench.do(SweepBlobs()) == ()
    bench.check()


def test_octets_of_a_deleted_folder_go(bench: Bench) -> None:
    made = bench.do(CreateFolder(bench.anna, "/a"))
    bench.do(AppendMessages(made.id, (NewInFolder(letter(1)), NewInFolder(letter(2))), 0))
    bench.do(DeleteFolder(made.id))
    bench.do(SweepBlobs(limit=1))
    assert count(bench) == 1
    bench.do(SweepBlobs(limit=1))
    assert count(bench) == 0


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
    assert bench.do(SweepBlobs()) == ()
    assert bench.ask(messages.octets, bench.inbox(bench.bruno), 1, files) == letter(1, IN_ROW + 1).octets
    remove(bench, bench.inbox(bench.bruno), 1)
    assert bench.do(SweepBlobs()) == (kept.spooled.place,)


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


def test_a_disk_that_fails_leaves_no_half_file(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(5, "input/output error")

    files.spool(b"x")
    before = on_disk(files)
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="input/output"):
        files.spool(b"y")
    assert on_disk(files) == before


def test_octets_by_blob(bench: Bench, files: Files) -> None:
    inbox = bench.inbox(bench.anna)
    bench.do(AppendMessages(inbox, (NewInFolder(replace(letter(1))),), 0))
    (row,) = bench.ask(messages.rows, inbox, ((1, 1),))
    assert bench.ask(blobs.octets, row.blob, files) == letter(1).octets
    with pytest.raises(NotFound):
        bench.ask(blobs.octets, type(row.blob)(999), files)
