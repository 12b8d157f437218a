"""What the server uses, sampled while it is under load, and whether it grows."""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from tests.live.server import Server
from tests.soak import measured
from tests.soak.house import House

MEBI: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """`at`: seconds since the load began. Of all processes together: `memory` is PSS, of which `keeper` and `workers` have their parts;
    `sqlite` octets of it SQLite's, `besides` what is left of it; `blocks`: pieces of memory that Python has given out (measured.py).
    `log` and `index_log`: write-ahead logs of the database and of the index; `queue`: rows that wait."""

    at: float
    processes: int
    memory: int
    supervisor: int
    keeper: int
    workers: int
    sqlite: int
    besides: int
    blocks: int
    descriptors: int
    threads: int
    log: int
    database: int
    index: int
    index_log: int
    queue: int


SQLITE: Final = 72 * MEBI
"""Caches of pages fill for as long as the database grows, up to this: 32 MiB of the connection that writes, 8 MiB of the one that writes
the index (store/sqlite.py, store/fulltext.py), with what SQLite needs to keep them, 46 MiB together; connections that read have 5 MiB in
each of three processes beside a writer that makes them begin anew with each commit, for statements and schemas mostly."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A column may grow by `share` of its mean or by `least`, whichever is more, while growth is measured (None: by anything); and never
    be above `most`."""

    share: float | None
    least: float
    most: float | None = None


BOUNDS: Final = {
    "sqlite": Bound(None, 0, SQLITE),
    # What is told again (gateway/imap/told.py) fills slowly, and malloc keeps 9 MiB for each connection that has once read much.
    "besides": Bound(0.10, 24 * MEBI),
    "blocks": Bound(0.02, 30_000),
    "supervisor": Bound(0.10, 2 * MEBI),
    "descriptors": Bound(0.05, 12),
    "threads": Bound(0.05, 8),
    # 64 MiB is where a commit waits for readers and begins the log anew (store/sqlite.py).
    "log": Bound(1.0, 64 * MEBI, 80 * MEBI),
    "index_log": Bound(1.0, 64 * MEBI, 80 * MEBI),
    "queue": Bound(0.5, 100, 2000),
}
"""What has to stay as it is. While it is measured the hour has 50,000 to 100,000 messages: of 100,000 one object kept of each third, or 250
octets of each, is too much. The database and its index keep what is put on record of delegated acts, and are told only."""


def pids(server: Server) -> list[int]:
    """The supervisor first."""
    assert server.process is not None
    pid = server.process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def taken(server: House, since: float) -> Sample | None:
    """Now; None: a process ended while it was looked at."""
    try:
        there = pids(server)
        memory = [_pss(pid) for pid in there]
        names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in there]
        descriptors = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in there)
        figures = measured.of(server.figures, there[1:])
        threads = sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in there)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    data = server.data
    with closing(sqlite3.connect(f"file:{data}/procura.db?mode=ro", uri=True, timeout=5)) as database:
        (queue,) = database.execute("SELECT count(*) FROM queue").fetchone()
    return Sample(
        at=time.monotonic() - since,
        processes=len(there),
        memory=sum(memory),
        supervisor=memory[0],
        keeper=sum(octets for octets, name in zip(memory, names, strict=True) if name == "procura keeper"),
        workers=sum(octets for octets, name in zip(memory, names, strict=True) if name == "procura worker"),
        sqlite=figures.sqlite,
        besides=sum(memory) - figures.sqlite,
        blocks=figures.blocks,
        descriptors=descriptors,
        threads=threads,
        log=_size(data / "procura.db-wal"),
        database=_size(data / "procura.db"),
        index=_size(data / "search.db"),
        index_log=_size(data / "search.db-wal"),
        queue=queue,
    )


class Sampler(threading.Thread):
    """One after the other, `every` seconds, until `stop`."""

    def __init__(self, server: House, every: float, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._server, self._every, self._halt = server, every, stop
        self.began = time.monotonic()
        self.samples: list[Sample] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        while not self._halt.wait(self._every):
            try:
                sample = taken(self._server, self.began)
            except Exception as fault:
                self.wrong.append(f"no sample could be taken: {fault!r}")
                return
            if sample is not None:
                self.samples.append(sample)


def slope(samples: Sequence[Sample], column: str) -> float:
    """Per second, by the median of all pairs (Theil and Sen): a peak does not bend it."""
    points = [(one.at, float(getattr(one, column))) for one in samples]
    found = [(v - u) / (t - s) for at, (s, u) in enumerate(points) for t, v in points[at + 1 :] if t > s]
    return statistics.median(found) if found else 0.0


def settled(samples: Sequence[Sample], since: float) -> list[Sample]:
    """Those of the second half, once everything is warm: nobody is killed any more."""
    return [one for one in samples if one.at >= since]


def growing(samples: Sequence[Sample]) -> list[str]:
    """Which columns have grown by more than they may, in words."""
    if len(samples) < 4:
        return [f"{len(samples)} samples are too few to tell"]
    found = []
    lasted = samples[-1].at - samples[0].at
    for column, bound in BOUNDS.items():
        values = [float(getattr(one, column)) for one in samples]
        if bound.share is not None:
            grown = slope(samples, column) * lasted
            allowed = max(bound.least, bound.share * statistics.mean(values))
            if grown > allowed:
                found.append(f"{column} grew by {grown:,.0f} in {lasted:.0f} s, {allowed:,.0f} is allowed")
        if bound.most is not None and max(values) > bound.most:
            found.append(f"{column} was {max(values):,.0f}, never more than {bound.most:,.0f} is allowed")
    return found


def table(samples: Sequence[Sample], settled_at: float) -> list[str]:
    """A dozen of them, and each column's slope in the second half."""
    names = [one.name for one in fields(Sample)]
    shown = [samples[round(at * (len(samples) - 1) / 11)] for at in range(12)] if len(samples) > 12 else list(samples)
    rows = [[_told(name, getattr(one, name)) for name in names] for one in shown]
    late = settled(samples, settled_at)
    hourly = ["per hour", *(f"{slope(late, name) * 3600 / (MEBI if _is_octets(name) else 1):+.1f}" for name in names[1:])]
    lines = [[f"{name} MiB" if _is_octets(name) else name for name in names], *rows, hourly]
    widths = [max(len(line[at]) for line in lines) for at in range(len(names))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]


def _is_octets(name: str) -> bool:
    return name in ("memory", "supervisor", "keeper", "workers", "sqlite", "besides", "log", "database", "index", "index_log")


def _told(name: str, value: float) -> str:
    if name == "at":
        return f"{value:.0f} s"
    return f"{value / MEBI:.1f}" if _is_octets(name) else f"{value:,}"
