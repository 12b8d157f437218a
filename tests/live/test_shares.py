"""A shared mailbox by one command, as its members find it in their mail programs, until its last second."""

from __future__ import annotations

import json
import os
import pty
import smtplib
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live.forked import started
from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Talk

SECOND = 1.0
ENDED = b"* BYE access to this folder has ended"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("shares")) as running:
        running.people("anna", "bruno", "carla", "stranger")
        running.prov("createDistributionList team@acme.test", "adlm team@acme.test anna@acme.test bruno@acme.test")
        yield running


def lsub(session: Talk, pattern: str = "*") -> list[bytes]:
    return [line.partition(b' "/" ')[2].strip(b'"') for line in session.ok(f'LSUB "" "{pattern}"').about("LSUB")]


def at(seconds: float) -> tuple[float, str]:
    """A time in so many seconds, cut to the second, and how it is written."""
    until = int(time.time() + seconds)
    return until, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))


def test_one_command_makes_the_mailbox_and_members_find_it(server: Server) -> None:
    with Talk(server.ports["imap"], "bruno@acme.test") as session:
        session.idle()
        done = server.run("share", "create", "support@acme.test", "--members", "team@acme.test", "--preset", "manage", "--name", "Support")
        assert "a new mailbox support@acme.test without a password" in done.stdout
    with Talk(server.ports["imap"], "anna@acme.test") as session:
        assert b"Other Users/support/INBOX" in lsub(session)
        assert b"Other Users/support/Sent" in lsub(session)
        server.deliver("support@acme.test", compose("customer@elsewhere.test", "support@acme.test", "it does not work"))
        session.ok('SELECT "Other Users/support/INBOX"')
        assert b"it does not work" in session.ok("UID FETCH 1:* (BODY.PEEK[])").lines[0]
        session.ok('CREATE "Other Users/support/Open"')
        session.ok('UID MOVE 1 "Other Users/support/Open"')
    with Talk(server.ports["imap"], "stranger@acme.test") as session:
        assert not any(b"support" in line for line in session.ok('LIST "" "*"').lines)
    with pytest.raises(smtplib.SMTPAuthenticationError):
        server.smtp("support@acme.test", "")
    with server.smtp("anna@acme.test") as client:
        client.sendmail("anna@acme.test", ["carla@acme.test"], compose("support@acme.test", "carla@acme.test", "an answer"))
    (arrived,) = server.wait_for("carla@acme.test")
    assert b"anna" not in arrived.lower()
    (copy,) = server.wait_for("anna@acme.test", "Other Users/support/Sent")
    assert b"Subject: an answer" in copy
    assert server.messages("anna@acme.test", "Sent") == []
    with server.smtp("carla@acme.test") as client, pytest.raises(smtplib.SMTPDataError) as refused:
        client.sendmail("carla@acme.test", ["anna@acme.test"], compose("support@acme.test", "anna@acme.test"))
    assert (refused.value.smtp_code, b"5.7.1" in bytes(refused.value.smtp_error)) == (550, True)


def test_on_behalf_with_the_copy_in_the_senders_own_sent(server: Server) -> None:
    options = ("--preset", "send-and-read", "--on-behalf", "--sent", "sender")
    server.run("share", "create", "sales@acme.test", "--members", "bruno@acme.test", *options)
    with server.smtp("bruno@acme.test") as client:
        client.sendmail("bruno@acme.test", ["stranger@acme.test"], compose("sales@acme.test", "stranger@acme.test", "an offer"))
    (arrived,) = server.wait_for("stranger@acme.test")
    assert b"Sender:" in arrived
    assert b"bruno@acme.test" in arrived
    assert any(b"an offer" in one for one in server.wait_for("bruno@acme.test", "Sent"))
    assert server.messages("bruno@acme.test", "Other Users/sales/Sent") == []


def test_at_its_end_open_sessions_lose_it(server: Server) -> None:
    until, spelled = at(20)
    server.run("share", "create", "brief@acme.test", "--members", "carla@acme.test", "--preset", "manage", "--until", spelled)
    with Talk(server.ports["imap"], "carla@acme.test") as idling, server.smtp("carla@acme.test") as client:
        idling.ok('SELECT "Other Users/brief/INBOX"')
        assert b"Other Users/brief/INBOX" in lsub(idling)
        idling.idle()
        assert idling.farewell(until + 15 * SECOND - time.time()) == ENDED
        assert time.time() >= until
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("carla@acme.test", ["anna@acme.test"], compose("brief@acme.test", "anna@acme.test"))
    with Talk(server.ports["imap"], "carla@acme.test") as session:
        assert not any(b"brief" in line for line in session.ok('LIST "" "*"').lines)
        assert not any(b"brief" in line for line in lsub(session))
    assert "(over)" in server.run("share", "list", "--owner", "brief@acme.test").stdout


def test_ending_it_takes_it_from_open_sessions_and_leaves_what_was_granted_otherwise(server: Server) -> None:
    server.prov("createAccount owner@acme.test '' displayName Owner", "sm owner@acme.test mfg /Archive account carla@acme.test r")
    server.run("share", "create", "owner@acme.test", "--members", "carla@acme.test", "--preset", "read/write", "--folders", "INBOX")
    with Talk(server.ports["imap"], "carla@acme.test") as inside, Talk(server.ports["imap"], "carla@acme.test") as beside:
        inside.ok('SELECT "Other Users/owner/INBOX"')
        inside.idle()
        beside.ok('SELECT "Other Users/owner/Archive"')
        told = server.run("share", "end", "owner@acme.test").stdout
        assert "account carla@acme.test still has r on /Archive, which the share did not give" in told
        assert inside.farewell(SECOND * 5) == ENDED
        beside.ok("NOOP")
        beside.ok("UID SEARCH ALL")


def test_changing_it_reaches_open_sessions(server: Server) -> None:
    """A member that joins finds it while it waits, one that leaves is turned out, and less is less at once."""
    server.run("share", "create", "changed@acme.test", "--members", "anna@acme.test,bruno@acme.test", "--preset", "manage")
    server.deliver("changed@acme.test", compose("customer@elsewhere.test", "changed@acme.test", "a question"))
    with Talk(server.ports["imap"], "anna@acme.test") as stays, Talk(server.ports["imap"], "bruno@acme.test") as leaves:
        stays.ok('SELECT "Other Users/changed/INBOX"')
        leaves.ok('SELECT "Other Users/changed/INBOX"')
        leaves.idle()
        order = ("--remove", "bruno@acme.test", "--add", "carla@acme.test", "--preset", "send-and-read", "--on-behalf", "--note", "quieter")
        told = server.run("share", "modify", "changed@acme.test", *order).stdout
        assert "until now manage" in told
        assert "taken away from account bruno@acme.test: sendAs" in told
        assert leaves.farewell(SECOND * 5) == ENDED
        stays.ok("UID FETCH 1:* (BODY.PEEK[])")
        assert stays.do("UID STORE 1 +FLAGS (\\Deleted)").kind == "NO NOPERM"
    with Talk(server.ports["imap"], "carla@acme.test") as joined:
        assert b"Other Users/changed/INBOX" in lsub(joined)
        joined.ok('SELECT "Other Users/changed/INBOX"')
    before = len(server.messages("stranger@acme.test"))
    with server.smtp("carla@acme.test") as client:
        client.sendmail("carla@acme.test", ["stranger@acme.test"], compose("changed@acme.test", "stranger@acme.test", "quietly"))
    arrived = next(one for one in server.wait_for("stranger@acme.test", count=before + 1) if b"quietly" in one)
    assert b"Sender:" in arrived
    server.run("share", "end", "changed@acme.test", "--delete-mailbox")


def test_the_same_without_a_server(tmp_path: Path) -> None:
    """What is shared while nothing runs is there when it starts."""
    server = Server(tmp_path)
    server.people("anna")
    server.run("share", "create", "desk@acme.test", "--members", "anna@acme.test", "--preset", "read")
    with server, Talk(server.ports["imap"], "anna@acme.test") as session:
        assert b"Other Users/desk/INBOX" in lsub(session)
    assert json.loads(server.run("share", "list", "--json").stdout)[0]["mailbox"] == "desk@acme.test"


def test_a_killed_command_leaves_all_or_nothing(server: Server) -> None:
    """Killed after ever longer times: there is a whole share or no trace of one."""
    outcomes = set()
    members = "anna@acme.test,bruno@acme.test,carla@acme.test"
    for turn in range(5):
        name = f"killed{turn}@acme.test"
        command = [*server.command, "share", "create", name, "--members", members, "--preset", "manage"]
        environment = {**server.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
        with started(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.01 + 0.02 * turn)
            process.kill()
        ends = time.monotonic() + 20
        while True:
            found = [one for one in json.loads(server.run("share", "list", "--json").stdout) if one["mailbox"] == name]
            is_there = server.run("prov", "getAccount", name, check=False).returncode == 0
            # The server may have been about to do what it was asked, between the two questions.
            if is_there == bool(found) or time.monotonic() > ends:
                break
        assert is_there == bool(found)
        for one in found:
            assert (len(one["members"]), len(one["folders"]), len(one["rights"])) == (3, 3, 3)
        outcomes.add(is_there)
    assert outcomes


def at_a_terminal(server: Server, answer: bytes, *arguments: str) -> tuple[int, str]:
    """The command with a terminal for its standard input; what it printed, and its exit status."""
    ours, its = pty.openpty()
    environment = {**server.environment, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = started(
        [*server.command, *arguments], env=environment, stdin=its, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    os.close(its)
    os.write(ours, answer)
    out, _ = process.communicate(timeout=60)
    os.close(ours)
    return process.returncode, out


def test_at_a_terminal_it_is_shown_and_asked_about_first(server: Server) -> None:
    order = ("share", "create", "asked@acme.test", "--members", "anna@acme.test", "--preset", "read")
    status, out = at_a_terminal(server, b"n\n", *order)
    assert (status, "see and read (r)" in out, "do it?" in out) == (1, True, True)
    assert server.run("prov", "getAccount", "asked@acme.test", check=False).returncode == 1
    status, out = at_a_terminal(server, b"y\n", *order)
    assert (status, "nothing was changed yet" in out) == (0, True)
    assert "asked@acme.test" in server.run("share", "list").stdout
    more = ("share", "modify", "asked@acme.test", "--preset", "manage")
    status, out = at_a_terminal(server, b"n\n", *more)
    assert (status, "see and read (r)" in out, "rwidxa); r until now" in out, "do it?" in out) == (1, False, True, True)
    assert "preset: read\n" in server.run("share", "show", "asked@acme.test").stdout
    status, out = at_a_terminal(server, b"y\n", *more)
    assert (status, "rwidxa); r until now" in out) == (0, True)
    assert "preset: manage\n" in server.run("share", "show", "asked@acme.test").stdout
    status, out = at_a_terminal(server, b"", "share", "end", "asked@acme.test", "--yes", "--delete-mailbox")
    assert (status, "asked@acme.test is deleted" in out) == (0, True)
    status, out = at_a_terminal(server, b"", "share", "end", "asked@acme.test")
    assert (status, "do it?" in out) == (1, False)


def test_a_refusal_at_the_command_line(server: Server) -> None:
    done = server.run("share", "create", "team@acme.test", "--members", "anna@acme.test", "--preset", "read", check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("ERROR: service.INVALID_REQUEST (invalid request: team@acme.test is a distribution list")
    assert server.run("share", "--help").stdout.startswith("usage: procura share [--json] create ADDRESS")
    assert server.run("share", check=False).returncode == 2
    assert PASSWORD not in server.log.read_text()
