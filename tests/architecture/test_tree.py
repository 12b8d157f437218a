"""What no file of the project may be called or contain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import longest
from tests.architecture.tree import ROOT, modules, project_files

NOUNLESS = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}
# Spelled in two pieces, so that this file does not contain what it looks for.
INDEX_HOSTS = re.compile(
    "|".join(("pypi" + r"\.org", "python" + r"hosted\.org", "--(?:extra-)?index" + "-url", "--find" + "-links", "--trusted" + "-host"))
)
MACHINE_PATHS = re.compile(
    "|".join(("/" + r"root/", "/" + r"work/", "/" + r"home/[a-z]", "/" + r"Users/[a-z]+/", "/" + r"opt/(?!procura)", "py" + r"env\b"))
)
# The options that keep addresses out are named where the pins are made.
MAY_NAME_OPTIONS = {"Makefile"}


def text(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8", errors="surrogateescape")


def test_no_module_is_named_for_no_noun() -> None:
    assert [str(path) for path in modules() if {path.stem, *path.parent.parts} & NOUNLESS] == []


@pytest.mark.parametrize(
    "sample",
    [
        "https://pypi." + "org/simple",
        "files.python" + "hosted.org",
        "--extra-index" + "-url x",
        "--find" + "-links=/w",
        "--trusted" + "-host h",
    ],
)
def test_index_addresses_are_recognised(sample: str) -> None:
    assert INDEX_HOSTS.search(sample)


@pytest.mark.parametrize("sample", ["/root" + "/x", "cd /work" + "/main", "/home" + "/anna", "/opt" + "/wheels"])
def test_machine_paths_are_recognised(sample: str) -> None:
    assert MACHINE_PATHS.search(sample)


def test_no_file_names_a_package_index() -> None:
    found = []
    for path in project_files():
        content = text(path)
        if str(path) in MAY_NAME_OPTIONS:
            content = re.sub(r"--no-emit-[a-z-]+", "", content)
        found += [f"{path}: {hit[0]}" for hit in INDEX_HOSTS.finditer(content)]
    assert found == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    found = [f"{path}: {hit[0]}" for path in project_files() for hit in MACHINE_PATHS.finditer(text(path))]
    assert found == []


def test_every_room_says_what_it_is_for() -> None:
    assert [room for room in ("config", "gateway", "policy", "store") if not (ROOT / room / "README.md").is_file()] == []


@pytest.mark.parametrize("room", ["config", "gateway", "gateway/imap", "gateway/neighbour", "policy", "store"])
def test_a_rooms_page_names_its_files(room: str) -> None:
    page = (ROOT / room / "README.md").read_text()
    files = {path.name for path in (ROOT / room).glob("*.py")} - {"__init__.py"}
    rooms = {f"{path.name}/" for path in (ROOT / room).iterdir() if (path / "__init__.py").is_file()}
    assert {name for name in files | rooms if f"`{name}" not in page} == set()


@pytest.mark.parametrize("room", ["config", "gateway", "gateway/imap", "gateway/neighbour", "policy", "store"])
def test_a_rooms_page_names_no_file_that_is_gone(room: str) -> None:
    named = re.findall(r"`([a-z_/]+\.py)`", (ROOT / room / "README.md").read_text())
    there = [str(path) for path in project_files()]
    assert [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in there)] == []


def test_a_module_opens_with_one_sentence() -> None:
    import ast

    silent = [str(path) for path in modules() if text(path).strip() and not ast.get_docstring(ast.parse(text(path)))]
    assert silent == []


def test_the_longest_files_of_tests_exist() -> None:
    assert [name for name in longest.listed() if not (ROOT / name).is_file()] == []
