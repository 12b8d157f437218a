"""What was shared as one thing: the grants that a share gave carry its number until somebody changes or removes them by hand."""

from dataclasses import dataclass

from policy.grants import FolderEntry, Grantee, SendGrant, SendRight
from policy.identity import AccountId, FolderId
from policy.rights import Right
from store import accounts, folders, grants
from store.accounts import CreateAccount
from store.errors import Conflict, NotFound
from store.grants import RemoveFolderEntry, RemoveSendGrant, SetFolderEntry, SetSendGrant
from store.port import Deed, Tx
from store.share_rows import Given as Given
from store.share_rows import ShareId as ShareId
from store.share_rows import ShareRow as ShareRow
from store.share_rows import by_id as by_id
from store.share_rows import given as given
from store.share_rows import members as members
from store.share_rows import of_owner as of_owner
from store.share_rows import page as page
from store.share_rows import parts as parts
from store.share_rows import with_member as with_member


@dataclass(frozen=True, slots=True)
class CreateShare(Deed[ShareId]):
    """All grants of a share, and the account where there is none yet, in one transaction.

    `paths`: folders that are there (of a new account: its standard folders, and "/"). What a grantee was granted there otherwise, in
    force or later, is a Conflict, unless `replace` makes it part of the share. Raises NotFound, Conflict, LimitReached.
    """

    account: AccountId | CreateAccount
    preset: str
    grantees: tuple[Grantee, ...]
    paths: tuple[str, ...]
    rights: Right
    sends: tuple[SendRight, ...]
    not_before: int | None = None
    expires: int | None = None
    review: int | None = None
    note: str = ""
    replace: bool = False


@dataclass(frozen=True, slots=True)
class ModifyShare(Deed[None]):
    """What a share says, whom it is with and what it gives become otherwise in one transaction.

    `before`, `members`, `standing`: what was seen of it when that was decided; Conflict where it is not so any more. `after`: as it is to
    be. `entries`, `sends`: set as its own; one that is not its own yet meets what the grantee was granted there otherwise as in
    CreateShare. `taken`: of what stands of it. Raises NotFound, Conflict.
    """

    before: ShareRow
    members: tuple[Grantee, ...]
    standing: Given
    after: ShareRow
    joining: tuple[Grantee, ...]
    leaving: tuple[Grantee, ...]
    entries: tuple[tuple[FolderId, FolderEntry], ...]
    sends: tuple[SendGrant, ...]
    taken: Given
    replace: bool = False


@dataclass(frozen=True, slots=True)
class EndShare(Deed[Given]):
    """Takes away what stands of it, and nothing else; returns that. Raises NotFound."""

    share: ShareId


def in_the_way(granted: FolderEntry | SendGrant, now: int) -> bool:
    """Does it hold, or will it? What is over is replaced without a word."""
    return granted.expires is None or granted.expires > now


def _create(tx: Tx, deed: CreateShare) -> ShareId:
    made = isinstance(deed.account, CreateAccount)
    owner = accounts.create(tx, deed.account) if isinstance(deed.account, CreateAccount) else deed.account
    if tx.one("grants.account_exists", id=owner) is None:
        raise NotFound(f"account {owner}")
    times = {"not_before": deed.not_before, "expires": deed.expires, "review": deed.review}
    share = ShareId(tx.insert("shares.insert", owner=owner, preset=deed.preset, made_mailbox=made, note=deed.note, now=tx.now, **times))
    for grantee in deed.grantees:
        tx.run("shares.insert_member", share=share, kind=grantee.kind, grantee=grantee.id)
    for path in deed.paths if deed.rights else ():
        folder = folders.by_path(tx, owner, path)
        if folder is None:
            raise NotFound(path)
        there = {entry.grantee: entry for entry in grants.entries(tx, folder.id)}
        for grantee in deed.grantees:
            before = there.get(grantee)
            if before is not None and in_the_way(before, tx.now) and not deed.replace:
                raise Conflict(f"{grantee} has an entry on {path} already")
            entry = FolderEntry(grantee, deed.rights, deed.not_before, deed.expires, deed.note, deed.review)
            grants.set_entry(tx, SetFolderEntry(folder.id, entry, share))
    for right in deed.sends:
        granted = {grant.grantee: grant for grant in grants.send_grants_on(tx, owner, right)}
        for grantee in deed.grantees:
            earlier = granted.get(grantee)
            if earlier is not None and in_the_way(earlier, tx.now) and not deed.replace:
                raise Conflict(f"{grantee} has a grant of {right} already")
            grant = SendGrant(owner, grantee, right, False, deed.not_before, deed.expires, deed.note, review=deed.review)
            grants.set_send_grant(tx, SetSendGrant(grant, share))
    return share


def _modify(tx: Tx, deed: ModifyShare) -> None:
    share = deed.before.id
    there = by_id(tx, share)
    if there is None:
        raise NotFound(f"share {share}")
    if (there, tuple(members(tx, share)), given(tx, share)) != (deed.before, deed.members, deed.standing):
        raise Conflict(f"share {share} was changed")
    _take(tx, deed.taken)
    for member in deed.leaving:
        tx.run("shares.delete_member", share=share, kind=member.kind, grantee=member.id)
    for member in deed.joining:
        tx.run("shares.insert_member", share=share, kind=member.kind, grantee=member.id)
    own = {(one.folder, one.entry.grantee) for one in deed.standing.entries}
    for folder, entry in deed.entries:
        before = next((one for one in grants.entries(tx, folder) if one.grantee == entry.grantee), None)
        if (folder, entry.grantee) not in own and before is not None and in_the_way(before, tx.now) and not deed.replace:
            raise Conflict(f"{entry.grantee} has an entry there already")
        grants.set_entry(tx, SetFolderEntry(folder, entry, share))
    held = {(one.right, one.grantee) for one in deed.standing.sends}
    for grant in deed.sends:
        granted = grants.send_grants_on(tx, grant.target, grant.right)
        earlier = next((one for one in granted if one.grantee == grant.grantee), None)
        if (grant.right, grant.grantee) not in held and earlier is not None and in_the_way(earlier, tx.now) and not deed.replace:
            raise Conflict(f"{grant.grantee} has a grant of {grant.right} already")
        grants.set_send_grant(tx, SetSendGrant(grant, share))
    row = deed.after
    times = {"not_before": row.not_before, "expires": row.expires, "review": row.review}
    tx.run("shares.update", id=share, preset=row.preset, note=row.note, **times)


def _end(tx: Tx, deed: EndShare) -> Given:
    if by_id(tx, deed.share) is None:
        raise NotFound(f"share {deed.share}")
    standing = given(tx, deed.share)
    _take(tx, standing)
    tx.run("shares.delete", id=deed.share)
    return standing


def _take(tx: Tx, some: Given) -> None:
    for one in some.entries:
        grants.remove_entry(tx, RemoveFolderEntry(one.folder, one.entry.grantee))
    for grant in some.sends:
        grants.remove_send_grant(tx, RemoveSendGrant(grant.target, grant.grantee, grant.right, grant.deny))


DEEDS = (
    (CreateShare, _create),
    (ModifyShare, _modify),
    (EndShare, _end),
)
