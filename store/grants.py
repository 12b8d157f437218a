"""Who was given what: entries on folders, and send rights on accounts and lists. Expired ones stay stored and visible."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from policy.grants import FolderEntry, Grantee, GranteeKind, Level, SendGrant, SendRight, Standing
from policy.identity import AccountId, FolderId
from policy.lists import POSTING_RESTRICTED
from policy.rights import Right
from store.errors import Conflict, GrantsFull, NotFound
from store.port import DIRECTORY, Deed, Tx

MOST_ENTRIES: Final = 20_000
"""Of one folder: GETACL reads them all, a judgement its own. Whoever needs more grants to a list."""
MOST_GRANTS: Final = 20_000
"""On one account or list, of all rights to send together."""

_EXISTS: Final[Mapping[GranteeKind, str]] = MappingProxyType(
    {
        GranteeKind.ACCOUNT: "grants.account_exists",
        GranteeKind.GROUP: "grants.list_exists",
        GranteeKind.DOMAIN: "grants.domain_exists",
        GranteeKind.COS: "grants.cos_exists",
    }
)
_MATCHING: Final[Mapping[GranteeKind, str]] = MappingProxyType(
    {
        GranteeKind.GROUP: "grants.accounts_in_list",
        GranteeKind.DOMAIN: "grants.accounts_in_domain",
        GranteeKind.COS: "grants.accounts_in_cos",
        GranteeKind.ALL: "grants.accounts",
    }
)

FEW: Final = 16
"""Grants on one folder, account or list that are read to find those of one actor among them. Where there are more, each of the actor's
is asked for by its grantee: what a judgement costs does not grow with what others were granted."""
FEW_OF_OWNER: Final = 128
"""The same for all folders of one owner."""


@dataclass(frozen=True, slots=True)
class SetFolderEntry(Deed[None]):
    """Replaces that grantee's entry on that folder; rights NONE is the explicit empty entry, which carries no time.

    Raises NotFound for folder or grantee, Conflict when the grantee is the owner or `expires` is not after `not_before`, GrantsFull.
    """

    folder: FolderId
    entry: FolderEntry
    share: int | None = None  # what it is part of; whoever sets it without makes it one of its own again


@dataclass(frozen=True, slots=True)
class RemoveFolderEntry(Deed[bool]):
    """False: there was none on this very folder. Raises NotFound for the folder."""

    folder: FolderId
    grantee: Grantee


@dataclass(frozen=True, slots=True)
class SetSendGrant(Deed[None]):
    """Replaces that grantee's grant of that right on that target, allowing or denying.

    Raises NotFound for target or grantee, Conflict when the grantee is the target or `expires` is not after `not_before`, GrantsFull.
    """

    grant: SendGrant
    share: int | None = None


@dataclass(frozen=True, slots=True)
class RemoveSendGrant(Deed[bool]):
    """False: there was no such grant (one that denies is not removed as one that allows)."""

    target: int
    grantee: Grantee
    right: SendRight
    deny: bool = False


@dataclass(frozen=True, slots=True)
class SharedFolder:
    """An entry that a grantee holds somewhere, for lists of what was shared."""

    owner: AccountId
    folder: FolderId
    path: str
    entry: FolderEntry


def entries(tx: Tx, folder: FolderId) -> Sequence[FolderEntry]:
    """The folder's own entries, expired ones too, in the order of kinds and grantees."""
    return [entry_of(row) for row in tx.all("grants.entries", owner=tx.owner_of(folder), folder=folder)]


def levels(tx: Tx, owner: AccountId, path: str) -> list[Level]:
    """From the folder up to the mailbox root. A folder that is not there (yet) has a level without entries."""
    return _levels(tx, owner, path, lambda folder: entries(tx, folder))


def levels_for(tx: Tx, owner: AccountId, path: str, standing: Standing) -> list[Level]:
    """As `levels`, with the entries that match this actor only: what a judgement needs, however many others there are."""
    grantees = [*map(_pair, grantees_of(standing))]
    matching = frozenset(grantees)

    def of_actor(folder: FolderId) -> Sequence[FolderEntry]:
        found = tx.all("grants.first_entries", owner=owner, folder=folder, limit=FEW + 1)
        if len(found) > FEW:
            asked = (tx.one("grants.entry", owner=owner, folder=folder, kind=kind, grantee=grantee) for kind, grantee in grantees)
            found = sorted(row for row in asked if row is not None)
        return [entry_of(row) for row in found if (row[0], row[1]) in matching] if found else ()

    return _levels(tx, owner, path, of_actor)


def _levels(tx: Tx, owner: AccountId, path: str, entries_of: Callable[[FolderId], Sequence[FolderEntry]]) -> list[Level]:
    walked = []
    for step in way_up(path):
        folder = tx.one("grants.level", owner=owner, path=step)
        if folder is None:
            walked.append(Level(step, ()))
        else:
            number, no_inherit = folder
            walked.append(Level(step, entries_of(number), bool(no_inherit)))
    return walked


def _pair(grantee: Grantee) -> tuple[str, int]:
    """As the first two columns have it."""
    return grantee.kind.value, grantee.id


def way_up(path: str) -> list[str]:
    """ "/Posta/2026" → "/Posta/2026", "/Posta", "/"."""
    steps = []
    while path not in ("/", ""):
        steps.append(path)
        path = path[: path.rfind("/")] if "/" in path else ""
    return [*steps, "/"]


def mailbox_levels(tx: Tx, owner: AccountId) -> Mapping[str, Level]:
    """Every folder of the owner as a level, by path, in two statements. Combine with `way_up`."""
    return _mailbox(tx, owner, tx.all("grants.entries_of_owner", owner=owner))


def mailbox_levels_for(tx: Tx, owner: AccountId, standing: Standing) -> Mapping[str, Level]:
    """As `mailbox_levels`, with the entries that match this actor only: for LIST."""
    grantees = [*map(_pair, grantees_of(standing))]
    matching = frozenset(grantees)
    found = tx.all("grants.first_entries_of_owner", owner=owner, limit=FEW_OF_OWNER + 1)
    if len(found) > FEW_OF_OWNER:
        found = sorted(
            row for kind, grantee in grantees for row in tx.all("grants.entries_of_owner_to", owner=owner, kind=kind, grantee=grantee)
        )
    return _mailbox(tx, owner, [row for row in found if (row[1], row[2]) in matching])


def _mailbox(tx: Tx, owner: AccountId, granted: Sequence[Any]) -> Mapping[str, Level]:
    own: dict[int, list[FolderEntry]] = {}
    for folder, *rest in granted:
        own.setdefault(folder, []).append(entry_of(rest))
    return {
        path: Level(path, tuple(own.get(number, ())), bool(no_inherit))
        for number, path, no_inherit in tx.all("grants.folders_of_owner", owner=owner)
    }


def mailbox_entries(tx: Tx, owner: AccountId) -> Sequence[tuple[int, FolderEntry]]:
    """(folder, entry) of all of the owner's folders, by folder; expired ones too."""
    return [(folder, entry_of(rest)) for folder, *rest in tx.all("grants.entries_of_owner", owner=owner)]


def owners_granting(tx: Tx, standing: Standing) -> Sequence[AccountId]:
    """Everybody else on whose folders some entry, in force or not, gives this actor something; ascending.

    May be kept as long as a witness of the actor, its groups and the directory holds: every new entry touches one of them.
    """
    owners: set[int] = set()
    for grantee in grantees_of(standing):
        owners.update(owner for (owner,) in tx.all("grants.owners_granting", kind=grantee.kind, grantee=grantee.id))
    owners.discard(standing.account)
    return [AccountId(owner) for owner in sorted(owners)]


def shared_with(tx: Tx, grantee: Grantee) -> Sequence[SharedFolder]:
    """Every entry of this very grantee, whoever's the folder; expired ones too."""
    return [
        SharedFolder(AccountId(owner), FolderId(folder), path, entry_of(rest))
        for owner, folder, path, *rest in tx.all("grants.shared_with", kind=grantee.kind, grantee=grantee.id)
    ]


def grantees_of(standing: Standing) -> Sequence[Grantee]:
    """Every grantee that matches this actor."""
    return (
        Grantee(GranteeKind.ACCOUNT, standing.account),
        *(Grantee(GranteeKind.GROUP, group) for group in standing.groups),
        Grantee(GranteeKind.COS, standing.cos),
        Grantee(GranteeKind.DOMAIN, standing.domain),
        Grantee(GranteeKind.ALL),
    )


def send_grants_on(tx: Tx, target: int, right: SendRight | None = None) -> Sequence[SendGrant]:
    """What was granted and denied on this account or list (of one right, or of all), expired ones too."""
    if right is None:
        return [send_grant_of(row) for row in tx.all("grants.send_grants_on", target=target)]
    return [send_grant_of(row) for row in tx.all("grants.send_grants_of_right", target=target, right=right)]


def send_grants_for(tx: Tx, target: int, right: SendRight, standing: Standing) -> tuple[Sequence[SendGrant], bool]:
    """What a judgement about this actor needs of what was granted and denied on an account or list; with it, whether others were left
    out, of which there are more than a few."""
    found = tx.all("grants.first_send_grants_of_right", target=target, right=right, limit=FEW + 1)
    if len(found) <= FEW:
        return [send_grant_of(row) for row in found], False
    asked = (
        tx.one("grants.send_grant", target=target, right=right, kind=kind, grantee=grantee)
        for kind, grantee in map(_pair, grantees_of(standing))
    )
    return [send_grant_of(row) for row in asked if row is not None], True


def is_granted_at_all(tx: Tx, target: int, right: SendRight) -> bool:
    """Is there any grant or denial of this right on this account or list, in force or not?"""
    return tx.one("grants.any_send_grant", target=target, right=right) is not None


def send_grants_to(tx: Tx, grantee: Grantee) -> Sequence[SendGrant]:
    """What this very grantee was granted and denied, on whatever target; expired ones too."""
    return [send_grant_of(row) for row in tx.all("grants.send_grants_to", kind=grantee.kind, grantee=grantee.id)]


def holds_any(tx: Tx, standing: Standing) -> bool:
    """Is any right to send (sendAs, sendOnBehalfOf) in force now for this actor, on anybody? Denials are not looked at."""
    return any(
        tx.one("grants.holds_any", kind=grantee.kind, grantee=grantee.id, now=tx.now) is not None for grantee in grantees_of(standing)
    )


def accounts_matching(tx: Tx, grantee: Grantee, limit: int) -> Sequence[AccountId]:
    """At most `limit` accounts that this grantee matches (policy.grants.Standing.matches). Ask by `work`."""
    if grantee.kind is GranteeKind.ACCOUNT:
        return [AccountId(grantee.id)]
    return [AccountId(account) for (account,) in tx.all(_MATCHING[grantee.kind], id=grantee.id, limit=limit)]


def forget_grantee(tx: Tx, kinds: Sequence[GranteeKind], grantee: int) -> None:
    """Removes every entry and send grant of a grantee that ceases to be, and touches those who had granted it. A list to which nobody
    else was let post stays closed (policy.lists)."""
    touched: set[int] = set()
    for kind in kinds:
        touched.update(owner for (owner,) in tx.all("grants.owners_granting", kind=kind, grantee=grantee))
        touched.update(target for (target,) in tx.all("grants.targets_granting", kind=kind, grantee=grantee))
        tx.run("grants.forget_entries", kind=kind, grantee=grantee)
        restricting = [target for (target,) in tx.all("grants.lists_granting", kind=kind, grantee=grantee)]
        tx.run("grants.forget_send_grants", kind=kind, grantee=grantee)
        for target in restricting:
            # Where no grant is left everybody could post: nobody wanted that by deleting an account.
            tx.run("grants.keep_restricted", list=target, name=POSTING_RESTRICTED)
        tx.run("grants.forget_members", kind=kind, grantee=grantee)
    if touched:
        tx.touch(*touched)


def entry_of(row: Sequence[Any]) -> FolderEntry:
    """From the columns as the statements have them."""
    kind, grantee, rights, not_before, expires, note, review = row
    return FolderEntry(Grantee(GranteeKind(kind), grantee), Right(rights), not_before, expires, note, review)


def send_grant_of(row: Sequence[Any]) -> SendGrant:
    """From the columns as the statements have them."""
    target, right, kind, grantee, deny, *rest = row
    return SendGrant(target, Grantee(GranteeKind(kind), grantee), SendRight(right), bool(deny), *rest)


def is_there(tx: Tx, grantee: Grantee) -> bool:
    """Is there such a grantee (still)?"""
    everyone = grantee == Grantee(GranteeKind.ALL)
    return everyone or (grantee.kind in _EXISTS and tx.one(_EXISTS[grantee.kind], id=grantee.id) is not None)


def denials(tx: Tx, grantee: Grantee) -> Sequence[SendGrant]:
    """What is denied to this very grantee, now or later."""
    return [one for one in send_grants_to(tx, grantee) if one.deny and (one.expires is None or one.expires > tx.now)]


def _check(tx: Tx, grantee: Grantee, not_before: int | None, expires: int | None) -> None:
    if not is_there(tx, grantee):
        raise NotFound(f"{grantee.kind} {grantee.id}")
    if not_before is not None and expires is not None and expires <= not_before:
        raise Conflict("the grant would end before it starts")


def set_entry(tx: Tx, deed: SetFolderEntry) -> None:
    """As the deed; for other deeds too."""
    found = tx.one("grants.owner_of", folder=deed.folder)
    if found is None:
        raise NotFound(f"folder {deed.folder}")
    (owner,) = found
    entry = deed.entry
    _check(tx, entry.grantee, entry.not_before, entry.expires)
    if entry.grantee == Grantee(GranteeKind.ACCOUNT, owner):
        raise Conflict("the owner holds everything already")
    timed = bool(entry.rights)
    others = tx.all("grants.other_entries", owner=owner, folder=deed.folder, kind=entry.grantee.kind, grantee=entry.grantee.id)
    if others[0][0] >= MOST_ENTRIES:
        raise GrantsFull(f"{MOST_ENTRIES} entries of a folder")
    tx.run(
        "grants.set_entry",
        folder=deed.folder,
        kind=entry.grantee.kind,
        grantee=entry.grantee.id,
        owner=owner,
        rights=int(entry.rights),
        not_before=entry.not_before if timed else None,
        expires=entry.expires if timed else None,
        note=entry.note,
        review=entry.review if timed else None,
        share=deed.share,
        now=tx.now,
    )
    _touch_owner(tx, owner, entry.grantee)


def remove_entry(tx: Tx, deed: RemoveFolderEntry) -> bool:
    """As the deed; for other deeds too."""
    found = tx.one("grants.owner_of", folder=deed.folder)
    if found is None:
        raise NotFound(f"folder {deed.folder}")
    (owner,) = found
    removed = tx.run("grants.remove_entry", owner=owner, folder=deed.folder, kind=deed.grantee.kind, grantee=deed.grantee.id)
    if removed:
        _touch_owner(tx, owner, deed.grantee)
    return bool(removed)


def _touch_owner(tx: Tx, owner: int, grantee: Grantee) -> None:
    # Which owners an actor sees is asked of the grantee's side: an account's own scope, else the directory's.
    tx.touch(owner, grantee.id if grantee.kind in (GranteeKind.ACCOUNT, GranteeKind.GROUP) else DIRECTORY)


def set_send_grant(tx: Tx, deed: SetSendGrant) -> None:
    """As the deed; for other deeds too."""
    grant = deed.grant
    if tx.one("grants.object_exists", id=grant.target) is None:
        raise NotFound(f"object {grant.target}")
    _check(tx, grant.grantee, grant.not_before, grant.expires)
    if grant.grantee == Grantee(GranteeKind.ACCOUNT, grant.target):
        raise Conflict("the account itself needs no grant")
    kind, grantee = grant.grantee.kind, grant.grantee.id
    others = tx.all("grants.other_send_grants", target=grant.target, right=grant.right, kind=kind, grantee=grantee)
    if others[0][0] >= MOST_GRANTS:
        raise GrantsFull(f"{MOST_GRANTS} grants on an account or list")
    tx.run(
        "grants.set_send_grant",
        target=grant.target,
        right=grant.right,
        kind=grant.grantee.kind,
        grantee=grant.grantee.id,
        deny=int(grant.deny),
        not_before=grant.not_before,
        expires=grant.expires,
        note=grant.note,
        undo_window=grant.undo_window,
        review=grant.review,
        share=deed.share,
        now=tx.now,
    )
    _touch_owner(tx, grant.target, grant.grantee)


def remove_send_grant(tx: Tx, deed: RemoveSendGrant) -> bool:
    """As the deed; for other deeds too."""
    removed = tx.run(
        "grants.remove_send_grant",
        target=deed.target,
        right=deed.right,
        kind=deed.grantee.kind,
        grantee=deed.grantee.id,
        deny=int(deed.deny),
    )
    if removed:
        _touch_owner(tx, deed.target, deed.grantee)
    return bool(removed)


DEEDS = (
    (SetFolderEntry, set_entry),
    (RemoveFolderEntry, remove_entry),
    (SetSendGrant, set_send_grant),
    (RemoveSendGrant, remove_send_grant),
)
