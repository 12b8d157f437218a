"""Which entries has a folder, and who may read and change them (RFC 5464)?"""

from collections.abc import Sequence
from typing import Any

from gateway.folders.judging import Part
from gateway.folders.standpoint import Judged
from gateway.folders.uses import TAKEN, changed_use
from gateway.folders.uses import values as values_of
from gateway.folders.values import Place, Visit
from gateway.refusal import Refused
from policy.folders import FolderOp
from policy.identity import AccountId, Actor
from policy.reasons import Reason, Refuse
from policy.rights import Right, spell_right
from store import annotations, subscriptions
from store.deeds import Several
from store.folders import USE_ENTRY
from store.model import FolderRow
from store.port import Deed, Snapshot, Tx

Values = tuple[tuple[str, bytes | None], ...]
"""Entries by their names in lower case; None: there is no such entry."""


class Metadata(Part):
    """GETMETADATA and SETMETADATA. Private entries are the actor's own, in everybody's folders."""

    async def metadata(self, visit: Visit, place: Place | None, entries: Sequence[str], depth: int | None = 0) -> Values:
        """Of a folder, or (None) of the server. `depth` as in store/annotations.py."""
        actor = visit.actor.account
        async with self._judging.snapshot() as snapshot:
            if place is None:
                if not _may_keep(visit.actor, Right.READ):
                    return ()
                return tuple(await snapshot.work(annotations.values, actor, actor, annotations.SERVER, entries, depth))
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=True, op=FolderOp.GET_METADATA)
            decision = self._judging.require(visit, stand, FolderOp.GET_METADATA, snapshot.now)
            assert stand.row is not None
            found = await snapshot.work(values_of, stand.row, actor, entries, depth)
        self._judging.note(visit, stand, FolderOp.GET_METADATA, decision)
        return tuple(found)

    async def set_metadata(self, visit: Visit, place: Place | None, values: Values) -> None:
        """All or none; None takes an entry away. The entry /private/specialuse is what the folder is for (RFC 6154 section 4)."""
        actor = visit.actor.account
        if place is None:
            if any(annotations.is_shared(entry) for entry, _ in values):
                raise Refused(Refuse(Reason.ADMIN_NOT_PERMITTED))
            if not _may_keep(visit.actor, Right.WRITE):
                raise Refused(Refuse(Reason.RIGHT_MISSING, f"this app password does not allow {spell_right(Right.WRITE)} here"))
            await self._judging.plain(annotations.SetAnnotations(actor, actor, annotations.SERVER, values, visit.origin))
            return

        async def judge(snapshot: Snapshot) -> Judged[Any]:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=True, op=FolderOp.SET_METADATA)
            decision = self._judging.require(visit, stand, FolderOp.SET_METADATA, snapshot.now)
            assert stand.row is not None
            plain = tuple((entry, value) for entry, value in values if entry != USE_ENTRY)
            deeds: list[Deed[Any]] = [annotations.SetAnnotations(stand.owner.id, actor, stand.row.id, plain, visit.origin)]
            if len(plain) < len(values):
                deeds += await snapshot.ask(_new_use, stand.row, actor, dict(values)[USE_ENTRY], visit.origin)
            return Several(tuple(deeds)), stand.witness, ((stand, FolderOp.SET_METADATA, decision),)

        await self._judging.act(visit, judge, conflict=TAKEN)


def _new_use(tx: Tx, row: FolderRow, actor: AccountId, value: bytes | None, origin: int) -> list[Deed[Any]]:
    change = changed_use(tx, row, actor, value, origin)
    if change is None:
        return []
    if change.special_use is None and (row.owner, row.path) not in subscriptions.of_subscriber(tx, actor):
        # It was subscribed for what it is for (is_subscribed_unasked), and does not vanish from a client's list with that.
        return [change, subscriptions.Subscribe(actor, row.owner, row.path)]
    return [change]


def _may_keep(actor: Actor, right: Right) -> bool:
    """The actor's own entries of the server stand in no folder; an app password's limits hold for them too."""
    return actor.scope is None or (right in actor.scope.rights and actor.scope.covers(actor.account))
