"""No setting without somebody who obeys it, and no setting read from anywhere but `config`."""

from __future__ import annotations

import ast

import pytest

from config.settings import Settings, names
from tests.architecture.tree import ROOT, modules

# Obeyed by config itself, or said there to have no effect yet.
OBEYED_IN_CONFIG = {"secrets_dir", "store", "listen.admin"}


def attributes(*rooms: str) -> set[str]:
    """Every attribute that is looked at in these rooms; a setting's last name is one of them where it is handed on."""
    found: set[str] = set()
    for path in modules(*rooms):
        found |= {node.attr for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.Attribute)}
    return found


def test_every_setting_has_a_user() -> None:
    used = attributes("gateway")
    # A whole group may be handed on, as `config.logs.configuration(settings.log)` takes one, or iterated over as the listeners are.
    whole = {"log", "listen"} & used
    idle = [
        name for name in names() if name not in OBEYED_IN_CONFIG and name.split(".")[0] not in whole and name.split(".")[-1] not in used
    ]
    assert idle == [], "settings that change nothing: " + ", ".join(idle)


def test_the_exceptions_are_settings() -> None:
    assert names().keys() >= OBEYED_IN_CONFIG
    assert "store_url" in dir(Settings)


@pytest.mark.parametrize("path", modules("gateway", "policy", "store"), ids=str)
def test_no_module_reads_the_environment(path: object) -> None:
    tree = ast.parse((ROOT / str(path)).read_text())
    found = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} | {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "os" for alias in node.names
    }
    # Only the command line hands the environment to `config.sources.load`; the demonstration starts the real command with it.
    allowed = {"environ"} if str(path) in {"gateway/cli.py", "gateway/demo/server.py", "gateway/demo/stage.py"} else set()
    assert not (found & {"environ", "getenv", "environb", "putenv"}) - allowed
