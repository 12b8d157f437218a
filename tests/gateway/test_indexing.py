"""The index behind the store: it comes up to date, it stays so, it is lost and made again, and it changes nothing but the time."""

import asyncio
import base64
import logging
import quopri
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import indexing
from gateway.arrival import arrived
from gateway.folders import Folders
from gateway.folders.octets import DECODING
from gateway.folders.values import Place, Visit
from gateway.indexing import Indexing, gathered
from gateway.message.kept import KEPT_VERSION
from gateway.message.text import fold
from policy.delivery import Door
from policy.identity import FolderId
from policy.rights import Right
from store import blobs, folders, search
from store.accounts import DeleteAccount
from store.appending import AppendMessages, NewInFolder
from store.blobs import Files
from store.criteria import And, BodyContains, Criterion, HeaderContains, Not, Or, TextContains
from store.folders import CreateFolder
from store.fulltext import Damaged, FullText, Kind, Reading, Standing, Unwritable
from store.model import BlobId
from tests.gateway.house import House, letter, opened
from tests.store.letters import Bench

EVERY = BlobId((1 << 63) - 1)
FILES = Files(Path("/nonexistent"))


# --- the same results as looking at every message


@dataclass(frozen=True)
class Made:
    """A message, and what stands in it: the fields of its header, and the texts of its body with the headers of its parts."""

    octets: bytes
    fields: tuple[tuple[str, str], ...]
    pieces: tuple[str, ...]

    def holds(self, criterion: Criterion) -> bool:
        match criterion:
            case BodyContains(text):
                return any(text in piece.casefold() for piece in self.pieces)
            case TextContains(text):
                lines = "".join(f"{name.lower()}: {value}\n" for name, value in self.fields)
                return text in lines.casefold() or self.holds(BodyContains(text))
            case HeaderContains(name, text):
                return any(text in value.casefold() for field, value in self.fields if field.lower() == name.lower())
            case And(parts):
                return all(self.holds(part) for part in parts)
            case Or(parts):
                return any(self.holds(part) for part in parts)
            case Not(part):
                return not self.holds(part)
            case _:
                raise AssertionError(criterion)


CHARSETS = {
    "utf-8": "Straße ÄÖÜ naïve 日本語 😀 İstanbul ﬁn Σίσυφος",
    "iso-8859-15": "Straße ÄÖÜ naïve €",
    "koi8-r": "Привет МИР привет",
    "iso-2022-jp": "日本語 テスト",
    "utf-16": "Straße 日本語",
    "utf-7": "Straße naïve",
    "big5": "中文 字",
    "us-ascii": "plain Words only",
}
words = st.sampled_from(sorted({word for text in CHARSETS.values() for word in text.split()}))


@st.composite
def made(draw: st.DrawFn) -> Made:
    names = draw(st.lists(st.sampled_from(["Subject", "X-Note", "Bcc", "Comments"]), max_size=3))
    fields = [(name, " ".join(draw(st.lists(words, min_size=1, max_size=2)))) for name in names]
    header = b""
    for name, value in fields:
        encoded = b"=?utf-8?B?" + base64.b64encode(value.encode()) + b"?="
        header += name.encode() + b": " + encoded + b"\r\n"
    parts = draw(st.lists(part(), min_size=1, max_size=3))
    if len(parts) == 1 and draw(st.booleans()):
        lines, body, text = parts[0]
        for line in lines:
            name, _, value = line.partition(": ")
            fields.append((name, value))
        return Made(header + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body, tuple(fields), (text,))
    fields.append(("Content-Type", "multipart/mixed; boundary=cut"))
    octets = header + b"Content-Type: multipart/mixed; boundary=cut\r\n\r\n"
    pieces = []
    for lines, body, text in parts:
        octets += b"--cut\r\n" + "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body + b"\r\n"
        pieces.append("".join("{}: {}\n".format(line.partition(": ")[0].lower(), line.partition(": ")[2]) for line in lines))
        pieces.append(text)
    return Made(octets + b"--cut--\r\n", tuple(fields), tuple(pieces))


@st.composite
def part(draw: st.DrawFn) -> tuple[list[str], bytes, str]:
    charset = draw(st.sampled_from(sorted(CHARSETS)))
    text = " ".join(draw(st.lists(st.sampled_from(CHARSETS[charset].split()), min_size=1, max_size=5)))
    octets = text.encode(charset)
    encoding = draw(st.sampled_from(["base64", "quoted-printable", "8bit"]))
    if charset == "utf-16":
        encoding = "base64"
    body = {"base64": base64.encodebytes(octets).replace(b"\n", b"\r\n"), "quoted-printable": quopri.encodestring(octets), "8bit": octets}
    lines = [f"Content-Type: text/plain; charset={charset}", f"Content-Transfer-Encoding: {encoding}"]
    return lines, body[encoding], text


@st.composite
def wishes(draw: st.DrawFn) -> Criterion:
    word = draw(words)
    start = draw(st.integers(0, len(word)))
    text = draw(
        st.one_of(
            st.just(word),
            st.just(word[start : start + 3]),
            st.just(word[start : start + 1]),
            st.sampled_from(["charset=koi", "base64", "note: "]),
        )
    )
    text = fold(text) or "x"
    return draw(
        st.sampled_from(
            [
                BodyContains(text),
                TextContains(text),
                HeaderContains(draw(st.sampled_from(["subject", "BCC", "X-Note", "x-none"])), draw(st.sampled_from([text, ""]))),
                Not(BodyContains(text)),
                And((TextContains(text), BodyContains(fold(draw(words))))),
                Or((HeaderContains("Subject", text), BodyContains(fold(draw(words))))),
            ]
        )
    )


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullText]:
    found = FullText(tmp_path_factory.mktemp("index") / "search.db", KEPT_VERSION)
    found.open()
    found.trust()
    yield found
    found.close()


numbers = count(1)


def stored(bench: Bench, octets: list[bytes]) -> FolderId:
    """In a folder of their own."""
    bench.do(CreateFolder(bench.anna, f"/F{next(numbers)}"))
    folder = bench.folder(bench.anna, f"/F{next(numbers) - 1}").id
    bench.do(AppendMessages(folder, tuple(NewInFolder(arrived(one)) for one in octets), 0))
    return folder


@settings(max_examples=150)
@given(
    st.lists(made(), min_size=1, max_size=5),
    st.lists(wishes(), min_size=1, max_size=4),
    st.integers(0, 5),
    st.integers(0, 20),
    st.booleans(),
)
def test_results_are_those_of_a_naive_scan(
    bench: Bench, index: FullText, messages: list[Made], asked: list[Criterion], behind: int, divided: int, narrow: bool
) -> None:
    folder = stored(bench, [one.octets for one in messages])
    with index.reading() as reading:
        assert reading is not None
        mark = reading.mark
    texts, standing = bench.ask(gathered, mark, EVERY, FILES)
    if standing is not None:
        # Some are not indexed yet.
        texts = [one for one in texts if one.blob <= standing.mark - behind]
        if texts:
            index.add(texts, Standing(standing.mark - behind, b""))
            index.divide(divided, 1 << 20)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("store.search.NARROWED_FROM", 0)
        for criterion in asked:
            found = bench.ask(search.search, folder, criterion, DECODING, FILES, index=index, narrow=narrow)
            assert found.uids == [uid for uid, one in enumerate(messages, 1) if one.holds(criterion)], criterion


@settings(max_examples=150)
@given(st.lists(st.binary(max_size=80), min_size=1, max_size=4, unique=True), st.text(max_size=3).map(fold), st.booleans())
def test_whatever_the_octets_are_the_index_finds_what_they_hold(
    bench: Bench, index: FullText, octets: list[bytes], text: str, narrow: bool
) -> None:
    lead = b"Subject: some\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n"
    folder = stored(bench, [lead + one for one in octets])
    with index.reading() as reading:
        assert reading is not None
        mark = reading.mark
    texts, standing = bench.ask(gathered, mark, EVERY, FILES)
    if standing is not None:
        index.add(texts, standing)
        index.divide(6, 1 << 20)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("store.search.NARROWED_FROM", 0)
        for criterion in (BodyContains(text), TextContains(text), HeaderContains("subject", text)):
            with_index = bench.ask(search.search, folder, criterion, DECODING, FILES, index=index, narrow=narrow)
            assert with_index == bench.ask(search.search, folder, criterion, DECODING, FILES)


# --- the task


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with opened(tmp_path, "anna", "bruno") as house:
        yield house


def file(house: House) -> FullText:
    return FullText(house.files.directory.parent / "search.db", KEPT_VERSION)


@asynccontextmanager
async def running(house: House, index: FullText, worked: Callable[[], float] = lambda: 0.0) -> AsyncIterator[Indexing]:
    task = Indexing(house.store, house.files, index, worked=worked)
    unwatch = house.store.watch(task.told)
    work = asyncio.create_task(task.run())
    try:
        yield task
    finally:
        unwatch()
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
        index.close()


async def up_to_date(house: House, index: FullText, seconds: float = 20.0) -> None:
    """Waits until the index has all that the store has."""
    ends = perf_counter() + seconds
    while True:
        with index.reading() as reading:
            mark = None if reading is None else reading.mark
            aside = None if reading is None else [reading.aside(one) for one in house.ids.values()]
        if mark is not None and mark == await house.ask(blobs.newest) and not any(aside or ()):
            return
        assert perf_counter() < ends, mark
        await asyncio.sleep(0.01)


async def bodies(house: House, index: FullText, name: str, text: str) -> list[int] | None:
    with index.reading() as reading:
        assert reading is not None
        return reading.candidates(house.ids[name], Kind.BODY, text, 1000)


async def searched(house: House, index: FullText | None, criterion: Criterion, who: str = "anna", owner: str = "anna") -> list[int]:
    service = Folders(house.store, house.files, index)
    folder = await house.ask(folders.by_path, house.ids[owner], "/INBOX")
    assert folder is not None
    opened = await service.open(Visit(house.actor(who), "imap", ""), Place(f"{owner}@acme.test", "/INBOX"))
    try:
        return await opened.search(criterion)
    finally:
        await service.close()


async def bring(house: House, *texts: str, to: str = "anna") -> None:
    for text in texts:
        await house.bring(Door.LMTP, "stan@elsewhere.test", [to], letter("stan@elsewhere.test", f"{to}@acme.test", text=text))


async def test_it_comes_up_to_date_and_stays_so(house: House) -> None:
    await bring(house, *(f"early {number}" for number in range(70)))
    index = file(house)
    async with running(house, index):
        await up_to_date(house, index)
        assert len(await bodies(house, index, "anna", "early") or ()) == 70
        await bring(house, "later", to="bruno")
        await up_to_date(house, index)
        assert len(await bodies(house, index, "bruno", "later") or ()) == 1
        assert await bodies(house, index, "anna", "later") == []


async def test_it_goes_on_where_it_was(house: House) -> None:
    await bring(house, "first")
    async with running(house, file(house)):
        index = file(house)
        index.trust()
        await up_to_date(house, index)
        index.close()
    await bring(house, "second")
    index = file(house)
    assert (await asyncio.to_thread(index.open)).mark == 1
    async with running(house, index):
        await up_to_date(house, index)
        assert await bodies(house, index, "anna", "first") == [1]
        assert await bodies(house, index, "anna", "second") == [2]


async def test_a_file_of_another_database_is_made_anew(house: House, caplog: pytest.LogCaptureFixture) -> None:
    await bring(house, "ours")
    for standing in (Standing(1, b"other octets"), Standing(99, b"")):
        foreign = file(house)
        foreign.open()
        foreign.add([], standing)
        foreign.close()
        index = file(house)
        async with running(house, index):
            await up_to_date(house, index)
            assert await bodies(house, index, "anna", "ours") == [1]
    assert len([one for one in caplog.records if one.name == "gateway.indexing" and "anew" in str(one.__dict__)]) == 2


async def test_damage_that_a_search_finds_is_mended(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "RETRY", 0.05)
    monkeypatch.setattr(indexing, "RETRY_MOST", 0.05)
    await bring(house, "ours")
    index = file(house)
    async with running(house, index):
        await up_to_date(house, index)
        index.damaged = True
        assert await searched(house, index, BodyContains("ours")) == [1]
        ends = perf_counter() + 10
        while index.damaged:
            assert perf_counter() < ends
            await asyncio.sleep(0.01)
        await up_to_date(house, index)
        assert await bodies(house, index, "anna", "ours") == [1]


async def test_what_cannot_be_written_is_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr(indexing, "RETRY", 0.05)
    monkeypatch.setattr(indexing, "RETRY_MOST", 0.05)
    real, refused = FullText.add, []

    def full(self: FullText, *arguments: object) -> None:
        if len(refused) < 3:
            refused.append(1)
            raise (Unwritable, Unwritable, Damaged)[len(refused) - 1]("no room")
        real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(FullText, "add", full)
    await bring(house, "ours")
    index = file(house)
    async with running(house, index):
        await up_to_date(house, index)
        assert await searched(house, index, BodyContains("ours")) == [1]
    assert len(refused) == 3


async def test_a_place_that_cannot_be_written_costs_nothing_but_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "RETRY", 0.02)
    await bring(house, "ours")
    index = FullText(house.files.directory.parent / "nowhere" / "search.db", KEPT_VERSION)
    async with running(house, index):
        await asyncio.sleep(0.1)
        assert await searched(house, index, BodyContains("ours")) == [1]


async def test_what_is_gone_leaves_the_index(house: House) -> None:
    await bring(house, "hers", "more of hers")
    await bring(house, "his", to="bruno")
    index = file(house)
    async with running(house, index) as task:
        await up_to_date(house, index)
        await house.store.do(DeleteAccount(house.ids["anna"]))
        await house.store.do(blobs.SweepBlobs())
        await task.tidy()
        assert await bodies(house, index, "anna", "hers") == []
        assert await bodies(house, index, "bruno", "his") == [3]
    with sqlite3.connect(house.files.directory.parent / "search.db") as raw:
        assert raw.execute("SELECT count(*) FROM text").fetchone() == (2,)


async def test_what_waits_to_be_relayed_is_not_indexed(tmp_path: Path) -> None:
    async with opened(tmp_path, "anna", relays=True) as house:
        await house.submit("anna", "anna@acme.test", "x@elsewhere.test", letter(to="x@elsewhere.test", text="relayed"))
        texts, standing = await house.ask(gathered, 0, EVERY, house.files)
        assert standing is not None
        assert {one.owner for one in texts} <= {house.ids["anna"]}


async def test_octets_that_cannot_be_read_are_left_out(house: House) -> None:
    await bring(house, "x" * (blobs.IN_ROW + 1), "small")
    for path in house.files.directory.rglob("*"):
        if path.is_file():
            path.unlink()
    texts, standing = await house.ask(gathered, 0, EVERY, house.files)
    assert [one.body is None for one in texts] == [True, False]
    assert standing is not None
    assert standing.mark == 2


async def test_a_batch_is_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await bring(house, *("word " * 40 for _ in range(9)))
    monkeypatch.setattr(indexing, "BATCH", 4)
    assert len((await house.ask(gathered, 0, EVERY, house.files))[0]) == 4
    monkeypatch.setattr(indexing, "BATCH_OCTETS", 1)
    assert len((await house.ask(gathered, 0, EVERY, house.files))[0]) == 1
    assert await house.ask(gathered, 9, EVERY, house.files) == ([], None)


async def test_it_waits_for_a_busy_writer_but_not_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "TICK", 0.05)
    monkeypatch.setattr(indexing, "PATIENCE", 0.5)
    await bring(house, "ours")
    index = file(house)
    async with running(house, index) as task:
        await up_to_date(house, index)
        await bring(house, "more")
        started = perf_counter()

        async def busy() -> None:
            while True:
                task.told(())
                await asyncio.sleep(0.002)

        load = asyncio.create_task(busy())
        await up_to_date(house, index)
        assert perf_counter() - started > 0.45
        load.cancel()


async def test_it_ends_in_whatever_moment_of_a_commit_it_is_told_to(house: House) -> None:
    await bring(house, "ours")
    for turns in range(12):
        index = file(house)
        index.trust()
        async with running(house, index) as task:
            await up_to_date(house, index)
            await asyncio.sleep(0.02)
            task.told(())
            for _ in range(turns):
                await asyncio.sleep(0)


async def test_it_waits_for_a_loop_at_work_and_goes_on_when_that_rests(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "TICK", 0.02)
    monkeypatch.setattr(indexing, "BATCH", 1)
    looks = 0
    resting = asyncio.Event()

    def worked() -> float:
        # It is asked before a time and behind it: all of that was work, until the loop rests.
        nonlocal looks
        looks += not resting.is_set()
        return 10.0 * looks

    for number in range(5):
        await bring(house, f"ours {number}")
    index = file(house)
    async with running(house, index, worked):
        while looks < 12:
            await asyncio.sleep(0.005)
        # The first batch was done before anybody could know; five rests later there is no second one.
        with index.reading() as reading:
            assert reading is not None
            assert 0 < reading.mark < await house.ask(blobs.newest)
        resting.set()
        await up_to_date(house, index)


async def test_a_delegates_search_finds_the_same_without_the_trigrams(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.search.NARROWED_FROM", 0)
    await bring(house, "secret one", "two", "secret three")
    await house.share("anna", "/INBOX", "bruno", Right.LOOKUP | Right.READ)
    index = file(house)
    async with running(house, index):
        await up_to_date(house, index)
        asked: list[int] = []
        plain = Reading.candidates
        monkeypatch.setattr(Reading, "candidates", lambda self, owner, *rest: asked.append(owner) or plain(self, owner, *rest))
        assert await searched(house, index, BodyContains("secret"), "bruno") == [1, 3]
        assert asked == []
        assert await searched(house, index, BodyContains("secret"), "anna") == [1, 3]
        assert asked == [house.ids["anna"]]
