"""Folders: which there are, how they are made, named, switched and removed, and what is counted about each."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.folders import SpecialUse
from policy.identity import AccountId, FolderId
from store import blobs, changes, outlines
from store.errors import Conflict, LimitReached, NotFound, Stale
from store.model import Figures, FolderRow, Uid
from store.port import Deed, FolderChanged, MetadataChanged, QueueChanged, RoomTaken, Tx
from store.runs import key, span

ROOT: Final = "/"
INBOX: Final = "/INBOX"
USE_ENTRY: Final = "/private/specialuse"
"""The entry of metadata, the owner's, that says what a folder is for (RFC 6154 section 4)."""

MAX_DEPTH: Final = 64
MAX_PATH: Final = 2048
"""Octets of a path in UTF-8: twice what clients are known to accept."""

MAX_FOLDERS: Final = 10_000
"""Per owner; LIST of all of them stays below 10 ms."""

MAX_FORMER: Final = 10_000
"""Names of the past that are remembered one by one; past that a rename gives a new UIDVALIDITY sooner than needed."""

STANDARD: Final[tuple[tuple[str, SpecialUse | None], ...]] = (
    (ROOT, None),
    (INBOX, SpecialUse.INBOX),
    ("/Drafts", SpecialUse.DRAFTS),
    ("/Sent", SpecialUse.SENT),
    ("/Trash", SpecialUse.TRASH),
    ("/Junk", SpecialUse.JUNK),
    ("/Archive", SpecialUse.ARCHIVE),
    ("/Calendar", SpecialUse.CALENDAR),
)


# --- reading


def by_id(tx: Tx, folder: FolderId) -> FolderRow | None:
    """None: there is no such folder."""
    return _row(tx.one("folders.by_id", owner=tx.owner_of(folder), id=folder))


def by_path(tx: Tx, owner: AccountId, path: str) -> FolderRow | None:
    """None: the owner has no such name. A \\Noselect name is one."""
    return _row(tx.one("folders.by_path", owner=owner, path=path))


def by_special_use(tx: Tx, owner: AccountId, use: SpecialUse) -> FolderRow | None:
    """None: the owner has none of this use."""
    return _row(tx.one("folders.by_special_use", owner=owner, special_use=use.value))


def up_to_root(tx: Tx, owner: AccountId, path: str) -> list[FolderRow]:
    """Those there are of the path and its parents, nearest first, "/" last."""
    found = (by_path(tx, owner, one) for one in dict.fromkeys((path, *reversed(parents(path)), ROOT)))
    return [row for row in found if row is not None]


def of_owner(tx: Tx, owner: AccountId) -> list[FolderRow]:
    """All of them, the root included, in order of path."""
    return [_made(row) for row in tx.all("folders.of_owner", owner=owner)]


def by_ids(tx: Tx, wanted: Sequence[FolderId]) -> list[FolderRow]:
    """Those there are of these, in the order in which they are asked for."""
    return [_made(row) for row in _of_these(tx, "folders.by_ids", wanted)]


def figures(tx: Tx, wanted: Sequence[FolderId], actor: AccountId) -> list[Figures]:
    """Of those there are, in the same order; neither `recent` nor `deleted_size`."""
    found = [Figures(*row) for row in _of_these(tx, "folders.figures", wanted)]
    return [one if one.unseen >= 0 else one._replace(unseen=unseen_by(tx, one.id, actor)) for one in found]


def _of_these(tx: Tx, statement: str, wanted: Sequence[FolderId]) -> list[Any]:
    of_one: dict[AccountId, list[FolderId]] = {}
    for folder, owner in tx.owners_of(wanted).items():
        of_one.setdefault(owner, []).append(folder)
    found = {row[0]: row for owner, some in of_one.items() for row in tx.all(statement, owner=owner, ids=json.dumps(some))}
    return [found[one] for one in wanted if one in found]


def below(tx: Tx, owner: AccountId, path: str) -> list[FolderRow]:
    """The subtree without its top, in order of path."""
    first, last = _bounds(path)
    return [_made(row) for row in tx.all("folders.below", owner=owner, first=first, last=last)]


def has_children(tx: Tx, owner: AccountId, path: str) -> bool:
    """Is there any name below?"""
    first, last = _bounds(path)
    return tx.one("folders.one_below", owner=owner, first=first, last=last) is not None


def unseen_by(tx: Tx, folder: FolderId, actor: AccountId) -> int:
    """STATUS UNSEEN where \\Seen is private. Raises NotFound."""
    low, high = span(folder)
    row = tx.one("folders.unseen_by", owner=tx.owner_of(folder), id=folder, actor=actor, low=low, high=high)
    if row is None:
        raise NotFound(f"folder {folder}")
    return int(row[0])


def parents(path: str) -> tuple[str, ...]:
    """The paths above, from the top, the root left out: "/a/b/c" has "/a", "/a/b"."""
    parts = path.split("/")[1:]
    return tuple("/" + "/".join(parts[:count]) for count in range(1, len(parts)))


def existing(tx: Tx, folder: FolderId, *, selectable: bool = True) -> FolderRow:
    """Raises NotFound: gone, or (`selectable`) a name that holds no messages."""
    row = by_id(tx, folder)
    if row is None or (selectable and (row.noselect or row.path == ROOT)):
        raise NotFound(f"folder {folder}")
    return row


# --- deeds


@dataclass(frozen=True, slots=True)
class CreateFolder(Deed[FolderRow]):
    """`missing`: the parents that are to be made with it, as they were judged; Stale when that is no longer what is missing.
    A \\Noselect name becomes a folder again. Raises Conflict (it exists), NotFound (no such owner), LimitReached."""

    owner: AccountId
    path: str
    missing: tuple[str, ...] = ()
    special_use: SpecialUse | None = None


@dataclass(frozen=True, slots=True)
class RenameFolder(Deed[FolderRow]):
    """The folder with everything below it to the new path; `missing` as for CreateFolder. INBOX: its messages go to a new
    folder, it stays, and so do the folders below it (RFC 3501 6.3.5). Returns the folder at the new path.
    Raises NotFound, Conflict, Stale, LimitReached."""

    folder: FolderId
    path: str
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeleteFolder(Deed[None]):
    """With its messages; one that has children stays as \\Noselect.
    Raises NotFound, Conflict (root, INBOX, a \\Noselect name with children)."""

    folder: FolderId


@dataclass(frozen=True, slots=True)
class SwitchFolder(Deed[FolderRow]):
    """Sets what is not None. Switching `seen_private` off ends every actor's own \\Seen there. Raises NotFound."""

    folder: FolderId
    no_inherit: bool | None = None
    seen_private: bool | None = None
    subscribe_auto: bool | None = None


@dataclass(frozen=True, slots=True)
class SetSpecialUse(Deed[FolderRow]):
    """None: takes it away. `origin` as in MetadataChanged. Raises NotFound, Conflict (another folder of the owner has it, or it is
    INBOX's)."""

    folder: FolderId
    special_use: SpecialUse | None
    origin: int = 0


@dataclass(frozen=True, slots=True)
class ClaimRecent(Deed[Uid]):
    """Returns the first UID that no session was told of as \\Recent, and claims all there are for the caller. Raises NotFound."""

    folder: FolderId


def _create(tx: Tx, deed: CreateFolder) -> FolderRow:
    if by_path(tx, deed.owner, ROOT) is None:
        raise NotFound(f"account {deed.owner}")
    made = _make_at(tx, deed.owner, deed.path, deed.missing, deed.special_use)
    outlines.changed(tx, deed.owner)
    return made


def _rename(tx: Tx, deed: RenameFolder) -> FolderRow:
    folder = existing(tx, deed.folder, selectable=False)
    if folder.path == ROOT:
        raise Conflict("the mailbox root cannot be renamed")
    if folder.path == INBOX:
        return _rename_inbox(tx, folder, deed)
    if deed.path == folder.path or deed.path.startswith(folder.path + "/"):
        raise Conflict(f"{deed.path} is the folder itself or below it")
    if by_path(tx, folder.owner, deed.path) is not None:
        raise Conflict(f"{deed.path} exists")
    _check_path(deed.path)
    subtree = [folder, *below(tx, folder.owner, folder.path)]
    paths = [deed.path + row.path[len(folder.path) :] for row in subtree]
    for path in paths:
        _check_path(path)
    _make_missing(tx, folder.owner, deed.path, deed.missing)
    for row, path in zip(subtree, paths, strict=True):
        forgotten, former = tx.one("folders.former", owner=row.owner, path=path) or (0, None)
        # A name must never show an UIDVALIDITY that is not above those it had (RFC 3501 2.3.1.1).
        uidvalidity = row.uidvalidity if row.uidvalidity > max(forgotten, former or 0) else draw(tx, row.owner)
        _remember(tx, row)
        tx.run("folders.rename", owner=row.owner, id=row.id, path=path, uidvalidity=uidvalidity)
    tx.touch(folder.owner)
    outlines.changed(tx, folder.owner)
    return existing(tx, folder.id, selectable=False)


def _rename_inbox(tx: Tx, inbox: FolderRow, deed: RenameFolder) -> FolderRow:
    made = _make_at(tx, inbox.owner, deed.path, deed.missing, None)
    low, high = span(inbox.id)
    shift = key(made.id - inbox.id, 0)
    for statement in ("shift_messages", "shift_seen"):
        tx.run(f"folders.{statement}", owner=inbox.owner, shift=shift, low=low, high=high)
    tx.run("folders.delete_filed", owner=inbox.owner, low=low, high=high)
    tx.run("folders.delete_keywords", owner=inbox.owner, folder=made.id)
    tx.run("folders.copy_keywords", owner=inbox.owner, source=inbox.id, target=made.id)
    tx.run("folders.copy_annotations", owner=inbox.owner, source=inbox.id, target=made.id)
    tx.run(
        "folders.take_over",
        owner=inbox.owner,
        id=made.id,
        uidnext=inbox.uidnext,
        modseq=inbox.modseq + 1,
        messages=inbox.exists,
        unseen=inbox.unseen,
        deleted=inbox.deleted,
        size=inbox.size,
        recent_from=inbox.recent_from,
        seen_private=inbox.seen_private,
    )
    _hollow(tx, inbox)
    outlines.changed(tx, inbox.owner)
    return existing(tx, made.id)


def _delete(tx: Tx, deed: DeleteFolder) -> None:
    folder = existing(tx, deed.folder, selectable=False)
    if folder.path in (ROOT, INBOX):
        raise Conflict(f"{folder.path} cannot be deleted")
    keep = has_children(tx, folder.owner, folder.path)
    if keep and folder.noselect:
        raise Conflict(f"{folder.path} has folders below it")
    _remove_messages(tx, folder)
    charge(tx, folder.owner, -folder.size)
    if keep:
        _hollow(tx, folder)
        tx.run("folders.make_noselect", owner=folder.owner, id=folder.id)
    else:
        tx.run("folders.delete", owner=folder.owner, id=folder.id)
    if not folder.noselect:
        _remember(tx, folder)
    tx.touch(folder.owner)
    tx.wake(FolderChanged(folder.id, folder.modseq + 1))
    outlines.changed(tx, folder.owner)


def _switch(tx: Tx, deed: SwitchFolder) -> FolderRow:
    folder = existing(tx, deed.folder, selectable=False)
    if deed.no_inherit is not None:
        tx.run("folders.set_no_inherit", owner=folder.owner, id=folder.id, value=deed.no_inherit)
    if deed.subscribe_auto is not None:
        tx.run("folders.set_subscribe_auto", owner=folder.owner, id=folder.id, value=deed.subscribe_auto)
    if deed.seen_private is not None and deed.seen_private != folder.seen_private:
        tx.run("folders.set_seen_private", owner=folder.owner, id=folder.id, value=deed.seen_private)
        low, high = span(folder.id)
        modseq = folder.modseq + 1
        if tx.run("folders.restamp_seen", owner=folder.owner, low=low, high=high, modseq=modseq):
            tx.run("folders.delete_seen", owner=folder.owner, low=low, high=high)
            tx.run("folders.set_modseq", owner=folder.owner, id=folder.id, modseq=modseq)
            changes.log(tx, folder, modseq, [(1, folder.uidnext - 1)])
            tx.wake(FolderChanged(folder.id, modseq))
    tx.touch(folder.owner)
    outlines.changed(tx, folder.owner)
    return existing(tx, folder.id, selectable=False)


def _set_special_use(tx: Tx, deed: SetSpecialUse) -> FolderRow:
    folder = existing(tx, deed.folder)
    use = deed.special_use
    if folder.special_use is SpecialUse.INBOX or use is SpecialUse.INBOX:
        raise Conflict("INBOX is always the same folder")
    if use is not None:
        having = by_special_use(tx, folder.owner, use)
        if having is not None and having.id != folder.id:
            raise Conflict(f"{having.path} is the owner's {use.value} folder")
    made = _use_as(tx, folder, use, deed.origin)
    outlines.changed(tx, folder.owner)
    return made


def _claim_recent(tx: Tx, deed: ClaimRecent) -> Uid:
    folder = existing(tx, deed.folder)
    if folder.recent_from != folder.uidnext:
        tx.later("folders.claim_recent", owner=folder.owner, id=folder.id)
    return Uid(folder.recent_from)


# --- for other deeds


def make_standard_folders(tx: Tx, account: AccountId) -> None:
    """The folders that every account has, made where they are missing."""
    tx.run("folders.insert_mailbox", owner=account)
    for path, use in STANDARD:
        if by_path(tx, account, path) is None and (use is None or by_special_use(tx, account, use) is None):
            _insert(tx, account, path, use)
    outlines.changed(tx, account)


def special_folder(tx: Tx, owner: AccountId, use: SpecialUse) -> FolderRow:
    """The owner's folder of this use, made where it is missing: under its usual name, or, where a folder without a use has it, that
    one; where one of another use has it, under a name like it. Raises NotFound (no such account)."""
    found = by_special_use(tx, owner, use)
    if found is not None:
        return found
    if by_path(tx, owner, ROOT) is None:
        raise NotFound(f"account {owner}")
    usual = next(path for path, standard in STANDARD if standard is use)
    number = 1
    path = usual
    while (there := by_path(tx, owner, path)) is not None and there.special_use is not None:
        number += 1
        path = f"{usual} {number}"
    made = _make_at(tx, owner, path, (), use) if there is None or there.noselect else _use_as(tx, there, use)
    outlines.changed(tx, owner)
    return made


def delete_everything(tx: Tx, account: AccountId) -> None:
    """All mail of an account: folders, messages, subscriptions. Files of octets are left to the sweep of orphans."""
    give_back_held(tx, account)
    for folder in of_owner(tx, account):
        drop_rows(tx, account, *span(folder.id))
        drop_marks(tx, account, folder.id)
        tx.wake(FolderChanged(folder.id, folder.modseq + 1))
    for statement in ("forget_wire", "forget_head", "forget_blobs"):
        tx.run(f"folders.{statement}", account=account)
    forget_account(tx, account)
    outlines.changed(tx, account)


def give_back_held(tx: Tx, account: AccountId) -> None:
    """What was held for an account was accepted and never delivered: it stays in the queue, for nobody and with octets of its own, and
    goes back to who sent it."""
    held = [blob for (blob,) in tx.all("folders.held_blobs", account=account)]
    for blob in held:
        kept = blobs.keep_for(tx, blobs.QUEUE_OWNER, blob, blobs.owner(tx, blob))
        tx.run("folders.give_back_held", account=account, blob=blob, kept=kept, now=tx.now)
    if held:
        tx.wake(QueueChanged())


def hide_everything(tx: Tx, account: AccountId) -> None:
    """The account's folders are gone for everybody, while their messages stay where they are, under the folders' numbers: for whoever
    has put the folders' rows elsewhere. Held mail waits on, and bounces when its time is over."""
    for folder in of_owner(tx, account):
        low, high = span(folder.id)
        tx.run("folders.delete_filed", owner=account, low=low, high=high)
        tx.wake(FolderChanged(folder.id, folder.modseq + 1))
    for statement in ("forget_subscriptions", "forget_filed", "forget_folders", "forget_mailbox"):
        tx.run(f"folders.{statement}", account=account)
    outlines.changed(tx, account)


def drop_rows(tx: Tx, owner: AccountId, low: int, high: int) -> None:
    """What is kept about messages with these keys; counts, octets and what was read of them are the caller's."""
    for statement in ("delete_messages", "delete_seen", "delete_filed"):
        tx.run(f"folders.{statement}", owner=owner, low=low, high=high)


def drop_marks(tx: Tx, owner: AccountId, folder: FolderId) -> None:
    """The keywords and the change log of a folder that goes."""
    tx.run("folders.delete_keywords", owner=owner, folder=folder)
    tx.run("folders.delete_changes", owner=owner, folder=folder)


def forget_account(tx: Tx, account: AccountId) -> None:
    """What names an account besides its folders' messages."""
    for statement in ("forget_subscriptions", "forget_seen", "forget_filed", "forget_annotations", "forget_folders", "forget_mailbox"):
        tx.run(f"folders.{statement}", account=account)
    tx.run("folders.forget_former", owner=account)


def charge(tx: Tx, owner: AccountId, octets: int) -> None:
    """Adds to what the owner has used (or takes from it)."""
    if octets:
        tx.later("folders.charge", owner=owner, octets=octets)


def take_room(tx: Tx, owner: AccountId, quota: int, octets: int) -> bool:
    """Charges the owner if so many octets more fit the quota (0: no limit) and the aggregate one of the domain; False: they do not.
    Raises NotFound."""
    if tx.run("folders.take_room", owner=owner, quota=quota, octets=octets):
        if quota and octets > 0:
            tx.wake(RoomTaken(owner))
        return True
    if tx.one("folders.used", owner=owner) is None:
        raise NotFound(f"account {owner}")
    return False


# --- pieces


def _use_as(tx: Tx, folder: FolderRow, use: SpecialUse | None, origin: int = 0) -> FolderRow:
    tx.run("folders.set_special_use", owner=folder.owner, id=folder.id, special_use=None if use is None else use.value)
    tx.touch(folder.owner)
    tx.wake(MetadataChanged(folder.owner, folder.id, folder.owner, (USE_ENTRY,), origin))
    return existing(tx, folder.id)


def _make_at(tx: Tx, owner: AccountId, path: str, missing: Sequence[str], use: SpecialUse | None) -> FolderRow:
    _check_path(path)
    there = by_path(tx, owner, path)
    if there is not None and not there.noselect:
        raise Conflict(f"{path} exists")
    if use is not None and by_special_use(tx, owner, use) is not None:
        raise Conflict(f"there is a folder for {use.value}")
    _make_missing(tx, owner, path, missing)
    if there is None:
        return _insert(tx, owner, path, use)
    tx.run("folders.revive", owner=owner, id=there.id, uidvalidity=draw(tx, owner), special_use=None if use is None else use.value)
    if use is not there.special_use:
        tx.touch(owner)
    return existing(tx, there.id)


def _make_missing(tx: Tx, owner: AccountId, path: str, missing: Sequence[str]) -> None:
    found = [one for one in parents(path) if by_path(tx, owner, one) is None]
    if set(found) != set(missing):
        raise Stale(f"other parents of {path} are missing")
    for one in found:
        _insert(tx, owner, one, None)


def _insert(tx: Tx, owner: AccountId, path: str, use: SpecialUse | None) -> FolderRow:
    (count,) = tx.one("folders.how_many", owner=owner) or (0,)
    if count >= MAX_FOLDERS:
        raise LimitReached(f"{MAX_FOLDERS} folders")
    uidvalidity = draw(tx, owner)
    made = tx.insert("folders.insert", owner=owner, path=path, uidvalidity=uidvalidity, special_use=None if use is None else use.value)
    return existing(tx, FolderId(made), selectable=False)


def draw(tx: Tx, owner: AccountId) -> int:
    """A UIDVALIDITY that no folder of the owner ever had. Raises NotFound, LimitReached."""
    # Not below the clock, so that an account made again under the same address does not give the same ones.
    if tx.run("folders.draw", owner=owner, seconds=tx.now // 1_000_000) != 1:
        raise NotFound(f"account {owner}")
    (drawn,) = tx.one("folders.drawn", owner=owner) or (0,)
    if drawn >= 1 << 32:
        raise LimitReached("UIDVALIDITY")
    return int(drawn)


def _remember(tx: Tx, folder: FolderRow) -> None:
    if folder.uidnext == 1:
        return
    (count,) = tx.one("folders.how_many_former", owner=folder.owner) or (0,)
    if count >= MAX_FORMER:
        tx.run("folders.forget_former", owner=folder.owner)
        tx.run("folders.set_forgotten", owner=folder.owner)
    tx.run("folders.remember_former", owner=folder.owner, path=folder.path, uidvalidity=folder.uidvalidity)


def _remove_messages(tx: Tx, folder: FolderRow) -> None:
    low, high = span(folder.id)
    tx.run("folders.loosen", owner=folder.owner, low=low, high=high)
    drop_rows(tx, folder.owner, low, high)
    drop_marks(tx, folder.owner, folder.id)
    tx.run("folders.delete_annotations", owner=folder.owner, folder=folder.id)


def _hollow(tx: Tx, folder: FolderRow) -> None:
    tx.run("folders.hollow", owner=folder.owner, id=folder.id)
    if folder.uidnext > 1:
        changes.log(tx, folder, folder.modseq + 1, [(1, folder.uidnext - 1)], vanished=True)
    tx.wake(FolderChanged(folder.id, folder.modseq + 1))


def _check_path(path: str) -> None:
    if len(path) < 2 or path[0] != "/" or path[-1] == "/" or "//" in path or "\0" in path:
        raise Conflict(f"{path!r} is no folder's path")
    if path.count("/") > MAX_DEPTH:
        raise LimitReached(f"{MAX_DEPTH} levels of folders")
    try:
        octets = len(path.encode())
    except UnicodeEncodeError:
        raise Conflict(f"{path!r} is no folder's path") from None
    if octets > MAX_PATH:
        raise LimitReached(f"{MAX_PATH} octets of a folder's path")


def _bounds(path: str) -> tuple[str, str]:
    # "0" is the character after "/"; no path holds NUL, so that the root itself stays outside its own bounds.
    return ("/\x01", "0") if path == ROOT else (path + "/", path + "0")


def _row(row: Any) -> FolderRow | None:
    return None if row is None else _made(row)


def _made(row: Any) -> FolderRow:
    folder, owner, path, uidvalidity, uidnext, modseq, exists, unseen, deleted, size, recent_from, use, *switches = row
    no_inherit, seen_private, subscribe_auto, noselect, born = switches
    return FolderRow(
        folder,
        owner,
        path,
        uidvalidity,
        uidnext,
        modseq,
        exists,
        unseen,
        deleted,
        size,
        recent_from,
        None if use is None else SpecialUse(use),
        no_inherit == 1,
        seen_private == 1,
        subscribe_auto == 1,
        noselect == 1,
        born,
    )


DEEDS: Final = (
    (CreateFolder, _create),
    (RenameFolder, _rename),
    (DeleteFolder, _delete),
    (SwitchFolder, _switch),
    (SetSpecialUse, _set_special_use),
    (ClaimRecent, _claim_recent),
)
