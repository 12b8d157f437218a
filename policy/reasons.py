"""The closed list of reasons for which procura says no, or later."""

from dataclasses import dataclass, field
from enum import StrEnum


class Reason(StrEnum):
    """Every protocol has words for each of them; a test compares the sets."""

    # login
    BAD_CREDENTIALS = "bad-credentials"  # wrong password, unknown account, lockout: never told apart
    ACCOUNT_STATUS = "account-status"  # the password was right, the status refuses; `detail` is the status
    ACCOUNT_MAINTENANCE = "account-maintenance"
    PASSWORD_EXPIRED = "password-expired"  # noqa: S105 — must be changed first; `detail` is the URL, if there is one
    CREDENTIAL_NOT_PERMITTED = "credential-not-permitted"  # the app password was right, but not for this; `detail` says why
    APP_PASSWORD_NEEDED = "app-password-needed"  # noqa: S105 — the password was right, but the account has a second factor
    TOO_MANY_FAILURES = "too-many-failures"  # of this source, over all accounts
    AUTHORIZATION_REFUSED = "authorization-refused"  # an authzid without loginAs, or its status forbids login
    SESSION_ENDED = "session-ended"  # status or password changed while the session was open; `detail` says which
    # sending
    MALFORMED_MESSAGE = "malformed-message"  # `detail` names the field and the offence
    SENDER_NOT_PERMITTED = "sender-not-permitted"  # From, Sender or Resent-From
    REVERSE_PATH_NOT_PERMITTED = "reverse-path-not-permitted"  # MAIL FROM
    PRINCIPAL_STATUS = "principal-status"  # the account in whose name it would go out may not send now
    PRINCIPAL_MAINTENANCE = "principal-maintenance"
    PRINCIPAL_FROZEN = "principal-frozen"  # the kill switch: nobody sends in this name now
    ACTOR_FROZEN = "actor-frozen"  # nor this actor in anybody's
    SEND_RATE = "send-rate"  # messages in time; `detail` says which limit, and when it is possible again
    SEND_RECIPIENT_RATE = "send-recipient-rate"
    INVITATION_NOT_PERMITTED = "invitation-not-permitted"  # 'x' on the Calendar is missing
    MALFORMED_CALENDAR = "malformed-calendar"
    # recipients
    RECIPIENT_UNKNOWN = "recipient-unknown"
    RECIPIENT_CLOSED = "recipient-closed"  # closed or pending; `detail` is the status
    RECIPIENT_MAINTENANCE = "recipient-maintenance"
    RECIPIENT_OVER_QUOTA = "recipient-over-quota"
    POSTING_NOT_PERMITTED = "posting-not-permitted"  # sendToDistList
    RELAY_NOT_PERMITTED = "relay-not-permitted"
    MAIL_LOOP = "mail-loop"
    QUEUE_FULL = "queue-full"  # too much waits to be sent to other places
    # folders
    FOLDER_UNKNOWN = "folder-unknown"  # also: exists, but may not be seen
    RIGHT_MISSING = "right-missing"  # `detail` names the right and whom to ask
    OWNER_MAINTENANCE = "owner-maintenance"
    FOLDER_EXISTS = "folder-exists"
    NOT_ALLOWED_ON_THIS_FOLDER = "not-allowed-on-this-folder"  # INBOX, root, special use: `detail` says what
    SPECIAL_USE = "special-use"  # what a folder is to be for: `detail` says why it cannot
    OVER_QUOTA = "over-quota"
    LIMIT = "limit"  # `detail` names the limit
    GRANT_NOT_POSSIBLE = "grant-not-possible"  # unknown grantee, the owner as grantee, a right one lacks
    # administration
    ADMIN_NOT_PERMITTED = "admin-not-permitted"
    # load and faults of ours: always "later"
    BUSY = "busy"
    DISK_FULL = "disk-full"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Final: 5xx, NO. `principal`: the account or list in whose name it was, `asked`: by which address;
    `because`: what tells apart the cases that have the same words. For the record, nobody is told."""

    reason: Reason
    detail: str = ""
    decision: str = ""  # the decision id under which it is on record, e.g. "d-7f3a91"
    principal: int | None = field(default=None, compare=False, repr=False)
    asked: str = field(default="", compare=False, repr=False)
    because: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Defer:
    """Later: 4xx, the queue, NO [UNAVAILABLE]. `principal`, `asked` and `because` as in Refuse."""

    reason: Reason
    detail: str = ""
    decision: str = ""
    principal: int | None = field(default=None, compare=False, repr=False)
    asked: str = field(default="", compare=False, repr=False)
    because: str = field(default="", compare=False, repr=False)


Verdict = Refuse | Defer
