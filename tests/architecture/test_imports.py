"""The import contracts of pyproject.toml hold, and each of them would notice a violation."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOMS, ROOT

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = PROJECT["tool"]["importlinter"]["contracts"]

# contract -> (module, what it must not import)
PLANTED = {
    "rooms": [
        ("policy.rights", "import store.grants"),
        ("policy.rights", "import config.settings"),
        ("store.grants", "import gateway.app"),
        ("store.grants", "import config.settings"),
        ("config.settings", "import store.grants"),
    ],
    "policy": [("policy.rights", "import time"), ("policy.rights", "from logging import getLogger"), ("policy.login", "import asyncio")],
    "sans-io": [
        ("gateway.imap.framing", "import socket"),
        ("gateway.imap.grammar.fetch", "import asyncio"),
        ("gateway.message.headers", "import logging"),
        ("gateway.imap.view", "import config.settings"),
        ("gateway.neighbour.socketmap", "import asyncio"),
    ],
    "grammar": [("gateway.imap.grammar.fetch", "import policy.rights"), ("gateway.imap.responses", "import store.model")],
    "aiosmtpd": [("gateway.submission", "import aiosmtpd.smtp"), ("gateway.imap.listener", "from aiosmtpd.smtp import SMTP")],
    "dns": [("gateway.queue", "import dns.asyncresolver"), ("gateway.relay", "from dns.resolver import Resolver")],
    "store": [
        ("gateway.imap.handlers.fetch", "import store.grants"),
        ("gateway.smtp.hooks", "from store.connect import connect"),
        ("gateway.cli", "import store.connect"),
        ("gateway.neighbour.listener", "import store.grants"),
    ],
    "gateway": [
        ("gateway.imap.listener", "import gateway.smtp.hooks"),
        ("gateway.smtp.hooks", "import gateway.imap.listener"),
        ("gateway.folders", "import gateway.delivery"),
        ("gateway.refusal", "import gateway.login"),
        ("gateway.app", "import gateway.cli"),
    ],
    "folders": [
        ("gateway.folders.standpoint", "import gateway.folders.judging"),
        ("gateway.folders.entries", "import gateway.folders.opened"),
        ("gateway.folders.opened", "import gateway.folders.service"),
    ],
    "imap": [
        ("gateway.imap.grammar.fetch", "import gateway.imap.session"),
        ("gateway.imap.handlers.fetch", "import gateway.imap.capabilities"),
        ("gateway.imap.framing", "import gateway.imap.grammar.fetch"),
    ],
}
# What is free although a contract is about it.
ALLOWED = [
    ("store.grants", "import policy.rights"),
    ("gateway.imap.handlers.fetch", "import store.model"),
    ("gateway.imap.handlers.search", "import store.criteria"),
    ("gateway.smtp.hooks", "import aiosmtpd.smtp"),
    ("gateway.folders", "import store.port"),
    ("policy.login", "from datetime import datetime"),
]


def lint(directory: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo", *options],
        cwd=directory,
        env={**os.environ, "COLUMNS": "400"},  # the report is wrapped to the terminal's width
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.fixture(scope="module")
def skeleton(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty modules of all the names that the contracts and this file speak of, so that only what is planted is imported."""
    top = tmp_path_factory.mktemp("skeleton")
    names = {name for rows in PLANTED.values() for name, _ in rows} | {name for name, _ in ALLOWED}
    for contract in CONTRACTS:
        for key in ("source_modules", "protected_modules", "allowed_importers", "forbidden_modules"):
            names |= set(contract.get(key, ()))
        for container in contract.get("containers", ("",)):
            layers = [layer.strip() for row in contract.get("layers", ()) for layer in row.split("|")]
            names |= {f"{container}.{layer}".lstrip(".") for layer in layers}
    names |= {
        "store.connect",
        "store.criteria",
        "store.errors",
        "store.grants",
        "store.model",
        "store.port",
        "gateway.imap.handlers.search",
    }
    for name in sorted(name for name in names if name.split(".")[0] in ROOMS):
        package = top.joinpath(*name.split("."))
        package.mkdir(parents=True, exist_ok=True)
        for directory in (package, *package.parents):
            if directory == top:
                break
            (directory / "__init__.py").touch()
    # The linter wants to see each library that a contract is about.
    (top / "gateway/smtp/hooks/__init__.py").write_text("import aiosmtpd.smtp\n")
    (top / "gateway/resolver/__init__.py").write_text("import dns.asyncresolver\n")
    (top / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    return top


def planted(skeleton: Path, rows: list[tuple[str, str]], *options: str) -> subprocess.CompletedProcess[str]:
    files = {name: skeleton.joinpath(*name.split(".")) / "__init__.py" for name, _ in rows}
    before = {name: file.read_text() for name, file in files.items()}
    for name, line in rows:
        with files[name].open("a") as module:
            module.write(line + "\n")
    try:
        return lint(skeleton, *options)
    finally:
        for name, file in files.items():
            file.write_text(before[name])


def test_the_import_contracts_hold() -> None:
    result = lint(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


def test_what_is_free_breaks_no_contract(skeleton: Path) -> None:
    result = planted(skeleton, ALLOWED)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.count(" KEPT") == len(CONTRACTS)


def test_every_contract_has_planted_violations() -> None:
    assert PLANTED.keys() == {contract["id"] for contract in CONTRACTS}


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract["id"])
def test_a_planted_violation_breaks_its_contract(skeleton: Path, contract: dict[str, str]) -> None:
    # All at once, then each is looked for in the report: one run of the linter per contract keeps this fast.
    rows = PLANTED[contract["id"]]
    result = planted(skeleton, rows, "--contract", contract["id"])
    assert f"{contract['name']} BROKEN" in result.stdout, result.stdout + result.stderr
    for importer, line in rows:
        imported = line.split()[1]
        target = imported if imported.split(".")[0] in ROOMS else imported.split(".")[0]
        assert re.search(rf"{re.escape(importer)} -> {re.escape(target)}\b", result.stdout), f"{importer}: {line} went unnoticed"
