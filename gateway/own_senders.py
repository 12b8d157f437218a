"""Own mail, message after message: what one gathering found of its sender stands for the next while its witness holds."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.sending import Gathered, gather
from policy.decision import Witness
from policy.identity import AccountId, Actor, Address
from policy.reasons import Refuse
from store.port import Snapshot

MOST: Final = 1024
"""Senders whose facts are kept: some 2 MiB."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """`named`: the addresses that were asked about."""

    named: frozenset[Address]
    gathered: Gathered
    witness: Witness


class OwnSenders:
    """`gather`, and what it found kept where nothing but a change of an epoch can make it wrong (`Gathered.lasting`).

    It is never used unconfirmed: the epochs are compared in the snapshot that asks, and the deed rests on them as ever.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[AccountId, _Kept] = OrderedDict()

    async def gathered(self, snapshot: Snapshot, actor: Actor, named: Iterable[Address]) -> Gathered | Refuse:
        """As `gateway.sending.gather`."""
        if actor.via is not None or actor.scope is not None:
            return await gather(snapshot, actor, named)
        wanted = frozenset(named)
        kept = self._kept.get(actor.account)
        if kept is not None and wanted <= kept.named and await snapshot.confirms(kept.witness):
            if actor.account in self._kept:  # another may have dropped it while this one asked
                self._kept.move_to_end(actor.account)
            return kept.gathered
        gathered = await gather(snapshot, actor, wanted)
        if isinstance(gathered, Gathered) and gathered.lasting:
            self._kept[actor.account] = _Kept(wanted, gathered, await snapshot.witness(*gathered.scopes))
            self._kept.move_to_end(actor.account)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        else:
            self._kept.pop(actor.account, None)
        return gathered
