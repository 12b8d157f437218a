"""The Unix socket in `data` through which the command line asks a running server to do its verbs, and both ends of it."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from gateway.prov.commands import COMMANDS
from gateway.prov.run import Advanced, Ended, Event, Progress, Request, Said, run
from gateway.prov.verb import Desk

log = logging.getLogger(__name__)

SOCKET: Final = "control.sock"
LINE: Final = 1 << 20
"""Octets of one line of JSON: a batch line of 64 K characters, each escaped."""
CHUNK: Final = 64 * 1024
"""Characters of output in one line of JSON, well below LINE when escaped."""
CONNECTIONS: Final = 64
PATIENCE: Final = 5.0
"""Seconds for a caller to take note that its call has ended."""
_PATH: Final = 100
"""Octets of a socket's path that every system takes."""


class NobodyThere(Exception):
    """No server answers on the socket."""


class Broken(Exception):
    """The server went away before it was done; what it had not confirmed may or may not have happened."""


class Control:
    """The server's end. One line of JSON asks; a batch sends a line for each of its lines; every event is a line back.

    Only the user that the server runs as (and root) is listened to, whatever the modes of the directories are.
    """

    def __init__(self, data: Path, desk: Desk) -> None:
        self._path = data / SOCKET
        self._desk = desk
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises OSError. What is left of an earlier server is replaced: the store's lock says that it is gone."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _short(self._path) as short:
                listening.bind(short)
            self._path.chmod(0o600)
            listening.setblocking(False)
            self._server = await asyncio.start_unix_server(self._connected, sock=listening, limit=LINE)
        except BaseException:
            listening.close()
            raise

    async def close(self, patience: float = PATIENCE) -> None:
        """No new calls; those that are being done may finish within so many seconds."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(OSError):
                self._path.unlink()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._answer(reader, writer)
            await self._hear_out(reader, writer)
        except (ConnectionError, BrokenPipeError):
            pass  # the command line was stopped: nobody is left to be told
        finally:
            self._tasks.discard(task)
            writer.close()

    @staticmethod
    async def _hear_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A socket that is closed over lines it has not read takes the answer back that is still on its way."""
        if writer.can_write_eof():
            writer.write_eof()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while await reader.read(CHUNK):
                    pass

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not _is_ours(writer.get_extra_info("socket")):
            log.warning("control", extra={"fields": {"outcome": "refused: another user"}})
            await _send(writer, _event(Said("ERROR: service.PERM_DENIED (permission denied: another user's server)\n", error=True)))
            await _send(writer, _event(Ended(1)))
            return
        try:
            if len(self._tasks) > CONNECTIONS:
                raise _NotUnderstood("too many calls at once")
            request = _read_request(await _receive(reader))
        except _NotUnderstood as error:
            await _send(writer, _event(Said(f"ERROR: service.INVALID_REQUEST (invalid request: {error})\n", error=True)))
            await _send(writer, _event(Ended(1)))
            return
        try:
            async with contextlib.aclosing(run(self._desk, request, _lines(reader) if request.batch else None)) as events:
                async for event in events:
                    for piece in _pieces(event):
                        await _send(writer, _event(piece))
        except (ConnectionError, BrokenPipeError, asyncio.CancelledError):
            raise
        except _NotUnderstood as error:
            await _send(writer, _event(Said(f"ERROR: service.INVALID_REQUEST (invalid request: {error})\n", error=True)))
            await _send(writer, _event(Ended(1)))
        except Exception:
            # A fault of ours ends this call, told without its words; the server and the other calls go on.
            log.exception("control", extra={"fields": {"reason": request.command}})
            await _send(writer, _event(Said("ERROR: service.FAILURE (system failure: the server's log has it)\n", error=True)))
            await _send(writer, _event(Ended(1)))


class _NotUnderstood(Exception):
    """What came is no call."""


async def ask(data: Path, request: Request, lines: AsyncIterator[str] | None = None) -> AsyncGenerator[Event, None]:
    """The command line's end. Raises NobodyThere before anything was asked, Broken when the server went away meanwhile."""
    called = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        called.setblocking(False)
        with _short(data / SOCKET) as short:
            await asyncio.get_running_loop().sock_connect(called, short)
        reader, writer = await asyncio.open_unix_connection(sock=called, limit=LINE)
    except OSError as error:
        called.close()
        if isinstance(error, PermissionError):
            raise Broken(f"{data / SOCKET}: {error.strerror}") from None
        raise NobodyThere from None
    sending: asyncio.Task[None] | None = None
    try:
        await _send(writer, asdict(request))
        if lines is not None:
            sending = asyncio.ensure_future(_send_lines(writer, lines))
        while True:
            event = _read_event(await _receive(reader))
            yield event
            if isinstance(event, Ended):
                return
    except (ConnectionError, _NotUnderstood) as error:
        raise Broken(str(error) or "the server closed the connection") from None
    finally:
        if sending is not None:
            sending.cancel()
            await asyncio.wait({sending})
            if not sending.cancelled():
                sending.exception()
        writer.close()


async def _send_lines(writer: asyncio.StreamWriter, lines: AsyncIterator[str]) -> None:
    async for line in lines:
        await _send(writer, {"line": line})
    await _send(writer, {"end": True})


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    """Raises _NotUnderstood. A caller that goes away has ended its batch."""
    while True:
        try:
            said = await _receive(reader)
        except ConnectionError:
            return
        line = said.get("line")
        if not isinstance(line, str):
            return
        yield line


async def _send(writer: asyncio.StreamWriter, what: dict[str, Any]) -> None:
    writer.write(json.dumps(what).encode() + b"\n")
    await writer.drain()


async def _receive(reader: asyncio.StreamReader) -> dict[str, Any]:
    """Raises ConnectionError at the end, _NotUnderstood."""
    try:
        octets = await reader.readuntil(b"\n")
    except asyncio.IncompleteReadError:
        raise ConnectionResetError("the connection was closed") from None
    except asyncio.LimitOverrunError:
        raise _NotUnderstood("a line is too long") from None
    try:
        said = json.loads(octets)
    except (ValueError, RecursionError):
        raise _NotUnderstood("no JSON") from None
    if not isinstance(said, dict):
        raise _NotUnderstood("no object")
    return said


def _read_request(said: dict[str, Any]) -> Request:
    """Raises _NotUnderstood."""
    command, arguments = said.get("command"), said.get("arguments", [])
    if not isinstance(command, str) or (command != "prov" and command not in COMMANDS):
        raise _NotUnderstood(f"this server does not know {command!r}: is the command line of another version?")
    if not isinstance(arguments, list) or not all(isinstance(one, str) for one in arguments):
        raise _NotUnderstood("the arguments are no list of texts")
    acting = said.get("acting", "")
    if not isinstance(acting, str):
        raise _NotUnderstood("who acts is no text")
    flags = {name: said.get(name) is True for name in ("as_json", "batch", "keep_going", "progress")}
    return Request(command, tuple(arguments), **flags, acting=acting)


def _event(event: Event) -> dict[str, Any]:
    match event:
        case Said(text, error):
            return {"error" if error else "out": text}
        case Progress(lines):
            return {"lines": lines}
        case Advanced(what, done, total):
            return {"doing": what, "done": done, "total": total}
        case Ended(status):
            return {"status": status}


def _read_event(said: dict[str, Any]) -> Event:
    """Raises _NotUnderstood."""
    match said:
        case {"out": str(text)}:
            return Said(text)
        case {"error": str(text)}:
            return Said(text, error=True)
        case {"lines": int(lines)}:
            return Progress(lines)
        case {"doing": str(what), "done": int(done), "total": int(total)}:
            return Advanced(what, done, total)
        case {"status": int(status)}:
            return Ended(status)
        case _:
            raise _NotUnderstood("the server answered something else: is it of another version?")


def _pieces(event: Event) -> Iterator[Event]:
    """A long text in several lines of JSON."""
    if isinstance(event, Said) and len(event.text) > CHUNK:
        for start in range(0, len(event.text), CHUNK):
            yield Said(event.text[start : start + CHUNK], event.error)
    else:
        yield event


def _is_ours(connected: socket.socket) -> bool:
    """Is the peer the user that this process runs as, or root? Where the system cannot tell, the socket's mode has to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    _, uid, _ = struct.unpack("3i", connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    return uid in (0, os.geteuid())


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """The path as the socket calls take it: through an open directory where it is longer than they allow."""
    spelled = str(path)
    if len(os.fsencode(spelled)) <= _PATH:
        yield spelled
        return
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)
