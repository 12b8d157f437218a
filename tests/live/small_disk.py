"""A file system of a small size, which fills up."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(at: Path, mebibytes: int, options: str = "") -> Iterator[None]:
    """A file system of this size there; skips where none may be mounted."""
    at.mkdir(parents=True, exist_ok=True)
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("only root mounts file systems")
    done = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={mebibytes}m{options}", "none", str(at)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run([umount, "--lazy", str(at)], check=True)


def fill(ballast: Path) -> None:
    """Until there is no room left."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError as error:
            assert error.errno == errno.ENOSPC
