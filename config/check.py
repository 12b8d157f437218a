"""Do the settings agree with each other and with this machine? Everything that does not is said at once, by name."""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from config.addresses import ListenAddress, MailExchangers, Network, RelayAddress, TcpAddress, UnixAddress, is_host
from config.settings import LOOPBACK, Listen, Settings, names
from config.sources import secret_name

# Below these a strict client or server of the RFC may fail; tests and closed sites may still want it.
_RFC_MINIMUM: Final = {
    "limits.recipients": (100, "RFC 5321 section 4.5.3.1.8 asks for 100"),
    "limits.hops": (100, "RFC 5321 section 6.3 asks for 100, or long ways are taken for loops"),
    "limits.message_size": (65_536, "RFC 5321 section 4.5.3.1.7 asks for 64 KiB"),
    "limits.smtp_line": (1_500, "RFC 5321 section 4.5.3.1.4 asks for 512, and RFC 3461, 4954 and others for a thousand more"),
    "limits.smtp_auth_line": (12_288, "RFC 4954 section 4.1 asks for 12288"),
    "limits.imap_line": (8_192, "RFC 7162 section 4 asks for 8192"),
    "limits.imap_line_before_login": (8_192, "RFC 7162 section 4 asks for 8192"),
    "limits.imap_timeout": (1_800, "RFC 3501 section 5.4 asks for 30 minutes"),
    "limits.smtp_timeout": (300, "RFC 5321 section 4.5.3.2.7 asks for 5 minutes"),
    "queue.reply_timeout": (300, "RFC 5321 section 4.5.3.2 asks for 5 minutes, for the answer to a message 10"),
}
# (smaller, larger, why): the first may not exceed the second.
_ORDER: Final = (
    ("limits.connections_per_source", "limits.connections", "one source could never have that many"),
    ("limits.connections_per_account", "limits.connections", "one account could never have that many"),
    ("limits.imap_line_before_login", "limits.imap_line", "a stranger would get more than an account"),
    ("limits.imap_literal_before_login", "limits.imap_literal", "a stranger would get more than an account"),
    ("limits.bad_commands_before_login", "limits.bad_commands", "a stranger would get more than an account"),
    ("limits.imap_literal", "limits.message_size", "a command would get more than a message"),
    ("limits.header_size", "limits.message_size", "a header is part of its message"),
    ("limits.data_timeout", "limits.session_timeout", "the session would end before the message"),
    ("queue.delay", "queue.lifetime", "the mail would have bounced by then"),
)
# sun_path holds 108 octets with the final NUL on Linux, 104 on the BSDs.
MOST_WORKERS: Final = 64
_UNIX_PATH_MAX: Final = 103
_SHORTEST_SIGNATURE: Final = 86_400
_UNFIT_IN_A_PREFIX: Final = re.compile(r"[\x00-\x1f\x7f%*\"\\(){]")


class Severity(StrEnum):
    """Whether the server may start."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not agree: the setting's dotted name, how bad it is, and why, in words."""

    setting: str
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.setting}: {self.message}"


def check(settings: Settings) -> list[Finding]:
    """Every contradiction, errors first. Looks at the files that are named; changes nothing."""
    found = [
        *_listeners(settings),
        *_sources(settings),
        *_tls(settings),
        *_oauth(settings),
        *_relay(settings),
        *_names(settings),
        *_places(settings),
        *_numbers(settings),
        *_later(settings),
    ]
    return sorted(found, key=lambda finding: finding.severity is not Severity.ERROR)


def _error(setting: str, message: str) -> Finding:
    return Finding(setting, Severity.ERROR, message)


def _warning(setting: str, message: str) -> Finding:
    return Finding(setting, Severity.WARNING, message)


def _all_listeners(settings: Settings) -> Iterator[tuple[str, ListenAddress]]:
    for name in Listen.model_fields:
        for address in getattr(settings.listen, name):
            yield f"listen.{name}", address


def _listeners(settings: Settings) -> Iterator[Finding]:
    listeners = list(_all_listeners(settings))
    if not listeners:
        yield _warning("listen", "every list is empty, so nothing can be reached")
    for (name, address), (other_name, other) in combinations(listeners, 2):
        if _collide(address, other):
            same = f"{address} is there twice" if address == other else f"{address} and {other} are the same port"
            yield _error(other_name, same if name == other_name else f"{same}: also in {name}")
    for name, address in listeners:
        match address:
            case UnixAddress() if name in ("listen.imap", "listen.imaps"):
                yield _error(name, f"{address}: IMAP is spoken on TCP only")
            case UnixAddress(path) if len(os.fsencode(path)) > _UNIX_PATH_MAX:
                yield _error(name, f"{address} is longer than the {_UNIX_PATH_MAX} octets a socket's path may have")
            case UnixAddress(path) if not Path(path).parent.is_dir():
                yield _error(name, f"there is no directory {Path(path).parent}")
            case TcpAddress(port=25) if name == "listen.lmtp":
                yield _error(name, f"{address}: port 25 is for SMTP alone (RFC 2033 section 5)")
            case TcpAddress() if name == "listen.lmtp" and not address.loopback:
                yield _warning(name, f"{address} can be reached from other machines; LMTP has no login, only lmtp_networks guards it")
            case TcpAddress() if name == "listen.policy" and not address.loopback:
                yield _warning(name, f"{address} can be reached from other machines; there is no login, only policy_networks guards it")
            case TcpAddress() if settings.auth.plaintext and not address.loopback and name not in ("listen.lmtp", "listen.mx"):
                yield _error("auth.plaintext", f"passwords would cross the network unprotected: {name} has {address}, not loopback")


def _collide(one: ListenAddress, other: ListenAddress) -> bool:
    match one, other:
        case TcpAddress(), TcpAddress():
            if one.port != other.port or one.port == 0:
                return False
            # 0.0.0.0 and 127.0.0.1 collide; 0.0.0.0 and ::1 do not, since v6 sockets are bound for v6 only.
            same_family = (":" in one.host) == (":" in other.host)
            return one.host.lower() == other.host.lower() or (same_family and (one.everywhere or other.everywhere))
        case _:
            return one == other


def _sources(settings: Settings) -> Iterator[Finding]:
    for name, networks in (
        ("lmtp_networks", settings.lmtp_networks),
        ("policy_networks", settings.policy_networks),
        ("proxy_networks", settings.proxy_networks),
        ("xclient_networks", settings.xclient_networks),
        ("limits.exempt_networks", settings.limits.exempt_networks),
    ):
        for network in networks:
            if network.prefixlen == 0:
                yield _warning(name, f"{network} is the whole internet")
    for name, door, listening, networks in (
        ("lmtp_networks", "listen.lmtp", settings.listen.lmtp, settings.lmtp_networks),
        ("policy_networks", "listen.policy", settings.listen.policy, settings.policy_networks),
    ):
        doors = [address for address in listening if isinstance(address, TcpAddress)]
        if doors and not networks:
            yield _error(name, f"is empty, so nobody may use the TCP address in {door}")
        elif doors and all(address.loopback for address in doors) and not _covers_loopback(networks):
            this_machine = ", ".join(map(str, LOOPBACK))
            yield _warning(name, f"leaves out this machine ({this_machine}), but {door} is for this machine only")


def _covers_loopback(networks: tuple[Network, ...]) -> bool:
    return any(network.network_address.is_loopback or network.prefixlen == 0 for network in networks)


def _tls(settings: Settings) -> Iterator[Finding]:
    certificate, key = settings.tls.certificate, settings.tls.key
    if (certificate is None) != (key is None):
        yield _error("tls.key" if key is None else "tls.certificate", "tls.certificate and tls.key go together, or neither is set")
    unreadable = False
    for name, path in (("tls.certificate", certificate), ("tls.key", key)):
        if path is not None:
            fault = _unreadable(path)
            if fault is not None:
                unreadable = True
                yield _error(name, fault)
    if certificate is None or key is None or unreadable:
        return
    if key.stat().st_mode & stat.S_IROTH:
        yield _warning("tls.key", f"everybody on this machine can read {key}")
    try:
        # The empty password makes an encrypted key fail instead of asking on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, OSError) as fault:
        reason = getattr(fault, "reason", None) or str(fault)
        reason = reason.replace("_", " ").lower()
        yield _error("tls.certificate", f"{certificate} and {key} are no PEM certificate with its unencrypted key ({reason})")


def _oauth(settings: Settings) -> Iterator[Finding]:
    oauth = settings.oauth
    if oauth.issuer is None:
        for name in ("jwks_url", "audience", "scope"):
            if getattr(oauth, name):
                yield _warning(f"oauth.{name}", "has no effect without oauth.issuer")
        return
    for name, url in (("oauth.issuer", oauth.issuer), ("oauth.jwks_url", oauth.jwks_url)):
        if url is not None and (fault := _unsafe(url)):
            yield _error(name, f"{url} {fault}")
    if "?" in oauth.issuer or "#" in oauth.issuer:
        yield _error("oauth.issuer", "an issuer has neither query nor fragment (RFC 8414 section 2)")
    if not oauth.audience:
        yield _error("oauth.audience", "is empty: tokens that the issuer made for any other service would be taken, or none")
    if any(character <= " " for character in oauth.scope):
        yield _error("oauth.scope", "is one scope, without blanks")
    if oauth.claim == "sub":
        yield _warning("oauth.claim", "most issuers have a number there; it has to be an address here")


def _unsafe(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no URL"
    if not host or parts.scheme not in ("https", "http") or any(character <= " " for character in url):
        return "is no https URL"
    if parts.username is not None:
        return "has a user name in it"
    if parts.scheme == "http" and host not in ("localhost", "127.0.0.1", "::1"):
        return "is asked in the clear: anybody on the way could put in keys of its own; use https"
    return None


def _unreadable(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except FileNotFoundError:
        return f"there is no file {path}"
    except OSError as fault:
        return f"cannot read {path}: {fault.strerror}"
    return None


def _relay(settings: Settings) -> Iterator[Finding]:
    relay = settings.relay
    if settings.relay_authorities is not None:
        if not isinstance(relay, RelayAddress):
            yield _warning("relay_authorities", "is for a smarthost, and relay names none")
        elif (why := _unreadable(settings.relay_authorities)) is not None:
            yield _error("relay_authorities", why)
    if settings.relay_token is not None:
        if not isinstance(relay, RelayAddress) or relay.username is None:
            yield _error("relay_token", "needs the user in relay: smtp://user@host:587")
        elif relay.password is not None:
            yield _error("relay_token", "relay has a password already; one of them is enough")
        elif (why := _unreadable(settings.relay_token)) is not None:
            yield _error("relay_token", why)
    if isinstance(relay, MailExchangers):
        yield from _mail_exchangers(settings)
    if not isinstance(relay, RelayAddress):
        return
    if relay.username is not None and relay.password is None and settings.relay_token is None:
        yield _error("relay", "has a user without a password; put the whole address into a file named relay in secrets_dir")
    for name, address in _all_listeners(settings):
        near = any(one.loopback for one in relay.addresses)
        if isinstance(address, TcpAddress) and address.port == relay.port and near and (address.loopback or address.everywhere):
            yield _error("relay", f"is this server itself ({name} has {address}): mail would go in circles")


def _mail_exchangers(settings: Settings) -> Iterator[Finding]:
    if "." not in settings.hostname:
        yield _error(
            "relay", f"mx needs a full name in hostname, not {settings.hostname!r}: most servers refuse who greets without a domain"
        )
    if settings.mx.dane and not settings.mx.resolvers:
        yield _error("mx.dane", "needs mx.resolvers: whose word that an answer is signed is to be believed")
    elif settings.mx.dane and (far := [one for one in settings.mx.resolvers if not one.loopback]):
        yield _warning(
            "mx.dane", f"{', '.join(map(str, far))} is asked over the network: who can change its answers on the way can forge signed ones"
        )
    if settings.mx.authorities is not None and (why := _unreadable(settings.mx.authorities)) is not None:
        yield _error("mx.authorities", why)
    if settings.mx.sts and settings.mx.sts_port != 443:
        yield _warning("mx.sts_port", "policies are at port 443 only")
    if settings.mx.port != 25:
        yield _warning("mx.port", "other servers take mail at port 25 only")
    if not any(network.is_loopback for network in settings.mx.refused_networks):
        yield _warning("mx.refused_networks", "a domain may have us talk to this machine itself")


def _names(settings: Settings) -> Iterator[Finding]:
    hostname = settings.hostname
    if not is_host(hostname) or not hostname.isascii():
        yield _error("hostname", f"{hostname!r} is no host name (letters, digits, hyphens and dots)")
    elif "." not in hostname:
        yield _warning("hostname", f"{hostname!r} has no domain; other servers expect a full name such as mail.example.org")
    if 0 < settings.dkim.expires < _SHORTEST_SIGNATURE:
        yield _warning("dkim.expires", "mail that waits for a day on its way would arrive with a signature that has ended")
    sealer = settings.arc.domain
    if sealer and not (is_host(sealer) and sealer.isascii()):
        yield _error("arc.domain", f"{sealer!r} is no domain name (letters, digits, hyphens and dots; others as A-labels)")
    prefix = settings.imap.shared_prefix
    if not prefix.endswith("/") or prefix.startswith("/") or "//" in prefix:
        yield _error("imap.shared_prefix", f'{prefix!r} must be a name that ends with one "/"')
    elif not prefix.isascii() or _UNFIT_IN_A_PREFIX.search(prefix) or "&" in prefix or len(prefix) > 64:
        yield _error("imap.shared_prefix", f'{prefix!r} must be at most 64 plain characters without & % * " \\ ( ) {{')
    elif prefix.split("/")[0].upper() == "INBOX":
        yield _error("imap.shared_prefix", "INBOX is everybody's own")


def _places(settings: Settings) -> Iterator[Finding]:
    data = settings.data
    nearest = next((path for path in (data, *data.parents) if path.exists()), Path("/"))
    if not nearest.is_dir():
        yield _error("data", f"{nearest} is not a directory")
    elif not os.access(nearest, os.W_OK | os.X_OK):
        yield _error("data", f"{nearest} cannot be written by this user")
    elif nearest == data and data.stat().st_mode & stat.S_IRWXO:
        yield _warning("data", f"everybody on this machine can look into {data}; chmod 700 keeps mail and keys private")
    url = settings.store_url
    scheme, separator, place = url.partition("://")
    if not separator or scheme not in ("sqlite", "postgresql"):
        yield _error("store", "must begin with sqlite:/// or postgresql://")
    elif scheme == "postgresql":
        yield from _shared(settings, place)
    elif not place.startswith("/") or place in ("/", "/:memory:"):
        yield _error("store", "must name a file: sqlite:///path/to/procura.db")
    yield from _objects(settings)
    if settings.secrets_dir is not None:
        yield from _secrets(settings.secrets_dir)


def _objects(settings: Settings) -> Iterator[Finding]:
    wanted = settings.objects
    scheme, separator, place = (wanted.url or "").partition("://")
    if wanted.url is None:
        if wanted.credentials is not None or wanted.endpoint is not None:
            yield _warning("objects.url", "is not set, so that no object store is used")
        return
    if not separator or scheme not in ("s3", "gs", "az", "file"):
        yield _error("objects.url", "must begin with s3://, gs://, az:// or file:///")
    elif "@" in place or "?" in place:
        yield _error("objects.url", "must be a bucket and a prefix alone; keys belong into the file objects.credentials")
    elif not place.strip("/") or (scheme == "file" and not place.startswith("/")):
        yield _error("objects.url", "must name a bucket, or after file:// a whole path")
    elif scheme == "file" and settings.data.absolute() in (Path(place), *Path(place).parents):
        yield _error("objects.url", "lies in the directory of data, where messages are files already")
    if wanted.endpoint is not None and (unsafe := _unsafe(wanted.endpoint)) is not None:
        yield _warning("objects.endpoint", unsafe)
    if wanted.credentials is not None:
        unread = _unreadable(wanted.credentials)
        if unread is not None:
            yield _error("objects.credentials", unread)
        elif wanted.credentials.stat().st_mode & stat.S_IRWXO:
            yield _warning(
                "objects.credentials", f"everybody on this machine can read {wanted.credentials}; chmod 600 keeps the keys secret"
            )


def _shared(settings: Settings, place: str) -> Iterator[Finding]:
    """Whether the server answers, and is one on which our promises hold, is asked by who can connect (gateway.cli)."""
    _, slash, database = place.partition("?")[0].rpartition("@")[2].partition("/")
    if not slash or not database:
        yield _error("store", "must name a database: postgresql://user@host/database")
    if "durable=no" in place.partition("?")[2].split("&"):
        yield _warning("store", "durable=no is for tests: mail that was accepted may be lost")
    if not 1 <= settings.policy_max_staleness <= 300:
        yield _error("policy_max_staleness", "must be between 1s and 5m")


def _secrets(directory: Path) -> Iterator[Finding]:
    try:
        files = sorted(entry.name for entry in directory.iterdir() if entry.is_file())
    except OSError as fault:
        yield _error("secrets_dir", f"cannot read {directory}: {fault.strerror}")
        return
    strange = [name for name in files if secret_name(name) not in names()]
    if strange:
        yield _warning("secrets_dir", f"these files in {directory} name no setting: {', '.join(strange[:10])}")


def _numbers(settings: Settings) -> Iterator[Finding]:
    for name, (minimum, source) in _RFC_MINIMUM.items():
        if _number(settings, name) < minimum:
            yield _warning(name, source)
    for smaller, larger, why in _ORDER:
        if _number(settings, smaller) > _number(settings, larger):
            yield _error(smaller, f"is more than {larger}: {why}")
    if any(wait <= 0 for wait in settings.queue.retries):
        yield _error("queue.retries", "each wait must be more than 0 s, or the relay would be asked without pause")
    elif settings.queue.retries[0] > settings.queue.lifetime:
        yield _error("queue.retries", "the first wait is longer than queue.lifetime: nothing would be tried twice")
    if 0 < settings.password.scram_iterations < 4096:
        yield _error("password.scram_iterations", "RFC 7677 section 4 asks for at least 4096; 0 switches SCRAM off")
    if settings.password.memory < settings.password.lanes * (8 << 10):
        yield _error("password.memory", "argon2 needs at least 8 KiB for each of password.lanes")


def _number(settings: Settings, name: str) -> float:
    group, _, inner = name.partition(".")
    return float(getattr(getattr(settings, group), inner))


def _later(settings: Settings) -> Iterator[Finding]:
    """What the settings can say and this version cannot do yet: said, not passed over."""
    if settings.workers > MOST_WORKERS:
        yield _error("workers", f"{settings.workers} are more than one machine is served by: {MOST_WORKERS} at most")
    if settings.listen.admin:
        yield _warning("listen.admin", "this version has no HTTP door; nothing will listen there")
