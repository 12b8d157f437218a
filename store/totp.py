"""Second factors: the sealed secret of an account, the codes that are used up, one-time codes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from policy.identity import AccountId
from store.errors import Conflict, NotFound
from store.port import Deed, Tx

STEP: Final = 30 * 1_000_000
"""Microseconds."""
KEPT: Final = 31 * 86_400 * 1_000_000
"""Microseconds from a step's moment for which it is known that it was used, whatever the last one is then."""
_FOLLOWED: Final = 1000
"""Steps that were used ahead of the time: of somebody with more nothing is undone, and an operator's transaction stays short."""


@dataclass(frozen=True, slots=True)
class TotpRow:
    """`sealed`: only the gateway can open it. Unconfirmed, it is asked of nobody. `last_step`: 30 seconds each, since 1970."""

    sealed: bytes = field(repr=False)
    confirmed: bool
    last_step: int


@dataclass(frozen=True, slots=True)
class EnrolTotp(Deed[None]):
    """A secret that is still to be confirmed. Raises NotFound, and Conflict where one is confirmed."""

    account: AccountId
    sealed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class UseTotp(Deed[bool]):
    """A right code of this step, of this very secret; False: it was used already, or a later one (see `clock_was_ahead`). `confirm`: the
    secret counts from now on, `codes` become its one-time codes, and sessions that rest on the password alone learn of it."""

    account: AccountId
    sealed: bytes = field(repr=False)
    step: int
    confirm: bool = False
    codes: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class UseOneTimeCode(Deed[bool]):
    """False: there is no such code (any more)."""

    account: AccountId
    verifier: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SetOneTimeCodes(Deed[None]):
    """In place of those there were. Raises NotFound where no second factor is confirmed."""

    account: AccountId
    verifiers: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DisableTotp(Deed[None]):
    """With its one-time codes. Raises NotFound."""

    account: AccountId


def of_account(tx: Tx, account: AccountId) -> TotpRow | None:
    """None: the password is all there is."""
    found = tx.one("totp.of_account", account=account)
    return None if found is None else TotpRow(found[0], bool(found[1]), found[2])


def is_required(tx: Tx, account: AccountId) -> bool:
    """Is the password not enough?"""
    found = tx.one("totp.of_account", account=account)
    return found is not None and bool(found[1])


def codes_left(tx: Tx, account: AccountId) -> int:
    """One-time codes that were not used."""
    (count,) = tx.one("totp.codes", account=account) or (0,)
    return int(count)


def _enrol(tx: Tx, deed: EnrolTotp) -> None:
    if tx.one("totp.account", account=deed.account) is None:
        raise NotFound(f"account {deed.account}")
    if is_required(tx, deed.account):
        raise Conflict("there is a second factor")
    tx.run("totp.put", account=deed.account, sealed=deed.sealed)


def clock_was_ahead(tx: Tx, moment: int) -> None:
    """The clock is right, and says `moment` (microseconds since 1970 UTC): steps that cannot have come yet were used under one that was
    ahead, and the last one that counts is the last before them. Each of them stays used for KEPT beyond its own time, by a clock that was
    believed: another one that is ahead by more than that, and believed, would let one be taken twice. Where not all of them are known any
    more all stays as it is."""
    newest = moment // STEP + 1
    for account, sealed, last in tx.all("totp.ahead", step=newest):
        step = _last_before(tx, sealed, last, newest)
        if step is not None:
            tx.run("totp.set_last", account=account, step=step)


def _last_before(tx: Tx, sealed: bytes, last: int, newest: int) -> int | None:
    for _ in range(_FOLLOWED):
        if last <= newest:
            return last
        found = tx.one("totp.spent", key=_mark(sealed, last))
        if found is None:
            return None
        last = int(found[0])
    return None


def _mark(sealed: bytes, step: int) -> str:
    """Of a step of this secret, among what is accepted once. Sealed anew it is another one."""
    return f"totp {sha256(sealed).hexdigest()[:32]} {step}"


def _use(tx: Tx, deed: UseTotp) -> bool:
    mark, before = _mark(deed.sealed, deed.step), of_account(tx, deed.account)
    if before is None or tx.one("totp.spent", key=mark) is not None:
        return False
    if not tx.run("totp.used", account=deed.account, step=deed.step, sealed=deed.sealed):
        return False
    tx.run("totp.spend", key=mark, at=deed.step * STEP + KEPT, before=str(before.last_step))
    if deed.confirm:
        tx.run("totp.confirmed", account=deed.account)
        _put_codes(tx, deed.account, deed.codes)
        tx.touch(deed.account)
    return True


def _use_code(tx: Tx, deed: UseOneTimeCode) -> bool:
    return bool(tx.run("totp.use_code", account=deed.account, verifier=deed.verifier))


def _set_codes(tx: Tx, deed: SetOneTimeCodes) -> None:
    if not is_required(tx, deed.account):
        raise NotFound("second factor")
    _put_codes(tx, deed.account, deed.verifiers)


def _put_codes(tx: Tx, account: AccountId, verifiers: Sequence[bytes]) -> None:
    tx.run("totp.delete_codes", account=account)
    for verifier in verifiers:
        tx.run("totp.put_code", account=account, verifier=verifier)


def _disable(tx: Tx, deed: DisableTotp) -> None:
    if not tx.run("totp.delete", account=deed.account):
        raise NotFound("second factor")
    tx.run("totp.delete_codes", account=deed.account)
    tx.touch(deed.account)


DEEDS = (
    (EnrolTotp, _enrol),
    (UseTotp, _use),
    (UseOneTimeCode, _use_code),
    (SetOneTimeCodes, _set_codes),
    (DisableTotp, _disable),
)
