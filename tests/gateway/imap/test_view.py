"""What clients are told always adds up: several views on one folder against a naive model."""

import time
from array import array

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import gateway.imap.view
from gateway.imap.grammar.numbers import SAVED, SequenceSet
from gateway.imap.responses import Exists, Expunged, Fetched, Flags, Recent, Response, Vanished
from gateway.imap.view import ANSWERS, LOG_LEAST, LOG_LIMIT, SPELLED, BadSequence, FolderState, View

NAMES = (b"\\Seen", b"\\Answered", b"\\Flagged", b"\\Deleted", b"\\Draft")


def folder(*uids: int) -> FolderState:
    return FolderState(uids, [0] * len(uids), [1] * len(uids), modseq=1)


def chosen(*slices: tuple[int, int]) -> SequenceSet:
    return SequenceSet(slices)


@pytest.mark.parametrize(
    ("slices", "by_uid", "uids"),
    [
        ([(1, 1)], False, [3]),
        ([(0, 0)], False, [12]),
        ([(1, 0)], False, [3, 5, 8, 12]),
        ([(0, 3)], False, [8, 12]),
        ([(3, 2), (2, 2)], False, [5, 8]),
        ([(4, 4), (1, 1)], False, [3, 12]),
        ([(4, 0)], True, [5, 8, 12]),
        ([(40, 0)], True, [12]),
        ([(0, 40)], True, [12]),
        ([(0, 0)], True, [12]),
        ([(4, 4)], True, []),
        ([(1, 4294967295)], True, [3, 5, 8, 12]),
        ([(5, 8), (8, 8), (6, 12)], True, [5, 8, 12]),
        ([(9, 4)], True, [5, 8]),
    ],
)
def test_sets_mean_messages(slices: list[tuple[int, int]], by_uid: bool, uids: list[int]) -> None:
    assert list(View(folder(3, 5, 8, 12)).resolve(chosen(*slices), by_uid=by_uid)) == uids


@pytest.mark.parametrize("slices", [[(5, 5)], [(1, 5)], [(5, 0)], [(1, 1), (9, 9)]])
def test_a_message_number_that_is_not_there_is_an_error_but_in_search(slices: list[tuple[int, int]]) -> None:
    view = View(folder(3, 5, 8, 12))
    with pytest.raises(BadSequence):
        view.resolve(chosen(*slices), by_uid=False)
    assert set(view.resolve(chosen(*slices), by_uid=False, lenient=True)) <= {3, 5, 8, 12}


def test_an_empty_folder_has_no_last_message() -> None:
    view = View(folder())
    assert not view.resolve(chosen((0, 0), (1, 0)), by_uid=True)
    assert not view.resolve(chosen((0, 0), (1, 0)), by_uid=False, lenient=True)
    with pytest.raises(BadSequence):
        view.resolve(chosen((1, 0)), by_uid=False)


def test_a_set_of_thousands_of_huge_spans_is_resolved_at_once() -> None:
    view = View(folder(*range(1, 20001)))
    bomb = SequenceSet(tuple((at + 1, 4294967295) for at in range(2000)))
    started = time.process_time()
    assert len(view.resolve(bomb, by_uid=True)) == 20000
    assert time.process_time() - started < 0.5


def test_expunges_are_told_from_the_highest_number_then_growth_then_flags() -> None:
    state = folder(1, 2, 3, 4)
    view = View(state)
    state.append([9], [0], [2])
    state.change([4], [1], 3)
    state.expunge([1, 3], 4)
    assert list(view.announce(expunge_allowed=True)) == [
        Expunged((3, 1)),
        Exists(3),
        Recent(3),
        Fetched([(2, b"FLAGS (\\Seen \\Recent)")]),
    ]
    assert list(view.announce(expunge_allowed=True)) == []
    assert view.modseq == 4


def test_what_is_new_is_told_while_expunges_are_held_back() -> None:
    state = folder(1, 2, 3)
    view = View(state)
    state.expunge([2], 2)
    state.append([4], [0], [3])
    assert list(view.announce(expunge_allowed=False)) == [Exists(4), Recent(4)]
    assert list(view.resolve(chosen((1, 0)), by_uid=False)) == [1, 2, 3, 4]
    assert list(view.places(0, 4)) == [0, None, 1, 2]
    assert not view.current
    assert list(view.announce(expunge_allowed=True)) == [Expunged((2,))]
    assert view.current


def test_flags_of_what_is_new_or_gone_are_not_told() -> None:
    state = folder(1, 2)
    view = View(state, claims=False)
    state.append([5], [0], [2])
    state.change([5, 2], [1, 1], 3)
    state.expunge([2], 4)
    assert list(view.announce(expunge_allowed=False)) == [Exists(3), Recent(3)]
    assert list(view.announce(expunge_allowed=True)) == [Expunged((2,))]


def test_who_changed_a_flag_itself_is_not_told_of_it() -> None:
    state = folder(1, 2)
    mine, other = View(state), View(state, claims=False)
    state.change([1], [1], 2)
    mine.told(2)
    assert list(mine.announce(expunge_allowed=True)) == []
    assert list(other.announce(expunge_allowed=True)) == [Fetched([(1, b"FLAGS (\\Seen)")])]
    mine.told(3)
    state.change([1], [0], 3)
    state.change([1], [4], 4)
    assert list(mine.announce(expunge_allowed=True)) == [Fetched([(1, b"FLAGS (\\Flagged \\Recent)")])]


def test_a_view_further_behind_than_the_log_is_told_the_same() -> None:
    state = folder(1, 2)
    view = View(state, claims=False)
    state.change([1], [1], 2)
    for modseq in range(3, LOG_LIMIT + 4):
        state.change([2], [0], modseq)
    assert state.changed_since(0) is None
    assert list(view.announce(expunge_allowed=True)) == [Fetched([(1, b"FLAGS (\\Seen \\Recent)"), (2, b"FLAGS (\\Recent)")])]


def test_only_the_first_session_is_told_of_recent_messages() -> None:
    state = FolderState([1, 2, 3], [0] * 3, [1] * 3, modseq=1, unclaimed=3)
    examined, first, second = View(state, claims=False), View(state), View(state)
    assert (examined.recent, first.recent, second.recent) == (1, 1, 0)
    assert first.is_recent(3)
    assert not first.is_recent(2)
    state.append([7], [0], [2])
    assert list(second.announce(expunge_allowed=True)) == [Exists(4), Recent(1)]
    assert list(first.announce(expunge_allowed=True)) == [Exists(4)]


def test_taking_turns_in_being_told_first_leaves_nothing_behind() -> None:
    state = folder()
    one, other = View(state), View(state)
    for uid in range(1, 5001):
        state.append([uid], [0], [uid + 1])
        if uid > 10:
            state.expunge([uid - 10], uid + 1)
        first, second = (one, other) if uid % 2 else (other, one)
        list(first.announce(expunge_allowed=True))
        list(second.announce(expunge_allowed=True))
        assert first.is_recent(uid)
        assert not second.is_recent(uid)
    for view in (one, other):
        assert view.recent == 5
        assert len(view._recent or ()) == 5


def test_a_log_is_no_longer_than_the_folder() -> None:
    state = folder(*range(1, 11))
    view, behind = View(state), View(state)
    for number in range(2, 5000):
        state.change([number % 10 + 1], [number % 32], number)
        if number % 100 == 0:
            list(view.announce(expunge_allowed=True))
    assert state._log is not None
    assert len(state._log) == state._logged == LOG_LEAST
    assert state.octets < 100_000
    # Who is behind it is told what all messages have now.
    (said,) = behind.announce(expunge_allowed=True)
    assert isinstance(said, Fetched)
    assert [number for number, _ in said.messages] == [*range(1, 11)]
    large = folder(*range(1, LOG_LIMIT * 2))
    for number in range(2, LOG_LEAST * 4):
        large.change([number], [1], number)
    assert large._log is not None
    assert len(large._log) == LOG_LEAST * 4 - 2


def test_spelled_flags_are_so_many_at_most_and_count() -> None:
    state = folder(1)
    state.learn([*NAMES, *(b"k%d" % number for number in range(10))])
    before = state.octets
    for flags in range(3 * SPELLED):
        state.spell_flags(flags)
        assert len(state._spelled) <= SPELLED
    assert state.octets > before


def test_answers_are_so_many_at_most_and_count() -> None:
    state = folder(1)
    before = state.octets
    for number in range(3 * ANSWERS):
        state.answered(f"question {number}", b"x" * 1000)
        assert len(state._answers or ()) <= ANSWERS
    assert state.octets >= before + 1000
    long = "KEYWORD a " * 100
    state.answered(long, b"* SEARCH 1\r\n")
    assert state.answer(long) is None


def test_keywords_that_were_added_are_told_once() -> None:
    state = folder(1)
    view = View(state)
    state.learn((*NAMES, b"$Todo"))
    state.change([1], [32], 2)
    assert list(view.announce(expunge_allowed=True)) == [Flags((*NAMES, b"$Todo")), Fetched([(1, b"FLAGS ($Todo \\Recent)")])]


def test_appended_uids_have_to_ascend() -> None:
    state = folder(5)
    state.expunge([5], 2)
    for uids in ([5], [7, 7], [9, 8]):
        with pytest.raises(ValueError):
            state.append(uids, [0] * len(uids), [3] * len(uids))


def test_many_expunges_are_told_in_pieces() -> None:
    state = folder(*range(1, 1001))
    view = View(state)
    state.expunge(range(1, 1000), 2)
    told = list(view.announce(expunge_allowed=True))
    assert len(told) == 3
    assert b"".join(one.spell() for one in told) == b"".join(b"* %d EXPUNGE\r\n" % number for number in range(999, 0, -1))


def test_a_view_of_a_large_folder_finds_few_lost_messages_fast() -> None:
    state = folder(*range(1, 200001))
    view = View(state)
    state.expunge([7, 100000, 200000], 2)
    started = time.process_time()
    assert list(view.announce(expunge_allowed=True)) == [Expunged((200000, 100000, 7))]
    assert time.process_time() - started < 0.05


def test_expunges_are_one_vanished_for_who_asked_for_it() -> None:
    state = folder(1, 2, 3, 4, 9)
    view = View(state)
    state.expunge([1, 2, 9], 2)
    assert list(view.announce(expunge_allowed=True, vanished=True)) == [Vanished(((1, 2), (9, 9)))]
    assert view.exists == 2
    assert list(view.announce(expunge_allowed=True, vanished=True)) == []


def test_the_modseq_stays_below_an_expunge_that_is_held_back() -> None:
    state = folder(1, 2)
    view = View(state)
    state.expunge([1], 5)
    state.change([2], [1], 6)
    assert len(list(view.announce(expunge_allowed=False))) == 1
    assert view.withholds
    assert view.modseq == 1
    list(view.announce(expunge_allowed=True))
    assert not view.withholds
    assert view.modseq == 6


def test_a_view_that_goes_on_with_another_state_tells_what_changed_meanwhile() -> None:
    old = folder(1, 2, 3)
    before = View(old, claims=False)
    before.save([2, 3])
    old.change([1], [4], 5)
    before.told(5)
    new = FolderState([1, 2, 3], [4, 1, 0], [5, 6, 1], modseq=6)
    view = View(new, claims=False)
    view.go_on(before)
    assert list(view.announce(expunge_allowed=False)) == [Fetched([(2, b"FLAGS (\\Seen \\Recent)")])]
    assert (view.modseq, list(view.announce(expunge_allowed=True))) == (6, [])
    assert list(view.resolve(SAVED, by_uid=False)) == [2, 3]


@given(
    uids=st.sets(st.integers(1, 40)),
    runs=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)).map(lambda pair: (min(pair), max(pair))), max_size=5),
)
def test_what_a_client_believes_in_is_cut_out_of_runs(uids: set[int], runs: list[tuple[int, int]]) -> None:
    view = View(folder(*sorted(uids)))
    found = [view.unknown([one]) for one in runs]
    for (low, high), rest in zip(runs, found, strict=True):
        assert [uid for first, last in rest for uid in range(first, last + 1)] == [uid for uid in range(low, high + 1) if uid not in uids]


@given(modseqs=st.lists(st.integers(1, 6), max_size=12), since=st.integers(0, 7), gone=st.sets(st.integers(1, 12)), sliced=st.booleans())
def test_what_changed_is_what_a_look_at_each_finds(modseqs: list[int], since: int, gone: set[int], sliced: bool) -> None:
    uids = range(1, len(modseqs) + 1)
    state = FolderState(uids, [0] * len(modseqs), modseqs, modseq=9)
    view = View(state)
    state.expunge(gone, 10)
    whole = [(0, 4), (4, len(modseqs))] if sliced and len(modseqs) > 4 else [(0, len(modseqs))]
    found = [place for low, high in view.changed(whole, since) for place in range(low, high)]
    assert found == [place for place, uid in enumerate(uids) if uid not in gone and modseqs[place] > since]


class Client:
    """What a client makes of the responses, without knowing UIDs; or knowing them, if it is a `quick` one (QRESYNC)."""

    def __init__(self, state: FolderState, *, quick: bool) -> None:
        self.quick = quick
        self.view = View(state)
        self.uids = list(state.uids)
        self.flags = list(state.flags)


class Sessions(RuleBasedStateMachine):
    """Several clients on one folder; each replays what it is told and has to end up with the truth."""

    @initialize(count=st.integers(0, 6))
    def begin(self, count: int) -> None:
        self.state = folder(*range(1, count + 1))
        self.truth = dict.fromkeys(range(1, count + 1), 0)
        self.next_uid = count + 1
        self.modseq = 1
        self.clients = [Client(self.state, quick=number == 1) for number in range(3)]
        self.saved: list[list[int]] = [[], [], []]
        self.expunged: dict[int, int] = {}
        self.changed: dict[int, int] = {}

    @rule(count=st.integers(1, 3), gap=st.integers(0, 2))
    def append(self, count: int, gap: int) -> None:
        self.modseq += 1
        uids = range(self.next_uid + gap, self.next_uid + gap + count)
        self.next_uid = uids[-1] + 1
        self.truth.update(dict.fromkeys(uids, 0))
        self.state.append(uids, [0] * count, [self.modseq] * count)

    @rule(picks=st.lists(st.integers(0, 30), min_size=1, max_size=4, unique=True), flags=st.integers(0, 31), teller=st.integers(0, 3))
    def change(self, picks: list[int], flags: int, teller: int) -> None:
        self.modseq += 1
        self.state.change(picks, [flags] * len(picks), self.modseq)
        touched = [uid for uid in picks if uid in self.truth]
        self.changed.update(dict.fromkeys(touched, self.modseq))
        self.truth.update(dict.fromkeys(touched, flags))
        if teller < 3:
            client = self.clients[teller]
            client.view.told(self.modseq)
            for uid in touched:
                if uid in client.uids:
                    client.flags[client.uids.index(uid)] = flags

    @rule(picks=st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True))
    def expunge(self, picks: list[int]) -> None:
        self.modseq += 1
        self.state.expunge(picks, self.modseq)
        for uid in picks:
            if self.truth.pop(uid, None) is not None:
                self.expunged[uid] = self.modseq

    @rule(who=st.integers(0, 2), expunge_allowed=st.booleans())
    def announce(self, who: int, expunge_allowed: bool) -> None:
        client = self.clients[who]
        believed = list(client.uids)
        for said in client.view.announce(expunge_allowed=expunge_allowed, vanished=client.quick):
            match said:
                case Vanished(runs, earlier):
                    assert expunge_allowed
                    assert client.quick
                    assert not earlier
                    for uid in (uid for low, high in runs for uid in range(low, high + 1)):
                        assert uid not in self.truth
                        number = client.uids.index(uid)
                        del client.uids[number]
                        del client.flags[number]
                case Expunged(numbers):
                    assert expunge_allowed
                    assert not client.quick
                    for number in numbers:
                        assert client.uids[number - 1] not in self.truth
                        del client.uids[number - 1]
                        del client.flags[number - 1]
                case Exists(count):
                    assert count > len(client.uids)
                    fresh = [uid for uid in self.truth if uid > (believed[-1] if believed else 0)][: count - len(client.uids)]
                    client.uids += fresh
                    client.flags += [self.truth[uid] for uid in fresh]
                    assert count == len(client.uids)
                case Fetched(messages):
                    for number, item in messages:
                        uid = client.uids[number - 1]
                        client.flags[number - 1] = self.truth[uid]
                        assert item == self.state.spell_flags(self.truth[uid], recent=client.view.is_recent(uid))
                case Recent(count):
                    assert count == client.view.recent
                case _:
                    raise AssertionError(said)
        assert set(client.uids) >= set(self.truth)
        if expunge_allowed:
            assert client.uids == list(self.truth)
        for uid, flags in zip(client.uids, client.flags, strict=True):
            assert self.truth.get(uid, flags) == flags

    @rule(
        who=st.integers(0, 2),
        slices=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=1, max_size=4),
        by_uid=st.booleans(),
    )
    def resolve(self, who: int, slices: list[tuple[int, int]], by_uid: bool) -> None:
        client = self.clients[who]
        last = (client.uids[-1] if client.uids else 0) if by_uid else len(client.uids)
        wanted: set[int] = set()
        for low, high in slices:
            first, final = sorted((low or last, high or last))
            wanted.update(range(first, final + 1))
        found = client.view.resolve(SequenceSet(tuple(slices)), by_uid=by_uid, lenient=True)
        if by_uid:
            assert list(found) == [uid for uid in client.uids if uid in wanted]
        else:
            assert list(found) == [uid for number, uid in enumerate(client.uids, 1) if number in wanted]
            numbers_exist = all(1 <= number <= len(client.uids) for number in wanted)
            try:
                client.view.resolve(SequenceSet(tuple(slices)), by_uid=False)
            except BadSequence:
                assert not numbers_exist
            else:
                assert numbers_exist

    @rule(who=st.integers(0, 2), picks=st.sets(st.integers(0, 12)))
    def save(self, who: int, picks: set[int]) -> None:
        client = self.clients[who]
        self.saved[who] = [uid for number, uid in enumerate(client.uids) if number in picks]
        client.view.save(self.saved[who])

    @invariant()
    def views_agree_with_their_clients(self) -> None:
        assert list(self.state.uids) == list(self.truth)
        assert list(self.state.flags) == list(self.truth.values())
        for client, saved in zip(self.clients, self.saved, strict=True):
            view = client.view
            for by_uid in (False, True):
                assert list(view.resolve(SAVED, by_uid=by_uid)) == [uid for uid in saved if uid in client.uids]
            assert list(view.uids[: view.exists]) == client.uids
            assert view.gone() == [uid for uid in client.uids if uid not in self.truth]
            for number, uid in enumerate(client.uids, 1):
                assert (view.number(uid), view.uid(number)) == (number, uid)
            assert view.number(99) is None
            # Who comes back with this mod-sequence is told of all that is above it, so nothing below may be unknown to him.
            assert all(self.expunged.get(uid, view.modseq + 1) > view.modseq for uid in client.uids)
            for uid, flags in zip(client.uids, client.flags, strict=True):
                if self.changed.get(uid, 0) <= view.modseq:
                    assert self.truth.get(uid, flags) == flags
            assert isinstance(view.uids, array)


Sessions.TestCase.settings = settings(max_examples=120, stateful_step_count=30)
TestSessions = Sessions.TestCase


def test_what_a_client_does_not_want_to_hear_of_it_hears_of_when_it_does() -> None:
    state = folder(1, 2, 3)
    view = View(state)
    state.change([2], [1], 2)
    state.append([4], [0], [3])
    state.expunge([1], 4)
    assert list(view.announce(expunge_allowed=False, messages=False, flags=False)) == []
    assert (view.exists, view.modseq) == (3, 1)
    assert list(view.announce(expunge_allowed=False, messages=True, flags=False)) == [Exists(4), Recent(4)]
    assert view.fresh == 3
    state.change([3], [1], 5)
    assert list(view.announce(expunge_allowed=True, flags=True)) == [
        Expunged((1,)),
        # The third is new since nobody heard of flags: told once more than needed.
        Fetched([(1, b"FLAGS (\\Seen \\Recent)"), (2, b"FLAGS (\\Seen \\Recent)"), (3, b"FLAGS (\\Recent)")]),
    ]
    assert view.modseq == 5


def test_who_gave_up_numbers_is_told_by_uid() -> None:
    state = folder(5, 7)
    view = View(state, claims=False)
    state.change([7], [1], 2)
    state.expunge([5], 3)
    told = view.announce(expunge_allowed=True, vanished=True, uid_only=True)
    assert [one.spell() for one in told] == [b"* VANISHED 5\r\n", b"* 7 UIDFETCH (FLAGS (\\Seen \\Recent))\r\n"]


@given(st.sets(st.integers(1, 60), max_size=40), st.sets(st.integers(1, 60), max_size=40), st.integers(0, 40))
def test_numbers_of_many_uids_are_those_of_each(told: set[int], asked: set[int], hidden: int) -> None:
    state = folder(*sorted(told))
    view = View(state)
    if hidden:
        state.append(range(61, 61 + hidden), [0] * hidden, [99] * hidden)
    expected = [(number, uid) for uid in sorted(asked | {61, 62}) if (number := view.number(uid)) is not None]
    assert view.numbered(sorted(asked | {61, 62})) == expected


@pytest.mark.parametrize("after", range(6))
def test_what_happens_between_two_responses_is_told_too(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The responses are taken one by one, and others may change the folder meanwhile: numbers stay right, nothing is left out."""
    monkeypatch.setattr(gateway.imap.view, "TOGETHER", 1)
    state = folder(1, 2, 3, 4, 5)
    view = View(state, claims=False)
    state.change([1, 4, 5], [1, 1, 1], 2)
    state.expunge([2], 3)
    state.append([6], [0], [4])
    believed: dict[int, int] = dict.fromkeys((1, 2, 3, 4, 5), 0)

    def hear(said: Response) -> None:
        order = list(believed)
        match said:
            case Expunged(numbers):
                for number in numbers:
                    del believed[order.pop(number - 1)]
            case Exists(count):
                for uid in view.uids[len(order) : count]:
                    believed[uid] = state.flags[state.index(uid) or 0]
            case Fetched(messages):
                for number, item in messages:
                    believed[order[number - 1]] = 1 if b"\\Seen" in item else 4 if b"\\Flagged" in item else 0

    for place, said in enumerate(view.announce(expunge_allowed=True)):
        hear(said)
        if place == after:
            state.expunge([1, 5], 5)
            state.change([4], [4], 6)
            state.append([7], [0], [7])
    for said in view.announce(expunge_allowed=True):
        hear(said)
    assert believed == {3: 0, 4: 4, 6: 0, 7: 0}
    assert view.modseq == state.modseq


def test_which_messages_there_are_is_known_without_their_flags() -> None:
    state = FolderState([1, 2], [0, 0], [1, 1], modseq=1)
    view = View(state)
    state.change([1], [1], 2)
    list(view.announce(expunge_allowed=True, flags=False))
    assert (view.modseq, view.counted) == (1, 2)
    state.append([3], [0], [3])
    assert view.counted == 1
    list(view.announce(expunge_allowed=True, flags=False))
    assert view.counted == 3
    state.expunge([2], 4)
    list(view.announce(expunge_allowed=False, flags=False))
    assert view.counted == 1


@given(st.sets(st.integers(1, 60), max_size=40), st.sets(st.integers(1, 60)), st.integers(0, 5), st.booleans())
def test_numbers_of_some_are_those_of_each(there: set[int], asked: set[int], new: int, by_uid: bool) -> None:
    """However few are asked for, and whether UIDs are missing between those that are there or not."""
    state = FolderState(sorted(there), [0] * len(there), [1] * len(there), modseq=1)
    view = View(state)
    last = max(there, default=0)
    if new:
        state.append([last + number for number in range(1, new + 1)], [0] * new, [2] * new)
    known = sorted(there)
    expected = [uid if by_uid else known.index(uid) + 1 for uid in known if uid in asked]
    assert view.named(sorted(asked), by_uid=by_uid) == expected
    assert view.named([uid for uid in known if uid in asked][:1], by_uid=by_uid) == expected[:1]
    assert [uid if by_uid else number for number, uid in view.numbered(sorted(asked))] == expected


@given(
    st.lists(st.integers(0, 15), min_size=1, max_size=30), st.integers(0, 15), st.integers(0, 15),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=3),
)  # fmt: skip
def test_flags_within_are_those_of_each(flags: list[int], cleared: int, added: int, cuts: list[tuple[int, int]]) -> None:
    """By the stretch as one by one; what has them already keeps its mod-sequence, and is no news."""
    spans = [(low, min(high, len(flags))) for low, high in cuts if low < min(high, len(flags))]
    spans = [span for at, span in enumerate(spans) if all(span[0] >= end or span[1] <= begin for begin, end in spans[:at])]
    uids = range(10, 10 + len(flags))
    state, reference = (FolderState(uids, flags, [3] * len(flags), modseq=3) for _ in "ab")
    changed = [at for low, high in spans for at in range(low, high) if (flags[at] & ~cleared) | added != flags[at]]
    state.change_within(spans, ~cleared & (1 << 63) - 1, added, 4)
    reference.change([uids[at] for at in changed], [(flags[at] & ~cleared) | added for at in changed], 4)
    assert (state.flags, state.modseqs, state.modseq) == (reference.flags, reference.modseqs, 4)
    assert [sorted(one) for _, one in state.changed_since(0) or ()] == [sorted(one) for _, one in reference.changed_since(0) or ()]


def test_an_answer_is_said_again_until_something_has_changed() -> None:
    state = FolderState([1, 2], [0, 1], [1, 1], modseq=1)
    assert state.answer("unseen") is None
    octets = state.octets
    state.answered("unseen", b"* SEARCH 1\r\n")
    assert state.answer("unseen") == b"* SEARCH 1\r\n"
    assert state.answer("seen") is None
    assert state.octets > octets, "it is counted"
    state.change([1], [1], 2)
    assert state.answer("unseen") is None
    for number in range(20):
        state.answered(number, b"*")
    assert state.answer(19) == b"*"
    assert state.answer(0) is None, "a few are kept"
