import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from policy.decision import Witness
from policy.identity import Address, DomainId, FolderId
from policy.status import AccountStatus
from store import accounts, domains, lending, outlines, sqlite
from store.accounts import SetAccountStatus
from store.changes import PruneChanges
from store.connect import connect
from store.deeds import Several
from store.domains import CreateDomain, ModifyDomain
from store.errors import Broken, Busy, Conflict, LimitReached, Stale
from store.folders import CreateFolder
from store.port import Store, Tx
from store.writer import Fault
from tests.store.conftest import Clock, Directory
from tests.store.laid import laid

ROOT = Path(__file__).parents[2]
NOTHING = PruneChanges(FolderId(9))
"""A deed that finds nothing to do."""


@pytest.fixture
def url() -> str:
    """Of this engine only; test_postgres.py is the other's."""
    return "sqlite:///{data}/procura.db"


def note_of(tx: Tx, domain: DomainId) -> str:
    row = domains.by_id(tx, domain)
    assert row is not None
    return row.note


async def test_a_snapshot_sees_one_state(directory: Directory) -> None:
    async with directory.store.snapshot() as snapshot:
        witness = await snapshot.witness()
        assert await snapshot.ask(note_of, directory.acme) == ""
        await directory.store.do(ModifyDomain(directory.acme, note="new"))
        assert await snapshot.ask(note_of, directory.acme) == ""
        assert await snapshot.work(note_of, directory.acme) == ""
        assert await snapshot.confirms(witness)
    async with directory.store.snapshot() as snapshot:
        assert await snapshot.ask(note_of, directory.acme) == "new"
        assert not await snapshot.confirms(witness)


async def test_a_witness_ends_with_its_time(store: Store, clock: Clock) -> None:
    async with store.snapshot() as snapshot:
        assert snapshot.now == clock()
        witness = await snapshot.witness(7, 3, valid_until=clock() + 1)
        assert witness == Witness(((0, 0), (3, 0), (7, 0)), clock() + 1)
        clock.turn(60)
        assert await snapshot.confirms(witness), "the snapshot's time stands still"
    async with store.snapshot() as snapshot:
        assert not await snapshot.confirms(witness)


async def test_the_epochs_of_a_judgement_are_one_statement_and_of_the_next_none(directory: Directory) -> None:
    async with directory.store.snapshot() as snapshot:
        witness, many = await snapshot.witness(5, 7, 9), await snapshot.witness(*range(20))
    said: list[str] = []
    async with directory.store.snapshot() as snapshot:
        opened: Any = snapshot
        opened._reader.raw.set_trace_callback(said.append)
        for count in (1, 1):
            assert await snapshot.confirms(witness)
            assert len(said) == count
        for count in (2, 2):
            assert await snapshot.confirms(many)
            assert len(said) == count
        opened._reader.raw.set_trace_callback(None)


def asked_of_epochs(store: Store) -> tuple[sqlite.SqliteStore, list[str]]:
    """What the writer asks of them from here on."""
    assert isinstance(store, sqlite.SqliteStore)
    said: list[str] = []
    store._connection.raw.set_trace_callback(lambda sql: said.append(sql) if "FROM epoch" in sql else None)
    return store, said


async def witness_of(store: Store, *scopes: int) -> Witness:
    async with store.snapshot() as snapshot:
        return await snapshot.witness(*scopes)


async def test_what_the_writer_found_of_epochs_it_need_not_read_again(directory: Directory) -> None:
    store, said = asked_of_epochs(directory.store)
    found = await witness_of(store, directory.anna, directory.bruno)
    for _ in range(3):
        await store.do(NOTHING, found)
    assert len(said) == 1
    await store.do(SetAccountStatus(directory.bruno, AccountStatus.LOCKED))
    for _ in range(2):
        with pytest.raises(Stale):
            await store.do(NOTHING, found)
    anew = await witness_of(store, directory.anna, directory.bruno)
    await store.do(NOTHING, anew)


async def test_a_witness_is_stale_for_what_comes_behind_its_end_in_one_group(directory: Directory) -> None:
    found = await witness_of(directory.store, directory.bruno)
    await directory.store.do(NOTHING, found)
    locking = SetAccountStatus(directory.bruno, AccountStatus.LOCKED)
    came = await asyncio.gather(
        *(directory.store.do(deed, witness) for deed, witness in ((NOTHING, found), (locking, None), (NOTHING, found), (NOTHING, found))),
        return_exceptions=True,
    )
    assert [type(one) for one in came] == [int, type(None), Stale, Stale]


async def test_epochs_of_what_was_undone_are_those_of_before(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    store, _ = asked_of_epochs(directory.store)
    found = await witness_of(store, directory.bruno)
    locking = SetAccountStatus(directory.bruno, AccountStatus.LOCKED)
    await store.do(NOTHING, found)
    with pytest.raises(Conflict):
        await store.do(Several((locking, CreateDomain("acme.test"))))
    await store.do(NOTHING, found)

    def full(engine: sqlite.SqliteEngine, events: object) -> None:
        raise Fault("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(sqlite.SqliteEngine, "commit", full)
        with pytest.raises(Busy):
            await store.do(locking)
    await store.do(NOTHING, found)
    await store.do(locking)
    with pytest.raises(Stale):
        await store.do(NOTHING, found)


async def test_epochs_that_statements_count_are_read_each_time(directory: Directory) -> None:
    store, anna = directory.store, directory.anna
    for number in range(2):
        found = await witness_of(store, outlines.scope(anna))
        await store.do(NOTHING, found)
        await store.do(CreateFolder(anna, f"/New{number}"))
        with pytest.raises(Stale):
            await store.do(NOTHING, found)


async def test_there_is_an_end_to_the_epochs_that_are_remembered(directory: Directory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "REMEMBERED", 10)
    store, _ = asked_of_epochs(directory.store)
    engine: Any = store._writer._engine
    for scope in range(100, 200):
        await store.do(NOTHING, Witness(((scope, 0),), None))
        assert len(engine._epochs) <= 11


async def test_a_snapshot_only_reads_and_only_while_it_is_open(directory: Directory) -> None:
    async with directory.store.snapshot() as snapshot:
        for change in (
            lambda tx: tx.run("domains.delete", id=1),
            lambda tx: tx.insert("domains.delete", id=1),
            lambda tx: tx.many("domains.delete", [{"id": 1}]),
            lambda tx: tx.touch(1),
            lambda tx: tx.wake(None),
        ):
            with pytest.raises(TypeError):
                await snapshot.ask(change)
        with pytest.raises(Busy, match="READONLY"):
            await snapshot.ask(lambda tx: tx.composed("DELETE FROM subscription"))
        kept: list[Tx] = []
        await snapshot.ask(kept.append)
    with pytest.raises(RuntimeError):
        await snapshot.ask(note_of, directory.acme)
    with pytest.raises(Busy):
        note_of(kept[0], directory.acme)
    assert directory.store.fault is None


async def test_settings_of_the_connections_are_those_that_keep_a_promise(store: Store) -> None:
    names = ("journal_mode", "synchronous", "mmap_size", "foreign_keys", "query_only", "wal_autocheckpoint")
    reading, writing = [], []
    async with store.snapshot() as snapshot:
        for name in names:
            reading += (await snapshot.ask(lambda tx, name=name: tx.composed(f"PRAGMA {name}")))[0]  # type: ignore[misc]
    assert isinstance(store, sqlite.SqliteStore)
    connection = store._connection
    for name in names:
        (value,) = await connection.run(lambda name=name: connection.raw.execute(f"PRAGMA {name}").fetchone())  # type: ignore[misc]
        writing.append(value)
    assert reading == ["wal", 2, 0, 1, 1, 0]
    assert writing == ["wal", 2, 0, 1, 0, sqlite.CHECKPOINT_PAGES]


async def test_a_reader_comes_back_also_from_a_question_that_fails(tmp_path: Path) -> None:
    store = await connect("sqlite:///{data}/procura.db", tmp_path, readers=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            async with store.snapshot() as snapshot:
                await snapshot.work(lambda _: 1 // 0)
        with pytest.raises(KeyError):
            async with store.snapshot() as snapshot:
                await snapshot.ask(lambda tx: tx.one("no.such"))
    async with store.snapshot() as snapshot:
        assert await snapshot.ask(domains.all_of_them) == []
    await store.close()


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n"


async def test_a_cancelled_question_is_stopped_and_waited_for_before_the_reader_goes_back(tmp_path: Path) -> None:
    store = await connect("sqlite:///{data}/procura.db", tmp_path, readers=1)
    ended: list[float] = []

    def endless(tx: Tx) -> None:
        try:
            tx.composed(ENDLESS)
        finally:
            time.sleep(0.05)
            ended.append(time.perf_counter())

    async def ask() -> None:
        async with store.snapshot() as snapshot:
            await snapshot.work(endless)

    task = asyncio.ensure_future(ask())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(0.01)
    task.cancel()
    started = time.perf_counter()
    async with store.snapshot() as snapshot:
        assert ended
        assert time.perf_counter() - started < 2
        assert await snapshot.ask(domains.all_of_them) == []
    assert task.cancelled()
    await store.close()


async def test_a_loop_over_many_small_questions_is_stopped_too(tmp_path: Path) -> None:
    store = await connect("sqlite:///{data}/procura.db", tmp_path, readers=1)

    def endless(tx: Tx) -> None:
        while True:
            tx.one("domains.by_id", id=1)

    async def ask() -> None:
        async with store.snapshot() as snapshot:
            await snapshot.work(endless)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(ask(), 0.05)
    await store.close()


async def test_no_reader_in_time_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lending, "TAKE_SECONDS", 0.05)
    store = await connect("sqlite:///{data}/procura.db", tmp_path, readers=2)
    async with store.snapshot(), store.snapshot():
        with pytest.raises(Busy, match="no reader"):
            async with store.snapshot():
                pass
        waiting = asyncio.ensure_future(store.snapshot().__aenter__())
        await asyncio.sleep(0)
    snapshot = await waiting
    await snapshot.__aexit__(None, None, None)  # type: ignore[attr-defined]
    async with store.snapshot(), store.snapshot():
        pass
    await store.close()
    with pytest.raises(Busy, match="closed"):
        async with store.snapshot():
            pass


async def test_whoever_stops_waiting_loses_no_reader(tmp_path: Path) -> None:
    store = await connect("sqlite:///{data}/procura.db", tmp_path, readers=1)

    async def use() -> None:
        async with store.snapshot() as snapshot:
            await snapshot.work(lambda _: time.sleep(0.001))

    draw = random.Random(1)
    tasks = [asyncio.ensure_future(use()) for _ in range(60)]
    for task in tasks:
        await asyncio.sleep(0)
        if draw.random() < 0.6:
            task.cancel()
            await asyncio.sleep(draw.random() * 0.002)
    started = time.perf_counter()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {type(None), asyncio.CancelledError}
    assert time.perf_counter() - started < lending.TAKE_SECONDS / 2
    async with store.snapshot() as snapshot:
        assert await snapshot.ask(domains.all_of_them) == []
    await store.close()


async def test_a_large_log_is_emptied_when_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "WAL_LARGE", 0)
    monkeypatch.setattr("store.writer.IDLE_AFTER", 0.05)
    store = await connect("sqlite:///{data}/procura.db", tmp_path)
    await store.do(CreateDomain("acme.test"))
    log = tmp_path / "procura.db-wal"
    assert log.stat().st_size > 0
    for _ in range(100):
        await asyncio.sleep(0.02)
        if log.stat().st_size == 0:
            break
    assert log.stat().st_size == 0
    await store.do(CreateDomain("other.test"))
    await store.close()


async def test_a_damaged_database_is_written_no_more(tmp_path: Path) -> None:
    store = await connect("sqlite:///{data}/procura.db", tmp_path)
    acme = await store.do(CreateDomain("acme.test"))
    await store.close()
    raw = sqlite3.connect(tmp_path / "procura.db")
    (page,) = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'domain'").fetchone()
    (size,) = raw.execute("PRAGMA page_size").fetchone()
    raw.close()
    with (tmp_path / "procura.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    store = await connect("sqlite:///{data}/procura.db", tmp_path)
    with pytest.raises(Busy, match="SQLITE_CORRUPT"):
        await store.do(ModifyDomain(acme, note="x"))
    assert store.fault is not None
    with pytest.raises(Busy, match="not usable"):
        await store.do(CreateDomain("other.test"))
    await store.close()


def of_sqlite(code: int, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


@pytest.mark.parametrize(
    ("code", "lasting"),
    [
        (sqlite3.SQLITE_FULL, False),
        (sqlite3.SQLITE_IOERR_FSYNC, False),
        (sqlite3.SQLITE_IOERR_WRITE, False),
        (sqlite3.SQLITE_BUSY, False),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, False),
        (sqlite3.SQLITE_LOCKED, False),
        (sqlite3.SQLITE_CANTOPEN, False),
        (sqlite3.SQLITE_READONLY, True),
        (sqlite3.SQLITE_READONLY_DBMOVED, True),
        (sqlite3.SQLITE_CORRUPT, True),
        (sqlite3.SQLITE_NOTADB, True),
    ],
)
def test_each_failure_is_later_or_an_end_to_writing(code: int, lasting: bool) -> None:
    found = sqlite.translated(of_sqlite(code, "SQLITE_X"))
    assert isinstance(found, Fault)
    assert found.lasting is lasting
    assert found.full is (code == sqlite3.SQLITE_FULL)


def test_other_failures_are_what_they_are() -> None:
    mistake = of_sqlite(sqlite3.SQLITE_ERROR, "SQLITE_ERROR")
    assert sqlite.translated(mistake) is mistake
    unnamed = sqlite3.ProgrammingError("bad binding")
    assert sqlite.translated(unnamed) is unnamed
    assert isinstance(sqlite.translated(sqlite3.IntegrityError("UNIQUE constraint failed")), Broken)
    assert isinstance(sqlite.translated(of_sqlite(sqlite3.SQLITE_TOOBIG, "SQLITE_TOOBIG")), LimitReached)


WORKER = """
import asyncio, os, sys
from pathlib import Path
from policy.identity import Address
from store.accounts import CreateAccount
from store.connect import connect
from store.domains import CreateDomain
from store.errors import Conflict

async def main(data, start):
    store = await connect("sqlite:///{data}/procura.db", Path(data))
    try:
        await store.do(CreateDomain("acme.test"))
    except Conflict:
        pass
    async def one(caller):
        number = 0
        while True:
            name = f"u-{start}-{caller}-{number}"
            account = await store.do(CreateAccount(Address(name, "acme.test")))
            os.write(1, f"{account} {name}\\n".encode())
            number += 1
    await asyncio.gather(*(one(caller) for caller in range(8)))

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


async def test_nothing_that_was_answered_is_lost_by_kill_9(tmp_path: Path) -> None:
    draw = random.Random(7)
    answered: dict[str, int] = {}
    for attempt in range(5):
        process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path), str(attempt)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        await asyncio.sleep(draw.random() * 0.1)
        process.kill()
        lines += process.stdout.read().splitlines(keepends=True)
        process.wait()
        assert process.returncode == -signal.SIGKILL
        before = len(answered)
        for line in lines:
            if line.endswith(b"\n"):
                number, name = line.split()
                answered[name.decode()] = int(number)
        assert len(answered) > before
    store = await connect("sqlite:///{data}/procura.db", tmp_path)
    async with store.snapshot() as snapshot:
        stored = await snapshot.work(accounts.of_domain, None, None, 1_000_000)
    await store.close()
    found = {row.address.local: row.id for row in stored}
    assert {name: found.get(name) for name in answered} == answered
    assert len(found) - len(answered) <= 5 * 8, "at most what was under way was done without an answer"
    raw = sqlite3.connect(tmp_path / "procura.db")
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    raw.close()


FULL = """
import asyncio, resource, signal, sys
from pathlib import Path
from policy.identity import Address
from store import accounts
from store.connect import connect
from store.domains import CreateDomain
from store.errors import Busy

async def main(data):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = await connect("sqlite:///{data}/procura.db", Path(data))
    await store.do(CreateDomain("acme.test"))
    largest = max(path.stat().st_size for path in Path(data).iterdir())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 200_000, resource.RLIM_INFINITY))
    done = []
    async def one(name):
        try:
            done.append(await store.do(accounts.CreateAccount(Address(name, "acme.test"))))
        except Busy:
            return False
        return True
    failed = 0
    for number in range(100):
        failed += (await asyncio.gather(*(one(f"u{number}-{caller}") for caller in range(4)))).count(False)
        if failed > 8:
            break
    assert done and failed > 8, (len(done), failed)
    assert store.fault is None, store.fault
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert await one("after")
    async with store.snapshot() as snapshot:
        stored = await snapshot.work(accounts.of_domain, None, None, 100_000)
    assert [row.id for row in stored] == sorted(done), "exactly what was answered"
    await store.close()

asyncio.run(main(sys.argv[1]))
"""


def test_a_disk_that_is_full_is_busy_and_writing_goes_on_when_there_is_room(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], cwd=ROOT, check=True, timeout=60, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )


async def test_reading_and_writing_at_once(directory: Directory) -> None:
    async def read() -> None:
        for _ in range(50):
            async with directory.store.snapshot() as snapshot:
                count = len(await snapshot.ask(accounts.of_domain, directory.acme, None, 1000))
                await asyncio.sleep(0)
                assert len(await snapshot.work(accounts.of_domain, directory.acme, None, 1000)) == count

    async def write(caller: int) -> None:
        for number in range(20):
            await directory.store.do(accounts.CreateAccount(Address(f"u{caller}-{number}", "acme.test")))

    await asyncio.gather(*(read() for _ in range(10)), *(write(caller) for caller in range(4)))
    assert len(await directory.ask(accounts.of_domain, directory.acme, None, 1000)) == 82


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("ending", ["a snapshot that was open still", "a reader that was being opened", "a store that was being closed"])
def test_no_thread_speaks_to_a_loop_that_is_closed(ending: str, factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path) -> None:
    said: list[threading.ExceptHookArgs] = []
    at_first = {*threading.enumerate()}

    async def left_behind(data: Path) -> None:
        loop = asyncio.get_running_loop()
        store = await connect(laid("sqlite:///{data}/procura.db", data), data)

        async def hold() -> None:
            async with store.snapshot():
                await asyncio.sleep(60)

        holding = loop.create_task(hold())
        await asyncio.sleep(0 if ending == "a reader that was being opened" else 0.005)
        match ending:
            case "a reader that was being opened":
                holding.cancel()
                await store.close()
            case "a store that was being closed":
                holding.cancel()
                await asyncio.sleep(0)
                closing = loop.create_task(store.close())
                await asyncio.sleep(0)
                assert not closing.done()
            case _:
                await store.close()

    before, threading.excepthook = threading.excepthook, said.append
    try:
        for number in range(8):
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(left_behind(tmp_path / str(number)))
        end = time.monotonic() + 10
        while {*threading.enumerate()} - at_first and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        threading.excepthook = before
    assert [str(one.exc_value) for one in said] == []
    assert {*threading.enumerate()} - at_first == set(), "each thread of theirs has ended"
