"""When the password of an account was set, and the verifiers of those it had before."""

from collections.abc import Sequence

from policy.identity import AccountId
from store import login
from store.port import Tx


def set_at(tx: Tx, account: AccountId) -> int | None:
    """Microseconds since 1970 UTC; None: there is no password."""
    found = tx.one("passwords.set_at", account=account)
    return None if found is None else int(found[0])


def earlier(tx: Tx, account: AccountId, limit: int) -> Sequence[str]:
    """Verifiers of former passwords, the newest first; so many as were kept."""
    return [verifier for (verifier,) in tx.all("passwords.earlier", account=account, limit=limit)]


def replacing(tx: Tx, account: AccountId, verifier: str) -> None:
    """Before the account gets this verifier (within the deed at hand): the one it has becomes history, as far as history is kept."""
    before = tx.one("passwords.current", account=account)
    keep = max(0, login.rules(tx, account).password_enforce_history - 1)
    if keep and before is not None and before[0]:
        tx.run("passwords.keep", account=account, verifier=before[0])
    tx.run("passwords.trim", account=account, keep=keep)
    mark(tx, account, verifier)


def mark(tx: Tx, account: AccountId, verifier: str) -> None:
    """The age begins; an account without a password has none."""
    if verifier:
        tx.run("passwords.set", account=account, now=tx.now)
    else:
        tx.run("passwords.unset", account=account)
