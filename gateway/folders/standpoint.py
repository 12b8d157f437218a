"""May this actor do this to this folder? Everything that the answer rests on, and the only place where policy is asked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from gateway.folders.values import ROOT
from policy.cos import ServiceValues
from policy.decision import Decision, Witness
from policy.folders import FlagChange, FolderFacts, FolderOp, judge_folder, judge_grant_change, permitted_flags, rights_on
from policy.grants import Level, Standing
from policy.identity import AccountId, Actor, Address, FolderId
from policy.rights import Right
from policy.status import owner_access
from store import accounts, addresses, folders, grants, lists
from store.model import AccountRow, FolderRow
from store.port import Deed, Tx

T = TypeVar("T")

NOBODY: Final = AccountId(0)
EVERY_FLAG: Final = FlagChange(True, True, True)


class Owner(Protocol):
    """What of an owner's account is looked at after a judgement."""

    @property
    def id(self) -> AccountId:
        """Who it is."""

    @property
    def address(self) -> Address:
        """The primary one."""

    @property
    def values(self) -> ServiceValues:
        """Those in force."""

    @property
    def used(self) -> int:
        """Octets, as of then."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An owner, without the rest of the row (the verifier of a password among it): for who keeps it for hours."""

    id: AccountId
    address: Address
    values: ServiceValues
    used: int


@dataclass(frozen=True, slots=True)
class Standpoint:
    """All that judgements about one folder rest on, as one snapshot had it."""

    facts: FolderFacts
    owner: Owner
    row: FolderRow | None
    witness: Witness
    held: Right

    def kept(self, actor: Actor) -> "Standpoint":
        """The same, for an open folder of this actor."""
        owner = self.owner
        if isinstance(owner, Kept):
            return self
        # An own folder's owner has been read once more: one copy is enough.
        address = actor.address if owner.address == actor.address else owner.address
        return replace(self, owner=Kept(owner.id, address, owner.values, owner.used))

    def at(self, row: FolderRow) -> "Standpoint":
        """The same, with the folder's row as it is now."""
        return Standpoint(self.facts, self.owner, row, self.witness, self.held)

    def judge(self, op: FolderOp, now: int) -> Decision:
        """May the actor do this here? `now`: of the snapshot."""
        return judge_folder(op, self.facts, now)

    def judge_grant(self, given: Right, taken: Right, now: int) -> Decision:
        """May the actor give and take these rights here?"""
        return judge_grant_change(self.facts, given, taken, now)

    def permits(self, change: FlagChange = EVERY_FLAG) -> FlagChange:
        """What is left of a change of flags by the rights held."""
        return permitted_flags(change, self.held)


Act = tuple[Standpoint, FolderOp, Decision]
Judged = tuple[Deed[T], Witness, tuple[Act, ...]]
"""What is to be done, what its judgement rests on, and what of it goes on record."""


@dataclass(frozen=True, slots=True)
class Footing:
    """What a listing rests on, all but its figures. `acts`: what goes on record when figures are told from it."""

    witness: Witness
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at the store found about a place. `owner` None: gone. `levels`: with the entries that match the actor."""

    standing: Standing
    owner: AccountRow | None
    row: FolderRow | None
    levels: Sequence[Level]
    path: str


def look_by_path(tx: Tx, actor: Actor, owner: AccountId | Address, path: str) -> Look | None:
    """None: the actor is gone."""
    standing = lists.standing(tx, actor.account, actor)
    if isinstance(owner, Address):
        resolved = addresses.resolve(tx, owner)
        known = resolved is not None and resolved.kind is addresses.ObjectKind.ACCOUNT and not resolved.tag_cut
        owner = AccountId(resolved.id) if resolved is not None and known else NOBODY
    row = accounts.by_id(tx, owner)
    if row is None:
        # An owner that there is not is judged as one who shows the actor nothing: so it takes as long, and the words are the same.
        own = accounts.by_id(tx, actor.account)
        row = None if own is None else replace(own, id=NOBODY)
    levels = () if standing is None else grants.levels_for(tx, owner, path, standing)
    folder = folders.by_path(tx, owner, path)
    return None if standing is None else Look(standing, row, folder, levels, path)


def look_by_id(tx: Tx, actor: Actor, folder: FolderId) -> Look | None:
    """None: the folder is gone, or the actor is."""
    row = folders.by_id(tx, folder)
    standing = lists.standing(tx, actor.account, actor)
    if row is None or standing is None:
        return None
    return Look(standing, accounts.by_id(tx, row.owner), row, grants.levels_for(tx, row.owner, row.path, standing), row.path)


def standpoint(standing: Standing, owner: AccountRow, path: str, levels: Sequence[Level], row: FolderRow | None, now: int) -> Standpoint:
    """Without a witness yet. `levels`: from the place up to the root."""
    access, read_only = owner_access(owner.status, owner.values.delegation_when_locked)
    facts = FolderFacts(
        actor=standing,
        owner=owner.id,
        owner_address=str(owner.address),
        access=access,
        read_only=read_only,
        levels=levels,
        special_use=None if row is None else row.special_use,
        is_root=path == ROOT,
        seen_private=row is not None and row.seen_private,
    )
    return Standpoint(facts, owner, row, Witness(), rights_on(facts, now))
