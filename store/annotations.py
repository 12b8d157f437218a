"""Entries of folders and of the server (RFC 5464): shared ones, and each account's private ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policy.identity import AccountId, FolderId
from store.errors import LimitReached
from store.folders import existing
from store.port import Deed, MetadataChanged, Tx

MAX_ENTRIES: Final = 1_000
"""Of one account in one owner's mailbox, and of the shared ones there."""
MAX_OCTETS: Final = 1 << 20
"""Of their values together."""
SHARED: Final = "/shared"
SERVER: Final = FolderId(0)
_NOBODY: Final = AccountId(0)


def values(
    tx: Tx, owner: AccountId, actor: AccountId, folder: FolderId, entries: Sequence[str], depth: int | None = 0
) -> list[tuple[str, bytes | None]]:
    """Entries with their values. `depth` 0: just these, with None where there is none; else what is there of them and of so many
    levels below, None: all levels. Names are in lower case. `folder` SERVER: `owner` is the actor.
    """
    found: dict[str, bytes | None] = {}
    for entry in entries:
        whose = _NOBODY if is_shared(entry) else actor
        if depth == 0:
            row = tx.one("annotations.one", owner=owner, actor=whose, folder=folder, entry=entry)
            found[entry] = None if row is None else bytes(row[0])
            continue
        # "0" is what follows "/".
        for name, value in tx.all(
            "annotations.under", owner=owner, actor=whose, folder=folder, entry=entry, first=entry + "/", last=entry + "0"
        ):
            if depth is None or name.count("/") <= entry.count("/") + depth:
                found[name] = bytes(value)
    return list(found.items())


def is_shared(entry: str) -> bool:
    """Everybody who may read the folder sees one value."""
    return entry == SHARED or entry.startswith(SHARED + "/")


@dataclass(frozen=True, slots=True)
class SetAnnotations(Deed[None]):
    """All or none; None takes an entry away. `origin` as in MetadataChanged. Raises NotFound, LimitReached (entries, octets)."""

    owner: AccountId
    actor: AccountId
    folder: FolderId
    values: tuple[tuple[str, bytes | None], ...]
    origin: int = 0

    @property
    def weight(self) -> int:
        """Octets."""
        return sum(len(value) for _, value in self.values if value is not None)


def _set(tx: Tx, deed: SetAnnotations) -> None:
    if deed.folder != SERVER:
        existing(tx, deed.folder)
    touched: set[AccountId] = set()
    changed: dict[AccountId, list[str]] = {}
    for entry, value in deed.values:
        whose = _NOBODY if is_shared(entry) else deed.actor
        if value is None:
            if not tx.run("annotations.delete", owner=deed.owner, actor=whose, folder=deed.folder, entry=entry):
                continue
        else:
            tx.run("annotations.set", owner=deed.owner, actor=whose, folder=deed.folder, entry=entry, value=value)
            touched.add(whose)
        changed.setdefault(whose, []).append(entry)
    for whose in touched:
        count, octets = tx.one("annotations.totals", owner=deed.owner, actor=whose) or (0, 0)
        if count > MAX_ENTRIES:
            raise LimitReached(f"{MAX_ENTRIES} entries")
        if octets > MAX_OCTETS:
            raise LimitReached(f"{MAX_OCTETS} octets of entries")
    for whose, entries in changed.items():
        tx.wake(MetadataChanged(deed.owner, deed.folder, whose, tuple(entries), deed.origin))


DEEDS: Final = ((SetAnnotations, _set),)
