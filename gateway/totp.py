"""Codes of an authenticator app (RFC 6238): secrets made and sealed, codes looked at; and one-time codes beside them."""

import hashlib
import hmac
import secrets
from typing import Final

import pyotp
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

STEP: Final = 30
"""Seconds for which a code is shown."""
LATE: Final = 1
"""Steps by which a clock may be off."""
CODES: Final = 10
"""One-time codes in a set."""
_ISSUER: Final = "procura"
_NONCE: Final = 12
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_CODE: Final = 12


class Unsealable(Exception):
    """The secret was sealed under another key, for another account, or was changed."""


def new_secret() -> str:
    """160 bits in base32, as authenticator apps take it."""
    return pyotp.random_base32()


def uri(secret: str, address: str) -> str:
    """`otpauth://totp/...`, what a QR code says."""
    return pyotp.TOTP(secret).provisioning_uri(name=address, issuer_name=_ISSUER)


def seal(secret: str, key: bytes, account: int) -> bytes:
    """For the store. `key`: 32 octets."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(key).encrypt(nonce, secret.encode(), b"totp %d" % account)


def unseal(sealed: bytes, key: bytes, account: int) -> str:
    """Raises Unsealable."""
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], b"totp %d" % account).decode()
    except (InvalidTag, ValueError):
        raise Unsealable from None


def step_of(secret: str, code: str, now: int) -> int | None:
    """The step whose code this is, of those that may be now (`now`: microseconds since 1970 UTC); None: it is none."""
    digits = code.replace(" ", "")
    if not (digits.isascii() and digits.isdigit() and len(digits) == 6):
        return None
    totp, current = pyotp.TOTP(secret), now // (STEP * 1_000_000)
    found = None
    for step in range(current - LATE, current + LATE + 1):
        if hmac.compare_digest(totp.generate_otp(step), digits):
            found = step
    return found


def one_time_codes() -> tuple[str, ...]:
    """A new set, of 60 random bits each."""
    return tuple("-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(_CODE // 4)) for _ in range(CODES))


def code_verifier(code: str, key: bytes, account: int) -> bytes:
    """What is stored in place of a one-time code: a keyed hash, since it is random, and whoever guesses is locked out."""
    bare = code.replace("-", "").replace(" ", "").lower()
    return hashlib.blake2b(b"%d " % account + bare.encode("utf-8", "surrogateescape"), key=key, digest_size=32, person=b"one-time").digest()
