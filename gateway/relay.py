"""Hands remote mail to the next hop, one outcome per recipient."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import aiosmtplib

from policy.identity import Address


class Fate(StrEnum):
    """What became of one recipient."""

    SENT = "sent"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reply` is the next hop's last word (or what kept us from it), for the queue and the bounce."""

    fate: Fate
    reply: str


@dataclass(frozen=True, slots=True)
class NextHop:
    """`starttls`: TLS is required after connecting, and verified; off only where the next hop is this machine."""

    host: str
    port: int
    implicit_tls: bool
    starttls: bool
    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return f"NextHop({self.host}:{self.port})"


class Relay:
    """`timeout`: seconds for each step of the dialogue."""

    def __init__(self, hop: NextHop, hostname: str, timeout: float = 300.0) -> None:
        self._hop = hop
        self._hostname = hostname
        self._timeout = timeout

    async def send(
        self, reverse_path: Address | None, recipients: Sequence[Address], octets: bytes, smtputf8: bool = False
    ) -> dict[Address, Outcome]:
        """One transaction with all recipients. Never raises: what went wrong is each recipient's outcome.

        Only the next hop's own 5xx is final. Whatever else happens (no connection, bad TLS, refused login, a reply that never
        came) may pass, and the queue's lifetime ends it. After the dot without a reply the message may be sent twice.
        """
        try:
            return await self._dialogue(reverse_path, recipients, octets, smtputf8)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            replies = {str(one.recipient): (one.code, one.message) for one in refused.recipients}
            return {one: _judge(*replies.get(str(one), (451, "no reply"))) for one in recipients}
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as refused:
            return dict.fromkeys(recipients, _judge(refused.code, refused.message))
        except aiosmtplib.SMTPNotSupported as missing:
            return dict.fromkeys(recipients, Outcome(Fate.NEVER, f"5.6.7 {missing}"))
        except aiosmtplib.SMTPResponseException as odd:
            return dict.fromkeys(recipients, Outcome(Fate.LATER, f"{odd.code} {odd.message}"))
        except (aiosmtplib.SMTPException, OSError, ValueError) as fault:
            return dict.fromkeys(recipients, Outcome(Fate.LATER, f"{type(fault).__name__}: {fault}"))

    async def _dialogue(
        self, reverse_path: Address | None, recipients: Sequence[Address], octets: bytes, smtputf8: bool
    ) -> dict[Address, Outcome]:
        hop = self._hop
        client = aiosmtplib.SMTP(
            hostname=hop.host,
            port=hop.port,
            username=hop.username,
            password=hop.password,
            local_hostname=self._hostname,
            use_tls=hop.implicit_tls,
            start_tls=hop.starttls and not hop.implicit_tls,
            timeout=self._timeout,
        )
        async with client:
            if client.is_ehlo_or_helo_needed:
                # What it offers must be known before it is used; sendmail falls back to HELO where EHLO is not known.
                with contextlib.suppress(aiosmtplib.SMTPHeloError):
                    await client.ehlo()
            options = (["smtputf8"] if smtputf8 else []) + (["body=8bitmime"] if client.supports_extension("8bitmime") else [])
            sender = "" if reverse_path is None else str(reverse_path)
            refused, reply = await client.sendmail(sender, [str(one) for one in recipients], octets, mail_options=options)
        sent = Outcome(Fate.SENT, f"250 {reply}")
        return {one: _judge(refused[str(one)].code, refused[str(one)].message) if str(one) in refused else sent for one in recipients}


def _judge(code: int, message: str) -> Outcome:
    return Outcome(Fate.NEVER if 500 <= code <= 599 else Fate.LATER, f"{code} {message}")
