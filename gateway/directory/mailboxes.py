"""Somebody's folders and who was given what on them: what `selectMailbox` does, with the administrator's authority."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.directory.send_rights import check_review
from gateway.folders import Folders, Visit
from gateway.refusal import Refused
from policy.grantees import Grantee, GranteeKind
from policy.grants import Counting, FolderEntry, entries_that_count
from policy.identity import AccountId, Actor
from policy.rights import BadRights, Right, parse_letters, parse_rfc, spell_letters
from policy.roles import Operation
from store import folders, grants, lists
from store.errors import Conflict, LimitReached, NotFound, Stale
from store.folders import ROOT
from store.model import AccountRow, FolderRow
from store.port import Snapshot, Store


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry with its grantee's name (empty for everybody). `inherited_from`: the folder it stands on, "" for this one.
    `in_force`: it is within its time."""

    entry: FolderEntry
    name: str
    inherited_from: str
    in_force: bool


@dataclass(frozen=True, slots=True)
class FolderView:
    """A folder as somebody sees it. `owner` "": an own one. `rights`: the letters held there."""

    owner: str
    row: FolderRow
    unread: int
    rights: str


@dataclass(frozen=True, slots=True)
class Removed:
    """What `none` left. `entry_removed`: there was one on this very folder; `inherited`: the grantee's entry that counts there now;
    `others`: what else gives an account rights there (its groups, class of service, domain), with the grantee in words."""

    entry_removed: bool
    inherited: Counting | None
    others: Sequence[tuple[str, Counting]] = ()


class Mailboxes:
    """Every method raises Fault, and nothing else that is expected. `path`: from the mailbox root `/`; INBOX in any case."""

    def __init__(self, store: Store, records: Records, listing: Folders) -> None:
        self._store = store
        self._records = records
        self._folders = listing

    async def grant(
        self,
        owner: str,
        path: str,
        kind: GranteeKind,
        grantee: str,
        rights: Right,
        *,
        not_before: int | None = None,
        expires: int | None = None,
        note: str = "",
        review: int | None = None,
    ) -> None:
        """Replaces that grantee's entry on that folder; no rights at all is the explicit empty entry, which blocks what is inherited."""
        if not_before is not None and expires is not None and expires <= not_before:
            raise Fault(Code.INVALID_REQUEST, "the grant would end before it starts")
        check_review(expires, review)
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, owner)
            folder = await self._folder(snapshot, row, path)
            to = await names.grantee(snapshot, kind, grantee)
        if to == Grantee(GranteeKind.ACCOUNT, row.id):
            raise Fault(Code.INVALID_REQUEST, f"{names.shown(row.address)} is the owner and holds every right already")
        await self._records.do(
            grants.SetFolderEntry(folder.id, FolderEntry(to, rights, not_before, expires, note, review)),
            "grant changed",
            str(row.address),
            matter=Matter(Operation.GRANT_ON_ACCOUNT, accounts=(row.id,), grantees=(to,)),
            principal=row.id,
            right=spell_letters(rights),
            detail=f"{folder.path}: {kind} {grantee}".rstrip(),
            words={NotFound: Fault(Code.NO_SUCH_FOLDER, path), Conflict: Fault(Code.INVALID_REQUEST, "such a grant cannot be")},
        )

    async def revoke(self, owner: str, path: str, kind: GranteeKind, grantee: str) -> Removed:
        """Takes that grantee's entry off that folder; what stands on a folder above counts again."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, owner)
            folder = await self._folder(snapshot, row, path)
            to = await names.grantee(snapshot, kind, grantee)
            there = any(entry.grantee == to for entry in await snapshot.ask(grants.entries, folder.id))
        if there:
            there = await self._records.do(
                grants.RemoveFolderEntry(folder.id, to),
                "grant removed",
                str(row.address),
                matter=Matter(Operation.REVOKE_ON_ACCOUNT, accounts=(row.id,)),
                principal=row.id,
                detail=f"{folder.path}: {kind} {grantee}".rstrip(),
                words={NotFound: Fault(Code.NO_SUCH_FOLDER, path)},
            )
        async with self._store.snapshot() as snapshot:
            levels = await snapshot.ask(grants.levels, row.id, folder.path)
            counting, _ = entries_that_count(levels, snapshot.now)
            inherited = next((one for one in counting if one.entry.grantee == to and one.entry.rights), None)
            standing = await snapshot.work(lists.standing, AccountId(to.id)) if kind is GranteeKind.ACCOUNT else None
            others = [
                one
                for one in counting
                if standing is not None and one.entry.grantee != to and one.entry.rights and standing.matches(one.entry.grantee)
            ]
            call = names.caller(await snapshot.ask(names.names_of, frozenset(one.entry.grantee for one in others)))
        return Removed(there, inherited, [(call(one.entry.grantee), one) for one in others])

    async def entries(self, owner: str, path: str) -> Sequence[EntryView]:
        """The folder's own entries, those outside their time too, then those it inherits."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, owner)
            folder = await self._folder(snapshot, row, path)
            levels = await snapshot.ask(grants.levels, row.id, folder.path)
            counting, _ = entries_that_count(levels, snapshot.now)
            in_force = {(one.path, one.entry.grantee) for one in counting}
            found = [(entry, "") for entry in levels[0].entries]
            found += [(one.entry, one.path) for one in counting if one.inherited]
            called = await snapshot.ask(names.names_of, frozenset(entry.grantee for entry, _ in found))
        return [
            EntryView(entry, called[entry.grantee], above, bool(above) or (folder.path, entry.grantee) in in_force)
            for entry, above in found
        ]

    async def folders(self, name: str) -> Sequence[FolderView]:
        """The account's own folders, all of them, then those of others that it may see, as it may see them."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.VIEW_FOLDERS, accounts=(row.id,)), str(row.address))
            own = await snapshot.work(folders.of_owner, row.id)
        found = [FolderView("", one, one.unseen, "") for one in own]
        visit = Visit(Actor(row.id, row.address, row.display_name), "cli", "")
        try:
            listing = await self._folders.listing(visit, lambda _: True, own=False)
        except Refused as refused:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, refused.verdict.detail or refused.verdict.reason) from None
        found += [FolderView(names.shown(one.owner_address), one.row, one.row.unseen, spell_letters(one.held)) for one in listing.folders]
        return found

    async def create(self, owner: str, path: str) -> FolderRow:
        """With the parents that are missing."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, owner)
            wanted = _path(path)
            there = {one.path for one in await snapshot.ask(folders.up_to_root, row.id, wanted)}
        missing = tuple(one for one in folders.parents(wanted) if one not in there)
        words = {
            Conflict: Fault(Code.FOLDER_EXISTS, path),
            NotFound: Fault(Code.NO_SUCH_ACCOUNT, owner),
            LimitReached: Fault(Code.INVALID_NAME, path),
            Stale: Fault(Code.TEMPORARILY_UNAVAILABLE, f"{path} is changing right now"),
        }
        deed = folders.CreateFolder(row.id, wanted, missing)
        return await self._records.do(
            deed, "folder created", str(row.address), matter=_managing(row), principal=row.id, detail=wanted, words=words
        )

    async def delete(self, owner: str, path: str) -> None:
        """With its messages; a folder with children stays as a name without messages."""
        row, folder = await self._found(owner, path)
        words = {
            Conflict: Fault(Code.IMMUTABLE_FOLDER, path),
            NotFound: Fault(Code.NO_SUCH_FOLDER, path),
        }
        await self._records.do(
            folders.DeleteFolder(folder.id),
            "folder deleted",
            str(row.address),
            matter=_managing(row),
            principal=row.id,
            detail=folder.path,
            words=words,
        )

    async def rename(self, owner: str, path: str, to: str) -> None:
        """With everything below it; what it inherits changes with its place. `to` without a leading `/` stays in the same folder."""
        row, folder = await self._found(owner, path)
        if folder.path == ROOT:
            raise Fault(Code.IMMUTABLE_FOLDER, path)
        wanted = _path(to if "/" in to else folder.path[: folder.path.rfind("/") + 1] + to)
        async with self._store.snapshot() as snapshot:
            there = {one.path for one in await snapshot.ask(folders.up_to_root, row.id, wanted)}
        missing = tuple(one for one in folders.parents(wanted) if one not in there)
        words = {
            Conflict: Fault(Code.FOLDER_EXISTS, to),
            NotFound: Fault(Code.NO_SUCH_FOLDER, path),
            LimitReached: Fault(Code.INVALID_NAME, to),
            Stale: Fault(Code.TEMPORARILY_UNAVAILABLE, f"{to} is changing right now"),
        }
        await self._records.do(
            folders.RenameFolder(folder.id, wanted, missing),
            "folder renamed",
            str(row.address),
            matter=_managing(row),
            principal=row.id,
            detail=f"{folder.path} to {wanted}",
            words=words,
        )

    async def switch(
        self, owner: str, path: str, *, inherit: bool | None = None, seen_private: bool | None = None, subscribe_auto: bool | None = None
    ) -> FolderRow:
        """The folder's own switches (delegation.md section 2); None leaves as it is."""
        row, folder = await self._found(owner, path)
        deed = folders.SwitchFolder(folder.id, None if inherit is None else not inherit, seen_private, subscribe_auto)
        said = [
            f"{label} {value}"
            for label, value in (("inherit", inherit), ("seen private", seen_private), ("subscribe auto", subscribe_auto))
            if value is not None
        ]
        return await self._records.do(
            deed,
            "folder changed",
            str(row.address),
            matter=_managing(row),
            principal=row.id,
            detail=f"{folder.path}: {', '.join(said)}",
            words={NotFound: Fault(Code.NO_SUCH_FOLDER, path)},
        )

    async def _found(self, owner: str, path: str) -> tuple[AccountRow, FolderRow]:
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, owner)
            return row, await self._folder(snapshot, row, path)

    async def _folder(self, snapshot: Snapshot, owner: AccountRow, path: str) -> FolderRow:
        await self._records.allow(snapshot, Matter(Operation.VIEW_FOLDERS, accounts=(owner.id,)), str(owner.address))
        wanted = read_path(path)
        found = await snapshot.ask(folders.by_path, owner.id, wanted)
        if found is None:
            raise Fault(Code.NO_SUCH_FOLDER, path)
        return found


def _managing(row: AccountRow) -> Matter:
    return Matter(Operation.MANAGE_FOLDERS, accounts=(row.id,))


def read_path(text: str) -> str:
    """As stored, from what an administrator writes: a leading `/` may be left out, INBOX is written in any case."""
    parts = [part for part in text.split("/") if part]
    if parts and parts[0].upper() == "INBOX":
        parts[0] = "INBOX"
    path = "/" + "/".join(parts)
    # As IMAP does it (RFC 9051 section 5.1): otherwise nobody would find there what was made here.
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def _path(text: str) -> str:
    """Of a folder to be made. Raises Fault."""
    path = read_path(text)
    if path == ROOT or any(ord(character) < 32 or ord(character) == 127 for character in path):
        raise Fault(Code.INVALID_NAME, text)
    try:
        path.encode()
    except UnicodeEncodeError:
        raise Fault(Code.INVALID_NAME, ascii(text)) from None
    return path


def read_rights(letters: str) -> Right:
    """Carbonio's letters or `none`, and behind them, as they are told, single RFC letters in brackets: `r[s]`. Raises Fault."""
    plain, bracket, rest = letters.partition("[")
    try:
        if not bracket:
            return parse_letters(letters)
        if not rest.endswith("]") or len(rest) < 2:
            raise BadRights(f"{letters}: single rights stand in brackets behind the letters: r[s]")
        rights = Right.NONE
        for letter in plain:
            rights |= parse_letters(letter)
        # `r[i]` is what is told of who may read and insert, but make no folders.
        if "r" in plain and "i" in plain:
            rights |= Right.CREATE
        return rights | parse_rfc(rest[:-1])
    except BadRights as error:
        raise Fault(Code.INVALID_REQUEST, error) from None
