"""Which shares there are, whose they are and with whom: their rows, and what stands of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NewType

from policy.grants import Grantee, GranteeKind, SendGrant
from policy.identity import AccountId, FolderId
from store import grants
from store.grants import SharedFolder
from store.port import Tx

ShareId = NewType("ShareId", int)


@dataclass(frozen=True, slots=True)
class ShareRow:
    """As it was made. `preset`: its name; `made_mailbox`: the account was made with it. Times in microseconds since 1970 UTC."""

    id: ShareId
    owner: AccountId
    preset: str
    made_mailbox: bool
    not_before: int | None
    expires: int | None
    review: int | None
    note: str
    created: int


@dataclass(frozen=True, slots=True)
class Given:
    """What stands of a share: grants that nobody changed since."""

    entries: Sequence[SharedFolder]
    sends: Sequence[SendGrant]


def by_id(tx: Tx, share: ShareId) -> ShareRow | None:
    """None where there is none (any more)."""
    found = tx.one("shares.by_id", id=share)
    return None if found is None else _row(found)


def of_owner(tx: Tx, owner: AccountId) -> Sequence[ShareRow]:
    """The oldest first."""
    return [_row(found) for found in tx.all("shares.of_owner", owner=owner)]


def page(tx: Tx, after: int, limit: int) -> Sequence[ShareRow]:
    """Of all owners, those behind `after`, by number."""
    return [_row(found) for found in tx.all("shares.page", after=after, limit=limit)]


def members(tx: Tx, share: ShareId) -> Sequence[Grantee]:
    """With whom it was shared, whether or not anything stands of it."""
    return [Grantee(GranteeKind(kind), grantee) for kind, grantee in tx.all("shares.members", share=share)]


def with_member(tx: Tx, grantee: Grantee) -> Sequence[ShareId]:
    """The shares of which this very grantee is a member."""
    return [ShareId(share) for (share,) in tx.all("shares.with_member", kind=grantee.kind, grantee=grantee.id)]


def given(tx: Tx, share: ShareId) -> Given:
    """What stands of it, expired grants too."""
    return Given(
        [
            SharedFolder(AccountId(owner), FolderId(folder), path, grants.entry_of(rest))
            for owner, folder, path, *rest in tx.all("shares.entries", share=share)
        ],
        [grants.send_grant_of(found) for found in tx.all("shares.send_grants", share=share)],
    )


def put_back(tx: Tx, row: ShareRow) -> None:
    """Under its number, for an owner that comes back; members and grants follow."""
    tx.run(
        "shares.put_back",
        id=row.id,
        owner=row.owner,
        preset=row.preset,
        made_mailbox=row.made_mailbox,
        not_before=row.not_before,
        expires=row.expires,
        review=row.review,
        note=row.note,
        created=row.created,
    )


def join(tx: Tx, share: ShareId, grantee: Grantee) -> None:
    """One more with whom it is shared; once more changes nothing."""
    tx.run("shares.insert_member", share=share, kind=grantee.kind, grantee=grantee.id)


def parts(tx: Tx) -> Mapping[tuple[int, Grantee, str], ShareId]:
    """Every grant that is part of a share, by whose it is, to whom, and its path or right. Ask by `work`."""
    return {
        (owner, Grantee(GranteeKind(kind), grantee), what): ShareId(share) for owner, kind, grantee, what, share in tx.all("shares.parts")
    }


def _row(found: Any) -> ShareRow:
    number, owner, preset, made_mailbox, not_before, expires, review, note, created = found
    return ShareRow(ShareId(number), AccountId(owner), preset, bool(made_mailbox), not_before, expires, review, note, created)
