"""kill -9 under load: what was acknowledged is there once, and a server that starts again goes on where the other stopped."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import ledger as books
from tests.live.ledger import Flags, Ledger, Load
from tests.live.listening import Listening
from tests.live.server import PASSWORD, Server
from tests.live.talk import Mail, Talk

ROUNDS = int(os.environ.get("PROCURA_ROUNDS", "200" if os.environ.get("PROCURA_SOAK") else "20"))
"""kill -9, so often altogether: `make soak` asks for 200."""
PART = 20
"""So many on one store: what is compared after each grows with them."""
WORKER = "worker@acme.test"
START = 10.0
"""Seconds of work that a start may take after a crash (robustness.md section 5), however busy the machine is with others."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.prov(
        "createDomain acme.test",
        *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in ("worker", "sink", "second", "held", "sender")),
        "createDistributionList team@acme.test",
        "addDistributionListMember team@acme.test sink@acme.test second@acme.test",
        "modifyAccount held@acme.test status maintenance",
        "modifyAccount sender@acme.test delegatedSent none",
    )
    made.start()
    try:
        yield made
    finally:
        made.stop()


def prepare(server: Server, ledger: Ledger) -> dict[str, int]:
    """The worker's folders. Message → UID of those whose flags will change."""
    with Talk(server.ports["imap"], WORKER) as talk:
        for folder in ("Appended", "Flagged", "Here", "There", "Source", "Copies", "Expunged"):
            talk.ok(f"CREATE {folder}")
        flagged = dict(_number(books.append(talk, ledger, WORKER, "Flagged")) for _ in range(12))
        for number in flagged:
            ledger.flags[f"{WORKER} Flagged", number] = Flags(frozenset())
        for _ in range(10):
            message, _uid = books.append(talk, ledger, WORKER, "Here")
            ledger.moves[message.number] = (frozenset((f"{WORKER} Here",)), True)
        books.append(talk, ledger, WORKER, "Source")
    return flagged


def _number(appended: tuple[books.Message, int]) -> tuple[str, int]:
    return appended[0].number, appended[1]


def clients(server: Server, ledger: Ledger, flagged: dict[str, int]) -> list[Callable[[], books.Work]]:
    inbox = ("sink@acme.test INBOX",)
    both = ("sink@acme.test INBOX", "second@acme.test INBOX")
    sender = "sender@acme.test"
    return [
        *(lambda: books.submitting(server, ledger, sender, ("sink@acme.test",), inbox) for _ in range(5)),
        lambda: books.submitting(server, ledger, sender, ("sink@acme.test", "second@acme.test"), both),
        lambda: books.submitting(server, ledger, sender, ("team@acme.test",), both),
        lambda: books.submitting(server, ledger, sender, ("held@acme.test",), ("held@acme.test INBOX",)),
        lambda: books.handing_in(server, ledger, "sink@acme.test"),
        lambda: books.handing_in(server, ledger, "second@acme.test"),
        lambda: books.appending(server, ledger, WORKER, "Appended"),
        lambda: books.flagging(server, ledger, WORKER, "Flagged", flagged),
        lambda: books.moving(server, ledger, WORKER, "Here", "There"),
        lambda: books.copying(server, ledger, WORKER, "Source", "Copies"),
        lambda: books.expunging(server, ledger, WORKER, "Expunged"),
    ]


def visible(ledger: Ledger) -> Ledger:
    """Without what is held for an account that nobody can look into now."""
    shown = Ledger(**{name: getattr(ledger, name) for name in ("flags", "moves", "expunged", "expunging", "seen", "validity", "modseq")})
    shown.messages = {key: one for key, one in ledger.messages.items() if not one.places[0].startswith("held@")}
    return shown


def wait_for_actions(load: Load, count: int) -> None:
    end = time.monotonic() + 5
    while load.actions < count and time.monotonic() < end:
        time.sleep(0.01)


def wait_for_the_queue(server: Server) -> None:
    """Until nothing waits: more may have been accepted than was acknowledged."""
    end = time.monotonic() + 30
    with server.behind() as behind:
        while (waiting := behind.execute("SELECT count(*) FROM queue").fetchone()[0]) and time.monotonic() < end:
            time.sleep(0.05)
    assert waiting == 0


def verified(server: Server) -> None:
    """`procura verify` finds nothing."""
    done = server.run("verify", check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(-(-ROUNDS // PART)))
def test_nothing_acknowledged_is_lost_or_doubled_by_killing_the_server_again_and_again(server: Server, part: int) -> None:
    rounds = min(PART, ROUNDS - part * PART)
    ledger = Ledger()
    flagged = prepare(server, ledger)
    chance = random.Random(20_240_607 + part)
    actions, starts = [], []
    for round_ in range(rounds):
        load = Load(clients(server, ledger, flagged))
        load.begin()
        time.sleep(chance.uniform(0, 0.3))
        # On PostgreSQL, or a busy machine, that may be before anything was done.
        wait_for_actions(load, chance.randrange(40))
        server.kill()
        load.end()
        assert all(map(books.is_gone, load.faults)), load.faults
        actions.append(load.actions)
        server.start()
        starts.append(server.cpu)
        books.check(server, visible(ledger))
        if ROUNDS > PART or round_ % 5 == 4:
            verified(server)
    assert max(starts) < START
    assert sum(actions) > 10 * rounds, f"that was no load: {actions}"
    server.stop()
    server.prov("modifyAccount held@acme.test status active")
    server.start()
    wait_for_the_queue(server)
    books.check(server, ledger)
    verified(server)
    print(f"{rounds} kills, {sum(actions)} actions, {ledger.acknowledged} messages acknowledged, {max(starts):.1f} s of work for a start")
    server.stop()
    log = server.log.read_text()
    assert "Traceback" not in log, log[-6000:]


def test_the_ledger_can_tell_what_is_lost_and_what_is_doubled(server: Server) -> None:
    ledger = Ledger()
    inbox = "sink@acme.test INBOX"
    message = ledger.begin(inbox)
    octets = books.octets(message, "x@elsewhere.test")
    books.check(server, ledger)
    message.acknowledged = True
    with pytest.raises(AssertionError, match="was acknowledged and is 0 times"):
        books.check(server, ledger)
    server.deliver("sink@acme.test", octets)
    assert books.check(server, ledger) == 1
    server.deliver("sink@acme.test", octets)
    with pytest.raises(AssertionError, match=r"is 2 times in .*, 1 attempts"):
        books.check(server, ledger)
    ledger.begin(inbox).number = message.number
    assert books.check(server, ledger) == 2
    ledger.expunged[inbox] = {2}
    with pytest.raises(AssertionError, match="is there again"):
        books.check(server, ledger)
    ledger.expunged[inbox] = set()
    ledger.flags[inbox, message.number] = Flags(frozenset({"\\Seen"}))
    with pytest.raises(AssertionError, match="has \\[\\], not"):
        books.check(server, ledger)
    ledger.flags.clear()
    ledger.moves[message.number] = (frozenset((inbox,)), True)
    with pytest.raises(AssertionError, match="which was moved, is in"):
        books.check(server, ledger)
    ledger.seen[inbox][2] = "m99"
    with pytest.raises(AssertionError, match="UID 2 of"):
        books.check(server, ledger)


class Sink(Listening):
    """A next hop that notes what it is given, tells when it has said 250 to the message, and can be slow to say it."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.accepted = threading.Event()
        self.delay = 0.0
        super().__init__()

    def serve(self, peer: socket.socket) -> None:
        lines = peer.makefile("rb")
        peer.sendall(b"220 sink.test\r\n")
        while line := lines.readline():
            verb = line[:4].upper()
            if verb == b"EHLO":
                peer.sendall(b"250-sink.test\r\n250 8BITMIME\r\n")
            elif verb == b"DATA":
                peer.sendall(b"354 go\r\n")
                message = b""
                while (part := lines.readline()) not in (b".\r\n", b""):
                    message += part
                if not part:
                    return
                self.got.append(message)
                time.sleep(self.delay)
                self.accepted.set()
                peer.sendall(b"250 2.0.0 taken\r\n")
            elif verb == b"QUIT":
                peer.sendall(b"221 bye\r\n")
                return
            else:
                peer.sendall(b"250 ok\r\n")


def settle(sink: Sink, sent: int) -> None:
    """Until everything has come, and nothing more comes for longer than the wait before a retry."""
    end = time.monotonic() + 40
    quiet, since = len(sink.got), time.monotonic()
    while len({_message_id(one) for one in list(sink.got)}) < sent or time.monotonic() - since < 2:
        assert time.monotonic() < end, f"{len(sink.got)} came, and it does not end"
        time.sleep(0.05)
        if len(sink.got) != quiet:
            quiet, since = len(sink.got), time.monotonic()


@pytest.mark.timeout(300)
def test_a_crash_between_the_next_hops_250_and_the_end_of_the_row_doubles_at_most_once(tmp_path: Path) -> None:
    sink = Sink()
    server = Server(tmp_path, {"relay": f"smtp://127.0.0.1:{sink.port}", "queue.retries": ["1s"]})
    server.people("sender")
    chance = random.Random(7)
    kills = 0
    sent = 0
    server.start()
    try:
        for round_ in range(6):
            sink.accepted.clear()
            # In some rounds the server dies before the 250 comes, in others just after it was sent.
            sink.delay = 0.0 if round_ % 2 else 0.2
            with Mail(server.ports["submission"]) as client:
                assert client.login("sender@acme.test").startswith("235")
                for _ in range(3):
                    message = b"From: <sender@acme.test>\r\nMessage-ID: <relayed-%d@ledger.test>\r\n\r\nx\r\n" % sent
                    assert client.send("sender@acme.test", ["far@elsewhere.test"], message)[0].startswith("250")
                    sent += 1
            assert sink.accepted.wait(20)
            time.sleep(chance.uniform(0, 0.01))
            server.kill()
            kills += 1
            server.start()
        settle(sink, sent)
    finally:
        server.stop()
        sink.close()
    counted = Counter(map(_message_id, sink.got))
    assert set(counted) == {b"relayed-%d" % number for number in range(sent)}
    assert max(counted.values()) <= 1 + kills
    assert sum(counted.values()) - sent <= kills * 3, "each kill may double what was on its way, three messages at most"


def test_without_a_crash_nothing_is_handed_on_twice(tmp_path: Path) -> None:
    sink = Sink()
    server = Server(tmp_path, {"relay": f"smtp://127.0.0.1:{sink.port}", "queue.retries": ["1s"]})
    server.people("sender")
    try:
        with server, Mail(server.ports["submission"]) as client:
            client.login("sender@acme.test")
            for number in range(10):
                message = b"From: <sender@acme.test>\r\nMessage-ID: <relayed-%d@ledger.test>\r\n\r\nx\r\n" % number
                assert client.send("sender@acme.test", ["far@elsewhere.test"], message)[0].startswith("250")
            end = time.monotonic() + 20
            while len(sink.got) < 10 and time.monotonic() < end:
                time.sleep(0.05)
    finally:
        sink.close()
    assert Counter(map(_message_id, sink.got)) == Counter({b"relayed-%d" % number: 1 for number in range(10)})


def _message_id(message: bytes) -> bytes:
    return message.partition(b"Message-ID: <")[2].partition(b"@")[0]
