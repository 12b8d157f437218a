"""Writes the mail that procura sends in its own name: delivery reports (RFC 3464), and notices to people."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from types import MappingProxyType
from typing import Literal

from gateway.dsn import envelope_id, wants_whole
from gateway.message.split import read_header
from policy.identity import Address
from policy.reasons import Reason, Verdict

Action = Literal["failed", "delivered", "relayed"]
"""RFC 3464 section 2.3.3; `relayed`: to a server that does not tell what becomes of it."""
_OPENING: Mapping[Action, str] = MappingProxyType(
    {
        "failed": "Your message was not delivered to:",
        "delivered": "Your message was delivered to:",
        "relayed": "Your message was handed on to a server that will not tell you about its delivery, for:",
    }
)
_SUBJECT = MappingProxyType(
    {
        "failed": "Your message could not be delivered",
        "delayed": "Your message is delayed",
        "delivered": "Your message was delivered",
        "relayed": "Your message was handed on",
    }
)
_RETURNED = MappingProxyType(
    {
        (False, True): "text/rfc822-headers",
        (False, False): "message/global-headers",
        (True, True): "message/rfc822",
        (True, False): "message/global",
    }
)
MOST_HEADER = 64 * 1024
"""How much of the original header a report carries, in octets; real ones are far below."""


@dataclass(frozen=True, slots=True)
class Failed:
    """One recipient of whom there is something to tell, mostly that it did not get it. `status` is an enhanced status code
    (RFC 3463), `reply` the words that came with it, `original` what ORCPT said (RFC 3461)."""

    recipient: Address
    status: str
    reply: str
    original: str = ""


_STATUS: Mapping[Reason, tuple[str, str]] = MappingProxyType(
    {
        Reason.RECIPIENT_UNKNOWN: ("5.1.1", "no such address here"),
        Reason.RECIPIENT_CLOSED: ("5.2.1", "the mailbox is disabled"),
        Reason.RECIPIENT_MAINTENANCE: ("4.2.1", "the mailbox is in maintenance"),
        Reason.RECIPIENT_OVER_QUOTA: ("5.2.2", "the mailbox is full"),
        Reason.POSTING_NOT_PERMITTED: ("5.7.1", "posting to this list is not permitted"),
        Reason.RELAY_NOT_PERMITTED: ("5.7.1", "mail for other domains is not taken"),
        Reason.MAIL_LOOP: ("5.4.6", "the message has been here already"),
    }
)


def failed(recipient: Address, verdict: Verdict) -> Failed:
    """What a report says of a recipient that was refused. Whatever has no row is a fault of ours, and passing."""
    status, words = _STATUS.get(verdict.reason, ("4.3.0", "a fault of this server"))
    return Failed(recipient, status, f"{words}: {verdict.detail}" if verdict.detail else words)


_ENHANCED = re.compile(r"\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})(?= |$)|([245]\.\d{1,3}\.\d{1,3}) ")


def status_of(reply: str) -> str:
    """The enhanced status code that a refusing reply carries (RFC 2034), "5.0.0" where it carries none."""
    found = _ENHANCED.match(reply)
    return (found[1] or found[2]) if found is not None else "5.0.0"


def delivery_report(
    *,
    hostname: str,
    to: Address,
    failed: Sequence[Failed],
    original: bytes,
    message_id: str,
    now: int,
    delayed_until: int | None = None,
    action: Action = "failed",
    mail: Sequence[str] = (),
) -> bytes:
    """A report (RFC 3464) of failure or, as `action` says, of success; with `delayed_until` a warning that it is still being tried.
    `now` in microseconds; `mail`: RET and ENVID of the message (gateway.dsn).

    It goes out with the empty envelope sender, names each recipient with its reason, and carries the original's header only, unless
    a failed message was to come back whole.
    """
    late = delayed_until is not None
    lines = [f"This is {hostname}.", ""]
    if delayed_until is None:
        lines.append(_OPENING[action])
    else:
        until = format_datetime(_moment(delayed_until))
        lines.append(f"Your message has not been delivered yet. It is tried again until {until}; you need not send it again.")
    lines += [""] + [f"  {one.recipient}\r\n    {one.status} {_printable(one.reply)}" for one in failed] + [""]
    subject = _SUBJECT["delayed" if late else action]
    whole = action == "failed" and not late and wants_whole(mail)
    returned = original if whole else original[: min(read_header(original).end, MOST_HEADER)]
    status = _status(hostname, failed, "delayed" if late else action, envelope_id(mail))
    boundary = secrets.token_hex(16)  # the parts cannot know it beforehand, so none can end itself early
    parts = [
        ("text/plain; charset=utf-8", "\r\n".join(lines).encode()),
        # RFC 6533 section 4: the media types with UTF-8 in them.
        ("message/delivery-status" if status.isascii() else "message/global-delivery-status", status),
        (_RETURNED[whole, not _is_global(original[: read_header(original).end])], returned),
    ]
    octets = _header(hostname, to, subject, message_id, now, "auto-replied")
    octets += f'Content-Type: multipart/report; report-type=delivery-status; boundary="{boundary}"\r\n\r\n'.encode()
    for media_type, part in parts:
        encoding = "7bit" if part.isascii() else "8bit"
        octets += f"--{boundary}\r\nContent-Type: {media_type}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + part + b"\r\n"
    return octets + f"--{boundary}--\r\n".encode()


def notice(*, hostname: str, to: Address, subject: str, text: str, message_id: str, now: int) -> bytes:
    """A plain mail from this server to one person. `now` in microseconds."""
    octets = _header(hostname, to, subject, message_id, now, "auto-generated")
    body = "\r\n".join(text.splitlines()).encode() + b"\r\n"
    return octets + b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + body


def list_refused(refused: Address) -> tuple[str, str]:
    """Subject and text for somebody who logged in and posted to a list with this one in it (delegation.md section 9)."""
    text = f"Posting to {refused} is not permitted for you, so its members did not get it."
    return f"Your message did not reach {refused}", f"Your message was sent to a list that includes {refused}.\n{text}"


def _header(hostname: str, to: Address, subject: str, message_id: str, now: int, automatic: str) -> bytes:
    """Up to the MIME fields. Auto-Submitted (RFC 3834) keeps other machines from answering."""
    lines = (
        f"From: Mail delivery system <postmaster@{hostname}>",
        f"To: {to}",
        f"Subject: {_printable(subject)}",
        f"Date: {format_datetime(_moment(now))}",
        f"Message-ID: {message_id}",
        f"Auto-Submitted: {automatic}",
        "MIME-Version: 1.0",
    )
    return "".join(line + "\r\n" for line in lines).encode()


def _status(hostname: str, failed: Sequence[Failed], action: str, envid: str) -> bytes:
    """message/delivery-status (RFC 3464 section 2): a block about the message, then one for each recipient."""
    about_it = f"Original-Envelope-Id: {_printable(envid)}\r\n" if envid else ""
    blocks = [f"{about_it}Reporting-MTA: dns; {hostname}\r\n"]
    for one in failed:
        kind = "rfc822" if str(one.recipient).isascii() else "utf-8"
        first = f"Original-Recipient: {_printable(one.original)}\r\n" if one.original else ""
        blocks.append(
            f"{first}Final-Recipient: {kind}; {one.recipient}\r\nAction: {action}\r\nStatus: {one.status}\r\n"
            f"Diagnostic-Code: smtp; {_escaped(_printable(one.reply))}\r\n"
        )
    return "\r\n".join(blocks).encode()


def _printable(text: str) -> str:
    """One line without controls: replies of other servers and client octets end up here."""
    return "".join(one if one.isprintable() else " " for one in text)[:900]


def _escaped(text: str) -> str:
    """What another server said decides nothing about the type of the report: other letters are written as RFC 6533 section 3 does."""
    return text if text.isascii() else "".join(one if one.isascii() else f"\\x{{{ord(one):X}}}" for one in text)


def _is_global(header: bytes) -> bool:
    """UTF-8 as RFC 6532 has it; octets that are nothing at all are no message/global either."""
    if header.isascii():
        return False
    try:
        header.decode()
    except UnicodeDecodeError:
        return False
    return True


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
