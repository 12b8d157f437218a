"""The gateway that is shown: in a process and a directory of its own, on the usual ports where they are free."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TextIO

from config.addresses import TcpAddress
from config.settings import Settings
from gateway.demo.stage import Unexpected

HOSTNAME: Final = "mail.acme.test"
DOORS: Final = ("submission", "submissions", "lmtp", "imap", "imaps")
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 30.0
KEPT: Final = ("certificate.pem", "certificate.key", "demonstration.lock", "procura.lock")
"""What one demonstration leaves to the next: a mail client that trusts the certificate goes on doing so."""


class DemonstrationFailed(Exception):
    """It could not even begin; the text says why."""


@dataclass(slots=True)
class Gateway:
    """`procura serve` in a process of its own, and `procura prov` for its administrator."""

    directory: Path
    moved: tuple[str, ...] = ()
    """Usual addresses that were taken."""
    bound: dict[str, str] = field(default_factory=dict)
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def configuration(self) -> Path:
        """The settings file, for this server and for whoever administers it while it runs."""
        return self.directory / "procura.toml"

    @property
    def certificate(self) -> Path:
        """What a client has to trust."""
        return self.directory / "certificate.pem"

    def start(self) -> None:
        """Returns once everything listens. Raises DemonstrationFailed."""
        ready, log = self.directory / "ready.json", self.directory / "server.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "gateway", "serve", "--ready-file", str(ready)]
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own words
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=self._environment()
            )
        end = time.monotonic() + START_SECONDS
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > end:
                raise DemonstrationFailed(f"the gateway did not start\n{_end(log.read_text(errors='replace'), 5)}")
            time.sleep(0.02)
        self.bound = {name: where[0] for name, where in json.loads(ready.read_text()).items() if where}

    def stop(self) -> None:
        """Drains and ends it."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except (subprocess.TimeoutExpired, KeyboardInterrupt):
                process.kill()
                process.wait()

    def wait(self) -> None:
        """Until the server ends, which only a fault makes it do. Raises DemonstrationFailed, KeyboardInterrupt."""
        assert self._process is not None
        status = self._process.wait()
        raise DemonstrationFailed(f"the gateway ended by itself with status {status}; see {self.directory / 'server.log'}")

    def port(self, door: str) -> int:
        """Where it listens on the loopback address."""
        return int(self.bound[door].rpartition(":")[2])

    def prov(self, *lines: str) -> str:
        """`procura prov` with these commands, in one process; what it printed. Raises Unexpected."""
        return self.procura("prov", "-f", "-", lines=lines)

    def procura(self, *arguments: str, lines: Sequence[str] = ()) -> str:
        """The command line, with these lines on its standard input; what it printed. Raises Unexpected."""
        done = subprocess.run(  # noqa: S603 - our own interpreter and our own words
            [sys.executable, "-m", "gateway", *arguments],
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            env=self._environment(),
            check=False,
        )
        if done.returncode:
            raise Unexpected(f"status {done.returncode}: {_end(done.stderr or done.stdout, 1)}")
        return done.stdout

    def _environment(self) -> dict[str, str]:
        # The settings of whoever starts the demonstration are not meant for it.
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("PROCURA_")}
        return {**kept, "PROCURA_CONFIG": str(self.configuration), "PYTHONUNBUFFERED": "1"}


def _end(text: str, lines: int) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


@contextmanager
def prepared(directory: Path) -> Iterator[Gateway]:
    """A running gateway on an empty store; stopped at the end. Raises DemonstrationFailed."""
    directory = directory.absolute()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        marker = directory / "demonstration.lock"
        if not marker.exists() and any(directory.iterdir()):
            raise DemonstrationFailed(f"{directory} is there already and was not made by a demonstration; nothing in it was touched")
        with marker.open("a") as ours:
            _lock(ours, f"another demonstration is running in {directory}")
            _clear(directory)
            gateway = Gateway(directory)
            gateway.moved = configure(gateway.configuration, directory)
            try:
                gateway.start()
                yield gateway
            finally:
                gateway.stop()
    except OSError as fault:
        raise DemonstrationFailed(str(fault)) from fault


def _lock(file: TextIO, otherwise: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise DemonstrationFailed(otherwise) from None


def _clear(directory: Path) -> None:
    """Away with what the last demonstration left; not under a server that somebody started on it by hand."""
    with (directory / "procura.lock").open("a") as theirs:
        _lock(theirs, f"a procura is running on {directory}")
        for entry in directory.iterdir():
            if entry.name in KEPT:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def configure(file: Path, directory: Path) -> tuple[str, ...]:
    """Writes the settings; the usual addresses that are taken, where the system chooses a port instead."""
    usual = Settings(data=directory).listen
    lines, taken = [], []
    for door in DOORS:
        chosen = []
        for address in getattr(usual, door):
            free = isinstance(address, TcpAddress) and _is_free(address)
            chosen.append(str(address) if free else "127.0.0.1:0")
            if not free:
                taken.append(str(address))
        lines.append(f"{door} = {json.dumps(chosen)}")
    head = [f"data = {json.dumps(str(directory))}", f'hostname = "{HOSTNAME}"', "[listen]"]
    file.write_text("# Written by procura demo.\n" + "\n".join([*head, *lines]) + "\n")
    return tuple(taken)


def _is_free(address: TcpAddress) -> bool:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address.host, address.port))
        except OSError:
            return False
    return True
