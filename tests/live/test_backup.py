"""Backups while mail comes in, and restoring them: by the real command."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from tests.live.installation import ANNA, LARGE, filled, flip, letter, run, server_in
from tests.live.picture import picture
from tests.live.server import Server, compose


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
        assert run(new, "restore", backup, "--at", str(one["id"]))
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
            assert int(after[folder][0]) > int(seen[0])


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
    assert [one["id"] for one in listed["backups"]] == [ids[2], last["id"]]
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
    assert [digest in one for one in found["faults"]] == [True]
    new = server_in(tmp_path / "new")
    done = new.run("restore", str(backup), check=False)
    assert (done.returncode, digest in done.stderr) == (1, True)
    assert [one.name for one in new.data.iterdir()] == ["procura.lock"]
    flip(contents, 20)
    assert "list of" in str(run(office, "backup", "verify", str(backup), status=1)["faults"])


def test_mail_that_waited_is_held_after_a_restore_and_goes_on_after_a_move(tmp_path: Path) -> None:
    server = server_in(tmp_path / "server")
    server.people("anna", "bruno")
    server.prov(f"ma {ANNA} status maintenance")
    backup = str(tmp_path / "backup")
    with server:
        with server.smtp("bruno@acme.test") as client:
            client.sendmail("bruno@acme.test", [ANNA], compose("bruno@acme.test", ANNA))
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
