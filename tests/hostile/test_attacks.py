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
