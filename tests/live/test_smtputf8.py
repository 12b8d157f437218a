"""Addresses beyond ASCII from door to door, through the real server (RFC 6531, RFC 6533)."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from tests.live.next_hop import DROP, NextHop, next_hop
from tests.live.server import Server

JURGEN = "jürgen@acme.test"
LETTER = "From: jürgen@acme.test\r\nTo: {to}\r\nSubject: grüße\r\n\r\nhallo\r\n"


@pytest.fixture(scope="module")
def hop() -> Iterator[NextHop]:
    with next_hop() as one:
        yield one


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hop: NextHop) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("smtputf8"), {"relay": f"smtp://127.0.0.1:{hop.port}"})
    made.people("anna", "jürgen")
    made.prov("addAccountAlias jürgen@acme.test juergen@acme.test")
    with made:
        yield made


def send(client: smtplib.SMTP, sender: str, to: str, further: str = "") -> tuple[int, bytes]:
    client.ehlo_or_helo_if_needed()
    for command in (f"MAIL FROM:<{sender}> SMTPUTF8 BODY=8BITMIME", f"RCPT TO:<{to}>{further}"):
        client.send(command.encode() + b"\r\n")
        code, text = client.getreply()
        if code != 250:
            return code, text
    client.docmd("DATA")
    client.send(LETTER.format(to=to).encode() + b".\r\n")
    return client.getreply()


@pytest.mark.parametrize("door", ["lmtp", "mx"])
def test_into_a_mailbox(server: Server, door: str) -> None:
    client = server.lmtp() if door == "lmtp" else smtplib.SMTP("127.0.0.1", server.ports["mx"], timeout=20)
    with client:
        assert send(client, f"{door}@elsewhere.test", JURGEN)[0] == 250
        client.ehlo_or_helo_if_needed()
        client.docmd("RSET")
        client.send(b"MAIL FROM:<a@elsewhere.test>\r\nRCPT TO:<j\xc3\xbcrgen@acme.test>\r\n")
        assert client.getreply()[0] == 250
        code, text = client.getreply()
        assert (code, text[:5]) == (553, b"5.6.7")
    there = server.wait_for("juergen@acme.test", count=1)
    assert any(f"Return-Path: <{door}@elsewhere.test>".encode() in one and "Subject: grüße".encode() in one for one in there)


def test_from_one_person_to_the_other_and_the_report_back(server: Server) -> None:
    with server.smtp("juergen@acme.test") as client:
        assert send(client, JURGEN, "anna@acme.test", " NOTIFY=SUCCESS ORCPT=utf-8;ännä@acme.test")[0] == 250
    (letter,) = server.wait_for("anna@acme.test")
    assert "Return-Path: <jürgen@acme.test>".encode() in letter
    assert b" with UTF8SMTPA" in letter
    reports = [one for one in server.wait_for("juergen@acme.test", count=1) if b"multipart/report" in one]
    assert len(reports) == 1
    assert "Original-Recipient: utf-8;ännä@acme.test".encode() in reports[0]


def test_onward_only_where_it_is_taken(server: Server, hop: NextHop) -> None:
    before = len(server.messages("juergen@acme.test"))
    with server.smtp("juergen@acme.test") as client:
        assert send(client, JURGEN, "фёдор@elsewhere.test")[0] == 250
    (taken,) = hop.wait(1)
    assert "SMTPUTF8" in taken.options.upper()
    assert len(server.messages("juergen@acme.test")) == before
    hop.extensions = ("8BITMIME",)
    hop.answers = {"MAIL": [DROP]}  # what it offers is asked on a new connection only
    with server.smtp("juergen@acme.test") as client:
        assert send(client, JURGEN, "maria@elsewhere.test")[0] == 250
    there = server.wait_for("juergen@acme.test", count=before + 1, seconds=30)
    assert any(b"Status: 5.6.7" in one for one in there)
    assert len(hop.taken) == 1
