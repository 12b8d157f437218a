"""`python -m tests.soak.measured serve ...` is `procura serve ...` whose processes write down, every second, what of their memory is whose.

The resident size of a process does not tell a cache of pages that fills from memory that is lost. What SQLite itself has, and how many
objects Python has, does.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import gc
import itertools
import os
import sys
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DIRECTORY: Final = "SOAK_FIGURES"
"""In the environment: where each process has a file, by its number."""
EVERY: Final = 1.0
COLLECTED: Final = 10
"""Each so many times the collector of cycles looks at everything before pieces are counted. By itself it does so once in many minutes
(gateway/garbage.py), and meanwhile there are 25,000 of them in a process that are nobody's."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of processes together. `sqlite`: octets that SQLite has, for pages, statements and schemas; `blocks`: pieces of memory that Python
    has given out, when the collector has last looked at everything: within a thousand or two of the same all the time."""

    sqlite: int
    blocks: int


def of(directory: Path, pids: Collection[int]) -> Figures:
    """The last ones. Raises FileNotFoundError: a process has not written any yet."""
    each = [(directory / str(pid)).read_text().split() for pid in pids]
    return Figures(sum(int(sqlite) for sqlite, _ in each), sum(int(blocks) for _, blocks in each))


def _write(directory: Path) -> None:
    used = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    used.restype = ctypes.c_int64
    file = directory / str(os.getpid())
    draft = file.with_suffix(".draft")
    blocks = sys.getallocatedblocks()
    for turn in itertools.count(1):
        if turn % COLLECTED == 2:
            gc.collect()
            blocks = sys.getallocatedblocks()
        draft.write_text(f"{used()} {blocks}")
        draft.replace(file)
        time.sleep(EVERY)


def _begin() -> None:
    threading.Thread(target=_write, args=(Path(os.environ[DIRECTORY]),), daemon=True, name="figures").start()


if __name__ == "__main__":
    from gateway.cli import main

    os.register_at_fork(after_in_child=_begin)
    sys.exit(main())
