"""May this actor send this? MAIL FROM, From and Sender, Resent fields, invitations: delegation.md sections 5 and 7."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from policy.cos import ServiceValues, UnauthorisedFrom
from policy.decision import Decision, step
from policy.grants import Standing, earliest
from policy.identity import Address
from policy.rates import RateLimit, limits
from policy.reasons import Defer, Reason, Refuse
from policy.scope import Sending


class Kind(StrEnum):
    """As what a message is recorded."""

    SELF = "self"
    SELF_FOREIGN = "self (foreign)"
    SEND_AS = "send-as"
    ON_BEHALF = "on-behalf"


@dataclass(frozen=True, slots=True)
class Principal:
    """A local account or list that a From, Sender or MAIL FROM names, and what the actor may do in its name now.

    `address` is the one that was named (canonical, folded); `send_as` and `on_behalf` are Decisions of
    policy.grants.judge_send_right, already narrowed by the principal's `delegated_sender_addresses`;
    `sending` is policy.status.owner_sending of its effective status (None for lists).
    `holds_any`: one of the two rights is held on the principal, whether or not it covers this address.
    `frozen`: nobody may send in its name now. `values`: its class of service's; None for lists, which have none.
    """

    id: int
    address: Address
    primary: Address
    is_list: bool
    send_as: Decision
    on_behalf: Decision
    sending: Refuse | Defer | None = None
    holds_any: bool = False
    frozen: bool = False
    values: ServiceValues | None = None


@dataclass(frozen=True, slots=True)
class SenderFacts:
    """What the directory says about the actor and the addresses a message names.

    `own`: primary and aliases (folded). `delimiters`: local domain → recipient delimiter; its keys are all local domains
    that were asked about (the domain of every address in question, where it is local).
    `principals`: folded address (tag already cut where only the cut one exists) → who it is; an address of a local domain that
    is neither in own nor here is nobody's. `exists`: local addresses, asked about, that exist exactly as written
    (an address that exists is itself, only others are tried without their tag).
    `frozen`: the actor may send in nobody's name but the own. `withheld`: nothing at all may be sent in this session, which is another's
    by loginAs, since one of the two is frozen.
    """

    actor: Standing
    primary: Address
    display_name: str
    own: frozenset[Address]
    delimiters: Mapping[str, str]
    principals: Mapping[Address, Principal]
    exists: frozenset[Address]
    values: ServiceValues
    frozen: bool = False
    withheld: Refuse | None = None


@dataclass(frozen=True, slots=True)
class ResentBlock:
    """One block of Resent fields; newest first in Originators.resent. Empty tuple: the field is absent."""

    from_: tuple[Address, ...]
    sender: Address | None


@dataclass(frozen=True, slots=True)
class Originators:
    """What the header claims, read once by gateway/message/originators.py and made canonical. `from_` empty: no From field."""

    from_: tuple[Address, ...]
    sender: Address | None
    resent: tuple[ResentBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class SenderVerdict:
    """How the message goes out.

    `new_from`: write this From (it was absent, or `rewrite` applies), None: leave its octets. The actor's primary address
    and `new_sender` are written with the actor's display name.
    `new_sender`: write this Sender; None with `keep_sender` False: no Sender goes out; with True: the client's stays.
    `new_resent_sender` and `keep_resent_sender` likewise for the newest Resent block, without one they mean nothing.
    `reverse_path`: the envelope sender to use (None: the empty one); `bounce_list`: it is an address of this list, whose
    bounce address takes its place.
    `kinds`: one per principal (or SELF); `principals`: ids in whose name it goes out, empty for self.
    `decisions`: what goes on record. `valid_until`: as in Witness, over every right that was asked about.
    `rewritten_from`: the principal in whose name it would have gone out without `rewrite`, for the record.
    """

    kinds: tuple[Kind, ...]
    principals: tuple[int, ...]
    new_from: Address | None
    new_sender: Address | None
    keep_sender: bool
    new_resent_sender: Address | None
    reverse_path: Address | None
    decisions: tuple[Decision, ...]
    keep_resent_sender: bool = False
    bounce_list: int | None = None
    valid_until: int | None = None
    rewritten_from: int | None = None


def is_own(address: Address, facts: SenderFacts) -> bool:
    """Own(U): primary address and aliases, each with subaddress, and allow_from_addresses (exact, never a local object's)."""
    canonical = _canonical(address, facts)
    if canonical in facts.own or canonical == facts.primary.folded():
        return True
    tagless = _tagless(canonical, facts)
    if tagless is not None and tagless in facts.own:
        return True
    known = _known(canonical, facts)
    if known is not None:
        return known.id == facts.actor.account
    if canonical in facts.exists or tagless in facts.exists:
        return False
    return any(canonical == _canonical(named, facts) for named in map(_read, facts.values.allow_from_addresses) if named is not None)


def narrowed(decision: Decision, address: Address, listed: Sequence[str]) -> Decision:
    """The decision for this one address of the principal: its `delegated_sender_addresses`, if any, must name it.

    `address` as it exists (a tag already cut); an address that is not listed is refused like one without a grant.
    """
    if not listed or not decision.allowed:
        return decision
    if any(named is not None and named.folded() == address.folded() for named in map(_read, listed)):
        return decision
    missing = step(f"granted, but delegatedSenderAddresses does not name {address}", decided=True)
    earlier = (replace(one, decided=False) for one in decision.trace)
    return Decision(Refuse(Reason.SENDER_NOT_PERMITTED, f"no grant covers {address}"), (*earlier, missing), decision.valid_until)


def may_answer(facts: SenderFacts, attendee: Address, accept: Decision) -> SenderFacts:
    """The facts with which the message of an allowed invitation reply is judged: `x` lets a From of the ATTENDEE go out
    on behalf where no send right does (section 7). Call it only after judge_invitation allowed the reply."""
    found = _principal(attendee, facts)
    if found is None or not accept.allowed:
        return facts
    changed = {
        address: replace(one, on_behalf=accept) if one.id == found.id and not _may_send(one) else one
        for address, one in facts.principals.items()
    }
    return replace(facts, principals=changed)


def _may_send(principal: Principal) -> bool:
    return principal.send_as.allowed or principal.on_behalf.allowed


def _read(text: str) -> Address | None:
    """An address as a class of service keeps it; None for what is none (it was checked when it was written)."""
    local, _, domain = text.rpartition("@")
    try:
        return Address(local, domain.lower())
    except ValueError:
        return None


def _canonical(address: Address, facts: SenderFacts) -> Address:
    """The form in which it is compared: folded in local domains, as written elsewhere."""
    return address.folded() if address.domain in facts.delimiters else address


def _tagless(canonical: Address, facts: SenderFacts) -> Address | None:
    """The address it stands for where it exists nowhere itself (delegation.md section 1)."""
    delimiter = facts.delimiters.get(canonical.domain, "")
    if canonical in facts.own or canonical in facts.exists or canonical in facts.principals:
        return None
    return canonical.without_tag(delimiter)


def _known(canonical: Address, facts: SenderFacts) -> Principal | None:
    """The account or list that this address, or the one without its tag, is."""
    tagless = _tagless(canonical, facts)
    return facts.principals.get(canonical) or (facts.principals.get(tagless) if tagless is not None else None)


def _principal(address: Address, facts: SenderFacts) -> Principal | None:
    """The local account or list other than the actor that this is an address of."""
    if address.domain not in facts.delimiters or is_own(address, facts):
        return None
    return _known(address.folded(), facts)


def _is_foreign_allowed(address: Address, facts: SenderFacts) -> bool:
    return facts.values.allow_any_from and address.domain not in facts.delimiters


def _same(one: Address, other: Address, facts: SenderFacts) -> bool:
    return _canonical(one, facts) == _canonical(other, facts)


def _is_self(address: Address, facts: SenderFacts) -> bool:
    """In Own(U), or treated as if it were."""
    return is_own(address, facts) or _is_foreign_allowed(address, facts)


def _speaks_as_self(address: Address, facts: SenderFacts) -> bool:
    """The same for an author: whose app password is for others only, has no voice of its own. The envelope is no author."""
    return _allows_self(facts) and _is_self(address, facts)


def _allows_self(facts: SenderFacts) -> bool:
    scope = facts.actor.scope
    return scope is None or (Sending.SELF in scope.sending and scope.covers(facts.actor.account))


def _rewrites(facts: SenderFacts) -> bool:
    return facts.values.unauthorised_from is UnauthorisedFrom.REWRITE


def _unpermitted(address: Address, facts: SenderFacts) -> Refuse:
    """5.11: what would be needed. A local address is told in the same words whether it exists or not."""
    if facts.actor.scope is not None:
        needed = f"grant that the app password {facts.actor.scope.name} allows"
    else:
        needed = "sendAs or sendOnBehalfOf grant" if address.domain in facts.delimiters else "allowFromAddresses entry"
    found = _principal(address, facts)
    return Refuse(
        Reason.SENDER_NOT_PERMITTED,
        f"{facts.primary} may not send as {address}: no {needed}",
        principal=None if found is None else found.id,
        asked=str(address),
    )


def judge_reverse_path(path: Address | None, facts: SenderFacts) -> Address | Refuse | Defer | None:
    """At MAIL: refuses 553 what no From could justify; returns the path to use (rewrite: U's primary); None is the empty path.

    The status of the principal is not asked here: the From at the end of DATA is what it is asked about. Nor whether the right
    covers this very address of the principal: any of them may be the envelope sender of a From that it does cover (5.6).
    """
    if facts.withheld is not None:
        return facts.withheld
    if path is None or _is_self(path, facts):
        return path
    found = _principal(path, facts)
    if found is not None and (_may_send(found) or found.holds_any):
        return path
    return facts.primary if _rewrites(facts) else _unpermitted_path(path, facts)


def _unpermitted_path(path: Address, facts: SenderFacts) -> Refuse:
    return replace(_unpermitted(path, facts), reason=Reason.REVERSE_PATH_NOT_PERMITTED)


@dataclass(frozen=True, slots=True)
class EnvelopeVerdict:
    """As what mail with this envelope sender goes out. `principal` and `decision` None: as the actor's own."""

    kind: Kind
    principal: Principal | None = None
    decision: Decision | None = None


def judge_envelope(path: Address | None, facts: SenderFacts) -> EnvelopeVerdict | Refuse | Defer:
    """Where a neighbour asks about the envelope sender, and nobody of us will ever see the message: judged as a From would be (5.3),
    right, address of the principal and status. Nothing is rewritten there, so `unauthorisedFrom` has no say.
    """
    if path is None:
        return EnvelopeVerdict(Kind.SELF)
    judged = _judge_pair((path,), None, facts)
    if isinstance(judged, Refuse) and judged.reason is Reason.SENDER_NOT_PERMITTED:
        return replace(judged, reason=Reason.REVERSE_PATH_NOT_PERMITTED)
    if not isinstance(judged, _Judged):
        return judged
    if not judged.spoken_for:
        return EnvelopeVerdict(judged.kinds[0])
    return EnvelopeVerdict(judged.kinds[0], judged.spoken_for[0], judged.decisions[0])


@dataclass(frozen=True, slots=True)
class _Judged:
    """One pair of From and Sender (or Resent-From and Resent-Sender) that may go out, by the table of 5.3 and by 5.4."""

    kinds: tuple[Kind, ...]
    spoken_for: tuple[Principal, ...]
    new_sender: Address | None = None
    keep_sender: bool = False
    decisions: tuple[Decision, ...] = ()


def _judge_pair(from_: Sequence[Address], sender: Address | None, facts: SenderFacts) -> _Judged | Refuse | Defer:
    """`from_` is not empty. SENDER_NOT_PERMITTED where a mailbox of it carries no right; else the principals' statuses speak."""
    found: dict[int, tuple[Principal, Address]] = {}
    for address in from_:
        if _speaks_as_self(address, facts):
            continue
        principal = _principal(address, facts)
        if principal is None or not _may_send(principal):
            return _unpermitted(address, facts)
        found.setdefault(principal.id, (principal, address))
    for principal, address in found.values():
        frozen = _frozen(principal, address, facts)
        if frozen is not None:
            return frozen
        if principal.sending is not None:
            return _by_status(principal.sending, principal.id, address)
    spoken_for = tuple(principal for principal, _ in found.values())
    own_sender = sender is not None and is_own(sender, facts)
    writes_actor = _Judged(
        kinds=(Kind.ON_BEHALF,) * len(spoken_for) or (_self_kind(from_, facts),),
        spoken_for=spoken_for,
        new_sender=None if own_sender else facts.primary,
        keep_sender=own_sender,
        decisions=tuple(one.on_behalf if one.on_behalf.allowed else one.send_as for one in spoken_for),
    )
    if len(from_) > 1:
        return writes_actor
    sender_differs = sender is not None and not _same(sender, from_[0], facts)
    if not spoken_for:
        return _Judged((_self_kind(from_, facts),), (), keep_sender=own_sender and sender_differs)
    (principal,) = spoken_for
    if principal.send_as.allowed and not (principal.on_behalf.allowed and sender_differs):
        return _Judged((Kind.SEND_AS,), spoken_for, decisions=(principal.send_as,))
    return writes_actor


def _self_kind(from_: Sequence[Address], facts: SenderFacts) -> Kind:
    foreign = any(_is_foreign_allowed(address, facts) and not is_own(address, facts) for address in from_)
    return Kind.SELF_FOREIGN if foreign else Kind.SELF


def _frozen(principal: Principal, address: Address, facts: SenderFacts) -> Refuse | None:
    """The kill switches; asked only after the right, so that they tell nobody who holds none. Nobody is told why."""
    if principal.frozen:
        return Refuse(Reason.PRINCIPAL_FROZEN, f"sending in the name of {address} is stopped by an administrator", principal=principal.id)
    if facts.frozen:
        words = f"sending in other people's names is stopped for {facts.primary} by an administrator"
        return Refuse(Reason.ACTOR_FROZEN, words, principal=principal.id)
    return None


def waits(spoken_for: Iterable[tuple[int, Decision]], facts: SenderFacts) -> int:
    """Seconds that a message waits before it goes: the longest of what the principals (id, and what allowed it) want. The grant's own
    window comes before the principal's; a list, which has no class of service, has the actor's."""
    known = {one.id: one for one in facts.principals.values()}
    found = [0]
    for principal, decision in spoken_for:
        values = known[principal].values if principal in known else None
        found.append((values or facts.values).undo_window if decision.undo_window is None else decision.undo_window)
    return max(found)


def rate_limits(person: int, own: ServiceValues, spoken_for: Iterable[int], facts: SenderFacts) -> tuple[RateLimit, ...]:
    """Every limit that a message counts for. `person`: who acts, with these values; a list has the actor's own."""
    known = {one.id: one for one in facts.principals.values()}
    names = []
    for principal in spoken_for:
        values = (known[principal].values if principal in known else None) or facts.values
        names.append((principal, values.delegated_send_rate, values.delegated_send_recipient_rate))
    return limits(person, (own.send_rate, own.send_recipient_rate), names)


def _by_status(sending: Refuse | Defer, principal: int, address: Address) -> Refuse | Defer:
    """The principal's status in words: asked only after the right, so it tells nobody who holds none."""
    state = "in maintenance" if sending.reason is Reason.PRINCIPAL_MAINTENANCE else sending.detail or "not active"
    return replace(sending, detail=f"the account {address} is {state}", principal=principal, asked=str(address))


def judge_originators(
    claimed: Originators, path: Address | None, facts: SenderFacts, may_resend: bool = False
) -> SenderVerdict | Refuse | Defer:
    """At the end of DATA, in the transaction that accepts. `path`: MAIL FROM, None for the empty one.
    `may_resend`: the original was found, octet for octet, in a folder where U holds `r` (5.5).

    `rewrite` covers From and MAIL FROM, no Resent-From: a Resent block says who resends, and nobody else can have.
    """
    if facts.withheld is not None:
        return facts.withheld
    resent = _judge_resent(claimed.resent[0], facts) if claimed.resent else None
    if isinstance(resent, Refuse | Defer):
        return resent
    new_from: Address | None = None
    rewritten_from: int | None = None
    extra: tuple[Decision, ...] = ()
    if resent is not None and facts.values.allow_resend and may_resend and claimed.from_:
        author = _Judged(resent.kinds, (), keep_sender=True)
        resent = _naming_the_actor(resent, claimed.resent[0], facts)
    else:
        from_, sender = claimed.from_, claimed.sender
        if not from_:
            new_from = sender if sender is not None and is_own(sender, facts) else facts.primary
            from_ = (new_from,)
        judged = _judge_pair(from_, sender, facts)
        if isinstance(judged, Refuse) and judged.reason is Reason.SENDER_NOT_PERMITTED and _rewrites(facts):
            missing = step(judged.detail)
            extra = (Decision(None, (missing, step("unauthorisedFrom = rewrite: it goes out as From: the actor", decided=True))),)
            new_from, rewritten_from = facts.primary, judged.principal
            judged = _judge_pair((new_from,), sender, facts)
        if not isinstance(judged, _Judged):
            return judged
        author = judged
    spoken_for, kinds, decisions = _together(author, resent)
    first = (new_from or next(iter(claimed.from_), None)) if author.spoken_for else _first_resent(claimed)
    used = _judge_path(path, first, spoken_for, kinds, facts)
    if isinstance(used, Refuse):
        return used
    lists = _principal(used, facts) if used is not None else None
    return SenderVerdict(
        kinds=kinds,
        principals=tuple(one.id for one in spoken_for),
        new_from=new_from,
        new_sender=author.new_sender,
        keep_sender=author.keep_sender,
        new_resent_sender=resent.new_sender if resent is not None else None,
        reverse_path=used,
        decisions=decisions + extra,
        keep_resent_sender=resent is not None and resent.keep_sender,
        bounce_list=lists.id if lists is not None and lists.is_list else None,
        valid_until=earliest(one.valid_until for who in facts.principals.values() for one in (who.send_as, who.on_behalf)),
        rewritten_from=rewritten_from,
    )


def _judge_resent(block: ResentBlock, facts: SenderFacts) -> _Judged | Refuse | Defer:
    """The newest block like From and Sender; one without Resent-From is the actor's, and says so in Resent-Sender."""
    if block.from_:
        return _judge_pair(block.from_, block.sender, facts)
    if not _allows_self(facts):
        return _unpermitted(facts.primary, facts)
    own_sender = block.sender is not None and is_own(block.sender, facts)
    return _Judged((Kind.SELF,), (), new_sender=None if own_sender else facts.primary, keep_sender=own_sender)


def _naming_the_actor(resent: _Judged, block: ResentBlock, facts: SenderFacts) -> _Judged:
    """Where another's message is resent whole, Resent-Sender is written unless Resent-From is in Own(U): always on behalf."""
    if not resent.spoken_for:
        return resent
    own_sender = block.sender is not None and is_own(block.sender, facts)
    return replace(
        resent,
        kinds=(Kind.ON_BEHALF,) * len(resent.spoken_for),
        new_sender=None if own_sender else facts.primary,
        keep_sender=own_sender,
    )


def _together(author: _Judged, resent: _Judged | None) -> tuple[tuple[Principal, ...], tuple[Kind, ...], tuple[Decision, ...]]:
    """Principals, kinds and decisions of both pairs, each principal once; who speaks for nobody is recorded by its own kind."""
    rows: dict[int, tuple[Principal, Kind, Decision]] = {}
    for pair in (author, resent):
        if pair is not None:
            for row in zip(pair.spoken_for, pair.kinds, pair.decisions, strict=False):
                rows.setdefault(row[0].id, row)
    if not rows:
        return (), author.kinds, ()
    principals, kinds, decisions = zip(*rows.values(), strict=True)
    return principals, kinds, decisions


def _first_resent(claimed: Originators) -> Address | None:
    return next(iter(claimed.resent[0].from_), None) if claimed.resent else None


def _judge_path(
    path: Address | None, first: Address | None, spoken_for: Sequence[Principal], kinds: Sequence[Kind], facts: SenderFacts
) -> Address | Refuse | None:
    """5.6 at the end of DATA. `first`: the mailbox that a send-as message goes out as.

    An envelope sender of U's own becomes that mailbox, so that no Return-Path gives the delegate away.
    """
    if path is None:
        return None
    sends_as = tuple(kinds) == (Kind.SEND_AS,)
    if _is_self(path, facts):
        return first if sends_as else path
    owner = _principal(path, facts)
    if owner is not None and any(owner.id == one.id for one in spoken_for):
        return path
    if _rewrites(facts):
        return first if sends_as else facts.primary
    return _unpermitted_path(path, facts)


@dataclass(frozen=True, slots=True)
class Invitation:
    """A REPLY or COUNTER found in the body. `attendee` canonical; `sent_by` the SENT-BY address, None when absent."""

    method: str
    attendee: Address
    sent_by: Address | None
    signed: bool = False


@dataclass(frozen=True, slots=True)
class InvitationVerdict:
    """`add_sent_by`: the ATTENDEE needs SENT-BY of the actor written in."""

    on_behalf: bool
    add_sent_by: bool
    decision: Decision


_ANSWERS = frozenset({"REPLY", "COUNTER"})


def judge_invitation(
    invitation: Invitation,
    from_: Sequence[Address],
    attendee_id: int | None,
    accept: Decision,
    facts: SenderFacts,
    sender: Address | None = None,
) -> InvitationVerdict | Refuse | Defer | None:
    """delegation.md section 7. `attendee_id`: the local account the ATTENDEE is, None when it is none;
    `accept`: judge_folder(ACCEPT) on that account's Calendar. None: section 5 alone decides.

    `from_` empty: the actor's own address will be written. `sender`: the Sender field, which decides between send-as and
    on-behalf for who holds both rights. Where this allows, judge the message with `may_answer`.
    """
    if invitation.method.upper() not in _ANSWERS or attendee_id is None or attendee_id == facts.actor.account:
        return None
    attendee = invitation.attendee
    if isinstance(accept.refusal, Defer):
        return Defer(Reason.PRINCIPAL_MAINTENANCE, f"the account {attendee} is in maintenance", principal=attendee_id, asked=str(attendee))
    if accept.refusal is not None:
        return _uninvited(
            f"{facts.primary} may not answer for {attendee}: no 'x' (accept invitations) on the Calendar", attendee_id, attendee
        )
    spoken_for = _principal(attendee, facts)
    frozen = None if spoken_for is None else _frozen(spoken_for, attendee, facts)
    if frozen is not None:
        return frozen
    if invitation.sent_by is not None and not is_own(invitation.sent_by, facts):
        return _uninvited(f"SENT-BY of the ATTENDEE {attendee} must name {facts.primary}", attendee_id, attendee)
    if all(is_own(address, facts) for address in from_):
        if invitation.sent_by is None:
            return _uninvited(f"an answer for {attendee} from {facts.primary} needs SENT-BY in its ATTENDEE", attendee_id, attendee)
        return InvitationVerdict(on_behalf=False, add_sent_by=False, decision=accept)
    author = _principal(from_[0], facts) if len(from_) == 1 else None
    if len(from_) != 1 or not (_same(from_[0], attendee, facts) or (author is not None and author.id == attendee_id)):
        return _uninvited(
            f"an answer for {attendee} must come from that address, or from {facts.primary} with SENT-BY", attendee_id, attendee
        )
    on_behalf = author is None or _goes_on_behalf(author, from_[0], sender, facts)
    add_sent_by = on_behalf and invitation.sent_by is None
    if add_sent_by and invitation.signed:
        return _uninvited(
            f"an answer for {attendee} needs SENT-BY, which cannot be added to a signed or encrypted message", attendee_id, attendee
        )
    return InvitationVerdict(on_behalf, add_sent_by, accept)


def _goes_on_behalf(author: Principal, from_: Address, sender: Address | None, facts: SenderFacts) -> bool:
    """By the table of 5.3, where `x` alone counts as sendOnBehalfOf."""
    if not author.send_as.allowed:
        return True
    return author.on_behalf.allowed and sender is not None and not _same(sender, from_, facts)


def _uninvited(detail: str, account: int, attendee: Address) -> Refuse:
    return Refuse(Reason.INVITATION_NOT_PERMITTED, detail, principal=account, asked=str(attendee))
