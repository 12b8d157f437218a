"""App passwords through the real command and real sockets: in scope and out of it, revoked and expired in open sessions."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Mail, Talk, unnamed

OWNER, DELEGATE = "owner@acme.test", "delegate@acme.test"
SECOND = 1.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("app-passwords")) as running:
        running.people("owner", "delegate", "other")
        running.prov(
            f"selectMailbox {OWNER} modifyFolderGrant / account {DELEGATE} rwixda",
            f"selectMailbox other@acme.test modifyFolderGrant / account {DELEGATE} rwixda",
            f"grantRight account {OWNER} usr {DELEGATE} sendAs",
            f"grantRight account other@acme.test usr {DELEGATE} sendAs",
            f"grantRight account {OWNER} usr {DELEGATE} loginAs",
        )
        yield running


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name).removeprefix("test_")[:60]


def made(server: Server, account: str, name: str, *limits: str) -> str:
    return str(json.loads(server.run("app-password", "create", account, name, *limits, "--json").stdout)["password"])


def test_it_is_a_password_for_both_doors(server: Server, name: str) -> None:
    word = made(server, OWNER, name)
    with Talk(server.ports["imap"], OWNER, word) as session, Mail(server.ports["submission"]) as mail:
        session.ok("SELECT INBOX")
        assert mail.login(OWNER, word.upper().replace("-", "")).startswith("235")
        assert mail.send(OWNER, [OWNER], compose(OWNER, OWNER, "by app password"))[0].startswith("250")
    with server.imap(OWNER, word) as client:  # a client that is not ours
        assert client.select("INBOX")[0] == "OK"
    server.smtp(OWNER, word).quit()
    with Talk(server.ports["imap"], OWNER) as session:  # the account's own goes on working
        session.ok("NOOP")


def test_only_where_it_is_for(server: Server, name: str) -> None:
    word = made(server, OWNER, name, "--protocols", "imap", "--networks", "127.0.0.2")
    with Talk(server.ports["imap"], OWNER, word, source="127.0.0.2") as session:
        session.ok("NOOP")
    with Talk(server.ports["imap"]) as session:
        answer = session.do(f'LOGIN {OWNER} "{word}"')
        assert (answer.kind, unnamed(answer.text)) == ("NO AUTHORIZATIONFAILED", "this app password is not for this network")
    with Mail(server.ports["submission"], source="127.0.0.2") as mail:
        assert mail.login(OWNER, word) == "535 5.7.8 this app password is not for smtp"
    rows = json.loads(server.run("logins", OWNER, "--failed", "--json").stdout)
    assert {row["outcome"] for row in rows if row["appPassword"] == name} == {
        "this app password is not for this network",
        "this app password is not for smtp",
    }


def test_only_the_rights_it_has(server: Server, name: str) -> None:
    with Talk(server.ports["imap"], OWNER) as whole:
        whole.ok("CREATE reading")
        whole.ok("APPEND reading", compose(OWNER, OWNER, "to be read"))
    word = made(server, OWNER, name, "--rights", "r")
    with Talk(server.ports["imap"], OWNER, word) as reader:
        assert reader.ok("SELECT reading").tagged.startswith("OK [READ-ONLY]")
        assert reader.ok("UID FETCH 1 (BODY[])").about("FETCH")
        assert reader.flags("reading") == {"1": set()}, "and left no trace"
        for command in ("CREATE mine", "DELETE reading", f"SETACL reading {DELEGATE} lr", "GETACL reading", "RENAME reading written"):
            assert reader.do(command).kind == "NO NOPERM", command
        assert reader.do("APPEND reading", compose(OWNER, OWNER, "no")).kind == "NO NOPERM"
        assert reader.do('SETMETADATA "" (/private/comment "x")').kind == "NO NOPERM"
        assert reader.ok("MYRIGHTS reading").lines == (b'* MYRIGHTS "reading" lr',)
    with Mail(server.ports["submission"]) as mail:
        assert mail.login(OWNER, word) == "535 5.7.8 this app password does not allow sending"
    usual = made(server, OWNER, f"{name} usual")
    with Talk(server.ports["imap"], OWNER, usual) as client:
        client.ok("CREATE by-client")
        assert client.do(f"SETACL by-client {DELEGATE} lr").kind == "NO NOPERM", "who finds it must not let others in"


def test_only_for_one_principal(server: Server, name: str) -> None:
    word = made(server, DELEGATE, name, "--principal", OWNER)
    with Talk(server.ports["imap"], DELEGATE, word) as session:
        names = {line.rsplit(b" ", 1)[-1] for line in session.ok('LIST "" "*"').about("LIST") if b"Noselect" not in line}
        assert not any(b"other" in one for one in names)
        session.ok('SELECT "Other Users/owner/INBOX"')
        for folder in ("INBOX", "Sent", '"Other Users/other/INBOX"'):
            assert session.do(f"SELECT {folder}").kind == "NO NONEXISTENT", folder
    with Mail(server.ports["submission"]) as mail:
        assert mail.login(DELEGATE, word).startswith("235")
        assert mail.send(OWNER, [OWNER], compose(OWNER, OWNER, f"as the owner, {name}"))[0].startswith("250")
        assert mail.send(DELEGATE, [OWNER], compose(OWNER, OWNER, "own envelope"))[0].startswith("250")
        for author in (DELEGATE, "other@acme.test"):
            (refused,) = mail.send(DELEGATE, [OWNER], compose(author, OWNER, "as another"))
            assert refused.startswith(f"550 5.7.1 {DELEGATE} may not send as {author}"), refused
    rows = json.loads(server.run("audit", "list", "--actor", DELEGATE, "--limit", "200", "--json").stdout)
    by = [row for row in rows if row["because"].endswith(f"; by app password {name}")]
    assert {True, False} == {row["allowed"] for row in by}
    assert {"folder access", "send-as"} <= {row["event"] for row in by}, {row["event"] for row in by}


def test_revoking_one_ends_its_sessions_within_a_second(server: Server, name: str) -> None:
    word, kept = made(server, OWNER, name), made(server, OWNER, f"{name} kept")
    with (
        Talk(server.ports["imap"], OWNER, word) as idling,
        Talk(server.ports["imap"], OWNER, kept) as other,
        Mail(server.ports["submission"]) as mail,
    ):
        idling.ok("SELECT INBOX")
        idling.idle()
        assert mail.login(OWNER, word).startswith("235")
        server.run("app-password", "revoke", OWNER, name)
        assert idling.farewell(SECOND) == b"* BYE the app password was revoked"
        assert mail.reply(SECOND) == "421 4.3.2 this session has ended: the app password was revoked"
        other.ok("NOOP")
    with Talk(server.ports["imap"]) as session:
        assert session.do(f'LOGIN {OWNER} "{word}"').kind == "NO AUTHENTICATIONFAILED"


def test_nothing_is_given_out_after_it_was_revoked(server: Server, name: str) -> None:
    for number in range(3):
        word = made(server, OWNER, f"{name} {number}")
        with Talk(server.ports["imap"], OWNER, word) as session:
            session.ok("SELECT INBOX")
            server.run("app-password", "revoke", OWNER, f"{name} {number}")
            try:
                assert not session.do("UID FETCH 1:* (BODY[])").kind.startswith("OK")
            except (EOFError, BrokenPipeError, ConnectionResetError):
                continue


def test_it_ends_by_the_clock_in_an_open_session(server: Server, name: str) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=6)).isoformat(timespec="seconds")
    word = made(server, OWNER, name, "--until", until)
    with Talk(server.ports["imap"], OWNER, word) as idling:
        idling.ok("SELECT INBOX")
        idling.idle()
        assert idling.farewell(12) == b"* BYE the app password has expired"
    with Talk(server.ports["imap"]) as session:
        answer = session.do(f'LOGIN {OWNER} "{word}"')
        assert (answer.kind, unnamed(answer.text)) == ("NO AUTHORIZATIONFAILED", "this app password has expired")


def test_as_the_owner_only_if_it_says_so(server: Server, name: str) -> None:
    usual, able = made(server, DELEGATE, name), made(server, DELEGATE, f"{name} able", "--rights", "rw,send,loginAs")

    def plain(word: str) -> str:
        return base64.b64encode(f"{OWNER}\0{DELEGATE}\0{word}".encode()).decode()

    with Talk(server.ports["imap"]) as session:
        assert session.do(f"AUTHENTICATE PLAIN {plain(usual)}").kind == "NO AUTHORIZATIONFAILED"
        session.ok(f"AUTHENTICATE PLAIN {plain(able)}")
        session.ok("SELECT INBOX")
        assert session.do("CREATE not-with-rw").kind == "NO NOPERM"
        server.run("app-password", "revoke", DELEGATE, "--all")
        assert session.farewell(SECOND) == b"* BYE the app password was revoked"


def test_the_accounts_own_password_is_another_matter(server: Server) -> None:
    server.prov(f"createAccount robot@acme.test '{PASSWORD}'")
    word = made(server, "robot@acme.test", "robot")
    with Talk(server.ports["imap"], "robot@acme.test", word) as by_app, Talk(server.ports["imap"], "robot@acme.test") as by_own:
        server.prov("setPassword robot@acme.test 'another horse 8'")
        assert by_own.farewell(SECOND) == b"* BYE the password was changed"
        by_app.ok("NOOP")
    server.stop()
    (row,) = json.loads(server.run("app-password", "list", "robot@acme.test", "--json").stdout)
    assert row["lastUsed"] is not None
    server.start()
    with Talk(server.ports["imap"], "robot@acme.test", word) as session:
        session.ok("NOOP")
    server.prov("deleteAccount robot@acme.test")
    assert server.run("app-password", "list", "robot@acme.test", check=False).returncode == 1
