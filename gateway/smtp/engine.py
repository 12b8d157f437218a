"""The commands of SMTP: aiosmtpd's class with everything replaced that a hostile peer or a fault of ours could turn against us.

What is kept of aiosmtpd 1.4 is its interface: `Session`, `Envelope`, `AuthResult`, the `smtp_*` methods, and a handler's `handle_*`
hooks with the arguments that it gives them; AUTH is the handler's `authenticate`. robustness.md section 3 lists what is wrong in the
rest and why.
"""

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar, Final

from aiosmtpd.smtp import MISSING, AuthResult

from gateway.mechanisms import offered
from gateway.sasl.exchange import Cancelled
from gateway.smtp import grammar
from gateway.smtp.data import ChunkReader, DataReader, Fault
from gateway.smtp.proxy import ATTRIBUTES, xclient
from gateway.smtp.terms import House, Terms, is_within
from gateway.smtp.wire import LONG_EXCHANGE, Hangup, Rebuke, Wire

BURST: Final = 50
"""Commands of one connection before the others get a turn."""

SKIPPED_CHUNK: Final = 4
"""A chunk of more than so many times the size of a message is not even waited out."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_HTTP: Final = frozenset({b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH", b"PRI"})
_TEXT: Final = bytes(range(0x20, 0x7F))


class HardenedSMTP(Wire):
    """SMTP as RFC 5321 has it, with PIPELINING, SIZE, CHUNKING, 8BITMIME, BINARYMIME, SMTPUTF8, DSN, ENHANCEDSTATUSCODES,
    LIMITS, FUTURERELEASE, STARTTLS and AUTH.

    A handler's `handle_DATA` runs in a task of its own: once begun it is finished, whatever becomes of the peer. `ended()` of the
    handler, where it has one, is called when the connection is over.
    """

    verbs: ClassVar[Mapping[bytes, str]] = MappingProxyType(
        {
            b"EHLO": "smtp_EHLO",
            b"HELO": "smtp_HELO",
            b"MAIL": "smtp_MAIL",
            b"RCPT": "smtp_RCPT",
            b"DATA": "smtp_DATA",
            b"BDAT": "smtp_BDAT",
            b"RSET": "smtp_RSET",
            b"NOOP": "smtp_NOOP",
            b"QUIT": "smtp_QUIT",
            b"VRFY": "smtp_VRFY",
            b"EXPN": "smtp_EXPN",
            b"HELP": "smtp_HELP",
            b"AUTH": "smtp_AUTH",
            b"STARTTLS": "smtp_STARTTLS",
            b"XCLIENT": "smtp_XCLIENT",
        }
    )

    counts_refusals: ClassVar[bool] = True
    hears_neighbours: ClassVar[bool] = True
    """XCLIENT is taken from who is configured."""

    def __init__(self, handler: Any, terms: Terms, house: House) -> None:
        super().__init__(handler, terms, house)
        self._bad = 0
        self._idle = 0
        self._failed = 0
        self._refused = 0
        self._taken = 0
        self._chunks: ChunkReader | None = None
        self._neighbour: str | None = None
        self.dsn: tuple[str, ...] = ()
        """RET and ENVID of the message (gateway.dsn)."""
        self.release: int | None = None
        """When the message may be sent at the earliest (RFC 4865), microseconds since 1970."""
        self.binary = False
        """The message is BODY=BINARYMIME: lines and NULs mean nothing in its bodies (RFC 3030 section 3)."""

    async def converse(self) -> None:
        """Commands, until Hangup."""
        try:
            await self._converse()
        finally:
            self._forget()

    async def _converse(self) -> None:
        limits = self.terms.limits
        burst = 0
        while True:
            self.check_interruption()
            try:
                await self._command(await self.line(limits.line, limits.command_timeout))
            except Rebuke as rebuke:
                self._bad += rebuke.costs
                if self._bad > self._tolerance():
                    raise Hangup("421 4.7.0 too many errors, goodbye") from None
                self.say(rebuke.reply)
            except Hangup:
                raise
            except Exception as error:
                self.say(await self.handle_exception(error))
            burst += 1
            if burst >= BURST:
                burst = 0
                await self.flush()
                await asyncio.sleep(0)
                if self.loop.time() > min(self.session_ends, self.login_ends):
                    raise Hangup("421 4.4.2 this session has lasted too long, goodbye")

    def _tolerance(self) -> int:
        limits = self.terms.limits
        stranger = self.terms.mechanisms and not self.session.authenticated
        return limits.bad_commands_before_login if stranger else limits.bad_commands

    async def _command(self, line: bytes) -> None:
        # Blanks at the end are tolerated (RFC 5321 section 4.1.1).
        verb, _, rest = line.rstrip(b" \t").partition(b" ")
        name = verb.upper()
        method = self.verbs.get(name)
        if method is None:
            if name in _HTTP or b" HTTP/" in line:
                raise Hangup("421 4.7.0 this is no web server, goodbye")
            if name.startswith(b"BDAT"):
                # What follows is a message, and none of it may be taken for commands.
                raise Hangup("501 5.5.4 Syntax: BDAT octets [LAST], goodbye")
            raise Rebuke("500 5.5.2 the command is not known")
        argument = _argument(name, rest) if rest.translate(None, _TEXT) else rest.decode("ascii")
        await getattr(self, method)(argument.lstrip(" ") or None)

    async def handle_exception(self, error: Exception) -> str:
        """A fault of ours is temporary, and its text is for the log alone."""
        return self.fault(error)

    async def _call_handler_hook(self, command: str, *args: Any) -> Any:
        hook = getattr(self.event_handler, "handle_" + command, None)
        if hook is None:
            return MISSING
        return await hook(self, self.session, self.envelope, *args)

    # who is speaking

    def _greeted(self) -> None:
        if not self.session.host_name:
            raise Rebuke("503 5.5.1 say EHLO first")

    def _known(self) -> None:
        self._greeted()
        if self.terms.mechanisms and not self.session.authenticated:
            raise Rebuke("530 5.7.0 log in first")

    def _unasked(self) -> None:
        """A command that brings no message nearer; too many of them are no mail client's."""
        self._idle += 1
        if self._idle > self.terms.limits.idle_commands:
            raise Hangup("421 4.7.0 too many commands without a message, goodbye")

    async def smtp_EHLO(self, hostname: str | None) -> None:
        """`ehlo = "EHLO" SP ( Domain / address-literal )` (RFC 5321 section 4.1.1.1)."""
        self._unasked()
        name = _hello(hostname)
        self._forget()
        self.session.extended_smtp = True
        lines = self._extensions()
        responses = [f"250-{line}" for line in lines[:-1]] + [f"250 {lines[-1]}"]
        if hasattr(self.event_handler, "handle_EHLO"):
            responses = await self._call_handler_hook("EHLO", name, responses)
        self.session.host_name = name
        self.say("\r\n".join(responses))

    def _extensions(self) -> list[str]:
        limits = self.terms.limits
        found = [self.hostname, f"SIZE {limits.message_size}", "PIPELINING", "CHUNKING", "8BITMIME", "BINARYMIME", "SMTPUTF8", "DSN"]
        found.append("ENHANCEDSTATUSCODES")
        found.append(f"LIMITS RCPTMAX={limits.recipients}")
        if self.terms.hold:
            found.append(f"FUTURERELEASE {self.terms.hold} {_spelled(self.terms.clock() // 1_000_000 + self.terms.hold)}")
        if self.terms.tls is not None and not self.secured:
            found.append("STARTTLS")
        if self.terms.mechanisms and self._login_safe():
            found.append("AUTH " + " ".join(self._mechanisms()))
        if self._may_introduce():
            found.append("XCLIENT " + " ".join(ATTRIBUTES))
        found.append("HELP")
        return found

    def _may_introduce(self) -> bool:
        neighbour = self._neighbour if self._neighbour is not None else self.address
        return self.hears_neighbours and bool(neighbour) and is_within(neighbour, self.terms.neighbours)

    async def smtp_XCLIENT(self, arg: str | None) -> None:
        """Postfix's XCLIENT: a neighbour says for whom it speaks, and the session begins anew. For anybody else there is no such
        command."""
        if not self._may_introduce():
            raise Rebuke("500 5.5.2 the command is not known")
        if self.envelope.mail_from is not None or self.session.authenticated:
            raise Rebuke("503 5.5.1 XCLIENT comes before AUTH and MAIL")
        try:
            address = xclient(arg or "")
        except grammar.BadSyntax as bad:
            raise Rebuke(str(bad)) from None
        if self._neighbour is None:
            self._neighbour = self.address
        if address is not None:
            self.speaks_for(address)
        self._forget()
        self.session.host_name = None
        self.session.extended_smtp = False
        self.say(self.greeting())

    async def smtp_HELO(self, hostname: str | None) -> None:
        """`helo = "HELO" SP Domain` (RFC 5321 section 4.1.1.1)."""
        self._unasked()
        name = _hello(hostname)
        self._forget()
        self.session.extended_smtp = False
        status = await self._call_handler_hook("HELO", name)
        self.session.host_name = name
        self.say(f"250 {self.hostname}" if status is MISSING else status)

    # TLS and AUTH

    async def smtp_STARTTLS(self, arg: str | None) -> None:
        """RFC 3207. What was sent in the clear after the command is never read as if it had come encrypted: it ends the connection."""
        if arg:
            raise Rebuke("501 5.5.4 Syntax: STARTTLS")
        if self.secured:
            raise Rebuke("503 5.5.1 TLS is on already")
        if self.terms.tls is None:
            raise Rebuke("502 5.5.1 TLS is not offered here")
        if self.session.authenticated:
            raise Rebuke("503 5.5.1 TLS comes before AUTH")
        self.say("220 2.0.0 go ahead with TLS")
        await self.flush()
        if self.inbox:
            raise Hangup(None)
        self._forget()
        await self.secure()

    def _login_safe(self) -> bool:
        return self.secured or self.terms.plaintext_login

    def _mechanisms(self) -> tuple[str, ...]:
        return offered(self.terms.mechanisms, self.end_point)

    async def smtp_AUTH(self, arg: str | None) -> None:
        """RFC 4954 section 4. What the mechanism says is the handler's to know: its `authenticate`."""
        if not self.terms.mechanisms:
            raise Rebuke("502 5.5.1 nobody logs in here")
        self._greeted()
        if self.session.authenticated:
            raise Rebuke("503 5.5.1 you are logged in already")
        if not self.session.extended_smtp:
            raise Rebuke("503 5.5.1 say EHLO first")
        if not self._login_safe():
            raise Rebuke("538 5.7.11 encryption is required: use STARTTLS first")
        words = (arg or "").split(" ")
        if not words[0] or len(words) > 2:
            raise Rebuke("501 5.5.4 Syntax: AUTH mechanism [initial-response]")
        mechanism = words[0].upper()
        if mechanism not in self._mechanisms():
            raise Rebuke("504 5.5.4 this mechanism is not offered")
        initial = None if len(words) < 2 else b"" if words[1] == "=" else _from_base64(words[1].encode())
        result: AuthResult = await self.event_handler.authenticate(self, mechanism, initial)
        if result.success:
            self.session.authenticated = True
            self.session.auth_data = result.auth_data
            self.login_ends = self.session_ends
            self._bad = self._failed = 0
            self.say(result.message or "235 2.7.0 welcome")
            return
        self._failed += 1
        await asyncio.sleep(self.terms.limits.failed_login_delay)
        self.say(result.message or "535 5.7.8 authentication failed")
        if self._failed >= self.terms.limits.failed_logins:
            raise Hangup("421 4.7.0 too many failed logins, goodbye")

    async def challenge_auth(self, challenge: str | bytes, encode_to_b64: bool = True, log_client_response: bool = False) -> bytes:
        """What the client answers, decoded. Raises Cancelled, and Rebuke where it is no base64; nothing of it is ever logged."""
        octets = challenge.encode() if isinstance(challenge, str) else challenge
        self.say("334 " + (base64.b64encode(octets) if encode_to_b64 else octets).decode("ascii"))
        limits = self.terms.limits
        answer = await self.line(limits.auth_line, limits.command_timeout, LONG_EXCHANGE)
        if answer == b"*":
            raise Cancelled
        return _from_base64(answer)

    # the message

    async def smtp_MAIL(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.2."""
        self._known()
        envelope = self.envelope
        if envelope.mail_from is not None:
            raise Rebuke("503 5.5.1 a message is begun already")
        try:
            mail = grammar.mail(arg or "", extended=self.session.extended_smtp, auth=bool(self.terms.mechanisms), hold=self.terms.hold > 0)
        except grammar.BadSyntax as bad:
            raise Rebuke(str(bad)) from None
        if mail.size > self.terms.limits.message_size:
            raise Rebuke(self._too_big(), costs=0)
        envelope.smtp_utf8 = mail.smtputf8
        self.binary = mail.binary
        self.release = self._release_of(mail)
        self.dsn = mail.dsn
        status = await self._call_handler_hook("MAIL", mail.path, mail.parameters)
        if status is MISSING:
            envelope.mail_from = mail.path
            envelope.mail_options.extend(mail.parameters)
            status = "250 2.1.0 sender ok"
        self.say(status)

    def _clock(self) -> datetime:
        return _EPOCH + timedelta(microseconds=self.terms.clock())

    def _release_of(self, mail: grammar.Mail) -> int | None:
        """RFC 4865 section 3. Raises Rebuke where it is too late, or too long a time."""
        now = self._clock()
        if mail.hold_for is not None:
            until = now + timedelta(seconds=mail.hold_for)
        elif mail.hold_until is not None:
            until = mail.hold_until
        else:
            return None
        if until < now:
            raise Rebuke("501 5.5.4 this time has passed")
        if until > now + timedelta(seconds=self.terms.hold):
            raise Rebuke(f"501 5.5.4 a message is held for {self.terms.hold} seconds at most", costs=0)
        return (until - _EPOCH) // timedelta(microseconds=1)

    async def smtp_RCPT(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.3."""
        self._known()
        envelope = self.envelope
        if envelope.mail_from is None:
            raise Rebuke("503 5.5.1 say MAIL first")
        if self._chunks is not None:
            raise Rebuke("503 5.5.1 the message has begun")
        limits = self.terms.limits
        if len(envelope.rcpt_tos) >= limits.recipients:
            raise Rebuke("452 4.5.3 too many recipients", costs=0)
        try:
            rcpt = grammar.rcpt(arg or "", extended=self.session.extended_smtp, smtputf8=envelope.smtp_utf8)
        except grammar.BadSyntax as bad:
            raise Rebuke(str(bad)) from None
        status = await self._call_handler_hook("RCPT", rcpt.path, [*rcpt.dsn])
        if status is MISSING:
            envelope.rcpt_tos.append(rcpt.path)
            status = "250 2.1.5 recipient ok"
        self.say(status)
        # Who is logged in answers for what he does, and a neighbour that hands mail in by LMTP asks for what it was sent.
        if status.startswith("5") and self.counts_refusals and not self.session.authenticated:
            self._refused += 1
            if self._refused >= limits.refused_recipients:
                raise Hangup("421 4.7.0 too many recipients that take no mail, goodbye")

    async def smtp_DATA(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.4."""
        self._known()
        if arg:
            raise Rebuke("501 5.5.4 Syntax: DATA")
        self._addressed()
        if self._chunks is not None:
            raise Rebuke("503 5.5.1 the message has begun with BDAT")
        if self.binary:
            raise Rebuke("503 5.5.1 a BINARYMIME message comes by BDAT")
        self.say("354 end the message with <CRLF>.<CRLF>")
        try:
            await self._conclude(await self._read_message())
        finally:
            self._forget()

    async def smtp_BDAT(self, arg: str | None) -> None:
        """RFC 3030 section 2. The octets of a chunk are always read to their end, or the connection ends: whatever is wrong, none of
        them is ever taken for a command. After a fault the chunks that follow get the same reply, so that a pipelining client's last
        one says what it was."""
        try:
            size, last = grammar.bdat(arg or "")
        except grammar.BadSyntax as bad:
            raise Hangup(str(bad)) from None
        if size > SKIPPED_CHUNK * self.terms.limits.message_size:
            raise Hangup(self._too_big() + ", goodbye")
        try:
            self._known()
            self._addressed()
        except Rebuke:
            await self._read_chunk(None, size)
            raise
        reader = self._chunks
        if reader is None:
            reader = self._chunks = ChunkReader(self.terms.limits.message_size)
        reader.announce(size)
        await self._read_chunk(reader, size)
        if last:
            reader.end(binary=self.binary, fix=self.terms.bare_newline == "fix")
            try:
                await self._conclude(reader)
            finally:
                self._forget()
            return
        if not size:
            self._unasked()
        self.say(f"250 2.0.0 {size} octets received" if reader.fault is None else self._faulty(reader.fault))

    def _addressed(self) -> None:
        """There is somebody to send a message to."""
        if self.envelope.mail_from is None:
            raise Rebuke("503 5.5.1 say MAIL first")
        if not self.envelope.rcpt_tos:
            raise Rebuke("503 5.5.1 there is no recipient that takes the message")

    async def _conclude(self, reader: DataReader | ChunkReader) -> None:
        """The message is there, as it is: commit it or refuse it."""
        envelope = self.envelope
        if reader.fault is None:
            envelope.content = envelope.original_content = reader.take()
            status = await self._commit()
        else:
            status = self._faulty(reader.fault)
        self._idle = 0
        for reply in self.after_data(status, len(envelope.rcpt_tos)):
            self.say(reply)

    def _forget(self) -> None:
        """The transaction is over, or never was; the room that its octets took is given back."""
        self.envelope = self._create_envelope()
        self._chunks = None
        self.binary = False
        self.release = None
        self.dsn = ()
        self.house.intake.give(self._taken)
        self._taken = 0

    def after_data(self, status: str, recipients: int) -> list[str]:
        """The replies to the end of DATA or to BDAT LAST: in SMTP one."""
        return [status]

    async def _read_chunk(self, reader: ChunkReader | None, size: int) -> None:
        """Exactly `size` octets, into the reader if there is one."""
        inbox = self.inbox
        left = size
        if left > len(inbox):
            self.expect(self.terms.limits.data_timeout)
        while left:
            if not inbox:
                await self.more()
                continue
            octets = bytes(inbox) if len(inbox) <= left else bytes(inbox[:left])
            del inbox[: len(octets)]
            left -= len(octets)
            if reader is not None:
                reader.feed(octets)
                self._make_room(reader)

    async def _read_message(self) -> DataReader:
        """Until the end of the message, whatever is wrong with it."""
        limits = self.terms.limits
        reader = DataReader(limits.message_size, fix=self.terms.bare_newline == "fix")
        inbox = self.inbox
        self.expect(limits.data_timeout)
        while True:
            if not inbox:
                await self.more()
            octets = bytes(inbox)
            inbox.clear()
            rest = reader.feed(octets)
            self._make_room(reader)
            if rest is not None:
                inbox += rest
                return reader

    def _make_room(self, reader: DataReader | ChunkReader) -> None:
        """For what has come; where there is none, nothing of the message is kept."""
        grown = reader.size - self._taken
        if grown > 0:
            if self.house.intake.take(grown):
                self._taken += grown
            else:
                reader.refuse(Fault.NO_ROOM)

    def _faulty(self, fault: Fault) -> str:
        match fault:
            case Fault.TOO_BIG:
                return self._too_big()
            case Fault.NO_ROOM:
                return "452 4.3.1 there is no room for more messages now, try again later"
            case Fault.BARE_NEWLINE | Fault.NUL:
                return f"550 5.6.0 the message is malformed: {fault.value}"

    async def _commit(self) -> str:
        """The handler's DATA hook, to its end, in a task that no lost connection cancels."""
        await self.flush()
        hook = getattr(self.event_handler, "handle_DATA", None)
        if hook is None:
            return "250 2.0.0 accepted"
        # With the envelope of now: the task may begin when this connection has a new one, or has ended.
        task = self.loop.create_task(hook(self, self.session, self.envelope))
        commits = self.house.commits
        commits.add(task)
        task.add_done_callback(commits.discard)
        self.committing = True
        try:
            status = await asyncio.shield(task)
        except Exception as error:
            return await self.handle_exception(error)
        finally:
            self.committing = False
        return str(status)

    def _too_big(self) -> str:
        return f"552 5.3.4 a message may have {self.terms.limits.message_size} octets"

    # the rest

    async def smtp_RSET(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.5."""
        if arg:
            raise Rebuke("501 5.5.4 Syntax: RSET")
        self._unasked()
        self._forget()
        status = await self._call_handler_hook("RSET")
        self.say("250 2.0.0 ok" if status is MISSING else status)

    async def smtp_NOOP(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.9."""
        self._unasked()
        self.say("250 2.0.0 ok")

    async def smtp_QUIT(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.10."""
        if arg:
            raise Rebuke("501 5.5.4 Syntax: QUIT")
        raise Hangup("221 2.0.0 goodbye")

    async def smtp_VRFY(self, arg: str | None) -> None:
        """RFC 5321 section 7.3: the same for everybody, so that nobody learns who exists."""
        self._unasked()
        if not arg:
            raise Rebuke("501 5.5.4 Syntax: VRFY address")
        self.say("252 2.0.0 send a message and see")

    async def smtp_EXPN(self, arg: str | None) -> None:
        """RFC 5321 section 7.3: who has closed this way answers 252."""
        self._unasked()
        if not arg:
            raise Rebuke("501 5.5.4 Syntax: EXPN list")
        self.say("252 2.0.0 send a message and see")

    async def smtp_HELP(self, arg: str | None) -> None:
        """RFC 5321 section 4.1.1.8."""
        self._unasked()
        self.say("214 2.0.0 " + " ".join(verb.decode() for verb in self.verbs if verb != b"XCLIENT"))


def _argument(name: bytes, rest: bytes) -> str:
    """An argument that is not all printable ASCII: only addresses may have other letters (RFC 6531 sections 3.3 and 3.7.4.2)."""
    if name in (b"MAIL", b"RCPT", b"VRFY", b"EXPN"):
        with contextlib.suppress(UnicodeDecodeError):
            text = rest.decode()
            if not any(character < " " or "\x7f" <= character < "\xa0" for character in text):
                return text
    if name == b"BDAT":
        raise Hangup("501 5.5.4 Syntax: BDAT octets [LAST], goodbye")
    raise Rebuke("500 5.5.2 only printable ASCII is taken here")


@lru_cache(maxsize=16)  # of this second: who connects now
def _spelled(second: int) -> str:
    """A moment as RFC 3339 has it. `second`: since 1970 UTC."""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _hello(argument: str | None) -> str:
    try:
        return grammar.hello(argument or "")
    except grammar.BadSyntax as bad:
        raise Rebuke(str(bad)) from None


def _from_base64(octets: bytes) -> bytes:
    try:
        return binascii.a2b_base64(octets, strict_mode=True)
    except ValueError:
        raise Rebuke("501 5.5.2 that is no base64") from None
