"""Two nodes on three PostgreSQL servers, load from both sides, and one fault after the other: nothing acknowledged is lost.

Takes some minutes: `make ha`. What the numbers were is in store/HA.md.
"""

from __future__ import annotations

import os
import signal
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.ha.clients import Client, Load, appending, doubled, expunging, handing_in, reading, relaying, started, submitting
from tests.ha.patroni import Patroni, missing
from tests.live import ledger as books
from tests.live.ledger import Ledger, Message
from tests.live.next_hop import NextHop
from tests.live.server import Server, compose
from tests.live.talk import Talk

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.environ.get("PROCURA_HA") != "1", reason="takes some minutes: make ha"),
]

SENDER, WORKER, SINK = "sender@acme.test", "worker@acme.test", "sink@acme.test"
STALENESS = 5.0


@dataclass
class Scene:
    """All of it; the ledger goes on from fault to fault."""

    cluster: Patroni
    hop: NextHop
    nodes: tuple[Server, Server]
    ledger: Ledger = field(default_factory=Ledger)
    refused: set[str] = field(default_factory=set)
    sent: list[Message] = field(default_factory=list)

    def clients(self) -> list[Client]:
        made = []
        for name, node in zip(("one", "two"), self.nodes, strict=True):
            kinds: dict[str, Callable[[], Callable[[], None]]] = {
                "submits": submitting(node, self.ledger, self.refused, SENDER, SINK),
                "hands in": handing_in(node, self.ledger, self.refused, SINK),
                "appends": appending(node, self.ledger, self.refused, WORKER, "Appended"),
                "expunges": expunging(node, self.ledger, WORKER, f"Expunged{name}"),
                "relays": relaying(node, self.ledger, self.refused, SENDER, self.sent),
                "reads": reading(node, self.ledger, WORKER, "Appended"),
            }
            made += [Client(f"{name} {kind}", make) for kind, make in kinds.items()]
        return made

    def settle(self, what: str, load: Load, since: float, until: float, *, doubles: int = 0) -> None:
        """Compares everything with the ledger, from both nodes, and says what there was."""
        load.check()
        for node in self.nodes:
            books.check(node, self.ledger)
        there = {number for uids in self.ledger.seen.values() for number in uids.values()}
        extra = doubled(self.hop, self.sent)
        print(
            f"\n{what}: {sum(len(one.done) for one in load.clients)} actions, {self.ledger.acknowledged} messages acknowledged so far; "
            f"longest without an answer: {load.told(since, until)}; put off: {[dict(one.put_off) for one in load.clients]}; "
            f"{extra} doubled at the next hop; refused and there: {len(self.refused & there)}"
        )
        assert extra <= doubles
        assert not self.refused & there, "what was refused is there"
        for node in self.nodes:
            log = node.log.read_text()
            assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:4000]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    why = missing()
    if why is not None:
        pytest.skip(why)
    directory = tmp_path_factory.mktemp("ha")
    with Patroni() as cluster:
        hop = NextHop()
        settings = {
            "store": cluster.dsn(),
            "policy_max_staleness": f"{STALENESS:g}s",
            "relay": f"smtp://127.0.0.1:{hop.port}",
            "queue.retries": ["1s", "1s", "2s"],
        }
        nodes = Server(directory / "one", settings), Server(directory / "two", settings)
        try:
            started(nodes)
            nodes[0].people("sender", "worker", "sink", "clara")
            nodes[0].prov("modifyAccount sender@acme.test delegatedSent none")
            made = Scene(cluster, hop, nodes)
            with Talk(nodes[1].ports["imap"], WORKER) as talk:
                for folder in ("Appended", "Expungedone", "Expungedtwo"):
                    talk.ok(f"CREATE {folder}")
            yield made
        finally:
            for node in nodes:
                if node.process is not None:
                    node.process.send_signal(signal.SIGCONT)
                    node.stop()
            hop.close()


def test_the_leader_is_killed(scene: Scene) -> None:
    """kill -9 of its PostgreSQL and its Patroni: the others wait for the end of its lease, then the synchronous standby leads."""
    with Load(scene.clients()) as load:
        load.settled()
        before = scene.cluster.leader()
        standby = scene.cluster.standby()
        since = time.monotonic()
        before.kill()
        until = load.settled(150)
        after = scene.cluster.leader()
        time.sleep(3)
    assert after.name == standby.name, "somebody leads who may not have everything"
    scene.settle("leader killed", load, since, until, doubles=6)
    scene.cluster.heal()


def test_the_synchronous_standby_stops(scene: Scene) -> None:
    """SIGSTOP: commits wait until another standby takes its place. Nothing is acknowledged that only one server has."""
    with Load(scene.clients()) as load:
        load.settled()
        standby = scene.cluster.standby()
        since = time.monotonic()
        standby.freeze()
        until = load.settled(90)
        # The one that took its place is in the way of nothing: the leader may go too.
        time.sleep(2)
        standby.thaw()
    scene.settle("standby stopped", load, since, until)
    scene.cluster.heal()


def test_etcd_stops(scene: Scene) -> None:
    """For longer than a leader's lease: it goes on, since all members answer it (failsafe_mode)."""
    with Load(scene.clients()) as load:
        load.settled()
        since = time.monotonic()
        with scene.cluster.etcd_paused():
            time.sleep(30)
            until = load.settled(60)
        load.settled()
    scene.settle("etcd paused for 30 s", load, since, until)
    scene.cluster.heal()


def test_connections_are_cut_under_load(scene: Scene) -> None:
    """The backends of all nodes, again and again, wherever they are: also in a COMMIT, whose outcome is then unknown."""
    with Load(scene.clients()) as load:
        load.settled()
        since = time.monotonic()
        cut = 0
        while time.monotonic() < since + 12:
            cut += int(
                scene.cluster.sql(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                    "WHERE usename = 'procura' AND (query LIKE '%COMMIT' AND state = 'active' OR wait_event = 'SyncRep' OR random() < 0.1)"
                )
            )
            time.sleep(0.05)
        until = load.settled(60)
    print(f"\n{cut} connections cut")
    assert cut > 50
    scene.settle("connections cut", load, since, until, doubles=2 * cut)


def test_a_node_stops_for_a_minute(scene: Scene) -> None:
    """The other goes on; what the first had claimed of the queue it takes over; when the first wakes, it does nothing on what it knew."""
    one, two = scene.nodes
    assert one.process is not None
    two.prov("grantRight account worker@acme.test usr clara@acme.test sendAs")
    letter = compose(WORKER, "clara@acme.test", "as worker")
    running, stopping = ([client for client in scene.clients() if client.name.startswith(name)] for name in ("two", "one"))
    with Load(running) as load, Load(stopping) as stopped:
        stopped.settled()
        load.settled()
        clara = one.smtp("clara@acme.test")
        clara.sendmail(WORKER, ["clara@acme.test"], letter)
        one.process.send_signal(signal.SIGSTOP)
        since = time.monotonic()
        try:
            time.sleep(2)
            began = time.monotonic()
            two.prov("revokeRight account worker@acme.test usr clara@acme.test sendAs")
            revoked = time.monotonic() - began
            time.sleep(max(0.0, since + 60 - time.monotonic()))
            until = load.settled()
        finally:
            one.process.send_signal(signal.SIGCONT)
        with pytest.raises(smtplib.SMTPException) as refused:
            clara.sendmail(WORKER, ["clara@acme.test"], letter)
        print(f"\nrevoked in {revoked:.1f} s; the node that slept says {refused.value!r}")
        stopped.settled()
    assert revoked < STALENESS + 10
    scene.settle("node stopped for 60 s", load, since, until, doubles=6)
    stopped.check()
    assert max(client.gap(since, until) for client in load.clients) < 30
