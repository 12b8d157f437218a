"""Until when is something granted, when is it to be looked at again, when was it last used, and was its end announced?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.grants import FolderEntry, Grantee, SendGrant, SendRight
from policy.identity import FolderId
from store import grants
from store.errors import Conflict
from store.port import Deed, Tx

ROUNDED: Final = 3600 * 1_000_000
"""Microseconds: a grant that was used a shorter time ago is not written again."""


@dataclass(frozen=True, slots=True)
class Tenure:
    """A grant of either kind, in force or not. `target`: whose folder it is, or in whose name it lets send; `path`: "" of what is no
    folder's. `given`: when it was written, `used`: when it last decided something, to the hour, `warned`: when its end was announced."""

    granted: FolderEntry | SendGrant
    target: int
    folder: FolderId | None
    path: str
    given: int
    used: int | None
    warned: int | None
    share: int | None


@dataclass(frozen=True, slots=True)
class Used:
    """What a decision stood on: the entry of `grantee` on this folder of `target`, or its grant of `right` on `target`."""

    target: int
    grantee: Grantee
    path: str = ""
    right: SendRight | None = None


@dataclass(frozen=True, slots=True)
class GrantsUsed(Deed[None]):
    """They were used now. One that is not there (any more) is left out; nobody's judgement becomes stale of it."""

    uses: tuple[Used, ...]


@dataclass(frozen=True, slots=True)
class GrantsWarned(Deed[None]):
    """The ends of these are being announced: now. Raises Conflict where one was announced already, or is no longer so."""

    some: tuple[Tenure, ...]


def expiring(tx: Tx, until: int, limit: int) -> list[Tenure]:
    """Those that end by then and have not ended, the first to end first; so many of each kind at most."""
    return _both(tx, "expiring", lambda one: one.granted.expires or 0, now=tx.now, until=until, limit=limit)


def overdue(tx: Tx, until: int, limit: int) -> list[Tenure]:
    """Those that were to be reviewed by then, and hold or will."""
    return _both(tx, "overdue", lambda one: one.granted.review or 0, now=tx.now, until=until, limit=limit)


def unused(tx: Tx, since: int, limit: int) -> list[Tenure]:
    """Those that allow something, hold, held at that time already, and have decided nothing since."""
    return _both(tx, "unused", lambda one: one.used or 0, now=tx.now, until=since, limit=limit)


def on(tx: Tx, target: int, limit: int) -> list[Tenure]:
    """On the folders of an account and in its name, or in a list's."""
    return _entries(tx.all("tenure.entries_on", owner=target, limit=limit)) + _grants(
        tx.all("tenure.grants_on", target=target, limit=limit)
    )


def to(tx: Tx, grantee: Grantee, limit: int) -> list[Tenure]:
    """To this very grantee."""
    asked = {"kind": grantee.kind, "grantee": grantee.id, "limit": limit}
    return _entries(tx.all("tenure.entries_to", **asked)) + _grants(tx.all("tenure.grants_to", **asked))


def mark_used(tx: Tx, uses: Sequence[Used]) -> None:
    """Within the deed at hand."""
    for one in uses:
        asked = {"kind": one.grantee.kind, "grantee": one.grantee.id, "now": tx.now, "before": tx.now - ROUNDED}
        if one.right is None:
            tx.later("tenure.use_entry", owner=one.target, path=one.path, **asked)
        else:
            tx.later("tenure.use_grant", target=one.target, right=one.right, **asked)


def _both(tx: Tx, which: str, order: Any, **asked: int) -> list[Tenure]:
    found = _entries(tx.all(f"tenure.entries_{which}", **asked)) + _grants(tx.all(f"tenure.grants_{which}", **asked))
    found.sort(key=order)
    return found


def _entries(rows: Sequence[Any]) -> list[Tenure]:
    return [
        Tenure(grants.entry_of(rest), owner, FolderId(folder), path, given, used, warned, share)
        for owner, folder, path, given, used, warned, share, *rest in rows
    ]


def _grants(rows: Sequence[Any]) -> list[Tenure]:
    found = []
    for given, used, warned, share, *rest in rows:
        grant = grants.send_grant_of(rest)
        found.append(Tenure(grant, grant.target, None, "", given, used, warned, share))
    return found


def _used(tx: Tx, deed: GrantsUsed) -> None:
    mark_used(tx, deed.uses)


def _warned(tx: Tx, deed: GrantsWarned) -> None:
    for one in deed.some:
        granted = one.granted
        asked = {"kind": granted.grantee.kind, "grantee": granted.grantee.id, "expires": granted.expires, "now": tx.now}
        if isinstance(granted, SendGrant):
            done = tx.run("tenure.warn_grant", target=granted.target, right=granted.right, **asked)
        else:
            done = tx.run("tenure.warn_entry", owner=one.target, folder=one.folder, **asked)
        if not done:
            raise Conflict("it is announced already, or ends at another time")


DEEDS = (
    (GrantsUsed, _used),
    (GrantsWarned, _warned),
)
