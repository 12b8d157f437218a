"""What does the DNS say? Exchangers, addresses, texts and certificates, and whether a resolver that validates stands for it."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final, Generic, TypeVar

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.resolver

from gateway.dane import Tlsa

T = TypeVar("T")

LIFETIME: Final = 20.0
CACHED: Final = 5_000
DATAGRAM: Final = 1232
"""Octets of an answer over UDP, so that no fragment is needed on the way."""


class Absent(Exception):
    """The name does not exist."""


class Silent(Exception):
    """Nobody has an answer (no server, SERVFAIL, bad signatures, nonsense): asking later may help. The words say so."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """`name`: whose the records are, after aliases, in lower case without the final dot. `secure`: the resolver has checked the
    signatures of all of it, aliases included; never where we do not ask one that is known to."""

    records: tuple[T, ...]
    name: str
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Addresses:
    """IPv6 first, equals in an order of chance. `doubt`: what could not be asked, where the other kind was answered."""

    addresses: tuple[str, ...]
    name: str
    secure: bool
    doubt: str = ""


class Resolver:
    """`servers`: (address, port), none: as the system has them. `validates`: they check signatures, and the way to them is safe, so
    that their AD bit is believed (RFC 4035 section 4.9.3). `cached`: answers are kept for as long as they say themselves. `lifetime`:
    seconds for one question, all servers and repetitions included."""

    def __init__(
        self, servers: Sequence[tuple[str, int]], *, validates: bool = False, cached: bool = True, lifetime: float | None = None
    ) -> None:
        self._servers = servers
        self._validates = validates
        self._cached = cached
        self._lifetime = LIFETIME if lifetime is None else lifetime
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def exchangers(self, domain: str) -> Answer[tuple[int, str]]:
        """(preference, host); the root is "". Raises Absent, Silent, ValueError (no name)."""
        answer = await self._ask(domain, dns.rdatatype.MX)
        records = [(one.preference, _spelled(one.exchange)) for one in answer.records if isinstance(one, dns.rdtypes.ANY.MX.MX)]
        return Answer(tuple(records), answer.name, answer.secure)

    async def addresses(self, host: str) -> Addresses:
        """Both kinds. Raises Absent, Silent (nothing was answered by either, or one of them and none by the other), ValueError."""
        asked = await asyncio.gather(self._ask(host, dns.rdatatype.AAAA), self._ask(host, dns.rdatatype.A), return_exceptions=True)
        found: list[str] = []
        secure, name, doubt, absent = True, host, "", False
        for one in asked:
            if isinstance(one, Silent):
                doubt = str(one)
            elif isinstance(one, Absent):
                absent = True
            elif isinstance(one, BaseException):
                raise one
            else:
                found += random.sample([rdata.to_text() for rdata in one.records], len(one.records))
                name, secure = one.name, secure and one.secure
        if not found:
            if doubt:
                raise Silent(doubt)
            if absent:
                raise Absent(host)
        return Addresses(tuple(found), name, secure and bool(found), doubt)

    async def texts(self, name: str) -> tuple[bytes, ...]:
        """TXT, each record's strings joined. Raises Absent, Silent, ValueError."""
        answer = await self._ask(name, dns.rdatatype.TXT)
        return tuple(b"".join(one.strings) for one in answer.records if isinstance(one, dns.rdtypes.ANY.TXT.TXT))

    async def certificates(self, name: str) -> Answer[Tlsa]:
        """TLSA. Raises Absent, Silent, ValueError."""
        answer = await self._ask(name, dns.rdatatype.TLSA)
        records = [
            Tlsa(one.usage, one.selector, one.mtype, one.cert) for one in answer.records if isinstance(one, dns.rdtypes.ANY.TLSA.TLSA)
        ]
        return Answer(tuple(records), answer.name, answer.secure)

    async def is_secure_alias(self, name: str) -> bool:
        """Is there a signed CNAME at this name itself, wherever it leads? Raises Absent, Silent, ValueError."""
        answer = await self._ask(name, dns.rdatatype.CNAME)
        return answer.secure and bool(answer.records)

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> Answer[dns.rdata.Rdata]:
        try:
            spelled = dns.name.from_text(name.rstrip(".") + ".")
        except (dns.exception.DNSException, UnicodeError):
            raise ValueError(f"{name} is no name in the DNS") from None
        try:
            answer = await self._resolver_now().resolve(spelled, kind, raise_on_no_answer=False, search=False, lifetime=self._lifetime)
        except dns.resolver.NXDOMAIN:
            raise Absent(f"{name} does not exist") from None
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as fault:
            raise Silent(f"the DNS has no answer for {name} ({type(fault).__name__})") from None
        secure = self._validates and bool(answer.response.flags & dns.flags.AD)
        return Answer(() if answer.rrset is None else tuple(answer.rrset), _spelled(answer.canonical_name), secure)

    def _resolver_now(self) -> dns.asyncresolver.Resolver:
        """Made when it is first needed: a machine without a resolver can serve all the same. Raises DNSException."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._servers)
            if self._servers:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in self._servers]
            if self._cached:
                resolver.cache = dns.resolver.LRUCache(CACHED)
            resolver.timeout = 3.0
            if self._validates:
                # DO asks for signatures; some resolvers say AD only to those who do (RFC 6840 section 5.7).
                resolver.use_edns(0, dns.flags.DO, DATAGRAM)
                resolver.set_flags(dns.flags.RD | dns.flags.AD)
            self._resolver = resolver
        return self._resolver


def is_within(address: str, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Is this IP address in one of them? One that is mapped into IPv6 counts as the IPv4 address it is."""
    ip = ip_address(address)
    mapped = getattr(ip, "ipv4_mapped", None)
    ip = ip if mapped is None else mapped
    return any(ip.version == network.version and ip in network for network in networks)


def _spelled(name: dns.name.Name) -> str:
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()
