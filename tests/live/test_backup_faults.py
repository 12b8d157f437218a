"""A backup or a restore that is killed, or runs out of room: what was whole before stays whole."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

from tests.live.installation import ANNA, LARGE, begun, filled, killed_when, letter, run, server_in
from tests.live.picture import picture


def test_a_killed_backup_leaves_the_others_whole_and_the_next_one_clears_up(tmp_path: Path) -> None:
    server = filled(tmp_path / "server", large=15)
    backup = tmp_path / "backup"
    first = run(server, "backup", str(backup))
    for file in (backup / "objects").glob("*/*"):
        assert file.stat().st_mode & 0o777 == 0o600
    kills = 0
    for number in range(2):
        other = tmp_path / f"empty{number}"
        process = begun(server, "backup", str(other))
        kills += killed_when(process, lambda other=other, number=number: len(list(other.glob("objects/*/*"))) > number * 8)
        if other.joinpath("procura-backups").exists():
            assert [one["id"] for one in run(server, "backup", "list", str(other))["backups"]] == []
            assert run(server, "backup", str(other))["files"] == 15
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
        assert run(server, "backup", str(backup))["files"] == 16
        assert run(server, "backup", "verify", str(backup))["whole"]


def test_a_killed_restore_is_known_by_the_server_and_can_be_done_again(tmp_path: Path) -> None:
    server = filled(tmp_path / "server", large=15)
    backup = tmp_path / "backup"
    run(server, "backup", str(backup))
    with server:
        before = picture(server, ANNA)
    new = server_in(tmp_path / "new")
    steps: list[Callable[[], bool]] = [
        (new.data / ".restoring").exists,
        lambda: len(list((new.data / ".restoring").glob("messages/*/*"))) > 6,
        (new.data / ".restoring" / "moving").exists,
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
        server.deliver(ANNA, letter(7, LARGE))
        server.bound_files(4_096)
        done = server.run("backup", str(backup), check=False)
        server.bound_files(resource.RLIM_INFINITY)
        assert done.returncode == 1
        assert done.stderr.startswith("ERROR: service."), done.stderr
        assert run(server, "backup", "verify", str(backup))["whole"]
        listed = run(server, "backup", "list", str(backup))
        assert ([one["id"] for one in listed["backups"]], listed["unfinished"]) == ([first["id"]], [])
        assert run(server, "backup", str(backup))["files"] == 4
        assert run(server, "verify")["whole"]
