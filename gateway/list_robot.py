"""What comes to a list's own addresses (requests, confirmations, owners' decisions, bounces) and what is to be done about it."""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from gateway.decisions import new_decision
from gateway.held_posts import HeldPost, read_held_post
from gateway.list_addresses import Role, Tags, new_key, role_address
from gateway.list_commands import Command, Word, decision, request
from gateway.list_mails import Letter, ListMails
from gateway.message.automatic import author, is_automatic_reply, is_never_answered
from gateway.message.bounce import read_report
from gateway.message.canonical import read_address_octets
from gateway.message.split import Header
from gateway.routing import AtList, HeldList, Routing
from policy.delivery import Door
from policy.identity import AccountId, Address, BadAddress, ListId
from policy.lists import DAY, BounceRules, Joining, list_rules, says_unreachable
from store import accounts, addresses, list_bounces, list_requests, members
from store import queue as queue_store
from store.audit import AuditEntry
from store.list_bounces import CountBounce
from store.list_requests import AdvanceRequest, CloseRequest, CountAnswer, OpenRequest
from store.members import AddMembers, RemoveMembers
from store.model import AccountRow, ListRequest, ListRow, RequestKind, Stage
from store.port import Deed, Snapshot
from store.queue import DropQueued

log = logging.getLogger(__name__)

MOST_WAITING: Final = 1000
"""Posts and requests that wait at one list."""
BY_MAIL: Final = "mail"
"""The protocol, in the record."""


@dataclass(frozen=True, slots=True)
class RobotRules:
    """Microseconds: `confirmation`, until which a request has to be confirmed; `decision`, until which an owner has to decide.
    `answers`: letters that lists write by themselves to one address in a day; `bounces`: when a member's mail ends."""

    hostname: str
    confirmation: int = 3 * DAY
    decision: int = 14 * DAY
    answers: int = 10
    bounces: BounceRules = field(default=BounceRules(5, 14 * DAY))


@dataclass(slots=True)
class Reaction:
    """`letters` to be sent with `steps` in one transaction. `to_owners`: the mail itself goes to the owners."""

    letters: list[Letter] = field(default_factory=list)
    steps: list[Deed[Any]] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    to_owners: bool = False


@dataclass(frozen=True, slots=True)
class _Asking:
    """Who is to be a member, or none any more. `known`: it is the account that has logged in, and nobody in its name."""

    address: Address
    known: bool
    actor: AccountId | None


class ListRobot:
    """Knows no way to send: what it wants written it hands back."""

    def __init__(self, rules: RobotRules, tags: Tags) -> None:
        self.rules = rules
        self.tags = tags

    async def answer(self, routing: Routing, at: AtList, octets: bytes, header: Header) -> Reaction:
        """What a mail to one of the list's addresses brings about. Whatever it is, it has been taken: nothing is refused here."""
        snapshot, row = routing.snapshot, at.row
        if at.role is Role.BOUNCES:
            return await self._bounced(snapshot, at, octets, header)
        if is_never_answered(octets, header):
            _ignored(row, at.role, "a machine wrote it")
            return Reaction()
        if at.role is Role.MODERATE:
            return await self._decided(snapshot, row, at.tag, octets, header)
        if at.role is Role.CONFIRM:
            return await self._confirmed(snapshot, row, at.tag, octets, header)
        asking = await self._asking(routing, octets, header)
        if asking is None:
            return Reaction(to_owners=True)
        match at.role:
            case Role.SUBSCRIBE:
                return await self._asked(snapshot, row, asking, joining=True)
            case Role.UNSUBSCRIBE:
                return await self._asked(snapshot, row, asking, joining=False)
            case _:
                return await self._requested(snapshot, row, asking, octets, header)

    async def decide(
        self, snapshot: Snapshot, row: ListRow, asked: ListRequest, *, approve: bool, reason: str = "", tell: bool = True
    ) -> Reaction:
        """An owner (or administrator) has decided on what waits for the owners. Whoever asked or posted hears of it, unless `tell` is
        False, or it was posted by somebody who is not known."""
        mails = self._mails(snapshot, row)
        reaction = Reaction()
        if asked.kind is RequestKind.POST:
            if approve:
                reaction.steps.append(AdvanceRequest(asked.key, Stage.OWNERS, Stage.APPROVED, asked.expires))
                return reaction
            reaction.steps.append(CloseRequest(asked.key))
            if asked.queue is not None:
                queued = await snapshot.ask(queue_store.queued_one, asked.queue)
                reaction.steps.append(DropQueued((asked.queue,)))
                poster = None if queued is None else await poster_of(snapshot, read_held_post(queued.parameters))
                if tell and poster is not None:
                    reaction.letters.append(mails.post_refused(poster, asked.subject, reason))
            return reaction
        joining = asked.kind is RequestKind.SUBSCRIBE
        reaction.steps.append(CloseRequest(asked.key))
        if approve:
            reaction.steps.append(await _change(snapshot, row.id, asked.address, joining=joining))
            if tell:
                reaction.letters.append(self._done(mails, row, asked.address, joining=joining))
        elif tell:
            reaction.letters.append(mails.refused(asked.address, reason, joining=joining))
        return reaction

    async def hold(
        self, snapshot: Snapshot, held: HeldList, post: HeldPost, who: str, subject: str, octets: bytes
    ) -> tuple[str, int, Reaction]:
        """A post is to wait: its key, until when, and the notices. The row of the queue is the caller's affair."""
        key, until = new_key(), snapshot.now + self.rules.decision
        mails = self._mails(snapshot, held.row)
        reaction = Reaction()
        reaction.steps.append(OpenRequest(key, held.row.id, RequestKind.POST, Stage.OWNERS, _poster(who, held.row), until, subject[:300]))
        for owner in await self._owners(snapshot, held.row):
            decide = role_address(held.row.address, Role.MODERATE, self.tags.decision(key, owner.id))
            reaction.letters.append(mails.post_held(owner.address, decide, who, subject, octets, until))
        if post.tell is not None:
            reaction.letters.append(mails.post_waits(post.tell, subject))
        return key, until, reaction

    async def suspended(self, snapshot: Snapshot, row: ListRow, member: Address, reason: str) -> Sequence[Letter]:
        """To each owner: a member cannot be reached."""
        mails = self._mails(snapshot, row)
        return [mails.suspended(owner.address, member, reason) for owner in await self._owners(snapshot, row)]

    async def too_late(self, snapshot: Snapshot, row: ListRow, post: HeldPost, subject: str) -> Sequence[Letter]:
        """Nobody has decided about a post."""
        tell = await poster_of(snapshot, post)
        return [] if tell is None else [self._mails(snapshot, row).post_too_late(tell, subject)]

    # --- what comes back

    async def _bounced(self, snapshot: Snapshot, at: AtList, octets: bytes, header: Header) -> Reaction:
        """The tag says whose copy it was, whoever the report is about: members forward their mail."""
        number = self.tags.read_member(at.tag)
        report = read_report(octets)
        if report is None and is_automatic_reply(octets, header):
            _ignored(at.row, at.role, "no delivery report")
            return Reaction()
        member = None if number is None else await snapshot.ask(list_bounces.by_member, number)
        if report is None or number is None:
            return Reaction(to_owners=True)  # words for people: old mail servers, and people who answer the envelope sender
        if member is None or not report.failed or not says_unreachable(report.status):
            why = "no member any more" if member is None else f"{report.status}: the message's fault" if report.failed else "not given up"
            _ignored(at.row, at.role, why)
            return Reaction()
        log.info(
            "list bounce", extra={"fields": {"account": str(at.row.address), "outcome": str(member.address), "reason": report.reason[:200]}}
        )
        reason = report.reason if report.status in report.reason else f"{report.status} {report.reason}"
        return Reaction(steps=[CountBounce(number, reason, self.rules.bounces)])

    # --- what is asked

    async def _asking(self, routing: Routing, octets: bytes, header: Header) -> _Asking | None:
        """Whoever is in From: the envelope sender of many is an address that only takes bounces. The confirmation shows whether it is
        true; who has logged in as that account has shown it already."""
        try:
            address = read_address_octets(author(octets, header))
        except BadAddress:
            return None
        standing = routing.poster.standing if routing.door is Door.SUBMISSION else None
        found = await routing.snapshot.ask(addresses.resolve, address)
        known = standing is not None and found is not None and found.id == standing.account
        return _Asking(address, known, None if standing is None else standing.account)

    async def _requested(self, snapshot: Snapshot, row: ListRow, asking: _Asking, octets: bytes, header: Header) -> Reaction:
        match request(octets, header):
            case Command(Word.SUBSCRIBE):
                return await self._asked(snapshot, row, asking, joining=True)
            case Command(Word.UNSUBSCRIBE):
                return await self._asked(snapshot, row, asking, joining=False)
            case Command(Word.CONFIRM, key):
                return await self._confirmed(snapshot, row, key, octets, header)
            case Command(Word.HELP):
                rules = list_rules(row.attributes)
                joins, leaves = rules.subscription is not Joining.REJECT, rules.unsubscription is not Joining.REJECT
                letter = self._mails(snapshot, row).help(asking.address, joins=joins, leaves=leaves)
                reaction = Reaction([letter])
                return reaction if asking.known else await self._politely(snapshot, asking.address, reaction, row)
            case _:
                return Reaction(to_owners=True)

    async def _asked(self, snapshot: Snapshot, row: ListRow, asking: _Asking, *, joining: bool) -> Reaction:
        mails, who = self._mails(snapshot, row), asking.address
        reaction = await self._judged(snapshot, row, who, joining=joining)
        if reaction is None:
            kind = RequestKind.SUBSCRIBE if joining else RequestKind.UNSUBSCRIBE
            before = await snapshot.ask(list_requests.asked, row.id, kind, who)
            if before is not None and before.stage is Stage.OWNERS:
                reaction = Reaction([mails.owners_asked(who, joining=joining)])
            elif asking.known:
                reaction = await self._agreed(snapshot, row, None, kind, who)
                reaction.audit.append(_entry(row, "asked by mail", who, asking.actor, f"{kind}: logged in"))
            elif before is not None:
                # The letter may have been lost; another key would make those that were not lost void.
                reaction = Reaction([mails.confirm(who, before.key, joining=joining)])
            else:
                if await snapshot.ask(list_requests.count, row.id) >= MOST_WAITING:
                    _ignored(row, Role.REQUEST, "too many wait already")
                    return Reaction()
                key = new_key()
                opened = OpenRequest(key, row.id, kind, Stage.CONFIRM, who, snapshot.now + self.rules.confirmation)
                reaction = Reaction([mails.confirm(who, key, joining=joining)], [opened])
        return reaction if asking.known else await self._politely(snapshot, who, reaction, row)

    async def _judged(self, snapshot: Snapshot, row: ListRow, who: Address, *, joining: bool) -> Reaction | None:
        """What needs no request: it cannot be, or it is so already. None: it is to be asked for."""
        mails = self._mails(snapshot, row)
        found = await snapshot.ask(addresses.resolve, who)
        is_list = found is not None and found.kind is addresses.ObjectKind.LIST
        if (await snapshot.ask(members.direct, row.id, who) is not None) is joining:
            return Reaction([mails.unchanged(who, joining=joining)])
        if _policy(row, joining=joining) is Joining.REJECT or is_list:
            return Reaction([mails.not_by_mail(who, joining=joining)])
        return None

    async def _confirmed(self, snapshot: Snapshot, row: ListRow, key: str, octets: bytes, header: Header) -> Reaction:
        asked = await snapshot.ask(list_requests.by_key, key)
        if asked is None or asked.list != row.id or asked.stage is not Stage.CONFIRM:
            return await self._gone(snapshot, row, octets, header)
        joining = asked.kind is RequestKind.SUBSCRIBE
        reaction = await self._judged(snapshot, row, asked.address, joining=joining)
        if reaction is not None:  # the policy, or the membership, has changed since
            reaction.steps.append(CloseRequest(key))
            return reaction
        reaction = await self._agreed(snapshot, row, key, asked.kind, asked.address)
        reaction.audit.append(_entry(row, "confirmed by mail", asked.address, None, str(asked.kind)))
        return reaction

    async def _agreed(self, snapshot: Snapshot, row: ListRow, key: str | None, kind: RequestKind, who: Address) -> Reaction:
        """It is they who want it: done at once, or asked of the owners. `key`: of the request that was confirmed."""
        joining = kind is RequestKind.SUBSCRIBE
        mails = self._mails(snapshot, row)
        if _policy(row, joining=joining) is Joining.ACCEPT:
            steps: list[Deed[Any]] = [await _change(snapshot, row.id, who, joining=joining)]
            steps += [CloseRequest(key)] if key is not None else []
            return Reaction([self._done(mails, row, who, joining=joining)], steps)
        until = snapshot.now + self.rules.decision
        opened = key or new_key()
        reaction = Reaction([mails.owners_asked(who, joining=joining)])
        reaction.steps.append(
            OpenRequest(opened, row.id, kind, Stage.OWNERS, who, until)
            if key is None
            else AdvanceRequest(key, Stage.CONFIRM, Stage.OWNERS, until)
        )
        for owner in await self._owners(snapshot, row):
            decide = role_address(row.address, Role.MODERATE, self.tags.decision(opened, owner.id))
            reaction.letters.append(mails.asks_owner(owner.address, decide, who, joining=joining))
        return reaction

    # --- what owners decide

    async def _decided(self, snapshot: Snapshot, row: ListRow, tag: str, octets: bytes, header: Header) -> Reaction:
        read = self.tags.read_decision(tag)
        asked = None if read is None else await snapshot.ask(list_requests.by_key, read[0])
        owner = None if read is None or read[1] not in row.owners else await snapshot.ask(accounts.by_id, AccountId(read[1]))
        if asked is None or owner is None or asked.list != row.id or asked.stage is not Stage.OWNERS:
            return await self._gone(snapshot, row, octets, header)
        said = decision(octets, header)
        if said is None:
            decide = role_address(row.address, Role.MODERATE, tag)
            letter = self._mails(snapshot, row).asks_again(owner.address, decide)
            return await self._politely(snapshot, owner.address, Reaction([letter]), row)
        approve = said.word is Word.APPROVE
        reaction = await self.decide(snapshot, row, asked, approve=approve, reason=said.rest)
        reaction.audit.append(decision_entry(row, asked, approve=approve, owner=owner.id, owner_address=owner.address))
        return reaction

    async def _gone(self, snapshot: Snapshot, row: ListRow, octets: bytes, header: Header) -> Reaction:
        try:
            to = read_address_octets(author(octets, header))
        except BadAddress:
            return Reaction()
        return await self._politely(snapshot, to, Reaction([self._mails(snapshot, row).gone(to)]), row)

    # --- pieces

    async def _politely(self, snapshot: Snapshot, to: Address, reaction: Reaction, row: ListRow) -> Reaction:
        """An answer that anybody can bring about by writing another's address in From is given so often and no more."""
        found = await snapshot.ask(addresses.resolve, to)
        person = to if found is None else found.address  # of ours, whichever alias or tag it was written with
        given = await snapshot.ask(list_requests.answers, person, snapshot.now - DAY)
        if given < self.rules.answers:
            return replace(reaction, steps=[CountAnswer(person), *reaction.steps])
        _ignored(row, Role.REQUEST, f"{to} has had {given} answers today")
        letters = [one for one in reaction.letters if one.to != to]
        return replace(reaction, letters=letters, steps=[one for one in reaction.steps if not _unconfirmed(one)])

    def _mails(self, snapshot: Snapshot, row: ListRow) -> ListMails:
        return ListMails(row.address, self.rules.hostname, secrets.token_hex(8), snapshot.now)

    async def _owners(self, snapshot: Snapshot, row: ListRow) -> Sequence[AccountRow]:
        found = [await snapshot.ask(accounts.by_id, owner) for owner in row.owners]
        return [one for one in found if one is not None]

    def _done(self, mails: ListMails, row: ListRow, who: Address, *, joining: bool) -> Letter:
        may_leave = list_rules(row.attributes).unsubscription is not Joining.REJECT
        return mails.joined(who, may_leave=may_leave) if joining else mails.left(who)


async def poster_of(snapshot: Snapshot, post: HeldPost) -> Address | None:
    """Who hears what becomes of a post, under the address of now: the one of then may have been given to somebody else."""
    if post.account is None or post.tell is None:
        return post.tell
    row = await snapshot.ask(accounts.by_id, post.account)
    return None if row is None else row.address


def decision_entry(row: ListRow, asked: ListRequest, *, approve: bool, owner: AccountId, owner_address: Address) -> AuditEntry:
    """An owner's decision by mail, for the record."""
    what = "post" if asked.kind is RequestKind.POST else str(asked.kind)
    return AuditEntry(
        decision=new_decision(),
        event=f"{what} {'approved' if approve else 'rejected'}",
        allowed=True,
        actor=owner,
        actor_address=str(owner_address),
        principal=row.id,
        principal_address=str(row.address),
        because="owner of the list",
        protocol=BY_MAIL,
        detail=f"{asked.address} ({asked.key})",
    )


def _entry(row: ListRow, event: str, who: Address, actor: AccountId | None, because: str) -> AuditEntry:
    return AuditEntry(
        decision=new_decision(),
        event=event,
        allowed=True,
        actor=actor,
        actor_address=str(who),
        principal=row.id,
        principal_address=str(row.address),
        because=because,
        protocol=BY_MAIL,
        detail=str(who),
    )


def _policy(row: ListRow, *, joining: bool) -> Joining:
    rules = list_rules(row.attributes)
    return rules.subscription if joining else rules.unsubscription


async def _change(snapshot: Snapshot, group: ListId, who: Address, *, joining: bool) -> Deed[Any]:
    if joining:
        return AddMembers(group, (who,))
    # Under the spelling that is kept: who leaves may write it otherwise.
    kept = await snapshot.ask(members.direct, group, who)
    return RemoveMembers(group, (who if kept is None else kept,))


def _unconfirmed(step: Deed[Any]) -> bool:
    """A request that nobody would hear of."""
    return isinstance(step, OpenRequest) and step.stage is Stage.CONFIRM


def _poster(who: str, row: ListRow) -> Address:
    try:
        return read_address_octets(who.encode("utf-8", "surrogateescape"))
    except BadAddress:
        return row.address


def _ignored(row: ListRow, role: Role, why: str) -> None:
    log.info("list", extra={"fields": {"account": str(row.address), "outcome": f"ignored: mail to its {role} address", "reason": why}})
