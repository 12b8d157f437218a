"""Another mail server: where it is, how sure of it we must be, what it is told and says, and how it fails."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from gateway.dane import Tlsa

WORDS: Final = 1000
"""Characters kept of a reply."""


class Tls(StrEnum):
    """What is asked of the connection. VERIFIED: a certificate for the host's name, by an authority that is trusted; DANE: one that
    the peer's TLSA records vouch for."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    REQUIRED = "required"
    VERIFIED = "verified"
    DANE = "dane"


@dataclass(frozen=True, slots=True)
class Peer:
    """Where to connect to. `host` is the name that a certificate has to have, `address` what is called: a name or an IP address.

    `tlsa`: for DANE; `names`: of which the certificate has to have one where an authority is vouched for. `otherwise`: what will do
    where VERIFIED fails, which is logged then. `token`: a file with a token, in place of the password."""

    host: str
    address: str
    port: int
    tls: Tls
    implicit_tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tlsa: tuple[Tlsa, ...] = ()
    names: tuple[str, ...] = ()
    otherwise: Tls | None = None
    token: Path | None = None

    def __str__(self) -> str:
        return self.host if self.host == self.address else f"{self.host} [{self.address}]"


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` without the code, lines joined by blanks, at most WORDS characters. `ours`: we say it in the peer's place."""

    code: int
    text: str
    ours: bool = False

    def __str__(self) -> str:
        return self.text if self.ours else f"{self.code} {self.text}".rstrip()

    @property
    def good(self) -> bool:
        """2yz."""
        return 200 <= self.code <= 299


class Unreachable(Exception):
    """No transaction can be begun there: no connection, no greeting, bad TLS, a refused login; or a connection that had been used
    before is gone. Nothing was handed over. `tls`: it is TLS that failed. `status`: an enhanced status code for it."""

    def __init__(self, words: str, *, tls: bool = False, status: str = "4.4.1") -> None:
        super().__init__(words)
        self.tls = tls
        self.status = status


class Unanchored(Unreachable):
    """DANE: the server sent an authority that a record vouches for (`anchors`, DER). Whether it vouches for the server is for OpenSSL
    to say, on a connection that is made trusting it."""

    def __init__(self, words: str, anchors: Sequence[bytes]) -> None:
        super().__init__(words, tls=True, status="4.7.5")
        self.anchors = anchors


class Lost(Exception):
    """The connection ended, or the time did, or what came was no SMTP, within a transaction. `dotted`: after the end of the message
    was sent, so that nobody knows whether it was taken (RFC 1047). `together`: commands that were sent together were not answered."""

    def __init__(self, words: str, *, dotted: bool = False, together: bool = False) -> None:
        super().__init__(words)
        self.dotted = dotted
        self.together = together


@dataclass(frozen=True, slots=True)
class Envelope:
    """One transaction. `reverse_path` "" is the empty one. `mail`, `each` (one for each recipient): further parameters, spelled
    (RET=HDRS); those for which the peer lacks the extension DSN are left out. `smtputf8`: it cannot go without.
    `still`: asked when the peer waits for the message: may it go?"""

    reverse_path: str
    recipients: tuple[str, ...]
    smtputf8: bool = False
    mail: tuple[str, ...] = ()
    each: tuple[tuple[str, ...], ...] = ()
    still: Callable[[], Awaitable[bool]] | None = field(default=None, compare=False, repr=False)
