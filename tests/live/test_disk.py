"""What a server needs runs out (robustness.md section 5: F6, F8, F9): mail is put off, nothing is lost, and it ends without a restart."""

from __future__ import annotations

import os
import resource
import smtplib
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.live.hostile import LONGEST, has_message_id, imap, smtp, unharmed
from tests.live.server import Server
from tests.live.verified import SOAK, verified

USER = "user@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("full"), {"queue.retries": ["1s"]})
    made.people("user", "quiet")
    with made:
        yield made


@contextmanager
def full(server: Server) -> Iterator[None]:
    """No file of the server's may grow, its log included."""
    server.bound_files(4_096)
    try:
        yield
    finally:
        server.bound_files(resource.RLIM_INFINITY)


def message(number: str, size: int) -> bytes:
    return f"From: <{USER}>\r\nMessage-ID: <{number}@x.test>\r\n\r\n".encode() + b"x" * size + b"\r\n"


@pytest.mark.parametrize("size", [10, 300_000], ids=["small", "large"])
def test_mail_is_put_off_while_the_disk_is_full(server: Server, size: int) -> None:
    server.deliver(USER, message(f"before-{size}", size))
    with (
        unharmed(server, "quiet@acme.test"),
        imap(server, USER) as reader,
        smtp(server, "mx") as mx,
        smtp(server, "lmtp") as lmtp,
        smtp(server, "submission", login=USER) as client,
    ):
        assert reader.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        with full(server):
            for kind, raw in (("mx", mx), ("lmtp", lmtp), ("submission", client)):
                sender = USER if kind == "submission" else "x@elsewhere.test"
                assert raw.say(f"MAIL FROM:<{sender}>".encode()).startswith("250")
                assert raw.say(f"RCPT TO:<{USER}>".encode()).startswith("250")
                assert raw.say(b"DATA").startswith("354")
                raw.send(message(f"full-{kind}-{size}", size) + b".\r\n")
                answer = raw.reply()
                assert answer.startswith(("451 4.3.", "452 4.3.1 ")), (kind, answer)
            octets = message(f"full-append-{size}", size)
            reader.send(b"a APPEND INBOX {%d+}\r\n" % len(octets) + octets + b"\r\n")
            answer = reader.until(b"a").splitlines()[-1].decode()
            assert answer.startswith("a NO "), answer
            assert reader.do(b"b", b"UID STORE 1:* +FLAGS (\\Flagged)").startswith(b"b NO ")
            assert reader.do(b"c", b"CREATE Full").startswith(b"c NO ")
            # Reading goes on.
            reader.send(b"d FETCH 1:* (UID FLAGS BODY.PEEK[])\r\n")
            said = reader.until(b"d")
            assert said.splitlines()[-1].startswith(b"d OK"), said[-300:]
            assert f"<before-{size}@x.test>".encode() in said
            assert reader.do(b"e", b"STATUS INBOX (MESSAGES)").startswith(b"e OK")
        # The same sessions go on when there is room again.
        for kind, raw in (("mx", mx), ("lmtp", lmtp), ("submission", client)):
            sender = USER if kind == "submission" else "x@elsewhere.test"
            assert raw.say(f"MAIL FROM:<{sender}>".encode()).startswith("250")
            assert raw.say(f"RCPT TO:<{USER}>".encode()).startswith("250")
            assert raw.say(b"DATA").startswith("354")
            raw.send(message(f"after-{kind}-{size}", size) + b".\r\n")
            assert raw.reply().startswith("250 ")
        assert reader.do(b"f", b"UID STORE 1:* +FLAGS (\\Flagged)").startswith(b"f OK")
    found = server.messages(USER)
    for kind in ("mx", "lmtp", "submission"):
        assert has_message_id(found, f"full-{kind}-{size}@x.test".encode()) == 0, "it was refused"
        assert has_message_id(found, f"after-{kind}-{size}@x.test".encode()) == 1
    assert has_message_id(found, f"full-append-{size}@x.test".encode()) == 0
    assert has_message_id(found, f"before-{size}@x.test".encode()) == 1
    verified(server)


def test_a_database_that_somebody_else_has_locked_delays_and_loses_nothing(server: Server) -> None:
    with unharmed(server, "quiet@acme.test"), smtp(server, "lmtp", seconds=60) as raw:
        assert raw.say(b"MAIL FROM:<x@elsewhere.test>").startswith("250")
        assert raw.say(b"RCPT TO:<user@acme.test>").startswith("250")
        assert raw.say(b"DATA").startswith("354")
        other = sqlite3.connect(server.data / "procura.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            raw.send(message("locked", 100) + b".\r\n")
            # Who only reads is not held up; `unharmed` says so too.
            with imap(server, USER) as reader:
                assert reader.do(b"a", b"EXAMINE INBOX").startswith(b"a OK")
        finally:
            other.execute("ROLLBACK")
            other.close()
        answer = raw.reply()
        assert answer.startswith(("250 ", "451 4.3.")), answer
    assert has_message_id(server.messages(USER), b"locked@x.test") == (1 if answer.startswith("250") else 0)
    server.deliver(USER, message("unlocked", 100))
    assert has_message_id(server.messages(USER), b"unlocked@x.test") == 1
    verified(server)


LOCKED = 30.0 if SOAK else 6.5
"""Seconds: the wait for the lock (store/sqlite.py, BUSY_MILLISECONDS) is over before the lock is."""


def test_a_lock_that_lasts_longer_than_anybody_waits(server: Server) -> None:
    """Every attempt is put off in time, whoever reads is served, and afterwards it goes on by itself."""
    if server.is_shared:
        pytest.skip("tests/ha/test_two_nodes.py: nobody locks all of a database that is shared")
    answers: dict[str, str] = {}
    with unharmed(server, "quiet@acme.test"), imap(server, USER, seconds=60) as reader, smtp(server, "lmtp", seconds=60) as raw:
        assert reader.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        other = sqlite3.connect(server.data / "procura.db", isolation_level=None, timeout=20)
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        try:
            while time.monotonic() - began < LOCKED:
                number = f"long-locked-{len(answers)}"
                for command in (b"MAIL FROM:<x@elsewhere.test>", b"RCPT TO:<user@acme.test>", b"DATA"):
                    assert raw.say(command)[0] in "23"
                raw.send(message(number, 100) + b".\r\n")
                asked = time.monotonic()
                answers[number] = raw.reply()
                assert answers[number].startswith("451 4.3."), answers
                assert time.monotonic() - asked < LONGEST
                assert reader.do(b"f", b"UID FETCH 1:* (FLAGS)").startswith(b"f OK")
        finally:
            other.execute("ROLLBACK")
            other.close()
        answers["unlocked-again"] = "250 "
        server.deliver(USER, message("unlocked-again", 100))
    found = server.messages(USER)
    for number, answer in answers.items():
        assert has_message_id(found, f"{number}@x.test".encode()) == answer.startswith("250 "), number
    verified(server)


DESCRIPTORS, CONNECTIONS = 128, 200


def test_when_descriptors_run_out_open_sessions_live_on_and_new_ones_come_later(server: Server) -> None:
    """Mail that comes meanwhile on sessions that are open is taken or put off, and what was taken is there."""
    taken = [0, 0]
    with (
        unharmed(server, "quiet@acme.test"),
        imap(server, USER) as session,
        smtp(server, "lmtp") as mail,
        ExitStack() as there,
    ):
        before = {pid: resource.prlimit(pid, resource.RLIMIT_NOFILE) for pid in server.pids}
        for pid, (_, hard) in before.items():
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (max(DESCRIPTORS, len(os.listdir(f"/proc/{pid}/fd")) + 20), hard))
        try:
            for number in range(CONNECTIONS):
                raw = socket.create_connection(("127.0.0.1", server.ports["imap" if number % 2 else "mx"]), 5)
                there.callback(raw.close)
            began = server.cpu, time.monotonic()
            for number in range(10):
                assert session.do(b"n", b"NOOP").startswith(b"n OK")
                for large in (False, True):
                    assert mail.say(b"MAIL FROM:<x@elsewhere.test>").startswith("250")
                    answer = mail.say(b"RCPT TO:<user@acme.test>")
                    if answer.startswith("250"):
                        assert mail.say(b"DATA").startswith("354")
                        mail.send(message(f"scarce-{number}-{large:d}", 200_000 if large else 100) + b".\r\n")
                        answer = mail.reply()
                    else:
                        assert mail.say(b"RSET").startswith("250")
                    assert answer.startswith(("250 ", "4")), answer
                    taken[large] += answer.startswith("250 ")
                time.sleep(0.05)
            busy = (server.cpu - began[0]) / (time.monotonic() - began[1])
        finally:
            for pid, limits in before.items():
                resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
    assert busy < 0.7, f"the server spins: {busy:.0%} of a processor"
    with imap(server, USER) as again, smtp(server, "mx") as mx:
        assert again.do(b"n", b"NOOP").startswith(b"n OK")
        assert mx.say(b"NOOP") == "250 2.0.0 ok"
    found = b"".join(server.messages(USER))
    assert [found.count(f"<scarce-{number}-{large}@x.test>".encode()) for large in (0, 1) for number in range(10)].count(1) == sum(taken)
    verified(server)


def test_a_full_disk_and_a_crash_lose_nothing(server: Server) -> None:
    server.deliver(USER, message("kept", 100))
    with full(server), pytest.raises(smtplib.SMTPDataError):
        server.deliver(USER, message("refused", 100))
    server.kill()
    server.start()
    found = server.messages(USER)
    assert has_message_id(found, b"kept@x.test") == 1
    assert has_message_id(found, b"refused@x.test") == 0
    verified(server)
