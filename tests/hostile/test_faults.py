"""Every fault experiment has a row, whose tests exist and run where it says; what is missing is said."""

from __future__ import annotations

import re

import pytest

from tests.conformance.table import exists
from tests.hostile.faults import EXPERIMENTS, experiments, page
from tests.hostile.table import HERE
from tests.live.on_postgresql import CHOSEN

OF_POSTGRESQL = {"test_postgres.py", "test_on_postgresql.py", "test_full_database_server.py", "test_upgrade.py"}


def test_every_experiment_has_a_row() -> None:
    assert tuple(experiments()) == EXPERIMENTS


@pytest.mark.parametrize("number", EXPERIMENTS)
def test_its_tests_exist(number: str) -> None:
    assert [place for place in experiments()[number].tests if not exists(place)] == []


@pytest.mark.parametrize("number", EXPERIMENTS)
def test_without_tests_it_says_what_is_missing(number: str) -> None:
    row = experiments()[number]
    assert row.tests or row.missing
    assert row.sqlite, "tests, or why there are none"
    assert row.postgresql, "tests, or why there are none"


@pytest.mark.parametrize("number", EXPERIMENTS)
def test_what_stands_under_postgresql_is_run_there(number: str) -> None:
    shared = experiments()[number].postgresql
    files = {place.partition(":")[0] for place in shared} if isinstance(shared, list) else set()
    live = {file.removeprefix("tests/live/") for file in files if file.startswith("tests/live/")}
    assert live <= CHOSEN.keys() | OF_POSTGRESQL


def test_the_page_is_made_from_the_rows() -> None:
    assert (HERE / "FAULTS.md").read_text() == "\n".join(page()) + "\n", "python -m tests.hostile.faults > tests/hostile/FAULTS.md"


def test_what_the_page_on_security_names_exists() -> None:
    root = HERE.parents[1]
    text = (root / "SECURITY.md").read_text()
    named = re.findall(r"\b(?:tests|store|config|docker)/[\w/.*]*\w", text)
    assert len(named) > 30
    assert [place for place in named if not any(root.glob(place))] == []
