"""The kill switches: stopping everybody who sends in somebody's name, or somebody who sends in everybody's, and letting them go on."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.directory import names
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from store import addresses, freezes
from store.addresses import ObjectKind
from store.freezes import Freeze, Frozen, Thaw
from store.freezes import Side as Side
from store.port import Snapshot, Store


@dataclass(frozen=True, slots=True)
class FrozenView:
    """Who is frozen, by name."""

    name: str
    frozen: Frozen


class Freezes:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def freeze(self, side: Side, who: str, note: str = "") -> int:
        """From the commit on, in open sessions and for what waits. Again: another note. Returns how many rows of the queue it stopped."""
        async with self._store.snapshot() as snapshot:
            number, name = await _found(snapshot, who, side)
        return await self._records.do(Freeze(number, side, note), f"{side} frozen", name, principal=number, detail=note)

    async def thaw(self, side: Side, who: str) -> int:
        """Returns how many rows of the queue go on."""
        async with self._store.snapshot() as snapshot:
            number, name = await _found(snapshot, who, side)
            if not await snapshot.ask(freezes.is_frozen, number, side):
                raise Fault(Code.INVALID_REQUEST, f"{name} is not frozen as {side}")
        return await self._records.do(Thaw(number, side), f"{side} unfrozen", name, principal=number) or 0

    async def all_of_them(self, side: Side) -> Sequence[FrozenView]:
        """Oldest first."""
        async with self._store.snapshot() as snapshot:
            found = []
            for one in await snapshot.work(freezes.all_of_them, side):
                called = await snapshot.ask(addresses.primary, one.object)
                found.append(FrozenView(str(one.object) if called is None else names.shown(called.address), one))
            return found


async def _found(snapshot: Snapshot, who: str, side: Side) -> tuple[int, str]:
    found = await names.resolved(snapshot, who)
    if found is None:
        raise Fault(Code.NO_SUCH_ACCOUNT, who)
    if side is Side.ACTOR and found.kind is ObjectKind.LIST:
        raise Fault(Code.INVALID_REQUEST, f"{names.shown(found.address)} is a list, which sends nothing: it can be frozen as a principal")
    return found.id, names.shown(found.address)
