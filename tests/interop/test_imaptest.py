"""Dovecot's imaptest as a judge, where somebody has it: twenty clients at once, and its scripted dialogues.

`IMAPTEST` names the binary (default: `imaptest` on the PATH), `IMAPTEST_SCRIPTS` the directory of its scripted tests (none: only the
stress test runs), `IMAPTEST_SECONDS` how long each stress test lasts. Its own_flags are left out: there it wants what no RFC demands (a
FETCH after STORE for messages that another session expunged, a keyword made by taking it away).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.office import letter
from tests.live.server import PASSWORD, Server

BINARY = shutil.which(os.environ.get("IMAPTEST", "imaptest"))
SCRIPTS = os.environ.get("IMAPTEST_SCRIPTS")
STRESS_SECONDS = int(os.environ.get("IMAPTEST_SECONDS", "10"))
CLIENTS = 20
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(STRESS_SECONDS + 120),
    pytest.mark.skipif(BINARY is None, reason="imaptest is not installed"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("imaptest")) as running:
        running.people(*(f"u{number}" for number in range(1, 10)))
        box = "selectMailbox u1@acme.test"
        grants = (f"{box} modifyFolderGrant /Pool account u{number}@acme.test rwixd" for number in range(2, 10))
        running.prov(f"{box} createFolder /Pool", *grants)
        yield running


def judge(server: Server, home: Path, *arguments: str) -> str:
    """What imaptest said, where it did not fall over."""
    assert BINARY is not None
    post = b"".join(
        b"From someone Mon Oct  5 10:00:00 2026\r\n"
        + letter(f"Number {number}", "u@acme.test")
        + b"line\r\n" * (number * number % 900)
        + b"\r\n"
        for number in range(100)
    )
    (home / "mbox").write_bytes(post)
    there = ("host=127.0.0.1", f"port={server.ports['imap']}", f"pass={PASSWORD}", f"mbox={home}/mbox")
    command = [BINARY, *there, *arguments]
    done = subprocess.run(command, cwd=home, capture_output=True, timeout=STRESS_SECONDS + 100, env={"PATH": os.environ["PATH"]})
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert done.returncode == 0 or "test groups" in said, said[-4000:]
    return said


@pytest.mark.parametrize(
    "manner",
    [
        ("user=u2@acme.test",),
        ("user=u3@acme.test", "no_pipelining"),
        ("user=u4@acme.test", "own_msgs"),
        ("user=u6@acme.test", "qresync"),
        (
            "user=u7@acme.test",
            "copybox=Archive",
            *["search=50", "sort=50", "thread=50", "copy=33", "move=20", "noop=20", "disconnect=5", "mcreate=20", "mdelete=10"],
        ),
        ("user=u%d@acme.test", "users=2-9", "box=Other Users/u1/Pool"),
    ],
    ids=lambda manner: " ".join(manner[:3]),
)
def test_twenty_clients_at_once_find_no_fault(server: Server, tmp_path: Path, manner: tuple[str, ...]) -> None:
    said = judge(server, tmp_path, f"clients={CLIENTS}", f"secs={STRESS_SECONDS}", *manner)
    faults = re.findall(r"^.*(?:Error|Fatal|Panic): .*$", said, re.MULTILINE)
    assert faults == []
    # It did something: commands are counted under their names in the last line.
    assert sum(map(int, re.findall(r"\d+", said.strip().splitlines()[-1]))) > 100


@pytest.mark.skipif(SCRIPTS is None, reason="IMAPTEST_SCRIPTS names no directory")
def test_every_scripted_dialogue_is_as_it_should_be(server: Server, tmp_path: Path) -> None:
    said = judge(server, tmp_path, "user=u8@acme.test", "user2=u9@acme.test", f"test={SCRIPTS}")
    failed = re.findall(r"^\*\*\* Test (\S+) command", said, re.MULTILINE)
    assert failed == [], said
    assert re.search(r"^\d+ test groups: 0 failed", said, re.MULTILINE), said[-2000:]
