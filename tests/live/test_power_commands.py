"""Power that goes during a backup, a restore or a move to another store (robustness.md section 5, F5): whatever the disk then holds, a
backup that is called one is whole, and a store that opens has everything."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from config.sources import load
from gateway.app import opened
from store.backups import Backups
from store.connect import RESTORING
from store.errors import Unusable
from store.migrate import UNFINISHED, version
from tests.live.installation import ANNA, LARGE, letter
from tests.live.power import Entry, State, left_after, read, without
from tests.live.preloaded import Preloaded
from tests.live.test_kill_points import Mortal, killed
from tests.live.test_power import Lost
from tests.live.verified import SOAK

pytestmark = pytest.mark.timeout(1800 if SOAK else 240)

STATES = 400 if SOAK else 12
"""States of the disk that are looked at, of each command."""
LYING = 300
"""States until one has to be found in which something is lost, when the disk lies."""
HERE, THERE = "sqlite:///{data}/procura.db", "sqlite:///{data}/moved.db"

Content = list[tuple[object, ...]]


class Fated(Mortal, Preloaded):
    """Its disk is watched, and it can be asked for a last act."""


@dataclass(slots=True)
class Office:
    """`done`: of each command, by name, from which entry on it was under way, and with how many it had ended; `backups`: those that
    there were then."""

    server: Fated
    entries: list[Entry]
    done: dict[str, tuple[int, int]]
    content: Content
    backups: dict[str, list[str]]


def content_of(data: Path, database: str = "procura.db") -> Content:
    """All mail, and who may see it. Raises AssertionError where it is not whole."""
    with closing(sqlite3.connect(data / database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        rows = connection.execute(
            "SELECT folder.path, message.key & 0xffffffff, message.flags, blob.hash, blob.place, blob.octets FROM message "
            "JOIN folder ON folder.id = message.key >> 32 JOIN blob ON blob.id = message.blob ORDER BY 1, 2"
        ).fetchall()
        entries = connection.execute("SELECT folder, grantee_kind, grantee, rights FROM folder_entry ORDER BY 1, 2, 3").fetchall()
    for _, _, _, digest, place, octets in rows:
        whole = octets if place is None else (data / "messages" / place).read_bytes()
        assert sha256(whole).digest() == digest
    return [*(row[:4] for row in rows), *entries]


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """Mail; a backup, one that is killed and another; a restore that is killed, and done again; a move, the same."""
    server = Fated(tmp_path_factory.mktemp("power"), {"store": HERE}, recorded=True)
    done: dict[str, tuple[int, int]] = {}
    listed: dict[str, list[str]] = {}
    backup, first = str(server.disk / "backup"), server.data
    server.people("anna", "bruno")

    def command(name: str, *arguments: str) -> None:
        begun = done[name][0] if name in done else len(read(server.record))
        server.run(*arguments)
        done[name] = (begun, len(read(server.record)))
        listed[name] = Backups(Path(backup)).names()

    def killed_first(name: str, point: str, when: str, *arguments: str) -> None:
        done[name] = (len(read(server.record)), 0)
        killed(server, point, when, 1, *arguments)

    command("backup", "backup", backup)
    with server:
        for number in range(4):
            server.deliver(ANNA, letter(number, LARGE if number % 2 else 10))
        server.prov("sm anna@acme.test mfg /INBOX account bruno@acme.test rw")
    killed_first("second backup", "store.backups:Backups.finish", "before", "backup", backup)
    command("second backup", "backup", backup)
    command("third backup", "backup", backup, "--keep", "2")
    content = content_of(server.data)
    assert len(content) > 4
    server.data = server.disk / "new"
    killed_first("restore", "gateway.directory.reinstallation:_place", "before", "restore", backup, "--moved")
    command("restore", "restore", backup, "--moved")
    assert content_of(server.data) == content
    killed_first("move", "store.relocation:_EmbeddedTarget.finish", "before", "migrate-store", HERE, THERE)
    command("move", "migrate-store", HERE, THERE)
    assert content_of(server.data, "moved.db") == content
    server.data = first
    return Office(server, read(server.record), done, content, listed)


async def opens(data: Path, store: str) -> None:
    """As the server does at its start; everything agrees with everything. Raises Unusable."""
    settings = load({"data": str(data), "hostname": "mx.acme.test", "store": store}, {}, data.parent).settings
    async with opened(settings) as app:
        found = await app.directory.verification.verify(lambda *_: None)
    assert found.is_whole, found.findings


# --- what has to be true of every state; `done`: the command that had ended well


def backups_are_whole(office: Office, left: Path, done: str | None) -> None:
    backups = Backups(left / "backup")
    if done is None and not (left / "backup" / "procura-backups").exists():
        return
    backups.check()
    names = backups.names()
    assert backups.faults(names, lambda *_: None) == []
    if done is not None:
        assert names == office.backups[done]


def restored(office: Office, left: Path, done: str | None) -> None:
    data = left / "new"
    if done is None and ((data / RESTORING).exists() or not (data / "procura.db").exists()):
        return
    asyncio.run(opens(data, HERE))
    assert content_of(data) == office.content


def moved(office: Office, left: Path, done: str | None) -> None:
    data = left / "new"
    # The source is what it was, whatever happens.
    assert content_of(data) == office.content
    if done is None and not is_moved(data / "moved.db"):
        return
    asyncio.run(opens(data, THERE))
    assert content_of(data, "moved.db") == office.content


def is_moved(file: Path) -> bool:
    """Would a server take it for a store with something in it?"""
    if not file.exists():
        return False
    with closing(sqlite3.connect(file)) as connection:
        return version(connection) not in (0, UNFINISHED) and bool(connection.execute("SELECT count(*) FROM domain").fetchone()[0])


Look = Callable[[Office, Path, str | None], None]
COMMANDS: dict[str, Look] = {
    "backup": backups_are_whole,
    "second backup": backups_are_whole,
    "third backup": backups_are_whole,
    "restore": restored,
    "move": moved,
}


def cut(office: Office, entries: Sequence[Entry], command: str, count: int, seed: int, scratch: Path, ended: float = 0.3) -> None:
    """Looks at so many states, of which this part is just after the end. Raises Lost."""
    draw = random.Random(seed)
    first, last = office.done[command]
    cuts = [last if draw.random() < ended else draw.randrange(first, last + 1) for _ in range(count)]
    for left in left_after(office.server.disk, entries, cuts, draw, scratch):
        try:
            COMMANDS[command](office, left.place, command if left.at == last else None)
        except (AssertionError, Unusable, OSError, sqlite3.Error) as fault:
            raise Lost(told(command, left, seed, first, last, fault)) from fault


def told(command: str, left: State, seed: int, first: int, last: int, fault: BaseException) -> str:
    return f"{command}, seed {seed}: the power went after entry {left.at} of {first} to {last}, likely {left.likely}: {fault}"


@pytest.mark.parametrize("command", COMMANDS)
def test_whatever_is_left_is_whole_or_is_known_not_to_be(office: Office, tmp_path: Path, command: str) -> None:
    cut(office, office.entries, command, STATES, 20_261_122, tmp_path)


LIES: dict[str, tuple[str, Callable[[str], bool]]] = {
    "octets of a backup": ("third backup", lambda path: path.startswith("backup/objects/") and path.endswith(".part")),
    "shelves of a backup": ("second backup", lambda path: path.startswith("backup/objects/") and not path.endswith(".part")),
    "the list of backups": ("third backup", lambda path: path == "backup/runs"),
    "messages that are restored": ("restore", lambda path: path.startswith("new/.restoring/messages/")),
    "the directory of what is restored": ("restore", lambda path: path == "new"),
    "the store moved into": ("move", lambda path: path.startswith("new/moved.db")),
}


@pytest.mark.parametrize("lie", LIES)
def test_it_can_tell_when_something_is_not_synchronised(office: Office, tmp_path: Path, lie: str) -> None:
    command, of = LIES[lie]
    entries = list(without(office.entries, office.server.disk, of))
    assert entries != office.entries, "something is synchronised there"
    with pytest.raises(Lost):
        cut(office, entries, command, LYING, 7, tmp_path, ended=0.9)
