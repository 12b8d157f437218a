"""The table: each row's ratios, what they were, what they should be, and what was lost, as text for a terminal or for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from tests.bench.comparison.load import Figure
from tests.bench.comparison.ratios import OURS, Found, Kind, Recorded
from tests.bench.results import sentence

BUSY: Final = 0.9
"""From this share of a processor on the client may have been what was measured."""
HEADS: Final = ("", OURS, "better peer", "ratio", "processor", "recorded", "goal", "")


def figure(kind: Kind, one: Figure | None) -> str:
    if one is None:
        return "-"
    value = kind.told(one.cost)
    told = f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
    cpu = "" if one.cpu is None else f" ({one.cpu * 1000:.3g})"
    return f"{told} {'ms' if kind is Kind.AT_MOST else kind.value}{cpu}"


def times(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def goal(found: Found) -> str:
    told = f"{found.row.goal:g} ms" if found.row.kind is Kind.AT_MOST else f"{found.row.goal:g}"
    reached = {"yes": "✓", "by processor time": "✓ processor", "no": "✗", "": ""}[found.reached]
    return f"{told} {reached}".rstrip()


def marks(found: Found, recorded: Recorded) -> str:
    told = [f"LOST {part:.0%} ({which})" for which, part in recorded.lost(found).items()]
    told += [f"ERROR {fault}" for fault in found.faults]
    busy = [name for name, one in found.figures.items() if one.client is not None and one.client > BUSY]
    return "; ".join([*told, *([f"the client was busy ({', '.join(busy)})"] if busy else [])])


def cells(found: Found, recorded: Recorded) -> Sequence[str]:
    row = found.row
    before = recorded.ratios.get(row.key, {})
    return (
        row.words,
        figure(row.kind, found.figures.get(OURS)),
        figure(row.kind, found.figures.get(found.better or "")) + (f" {found.better}" if found.better else ""),
        times(found.wall),
        times(found.cpu),
        f"{times(before.get('wall'))} / {times(before.get('cpu'))}" if before else "-",
        goal(found),
        marks(found, recorded),
    )


def text(founds: Sequence[Found], recorded: Recorded) -> str:
    """For a terminal."""
    rows = [HEADS, *(cells(found, recorded) for found in founds)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    aligned = (
        "  ".join(
            cell.ljust(width) if column in (0, 2, 7) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "\n".join(line.rstrip() for line in aligned)


def page(recorded: Recorded, words: Mapping[str, str], kinds: Mapping[str, Kind]) -> str:
    """Markdown, of what is recorded; `words` and `kinds`: of each row, in the table's order."""
    told = recorded.told
    peers = "; ".join(told.get("peers", {}).values())
    lines = [
        f"{sentence(told)} Rounds: {told['rounds']}; {peers}.",
        "",
        "| | procura | better peer | ratio | by processor time | goal |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for key, name in words.items():
        if (row := recorded.ratios.get(key)) is None:
            continue
        figures: Mapping[str, Mapping[str, float]] = row["figures"]
        better = str(row["better"])
        shown = [_recorded(kinds[key], figures.get(one, {})) for one in (OURS, better)]
        wanted = f"{row['goal']:g} ms" if kinds[key] is Kind.AT_MOST else f"{row['goal']:g}"
        lines.append(f"| {name} | {shown[0]} | {shown[1]} {better} | {times(row['wall'])} | {times(row['cpu'])} | {wanted} |")
    return "\n".join(lines)


def _recorded(kind: Kind, one: Mapping[str, float]) -> str:
    value, cpu = one.get("value"), one.get("cpu_ms")
    if value is None:
        return "-"
    told = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{told} {'ms' if kind is Kind.AT_MOST else kind.value}" + (f" ({cpu:.3g})" if cpu is not None else "")
