"""What is installed is what pyproject.toml asks for: pinned, with hashes, by one command that every way of installing shares."""

from __future__ import annotations

import re
import tomllib

import pytest

from tests.architecture.tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENTS = ROOT / "requirements"
NAMES = ("build", "runtime", "test", "check", "bench", "fuzz")


def wanted(name: str) -> set[str]:
    lines = (REQUIREMENTS / f"{name}.in").read_text().splitlines()
    return {line for line in lines if line and not line.startswith(("#", "-c"))}


def pins(name: str) -> dict[str, tuple[str, int]]:
    """Package -> version and number of hashes."""
    found: dict[str, tuple[str, int]] = {}
    package = ""
    for line in (REQUIREMENTS / f"{name}.txt").read_text().splitlines():
        if pin := re.match(r"([a-z0-9._-]+)==([^ ]+)", line):
            package = pin[1]
            found[package] = (pin[2], 0)
        elif re.match(r" +--hash=sha256:[0-9a-f]{64}( \\)?$", line):
            version, hashes = found[package]
            found[package] = (version, hashes + 1)
        else:
            assert not line.strip() or line.strip().startswith("#"), f"{name}.txt: {line}"
    return found


def package(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found
    return found[0].lower()


def test_the_runtime_packages_are_those_of_the_project() -> None:
    assert wanted("runtime") == set(PROJECT["project"]["dependencies"])


@pytest.mark.parametrize("group", ["test", "check", "bench", "fuzz"])
def test_the_groups_are_those_of_the_project(group: str) -> None:
    assert wanted(group) == set(PROJECT["dependency-groups"][group])


@pytest.mark.parametrize("name", NAMES)
def test_every_wanted_package_is_pinned_with_hashes(name: str) -> None:
    found = pins(name)
    assert {package(requirement) for requirement in wanted(name)} <= found.keys()
    assert [pinned for pinned, (_, hashes) in found.items() if not hashes] == []


def test_no_two_files_pin_one_package_differently() -> None:
    versions: dict[str, set[str]] = {}
    for name in NAMES:
        for pinned, (version, _) in pins(name).items():
            versions.setdefault(pinned, set()).add(version)
    assert {pinned: found for pinned, found in versions.items() if len(found) > 1} == {}


def test_what_only_tests_may_use_is_not_installed_to_run() -> None:
    assert not {"aioimaplib", "pytest", "hypothesis", "mypy", "ruff", "matplotlib"} & (pins("runtime").keys() | pins("build").keys())
