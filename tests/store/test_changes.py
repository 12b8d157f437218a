import pytest

from policy.identity import FolderId
from store import changes
from store.appending import AppendMessages, NewInFolder
from store.changes import PruneChanges
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode, MarkSeen
from store.folders import SwitchFolder
from store.model import Flag
from tests.store.letters import Bench, letter


@pytest.fixture
def inbox(bench: Bench) -> FolderId:
    """With ten messages, at modseq 2."""
    inbox = bench.inbox(bench.anna)
    bench.do(AppendMessages(inbox, tuple(NewInFolder(letter(number)) for number in range(10)), 0))
    return inbox


def test_changes_are_told_from_each_point_on(bench: Bench, inbox: FolderId) -> None:
    bench.do(ChangeFlags(inbox, ((2, 3), (9, 9)), FlagMode.ADD, Flag.DELETED))
    bench.do(ChangeFlags(inbox, ((3, 3),), FlagMode.ADD, Flag.FLAGGED))
    bench.do(Expunge(inbox, ((9, 9),)))
    told = {modseq: bench.ask(changes.since, inbox, modseq) for modseq in range(1, 7)}
    assert {modseq: (news.changed, news.vanished) for modseq, news in told.items() if news} == {
        1: ([(1, 0, 2), (2, 8, 3), (3, 12, 4), *((uid, 0, 2) for uid in (4, 5, 6, 7, 8, 10))], ((9, 9),)),
        2: ([(2, 8, 3), (3, 12, 4)], ((9, 9),)),
        3: ([(3, 12, 4)], ((9, 9),)),
        4: ([], ((9, 9),)),
        5: ([], ()),
        6: ([], ()),
    }
    assert all(news is not None and (news.modseq, news.exists, news.uidnext) == (5, 9, 11) for news in told.values())
    assert [bench.ask(changes.vanished_since, inbox, modseq) for modseq in (0, 1, 4, 5, 6)] == [None, [(9, 9)], [(9, 9)], [], None]
    bench.do(PruneChanges(inbox, keep=1))
    assert [bench.ask(changes.vanished_since, inbox, modseq) for modseq in (3, 4)] == [None, [(9, 9)]]


def test_many_scattered_changes_take_one_row_and_are_told_exactly(bench: Bench, inbox: FolderId, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MOST_RUNS", 2)
    bench.do(ChangeFlags(inbox, ((1, 1), (3, 3), (5, 5), (7, 7)), FlagMode.ADD, Flag.SEEN))
    assert bench.raw.execute("SELECT low, high FROM change WHERE modseq = 3").fetchall() == [(1, 7)]
    news = bench.ask(changes.since, inbox, 2)
    assert news is not None
    assert [uid for uid, _, _ in news.changed] == [1, 3, 5, 7]


def test_scattered_tombstones_are_exact(bench: Bench, inbox: FolderId) -> None:
    bench.do(ChangeFlags(inbox, ((1, 1), (3, 4), (7, 7)), FlagMode.ADD, Flag.DELETED))
    bench.do(Expunge(inbox))
    news = bench.ask(changes.since, inbox, 3)
    assert news is not None
    assert (news.changed, news.vanished) == ([], ((1, 1), (3, 4), (7, 7)))


def test_a_private_seen_is_news_to_its_actor_only(bench: Bench, inbox: FolderId) -> None:
    bench.do(SwitchFolder(inbox, seen_private=True))
    bench.do(MarkSeen(inbox, ((4, 4),), seen_of=bench.bruno))
    mine = bench.ask(changes.since, inbox, 2, bench.bruno)
    theirs = bench.ask(changes.since, inbox, 2, bench.anna)
    assert mine is not None
    assert theirs is not None
    assert mine.changed == [(4, 1, 3)]
    assert theirs.changed == []


def test_what_was_pruned_is_not_made_up(bench: Bench, inbox: FolderId) -> None:
    for flag in (Flag.SEEN, Flag.FLAGGED, Flag.DRAFT):
        bench.do(ChangeFlags(inbox, ((1, 1),), FlagMode.ADD, flag))
    assert bench.ask(changes.long_logs, 3) == [(inbox, 4)]
    assert bench.do(PruneChanges(inbox, keep=2)) == 2
    assert bench.ask(changes.since, inbox, 2) is None
    news = bench.ask(changes.since, inbox, 3)
    assert news is not None
    assert [modseq for _, _, modseq in news.changed] == [5]
    assert bench.do(PruneChanges(inbox, keep=100)) == 0


def test_a_folder_that_is_gone_has_no_news(bench: Bench) -> None:
    assert bench.ask(changes.since, FolderId(999), 1) is None
