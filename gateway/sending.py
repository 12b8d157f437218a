"""In whose name may this actor send? The facts for the judgement of MAIL FROM, From and Sender, from one snapshot."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from policy.breakglass import Party, judge_break_glass
from policy.cos import ServiceValues
from policy.decision import Decision
from policy.grants import SendGrant, SendRight, Standing, earliest, judge_send_right
from policy.identity import AccountId, Actor, Address, ListId
from policy.lists import list_rules
from policy.quota import UNLIMITED_ROOM
from policy.reasons import Reason, Refuse
from policy.status import login_after_password, owner_sending
from policy.submission import Principal, SenderFacts, narrowed
from store import accounts, addresses, breakglass, domains, freezes, grants, lists
from store.addresses import ObjectKind, Resolved
from store.freezes import Side
from store.model import AccountRow, DomainRow
from store.port import Snapshot, Tx

Supposing = Callable[[Sequence[SendGrant]], Sequence[SendGrant]]


@dataclass(slots=True)
class Gathered:
    """Sender facts, and the scopes that they rest on and the time until which they hold, for the witness. `person`: who acts, with
    these values. `lasting`: about own mail alone, which neither time nor a full domain makes another; only these scopes do."""

    facts: SenderFacts
    person: AccountId
    person_values: ServiceValues
    scopes: set[int] = field(default_factory=set)
    valid_until: int | None = None
    lasting: bool = False


async def may_send(snapshot: Snapshot, standing: Standing, target: int, right: SendRight) -> Decision:
    """Does this actor hold this right on this account or list now? The one place where send rights are judged.

    Which addresses of the principal it covers, see `may_send_as_address`.
    """
    return await snapshot.ask(send_right, standing, target, right)


def send_right(tx: Tx, standing: Standing, target: int, right: SendRight, supposing: Supposing | None = None) -> Decision:
    """The same within one transaction. `supposing`: what would be granted, made of what is."""
    granted, more = grants.send_grants_for(tx, target, right, standing)
    restricted = right is SendRight.SEND_TO_LIST and (more or (not granted and not is_open(tx, target)))
    return judge_send_right(standing, target, right, granted if supposing is None else supposing(granted), tx.now, restricted=restricted)


def is_open(tx: Tx, group: int) -> bool:
    """May everybody post to this list, whoever they are? (delegation.md section 9)"""
    if grants.is_granted_at_all(tx, group, SendRight.SEND_TO_LIST):
        return False
    row = lists.by_id(tx, ListId(group))
    return row is not None and not list_rules(row.attributes).restricted


def may_log_in_as(tx: Tx, standing: Standing, target: AccountId, supposing: Supposing | None = None) -> Decision:
    """May this actor log in as another account (delegation.md section 10)? By loginAs, else by a break-glass window that is open."""
    decision = send_right(tx, standing, target, SendRight.LOGIN_AS, supposing)
    if decision.allowed:
        return decision
    windows = breakglass.open_windows(tx, target, standing.account)
    person, owner = (accounts.by_id(tx, one) for one in (standing.account, target)) if windows else (None, None)
    if person is None or owner is None:
        return decision
    opened = judge_break_glass(party_of(person), party_of(owner), windows, tx.now, standing.scope)
    if not opened.allowed:
        earlier = (replace(one, decided=False) for one in decision.trace)
        return Decision(decision.refusal, (*earlier, *opened.trace), decision.valid_until)
    earlier = (replace(one, decided=False) for one in decision.trace)
    return Decision(None, (*earlier, *opened.trace), earliest((decision.valid_until, opened.valid_until)))


def party_of(row: AccountRow) -> Party:
    """For `policy.breakglass`."""
    return Party(row.id, row.address, row.is_global_administrator)


async def may_send_as_address(snapshot: Snapshot, standing: Standing, found: Resolved, right: SendRight) -> Decision:
    """The same for one address of the principal: its `delegatedSenderAddresses`, if any, must name it."""
    return await snapshot.ask(send_right_as, standing, found, right)


def send_right_as(tx: Tx, standing: Standing, found: Resolved, right: SendRight, supposing: Supposing | None = None) -> Decision:
    """The same within one transaction."""
    decision = send_right(tx, standing, found.id, right, supposing)
    row = None if found.kind is ObjectKind.LIST else accounts.by_id(tx, AccountId(found.id))
    return decision if row is None else narrowed(decision, found.matched, row.values.delegated_sender_addresses)


async def gather(snapshot: Snapshot, actor: Actor, named: Iterable[Address]) -> Gathered | Refuse:
    """What the directory says about the actor and every address that the message names.

    Refuse: whoever sends may not be logged in any more. A message that was under way when its session ended is not accepted.
    """
    row = await snapshot.ask(accounts.by_id, actor.account)
    standing = await snapshot.ask(lists.standing, actor.account, actor)
    if row is None or standing is None:
        gone = "the account no longer exists" if row is None else "the app password was revoked"
        return Refuse(Reason.SESSION_ENDED, gone)
    if actor.scope is not None and actor.scope.is_over(snapshot.now):
        return Refuse(Reason.SESSION_ENDED, "the app password has expired")
    if login_after_password(row.status) is not None:
        return Refuse(Reason.SESSION_ENDED, f"account is {row.status}")
    acting = await _acting(snapshot, actor, row)
    if isinstance(acting, Refuse):
        return acting
    own = {one.folded() for one in await snapshot.ask(addresses.of, actor.account)} | {row.address.folded()}
    delimiters: dict[str, str] = {}
    principals: dict[Address, Principal] = {}
    exists: set[Address] = set()
    scopes = {int(actor.account), int(actor.person)}
    serving: dict[str, DomainRow | None] = {}
    for address in {row.address, *named}:
        if address.domain not in serving:
            serving[address.domain] = await snapshot.ask(domains.serving, address.domain)
        domain = serving[address.domain]
        if domain is None:
            continue
        delimiters[address.domain] = domain.delimiter
        if address.folded() in own:  # nearly every message: nothing more to be asked
            exists.add(address.folded())
            continue
        found = await snapshot.ask(addresses.resolve, address)
        if found is None:
            continue
        known_as = address.folded()
        if found.tag_cut:
            known_as = known_as.without_tag(domain.delimiter) or known_as
        else:
            exists.add(known_as)
        if found.id == actor.account:
            own.add(known_as)
        elif known_as not in principals:
            scopes.add(found.id)
            principals[known_as] = await _principal(snapshot, standing, found, known_as)
    facts = SenderFacts(
        standing,
        row.address,
        row.display_name,
        frozenset(own),
        delimiters,
        principals,
        frozenset(exists),
        row.values,
        # Own mail, nearly all there is, needs not be asked about.
        frozen=bool(principals) and await snapshot.ask(freezes.is_frozen, actor.account, Side.ACTOR),
        withheld=out_of_room(row) if acting is None else acting.withheld or out_of_room(row),
    )
    ends = None if actor.scope is None else actor.scope.expires
    if acting is None:
        lasting = not principals and actor.scope is None and row.domain_room is UNLIMITED_ROOM
        return Gathered(facts, actor.account, row.values, scopes, ends, lasting)
    return Gathered(facts, actor.person, acting.values, scopes, earliest((acting.valid_until, ends)))


@dataclass(frozen=True, slots=True)
class _Acting:
    """Who acts in a session that is another's by loginAs. `withheld`: they may be there, but not send."""

    values: ServiceValues
    valid_until: int | None
    withheld: Refuse | None


def out_of_room(row: AccountRow) -> Refuse | None:
    """Why this account sends nothing now, in no name: its domain has used up its aggregate quota."""
    if row.domain_room.lets_send:
        return None
    return Refuse(Reason.OVER_QUOTA, f"the mailboxes of {row.address.domain} are full: nobody in the domain can send until there is room")


async def _acting(snapshot: Snapshot, actor: Actor, owner: AccountRow) -> _Acting | Refuse | None:
    """None: the session is the actor's own."""
    if actor.via is None:
        return None
    person = await snapshot.ask(accounts.by_id, actor.via)
    standing = await snapshot.ask(lists.standing, actor.via, actor)
    if person is None or standing is None:
        return Refuse(Reason.SESSION_ENDED, "the account no longer exists")
    if login_after_password(person.status) is not None:
        return Refuse(Reason.SESSION_ENDED, f"account is {person.status}")
    decision = await snapshot.ask(may_log_in_as, standing, actor.account)
    if not decision.allowed:
        return Refuse(Reason.SESSION_ENDED, "the right to log in as this account has ended")
    withheld = None
    if await snapshot.ask(freezes.is_frozen, owner.id, Side.PRINCIPAL):
        words = f"sending in the name of {owner.address} is stopped by an administrator"
        withheld = Refuse(Reason.PRINCIPAL_FROZEN, words, principal=owner.id)
    elif await snapshot.ask(freezes.is_frozen, person.id, Side.ACTOR):
        words = f"sending in other people's names is stopped for {person.address} by an administrator"
        withheld = Refuse(Reason.ACTOR_FROZEN, words, principal=owner.id)
    return _Acting(person.values, decision.valid_until, withheld)


async def _principal(snapshot: Snapshot, standing: Standing, found: Resolved, known_as: Address) -> Principal:
    send_as = await may_send(snapshot, standing, found.id, SendRight.SEND_AS)
    on_behalf = await may_send(snapshot, standing, found.id, SendRight.SEND_ON_BEHALF_OF)
    frozen = await snapshot.ask(freezes.is_frozen, found.id, Side.PRINCIPAL)
    if found.kind is ObjectKind.LIST:
        return Principal(found.id, known_as, found.address, True, send_as, on_behalf, frozen=frozen)
    row = await snapshot.ask(accounts.by_id, AccountId(found.id))
    if row is None:
        return Principal(found.id, known_as, found.address, False, send_as, on_behalf, frozen=frozen)
    holds_any = send_as.allowed or on_behalf.allowed
    sending = owner_sending(row.status, row.values.delegation_when_locked)
    if sending is not None:
        sending = replace(sending, detail=str(row.status))
    listed = row.values.delegated_sender_addresses
    return Principal(
        found.id,
        known_as,
        row.address,
        False,
        narrowed(send_as, found.matched, listed),
        narrowed(on_behalf, found.matched, listed),
        sending,
        holds_any,
        frozen,
        row.values,
    )


async def principal_row(snapshot: Snapshot, principal: int) -> AccountRow | None:
    """The account in whose name a message goes out; None where it is a list."""
    return await snapshot.ask(accounts.by_id, AccountId(principal))


async def list_address(snapshot: Snapshot, principal: int) -> Address | None:
    """The list's in whose name it goes out; None where it is an account."""
    row = await snapshot.ask(lists.by_id, ListId(principal))
    return None if row is None else row.address
