"""LMTP peers that mean harm (robustness.md section 2.1, classes 1 and 12; RFC 2033 section 4.2): one reply for each accepted recipient."""

from __future__ import annotations

import smtplib
import socket
from collections.abc import Iterator

import pytest

from tests.live.hostile import Bystander, Raw, Watched, has_message_id, smtp, unharmed
from tests.live.server import Server
from tests.live.test_hostile_smtp import HARMLESS, MIXES

VICTIM = "victim@acme.test"
NOBODY = b"RCPT TO:<nobody@acme.test>"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(
        tmp_path_factory.mktemp("hostile-lmtp"), {"limits.message_size": 200_000, "limits.header_size": 100_000, "limits.recipients": 5}
    )
    made.people("victim", "second", "third", "quiet", "closed", "small")
    made.prov("modifyAccount closed@acme.test status closed", "modifyAccount small@acme.test quota 1")
    with made:
        yield made


@pytest.fixture(autouse=True)
def bystander(server: Server) -> Iterator[Bystander]:
    with unharmed(server, "quiet@acme.test") as watching:
        yield watching


def begin(raw: Raw, *recipients: str) -> list[str]:
    assert raw.say(b"MAIL FROM:<stranger@elsewhere.test>").startswith("250 ")
    return [raw.say(f"RCPT TO:<{one}>".encode()) for one in recipients]


@pytest.mark.parametrize("mix", [*MIXES, *HARMLESS], ids=repr)
def test_smuggling(server: Server, mix: bytes) -> None:
    number = mix.hex().encode()
    with smtp(server, "lmtp") as raw:
        begin(raw, VICTIM, "second@acme.test")
        assert raw.say(b"DATA").startswith("354")
        raw.send(
            b"From: <x@elsewhere.test>\r\nMessage-ID: <outer-%b@x.test>\r\n\r\nfirst%b"
            b"MAIL FROM:<a@b>\r\nRCPT TO:<victim@acme.test>\r\nDATA\r\n"
            b"Message-ID: <smuggled-%b@x.test>\r\n\r\nevil\r\n.\r\nNOOP\r\n" % (number, mix, number)
        )
        said = [raw.reply(), raw.reply()]
        assert raw.reply() == "250 2.0.0 ok"
        if mix in MIXES:
            assert all(one.startswith("550 5.6.0 ") for one in said), said
        else:
            assert said[0][:3] == said[1][:3]
    messages = server.messages(VICTIM)
    assert has_message_id(messages, b"smuggled-" + number + b"@x.test") == 0
    assert has_message_id(messages, b"outer-" + number + b"@x.test") == (1 if said[0].startswith("250") else 0)


def test_what_some_servers_take_for_an_empty_line_before_the_dot(server: Server) -> None:
    """Dovecot 2.3.19's LMTP split on LF LF, LF CRLF and CRLF LF."""
    for mix in (b"\n\n", b"\n\r\n", b"\r\n\n"):
        with smtp(server, "lmtp") as raw:
            begin(raw, VICTIM)
            raw.say(b"DATA")
            raw.send(b"From: <x@elsewhere.test>" + mix + b"body\r\n.\r\n")
            assert raw.reply().startswith("550 5.6.0 ")
            assert raw.say(b"NOOP") == "250 2.0.0 ok"


@pytest.mark.parametrize(
    ("recipients", "octets", "said"),
    [
        ([VICTIM], b"From: <x@elsewhere.test>\r\n\r\nx\r\n", ["250"]),
        ([VICTIM, "second@acme.test", "third@acme.test"], b"From: <x@elsewhere.test>\r\n\r\nx\r\n", ["250"] * 3),
        ([VICTIM, VICTIM], b"From: <x@elsewhere.test>\r\n\r\nx\r\n", ["250"] * 2),
        ([VICTIM, "nobody@acme.test", "second@acme.test"], b"From: <x@elsewhere.test>\r\n\r\nx\r\n", ["250"] * 2),
        ([VICTIM, "closed@acme.test"], b"From: <x@elsewhere.test>\r\n\r\nx\r\n", ["250"]),
        ([VICTIM, "second@acme.test"], b"From: <x@elsewhere.test>\r\n\r\nx\nx\r\n", ["550"] * 2),
        ([VICTIM, "second@acme.test"], b"From: <x@elsewhere.test>\r\n\r\nx\0x\r\n", ["550"] * 2),
        ([VICTIM, "second@acme.test"], b"From: <x@elsewhere.test>\r\n\r\n" + b"x" * 300_000 + b"\r\n", ["552"] * 2),
        ([VICTIM, "second@acme.test"], b"Received: x\r\n" * 101 + b"From: <x@elsewhere.test>\r\n\r\nx\r\n", ["554"] * 2),
    ],
    ids=["one", "three", "twice the same", "one unknown", "one closed", "bare newline", "nul", "too big", "loop"],
)
def test_one_reply_for_each_accepted_recipient(server: Server, recipients: list[str], octets: bytes, said: list[str]) -> None:
    with smtp(server, "lmtp") as raw:
        accepted = [one for one in begin(raw, *recipients) if one.startswith("250")]
        assert len(accepted) == len(said)
        raw.say(b"DATA")
        raw.send(octets + b".\r\nNOOP\r\n")
        assert [raw.reply()[:3] for _ in said] == said
        assert raw.reply() == "250 2.0.0 ok"


def test_a_full_mailbox_is_told_for_that_recipient_alone(server: Server) -> None:
    with smtp(server, "lmtp") as raw:
        accepted = [one[:3] for one in begin(raw, VICTIM, "small@acme.test", "second@acme.test")]
        octets = b"From: <x@elsewhere.test>\r\n\r\n" + b"x" * 1000 + b"\r\n.\r\nNOOP\r\n"
        raw.say(b"DATA")
        raw.send(octets)
        replies = [raw.reply()[:9] for one in accepted if one == "250"]
        assert raw.reply() == "250 2.0.0 ok"
        assert replies.count("250 2.0.0") + replies.count("250 2.1.5") == 2, replies
        if accepted[1] == "250":
            assert replies[1] == "452 4.2.2"
        else:
            assert accepted[1] == "452"


def test_no_recipient_no_data(server: Server) -> None:
    with smtp(server, "lmtp") as raw:
        assert begin(raw, "nobody@acme.test", "closed@acme.test")[0].startswith("550 5.1.1 ")
        assert raw.say(b"DATA").startswith("503 5.5.1 ")
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


def test_one_recipient_more_than_there_may_be(server: Server) -> None:
    with smtp(server, "lmtp") as raw:
        said = begin(raw, *[VICTIM] * 7)
        assert [one[:9] for one in said[5:]] == ["452 4.5.3"] * 2
        raw.say(b"DATA")
        raw.send(b"From: <x@elsewhere.test>\r\n\r\nx\r\n.\r\nNOOP\r\n")
        assert [raw.reply()[:3] for _ in range(5)] == ["250"] * 5
        assert raw.reply() == "250 2.0.0 ok"


@pytest.mark.parametrize("command", [b"EHLO client.test", b"HELO client.test"])
def test_who_speaks_smtp_here_is_told_so(server: Server, command: bytes) -> None:
    with Raw(server.ports["lmtp"]) as raw:
        raw.reply()
        assert raw.say(command).startswith("500 5.5.")
        assert raw.say(b"MAIL FROM:<a@b.test>").startswith("503 5.5.1 ")
        assert raw.say(b"LHLO").startswith("501 5.5.4 ")
        assert raw.say(b"LHLO client.test").startswith("250-")


def test_no_login_and_no_tls_that_is_not_offered(server: Server) -> None:
    with smtp(server, "lmtp") as raw:
        assert raw.say(b"AUTH PLAIN AGEAYg==").startswith("502 5.5.1 ")
        assert raw.say(b"STARTTLS").startswith("502 5.5.1 ")
        assert raw.say(b"NOOP") == "250 2.0.0 ok"


@pytest.mark.parametrize("at", ["DATA", "half", "dot"])
def test_a_peer_that_vanishes_leaves_nothing_half_done(server: Server, at: str) -> None:
    number = f"gone-{at}".encode()
    with smtp(server, "lmtp") as raw:
        begin(raw, VICTIM)
        assert raw.say(b"DATA").startswith("354")
        raw.send(b"From: <x@elsewhere.test>\r\nMessage-ID: <" + number + b"@x.test>\r\n\r\n")
        if at == "half":
            raw.send(b"half a message\r\n")
        if at == "dot":
            raw.send(b"whole\r\n.\r\n")
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    # What was handed in whole may be there, once; what was not whole never is.
    server.deliver(VICTIM, b"From: <x@elsewhere.test>\r\n\r\nafter\r\n")
    assert has_message_id(server.messages(VICTIM), number + b"@x.test") <= (1 if at == "dot" else 0)


def test_a_peer_that_only_listens_on_after_the_dot_gets_its_replies(server: Server) -> None:
    with smtp(server, "lmtp") as raw:
        begin(raw, VICTIM, "second@acme.test")
        raw.say(b"DATA")
        raw.send(b"From: <x@elsewhere.test>\r\nMessage-ID: <half-closed@x.test>\r\n\r\nx\r\n.\r\n")
        raw.socket.shutdown(socket.SHUT_WR)
        assert [one[:3] for one in raw.rest().split(b"\r\n")][:2] == [b"250", b"250"]
    assert has_message_id(server.messages(VICTIM), b"half-closed@x.test") == 1


def test_strangers_may_not_hand_mail_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    closed = Watched(tmp_path_factory.mktemp("closed"), {"lmtp_networks": ["10.9.8.7/32"]})
    closed.people("victim")
    with closed, Raw(closed.ports["lmtp"]) as raw:
        assert raw.reply().startswith("421 4.7.1 ")
        assert raw.rest() == b""
        with closed.smtp("victim@acme.test") as client:
            assert client.noop()[0] == 250
        with pytest.raises((smtplib.SMTPException, OSError)):
            closed.deliver("victim@acme.test", b"From: <x@y.test>\r\n\r\nx\r\n")
