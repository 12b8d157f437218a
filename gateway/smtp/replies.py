"""With which code and in which words does SMTP say no? (RFC 5321 section 4.2, RFC 3463, RFC 2034)"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from policy.reasons import Defer, Reason, Verdict

LINE_OCTETS: Final = 510
"""RFC 5321 section 4.5.3.1.5: 512 with CRLF; a longer text goes out as a multi-line reply."""
TEXT_CHARACTERS: Final = 1_500
"""Enough for every sentence of ours; a detail may quote an address that a stranger made long."""

ClosedReply = Literal["5.2.1", "5.1.1"]


@dataclass(frozen=True, slots=True)
class Words:
    """How one reason is said. `final` is the code for Refuse, `later` the one for Defer; `detailed` is the text for a verdict with
    a detail, where `{}` stands for it. None: the detail is not for the peer."""

    final: str
    later: str
    text: str
    detailed: str | None = None


# One row per reason; a test compares the sets. Maintenance is said as "later" whatever the verdict's type: it ends by itself.
WORDS: Mapping[Reason, Words] = MappingProxyType(
    {
        Reason.BAD_CREDENTIALS: Words("535 5.7.8", "535 5.7.8", "authentication failed"),
        Reason.ACCOUNT_STATUS: Words("525 5.7.13", "454 4.7.0", "this account may not log in", "account is {}"),
        Reason.ACCOUNT_MAINTENANCE: Words("454 4.7.0", "454 4.7.0", "account is in maintenance, try again later"),
        Reason.PASSWORD_EXPIRED: Words("525 5.7.13", "454 4.7.0", "password must be changed", "password must be changed at {}"),
        Reason.CREDENTIAL_NOT_PERMITTED: Words("535 5.7.8", "454 4.7.0", "this app password is not for this", "{}"),
        Reason.APP_PASSWORD_NEEDED: Words(
            "534 5.7.9", "454 4.7.0", "this account has a second factor: mail clients need an app password", "{}"
        ),
        Reason.TOO_MANY_FAILURES: Words("454 4.7.0", "454 4.7.0", "too many failed logins from your network, try again later"),
        Reason.AUTHORIZATION_REFUSED: Words("535 5.7.8", "454 4.7.0", "you may not act as this account"),
        Reason.SESSION_ENDED: Words("421 4.3.2", "421 4.3.2", "this session has ended", "this session has ended: {}"),
        Reason.MALFORMED_MESSAGE: Words("550 5.6.0", "450 4.6.0", "the message is malformed", "the message is malformed: {}"),
        Reason.SENDER_NOT_PERMITTED: Words("550 5.7.1", "450 4.7.1", "you may not send as this", "{}"),
        Reason.REVERSE_PATH_NOT_PERMITTED: Words("553 5.7.1", "450 4.7.1", "you may not send from this address", "{}"),
        Reason.PRINCIPAL_STATUS: Words(
            "550 5.7.1", "450 4.7.1", "nobody may send as this account now", "nobody may send as this account now: it is {}"
        ),
        Reason.PRINCIPAL_MAINTENANCE: Words("450 4.2.1", "450 4.2.1", "this account is in maintenance, try again later"),
        Reason.PRINCIPAL_FROZEN: Words("550 5.7.1", "450 4.7.1", "sending in this name is stopped for now", "{}"),
        Reason.ACTOR_FROZEN: Words("550 5.7.1", "450 4.7.1", "sending in other people's names is stopped for you", "{}"),
        Reason.SEND_RATE: Words("450 4.7.1", "450 4.7.1", "too many messages, try again later", "{}"),
        Reason.SEND_RECIPIENT_RATE: Words("452 4.7.1", "452 4.7.1", "too many recipients, try again later", "{}"),
        Reason.INVITATION_NOT_PERMITTED: Words("550 5.7.1", "450 4.7.1", "you need 'x' (accept invitations) on the calendar", "{}"),
        Reason.MALFORMED_CALENDAR: Words("550 5.6.0", "450 4.6.0", "the calendar part is malformed", "the calendar part is malformed: {}"),
        Reason.RECIPIENT_UNKNOWN: Words("550 5.1.1", "450 4.1.1", "there is no such recipient"),
        Reason.RECIPIENT_CLOSED: Words("550 5.2.1", "450 4.2.1", "this account takes no mail"),
        Reason.RECIPIENT_MAINTENANCE: Words("450 4.2.1", "450 4.2.1", "this account is in maintenance, try again later"),
        Reason.RECIPIENT_OVER_QUOTA: Words("552 5.2.2", "452 4.2.2", "the mailbox is full"),
        Reason.POSTING_NOT_PERMITTED: Words("550 5.7.1", "450 4.7.1", "you may not post to this list", "{}"),
        Reason.RELAY_NOT_PERMITTED: Words("550 5.7.1", "450 4.7.1", "mail for other places is not taken here", "{}"),
        Reason.MAIL_LOOP: Words("554 5.4.6", "450 4.4.6", "the message goes round in circles"),
        Reason.QUEUE_FULL: Words("452 4.3.1", "452 4.3.1", "too much mail waits to be sent, try again later"),
        # No folder is named in SMTP, but a reason without words would be a crash.
        Reason.FOLDER_UNKNOWN: Words("550 5.2.0", "450 4.2.0", "there is no such folder"),
        Reason.RIGHT_MISSING: Words("550 5.7.1", "450 4.7.1", "you lack a right on this folder", "{}"),
        Reason.OWNER_MAINTENANCE: Words("450 4.2.1", "450 4.2.1", "the owner's account is in maintenance, try again later"),
        Reason.FOLDER_EXISTS: Words("550 5.2.0", "450 4.2.0", "there is a folder of this name already"),
        Reason.NOT_ALLOWED_ON_THIS_FOLDER: Words("550 5.2.0", "450 4.2.0", "this cannot be done to this folder", "{}"),
        Reason.SPECIAL_USE: Words("550 5.2.0", "450 4.2.0", "the folder cannot serve so", "{}"),
        Reason.OVER_QUOTA: Words("552 5.2.2", "452 4.2.2", "the mailbox is full", "{}"),
        Reason.LIMIT: Words("552 5.3.4", "452 4.5.3", "a limit is reached", "a limit is reached: {}"),
        Reason.GRANT_NOT_POSSIBLE: Words("550 5.7.1", "450 4.7.1", "this right cannot be given so", "{}"),
        Reason.ADMIN_NOT_PERMITTED: Words("550 5.7.1", "450 4.7.1", "your role does not allow this", "{}"),
        Reason.BUSY: Words("451 4.3.2", "451 4.3.2", "not now, try again later"),
        Reason.DISK_FULL: Words("452 4.3.1", "452 4.3.1", "there is no room for it now, try again later"),
    }
)


def reply(verdict: Verdict, closed_reply: ClosedReply = "5.2.1") -> str:
    """The whole reply without its last CRLF, every line with its enhanced code (RFC 2034 section 4).

    `closed_reply` "5.1.1": a closed account is refused exactly as one that does not exist (delegation.md section 3).
    """
    return spell(*_said(verdict, closed_reply))


def one_line(verdict: Verdict, closed_reply: ClosedReply = "5.2.1") -> str:
    """The same for a neighbour that says it for us (access(5)), which breaks lines itself; printable ASCII."""
    code, text = _said(verdict, closed_reply)
    return f"{code} {printable(text)}"


def told_as(verdict: Verdict, closed_reply: ClosedReply = "5.2.1") -> Reason:
    """For which reason the words are."""
    is_hidden = verdict.reason is Reason.RECIPIENT_CLOSED and closed_reply == "5.1.1"
    return Reason.RECIPIENT_UNKNOWN if is_hidden else verdict.reason


def _said(verdict: Verdict, closed_reply: ClosedReply) -> tuple[str, str]:
    words = WORDS[told_as(verdict, closed_reply)]
    return words.later if isinstance(verdict, Defer) else words.final, _text(words, verdict)


def farewell(verdict: Verdict) -> str:
    """The 421 with which an open session ends because its account may no longer be used (delegation.md section 3, open sessions)."""
    return spell("421 4.3.2", _text(WORDS[verdict.reason], verdict))


def spell(code: str, text: str) -> str:
    """`250 2.0.0` and a text as one reply, in as many lines as it needs. What is not printable ASCII is escaped."""
    clean = printable(text)
    room = LINE_OCTETS - len(code) - 1
    if len(clean) <= room:
        return f"{code} {clean}"
    pieces = []
    while len(clean) > room:
        blank = clean.rfind(" ", room // 2, room + 1)
        cut = blank if blank > 0 else room
        pieces.append(clean[:cut])
        clean = clean[cut:].lstrip(" ")
    if clean:
        pieces.append(clean)
    number, _, enhanced = code.partition(" ")
    last = len(pieces) - 1
    return "\r\n".join(f"{number}{' ' if index == last else '-'}{enhanced} {piece}" for index, piece in enumerate(pieces))


def printable(text: str) -> str:
    """One line of printable ASCII: nothing in it can be taken for another line or for a terminal's command.

    Other letters are written `\\x{e9}` (RFC 6533 section 3), so that an administrator can still read the address.
    """
    text = text[:TEXT_CHARACTERS]
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if " " <= character <= "~" else f"\\x{{{ord(character):x}}}" if character.isprintable() else "?" for character in text
    )


def _text(words: Words, verdict: Verdict) -> str:
    text = words.text
    if words.detailed is not None and verdict.detail:
        text = words.detailed.replace("{}", verdict.detail[:TEXT_CHARACTERS], 1)
    return f"{text} [{verdict.decision}]" if verdict.decision else text
