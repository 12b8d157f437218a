"""What does an exchange yield: a challenge, a question about an account, or a proof that the login service judges?"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from store.model import ScramKeys


class Malformed(Exception):
    """The client's message is not what the mechanism's grammar says."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Cancelled(Exception):
    """The client does not want to go on (RFC 4422 section 3.5)."""


class Unbound(Exception):
    """The exchange is not bound to this TLS channel as it should be: somebody may stand between us and the client."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a password. `mechanism` in upper case; `authzid` empty: it acts as itself."""

    mechanism: str
    authcid: str
    authzid: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ScramProof:
    """That somebody knows the password `keys` were made of, if `proof` fits `signed` (RFC 5802 section 3: AuthMessage)."""

    mechanism: str
    authcid: str
    authzid: str
    keys: ScramKeys = field(repr=False)
    signed: bytes = field(repr=False)
    proof: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BearerToken:
    """A token of an issuer, which says itself whose it is (RFC 6750). `authzid` empty: its bearer acts as itself."""

    mechanism: str
    authzid: str
    token: str = field(repr=False)


Claim = Credentials | ScramProof | BearerToken


@dataclass(frozen=True, slots=True)
class Challenge:
    """To be sent; what the client answers is for `Exchange.take`."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """Which keys has this account? The answer is for `ScramExchange.found`."""

    authcid: str


@dataclass(frozen=True, slots=True)
class Claimed:
    """The client has said all. `welcome`: a last challenge for it when the claim is true, which it answers with nothing;
    `rejection`: spells one for when it is not, from an error code of OAuth (RFC 6750 section 3.1), whatever is answered."""

    claim: Claim
    welcome: bytes | None = field(default=None, repr=False)
    rejection: Callable[[str], bytes] | None = None


Step = Challenge | KeysWanted | Claimed


class Exchange(Protocol):
    """One attempt with one mechanism. `prompt` is the challenge for a client that sent no initial response."""

    @property
    def prompt(self) -> bytes:
        """Empty where the mechanism begins with the client."""
        ...

    def take(self, response: bytes) -> Step:
        """The client's next message. Raises Malformed, Unbound."""
        ...


_ESCAPE: Final = re.compile(rb"=(2C|3D)?")
_ESCAPED: Final = {b"2C": b",", b"3D": b"="}


def unescaped(saslname: bytes) -> bytes:
    """`saslname` of RFC 5801 section 4 and RFC 5802 section 5.1: `=2C` is a comma, `=3D` is `=`. Raises Malformed."""
    if b"=" not in saslname:
        return saslname
    try:
        return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], saslname)
    except KeyError:
        raise Malformed("a user name has = only as =2C and =3D") from None


def utf8(octets: bytes) -> str:
    """Raises Malformed."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Malformed("a user name is UTF-8") from None
