"""Large messages in an object store that speaks S3: by the real command, with an object store that fails."""

from __future__ import annotations

import os
import smtplib
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.live.bucket import ACCESS, NAME, SECRET, Bucket, Fault
from tests.live.installation import run
from tests.live.next_hop import NextHop
from tests.live.server import STORE, Server, compose
from tests.live.several import WORKERS, killed, spread, whole

pytestmark = pytest.mark.slow

ANNA, BRUNO = "anna@acme.test", "bruno@acme.test"
LINE = "a line of some sixty octets, again and again until it is large\r\n"


def large(word: str, lines: int = 3000, from_: str = "stranger@elsewhere.test") -> bytes:
    return compose(from_, ANNA, subject=word, text=LINE * lines + f"the word is {word}")


def house(directory: Path, bucket: Bucket, **more: object) -> Server:
    directory.mkdir(parents=True, exist_ok=True)
    keys = directory / "keys"
    keys.write_text(f"# of the bucket\nAWS_ACCESS_KEY_ID={ACCESS}\nAWS_SECRET_ACCESS_KEY = {SECRET}\n")
    keys.chmod(0o600)
    return Server(
        directory,
        {
            "objects.url": f"s3://{NAME}/procura",
            "objects.endpoint": bucket.endpoint,
            "objects.region": "eu-test-1",
            "objects.credentials": str(keys),
            "objects.timeout": "5s",
            "log.level": "debug",
            **more,
        },
    )


@pytest.fixture
def bucket() -> Iterator[Bucket]:
    with Bucket() as bucket:
        yield bucket


def fetched(server: Server, item: str, folder: str = "INBOX", user: str = ANNA, which: str = "1") -> bytes:
    client = server.imap(user)
    try:
        client.select(folder, readonly=True)
        kind, found = client.fetch(which, f"({item})")
        assert kind == "OK", found
        return b"".join(part[1] for part in found if isinstance(part, tuple))
    finally:
        client.logout()


def test_large_mail_lies_there_and_small_mail_does_not(tmp_path: Path, bucket: Bucket) -> None:
    message = large("needle")
    with house(tmp_path, bucket) as server:
        server.people("anna", "bruno")
        server.deliver(ANNA, message)
        server.deliver(ANNA, compose("stranger@elsewhere.test", ANNA))
        (name,) = bucket.messages()
        stored = bucket.objects[name][0]
        assert not [one for one in (server.data / "messages").rglob("*") if one.is_file()]
        assert fetched(server, "BODY.PEEK[]") == stored
        assert stored.endswith(message.partition(b"\r\n\r\n")[2])
        bucket.asked.clear()
        assert fetched(server, "BODY.PEEK[]<1000.50>") == stored[1000:1050]
        assert fetched(server, "BODY.PEEK[HEADER]").startswith(b"Return-Path") or stored
        assert all(one[2] for one in bucket.asked if one[0] == "GET"), bucket.asked
        client = server.imap(ANNA)
        client.select("INBOX")
        assert client.search(None, "BODY", '"the word is needle"') == ("OK", [b"1"])
        assert client.search(None, "BODY", '"the word is another"') == ("OK", [b""])
        client.create("Kept")
        client.copy("1", "Kept")
        client.append("Kept", "", "", large("appended"))  # type: ignore[arg-type]
        client.logout()
        assert len(bucket.messages()) == 2, "a copy is the same octets"
        server.kill()
        server.start()
        assert fetched(server, "BODY.PEEK[]", "Kept") == stored
        assert b"appended" in fetched(server, "BODY.PEEK[]", "Kept", which="2")
        assert run(server, "verify")["whole"]
        del bucket.objects[bucket.messages()[0]]
        said = server.run("verify", check=False)
        assert said.returncode != 0
        assert "it is gone" in said.stdout + said.stderr
    log = server.log.read_text()
    assert SECRET not in log
    assert SECRET not in server.run("settings").stdout


def test_an_object_store_that_is_down_is_a_reason_to_come_back(tmp_path: Path, bucket: Bucket) -> None:
    with closing(NextHop()) as hop, house(tmp_path, bucket, relay=f"smtp://127.0.0.1:{hop.port}") as server:
        server.people("anna", "bruno")
        server.deliver(ANNA, large("first"))
        with server.smtp(ANNA) as client:
            bucket.faults.append(Fault("PUT", status=503))
            client.sendmail(ANNA, [BRUNO], large("second", from_=ANNA))
        bucket.is_down = True
        with pytest.raises(smtplib.SMTPDataError) as refused:
            server.deliver(ANNA, large("third"))
        assert 400 <= refused.value.smtp_code < 500
        with server.smtp(ANNA) as client, pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail(ANNA, ["far@elsewhere.test"], large("fourth", from_=ANNA))
        assert 400 <= refused.value.smtp_code < 500
        client = server.imap(ANNA)
        kind, told = client.append("INBOX", "", "", large("fifth"))  # type: ignore[arg-type]
        assert (kind, told[0][:13]) == ("NO", b"[UNAVAILABLE]")
        client.select("INBOX")
        kind, told = client.fetch("1", "(BODY.PEEK[])")
        assert kind == "NO"
        assert b"[UNAVAILABLE]" in told[0]
        # All else goes on.
        server.deliver(ANNA, compose("stranger@elsewhere.test", ANNA, subject="small"))
        client.noop()
        assert client.search(None, "SUBJECT", "small") == ("OK", [b"2"])
        assert client.fetch("2", "(BODY.PEEK[TEXT])")[0] == "OK"
        bucket.is_down = False
        kind, told = client.fetch("1", "(BODY.PEEK[])")
        assert kind == "OK"
        client.logout()
        with server.smtp(ANNA) as sender:
            sender.sendmail(ANNA, ["far@elsewhere.test"], large("sixth", from_=ANNA))
        hop.wait(1)
        assert len(server.messages(ANNA)) == 2
    assert "object store" in server.log.read_text()
    assert SECRET not in server.log.read_text()


def test_one_that_is_slow_keeps_nobody_else_waiting(tmp_path: Path, bucket: Bucket) -> None:
    """More readers of large messages than the store has connections: snapshots are not held over the network."""
    with house(tmp_path, bucket, **{"objects.timeout": "60s"}) as server:
        server.people("anna", "bruno")
        server.deliver(ANNA, large("slow"))
        server.deliver(ANNA, compose("stranger@elsewhere.test", ANNA, subject="small"))
        bucket.asked.clear()
        bucket.faults.append(Fault("GET", hold=True, times=40))
        done: list[bytes] = []
        readers = [threading.Thread(target=lambda: done.append(fetched(server, "BODY.PEEK[]"))) for _ in range(12)]
        for reader in readers:
            reader.start()
        end = time.monotonic() + 5
        while bucket.count("GET") < 12 and time.monotonic() < end:
            time.sleep(0.02)
        assert bucket.count("GET") >= 12
        assert done == []
        for _ in range(5):
            assert b"hello" in fetched(server, "BODY.PEEK[TEXT]", which="2")
        server.deliver(ANNA, compose("stranger@elsewhere.test", ANNA, subject="small too"))
        assert done == []
        bucket.gate.set()
        for reader in readers:
            reader.join()
        assert len(done) == 12
        assert len(set(done)) == 1


@pytest.mark.skipif(os.environ.get(STORE) == "postgresql", reason="PostgreSQL is backed up by its own tools")
def test_a_backup_has_the_objects_and_a_restored_installation_needs_no_object_store(tmp_path: Path, bucket: Bucket) -> None:
    backup = str(tmp_path / "backup")
    with house(tmp_path / "old", bucket) as server:
        server.people("anna")
        server.deliver(ANNA, large("one"))
        server.deliver(ANNA, large("two"))
        first = run(server, "backup", backup)
        assert first["files"] == 2
        # Each by the backup, and by the index when it comes to it; the list of them once.
        end = time.monotonic() + 20
        while bucket.count("GET") < 5 and time.monotonic() < end:
            time.sleep(0.02)
        bucket.asked.clear()
        server.deliver(ANNA, large("three"))
        assert run(server, "backup", backup)["files"] == 3
        assert len({path for method, path, _ in bucket.asked if method == "GET"}) == 1, "what a backup has is not read again"
        there = server.messages(ANNA)
        bucket.is_down = True
        server.deliver(ANNA, compose("stranger@elsewhere.test", ANNA))
        assert run(server, "backup", backup)["files"] == 3, "nothing that is new lies there"
        bucket.is_down = False
        server.deliver(ANNA, large("four"))
        bucket.is_down = True
        assert server.run("backup", backup, check=False).returncode != 0
        assert run(server, "backup", "verify", backup)["whole"]
    bare = Server(tmp_path / "bare")
    bare.directory.mkdir()
    assert run(bare, "restore", backup)
    with bare:
        assert bare.messages(ANNA)[:3] == there
        assert run(bare, "verify")["whole"]
    bucket.is_down = False
    before = set(bucket.messages())
    again = house(tmp_path / "again", bucket)
    assert run(again, "restore", backup)
    with again:
        assert again.messages(ANNA)[:3] == there
        again.deliver(ANNA, large("five"))
        (made,) = set(bucket.messages()) - before
        homes = {name.split("/")[1] for name in before}
        assert made.split("/")[1] not in homes, "two installations share no name"


def test_another_bucket_is_not_mistaken_for_ours(tmp_path: Path, bucket: Bucket) -> None:
    with house(tmp_path, bucket) as server:
        server.people("anna")
        server.deliver(ANNA, large("one"))
    kept = dict(bucket.objects)
    bucket.objects.clear()
    with pytest.raises(AssertionError, match="not where the messages of this installation lie"):
        server.start()
    bucket.objects.update(kept)
    bucket.is_down = True
    with server:
        server.deliver(ANNA, compose("stranger@elsewhere.test", ANNA))
        bucket.is_down = False
        assert len(server.messages(ANNA)) == 2
    del server.settings["objects.url"]
    with server:
        client = server.imap(ANNA)
        client.select("INBOX")
        assert client.fetch("1", "(BODY.PEEK[])")[0] == "NO"
        assert client.fetch("2", "(BODY.PEEK[])")[0] == "OK"
        client.logout()


def test_a_directory_serves_as_well(tmp_path: Path) -> None:
    objects = tmp_path / "objects"
    with Server(tmp_path / "house", {"objects.url": f"file://{objects}", "objects.above": "300 KiB"}) as server:
        server.people("anna")
        server.deliver(ANNA, large("one", 6000))
        server.deliver(ANNA, large("two"))
        server.deliver(ANNA, large("three", 3))
        assert len([one for one in objects.rglob("*-*") if one.is_file()]) == 1
        assert objects.stat().st_mode & 0o077 == 0
        # What is between the two is in a file, but where nodes share no disk: then it is in the database.
        between = 0 if os.environ.get(STORE) == "postgresql" else 1
        assert len([one for one in (server.data / "messages").rglob("*") if one.is_file()]) == between
        assert [b"the word is " + word in one for word, one in zip((b"one", b"two", b"three"), server.messages(ANNA), strict=True)] == [
            True
        ] * 3
        assert run(server, "verify")["whole"]


@pytest.mark.skipif(os.environ.get(STORE) == "postgresql", reason="there a server is one process")
def test_several_workers_read_and_write_there_whoever_is_replaced(tmp_path: Path, bucket: Bucket) -> None:
    with house(tmp_path, bucket, workers=WORKERS) as server, ExitStack() as stack:
        server.people("anna", "bruno")
        server.deliver(ANNA, large("delivered"))
        for number, (talk,) in enumerate(spread(server, ANNA, stack)):
            talk.ok("APPEND INBOX", large(f"appended {number}"))
            talk.ok("SELECT INBOX")
            assert b"the word is delivered" in talk.ok("FETCH 1 BODY.PEEK[]").lines[0]
        assert len(bucket.messages()) == 1 + WORKERS
        whole(server, killed(server, "keeper"))
        server.deliver(ANNA, large("with another keeper"))
        whole(server, killed(server, "worker"))
        with ExitStack() as again:
            for (talk,) in spread(server, ANNA, again):
                talk.ok("SELECT INBOX")
                assert b"the word is with another keeper" in talk.ok("FETCH 4 BODY.PEEK[]").lines[0]
        # A worker that begins while it is down serves all that lies elsewhere.
        bucket.is_down = True
        whole(server, killed(server, "worker"))
        with ExitStack() as again:
            for (talk,) in spread(server, ANNA, again):
                talk.ok("SELECT INBOX")
                assert talk.do("FETCH 1 BODY.PEEK[]").kind == "NO UNAVAILABLE"
                talk.ok("APPEND INBOX", compose("stranger@elsewhere.test", ANNA))
                bucket.is_down = False
                assert b"the word is delivered" in talk.ok("FETCH 1 BODY.PEEK[]").lines[0]
                bucket.is_down = True
        bucket.is_down = False
        assert run(server, "verify")["whole"]
    log = server.log.read_text()
    assert "Traceback" not in log
    assert SECRET not in log
