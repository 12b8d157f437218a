"""Tries again what could not be delivered at once: mail for the next hop, and mail held for accounts in maintenance."""

import asyncio
import logging
import secrets
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.arrival import arrived
from gateway.delivery import Delivery
from gateway.message.canonical import read_address
from gateway.message.split import read_header
from gateway.postponed import is_postponed
from gateway.relay import Fate, Outcome, Relay
from gateway.reports import Failed, failed, status_of
from gateway.routing import Mailbox, Poster
from policy.delivery import Door
from policy.identity import Address, BadAddress
from policy.reasons import Defer, Reason, Refuse
from policy.status import Hold
from store import accounts, blobs
from store import queue as queue_store
from store.blobs import Files
from store.deeds import Several
from store.errors import Busy, Conflict, OverQuota, Stale, StoreError
from store.model import AccountRow, QueueId, QueueKind, QueueRow
from store.port import Event, PolicyChanged, QueueChanged, Snapshot, Store
from store.queue import AcceptMessage, ClaimDue, FreeLeases, HoldAgain, IntoMailbox, Reschedule, Settle, WhenFull

log = logging.getLogger(__name__)

LEASE: Final = 15 * 60 * 1_000_000
"""Microseconds a claimed row is ours: longer than one dialogue with the next hop may last."""
SLOW_POLL: Final = 30.0
"""Seconds: nothing that was missed waits longer."""
AFTER_FAULT: Final = 1.0
"""Seconds until the next round where the store could not be asked."""
ROUND: Final = 50
IN_HAND: Final = 500
"""Rows: more are not claimed while so many are being tried."""


@dataclass(frozen=True, slots=True)
class QueueRules:
    """`retries`: seconds before each further attempt, the last one repeats; `delay`: seconds after which the sender is told that
    mail is delayed, 0 never; `concurrency`: dialogues with the next hop at a time."""

    retries: Sequence[float]
    delay: float
    concurrency: int


class Releasing(Protocol):
    """Sends submissions that were postponed."""

    async def release(self, row: QueueRow, lease: str, octets: bytes) -> str | None:
        """None: it is done with. Otherwise why it has to be tried again."""


@dataclass(slots=True)
class _Batch:
    """Rows of one message with one envelope sender: one transaction with the next hop."""

    rows: list[QueueRow] = field(default_factory=list)


class Queue:
    """One runner. `run` is a task of the application; `told` is a watcher of the store."""

    def __init__(
        self, store: Store, files: Files, delivery: Delivery, relay: Relay | None, rules: QueueRules, releases: Releasing | None = None
    ) -> None:
        self._store = store
        self._files = files
        self._delivery = delivery
        self._relay = relay
        self._rules = rules
        self._releases = releases
        self._lease = secrets.token_hex(8)
        self._in_hand: set[QueueId] = set()
        self._wake = asyncio.Event()
        self._dialogues = asyncio.Semaphore(rules.concurrency)

    def told(self, events: Sequence[Event]) -> None:
        """A watcher of the store."""
        if any(isinstance(event, QueueChanged | PolicyChanged) for event in events):
            self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled; whatever goes wrong in one round is logged, and the next one comes."""
        freed = False
        async with asyncio.TaskGroup() as attempts:
            while True:
                self._wake.clear()
                try:
                    if not freed:
                        await self._store.do(FreeLeases())
                        freed = True
                    more = await self.round(attempts)
                    if not more:
                        await self._sleep()
                except (Busy, Stale):
                    await asyncio.sleep(AFTER_FAULT)
                except Exception:
                    log.exception("queue round failed")
                    await asyncio.sleep(AFTER_FAULT)

    async def round(self, attempts: asyncio.TaskGroup) -> bool:
        """Begins to try what is due now; True: there may be more. Released are first those held whose account takes mail again.

        Nothing here waits for an attempt: a slow next hop must not keep mail from those who came back from maintenance.
        """
        await self._release()
        if len(self._in_hand) >= IN_HAND:
            return False
        async with self._store.snapshot() as snapshot:
            now = snapshot.now
        rows = await self._store.do(ClaimDue(self._lease, now + LEASE, ROUND), bulk=True)
        more = len(rows) == ROUND
        # A row that is still being tried here although its lease ended has just been claimed for longer; no second attempt begins.
        rows = tuple(row for row in rows if row.id not in self._in_hand)
        batches: dict[tuple[int, str], _Batch] = defaultdict(_Batch)
        local: list[QueueRow] = []
        postponed: list[QueueRow] = []
        try:
            for row in rows:
                if is_postponed(row.parameters):
                    postponed.append(row)
                elif await self._is_local(row):
                    local.append(row)
                else:
                    batches[(row.blob, row.reverse_path)].rows.append(row)
        except StoreError:
            # Nothing was begun: given back, since their lease would keep them waiting for a quarter of an hour.
            for row in rows:
                await self._later(row, "4.3.0 a fault of this server", soon=True)
            raise
        self._in_hand |= {row.id for row in rows}
        for row in local:
            attempts.create_task(self._guarded([row], self._deliver(row)))
        for row in postponed:
            attempts.create_task(self._guarded([row], self._release_postponed(row)))
        for batch in batches.values():
            attempts.create_task(self._guarded(batch.rows, self._hand_on(batch.rows)))
        return more

    async def _sleep(self) -> None:
        async with self._store.snapshot() as snapshot:
            due = await snapshot.ask(queue_store.next_due)
            now = snapshot.now
        wait = SLOW_POLL if due is None else min(SLOW_POLL, max(0.05, (due - now) / 1_000_000))
        try:
            async with asyncio.timeout(wait):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _guarded(self, rows: Sequence[QueueRow], work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception:
            number = secrets.token_hex(4)
            log.exception("queue attempt failed", extra={"fields": {"error_id": number}})
            try:
                for row in rows:
                    await self._later(row, f"4.3.0 a fault of this server ({number})")
            except StoreError:
                log.exception("queue row left to its lease", extra={"fields": {"error_id": number}})
        finally:
            self._in_hand -= {row.id for row in rows}
            self._wake.set()

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

    async def _release_postponed(self, row: QueueRow) -> None:
        why = "4.3.0 nobody releases" if self._releases is None else await self._releases.release(row, self._lease, await self._octets(row))
        if why is not None:
            await self._later(row, why)

    async def _is_local(self, row: QueueRow) -> bool:
        """What was remote when it came may be ours by now."""
        if row.kind is QueueKind.HELD:
            return True
        recipient = _address(row.recipient)
        if recipient is None:
            return False
        async with self._store.snapshot() as snapshot:
            route = await self._delivery.routing(snapshot, Door.QUEUE, Poster(None, empty_path=False)).find(recipient, expand=False)
        return isinstance(route, Mailbox)

    async def _deliver(self, row: QueueRow) -> None:
        """Into the mailbox it was held for, if the account takes it now; status and quota are judged anew."""
        octets = await self._octets(row)
        async with self._store.snapshot() as snapshot:
            account = await self._account(snapshot, row)
            verdict = Refuse(Reason.RECIPIENT_UNKNOWN) if account is None else self._delivery.judge(account, Door.QUEUE, row.size)
            if isinstance(verdict, Hold) and account is not None and row.expires > snapshot.now:
                # With the witness: a status that changes now makes it due, not held until it expires.
                await self._store.do(HoldAgain(row.id, self._lease, account.id), await snapshot.witness(account.id))
                return
            if account is None or verdict is not None:
                overdue = isinstance(verdict, Hold) or row.expires <= snapshot.now
                if isinstance(verdict, Defer) and not overdue:
                    await self._later(row, _spelled(row, verdict))
                    return
                refusal = Refuse(Reason.RECIPIENT_MAINTENANCE) if isinstance(verdict, Hold) else verdict or Refuse(Reason.RECIPIENT_UNKNOWN)
                await self._bounce([row], [failed(_recipient(row), refusal)], octets)
                return
            witness = await snapshot.witness(account.id)
        copy = IntoMailbox(account.id, arrived(octets), account.values.quota, when_full=WhenFull.REFUSE)
        try:
            await self._store.do(Settle(row.id, self._lease, AcceptMessage("", (copy,))), witness)
        except OverQuota:
            await self._later(row, _spelled(row, Defer(Reason.RECIPIENT_OVER_QUOTA)))
        except Stale:
            await self._later(row, "4.3.0 changed meanwhile", soon=True)
        else:
            log.info(
                "delivery",
                extra={"fields": {"queue_id": row.accepted, "account": str(account.address), "outcome": "delivered from the queue"}},
            )

    async def _hand_on(self, rows: Sequence[QueueRow]) -> None:
        """One transaction with the next hop, and what it said of each recipient."""
        octets = await self._octets(rows[0])
        if self._relay is None:
            outcomes = {row.recipient: Outcome(Fate.LATER, "4.4.1 no next hop is set") for row in rows}
        else:
            recipients = [_recipient(row) for row in rows]
            reverse_path = _address(rows[0].reverse_path)
            eight_bit_paths = not all(str(one).isascii() for one in [*recipients, *([reverse_path] if reverse_path else [])])
            smtputf8 = eight_bit_paths or not octets[: read_header(octets).end].isascii()
            async with self._dialogues:
                said = await self._relay.send(reverse_path, recipients, octets, smtputf8)
            outcomes = {str(address): outcome for address, outcome in said.items()}
        bounced: list[tuple[QueueRow, Failed]] = []
        for row in rows:
            outcome = outcomes[row.recipient]
            expired = row.expires <= await self._now()
            if outcome.fate is Fate.SENT:
                await self._store.do(Settle(row.id, self._lease))
                log.info("relay", extra={"fields": {"queue_id": row.accepted, "outcome": "sent"}})
            elif outcome.fate is Fate.NEVER or expired:
                code = status_of(outcome.reply) if outcome.fate is Fate.NEVER else "4.4.7"
                bounced.append((row, Failed(_recipient(row), code, outcome.reply)))
            else:
                await self._later(row, outcome.reply, octets=octets)
        if bounced:
            await self._bounce([row for row, _ in bounced], [one for _, one in bounced], octets)

    async def _bounce(self, rows: Sequence[QueueRow], failures: Sequence[Failed], octets: bytes) -> None:
        """The report and the end of the rows are one transaction: the first row's deed carries the report."""
        async with self._store.snapshot() as snapshot:
            report = await self._delivery.report(snapshot, _address(rows[0].reverse_path), failures, octets)
        await self._store.do(Several(tuple(Settle(row.id, self._lease, report if row is rows[0] else None) for row in rows)))
        log.warning(
            "bounce",
            extra={
                "fields": {"queue_id": rows[0].accepted, "outcome": "; ".join(f"{one.recipient}: {one.reply}" for one in failures)[:500]}
            },
        )

    async def _later(self, row: QueueRow, reply: str, *, soon: bool = False, octets: bytes | None = None) -> None:
        """The next attempt by the schedule, with up to a tenth more so that what failed together does not return together."""
        now = await self._now()
        waits = self._rules.retries
        wait = 1.0 if soon else waits[min(max(row.attempts - 1, 0), len(waits) - 1)] * (1 + secrets.randbelow(100) / 1000)
        due = min(now + int(wait * 1_000_000), max(row.expires, now + 1_000_000))
        try:
            await self._store.do(Reschedule(row.id, self._lease, due, reply))
        except Conflict:
            return
        delayed = self._rules.delay * 1_000_000
        if octets is not None and delayed and now - row.created >= delayed > (row.last_attempt or row.created) - row.created:
            async with self._store.snapshot() as snapshot:
                warning = await self._delivery.report(
                    snapshot, _address(row.reverse_path), [Failed(_recipient(row), "4.4.1", reply)], octets, delayed_until=row.expires
                )
            await self._store.do(warning)

    async def _account(self, snapshot: Snapshot, row: QueueRow) -> AccountRow | None:
        if row.account is not None:
            return await snapshot.ask(accounts.by_id, row.account)
        return await snapshot.ask(accounts.by_address, _recipient(row))

    async def _octets(self, row: QueueRow) -> bytes:
        async with self._store.snapshot() as snapshot:
            return await snapshot.work(blobs.octets, row.blob, self._files)

    async def _now(self) -> int:
        async with self._store.snapshot() as snapshot:
            return snapshot.now


def _address(text: str) -> Address | None:
    try:
        return read_address(text) if text else None
    except BadAddress:
        return None


def _recipient(row: QueueRow) -> Address:
    """As it was accepted: it has been an Address then. Raises BadAddress where the database was tampered with."""
    return read_address(row.recipient)


def _spelled(row: QueueRow, verdict: Defer) -> str:
    one = failed(_recipient(row), verdict)
    return f"{one.status} {one.reply}"
