"""What a row came to: how many times the better peer procura is, what it should be, and what it was when it was last recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tests.bench.comparison.load import Figure, middle

OURS: Final = "procura"
LOSS: Final = 0.2
"""The part of a recorded ratio that may be missing before it is shown as lost."""


class Kind(StrEnum):
    """What a row's figure counts. Every figure is a cost, smaller is better; what is counted per second is told as its reciprocal."""

    MESSAGES = "msg/s"
    TIMES = "/s"
    MILLISECONDS = "ms"
    KIBIBYTES = "KiB"
    AT_MOST = "ms, at most"
    """The goal is not a ratio but a number of milliseconds."""

    @property
    def is_rate(self) -> bool:
        return self in (Kind.MESSAGES, Kind.TIMES)

    def told(self, cost: float) -> float:
        """As it is told."""
        if self.is_rate:
            return 1 / cost if cost > 0 else float("inf")
        return cost if self is Kind.KIBIBYTES else cost * 1000


@dataclass(frozen=True, slots=True)
class Row:
    """`against`: whom it is compared with; `goal`: the least ratio."""

    key: str
    words: str
    against: tuple[str, ...]
    goal: float
    kind: Kind


@dataclass(frozen=True, slots=True)
class Found:
    """`wall` and `cpu`: how many times the better peer; None where one of both was not measured."""

    row: Row
    figures: Mapping[str, Figure]
    wall: float | None = None
    cpu: float | None = None
    better: str | None = None
    faults: Sequence[str] = field(default=())

    @property
    def reached(self) -> str:
        """The goal: "yes", "by processor time", "no"; empty where nothing was measured."""
        if self.row.kind is Kind.AT_MOST:
            ours = self.figures.get(OURS)
            return "" if ours is None else "yes" if ours.cost * 1000 <= self.row.goal else "no"
        if self.wall is None:
            return ""
        if self.wall >= self.row.goal:
            return "yes"
        return "by processor time" if self.cpu is not None and self.cpu >= self.row.goal else "no"


def compared(row: Row, turns: Mapping[str, Sequence[Figure]], faults: Sequence[str] = ()) -> Found:
    """Medians of the turns; each of the two ratios is against the peer that is better in it."""
    figures = {name: middle(all_of) for name, all_of in turns.items() if all_of}
    ours = figures.get(OURS)
    peers = {name: figures[name] for name in row.against if name in figures}
    if ours is None or not peers:
        return Found(row, figures, faults=tuple(faults))
    better = min(peers, key=lambda name: peers[name].cost)
    least = min((one.cpu for one in peers.values() if one.cpu is not None), default=None)
    cpu = least / ours.cpu if ours.cpu and least is not None else None
    return Found(row, figures, _times(peers[better].cost, ours.cost), cpu, better, tuple(faults))


def _times(theirs: float, ours: float) -> float:
    # An idle session that costs nothing that can be measured is not infinitely better.
    return theirs / max(ours, theirs / 1_000_000)


def lost(now: float | None, recorded: float | None) -> float:
    """Which part of a recorded ratio is gone; 0 where nothing is, or nothing is known."""
    if now is None or not recorded:
        return 0.0
    return max(0.0, 1 - now / recorded)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Ratios as they were on a machine on a day; `told`: which and when."""

    told: Mapping[str, Any]
    ratios: Mapping[str, Mapping[str, Any]]

    def lost(self, found: Found) -> Mapping[str, float]:
        """What of a row's ratios ("wall", "cpu") has fallen by more than LOSS, and by how much."""
        before = self.ratios.get(found.row.key, {})
        all_of = {"wall": lost(found.wall, before.get("wall")), "cpu": lost(found.cpu, before.get("cpu"))}
        return {which: part for which, part in all_of.items() if part > LOSS}


NOTHING: Final = Recorded({}, {})


def read(path: Path) -> Recorded:
    """NOTHING where there is no such file."""
    if not path.exists():
        return NOTHING
    kept = json.loads(path.read_text())
    return Recorded({name: value for name, value in kept.items() if name != "rows"}, kept["rows"])


def _rounded(value: float | None, digits: int = 4) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")


def written(told: Mapping[str, Any], founds: Sequence[Found], before: Recorded = NOTHING) -> str:
    """The file; rows that were not measured now keep what they had (so that one case can be recorded anew by itself)."""
    rows: dict[str, Mapping[str, Any]] = dict(before.ratios)
    for found in founds:
        if found.wall is not None:
            figures = {
                name: {"value": _rounded(found.row.kind.told(one.cost)), "cpu_ms": _rounded(None if one.cpu is None else one.cpu * 1000)}
                for name, one in found.figures.items()
            }
            goal = {"goal": found.row.goal, "unit": found.row.kind.value}
            rows[found.row.key] = {
                "wall": _rounded(found.wall),
                "cpu": _rounded(found.cpu),
                "better": found.better,
                **goal,
                "figures": figures,
            }
    return json.dumps({**told, "rows": rows}, indent=1) + "\n"
