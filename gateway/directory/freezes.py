"""The kill switches: stopping everybody who sends in somebody's name, or somebody who sends in everybody's, and letting them go on."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.identity import AccountId, ListId
from policy.roles import Operation
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
            number, name, matter = await self._found(snapshot, who, side)
        return await self._records.do(Freeze(number, side, note), f"{side} frozen", name, matter=matter, principal=number, detail=note)

    async def thaw(self, side: Side, who: str) -> int:
        """Returns how many rows of the queue go on."""
        async with self._store.snapshot() as snapshot:
            number, name, matter = await self._found(snapshot, who, side)
            if not await snapshot.ask(freezes.is_frozen, number, side):
                raise Fault(Code.INVALID_REQUEST, f"{name} is not frozen as {side}")
        return await self._records.do(Thaw(number, side), f"{side} unfrozen", name, matter=matter, principal=number) or 0

    async def all_of_them(self, side: Side) -> Sequence[FrozenView]:
        """Oldest first; those that may be seen."""
        async with self._store.snapshot() as snapshot:
            await self._records.browse(snapshot, Operation.FREEZE)
            found = []
            for one in await snapshot.work(freezes.all_of_them, side):
                called = await snapshot.ask(addresses.primary, one.object)
                if called is not None and not await self._records.sees(snapshot, Matter(Operation.FREEZE, made=(called.address,))):
                    continue
                found.append(FrozenView(str(one.object) if called is None else names.shown(called.address), one))
            return found

    async def _found(self, snapshot: Snapshot, who: str, side: Side) -> tuple[int, str, Matter]:
        found = await names.resolved(snapshot, who)
        if found is None:
            raise Fault(Code.NO_SUCH_ACCOUNT, who)
        name = names.shown(found.address)
        if found.kind is ObjectKind.LIST:
            matter = Matter(Operation.FREEZE, lists=(ListId(found.id),))
        else:
            matter = Matter(Operation.FREEZE, accounts=(AccountId(found.id),))
        await self._records.allow(snapshot, matter, name)
        if side is Side.ACTOR and found.kind is ObjectKind.LIST:
            raise Fault(Code.INVALID_REQUEST, f"{name} is a list, which sends nothing: it can be frozen as a principal")
        return found.id, name, matter
