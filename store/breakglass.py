"""Windows in which administrators may log in as somebody: opened with a reason, kept when they are over."""

from collections.abc import Sequence
from dataclasses import dataclass

from policy.breakglass import Window
from policy.identity import AccountId
from store.errors import Conflict, NotFound
from store.port import Deed, Tx


@dataclass(frozen=True, slots=True)
class OpenWindow(Deed[Window]):
    """`expires` in microseconds. Raises NotFound for an account, Conflict without a reason, or when it would end before it begins."""

    account: AccountId
    administrator: AccountId
    reason: str
    expires: int


@dataclass(frozen=True, slots=True)
class CloseWindow(Deed[bool]):
    """False: it was over already. Raises NotFound."""

    window: int


def open_windows(tx: Tx, account: AccountId, administrator: AccountId) -> Sequence[Window]:
    """Those of this administrator on this account that are open now."""
    return [Window(*row) for row in tx.all("breakglass.open", account=account, administrator=administrator, now=tx.now)]


def by_id(tx: Tx, window: int) -> Window | None:
    """None where there is none."""
    row = tx.one("breakglass.by_id", id=window)
    return None if row is None else Window(*row)


def newest(tx: Tx, limit: int = 200) -> Sequence[Window]:
    """Those that are over too, newest first."""
    return [Window(*row) for row in tx.all("breakglass.newest", limit=limit)]


def _open(tx: Tx, deed: OpenWindow) -> Window:
    for account in (deed.account, deed.administrator):
        if tx.one("accounts.exists", id=account) is None:
            raise NotFound(f"account {account}")
    if not deed.reason.strip() or deed.expires <= tx.now or deed.account == deed.administrator:
        raise Conflict("a window needs a reason, an end that is to come, and another's account")
    made = tx.insert(
        "breakglass.insert",
        account=deed.account,
        administrator=deed.administrator,
        reason=deed.reason,
        opened=tx.now,
        expires=deed.expires,
    )
    tx.touch(deed.account, deed.administrator)
    return Window(made, deed.account, deed.administrator, deed.reason, tx.now, deed.expires)


def _close(tx: Tx, deed: CloseWindow) -> bool:
    window = by_id(tx, deed.window)
    if window is None:
        raise NotFound(f"window {deed.window}")
    closed = bool(tx.run("breakglass.close", account=window.account, id=deed.window, now=tx.now))
    if closed:
        tx.touch(window.account, window.administrator)
    return closed


DEEDS = ((OpenWindow, _open), (CloseWindow, _close))
