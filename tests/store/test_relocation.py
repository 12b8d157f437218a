"""Everything of one store is in the other afterwards, or the other says that it is not."""

import asyncio
import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from gateway.arrival import arrived
from policy.identity import AccountId, Address
from store import relocation
from store.accounts import CreateAccount, DeleteAccount
from store.audit import AuditEntry, RecordAudit
from store.blobs import Files
from store.connect import connect
from store.domains import CreateDomain
from store.dynamic import CreateDynamicList
from store.errors import InUse, Unusable
from store.lists import CreateList
from store.queue import AcceptMessage, IntoMailbox
from store.relocation import Differs, relocate
from tests.bench.population import Population, Sizes
from tests.live.cluster import Cluster

SQLITE = "sqlite:///{data}/procura.db"
BACK = "sqlite:///{data}/back.db"
LARGE = b"From: a@far.test\r\nSubject: large\r\n\r\n" + b"0123456789abcdef\r\n" * 10_000

_NUMBERS = count(1)


@pytest.fixture
def shared_url(cluster: Cluster, migrated_database: str) -> Iterator[str]:
    """A database that nobody else gets afterwards: some are left half filled."""
    database = f"moved_{next(_NUMBERS)}"
    cluster.create(database, migrated_database)
    yield cluster.url(database)
    cluster.drop(database)


def silent(what: str, done: int, total: int) -> None: ...


async def filled(data: Path, url: str = SQLITE) -> None:
    """Something in nearly every table, and octets of every kind."""
    store = await connect(url, data)
    files = Files(data / "messages")
    try:
        population = Population(store)
        await population.begin()
        await population.grow(Sizes(20, 40, 60))
        # An alias that has a smaller number than what it stands for.
        await store.do(CreateDomain("later.test"))
        owner = AccountId(population.corner["owner"])
        large = await asyncio.to_thread(files.keep, arrived(LARGE))
        await store.do(AcceptMessage("a key", (IntoMailbox(owner, large, 0),)))
        await store.do(AcceptMessage("another", (IntoMailbox(AccountId(population.corner["helper"]), large, 0),)))
        odd = await store.do(CreateAccount(Address("zoë", "acme.test"), "Zoë \u2603 'quoted' \\ \t"))
        await store.do(CreateDynamicList(CreateList(Address("everybody", "acme.test")), "(mail=*)"))
        gone = await store.do(CreateAccount(Address("gone", "acme.test")))
        await store.do(AcceptMessage("", (IntoMailbox(gone, arrived(b"Subject: x\r\n\r\nof one who is gone\r\n"), 0),)))
        await store.do(DeleteAccount(gone, keep_for=10**15))
        entry = AuditEntry("d-1", "test", allowed=True, actor=odd, actor_address="zoë@acme.test", because="\u2603", detail="two\nlines")
        await store.do(RecordAudit((entry,)))
    finally:
        await store.close()


def dumped(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, told apart from relocation's own way of looking; without where octets lie."""
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = {name: sorted(connection.execute(f'SELECT * FROM "{name}"').fetchall(), key=repr) for name in names if name != "migration"}
        # Of a table that never had a row it may be there or not.
        found["sqlite_sequence"] = [row for row in found["sqlite_sequence"] if row[1]]
        found["blob"] = sorted(connection.execute("SELECT id, owner, hash, size FROM blob").fetchall())
    return found


def octets_of(path: Path, data: Path) -> dict[int, bytes]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT id, place, octets FROM blob").fetchall()
    return {number: octets if octets is not None else (data / "messages" / place).read_bytes() for number, place, octets in rows}


async def test_there_and_back_everything_is_as_it_was(tmp_path: Path, shared_url: str) -> None:
    await filled(tmp_path)
    seen: set[str] = set()
    there = await relocate(SQLITE, shared_url, tmp_path, lambda what, done, total: seen.add(what))
    assert there.into_rows == 2
    assert {"moving message", "comparing message", "moving audit"} <= seen
    back = await relocate(shared_url, BACK, tmp_path, silent)
    assert back.into_files == 2
    assert there.tables == back.tables
    first, second = tmp_path / "procura.db", tmp_path / "back.db"
    before, after = dumped(first), dumped(second)
    assert {name for name in before if before[name]} >= {
        "message",
        "wire",
        "head",
        "account",
        "folder_entry",
        "send_grant",
        "queue",
        "deleted_account",
    }
    assert after == before
    assert octets_of(second, tmp_path) == octets_of(first, tmp_path)


async def test_numbers_go_on_where_they_were(tmp_path: Path, shared_url: str) -> None:
    await filled(tmp_path)
    store = await connect(SQLITE, tmp_path)
    highest = await store.do(CreateAccount(Address("highest", "acme.test")))
    await store.do(DeleteAccount(highest))
    await store.close()
    await relocate(SQLITE, shared_url, tmp_path, silent)
    moved = await connect(shared_url, tmp_path)
    number = await moved.do(CreateAccount(Address("next", "acme.test")))
    await moved.close()
    assert number > highest, "the number of one who is gone means somebody else now"
    (tmp_path / "procura.db").unlink()
    await relocate(shared_url, BACK, tmp_path, silent)
    moved = await connect(BACK, tmp_path)
    assert await moved.do(CreateAccount(Address("third", "acme.test"))) > number
    await moved.close()


async def test_an_alias_domain_may_be_older_than_its_target(tmp_path: Path, shared_url: str) -> None:
    store = await connect(SQLITE, tmp_path)
    for number in range(relocation.BATCH_ROWS + 10):
        await store.do(CreateDomain(f"d{number}.test"))
    await store.close()
    with sqlite3.connect(tmp_path / "procura.db") as connection:
        connection.execute("UPDATE domain SET alias_of = (SELECT max(id) FROM domain) WHERE id = 1")
    there = await relocate(SQLITE, shared_url, tmp_path, silent)
    assert there.tables["domain"].rows == relocation.BATCH_ROWS + 10
    assert (await relocate(shared_url, BACK, tmp_path, silent)).tables == there.tables


@pytest.mark.parametrize("way", ["there", "back"])
async def test_what_ended_in_the_middle_is_no_store_until_it_is_done_again(
    way: str, tmp_path: Path, shared_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(tmp_path)
    source, target = SQLITE, shared_url
    if way == "back":
        await relocate(source, target, tmp_path, silent)
        source, target = target, BACK

    def torn(what: str, done: int, total: int) -> None:
        if what == "moving message":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await relocate(source, target, tmp_path, torn)
    with pytest.raises(Unusable, match="migrate-store again"):
        await connect(target, tmp_path)
    with pytest.raises(Unusable, match="migrate"):
        await relocate(target, source, tmp_path, silent)
    opened = await connect(source, tmp_path)
    await opened.close()
    await relocate(source, target, tmp_path, silent)
    opened = await connect(target, tmp_path)
    await opened.close()


async def test_a_target_with_anything_in_it_is_refused(tmp_path: Path, shared_url: str) -> None:
    await filled(tmp_path)
    other = await connect(shared_url, tmp_path / "other")
    await other.do(CreateDomain("there.test"))
    with pytest.raises(InUse, match="serves this database"):
        await relocate(SQLITE, shared_url, tmp_path, silent)
    await other.close()
    with pytest.raises(Unusable, match="domain already"):
        await relocate(SQLITE, shared_url, tmp_path, silent)
    with pytest.raises(Unusable, match="one"):
        await relocate(SQLITE, SQLITE, tmp_path, silent)
    await filled(tmp_path / "second")
    with pytest.raises(Unusable, match="already"):
        await relocate(SQLITE, f"sqlite:///{tmp_path}/second/procura.db", tmp_path, silent)


async def test_tables_that_are_not_ours_are_left_alone(tmp_path: Path, shared_url: str) -> None:
    await filled(tmp_path)
    connection = await asyncpg.connect(shared_url.partition("?")[0])
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE somebody (id BIGINT)")
    await connection.close()
    with pytest.raises(Unusable, match="not ours"):
        await relocate(SQLITE, shared_url, tmp_path, silent)


async def test_nobody_may_have_either_of_them(tmp_path: Path, shared_url: str) -> None:
    await filled(tmp_path)
    store = await connect(SQLITE, tmp_path)
    with pytest.raises(InUse):
        await relocate(SQLITE, shared_url, tmp_path, silent)
    await store.close()
    await relocate(SQLITE, shared_url, tmp_path, silent)
    node = await connect(shared_url, tmp_path / "node")
    with pytest.raises(InUse, match="serves this database"):
        await relocate(shared_url, BACK, tmp_path, silent)
    await node.close()
    assert not (tmp_path / "back.db").exists()


async def test_one_octet_that_is_not_as_it_was_is_found(tmp_path: Path, shared_url: str) -> None:
    await filled(tmp_path)
    with sqlite3.connect(tmp_path / "procura.db") as connection:
        connection.execute("UPDATE blob SET octets = CAST('y' || substr(octets, 2) AS BLOB) WHERE id = 5")
    with pytest.raises(Differs, match="octets 5 of the source"):
        await relocate(SQLITE, shared_url, tmp_path, silent)
    with pytest.raises(Unusable, match="migrate-store again"):
        await connect(shared_url, tmp_path)


async def test_a_row_that_was_written_otherwise_is_found(tmp_path: Path, shared_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    await filled(tmp_path)
    through = relocation._SharedTarget.write

    async def written(self: relocation._SharedTarget, table: relocation.Table, rows: list[relocation.Row]) -> None:
        if table.name == "message":
            first = list(rows[0])
            first[table.columns.index("flags")] ^= 4
            rows = [tuple(first), *rows[1:]]
        await through(self, table, rows)

    monkeypatch.setattr(relocation._SharedTarget, "write", written)
    with pytest.raises(Differs, match="message"):
        await relocate(SQLITE, shared_url, tmp_path, silent)


async def test_a_nul_in_a_text_is_replaced_but_not_in_the_record(tmp_path: Path, shared_url: str) -> None:
    await filled(tmp_path)
    with sqlite3.connect(tmp_path / "procura.db") as connection:
        connection.execute("UPDATE head SET subject = subject || char(0) WHERE blob IN (SELECT blob FROM head LIMIT 3)")
    done = await relocate(SQLITE, shared_url, tmp_path, silent)
    assert done.replaced == 3
    with sqlite3.connect(tmp_path / "procura.db") as connection:
        connection.execute("UPDATE audit SET detail = char(0)")
    other = tmp_path / "again"
    connection_to = await asyncpg.connect(shared_url.partition("?")[0])
    await connection_to.execute("UPDATE migration SET number = $1 WHERE number = 1", 2_000_000_000)
    await connection_to.close()
    assert not other.exists()
    with pytest.raises(Unusable, match="the record has a NUL"):
        await relocate(SQLITE, shared_url, tmp_path, silent)


def test_tables_come_after_those_they_refer_to() -> None:
    tables = [
        relocation.Table("dynamic_list", ("a",), ("a",), frozenset({"list"}), numbered=False),
        relocation.Table("list", ("a",), ("a",), frozenset({"object"}), numbered=False),
        relocation.Table("object", ("a",), ("a",), frozenset({"domain"}), numbered=True),
        relocation.Table("domain", ("a",), ("a",), frozenset({"domain"}), numbered=True),
        relocation.Table("person", ("a",), ("a",), frozenset({"list"}), numbered=True),
    ]
    assert [table.name for table in relocation._ordered(tables)] == ["domain", "object", "list", "person", "dynamic_list"]
    around = relocation.Table("domain", ("a",), ("a",), frozenset({"list"}), numbered=False)
    with pytest.raises(Unusable, match="circle"):
        relocation._ordered([*tables[:3], around])
