"""The certificate that clients see: made once, kept safe, read again on request."""

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from gateway.certificate import Certificate, self_signed


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
