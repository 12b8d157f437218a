"""Every change that an administrator makes is judged, done and put on record in one transaction."""

from collections.abc import Mapping
from typing import Final, TypeVar

from gateway.directory.authority import OPERATOR as OPERATOR
from gateway.directory.authority import Authority, Matter, Ruling
from gateway.directory.faults import Code, Fault
from policy.decision import Decision
from policy.reasons import Reason, Refuse
from policy.roles import Operation
from store.deeds import Audited
from store.errors import Busy, Conflict, LimitReached, NotFound, Stale, StoreError
from store.port import Deed, Snapshot, Store

T = TypeVar("T")
E = TypeVar("E", bound=StoreError)

TRIES: Final = 8
"""How often a change is judged again whose facts somebody else is changing."""


class Records:
    """The door to the store for changes of the directory, in somebody's authority (the operator's, unless another is given).

    `words`: what a refusal of the store means here, beside what always means the same; by the store's error.
    """

    def __init__(self, store: Store, authority: Authority | None = None) -> None:
        self._store = store
        self.authority = Authority(store) if authority is None else authority

    async def allow(self, snapshot: Snapshot, matter: Matter, about: str = "") -> None:
        """For what is only looked at. Raises Fault, on record."""
        await self.authority.allow(snapshot, matter, about)

    async def browse(self, snapshot: Snapshot, operation: Operation) -> None:
        """Before a listing of all that may be seen. Raises Fault, on record."""
        await self.authority.browse(snapshot, operation)

    async def sees(self, snapshot: Snapshot, matter: Matter) -> bool:
        """Does it belong in a listing?"""
        return await self.authority.sees(snapshot, matter)

    async def do(
        self,
        deed: Deed[T],
        event: str,
        about: str,
        *,
        matter: Matter | None = None,
        principal: int | None = None,
        right: str = "",
        detail: str = "",
        words: Mapping[type[E], Fault] | None = None,
    ) -> T:
        """Does the deed; `about` names the object in the record. Raises Fault. Nothing secret may be in `detail`.

        `matter` None: only the operator does that.
        """
        authority = self.authority
        tries = 1 if authority.is_operator else TRIES
        while True:
            tries -= 1
            ruling = authority.unjudged if authority.is_operator else await self._ruling(matter, event)
            if not ruling.decision.allowed:
                raise await authority.refused(ruling, matter, event, about, principal)
            entry = authority.entry(ruling, matter, event, about, principal=principal, right=right, detail=detail)
            try:
                return await self._store.do(Audited(deed, (entry,)), ruling.witness)
            except StoreError as error:
                if isinstance(error, Stale) and tries:
                    continue
                for kind, fault in (words or {}).items():
                    if isinstance(error, kind):
                        raise fault from None
                raise _fault(error) from None

    async def _ruling(self, matter: Matter | None, event: str) -> Ruling:
        if matter is None:
            text = f"only the operator of the machine does that: {event}"
            return Ruling(Decision(Refuse(Reason.ADMIN_NOT_PERMITTED, text)), text, None)
        async with self._store.snapshot() as snapshot:
            return await self.authority.judge(snapshot, matter)


def _fault(error: StoreError) -> Fault:
    match error:
        case NotFound():
            # It was there when it was looked up: somebody else was faster.
            return Fault(Code.INVALID_REQUEST, f"{error} is not there any more")
        case Conflict() | LimitReached():
            return Fault(Code.INVALID_REQUEST, error)
        case Busy() | Stale():
            return Fault(Code.TEMPORARILY_UNAVAILABLE, error)
        case _:
            return Fault(Code.INVALID_REQUEST, error)
