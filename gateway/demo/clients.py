"""Python's own mail clients, and how what they are answered is read."""

import imaplib
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from email.policy import SMTP, default
from email.utils import make_msgid
from typing import Final

from gateway.demo.people import PEOPLE, address
from gateway.demo.server import Gateway
from gateway.demo.stage import Unexpected

REPLY_SECONDS: Final = 20.0
"""How long a client of ours waits for an answer; a slow machine is no ✗."""
ARRIVAL_SECONDS: Final = 15.0


@dataclass(slots=True)
class Clients:
    """Python's own mail clients, which know nothing of the gateway but its addresses and its certificate."""

    gateway: Gateway
    trust: ssl.SSLContext

    @contextmanager
    def imap(self, name: str, password: str | None = None) -> Iterator[imaplib.IMAP4]:
        """Logged in, over STARTTLS with the certificate verified. Raises imaplib.IMAP4.error."""
        client = imaplib.IMAP4("127.0.0.1", self.gateway.port("imap"), timeout=REPLY_SECONDS)
        try:
            client.starttls(self.trust)
            client.login(address(name), f"{name}-demo" if password is None else password)
            yield client
        finally:
            leave(client)

    @contextmanager
    def smtp(self, name: str) -> Iterator[smtplib.SMTP]:
        """Logged in for submission, over STARTTLS with the certificate verified. Raises smtplib.SMTPException."""
        with smtplib.SMTP("127.0.0.1", self.gateway.port("submission"), timeout=REPLY_SECONDS) as client:
            client.starttls(context=self.trust)
            client.login(address(name), f"{name}-demo")
            yield client

    def submit(self, name: str, message: EmailMessage) -> None:
        """As this person, whoever the message says it is from."""
        with self.smtp(name) as client:
            client.sendmail(address(name), [str(message["To"])], message.as_bytes(policy=SMTP))

    def hand_in(self, message: EmailMessage) -> None:
        """By LMTP, as the MTA in front would."""
        with smtplib.LMTP("127.0.0.1", self.gateway.port("lmtp"), timeout=REPLY_SECONDS) as client:
            client.sendmail("someone@elsewhere.test", [str(message["To"])], message.as_bytes(policy=SMTP))

    def holds(self, name: str, message: EmailMessage, folder: str = "INBOX") -> bytes | None:
        """The message with this Message-ID as it lies in somebody's own folder; None where it is not there."""
        with self.imap(name) as client:
            if client.select(f'"{folder}"', readonly=True)[0] != "OK":
                return None
            _, (found, *_) = client.uid("SEARCH", "HEADER", "Message-ID", f'"{message["Message-ID"]}"')
            return octets_of(client, found.split()[-1].decode()) if found else None

    def arrived(self, name: str, message: EmailMessage, folder: str = "INBOX") -> bytes:
        """As `holds`, waiting for it. Raises Unexpected."""
        end = time.monotonic() + ARRIVAL_SECONDS
        while (found := self.holds(name, message, folder)) is None:
            if time.monotonic() > end:
                raise Unexpected(f"it is not in the {folder} of {name} after {ARRIVAL_SECONDS:.0f} s")
            time.sleep(0.1)
        return found


def compose(to: str, subject: str, *, from_: str | None = None, text: str = "Hello!\n") -> EmailMessage:
    """A message with its own Message-ID; without `from_` it comes from elsewhere."""
    message = EmailMessage(policy=default)
    message["From"] = "Someone <someone@elsewhere.test>" if from_ is None else f"{PEOPLE[from_]} <{address(from_)}>"
    message["To"] = address(to)
    message["Subject"] = subject
    message["Message-ID"] = make_msgid(domain="client.test")
    message.set_content(text)
    return message


def acceptance(attendee: str, organizer: str) -> EmailMessage:
    """The answer to an invitation, as calendar clients send it (RFC 6047)."""
    calendar = (
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//demonstration//EN\r\nMETHOD:REPLY\r\nBEGIN:VEVENT\r\n"
        "UID:meeting-1@client.test\r\nDTSTAMP:20260105T090000Z\r\nDTSTART:20260112T100000Z\r\nSUMMARY:Meeting\r\n"
        f"ORGANIZER:mailto:{address(organizer)}\r\nATTENDEE;PARTSTAT=ACCEPTED:mailto:{address(attendee)}\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    message = compose(organizer, "Accepted: Meeting", from_=attendee, text=calendar)
    message.set_content(calendar.encode(), "text", "calendar", cte="7bit", params={"method": "REPLY", "charset": "utf-8"})
    return message


def octets_of(client: imaplib.IMAP4, uid: str) -> bytes:
    """The whole message. Raises Unexpected."""
    _, data = client.uid("FETCH", uid, "(BODY.PEEK[])")
    for part in data:
        if isinstance(part, tuple) and isinstance(part[1], bytes):
            return part[1]
    raise Unexpected(f"FETCH {uid} gave no message")


def shown_from(message: bytes) -> str:
    """From and Sender as they arrived, one to a line."""
    header = BytesHeaderParser(policy=default).parsebytes(message)
    sender = header["Sender"]
    return f"From: {header['From']}\n" + ("no Sender" if sender is None else f"Sender: {sender}")


def leave(client: imaplib.IMAP4) -> None:
    """LOGOUT, where it has not ended already."""
    try:
        client.logout()
    except (OSError, EOFError, imaplib.IMAP4.error):
        pass  # it has ended already, which is what some lines are about


def enter(client: imaplib.IMAP4, folder: str) -> str:
    """SELECT, which imaplib itself gives up on where a folder is read-only. The answer; raises Unexpected with a refusal."""
    told = answered(client.xatom("SELECT", f'"{folder}"'))
    client.state = "SELECTED"
    client.is_readonly = True
    return told


def answered(answer: tuple[str, Sequence[object]]) -> str:
    """The text of a tagged OK. Raises Unexpected with that of a NO or BAD."""
    kind, data = answer
    if kind != "OK":
        raise Unexpected(f"{kind} {text_of(data)}")
    return text_of(data)


def refused(act: Callable[[], object], *expected: str) -> str:
    """The refusal, which has to begin with one of `expected`. Raises Unexpected where there is none, or another."""
    try:
        act()
    except smtplib.SMTPRecipientsRefused as refusal:
        code, text = next(iter(refusal.recipients.values()))
        told = f"{code} {_word(text)}"
    except smtplib.SMTPResponseException as refusal:
        told = f"{refusal.smtp_code} {_word(refusal.smtp_error)}"
    except imaplib.IMAP4.abort:
        raise
    except imaplib.IMAP4.error as refusal:
        told = f"NO {text_of(refusal.args)}"
    except Unexpected as refusal:
        told = str(refusal)
    else:
        raise Unexpected("it was allowed")
    if not told.startswith(expected):
        raise Unexpected(f"{told} (expected {' or '.join(expected)})")
    return told.replace("\n", " ")


def text_of(data: Sequence[object]) -> str:
    """The last line of what imaplib gives; nothing where there is none."""
    return _word(data[-1]) if data else ""


def _word(said: object) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


@dataclass(slots=True)
class Idling:
    """A client that has said IDLE and listens. imaplib learned that only with Python 3.14."""

    client: imaplib.IMAP4

    def begin(self) -> None:
        """Raises Unexpected."""
        self.client.send(b"idle1 IDLE\r\n")
        if not (line := self.client.readline()).startswith(b"+"):
            raise Unexpected(line.decode(errors="replace").strip())

    def hear(self, word: str) -> tuple[str, float]:
        """The next untagged line with this word in it, and when it came (time.monotonic). Raises Unexpected, OSError."""
        while line := self.client.readline():
            if line.startswith(b"* ") and word.encode() in line:
                return line.decode(errors="replace").strip(), time.monotonic()
        raise Unexpected(f"the connection ended without {word}")
