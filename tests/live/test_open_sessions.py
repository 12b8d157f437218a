"""An operator sees who is logged in, ends a session within a second, and reads who was logged in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.live.server import Server
from tests.live.talk import Mail, Talk

OWNER, DELEGATE = "owner@acme.test", "delegate@acme.test"
SECOND = 1.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("sessions")) as running:
        running.people("owner", "delegate")
        yield running


def listed(server: Server, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(server.run("sessions", "list", *arguments, "--json").stdout)
    return found


def test_what_is_seen_of_a_session(server: Server) -> None:
    with (
        Talk(server.ports["imap"], OWNER) as owner,
        Talk(server.ports["imap"], DELEGATE) as reader,
        Mail(server.ports["submission"]) as mail,
    ):
        owner.ok(f"SETACL INBOX {DELEGATE} lr")
        reader.ok('ID ("name" "Test Mailer" "version" "3" "os" "secret")')
        reader.ok('SELECT "Other Users/owner/INBOX"')
        assert mail.login(OWNER).startswith("235")
        (row,) = listed(server, "--account", DELEGATE)
        assert (row["protocol"], row["client"], row["folder"], row["peer"]) == ("imap", "Test Mailer 3", f"{OWNER}:/INBOX", "127.0.0.1")
        assert sorted((row["protocol"], row["client"], row["folder"]) for row in listed(server, OWNER)) == [
            ("imap", None, None),
            ("smtp", "client.test", None),
        ]
        owner.ok("SELECT Sent")
        assert [row["folder"] for row in listed(server, OWNER, "--protocol", "imap")] == ["/Sent"]


def test_ending_one_ends_that_one_within_a_second(server: Server) -> None:
    with Talk(server.ports["imap"], OWNER) as kept, Talk(server.ports["imap"], OWNER) as ended:
        ended.ok('ID ("name" "to be ended")')
        ended.ok("SELECT INBOX")
        ended.idle()
        (number,) = [row["number"] for row in listed(server, OWNER) if row["client"] == "to be ended"]
        assert server.run("sessions", "end", str(number)).stdout == "1 ended\n"
        assert ended.farewell(SECOND) == b"* BYE ended by an administrator"
        kept.ok("NOOP")
        again = server.run("sessions", "end", str(number), check=False)
        assert (again.returncode, "account.NO_SUCH_SESSION" in again.stderr) == (1, True)


def test_ending_all_of_an_account(server: Server) -> None:
    with (
        Talk(server.ports["imap"], OWNER) as owner,
        Talk(server.ports["imap"], DELEGATE) as other,
        Mail(server.ports["submission"]) as mail,
    ):
        mail.login(OWNER)
        assert server.run("sessions", "end", "--account", OWNER).stdout == "2 ended\n"
        assert owner.farewell(SECOND) == b"* BYE ended by an administrator"
        assert mail.reply(SECOND) == "421 4.3.2 this session has ended: ended by an administrator"
        other.ok("NOOP")
        with Talk(server.ports["imap"], OWNER) as back:  # it is no lockout
            back.ok("NOOP")


def test_the_history_of_logins_outlives_the_server(server: Server) -> None:
    with Talk(server.ports["imap"]) as guesser:
        assert guesser.do(f'LOGIN {DELEGATE} "wrong"').kind == "NO AUTHENTICATIONFAILED"
    with Mail(server.ports["submission"]) as mail:
        assert mail.login(DELEGATE).startswith("235")

    def rows() -> set[tuple[str, bool, str, str]]:
        found = json.loads(server.run("logins", DELEGATE, "--json").stdout)
        return {(row["protocol"], row["admitted"], row["outcome"], row["source"]) for row in found}

    told = rows()
    assert {("imap", False, "wrong password", "127.0.0.1"), ("smtp", True, "admitted", "127.0.0.1")} <= told
    server.stop()
    assert rows() == told, "without a server"
    assert server.run("sessions").stdout == "no open sessions\n"
    server.start()
    assert rows() == told
