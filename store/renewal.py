"""What has to change in a database of the past before it is used again: numbers that were given since must not be given twice."""

from dataclasses import dataclass
from typing import Final

from store.folders import draw
from store.port import Deed, Tx

OBJECTS: Final = 10_000
OTHERS: Final = 10_000_000
"""More than are given between two backups; search.db has room for two million objects and two million million of the others."""
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Renewed:
    """`folders` got a new UIDVALIDITY, `queued` rows wait for the operator."""

    folders: int
    queued: int


@dataclass(frozen=True, slots=True)
class Renew(Deed[Renewed]):
    """The database is of an earlier moment than what people have seen of it. Clients have met UIDs that will now be given to other
    messages, and messages that come back under UIDs that were gone: each folder gets a new UIDVALIDITY (RFC 3501 section 2.3.1.1).
    Mail in the queue may have left since: it waits until the operator has looked at it."""


def _renew(tx: Tx, deed: Renew) -> Renewed:
    count = after = 0
    while page := tx.all("renewal.folders", after=after, limit=_PAGE):
        for folder, owner in page:
            tx.run("renewal.set_uidvalidity", owner=owner, id=folder, uidvalidity=draw(tx, owner))
        count += len(page)
        after = page[-1][0]
    # Objects of that name may be in use by the installation that this is a copy of: its sweep must not meet ours.
    tx.run("objects.moved_out")
    tx.run("renewal.skip_numbers", objects=OBJECTS, others=OTHERS)
    return Renewed(count, tx.run("renewal.stop_queue"))


DEEDS: Final = ((Renew, _renew),)
