"""App passwords: further passwords of an account, each with its limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any, Final

from policy.identity import AccountId
from policy.rights import Right
from policy.scope import Door, Scope, Sending
from store.errors import Conflict, LimitReached, NotFound
from store.model import AppPasswordRow
from store.port import Deed, Tx

MOST: Final = 50
"""Of an account."""


@dataclass(frozen=True, slots=True)
class CreateAppPassword(Deed[int]):
    """Returns its id, which is never used again (`scope.id` is not looked at). Raises NotFound when the account or the principal is
    gone, Conflict when the account has one of this name or the selector is taken, LimitReached."""

    account: AccountId
    scope: Scope
    selector: str
    verifier: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RevokeAppPassword(Deed[None]):
    """It is good for nothing any more, and sessions that rest on it learn of that. Raises NotFound."""

    account: AccountId
    name: str


@dataclass(frozen=True, slots=True)
class RevokeAllAppPasswords(Deed[int]):
    """All of the account's; returns how many. Raises NotFound when the account is gone."""

    account: AccountId


def by_selector(tx: Tx, selector: str) -> AppPasswordRow | None:
    """Whosever it is; at most one."""
    return _row(tx.one("app_passwords.by_selector", selector=selector))


def by_id(tx: Tx, number: int) -> AppPasswordRow | None:
    """None: revoked."""
    return _row(tx.one("app_passwords.by_id", id=number))


def is_there(tx: Tx, account: AccountId, number: int) -> bool:
    """Does the account (still) have it?"""
    return tx.one("app_passwords.exists", id=number, account=account) is not None


def of_account(tx: Tx, account: AccountId) -> Sequence[AppPasswordRow]:
    """In the order in which they were made, expired ones included."""
    return [row for one in tx.all("app_passwords.of_account", account=account, limit=MOST) if (row := _row(one)) is not None]


def _row(found: Any) -> AppPasswordRow | None:
    if found is None:
        return None
    number, account, name, doors, networks, principal, rights, sending, created, expires, last_used, verifier = found
    scope = Scope(
        number,
        name,
        frozenset(Door(one) for one in doors.split()),
        tuple(ip_network(one) for one in networks.split()),
        principal,
        Right(rights),
        frozenset(Sending(one) for one in sending.split()),
        expires,
    )
    return AppPasswordRow(AccountId(account), scope, created, last_used, verifier)


def _create(tx: Tx, deed: CreateAppPassword) -> int:
    scope = deed.scope
    if tx.one("app_passwords.account", account=deed.account) is None:
        raise NotFound(f"account {deed.account}")
    if scope.principal is not None and tx.one("app_passwords.object", id=scope.principal) is None:
        raise NotFound(f"principal {scope.principal}")
    if tx.one("app_passwords.named", account=deed.account, name=scope.name) is not None:
        raise Conflict(f"app password {scope.name}")
    if tx.one("app_passwords.by_selector", selector=deed.selector) is not None:
        raise Conflict("selector")
    (count,) = tx.one("app_passwords.count", account=deed.account) or (0,)
    if count >= MOST:
        raise LimitReached(f"an account has at most {MOST} app passwords")
    return tx.insert(
        "app_passwords.insert",
        account=deed.account,
        name=scope.name,
        selector=deed.selector,
        verifier=deed.verifier,
        doors=" ".join(sorted(scope.doors)),
        networks=" ".join(map(str, scope.networks)),
        principal=scope.principal,
        rights=int(scope.rights),
        sending=" ".join(sorted(scope.sending)),
        now=tx.now,
        expires=scope.expires,
    )


def _revoke(tx: Tx, deed: RevokeAppPassword) -> None:
    if not tx.run("app_passwords.delete", account=deed.account, name=deed.name):
        raise NotFound(f"app password {deed.name}")
    tx.touch(deed.account)


def _revoke_all(tx: Tx, deed: RevokeAllAppPasswords) -> int:
    if tx.one("app_passwords.account", account=deed.account) is None:
        raise NotFound(f"account {deed.account}")
    count = tx.run("app_passwords.delete_all", account=deed.account)
    tx.touch(deed.account)
    return count


DEEDS = ((CreateAppPassword, _create), (RevokeAppPassword, _revoke), (RevokeAllAppPasswords, _revoke_all))
