"""What can be known of the systemd unit without systemd running: what it names is there, and how little it may do."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "config" / "procura.service"
EXPOSURE = 2.0
"""Of `systemd-analyze security`, of 10; below this it calls a service OK."""
SECONDS = 60.0

# prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN), then Python again with the other arguments.
DENIED = """
import ctypes, os, sys
if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0):
    raise OSError(ctypes.get_errno(), "prctl")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def settings() -> list[tuple[str, str]]:
    return [(line.partition("=")[0], line.partition("=")[2]) for line in UNIT.read_text().splitlines() if re.match(r"[A-Z]\w+=", line)]


def test_commands_are_those_of_the_command_line() -> None:
    commands = [value.split()[1:] for name, value in settings() if name in ("ExecStart", "ExecStartPre")]
    assert commands == [["check"], ["serve"]] or commands == [["serve"], ["check"]]
    for command in commands:
        done = subprocess.run([sys.executable, "-m", "gateway", *command, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_settings_of_its_environment_are_settings() -> None:
    named = [word for name, value in settings() if name == "Environment" for word in value.split()]
    assert {word.partition("=")[0] for word in named} == {"PROCURA_CONFIG", "PROCURA_DATA"}
    assert ("StateDirectory", "procura") in settings()
    assert "PROCURA_DATA=/var/lib/procura" in named


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_it_is_exposed_as_little_as_a_mail_server_can_be(tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE * 10:.0f}", str(UNIT)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    if "Unknown option" in done.stderr or "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze (before 250) knows no unit that is not loaded")
    assert done.returncode == 0, done.stdout + done.stderr
    worse = tmp_path / "procura.service"
    worse.write_text(re.sub(r"(?m)^(SystemCallFilter|CapabilityBoundingSet|ProtectSystem)=.*\n", "", UNIT.read_text()))
    assert subprocess.run([*done.args[:-1], str(worse)], capture_output=True).returncode != 0


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_manager_understands_every_line(tmp_path: Path) -> None:
    # The programs are not there on a machine of tests; everything else is.
    there = tmp_path / "procura.service"
    there.write_text(UNIT.read_text().replace("/opt/procura/.venv/bin/procura", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(there)], capture_output=True, text=True, timeout=SECONDS)
    assert [line for line in done.stderr.splitlines() if "procura.service" in line] == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_it_serves_without_memory_that_can_be_written_and_run(tmp_path: Path) -> None:
    """MemoryDenyWriteExecute, by the kernel's own name for it: libraries that make code at run time would not start."""
    if subprocess.run([sys.executable, "-c", DENIED, "-c", "pass"], stderr=subprocess.DEVNULL).returncode:
        pytest.skip("the kernel (before 6.3) does not know it")
    configuration, ready = tmp_path / "procura.toml", tmp_path / "ready.json"
    doors = "\n".join(f'{door} = ["127.0.0.1:0"]' for door in ("submission", "submissions", "lmtp", "imap", "imaps"))
    configuration.write_text(f'data = "{tmp_path / "data"}"\nhostname = "mail.acme.test"\n[listen]\n{doors}\n')
    environment = {**os.environ, "PROCURA_CONFIG": str(configuration)}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", DENIED, "-m", "gateway", "serve", "--ready-file", str(ready)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        end = time.monotonic() + SECONDS
        while not ready.exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < end, (tmp_path / "log").read_text()
            time.sleep(0.05)
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "prov", "createDomain", "acme.test"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        host, _, port = json.loads(ready.read_text())["imaps"][0].rpartition(":")
        with socket.create_connection((host, int(port)), 10):
            pass
        process.terminate()
        assert process.wait(SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in (tmp_path / "log").read_text()
