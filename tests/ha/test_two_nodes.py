"""The short version of test_failover.py: two nodes on one PostgreSQL, load from both sides, and what may befall either."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.ha.clients import Client, Load, appending, doubled, expunging, handing_in, reading, relaying, started, submitting
from tests.live import ledger as books
from tests.live.cluster import Cluster, missing
from tests.live.ledger import Ledger, Message
from tests.live.next_hop import NextHop
from tests.live.server import Server
from tests.live.talk import Talk

SENDER, WORKER, SINK = "sender@acme.test", "worker@acme.test", "sink@acme.test"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@dataclass
class Pair:
    """Both nodes, their database, and what was done."""

    cluster: Cluster
    hop: NextHop
    nodes: tuple[Server, Server]
    ledger: Ledger = field(default_factory=Ledger)
    refused: set[str] = field(default_factory=set)
    sent: list[Message] = field(default_factory=list)

    def clients(self, number: int) -> list[Client]:
        node = self.nodes[number]
        return [
            Client(f"{number} submits", submitting(node, self.ledger, self.refused, SENDER, SINK)),
            Client(f"{number} hands in", handing_in(node, self.ledger, self.refused, SINK)),
            Client(f"{number} appends", appending(node, self.ledger, self.refused, WORKER, "Appended")),
            Client(f"{number} expunges", expunging(node, self.ledger, WORKER, f"Expunged{number}")),
            Client(f"{number} relays", relaying(node, self.ledger, self.refused, SENDER, self.sent)),
            Client(f"{number} reads", reading(node, self.ledger, WORKER, "Appended")),
        ]

    def check(self, *loads: Load, doubles: int) -> None:
        for load in loads:
            load.check()
        for node in self.nodes:
            books.check(node, self.ledger)
        there = {number for uids in self.ledger.seen.values() for number in uids.values()}
        assert not self.refused & there, "what was refused is there"
        assert doubled(self.hop, self.sent) <= doubles


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    why = missing()
    if why is not None:
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("pair")
    # Some other tests may use a forgetful one; here, synchronous_commit off loses what was said to be kept.
    with Cluster({"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}) as cluster:
        cluster.create("pair")
        hop = NextHop()
        settings = {
            "store": cluster.url("pair"),
            "policy_max_staleness": "3s",
            "relay": f"smtp://127.0.0.1:{hop.port}",
            "queue.retries": ["1s", "1s", "2s"],
        }
        nodes = Server(directory / "one", settings), Server(directory / "two", settings)
        try:
            started(nodes)
            nodes[0].people("sender", "worker", "sink")
            nodes[0].prov("modifyAccount sender@acme.test delegatedSent none")
            with Talk(nodes[1].ports["imap"], WORKER) as talk:
                for folder in ("Appended", "Expunged0", "Expunged1"):
                    talk.ok(f"CREATE {folder}")
            yield Pair(cluster, hop, nodes)
        finally:
            for node in nodes:
                if node.process is not None:
                    node.process.send_signal(signal.SIGCONT)
                    node.stop()
            hop.close()


def test_connections_that_are_cut_wherever_they_are(pair: Pair) -> None:
    cut = 0
    with Load([*pair.clients(0), *pair.clients(1)]) as load:
        load.settled()
        for _ in range(15):
            cut += int(
                pair.cluster.sql("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'pair' AND random() < 0.3")
            )
            time.sleep(0.1)
        load.settled()
    assert cut > 10
    pair.check(load, doubles=cut)


def test_a_server_that_is_killed_and_comes_again(pair: Pair) -> None:
    """kill -9 of the postmaster: what it had said to have, it has."""
    with Load([*pair.clients(0), *pair.clients(1)]) as load:
        load.settled()
        pair.cluster.kill()
        time.sleep(1)
        pair.cluster.start()
        load.settled()
    pair.check(load, doubles=4)


def test_a_node_that_is_killed_and_one_that_sleeps(pair: Pair) -> None:
    """The other one goes on; what had been claimed of the queue by the first is sent by it, once its lease is over or it is known gone."""
    one, two = pair.nodes
    assert two.process is not None
    with Load(pair.clients(0)) as load:
        load.settled()
        with Load(pair.clients(1)) as stopping:
            stopping.settled()
            two.process.send_signal(signal.SIGSTOP)
            try:
                load.settled()
                time.sleep(4)
                load.settled()
            finally:
                two.process.send_signal(signal.SIGCONT)
            stopping.settled()
            two.kill()
            load.settled()
            two.start()
            stopping.settled()
    pair.check(load, stopping, doubles=6)
    assert one.process is not None
