"""Grants that end, through the real command and real sessions: announced before, gone to the second, and known by when they were used."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.server import Server, compose
from tests.live.talk import Talk

ENDED = b"* BYE access to this folder has ended"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("times")) as running:
        running.people("anna", "bruno", "carla")
        yield running


def grants(server: Server, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.run("grants", *arguments, "--json").stdout)
    return found


def spelled(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def test_the_end_is_announced_and_comes_in_the_open_session(server: Server) -> None:
    server.prov("modifyAccount anna@acme.test grantWarnBefore 3s")
    until = int(time.time() + 10)
    server.prov(
        f"sm anna@acme.test mfg /INBOX account bruno@acme.test r --until {spelled(until)} --note 'while I am away'",
        f"grr account anna@acme.test usr bruno@acme.test sendAs --until {spelled(until)}",
    )
    with Talk(server.ports["imap"], "bruno@acme.test") as session:
        session.ok('SELECT "Other Users/anna/INBOX"')
        session.idle()
        (told,) = server.wait_for("bruno@acme.test")
        assert b"Subject: What you may do for anna@acme.test ends soon" in told
        assert b"you may use /INBOX of anna@acme.test (r): while I am away" in told
        assert b"you may sendAs on anna@acme.test" in told
        (to_anna,) = server.wait_for("anna@acme.test")
        assert b"Subject: What account bruno@acme.test may do for anna@acme.test ends soon" in to_anna
        assert session.farewell(until + 6 - time.time()) == ENDED
        assert time.time() >= until
    found = grants(server, "list", "--owner", "anna@acme.test")
    assert [(one["inForce"], one["announced"] is not None) for one in found] == [(False, True), (False, True)]
    assert grants(server, "expiring") == []
    server.stop()
    server.start()
    assert len(server.messages("bruno@acme.test")) == 1, "announced once, also across a restart"


def test_what_is_used_is_known_to_be(server: Server) -> None:
    server.prov(
        "createAccount owner@acme.test ''",
        "sm owner@acme.test mfg / account carla@acme.test r",
        "sm owner@acme.test mfg /Archive account carla@acme.test rwi",
        "grr account owner@acme.test usr carla@acme.test sendAs --review +1w",
        "grr account owner@acme.test usr bruno@acme.test sendOnBehalfOf",
    )
    assert {one["lastUsed"] for one in grants(server, "list", "--owner", "owner@acme.test")} == {None}
    with Talk(server.ports["imap"], "carla@acme.test") as session:
        session.ok('SELECT "Other Users/owner/INBOX"')
        session.ok('APPEND "Other Users/owner/Archive"', compose("a@b.test", "owner@acme.test"))
    with server.smtp("carla@acme.test") as client:
        client.sendmail("carla@acme.test", ["bruno@acme.test"], compose("owner@acme.test", "bruno@acme.test"))
    ends = time.monotonic() + 20
    while True:
        used = {
            f"{one['grantee'].partition('@')[0]} {one['folder'] or one['right']}": one["lastUsed"] is not None
            for one in grants(server, "list", "--owner", "owner@acme.test")
        }
        if sum(used.values()) == 3 or time.monotonic() > ends:
            break
    assert used == {"carla /": True, "carla /Archive": True, "carla sendAs": True, "bruno sendOnBehalfOf": False}
    time.sleep(1.0)  # --since is a whole second
    # Given and unused since this very second: nobody else's, and not what was used.
    unused = grants(server, "unused", "--since", spelled(time.time()), "--owner", "owner@acme.test")
    assert [one["right"] for one in unused if one["right"] == "sendOnBehalfOf"] == ["sendOnBehalfOf"]
    assert [one["right"] for one in grants(server, "overdue", "--within", "2w")] == ["sendAs"]


def test_without_a_server_too(server: Server) -> None:
    server.stop()
    try:
        done = server.run("grants", "list", "--actor", "carla@acme.test")
        assert "owner@acme.test" in done.stdout
        assert server.run("grants", "list", check=False).returncode == 2
    finally:
        server.start()
