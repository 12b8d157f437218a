"""What `procura settings` prints: every value in force, where it came from, secrets masked."""

from __future__ import annotations

import json
import re
from typing import Final

from config.settings import Group, Settings
from config.sources import Loaded

# The password of a URL such as postgresql://user:password@host/db; up to the last @ of the authority, as the URL is read.
_URL_PASSWORD: Final = re.compile(r"(://[^:/@]*):[^/]*@")


def describe(loaded: Loaded) -> str:
    """One line ``name = value  # origin`` per setting, in TOML's spelling; ends with a newline."""
    settings = loaded.settings.model_copy(update={"store": loaded.settings.store_url})
    lines = [(f"{name} = {toml(value)}", loaded.origins[name]) for name, value in values(settings).items()]
    width = min(72, max(len(line) for line, _ in lines))
    return "".join(f"{line:<{width}}  # {origin}\n" for line, origin in lines)


def values(settings: Settings) -> dict[str, object]:
    """Every setting by its dotted name, as plain texts, numbers and lists; passwords are masked."""
    found: dict[str, object] = {}
    for name, value in settings.model_dump(mode="json").items():
        if isinstance(getattr(settings, name), Group):
            found |= {f"{name}.{inner}": inner_value for inner, inner_value in value.items()}
        else:
            found[name] = masked(value) if isinstance(value, str) else value
    return found


def masked(text: str) -> str:
    """A URL without its password."""
    return _URL_PASSWORD.sub(r"\1:**********@", text)


def toml(value: object) -> str:
    """A plain value as TOML writes it; None, which TOML lacks, as the empty text that stands for it."""
    return json.dumps("" if value is None else value, ensure_ascii=False)
