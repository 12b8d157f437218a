"""How do lines and replies travel between one SMTP peer and its commands, in bounded memory and time?"""

import asyncio
import contextlib
import logging
import math
import secrets
from typing import Any, Final, NoReturn, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from gateway.carrier import feed_tls
from gateway.certificate import end_point_of
from gateway.refusal import later
from gateway.smtp.proxy import NoHeader, read_header
from gateway.smtp.replies import farewell, reply
from gateway.smtp.terms import House, Terms, is_within
from policy.reasons import Defer, Reason, Verdict
from store.errors import Busy, Full

log = logging.getLogger(__name__)

BACKLOG: Final = 65_536
"""Octets of pipelined commands that wait here while one runs; more stay in the peer's buffers."""
SKIPPED_OCTETS: Final = 1 << 20
"""How much of a line that is too long is waited out before the connection ends."""

LONG_LINE: Final = "500 5.5.2 the line is too long"
LONG_EXCHANGE: Final = "500 5.5.6 the line is too long"
"""RFC 4954 section 6: of AUTH, and of what the client answers in it."""

_TLS_HELLO: Final = b"\x16\x03"


class Rebuke(Exception):
    """The command was wrong: the reply, and one more bad command. `costs` 0: not the kind of error that only scanners make."""

    def __init__(self, reply: str, costs: int = 1) -> None:
        super().__init__(reply)
        self.reply = reply
        self.costs = costs


class Hangup(Exception):
    """The connection ends. `words`: a last reply, None to say nothing."""

    def __init__(self, words: str | None) -> None:
        super().__init__(words)
        self.words = words


class Wire(SMTP):
    """The asyncio side of a connection: one buffer in, one write out, absolute deadlines, TLS, and an end that is always reached.

    A subclass gives `converse`, which reads with `line` and `more` and replies with `say`.
    """

    def __init__(self, handler: Any, terms: Terms, house: House) -> None:
        # Not SMTP.__init__: it makes a StreamReader, looks through every attribute of the handler (a millisecond for each
        # connection), clears a limit shared by all connections, and its reader ends lines at a bare LF.
        self.loop = asyncio.get_running_loop()
        self.event_handler = handler
        self.terms = terms
        self.house = house
        self.hostname = terms.hostname
        self.data_size_limit = terms.limits.message_size
        self.enable_SMTPUTF8 = True
        self.transport: asyncio.Transport | None = None
        self.session: Session = self._create_session()
        self.envelope: Envelope = self._create_envelope()
        self.address = ""
        """The peer's IP address, or the one that a neighbour said it speaks for; empty for a Unix socket."""
        self.secured = False
        self.end_point: bytes | None = None
        """What SCRAM is bound to on this channel (RFC 5929 section 4)."""
        self.committing = False
        """The message is being accepted: a lost connection disturbs nothing now."""
        self.deadline = math.inf
        self.slot = 0
        self.inbox = bytearray()
        began = self.loop.time()
        self.session_ends = began + terms.limits.session_timeout
        """Loop time."""
        self.login_ends = began + terms.limits.login_timeout if terms.mechanisms else math.inf
        self._handler_coroutine: asyncio.Task[None] | None = None
        self._outbox: list[str] = []
        self._arrived = False
        self._waiter: asyncio.Future[None] | None = None
        self._stalled: asyncio.Future[None] | None = None
        self._interruption: Hangup | None = None
        self._first = True
        self._eof = False
        self._held = False
        self._departing = False
        self._admitted = False
        self._proxied = False

    async def converse(self) -> None:
        """The dialogue after the greeting; it ends by raising Hangup."""
        raise NotImplementedError

    def greeting(self) -> str:
        """What is said first."""
        return f"220 {self.hostname} ESMTP"

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A peer is there; over implicit TLS its handshake comes next."""
        self.transport = cast(asyncio.Transport, transport)
        peername = transport.get_extra_info("peername")
        self.session.peer = peername
        self.address = peer_address(peername)
        # Who speaks through a proxy enters when it is known who that is.
        self._proxied = bool(self.address) and is_within(self.address, self.terms.proxies)
        refusal = None if self._proxied else self._enter()
        if refusal is not None:
            # Not in the clear on a connection that was to be encrypted: the client could not read it.
            if not self.terms.implicit_tls:
                self.transport.write(refusal.encode("ascii", "replace") + b"\r\n")
            self._departing = True
            self._close()
            return
        self.house.here.add(self)
        self._handler_coroutine = self.loop.create_task(self._handle_client())

    def _enter(self) -> str | None:
        """None, or the reply with which the connection ends."""
        refusal = None if self.house.admission is None else self.house.admission.enter(self.address)
        self._admitted = refusal is None
        return refusal

    def _leave(self) -> None:
        if self._admitted and self.house.admission is not None:
            self.house.admission.leave(self.address)
        self._admitted = False

    def speaks_for(self, address: str) -> None:
        """The connection counts as this client's from now on. Raises Hangup where the client may not connect."""
        self._leave()
        self.address = address
        self.session.peer = address
        refusal = self._enter()
        if refusal is not None:
            # Not in the clear on a connection that was to be encrypted: the client could not read it.
            raise Hangup(None if self.terms.implicit_tls and not self.secured else refusal)

    async def _read_proxy_header(self) -> None:
        """Before TLS and before our greeting. A proxy that says anything else is cut off."""
        self.expect(self.terms.limits.proxy_timeout)
        while True:
            try:
                header = read_header(bytes(self.inbox))
            except NoHeader:
                fields = {"listener": self.terms.name, "peer": self.address, "reason": "no PROXY header"}
                log.warning("smtp.proxy", extra={"fields": fields})
                raise Hangup(None) from None
            if header is not None:
                break
            await self.more()
        del self.inbox[: header.size]
        self.speaks_for(self.address if header.address is None else header.address)

    def data_received(self, data: bytes) -> None:
        """Octets, into the one buffer of the connection."""
        if self._departing:
            return
        self.inbox += data
        self._arrived = True
        if self._waiter is not None:
            self._wake()
        elif len(self.inbox) > BACKLOG and not self._held and self.transport is not None:
            self._held = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer says nothing more. Replies still reach it, except over TLS, which cannot be half closed."""
        self._eof = True
        self._wake()
        return not self.secured

    def connection_lost(self, error: Exception | None) -> None:
        """The peer is gone. What has begun to be committed is not disturbed."""
        self.transport = None
        self._eof = True
        self._departing = True
        self.house.wheel.forget(self)
        self.inbox.clear()
        self._leave()
        self.resume_writing()
        self._wake()
        if self._handler_coroutine is not None and not self.committing:
            self._handler_coroutine.cancel()

    def pause_writing(self) -> None:
        """The peer leaves its replies unread."""
        if self._stalled is None:
            self._stalled = self.loop.create_future()

    def resume_writing(self) -> None:
        """It has read them."""
        stalled, self._stalled = self._stalled, None
        if stalled is not None and not stalled.done():
            stalled.set_result(None)

    def late(self) -> None:
        """The wheel's: the deadline has passed."""
        if self.transport is None:
            return
        if self._stalled is not None or self.transport.is_closing():
            self.transport.abort()
        elif self._departing:
            self._eof = True
            self._wake()
        elif self._waiter is not None:
            self._interrupt(Hangup("421 4.4.2 that took too long, goodbye"))

    # what others call

    def end(self, verdict: Verdict) -> None:
        """The session may not go on, for its account has changed: 421, now or after the commit that is under way."""
        self._interrupt(Hangup(farewell(verdict)))

    def stop(self) -> None:
        """The server stops: the same."""
        self.end(Defer(Reason.BUSY))

    def abort(self) -> None:
        """End at once."""
        if self.transport is not None:
            self.transport.abort()

    @property
    def task(self) -> "asyncio.Task[None] | None":
        """What has to end before the connection is over."""
        return self._handler_coroutine

    # reading

    async def line(self, limit: int, seconds: float, too_long: str = LONG_LINE) -> bytes:
        """The next line without its CRLF, `limit` octets with it. Raises Rebuke (`too_long`) where it is longer, Hangup where it ends in
        a bare LF."""
        inbox = self.inbox
        end = inbox.find(b"\n")
        if end < 0 or self._first:
            self.expect(seconds)
            while True:
                if self._first and inbox.startswith(_TLS_HELLO):
                    raise Hangup(None)
                if end >= 0:
                    break
                if len(inbox) > limit and len(inbox) > (allowed := self._allowance()):
                    await self._skip_line(LONG_EXCHANGE if allowed else too_long)
                await self.more()
                end = inbox.find(b"\n")
        if end >= limit and end >= (allowed := self._allowance()):
            await self._skip_line(LONG_EXCHANGE if allowed else too_long)
        line = bytes(inbox[: end + 1])
        del inbox[: end + 1]
        self._first = False
        if not line.endswith(b"\r\n"):
            raise Hangup("500 5.5.2 a line ends in CRLF, goodbye")
        return line[:-2]

    def _allowance(self) -> int:
        """AUTH with an initial response is a longer line (RFC 4954 section 4)."""
        return self.terms.limits.auth_line if self.terms.mechanisms and self.inbox[:5].upper() == b"AUTH " else 0

    async def _skip_line(self, too_long: str) -> NoReturn:
        """Wait out a line that is too long, in constant memory."""
        inbox = self.inbox
        self._first = False
        skipped = 0
        last = b""
        while True:
            end = inbox.find(b"\n")
            if skipped + (len(inbox) if end < 0 else end) > SKIPPED_OCTETS:
                raise Hangup(too_long + ", goodbye")
            if end >= 0:
                last = bytes(inbox[end - 1 : end]) if end else last
                del inbox[: end + 1]
                break
            skipped += len(inbox)
            last = bytes(inbox[-1:]) or last
            inbox.clear()
            await self.more()
        if last != b"\r":
            raise Hangup("500 5.5.2 a line ends in CRLF, goodbye")
        raise Rebuke(too_long)

    async def more(self) -> None:
        """Send what is waiting to be sent, then wait for octets. Raises Hangup when none will come."""
        await self.flush()
        if self._held:
            self._release()
        if not self._arrived:
            if self._interruption is not None:
                raise self._interruption
            if self._eof:
                raise Hangup(None)
            waiter = self._waiter = self.loop.create_future()
            try:
                await waiter
            finally:
                self._waiter = None
        self.check_interruption()
        self._arrived = False

    def check_interruption(self) -> None:
        """Raises Hangup when the session was ended from outside."""
        if self._interruption is not None:
            raise self._interruption

    def _release(self) -> None:
        self._held = False
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    # replying

    def say(self, reply: str) -> None:
        """A whole reply without its last CRLF; it goes out with the others (RFC 2920 section 3.2)."""
        self._outbox.append(reply)

    async def push(self, status: Any) -> None:
        """aiosmtpd's name for it, for hooks that reply themselves."""
        self.say(status.decode("ascii", "backslashreplace") if isinstance(status, bytes) else status)

    async def flush(self) -> None:
        """All replies that are waiting, in one write; then wait while the peer leaves too many unread. Raises Hangup when it is gone."""
        self._send()
        if self._stalled is not None:
            await self._until_read()

    async def _until_read(self) -> None:
        deadline = self.deadline
        self.expect(self.terms.limits.output_timeout)
        while (stalled := self._stalled) is not None:
            await stalled
        if self.transport is None:
            raise Hangup(None)
        self._until(deadline)

    def _send(self) -> None:
        if self._outbox:
            octets = "\r\n".join(self._outbox).encode("ascii", "backslashreplace") + b"\r\n"
            self._outbox.clear()
            if self.transport is not None:
                self.transport.write(octets)

    # time

    def expect(self, seconds: float) -> None:
        """The peer has to do its part within this time, and within the time of the session."""
        self._until(min(self.loop.time() + seconds, self.session_ends, self.login_ends))

    def _until(self, deadline: float) -> None:
        if self.transport is None:
            return
        earlier = deadline < self.deadline
        self.deadline = deadline
        if earlier or not self.slot:
            self.house.wheel.watch(self)

    def _interrupt(self, hangup: Hangup) -> None:
        if self._interruption is None:
            self._interruption = hangup
        self._wake()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # beginning and end

    async def _handle_client(self) -> None:
        words: str | None = None
        try:
            if self._proxied:
                await self._read_proxy_header()
            if self.terms.implicit_tls:
                await self.secure()
            self.say(self.greeting())
            await self.converse()
        except Hangup as hangup:
            words = hangup.words
        except asyncio.CancelledError:
            self.abort()
            raise
        except Exception as error:  # the connection's top: what is ours to answer for is told to the log, not to the peer
            words = self.fault(error)
        finally:
            self.house.here.discard(self)
            ended = getattr(self.event_handler, "ended", None)
            if ended is not None:
                ended()
        await self._depart(words)

    async def secure(self) -> None:
        """Go over to TLS, forgetting what was learnt in the clear (RFC 3207 section 4.2). Raises Hangup when the handshake fails."""
        transport, tls = self.transport, self.terms.tls
        if transport is None or tls is None:
            raise Hangup(None)
        self.deadline = math.inf  # the handshake has a limit of its own
        limits = self.terms.limits
        context = tls()
        handshake = self.loop.create_task(
            self.loop.start_tls(
                transport, self, context, server_side=True, ssl_handshake_timeout=limits.tls_timeout, ssl_shutdown_timeout=limits.linger
            )
        )
        try:
            # After one turn the transport belongs to TLS. What came before that is TLS's too: with implicit TLS, uvloop reads the
            # client's first octets before a task can begin. It is never read as a command.
            await asyncio.sleep(0)
            early = bytes(self.inbox)
            self.inbox.clear()
            self._arrived = False
            if early:
                self.loop.call_soon(feed_tls, transport.get_protocol(), early)
            secured = await handshake
        except (TimeoutError, OSError):
            raise Hangup(None) from None
        finally:
            handshake.cancel()
        if secured is None or self._departing:
            raise Hangup(None)
        self.transport = secured
        self.secured = True
        self.end_point = end_point_of(context)
        self._held = False
        peername = self.session.peer
        self.session = self._create_session()
        self.session.peer = peername
        self.session.ssl = {"cipher": secured.get_extra_info("cipher")}
        self.envelope = self._create_envelope()

    async def _depart(self, words: str | None) -> None:
        """Say the last words, and leave the peer time to read them."""
        if words is not None:
            self.say(words)
        self._send()
        self._departing = True
        self.inbox.clear()
        transport = self.transport
        if transport is None:
            return
        if self._held:
            self._release()
        if words is not None and not self._eof and not self.secured and not transport.is_closing():
            with contextlib.suppress(OSError):
                transport.write_eof()
                self._until(self.loop.time() + self.terms.limits.linger)
                self._waiter = self.loop.create_future()
                await self._waiter
            self._waiter = None
        self._close()

    def _close(self) -> None:
        if self.transport is not None:
            self._until(self.loop.time() + self.terms.limits.output_timeout)
            self.transport.close()

    def fault(self, error: BaseException) -> str:
        """A fault of ours: all about it in the log, to the peer an id and "later", whatever it was (style.md rule 6)."""
        error_id = secrets.token_hex(4)
        fields = {"listener": self.terms.name, "peer": self.address, "error_id": error_id}
        if isinstance(error, Busy):
            # Not ours: the database is away, the disk full.
            log.warning("smtp.fault", extra={"fields": fields | {"reason": str(error)}})
            if isinstance(error, Full):
                return reply(later(error))
        else:
            log.error("smtp.fault", exc_info=error, extra={"fields": fields})
        return f"451 4.3.0 something went wrong here, try again later ({error_id})"


def peer_address(peername: object) -> str:
    """The IP address of a socket's peer as text; empty for a Unix socket. An IPv4 address mapped into IPv6 is the IPv4 address."""
    if not isinstance(peername, tuple) or not peername:
        return ""
    return str(peername[0]).partition("%")[0].removeprefix("::ffff:")
