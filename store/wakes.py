"""Events as one node writes them down for the others: numbers, and nothing that somebody wrote."""

import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from policy.identity import AccountId, FolderId
from store.port import (
    ClockAccepted,
    Event,
    EverythingChanged,
    FolderChanged,
    FoldersChanged,
    MetadataChanged,
    PolicyChanged,
    QueueChanged,
    RoomTaken,
)


def spelled(events: Sequence[Event]) -> str:
    """JSON."""
    return json.dumps([_spelled(event) for event in events], separators=(",", ":"))


def read(text: str) -> Sequence[Event]:
    """What another node spelled; what cannot be understood (it is a newer one) means that everything changed."""
    try:
        return [_READ[kind](*rest) for kind, *rest in json.loads(text)]
    except (ValueError, TypeError, KeyError):
        return [EverythingChanged()]


def _spelled(event: Event) -> list[Any]:
    match event:
        case PolicyChanged(scopes):
            return ["policy", *sorted(scopes)]
        case FolderChanged(folder, modseq):
            return ["folder", folder, modseq]
        case FoldersChanged(owner):
            return ["folders", owner]
        case MetadataChanged(owner, folder, actor, entries, _):
            # Whose session did it is known by numbers of that node only.
            return ["metadata", owner, folder, actor, *entries]
        case QueueChanged(at_once):
            return ["queue", int(at_once)]
        case RoomTaken(owner):
            return ["room", owner]
        case EverythingChanged():
            return ["everything"]
        case ClockAccepted(accepted):
            return ["clock", accepted]


_READ: Final[Mapping[str, Callable[..., Event]]] = MappingProxyType(
    {
        "policy": lambda *scopes: PolicyChanged(frozenset(int(one) for one in scopes)),
        "folder": lambda folder, modseq: FolderChanged(FolderId(int(folder)), int(modseq)),
        "folders": lambda owner: FoldersChanged(AccountId(int(owner))),
        "metadata": lambda owner, folder, actor, *entries: MetadataChanged(
            AccountId(int(owner)), FolderId(int(folder)), AccountId(int(actor)), tuple(str(entry) for entry in entries)
        ),
        "queue": lambda at_once: QueueChanged(bool(at_once)),
        "room": lambda owner: RoomTaken(AccountId(int(owner))),
        "everything": EverythingChanged,
        "clock": lambda accepted: ClockAccepted(int(accepted)),
    }
)
