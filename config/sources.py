"""Where settings come from: command line, environment, secrets directory, file, defaults, in this order."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from config.settings import Settings, names

PREFIX: Final = "PROCURA_"
CONFIG_VARIABLE: Final = "PROCURA_CONFIG"
DEFAULT_FILE: Final = "procura.toml"
DEFAULT_ORIGIN: Final = "default"
_SECRET_LIMIT: Final = 64 << 10  # no secret is longer; a device or a log by mistake is not read whole

_WORDS: Final = MappingProxyType(
    {
        "int_parsing": "must be a whole number",
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
        "string_type": "must be a text",
        "path_type": "must be a path",
        "tuple_type": "must be a list",
        "too_short": "must not be empty",
        "model_type": "is a group of settings, not a setting",
    }
)


@dataclass(frozen=True, slots=True)
class Problem:
    """One setting that cannot be as it was set: its dotted name, where that was set, and why not, in words."""

    setting: str
    origin: str
    reason: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.reason}" + (f" (from {self.origin})" if self.origin else "")


class SettingsError(ValueError):
    """The settings cannot be used. `problems` lists every reason, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: Final = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and for each dotted name where its value came from."""

    settings: Settings
    origins: Mapping[str, str]


class _Texts(EnvSettingsSource):
    """pydantic-settings' reading of nested names, from a mapping that was handed in instead of the process's environment."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): text for name, text in self._texts.items()}


def load(overrides: Mapping[str, object], environ: Mapping[str, str], cwd: Path) -> Loaded:
    """The settings in force.

    `overrides` holds what the command line set, by dotted name (``{"listen.imap": ["127.0.0.1:0"]}``; the names ``config`` and
    ``secrets_dir`` say where to read more). Relative paths are taken from `cwd`. Raises SettingsError with every problem found.
    """
    problems: list[Problem] = []
    layers: list[tuple[dict[str, object], dict[str, str]]] = []

    def add(values: Mapping[str, object], origins: Mapping[str, str]) -> None:
        layers.append((dict(values), dict(origins)))

    given = {name: value for name, value in overrides.items() if name != "config"}
    add(given, dict.fromkeys(given, "command line"))
    add(*_environment(environ))
    file_values, file_origins = _file(overrides, environ, cwd, problems)
    secrets = next((values["secrets_dir"] for values in (layers[0][0], layers[1][0], file_values) if values.get("secrets_dir")), None)
    if secrets is not None:
        add(*_secrets(cwd / str(secrets), problems))
    add(file_values, file_origins)

    merged: dict[str, object] = {}
    origins: dict[str, str] = {}
    for values, sources in layers:
        for name, value in values.items():
            if name not in names():
                problems.append(Problem(name, sources[name], _unknown(name)))
            elif name not in merged:
                merged[name], origins[name] = value, sources[name]
    settings, invalid = _validated(merged, origins)
    if settings is None or problems or invalid:
        raise SettingsError([*problems, *invalid])
    return Loaded(_absolute(settings, cwd), MappingProxyType({name: origins.get(name, DEFAULT_ORIGIN) for name in names()}))


def _environment(environ: Mapping[str, str]) -> tuple[dict[str, object], dict[str, str]]:
    ours = {name: text for name, text in environ.items() if name.upper().startswith(PREFIX) and name.upper() != CONFIG_VARIABLE}
    values = _flat(_Texts(ours)())
    origins = {}
    for variable, text in ours.items():
        name = variable[len(PREFIX) :].lower().replace("__", ".")
        origins[name] = f"environment {variable}"
        # What pydantic-settings passes over (it reads only names it knows) must be seen, to be refused by name.
        values.setdefault(name, text)
    return {name: value for name, value in values.items() if name in origins}, origins


def _secrets(directory: Path, problems: list[Problem]) -> tuple[dict[str, object], dict[str, str]]:
    """Files named like settings; the others (``/run/secrets`` serves many programs) are `config.check`'s to mention."""
    values: dict[str, object] = {}
    origins: dict[str, str] = {}
    try:
        entries = sorted(entry for entry in directory.iterdir() if secret_name(entry.name) in names() and entry.is_file())
    except OSError as fault:
        problems.append(Problem("secrets_dir", "", f"cannot read {directory}: {fault.strerror}"))
        return {}, {}
    for entry in entries:
        name = secret_name(entry.name)
        try:
            with entry.open("rb") as file:
                octets = file.read(_SECRET_LIMIT + 1)
            if len(octets) > _SECRET_LIMIT:
                problems.append(Problem(name, f"secret {entry}", "the file is longer than 64 KiB"))
                continue
            values[name] = octets.decode().strip()
            origins[name] = f"secret {entry}"
        except OSError as fault:
            problems.append(Problem(name, f"secret {entry}", f"cannot be read: {fault.strerror}"))
        except UnicodeDecodeError:
            problems.append(Problem(name, f"secret {entry}", "the file is not UTF-8"))
    return values, origins


def secret_name(file_name: str) -> str:
    """The dotted name of the setting that a file in `secrets_dir` holds, if it holds one."""
    return file_name.lower().removeprefix(PREFIX.lower()).replace("__", ".")


def _file(
    overrides: Mapping[str, object], environ: Mapping[str, str], cwd: Path, problems: list[Problem]
) -> tuple[dict[str, object], dict[str, str]]:
    named = overrides.get("config") or environ.get(CONFIG_VARIABLE)
    path = cwd / str(named or DEFAULT_FILE)
    try:
        tree = tomllib.loads(path.read_bytes().decode())
    except FileNotFoundError:
        if named:
            problems.append(Problem("config", "", f"there is no file {path}"))
        return {}, {}
    except OSError as fault:
        problems.append(Problem("config", "", f"cannot read {path}: {fault.strerror}"))
        return {}, {}
    except UnicodeDecodeError:
        problems.append(Problem("config", "", f"{path} is not UTF-8"))
        return {}, {}
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        problems.append(Problem("config", "", f"{path} is not TOML: {fault}"))
        return {}, {}
    values = _flat(tree)
    return values, dict.fromkeys(values, f"file {path}")


def _flat(tree: Mapping[str, object]) -> dict[str, object]:
    """Dotted names instead of nested tables; two levels is all that settings have."""

    def pairs() -> Iterator[tuple[str, object]]:
        for name, value in tree.items():
            if isinstance(value, Mapping):
                yield from ((f"{name}.{inner}", inner_value) for inner, inner_value in value.items())
            else:
                yield name, value

    return dict(pairs())


def _unknown(name: str) -> str:
    if any(known.startswith(f"{name}.") for known in names()):
        return f"is a group of settings; set {name}.<name>"
    near = difflib.get_close_matches(name, names(), n=1)
    return "there is no such setting" + (f"; did you mean {near[0]}?" if near else "")


def _validated(merged: Mapping[str, object], origins: Mapping[str, str]) -> tuple[Settings | None, list[Problem]]:
    nested: dict[str, Any] = {}
    for name, value in merged.items():
        group, dot, inner = name.partition(".")
        if dot:
            nested.setdefault(group, {})[inner] = value
        else:
            nested[name] = value
    try:
        return Settings(**nested), []
    except ValidationError as fault:
        found: dict[str, str] = {}
        for error in fault.errors(include_url=False):
            name = ".".join(part for part in map(str, error["loc"][:2]))
            name = name if name in names() else str(error["loc"][0])
            found.setdefault(name, _reason(error["type"], error["msg"], error.get("ctx", {})))
        return None, [Problem(name, origins.get(name, ""), reason) for name, reason in found.items()]


def _reason(kind: str, message: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "value_error":
            return str(context["error"])
        case "literal_error":
            return f"must be one of {context['expected']}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}"
        case "greater_than":
            return f"must be more than {context['gt']}"
        case "less_than_equal":
            return f"must be at most {context['le']}"
        case _:
            return _WORDS.get(kind) or message[:1].lower() + message[1:]


def _absolute(settings: Settings, cwd: Path) -> Settings:
    """The same settings with paths that hold wherever the process goes."""
    tls = {name: cwd / path for name, path in (("certificate", settings.tls.certificate), ("key", settings.tls.key)) if path is not None}
    changes: dict[str, object] = {"data": cwd / settings.data, "tls": settings.tls.model_copy(update=tls)}
    if settings.secrets_dir is not None:
        changes["secrets_dir"] = cwd / settings.secrets_dir
    return settings.model_copy(update=changes)
