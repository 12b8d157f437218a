"""The certificate shown to clients: the configured one, or a self-signed one made in `data`; read again on request."""

import datetime
import ipaddress
import os
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 825  # what Apple's clients accept at most; ours is trusted by hand anyway
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM"


class ServerContext(ssl.SSLContext):
    """A context that knows what SCRAM is bound to where it was used: a certificate read again later has another."""

    end_point: bytes | None = None


class Certificate:
    """Makes TLS contexts. `context` is the one for new connections; `reload` replaces it or raises and changes nothing.

    `binds` False: SCRAM is not to be bound to the channels.
    """

    def __init__(self, certificate: Path, key: Path, *, binds: bool = True) -> None:
        self._certificate = certificate
        self._key = key
        self._binds = binds
        self._context = self._read()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._context

    def reload(self) -> None:
        """Raises OSError or ssl.SSLError where the files cannot be used; sessions that are open keep what they have."""
        self._context = self._read()

    def _read(self) -> ssl.SSLContext:
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
        context.load_cert_chain(self._certificate, self._key)
        context.end_point = end_point(self._certificate.read_bytes()) if self._binds else None
        return context


def end_point_of(context: ssl.SSLContext) -> bytes | None:
    """What SCRAM is bound to on a channel that was made with this context."""
    return context.end_point if isinstance(context, ServerContext) else None


def end_point(pem: bytes) -> bytes | None:
    """`tls-server-end-point`: the hash of the first certificate, by the hash of its signature but never MD5 or SHA-1; None where
    the signature has none of its own or two, as with Ed25519 (RFC 5929 section 4.1).
    """
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        algorithm = certificate.signature_hash_algorithm
        parameters = certificate.signature_algorithm_parameters
    except (ValueError, UnsupportedAlgorithm):
        return None
    if algorithm is None or (isinstance(parameters, padding.PSS) and parameters.mgf._algorithm.name != algorithm.name):
        return None
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)


def self_signed(data: Path, hostname: str) -> tuple[Path, Path]:
    """The certificate and key made in `data` at the first start, for `hostname`, localhost and the loopback addresses.

    Both files appear whole, the key readable by the owner only.
    """
    certificate_path, key_path = data / "certificate.pem", data / "certificate.key"
    if certificate_path.exists() and key_path.exists():
        return certificate_path, key_path
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    now = datetime.datetime.now(datetime.UTC)
    names: list[x509.GeneralName] = [x509.DNSName(one) for one in dict.fromkeys((hostname, "localhost")) if one.isascii()]
    names += [x509.IPAddress(ipaddress.ip_address(one)) for one in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write_whole(key_path, private)
    _write_whole(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
    return certificate_path, key_path


def _write_whole(path: Path, octets: bytes) -> None:
    """By rename, mode 0600, so that a crash leaves either nothing or all of it."""
    draft = path.with_suffix(path.suffix + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
