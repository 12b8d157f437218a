"""Writes the mail that procura sends in its own name: delivery reports (RFC 3464), and notices to people."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from types import MappingProxyType

from gateway.message.split import read_header
from policy.identity import Address
from policy.reasons import Reason, Verdict

MOST_HEADER = 64 * 1024
"""How much of the original header a report carries, in octets; real ones are far below."""


@dataclass(frozen=True, slots=True)
class Failed:
    """One recipient that did not get it. `status` is an enhanced status code (RFC 3463), `reply` the words that came with it."""

    recipient: Address
    status: str
    reply: str


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
    *, hostname: str, to: Address, failed: Sequence[Failed], original: bytes, message_id: str, now: int, delayed_until: int | None = None
) -> bytes:
    """A failure report (RFC 3464), or with `delayed_until` a warning that it is still being tried. `now` in microseconds.

    It goes out with the empty envelope sender, names each recipient with its reason, and carries the original's header only.
    """
    late = delayed_until is not None
    lines = [f"This is {hostname}.", ""]
    if delayed_until is None:
        lines.append("Your message was not delivered to:")
    else:
        until = format_datetime(_moment(delayed_until))
        lines.append(f"Your message has not been delivered yet. It is tried again until {until}; you need not send it again.")
    lines += [""] + [f"  {one.recipient}\r\n    {one.status} {_printable(one.reply)}" for one in failed] + [""]
    subject = "Your message is delayed" if late else "Your message could not be delivered"
    header = original[: min(read_header(original).end, MOST_HEADER)]
    boundary = secrets.token_hex(16)  # the parts cannot know it beforehand, so none can end itself early
    parts = [
        ("text/plain; charset=utf-8", "\r\n".join(lines).encode()),
        ("message/delivery-status", _status(hostname, failed, "delayed" if late else "failed")),
        ("text/rfc822-headers", header),
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


def _status(hostname: str, failed: Sequence[Failed], action: str) -> bytes:
    """message/delivery-status (RFC 3464 section 2): a block about the message, then one for each recipient."""
    blocks = [f"Reporting-MTA: dns; {hostname}\r\n"]
    for one in failed:
        kind = "rfc822" if str(one.recipient).isascii() else "utf-8"
        blocks.append(
            f"Final-Recipient: {kind}; {one.recipient}\r\nAction: {action}\r\nStatus: {one.status}\r\n"
            f"Diagnostic-Code: smtp; {_printable(one.reply)}\r\n"
        )
    return "\r\n".join(blocks).encode()


def _printable(text: str) -> str:
    """One line without controls: replies of other servers and client octets end up here."""
    return "".join(one if one.isprintable() else " " for one in text)[:900]


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1_000_000, UTC)
