"""Whose mailbox is this address? Found for one mail, it stands for the next while its witness holds."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from policy.decision import Witness
from policy.identity import Address
from policy.quota import UNLIMITED_ROOM
from store.model import AccountRow
from store.port import Snapshot

MOST: Final = 2048
"""Addresses that are kept: some 4 MiB."""


@dataclass(frozen=True, slots=True)
class _Kept:
    row: AccountRow
    witness: Witness


class KnownRecipients:
    """Of one store; a snapshot of another must not be asked about with it.

    What has a quota is not kept, since how much of it is used rests on no epoch. Nothing is used unconfirmed: the epochs are compared in
    the snapshot that asks, and the deed rests on them as ever.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._kept: OrderedDict[Address, _Kept] = OrderedDict()

    async def mailbox(self, snapshot: Snapshot, recipient: Address) -> AccountRow | None:
        """As `keep` was told; None: it has to be looked for."""
        kept = self._kept.get(recipient)
        if kept is None:
            return None
        holds = await snapshot.confirms(kept.witness)
        # Others may have dropped it, or found it anew, while this one asked.
        if self._kept.get(recipient) is kept:
            if holds:
                self._kept.move_to_end(recipient)
            else:
                del self._kept[recipient]
        return kept.row if holds else None

    async def keep(self, snapshot: Snapshot, recipient: Address, row: AccountRow) -> None:
        """This account has the address, as it is written."""
        if row.values.quota or row.domain_room != UNLIMITED_ROOM:
            return
        self._kept[recipient] = _Kept(row, await snapshot.witness(row.id))
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
