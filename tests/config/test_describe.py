"""What `procura settings` prints."""

from __future__ import annotations

import tomllib
from pathlib import Path

from config.describe import describe
from config.settings import names
from config.sources import load


def test_every_setting_is_a_line_of_toml_with_its_origin(tmp_path: Path) -> None:
    text = describe(load({"workers": 3}, {"PROCURA_LOG__LEVEL": "debug"}, tmp_path))
    lines = text.splitlines()
    assert [line.partition(" =")[0] for line in lines] == list(names())
    tree = tomllib.loads(text)
    assert tree["workers"] == 3
    assert tree["limits"]["message_size"] == "50 MiB"
    assert next(line for line in lines if line.startswith("workers")).endswith("# command line")
    assert next(line for line in lines if line.startswith("log.level")).endswith("# environment PROCURA_LOG__LEVEL")


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    loaded = load({"listen.lmtp": "unix:/tmp/x,[::1]:24", "queue.retries": "1m,90s", "hostname": 'a"b\\c#d'}, {}, tmp_path)
    (tmp_path / "again.toml").write_text(describe(loaded))
    assert load({"config": "again.toml"}, {}, tmp_path).settings.model_dump() == {
        **loaded.settings.model_dump(),
        "store": loaded.settings.store_url,
    }


def test_passwords_are_masked(tmp_path: Path) -> None:
    text = describe(load({"relay": "smtp://anna:hush@smarthost", "store": "postgresql://anna:hu@sh@h1,h2/db"}, {}, tmp_path))
    assert "hush" not in text
    assert "sh@" not in text
    assert "smtp://anna:**********@smarthost:587" in text
    assert "postgresql://anna:**********@h1,h2/db" in text
