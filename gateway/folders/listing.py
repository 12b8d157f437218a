"""Which folders are there for this actor, and which of them does he follow?"""

import asyncio
from collections.abc import Callable, Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.folders.judging import Judging, Part
from gateway.folders.standpoint import Act, Footing, Standpoint, standpoint
from gateway.folders.uses import values as values_of
from gateway.folders.values import ROOT, Extra, Listed, Listing, Place, Subscribed, Survey, Visit, figures_of
from policy.decision import Decision
from policy.folders import FolderOp, SpecialUse
from policy.grants import Level, Standing, earliest
from policy.identity import AccountId, Actor, Address, FolderId
from policy.rights import Right
from policy.status import Access, owner_access
from store import accounts, folders, grants, lists, messages, outlines, subscriptions
from store.model import Figures, FolderRow
from store.port import DIRECTORY, Tx

_FEW: Final = 20
"""Folders that are looked at in place."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """What a listing rests on: scopes of policy and of what LIST shows, and until when no clock alone changes it."""

    scopes: tuple[int, ...]
    valid_until: int | None


class Listings(Part):
    """LIST, SUBSCRIBE and UNSUBSCRIBE."""

    def __init__(self, judging: Judging) -> None:
        super().__init__(judging)
        # One after another, so that readers stay free for those who asked for something.
        self._surveying = asyncio.Lock()

    async def listing(
        self,
        visit: Visit,
        wanted: Callable[[Address], bool] | None = None,
        *,
        own: bool = True,
        figures: bool = False,
        extra: Extra = Extra.NONE,
        metadata: Sequence[str] = (),
        top: str = ROOT,
    ) -> Listing:
        """Everything the actor may see. `wanted`: other people, by address, whose folders are asked for; None: nobody's. `metadata`:
        entries, in lower case. `top`: only this folder and what is below it."""
        async with self._judging.snapshot() as snapshot:
            listing, acts, _ = await snapshot.work(_list, visit.actor, wanted, own, figures, extra, metadata, top)
        for stand, op, decision in acts:
            self._judging.note(visit, stand, op, decision)
        return listing

    async def founded(
        self,
        visit: Visit,
        wanted: Callable[[Address], bool] | None = None,
        *,
        own: bool = True,
        figures: bool = False,
        extra: Extra = Extra.NONE,
    ) -> tuple[Listing, Footing | None]:
        """The same with what it rests on; None: the actor is gone."""
        async with self._judging.snapshot() as snapshot:
            listing, acts, ground = await snapshot.work(_list, visit.actor, wanted, own, figures, extra, ())
            footing = None
            if ground is not None:
                footing = Footing(await snapshot.witness(*ground.scopes, valid_until=ground.valid_until), tuple(acts))
        for stand, op, decision in acts:
            self._judging.note(visit, stand, op, decision)
        return listing, footing

    async def stands(self, footing: Footing) -> bool:
        """Is what a listing rests on as it was, so that the same would be found again?"""
        async with self._judging.snapshot() as snapshot:
            return await snapshot.confirms(footing.witness)

    async def figures_again(
        self, visit: Visit, footing: Footing, wanted: Sequence[FolderId], extra: Extra = Extra.NONE
    ) -> list[Figures] | None:
        """The figures, as they are now, of folders whose figures a listing gave to the same actor; None: it has to be made anew, since what
        it rests on does not stand. In the order of `wanted`."""
        async with self._judging.snapshot() as snapshot:
            if not await snapshot.confirms(footing.witness):
                return None
            ask = snapshot.ask if len(wanted) <= _FEW else snapshot.work
            found = await ask(_figures, visit.actor.account, wanted, extra)
        for stand, op, decision in footing.acts:
            self._judging.note(visit, stand, op, decision)
        return found if len(found) == len(wanted) else None

    async def survey(self, visit: Visit, wanted: Callable[[Address], bool] | None = None, *, own: bool = True) -> Survey:
        """Everything the actor may see, for who is told when it changes. `wanted` as for `listing`. `figures` of what is found says
        whether it may be read; nothing is on record, since no figures are given out."""
        async with self._surveying, self._judging.snapshot() as snapshot:
            return await snapshot.work(_survey, visit.actor, wanted, own)

    async def scopes(self, visit: Visit) -> tuple[int, ...]:
        """Whose changes concern the folders that the actor may see: everybody's who shares something."""
        async with self._judging.snapshot() as snapshot:
            return await snapshot.work(_scopes, visit.actor)

    async def glance(self, visit: Visit, wanted: Sequence[FolderId]) -> list[Listed]:
        """Those of these folders that the actor may see, with their figures where they may be read; in no order."""
        async with self._judging.snapshot() as snapshot:
            ask = snapshot.ask if len(wanted) <= _FEW else snapshot.work
            found, acts = await ask(_glance, visit.actor, wanted)
        for stand, op, decision in acts:
            self._judging.note(visit, stand, op, decision)
        return found

    async def subscribe(self, visit: Visit, place: Place) -> None:
        """Kept by name per subscriber; the folder has to be one that may be seen."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False)
            self._judging.require(visit, stand, FolderOp.SEE, snapshot.now)
        await self._judging.plain(subscriptions.Subscribe(visit.actor.account, stand.owner.id, place.path))

    async def unsubscribe(self, visit: Visit, place: Place) -> None:
        """Always possible, for names that are no folders too: so it tells nothing about what there is."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.stand(snapshot, visit.actor, place)
            if stand is None:
                return
        computed = stand.row is not None and Right.LOOKUP in stand.held and is_subscribed_unasked(stand.row, visit.actor.account)
        await self._judging.plain(subscriptions.Unsubscribe(visit.actor.account, stand.owner.id, place.path, computed))


def is_subscribed_unasked(row: FolderRow, actor: AccountId) -> bool:
    """Is the folder subscribed without anybody having said so? What others granted with subscribe = auto; one's own standard folders."""
    return row.special_use is not None if row.owner == actor else row.subscribe_auto


def counted(tx: Tx, row: FolderRow, actor: AccountId, extra: Extra) -> Figures:
    """What STATUS tells of the folder."""
    unseen = folders.unseen_by(tx, row.id, actor) if row.seen_private else row.unseen
    recent = 0
    if Extra.RECENT in extra and row.recent_from < row.uidnext:
        recent = len(messages.rows(tx, row.id, ((row.recent_from, row.uidnext - 1),)))
    return figures_of(row, unseen, recent, messages.deleted_size(tx, row) if Extra.DELETED_SIZE in extra else 0)


def _list(
    tx: Tx,
    who: Actor,
    wanted: Callable[[Address], bool] | None,
    own: bool,
    figures: bool,
    extra: Extra,
    metadata: Sequence[str],
    top: str = ROOT,
) -> tuple[Listing, list[Act], _Ground | None]:
    actor = who.account
    standing = lists.standing(tx, actor, who)
    if standing is None:
        return Listing(()), [], None
    chosen = subscriptions.of_subscriber(tx, actor)
    found: list[Listed] = []
    acts: list[Act] = []
    owners: list[AccountId] = [actor] if own else []
    if wanted is not None:
        owners.extend(grants.owners_granting(tx, standing))
    there: set[tuple[AccountId, str]] = set()
    ends: list[int | None] = [None if who.scope is None else who.scope.expires]
    seen: Standpoint | None = None
    may_read = Decision(None)
    for stand, row in _standpoints(tx, standing, owners, wanted, top):
        owner_id = stand.owner.id
        there.add((owner_id, row.path))
        if stand is not seen:
            # Standpoints come for as long as they stay the same.
            seen, may_read = stand, stand.judge(FolderOp.READ, tx.now)
            ends.append(may_read.valid_until)
        if row.path == ROOT or row.special_use is SpecialUse.CALENDAR or Right.LOOKUP not in stand.held:
            continue
        told: Figures | None = None
        if figures and not row.noselect and may_read.allowed:
            told = counted(tx, row, actor, extra)
            if owner_id != actor or who.via is not None:
                acts.append((replace(stand, row=row), FolderOp.READ, may_read))
        values: tuple[tuple[str, bytes | None], ...] = ()
        if metadata and not row.noselect:
            decision = stand.judge(FolderOp.GET_METADATA, tx.now)
            if decision.allowed:
                values = tuple(values_of(tx, row, actor, metadata))
                acts.append((replace(stand, row=row), FolderOp.GET_METADATA, decision))
        subscribed = _is_subscribed(chosen, row, actor)
        found.append(Listed(owner_id, stand.owner.address, row, stand.held, subscribed, told, values))
    ground = _Ground(_rests_on(who, standing, owners), earliest(ends))
    return Listing(tuple(found), _vanished(chosen, there, actor) if own else ()), acts, ground


def _rests_on(who: Actor, standing: Standing, owners: Sequence[AccountId]) -> tuple[int, ...]:
    people = {who.account, who.person, *owners}
    return (DIRECTORY, *standing.groups, *people, *map(outlines.scope, people))


def _figures(tx: Tx, actor: AccountId, wanted: Sequence[FolderId], extra: Extra) -> list[Figures]:
    if not extra:
        return folders.figures(tx, wanted, actor)
    return [counted(tx, row, actor, extra) for row in folders.by_ids(tx, wanted)]


def _standpoints(
    tx: Tx, standing: Standing, owners: Sequence[AccountId], wanted: Callable[[Address], bool] | None, top: str = ROOT
) -> Iterator[tuple[Standpoint, FolderRow]]:
    """Every folder of these owners that may be seen, and others: all of the actor's own, none of owners who are hidden. Where a standpoint
    is the same for several folders, it comes with the row of the first."""
    actor = standing.account
    for owner_id in owners:
        owner = accounts.by_id(tx, owner_id)
        if owner is None or (owner_id != actor and wanted is not None and not wanted(owner.address)):
            continue
        access, _ = owner_access(owner.status, owner.values.delegation_when_locked)
        if owner_id != actor and access is Access.HIDDEN:
            continue
        # Nothing that was granted to others counts for the owner.
        levels = {} if owner_id == actor else grants.mailbox_levels_for(tx, owner_id, standing)
        rows = _subtree(tx, owner_id, top) if owner_id == actor or top != ROOT else _within(tx, owner_id, _tops(levels, standing))
        telling = {path for path, level in levels.items() if level.entries or level.no_inherit}
        known: dict[Hashable, Standpoint] = {}
        for row in rows:
            way = grants.way_up(row.path) if telling else ()
            # All that one judgement may differ by from another about the same owner.
            kind = (row.special_use, row.seen_private, row.path == ROOT, row.path in telling, *(step for step in way if step in telling))
            stand = known.get(kind)
            if stand is None:
                up = [levels[step] for step in way if step in levels]
                stand = known[kind] = standpoint(standing, owner, row.path, up, row, tx.now)
            yield stand, row


def _tops(levels: Mapping[str, Level], standing: Standing) -> list[str]:
    """The folders below which something was granted to this actor, in force or not, each with nothing of the kind above it."""
    granted = {path for path, level in levels.items() if any(standing.matches(entry.grantee) for entry in level.entries)}
    return [path for path in granted if not any(above in granted for above in grants.way_up(path)[1:])]


def _within(tx: Tx, owner: AccountId, tops: Sequence[str]) -> list[FolderRow]:
    """These folders and what is below them, in order of path."""
    rows = [row for top in tops for row in _subtree(tx, owner, top)]
    return rows if len(tops) <= 1 else sorted(rows, key=lambda row: row.path)


def _is_subscribed(chosen: Mapping[tuple[AccountId, str], bool], row: FolderRow, actor: AccountId) -> bool:
    return chosen.get((row.owner, row.path), not row.noselect and is_subscribed_unasked(row, actor))


def _vanished(
    chosen: Mapping[tuple[AccountId, str], bool], there: Container[tuple[AccountId, str]], actor: AccountId
) -> tuple[Subscribed, ...]:
    names = ((owner, path) for (owner, path), is_wanted in chosen.items() if is_wanted and owner == actor)
    return tuple(Subscribed(owner, path) for owner, path in names if (owner, path) not in there)


def _survey(tx: Tx, who: Actor, wanted: Callable[[Address], bool] | None, own: bool) -> Survey:
    actor = who.account
    standing = lists.standing(tx, actor, who)
    if standing is None:
        return Survey(Listing(()), (DIRECTORY, actor), None)
    chosen = subscriptions.of_subscriber(tx, actor)
    owners: list[AccountId] = [actor] if own else []
    if wanted is not None:
        for one in grants.owners_granting(tx, standing):
            owner = accounts.by_id(tx, one)
            if owner is not None and wanted(owner.address):
                owners.append(one)
    found: list[Listed] = []
    there: set[tuple[AccountId, str]] = set()
    ends: list[int] = []
    for stand, row in _standpoints(tx, standing, owners, None):
        there.add((stand.owner.id, row.path))
        if row.path == ROOT or row.special_use is SpecialUse.CALENDAR:
            continue
        decision = stand.judge(FolderOp.READ, tx.now)
        if decision.valid_until is not None:
            ends.append(decision.valid_until)
        if Right.LOOKUP not in stand.held:
            continue
        shows = decision.allowed and not row.noselect
        told = counted(tx, row, actor, Extra.NONE) if shows else None
        found.append(Listed(stand.owner.id, stand.owner.address, row, stand.held, _is_subscribed(chosen, row, actor), told))
    listing = Listing(tuple(found), _vanished(chosen, there, actor) if own else ())
    return Survey(listing, (DIRECTORY, actor, *standing.groups, *owners), min(ends, default=None))


def _scopes(tx: Tx, who: Actor) -> tuple[int, ...]:
    actor = who.account
    standing = lists.standing(tx, actor, who)
    if standing is None:
        return DIRECTORY, actor
    return (DIRECTORY, actor, *standing.groups, *grants.owners_granting(tx, standing))


def _glance(tx: Tx, who: Actor, wanted: Sequence[FolderId]) -> tuple[list[Listed], list[Act]]:
    actor = who.account
    standing = lists.standing(tx, actor, who)
    if standing is None:
        return [], []
    found: list[Listed] = []
    acts: list[Act] = []
    for folder in wanted:
        row = folders.by_id(tx, folder)
        owner = None if row is None else accounts.by_id(tx, row.owner)
        if row is None or owner is None:
            continue
        stand = standpoint(standing, owner, row.path, grants.levels_for(tx, row.owner, row.path, standing), row, tx.now)
        if Right.LOOKUP not in stand.held or not stand.judge(FolderOp.SEE, tx.now).allowed:
            continue
        decision = stand.judge(FolderOp.READ, tx.now)
        shows = decision.allowed and not row.noselect
        if shows:
            acts.append((stand, FolderOp.READ, decision))
        told = counted(tx, row, actor, Extra.NONE) if shows else None
        found.append(Listed(row.owner, owner.address, row, stand.held, False, told))
    return found, acts


def _subtree(tx: Tx, owner: AccountId, top: str) -> list[FolderRow]:
    if top == ROOT:
        return folders.of_owner(tx, owner)
    first = folders.by_path(tx, owner, top)
    return [] if first is None else [first, *folders.below(tx, owner, top)]


def readable_by(tx: Tx, who: Actor) -> tuple[list[FolderId], list[AccountId], int | None]:
    """Every folder that the actor may read, the owners looked at, and until when no clock alone changes that."""
    actor = who.account
    standing = lists.standing(tx, actor, who)
    if standing is None:
        return [], [], None
    found: list[FolderId] = []
    owners = [actor, *grants.owners_granting(tx, standing)]
    ends: list[int] = []
    for owner_id in owners:
        owner = accounts.by_id(tx, owner_id)
        if owner is None:
            continue
        levels = grants.mailbox_levels_for(tx, owner_id, standing)
        for row in folders.of_owner(tx, owner_id):
            up = [levels[step] for step in grants.way_up(row.path) if step in levels]
            decision = standpoint(standing, owner, row.path, up, row, tx.now).judge(FolderOp.READ, tx.now)
            if decision.valid_until is not None:
                ends.append(decision.valid_until)
            if decision.allowed and not row.noselect:
                found.append(row.id)
    return found, owners, min(ends, default=None)
