"""Which folders an owner has and which names somebody follows, as LIST shows them: that this changed is told, and counted.

The count is an epoch like those of policy, so that a witness can rest on it, under a scope of its own: it makes no judgement stale.
"""

from policy.identity import AccountId
from store.port import FoldersChanged, Tx


def scope(account: AccountId) -> int:
    """Under which the changes of the account's folders and subscriptions are counted."""
    return -account


def changed(tx: Tx, account: AccountId) -> None:
    """Folders of this owner were made, renamed, switched or deleted, or his subscriptions changed."""
    tx.run("outlines.count", scope=scope(account))
    tx.wake(FoldersChanged(account))
