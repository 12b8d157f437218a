"""What a deed is known to ask before it changes anything: on PostgreSQL it is asked all at once, together with the locks of its group.

An answer is used once, and what the deed changes before it asks must not be foreseen. What is foreseen and not asked is lost time, and
nothing else; what is asked and was not foreseen is asked then. Each row names a statement and its parameters as the aggregate does.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from policy.folders import SpecialUse
from policy.identity import FolderId
from store import deeds, folders, login, queue
from store.appending import AppendMessages
from store.copying import CopyMessages, MoveMessages
from store.expunging import Expunge
from store.flags import ChangeFlags, MarkSeen
from store.numbered import Numbered
from store.owners import Owners
from store.port import Deed
from store.postponed import shifted

Asked = tuple[str, Mapping[str, Any]]

MOST: Final = 12
"""Questions of one deed: each selection is a statement of its own that a connection keeps."""


def foreseen(deed: Deed[Any], owners: Owners) -> Sequence[Asked]:
    """What doing it will ask, or part of it; of folders those whose owner is known."""
    found = _ROWS.get(type(deed))
    return () if found is None else found(deed, owners)[:MOST]


@lru_cache(maxsize=1000)
def at_once(statements: tuple[Numbered, ...], before: str = "", taken: int = 0) -> Numbered:
    """One statement that answers all of them, each with an array of its rows, behind the columns `before` with so many parameters."""
    columns = [before] if before else []
    for place, one in enumerate(statements):
        columns.append(f"ARRAY(SELECT found{place} FROM ({shifted(one.sql, taken)}) AS found{place})")  # noqa: S608 - of our own statements
        taken += len(one.names)
    return Numbered(f"SELECT {', '.join(columns)}", ())


class Questions:
    """What one deed is foreseen to ask: statements, each with the parameters that it will have."""

    __slots__ = ("_statements", "arguments", "keys")

    def __init__(self, asked: Sequence[tuple[Numbered, Mapping[str, Any]]]) -> None:
        found = {(one.sql, *one.arguments(parameters)): one for one, parameters in asked}
        self.keys = tuple(found)
        self.arguments = [argument for _, *arguments in found for argument in arguments]
        self._statements = tuple(found.values())

    def together(self, before: str = "", taken: int = 0) -> Numbered:
        """As `at_once`."""
        return at_once(self._statements, before, taken)


NOTHING_ASKED: Final = Questions(())


class Answers:
    """To what one deed was foreseen to ask; `there`: they have been asked for."""

    __slots__ = ("_rows", "questions", "there")

    def __init__(self, questions: Questions, answers: Sequence[Sequence[Any]] | None = None) -> None:
        self.questions = questions
        self.there = answers is not None
        self._rows: dict[tuple[Any, ...], Sequence[Any]] = dict(zip(questions.keys, answers or ((),) * len(questions.keys), strict=True))

    def foresaw(self, statement: Numbered, arguments: Sequence[Any]) -> bool:
        """Was it foreseen, and not taken yet?"""
        return bool(self._rows) and (statement.sql, *arguments) in self._rows

    def arrived(self, answers: Sequence[Sequence[Any]]) -> None:
        """In the order of the questions; before anything was taken."""
        self._rows = dict(zip(self.questions.keys, answers, strict=True))
        self.there = True

    def take(self, statement: Numbered, arguments: Sequence[Any]) -> list[Any]:
        """Once."""
        return [tuple(row) for row in self._rows.pop((statement.sql, *arguments))]


def _accept(deed: queue.AcceptMessage, _: Owners) -> list[Asked]:
    if deed.steps:
        return []
    asked: list[Asked] = [("queue.accepted", {"key": deed.key})] if deed.key else []
    into = [(copy.owner, copy.special_use) for copy in deed.copies]
    for filing in deed.filing:
        owners = [owner for owner, _ in filing.owners] + [filing.actor] * filing.sender
        into += [(owner, SpecialUse.SENT) for owner in owners]
    asked += [("folders.by_special_use", {"owner": owner, "special_use": use.value}) for owner, use in into]
    return asked


def _settle(deed: queue.Settle, owners: Owners) -> list[Asked]:
    asked: list[Asked] = [("queue.leased_blob", {"id": deed.id, "lease": deed.lease})]
    return asked if deed.accept is None else asked + _accept(deed.accept, owners)


def _folder(deed: Any, owners: Owners) -> list[Asked]:
    return _folders((deed.folder,), owners)


def _numbered(deed: Any, owners: Owners) -> list[Asked]:
    owner = owners.of(deed.folder)
    return [] if owner is None else [("messages.numbered", {"owner": owner, "folder": deed.folder})]


def _both(deed: Any, owners: Owners) -> list[Asked]:
    return _folders(dict.fromkeys((deed.source, deed.target)), owners)


def _folders(numbers: Iterable[FolderId], owners: Owners) -> list[Asked]:
    found = ((folder, owners.of(folder)) for folder in numbers)
    return [("folders.by_id", {"owner": owner, "id": folder}) for folder, owner in found if owner is not None]


def _admit(deed: login.AdmitUnlessLocked, _: Owners) -> list[Asked]:
    names = ("login.rules", "login.verifier", "login.failures", "login.lockout")
    return [(name, {"account": deed.account}) for name in names]


_ROWS: Final[Mapping[type[Deed[Any]], Callable[[Any, Owners], list[Asked]]]] = MappingProxyType(
    {
        deeds.Audited: lambda deed, owners: [*foreseen(deed.deed, owners)],
        folders.ClaimRecent: _folder,
        login.AdmitUnlessLocked: _admit,
        AppendMessages: _folder,
        ChangeFlags: _numbered,
        MarkSeen: _numbered,
        Expunge: _folder,
        CopyMessages: _both,
        MoveMessages: _both,
        queue.AcceptMessage: _accept,
        queue.Settle: _settle,
        queue.HandedOn: lambda deed, _: [("queue.leased_blob", {"id": number, "lease": deed.lease}) for number in deed.ids],
    }
)
