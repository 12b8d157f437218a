"""Memory that the system bounds while large messages arrive (robustness.md section 5, F15): who cannot be served is told to come back,
everybody else is served, and the process goes on."""

from __future__ import annotations

import os
import re
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.live.hostile import Bystander, has_message_id, imap, smtp, unharmed
from tests.live.server import Server
from tests.live.verified import SOAK, verified

USER = "user@acme.test"
MIB = 1 << 20
COUNT, SIZE, ROOM = (20, 50 * MIB, 512 * MIB) if SOAK else (12, 20 * MIB, 128 * MIB)
"""So many messages at once, of so many octets each, with so much memory for all of them."""
BLOCK = b"x" * 998 + b"\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path, {"limits.message_size": 64 * MIB})
    made.anew = True
    made.people("user", "quiet")
    with made:
        yield made


def virtual(pid: int) -> int:
    found = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


@contextmanager
def address_space(server: Server, octets: int) -> Iterator[None]:
    """So much more than it has now."""
    for pid in server.pids:
        resource.prlimit(pid, resource.RLIMIT_AS, (virtual(pid) + octets, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid in server.pids:
            resource.prlimit(pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


GROUPS = Path("/sys/fs/cgroup")


@contextmanager
def group(octets: int) -> Iterator[Path]:
    """A control group with so much memory, and no swap; skips where none can be made."""
    for above, limit in ((GROUPS, "memory.max"), (GROUPS / "memory", "memory.limit_in_bytes")):
        place = above / f"procura-test-{os.getpid()}"
        try:
            place.mkdir()
        except OSError:
            continue
        try:
            if (place / limit).exists():
                (place / limit).write_text(str(octets))
                with suppress(OSError):
                    (place / "memory.swap.max").write_text("0")
                yield place
                return
        finally:
            with suppress(OSError):
                place.rmdir()
    pytest.skip("no control group with a bound on memory can be made here")


def attempt(server: Server, number: int, answers: dict[int, str]) -> None:
    try:
        if number % 4 == 3:
            answers[number] = appended(server, number)
        else:
            answers[number] = handed_in(server, number)
    except (OSError, EOFError, AssertionError, IndexError) as gone:
        answers[number] = f"gone {gone!r}"


def head(number: int) -> bytes:
    return f"From: <x@elsewhere.test>\r\nMessage-ID: <large-{number}@x.test>\r\n\r\n".encode()


def handed_in(server: Server, number: int, size: int = SIZE) -> str:
    with smtp(server, "lmtp", seconds=120) as raw:
        for command in (b"MAIL FROM:<x@elsewhere.test>", b"RCPT TO:<user@acme.test>", b"DATA"):
            answer = raw.say(command)
            if answer[:1] not in "23" or not answer:
                return answer
        raw.send(head(number))
        for _ in range(size // len(BLOCK) // 64):
            raw.send(BLOCK * 64)
        raw.send(b".\r\n")
        return raw.reply()


def appended(server: Server, number: int) -> str:
    with imap(server, USER, seconds=120) as raw:
        whole = SIZE // len(BLOCK) // 64 * 64 * len(BLOCK) + len(head(number))
        raw.send(b"a APPEND INBOX {%d}\r\n" % whole)
        said = raw.line()
        if not said.startswith(b"+"):
            return said.decode().strip()
        raw.send(head(number))
        for _ in range(SIZE // len(BLOCK) // 64):
            raw.send(BLOCK * 64)
        raw.send(b"\r\n")
        return raw.until(b"a").splitlines()[-1].decode()


def flooded(server: Server) -> dict[int, str]:
    answers: dict[int, str] = {}
    threads = [threading.Thread(target=attempt, args=(server, number, answers)) for number in range(COUNT)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(240)
    assert len(answers) == COUNT
    return answers


def judged(server: Server, answers: dict[int, str]) -> None:
    print(sorted(answers.values()))
    # A goodbye may be lost to who still sends.
    said = [one for one in answers.values() if one and not one.startswith("gone")]
    assert all(one.startswith(("250 ", "a OK ", "4", "a NO ", "* BYE ")) for one in said), answers
    assert handed_in(server, 99, 100_000).startswith("250 "), "it goes on"
    found = server.messages(USER)
    for number, answer in answers.items():
        count = has_message_id(found, f"large-{number}@x.test".encode())
        if answer.startswith(("250 ", "a OK ")):
            assert count == 1, (number, answer)
        elif answer and not answer.startswith("gone"):
            assert count == 0, (number, answer)
    verified(server)


@pytest.mark.timeout(400)
def test_address_space_that_runs_out(server: Server) -> None:
    """Not known when the server began: it meets it where it asks for memory."""
    written = server.log.stat().st_size
    with Bystander(server, "quiet@acme.test") as bystander, address_space(server, ROOM):
        answers = flooded(server)
    assert bystander.fault is None, bystander.fault
    assert bystander.worst < 10
    faults = re.findall(r'exception="(Traceback.*?)"$', server.log.read_bytes()[written:].decode(), re.MULTILINE)
    assert [one for one in faults if not one.endswith("MemoryError\\n")] == []
    assert any(not one.startswith(("250 ", "a OK ")) for one in answers.values()), "it was never short of memory"
    judged(server, answers)


@pytest.mark.timeout(400)
def test_a_control_group_that_is_full(tmp_path: Path) -> None:
    """The system kills whoever asks for more: so no more is asked for."""
    server = Server(tmp_path, {"limits.message_size": SIZE + MIB})
    server.people("user", "quiet")
    with group(ROOM + 128 * MIB) as place:
        code = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"
        command = Server.serving.fget  # type: ignore[attr-defined]

        class Bounded(Server):
            @property
            def serving(self) -> list[str]:
                return [self.command[0], "-c", code, str(place / "cgroup.procs"), *command(self)]

        bounded = Bounded(tmp_path, server.settings)
        bounded.anew = True
        with bounded:
            with unharmed(bounded, "quiet@acme.test", growth=ROOM + 128 * MIB, latency=10):
                answers = flooded(bounded)
            judged(bounded, answers)
