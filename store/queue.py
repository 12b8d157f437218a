"""What a 250 promises: accepting a message in one deed, and the queue of what could not be delivered at once."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from policy.folders import SpecialUse
from policy.identity import AccountId, FolderId
from policy.rates import RateLimit
from store import audit, blobs, list_bounces, list_requests, members, rates
from store.appending import FILED_FOR, NewInFolder, put
from store.audit import AuditEntry
from store.errors import Conflict, NotFound, OverQuota
from store.flags import NO_FLAGS
from store.folders import by_special_use, charge, special_folder, take_room
from store.freezes import Side
from store.messages import storable
from store.model import Flag, Heap, NewMessage, QueueId, QueueKind, QueueRow, QueueState, Uid
from store.port import Deed, QueueChanged, Tx
from store.runs import key, span

MAX_REPLY: Final = 2000
"""Characters kept of the next hop's last reply."""
TOO_LATE: Final = 24 * 3600 * 1_000_000
"""Microseconds: so long after it has gone a copy that is moved to Drafts is said to come too late."""
MOST_DESTINATIONS: Final = 1000
"""Destinations that one claim looks at: some 2 ms of the writer."""


FEW_ROWS: Final = 6
"""That a message makes: accepting it keeps nobody waiting."""


class WhenFull(StrEnum):
    """What becomes of a copy for which the quota has no room."""

    REFUSE = "refuse"  # OverQuota: nothing of the deed is done
    SKIP = "skip"  # this copy only; its place in Accepted.placed is None
    IGNORE = "ignore"


@dataclass(frozen=True, slots=True)
class IntoMailbox:
    """A copy for a local account, into its folder of this special use, made where it is missing. `quota`: octets, 0 no limit."""

    owner: AccountId
    message: NewMessage
    quota: int
    special_use: SpecialUse = SpecialUse.INBOX
    flags: Flag = NO_FLAGS
    received: int | None = None  # None: now
    when_full: WhenFull = WhenFull.REFUSE


@dataclass(frozen=True, slots=True)
class Delegation:
    """Who sends it in whose names (accounts and lists): what is frozen with them."""

    actor: int
    principals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class OntoQueue:
    """One recipient that cannot have it now. HELD needs `account`. `expires`, `due`: microseconds since 1970; `due` None: at once.

    `reverse_path` "" is the empty one; `parameters` JSON of ESMTP parameters for the next hop. `expects_copy`: when this goes, what
    `sender` has appended of it meanwhile stands for the copy that would be filed. `request`: the key of the list's request
    (store.list_requests) that decides about it."""

    kind: QueueKind
    recipient: str
    message: NewMessage
    reverse_path: str
    expires: int
    account: AccountId | None = None
    sender: AccountId | None = None
    parameters: str = "{}"
    due: int | None = None
    request: str = ""
    delegation: Delegation | None = None
    expects_copy: bool = False


@dataclass(frozen=True, slots=True)
class Filing:
    """The copy of what was sent (delegation.md section 6), with \\Seen: into the Sent of these owners (id, quota), and into the
    actor's where `sender` is set or an owner had no room (then over quota, if need be: the only copy is never lost). Where the actor
    has appended it meanwhile, nothing is filed."""

    message: NewMessage
    actor: AccountId
    owners: tuple[tuple[AccountId, int], ...] = ()
    sender: bool = False


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a copy now lies."""

    owner: AccountId
    folder: FolderId
    uidvalidity: int
    uid: Uid


@dataclass(frozen=True, slots=True)
class Accepted:
    """`placed` answers `copies` one by one (None: skipped, the mailbox is full). `repeated`: the key had been used; this is what
    was answered then."""

    placed: tuple[Placed | None, ...] = ()
    queued: tuple[QueueId, ...] = ()
    filed: tuple[Placed, ...] = ()
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class AcceptMessage(Deed[Accepted]):
    """Everything that a 250 promises, in one transaction. `key`: the queue id; a second deed with it does nothing ("": always new).
    Each message is stored once per owner. `steps`: what else the message brings about (the rows of STEPS), before anything else.
    `limits`: what it counts for, with so many `recipients`. `waits`: the only row of `queued` is a submission that can be recalled, and
    the filed copies know of it. Raises OverQuota, NotFound (no such account), LimitReached, RateReached, and what the steps raise."""

    key: str
    copies: tuple[IntoMailbox, ...] = ()
    queued: tuple[OntoQueue, ...] = ()
    filing: tuple[Filing, ...] = ()
    audit: tuple[AuditEntry, ...] = ()
    steps: tuple[Deed[Any], ...] = ()
    limits: tuple[RateLimit, ...] = ()
    recipients: int = 0
    waits: bool = False

    @property
    def weight(self) -> int:
        """Octets, each message counted once."""
        messages = [copy.message for copy in self.copies]
        messages += [one.message for one in self.queued]
        messages += [filing.message for filing in self.filing]
        return sum(len(message.octets) for message in {id(message): message for message in messages}.values())

    @property
    def brief(self) -> bool:
        """A mail for a few people."""
        return not self.steps and len(self.copies) + len(self.queued) + len(self.filing) + len(self.audit) + len(self.limits) <= FEW_ROWS


@dataclass(frozen=True, slots=True)
class ClaimDue(Deed[tuple[QueueRow, ...]]):
    """Takes up to `limit` rows, until `until` (microseconds) at most, under the name `lease`, each counted as an attempt: what is
    due, what was leased for too long, and what is held but past its `expires`: look at it before anything else.

    `each` 0: what has been due longest, wherever it goes. Else so many rows for a destination, the destinations in turn beginning
    behind `after`; those in `full` are passed over by the index, however much waits for them, and so is what is not for this
    house where `here_only`. `expire` False: what is held stays so, also past its `expires`.
    """

    lease: str
    until: int
    limit: int = 100
    each: int = 0
    after: str = ""
    full: frozenset[str] = frozenset()
    here_only: bool = False
    expire: bool = True


@dataclass(frozen=True, slots=True)
class Reschedule(Deed[None]):
    """The attempt failed for now. Raises Conflict when the lease is not ours any more."""

    id: QueueId
    lease: str
    due: int
    reply: str


@dataclass(frozen=True, slots=True)
class PutOff(Deed[int]):
    """Rows that were claimed and not tried: each id with when it is due again; the attempts are not counted. `reply` None: the last
    one stays. Those that are not leased to us any more are passed over; returns how many there were."""

    rows: tuple[tuple[QueueId, int], ...]
    lease: str
    reply: str | None = None


@dataclass(frozen=True, slots=True)
class HandedOn(Deed[int]):
    """The next hop has answered for these: they are done with. Those that are not leased to us any more (an operator dropped them
    meanwhile) are passed over; returns how many there were. `report` is accepted if there was one: the bounce."""

    ids: tuple[QueueId, ...]
    lease: str
    report: AcceptMessage | None = None

    @property
    def weight(self) -> int:
        """Octets of the report."""
        return 0 if self.report is None else self.report.weight


@dataclass(frozen=True, slots=True)
class TellLate(Deed[bool]):
    """The sender is told once that it is late: `warning` is accepted with the mark of these rows. False: they had been told."""

    ids: tuple[QueueId, ...]
    warning: AcceptMessage

    @property
    def weight(self) -> int:
        """Octets of the warning."""
        return self.warning.weight


@dataclass(frozen=True, slots=True)
class HoldAgain(Deed[None]):
    """Waiting for the account's status (again). Do it with the witness of that status: a change in between would go unnoticed.
    Raises Conflict as Reschedule."""

    id: QueueId
    lease: str
    account: AccountId
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Settle(Deed[Accepted]):
    """The row is done with; `accept` takes its place in the same transaction: the delivery into a mailbox, or a bounce.
    Raises Conflict as Reschedule, and what AcceptMessage raises (let a copy that does not fit REFUSE: the row then stays)."""

    id: QueueId
    lease: str
    accept: AcceptMessage | None = None

    @property
    def weight(self) -> int:
        """Octets, each message counted once."""
        return 0 if self.accept is None else self.accept.weight


@dataclass(frozen=True, slots=True)
class DropQueued(Deed[int]):
    """Removed by hand, without a bounce; returns how many there were."""

    ids: tuple[QueueId, ...]


@dataclass(frozen=True, slots=True)
class RetryNow(Deed[int]):
    """Due at once, by hand, those held for an account included, those held by hand not; () means all. Returns how many."""

    ids: tuple[QueueId, ...] = ()


@dataclass(frozen=True, slots=True)
class HoldQueued(Deed[int]):
    """Held by hand until it is released: it neither expires nor becomes due meanwhile. Returns how many were not held yet."""

    ids: tuple[QueueId, ...]


@dataclass(frozen=True, slots=True)
class ReleaseQueued(Deed[int]):
    """What was held by hand is due at once; returns how many there were."""

    ids: tuple[QueueId, ...]


@dataclass(frozen=True, slots=True)
class ReleaseHeld(Deed[int]):
    """What is held for the account (None: for anybody) becomes due, to be judged again; returns how many."""

    account: AccountId | None


@dataclass(frozen=True, slots=True)
class FreeLeases(Deed[int]):
    """What processes had claimed that are gone is due at once; returns how many. Where only one process leases (SQLite), that is all of it:
    it is done at its start."""


@dataclass(frozen=True, slots=True)
class ForgetAccepted(Deed[int]):
    """Idempotency keys older than this (microseconds since 1970) are forgotten, and marks of filed copies that have had their
    time; returns how many keys."""

    before: int


# --- reading


def next_due(tx: Tx) -> int | None:
    """When the queue must be looked at again: the earliest due time, end of a lease, or expiry of held mail; None: never."""
    rows = (tx.one("queue.earliest_due"), tx.one("queue.earliest_leased"), tx.one("queue.earliest_expiry"))
    return min((row[0] for row in rows if row is not None and row[0] is not None), default=None)


def queued(tx: Tx, after: int = 0, limit: int = 200) -> list[QueueRow]:
    """By id, those with an id above `after`."""
    return [_made(row) for row in tx.all("queue.page", after=after, limit=limit)]


def queued_one(tx: Tx, number: QueueId) -> QueueRow | None:
    """None: there is no such row (any more)."""
    row = tx.one("queue.by_id", id=number)
    return None if row is None else _made(row)


def frozen_among(tx: Tx, rows: Sequence[QueueId]) -> set[QueueId]:
    """Those that have been frozen, perhaps since they were leased."""
    if tx.one("queue.any_frozen") is None:
        return set()
    return {number for number in rows if tx.one("queue.frozen", id=number) is not None}


def held_accounts(tx: Tx) -> list[AccountId]:
    """The accounts for which something is held."""
    return [AccountId(account) for (account,) in tx.all("queue.held_accounts")]


def totals(tx: Tx) -> dict[QueueState, tuple[int, int]]:
    """State -> (rows, octets)."""
    return {QueueState(state): (rows, size) for state, rows, size in tx.all("queue.totals")}


def rows_up_to(tx: Tx, most: int) -> int:
    """How many rows there are; counts no further than `most`."""
    row = tx.one("queue.rows_up_to", most=most)
    return 0 if row is None else int(row[0])


def by_destination(tx: Tx, limit: int = 1000) -> list[Heap]:
    """The largest first. Reads the whole queue."""
    return [Heap(*row) for row in tx.all("queue.by_destination", limit=limit)]


# --- for other deeds


def due_now(tx: Tx, account: AccountId | None) -> int:
    """For whoever changes a status inside a deed: what is held for the account (None: for anybody, when a domain's status changes)
    becomes due, to be judged again; returns how many."""
    whose = {} if account is None else {"account": account}
    released = tx.run("queue.release_held" if whose else "queue.release_all", now=tx.now, **whose)
    if released:
        tx.wake(QueueChanged())
    return released


# --- doing


def accept(tx: Tx, deed: AcceptMessage) -> Accepted:
    """Does the deed; for other deeds too."""
    if deed.key:
        before = tx.one("queue.accepted", key=deed.key)
        if before is not None:
            return _answered(before[0])
    rates.charge(tx, deed.limits, deed.recipients)
    for step in deed.steps:
        STEPS[type(step)](tx, step)
    placed = tuple(_place(tx, copy) for copy in deed.copies)
    queued = tuple(_enqueue(tx, deed.key, one) for one in deed.queued)
    filed = tuple(one for filing in deed.filing for one in _file(tx, filing))
    if deed.waits:
        _tie(tx, queued[0], deed.queued[0], filed)
    for entry in deed.audit:
        audit.record(tx, entry)
    if any(one.kind is QueueKind.RELAY for one in deed.queued):
        tx.wake(QueueChanged())
    accepted = Accepted(placed, queued, filed)
    if deed.key:
        tx.later("queue.insert_accepted", key=deed.key, at=tx.now, result=_answer(accepted))
    return accepted


def _place(tx: Tx, copy: IntoMailbox) -> Placed | None:
    folder = special_folder(tx, copy.owner, copy.special_use)
    if copy.when_full is WhenFull.IGNORE:
        charge(tx, copy.owner, copy.message.size)
    elif not take_room(tx, copy.owner, copy.quota, copy.message.size):
        if copy.when_full is WhenFull.SKIP:
            return None
        raise OverQuota(f"account {copy.owner}")
    (uid,), _ = put(tx, folder, (NewInFolder(copy.message, copy.flags, (), copy.received),))
    return Placed(copy.owner, folder.id, folder.uidvalidity, uid)


def _tie(tx: Tx, row: QueueId, one: OntoQueue, filed: Sequence[Placed]) -> None:
    """To what waits the copies that were filed of it."""
    for copy in filed:
        tx.later("queue.insert_waiting", owner=copy.owner, key=key(copy.folder, copy.uid), queue=row, at=(one.due or tx.now) + TOO_LATE)


def _enqueue(tx: Tx, accepted: str, one: OntoQueue) -> QueueId:
    number = _insert(tx, accepted, one)
    if one.delegation is not None:
        tx.later("queue.insert_delegated", queue=number, side=Side.ACTOR, object=one.delegation.actor)
        for principal in dict.fromkeys(one.delegation.principals):
            tx.later("queue.insert_delegated", queue=number, side=Side.PRINCIPAL, object=principal)
    return number


def _insert(tx: Tx, accepted: str, one: OntoQueue) -> QueueId:
    if one.kind is QueueKind.HELD and one.account is None:
        raise NotFound(f"the account for which mail to {one.recipient} is held")
    held = one.account if one.kind is QueueKind.HELD else None
    number = QueueId(
        tx.insert(
            "queue.insert",
            accepted=accepted,
            kind=one.kind.value,
            state=(QueueState.DUE if held is None else QueueState.HELD).value,
            due=tx.now if one.due is None else one.due,
            recipient=one.recipient,
            account=held,
            sender=one.sender,
            reverse_path=one.reverse_path,
            parameters=one.parameters,
            blob=blobs.keep(tx, blobs.QUEUE_OWNER if held is None else held, one.message),
            size=one.message.size,
            created=tx.now,
            expires=one.expires,
            destination="" if held is not None else one.recipient.rpartition("@")[2],
        )
    )
    if one.request:
        list_requests.link(tx, one.request, number)
    if one.expects_copy and one.message.message_id:
        message_id = storable(one.message.message_id)
        tx.later("queue.insert_filed", owner=one.sender, key=-number, actor=one.sender, message_id=message_id, at=one.expires, modseq=0)
    return number


def _file(tx: Tx, filing: Filing) -> Sequence[Placed]:
    filed = []
    to_actor = filing.sender
    for owner, quota in dict(filing.owners).items():
        if owner == filing.actor:
            to_actor = True
        elif _has_brought(tx, filing, owner):
            continue
        elif take_room(tx, owner, quota, filing.message.size):
            filed.append(_file_for(tx, filing, owner))
        else:
            to_actor = True
    if to_actor and not _has_brought(tx, filing, filing.actor):
        charge(tx, filing.actor, filing.message.size)
        filed.append(_file_for(tx, filing, filing.actor))
    return filed


def _has_brought(tx: Tx, filing: Filing, owner: AccountId) -> bool:
    """Has the actor appended this to the owner's Sent while it waited?"""
    folder = by_special_use(tx, owner, SpecialUse.SENT)
    if folder is None:
        return False
    low, high = span(folder.id)
    message = filing.message
    there = tx.all("queue.brought", owner=owner, low=low, high=high, actor=filing.actor, message_id=storable(message.message_id))
    return (storable(message.from_), storable(message.subject), message.sent) in there


def _file_for(tx: Tx, filing: Filing, owner: AccountId) -> Placed:
    folder = special_folder(tx, owner, SpecialUse.SENT)
    (uid,), modseq = put(tx, folder, (NewInFolder(filing.message, Flag.SEEN),))
    tx.later(
        "queue.insert_filed",
        owner=owner,
        key=key(folder.id, uid),
        actor=filing.actor,
        message_id=storable(filing.message.message_id),
        at=tx.now,
        modseq=modseq,
    )
    return Placed(owner, folder.id, folder.uidvalidity, uid)


def remove(tx: Tx, number: QueueId, blob: int, sender: int | None) -> None:
    """The row, and what was kept for its copy; for other deeds too. `blob`, `sender`: the row's."""
    tx.later("queue.delete", id=number)
    blobs.loosen_queued(tx, [blob])
    expected = tx.one("queue.expected", owner=sender or 0, key=-number)
    if expected is not None:
        actor, message_id = expected
        tx.later("queue.forget_expected", owner=actor, key=-number)
        tx.later("queue.forget_brought", actor=actor, message_id=message_id)


def _claim_due(tx: Tx, deed: ClaimDue) -> tuple[QueueRow, ...]:
    ids = [number for (number,) in tx.all("queue.expired", now=tx.now, limit=deed.limit)] if deed.expire else []
    if len(ids) < deed.limit:
        ids += [number for (number,) in tx.all("queue.run_out", now=tx.now, limit=deed.limit - len(ids))]
    if len(ids) < deed.limit:
        ids += _in_turn(tx, deed, deed.limit - len(ids))
    tx.many("queue.claim", [{"id": number, "until": deed.until, "lease": deed.lease} for number in ids])
    return tuple(row for row in (queued_one(tx, QueueId(number)) for number in ids) if row is not None)


def _in_turn(tx: Tx, deed: ClaimDue, room: int) -> list[int]:
    if deed.here_only:
        return [number for (number,) in tx.all("queue.claimable_for", destination="", now=tx.now, limit=room)]
    if not deed.each:
        return [number for (number,) in tx.all("queue.claimable", now=tx.now, limit=room)]
    # What is for this house waits for nobody, so it comes first; then one step of the index for each destination.
    ids = [number for (number,) in tx.all("queue.claimable_for", destination="", now=tx.now, limit=min(room, deed.each))]
    place, wrapped = deed.after, not deed.after
    for _ in range(MOST_DESTINATIONS):
        if len(ids) >= room:
            break
        found = tx.one("queue.next_destination", after=place)
        if found is None or (wrapped and deed.after and found[0] > deed.after):
            if wrapped:
                break
            place, wrapped = "", True
            continue
        place = found[0]
        if place not in deed.full:
            limit = min(deed.each, room - len(ids))
            ids += [number for (number,) in tx.all("queue.claimable_for", destination=place, now=tx.now, limit=limit)]
    return ids


def _reschedule(tx: Tx, deed: Reschedule) -> None:
    if not tx.run("queue.reschedule", id=deed.id, lease=deed.lease, due=deed.due, now=tx.now, reply=deed.reply[:MAX_REPLY]):
        raise Conflict(f"queue row {deed.id} is not leased to {deed.lease}")
    tx.wake(QueueChanged())


def _put_off(tx: Tx, deed: PutOff) -> int:
    statement, more = ("queue.give_back", {}) if deed.reply is None else ("queue.put_off", {"reply": deed.reply[:MAX_REPLY]})
    count = sum(tx.run(statement, id=number, due=due, lease=deed.lease, **more) for number, due in deed.rows)
    tx.wake(QueueChanged())
    return count


def _handed_on(tx: Tx, deed: HandedOn) -> int:
    gone = []
    for number in deed.ids:
        leased = tx.one("queue.leased_blob", id=number, lease=deed.lease)
        if leased is not None:
            tx.later("queue.delete", id=number)
            gone.append(leased[0])
    if gone:
        if deed.report is not None:
            accept(tx, deed.report)
        blobs.loosen_queued(tx, gone)
    return len(gone)


def _tell_late(tx: Tx, deed: TellLate) -> bool:
    if not sum(tx.run("queue.warned", id=number) for number in deed.ids):
        return False
    accept(tx, deed.warning)
    return True


def _hold_again(tx: Tx, deed: HoldAgain) -> None:
    if not tx.run("queue.hold", id=deed.id, lease=deed.lease, account=deed.account, now=tx.now, reply=deed.reply[:MAX_REPLY]):
        raise Conflict(f"queue row {deed.id} is not leased to {deed.lease}")
    tx.wake(QueueChanged())


def _settle(tx: Tx, deed: Settle) -> Accepted:
    leased = tx.one("queue.leased_blob", id=deed.id, lease=deed.lease)
    if leased is None:
        raise Conflict(f"queue row {deed.id} is not leased to {deed.lease}")
    accepted = Accepted() if deed.accept is None else accept(tx, deed.accept)
    remove(tx, deed.id, *leased)
    return accepted


def _drop(tx: Tx, deed: DropQueued) -> int:
    dropped = 0
    for number in deed.ids:
        row = tx.one("queue.blob", id=number)
        if row is not None:
            remove(tx, number, *row)
            tx.run("queue.forget_copies", queue=number)
            dropped += 1
    return dropped


def _retry_now(tx: Tx, deed: RetryNow) -> int:
    retried = sum(tx.run("queue.retry", id=number, now=tx.now) for number in deed.ids)
    if not deed.ids:
        retried = tx.run("queue.retry_all", now=tx.now)
    if retried:
        tx.wake(QueueChanged(at_once=True))
    return retried


def _hold_queued(tx: Tx, deed: HoldQueued) -> int:
    return sum(tx.run("queue.stop", id=number) for number in deed.ids)


def _release_queued(tx: Tx, deed: ReleaseQueued) -> int:
    released = 0
    for number in deed.ids:
        # Of whoever was frozen nobody may be left: what waited for them waits for an operator then.
        outlived = tx.run("queue.outlived", id=number)
        released += tx.run("queue.let_go", id=number, now=tx.now) or (outlived and tx.run("queue.thaw_due", id=number, now=tx.now))
    if released:
        tx.wake(QueueChanged())
    return released


def _release_held(tx: Tx, deed: ReleaseHeld) -> int:
    return due_now(tx, deed.account)


def _free_leases(tx: Tx, deed: FreeLeases) -> int:
    freed = tx.run("queue.free_leases", now=tx.now)
    if freed:
        tx.wake(QueueChanged())
    return freed


def _forget_accepted(tx: Tx, deed: ForgetAccepted) -> int:
    tx.run("queue.forget_filed", before=tx.now - FILED_FOR)
    tx.run("queue.forget_waiting", now=tx.now)
    return tx.run("queue.forget_accepted", before=deed.before)


# --- pieces
# The table `filed` has what is known of copies in Sent folders. Above 0 the key is a message's: one that the server filed (`modseq` as it
# was then), whose place the actor's own may take; or, `modseq` -1, one that the actor appended while the submission waited, so that no
# copy will be filed. Below 0 it is the negative id of a queue row, a submission that waits and will be filed.


def _answer(accepted: Accepted) -> str:
    def spelled(places: Sequence[Placed | None]) -> str:
        return ", ".join(["null" if one is None else f"[{one.owner}, {one.folder}, {one.uidvalidity}, {one.uid}]" for one in places])

    # As JSON, of nothing but numbers.
    return f"[[{spelled(accepted.placed)}], [{', '.join(map(str, accepted.queued))}], [{spelled(accepted.filed)}]]"


def _answered(text: str) -> Accepted:
    def read(one: list[int]) -> Placed:
        owner, folder, uidvalidity, uid = one
        return Placed(AccountId(owner), FolderId(folder), uidvalidity, Uid(uid))

    placed, queued, filed = json.loads(text)
    return Accepted(
        tuple(None if one is None else read(one) for one in placed),
        tuple(QueueId(number) for number in queued),
        tuple(read(one) for one in filed),
        repeated=True,
    )


def _made(row: Any) -> QueueRow:
    number, accepted, kind, state, *others, stopped, warned, frozen = row
    made = QueueRow(QueueId(number), accepted, QueueKind(kind), QueueState(state), *others)
    marked = stopped or warned or frozen
    return replace(made, stopped=bool(stopped), warned=bool(warned), frozen=bool(frozen)) if marked else made


STEPS: Final[Mapping[type[Deed[Any]], Callable[[Tx, Any], Any]]] = MappingProxyType(
    dict([*members.DEEDS, *list_requests.DEEDS, *list_bounces.DEEDS, (DropQueued, _drop)])
)
"""What a message may bring about besides its delivery: it may be a request to a list, an owner's word, or a bounce."""

DEEDS: Final = (
    (AcceptMessage, accept),
    (ClaimDue, _claim_due),
    (Reschedule, _reschedule),
    (PutOff, _put_off),
    (HandedOn, _handed_on),
    (TellLate, _tell_late),
    (HoldAgain, _hold_again),
    (Settle, _settle),
    (DropQueued, _drop),
    (RetryNow, _retry_now),
    (HoldQueued, _hold_queued),
    (ReleaseQueued, _release_queued),
    (ReleaseHeld, _release_held),
    (FreeLeases, _free_leases),
    (ForgetAccepted, _forget_accepted),
)
