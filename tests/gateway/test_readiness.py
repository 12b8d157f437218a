"""The file that names what listens, and what systemd is told, by one process and by several."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.readiness import Readiness
from tests.live.forked import started

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


@pytest.fixture(params=["named", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """Where a manager of services listens, as NOTIFY_SOCKET would say it."""
    name = f"@procura-{os.getpid()}-{tmp_path.name}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        yield name, listening


def heard(listening: socket.socket) -> bytes:
    assert select.select([listening], [], [], SECONDS)[0], "nothing came"
    return listening.recv(4096)


def test_the_file_is_written_and_the_manager_told(manager: tuple[str, socket.socket], tmp_path: Path) -> None:
    name, listening = manager
    readiness = Readiness(tmp_path / "ready.json", name)
    readiness.serving({"imap": ["127.0.0.1:1143"], "mx": []})
    assert json.loads((tmp_path / "ready.json").read_text()) == {"imap": ["127.0.0.1:1143"], "mx": []}
    assert heard(listening) == b"READY=1"
    readiness.stopping()
    assert heard(listening) == b"STOPPING=1"


def test_where_nobody_waits_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Readiness().serving({})
    Readiness().stopping()
    assert list(tmp_path.iterdir()) == []


def test_a_manager_that_is_gone_keeps_nobody_from_serving(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Readiness(manager=str(tmp_path / "nobody")).serving({})
    assert [record.getMessage() for record in caplog.records] == ["service manager not told"]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_says_when_it_serves_and_when_it_stops(workers: int, manager: tuple[str, socket.socket], tmp_path: Path) -> None:
    name, listening = manager
    if name.startswith("@") and workers == 2:
        pytest.skip("told in the same way")
    configuration = tmp_path / "procura.toml"
    doors = "\n".join(f'{door} = ["127.0.0.1:0"]' for door in ("submission", "submissions", "lmtp", "imap", "imaps"))
    configuration.write_text(f'data = "{tmp_path / "data"}"\nhostname = "mail.acme.test"\nworkers = {workers}\n[listen]\n{doors}\n')
    ready = tmp_path / "ready.json"
    process = started(
        [sys.executable, "-m", "gateway", "serve", "--config", str(configuration), "--ready-file", str(ready)],
        cwd=ROOT,
        env={**os.environ, "NOTIFY_SOCKET": name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert heard(listening) == b"READY=1"
        host, _, port = json.loads(ready.read_text())["imap"][0].rpartition(":")
        with socket.create_connection((host, int(port)), 10) as client:
            assert client.recv(4).startswith(b"* OK")
        process.terminate()
        assert heard(listening) == b"STOPPING=1"
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
