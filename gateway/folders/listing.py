"""Which folders are there for this actor, and which of them does he follow?"""

from collections.abc import Callable, Sequence

from gateway.folders.judging import Part
from gateway.folders.standpoint import Act, standpoint
from gateway.folders.values import ROOT, Listed, Listing, Place, Subscribed, Visit
from policy.folders import FolderOp, SpecialUse
from policy.identity import AccountId, Address, FolderId
from policy.rights import Right
from policy.status import Access, owner_access
from store import accounts, annotations, folders, grants, lists, messages, subscriptions
from store.model import FolderRow
from store.port import Tx


class Listings(Part):
    """LIST, SUBSCRIBE and UNSUBSCRIBE."""

    async def listing(
        self,
        visit: Visit,
        wanted: Callable[[Address], bool] | None = None,
        *,
        own: bool = True,
        figures: bool = False,
        deleted_size: bool = False,
        metadata: Sequence[str] = (),
        top: str = ROOT,
    ) -> Listing:
        """Everything the actor may see. `wanted`: other people, by address, whose folders are asked for; None: nobody's. `metadata`:
        entries, in lower case. `top`: only this folder and what is below it."""
        async with self._judging.snapshot() as snapshot:
            listing, acts = await snapshot.work(_list, visit.actor.account, wanted, own, figures, deleted_size, metadata, top)
        for stand, op, decision in acts:
            self._judging.note(visit, stand, op, decision)
        return listing

    async def subscribe(self, visit: Visit, place: Place) -> None:
        """Kept by name per subscriber; the folder has to be one that may be seen."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False)
            self._judging.require(visit, stand, FolderOp.SEE, snapshot.now)
        await self._judging.plain(subscriptions.Subscribe(visit.actor.account, stand.owner.id, place.path))

    async def unsubscribe(self, visit: Visit, place: Place) -> None:
        """Always possible, for names that are no folders too: so it tells nothing about what there is."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.stand(snapshot, visit.actor.account, place)
            if stand is None:
                return
        computed = stand.row is not None and Right.LOOKUP in stand.held and is_subscribed_unasked(stand.row, visit.actor.account)
        await self._judging.plain(subscriptions.Unsubscribe(visit.actor.account, stand.owner.id, place.path, computed))


def is_subscribed_unasked(row: FolderRow, actor: AccountId) -> bool:
    """Is the folder subscribed without anybody having said so? What others granted with subscribe = auto; one's own standard folders."""
    return row.special_use is not None if row.owner == actor else row.subscribe_auto


def counted(tx: Tx, row: FolderRow, actor: AccountId) -> tuple[int, int]:
    """(unseen, recent), by the \\Seen that counts for the actor."""
    unseen = folders.unseen_by(tx, row.id, actor) if row.seen_private else row.unseen
    recent = 0 if row.recent_from >= row.uidnext else len(messages.rows(tx, row.id, ((row.recent_from, row.uidnext - 1),)))
    return unseen, recent


def _list(
    tx: Tx,
    actor: AccountId,
    wanted: Callable[[Address], bool] | None,
    own: bool,
    figures: bool,
    deleted_size: bool,
    metadata: Sequence[str],
    top: str = ROOT,
) -> tuple[Listing, list[Act]]:
    standing = lists.standing(tx, actor)
    if standing is None:
        return Listing(()), []
    chosen = subscriptions.of_subscriber(tx, actor)
    found: list[Listed] = []
    acts: list[Act] = []
    owners: list[AccountId] = [actor] if own else []
    if wanted is not None:
        owners.extend(grants.owners_granting(tx, standing))
    there: set[tuple[AccountId, str]] = set()
    for owner_id in owners:
        owner = accounts.by_id(tx, owner_id)
        if owner is None or (owner_id != actor and wanted is not None and not wanted(owner.address)):
            continue
        access, _ = owner_access(owner.status, owner.values.delegation_when_locked)
        if owner_id != actor and access is Access.HIDDEN:
            continue
        levels = grants.mailbox_levels(tx, owner_id)
        for row in _subtree(tx, owner_id, top):
            there.add((owner_id, row.path))
            if row.path == ROOT or row.special_use is SpecialUse.CALENDAR:
                continue
            up = [levels[step] for step in grants.way_up(row.path) if step in levels]
            stand = standpoint(standing, owner, row.path, up, row, tx.now)
            if Right.LOOKUP not in stand.held:
                continue
            unseen = recent = size = 0
            shows = False
            if figures and not row.noselect:
                decision = stand.judge(FolderOp.READ, tx.now)
                shows = decision.allowed
                if shows:
                    unseen, recent = counted(tx, row, actor)
                    size = messages.deleted_size(tx, row) if deleted_size else 0
                    acts.append((stand, FolderOp.READ, decision))
            values: tuple[tuple[str, bytes | None], ...] = ()
            if metadata and not row.noselect:
                decision = stand.judge(FolderOp.GET_METADATA, tx.now)
                if decision.allowed:
                    values = tuple(annotations.values(tx, owner_id, actor, row.id, metadata))
                    acts.append((stand, FolderOp.GET_METADATA, decision))
            subscribed = chosen.get((owner_id, row.path), not row.noselect and is_subscribed_unasked(row, actor))
            found.append(Listed(owner_id, owner.address, row, stand.held, subscribed, shows, unseen, recent, size, values))
    vanished = [
        Subscribed(owner_id, path)
        for (owner_id, path), is_wanted in chosen.items()
        if is_wanted and own and owner_id == actor and (owner_id, path) not in there
    ]
    return Listing(tuple(found), tuple(vanished)), acts


def _subtree(tx: Tx, owner: AccountId, top: str) -> list[FolderRow]:
    if top == ROOT:
        return folders.of_owner(tx, owner)
    first = folders.by_path(tx, owner, top)
    return [] if first is None else [first, *folders.below(tx, owner, top)]


def readable_by(tx: Tx, actor: AccountId) -> tuple[list[FolderId], list[AccountId], int | None]:
    """Every folder that the actor may read, the owners looked at, and until when no clock alone changes that."""
    standing = lists.standing(tx, actor)
    if standing is None:
        return [], [], None
    found: list[FolderId] = []
    owners = [actor, *grants.owners_granting(tx, standing)]
    ends: list[int] = []
    for owner_id in owners:
        owner = accounts.by_id(tx, owner_id)
        if owner is None:
            continue
        levels = grants.mailbox_levels(tx, owner_id)
        for row in folders.of_owner(tx, owner_id):
            up = [levels[step] for step in grants.way_up(row.path) if step in levels]
            decision = standpoint(standing, owner, row.path, up, row, tx.now).judge(FolderOp.READ, tx.now)
            if decision.valid_until is not None:
                ends.append(decision.valid_until)
            if decision.allowed and not row.noselect:
                found.append(row.id)
    return found, owners, min(ends, default=None)
