"""The watch over the event loop sees what keeps it, and where; of waiting it says that nothing was worked."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.stalls import STALL, Watch


def spin(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def seen(file: Path) -> list[dict[str, Any]]:
    end = time.monotonic() + 10
    while not file.exists() and time.monotonic() < end:
        await asyncio.sleep(0.02)
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.parametrize(("keep", "works"), [(spin, True), (time.sleep, False)], ids=["work", "waiting"])
async def test_a_stall_is_written_down_with_its_place(tmp_path: Path, keep: Any, works: bool) -> None:
    file = tmp_path / "stalls.json"
    Watch(file)
    await asyncio.sleep(0.1)
    keep(0.4)
    found = max(await seen(file), key=lambda one: one["seconds"])
    assert found["seconds"] > 0.3
    assert (found["worked"] > 0.3) is works
    assert "keep(0.4)" in found["stack"]


async def test_a_loop_that_goes_round_has_none_that_it_worked(tmp_path: Path) -> None:
    file = tmp_path / "stalls.json"
    Watch(file)
    for _ in range(30):
        spin(STALL / 10)
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    found = [] if not file.exists() else [json.loads(line) for line in file.read_text().splitlines()]
    assert [one for one in found if one["worked"] > STALL] == []
