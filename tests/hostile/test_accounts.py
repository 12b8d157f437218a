"""Accounts that change under open sessions, groups that go round, floods of logins, administrators who reach too far (robustness.md
section 2.5), and what comes to the socket of the command line."""

from __future__ import annotations

import base64
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise

import pytest

from tests.live.hostile import Bystander, Raw, Watched, imap, smtp, unharmed
from tests.live.server import PASSWORD, Server

USER, QUIET = "user@acme.test", "quiet@acme.test"
CHAIN = 30
"""Lists within lists: as deep as they may be, with room for those at both ends."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Watched(tmp_path_factory.mktemp("hostile-accounts"), {"limits.bad_commands": 1000})
    made.people("user", "quiet", "owner", "member", "changing", "victim")
    made.prov(
        "createDomain other.test",
        "initDomainForDelegation acme.test",
        "createAccount admin@acme.test '' isDelegatedAdminAccount TRUE",
        "grantRight domain acme.test usr admin@acme.test user-management",
        f"createAccount root@acme.test '{PASSWORD}' isAdminAccount TRUE",
        f"createAccount far@other.test '{PASSWORD}'",
    )
    with made:
        yield made


@pytest.fixture(autouse=True)
def bystander(server: Server) -> Iterator[Bystander]:
    with unharmed(server, QUIET) as watching:
        yield watching


# --- 33 a status that changes


@pytest.mark.parametrize("status", ["locked", "closed", "maintenance"])
def test_a_status_ends_every_session_while_they_are_busy(server: Server, status: str) -> None:
    with ExitStack() as there:
        idling, flooding, sending = (there.enter_context(imap(server, "changing@acme.test")) for _ in range(3))
        mailing = there.enter_context(smtp(server, "submission", login="changing@acme.test"))
        assert mailing.say(b"MAIL FROM:<changing@acme.test>").startswith("250")
        assert mailing.say(b"RCPT TO:<user@acme.test>").startswith("250")
        assert idling.do(b"s", b"SELECT INBOX").startswith(b"s OK")
        idling.send(b"i IDLE\r\n")
        assert idling.line().startswith(b"+ ")
        flooding.send(b"".join(b"n%d NOOP\r\n" % number for number in range(5_000)))
        sending.send(b"a APPEND INBOX {100000+}\r\n" + b"x" * 50_000)
        try:
            server.prov(f"modifyAccount changing@acme.test status {status}")
            for raw in (idling, flooding, sending):
                assert b"* BYE " in raw.rest()
            said = mailing.say(b"DATA")
            assert said.startswith("421 ") or said == "", said
            with imap(server) as raw:
                assert raw.do(b"l", f'LOGIN changing@acme.test "{PASSWORD}"'.encode()).startswith(b"l NO")
        finally:
            server.prov("modifyAccount changing@acme.test status active")


def test_a_status_that_flips_all_the_time_lets_nobody_act_who_may_not(server: Server) -> None:
    stop, closed, faults = threading.Event(), threading.Event(), list[str]()

    def use() -> None:
        while not stop.is_set():
            was = closed.is_set()
            with imap(server) as raw:
                said = raw.do(b"l", f'LOGIN changing@acme.test "{PASSWORD}"'.encode())
                if said.startswith(b"l OK") and was and closed.is_set():
                    faults.append(repr(said))

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(4):
            server.prov("modifyAccount changing@acme.test status closed")
            closed.set()
            time.sleep(0.2)
            closed.clear()
            server.prov("modifyAccount changing@acme.test status active")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert faults == []


# --- 34 groups


def test_groups_that_go_round_are_the_same_from_everywhere(server: Server) -> None:
    server.prov(
        *(f"createDistributionList ring{number}@acme.test" for number in range(5)),
        *(f"addDistributionListMember ring{number}@acme.test ring{(number + 1) % 5}@acme.test" for number in range(5)),
        "addDistributionListMember ring3@acme.test member@acme.test",
    )
    with imap(server, "owner@acme.test") as owner, imap(server, "member@acme.test") as member:
        for number in range(5):
            assert owner.do(b"c", b"CREATE ring%d" % number).startswith(b"c OK")
            assert owner.do(b"g", b"SETACL ring%d group:ring%d@acme.test lr" % (number, number)).startswith(b"g OK")
            assert member.do(b"m", b'STATUS "Other Users/owner/ring%d" (MESSAGES)' % number).startswith(b"m OK")
        with smtp(server, "lmtp") as raw:
            raw.say(b"MAIL FROM:<x@elsewhere.test>")
            for number in range(5):
                assert raw.say(b"RCPT TO:<ring%d@acme.test>" % number).startswith("250")
            assert raw.say(b"DATA").startswith("354")
            raw.send(b"From: <x@elsewhere.test>\r\nSubject: round\r\n\r\nx\r\n.\r\n")
            assert [raw.reply()[:3] for _ in range(5)] == ["250"] * 5
        assert len(server.wait_for("member@acme.test")) >= 1
        # A membership that ends takes with it what came by it.
        server.prov("removeDistributionListMember ring3@acme.test member@acme.test")
        for number in range(5):
            assert member.do(b"m", b'STATUS "Other Users/owner/ring%d" (MESSAGES)' % number).startswith(b"m NO [NONEXISTENT]")


def test_a_chain_of_groups_is_walked_to_its_end_and_no_longer_than_it_may_be(server: Server) -> None:
    names = [f"chain{number}@acme.test" for number in range(40)]
    server.prov(*(f"createDistributionList {name}" for name in names))
    done = server.run("prov", "-f", "-", stdin="\n".join(f"adlm {a} {b}" for a, b in pairwise(names)), check=False)
    assert "nested" in done.stderr
    server.prov(f"adlm {names[CHAIN]} member@acme.test")
    with imap(server, "owner@acme.test") as owner, imap(server, "member@acme.test") as member:
        assert owner.do(b"c", b"CREATE chained").startswith(b"c OK")
        assert owner.do(b"g", f"SETACL chained group:{names[0]} lr".encode()).startswith(b"g OK")
        assert member.do(b"m", b'STATUS "Other Users/owner/chained" (MESSAGES)').startswith(b"m OK")


# --- 35, 36 administrators


REACHES = """
setPassword root@acme.test {password}
modifyAccount root@acme.test status closed
modifyAccount admin@acme.test isAdminAccount TRUE
modifyAccount user@acme.test isAdminAccount TRUE
grantRight account root@acme.test usr admin@acme.test loginAs
grantRight global usr admin@acme.test user-management
modifyAccount user@acme.test quota 100g
renameAccount user@acme.test user@other.test
addAccountAlias user@acme.test root@other.test
createAccount new@other.test {password}
setPassword far@other.test {password}
deleteAccount root@acme.test
modifyAccount user@acme.test password_hash x
modifyAccount user@acme.test id 1
modifyAccount user@acme.test domain other.test
modifyAccount user@acme.test owner root@acme.test
modifyAccount user@acme.test role global
"""


def test_an_administrator_reaches_no_further_than_the_role(server: Server) -> None:
    def shown() -> str:
        return server.run("--as", "admin@acme.test", "prov", "getAccount", "user@acme.test").stdout

    before = shown()
    lines = REACHES.format(password="'Another horse 9'").strip().splitlines()
    done = server.run("--as", "admin@acme.test", "prov", "--keep-going", "-f", "-", stdin="\n".join(lines) + "\n", check=False)
    assert done.returncode != 0
    for number in range(1, len(lines) + 1):
        assert f"[line {number}]" in done.stderr, f"was done: {lines[number - 1]}"
    assert shown() == before
    for user in ("root@acme.test", "far@other.test"):
        with imap(server, user):
            pass


def test_a_batch_that_ends_at_its_first_line_leaves_nothing_behind(server: Server) -> None:
    done = server.run("--as", "admin@acme.test", "prov", "-f", "-", stdin="modifyAccount user@acme.test id 1\n" * 5_000, check=False)
    assert done.returncode != 0


# --- 38 floods of logins, and a lockout as a weapon


def test_a_flood_of_wrong_passwords_keeps_nobody_else_out(server: Server) -> None:
    stop = threading.Event()

    def guess(number: int) -> None:
        while not stop.is_set():
            with Raw(server.ports["imap"]) as raw:
                raw.line()
                raw.do(b"l", b'LOGIN victim@acme.test "guess %d %d"' % (number, random.getrandbits(30)))

    with imap(server, "victim@acme.test") as open_before:
        threads = [threading.Thread(target=guess, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        try:
            end = time.monotonic() + 3
            while time.monotonic() < end:
                assert open_before.do(b"n", b"NOOP").startswith(b"n OK")
                with imap(server, USER):
                    pass
                server.deliver("victim@acme.test", b"Subject: still\r\n\r\nhere\r\n")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert open_before.do(b"s", b"STATUS INBOX (MESSAGES)").startswith(b"s OK")


def test_logins_with_names_made_for_databases_and_templates(server: Server) -> None:
    for name in (
        "' OR 1=1 --",
        "%s%n%x",
        "${jndi:ldap://x}",
        "{0.__class__}",
        "*)(uid=*",
        "user@acme.test'--",
        "\\",
        "a" * 300,
        "x@" + "y" * 250,
    ):
        token = base64.b64encode(f"\0{name}\0{PASSWORD}".encode())
        with imap(server) as raw:
            assert raw.do(b"a", b"AUTHENTICATE PLAIN " + token).startswith(b"a NO [AUTHENTICATIONFAILED]"), name
        with smtp(server, "submission") as raw:
            assert raw.say(b"AUTH PLAIN " + token).startswith("535 5.7.8 "), name


# --- the socket of the command line


def control(server: Server, octets: bytes) -> list[dict[str, object]]:
    with socket.socket(socket.AF_UNIX) as raw:
        raw.settimeout(20)
        raw.connect(str(server.data / "control.sock"))
        raw.sendall(octets)
        raw.shutdown(socket.SHUT_WR)
        answer = b""
        while octets := raw.recv(1 << 16):
            answer += octets
    return [json.loads(line) for line in answer.splitlines()]


@pytest.mark.parametrize(
    "octets",
    [
        b"\0" * 100 + b"\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"{}\n",
        b"[]\n",
        b'{"command": []}\n',
        b'{"command": {"a": 1}}\n',
        b'{"command": "prov", "arguments": "getAllAccounts"}\n',
        b'{"command": "prov", "arguments": [1, null]}\n',
        b'{"command": "prov", "arguments": ["getAllAccounts"], "acting": ["root@acme.test"]}\n',
        b'{"command": "prov", "arguments": ["getAllAccounts"], "acting": "nobody@acme.test"}\n',
        b'{"command": "serve"}\n',
        b'{"command": "prov", "arguments": ' + b"[" * 100_000 + b"\n",
        b'{"command": "prov", "arguments": ["' + b"x" * 900_000 + b'"]}\n',
        b'{"command": "' + b"9" * 5_000 + b'"}\n',
        b'{"command": ' + b"9" * 5_000 + b"}\n",
        b"\xff\xfe\n",
    ],
    ids=lambda octets: repr(octets[:40]),
)
def test_what_is_no_call_gets_an_error_and_nothing_else(server: Server, octets: bytes) -> None:
    said = control(server, octets)
    assert not any("out" in one for one in said), said
    assert said[-1].get("status", 1) != 0, said
    assert server.prov("getAllDomains").split() == ["acme.test", "other.test"]
