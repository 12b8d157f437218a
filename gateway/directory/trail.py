"""The record of who did what: is it whole, and what does it say about somebody?"""

from collections.abc import Sequence

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from policy.roles import Operation
from store import audit
from store.audit import AuditRow, Broken, Head
from store.port import Store


class Trail:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def verify(self, kept: Sequence[str] = ()) -> tuple[Head, Broken | None]:
        """The end of the chain, and the first record at which it does not hold. `kept`: heads kept elsewhere, `number:hash`."""
        heads = [_head(text) for text in kept]
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.VIEW_AUDIT))
            return await snapshot.ask(audit.head), await snapshot.work(audit.verify, heads)

    async def newest(
        self, limit: int, *, owner: str | None = None, actor: str | None = None, decision: str | None = None
    ) -> Sequence[AuditRow]:
        """Newest first; about an owner's mailbox, by an actor, under a decision id, or all."""
        async with self._store.snapshot() as snapshot:
            await self._records.allow(snapshot, Matter(Operation.VIEW_AUDIT))
            if decision is not None:
                return await snapshot.work(audit.by_decision, decision)
            if owner is not None or actor is not None:
                asked = owner if owner is not None else actor
                assert asked is not None
                found = await names.resolved(snapshot, asked)
                if found is None:
                    raise Fault(Code.NO_SUCH_ACCOUNT, asked)
                return await snapshot.work(audit.of_owner if owner is not None else audit.of_actor, found.id, None, limit)
            return await snapshot.work(audit.newest, None, limit)


def _head(text: str) -> Head:
    number, _, spelled = text.partition(":")
    try:
        octets = bytes.fromhex(spelled)
        if not (number.isascii() and number.isdigit() and len(number) < 18 and len(octets) == 32):
            raise ValueError
    except ValueError:
        raise Fault(Code.INVALID_REQUEST, f"no head of the record: {text} (write NUMBER:HASH as verify prints it)") from None
    return Head(int(number), octets)
