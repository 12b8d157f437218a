"""What of a deed must not happen twice at once: whose mail it changes, or that it changes what everybody's rights rest on.

On SQLite one connection writes, and nothing is at once. On PostgreSQL groups of deeds run side by side, in one process and in several.
What is not in the table below runs alone in the whole cluster; what is in it excludes that, and whatever else concerns one of its accounts.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from store import annotations, audit, changes, deeds, folders, login, logins, queue, refusals, subscriptions, tenure, totp
from store.appending import AppendMessages, ReplaceMessage
from store.copying import CopyMessages, MoveMessages
from store.expunging import Expunge
from store.flags import ChangeFlags, MarkSeen
from store.owners import Owners
from store.port import Deed
from store.remade import Rerendered, SetLayouts, SetPreviews, SetSorting


@dataclass(frozen=True, slots=True)
class Claim:
    """`alone`: in the whole cluster. Else whose they are: `accounts`, the owners of `folders`, and those for whom and by whom
    `rows` of the queue wait."""

    alone: bool = False
    accounts: frozenset[int] = field(default=frozenset())
    folders: frozenset[int] = field(default=frozenset())
    rows: frozenset[int] = field(default=frozenset())

    def __or__(self, other: "Claim") -> "Claim":
        return Claim(self.alone or other.alone, self.accounts | other.accounts, self.folders | other.folders, self.rows | other.rows)

    def known(self, owners: Owners) -> "Claim":
        """The same, with the owners themselves in the place of the folders whose owners are known."""
        found = {folder: owner for folder in self.folders if (owner := owners.of(folder)) is not None}
        return Claim(self.alone, self.accounts | frozenset(found.values()), self.folders - found.keys(), self.rows) if found else self


ALONE: Final = Claim(alone=True)
NOTHING: Final = Claim()


def claim(deed: Deed[Any]) -> Claim:
    """What doing it claims."""
    found = _CLAIMS.get(type(deed))
    return ALONE if found is None else found(deed)


def claims(several: Iterable[Deed[Any]]) -> Claim:
    """What doing them in one transaction claims."""
    whole = NOTHING
    for deed in several:
        whole |= claim(deed)
        if whole.alone:
            return ALONE
    return whole


def _of(accounts: Iterable[int | None], folders: Sequence[int] = ()) -> Claim:
    return Claim(accounts=frozenset(one for one in accounts if one is not None), folders=frozenset(folders))


def _accept(deed: queue.AcceptMessage | None) -> Claim:
    if deed is None:
        return NOTHING
    if deed.steps or any(one.request for one in deed.queued):
        return ALONE
    accounts: set[int | None] = {copy.owner for copy in deed.copies}
    for one in deed.queued:
        accounts |= {one.account, one.sender}
    for filing in deed.filing:
        accounts.add(filing.actor)
        accounts.update(owner for owner, _ in filing.owners)
    accounts.update(number for limit in deed.limits for number in (limit.actor, limit.principal))
    return _of(accounts)


def _row(deed: Any) -> Claim:
    return Claim(rows=frozenset((deed.id,)))


def _rows(ids: Iterable[int], accept: queue.AcceptMessage | None) -> Claim:
    return Claim(rows=frozenset(ids)) | _accept(accept)


def _append(deed: AppendMessages) -> Claim:
    return _of((deed.actor, deed.seen_of), (deed.folder,))


def _move(deed: Any) -> Claim:
    return _of((deed.seen_from, deed.seen_to), (deed.source, deed.target))


def _account(deed: Any) -> Claim:
    return _of((deed.account,))


def _folder(deed: Any) -> Claim:
    return _of((), (deed.folder,))


def _seen(deed: Any) -> Claim:
    return _of((deed.seen_of,), (deed.folder,))


def _nothing(_: Any) -> Claim:
    return NOTHING


_CLAIMS: Final[Mapping[type[Deed[Any]], Callable[[Any], Claim]]] = MappingProxyType(
    {
        deeds.Audited: lambda deed: claim(deed.deed),
        deeds.Several: lambda deed: claims(deed.deeds),
        # The chain of the record has a lock of its own (Tx.in_turn).
        audit.RecordAudit: _nothing,
        audit.KeepHead: _nothing,
        annotations.SetAnnotations: lambda deed: _of((deed.owner, deed.actor)),
        changes.PruneChanges: _folder,
        folders.ClaimRecent: _folder,
        folders.CreateFolder: lambda deed: _of((deed.owner,)),
        login.RecordFailure: _account,
        login.PretendFailure: _nothing,
        login.AdmitUnlessLocked: _account,
        login.KeepScramKeys: _account,
        login.ClearFailures: _account,
        login.RememberSource: _account,
        logins.RecordLogins: lambda deed: _of(row.account for row in deed.rows),
        AppendMessages: _append,
        ReplaceMessage: lambda deed: _append(deed.append) | _of((), (deed.source,)),
        ChangeFlags: _seen,
        MarkSeen: _seen,
        Expunge: _folder,
        CopyMessages: _move,
        MoveMessages: _move,
        Rerendered: _folder,
        SetSorting: _folder,
        SetPreviews: _folder,
        SetLayouts: _folder,
        queue.AcceptMessage: _accept,
        # Rows that somebody else is claiming are passed over (SKIP LOCKED).
        queue.ClaimDue: _nothing,
        queue.Reschedule: _row,
        queue.PutOff: _nothing,
        queue.HandedOn: lambda deed: _rows(deed.ids, deed.report),
        queue.TellLate: lambda deed: _rows(deed.ids, deed.warning),
        queue.HoldAgain: _row,
        queue.Settle: lambda deed: _rows((deed.id,), deed.accept),
        queue.ReleaseHeld: lambda deed: ALONE if deed.account is None else _account(deed),
        # Rows of nobody's, by ids that are made anew for each refusal; strangers make as many as they like.
        refusals.RecordRefusals: _nothing,
        refusals.ForgetRefusals: _nothing,
        subscriptions.Subscribe: lambda deed: _of((deed.subscriber,)),
        subscriptions.Unsubscribe: lambda deed: _of((deed.subscriber,)),
        tenure.GrantsUsed: _nothing,
        totp.UseTotp: lambda deed: ALONE if deed.confirm else _account(deed),
        totp.UseOneTimeCode: _account,
    }
)


def lane(what: Claim, lanes: int) -> int:
    """Which of so many writers does it, so that what concerns one account is in one group rather than in each other's way: 0 what
    runs alone, else by the lowest number."""
    if what.alone or lanes < 2:
        return 0
    number = min(what.accounts or what.folders or what.rows, default=0)
    return 1 + number % (lanes - 1)
