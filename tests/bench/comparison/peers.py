"""The servers that are compared, each of its own in a temporary directory, on loopback; the system's are neither read nor touched.

All of them keep what they have accepted through a crash, let only its owner use an address as a sender, and serve shared folders (ACL).
Postfix asks the Dovecot with mdbox for passwords and delivers to it: together they are one peer. Both need root, as they start processes as
users of their own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from config.settings import Password
from gateway.message.canonical import read_address
from gateway.passwords import PasswordCost, Passwords
from store.accounts import CreateAccount
from store.connect import connect
from store.domains import CreateDomain
from tests.live.ports import free_ports
from tests.live.server import PASSWORD, Server

ACCOUNTS: Final = 210
DOMAIN: Final = "bench.test"
TICKS: Final = os.sysconf("SC_CLK_TCK")
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 20.0


def user(number: int) -> str:
    return f"u{number}@{DOMAIN}"


# --- what the system knows of processes


def tree(roots: Sequence[int]) -> dict[int, float]:
    """Processor seconds of these processes, their descendants, and the children that they have waited for."""
    fields: dict[int, list[str]] = {}
    for name in os.listdir("/proc"):
        try:
            if name.isdigit():
                fields[int(name)] = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
    found = {root for root in roots if root in fields}
    while more := {pid for pid, told in fields.items() if int(told[1]) in found and pid not in found}:
        found |= more
    return {pid: used(pid, fields[pid]) for pid in found}


def used(pid: int, fields: Sequence[str]) -> float:
    """User and system time. Of each process the system tells it in hundredths of a second, rounded down, which is nothing for one of a
    hundred that serve a session each; of its threads in nanoseconds, but only of those that are still there. The larger is nearer."""
    own, of_children = sum(map(int, fields[11:13])) / TICKS, sum(map(int, fields[13:15])) / TICKS
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        own = max(own, sum(int(Path(f"/proc/{pid}/task/{one}/schedstat").read_text().split()[0]) for one in threads) / 1e9)
    except (OSError, ValueError, IndexError):
        pass
    return own + of_children


def resident(roots: Sequence[int]) -> int:
    """Their memory in KiB, what is shared counted once (PSS)."""
    total = 0
    for pid in tree(roots):
        try:
            told = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in told.splitlines() if line.startswith("Pss:"))
    return total


def tool(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin")


def said_by(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.strip()


# --- the peers


class Peer:
    """A server, started by `start` and ended by `stop`. Ports that it has not are 0."""

    name = "?"
    imap = lmtp = submission = 0

    def __init__(self, directory: Path) -> None:
        self.directory = directory / self.name
        self._processes: list[subprocess.Popen[bytes]] = []

    @classmethod
    def missing(cls) -> str | None:
        """Why it cannot run here."""
        return None

    def version(self) -> str:
        raise NotImplementedError

    def start(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """With all that it has started."""
        for process in self._processes:
            left = tree([process.pid]).keys() - {process.pid}
            self._ask_to_end(process)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                for pid in tree([process.pid]).keys() | left:
                    _end(pid)
                process.wait()
        self._processes.clear()

    def _ask_to_end(self, process: subprocess.Popen[bytes]) -> None:
        process.terminate()

    def roots(self) -> list[int]:
        return [process.pid for process in self._processes]

    def cpu(self) -> float:
        """Processor seconds so far, of all of its processes."""
        return sum(tree(self.roots()).values())

    def memory(self) -> int:
        return resident(self.roots())

    def waits(self) -> bool:
        """Is there a message that was accepted and is not delivered yet?"""
        return False

    def _spawn(self, *command: str, port: int) -> None:
        with (self.directory / "server.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._processes.append(process)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 2) as one:
                    one.settimeout(5)
                    if one.recv(1):
                        return
            except OSError:
                pass
            if process.poll() is not None or time.monotonic() > end:
                told = "".join(path.read_text(errors="replace")[-1500:] for path in self.directory.glob("*.log"))
                raise RuntimeError(f"{self.name} did not start:\n{told}")
            time.sleep(0.05)


def _end(pid: int) -> None:
    """A process that its parent did not end."""
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass


def default_settings(directory: Path) -> Server:
    """As an administrator starts it, but for its ports, and passwords in the clear on loopback."""
    server = Server(directory)
    for cheap in ("password.memory", "password.passes", "password.scram_iterations"):
        del server.settings[cheap]
    server.settings["workers"] = 1
    return server


class Procura(Peer):
    """One process, with default settings."""

    name = "procura"

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._server = default_settings(self.directory)

    def version(self) -> str:
        return f"procura {version('procura')}"

    def start(self) -> None:
        if not self._server.data.exists():
            asyncio.run(_people(self._server.data))
        # As its unit (config/procura.service) says; the others need directories that users of their own may enter.
        before = os.umask(0o077)
        try:
            self._server.start()
        finally:
            os.umask(before)
        ports = self._server.ports
        self.imap, self.lmtp, self.submission = ports["imap"], ports["lmtp"], ports["submission"]

    def stop(self) -> None:
        if self._server.process is not None:
            self._server.stop(STOP_SECONDS)

    def roots(self) -> list[int]:
        return [self._server.process.pid] if self._server.process is not None else []


async def _people(data: Path) -> None:
    """All have the same password, hashed once at what it costs by default, and keys for SCRAM, as commands make accounts."""
    passwords = Passwords(PasswordCost(scram_iterations=Password().scram_iterations), b"key")
    verifiers = passwords.verifiers_now(PASSWORD)
    passwords.close()
    store = await connect("sqlite:///{data}/procura.db", data)
    try:
        await store.do(CreateDomain(DOMAIN))
        for number in range(ACCOUNTS):
            await store.do(CreateAccount(read_address(user(number)), "", verifiers.argon2, scram=verifiers.scram))
    finally:
        await store.close()


DOVECOT: Final = """
protocols = imap lmtp
listen = 127.0.0.1
base_dir = {at}/run
state_dir = {at}/state
log_path = {at}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_cache_size = 10M
default_client_limit = 20000
default_process_limit = 400
first_valid_uid = 1
first_valid_gid = 1
mail_max_userip_connections = 0
mail_location = {kind}:~/mail
mail_plugins = acl
passdb {{
  driver = passwd-file
  args = username_format=%u {at}/people
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {at}/people
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
namespace shared {{
  type = shared
  separator = /
  prefix = shared/%%u/
  location = {kind}:%%h/mail
  subscriptions = no
  list = children
}}
plugin {{
  acl = vfile
  acl_shared_dict = file:{at}/shared/boxes.db
}}
service imap-login {{
  service_count = 0
  process_min_avail = 2
  client_limit = 10000
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  process_limit = 12000
  service_count = {sessions}
  process_min_avail = 2
  unix_listener imap-master {{
    user = $default_internal_user
    mode = 0666
  }}
}}
service imap-hibernate {{
  unix_listener imap-hibernate {{
    mode = 0666
  }}
}}
service lmtp {{
  process_min_avail = 2
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service anvil {{
  client_limit = 30000
}}
service auth {{
  client_limit = 30000
  unix_listener auth-client {{
    mode = 0666
  }}
}}
protocol imap {{
  mail_plugins = acl imap_acl
  imap_hibernate_timeout = {hibernates}s
}}
protocol lmtp {{
  postmaster_address = postmaster@{domain}
}}
"""


class Dovecot(Peer):
    """Its authentication cache is on, its login processes are of the fast kind, `mail_fsync` is as it comes (optimized)."""

    kind = "maildir"
    name = "dovecot-maildir"
    hibernates, sessions = 0, 200
    """After how many seconds an idle session gives its process back; how many sessions a process serves one after the other."""

    @classmethod
    def missing(cls) -> str | None:
        if tool("dovecot") is None:
            return "not installed"
        return None if os.getuid() == 0 else "needs root"

    def version(self) -> str:
        return f"Dovecot {said_by(tool('dovecot') or '', '--version').split()[0]}, {self.kind}"

    def start(self) -> None:
        if not self.directory.exists():
            self._set_up()
        self._spawn(tool("dovecot") or "", "-F", "-c", str(self.directory / "dovecot.conf"), port=self.imap)

    def _set_up(self) -> None:
        nobody = pwd.getpwnam("nobody")
        for name in ("", "run", "state", "mail", "shared"):
            (self.directory / name).mkdir(mode=0o755)
        for name in ("mail", "shared"):
            os.chown(self.directory / name, nobody.pw_uid, nobody.pw_gid)
        digest = hashlib.sha256(PASSWORD.encode() + b"salt").digest() + b"salt"
        hashed = "{SSHA256}" + base64.b64encode(digest).decode()
        home = self.directory / "mail"
        rows = (f"{user(one)}:{hashed}:{nobody.pw_uid}:{nobody.pw_gid}::{home}/u{one}::\n" for one in range(ACCOUNTS))
        (self.directory / "people").write_text("".join(rows))
        self.imap, self.lmtp = free_ports(2)
        told = {"at": self.directory, "kind": self.kind, "imap": self.imap, "lmtp": self.lmtp, "domain": DOMAIN, "sessions": self.sessions}
        (self.directory / "dovecot.conf").write_text(DOVECOT.format(**told, hibernates=self.hibernates))


class Mdbox(Dovecot):
    kind = "mdbox"
    name = "dovecot-mdbox"


class Hibernating(Mdbox):
    name = "dovecot-hibernating"
    hibernates, sessions = 2, 1

    def version(self) -> str:
        return super().version() + ", imap_hibernate_timeout = 2 s"


MAIN: Final = """
compatibility_level = 3.6
queue_directory = {at}/queue
data_directory = {at}/data
command_directory = {commands}
daemon_directory = {daemons}
maillog_file = {at}/postfix.log
maillog_file_prefixes = {at}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.{domain}
mydestination =
mynetworks =
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = {maps}:{at}/mailboxes
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
virtual_mailbox_limit = 0
mailbox_size_limit = 0
message_size_limit = 52428800
smtpd_sender_login_maps = {maps}:{at}/senders
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = {socket}
smtpd_sasl_security_options = noanonymous
smtpd_tls_security_level = none
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
default_process_limit = 200
lmtp_destination_concurrency_limit = 20
lmtp_connection_cache_on_demand = yes
smtputf8_enable = yes
biff = no
queue_run_delay = 2s
minimal_backoff_time = 2s
maximal_backoff_time = 4s
"""
MASTER: Final = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix(Peer):
    """Submission with its own senders only, delivering by LMTP to the Dovecot with mdbox, whose processes count as its own."""

    name = "postfix"

    def __init__(self, directory: Path, dovecot: Mdbox) -> None:
        super().__init__(directory)
        self._dovecot = dovecot

    @classmethod
    def missing(cls) -> str | None:
        if tool("postfix") is None or tool("postconf") is None:
            return "not installed"
        return (why and f"Dovecot: {why}") if (why := Dovecot.missing()) else None

    def version(self) -> str:
        return f"Postfix {said_by(tool('postconf') or '', '-d', '-h', 'mail_version')} with {self._dovecot.version()}"

    def start(self) -> None:
        postconf = tool("postconf") or ""
        (self.submission,) = free_ports(1)
        self.directory.mkdir(mode=0o755)
        for name in ("etc", "queue", "data"):
            (self.directory / name).mkdir(mode=0o755)
        shutil.chown(self.directory / "data", "postfix")
        kinds = said_by(postconf, "-m").split()
        maps = next((one for one in ("lmdb", "cdb", "hash", "btree") if one in kinds), "texthash")
        etc = self.directory / "etc"
        told = {"at": self.directory, "commands": Path(postconf).parent, "domain": DOMAIN, "maps": maps, "lmtp": self._dovecot.lmtp}
        daemons = said_by(postconf, "-d", "-h", "daemon_directory")
        (etc / "main.cf").write_text(MAIN.format(**told, daemons=daemons, socket=self._dovecot.directory / "run/auth-client"))
        (etc / "master.cf").write_text(MASTER.format(port=self.submission))
        for name, value in (("mailboxes", "here"), ("senders", None)):
            (self.directory / name).write_text("".join(f"{user(one)} {value or user(one)}\n" for one in range(ACCOUNTS)))
            if maps != "texthash":
                subprocess.run([tool("postmap") or "postmap", "-c", str(etc), f"{maps}:{self.directory / name}"], check=True, timeout=30)
        said_by(tool("postfix") or "", "-c", str(etc), "check")
        self._spawn(tool("postfix") or "", "-c", str(etc), "start-fg", port=self.submission)
        self.imap, self.lmtp = self._dovecot.imap, self._dovecot.lmtp

    def _ask_to_end(self, process: subprocess.Popen[bytes]) -> None:
        # What was started is a shell that waits for the master, whose number stands in a file of this instance.
        said_by(tool("postfix") or "", "-c", str(self.directory / "etc"), "stop")

    def roots(self) -> list[int]:
        return [*super().roots(), *self._dovecot.roots()]

    def waits(self) -> bool:
        return any(files for name in ("incoming", "active", "deferred") for *_, files in os.walk(self.directory / "queue" / name))


def installed(directory: Path, names: Sequence[str]) -> tuple[list[Peer], dict[str, str]]:
    """Those of them that can run here, procura first, and why the others cannot. Nothing is started."""
    missing: dict[str, str] = {}
    found: list[Peer] = [Procura(directory)]
    mdbox = Mdbox(directory)
    for peer in (mdbox, Dovecot(directory), Hibernating(directory), Postfix(directory, mdbox)):
        if peer.name not in names and not (peer is mdbox and Postfix.name in names):
            continue
        if why := peer.missing():
            missing[peer.name] = why
        else:
            found.append(peer)
    return found, missing
