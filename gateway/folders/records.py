"""What of folders goes on record: delegated reading, refusals and changes of grants."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from gateway.decisions import new_decision
from gateway.folders.standpoint import NOBODY, Standpoint
from gateway.folders.values import Visit
from gateway.trace import spell_trace
from policy.decision import Decision
from policy.rights import Right, spell_rfc
from store.audit import AuditEntry, RecordAudit
from store.deeds import Audited
from store.errors import Broken, Busy, NotFound
from store.port import Deed, Store
from store.tenure import Used

log = logging.getLogger(__name__)

RECORDS: Final = 10_000
"""Records of reading that may wait for the disk; when there are more, delegated reading is refused rather than unrecorded."""
TOGETHER: Final = 256
"""Records in one deed at most."""
PAUSE: Final = 1.0
"""Seconds until what could not be written is tried again."""
PATIENCE: Final = 5.0
"""Seconds that the end of the process waits for what is to be recorded."""

_Item = AuditEntry | Deed[Any]


class Recorder:
    """Records of delegated reading and of refusals, on their way to the audit without anybody waiting for them.

    They are taken from the queue when they are durable. One that can never be written goes to the log instead.
    """

    __slots__ = ("_store", "_task", "_uses", "_waiting")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[_Item] = deque()
        self._uses: set[Used] = set()
        self._task: asyncio.Task[None] | None = None

    def put(self, what: _Item, uses: Sequence[Used] = ()) -> bool:
        """False: too many are waiting already. `uses`: grants that are in use, noted in the transaction that writes a record."""
        if len(self._waiting) >= RECORDS:
            return False
        self._waiting.append(what)
        if len(self._uses) < RECORDS:
            self._uses.update(uses)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name="records of delegated access")
        return True

    async def _work(self) -> None:
        together = TOGETHER
        try:
            while self._waiting:
                group = self._first(together)
                try:
                    await self._write(group)
                except Busy as fault:
                    if not isinstance(fault, Broken):
                        await asyncio.sleep(PAUSE)
                        continue
                    lost = True
                except NotFound:
                    lost = not isinstance(group[0], Deed)
                except Exception:
                    lost = True
                else:
                    lost = False
                if lost and len(group) > 1:
                    # One of them cannot be written: each by itself, so that the others are.
                    together = 1
                    continue
                if lost:
                    together = TOGETHER
                    log.error("a record cannot be written", extra={"fields": {"record": repr(group[0])}})
                for _ in group:
                    self._waiting.popleft()
        finally:
            self._task = None

    def _first(self, together: int) -> list[_Item]:
        """Records as far as they stand beside each other, or one deed."""
        group: list[_Item] = []
        for one in self._waiting:
            if len(group) == together or (group and not isinstance(one, AuditEntry)):
                break
            group.append(one)
            if not isinstance(one, AuditEntry):
                break
        return group

    async def _write(self, group: Sequence[_Item]) -> None:
        entries = tuple(one for one in group if isinstance(one, AuditEntry))
        if entries:
            uses = tuple(self._uses)
            record = RecordAudit(entries)
            await self._store.do(Audited(record, (), uses) if uses else record, bulk=True)
            self._uses.difference_update(uses)
        for one in group:
            if not isinstance(one, AuditEntry):
                await self._store.do(one, bulk=True)

    async def close(self) -> None:
        """Waits until everything is on disk, a few seconds at most; what is not is in the log."""
        task = self._task
        if task is None:
            return
        await asyncio.wait({task}, timeout=PATIENCE)
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            log.error("records of delegated access could not be written", extra={"fields": {"lost": [repr(one) for one in self._waiting]}})


def entry_of(visit: Visit, stand: Standpoint, asked: str, number: str, decision: Decision) -> AuditEntry:
    """The record of one decision about a folder. `asked`: the operation; `number`: as `new_decision` gave it."""
    actor = visit.actor
    is_known = stand.owner.id != NOBODY
    return AuditEntry(
        decision=number,
        event="folder access",
        allowed=decision.allowed,
        actor=actor.account,
        actor_address=str(actor.address),
        person=actor.person if actor.via is not None else None,
        person_address=str(actor.via_address or ""),
        principal=stand.owner.id if is_known else None,
        principal_address=str(stand.owner.address) if is_known else "",
        right=asked,
        because=actor.on_record(decision.because),
        protocol=visit.protocol,
        source=visit.source,
        detail=stand.facts.levels[0].path if stand.facts.levels else "",
        trace=spell_trace(decision),
    )


def entry_of_grant(visit: Visit, stand: Standpoint, identifier: str, rights: Right | None, decision: Decision) -> AuditEntry:
    """The record of a grant that changed. `rights` None: the entry went."""
    path = stand.facts.levels[0].path if stand.facts.levels else ""
    said = "removed" if rights is None else spell_rfc(rights) or "none"
    entry = entry_of(visit, stand, "grants", new_decision(), decision)
    return replace(entry, event="grant changed", detail=f"{path}: {identifier} {said}")
