"""After PostgreSQL went back to an earlier moment: clients see that numbers mean something else, nothing in the queue goes out again."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.cluster import Cluster, missing
from tests.live.next_hop import NextHop
from tests.live.server import Server, compose
from tests.live.talk import Talk

ANNA, FAR = "anna@acme.test", "far@elsewhere.test"


@contextmanager
def archiving() -> Iterator[Cluster]:
    cluster = Cluster()
    cluster.settings |= {"archive_mode": "on", "archive_command": f"cp %p {cluster.directory}/%f", "max_wal_senders": "3"}
    with cluster:
        yield cluster


@contextmanager
def recovered(first: Cluster, base: Path, point: str) -> Iterator[Cluster]:
    """The base backup and the log of the first one, up to this point; nobody is let in before that."""
    cluster = Cluster(
        {
            "restore_command": f"cp {first.directory}/%f %p",
            "recovery_target_name": point,
            "recovery_target_action": "promote",
            "hot_standby": "off",
        }
    )
    try:
        cluster.password = first.password
        base.rename(cluster.data)
        (cluster.data / "recovery.signal").touch()
        if os.geteuid() == 0:
            shutil.chown(cluster.data / "recovery.signal", "postgres")
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def uidvalidity(server: Server) -> tuple[int, int]:
    """And how many messages there are."""
    with Talk(server.ports["imap"], ANNA) as talk:
        answer = talk.ok("SELECT INBOX")
        return int(answer.code("UIDVALIDITY") or 0), int(answer.about("EXISTS")[0].split()[1])


def deliver(server: Server, number: int) -> None:
    server.deliver(ANNA, compose(FAR, ANNA, subject=f"{number}"))


def waiting(server: Server) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(server.run("queue", "list", "--json").stdout)
    return found


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_after_recovery_numbers_are_new_and_the_queue_waits(tmp_path: Path) -> None:
    if (why := missing()) is not None:
        pytest.skip(why)
    hop = NextHop(answers={f"RCPT {FAR}": ["451 4.3.0 later"]})
    try:
        with archiving() as first:
            first.create("mail")
            settings = {
                "store": first.url("mail"),
                "relay": f"smtp://127.0.0.1:{hop.port}",
                "queue.retries": ["1h"],
                "policy_max_staleness": "1s",
            }
            base = first.directory / "base"
            with Server(tmp_path / "server", settings) as server:
                server.people("anna")
                deliver(server, 1)
                first._run("pg_basebackup", "-D", str(base), "-X", "none", "-c", "fast", "--no-sync", "-d", first.dsn("mail"))
                with server.smtp(ANNA) as client:
                    client.sendmail(ANNA, [FAR], compose(ANNA, FAR))
                hop.wait_for("RCPT")
                deliver(server, 2)
                before, there = uidvalidity(server)
                assert there == 2
                assert server.run("renew-uidvalidity", check=False).returncode == 1  # the directory is somebody's
                first.sql("SELECT pg_create_restore_point('then')")
                # What is lost: a client has seen it, and the next hop has it.
                deliver(server, 3)
                server.run("queue", "retry", str(waiting(server)[0]["id"]))
                hop.wait(1)
                first.sql("SELECT pg_switch_wal()")
            first.stop()
            with recovered(first, base, "then") as second:
                server.settings["store"] = second.url("mail")
                done = json.loads(server.run("renew-uidvalidity", "--json").stdout)
                assert done["held"] == 1
                assert done["folders"] > 1
                with server:
                    now, there = uidvalidity(server)
                    assert there == 2
                    assert now > before
                    (row,) = waiting(server)
                    assert row["heldBy"] == "operator"
                    server.run("queue", "retry")
                    deliver(server, 4)
                    assert uidvalidity(server) == (now, 3)
                    assert len(hop.taken) == 1
                    # Whoever lets it go takes it upon himself: this is the message that comes twice.
                    server.run("queue", "release", str(row["id"]))
                    hop.wait(2)
    finally:
        hop.close()
