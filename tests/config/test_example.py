"""The committed example is the generated one, says every setting, and means the defaults."""

from __future__ import annotations

import re
import socket
import tomllib
from pathlib import Path

from config.describe import values
from config.example import example
from config.settings import names
from config.sources import load

COMMITTED = Path(__file__).resolve().parents[2] / "config" / "example.toml"


def uncommented() -> str:
    return re.sub(r"^#(?=[a-z_]+ = )", "", example(), flags=re.MULTILINE)


def test_the_committed_example_is_the_generated_one() -> None:
    assert COMMITTED.read_text() == example(), "python -m config.example > config/example.toml"


def test_as_it_stands_it_sets_nothing() -> None:
    assert {name for name, value in tomllib.loads(example()).items() if value != {}} == set()


def test_uncommented_it_sets_every_setting_to_its_default(tmp_path: Path) -> None:
    (tmp_path / "procura.toml").write_text(uncommented())
    loaded = load({"hostname": "x", "secrets_dir": ""}, {}, tmp_path)
    assert {name for name, origin in loaded.origins.items() if origin.startswith("file")} == set(names()) - {"hostname", "secrets_dir"}
    assert values(loaded.settings) == values(load({"hostname": "x"}, {}, tmp_path).settings)


def test_it_is_the_same_on_every_machine() -> None:
    assert f'"{socket.gethostname()}"' not in example() or socket.gethostname() == "mail.example.org"
    assert str(Path.cwd()) not in example()
