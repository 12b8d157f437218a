"""Every class of attack has its tests, which exist; and what no socket shows."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conformance.table import exists
from tests.hostile.table import CLASSES, HERE, attacks, page


def test_every_class_has_a_row_and_tests() -> None:
    rows = attacks()
    assert rows.keys() == CLASSES.keys()
    assert [number for number, row in rows.items() if not row["tests"]] == []


@pytest.mark.parametrize("number", CLASSES)
def test_its_tests_exist(number: str) -> None:
    tests = attacks()[number]["tests"]
    assert isinstance(tests, list)
    assert [place for place in tests if not exists(place)] == []


@pytest.mark.parametrize("number", [number for number in CLASSES if number != "2.2.22"])
def test_it_is_tried_beside_a_bystander_with_bounds_on_memory_and_the_loop(number: str) -> None:
    """2.2.22 needs none: nothing is sent."""
    files = {place.partition(":")[0] for place in attacks()[number]["tests"]}
    assert any("unharmed(" in (text := (HERE.parents[1] / one).read_text()) and "Watched(" in text for one in files), files


def test_the_page_is_made_from_the_rows() -> None:
    assert (HERE / "README.md").read_text() == "\n".join(page()) + "\n", "python -m tests.hostile.table > tests/hostile/README.md"


def test_hashes_are_seeded() -> None:
    """Neither a file of ours nor how it is started takes the seed away (robustness.md 2.2, class 22)."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONHASHSEED"}
    said = {
        subprocess.run(
            [sys.executable, "-c", "import gateway; print(hash('x'))"], env=environment, cwd=HERE.parents[1], capture_output=True
        ).stdout
        for _ in range(3)
    }
    assert len(said) > 1
    assert b"" not in said
    for root in ("docker", "Makefile", "pyproject.toml"):
        place = HERE.parents[1] / root
        for path in [place] if place.is_file() else [one for one in place.rglob("*") if one.is_file()]:
            assert b"PYTHONHASHSEED" not in path.read_bytes(), path
