"""Either it is recalled, or it goes."""

import pytest

from policy.folders import SpecialUse
from policy.identity import AccountId
from store import queue, recalls
from store.appending import AppendMessages, NewInFolder
from store.audit import AuditEntry, of_owner
from store.copying import CopyMessages, MoveMessages
from store.deeds import Several
from store.errors import Conflict
from store.flags import ChangeFlags, FlagMode
from store.model import Flag, QueueId, QueueKind, QueueRow
from store.queue import AcceptMessage, ClaimDue, DropQueued, Filing, ForgetAccepted, IntoMailbox, OntoQueue, Settle
from store.recalls import Recall, RecallMessage, ReturnCopies, TakeBack
from tests.store.letters import START, Bench, letter

MINUTE, DAY = 60_000_000, 86_400_000_000
SEEN_DRAFT = int(Flag.SEEN | Flag.DRAFT)


def submit(bench: Bench, number: int = 1, *, owner: bool = True, sender: bool = False) -> QueueRow:
    """bruno sends as anna; it waits."""
    one = OntoQueue(
        QueueKind.RELAY,
        "x@far.test",
        letter(number),
        "",
        START + 5 * DAY,
        sender=bench.bruno,
        parameters='{"release": {}}',
        due=START + MINUTE,
    )
    filing = Filing(letter(number), bench.bruno, ((bench.anna, 0),) if owner else (), sender)
    done = bench.do(AcceptMessage(f"k{number}", queued=(one,), filing=(filing,) if owner or sender else (), waits=True))
    row = bench.ask(queue.queued_one, done.queued[0])
    assert row is not None
    return row


def recall(bench: Bench, row: QueueId, *, draft: bool = False) -> Recall:
    told = AcceptMessage("", (IntoMailbox(bench.bruno, letter(9), 0),))
    entry = AuditEntry("d-1", "recall", True, actor=bench.anna, principal=bench.anna)
    return Recall(row, bench.bruno, letter(7) if draft else None, (entry,), (told,))


def folder(bench: Bench, owner: AccountId, use: SpecialUse) -> dict[int, int]:
    return bench.flags(bench.special(owner, use).id)


def records(bench: Bench) -> int:
    return len([row for row in bench.ask(of_owner, bench.anna) if row.entry.event == "recall"])


def to_drafts(bench: Bench, *uids: int, moves: bool = True, owner: AccountId | None = None) -> MoveMessages | CopyMessages:
    source = bench.special(owner or bench.anna, SpecialUse.SENT).id
    target = bench.special(owner or bench.anna, SpecialUse.DRAFTS).id
    return (MoveMessages if moves else CopyMessages)(source, target, tuple((uid, uid) for uid in uids), 0)


def test_moved_back_it_is_recalled_marked_recorded_and_told(bench: Bench) -> None:
    row = submit(bench)
    done = bench.do(TakeBack(to_drafts(bench, 1), (recall(bench, row.id),)))
    assert (done.sources, done.recalled, done.gone) == ((1,), (1,), ())
    assert bench.ask(queue.queued) == []
    assert folder(bench, bench.anna, SpecialUse.SENT) == {}
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {1: SEEN_DRAFT}
    assert len(bench.flags(bench.inbox(bench.bruno))) == 1
    assert records(bench) == 1
    bench.check()


def test_copied_back_by_a_client_without_move_it_is_recalled_too(bench: Bench) -> None:
    row = submit(bench)
    done = bench.do(TakeBack(to_drafts(bench, 1, moves=False), (recall(bench, row.id),)))
    assert done.recalled == (1,)
    assert folder(bench, bench.anna, SpecialUse.SENT) == {1: int(Flag.SEEN)}
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {1: SEEN_DRAFT}
    again = bench.do(TakeBack(to_drafts(bench, 1), ()))
    assert (again.recalled, again.gone) == ((), ()), "it is no copy of what was sent any more"
    bench.check()


def test_a_release_that_is_under_way_ends_without_sending(bench: Bench) -> None:
    row = submit(bench)
    bench.now += 2 * MINUTE
    (leased,) = bench.do(ClaimDue("me", bench.now + DAY))
    assert bench.do(TakeBack(to_drafts(bench, 1), (recall(bench, row.id),))).recalled == (1,)
    with pytest.raises(Conflict):
        bench.do(Settle(leased.id, "me", AcceptMessage("k2", (IntoMailbox(bench.bruno, letter(1), 0),))))
    assert len(bench.flags(bench.inbox(bench.bruno))) == 1, "the notice"


def test_what_has_gone_cannot_be_recalled_and_says_so(bench: Bench) -> None:
    row = submit(bench)
    bench.now += 2 * MINUTE
    bench.do(ClaimDue("me", bench.now + DAY))
    bench.do(Settle(row.id, "me"))
    done = bench.do(TakeBack(to_drafts(bench, 1), (recall(bench, row.id),)))
    assert (done.recalled, done.gone, done.sources) == ((), (1,), (1,))
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {1: int(Flag.SEEN)}
    assert records(bench) == 0
    assert bench.flags(bench.inbox(bench.bruno)) == {}
    assert not bench.do(RecallMessage(recall(bench, row.id)))


def test_a_copy_without_a_prepared_recall_is_a_conflict_and_nothing_happens(bench: Bench) -> None:
    submit(bench)
    with pytest.raises(Conflict):
        bench.do(TakeBack(to_drafts(bench, 1), ()))
    assert len(bench.ask(queue.queued)) == 1
    assert folder(bench, bench.anna, SpecialUse.SENT) == {1: int(Flag.SEEN)}


def test_of_several_each_is_what_it_is(bench: Bench) -> None:
    waiting, gone = submit(bench, 1), submit(bench, 2)
    sent = bench.special(bench.anna, SpecialUse.SENT)
    bench.do(AppendMessages(sent.id, (NewInFolder(letter(3)),), 0))
    bench.do(ClaimDue("me", bench.now + DAY))
    bench.raw.execute("DELETE FROM queue WHERE id = ?", (gone.id,))
    done = bench.do(TakeBack(to_drafts(bench, 1, 2, 3, 4), (recall(bench, waiting.id),)))
    assert (done.sources, done.recalled, done.gone) == ((1, 2, 3), (1,), (2,))
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {1: SEEN_DRAFT, 2: int(Flag.SEEN), 3: 0}


def test_every_filed_copy_goes_to_the_drafts_of_its_mailbox(bench: Bench) -> None:
    row = submit(bench, sender=True)
    assert bench.do(RecallMessage(recall(bench, row.id)))
    for owner in (bench.anna, bench.bruno):
        assert folder(bench, owner, SpecialUse.SENT) == {}
        assert folder(bench, owner, SpecialUse.DRAFTS) == {1: SEEN_DRAFT}
    assert not bench.do(RecallMessage(recall(bench, row.id)))
    assert len(bench.flags(bench.inbox(bench.bruno))) == 1
    bench.check()


def test_moving_one_copy_back_takes_the_other_along(bench: Bench) -> None:
    row = submit(bench, sender=True)
    bench.do(TakeBack(to_drafts(bench, 1, owner=bench.bruno), (recall(bench, row.id),)))
    for owner in (bench.anna, bench.bruno):
        assert folder(bench, owner, SpecialUse.SENT) == {}
        assert folder(bench, owner, SpecialUse.DRAFTS) == {1: SEEN_DRAFT}


def test_without_a_copy_the_draft_goes_to_who_wrote_it(bench: Bench) -> None:
    row = submit(bench, owner=False)
    with pytest.raises(Conflict):
        bench.do(RecallMessage(recall(bench, row.id)))
    assert bench.do(RecallMessage(recall(bench, row.id, draft=True)))
    assert folder(bench, bench.bruno, SpecialUse.DRAFTS) == {1: SEEN_DRAFT}
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {}
    bench.check()


def test_it_can_be_recalled_by_what_takes_the_place_of_the_copy(bench: Bench) -> None:
    row = submit(bench, 1)
    other = submit(bench, 2)
    sent = bench.special(bench.anna, SpecialUse.SENT)
    items = tuple(NewInFolder(letter(number, 500), Flag.SEEN) for number in (3, 2, 1))
    done = bench.do(AppendMessages(sent.id, items, 0, actor=bench.bruno))
    assert done.replaced == (1, 2)
    assert [(one.uid, one.queue) for one in bench.ask(recalls.copies_within, sent.id, ((1, 99),))] == [(4, other.id), (5, row.id)]
    done_again = bench.do(TakeBack(to_drafts(bench, 5), (recall(bench, row.id),)))
    assert done_again.recalled == (5,)
    assert [one.id for one in bench.ask(queue.queued)] == [other.id]
    bench.check()


def test_it_can_be_recalled_from_wherever_the_copy_was_moved(bench: Bench) -> None:
    row = submit(bench)
    inbox, sent = bench.inbox(bench.anna), bench.special(bench.anna, SpecialUse.SENT).id
    bench.do(MoveMessages(sent, inbox, ((1, 1),), 0))
    assert bench.ask(recalls.copies_of, row.id) == [(inbox, 1)]
    drafts = bench.special(bench.anna, SpecialUse.DRAFTS).id
    assert bench.do(TakeBack(MoveMessages(inbox, drafts, ((1, 1),), 0), (recall(bench, row.id),))).recalled == (1,)


def test_what_ends_without_having_been_sent_leaves_nothing_in_sent(bench: Bench) -> None:
    row = submit(bench)
    bench.now += 2 * MINUTE
    bench.do(ClaimDue("me", bench.now + DAY))
    bench.do(Several((ReturnCopies(row.id), Settle(row.id, "me"))))
    assert folder(bench, bench.anna, SpecialUse.SENT) == {}
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {1: SEEN_DRAFT}
    bench.check()


def test_what_somebody_lost_their_lease_of_leaves_the_copy(bench: Bench) -> None:
    row = submit(bench)
    with pytest.raises(Conflict):
        bench.do(Several((ReturnCopies(row.id), Settle(row.id, "me"))))
    assert folder(bench, bench.anna, SpecialUse.SENT) == {1: int(Flag.SEEN)}


def test_dropped_by_hand_it_is_not_said_to_have_been_sent(bench: Bench) -> None:
    row = submit(bench)
    bench.do(DropQueued((row.id,)))
    assert bench.ask(recalls.copies_within, bench.special(bench.anna, SpecialUse.SENT).id, ((1, 9),)) == []


def test_it_is_forgotten_a_day_after_it_went_and_never_while_it_waits(bench: Bench) -> None:
    row = submit(bench)
    there = "SELECT count(*) FROM waiting_copy"
    bench.now += 9 * DAY
    bench.do(ForgetAccepted(0))
    assert bench.raw.execute(there).fetchone() == (1,)
    bench.do(ClaimDue("me", bench.now + DAY))
    bench.do(Settle(row.id, "me"))
    bench.do(ForgetAccepted(0))
    assert bench.raw.execute(there).fetchone() == (0,)


def test_a_copy_in_drafts_already_is_marked_where_it_is(bench: Bench) -> None:
    row = submit(bench)
    bench.do(to_drafts(bench, 1))
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {1: int(Flag.SEEN)}
    assert bench.do(RecallMessage(recall(bench, row.id)))
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {1: SEEN_DRAFT}
    bench.check()


def test_other_flags_stay(bench: Bench) -> None:
    row = submit(bench)
    sent = bench.special(bench.anna, SpecialUse.SENT).id
    bench.do(ChangeFlags(sent, ((1, 1),), FlagMode.ADD, Flag.FLAGGED, ("$Work",)))
    bench.do(TakeBack(to_drafts(bench, 1), (recall(bench, row.id),)))
    (flags,) = folder(bench, bench.anna, SpecialUse.DRAFTS).values()
    assert flags & 31 == SEEN_DRAFT | Flag.FLAGGED
    assert flags > 31, "and the keyword"


def test_one_message_in_the_place_of_two_copies_recalls_both(bench: Bench) -> None:
    """The same message was sent twice; the client keeps it once."""
    first, second = submit(bench), submit_again(bench)
    sent = bench.special(bench.anna, SpecialUse.SENT).id
    done = bench.do(AppendMessages(sent, (NewInFolder(letter(1, 500), Flag.SEEN),), 0, actor=bench.bruno))
    assert done.replaced == (1, 2)
    back = bench.do(TakeBack(to_drafts(bench, 3), (recall(bench, first.id), recall(bench, second.id))))
    assert (back.recalled, back.gone) == ((3,), ())
    assert bench.ask(queue.queued) == []
    assert folder(bench, bench.anna, SpecialUse.DRAFTS) == {1: SEEN_DRAFT}
    bench.check()


def submit_again(bench: Bench) -> QueueRow:
    one = OntoQueue(QueueKind.RELAY, "x@far.test", letter(1), "", START + 5 * DAY, sender=bench.bruno, due=START + MINUTE)
    done = bench.do(AcceptMessage("again", queued=(one,), filing=(Filing(letter(1), bench.bruno, ((bench.anna, 0),)),), waits=True))
    row = bench.ask(queue.queued_one, done.queued[0])
    assert row is not None
    return row


def test_what_the_client_keeps_of_a_message_that_waits_recalls_it(bench: Bench) -> None:
    """Nothing is filed before it goes, but the client has put its own copy into Sent."""
    one = OntoQueue(
        QueueKind.RELAY, "x@far.test", letter(1), "", START + 5 * DAY, sender=bench.bruno, due=START + MINUTE, expects_copy=True
    )
    (number,) = bench.do(AcceptMessage("later", queued=(one,), waits=True)).queued
    sent = bench.special(bench.anna, SpecialUse.SENT).id
    bench.do(AppendMessages(sent, (NewInFolder(letter(1), Flag.SEEN), NewInFolder(letter(2))), 0, actor=bench.bruno))
    assert [(copy.uid, copy.queue) for copy in bench.ask(recalls.copies_within, sent, ((1, 9),))] == [(1, number)]
    assert bench.do(TakeBack(to_drafts(bench, 1), (recall(bench, number),))).recalled == (1,)
    assert bench.raw.execute("SELECT count(*) FROM filed WHERE key < 0").fetchone() == (0,)
    bench.check()
