"""When was an owner last told what others did in the own mailbox, and how far was that told?"""

from collections.abc import Sequence
from dataclasses import dataclass

from policy.identity import AccountId
from store import audit
from store.errors import Conflict
from store.port import Deed, Tx


@dataclass(frozen=True, slots=True)
class Mark:
    """`sent`: when, in microseconds; `number`: the last record that was looked at then."""

    account: AccountId
    sent: int
    number: int


@dataclass(frozen=True, slots=True)
class BeginDigests(Deed[int]):
    """Accounts that have no mark get one: for them it begins now. Returns how many."""


@dataclass(frozen=True, slots=True)
class MarkDigest(Deed[None]):
    """This was told now, up to this record. Raises Conflict when somebody else has told it meanwhile."""

    mark: Mark
    number: int


def due(tx: Tx, before: int, after: int = 0, limit: int = 200) -> Sequence[Mark]:
    """Marks from `before` (microseconds) and earlier, of the accounts behind `after`. Ask by `work`."""
    return [Mark(*row) for row in tx.all("digest.due", due=before, after=after, limit=limit)]


def _begin(tx: Tx, deed: BeginDigests) -> int:
    return tx.run("digest.begin", now=tx.now, number=audit.head(tx).number)


def _mark(tx: Tx, deed: MarkDigest) -> None:
    if not tx.run("digest.mark", now=tx.now, number=deed.number, account=deed.mark.account, before=deed.mark.sent):
        raise Conflict(f"account {deed.mark.account} was told meanwhile")


DEEDS = ((BeginDigests, _begin), (MarkDigest, _mark))
