from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from policy.folders import SpecialUse
from policy.identity import AccountId, FolderId
from store import changes, folders, messages
from store.appending import FILED_FOR, AppendMessages, NewInFolder, ReplaceMessage
from store.blobs import Files
from store.copying import CopyMessages, MoveMessages
from store.errors import LimitReached, NotFound, OverQuota
from store.expunging import Expunge
from store.flags import EVERY_FLAG, NO_FLAGS, ChangeFlags, FlagMode, MarkSeen
from store.folders import CreateFolder, SwitchFolder
from store.model import KEYWORDS_PER_FOLDER, Flag, Uid, WireRow
from store.port import Event, FolderChanged
from store.queue import AcceptMessage, Filing
from store.remade import Rerendered, SetLayouts
from store.runs import merged
from tests.store.conftest import Directory
from tests.store.letters import START, Bench, letter

NOTHING = Path("/nonexistent")


@pytest.fixture
def inbox(bench: Bench) -> FolderId:
    return bench.inbox(bench.anna)


def put(bench: Bench, folder: FolderId, count: int = 1, flags: Flag = NO_FLAGS, keywords: tuple[str, ...] = ()) -> tuple[Uid, ...]:
    return bench.do(AppendMessages(folder, tuple(NewInFolder(letter(n), flags, keywords) for n in range(count)), 0)).uids


def uids(bench: Bench, folder: FolderId) -> list[int]:
    return list(bench.flags(folder))


# --- append


def test_uids_ascend_and_are_not_used_again(bench: Bench, inbox: FolderId) -> None:
    assert put(bench, inbox, 3) == (1, 2, 3)
    bench.do(ChangeFlags(inbox, ((3, 3),), FlagMode.ADD, Flag.DELETED))
    bench.do(Expunge(inbox))
    assert put(bench, inbox) == (4,)


def test_what_was_appended_is_read_again(bench: Bench, inbox: FolderId) -> None:
    message = letter(7, 200)
    done = bench.do(AppendMessages(inbox, (NewInFolder(message, Flag.SEEN | Flag.DRAFT, ("$Work",), START - 5),), 0))
    assert (done.uidvalidity, done.uids, done.modseq) == (bench.folder(bench.anna).uidvalidity, (1,), 2)
    (row,) = bench.ask(messages.rows, inbox, ((1, 9),))
    assert (row.uid, row.size, row.received, row.saved, row.flags, row.modseq) == (1, 200, START - 5, START, 1 | 16 | 32, 2)
    assert bench.ask(messages.octets, inbox, 1, Files(NOTHING)) == message.octets
    assert bench.ask(messages.envelopes, inbox, ((1, 1),)) == [(1, message.envelope, 1)]
    assert bench.ask(messages.structures, inbox, ((1, 1),)) == [(1, message.structure, 1)]
    assert bench.ask(messages.bodies, inbox, ((1, 1),)) == [(1, message.body, 1)]
    assert bench.ask(messages.wires, inbox, ((1, 1),)) == [WireRow(Uid(1), 1, message.envelope, message.structure, message.body)]
    (head,) = bench.ask(messages.heads, inbox, ((1, 1),))
    assert (head.from_, head.subject, head.message_id, head.sent) == (message.from_, message.subject, message.message_id, message.sent)
    assert head.sent_day == START // 86_400_000_000
    assert bench.events == [FolderChanged(inbox, 2)]


def test_nothing_is_read_past_the_folder(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox)
    assert bench.ask(messages.octets, FolderId(inbox - 1), (1 << 32) + 1, Files(NOTHING)) is None
    assert bench.ask(messages.rows, FolderId(inbox - 1), ((1, 1 << 40),)) == []
    assert bench.ask(messages.octets, inbox, 2, Files(NOTHING)) is None


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


def test_the_last_uid_is_a_limit(bench: Bench, inbox: FolderId) -> None:
    bench.raw.execute("UPDATE folder SET uidnext = 4294967294 WHERE id = ?", (inbox,))
    assert put(bench, inbox) == (4294967294,)
    with pytest.raises(LimitReached):
        put(bench, inbox)


def test_text_that_is_no_unicode_does_not_stop_a_delivery(bench: Bench, inbox: FolderId) -> None:
    bench.do(AppendMessages(inbox, (NewInFolder(letter()._replace(subject="\udce4x", message_id="<\udce4>")),), 0))
    assert bench.ask(messages.heads, inbox, ((1, 1),))[0].subject == "?x"
    assert bench.ask(messages.with_message_id, inbox, "<\udce4>") == [1]


def test_a_rendering_is_replaced_where_the_message_is_still_there(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox)
    bench.do(Rerendered(inbox, (WireRow(Uid(1), 2, b"e", b"s", b"b"), WireRow(Uid(2), 2, b"", b"", b""))))
    assert bench.ask(messages.wires, inbox, ((1, 9),)) == [WireRow(Uid(1), 2, b"e", b"s", b"b")]


def test_where_the_parts_stand_goes_with_every_copy(bench: Bench, inbox: FolderId) -> None:
    noted = NewInFolder(letter(1)._replace(layout=b"parts"))
    bench.do(AppendMessages(inbox, (noted, NewInFolder(letter(2))), 0))
    assert bench.ask(messages.layouts, inbox, ((1, 9),)) == [(1, b"parts"), (2, None)]
    bench.do(SetLayouts(inbox, ((Uid(2), b"others"), (Uid(3), b"none"))))
    theirs = bench.inbox(bench.bruno)
    bench.do(CopyMessages(inbox, theirs, ((1, 2),), 0))
    bench.do(MoveMessages(inbox, inbox, ((1, 1),), 0))
    assert bench.ask(messages.layouts, theirs, ((1, 9),)) == [(1, b"parts"), (2, b"others")]
    assert bench.ask(messages.layouts, inbox, ((1, 9),)) == [(2, b"others"), (3, b"parts")]


def test_message_ids_are_found_in_the_folders_that_were_asked(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 2)
    put(bench, bench.inbox(bench.bruno), 2)
    found = bench.ask(messages.originals, [inbox, bench.folder(bench.anna, "/Sent").id], "<1@acme.test>")
    assert [(folder, uid) for folder, uid, _ in found] == [(inbox, 2)]
    assert bench.ask(messages.with_message_id, inbox, "<none@acme.test>") == []


# --- flags


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


@pytest.mark.parametrize("mode", list(FlagMode))
@pytest.mark.parametrize(
    "flags", [Flag.SEEN, Flag.DELETED, Flag.FLAGGED, Flag.SEEN | Flag.FLAGGED, Flag.SEEN | Flag.DELETED, NO_FLAGS], ids=int
)
def test_what_is_unseen_and_deleted_is_counted_whatever_changes(bench: Bench, inbox: FolderId, mode: FlagMode, flags: Flag) -> None:
    had = [NO_FLAGS, Flag.SEEN, Flag.DELETED, Flag.SEEN | Flag.DELETED, Flag.FLAGGED | Flag.SEEN]
    bench.do(AppendMessages(inbox, tuple(NewInFolder(letter(n), one) for n, one in enumerate(had * 2)), 0))
    wanted = {FlagMode.ADD: lambda one: one | flags, FlagMode.REMOVE: lambda one: one & ~flags, FlagMode.REPLACE: lambda _: flags}[mode]
    before = bench.folder(bench.anna).modseq
    done = bench.do(ChangeFlags(inbox, ((2, 9),), mode, flags))
    after = [wanted(one) if 1 <= place <= 8 else one for place, one in enumerate(had * 2)]
    assert list(bench.flags(inbox).values()) == [int(one) for one in after]
    row = bench.folder(bench.anna)
    assert (row.unseen, row.deleted) == (sum(Flag.SEEN not in one for one in after), sum(Flag.DELETED in one for one in after))
    assert done.changed is (after != had * 2)
    assert row.modseq == done.modseq == before + done.changed
    assert not bench.do(ChangeFlags(inbox, ((2, 9),), mode, flags)).changed
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


# --- expunge


def test_only_what_is_marked_and_named_goes(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 6)
    bench.do(ChangeFlags(inbox, ((1, 2), (4, 4), (6, 6)), FlagMode.ADD, Flag.DELETED))
    done = bench.do(Expunge(inbox, ((2, 5),)))
    assert done.runs == ((2, 2), (4, 4))
    assert uids(bench, inbox) == [1, 3, 5, 6]
    assert bench.do(Expunge(inbox)).runs == ((1, 1), (6, 6))
    assert bench.do(Expunge(inbox)).runs == ()
    bench.check()


# --- copy and move


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


# --- replace, and the filed copy


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


async def test_a_folder_read_in_a_snapshot_stays_as_it_was(directory: Directory) -> None:
    told: list[Event] = []
    end = directory.store.watch(told.extend)
    row = await directory.ask(folders.by_path, directory.anna, "/INBOX")
    assert row is not None
    append = AppendMessages(row.id, (NewInFolder(letter(1)),), 0)
    await directory.store.do(append)
    async with directory.store.snapshot() as snapshot:
        before = await snapshot.work(messages.state, row.id)
        await directory.store.do(append)
        assert await snapshot.work(messages.state, row.id) == before
        assert before.modseq == 2
    async with directory.store.snapshot() as snapshot:
        assert list((await snapshot.work(messages.state, row.id)).uids) == [1, 2]
    end()
    assert told == [FolderChanged(row.id, 2), FolderChanged(row.id, 3)]


# --- everything together against a naive model

FLAGS = st.integers(0, 31).map(Flag)
NAMES = st.lists(st.sampled_from(["a", "B", "c"]), max_size=2, unique=True).map(tuple)
RUNS = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=3).map(tuple)
MASK = st.sampled_from([EVERY_FLAG, 1, 8, 31, EVERY_FLAG & ~8, EVERY_FLAG & ~1])
FOLDER = st.integers(0, 2)


def spelled(flags: int, names: dict[int, str]) -> frozenset[str]:
    return frozenset(Flag(1 << bit).name or "" if bit < 5 else names[bit].lower() for bit in range(63) if flags >> bit & 1)


class Mailbox(RuleBasedStateMachine):
    """Folders 0 and 1 are anna's, 2 is bruno's; \\Seen is private in 1. Everything is done by bruno; anna looks on."""

    @initialize()
    def begin(self) -> None:
        self.bench = Bench()
        self.folders = [
            self.bench.inbox(self.bench.anna),
            self.bench.folder(self.bench.anna, "/Sent").id,
            self.bench.inbox(self.bench.bruno),
        ]
        self.bench.do(SwitchFolder(self.folders[1], seen_private=True))
        self.model: list[dict[int, frozenset[str]]] = [{}, {}, {}]
        self.own: dict[int, bool] = {}
        self.next = [1, 1, 1]
        self.modseq = [1, 1, 1]
        self.followed: list[dict[int, frozenset[str]]] = [{}, {}, {}]
        # Something to act upon from the start: without it most rules meet empty folders.
        for folder in range(3):
            for flags in (Flag(0), Flag.SEEN, Flag.DELETED, Flag.SEEN | Flag.FLAGGED):
                self.append(folder, flags, ("a",) if flags else (), 1)

    def actor(self, folder: int) -> AccountId | None:
        return self.bench.bruno if folder == 1 else None

    def seen_by_bruno(self, folder: int) -> dict[int, frozenset[str]]:
        if folder != 1:
            return dict(self.model[folder])
        return {
            uid: (flags - {"SEEN"}) | ({"SEEN"} if self.own.get(uid, "SEEN" in flags) else frozenset())
            for uid, flags in self.model[1].items()
        }

    def add(self, folder: int, flags: frozenset[str]) -> None:
        uid = self.next[folder]
        self.next[folder] += 1
        if folder == 1 and "SEEN" in flags:
            self.own[uid] = True
            flags -= {"SEEN"}
        self.model[folder][uid] = flags

    def chosen(self, folder: int, runs: tuple[tuple[int, int], ...]) -> list[int]:
        return [uid for uid in sorted(self.model[folder]) if any(low <= uid <= high for low, high in runs)]

    @rule(folder=FOLDER, flags=FLAGS, names=NAMES, count=st.integers(1, 3))
    def append(self, folder: int, flags: Flag, names: tuple[str, ...], count: int) -> None:
        items = tuple(NewInFolder(letter(number, 100 + number), flags, names) for number in range(count))
        done = self.bench.do(AppendMessages(self.folders[folder], items, 0, seen_of=self.actor(folder)))
        assert list(done.uids) == list(range(self.next[folder], self.next[folder] + count))
        for _ in range(count):
            self.add(folder, spelled(int(flags), {}) | {name.lower() for name in names})

    @rule(folder=FOLDER, runs=RUNS, mode=st.sampled_from(FlagMode), flags=FLAGS, names=NAMES, mask=MASK)
    def change(
        self, folder: int, runs: tuple[tuple[int, int], ...], mode: FlagMode, flags: Flag, names: tuple[str, ...], mask: int
    ) -> None:
        self.bench.do(ChangeFlags(self.folders[folder], runs, mode, flags, names, mask, seen_of=self.actor(folder)))
        allowed = {flag.name for flag in Flag if flag & mask} | ({"a", "b", "c"} if mask > 31 else set())
        wanted = (spelled(int(flags), {}) | {name.lower() for name in names}) & allowed
        for uid in self.chosen(folder, runs):
            now = self.seen_by_bruno(folder)[uid]
            after = {FlagMode.ADD: now | wanted, FlagMode.REMOVE: now - wanted, FlagMode.REPLACE: (now - allowed) | wanted}[mode]
            if folder == 1:
                if ("SEEN" in after) != ("SEEN" in now):
                    self.own[uid] = "SEEN" in after
                after = (after - {"SEEN"}) | (self.model[1][uid] & {"SEEN"})
            self.model[folder][uid] = frozenset(after)

    @rule(folder=FOLDER, runs=st.none() | RUNS)
    def expunge(self, folder: int, runs: tuple[tuple[int, int], ...] | None) -> None:
        done = self.bench.do(Expunge(self.folders[folder], runs))
        going = [uid for uid in (self.model[folder] if runs is None else self.chosen(folder, runs)) if "DELETED" in self.model[folder][uid]]
        assert [uid for low, high in done.runs for uid in range(low, high + 1)] == sorted(going)
        self.drop(folder, going)

    def drop(self, folder: int, going: list[int]) -> None:
        for uid in going:
            del self.model[folder][uid]
            if folder == 1:
                self.own.pop(uid, None)

    @rule(source=FOLDER, into=FOLDER, runs=RUNS, mask=MASK, moving=st.booleans())
    def copy(self, source: int, into: int, runs: tuple[tuple[int, int], ...], mask: int, moving: bool) -> None:
        deed = (MoveMessages if moving else CopyMessages)(
            self.folders[source], self.folders[into], runs, 0, mask, self.actor(source), self.actor(into)
        )
        chosen = self.chosen(source, runs)
        kept = {flag.name for flag in Flag if flag & mask} | ({"a", "b", "c"} if mask > 31 else set())
        flags = [self.seen_by_bruno(source)[uid] & kept for uid in chosen]
        done = self.bench.do(deed)
        assert list(done.sources) == chosen
        assert list(done.targets) == list(range(self.next[into], self.next[into] + len(chosen)))
        for one in flags:
            self.add(into, one)
        if moving:
            self.drop(source, chosen)

    @invariant()
    def agrees(self) -> None:
        self.bench.check()
        for number, folder in enumerate(self.folders):
            names = dict(self.bench.ask(messages.keywords, folder))
            seen = self.bench.ask(messages.state, folder, self.actor(number))
            found = {uid: spelled(flags, names) for uid, flags in zip(seen.uids, seen.flags, strict=True)}
            assert found == self.seen_by_bruno(number)
            if number == 1:
                shared = self.bench.ask(messages.state, folder)
                assert {uid: spelled(flags, names) for uid, flags in zip(shared.uids, shared.flags, strict=True)} == self.model[1]
                unseen = sum("SEEN" not in flags for flags in found.values())
                assert self.bench.ask(folders.unseen_by, folder, self.bench.bruno) == unseen
            # Whoever follows by the changes alone sees the same.
            news = self.bench.ask(changes.since, folder, self.modseq[number], self.actor(number))
            assert news is not None
            before, follower = self.followed[number], self.followed[number].copy()
            for low, high in news.vanished:
                for uid in range(low, high + 1):
                    follower.pop(uid, None)
            follower.update({uid: spelled(flags, names) for uid, flags, _ in news.changed})
            assert follower == found
            assert (news.modseq > self.modseq[number]) or before == found
            assert (news.exists, news.uidnext, news.modseq) == (len(found), self.next[number], seen.modseq)
            assert merged(news.vanished) == list(news.vanished)
            self.followed[number], self.modseq[number] = follower, news.modseq


TestMailbox = Mailbox.TestCase
TestMailbox.settings = settings(max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_id_of_octets_is_the_same_for_every_owner() -> None:
    bench = Bench()
    one, other = bench.inbox(bench.anna), bench.inbox(bench.bruno)
    bench.do(AppendMessages(one, tuple(NewInFolder(letter(number)) for number in (1, 2, 1)), 0))
    bench.do(CopyMessages(one, other, ((2, 2),), 0))
    found = bench.ask(messages.email_ids, one, ((1, 9),))
    assert [uid for uid, _ in found] == [1, 2, 3]
    ids = [email_id for _, email_id in found]
    assert ids[0] == ids[2] != ids[1]
    assert bench.ask(messages.email_ids, other, ((1, 9),)) == [(1, ids[1])]
    for text in (ids[0].upper(), "N" + ids[0][1:], ids[0][:-1], "M" + " ".join(ids[0][1:]), "Mx"):
        assert messages.octets_hash(text) != messages.octets_hash(ids[0])


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
