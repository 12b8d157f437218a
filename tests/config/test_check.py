"""Contradictions are found, all at once, each by its name; the defaults have none."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from config.check import Severity, check
from config.sources import load

SOUND = {"hostname": "mail.example.org"}


def found(tmp_path: Path, **overrides: object) -> dict[str, tuple[Severity, str]]:
    named = {name.replace("__", "."): value for name, value in overrides.items()}
    return {finding.setting: (finding.severity, finding.message) for finding in check(load({**SOUND, **named}, {}, tmp_path).settings)}


def test_the_defaults_agree(tmp_path: Path) -> None:
    assert found(tmp_path) == {}


ERRORS = [
    ({"auth__plaintext": True, "listen__imap": "0.0.0.0:143"}, "auth.plaintext", "not loopback"),
    ({"auth__plaintext": True, "listen__submissions": "mail.example.org:465"}, "auth.plaintext", "not loopback"),
    ({"listen__imaps": "127.0.0.1:1143"}, "listen.imaps", "127.0.0.1:1143 is there twice: also in listen.imap"),
    ({"listen__mx": "127.0.0.1:25,127.0.0.1:25"}, "listen.mx", "127.0.0.1:25 is there twice"),
    ({"listen__imaps": "0.0.0.0:1143"}, "listen.imaps", "are the same port: also in listen.imap"),
    ({"listen__lmtp": "unix:/tmp/a,unix:/tmp/a"}, "listen.lmtp", "unix:/tmp/a is there twice"),
    ({"listen__lmtp": "127.0.0.1:25"}, "listen.lmtp", "port 25 is for SMTP alone"),
    ({"listen__lmtp": "unix:/nowhere/at/all"}, "listen.lmtp", "there is no directory /nowhere/at"),
    ({"listen__lmtp": "unix:/" + "x" * 103}, "listen.lmtp", "longer than the 103 octets"),
    ({"lmtp_networks": ""}, "lmtp_networks", "is empty"),
    ({"tls__certificate": "c.pem"}, "tls.key", "go together"),
    ({"tls__key": "k.pem"}, "tls.certificate", "go together"),
    ({"tls__certificate": "c.pem", "tls__key": "k.pem"}, "tls.key", "there is no file"),
    ({"relay": "smtp://anna@smarthost"}, "relay", "has a user without a password"),
    ({"relay": "smtp://127.0.0.1:1587"}, "relay", "is this server itself"),
    ({"relay": "smtp://localhost:25", "listen__mx": "0.0.0.0:25"}, "relay", "is this server itself"),
    ({"hostname": "no host"}, "hostname", "is no host name"),
    ({"hostname": "mäil.example.org"}, "hostname", "is no host name"),
    ({"arc.domain": "bücher.example.org"}, "arc.domain", "is no domain name"),
    ({"objects__url": "ftp://bucket/prefix"}, "objects.url", "must begin with s3://"),
    ({"objects__url": "s3://key:secret@bucket/prefix"}, "objects.url", "keys belong into the file"),
    ({"objects__url": "s3://"}, "objects.url", "must name a bucket"),
    ({"objects__url": "file://relative/path"}, "objects.url", "must name a bucket"),
    ({"data": "/srv/procura", "objects__url": "file:///srv/procura/objects"}, "objects.url", "lies in the directory of data"),
    ({"objects__url": "s3://bucket", "objects__credentials": "/nowhere/keys"}, "objects.credentials", "there is no file"),
    ({"imap__shared_prefix": "Other Users"}, "imap.shared_prefix", 'ends with one "/"'),
    ({"imap__shared_prefix": "/"}, "imap.shared_prefix", 'ends with one "/"'),
    ({"imap__shared_prefix": "Other//"}, "imap.shared_prefix", 'ends with one "/"'),
    ({"imap__shared_prefix": "Other*/"}, "imap.shared_prefix", "plain characters"),
    ({"imap__shared_prefix": "Übrige/"}, "imap.shared_prefix", "plain characters"),
    ({"imap__shared_prefix": "inbox/"}, "imap.shared_prefix", "everybody's own"),
    ({"data": "/dev/null"}, "data", "is not a directory"),
    ({"data": "/dev/null/var"}, "data", "is not a directory"),
    ({"store": "mysql://x"}, "store", "must begin with sqlite:///"),
    ({"store": "sqlite://"}, "store", "must name a file"),
    ({"store": "sqlite:///:memory:"}, "store", "must name a file"),
    ({"store": "postgresql://x"}, "store", "must name a database"),
    ({"store": "postgresql://x/y", "policy_max_staleness": "0s"}, "policy_max_staleness", "must be between"),
    ({"workers": 65}, "workers", "64 at most"),
    (
        {"limits__connections": 50, "limits__connections_per_account": 50},
        "limits.connections_per_source",
        "is more than limits.connections",
    ),
    (
        {"limits__imap_line": "4 KiB", "limits__imap_line_before_login": "8 KiB"},
        "limits.imap_line_before_login",
        "is more than limits.imap_line",
    ),
    ({"limits__header_size": "51 MiB"}, "limits.header_size", "a header is part of its message"),
    ({"listen__policy": "127.0.0.1:10040", "policy_networks": ""}, "policy_networks", "nobody may use the TCP address in listen.policy"),
    ({"relay": "mx", "hostname": "mail"}, "relay", "needs a full name"),
    ({"relay": "smtp://smarthost.example.org", "relay_authorities": "/nowhere.pem"}, "relay_authorities", "there is no file"),
    ({"relay": "mx", "hostname": "mx.acme.test", "mx__dane": True}, "mx.dane", "needs mx.resolvers"),
    ({"relay": "mx", "hostname": "mx.acme.test", "mx__authorities": "/nowhere.pem"}, "mx.authorities", "there is no file"),
    ({"relay": "smtp://smarthost.example.org", "relay_token": "/nowhere"}, "relay_token", "needs the user"),
    ({"relay_token": "/nowhere"}, "relay_token", "needs the user"),
    ({"relay": "smtp://us@smarthost.example.org", "relay_token": "/nowhere"}, "relay_token", "there is no file"),
    ({"relay": "smtp://us:secret@smarthost.example.org", "relay_token": "/nowhere"}, "relay_token", "one of them is enough"),
    ({"queue__delay": "6d"}, "queue.delay", "is more than queue.lifetime"),
    ({"queue__retries": "0"}, "queue.retries", "more than 0 s"),
    ({"queue__retries": "6d"}, "queue.retries", "nothing would be tried twice"),
    ({"password__memory": "8 KiB", "password__lanes": 2}, "password.memory", "at least 8 KiB for each"),
    ({"password__scram_iterations": 4095}, "password.scram_iterations", "at least 4096"),
    ({"oauth__issuer": "https://issuer.example"}, "oauth.audience", "is empty"),
    ({"oauth__issuer": "http://issuer.example", "oauth__audience": "mail"}, "oauth.issuer", "asked in the clear"),
    ({"oauth__issuer": "issuer.example", "oauth__audience": "mail"}, "oauth.issuer", "is no https URL"),
    ({"oauth__issuer": "https://issuer.example/?a=b", "oauth__audience": "mail"}, "oauth.issuer", "neither query nor fragment"),
    ({"oauth__issuer": "https://me@issuer.example", "oauth__audience": "mail"}, "oauth.issuer", "has a user name"),
    ({"oauth__issuer": "https://issuer.example:port", "oauth__audience": "mail"}, "oauth.issuer", "is no URL"),
    (
        {"oauth__issuer": "https://issuer.example", "oauth__audience": "mail", "oauth__jwks_url": "http://issuer.example/keys"},
        "oauth.jwks_url",
        "asked in the clear",
    ),
    ({"oauth__issuer": "https://issuer.example", "oauth__audience": "mail", "oauth__scope": "a b"}, "oauth.scope", "one scope"),
]
WARNINGS = [
    ({"listen__lmtp": "0.0.0.0:24"}, "listen.lmtp", "can be reached from other machines"),
    ({"listen__policy": "0.0.0.0:10040"}, "listen.policy", "can be reached from other machines"),
    ({"listen__policy": "127.0.0.1:10040", "policy_networks": "10.0.0.0/8"}, "policy_networks", "leaves out this machine"),
    ({"policy_networks": "0.0.0.0/0"}, "policy_networks", "whole internet"),
    ({"lmtp_networks": "0.0.0.0/0"}, "lmtp_networks", "whole internet"),
    ({"lmtp_networks": "10.0.0.0/8"}, "lmtp_networks", "leaves out this machine"),
    ({"limits__exempt_networks": "::/0"}, "limits.exempt_networks", "whole internet"),
    ({"hostname": "mail"}, "hostname", "has no domain"),
    ({"dkim.expires": "1h"}, "dkim.expires", "would arrive with a signature that has ended"),
    ({"listen__admin": "127.0.0.1:1080"}, "listen.admin", "no HTTP door"),
    ({"relay_authorities": "/nowhere.pem"}, "relay_authorities", "relay names none"),
    ({"relay": "mx", "mx__port": 2525}, "mx.port", "port 25 only"),
    ({"relay": "mx", "mx__sts_port": 8443}, "mx.sts_port", "port 443 only"),
    ({"relay": "mx", "mx__dane": True, "mx__resolvers": "192.0.2.53"}, "mx.dane", "192.0.2.53:53 is asked over the network"),
    ({"queue__reply_timeout": "1m"}, "queue.reply_timeout", "asks for 5 minutes"),
    ({"relay": "mx", "mx__refused_networks": ""}, "mx.refused_networks", "this machine itself"),
    ({"limits__recipients": 99}, "limits.recipients", "asks for 100"),
    ({"limits__hops": 99}, "limits.hops", "asks for 100"),
    ({"limits__message_size": 65_535}, "limits.message_size", "asks for 64 KiB"),
    ({"limits__smtp_line": 1_499}, "limits.smtp_line", "asks for 512"),
    ({"limits__imap_line": "8191", "limits__imap_line_before_login": "8191"}, "limits.imap_line", "RFC 7162 section 4 asks for 8192"),
    ({"limits__imap_line_before_login": "8191"}, "limits.imap_line_before_login", "RFC 7162 section 4 asks for 8192"),
    ({"limits__imap_timeout": "29m"}, "limits.imap_timeout", "asks for 30 minutes"),
    ({f"listen__{name}": "" for name in ("submission", "submissions", "lmtp", "imap", "imaps")}, "listen", "nothing can be reached"),
    ({"oauth__jwks_url": "https://issuer.example/keys"}, "oauth.jwks_url", "no effect without oauth.issuer"),
    ({"oauth__audience": "mail"}, "oauth.audience", "no effect without oauth.issuer"),
    ({"oauth__issuer": "https://issuer.example", "oauth__audience": "mail", "oauth__claim": "sub"}, "oauth.claim", "an address"),
]
QUIET: list[dict[str, object]] = [
    {"auth__plaintext": True},
    {"auth__plaintext": True, "listen__mx": "0.0.0.0:25"},
    {"listen__imap": "127.0.0.1:0", "listen__imaps": "127.0.0.1:0", "listen__submission": "0.0.0.0:0"},
    {"listen__imap": "127.0.0.1:143,[::1]:143"},
    {"listen__imap": "0.0.0.0:143,[::]:143"},
    {"listen__lmtp": "unix:/tmp/lmtp", "lmtp_networks": ""},
    {"relay": "smtp://smarthost.example.org:1587"},
    {"relay": "smtp://127.0.0.1:25"},
    {"relay": "mx", "mx__resolvers": "192.0.2.53,[2001:db8::53]:5353", "mx__tls": "required"},
    {"imap__shared_prefix": "Shared/Users/"},
    {"queue__delay": 0},
    {"password__scram_iterations": 0},
    {"oauth__issuer": "https://issuer.example/realms/x", "oauth__audience": "mail,https://mail.example.org"},
    {"oauth__issuer": "http://127.0.0.1:8080", "oauth__audience": "mail", "oauth__algorithms": "EdDSA"},
]


@pytest.mark.parametrize(("overrides", "setting", "told"), ERRORS)
def test_a_contradiction_is_an_error(overrides: dict[str, object], setting: str, told: str, tmp_path: Path) -> None:
    severity, message = found(tmp_path, **overrides)[setting]
    assert told in message
    assert severity is Severity.ERROR


@pytest.mark.parametrize(("overrides", "setting", "told"), WARNINGS)
def test_what_is_doubtful_is_a_warning(overrides: dict[str, object], setting: str, told: str, tmp_path: Path) -> None:
    severity, message = found(tmp_path, **overrides)[setting]
    assert told in message
    assert severity is Severity.WARNING


@pytest.mark.parametrize("overrides", QUIET)
def test_what_agrees_is_not_remarked_on(overrides: dict[str, object], tmp_path: Path) -> None:
    assert found(tmp_path, **overrides) == {}


def test_everything_is_told_at_once_errors_first(tmp_path: Path) -> None:
    settings = load({"hostname": "mail", "workers": 99, "imap.shared_prefix": "x", "limits.recipients": 1}, {}, tmp_path).settings
    findings = check(settings)
    assert {finding.setting for finding in findings} == {"hostname", "workers", "imap.shared_prefix", "limits.recipients"}
    severities = [finding.severity for finding in findings]
    assert severities == sorted(severities)
    assert "error: workers: 99 are more" in "\n".join(map(str, findings))


def pem_pair(directory: Path, password: bytes | None = None) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    directory.mkdir()
    (directory / "c.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    (directory / "k.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption))
    (directory / "k.pem").chmod(0o600)
    return directory / "c.pem", directory / "k.pem"


def test_a_certificate_with_its_key_is_fine(tmp_path: Path) -> None:
    certificate, key = pem_pair(tmp_path / "a")
    assert found(tmp_path, tls__certificate=str(certificate), tls__key=str(key)) == {}
    key.chmod(0o644)
    assert "everybody on this machine can read" in found(tmp_path, tls__certificate=str(certificate), tls__key=str(key))["tls.key"][1]


def test_a_certificate_with_another_key_is_an_error(tmp_path: Path) -> None:
    certificate, _ = pem_pair(tmp_path / "a")
    _, key = pem_pair(tmp_path / "b")
    assert "key values mismatch" in found(tmp_path, tls__certificate=str(certificate), tls__key=str(key))["tls.certificate"][1]


def test_an_encrypted_key_is_an_error_and_asks_nobody(tmp_path: Path) -> None:
    certificate, key = pem_pair(tmp_path / "a", b"hush")
    assert found(tmp_path, tls__certificate=str(certificate), tls__key=str(key))["tls.certificate"][0] is Severity.ERROR


def test_data_that_everybody_can_enter_is_a_warning(tmp_path: Path) -> None:
    data = tmp_path / "var"
    data.mkdir(mode=0o700)
    assert found(tmp_path) == {}
    data.chmod(0o755)
    assert "chmod 700" in found(tmp_path)["data"][1]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_data_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir(mode=0o500)
    assert "cannot be written" in found(tmp_path)["data"][1]


def test_files_in_the_secrets_directory_that_name_nothing_are_mentioned(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "rely").write_text("smtp://anna:hush@smarthost")
    severity, message = found(tmp_path, secrets_dir="s")["secrets_dir"]
    assert severity is Severity.WARNING
    assert "rely" in message
    assert "hush" not in message


def test_checking_changes_nothing(tmp_path: Path) -> None:
    found(tmp_path)
    assert subprocess.run(["ls", "-A", tmp_path], capture_output=True, check=True).stdout == b""
