"""Who has which right on a folder, and who may change that (RFC 4314)?"""

from collections.abc import Sequence
from dataclasses import replace

from gateway.folders.judging import Part
from gateway.folders.records import entry_of_grant
from gateway.folders.standpoint import Judged, Standpoint
from gateway.folders.values import Identified, Place, UnknownRight, Visit
from gateway.message.canonical import read_address, read_domain
from gateway.refusal import Refused
from policy.decision import Decision
from policy.folders import FolderOp
from policy.grants import Counting, FolderEntry, Grantee, GranteeKind, Level, entries_that_count
from policy.identity import AccountId, BadAddress, CosId, DomainId
from policy.reasons import Reason, Refuse
from policy.rights import (
    ALL_RIGHTS,
    BadRights,
    Change,
    Right,
    UnknownLetter,
    UnsupportedRight,
    changed,
    list_rights,
    parse_rfc,
    spell_letters,
    spell_rfc,
)
from store import addresses, cos, domains, grants
from store.deeds import Audited
from store.port import Snapshot, Tx


class Entries(Part):
    """GETACL, LISTRIGHTS, SETACL and DELETEACL."""

    async def entries(self, visit: Visit, place: Place) -> tuple[Identified, ...]:
        """GETACL: the owner and every entry that counts, inherited ones included."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False, op=FolderOp.ADMINISTER)
            decision = self._judging.require(visit, stand, FolderOp.ADMINISTER, snapshot.now)
            counting, _ = entries_that_count(await _levels(snapshot, stand), snapshot.now)
            named = [
                Identified(name, spell_rfc(one.entry.rights))
                for one in counting
                if (name := await snapshot.ask(_spell_grantee, one.entry.grantee)) is not None
            ]
        self._judging.note(visit, stand, FolderOp.ADMINISTER, decision)
        return (Identified(str(stand.owner.address), spell_rfc(ALL_RIGHTS)), *named)

    async def grantable(self, visit: Visit, place: Place, identifier: str) -> tuple[str, tuple[str, ...]]:
        """LISTRIGHTS: what the identifier always has, and what the actor may give or take."""
        async with self._judging.snapshot() as snapshot:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False, op=FolderOp.ADMINISTER)
            decision = self._judging.require(visit, stand, FolderOp.ADMINISTER, snapshot.now)
            grantee = await self._grantee(snapshot, identifier)
            counting = _counting(await _levels(snapshot, stand), grantee, snapshot.now)
        self._judging.note(visit, stand, FolderOp.ADMINISTER, decision)
        if grantee == Grantee(GranteeKind.ACCOUNT, stand.owner.id):
            return list_rights(stand.held, Right.NONE, owner=True)
        return list_rights(stand.held, Right.NONE if counting is None else counting.entry.rights)

    async def set_entry(self, visit: Visit, place: Place, identifier: str, change: Change, letters: str) -> None:
        """SETACL. Raises UnknownRight for letters that there are not."""
        try:
            named = parse_rfc(letters)
        except UnknownLetter as error:
            raise UnknownRight(str(error)) from None
        except (UnsupportedRight, BadRights) as error:
            raise Refused(Refuse(Reason.GRANT_NOT_POSSIBLE, str(error))) from None

        async def judge(snapshot: Snapshot) -> Judged[None]:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False, op=FolderOp.ADMINISTER)
            self._judging.require(visit, stand, FolderOp.ADMINISTER, snapshot.now)
            grantee = await self._grantee(snapshot, identifier, stand.owner.id)
            levels = await _levels(snapshot, stand)
            counting = _counting(levels, grantee, snapshot.now)
            current = Right.NONE if counting is None else counting.entry.rights
            entry = FolderEntry(grantee, changed(current, change, named))
            if counting is not None and change is not Change.REPLACE and entry.rights:
                # What is added to an entry that ends ends with it.
                was = counting.entry
                entry = replace(entry, not_before=was.not_before, expires=was.expires, note=was.note, review=was.review)
            decision = self._grant_change(visit, stand, levels[0], grantee, current, entry.rights, snapshot.now)
            assert stand.row is not None
            change_of = entry_of_grant(visit, stand, identifier, entry.rights, decision)
            deed = Audited(grants.SetFolderEntry(stand.row.id, entry), (change_of,))
            return deed, stand.witness, ()

        await self._judging.act(visit, judge, conflict=Refuse(Reason.GRANT_NOT_POSSIBLE, "this cannot be granted"))

    async def remove_entry(self, visit: Visit, place: Place, identifier: str) -> None:
        """DELETEACL: the folder's own entry; what is inherited then counts again."""

        async def judge(snapshot: Snapshot) -> Judged[bool]:
            stand = await self._judging.standing_at(snapshot, visit, place, selectable=False, op=FolderOp.ADMINISTER)
            self._judging.require(visit, stand, FolderOp.ADMINISTER, snapshot.now)
            grantee = await self._grantee(snapshot, identifier, stand.owner.id)
            here, *above = await _levels(snapshot, stand)
            counting = _counting((here, *above), grantee, snapshot.now)
            assert stand.row is not None
            deed = grants.RemoveFolderEntry(stand.row.id, grantee)
            if all(entry.grantee != grantee for entry in here.entries):
                # Nothing changes, so nothing is judged about it and nothing goes on record.
                return deed, stand.witness, ()
            without = _counting((replace(here, entries=()), *above), grantee, snapshot.now)
            current = Right.NONE if counting is None else counting.entry.rights
            afterwards = Right.NONE if without is None else without.entry.rights
            decision = self._grant_change(visit, stand, here, grantee, current, afterwards, snapshot.now)
            change_of = entry_of_grant(visit, stand, identifier, None, decision)
            return Audited(deed, (change_of,)), stand.witness, ()

        await self._judging.act(visit, judge)

    def _grant_change(
        self, visit: Visit, stand: Standpoint, here: Level, grantee: Grantee, before: Right, after: Right, now: int
    ) -> Decision:
        """`before`, `after`: what counts for the grantee. The folder's own entry for it goes or gives way to another."""
        lost = before | _coming(here, grantee, now)
        decision = stand.judge_grant(after & ~before, lost & ~after, now)
        if decision.refusal is not None:
            lacking = (after & ~before) | (lost & ~after)
            raise self._judging.refused(visit, stand, f"change grants: {spell_letters(lacking)}", decision)
        return decision

    async def _grantee(self, snapshot: Snapshot, identifier: str, owner: AccountId | None = None) -> Grantee:
        """`owner`: who cannot be the grantee of a change."""
        if identifier.startswith("-"):
            raise Refused(Refuse(Reason.GRANT_NOT_POSSIBLE, "there are no negative rights"))
        found = await snapshot.ask(_find_grantee, identifier)
        if found is None:
            raise Refused(Refuse(Reason.GRANT_NOT_POSSIBLE, "there is no such identifier"))
        if found == Grantee(GranteeKind.ACCOUNT, owner or 0):
            raise Refused(Refuse(Reason.GRANT_NOT_POSSIBLE, "the owner holds every right already"))
        return found


async def _levels(snapshot: Snapshot, stand: Standpoint) -> Sequence[Level]:
    """With everybody's entries; a standpoint has those of who acts."""
    assert stand.row is not None
    return await snapshot.ask(grants.levels, stand.owner.id, stand.row.path)


def _coming(here: Level, grantee: Grantee, now: int) -> Right:
    """What the folder's own entry will give, where it does not yet."""
    found = (one for one in here.entries if one.grantee == grantee and one.not_before is not None and now < one.not_before)
    return next((one.rights for one in found), Right.NONE)


def _counting(levels: Sequence[Level], grantee: Grantee, now: int) -> Counting | None:
    found, _ = entries_that_count(levels, now)
    return next((one for one in found if one.entry.grantee == grantee), None)


def _find_grantee(tx: Tx, identifier: str) -> Grantee | None:
    """`user@domain`, `group:list@domain`, `domain:example.org`, `cos:name`, `anyone` (delegation.md section 2)."""
    kind, _, name = identifier.partition(":")
    if identifier == "anyone":
        return Grantee(GranteeKind.ALL)
    try:
        match kind:
            case "domain" if name:
                domain = domains.by_name(tx, read_domain(name))
                return None if domain is None else Grantee(GranteeKind.DOMAIN, domain.id)
            case "cos" if name:
                found = cos.by_name(tx, name)
                return None if found is None else Grantee(GranteeKind.COS, found.id)
            case "group" if name:
                group = addresses.resolve(tx, read_address(name))
                is_group = group is not None and group.kind is addresses.ObjectKind.LIST and not group.tag_cut
                return Grantee(GranteeKind.GROUP, group.id) if group is not None and is_group else None
            case _:
                account = addresses.resolve(tx, read_address(identifier))
                is_account = account is not None and account.kind is addresses.ObjectKind.ACCOUNT and not account.tag_cut
                return Grantee(GranteeKind.ACCOUNT, account.id) if account is not None and is_account else None
    except BadAddress:
        return None


def _spell_grantee(tx: Tx, grantee: Grantee) -> str | None:
    """None: it is gone since."""
    match grantee.kind:
        case GranteeKind.ALL:
            return "anyone"
        case GranteeKind.ACCOUNT | GranteeKind.GROUP:
            found = addresses.primary(tx, grantee.id)
            prefix = "group:" if grantee.kind is GranteeKind.GROUP else ""
            return None if found is None else f"{prefix}{found.address}"
        case GranteeKind.DOMAIN:
            domain = domains.by_id(tx, DomainId(grantee.id))
            return None if domain is None else f"domain:{domain.name}"
        case GranteeKind.COS:
            row = cos.by_id(tx, CosId(grantee.id))
            return None if row is None else f"cos:{row.name}"
