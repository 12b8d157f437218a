"""A choice of the live tests once more, with servers that keep everything in a database of PostgreSQL: what an administrator, an owner, a
delegate and mail itself do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.cluster import Cluster, missing
from tests.live.server import STORE, Server, compose

HERE = Path(__file__).parent
SOAKED = "PROCURA_SOAK" in os.environ
"""`make soak`: as many kills as on SQLite (test_crash.py)."""

# The words choose among the tests of a file (-k); all where there are none.
CHOSEN = {
    "test_lists.py": "",
    "test_sent_copies.py": "",
    "test_shared_folders.py": "",
    "test_recall.py": "by_move or by_copy or by_command or two_at_once",
    "test_shares.py": "one_command or behalf or without_a_server",
    "test_objects.py": "attribute or deleted or bad_input or cycle",
    "test_search_index.py": "delegates or expunged",
    "test_verify.py": "counts",
    "test_explained.py": "nobody_makes or in_the_store",
    "test_workers.py": "",
    "test_killed_processes.py": "not again_and_again",
    "test_crash.py": "again_and_again or doubles_at_most_once",
    "test_resets.py": "",
}


@pytest.fixture(scope="module")
def server(cluster: Cluster, shared_url_of_module: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("shared"), {"store": shared_url_of_module}) as running:
        running.people("anna")
        running.deliver("anna@acme.test", compose("far@elsewhere.test", "anna@acme.test", subject="one", text="some words"))
        running.wait_for("anna@acme.test")
        yield running


def verified(server: Server) -> list[tuple[str, str]]:
    done = server.run("verify", "--json", check=False)
    found = json.loads(done.stdout)
    assert done.returncode == (0 if found["whole"] else 1)
    return [(one["where"], one["what"]) for one in found["findings"]]


def test_what_is_changed_behind_its_back_is_found_and_named(server: Server) -> None:
    assert verified(server) == []
    with server.behind() as behind:
        ((blob, octets),) = behind.execute("SELECT id, octets FROM blob WHERE owner <> 0").fetchall()
        behind.execute("UPDATE blob SET octets = ? WHERE id = ?", (octets.replace(b"words", b"swords"), blob))
        behind.execute("UPDATE audit SET detail = 'x' WHERE number = 2")
        behind.execute("UPDATE folder SET messages = 7 WHERE path = '/INBOX'")
        behind.execute("SELECT setval('blob_id_seq', 1, false)")
    found = verified(server)
    assert [(where.split(" ")[0], what) for where, what in sorted(found)] == [
        ("blob", f"it says {len(octets)} octets, there are {len(octets) + 1}"),
        ("folder", "it says 7 messages, there are 1"),
        ("record", "changed"),
        ("table", f"number {blob} is given, but 0 counts as the last: it could be given twice"),
    ]
    with server.behind() as behind:
        behind.execute("UPDATE blob SET octets = ? WHERE id = ?", (octets, blob))
        behind.execute("UPDATE folder SET messages = 1 WHERE path = '/INBOX'")
        behind.execute("SELECT setval('blob_id_seq', ?)", (blob,))


def test_backup_and_restore_say_whose_work_it_is(server: Server, tmp_path: Path) -> None:
    done = server.run("backup", str(tmp_path / "backup"), check=False)
    assert (done.returncode, "pg_basebackup" in done.stderr) == (1, True), done.stderr
    assert json.loads(server.run("backup", "list", str(tmp_path / "backup"), "--json").stdout) == {"backups": [], "unfinished": []}
    done = server.run("restore", str(tmp_path / "backup"), check=False)
    assert (done.returncode, "migrate-store" in done.stderr) == (1, True), done.stderr


@pytest.mark.slow
@pytest.mark.timeout(7200 if SOAKED else 400)
@pytest.mark.parametrize("file", CHOSEN)
def test_live_tests_pass_there_too(file: str) -> None:
    why = missing()
    if why is not None:
        pytest.skip(why)
    scratch = tempfile.mkdtemp()
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", str(HERE / file), "-q", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={scratch}/t"),
                *(["-k", CHOSEN[file]] if CHOSEN[file] else []),
            ],
            env={**({} if SOAKED else {"PROCURA_ROUNDS": "6"}), **os.environ, STORE: "postgresql"},
            cwd=HERE.parents[1],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
