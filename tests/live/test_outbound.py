"""Mail for other places through a whole server: by MX records, by `procura queue`, and across kill -9 and SIGTERM."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.names import Names
from tests.live.next_hop import DROP, NextHop, next_hop
from tests.live.server import Server, compose
from tests.live.verified import verified

ANNA = "anna@acme.test"
PIPELINING = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000")


def submit(server: Server, *recipients: str, count: int = 1, subject: str = "hello") -> None:
    client = server.smtp(ANNA)
    for number in range(count):
        octets = compose(ANNA, recipients[0], subject, Message_ID=f"<{subject}-{number}@acme.test>")
        client.sendmail(ANNA, recipients, octets)
    client.quit()


def listed(server: Server) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(server.run("queue", "list", "--json").stdout)
    return rows


def until(server: Server, wanted: int, seconds: float = 15.0) -> list[dict[str, Any]]:
    """The queue, once so many wait in it."""
    end = time.monotonic() + seconds
    while len(rows := listed(server)) != wanted:
        assert time.monotonic() < end, rows
        time.sleep(0.05)
    return rows


# --- by MX records


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Server, NextHop, NextHop, Names]]:
    with next_hop(host="127.0.0.2", extensions=PIPELINING) as one, next_hop(host="127.0.0.3", port=one.port) as other:
        zone = {
            "two.test": {"MX": ["10 down.two.test.", "20 up.two.test."]},
            "down.two.test": {"A": ["127.0.0.4"]},
            "up.two.test": {"A": ["127.0.0.2"]},
            "other.test": {"A": ["127.0.0.3"]},
            "null.test": {"MX": ["0 ."]},
            "later.test": {"MX": ["10 later.test."]},
        }
        names = Names(zone, broken=["broken.test"])
        settings = {
            "relay": "mx",
            "mx.resolvers": [f"127.0.0.1:{names.port}"],
            "mx.port": one.port,
            "mx.refused_networks": [],
            "queue.retries": ["0.3s"],
        }
        server = Server(tmp_path, settings)
        server.people("anna")
        try:
            with server:
                yield server, one, other, names
        finally:
            names.close()


def test_each_domain_is_handed_its_own(house: tuple[Server, NextHop, NextHop, Names]) -> None:
    server, one, other, _ = house
    submit(server, "x@two.test", "y@two.test", "z@other.test", "n@null.test", "g@nowhere.test", "b@broken.test")
    (first,) = one.wait()
    (second,) = other.wait()
    assert sorted(first.recipients) == ["x@two.test", "y@two.test"]
    assert second.recipients == ["z@other.test"]
    reports = b"".join(server.wait_for(ANNA, count=2))
    for status, recipient in (("5.1.10", "n@null.test"), ("5.1.2", "g@nowhere.test")):
        assert f"Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: {status}".encode() in reports
    (row,) = until(server, 1)
    assert (row["destination"], row["lastReply"][:5]) == ("broken.test", "4.4.3")


def test_a_domain_that_comes_back_gets_what_waited(house: tuple[Server, NextHop, NextHop, Names]) -> None:
    server, one, _, names = house
    names.broken.add("two.test")
    submit(server, "x@two.test", count=5)
    submit(server, "z@other.test")
    until(server, 5)
    names.broken.clear()
    assert len(one.wait(5)) == 5
    until(server, 0)
    assert sum(command.startswith("EHLO") for _, command in one.seen) < 5, "connections are used again"


# --- by hand


def test_by_hand_with_a_server_and_without(tmp_path: Path) -> None:
    with next_hop() as hop:
        hop.answers = {"MAIL": ["451 4.3.0 later"] * 99}
        server = Server(tmp_path, {"relay": f"smtp://127.0.0.1:{hop.port}", "queue.retries": ["1h"]})
        server.people("anna", "resting")
        server.prov("modifyAccount resting@acme.test status maintenance")
        with server:
            submit(server, "x@far.test", "resting@acme.test")
            submit(server, "y@far.test")
            submit(server, "z@far.test")
            hop.wait_for("MAIL", 3)
            by_recipient = {row["recipient"]: row for row in until(server, 4)}
            told = server.run("queue").stdout
            assert "held: maintenance" in next(line for line in told.splitlines() if "resting@acme.test" in line)
            assert by_recipient["resting@acme.test"]["heldBy"] == "maintenance"
            number = {name: str(row["id"]) for name, row in by_recipient.items()}
            assert server.run("queue", "hold", number["y@far.test"], number["x@far.test"]).stdout == "2 held\n"
            shown = server.run("queue", "show", number["y@far.test"]).stdout
            assert "state: held: operator" in shown
            assert "last reply: 451 4.3.0 later" in shown
            hop.answers.clear()
            assert server.run("queue", "retry").stdout == "2 to be tried now\n"
            assert hop.wait()[0].recipients == ["z@far.test"]
            until(server, 3)
            assert server.run("queue", "release", number["x@far.test"]).stdout == "1 released\n"
            hop.wait(2)
            until(server, 2)
        # without a server the same commands do it themselves
        assert {row["heldBy"] for row in listed(server)} == {"operator", "maintenance"}
        assert server.run("queue", "drop", number["y@far.test"]).stdout == "1 dropped\n"
        assert server.run("queue", "release", number["resting@acme.test"]).stdout == "0 released\n"
        assert server.run("queue", "hold", number["resting@acme.test"]).stdout == "1 held\n"
        assert server.run("queue", "show", "99999", check=False).stderr.startswith("ERROR: service.INVALID_REQUEST")
        assert server.run("queue", "hold", check=False).returncode == 2
        server.prov("modifyAccount resting@acme.test status active")
        with server:
            time.sleep(0.3)
            assert server.messages("resting@acme.test") == []
            assert server.run("queue", "release", number["resting@acme.test"]).stdout == "1 released\n"
            server.wait_for("resting@acme.test")
            until(server, 0)
        assert sorted(one.recipients[0] for one in hop.taken) == ["x@far.test", "z@far.test"]
        record = server.run("audit", "list", "--limit", "20").stdout
        assert all(f"queue {what}" in record for what in ("held", "released", "dropped", "retried"))


# --- across the end of the process


@pytest.fixture
def relayed(tmp_path: Path) -> Iterator[tuple[Server, NextHop]]:
    with next_hop(extensions=PIPELINING) as hop:
        settings = {"relay": f"smtp://127.0.0.1:{hop.port}", "queue.retries": ["0.3s"], "queue.destination_concurrency": 3}
        server = Server(tmp_path, settings)
        server.people("anna")
        server.start()
        try:
            yield server, hop
        finally:
            hop.gate.set()
            server.stop()


def ids(hop: NextHop) -> Counter[bytes]:
    return Counter(one.octets.partition(b"Message-ID: <")[2].partition(b"@")[0] for one in hop.taken)


def all_of_them(server: Server, hop: NextHop, count: int) -> Counter[bytes]:
    end = time.monotonic() + 30
    while len(ids(hop)) < count or listed(server):
        assert time.monotonic() < end, (len(ids(hop)), listed(server))
        time.sleep(0.1)
    return ids(hop)


def test_killed_in_the_middle_nothing_is_lost_and_only_what_was_in_the_window_comes_twice(relayed: tuple[Server, NextHop]) -> None:
    """The window: from the end of the message until its 250 is written down. Three dialogues at a time, so three at most."""
    server, hop = relayed
    kills = 3
    hop.gate.clear()
    submit(server, "x@far.test", count=30)
    seen = 0
    for _ in range(kills):
        hop.wait_for("DATA", seen + 3)
        time.sleep(0.1)
        server.kill()
        seen = sum(command == "DATA" for _, command in hop.seen)
        hop.gate.set()  # what it had received whole counts as taken, although nobody hears of it
        time.sleep(0.1)
        hop.gate.clear()
        server.start()
    hop.gate.set()
    counted = all_of_them(server, hop, 30)
    assert sum(counted.values()) - 30 <= kills * 3
    assert sum(counted.values()) > 30, "the window was hit, or this test shows nothing"
    verified(server)


def test_killed_before_the_end_of_a_message_nothing_comes_twice(relayed: tuple[Server, NextHop]) -> None:
    server, hop = relayed
    hop.answers = {"DATA": [DROP, "451 4.3.0 later"] * 999}
    submit(server, "x@far.test", "y@far.test", count=15)
    hop.wait_for("DATA", 8)
    server.kill()
    hop.answers.clear()
    server.start()
    all_of_them(server, hop, 15)
    # Those of one message may come one by one: a moment may lie between the times at which they are tried again.
    assert Counter(to for one in hop.taken for to in one.recipients) == {"x@far.test": 15, "y@far.test": 15}
    verified(server)


def test_told_to_stop_it_finishes_what_is_on_its_way(relayed: tuple[Server, NextHop]) -> None:
    server, hop = relayed
    hop.gate.clear()
    submit(server, "x@far.test", count=10)
    hop.wait_for("DATA", 3)
    threading.Timer(1.0, hop.gate.set).start()
    assert server.stop() == 0
    assert len(hop.taken) == 3
    server.start()
    assert all_of_them(server, hop, 10) == Counter({b"hello-%d" % number: 1 for number in range(10)})
    verified(server)
