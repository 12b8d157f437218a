"""The documented example file, made from the settings themselves: ``python -m config.example > config/example.toml``."""

from __future__ import annotations

import sys
import textwrap
from typing import Final

from config.describe import toml, values
from config.settings import Settings, names

_WIDTH: Final = 116
_HEAD: Final = """\
# Every setting of procura with its default. Copy what you change to procura.toml (or name the file: --config, PROCURA_CONFIG).
# The same names work in the environment: PROCURA_RELAY, PROCURA_LISTEN__IMAP='["127.0.0.1:1143"]', PROCURA_LIMITS__RECIPIENTS.
# What counts, first to last: command line, environment, files in secrets_dir, this file, the default.
# Times are seconds or "90s", "15m", "4h", "5d"; sizes are octets or "64 KiB", "50 MiB". `procura check` finds contradictions.
"""


def example() -> str:
    """The text of config/example.toml: each setting commented out at its default, under its sentence."""
    defaults = values(Settings())
    blocks = [_HEAD]
    group = ""
    # TOML puts the settings without a group first; the groups follow in the order of the model.
    for name, field in sorted(names().items(), key=lambda item: "." in item[0]):
        prefix, dot, inner = name.partition(".")
        if dot and prefix != group:
            group = prefix
            blocks.append(f"{_comment(_purpose(prefix))}[{prefix}]\n")
        value = '"mail.example.org"' if name == "hostname" else _value(defaults[name])
        blocks.append(f"{_comment(field.description)}#{inner or name} = {value}\n")
    return "\n".join(blocks)


def _value(value: object) -> str:
    # pathlib drops the ./ that tells a reader what the path is relative to.
    return toml("./var" if value == "var" else value)


def _purpose(group: str) -> str:
    kind = Settings.model_fields[group].annotation
    assert isinstance(kind, type)
    return str(kind.__doc__)


def _comment(text: str) -> str:
    return "".join(f"# {line}\n" for line in textwrap.wrap(text, _WIDTH))


if __name__ == "__main__":
    sys.stdout.write(example())
