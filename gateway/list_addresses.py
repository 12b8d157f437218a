"""Which addresses does a list have besides its own, and what does each stand for? (RFC 2142 section 6)"""

import base64
import hashlib
import hmac
import re
import secrets
from enum import StrEnum
from typing import Final

from policy.identity import Address

MAC: Final = 12
"""Letters of base32 (60 bits) by which an address of ours is known again."""
KEY: Final = 16
"""Letters of base32 (80 bits) that nobody guesses."""
_NUMBER: Final = re.compile(r"[0-9a-v]{1,13}")
_LOCAL: Final = re.compile(
    r"(?P<list>.+)-(?P<role>bounces|owner|request|subscribe|unsubscribe|confirm|moderate)(?:\+(?P<tag>[0-9a-z]{1,48}))?", re.DOTALL
)
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuv"


class Role(StrEnum):
    """What stands behind the list's name. CONFIRM and MODERATE need a tag, BOUNCES may have one, the others have none."""

    BOUNCES = "bounces"
    OWNER = "owner"
    REQUEST = "request"
    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    CONFIRM = "confirm"
    MODERATE = "moderate"


_TAGGED: Final = {Role.CONFIRM: True, Role.MODERATE: True, Role.BOUNCES: None}


def read_role(address: Address) -> tuple[Address, Role, str] | None:
    """The address of what may be a list, the role, and the tag ("": none). None: it looks like no such address."""
    found = _LOCAL.fullmatch(address.folded().local)
    if found is None:
        return None
    role, tag = Role(found["role"]), found["tag"] or ""
    needed = _TAGGED.get(role, False)
    if needed is not None and needed is not bool(tag):
        return None
    return Address(found["list"], address.domain), role, tag


def role_address(group: Address, role: Role, tag: str = "") -> Address:
    """One of the list's addresses."""
    return Address(f"{group.local}-{role}" + (f"+{tag}" if tag else ""), group.domain)


def new_key() -> str:
    """Of a request."""
    return base64.b32encode(secrets.token_bytes(KEY * 5 // 8)).decode("ascii").lower()


class Tags:
    """Tags that only we can have made. They rest on numbers and not on names, and so outlive renaming; a domain's case does not count,
    nor that of a local part, which some servers change. `key`: secret."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"tags of lists", hashlib.sha256)

    def member(self, number: int) -> str:
        """For the envelope sender of what is sent to this member (store.bounces): what comes back names it."""
        spelled = _spelled(number)
        return self._mac("member", spelled) + spelled

    def read_member(self, tag: str) -> int | None:
        """None: it is none of ours."""
        mac, spelled = tag[:MAC], tag[MAC:]
        known = _NUMBER.fullmatch(spelled) is not None and hmac.compare_digest(mac, self._mac("member", spelled))
        return int(spelled, 32) if known else None

    def decision(self, key: str, owner: int) -> str:
        """For this owner to decide on the request `key`."""
        spelled = _spelled(owner)
        return self._mac("decision", key, spelled) + key + spelled

    def read_decision(self, tag: str) -> tuple[str, int] | None:
        """The request's key, and which owner's it is. None: it is none of ours."""
        mac, key, spelled = tag[:MAC], tag[MAC : MAC + KEY], tag[MAC + KEY :]
        known = _NUMBER.fullmatch(spelled) is not None and hmac.compare_digest(mac, self._mac("decision", key, spelled))
        return (key, int(spelled, 32)) if known else None

    def _mac(self, *about: str) -> str:
        return base64.b32encode(hmac.digest(self._key, "|".join(about).encode(), hashlib.sha256)).decode("ascii").lower()[:MAC]


def _spelled(number: int) -> str:
    found = _DIGITS[number % 32]
    while number := number // 32:
        found = _DIGITS[number % 32] + found
    return found
