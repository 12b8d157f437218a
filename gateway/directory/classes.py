"""Classes of service, for administrators."""

from collections.abc import Mapping, Sequence

from gateway.directory import names, values
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.roles import Operation
from store import cos
from store.errors import Conflict
from store.model import CosRow
from store.port import Store


class Classes:
    """Every method raises Fault, and nothing else that is expected. `changes` by field of policy.cos.ServiceValues."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def create(self, name: str, changes: Mapping[str, str], note: str = "") -> CosRow:
        """A named set of values; what it does not set has its default."""
        if not name or name.isdigit():
            raise Fault(Code.INVALID_REQUEST, f"must be a name: {name!r}")
        async with self._store.snapshot() as snapshot:
            checked = await values.checked(snapshot, changes)
        words = {Conflict: Fault(Code.COS_EXISTS, name)}
        await self._records.do(cos.CreateCos(name, checked, note), "cos created", name, matter=Matter(Operation.CREATE_COS), words=words)
        return await self.get(name)

    async def get(self, name: str) -> CosRow:
        """By name or id."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.VIEW_COS), name)
            return await names.service_class(snapshot, name)

    async def all(self) -> Sequence[CosRow]:
        """By name."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.VIEW_COS))
            return await snapshot.work(cos.all_of_them)

    async def copy(self, name: str, to: str) -> CosRow:
        """Another one with the same values and the same note."""
        row = await self.get(name)
        return await self.create(to, row.values, row.note)

    async def modify(self, name: str, changes: Mapping[str, str], note: str | None = None, were: Mapping[str, str] | None = None) -> None:
        """An empty text restores the default. Reaches every account that inherits it at once. `were`: by field, "" for none, what
        `changes` were made from."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.MODIFY_COS), name)
            row = await names.service_class(snapshot, name)
            checked = await values.checked(snapshot, changes)
        said = ", ".join(f"{values.BY_FIELD[field].name} {text or '(restored)'}" for field, text in checked.items())
        matter = Matter(Operation.MODIFY_COS)
        deed = cos.ModifyCos(row.id, note=note, values=checked, were=were or {})
        await self._records.do(deed, "cos changed", row.name, matter=matter, detail=said)

    async def rename(self, name: str, to: str) -> None:
        """`default` keeps its name."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.MODIFY_COS), name)
            row = await names.service_class(snapshot, name)
        if row.id == cos.DEFAULT:
            raise Fault(Code.INVALID_REQUEST, "the class of service default keeps its name")
        if not to or to.isdigit():
            raise Fault(Code.INVALID_REQUEST, f"must be a name: {to!r}")
        words = {Conflict: Fault(Code.COS_EXISTS, to)}
        matter = Matter(Operation.MODIFY_COS)
        await self._records.do(cos.ModifyCos(row.id, name=to), "cos renamed", row.name, matter=matter, detail=f"to {to}", words=words)

    async def delete(self, name: str) -> None:
        """Only one that no account and no domain names; grants to it go with it."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.DELETE_COS), name)
            row = await names.service_class(snapshot, name)
        if row.id == cos.DEFAULT:
            raise Fault(Code.INVALID_REQUEST, "the class of service default cannot be deleted")
        words = {Conflict: Fault(Code.COS_IN_USE, name)}
        await self._records.do(cos.DeleteCos(row.id), "cos deleted", row.name, matter=Matter(Operation.DELETE_COS), words=words)
