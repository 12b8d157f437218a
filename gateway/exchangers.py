"""Which servers take mail for a domain: its MX records, in their order, or the domain itself (RFC 5321 section 5, RFC 7505)."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.resolver

from gateway.outgoing import Peer, Tls

LIFETIME: Final = 20.0
"""Seconds for one question, all servers and repetitions included."""
MOST_HOSTS: Final = 10
"""MX records looked at, those with the best preference; real domains have up to six."""
MOST_ADDRESSES: Final = 10
CACHED: Final = 5_000


@dataclass(frozen=True, slots=True)
class ExchangerRules:
    """`hostname`: ours, found among the MX records it means a loop. `resolvers`: (address, port); none: as the system has them.
    `refused`: networks in which no mail exchanger is (this machine, above all). `port`: 25 unless in tests."""

    hostname: str
    resolvers: Sequence[tuple[str, int]]
    refused: Sequence[IPv4Network | IPv6Network]
    tls: Tls = Tls.IF_OFFERED
    port: int = 25


class NoRoute(Exception):
    """There is nobody to hand it to. `reply` begins with an enhanced status code; `final`: asking again will not change it."""

    def __init__(self, reply: str, *, final: bool) -> None:
        super().__init__(reply)
        self.reply = reply
        self.final = final


class Exchangers:
    """Asks by DNS. Answers are kept for as long as they say themselves."""

    def __init__(self, rules: ExchangerRules) -> None:
        self._rules = rules
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def peers(self, domain: str) -> list[Peer]:
        """The servers in the order in which they are to be tried, never none. `domain`: A-labels. Raises NoRoute."""
        try:
            name = dns.name.from_text(domain.rstrip(".") + ".")
        except (dns.exception.DNSException, UnicodeError):
            raise NoRoute(f"5.1.2 {domain} is no name in the DNS", final=True) from None
        hosts = await self._hosts(name, domain)
        found: list[Peer] = []
        missing = 0
        doubtful = ""
        for host in hosts:
            try:
                addresses = await self._addresses(host)
            except NoRoute as fault:
                missing += fault.final
                doubtful = doubtful or ("" if fault.final else fault.reply)
                continue
            spelled = host.to_text(omit_final_dot=True).lower()
            found += [Peer(spelled, one, self._rules.port, self._rules.tls) for one in addresses if not self._is_refused(one)]
            if len(found) >= MOST_ADDRESSES:
                break
        if found:
            return found[:MOST_ADDRESSES]
        if missing == len(hosts):
            raise NoRoute(f"5.4.4 none of the servers for {domain} has an address", final=True)
        raise NoRoute(doubtful or f"5.4.6 the servers for {domain} have no addresses but ours", final=not doubtful)

    async def _hosts(self, name: dns.name.Name, domain: str) -> list[dns.name.Name]:
        """Raises NoRoute. Names of equal preference are mixed, so that they share the load."""
        answer = await self._ask(name, dns.rdatatype.MX)
        if not answer:
            return [name]  # RFC 5321 section 5.1: the domain itself, as if it had preference 0
        records = [one for one in answer if isinstance(one, dns.rdtypes.ANY.MX.MX)]
        if any(one.exchange == dns.name.root for one in records):
            # RFC 7505: alone it says that the domain takes no mail; beside others it says nothing.
            records = [one for one in records if one.exchange != dns.name.root]
            if not records:
                raise NoRoute(f"5.1.10 {domain} takes no mail (null MX)", final=True)
        us = dns.name.from_text(self._rules.hostname.rstrip(".") + ".")
        ours = [one.preference for one in records if one.exchange == us]
        if ours:
            # RFC 5321 section 5.1: only who stands before us is nearer to where it goes.
            records = [one for one in records if one.preference < min(ours)]
            if not records:
                raise NoRoute(f"5.4.6 this server is the best exchanger for {domain}, and does not have it", final=True)
        records = random.sample(records, len(records))
        return [one.exchange for one in sorted(records, key=lambda one: one.preference)[:MOST_HOSTS]]

    async def _addresses(self, host: dns.name.Name) -> list[str]:
        """IPv6 first where both are there. Raises NoRoute: final where there is no address for certain."""
        asked = await asyncio.gather(self._ask(host, dns.rdatatype.AAAA), self._ask(host, dns.rdatatype.A), return_exceptions=True)
        found: list[str] = []
        doubt: NoRoute | None = None
        for one in asked:
            if isinstance(one, NoRoute):
                doubt = doubt if doubt is not None and not doubt.final else one
            elif isinstance(one, BaseException):
                raise one
            else:
                found += random.sample([rdata.to_text() for rdata in one], len(one))
        if found:
            return found
        raise doubt or NoRoute(f"5.4.4 {host} has no address", final=True)

    async def _ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> list[dns.rdata.Rdata]:
        """No records: []. Raises NoRoute: final where the name does not exist."""
        try:
            answer = await self._resolver_now().resolve(name, kind, raise_on_no_answer=False, search=False, lifetime=LIFETIME)
        except dns.resolver.NXDOMAIN:
            raise NoRoute(f"5.1.2 {name.to_text(omit_final_dot=True)} does not exist", final=True) from None
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as fault:
            words = f"4.4.3 the DNS has no answer for {name.to_text(omit_final_dot=True)} ({type(fault).__name__})"
            raise NoRoute(words, final=False) from None
        return [] if answer.rrset is None else list(answer.rrset)

    def _resolver_now(self) -> dns.asyncresolver.Resolver:
        """Made when it is first needed: a machine without a resolver can serve all the same. Raises DNSException."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._rules.resolvers)
            if self._rules.resolvers:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in self._rules.resolvers]
            resolver.cache = dns.resolver.LRUCache(CACHED)
            resolver.timeout = 3.0
            self._resolver = resolver
        return self._resolver

    def _is_refused(self, address: str) -> bool:
        ip = ip_address(address)
        mapped = getattr(ip, "ipv4_mapped", None)
        ip = ip if mapped is None else mapped
        return any(ip.version == network.version and ip in network for network in self._rules.refused)
