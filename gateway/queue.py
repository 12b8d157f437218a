"""Tries again what could not be delivered at once: mail for the next hop, and mail held for accounts in maintenance."""

import asyncio
import contextlib
import json
import logging
import secrets
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from gateway.arrival import arrived
from gateway.clock import Clock
from gateway.decisions import new_decision
from gateway.delivery import Delivery
from gateway.dsn import DELAY, FAILURE, SUCCESS, of_row, original_recipient, wants
from gateway.held_posts import is_held_post
from gateway.message.canonical import read_address
from gateway.message.split import read_header
from gateway.postponed import is_postponed
from gateway.relay import Fate, Outcome, Parameters, Relay
from gateway.reports import Failed, failed, status_of
from gateway.routing import Mailbox, Poster
from gateway.signing import Signing
from policy.delivery import Door
from policy.identity import Address, BadAddress
from policy.reasons import Defer, Reason, Refuse
from policy.status import Hold
from store import accounts, addresses, blobs
from store import queue as queue_store
from store.audit import AuditEntry
from store.blobs import Files
from store.errors import Busy, Conflict, OverQuota, Stale, StoreError
from store.model import AccountRow, QueueId, QueueKind, QueueRow
from store.port import Event, EverythingChanged, PolicyChanged, QueueChanged, Snapshot, Store
from store.queue import (
    AcceptMessage,
    ClaimDue,
    FreeLeases,
    HandedOn,
    HoldAgain,
    IntoMailbox,
    PutOff,
    Reschedule,
    Settle,
    TellLate,
    WhenFull,
)

log = logging.getLogger(__name__)

LEASE: Final = 60 * 60 * 1_000_000
"""Microseconds a claimed row is ours: longer than one attempt may last (gateway/relay.py, WHOLE)."""
SLOW_POLL: Final = 30.0
"""Seconds: nothing that was missed waits longer."""
AFTER_FAULT: Final = 1.0
"""Seconds until the next round where the store could not be asked."""
ROUND: Final = 200
IN_HAND: Final = 1000
"""Rows, without octets: more are not claimed while so many are being tried or wait for their turn."""
EACH: Final = 50
"""Rows of one destination in a round, and batches of it that wait here; what else there is for it stays in the store."""
LOCAL: Final = 8
"""Held messages delivered at the same time."""
KNOWN: Final = 10_000
"""Destinations of which it is remembered that they failed."""
DRAIN: Final = 10.0
"""Seconds for what is being handed on when the server stops: cut off, it might be sent twice."""
JITTER: Final = 0.1
HERE: Final = ""
THE_RELAY: Final = "*"


@dataclass(frozen=True, slots=True)
class QueueRules:
    """`retries`: seconds before each further attempt, the last one repeats; `delay`: seconds after which the sender is told that
    mail is delayed, 0 never; `concurrency`: messages being handed on at a time, `each` of them to one destination."""

    retries: Sequence[float]
    delay: float
    concurrency: int
    each: int = 10


class Releasing(Protocol):
    """Sends what waited for something else than its delivery: a time that its sender chose, the owners of a list."""

    async def release(self, row: QueueRow, lease: str, octets: bytes) -> str | None:
        """None: it is done with. Otherwise why it has to be tried again."""


@dataclass(slots=True)
class _Batch:
    """Rows of one message with one envelope sender to one destination: one transaction there. What is settled leaves `rows`."""

    rows: list[QueueRow] = field(default_factory=list)


@dataclass(slots=True)
class _Destination:
    """`failures`: how often in a row nobody was reached there; `until`: not before (microseconds since 1970); `reply`: why."""

    waiting: deque[_Batch] = field(default_factory=deque)
    active: int = 0
    failures: int = 0
    until: int = 0
    reply: str = ""


class Queue:
    """One runner. `run` is a task of the application; `told` is a watcher of the store."""

    def __init__(
        self,
        store: Store,
        files: Files,
        delivery: Delivery,
        relay: Relay | None,
        rules: QueueRules,
        releases: Releasing | None = None,
        signing: Signing | None = None,
        moderation: Releasing | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        if clock is not None:
            clock.watch(self._stepped)
        self._batches: dict[int, _Batch] = {}
        self._files = files
        self._delivery = delivery
        self._relay = relay
        self._rules = rules
        self._releases = releases
        self._moderation = moderation
        self._signing = signing
        self._lease = store.node
        self._freed = False
        self._in_hand: set[QueueId] = set()
        self._again: set[QueueId] = set()
        """Claimed once more while they were in hand."""
        self._wake = asyncio.Event()
        self._destinations: dict[str, _Destination] = {}
        self._active = 0
        self._after = ""
        self._stopping = False
        self._left: list[QueueId] = []
        """Leased, and to be given back when the store takes it."""

    def told(self, events: Sequence[Event]) -> None:
        """A watcher of the store."""
        if any(isinstance(event, EverythingChanged) for event in events):
            self._freed = False
        if any(isinstance(event, QueueChanged) and event.at_once for event in events):
            for destination in self._destinations.values():
                destination.failures = destination.until = 0
        if any(isinstance(event, QueueChanged | PolicyChanged | EverythingChanged) for event in events):
            self._wake.set()

    def _stepped(self, by: int) -> None:
        """The clock was set by so much, and the store has dated its rows anew: so is what was read before."""
        for destination in self._destinations.values():
            destination.until += by if destination.until else 0
        for batch in self._batches.values():
            batch.rows = [replace(row, due=row.due + by, created=row.created + by, expires=row.expires + by) for row in batch.rows]

    async def run(self) -> None:
        """Until it is cancelled; whatever goes wrong in one round is logged, and the next one comes. Cancelled, it begins nothing
        more, and what is being handed on has DRAIN seconds to come to its end."""
        try:
            async with asyncio.TaskGroup() as attempts:
                try:
                    while True:
                        self._wake.clear()
                        try:
                            if not self._freed:
                                self._freed = True
                                await self._free()
                            more = await self.round(attempts)
                            if not more:
                                await self._sleep()
                        except (Busy, Stale):
                            await asyncio.sleep(AFTER_FAULT)
                        except Exception:
                            log.exception("queue round failed")
                            await asyncio.sleep(AFTER_FAULT)
                except asyncio.CancelledError:
                    await self._drain()
                    raise
        finally:
            if self._relay is not None:
                await self._relay.close()

    async def _free(self) -> None:
        """What was claimed by nobody who is there."""
        try:
            await self._store.do(FreeLeases())
        except BaseException:
            self._freed = False
            raise

    async def _drain(self) -> None:
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN):
                while self._active:
                    self._wake.clear()
                    await self._wake.wait()

    async def round(self, attempts: asyncio.TaskGroup) -> bool:
        """Begins to try what is due now; True: there may be more. Released are first those held whose account takes mail again.

        Nothing here waits for an attempt: a slow next hop must not keep mail from those who came back from maintenance.
        """
        await self._release()
        await self._give_back()
        await self._go_on(attempts)
        room = min(ROUND, IN_HAND - len(self._in_hand))
        if room <= 0:
            return False
        now = await self._now()
        rows = await self._store.do(self._claim(now, room), bulk=True)
        more = len(rows) == room
        if rows:
            self._after = rows[-1].destination
        # A row that is still being tried here was claimed for longer where its lease had ended, and anew where the end of the attempt is
        # written down already, but not yet known here. No second attempt begins beside the first.
        self._again |= {row.id for row in rows if row.id in self._in_hand}
        rows = tuple(row for row in rows if row.id not in self._in_hand)
        claimed = {row.id for row in rows}
        self._left = [number for number in self._left if number not in claimed]
        batches: dict[tuple[int, str, str], _Batch] = defaultdict(_Batch)
        try:
            for row in rows:
                if _waits(row) or await self._is_local(row):
                    batches[(row.blob, f"{row.id}", HERE)].rows.append(row)
                else:
                    name = row.recipient.rpartition("@")[2] if self._relay is not None and self._relay.by_domain else THE_RELAY
                    batches[(row.blob, row.reverse_path, name)].rows.append(row)
        except StoreError:
            self._left += [row.id for row in rows]  # nothing was begun
            raise
        self._in_hand |= claimed
        for (_, _, name), batch in batches.items():
            self._batches[id(batch)] = batch
            self._destinations.setdefault(name, _Destination()).waiting.append(batch)
        await self._go_on(attempts)
        self._forget(now)
        return more

    def _out_of_hand(self, ids: Set[QueueId]) -> None:
        """What was claimed anew meanwhile is given back (which does nothing where it is not leased any more): nobody else would come
        back to it before that lease ends."""
        self._left += self._again & ids
        self._again -= ids
        self._in_hand -= ids

    async def _give_back(self) -> None:
        """What a fault left leased: it would wait until the lease ends."""
        if self._left:
            left, due = [*self._left], await self._now() + int(AFTER_FAULT * 1_000_000)
            await self._store.do(PutOff(tuple((number, due) for number in left), self._lease))
            self._left = self._left[len(left) :]

    def _claim(self, now: int, room: int) -> ClaimDue:
        """What waits here for a destination that is busy keeps the others' rows in the store, and not the others waiting."""
        expire = not self._store.floor.doubtful
        full = {name for name, one in self._destinations.items() if len(one.waiting) >= EACH}
        if self._relay is not None and self._relay.by_domain:
            return ClaimDue(self._lease, now + LEASE, room, EACH, self._after, frozenset(full), expire=expire)
        return ClaimDue(self._lease, now + LEASE, room, here_only=THE_RELAY in full, expire=expire)

    async def _go_on(self, attempts: asyncio.TaskGroup) -> None:
        """Begins what there is room for, and gives back what its destination cannot take for a while."""
        if self._stopping:
            return
        now = await self._now()
        for name, destination in [*self._destinations.items()]:
            if destination.waiting and destination.until > now:
                await self._put_off(name, destination)
                continue
            # Whoever could not be reached is asked by one message first.
            most = LOCAL if name == HERE else 1 if destination.failures else self._rules.each
            while destination.waiting and destination.active < most and (name == HERE or self._active < self._rules.concurrency):
                batch = destination.waiting.popleft()
                destination.active += 1
                self._active += name != HERE
                attempts.create_task(self._guarded(attempts, name, destination, batch))

    async def _put_off(self, name: str, destination: _Destination) -> None:
        """Not tried: back until the destination is asked again, each at its own moment; what has had its time bounces."""
        now = await self._now()
        batches, destination.waiting = [*destination.waiting], deque()
        spread = max(1, int((destination.until - now) * JITTER))
        whole = _Batch([row for batch in batches for row in batch.rows])
        try:
            over = [batch for batch in batches if self._is_over(batch.rows[0], now)]
            for batch in over:
                await self._give_up(batch, destination.reply)
            late = [row for batch in batches for row in batch.rows]
            due = [(row.id, _within(row, max(destination.until + secrets.randbelow(spread), now + 1_000_000), now)) for row in late]
            if due:
                await self._store.do(PutOff(tuple(due), self._lease, destination.reply))
                log.info("relay", extra={"fields": {"outcome": f"{len(due)} put off: {name}", "reason": destination.reply}})
        except StoreError:
            self._left += [row.id for batch in batches for row in batch.rows]
            raise
        finally:
            self._out_of_hand({row.id for row in whole.rows})
            for batch in batches:
                self._batches.pop(id(batch), None)
        for batch in batches:
            await self._tell_late(batch.rows, destination.reply, None)

    async def _give_up(self, batch: _Batch, reply: str) -> None:
        """A row of which no report can be made stays, and the others are not to wait for it. Raises StoreError."""
        try:
            await self._bounce(batch, [Failed(_recipient(row), "4.4.7", reply) for row in batch.rows], None)
        except (Busy, Stale):
            raise
        except Exception:
            number = secrets.token_hex(4)
            log.exception("queue attempt failed", extra={"fields": {"error_id": number}})
            await self._later(batch, {row.id: f"4.3.0 a fault of this server ({number})" for row in batch.rows}, None)

    def _forget(self, now: int) -> None:
        """Destinations of which there is nothing to remember; when too many fail, those that failed longest ago."""
        for name, one in [*self._destinations.items()]:
            if not (one.waiting or one.active or one.failures):
                del self._destinations[name]
        if len(self._destinations) > KNOWN:
            idle = [(one.until, name) for name, one in self._destinations.items() if not (one.waiting or one.active)]
            for _, name in sorted(idle)[: len(self._destinations) - KNOWN]:
                del self._destinations[name]

    async def _sleep(self) -> None:
        async with self._store.snapshot() as snapshot:
            due = await snapshot.ask(queue_store.next_due)
            now = snapshot.now
        if due is None:
            wait = SLOW_POLL
        elif due <= now and self._in_hand:
            wait = 1.0  # it waits for what is being tried, whose end wakes us
        else:
            wait = min(SLOW_POLL, max(0.05, (due - now) / 1_000_000))
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _guarded(self, attempts: asyncio.TaskGroup, name: str, destination: _Destination, batch: _Batch) -> None:
        ids = {row.id for row in batch.rows}
        try:
            await self._stop_frozen(batch)
            if batch.rows:
                await (self._deliver(batch) if name == HERE else self._hand_on(destination, batch))
        except Exception as fault:
            number = secrets.token_hex(4)
            later = isinstance(fault, Busy)
            log.error("queue attempt failed", exc_info=not later, extra={"fields": {"error_id": number, "reason": repr(fault)}})
            try:
                await self._later(batch, {row.id: f"4.3.0 a fault of this server ({number})" for row in batch.rows}, None)
            except StoreError as fault:
                log.error(
                    "queue row left for later",
                    exc_info=not isinstance(fault, Busy),
                    extra={"fields": {"error_id": number, "reason": repr(fault)}},
                )
                self._left += [row.id for row in batch.rows]
        finally:
            self._out_of_hand(ids)
            self._batches.pop(id(batch), None)
            destination.active -= 1
            self._active -= name != HERE
            self._wake.set()
        if destination.waiting:
            # Not by the next round: it would ask the store first, and this may go on at once.
            with contextlib.suppress(StoreError):
                await self._go_on(attempts)

    async def _stop_frozen(self, batch: _Batch) -> None:
        """What has been frozen since it was claimed, perhaps long before its turn came, is not begun."""
        async with self._store.snapshot() as snapshot:
            frozen = await snapshot.ask(queue_store.frozen_among, [row.id for row in batch.rows])
            now = snapshot.now
        if frozen:
            await self._store.do(PutOff(tuple((number, now) for number in sorted(frozen)), self._lease))
            batch.rows = [row for row in batch.rows if row.id not in frozen]

    async def _release(self) -> None:
        """Held mail whose account is no longer in maintenance becomes due; what was held too long ClaimDue takes for its bounce."""
        async with self._store.snapshot() as snapshot:
            held = await snapshot.ask(queue_store.held_accounts)
            free = []
            for account in held:
                row = await snapshot.ask(accounts.by_id, account)
                if row is None or not isinstance(self._delivery.judge(row, Door.QUEUE, 0), Hold):
                    free.append(account)
        for account in free:
            await self._store.do(queue_store.ReleaseHeld(account))

    async def _release_postponed(self, batch: _Batch) -> None:
        (row,) = batch.rows
        releases = self._releases if is_postponed(row.parameters) else self._moderation
        why = "4.3.0 nobody releases" if releases is None else await releases.release(row, self._lease, await self._octets(row))
        if why is not None:
            await self._later(batch, {row.id: why}, None)

    async def _is_local(self, row: QueueRow) -> bool:
        """What was remote when it came may be ours by now."""
        if row.kind is QueueKind.HELD:
            return True
        recipient = _address(row.recipient)
        if recipient is None:
            return False
        try:
            async with self._store.snapshot() as snapshot:
                route = await self._delivery.routing(snapshot, Door.QUEUE, Poster(None, empty_path=False)).find(recipient, expand=False)
        except StoreError:
            raise
        except Exception:  # one row must not keep those that were claimed with it: its own attempt shows what it is worth
            log.exception("queue row without a route", extra={"fields": {"queue_id": row.accepted}})
            return False
        return isinstance(route, Mailbox)

    async def _deliver(self, batch: _Batch) -> None:
        """Into the mailbox it was held for, if the account takes it now; status and quota are judged anew."""
        await self._now()
        (row,) = batch.rows
        if _waits(row):
            await self._release_postponed(batch)
            return
        octets = await self._octets(row)
        async with self._store.snapshot() as snapshot:
            account = await self._account(snapshot, row)
            verdict = Refuse(Reason.RECIPIENT_UNKNOWN) if account is None else self._delivery.judge(account, Door.QUEUE, row.size)
            if isinstance(verdict, Hold) and account is not None and not self._is_over(row, snapshot.now):
                # With the witness: a status that changes now makes it due, not held until it expires.
                await self._store.do(HoldAgain(row.id, self._lease, account.id), await snapshot.witness(account.id))
                return
            if account is None or verdict is not None:
                overdue = isinstance(verdict, Hold) or self._is_over(row, snapshot.now)
                if isinstance(verdict, Defer) and not overdue:
                    await self._later(batch, {row.id: _spelled(row, verdict)}, None)
                    return
                refusal = Refuse(Reason.RECIPIENT_MAINTENANCE) if isinstance(verdict, Hold) else verdict or Refuse(Reason.RECIPIENT_UNKNOWN)
                await self._bounce(batch, [failed(_recipient(row), refusal)], octets)
                return
            witness = await snapshot.witness(account.id)
            told = AcceptMessage("")
            if wants(of_row(row.parameters).of(0), SUCCESS):
                about, mail = [_about(row, "2.1.5", "250 2.1.5 delivered")], of_row(row.parameters).mail
                told = await self._delivery.report(snapshot, _address(row.reverse_path), about, octets, action="delivered", mail=mail)
        copy = IntoMailbox(account.id, arrived(octets), account.values.quota, when_full=WhenFull.REFUSE)
        try:
            await self._store.do(Settle(row.id, self._lease, AcceptMessage("", (copy, *told.copies), told.queued)), witness)
        except OverQuota:
            await self._later(batch, {row.id: _spelled(row, Defer(Reason.RECIPIENT_OVER_QUOTA))}, None)
        except Stale:
            await self._later(batch, {row.id: "4.3.0 changed meanwhile"}, None, soon=True)
        else:
            log.info(
                "delivery",
                extra={"fields": {"queue_id": row.accepted, "account": str(account.address), "outcome": "delivered from the queue"}},
            )

    async def _hand_on(self, destination: _Destination, batch: _Batch) -> None:
        """One message to one destination, and what it said of each recipient."""
        rows = [*batch.rows]
        octets = await self._octets(rows[0])
        outcomes = await self._said(rows, octets if self._signing is None else await self._signing.signed(rows[0], octets))
        sent = [row for row in rows if outcomes[row.recipient].fate is Fate.SENT]
        if sent:
            untold = [(row, outcomes[row.recipient].reply) for row in sent if not outcomes[row.recipient].dsn]
            await self._sent(batch, [row.id for row in sent], await self._relayed(untold, octets))
            log.info("relay", extra={"fields": {"queue_id": rows[0].accepted, "outcome": f"sent to {len(sent)}"}})
        now = await self._now()
        self._learn(destination, [*outcomes.values()], now)
        bounced = {}
        for row in batch.rows:
            outcome = outcomes[row.recipient]
            if outcome.fate is Fate.NEVER or self._is_over(row, now):
                code = status_of(outcome.reply) if outcome.fate is Fate.NEVER else "4.4.7"
                bounced[row.id] = Failed(_recipient(row), code, outcome.reply)
        if bounced:
            failing = _Batch([row for row in batch.rows if row.id in bounced])
            await self._bounce(failing, [bounced[row.id] for row in failing.rows], octets)
            batch.rows = [row for row in batch.rows if row.id not in bounced]
        if batch.rows:
            await self._later(batch, {row.id: outcomes[row.recipient].reply for row in batch.rows}, octets, destination.until)

    async def _said(self, rows: Sequence[QueueRow], octets: bytes) -> dict[str, Outcome]:
        if self._relay is None:
            return {row.recipient: Outcome(Fate.LATER, "4.4.1 no next hop is set") for row in rows}
        recipients = [_recipient(row) for row in rows]
        reverse_path = _address(rows[0].reverse_path)
        eight_bit_paths = not all(str(one).isascii() for one in [*recipients, *([reverse_path] if reverse_path else [])])
        smtputf8 = eight_bit_paths or not octets[: read_header(octets).end].isascii()
        ids = [row.id for row in rows]

        async def still() -> bool:
            try:
                async with self._store.snapshot() as snapshot:
                    return not await snapshot.ask(queue_store.frozen_among, ids)
            except StoreError:  # whoever cannot tell does not send
                return False

        parameters = _parameters(rows)
        if rows[0].sender is not None:
            parameters = replace(parameters, still=still)
        said = await self._relay.send(reverse_path, recipients, octets, smtputf8, parameters=parameters)
        return {str(address): outcome for address, outcome in said.items()}

    async def _relayed(self, rows: Sequence[tuple[QueueRow, str]], octets: bytes) -> AcceptMessage | None:
        """What a sender that wants to hear of success is told when the next hop will not tell it (RFC 3461 section 5.2.2)."""
        asked = [(row, reply) for row, reply in rows if wants(of_row(row.parameters).of(0), SUCCESS)]
        if not asked:
            return None
        try:
            async with self._store.snapshot() as snapshot:
                about = [_about(row, "2.1.9", reply) for row, reply in asked]
                path, mail = _address(asked[0][0].reverse_path), of_row(asked[0][0].parameters).mail
                return await self._delivery.report(snapshot, path, about, octets, action="relayed", mail=mail)
        except StoreError as fault:
            log.error("report", extra={"fields": {"queue_id": asked[0][0].accepted, "outcome": "not written", "reason": repr(fault)}})
            return None

    async def _sent(self, batch: _Batch, sent: Sequence[QueueId], report: AcceptMessage | None) -> None:
        """From the 250 until this is durable lies the window in which a crash makes a message go out twice. So it is tried until it is
        done: giving up would be such a crash."""
        while True:
            try:
                await self._store.do(HandedOn(tuple(sent), self._lease, report))
                break
            except Busy:
                log.error("relay", extra={"fields": {"outcome": "sent, and not written down yet", "queue_id": batch.rows[0].accepted}})
                await asyncio.sleep(AFTER_FAULT)
        batch.rows = [row for row in batch.rows if row.id not in sent]

    def _learn(self, destination: _Destination, outcomes: Sequence[Outcome], now: int) -> None:
        """Backs off from a destination where nobody was reached, longer each time; anything else shows that it is there."""
        if not all(outcome.unreachable for outcome in outcomes):
            destination.failures = destination.until = 0
        elif destination.until <= now:  # of several that failed at the same time, one counts
            destination.failures += 1
            destination.until = now + self._wait(destination.failures)
            destination.reply = outcomes[0].reply

    def _wait(self, attempts: int) -> int:
        """Microseconds, with up to a tenth more so that what failed together does not return together."""
        waits = self._rules.retries
        wait = waits[min(max(attempts - 1, 0), len(waits) - 1)]
        return int(wait * (1_000_000 + secrets.randbelow(int(JITTER * 1_000_000))))

    async def _bounce(self, batch: _Batch, failures: Sequence[Failed], octets: bytes | None) -> None:
        """The report and the end of the rows are one transaction, in which the actor's part of a send-as goes on record too: the
        report goes to the owner, and names nobody (delegation.md 5.6, 5.8)."""
        rows = [*batch.rows]
        original = await self._octets(rows[0]) if octets is None else octets
        async with self._store.snapshot() as snapshot:
            wanted = [
                replace(one, original=original_recipient(asked))
                for one, asked in zip(failures, (of_row(row.parameters).of(0) for row in rows), strict=True)
                if wants(asked, FAILURE)
            ]
            mail = of_row(rows[0].parameters).mail
            report = await self._delivery.report(snapshot, _address(rows[0].reverse_path), wanted, original, mail=mail)
            on_record = await self._on_record(snapshot, rows[0], failures)
        await self._store.do(HandedOn(tuple(row.id for row in rows), self._lease, replace(report, audit=on_record)))
        batch.rows = []
        log.warning(
            "bounce",
            extra={
                "fields": {"queue_id": rows[0].accepted, "outcome": "; ".join(f"{one.recipient}: {one.reply}" for one in failures)[:500]}
            },
        )

    async def _on_record(self, snapshot: Snapshot, row: QueueRow, failures: Sequence[Failed]) -> tuple[AuditEntry, ...]:
        """Of mail that somebody sent in the name of another."""
        path = _address(row.reverse_path)
        if row.sender is None or path is None:
            return ()
        owner = await snapshot.ask(addresses.resolve, path)
        if owner is None or owner.id == row.sender:
            return ()
        actor = await snapshot.ask(accounts.by_id, row.sender)
        entry = AuditEntry(
            decision=new_decision(),
            event="not delivered",
            allowed=True,
            actor=row.sender,
            actor_address="" if actor is None else str(actor.address),
            principal=owner.id,
            principal_address=str(owner.address),
            because=f"{failures[0].status} {failures[0].reply}"[:500],
            protocol="queue",
            queue_id=row.accepted,
            detail=", ".join(str(one.recipient) for one in failures)[:1000],
        )
        return (entry,)

    async def _later(
        self, batch: _Batch, replies: Mapping[QueueId, str], octets: bytes | None, until: int = 0, *, soon: bool = False
    ) -> None:
        """The next attempt by the schedule, and not before `until`."""
        now = await self._now()
        rows = [*batch.rows]
        deeds = []
        for row in rows:
            wait = 1_000_000 if soon else self._wait(row.attempts)
            due = _within(row, max(now + wait, until), now)
            deeds.append(self._store.do(Reschedule(row.id, self._lease, due, replies[row.id])))
        done = await asyncio.gather(*deeds, return_exceptions=True)
        # Conflict: an operator has dropped it meanwhile.
        batch.rows = [row for row, one in zip(rows, done, strict=True) if isinstance(one, BaseException) and not isinstance(one, Conflict)]
        for one in done:
            if isinstance(one, BaseException) and not isinstance(one, Conflict):
                raise one
        if octets is not None:
            await self._tell_late(rows, replies[rows[0].id], octets)

    async def _tell_late(self, rows: Sequence[QueueRow], reply: str, octets: bytes | None) -> None:
        """Once, after `queue.delay`: the warning and its mark are one transaction. Mail that is held is not late by anybody's fault
        that the sender could mend, and no warning is sent about it."""
        delayed = int(self._rules.delay * 1_000_000)
        now = await self._now()
        late = [
            row
            for row in rows
            if delayed
            and not row.warned
            and now - row.created >= delayed
            and now < row.expires
            and wants(of_row(row.parameters).of(0), DELAY)
        ]
        if not late:
            return
        original = await self._octets(late[0]) if octets is None else octets
        async with self._store.snapshot() as snapshot:
            warning = await self._delivery.report(
                snapshot,
                _address(late[0].reverse_path),
                [_about(row, "4.4.1", reply) for row in late],
                original,
                delayed_until=late[0].expires,
                mail=of_row(late[0].parameters).mail,
            )
        await self._store.do(TellLate(tuple(row.id for row in late), warning))

    async def _account(self, snapshot: Snapshot, row: QueueRow) -> AccountRow | None:
        if row.account is not None:
            return await snapshot.ask(accounts.by_id, row.account)
        if row.kind is QueueKind.HELD:  # the account is deleted; whoever has its address now is another
            return None
        return await snapshot.ask(accounts.by_address, _recipient(row))

    async def _octets(self, row: QueueRow) -> bytes:
        async def read() -> bytes:
            async with self._store.snapshot() as snapshot:
                return await snapshot.work(blobs.octets, row.blob, self._files)

        return await self._files.brought(read)

    def _is_over(self, row: QueueRow, now: int) -> bool:
        """Has it had its time? Nothing bounces because of a clock that is ahead and may be wrong."""
        return row.expires <= now and not self._store.floor.doubtful

    async def _now(self) -> int:
        if self._clock is not None:
            return await self._clock.now()
        async with self._store.snapshot() as snapshot:
            return snapshot.now


def _within(row: QueueRow, due: int, now: int) -> int:
    """Tried once more when its time ends. What has had its time fails by a fault, or while the clock is doubted: not each second."""
    return min(due, max(row.expires, now + 1_000_000)) if now < row.expires else due


def _waits(row: QueueRow) -> bool:
    """It is no mail on its way, but waits to become one."""
    return is_postponed(row.parameters) or is_held_post(row.parameters)


def _address(text: str) -> Address | None:
    try:
        return read_address(text) if text else None
    except BadAddress:
        return None


def _about(row: QueueRow, status: str, reply: str) -> Failed:
    return Failed(_recipient(row), status, reply, original_recipient(of_row(row.parameters).of(0)))


def _recipient(row: QueueRow) -> Address:
    """As it was accepted: it has been an Address then. Raises BadAddress where the database was tampered with."""
    return read_address(row.recipient)


def _spelled(row: QueueRow, verdict: Defer) -> str:
    one = failed(_recipient(row), verdict)
    return f"{one.status} {one.reply}"


def _parameters(rows: Sequence[QueueRow]) -> Parameters:
    """Of `QueueRow.parameters`: {"mail": ["RET=HDRS", ...], "rcpt": ["NOTIFY=NEVER", ...]}, spelled as they are sent."""
    if all(row.parameters == "{}" for row in rows):
        return Parameters()
    read = [(row, json.loads(row.parameters)) for row in rows]
    each = {_recipient(row): tuple(one.get("rcpt", ())) for row, one in read}
    return Parameters(tuple(read[0][1].get("mail", ())), each)
