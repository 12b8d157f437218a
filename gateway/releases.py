"""When the time of a postponed submission has come, may it still be sent? (RFC 4865; delegation.md section 5.10)"""

import logging

from gateway.delivery import Delivery
from gateway.postponed import Postponed, read_postponed
from gateway.refusal import Refused
from gateway.reports import Failed
from gateway.submission import Submission
from policy.identity import AccountId
from policy.reasons import Defer, Reason, Verdict
from policy.status import AccountStatus
from store import accounts
from store.deeds import Several
from store.errors import Conflict
from store.model import QueueRow
from store.port import Store
from store.queue import Reschedule, Settle
from store.recalls import ReturnCopies

log = logging.getLogger(__name__)


class Releases:
    """Sends what waited as if it were submitted now: by the same judgement, in the one transaction that ends its waiting."""

    def __init__(self, store: Store, submission: Submission, delivery: Delivery) -> None:
        self._store = store
        self._submission = submission
        self._delivery = delivery

    async def release(self, row: QueueRow, lease: str, octets: bytes) -> str | None:
        """None: the row is done with, or waits for its time again. Otherwise why it has to be tried again, with the status code.

        Who may not send any more is told so by a report; nobody else is, for it would name the delegate. Raises StoreError.
        """
        asked = read_postponed(row.parameters)
        try:
            return await self._release(asked, row, lease, octets)
        except Conflict:  # recalled, or dropped by hand meanwhile
            return None

    async def _release(self, asked: Postponed, row: QueueRow, lease: str, octets: bytes) -> str | None:
        async with self._store.snapshot() as snapshot:
            now = snapshot.now
            who = [await snapshot.ask(accounts.by_id, AccountId(one)) for one in (asked.actor.account, asked.actor.person)]
        if asked.at > now:  # `procura queue retry` makes nothing go earlier than was asked
            await self._store.do(Reschedule(row.id, lease, asked.at, row.last_reply))
            return None
        overdue = row.expires <= now and not self._store.floor.doubtful
        if any(one is not None and one.status is AccountStatus.MAINTENANCE for one in who) and not overdue:
            return "4.2.1 the sender's account is in maintenance"
        try:
            key = await self._submission.resumed(asked, row.id, lease).commit(octets)
        except Refused as refused:
            verdict = refused.verdict
            if verdict.reason in (Reason.PRINCIPAL_FROZEN, Reason.ACTOR_FROZEN):
                # Frozen while it was tried: put off, the row is held; nothing ends while somebody is frozen.
                return f"4.7.1 {_words(verdict)}"
            if isinstance(verdict, Defer) and not overdue:
                return f"4.7.1 {_words(verdict)}"
            await self._refuse(asked, row, lease, octets, verdict)
        else:
            log.info("release", extra={"fields": {"queue_id": key, "account": str(asked.actor.address), "reason": f"was {row.accepted}"}})
        return None

    async def _refuse(self, asked: Postponed, row: QueueRow, lease: str, octets: bytes, verdict: Verdict) -> None:
        status = "4.4.7" if isinstance(verdict, Defer) else "5.7.1"
        failures = [Failed(one, status, _words(verdict)) for one in asked.recipients]
        async with self._store.snapshot() as snapshot:
            # By number: the name of then may have been given to somebody else. Of whoever is gone the log says what was left.
            actor = await snapshot.ask(accounts.by_id, asked.actor.account)
            report = await self._delivery.report(snapshot, None if actor is None else actor.address, failures, octets)
        # In one: what was not sent does not stay in Sent.
        await self._store.do(Several((ReturnCopies(row.id), Settle(row.id, lease, report))))
        fields = {"queue_id": row.accepted, "account": str(asked.actor.address), "outcome": "refused", "reason": verdict.reason}
        log.warning("release", extra={"fields": fields})


def _words(verdict: Verdict) -> str:
    return verdict.detail or str(verdict.reason)
