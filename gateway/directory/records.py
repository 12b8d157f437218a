"""Every change that an administrator makes is done and put on record in one transaction."""

import secrets
from collections.abc import Mapping
from typing import Final, TypeVar

from gateway.directory.faults import Code, Fault
from store.audit import AuditEntry
from store.deeds import Audited
from store.errors import Busy, Conflict, LimitReached, NotFound, Stale, StoreError
from store.port import Deed, Store

T = TypeVar("T")
E = TypeVar("E", bound=StoreError)

OPERATOR: Final = "operator"
"""Who acts on the command line without `--as`: whoever may run it as the user of the server."""


class Records:
    """The door to the store for changes of the directory.

    `words`: what a refusal of the store means here, beside what always means the same; by the store's error.
    """

    def __init__(self, store: Store, protocol: str = "cli") -> None:
        self._store = store
        self._protocol = protocol

    async def do(
        self,
        deed: Deed[T],
        event: str,
        about: str,
        *,
        principal: int | None = None,
        right: str = "",
        detail: str = "",
        words: Mapping[type[E], Fault] | None = None,
    ) -> T:
        """Does the deed; `about` names the object in the record. Raises Fault. Nothing secret may be in `detail`."""
        entry = AuditEntry(
            decision=f"d-{secrets.token_hex(4)}",
            event=event,
            allowed=True,
            actor_address=OPERATOR,
            principal=principal,
            principal_address=about,
            right=right,
            because=OPERATOR,
            protocol=self._protocol,
            detail=detail,
        )
        try:
            return await self._store.do(Audited(deed, (entry,)))
        except StoreError as error:
            for kind, fault in (words or {}).items():
                if isinstance(error, kind):
                    raise fault from None
            raise _fault(error) from None


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
