"""Under what are the ends of the audit chain signed, and does such a signature hold?"""

import base64
import binascii
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key

from store.audit import Head, PublicKey, SignedHead

FILE: Final = "audit.key"
_PURPOSE: Final = b"procura audit head 1\0"
"""Nothing else that is signed begins so: a signature of ours means this and nothing else."""


class BadSeal(ValueError):
    """The text is no head, the file no key; the message says what is wrong."""


def wall_clock() -> int:
    """Microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Seals:
    """The private key, in a file beside the database that only the server's user may read, made when it is first needed.

    Whoever can write to the database but not read that file can make no head. Methods raise OSError and BadSeal.
    """

    def __init__(self, data: Path, now: Callable[[], int] = wall_clock) -> None:
        self._path = data / FILE
        self._now = now

    def public(self) -> PublicKey:
        """The key in use; it is made where there is none."""
        return _public(self._private(), self._now())

    def sign(self, head: Head) -> SignedHead:
        """With the key in use."""
        return _sign(self._private(), head, self._now())

    def prepare(self) -> PublicKey:
        """Makes the key that is to be used next; `turn` begins to use it. One that was prepared and never used gives way."""
        return _public(_write(self._path.with_suffix(".next")), self._now())

    def turn(self) -> None:
        """From now on the prepared key signs; the old private one is gone."""
        self._path.with_suffix(".next").replace(self._path)
        _settle(self._path.parent)

    def _private(self) -> Ed25519PrivateKey:
        try:
            key = load_pem_private_key(self._path.read_bytes(), None)
        except FileNotFoundError:
            _write(self._path.with_suffix(".new"))
            self._path.with_suffix(".new").replace(self._path)
            _settle(self._path.parent)
            return self._private()
        except (ValueError, TypeError):
            raise BadSeal(f"{self._path} holds no private key") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise BadSeal(f"{self._path} holds no Ed25519 key")
        return key


def _write(path: Path) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        file.flush()
        os.fsync(file.fileno())
    return key


def _settle(directory: Path) -> None:
    """A key that signed something must not be gone after a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _public(key: Ed25519PrivateKey, now: int) -> PublicKey:
    octets = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return PublicKey(key_id(octets), octets, now)


def _sign(key: Ed25519PrivateKey, head: Head, at: int) -> SignedHead:
    known = _public(key, at).id
    return SignedHead(head, known, at, key.sign(_said(head, known, at)))


def _said(head: Head, key: str, at: int) -> bytes:
    return _PURPOSE + f"{head.number}:{head.hash.hex()}:{at}:{key}".encode()


def key_id(public: bytes) -> str:
    """By which a public key is named: the beginning of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def holds(signed: SignedHead, public: bytes) -> bool:
    """Was it signed with the private half of this key (32 octets)?"""
    if key_id(public) != signed.key:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed.signature, _said(signed.head, signed.key, signed.at))
    except (InvalidSignature, ValueError):
        return False
    return True


def spell_head(head: Head | SignedHead) -> str:
    """One word: `NUMBER:HASH`, and `:TIME:KEY:SIGNATURE` behind it where it is signed (time in microseconds, signature in base64)."""
    if isinstance(head, Head):
        return f"{head.number}:{head.hash.hex()}"
    signature = base64.b64encode(head.signature).decode()
    return f"{spell_head(head.head)}:{head.at}:{head.key}:{signature}"


def read_head(text: str) -> Head | SignedHead:
    """What `spell_head` wrote. Raises BadSeal."""
    number, _, rest = text.partition(":")
    digest, *more = rest.split(":")
    try:
        octets = bytes.fromhex(digest)
        if not (_is_count(number) and len(octets) == 32 and len(more) in (0, 3)):
            raise ValueError
        head = Head(int(number), octets)
        if not more:
            return head
        at, key, spelled = more
        signature = base64.b64decode(spelled, validate=True)
        if not (_is_count(at) and len(signature) == 64 and base64.b64encode(signature).decode() == spelled):
            raise ValueError
        return SignedHead(head, key, int(at), signature)
    except (ValueError, binascii.Error):
        raise BadSeal(f"no head of the record: {text[:200]} (write NUMBER:HASH, or all of what `audit head` prints)") from None


def spell_key(public: bytes) -> str:
    """As people keep it: base64 of the 32 octets."""
    return base64.b64encode(public).decode()


def read_key(text: str) -> bytes:
    """What `spell_key` wrote. Raises BadSeal."""
    try:
        octets = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        octets = b""
    if len(octets) != 32 or spell_key(octets) != text:
        raise BadSeal(f"no public key: {text[:200]} (write all of what `audit key` prints)")
    return octets


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19
