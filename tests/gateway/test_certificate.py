"""The certificate that clients see: made once, kept safe, read again on request."""

import datetime
import hashlib
import shutil
import ssl
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509.oid import NameOID

from gateway.certificate import Certificate, end_point, end_point_of, self_signed


def test_it_is_made_once_and_names_the_host_and_loopback(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "mx.acme.test")
    before = certificate.read_bytes(), key.read_bytes()
    assert self_signed(tmp_path, "other.acme.test") == (certificate, key)
    assert (certificate.read_bytes(), key.read_bytes()) == before
    read = x509.load_pem_x509_certificate(before[0])
    names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mx.acme.test", "localhost"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_only_the_owner_can_read_the_key(tmp_path: Path) -> None:
    _, key = self_signed(tmp_path, "mx.acme.test")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_half_a_pair_is_made_anew(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "mx.acme.test")
    certificate.unlink()
    self_signed(tmp_path, "mx.acme.test")
    Certificate(certificate, key)
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".new"] == []


@pytest.mark.parametrize("hostname", ["x" * 63 + "." + "y" * 63 + ".acme.test", "localhost"])
def test_long_and_doubled_names(tmp_path: Path, hostname: str) -> None:
    Certificate(*self_signed(tmp_path, hostname))


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str | None:
    """The version that the two agree on."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = server.wrap_bio(to_server, to_client, server_side=True)
    other = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    for _ in range(10):
        for side in (other, one):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
        if one.version() is not None and other.version() is not None:
            break
    return other.version()


def test_a_client_that_trusts_it_connects_and_old_versions_do_not(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "mx.acme.test")
    server = Certificate(certificate, key).context
    client = ssl.create_default_context(cafile=str(certificate))
    assert handshake(server, client) == "TLSv1.3"
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(server, client) == "TLSv1.2"
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2


def test_reading_again_replaces_it_or_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    paths = self_signed(tmp_path / "a", "a.test")
    held = Certificate(*paths)
    first = held.context
    (tmp_path / "b").mkdir()
    others = self_signed(tmp_path / "b", "b.test")
    for path, other in zip(paths, others, strict=True):
        path.write_bytes(other.read_bytes())
    held.reload()
    assert held.context is not first
    second = held.context
    paths[0].write_text("nonsense")
    with pytest.raises(ssl.SSLError):
        held.reload()
    paths[0].unlink()
    with pytest.raises(OSError):
        held.reload()
    assert held.context is second


NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.acme.test")])
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def certificate_of(key: Any, algorithm: hashes.HashAlgorithm | None, **signing: Any) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(key.public_key()).serial_number(7)
    return builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, algorithm, **signing)


def pss(mask: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(mask), padding.PSS.DIGEST_LENGTH)


@pytest.mark.parametrize(
    ("key", "algorithm", "signing", "expected"),
    [
        (RSA, hashes.SHA256(), {}, "sha256"),
        (RSA, hashes.SHA384(), {}, "sha384"),
        (EC, hashes.SHA256(), {}, "sha256"),
        (EC, hashes.SHA512(), {}, "sha512"),
        (RSA, hashes.SHA256(), {"rsa_padding": pss(hashes.SHA256())}, "sha256"),
        # Two hash functions, or none: RFC 5929 section 4.1 says that nothing is defined.
        (RSA, hashes.SHA256(), {"rsa_padding": pss(hashes.SHA512())}, None),
        (ed25519.Ed25519PrivateKey.generate(), None, {}, None),
        (ed448.Ed448PrivateKey.generate(), None, {}, None),
    ],
)
def test_what_scram_is_bound_to(key: Any, algorithm: Any, signing: dict[str, Any], expected: str | None) -> None:
    made = certificate_of(key, algorithm, **signing)
    other = certificate_of(EC, hashes.SHA256())
    pem = made.public_bytes(serialization.Encoding.PEM) + other.public_bytes(serialization.Encoding.PEM)
    der = made.public_bytes(serialization.Encoding.DER)
    assert end_point(pem) == (None if expected is None else hashlib.new(expected, der).digest())


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_a_weak_hash_is_not_used_for_it(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(RSA.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    made = subprocess.run(
        ["openssl", "req", "-x509", "-key", str(key), "-sha1", "-subj", "/CN=mx.acme.test", "-days", "1"], capture_output=True, check=True
    ).stdout
    der = x509.load_pem_x509_certificate(made).public_bytes(serialization.Encoding.DER)
    assert end_point(made) == hashlib.sha256(der).digest()


def test_a_context_knows_what_its_channels_are_bound_to(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path, "mx.acme.test")
    held = Certificate(certificate, key)
    first = held.context
    der = ssl.PEM_cert_to_DER_cert(certificate.read_text())
    assert end_point_of(first) == hashlib.sha256(der).digest()
    certificate.unlink()
    self_signed(tmp_path, "mx.acme.test")
    held.reload()
    assert end_point_of(held.context) not in (None, end_point_of(first)), "channels that are open stay bound to what they had"
    assert end_point_of(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) is None
    assert end_point(b"nonsense") is None
