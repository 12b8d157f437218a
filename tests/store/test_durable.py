"""A file is there whole or not at all, and for nobody else to read."""

import os
import stat
from pathlib import Path

import pytest

from store.durable import sync_directory, write_whole


def test_it_is_there_whole_for_its_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_whole(tmp_path / "draft", tmp_path / "kept", b"octets" * 1000)
    finally:
        os.umask(before)
    sync_directory(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"octets" * 1000
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o600


def test_what_cannot_reach_the_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_whole(tmp_path / "draft", tmp_path / "kept", b"octets")
    assert list(tmp_path.iterdir()) == []
