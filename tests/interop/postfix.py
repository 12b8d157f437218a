"""A Postfix from the distribution, run by a test in a directory and on loopback ports of its own."""

from __future__ import annotations

import base64
import contextlib
import grp
import json
import os
import shutil
import signal
import smtplib
import socket
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.live.ports import free_port

SECONDS = 60.0

MAIN = """
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = {sbin}
daemon_directory = {daemons}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/postfix.log
maillog_file_prefixes = {home}
import_environment = MAIL_CONFIG TZ
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
biff = no
smtputf8_enable = yes
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
mailbox_size_limit = 0
virtual_mailbox_limit = 0
"""

MASTER = """
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - y - 0 cleanup
qmgr      unix  n - y 300 1 qmgr
tlsmgr    unix  - - y 1000? 1 tlsmgr
rewrite   unix  - - y - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - y - - smtp
relay     unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
lmtp      unix  - - y - - lmtp
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""


def _missing() -> str:
    if shutil.which("postfix") is None or shutil.which("postconf") is None:
        return "postfix is not installed"
    if os.getuid() != 0:
        return "postfix needs root"
    scratch = Path(tempfile.gettempdir()).resolve()
    closed = [str(one) for one in (scratch, *scratch.parents) if not one.stat().st_mode & stat.S_IXOTH]
    return f"postfix runs as a user of its own, who does not get through {closed[0]}" if closed else ""


postfix = pytest.mark.skipif(bool(_missing()), reason=_missing() or "-")


@dataclass
class Postfix:
    """In `directory_for_postfix`. `settings`: of main.cf, after those above; `doors`: smtpd services by name, each with its own."""

    home: Path
    settings: Mapping[str, str] = field(default_factory=dict)
    doors: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        etc = self.home / "etc"
        for name in ("etc", "data"):
            (self.home / name).mkdir()
        shutil.chown(self.home / "data", "postfix")
        daemons = self.command("postconf", "-d", "-h", "daemon_directory", configured=False).stdout.strip()
        sbin = Path(shutil.which("postconf") or "").parent
        lines = [f"{name} = {value}" for name, value in self.settings.items()]
        (etc / "main.cf").write_text(MAIN.format(home=self.home, sbin=sbin, daemons=daemons) + "\n".join(lines) + "\n")
        services = []
        for name, own in self.doors.items():
            self.ports.setdefault(name, free_port())
            # In braces, for a value has blanks in it.
            services.append(f"127.0.0.1:{self.ports[name]} inet n - y - - smtpd")
            services += [f"    -o {{ {key} = {value} }}" for key, value in own.items()]
        (etc / "master.cf").write_text("\n".join(services) + MASTER)
        for name in ("postfix-files",):
            if (Path("/etc/postfix") / name).exists():
                shutil.copy(Path("/etc/postfix") / name, etc / name)
        with (self.home / "start.log").open("ab") as log:
            self.process = subprocess.Popen(
                ["postfix", "-c", str(etc), "start-fg"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        end = time.monotonic() + SECONDS
        for port in self.ports.values():
            while not _greets(port):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise AssertionError(f"postfix did not start:\n{self.log}")
                time.sleep(0.05)

    def stop(self) -> None:
        assert self.process is not None
        self.command("postfix", "stop", check=False)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def command(self, *arguments: str, configured: bool = True, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One of its commands, about this instance."""
        name, *rest = arguments
        where = ["-c", str(self.home / "etc")] if configured else []
        done = subprocess.run([name, *where, *rest], capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
        assert not check or done.returncode == 0, done.stderr
        return done

    @property
    def log(self) -> str:
        return "\n".join(path.read_text() for path in (self.home / "start.log", self.home / "postfix.log") if path.exists())

    def smtp(self, door: str) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.ports[door], timeout=SECONDS)

    def submission(self, door: str, login: str) -> smtplib.SMTP:
        """As somebody who has logged in to it, whoever that is (see `any_password`)."""
        client = self.smtp(door)
        client.login(login, "any")
        return client

    def stranger(self, door: str, address: str) -> smtplib.SMTP:
        """As a client from elsewhere: by XCLIENT, which a test may use there."""
        client = self.smtp(door)
        client.ehlo()
        code, said = client.docmd("XCLIENT", f"ADDR={address}")
        assert code == 220, said
        client.ehlo_resp = client.helo_resp = None
        client.ehlo()
        return client

    def queue(self) -> list[dict[str, object]]:
        """What it has not delivered yet."""
        return [json.loads(line) for line in self.command("postqueue", "-j").stdout.splitlines()]

    def until(self, what: Callable[[], bool], seconds: float = SECONDS) -> None:
        """Until this is so."""
        end = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < end, f"not in time; postfix said:\n{self.log[-6000:]}"
            time.sleep(0.1)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
            return client.recv(3) == b"220"
    except OSError:
        return False


@contextmanager
def directory_for_postfix() -> Iterator[Path]:
    """A directory that it can reach as its own user, with `queue/procura` in it, where its group owns what is made."""
    home = Path(tempfile.mkdtemp(prefix="pf"))
    try:
        home.chmod(0o755)
        sockets = home / "queue/procura"
        sockets.mkdir(parents=True)
        os.chown(sockets, -1, grp.getgrnam("postfix").gr_gid)
        sockets.chmod(0o2750)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def any_password(path: Path) -> Iterator[None]:
    """What Postfix asks with `smtpd_sasl_type = dovecot`: any password is right, so that what a login may do is all that is left
    to ask (Dovecot's authentication protocol, version 1)."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    path.chmod(0o660)

    def serve(connection: socket.socket) -> None:
        hello = ("VERSION\t1\t1", "MECH\tPLAIN\tplaintext", "SPID\t1", "CUID\t1", "COOKIE\t" + "0" * 32, "DONE")
        with connection, connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
            stream.write("".join(f"{line}\n" for line in hello))
            stream.flush()
            for line in stream:
                verb, number, *words = line.rstrip("\n").split("\t")
                if verb != "AUTH":
                    continue
                response = next(word for word in words if word.startswith("resp="))
                login = base64.b64decode(response.removeprefix("resp=")).split(b"\0")[1].decode()
                stream.write(f"OK\t{number}\tuser={login}\n")
                stream.flush()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=serve, args=(listening.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield
    finally:
        listening.close()


# IMPORT free_port
