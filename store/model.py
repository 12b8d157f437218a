"""The frozen rows that the store hands out. Times are microseconds since 1970 UTC, sizes are octets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import NamedTuple, NewType

from policy.cos import ServiceValues
from policy.folders import SpecialUse
from policy.identity import AccountId, Address, CosId, DomainId, FolderId, ListId
from policy.lists import BounceHistory
from policy.quota import NO_LIMITS, UNLIMITED_ROOM, DomainLimits, DomainRoom
from policy.scope import Scope
from policy.status import AccountStatus, DomainStatus

BlobId = NewType("BlobId", int)
Uid = NewType("Uid", int)
QueueId = NewType("QueueId", int)
Run = tuple[int, int]
"""UIDs lo..hi, both included: how sets of UIDs travel."""


class Flag(IntFlag):
    """The system flags' bits; keywords take bits 5 to 62 by the folder's `keyword` table. \\Recent is no stored flag."""

    SEEN = 1
    ANSWERED = 2
    FLAGGED = 4
    DELETED = 8
    DRAFT = 16


FIRST_KEYWORD_BIT = 5
KEYWORDS_PER_FOLDER = 58


@dataclass(frozen=True, slots=True)
class DomainRow:
    """`alias_of`: mail to it is mail to that domain; `cos`: of accounts that have none of their own."""

    id: DomainId
    name: str  # A-label
    alias_of: DomainId | None
    status: DomainStatus
    cos: CosId | None
    delimiter: str
    note: str
    max_accounts: int  # 0: no limit
    created: int
    limits: DomainLimits = NO_LIMITS
    used: int = 0  # by all its accounts; counted while there is an aggregate quota
    warned: int = 0  # when somebody was told that it is nearly used up; 0: never


@dataclass(frozen=True, slots=True)
class CosRow:
    """A class of service; `values` as policy.cos.resolve takes them."""

    id: CosId
    name: str
    note: str
    values: Mapping[str, str]
    created: int


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 section 3, RFC 7677); whoever has it can guess, not log in.

    `stored_key` and `server_key` have 32 octets.
    """

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verifiers:
    """What is stored in place of a password. `argon2` "": nobody logs in with one; `scram` None: not by SCRAM."""

    argon2: str = field(default="", repr=False)
    scram: ScramKeys | None = None


@dataclass(frozen=True, slots=True)
class AppPasswordRow:
    """A further password of an account and its limits. `last_used`: to within some seconds."""

    account: AccountId
    scope: Scope
    created: int
    last_used: int | None
    verifier: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LoginRow:
    """So many logins that were alike, from the first to the last (microseconds since 1970 UTC). `source`: an IP address, empty for a
    Unix socket; `outcome`: in few words; `app_password`: the name of the one that was used, empty for another credential."""

    account: AccountId
    first: int
    last: int
    times: int
    source: str
    protocol: str
    mechanism: str
    admitted: bool
    outcome: str
    app_password: str = ""


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account, its status already overlaid by the domain's, its values already resolved.

    `own_status` and `own_values` are what is stored on the account itself; `own_cos` None: by its domain, else `default`.
    `values.quota` is the least of its own or inherited one and the largest that its domain gives.
    """

    id: AccountId
    address: Address
    display_name: str
    domain: DomainId
    own_status: AccountStatus
    status: AccountStatus
    own_cos: CosId | None
    cos: CosId
    own_values: Mapping[str, str]
    values: ServiceValues
    verifier: str  # argon2 encoded; "" where there is no password: nobody logs in
    must_change_password: bool
    is_global_administrator: bool
    used: int
    note: str
    created: int
    last_login: int | None
    domain_room: DomainRoom = UNLIMITED_ROOM


@dataclass(frozen=True, slots=True)
class ListRow:
    """A mailing list, which is a group too. Members are read apart."""

    id: ListId
    address: Address
    display_name: str
    domain: DomainId
    note: str
    owners: Sequence[AccountId]
    attributes: Mapping[str, str]
    created: int


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a list: a local object, or an external address."""

    id: int | None
    address: Address


class RequestKind(StrEnum):
    """What is asked."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    POST = "post"


class Stage(StrEnum):
    """Whom it waits for: whoever asked, the owners, or (a post that was let through) the queue."""

    CONFIRM = "confirm"
    OWNERS = "owners"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class ListRequest:
    """`address`: who is to be a member (or none any more), or who posted. `queue`: where a post's octets wait. Times: microseconds
    since 1970."""

    key: str
    list: ListId
    kind: RequestKind
    stage: Stage
    address: Address
    subject: str
    queue: QueueId | None
    created: int
    expires: int


@dataclass(frozen=True, slots=True)
class BouncingMember:
    """A member elsewhere; `history` None: nothing has come back. `reason`: what the last bounce said."""

    id: int
    list: ListId
    address: Address
    history: BounceHistory | None
    reason: str


@dataclass(frozen=True, slots=True)
class FolderRow:
    """`path` "/" is the mailbox root, "/INBOX", "/Posta/2026" below it. The root holds no messages and is never listed.

    `modseq`: the folder's highest; `recent_from`: the first UID no session has been told of as \\Recent.
    `unseen`, `deleted`: counts by shared flags. `noselect`: deleted while it had children; `born` tells its lives apart when it
    is made again (0: the first).
    """

    id: FolderId
    owner: AccountId
    path: str
    uidvalidity: int
    uidnext: int
    modseq: int
    exists: int
    unseen: int
    deleted: int
    size: int
    recent_from: int
    special_use: SpecialUse | None
    no_inherit: bool
    seen_private: bool
    subscribe_auto: bool
    noselect: bool
    born: int = 0


class FolderNumbers(NamedTuple):
    """What of a folder's row a change of its messages goes by; no dataclass, since each STORE reads one."""

    id: FolderId
    owner: AccountId
    uidnext: int
    modseq: int
    exists: int


class Figures(NamedTuple):
    """What STATUS tells of a folder; no dataclass, since LIST makes a thousand at once. `unseen` by the \\Seen that counts for the actor;
    `recent`: messages from `recent_from` on; `deleted_size`: octets of what is \\Deleted. These two are 0 unless they are asked for."""

    id: FolderId
    uidvalidity: int
    uidnext: int
    modseq: int
    exists: int
    unseen: int
    deleted: int
    size: int
    recent_from: int
    born: int
    recent: int = 0
    deleted_size: int = 0


@dataclass(frozen=True, slots=True)
class MessageRow:
    """`blob` names the octets; `received` is INTERNALDATE."""

    uid: Uid
    blob: BlobId
    size: int
    received: int
    saved: int
    flags: int
    modseq: int


class Sorting(NamedTuple):
    """What SORT and THREAD compare, collated, made by `version` of the gateway's maker. `ancestors`: Message-IDs without quotes, a
    blank between."""

    version: int
    from_: str
    to: str
    cc: str
    shown_from: str
    shown_to: str
    subject: str
    is_reply: bool
    ancestors: str


class SortRow(NamedTuple):
    """One message as SORT and THREAD look at it, a tuple since there are many. `version` 0: nothing behind it was made yet.

    `sent`: the Date header, else INTERNALDATE. `message_id` is as NewMessage has it.
    """

    uid: int
    received: int
    size: int
    sent: int
    version: int
    from_: str
    to: str
    cc: str
    shown_from: str
    shown_to: str
    subject: str
    is_reply: int
    message_id: str
    ancestors: str


class NewMessage(NamedTuple):
    """A message on its way into the store, parsed once by the gateway (gateway/message). A tuple, as each message that comes makes one.

    `octets` the whole message with CRLF; `envelope`, `structure` (BODYSTRUCTURE) and `body` (BODY) as IMAP wire octets by renderer
    `rendering`; the lowered columns serve search and sort; `sent` is the Date header (None when unreadable).
    """

    octets: bytes
    envelope: bytes
    structure: bytes
    body: bytes
    rendering: int
    from_: str
    to: str
    cc: str
    subject: str
    message_id: str
    sent: int | None
    sent_day: int | None = None  # days since 1970-01-01 as the Date field writes its date, whatever its zone; None: that of `sent`
    spooled: "Spooled | None" = None  # the octets lie in a file already (store/blobs.py); `octets` is empty then
    sorting: Sorting | None = None  # None: it is made when it is first asked for
    preview: bytes | None = None  # the first words, UTF-8; None: they are made when they are first asked for
    layout: bytes | None = None  # where its parts stand (gateway/message/layout.py); None: it is made when it is first asked for

    @property
    def size(self) -> int:
        """RFC822.SIZE."""
        return len(self.octets) if self.spooled is None else self.spooled.size


@dataclass(frozen=True, slots=True)
class Spooled:
    """Octets in a file below the directory of octets, durable before the deed that names it. `hash`: SHA-256."""

    place: str
    hash: bytes
    size: int


@dataclass(frozen=True, slots=True)
class HeadRow:
    """What SEARCH and SORT read, lowered; `sent_day` is days since 1970-01-01 as the Date field writes it."""

    uid: Uid
    sent: int | None
    sent_day: int | None
    from_: str
    to: str
    cc: str
    subject: str
    message_id: str


@dataclass(frozen=True, slots=True)
class WireRow:
    """What FETCH writes, as IMAP octets. A `rendering` older than the renderer's: render again from the octets."""

    uid: Uid
    rendering: int
    envelope: bytes
    structure: bytes
    body: bytes


class QueueKind(StrEnum):
    """Why it could not be delivered at once."""

    HELD = "held"  # for a local account that is in maintenance
    RELAY = "relay"


class QueueState(StrEnum):
    """What `due` means depends on it."""

    DUE = "due"  # from `due` on
    LEASED = "leased"  # being tried, until `due` at most
    HELD = "held"  # until the account's status changes, or an operator releases it


@dataclass(frozen=True, slots=True)
class QueueRow:
    """One recipient of one message. `accepted` is the idempotency key under which the message came, the queue id that people see.

    `reverse_path` "" is the empty one; `sender` the account that submitted it, if one did; `parameters` JSON of ESMTP parameters
    for the next hop. `due`: see QueueState. `last_attempt`: when the last one that failed ended. `destination`: the domain it goes
    to, "" where that is here. `stopped`: an operator holds it; what is being tried meanwhile is tried to its end. `warned`: the
    sender knows that it is late. `frozen`: somebody in whose name it goes, or who sends it, is (store/freezes.py).
    """

    id: QueueId
    accepted: str
    kind: QueueKind
    state: QueueState
    due: int
    lease: str
    recipient: str
    account: AccountId | None
    sender: AccountId | None
    reverse_path: str
    parameters: str
    blob: BlobId
    size: int
    created: int
    expires: int
    attempts: int
    last_attempt: int | None
    last_reply: str
    destination: str = ""
    stopped: bool = False
    warned: bool = False
    frozen: bool = False


@dataclass(frozen=True, slots=True)
class Heap:
    """What waits for one destination ("": for accounts here): how many rows, of how many octets, held and being tried among them; since
    when the oldest waits, and when the next is due (0: none is), in microseconds since 1970."""

    destination: str
    rows: int
    octets: int
    held: int
    leased: int
    oldest: int
    next_due: int
