"""`python -m tests.soak.measured serve ...` is `procura serve ...` whose processes write down, every second, what of their memory is whose.

The resident size of a process does not tell a cache of pages that fills from memory that is lost. What SQLite itself has, and how many
objects Python has, does.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import gc
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
PIECES: Final = 2
"""Of memory that an object has which the collector of cycles looks at, in the mean; measured."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Of processes together. `sqlite`: octets that SQLite has, for pages, statements and schemas; `blocks`: pieces of memory that Python
    has given out, but for those that the collector of cycles has not looked at yet, which are up to 20,000 in a process
    (gateway/garbage.py): what is left is within a thousand or two of itself all the time."""

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
    while True:
        draft.write_text(f"{used()} {sys.getallocatedblocks() - PIECES * gc.get_count()[0]}")
        draft.replace(file)
        time.sleep(EVERY)


def _begin() -> None:
    threading.Thread(target=_write, args=(Path(os.environ[DIRECTORY]),), daemon=True, name="figures").start()


if __name__ == "__main__":
    from gateway.cli import main

    os.register_at_fork(after_in_child=_begin)
    sys.exit(main())
