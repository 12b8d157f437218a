"""A PostgreSQL cluster of our own from the distribution's binaries, on loopback and in a scratch directory, gone when the test run is over.

It never touches a cluster of the system. PostgreSQL refuses to run as root: then it runs as the user `postgres` that its package made.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import asyncpg

from store.migrate import migrate_shared, steps
from tests.live.ports import free_port

START_SECONDS: Final = 60.0
USER: Final = "procura"

# What is stored here is thrown away, and nothing pulls the plug: no test that uses `Cluster` as it is may be about what survives a crash.
FLEETING: Final = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # in the directory, so that nothing is left behind after kill -9
    "max_wal_size": "256MB",
    "min_wal_size": "64MB",
    "wal_init_zero": "off",
    "autovacuum": "off",
    "jit": "off",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] %d ",
    "timezone": "UTC",
}


def binaries() -> Path | None:
    """Where the newest PostgreSQL's programs are: a distribution keeps the server's off the search path."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb") if path.parents[1].name.isdecimal()]
    if found:
        return max(found, key=lambda path: int(path.parent.name))
    initdb = shutil.which("initdb")
    return Path(initdb).resolve().parent if initdb else None


def missing() -> str | None:
    """Why there can be no cluster here, or None."""
    if binaries() is None:
        return "needs PostgreSQL's server (postgresql)"
    if os.geteuid() == 0:
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            return "needs the user postgres, as whom root starts PostgreSQL"
        if shutil.which("setpriv") is None:
            return "needs setpriv (util-linux)"
    return None


class Cluster:
    """`with Cluster() as cluster:`; then `cluster.create("name")` and `cluster.dsn("name")`.

    `settings`: of postgresql.conf, over those that make it quick and forgetful (FLEETING).
    """

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        found = binaries()
        assert found is not None, missing()
        self.binaries = found
        # Not below pytest's own directory, which only its user may enter.
        self.directory = Path(tempfile.mkdtemp(prefix="procura-pg-"))
        self.data = self.directory / "data"
        self.log = self.directory / "log"
        self.password = secrets.token_hex(16)
        self.port = 0
        self.settings = {**_SETTINGS, **FLEETING, **(settings or {})}
        self.process: subprocess.Popen[bytes] | None = None
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)

    def __enter__(self) -> Cluster:
        try:
            self.initialise()
            self.start()
        except BaseException:
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    # --- life

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def initialise(self) -> None:
        secret = self.directory / "password"
        secret.write_text(self.password)
        if os.geteuid() == 0:
            shutil.chown(secret, "postgres")
        self._run("initdb", "-D", str(self.data), "-U", USER, "-E", "UTF8", "--locale=C", "--no-sync", "-A", "md5", f"--pwfile={secret}")
        secret.unlink()

    def start(self) -> None:
        """On the port it had, or on one that is free."""
        end = time.monotonic() + START_SECONDS
        while True:
            self.port = self.port or free_port()
            options = [f"--{name}={value}" for name, value in self.settings.items()]
            with self.log.open("ab") as log:
                # With us it ends too, also when we are killed: SIGINT is its fast shutdown.
                self.process = subprocess.Popen(
                    [
                        *self._as_user("--pdeathsig", "INT"),
                        str(self.binaries / "postgres"),
                        *("-D", str(self.data), "-k", str(self.directory), "-p", str(self.port)),
                        *options,
                    ],
                    cwd=self.directory,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            while self.process.poll() is None and time.monotonic() < end:
                if self._accepts():
                    return
                time.sleep(0.02)
            if self.process.poll() is None:
                self.kill()
                raise AssertionError(f"PostgreSQL did not start:\n{self.log.read_text()[-4000:]}")
            told = self.log.read_text()
            if "pre-existing shared memory block" in told[-2000:] and time.monotonic() < end:
                time.sleep(0.1)  # children of the one that was killed are on their way out
                continue
            if "could not create any TCP/IP sockets" not in told or time.monotonic() > end:
                raise AssertionError(f"PostgreSQL ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
            self.port = 0  # somebody was quicker

    def stop(self) -> None:
        """Fast: sessions are ended, what was committed is kept."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """kill -9 of the postmaster; its children end when they see that."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    # --- databases

    def dsn(self, database: str) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def url(self, database: str) -> str:
        """As a store's address, which may lose what it promised."""
        return self.dsn(database) + ("?durable=no" if self.settings["fsync"] == "off" else "")

    def create(self, database: str, template: str = "template0") -> str:
        """A new database; returns its DSN."""
        self.sql(f"CREATE DATABASE {database} TEMPLATE {template}")
        return self.dsn(database)

    def drop(self, database: str) -> None:
        self.sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def sql(self, statement: str, database: str = "postgres") -> str:
        """By psql: rows as lines, columns parted by |."""
        done = subprocess.run(
            [str(self.binaries / "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", self.dsn(database), "-c", statement],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
        )
        if done.returncode != 0:
            raise AssertionError(f"{statement}: {done.stderr}\n{self.log.read_text()[-2000:]}")
        return done.stdout.rstrip("\n")

    # --- how

    def _accepts(self) -> bool:
        """Whether it lets anybody in yet: the socket is there before it does."""
        done = subprocess.run(
            [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-t", "1"],
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return done.returncode == 0

    def _as_user(self, *options: str) -> list[str]:
        if os.geteuid() != 0:
            return ["setpriv", *options, "--"] if options and shutil.which("setpriv") else []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *options, "--"]

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as_user(), str(self.binaries / program), *arguments],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode != 0:
            raise AssertionError(f"{program}: {done.stdout}\n{done.stderr}")


@cache
def of_this_run() -> Cluster:
    """The one that all tests of a process share; started when it is first asked for. tests/conftest.py takes it away."""
    cluster = Cluster()
    return cluster.__enter__()


@cache
def migrated_template() -> str:
    """The name of a database of that cluster with our schema, to copy new ones from; nobody stays connected to it."""
    url = of_this_run().create("migrated")

    async def fill() -> None:
        connection = await asyncpg.connect(url)
        await migrate_shared(connection, steps("postgres"), lambda: 0)
        await connection.close()

    # Whoever asks may have a loop that runs.
    thread = threading.Thread(target=lambda: asyncio.run(fill()))
    thread.start()
    thread.join()
    return "migrated"


# IMPORT free_port
