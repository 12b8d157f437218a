"""A server started by the real command on free ports, and the clients that talk to it."""

from __future__ import annotations

import imaplib
import itertools
import json
import os
import resource
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path

from tests.live.cluster import migrated_template, of_this_run
from tests.live.discretion import betrayed, legible
from tests.live.forked import finished, started
from tests.store.behind import Behind, SharedBehind, embedded

PASSWORD = "correct horse 7"
STORE = "PROCURA_TEST_STORE"
"""postgresql: servers of these tests keep everything in a database of PostgreSQL each (tests/live/cluster.py)."""
START_SECONDS = 30.0
WORKERS = "TESTED_WORKERS"
"""In the environment: with how many processes every server of the tests serves, unless a test says so itself."""

_databases = itertools.count(1)


class Server:
    """`procura serve` on a data directory of its own. `settings`: dotted names, e.g. {"limits.bad_commands": 3}.

    Start it with `with Server(tmp_path) as server:`; `restart`, `kill` and `stop` work on the same data.
    """

    anew = False
    """Whether it and its commands are started by an interpreter of their own, for tests that measure memory (tests/live/forked.py)."""

    def __init__(self, directory: Path, settings: Mapping[str, object] | None = None) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log = directory / "server.log"
        self.ports: dict[str, int] = {}
        self.process: subprocess.Popen[bytes] | None = None
        listen = {f"listen.{name}": ["127.0.0.1:0"] for name in ("submission", "submissions", "lmtp", "mx", "imap", "imaps")}
        cheap = {"password.memory": 8192 * 8, "password.passes": 1, "password.scram_iterations": 4096}
        common = {"hostname": "mx.acme.test", "auth.plaintext": True, "workers": int(os.environ.get(WORKERS, "1"))}
        self.settings: dict[str, object] = {**common, **cheap, **listen, **(settings or {})}
        if os.environ.get(STORE) == "postgresql" and "store" not in self.settings:
            database = f"live_{next(_databases)}"
            of_this_run().create(database, migrated_template())
            self.settings["store"] = of_this_run().url(database)
            # Commands may be run with the data when the server has ended.
            weakref.finalize(self, _dropped, database).atexit = False

    # --- life

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used since it was started: a machine that is busy with others does not make it more."""
        return sum(map(processor_time, self.pids))

    @property
    def pids(self) -> list[int]:
        """The process that was started and those that it has started, if there are any."""
        assert self.process is not None
        pid = self.process.pid
        return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]

    def bound_files(self, octets: int) -> None:
        """No file that it writes grows beyond."""
        for pid in self.pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (octets, resource.RLIM_INFINITY))

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROCURA_")}
        ours = {"PROCURA_DATA": str(self.data)}
        for name, value in self.settings.items():
            ours["PROCURA_" + name.upper().replace(".", "__")] = value if isinstance(value, str) else json.dumps(value)
        return {**inherited, **ours}

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "gateway"]

    @property
    def serving(self) -> list[str]:
        """What `serve` is said to."""
        return self.command

    def start(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        ready = self.directory / "ready.json"
        ready.unlink(missing_ok=True)
        root = Path(__file__).parents[2]
        with self.log.open("ab") as log:
            self.process = started(
                [*self.serving, "serve", "--ready-file", str(ready)],
                env={**self.environment, "PYTHONPATH": str(root)},
                anew=self.anew,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        end = time.monotonic() + START_SECONDS
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.02)
        bound = json.loads(ready.read_text())
        self.ports = {name: int(where[0].rpartition(":")[2]) for name, where in bound.items() if where and not where[0].startswith("unix:")}

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM, and the exit status. AssertionError where it has told a password, or left something for others to read."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        told, open_to_others = betrayed(self.log, PASSWORD), legible(self.data)
        assert not told, f"a password is on its log: {told}"
        assert not open_to_others, f"others may read: {open_to_others}"
        return self.process.returncode

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    # --- administration

    def run(self, *arguments: str, stdin: str = "", check: bool = True) -> subprocess.CompletedProcess[str]:
        """`procura ARGUMENTS` as a process of its own."""
        root = Path(__file__).parents[2]
        environment = {**self.environment, "PYTHONPATH": str(root)}
        done = finished([*self.command, *arguments], env=environment, stdin=stdin, anew=self.anew, cwd=self.directory)
        if check and done.returncode != 0:
            raise AssertionError(f"procura {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def prov(self, *lines: str) -> str:
        """`procura prov -f -` with these lines; what it printed."""
        return self.run("prov", "-f", "-", stdin="\n".join(lines) + "\n").stdout

    def people(self, *names: str, domain: str = "acme.test", create: bool = True) -> None:
        """Makes the domain and these accounts, all with PASSWORD."""
        first = [f"createDomain {domain}"] if create else []
        self.prov(*first, *(f"createAccount {name}@{domain} '{PASSWORD}' displayName {name.capitalize()}" for name in names))

    @contextmanager
    def behind(self) -> Iterator[Behind]:
        """Its database behind its back."""
        opened: Behind = SharedBehind(str(self.settings["store"])) if self.is_shared else embedded(self.data / "procura.db")
        try:
            yield opened
        finally:
            opened.close()

    @property
    def is_shared(self) -> bool:
        return str(self.settings.get("store", "")).startswith("postgresql://")

    # --- clients

    def imap(self, user: str | None = None, password: str = PASSWORD) -> imaplib.IMAP4:
        client = imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=20)
        if user is not None:
            client.login(user, password)
        return client

    def smtp(self, user: str | None = None, password: str = PASSWORD) -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", self.ports["submission"], timeout=20)
        if user is not None:
            client.login(user, password)
        return client

    def smtps(self, user: str, password: str = PASSWORD) -> smtplib.SMTP_SSL:
        client = smtplib.SMTP_SSL("127.0.0.1", self.ports["submissions"], timeout=20, context=trusting())
        client.login(user, password)
        return client

    def lmtp(self) -> smtplib.LMTP:
        return smtplib.LMTP("127.0.0.1", self.ports["lmtp"], timeout=20)

    @contextmanager
    def socket(self, door: str) -> Iterator[socket.socket]:
        with socket.create_connection(("127.0.0.1", self.ports[door]), timeout=20) as raw:
            yield raw

    def deliver(self, recipient: str, message: bytes | EmailMessage, sender: str = "stranger@elsewhere.test") -> None:
        """By LMTP; raises what smtplib raises when it is refused."""
        with self.lmtp() as client:
            octets = bytes(message) if isinstance(message, EmailMessage) else message
            client.sendmail(sender, [recipient], octets)

    def messages(self, user: str, folder: str = "INBOX") -> list[bytes]:
        """The octets of every message in a folder, as its owner reads them; an empty list where there is no such folder."""
        client = self.imap(user)
        try:
            kind, _ = client.select(f'"{folder}"', readonly=True)
            if kind != "OK":
                return []
            _, found = client.uid("FETCH", "1:*", "(BODY.PEEK[])")
            return [part[1] for part in found if isinstance(part, tuple)]
        finally:
            client.logout()

    def wait_for(self, user: str, folder: str = "INBOX", count: int = 1, seconds: float = 30.0) -> list[bytes]:
        """As `messages`, once there are at least `count`."""
        end = time.monotonic() + seconds
        while True:
            there = self.messages(user, folder)
            if len(there) >= count:
                return there
            if time.monotonic() > end:
                raise AssertionError(f"{len(there)} of {count} messages in {folder} of {user}")
            time.sleep(0.05)


def _dropped(database: str) -> None:
    if of_this_run().is_running:
        of_this_run().drop(database)


def processor_time(pid: int) -> float:
    """Seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def trusting() -> ssl.SSLContext:
    """For the server's self-signed certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def compose(from_: str | None, to: str, subject: str = "test", text: str = "hello", **fields: str) -> bytes:
    """A small message with CRLF; `fields` with underscores for hyphens."""
    lines: Iterable[str] = [
        *([f"From: {from_}"] if from_ is not None else []),
        f"To: {to}",
        f"Subject: {subject}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items()),
    ]
    return ("\r\n".join(lines) + f"\r\n\r\n{text}\r\n").encode()
