"""Processes of the server that die, kill -9: workers and the one that writes, at any moment."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from typing import Final

from tests.live.server import Server
from tests.live.several import WORKERS, processes

WHOLE_AGAIN: Final = 60.0
"""Seconds in which all processes have to be there again; a start takes two on a machine that does nothing else."""


class Killer(threading.Thread):
    """Until `stop`, every few seconds. `killed`: how many of each kind; `slowest`: seconds until everything was there again."""

    def __init__(self, server: Server, chance: random.Random, stop: threading.Event, pause: tuple[float, float]) -> None:
        super().__init__(daemon=True)
        self._server, self._chance, self._halt, self._pause = server, chance, stop, pause
        self.killed: Counter[str] = Counter()
        self.slowest = 0.0
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._halt.wait(self._chance.uniform(*self._pause)):
            there = sorted(processes(self._server).items())
            if not there:
                self.wrong.append("there are no processes")
                return
            pid, name = self._chance.choice(there)
            os.kill(pid, signal.SIGKILL)
            self.killed[name.removeprefix("procura ")] += 1
            began = time.monotonic()
            while not self._is_whole(pid):
                if time.monotonic() - began > WHOLE_AGAIN:
                    self.wrong.append(f"{name} was killed and not replaced within {WHOLE_AGAIN:.0f} s: {processes(self._server)}")
                    return
                time.sleep(0.05)
            self.slowest = max(self.slowest, time.monotonic() - began)

    def _is_whole(self, without: int) -> bool:
        there = processes(self._server)
        return without not in there and sorted(there.values()) == ["procura keeper", *["procura worker"] * WORKERS]
