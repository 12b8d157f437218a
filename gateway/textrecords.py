"""TXT records: where keys and policies are published (RFC 1035 section 3.3.14)."""

import asyncio
from collections.abc import Sequence
from typing import Final

import dns.asyncresolver
import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.resolver

LIFETIME: Final = 5.0
"""Seconds for one question, all servers and repetitions included."""
AT_ONCE: Final = 200
"""Questions under way, a socket each; who mails names that never answer keeps others from theirs for no longer than LIFETIME."""
CACHED: Final = 5_000
MOST: Final = 20
"""Records taken of one name."""


class NoAnswer(Exception):
    """The DNS has none now; asking again may help."""


class TextRecords:
    """Asks by DNS. `resolvers`: (address, port); none: as the system has them. `cached`: answers are kept for as long as they say."""

    def __init__(self, resolvers: Sequence[tuple[str, int]] = (), *, cached: bool = True) -> None:
        self._resolvers = resolvers
        self._cached = cached
        self._resolver: dns.asyncresolver.Resolver | None = None
        self._room = asyncio.Semaphore(AT_ONCE)

    async def of(self, name: str) -> list[bytes]:
        """The text of each record, its strings joined; [] where there is none, for certain. `name`: A-labels. Raises NoAnswer."""
        try:
            asked = dns.name.from_text(name.rstrip(".") + ".")
            async with self._room:
                answer = await self._now().resolve(asked, dns.rdatatype.TXT, raise_on_no_answer=False, search=False, lifetime=LIFETIME)
        except (dns.resolver.NXDOMAIN, dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, UnicodeError):
            return []
        except (dns.exception.DNSException, OSError, EOFError, ValueError) as fault:
            raise NoAnswer(f"the DNS has no answer for {name} ({type(fault).__name__})") from None
        records = [] if answer.rrset is None else list(answer.rrset)[:MOST]
        return [b"".join(one.strings) for one in records if isinstance(one, dns.rdtypes.ANY.TXT.TXT)]

    def _now(self) -> dns.asyncresolver.Resolver:
        """Made when it is first needed: a machine without a resolver can serve all the same. Raises DNSException."""
        if self._resolver is None:
            resolver = dns.asyncresolver.Resolver(configure=not self._resolvers)
            if self._resolvers:
                resolver.nameservers = [dns.nameserver.Do53Nameserver(address, port) for address, port in self._resolvers]
            if self._cached:
                resolver.cache = dns.resolver.LRUCache(CACHED)
            resolver.timeout = 3.0
            self._resolver = resolver
        return self._resolver
