"""Statements with `:name` parameters as PostgreSQL takes them: numbered, the names in their order."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from store.statements import with_owner

# What is quoted is matched first, then casts, so that a colon in either is no parameter.
_PARAMETER: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|::|:([a-z_][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Numbered:
    """`names[n - 1]` is what `$n` stands for."""

    sql: str
    names: tuple[str, ...]

    def arguments(self, parameters: Mapping[str, Any]) -> list[Any]:
        """In their order. Texts without NUL, which PostgreSQL does not take: U+FFFD stands for it. Raises KeyError."""
        return [_plain(parameters[name]) for name in self.names]

    def with_casts(self, types: Mapping[int, str]) -> "Numbered":
        """With the parameters of these numbers cast to these types."""
        return Numbered(re.sub(r"\$([0-9]+)", lambda found: _cast(found[0], types.get(int(found[1]))), self.sql), self.names)


def numbered(statement: str) -> Numbered:
    """Each name gets one number, however often it stands there."""
    numbers: dict[str, int] = {}

    def number(found: re.Match[str]) -> str:
        name = found[1]
        return found[0] if name is None else f"${numbers.setdefault(name, len(numbers) + 1)}"

    sql = _PARAMETER.sub(number, statement)
    return Numbered(sql, tuple(numbers))


@lru_cache(maxsize=1000)
def composed(statement: str) -> Numbered:
    """The same for statements that are put together while we run, as they are said here; the last thousand are remembered."""
    return numbered(with_owner(statement))


def numbered_all(statements: Mapping[str, str]) -> Mapping[str, Numbered]:
    """Each by its name."""
    return MappingProxyType({name: numbered(statement) for name, statement in statements.items()})


def rows_of(numbered: Numbered, rows: Iterable[Mapping[str, Any]]) -> list[list[Any]]:
    """The arguments of many."""
    return [numbered.arguments(row) for row in rows]


def _plain(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def _cast(parameter: str, kind: str | None) -> str:
    return parameter if kind is None else f"CAST({parameter} AS {kind})"
