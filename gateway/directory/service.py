"""The directory as every door of administration sees it: one service for each kind of object."""

from collections.abc import Awaitable, Callable, Collection

from gateway.clock import Clock
from gateway.delivery import Delivery
from gateway.directory import names as named
from gateway.directory.accounts import Accounts
from gateway.directory.admin_roles import AdminRoles
from gateway.directory.app_passwords import AppPasswords
from gateway.directory.authority import Authority, Matter
from gateway.directory.backups import BackupRuns
from gateway.directory.breakglass import BreakGlass
from gateway.directory.classes import Classes
from gateway.directory.clock import HouseClock
from gateway.directory.deleted_accounts import DeletedAccounts
from gateway.directory.domains import Domains
from gateway.directory.dynamic_groups import DynamicGroups
from gateway.directory.faults import Code, Fault
from gateway.directory.first_access import FirstAccess
from gateway.directory.freezes import Freezes
from gateway.directory.grant_lists import GrantLists
from gateway.directory.list_requests import ListRequests
from gateway.directory.mailboxes import Mailboxes
from gateway.directory.mailing_lists import MailingLists
from gateway.directory.password_rules import PasswordRules, Verify
from gateway.directory.people import People
from gateway.directory.policy_data import PolicyData
from gateway.directory.premises import Premises
from gateway.directory.records import Records
from gateway.directory.second_factors import SecondFactors
from gateway.directory.send_rights import SendRights
from gateway.directory.share_changes import ShareChanges
from gateway.directory.shares import Shares
from gateway.directory.signing_keys import SigningKeys
from gateway.directory.trail import Trail
from gateway.directory.verification import Verification
from gateway.directory.waiting import Waiting
from gateway.folders import Folders
from gateway.recalls import Recalls
from gateway.seals import Seals
from gateway.textrecords import TextRecords
from policy.identity import AccountId, ListId
from policy.roles import Operation
from store.addresses import ObjectKind
from store.model import Verifiers
from store.port import Store


class Directory:
    """`hashed`: a password's verifiers, made in a thread (Passwords.verifiers); `premises`: what is looked after; `texts`: where records
    of keys are looked for, `names`: those in which this server writes besides its domains. Without `recalls` nothing is recalled.
    `seals`: under what the record of decisions is signed. `authority`: whose it is, the operator's unless `acting` gave another.
    `app_password_key` and `totp_key`: of the verifiers of app passwords, and of second factors; `verify`: is this the password
    (Passwords.verify); `steps`: the one clock of this process that sees to what waits, where something may wait."""

    def __init__(
        self,
        store: Store,
        folders: Folders,
        hashed: Callable[[str], Awaitable[Verifiers]],
        delivery: Delivery,
        premises: Premises,
        texts: TextRecords | None = None,
        names: Collection[str] = (),
        recalls: Recalls | None = None,
        seals: Seals | None = None,
        authority: Authority | None = None,
        *,
        app_password_key: bytes = b"",
        totp_key: bytes = b"",
        verify: Verify,
        steps: Clock | None = None,
    ) -> None:
        self._parts = (store, folders, hashed, delivery, premises, texts, names, recalls, seals)
        self._keys = (app_password_key, totp_key)
        self._verify = verify
        self._steps = steps
        self.records = records = Records(store, authority)
        self.authority = records.authority
        self.store = store
        self.domains = Domains(store, records)
        self.classes = Classes(store, records)
        self.accounts = Accounts(store, records, hashed, keep_deleted=premises.keep_deleted)
        self.password_rules = PasswordRules(store, records, self.accounts, verify)
        self.people = People(store, records, self.accounts, self.password_rules)
        self.lists = MailingLists(store, records)
        self.dynamic_groups = DynamicGroups(store, records)
        self.send_rights = SendRights(store, records)
        self.mailboxes = Mailboxes(store, records, folders)
        self.grant_lists = GrantLists(store, records)
        self.shares = Shares(store, records, keep_deleted=premises.keep_deleted)
        self.share_changes = ShareChanges(store, records)
        self.waiting = Waiting(store, records, recalls)
        self.freezes = Freezes(store, records)
        self.list_requests = ListRequests(store, records, delivery)
        self.signing_keys = SigningKeys(store, records, texts or TextRecords(cached=False), names)
        self.second_factors = SecondFactors(store, records, totp_key)
        self.first_access = FirstAccess(store, records, self.accounts, self.password_rules, totp_key)
        self.app_passwords = AppPasswords(store, records, app_password_key)
        self.break_glass = BreakGlass(store, records, delivery.notice)
        self.policy = PolicyData(store, records)
        self.trail = Trail(store, records, seals)
        self.roles = AdminRoles(store, records)
        self.backups = BackupRuns(store, records, premises)
        self.deleted = DeletedAccounts(store, records, premises)
        self.clock = HouseClock(store, records, steps)
        self.verification = Verification(store, records, premises)

    async def acting(self, name: str) -> "Directory":
        """The same directory as this administrator may read and change it. Raises Fault."""
        async with self.store.snapshot() as snapshot:
            row = await named.account(snapshot, name)
        authority = Authority(self.store, row.id, str(row.address))
        app_passwords, totp = self._keys
        return Directory(*self._parts, authority, app_password_key=app_passwords, totp_key=totp, verify=self._verify, steps=self._steps)

    async def concerning(self, operation: Operation, *some: str) -> Matter:
        """The operation on these accounts and lists, by name. Raises Fault where there is none; the operator is not asked for them."""
        found: dict[ObjectKind, list[int]] = {kind: [] for kind in ObjectKind}
        if not self.authority.is_operator:
            async with self.store.snapshot() as snapshot:
                for one in some:
                    there = await named.resolved(snapshot, one)
                    if there is None:
                        raise Fault(Code.NO_SUCH_ACCOUNT, one)
                    found[there.kind].append(there.id)
        return Matter(
            operation,
            accounts=tuple(map(AccountId, found[ObjectKind.ACCOUNT])),
            lists=tuple(map(ListId, found[ObjectKind.LIST])),
        )

    async def told(self, fault: Fault) -> Fault:
        """What may be told of a fault; every door asks before it answers."""
        return await self.authority.told(fault)

    async def allow(self, matter: Matter, about: str = "") -> None:
        """For what is done besides the directory: sessions, explanations. Raises Fault, on record."""
        async with self.store.snapshot() as snapshot:
            await self.records.allow(snapshot, matter, about)

    async def now(self) -> int:
        """Microseconds since 1970 UTC, by the store's clock."""
        async with self.store.snapshot() as snapshot:
            return snapshot.now
