from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.identity import FolderId
from store import messages
from store.appending import AppendMessages, NewInFolder
from store.blobs import Files
from store.criteria import (
    MAX_LEAVES,
    All,
    And,
    BodyContains,
    Criterion,
    Field,
    FieldContains,
    FlagIs,
    HeaderContains,
    KeywordIs,
    ModseqAtLeast,
    Not,
    OctetsAre,
    Or,
    Received,
    Saved,
    Sent,
    SizeLarger,
    SizeSmaller,
    TextContains,
    Uids,
)
from store.errors import LimitReached
from store.flags import ChangeFlags, FlagMode
from store.folders import SwitchFolder
from store.fulltext import FullText, Reading, Standing, Texts, Unreadable
from store.model import Flag, MessageRow
from store.search import ROWS_AT_ONCE, search
from tests.store.letters import START, Bench, letter

DAY = 86_400_000_000
FILES = Files(Path("/nonexistent"))


class Plain:
    """Enough MIME for these letters; counts how often octets were asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def header(self, octets: bytes, name: str, text: str) -> bool:
        self.asked += 1
        lines = octets.split(b"\r\n\r\n")[0].lower().split(b"\r\n")
        return any(line.startswith(name.lower().encode() + b":") and text.encode() in line for line in lines)

    def body(self, octets: bytes, text: str) -> bool:
        self.asked += 1
        return text.encode() in octets.partition(b"\r\n\r\n")[2]

    def text(self, octets: bytes, text: str) -> bool:
        self.asked += 1
        return text.encode() in octets.lower()

    def needle(self, text: str, *, in_header: bool) -> bytes | None:
        return text.encode()

    def field(self, header: bytes, name: str, needle: bytes) -> bool:
        return any(line.startswith(name.lower().encode() + b":") and needle in line for line in header.split(b"\r\n"))


@dataclass(frozen=True)
class Facts:
    row: MessageRow
    new: NewInFolder
    keywords: frozenset[str]


@dataclass(frozen=True)
class Filled:
    bench: Bench
    folder: FolderId
    facts: Mapping[int, Facts]


@pytest.fixture(scope="module")
def filled(bench_of_module: Bench) -> Filled:
    """Forty messages; \\Seen is private, and bruno has seen some."""
    bench = bench_of_module
    folder = bench.inbox(bench.anna)
    items = []
    for number in range(40):
        made = letter(
            number, 100 + 10 * (number % 7), subject=("Alpha", "beta", "%_'", "naïve")[number % 4], from_=f"user{number % 5}@acme.test"
        )
        message = made._replace(
            cc="carla@acme.test" if number % 3 else "",
            sent=None if number % 6 == 5 else START - number * DAY,
            sent_day=20_000 + number if number % 6 == 4 else None,
        )
        keywords = ("$Work",) if number % 4 == 1 else ()
        items.append(NewInFolder(message, Flag(number % 32), keywords, START - (number % 10) * DAY))
    for item in items:
        bench.do(AppendMessages(folder, (item,), 0))
        bench.now += DAY
    bench.do(SwitchFolder(folder, seen_private=True))
    for low, mode in ((3, FlagMode.ADD), (20, FlagMode.REMOVE), (30, FlagMode.ADD)):
        bench.do(ChangeFlags(folder, ((low, low + 6),), mode, Flag.SEEN | Flag.FLAGGED, seen_of=bench.bruno))
    facts: dict[int, Facts] = {
        row.uid: Facts(row, items[row.uid - 1], frozenset(name.lower() for name in items[row.uid - 1].keywords))
        for row in bench.ask(messages.rows, folder, ((1, 99),), bench.bruno)
    }
    return Filled(bench, folder, facts)


def email_id_of(octets: bytes) -> str:
    return "M" + sha256(octets).hexdigest()


def holds(criterion: Criterion, facts: Facts) -> bool:
    """What the criterion means, one message at a time."""
    row, message = facts.row, facts.new.message
    match criterion:
        case All():
            return True
        case Uids(runs):
            return any(low <= row.uid <= high for low, high in runs)
        case FlagIs(bit, is_set):
            return bool(row.flags & bit) == is_set
        case KeywordIs(name, is_set):
            return (name.lower() in facts.keywords) == is_set
        case SizeLarger(octets):
            return row.size > octets
        case SizeSmaller(octets):
            return row.size < octets
        case Received(since, before) | Saved(since, before):
            at = row.received if isinstance(criterion, Received) else row.saved
            return (since is None or at >= since) and (before is None or at < before)
        case Sent(since, before):
            day = message.sent_day
            if day is None:
                day = (row.received if message.sent is None else message.sent) // DAY
            return (since is None or day >= since) and (before is None or day < before)
        case FieldContains(field, text):
            columns = {
                Field.FROM: message.from_,
                Field.TO: message.to,
                Field.CC: message.cc,
                Field.SUBJECT: message.subject,
                Field.MESSAGE_ID: message.message_id,
            }
            return text in columns[field]
        case HeaderContains(name, text):
            return Plain().header(message.octets, name, text)
        case BodyContains(text):
            return Plain().body(message.octets, text)
        case TextContains(text):
            return Plain().text(message.octets, text)
        case OctetsAre(email_id):
            return email_id == email_id_of(message.octets)
        case ModseqAtLeast(modseq):
            return row.modseq >= modseq
        case And(parts):
            return all(holds(part, facts) for part in parts)
        case Or(parts):
            return any(holds(part, facts) for part in parts)
        case Not(part):
            return not holds(part, facts)


def naive(filled: Filled, criterion: Criterion) -> list[int]:
    return [uid for uid, facts in sorted(filled.facts.items()) if holds(criterion, facts)]


def found(
    filled: Filled, criterion: Criterion, octets: int = 1 << 30, after: int = 0, index: FullText | None = None, narrow: bool = True
) -> list[int]:
    done = filled.bench.ask(search, filled.folder, criterion, Plain(), FILES, filled.bench.bruno, after, octets, index=index, narrow=narrow)
    assert done.after is None or octets < 1 << 30
    return done.uids if done.after is None else done.uids + found(filled, criterion, octets, done.after, index, narrow)


runs = st.lists(st.tuples(st.integers(0, 45), st.integers(0, 45)), max_size=3).map(tuple)
many_runs = st.sets(st.integers(1, 45), min_size=20).map(lambda uids: tuple((uid, uid) for uid in sorted(uids)))
bounds = st.none() | st.integers(-12, 42).map(lambda days: START + days * DAY)
days = st.none() | st.integers(START // DAY - 42, START // DAY + 2) | st.integers(20_000, 20_041)
texts = st.sampled_from(["", "a", "ALPHA", "lpha", "%", "_'", "ï", "carla", "user3", "1", "<3", "body 7", "xxx", "\udce4"])
words = st.sampled_from(["", "hello", "alpha", "body", "1", "<3", "xxxxx"])
leaves = st.one_of(
    st.just(All()),
    st.builds(Uids, runs | many_runs),
    st.builds(FlagIs, st.sampled_from(Flag).map(int), st.booleans()),
    st.builds(KeywordIs, st.sampled_from(["$work", "$WORK", "none"]), st.booleans()),
    st.builds(SizeLarger, st.integers(90, 170) | st.just(1 << 80)),
    st.builds(SizeSmaller, st.integers(90, 170) | st.just(1 << 80)),
    st.builds(Received, bounds, bounds),
    st.builds(Saved, bounds, bounds),
    st.builds(Sent, days, days),
    st.builds(FieldContains, st.sampled_from(Field), texts),
    st.builds(HeaderContains, st.sampled_from(["subject", "message-id", "x-none"]), words),
    st.builds(BodyContains, words),
    st.builds(TextContains, words),
    st.builds(ModseqAtLeast, st.integers(0, 50) | st.just(1 << 80)),
    st.builds(OctetsAre, st.sampled_from([email_id_of(letter(3, 130, subject="naïve", from_="").octets), "M12", "M", "x", ""])),
)
criteria: st.SearchStrategy[Criterion] = st.recursive(
    leaves,
    lambda inner: (
        st.builds(And, st.lists(inner, max_size=4).map(tuple))
        | st.builds(Or, st.lists(inner, max_size=4).map(tuple))
        | st.builds(Not, inner)
    ),
    max_leaves=12,
)


@settings(max_examples=400)
@given(criterion=criteria, octets=st.sampled_from([1, 500, 1 << 30]))
def test_a_search_finds_what_looking_at_each_message_finds(filled: Filled, criterion: Criterion, octets: int) -> None:
    assert found(filled, criterion, octets) == naive(filled, criterion)


def indexed(filled: Filled, directory: Path, upto: int, unkept: frozenset[int] = frozenset(), divided: int = 1 << 20) -> FullText:
    """What Plain decides by, of the blobs up to one; with so many trigrams."""
    index = FullText(directory / "search.db", "1")
    index.open()
    index.trust()
    rows = filled.bench.raw.execute("SELECT id, octets FROM blob WHERE id <= ? ORDER BY id", (upto,)).fetchall()
    texts = []
    for blob, octets in rows:
        header, _, body = octets.partition(b"\r\n\r\n")
        texts.append(
            Texts(blob, filled.bench.anna, None if blob in unkept else header.lower() + b"\r\n", None if blob - 1 in unkept else body)
        )
    index.add(texts, Standing(upto, b""))
    index.divide(divided, 1 << 20)
    return index


@pytest.fixture(scope="module")
def partial(filled: Filled, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullText]:
    index = indexed(filled, tmp_path_factory.mktemp("partial"), 25, frozenset((4, 5, 11, 19)), 35)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("store.search.NARROWED_FROM", 0)
        yield index
    index.close()


@settings(max_examples=600)
@given(criterion=criteria, octets=st.sampled_from([1, 500, 1 << 30]), narrow=st.booleans())
def test_an_index_changes_nothing_in_what_is_found(
    filled: Filled, partial: FullText, criterion: Criterion, octets: int, narrow: bool
) -> None:
    assert found(filled, criterion, octets, 0, partial, narrow) == naive(filled, criterion)


@pytest.mark.parametrize("narrow", [True, False])
def test_octets_are_read_only_where_no_text_is_kept(filled: Filled, partial: FullText, narrow: bool) -> None:
    for criterion in (BodyContains("body 17"), TextContains("alpha"), HeaderContains("subject", "beta"), HeaderContains("subject", "")):
        decoder = Plain()
        filled.bench.ask(search, filled.folder, criterion, decoder, FILES, index=partial, narrow=narrow)
        assert decoder.asked <= 15 + 8, criterion


class Counting(FullText):
    """Whether trigrams were asked, and what was looked at."""

    asked = 0

    @contextmanager
    def reading(self) -> Iterator[Reading | None]:
        with super().reading() as reading:
            assert reading is not None
            plain = reading.candidates

            class Spied(Reading):
                def candidates(spied, *arguments: Any) -> list[int] | None:
                    self.asked += 1
                    return plain(*arguments)

            yield Spied(reading._connection, reading.mark, reading._failed)


def test_trigrams_are_asked_for_the_owner_only_and_where_it_is_worth_it(
    filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed(filled, tmp_path, 40).close()
    index = Counting(tmp_path / "search.db", "1")
    index.trust()
    criterion = And((BodyContains("body"), TextContains("hello")))
    for least, narrow, asked in ((41, True, 0), (40, False, 0), (40, True, 2)):
        monkeypatch.setattr("store.search.NARROWED_FROM", least)
        assert found(filled, criterion, 1 << 30, 0, index, narrow) == naive(filled, criterion)
        assert index.asked == asked
    index.close()


def test_a_file_that_fails_within_a_search_is_left_aside(filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = indexed(filled, tmp_path, 40)

    def failing(*_: object) -> Iterator[tuple[int, bytes]]:
        raise Unreadable("gone")

    monkeypatch.setattr(Reading, "texts", failing)
    assert found(filled, BodyContains("body 7"), index=index) == naive(filled, BodyContains("body 7"))
    index.close()


def test_a_long_look_at_kept_texts_stops_too(bench: Bench, tmp_path: Path) -> None:
    folder = bench.inbox(bench.anna)
    count = ROWS_AT_ONCE + 5
    bench.do(AppendMessages(folder, tuple(NewInFolder(letter(number)) for number in range(count)), 0))
    index = indexed(Filled(bench, folder, {}), tmp_path, count)
    done = bench.ask(search, folder, BodyContains("body"), Plain(), FILES, None, 0, 500, index=index, narrow=False)
    assert (done.uids, done.after) == (list(range(1, ROWS_AT_ONCE + 1)), ROWS_AT_ONCE)
    done = bench.ask(search, folder, BodyContains("body"), Plain(), FILES, None, ROWS_AT_ONCE, 500, index=index)
    assert (done.uids, done.after) == (list(range(ROWS_AT_ONCE + 1, count + 1)), None)
    for criterion in (BodyContains("body"), And((BodyContains("body"), Not(BodyContains("none")), SizeLarger(1)))):
        decoder = Plain()
        done = bench.ask(search, folder, criterion, decoder, FILES, index=index, narrow=False)
        assert (done.uids, done.after, decoder.asked) == (list(range(1, count + 1)), None, 0)
    index.close()


def test_seen_is_the_actors_own_or_the_shared_one(filled: Filled) -> None:
    shared = filled.bench.ask(search, filled.folder, FlagIs(Flag.SEEN), Plain(), FILES).uids
    assert shared == [uid for uid in range(1, 41) if (uid - 1) % 2]
    assert found(filled, FlagIs(Flag.SEEN)) != shared


def test_octets_are_read_only_where_nothing_else_decides(filled: Filled) -> None:
    decoder = Plain()
    criterion = And((Uids(((4, 5),)), Or((FieldContains(Field.SUBJECT, "naïve"), BodyContains("body")))))
    done = filled.bench.ask(search, filled.folder, criterion, decoder, FILES)
    assert (done.uids, decoder.asked) == ([4, 5], 1)


def test_a_search_that_reads_much_goes_on_where_it_stopped(filled: Filled) -> None:
    done = filled.bench.ask(search, filled.folder, BodyContains("body"), Plain(), FILES, None, 0, 250)
    assert done.after == done.uids[-1] == 3
    assert found(filled, BodyContains("body"), 250) == list(range(1, 41))


def test_a_folder_of_many_pages_is_searched_to_its_end(bench: Bench) -> None:
    folder = bench.inbox(bench.anna)
    count = 2 * ROWS_AT_ONCE + 1
    bench.do(AppendMessages(folder, tuple(NewInFolder(letter(number)) for number in range(count)), 0))
    done = bench.ask(search, folder, TextContains("body"), Plain(), FILES)
    assert (done.uids, done.after) == (list(range(1, count + 1)), None)
    assert bench.ask(search, folder, Uids(tuple((uid, uid) for uid in range(1, count, 2))), Plain(), FILES).uids == list(range(1, count, 2))


def test_nothing_is_found_beyond_the_folder(bench: Bench) -> None:
    bench.do(AppendMessages(bench.inbox(bench.bruno), (NewInFolder(letter()),), 0))
    for criterion in (All(), Uids(((1, 1 << 40),)), Not(Uids(())), BodyContains("")):
        assert bench.ask(search, bench.inbox(bench.anna), criterion, Plain(), FILES).uids == []


def tower(height: int) -> Criterion:
    criterion: Criterion = BodyContains("body")
    for _ in range(height):
        criterion = Not(And((criterion, All())))
    return criterion


def test_depth_and_number_are_bounded_and_the_bound_itself_works(filled: Filled) -> None:
    assert found(filled, tower(49)) == naive(filled, tower(49))
    with pytest.raises(LimitReached):
        found(filled, tower(51))
    wide = tuple(Or((FieldContains(Field.FROM, str(number)), BodyContains(str(number)))) for number in range(MAX_LEAVES // 2))
    assert found(filled, Or(wide)) == naive(filled, Or(wide))
    flat = tuple(FieldContains(Field.FROM, str(number)) for number in range(MAX_LEAVES))
    assert found(filled, Not(Or(flat))) == naive(filled, Not(Or(flat)))
    with pytest.raises(LimitReached):
        found(filled, And((*flat, All())))
