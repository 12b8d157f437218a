"""Which keys has the issuer now? Fetched when they are needed, kept through an outage, asked for anew at most so often."""

import asyncio
import contextlib
import json
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import IO, Any, Final
from urllib.parse import urlsplit

from gateway.refusal import Refused
from gateway.tokens import BadKeys, Bearer, Header, Key, TokenRules, Untrusted, header, read, read_keys, suitable
from policy.reasons import Defer, Reason

log = logging.getLogger(__name__)

WELL_KNOWN: Final = "/.well-known/openid-configuration"
LARGEST: Final = 256 << 10
"""Octets of a document of the issuer's; those of large ones have about ten thousand."""
SILENCE: Final = 5.0
"""Seconds in which the issuer has to say something more."""
PATIENCE: Final = 10.0
"""Seconds for a whole document."""


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


class Unreachable(Exception):
    """The issuer could not be asked, or what it said makes no sense."""


Fetch = Callable[[str], bytes]


class Issuer:
    """Tells whose a token is. `fetch` gets a document, in a thread; raises Unreachable. `now`: microseconds since 1970 UTC."""

    def __init__(
        self,
        tokens: TokenRules,
        rules: IssuerRules,
        fetch: "Fetch | None" = None,
        *,
        now: Callable[[], int] = lambda: time.time_ns() // 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tokens = tokens
        self._rules = rules
        self._fetch = fetch or fetched
        self._now = now
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
        """Raises Untrusted, and Refused (BUSY) while the issuer's keys cannot be had."""
        wanted = header(token, self._tokens)
        return read(token, await self._suitable(wanted), self._tokens, self._now())

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
            keys = await _in_a_thread(self._get)
        except (Unreachable, BadKeys) as fault:
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
            raise Unreachable("its configuration has no issuer and jwks_uri") from None
        if issuer != self._tokens.issuer:
            raise Unreachable("its configuration is of another issuer")
        if not isinstance(url, str) or not is_safe(url):
            raise Unreachable("its configuration has a jwks_uri without https")
        return url


async def _in_a_thread(get: Callable[[], Sequence[Key]]) -> Sequence[Key]:
    """Raises what it raises. A daemon, unlike those of a pool: a server that stops does not wait for a name server."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Sequence[Key]] = loop.create_future()

    def done(keys: Sequence[Key] | None, fault: Exception | None) -> None:
        if found.done():
            return
        if fault is not None:
            found.set_exception(fault)
        else:
            found.set_result(keys or ())

    def work() -> None:
        keys, fault = None, None
        try:
            keys = get()
        except Exception as raised:
            fault = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(done, keys, fault)

    threading.Thread(target=work, name="issuer", daemon=True).start()
    return await found


def configuration_url(issuer: str) -> str:
    """OpenID Connect Discovery section 4."""
    return issuer.rstrip("/") + WELL_KNOWN


def is_safe(url: str) -> bool:
    """May keys come from there? Over https, or from this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1")))


class _Stay(urllib.request.HTTPRedirectHandler):
    """No redirection: an answer from elsewhere is not the issuer's."""

    def redirect_request(self, req: Any, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str) -> None:
        return None


def fetched(url: str) -> bytes:
    """A document, waited for in the caller's thread. No proxy: none is configured. Raises Unreachable."""
    if not is_safe(url):
        raise Unreachable("only https is asked")
    # PERF: one request an hour; a client library with a pool would be more to keep up than it saves.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay)
    wanted = urllib.request.Request(url, headers={"Accept": "application/json", "User-Agent": "procura"})  # noqa: S310 — is_safe
    end = time.monotonic() + PATIENCE
    octets = bytearray()
    try:
        with contextlib.closing(opener.open(wanted, timeout=SILENCE)) as response:
            while piece := response.read1(65_536):
                octets += piece
                if len(octets) > LARGEST:
                    raise Unreachable("its answer is too long")
                if time.monotonic() > end:
                    raise Unreachable("its answer takes too long")
    except urllib.error.HTTPError as fault:
        fault.close()
        raise Unreachable(f"it answers {fault.code}") from None
    except (OSError, HTTPException, ValueError) as fault:
        raise Unreachable(f"{type(fault).__name__}: {fault}") from None
    return bytes(octets)
