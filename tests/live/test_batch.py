"""While an administrator's batch changes the directory line by line, everybody else works on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.forked import started
from tests.live.server import Server, compose
from tests.live.talk import Mail, Talk

LINES = 300


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("batch")) as running:
        running.people("owner", "delegate", "reader")
        running.prov(
            "grantRight account owner@acme.test usr delegate@acme.test sendAs",
            "selectMailbox owner@acme.test modifyFolderGrant /INBOX account delegate@acme.test rwid",
        )
        yield running


def test_mail_is_neither_deferred_nor_lost_meanwhile(server: Server) -> None:
    process = started(
        [*server.command, "prov", "-f", "-"],
        env={**server.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    sent = 0
    with Mail(server.ports["submission"]) as smtp, Mail(server.ports["lmtp"], "LHLO client.test") as lmtp:
        assert smtp.login("delegate@acme.test").startswith("235")
        process.stdin.write("".join(f"createAccount batch{number}@acme.test ''\n" for number in range(LINES)))
        process.stdin.close()
        while process.poll() is None or sent < 10:
            message = compose("owner@acme.test", "reader@acme.test", f"number {sent}")
            assert smtp.send("delegate@acme.test", ["reader@acme.test"], message)[0].startswith("250")
            assert lmtp.send("a@elsewhere.test", ["reader@acme.test"], message)[0].startswith("250")
            sent += 1
    assert process.wait() == 0
    with Talk(server.ports["imap"], "reader@acme.test") as session:
        assert f"MESSAGES {2 * sent}".encode() in session.ok("STATUS INBOX (MESSAGES)").lines[0]
