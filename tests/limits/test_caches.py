"""The table of what is kept in memory is true and whole: its bounds are the code's, each has a test that goes past it, and nothing that
keeps answers is missing."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.caches import CACHES, Cache
from tests.conformance.table import exists

ROOT = Path(__file__).parents[2]
COVERED: dict[str, list[str]] = tomllib.loads((Path(__file__).parent / "caches.toml").read_text())
ROOMS = ("gateway", "store", "config", "policy")
_KEEPS = re.compile(r"(functools\.)?(lru_cache|cache)\b")


def kept(row: Cache) -> object:
    """What the row names."""
    file, _, name = row.where.partition(":")
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    holder, _, last = name.rpartition(".")
    if not holder:
        return getattr(module, name)
    return {field.name: field.default for field in dataclasses.fields(getattr(module, holder))}[last]


@pytest.mark.parametrize("row", CACHES, ids=lambda row: row.where)
def test_the_bound_is_the_codes_and_has_a_test(row: Cache) -> None:
    found = kept(row)
    if hasattr(found, "cache_parameters"):
        assert found.cache_parameters()["maxsize"] == row.most
        assert row.where not in COVERED
    else:
        assert found == row.most
        assert COVERED.get(row.where), "a cache without a test"
        assert [place for place in COVERED[row.where] if not exists(place)] == []


def test_each_has_one_row_and_no_test_is_of_nothing() -> None:
    rows = [row.where for row in CACHES]
    assert len(rows) == len(set(rows))
    assert [where for where in COVERED if where not in rows] == []


def keepers() -> Iterator[tuple[str, str]]:
    """(file, name) of whatever functools keeps answers of; the name is "" for a dictionary that knows its order, which is what is used for
    the rest."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            file = str(path.relative_to(ROOT))
            tree = ast.parse(path.read_text())
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield from ((file, node.name) for one in node.decorator_list if _KEEPS.match(ast.unparse(one)))
                elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                    value = ast.unparse(node.value)
                    if named := re.match(r".*\bmaxsize=([A-Z_]+)\b", value):
                        yield file, named[1]
                    elif _KEEPS.match(value):
                        yield file, ast.unparse(node.target if isinstance(node, ast.AnnAssign) else node.targets[0])
                    elif value.startswith("OrderedDict("):
                        yield file, ""


def test_nothing_that_keeps_answers_is_missing() -> None:
    rows = {row.where for row in CACHES}
    files = {where.partition(":")[0] for where in rows}
    found = list(keepers())
    assert len(found) > 20
    assert [one for one in found if (f"{one[0]}:{one[1]}" not in rows if one[1] else one[0] not in files)] == []
