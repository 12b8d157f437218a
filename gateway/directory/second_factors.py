"""The second factor of an account: enrolled, confirmed, asked for, taken away."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway import totp as codes
from gateway.directory import names
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.sources import network_of
from policy.identity import AccountId
from policy.login import Failure, is_locked_out
from policy.roles import Operation
from store import accounts, login, totp
from store.errors import Busy, Conflict, NotFound
from store.login import RecordFailure
from store.model import AccountRow
from store.port import Store
from store.totp import DisableTotp, EnrolTotp, SetOneTimeCodes, UseOneTimeCode, UseTotp


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app needs; told once. `uri`: as a QR code says it."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


class SecondFactors:
    """Every method raises Fault, and nothing else that is expected. `key`: under which secrets are sealed, 32 octets."""

    def __init__(self, store: Store, records: Records, key: bytes) -> None:
        self._store = store
        self._records = records
        self._key = key

    async def enrol(self, name: str) -> Enrolment:
        """A new secret, which counts once a code of it was shown."""
        row = await self._row(name)
        secret = codes.new_secret()
        words = {Conflict: Fault(Code.SECOND_FACTOR_EXISTS, name), NotFound: Fault(Code.NO_SUCH_ACCOUNT, name)}
        deed = EnrolTotp(row.id, codes.seal(secret, self._key, row.id))
        await self._records.do(deed, "second factor enrolled", str(row.address), matter=_matter(row), principal=row.id, words=words)
        return Enrolment(secret, codes.uri(secret, names.shown(row.address)))

    async def confirm(self, name: str, code: str) -> Sequence[str]:
        """From now on mail clients need app passwords, and sessions that rest on the password end. Returns one-time codes, told once."""
        row = await self._row(name)
        async with self._store.snapshot() as snapshot:
            kept = await snapshot.ask(totp.of_account, row.id)
        if kept is None:
            raise Fault(Code.NO_SUCH_SECOND_FACTOR, name)
        if kept.confirmed:
            raise Fault(Code.SECOND_FACTOR_EXISTS, name)
        step = self._step(row.id, kept.sealed, code)
        if step is None:
            raise Fault(Code.TWO_FACTOR_AUTH_FAILED, "this is no code of now: is the clock right?")
        fresh = codes.one_time_codes()
        deed = UseTotp(row.id, kept.sealed, step, confirm=True, codes=self._verifiers(row.id, fresh))
        if not await self._records.do(deed, "second factor confirmed", str(row.address), matter=_matter(row), principal=row.id):
            raise Fault(Code.TWO_FACTOR_AUTH_FAILED, "this code was used already, or there is another secret")
        return fresh

    async def new_codes(self, name: str) -> Sequence[str]:
        """Other one-time codes, told once; those from before are good for nothing any more."""
        row = await self._row(name)
        fresh = codes.one_time_codes()
        words = {NotFound: Fault(Code.NO_SUCH_SECOND_FACTOR, name)}
        deed = SetOneTimeCodes(row.id, self._verifiers(row.id, fresh))
        await self._records.do(deed, "one-time codes made", str(row.address), matter=_matter(row), principal=row.id, words=words)
        return fresh

    async def disable(self, name: str) -> None:
        """The password is enough again."""
        row = await self._row(name)
        words = {NotFound: Fault(Code.NO_SUCH_SECOND_FACTOR, name)}
        deed = DisableTotp(row.id)
        await self._records.do(deed, "second factor disabled", str(row.address), matter=_matter(row), principal=row.id, words=words)

    async def status(self, name: str) -> tuple[bool | None, int]:
        """Confirmed, enrolled only (False) or none (None); and how many one-time codes are left."""
        row = await self._row(name)
        async with self._store.snapshot() as snapshot:
            kept = await snapshot.ask(totp.of_account, row.id)
            return None if kept is None else kept.confirmed, await snapshot.ask(totp.codes_left, row.id)

    async def verify(self, account: AccountId, code: str, address: str) -> bool:
        """For pages and the API, after the password: is this a code of now that nobody has used, or a one-time code? Each is taken once.
        A wrong one counts as a failed login, and during a lockout none is right. `address`: of the peer."""
        source = network_of(address)
        async with self._store.snapshot() as snapshot:
            row = await snapshot.ask(accounts.by_id, account)
            kept, now = await snapshot.ask(totp.of_account, account), snapshot.now
            history = await snapshot.ask(login.history, account)
        if row is None or kept is None or not kept.confirmed or is_locked_out(history, row.values, source, now):
            return False
        step = self._step(account, kept.sealed, code)
        try:
            if step is not None:
                return await self._store.do(UseTotp(account, kept.sealed, step))
            if await self._store.do(UseOneTimeCode(account, codes.code_verifier(code, self._key, account))):
                return True
            await self._store.do(RecordFailure(account, Failure(now, source, None)))
        except NotFound:
            return False
        except Busy as busy:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, busy) from None
        return False

    async def _row(self, name: str) -> AccountRow:
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, _matter(row), str(row.address))
            return row

    def _step(self, account: AccountId, sealed: bytes, code: str) -> int | None:
        """By the machine's clock, not by the time that goes on behind one that was set back: codes are dated by the clock of a telephone.
        None is taken twice whatever the clock says, for the store knows the last step that was used."""
        try:
            return codes.step_of(codes.unseal(sealed, self._key, account), code, self._store.floor.machine())
        except codes.Unsealable:
            raise Fault(Code.TWO_FACTOR_AUTH_FAILED, "the secret was sealed with another secret.key: disable it, and enrol again") from None

    def _verifiers(self, account: AccountId, fresh: Sequence[str]) -> tuple[bytes, ...]:
        return tuple(codes.code_verifier(one, self._key, account) for one in fresh)


def _matter(row: AccountRow) -> Matter:
    return Matter(Operation.MANAGE_ONE_TIME_CODES, accounts=(row.id,))
