"""At every door a refusal has an id, and `procura why` tells what it was, what would change it and who may do that: which is then tried."""

from __future__ import annotations

import json
import re
import smtplib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.live.server import PASSWORD, Server, compose
from tests.live.talk import Talk

pytestmark = pytest.mark.slow
DECISION = re.compile(r"\[(d-[0-9a-f]{12})\]")
ANNA, BERT, FULL = "anna@acme.test", "bert@acme.test", "full@acme.test"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("refused")) as running:
        running.people("anna", "bert", "full", "carl")
        running.prov(
            "createDistributionList news@acme.test",
            f"grantRight dl news@acme.test usr {BERT} sendToDistList",
            "modifyAccount full@acme.test quota 1",
        )
        yield running


def why(server: Server, said: str) -> dict[str, Any]:
    found = DECISION.search(said)
    assert found is not None, said
    (told,) = json.loads(server.run("why", found[1], "--json").stdout)
    assert isinstance(told, dict)
    return told


def handed_in(server: Server, door: str, recipient: str, sender: str = "x@far.test") -> str:
    """What is said to RCPT by a server that brings mail; "" where it is taken."""
    kind = smtplib.LMTP if door == "lmtp" else smtplib.SMTP
    with kind("127.0.0.1", server.ports[door]) as client:
        client.ehlo("there.test")
        client.mail(sender)
        code, text = client.rcpt(recipient)
        return "" if code == 250 else f"{code} {text.decode()}"


def submitted(server: Server, recipient: str) -> str:
    client = server.smtp(ANNA)
    try:
        client.mail(ANNA)
        code, text = client.rcpt(recipient)
        return "" if code == 250 else f"{code} {text.decode()}"
    finally:
        client.close()


def logged_in(server: Server, account: str = BERT) -> str:
    with Talk(server.ports["imap"]) as session:
        answer = session.do(f'LOGIN {account} "{PASSWORD}"')
        return "" if answer.kind.startswith("OK") else answer.tagged


def logged_in_to_send(server: Server) -> str:
    client = server.smtp()
    try:
        client.login(BERT, PASSWORD)
    except smtplib.SMTPAuthenticationError as refused:
        return refused.smtp_error.decode() if isinstance(refused.smtp_error, bytes) else refused.smtp_error
    finally:
        client.close()
    return ""


def appended(server: Server) -> str:
    with Talk(server.ports["imap"], FULL) as session:
        answer = session.do("APPEND INBOX", compose("a@x.test", FULL))
        return "" if answer.kind.startswith("OK") else answer.tagged


REFUSED: dict[str, tuple[Callable[[Server], str], str, str]] = {
    **{
        f"{status} at {door}": (lambda server, door=door: handed_in(server, door, BERT), f"modifyAccount {BERT} status {status}", reason)  # type: ignore[misc]
        for door, status, reason in (("lmtp", "closed", "recipient-closed"), ("mx", "pending", "recipient-closed"))
    },
    "a domain at lmtp": (
        lambda server: handed_in(server, "lmtp", BERT),
        "modifyDomain acme.test status suspended",
        "recipient-maintenance",
    ),
    "closed, by a client": (lambda server: submitted(server, BERT), f"modifyAccount {BERT} status closed", "recipient-closed"),
    "full at lmtp": (lambda server: handed_in(server, "lmtp", FULL), f"modifyAccount {FULL} quota 1", "recipient-over-quota"),
    "full at APPEND": (appended, f"modifyAccount {FULL} quota 1", "over-quota"),
    "locked at IMAP": (logged_in, f"modifyAccount {BERT} status locked", "account-status"),
    "closed at SMTP": (logged_in_to_send, f"modifyAccount {BERT} status closed", "account-status"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_stands_in_the_way_is_told_and_taken_away(server: Server, kind: str) -> None:
    refuse, line, reason = REFUSED[kind]
    server.prov(f"modifyAccount {FULL} quota 0")
    if "full" in kind:
        with Talk(server.ports["imap"], FULL) as session:
            session.ok("APPEND INBOX", compose("a@x.test", FULL))
    server.prov(line)
    try:
        told = why(server, refuse(server))
        assert told["refusal"]["reason"] == reason
        (suggestion,) = told["suggestions"]
        assert suggestion["givers"]
        server.prov(*suggestion["apply"])
        assert refuse(server) == "", suggestion
        server.prov(*suggestion["undo"])
        assert refuse(server) != "", suggestion
    finally:
        server.prov("modifyDomain acme.test status active", f"modifyAccount {BERT} status active")


@pytest.mark.parametrize("door", ["mx", "lmtp"])
def test_nobody_lives_there_and_a_list_takes_none_from_strangers(server: Server, door: str) -> None:
    nobody = handed_in(server, door, "nobody@acme.test")
    told = why(server, nobody)
    assert (told["refusal"]["reason"], told["refusal"]["about"]) == ("recipient-unknown", "nobody@acme.test")
    assert told["now"] == "nobody has the address nobody@acme.test"
    assert handed_in(server, door, "nobody@acme.test") == nobody, "the same id for the same question"
    assert why(server, nobody)["refusal"]["times"] == 2
    told = why(server, handed_in(server, door, "news@acme.test"))
    assert told["refusal"]["reason"] == "posting-not-permitted"
    assert "no grant holds for who is not known" in told["noGrant"]


def test_a_login_that_was_refused_tells_its_cause_to_administrators_only(server: Server) -> None:
    def wrong(account: str) -> str:
        with Talk(server.ports["imap"]) as session:
            return session.do(f'LOGIN {account} "not this"').tagged

    unknown, known = wrong("nobody@acme.test"), wrong("carl@acme.test")
    assert DECISION.sub("", unknown) == DECISION.sub("", known)
    told = why(server, known)
    assert (told["refusal"]["account"], told["then"][1]["text"]) == ("carl@acme.test", "it was: wrong password")
    told = why(server, unknown)
    assert (told["refusal"]["account"], told["then"][1]["text"]) == (None, "it was: unknown account")
    assert "nobody@acme.test" not in json.dumps(told), "it may be a password"
    # Only who may read the record.
    found = DECISION.search(known)
    assert found is not None
    server.prov("modifyAccount anna@acme.test isDelegatedAdminAccount TRUE", "initDomainForDelegation acme.test")
    server.run("roles", "grant", ANNA, "domain")
    assert "PERM_DENIED" in server.run("--as", ANNA, "why", found[1], check=False).stderr


def test_a_flood_of_refused_recipients_leaves_the_record_alone(server: Server) -> None:
    before = server.run("audit", "head").stdout.split()[0]
    with smtplib.LMTP("127.0.0.1", server.ports["lmtp"]) as client:
        client.ehlo("there.test")
        client.mail("x@far.test")
        said = [client.rcpt(f"nobody{number}@acme.test") for number in range(400)]
    ids = {found[1] for code, text in said if code == 550 and (found := DECISION.search(text.decode()))}
    assert 1 < len(ids) <= 201
    assert why(server, f"[{min(ids)}]")["refusal"]["reason"] == "recipient-unknown"
    assert server.run("audit", "head").stdout.split()[0] == before


def test_what_is_known_outlives_the_server(server: Server) -> None:
    said = handed_in(server, "mx", "nobody@acme.test")
    why(server, said)
    server.kill()
    try:
        assert why(server, said)["refusal"]["reason"] == "recipient-unknown"
    finally:
        server.start()
