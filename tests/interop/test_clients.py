"""Mail clients from the distribution read a shared folder and send as its owner, over TLS with the certificate verified."""

from __future__ import annotations

import imaplib
import os
import pty
import re
import select
import shutil
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.issuer import AUDIENCE, Issuer, issuing
from tests.live.server import PASSWORD, Server, compose, trusting

SHARED = "Other Users/owner/INBOX"
AS_OWNER = "Olivia Owner <owner@acme.test>"
SECONDS = 60


def _has(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True, timeout=SECONDS).returncode == 0


curl = pytest.mark.skipif(not _has("curl", "--version"), reason="curl is not installed")
swaks = pytest.mark.skipif(
    shutil.which("swaks") is None or not _has("perl", "-MNet::SSLeay", "-e", "1"), reason="swaks with Net::SSLeay is not installed"
)
gsasl = pytest.mark.skipif(not _has("gsasl", "--version"), reason="gsasl is not installed")
msmtp = pytest.mark.skipif(not _has("msmtp", "--version"), reason="msmtp is not installed")
mbsync = pytest.mark.skipif(not _has("mbsync", "--version"), reason="mbsync is not installed")
neomutt = pytest.mark.skipif(not _has("neomutt", "-v"), reason="neomutt is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("interop"), {"auth.plaintext": False}) as running:
        running.prov(
            "createDomain acme.test",
            *(f"createAccount {name}@acme.test '{PASSWORD}'" for name in ("delegate", "reader", "stranger", "partner")),
            f"createAccount owner@acme.test '{PASSWORD}' displayName 'Olivia Owner'",
            "selectMailbox owner@acme.test modifyFolderGrant / account delegate@acme.test rwixd",
            "selectMailbox owner@acme.test modifyFolderGrant /INBOX account reader@acme.test r",
            "grantRight account owner@acme.test usr delegate@acme.test sendAs",
        )
        for number in (1, 2):
            running.deliver(
                "owner@acme.test", compose("Someone <someone@elsewhere.test>", "owner@acme.test", f"Letter {number}", f"text {number}")
            )
        yield running


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Issuer]]:
    """A server that takes tokens, and who gives them out."""
    with issuing() as issuer:
        settings = {"auth.plaintext": False, "oauth.issuer": issuer.url, "oauth.audience": AUDIENCE}
        with Server(tmp_path_factory.mktemp("issued"), settings) as running:
            running.people("reader")
            yield running, issuer


def run(server: Server, directory: Path, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """A client with a home of its own."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "LC_ALL": "C.UTF-8"}
    return subprocess.run(command, cwd=directory, env=environment, input=stdin, capture_output=True, text=True, timeout=SECONDS)


def certificate(server: Server) -> str:
    return str(server.data / "certificate.pem")


def received(server: Server, tmp_path: Path, subject: str) -> str:
    """The partner's message with this subject, read with Python."""
    client = server.imap()
    try:
        client.starttls(ssl.create_default_context(cafile=certificate(server)))
        client.login("partner@acme.test", PASSWORD)
        end = time.monotonic() + SECONDS
        while True:
            client.select("INBOX", readonly=True)
            _, (found, *_) = client.search(None, "SUBJECT", f'"{subject}"')
            if found:
                _, data = client.fetch(found.split()[-1].decode(), "(BODY.PEEK[])")
                return data[0][1].decode()  # type: ignore[index, union-attr]
            assert time.monotonic() < end, f"{subject} did not arrive"
            time.sleep(0.1)
    finally:
        client.logout()


def assert_sent_as_owner(message: str) -> None:
    header = message.partition("\r\n\r\n")[0]
    assert f"\r\nFrom: {AS_OWNER}\r\n" in header
    assert not re.search(r"^(X-)?Sender:", header, re.MULTILINE | re.IGNORECASE)
    assert "delegate" not in header.lower()


# --- curl


def curls(server: Server, directory: Path, user: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    credentials = ("--user", f"{user}@acme.test:{PASSWORD}")
    return run(server, directory, "curl", "-sS", "--cacert", certificate(server), "--ssl-reqd", *credentials, *arguments, stdin=stdin)


def imap_url(server: Server, path: str = "", *, door: str = "imap") -> str:
    return f"{door}://localhost:{server.ports[door]}/{path}"


@curl
@pytest.mark.parametrize("door", ["imap", "imaps"])
def test_curl_lists_what_is_shared(server: Server, tmp_path: Path, door: str) -> None:
    done = curls(server, tmp_path, "reader", imap_url(server, door=door))
    assert done.returncode == 0, done.stderr
    shared = [line.rpartition('"/" ')[2].strip() for line in done.stdout.splitlines() if "Other Users" in line]
    assert shared == ['"Other Users"', '"Other Users/owner"', '"Other Users/owner/INBOX"']


@curl
def test_curl_reads_a_letter_of_the_owner(server: Server, tmp_path: Path) -> None:
    done = curls(server, tmp_path, "reader", imap_url(server, "Other%20Users/owner/INBOX;MAILINDEX=1"))
    assert done.returncode == 0, done.stderr
    assert "Subject: Letter 1" in done.stdout
    assert done.stdout.rstrip().endswith("text 1")


@curl
def test_curl_as_a_stranger_finds_nothing(server: Server, tmp_path: Path) -> None:
    done = curls(server, tmp_path, "stranger", imap_url(server, "Other%20Users/owner/INBOX;MAILINDEX=1"))
    assert done.returncode != 0
    assert done.stdout == ""


@curl
def test_curl_sends_as_the_owner(server: Server, tmp_path: Path) -> None:
    letter = f"From: {AS_OWNER}\r\nTo: partner@acme.test\r\nSubject: by curl\r\n\r\nhello\r\n"
    url = f"smtp://localhost:{server.ports['submission']}"
    sending = ("--mail-from", "delegate@acme.test", "--mail-rcpt", "partner@acme.test", "--upload-file", "-")
    done = curls(server, tmp_path, "delegate", url, *sending, stdin=letter)
    assert done.returncode == 0, done.stderr
    assert_sent_as_owner(received(server, tmp_path, "by curl"))


@curl
def test_curl_as_a_stranger_is_refused(server: Server, tmp_path: Path) -> None:
    letter = f"From: {AS_OWNER}\r\nTo: partner@acme.test\r\nSubject: by curl\r\n\r\nhello\r\n"
    url = f"smtps://localhost:{server.ports['submissions']}"
    sending = ("-v", "--mail-from", "stranger@acme.test", "--mail-rcpt", "partner@acme.test", "--upload-file", "-")
    done = curls(server, tmp_path, "stranger", url, *sending, stdin=letter)
    assert done.returncode != 0
    assert "< 550 5.7.1 stranger@acme.test may not send as owner@acme.test" in done.stderr


# --- gsasl, msmtp and curl, for what proves who somebody is


def gsasls(server: Server, directory: Path, door: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """GNU SASL, whose only way to bind is by tls-unique and tls-exporter, so that it is told not to."""
    there = ["--smtp"] if door == "submission" else ["--imap"]
    tls = [f"--connect=localhost:{server.ports[door]}", f"--x509-ca-file={certificate(server)}", "--no-cb"]
    return run(server, directory, "gsasl", "--verbose", *there, *tls, *arguments)


@gsasl
@pytest.mark.parametrize("door", ["imap", "submission"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN", "LOGIN"])
def test_gsasl_logs_in(server: Server, tmp_path: Path, door: str, mechanism: str) -> None:
    who = ["-a", "reader@acme.test", "-z", "", "-m", mechanism]
    done = gsasls(server, tmp_path, door, *who, "-p", PASSWORD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Client authentication finished (server trusted)" in done.stderr
    wrong = gsasls(server, tmp_path, door, *who, "-p", "wrong")
    assert wrong.returncode != 0
    assert ("authentication failed" if door == "imap" else "535 5.7.8 authentication failed") in wrong.stdout + wrong.stderr


def msmtps(server: Server, directory: Path, mechanism: str, word: str) -> subprocess.CompletedProcess[str]:
    there = ["--host=localhost", f"--port={server.ports['submission']}", "--tls=on", f"--tls-trust-file={certificate(server)}"]
    who = [f"--auth={mechanism}", "--user=reader@acme.test", "--passwordeval", f"echo '{word}'", "--from=reader@acme.test"]
    letter = "From: reader@acme.test\r\nTo: reader@acme.test\r\nSubject: by msmtp\r\n\r\nhello\r\n"
    return run(server, directory, "msmtp", "-v", *there, *who, "reader@acme.test", stdin=letter)


@msmtp
@pytest.mark.parametrize("mechanism", ["scram-sha-256", "plain", "oauthbearer", "xoauth2"])
def test_msmtp_sends(issued: tuple[Server, Issuer], tmp_path: Path, mechanism: str) -> None:
    server, issuer = issued
    by_token = mechanism in ("oauthbearer", "xoauth2")
    good = msmtps(server, tmp_path, mechanism, issuer.token("reader@acme.test") if by_token else PASSWORD)
    assert good.returncode == 0, good.stdout + good.stderr
    assert f"AUTH {mechanism.upper()}" in good.stdout + good.stderr
    bad = msmtps(server, tmp_path, mechanism, issuer.token("reader@acme.test", exp=1) if by_token else "wrong")
    assert bad.returncode != 0


@curl
@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_curl_comes_with_a_token(issued: tuple[Server, Issuer], tmp_path: Path, mechanism: str) -> None:
    server, issuer = issued
    base = (
        "curl",
        "-sS",
        "--cacert",
        certificate(server),
        "--ssl-reqd",
        "--user",
        "reader@acme.test",
        "--login-options",
        f"AUTH={mechanism}",
    )
    for ir in ((), ("--sasl-ir",)):
        good = run(server, tmp_path, *base, *ir, "--oauth2-bearer", issuer.token("reader@acme.test"), imap_url(server, door="imaps"))
        assert good.returncode == 0, good.stderr
        assert "INBOX" in good.stdout
        bad = run(server, tmp_path, *base, *ir, "--oauth2-bearer", issuer.token("reader@acme.test", exp=1), imap_url(server))
        assert bad.returncode == 67, "curl's word for a login that was refused"
    sending = ("--mail-from", "reader@acme.test", "--mail-rcpt", "reader@acme.test", "--upload-file", "-")
    letter = "From: reader@acme.test\r\nTo: reader@acme.test\r\nSubject: by token\r\n\r\nhello\r\n"
    url = f"smtp://localhost:{server.ports['submission']}"
    done = run(server, tmp_path, *base, "--oauth2-bearer", issuer.token("reader@acme.test"), url, *sending, stdin=letter)
    assert done.returncode == 0, done.stderr


# --- swaks


def swaks_command(server: Server, user: str, subject: str) -> list[str]:
    tls = ["--tls", "--tls-verify", "--tls-ca-path", certificate(server)]
    login = ["--auth", "LOGIN", "--auth-user", f"{user}@acme.test", "--auth-password", PASSWORD]
    letter = ["--from", f"{user}@acme.test", "--to", "partner@acme.test", "--h-From", AS_OWNER, "--h-Subject", subject]
    return ["swaks", "--server", f"localhost:{server.ports['submission']}", "--pipeline", *tls, *login, *letter]


@swaks
def test_swaks_sends_as_the_owner(server: Server, tmp_path: Path) -> None:
    done = run(server, tmp_path, *swaks_command(server, "delegate", "by swaks"))
    assert done.returncode == 0, done.stdout
    assert_sent_as_owner(received(server, tmp_path, "by swaks"))


@swaks
def test_swaks_as_a_stranger_is_refused(server: Server, tmp_path: Path) -> None:
    done = run(server, tmp_path, *swaks_command(server, "stranger", "by swaks"))
    assert done.returncode != 0
    assert "550 5.7.1 stranger@acme.test may not send as owner@acme.test" in done.stdout


@swaks
def test_swaks_hands_in_by_lmtp(server: Server, tmp_path: Path) -> None:
    there = ["--protocol", "LMTP", "--server", f"localhost:{server.ports['lmtp']}"]
    letter = ["--from", "someone@elsewhere.test", "--to", "partner@acme.test,nobody@acme.test", "--h-Subject", "by LMTP"]
    done = run(server, tmp_path, "swaks", *there, *letter)
    assert re.search(r"<\*\* 550 5\.1\.1 ", done.stdout)
    assert "by LMTP" in received(server, tmp_path, "by LMTP")


# --- mbsync


def mbsync_settings(server: Server, directory: Path, user: str, extra: str) -> list[str]:
    (directory / "mail").mkdir()
    (directory / "mbsyncrc").write_text(
        f"""
IMAPAccount procura
Host localhost
Port {server.ports["imap"]}
User {user}@acme.test
Pass "{PASSWORD}"
SSLType STARTTLS
CertificateFile {certificate(server)}

IMAPStore remote
Account procura

MaildirStore local
Path {directory}/mail/
SubFolders Verbatim

Channel shared
Far ":remote:{SHARED}"
Near ":local:shared"
Create Near
SyncState *
{extra}
"""
    )
    return ["mbsync", "-c", str(directory / "mbsyncrc"), "shared"]


def subjects(directory: Path) -> dict[str, Path]:
    """What lies in the maildir, by subject."""
    found = {}
    for path in sorted([*(directory / "mail/shared/cur").iterdir(), *(directory / "mail/shared/new").iterdir()]):
        subject = re.search(r"^Subject: (.*?)\r?$", path.read_text(), re.MULTILINE)
        assert subject
        found[subject[1]] = path
    return found


@mbsync
def test_mbsync_copies_what_a_reader_may_read_and_leaves_no_trace(server: Server, tmp_path: Path) -> None:
    command = mbsync_settings(server, tmp_path, "reader", "Sync Pull")
    done = run(server, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert {"Letter 1", "Letter 2"} <= set(subjects(tmp_path))
    assert not any("S" in path.name.rpartition(",")[2] for path in subjects(tmp_path).values())


@mbsync
def test_mbsync_of_a_delegate_goes_both_ways(server: Server, tmp_path: Path) -> None:
    command = mbsync_settings(server, tmp_path, "delegate", "Sync All\nExpunge Both")
    done = run(server, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    note = tmp_path / "mail/shared/new/1.note.here"
    note.write_text(f"From: {AS_OWNER}\nTo: partner@acme.test\nSubject: A note\nMessage-ID: <note@client.test>\n\nfiled\n")
    # mbsync waits for a maildir that was changed in this very second.
    done = run(server, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert run(server, elsewhere, *mbsync_settings(server, elsewhere, "delegate", "Sync Pull")).returncode == 0
    assert "A note" in subjects(elsewhere)
    subjects(tmp_path)["A note"].unlink()
    done = run(server, tmp_path, *command)
    assert done.returncode == 0, done.stderr
    assert run(server, elsewhere, "mbsync", "-c", str(elsewhere / "mbsyncrc"), "--expunge", "shared").returncode == 0
    assert "A note" not in subjects(elsewhere)


# --- neomutt


def neomutt_settings(server: Server, directory: Path, user: str, more: str = 'set smtp_authenticators = "plain"') -> list[str]:
    """GNU SASL in it takes SCRAM-SHA-256-PLUS wherever that is offered, without being able to do it: README.md says what to set."""
    (directory / "neomuttrc").write_text(
        f"""
{more}
set ssl_force_tls = yes
set certificate_file = "{certificate(server)}"
set imap_user = "{user}@acme.test"
set imap_pass = "{PASSWORD}"
set folder = "imap://localhost:{server.ports["imap"]}/"
set spoolfile = "+{SHARED}"
set smtp_url = "smtp://{user}@acme.test@localhost:{server.ports["submission"]}/"
set smtp_pass = "{PASSWORD}"
set from = "{AS_OWNER}"
set use_from = yes
set record = ""
set wait_key = no
set quit = yes
"""
    )
    return ["neomutt", "-F", str(directory / "neomuttrc")]


def on_a_terminal(directory: Path, command: list[str], until: Callable[[], bool]) -> str:
    """Runs a program on a terminal of its own until this is true; what it showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(directory)
        os.execvpe(command[0], command, {"PATH": os.environ["PATH"], "HOME": str(directory), "TERM": "xterm", "LC_ALL": "C.UTF-8"})
    shown = b""
    end = time.monotonic() + SECONDS
    try:
        while not until() and time.monotonic() < end:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    shown += os.read(terminal, 65_536)
                except OSError:
                    break
    finally:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
        os.waitpid(pid, 0)
        os.close(terminal)
    return shown.decode(errors="replace")


@neomutt
def test_neomutt_reads_a_letter_of_the_owner(server: Server, tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    keys = 'push "<limit>~s Letter.1<enter><pipe-message>cat >letter.tmp && mv letter.tmp letter.txt<enter>"'
    shown = on_a_terminal(tmp_path, [*neomutt_settings(server, tmp_path, "reader"), "-e", keys], letter.exists)
    assert letter.exists(), shown
    assert "Subject: Letter 1" in letter.read_text()


@neomutt
def test_neomutt_with_utf8_enabled_reads_and_copies_beyond_ascii(server: Server, tmp_path: Path) -> None:
    """neomutt asks for UTF8=ACCEPT wherever there is ENABLE (clients.md 20), and says names in UTF-8 from then on."""

    def logged_in(user: str) -> imaplib.IMAP4:
        client = server.imap()
        client.starttls(trusting())
        client.login(f"{user}@acme.test", PASSWORD)
        return client

    def is_copied() -> bool:
        with logged_in("delegate") as delegate:
            delegate.select("Gr&APwA3w-e")
            return delegate.search(None, "SUBJECT", '"Letter 7"')[1] == [b"1"]

    with logged_in("owner") as owner, logged_in("delegate") as delegate:
        owner.create("B&APw-ro")
        owner.append("B&APw-ro", "", "", compose("Someone <someone@elsewhere.test>", "owner@acme.test", "Letter 7", "text 7"))
        delegate.create("Gr&APwA3w-e")
    place = f"imap://localhost:{server.ports['imap']}/Other Users/owner/Büro"
    keys = 'push "<copy-message><kill-line>+Grüße<enter>"'
    command = [*neomutt_settings(server, tmp_path, "delegate"), "-f", place, "-e", "set confirmappend=no", "-e", keys]
    shown = on_a_terminal(tmp_path, command, is_copied)
    assert is_copied(), shown


@neomutt
def test_neomutt_sends_as_the_owner(server: Server, tmp_path: Path) -> None:
    command = [*neomutt_settings(server, tmp_path, "delegate"), "-s", "by neomutt", "partner@acme.test"]
    done = run(server, tmp_path, *command, stdin="hello\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert_sent_as_owner(received(server, tmp_path, "by neomutt"))


@neomutt
def test_neomutt_finds_a_mechanism_by_itself_where_none_is_bound(tmp_path: Path) -> None:
    with Server(tmp_path / "server", {"auth.plaintext": False, "auth.channel_binding": False}) as server:
        server.people("reader")
        home = tmp_path / "home"
        home.mkdir()
        command = [*neomutt_settings(server, home, "reader", ""), "-e", "set from=reader@acme.test", "-s", "by itself", "reader@acme.test"]
        done = run(server, home, *command, stdin="hello\n")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "mechanism=SCRAM-SHA-256 outcome=admitted" in server.log.read_text()


@neomutt
def test_neomutt_as_a_stranger_is_refused(server: Server, tmp_path: Path) -> None:
    command = [*neomutt_settings(server, tmp_path, "stranger"), "-s", "by neomutt", "partner@acme.test"]
    done = run(server, tmp_path, *command, stdin="hello\n")
    assert done.returncode != 0
    assert "5.7.1" in done.stdout + done.stderr
