"""Where does mail for this address go: into a mailbox, onto the queue, to a list's members or owners, or nowhere?"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.grant_use import stood_on
from gateway.sending import may_send
from policy.delivery import POSTMASTER, Door
from policy.grants import SendRight, Standing
from policy.identity import AccountId, Address, ListId
from policy.reasons import Defer, Reason, Refuse
from store import accounts, addresses, domains, grants, lists
from store.model import AccountRow
from store.port import Snapshot
from store.tenure import Used

OWNER_SUFFIXES = ("-bounces", "-owner", "-request")
"""Addresses that every list has besides its own; what arrives there is for its owners (RFC 2142 section 6)."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A local account; its row carries status, quota and what is used of it."""

    account: AccountRow


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Not ours: for the next hop."""

    address: Address


@dataclass(frozen=True, slots=True)
class Posting:
    """To every member of the list but those of `refused` nested lists, whose restrictions the poster does not meet.

    `lost`: members in a domain of ours whose address is nobody's any more.
    """

    list: ListId
    address: Address
    refused: tuple[Address, ...]
    members: tuple[AccountRow, ...]
    externals: tuple[Address, ...]
    lost: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class ToOwners:
    """Bounces and requests of a list, and what is for the postmaster."""

    address: Address
    owners: tuple[AccountRow, ...]


Route = Mailbox | Elsewhere | Posting | ToOwners


@dataclass(frozen=True, slots=True)
class Poster:
    """Who sends, as far as lists may ask. `standing` None: nobody who logged in; then `known_as`, where the neighbour is trusted, is
    the address of the account that counts, and who has neither satisfies no grant.

    `empty_path`: the envelope sender is `<>`.
    """

    standing: Standing | None
    empty_path: bool
    known_as: Address | None = None


@dataclass(slots=True)
class Routing:
    """Finds routes in one snapshot and remembers what they rest on, for the witness: `scopes` and `valid_until`;
    `used`: the grants that let it be posted."""

    snapshot: Snapshot
    door: Door
    poster: Poster
    relays: bool
    hostname: str = ""
    scopes: set[int] = field(default_factory=set)
    valid_until: int | None = None
    used: list[Used] = field(default_factory=list)

    async def find(self, recipient: Address, *, expand: bool) -> Route | Refuse | Defer:
        """`expand` False (at RCPT): a list's members are not looked up yet."""
        found = await self.snapshot.ask(addresses.resolve, recipient)
        if found is None:
            return await self._unknown(recipient, expand)
        self.scopes.add(found.id)
        if found.kind is addresses.ObjectKind.ACCOUNT:
            row = await self.snapshot.ask(accounts.by_id, AccountId(found.id))
            return Refuse(Reason.RECIPIENT_UNKNOWN) if row is None else Mailbox(row)
        if self.poster.empty_path:
            return await self._owners(ListId(found.id), found.address)
        return await self._posting(ListId(found.id), found.address, expand)

    async def _unknown(self, recipient: Address, expand: bool) -> Route | Refuse:
        served = await self.snapshot.ask(domains.serving, recipient.domain) is not None
        if recipient.local.lower() == POSTMASTER and (served or recipient.domain == self.hostname.lower()):
            return await self._postmaster(recipient, expand)
        if not served:
            if self.relays and self.door in (Door.SUBMISSION, Door.QUEUE):
                return Elsewhere(recipient)
            return Refuse(Reason.RELAY_NOT_PERMITTED)
        for suffix in OWNER_SUFFIXES:
            local = recipient.local.lower()
            if local.endswith(suffix) and len(local) > len(suffix):
                found = await self.snapshot.ask(addresses.resolve, Address(recipient.local[: -len(suffix)], recipient.domain))
                if found is not None and found.kind is addresses.ObjectKind.LIST:
                    self.scopes.add(found.id)
                    return await self._owners(ListId(found.id), found.address)
        return Refuse(Reason.RECIPIENT_UNKNOWN)

    async def _postmaster(self, recipient: Address, expand: bool) -> ToOwners | Refuse:
        """Every domain has one (RFC 5321 section 4.5.1), and so has this server: where the address was given to nobody, those who
        administer the server are meant."""
        if not expand:
            return ToOwners(recipient, ())
        there = await self._rows(await self.snapshot.work(accounts.global_administrators))
        return ToOwners(recipient, tuple(there)) if there else Refuse(Reason.RECIPIENT_UNKNOWN)

    async def _owners(self, group: ListId, address: Address) -> ToOwners | Refuse:
        row = await self.snapshot.ask(lists.by_id, group)
        owners = () if row is None else tuple(await self._rows(row.owners))
        return ToOwners(address, owners) if owners else Refuse(Reason.RECIPIENT_UNKNOWN)

    async def _posting(self, group: ListId, address: Address, expand: bool) -> Posting | Refuse:
        if not await self._may_post(group):
            return Refuse(Reason.POSTING_NOT_PERMITTED, str(address))
        if not expand:
            return Posting(group, address, (), (), ())
        refused: dict[ListId, Address] = {}
        for inner in await self.snapshot.work(lists.nested, group):
            self.scopes.add(inner)
            if inner != group and not await self._may_post(inner):
                row = await self.snapshot.ask(lists.by_id, inner)
                if row is not None:
                    refused[inner] = row.address
        recipients = await self.snapshot.work(lists.expand, group, tuple(refused))
        members = await self._rows([one.account for one in recipients if one.account is not None])
        externals: list[Address] = []
        lost: list[Address] = []
        for one in recipients:
            if one.account is None:
                ours = await self.snapshot.ask(domains.serving, one.address.domain) is not None
                (lost if ours else externals).append(one.address)
        return Posting(group, address, tuple(refused.values()), tuple(members), tuple(externals), tuple(lost))

    async def _may_post(self, group: ListId) -> bool:
        standing = await self._standing()
        if standing is None:
            return not await self.snapshot.ask(grants.send_grants_on, group, SendRight.SEND_TO_LIST)
        decision = await may_send(self.snapshot, standing, group, SendRight.SEND_TO_LIST)
        if decision.valid_until is not None:
            self.valid_until = decision.valid_until if self.valid_until is None else min(self.valid_until, decision.valid_until)
        self.used += stood_on(decision, group)
        return decision.allowed

    async def _standing(self) -> Standing | None:
        """Looked up only where a list asks: most mail goes to people."""
        if self.poster.standing is not None or self.poster.known_as is None:
            return self.poster.standing
        row = await self.snapshot.ask(accounts.by_address, self.poster.known_as)
        if row is None:
            return None
        self.scopes.add(row.id)
        return await self.snapshot.ask(lists.standing, row.id)

    async def _rows(self, some: Iterable[AccountId]) -> list[AccountRow]:
        found = []
        for account in some:
            self.scopes.add(account)
            row = await self.snapshot.ask(accounts.by_id, account)
            if row is not None:
                found.append(row)
        return found


def bounce_address(group: Address) -> Address:
    """The envelope sender of what a list sends on (RFC 5321 section 3.9.2)."""
    return Address(f"{group.local}-bounces", group.domain)
