"""What is only so with a database of PostgreSQL: what is changed behind its back is found, and whose work a backup is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.cluster import Cluster
from tests.live.server import Server, compose


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
