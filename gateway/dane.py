"""Is this the server whose certificate the DNS vouches for? (DANE for SMTP, RFC 7672, with the records of RFC 6698)"""

import hashlib
import hmac
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

DANE_TA: Final = 2
DANE_EE: Final = 3
MOST_CERTIFICATES: Final = 10
"""Of a chain that are looked at; real ones have up to five."""
MOST_RECORDS: Final = 50
"""Of a server that are looked at, each with every certificate: some tens of ms at worst; real ones have up to six."""

_DIGESTS: Final = {1: ("sha256", 32), 2: ("sha512", 64)}


@dataclass(frozen=True, slots=True, order=True)
class Tlsa:
    """One record: `usage` 0 to 3, `selector` 0 the certificate or 1 its public key, `matching` 0 as it is, 1 SHA-256, 2 SHA-512."""

    usage: int
    selector: int
    matching: int
    data: bytes

    def matches(self, certificate: bytes) -> bool:
        """Is it of this certificate (DER)?"""
        chosen = certificate if self.selector == 0 else _public_key(certificate)
        if chosen is None:
            return False
        if self.matching in _DIGESTS:
            chosen = hashlib.new(_DIGESTS[self.matching][0], chosen).digest()
        return hmac.compare_digest(chosen, self.data)


def usable(records: Sequence[Tlsa], *, chains: bool | None = None) -> tuple[Tlsa, ...]:
    """Those by which a server can be told: PKIX-TA and PKIX-EE are not for SMTP (RFC 7672 section 3.1.3), and DANE-TA needs to see
    the chain (`chains`; None: as this Python can). Of several digests of one kind the strongest (RFC 7671 section 9)."""
    seeing = can_see_chains() if chains is None else chains
    taken = [one for one in records if one.usage in ((DANE_TA, DANE_EE) if seeing else (DANE_EE,)) and _is_whole(one)]
    strongest: dict[tuple[int, int], int] = {}
    for one in taken:
        strongest[one.usage, one.selector] = max(strongest.get((one.usage, one.selector), 0), one.matching)
    # In one order, for the DNS has them in any: a connection is used again for the same records.
    return tuple(sorted(one for one in set(taken) if one.matching in (0, strongest[one.usage, one.selector]))[:MOST_RECORDS])


def is_end_entity(records: Sequence[Tlsa], certificate: bytes) -> bool:
    """Is it the certificate, or the key, that a DANE-EE record has? Neither names, dates nor authorities matter then (RFC 7672
    section 3.1.1)."""
    return any(one.usage == DANE_EE and one.matches(certificate) for one in records)


def anchors(records: Sequence[Tlsa], chain: Sequence[bytes]) -> list[bytes]:
    """The authorities (DER) that DANE-TA records stand for: of those that the server sent with its own certificate, which is the
    first of `chain`, or whole in a record (RFC 7671 section 5.2)."""
    wanted = [one for one in records if one.usage == DANE_TA]
    found = [one for one in chain[1:MOST_CERTIFICATES] if any(record.matches(one) for record in wanted)]
    found += [one.data for one in wanted if (one.selector, one.matching) == (0, 0) and _public_key(one.data) is not None]
    return list(dict.fromkeys(found))


def is_named(certificate: Mapping[str, Any], names: Sequence[str]) -> bool:
    """Has the certificate, as `SSLSocket.getpeercert` shows it, one of these names? DNS names, or without any the common name; `*`
    as the whole first label stands for one label (RFC 7672 section 3.2.3)."""
    presented = [value for kind, value in certificate.get("subjectAltName", ()) if kind == "DNS"]
    if not presented:
        presented = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return any(covers(one, name) for one in presented for name in names)


def covers(pattern: str, name: str) -> bool:
    """`mail.acme.test` itself, or `*.acme.test` for one label in place of the star; in any case of letters."""
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if not pattern or not name:
        return False
    if not pattern.startswith("*."):
        return pattern == name
    first, _, rest = name.partition(".")
    return bool(first) and "." in rest and rest == pattern[2:]


def can_see_chains() -> bool:
    """Python shows what certificates a server sent since 3.13; 3.11 and 3.12 have it under another name, which may go."""
    return hasattr(ssl.SSLObject, "get_unverified_chain") or hasattr(getattr(ssl, "_ssl", None), "Certificate")


def chain_of(connection: Any) -> list[bytes]:
    """What the other side of an ssl.SSLObject sent, as DER, its own certificate first; that alone where more cannot be seen. Nothing
    is believed for being in it: it is only where to look for what a digest stands for."""
    own = connection.getpeercert(binary_form=True)
    if own is None:
        return []
    look = getattr(connection, "get_unverified_chain", None) or getattr(getattr(connection, "_sslobj", None), "get_unverified_chain", None)
    sent = look() if look is not None else None
    if not sent:
        return [own]
    return [one if isinstance(one, bytes) else ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in sent]


def trusting(found: Sequence[bytes]) -> ssl.SSLContext:
    """For a second connection: a chain to one of these, by whatever certificates between, is good; names are for `is_named`.
    Raises ssl.SSLError, ValueError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    # What the DNS vouches for need not have signed itself.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(cadata=b"".join(found))
    return context


def _is_whole(one: Tlsa) -> bool:
    if one.selector not in (0, 1):
        return False
    return bool(one.data) if one.matching == 0 else one.matching in _DIGESTS and len(one.data) == _DIGESTS[one.matching][1]


def _public_key(certificate: bytes) -> bytes | None:
    """SubjectPublicKeyInfo; None for what is no certificate that we can read."""
    try:
        key = x509.load_der_x509_certificate(certificate).public_key()
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm, TypeError):
        return None
