"""The MTA-STS policies of the domains that get mail from us: fetched, kept on disk while they are good, asked for anew (RFC 8461)."""

import asyncio
import contextlib
import json
import logging
import os
import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Final

from gateway.documents import Unavailable, fetched, in_a_thread
from gateway.resolver import Absent, Resolver, Silent, is_within
from gateway.sts import LARGEST, BadPolicy, Mode, Policy, read_policy, read_record

log = logging.getLogger(__name__)

WELL_KNOWN: Final = "/.well-known/mta-sts.txt"
PATIENCE: Final = 30.0
"""Seconds for a policy; RFC 8461 section 3.3 suggests a minute at most, and mail waits meanwhile."""
AGAIN: Final = 300.0
"""Seconds until a policy that could not be had is asked for again (section 3.3)."""
REFRESH: Final = 24 * 3600
"""Seconds after which a policy is fetched anew although its id is the same, so that it does not expire (sections 3.3 and 10.2)."""
USED: Final = 30 * 24 * 3600
"""Seconds: where no mail went for so long the policy is left to expire."""
ROUND: Final = 3600.0
MOST_ADDRESSES: Final = 2
"""Addresses of a policy's server that are tried."""
KNOWN: Final = 10_000
"""Domains of which it is remembered that nothing could be had, or when their policy was used."""
IN_MEMORY: Final = 1_000
"""Policies that need not be read again from the disk; one may have 64 KiB."""

_NAME: Final = re.compile(r"[a-z0-9.-]{1,253}")


@dataclass(frozen=True, slots=True)
class PolicyRules:
    """`place`: a directory of ours. `refused`: networks where nobody's policy is (this machine). `authorities`: a PEM file; None:
    those of the system. `port`: 443 unless in tests."""

    place: Path
    refused: Sequence[IPv4Network | IPv6Network] = ()
    authorities: Path | None = None
    port: int = 443


@dataclass(frozen=True, slots=True)
class Kept:
    """As it was fetched; times are seconds since 1970."""

    policy: Policy
    id: str
    fetched: float

    @property
    def expires(self) -> float:
        """After this it is as if it had never been."""
        return self.fetched + self.policy.max_age


class Policies:
    """`run` is a task of the application. `now`: seconds since 1970 UTC."""

    def __init__(self, resolver: Resolver, rules: PolicyRules, *, now: Callable[[], float] = time.time) -> None:
        self._resolver = resolver
        self._rules = rules
        self._now = now
        self._known: dict[str, Kept | None] = {}
        self._failed: dict[str, tuple[str, float]] = {}
        """Domain → the id whose policy could not be had, and until when it is not asked for."""
        self._asking: dict[str, asyncio.Task[Kept | None]] = {}
        self._used: dict[str, float] = {}
        self._mute: dict[str, float] = {}
        """Domain → until when its record is not asked for, for nobody had an answer: each message would wait for that again."""
        self._context: ssl.SSLContext | None = None
        self._closed = False

    async def of(self, domain: str) -> Policy | None:
        """What the domain (A-labels, lower case) asks of us now; None: nothing. Never raises.

        A policy that is kept holds until it expires, whatever happens to its record and its server: who can take those away could
        also read the mail otherwise (section 5.1).
        """
        kept = await self._kept(domain)
        announced = await self._announced(domain)
        if announced is not None and (kept is None or kept.id != announced):
            kept = await self._renewed(domain, announced) or kept
        elif kept is not None and self._now() - kept.fetched > self._refresh(kept):
            self._ask(domain, announced or kept.id)  # the answer is for those who come after
        if kept is not None and self._now() - self._used.get(domain, 0.0) > REFRESH:
            self._used[domain] = self._now()
            _shorten(self._used, KNOWN)
            await in_a_thread(partial(self._touch, domain), "policies")
        return None if kept is None or kept.policy.mode is Mode.NONE else kept.policy

    async def run(self) -> None:
        """Until it is cancelled: what is used and would expire is fetched anew, once a day each; what has expired is put away."""
        while True:
            try:
                await self.round()
            except Exception:
                log.exception("policies round failed")
            await asyncio.sleep(ROUND)

    async def round(self) -> None:
        """One after the other: nobody waits for it."""
        now = self._now()
        for domain, used in await in_a_thread(lambda: [*self._files()], "policies"):
            kept = await self._kept(domain)
            if kept is None:
                with contextlib.suppress(OSError):
                    await in_a_thread(self._path(domain).unlink, "policies")
            elif now - kept.fetched > self._refresh(kept) and now - used < USED:
                await self._renewed(domain, await self._announced(domain) or kept.id)

    def close(self) -> None:
        """Nobody waits any more."""
        self._closed = True
        for task in self._asking.values():
            task.cancel()

    # --- what the domain says

    async def _announced(self, domain: str) -> str | None:
        if self._is_soon(self._mute.get(domain, 0.0)):
            return None
        try:
            return read_record(await self._resolver.texts(f"_mta-sts.{domain}"))
        except Silent:
            self._mute[domain] = self._now() + AGAIN
            _shorten(self._mute, KNOWN)
            return None
        except (Absent, ValueError):
            return None

    def _is_soon(self, until: float) -> bool:
        """Not over yet. What is further away than it can be was dated before the clock was set back."""
        return 0 < until - self._now() <= AGAIN

    async def _renewed(self, domain: str, announced: str) -> Kept | None:
        asking = self._ask(domain, announced)
        return None if asking is None else await asyncio.shield(asking)

    def _ask(self, domain: str, announced: str) -> "asyncio.Task[Kept | None] | None":
        """The question that is under way, or a new one; None: it came to nothing a moment ago."""
        asking = self._asking.get(domain)
        if asking is not None or self._closed:
            return asking
        failed, until = self._failed.get(domain, ("", 0.0))
        if failed == announced and self._is_soon(until):
            return None
        asking = asyncio.get_running_loop().create_task(self._fetch(domain, announced))
        self._asking[domain] = asking
        return asking

    async def _fetch(self, domain: str, announced: str) -> Kept | None:
        try:
            policy = await self._policy(domain)
            kept = Kept(policy, announced, self._now())
            self._failed.pop(domain, None)
            self._remember(domain, kept)
            await in_a_thread(partial(self._write, domain, kept), "policies")
        except (Absent, Silent, Unavailable, BadPolicy, ValueError) as fault:
            self._failed[domain] = (announced, self._now() + AGAIN)
            _shorten(self._failed, KNOWN)
            log.warning("sts", extra={"fields": {"outcome": f"no policy of {domain}", "reason": str(fault)[:300]}})
            return None
        except OSError as fault:
            log.error("sts", extra={"fields": {"outcome": f"the policy of {domain} is not kept on disk", "reason": str(fault)}})
        finally:
            self._asking.pop(domain, None)
        return self._known.get(domain)

    async def _policy(self, domain: str) -> Policy:
        """Raises Absent, Silent, Unavailable, BadPolicy, ValueError."""
        host = f"mta-sts.{domain}"
        found = (await self._resolver.addresses(host)).addresses
        reachable = [one for one in found if not is_within(one, self._rules.refused)][:MOST_ADDRESSES]
        fault = Unavailable(f"{host} has no address that may be asked")
        if self._context is None:
            try:
                self._context = await in_a_thread(partial(_context, self._rules.authorities), "policies")
            except OSError as unread:
                raise Unavailable(f"the authorities cannot be read: {unread}") from None
        url = f"https://{host}{'' if self._rules.port == 443 else f':{self._rules.port}'}{WELL_KNOWN}"
        for address in reachable:
            get = partial(fetched, url, accept="text/plain", address=address, context=self._context, largest=LARGEST, patience=PATIENCE)
            try:
                document = await in_a_thread(get, "policies")
            except Unavailable as raised:
                fault = raised
                continue
            if document.kind != "text/plain":
                raise BadPolicy(f"it is {document.kind or 'of no type'}, not text/plain")
            return read_policy(document.octets)
        raise fault

    # --- what is kept

    def _refresh(self, kept: Kept) -> float:
        return min(REFRESH, kept.policy.max_age / 2)

    async def _kept(self, domain: str) -> Kept | None:
        if domain not in self._known:
            self._remember(domain, await in_a_thread(partial(self._read, domain), "policies"))
        kept = self._known.get(domain)
        if kept is not None and not kept.fetched - REFRESH <= self._now() < kept.expires:
            kept = None
            self._remember(domain, None)
        return kept

    def _remember(self, domain: str, kept: Kept | None) -> None:
        self._known.pop(domain, None)
        self._known[domain] = kept
        _shorten(self._known, IN_MEMORY)

    def _path(self, domain: str) -> Path:
        """Raises ValueError for what is no domain."""
        if _NAME.fullmatch(domain) is None or domain.startswith("."):
            raise ValueError(f"{domain!r} is no domain")
        return self._rules.place / domain

    def _read(self, domain: str) -> Kept | None:
        """In a thread."""
        try:
            return _kept_from(self._path(domain).read_bytes())
        except (OSError, ValueError):
            return None

    def _touch(self, domain: str) -> None:
        """In a thread. The file's time is when mail was last sent there, by the day."""
        with contextlib.suppress(OSError):
            os.utime(self._path(domain), (self._now(), self._now()))

    def _write(self, domain: str, kept: Kept) -> None:
        """In a thread; whole, by rename. Raises OSError, ValueError."""
        path = self._path(domain)
        self._rules.place.mkdir(mode=0o700, exist_ok=True)
        draft = self._rules.place / f".{domain}.new"
        used = path.stat().st_mtime if path.exists() else self._now()
        with open(draft, "wb", opener=partial(os.open, mode=0o600)) as file:
            file.write(_octets_of(kept))
            file.flush()
            os.fsync(file.fileno())
        os.utime(draft, (used, used))
        draft.rename(path)

    def _files(self) -> Iterator[tuple[str, float]]:
        """In a thread."""
        with contextlib.suppress(OSError):
            for entry in self._rules.place.iterdir():
                if not entry.name.startswith(".") and _NAME.fullmatch(entry.name):
                    yield entry.name, entry.stat().st_mtime


def _octets_of(kept: Kept) -> bytes:
    policy = kept.policy
    whole = {
        "id": kept.id,
        "fetched": kept.fetched,
        "mode": policy.mode.value,
        "max_age": policy.max_age,
        "mx": policy.exchangers,
    }
    return json.dumps(whole).encode()


def _kept_from(octets: bytes) -> Kept:
    """Raises ValueError."""
    try:
        whole: dict[str, Any] = json.loads(octets)
        policy = Policy(Mode(whole["mode"]), tuple(map(str, whole["mx"])), int(whole["max_age"]))
        return Kept(policy, str(whole["id"]), float(whole["fetched"]))
    except (KeyError, TypeError, RecursionError):
        raise ValueError("it is no policy that was kept here") from None


def _context(authorities: Path | None) -> ssl.SSLContext:
    """Raises OSError."""
    return ssl.create_default_context(cafile=None if authorities is None else str(authorities))


def _shorten(known: dict[str, Any], most: int) -> None:
    while len(known) > most:
        del known[next(iter(known))]
