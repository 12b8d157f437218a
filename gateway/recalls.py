"""Who takes back what was submitted and waits, what goes on record of it, and who is told?"""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from gateway.arrival import arrived
from gateway.decisions import new_decision
from gateway.delivery import Delivery
from gateway.folders.values import Recaller
from gateway.message.split import read_header, unfolded
from gateway.message.text import decode_header
from gateway.postponed import Postponed, is_postponed, read_postponed
from policy.identity import AccountId, Address
from store import accounts, addresses, blobs, freezes, queue, recalls
from store.addresses import ObjectKind, Resolved
from store.audit import AuditEntry
from store.blobs import Files
from store.errors import Conflict
from store.freezes import Side
from store.model import QueueId, QueueRow
from store.port import Snapshot, Store
from store.queue import AcceptMessage
from store.recalls import Recall, RecallMessage

log = logging.getLogger(__name__)

TRIES: Final = 5
SUBJECT: Final = 200
"""Characters of it that a notice quotes."""


class Recalls:
    """Recalling is no policy: whoever may take the copy out of Sent, and put it into Drafts, may (delegation.md section 2)."""

    def __init__(self, store: Store, files: Files, delivery: Delivery) -> None:
        self._store = store
        self._files = files
        self._delivery = delivery

    async def recall(self, number: QueueId, by: Recaller) -> bool:
        """False: it has gone already. Raises StoreError."""
        for _ in range(TRIES):
            prepared = await self._files.brought(lambda: self._prepared_one(number, by))
            if not prepared:
                return False
            try:
                return await self._store.do(RecallMessage(prepared[0]))
            except Conflict:  # its last copy has just been expunged
                continue
        return False

    async def _prepared_one(self, number: QueueId, by: Recaller) -> tuple[Recall, ...]:
        async with self._store.snapshot() as snapshot:
            return await self.prepared(snapshot, (number,), by)

    async def prepared(self, snapshot: Snapshot, rows: Iterable[QueueId], by: Recaller) -> tuple[Recall, ...]:
        """For those of the rows that are there and wait for their time. Raises Away (store/away.py)."""
        found = []
        for number in dict.fromkeys(rows):
            row = await snapshot.ask(queue.queued_one, number)
            if row is not None and is_postponed(row.parameters):
                found.append(await self._prepared(snapshot, row, by))
        return tuple(found)

    async def _prepared(self, snapshot: Snapshot, row: QueueRow, by: Recaller) -> Recall:
        asked = read_postponed(row.parameters)
        octets = await snapshot.work(blobs.octets, row.blob, self._files)
        header = read_header(octets)
        subject = header.first(b"subject")
        spelled = "" if subject is None else " ".join(decode_header(unfolded(octets, subject)).split())[:SUBJECT]
        message_id = header.first(b"message-id")
        names = await self._names(snapshot, row)
        audit = tuple(
            AuditEntry(
                decision=new_decision(),
                event="recall",
                allowed=True,
                actor=None if by.actor is None else by.actor.account,
                actor_address=by.name,
                person=None if by.actor is None else by.actor.via,
                person_address="" if by.actor is None else str(by.actor.via_address or ""),
                principal=one.id,
                principal_address=str(one.address),
                because=by.because,
                protocol=by.protocol,
                source=by.source,
                message_id="" if message_id is None else unfolded(octets, message_id).decode("utf-8", "replace").strip()[:1000],
                queue_id=row.accepted,
                detail=f"sent by {asked.actor.address}",
            )
            for one in names or [Resolved(ObjectKind.ACCOUNT, asked.actor.account, asked.actor.address, asked.actor.address, False)]
        )
        tell = [await self._notice(snapshot, to, asked, names, spelled, by) for to in await self._others(snapshot, asked, names, by)]
        copies = await snapshot.ask(recalls.copies_of, row.id)
        return Recall(row.id, asked.actor.account, None if copies else arrived(octets), audit, tuple(tell))

    async def _names(self, snapshot: Snapshot, row: QueueRow) -> Sequence[Resolved]:
        """The principals in whose names it was to go, as far as they are still there."""
        behind = await snapshot.ask(freezes.behind, row.id)
        found = [await snapshot.ask(addresses.primary, number) for side, number in behind if side is Side.PRINCIPAL]
        return [one for one in found if one is not None]

    async def _others(self, snapshot: Snapshot, asked: Postponed, names: Sequence[Resolved], by: Recaller) -> Sequence[Address]:
        """Those it concerns, but who recalls it."""
        concerned = [asked.actor.person, *(AccountId(one.id) for one in names if one.kind is ObjectKind.ACCOUNT)]
        themselves = set() if by.actor is None else {by.actor.account, by.actor.person}
        found = [await snapshot.ask(accounts.by_id, one) for one in dict.fromkeys(concerned) if one not in themselves]
        return [one.address for one in found if one is not None]

    async def _notice(
        self, snapshot: Snapshot, to: Address, asked: Postponed, names: Sequence[Resolved], subject: str, by: Recaller
    ) -> AcceptMessage:
        inname = f" in the name of {', '.join(str(one.address) for one in names)}" if names else ""
        lines = [
            f"{by.name} has recalled a message before it was sent. Nobody has got it.",
            "",
            f"It was written by {asked.actor.via_address or asked.actor.address}{inname}.",
            f"Its subject: {subject or '(none)'}",
            "",
            "It is among the drafts now, where it can be changed and sent again.",
        ]
        return await self._delivery.notice(snapshot, to, "A message was recalled before it was sent", "\n".join(lines))
