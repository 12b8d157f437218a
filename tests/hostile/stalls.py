"""`procura` with a watch over its event loop: `python -m tests.hostile.stalls FILE serve ...` writes each stall to FILE as a line of JSON.

A beat is scheduled on the loop all the time; a thread looks whether it comes. Where it is late the thread notes what the loop's thread
is doing (`stack`) until it comes, and then how long it took by the clock (`seconds`) and how much of it the loop's own thread worked
(`worked`): on a machine that is busy with others the clock alone says nothing.
"""

from __future__ import annotations

import asyncio
import collections
import json
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any, Final

STALL: Final = 0.1
"""Seconds that one step of the loop may take (robustness.md section 5, F19)."""
BEAT: Final = 0.02
SAMPLE: Final = 0.01


class Watch:
    """Of the loop in whose thread it is made."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._thread)
        self._last = (time.monotonic(), time.clock_gettime(self._clock))
        self._late: tuple[float, float] | None = None
        self._beat()
        threading.Thread(target=self._look, daemon=True, name="stalls").start()

    def _beat(self) -> None:
        now = (time.monotonic(), time.clock_gettime(self._clock))
        seconds, worked = now[0] - self._last[0] - BEAT, now[1] - self._last[1]
        self._last = now
        if seconds > STALL:
            self._late = (seconds, worked)
        self._loop.call_later(BEAT, self._beat)

    def _look(self) -> None:
        stacks: collections.Counter[str] = collections.Counter()
        while True:
            time.sleep(SAMPLE)
            late, self._late = self._late, None
            if late is not None:
                stack = stacks.most_common(1)[0][0] if stacks else ""
                with self._file.open("a") as file:
                    file.write(json.dumps({"seconds": round(late[0], 3), "worked": round(late[1], 3), "stack": stack}) + "\n")
            if time.monotonic() - self._last[0] > BEAT + STALL / 4:
                frame = sys._current_frames().get(self._thread)
                stacks["".join(traceback.format_stack(frame, limit=12)) if frame is not None else ""] += 1
            elif stacks and late is None:
                stacks.clear()


def main() -> int:
    """The command with the watch."""
    file = Path(sys.argv.pop(1))
    from gateway import app, cli

    serve = app.serve

    async def watched(*arguments: Any, **options: Any) -> None:
        Watch(file)
        await serve(*arguments, **options)

    app.serve = watched
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
