"""What is remembered about logins: failures in the window, the lockout they led to, networks that are known to be good."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from policy.cos import ServiceValues
from policy.identity import AccountId
from policy.login import Failure, FailureHistory, after_failure, is_locked_out
from store import cos
from store.errors import NotFound
from store.model import ScramKeys
from store.port import Deed, Tx

KNOWN_FOR: Final = 30 * 86400 * 1_000_000
"""Microseconds: how long a network from which the account logged in well is known (delegation.md section 8)."""
_NO_FAILURES: Final = FailureHistory()
NOBODYS: Final = -1
"""A scope that no object has and no witness names."""


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """What a login is judged by besides the account's row. `needs_more`: the password is not enough, there is a second factor."""

    history: FailureHistory
    keys: ScramKeys | None
    needs_more: bool


@dataclass(frozen=True, slots=True)
class FailureRecorded:
    """`began`: this very failure led to the lockout, so the account is to get its notice."""

    history: FailureHistory
    began: bool


@dataclass(frozen=True, slots=True)
class RecordFailure(Deed[FailureRecorded]):
    """Counts one failure as `policy.login.after_failure` says, in the transaction, so that concurrent guesses each count.

    Raises NotFound when the account is gone.
    """

    account: AccountId
    failure: Failure


@dataclass(frozen=True, slots=True)
class PretendFailure(Deed[None]):
    """Takes as long as RecordFailure where there is nothing to record: what it writes says nothing, but has to become durable."""


@dataclass(frozen=True, slots=True)
class AdmitUnlessLocked(Deed[bool]):
    """A right password, judged where failures are counted: False when they have locked this network out by now, or the password
    is another (`verifier` is the one it was right for). Else, with `forget`, the failures from this network are forgotten.

    Raises NotFound when the account is gone.
    """

    account: AccountId
    source: str
    verifier: str
    forget: bool


@dataclass(frozen=True, slots=True)
class KeepScramKeys(Deed[bool]):
    """SCRAM keys of the password that `verifier` is of; False, and nothing is kept, where the account has another by now.

    No epoch changes: it is the same password, so no session ends and no judgement is stale.
    """

    account: AccountId
    verifier: str = field(repr=False)
    keys: ScramKeys


@dataclass(frozen=True, slots=True)
class ClearFailures(Deed[None]):
    """`source`: only those from this network; None: all, and the lockout ends (an administrator)."""

    account: AccountId
    source: str | None = None


@dataclass(frozen=True, slots=True)
class RememberSource(Deed[None]):
    """The account logged in well from this network, at the transaction's time. An account that is gone: nothing happens."""

    account: AccountId
    source: str


def history(tx: Tx, account: AccountId) -> FailureHistory:
    """What `policy.login` judges by; failures in the order in which they came."""
    failures = tuple(Failure(at, source, digest) for _, at, source, digest in tx.all("login.failures", account=account))
    lockout = tx.one("login.lockout", account=account)
    known = frozenset(source for (source,) in tx.all("login.known_sources", account=account, since=tx.now - KNOWN_FOR))
    return FailureHistory(failures, None if lockout is None else lockout[0], known)


def facts(tx: Tx, account: AccountId) -> LoginFacts:
    """In one statement where no failure is on record: then there is nothing that a known network could be spared, and none is named."""
    found = tx.one("login.facts", account=account)
    if found is None:
        return LoginFacts(_NO_FAILURES, None, False)
    has_failed, second_factor, salt, *keys = found
    past = history(tx, account) if has_failed else _NO_FAILURES
    return LoginFacts(past, None if salt is None else ScramKeys(salt, *keys), bool(second_factor))


def seen(tx: Tx, account: AccountId, source: str) -> int | None:
    """When the account last logged in well from this network (as far as that was noted down)."""
    found = tx.one("login.seen", account=account, source=source)
    return None if found is None else int(found[0])


def scram_keys(tx: Tx, account: AccountId) -> ScramKeys | None:
    """What SCRAM needs to know of the account's password; None where there is none, or it was set when nobody asked for that."""
    found = tx.one("login.scram_keys", account=account)
    return None if found is None else ScramKeys(*found)


def set_scram_keys(tx: Tx, account: AccountId, keys: ScramKeys | None) -> None:
    """In place of what was there."""
    if keys is None:
        tx.run("login.delete_scram_keys", account=account)
    else:
        tx.run(
            "login.set_scram_keys",
            account=account,
            salt=keys.salt,
            iterations=keys.iterations,
            stored_key=keys.stored_key,
            server_key=keys.server_key,
        )


def forget(tx: Tx, account: AccountId) -> None:
    """All failures and the lockout."""
    tx.run("login.delete_failures", account=account)
    tx.run("login.end_lockout", account=account)


def rules(tx: Tx, account: AccountId) -> ServiceValues:
    """The values in force of an account. Raises NotFound."""
    found = tx.one("login.rules", account=account)
    if found is None:
        raise NotFound(f"account {account}")
    own, inherited = found
    return cos.values_in_force(own, inherited)


def _record(tx: Tx, deed: RecordFailure) -> FailureRecorded:
    in_force = rules(tx, deed.account)
    before = history(tx, deed.account)
    after = after_failure(before, deed.failure, in_force, tx.now)
    if after == before:
        # What does not count takes as long as what does: nobody is to hear whether the account is locked out.
        tx.run("login.pretend", scope=NOBODYS)
        return FailureRecorded(before, False)
    _keep(tx, deed.account, after.failures)
    if after.locked_until is None:
        tx.run("login.end_lockout", account=deed.account)
    elif after.locked_until != before.locked_until:
        tx.run("login.set_lockout", account=deed.account, until=after.locked_until)
    locked_before = before.locked_until is not None and tx.now < before.locked_until
    return FailureRecorded(after, after.locked_until is not None and tx.now < after.locked_until and not locked_before)


def _pretend(tx: Tx, deed: PretendFailure) -> None:
    tx.run("login.pretend", scope=NOBODYS)


def _admit(tx: Tx, deed: AdmitUnlessLocked) -> bool:
    in_force = rules(tx, deed.account)
    verifier = tx.one("login.verifier", account=deed.account)
    if verifier is None or verifier[0] != deed.verifier:
        return False
    if is_locked_out(history(tx, deed.account), in_force, deed.source, tx.now):
        return False
    if deed.forget:
        tx.run("login.delete_failures_of_source", account=deed.account, source=deed.source)
    return True


def _keep_scram_keys(tx: Tx, deed: KeepScramKeys) -> bool:
    verifier = tx.one("login.verifier", account=deed.account)
    if verifier is None or not deed.verifier or verifier[0] != deed.verifier:
        return False
    set_scram_keys(tx, deed.account, deed.keys)
    return True


def _keep(tx: Tx, account: AccountId, failures: Sequence[Failure]) -> None:
    wanted = Counter(failures)
    for number, at, source, digest in tx.all("login.failures", account=account):
        failure = Failure(at, source, digest)
        if wanted[failure] > 0:
            wanted[failure] -= 1
        else:
            tx.run("login.delete_failure", account=account, id=number)
    for failure in wanted.elements():
        tx.run("login.insert_failure", account=account, at=failure.at, source=failure.source, digest=failure.digest)


def _clear(tx: Tx, deed: ClearFailures) -> None:
    if deed.source is None:
        forget(tx, deed.account)
    else:
        tx.run("login.delete_failures_of_source", account=deed.account, source=deed.source)


def _remember(tx: Tx, deed: RememberSource) -> None:
    if tx.run("login.set_last_login", account=deed.account, now=tx.now):
        tx.later("login.remember", account=deed.account, source=deed.source, now=tx.now)
        tx.later("login.forget_sources", account=deed.account, before=tx.now - KNOWN_FOR)


DEEDS = (
    (RecordFailure, _record),
    (PretendFailure, _pretend),
    (AdmitUnlessLocked, _admit),
    (KeepScramKeys, _keep_scram_keys),
    (ClearFailures, _clear),
    (RememberSource, _remember),
)
