"""Is what is stored whole, and does it agree with itself? Reads that look at everything, a piece at a time, and the repair of counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from policy.identity import AccountId, FolderId
from store import changes
from store.away import Lost
from store.blobs import Files
from store.errors import Busy, NotFound
from store.folders import existing
from store.port import Deed, FolderChanged, Tx
from store.runs import LAST_UID, span

FOLDERS: Final = 50
MESSAGES: Final = 2000
BLOBS: Final = 100
"""How many are looked at in one snapshot, so that none is open for long."""

_UID: Final = LAST_UID
_KEY: Final = 63
"""Bits of a message's key: the place where a page begins is its owner's number before it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`where` names what is wrong, `what` says how. `grave` False: nothing is lost and nothing wrong is told to anybody.
    `number`: of the folder or account whose counts can be made anew."""

    where: str
    what: str
    grave: bool = True
    number: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """A page: what was found, how many were looked at, and where the next one begins (None: that was the last)."""

    findings: Sequence[Finding]
    looked_at: int
    after: int | None


@dataclass(frozen=True, slots=True)
class InFile:
    """Octets that lie in a file; the reader of the file looks whether they do."""

    blob: int
    place: str
    hash: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Recount(Deed[bool]):
    """A folder's counts are made anew of its messages; `uidnext` and the mod-sequence only ever rise. False: they were right, or it
    is gone."""

    folder: FolderId


@dataclass(frozen=True, slots=True)
class Reweigh(Deed[bool]):
    """What an account has used is made anew of its folders' sizes. False: there is no such account."""

    account: AccountId


def amounts(tx: Tx) -> tuple[int, int, int]:
    """How many folders, messages and blobs there are; through `work`, as everything here."""
    folders, messages, blobs = tx.one("verify.amounts") or (0, 0, 0)
    return folders, messages, blobs


def tables(tx: Tx) -> list[str]:
    """Every table of the database."""
    return [name for (name,) in tx.all("verify.tables")]


def damage(tx: Tx, table: str) -> list[Finding]:
    """What the database itself finds wrong with a table and its indices, and references that lead nowhere."""
    found = [Finding(f"table {table}", said) for (said,) in tx.all("verify.damage", of=table) if said != "ok"]
    if not found:
        astray = tx.all("verify.astray", of=table)
        found = [Finding(f"table {table}, row {row}", f"refers to nothing in {parent}") for _, row, parent in astray]
    return found


def folders(tx: Tx, after: int) -> Counted:
    """Counts of folders against the messages that are there."""
    found: list[Finding] = []
    page = tx.all("verify.folders", after=after, limit=FOLDERS)
    for row in page:
        where = folder_name(row[0], row[1], row[2])
        found += [Finding(where, what, number=row[0]) for what in _miscounted(tx, row)]
    return Counted(found, len(page), page[-1][0] if len(page) == FOLDERS else None)


def folder_name(folder: int, owner: int, path: str) -> str:
    """A folder in words, as findings name it."""
    return f"folder {folder} ({path} of account {owner})"


def _miscounted(tx: Tx, row: Sequence[Any]) -> list[str]:
    folder, owner, path, noselect, uidnext, modseq, messages, unseen, deleted, size, recent_from, changes_from = row
    low, high = span(folder)
    there, new, marked, octets, last, newest = tx.one("verify.counted", owner=owner, low=low, high=high) or (0, 0, 0, 0, 0, 0)
    (own,) = tx.one("verify.own_modseq", owner=owner, low=low, high=high) or (0,)
    said = [
        f"it says {told} {what}, there are {real}"
        for what, told, real in (
            ("messages", messages, there),
            ("unseen", unseen, new),
            ("marked \\Deleted", deleted, marked),
            ("octets", size, octets),
        )
        if told != real
    ]
    if uidnext <= last:
        said.append(f"UIDNEXT is {uidnext}, but UID {last} is given")
    if modseq < max(newest, own):
        said.append(f"HIGHESTMODSEQ is {modseq}, but {max(newest, own)} is given")
    if recent_from > uidnext or changes_from > modseq:
        said.append("its marks lie beyond its end")
    if there and (noselect or path == "/"):
        said.append("messages lie where none can be")
    return said


def used(tx: Tx, after: int) -> Counted:
    """What accounts have used against what their folders hold."""
    page = tx.all("verify.used", after=after, limit=MESSAGES)
    found = [
        Finding(f"account {account}", f"it says {told} octets used, its folders hold {real}", number=account)
        for account, told, real in page
        if told != real
    ]
    return Counted(found, len(page), page[-1][0] if len(page) == MESSAGES else None)


def messages(tx: Tx, after: int) -> Counted:
    """Does each message lie in a folder, have its octets, and what FETCH and SEARCH say of it?"""
    found: list[Finding] = []
    page = tx.all("verify.messages", owner=after >> _KEY, after=after & (1 << _KEY) - 1, limit=MESSAGES)
    for number, size, folder, owner, blob, blob_owner, blob_size, no_wire, no_head, _ in page:
        where = f"message {number & _UID} of folder {number >> 32}"
        if folder is None:
            found.append(Finding(where, "there is no such folder"))
        if blob is None:
            found.append(Finding(where, "its octets are gone"))
        elif blob_size != size:
            found.append(Finding(where, f"it says {size} octets, there are {blob_size}"))
        elif folder is not None and blob_owner != owner:
            found.append(Finding(where, f"its octets (blob {blob}) are account {blob_owner}'s"))
        if no_wire or no_head:
            found.append(Finding(where, "what FETCH and SEARCH read of it is gone"))
    return Counted(found, len(page), (page[-1][-1] << _KEY) + page[-1][0] if len(page) == MESSAGES else None)


def strays(tx: Tx) -> list[Finding]:
    """Rows about messages, objects and grantees that are not there, and numbers that could be given twice."""
    found: list[Finding] = []
    for table in ("wire", "head"):
        found += [Finding(f"blob {blob}", f"is gone, but table {table} has it", grave=False) for (blob,) in tx.all(f"verify.stray_{table}")]
    for table in ("seen", "filed"):
        found += [
            Finding(f"message {number & _UID} of folder {number >> 32}", f"is gone, but table {table} has it", grave=False)
            for (number,) in tx.all(f"verify.stray_{table}")
        ]
    found += [Finding(f"blob {blob}", "nothing uses it", grave=False) for (blob,) in tx.all("verify.unused")]
    found += [Finding(f"queue row {row}", "its octets are not there as it says") for (row,) in tx.all("verify.queue")]
    found += [Finding(f"{kind} {number}", "lacks its address, its row or its folders") for number, kind in tx.all("verify.objects")]
    found += [
        Finding(f"folder {folder}", f"an entry is for {kind} {grantee}, who is not there")
        for folder, kind, grantee in tx.all("verify.orphan_entries")
    ]
    found += [
        Finding(f"object {target}", f"a grant of {right} is for {kind} {grantee}, who is not there")
        for target, right, kind, grantee in tx.all("verify.orphan_grants")
    ]
    found += [
        Finding(f"table {table}", f"number {last} is given, but {counted} counts as the last: it could be given twice")
        for table, last, counted in tx.all("verify.numbers")
        if last > counted
    ]
    return found


def octets(tx: Tx, after: int) -> tuple[Counted, list[InFile]]:
    """Hashes of octets that lie in rows; those that lie in files are for the caller, outside of the snapshot."""
    found: list[Finding] = []
    files: list[InFile] = []
    page = tx.all("verify.blobs", after=after, limit=BLOBS)
    for blob, owner, digest, size, place, inline in page:
        where = f"blob {blob} of account {owner}" if owner else f"blob {blob} of the queue"
        if inline is None and place is None:
            found.append(Finding(where, "it has no octets"))
        elif inline is None:
            files.append(InFile(blob, place, digest, size))
        elif len(inline) != size:
            found.append(Finding(where, f"it says {size} octets, there are {len(inline)}"))
        elif sha256(inline).digest() != digest:
            found.append(Finding(where, "its octets are not those that were stored"))
    return Counted(found, len(page), page[-1][0] if len(page) == BLOBS else None), files


def still_named(tx: Tx, one: InFile) -> bool:
    """Does the row that named this file name it still?"""
    return tx.one("verify.blob", id=one.blob, place=one.place) is not None


async def in_file(files: Files, one: InFile) -> str | None:
    """What is wrong with a file or an object, None: nothing."""
    try:
        found = await files.whole(one.place)
    except (NotFound, Lost):
        return "it is gone"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    except Busy as error:
        return f"it cannot be read: {error}"
    if len(found) != one.size:
        return f"it has {len(found)} octets, there were {one.size}"
    return None if sha256(found).digest() == one.hash else "its octets are not those that were stored"


def _recount(tx: Tx, deed: Recount) -> bool:
    owner = tx.owner_of(deed.folder)
    row = tx.one("verify.folder", owner=owner, id=deed.folder)
    if row is None or not _miscounted(tx, row):
        return False
    low, high = span(deed.folder)
    there, new, marked, size, last, newest = tx.one("verify.counted", owner=owner, low=low, high=high) or (0, 0, 0, 0, 0, 0)
    (own,) = tx.one("verify.own_modseq", owner=owner, low=low, high=high) or (0,)
    uidnext = max(row[4], last + 1)
    modseq = max(row[5], newest, own) + 1
    counts = {"messages": there, "unseen": new, "deleted": marked, "size": size}
    tx.run("verify.set_counts", owner=owner, id=deed.folder, **counts, uidnext=uidnext, modseq=modseq)
    # Whoever had been told otherwise looks at all of it again.
    changes.log(tx, existing(tx, deed.folder, selectable=False), modseq, [(1, uidnext - 1)] if uidnext > 1 else [])
    tx.wake(FolderChanged(deed.folder, modseq))
    return True


def _reweigh(tx: Tx, deed: Reweigh) -> bool:
    return tx.run("verify.set_used", id=deed.account) == 1


DEEDS: Final = ((Recount, _recount), (Reweigh, _reweigh))
