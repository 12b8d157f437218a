import os
import subprocess
import sys
from pathlib import Path

import pytest

from store.errors import InUse, Unusable
from store.lock import Lock

ROOT = Path(__file__).parents[2]


def test_it_is_held_by_one_and_names_the_holder(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take()
    with pytest.raises(InUse, match=f"process {os.getpid()}"):
        second.take()
    first.release()
    first.release()
    second.take()
    second.release()
    assert (tmp_path / "lock").exists()


def test_it_goes_with_the_process_however_that_ends(tmp_path: Path) -> None:
    script = "import os, sys, pathlib, store.lock as lock; lock.Lock(pathlib.Path(sys.argv[1])).take(); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "lock")], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    lock = Lock(tmp_path / "lock")
    lock.take()
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"
    lock.release()


def test_a_place_where_none_can_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="nowhere"):
        Lock(tmp_path / "nowhere" / "lock").take()
