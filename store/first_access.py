"""A code with which somebody who has no password yet, or must set another, sets one: once, and for a while."""

from dataclasses import dataclass, field

from policy.identity import AccountId
from store import accounts
from store.accounts import SetVerifier
from store.errors import NotFound
from store.port import Deed, Tx


@dataclass(frozen=True, slots=True)
class SetFirstAccessCode(Deed[None]):
    """In the place of an earlier one. `expires`: microseconds since 1970 UTC. Raises NotFound for the account."""

    account: AccountId
    verifier: bytes = field(repr=False)
    expires: int


@dataclass(frozen=True, slots=True)
class UseFirstAccessCode(Deed[None]):
    """The password is set, and the code is good for nothing more. Raises NotFound: it is no code of now."""

    verifier: bytes = field(repr=False)
    setting: SetVerifier


def expires(tx: Tx, account: AccountId) -> int | None:
    """Until when there is a code; None: there is none."""
    found = tx.one("first_access.of_account", account=account)
    return None if found is None or found[1] <= tx.now else int(found[1])


def is_right(tx: Tx, account: AccountId, verifier: bytes) -> bool:
    """Could it be used now? Verifiers are keyed hashes: how long comparing takes tells nothing."""
    found = tx.one("first_access.of_account", account=account)
    return found is not None and bytes(found[0]) == verifier and found[1] > tx.now


def _set(tx: Tx, deed: SetFirstAccessCode) -> None:
    if tx.one("accounts.exists", id=deed.account) is None:
        raise NotFound(f"account {deed.account}")
    tx.run("first_access.put", account=deed.account, verifier=deed.verifier, expires=deed.expires)


def _use(tx: Tx, deed: UseFirstAccessCode) -> None:
    if not is_right(tx, deed.setting.account, deed.verifier):
        raise NotFound("code")
    accounts.set_verifier(tx, deed.setting)


DEEDS = ((SetFirstAccessCode, _set), (UseFirstAccessCode, _use))
