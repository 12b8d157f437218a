"""search.db alone: what it narrows, what it keeps, and how it can be lost."""

import random
import re
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store.fulltext import GRAM, GRAMS, IDLE, Damaged, FullText, Kind, Reading, Standing, Texts, Unreadable, Unwritable, grams, has_room
from store.migrate import statements_of, steps
from store.statements import DIRECTORY_OF_STATEMENTS, read

ANNA, BRUNO = 7, 8


@pytest.fixture
def index(tmp_path: Path) -> Iterator[FullText]:
    made = opened(tmp_path)
    yield made
    made.close()


def opened(directory: Path, version: str = "1") -> FullText:
    made = FullText(directory / "search.db", version)
    made.open()
    made.trust()
    return made


def add(index: FullText, texts: list[Texts], standing: Standing) -> None:
    """And divided."""
    index.add(texts, standing)
    while index.divide(100, 1 << 20):
        pass


def text(blob: int, body: str | None = "hello world", header: str | None = "subject: hello", owner: int = ANNA) -> Texts:
    return Texts(blob, owner, *(None if one is None else one.encode("utf-8", "surrogatepass") for one in (header, body)))


def candidates(index: FullText, needle: str, kind: Kind | None = Kind.BODY, owner: int = ANNA, most: int = 1000) -> list[int] | None:
    with index.reading() as reading:
        assert reading is not None
        found = reading.candidates(owner, kind, needle, most)
        return None if found is None else sorted(found)


def kept(index: FullText, *blobs: int, owner: int = ANNA, kind: Kind = Kind.BODY) -> dict[int, bytes]:
    with index.reading() as reading:
        assert reading is not None
        return dict(reading.texts(owner, kind, blobs))


def test_what_was_added_is_there(index: FullText, tmp_path: Path) -> None:
    add(index, [text(3), text(1, "good bye", "to: anna")], Standing(5, b"hash"))
    assert candidates(index, "ello w") == [3]
    assert candidates(index, "hello", Kind.HEADER) == [3]
    assert candidates(index, "ood") == [1]
    assert candidates(index, "anna", None) == [1]
    assert candidates(index, "anna") == []
    assert kept(index, 1, 2, 3) == {1: b"good bye", 3: b"hello world"}
    assert kept(index, 1, kind=Kind.HEADER) == {1: b"to: anna"}
    index.close()
    again = FullText(tmp_path / "search.db", "1")
    assert again.open() == Standing(5, b"hash")
    again.close()


def test_owners_do_not_see_each_other(index: FullText) -> None:
    add(index, [text(1), text(2, owner=BRUNO), text(3)], Standing(3, b""))
    assert candidates(index, "hello") == [1, 3]
    assert candidates(index, "hello", owner=BRUNO) == [2]
    assert kept(index, 1, 2, owner=BRUNO) == {2: b"hello world"}


def test_what_is_too_short_or_too_frequent_does_not_narrow(index: FullText) -> None:
    add(index, [text(number) for number in range(1, 6)], Standing(5, b""))
    assert candidates(index, "he") is None
    assert candidates(index, "hello", most=4) is None
    assert candidates(index, "hello", most=5) == [1, 2, 3, 4, 5]


def test_what_is_not_kept_is_told(index: FullText) -> None:
    add(index, [text(1), text(2, None), text(3, header=None), text(4, None, None, BRUNO)], Standing(4, b""))
    with index.reading() as reading:
        assert reading is not None
        assert sorted(reading.aside(ANNA)) == [2, 3]
        assert sorted(reading.aside(BRUNO)) == [4]
    assert kept(index, 1, 2, 3) == {1: b"hello world", 3: b"hello world"}


def test_what_is_forgotten_leaves_texts_and_trigrams(index: FullText) -> None:
    add(index, [text(1), text(2), text(3, None)], Standing(3, b""))
    index.forget([(ANNA, 1), (ANNA, 3), (BRUNO, 2)])
    assert candidates(index, "hello", None) == [2]
    assert kept(index, 1, 2, 3) == {2: b"hello world"}
    assert [(owner, blob) for _, owner, blob in index.after(0, 99)] == [(ANNA, 2), (ANNA, 2)]


def test_texts_are_divided_later_and_known_to_be_aside_until_then(index: FullText, tmp_path: Path) -> None:
    index.add([text(1), text(2), text(3, ""), text(4, owner=BRUNO), text(5)], Standing(5, b""))
    index.forget([(ANNA, 5)])
    assert candidates(index, "hello") == []
    assert kept(index, 1, 2) == {1: b"hello world", 2: b"hello world"}

    def aside(owner: int) -> list[int]:
        with index.reading() as reading:
            assert reading is not None
            return sorted(reading.aside(owner))

    assert (aside(ANNA), aside(BRUNO)) == ([1, 2, 3], [4])
    assert index.divide(3, 1 << 20) == 3
    assert (candidates(index, "hello"), aside(ANNA)) == ([1], [2, 3])
    assert index.divide(100, 1) == 1
    assert (candidates(index, "hello"), aside(ANNA), aside(BRUNO)) == ([1, 2], [3], [4])
    index.forget([(ANNA, 1), (ANNA, 3)])
    assert (candidates(index, "hello", None), aside(ANNA)) == ([2], [])
    assert index.divide(100, 1 << 20) == 2
    assert index.divide(100, 1 << 20) == 0
    assert (candidates(index, "hello", owner=BRUNO), aside(BRUNO)) == ([4], [])


def test_places_are_paged(index: FullText) -> None:
    add(index, [text(1), text(2, owner=BRUNO)], Standing(2, b""))
    first = index.after(0, 3)
    assert [(owner, blob) for _, owner, blob in [*first, *index.after(first[-1][0], 3)]] == [(ANNA, 1), (ANNA, 1), (BRUNO, 2), (BRUNO, 2)]


def test_a_reading_is_one_state(index: FullText) -> None:
    add(index, [text(1)], Standing(1, b""))
    with index.reading() as reading:
        assert reading is not None
        add(index, [text(2)], Standing(2, b""))
        assert reading.mark == 1
        assert reading.candidates(ANNA, Kind.BODY, "hello", 9) == [1]
    assert candidates(index, "hello") == [1, 2]


def test_nothing_is_asked_before_it_is_trusted(tmp_path: Path) -> None:
    made = FullText(tmp_path / "search.db", "1")
    assert made.open() == Standing(0, b"")
    with made.reading() as reading:
        assert reading is None
    made.close()


def test_only_the_owner_of_the_server_may_read_it(index: FullText, tmp_path: Path) -> None:
    add(index, [text(1)], Standing(1, b""))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_another_version_is_made_anew(tmp_path: Path) -> None:
    old = opened(tmp_path)
    add(old, [text(1)], Standing(1, b""))
    old.close()
    new = FullText(tmp_path / "search.db", "2")
    assert new.open() == Standing(0, b"")
    new.close()


@pytest.mark.parametrize("rubbish", [b"", b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_none_is_made_anew(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "search.db").write_bytes(rubbish)
    (tmp_path / "search.db-wal").write_bytes(rubbish)
    made = opened(tmp_path)
    add(made, [text(1)], Standing(1, b""))
    assert candidates(made, "hello") == [1]
    made.close()


def filled(directory: Path) -> None:
    """Some hundred pages."""
    chance = random.Random(1)
    made = opened(directory)
    words = ["".join(chance.choices("abcdefghij", k=9)) for _ in range(3000)]
    for first in range(1, 200, 20):
        add(made, [text(blob, " ".join(chance.choices(words, k=900))) for blob in range(first, first + 20)], Standing(first + 19, b""))
    made.close()


@pytest.mark.parametrize("seed", range(8))
def test_damage_is_noticed_or_harmless_and_never_an_error(tmp_path: Path, seed: int) -> None:
    filled(tmp_path)
    chance = random.Random(seed)
    path = tmp_path / "search.db"
    octets = bytearray(path.read_bytes())
    for _ in range(1 + seed):
        page = chance.randrange(1, len(octets) // 16384) * 16384
        octets[page : page + 16384] = chance.randbytes(16384)
    path.write_bytes(octets)
    made = FullText(path, "1")
    try:
        made.open()
        made.trust()
        with made.reading() as reading:
            if reading is not None:
                try:
                    assert reading.candidates(ANNA, None, "abc", 10_000) is not None
                    assert reading.aside(ANNA) is not None
                    list(reading.texts(ANNA, Kind.BODY, range(1, 201)))
                except Unreadable:
                    pass
        add(made, [text(500)], Standing(500, b""))
        made.forget([(ANNA, blob) for blob in range(1, 100)])
    except Damaged:
        made.damaged = True
    if made.damaged:
        made.remake()
        made.trust()
        add(made, [text(1)], Standing(1, b""))
        assert candidates(made, "hello") == [1]
    made.close()


def test_damage_found_by_a_search_ends_the_asking(tmp_path: Path) -> None:
    filled(tmp_path)
    path = tmp_path / "search.db"
    octets = bytearray(path.read_bytes())
    octets[16384:] = b"\xee" * (len(octets) - 16384)
    path.write_bytes(octets)
    made = FullText(path, "1")
    made.trust()
    with made.reading() as reading:
        if reading is not None:
            with pytest.raises(Unreadable):
                reading.candidates(ANNA, None, "abc", 10_000)
    assert made.damaged
    with made.reading() as reading:
        assert reading is None
    made.close()


def test_a_search_under_way_goes_on_while_all_is_made_anew(index: FullText) -> None:
    add(index, [text(1)], Standing(1, b""))
    with index.reading() as reading:
        assert reading is not None
        index.remake()
        assert reading.candidates(ANNA, Kind.BODY, "hello", 9) == [1]
    index.trust()
    assert candidates(index, "hello") == []


def test_a_question_that_is_refused_is_no_damage(index: FullText) -> None:
    add(index, [text(1)], Standing(1, b""))
    with index.reading() as reading:
        assert isinstance(reading, Reading)
        with pytest.raises(Unreadable):
            reading._all("candidates", grams='"', kind=None, most=1, low=0, high=1)
    assert not index.damaged


def test_without_room_nothing_is_added_and_all_is_still_there(index: FullText) -> None:
    add(index, [text(1)], Standing(1, b""))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(Unwritable) as caught:
            add(index, [text(blob, "word " * 9000) for blob in range(2, 9)], Standing(9, b""))
        assert not isinstance(caught.value, Damaged)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert candidates(index, "hello") == [1]
    add(index, [text(2)], Standing(2, b""))
    assert candidates(index, "hello") == [1, 2]


def test_what_is_there_already_is_damage(index: FullText) -> None:
    add(index, [text(1)], Standing(1, b""))
    with pytest.raises(Damaged):
        add(index, [text(1)], Standing(2, b""))


def test_numbers_out_of_range() -> None:
    assert has_room(1, 1)
    assert has_room((1 << 21) - 1, (1 << 41) - 1)
    assert not any(has_room(*pair) for pair in ((0, 1), (1, 0), (1 << 21, 1), (1, 1 << 41)))


def test_the_largest_numbers_fit(index: FullText) -> None:
    owner, blob = (1 << 21) - 1, (1 << 41) - 1
    add(index, [text(blob, owner=owner)], Standing(blob, b""))
    assert candidates(index, "hello", owner=owner) == [blob]
    assert kept(index, blob, owner=owner) == {blob: b"hello world"}


@pytest.mark.parametrize("needle", ["", "ab", "abc", "abcd", "x" * 500, '"""', "a" * 12 + "b" * 12])
def test_few_trigrams_are_asked_for(needle: str) -> None:
    query = grams(needle)
    assert (query is None) is (len(needle) < GRAM)
    assert query is None or 0 < len(query.split(" AND ")) <= GRAMS


characters = st.one_of(
    st.characters(blacklist_characters="\0", blacklist_categories=()),
    st.sampled_from('ab"*^:-+()\n \t\ufffd\ufffe\uffff\ud800\udfff\U0010ffffß'),
)
texts = st.text(characters, max_size=24)


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullText]:
    made = opened(tmp_path_factory.mktemp("common"))
    yield made
    made.close()


owners = count(1)


@settings(max_examples=300)
@given(st.lists(texts, min_size=1, max_size=4), st.data())
def test_every_text_that_contains_it_is_a_candidate(common: FullText, bodies: list[str], data: st.DataObject) -> None:
    owner = next(owners)
    add(common, [text(blob, body, owner=owner) for blob, body in enumerate(bodies, 1)], Standing(9, b""))
    source = data.draw(st.sampled_from(bodies))
    start = data.draw(st.integers(0, len(source)))
    needle = data.draw(st.one_of(st.just(source[start : start + data.draw(st.integers(3, 24))]), texts))
    needle = "".join(one for one in needle if not "\ud800" <= one <= "\udfff")
    found = candidates(common, needle, owner=owner)
    if len(needle) < GRAM:
        assert found is None
    else:
        assert found is not None
        assert {blob for blob, body in enumerate(bodies, 1) if needle in body} <= set(found)


def test_each_statement_prepares() -> None:
    connection = sqlite3.connect(":memory:")
    for statement in statements_of(steps("fulltext")[0].script):
        connection.execute(statement)
    statements = read("fulltext", (DIRECTORY_OF_STATEMENTS / "fulltext" / "fulltext.sql").read_text())
    for name, statement in statements.items():
        connection.execute(f"EXPLAIN {statement}", dict.fromkeys(re.findall(r":([a-z_]+)", statement))).fetchall()
        plan = [
            row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", dict.fromkeys(re.findall(r":([a-z_]+)", statement)))
        ]
        if name not in ("fulltext.standing", "fulltext.advance", "fulltext.undivided"):  # one row; the first few by the primary key
            assert not [step for step in plan if re.match(r"SCAN (?!gram VIRTUAL|wanted VIRTUAL|CONSTANT)", step)], (name, plan)
    code = (Path(__file__).parents[2] / "store" / "fulltext.py").read_text()
    named = set(re.findall(r'"fulltext\.([a-z]+)"', code)) | set(re.findall(r'self\._all\("([a-z]+)"', code))
    assert {f"fulltext.{name}" for name in named} - {"fulltext.sql"} == set(statements)


def test_no_more_connections_are_kept_than_agreed(index: FullText) -> None:
    index.trust()
    with ExitStack() as stack:
        for _ in range(IDLE + 5):
            stack.enter_context(index.reading())
    assert len(index._readers) == IDLE
