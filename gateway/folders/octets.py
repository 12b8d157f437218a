"""The octets of stored messages: read for a client, looked through for a search."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.message import envelope as rendering
from gateway.message.kept import has_field, kept_needle
from gateway.message.layout import pack
from gateway.message.preview import preview
from gateway.message.split import end_of_header, read_header, unfolded
from gateway.message.structure import parse
from gateway.message.text import body_texts, decode_header, fold, header_text, message_texts
from policy.identity import FolderId
from store import messages
from store.away import AWAY_AT_ONCE, Wanting
from store.blobs import Files
from store.fulltext import FullText
from store.model import Run
from store.port import Tx
from store.runs import runs_of

IN_PLACE: Final = 64 * 1024
"""Octets read on the loop's own connection at most; more goes to the reader's thread."""
FEW: Final = 32
"""Messages whose rows are read in place; a hop to the reader's thread costs as much as some 30 of them."""
BEGINNING: Final = 8 * 1024
"""Octets read of a message of which the header is wanted: most headers end before. The rest is read where this one does not."""
BATCH: Final = 512
"""Messages whose prepared items are read in one go: some 200 KiB of ENVELOPE."""
LAID_OUT: Final = 8 << 20
"""Octets read in one snapshot to find the parts of messages of which that was not done when they came."""


@dataclass(frozen=True, slots=True)
class Octets:
    """Where large messages lie, and what searches ask instead of octets."""

    files: Files
    index: FullText | None = None


class _Decoding:
    """What search asks of a message's octets."""

    __slots__ = ()

    def header(self, octets: bytes, name: str, text: str) -> bool:
        wanted = name.lower().encode("utf-8", "replace")
        header = read_header(octets)
        return any(text in fold(decode_header(unfolded(octets, field))) for field in header.fields if field.name == wanted)

    def body(self, octets: bytes, text: str) -> bool:
        return not text or any(text in fold(piece) for piece in body_texts(octets, parse(octets)))

    def text(self, octets: bytes, text: str) -> bool:
        if not text or text in fold(header_text(octets, read_header(octets))):
            return True
        return any(text in fold(piece) for piece in message_texts(octets, parse(octets)))

    def needle(self, text: str, *, in_header: bool) -> bytes | None:
        return kept_needle(text, in_header=in_header)

    def field(self, header: bytes, name: str, needle: bytes) -> bool:
        return has_field(header, name, needle)


DECODING: Final = _Decoding()


def few(runs: Sequence[Run]) -> bool:
    """So few messages that reading them in place is no burden on the loop."""
    return sum(high - low + 1 for low, high in runs) <= FEW


def octets_of(tx: Tx, folder: FolderId, uids: Sequence[int], files: Files) -> list[tuple[int, bytes]]:
    """(UID, the whole message) of those that are there."""
    return messages.octets_within(tx, folder, runs_of(sorted(uids)), files)


def beginnings_of(tx: Tx, folder: FolderId, uids: Sequence[int], files: Files) -> list[tuple[int, bytes]]:
    """(UID, so much of the message that its whole header is in it) of those that are there."""
    found: list[tuple[int, bytes]] = []
    for uid, octets in messages.beginnings(tx, folder, runs_of(sorted(uids)), BEGINNING, files):
        count = BEGINNING
        while len(octets) == count and end_of_header(octets) is None:
            count *= 16
            ((uid, octets),) = messages.beginnings(tx, folder, ((uid, uid),), count, files)
        found.append((uid, octets))
    return found


def layouts_of(tx: Tx, folder: FolderId, uids: Sequence[int], files: Files) -> tuple[list[tuple[int, bytes]], int]:
    """(UID, where the parts stand) of as many of these as have a few MiB together; and how many that were, those that are gone among
    them."""
    made: list[tuple[int, bytes]] = []
    spent = 0
    wanting = Wanting()
    for looked_at, uid in enumerate(uids, 1):
        octets = None
        with wanting.noted():
            octets = messages.octets(tx, folder, uid, files)
        if octets is not None:
            made.append((uid, pack(parse(octets))))
            spent += len(octets)
        if spent >= LAID_OUT or len(wanting.wanted) >= AWAY_AT_ONCE:
            wanting.settle()
            return made, looked_at
    wanting.settle()
    return made, len(uids)


def rendered_again(
    tx: Tx, folder: FolderId, uids: Sequence[int], files: Files, item: Callable[[rendering.Rendered], bytes], rev2: bool = False
) -> dict[int, bytes]:
    """The items that an older version rendered, or (`rev2`) the manner of IMAP4rev1, by UID, as they are wanted now."""
    render = rendering.render_rev2 if rev2 else rendering.render
    return {uid: item(render(octets)) for uid, octets in octets_of(tx, folder, uids, files)}


def previews_of(tx: Tx, folder: FolderId, uids: Sequence[int], files: Files) -> list[tuple[int, bytes]]:
    """(UID, the first words) of those that are there, made of their octets."""
    return [(uid, preview(octets, parse(octets)).encode("utf-8", "replace")) for uid, octets in octets_of(tx, folder, uids, files)]
