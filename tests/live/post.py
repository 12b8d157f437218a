"""Handing octets in as a client does, and looking at what arrives, octet for octet."""

from __future__ import annotations

import imaplib
import re
import smtplib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.live.server import Server

DECISION = re.compile(r"\[d-[0-9a-f]{4,16}\]$")


@dataclass(frozen=True)
class Said:
    """The reply that ended it: of MAIL, RCPT or DATA, whichever refused first, or the one after the dot."""

    code: int
    text: str
    at: str

    @property
    def enhanced(self) -> str:
        return f"{self.code} {self.text.split(' ', 1)[0]}"

    @property
    def accepted(self) -> bool:
        return self.code == 250 and self.at == "DATA"


def submit(client: smtplib.SMTP, sender: str, recipients: str | Sequence[str], octets: bytes, options: Sequence[str] = ()) -> Said:
    """One transaction; the session is ready for the next one afterwards. Raises nothing for a refusal."""
    code, text = client.mail(sender, options)
    at = "MAIL"
    for recipient in [recipients] if isinstance(recipients, str) else recipients:
        if code == 250:
            code, text = client.rcpt(recipient)
            at = "RCPT"
    if code == 250:
        at = "DATA"
        try:
            code, text = client.data(octets)
        except smtplib.SMTPDataError as refused:
            code, text = refused.smtp_code, refused.smtp_error if isinstance(refused.smtp_error, bytes) else refused.smtp_error.encode()
    if code != 250:
        client.rset()
    return Said(code, text.decode(), at)


class Letter:
    """A message as it lies in a folder."""

    def __init__(self, octets: bytes, flags: frozenset[str] = frozenset()) -> None:
        self.octets = octets
        self.flags = flags
        head, _, self.body = octets.partition(b"\r\n\r\n")
        self.head = head + b"\r\n"

    @property
    def fields(self) -> list[tuple[str, str]]:
        """(name in lower case, value without folding), in order."""
        found = re.findall(rb"^([!-9;-~]+):((?:[^\n]*\n[ \t])*[^\n]*\n)", self.head, re.MULTILINE)
        return [(name.decode().lower(), value.replace(b"\r\n", b"").strip().decode("utf-8", "replace")) for name, value in found]

    def every(self, name: str) -> list[str]:
        return [value for known, value in self.fields if known == name.lower()]

    def one(self, name: str) -> str | None:
        """The value of a field that must not be there twice."""
        values = self.every(name)
        assert len(values) <= 1, f"{len(values)} fields {name}"
        return values[0] if values else None

    @property
    def submitted(self) -> bytes:
        """Without the trace fields that we put on top: Return-Path, Delivered-To and the newest Received."""
        rest = self.octets
        for name in (b"Return-Path:", b"Delivered-To:", b"Received:"):
            if rest.startswith(name):
                rest = re.sub(rb"\A[^\n]*\n(?:[ \t][^\n]*\n)*", b"", rest)
        return rest


class Postbox:
    """One account's folder, looked into again and again on one connection."""

    def __init__(self, server: Server, user: str, folder: str = "INBOX") -> None:
        self.server = server
        self.user = user
        self.folder = folder
        self.last = 0
        self._client: imaplib.IMAP4 | None = None

    def close(self) -> None:
        if self._client is not None:
            self._client.logout()
            self._client = None

    def _select(self) -> imaplib.IMAP4 | None:
        if self._client is None:
            client = self.server.imap(self.user)
            kind, _ = client.select(f'"{self.folder}"', readonly=True)
            if kind != "OK":
                client.logout()
                return None
            self._client = client
        return self._client

    def new(self) -> list[Letter]:
        """What came since the last time, by UID."""
        client = self._select()
        if client is None:
            return []
        client.noop()
        kind, found = client.uid("FETCH", f"{self.last + 1}:*", "(UID FLAGS BODY.PEEK[])")
        assert kind == "OK", found
        letters: list[tuple[int, Letter]] = []
        for at, part in enumerate(found):
            if isinstance(part, tuple):
                told = part[0] + (found[at + 1] if at + 1 < len(found) and isinstance(found[at + 1], bytes) else b"")
                number = re.search(rb"UID (\d+)", told)
                assert number is not None, told
                uid = int(number[1])
                if uid > self.last:
                    flags = re.search(rb"FLAGS \(([^)]*)\)", told)
                    letters.append((uid, Letter(part[1], frozenset(flags[1].decode().split() if flags else ()))))
        if letters:
            self.last = max(uid for uid, _ in letters)
        return [letter for _, letter in sorted(letters, key=lambda one: one[0])]

    def wait(self, count: int = 1, seconds: float = 15.0) -> list[Letter]:
        """Until so many more have come."""
        end = time.monotonic() + seconds
        found: list[Letter] = []
        while len(found) < count:
            found += self.new()
            if len(found) < count:
                assert time.monotonic() < end, f"{len(found)} of {count} came to {self.user} {self.folder}"
                time.sleep(0.05)
        return found

    def the_one(self) -> Letter:
        """Exactly one has come; what is local is there with the 250."""
        found = self.new()
        assert len(found) == 1, f"{len(found)} messages for {self.user} in {self.folder}"
        return found[0]


class Clients:
    """One submission session per user, opened when it is first needed."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._open: dict[str, smtplib.SMTP] = {}

    def __getitem__(self, user: str) -> smtplib.SMTP:
        client = self._open.get(user)
        if client is not None:
            try:
                if client.noop()[0] == 250:
                    return client
            except smtplib.SMTPException:
                pass
        client = self._open[user] = self.server.smtp(user)
        return client

    def close(self) -> None:
        for client in self._open.values():
            try:
                client.quit()
            except (OSError, smtplib.SMTPException):
                pass
        self._open.clear()
