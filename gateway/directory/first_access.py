"""One-time codes for the first access: told by an administrator, good once for setting one's own password."""

from dataclasses import dataclass, field
from typing import Any, Final

from gateway import totp as codes
from gateway.decisions import new_decision
from gateway.directory import names
from gateway.directory.accounts import Accounts
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.password_rules import PasswordRules
from gateway.directory.records import Records
from gateway.sources import network_of
from policy.login import Failure, is_locked_out
from policy.roles import Operation
from policy.status import login_after_password
from store import first_access, login
from store.accounts import SetVerifier
from store.audit import AuditEntry
from store.deeds import Audited
from store.errors import Busy, NotFound
from store.first_access import SetFirstAccessCode, UseFirstAccessCode
from store.login import RecordFailure
from store.port import Deed, Store

LIFETIME: Final = 72 * 3600
LONGEST: Final = 30 * 86_400
"""Seconds: whoever needs longer asks for another."""


@dataclass(frozen=True, slots=True)
class FirstAccessCode:
    """Told once. `expires`: microseconds since 1970 UTC."""

    code: str = field(repr=False)
    expires: int


class FirstAccess:
    """Every method raises Fault, and nothing else that is expected. `key`: of the hashes that are kept."""

    def __init__(self, store: Store, records: Records, accounts: Accounts, rules: PasswordRules, key: bytes) -> None:
        self._store = store
        self._records = records
        self._accounts = accounts
        self._rules = rules
        self._key = key

    async def issue(self, name: str, until: int | None = None) -> FirstAccessCode:
        """For an account without a password, or whose password must be changed, by whoever may set its password. Another code that it
        had is good for nothing any more. `until`: microseconds, LIFETIME from now where it is None."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            matter = Matter(Operation.SET_PASSWORD, accounts=(row.id,))
            await self._records.allow(snapshot, matter, str(row.address))
            now = snapshot.now
        if row.verifier and not row.must_change_password:
            raise Fault(
                Code.INVALID_REQUEST,
                f"{name} has a password of its own; setPassword sets another, modifyAccount mustChangePassword TRUE asks for a code again",
            )
        expires = now + LIFETIME * 1_000_000 if until is None else until
        if not now < expires <= now + LONGEST * 1_000_000:
            raise Fault(Code.INVALID_REQUEST, "a code ends in the future, and within 30 days")
        code = codes.one_time_codes()[0]
        deed = SetFirstAccessCode(row.id, codes.code_verifier(code, self._key, row.id), expires)
        await self._records.do(deed, "first access code made", str(row.address), matter=matter, principal=row.id)
        return FirstAccessCode(code, expires)

    async def pending(self, name: str) -> int | None:
        """Until when the account has a code; None: it has none."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.SET_PASSWORD, accounts=(row.id,)), str(row.address))
            return await snapshot.ask(first_access.expires, row.id)

    async def use(self, name: str, code: str, password: str, address: str) -> None:
        """By the person: sets the password, by the rules of its class of service (INVALID_PASSWORD leaves the code good).

        An account that there is not, a wrong code, one that is over or was used, a lockout: AUTH_FAILED, always the same. A wrong one
        counts as a failed login. `address`: of the peer.
        """
        wrong = Fault(Code.AUTH_FAILED, name)
        source = network_of(address)
        async with self._store.snapshot() as snapshot:
            try:
                row = await names.account(snapshot, name)
            except Fault:
                row = None
        if row is None:
            await self._failed(login.PretendFailure())
            raise wrong
        async with self._store.snapshot() as snapshot:
            verifier = codes.code_verifier(code, self._key, row.id)
            right = await snapshot.ask(first_access.is_right, row.id, verifier)
            history, now = await snapshot.ask(login.history, row.id), snapshot.now
        if is_locked_out(history, row.values, source, now):
            raise wrong
        if not right:
            await self._failed(RecordFailure(row.id, Failure(now, source, None)))
            raise wrong
        refusal = login_after_password(row.status)
        if refusal is not None:
            raise Fault(Code.PERM_DENIED, f"the account is {row.status}")
        if not password:
            raise Fault(Code.INVALID_PASSWORD, "it is empty")
        await self._rules.judge(row, password)
        verifiers = await self._accounts.verifiers(password)
        deed = UseFirstAccessCode(verifier, SetVerifier(row.id, verifiers.argon2, scram=verifiers.scram))
        entry = AuditEntry(
            decision=new_decision(),
            event="password changed",
            allowed=True,
            actor=row.id,
            actor_address=str(row.address),
            principal=row.id,
            principal_address=str(row.address),
            source=address,
            because="by a one-time code for the first access",
        )
        try:
            await self._store.do(Audited(deed, (entry,)))
        except NotFound:
            raise wrong from None
        except Busy as busy:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, busy) from None

    async def _failed(self, deed: Deed[Any]) -> None:
        try:
            await self._store.do(deed)
        except NotFound:
            pass
        except Busy as busy:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, busy) from None
