import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from store import domains
from store.clock import AcceptClock, NoteTime
from store.connect import clock_behind, connect
from store.domains import CreateDomain
from store.errors import InUse, Unusable
from store.floor import wall_clock
from tests.live.cluster import Cluster
from tests.store.laid import laid

ROOT = Path(__file__).parents[2]
URL = "sqlite:///{data}/procura.db"
SECOND = 1_000_000
HOUR = 3600 * SECOND


async def test_what_was_done_is_there_when_opened_again(tmp_path: Path) -> None:
    for name in ("a.test", "b.test"):
        store = await connect(URL, tmp_path / "data")
        await store.do(CreateDomain(name))
        await store.close()
    store = await connect(URL, tmp_path / "data")
    async with store.snapshot() as snapshot:
        assert [row.name for row in await snapshot.ask(domains.all_of_them)] == ["a.test", "b.test"]
    await store.close()


async def test_nobody_else_may_read_the_files(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store = await connect(URL, tmp_path / "new" / "data")
        await store.do(CreateDomain("a.test"))
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "new" / "data").iterdir()}
        assert modes == dict.fromkeys(("procura.db", "procura.db-wal", "procura.db-shm", "procura.lock"), 0o600)
        assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700
        await store.close()
    finally:
        os.umask(before)


async def test_one_at_a_time(tmp_path: Path) -> None:
    store = await connect(URL, tmp_path)
    with pytest.raises(InUse, match=str(os.getpid())):
        await connect(URL, tmp_path)
    script = (
        "import asyncio, sys; from pathlib import Path; from store.connect import connect;"
        "asyncio.run(connect(sys.argv[1], Path(sys.argv[2])))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    other = subprocess.run([sys.executable, "-c", script, URL, str(tmp_path)], cwd=ROOT, capture_output=True, env=environment, timeout=30)
    assert other.returncode != 0
    assert b"InUse" in other.stderr
    await store.close()
    again = await connect(URL, tmp_path)
    await again.close()


async def test_a_database_elsewhere_is_guarded_beside_itself_too(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/db/procura.db"
    store = await connect(url, tmp_path / "one")
    with pytest.raises(InUse):
        await connect(url, tmp_path / "two")
    await store.close()
    other = await connect(url, tmp_path / "two")
    await other.close()


@pytest.mark.parametrize("url", ["postgresql://x/y", "sqlite://", "sqlite:///", "procura.db", ""])
async def test_a_url_that_names_no_store_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(Unusable):
        await connect(url, tmp_path)


async def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "procura.db"
    path.write_bytes(b"this is a letter, not a database\n" * 200)
    with pytest.raises(Unusable, match=r"procura\.db"):
        await connect(URL, tmp_path)
    assert path.read_bytes().startswith(b"this is a letter")
    path.unlink()
    store = await connect(URL, tmp_path)
    await store.close()


async def test_a_newer_schema_is_refused_and_the_lock_is_free_again(tmp_path: Path) -> None:
    store = await connect(URL, tmp_path)
    await store.close()
    raw = sqlite3.connect(tmp_path / "procura.db")
    with raw:
        raw.execute("INSERT INTO migration VALUES (9999, 'from the future', 0)")
    with pytest.raises(Unusable, match="9999"):
        await connect(URL, tmp_path)
    with raw:
        raw.execute("DELETE FROM migration WHERE number = 9999")
    raw.close()
    store = await connect(URL, tmp_path)
    await store.close()


async def test_a_directory_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(Unusable, match="file"):
        await connect(URL, tmp_path / "file" / "data")


@pytest.mark.parametrize("serving", [True, False], ids=["while it is served", "while nobody serves it"])
async def test_it_can_be_asked_from_outside_whether_the_clock_is_behind(url: str, tmp_path: Path, serving: bool) -> None:
    data = tmp_path / "data"
    if url.startswith("sqlite"):
        assert await clock_behind(url, data) == 0, "there is none yet"
        assert not data.exists()
    store = await connect(laid(url, data), data)
    assert await clock_behind(url, data) == 0, "nothing is known"
    await store.do(NoteTime(wall_clock() + 3 * HOUR, 0))
    if not serving:
        await store.close()
    before = {one: one.stat().st_mtime_ns for one in data.iterdir()}
    assert 3 * HOUR - 60 * SECOND < await clock_behind(url, data) <= 3 * HOUR
    assert {one: one.stat().st_mtime_ns for one in data.iterdir()} == before, "nothing was changed, and nothing is left"
    if not serving:
        store = await connect(url, data)
    await store.do(AcceptClock(store.floor.machine()))
    await store.do(NoteTime(wall_clock() + 30 * SECOND, 1))
    assert await clock_behind(url, data) == 0, "less than clocks are corrected by"
    await store.close()


async def test_the_clock_of_what_is_no_store_of_ours_is_not_asked(tmp_path: Path) -> None:
    path = tmp_path / "procura.db"
    sqlite3.connect(path).close()
    assert await clock_behind(URL, tmp_path) == 0
    raw = sqlite3.connect(path)
    raw.execute("CREATE TABLE migration (number INTEGER)")
    raw.close()
    assert await clock_behind(URL, tmp_path) == 0, "an older one"
    path.write_bytes(b"this is a letter, not a database\n" * 200)
    with pytest.raises(Unusable, match=r"procura\.db"):
        await clock_behind(URL, tmp_path)


async def test_a_shared_database_without_our_schema_knows_no_time(cluster: Cluster, tmp_path: Path) -> None:
    url = cluster.create("of_nobody")
    assert await clock_behind(url, tmp_path) == 0
    cluster.drop("of_nobody")
