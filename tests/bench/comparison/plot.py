"""A picture of the ratios: how many times the better peer each row is, and what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.bench.comparison.ratios import Kind, Recorded


def draw(recorded: Recorded, words: Mapping[str, str], kinds: Mapping[str, Kind], target: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    keys = [key for key in words if key in recorded.ratios][::-1]
    rows = [recorded.ratios[key] for key in keys]
    places = range(len(keys))
    figure, panel = pyplot.subplots(figsize=(13, 2.2 + 0.24 * len(keys)))
    panel.barh(places, [row["wall"] - 1 for row in rows], left=1, height=0.62, color="#7aa6c2", label="by time")
    measured = [(place, row["cpu"]) for place, row in zip(places, rows, strict=True) if row["cpu"] is not None]
    panel.plot(
        [cpu for _, cpu in measured], [place for place, _ in measured], "o", color="#1f4e6e", markersize=4, label="by processor time"
    )
    wanted = [(place, row["goal"]) for place, row in zip(places, rows, strict=True) if kinds[keys[place]] is not Kind.AT_MOST]
    panel.plot([goal for _, goal in wanted], [place for place, _ in wanted], "|", color="#c23b22", markersize=11, mew=2, label="goal")
    panel.axvline(1, color="black", linewidth=0.8)
    panel.set_xscale("log")
    ticks = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize=8)
    every = [value for row in rows for value in (row["wall"], row["cpu"] or row["wall"], row["goal"])]
    panel.set_xlim(min([0.5, *every]) / 1.2, max([2, *every]) * 1.2)
    panel.set_yticks(list(places), [f"{words[key]} · {recorded.ratios[key]['better']}" for key in keys], fontsize=8)
    panel.set_ylim(-0.7, len(keys) - 0.3)
    panel.grid(visible=True, which="major", axis="x", alpha=0.3)
    panel.set_xlabel("times the better peer (1: as fast; right of it: faster)", fontsize=9)
    panel.legend(loc="lower right", fontsize=8)
    told = recorded.told
    panel.set_title(f"procura and its peers ({told['date']}; {told['machine']}; rounds: {told['rounds']})", fontsize=11)
    figure.tight_layout()
    figure.savefig(target, dpi=90)
