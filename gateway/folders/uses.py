"""What is a folder for, who may say so, and which entry of metadata says it too (RFC 6154)?"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from gateway.refusal import Refused
from policy.folders import SpecialUse
from policy.identity import AccountId
from policy.reasons import Reason, Refuse
from store import annotations, folders
from store.folders import USE_ENTRY
from store.model import FolderRow
from store.port import Tx

USES: Final[Mapping[bytes, SpecialUse]] = MappingProxyType(
    {
        b"\\Drafts": SpecialUse.DRAFTS,
        b"\\Sent": SpecialUse.SENT,
        b"\\Trash": SpecialUse.TRASH,
        b"\\Junk": SpecialUse.JUNK,
        b"\\Archive": SpecialUse.ARCHIVE,
    }
)
"""What a folder may be for (section 2)."""
ATTRIBUTES: Final[Mapping[SpecialUse, bytes]] = MappingProxyType({use: attribute for attribute, use in USES.items()})

NOT_ONES_OWN: Final = Refuse(Reason.SPECIAL_USE, "what a folder is for is its owner's to say")
TAKEN: Final = Refuse(Reason.SPECIAL_USE, "there is a folder for this already")
_UNKNOWN: Final = Refuse(Reason.SPECIAL_USE, "a folder has one special use, of \\Archive, \\Drafts, \\Junk, \\Sent and \\Trash")
_FIXED: Final = Refuse(Reason.SPECIAL_USE, "this folder cannot serve as another")


def use_named(attributes: Sequence[bytes]) -> SpecialUse | None:
    """Of attributes in any case, those of CREATE or of the entry; None: there is none. Raises Refused: there is no such use, or
    they are several."""
    if not attributes:
        return None
    use = USES.get(attributes[0][:2].upper() + attributes[0][2:].lower())
    if use is None or len(attributes) > 1:
        raise Refused(_UNKNOWN)
    return use


def require_free(tx: Tx, owner: AccountId, use: SpecialUse) -> None:
    """One folder for a use. Raises Refused."""
    if folders.by_special_use(tx, owner, use) is not None:
        raise Refused(TAKEN)


def changed_use(tx: Tx, row: FolderRow, actor: AccountId, value: bytes | None, origin: int) -> folders.SetSpecialUse | None:
    """What it takes to give the entry this value (section 4); None: nothing. Raises Refused, for what CREATE refuses too."""
    if row.owner != actor:
        raise Refused(NOT_ONES_OWN)
    use = use_named((value or b"").split())
    if use is not None and row.special_use is not None and row.special_use not in ATTRIBUTES:
        raise Refused(_FIXED)
    if _spell(row, actor) == (None if use is None else ATTRIBUTES[use]):
        return None
    if use is not None:
        require_free(tx, row.owner, use)
    return folders.SetSpecialUse(row.id, use, origin)


def values(tx: Tx, row: FolderRow, actor: AccountId, entries: Sequence[str], depth: int | None = 0) -> list[tuple[str, bytes | None]]:
    """A folder's entries as store/annotations.py has them, and what it is for; only the owner's folders are for something."""
    found = dict(annotations.values(tx, row.owner, actor, row.id, entries, depth))
    is_asked = USE_ENTRY in entries or (
        depth != 0
        and any(
            USE_ENTRY.startswith(entry + "/") and (depth is None or USE_ENTRY.count("/") <= entry.count("/") + depth) for entry in entries
        )
    )
    if not is_asked:
        return list(found.items())
    use = _spell(row, actor)
    if depth == 0 or use is not None:
        found[USE_ENTRY] = use
    else:
        found.pop(USE_ENTRY, None)
    return list(found.items())


def _spell(row: FolderRow, actor: AccountId) -> bytes | None:
    """As LIST shows it."""
    return None if row.owner != actor or row.special_use is None else ATTRIBUTES.get(row.special_use)
