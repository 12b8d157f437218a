"""The history of logins: when, whence, through which door and how an account was logged in to, or was not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from policy.identity import AccountId
from store.model import LoginRow
from store.port import Deed, Tx

KEPT: Final = 200
"""Rows of an account, of those that went well and of those that failed each: who guesses does not push out who came in."""
TOGETHER: Final = 3600 * 1_000_000
"""Microseconds: logins that are alike in everything but their time stand in one row, which spans no more than this."""


@dataclass(frozen=True, slots=True)
class RecordLogins(Deed[None]):
    """Keeps these, the oldest of the account's giving way. Those of accounts that are gone are passed over. Touches no epoch."""

    rows: tuple[LoginRow, ...]


def of_account(tx: Tx, account: AccountId, admitted: bool | None = None, limit: int = KEPT) -> Sequence[LoginRow]:
    """The newest first. `admitted`: only those that were, or were not."""
    least, most = (0, 1) if admitted is None else (int(admitted), int(admitted))
    return [
        LoginRow(account, first, last, times, source, protocol, mechanism, bool(well), outcome, app_password)
        for first, last, times, source, protocol, mechanism, well, outcome, app_password in tx.all(
            "logins.of_account", account=account, least=least, most=most, limit=limit
        )
    ]


def _record(tx: Tx, deed: RecordLogins) -> None:
    grown: dict[tuple[AccountId, bool], None] = {}
    for row in deed.rows:
        if tx.one("logins.exists", account=row.account) is None:
            continue
        if row.app_password and row.admitted:
            tx.later("app_passwords.used", account=row.account, name=row.app_password, at=row.last)
        alike = {
            "account": row.account,
            "source": row.source,
            "protocol": row.protocol,
            "mechanism": row.mechanism,
            "admitted": int(row.admitted),
            "outcome": row.outcome,
            "app_password": row.app_password,
        }
        there = tx.one("logins.alike", since=row.last - TOGETHER, **alike)
        if there is not None:
            tx.later("logins.again", account=row.account, id=there[0], last=row.last, times=row.times)
        else:
            tx.later("logins.insert", first=row.first, last=row.last, times=row.times, **alike)
            grown[row.account, row.admitted] = None
    for account, admitted in grown:
        tx.later("logins.trim", account=account, admitted=int(admitted), keep=KEPT)


DEEDS = ((RecordLogins, _record),)
