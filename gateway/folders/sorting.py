"""What SORT and THREAD compare of messages that were stored before it was made at delivery."""

from collections.abc import Sequence
from typing import Final

from gateway.arrival import sorting_of
from gateway.message.split import read_header
from policy.identity import FolderId
from store import messages
from store.away import AWAY_AT_ONCE, Wanting
from store.blobs import Files
from store.model import Sorting, SortRow
from store.port import Tx

SORTED_AT_ONCE: Final = 10_000
"""Messages whose sort keys are read in one snapshot."""
SORTED_OCTETS: Final = 8 << 20
"""Octets read in one snapshot to make the sort keys of messages that have none."""


def made_again(tx: Tx, folder: FolderId, uids: Sequence[int], files: Files) -> tuple[list[tuple[int, Sorting]], int]:
    """Of as many of these as have a few MiB together; and how many that were, those that are gone among them."""
    made: list[tuple[int, Sorting]] = []
    spent = 0
    wanting = Wanting()
    for looked_at, uid in enumerate(uids, 1):
        octets = None
        with wanting.noted():
            octets = messages.octets(tx, folder, uid, files)
        if octets is not None:
            made.append((uid, sorting_of(octets, read_header(octets))))
            spent += len(octets)
        if spent >= SORTED_OCTETS or len(wanting.wanted) >= AWAY_AT_ONCE:
            wanting.settle()
            return made, looked_at
    wanting.settle()
    return made, len(uids)


def with_sorting(row: SortRow, made: Sorting) -> SortRow:
    """The row with what was made now."""
    return row._replace(
        version=made.version,
        from_=made.from_,
        to=made.to,
        cc=made.cc,
        shown_from=made.shown_from,
        shown_to=made.shown_to,
        subject=made.subject,
        is_reply=int(made.is_reply),
        ancestors=made.ancestors,
    )
