"""What a list does without being asked: its owners are told of members who cannot be reached; what nobody confirmed is forgotten."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from gateway.decisions import new_decision
from gateway.delivery import Delivery
from gateway.list_robot import Reaction
from policy.lists import DAY
from store import list_bounces, lists
from store.audit import AuditEntry
from store.deeds import Several
from store.errors import StoreError
from store.list_bounces import TellSuspended
from store.list_requests import ForgetRequests
from store.model import BouncingMember
from store.port import Event, EverythingChanged, PolicyChanged, Store

log = logging.getLogger(__name__)

EVERY: Final = 600.0
"""Seconds: nothing that was missed waits longer."""
AFTER_CHANGE: Final = 0.2
"""Seconds for which changes of the directory are gathered: a batch makes a thousand."""


class ListChores:
    """`run` is a task of the application; `told` is a watcher of the store."""

    def __init__(self, store: Store, delivery: Delivery) -> None:
        self._store = store
        self._delivery = delivery
        self._wake = asyncio.Event()

    def told(self, events: Sequence[Event]) -> None:
        """A watcher of the store."""
        if any(isinstance(event, PolicyChanged | EverythingChanged) for event in events):
            self._wake.set()

    async def run(self) -> None:
        """Until it is cancelled; what fails is logged and done the next time."""
        while True:
            self._wake.clear()
            try:
                await self.round()
            except StoreError as fault:
                log.warning("list", extra={"fields": {"outcome": "put off", "reason": repr(fault)}})
            except Exception:
                log.exception("chores of lists failed")
            try:
                async with asyncio.timeout(EVERY):
                    await self._wake.wait()
            except TimeoutError:
                await self.forget()
            await asyncio.sleep(AFTER_CHANGE)

    async def round(self) -> None:
        """Tells owners what they do not know, if that is for this node to do. Raises StoreError."""
        if not self._store.leads:
            return
        async with self._store.snapshot() as snapshot:
            untold = await snapshot.ask(list_bounces.untold)
        for member in untold:
            await self._tell(member)

    async def forget(self) -> None:
        """Requests that nobody confirmed or decided in time. What fails is logged."""
        if not self._store.leads:
            return
        try:
            async with self._store.snapshot() as snapshot:
                now = snapshot.now
            if self._store.floor.doubtful:  # a clock that is ahead and may be wrong
                return
            gone = await self._store.do(ForgetRequests(now - DAY), bulk=True)
        except StoreError as fault:
            log.warning("list", extra={"fields": {"outcome": "put off", "reason": repr(fault)}})
        else:
            if gone:
                log.info("list", extra={"fields": {"outcome": f"{len(gone)} requests were too late"}})

    async def _tell(self, member: BouncingMember) -> None:
        async with self._store.snapshot() as snapshot:
            row = await snapshot.ask(lists.by_id, member.list)
            letters = () if row is None else await self._delivery.robot.suspended(snapshot, row, member.address, member.reason)
            record = AuditEntry(
                decision=new_decision(),
                event="member suspended",
                allowed=True,
                principal=member.list,
                principal_address="" if row is None else str(row.address),
                because=member.reason,
                protocol="queue",
                detail=str(member.address),
            )
            accept = await self._delivery.react(snapshot, Reaction([*letters], audit=[record]))
        await self._store.do(Several((TellSuspended(member.id), accept)))
        where = "" if row is None else str(row.address)
        log.warning(
            "list", extra={"fields": {"account": where, "outcome": f"nothing is sent to {member.address}", "reason": member.reason}}
        )
