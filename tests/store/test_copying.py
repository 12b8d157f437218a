"""Copies and moves, within an account and into another one."""

from pathlib import Path

import pytest

from policy.identity import FolderId
from store import messages
from store.blobs import Files
from store.copying import CopyMessages, MoveMessages
from store.errors import NotFound, OverQuota
from store.flags import EVERY_FLAG, MarkSeen
from store.folders import CreateFolder, SwitchFolder
from store.model import KEYWORDS_PER_FOLDER, Flag
from store.port import FolderChanged
from tests.store.letters import Bench, letter, put, uids

NOTHING = Path("/nonexistent")


def test_an_actors_seen_goes_with_copies(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 2)
    bench.do(SwitchFolder(inbox, seen_private=True))
    bench.do(MarkSeen(inbox, ((1, 1),), seen_of=bench.bruno))
    shared = bench.do(CreateFolder(bench.anna, "/shared")).id
    private = bench.do(CreateFolder(bench.anna, "/private")).id
    bench.do(SwitchFolder(private, seen_private=True))
    bench.do(CopyMessages(inbox, shared, ((1, 2),), 0, seen_from=bench.bruno))
    assert bench.flags(shared) == {1: 1, 2: 0}
    bench.do(MoveMessages(inbox, private, ((1, 2),), 0, seen_from=bench.bruno, seen_to=bench.bruno))
    assert list(bench.ask(messages.state, private, bench.bruno).flags) == [1, 0]
    assert list(bench.ask(messages.state, private, bench.anna).flags) == [0, 0]
    bench.check()


def test_copies_of_one_owner_share_their_octets_and_are_charged(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 3, Flag.FLAGGED | Flag.DELETED, ("$Work",))
    target = bench.do(CreateFolder(bench.anna, "/t")).id
    put(bench, target, 1, keywords=("first",))
    used = bench.used(bench.anna)
    done = bench.do(CopyMessages(inbox, target, ((2, 9),), 0, EVERY_FLAG - Flag.DELETED))
    assert (done.sources, done.targets) == ((2, 3), (2, 3))
    assert bench.flags(target) == {1: 32, 2: 4 | 64, 3: 4 | 64}
    assert bench.raw.execute("SELECT count(*) FROM blob").fetchone() == (3,)
    assert bench.used(bench.anna) > used
    assert bench.ask(messages.envelopes, target, ((3, 3),)) == [(3, b"(envelope 2)", 1)]
    bench.check()


def test_copies_for_another_owner_are_copies_in_full(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 2)
    target = bench.inbox(bench.bruno)
    with pytest.raises(OverQuota):
        bench.do(CopyMessages(inbox, target, ((1, 2),), 10))
    assert uids(bench, target) == []
    bench.do(CopyMessages(inbox, target, ((1, 2),), 10_000))
    assert bench.raw.execute("SELECT count(DISTINCT owner) FROM blob").fetchone() == (2,)
    bench.do(CopyMessages(inbox, target, ((1, 2),), 10_000))
    assert bench.raw.execute("SELECT count(*) FROM blob").fetchone() == (4,)
    assert bench.ask(messages.octets, target, 4, Files(NOTHING)) == letter(1).octets
    bench.check()


def test_keywords_without_room_are_dropped_from_copies(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 1, Flag.SEEN, ("mine",))
    target = bench.do(CreateFolder(bench.anna, "/t")).id
    put(bench, target, 1, keywords=tuple(f"k{n}" for n in range(KEYWORDS_PER_FOLDER)))
    bench.do(CopyMessages(inbox, target, ((1, 1),), 0))
    assert bench.flags(target)[2] == 1


def test_a_move_is_whole_or_not_at_all(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 3)
    target = bench.inbox(bench.bruno)
    before = (bench.flags(inbox), bench.folder(bench.anna))
    with pytest.raises(OverQuota):
        bench.do(MoveMessages(inbox, target, ((1, 3),), 100))
    assert (bench.flags(inbox), bench.folder(bench.anna)) == before
    done = bench.do(MoveMessages(inbox, target, ((1, 1), (3, 3)), 0))
    assert (done.sources, done.targets) == ((1, 3), (1, 2))
    assert (uids(bench, inbox), uids(bench, target)) == ([2], [1, 2])
    assert done.source_modseq == bench.folder(bench.anna).modseq
    assert {event.folder for event in bench.events if isinstance(event, FolderChanged)} == {inbox, target}
    bench.check()


def test_a_full_mailbox_can_still_be_tidied(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 1)
    bench.do(MoveMessages(inbox, bench.folder(bench.anna, "/Trash").id, ((1, 1),), 1))
    assert uids(bench, bench.folder(bench.anna, "/Trash").id) == [1]


def test_a_move_into_the_same_folder_gives_new_uids(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 2)
    done = bench.do(MoveMessages(inbox, inbox, ((1, 2),), 0))
    assert (done.sources, done.targets) == ((1, 2), (3, 4))
    assert uids(bench, inbox) == [3, 4]
    assert done.modseq == bench.folder(bench.anna).modseq
    bench.check()


def test_what_is_gone_is_left_out_of_a_copy(bench: Bench, inbox: FolderId) -> None:
    done = bench.do(CopyMessages(inbox, inbox, ((1, 5),), 0))
    assert (done.sources, done.targets) == ((), ())
    with pytest.raises(NotFound):
        bench.do(CopyMessages(inbox, FolderId(999), ((1, 5),), 0))
