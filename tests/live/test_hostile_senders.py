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
        *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in ("mallory", "victim", "mark", "rita", "quiet")),
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


def test_the_server_is_well_afterwards(server: Server, mallory: smtplib.SMTP, inbox: Postbox) -> None:
    assert submit(mallory, "mallory@acme.test", "rita@acme.test", b"From: mallory@acme.test\r\n" + REST).accepted
    inbox.the_one()
    assert "Traceback" not in server.log.read_text()
