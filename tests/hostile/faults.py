"""tests/hostile/FAULTS.md from faults.toml: `python -m tests.hostile.faults > tests/hostile/FAULTS.md`."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from tests.hostile.table import HERE

EXPERIMENTS = tuple(f"F{number}" for number in range(1, 22))
"""Every experiment of robustness.md section 5."""

PREFACE = """# Faults

Each experiment, the tests that do it or the nearest part of it, and what is missing. After each of F4 to F10, F13, F15, F16 and F21
`procura verify` is asked whether the store is whole (`tests/live/verified.py`). Where there is load there is a ledger
(`tests/live/ledger.py`): clients write down what was acknowledged, and afterwards every message, UID, flag and modification
sequence is compared with it. The tests of tests/live under PostgreSQL are run there by `tests/live/on_postgresql.py`;
`tests/ha/test_failover.py` is run by `make ha`; all others by `make test`.

`procura verify` is asked after kills, of the whole server in `tests/live/test_crash.py`, of the writer in
`tests/live/test_killed_processes.py`.
`make soak` has the long versions: 200 kills on each store, every set of the clock, an hour of mixed load (`tests/soak/README.md`).

What follows is made from `faults.toml`: `python -m tests.hostile.faults > tests/hostile/FAULTS.md`.
"""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One row; a store has a sentence where there are no tests."""

    about: str
    sqlite: list[str] | str
    postgresql: list[str] | str
    missing: str

    @property
    def tests(self) -> list[str]:
        """On either store."""
        return [place for places in (self.sqlite, self.postgresql) if isinstance(places, list) for place in places]


def experiments() -> dict[str, Experiment]:
    """By number; TypeError where a row lacks something."""
    return {number: Experiment(**row) for number, row in tomllib.loads((HERE / "faults.toml").read_text()).items()}


def page() -> Iterator[str]:
    """Line by line."""
    yield PREFACE
    yield "| experiment | about | on SQLite | on PostgreSQL | missing |"
    yield "|---|---|---|---|---|"
    for number, row in experiments().items():
        yield f"| {number} | {row.about} | {spelled(row.sqlite)} | {spelled(row.postgresql)} | {row.missing or 'nothing'} |"


def spelled(tests: list[str] | str) -> str:
    """As a cell has it."""
    return tests if isinstance(tests, str) else ", ".join(f"`{one}`" for one in tests)


if __name__ == "__main__":
    print("\n".join(page()))
