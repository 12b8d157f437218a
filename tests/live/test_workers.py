"""Several processes serve as one: what holds for one holds for all, and what is killed costs what it held and nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.live.server import PASSWORD, Server, compose
from tests.live.several import PATIENCE, WORKERS, killed, listed, processes, spread, those, until, whole
from tests.live.talk import Mail, Talk

SECOND = 1.0
OWNER, DELEGATE, WORKER = "owner@acme.test", "delegate@acme.test", "worker@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = {"workers": WORKERS, "limits.exempt_networks": [], "limits.connections_per_account": 8, "limits.connections_per_source": 40}
    with Server(tmp_path_factory.mktemp("workers"), settings) as running:
        running.people("owner", "delegate", "worker")
        yield running
    assert "Traceback" not in running.log.read_text(), running.log.read_text()[-6000:]


# --- as if they were one


def test_there_is_one_keeper_and_what_was_asked_for_of_workers(server: Server) -> None:
    assert sorted(processes(server).values()) == ["procura keeper", "procura worker", "procura worker"]


def test_what_arrives_in_one_worker_is_told_in_the_others(server: Server) -> None:
    with ExitStack() as stack:
        idling = [talk for some in spread(server, OWNER, stack) for talk in some]
        for talk in idling:
            talk.ok("SELECT INBOX")
            talk.idle()
        server.deliver(OWNER, compose("a@elsewhere.test", OWNER, "news"))
        for talk in idling:
            assert b"EXISTS" in talk.until(b"* ", SECOND)


def test_what_is_revoked_ends_in_every_worker_within_a_second(server: Server) -> None:
    with ExitStack() as stack, Talk(server.ports["imap"], OWNER) as owner:
        owner.ok("CREATE Shared")
        owner.ok(f"SETACL Shared {DELEGATE} lrs")
        reading = [talk for some in spread(server, DELEGATE, stack) for talk in some]
        for talk in reading:
            talk.ok('SELECT "Other Users/owner/Shared"')
            talk.idle()
        owner.ok(f"DELETEACL Shared {DELEGATE}")
        for talk in reading:
            assert talk.farewell(SECOND) == b"* BYE access to this folder has ended"


def test_a_status_reaches_the_sessions_of_every_worker(server: Server) -> None:
    with ExitStack() as stack:
        for talk in (talk for some in spread(server, WORKER, stack) for talk in some):
            talk.idle()
            stack.callback(lambda talk=talk: talk.farewell(SECOND))
        server.prov(f"modifyAccount {WORKER} status locked")
        stack.pop_all().close()
    server.prov(f"modifyAccount {WORKER} status active")


def test_sessions_of_all_workers_are_listed_and_ended(server: Server) -> None:
    with ExitStack() as stack, Mail(server.ports["submission"]) as mail:
        one, other = spread(server, OWNER, stack)
        assert mail.login(OWNER).startswith("235")
        rows = listed(server, OWNER)
        assert len({row["number"] for row in rows}) == len(rows) >= 3
        (number,) = [row["number"] for row in rows if row["number"] % WORKERS == 1 and row["protocol"] == "imap"]
        assert server.run("sessions", "end", str(number)).stdout == "1 ended\n"
        assert other[0].farewell(SECOND) == b"* BYE ended by an administrator"
        one[0].ok("NOOP")
        assert server.run("sessions", "end", "--account", OWNER).stdout == "2 ended\n"
        assert one[0].farewell(SECOND) == b"* BYE ended by an administrator"


def test_the_history_has_the_logins_of_every_worker_at_once(server: Server) -> None:
    with ExitStack() as stack:
        before = sum(row["times"] for row in json.loads(server.run("logins", OWNER, "--json").stdout))
        one, other = spread(server, OWNER, stack)
        assert one
        assert other
        after = sum(row["times"] for row in json.loads(server.run("logins", OWNER, "--json").stdout))
        assert after >= before + 2


def test_a_refusal_of_any_worker_is_explained_at_once(server: Server) -> None:
    with ExitStack() as stack:
        both = [talk for some in spread(server, WORKER, stack) for talk in some]
        both[0].ok("APPEND INBOX", compose("a@elsewhere.test", WORKER))
        server.prov(f"modifyAccount {WORKER} quota 1")
        for talk in both:
            found = re.search(r"\[(d-[0-9a-f]{12})\]", talk.do("APPEND INBOX", compose("a@elsewhere.test", WORKER)).tagged)
            assert found is not None
            (told,) = json.loads(server.run("why", found[1], "--json").stdout)
            assert told["refusal"]["reason"] == "over-quota"
    server.prov(f"modifyAccount {WORKER} quota 0")


def test_a_first_password_and_a_lockout_are_known_to_every_worker(server: Server) -> None:
    new = "new@acme.test"
    server.prov(f"createAccount {new} '' lockoutMaxFailures 3 lockoutSpareKnownSources FALSE")
    code = json.loads(server.run("password", "code", new, "--json").stdout)["code"]
    server.run("password", "set", new, code, "--password", "-", stdin=PASSWORD)
    with ExitStack() as stack:
        spread(server, new, stack)
    for _ in range(3):
        server.run("password", "set", new, "WRONG", "--password", "-", stdin=PASSWORD, check=False)
    for _ in range(8):
        with Talk(server.ports["imap"]) as talk:
            assert talk.do(f'LOGIN {new} "{PASSWORD}"').kind == "NO AUTHENTICATIONFAILED"


def test_an_account_has_no_more_sessions_than_it_may_whichever_worker_it_meets(server: Server) -> None:
    with ExitStack() as stack:
        until(lambda: not listed(server, DELEGATE), "sessions of earlier tests end")
        spread(server, DELEGATE, stack)
        until(lambda: len(listed(server, DELEGATE)) == 2, "those that were too many there end")
        for _ in range(6):
            stack.enter_context(Talk(server.ports["imap"], DELEGATE))
        for _ in range(6):
            with Talk(server.ports["imap"]) as more:
                assert more.do(f'LOGIN {DELEGATE} "{PASSWORD}"').kind.startswith("NO")
        assert len(listed(server, DELEGATE)) == 8


def test_messages_that_are_arriving_are_counted_together(tmp_path_factory: pytest.TempPathFactory) -> None:
    room = 1 << 20
    with Server(tmp_path_factory.mktemp("narrow"), {"workers": WORKERS, "limits.arriving": room}) as server, ExitStack() as stack:
        server.people("owner")
        (here,), (there,) = spread(server, OWNER, stack)
        here.send(b"big APPEND INBOX {%d}\r\n" % (room - 100_000))
        assert here.line().startswith(b"+ ")
        here.send(b"x" * (room - 100_000) + b" {1000}\r\n")
        assert here.until(b"+ ", PATIENCE)  # the next message is waited for: all of the first has arrived

        def offered() -> bytes:
            there.send(b"try APPEND INBOX {200000}\r\n")
            said = there.line()
            if said.startswith(b"+ "):
                there.send(b"x" * 200_000 + b"\r\n")
                assert there.until(b"try ", PATIENCE).startswith(b"try OK")
            return said

        assert offered().startswith(b"try NO [UNAVAILABLE] ")
        here.send(b"x" * 1_000 + b"\r\n")
        assert here.until(b"big ", PATIENCE).startswith(b"big OK")
        until(lambda: offered().startswith(b"+ "), "what was taken leaves its room")


def test_a_source_has_no_more_connections_than_it_may(server: Server) -> None:
    with ExitStack() as stack:
        admitted = 0
        for _ in range(60):
            talk = stack.enter_context(Talk(server.ports["imap"], source="127.0.0.7"))
            admitted += talk.greeting.startswith(b"* OK")
        # The sketch may count one too many of a source, never one too few.
        assert 38 <= admitted <= 40
        with Talk(server.ports["imap"], source="127.0.0.8") as other:
            assert other.greeting.startswith(b"* OK")


# --- what is killed


def test_a_killed_worker_costs_its_own_sessions_only_and_is_replaced(server: Server) -> None:
    with ExitStack() as stack:
        one, other = spread(server, OWNER, stack, each=2)
        for talk in (*one, *other):
            talk.ok("SELECT INBOX")
        gone = killed(server, "worker")
        ended = 0
        for some in (one, other):
            try:
                for talk in some:
                    talk.ok("NOOP")
            except (EOFError, OSError):
                ended += 1
        assert ended == 1
        whole(server, gone)
        # Nothing of what was killed is counted any more.
        until(lambda: len(listed(server, OWNER)) == 2, "the sessions of the killed worker are not listed")
        for _ in range(3):
            stack.enter_context(Talk(server.ports["imap"], OWNER)).ok("SELECT INBOX")
        with ExitStack() as again:
            for talk in one + other:
                talk.close()
            until(lambda: len(listed(server, OWNER)) == 3, "closed sessions are no longer listed")
            spread(server, OWNER, again)


def test_a_worker_that_ends_again_and_again_is_waited_with(server: Server) -> None:
    for _ in range(3):
        whole(server, killed(server, "worker"))
        until(lambda: len(those(server, "worker")) == WORKERS, "replaced")
    for pid in those(server, "worker"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: "ended again, and is replaced in" in server.log.read_text(), "the log says so")
    whole(server, 0)
    with Talk(server.ports["imap"], OWNER) as talk:
        talk.ok("SELECT INBOX")


def test_after_the_writer_was_killed_sessions_hear_of_changes_again(server: Server) -> None:
    with ExitStack() as stack:
        watching = [talk for some in spread(server, OWNER, stack) for talk in some]
        for talk in watching:
            talk.ok("SELECT INBOX")
            talk.idle()
        whole(server, killed(server, "keeper"))
        server.deliver(OWNER, compose("a@elsewhere.test", OWNER, "after"))
        for talk in watching:
            assert b"EXISTS" in talk.until(b"* ", PATIENCE)
        until(lambda: len(listed(server, OWNER)) == 2, "both are listed by the new one")


def test_failed_logins_are_counted_over_all_workers(tmp_path: Path) -> None:
    settings = {"workers": WORKERS, "limits.exempt_networks": [], "limits.failed_logins_per_source": 6}
    with Server(tmp_path, settings) as server:
        server.people("owner")
        for number in range(6):
            with Talk(server.ports["imap"]) as guesser:
                assert guesser.do(f'LOGIN nobody{number}@acme.test "x"').kind == "NO AUTHENTICATIONFAILED"
        time.sleep(0.2)
        for _ in range(6):
            with Talk(server.ports["imap"]) as more:
                assert more.do(f'LOGIN {OWNER} "{PASSWORD}"').kind.startswith("NO")
        with Talk(server.ports["imap"], OWNER, source="127.0.1.1") as other:
            other.ok("NOOP")
