"""Mail that waits: what is in the queue and why, trying it now, taking it out."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.folders.values import Recaller
from gateway.postponed import is_postponed
from gateway.recalls import Recalls
from policy.roles import Operation
from store import addresses, freezes, queue
from store.errors import StoreError
from store.model import Heap, QueueId, QueueRow
from store.port import Store

PAGE: Final = 200
_MANAGING: Final = Matter(Operation.MANAGE_QUEUE)


def is_waiting(row: QueueRow) -> bool:
    """For the time at which it is to be sent: so long it can be recalled."""
    return is_postponed(row.parameters)


class Waiting:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records, recalls: Recalls | None = None) -> None:
        self._store = store
        self._records = records
        self._recalls = recalls

    async def listed(self, limit: int, destination: str | None = None) -> tuple[list[QueueRow], bool]:
        """The oldest, of one destination where it is said; and whether there are more."""
        found: list[QueueRow] = []
        async for row in self.all():
            if destination is not None and row.destination != destination:
                continue
            if len(found) == limit:
                return found, True
            found.append(row)
        return found, False

    async def heaps(self) -> list[Heap]:
        """How much waits for whom."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.VIEW_QUEUE))
            return await snapshot.work(queue.by_destination)

    async def all(self) -> AsyncIterator[QueueRow]:
        """Oldest first; a page per snapshot."""
        after = 0
        while True:
            async with self._store.snapshot() as snapshot:
                await self._records.allow(snapshot, Matter(Operation.VIEW_QUEUE))
                page = await snapshot.work(queue.queued, after, PAGE)
            for row in page:
                yield row
            if len(page) < PAGE:
                return
            after = page[-1].id

    async def some(self, wanted: Sequence[str]) -> list[QueueRow]:
        """Those that are named, by number or by message."""
        return await self._rows(wanted)

    async def hold(self, wanted: Sequence[str]) -> int:
        """Neither tried nor bounced until it is released; what is being tried just now is tried to its end. Returns how many."""
        ids = await self._ids(wanted)
        return await self._records.do(queue.HoldQueued(tuple(ids)), "queue held", "", matter=_MANAGING, detail=", ".join(wanted))

    async def release(self, wanted: Sequence[str]) -> int:
        """What was held by `hold` is due at once. Returns how many."""
        ids = await self._ids(wanted)
        return await self._records.do(queue.ReleaseQueued(tuple(ids)), "queue released", "", matter=_MANAGING, detail=", ".join(wanted))

    async def retry(self, wanted: Sequence[str]) -> int:
        """Due at once, held mail included; none named: all. Returns how many."""
        ids = [] if not wanted else await self._ids(wanted)
        return await self._records.do(queue.RetryNow(tuple(ids)), "queue retried", "", matter=_MANAGING, detail=", ".join(wanted) or "all")

    async def drop(self, wanted: Sequence[str]) -> int:
        """Taken out without a bounce. Returns how many."""
        ids = await self._ids(wanted)
        return await self._records.do(queue.DropQueued(tuple(ids)), "queue dropped", "", matter=_MANAGING, detail=", ".join(wanted))

    async def recall(self, wanted: Sequence[str]) -> tuple[int, list[str]]:
        """What waits for its time, and so was sent to nobody, goes back to Drafts, and the others are told. Returns how many, and which
        of the wanted went meanwhile. Raises Fault for what does not wait so, before anything is recalled."""
        rows = await self._rows(wanted)
        under_way = [row.accepted for row in rows if not is_waiting(row)]
        if under_way:
            raise Fault(Code.INVALID_REQUEST, f"on its way already, so that it cannot be recalled: {', '.join(dict.fromkeys(under_way))}")
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, _MANAGING)
        authority = self._records.authority
        by = Recaller(None, "an administrator", authority.address, authority.protocol)
        recalled, gone = 0, []
        for row in rows:
            try:
                done = self._recalls is not None and await self._recalls.recall(row.id, by)
            except StoreError as error:
                raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None
            recalled += done
            if not done:
                gone.append(row.accepted)
        return recalled, gone

    async def behind(self, rows: Sequence[QueueRow]) -> dict[QueueId, Sequence[str]]:
        """For each that is held since somebody is frozen, who that is, in words."""
        told: dict[QueueId, Sequence[str]] = {}
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.VIEW_QUEUE))
            for row in rows:
                if not row.frozen:
                    continue
                frozen = []
                for side, number in await snapshot.ask(freezes.behind, row.id):
                    one, found = await snapshot.ask(addresses.primary, number), await snapshot.ask(freezes.one, number, side)
                    if found is not None:
                        frozen.append(f"{side} {names.shown(one.address) if one is not None else number}")
                told[row.id] = frozen
        return told

    async def _ids(self, wanted: Sequence[str]) -> list[QueueId]:
        return [row.id for row in await self._rows(wanted)]

    async def _rows(self, wanted: Sequence[str]) -> list[QueueRow]:
        """By number, or by the id under which a message was accepted: all its recipients."""
        found: list[QueueRow] = []
        keys = set(wanted)
        numbers = {one for one in keys if one.isascii() and one.isdigit() and len(one) < 19}
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.VIEW_QUEUE))
            for number in sorted(numbers, key=int):
                row = await snapshot.ask(queue.queued_one, QueueId(int(number)))
                if row is not None:
                    found.append(row)
        if keys - {str(row.id) for row in found}:  # the ids of messages have no index: few ask by them, every message would pay
            found = [row async for row in self.all() if str(row.id) in numbers or row.accepted in keys]
        missing = keys - {str(row.id) for row in found} - {row.accepted for row in found}
        if missing:
            raise Fault(Code.INVALID_REQUEST, f"not in the queue: {', '.join(sorted(missing))}")
        return found
