"""kill -9 at named places in the code (robustness.md section 5, F4): what was acknowledged is there once, what was not is there at most
once, and whoever starts again finds a whole store."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from tests.live import ledger as books
from tests.live.cluster import Cluster
from tests.live.fatal import asked
from tests.live.installation import ANNA, filled, letter
from tests.live.installation import run as told
from tests.live.ledger import Ledger, Message
from tests.live.picture import picture
from tests.live.server import STORE, Server
from tests.live.several import WORKERS, processes
from tests.live.talk import Talk
from tests.live.test_crash import Sink
from tests.live.verified import SOAK, verified

T = TypeVar("T")
USER = "user@acme.test"
ENGINE = "store.postgres:PostgresEngine" if os.environ.get(STORE) == "postgresql" else "store.sqlite:SqliteEngine"


class Mortal(Server):
    """A server that can be asked for a last act."""

    @property
    def armed(self) -> Path:
        return self.directory / "last-act"

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.live.fatal", str(self.armed)]

    def arm(self, point: str, when: str, count: int = 1) -> None:
        draft = self.armed.with_suffix(".draft")
        draft.write_text(asked(point, when, count))
        draft.rename(self.armed)

    def until_it_acted(self) -> None:
        end = time.monotonic() + 30
        while self.armed.exists():
            assert time.monotonic() < end, f"it never came to {self.armed.read_text()}"
            time.sleep(0.02)

    def until_gone(self) -> None:
        assert self.process is not None
        self.until_it_acted()
        self.process.wait(30)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, sink: Sink) -> Iterator[Mortal]:
    made = Mortal(tmp_path_factory.mktemp("mortal"), {"relay": f"smtp://127.0.0.1:{sink.port}", "queue.retries": ["1s"]})
    made.people("user", "sender")
    with made:
        with Talk(made.ports["imap"], USER) as talk:
            for folder in ("Appended", "Here", "There", "Expunged"):
                talk.ok(f"CREATE {folder}")
        yield made
        verified(made)
    assert "Traceback" not in made.log.read_text(), made.log.read_text()[-6000:]


# --- what a client does when the end comes; each begins what it can be asked about afterwards


def octets(message: Message, size: int) -> bytes:
    return books.octets(message, "stranger@elsewhere.test") + b"x" * size + b"\r\n"


def handing_in(server: Server, ledger: Ledger, size: int) -> None:
    message = ledger.begin(f"{USER} INBOX")
    with server.lmtp() as client:
        client.sendmail("stranger@elsewhere.test", [USER], octets(message, size))
        message.acknowledged = True


def appending(server: Server, ledger: Ledger, size: int) -> None:
    message = ledger.begin(f"{USER} Appended")
    with Talk(server.ports["imap"], USER) as talk:
        answer = talk.ok("APPEND Appended", octets(message, size))
        message.acknowledged = True
        uid = re.search(r"APPENDUID \d+ (\d+)", answer.tagged)
        assert uid is not None
        ledger.named(f"{USER} Appended", int(uid[1]), message.number)


def moving(server: Server, ledger: Ledger, _: int) -> None:
    with Talk(server.ports["imap"], USER) as talk:
        found = books.contents(talk, "Here")
        talk.ok("SELECT Here")
        (uid, number), *_others = found.items()
        ledger.moves[number] = (frozenset((f"{USER} Here", f"{USER} There")), True)
        talk.ok(f"UID MOVE {uid} There")
        ledger.moves[number] = (frozenset((f"{USER} There",)), True)


def expunging(server: Server, ledger: Ledger, _: int) -> None:
    place = f"{USER} Expunged"
    with Talk(server.ports["imap"], USER) as talk:
        (uid, _number), *_others = books.contents(talk, "Expunged").items()
        talk.ok("SELECT Expunged")
        ledger.expunging.setdefault(place, set()).add(uid)
        talk.ok(f"UID EXPUNGE {uid}")
        ledger.expunged.setdefault(place, set()).add(uid)


Act = Callable[[Server, Ledger, int], None]
COMMIT, SPOOL, ACCEPT = f"{ENGINE}.commit", "store.blobs:Files.spool", "gateway.delivery:Delivery.accept"

DEEDS: list[tuple[str, str, Act, int]] = [
    (SPOOL, "after", handing_in, 300_000),
    (COMMIT, "before", handing_in, 10),
    (COMMIT, "before", handing_in, 300_000),
    (COMMIT, "after", handing_in, 300_000),
    (ACCEPT, "after", handing_in, 10),
    (SPOOL, "after", appending, 300_000),
    (COMMIT, "before", appending, 10),
    (COMMIT, "after", appending, 10),
    (COMMIT, "before", moving, 0),
    (COMMIT, "after", moving, 0),
    (COMMIT, "before", expunging, 0),
    (COMMIT, "after", expunging, 0),
    ("store.writer:Writer._settle", "before", moving, 0),
]


def chosen(cases: Sequence[T], some: int) -> Sequence[T]:
    """Each of them takes a start of the server or two: all of them in the long version."""
    return cases if SOAK else cases[::some]


def looked_at(server: Server) -> None:
    """Every time in the long version; otherwise when all of it is done."""
    if SOAK:
        verified(server)


def spelled(deed: tuple[str, str, Act, int]) -> str:
    return f"{deed[2].__name__} {deed[3]}, {deed[1]} {deed[0].partition(':')[2]}"


@pytest.fixture(scope="module")
def ledger(house: Mortal) -> Ledger:
    """Of all that is done to the house."""
    made = Ledger()
    with Talk(house.ports["imap"], USER) as talk:
        for _ in range(6):
            message, _uid = books.append(talk, made, USER, "Here")
            made.moves[message.number] = (frozenset((f"{USER} Here",)), True)
            books.append(talk, made, USER, "Expunged", "\\Deleted")
    return made


@pytest.mark.parametrize("deed", chosen(DEEDS, 2), ids=spelled)
def test_mail_that_comes_and_goes(house: Mortal, ledger: Ledger, deed: tuple[str, str, Act, int]) -> None:
    point, when, act, size = deed
    if point == SPOOL and house.is_shared:
        pytest.skip("several servers have no files in common")
    handing_in(house, ledger, 10)
    house.arm(point, when)
    with pytest.raises(Exception) as gone:
        act(house, ledger, size)
    assert books.is_gone(gone.value), gone.value
    house.until_gone()
    house.start()
    books.check(house, ledger)
    looked_at(house)


QUEUED = [
    ("gateway.queue:Queue._hand_on", "before", 1),
    ("gateway.relay:Relay.send", "before", 1),
    ("gateway.relay:Relay.send", "after", 2),
    ("gateway.queue:Queue._sent", "before", 2),
    ("gateway.queue:Queue._sent", "after", 1),
]


@pytest.mark.parametrize(("point", "when", "most"), QUEUED, ids=[f"{when} {point.partition(':')[2]}" for point, when, _ in QUEUED])
def test_mail_that_is_handed_on(house: Mortal, sink: Sink, point: str, when: str, most: int) -> None:
    """Twice only where the end comes between the next hop's 250 and the end of the row."""
    number = f"<relayed-{when}-{point.rpartition('.')[2]}@ledger.test>".encode()
    house.arm(point, when)
    with house.smtp("sender@acme.test") as client:
        client.sendmail("sender@acme.test", ["far@elsewhere.test"], b"From: <sender@acme.test>\r\nMessage-ID: %b\r\n\r\nx\r\n" % number)
    house.until_gone()
    house.start()
    end = time.monotonic() + 30
    while sum(number in one for one in sink.got) < most and time.monotonic() < end:
        time.sleep(0.05)
    with house.behind() as behind:
        while behind.execute("SELECT count(*) FROM queue").fetchone()[0] and time.monotonic() < end:
            time.sleep(0.05)
        assert behind.execute("SELECT count(*) FROM queue").fetchone()[0] == 0
    assert sum(number in one for one in sink.got) == most
    looked_at(house)


# --- several processes: whoever takes over from one that is gone


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    made = Mortal(tmp_path_factory.mktemp("several"), {"workers": WORKERS})
    with made:
        made.people("user")
        with Talk(made.ports["imap"], USER) as talk:
            talk.ok("CREATE Appended")
        yield made
        verified(made)
    assert "Traceback" not in made.log.read_text(), made.log.read_text()[-6000:]


KEEPER = [
    ("store.server:StoreServer._begin", "before"),
    (COMMIT, "before"),
    (COMMIT, "after"),
    ("store.server:StoreServer._ended", "before"),
]


@pytest.mark.skipif(os.environ.get(STORE) == "postgresql", reason="there each process writes for itself")
@pytest.mark.parametrize(("point", "when"), KEEPER, ids=[f"{when} {point.partition(':')[2]}" for point, when in KEEPER])
def test_a_writer_that_is_gone_hands_over_what_it_had_begun(office: Mortal, point: str, when: str) -> None:
    """The client hears nothing of it: the next one looks what was done, and does the rest."""
    ledger = Ledger()
    ledger.messages.update(_before(office))
    office.arm(point, when)
    appending(office, ledger, 300_000)
    office.until_it_acted()
    handing_in(office, ledger, 10)
    assert all(one.acknowledged for one in ledger.messages.values())
    books.check(office, ledger)
    looked_at(office)


@pytest.mark.skipif(os.environ.get(STORE) == "postgresql", reason="there each process writes for itself")
def test_a_writer_that_is_gone_while_it_takes_over_is_followed_by_another(office: Mortal) -> None:
    ledger = Ledger()
    ledger.messages.update(_before(office))
    office.arm(COMMIT, "after")
    # The next keeper finds this.
    done = subprocess.Popen(
        [
            "sh",
            "-c",
            f'while [ -e "{office.armed}" ]; do sleep 0.01; done; printf %s "$1" >"{office.armed}"',
            "sh",
            asked("store.server:StoreServer._do_once", "before", 1),
        ]
    )
    appending(office, ledger, 10)
    done.wait(30)
    office.until_it_acted()
    books.check(office, ledger)
    looked_at(office)


WORKER = [("store.remote:RemoteStore._send", "after"), ("store.remote:RemoteStore._settle", "before")]


@pytest.mark.skipif(os.environ.get(STORE) == "postgresql", reason="there each process writes for itself")
@pytest.mark.parametrize(("point", "when"), WORKER, ids=[f"{when} {point.partition(':')[2]}" for point, when in WORKER])
def test_a_worker_that_is_gone_before_the_answer(office: Mortal, point: str, when: str) -> None:
    ledger = Ledger()
    ledger.messages.update(_before(office))
    with Talk(office.ports["imap"], USER) as talk:
        message = ledger.begin(f"{USER} Appended")
        office.arm(point, when)
        with pytest.raises((OSError, EOFError)):
            talk.ok("APPEND Appended", octets(message, 10))
    office.until_it_acted()
    handing_in(office, ledger, 10)
    books.check(office, ledger)
    end = time.monotonic() + 30
    while len(processes(office)) < 1 + WORKERS and time.monotonic() < end:
        time.sleep(0.05)
    looked_at(office)


def _before(server: Server) -> dict[str, Message]:
    """What is there already, as if it had been acknowledged; numbers go on behind it."""
    found = {}
    with Talk(server.ports["imap"], USER) as talk:
        for folder in ("INBOX", "Appended"):
            for uid, number in books.contents(talk, folder).items():
                found[f"{folder} {uid}"] = Message(number, (f"{USER} {folder}",), acknowledged=True, uid=uid)
    return found


# --- commands


def mortal(server: Server) -> Mortal:
    """The same data."""
    return Mortal(server.directory, server.settings)


def killed(server: Mortal, point: str, when: str, count: int, *arguments: str) -> None:
    server.arm(point, when, count)
    done = server.run(*arguments, check=False)
    assert done.returncode == -9, f"it never came there: {done.stdout} {done.stderr}"


@pytest.mark.skipif(os.environ.get(STORE) == "postgresql", reason="tests/store/test_migrate.py cuts its connections")
def test_a_migration_by_the_servers_own_start(tmp_path: Path) -> None:
    """Killed before and after one step after the other, each time where the last one stopped."""
    server = Mortal(tmp_path)
    steps = len(list((Path(__file__).parents[2] / "store/migrations/sqlite").glob("*.sql")))
    for count in (1, steps // 4):
        killed(server, "store.migrate:_do", "before", count, "prov", "createDomain", "acme.test")
        killed(server, "store.migrate:_do", "after", count, "prov", "createDomain", "acme.test")
    server.people("user")
    with server:
        server.deliver(USER, letter(1).replace(b"anna@", b"user@"))
        assert len(server.messages(USER)) == 1
        verified(server)


BACKUP = [
    ("store.backups:Backups.keep_database", "after", 1),
    ("store.backups:Backups.keep_message", "before", 2),
    ("store.backups:Backups.finish", "before", 1),
    ("store.backups:Backups.finish", "after", 1),
    ("store.backups:Backups.prune", "before", 1),
]


@pytest.mark.skipif(os.environ.get(STORE) == "postgresql", reason="pg_basebackup does it there")
@pytest.mark.timeout(600 if SOAK else 120)
def test_a_backup(tmp_path: Path) -> None:
    server = mortal(filled(tmp_path / "server"))
    backup = str(tmp_path / "backup")
    told(server, "backup", backup)
    for point, when, count in chosen(BACKUP, 2):
        killed(server, point, when, count, "backup", backup, "--keep", "1")
        assert told(server, "backup", "verify", backup)["whole"]
    told(server, "backup", backup, "--keep", "1")
    listed = told(server, "backup", "list", backup)
    assert (len(listed["backups"]), listed["unfinished"]) == (1, [])
    assert told(server, "backup", "verify", backup)["whole"]
    verified(server)


RESTORE = [
    ("gateway.directory.reinstallation:_unpacked", "before"),
    ("gateway.directory.reinstallation:_unpacked", "after"),
    ("gateway.directory.reinstallation:_settled", "after"),
    ("gateway.directory.reinstallation:_place", "before"),
    ("gateway.directory.reinstallation:_place", "after"),
]


@pytest.mark.skipif(os.environ.get(STORE) == "postgresql", reason="pg_restore does it there")
@pytest.mark.timeout(600 if SOAK else 120)
def test_a_restore(tmp_path: Path) -> None:
    """Whatever it left is no store until it is done again, or is one."""
    server = filled(tmp_path / "server")
    with server:
        before = picture(server, ANNA)
    backup = str(tmp_path / "backup")
    told(server, "backup", backup)
    (tmp_path / "new").mkdir()
    new = Mortal(tmp_path / "new")
    for point, when in chosen(RESTORE, 2):
        killed(new, point, when, 1, "restore", backup, "--moved")
        if (new.data / ".restoring").exists():
            done = new.run("verify", check=False)
            assert (done.returncode, "a restore was not finished" in done.stderr) == (1, True), done.stderr
        else:
            assert not (new.data / "procura.db").exists()
    told(new, "restore", backup, "--moved")
    killed_late = Mortal(tmp_path / "late")
    killed_late.directory.mkdir()
    killed(killed_late, "gateway.directory.reinstallation:_moved_in", "after", 1, "restore", backup, "--moved")
    for one in (new, killed_late):
        with one:
            assert picture(one, ANNA) == before
            verified(one)


MOVE = [("finish", "before", 1), ("write", "before", 1), ("write", "after", 3), ("settle", "after", 1)]


@pytest.mark.timeout(600 if SOAK else 240)
def test_a_move_to_another_store(tmp_path: Path, cluster: Cluster, migrated_database: str) -> None:
    """There, and back in the long version: the source is what it was, and the target is no store until it is done again."""
    server = mortal(filled(tmp_path / "server"))
    server.settings["store"] = here = "sqlite:///{data}/procura.db"
    with server:
        before = picture(server, ANNA)
    cluster.create("killed_moves", migrated_database)
    there, back = cluster.url("killed_moves"), "sqlite:///{data}/back.db"
    try:
        for source, target, side in chosen([(here, there, "_SharedTarget"), (there, back, "_EmbeddedTarget")], 2):
            for name, when, count in chosen(MOVE, 4):
                killed(server, f"store.relocation:{side}.{name}", when, count, "migrate-store", source, target)
                server.settings["store"] = target
                done = server.run("verify", check=False)
                assert (done.returncode, "migrate-store again" in done.stderr) == (1, True), done.stderr
            server.settings["store"] = source
            verified(server)
            server.run("migrate-store", source, target)
            server.settings["store"] = target
            with server:
                assert picture(server, ANNA) == before
                verified(server)
    finally:
        cluster.drop("killed_moves")


# --- that it can fail


def test_without_being_asked_it_does_not_end(house: Mortal, ledger: Ledger) -> None:
    handing_in(house, ledger, 10)
    assert house.process is not None
    assert house.process.poll() is None
    with pytest.raises(AssertionError):
        asked("store.writer:Writer.nothing", "before", 1)
