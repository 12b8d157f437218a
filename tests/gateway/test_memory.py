"""Messages that are arriving get what the system, or a control group, leaves."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from gateway import memory
from gateway.delivery import _Work
from gateway.memory import bounded
from policy.delivery import Door
from tests.gateway.house import letter, opened

MIB = 1 << 20


@pytest.mark.parametrize(
    ("free", "processes", "room"),
    [
        (8192, 1, 512),
        (2560, 1, 512),
        (2559, 1, 511),
        (1000, 1, 200),
        (1000, 2, 200),
        (100, 1, 50),
        (0, 1, 50),
        (None, 1, 512),
    ],
)
def test_what_there_is_room_for(free: int | None, processes: int, room: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_free", lambda _: None)
    there = None if free is None else free * MIB
    assert bounded(512 * MIB, 50 * MIB, processes, there) // MIB == room


def test_what_was_asked_for_is_never_exceeded() -> None:
    assert bounded(MIB, 50 * MIB, 1, 100_000 * MIB) == MIB
    assert bounded(MIB, 50 * MIB, 1, 0) == MIB


GROUPS = [
    ("0::/\n", {"memory.max": "1000"}, [1000]),
    ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "500", "memory.max": "1000"}, [500, 1000]),
    ("4:memory:/a\n2:cpu:/\n0::/\n", {"memory/a/memory.limit_in_bytes": "7", "memory/memory.limit_in_bytes": "9"}, [7, 9]),
    ("4:memory:/docker/of-the-host\n", {"memory/memory.limit_in_bytes": "9"}, [9]),
    ("0::/../elsewhere\n", {}, []),
    ("nonsense", {}, []),
]


@pytest.mark.parametrize(("mine", "files", "found"), GROUPS)
def test_the_bounds_of_control_groups(mine: str, files: dict[str, str], found: list[int], tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text(mine)
    for name, said in files.items():
        place = tmp_path / "groups" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(said)
    assert sorted(memory._of_groups(tmp_path / "cgroup", tmp_path / "groups")) == found


def test_without_control_groups_there_are_no_bounds(tmp_path: Path) -> None:
    assert list(memory._of_groups(tmp_path / "nowhere", tmp_path)) == []


def test_this_machine_has_some() -> None:
    free = memory._free(1)
    assert free is not None
    assert free > 0


async def test_a_delivery_holds_no_message_when_it_is_done(tmp_path: Path) -> None:
    """Not until the collector comes, either: that may be many large messages later."""
    async with opened(tmp_path, "anna", "bruno") as house:
        gc.collect()
        gc.disable()
        try:
            await house.bring(Door.LMTP, "far@elsewhere.test", ["bruno@acme.test"], letter("far@elsewhere.test"))
            await house.submit("anna", "anna@acme.test", "bruno@acme.test", letter())
            assert len(await house.mail("bruno")) == 2
            assert [one for one in gc.get_objects() if isinstance(one, _Work)] == []
        finally:
            gc.enable()
