"""When a list's owners have decided about a post, or nobody has in time: what becomes of it? (delegation.md section 9)"""

import asyncio
import logging
from dataclasses import replace

from gateway.decisions import new_decision
from gateway.delivery import Delivery, queue_id
from gateway.held_posts import HeldPost, read_held_post
from gateway.list_robot import poster_of
from gateway.message.canonical import read_address
from gateway.origin import Findings
from gateway.reports import Failed, list_refused
from gateway.routing import Poster, Routing
from policy.delivery import Door
from policy.identity import AccountId, Address
from policy.reasons import Defer, Verdict
from store import accounts, freezes, list_requests, lists
from store.audit import AuditEntry
from store.errors import Conflict, NotFound, Stale
from store.freezes import Side
from store.list_requests import CloseRequest
from store.model import ListRequest, ListRow, QueueRow, Stage
from store.port import Snapshot, Store
from store.queue import AcceptMessage, Delegation, Reschedule, Settle

log = logging.getLogger(__name__)

DOUBTED = 60_000_000
"""Microseconds after which it is asked again whether the clock is to be believed."""
TRIES = 5
"""Judgements of one post, if what they rest on changes meanwhile; then it is tried later."""


class Moderation:
    """Sends on what an owner has let through, by the same judgement as when it came, in the one transaction that ends its waiting."""

    def __init__(self, store: Store, delivery: Delivery) -> None:
        self._store = store
        self._delivery = delivery

    async def release(self, row: QueueRow, lease: str, octets: bytes) -> str | None:
        """None: the row is done with, or waits for its owners again. Otherwise why it has to be tried again, with the status code.
        Raises StoreError."""
        post = read_held_post(row.parameters)
        findings: Findings | None = None
        known = False
        for attempt in range(TRIES):
            await asyncio.sleep(0.05 * attempt)
            try:
                return await self._try(post, row, lease, octets, findings, known=known)
            except (Stale, NotFound):
                continue
            except Conflict:  # refused or dropped meanwhile
                return None
            except _Unknown:
                # Outside of any snapshot, for the DNS takes its time; then it is judged anew.
                findings = await self._delivery.findings(Door.LMTP if post.known_as is not None else Door.MX, octets)
                known = True
        return "4.3.0 changed meanwhile"

    async def _try(self, post: HeldPost, row: QueueRow, lease: str, octets: bytes, findings: Findings | None, *, known: bool) -> str | None:
        async with self._store.snapshot() as snapshot:
            asked = await snapshot.ask(list_requests.by_queue, row.id)
            group = await snapshot.ask(lists.by_id, post.list)
            witness = await snapshot.witness(post.list)
            if asked is None or group is None:
                _log(row, "the list is gone")
                about = [Failed(read_address(row.recipient), "5.1.1", "the list to which you posted is gone")]
                report = await self._delivery.report(snapshot, await poster_of(snapshot, post), about, octets)
                await self._store.do(Settle(row.id, lease, report))
                return None
            if asked.stage is Stage.APPROVED:
                return await self._send(snapshot, post, group, asked, row, lease, octets, findings, known=known)
            # `procura queue retry` decides nothing, nor does a clock that is ahead and may be wrong.
            if snapshot.now < asked.expires or self._store.floor.doubtful:
                due = max(asked.expires, snapshot.now + DOUBTED)
                await self._store.do(Reschedule(row.id, lease, due, row.last_reply), witness)
                return None
            letters = await self._delivery.robot.too_late(snapshot, group, post, asked.subject)
            await self._end(snapshot, post, group, asked, row, lease, await self._delivery.letters(snapshot, letters), "nobody decided")
            return None

    async def _send(
        self,
        snapshot: Snapshot,
        post: HeldPost,
        group: ListRow,
        asked: ListRequest,
        row: QueueRow,
        lease: str,
        octets: bytes,
        findings: Findings | None,
        *,
        known: bool,
    ) -> str | None:
        delivery = self._delivery
        routing = await self._routing(snapshot, post, row)
        plan = await delivery.plan(routing, (group.address,), octets, None, row.sender, findings=findings)
        delegation = await _delegation(snapshot, row)
        if delegation is not None:  # whoever is frozen later stops what is still on its way
            plan.queued = [replace(one, delegation=delegation) for one in plan.queued]
            routing.scopes |= {delegation.actor, *delegation.principals}
        if not known and await delivery.is_sealed(snapshot, plan):
            raise _Unknown
        (verdict,) = plan.outcomes
        if isinstance(verdict, Defer) and (row.expires > snapshot.now or self._store.floor.doubtful):
            return f"4.7.1 {verdict.detail or verdict.reason}"
        if verdict is not None:
            await self._refuse(snapshot, post, group, asked, row, lease, octets, verdict)
            return None
        plan.steps.append(CloseRequest(asked.key))
        extra = await delivery.bounces(snapshot, plan, octets)
        tell = await poster_of(snapshot, post)
        if tell is not None:
            extra += [await delivery.notice(snapshot, tell, *list_refused(one)) for one in plan.refused_lists]
        witness = await snapshot.witness(*routing.scopes, valid_until=routing.valid_until)
        key = queue_id()
        accepted = await delivery.accept(plan, witness, key, (), (), extra, (row.id, lease))
        await delivery.report_outcomes(plan, accepted, (group.address,), None, octets)
        _log(row, f"let through as {key}: {len(plan.copies)} delivered, {len(plan.queued)} queued")
        return None

    async def _routing(self, snapshot: Snapshot, post: HeldPost, row: QueueRow) -> Routing:
        standing = None if post.account is None else await snapshot.ask(lists.standing, post.account)
        envelope = _address(row.reverse_path)
        routing = self._delivery.routing(snapshot, Door.QUEUE, Poster(standing, False, post.known_as, envelope))
        routing.approved = post.list
        routing.scopes |= {post.list} | ({post.account} if post.account is not None else set())
        if post.entered != post.list:
            routing.has_it = (post.entered, post.left_out)
        return routing

    async def _refuse(
        self,
        snapshot: Snapshot,
        post: HeldPost,
        group: ListRow,
        asked: ListRequest,
        row: QueueRow,
        lease: str,
        octets: bytes,
        verdict: Verdict,
    ) -> None:
        """Let through by an owner, and not permitted any more."""
        why = verdict.detail or str(verdict.reason)
        about = [Failed(group.address, "5.7.1", why)]
        report = await self._delivery.report(snapshot, await poster_of(snapshot, post), about, octets)
        await self._end(snapshot, post, group, asked, row, lease, [report], why)

    async def _end(
        self,
        snapshot: Snapshot,
        post: HeldPost,
        group: ListRow,
        asked: ListRequest,
        row: QueueRow,
        lease: str,
        letters: list[AcceptMessage],
        why: str,
    ) -> None:
        """The post is thrown away."""
        actor = None if post.account is None else await snapshot.ask(accounts.by_id, post.account)
        entry = AuditEntry(
            decision=new_decision(),
            event="post",
            allowed=False,
            actor=post.account,
            actor_address=str(asked.address if actor is None else actor.address),
            principal=group.id,
            principal_address=str(group.address),
            because=why,
            protocol="queue",
            queue_id=row.accepted,
        )
        accept = AcceptMessage(
            "",
            tuple(copy for one in letters for copy in one.copies),
            tuple(queued for one in letters for queued in one.queued),
            audit=(entry,),
            steps=(CloseRequest(asked.key),),
        )
        await self._store.do(Settle(row.id, lease, accept), await snapshot.witness(group.id))
        _log(row, f"thrown away: {why}")


async def _delegation(snapshot: Snapshot, row: QueueRow) -> Delegation | None:
    """In whose name it was posted, if not in the poster's own."""
    behind = await snapshot.ask(freezes.behind, row.id)
    actor = next((number for side, number in behind if side is Side.ACTOR), None)
    principals = tuple(number for side, number in behind if side is Side.PRINCIPAL)
    return None if actor is None else Delegation(AccountId(actor), principals)


class _Unknown(Exception):
    """It has to be known first what can be found out about the message: a list sends it on with a seal."""


def _address(text: str) -> Address | None:
    return read_address(text) if text else None


def _log(row: QueueRow, outcome: str) -> None:
    log.info("list", extra={"fields": {"account": row.recipient, "queue_id": row.accepted, "outcome": outcome}})
