"""The disk of a PostgreSQL server is full, or its database may only be read (robustness.md section 5, F6 and F10): mail is put off,
whoever reads is served, and it ends without a restart."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.cluster import Cluster, missing
from tests.live.hostile import imap, unharmed
from tests.live.server import Server
from tests.live.small_disk import fill, small_disk
from tests.live.test_damaged import attempts, held_to
from tests.live.test_failing_disk import LARGE, SMALL, USER, handed_in, says_full, until, was_put_off
from tests.live.verified import verified

pytestmark = pytest.mark.timeout(300)

SIZE = 160
"""Mebibytes: PostgreSQL's own, its log of 64 at most, and some mail."""
# What is promised is kept, and its log has its room before it needs it.
SETTINGS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_init_zero": "on",
    "max_wal_size": "64MB",
    "min_wal_size": "48MB",
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    why = missing()
    if why is not None:
        pytest.skip(why)
    made = Cluster(SETTINGS)
    made.log = tmp_path / "postgresql.log"
    try:
        owner = pwd.getpwnam("postgres") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        with small_disk(made.directory, SIZE, f",uid={owner.pw_uid},gid={owner.pw_gid},mode=700"), made:
            yield made
    finally:
        made.remove()


@pytest.fixture
def server(tmp_path: Path, cluster: Cluster) -> Iterator[Server]:
    made = Server(tmp_path, {"store": cluster.create("small")})
    made.people("user", "quiet")
    with made:
        yield made


def test_mail_is_put_off_while_it_is_full(server: Server, cluster: Cluster) -> None:
    answers = attempts(server, "before")
    assert not any(map(was_put_off, answers.values()))
    ballast = cluster.directory / "ballast"
    with unharmed(server, "quiet@acme.test"), imap(server, USER) as reader:
        assert reader.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        fill(ballast)
        during = attempts(server, "during")
        for number, answer in during.items():
            # A small message may find room in a page that is there already.
            assert says_full(answer) or (number.endswith(f"-{SMALL}") and not was_put_off(answer)), during
        assert all(map(says_full, (answer for number, answer in during.items() if number.endswith(f"-{LARGE}"))))
        assert reader.do(b"u", b"UID FETCH 1:* (FLAGS BODY.PEEK[])").startswith(b"u OK")
        ballast.unlink()
        until(lambda: handed_in(server, "lmtp", "after", LARGE).startswith("250 "))
    answers |= during
    held_to(server, answers)
    verified(server)
    # And what was acknowledged is on that disk.
    cluster.kill()
    cluster.start()
    until(lambda: handed_in(server, "lmtp", "after-the-crash", SMALL).startswith("250 "))
    held_to(server, {**answers, "after": "250 ", "after-the-crash": "250 "})
    verified(server)
    assert "PANIC" not in cluster.log.read_text()


def test_mail_is_put_off_while_it_may_only_be_read(server: Server, cluster: Cluster) -> None:
    """As one that waits to be led again: it is not asked for anything, and sessions that are there say "later"."""
    answers = attempts(server, "before")
    with imap(server, USER) as reader:
        assert reader.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        cluster.sql("ALTER DATABASE small SET default_transaction_read_only = on")
        cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'small'")
        for size in (SMALL, LARGE):
            answers[f"during-{size}"] = answer = handed_in(server, "lmtp", f"during-{size}", size)
            assert was_put_off(answer), answers
        assert reader.do(b"f", b"UID STORE 1:* +FLAGS (\\Flagged)").startswith(b"f NO ")
        cluster.sql("ALTER DATABASE small RESET default_transaction_read_only")
        cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'small'")
        until(lambda: handed_in(server, "lmtp", "after", SMALL).startswith("250 "))
        until(lambda: reader.do(b"f", b"UID STORE 1:* +FLAGS (\\Flagged)").startswith(b"f OK"))
    held_to(server, {**answers, "after": "250 "})
    verified(server)
