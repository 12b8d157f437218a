"""What is stored is read again, and everything that is done with messages is what a naive model of a mailbox says."""

from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from policy.identity import AccountId, FolderId
from store import changes, folders, messages
from store.appending import AppendMessages, NewInFolder
from store.blobs import Files
from store.copying import CopyMessages, MoveMessages
from store.expunging import Expunge
from store.flags import EVERY_FLAG, ChangeFlags, FlagMode
from store.folders import SwitchFolder
from store.model import Flag, Uid, WireRow
from store.port import Event, FolderChanged
from store.runs import merged
from tests.store.conftest import Directory
from tests.store.letters import START, Bench, letter, put

NOTHING = Path("/nonexistent")


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


def test_message_ids_are_found_in_the_folders_that_were_asked(bench: Bench, inbox: FolderId) -> None:
    put(bench, inbox, 2)
    put(bench, bench.inbox(bench.bruno), 2)
    found = bench.ask(messages.originals, [inbox, bench.folder(bench.anna, "/Sent").id], "<1@acme.test>")
    assert [(folder, uid) for folder, uid, _ in found] == [(inbox, 2)]
    assert bench.ask(messages.with_message_id, inbox, "<none@acme.test>") == []


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
TestMailbox.settings = settings(max_examples=150, stateful_step_count=40, suppress_health_check=list(HealthCheck))


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
