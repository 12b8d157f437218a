"""Where does mail for this address go: into a mailbox, onto the queue, to a list's members or owners, or nowhere?"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

from gateway.grant_use import stood_on
from gateway.known_recipients import KnownRecipients
from gateway.list_addresses import Role, read_role, role_address
from gateway.sending import is_open, may_send
from policy.delivery import POSTMASTER, Door
from policy.grants import SendRight, Standing
from policy.identity import AccountId, Address, ListId
from policy.lists import ListRules, judge_moderation, list_rules
from policy.reasons import Defer, Reason, Refuse
from store import accounts, addresses, domains, lists
from store.model import AccountRow, ListRow
from store.port import Snapshot
from store.tenure import Used


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A local account; its row carries status, quota and what is used of it."""

    account: AccountRow


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Not ours: for the next hop."""

    address: Address


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a list elsewhere. `number`: by which its bounces are known (store.list_bounces); None: it has none."""

    address: Address
    number: int | None


@dataclass(frozen=True, slots=True)
class HeldList:
    """A list whose owners see the post before its members. `entered`: the list it was sent to; `left_out`: the lists that do not get
    it through that one."""

    row: ListRow
    entered: ListId
    left_out: tuple[ListId, ...]


@dataclass(frozen=True, slots=True)
class Posting:
    """To every member of the list but those of `refused` nested lists, whose restrictions the poster does not meet, and those of
    `held` lists (the list itself may be one), which get it when an owner lets it through.

    `lost`: members in a domain of ours whose address is nobody's any more. `nested`: the other lists that it goes to.
    """

    list: ListId
    address: Address
    refused: tuple[Address, ...]
    members: tuple[AccountRow, ...]
    externals: tuple[Member, ...]
    lost: tuple[Member, ...] = ()
    held: tuple[HeldList, ...] = ()
    nested: tuple[Address, ...] = ()
    rules: ListRules = field(default_factory=ListRules)
    has_owners: bool = False


@dataclass(frozen=True, slots=True)
class ToOwners:
    """What is for people who look after a list, and what is for the postmaster."""

    address: Address
    owners: tuple[AccountRow, ...]


@dataclass(frozen=True, slots=True)
class AtList:
    """To one of the addresses at which a list answers by itself (gateway.list_robot)."""

    row: ListRow
    role: Role
    tag: str
    address: Address


Route = Mailbox | Elsewhere | Posting | ToOwners | AtList


@dataclass(frozen=True, slots=True)
class Poster:
    """Who sends, as far as lists may ask. `standing` None: it is not known yet, and looked up where a list asks, of the `account` that
    logged in; else of `known_as`, where the neighbour is trusted, the address of the account that counts. Who has none of them satisfies
    no grant.

    `empty_path`: the envelope sender is `<>`; `envelope`: what it is otherwise, which proves nothing.
    """

    standing: Standing | None
    empty_path: bool
    known_as: Address | None = None
    envelope: Address | None = None
    account: AccountId | None = None


@dataclass(slots=True)
class Routing:
    """Finds routes in one snapshot and remembers what they rest on, for the witness: `scopes` and `valid_until`.

    `been_at`: the marks (addresses and List-Ids, in lower case) of the lists that the message has been at. `approved`: a list whose
    owners have let it through, and `has_it`: through which list others got it already, and what was left out there. `used`: the grants
    that let it be posted. `known`: mailboxes that were found before in the snapshot's store.
    """

    snapshot: Snapshot
    door: Door
    poster: Poster
    relays: bool
    hostname: str = ""
    been_at: Callable[[], Collection[bytes]] = frozenset
    approved: ListId | None = None
    has_it: tuple[ListId, Sequence[ListId]] | None = None
    scopes: set[int] = field(default_factory=set)
    valid_until: int | None = None
    used: list[Used] = field(default_factory=list)
    known: KnownRecipients | None = None

    async def find(self, recipient: Address, *, expand: bool) -> Route | Refuse | Defer:
        """`expand` False (at RCPT): a list's members are not looked up yet."""
        known = None if self.known is None else await self.known.mailbox(self.snapshot, recipient)
        if known is not None:
            self.scopes.add(known.id)
            return Mailbox(known)
        found = await self.snapshot.ask(addresses.resolve, recipient)
        if found is None or found.tag_cut:
            # Where `-` is the delimiter, `team-owner` would be `team` with a tag.
            role = await self._at_list(recipient)
            if role is not None:
                return role
        if found is None:
            return await self._unknown(recipient, expand)
        self.scopes.add(found.id)
        if found.kind is addresses.ObjectKind.ACCOUNT:
            row = await self.snapshot.ask(accounts.by_id, AccountId(found.id))
            if row is None:
                return Refuse(Reason.RECIPIENT_UNKNOWN)
            if self.known is not None and not found.tag_cut:
                await self.known.keep(self.snapshot, recipient, row)
            return Mailbox(row)
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
        return Refuse(Reason.RECIPIENT_UNKNOWN)

    async def _at_list(self, recipient: Address) -> Route | Refuse | None:
        """None: it is no list's."""
        read = read_role(recipient)
        if read is None:
            return None
        address, role, tag = read
        found = await self.snapshot.ask(addresses.resolve, address)
        if found is None or found.kind is not addresses.ObjectKind.LIST:
            return None
        self.scopes.add(found.id)
        row = await self.snapshot.ask(lists.by_id, ListId(found.id))
        if row is None:
            return None
        if role in (Role.CONFIRM, Role.MODERATE):
            # Nobody writes there with an empty envelope sender but machines, which decide nothing.
            return Refuse(Reason.RECIPIENT_UNKNOWN) if self.poster.empty_path else AtList(row, role, tag, found.address)
        if role is Role.OWNER or (self.poster.empty_path and not tag) or (role is Role.BOUNCES and not tag):
            return await self._owners(row.id, row.address)
        return AtList(row, role, tag, found.address)

    async def to_owners(self, at: AtList) -> ToOwners | Refuse:
        """Where the list has no answer by itself."""
        return await self._owners(at.row.id, at.row.address)

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

    async def _posting(self, group: ListId, address: Address, expand: bool) -> Posting | Refuse | Defer:
        if not await self._may_post(group):
            return Refuse(Reason.POSTING_NOT_PERMITTED, str(address))
        if not expand:
            return Posting(group, address, (), (), ())
        row = await self.snapshot.ask(lists.by_id, group)
        if row is None:
            return Refuse(Reason.RECIPIENT_UNKNOWN)
        if await self._has_been_at(group):
            return Refuse(Reason.MAIL_LOOP, str(address))
        rules = list_rules(row.attributes)
        if await self._is_held(row, rules):
            return Posting(group, address, (), (), (), held=(HeldList(row, group, ()),), rules=rules, has_owners=bool(row.owners))
        refused, held, out = await self._nested(group)
        recipients = await self.snapshot.work(lists.expand, group, tuple(out))
        if self.has_it is not None:
            have = await self.snapshot.work(lists.expand, self.has_it[0], tuple(self.has_it[1]))
            known = {one.address for one in have}
            recipients = [one for one in recipients if one.address not in known]
        members = [one.row for one in recipients if one.row is not None]
        self.scopes.update(one.id for one in members)
        nested = [one for one in await self.snapshot.work(lists.nested, group, tuple(out)) if one != group]
        named = [await self.snapshot.ask(addresses.primary, one) for one in nested]
        return Posting(
            group,
            address,
            tuple(refused),
            tuple(members),
            tuple(Member(one.address, one.member) for one in recipients if one.account is None and not one.lost),
            tuple(Member(one.address, one.member) for one in recipients if one.lost),
            tuple(HeldList(one, group, tuple(out)) for one in held),
            tuple(one.address for one in named if one is not None),
            rules,
            bool(row.owners),
        )

    async def _nested(self, group: ListId) -> tuple[list[Address], list[ListRow], dict[ListId, None]]:
        """Of the lists inside: which refuse the poster, which hold the post, and which do not get it, those included."""
        refused: list[Address] = []
        held: list[ListRow] = []
        out: dict[ListId, None] = {}
        for inner, path in (await self.snapshot.work(lists.nested, group)).items():
            self.scopes.add(inner)
            if inner == group:
                continue
            row = await self.snapshot.ask(lists.by_id, inner)
            if row is None:
                continue
            if not await self._may_post(inner):
                refused.append(row.address)
            elif await self._has_been_at(inner):
                pass
            elif await self._is_held(row, list_rules(row.attributes)):
                # What lies behind a list that holds it is judged when that one lets it through.
                if out.keys().isdisjoint(path[:-1]):
                    held.append(row)
            else:
                continue
            out[inner] = None
        return refused, held, out

    async def _is_held(self, row: ListRow, rules: ListRules) -> bool:
        if row.id == self.approved:
            return False
        standing = await self._standing()
        is_owner = standing is not None and standing.account in row.owners
        is_member = standing is not None and row.id in standing.groups
        if not judge_moderation(rules, is_owner=is_owner, is_member=is_member):
            return False
        if standing is not None or self.poster.envelope is None:
            return True
        # Of members elsewhere nothing is known but the envelope sender. Is it enough? It is what every list goes by.
        inside = await self.snapshot.work(lists.nested, row.id)
        is_member = await self.snapshot.ask(lists.holding, self.poster.envelope, [*inside])
        return judge_moderation(rules, is_owner=False, is_member=is_member)

    async def _has_been_at(self, group: ListId) -> bool:
        marks = self.been_at()
        if not marks:
            return False
        for one in await self.snapshot.ask(addresses.of, group):
            if str(one).lower().encode() in marks or f"<{one.local}.{one.domain}>".lower().encode() in marks:
                return True
        return False

    async def _may_post(self, group: ListId) -> bool:
        standing = await self._standing()
        if standing is None:
            return await self.snapshot.ask(is_open, group)
        decision = await may_send(self.snapshot, standing, group, SendRight.SEND_TO_LIST)
        if decision.valid_until is not None:
            self.valid_until = decision.valid_until if self.valid_until is None else min(self.valid_until, decision.valid_until)
        self.used += stood_on(decision, group)
        return decision.allowed

    async def _standing(self) -> Standing | None:
        """Looked up only where a list asks: most mail goes to people."""
        if self.poster.standing is not None:
            return self.poster.standing
        if self.poster.account is not None:
            self.scopes.add(self.poster.account)
            return await self.snapshot.ask(lists.standing, self.poster.account)
        if self.poster.known_as is None:
            return None
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
    return role_address(group, Role.BOUNCES)
