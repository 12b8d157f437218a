"""What was made of a message's octets when it came, made again: by a newer renderer, or because it came before there was such a thing."""

from dataclasses import dataclass
from typing import Any, Final

from policy.identity import FolderId
from store.messages import storable
from store.model import Sorting, Uid, WireRow
from store.port import Deed, Tx
from store.runs import key


@dataclass(frozen=True, slots=True)
class Rerendered(Deed[None]):
    """Wire octets made again by a newer renderer; rows that are gone are left out."""

    folder: FolderId
    rows: tuple[WireRow, ...]


@dataclass(frozen=True, slots=True)
class SetSorting(Deed[None]):
    """What SORT and THREAD compare, made of octets that were stored before; messages that are gone are left out."""

    folder: FolderId
    rows: tuple[tuple[Uid, Sorting], ...]


@dataclass(frozen=True, slots=True)
class SetPreviews(Deed[None]):
    """The first words, UTF-8, of messages that were stored before; those that are gone are left out."""

    folder: FolderId
    rows: tuple[tuple[Uid, bytes], ...]


@dataclass(frozen=True, slots=True)
class SetLayouts(Deed[None]):
    """Where the parts stand of messages that were stored before; those that are gone are left out."""

    folder: FolderId
    rows: tuple[tuple[Uid, bytes], ...]


def _rerendered(tx: Tx, deed: Rerendered) -> None:
    owner = tx.owner_of(deed.folder)
    tx.many(
        "messages.set_wire",
        [
            {
                "owner": owner,
                "key": key(deed.folder, row.uid),
                "rendering": row.rendering,
                "envelope": row.envelope,
                "structure": row.structure,
                "body": row.body,
            }
            for row in deed.rows
        ],
    )


def _set_previews(tx: Tx, deed: SetPreviews) -> None:
    owner = tx.owner_of(deed.folder)
    tx.many("messages.set_preview", [{"owner": owner, "key": key(deed.folder, uid), "preview": words} for uid, words in deed.rows])


def _set_layouts(tx: Tx, deed: SetLayouts) -> None:
    owner = tx.owner_of(deed.folder)
    tx.many("messages.set_layout", [{"owner": owner, "key": key(deed.folder, uid), "layout": layout} for uid, layout in deed.rows])


def _set_sorting(tx: Tx, deed: SetSorting) -> None:
    owner = tx.owner_of(deed.folder)
    tx.many("messages.set_sorting", [{"owner": owner, "key": key(deed.folder, uid), **sorting_columns(made)} for uid, made in deed.rows])


def sorting_columns(made: Sorting) -> dict[str, Any]:
    """As statements name them."""
    return {
        "sort_version": made.version,
        "sort_from": storable(made.from_),
        "sort_to": storable(made.to),
        "sort_cc": storable(made.cc),
        "sort_shown_from": storable(made.shown_from),
        "sort_shown_to": storable(made.shown_to),
        "sort_subject": storable(made.subject),
        "is_reply": made.is_reply,
        "ancestors": storable(made.ancestors),
    }


DEEDS: Final = (
    (Rerendered, _rerendered),
    (SetPreviews, _set_previews),
    (SetLayouts, _set_layouts),
    (SetSorting, _set_sorting),
)
