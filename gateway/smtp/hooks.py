"""aiosmtpd's hooks translated into calls on our services: one object for each connection."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiosmtpd.smtp import AuthResult, Envelope, Session

from gateway import mechanisms
from gateway.login import Peer
from gateway.message.binary import CannotKeep, without_binary
from gateway.message.canonical import UnservedAddress, UnstableAddress, read_address
from gateway.refusal import Refused
from gateway.refusals import Refusals
from gateway.sasl.exchange import Cancelled, Malformed
from gateway.sessions import Doing
from gateway.smtp.engine import HardenedSMTP
from gateway.smtp.replies import ClosedReply, reply, spell, told_as
from gateway.smtp.services import Delivery, Inbound, Sessions, Submission, Transaction
from gateway.smtp.wire import Rebuke
from policy.delivery import POSTMASTER, Door
from policy.identity import Actor, Address, BadAddress
from policy.reasons import Verdict

UNCONVERTED: Final = "554 5.6.1 this BINARYMIME message cannot be kept: octets that no encoding can hide stand in it"


class SubmissionHooks:
    """A mail client: it logs in, then sends as somebody (RFC 6409, RFC 4954)."""

    def __init__(
        self,
        login: mechanisms.Login,
        submission: Submission,
        sessions: Sessions,
        *,
        hostname: str,
        closed_reply: ClosedReply = "5.2.1",
        refusals: Refusals | None = None,
    ) -> None:
        self._login = login
        self._submission = submission
        self._sessions = sessions
        self._hostname = hostname
        self._closed_reply: ClosedReply = closed_reply
        self._refusals = refusals
        self._actor: Actor | None = None
        self._transaction: Transaction | None = None
        self._leave: Callable[[], None] | None = None

    async def authenticate(self, server: HardenedSMTP, mechanism: str, initial: bytes | None) -> AuthResult:
        """One of the mechanisms that are offered; `initial` None: there was no initial response (RFC 4954 section 4)."""
        peer, heard = Peer(server.address, "smtp", server.secured, server.end_point), self._sessions.heard
        try:
            actor = await mechanisms.authenticate(mechanism, initial, server.challenge_auth, self._login, peer)
        except Malformed as malformed:
            raise Rebuke(f"501 5.5.2 {malformed.message}") from None
        except Cancelled:
            raise Rebuke("501 5.7.0 cancelled") from None
        except Refused as refused:
            return AuthResult(success=False, handled=False, message=self._no(server, refused.verdict))
        leave = self._sessions.add(actor, "smtp", server.address, server.end, lambda: Doing(server.session.host_name or ""), heard=heard)
        if leave is None:
            return AuthResult(success=False, handled=False, message="454 4.7.0 this account has too many sessions")
        self._actor, self._leave = actor, leave
        return AuthResult(success=True, auth_data=actor)

    async def handle_MAIL(self, server: HardenedSMTP, session: Session, envelope: Envelope, path: str, options: list[str]) -> str:
        """Who sends, as the envelope has it."""
        assert self._actor is not None  # MAIL is answered with 530 before AUTH
        try:
            reverse_path = _reverse_path(path)
            self._transaction = await self._submission.begin(
                self._actor,
                reverse_path,
                envelope.smtp_utf8,
                server.address,
                secured=server.secured,
                release=server.release,
                dsn=server.dsn,
            )
        except BadAddress as bad:
            return _bad_sender(bad)
        except Refused as refused:
            return self._no(server, refused.verdict, path)
        envelope.mail_from = path
        envelope.mail_options = options
        return "250 2.1.0 sender ok"

    async def handle_RCPT(self, server: HardenedSMTP, session: Session, envelope: Envelope, path: str, options: list[str]) -> str:
        """To whom."""
        assert self._transaction is not None
        try:
            await self._transaction.add(_forward_path(path, self._hostname), dsn=options)
        except BadAddress as bad:
            return _bad_recipient(bad)
        except Refused as refused:
            return self._no(server, refused.verdict, path)
        envelope.rcpt_tos.append(path)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server: HardenedSMTP, session: Session, envelope: Envelope) -> str:
        """The message; durable with the 250."""
        transaction, self._transaction = self._transaction, None
        assert transaction is not None
        try:
            return spell("250 2.0.0", f"{await transaction.commit(await _content(envelope))} accepted")
        except CannotKeep:
            return UNCONVERTED
        except Refused as refused:
            return self._no(server, refused.verdict)

    def _no(self, server: HardenedSMTP, verdict: Verdict, about: str = "") -> str:
        return _refusal(verdict, self._refusals, self._closed_reply, "smtp", server.address, self._actor, about)

    def ended(self) -> None:
        """The connection is over."""
        self._transaction = None
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class InboundHooks:
    """A mail server that brings mail for local recipients: MX, where one reply holds for all of them (RFC 5321)."""

    door: Door = Door.MX

    def __init__(self, delivery: Delivery, *, hostname: str, closed_reply: ClosedReply = "5.2.1", refusals: Refusals | None = None) -> None:
        self._delivery = delivery
        self._hostname = hostname
        self._closed_reply: ClosedReply = closed_reply
        self._refusals = refusals
        self._inbound: Inbound | None = None

    async def handle_MAIL(self, server: HardenedSMTP, session: Session, envelope: Envelope, path: str, options: list[str]) -> str:
        """Who sends, as the envelope has it."""
        try:
            self._inbound = await self._delivery.begin(
                self.door,
                _reverse_path(path),
                server.address,
                helo=session.host_name or "",
                protocol=self._protocol(server, session, envelope),
                dsn=server.dsn,
            )
        except BadAddress as bad:
            return _bad_sender(bad)
        except Refused as refused:
            return self._no(server, refused.verdict, path)
        envelope.mail_from = path
        envelope.mail_options = options
        return "250 2.1.0 sender ok"

    async def handle_RCPT(self, server: HardenedSMTP, session: Session, envelope: Envelope, path: str, options: list[str]) -> str:
        """To whom."""
        assert self._inbound is not None
        try:
            await self._inbound.add(_forward_path(path, self._hostname), dsn=options)
        except BadAddress as bad:
            return _bad_recipient(bad)
        except Refused as refused:
            return self._no(server, refused.verdict, path)
        envelope.rcpt_tos.append(path)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server: HardenedSMTP, session: Session, envelope: Envelope) -> str:
        """The message; durable with the 250."""
        inbound, self._inbound = self._inbound, None
        assert inbound is not None
        try:
            outcomes = await inbound.commit(await _content(envelope))
            recipients = [*envelope.rcpt_tos, *[""] * len(outcomes)]
            return self.outcome([self._said(server, one, to) for one, to in zip(outcomes, recipients, strict=False)])
        except CannotKeep:
            return UNCONVERTED
        except Refused as refused:
            return self._no(server, refused.verdict)

    def _no(self, server: HardenedSMTP, verdict: Verdict, about: str = "") -> str:
        return _refusal(verdict, self._refusals, self._closed_reply, str(self.door), server.address, None, about)

    def _protocol(self, server: HardenedSMTP, session: Session, envelope: Envelope) -> str:
        """Received's word after `with` (RFC 3848, RFC 6531 section 4.3)."""
        if not session.extended_smtp:
            return "SMTP"
        return ("UTF8SMTP" if envelope.smtp_utf8 else "ESMTP") + ("S" if server.secured else "")

    def outcome(self, replies: list[str]) -> str:
        """The reply after DATA from those for each recipient. Who was accepted is not sent again: the rest got a report instead."""
        for first in "24":
            for one in replies:
                if one.startswith(first):
                    return one
        return replies[0]

    def _said(self, server: HardenedSMTP, outcome: str | Verdict, recipient: str) -> str:
        return spell("250 2.0.0", f"{outcome} accepted") if isinstance(outcome, str) else self._no(server, outcome, recipient)

    def ended(self) -> None:
        """The connection is over."""
        self._inbound = None


class LmtpHooks(InboundHooks):
    """A neighbour that hands mail in by LMTP: a reply for each recipient (RFC 2033)."""

    door = Door.LMTP

    def _protocol(self, server: HardenedSMTP, session: Session, envelope: Envelope) -> str:
        """The same with LMTP's names."""
        return ("UTF8LMTP" if envelope.smtp_utf8 else "LMTP") + ("S" if server.secured else "")

    def outcome(self, replies: list[str]) -> str:
        """One after the other."""
        return "\r\n".join(replies)


def _refusal(
    verdict: Verdict, refusals: Refusals | None, closed_reply: ClosedReply, protocol: str, source: str, actor: Actor | None, about: str
) -> str:
    """In words, with the id by which an administrator can ask about it."""
    if refusals is not None:
        verdict = refusals.named(verdict, protocol, source, actor, about, told_as(verdict, closed_reply))
    return reply(verdict, closed_reply)


async def _content(envelope: Envelope) -> bytes:
    """The message, of lines only: what came as BINARYMIME is converted before anything judges, keeps or relays it (RFC 3030 section 3).
    Raises CannotKeep."""
    content = envelope.original_content
    assert content is not None
    # The service has it now; a connection that waits for the next message keeps none.
    envelope.content = envelope.original_content = None
    if any(option.upper() == "BODY=BINARYMIME" for option in envelope.mail_options):
        return await asyncio.to_thread(without_binary, bytes(content))
    return content


def _reverse_path(path: str) -> Address | None:
    return read_address(path) if path else None


def _forward_path(path: str, hostname: str) -> Address:
    """`<Postmaster>` stands without a domain (RFC 5321 section 4.1.1.3)."""
    return Address(POSTMASTER, hostname.lower()) if path.lower() == POSTMASTER else read_address(path)


def _bad_sender(bad: BadAddress) -> str:
    """Delegation.md section 1: a local part in another Unicode form than NFC is malformed content rather than bad syntax."""
    return f"550 5.6.0 {bad}" if isinstance(bad, UnstableAddress) else f"{_syntax_code(bad)} 5.1.7 {bad}"


def _bad_recipient(bad: BadAddress) -> str:
    return f"{_syntax_code(bad)} 5.1.3 {bad}"


def _syntax_code(bad: BadAddress) -> int:
    """501 is for what is no address at all (RFC 5321 section 4.1.2, RFC 6409 section 5.1), 553 for a name that is not allowed."""
    return 553 if isinstance(bad, UnservedAddress | UnstableAddress) else 501
