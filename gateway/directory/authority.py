"""In whose authority is the directory read and changed, and may that one do what is asked?"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.decisions import new_decision
from gateway.directory import names
from gateway.directory.faults import Code, Fault
from gateway.message.canonical import read_domain
from policy.decision import Decision, Witness
from policy.grantees import Grantee, GranteeKind
from policy.identity import AccountId, Address, BadAddress, DomainId, ListId
from policy.reasons import Reason, Refuse
from policy.roles import AdminStanding, Asked, Operation, Role, RoleGrant, Target, beyond, judge_admin
from store import addresses, deleted, domains, dynamic, lists, roles
from store.addresses import ObjectKind
from store.audit import AuditEntry, RecordAudit
from store.port import DIRECTORY, Snapshot, Store

OPERATOR: Final = "operator"
"""Who acts on the command line without `--as`: whoever may run it as the user of the server."""

_TELLING: Final = frozenset({Code.NO_SUCH_ACCOUNT, Code.NO_SUCH_DISTRIBUTION_LIST, Code.NO_SUCH_DOMAIN, Code.NO_SUCH_COS})
_MAKING: Final = frozenset({Operation.CREATE_ACCOUNT, Operation.RENAME_ACCOUNT, Operation.RESTORE_ACCOUNT})
"""Puts an account in a domain, and so among those to whom something is granted as a domain or class."""


@dataclass(frozen=True, slots=True)
class Matter:
    """An operation and what it concerns, by ids; everything that is named has to be within the administrator's reach.

    `made`: addresses that come or go; `members`: addresses of whoever becomes or was a member (those of foreign domains concern
    nobody); `deleted`: accounts that are not there any more; `grantees`: to whom something is given; `attributes`: plain names of
    those that are set; `roles`: those given or taken; `ends`: this account stops being a global administrator who can log in, if it
    is one. Nothing named: the whole gateway.
    """

    operation: Operation
    accounts: tuple[AccountId, ...] = ()
    deleted: tuple[AccountId, ...] = ()
    lists: tuple[ListId, ...] = ()
    domains: tuple[DomainId, ...] = ()
    made: tuple[Address, ...] = ()
    members: tuple[Address, ...] = ()
    grantees: tuple[Grantee, ...] = ()
    attributes: Collection[str] = ()
    roles: tuple[Role, ...] = ()
    ends: AccountId | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """`because`: the deciding step in words. `witness` None: the operator's, which nothing can overtake."""

    decision: Decision
    because: str
    witness: Witness | None


@dataclass(frozen=True, slots=True)
class Authority:
    """The operator's (`account` None), or that of an administrator. Judged anew each time: what was taken away is gone at once.
    `protocol`: the door, for the record."""

    store: Store
    account: AccountId | None = None
    address: str = OPERATOR
    protocol: str = "cli"

    @property
    def is_operator(self) -> bool:
        """Who runs the machine is not judged."""
        return self.account is None

    @property
    def unjudged(self) -> Ruling:
        """The operator's."""
        return Ruling(Decision(None), OPERATOR, None)

    async def judge(self, snapshot: Snapshot, matter: Matter) -> Ruling:
        """The one place where the roles are asked. Raises Fault: the administrator is gone."""
        if self.account is None:
            return self.unjudged
        who = await snapshot.ask(roles.standing, self.account)
        if who is None:
            raise Fault(Code.NO_SUCH_ACCOUNT, self.address)
        asked, scopes = await _asked(snapshot, matter)
        decision = judge_admin(who, asked, snapshot.now)
        witness = await snapshot.witness(DIRECTORY, self.account, *scopes, valid_until=decision.valid_until)
        return Ruling(decision, await _because(snapshot, decision), witness)

    async def allow(self, snapshot: Snapshot, matter: Matter, about: str = "") -> None:
        """For what is only looked at, and what is not written to the store. Raises Fault, on record."""
        if self.account is not None:
            ruling = await self.judge(snapshot, matter)
            if not ruling.decision.allowed:
                raise await self.refused(ruling, matter, str(matter.operation), about)

    async def told(self, fault: Fault) -> Fault:
        """The fault as this administrator may know it: whether something is there outside the own domain, nobody is told."""
        if self.account is None or fault.code not in _TELLING:
            return fault
        async with self.store.snapshot() as snapshot:
            who = await snapshot.ask(roles.standing, self.account)
            text = "" if who is None else beyond(who, snapshot.now)
            # Classes of service are nobody's domain's: which there are, no role below global is told.
            within = fault.code is not Code.NO_SUCH_COS and who is not None and await _is_within(snapshot, who.domain, fault.about)
            if who is None or not text or within:
                return fault
        return await self.refused(Ruling(Decision(Refuse(Reason.ADMIN_NOT_PERMITTED, text)), text, None), None, "look up", fault.about)

    async def knows(self, snapshot: Snapshot, name: str) -> bool:
        """May this administrator be told of whoever has this address?"""
        who = None if self.account is None else await snapshot.ask(roles.standing, self.account)
        return who is None or not beyond(who, snapshot.now) or await _is_within(snapshot, who.domain, name)

    async def browse(self, snapshot: Snapshot, operation: Operation) -> None:
        """Before a listing of all that may be seen: may anything be, in the own domain? Raises Fault, on record."""
        if self.account is not None:
            who = await snapshot.ask(roles.standing, self.account)
            await self.allow(snapshot, Matter(operation, domains=() if who is None else (who.domain,)))

    async def sees(self, snapshot: Snapshot, matter: Matter) -> bool:
        """Does it belong in a listing? Nothing goes on record: nobody asked for this very thing."""
        return self.account is None or (await self.judge(snapshot, matter)).decision.allowed

    async def refused(self, ruling: Ruling, matter: Matter | None, event: str, about: str, principal: int | None = None) -> Fault:
        """What to raise for a ruling that refuses; it is on record by then."""
        entry = self.entry(ruling, matter, event, about, principal=principal)
        await self.store.do(RecordAudit((entry,)))
        return Fault(Code.PERM_DENIED, f"{ruling.because} [{entry.decision}]")

    def entry(
        self,
        ruling: Ruling,
        matter: Matter | None,
        event: str,
        about: str,
        *,
        principal: int | None = None,
        right: str = "",
        detail: str = "",
    ) -> AuditEntry:
        """What goes on record. `right`: the operation, where the change has none of its own."""
        return AuditEntry(
            decision=new_decision(),
            event=event,
            allowed=ruling.decision.allowed,
            actor=self.account,
            actor_address=self.address,
            principal=principal,
            principal_address=about,
            right=right if right or self.account is None or matter is None else str(matter.operation),
            because=ruling.because,
            protocol=self.protocol,
            detail=detail,
        )


async def _is_within(snapshot: Snapshot, domain: DomainId, about: str) -> bool:
    """Is this the name of something in the domain, or no name that could be anything? Words may follow the name."""
    name = about.partition(" ")[0]
    if name.isdigit():
        return False
    try:
        label = read_domain(name.rpartition("@")[2])
    except BadAddress:
        return True
    found = await snapshot.ask(domains.serving, label)
    return found is not None and found.id == domain


async def _because(snapshot: Snapshot, decision: Decision) -> str:
    deciding = decision.deciding
    if deciding is None:
        return ""
    called = await snapshot.ask(names.names_of, frozenset(part for part in deciding.parts if isinstance(part, Grantee)))
    return deciding.named(lambda one: called[one])


async def _asked(snapshot: Snapshot, matter: Matter) -> tuple[Asked, list[int]]:
    """With the scopes that the facts rest on, besides the directory's."""
    found: list[Target] = []
    scopes: list[int] = []
    ended: AdminStanding | None = None
    for account in matter.accounts:
        standing = await snapshot.ask(roles.standing, account)
        within, reached = await snapshot.work(roles.reached_through, account)
        scopes += [*within, *(one.account for one in reached)]
        found.append(Target(None if standing is None else standing.domain, standing, tuple(reached)))
        ended = standing if account == matter.ends else ended
    found += [await _deleted(snapshot, account) for account in matter.deleted]
    for list_id in matter.lists:
        row = await snapshot.ask(lists.by_id, list_id)
        within, reached = await snapshot.work(roles.reached_through, list_id)
        scopes += [*within, *(one.account for one in reached)]
        is_dynamic = await snapshot.ask(dynamic.filter_of, list_id) is not None
        found.append(Target(None if row is None else row.domain, None, tuple(reached), is_dynamic))
    found += [Target(domain) for domain in matter.domains]
    for domain_id, asked_for in await _filtered(snapshot, matter, found):
        for list_id in await snapshot.ask(dynamic.asking, domain_id, asked_for):
            within, reached = await snapshot.work(roles.reached_through, list_id)
            scopes += [list_id, *within, *(one.account for one in reached)]
            found.append(Target(domain_id, None, tuple(reached)))
    for address in matter.made:
        domain = await snapshot.ask(domains.serving, address.domain)
        reached = await snapshot.work(roles.reached_in, domain.id) if domain is not None and matter.operation in _MAKING else ()
        scopes += [one.account for one in reached]
        found.append(Target(None if domain is None else domain.id, None, tuple(reached)))
    for address in matter.members:
        found += await _member(snapshot, address)
    found += [Target(await _domain_of(snapshot, grantee)) for grantee in matter.grantees]
    last = False
    if ended is not None and ended.is_global:
        other = await snapshot.ask(roles.another_global, ended.account)
        scopes += [] if other is None else [other]
        last = other is None
    return Asked(matter.operation, tuple(found), frozenset(matter.attributes), frozenset(matter.roles), last), scopes


async def _deleted(snapshot: Snapshot, account: AccountId) -> Target:
    """Who was an administrator when it was deleted is one to whoever would bring it back."""
    row = await snapshot.ask(deleted.by_id, account)
    if row is None:
        return Target(None)
    domain = await snapshot.ask(domains.serving, row.address.domain)
    facts = row.facts
    was = tuple(RoleGrant(Role(role), DomainId(facts.domain)) for role in facts.roles)
    standing = AdminStanding(account, DomainId(facts.domain), facts.status, facts.is_global_administrator, facts.was_marked, grants=was)
    return Target(None if domain is None else domain.id, standing)


async def _filtered(snapshot: Snapshot, matter: Matter, accounts: Sequence[Target]) -> list[tuple[DomainId, frozenset[str] | None]]:
    """Who changes what a dynamic list's filter asks for puts accounts in: the domains of such lists, and the attributes (None: all)."""
    made = [row.id for one in matter.made if (row := await snapshot.ask(domains.serving, one.domain)) is not None]
    match matter.operation:
        case Operation.CREATE_ACCOUNT | Operation.RENAME_ACCOUNT | Operation.RESTORE_ACCOUNT:
            return [(domain, None) for domain in made]
        case Operation.ADD_ACCOUNT_ALIAS | Operation.REMOVE_ACCOUNT_ALIAS:
            return [(one.domain, frozenset(("mail",))) for one in accounts if one.domain is not None]
        case Operation.MODIFY_ACCOUNT:
            return [(one.domain, frozenset(matter.attributes)) for one in accounts if one.domain is not None]
        case _:
            return []


async def _member(snapshot: Snapshot, address: Address) -> list[Target]:
    """The domain that the address is in, if it is one of ours, and the one that whoever has it is in: those can be two."""
    domain = await snapshot.ask(domains.serving, address.domain)
    if domain is None:
        return []
    found = await snapshot.ask(addresses.resolve, address)
    if found is None:
        return [Target(domain.id)]
    kind = GranteeKind.ACCOUNT if found.kind is ObjectKind.ACCOUNT else GranteeKind.GROUP
    return [Target(domain.id), Target(await _domain_of(snapshot, Grantee(kind, found.id)))]


async def _domain_of(snapshot: Snapshot, grantee: Grantee) -> DomainId | None:
    match grantee.kind:
        case GranteeKind.ACCOUNT:
            standing = await snapshot.ask(roles.standing, AccountId(grantee.id))
            return None if standing is None else standing.domain
        case GranteeKind.GROUP:
            row = await snapshot.ask(lists.by_id, ListId(grantee.id))
            return None if row is None else row.domain
        case GranteeKind.DOMAIN:
            return DomainId(grantee.id)
        case GranteeKind.COS | GranteeKind.ALL:
            return None
