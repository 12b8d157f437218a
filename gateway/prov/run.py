"""Doing what was typed after `procura`: one verb, or a batch of lines, with its outputs and its exit status."""

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.directory.faults import Code, Fault
from gateway.prov import verbs
from gateway.prov.answer import Answer, Usage
from gateway.prov.arguments import words
from gateway.prov.commands import COMMANDS
from gateway.prov.verb import Desk, Told, Verb
from store.model import Verifiers

AHEAD: Final = 32
"""Lines that are read before their turn, so that passwords are hashed while earlier lines are written."""
LINE: Final = 64 * 1024
"""Characters of a line of a batch; longer ones are no commands."""

WHOLE: Final = 32 << 20
"""Characters of a file that a command reads whole."""

_UNSTORABLE: Final = re.compile("[\ud800-\udfff\0]")

FAILED: Final = 1
MISUSED: Final = 2


@dataclass(frozen=True, slots=True)
class Said:
    """Something to print."""

    text: str
    error: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """So many lines of the batch are done."""

    lines: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The last thing there is to know."""

    status: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """How far one long command is; `total` 0: nobody knows how much there is."""

    what: str
    done: int
    total: int


Event = Said | Progress | Advanced | Ended


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `command`: `prov` or one of COMMANDS; `arguments` what follows it, without options of ours.

    `batch`: lines follow instead of arguments. `progress`: tell how many lines are done. `acting`: the administrator with whose rights
    it is done, "" for the operator of the machine.
    """

    command: str
    arguments: tuple[str, ...] = ()
    as_json: bool = False
    batch: bool = False
    keep_going: bool = False
    progress: bool = False
    acting: str = ""


async def run(desk: Desk, request: Request, lines: AsyncIterator[str] | None = None) -> AsyncGenerator[Event, None]:
    """Does it, telling what comes of it as it comes; ends with Ended. `lines`: of a batch."""
    try:
        desk = await desk.acting_as(request.acting)
    except Fault as fault:
        yield Said(f"ERROR: {fault}\n", error=True)
        yield Ended(FAILED)
        return
    arguments = request.arguments
    if request.batch and lines is not None and request.command in COMMANDS:
        # A command that reads a file is given all of it behind its arguments.
        read = await _whole(lines)
        if read is None:
            yield Said(f"ERROR: {Fault(Code.INVALID_REQUEST, f'a file has at most {WHOLE} characters')}\n", error=True)
            yield Ended(FAILED)
            return
        arguments = (*arguments, read)
    elif request.batch and lines is not None:
        async for event in _batch(desk, request, lines):
            yield event
        return
    try:
        verb = COMMANDS.get(request.command)
        if verb is not None and verb.long is not None:
            watching = _Watching()
            doing = asyncio.ensure_future(_one(desk, request.command, arguments, watching.told))
            try:
                async for step in watching.steps(doing):
                    yield step
                answer = doing.result()
            finally:
                # Whoever asked went away: what is half done is given up, and waited for, before anything else may begin.
                doing.cancel()
                await asyncio.wait({doing})
        else:
            answer = await _one(desk, request.command, arguments)
        if answer.pieces is not None:
            async for piece in answer.pieces:
                yield Said(piece)
    except Fault as fault:
        yield Said(f"ERROR: {fault}\n", error=True)
        yield Ended(FAILED)
    except Usage as usage:
        yield Said(f"{usage.text}\n", error=True)
        yield Ended(MISUSED)
    else:
        if answer.pieces is None:
            yield Said(answer.spelled(request.as_json))
        yield Ended(FAILED if answer.denied else 0)


async def _whole(lines: AsyncIterator[str]) -> str | None:
    """None: too much."""
    found: list[str] = []
    size = 0
    async for line in lines:
        size += len(line) + 1
        if size > WHOLE:
            return None
        found.append(line)
    return "".join(f"{line}\n" for line in found)


class _Watching:
    """The newest state of a long command, told at most so many times a second."""

    PAUSE: Final = 0.1

    def __init__(self) -> None:
        self._newest: Advanced | None = None

    def told(self, what: str, done: int, total: int) -> None:
        self._newest = Advanced(what, done, total)

    async def steps(self, doing: "asyncio.Future[Answer]") -> AsyncGenerator[Advanced, None]:
        """Until it has ended."""
        while not doing.done():
            await asyncio.wait({doing}, timeout=self.PAUSE)
            newest, self._newest = self._newest, None
            if newest is not None:
                yield newest


async def _one(desk: Desk, command: str, arguments: Sequence[str], told: Told | None = None) -> Answer:
    """Raises Fault, Usage."""
    try:
        return await _done(desk, command, arguments, told)
    except Fault as fault:
        raise await desk.directory.told(fault) from None


async def _done(desk: Desk, command: str, arguments: Sequence[str], told: Told | None) -> Answer:
    """Raises Fault, Usage."""
    if any(_UNSTORABLE.search(one) for one in arguments):
        raise Fault(Code.INVALID_REQUEST, "what was written is not UTF-8, or holds a NUL")
    if command != "prov":
        return await COMMANDS[command](desk, arguments, told)
    if not arguments:
        raise Usage(verbs.overview())
    verb = verbs.find(arguments[0])
    if list(arguments[1:]) in (["--help"], ["-h"]):
        return Answer(verbs.usage(verb), verb.usage)
    return await verb(desk, arguments[1:])


@dataclass(slots=True)
class _Line:
    """A line whose turn will come: its words, or what is wrong with it already; a password that is being hashed."""

    number: int
    words: Sequence[str]
    fault: Fault | Usage | None = None
    password: str = ""
    hashing: "asyncio.Task[Verifiers] | None" = None


async def _batch(desk: Desk, request: Request, lines: AsyncIterator[str]) -> AsyncGenerator[Event, None]:
    """In the order of the lines, each in a transaction of its own; only hashing runs ahead."""
    waiting: asyncio.Queue[_Line | None] = asyncio.Queue(AHEAD)
    begun: deque[_Line] = deque()
    reader = asyncio.ensure_future(_read(desk, lines, waiting, begun))
    status = 0
    try:
        while (line := await waiting.get()) is not None:
            try:
                if line.fault is not None:
                    raise line.fault
                answer = await _one(desk, request.command, line.words)
                if answer.text or request.as_json:
                    yield Said(answer.spelled(request.as_json))
            except (Fault, Usage) as error:
                status = max(status, MISUSED if isinstance(error, Usage) else FAILED)
                yield Said(f"{_spelled(error)} [line {line.number}]\n", error=True)
                if not request.keep_going:
                    break
            finally:
                _settle(desk, line)
                if line in begun:
                    begun.remove(line)
            if request.progress:
                yield Progress(line.number)
        else:
            await reader
    finally:
        reader.cancel()
        # It may be waiting for the next line: nobody else could read on before it has ended.
        await asyncio.wait({reader})
        for line in begun:
            _settle(desk, line)
    yield Ended(status)


def _spelled(error: Fault | Usage) -> str:
    return f"ERROR: {error}" if isinstance(error, Fault) else error.text.rstrip()


def _settle(desk: Desk, line: _Line) -> None:
    if line.hashing is not None:
        desk.forget(line.password, line.hashing)
        line.hashing = None


async def _read(desk: Desk, lines: AsyncIterator[str], waiting: "asyncio.Queue[_Line | None]", begun: "deque[_Line]") -> None:
    number = 0
    try:
        async for text in lines:
            number += 1
            line = _parsed(number, text)
            if line is None:
                continue
            password = _password(line.words)
            if password:
                line.password = password
                line.hashing = desk.prepare(password)
                begun.append(line)
            await waiting.put(line)
    finally:
        # The batch has ended, or nobody is left to hear of it.
        if not (task := asyncio.current_task()) or not task.cancelling():
            await waiting.put(None)


def _parsed(number: int, text: str) -> _Line | None:
    """None: nothing to do."""
    if len(text) > LINE:
        return _Line(number, (), Fault(Code.INVALID_REQUEST, f"a line has at most {LINE} characters"))
    try:
        found = words(text)
    except Fault as fault:
        return _Line(number, (), fault)
    return _Line(number, found) if found else None


def _password(some: Sequence[str]) -> str:
    """What will have to be hashed for this line; "" for nothing."""
    verb: Verb | None = verbs.VERBS.get(some[0].lower()) if some else None
    if verb is None or verb.password is None or len(some) <= verb.password + 1:
        return ""
    return some[verb.password + 1]
