"""Peers without manners, and the well-behaved one beside them that must notice nothing."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import ssl
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.live.server import PASSWORD, Server, trusting

STRICT = os.environ.get("PROCURA_STRICT", "") == "1"
"""On a machine that is not busy with others: a stall is one by the clock."""
STALL = 0.1
"""Seconds that the event loop may be away (robustness.md section 5, F19)."""
WORKED = STALL if STRICT else 5 * STALL
"""Seconds that the loop's own thread may work without a pause: machines that run such tests for everybody are slow and busy."""
LATENCY = 1.5
"""Seconds for which the server may do something else before it answers a bystander's NOOP: its own stalls are milliseconds."""
SWIFT = 0.75
IDLE = 300
"""So many times what a NOOP takes while nothing happens is as good as nothing, and so is SWIFT: the bound is the larger, and never more
than LATENCY."""
LONGEST = 60.0
"""Seconds until something that is cheap has to be over, however busy the machine is."""
GROWTH = 96 << 20
"""Octets by which the server's resident memory may differ before and after an attack; no attack here is allowed to cost so much."""


class Watched(Server):
    """A server whose event loop is watched (tests/hostile/stalls.py)."""

    @property
    def stalls(self) -> Path:
        return self.directory / "stalls.json"

    @property
    def serving(self) -> list[str]:
        return [sys.executable, "-m", "tests.hostile.stalls", str(self.stalls)]

    def stalled(self, since: int = 0) -> list[str]:
        """What took too long, from this octet of the file on: how long, and where."""
        try:
            lines = self.stalls.read_bytes()[since:].splitlines()
        except FileNotFoundError:
            return []
        found = [json.loads(line) for line in lines]
        late = [one for one in found if one["worked"] > WORKED or (STRICT and one["seconds"] > STALL)]
        return [f"{one['seconds']} s, of which the loop worked {one['worked']} s:\n{one['stack']}" for one in late]


class Raw:
    """A socket that sends what it is told, in the pieces it is told."""

    def __init__(self, port: int, *, tls: bool = False, seconds: float = 20.0, receive_buffer: int | None = None, source: str = "") -> None:
        self.seconds = seconds
        self.socket = socket.socket()
        self.socket.bind((source or "127.0.0.1", 0))
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        if tls:
            self.start_tls()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def start_tls(self) -> None:
        self.socket = trusting().wrap_socket(self.socket)

    def send(self, *pieces: bytes) -> None:
        """Each piece in a packet of its own. A peer that has closed is no fault: what it said before is still to be read."""
        for piece in pieces:
            try:
                self.socket.sendall(piece)
            except (BrokenPipeError, ConnectionResetError):
                return

    def finish(self) -> None:
        """Nothing more will be sent; that the server has gone already is no fault."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def more(self) -> bool:
        """False at the end. TimeoutError when nothing comes."""
        try:
            octets = self.socket.recv(1 << 18)
        except (ConnectionResetError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            octets = b""
        self.buffer += octets
        return bool(octets)

    def line(self) -> bytes:
        """With its CRLF; what there is at the end of the connection, empty where nothing is."""
        while b"\n" not in self.buffer:
            if not self.more():
                rest, self.buffer = self.buffer, b""
                return rest
        line, newline, self.buffer = self.buffer.partition(b"\n")
        return line + newline

    def reply(self) -> str:
        """One SMTP reply, its lines joined by a newline; empty at the end of the connection."""
        lines = []
        while True:
            line = self.line()
            assert not line or (line.endswith(b"\r\n") and re.match(rb"[2-5]\d\d[ -][ -~]*\r\n", line)), line
            lines.append(line.decode("ascii").rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    def say(self, command: bytes) -> str:
        self.send(command + b"\r\n")
        return self.reply()

    def until(self, tag: bytes) -> bytes:
        """All IMAP responses up to and including the tagged one; what there was where the connection ended before it."""
        lines = []
        while True:
            line = self.line()
            lines.append(line)
            if not line or line.startswith(tag + b" "):
                return b"".join(lines)

    def do(self, tag: bytes, command: bytes) -> bytes:
        """An IMAP command; its last response line."""
        self.send(tag + b" " + command + b"\r\n")
        return self.until(tag).splitlines(keepends=True)[-1]

    def rest(self) -> bytes:
        """All that comes until the server ends the connection. TimeoutError when it does not."""
        end = time.monotonic() + self.seconds
        while self.more():
            if time.monotonic() > end:
                raise TimeoutError("the server goes on talking")
        rest, self.buffer = self.buffer, b""
        return rest


def smtp(server: Server, door: str, *, login: str | None = None, **options: object) -> Raw:
    """A connection that has been greeted, and is logged in if wished."""
    raw = Raw(server.ports[door], tls=door.endswith("s"), **options)  # type: ignore[arg-type]
    assert raw.reply().startswith("220 ")
    assert raw.say(b"LHLO client.test" if door == "lmtp" else b"EHLO client.test").startswith("250")
    if login is not None:
        token = base64.b64encode(f"\0{login}\0{PASSWORD}".encode())
        assert raw.say(b"AUTH PLAIN " + token).startswith("235")
    return raw


def imap(server: Server, user: str | None = None, door: str = "imap", **options: object) -> Raw:
    """A connection that has been greeted, and is logged in if wished."""
    raw = Raw(server.ports[door], tls=door.endswith("s"), **options)  # type: ignore[arg-type]
    assert raw.line().startswith(b"* OK ")
    if user is not None:
        assert raw.do(b"login", f'LOGIN {user} "{PASSWORD}"'.encode()).startswith(b"login OK")
    return raw


@contextmanager
def costing_less_than(server: Server, seconds: float) -> Iterator[None]:
    """Of processor time: a bound on the clock would be one on the machine, too."""
    began, used = time.monotonic(), server.cpu
    yield
    assert server.cpu - used < seconds
    assert time.monotonic() - began < max(LONGEST, seconds)


class Bystander:
    """Says NOOP on IMAP and SMTP sessions that were there before, again and again, and remembers the longest wait: of that what the
    server worked meanwhile, for the machine may be busy with others."""

    def __init__(self, server: Server, user: str) -> None:
        self._server = server
        self._imap = imap(server, user)
        assert self._imap.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        self._smtp = smtp(server, "lmtp")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.worst = 0.0
        self.rounds = 0
        idle = []
        for _ in range(9):
            began = time.monotonic()
            assert self._imap.do(b"n", b"NOOP").startswith(b"n OK")
            idle.append(time.monotonic() - began)
        self.bound = max(SWIFT, IDLE * statistics.median(idle))
        self.fault: BaseException | None = None

    def __enter__(self) -> Bystander:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        for raw in (self._imap, self._smtp):
            raw.socket.close()

    def round(self) -> None:
        began = self._now()
        assert self._imap.do(b"n", b"NOOP").startswith(b"n OK"), "the IMAP session suffered"
        between = self._now()
        # Only so many idle commands are allowed between two messages: a transaction that is begun counts among the useful ones.
        if self.rounds % 5 == 0 and self.rounds < 400:
            assert self._smtp.say(b"NOOP").startswith("250"), "the SMTP session suffered"
        ended = self._now()
        for here, there in ((began, between), (between, ended)):
            self.worst = max(self.worst, min(there[0] - here[0], there[1] - here[1]))
        self.rounds += 1

    def _now(self) -> tuple[float, float]:
        """By the clock, and by what the server has worked."""
        return time.monotonic(), self._server.cpu

    def _run(self) -> None:
        try:
            while not self._stop.wait(0.05):
                self.round()
            self.round()
        except BaseException as fault:
            self.fault = fault


def resident(server: Server, what: str = "VmRSS") -> int:
    """Octets of memory; `VmHWM` for the most it ever was."""
    return sum(_kilobytes(pid, what) for pid in server.pids) * 1024


def _kilobytes(pid: int, what: str) -> int:
    found = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def forget_peak(server: Server) -> None:
    """So that VmHWM begins anew."""
    for pid in server.pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")


@contextmanager
def unharmed(server: Server, user: str, growth: int = GROWTH, latency: float = LATENCY) -> Iterator[Bystander]:
    """What happens inside must not disturb the server, nor the bystander, nor take memory, nor end in a fault of ours in the log."""
    assert server.process is not None
    written = server.log.stat().st_size
    stalled = server.stalls.stat().st_size if isinstance(server, Watched) and server.stalls.exists() else 0
    forget_peak(server)
    before = resident(server)
    with Bystander(server, user) as bystander:
        yield bystander
    assert server.process.poll() is None, server.log.read_text()[-4000:]
    if bystander.fault is not None:
        raise AssertionError("the bystander suffered") from bystander.fault
    assert bystander.rounds, "the bystander was never served"
    bound = min(latency, bystander.bound) if latency == LATENCY else latency
    assert bystander.worst < bound, f"the bystander waited {bystander.worst:.2f} s, not {bound:.2f} s at most"
    if isinstance(server, Watched):
        assert not (stalls := server.stalled(stalled)), "the event loop stood still:\n" + "\n".join(stalls)
    peak = resident(server, "VmHWM") - before
    assert peak < growth, f"{peak >> 20} MiB more memory"
    log = server.log.read_bytes()[written:].decode("utf-8", "replace")
    assert "Traceback" not in log, log[-6000:]


def drip(raw: Raw, octets: bytes, every: float, until: float) -> bool:
    """Octet for octet. Whether the server ended it before `until` (seconds from now)."""
    end = time.monotonic() + until
    raw.socket.settimeout(every)
    at = 0
    while time.monotonic() < end:
        try:
            raw.socket.sendall(octets[at % len(octets) : at % len(octets) + 1])
        except OSError:
            return True
        at += 1
        try:
            if not raw.more():
                return True
        except TimeoutError:
            pass
    return False


def has_message_id(messages: Sequence[bytes], message_id: bytes) -> int:
    """How many of them have it in their header."""
    return sum(b"\r\nMessage-ID: <" + message_id + b">\r\n" in b"\r\n" + one.partition(b"\r\n\r\n")[0] + b"\r\n" for one in messages)
