"""A folder that was opened: its messages are read and changed, each time on a right that is confirmed."""

from __future__ import annotations  # `Judged[...]` of a nested function would be made for each command: 31,000 instructions

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType
from typing import Concatenate, Final, ParamSpec, TypeVar

from gateway.folders.judging import UNKNOWN, Judging, is_own
from gateway.folders.octets import (
    BEGINNING,
    DECODING,
    FEW,
    IN_PLACE,
    Octets,
    beginnings_of,
    few,
    layouts_of,
    octets_of,
    previews_of,
    rendered_again,
)
from gateway.folders.sorting import SORTED_AT_ONCE, made_again, with_sorting
from gateway.folders.standpoint import Judged, Standpoint
from gateway.folders.values import News, Visit
from gateway.message import envelope as rendering
from gateway.message.layout import is_current
from gateway.message.text import SORT_VERSION
from gateway.refusal import Refused
from policy.folders import FlagChange, FolderOp, selectable_for_writing
from policy.identity import AccountId, Address, FolderId
from policy.reasons import Defer, Reason, Refuse
from policy.rights import Right
from policy.status import Access
from store import changes, folders, messages, search
from store.criteria import Criterion
from store.errors import LimitReached
from store.expunging import Expunge, Expunged
from store.flags import EVERY_FLAG, ChangeFlags, FlagMode, FlagsChanged, MarkSeen
from store.model import Flag, FolderRow, MessageRow, Run, Sorting, SortRow, Uid
from store.port import DIRECTORY, Snapshot, Tx
from store.remade import SetLayouts, SetPreviews, SetSorting
from store.runs import common, merged, runs_of

T = TypeVar("T")
P = ParamSpec("P")

RENDERED_AT_ONCE: Final = 16
"""Messages whose octets are read in one snapshot to render their structures for IMAP4rev2."""
PREVIEWED_AT_ONCE: Final = 16
"""Messages whose octets are read in one snapshot to make their previews."""
_SEEN, _DELETED = int(Flag.SEEN), int(Flag.DELETED)
OTHERS: Final = EVERY_FLAG & ~int(Flag.SEEN | Flag.DELETED)


class Kept(Enum):
    """What is kept rendered of each message."""

    ENVELOPE = auto()
    STRUCTURE = auto()
    BODY = auto()


_ITEMS: Final[Mapping[Kept, Callable[[rendering.Rendered], bytes]]] = MappingProxyType(
    {
        Kept.ENVELOPE: lambda rendered: rendered.envelope,
        Kept.STRUCTURE: lambda rendered: rendered.bodystructure,
        Kept.BODY: lambda rendered: rendered.body,
    }
)
_READ: Final[Mapping[Kept, Callable[[Tx, FolderId, Sequence[Run]], list[tuple[int, bytes, int]]]]] = MappingProxyType(
    {Kept.ENVELOPE: messages.envelopes, Kept.STRUCTURE: messages.structures, Kept.BODY: messages.bodies}
)


def mask_of(allowed: FlagChange) -> int:
    """The flags of such a change as bits."""
    return (_SEEN if allowed.seen else 0) | (_DELETED if allowed.deleted else 0) | (OTHERS if allowed.others else 0)


class OpenFolder:
    """A folder that was opened; each method confirms or renews the right in the snapshot or deed that does the work. `since`: the moment
    at which it was confirmed last (store/moved.py)."""

    __slots__ = ("_allowed", "_judging", "_octets", "_since", "_stand", "visit")

    def __init__(self, judging: Judging, octets: Octets, visit: Visit, stand: Standpoint, since: int) -> None:
        self._judging = judging
        self._octets = octets
        self._stand = stand.kept(visit.actor)
        self._since = since
        self._allowed: tuple[FolderOp, ...] = ()
        self.visit = visit

    @property
    def row(self) -> FolderRow:
        """As it was when the right was last judged; the counters may be older than the messages."""
        assert self._stand.row is not None
        return self._stand.row

    @property
    def owner(self) -> Address:
        """The owner's primary address."""
        return self._stand.owner.address

    @property
    def owner_id(self) -> AccountId:
        """Whose it is."""
        return self._stand.owner.id

    @property
    def held(self) -> Right:
        """The rights that count, as last judged."""
        return self._stand.held

    @property
    def valid_until(self) -> int | None:
        """Until when no clock alone changes what may be done here."""
        return self._stand.witness.valid_until

    def now(self) -> int:
        """Microseconds since 1970 UTC, as INTERNALDATEs are dated."""
        return self._judging.now()

    @property
    def scopes(self) -> tuple[int, ...]:
        """Whose changes of policy concern it."""
        return (DIRECTORY, self.visit.actor.account, self._stand.owner.id)

    @property
    def seen_of(self) -> AccountId | None:
        """Whose own \\Seen counts here; None: the shared one."""
        return self.visit.actor.account if self.row.seen_private else None

    @property
    def writable(self) -> bool:
        """Is SELECT read-write? Not either while the owner is in maintenance."""
        return self.available and selectable_for_writing(self.held, self.row.seen_private)

    @property
    def available(self) -> bool:
        """Is the owner's mailbox there to be worked with?"""
        return self._stand.facts.access is not Access.UNAVAILABLE

    @property
    def permitted(self) -> FlagChange:
        """Which flags this actor may change."""
        return self._stand.permits()

    async def confirm(self, snapshot: Snapshot, op: FolderOp) -> Standpoint:
        """The standpoint as it holds in this snapshot. Raises Refused when the operation is not allowed in it."""
        moved = self._judging.moved
        stands = moved is not None and moved.stands(self._stand.witness, self._since, snapshot.now)
        if not stands and not await snapshot.confirms(self._stand.witness):
            row = self.row
            stand = await self._judging.stand(snapshot, self.visit.actor, row.id)
            if stand is None or stand.row is None or stand.row.noselect or stand.row.uidvalidity != row.uidvalidity:
                raise Refused(UNKNOWN)
            self._stand = stand.kept(self.visit.actor)
            self._allowed = ()
        self._since = snapshot.moment
        if op not in self._allowed:
            self._judging.require(self.visit, self._stand, op, snapshot.now)
            self._allowed += (op,)
        return self._stand

    def is_at(self, modseq: int, since: int) -> bool:
        """Is the folder, which was at this mod-sequence at the moment `since`, known to be at it still, and may an owner still read it?
        False: `news` has to say."""
        moved, stand = self._judging.moved, self._stand
        if moved is None or FolderOp.READ not in self._allowed or stand.witness.valid_until is not None or not is_own(self.visit, stand):
            return False
        return moved.stands(stand.witness, self._since, 0) and moved.is_at(self.row.id, modseq, since)

    def assumed(self, op: FolderOp) -> Standpoint | None:
        """Where the owner was allowed this before: for a deed, since the writer confirms its witness. None: it has to be judged."""
        return self._stand if op in self._allowed and is_own(self.visit, self._stand) else None

    async def renew(self) -> None:
        """May it still be read? Raises Refused when not; `held` is up to date afterwards."""
        async with self._reading():
            pass

    @contextlib.asynccontextmanager
    async def _reading(self, op: FolderOp = FolderOp.READ) -> AsyncIterator[Snapshot]:
        async with self._judging.snapshot() as snapshot:
            stand = await self.confirm(snapshot, op)
            if not is_own(self.visit, stand):
                self._on_record(stand, op, snapshot.now)
            yield snapshot

    def _on_record(self, stand: Standpoint, op: FolderOp, now: int) -> None:
        key = (stand.row.id if stand.row is not None else 0, op)
        if key not in self.visit.recorded:
            self._judging.note(self.visit, stand, op, stand.judge(op, now), now)
        elif now >= self.visit.used.get(key, 0):
            self._judging.mark(self.visit, stand, op, stand.judge(op, now), now)

    async def _with_octets(self, reading: Callable[[Snapshot], Awaitable[T]]) -> T:
        """What is read of octets: those that lie in an object store are brought between two snapshots, in each of which the right is
        confirmed."""

        async def read() -> T:
            async with self._reading() as snapshot:
                return await reading(snapshot)

        return await self._judging.brought(self._octets.files, read)

    async def _work(self, question: Callable[Concatenate[Tx, P], T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what runs in the reader's thread."""
        return await self._with_octets(lambda snapshot: snapshot.work(question, *args, **kwargs))

    # --- reading

    async def news(self, since: int | None) -> News:
        """What happened after this mod-sequence; None: everything, as it is now."""
        async with self._reading() as snapshot:
            row = await snapshot.ask(folders.by_id, self.row.id)
            if row is None:
                raise Refused(UNKNOWN)
            if since == row.modseq:
                return News(row, moment=snapshot.moment)
            keywords = tuple(await snapshot.ask(messages.keywords, row.id))
            if since is not None:
                try:
                    found = await snapshot.ask(changes.since, row.id, since, self.seen_of, FEW)
                except changes.Many:
                    found = await snapshot.work(changes.since, row.id, since, self.seen_of)
                if found is not None:
                    return News(row, changes=found, keywords=keywords, moment=snapshot.moment)
            state = await snapshot.work(messages.state, row.id, self.seen_of)
            return News(row, state=state, keywords=keywords, moment=snapshot.moment)

    async def gone_since(self, modseq: int, within: Sequence[tuple[int, int]]) -> list[Run]:
        """UIDs that were expunged after this mod-sequence, of those `within` (0 stands for the last UID there ever was), ascending.

        Where the log does not reach back so far: everything that may have been (RFC 7162 section 3.2.5.2 lets more be told).
        The caller leaves out what is there.
        """
        async with self._reading() as snapshot:
            row = await snapshot.ask(folders.by_id, self.row.id)
            if row is None:
                raise Refused(UNKNOWN)
            last = row.uidnext - 1
            wanted = [(min(low or last, high or last), min(max(low or last, high or last), last)) for low, high in within]
            return await snapshot.work(_gone_since, row.id, modseq, wanted)

    async def rows(self, runs: Sequence[Run]) -> list[MessageRow]:
        """Sizes, dates, flags; of messages that are there."""
        async with self._reading() as snapshot:
            read = snapshot.ask if few(runs) else snapshot.work
            return await read(messages.rows, self.row.id, runs, self.seen_of)

    async def envelopes(self, runs: Sequence[Run]) -> list[tuple[int, bytes]]:
        """(UID, ENVELOPE as IMAP octets)."""
        return await self._prepared(messages.envelopes, runs, _ITEMS[Kept.ENVELOPE])

    async def structures(self, runs: Sequence[Run], *, rev2: bool = False) -> list[tuple[int, bytes]]:
        """(UID, BODYSTRUCTURE as IMAP octets). `rev2`: in the manner of IMAP4rev2."""
        return await self._structured(messages.structures, runs, _ITEMS[Kept.STRUCTURE], rev2)

    async def bodies(self, runs: Sequence[Run], *, rev2: bool = False) -> list[tuple[int, bytes]]:
        """(UID, BODY as IMAP octets). `rev2`: in the manner of IMAP4rev2."""
        return await self._structured(messages.bodies, runs, _ITEMS[Kept.BODY], rev2)

    async def together(
        self, runs: Sequence[Run], kept: Sequence[Kept], *, rows: bool
    ) -> tuple[list[MessageRow], list[list[tuple[int, bytes]]]]:
        """What `rows`, and `envelopes`, `structures` and `bodies` for each of these, say of the same messages, from one snapshot."""

        async def read(snapshot: Snapshot) -> tuple[list[MessageRow], list[list[tuple[int, bytes]]]]:
            ask = snapshot.ask if few(runs) else snapshot.work
            there, items = await ask(_together, self.row.id, runs, [_READ[one] for one in kept], self.seen_of, rows)
            found = [await self._current(snapshot, item, _ITEMS[one]) for one, item in zip(kept, items, strict=True)]
            return there, found

        return await self._with_octets(read)

    async def email_ids(self, runs: Sequence[Run]) -> list[tuple[int, bytes]]:
        """(UID, EMAILID in its parentheses)."""
        async with self._reading() as snapshot:
            ask = snapshot.ask if few(runs) else snapshot.work
            found = await ask(messages.email_ids, self.row.id, runs)
        return [(uid, b"(%b)" % one.encode("ascii")) for uid, one in found]

    async def _structured(
        self,
        read: Callable[[Tx, FolderId, Sequence[Run]], list[tuple[int, bytes, int]]],
        runs: Sequence[Run],
        item: Callable[[rendering.Rendered], bytes],
        rev2: bool,
    ) -> list[tuple[int, bytes]]:
        """What is kept is in the manner of IMAP4rev1; the few that are otherwise in IMAP4rev2 are rendered from their octets."""
        found = await self._prepared(read, runs, item)
        others = [uid for uid, octets in found if rendering.may_differ_in_rev2(octets)] if rev2 else []
        again: dict[int, bytes] = {}
        for start in range(0, len(others), RENDERED_AT_ONCE):
            some = others[start : start + RENDERED_AT_ONCE]
            again.update(await self._work(rendered_again, self.row.id, some, self._octets.files, item, rev2))
        return [(uid, again.get(uid, octets)) for uid, octets in found] if again else found

    async def _prepared(
        self,
        read: Callable[[Tx, FolderId, Sequence[Run]], list[tuple[int, bytes, int]]],
        runs: Sequence[Run],
        item: Callable[[rendering.Rendered], bytes],
    ) -> list[tuple[int, bytes]]:
        async def prepared(snapshot: Snapshot) -> list[tuple[int, bytes]]:
            ask = snapshot.ask if few(runs) else snapshot.work
            return await self._current(snapshot, await ask(read, self.row.id, runs), item)

        return await self._with_octets(prepared)

    async def _current(
        self, snapshot: Snapshot, found: Sequence[tuple[int, bytes, int]], item: Callable[[rendering.Rendered], bytes]
    ) -> list[tuple[int, bytes]]:
        """What an older version rendered is rendered again."""
        old = [uid for uid, _, version in found if version != rendering.VERSION]
        if not old:
            return [(uid, octets) for uid, octets, _ in found]
        renewed = await snapshot.work(rendered_again, self.row.id, old, self._octets.files, item)
        return [(uid, renewed.get(uid, octets)) for uid, octets, _ in found]

    async def previews(self, runs: Sequence[Run]) -> list[tuple[int, bytes]]:
        """(UID, the first words in UTF-8). What was stored before they were made at delivery is made now, a few at a time, and kept."""
        async with self._reading() as snapshot:
            ask = snapshot.ask if few(runs) else snapshot.work
            found = dict(await ask(messages.previews, self.row.id, runs))
        old = [uid for uid, words in found.items() if words is None]
        for start in range(0, len(old), PREVIEWED_AT_ONCE):
            some = old[start : start + PREVIEWED_AT_ONCE]
            made = await self._work(previews_of, self.row.id, some, self._octets.files)
            found.update(made)
            self._judging.recorder.put(SetPreviews(self.row.id, tuple((Uid(uid), words) for uid, words in made)))
        return [(uid, words) for uid, words in found.items() if words is not None]

    async def octets(self, sizes: Sequence[tuple[int, int]]) -> list[tuple[int, bytes]]:
        """(UID, the whole message) for (UID, size): those that are there. The caller keeps the sum of sizes small, where it can."""
        uids = [uid for uid, _ in sizes]
        in_place = sum(size for _, size in sizes) <= IN_PLACE
        return await self._with_octets(
            lambda snapshot: (snapshot.ask if in_place else snapshot.work)(octets_of, self.row.id, uids, self._octets.files)
        )

    async def wholes(self, low: int, high: int, most: int) -> tuple[list[tuple[int, bytes]], bool]:
        """(UID, the whole message) of the first from one UID to another that have `most` octets together, or of one; and whether these
        are all."""
        files, here = self._octets.files, self.row.id

        async def read(snapshot: Snapshot) -> tuple[list[tuple[int, bytes]], bool]:
            if not few(((low, high),)):
                return await snapshot.work(messages.first_octets, here, low, high, most, files)
            found, are_all = await snapshot.ask(messages.first_within, here, low, high, most)
            in_place = sum(size for _, size in found) <= IN_PLACE
            uids = [uid for uid, _ in found]
            return await (snapshot.ask if in_place else snapshot.work)(octets_of, here, uids, files), are_all

        return await self._with_octets(read)

    async def beginnings(self, uids: Sequence[int]) -> list[tuple[int, bytes]]:
        """(UID, the message or so much of it that its whole header is in it): those that are there. A few at a time."""
        in_place = len(uids) * BEGINNING <= IN_PLACE
        return await self._with_octets(
            lambda snapshot: (snapshot.ask if in_place else snapshot.work)(beginnings_of, self.row.id, uids, self._octets.files)
        )

    async def pieces(self, uid: int, wanted: Sequence[tuple[int, int]]) -> list[bytes] | None:
        """Of one message the octets from each first offset up to the second, no others being read of a large one. None: it is gone."""
        in_place = sum(high - low for low, high in wanted) <= IN_PLACE
        return await self._with_octets(
            lambda snapshot: (snapshot.ask if in_place else snapshot.work)(messages.pieces, self.row.id, uid, wanted, self._octets.files)
        )

    async def layouts(self, runs: Sequence[Run]) -> list[tuple[int, bytes]]:
        """(UID, where its parts stand, gateway/message/layout.py). What was stored before that was noted at delivery is looked at now, and
        kept."""
        async with self._reading() as snapshot:
            ask = snapshot.ask if few(runs) else snapshot.work
            found = dict(await ask(messages.layouts, self.row.id, runs))
        old = [uid for uid, layout in found.items() if not is_current(layout)]
        while old:
            made, looked_at = await self._work(layouts_of, self.row.id, old, self._octets.files)
            found.update(made)
            self._judging.recorder.put(SetLayouts(self.row.id, tuple((Uid(uid), layout) for uid, layout in made)))
            old = old[looked_at:]
        return [(uid, layout) for uid, layout in found.items() if layout is not None and is_current(layout)]

    async def search(self, criterion: Criterion, looked_at: Callable[[int], None] | None = None) -> list[int]:
        """UIDs, ascending. Runs in slices, each in a snapshot of its own in which the right is confirmed. `looked_at` is told after
        each up to which UID messages were looked at.
        """
        found: list[int] = []
        after = 0
        files, index = self._octets.files, self._octets.index
        # What trigrams narrow takes time by all that the owner has, also in folders that others may not know of.
        own = self.visit.actor.account == self.owner_id
        while True:
            try:
                part = await self._work(
                    search.search, self.row.id, criterion, DECODING, files, self.seen_of, after, index=index, narrow=own
                )
            except LimitReached as error:
                raise Refused(Refuse(Reason.LIMIT, str(error))) from None
            found.extend(part.uids)
            if part.after is None:
                return found
            after = part.after
            if looked_at is not None:
                looked_at(after)

    async def sorting(self, uids: Sequence[int]) -> list[SortRow]:
        """What SORT and THREAD compare, for ascending UIDs, in slices, each in a snapshot of its own. What was stored before it was
        made at delivery is made now, and kept."""
        found: list[SortRow] = []
        for start in range(0, len(uids), SORTED_AT_ONCE):
            runs = runs_of(uids[start : start + SORTED_AT_ONCE])
            async with self._reading() as snapshot:
                rows = await snapshot.work(messages.sorting, self.row.id, runs)
            old = [row.uid for row in rows if row.version != SORT_VERSION]
            if old:
                made = await self._sorted_again(old)
                rows = [with_sorting(row, made[row.uid]) if row.uid in made else row for row in rows]
            found.extend(rows)
        return found

    async def _sorted_again(self, uids: Sequence[int]) -> dict[int, Sorting]:
        made: dict[int, Sorting] = {}
        while uids:
            part, looked_at = await self._work(made_again, self.row.id, uids, self._octets.files)
            made.update(part)
            uids = uids[looked_at:]
            if part:
                self._judging.recorder.put(SetSorting(self.row.id, tuple((Uid(uid), one) for uid, one in part)))
        return made

    # --- changing

    async def change_flags(
        self, runs: Sequence[Run], mode: FlagMode, flags: Flag, keywords: tuple[str, ...], unchanged_since: int | None = None
    ) -> FlagsChanged:
        """What is allowed of it is applied, the rest left alone; refused only when nothing is left (RFC 4314 section 4)."""
        if mode is FlagMode.REPLACE:
            touched = FlagChange(True, True, True)
        else:
            others = bool(flags & ~(Flag.SEEN | Flag.DELETED)) or bool(keywords)
            touched = FlagChange(Flag.SEEN in flags, Flag.DELETED in flags, others)

        def deed_of(stand: Standpoint, allowed: FlagChange) -> ChangeFlags:
            assert stand.row is not None
            return ChangeFlags(
                stand.row.id,
                tuple(runs),
                mode,
                flags & Flag(mask_of(allowed) & 31),
                keywords if allowed.others else (),
                mask_of(allowed),
                unchanged_since,
                self.seen_of,
            )

        async def judge(snapshot: Snapshot) -> Judged[FlagsChanged]:
            stand = await self.confirm(snapshot, FolderOp.READ)
            allowed = stand.permits(touched)
            if not allowed:
                needed = (
                    FolderOp.CHANGE_FLAGS if not touched or mode is FlagMode.REPLACE
                    else FolderOp.MARK if touched.others
                    else FolderOp.MARK_DELETED if touched.deleted
                    else FolderOp.MARK_SEEN
                )  # fmt: skip
                self._judging.require(self.visit, stand, needed, snapshot.now)
            decision = self._judging.require(self.visit, stand, FolderOp.CHANGE_FLAGS, snapshot.now)
            return deed_of(stand, allowed), stand.witness, ((stand, FolderOp.CHANGE_FLAGS, decision),)

        stand = self.assumed(FolderOp.CHANGE_FLAGS)
        allowed = self._stand.permits(touched)
        assumed = (deed_of(stand, allowed), stand.witness) if allowed and stand is not None else None
        done = await self._judging.act(self.visit, judge, assumed=assumed)
        if FolderOp.CHANGE_FLAGS not in self._allowed:
            self._allowed += (FolderOp.CHANGE_FLAGS,)
        return done

    async def mark_seen(self, runs: Sequence[Run]) -> FlagsChanged | None:
        """The \\Seen of FETCH BODY[]. None: no right, no trace."""
        if not self.permitted.seen:
            return None

        async def judge(snapshot: Snapshot) -> Judged[FlagsChanged]:
            stand = await self.confirm(snapshot, FolderOp.READ)
            decision = stand.judge(FolderOp.MARK_SEEN, snapshot.now)
            if decision.refusal is not None:
                raise Refused(decision.refusal)
            assert stand.row is not None
            return MarkSeen(stand.row.id, tuple(runs), self.seen_of), stand.witness, ((stand, FolderOp.MARK_SEEN, decision),)

        try:
            return await self._judging.act(self.visit, judge)
        except Refused as refused:
            if isinstance(refused.verdict, Defer) or refused.verdict.reason is Reason.RIGHT_MISSING:
                return None
            raise

    async def expunge(self, runs: Sequence[Run] | None = None) -> Expunged:
        """Those marked \\Deleted, all or among these."""

        deed = Expunge(self.row.id, None if runs is None else tuple(runs))

        async def judge(snapshot: Snapshot) -> Judged[Expunged]:
            stand = await self.confirm(snapshot, FolderOp.EXPUNGE)
            decision = stand.judge(FolderOp.EXPUNGE, snapshot.now)
            return deed, stand.witness, ((stand, FolderOp.EXPUNGE, decision),)

        stand = self.assumed(FolderOp.EXPUNGE)
        return await self._judging.act(self.visit, judge, assumed=None if stand is None else (deed, stand.witness))

    def claim_recent(self) -> None:
        """No later session is told of these messages as \\Recent. Nobody waits for it: at worst one is told twice."""
        self._judging.recorder.put(folders.ClaimRecent(self.row.id))


def _gone_since(tx: Tx, folder: FolderId, modseq: int, wanted: Sequence[Run]) -> list[Run]:
    gone = changes.vanished_since(tx, folder, modseq)
    return merged(wanted) if gone is None else common(merged(wanted), gone)


def _together(
    tx: Tx,
    folder: FolderId,
    runs: Sequence[Run],
    kept: Sequence[Callable[[Tx, FolderId, Sequence[Run]], list[tuple[int, bytes, int]]]],
    seen_of: AccountId | None,
    with_rows: bool,
) -> tuple[list[MessageRow], list[list[tuple[int, bytes, int]]]]:
    return messages.rows(tx, folder, runs, seen_of) if with_rows else [], [read(tx, folder, runs) for read in kept]
