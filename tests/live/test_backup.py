"""Backups while mail comes in, restoring them, what is damaged and named, and what a kill leaves behind: by the real command."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.picture import picture
from tests.live.server import Server, compose

ANNA = "anna@acme.test"
LARGE = 90_000
"""Octets of a text that makes the message a file."""


def letter(number: int, size: int = 10) -> bytes:
    return compose("stan@elsewhere.test", ANNA, f"number {number}", f"{number} " + "x" * size)


def server_in(directory: Path) -> Server:
    directory.mkdir(parents=True, exist_ok=True)
    return Server(directory)


def filled(directory: Path, large: int = 3) -> Server:
    """A server that has run, with mail in rows and in files, flags, folders and grants; it is stopped."""
    server = server_in(directory)
    server.people("anna", "bruno")
    with server:
        for number in range(large):
            server.deliver(ANNA, letter(number, LARGE))
        server.deliver(ANNA, letter(100))
        client = server.imap(ANNA)
        client.create("Work/Acme")
        client.subscribe("Work/Acme")
        client.select("INBOX")
        client.uid("COPY", "1:2", "Work/Acme")
        client.uid("STORE", "2", "+FLAGS", "(\\Flagged $Important)")
        client.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        client.expunge()
        client.logout()
        server.prov("sm anna@acme.test mfg /Work account bruno@acme.test rw")
    return server


def run(server: Server, *arguments: str, status: int = 0) -> dict[str, object]:
    done = server.run(*arguments, "--json", check=False)
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def begun(server: Server, *arguments: str) -> subprocess.Popen[bytes]:
    """A command that goes on while we look."""
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-m", "gateway", *arguments],
        env={**server.environment, "PYTHONPATH": str(root)},
        cwd=server.directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def killed_when(process: subprocess.Popen[bytes], condition: Callable[[], bool], seconds: float = 30) -> bool:
    """kill -9 as soon as it holds; False: the command ended before that."""
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        if condition():
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
    process.kill()
    process.wait()
    return False


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Server:
    return filled(tmp_path_factory.mktemp("office"))


def test_a_backup_while_mail_comes_in_has_all_that_was_accepted_before(tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    server = server_in(tmp_path / "old")
    server.people("anna")
    accepted: list[int] = []
    enough = threading.Event()

    def bring() -> None:
        number = 0
        while not enough.is_set():
            server.deliver(ANNA, letter(number, LARGE if number % 3 == 0 else 10))
            accepted.append(number)
            number += 1

    with server:
        bringing = threading.Thread(target=bring)
        bringing.start()
        try:
            while len(accepted) < 10:
                time.sleep(0.01)
            before: list[list[int]] = []
            made = []
            for _ in range(3):
                before.append(list(accepted))
                made.append(run(server, "backup", backup))
        finally:
            enough.set()
            bringing.join()
        assert len(accepted) > len(before[-1])
        assert run(server, "backup", "verify", backup)["whole"]
        assert run(server, "verify")["whole"]
    # Only what is new is copied again.
    assert [one["added"] < one["octets"] for one in made[1:]] == [True, True]
    for number, one in enumerate(made):
        new = server_in(tmp_path / f"new{number}")
        assert run(new, "restore", backup, "--at", str(one["at"]))
        with new:
            assert run(new, "verify")["whole"]
            there = new.messages(ANNA)
        subjects = [int(octets.split(b"Subject: number ")[1].split(b"\r\n")[0]) for octets in there]
        assert subjects[: len(before[0])] == before[0]
        assert subjects == list(range(len(subjects)))


def test_what_is_moved_looks_the_same_and_what_is_restored_has_new_numbers(office: Server, tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    with office:
        before = picture(office, ANNA)
        without = picture(office, ANNA, numbers=False)
        assert run(office, "backup", backup)["files"] == 3
    moved, restored = server_in(tmp_path / "moved"), server_in(tmp_path / "restored")
    assert run(moved, "restore", backup, "--moved")["held"] is None
    assert run(restored, "restore", backup)["held"] == 0
    with moved:
        assert picture(moved, ANNA) == before
        assert run(moved, "verify")["whole"]
    with restored:
        after = picture(restored, ANNA)
        assert picture(restored, ANNA, numbers=False) == without
        assert run(restored, "verify")["whole"]
        assert restored.run("audit", "verify").stdout.startswith("OK")
    for folder, seen in before.items():
        if folder != "subscribed":
            assert int(after[folder][0]) > int(seen[0])  # type: ignore[index]


def test_a_directory_that_has_something_in_it_is_not_restored_into(office: Server, tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    run(office, "backup", backup)
    before = sorted(office.data.iterdir())
    done = office.run("restore", backup, check=False)
    assert (done.returncode, "is not empty" in done.stderr) == (1, True)
    assert sorted(office.data.iterdir()) == before
    with office:
        done = office.run("restore", backup, check=False)
        assert (done.returncode, "another procura" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("backup", "list", "nowhere"), "is no directory of backups"),
        (("restore", "nowhere"), "is no directory of backups"),
        (("backup", "data/x"), "lies in the directory of data"),
        (("backup", "."), "has other things in it"),
    ],
    ids=" ".join,
)
def test_directories_that_cannot_be_are_refused(office: Server, arguments: tuple[str, ...], said: str) -> None:
    other = () if arguments[0] == "backup" else ("--data", str(office.directory / "empty"))
    done = office.run(*arguments, *other, check=False)
    assert (done.returncode, said in done.stderr) == (1, True), done.stderr
    assert done.stderr.startswith("ERROR: service.INVALID_REQUEST")


def test_wrong_usage(office: Server) -> None:
    for arguments in (("backup",), ("backup", "a", "b"), ("backup", "a", "--keep", "0"), ("restore",), ("verify", "x")):
        assert office.run(*arguments, check=False).returncode == 2, arguments


def test_only_so_many_are_kept_and_the_others_stay_whole(office: Server, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    ids = [run(office, "backup", str(backup))["id"] for _ in range(3)]
    last = run(office, "backup", str(backup), "--keep", "2")
    assert last["removed"] == ids[:2]
    listed = run(office, "backup", "list", str(backup))
    assert [one["id"] for one in listed["backups"]] == [ids[2], last["id"]]  # type: ignore[attr-defined]
    assert run(office, "backup", "verify", str(backup))["whole"]
    named = set()
    for one in (backup / "runs").glob("*/contents"):
        named |= {line.split()[1] for line in one.read_text().splitlines()}
    assert {one.name for one in (backup / "objects").glob("*/*")} == named


def test_a_flipped_octet_in_a_backup_is_found_named_and_not_restored(office: Server, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    made = run(office, "backup", str(backup))
    contents = backup / "runs" / str(made["id"]) / "contents"
    digest = next(line.split()[1] for line in contents.read_text().splitlines() if line.startswith("message "))
    flip(backup / "objects" / digest[:2] / digest, 40_000)
    found = run(office, "backup", "verify", str(backup), status=1)
    assert [digest in one for one in found["faults"]] == [True]  # type: ignore[attr-defined]
    new = server_in(tmp_path / "new")
    done = new.run("restore", str(backup), check=False)
    assert (done.returncode, digest in done.stderr) == (1, True)
    assert [one.name for one in new.data.iterdir()] == ["procura.lock"]
    flip(contents, 20)
    assert "list of" in str(run(office, "backup", "verify", str(backup), status=1)["faults"])


def flip(file: Path, place: int) -> None:
    with file.open("r+b") as octets:
        octets.seek(place)
        (one,) = octets.read(1)
        octets.seek(place)
        octets.write(bytes([one ^ 0x20]))


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
        said = {str(one["where"]).split(" ")[1]: one["what"] for one in found["findings"]}  # type: ignore[attr-defined]
        assert said == {
            f"{first.parent.name}/{first.name}": "its octets are not those that were stored",
            f"{second.parent.name}/{second.name}": "it is gone",
            f"{third.parent.name}/{third.name}": said[f"{third.parent.name}/{third.name}"],
        }
        assert str(said[f"{third.parent.name}/{third.name}"]).endswith("there were " + str(third.stat().st_size - 1))
        # A backup says so too, and has all the rest.
        made = run(server, "backup", str(tmp_path / "backup"), status=1)
        assert sorted(made["missing"]) == sorted(said)[: len(said)]  # type: ignore[call-overload]


def test_a_flipped_octet_in_the_database_is_found_and_named(tmp_path: Path) -> None:
    server = filled(tmp_path)
    database = server.data / "procura.db"
    whole = database.read_bytes()
    # Octets of a message that lies in a row: the engine cannot know, the hash does.
    flip(database, whole.index(b"100 xxxxxxxxxx\r\n"))
    found = run(server, "verify", status=1)
    (only,) = found["findings"]  # type: ignore[misc]
    assert only["where"].startswith("blob "), only
    assert only["what"] == "its octets are not those that were stored"
    # The record of decisions.
    database.write_bytes(whole)
    place = whole.index(b"account created")
    flip(database, place)
    assert [str(one["where"]) for one in run(server, "verify", status=1)["findings"]] == ["record 2 of the audit"]  # type: ignore[attr-defined]
    # The head of a page that has a table's rows.
    database.write_bytes(whole)
    with sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'head'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    flip(database, (page - 1) * size + 4)
    found = run(server, "verify", status=1)
    assert any("head" in str(one["where"]) for one in found["findings"])  # type: ignore[attr-defined]
    done = server.run("backup", str(tmp_path / "backup"), check=False)
    assert (done.returncode, "the database is damaged" in done.stderr) == (1, True)
    assert run(server, "backup", "list", str(tmp_path / "backup")) == {"backups": [], "unfinished": []}


def test_counts_that_are_wrong_are_named_and_made_anew_only_when_asked(tmp_path: Path) -> None:
    server = filled(tmp_path)
    with server:
        before = picture(server, ANNA)
    with sqlite3.connect(server.data / "procura.db") as connection:
        connection.execute("UPDATE folder SET messages = messages + 3, unseen = 9, uidnext = 2 WHERE path = '/INBOX' AND owner = 1")
        connection.execute("UPDATE folder SET size = size - 1 WHERE path = '/Work/Acme'")
        connection.execute("UPDATE account SET used = 5 WHERE id = 1")
    connection.close()
    for _ in range(2):
        found = run(server, "verify", status=1)
        said = sorted(f"{one['where']}: {one['what']}" for one in found["findings"])  # type: ignore[attr-defined]
        assert [line.split(" ")[0] for line in said] == ["account", "folder", "folder", "folder", "folder"], said
        assert found["repaired"] == 0
    with server:
        assert run(server, "verify", "--repair", status=1)["repaired"] == 3
        assert run(server, "verify") == {**run(server, "verify"), "whole": True, "findings": []}
        after = picture(server, ANNA)
        assert after == before
        assert "counts repaired" in server.run("audit", "list").stdout


def test_a_killed_backup_leaves_the_others_whole_and_the_next_one_clears_up(tmp_path: Path) -> None:
    server = filled(tmp_path / "server", large=25)
    backup = tmp_path / "backup"
    first = run(server, "backup", str(backup))
    for file in (backup / "objects").glob("*/*"):
        assert file.stat().st_mode & 0o777 == 0o600
    kills = 0
    for number in range(3):
        other = tmp_path / f"empty{number}"
        process = begun(server, "backup", str(other))
        kills += killed_when(process, lambda other=other, number=number: len(list(other.glob("objects/*/*"))) > number * 8)  # type: ignore[misc]
        if other.joinpath("procura-backups").exists():
            assert [one["id"] for one in run(server, "backup", "list", str(other))["backups"]] == []  # type: ignore[attr-defined]
            assert run(server, "backup", str(other))["files"] == 25
            assert run(server, "backup", "list", str(other))["unfinished"] == []
    assert kills > 0
    # With a server: the server is killed in it, and the command line is killed in it.
    with server:
        server.deliver(ANNA, letter(500, LARGE))
        process = begun(server, "backup", str(backup))
        killed = killed_when(process, lambda: any(backup.glob("runs/*.unfinished")))
        end = time.monotonic() + 20
        while run(server, "backup", "list", str(backup))["unfinished"] and time.monotonic() < end:
            time.sleep(0.05)
        assert run(server, "backup", "list", str(backup))["unfinished"] == [] or not killed
        process = begun(server, "backup", str(backup))
        while process.poll() is None and not any(backup.glob("runs/*.unfinished")):
            pass
        server.kill()
        process.wait(20)
        server.start()
        assert run(server, "backup", "verify", str(backup), str(first["id"]))["whole"]
        assert run(server, "backup", str(backup))["files"] == 26
        assert run(server, "backup", "verify", str(backup))["whole"]


def test_a_killed_restore_is_known_by_the_server_and_can_be_done_again(tmp_path: Path) -> None:
    server = filled(tmp_path / "server", large=25)
    backup = tmp_path / "backup"
    run(server, "backup", str(backup))
    with server:
        before = picture(server, ANNA)
    new = server_in(tmp_path / "new")
    steps: list[Callable[[], bool]] = [
        lambda: (new.data / ".restoring").exists(),
        lambda: len(list((new.data / ".restoring").glob("messages/*/*"))) > 10,
        lambda: (new.data / ".restoring" / "moving").exists(),
    ]
    kills = 0
    for step in steps:
        if not killed_when(begun(new, "restore", str(backup), "--moved"), step):
            break
        kills += 1
        if (new.data / ".restoring").exists():
            done = new.run("verify", check=False)
            assert (done.returncode, "a restore was not finished" in done.stderr) == (1, True), done.stderr
    assert kills >= 2
    if not (new.data / "procura.db").exists() or (new.data / ".restoring").exists():
        run(new, "restore", str(backup), "--moved")
    with new:
        assert picture(new, ANNA) == before
        assert run(new, "verify")["whole"]


def test_a_full_disk_ends_a_backup_with_a_reason_and_leaves_the_others(tmp_path: Path) -> None:
    server = filled(tmp_path / "server")
    backup = tmp_path / "backup"
    with server:
        first = run(server, "backup", str(backup))
        assert server.process is not None
        server.deliver(ANNA, letter(7, LARGE))
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4_096, resource.RLIM_INFINITY))
        done = server.run("backup", str(backup), check=False)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert done.returncode == 1
        assert done.stderr.startswith("ERROR: service."), done.stderr
        assert run(server, "backup", "verify", str(backup))["whole"]
        listed = run(server, "backup", "list", str(backup))
        assert ([one["id"] for one in listed["backups"]], listed["unfinished"]) == ([first["id"]], [])  # type: ignore[attr-defined]
        assert run(server, "backup", str(backup))["files"] == 4


def test_mail_that_waited_is_held_after_a_restore_and_goes_on_after_a_move(tmp_path: Path) -> None:
    server = server_in(tmp_path / "server")
    server.people("anna")
    server.prov(f"ma {ANNA} status maintenance")
    backup = str(tmp_path / "backup")
    with server:
        server.deliver(ANNA, letter(1))
        run(server, "backup", backup)
    restored, moved = server_in(tmp_path / "restored"), server_in(tmp_path / "moved")
    assert run(restored, "restore", backup)["held"] == 1
    run(moved, "restore", backup, "--moved")
    with restored:
        restored.prov(f"ma {ANNA} status active")
        (row,) = json.loads(restored.run("queue", "list", "--json").stdout)
        assert row["heldBy"] == "operator"
        restored.run("queue", "release", str(row["id"]))
        restored.wait_for(ANNA)
    with moved:
        moved.prov(f"ma {ANNA} status active")
        moved.wait_for(ANNA)


def test_progress_is_shown_where_it_is_asked_for(office: Server, tmp_path: Path) -> None:
    with office:
        done = office.run("verify", "--progress")
        assert "%" in done.stderr or "search index" in done.stderr
        assert office.run("verify").stderr == ""
        assert "%" in office.run("backup", str(tmp_path / "b"), "--progress").stderr
