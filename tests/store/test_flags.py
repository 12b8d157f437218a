"""Flags and keywords change as far as they may, for all or for one."""

import pytest

from policy.identity import FolderId
from store import changes, folders, messages
from store.errors import LimitReached
from store.expunging import Expunge
from store.flags import EVERY_FLAG, NO_FLAGS, ChangeFlags, FlagMode, MarkSeen
from store.folders import SwitchFolder
from store.model import KEYWORDS_PER_FOLDER, Flag
from tests.store.letters import Bench, put


@pytest.mark.parametrize(
    ("mode", "flags", "keywords", "mask", "result"),
    [
        (FlagMode.ADD, Flag.FLAGGED, (), EVERY_FLAG, 1 | 4 | 32),
        (FlagMode.REMOVE, Flag.SEEN, ("WORK",), EVERY_FLAG, 0),
        (FlagMode.REPLACE, Flag.DRAFT, ("other",), EVERY_FLAG, 16 | 64),
        (FlagMode.REPLACE, Flag.DRAFT, (), Flag.SEEN, 32),
        (FlagMode.REPLACE, Flag(0), (), EVERY_FLAG & ~1, 1),
        (FlagMode.ADD, Flag.DELETED | Flag.ANSWERED, ("other",), Flag.ANSWERED, 1 | 2 | 32),
        (FlagMode.REMOVE, Flag(0), ("unknown",), EVERY_FLAG, 1 | 32),
    ],
)
def test_flags_change_as_far_as_the_mask_lets_them(
    bench: Bench, inbox: FolderId, mode: FlagMode, flags: Flag, keywords: tuple[str, ...], mask: int, result: int
) -> None:
    put(bench, inbox, 1, Flag.SEEN, ("work",))
    bench.do(ChangeFlags(inbox, ((1, 1),), mode, flags, keywords, int(mask)))
    assert bench.flags(inbox) == {1: result}
    bench.check()


def test_keywords_outside_the_mask_are_not_made(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox)
    bench.do(ChangeFlags(inbox, ((1, 1),), FlagMode.ADD, Flag.SEEN, ("new",), 31))
    assert bench.ask(messages.keywords, inbox) == []


def test_keywords_are_one_in_any_case_and_no_more_than_fit(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox)
    names = tuple(f"k{n}" for n in range(KEYWORDS_PER_FOLDER))
    bench.do(ChangeFlags(inbox, ((1, 1),), FlagMode.ADD, Flag(0), names))
    assert bench.flags(inbox) == {1: (1 << 63) - 32}
    assert bench.ask(messages.state, inbox).flags[0] == (1 << 63) - 32
    assert not bench.do(ChangeFlags(inbox, ((1, 1),), FlagMode.ADD, Flag(0), ("K3",))).changed
    with pytest.raises(LimitReached):
        bench.do(ChangeFlags(inbox, ((1, 1),), FlagMode.ADD, Flag(0), ("one more",)))
    with pytest.raises(LimitReached):
        bench.do(ChangeFlags(bench.inbox(bench.bruno), ((1, 1),), FlagMode.ADD, Flag(0), ("x" * 101,)))


def test_a_change_that_changes_nothing_wakes_nobody(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 1, Flag.SEEN)
    before = bench.folder(bench.anna).modseq
    done = bench.do(MarkSeen(inbox, ((1, 5),)))
    assert (done.changed, done.modseq, list(bench.events)) == (False, before, [])


def test_what_changed_since_is_refused_and_the_rest_done(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 5)
    base = bench.folder(bench.anna).modseq
    bench.do(ChangeFlags(inbox, ((2, 2), (4, 4)), FlagMode.ADD, Flag.FLAGGED))
    done = bench.do(ChangeFlags(inbox, ((1, 9),), FlagMode.ADD, Flag.SEEN, unchanged_since=base))
    assert done.refused == ((2, 2), (4, 4))
    assert bench.flags(inbox) == {1: 1, 2: 4, 3: 1, 4: 4, 5: 1}
    assert bench.do(ChangeFlags(inbox, ((1, 9),), FlagMode.ADD, Flag.SEEN, unchanged_since=0)).refused == ((1, 5),)
    assert bench.do(ChangeFlags(inbox, ((1, 9),), FlagMode.ADD, Flag.SEEN, unchanged_since=1 << 70)).refused == ()


def test_private_seen_is_the_actors_alone_and_begins_as_the_shared_one(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 1, Flag.SEEN)
    put(bench, inbox, 1)
    bench.do(SwitchFolder(inbox, seen_private=True))
    for actor in (bench.anna, bench.bruno):
        assert list(bench.ask(messages.state, inbox, actor).flags) == [1, 0]
    base = bench.folder(bench.anna).modseq
    bench.do(ChangeFlags(inbox, ((1, 2),), FlagMode.REPLACE, Flag.FLAGGED, seen_of=bench.bruno))
    bench.do(MarkSeen(inbox, ((2, 2),), seen_of=bench.bruno))
    assert list(bench.ask(messages.state, inbox, bench.bruno).flags) == [4, 5]
    assert list(bench.ask(messages.state, inbox, bench.anna).flags) == [5, 4]
    assert list(bench.ask(messages.state, inbox, bench.bruno).modseqs) == [base + 1, base + 2]
    assert list(bench.ask(messages.state, inbox, bench.anna).modseqs) == [base + 1, base + 1]
    assert [row.flags for row in bench.ask(messages.rows, inbox, ((1, 2),), bench.bruno)] == [4, 5]
    refused = bench.do(ChangeFlags(inbox, ((1, 2),), FlagMode.ADD, Flag.SEEN, unchanged_since=base + 1, seen_of=bench.bruno)).refused
    assert refused == ((2, 2),)
    bench.check()


def test_an_actors_own_seen_can_be_taken_back_and_a_repeat_changes_nothing(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox)
    bench.do(SwitchFolder(inbox, seen_private=True))
    assert bench.do(MarkSeen(inbox, ((1, 1),), seen_of=bench.bruno)).changed
    assert not bench.do(MarkSeen(inbox, ((1, 1),), seen_of=bench.bruno)).changed
    assert bench.do(ChangeFlags(inbox, ((1, 1),), FlagMode.REMOVE, Flag.SEEN, seen_of=bench.bruno)).changed
    assert list(bench.ask(messages.state, inbox, bench.bruno).flags) == [0]


@pytest.mark.parametrize("mode", list(FlagMode))
@pytest.mark.parametrize("mask", [EVERY_FLAG, int(Flag.SEEN), EVERY_FLAG - int(Flag.DELETED)])
def test_many_single_messages_change_as_each_by_itself(
    bench: Bench, inbox: FolderId, mode: FlagMode, mask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every third the flags change; what is between, before and behind is left alone, whichever way they are found."""
    there = [(0, NO_FLAGS), (1, Flag.SEEN), (2, Flag.DELETED | Flag.DRAFT), (3, Flag.SEEN | Flag.DELETED)]
    runs = (*((uid, uid + uid % 2) for uid in range(4, 280, 3)), (290, 290), (5_000, 6_000))
    results = []
    for several in (1_000, 0):
        monkeypatch.setattr("store.flags.SEVERAL_RUNS", several)
        folder = bench.inbox(bench.anna) if several else bench.inbox(bench.bruno)
        for _ in range(75):
            for number, flags in there:
                put(bench, folder, 1, flags, ("kept",) if number % 2 else ())
        bench.do(Expunge(folder, ((30, 60),)))
        done = bench.do(ChangeFlags(folder, runs, mode, Flag.SEEN | Flag.DELETED, ("new",), mask))
        row = bench.ask(folders.by_id, folder)
        state = bench.ask(messages.state, folder)
        log = bench.ask(changes.since, folder, done.modseq - 1)
        results.append((done.changed, row.unseen, row.deleted, list(state.uids), list(state.flags), list(state.modseqs), log.changed))
    assert results[0] == results[1]
    assert results[0][0]
