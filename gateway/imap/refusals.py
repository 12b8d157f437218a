"""With which response code and in which words does IMAP say no?"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from policy.reasons import Defer, Reason, Refuse, Verdict


@dataclass(frozen=True, slots=True)
class Refusal:
    """A tagged NO: response code (RFC 3501, 5530, 6154, 9208) and human-readable text. `ends`: BYE follows."""

    code: bytes | None
    text: str
    ends: bool = False


@dataclass(frozen=True, slots=True)
class _Words:
    code: bytes | None
    text: str | Callable[[str], str]
    ends: bool = False


def _said(prefix: str, otherwise: str) -> Callable[[str], str]:
    return lambda detail: f"{prefix}{detail}" if detail else otherwise


# One row per reason. Sending and receiving are no business of IMAP, but a reason without words would be a crash.
WORDS: Mapping[Reason, _Words] = MappingProxyType(
    {
        Reason.BAD_CREDENTIALS: _Words(b"AUTHENTICATIONFAILED", "authentication failed"),
        Reason.ACCOUNT_STATUS: _Words(b"CONTACTADMIN", _said("account is ", "this account may not log in")),
        Reason.ACCOUNT_MAINTENANCE: _Words(b"UNAVAILABLE", "account is in maintenance, try again later"),
        Reason.PASSWORD_EXPIRED: _Words(b"EXPIRED", _said("password must be changed at ", "password must be changed")),
        Reason.CREDENTIAL_NOT_PERMITTED: _Words(b"AUTHORIZATIONFAILED", _said("", "this app password is not for this")),
        # People have to read it, and to type another password: no code of RFC 5530 says so.
        Reason.APP_PASSWORD_NEEDED: _Words(b"ALERT", _said("", "this account has a second factor: mail clients need an app password")),
        Reason.TOO_MANY_FAILURES: _Words(b"AUTHENTICATIONFAILED", "authentication failed", ends=True),
        Reason.AUTHORIZATION_REFUSED: _Words(b"AUTHORIZATIONFAILED", "you may not act as this account"),
        Reason.SESSION_ENDED: _Words(b"UNAVAILABLE", _said("this session has ended: ", "this session has ended"), ends=True),
        Reason.MALFORMED_MESSAGE: _Words(b"CANNOT", _said("the message is malformed: ", "the message is malformed")),
        Reason.SENDER_NOT_PERMITTED: _Words(b"NOPERM", _said("", "you may not send as this")),
        Reason.REVERSE_PATH_NOT_PERMITTED: _Words(b"NOPERM", _said("", "you may not send from this address")),
        Reason.PRINCIPAL_STATUS: _Words(b"NOPERM", _said("", "nobody may send as this account now")),
        Reason.PRINCIPAL_MAINTENANCE: _Words(b"UNAVAILABLE", "this account is in maintenance, try again later"),
        Reason.PRINCIPAL_FROZEN: _Words(b"NOPERM", _said("", "sending in this name is stopped for now")),
        Reason.ACTOR_FROZEN: _Words(b"NOPERM", _said("", "sending in other people's names is stopped for you")),
        Reason.SEND_RATE: _Words(b"LIMIT", _said("", "too many messages, try again later")),
        Reason.SEND_RECIPIENT_RATE: _Words(b"LIMIT", _said("", "too many recipients, try again later")),
        Reason.INVITATION_NOT_PERMITTED: _Words(b"NOPERM", _said("", "you need 'x' (accept invitations) on the calendar")),
        Reason.MALFORMED_CALENDAR: _Words(b"CANNOT", _said("the calendar part is malformed: ", "the calendar part is malformed")),
        Reason.RECIPIENT_UNKNOWN: _Words(b"NONEXISTENT", "no such recipient"),
        Reason.RECIPIENT_CLOSED: _Words(b"CANNOT", "this recipient takes no mail"),
        Reason.RECIPIENT_MAINTENANCE: _Words(b"UNAVAILABLE", "this recipient is in maintenance, try again later"),
        Reason.RECIPIENT_OVER_QUOTA: _Words(b"OVERQUOTA", "the recipient's mailbox is full"),
        Reason.POSTING_NOT_PERMITTED: _Words(b"NOPERM", _said("", "you may not post to this list")),
        Reason.RELAY_NOT_PERMITTED: _Words(b"NOPERM", "mail for other places is not taken here"),
        Reason.MAIL_LOOP: _Words(b"CANNOT", "the message goes round in circles"),
        Reason.QUEUE_FULL: _Words(b"UNAVAILABLE", "too much mail waits to be sent, try again later"),
        Reason.FOLDER_UNKNOWN: _Words(b"NONEXISTENT", "no such folder"),
        Reason.RIGHT_MISSING: _Words(b"NOPERM", _said("", "you lack a right on this folder")),
        Reason.OWNER_MAINTENANCE: _Words(b"UNAVAILABLE", "the owner's account is in maintenance, try again later"),
        Reason.FOLDER_EXISTS: _Words(b"ALREADYEXISTS", "there is a folder of this name already"),
        Reason.NOT_ALLOWED_ON_THIS_FOLDER: _Words(b"CANNOT", _said("", "this cannot be done to this folder")),
        Reason.SPECIAL_USE: _Words(b"USEATTR", _said("", "the folder cannot serve so")),
        Reason.OVER_QUOTA: _Words(b"OVERQUOTA", _said("", "the mailbox is full")),
        Reason.LIMIT: _Words(b"LIMIT", _said("", "a limit is reached")),
        Reason.GRANT_NOT_POSSIBLE: _Words(b"CANNOT", _said("", "this right cannot be given so")),
        Reason.ADMIN_NOT_PERMITTED: _Words(b"NOPERM", _said("", "your role does not allow this")),
        Reason.BUSY: _Words(b"UNAVAILABLE", "not now, try again later"),
        Reason.DISK_FULL: _Words(b"LIMIT", "there is no room for it now, try again later"),
    }
)


def refusal(verdict: Verdict, *, target: bool = False) -> Refusal:
    """The words for a verdict. `target`: of APPEND, COPY or MOVE, where a missing folder is answered with TRYCREATE (RFC 3501
    section 6.3.11). A decision id ends the text, so that the person can ask about it.
    """
    words = WORDS[verdict.reason]
    text = words.text if isinstance(words.text, str) else words.text(verdict.detail)
    code = words.code
    if target and verdict.reason is Reason.FOLDER_UNKNOWN:
        code = b"TRYCREATE"
    if isinstance(verdict, Defer) and code not in (b"UNAVAILABLE", b"OVERQUOTA", b"LIMIT"):
        code = b"UNAVAILABLE"
    # A hidden folder and a missing one have the same words, octet for octet (delegation.md section 2): no id there.
    if verdict.decision and verdict.reason is not Reason.FOLDER_UNKNOWN:
        text = f"{text} [{verdict.decision}]"
    return Refusal(code, _one_line(text), words.ends)


def farewell(verdict: Refuse | Defer) -> Refusal:
    """The untagged BYE with which an open session ends when its account or its folder may no longer be used."""
    match verdict.reason:
        case Reason.ACCOUNT_MAINTENANCE | Reason.OWNER_MAINTENANCE:
            return Refusal(b"UNAVAILABLE", "account is in maintenance, try again later", ends=True)
        case Reason.FOLDER_UNKNOWN | Reason.RIGHT_MISSING:
            return Refusal(None, "access to this folder has ended", ends=True)
        case Reason.ACCOUNT_STATUS:
            return Refusal(None, _one_line(f"account is {verdict.detail}" if verdict.detail else "this account may not be used"), ends=True)
        case Reason.SESSION_ENDED:
            return Refusal(None, _one_line(verdict.detail or "this session has ended"), ends=True)
        case _:
            found = refusal(verdict)
            return Refusal(found.code, found.text, ends=True)


def _one_line(text: str) -> str:
    """`text = 1*TEXT-CHAR`, US-ASCII (RFC 3501 section 9): nothing in it can be taken for another response."""
    clean = "".join(character if " " <= character <= "~" else "?" for character in text[:800])
    return clean.lstrip("[ ") or "no"
