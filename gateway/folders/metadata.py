"""Which entries has a folder, and who may read and change them (RFC 5464)?"""

from collections.abc import Sequence

from gateway.folders.judging import Part
from gateway.folders.standpoint import Judged
from gateway.folders.values import Place, Visit
from gateway.refusal import Refused
from policy.folders import FolderOp
from policy.reasons import Reason, Refuse
from store import annotations
from store.port import Snapshot

Values = tuple[tuple[str, bytes | None], ...]
"""Entries by their names in lower case; None: there is no such entry."""


class Metadata(Part):
    """GETMETADATA and SETMETADATA. Private entries are the actor's own, in everybody's folders."""

    async def metadata(self, visit: Visit, place: Place | None, entries: Sequence[str], depth: int | None = 0) -> Values:
        """Of a folder, or (None) of the server. `depth` as in store/annotations.py."""
        actor = visit.actor.account
        async with self._judging.snapshot() as snapshot:
            if place is None:
                return tuple(await snapshot.work(annotations.values, actor, actor, annotations.SERVER, entries, depth))
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=True)
            decision = self._judging.require(visit, stand, FolderOp.GET_METADATA, snapshot.now)
            assert stand.row is not None
            found = await snapshot.work(annotations.values, stand.owner.id, actor, stand.row.id, entries, depth)
        self._judging.note(visit, stand, FolderOp.GET_METADATA, decision)
        return tuple(found)

    async def set_metadata(self, visit: Visit, place: Place | None, values: Values) -> None:
        """All or none; None takes an entry away."""
        actor = visit.actor.account
        if place is None:
            if any(annotations.is_shared(entry) for entry, _ in values):
                raise Refused(Refuse(Reason.ADMIN_NOT_PERMITTED))
            await self._judging.plain(annotations.SetAnnotations(actor, actor, annotations.SERVER, values, visit.origin))
            return

        async def judge(snapshot: Snapshot) -> Judged[None]:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=True)
            decision = self._judging.require(visit, stand, FolderOp.SET_METADATA, snapshot.now)
            assert stand.row is not None
            deed = annotations.SetAnnotations(stand.owner.id, actor, stand.row.id, values, visit.origin)
            return deed, stand.witness, ((stand, FolderOp.SET_METADATA, decision),)

        await self._judging.act(visit, judge)
