"""README.md's table of what is announced, from the rows beside this file: `python -m tests.conformance.table` writes it."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
README = ROOT / "README.md"
BEGIN = "<!-- conformance: made by python -m tests.conformance.table -->"
END = "<!-- conformance: end -->"
PROTOCOLS = {"imap": "IMAP", "smtp": "SMTP and LMTP", "dkim": "DKIM and ARC"}
STATUSES = ("yes", "partial", "no", "n/a")
ABSENT = ("no", "n/a")
LATER = "a later version"
MANY = 3
WHOLE = 12
BAR = "\\|"
MARKS = {"yes": "✓", "partial": "partly"}


@dataclass(frozen=True)
class Row:
    """One section of an RFC, or of a document that is none. `name`: as announced, empty for what needs no name. `code`, `tests`: FILE or
    FILE:NAME. `status` n/a: the section asks nothing of what this server does."""

    protocol: str
    rfc: int | str
    section: str
    about: str
    status: str
    name: str = ""
    code: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    note: str = ""


def rows(protocol: str, text: str | None = None) -> list[Row]:
    """Of one file, or of a text like it. Raises TypeError for a key that is unknown or missing."""
    found = tomllib.loads((HERE / f"{protocol}.toml").read_text() if text is None else text)
    return [
        Row(protocol, **{key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}) for row in found["row"]
    ]


def faults(row: Row) -> list[str]:
    """What is wrong with a row, in words."""
    found = []
    if row.status not in STATUSES:
        found.append(f"status is {row.status!r}")
    if row.status in ABSENT and (row.code or row.tests):
        found.append("is said not to be there, but names code or tests")
    if row.status not in ABSENT and not (row.code and row.tests):
        found.append("names no code or no test")
    if row.status != "yes" and not row.note:
        found.append("does not say why")
    found += [f"{place} does not exist" for place in (*row.code, *row.tests) if not exists(place)]
    found += [f"{place} is no test" for place in row.tests if not place.startswith("tests/")]
    found += [f"{place} is no code" for place in row.code if place.startswith("tests/")]
    return found


def exists(place: str) -> bool:
    """Whether there is such a file and, where a name follows, a function or class of that name in it."""
    file, _, name = place.partition(":")
    return (ROOT / file).is_file() and (not name or name in _names(ROOT / file))


@cache
def _names(file: Path) -> frozenset[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return frozenset(node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds))


def spelled() -> str:
    """The tables as Markdown: one line per name and RFC, the weakest of its sections deciding; then what is not there yet."""
    lines: list[str] = []
    for protocol, title in PROTOCOLS.items():
        there = [row for row in rows(protocol) if row.status not in ABSENT]
        lines += [f"| {title} | | RFC | |", "|---|---|---|---|"]
        groups: dict[tuple[str, int | str], list[Row]] = {}
        for row in there:
            groups.setdefault((row.name, row.rfc), []).append(row)
        for (name, rfc), group in groups.items():
            worst = max((row.status for row in group), key=STATUSES.index)
            about = _about(group)
            notes = "".join(f" ({note})" for note in dict.fromkeys(row.note for row in group) if note)
            lines.append(f"| {f'`{name}`' if name else ''} | {MARKS[worst]} | {rfc} | {(about + notes).replace('|', BAR)} |")
        missing = [_missing(row) for row in rows(protocol) if row.status == "no"]
        lines += ["", *([f"Not yet: {', '.join(missing)}.", ""] if missing else [])]
    return "\n".join(lines)


def _about(group: Sequence[Row]) -> str:
    if len(group) >= WHOLE:
        return f"{len(group)} sections, all that ask something of this server"
    return "; ".join(row.about for row in group[:MANY]) + (f"; {len(group)} sections in all" if len(group) > MANY else "")


def _missing(row: Row) -> str:
    name = f"`{row.name}`" if row.name else row.about
    return name if row.note == LATER else f"{name} ({row.note})"


def placed(readme: str) -> str:
    """The README with the tables where they belong. Raises ValueError where it has no place for them."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{spelled()}\n{END}{after}"


if __name__ == "__main__":
    wrong = [
        f"{row.protocol} RFC {row.rfc} {row.section}: {fault}" for protocol in PROTOCOLS for row in rows(protocol) for fault in faults(row)
    ]
    if wrong:
        sys.exit("\n".join(wrong))
    README.write_text(placed(README.read_text()))
