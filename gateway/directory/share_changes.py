"""A share that becomes otherwise: what comes of it, in words, and all of it at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.directory.shares import (
    MemberView,
    called,
    check_folders,
    check_number,
    check_reachable,
    check_times,
    copies,
    counted,
    found_share,
    in_folders,
    left,
    lessened,
    may_make,
    member_view,
    read_member,
    read_members,
    read_paths,
    unsubscribed,
)
from policy.grantees import Grantee
from policy.grants import FolderEntry, SendGrant, SendRight
from policy.identity import FolderId
from policy.presets import NoPreset, Preset, preset_named, send_in_words
from policy.rights import spell_letters
from policy.roles import Operation
from store import accounts, folders, grants, shares
from store.errors import Conflict, NotFound
from store.grants import SharedFolder
from store.model import AccountRow
from store.port import Snapshot, Store
from store.shares import Given, ModifyShare, ShareRow, in_the_way

TIMES: Final = ("not_before", "expires", "review")


@dataclass(frozen=True, slots=True)
class ShareChange:
    """What is to be otherwise of the share `which`; what is not said stays.

    `add`, `remove`: members as in ShareOrder. `preset`, `on_behalf`, `folders`: what it gives from then on, to every member. `times`: those
    of TIMES that change, None for none from then on; microseconds since 1970 UTC. `replace`: as in ShareOrder.
    """

    which: str
    add: Sequence[str] = ()
    remove: Sequence[str] = ()
    preset: str | None = None
    on_behalf: bool = False
    folders: Sequence[str] = ()
    times: Mapping[str, int | None] = field(default_factory=dict)
    note: str | None = None
    replace: bool = False

    @property
    def gives_anew(self) -> bool:
        """To every member, also where somebody changed by hand what it gave."""
        return self.preset is not None or self.on_behalf or bool(self.folders)


@dataclass(frozen=True, slots=True)
class ChangedShare:
    """`before`, `after`: what the share says. `words`: what comes of it for people. `deed`: None where nothing changes."""

    before: ShareRow
    after: ShareRow
    address: str
    preset: Preset
    members: Sequence[MemberView]
    words: Sequence[str]
    deed: ModifyShare | None = field(repr=False)


class ShareChanges:
    """Every method raises Fault, and nothing else that is expected."""

    def __init__(self, store: Store, records: Records) -> None:
        self._store = store
        self._records = records

    async def plan(self, change: ShareChange) -> ChangedShare:
        """Nothing is changed. Who may not do it is not told what it comes to."""
        async with self._store.snapshot() as snapshot:
            return await _plan(snapshot, change, self._records)

    async def modify(self, change: ShareChange) -> ChangedShare:
        """All of it, or nothing; nothing is on record of what changes nothing."""
        plan = await self.plan(change)
        if plan.deed is None:
            return plan
        words = {
            NotFound: Fault(Code.INVALID_REQUEST, "an account, a list or a folder of it went away meanwhile; nothing was changed"),
            Conflict: Fault(Code.INVALID_REQUEST, "somebody changed what is granted there meanwhile; nothing was changed"),
        }
        given = tuple(dict.fromkeys([*(entry.grantee for _, entry in plan.deed.entries), *(one.grantee for one in plan.deed.sends)]))
        right = Operation.GRANT_ON_ACCOUNT if given else Operation.REVOKE_ON_ACCOUNT
        await self._records.do(
            plan.deed,
            "share modified",
            plan.address,
            matter=Matter(right, accounts=(plan.before.owner,), grantees=given),
            principal=plan.before.owner,
            right=plan.preset.letters,
            detail=f"share {plan.before.id}; {'; '.join(_for_record(plan))}",
            words=words,
        )
        return plan


def _for_record(plan: ChangedShare) -> list[str]:
    before, after, deed = plan.before, plan.after, plan.deed
    if deed is None:
        return []
    said = [f"{before.preset} becomes {after.preset}" if before.preset != after.preset else after.preset]
    said += [*plan.preset.sends]
    by_grantee = {one.grantee: called(one) for one in plan.members}
    said += [f"with {by_grantee.get(one, one.kind)}" for one in deed.joining]
    said += [f"without {by_grantee.get(one, one.kind)}" for one in deed.leaving]
    return said + [
        f"{word} changed"
        for word, one, other in (
            ("start", before.not_before, after.not_before),
            ("end", before.expires, after.expires),
            ("review", before.review, after.review),
            ("note", before.note, after.note),
        )
        if one != other
    ]


# --- what a change comes to


@dataclass(frozen=True, slots=True)
class _Found:
    """A share as it is, and how it is to be."""

    row: ShareRow
    after: ShareRow
    owner: AccountRow
    standing: Given
    old: Preset
    new: Preset
    before: Sequence[Grantee]
    joining: Sequence[Grantee]
    leaving: Sequence[Grantee]
    old_paths: Sequence[str]
    new_paths: Sequence[str]

    @property
    def members(self) -> list[Grantee]:
        """As they are to be."""
        return [*(one for one in self.before if one not in self.leaving), *(one for one in self.joining if one not in self.before)]


@dataclass
class _Outcome:
    """What is set, what is taken; `anew`: what the share did not give (any more); `by_hand`: what it leaves as it is."""

    entries: list[SharedFolder] = field(default_factory=list)
    sends: list[SendGrant] = field(default_factory=list)
    taken_entries: list[SharedFolder] = field(default_factory=list)
    taken_sends: list[SendGrant] = field(default_factory=list)
    anew: list[SharedFolder | SendGrant] = field(default_factory=list)
    in_the_way: list[tuple[Grantee, str]] = field(default_factory=list)
    by_hand: list[tuple[Grantee, str]] = field(default_factory=list)

    @property
    def taken(self) -> Given:
        return Given(self.taken_entries, self.taken_sends)


async def _plan(snapshot: Snapshot, change: ShareChange, records: Records) -> ChangedShare:
    row = await found_share(snapshot, records, change.which)
    owner = await snapshot.ask(accounts.by_id, row.owner)
    if owner is None:
        raise Fault(Code.NO_SUCH_SHARE, change.which)
    address = names.shown(owner.address)
    await may_make(snapshot, records, owner, address)
    await records.allow(snapshot, Matter(Operation.REVOKE_ON_ACCOUNT, accounts=(owner.id,)), address)
    found = await _found(snapshot, change, row, owner, records)
    views = {one: await member_view(snapshot, one) for one in dict.fromkeys([*found.members, *found.leaving])}
    outcome = _Outcome()
    await _judge_entries(snapshot, change, found, outcome)
    await _judge_sends(snapshot, change, found, outcome)
    if outcome.in_the_way:
        told = "; ".join(f"{called(views[grantee])} has {what}" for grantee, what in outcome.in_the_way)
        raise Fault(Code.INVALID_REQUEST, f"{told} already: take that away first, or say --replace to make it part of the share")
    if outcome.anew:
        check_reachable(owner)
        if found.after.expires is not None and found.after.expires <= snapshot.now:
            raise Fault(Code.INVALID_REQUEST, f"share {row.id} is over: --until gives it another end")
    deed = ModifyShare(
        row,
        tuple(found.before),
        found.standing,
        found.after,
        tuple(found.joining),
        tuple(found.leaving),
        tuple((one.folder, one.entry) for one in outcome.entries),
        tuple(outcome.sends),
        outcome.taken,
        change.replace,
    )
    words = await _words(snapshot, found, outcome, views, address)
    is_same = (found.after, found.members) == (row, [*found.before]) and not any(
        (outcome.entries, outcome.sends, outcome.taken_entries, outcome.taken_sends)
    )
    return ChangedShare(row, found.after, address, found.new, [*views.values()], words, None if is_same else deed)


async def _found(snapshot: Snapshot, change: ShareChange, row: ShareRow, owner: AccountRow, records: Records) -> _Found:
    address = names.shown(owner.address)
    standing = await snapshot.work(shares.given, row.id)
    before = await snapshot.ask(shares.members, row.id)
    old = _as_it_is(row, standing)
    new = _read_preset(change, old)
    joining = [one.grantee for one in await read_members(snapshot, change.add, address, owner, records)] if change.add else []
    leaving = [await _leaving(snapshot, text, before, row) for text in change.remove]
    both = next((text for text, one in zip(change.remove, leaving, strict=True) if one in joining), None)
    if both is not None:
        raise Fault(Code.INVALID_REQUEST, f"{both} cannot be added and removed")
    old_paths = list(dict.fromkeys(one.path for one in standing.entries))
    new_paths = await _new_paths(snapshot, change, row, owner, new, old_paths, bool(joining))
    if joining and new.bends and not change.gives_anew and not standing.sends:
        # As itself or on behalf is seen from what stands of it, and the greater one is not guessed.
        raise Fault(
            Code.INVALID_REQUEST, f"nothing stands of share {row.id}'s right to send: say --preset, and --on-behalf where that was meant"
        )
    times = {name: change.times.get(name, getattr(row, name)) for name in TIMES}
    if change.times:
        check_times(times["not_before"], times["expires"], times["review"], snapshot.now)
    after = replace(
        row,
        preset=new.name,
        note=row.note if change.note is None else change.note,
        not_before=times["not_before"],
        expires=times["expires"],
        review=times["review"],
    )
    found = _Found(row, after, owner, standing, old, new, before, joining, leaving, old_paths, new_paths)
    if not found.members:
        raise Fault(Code.INVALID_REQUEST, f"share {row.id} would have no members left: share end ends it")
    check_number(len(found.members))
    return found


async def _new_paths(
    snapshot: Snapshot, change: ShareChange, row: ShareRow, owner: AccountRow, new: Preset, old_paths: Sequence[str], is_joined: bool
) -> Sequence[str]:
    if change.folders or not new.letters:
        return await read_paths(snapshot, change.folders, owner, new)
    if old_paths:
        return old_paths
    if change.preset is not None:
        check_folders(new, change.folders, names.shown(owner.address))
        return await read_paths(snapshot, (), owner, new)
    if change.gives_anew or is_joined:
        raise Fault(Code.INVALID_REQUEST, f"nothing stands of what share {row.id} gave on folders: say which, with --folders")
    return ()


def _as_it_is(row: ShareRow, standing: Given) -> Preset:
    try:
        preset = preset_named(row.preset)
    except NoPreset as error:
        raise Fault(Code.INVALID_REQUEST, f"share {row.id} has the preset {row.preset}: {error}") from None
    behalf = bool(standing.sends) and all(one.right is SendRight.SEND_ON_BEHALF_OF for one in standing.sends)
    return preset.on_behalf() if preset.bends and behalf else preset


def _read_preset(change: ShareChange, old: Preset) -> Preset:
    try:
        preset = old if change.preset is None else preset_named(change.preset)
    except NoPreset as error:
        raise Fault(Code.INVALID_REQUEST, f"no preset {change.preset}: {error}") from None
    if change.on_behalf and not preset.bends:
        raise Fault(Code.INVALID_REQUEST, f"the preset {preset.name} says by itself how its members send, or that they do not")
    return preset.on_behalf() if change.on_behalf else preset


async def _leaving(snapshot: Snapshot, text: str, before: Sequence[Grantee], row: ShareRow) -> Grantee:
    """Who is no member may be there or not: that is not told here."""
    try:
        member = await read_member(snapshot, text)
    except Fault:
        member = None
    if member is None or member not in before:
        raise Fault(Code.NO_SUCH_MEMBER, f"{text} in share {row.id}")
    return member


async def _judge_entries(snapshot: Snapshot, change: ShareChange, found: _Found, outcome: _Outcome) -> None:
    after = found.after
    own = {(one.path, one.entry.grantee): one for one in found.standing.entries}
    outcome.taken_entries += [one for (path, grantee), one in own.items() if path not in found.new_paths or grantee not in found.members]
    for path in found.new_paths:
        folder = await snapshot.ask(folders.by_path, found.owner.id, path)
        if folder is None:
            raise Fault(Code.NO_SUCH_FOLDER, path)
        there = {one.grantee: one for one in await snapshot.ask(grants.entries, folder.id)}
        for grantee in found.members:
            entry = FolderEntry(grantee, found.new.rights, after.not_before, after.expires, after.note, after.review)
            wanted = SharedFolder(found.owner.id, FolderId(folder.id), path, entry)
            stands, other = own.get((path, grantee)), there.get(grantee)
            is_other = stands is None and other is not None and in_the_way(other, snapshot.now)
            if stands is None and not change.gives_anew and grantee not in found.joining:
                has = f"{spell_letters(other.rights) or 'nothing'} on {path}" if other is not None else f"nothing on {path}"
                outcome.by_hand.append((grantee, has))
            elif is_other and other is not None and not change.replace:
                outcome.in_the_way.append((grantee, f"{spell_letters(other.rights)} on {path}"))
            elif stands is None or stands.entry != entry:
                outcome.entries.append(wanted)
                outcome.anew += [wanted] if stands is None or stands.entry.rights != entry.rights else []


async def _judge_sends(snapshot: Snapshot, change: ShareChange, found: _Found, outcome: _Outcome) -> None:
    after = found.after
    own = {(one.right, one.grantee): one for one in found.standing.sends}
    outcome.taken_sends += [one for (right, grantee), one in own.items() if right not in found.new.sends or grantee not in found.members]
    for right in found.new.sends:
        there = {one.grantee: one for one in await snapshot.ask(grants.send_grants_on, found.owner.id, right)}
        for grantee in found.members:
            stands, other = own.get((right, grantee)), there.get(grantee)
            window = None if stands is None else stands.undo_window
            wanted = SendGrant(found.owner.id, grantee, right, False, after.not_before, after.expires, after.note, window, after.review)
            if stands is None and not change.gives_anew and grantee not in found.joining:
                outcome.by_hand.append((grantee, f"no {right}" if other is None else f"{'-' if other.deny else ''}{right}"))
            elif stands is None and other is not None and in_the_way(other, snapshot.now) and not change.replace:
                outcome.in_the_way.append((grantee, f"{'-' if other.deny else ''}{right}"))
            elif stands is None or stands != wanted:
                outcome.sends.append(wanted)
                outcome.anew += [wanted] if stands is None else []


# --- in words


async def _words(snapshot: Snapshot, found: _Found, outcome: _Outcome, views: Mapping[Grantee, MemberView], address: str) -> list[str]:
    told: list[str] = []
    for grantee in found.members:
        who = f"{called(views[grantee])}{counted(views[grantee])}"
        some = [one for one in outcome.anew if isinstance(one, SharedFolder) and one.entry.grantee == grantee]
        had = {one.path: spell_letters(one.entry.rights) for one in found.standing.entries if one.entry.grantee == grantee}
        earlier = {had.get(one.path, "") for one in some}
        for letters in sorted(earlier):
            paths = [one.path for one in some if had.get(one.path, "") == letters]
            until_now = f"; {letters} until now" if letters else ""
            told.append(f"{who} may from now on{in_folders(found.new, paths)}{until_now}")
        sends = [one for one in outcome.anew if isinstance(one, SendGrant) and one.grantee == grantee]
        told += [f"{who} may from now on {send_in_words(one.right, address)} ({one.right})" for one in sends]
    for grantee, what in outcome.by_hand:
        told.append(f"{called(views[grantee])} has {what}: that was changed by hand and stays (--add gives again what the share gives)")
    told += [
        f"taken away from {called(views[one.entry.grantee])}: {spell_letters(one.entry.rights)} on {one.path}"
        for one in outcome.taken_entries
    ]
    told += [f"taken away from {called(views[one.grantee])}: {one.right}" for one in outcome.taken_sends]
    told += [f"{one}, which the share did not give" for one in await left(snapshot, found.owner.id, found.leaving, outcome.taken)]
    if any(isinstance(one, SendGrant) for one in outcome.anew):
        told.append(copies(address, found.owner.values.delegated_sent))
    fresh = {one.path for one in outcome.anew if isinstance(one, SharedFolder)} - {*found.old_paths}
    given = {(one.path, one.entry.grantee) for one in found.standing.entries}
    for one in outcome.anew:
        if isinstance(one, SharedFolder) and (one.path, one.entry.grantee) not in given:
            told += await lessened(snapshot, found.owner, [views[one.entry.grantee]], [one.path], found.new)
    return told + await unsubscribed(snapshot, found.owner, sorted(fresh))
