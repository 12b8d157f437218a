"""A mailbox lent to a delegate, a client with a home of its own, and what the server holds afterwards."""

from __future__ import annotations

import fcntl
import imaplib
import os
import pty
import re
import select
import shutil
import signal
import ssl
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import pytest

from tests.live.server import PASSWORD, Server, compose, processor_time
from tests.live.talk import Patience

SECONDS = 60.0
# What the delegate is told of; `Hidden` stands for all of the owner's mailbox that she is not.
FULL, READING = "Projects", "Minutes"


@dataclass(frozen=True, slots=True)
class Office:
    """The owner lends `Projects` with every right but `a`, `Minutes` and INBOX to read, and keeps `Hidden` to himself.

    Every test has an office of its own on a server that many share.
    """

    server: Server
    owner: str
    delegate: str

    @property
    def certificate(self) -> Path:
        return self.server.data / "certificate.pem"

    @property
    def prefix(self) -> str:
        """Where the owner's folders are in the delegate's tree."""
        return f"Other Users/{self.owner.partition('@')[0]}"

    def shared(self, folder: str) -> str:
        """The delegate's name of a folder of the owner."""
        return f"{self.prefix}/{folder}"

    @contextmanager
    def session(self, user: str) -> Iterator[imaplib.IMAP4]:
        """This user at the server, by Python's own library."""
        client = self.server.imap(user)
        try:
            yield client
        finally:
            client.logout()

    def holds(self, user: str, folder: str) -> dict[str, set[str]]:
        """What a folder of this user's own holds, asked in another session: subject -> flags."""
        with self.session(user) as client:
            kind, _ = client.select(f'"{folder}"', readonly=True)
            assert kind == "OK", f"{user} has no {folder}"
            _, found = client.uid("FETCH", "1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        held = {}
        for part in found:
            if isinstance(part, tuple):
                flags = re.search(rb"FLAGS \(([^)]*)\)", part[0])
                assert flags
                held[part[1].decode().partition(":")[2].strip()] = set(flags[1].decode().split()) - {"\\Recent"}
        return held

    def until(self, user: str, folder: str, holds: Callable[[dict[str, set[str]]], bool], seconds: float = SECONDS) -> dict[str, set[str]]:
        """As `holds`, once this is so."""
        end = time.monotonic() + seconds
        while not holds(held := self.holds(user, folder)):
            assert time.monotonic() < end, f"{folder} of {user} has {held}"
            time.sleep(0.05)
        return held

    def put(self, user: str, folder: str, *subjects: str) -> None:
        """Files messages into a folder of this user's own."""
        with self.session(user) as client:
            for subject in subjects:
                kind, said = client.append(f'"{folder}"', "", None, letter(subject, user))  # type: ignore[arg-type]
                assert kind == "OK", said

    def folders(self, user: str) -> set[str]:
        """The folders of this user's own."""
        with self.session(user) as client:
            _, listed = client.list('""', "*")
        names = (re.search(rb'"/" "?(.*?)"?$', line) for line in listed if isinstance(line, bytes))
        return {name[1].decode() for name in names if name and not name[1].startswith(b"Other Users")}

    def unchanged(self) -> None:
        """Nothing that the delegate may only read, or not see, was touched."""
        assert self.holds(self.owner, READING) == {"Minute 1": set(), "Minute 2": set()}
        assert self.holds(self.owner, "Hidden") == {"Nobody's business": set()}


def letter(subject: str, to: str) -> bytes:
    return compose(
        "Someone <someone@elsewhere.test>",
        to,
        subject,
        f"text of {subject}",
        Date="Mon, 05 Oct 2026 10:00:00 +0000",
        Message_ID=f"<{re.sub('[^a-z0-9]', '-', subject.lower())}@elsewhere.test>",
    )


def furnish(server: Server, name: str) -> Office:
    """Makes the accounts, folders and messages of an office."""
    office = Office(server, f"owner{name}@acme.test", f"delegate{name}@acme.test")
    box = f"selectMailbox {office.owner}"
    server.prov(
        f"createAccount {office.owner} '{PASSWORD}' displayName 'Olivia Owner'",
        f"createAccount {office.delegate} '{PASSWORD}'",
        *(f"{box} createFolder /{folder}" for folder in (FULL, READING, "Hidden")),
        f"{box} modifyFolderGrant /{FULL} account {office.delegate} rwixd",
        f"{box} modifyFolderGrant /{READING} account {office.delegate} r",
        f"{box} modifyFolderGrant /INBOX account {office.delegate} r",
        f"selectMailbox {office.delegate} createFolder /Kept",
    )
    office.put(office.owner, "INBOX", "Letter 1", "Letter 2")
    office.put(office.owner, FULL, "Plan 1", "Plan 2", "Plan 3")
    office.put(office.owner, READING, "Minute 1", "Minute 2")
    office.put(office.owner, "Hidden", "Nobody's business")
    office.put(office.delegate, "INBOX", "Own 1", "Own 2", "Own 3")
    return office


def open_office(directory: Path) -> Server:
    """The server that offices are on: TLS for the clients, clear text for the test's own questions."""
    server = Server(directory)
    server.start()
    server.prov("createDomain acme.test")
    return server


# --- clients


def installed(name: str, *asked: str) -> pytest.MarkDecorator:
    """Skips by name what is not there or does not start."""
    there = shutil.which(name) is not None and subprocess.run([name, *asked], capture_output=True, timeout=SECONDS).returncode == 0
    return pytest.mark.skipif(not there, reason=f"{name} is not installed")


def surroundings(home: Path, **more: str) -> dict[str, str]:
    """The environment of a client: its own home, nothing of ours."""
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8", "TERM": "xterm", **more}


def run(home: Path, *command: str, stdin: str = "", seconds: float = SECONDS, **more: str) -> subprocess.CompletedProcess[str]:
    """A client that does its job and ends."""
    environment = surroundings(home, **more)
    done = subprocess.run(command, cwd=home, env=environment, input=stdin.encode(), capture_output=True, timeout=seconds)
    said = [octets.decode("utf-8", "replace") for octets in (done.stdout, done.stderr)]
    return subprocess.CompletedProcess(done.args, done.returncode, *said)


def trusting(office: Office) -> ssl.SSLContext:
    """Verifies the server's own certificate."""
    return ssl.create_default_context(cafile=str(office.certificate))


class Terminal:
    """A program on a terminal of its own, which a test types on and reads from."""

    def __init__(self, home: Path, command: list[str], environment: Mapping[str, str]) -> None:
        self.shown = b""
        self._pid, self._terminal = pty.fork()
        if self._pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 160, 0, 0))
            os.chdir(home)
            os.execvpe(command[0], command, dict(environment))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                read = os.read(self._terminal, 65_536)
            except OSError:
                return
            if not read:
                return
            self.shown += read

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            os.kill(self._pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self._pid, 0)
        self._reader.join(1)
        os.close(self._terminal)
        if error is not None:
            error.add_note(f"the terminal showed: {self.text[-4000:]}")

    @property
    def text(self) -> str:
        """What was shown so far, without the sequences that place it."""
        return re.sub(
            r"\x1b(\[[0-9;?<>=!]*[ -/]*[@-~]|[()].|\][^\x07\x1b]*(\x07|\x1b\\)|[=>78cDEHM])", " ", self.shown.decode(errors="replace")
        )

    @property
    def has_ended(self) -> bool:
        """Did the program end?"""
        return not self._reader.is_alive()

    def settle(self, server: Server, seconds: float = 0.3) -> None:
        """Until the terminal has shown nothing new for a while, and neither the program nor the server did anything: a program without a
        prompt has done what it was told."""
        patience, done, end = Patience(seconds), self._doings(server), time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                time.sleep(patience.next())
            except TimeoutError:
                return
            if (now := self._doings(server)) != done:
                patience, done = Patience(seconds), now

    def _doings(self, server: Server) -> tuple[int, float, float]:
        return len(self.shown), processor_time(self._pid), server.cpu

    def type(self, keys: str) -> None:
        """As if by hand."""
        select.select([], [self._terminal], [], SECONDS)
        os.write(self._terminal, keys.encode())

    def wait(self, there: str | Callable[[], bool], seconds: float = SECONDS) -> None:
        """Until the terminal has shown this text, or this is so."""
        end = time.monotonic() + seconds
        while not (there in self.text if isinstance(there, str) else there()):
            assert time.monotonic() < end, f"not in time: {there}"
            time.sleep(0.05)
