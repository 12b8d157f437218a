"""One submitted message: who it is from is judged, it is rewritten or refused, and accepted whole in one deed."""

import asyncio
import logging
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from gateway.arrival import arrived
from gateway.decisions import new_decision
from gateway.delivery import NOTHING_COUNTED, Counting, Delivery, DeliveryRules, Plan, pauses, queue_id
from gateway.dsn import Requests, without_envelope_id
from gateway.folders import Folders, Place
from gateway.grant_use import stood_on
from gateway.message import headers
from gateway.message.calendar import Answer, MalformedCalendar, Speaker, add_sent_by, answers, mentions_calendar
from gateway.message.canonical import read_address, read_domain
from gateway.message.originators import Originators as RawOriginators
from gateway.message.originators import RawMailbox, originators
from gateway.message.split import Field, Header, MalformedHeader, read_header, read_submitted_header, unfolded
from gateway.message.structure import parse
from gateway.own_senders import OwnSenders
from gateway.postponed import Postponed
from gateway.rates import reached_first, too_much
from gateway.refusal import Refused, later
from gateway.refusals import UNRECORDED, Budget
from gateway.reports import list_refused
from gateway.routing import Poster, Routing, bounce_address
from gateway.sending import Gathered, gather, list_address, may_send_as_address, principal_row
from gateway.trace import spell_trace
from policy.cos import DelegatedSent
from policy.decision import Decision, Witness, step
from policy.delivery import Door
from policy.folders import FolderOp, SpecialUse
from policy.grants import SendRight, earliest
from policy.identity import AccountId, Actor, Address, BadAddress
from policy.rates import RateLimit
from policy.reasons import Defer, Reason, Refuse, Verdict
from policy.submission import (
    EnvelopeVerdict,
    Invitation,
    InvitationVerdict,
    Kind,
    Originators,
    ResentBlock,
    SenderFacts,
    SenderVerdict,
    judge_envelope,
    judge_invitation,
    judge_originators,
    judge_reverse_path,
    may_answer,
    rate_limits,
    waits,
)
from store import accounts, addresses, folders, lists
from store.addresses import ObjectKind
from store.audit import AuditEntry, RecordAudit
from store.errors import Busy, NotFound, OverQuota, Stale
from store.model import QueueId, QueueKind
from store.port import Snapshot, Store
from store.queue import AcceptMessage, Delegation, Filing, OntoQueue
from store.rates import RateReached, Reached
from store.tenure import Used

log = logging.getLogger(__name__)

_TO_SEND: Final = f"{SendRight.SEND_AS} or {SendRight.SEND_ON_BEHALF_OF}"
_MISSING: Final[Mapping[Reason, str]] = {
    Reason.SENDER_NOT_PERMITTED: _TO_SEND,
    Reason.REVERSE_PATH_NOT_PERMITTED: _TO_SEND,
    Reason.PRINCIPAL_STATUS: _TO_SEND,
    Reason.PRINCIPAL_MAINTENANCE: _TO_SEND,
    Reason.PRINCIPAL_FROZEN: _TO_SEND,
    Reason.ACTOR_FROZEN: _TO_SEND,
    Reason.INVITATION_NOT_PERMITTED: "x",
    Reason.POSTING_NOT_PERMITTED: SendRight.SEND_TO_LIST,
}
"""The right that was asked for, as a refusal is recorded."""
_POSTING: Final = Reason.POSTING_NOT_PERMITTED
_SENDING: Final = (SendRight.SEND_AS, SendRight.SEND_ON_BEHALF_OF)
_BY_STATUS: Final = frozenset({Reason.PRINCIPAL_STATUS, Reason.PRINCIPAL_MAINTENANCE})
_ASKED: Final[Mapping[Reason, Sequence[SendRight]]] = {
    Reason.SENDER_NOT_PERMITTED: _SENDING,
    Reason.REVERSE_PATH_NOT_PERMITTED: _SENDING,
    Reason.PRINCIPAL_STATUS: _SENDING,
    Reason.PRINCIPAL_MAINTENANCE: _SENDING,
    _POSTING: (SendRight.SEND_TO_LIST,),
}
_SOON_READ: Final = 32 * 1024
"""Octets of a message that is read at once: a millisecond, ten if it is an answer to an invitation with hundreds of guests."""
_SOON_LOOKED_THROUGH: Final = 256 * 1024
"""Octets in which a calendar is looked for at once: half a millisecond."""


@dataclass(frozen=True, slots=True)
class SubmissionRules:
    """Limits of a submitted header: octets and fields (robustness.md section 1.2)."""

    header_octets: int
    header_fields: int


class Submission:
    """Begins transactions; knows where messages go through `delivery`, and folders only for `x` and for resending."""

    def __init__(self, store: Store, delivery: Delivery, folders: Folders, rules: SubmissionRules) -> None:
        self._store = store
        self._delivery = delivery
        self._folders = folders
        self._rules = rules
        self._budget = Budget()
        self._own_senders = OwnSenders()

    async def begin(
        self,
        actor: Actor,
        reverse_path: Address | None,
        smtputf8: bool,
        source: str = "",
        *,
        secured: bool = False,
        release: int | None = None,
        dsn: Sequence[str] = (),
    ) -> "Transaction":
        """MAIL; `reverse_path` None is `<>`, `source` the client's address for the record, `secured`: it came by TLS; `release`:
        not to be sent before (RFC 4865), microseconds since 1970; `dsn`: RET and ENVID (gateway.dsn).

        Raises Refused (REVERSE_PATH_NOT_PERMITTED) for a path that no From could justify.
        """
        act = Act(actor, source)
        async with self._store.snapshot() as snapshot:
            gathered = await self.gathered(snapshot, actor, () if reverse_path is None else (reverse_path,))
            counting = _limits(act, gathered)
            why = await snapshot.ask(reached_first, counting)
        verdict = judge_reverse_path(reverse_path, gathered.facts)
        withheld = gathered.facts.withheld is not None
        if reverse_path not in (None, verdict) and not withheld and await self._may_answer_for(actor, reverse_path):
            # The From of an invitation's answer may justify it (section 7): what the message is shows at the end of DATA.
            verdict = reverse_path
        if isinstance(verdict, Refuse | Defer):
            raise await self.refused(act, verdict, "")
        if why is not None:
            raise await self.refused(act, await self.too_much(act, why), "")
        return Transaction(self, act, verdict, _protocol(smtputf8=smtputf8, secured=secured), smtputf8, release, dsn, counting)

    async def gathered(self, snapshot: Snapshot, actor: Actor, named: Iterable[Address]) -> Gathered:
        """What the directory says about who sends. Raises Refused where their session is over."""
        gathered = await self._own_senders.gathered(snapshot, actor, named)
        if isinstance(gathered, Refuse):
            raise Refused(gathered)
        return gathered

    async def too_much(self, act: "Act", why: Reached) -> Defer:
        """The limit in words, and when it is possible again."""
        principal = why.limit.principal
        async with self._store.snapshot() as snapshot:
            name = await _address_of(snapshot, principal) if principal else None
        return too_much(why, name)

    def resumed(self, asked: Postponed, row: QueueId, lease: str) -> "Transaction":
        """What was postponed, at its time: `commit` judges it as if it came now, and the row's end is part of what it accepts."""
        act = Act(asked.actor, asked.source)
        transaction = Transaction(self, act, asked.reverse_path, asked.protocol, asked.smtputf8, dsn=asked.requests.mail)
        transaction._recipients = [*asked.recipients]
        transaction._each = [*asked.requests.each]
        transaction._settles = (row, lease)
        transaction._filed = asked.filed
        return transaction

    async def accepts(self, actor: Actor, attendee: Address) -> tuple[AccountId | None, Decision, Witness]:
        """The local account that an attendee is, whether the actor holds `x` there, and what that rests on."""
        async with self._store.snapshot() as snapshot:
            found = await snapshot.ask(addresses.resolve, attendee)
            if found is None or found.kind is not ObjectKind.ACCOUNT:
                return None, Decision(None), Witness()
            calendar = await snapshot.ask(folders.by_special_use, AccountId(found.id), SpecialUse.CALENDAR)
            # Taken before the question is asked: a change in between makes the deed stale.
            resting_on = await snapshot.witness(found.id, actor.account)
        place = Place(str(found.address), "/" if calendar is None else calendar.path)
        decision = await self._folders.may(actor, FolderOp.ACCEPT, place)
        return AccountId(found.id), decision, resting_on.joined(Witness(valid_until=decision.valid_until))

    async def _may_answer_for(self, actor: Actor, attendee: Address) -> bool:
        """Maintenance is told only to who holds the right: it counts as held here, as with send rights."""
        account, decision, _ = await self.accepts(actor, attendee)
        return account is not None and not isinstance(decision.refusal, Refuse)

    async def envelope(self, act: "Act", reverse_path: Address | None) -> EnvelopeVerdict:
        """May the actor send from this address through a neighbour that shows us no message? Raises Refused, on record."""
        async with self._store.snapshot() as snapshot:
            verdict = await self.envelope_in(snapshot, act.actor, reverse_path)
        if isinstance(verdict, Refuse | Defer):
            raise await self.refused(act, verdict, "", "envelope")
        return verdict

    async def envelope_in(self, snapshot: Snapshot, actor: Actor, reverse_path: Address | None) -> EnvelopeVerdict | Verdict:
        """The same question without a record: nobody sends yet."""
        gathered = await gather(snapshot, actor, () if reverse_path is None else (reverse_path,))
        return gathered if isinstance(gathered, Refuse) else judge_envelope(reverse_path, gathered.facts)

    async def permitted(self, act: "Act", verdict: EnvelopeVerdict, queue_id: str) -> None:
        """What a neighbour was told about an envelope sender that is another's goes on record. Raises Refused (BUSY)."""
        if verdict.principal is None or verdict.decision is None:
            return
        entry = act.entry(
            new_decision(),
            f"envelope: {verdict.kind}",
            allowed=True,
            because=verdict.decision.because,
            decided=verdict.decision,
            principal=verdict.principal.id,
            principal_address=str(verdict.principal.primary),
            right=verdict.kind,
            queue_id=queue_id,
        )
        try:
            await self._store.do(RecordAudit((entry,)))
        except Busy as fault:
            raise Refused(later(fault)) from None

    async def posting_refused(self, act: "Act", refused: Refused, recipient: Address, message_id: str) -> Refused:
        """What a list refuses is a decision about the actor, and so on record; every other refusal only says how things are."""
        if refused.verdict.reason is not _POSTING:
            return refused
        async with self._store.snapshot() as snapshot:
            group = await snapshot.ask(addresses.resolve, recipient)
        verdict = Refuse(_POSTING, refused.verdict.detail, principal=None if group is None else group.id)
        return await self.refused(act, verdict, message_id, "post")

    async def refused(self, act: "Act", verdict: Verdict, message_id: str, event: str = "send") -> Refused:
        """The refusal, on record under its decision id. Where even that cannot be written, "later" takes its place."""
        if not self._budget.spend(act.actor.person):
            return Refused(replace(verdict, decision=UNRECORDED))
        decision = new_decision()
        try:
            async with self._store.snapshot() as snapshot:
                address = None if verdict.principal is None else await _address_of(snapshot, verdict.principal)
            decided = await self._how(act, verdict)
            entry = act.entry(
                decision,
                event,
                allowed=False,
                because=verdict.detail or verdict.reason,
                principal=verdict.principal,
                principal_address=str(address or ""),
                right=_MISSING.get(verdict.reason, ""),
                message_id=message_id,
                detail=verdict.asked,
                decided=decided,
            )
            await self._store.do(RecordAudit((entry,)))
        except Busy as fault:
            return Refused(later(fault))
        fields = {"account": str(act.actor.address), "outcome": "refused", "reason": verdict.reason, "decision": decision}
        log.warning("submission", extra={"fields": fields})
        return Refused(type(verdict)(verdict.reason, verdict.detail, decision))

    async def _how(self, act: "Act", verdict: Verdict) -> Decision | None:
        """Which grants were looked at, for the record; None where no grant was asked, or one that came meanwhile would have allowed it."""
        if verdict.principal is None:
            return None
        if verdict.reason is Reason.INVITATION_NOT_PERMITTED:
            try:
                _, decision, _ = await self.accepts(act.actor, read_address(verdict.asked))
            except (BadAddress, Refused):
                return None
            return None if decision.allowed else decision
        rights = _ASKED.get(verdict.reason, ())
        async with self._store.snapshot() as snapshot:
            standing = await snapshot.ask(lists.standing, act.actor.account)
            try:
                found = await snapshot.ask(addresses.resolve, read_address(verdict.asked)) if verdict.asked else None
            except BadAddress:
                found = None
            found = found or await snapshot.ask(addresses.primary, verdict.principal)
            if standing is None or found is None or found.id != verdict.principal:
                return None
            judged = [await may_send_as_address(snapshot, standing, found, right) for right in rights]
        if verdict.reason in _BY_STATUS:
            held = next((one for one in judged if one.allowed), None)
            return None if held is None else Decision(verdict, (*held.trace, step(verdict.detail, decided=True)))
        if not judged or any(one.allowed for one in judged):
            return None
        return Decision(verdict, tuple(one for decision in judged for one in decision.trace))


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts, and from where: what every record about this transaction has in common."""

    actor: Actor
    source: str
    protocol: str = "smtp"

    def entry(
        self,
        decision: str,
        event: str,
        *,
        allowed: bool,
        because: str,
        principal: int | None = None,
        principal_address: str = "",
        right: str = "",
        message_id: str = "",
        queue_id: str = "",
        detail: str = "",
        decided: Decision | None = None,
    ) -> AuditEntry:
        """`because`: the grant or rule that decided, or what was missing; `decided`: how it came about, where grants were asked."""
        actor = self.actor
        return AuditEntry(
            decision=decision,
            event=event,
            allowed=allowed,
            actor=actor.account,
            actor_address=str(actor.address),
            person=actor.via,
            person_address=str(actor.via_address or ""),
            principal=principal,
            principal_address=principal_address,
            right=right,
            because=actor.on_record(because),
            protocol=self.protocol,
            source=self.source,
            message_id=message_id,
            queue_id=queue_id,
            detail=detail,
            trace="" if decided is None else spell_trace(decided),
        )


@dataclass(frozen=True, slots=True)
class _Read:
    """A submitted message, read once: every later judgement looks at this and at nothing else."""

    octets: bytes
    header: Header
    raw: RawOriginators
    claimed: Originators
    answers: Sequence[tuple[Answer, Speaker]]
    """To invitations, each with the attendee for whom it speaks."""
    message_id: str


@dataclass(frozen=True, slots=True)
class _Answered:
    """An invitation that the message answers in the name of a local account other than the actor."""

    attendee: Address
    account: AccountId
    answer: Answer
    speaker: Speaker
    verdict: InvitationVerdict


class Transaction:
    """From MAIL to the end of DATA."""

    def __init__(
        self,
        service: Submission,
        act: Act,
        reverse_path: Address | None,
        protocol: str,
        smtputf8: bool,
        release: int | None = None,
        dsn: Sequence[str] = (),
        counting: tuple[RateLimit, ...] = (),
    ) -> None:
        self._service = service
        self._act = act
        self._reverse_path = reverse_path
        self._protocol = protocol
        self._smtputf8 = smtputf8
        self._release = release
        self._settles: tuple[QueueId, str] | None = None
        self._filed = False
        self._counting = counting
        self._too_many: Refused | None = None
        self._recipients: list[Address] = []
        self._mail = dsn
        self._each: list[Sequence[str]] = []

    async def add(self, recipient: Address, dsn: Sequence[str] = ()) -> None:
        """RCPT; `dsn`: NOTIFY and ORCPT (gateway.dsn). Raises Refused."""
        service = self._service
        try:
            async with service._store.snapshot() as snapshot:
                poster = Poster(None, self._reverse_path is None, account=self._act.actor.account)
                await service._delivery.takes(snapshot, Door.SUBMISSION, recipient, poster)
                why = await snapshot.ask(reached_first, self._counting, len(self._recipients) + 1)
        except Refused as refused:
            raise await self._posting_refused(refused, recipient, "") from None
        if why is not None:
            if self._too_many is None:  # the others that are refused say the same, and are on record with it
                self._too_many = await service.refused(self._act, await service.too_much(self._act, why), "")
            raise self._too_many
        self._recipients.append(recipient)
        self._each.append(dsn)

    async def _posting_refused(self, refused: Refused, recipient: Address, message_id: str) -> Refused:
        return await self._service.posting_refused(self._act, refused, recipient, message_id)

    async def commit(self, octets: bytes) -> str:
        """Judges, rewrites and accepts; returns the queue id when all of it is durable. Raises Refused, and nothing was done."""
        service = self._service
        try:
            read = await asyncio.to_thread(self._read, octets) if _takes_time(octets) else self._read(octets)
        except MalformedHeader as offence:
            raise await service.refused(self._act, Refuse(Reason.MALFORMED_MESSAGE, str(offence)), "") from None
        except MalformedCalendar as offence:
            raise await service.refused(self._act, Refuse(Reason.MALFORMED_CALENDAR, str(offence)), "") from None
        if len(headers.fields_named(read.header, (b"received",))) > service._delivery.rules.hops:
            raise Refused(Refuse(Reason.MAIL_LOOP, "too many Received fields"))
        key = queue_id()
        for pause in pauses(asyncio.get_running_loop().time):
            await asyncio.sleep(pause)
            try:
                done = await self._try(read, key)
                if isinstance(done, str):
                    return done
                raise await service.refused(self._act, done, read.message_id)
            except Refused as refused:
                raise await self._posting_refused(refused, self._recipients[0], read.message_id) from None
            except RateReached as limit:
                too_much = await service.too_much(self._act, limit.reached)
                raise await service.refused(self._act, too_much, read.message_id) from None
            except (Stale, NotFound):
                continue
            except (Busy, OverQuota) as fault:
                log.error("submission", extra={"fields": {"queue_id": key, "outcome": "put off", "reason": str(fault)}})
                raise Refused(later(fault) if isinstance(fault, Busy) else Defer(Reason.BUSY)) from fault
        raise Refused(Defer(Reason.BUSY))

    def _read(self, octets: bytes) -> _Read:
        rules = self._service._rules
        header = read_submitted_header(octets, max_octets=rules.header_octets, max_fields=rules.header_fields)
        raw = originators(octets, header, smtputf8=self._smtputf8)
        claimed = Originators(
            tuple(_canonical(one, b"from") for one in raw.from_),
            None if raw.sender is None else _canonical(raw.sender, b"sender"),
            tuple(_canonical_block(one.from_, one.sender) for one in raw.resent),
        )
        found = answers(octets, parse(octets)) if mentions_calendar(octets) else ()
        author = next(iter(claimed.from_), self._act.actor.address)
        spoken = [(answer, answer.speaker(author)) for answer in found]
        return _Read(octets, header, raw, claimed, spoken, _message_id(octets, header))

    async def _try(self, read: _Read, key: str) -> str | Verdict:
        """The queue id, or why this may not be sent. Raises Refused where nobody takes it."""
        service, delivery = self._service, self._service._delivery
        accepts, resting_on = await self._may_accept(read)
        resendable, resends = await self._may_resend(read)
        async with service._store.snapshot() as snapshot:
            gathered = await service.gathered(snapshot, self._act.actor, self._named(read))
            answered, verdict = self._judge(read, gathered.facts, accepts, resendable)
            if isinstance(verdict, Refuse | Defer):
                return verdict
            final = _rewritten(read, verdict, answered, gathered.facts, delivery.rules, snapshot.now)
            message_id = read.message_id or _message_id(final, read_header(final))
            routing = delivery.routing(snapshot, Door.SUBMISSION, Poster(gathered.facts.actor, self._reverse_path is None))
            reverse_path = await self._envelope_sender(snapshot, verdict)
            own = {Kind.SEND_AS, Kind.ON_BEHALF}.isdisjoint(verdict.kinds)
            requests = Requests(self._mail if own else without_envelope_id(self._mail), self._each)
            plan = await self._plan(routing, final, key, reverse_path, requests)
            extra = await self._reports(snapshot, plan, reverse_path, final)
            filing, audit = await self._on_record(snapshot, verdict, final, key, message_id)
            audit += [self._answer_entry(one, key, message_id) for one in answered]
            audit += await self._posts_entries(snapshot, plan, key, message_id)
            now = snapshot.now
            valid_until = earliest((gathered.valid_until, routing.valid_until))
            witness = await snapshot.witness(*gathered.scopes, *routing.scopes, valid_until=valid_until)
        witness = witness.joined(Witness(valid_until=verdict.valid_until)).joined(resting_on).joined(resends)
        spoken_for = _spoken_for(verdict, answered)
        counting = Counting(_limits(self._act, gathered, [one for one, _ in spoken_for]), len(self._recipients))
        delegation = _delegation(self._act.actor, spoken_for)
        window = waits(spoken_for, gathered.facts) * 1_000_000
        at = max(self._release or 0, now + window)
        if self._settles is None and at > now:
            octets = _complete(read, final) if window else read.octets
            postponed = self._postponed(octets, at, delegation, filed=bool(window), files=bool(filing) and not window)
            # Filed now, so that there is something to move back: this is what a recall window is for.
            filed = filing if window else ()
            audit = [_postponing(one) for one in audit]
            await delivery.accept(Plan(queued=[postponed]), witness, key, filed, audit, (), counting=counting, waits=True)
            fields = {"account": str(self._act.actor.address), "queue_id": key, "outcome": "postponed", "message_id": message_id}
            log.info("submission", extra={"fields": fields})
            return key
        if delegation is not None:
            plan.queued = [replace(one, delegation=delegation) for one in plan.queued]
        if self._settles is not None:
            counting = NOTHING_COUNTED  # it was, when it was taken
        filing = [] if self._filed else filing
        uses = [*_uses(verdict, answered), *routing.used]
        accepted = await delivery.accept(plan, witness, key, filing, audit, extra, self._settles, counting=counting, uses=uses)
        await delivery.report_outcomes(plan, accepted, self._recipients, reverse_path, final)
        outcome = ", ".join(verdict.kinds)
        fields = {"account": str(self._act.actor.address), "queue_id": key, "outcome": outcome, "message_id": message_id}
        log.info("submission", extra={"fields": fields})
        return key

    def _postponed(self, octets: bytes, at: int, delegation: Delegation | None, *, filed: bool, files: bool) -> OntoQueue:
        """One row for all recipients, with the octets as they were submitted: only what goes out is rewritten. `filed`: the copy has been;
        `files`: it will be, unless the client has appended its own by then (delegation.md section 6)."""
        asked = Postponed(
            at,
            self._act.actor,
            self._reverse_path,
            self._recipients,
            self._smtputf8,
            self._protocol,
            self._act.source,
            Requests(self._mail, self._each),
            filed,
        )
        return OntoQueue(
            QueueKind.RELAY,
            str(self._recipients[0]),
            arrived(octets),
            "" if self._reverse_path is None else str(self._reverse_path),
            at + self._service._delivery.rules.lifetime,
            sender=self._act.actor.account,
            parameters=asked.spelled(),
            due=at,
            delegation=delegation,
            expects_copy=files,
        )

    def _named(self, read: _Read) -> Iterable[Address]:
        """Every address that some rule may ask about."""
        yield from read.claimed.from_
        if read.claimed.sender is not None:
            yield read.claimed.sender
        for block in read.claimed.resent[:1]:
            yield from block.from_
            if block.sender is not None:
                yield block.sender
        if self._reverse_path is not None:
            yield self._reverse_path
        for invitation, _, _ in _answers(read):
            yield invitation.attendee
            if invitation.sent_by is not None:
                yield invitation.sent_by

    async def _may_accept(self, read: _Read) -> tuple[Mapping[Address, tuple[AccountId | None, Decision]], Witness]:
        """For each attendee that the message answers for: the local account it is, and whether the actor holds `x` there."""
        accepts: dict[Address, tuple[AccountId | None, Decision]] = {}
        resting_on = Witness()
        for invitation, _, _ in _answers(read):
            account, decision, one = await self._service.accepts(self._act.actor, invitation.attendee)
            accepts[invitation.attendee] = (account, decision)
            resting_on = resting_on.joined(one)
        return accepts, resting_on

    def _judge(
        self, read: _Read, facts: SenderFacts, accepts: Mapping[Address, tuple[AccountId | None, Decision]], resendable: bool
    ) -> tuple[Sequence[_Answered], SenderVerdict | Verdict]:
        """The invitations it answers first (section 7), for what they allow counts when From and Sender are judged."""
        answered: list[_Answered] = []
        for invitation, answer, speaker in _answers(read):
            attendee, accept = accepts[invitation.attendee]
            verdict = judge_invitation(invitation, read.claimed.from_, attendee, accept, facts, read.claimed.sender)
            if isinstance(verdict, Refuse | Defer):
                return (), verdict
            if verdict is not None and attendee is not None:
                answered.append(_Answered(invitation.attendee, attendee, answer, speaker, verdict))
                facts = may_answer(facts, invitation.attendee, accept)
        return answered, judge_originators(read.claimed, self._reverse_path, facts, resendable)

    async def _may_resend(self, read: _Read) -> tuple[bool, Witness]:
        """5.5: is the original, its From, Sender, Date and Message-ID octet for octet, in a folder where the actor may read?"""
        if not read.claimed.resent or not read.message_id:
            return False, Witness()
        service = self._service
        async with service._store.snapshot() as snapshot:
            row = await snapshot.ask(accounts.by_id, self._act.actor.account)
        if row is None or not row.values.allow_resend:
            return False, Witness()
        originals, witness = await service._folders.originals(self._act.actor, read.message_id)
        claimed = _identity_fields(read.octets)
        return any(_identity_fields(octets) == claimed for octets in originals), witness

    async def _plan(self, routing: Routing, final: bytes, key: str, reverse_path: Address | None, requests: Requests) -> Plan:
        """Received names nobody (5.8): neither login nor client address nor what it said in EHLO."""
        rules = self._service._delivery.rules
        at = datetime.fromtimestamp(routing.snapshot.now / 1_000_000, UTC)
        received = headers.received_field(by=rules.hostname, protocol=self._protocol, identifier=key, at=at)
        plan = await self._service._delivery.plan(
            routing, self._recipients, received + final, reverse_path, self._act.actor.account, requests=requests
        )
        nobody = plan.everything_refused()
        if nobody is not None:
            raise Refused(nobody)
        return plan

    async def _posts_entries(self, snapshot: Snapshot, plan: Plan, key: str, message_id: str) -> list[AuditEntry]:
        """One record for every list that the others were not kept from: nested ones, and those that have been restricted since RCPT."""
        refused = [one for one, verdict in zip(self._recipients, plan.outcomes, strict=True) if verdict and verdict.reason is _POSTING]
        entries = []
        for address in dict.fromkeys([*plan.refused_lists, *refused]):
            group = await snapshot.ask(addresses.resolve, address)
            entries.append(
                self._act.entry(
                    new_decision(),
                    "post",
                    allowed=False,
                    because=str(address),
                    principal=None if group is None else group.id,
                    principal_address=str(address if group is None else group.address),
                    right=_MISSING[_POSTING],
                    message_id=message_id,
                    queue_id=key,
                )
            )
        return entries

    async def _reports(self, snapshot: Snapshot, plan: Plan, reverse_path: Address | None, final: bytes) -> list[AcceptMessage]:
        delivery = self._service._delivery
        failures = plan.failures(self._recipients)
        report = await delivery.report(snapshot, reverse_path, failures, final, mail=plan.requests.mail)
        extra = [report, *await delivery.bounces(snapshot, plan, final)]
        for refused in plan.refused_lists:
            subject, text = list_refused(refused)
            extra.append(await delivery.notice(snapshot, self._act.actor.address, subject, text))
        return extra

    async def _envelope_sender(self, snapshot: Snapshot, verdict: SenderVerdict) -> Address | None:
        if verdict.bounce_list is not None:
            address = await list_address(snapshot, verdict.bounce_list)
            if address is not None:
                return bounce_address(address)
        return verdict.reverse_path

    async def _on_record(
        self, snapshot: Snapshot, verdict: SenderVerdict, final: bytes, key: str, message_id: str
    ) -> tuple[list[Filing], list[AuditEntry]]:
        """The copy of what was sent, by each principal's own setting (section 6), and one record per principal (section 11)."""
        owners: list[tuple[AccountId, int]] = []
        sender = False
        audit: list[AuditEntry] = []
        for principal, kind, decision in zip(verdict.principals, verdict.kinds, verdict.decisions, strict=False):
            if kind not in (Kind.SEND_AS, Kind.ON_BEHALF):
                continue
            row = await principal_row(snapshot, principal)
            setting = DelegatedSent.SENDER if row is None else row.values.delegated_sent
            if row is not None and setting in (DelegatedSent.OWNER, DelegatedSent.BOTH):
                owners.append((row.id, row.values.quota))
            sender = sender or setting in (DelegatedSent.SENDER, DelegatedSent.BOTH)
            address = (await list_address(snapshot, principal)) if row is None else row.address
            audit.append(
                self._act.entry(
                    new_decision(),
                    kind,
                    allowed=True,
                    because=decision.because,
                    decided=decision,
                    principal=principal,
                    principal_address=str(address or ""),
                    right=kind,
                    message_id=message_id,
                    queue_id=key,
                )
            )
        if verdict.new_from is not None and verdict.decisions[len(verdict.principals) :]:
            # From was another's, and `unauthorisedFrom = rewrite` made it the actor's.
            because = verdict.decisions[-1].because
            address = None if verdict.rewritten_from is None else await _address_of(snapshot, verdict.rewritten_from)
            audit.append(
                self._act.entry(
                    new_decision(),
                    "rewrite",
                    allowed=False,
                    because=because,
                    principal=verdict.rewritten_from,
                    principal_address=str(address or ""),
                    right=_TO_SEND,
                    message_id=message_id,
                    queue_id=key,
                )
            )
        if not owners and not sender:
            return [], audit
        return [Filing(arrived(final), self._act.actor.account, tuple(owners), sender)], audit

    def _answer_entry(self, answered: "_Answered", key: str, message_id: str) -> AuditEntry:
        return self._act.entry(
            new_decision(),
            "answer invitation",
            allowed=True,
            because=answered.verdict.decision.because,
            decided=answered.verdict.decision,
            principal=answered.account,
            principal_address=str(answered.attendee),
            right="x",
            message_id=message_id,
            queue_id=key,
        )


def _limits(act: Act, gathered: Gathered, spoken_for: Iterable[int] = ()) -> tuple[RateLimit, ...]:
    """Everything that what is sent now counts for, as far as it is known. Who acts by loginAs sends in the account's name."""
    names = [*spoken_for, *([act.actor.account] if act.actor.via is not None else [])]
    return rate_limits(gathered.person, gathered.person_values, names, gathered.facts)


def _spoken_for(verdict: SenderVerdict, answered: Sequence[_Answered]) -> list[tuple[int, Decision]]:
    """In whose names it goes, and what allowed each: From and Sender, then the attendees of invitations."""
    rows = zip(verdict.principals, verdict.kinds, verdict.decisions, strict=False)
    found = {principal: decision for principal, kind, decision in rows if kind in (Kind.SEND_AS, Kind.ON_BEHALF)}
    for one in answered:
        found.setdefault(one.account, one.verdict.decision)
    return [*found.items()]


def _delegation(actor: Actor, spoken_for: Sequence[tuple[int, Decision]]) -> Delegation | None:
    """Who has to be frozen for this to be held. None: it is nobody's but the sender's own."""
    principals = [principal for principal, _ in spoken_for]
    if actor.via is not None:
        principals.append(actor.account)
    return Delegation(actor.person, tuple(principals)) if principals else None


def _complete(read: _Read, final: bytes) -> bytes:
    """As it was submitted, with the Date and Message-ID that the filed copy has got: they are the same message."""
    ours = read_header(final)
    missing = [name for name in (b"date", b"message-id") if read.header.first(name) is None]
    fields = [final[one.start : one.end] for name in missing if (one := ours.first(name)) is not None]
    return headers.rewrite(read.octets, read.header, remove=(), replace={}, bottom=fields) if fields else read.octets


def _takes_time(octets: bytes) -> bool:
    """Would others have to wait while it is read?"""
    return len(octets) > _SOON_LOOKED_THROUGH or (len(octets) > _SOON_READ and mentions_calendar(octets))


def _uses(verdict: SenderVerdict, answered: Sequence[_Answered]) -> Iterator[Used]:
    """The grants in which it is sent."""
    for principal, kind, decision in zip(verdict.principals, verdict.kinds, verdict.decisions, strict=False):
        if kind in (Kind.SEND_AS, Kind.ON_BEHALF):
            yield from stood_on(decision, principal)
    for one in answered:
        yield from stood_on(one.verdict.decision, one.account)


def _postponing(entry: AuditEntry) -> AuditEntry:
    """Nothing is sent yet: what is decided at release is on record of its own."""
    return replace(entry, event=f"postpone: {entry.event}")


async def _address_of(snapshot: Snapshot, principal: int) -> Address | None:
    row = await principal_row(snapshot, principal)
    return await list_address(snapshot, principal) if row is None else row.address


def _protocol(*, smtputf8: bool, secured: bool) -> str:
    """The word of Received's `with` for mail after a login (RFC 3848, RFC 6531 section 4.3)."""
    return ("UTF8SMTP" if smtputf8 else "ESMTP") + ("SA" if secured else "A")


def _canonical(mailbox: RawMailbox, field: bytes) -> Address:
    try:
        return Address(mailbox.local, read_domain(mailbox.domain))
    except BadAddress as bad:
        raise _Noncanonical(field, str(bad)) from None


class _Noncanonical(MalformedHeader):
    """An address that has no canonical form (delegation.md section 1)."""

    def __init__(self, field: bytes, why: str) -> None:
        Exception.__init__(self, f"{field.decode('ascii')}: {why}")
        self.field = field


def _canonical_block(from_: Sequence[RawMailbox], sender: RawMailbox | None) -> ResentBlock:
    return ResentBlock(
        tuple(_canonical(one, b"resent-from") for one in from_), None if sender is None else _canonical(sender, b"resent-sender")
    )


def _answers(read: _Read) -> Iterable[tuple[Invitation, Answer, Speaker]]:
    """The replies and counter-proposals, with the one attendee each speaks for."""
    for answer, speaker in read.answers:
        if speaker.address is not None:
            yield Invitation(answer.method, speaker.address, speaker.sent_by, answer.sealed), answer, speaker


_MESSAGE_ID = re.compile(rb"<[^<>\s]{1,998}+>")


def _message_id(octets: bytes, header: Header) -> str:
    """As stored messages are known by it."""
    there = header.first(b"message-id")
    found = None if there is None else _MESSAGE_ID.search(unfolded(octets, there))
    return "" if found is None else found[0].decode("utf-8", "replace")


def _identity_fields(octets: bytes) -> tuple[tuple[bytes, bytes], ...]:
    header = read_header(octets)
    names = (b"from", b"sender", b"date", b"message-id")
    return tuple((one.name, octets[one.value : one.end]) for one in headers.fields_named(header, names))


def _rewritten(
    read: _Read,
    verdict: SenderVerdict,
    answered: Sequence[_Answered],
    facts: SenderFacts,
    rules: DeliveryRules,
    now: int,
) -> bytes:
    """The message as it goes out: only Sender (and From when it is absent or rewritten) is ours, everything else octet for octet."""
    octets, header = read.octets, read.header
    remove: list[Field] = [*headers.fields_named(header, headers.REMOVED_FROM_SUBMISSIONS)]
    remove += headers.authentication_results_of(octets, header, rules.authserv_ids)
    if not read.claimed.resent:
        # Nothing can have passed here before it was submitted, but what is resent.
        remove += headers.received_by(octets, header, {rules.hostname})
    replace: dict[Field, bytes] = {}
    bottom: list[bytes] = []
    written: set[bytes] = {one.name for one in remove}

    def write(name: bytes, whole: bytes) -> None:
        there = header.first(name)
        written.add(name)
        if there is None:
            bottom.append(whole)
        else:
            replace[there] = whole

    if verdict.new_from is not None:
        write(b"from", headers.from_field(facts.display_name, str(verdict.new_from)))
    sender = header.first(b"sender")
    if verdict.new_sender is not None:
        write(b"sender", headers.sender_field(facts.display_name, str(verdict.new_sender)))
    elif sender is not None and not verdict.keep_sender:
        remove.append(sender)
        written.add(b"sender")
    if Kind.SEND_AS in verdict.kinds:
        remove += headers.fields_named(header, (b"x-sender",))
        written.add(b"x-sender")
    if read.raw.resent:
        _resent_sender(read, verdict, facts, remove, replace, written)
    if header.first(b"date") is None:
        write(b"date", headers.date_field(datetime.fromtimestamp(now / 1_000_000, UTC)))
    if header.first(b"message-id") is None:
        domain = (verdict.new_from or next(iter(read.claimed.from_), facts.primary)).domain
        write(b"message-id", headers.message_id_field(secrets.token_hex(16), domain))
    remove += headers.signatures_over(octets, header, written)
    if Kind.SEND_AS in verdict.kinds:
        remove += headers.signatures_naming_others(octets, header, [str(one) for one in read.claimed.from_])
    if any(one.verdict.add_sent_by for one in answered):
        remove += headers.fields_named(header, (b"dkim-signature",))  # the body they sign will be another
    body = octets
    for one in sorted(answered, key=lambda one: one.answer.part.body, reverse=True):
        if one.verdict.add_sent_by:
            body = _with_sent_by(body, one, facts.primary)
    # The header stands before every part, so its offsets hold in the changed octets too.
    return headers.rewrite(body, header, remove=dict.fromkeys(remove), replace=replace, bottom=bottom)


def _with_sent_by(octets: bytes, answered: _Answered, actor: Address) -> bytes:
    try:
        return add_sent_by(octets, answered.answer, answered.speaker, str(actor))
    except MalformedCalendar as offence:
        raise Refused(Refuse(Reason.MALFORMED_CALENDAR, str(offence))) from None


def _resent_sender(
    read: _Read,
    verdict: SenderVerdict,
    facts: SenderFacts,
    remove: list[Field],
    replace: dict[Field, bytes],
    written: set[bytes],
) -> None:
    block = read.raw.resent[0].fields
    there = next((one for one in block if one.name == b"resent-sender"), None)
    if verdict.new_resent_sender is not None:
        whole = headers.resent_sender_field(facts.display_name, str(verdict.new_resent_sender))
        written.add(b"resent-sender")
        if there is not None:
            replace[there] = whole
        else:
            # At the end of its block; where nothing of that is left (a lone Resent-Bcc), in its place.
            last = next((one for one in reversed(block) if one not in remove), None)
            if last is None:
                replace[block[0]] = whole
            else:
                replace[last] = read.octets[last.start : last.end] + whole
    elif there is not None and not verdict.keep_resent_sender:
        remove.append(there)
        written.add(b"resent-sender")
