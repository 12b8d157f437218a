"""The sessions of all nodes that share a database, seen and ended from any of them."""

import dataclasses
import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from gateway.sessions import SessionRow, Sessions
from policy.identity import AccountId
from store.errors import Busy
from store.nodes import Answered, Nodes

LIST: Final = "sessions"
END: Final = "end sessions"
FEW: Final = 10
"""Other servers are told of an account that has a tenth of what it may have."""
SLOTS: Final = 1000
"""A session's number ends in the slot of its node."""


def numbers(nodes: Nodes) -> Callable[[], int]:
    """Of the sessions of this node: no other has them."""
    counted = itertools.count(1)
    return lambda: next(counted) * SLOTS + nodes.slot


def elsewhere(nodes: Nodes) -> Callable[[AccountId], int]:
    """How many sessions an account has on other servers, as of a few seconds ago."""
    return lambda account: nodes.elsewhere(str(account))


class NodeSessions:
    """See gateway.directory.open_sessions.Live. Made once, it also answers the others. `per_account`: how many an account may have, in
    so many processes (`processes`) of this server."""

    def __init__(self, sessions: Sessions, nodes: Nodes, per_account: int, processes: int = 1) -> None:
        # Who has few need not be counted everywhere: so many nodes could not come to the limit.
        least = max(1, per_account // (FEW * processes))
        nodes.counts(lambda: {str(account): count for account, count in sessions.counts(least).items()})
        self._sessions = sessions
        self._nodes = nodes
        self._ends = (nodes.answers(LIST, self._told), nodes.answers(END, self._ended))

    def close(self) -> None:
        """Answers no more."""
        for end in self._ends:
            end()

    async def rows(self) -> list[SessionRow]:
        """Raises Busy when a node does not answer."""
        rows = self._sessions.rows()
        for one in _complete(await self._nodes.ask(LIST, None)):
            rows += [_row(row) for row in one]
        return sorted(rows, key=lambda row: (-row.seconds, row.number))

    async def end(self, numbers: Collection[int]) -> int:
        """Raises Busy when a node does not answer: its sessions may go on."""
        ended = self._sessions.end(numbers)
        elsewhere = [number for number in numbers if number % SLOTS != self._nodes.slot]
        if elsewhere:
            ended += sum(_complete(await self._nodes.ask(END, elsewhere)))
        return ended

    async def _told(self, _: Any) -> Any:
        return [dataclasses.asdict(row) for row in self._sessions.rows()]

    async def _ended(self, asked: Any) -> Any:
        return self._sessions.end([int(number) for number in asked])


def _complete(answers: Collection[Answered]) -> list[Any]:
    silent = [one.name for one in answers if one.answer is None]
    if silent:
        raise Busy(f"no answer from {', '.join(silent)}")
    return [one.answer for one in answers]


def _row(told: Mapping[str, Any]) -> SessionRow:
    """What a newer node tells besides is left out."""
    return SessionRow(**{field.name: told[field.name] for field in dataclasses.fields(SessionRow) if field.name in told})
