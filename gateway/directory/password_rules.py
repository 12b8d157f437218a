"""Setting passwords as the class of service wants them: the one way for every door at which they are set."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from gateway.decisions import new_decision
from gateway.directory import names
from gateway.directory.accounts import AccountChanges, Accounts
from gateway.directory.authority import Matter
from gateway.directory.faults import Code, Fault
from gateway.directory.records import Records
from gateway.refusal import Refused
from policy.cos import ServiceValues, resolve
from policy.identity import AccountId, Address
from policy.passwords import broken_rules, changeable_from
from policy.roles import Operation
from store import cos, domains, passwords
from store.accounts import SetVerifier
from store.audit import AuditEntry
from store.deeds import Audited
from store.errors import Busy, NotFound
from store.model import AccountRow, Verifiers
from store.port import Snapshot, Store

LONGEST_HISTORY: Final = 24
"""Former passwords that a new one is compared with at most: each costs an Argon2."""


class Verify(Protocol):
    """Passwords.verify."""

    def __call__(self, verifier: str, password: bytes, *, recall: bool = True) -> Awaitable[bool]:
        """Is this the password? Raises Refused (BUSY)."""
        ...


Hashed = Callable[[str], Awaitable[Verifiers]]


class PasswordRules:
    """Every method raises Fault, and nothing else that is expected: INVALID_PASSWORD names each rule that is broken.

    `hashed`, where it is given, makes the verifiers of the password (they may be on their way already).
    """

    def __init__(self, store: Store, records: Records, accounts: Accounts, verify: Verify) -> None:
        self._store = store
        self._records = records
        self._accounts = accounts
        self._verify = verify

    async def create(
        self, name: str, password: str, changes: AccountChanges, *, force: bool = False, hashed: Hashed | None = None
    ) -> AccountId:
        """A new account, with a password by the rules of the class of service that it will have; "": nobody logs in. `force`: whatever
        they say."""
        if password and not force:
            address = names.new_address(name)
            matter = Matter(Operation.CREATE_ACCOUNT, made=(address,), attributes=changes.attributes)
            async with self._store.snapshot() as snapshot:
                await self._records.allow(snapshot, matter, str(address))
                rules = await _rules_to_be(snapshot, address, changes)
            _require(broken_rules(password, rules, _own(address, changes.display_name or "")))
        verifiers = await (hashed or self._accounts.verifiers)(password)
        return await self._accounts.create(name, verifiers, changes)

    async def set(self, name: str, password: str, *, force: bool = False, must_change: bool = False, hashed: Hashed | None = None) -> None:
        """By an administrator: by the rules unless `force`, but whatever its age. `must_change`: the person has to set another first."""
        if password and not force:
            async with self._store.snapshot() as snapshot:
                row = await names.account(snapshot, name)
                # First of all: what it may not be tells what it was.
                await self._records.allow(snapshot, Matter(Operation.SET_PASSWORD, accounts=(row.id,)), str(row.address))
            await self.judge(row, password)
        verifiers = await (hashed or self._accounts.verifiers)(password)
        await self._accounts.set_password(name, verifiers, must_change=must_change)

    async def check(self, name: str, password: str) -> None:
        """Would `set` take it, by whoever may set it?"""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, name)
            await self._records.allow(snapshot, Matter(Operation.SET_PASSWORD, accounts=(row.id,)), str(row.address))
        await self.judge(row, password)

    async def change(self, account: AccountId, old: str, new: str) -> None:
        """By the person, who knows the old one: also before it is old enough is refused. What had to be changed is changed with it."""
        async with self._store.snapshot() as snapshot:
            row = await names.account(snapshot, str(account))
            since = await snapshot.ask(passwords.set_at, row.id)
            now = snapshot.now
        if not await self._is(row.verifier, old):
            raise Fault(Code.AUTH_FAILED, names.shown(row.address))
        if not new:
            raise Fault(Code.INVALID_PASSWORD, "it is empty")
        if not row.must_change_password and changeable_from(since, row.values, now) is not None:
            raise Fault(Code.PASSWORD_CHANGE_TOO_SOON, f"passwordMinAge is {row.values.password_min_age} days")
        await self.judge(row, new)
        verifiers = await self._accounts.verifiers(new)
        entry = AuditEntry(
            decision=new_decision(),
            event="password changed",
            allowed=True,
            actor=row.id,
            actor_address=str(row.address),
            principal=row.id,
            principal_address=str(row.address),
            because="it is the actor's own account",
        )
        try:
            await self._store.do(Audited(SetVerifier(row.id, verifiers.argon2, scram=verifiers.scram), (entry,)))
        except NotFound:
            raise Fault(Code.NO_SUCH_ACCOUNT, row.address) from None
        except Busy as busy:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, busy) from None

    async def judge(self, row: AccountRow, password: str) -> None:
        """May this be its new password? For whoever sets it otherwise. Raises Fault that names each rule that is broken."""
        _require(broken_rules(password, row.values, _own(row.address, row.display_name)))
        count = min(row.values.password_enforce_history, LONGEST_HISTORY)
        if not count:
            return
        async with self._store.snapshot() as snapshot:
            earlier = await snapshot.ask(passwords.earlier, row.id, count - 1)
        for verifier in (row.verifier, *earlier):
            if await self._is(verifier, password):
                raise Fault(Code.PASSWORD_RECENTLY_USED, f"passwordEnforceHistory is {row.values.password_enforce_history}")

    async def _is(self, verifier: str, password: str) -> bool:
        try:
            return bool(verifier) and await self._verify(verifier, password.encode(), recall=False)
        except Refused as refused:
            raise Fault(Code.TEMPORARILY_UNAVAILABLE, refused.verdict.detail) from None
        except UnicodeEncodeError:
            raise Fault(Code.INVALID_PASSWORD, "it is not UTF-8") from None


def _require(broken: tuple[str, ...]) -> None:
    if broken:
        raise Fault(Code.INVALID_PASSWORD, "; ".join(broken))


def _own(address: Address, display_name: str) -> set[str]:
    """What everybody knows of the account."""
    return {
        address.local,
        *address.local.replace("-", ".").replace("_", ".").split("."),
        *display_name.split(),
        address.domain.split(".")[0],
    }


async def _rules_to_be(snapshot: Snapshot, address: Address, changes: AccountChanges) -> ServiceValues:
    """Of an account that there is not yet. A class of service or domain that there is not is for the deed to say."""
    if changes.cos:
        row = await names.service_class(snapshot, changes.cos)
    else:
        domain = await snapshot.ask(domains.by_name, address.domain)
        chosen = None if domain is None or domain.cos is None else await snapshot.ask(cos.by_id, domain.cos)
        default = await snapshot.ask(cos.by_id, cos.DEFAULT)
        assert default is not None
        row = chosen or default
    return resolve(changes.values, row.values)
