"""A server of several processes, as the tests see it: which there are, killing one, and sessions in each worker."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.live.server import Server
from tests.live.talk import Talk

PATIENCE = 30.0
WORKERS = 2


def until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def processes(server: Server) -> dict[int, str]:
    """What the supervisor has started: pid → what it calls itself."""
    assert server.process is not None
    found: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            before, _, after = stat.read_text().rpartition(")")
        except OSError:  # gone meanwhile
            continue
        state, parent = after.split()[:2]
        if int(parent) == server.process.pid and state != "Z":
            found[int(stat.parent.name)] = before.partition("(")[2]
    return found


def those(server: Server, name: str) -> set[int]:
    return {pid for pid, called in processes(server).items() if called == f"procura {name}"}


def killed(server: Server, name: str) -> int:
    """One of these, kill -9; returns which."""
    pid = min(those(server, name))
    os.kill(pid, signal.SIGKILL)
    return pid


def whole(server: Server, without: int) -> None:
    """Until everything is there again."""

    def is_whole() -> bool:
        there = processes(server)
        return without not in there and sorted(there.values()) == ["procura keeper", *["procura worker"] * WORKERS]

    until(is_whole, f"what was killed is not replaced: {processes(server)}")


def listed(server: Server, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.run("sessions", "list", *arguments, "--json").stdout)
    return found


def spread(server: Server, user: str, stack: ExitStack, each: int = 1) -> list[list[Talk]]:
    """IMAP sessions, so many in each worker (the number of a session tells in which it is)."""
    found: list[list[Talk]] = [[] for _ in range(WORKERS)]
    for attempt in range(20):
        talks = {f"{user} {attempt} {one}": Talk(server.ports["imap"], user) for one in range(WORKERS * each)}
        for name, talk in talks.items():
            stack.enter_context(talk)
            talk.ok(f'ID ("name" "{name}")')
        for row in listed(server, user):
            talk = talks.pop(row["client"], None)
            if talk is not None:
                there = found[row["number"] % WORKERS]
                if len(there) < each:
                    there.append(talk)
                else:
                    talk.ok("LOGOUT")
        if all(len(some) == each for some in found):
            return found
    raise AssertionError("all connections go to one worker")
