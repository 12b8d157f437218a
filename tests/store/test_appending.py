"""Messages come into a folder, one takes the place of another, and the client's own copy that of the filed one."""

from dataclasses import replace

import pytest

from policy.folders import SpecialUse
from policy.identity import FolderId
from store import messages
from store.appending import FILED_FOR, AppendMessages, NewInFolder, ReplaceMessage
from store.errors import NotFound, OverQuota
from store.expunging import Expunge
from store.flags import ChangeFlags, FlagMode
from store.model import Flag, Uid
from store.queue import AcceptMessage, Filing
from tests.store.letters import Bench, letter, put, uids


def test_uids_ascend_and_are_not_used_again(bench: Bench, inbox: FolderId) -> None:
    assert put(bench, inbox, 3) == (1, 2, 3)
    bench.do(ChangeFlags(inbox, ((3, 3),), FlagMode.ADD, Flag.DELETED))
    bench.do(Expunge(inbox))
    assert put(bench, inbox) == (4,)


def test_a_full_mailbox_takes_nothing_and_keeps_what_it_had(bench: Bench, inbox: FolderId) -> None:
    items = tuple(NewInFolder(letter(n, 400)) for n in range(3))
    with pytest.raises(OverQuota):
        bench.do(AppendMessages(inbox, items, 1199))
    assert (uids(bench, inbox), bench.used(bench.anna)) == ([], 0)
    bench.do(AppendMessages(inbox, items, 1200))
    assert bench.used(bench.anna) == 1200
    bench.check()


def test_there_is_nothing_to_append_to(bench: Bench) -> None:
    for folder in (FolderId(999), bench.folder(bench.anna, "/").id):
        with pytest.raises(NotFound):
            put(bench, folder)


def test_text_that_is_no_unicode_does_not_stop_a_delivery(bench: Bench, inbox: FolderId) -> None:
    bench.do(AppendMessages(inbox, (NewInFolder(letter()._replace(subject="\udce4x", message_id="<\udce4>")),), 0))
    assert bench.ask(messages.heads, inbox, ((1, 1),))[0].subject == "?x"
    assert bench.ask(messages.with_message_id, inbox, "<\udce4>") == [1]


def test_replacing_counts_only_what_stays(bench: Bench, inbox: FolderId) -> None:
    bench.do(AppendMessages(inbox, (NewInFolder(letter(1, 500)),), 0))
    append = AppendMessages(inbox, (NewInFolder(letter(2, 600)),), 600)
    done = bench.do(ReplaceMessage(inbox, Uid(1), append))
    assert done.uids == (2,)
    assert uids(bench, inbox) == [2]
    assert bench.used(bench.anna) == 600
    with pytest.raises(NotFound):
        bench.do(ReplaceMessage(inbox, Uid(1), append))
    bench.check()


def file_copy(bench: Bench) -> tuple[FolderId, AppendMessages]:
    bench.do(AcceptMessage("q", filing=(Filing(letter(1), bench.bruno, ((bench.anna, 0),)),)))
    sent = bench.special(bench.anna, SpecialUse.SENT).id
    return sent, AppendMessages(sent, (NewInFolder(letter(1, 300)._replace(message_id="<1@acme.test>"), Flag.SEEN),), 0, actor=bench.bruno)


def test_the_clients_own_copy_takes_the_place_of_the_filed_one(bench: Bench) -> None:
    sent, append = file_copy(bench)
    done = bench.do(append)
    assert (done.uids, done.replaced) == ((2,), (1,))
    assert uids(bench, sent) == [2]
    assert done.modseq == bench.special(bench.anna, SpecialUse.SENT).modseq
    assert bench.do(append).replaced == ()
    bench.check()


def test_the_filed_copy_and_its_successor_need_not_both_fit(bench: Bench) -> None:
    _, append = file_copy(bench)
    used = bench.used(bench.anna)
    assert bench.do(replace(append, quota=300)).replaced == (1,)
    assert bench.used(bench.anna) == 300 > used
    bench.check()


def test_the_filed_copy_stays_where_the_rule_does_not_hold(bench: Bench) -> None:
    sent, append = file_copy(bench)
    (item,) = append.items
    for other in (
        replace(append, actor=None),
        replace(append, actor=bench.anna),
        replace(append, items=(replace(item, message=item.message._replace(subject="other")),)),
        replace(append, items=(replace(item, message=item.message._replace(from_="other")),)),
        replace(append, items=(replace(item, message=item.message._replace(sent=None)),)),
        replace(append, items=(replace(item, message=item.message._replace(message_id="<2@acme.test>")),)),
        replace(append, folder=bench.inbox(bench.anna)),
    ):
        assert bench.do(other).replaced == ()
    bench.do(ChangeFlags(sent, ((1, 1),), FlagMode.ADD, Flag.FLAGGED))
    bench.do(ChangeFlags(sent, ((1, 1),), FlagMode.REMOVE, Flag.FLAGGED))
    assert bench.do(append).replaced == (), "its flags were touched"
    bench.check()


def test_the_filed_copy_stays_after_a_quarter_of_an_hour(bench: Bench) -> None:
    _, append = file_copy(bench)
    bench.now += FILED_FOR
    assert bench.do(append).replaced == ()


def test_replacing_the_filed_copy_itself_is_charged_once(bench: Bench) -> None:
    sent, append = file_copy(bench)
    assert bench.do(ReplaceMessage(sent, Uid(1), append)).replaced == (1,)
    assert uids(bench, sent) == [2]
    bench.check()


def test_replacing_the_filed_copy_itself_is_no_way_over_the_quota(bench: Bench) -> None:
    sent, append = file_copy(bench)
    with pytest.raises(OverQuota):
        bench.do(ReplaceMessage(sent, Uid(1), replace(append, quota=299)))
    assert bench.do(ReplaceMessage(sent, Uid(1), replace(append, quota=300))).replaced == (1,)
    assert bench.used(bench.anna) == 300
    bench.check()
