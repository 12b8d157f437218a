"""Whatever happens to search.db, mail is accepted, found, and indexed again."""

from __future__ import annotations

import random
import resource
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.live.server import Server, compose

USER = "user@acme.test"
WORDS = ("alpha", "beta", "gamma", "delta", "epsilon")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.people("user", "mate")
    with made:
        yield made


def append(server: Server, first: int, count: int) -> None:
    """Messages that each have a word, and a number of their own."""
    client = server.imap(USER)
    try:
        for number in range(first, first + count):
            text = f"{WORDS[number % len(WORDS)]} number-{number}- " + "filler words of no interest " * 100
            kind, said = client.append("INBOX", "", "", compose("a@elsewhere.test", USER, f"subject {number}", text))
            assert kind == "OK", said
    finally:
        client.logout()


def search(server: Server, *wish: str, user: str = USER, folder: str = "INBOX") -> list[int]:
    client = server.imap(user)
    try:
        assert client.select(f'"{folder}"', readonly=True)[0] == "OK"
        kind, said = client.uid("SEARCH", *wish)
        assert kind == "OK", said
        return [int(one) for one in said[0].split()]
    finally:
        client.logout()


def all_found(server: Server, count: int) -> None:
    """UIDs are numbers, and one more."""
    for place, word in enumerate(WORDS):
        assert search(server, "BODY", word) == [uid for uid in range(1, count + 1) if (uid - 1) % len(WORDS) == place]
    assert search(server, "TEXT", f"number-{count - 1}-") == [count]
    assert search(server, "BODY", "nowhere") == []
    assert search(server, "HEADER", "Subject", '""') == list(range(1, count + 1))


def mark(server: Server) -> int:
    try:
        with closing(sqlite3.connect(f"file:{server.data / 'search.db'}?mode=ro", uri=True)) as raw:
            return int(raw.execute("SELECT mark FROM standing WHERE NOT EXISTS (SELECT 1 FROM undivided)").fetchone()[0])
    except (sqlite3.Error, TypeError):  # none, or none whose trigrams are all there
        return -1


def newest(server: Server) -> int:
    with server.behind() as raw:
        return int(raw.execute("SELECT coalesce(max(id), 0) FROM blob").fetchone()[0])


def up_to_date(server: Server, seconds: float = 30.0) -> None:
    ends = time.monotonic() + seconds
    while mark(server) < newest(server):
        assert time.monotonic() < ends, (mark(server), newest(server))
        time.sleep(0.2)


def test_kill_9_while_it_is_filled(server: Server) -> None:
    chance = random.Random(3)
    count = 0
    for _ in range(3):
        append(server, count, 40)
        count += 40
        time.sleep(chance.uniform(0.0, 0.6))
        server.kill()
        server.start()
        all_found(server, count)
    up_to_date(server)
    all_found(server, count)
    with closing(sqlite3.connect(server.data / "search.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert raw.execute("SELECT count(*) FROM gram WHERE gram MATCH '\"lph\"'").fetchone() == (count // len(WORDS),)


def gone(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def rubbish(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(100_000))


def holed(path: Path) -> None:
    octets = path.read_bytes()
    path.write_bytes(octets[:16_384] + b"\xaa" * (len(octets) - 16_384))


def directory(path: Path) -> None:
    # A server that runs may make it anew at any moment.
    while not path.is_dir():
        path.unlink(missing_ok=True)
        with suppress(FileExistsError):
            path.mkdir()


@pytest.mark.parametrize("alive", [False, True], ids=["stopped", "serving"])
def test_a_file_that_is_lost_or_damaged_is_made_anew(server: Server, alive: bool) -> None:
    append(server, 0, 20)
    count = 20
    for harm in (gone, cut, rubbish, holed, directory):
        up_to_date(server)
        if not alive:
            server.stop()
        harm(server.data / "search.db")
        if not alive:
            server.start()
        all_found(server, count)
        append(server, count, 5)
        count += 5
        all_found(server, count)
        if alive or harm is directory:
            server.kill()
            if harm is directory:
                (server.data / "search.db").rmdir()
            server.start()
    up_to_date(server)
    all_found(server, count)


def test_without_room_search_goes_on(server: Server) -> None:
    append(server, 0, 20)
    up_to_date(server)
    append(server, 20, 20)
    server.bound_files(4_096)
    time.sleep(0.6)
    all_found(server, 40)
    server.bound_files(resource.RLIM_INFINITY)
    append(server, 40, 5)
    all_found(server, 45)
    up_to_date(server)
    all_found(server, 45)


def test_delegates_find_what_their_folder_has_and_nothing_else(server: Server) -> None:
    append(server, 0, 30)
    server.prov(f"selectMailbox {USER} createFolder /Hidden", f"selectMailbox {USER} modifyFolderGrant /INBOX account mate@acme.test r")
    client = server.imap(USER)
    client.append("Hidden", "", "", compose("a@elsewhere.test", USER, "secret", "alpha of the hidden folder"))
    client.logout()
    up_to_date(server)
    shared = next(
        line.decode().rpartition('"')[0].rpartition('"')[2]
        for line in listed(server, "mate@acme.test")
        if line.endswith((b'INBOX"',)) and b"user" in line
    )
    assert search(server, "BODY", "alpha", user="mate@acme.test", folder=shared) == search(server, "BODY", "alpha")
    assert search(server, "BODY", '"hidden folder"', user="mate@acme.test", folder=shared) == []
    assert search(server, "BODY", '"hidden folder"', folder="Hidden") == [1]


def listed(server: Server, user: str) -> list[bytes]:
    client = server.imap(user)
    try:
        return [line for line in client.list('""', '"*"')[1] if isinstance(line, bytes)]
    finally:
        client.logout()


def test_what_is_expunged_is_not_found(server: Server) -> None:
    append(server, 0, 20)
    up_to_date(server)
    client = server.imap(USER)
    client.select("INBOX")
    client.uid("STORE", "1:10", "+FLAGS", "(\\Deleted)")
    client.expunge()
    client.logout()
    assert search(server, "BODY", "alpha") == [11, 16]
