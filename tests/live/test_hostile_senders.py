"""No header makes the judge see another author than the reader, and none takes the server down: robustness.md section 2.4."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator

import pytest

from tests.live.hostile import Bystander, Watched, costing_less_than, unharmed
from tests.live.hostile_senders import FROM_VALUES, HARMLESS, HEADERS, INTERNATIONAL
from tests.live.post import DECISION, Postbox, submit
from tests.live.server import PASSWORD, Server

SECONDS = 5.0
"""No header may occupy the server for longer, on a slow machine."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Watched(tmp_path_factory.mktemp("hostile"))
    server.directory.mkdir(exist_ok=True)
    server.prov(
        "createDomain acme.test",
        *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in ("mallory", "victim", "mark", "rita", "quiet", "boss")),
        "grantRight account boss@acme.test usr mallory@acme.test sendOnBehalfOf",
    )
    with server:
        yield server


@pytest.fixture(scope="module", autouse=True)
def bystander(server: Server) -> Iterator[Bystander]:
    """One for all of them: each alone is over in no time."""
    with unharmed(server, "quiet@acme.test") as watching:
        yield watching


@pytest.fixture(scope="module")
def session(server: Server) -> Iterator[list[smtplib.SMTP]]:
    """One that is replaced when the server has ended it."""
    held: list[smtplib.SMTP] = [server.smtp("mallory@acme.test")]
    yield held
    held[0].close()


@pytest.fixture
def mallory(server: Server, session: list[smtplib.SMTP]) -> smtplib.SMTP:
    try:
        alive = session[0].noop()[0] == 250
    except smtplib.SMTPServerDisconnected:
        alive = False
    if not alive:
        session[0] = server.smtp("mallory@acme.test")
    return session[0]


@pytest.fixture(scope="module")
def inbox(server: Server) -> Iterator[Postbox]:
    box = Postbox(server, "rita@acme.test")
    yield box
    box.close()


def refused(server: Server, mallory: smtplib.SMTP, inbox: Postbox, octets: bytes, expected: str, options: tuple[str, ...] = ()) -> None:
    with costing_less_than(server, SECONDS):
        said = submit(mallory, "mallory@acme.test", "rita@acme.test", octets, options)
    assert said.enhanced.startswith(expected), said
    assert said.enhanced in ("550 5.6.0", "550 5.7.1")
    assert said.at == "DATA"
    assert said.text.isprintable()
    if said.enhanced == "550 5.7.1":
        assert DECISION.search(said.text), said.text
    assert inbox.new() == []
    assert server.process is not None
    assert server.process.poll() is None


REST = b"To: rita@acme.test\r\nSubject: x\r\n\r\nbody\r\n"


@pytest.mark.parametrize(("name", "value", "expected"), FROM_VALUES, ids=[row[0] for row in FROM_VALUES])
def test_hostile_from_values(server: Server, mallory: smtplib.SMTP, inbox: Postbox, name: str, value: bytes, expected: str) -> None:
    refused(server, mallory, inbox, b"From: " + value + b"\r\n" + REST, expected)


@pytest.mark.parametrize(("name", "header", "expected"), HEADERS, ids=[row[0] for row in HEADERS])
def test_hostile_headers(server: Server, mallory: smtplib.SMTP, inbox: Postbox, name: str, header: bytes, expected: str) -> None:
    refused(server, mallory, inbox, header + b"\r\nbody\r\n", expected)


@pytest.mark.parametrize(("name", "address", "expected"), INTERNATIONAL, ids=[row[0] for row in INTERNATIONAL])
def test_hostile_international_addresses(
    server: Server, mallory: smtplib.SMTP, inbox: Postbox, name: str, address: str, expected: str
) -> None:
    for value in (address, f"<{address}>", f"X <{address}>"):
        refused(server, mallory, inbox, f"From: {value}\r\n".encode() + REST, expected, ("SMTPUTF8", "BODY=8BITMIME"))


@pytest.mark.parametrize(("name", "header"), HARMLESS, ids=[row[0] for row in HARMLESS])
def test_honest_headers_that_stand_close(mallory: smtplib.SMTP, inbox: Postbox, name: str, header: bytes) -> None:
    octets = header + b"Date: x\r\nMessage-ID: <1@x>\r\n\r\nFrom: victim@acme.test\r\n\r\nbody\r\n"
    said = submit(mallory, "mallory@acme.test", "rita@acme.test", octets)
    assert said.accepted, said
    submitted = inbox.the_one().submitted
    if b"mallory+x" in header:
        submitted = submitted.replace(b"Sender: mallory@acme.test\r\n", b"")
    assert submitted == octets


@pytest.mark.parametrize(
    "path",
    [
        "victim@acme.test",
        '"victim"@acme.test',
        "@other.test:victim@acme.test",
        "victim@acme.test@acme.test",
        "victim@[127.0.0.1]",
        '"mallory@acme.test"@acme.test',
        "vic tim@acme.test",
        ".victim@acme.test",
        "victim@acme..test",
        "victim",
        "<victim@acme.test>",
        "VICTIM@ACME.TEST",
        "victim+x@acme.test",
        "mallory@acme.test>x",
    ],
)
def test_hostile_envelope_senders(mallory: smtplib.SMTP, path: str) -> None:
    code, text = mallory.docmd("MAIL", f"FROM:<{path}>")
    mallory.rset()
    assert code in (501, 550, 553, 555), (code, text)
    assert text.startswith(b"5.")


# What each of them is worth beside an author on whose behalf mallory may write.
FORGED_SENDERS = [
    ("another's", b"Sender: victim@acme.test\r\n"),
    ("a stranger's", b"Sender: x@elsewhere.test\r\n"),
    ("folded", b"Sender:\r\n Victim\r\n <victim@acme.test>\r\n"),
    ("in another case", b"sENDER: victim@acme.test\r\n"),
    ("encoded", b"Sender: =?utf-8?q?Victim?= <victim@acme.test>\r\n"),
    ("with ours in a comment", b"Sender: victim@acme.test (mallory@acme.test)\r\n"),
    ("twice", b"Sender: victim@acme.test\r\nSender: mallory@acme.test\r\n"),
    ("hundreds", b"Sender: victim@acme.test\r\n" * 900),
    ("long", b"Sender: " + b"(x)\r\n " * 5_000 + b"victim@acme.test\r\n"),
    ("unclosed", b"Sender: <victim@acme.test\r\n"),
    ("empty", b"Sender:\r\n"),
    ("with a control", b"Sender: victim@acme.test\x0cFrom: victim@acme.test\r\n"),
]


@pytest.mark.parametrize(("name", "header"), FORGED_SENDERS, ids=[row[0] for row in FORGED_SENDERS])
def test_only_the_server_says_who_wrote_on_behalf(server: Server, mallory: smtplib.SMTP, inbox: Postbox, name: str, header: bytes) -> None:
    with costing_less_than(server, SECONDS):
        said = submit(mallory, "mallory@acme.test", "rita@acme.test", b"From: boss@acme.test\r\n" + header + REST)
    if not said.accepted:
        assert said.enhanced in ("550 5.6.0", "550 5.7.1"), said
        assert inbox.new() == []
        return
    letter = inbox.the_one()
    assert letter.every("From") == ["boss@acme.test"]
    (sender,) = letter.every("Sender")
    assert sender == "mallory@acme.test"
    assert b"victim" not in letter.octets


HIDDEN = [
    b"Bcc: victim@acme.test\r\n",
    b"bCC:\r\n victim@acme.test,\r\n\tx@elsewhere.test\r\n",
    b"Bcc: victim@acme.test\r\n" * 400,
    b"Return-Path: <victim@acme.test>\r\n",
    b"Return-Path: <victim@acme.test>\r\nReturn-Path: <>\r\n",
    b"Resent-Bcc: victim@acme.test\r\n",
]


@pytest.mark.parametrize("header", HIDDEN, ids=range(len(HIDDEN)))
def test_what_is_removed_is_removed_whole(server: Server, mallory: smtplib.SMTP, inbox: Postbox, header: bytes) -> None:
    octets = b"From: mallory@acme.test\r\n" + header + REST
    with costing_less_than(server, SECONDS):
        assert submit(mallory, "mallory@acme.test", "rita@acme.test", octets).accepted
    letter = inbox.the_one()
    assert b"victim" not in letter.octets
    assert letter.every("Return-Path") == ["<mallory@acme.test>"]


CLAIMS = [
    b"Resent-From: victim@acme.test\r\n",
    b"Resent-From: mallory@acme.test, victim@acme.test\r\n",
    b"rESENT-fROM: <victim@acme.test> <mallory@acme.test>\r\n",
    b"Resent-Sender: mallory@acme.test\r\nResent-From: victim@acme.test\r\nResent-From: mallory@acme.test\r\n",
    b"Resent-From: victim@acme.test\r\n" * 300,
]


@pytest.mark.parametrize("header", CLAIMS, ids=range(len(CLAIMS)))
def test_resent_fields_claim_nobody_else(server: Server, mallory: smtplib.SMTP, inbox: Postbox, header: bytes) -> None:
    octets = header + b"From: mallory@acme.test\r\n" + REST
    with costing_less_than(server, SECONDS):
        said = submit(mallory, "mallory@acme.test", "rita@acme.test", octets)
    assert said.enhanced in ("550 5.6.0", "550 5.7.1"), said
    assert inbox.new() == []


def test_who_resent_it_before_is_told_as_it_was_and_who_does_now_by_the_server(mallory: smtplib.SMTP, inbox: Postbox) -> None:
    """The newest block is the first (RFC 5322 section 3.6.6)."""
    before = b"Resent-From: victim@acme.test\r\nResent-Date: x\r\n"
    octets = b"Resent-From: mallory@acme.test\r\nResent-Sender: victim@acme.test\r\n" + before + b"From: mallory@acme.test\r\n" + REST
    assert submit(mallory, "mallory@acme.test", "rita@acme.test", octets).accepted
    letter = inbox.the_one()
    assert letter.every("Resent-From") == ["mallory@acme.test", "victim@acme.test"]
    assert letter.every("Resent-Sender") == []


def test_the_empty_path_frees_nobody_from_the_rules(server: Server, mallory: smtplib.SMTP, inbox: Postbox) -> None:
    for name, value, expected in FROM_VALUES[:: max(1, len(FROM_VALUES) // 12)]:
        with costing_less_than(server, SECONDS):
            said = submit(mallory, "", "rita@acme.test", b"From: " + value + b"\r\nAuto-Submitted: auto-replied\r\n" + REST)
        assert said.enhanced.startswith(expected), (name, said)
    assert submit(mallory, "", "rita@acme.test", b"From: victim@acme.test\r\n" + REST).enhanced == "550 5.7.1"
    assert inbox.new() == []
    assert submit(mallory, "", "rita@acme.test", b"From: mallory@acme.test\r\n" + REST).accepted
    assert inbox.the_one().every("Return-Path") == ["<>"]


def test_octets_that_no_rule_is_about_are_left_alone(server: Server, mallory: smtplib.SMTP, inbox: Postbox) -> None:
    """Neither decoded nor written anew, however odd they are."""
    header = (
        b"From: =?utf-8?q?M=C3=A4l?= =?iso-8859-1?q?=20lory?= <mallory@acme.test>\r\n"
        b"Subject:   =?utf-8?b?////?=\t=?x?y?z?=\r\n \xff\xfe  \r\nX-Long: " + b"y" * 900 + b"\r\nX-Empty:\r\nx-a: 1\r\nX-A: 2\r\n"
        b'Content-Type: multipart/mixed; boundary*0*=utf-8\'\'%62; boundary*1=c; charset="\\""\r\n'
    )
    body = b"--bc\r\nFrom: victim@acme.test\r\nSender: victim@acme.test\r\nBcc: victim@acme.test\r\n\r\n.\xff\r\n..\r\n--bc--\r\n \r\n"
    octets = header + b"To: rita@acme.test\r\nDate: x\r\nMessage-ID: <odd@x>\r\n\r\n" + body
    with costing_less_than(server, SECONDS):
        said = submit(mallory, "mallory@acme.test", "rita@acme.test", octets, ("BODY=8BITMIME",))
    assert said.accepted, said
    assert inbox.the_one().submitted == octets


def test_the_server_is_well_afterwards(server: Server, mallory: smtplib.SMTP, inbox: Postbox) -> None:
    assert submit(mallory, "mallory@acme.test", "rita@acme.test", b"From: mallory@acme.test\r\n" + REST).accepted
    inbox.the_one()
    assert "Traceback" not in server.log.read_text()
