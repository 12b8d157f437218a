"""On PostgreSQL every key of an account's data begins with the account, and statements say whose rows they read."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import store.postgres_session
from gateway.arrival import arrived
from policy.identity import AccountId
from store import messages, verify
from store.appending import AppendMessages, NewInFolder
from store.blobs import Files
from store.connect import connect
from store.errors import Unusable
from store.migrate import migrate_shared, steps
from store.numbered import numbered
from store.postgres_session import Session
from store.queue import AcceptMessage, IntoMailbox
from store.relocation import NOT_MOVED, OWNED, relocate
from store.statements import load, read, with_owner, without_owner
from tests.gateway.imap.handlers.house import House, message
from tests.live.cluster import Cluster
from tests.store.letters import Bench, letter
from tests.store.plans import DIRECTORY, PARTED, unparted
from tests.store.test_relocation import BACK, SQLITE, dumped, filled, octets_of, silent

STATEMENTS = load("postgres")
NUMBERS = count(1)
LATER = ("clock",)
"""Tables that the schema before does not have."""

# Tables whose keys begin with no account and no domain, and why. "Read by everybody": a reference table where rows are parted.
OTHERS = {
    "accepted": "by the key of a submission, which is asked for before it is known whose it is",
    "applied": "what was done to the whole installation, by a number",
    "audit": "one chain, numbered without gaps",
    "audit_head": "of that chain",
    "audit_key": "of that chain",
    "clock": "one row",
    "cos": "read by everybody",
    "deed_group": "by the key of a group of deeds, which may concern several accounts",
    "delegated": "of a row of the queue",
    "dkim_key": "read by everybody",
    "dynamic_list": "begins with the list; read by everybody",
    "list": "begins with the list; read by everybody",
    "list_answer": "of an address elsewhere",
    "list_bounce": "of a member elsewhere, by the number that stands in envelopes",
    "list_external": "members elsewhere, by the number that stands in envelopes",
    "list_member": "begins with the list; read by everybody",
    "list_owner": "begins with the list; read by everybody",
    "list_request": "by the key that stands in a mail",
    "migration": "of the schema",
    "node": "of the cluster",
    "node_call": "of the cluster",
    "objects": "one row",
    "policy_version": "one row",
    "queue": "in the order in which it is due, whoever's it is",
    "refusal": "of strangers too, by the id that they were told",
    "share": "by the number that grants of several kinds carry; read by everybody",
    "share_member": "begins with the share",
    "shared_key": "of the cluster",
    "unjudged": "has no key",
    "wake": "in the order of transactions",
}

# Unique keys of parted tables that begin otherwise.
OTHER_KEYS = {
    ("address", "object"): "the primary address of an account: the directory is read by everybody",
    ("app_password", "selector"): "looked for before it is known whose it is",
    ("domain", "name"): "the directory is read by everybody",
}

# Statements that read such tables without saying whose.
EVERYBODYS = {
    "app_passwords.by_id": "of an administrator, or of a session that is open",
    "app_passwords.by_selector": "before it is known whose it is",
    "blobs.after": "the search index, by the order of numbers",
    "blobs.drawn": "the same",
    "blobs.gone": "the same",
    "blobs.hash": "the search index, and an account that is deleted; by number",
    "blobs.loose": "the sweep",
    "blobs.loosen_queued": "a row of the queue has the number of its octets",
    "blobs.octets": "the same, and the search index",
    "blobs.place_named": "the sweep: a file may serve several",
    "breakglass.by_id": "of an operator, by number",
    "breakglass.newest": "of an operator",
    "changes.long": "the sweep",
    "stepped.digests": "after the clock was set, for everybody",
    "stepped.failures": "the same",
    "stepped.lockouts": "the same",
    "totp.ahead": "the same",
    "digest.begin": "all of them, once an hour",
    "digest.due": "all of them, once an hour",
    "folders.forget_filed": "of an actor who is deleted, in whoever's folders",
    "folders.forget_seen": "the same",
    "freezes.of_side": "all of them, and they are few",
    "grants.forget_entries": "of a grantee who is deleted, wherever",
    "grants.forget_send_grants": "the same",
    "grants.holds_any": "what somebody was granted, by whomever",
    "grants.lists_granting": "the same",
    "grants.owner_of": "whose a folder is, when somebody changes its entries",
    "grants.owners_granting": "who shares with somebody: of the grantee's side",
    "grants.send_grants_to": "the same",
    "grants.shared_with": "the same",
    "grants.targets_granting": "the same",
    "people.values": "pages of a whole directory",
    "queue.forget_brought": "of a submission that ends, in whoever's folders its sender put it",
    "queue.forget_copies": "the same, by an operator",
    "queue.forget_filed": "the sweep",
    "queue.forget_waiting": "the sweep",
    "rates.date_all_back": "the sweep",
    "rates.forget_all_before": "the sweep",
    "recalls.copies": "of a submission that is recalled, in whoever's folders they are",
    "recalls.delete_copies": "the same",
    "renewal.folders": "all of them, after a restore",
    "roles.administrators": "all of them, and they are few",
    "roles.reached": "what somebody was granted, by whomever",
    "shares.entries": "by the number of the share",
    "shares.parts": "all of them, for an operator",
    "shares.send_grants": "by the number of the share",
    "tenure.entries_expiring": "all of them, once a day",
    "tenure.entries_overdue": "the same",
    "tenure.entries_to": "what somebody was granted, by whomever",
    "tenure.entries_unused": "all of them, for an operator",
    "tenure.grants_expiring": "all of them, once a day",
    "tenure.grants_overdue": "the same",
    "tenure.grants_to": "what somebody was granted, by whomever",
    "tenure.grants_unused": "all of them, for an operator",
}

# The same, of what is done on the way of mail.
ON_THE_WAY = {
    "SELECT owner FROM folder WHERE id = $1": "whose a folder is: once for each folder and process (store/owners.py)",
    "SELECT id, owner FROM folder WHERE id = ANY (CAST($1 AS BIGINT[]))": "the same of several, for LIST with figures",
    numbered(STATEMENTS["grants.owners_granting"]).sql: "LIST: who shares with somebody; one step of an index, no join",
}


def lines(cluster: Cluster, database: str, statement: str) -> list[list[str]]:
    return [line.split("|") for line in cluster.sql(statement, database).splitlines()]


def test_every_unique_key_begins_with_the_account_or_domain(cluster: Cluster, migrated_database: str) -> None:
    there = {table for (table,) in lines(cluster, migrated_database, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert PARTED.keys() | OTHERS.keys() == there
    assert not PARTED.keys() & OTHERS.keys()
    keys = lines(
        cluster,
        migrated_database,
        """SELECT t.relname, a.attname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[0]
        WHERE i.indisunique AND t.relnamespace = 'public'::regnamespace""",
    )
    otherwise = {(table, first) for table, first in keys if table in PARTED and first != PARTED[table]}
    assert otherwise == OTHER_KEYS.keys()
    without = PARTED.keys() - {table for table, _ in keys}
    assert without == set(), "no key at all"


def test_references_between_parted_tables_say_whose(cluster: Cluster, migrated_database: str) -> None:
    """As Citus wants them: those that do not refer to the directory have the account in them."""
    found = lines(
        cluster,
        migrated_database,
        """SELECT c.conrelid::regclass, c.confrelid::regclass, a.attname FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE contype = 'f'""",
    )
    mail = PARTED.keys() - DIRECTORY
    assert [(table, parent, first) for table, parent, first in found if table in mail and parent in mail] == [
        ("folder_entry", "folder", "owner")
    ]


@pytest.fixture(scope="module")
def looked_into(cluster: Cluster, migrated_database: str) -> dict[str, list[str]]:
    async def ask() -> dict[str, list[str]]:
        connection = await asyncpg.connect(cluster.dsn(migrated_database))
        found = {}
        for name, statement in STATEMENTS.items():
            ours = numbered(statement)
            found[name] = await unparted(connection, ours.sql, len(ours.names))
        await connection.close()
        return found

    return asyncio.run(ask())


def test_statements_say_whose_rows_they_read(looked_into: dict[str, list[str]]) -> None:
    # What verifies looks at everything.
    found = {name for name, tables in looked_into.items() if tables and not name.startswith("verify.")}
    assert found == EVERYBODYS.keys()


async def test_what_looks_without_saying_whose_is_seen(cluster: Cluster, migrated_database: str) -> None:
    connection = await asyncpg.connect(cluster.dsn(migrated_database))
    for sql, tables in (
        ("SELECT flags FROM message WHERE key = $1", ["message"]),
        ("SELECT m.flags FROM message m JOIN seen s ON s.key = m.key WHERE m.owner = $1 AND s.actor = $2", ["seen"]),
        ("SELECT m.flags FROM message m JOIN seen s ON s.owner = m.owner AND s.key = m.key WHERE m.owner = $1 AND s.actor = $2", []),
        ("SELECT m.flags FROM message m LEFT JOIN seen s ON s.owner = m.owner AND s.actor = $2 AND s.key = m.key WHERE m.owner = $1", []),
        ("UPDATE wire SET body = $1 WHERE blob = $2", ["wire"]),
        ("DELETE FROM change WHERE owner > $1 AND folder = $2", ["change"]),
    ):
        assert await unparted(connection, sql, len(set(sql.split("$")) - {""}) - 1) == tables, sql
    await connection.close()


HEARD = b"Subject: hello\r\nFrom: dora@far.test\r\nMessage-ID: <heard@far.test>\r\n\r\nhello there\r\n"
COMMANDS = (
    'LIST "" "*"',
    "STATUS {box} (MESSAGES UNSEEN)",
    "SELECT {box}",
    "FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE INTERNALDATE RFC822.SIZE EMAILID PREVIEW)",
    "FETCH 1 BODY.PEEK[]",
    "FETCH 2 BODY[]",
    "STORE 1 +FLAGS (\\Flagged $x)",
    "STORE 2 (UNCHANGEDSINCE 1) FLAGS (\\Seen)",
    "SEARCH UNSEEN SUBJECT hello",
    "SEARCH BODY hello MODSEQ 1",
    "SORT (SUBJECT) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "COPY 1 {box}",
    "STORE 2 +FLAGS (\\Deleted)",
    "EXPUNGE",
    "NOOP",
    *['LIST "" "*" RETURN (STATUS (MESSAGES UNSEEN))'] * 3,
)


async def test_nothing_on_the_way_of_mail_reads_without_saying_whose(
    cluster: Cluster, shared_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A delivery, and what clients do all day, in one's own folder and as a delegate: every statement that reached the server, told by its
    plan. On a node that has just been started, so that it knows nothing."""
    before = House(await connect(shared_url, tmp_path / "before"), tmp_path / "before")
    await before.furnish()
    await before.put("anna", "/INBOX", 2)
    await before.share("anna", "/INBOX", "bruno", "lrswitedk", rfc=True)
    await before.close()
    said: dict[str, tuple[int, set[str]]] = {}
    doing = ""

    def noting(what: str) -> Callable[..., Any]:
        through = getattr(Session, what)

        async def noted(self: Session, statement: Any, arguments: Any, **more: Any) -> Any:
            some = [*arguments] if what != "many" else [*arguments[0]]
            said.setdefault(statement.sql, (len(some), set()))[1].add(doing)
            return await through(self, statement, arguments, **more)

        return noted

    for what in ("rows", "row", "value", "changed", "many"):
        monkeypatch.setattr(store.postgres_session.Session, what, noting(what))
    house = House(await connect(shared_url, tmp_path / "node"), tmp_path / "node")
    house.ids = before.ids
    try:
        doing = "delivery"
        for number in range(2):
            await house.store.do(AcceptMessage(f"key {number}", (IntoMailbox(house.ids["anna"], arrived(HEARD), 0),)))
        port = await house.listen()
        for who, box in (("anna", "INBOX"), ("bruno", '"Other Users/anna@acme.test/INBOX"')):
            client = await house.client(port, who)
            for command in COMMANDS:
                doing = f"{command.split()[0]} of {who}"
                answered = await client.do(command.format(box=box))
                assert answered.ok, (doing, answered.tagged)
            doing = f"APPEND of {who}"
            octets = message(9).decode()
            answered = await client.do(f"APPEND {box} {{{len(octets)}+}}\r\n{octets}")
            assert answered.ok, (doing, answered.tagged)
    finally:
        await house.close()
    monkeypatch.undo()
    connection = await asyncpg.connect(shared_url.partition("?")[0])
    found = {}
    for sql, (parameters, doings) in said.items():
        if await unparted(connection, sql, parameters):
            found[sql] = sorted(doings)
    await connection.close()
    assert len(said) > 40
    assert {sql: doings for sql, doings in found.items() if sql not in ON_THE_WAY} == {}
    assert ON_THE_WAY.keys() - found.keys() == set()
    assert {doing.split()[0] for doing in found[numbered(STATEMENTS["grants.owners_granting"]).sql]} == {"LIST"}


def test_what_stands_in_brackets_is_said_on_postgresql_alone() -> None:
    statement = "INSERT INTO b ([owner,] a) SELECT [b.owner,] '[x]' FROM b WHERE [owner = :owner AND] key = :key"
    assert with_owner(statement) == "INSERT INTO b (owner, a) SELECT b.owner, '[x]' FROM b WHERE owner = :owner AND key = :key"
    assert without_owner(statement) == "INSERT INTO b (a) SELECT '[x]' FROM b WHERE key = :key"
    for file in (Path(load.__code__.co_filename).with_name("sql")).glob("*.sql"):
        for name, text in read(file.stem, file.read_text()).items():
            assert text.count("[") == text.count("]"), name
            assert "[" not in without_owner(text) + with_owner(text), name


# --- an installation that was there before


@pytest.fixture
def earlier(cluster: Cluster) -> Iterator[tuple[str, str]]:
    """Name and URL of a database with the schema as it was before the account stood in every key."""
    database = f"earlier_{next(NUMBERS)}"
    url = cluster.create(database)

    async def make() -> None:
        connection = await asyncpg.connect(url)
        await migrate_shared(connection, steps("postgres")[:7], lambda: 0)
        await connection.close()

    asyncio.run(make())
    yield database, cluster.url(database)
    cluster.drop(database)


async def poured(path: Path, url: str) -> None:
    """Every row of a SQLite store into such a database, as that version kept them."""
    embedded = sqlite3.connect(path)
    shared = await asyncpg.connect(url.partition("?")[0])
    await shared.execute("SET session_replication_role = replica; DELETE FROM cos")
    for (table,) in embedded.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall():
        if table not in NOT_MOVED and table not in LATER:
            # What was read of octets was kept with each message then.
            by_message = f"SELECT message.key, one.* FROM message JOIN {table} AS one USING (blob)"
            cursor = embedded.execute(by_message if table in ("wire", "head") else f'SELECT * FROM "{table}"')
            columns = [column for column, *_ in cursor.description]
            rows = cursor.fetchall()
            if table in ("wire", "head"):
                del columns[1]
                rows = [(key, *read) for key, _, *read in rows]
            await shared.copy_records_to_table(table, records=rows, columns=columns)
    for table, last in embedded.execute("SELECT name, seq FROM sqlite_sequence WHERE seq > 0").fetchall():
        if table not in NOT_MOVED:
            await shared.fetchval("SELECT setval(pg_get_serial_sequence(quote_ident($1), 'id'), $2)", table, last)
    await shared.close()
    embedded.close()


def busier(path: Path) -> None:
    """What is there of a submission that waits, of a delegate's own marks: rows of the tables that are parted now."""
    with sqlite3.connect(path) as connection:
        key, blob = connection.execute("SELECT key, blob FROM message ORDER BY key LIMIT 1").fetchone()
        connection.execute("INSERT INTO seen VALUES (3, ?, 1, 1)", (key,))
        connection.execute("INSERT INTO filed VALUES (?, 3, '<a@b.test>', 5, 1)", (key,))
        connection.execute("INSERT INTO filed VALUES (-7, 3, '<a@b.test>', 5, 0)")
        connection.execute("INSERT INTO waiting_copy VALUES (?, 7, 5)", (key,))
        connection.execute("INSERT INTO keyword VALUES (?, 5, 'X', 'x')", (key >> 32,))
        connection.execute("INSERT INTO loose VALUES (?)", (blob,))


async def test_a_store_of_the_schema_before_comes_up_whole(earlier: tuple[str, str], shared_url: str, tmp_path: Path) -> None:
    _, url = earlier
    await filled(tmp_path)
    busier(tmp_path / "procura.db")
    await poured(tmp_path / "procura.db", url)
    opened = await connect(url, tmp_path)
    async with opened.snapshot() as snapshot:
        checked = [
            *await snapshot.work(verify.strays),
            *(await snapshot.work(verify.folders, 0)).findings,
            *(await snapshot.work(verify.messages, 0)).findings,
        ]
        damaged = [one for table in PARTED for one in await snapshot.work(verify.damage, table)]
    # The submission that waits is none of this queue's.
    assert [one for one in checked if "filed" not in one.what] == []
    assert damaged == []
    done = await opened.do(AcceptMessage("new", (IntoMailbox(AccountId(3), arrived(HEARD), 0),)))
    placed = done.placed[0]
    assert placed is not None
    async with opened.snapshot() as snapshot:
        found = await snapshot.ask(messages.octets, placed.folder, placed.uid, Files(tmp_path / "messages"))
    assert found == HEARD
    await opened.close()


async def test_what_was_migrated_is_what_is_moved(earlier: tuple[str, str], shared_url: str, tmp_path: Path) -> None:
    """The same rows, by the step of the schema and by migrate-store: owners too; and back again to what there was."""
    _, url = earlier
    await filled(tmp_path)
    busier(tmp_path / "procura.db")
    await poured(tmp_path / "procura.db", url)
    connection = await asyncpg.connect(url.partition("?")[0])
    assert [step.number for step in await migrate_shared(connection, steps("postgres"), lambda: 0)] == [8, 9, 10]
    await relocate(SQLITE, shared_url, tmp_path, silent)
    moved = await asyncpg.connect(shared_url.partition("?")[0])
    for table in OWNED:
        asked = f'SELECT * FROM "{table}" AS one ORDER BY one'
        rows = [tuple(row) for row in await connection.fetch(asked)]
        assert rows, table
        assert rows == [tuple(row) for row in await moved.fetch(asked)], table
        assert all(row[0] > 0 for row in rows), table
    await moved.close()
    await connection.close()
    await relocate(url, BACK, tmp_path, silent)
    before, after = dict(dumped(tmp_path / "procura.db")), dict(dumped(tmp_path / "back.db"))
    # There was none in the schema of before: the step takes what was written last.
    assert (len(before.pop("clock")), len(after.pop("clock"))) == (0, 1)
    assert after == before
    assert octets_of(tmp_path / "back.db", tmp_path) == octets_of(tmp_path / "procura.db", tmp_path)


async def test_the_step_waits_for_no_node_of_before(earlier: tuple[str, str], cluster: Cluster, tmp_path: Path) -> None:
    database, url = earlier
    cluster.sql("SELECT procura_join('n', 'old.acme.test', 60000000, '/old', TRUE)", database)
    with pytest.raises(Unusable, match=r"0008.*old\.acme\.test"):
        await connect(url, tmp_path)
    assert cluster.sql("SELECT max(number) FROM migration", database) == "7"


def test_pages_of_messages_go_on_across_owners(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "MESSAGES", 2)
    # Of the one who comes later, a folder with a smaller number.
    for owner in (bench.bruno, bench.anna, bench.bruno):
        bench.do(AppendMessages(bench.inbox(owner), tuple(NewInFolder(letter(number)) for number in range(3)), 0))
    place: int | None = 0
    looked_at = 0
    while place is not None:
        page = bench.ask(verify.messages, place)
        assert page.findings == []
        looked_at += page.looked_at
        place = page.after
    assert looked_at == 9
