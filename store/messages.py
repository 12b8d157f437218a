"""Messages in folders, read: what SELECT, FETCH, SEARCH, SORT and THREAD ask for."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from policy.identity import AccountId, FolderId
from store.away import Wanting
from store.blobs import Files
from store.errors import NotFound
from store.model import BlobId, FolderRow, HeadRow, MessageRow, Run, SortRow, Uid, WireRow
from store.port import Tx
from store.runs import LAST_UID, key, merged, span


@dataclass(frozen=True, slots=True)
class State:
    """Every message of a folder at its `modseq`, in UID order; `flags` and `modseqs` as one actor sees them."""

    modseq: int
    uids: "array[int]"  # 'I'
    flags: "array[int]"  # 'Q'
    modseqs: "array[int]"  # 'Q'


def state(tx: Tx, folder: FolderId, seen_of: AccountId | None = None) -> State:
    """The whole folder; through `work`. Raises NotFound."""
    owner = tx.owner_of(folder)
    row = tx.one("messages.modseq", owner=owner, folder=folder)
    if row is None:
        raise NotFound(f"folder {folder}")
    low, high = span(folder)
    if seen_of is None:
        found = tx.all("messages.state", owner=owner, low=low, high=high)
    else:
        found = tx.all("messages.state_for", owner=owner, low=low, high=high, actor=seen_of)
    uids, flags, modseqs = zip(*found, strict=True) if found else ((), (), ())
    return State(row[0], array("I", uids), array("Q", flags), array("Q", modseqs))


def rows(tx: Tx, folder: FolderId, runs: Sequence[Run], seen_of: AccountId | None = None) -> list[MessageRow]:
    """In UID order; UIDs that are not there are left out, here and in everything below."""
    if seen_of is None:
        return [MessageRow(*row) for row in within(tx, "messages.rows", folder, runs)]
    owner = tx.owner_of(folder)
    return [
        MessageRow(*row)
        for low, high in merged(runs)
        for row in tx.all("messages.rows_for", owner=owner, low=key(folder, low), high=key(folder, high), actor=seen_of)
    ]


def envelopes(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes, int]]:
    """(uid, ENVELOPE, rendering) in UID order."""
    return within(tx, "messages.envelopes", folder, runs)


def structures(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes, int]]:
    """(uid, BODYSTRUCTURE, rendering) in UID order."""
    return within(tx, "messages.structures", folder, runs)


def bodies(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes, int]]:
    """(uid, BODY, rendering) in UID order."""
    return within(tx, "messages.bodies", folder, runs)


def email_ids(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, str]]:
    """(uid, an id that every copy of the same octets has, whoever owns it), in UID order (RFC 8474 section 5.1)."""
    return [(uid, "M" + digest.hex()) for uid, digest in within(tx, "messages.hashes", folder, runs)]


def octets_hash(email_id: str) -> bytes:
    """Of an id as `email_ids` makes it; of any other text nothing that is stored has."""
    try:
        digest = bytes.fromhex(email_id[1:])
    except ValueError:
        return b""
    return digest if email_id == "M" + digest.hex() else b""


def wires(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[WireRow]:
    """ENVELOPE, BODYSTRUCTURE and BODY at once."""
    return [WireRow(*row) for row in within(tx, "messages.wires", folder, runs)]


def heads(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[HeadRow]:
    """The lowered columns, for SORT and THREAD."""
    return [HeadRow(*row) for row in within(tx, "messages.heads", folder, runs)]


def previews(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes | None]]:
    """(uid, the first words in UTF-8) in UID order; None: they were not made yet."""
    return [(uid, None if words is None else bytes(words)) for uid, words in within(tx, "messages.previews", folder, runs)]


def layouts(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[tuple[int, bytes | None]]:
    """(uid, where the parts stand) in UID order; None: it was not made yet."""
    return [(uid, None if layout is None else bytes(layout)) for uid, layout in within(tx, "messages.layouts", folder, runs)]


def sorting(tx: Tx, folder: FolderId, runs: Sequence[Run]) -> list[SortRow]:
    """For SORT and THREAD; through `work`. A row whose `version` is not the one wanted has to be made again from the octets."""
    return [SortRow._make(row) for row in within(tx, "messages.sorting", folder, runs)]


def octets(tx: Tx, folder: FolderId, uid: int, files: Files) -> bytes | None:
    """The whole message; None: it is gone."""
    row = tx.one("messages.octets", owner=tx.owner_of(folder), key=key(folder, uid)) if 0 < uid <= LAST_UID else None
    if row is None:
        return None
    inline, place = row
    return bytes(inline) if inline is not None else files.read(place)


def pieces(tx: Tx, folder: FolderId, uid: int, wanted: Sequence[Run], files: Files) -> list[bytes] | None:
    """The message's octets from each first offset up to the second; None: it is gone. Of what lies in a file no more is read."""
    row = tx.one("messages.octets", owner=tx.owner_of(folder), key=key(folder, uid)) if 0 < uid <= LAST_UID else None
    if row is None:
        return None
    inline, place = row
    return [bytes(inline[low:high]) for low, high in wanted] if inline is not None else files.pieces(place, wanted)


def octets_within(tx: Tx, folder: FolderId, runs: Sequence[Run], files: Files) -> list[tuple[int, bytes]]:
    """(uid, the whole message) in UID order. The caller keeps the sum of their sizes small."""
    found = within(tx, "messages.octets_within", folder, runs)
    wanting = Wanting()
    octets: list[tuple[int, bytes]] = []
    for uid, inline, place in found:
        if inline is not None:
            octets.append((uid, bytes(inline)))
            continue
        with wanting.noted():
            octets.append((uid, files.read(place)))
    wanting.settle()
    return octets


def first_within(tx: Tx, folder: FolderId, low: int, high: int, most: int) -> tuple[list[tuple[int, int]], bool]:
    """(uid, size) of the first messages from one UID to another that have `most` octets together, or of one; and whether these are all."""
    found = tx.all("messages.sizes", owner=tx.owner_of(folder), low=key(folder, low), high=key(folder, high))
    together = 0
    for number, (_, size) in enumerate(found):
        together += size
        if together > most and number:
            return found[:number], False
    return found, True


def beginnings(tx: Tx, folder: FolderId, runs: Sequence[Run], count: int, files: Files) -> list[tuple[int, bytes]]:
    """(uid, the message's first `count` octets) in UID order."""
    found: list[tuple[int, bytes]] = []
    wanting = Wanting()
    owner = tx.owner_of(folder)
    for low, high in merged(runs):
        for uid, inline, place in tx.all("messages.beginnings", owner=owner, low=key(folder, low), high=key(folder, high), count=count):
            if inline is not None or place is None:
                # Nothing of an empty message is NULL, as what lies in a file is.
                found.append((uid, bytes(inline or b"")))
                continue
            with wanting.noted():
                found.append((uid, files.beginning(place, count)))
    wanting.settle()
    return found


def deleted_size(tx: Tx, folder: FolderRow) -> int:
    """Octets that EXPUNGE would free; through `work`, since it looks at every message."""
    if not folder.deleted:
        return 0
    low, high = span(folder.id)
    _, size, *_ = tx.one("stretches.marked", owner=folder.owner, low=low, high=high) or (0, 0)
    return int(size)


def keywords(tx: Tx, folder: FolderId) -> list[tuple[int, str]]:
    """(bit number, name), by bit; the flag is 1 << bit number."""
    return [(bit, name) for bit, name, _ in tx.all("messages.keywords", owner=tx.owner_of(folder), folder=folder)]


def with_message_id(tx: Tx, folder: FolderId, message_id: str) -> list[Uid]:
    """`message_id` in the form of NewMessage.message_id. Looks at every message of the folder: through `work`."""
    low, high = span(folder)
    wanted = {"low": low, "high": high, "message_id": storable(message_id)}
    return [uid for uid, _ in tx.all("messages.with_message_id", owner=tx.owner_of(folder), **wanted)]


def originals(tx: Tx, folders: Sequence[FolderId], message_id: str) -> list[tuple[FolderId, Uid, BlobId]]:
    """Every message with this Message-ID in these folders (delegation.md 5.5); through `work`."""
    found = []
    for folder in folders:
        low, high = span(folder)
        wanted = {"low": low, "high": high, "message_id": storable(message_id)}
        for uid, blob in tx.all("messages.with_message_id", owner=tx.owner_of(folder), **wanted):
            found.append((folder, Uid(uid), BlobId(blob)))
    return found


def storable(text: str) -> str:
    """As it is kept and compared: what is no Unicode (lone surrogates) becomes a question mark, as SQL takes nothing else; for NUL,
    which PostgreSQL does not take, stands U+FFFD."""
    text = text.replace("\0", "\ufffd")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def within(tx: Tx, statement: str, folder: int, runs: Sequence[Run]) -> list[Any]:
    """What a statement with `owner`, `low` and `high` finds in the runs, in UID order."""
    found: list[Any] = []
    owner = tx.owner_of(FolderId(folder))
    for low, high in merged(runs):
        found += tx.all(statement, owner=owner, low=key(folder, low), high=key(folder, high))
    return found
