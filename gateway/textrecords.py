"""TXT records: where keys and policies are published (RFC 1035 section 3.3.14)."""

import asyncio
from collections.abc import Sequence
from typing import Final

from gateway.resolver import Absent, Resolver

LIFETIME: Final = 5.0
"""Seconds for one question, all servers and repetitions included."""
AT_ONCE: Final = 200
"""Questions under way, a socket each; who mails names that never answer keeps others from theirs for no longer than LIFETIME."""
MOST: Final = 20
"""Records taken of one name."""


class TextRecords:
    """Asks by DNS. `resolvers`: (address, port); none: as the system has them. `cached`: answers are kept for as long as they say."""

    def __init__(self, resolvers: Sequence[tuple[str, int]] = (), *, cached: bool = True) -> None:
        self._resolver = Resolver(resolvers, cached=cached, lifetime=LIFETIME)
        self._room = asyncio.Semaphore(AT_ONCE)

    async def of(self, name: str) -> list[bytes]:
        """The text of each record, its strings joined; [] where there is none, for certain. `name`: A-labels. Raises Silent."""
        try:
            async with self._room:
                return list(await self._resolver.texts(name))[:MOST]
        except (Absent, ValueError):
            return []
