"""An office with mail of every kind, commands that may be killed, and octets that are flipped."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.live.forked import started
from tests.live.server import Server, compose

ANNA = "anna@acme.test"
LARGE = 200_000
"""Octets of a text that makes the message a file."""


def letter(number: int, size: int = 10) -> bytes:
    return compose("stan@elsewhere.test", ANNA, f"number {number}", f"{number} " + "x" * size)


def server_in(directory: Path, settings: Mapping[str, object] | None = None) -> Server:
    directory.mkdir(parents=True, exist_ok=True)
    return Server(directory, settings)


def filled(directory: Path, large: int = 3, settings: Mapping[str, object] | None = None) -> Server:
    """A server that has run, with mail in rows and in files, flags, folders and grants; it is stopped."""
    server = server_in(directory, settings)
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


def run(server: Server, *arguments: str, status: int = 0) -> dict[str, Any]:
    done = server.run(*arguments, "--json", check=False)
    assert done.returncode == status, (arguments, done.stdout, done.stderr)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def begun(server: Server, *arguments: str) -> subprocess.Popen[bytes]:
    """A command that goes on while we look."""
    root = Path(__file__).parents[2]
    return started(
        [*server.command, *arguments],
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


def flip(file: Path, place: int) -> None:
    with file.open("r+b") as octets:
        octets.seek(place)
        (one,) = octets.read(1)
        octets.seek(place)
        octets.write(bytes([one ^ 0x20]))
