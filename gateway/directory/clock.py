"""The clock of the house, for its operator: is it behind the time that was known, and may it be?"""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from store.clock import AcceptClock
from store.errors import StoreError
from store.port import Store
from store.stepped import DatedAhead


@dataclass(frozen=True, slots=True)
class ClockView:
    """`now`: what time it is taken to be (microseconds since 1970 UTC); `behind`: by how many microseconds the clock is behind that."""

    now: int
    behind: int


class HouseClock:
    """Every method raises Fault, and nothing else that is expected. `steps`: the one clock of this process that sees to what waits, where
    something may wait."""

    def __init__(self, store: Store, records: Records, steps: Clock | None = None) -> None:
        self._store = store
        self._records = records
        self._steps = steps

    async def shown(self) -> ClockView:
        """As it is in this process; only the operator is told."""
        await self._records.only_operator("clock shown")
        return await self._look()

    async def accept(self) -> ClockView:
        """What the clock says counts from the commit on, in all processes, and grants that have not ended by it are in force again. What
        waits is dated anew, as when a clock is set back, also where no server runs, and also where nobody has seen the clock that was
        ahead. Returns how it was. May be said again, also where the clock is not behind."""
        await self._step()
        before = await self._look()
        deed = AcceptClock(self._store.floor.machine())
        await self._records.do(deed, "clock accepted", "", matter=None, detail=f"{before.behind // 1_000_000} s behind")
        await self._step()
        # A step that another node is still to tell would move once more what is moved here: there it takes a second word.
        if self._store.leads or not before.behind:
            try:
                await self._store.do(DatedAhead(self._store.floor.machine()))
            except StoreError as error:
                raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None
        return before

    async def _step(self) -> None:
        if self._steps is not None:
            try:
                await self._steps.now()
            except StoreError as error:
                raise Fault(Code.TEMPORARILY_UNAVAILABLE, error) from None

    async def _look(self) -> ClockView:
        async with self._store.snapshot() as snapshot:
            return ClockView(snapshot.now, self._store.floor.behind)
