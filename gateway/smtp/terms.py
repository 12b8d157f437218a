"""How does a listener treat its peers, and what do its connections share?"""

import asyncio
import ipaddress
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal, Protocol

from gateway.carrier import Wheel
from gateway.intake import Intake

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may use up. Times in seconds, sizes in octets; the settings of the same names say why these numbers."""

    line: int = 4_096
    auth_line: int = 12_288
    message_size: int = 50 << 20
    recipients: int = 1_000
    bad_commands: int = 20
    bad_commands_before_login: int = 5
    idle_commands: int = 100  # NOOP, RSET, EHLO and the like between two messages; Postfix: smtpd_junk_command_limit
    failed_logins: int = 3  # on one connection
    failed_login_delay: float = 1.0
    refused_recipients: int = 50  # of strangers, until the connection ends: against address harvesting
    login_timeout: float = 180
    command_timeout: float = 300
    data_timeout: float = 1_800
    session_timeout: float = 7_200
    output_timeout: float = 60
    tls_timeout: float = 30
    proxy_timeout: float = 10  # until a proxy has said for whom it speaks; it has nothing to wait for
    # A peer may read our last words; a close with its octets unread would destroy them (RFC 1122 section 4.2.2.13).
    linger: float = 2


@dataclass(frozen=True, slots=True)
class Terms:
    """`tls` gives the context for a new handshake, so that a renewed certificate is used at once; None: no TLS.
    `mechanisms` empty: nobody logs in here. `name` stands in the log. `hold`: seconds for which a message may be asked to wait
    (RFC 4865), 0: not offered; `clock`: microseconds since 1970 UTC. `proxies`: whose connections begin with a PROXY header;
    `neighbours`: who may say XCLIENT.
    """

    name: str
    hostname: str
    limits: Limits = field(default_factory=Limits)
    tls: Callable[[], ssl.SSLContext] | None = None
    implicit_tls: bool = False
    mechanisms: tuple[str, ...] = ()
    plaintext_login: bool = False
    bare_newline: Literal["refuse", "fix"] = "refuse"
    hold: int = 0
    proxies: Sequence[Network] = ()
    neighbours: Sequence[Network] = ()
    clock: Callable[[], int] = lambda: time.time_ns() // 1000


def is_within(address: str, networks: Sequence[Network]) -> bool:
    """Whether an IP address lies in one of them."""
    if not networks:
        return False
    ip = ipaddress.ip_address(address)
    return any(ip.version == network.version and ip in network for network in networks)


class Admission(Protocol):
    """Who may connect."""

    def enter(self, address: str) -> str | None:
        """None: welcome, and `leave` will be called. Otherwise the reply with which the connection ends."""

    def leave(self, address: str) -> None:
        """A connection that was welcome has ended."""


class Present(Protocol):
    """A connection, as its listener sees it."""

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """What has to end before the connection is over."""

    def stop(self) -> None:
        """The server stops: 421, now or after the commit that is under way."""

    def abort(self) -> None:
        """End at once."""


@dataclass(slots=True)
class House:
    """The timer wheel, who may enter, the room for messages, and who is there."""

    wheel: Wheel
    admission: Admission | None = None
    intake: Intake = field(default_factory=Intake)
    here: set[Present] = field(default_factory=set)
    commits: set[asyncio.Task[Any]] = field(default_factory=set)
