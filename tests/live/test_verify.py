"""What is damaged is found and named, and nothing is repaired unasked: by the real command."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from tests.live.installation import ANNA, filled, flip, run
from tests.live.picture import picture


def test_a_flipped_octet_in_a_file_of_a_message_is_found_while_the_server_runs(tmp_path: Path) -> None:
    server = filled(tmp_path)
    with server:
        assert run(server, "verify")["whole"]
        first, second, third = sorted((server.data / "messages").glob("*/*"))
        flip(first, 50_000)
        second.unlink()
        with third.open("ab") as file:
            file.write(b"x")
        found = run(server, "verify", status=1)
        said = {str(one["where"]).split(" ")[1]: one["what"] for one in found["findings"]}
        assert said == {
            f"{first.parent.name}/{first.name}": "its octets are not those that were stored",
            f"{second.parent.name}/{second.name}": "it is gone",
            f"{third.parent.name}/{third.name}": said[f"{third.parent.name}/{third.name}"],
        }
        assert str(said[f"{third.parent.name}/{third.name}"]).endswith("there were " + str(third.stat().st_size - 1))
        # A backup says so too, and has all the rest.
        made = run(server, "backup", str(tmp_path / "backup"), status=1)
        assert sorted(made["missing"]) == sorted(said)[: len(said)]


def test_a_flipped_octet_in_the_database_is_found_and_named(tmp_path: Path) -> None:
    server = filled(tmp_path)
    database = server.data / "procura.db"
    whole = database.read_bytes()
    # Octets of a message that lies in a row: the engine cannot know, the hash does.
    flip(database, whole.index(b"100 xxxxxxxxxx\r\n"))
    found = run(server, "verify", status=1)
    (only,) = found["findings"]
    assert only["where"].startswith("blob "), only
    assert only["what"] == "its octets are not those that were stored"
    # The record of decisions.
    database.write_bytes(whole)
    place = whole.index(b"account created")
    flip(database, place)
    assert [str(one["where"]) for one in run(server, "verify", status=1)["findings"]] == ["record 3 of the audit"]
    # The head of a page that has a table's rows.
    database.write_bytes(whole)
    with sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'head'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    flip(database, (page - 1) * size + 4)
    found = run(server, "verify", status=1)
    assert any("head" in str(one["where"]) for one in found["findings"])
    done = server.run("backup", str(tmp_path / "backup"), check=False)
    assert (done.returncode, "the database is damaged" in done.stderr) == (1, True)
    assert run(server, "backup", "list", str(tmp_path / "backup")) == {"backups": [], "unfinished": []}


def test_counts_that_are_wrong_are_named_and_made_anew_only_when_asked(tmp_path: Path) -> None:
    server = filled(tmp_path)
    with server:
        before = picture(server, ANNA)
    with server.behind() as connection:
        connection.execute("UPDATE folder SET messages = messages + 3, unseen = 9, uidnext = 2 WHERE path = '/INBOX' AND owner = 1")
        connection.execute("UPDATE folder SET size = size - 1 WHERE path = '/Work/Acme'")
        connection.execute("UPDATE account SET used = 5 WHERE id = 1")
    for _ in range(2):
        found = run(server, "verify", status=1)
        said = sorted(f"{one['where']}: {one['what']}" for one in found["findings"])
        assert [line.split(" ")[0] for line in said] == ["account"] + ["folder"] * 5, said
        assert found["repaired"] == 0
    with server:
        assert run(server, "verify", "--repair", status=1)["repaired"] == 3
        assert run(server, "verify") == {**run(server, "verify"), "whole": True, "findings": []}
        after = picture(server, ANNA)
        assert after == before
        assert "counts repaired" in server.run("audit", "list").stdout
