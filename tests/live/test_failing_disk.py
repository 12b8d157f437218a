"""A disk that fails below a running server (robustness.md section 5, F6 and F7): nothing is acknowledged that is not safe, the log says
so, whoever only reads is served, and it ends without a restart when the disk works again."""

from __future__ import annotations

import re
import smtplib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pytest

from tests.live.hostile import has_message_id, imap, smtp, unharmed
from tests.live.preloaded import EIO, ENOSPC, Preloaded
from tests.live.server import Server
from tests.live.small_disk import fill, small_disk
from tests.live.verified import SOAK, verified

USER = "user@acme.test"
SMALL, LARGE = 10, 300_000
"""Octets of messages that lie in a row and in a file."""


def running(directory: Path, workers: int) -> Iterator[Preloaded]:
    made = Preloaded(directory, {"workers": workers})
    made.people("user", "quiet")
    with made:
        yield made


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    yield from running(tmp_path_factory.mktemp("one"), 1)


@pytest.fixture(scope="module")
def several_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preloaded]:
    yield from running(tmp_path_factory.mktemp("several"), 2)


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Preloaded:
    made: Preloaded = request.getfixturevalue("one_process" if request.param == 1 else "several_processes")
    return made


def message(number: str, size: int) -> bytes:
    return f"From: <{USER}>\r\nMessage-ID: <{number}@x.test>\r\n\r\n".encode() + b"x" * size + b"\r\n"


def handed_in(server: Server, kind: str, number: str, size: int) -> str:
    """The last reply."""
    octets = message(number, size)
    if kind == "append":
        with imap(server, USER) as reader:
            reader.send(b"a APPEND INBOX {%d+}\r\n" % len(octets) + octets + b"\r\n")
            return reader.until(b"a").splitlines()[-1].decode()
    with smtp(server, kind, login=USER if kind == "submission" else None) as raw:
        sender = USER if kind == "submission" else "x@elsewhere.test"
        for command in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{USER}>"):
            answer = raw.say(command.encode())
            if not answer.startswith("250"):
                return answer
        assert raw.say(b"DATA").startswith("354")
        raw.send(octets + b".\r\n")
        return raw.reply()


def was_put_off(answer: str, why: str = "4") -> bool:
    return answer.startswith((f"{why}", "a NO "))


def says_full(answer: str) -> bool:
    """As robustness.md wants it (section 5, F6)."""
    return answer.startswith(("452 4.3.1 ", "a NO [LIMIT] "))


def there(server: Server, number: str) -> int:
    return has_message_id(server.messages(USER), f"{number}@x.test".encode())


KINDS = ("lmtp", "submission", "append")

FAULTS: dict[str, tuple[Sequence[tuple[str, str, int]], str, str]] = {
    # The rules; which messages are put off; and what the log has to say.
    "the log's fsync": ([("sync", "procura.db-wal", EIO)], "small large", "disk I/O error"),
    "the log's writes": ([("write", "procura.db-wal", EIO)], "small large", "disk I/O error"),
    "no room for the log": ([("write", "procura.db-wal", ENOSPC)], "small large", "full"),
    "a file's fsync": ([("sync", "messages/", EIO)], "large", "Input/output error"),
    "a file's writes": ([("write", "messages/", EIO)], "large", "Input/output error"),
    "a file's name": ([("rename", "messages/", EIO)], "large", "Input/output error"),
    "the fsync of files' directories": ([("sync", "/messages/", EIO)], "large", "Input/output error"),
    "no room for files": ([("write", "messages/", ENOSPC)], "large", "No space left"),
    "no room for new files": ([("open", ".part$", ENOSPC)], "large", "No space left"),
    "the search index": ([("write", "search.db", EIO), ("sync", "search.db", EIO)], "", ""),
}


def cases(several: Collection[str], one: Collection[str] = tuple(FAULTS)) -> pytest.MarkDecorator:
    """With one process, and with several: of these fewer outside of the long version, for each start takes its time."""
    chosen = [*((1, fault) for fault in FAULTS if fault in one), *((2, fault) for fault in (one if SOAK else several))]
    return pytest.mark.parametrize(("server", "fault"), chosen, indirect=["server"])


@cases(several=("the log's fsync", "a file's fsync"))
def test_what_is_not_safe_is_put_off_and_it_ends_without_a_restart(server: Preloaded, fault: str) -> None:
    rules, refused, reason = FAULTS[fault]
    name = re.sub(r"\W", "-", fault) + str(server.settings["workers"])
    server.deliver(USER, message(f"before-{name}", SMALL))
    written = server.log.stat().st_size
    answers: dict[str, str] = {}
    with unharmed(server, "quiet@acme.test"), server.failing(*rules):
        for kind in KINDS:
            for size, called in ((SMALL, "small"), (LARGE, "large")):
                number = f"during-{name}-{kind}-{called}"
                answers[number] = answer = handed_in(server, kind, number, size)
                if called in refused:
                    assert was_put_off(answer), (kind, called, answer)
                    assert says_full(answer) is fault.startswith("no room"), (kind, called, answer)
                else:
                    assert answer.startswith(("250 ", "a OK ")), (kind, called, answer)
        # Reading goes on.
        assert there(server, f"before-{name}") == 1
    said = server.log.read_bytes()[written:].decode("utf-8", "replace")
    assert reason in said, said[-3000:]
    for kind in KINDS:
        for size in (SMALL, LARGE):
            answer = handed_in(server, kind, f"after-{name}-{kind}-{size}", size)
            assert answer.startswith(("250 ", "a OK ")), answer
            assert there(server, f"after-{name}-{kind}-{size}") == 1
    for number, answer in answers.items():
        assert there(server, number) == (0 if was_put_off(answer) else 1), (number, answer)
    verified(server)


@pytest.mark.parametrize("server", [1], indirect=True)
def test_a_checkpoint_that_fails_costs_nothing(server: Preloaded) -> None:
    """What was to be moved into the database stays in its log."""
    name = f"checkpoint-{server.settings['workers']}"
    with unharmed(server, "quiet@acme.test"), server.failing(("sync", "procura.db$", EIO), ("write", "procura.db$", EIO)):
        for number in range(90):
            assert handed_in(server, "lmtp", f"{name}-{number}", 60_000).startswith("250 ")
        assert (server.data / "procura.db-wal").stat().st_size > 4 << 20
        time.sleep(1.5)
    assert handed_in(server, "lmtp", f"{name}-90", 60_000).startswith("250 ")
    found = server.messages(USER)
    assert [number for number in range(91) if has_message_id(found, f"{name}-{number}@x.test".encode()) != 1] == []
    verified(server)


@cases(several=(), one=("the log's fsync", "a file's fsync", "no room for the log") if SOAK else ("the log's fsync",))
def test_killed_while_it_fails_it_starts_with_all_that_was_acknowledged(server: Preloaded, fault: str) -> None:
    rules, refused, _ = FAULTS[fault]
    name = "killed-" + re.sub(r"\W", "-", fault) + str(server.settings["workers"])
    kept = [f"{name}-{kind}-{size}" for kind in KINDS for size in (SMALL, LARGE)]
    for number in kept:
        kind, size = number.split("-")[-2:]
        assert handed_in(server, kind, number, int(size)).startswith(("250 ", "a OK "))
    with server.failing(*rules):
        assert was_put_off(handed_in(server, "lmtp", f"{name}-refused", SMALL if "small" in refused else LARGE))
        server.kill()
    server.start()
    assert [there(server, number) for number in kept] == [1] * len(kept)
    # Whether a commit that failed is there is not known to anybody; once at most.
    assert there(server, f"{name}-refused") <= 1
    verified(server)


@pytest.mark.parametrize("server", [1, 2] if SOAK else [1], indirect=True)
def test_told_to_stop_while_it_fails_it_ends_and_loses_nothing(server: Preloaded) -> None:
    name = f"stopped-{server.settings['workers']}"
    assert handed_in(server, "lmtp", name, SMALL).startswith("250 ")
    with server.failing(("sync", "procura.db", EIO)):
        assert was_put_off(handed_in(server, "lmtp", f"{name}-refused", SMALL))
        assert server.stop() == 0
    server.start()
    assert there(server, name) == 1
    verified(server)


def test_it_starts_nothing_it_cannot_keep(tmp_path: Path) -> None:
    """A new store that cannot be made durable is none."""
    server = Preloaded(tmp_path / "new")
    with server.failing(("sync", "procura.db", EIO)):
        done = server.run("prov", "createDomain", "acme.test", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "disk I/O error" in done.stderr
    server.people("user")
    with server:
        server.deliver(USER, message("one", SMALL))
        assert there(server, "one") == 1
        verified(server)


class Unheard(Server):
    """What it writes to its log goes nowhere: there is never room."""

    @property
    def serving(self) -> list[str]:
        return ["sh", "-c", 'exec "$0" "$@" >/dev/full 2>&1', *super().serving]


def test_a_log_that_cannot_be_written_stops_no_mail(tmp_path: Path) -> None:
    server = Unheard(tmp_path)
    server.people("user")
    with server:
        server.deliver(USER, message("one", SMALL))
        assert there(server, "one") == 1
        verified(server)
        assert server.stop() == 0


# --- a disk that is small


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["rows", "files"])
def test_a_small_disk_that_fills_up(tmp_path: Path, size: int) -> None:
    server = Server(tmp_path)
    server.data = tmp_path / "disk" / "data"
    with small_disk(tmp_path / "disk", 24):
        server.people("user", "quiet")
        with server, unharmed(server, "quiet@acme.test"):
            for number in range(3):
                assert handed_in(server, "lmtp", f"before-{number}", size).startswith("250 ")
            ballast = tmp_path / "disk" / "ballast"
            fill(ballast)
            answers = [handed_in(server, kind, f"during-{kind}", size) for kind in KINDS]
            answers += [handed_in(server, kind, f"during-large-{kind}", LARGE) for kind in KINDS]
            assert all(says_full(one) for one in answers[3:]), answers
            assert all(says_full(one) or one.startswith(("250 ", "a OK ")) for one in answers), answers
            assert there(server, "before-0") == 1
            ballast.unlink()
            # In the same sessions and processes, without a restart.
            until(lambda: handed_in(server, "lmtp", "after", size).startswith("250 "))
            for kind, answer in zip((*KINDS, *(f"large-{one}" for one in KINDS)), answers, strict=True):
                assert there(server, f"during-{kind}") == (0 if was_put_off(answer) else 1), (kind, answer)
            verified(server)
        server.start()
        server.kill()
        with server:
            found = server.messages(USER)
            assert [has_message_id(found, f"{one}@x.test".encode()) for one in ("before-0", "before-1", "before-2")] == [1, 1, 1]
            verified(server)


@pytest.mark.parametrize("server", [1], indirect=True)
def test_the_library_makes_what_it_is_asked_to_fail(server: Preloaded) -> None:
    with server.failing(("sync", "procura.db-wal", EIO)), pytest.raises(smtplib.SMTPDataError):
        server.deliver(USER, message("asked", SMALL))
    server.deliver(USER, message("not-asked", SMALL))
