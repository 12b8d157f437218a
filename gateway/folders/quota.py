"""How much room has an owner, and who may know (RFC 9208)?"""

from gateway.folders.judging import Part
from gateway.folders.standpoint import Owner, Standpoint, standpoint
from gateway.folders.values import Place, Quota, Visit
from gateway.message.canonical import read_address
from policy.folders import FolderOp, SpecialUse
from policy.identity import AccountId, Actor, Address, BadAddress
from policy.reasons import Reason
from store import accounts, addresses, folders, grants, lists
from store.port import Tx


class Quotas(Part):
    """GETQUOTA and GETQUOTAROOT."""

    async def quota_of(self, visit: Visit, place: Place) -> Quota | None:
        """GETQUOTAROOT: the room of the folder's owner; None: it has no limit."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False, op=FolderOp.QUOTA)
            decision = self._judging.require(visit, stand, FolderOp.QUOTA, snapshot.now)
        self._judging.note(visit, stand, FolderOp.QUOTA, decision)
        return _quota(stand.owner)

    async def quota(self, visit: Visit, root: str) -> Quota | None:
        """GETQUOTA: the room of an owner one of whose folders the actor may read; None: no limit, no such owner, or none to be seen."""
        try:
            address = read_address(root)
        except BadAddress:
            return None
        async with self._judging.snapshot() as snapshot:
            found = await snapshot.work(_for_quota, visit.actor, address)
            if found is None:
                return None
            decision = self._judging.require(visit, found, FolderOp.QUOTA, snapshot.now)
        self._judging.note(visit, found, FolderOp.QUOTA, decision)
        return _quota(found.owner)


def _quota(owner: Owner) -> Quota | None:
    limit = owner.values.quota
    return Quota(str(owner.address), owner.used, limit) if limit else None


def _for_quota(tx: Tx, who: Actor, address: Address) -> Standpoint | None:
    """The folder of this owner that lets the actor ask, else the first one that may be seen."""
    actor = who.account
    standing = lists.standing(tx, actor, who)
    resolved = addresses.resolve(tx, address)
    if standing is None or resolved is None or resolved.kind is not addresses.ObjectKind.ACCOUNT or resolved.tag_cut:
        return None
    owner = accounts.by_id(tx, AccountId(resolved.id))
    if owner is None or (owner.id != actor and owner.id not in grants.owners_granting(tx, standing)):
        return None
    seen: Standpoint | None = None
    levels = grants.mailbox_levels_for(tx, owner.id, standing)
    for row in folders.of_owner(tx, owner.id):
        if row.special_use is SpecialUse.CALENDAR:
            continue
        up = [levels[step] for step in grants.way_up(row.path) if step in levels]
        stand = standpoint(standing, owner, row.path, up, row, tx.now)
        decision = stand.judge(FolderOp.QUOTA, tx.now)
        if decision.refusal is None or (seen is None and decision.refusal.reason is not Reason.FOLDER_UNKNOWN):
            seen = stand
        if decision.refusal is None:
            break
    return seen
