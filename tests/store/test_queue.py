import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy.folders import SpecialUse
from policy.identity import AccountId, FolderId
from store import audit, blobs, messages, queue
from store.accounts import DeleteAccount
from store.appending import Appended, AppendMessages, NewInFolder
from store.audit import AuditEntry
from store.blobs import Files, SweepBlobs
from store.errors import Conflict, NotFound, OverQuota
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.folders import DeleteFolder
from store.model import Flag, QueueId, QueueKind, QueueRow, QueueState
from store.port import FolderChanged, QueueChanged
from store.queue import (
    AcceptMessage,
    ClaimDue,
    DropQueued,
    Filing,
    ForgetAccepted,
    FreeLeases,
    HandedOn,
    HoldAgain,
    HoldQueued,
    IntoMailbox,
    OntoQueue,
    PutOff,
    ReleaseHeld,
    ReleaseQueued,
    Reschedule,
    RetryNow,
    Settle,
    TellLate,
    WhenFull,
)
from tests.store.letters import START, Bench, letter

FILES = Files(Path("/nonexistent"))
HOUR = 3_600_000_000
DAY = 24 * HOUR


def relay(number: int = 1, due: int | None = None) -> OntoQueue:
    return OntoQueue(
        QueueKind.RELAY, "x@far.test", letter(number), "anna@acme.test", START + 5 * DAY, parameters=json.dumps({"body": 8}), due=due
    )


def held(bench: Bench, number: int = 1, expires: int = START + 5 * DAY) -> OntoQueue:
    return OntoQueue(QueueKind.HELD, "bruno@acme.test", letter(number), "", expires, account=bench.bruno)


def rows(bench: Bench) -> list[QueueRow]:
    return bench.ask(queue.queued)


def claimed(bench: Bench, lease: str = "me") -> QueueRow:
    (row,) = bench.do(ClaimDue(lease, bench.now + DAY))
    return row


def sent(bench: Bench, owner: AccountId) -> dict[int, int]:
    return bench.flags(bench.special(owner, SpecialUse.SENT).id)


# --- accepting


def test_everything_a_250_promises_is_there_at_once(bench: Bench) -> None:
    message = letter(1)
    entry = AuditEntry("d-1", "send-as", True, actor=bench.bruno, principal=bench.anna)
    done = bench.do(
        AcceptMessage(
            "q-1",
            (IntoMailbox(bench.anna, message, 0), IntoMailbox(bench.bruno, message, 0, SpecialUse.JUNK, Flag.FLAGGED, START - 1)),
            (relay(1), held(bench)),
            (Filing(message, bench.bruno, ((bench.anna, 0),)),),
            (entry,),
        )
    )
    inbox, junk = bench.folder(bench.anna), bench.special(bench.bruno, SpecialUse.JUNK)
    assert [(one.owner, one.folder, one.uid, one.uidvalidity) for one in done.placed if one] == [
        (bench.anna, inbox.id, 1, inbox.uidvalidity),
        (bench.bruno, junk.id, 1, junk.uidvalidity),
    ]
    assert bench.flags(junk.id) == {1: Flag.FLAGGED}
    assert bench.ask(messages.rows, junk.id, ((1, 1),))[0].received == START - 1
    assert [row.id for row in rows(bench)] == list(done.queued)
    assert [(row.kind, row.state, row.accepted) for row in rows(bench)] == [
        (QueueKind.RELAY, QueueState.DUE, "q-1"),
        (QueueKind.HELD, QueueState.HELD, "q-1"),
    ]
    assert sent(bench, bench.anna) == {1: Flag.SEEN}
    assert bench.ask(audit.by_decision, "d-1")[0].entry == entry
    assert QueueChanged() in bench.events
    assert {event.folder for event in bench.events if isinstance(event, FolderChanged)} >= {inbox.id, junk.id}
    # anna's (INBOX and Sent), bruno's (Junk and held), the queue's own
    assert bench.raw.execute("SELECT count(*) FROM blob").fetchone() == (3,)
    bench.check()


def test_a_key_is_accepted_once_and_answered_alike(bench: Bench) -> None:
    deed = AcceptMessage("q-1", (IntoMailbox(bench.anna, letter(1), 0),), (relay(),), (Filing(letter(1), bench.bruno, ((bench.anna, 0),)),))
    first = bench.do(deed)
    again = bench.do(deed)
    assert again == replace(first, repeated=True)
    assert not first.repeated
    assert list(bench.events) == []
    assert len(bench.flags(bench.inbox(bench.anna))) == len(rows(bench)) == 1
    for _ in range(2):
        bench.do(replace(deed, key=""))
    assert len(rows(bench)) == 3


def test_keys_are_forgotten_in_time(bench: Bench) -> None:
    deed = AcceptMessage("q-1", (IntoMailbox(bench.anna, letter(1), 0),), filing=(Filing(letter(1), bench.bruno, sender=True),))
    bench.do(deed)
    assert bench.do(ForgetAccepted(START)) == 0
    bench.now += DAY
    assert bench.do(ForgetAccepted(START + 1)) == 1
    assert bench.raw.execute("SELECT count(*) FROM filed").fetchone() == (0,)
    assert not bench.do(deed).repeated


def test_a_missing_inbox_or_sent_is_made(bench: Bench) -> None:
    bench.do(DeleteFolder(bench.folder(bench.anna, "/Sent").id))
    bench.raw.execute("DELETE FROM folder WHERE id = ?", (bench.inbox(bench.anna),))
    bench.do(AcceptMessage("q", (IntoMailbox(bench.anna, letter(1), 0), IntoMailbox(bench.anna, letter(2), 0, SpecialUse.SENT))))
    assert bench.folder(bench.anna).special_use is SpecialUse.INBOX
    assert bench.folder(bench.anna, "/Sent").exists == 1
    bench.check()


def test_a_full_mailbox_refuses_all_is_skipped_or_is_ignored_as_asked(bench: Bench) -> None:
    full = IntoMailbox(bench.anna, letter(1, 500), 499)
    other = IntoMailbox(bench.bruno, letter(1, 500), 500)
    with pytest.raises(OverQuota):
        bench.do(AcceptMessage("a", (other, full), (relay(),)))
    assert bench.flags(bench.inbox(bench.bruno)) == {}
    assert rows(bench) == []
    done = bench.do(AcceptMessage("b", (replace(full, when_full=WhenFull.SKIP), other)))
    assert [one is None for one in done.placed] == [True, False]
    assert bench.do(AcceptMessage("b", (full,))).placed == done.placed
    assert bench.do(AcceptMessage("c", (replace(full, when_full=WhenFull.IGNORE),))).placed != (None,)
    bench.check()


def test_nobody_is_no_recipient(bench: Bench) -> None:
    with pytest.raises(NotFound):
        bench.do(AcceptMessage("q", (IntoMailbox(AccountId(999), letter(1), 0),)))
    with pytest.raises(NotFound):
        bench.do(AcceptMessage("q", queued=(replace(held(bench), account=None),)))


# --- the copy of what was sent

ROOM, FULL = 10_000, 10


@pytest.mark.parametrize(
    ("owner_quota", "files_for_owner", "sender", "in_annas", "in_brunos"),
    [
        (ROOM, True, False, 1, 0),
        (ROOM, True, True, 1, 1),
        (ROOM, False, True, 0, 1),
        (FULL, True, False, 0, 1),
        (FULL, True, True, 0, 1),
        (ROOM, False, False, 0, 0),
    ],
)
def test_the_copy_goes_where_the_owner_says_and_is_never_lost(
    bench: Bench, owner_quota: int, files_for_owner: bool, sender: bool, in_annas: int, in_brunos: int
) -> None:
    owners = ((bench.anna, owner_quota),) if files_for_owner else ()
    done = bench.do(AcceptMessage("q", filing=(Filing(letter(1, 100), bench.bruno, owners, sender),)))
    assert (len(sent(bench, bench.anna)), len(sent(bench, bench.bruno))) == (in_annas, in_brunos)
    assert len(done.filed) == in_annas + in_brunos
    assert bench.raw.execute("SELECT count(*) FROM filed WHERE actor = ?", (bench.bruno,)).fetchone() == (in_annas + in_brunos,)
    bench.check()


def test_several_owners_each_have_their_copy(bench: Bench) -> None:
    bench.do(AcceptMessage("q", filing=(Filing(letter(1), bench.anna, ((bench.bruno, 0), (bench.bruno, 0), (bench.anna, 0))),)))
    assert (len(sent(bench, bench.anna)), len(sent(bench, bench.bruno))) == (1, 1)


# --- the copy of what waits


def waiting(bench: Bench, number: int = 1, key: str = "w", *, expects: bool = True) -> QueueId:
    """bruno submits a message for anna that goes in an hour."""
    row = replace(relay(number), message=letter(number), sender=bench.bruno, due=START + HOUR, expects_copy=expects)
    (found,) = bench.do(AcceptMessage(key, queued=(row,))).queued
    return found


def brings(bench: Bench, number: int = 1, *, actor: AccountId | None = None, folder: FolderId | None = None, **fields: Any) -> Appended:
    """The client's own copy, into anna's Sent."""
    folder = bench.special(bench.anna, SpecialUse.SENT).id if folder is None else folder
    item = NewInFolder(letter(number, 300)._replace(message_id=letter(number).message_id, **fields), Flag.SEEN)
    return bench.do(AppendMessages(folder, (item,), 0, actor=bench.bruno if actor is None else actor))


def goes(bench: Bench, waits: QueueId, number: int = 1, *, owners: Sequence[tuple[AccountId, int]] = (), sender: bool = False) -> int:
    """Its time has come; returns how many copies were filed."""
    bench.now = START + HOUR
    bench.do(ClaimDue("here", bench.now + DAY))
    filing = Filing(letter(number), bench.bruno, tuple(owners) or ((bench.anna, 0),), sender)
    return len(bench.do(Settle(waits, "here", AcceptMessage(f"gone-{waits}", filing=(filing,)))).filed)


def marks(bench: Bench) -> int:
    return int(bench.raw.execute("SELECT count(*) FROM filed").fetchone()[0])


def test_what_the_client_brought_meanwhile_is_the_copy(bench: Bench) -> None:
    waits = waiting(bench)
    assert brings(bench).replaced == ()
    assert goes(bench, waits) == 0
    assert [*sent(bench, bench.anna)] == [1]
    assert marks(bench) == 0
    # It is the client's own, and no later append takes its place.
    assert brings(bench).replaced == ()
    bench.check()


def test_what_the_client_brings_afterwards_takes_the_place_of_what_was_filed(bench: Bench) -> None:
    assert goes(bench, waiting(bench)) == 1
    assert brings(bench).replaced == (1,)
    bench.check()


def test_it_counts_only_where_the_copy_would_be_filed_and_only_if_it_is_the_same(bench: Bench) -> None:
    waits = [waiting(bench, number, f"w{number}") for number in range(1, 7)]
    brings(bench, 1, folder=bench.special(bench.bruno, SpecialUse.SENT).id)
    brings(bench, 2, actor=bench.anna)
    brings(bench, 3, subject="other")
    brings(bench, 4, from_="other")
    brings(bench, 5, sent=None)
    uid = brings(bench, 6).uids[0]
    bench.do(ChangeFlags(bench.special(bench.anna, SpecialUse.SENT).id, ((uid, uid),), FlagMode.ADD, Flag.DELETED))
    bench.do(Expunge(bench.special(bench.anna, SpecialUse.SENT).id))
    assert [goes(bench, row, number) for number, row in enumerate(waits, 1)] == [1] * 6
    bench.check()


def test_flags_of_ones_own_copy_may_be_touched(bench: Bench) -> None:
    waits = waiting(bench)
    brings(bench)
    bench.do(ChangeFlags(bench.special(bench.anna, SpecialUse.SENT).id, ((1, 1),), FlagMode.ADD, Flag.FLAGGED))
    assert goes(bench, waits) == 0


def test_each_sent_folder_for_itself(bench: Bench) -> None:
    waits = waiting(bench)
    brings(bench)
    assert goes(bench, waits, sender=True) == 1
    assert (len(sent(bench, bench.anna)), len(sent(bench, bench.bruno))) == (1, 1)
    waits = waiting(bench, 2, "w2")
    brings(bench, 2, folder=bench.special(bench.bruno, SpecialUse.SENT).id)
    assert goes(bench, waits, 2, sender=True) == 1
    assert (len(sent(bench, bench.anna)), len(sent(bench, bench.bruno))) == (2, 2)


def test_the_only_copy_is_the_clients_where_the_owner_has_no_room(bench: Bench) -> None:
    waits = waiting(bench)
    brings(bench, folder=bench.special(bench.bruno, SpecialUse.SENT).id)
    assert goes(bench, waits, owners=((bench.anna, 1),)) == 0
    assert (len(sent(bench, bench.anna)), len(sent(bench, bench.bruno))) == (0, 1)


def test_the_same_submitted_twice_counts_for_both(bench: Bench) -> None:
    first, second = waiting(bench), waiting(bench, key="again")
    brings(bench)
    assert goes(bench, first) == 0
    assert goes(bench, second) == 0
    assert (len(sent(bench, bench.anna)), marks(bench)) == (1, 0)


def test_a_message_of_the_same_id_that_was_not_expected_counts_for_nothing(bench: Bench) -> None:
    assert goes(bench, waiting(bench, expects=False)) == 1
    brings(bench, 2)
    assert goes(bench, waiting(bench, 2, "w2"), 2) == 1, "it came before"


def test_what_is_taken_back_leaves_no_mark(bench: Bench) -> None:
    waits = waiting(bench)
    brings(bench)
    assert marks(bench) == 2
    assert bench.do(DropQueued((waits,))) == 1
    assert marks(bench) == 0
    assert len(sent(bench, bench.anna)) == 1
    bench.check()


def test_marks_outlive_the_quarter_of_an_hour(bench: Bench) -> None:
    waits = waiting(bench)
    brings(bench)
    bench.now = START + HOUR
    bench.do(ForgetAccepted(START))
    assert goes(bench, waits) == 0


# --- the queue


def test_what_is_due_is_claimed_by_one(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1), relay(2, START + DAY), held(bench))))
    row = claimed(bench)
    assert (row.state, row.lease, row.attempts, row.last_attempt, row.due) == (QueueState.LEASED, "me", 1, None, START + DAY)
    assert json.loads(row.parameters) == {"body": 8}
    assert bench.do(ClaimDue("you", START + DAY)) == ()
    bench.now += DAY
    assert len(bench.do(ClaimDue("you", bench.now + DAY))) == 2


def test_claims_are_bounded_and_the_longest_due_come_first(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=tuple(relay(number, START - number) for number in range(5))))
    assert [row.due for row in bench.do(ClaimDue("me", START + 1, limit=2))] == [START + 1] * 2
    assert [row.state for row in rows(bench)] == [QueueState.DUE] * 3 + [QueueState.LEASED] * 2


def test_a_lease_that_ran_out_is_worth_nothing(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(),)))
    row = claimed(bench)
    bench.now += DAY
    assert claimed(bench, "you").attempts == 2
    for deed in (Reschedule(row.id, "me", bench.now, ""), HoldAgain(row.id, "me", bench.bruno), Settle(row.id, "me")):
        with pytest.raises(Conflict):
            bench.do(deed)
    assert len(rows(bench)) == 1


def test_a_failed_attempt_is_tried_again_later(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(),)))
    row = claimed(bench)
    bench.do(Reschedule(row.id, "me", START + DAY, "451 4.3.0 later" + "x" * 5000))
    (row,) = rows(bench)
    assert (row.state, row.due, row.lease) == (QueueState.DUE, START + DAY, "")
    assert row.last_reply.startswith("451 4.3.0 later")
    assert len(row.last_reply) == queue.MAX_REPLY
    assert bench.ask(queue.next_due) == START + DAY


def test_a_row_is_settled_together_with_what_takes_its_place(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(),)))
    row = claimed(bench)
    with pytest.raises(OverQuota):
        bench.do(Settle(row.id, "me", AcceptMessage("", (IntoMailbox(bench.anna, letter(9, 300), 1),))))
    assert len(rows(bench)) == 1
    done = bench.do(Settle(row.id, "me", AcceptMessage("", (IntoMailbox(bench.anna, letter(9, 300), 0),))))
    assert len(done.placed) == 1
    assert rows(bench) == []
    assert bench.do(SweepBlobs()).places == ()
    assert bench.raw.execute("SELECT owner FROM blob").fetchall() == [(bench.anna,)]
    bench.check()


def test_held_mail_waits_for_the_status_and_is_delivered_without_a_second_copy(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(held(bench),)))
    assert bench.do(ClaimDue("me", START + DAY)) == ()
    assert bench.ask(queue.next_due) == START + 5 * DAY
    assert bench.do(ReleaseHeld(bench.anna)) == 0
    assert bench.do(ReleaseHeld(bench.bruno)) == 1
    assert QueueChanged() in bench.events
    row = claimed(bench)
    assert bench.ask(blobs.octets, row.blob, FILES) == letter(1).octets
    bench.do(Settle(row.id, "me", AcceptMessage("", (IntoMailbox(bench.bruno, letter(1), 0),))))
    assert bench.raw.execute("SELECT count(*) FROM blob").fetchone() == (1,)
    bench.do(SweepBlobs())
    assert bench.ask(messages.octets, bench.inbox(bench.bruno), 1, FILES) == letter(1).octets
    bench.check()


def test_a_domains_status_may_concern_anybody(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(held(bench), replace(held(bench), account=bench.anna), relay(1, START + DAY))))
    assert bench.do(ReleaseHeld(None)) == 2
    assert len(bench.do(ClaimDue("me", START + DAY))) == 2


def test_held_mail_is_held_again_when_the_status_is_still_so(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(held(bench),)))
    bench.do(ReleaseHeld(bench.bruno))
    row = claimed(bench)
    bench.do(HoldAgain(row.id, "me", bench.bruno))
    assert [one.state for one in rows(bench)] == [QueueState.HELD]


def test_held_mail_past_its_time_is_claimed_to_be_returned(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(held(bench, 1, START + DAY), held(bench, 2))))
    bench.now += DAY
    row = claimed(bench)
    assert (row.expires, row.account) == (START + DAY, bench.bruno)


def test_by_hand(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1, START + DAY), held(bench), relay(2))))
    first, second, _ = rows(bench)
    claimed(bench)
    assert bench.ask(queue.totals)[QueueState.LEASED][0] == 1
    assert bench.do(RetryNow((second.id, QueueId(999)))) == 1
    assert bench.do(RetryNow()) == 2
    assert len(bench.do(ClaimDue("me", START + DAY))) == 2
    assert bench.do(DropQueued((first.id, QueueId(999)))) == 1
    assert bench.ask(queue.queued_one, first.id) is None
    assert [row.id for row in bench.ask(queue.queued, after=second.id)] == [3]
    bench.do(SweepBlobs())
    bench.check()


def test_an_empty_queue_is_never_due(bench: Bench) -> None:
    assert bench.ask(queue.next_due) is None
    assert bench.ask(queue.totals) == {}


def test_what_is_held_for_an_account_outlives_it_and_is_nobodys(bench: Bench) -> None:
    """It was accepted: whoever sent it is told that it came to nobody."""
    bench.do(AcceptMessage("q", queued=(held(bench, 1), held(bench, 2), relay())))
    first, _, _ = rows(bench)
    bench.do(HoldQueued((first.id,)))
    bench.do(DeleteAccount(bench.bruno))
    bench.check()
    assert [(row.kind, row.state, row.account) for row in rows(bench)] == [
        (QueueKind.HELD, QueueState.HELD, None),
        (QueueKind.HELD, QueueState.DUE, None),
        (QueueKind.RELAY, QueueState.DUE, None),
    ]
    bench.do(DropQueued(tuple(row.id for row in rows(bench))))
    bench.do(SweepBlobs())
    bench.check()
    assert bench.raw.execute("SELECT count(*) FROM blob").fetchone() == (0,)


def test_weight_counts_each_message_once(bench: Bench) -> None:
    message = letter(1, 1000)
    deed = AcceptMessage("q", (IntoMailbox(bench.anna, message, 0), IntoMailbox(bench.bruno, message, 0)))
    assert deed.weight == Settle(QueueId(1), "", deed).weight == 1000
    assert AppendMessages(bench.inbox(bench.anna), (NewInFolder(message), NewInFolder(message)), 0).weight == 2000


def test_what_another_process_had_claimed_is_due_again(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1), relay(2, START + DAY), held(bench))))
    claimed(bench)
    assert bench.do(FreeLeases()) == 1
    assert QueueChanged() in bench.events
    assert [(row.state, row.due) for row in rows(bench)] == [
        (QueueState.DUE, START),
        (QueueState.DUE, START + DAY),
        (QueueState.HELD, START),
    ]


# --- by destination, and by hand


def remote(number: int, domain: str, due: int | None = None) -> OntoQueue:
    return replace(relay(number, due), recipient=f'"odd@local part {number}"@{domain}')


def domains(claimed_rows: tuple[QueueRow, ...]) -> list[str]:
    return [row.destination for row in claimed_rows]


def test_destinations_take_turns(bench: Bench) -> None:
    waiting = [remote(number, "slow.test") for number in range(20)] + [remote(30 + number, f"d{number}.test") for number in range(5)]
    bench.do(AcceptMessage("q", queued=tuple(waiting)))
    first = bench.do(ClaimDue("me", START + DAY, limit=4, each=2))
    assert domains(first) == ["d0.test", "d1.test", "d2.test", "d3.test"]
    second = bench.do(ClaimDue("me", START + DAY, limit=4, each=2, after="d3.test"))
    assert domains(second) == ["d4.test", "slow.test", "slow.test"]
    third = bench.do(ClaimDue("me", START + DAY, limit=4, each=2, after="slow.test"))
    assert domains(third) == ["slow.test", "slow.test"]
    assert bench.do(ClaimDue("me", START + DAY, limit=4, each=2, after="x", full=frozenset({"slow.test"}))) == ()


def test_what_is_for_this_house_waits_for_no_destination(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(*(remote(number, "slow.test", START - 9) for number in range(20)), held(bench))))
    bench.do(ReleaseHeld(None))
    (row,) = bench.do(ClaimDue("me", START + DAY, limit=4, here_only=True))
    assert (row.kind, row.destination) == (QueueKind.HELD, "")
    assert bench.do(ClaimDue("me", START + DAY, limit=4, here_only=True)) == ()


def test_everything_is_claimed_once_whatever_the_turn(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=tuple(remote(number, f"d{number % 7}.test", START - number) for number in range(100))))
    after, seen = "", []
    while found := bench.do(ClaimDue("me", START + DAY, limit=9, each=2, after=after)):
        after = found[-1].destination
        seen += [row.id for row in found]
    assert sorted(seen) == [*range(1, 101)]


def test_a_claim_looks_at_no_row_that_it_does_not_take(bench: Bench) -> None:
    """However much waits for a destination that is full: counted in steps of the engine, for 100 rows and for 5,000."""

    def steps(count: int) -> int:
        one = Bench()
        one.do(AcceptMessage("q", queued=tuple(remote(number, "slow.test") for number in range(count))))
        one.do(AcceptMessage("p", queued=(remote(1, "quick.test"), remote(2, "zealous.test"))))
        done = 0

        def count_them() -> int:
            nonlocal done
            done += 1
            return 0

        one.raw.set_progress_handler(count_them, 10)
        claimed_rows = one.do(ClaimDue("me", START + DAY, limit=50, each=20, full=frozenset({"slow.test"})))
        one.raw.set_progress_handler(None, 0)
        assert domains(claimed_rows) == ["quick.test", "zealous.test"]
        return done

    assert steps(5000) <= 2 * steps(100)


def test_what_was_not_tried_is_no_attempt(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1), relay(2))))
    one, other = bench.do(ClaimDue("me", START + DAY))
    assert bench.do(PutOff(((one.id, START + 5), (other.id, START + 6), (QueueId(99), 1)), "me", "4.4.1 nobody")) == 2
    assert [(row.state, row.due, row.attempts, row.last_reply, row.last_attempt) for row in rows(bench)] == [
        (QueueState.DUE, START + 5, 0, "4.4.1 nobody", None),
        (QueueState.DUE, START + 6, 0, "4.4.1 nobody", None),
    ]
    bench.now = START + 5
    row = claimed(bench)
    assert bench.do(PutOff(((row.id, START + 7),), "you")) == 0
    assert bench.do(PutOff(((row.id, START + 7),), "me")) == 1
    assert rows(bench)[0].last_reply == "4.4.1 nobody"


def test_what_was_handed_on_is_gone_with_its_octets_and_the_report_comes(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1), relay(1), relay(2))))
    one, other, third = bench.do(ClaimDue("me", START + DAY))
    bench.do(DropQueued((other.id,)))
    report = AcceptMessage("", (IntoMailbox(bench.anna, letter(9), 0),))
    assert bench.do(HandedOn((other.id,), "me", report)) == 0
    assert bench.ask(messages.octets, bench.inbox(bench.anna), 1, FILES) is None
    assert bench.do(HandedOn((one.id, other.id), "me", report)) == 1
    assert bench.ask(messages.octets, bench.inbox(bench.anna), 1, FILES) == letter(9).octets
    assert bench.do(HandedOn((third.id,), "you")) == 0
    assert [row.id for row in rows(bench)] == [third.id]
    bench.do(SweepBlobs())
    bench.check()


def test_that_it_is_late_is_told_once(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1), relay(2))))
    ids = tuple(row.id for row in rows(bench))
    warning = AcceptMessage("", (IntoMailbox(bench.anna, letter(9), 0),))
    assert bench.do(TellLate(ids[:1], warning))
    assert bench.do(TellLate(ids, warning))
    assert not bench.do(TellLate(ids, warning))
    assert bench.ask(messages.octets, bench.inbox(bench.anna), 3, FILES) is None
    assert all(row.warned for row in rows(bench))


def test_what_is_held_by_hand_waits_for_the_hand(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1), held(bench), relay(2))))
    ids = tuple(row.id for row in rows(bench))
    assert bench.do(HoldQueued(ids[:2])) == 2
    assert bench.do(HoldQueued(ids[:2])) == 0
    assert bench.do(RetryNow(ids[:2])) == 0
    assert bench.do(RetryNow()) == 1
    assert QueueChanged(at_once=True) in bench.events
    assert bench.do(ReleaseHeld(None)) == 0
    assert bench.do(ReleaseHeld(bench.bruno)) == 0
    bench.now = START + 9 * DAY
    assert [row.id for row in bench.do(ClaimDue("me", bench.now + DAY))] == [ids[2]]
    assert bench.ask(queue.held_accounts) == []
    assert [(row.state, row.stopped) for row in rows(bench)[:2]] == [(QueueState.HELD, True)] * 2
    assert bench.do(ReleaseQueued(ids)) == 2
    assert QueueChanged() in bench.events
    assert {row.id for row in bench.do(ClaimDue("me", bench.now + DAY))} == set(ids[:2])


@pytest.mark.parametrize("end", ["reschedule", "put off", "free"])
def test_what_is_held_while_it_is_tried_is_held_when_that_has_ended(bench: Bench, end: str) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1),)))
    row = claimed(bench)
    assert bench.do(HoldQueued((row.id,))) == 1
    assert rows(bench)[0].state is QueueState.LEASED
    if end == "reschedule":
        bench.do(Reschedule(row.id, "me", START + 1, "451"))
    elif end == "put off":
        bench.do(PutOff(((row.id, START + 1),), "me"))
    else:
        bench.do(FreeLeases())
    (row,) = rows(bench)
    assert (row.state, row.stopped) == (QueueState.HELD, True)
    bench.now += DAY
    assert bench.do(ClaimDue("me", bench.now + DAY)) == ()
    bench.do(ReleaseQueued((row.id,)))
    assert len(bench.do(ClaimDue("me", bench.now + DAY))) == 1


def test_released_while_it_is_tried(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=(relay(1),)))
    row = claimed(bench)
    bench.do(HoldQueued((row.id,)))
    assert bench.do(ReleaseQueued((row.id,))) == 1
    assert rows(bench)[0].due == row.due
    bench.do(Reschedule(row.id, "me", START + 1, "451"))
    assert rows(bench)[0].state is QueueState.DUE


def test_ten_thousand_rows_are_claimed_in_a_moment(bench: Bench) -> None:
    bench.do(AcceptMessage("q", queued=tuple(remote(number % 50, f"d{number % 2000}.test") for number in range(10_000))))
    began = time.perf_counter()
    after, count = "", 0
    for _ in range(20):
        found = bench.do(ClaimDue("me", START + DAY, limit=200, each=50, after=after))
        after = found[-1].destination
        count += len(found)
    assert count == 4000
    assert time.perf_counter() - began < 5
