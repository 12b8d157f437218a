"""SASL on real sockets and TLS with independent clients: scramp, imaplib, smtplib; an issuer of our own; statuses, lockout, expiry."""

from __future__ import annotations

import base64
import hashlib
import hmac
import imaplib
import json
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import scramp

from tests.live.issuer import AUDIENCE, Issuer, issuing
from tests.live.server import PASSWORD, Server, trusting
from tests.live.talk import Talk, unnamed

FAILED = "NO [AUTHENTICATIONFAILED] authentication failed"
STATUSES = ("active", "maintenance", "locked", "closed", "pending")


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing() as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Server]:
    settings = {"auth.plaintext": False, "oauth.issuer": issuer.url, "oauth.audience": [AUDIENCE], "oauth.leeway": 0, "oauth.refresh": "1s"}
    with Server(tmp_path_factory.mktemp("mechanisms"), settings) as running:
        running.people("anna", "boss", "guarded", "changing", *STATUSES)
        running.prov(
            *(f"modifyAccount {status}@acme.test status {status}" for status in STATUSES),
            "modifyAccount guarded@acme.test lockoutMaxFailures 3",
            "grantRight account boss@acme.test usr anna@acme.test loginAs",
        )
        yield running


# --- clients


class Scram:
    """scramp as an imaplib and smtplib authenticator, bound to the certificate that the channel showed."""

    def __init__(self, mechanism: str, user: str, password: str, channel: ssl.SSLSocket) -> None:
        certificate = channel.getpeercert(binary_form=True)
        assert certificate is not None
        binding = ("tls-server-end-point", hashlib.sha256(certificate).digest()) if mechanism.endswith("PLUS") else None
        self._client = scramp.ScramClient([mechanism], user, password, channel_binding=binding)
        self._step = 0

    def __call__(self, challenge: bytes | None = None) -> bytes:
        self._step += 1
        match self._step:
            case 1:
                return str(self._client.get_client_first()).encode()
            case 2:
                self._client.set_server_first((challenge or b"").decode())
                return str(self._client.get_client_final()).encode()
            case _:
                self._client.set_server_final((challenge or b"").decode())
                return b""

    @property
    def server_is_genuine(self) -> bool:
        return self._step == 3


def bearer(mechanism: str, user: str, token: str) -> bytes:
    return (f"n,a={user}," if mechanism == "OAUTHBEARER" else f"user={user}").encode() + f"\x01auth=Bearer {token}\x01\x01".encode()


def imap(server: Server) -> imaplib.IMAP4_SSL:
    return imaplib.IMAP4_SSL("127.0.0.1", server.ports["imaps"], timeout=20, ssl_context=trusting())


def smtp(server: Server) -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", server.ports["submission"], timeout=20)
    client.starttls(context=trusting())
    client.ehlo()
    return client


def answers(mechanism: str, user: str, word: str, channel: Any, issuer: Issuer) -> Callable[[bytes | None], bytes]:
    """What a client says, with the right or a wrong word."""
    if mechanism.startswith("SCRAM"):
        return Scram(mechanism, user, word, channel)
    if mechanism == "PLAIN":
        return lambda _: f"\0{user}\0{word}".encode()
    said = iter([bearer(mechanism, user, issuer.token(user) if word == PASSWORD else word), b"\x01"])
    return lambda _: next(said)


def by_imap(server: Server, issuer: Issuer, mechanism: str, user: str, word: str = PASSWORD) -> str:
    """The tagged answer, by imaplib."""
    client = imap(server)
    try:
        kind, text = client.authenticate(mechanism, answers(mechanism, user, word, client.sock, issuer))  # type: ignore[arg-type]
        assert client.state == "AUTH"
        client.select("INBOX")
        return f"{kind} {text[0].decode()}"
    except imaplib.IMAP4.error as refused:
        return unnamed(f"NO {refused}")
    finally:
        client.shutdown()


def by_smtp(server: Server, issuer: Issuer, mechanism: str, user: str, word: str = PASSWORD, *, initial: bool = True) -> str:
    """The last reply, by smtplib."""
    with closing(smtp(server)) as client:
        said = answers(mechanism, user, word, client.sock, issuer)
        try:
            code, text = client.auth(mechanism, lambda challenge=None: said(challenge).decode(), initial_response_ok=initial)
        except smtplib.SMTPAuthenticationError as refused:
            code, text = refused.smtp_code, refused.smtp_error  # type: ignore[assignment]
        return unnamed(f"{code} {text.decode()}")


ALL = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "OAUTHBEARER", "XOAUTH2")


def test_what_is_announced(server: Server) -> None:
    with Talk(server.ports["imap"]) as session:
        assert b"AUTH=" not in session.greeting
    with closing(smtp(server)) as client:
        assert client.esmtp_features["auth"].split() == ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]
    client = imap(server)
    named = [name for name in client.capabilities if name.startswith("AUTH=")]
    assert named == [f"AUTH={name}" for name in ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"]]
    client.shutdown()


@pytest.mark.parametrize("mechanism", ALL)
def test_imap(server: Server, issuer: Issuer, mechanism: str) -> None:
    assert by_imap(server, issuer, mechanism, "anna@acme.test").startswith("OK ")
    assert by_imap(server, issuer, mechanism, "anna@acme.test", "wrong").endswith(FAILED.removeprefix("NO "))
    assert by_imap(server, issuer, mechanism, "nobody@acme.test").endswith(FAILED.removeprefix("NO "))


@pytest.mark.parametrize("mechanism", ALL)
def test_smtp(server: Server, issuer: Issuer, mechanism: str) -> None:
    for initial in (True, False):
        assert by_smtp(server, issuer, mechanism, "anna@acme.test", initial=initial) == "235 2.7.0 welcome"
    assert by_smtp(server, issuer, mechanism, "anna@acme.test", "wrong") == "535 5.7.8 authentication failed"
    assert by_smtp(server, issuer, mechanism, "nobody@acme.test", initial=False) == "535 5.7.8 authentication failed"


@pytest.mark.parametrize("mechanism", ALL)
def test_imap_with_an_initial_response(server: Server, issuer: Issuer, mechanism: str) -> None:
    """RFC 4959, which imaplib does not speak."""
    client = imap(server)
    said = answers(mechanism, "anna@acme.test", PASSWORD, client.sock, issuer)
    client.send(f"x AUTHENTICATE {mechanism} ".encode() + base64.b64encode(said(b"")) + b"\r\n")
    while (line := client.readline()).startswith(b"+ "):
        client.send(base64.b64encode(said(base64.b64decode(line[2:]))) + b"\r\n")
    assert line.startswith(b"x OK [CAPABILITY ")
    client.shutdown()


STATUS = {
    # delegation.md section 3, for whoever has proved who it is.
    "active": ("OK", "235 2.7.0 welcome"),
    "maintenance": ("[UNAVAILABLE] account is in maintenance, try again later", "454 4.7.0 account is in maintenance, try again later"),
    "locked": ("[CONTACTADMIN] account is locked", "525 5.7.13 account is locked"),
    "closed": ("[CONTACTADMIN] account is closed", "525 5.7.13 account is closed"),
    "pending": ("[CONTACTADMIN] account is pending", "525 5.7.13 account is pending"),
}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("mechanism", ALL)
def test_the_status_table(server: Server, issuer: Issuer, mechanism: str, status: str) -> None:
    over_imap, over_smtp = STATUS[status]
    assert over_imap in by_imap(server, issuer, mechanism, f"{status}@acme.test")
    assert by_smtp(server, issuer, mechanism, f"{status}@acme.test") == over_smtp
    # Without proof, nothing of the status.
    assert by_imap(server, issuer, mechanism, f"{status}@acme.test", "wrong").endswith(FAILED.removeprefix("NO "))


def test_failures_by_scram_lock_out_and_the_lockout_is_for_all(server: Server, issuer: Issuer) -> None:
    for word in ("same", "same", "same"):
        assert by_imap(server, issuer, "SCRAM-SHA-256", "guarded@acme.test", word).endswith(FAILED.removeprefix("NO "))
    for mechanism in ALL:
        assert by_imap(server, issuer, mechanism, "guarded@acme.test").endswith(FAILED.removeprefix("NO ")), mechanism
        assert by_smtp(server, issuer, mechanism, "guarded@acme.test") == "535 5.7.8 authentication failed", mechanism
    server.run("unlock", "guarded@acme.test")
    assert by_imap(server, issuer, "SCRAM-SHA-256-PLUS", "guarded@acme.test").startswith("OK")


def test_a_changed_password_ends_sessions_whatever_began_them(server: Server, issuer: Issuer) -> None:
    open_now = []
    for mechanism in ALL:
        client = imap(server)
        client.authenticate(mechanism, answers(mechanism, "changing@acme.test", PASSWORD, client.sock, issuer))  # type: ignore[arg-type]
        open_now.append(client)
    server.prov("setPassword changing@acme.test 'another 8'")
    for client in open_now:
        assert b"* BYE the password was changed" in client.readline()
        client.shutdown()
    assert by_imap(server, issuer, "SCRAM-SHA-256-PLUS", "changing@acme.test").endswith(FAILED.removeprefix("NO "))
    assert by_imap(server, issuer, "SCRAM-SHA-256-PLUS", "changing@acme.test", "another 8").startswith("OK")


# --- acting as another


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_a_token_with_another_identity_needs_login_as(server: Server, issuer: Issuer, mechanism: str) -> None:
    token = issuer.token("anna@acme.test")
    client = imap(server)
    kind, text = client.authenticate(mechanism, lambda _: bearer(mechanism, "boss@acme.test", token))
    assert (kind, text[0].decode().endswith("logged in as boss@acme.test")) == ("OK", True)
    client.shutdown()
    client = imap(server)
    with pytest.raises(imaplib.IMAP4.error, match="AUTHORIZATIONFAILED"):
        client.authenticate(mechanism, lambda _: bearer(mechanism, "active@acme.test", token))
    client.shutdown()


def test_scram_with_another_identity(server: Server) -> None:
    client = imap(server)
    begun = scramp.ScramClient(["SCRAM-SHA-256"], "anna@acme.test", PASSWORD)
    bare = str(begun.get_client_first()).removeprefix("n,,")
    header = "n,a=boss@acme.test,"
    client.send(f"x AUTHENTICATE SCRAM-SHA-256 {base64.b64encode((header + bare).encode()).decode()}\r\n".encode())
    begun.set_server_first(base64.b64decode(client.readline()[2:]).decode())
    # scramp signs "n,,"; signed anew with the header that was sent (RFC 5802 section 3).
    _, nonce, _ = str(begun.get_client_final()).split(",")
    channel = f"c={base64.b64encode(header.encode()).decode()},{nonce}"
    first = begun.server_first if isinstance(begun.server_first, str) else str(begun.server_first)
    fields = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), f"{bare},{first},{channel}".encode(), "sha256")
    proof = base64.b64encode(bytes(one ^ other for one, other in zip(key, signature, strict=True))).decode()
    client.send(base64.b64encode(f"{channel},p={proof}".encode()) + b"\r\n")
    assert base64.b64decode(client.readline()[2:]).startswith(b"v=")
    client.send(b"\r\n")
    assert client.readline().rstrip().endswith(b"logged in as boss@acme.test")
    client.shutdown()


# --- binding


def test_a_downgrade_is_refused(server: Server) -> None:
    """Somebody in between left -PLUS out of what we said: the client tells us so, and gets nowhere."""
    client = imap(server)
    client.send(b"x AUTHENTICATE SCRAM-SHA-256 " + base64.b64encode(b"y,,n=anna@acme.test,r=abc") + b"\r\n")
    assert unnamed(client.readline().decode().strip()) == f"x {FAILED}"
    client.shutdown()


def test_a_channel_to_another_certificate_is_refused(server: Server) -> None:
    client = imap(server)
    said = Scram("SCRAM-SHA-256-PLUS", "anna@acme.test", PASSWORD, client.sock)  # type: ignore[arg-type]
    said._client = scramp.ScramClient(
        ["SCRAM-SHA-256-PLUS"], "anna@acme.test", PASSWORD, channel_binding=("tls-server-end-point", b"\0" * 32)
    )
    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate("SCRAM-SHA-256-PLUS", said)  # type: ignore[arg-type]
    assert not said.server_is_genuine
    client.shutdown()


def test_an_unencrypted_channel_has_neither(tmp_path_factory: pytest.TempPathFactory) -> None:
    """auth.plaintext: SCRAM works, and there is nothing that it could be bound to."""
    with Server(tmp_path_factory.mktemp("plaintext")) as plain:
        plain.people("anna")
        with Talk(plain.ports["imap"]) as session:
            assert b"AUTH=SCRAM-SHA-256 AUTH=PLAIN AUTH=LOGIN]" in session.greeting
            assert session.do("AUTHENTICATE SCRAM-SHA-256-PLUS").tagged == "NO [CANNOT] this mechanism is not offered"
            assert session.do("AUTHENTICATE OAUTHBEARER").tagged == "NO [CANNOT] this mechanism is not offered"
        client = plain.imap()
        begun = scramp.ScramClient(["SCRAM-SHA-256"], "anna@acme.test", PASSWORD)
        states = iter(
            [
                lambda _: begun.get_client_first(),
                lambda said: (begun.set_server_first(said.decode()), begun.get_client_final())[1],
                lambda said: begun.set_server_final(said.decode()) or "",
            ]
        )
        assert client.authenticate("SCRAM-SHA-256", lambda said: str(next(states)(said)).encode())[0] == "OK"
        client.logout()


@pytest.mark.parametrize("settings", [{"password.scram_iterations": 0}, {"auth.channel_binding": False}], ids=str)
def test_what_is_switched_off_is_not_announced(tmp_path_factory: pytest.TempPathFactory, settings: dict[str, object]) -> None:
    with Server(tmp_path_factory.mktemp("off"), {"auth.plaintext": False, **settings}) as quiet, closing(smtp(quiet)) as client:
        expected = "PLAIN LOGIN" if "password.scram_iterations" in settings else "SCRAM-SHA-256 PLAIN LOGIN"
        assert client.esmtp_features["auth"].strip() == expected
        code, _ = client.docmd("AUTH", "SCRAM-SHA-256-PLUS")
        assert code == 504


def test_accounts_from_before_scram_get_keys_with_plain(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> None:
    with Server(tmp_path_factory.mktemp("before"), {"auth.plaintext": False, "password.scram_iterations": 0}) as old:
        old.people("anna")
        old.stop()
        old.settings["password.scram_iterations"] = 4096
        old.start()
        for _ in range(2):
            assert by_imap(old, issuer, "SCRAM-SHA-256", "anna@acme.test").endswith(FAILED.removeprefix("NO "))
        held = imap(old)
        held.login("anna@acme.test", PASSWORD)
        end = time.monotonic() + 5
        while not by_imap(old, issuer, "SCRAM-SHA-256", "anna@acme.test").startswith("OK"):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert held.noop()[0] == "OK", "the session that brought them stays"
        held.shutdown()
        old.stop()
        old.start()
        assert by_imap(old, issuer, "SCRAM-SHA-256-PLUS", "anna@acme.test").startswith("OK"), "they are durable"


# --- tokens


def test_why_a_token_is_not_taken(server: Server, issuer: Issuer) -> None:
    client = imap(server)
    heard: list[bytes] = []

    def answer(challenge: bytes) -> bytes:
        heard.append(challenge)
        return bearer("OAUTHBEARER", "anna@acme.test", issuer.token("anna@acme.test", exp=time.time() - 5)) if len(heard) == 1 else b"\x01"

    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        client.authenticate("OAUTHBEARER", answer)
    assert json.loads(heard[1]) == {
        "status": "invalid_token",
        "openid-configuration": f"{issuer.url}/.well-known/openid-configuration",
    }
    # The connection goes on: a client gets a new token and tries again.
    assert client.authenticate("OAUTHBEARER", lambda _: bearer("OAUTHBEARER", "", issuer.token("anna@acme.test")))[0] == "OK"
    client.shutdown()


@pytest.mark.parametrize(
    "changes", [{"aud": "other"}, {"iss": "https://evil.test"}, {"nbf": 4_000_000_000}, {"email_verified": False}], ids=str
)
def test_tokens_that_are_not_for_us(server: Server, issuer: Issuer, changes: dict[str, Any]) -> None:
    token = issuer.token("anna@acme.test", **changes)
    said = iter([bearer("XOAUTH2", "anna@acme.test", token).decode(), ""])
    with closing(smtp(server)) as client, pytest.raises(smtplib.SMTPAuthenticationError, match=r"5\.7\.8 authentication failed"):
        client.auth("XOAUTH2", lambda challenge=None: next(said))


def test_sessions_end_with_their_token(server: Server, issuer: Issuer) -> None:
    until = time.time() + 3
    token = issuer.token("anna@acme.test", "ES256", exp=until)
    idle, sending = imap(server), smtp(server)
    idle.authenticate("OAUTHBEARER", lambda _: bearer("OAUTHBEARER", "", token))
    idle.select("INBOX")
    sending.auth("OAUTHBEARER", lambda challenge=None: bearer("OAUTHBEARER", "", token).decode())
    idle.send(b"x IDLE\r\n")
    assert idle.readline().startswith(b"+ ")
    assert idle.readline().strip() == b"* BYE the token has expired"
    assert until - 0.1 <= time.time() <= until + 2
    assert sending.noop() == (421, b"4.3.2 this session has ended: the token has expired")
    sending.close()
    idle.shutdown()


def test_an_outage_of_the_issuer(server: Server, issuer: Issuer) -> None:
    assert by_imap(server, issuer, "OAUTHBEARER", "anna@acme.test").startswith("OK")
    issuer.up = False
    try:
        assert by_imap(server, issuer, "OAUTHBEARER", "anna@acme.test").startswith("OK"), "its keys are known"
        time.sleep(1.1)
        strange = issuer.token("anna@acme.test", head={"kid": "new"})
        assert "[UNAVAILABLE]" in by_imap(server, issuer, "XOAUTH2", "anna@acme.test", strange)
    finally:
        issuer.up = True
    assert by_imap(server, issuer, "OAUTHBEARER", "anna@acme.test").startswith("OK")
