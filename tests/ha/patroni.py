"""Three PostgreSQL servers under Patroni with one synchronous standby, and etcd: on loopback, from the distribution's packages.

The settings are those of store/HA.md, with shorter times where a test would only wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.live.cluster import binaries
from tests.live.cluster import missing as missing_postgres
from tests.live.ports import free_ports

NAMES: Final = ("one", "two", "three")
DATABASE: Final = "procura"
USER: Final = "procura"

TTL: Final = 20
"""Seconds: Patroni takes none shorter. After so long without a word a leader is no leader any more."""

DYNAMIC: Final[dict[str, Any]] = {
    "ttl": TTL,
    "loop_wait": 2,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 0,
    "primary_start_timeout": 0,
    "synchronous_mode": True,
    "synchronous_mode_strict": True,
    "synchronous_node_count": 1,
    "failsafe_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {
            "max_connections": 120,
            "shared_buffers": "32MB",
            "dynamic_shared_memory_type": "mmap",
            "wal_log_hints": "on",
            "synchronous_commit": "on",
            "wal_sender_timeout": "4s",
            "wal_receiver_timeout": "4s",
            "wal_receiver_status_interval": "1s",
            "tcp_keepalives_idle": 5,
            "max_wal_size": "256MB",
            "wal_init_zero": "off",
            "jit": "off",
        },
    },
}


def missing() -> str | None:
    """Why there can be no such cluster here, or None."""
    for program in ("patroni", "etcd"):
        if shutil.which(program) is None:
            return f"needs {program}"
    return missing_postgres()


class Started:
    """A process with its log, and whatever it starts, in a session of its own."""

    def __init__(self, command: list[str], log: Path, environment: dict[str, str], directory: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command, env=environment, cwd=directory, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def send(self, what: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(what)

    def kill(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGKILL)
        self.process.wait()


class Member:
    """One PostgreSQL and the Patroni that looks after it."""

    def __init__(self, cluster: Patroni, name: str, port: int, api: int) -> None:
        self.cluster = cluster
        self.name = name
        self.port = port
        self.api = api
        self.directory = cluster.directory / name
        self.data = self.directory / "data"
        self.started: Started | None = None

    def start(self) -> None:
        self.directory.mkdir(mode=0o700, exist_ok=True)
        file = self.directory / "patroni.yml"
        cluster = self.cluster
        settings = {
            "scope": "procura",
            "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.api}", "connect_address": f"127.0.0.1:{self.api}"},
            "etcd3": {"host": f"127.0.0.1:{cluster.etcd_port}"},
            "bootstrap": {
                "dcs": DYNAMIC,
                "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums"],
                "pg_hba": ["local all all trust", "host all all 127.0.0.1/32 md5", "host replication replicator 127.0.0.1/32 md5"],
            },
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}",
                "connect_address": f"127.0.0.1:{self.port}",
                "data_dir": str(self.data),
                "bin_dir": str(cluster.binaries),
                "pgpass": str(self.directory / "pgpass"),
                "parameters": {"unix_socket_directories": str(self.directory)},
                "authentication": {
                    "superuser": {"username": "postgres", "password": cluster.password},
                    "replication": {"username": "replicator", "password": cluster.password},
                    "rewind": {"username": "rewinder", "password": cluster.password},
                },
            },
            "watchdog": {"mode": "off"},
        }
        file.write_text(json.dumps(settings))  # JSON is YAML
        cluster.give(self.directory, file)
        self.started = Started([*cluster.as_user(), "patroni", str(file)], self.directory / "log", cluster.environment, self.directory)

    def asked(self, path: str = "/patroni", seconds: float = 2.0) -> dict[str, Any]:
        """What its Patroni says; {} where it says nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.api}{path}", timeout=seconds) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as answer:
            with contextlib.suppress(ValueError):
                return dict(json.loads(answer.read()))
        except (OSError, ValueError):
            pass
        return {}

    @property
    def postmaster(self) -> int | None:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int((self.data / "postmaster.pid").read_text().split("\n")[0])
            if Path(f"/proc/{pid}/comm").read_text().strip() == "postgres":
                return pid
        return None

    def processes(self) -> list[int]:
        """The postmaster and what it has started, all by this data directory."""
        top = self.postmaster
        if top is None:
            return []
        found = [top]
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError, ValueError):
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                    if parent == top:
                        found.append(int(entry.name))
        return found

    def signal_postgres(self, what: signal.Signals) -> None:
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, what)

    def kill(self) -> None:
        """kill -9 of everything there, as if the power were cut: Patroni first, so that it starts nothing again."""
        processes = self.processes()
        if self.started is not None:
            self.started.kill()
        for pid in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while any(Path(f"/proc/{pid}/stat").exists() and _state(pid) != "Z" for pid in processes) and time.monotonic() < end:
            time.sleep(0.02)

    def freeze(self) -> None:
        """SIGSTOP of everything there: the machine answers, but nobody does."""
        if self.started is not None:
            self.started.send(signal.SIGSTOP)
        self.signal_postgres(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal_postgres(signal.SIGCONT)
        if self.started is not None:
            self.started.send(signal.SIGCONT)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


class Patroni:
    """`with Patroni() as cluster:`; three members, one of them the leader, one its synchronous standby."""

    def __init__(self) -> None:
        found = binaries()
        assert found is not None, missing()
        self.binaries = found
        self.directory = Path(tempfile.mkdtemp(prefix="procura-ha-"))
        self.password = secrets.token_hex(12)
        self.environment = {"PATH": f"{found}:/usr/bin:/bin", "HOME": str(self.directory), "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        self.etcd_port, peer, *ports = free_ports(2 + 2 * len(NAMES))
        self._peer = peer
        self.members = [Member(self, name, ports[2 * n], ports[2 * n + 1]) for n, name in enumerate(NAMES)]
        self.etcd: Started | None = None
        self.give(self.directory)

    def __enter__(self) -> Patroni:
        try:
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig", "KILL", "--"]

    def give(self, *paths: Path) -> None:
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            for path in paths:
                os.chown(path, user.pw_uid, user.pw_gid)

    def start(self) -> None:
        client, peer = f"http://127.0.0.1:{self.etcd_port}", f"http://127.0.0.1:{self._peer}"
        self.etcd = Started(
            [
                *self.as_user(),
                "etcd",
                *("--name", "only", "--data-dir", str(self.directory / "etcd"), "--log-level", "warn"),
                *("--listen-client-urls", client, "--advertise-client-urls", client),
                *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"only={peer}"),
            ],
            self.directory / "etcd.log",
            self.environment,
            self.directory,
        )
        first, *others = self.members
        first.start()
        self.wait(lambda: first.asked().get("role") == "master", 90, "the first member leads")
        for one in others:
            one.start()
        self.wait(self.is_whole, 120, "three members, one synchronous")
        self.sql(f"CREATE ROLE {USER} LOGIN PASSWORD '{self.password}'")
        self.sql(f"CREATE DATABASE {DATABASE} OWNER {USER} TEMPLATE template0")

    def remove(self) -> None:
        for one in self.members:
            one.thaw()
            one.kill()
        if self.etcd is not None:
            self.etcd.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- what is so

    def dsn(self, database: str = DATABASE) -> str:
        hosts = ",".join(f"127.0.0.1:{one.port}" for one in self.members)
        return f"postgresql://{USER}:{self.password}@{hosts}/{database}?target_session_attrs=read-write"

    def cluster(self) -> dict[str, dict[str, Any]]:
        """The members as any Patroni that answers sees them, by name."""
        for one in self.members:
            if one.started is not None and one.started.alive:
                found = one.asked("/cluster", 1.0).get("members")
                if found:
                    return {member["name"]: member for member in found}
        return {}

    def member(self, role: str) -> Member | None:
        """`leader` or `sync_standby`."""
        for name, found in self.cluster().items():
            if found.get("role") == role:
                return next(one for one in self.members if one.name == name)
        return None

    def leader(self, seconds: float = 60) -> Member:
        found: list[Member] = []

        def there() -> bool:
            one = self.member("leader")
            if one is not None and one.asked("/primary").get("state") == "running":
                found.append(one)
            return bool(found)

        self.wait(there, seconds, "somebody leads")
        return found[0]

    def standby(self, seconds: float = 60) -> Member:
        """The synchronous one."""
        found: list[Member] = []

        def there() -> bool:
            one = self.member("sync_standby")
            if one is not None:
                found.append(one)
            return bool(found)

        self.wait(there, seconds, "somebody is the synchronous standby")
        return found[0]

    def is_whole(self) -> bool:
        roles = sorted(str(one.get("role")) for one in self.cluster().values() if one.get("state") in ("running", "streaming"))
        return roles == ["leader", "replica", "sync_standby"]

    def heal(self, seconds: float = 120) -> None:
        """Whoever was killed is started again; then until all is as at the beginning."""
        if self.etcd is not None:
            self.etcd.send(signal.SIGCONT)
        for one in self.members:
            one.thaw()
            if one.started is None or not one.started.alive:
                one.start()
        self.wait(self.is_whole, seconds, "three members again")

    def wait(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} seconds: {what}\n{self.told()}")
            time.sleep(0.1)

    def told(self) -> str:
        parts = [json.dumps(self.cluster(), indent=1)]
        for one in self.members:
            log = one.directory / "log"
            if log.exists():
                parts.append(f"--- {one.name}\n{log.read_text(errors='replace')[-1500:]}")
        return "\n".join(parts)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """By psql as the superuser, on the leader."""
        leader = self.leader()
        done = subprocess.run(
            [str(self.binaries / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement],
            env={
                **self.environment,
                "PGHOST": "127.0.0.1",
                "PGPORT": str(leader.port),
                "PGUSER": "postgres",
                "PGPASSWORD": self.password,
                "PGDATABASE": database,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
        )
        if done.returncode != 0:
            raise AssertionError(f"{statement}: {done.stderr}\n{self.told()}")
        return done.stdout.rstrip("\n")

    @contextlib.contextmanager
    def etcd_paused(self) -> Iterator[None]:
        assert self.etcd is not None
        self.etcd.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.etcd.send(signal.SIGCONT)
