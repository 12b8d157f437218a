"""Which names a subscriber subscribed to, and which computed subscriptions they do not want."""

from dataclasses import dataclass
from typing import Final

from policy.identity import AccountId
from store import outlines
from store.errors import LimitReached
from store.port import Deed, Tx

MAX_SUBSCRIPTIONS: Final = 10_000


def of_subscriber(tx: Tx, subscriber: AccountId) -> dict[tuple[AccountId, str], bool]:
    """(owner, path) -> True: subscribed, whether the folder exists or not (RFC 3501 6.3.6); False: a computed one not wanted."""
    return {(AccountId(owner), path): wanted == 1 for owner, path, wanted in tx.all("subscriptions.of_subscriber", subscriber=subscriber)}


@dataclass(frozen=True, slots=True)
class Subscribe(Deed[None]):
    """Stored by name; ends an opt-out. Raises LimitReached."""

    subscriber: AccountId
    owner: AccountId
    path: str


@dataclass(frozen=True, slots=True)
class Unsubscribe(Deed[None]):
    """`computed`: a grant subscribes for them, so that not wanting it must be remembered. Raises LimitReached."""

    subscriber: AccountId
    owner: AccountId
    path: str
    computed: bool = False


def _subscribe(tx: Tx, deed: Subscribe) -> None:
    _set(tx, deed.subscriber, deed.owner, deed.path, wanted=True)


def _unsubscribe(tx: Tx, deed: Unsubscribe) -> None:
    if deed.computed:
        _set(tx, deed.subscriber, deed.owner, deed.path, wanted=False)
    elif tx.run("subscriptions.delete", subscriber=deed.subscriber, owner=deed.owner, path=deed.path):
        outlines.changed(tx, deed.subscriber)


def _set(tx: Tx, subscriber: AccountId, owner: AccountId, path: str, *, wanted: bool) -> None:
    (count,) = tx.one("subscriptions.how_many", subscriber=subscriber) or (0,)
    if count >= MAX_SUBSCRIPTIONS:
        raise LimitReached(f"{MAX_SUBSCRIPTIONS} subscriptions")
    tx.run("subscriptions.set", subscriber=subscriber, owner=owner, path=path, wanted=wanted)
    outlines.changed(tx, subscriber)


DEEDS: Final = ((Subscribe, _subscribe), (Unsubscribe, _unsubscribe))
