"""`procura policy` by the real command while a server runs: open sessions see it, a killed command leaves nothing half done."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.forked import started
from tests.live.post import submit
from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Talk


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("policy")) as running:
        running.people("owner", "dora", "emil")
        running.prov(
            "grantRight account owner@acme.test usr dora@acme.test sendAs",
            "selectMailbox owner@acme.test modifyFolderGrant /INBOX account dora@acme.test rwid",
        )
        yield running


def applied(server: Server, text: str, *more: str) -> subprocess.CompletedProcess[str]:
    return server.run("policy", "apply", "-", *more, stdin=text, check=False)


def test_open_sessions_see_it_at_once(server: Server) -> None:
    before = server.run("policy", "export").stdout
    assert PASSWORD not in before
    assert "argon2" not in before
    client = server.smtp("dora@acme.test")
    with Talk(server.ports["imap"], "dora@acme.test") as talk:
        talk.ok('SELECT "Other Users/owner/INBOX"')
        after = before.replace('right = "sendAs"', 'right = "sendOnBehalfOf"').replace('rights = "rwid"', 'rights = "i"')
        file = server.directory / "after.toml"
        file.write_text(after)
        planned = json.loads(server.run("policy", "plan", str(file), "--json").stdout)
        gains = {(one["actor"], one["gains"], one["what"], one["folder"]) for one in planned["effects"]}
        assert gains == {
            ("dora@acme.test", False, "sendAs", ""),
            ("dora@acme.test", True, "sendOnBehalfOf", ""),
            ("dora@acme.test", False, "rwd[k]", "/INBOX"),
        }
        server.run("policy", "apply", str(file), "--state", planned["state"])
        assert b"access to this folder has ended" in talk.farewell(20)
    assert submit(client, "", "emil@acme.test", compose("owner@acme.test", "emil@acme.test")).accepted
    assert b"Sender: Dora <dora@acme.test>" in server.wait_for("emil@acme.test")[-1]
    assert server.run("policy", "export").stdout == after
    assert "dora@acme.test gains sendAs on owner@acme.test" in server.run("policy", "rollback").stdout
    assert server.run("policy", "export").stdout == before
    assert server.run("can", "dora@acme.test", "send-as", "owner@acme.test").returncode == 0


def test_words_and_exits(server: Server) -> None:
    before = server.run("policy", "export").stdout
    assert "0 changes" in applied(server, before).stdout
    wrong = applied(server, before.replace("rwid", "rwq"))
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("ERROR: service.INVALID_REQUEST (invalid request: line ")
    assert "unknown right 'q'" in wrong.stderr
    stale = applied(server, before.replace("rwid", "r"), "--state", "0123456789abcdef")
    assert stale.returncode == 1
    assert "changed since it was planned" in stale.stderr
    for misused in (["policy"], ["policy", "apply"], ["policy", "rollback", "x"]):
        assert server.run(*misused, check=False).returncode == 2, misused
    missing = server.run("policy", "plan", str(server.directory / "missing.toml"), check=False)
    assert missing.returncode == 1
    assert "No such file" in missing.stderr
    assert server.run("policy", "export").stdout == before
    assert "procura policy" in server.run("policy", "--help").stdout


def test_a_killed_command_leaves_all_or_nothing(server: Server) -> None:
    before = server.run("policy", "export").stdout
    after = before.replace('rights = "rwid"', 'rights = "r"').replace('right = "sendAs"', 'right = "loginAs"')
    file = server.directory / "killed.toml"
    file.write_text(after)
    for patience in (0.01, 0.03, 0.1):
        command = started(
            [*server.command, "policy", "apply", str(file)],
            env={**server.environment, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        time.sleep(patience)
        command.kill()
        command.wait()
        found = server.run("policy", "export").stdout
        assert found in (before, after)
        if found == after:
            server.run("policy", "rollback")
            assert server.run("policy", "export").stdout == before


def test_rollback_survives_a_restart_and_needs_no_server(server: Server) -> None:
    before = server.run("policy", "export").stdout
    assert applied(server, before.replace('rights = "rwid"', 'rights = "rw"')).returncode == 0
    server.kill()
    assert 'rights = "rw"' in server.run("policy", "export").stdout
    server.run("policy", "rollback")
    assert server.run("policy", "export").stdout == before
    server.start()
    assert server.run("policy", "export").stdout == before
    assert server.run("audit", "verify").returncode == 0
    assert "policy rolled back" in server.run("audit", "list").stdout
