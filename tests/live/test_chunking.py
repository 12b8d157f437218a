"""Messages in chunks, and of any octets, through the real server (RFC 3030): from every door into the mailbox and to the next hop."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email import message_from_bytes

import pytest

from tests.live.hostile import Raw
from tests.live.next_hop import NextHop, next_hop
from tests.live.server import Server

PICTURE = b"\0\1\r\n.\r\n\nMAIL FROM:<x@y.test>\r\n\xff\0"
BINARY = (
    b"From: anna@acme.test\r\nMessage-ID: <%b@acme.test>\r\nMIME-Version: 1.0\r\nContent-Type: image/x\r\n"
    b"Content-Transfer-Encoding: binary\r\n\r\n" + PICTURE
)


@pytest.fixture(scope="module")
def hop() -> Iterator[NextHop]:
    with next_hop() as one:
        yield one


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, hop: NextHop) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("chunking"), {"relay": f"smtp://127.0.0.1:{hop.port}"})
    made.people("anna", "bob", "carla")
    with made:
        yield made


def bdat(client: smtplib.SMTP, *chunks: bytes) -> tuple[int, bytes]:
    """All chunks, the last one with LAST; the last reply."""
    said = (0, b"")
    for number, chunk in enumerate(chunks, 1):
        client.send(b"BDAT %d%b\r\n" % (len(chunk), b" LAST" if number == len(chunks) else b"") + chunk)
        said = client.getreply()
    return said


def picture(octets: bytes) -> object:
    return message_from_bytes(octets).get_payload(decode=True)


@pytest.mark.parametrize("door", ["submission", "submissions", "mx", "lmtp"])
def test_any_octets_come_through_every_door(server: Server, door: str) -> None:
    match door:
        case "submission":
            client = server.smtp("anna@acme.test")
        case "submissions":
            client = server.smtps("anna@acme.test")
        case "mx":
            client = smtplib.SMTP("127.0.0.1", server.ports["mx"], timeout=20)
        case _:
            client = server.lmtp()
    octets = BINARY % door.encode()
    with client:
        client.ehlo_or_helo_if_needed()
        assert client.has_extn("chunking")
        assert client.has_extn("binarymime")
        assert client.docmd("MAIL FROM:<anna@acme.test> BODY=BINARYMIME")[0] == 250
        assert client.docmd("RCPT TO:<bob@acme.test>")[0] == 250
        code, text = bdat(client, octets[:50], octets[50:51], b"", octets[51:])
        assert (code, text.split()[0], text.split()[-1]) == (250, b"2.0.0", b"accepted")
        assert client.noop()[0] == 250
    (kept,) = [one for one in server.wait_for("bob@acme.test") if b"<%b@acme.test>" % door.encode() in one]
    assert picture(kept) == PICTURE
    assert b"\0" not in kept


def test_the_next_hop_gets_it_as_lines(server: Server, hop: NextHop) -> None:
    """Whether it takes BINARYMIME or not: what no server on the way could take for the end of a message is safest."""
    with server.smtp("anna@acme.test") as client:
        client.ehlo_or_helo_if_needed()
        client.docmd("MAIL FROM:<anna@acme.test> BODY=BINARYMIME")
        client.docmd("RCPT TO:<friend@elsewhere.test>")
        assert bdat(client, BINARY % b"onward")[0] == 250
    (taken,) = hop.wait(1)
    assert picture(taken.octets) == PICTURE
    assert b"\0" not in taken.octets


def test_the_sender_is_judged_as_after_data(server: Server) -> None:
    with server.smtp("anna@acme.test") as client:
        client.ehlo_or_helo_if_needed()
        client.docmd("MAIL FROM:<anna@acme.test>")
        client.docmd("RCPT TO:<bob@acme.test>")
        code, text = bdat(client, b"From: carla", b"@acme.test\r\nSubject: x\r\n\r\nx\r\n")
        assert (code, text[:5]) == (550, b"5.7.1")
        assert client.docmd("RCPT TO:<bob@acme.test>")[0] == 503


def test_a_drop_in_the_middle_leaves_nothing(server: Server) -> None:
    before = len(server.messages("bob@acme.test"))
    for sent in (b"BDAT 500 LAST\r\n" + b"Subject: half\r\n", b"BDAT 15\r\nSubject: half\r\nBDAT ", b"BDAT 15\r\nSubject: half\r\n"):
        with Raw(server.ports["lmtp"]) as raw:
            raw.reply()
            raw.say(b"LHLO there")
            raw.say(b"MAIL FROM:<>")
            raw.say(b"RCPT TO:<bob@acme.test>")
            raw.send(sent)
    server.deliver("bob@acme.test", b"Subject: whole\r\n\r\nx\r\n")
    there = server.wait_for("bob@acme.test", count=before + 1)
    assert len(there) == before + 1
    assert b"Subject: half" not in b"".join(there)


@pytest.mark.parametrize("size", [b"9223372036854775808", b"99999999999999999999", b"1" * 400])
def test_a_size_beyond_all_measure_ends_the_connection(server: Server, size: bytes) -> None:
    with Raw(server.ports["mx"]) as raw:
        raw.reply()
        raw.say(b"EHLO there")
        assert raw.say(b"BDAT " + size + b" LAST")[:9] in ("552 5.3.4", "501 5.5.4")
        assert not raw.more()
