"""The files that take longest, so that a run with several processes begins with them and none of the processes is busy alone at its end.

`python -m tests.longest REPORT` writes tests/longest.txt from what each took in a whole run (pytest's --junitxml=REPORT).
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import pytest

ROOT: Final = Path(__file__).parents[1]
LIST: Final = Path(__file__).with_suffix(".txt")
LEAST: Final = 5.0
"""Seconds from which a file is in the list."""


def first(items: list[pytest.Item], listed: Iterable[str]) -> None:
    """Puts the tests of these files before all others, in this order; within a file nothing changes."""
    places = {name: place for place, name in enumerate(listed)}
    items.sort(key=lambda item: places.get(item.nodeid.partition("::")[0], len(places)))


def listed() -> list[str]:
    return LIST.read_text().split()


def durations(report: Path) -> Counter[str]:
    """Seconds of each file."""
    found: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        parts = case.get("classname", "").split(".")
        while parts and not (file := ROOT.joinpath(*parts).with_suffix(".py")).is_file():
            parts.pop()  # a class
        if parts:
            found[str(file.relative_to(ROOT))] += float(case.get("time", 0))
    return found


def main(report: str) -> None:
    LIST.write_text("".join(f"{name}\n" for name, seconds in durations(Path(report)).most_common() if seconds >= LEAST))


if __name__ == "__main__":
    main(sys.argv[1])
