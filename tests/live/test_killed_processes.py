"""Processes that are killed under load: nothing acknowledged is lost, nothing is done twice, nothing is left behind."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import ledger as books
from tests.live.ledger import Ledger, Load
from tests.live.server import PASSWORD, Server, compose
from tests.live.several import WORKERS, killed, processes, until, whole
from tests.live.talk import Talk
from tests.live.verified import verified

WORKER = "worker@acme.test"
PEOPLE = ("worker", "sink", "sender")


def works(server: Server, ledger: Ledger) -> list[Callable[[], books.Work]]:
    inbox = ("sink@acme.test INBOX",)
    return [
        *(lambda: books.submitting(server, ledger, "sender@acme.test", ("sink@acme.test",), inbox) for _ in range(3)),
        lambda: books.handing_in(server, ledger, "sink@acme.test"),
        *(lambda: books.appending(server, ledger, WORKER, "Appended") for _ in range(2)),
        lambda: books.moving(server, ledger, WORKER, "Here", "There"),
        lambda: books.copying(server, ledger, WORKER, "Source", "Copies"),
        lambda: books.expunging(server, ledger, WORKER, "Expunged"),
    ]


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("killed"), {"workers": WORKERS}) as made:
        yield made
    assert "Traceback" not in made.log.read_text(), made.log.read_text()[-6000:]


@pytest.fixture
def house(started: Server) -> Server:
    """People nobody has written to yet, on a server that runs."""
    assert started.process is not None
    if started.process.poll() is not None:
        started.start()
    furnished(started)
    return started


def furnished(server: Server) -> None:
    """Anew, if it was before."""
    used = server.data / "used"
    server.prov(
        *(f"deleteAccount {name}@acme.test" for name in PEOPLE if used.exists()),
        *(["createDomain acme.test"] if not used.exists() else []),
        *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in PEOPLE),
        "modifyAccount sender@acme.test delegatedSent none",
    )
    used.touch(mode=0o600)


def prepared(server: Server) -> Ledger:
    ledger = Ledger()
    with Talk(server.ports["imap"], WORKER) as talk:
        for folder in ("Appended", "Here", "There", "Source", "Copies", "Expunged"):
            talk.ok(f"CREATE {folder}")
        for _ in range(6):
            message, _ = books.append(talk, ledger, WORKER, "Here")
            ledger.moves[message.number] = (frozenset((f"{WORKER} Here",)), True)
        books.append(talk, ledger, WORKER, "Source")
    return ledger


def killing_writers(house: Server, rounds: int) -> None:
    """Clients notice nothing but a wait: whatever they began comes to its end, once."""
    ledger = prepared(house)
    chance = random.Random(20_261_122)
    load = Load(works(house, ledger))
    load.begin()
    for _ in range(rounds):
        time.sleep(chance.uniform(0.05, 0.4))
        whole(house, killed(house, "keeper"))
    time.sleep(0.2)
    load.end()
    assert not load.faults, load.faults
    assert all(one.acknowledged for one in ledger.messages.values())
    books.check(house, ledger)
    assert load.actions > 5 * rounds, f"that was no load: {load.actions}"
    verified(house)


def test_a_killed_writer_loses_nothing_and_does_nothing_twice(house: Server) -> None:
    killing_writers(house, 6)


@pytest.mark.slow
@pytest.mark.parametrize("_", range(4))
def test_a_writer_killed_again_and_again_loses_nothing_and_does_nothing_twice(tmp_path: Path, _: int) -> None:
    # By a supervisor that has not seen the others end: who ends too often is waited with.
    with Server(tmp_path, {"workers": WORKERS}) as house:
        furnished(house)
        killing_writers(house, 6)
    assert "Traceback" not in house.log.read_text(), house.log.read_text()[-6000:]


def test_killed_workers_lose_nothing_that_was_acknowledged(house: Server) -> None:
    ledger = prepared(house)
    chance = random.Random(7)
    for _ in range(5):
        load = Load(works(house, ledger))
        load.begin()
        time.sleep(chance.uniform(0.05, 0.3))
        gone = killed(house, "worker")
        time.sleep(0.1)
        load.end()
        assert all(map(books.is_gone, load.faults)), load.faults
        whole(house, gone)
        books.check(house, ledger)
    verified(house)


def test_without_its_supervisor_nothing_is_left_and_nothing_holds_the_lock(house: Server) -> None:
    ledger = prepared(house)
    load = Load(works(house, ledger))
    load.begin()
    time.sleep(0.3)
    children = processes(house)
    assert len(children) == 1 + WORKERS
    house.kill()
    load.end()
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children), "all have ended")
    assert all(map(books.is_gone, load.faults)), load.faults
    house.start()
    books.check(house, ledger)
    verified(house)


def test_sigterm_under_load_finishes_what_was_begun(house: Server) -> None:
    ledger = prepared(house)
    load = Load(works(house, ledger))
    load.begin()
    time.sleep(0.4)
    children = processes(house)
    assert house.stop() == 0
    load.end()
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
    house.start()
    books.check(house, ledger)
    verified(house)


def test_a_large_message_is_durable_before_its_250(house: Server) -> None:
    """Its octets do not go through the writer: the worker writes them."""
    text = "\r\n".join(f"{number:070}" for number in range(12_000))
    house.deliver("sink@acme.test", compose("a@elsewhere.test", "sink@acme.test", "large", text))
    house.kill()
    house.start()
    (message,) = house.wait_for("sink@acme.test")
    assert message.endswith(text.encode() + b"\r\n")
