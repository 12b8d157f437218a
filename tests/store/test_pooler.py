"""Through PgBouncer: in session mode everything works, in the other modes it is refused at the start, by name."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from policy.identity import Address
from store import folders, messages
from store.accounts import CreateAccount
from store.connect import connect, inspected_server
from store.domains import CreateDomain
from store.errors import Unusable
from store.port import Event, FolderChanged
from store.postgres_session import opened, server
from store.queue import AcceptMessage, IntoMailbox
from tests.live.ports import free_port
from tests.store.letters import letter

IGNORED = (
    "jit, statement_timeout, lock_timeout, idle_in_transaction_session_timeout,"
    " tcp_keepalives_idle, tcp_keepalives_interval, tcp_keepalives_count"
)
PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="needs pgbouncer")


class Pooler:
    """One of our own, before the cluster of this run, on loopback."""

    def __init__(self, url: str, mode: str, ignored: str = IGNORED) -> None:
        assert PGBOUNCER is not None
        there = urlsplit(url)
        # Not below pytest's own directory, which only its user may enter.
        self.directory = where = Path(tempfile.mkdtemp(prefix="procura-pooler-"))
        database = there.path.lstrip("/")
        self.port = free_port()
        users, settings = where / "users", where / "pgbouncer.ini"
        users.write_text(f'"{there.username}" "{there.password}"\n')
        settings.write_text(
            f"[databases]\n{database} = host={there.hostname} port={there.port} dbname={database}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {users}\n"
            f"pool_mode = {mode}\ndefault_pool_size = 60\n" + (f"ignore_startup_parameters = {ignored}\n" if ignored else "")
        )
        command = [PGBOUNCER, "-q", str(settings)]
        if os.geteuid() == 0:
            # It refuses to be root.
            for path in (where, users, settings):
                shutil.chown(path, "postgres")
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "INT", "--", *command]
        self.log = where / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        self.url = there._replace(netloc=f"{there.username}:{there.password}@127.0.0.1:{self.port}").geturl()

    async def ready(self) -> str:
        ends = time.monotonic() + 20
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < ends, self.log.read_text()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return self.url

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        shutil.rmtree(self.directory, ignore_errors=True)


@pytest.fixture
def poolers(shared_url: str) -> Iterator[list[Pooler]]:
    started: list[Pooler] = []
    yield started
    for one in started:
        one.stop()


async def test_in_session_mode_everything_works(shared_url: str, tmp_path: Path, poolers: list[Pooler]) -> None:
    poolers.append(Pooler(shared_url, "session"))
    url = await poolers[0].ready()
    await inspected_server(url)
    session = await opened(server(url))
    # What PgBouncer dropped is in force nevertheless, and whoever looks for our process finds it.
    assert session.pooled
    assert await session.connection.fetchval("SHOW lock_timeout") == "20s"
    found = await session.connection.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = $1", session.name)
    assert [pid for (pid,) in found] == [session.pid]
    await session.close()
    one, other = await connect(url, tmp_path / "one"), await connect(url, tmp_path / "other")
    try:
        await one.do(CreateDomain("acme.test"))
        anna = await one.do(CreateAccount(Address("anna", "acme.test")))
        told: list[Event] = []
        other.watch(told.extend)
        began = time.monotonic()
        await asyncio.gather(
            *((one, other)[number % 2].do(AcceptMessage(f"{number}", (IntoMailbox(anna, letter(number), 0),))) for number in range(20))
        )
        async with other.snapshot() as snapshot:
            inbox = await snapshot.ask(folders.by_path, anna, "/INBOX")
            assert inbox is not None
            assert [row.uid for row in await snapshot.ask(messages.rows, inbox.id, ((1, 99),))] == [*range(1, 21)]
        while FolderChanged(inbox.id, inbox.modseq) not in told:
            assert time.monotonic() < began + 20
            await asyncio.sleep(0.02)
    finally:
        await one.close()
        await other.close()


@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_other_modes_are_refused_by_name(shared_url: str, tmp_path: Path, poolers: list[Pooler], mode: str) -> None:
    poolers.append(Pooler(shared_url, mode))
    url = await poolers[0].ready()
    with pytest.raises(Unusable, match="pool_mode = session"):
        await connect(url, tmp_path / "one")
    with pytest.raises(Unusable, match="LISTEN, advisory locks, prepared statements"):
        await inspected_server(url)


async def test_one_that_refuses_our_settings_is_told_from_a_server_that_is_away(
    shared_url: str, tmp_path: Path, poolers: list[Pooler]
) -> None:
    poolers.append(Pooler(shared_url, "session", ignored=""))
    url = await poolers[0].ready()
    with pytest.raises(Unusable, match=r"ignore_startup_parameters = .*lock_timeout"):
        await connect(url, tmp_path / "one")
