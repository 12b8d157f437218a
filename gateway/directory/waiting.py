"""Mail that waits: what is in the queue and why, trying it now, taking it out."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from store import queue
from store.model import QueueId, QueueRow
from store.port import Store

PAGE: Final = 200


class Waiting:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def all(self) -> AsyncIterator[QueueRow]:
        """Oldest first; a page per snapshot."""
        after = 0
        while True:
            async with self._store.snapshot() as snapshot:
                page = await snapshot.work(queue.queued, after, PAGE)
            for row in page:
                yield row
            if len(page) < PAGE:
                return
            after = page[-1].id

    async def retry(self, wanted: Sequence[str]) -> int:
        """Due at once, held mail included; none named: all. Returns how many."""
        ids = [] if not wanted else await self._ids(wanted)
        return await self._records.do(queue.RetryNow(tuple(ids)), "queue retried", "", detail=", ".join(wanted) or "all")

    async def drop(self, wanted: Sequence[str]) -> int:
        """Taken out without a bounce. Returns how many."""
        ids = await self._ids(wanted)
        return await self._records.do(queue.DropQueued(tuple(ids)), "queue dropped", "", detail=", ".join(wanted))

    async def _ids(self, wanted: Sequence[str]) -> list[QueueId]:
        """By number, or by the id under which a message was accepted: all its recipients."""
        numbers = {one for one in wanted if one.isascii() and one.isdigit()}
        keys = set(wanted)
        found = [row async for row in self.all() if str(row.id) in numbers or row.accepted in keys]
        missing = keys - {str(row.id) for row in found} - {row.accepted for row in found}
        if missing:
            raise Fault(Code.INVALID_REQUEST, f"not in the queue: {', '.join(sorted(missing))}")
        return [row.id for row in found]
