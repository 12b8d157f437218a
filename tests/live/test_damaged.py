"""A database that may only be read, or is damaged, while the server runs (robustness.md section 5, F10): nothing is taken that cannot be
kept, the log says why, whoever only reads is served, and when it is whole again all is there that was acknowledged."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.live.hostile import has_message_id, imap, unharmed
from tests.live.preloaded import EROFS, Preloaded
from tests.live.server import Server
from tests.live.test_failing_disk import KINDS, LARGE, SMALL, USER, handed_in, there, until, was_put_off
from tests.live.verified import SOAK, verified

pytestmark = pytest.mark.timeout(300)


def attempts(server: Server, when: str) -> dict[str, str]:
    """Mail at every door: what was said to each message."""
    return {f"{when}-{kind}-{size}": handed_in(server, kind, f"{when}-{kind}-{size}", size) for kind in KINDS for size in (SMALL, LARGE)}


def held_to(server: Server, answers: Mapping[str, str]) -> None:
    """What was taken is there once, what was not is not there."""
    found = server.messages(USER)
    assert {number: has_message_id(found, f"{number}@x.test".encode()) for number in answers} == {
        number: 0 if was_put_off(answer) else 1 for number, answer in answers.items()
    }, answers


@pytest.mark.parametrize("workers", [1, 2] if SOAK else [1])
def test_a_file_system_that_may_only_be_read_from_now_on(tmp_path: Path, workers: int) -> None:
    """As it is remounted by the system after an error."""
    server = Preloaded(tmp_path, {"workers": workers})
    server.people("user", "quiet")
    with server:
        answers = attempts(server, "before")
        assert not any(map(was_put_off, answers.values()))
        written = server.log.stat().st_size
        with (
            unharmed(server, "quiet@acme.test"),
            imap(server, USER) as reader,
            server.failing(("write", "/data/", EROFS), ("open", "/data/", EROFS), ("rename", "/data/", EROFS)),
        ):
            answers |= attempts(server, "during")
            assert all(was_put_off(answer) for number, answer in answers.items() if number.startswith("during"))
            assert reader.do(b"s", b"SELECT INBOX").startswith(b"s OK")
            assert reader.do(b"f", b"UID STORE 1:* +FLAGS (\\Flagged)").startswith(b"f NO ")
            assert reader.do(b"c", b"CREATE New").startswith(b"c NO ")
            assert reader.do(b"u", b"UID FETCH 1:* (FLAGS BODY.PEEK[])").startswith(b"u OK")
            held_to(server, answers)
        said = server.log.read_bytes()[written:].decode("utf-8", "replace")
        assert "put off" in said
        assert "readonly" in said.lower() or "Read-only" in said, said[-3000:]
        assert server.stop() == 0
        server.start()
        answers |= attempts(server, "after")
        assert not any(was_put_off(answer) for number, answer in answers.items() if number.startswith("after"))
        held_to(server, answers)
        verified(server)


DAMAGED = b"\xff"
"""In the place of the octet that says what kind of page it is."""


def first_page(file: Path, table: str) -> int:
    """Where the tree of this table begins."""
    with closing(sqlite3.connect(file)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return int((page - 1) * size)


def exchanged(file: Path, place: int, old: bytes | None, new: bytes) -> bytes:
    """What was there; another octet takes its place where it was `old` (None: whatever it was)."""
    with file.open("r+b") as octets:
        octets.seek(place)
        before = octets.read(1)
        if old in (None, before):
            octets.seek(place)
            octets.write(new)
    return before


CASES = [("blob", "before"), ("message", "before"), ("blob", "running"), ("message", "running"), ("folder", "running")]


@pytest.mark.parametrize(("table", "when"), CASES if SOAK else CASES[1:3])
def test_mail_that_meets_a_damaged_page(tmp_path: Path, table: str, when: str) -> None:
    """Of a table that every mail is written to. Damaged before the start nobody has it in memory; damaged later a writer may have it, and
    write it anew: then it is whole."""
    server = Server(tmp_path, {"store": "sqlite:///{data}/procura.db"})
    server.people("user", "quiet")
    file = server.data / "procura.db"
    with server:
        answers = attempts(server, "before")
    assert not any(map(was_put_off, answers.values()))
    place = first_page(file, table)
    was = exchanged(file, place, None, DAMAGED) if when == "before" else b""
    with server:
        if when == "running":
            assert there(server, f"before-lmtp-{SMALL}") == 1
            was = exchanged(file, place, None, DAMAGED)
        written = server.log.stat().st_size
        answers |= attempts(server, "during")
        refused = [number for number, answer in answers.items() if was_put_off(answer)]
        said = server.log.read_bytes()[written:].decode("utf-8", "replace")
        assert not refused or "malformed" in said, said[-3000:]
        assert refused or when == "running", "that was no damage"
        if when == "before":
            # (A reader of a server that runs may have the page in memory.)
            assert server.run("verify", check=False).returncode != 0
        assert server.process is not None
        assert server.process.poll() is None
    if exchanged(file, place, DAMAGED, was) != DAMAGED:
        assert not refused, "it was written anew, and mail was refused nevertheless"
    with server:
        until(lambda: handed_in(server, "lmtp", "after", SMALL).startswith("250 "))
        held_to(server, answers)
        verified(server)
