"""Which servers take mail for a domain, and how sure must we be of them? MX records or the domain itself (RFC 5321 section 5, RFC 7505),
with what DANE (RFC 7672) and MTA-STS (RFC 8461) ask for."""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from gateway.dane import Tlsa, usable
from gateway.peers import Peer, Tls
from gateway.policies import Policies
from gateway.resolver import Absent, Addresses, Resolver, Silent, is_within
from gateway.sts import Mode, Policy

log = logging.getLogger(__name__)

MOST_HOSTS: Final = 10
"""MX records looked at, those with the best preference; real domains have up to six."""
MOST_ADDRESSES: Final = 10


@dataclass(frozen=True, slots=True)
class ExchangerRules:
    """`hostname`: ours, found among the MX records it means a loop. `refused`: networks in which no mail exchanger is (this machine,
    above all). `tls`: where nothing more is asked for. `dane`: TLSA records count. `port`: 25 unless in tests."""

    hostname: str
    refused: Sequence[IPv4Network | IPv6Network]
    tls: Tls = Tls.IF_OFFERED
    dane: bool = False
    port: int = 25


class NoRoute(Exception):
    """There is nobody to hand it to. `reply` begins with an enhanced status code; `final`: asking again will not change it."""

    def __init__(self, reply: str, *, final: bool) -> None:
        super().__init__(reply)
        self.reply = reply
        self.final = final


class Exchangers:
    """Asks by DNS. `policies`: those of MTA-STS; None: nobody's are looked at."""

    def __init__(self, resolver: Resolver, rules: ExchangerRules, policies: Policies | None = None) -> None:
        self._resolver = resolver
        self._rules = rules
        self._policies = policies

    async def peers(self, domain: str) -> list[Peer]:
        """The servers in the order in which they are to be tried, never none. `domain`: A-labels. Raises NoRoute."""
        hosts, secure = await self._hosts(domain)
        policy = None if self._policies is None else await self._policies.of(domain)
        found: list[Peer] = []
        missing = 0
        doubtful = ""
        for host in hosts:
            try:
                found += await self._peers_at(host, domain, policy, secure=secure)
            except NoRoute as fault:
                missing += fault.final
                doubtful = doubtful or ("" if fault.final else fault.reply)
            if len(found) >= MOST_ADDRESSES:
                break
        if found:
            return found[:MOST_ADDRESSES]
        if missing == len(hosts):
            raise NoRoute(f"5.4.4 none of the servers for {domain} has an address", final=True)
        raise NoRoute(doubtful or f"5.4.6 the servers for {domain} have no addresses but ours", final=not doubtful)

    async def _hosts(self, domain: str) -> tuple[list[str], bool]:
        """And whether that is signed. Raises NoRoute. Names of equal preference are mixed, so that they share the load."""
        try:
            answer = await self._resolver.exchangers(domain)
        except ValueError as fault:
            raise NoRoute(f"5.1.2 {fault}", final=True) from None
        except Absent as fault:
            raise NoRoute(f"5.1.2 {fault}", final=True) from None
        except Silent as fault:
            raise NoRoute(f"4.4.3 {fault}", final=False) from None
        records = [*answer.records]
        if not records:
            return [domain.rstrip(".").lower()], answer.secure  # RFC 5321 section 5.1: the domain itself, as if it had preference 0
        if any(not host for _, host in records):
            # RFC 7505: alone it says that the domain takes no mail; beside others it says nothing.
            records = [one for one in records if one[1]]
            if not records:
                raise NoRoute(f"5.1.10 {domain} takes no mail (null MX)", final=True)
        us = self._rules.hostname.rstrip(".").lower()
        ours = [preference for preference, host in records if host == us]
        if ours:
            # RFC 5321 section 5.1: only who stands before us is nearer to where it goes.
            records = [one for one in records if one[0] < min(ours)]
            if not records:
                raise NoRoute(f"5.4.6 this server is the best exchanger for {domain}, and does not have it", final=True)
        records = random.sample(records, len(records))
        return [host for _, host in sorted(records, key=lambda one: one[0])[:MOST_HOSTS]], answer.secure

    async def _peers_at(self, host: str, domain: str, policy: Policy | None, *, secure: bool) -> list[Peer]:
        """One server by each of its addresses. Raises NoRoute: final where there is no address for certain."""
        try:
            there = await self._resolver.addresses(host)
            if not there.addresses:
                raise NoRoute(f"5.4.4 {host} has no address", final=True)
            base, records = await self._certificates(host, there) if secure and self._rules.dane else (host, ())
        except (Absent, ValueError) as fault:
            raise NoRoute(f"5.4.4 {fault}", final=True) from None
        except Silent as fault:
            # Of certificates too: whoever keeps us from asking for them must not get the mail for it (RFC 7672 section 2.1.2).
            raise NoRoute(f"4.4.3 {fault}", final=False) from None
        peer = self._bound(Peer(host, "", self._rules.port, self._rules.tls), base, records, domain, policy)
        return [replace(peer, address=one) for one in there.addresses if not is_within(one, self._rules.refused)]

    async def _certificates(self, host: str, there: Addresses) -> tuple[str, tuple[Tlsa, ...]]:
        """The TLSA base domain and its records, () where none are signed (RFC 7672 sections 2.2.2 and 2.2.3). Raises Silent, ValueError."""
        if there.secure:
            bases = list(dict.fromkeys((there.name, host)))
        elif there.name != host and await self._is_secure_alias(host):
            bases = [host]
        else:
            bases = []
        for base in bases:
            try:
                answer = await self._resolver.certificates(f"_{self._rules.port}._tcp.{base}")
            except Absent:
                continue
            if answer.secure and answer.records:
                return base, answer.records
        return host, ()

    async def _is_secure_alias(self, host: str) -> bool:
        try:
            return await self._resolver.is_secure_alias(host)
        except Absent:
            return False

    def _bound(self, peer: Peer, base: str, records: Sequence[Tlsa], domain: str, policy: Policy | None) -> Peer:
        """With what has to be shown there. DANE comes before MTA-STS, which must not make good what DANE calls bad (RFC 8461 section
        2). Raises NoRoute."""
        taken = usable(records)
        if taken:
            return replace(peer, host=base, tls=Tls.DANE, tlsa=taken, names=(base, domain))
        if records:
            peer = replace(peer, tls=Tls.REQUIRED)  # RFC 7672 section 2.2: TLS there is, though nothing tells whose
        if policy is None:
            return peer
        if not policy.names(peer.host):
            words = f"{peer.host} is not among the servers that the policy of {domain} names (MTA-STS)"
            if policy.mode is Mode.ENFORCE:
                raise NoRoute(f"4.7.5 {words}", final=False)
            log.warning("sts", extra={"fields": {"outcome": "would not be handed on, were the policy enforced", "reason": words}})
            return peer
        return replace(peer, tls=Tls.VERIFIED, otherwise=peer.tls if policy.mode is Mode.TESTING else None)
