"""Where to listen, whom to trust and where to hand mail on: addresses as an operator writes them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from pydantic import SecretStr

Network = IPv4Network | IPv6Network

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_PORT: Final = re.compile(r"[0-9]{1,5}")
_RELAY_PORTS: Final = {"smtp": 587, "smtps": 465}


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A host (an IP address or a name, without brackets) and a port; port 0 lets the system choose."""

    host: str
    port: int

    @property
    def loopback(self) -> bool:
        """Whether nobody but this machine can reach it. A name other than localhost counts as reachable."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def everywhere(self) -> bool:
        """Whether it stands for every address of the machine (0.0.0.0 or ::)."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system, at an absolute path."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


ListenAddress = TcpAddress | UnixAddress


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """The next hop for mail that is not local. With `implicit_tls` TLS comes first, else STARTTLS is used. `others`: hosts that are asked
    in turn where the first cannot be reached."""

    host: str
    port: int
    implicit_tls: bool
    username: str | None
    password: SecretStr | None
    others: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[TcpAddress, ...]:
        """All of them, the first one first."""
        return tuple(TcpAddress(host, self.port) for host in (self.host, *self.others))

    @property
    def loopback(self) -> bool:
        """Whether the next hop is this machine, and no other."""
        return all(one.loopback for one in self.addresses)

    def __str__(self) -> str:
        scheme = "smtps" if self.implicit_tls else "smtp"
        login = ""
        if self.username is not None:
            login = quote(self.username, safe="") + (":**********" if self.password is not None else "") + "@"
        others = "".join(f",{host}" for host in self.others)
        return f"{scheme}://{login}{f'{self.host}{others}:{self.port}' if others else self.addresses[0]}"


@dataclass(frozen=True, slots=True)
class MailExchangers:
    """In place of one next hop: the servers that each domain names in the DNS (MX)."""

    def __str__(self) -> str:
        return "mx"


def is_host(text: str) -> bool:
    """Whether this is an IP address or a host name by RFC 1123, section 2.1 (underscores tolerated)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        # A name that ends in digits alone is a mistyped IP address (RFC 1123: the top label is alphabetic).
        return len(text) <= 253 and all(map(_LABEL.fullmatch, labels)) and not labels[-1].isdigit()
    return True


def read_listen_address(value: object) -> ListenAddress:
    """An address from ``host:port``, ``[v6]:port`` or ``unix:/path``.

    Raises ValueError, with a sentence for the operator, for anything else.
    """
    if isinstance(value, (TcpAddress, UnixAddress)):
        return value
    if not isinstance(value, str):
        raise ValueError('must be a text such as "127.0.0.1:1143"')
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        if not PurePosixPath(path).is_absolute() or "\0" in path:
            raise ValueError(f"{value!r} must name an absolute path: unix:/path/to/socket")
        return UnixAddress(path)
    host, colon, port = value.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        bracketed = True
    else:
        bracketed = False
    if not colon or not _PORT.fullmatch(port) or int(port) > 65_535:
        raise ValueError(f"{value!r} needs a port from 0 to 65535: host:port, [v6]:port or unix:/path")
    if (":" in host) != bracketed or not is_host(host):
        raise ValueError(f"{value!r} names no host: host:port, [v6]:port or unix:/path")
    return TcpAddress(host, int(port))


def read_network(value: object) -> Network:
    """A network from ``10.0.0.0/8``, or of one address from ``::1``.

    Raises ValueError, with a sentence for the operator, for anything else, host bits included.
    """
    if isinstance(value, (IPv4Network, IPv6Network)):
        return value
    if not isinstance(value, str):
        raise ValueError('must be a text such as "10.0.0.0/8"')
    try:
        return ipaddress.ip_network(value)
    except ValueError as fault:
        raise ValueError(f"{value!r} is no network: {fault}") from None


def read_relay(value: object) -> RelayAddress | MailExchangers | None:
    """The next hop from ``smtp://user:password@host:587`` or ``smtps://...``, or from ``mx``; None from an empty text. Several hosts are
    parted by commas.

    User and password are percent-encoded (RFC 3986, section 2.1). Raises ValueError, with a sentence that does not
    repeat the password, for anything else.
    """
    if value is None or value == "":
        return None
    if isinstance(value, (RelayAddress, MailExchangers)):
        return value
    if value == "mx":
        return MailExchangers()
    if not isinstance(value, str):
        raise ValueError('must be a text such as "smtp://user:password@smarthost.example.org:587"')
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("is no address of the form smtp://user:password@host:port") from None
    if parts.scheme not in _RELAY_PORTS:
        raise ValueError("must begin with smtp:// or smtps://, or be mx")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must end after host and port; percent-encode / ? and # in user and password")
    host, *others = [parts.hostname or ""] if ":" in (parts.hostname or "") else (parts.hostname or "").split(",")
    if not all(map(is_host, (host, *others))):
        raise ValueError("names no host: smtp://user:password@host:port")
    if port == 0:
        raise ValueError("needs a port from 1 to 65535")
    username = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else SecretStr(unquote(parts.password))
    if password is not None and not username:
        raise ValueError("has a password without a user: smtp://user:password@host:port")
    number = port or _RELAY_PORTS[parts.scheme]
    return RelayAddress(host, number, parts.scheme == "smtps", username or None, password, tuple(others))


def read_resolver(value: object) -> TcpAddress:
    """A DNS resolver from ``192.0.2.53``, ``192.0.2.53:5353`` or ``[2001:db8::53]:53``; the port is 53 where there is none.

    Raises ValueError, with a sentence for the operator, for anything else: a name could not be looked up yet.
    """
    if isinstance(value, TcpAddress):
        return value
    if not isinstance(value, str):
        raise ValueError('must be a text such as "192.0.2.53"')
    try:
        return TcpAddress(str(ipaddress.ip_address(value)), 53)
    except ValueError:
        host, _, port = value.rpartition(":")
    try:
        if not _PORT.fullmatch(port) or not 0 < int(port) <= 65_535 or (":" in host) != host.startswith("["):
            raise ValueError
        return TcpAddress(str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))), int(port))
    except ValueError:
        raise ValueError(f"{value!r} is no IP address of a resolver, with :port where it is not 53") from None
