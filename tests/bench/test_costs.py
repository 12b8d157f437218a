"""That the commands beside the comparison ask what they say they ask; what it costs is nobody's assertion."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.bench import results, startup
from tests.bench.comparison.peers import resident, tree, used
from tests.bench.decisions import ALONE, WITH_STORE, Asked, among
from tests.bench.results import machine, sentence
from tests.bench.startup import greets, start
from tests.live.ports import free_ports


async def test_each_decision_is_what_its_row_says(tmp_path: Path) -> None:
    house = await among(tmp_path, 10)
    try:
        asked = Asked(house, 10)
        for name, _ in WITH_STORE:
            await getattr(asked, name)()
        for name, _ in ALONE:
            assert (await getattr(asked, name)())().allowed
    finally:
        await house.folders.close()
        await house.store.close()


def working() -> set[Path]:
    """The directories of all processes."""
    found = set()
    for one in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            found.add(one.readlink())
    return found


@pytest.mark.slow
def test_a_start_ends_with_the_greeting_and_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    monkeypatch.setattr(startup, "free_ports", lambda _: [port])
    seconds, processor = start(tmp_path)
    assert seconds > 0
    assert processor > 0
    # It may be ended before its first line: it greets as soon as it listens, and tells the log when all doors are open.
    assert not greets(port)
    assert tmp_path.resolve() not in working()


def test_nobody_greets_where_nobody_listens() -> None:
    assert not greets(free_ports(1)[0])


def test_a_tree_of_processes_is_those_that_were_started_by_one() -> None:
    command = [sys.executable, "-c", "import subprocess as s; s.run(['sleep', '60'], stdin=s.PIPE)"]
    with subprocess.Popen(command) as process:
        try:
            while len(found := tree([process.pid])) < 2:
                assert process.poll() is None
            assert process.pid in found
            assert os.getpid() not in found
            assert resident([process.pid]) > resident([max(found.keys() - {process.pid})])
        finally:
            for pid in tree([process.pid]):
                os.kill(pid, 9)


def test_processor_time_is_that_of_threads_where_it_is_finer_and_that_of_children_too() -> None:
    fields = ["S", "1", *["0"] * 9, "100", "50", "20", "5"]
    assert used(1 << 30, fields) == pytest.approx(175 / os.sysconf("SC_CLK_TCK"))


@pytest.mark.parametrize(("busy", "doubtful"), [(0.0, False), (0.2, False), (0.3, True)])
def test_a_busy_machine_is_told(busy: float, doubtful: bool) -> None:
    assert ("was busy" in sentence({"date": "2026-11-22", "machine": "2 cores", "busy": busy})) is doubtful


def test_a_machine_is_told_with_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "LOOK", 0.05)
    told = machine()
    assert 0 <= told["busy"] <= (os.cpu_count() or 1)
    assert str(os.cpu_count()) in told["machine"]
    assert len(told["date"]) == len("2026-11-22")
