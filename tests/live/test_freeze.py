"""The kill switch: within a second, in sessions that are open and for what waits, through the real server and a real next hop."""

from __future__ import annotations

import smtplib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.next_hop import NextHop, next_hop
from tests.live.post import submit
from tests.live.server import Server, compose

OWNER, DORA = "olga@acme.test", "dora@acme.test"


@pytest.fixture
def sink() -> Iterator[NextHop]:
    with next_hop() as sink:
        yield sink


@pytest.fixture
def server(tmp_path: Path, sink: NextHop) -> Iterator[Server]:
    settings = {
        "relay": f"smtp://127.0.0.1:{sink.port}",
        "queue.destination_concurrency": 1,
        "queue.concurrency": 1,
        "queue.retries": ["1s"],
    }
    with Server(tmp_path, settings) as server:
        server.people("olga", "dora", "bob")
        server.prov(f"grantRight account {OWNER} usr {DORA} sendAs")
        yield server


def send(server: Server, subject: str, from_: str = OWNER, user: str = DORA) -> None:
    with server.smtp(user) as client:
        said = submit(client, user, "x@far.test", compose(from_, "x@far.test", subject))
        assert said.accepted, said


def sent(sink: NextHop) -> list[str]:
    return [line.decode().split(": ", 1)[1] for one in sink.taken for line in one.octets.split(b"\r\n") if line.startswith(b"Subject: ")]


@pytest.mark.parametrize(
    ("side", "who", "words"), [("principal", OWNER, "in the name of olga@acme.test"), ("actor", DORA, "for dora@acme.test")]
)
def test_a_message_under_way_in_an_open_session_is_refused(server: Server, side: str, who: str, words: str) -> None:
    octets = compose(OWNER, "bob@acme.test", "half", text="line\r\n" * 100)
    with server.smtp(DORA) as client:
        assert client.mail(DORA)[0] == 250
        assert client.rcpt("bob@acme.test")[0] == 250
        assert client.docmd("DATA")[0] == 354
        client.send(octets[:300])
        server.run(side, "freeze", who, "--note", "lost laptop")
        client.send(octets[300:] + b".\r\n")
        code, text = client.getreply()
        assert (code, text.split(b" ")[0]) == (550, b"5.7.1")
        assert words.encode() in text
        assert b"laptop" not in text
        # the session goes on, and so does what is the delegate's own
        assert submit(client, DORA, "bob@acme.test", compose(DORA, "bob@acme.test", "own")).accepted
    with server.smtp(OWNER) as client:
        assert submit(client, OWNER, "bob@acme.test", compose(OWNER, "bob@acme.test", "hers")).accepted
    assert len(server.wait_for("bob@acme.test", count=2)) == 2
    assert server.run("can", DORA, "send-as", OWNER, check=False).returncode == 1
    assert "lost laptop" in server.run(side, "list").stdout
    server.run(side, "unfreeze", who)
    send(server, "again")


def test_it_holds_within_a_second_for_whoever_keeps_sending(server: Server) -> None:
    accepted: list[float] = []
    refused: list[float] = []
    stop = threading.Event()

    def keep_sending() -> None:
        with server.smtp(DORA) as client:
            while not stop.is_set():
                said = submit(client, DORA, "bob@acme.test", compose(OWNER, "bob@acme.test"))
                (accepted if said.accepted else refused).append(time.monotonic())

    threads = [threading.Thread(target=keep_sending) for _ in range(4)]
    for one in threads:
        one.start()
    time.sleep(0.5)
    server.run("principal", "freeze", OWNER)
    frozen = time.monotonic()
    end = frozen + 20
    while not refused and time.monotonic() < end:
        time.sleep(0.05)
    time.sleep(0.5)
    stop.set()
    for one in threads:
        one.join()
    assert refused
    assert accepted
    # The command has come back after the commit: what is judged in a transaction behind it is refused, without any second of grace.
    late = [at - frozen for at in accepted if at > frozen + 1]
    assert late == []


def test_what_waits_for_a_slow_next_hop_is_held_and_goes_on(server: Server, sink: NextHop) -> None:
    sink.gate.clear()
    for number in range(4):
        send(server, f"wait-{number}")
    send(server, "hers", OWNER, OWNER)
    end = time.monotonic() + 20
    while not any(command == "DATA" for _, command in sink.seen):
        assert time.monotonic() < end
        time.sleep(0.02)
    told = server.run("principal", "freeze", OWNER).stdout
    assert "of what waits, 4 held" in told  # the one that is being handed on among them
    sink.gate.set()
    end = time.monotonic() + 20
    while "hers" not in sent(sink):
        assert time.monotonic() < end, sent(sink)
        time.sleep(0.05)
    time.sleep(1.5)
    assert sorted(sent(sink)) == ["hers", "wait-0"], "the dialogue that was open went to its end"
    listed = server.run("queue").stdout
    assert listed.count("held: frozen") == 3
    assert listed.count(f"frozen: principal {OWNER}") == 3
    server.run("queue", "retry")
    server.kill()
    server.start()
    time.sleep(1.5)
    assert len(sink.taken) == 2
    assert "of what was held, 3 go on" in server.run("principal", "unfreeze", OWNER).stdout
    sink.wait(5)
    assert sorted(sent(sink)) == ["hers", "wait-0", "wait-1", "wait-2", "wait-3"]


def test_what_waits_in_its_recall_window_is_held(server: Server, sink: NextHop) -> None:
    server.prov(f"modifyAccount {OWNER} undoWindow 8s")
    send(server, "window")
    accepted = time.monotonic()
    server.run("principal", "freeze", OWNER)
    time.sleep(max(0.0, accepted + 9 - time.monotonic()))  # the window is over; freezing has to come first, on a slow machine too
    assert sent(sink) == []
    assert "held: frozen" in server.run("queue").stdout
    server.run("principal", "unfreeze", OWNER)
    assert sink.wait(1)
    assert sent(sink) == ["window"]


def test_a_client_is_told_at_once_and_for_good(server: Server) -> None:
    server.run("principal", "freeze", OWNER)
    with server.smtp(DORA) as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail(DORA, ["bob@acme.test"], compose(OWNER, "bob@acme.test"))
    assert refused.value.smtp_code == 550
