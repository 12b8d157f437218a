"""The same errands with every client that can send: for oneself, as somebody, on somebody's behalf, and where it is not allowed."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from email.policy import SMTP
from pathlib import Path

import pytest

from tests.interop.office import run
from tests.live.server import PASSWORD, Server, compose

NODEMAILER = Path(__file__).with_name("nodemailer")
AS_OWNER = "Olivia Owner <owner@acme.test>"
REFUSED = "550 5.7.1 stranger@acme.test may not send as owner@acme.test: no sendAs or sendOnBehalfOf grant [d-"
TEXT = "first\r\n.\r\n..two dots\r\n.hidden\r\n\r\nGrüße, Łukasz\r\nlast"


@dataclass(frozen=True, slots=True)
class Errand:
    """Who sends what, by which door. `from_`: the header field, None: the user's own; `notify`: DSN is asked for.
    `login`: another name of the user's, for clients whose AUTH knows ASCII only."""

    user: str
    to: tuple[str, ...]
    subject: str
    from_: str | None = None
    door: str = "submission"
    notify: str = ""
    beyond_ascii: bool = False
    login: str = ""

    @property
    def name(self) -> str:
        return self.login or self.user

    @property
    def octets(self) -> bytes:
        """The message as a client is given it."""
        kind = {"MIME_Version": "1.0", "Content_Type": "text/plain; charset=utf-8", "Content_Transfer_Encoding": "8bit"}
        return compose(self.from_ or self.user, ", ".join(self.to), self.subject, TEXT, **kind)


@dataclass(frozen=True, slots=True)
class Outcome:
    """`said`: what the person at the client can read."""

    ok: bool
    said: str


Client = Callable[[Server, Path, Errand], Outcome]


def certificate(server: Server) -> str:
    return str(server.data / "certificate.pem")


def told(done: subprocess.CompletedProcess[str]) -> Outcome:
    return Outcome(done.returncode == 0, done.stdout + done.stderr)


def by_swaks(server: Server, home: Path, errand: Errand) -> Outcome:
    tls = ["--tls-on-connect"] if errand.door == "submissions" else ["--tls"]
    login = ["--auth", "PLAIN,LOGIN", "--auth-user", errand.name, "--auth-password", PASSWORD]
    there = ["--server", f"localhost:{server.ports[errand.door]}", "--pipeline", *tls, "--tls-verify", "--tls-ca-path", certificate(server)]
    envelope = ["--from", errand.user, "--to", ",".join(errand.to)]
    (home / "letter.eml").write_bytes(errand.octets)
    return told(run(home, "swaks", *there, *login, *envelope, "--data", f"@{home / 'letter.eml'}"))


def by_msmtp(server: Server, home: Path, errand: Errand) -> Outcome:
    there = ["--host=localhost", f"--port={server.ports[errand.door]}", "--tls=on", f"--tls-trust-file={certificate(server)}"]
    tls = ["--tls-starttls=off"] if errand.door == "submissions" else ["--tls-starttls=on"]
    login = ["--auth=on", f"--user={errand.name}", "--passwordeval", f"echo '{PASSWORD}'", f"--from={errand.user}"]
    # Its own Message-ID has the envelope sender in it, and would tell who sends as somebody else.
    login.append("--set-msgid-header=off")
    dsn = [f"--dsn-notify={errand.notify.lower()}", "--dsn-return=headers"] if errand.notify else []
    return told(run(home, "msmtp", *there, *tls, *login, *dsn, *errand.to, stdin=errand.octets.decode()))


def by_curl(server: Server, home: Path, errand: Errand) -> Outcome:
    scheme = "smtps" if errand.door == "submissions" else "smtp"
    there = ["--cacert", certificate(server), "--ssl-reqd", "--user", f"{errand.name}:{PASSWORD}", "-v"]
    envelope = ["--mail-from", errand.user, *(word for to in errand.to for word in ("--mail-rcpt", to))]
    url = f"{scheme}://localhost:{server.ports[errand.door]}/client.test"
    return told(run(home, "curl", "-sS", *there, *envelope, "--upload-file", "-", url, stdin=errand.octets.decode()))


def by_nodemailer(server: Server, home: Path, errand: Errand) -> Outcome:
    mail: dict[str, object] = {
        "envelope": {"from": errand.user, "to": list(errand.to)},
        "raw": errand.octets.decode(),
        "encoding": "utf-8",
    }
    if errand.notify:
        mail["dsn"] = {"id": "QQ-1", "return": "headers", "notify": [errand.notify.lower()], "recipient": errand.to[0]}
    asked = {
        "host": "localhost",
        "port": server.ports[errand.door],
        "secure": errand.door == "submissions",
        "ca": certificate(server),
        "user": errand.name,
        "password": PASSWORD,
        "mails": [mail],
    }
    done = run(home, "node", str(NODEMAILER / "send.mjs"), stdin=json.dumps(asked))
    assert done.returncode == 0, done.stderr
    ((outcome),) = json.loads(done.stdout)
    return Outcome(outcome["ok"], outcome["said"])


def by_smtplib(server: Server, home: Path, errand: Errand) -> Outcome:
    context = ssl.create_default_context(cafile=certificate(server))
    client: smtplib.SMTP
    if errand.door == "submissions":
        client = smtplib.SMTP_SSL("localhost", server.ports["submissions"], timeout=20, context=context)
    else:
        client = smtplib.SMTP("localhost", server.ports["submission"], timeout=20)
        client.starttls(context=context)
    mail = ["BODY=8BITMIME", *(["SMTPUTF8"] if errand.beyond_ascii else []), *(["RET=HDRS"] if errand.notify else [])]
    rcpt = [f"NOTIFY={errand.notify}"] if errand.notify else []
    with client:
        client.login(errand.name, PASSWORD)
        try:
            client.sendmail(errand.user, errand.to, errand.octets, mail, rcpt)
        except smtplib.SMTPResponseException as refused:
            return Outcome(False, f"{refused.smtp_code} {refused.smtp_error!r}")
        except smtplib.SMTPRecipientsRefused as refused_all:
            return Outcome(False, repr(refused_all.recipients))
    return Outcome(True, "")


def by_aiosmtplib(server: Server, home: Path, errand: Errand) -> Outcome:
    import aiosmtplib

    mail = ["BODY=8BITMIME", *(["SMTPUTF8"] if errand.beyond_ascii else []), *(["RET=HDRS"] if errand.notify else [])]
    rcpt = [f"NOTIFY={errand.notify}"] if errand.notify else []

    async def send() -> Outcome:
        implicit = errand.door == "submissions"
        client = aiosmtplib.SMTP(
            hostname="localhost",
            port=server.ports[errand.door],
            use_tls=implicit,
            start_tls=not implicit,
            cert_bundle=certificate(server),
            username=errand.name,
            password=PASSWORD,
            timeout=20,
        )
        async with client:
            try:
                _, said = await client.sendmail(errand.user, errand.to, errand.octets, mail_options=mail, rcpt_options=rcpt)
            except aiosmtplib.SMTPResponseException as refused:
                return Outcome(False, f"{refused.code} {refused.message}")
            except aiosmtplib.SMTPRecipientsRefused as refused_all:
                return Outcome(False, str(refused_all.recipients))
            return Outcome(True, said)

    return asyncio.run(send())


CLIENTS: dict[str, Client] = {
    "swaks": by_swaks,
    "msmtp": by_msmtp,
    "curl": by_curl,
    "nodemailer": by_nodemailer,
    "smtplib": by_smtplib,
    "aiosmtplib": by_aiosmtplib,
}
ASKS_TO_BE_TOLD = ("msmtp", "nodemailer", "smtplib", "aiosmtplib")
BEYOND_ASCII = ("curl", "nodemailer", "smtplib", "aiosmtplib")


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Client:
    name = str(request.param)
    if name == "nodemailer":
        missing = shutil.which("node") is None or not (NODEMAILER / "node_modules/nodemailer").is_dir()
    elif name == "swaks":
        missing = shutil.which("swaks") is None or subprocess.run(["perl", "-MNet::SSLeay", "-e", "1"], capture_output=True).returncode != 0
    elif name in ("msmtp", "curl"):
        missing = shutil.which(name) is None
    else:
        missing = False
    if missing:
        pytest.skip(f"{name} is not installed")
    return CLIENTS[name]


def every(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("client", names or tuple(CLIENTS), indirect=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    directory = tmp_path_factory.mktemp("senders")
    with Server(directory, {"listen.lmtp": ["127.0.0.1:0", f"unix:{directory}/lmtp"]}) as running:
        running.people("delegate", "helper", "stranger", "partner", "jörg", "crowd")
        running.prov(
            f"createAccount owner@acme.test '{PASSWORD}' displayName 'Olivia Owner'",
            "addAccountAlias jörg@acme.test joerg@acme.test",
            "grantRight account owner@acme.test usr delegate@acme.test sendAs",
            "grantRight account owner@acme.test usr helper@acme.test sendOnBehalfOf",
        )
        yield running


def arrived(server: Server, user: str, subject: str) -> tuple[bytes, Message]:
    for octets in server.wait_for(user, seconds=20):
        found = BytesParser(policy=SMTP).parsebytes(octets)
        if found["Subject"] == subject:
            return octets, found
    raise AssertionError(f"{subject} is not there")


def body(octets: bytes) -> str:
    """As it was written: whatever a client appended is no line of text."""
    return octets.partition(b"\r\n\r\n")[2].decode().rstrip("\r\n")


@every()
@pytest.mark.parametrize("door", ["submission", "submissions"])
def test_for_oneself(server: Server, tmp_path: Path, client: Client, door: str, request: pytest.FixtureRequest) -> None:
    subject = f"for oneself {request.node.callspec.id}"
    outcome = client(server, tmp_path, Errand("helper@acme.test", ("partner@acme.test",), subject, door=door))
    assert outcome.ok, outcome.said
    octets, letter = arrived(server, "partner@acme.test", subject)
    assert letter["From"] == "helper@acme.test"
    assert letter["Sender"] is None
    assert letter["Return-Path"] == "<helper@acme.test>"
    assert body(octets) == TEXT


@every()
def test_as_the_owner(server: Server, tmp_path: Path, client: Client, request: pytest.FixtureRequest) -> None:
    subject = f"as the owner {request.node.callspec.id}"
    outcome = client(server, tmp_path, Errand("delegate@acme.test", ("partner@acme.test",), subject, AS_OWNER))
    assert outcome.ok, outcome.said
    octets, letter = arrived(server, "partner@acme.test", subject)
    assert (letter["From"], letter["Sender"], letter["Return-Path"]) == (AS_OWNER, None, "<owner@acme.test>")
    assert b"delegate" not in octets.lower(), octets
    arrived_in_sent = [one for one in server.messages("owner@acme.test", "Sent") if f"Subject: {subject}\r\n".encode() in one]
    assert len(arrived_in_sent) == 1


@every()
def test_on_behalf_of_the_owner(server: Server, tmp_path: Path, client: Client, request: pytest.FixtureRequest) -> None:
    subject = f"on behalf {request.node.callspec.id}"
    outcome = client(server, tmp_path, Errand("helper@acme.test", ("partner@acme.test",), subject, AS_OWNER))
    assert outcome.ok, outcome.said
    _, letter = arrived(server, "partner@acme.test", subject)
    assert (letter["From"], letter["Sender"]) == (AS_OWNER, "Helper <helper@acme.test>")


@every()
def test_who_may_not_reads_why(server: Server, tmp_path: Path, client: Client, request: pytest.FixtureRequest) -> None:
    subject = f"refused {request.node.callspec.id}"
    outcome = client(server, tmp_path, Errand("stranger@acme.test", ("partner@acme.test",), subject, AS_OWNER))
    assert not outcome.ok
    said = re.sub(r"\s+", " ", outcome.said).replace("550 b'", "550 ")
    assert REFUSED in said, outcome.said
    assert not any(f"Subject: {subject}".encode() in one for one in server.messages("partner@acme.test"))


@every()
def test_nobody_there(server: Server, tmp_path: Path, client: Client) -> None:
    outcome = client(server, tmp_path, Errand("helper@acme.test", ("nobody@acme.test",), "to nobody"))
    assert not outcome.ok
    assert "there is no such recipient" in outcome.said


@every(*ASKS_TO_BE_TOLD)
def test_who_asks_is_told_of_the_delivery(server: Server, tmp_path: Path, client: Client, request: pytest.FixtureRequest) -> None:
    subject = f"tell me {request.node.callspec.id}"
    outcome = client(server, tmp_path, Errand("helper@acme.test", ("partner@acme.test",), subject, notify="SUCCESS"))
    assert outcome.ok, outcome.said
    reports = [one.decode() for one in server.wait_for("helper@acme.test", seconds=20) if f"Subject: {subject}\r\n".encode() in one]
    assert len(reports) == 1
    assert "Action: delivered" in reports[0]
    assert "Final-Recipient: rfc822; partner@acme.test" in reports[0]


@every(*BEYOND_ASCII)
def test_to_an_address_beyond_ascii(server: Server, tmp_path: Path, client: Client, request: pytest.FixtureRequest) -> None:
    subject = f"Grüße {request.node.callspec.id}"
    outcome = client(server, tmp_path, Errand("jörg@acme.test", ("jörg@acme.test",), subject, beyond_ascii=True, login="joerg@acme.test"))
    assert outcome.ok, outcome.said
    assert any(f"Subject: {subject}\r\n".encode() in one for one in server.wait_for("joerg@acme.test", seconds=20))


# --- many at once


smtp_source = pytest.mark.skipif(shutil.which("smtp-source") is None, reason="smtp-source (of postfix) is not installed")
MANY, AT_ONCE = 400, 25


def counted(server: Server, user: str, sender: str) -> int:
    return sum(one.startswith(f"Return-Path: <{sender}>".encode()) for one in server.messages(user))


@smtp_source
@pytest.mark.parametrize(
    ("door", "ways"),
    [("mx", ()), ("mx", ("-d",)), ("lmtp", ("-L",)), ("lmtp", ("-L", "-d"))],
    ids=lambda one: one if isinstance(one, str) else " ".join(one) or "anew",
)
def test_smtp_source_with_many_connections(server: Server, tmp_path: Path, door: str, ways: tuple[str, ...]) -> None:
    """`-d`: a connection is used again for the next message."""
    sender = f"source-{door}-{len(ways)}@elsewhere.test"
    there = f"inet:127.0.0.1:{server.ports[door]}"
    much = ["-s", str(AT_ONCE), "-m", str(MANY), "-l", "3000"]
    done = run(tmp_path, "smtp-source", *ways, *much, "-M", "client.test", "-f", sender, "-t", "crowd@acme.test", there)
    assert done.returncode == 0, done.stderr
    assert "fatal" not in done.stderr + done.stdout
    assert counted(server, "crowd@acme.test", sender) == MANY


@smtp_source
def test_smtp_source_on_a_unix_socket(server: Server, tmp_path: Path) -> None:
    sender = "source-unix@elsewhere.test"
    there = f"unix:{server.directory}/lmtp"
    done = run(tmp_path, "smtp-source", "-L", "-s", "10", "-m", "100", "-M", "client.test", "-f", sender, "-t", "crowd@acme.test", there)
    assert done.returncode == 0, done.stderr
    assert counted(server, "crowd@acme.test", sender) == 100


@every("swaks")
def test_swaks_on_a_unix_socket_hears_of_each_recipient(server: Server, tmp_path: Path, client: Client) -> None:
    there = ["--protocol", "LMTP", "--socket", f"{server.directory}/lmtp", "--pipeline"]
    letter = ["--from", "swaks-unix@elsewhere.test", "--to", "crowd@acme.test,nobody@acme.test,partner@acme.test"]
    done = run(tmp_path, "swaks", *there, *letter)
    assert re.search(r"<\*\* 550 5\.1\.1 ", done.stdout)
    assert len(re.findall(r"250 2\.0\.0 [0-9a-f]+ accepted", done.stdout)) == 2
    assert [counted(server, user, "swaks-unix@elsewhere.test") for user in ("crowd@acme.test", "partner@acme.test")] == [1, 1]


@every("swaks")
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_is_told_of_a_wrong_password(server: Server, tmp_path: Path, client: Client, mechanism: str) -> None:
    tls = ["--tls", "--tls-verify", "--tls-ca-path", certificate(server)]
    login = ["--auth", mechanism, "--auth-user", "helper@acme.test", "--auth-password", "wrong", "--to", "partner@acme.test"]
    done = run(tmp_path, "swaks", "--server", f"localhost:{server.ports['submission']}", *tls, *login)
    assert done.returncode == 28, "swaks' word for a login that was refused"
    assert "535 5.7.8 authentication failed" in done.stdout


@every("nodemailer")
def test_a_pool_of_nodemailer(server: Server, tmp_path: Path, client: Client) -> None:
    """What a web application does: connections kept, messages composed by the library, some of them not allowed."""

    def mail(number: int) -> dict[str, object]:
        return {
            "from": AS_OWNER if number % 2 else "Nobody <nobody@acme.test>",
            "to": "crowd@acme.test",
            "subject": f"Rundschreiben № {number}",
            "text": "viele Grüße",
            "html": "<p>viele Grüße</p>",
            "attachments": [{"filename": "größe.txt", "content": "x" * 100_000}],
        }

    asked = {"host": "localhost", "port": server.ports["submissions"], "secure": True, "ca": certificate(server), "pool": True}
    who = {"user": "delegate@acme.test", "password": PASSWORD}
    mails = [mail(one) for one in range(40)]
    done = run(tmp_path, "node", str(NODEMAILER / "send.mjs"), stdin=json.dumps({**asked, **who, "mails": mails}))
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert [one["ok"] for one in outcomes] == [bool(number % 2) for number in range(40)]
    assert all("553 5.7.1 delegate@acme.test may not send as nobody@acme.test" in one["said"] for one in outcomes[::2])
    found = [BytesParser(policy=SMTP).parsebytes(one) for one in server.messages("crowd@acme.test")]
    assert sorted(int(one["Subject"].split()[-1]) for one in found if "Rundschreiben" in str(one["Subject"])) == list(range(1, 40, 2))
