"""Which keys has the issuer now? Fetched when they are needed, kept through an outage, asked for anew at most so often."""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.clock import STEP
from gateway.documents import Unavailable, fetched, in_a_thread, is_safe
from gateway.refusal import Refused
from gateway.tokens import BadKeys, Bearer, Header, Key, TokenRules, Untrusted, header, read, read_keys, suitable
from policy.reasons import Defer, Reason

log = logging.getLogger(__name__)

WELL_KNOWN: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class IssuerRules:
    """Where the keys are: `jwks_url` "": as the issuer's configuration says (OpenID Connect Discovery section 4).

    Seconds: `lifetime`, after which keys are asked for anew in passing; `refresh`, the least time between two questions; `outage`,
    for how long keys are used that cannot be asked for anew.
    """

    jwks_url: str = ""
    lifetime: float = 3600
    refresh: float = 60
    outage: float = 86_400


Fetch = Callable[[str], bytes]


class Issuer:
    """Tells whose a token is. `fetch` gets a document, in a thread; raises Unavailable. `now`, and `machine`, which may have been set back
    behind it: microseconds since 1970 UTC."""

    def __init__(
        self,
        tokens: TokenRules,
        rules: IssuerRules,
        fetch: "Fetch | None" = None,
        *,
        now: Callable[[], int] = lambda: time.time_ns() // 1000,
        machine: Callable[[], int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._rules = rules
        self._fetch = fetch or _octets
        self._now = now
        self._machine = machine or now
        self._clock = clock
        self._keys: Sequence[Key] = ()
        self._fetched_at = 0.0
        self._asked_at: float | None = None
        self._failed = False
        self._asking: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def configuration_url(self) -> str:
        """Where clients learn how to get a token."""
        return configuration_url(self._tokens.issuer)

    @property
    def scope(self) -> str:
        """What a token has to be good for; may be empty."""
        return self._tokens.scope

    async def bearer(self, token: str) -> Bearer:
        """Raises Untrusted, and Refused (BUSY) while the issuer's keys cannot be had, or it cannot be told whether the token has ended.

        Behind a clock that was set back a token has ended by the time that goes on: one of last year would live again otherwise. If it is
        that time which is wrong every token has, so whoever shows one that is good by the clock is put off, and not taken for a guesser.
        """
        wanted = header(token, self._tokens)
        keys, now = await self._suitable(wanted), self._now()
        try:
            return read(token, keys, self._tokens, now)
        except Untrusted:
            machine = self._machine()
            if machine >= now - STEP:
                raise
            read(token, keys, self._tokens, machine)
            raise Refused(Defer(Reason.BUSY, "the clock is behind the time that was known here: procura clock")) from None

    def close(self) -> None:
        """Nobody waits any more."""
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()

    async def _suitable(self, wanted: Header) -> Sequence[Key]:
        self._forget_old_keys()
        found = suitable(self._keys, wanted)
        if found:
            if self._clock() - self._fetched_at > self._rules.lifetime:
                self._ask()  # the answer is for those who come after
            return found
        asking = self._ask()
        if asking is not None:
            await asyncio.shield(asking)
            found = suitable(self._keys, wanted)
        if not found:
            if self._failed or not self._keys:
                raise Refused(Defer(Reason.BUSY, "the issuer of tokens cannot be asked"))
            raise Untrusted("the issuer has no such key")
        return found

    def _forget_old_keys(self) -> None:
        if self._keys and self._clock() - self._fetched_at > self._rules.lifetime + self._rules.outage:
            self._keys = ()

    def _ask(self) -> "asyncio.Task[None] | None":
        """The question that is under way, or a new one; None: it was asked a moment ago, or the server stops."""
        if self._asking is not None or self._closed:
            return self._asking
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < self._rules.refresh:
            return None
        self._asked_at = now
        self._asking = asyncio.get_running_loop().create_task(self._renew())
        return self._asking

    async def _renew(self) -> None:
        try:
            keys = await in_a_thread(self._get, "issuer")
        except (Unavailable, BadKeys) as fault:
            self._failed = True
            log.warning("issuer", extra={"fields": {"outcome": "the keys were not renewed", "reason": str(fault)}})
        else:
            self._keys, self._fetched_at, self._failed = keys, self._clock(), False
            log.info("issuer", extra={"fields": {"outcome": f"{len(keys)} keys"}})
        finally:
            self._asking = None

    def _get(self) -> Sequence[Key]:
        url = self._rules.jwks_url or self._discovered()
        return read_keys(self._fetch(url))

    def _discovered(self) -> str:
        """OpenID Connect Discovery sections 4.1 and 4.3: the document names the issuer exactly as we do, or it is another's."""
        try:
            document = json.loads(self._fetch(self.configuration_url))
            issuer, url = document["issuer"], document["jwks_uri"]
        except (ValueError, TypeError, KeyError, RecursionError):
            raise Unavailable("its configuration has no issuer and jwks_uri") from None
        if issuer != self._tokens.issuer:
            raise Unavailable("its configuration is of another issuer")
        if not isinstance(url, str) or not is_safe(url):
            raise Unavailable("its configuration has a jwks_uri without https")
        return url


def configuration_url(issuer: str) -> str:
    """OpenID Connect Discovery section 4."""
    return issuer.rstrip("/") + WELL_KNOWN


def _octets(url: str) -> bytes:
    # PERF: one request an hour; a client library with a pool would be more to keep up than it saves.
    return fetched(url).octets
