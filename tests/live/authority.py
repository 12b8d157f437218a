"""Certificates of the tests' own: an authority, and servers that it vouches for, in every state that they may be found in."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID


@dataclass
class Made:
    """One certificate with its key, and what a server with it sends."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    def tlsa(self, usage: int, selector: int = 1, matching: int = 1) -> str:
        """A record for it, as text."""
        public = self.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        chosen = self.der if selector == 0 else public
        data = {0: chosen, 1: hashlib.sha256(chosen).digest(), 2: hashlib.sha512(chosen).digest()}[matching]
        return f"{usage} {selector} {matching} {data.hex()}"

    def write(self, path: Path) -> Path:
        octets = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        octets += b"".join(one.public_bytes(Encoding.PEM) for one in (self.certificate, *self.chain))
        path.write_bytes(octets)
        return path

    def served(self, path: Path) -> ssl.SSLContext:
        """For a server; `path`: a file for it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.write(path))
        return context


def made(
    name: str = "",
    by: Made | None = None,
    *,
    names: Sequence[str] = (),
    authority: bool = False,
    days: tuple[int, int] = (-1, 30),
    sends: Sequence[Made] = (),
) -> Made:
    """`name`: the common name; `names`: DNS names; `by`: whose, None: its own; `sends`: other certificates that come along."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if by is None else by.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
    certificate = builder.sign(key if by is None else by.key, hashes.SHA256())
    return Made(certificate, key, tuple(one.certificate for one in sends))
