"""Into a mailbox, onto the queue, or back with the reason: what becomes of a message, recipient by recipient."""

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

from gateway.arrival import arrived
from gateway.authenticating import Authenticating
from gateway.dsn import FAILURE, NOTHING_ASKED, SUCCESS, Requests, original_recipient, wants
from gateway.known_recipients import KnownRecipients
from gateway.list_addresses import Role, Tags
from gateway.list_mails import Letter
from gateway.list_posts import envelope_sender, for_list, hold, is_too_much, marks_of
from gateway.list_robot import ListRobot, Reaction, RobotRules
from gateway.message.automatic import is_automatic_reply
from gateway.message.headers import fields_named, forged_results, received_field, return_path_field, rewrite
from gateway.message.split import Header, read_header
from gateway.origin import Findings, Origin, Seal, marked
from gateway.queue_room import QueueRoom
from gateway.refusal import Refused, later
from gateway.reports import Action, Failed, delivery_report, failed, notice
from gateway.routing import AtList, Elsewhere, Mailbox, Poster, Posting, Route, Routing, ToOwners, bounce_address
from gateway.signing import Signing
from policy.decision import Witness
from policy.delivery import Door, QuotaFacts, judge_recipient
from policy.identity import AccountId, Address, ListId
from policy.rates import RateLimit
from policy.reasons import Defer, Reason, Refuse, Verdict
from policy.status import Hold
from store.audit import AuditEntry
from store.blobs import Files
from store.deeds import Audited
from store.errors import Busy, NotFound, OverQuota, Stale, StoreError
from store.list_bounces import CountBounce
from store.model import AccountRow, NewMessage, QueueId, QueueKind
from store.port import Deed, Snapshot, Store
from store.queue import Accepted, AcceptMessage, Filing, IntoMailbox, OntoQueue, Settle, WhenFull
from store.tenure import Used

log = logging.getLogger(__name__)

JUDGED_FOR: Final = 2.0
"""Seconds for which a message is judged again and again because something it rests on changed meanwhile, before it is told "later".
By time and not by number: while a long batch changes the directory, every commit of it makes what was judged before it stale."""
_PAUSE: Final = 0.1

_NO_REPLIES: Final = "{}: the automatic answer of a machine is not sent to a list"
_AT_ONCE: Final = 250


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """`relays`: there is a next hop. `hops`: Received fields that make a loop. `lifetime`: of queued mail, microseconds.
    `quota_rejects`: a full mailbox refuses for good instead of for now. `trusted`: servers in front of this one whose
    Authentication-Results are believed."""

    hostname: str
    relays: bool
    hops: int
    quota_rejects: bool
    lifetime: int
    trusted: tuple[str, ...] = ()

    @property
    def authserv_ids(self) -> Sequence[str]:
        """In whose name nobody else may say what was found out about a message (RFC 8601 section 5)."""
        return (self.hostname, *self.trusted)


@dataclass(frozen=True, slots=True)
class Counting:
    """The limits that a message counts for, and how many recipients it was submitted for."""

    limits: tuple[RateLimit, ...] = ()
    recipients: int = 0


NOTHING_COUNTED: Final = Counting()


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whose copy it is: that of recipient number `index`, or that of a member of the list with this bounce address."""

    address: Address
    index: int | None = None
    bounces: Address | None = None


@dataclass(slots=True)
class Plan:
    """What will be done with one message: `outcomes` has each recipient's refusal, or None where it goes on its way.

    `delivered` are the recipients, by number, whose success the sender wants to hear of: in a mailbox or with a list.
    `addressees` says of each of `copies` whose it is, of all who share it; `bounces` which members of lists cannot have it, by the
    list's bounce address; `sent_on` the domains of lists that send it on to other places. `steps`, `audit` and `letters`: what it brings
    about where it is for a list itself, or waits for its owners.
    """

    copies: list[IntoMailbox] = field(default_factory=list)
    queued: list[OntoQueue] = field(default_factory=list)
    outcomes: list[Verdict | None] = field(default_factory=list)
    addressees: list[list["Addressee"]] = field(default_factory=list)
    refused_lists: list[Address] = field(default_factory=list)
    bounces: dict[Address, list[Failed]] = field(default_factory=dict)
    requests: Requests = NOTHING_ASKED
    delivered: list[int] = field(default_factory=list)
    sent_on: set[str] = field(default_factory=set)
    steps: list[Deed[Any]] = field(default_factory=list)
    audit: list[AuditEntry] = field(default_factory=list)
    letters: list[AcceptMessage] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Nothing is to be done."""
        return not (self.copies or self.queued or self.steps or self.audit or any(map(_does_something, self.letters)))

    def failures(self, recipients: Sequence[Address]) -> list[Failed]:
        """What a report tells of those that were refused, as far as the sender wants to know."""
        return [
            replace(failed(one, verdict), original=original_recipient(self.requests.of(index)))
            for index, (one, verdict) in enumerate(zip(recipients, self.outcomes, strict=True))
            if verdict is not None and wants(self.requests.of(index), FAILURE)
        ]

    def everything_refused(self) -> Verdict | None:
        """The first refusal, if nobody gets it."""
        refusals = [one for one in self.outcomes if one is not None]
        return refusals[0] if refusals and len(refusals) == len(self.outcomes) else None


class Delivery:
    """The one place where it is judged whether a recipient takes mail."""

    def __init__(
        self,
        store: Store,
        files: Files,
        rules: DeliveryRules,
        signing: Signing | None = None,
        authenticating: Authenticating | None = None,
        robot: ListRobot | None = None,
        room: QueueRoom | None = None,
    ) -> None:
        self._store = store
        self._files = files
        self._signing = signing
        self._authenticating = authenticating
        self._room = room
        self._known = KnownRecipients()
        self.rules = rules
        self.robot = robot or ListRobot(RobotRules(rules.hostname), Tags(secrets.token_bytes(32)))

    async def is_sealed(self, snapshot: Snapshot, plan: Plan) -> bool:
        """Is some of it going out again with a seal (RFC 8617), so that one has to know what can be known of it now?"""
        if self._signing is None or self._authenticating is None:
            return False
        return any([await self._signing.seals(snapshot, domain) for domain in sorted(plan.sent_on)])

    async def findings(self, door: Door, octets: bytes) -> Findings | None:
        """What can be known of a message; its sender waits for the DNS."""
        if self._authenticating is None:
            return None
        return await self._authenticating.findings(octets, from_neighbour=door is Door.LMTP)

    async def begin(
        self, door: Door, reverse_path: Address | None, peer_ip: str, *, helo: str = "", protocol: str = "", dsn: Sequence[str] = ()
    ) -> "Inbound":
        """MAIL at the doors that know no login; `reverse_path` None is `<>`, `dsn`: RET and ENVID (gateway.dsn). `helo`: the name
        that the peer gave itself, `protocol`: Received's word for how it spoke (RFC 3848)."""
        return Inbound(self, door, reverse_path, Peer(peer_ip, helo, protocol or ("LMTP" if door is Door.LMTP else "ESMTP")), dsn)

    def routing(self, snapshot: Snapshot, door: Door, poster: Poster) -> Routing:
        """For one message that came in at this door."""
        return Routing(snapshot, door, poster, self.rules.relays, self.rules.hostname, known=self._known)

    async def takes(self, snapshot: Snapshot, door: Door, recipient: Address, poster: Poster, size: int = 0) -> None:
        """At RCPT; `size`: octets, 0 where they are not known. Raises Refused."""
        route = await self.routing(snapshot, door, poster).find(recipient, expand=False)
        verdict = self.judge(route.account, door, size) if isinstance(route, Mailbox) else route
        waits = isinstance(verdict, Elsewhere | Hold)
        if waits and self._room is not None and not await self._room.fits(1, snapshot):
            raise Refused(Defer(Reason.QUEUE_FULL))
        if isinstance(verdict, Refuse | Defer):
            raise Refused(verdict)

    async def plan(
        self,
        routing: Routing,
        recipients: Sequence[Address],
        octets: bytes,
        reverse_path: Address | None,
        sender: AccountId | None = None,
        *,
        ours: bool = False,
        requests: Requests = NOTHING_ASKED,
        findings: Findings | None = None,
    ) -> Plan:
        """Routes every recipient in the routing's snapshot. `octets`: as they go out, with our Received, without Return-Path.
        `findings`: what is known of a message from outside, for the seals of lists."""
        work = _Work(self, routing, octets, reverse_path, sender, ours, requests, findings)
        before, routing.been_at = routing.been_at, work.been_at
        try:
            for index, recipient in enumerate(recipients):
                await work.outcomes_of(index, recipient, await routing.find(recipient, expand=True))
        finally:
            # They would hold each other, and the message, until the collector comes.
            routing.been_at = before
        return work.plan

    async def report(
        self,
        snapshot: Snapshot,
        to: Address | None,
        failures: Sequence[Failed],
        original: bytes,
        delayed_until: int | None = None,
        *,
        action: Action = "failed",
        mail: Sequence[str] = (),
    ) -> AcceptMessage:
        """A delivery report (see gateway.reports) on its way to the sender; nothing at all for the empty path (RFC 5321 section 6.1)."""
        if to is None or not failures:
            return AcceptMessage("")
        octets = delivery_report(
            hostname=self.rules.hostname,
            to=to,
            failed=failures,
            original=original,
            message_id=self.message_id(),
            now=snapshot.now,
            delayed_until=delayed_until,
            action=action,
            mail=mail,
        )
        return await self._from_us(snapshot, to, octets)

    async def notice(self, snapshot: Snapshot, to: Address, subject: str, text: str) -> AcceptMessage:
        """A plain mail of ours to one person."""
        octets = notice(hostname=self.rules.hostname, to=to, subject=subject, text=text, message_id=self.message_id(), now=snapshot.now)
        return await self._from_us(snapshot, to, octets)

    async def react(self, snapshot: Snapshot, reaction: Reaction) -> AcceptMessage:
        """What a list does by itself, in one deed: the steps, the records, and the letters on their way."""
        letters = await self.letters(snapshot, reaction.letters)
        return AcceptMessage(
            "",
            tuple(copy for one in letters for copy in one.copies),
            tuple(row for one in letters for row in one.queued),
            audit=tuple(reaction.audit),
            steps=tuple(reaction.steps),
        )

    async def letters(self, snapshot: Snapshot, some: Sequence[Letter]) -> list[AcceptMessage]:
        """Letters of a list on their way."""
        return [await self._from_us(snapshot, one.to, one.octets) for one in some]

    def message_id(self) -> str:
        """Of mail that is ours."""
        return f"<{queue_id()}@{self.rules.hostname}>"

    async def _from_us(self, snapshot: Snapshot, to: Address, octets: bytes) -> AcceptMessage:
        routing = self.routing(snapshot, Door.QUEUE, Poster(None, empty_path=True))
        plan = await self.plan(routing, (to,), octets, None, ours=True)
        if plan.everything_refused() is not None:
            log.warning("report", extra={"fields": {"account": str(to), "outcome": "nobody takes it"}})
        return AcceptMessage("", tuple(plan.copies), tuple(plan.queued), audit=tuple(plan.audit), steps=tuple(plan.steps))

    def judge(self, row: AccountRow, door: Door, size: int, *, ours: bool = False) -> Hold | Refuse | Defer | None:
        """Does this account take a message of `size` octets (0: not known yet) at this door? None: yes.

        `ours`: it is a report or notice, which finds room in a full mailbox too: that it is full may be the news.
        """
        quota = None if ours else QuotaFacts(row.used, row.values.quota, size, self.rules.quota_rejects, row.domain_room)
        verdict = judge_recipient(row.status, door, quota)
        return verdict if isinstance(verdict, Hold | Refuse | Defer) else None

    async def accept(
        self,
        plan: Plan,
        witness: Witness,
        key: str,
        filing: Sequence[Filing],
        audit: Sequence[AuditEntry],
        extra: Sequence[AcceptMessage],
        settles: tuple[QueueId, str] | None = None,
        *,
        counting: Counting = NOTHING_COUNTED,
        waits: bool = False,
        uses: Sequence[Used] = (),
    ) -> Accepted:
        """One deed for everything. `settles`: the queue row, and our lease of it, whose end this is. `waits`: see AcceptMessage. `uses`:
        the grants it stands on. Raises Stale, Busy, OverQuota, NotFound, RateReached, Conflict where the row is not leased so, and
        Refused where the queue has no room for it."""
        room = self._room if plan.queued and settles is None else None
        if room is None:
            return await self._accept(plan, witness, key, filing, audit, extra, settles, counting, waits, uses)
        if not await room.fits_now(len(plan.queued), self._store):
            raise Refused(Defer(Reason.QUEUE_FULL))
        room.added(len(plan.queued))
        try:
            return await self._accept(plan, witness, key, filing, audit, extra, settles, counting, waits, uses)
        except BaseException:
            room.added(-len(plan.queued))
            raise

    async def _accept(
        self,
        plan: Plan,
        witness: Witness,
        key: str,
        filing: Sequence[Filing],
        audit: Sequence[AuditEntry],
        extra: Sequence[AcceptMessage],
        settles: tuple[QueueId, str] | None,
        counting: Counting,
        waits: bool,
        uses: Sequence[Used],
    ) -> Accepted:
        copies = [*plan.copies]
        queued = [*plan.queued]
        records = [*audit, *plan.audit]
        steps = [*plan.steps]
        for one in (*plan.letters, *extra):
            copies += one.copies
            queued += one.queued
            records += one.audit
            steps += one.steps
        deed = AcceptMessage(
            key,
            tuple(copies),
            tuple(queued),
            tuple(filing),
            tuple(records),
            tuple(steps),
            limits=counting.limits,
            recipients=counting.recipients,
            waits=waits,
        )
        spooled = await self._spooled(deed)
        try:
            whole = spooled if settles is None else Settle(*settles, spooled)
            return await self._store.do(Audited(whole, (), tuple(uses)) if uses else whole, witness)
        except Stale:
            # Nothing was done, and the next judgement may write other octets: of a large message there would soon be many.
            places = {one.spooled.place for one in _messages(spooled) if one.spooled is not None}
            if places:
                with suppress(OSError, Busy):
                    await self._files.discard(places)
            raise

    async def _spooled(self, deed: AcceptMessage) -> AcceptMessage:
        """Large octets go to their files before the deed, so that the writer, which everybody waits for, need not write them."""
        large = {id(message): message for message in _messages(deed) if message.size > self._files.in_row}
        if not large:
            return deed
        try:
            kept = {key: await self._files.kept(message) for key, message in large.items()}
        except OSError as fault:
            raise Busy(f"octets could not be written: {fault}") from fault
        return replace(
            deed,
            copies=tuple(replace(one, message=kept.get(id(one.message), one.message)) for one in deed.copies),
            queued=tuple(replace(one, message=kept.get(id(one.message), one.message)) for one in deed.queued),
            filing=tuple(replace(one, message=kept.get(id(one.message), one.message)) for one in deed.filing),
        )

    def skipped(self, plan: Plan, accepted: Accepted) -> list[int]:
        """Which recipients got nothing since their mailboxes turned out to be full in the very transaction, by number."""
        if None not in accepted.placed:
            return []
        own = list(zip(plan.addressees, accepted.placed, strict=False))  # what reports placed comes after
        served = {one.index for sharing, placed in own if placed is not None for one in sharing}
        full = {one.index for sharing, placed in own if placed is None for one in sharing if one.index is not None}
        return sorted(full - served)

    async def report_outcomes(
        self, plan: Plan, accepted: Accepted, recipients: Sequence[Address], to: Address | None, original: bytes, *, lmtp: bool = False
    ) -> None:
        """Of all `recipients`: the 250 of those that were skipped has been decided for the others' sake, and the sender hears of them
        by report (but at LMTP, which has told it), a list's owners of its members; and of success, whoever asked. Raises nothing:
        what was accepted stays accepted."""
        if None not in accepted.placed and not plan.delivered:
            return  # everybody has it, and nobody asked to hear of that
        full = Refuse(Reason.RECIPIENT_OVER_QUOTA)
        skipped = self.skipped(plan, accepted)

        def about(index: int, status: str, words: str) -> Failed:
            return Failed(recipients[index], status, words, original_recipient(plan.requests.of(index)))

        over = failed(recipients[0], full)
        hears: dict[Address | None, list[Failed]] = {
            to: [about(one, over.status, over.reply) for one in skipped if not lmtp and wants(plan.requests.of(one), FAILURE)]
        }
        for sharing, placed in zip(plan.addressees, accepted.placed, strict=False):
            for one in sharing:
                if placed is None and one.bounces is not None:
                    hears.setdefault(one.bounces, []).append(failed(one.address, full))
        for who, failures in hears.items():
            await self._tell(who, failures, original, "failed", plan.requests.mail if who == to else ())
        delivered = [about(one, "2.1.5", "250 2.1.5 delivered") for one in plan.delivered if one not in skipped]
        await self._tell(to, delivered, original, "delivered", plan.requests.mail)

    async def _tell(self, who: Address | None, about: Sequence[Failed], original: bytes, action: Action, mail: Sequence[str]) -> None:
        if who is None or not about:
            return
        try:
            async with self._store.snapshot() as snapshot:
                deed = await self.report(snapshot, who, about, original, action=action, mail=mail)
            await self._store.do(deed)
        except StoreError as fault:
            log.error("report", extra={"fields": {"account": str(who), "outcome": "not written", "reason": repr(fault)}})

    async def bounces(self, snapshot: Snapshot, plan: Plan, original: bytes) -> list[AcceptMessage]:
        """The reports to the owners of lists whose members cannot have it."""
        return [await self.report(snapshot, who, failures, original) for who, failures in plan.bounces.items()]


class _Work:
    """Collects one message's plan; each variant of the octets is parsed once, whoever gets it."""

    def __init__(
        self,
        delivery: Delivery,
        routing: Routing,
        octets: bytes,
        reverse_path: Address | None,
        sender: AccountId | None,
        ours: bool,
        requests: Requests,
        findings: Findings | None,
    ) -> None:
        self.plan = Plan(requests=requests)
        self._findings = findings
        self._requests = requests
        self._held: set[AccountId] = set()
        self._delivery = delivery
        self._routing = routing
        self._octets = octets
        self._reverse_path = reverse_path
        self._sender = sender
        self._ours = ours
        self._expires = routing.snapshot.now + delivery.rules.lifetime
        self._local: NewMessage | None = None
        self._onward: NewMessage | None = None
        self._served: dict[AccountId, list[Addressee]] = {}
        self._sent_on: set[Address] = set()
        self._waiting: set[ListId] = set()
        self._asked: dict[tuple[ListId, Role, str], Verdict | None] = {}

    async def outcomes_of(self, index: int, recipient: Address, route: Route | Refuse | Defer) -> None:
        outcome: Verdict | None
        match route:
            case Refuse() | Defer():
                outcome = route
            case Mailbox(account):
                outcome = self._into_mailbox(account, Addressee(recipient, index), self._direct(), self._path(), self._routing.door)
            case Elsewhere(address):
                self._onto_relay(address, self._undelivered(), self._path(), self._requests.parameters(index))
                outcome = None
            case ToOwners(address, owners):
                outcome = self._to_owners(index, address, owners)
            case Posting():
                outcome = await self._posted(route)
            case AtList():
                outcome = await self._at_list(index, route)
        self.plan.outcomes.append(outcome)
        on_its_way = (
            isinstance(route, Elsewhere)
            or (isinstance(route, Mailbox) and route.account.id in self._held)
            or (isinstance(route, Posting) and bool(route.held))
        )
        if outcome is None and not on_its_way and wants(self._requests.of(index), SUCCESS):
            self.plan.delivered.append(index)

    async def _posted(self, posting: Posting) -> Verdict | None:
        """Who is told "later" tries all of it again: so nobody gets it then."""
        if self._is_reply:
            return Refuse(Reason.POSTING_NOT_PERMITTED, _NO_REPLIES.format(posting.address))
        too_much = await is_too_much(self._routing.snapshot, posting) if posting.held else None
        if too_much is not None:
            return too_much
        outcome = await self._to_list(posting)
        if outcome is None and posting.held:
            await self._hold(posting)
        return outcome

    def _path(self) -> str:
        return "" if self._reverse_path is None else str(self._reverse_path)

    def _direct(self) -> NewMessage:
        if self._local is None:
            self._local = arrived(return_path_field(self._path()) + self._octets)
        return self._local

    @cached_property
    def _header(self) -> Header:
        """Only lists ask for it."""
        return read_header(self._octets)

    def _undelivered(self) -> NewMessage:
        if self._onward is None:
            self._onward = arrived(self._octets)
        return self._onward

    def _into_mailbox(self, account: AccountRow, addressee: Addressee, message: NewMessage, path: str, door: Door) -> Verdict | None:
        sharing = self._served.get(account.id)
        if sharing is not None:
            sharing.append(addressee)
            return None
        verdict = self._delivery.judge(account, door, message.size, ours=self._ours)
        if isinstance(verdict, Refuse | Defer):
            return verdict
        sharing = self._served[account.id] = [addressee]
        if isinstance(verdict, Hold):
            self._held.add(account.id)
            parameters = "{}" if addressee.index is None else self._requests.parameters(addressee.index)
            self.plan.queued.append(
                OntoQueue(
                    QueueKind.HELD,
                    str(addressee.address),
                    message,
                    path,
                    self._expires,
                    account=account.id,
                    sender=self._sender,
                    parameters=parameters,
                )
            )
        else:
            self.plan.addressees.append(sharing)
            when_full = WhenFull.IGNORE if self._ours else WhenFull.SKIP
            self.plan.copies.append(IntoMailbox(account.id, message, account.values.quota, when_full=when_full))
        return None

    def _onto_relay(self, address: Address, message: NewMessage, path: str, parameters: str = "{}") -> None:
        if address not in self._sent_on:
            self._sent_on.add(address)
            parameters = marked(parameters, Origin(ours=True)) if self._ours else parameters
            self.plan.queued.append(
                OntoQueue(QueueKind.RELAY, str(address), message, path, self._expires, sender=self._sender, parameters=parameters)
            )

    def _to_owners(self, index: int, address: Address, owners: Sequence[AccountRow]) -> Verdict | None:
        """As to any recipient; refused only where no owner takes it."""
        door = self._members_door()
        outcomes = [self._into_mailbox(one, Addressee(one.address, index), self._direct(), self._path(), door) for one in owners]
        return None if None in outcomes else outcomes[0]

    async def _to_list(self, posting: Posting) -> Verdict | None:
        """Members whose account is closed simply get no copy, of those whose mailbox is full the owners hear: neither is the
        poster's business."""
        self.plan.refused_lists += posting.refused
        octets = for_list(self._octets, self._header, posting)
        bounces = bounce_address(posting.address)
        local: NewMessage | None = None
        for number, member in enumerate(posting.members):
            await _breathe(number)
            if local is None:
                local = arrived(return_path_field(str(bounces)) + octets)
            addressee = Addressee(member.address, bounces=bounces)
            verdict = self._into_mailbox(member, addressee, local, str(bounces), self._members_door())
            if verdict is not None and verdict.reason is Reason.RECIPIENT_OVER_QUOTA:
                self.plan.bounces.setdefault(bounces, []).append(failed(member.address, verdict))
        for lost in posting.lost:
            failure = failed(lost.address, Refuse(Reason.RECIPIENT_UNKNOWN))
            self.plan.bounces.setdefault(bounces, []).append(failure)
            if lost.number is not None:
                self.plan.steps.append(CountBounce(lost.number, f"{failure.status} {failure.reply}", self._delivery.robot.rules.bounces))
        if posting.externals and self._delivery.rules.relays:
            onward = arrived(octets)
            seal = None
            if self._sender is None and not self._ours:
                self.plan.sent_on.add(posting.address.domain)
                seal = None if self._findings is None else Seal(posting.address.domain, self._findings)
            parameters = marked("{}", Origin(seal=seal))
            for number, external in enumerate(posting.externals):
                await _breathe(number)
                path = envelope_sender(self._delivery.robot.tags, posting.address, external)
                self._onto_relay(external.address, onward, path, parameters)
        elif posting.externals:
            log.warning(
                "list", extra={"fields": {"account": str(posting.address), "outcome": "external members left out: no relay is set"}}
            )
        return None

    def _members_door(self) -> Door:
        # Among many members LMTP cannot defer for one: whom the peer would queue for, we hold.
        return Door.MX if self._routing.door is Door.LMTP else self._routing.door

    def been_at(self) -> frozenset[bytes]:
        """The marks of the lists that it has been at: values of Delivered-To and List-Id, in lower case."""
        return self._marks

    @cached_property
    def _marks(self) -> frozenset[bytes]:
        return marks_of(self._octets, self._header)

    @cached_property
    def _is_reply(self) -> bool:
        return is_automatic_reply(self._octets, self._header)

    async def _hold(self, posting: Posting) -> None:
        """For each list whose owners see it first: it waits in the queue, and they are told."""
        robot, lifetime = self._delivery.robot, self._delivery.rules.lifetime
        for held in posting.held:
            if held.row.id in self._waiting:  # it was sent to another address of the list too, or to one that it is in
                continue
            self._waiting.add(held.row.id)
            row, reaction = await hold(
                robot, self._routing, posting, held, self._octets, self._header, self._path(), self._sender, lifetime
            )
            self.plan.queued.append(row)
            await self._react(reaction)

    async def _at_list(self, index: int, at: AtList) -> Verdict | None:
        asked = (at.row.id, at.role, at.tag)
        if asked not in self._asked:  # the same under another name: a request can be confirmed once
            self._asked[asked] = await self._react_to(index, at)
        return self._asked[asked]

    async def _react_to(self, index: int, at: AtList) -> Verdict | None:
        reaction = await self._delivery.robot.answer(self._routing, at, self._octets, self._header)
        await self._react(reaction)
        if not reaction.to_owners:
            return None
        route = await self._routing.to_owners(at)
        return self._to_owners(index, route.address, route.owners) if isinstance(route, ToOwners) else route

    async def _react(self, reaction: Reaction) -> None:
        self.plan.steps += reaction.steps
        self.plan.audit += reaction.audit
        self.plan.letters += await self._delivery.letters(self._routing.snapshot, reaction.letters)


@dataclass(frozen=True, slots=True)
class Peer:
    """Who brought a message, as its Received field has it (RFC 5321 section 4.4): address, name in EHLO, and the word after `with`."""

    ip: str
    helo: str
    protocol: str


class Inbound:
    """One message that comes in by LMTP or MX."""

    def __init__(self, delivery: Delivery, door: Door, reverse_path: Address | None, peer: Peer, dsn: Sequence[str] = ()) -> None:
        self._delivery = delivery
        self._door = door
        self._reverse_path = reverse_path
        self._peer = peer
        self._recipients: list[Address] = []
        self._mail = dsn
        self._each: list[Sequence[str]] = []
        self._known = False
        self._findings: Findings | None = None

    async def add(self, recipient: Address, dsn: Sequence[str] = ()) -> None:
        """`dsn`: NOTIFY and ORCPT (gateway.dsn). Raises Refused."""
        async with self._delivery._store.snapshot() as snapshot:
            await self._delivery.takes(snapshot, self._door, recipient, self._poster())
        self._recipients.append(recipient)
        self._each.append(dsn)

    async def commit(self, octets: bytes) -> list[str | Refuse | Defer]:
        """One outcome per recipient, in the order of RCPT: the queue id, or why not.

        At MX, whose DATA has one reply, a recipient that has changed since RCPT gets a delivery report, and the list holds the
        queue id for all; Refused is raised where every one is refused, and for a mail loop.
        """
        header = read_header(octets)
        if self._door is Door.MX and not header.complete:
            # What stands behind would pass unseen: what others found out about it in our name, a loop.
            raise Refused(Refuse(Reason.MALFORMED_MESSAGE, "the header is longer than is read"))
        if len(fields_named(header, (b"received",))) > self._delivery.rules.hops:
            raise Refused(Refuse(Reason.MAIL_LOOP, "too many Received fields"))
        key = queue_id()
        for pause in pauses(asyncio.get_running_loop().time):
            if pause:
                await asyncio.sleep(pause)
            try:
                outcomes = await self._try(octets, header, key)
                if outcomes is None:
                    self._known = True
                    self._findings = await self._delivery.findings(self._door, octets)
                    outcomes = await self._try(octets, header, key)
                if outcomes is not None:
                    return outcomes
            except (Stale, NotFound):
                continue
            except (Busy, OverQuota) as fault:
                log.error("delivery", extra={"fields": {"queue_id": key, "outcome": "put off", "reason": str(fault)}})
                raise Refused(later(fault) if isinstance(fault, Busy) else Defer(Reason.BUSY)) from fault
        raise Refused(Defer(Reason.BUSY))

    async def _try(self, octets: bytes, header: Header, key: str) -> list[str | Refuse | Defer] | None:
        """None: nothing was done, for it has to be known first what can be found out about the message."""
        delivery = self._delivery
        lmtp = self._door is Door.LMTP
        async with delivery._store.snapshot() as snapshot:
            received = received_field(
                by=delivery.rules.hostname,
                protocol=self._peer.protocol,
                identifier=key,
                at=datetime.fromtimestamp(snapshot.now / 1_000_000, UTC),
                helo=self._peer.helo or None,
                source=self._peer.ip or None,
            )
            forged = () if lmtp else forged_results(octets, header, delivery.rules.authserv_ids)
            remove = (*fields_named(header, (b"return-path",)), *forged)
            whole = rewrite(octets, header, remove=remove, top=(received,))
            routing = delivery.routing(snapshot, self._door, self._poster())
            requests = Requests(self._mail, self._each)
            plan = await delivery.plan(routing, self._recipients, whole, self._reverse_path, requests=requests, findings=self._findings)
            if not self._known and await delivery.is_sealed(snapshot, plan):
                return None
            extra = await delivery.bounces(snapshot, plan, octets)
            if not lmtp:
                nobody = plan.everything_refused()
                if nobody is not None:
                    raise Refused(nobody)
                failures = plan.failures(self._recipients)
                extra.append(await delivery.report(snapshot, self._reverse_path, failures, octets, mail=self._mail))
            witness = await snapshot.witness(*routing.scopes, valid_until=routing.valid_until)
        if plan.is_empty and not any(map(_does_something, extra)):
            return [key if verdict is None else verdict for verdict in plan.outcomes]
        accepted = await delivery.accept(plan, witness, key, (), (), extra, uses=routing.used)
        outcomes: list[str | Refuse | Defer] = [key if verdict is None else verdict for verdict in plan.outcomes]
        skipped = delivery.skipped(plan, accepted)
        if lmtp:
            for index in skipped:
                outcomes[index] = (Refuse if delivery.rules.quota_rejects else Defer)(Reason.RECIPIENT_OVER_QUOTA)
        else:
            outcomes = [key] * len(outcomes)
        await delivery.report_outcomes(plan, accepted, self._recipients, self._reverse_path, octets, lmtp=lmtp)
        outcome = f"{len(plan.copies)} delivered, {len(plan.queued)} queued"
        log.info("delivery", extra={"fields": {"queue_id": key, "protocol": str(self._door), "source": self._peer.ip, "outcome": outcome}})
        return outcomes

    def _poster(self) -> Poster:
        """From `lmtp_networks` a MAIL FROM in a local domain counts as that person; at MX it satisfies no grant (delegation.md 9)."""
        known_as = self._reverse_path if self._door is Door.LMTP else None
        return Poster(None, self._reverse_path is None, known_as, envelope=self._reverse_path)


def takes_now(row: AccountRow, door: Door) -> Hold | Refuse | Defer | None:
    """Would this account take a message of unknown size at this door? None: yes. For who explains a refusal."""
    verdict = judge_recipient(row.status, door, QuotaFacts(row.used, row.values.quota, 0, domain=row.domain_room))
    return verdict if isinstance(verdict, Hold | Refuse | Defer) else None


def pauses(clock: Callable[[], float]) -> Iterator[float]:
    """Seconds to wait before each judgement of one message, the first of them 0; it ends when JUDGED_FOR is over. `clock`: seconds."""
    end = clock() + JUDGED_FOR
    yield 0.0
    pause = 0.002
    while clock() < end:
        # Not in step with others who wait for the same.
        yield pause * (0.5 + secrets.randbelow(1000) / 1000)
        pause = min(2 * pause, _PAUSE)


async def _breathe(number: int) -> None:
    """Others have their turn while a long list is gone through."""
    if number % _AT_ONCE == _AT_ONCE - 1:
        await asyncio.sleep(0)


def _does_something(deed: AcceptMessage) -> bool:
    return bool(deed.copies or deed.queued or deed.steps)


def _messages(deed: AcceptMessage) -> list[NewMessage]:
    return [one.message for one in deed.copies] + [one.message for one in deed.queued] + [one.message for one in deed.filing]


def queue_id() -> str:
    """By which a message is known in replies, Received, log, queue and audit: the time in milliseconds or so, and 48 random bits.

    What is accepted together has neighbouring ids, so that the rows that remember them share a page of the database; at random each
    would write one of its own."""
    return f"{time.time_ns() >> 20 & 0xFFFFFFFF:08x}{secrets.token_hex(6)}"
