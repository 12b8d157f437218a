"""Which members of a list cannot be reached: what came back from each, and to whom nothing is sent any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.identity import Address, ListId
from policy.lists import BounceHistory, BounceRules, after_bounce
from store.errors import NotFound
from store.model import BouncingMember
from store.port import Deed, Tx

MOST_REASON: Final = 500
"""Characters kept of what the last bounce said."""


@dataclass(frozen=True, slots=True)
class CountBounce(Deed[bool]):
    """A message to this member (BouncingMember.id) came back for good. True: that was one too many, nothing is sent there any more.
    A member that is none any more is passed over."""

    member: int
    reason: str
    rules: BounceRules


@dataclass(frozen=True, slots=True)
class TellSuspended(Deed[bool]):
    """The owners are being told. False: they had been."""

    member: int


@dataclass(frozen=True, slots=True)
class ClearBounces(Deed[None]):
    """What came back is forgotten, and mail is sent there again. Raises NotFound: there is nothing to forget."""

    member: int


def by_member(tx: Tx, member: int) -> BouncingMember | None:
    """None: it is no member any more."""
    found = tx.one("list_bounces.by_member", member=member)
    return None if found is None else _made(found)


def of_list(tx: Tx, list_id: ListId) -> Sequence[BouncingMember]:
    """Those of its own members from whom something came back, by address. Ask by `work`."""
    return [_made(found) for found in tx.all("list_bounces.of_list", list=list_id)]


def untold(tx: Tx, limit: int = 100) -> Sequence[BouncingMember]:
    """To whom nothing is sent any more, and the owners do not know."""
    return [_made(found) for found in tx.all("list_bounces.untold", limit=limit)]


def _made(found: Any) -> BouncingMember:
    member, list_id, local, domain, score, counted, reason, suspended = found
    history = None if score is None else BounceHistory(score, counted, suspended)
    return BouncingMember(member, ListId(list_id), Address(local, domain), history, reason or "")


def _count(tx: Tx, deed: CountBounce) -> bool:
    found = by_member(tx, deed.member)
    if found is None:
        return False
    after = after_bounce(found.history, tx.now, deed.rules)
    tx.run(
        "list_bounces.put",
        member=deed.member,
        score=after.score,
        counted=after.counted,
        reason=deed.reason[:MOST_REASON],
        suspended=after.suspended,
    )
    ends = after.suspended is not None and (found.history is None or found.history.suspended is None)
    if ends:
        tx.touch(found.list)
    return ends


def _tell(tx: Tx, deed: TellSuspended) -> bool:
    return tx.run("list_bounces.told", member=deed.member) > 0


def _clear(tx: Tx, deed: ClearBounces) -> None:
    found = by_member(tx, deed.member)
    if found is None or not tx.run("list_bounces.clear", member=deed.member):
        raise NotFound(f"bounces of member {deed.member}")
    tx.touch(found.list)


DEEDS = ((CountBounce, _count), (TellSuspended, _tell), (ClearBounces, _clear))
