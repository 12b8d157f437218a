"""What an app password looks like: made at random, read however it is typed, known again by a keyed hash."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
"""32 letters and digits of which none looks like another."""
SELECTOR: Final = 6
LENGTH: Final = 28
"""Characters without hyphens: 30 bits to look it up by, and 110 that nobody can guess."""
GROUP: Final = 4

_TYPED: Final = re.compile(rb"[%b]{%d}" % (ALPHABET.encode(), LENGTH))
_LONGEST: Final = 64
"""Octets of what may be one, with whatever spaces and hyphens."""


@dataclass(frozen=True, slots=True)
class AppPassword:
    """One as it was made or typed, in its canonical form."""

    text: str = field(repr=False)

    @property
    def selector(self) -> str:
        """By which it is looked up; no secret."""
        return self.text[:SELECTOR]

    @property
    def spelled(self) -> str:
        """In groups, for people: shown once."""
        return "-".join(self.text[start : start + GROUP] for start in range(0, LENGTH, GROUP))

    def verifier(self, key: bytes) -> bytes:
        """What is stored in its place. One fast keyed hash is enough, since there is nothing to guess: a slow hash makes up for
        passwords that people choose, and 110 random bits are out of reach at any speed. So many of them cost a login no more than one.
        """
        return hashlib.blake2b(self.text.encode(), key=key, digest_size=32, person=b"app-password").digest()

    def is_right(self, verifier: bytes, key: bytes) -> bool:
        """Is it the one that this was made of? In a time that tells nothing."""
        return hmac.compare_digest(self.verifier(key), verifier)


def made() -> AppPassword:
    """A new one."""
    return AppPassword("".join(secrets.choice(ALPHABET) for _ in range(LENGTH)))


def read(typed: bytes) -> AppPassword | None:
    """What may be one, in capitals, with hyphens or spaces, or without; None: it is none. The account's own password may look alike."""
    if len(typed) > _LONGEST:
        return None
    bare = typed.replace(b"-", b"").replace(b" ", b"").lower()
    return None if _TYPED.fullmatch(bare) is None else AppPassword(bare.decode("ascii"))
