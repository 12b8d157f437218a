"""A server whose dealings with its disk are written down, or fail, below its own process: tests/live/disk.c stands before its libraries."""

from __future__ import annotations

import errno
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.server import Server

SOURCE = Path(__file__).with_name("disk.c")


@functools.cache
def _built() -> Path | str:
    """The library, or why there is none."""
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return "no C compiler to build tests/live/disk.c with"
    directory = tempfile.TemporaryDirectory(prefix="disk-")
    _kept.append(directory)
    library = Path(directory.name) / "disk.so"
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl", "-lpthread"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode != 0:
        return f"{compiler} cannot build tests/live/disk.c: {done.stderr.strip().splitlines()[-1:]}"
    loaded = subprocess.run(["true"], env={"LD_PRELOAD": str(library)}, capture_output=True, text=True, timeout=60, check=False)
    return f"disk.so is not loaded: {loaded.stderr.strip()}" if loaded.returncode or loaded.stderr else library


_kept: list[tempfile.TemporaryDirectory[str]] = []
"""Removed when the tests end."""


def library() -> Path:
    """Skips the test where it cannot be built."""
    found = _built()
    if isinstance(found, str):
        pytest.skip(found)
    return found


class Preloaded(Server):
    """Everything below `disk`, where its data are, is watched; commands that are run beside it are, too."""

    def __init__(self, directory: Path, settings: Mapping[str, object] | None = None, *, recorded: bool = False) -> None:
        super().__init__(directory, settings)
        self.disk = directory / "disk"
        self.data = self.disk / "data"
        self.record = directory / "disk.record"
        self._rules = directory / "disk.rules"
        self._recorded = recorded
        self._library = library()
        self.disk.mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        ours = {"LD_PRELOAD": str(self._library), "DISK_UNDER": str(self.disk), "DISK_RULES": str(self._rules)}
        if self._recorded:
            ours["DISK_RECORD"] = str(self.record)
        return {**super().environment, **ours}

    @contextmanager
    def failing(self, *rules: tuple[str, str, int]) -> Iterator[None]:
        """(call, part of the path, errno): sync, write, open or rename; from now on, in every process of it."""
        draft = self._rules.with_suffix(".draft")
        draft.write_text("".join(f"{call} {part} {number}\n" for call, part, number in rules))
        draft.rename(self._rules)
        try:
            yield
        finally:
            self._rules.unlink()


EIO, ENOSPC, EROFS = errno.EIO, errno.ENOSPC, errno.EROFS
