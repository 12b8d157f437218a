"""The named statements: each `sql/<stem>.sql` belongs to the aggregate `store/<stem>.py` and is known as "<stem>.<name>".

A file looks like this; a line that is `-- ` and one word opens a statement, any other comment is stripped (a colon in it would
become a parameter). Parameters are `:name`.

    -- by_id
    SELECT name FROM domain WHERE id = :id

    -- insert
    INSERT INTO domain (name) VALUES (:name)

On PostgreSQL the keys of an account's data begin with the account (README.md, "Where the keys begin"), on SQLite they do not, and many
of these tables have no such column there. What says so stands in square brackets: it is part of the statement on PostgreSQL, and is left
out on SQLite.

    -- sizes
    SELECT key, size FROM message WHERE [owner = :owner AND] key BETWEEN :low AND :high
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

DIRECTORY_OF_STATEMENTS: Final = Path(__file__).with_name("sql")

_OPENING: Final = re.compile(r"^-- ([a-z][a-z0-9_]*)[ ]*$", re.MULTILINE)
# A text or a quoted name is matched first, so that what looks like a comment inside it stays.
_COMMENT: Final = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|--[^\n]*|/\*.*?\*/", re.DOTALL)


# What is quoted is matched first here too. The brackets of ARRAY[...] are said in files of PostgreSQL's own, which are taken as they are.
_OWNER: Final = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|\[([^\[\]]*)\][ ]?")


class BadStatements(ValueError):
    """A file of statements cannot be read; the message names the file and the place."""


def read(stem: str, text: str) -> dict[str, str]:
    """The statements of one file, by "<stem>.<name>". Raises BadStatements."""
    openings = list(_OPENING.finditer(text))
    if _bare(text[: openings[0].start()] if openings else text):
        raise BadStatements(f"{stem}.sql: text before the first `-- name`")
    found: dict[str, str] = {}
    for opening, following in zip(openings, [*openings[1:], None], strict=True):
        name = f"{stem}.{opening[1]}"
        statement = _bare(text[opening.end() : following.start() if following else None])
        if name in found:
            raise BadStatements(f"{stem}.sql: {opening[1]} is there twice")
        if not statement:
            raise BadStatements(f"{stem}.sql: {opening[1]} is empty")
        found[name] = statement
    return found


def load(dialect: str = "sqlite", where: Path = DIRECTORY_OF_STATEMENTS) -> Mapping[str, str]:
    """Every statement of every file, those in `sql/<dialect>/` in the place of their namesakes. Raises BadStatements."""
    said = with_owner if dialect == "postgres" else without_owner
    found: dict[str, str] = {}
    for file in sorted(where.glob("*.sql")):
        found.update((name, said(statement)) for name, statement in read(file.stem, file.read_text(encoding="utf-8")).items())
    for file in sorted((where / dialect).glob("*.sql")):
        found.update(read(file.stem, file.read_text(encoding="utf-8")))
    return MappingProxyType(found)


def with_owner(statement: str) -> str:
    """As it is said where keys begin with the account: what stands in brackets is part of it."""
    return _OWNER.sub(lambda found: found[1] or f"{found[2]} ", statement)


def without_owner(statement: str) -> str:
    """As it is said where they do not."""
    return _OWNER.sub(lambda found: found[1] or "", statement)


def _bare(text: str) -> str:
    without = _COMMENT.sub(lambda match: match[1] or " ", text)
    return "\n".join(line.rstrip() for line in without.splitlines() if line.strip()).strip().removesuffix(";").rstrip()
