import ast
import asyncio
import re
import sqlite3
from pathlib import Path

import asyncpg
import pytest

from store.migrate import migrate, steps
from store.numbered import numbered
from store.statements import BadStatements, load, read
from tests.live.cluster import Cluster

STORE = Path(__file__).parents[2] / "store"
STATEMENTS = load("sqlite")
SHARED = load("postgres")


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> sqlite3.Connection:
    connection = sqlite3.connect(tmp_path_factory.mktemp("schema") / "procura.db", isolation_level=None)
    migrate(connection, steps(), lambda: 0)
    return connection


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_each_statement_prepares_on_the_migrated_schema(name: str, migrated: sqlite3.Connection) -> None:
    parameters = dict.fromkeys(re.findall(r":([a-z_]+)", STATEMENTS[name]))
    migrated.execute(f"EXPLAIN {STATEMENTS[name]}", parameters).fetchall()


@pytest.fixture(scope="module")
def prepared(cluster: Cluster, migrated_database: str) -> dict[str, str | tuple[dict[str, str], list[str]]]:
    """By statement: what PostgreSQL says against it, or the types of its parameters and columns."""

    async def prepare() -> dict[str, str | tuple[dict[str, str], list[str]]]:
        found: dict[str, str | tuple[dict[str, str], list[str]]] = {}
        connection = await asyncpg.connect(cluster.dsn(migrated_database))
        for name, statement in SHARED.items():
            ours = numbered(statement)
            try:
                ready = await connection.prepare(ours.sql)
            except asyncpg.PostgresError as error:
                found[name] = str(error)
                continue
            types = {name: kind.name for name, kind in zip(ours.names, ready.get_parameters(), strict=True)}
            found[name] = (types, [column.type.name for column in ready.get_attributes()])
        await connection.close()
        return found

    return asyncio.run(prepare())


# A parameter of another type would refuse values that SQLite takes: numbers are of eight octets wherever they stand.
SMALL = {("messages.beginnings", "count"): "int4"}


@pytest.mark.parametrize("name", sorted(SHARED))
def test_each_statement_prepares_on_postgresql_and_takes_what_sqlite_takes(
    name: str, prepared: dict[str, str | tuple[dict[str, str], list[str]]]
) -> None:
    found = prepared[name]
    assert not isinstance(found, str), found
    parameters, columns = found
    odd = {one: kind for one, kind in parameters.items() if kind not in ("int8", "text", "bytea") and (name, one) not in SMALL}
    assert odd == {}
    # A sum would be a Decimal; what is true or false is 1 or 0 in Python too.
    assert set(columns) <= {"int8", "int4", "text", "bytea", "bool"}


def test_each_statement_that_looks_something_up_has_an_index_on_postgresql_too(cluster: Cluster, migrated_database: str) -> None:
    async def scanning() -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        connection = await asyncpg.connect(cluster.dsn(migrated_database))
        # An empty table is read whole, whatever there is: so it is asked what it would do if it may not.
        await connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
        for name, statement in SHARED.items():
            if name in SCANS or name.startswith("verify."):
                continue
            ours = numbered(statement)
            await connection.execute(f"PREPARE one AS {ours.sql}")
            given = f"({', '.join(['NULL'] * len(ours.names))})" if ours.names else ""
            plan = [row[0] for row in await connection.fetch(f"EXPLAIN (COSTS OFF) EXECUTE one{given}")]
            await connection.execute("DEALLOCATE one")
            scans = [step.strip() for step in plan if "Seq Scan" in step]
            if scans:
                found[name] = scans
        await connection.close()
        return found

    assert asyncio.run(scanning()) == {}


def test_what_a_dialect_has_of_its_own_takes_and_gives_what_the_shared_statement_does() -> None:
    own = {name for file in (STORE / "sql" / "postgres").glob("*.sql") for name in read(file.stem, file.read_text())}
    assert own <= set(STATEMENTS), "no statement of one engine alone"
    for name in sorted(own):
        assert set(numbered(SHARED[name]).names) == set(numbered(STATEMENTS[name]).names), name


@pytest.mark.parametrize("name", sorted(STATEMENTS))
def test_each_statement_that_looks_something_up_has_an_index(name: str, migrated: sqlite3.Connection) -> None:
    if name in SCANS or name.startswith("verify."):  # what verifies looks at everything
        return
    parameters = dict.fromkeys(re.findall(r":([a-z_]+)", STATEMENTS[name]))
    plan = [row[3] for row in migrated.execute(f"EXPLAIN QUERY PLAN {STATEMENTS[name]}", parameters)]
    scans = [step for step in plan if step.startswith("SCAN") and not re.match(r"SCAN (edge|CONSTANT ROW|\d|\(|excluded)", step)]
    assert scans == []


SCANS = {
    "applied.epochs": "one row for each scope, by who runs policy",
    "applied.last": "from the last one, by the primary key, as far as one that stands",
    "cos.all_of_them": "all of them",
    "digest.begin": "all of them, once an hour",
    "digest.due": "pages, by the primary key",
    "dkim.all_of_them": "all of them",
    "dynamic.filters": "all of them, a few hundred at most",
    "dynamic.count": "the same",
    "dynamic.unjudged": "what one deed left",
    "dynamic.all_judged": "the same",
    "domains.all_of_them": "all of them",
    "folders.by_ids": "the list of numbers it is given",
    "folders.figures": "the same",
    "messages.change_keys": "the list of keys it is given",
    "audit.head": "the last one, by the primary key",
    "audit.newest": "pages, by the primary key",
    "breakglass.newest": "pages, by the primary key",
    "audit.keys": "a handful",
    "audit.last_head": "the last one, by the primary key",
    "accounts.global_administrators": "an index of the few that are",
    "accounts.of_domain": "pages, by the primary key",
    "accounts.allowed_from": "an index of the few that may use foreign addresses",
    "accounts.classes_allowing": "all of them",
    "grants.accounts": "all of them, as far as the limit",
    "grants.accounts_in_cos": "every domain, and of each that has the class its accounts, as far as the limit",
    "lists.of_domain": "pages, by the primary key",
    "stepped.ages": "the whole queue, when a clock was set",
    "stepped.ahead_ages": "the whole queue, when an operator says that the clock is right",
    "stepped.ahead_due": "the same",
    "stepped.ahead_moments": "the same",
    "stepped.deleted": "the same, of deleted accounts",
    "stepped.digests": "the same, of owners who are told",
    "stepped.due": "the whole queue, when a clock was set",
    "stepped.failures": "the same, of failed logins",
    "stepped.lockouts": "the same, of those who are locked out",
    "stepped.moments": "the whole queue, when a clock was set",
    "totp.ahead": "all of them, when an operator says that the clock is right",
    "tenure.entries_unused": "every entry, in a thread, for an operator",
    "tenure.grants_unused": "every grant, in a thread, for an operator",
    "refusals.forget": "from the oldest, by the primary key, of 20,000",
    "renaming.account_values": "all of them, when a domain is renamed",
    "renaming.cos_values": "the same",
    "renaming.deleted": "the same",
    "renaming.judge_again": "whether there is one",
    "renaming.recipients": "the same",
    "renaming.requests": "the same",
    "renaming.reverse_paths": "the same",
    "shares.page": "pages, by the primary key",
    "blobs.loose": "all that is loose",
    "blobs.newest": "one row for each table that counts",
    "blobs.gone": "the blobs that are asked about",
    "changes.long": "all folders, by the sweep",
    "folders.forget_filed": "a table of a quarter of an hour",
    "freezes.of_side": "all of them, and they are few",
    "renewal.skip_numbers": "one row for each table that counts",
    "renewal.stop_queue": "all of them, after a restore",
    "queue.retry_all": "all of them, by hand",
    "queue.free_leases": "all of them, at the start",
    "queue.totals": "all of them, for an operator",
    "queue.rows_up_to": "any rows, as far as the limit",
    "list_bounces.untold": "a partial index of those few that the owners do not know",
    "list_requests.page": "pages, by the primary key",
    "queue.by_destination": "all of them, for an operator",
    "roles.globals": "an index of the few that are",
}


def named_in_code(stem: str) -> set[str]:
    """Every text in a module that could be a statement's name; f"x.{y}" counts for every name that begins so."""
    found: set[str] = set()
    tree = ast.parse((STORE / f"{stem}.py").read_text(encoding="utf-8"))
    pieces = {id(piece) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for piece in node.values}
    for node in ast.walk(tree):
        if id(node) in pieces:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and re.fullmatch(r"[a-z_]+\.[a-z0-9_]+", node.value):
            found.add(node.value)
        elif isinstance(node, ast.JoinedStr) and isinstance(node.values[0], ast.Constant):
            start = str(node.values[0].value)
            if re.fullmatch(r"[a-z_]+\.[a-z0-9_]*", start):
                parts = {text.value for text in ast.walk(tree) if isinstance(text, ast.Constant) and isinstance(text.value, str)}
                found.update(name for name in STATEMENTS if name.startswith(start) and name.removeprefix(start).lstrip("_") in parts)
    return found


def test_no_statement_is_unused_and_none_is_missing() -> None:
    # Those of search.db are prepared on its own schema, in test_fulltext.py.
    stems = {file.stem for file in (STORE / "sql").rglob("*.sql")} - {"fulltext"}
    used = set().union(*(named_in_code(file.stem) for file in STORE.glob("*.py")))
    used = {name for name in used if name.split(".")[0] in stems}
    assert set(STATEMENTS) - used == set(), "unused"
    assert used - set(STATEMENTS) == set(), "missing"


def test_each_file_of_statements_has_its_module() -> None:
    for file in (STORE / "sql").rglob("*.sql"):
        assert (STORE / f"{file.stem}.py").exists(), file.name


def test_comments_go_and_texts_stay() -> None:
    found = read("x", "-- one\nSELECT '--: not a comment', a -- :gone\nFROM b /* :gone too */ WHERE c = :c;\n\n-- two\nSELECT 2\n")
    assert found == {"x.one": "SELECT '--: not a comment', a\nFROM b   WHERE c = :c", "x.two": "SELECT 2"}


@pytest.mark.parametrize(
    "text",
    ["SELECT 1", "-- one\n-- two\nSELECT 1", "-- one\nSELECT 1;\n-- one\nSELECT 2;", "SELECT 1;\n-- one\nSELECT 2"],
    ids=["no name", "empty", "twice", "before the first name"],
)
def test_a_file_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(BadStatements):
        read("x", text)


def test_a_dialect_puts_its_own_in_the_place_of_a_namesake(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "x.sql").write_text("-- one\nSELECT 1\n-- two\nSELECT 2")
    (tmp_path / "other" / "x.sql").write_text("-- two\nSELECT 3")
    assert load("other", tmp_path) == {"x.one": "SELECT 1", "x.two": "SELECT 3"}
