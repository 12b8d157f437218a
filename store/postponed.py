"""Changes whose answers nobody needs, put together into one statement: a way to the server for all of them.

PostgreSQL does the parts of `WITH ... SELECT` in no order, all of them in one snapshot, so that none sees what another did. A part may look
at what one behind it changes, since it is to see what was before; but none names a table that one before it changes: that comes after
them. (Triggers are not seen here: none of ours looks at a table that is changed in this way.)
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from store.numbered import Numbered

_CHANGES: Final = re.compile(r"\s*(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+([a-z_]+)", re.IGNORECASE)
# Behind a comma there may be a table too, or a column: then less is put together, and nothing wrongly.
_NAMED: Final = re.compile(r"(?:\b(?:FROM|JOIN|INTO|UPDATE|USING|ONLY)|,)\s*\"?([a-z_]+)", re.IGNORECASE)
_COLUMNS: Final = re.compile(r"(\bINTO\s+\"?[a-z_]+\"?)\s*\([^()]*\)", re.IGNORECASE)
_NUMBER: Final = re.compile(r"\$([0-9]+)")


@lru_cache(maxsize=4000)
def changed_by(sql: str) -> str | None:
    """The table that a statement changes; None: it only reads."""
    found = _CHANGES.match(sql)
    return None if found is None else found[1].lower()


@lru_cache(maxsize=4000)
def names_in(sql: str) -> frozenset[str]:
    """The tables that it may look at or change."""
    return frozenset(name.lower() for name in _NAMED.findall(_COLUMNS.sub(r"\1", sql)))


@lru_cache(maxsize=1000)
def together(statements: tuple[Numbered, ...]) -> Numbered:
    """One statement that does these; its arguments are theirs, one after the other."""
    parts, before = [], 0
    for place, one in enumerate(statements):
        parts.append(f"done{place} AS ({shifted(one.sql, before)})")
        before += len(one.names)
    return Numbered(f"WITH {', '.join(parts)} SELECT 1", ())


def shifted(sql: str, by: int) -> str:
    """With every `$n` raised by so many."""
    return _NUMBER.sub(lambda found: f"${int(found[1]) + by}", sql) if by else sql


class Postponed:
    """What is still to be done, in the order in which it was asked for."""

    __slots__ = ("_arguments", "_statements", "_tables")

    def __init__(self) -> None:
        self._statements: list[Numbered] = []
        self._arguments: list[Any] = []
        self._tables: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._statements)

    def concerns(self, sql: str) -> bool:
        """May this statement see, or change, what is still to be changed?"""
        return bool(self._tables) and not self._tables.isdisjoint(names_in(sql))

    def admits(self, statement: Numbered) -> bool:
        """May it be done together with the others?"""
        return changed_by(statement.sql) is not None and not self.concerns(statement.sql)

    def add(self, statement: Numbered, arguments: Sequence[Any]) -> None:
        """One that is admitted, or is the first."""
        self._statements.append(statement)
        self._arguments += arguments
        table = changed_by(statement.sql)
        if table is not None:
            self._tables.add(table)

    def take(self) -> tuple[Numbered, list[Any]]:
        """The statement that does all of it, and its arguments; nothing is left to do."""
        statements, arguments = self._statements, self._arguments
        self.forget()
        return (statements[0] if len(statements) == 1 else together(tuple(statements))), arguments

    def forget(self) -> None:
        """It is not to be done."""
        self._statements, self._arguments, self._tables = [], [], set()
