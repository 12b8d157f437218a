"""Every module has its tests where one would look for them, or a row that says where they are and why."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, modules

TABLE = Path(__file__).with_name("covered_elsewhere.txt")


def rows() -> dict[str, tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    for line in TABLE.read_text().splitlines():
        if line and not line.startswith("#"):
            module, tests, why = line.split(maxsplit=2)
            found[module] = (tests, why)
    return found


def has_code(path: Path) -> bool:
    """Whether there is more in it than a docstring."""
    body = ast.parse((ROOT / path).read_text()).body
    return any(not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)) for node in body)


def mirrors(path: Path) -> list[Path]:
    """Where the tests of a module are looked for; aggregates of the store may have theirs in the contract suite of every engine."""
    mirror = Path("tests") / path.with_name(f"test_{path.stem}.py")
    return [mirror, *([mirror.parent / "contract" / mirror.name] if path.parts[0] == "store" else [])]


def has_own_tests(path: Path) -> bool:
    return any((ROOT / mirror).is_file() for mirror in mirrors(path))


def test_every_module_has_its_tests() -> None:
    known = rows()
    missing = [str(path) for path in modules() if has_code(path) and not has_own_tests(path) and str(path) not in known]
    assert not missing, "no tests/<room>/test_<file>.py and no row in covered_elsewhere.txt: " + ", ".join(missing)


@pytest.mark.parametrize(("module", "row"), sorted(rows().items()))
def test_a_row_points_at_files_that_exist_and_is_still_needed(module: str, row: tuple[str, str]) -> None:
    tests, why = row
    assert (ROOT / module).is_file()
    assert (ROOT / tests).is_file()
    assert len(why.split()) >= 3, "say why"
    assert not has_own_tests(Path(module)), "the module has tests of its own: the row can go"
