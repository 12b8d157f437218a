"""Both engines have the same schema, but for what is named here, and mean the same by what statements say."""

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from store.migrate import migrate, steps
from store.relocation import OWNED, OWNER
from tests.live.cluster import Cluster

KINDS = {"bigint": "INTEGER", "text": "TEXT", "bytea": "BLOB"}

# SQLite takes NULL in a key that is a single INTEGER for "the next number"; it is never NULL in a row.
Columns = dict[str, dict[str, tuple[str, bool]]]
Keys = dict[str, set[tuple[str, ...]]]

# `migration`: each engine has steps of its own. The others: what several nodes on one database tell each other.
NOT_COMPARED = {"migration", "outcome", "deed_group", "node", "node_call", "policy_version", "shared_key", "wake"}

# Keys that begin with the account on PostgreSQL alone (store/README.md, "Where the keys begin"), and the column that does.
BEGIN_THERE = dict.fromkeys((*OWNED, "blob", "folder", "folder_entry", "deleted_folder"), "owner") | dict.fromkeys(
    ("app_password", "break_glass", "login_failure", "login_history", "password_history"), "account"
)
# Indices that are the beginning of such a key there.
IN_KEYS_THERE = {"deleted_folder_owner", "folder_entry_owner", "password_history_account"}


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(tmp_path_factory.mktemp("schema") / "procura.db", isolation_level=None)
    migrate(connection, steps(), lambda: 0)
    yield connection
    connection.close()


def tables(connection: sqlite3.Connection) -> list[str]:
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite^_%' ESCAPE '^' ORDER BY name")
    return [name for (name,) in found if name not in NOT_COMPARED]


def lines(cluster: Cluster, database: str, statement: str) -> list[list[str]]:
    return [line.split("|") for line in cluster.sql(statement, database).splitlines()]


def test_tables_and_columns_are_the_same(embedded: sqlite3.Connection, cluster: Cluster, migrated_database: str) -> None:
    ours: Columns = {}
    for table in tables(embedded):
        for _, name, kind, not_null, _, in_key in embedded.execute("SELECT * FROM pragma_table_info(?)", (table,)):
            ours.setdefault(table, {})[name] = (kind, bool(not_null or in_key))
    theirs: Columns = {}
    for table, name, kind, nullable in lines(
        cluster,
        migrated_database,
        "SELECT table_name, column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema = 'public'",
    ):
        if table not in NOT_COMPARED and not (table in OWNED and name == OWNER):
            theirs.setdefault(table, {})[name] = (KINDS[kind], nullable == "NO")
    assert theirs == ours


def test_columns_stand_in_the_same_order(embedded: sqlite3.Connection, cluster: Cluster, migrated_database: str) -> None:
    found: dict[str, list[str]] = {}
    for table, name in lines(
        cluster,
        migrated_database,
        """SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'
        ORDER BY table_name, ordinal_position""",
    ):
        found.setdefault(table, []).append(name)
    for table in tables(embedded):
        if table in OWNED:
            assert found[table].pop(0) == OWNER
        assert found[table] == [row[1] for row in embedded.execute("SELECT * FROM pragma_table_info(?)", (table,))]


def spelled(expression: str) -> str:
    """Without what each engine puts around it."""
    for noise in ("::text", "(", ")", '"', " ", "'"):
        expression = expression.replace(noise, "")
    return expression.replace("<>", "!=").lower()


def test_unique_keys_are_the_same(embedded: sqlite3.Connection, cluster: Cluster, migrated_database: str) -> None:
    ours: Keys = {}
    for table in tables(embedded):
        key = tuple(
            row[1] for row in sorted(embedded.execute("SELECT * FROM pragma_table_info(?)", (table,)), key=lambda row: row[5]) if row[5]
        )
        ours[table] = {key} if key else set()
        for _, index, unique, origin, _ in embedded.execute("SELECT * FROM pragma_index_list(?)", (table,)).fetchall():
            if unique and origin != "pk":
                (sql,) = embedded.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (index,)).fetchone()
                if sql is None:
                    ours[table].add(tuple(row[2] for row in embedded.execute("SELECT * FROM pragma_index_info(?)", (index,))))
                else:
                    ours[table].add((spelled(sql.partition(" ON ")[2].partition("(")[2]),))
    theirs: Keys = {table: set() for table in ours}
    for table, definition, constraint in lines(
        cluster,
        migrated_database,
        """SELECT t.relname, pg_get_indexdef(i.indexrelid), EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid)
        FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE i.indisunique AND t.relnamespace = 'public'::regnamespace""",
    ):
        if table in NOT_COMPARED:
            continue
        columns = definition.partition("USING btree (")[2]
        if constraint == "t":
            theirs[table].add(tuple(name.strip().strip('"') for name in columns.rstrip(")").split(",")))
        else:
            theirs[table].add((spelled(columns),))
    for table, account in BEGIN_THERE.items():
        others = {key for key in ours[table] if key != ("selector",) and "," not in key[0]}
        ours[table] = ours[table] - others | {(account, *(name for name in key if name != account)) for key in others}
    assert theirs == ours


def test_references_and_what_becomes_of_those_who_refer_are_the_same(
    embedded: sqlite3.Connection, cluster: Cluster, migrated_database: str
) -> None:
    ours = {
        (table, row[3], row[2], {"NO ACTION": "a", "CASCADE": "c", "SET NULL": "n"}[row[6]])
        for table in tables(embedded)
        for row in embedded.execute("SELECT * FROM pragma_foreign_key_list(?)", (table,))
    }
    theirs = lines(
        cluster,
        migrated_database,
        """SELECT conrelid::regclass, a.attname, confrelid::regclass, confdeltype FROM pg_constraint c
        JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[cardinality(c.conkey)] WHERE contype = 'f'""",
    )
    found = {(table.strip('"'), column, parent.strip('"'), deletes) for table, column, parent, deletes in theirs}
    assert {one for one in found if one[0] not in NOT_COMPARED} == ours


def test_what_is_looked_up_by_an_index_there_is_so_here(embedded: sqlite3.Connection, cluster: Cluster, migrated_database: str) -> None:
    ours = {name for (name,) in embedded.execute("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")}
    theirs = {name for (name,) in lines(cluster, migrated_database, "SELECT indexname FROM pg_indexes WHERE schemaname = 'public'")}
    assert ours - IN_KEYS_THERE <= theirs
    assert not IN_KEYS_THERE & theirs


def test_every_text_is_compared_by_its_octets(cluster: Cluster, migrated_database: str) -> None:
    otherwise = cluster.sql(
        """SELECT attrelid::regclass || '.' || attname FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid
        WHERE t.relkind = 'r' AND t.relnamespace = 'public'::regnamespace AND attnum > 0 AND atttypid = 'text'::regtype
        AND attcollation <> (SELECT oid FROM pg_collation WHERE collname = 'C')""",
        migrated_database,
    )
    assert otherwise == ""


def test_only_steps_of_the_store_are_functions_and_triggers(embedded: sqlite3.Connection, cluster: Cluster, migrated_database: str) -> None:
    """A trigger there is one here, though one of PostgreSQL's may stand for two."""
    ours = {name for (name,) in embedded.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'")}
    theirs = {name for (name,) in lines(cluster, migrated_database, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal")}
    assert {name for name in ours if not any(name.startswith(other) for other in theirs)} == set()
    assert all(any(name.startswith(other) for name in ours) for other in theirs)


# What statements and search.py say, on values that people send. Each says the same on both.
SAYINGS = [
    "lower('ÄÖ Straße İI ÀB')",
    "lower('Kelvin K')",
    "instr('straße', 'ß')",
    "instr('abc', '')",
    "instr('abc', 'd')",
    "instr('a%b_c', '%b_')",
    "-7 / 2",
    "7 / 2",
    "-86400000001 / 86400000000",
    "(flags & ~1) | 8",
    "flags >> 3 & 1",
    "flags & 4294967295",
    "key >> 32",
    "'Z' < 'a'",
    "'é' < 'z'",
    "'a' < 'B'",
    "'a ' = 'a'",
    "'10' < '9'",
    "length('Straße')",
    "coalesce(NULL, 5)",
    "CASE WHEN NULL > 1 THEN 1 ELSE 2 END",
    "'A' LIKE 'A'",
    "substr('abcdef', 2, 3)",
]


@pytest.fixture(scope="module")
def said(cluster: Cluster, migrated_database: str) -> dict[str, object]:
    async def ask() -> dict[str, object]:
        connection = await asyncpg.connect(cluster.dsn(migrated_database))
        found = {one: await connection.fetchval(f"SELECT {one} FROM {ROW}") for one in SAYINGS}
        await connection.close()
        return found

    return asyncio.run(ask())


ROW = "(SELECT 4611686018427387913 AS flags, 30064771079 AS key) AS x"


@pytest.mark.parametrize("saying", SAYINGS)
def test_both_engines_mean_the_same(saying: str, said: dict[str, object], embedded: sqlite3.Connection) -> None:
    assert said[saying] == embedded.execute(f"SELECT {saying} FROM {ROW}").fetchone()[0]


def test_no_statement_compares_by_patterns() -> None:
    """LIKE folds case on SQLite and not on PostgreSQL: nobody needs it."""
    for file in (Path(__file__).parents[2] / "store" / "sql").rglob("*.sql"):
        text = file.read_text().replace("name NOT LIKE 'sqlite^_%'", "")
        assert " LIKE " not in text, file
        assert " GLOB " not in text, file


def test_texts_come_in_the_order_of_their_octets(cluster: Cluster, migrated_database: str, embedded: sqlite3.Connection) -> None:
    words = ["b", "B", "a", "Ä", "ä", "zz", "z", "/", "é", "e", "", "~", "Z", "\U0001f600", "\uffee"]
    values = ", ".join(f"('{word}')" for word in words)
    statement = f"WITH given (word) AS (VALUES {values}) SELECT word FROM given ORDER BY word"
    ours = [word for (word,) in embedded.execute(statement)]
    assert ours == sorted(words, key=lambda word: word.encode())
    theirs = cluster.sql(statement.replace("ORDER BY word", 'ORDER BY word COLLATE "C"'), migrated_database)
    assert theirs.split("\n") == ours
