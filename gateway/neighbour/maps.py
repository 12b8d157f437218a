"""Which maps does a neighbour find here, and what stands in them?"""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from gateway.delivery import Delivery
from gateway.message.canonical import read_address, read_domain
from gateway.neighbour.logins import Logins, TooMany
from gateway.neighbour.socketmap import Lookup, TooLong, found, later, not_found
from gateway.routing import Mailbox, Poster
from policy.delivery import Door
from policy.identity import Address, BadAddress
from policy.reasons import Reason, Refuse
from store import addresses, domains
from store.port import Snapshot, Store

NO_LOGIN: Final = "-"
"""Nobody logs in by that: a login is an address."""
_NOBODY_IN_PARTICULAR: Final = Poster(None, empty_path=False)
_ABSENT: Final = frozenset({Reason.RECIPIENT_UNKNOWN, Reason.RECIPIENT_CLOSED, Reason.RELAY_NOT_PERMITTED})


class Maps:
    """By name: `sender_login`, `mailbox`, `domain`, `alias`. A key that is no address (Postfix also asks for `user` and for
    `@domain`) is not there."""

    def __init__(self, store: Store, delivery: Delivery, logins: Logins) -> None:
        self._store = store
        self._delivery = delivery
        self._logins = logins
        self._maps: Mapping[str, Callable[[str], Awaitable[str | None]]] = MappingProxyType(
            {"sender_login": self.sender_login, "mailbox": self.mailbox, "domain": self.domain, "alias": self.alias}
        )

    async def answer(self, lookup: Lookup) -> bytes:
        """As socketmap has it. Raises StoreError."""
        look_up = self._maps.get(lookup.map)
        if look_up is None:
            return later(f"there is no such map; there are {' '.join(self._maps)}")
        try:
            value = await look_up(lookup.key)
            return not_found() if value is None else found(value)
        except BadAddress:
            return not_found()
        except (TooMany, TooLong):
            return later("more logins than an answer has room for: use check_policy_service instead")

    async def sender_login(self, key: str) -> str | None:
        """smtpd_sender_login_maps: the logins that may use this address as envelope sender; NO_LOGIN where it is somebody's, and nobody
        may: an address without an owner Postfix leaves to strangers. Raises BadAddress, TooMany."""
        address = read_address(key)
        found = await self._logins.of(address)
        if found:
            return ",".join(found)
        async with self._store.snapshot() as snapshot:
            return None if await snapshot.ask(addresses.resolve, address) is None else NO_LOGIN

    async def mailbox(self, key: str) -> str | None:
        """virtual_mailbox_maps, relay_recipient_maps, local_recipient_maps: the primary address of whom LMTP takes mail for; accounts
        in maintenance are there, those that are closed or pending are not. Raises BadAddress."""
        address = read_address(key)
        async with self._store.snapshot() as snapshot:
            return await self._taker(snapshot, address)

    async def _taker(self, snapshot: Snapshot, address: Address) -> str | None:
        route = await self._delivery.routing(snapshot, Door.LMTP, _NOBODY_IN_PARTICULAR).find(address, expand=False)
        verdict = self._delivery.judge(route.account, Door.LMTP, 0) if isinstance(route, Mailbox) else route
        # Who may post to a list is asked when it is known who posts; a mailbox that is full is there.
        if isinstance(verdict, Refuse) and verdict.reason in _ABSENT:
            return None
        return str(route.account.address if isinstance(route, Mailbox) else address)

    async def domain(self, key: str) -> str | None:
        """virtual_mailbox_domains, relay_domains: the domain, if it is one of ours, an alias domain among them. Raises BadAddress."""
        name = read_domain(key)
        async with self._store.snapshot() as snapshot:
            return None if await snapshot.ask(domains.serving, name) is None else name

    async def alias(self, key: str) -> str | None:
        """virtual_alias_maps: the primary address of an alias; nothing for a primary address. Tags are left to Postfix, which asks
        again without. Lists are no aliases: whom they reach is for us to say, over LMTP. Raises BadAddress."""
        address = read_address(key)
        async with self._store.snapshot() as snapshot:
            lead = await snapshot.ask(addresses.resolve, address)
        return None if lead is None or lead.tag_cut or lead.address == address.folded() else str(lead.address)
