"""A file of the live tests once more, in another environment: by a pytest of its own, as the environment decides what its servers are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent


def passes(file: str, environment: Mapping[str, str], words: str = "") -> None:
    """All of its tests pass, or those that `words` choose (-k)."""
    scratch = tempfile.mkdtemp()
    try:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", str(HERE / file), "-q", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={scratch}/t"),
                *(["-k", words] if words else []),
            ],
            env={**os.environ, **environment},
            cwd=HERE.parents[1],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
