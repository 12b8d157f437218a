"""A next hop that answers as a test tells it to, and keeps what it is given."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

DROP = "drop"
"""As an answer: the connection ends without a word."""


@dataclass
class Taken:
    """One transaction that got its 250."""

    sender: str
    options: str
    recipients: list[str]
    octets: bytes
    helo: str


@dataclass
class NextHop:
    """`answers`: by "CONNECT", "EHLO", "MAIL", "RCPT <address>", "DATA" or "END" (after the dot), the replies to come, first one first;
    with none left everything is accepted. `seen`: each command with its time, in order."""

    port: int = 0
    host: str = "127.0.0.1"
    extensions: tuple[str, ...] = ("8BITMIME", "SMTPUTF8", "SIZE 50000000")
    answers: dict[str, list[str]] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    seen: list[tuple[float, str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    """Closed: a transaction waits before its end is answered."""

    def __post_init__(self) -> None:
        self.gate.set()
        self._lock = threading.Lock()
        self._listening = socket.create_server((self.host, self.port))
        self.port = self._listening.getsockname()[1]
        self._open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._open = False
        self.gate.set()
        self._listening.close()

    def wait(self, count: int = 1, seconds: float = 20.0) -> list[Taken]:
        """Once so many were taken."""
        end = time.monotonic() + seconds
        while len(self.taken) < count:
            assert time.monotonic() < end, f"{len(self.taken)} of {count}; {self.seen[-20:]}"
            time.sleep(0.02)
        return self.taken

    def wait_for(self, command: str, count: int = 1, seconds: float = 20.0) -> None:
        """Once a command that begins so was seen so often."""
        end = time.monotonic() + seconds
        while sum(one.startswith(command) for _, one in list(self.seen)) < count:
            assert time.monotonic() < end, self.seen[-20:]
            time.sleep(0.02)

    def _accept(self) -> None:
        while self._open:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _answer(self, key: str, otherwise: str) -> str:
        with self._lock:
            waiting = self.answers.get(key)
            return waiting.pop(0) if waiting else otherwise

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rwb") as stream:
                for _ in self._dialogue(stream):
                    pass
        except (OSError, ValueError):
            return

    def _dialogue(self, stream: object) -> Iterator[None]:
        read, write, flush = stream.readline, stream.write, stream.flush  # type: ignore[attr-defined]

        def say(text: str) -> bool:
            if text == DROP:
                return False
            write(text.encode() + b"\r\n")
            flush()
            return True

        if not say(self._answer("CONNECT", "220 sink ESMTP")):
            return
        helo = sender = options = ""
        recipients: list[str] = []
        while line := read():
            yield
            command = line.decode("utf-8", "replace").rstrip("\r\n")
            with self._lock:
                self.seen.append((time.monotonic(), command))
            verb = command[:4].upper()
            if verb in ("EHLO", "HELO"):
                helo = command[5:]
                greeting = "\r\n".join(f"250-{one}" for one in ("sink", *self.extensions)) + "\r\n250 ENHANCEDSTATUSCODES"
                text = self._answer("EHLO", greeting)
            elif verb == "MAIL":
                sender, _, options = command[len("MAIL FROM:<") :].partition(">")
                recipients = []
                text = self._answer("MAIL", "250 2.1.0 ok")
            elif verb == "RCPT":
                address = command[len("RCPT TO:<") :].partition(">")[0]
                text = self._answer(f"RCPT {address}", "250 2.1.5 ok")
                if text.startswith("250"):
                    recipients.append(address)
            elif verb == "DATA":
                text = self._answer("DATA", "354 go on")
                if text.startswith("354"):
                    if not say(text):
                        return
                    octets = b""
                    while (line := read()) != b".\r\n":
                        if not line:
                            return
                        octets += line[1:] if line.startswith(b".") else line
                    self.gate.wait(60)
                    text = self._answer("END", "250 2.0.0 taken")
                    if text.startswith("250"):
                        with self._lock:
                            self.taken.append(Taken(sender, options.strip(), recipients, octets, helo))
            elif verb == "QUIT":
                say("221 2.0.0 bye")
                return
            else:
                text = self._answer(verb, "250 2.0.0 ok")
            if not say(text):
                return


@contextmanager
def next_hop(**values: object) -> Iterator[NextHop]:
    hop = NextHop(**values)  # type: ignore[arg-type]
    try:
        yield hop
    finally:
        hop.close()
