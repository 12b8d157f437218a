"""A client that says exactly what it is told and shows every octet of the answers, for IMAP and SMTP."""

from __future__ import annotations

import base64
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType

from tests.live.server import PASSWORD

_LITERAL = re.compile(rb"\{(\d+)\}\Z")
_TAGGED = re.compile(r"(OK|NO|BAD) (?:\[([A-Z0-9-]+)[^\]]*\] )?(.*)\Z")


_DECISION = re.compile(r" \[d-[0-9a-f]{12}\]$")


def unnamed(said: str) -> str:
    """Without the decision id at its end, which is another one for another question."""
    return _DECISION.sub("", said)


@dataclass(frozen=True)
class Answer:
    """What a command was answered with. `tagged` without its tag; `lines` are the untagged responses, literals folded in."""

    tagged: str
    lines: tuple[bytes, ...]

    @property
    def kind(self) -> str:
        """OK, NO or BAD, and behind it the response code's name where there is one: `NO NOPERM`."""
        found = _TAGGED.match(self.tagged)
        assert found is not None, self.tagged
        return f"{found[1]} {found[2]}" if found[2] else found[1]

    @property
    def text(self) -> str:
        found = _TAGGED.match(self.tagged)
        assert found is not None, self.tagged
        return found[3]

    def about(self, word: str) -> list[bytes]:
        """The untagged responses that have this word behind the star, or behind a number."""
        return [line for line in self.lines if re.match(rb"\* (\d+ )?%b\b" % word.encode(), line)]

    def code(self, name: str) -> str | None:
        """The argument of an untagged OK's response code: `\\Seen \\*` for PERMANENTFLAGS."""
        for line in self.lines:
            found = re.match(rf"\* OK \[{name} ?\(?([^\])]*)\)?\]", line.decode("latin-1"))
            if found is not None:
                return found[1]
        return None


class Patience:
    """So many seconds, counted in small steps: while a machine that is busy with others does not let this process run, the server does
    not run either, and nothing is counted."""

    STEP = 0.02

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def next(self) -> float:
        """The next step, to be waited for. Raises TimeoutError when there is none."""
        if self._left <= 0:
            raise TimeoutError("nothing more came")
        step = min(self.STEP, self._left)
        self._left -= step
        return step


class Talk:
    """One IMAP connection. `source`: the address the connection comes from."""

    def __init__(self, port: int, user: str | None = None, password: str = PASSWORD, source: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
        self._buffer = b""
        self._count = 0
        self.greeting = self.line()
        if user is not None:
            answer = self.do(f'LOGIN {user} "{password}"')
            assert answer.kind.startswith("OK"), answer.tagged

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def send(self, octets: bytes) -> None:
        self._socket.settimeout(20)
        self._socket.sendall(octets)

    def line(self, seconds: float | Patience = 20.0) -> bytes:
        """A response with its literals, without the last CRLF. EOFError at the end; TimeoutError when none comes in time."""
        patience = seconds if isinstance(seconds, Patience) else Patience(seconds)
        found = self._until_newline(patience)
        while (literal := _LITERAL.search(found)) is not None:
            size = int(literal[1])
            while len(self._buffer) < size:
                self._more(patience)
            octets, self._buffer = self._buffer[:size], self._buffer[size:]
            found += b"\r\n" + octets + self._until_newline(patience)
        return found

    def _until_newline(self, patience: Patience) -> bytes:
        while b"\r\n" not in self._buffer:
            self._more(patience)
        found, _, self._buffer = self._buffer.partition(b"\r\n")
        return found

    def _more(self, patience: Patience) -> None:
        while True:
            self._socket.settimeout(patience.next())
            try:
                octets = self._socket.recv(65536)
            except TimeoutError:
                continue
            except ConnectionResetError:
                octets = b""
            break
        if not octets:
            raise EOFError(self._buffer)
        self._buffer += octets

    def start(self, command: str, literal: bytes | None = None) -> str:
        """Send a command; its tag."""
        self._count += 1
        tag = f"a{self._count}"
        octets = f"{tag} {command}".encode()
        if literal is not None:
            octets += b" {%d+}\r\n%b" % (len(literal), literal)
        self.send(octets + b"\r\n")
        return tag

    def finish(self, tag: str) -> Answer:
        """What comes up to the tagged response."""
        lines: list[bytes] = []
        while True:
            line = self.line()
            if line.startswith(tag.encode() + b" "):
                return Answer(line[len(tag) + 1 :].decode("ascii"), tuple(lines))
            lines.append(line)

    def do(self, command: str, literal: bytes | None = None) -> Answer:
        """A command and its answer. `literal`: comes behind the command, as with APPEND."""
        return self.finish(self.start(command, literal))

    def ok(self, command: str, literal: bytes | None = None) -> Answer:
        """The same, which has to succeed."""
        answer = self.do(command, literal)
        assert answer.kind.startswith("OK"), f"{command}: {answer.tagged}"
        return answer

    def idle(self) -> str:
        """Goes into IDLE; the tag, for `done`."""
        tag = self.start("IDLE")
        while not self.line().startswith(b"+"):
            pass
        return tag

    def done(self, tag: str) -> Answer:
        self.send(b"DONE\r\n")
        return self.finish(tag)

    def farewell(self, seconds: float) -> bytes:
        """The BYE that has to come within so many seconds, and the end of the connection behind it."""
        patience = Patience(seconds)
        while not (line := self.line(patience)).startswith(b"* BYE"):
            pass
        try:
            while True:
                self.line(5)
        except EOFError:
            return line

    def until(self, start: bytes, seconds: float) -> bytes:
        """The next response that begins so."""
        patience = Patience(seconds)
        while not (line := self.line(patience)).startswith(start):
            pass
        return line

    def flags(self, folder: str) -> dict[str, set[str]]:
        """UID → flags of all messages of a folder, as this session sees them."""
        self.ok(f'EXAMINE "{folder}"')
        found = {}
        for line in self.ok("UID FETCH 1:* (FLAGS)").about("FETCH"):
            text = line.decode()
            uid, flags = re.search(r"UID (\d+)", text), re.search(r"FLAGS \(([^)]*)\)", text)
            assert uid is not None, text
            assert flags is not None, text
            found[uid[1]] = set(flags[1].split()) - {"\\Recent"}
        return found


class Mail:
    """One SMTP or LMTP connection; replies as they come: lines joined by a newline."""

    def __init__(self, port: int, hello: str = "EHLO client.test", source: str = "127.0.0.1") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20, source_address=(source, 0))
        self._file = self._socket.makefile("rb")
        assert self.reply().startswith("220")
        assert self.say(hello).startswith("250")

    def __enter__(self) -> Mail:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def reply(self, seconds: float = 20.0) -> str:
        """Raises EOFError at the end."""
        self._socket.settimeout(seconds)
        lines: list[str] = []
        while True:
            line = self._file.readline()
            if not line:
                raise EOFError("\n".join(lines))
            lines.append(line.decode().rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def say(self, command: str) -> str:
        self._socket.sendall(command.encode() + b"\r\n")
        return self.reply()

    def login(self, user: str, password: str = PASSWORD) -> str:
        """AUTH PLAIN; the reply, without a decision id."""
        return unnamed(self.say("AUTH PLAIN " + base64.b64encode(f"\0{user}\0{password}".encode()).decode()))

    def send(self, sender: str, recipients: Iterable[str], message: bytes, replies: int = 1) -> list[str]:
        """A whole transaction. The replies to RCPT where none was accepted, else those after the last dot."""
        assert self.say(f"MAIL FROM:<{sender}>").startswith("250")
        answers = [self.say(f"RCPT TO:<{one}>") for one in recipients]
        if not any(one.startswith("250") for one in answers):
            self.say("RSET")
            return answers
        assert self.say("DATA").startswith("354")
        self._socket.sendall(message + b".\r\n")
        return [self.reply() for _ in range(replies)]
