"""The directory as every door of administration sees it: one service for each kind of object."""

from collections.abc import Awaitable, Callable, Collection

from gateway.directory.accounts import Accounts
from gateway.directory.app_passwords import AppPasswords
from gateway.directory.classes import Classes
from gateway.directory.domains import Domains
from gateway.directory.mailboxes import Mailboxes
from gateway.directory.mailing_lists import MailingLists
from gateway.directory.password_rules import PasswordRules, Verify
from gateway.directory.records import Records
from gateway.directory.send_rights import SendRights
from gateway.directory.signing_keys import SigningKeys
from gateway.directory.trail import Trail
from gateway.directory.waiting import Waiting
from gateway.folders import Folders
from gateway.textrecords import TextRecords
from store.model import Verifiers
from store.port import Store


class Directory:
    """`hashed`: a password's verifiers, made in a thread (Passwords.verifiers); `texts`: where records of keys are looked for; `names`:
    those in which this server writes besides its domains; `app_password_key`: of the verifiers of app passwords; `verify`: is this the
    password (Passwords.verify). Every change is on record as the operator's."""

    def __init__(
        self,
        store: Store,
        folders: Folders,
        hashed: Callable[[str], Awaitable[Verifiers]],
        texts: TextRecords | None = None,
        names: Collection[str] = (),
        *,
        app_password_key: bytes = b"",
        verify: Verify,
    ) -> None:
        self.records = records = Records(store)
        self.store = store
        self.domains = Domains(store, records)
        self.classes = Classes(store, records)
        self.accounts = Accounts(store, records, hashed)
        self.password_rules = PasswordRules(store, self.accounts, verify)
        self.lists = MailingLists(store, records)
        self.send_rights = SendRights(store, records)
        self.mailboxes = Mailboxes(store, records, folders)
        self.waiting = Waiting(store, records)
        self.signing_keys = SigningKeys(store, records, texts or TextRecords(cached=False), names)
        self.app_passwords = AppPasswords(store, records, app_password_key)
        self.trail = Trail(store)

    async def now(self) -> int:
        """Microseconds since 1970 UTC, by the store's clock."""
        async with self.store.snapshot() as snapshot:
            return snapshot.now
