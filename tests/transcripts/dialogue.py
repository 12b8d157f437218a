"""Reading and playing a dialogue: a file that a person can review without Python, played through real sockets.

    # a comment
    given   anna may not post to list       what the world is told before, or between the lines: `stage(text)` does it
    bruno:  EHLO there                      bruno sends this line with CRLF; the first time, bruno connects
            250-mx.acme.test                what the server must say, line by line
            …                               any lines, up to the next one that is written here
            250 <last>                      `<name>` takes a word, and must be the same word from then on (a line sent may have it too);
                                            `<*>` takes any text
    bruno:  (connects)                      so that the greeting can be written down
    bruno:  (starts TLS) (half-closes) (closes)
            (closed)                        the server has closed the connection
    bruno:  NOOP\\                           a backslash at the end: without CRLF; \\r \\n \\0 \\t \\xHH \\\\ as in Python

Where nothing is expected after a line, nothing is read: what the server says to it is expected further down.
"""

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

ELLIPSIS = "…"
SECONDS = 10.0

_SPEAKER = re.compile(r"([a-z][a-z0-9]*):(?:[ ]+(.*)|)")
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|([rnt0\\]))")
_PLAIN = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"0": b"\0", b"\\": b"\\"}
_CAPTURE = re.compile(r"<(\*|[a-z]+)>")


@dataclass(frozen=True)
class Step:
    """`kind`: given, send, act (connects, closes, ...) or expect."""

    number: int
    kind: str
    who: str
    text: str


def parse(text: str) -> list[Step]:
    """Raises ValueError for a line that is none of those above."""
    steps: list[Step] = []
    who = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("given"):
            steps.append(Step(number, "given", who, line[5:].strip()))
        elif line.startswith(" "):
            if not who:
                raise ValueError(f"line {number}: nobody has spoken yet")
            steps.append(Step(number, "expect", who, line.strip()))
        elif (spoken := _SPEAKER.fullmatch(line)) is not None:
            who, said = spoken[1], spoken[2] or ""
            acts = re.fullmatch(r"\((connects|starts TLS|half-closes|closes)\)", said.strip())
            steps.append(Step(number, "act", who, acts[1]) if acts else Step(number, "send", who, said))
        else:
            raise ValueError(f"line {number}: {line!r}")
    return steps


Connect = Callable[[str], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
Stage = Callable[[str], Awaitable[None]]


class Play:
    """`connect(name)` opens a connection for a speaker; `stage(text)` does what stands after `given`."""

    def __init__(self, connect: Connect, stage: Stage) -> None:
        self._connect = connect
        self._stage = stage
        self._streams: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}
        self._captured: dict[str, str] = {}

    async def play(self, path: Path) -> None:
        """Raises AssertionError with the file and line where the server says something else."""
        steps = parse(path.read_text(encoding="utf-8"))
        try:
            for index, step in enumerate(steps):
                where = f"{path.name}:{step.number}"
                try:
                    async with asyncio.timeout(SECONDS):
                        await self._do(step, steps[index + 1] if index + 1 < len(steps) else None, where)
                except TimeoutError:
                    raise AssertionError(f"{where}: nothing came for {step.text!r}") from None
        finally:
            for _, writer in self._streams.values():
                writer.close()

    async def _do(self, step: Step, following: Step | None, where: str) -> None:
        if step.kind == "given":
            await self._stage(step.text)
            return
        if step.who not in self._streams:
            self._streams[step.who] = await self._connect(step.who)
            if not (step.kind == "act" and step.text == "connects"):
                await self._greeting(step.who)
        reader, writer = self._streams[step.who]
        match step.kind:
            case "send":
                octets = _octets(self._filled(step.text))
                writer.write(octets)
                await writer.drain()
            case "act":
                await self._act(step, reader, writer)
            case _:
                await self._expect(step, following, reader, where)

    def _filled(self, text: str) -> str:
        return _CAPTURE.sub(lambda match: self._captured.get(match[1], match[0]), text)

    async def _greeting(self, who: str) -> None:
        reader, _ = self._streams[who]
        while (await reader.readline())[3:4] == b"-":
            pass

    async def _act(self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        match step.text:
            case "starts TLS":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                await writer.start_tls(context)
            case "half-closes":
                writer.write_eof()
            case "closes":
                writer.close()

    async def _expect(self, step: Step, following: Step | None, reader: asyncio.StreamReader, where: str) -> None:
        if step.text == ELLIPSIS:
            assert following is not None, f"{where}: … needs a line after it"
            assert following.kind == "expect", f"{where}: … needs a line after it"
            # Lines are put back by looking at them only: the one that fits is consumed by the next step.
            while True:
                line = await self._peek(reader)
                if self._match(following.text, line) is not None:
                    return
                assert line, f"{where}: the end came before {following.text!r}"
                await reader.readline()
        elif step.text == "(closed)":
            rest = await _rest(reader)
            assert rest == b"", f"{where}: more was said: {rest!r}"
        else:
            line = (await reader.readline()).decode("utf-8", "backslashreplace")
            assert line.endswith("\r\n"), f"{where}: expected {step.text!r}, got {line!r}"
            found = self._match(step.text, line.removesuffix("\r\n"))
            assert found is not None, f"{where}: expected {step.text!r}, got {line!r}"
            self._captured |= found

    async def _peek(self, reader: asyncio.StreamReader) -> str:
        buffer = reader._buffer  # type: ignore[attr-defined]
        while b"\n" not in buffer and not reader._eof:  # type: ignore[attr-defined]
            await reader._wait_for_data("peek")  # type: ignore[attr-defined]
        line, _, _ = bytes(buffer).partition(b"\r\n")
        return line.decode("utf-8", "backslashreplace")

    def _match(self, pattern: str, line: str) -> dict[str, str] | None:
        names: list[str] = []

        def piece(match: re.Match[str]) -> str:
            name = match[1]
            if name == "*":
                return ".*"
            if name in self._captured:
                return re.escape(self._captured[name])
            names.append(name)
            return r"(\S+)"

        expression, position = "", 0
        for match in _CAPTURE.finditer(pattern):
            expression += re.escape(pattern[position : match.start()]) + piece(match)
            position = match.end()
        found = re.fullmatch(expression + re.escape(pattern[position:]), line)
        return None if found is None else dict(zip(names, found.groups(), strict=True))


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


def _octets(text: str) -> bytes:
    octets = text.encode()
    end = b"\r\n"
    if octets.endswith(b"\\") and not octets.endswith(b"\\\\"):
        octets, end = octets[:-1], b""
    return _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]) if match[1] else _PLAIN[match[2]], octets) + end
