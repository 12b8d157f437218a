"""How does somebody prove who it is? A SASL mechanism by its name, stepped through with the client and judged by the login service."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Protocol

from gateway.login import Peer, TokenRefused
from gateway.refusal import Refused
from gateway.sasl.bearer import Bearer, Hints
from gateway.sasl.exchange import Cancelled, Challenge, Claim, Claimed, Exchange, KeysWanted, Malformed, Step, Unbound
from gateway.sasl.password import Login as LoginExchange
from gateway.sasl.password import Plain
from gateway.sasl.scram import Scram
from policy.identity import Actor
from policy.reasons import Reason
from store.model import ScramKeys

Ask = Callable[[bytes], Awaitable[bytes]]
"""Sends a challenge and waits for the response, decoded. Raises Cancelled."""


class Login(Protocol):
    """What the mechanisms ask of the login service (gateway/login.py)."""

    @property
    def hints(self) -> Hints:
        """For clients whose token was not taken."""

    async def authenticate(self, claim: Claim, peer: Peer) -> Actor:
        """Raises Refused."""

    async def scram_keys(self, authcid: str, peer: Peer) -> ScramKeys:
        """Raises Refused."""
        ...

    async def distrust(self, peer: Peer, why: str) -> Refused:
        """What is to be raised when an exchange is not bound to its channel."""
        ...


_EXCHANGES: Final[Mapping[str, Callable[[str, Peer, Hints], Exchange]]] = MappingProxyType(
    {
        "SCRAM-SHA-256-PLUS": lambda name, peer, hints: Scram(name, peer.end_point),
        "SCRAM-SHA-256": lambda name, peer, hints: Scram(name, peer.end_point),
        "PLAIN": lambda name, peer, hints: Plain(),
        "LOGIN": lambda name, peer, hints: LoginExchange(),
        "OAUTHBEARER": lambda name, peer, hints: Bearer(name, hints),
        "XOAUTH2": lambda name, peer, hints: Bearer(name, hints),
    }
)
"""All there are, in the order in which they are announced: those that show the password to nobody first."""


def mechanisms(*, scram: bool, bearer: bool) -> tuple[str, ...]:
    """Those that a server with these settings has."""
    kinds = {"SCRAM": scram, "OAUTHBEARER": bearer, "XOAUTH2": bearer}
    return tuple(name for name in _EXCHANGES if kinds.get(name.partition("-")[0], True))


@lru_cache(maxsize=64)  # a connection asks twice, and nearly all have the same certificate
def offered(names: tuple[str, ...], end_point: bytes | None) -> tuple[str, ...]:
    """Those of `names` that work on this channel: what is bound to it needs something to be bound to (RFC 5802 section 6)."""
    return tuple(name for name in names if end_point is not None or not name.endswith("-PLUS"))


async def authenticate(mechanism: str, initial: bytes | None, ask: Ask, login: Login, peer: Peer) -> Actor:
    """The whole exchange. `mechanism`: one of those offered; `initial`: the initial response, None where there was none.

    Raises Malformed, Cancelled, Refused, and what `ask` raises.
    """
    exchange = _EXCHANGES[mechanism](mechanism, peer, login.hints)
    try:
        step = exchange.take(await ask(exchange.prompt) if initial is None else initial)
        while not isinstance(step, Claimed):
            step = await _next(exchange, step, ask, login, peer)
    except Unbound as unbound:
        raise await login.distrust(peer, unbound.message) from None
    try:
        actor = await login.authenticate(step.claim, peer)
    except Refused as refused:
        if step.rejection is not None and refused.verdict.reason is Reason.BAD_CREDENTIALS:
            # RFC 7628 section 3.2.3: what the client says to it, ^A or `*`, changes nothing.
            with contextlib.suppress(Cancelled):
                await ask(step.rejection(refused.status if isinstance(refused, TokenRefused) else TokenRefused.INVALID))
        raise
    if step.welcome is not None and await ask(step.welcome):
        raise Malformed("nothing is left to be said")
    return actor


async def _next(exchange: Exchange, step: Challenge | KeysWanted, ask: Ask, login: Login, peer: Peer) -> Step:
    if isinstance(step, Challenge):
        return exchange.take(await ask(step.octets))
    assert isinstance(exchange, Scram)  # nobody else asks for keys
    return exchange.found(await login.scram_keys(step.authcid, peer))
