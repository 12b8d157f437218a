"""Writes what a bench has found into RESULTS.md, with the machine, the date, and how busy it was."""

from __future__ import annotations

import os
import platform
import sqlite3
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
CALM: Final = 0.2
"""Processors that may be busy before a bench begins without what it finds being called doubtful."""
LOOK: Final = 2.0
"""Seconds."""


def machine() -> dict[str, Any]:
    """Where and when, and how many processors others kept busy for two seconds just before (the load average still has the last bench)."""
    told = (line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    parts = [f"{os.cpu_count()} cores", next(told, ""), f"Python {platform.python_version()}", f"SQLite {sqlite3.sqlite_version}"]
    return {"date": datetime.now(UTC).date().isoformat(), "machine": ", ".join(filter(None, parts)), "busy": round(busy(LOOK), 1)}


def busy(seconds: float) -> float:
    """Processors that were not idle, this long; time that the host took away counts."""

    def looked() -> tuple[int, int]:
        ticks = list(map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9]))
        return sum(ticks), ticks[3] + ticks[4]

    before = looked()
    time.sleep(seconds)
    every, idle = (after - then for after, then in zip(looked(), before, strict=True))
    return (1 - idle / max(1, every)) * (os.cpu_count() or 1)


def sentence(told: Mapping[str, Any]) -> str:
    """Of what `machine` told before the bench began."""
    doubt = " **The machine was busy with others' work: what is by time says little.**" if told["busy"] > CALM else ""
    return f"{told['date']}; {told['machine']}; {told['busy']} processors busy before it.{doubt}"


def placed(document: str, name: str, made: str) -> str:
    """The document with what stands between this name's marks replaced. Raises ValueError where it has none."""
    opening, closing = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, begin, rest = document.partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise ValueError(f"no marks for {name}")
    return f"{before}{begin}\n\n{made}\n\n{end}{after}"


def record(name: str, made: str) -> None:
    RESULTS.write_text(placed(RESULTS.read_text(), name, made))


def told(name: str, made: str, arguments: list[str]) -> None:
    """Prints it; with --record among the arguments it is kept."""
    print(made)
    if "--record" in arguments:
        record(name, made)
        print(f"\n{RESULTS.name} has it.")
