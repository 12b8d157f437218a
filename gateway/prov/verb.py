"""What a verb is: its names, its arguments, and the function that does it."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.open_sessions import OpenSessions
from gateway.directory.service import Directory
from gateway.explain import Explain
from gateway.prov.answer import Answer, Usage
from gateway.refusals import Refusals
from gateway.why import Reasons
from policy.roles import Operation
from store.model import Verifiers


class Desk:
    """What verbs work with. `sessions`: those that are open in this process, and the history of logins; `scratch`: a store of its own, with
    all that policy reads of this one, in which changes can be tried; `refusals`: those of this process that are not written yet.

    For an administrator (`acting_as`) what is no service of the directory's kind is there only after `allow` was asked for it.
    """

    def __init__(
        self,
        directory: Directory,
        explain: Explain,
        sessions: OpenSessions,
        scratch: Callable[[], AbstractAsyncContextManager["Desk"]] | None = None,
        refusals: Refusals | None = None,
    ) -> None:
        self.directory = directory
        self._explain = explain
        self.sessions = sessions
        self._allowed: set[Operation] = set()
        self.scratch = scratch
        self._refusals = refusals
        self._ahead: dict[str, list[asyncio.Task[Verifiers]]] = {}

    async def acting_as(self, name: str) -> "Desk":
        """The desk as this administrator may use it; "": the operator's. Raises Fault."""
        if not name:
            return self
        directory = await self.directory.acting(name)
        return Desk(directory, self._explain, self.sessions.acting(directory.records), self.scratch, self._refusals)

    async def allow(self, matter: Matter, about: str = "") -> None:
        """Raises Fault, on record."""
        await self.directory.allow(matter, about)
        self._allowed.add(matter.operation)

    @property
    def explain(self) -> Explain:
        """Raises Fault, unless `allow` was asked about EXPLAIN."""
        self._only_after(Operation.EXPLAIN)
        return self._explain

    @property
    def reasons(self) -> Reasons:
        """Raises Fault, unless `allow` was asked about VIEW_AUDIT."""
        self._only_after(Operation.VIEW_AUDIT)
        return Reasons(self.directory.store, self._refusals)

    def _only_after(self, operation: Operation) -> None:
        if not self.directory.authority.is_operator and operation not in self._allowed:
            raise Fault(Code.PERM_DENIED, f"only the operator of the machine may {operation} here")

    def prepare(self, password: str) -> "asyncio.Task[Verifiers]":
        """Begins to hash a password that a verb is going to need: whoever made the task cancels it if that never comes."""
        task = asyncio.ensure_future(self.directory.accounts.verifiers(password))
        # A refusal is told when the verb asks for the verifiers; until then nobody looks at it.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._ahead.setdefault(password, []).append(task)
        return task

    async def verifiers(self, password: str) -> Verifiers:
        """What is stored in place of the password. Raises Fault."""
        ahead = self._ahead.get(password)
        if not ahead:
            return await self.directory.accounts.verifiers(password)
        task = ahead.pop(0)
        if not ahead:
            del self._ahead[password]
        return await task

    def forget(self, password: str, task: "asyncio.Task[Verifiers]") -> None:
        """The verb never came, or did not ask."""
        ahead = self._ahead.get(password, [])
        if task in ahead:
            ahead.remove(task)
            task.cancel()
        if not ahead:
            self._ahead.pop(password, None)


Run = Callable[[Desk, Sequence[str]], Awaitable[Answer]]

Told = Callable[[str, int, int], None]
"""What is being done, how much of it is done, out of how much (0: nobody knows). On the loop."""

LongRun = Callable[[Desk, Sequence[str], Told], Awaitable[Answer]]


def untold(what: str, done: int, total: int) -> None:
    """For callers that do not watch."""


def unwatched(work: LongRun) -> Run:
    """What takes long, for whoever does not watch it."""

    async def run(desk: Desk, arguments: Sequence[str]) -> Answer:
        return await work(desk, arguments, untold)

    return run


_BETWEEN_FORMS = re.compile(r" \| (?![^\[\]]*\])")


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the table. `arguments`: as the usage shows them; `least` and `most` (None: any) count them, options included.

    `password`: which argument is one, so that it can be hashed while earlier lines are done. `long`: the same as `run`, telling how
    far it is. `local`: the arguments with paths spelled from the root on, for a server that stands elsewhere. `files`: options that name
    a file, whose text the command line puts in its place. `shows`: the first words that take --dry-run and --yes: at a terminal they are
    shown and asked about before they are done.
    """

    name: str
    short: str
    arguments: str
    purpose: str
    least: int
    most: int | None
    run: Run
    password: int | None = None
    long: LongRun | None = None
    local: Callable[[Sequence[str], Path], Sequence[str]] | None = None
    files: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()

    @property
    def usage(self) -> str:
        """`createDomain (cd) NAME [attr value ...]`."""
        short = f" ({self.short})" if self.short else ""
        return f"{self.name}{short} {self.arguments}".rstrip()

    @property
    def forms(self) -> list[str]:
        """Its arguments, one way of using it each: they stand between ` | `, but not where that is inside of brackets. Brackets around
        all of it say that the first one may be left out, and then stay around that."""
        optional = re.fullmatch(r"\[(.* \| .*)\]", self.arguments)
        first, *others = _BETWEEN_FORMS.split(self.arguments if optional is None else optional[1])
        return [first if optional is None else f"[{first}]", *others]

    async def __call__(self, desk: Desk, arguments: Sequence[str], told: Told | None = None) -> Answer:
        """Raises Fault, or Usage with the verb's usage."""
        if len(arguments) < self.least or (self.most is not None and len(arguments) > self.most):
            raise Usage(f"usage: {self.usage}")
        try:
            if told is not None and self.long is not None:
                return await self.long(desk, arguments, told)
            return await self.run(desk, arguments)
        except Usage as error:
            raise error if error.text.startswith("usage: ") else Usage(f"{error.text}\nusage: {self.usage}") from None
