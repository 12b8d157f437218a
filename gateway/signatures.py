"""The keys of DKIM and ARC: made, spelled as DNS records, read from them, and what is signed and verified with them."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from gateway.message.dkim import BadSignature, tags, without_white

RSA: Final = "rsa"
ED25519: Final = "ed25519"
LEAST_BITS: Final = 1024
"""Below it nothing is signed and nothing holds (RFC 8301 section 3.2)."""
MOST_BITS: Final = 4096
"""Who publishes a key decides how long others compute with it."""
LONGEST_RECORD: Final = 4096
_WANTED_BITS: Final = range(1024, MOST_BITS + 1)
_STRING: Final = 255
"""Octets of one string of a TXT record."""
_ALGORITHMS: Final[Mapping[bytes, str]] = {b"rsa-sha256": RSA, b"ed25519-sha256": ED25519}
_EXPONENT_BITS: Final = 64
_QUOTED: Final = re.compile(r'(["\\])')


@dataclass(frozen=True, slots=True)
class NewKey:
    """`private`: PKCS #8 in DER; `public`: what the record's `p=` spells in base64 (RFC 6376 section 3.6.1, RFC 8463 section 4)."""

    private: bytes
    public: bytes

    def __repr__(self) -> str:
        return f"NewKey({fingerprint(self.public)})"


class PrivateKey:
    """Signs. Raises ValueError when it is made of something else."""

    __slots__ = ("_key", "algorithm")

    def __init__(self, private: bytes) -> None:
        try:
            key = load_der_private_key(private, None)
        except (TypeError, UnsupportedAlgorithm) as fault:
            raise ValueError(str(fault)) from None
        if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
            raise ValueError("neither RSA nor Ed25519")
        self._key = key
        self.algorithm = RSA if isinstance(key, RSAPrivateKey) else ED25519

    @property
    def spelled(self) -> bytes:
        """As `a=` has it."""
        return f"{self.algorithm}-sha256".encode()

    def sign(self, octets: bytes) -> bytes:
        """RFC 6376 section 3.3, RFC 8463 section 3."""
        if isinstance(self._key, RSAPrivateKey):
            return self._key.sign(octets, PKCS1v15(), SHA256())
        return self._key.sign(sha256(octets).digest())


@dataclass(frozen=True, slots=True)
class PublicKey:
    """As its record has it. `bits` of RSA. `strict`: `i=` must have `d=` itself as its domain (`t=s`)."""

    key: RSAPublicKey | Ed25519PublicKey
    bits: int
    strict: bool = False

    def verify(self, algorithm: bytes, octets: bytes, signature: bytes) -> None:
        """`algorithm`: `a=`. Raises BadSignature."""
        try:
            if _ALGORITHMS.get(algorithm) == RSA and isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, octets, PKCS1v15(), SHA256())
            elif _ALGORITHMS.get(algorithm) == ED25519 and isinstance(self.key, Ed25519PublicKey):
                self.key.verify(signature, sha256(octets).digest())
            else:
                raise BadSignature("the key is of another algorithm")
        except InvalidSignature:
            raise BadSignature("signature did not verify") from None


def new_key(algorithm: str, bits: int = 2048) -> NewKey:
    """Takes up to a second for RSA. `bits`: 1024 to 4096, of RSA. Raises ValueError for others."""
    if algorithm == ED25519:
        young = Ed25519PrivateKey.generate()
        return NewKey(_private(young), young.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
    if algorithm != RSA or bits not in _WANTED_BITS:
        raise ValueError(f"{algorithm} with {bits} bits")
    key = generate_private_key(65537, bits)
    return NewKey(_private(key), key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def _private(key: RSAPrivateKey | Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def fingerprint(public: bytes) -> str:
    """By which people tell keys apart."""
    return sha256(public).hexdigest()[:16]


def bits_of(algorithm: str, public: bytes) -> int:
    """Of a public key that `new_key` made."""
    return read_key(algorithm.encode(), public).bits


def record(algorithm: str, public: bytes) -> str:
    """The text of the TXT record (RFC 6376 section 3.6.1)."""
    return f"v=DKIM1; k={algorithm}; p={b64encode(public).decode()}"


def zone_line(name: str, text: str) -> str:
    """The record in the form of zone files (RFC 1035 section 5.1), its strings no longer than they may be."""
    pieces = [text[at : at + _STRING] for at in range(0, len(text), _STRING)]
    quoted = [_QUOTED.sub(r"\\\1", piece) for piece in pieces]
    if len(quoted) == 1:
        return f'{name}. IN TXT "{quoted[0]}"'
    return f"{name}. IN TXT (\n" + "\n".join(f'    "{piece}"' for piece in quoted) + "\n)"


def read_record(text: bytes) -> PublicKey:
    """A key record as the DNS has it. Raises BadSignature for one with which nothing holds: revoked, for something else, too weak."""
    if len(text) > LONGEST_RECORD:
        raise BadSignature("the key record is too long")
    said = tags(text)
    if said.get(b"v", b"DKIM1") != b"DKIM1" or b"p" not in said:
        raise BadSignature("no key record")
    if b"h" in said and b"sha256" not in without_white(said[b"h"]).lower().split(b":"):
        raise BadSignature("the key is not for SHA-256")
    if b"s" in said and not {b"*", b"email"} & {*without_white(said[b"s"]).lower().split(b":")}:
        raise BadSignature("the key is not for mail")
    spelled = without_white(said[b"p"])
    if not spelled:
        raise BadSignature("the key was revoked")
    try:
        public = b64decode(spelled, validate=True)
    except NoBase64:
        raise BadSignature("the key is no base64") from None
    key = read_key(said.get(b"k", b"rsa").lower(), public)
    return PublicKey(key.key, key.bits, b"s" in without_white(said.get(b"t", b"")).split(b":"))


def read_key(kind: bytes, public: bytes) -> PublicKey:
    """`kind`: `k=`. Raises BadSignature."""
    try:
        if kind == b"ed25519":
            return PublicKey(Ed25519PublicKey.from_public_bytes(public), 256)
        key = load_der_public_key(public) if kind == b"rsa" else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadSignature("the key cannot be read") from None
    if not isinstance(key, RSAPublicKey):
        raise BadSignature("a key of an unknown kind")
    if not LEAST_BITS <= key.key_size <= MOST_BITS or key.public_numbers().e.bit_length() > _EXPONENT_BITS:
        raise BadSignature(f"a key of {key.key_size} bits")
    return PublicKey(key, key.key_size)
