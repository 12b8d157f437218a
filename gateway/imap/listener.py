"""How does one connection become commands and answers? Carrier, framing, command, handler, response."""

import asyncio
import logging
import math
import secrets
import socket
import ssl
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final, Protocol

from gateway.binding import BACKLOG
from gateway.carrier import OUTPUT_BACKLOG, OUTPUT_TIMEOUT, Carrier, Reading, Wheel, use_small_tls_buffers
from gateway.certificate import end_point_of
from gateway.changes import Changes, News
from gateway.folders import Folders, MissingTarget, UnknownRight
from gateway.imap.capabilities import REGISTRY
from gateway.imap.compression import DEFLATED, INFLATED, LEAST, BrokenStream, Deflater, Inflater
from gateway.imap.framing import NO_ROOM, Allowance, Frame, Framer, FramingError, Want, alone, carries_message
from gateway.imap.grammar.cursor import BadCharset, BadSyntax, command_name
from gateway.imap.grammar.search import CHARSETS
from gateway.imap.phases import LOGS_IN, SELECTS, STAY, Phase, after, may_speak, wrong_phase
from gateway.imap.refusals import farewell, refusal
from gateway.imap.registry import Command
from gateway.imap.responses import (
    SERVERBUG,
    TOOBIG,
    UIDREQUIRED,
    UNAVAILABLE,
    Code,
    Condition,
    Continuation,
    Status,
    badcharset,
    completed,
)
from gateway.imap.sections import Piece
from gateway.imap.session import COMPLETED, Bad, Ended, No, Output, Services, Session, States
from gateway.imap.view import BadSequence
from gateway.intake import Intake
from gateway.login import Login
from gateway.refusal import Refused, later
from gateway.refusals import Refusals
from gateway.sessions import Sessions
from policy.reasons import Defer, Reason, Refuse
from store.errors import Busy, StoreError

log = logging.getLogger(__name__)

UNCOUNTED: Final = 65_536
"""Octets of one command, of whatever connection, that need no room among all that is arriving."""
QUEUED: Final = 65_536
"""Octets of commands that may wait behind a running one; then the peer is read no further."""
GATHERED: Final = 256 * 1024
"""Octets sent in one turn of the loop, where they are not deflated: some 0.1 ms."""
LATE_BYE: Final = "Autologout; idle for too long"


class TlsMode(StrEnum):
    """How a listener comes to TLS. STARTTLS is offered only where there is a certificate."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer may use up (config/settings.py has the reasons). Octets and seconds."""

    line: int = 65_536
    line_before_login: int = 8_192
    literal: int = 131_072
    literal_before_login: int = 4_096
    message_size: int = 50 << 20
    messages: int = 1_000_000
    watched: int = 1_000
    bad_commands: int = 20
    bad_commands_before_login: int = 5
    failed_logins: int = 3
    tls_timeout: float = 30
    login_timeout: float = 180
    idle_timeout: float = 1_800
    data_timeout: float = 1_800
    output_backlog: int = OUTPUT_BACKLOG
    output_timeout: float = OUTPUT_TIMEOUT
    progress_interval: float = 10


class Admission(Protocol):
    """Who may connect; shared with the other doors."""

    def enter(self, address: str) -> str | None:
        """None: welcome, and `leave` will be called. Otherwise why not."""

    def leave(self, address: str) -> None:
        """A connection that was welcome has ended."""


def _in_turns(pieces: Sequence[Piece], most: int) -> Iterator[Sequence[Piece]]:
    """The same octets, as many at a time as one turn of the loop sends: small ones together, large ones in slices that are no copies."""
    if sum(map(len, pieces)) <= most:
        yield pieces
        return
    some: list[Piece] = []
    size = 0
    for piece in pieces:
        if size and size + len(piece) > most:
            yield some
            some, size = [], 0
        if len(piece) <= most:
            some.append(piece)
            size += len(piece)
            continue
        view = memoryview(piece)
        for start in range(0, len(view), most):
            yield [view[start : start + most]]
    if some:
        yield some


class _Framer(Framer):
    """A framer whose allowance for lines grows with the login."""

    __slots__ = ()

    def widen(self, max_line: int) -> None:
        self._max_line = max_line


class _Progress:
    """Sees to it that a client hears of a command that takes long, at most once in so many seconds and only where nothing else was
    sent meanwhile (RFC 9585). Stays on the wheel between commands: one that is quick costs two assignments.
    """

    __slots__ = ("_interval", "_output", "_wheel", "deadline", "slot")

    def __init__(self, wheel: Wheel, interval: float) -> None:
        self._wheel = wheel
        self._interval = interval
        self._output: Output | None = None
        self.deadline = math.inf
        self.slot = 0

    def begin(self, output: Output) -> None:
        """A command runs."""
        self._output = output
        self.deadline = output.sent + self._interval
        if not self.slot:
            self._wheel.watch(self)

    def end(self) -> None:
        """It is over."""
        self._output = None
        self.deadline = math.inf

    def late(self) -> None:
        """The wheel's turn."""
        output = self._output
        if output is None:
            return
        now = asyncio.get_running_loop().time()
        quiet_since = output.sent
        if quiet_since + self._interval <= now:
            output.still_working()
            quiet_since = now
        self.deadline = quiet_since + self._interval
        self._wheel.watch(self)


class Connection:
    """One client. A task exists only while a command runs or news are told; waiting and IDLE are states."""

    __slots__ = (
        "_asked",
        "_bad",
        "_begun",
        "_carrier",
        "_deflater",
        "_delivering",
        "_end_point",
        "_failed",
        "_farewell",
        "_framer",
        "_idling",
        "_inflater",
        "_kept",
        "_listener",
        "_partial",
        "_progress",
        "_taken",
        "_task",
        "_tls_mode",
        "admitted",
        "peer",
        "session",
    )

    def __init__(self, listener: "ImapListener", tls_mode: TlsMode, carrier: Carrier) -> None:
        self._listener = listener
        self._carrier = carrier
        self._tls_mode = tls_mode
        self._framer: _Framer | None = None  # while a command is coming
        self._deflater: Deflater | None = None
        self._inflater: Inflater | None = None
        self._delivering = False
        self._task: asyncio.Task[None] | None = None
        self._asked: asyncio.Future[bytes] | None = None
        self._idling: bytes | None = None
        self._farewell: Refuse | Defer | None = None
        self._bad = 0
        self._failed = 0
        self._kept = 0
        self._taken = 0
        self._begun = False
        self._partial = False
        self._end_point: bytes | None = None
        self._progress: _Progress | None = None
        self.peer = ""
        self.admitted = False
        self.session = Session(listener.services, self)

    # --- the carrier's dialogue

    def connected(self) -> None:
        """The peer is there: greeting, TLS, or BYE where there are too many."""
        self.peer = self._carrier.peer
        too_many = self._listener.admit(self)
        self._carrier.expect(self._listener.limits.login_timeout)
        if self._tls_mode is TlsMode.IMPLICIT:
            if too_many:
                self._carrier.abort()
                return
            self._carrier.await_tls()
            self._start(self._greet_securely())
        elif too_many:
            self._bye("too many connections, try again later", UNAVAILABLE)
        else:
            self._greet()

    def received(self, octets: memoryview) -> None:
        """Octets came."""
        if self.session.phase is Phase.LOGOUT:
            return
        try:
            if self._begins_here():
                frame = alone(octets, self._longest_line)
                if frame is not None:
                    self._start(self._serve(frame))
                    return
            if self._inflater is None:
                if not self._keep(octets):
                    return
            else:
                self._inflater.feed(octets)
            self._advance()
        except MemoryError:
            # The system gives less than gateway/memory.py took it to have.
            self._bye(NO_ROOM, UNAVAILABLE)

    def _keep(self, octets: bytes | memoryview) -> bool:
        """Add them to what came; False: there was no room for them, which ends the connection."""
        self._kept += len(octets)
        grown = self._kept - self._taken
        if self._kept > UNCOUNTED and grown:
            if not self._listener.intake.take(grown):
                self._bye(NO_ROOM, UNAVAILABLE)
                return False
            self._taken += grown
        self._framing().feed(octets)
        return True

    def _begins_here(self) -> bool:
        """Is what comes now the beginning of a command, in the clear?"""
        return self._task is None and self._framer is None and self._idling is None and self._inflater is None

    @property
    def _longest_line(self) -> int:
        limits = self._listener.limits
        return limits.line_before_login if self.session.phase is Phase.NOT_AUTHENTICATED else limits.line

    def _framing(self) -> _Framer:
        if self._framer is None:
            self._framer = _Framer(self._longest_line, self._allowance)
        return self._framer

    def _widen(self) -> None:
        """The phase is another now, and so is how long a line may be."""
        if self._framer is not None:
            self._framer.widen(self._longest_line)

    def _let_go(self) -> None:
        """What came is used, but for what waits behind it."""
        if self._taken:
            self._listener.intake.give(self._taken)
            self._taken = 0
        self._kept = 0 if self._framer is None else self._framer.pending

    def late(self) -> None:
        """The peer has not done its part in time."""
        if self.session.phase is Phase.NOT_AUTHENTICATED:
            self._bye("login took too long")
        else:
            self._bye(LATE_BYE)

    def ended(self) -> None:
        """The peer is gone; nothing of it stays."""
        self.session.leave()
        self._forget()
        self._let_go()
        self._let_go_of_progress()
        self._deflater = None
        self._listener.gone(self)
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(ConnectionResetError("the peer is gone"))
        self._break_off()

    # --- what the session asks for

    @property
    def circumstances_of_tls(self) -> tuple[bool, bool]:
        """(TLS is on, TLS can be switched on)."""
        secured = self._carrier.secured
        return secured, not secured and self._tls_mode is TlsMode.STARTTLS and self._listener.tls() is not None

    @property
    def end_point(self) -> bytes | None:
        """What SCRAM is bound to: of the certificate that this connection's handshake had, whatever was read since."""
        return self._end_point

    async def ask(self, prompt: bytes) -> bytes:
        """A continuation request and the line that answers it. Raises FramingError, ConnectionError."""
        self.write(Continuation(prompt).spell())
        self._asked = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(self._advance)
        try:
            return await self._asked
        finally:
            self._asked = None

    async def secure(self) -> None:
        """TLS from here on; nothing may have come in the clear behind the command. Raises ConnectionError."""
        context = self._listener.tls()
        if context is None or self.pending:
            # What came before the handshake was not protected, whoever sent it: robustness.md 2.1, class 2.
            log.warning("octets in the clear behind STARTTLS", extra={"fields": {"peer": self.peer}})
            self._carrier.abort()
            raise ConnectionResetError("octets in the clear behind STARTTLS")
        self._framer = None
        self._inflater = None
        await self._secure(context)

    async def _secure(self, context: ssl.SSLContext) -> None:
        await self._carrier.secure(context, self._listener.limits.tls_timeout)
        self._end_point = end_point_of(context)

    @property
    def compressed(self) -> bool:
        """Is what is said deflated?"""
        return self._deflater is not None

    @property
    def pending(self) -> int:
        """Octets that came behind the command."""
        return (0 if self._framer is None else self._framer.pending) + (0 if self._inflater is None else self._inflater.waiting)

    async def compress(self) -> None:
        """DEFLATE from here on; nothing may have come in the clear behind the command (RFC 4978 section 3). Raises ConnectionError."""
        if self.pending:
            self._carrier.abort()
            raise ConnectionResetError("octets in the clear behind COMPRESS")
        self._deflater, self._inflater = Deflater(), Inflater()

    async def expand(self) -> None:
        """Both streams have ended; what came behind the client's is in the clear (RFC 8437 section 4.1)."""
        if self._deflater is not None and self._inflater is not None:
            self._carrier.write(self._deflater.finish())
            self._deflater = None
            self._inflater.finish()

    # --- where what is said goes out

    def write(self, octets: Piece) -> None:
        """Send, deflated where that was agreed on."""
        self._carrier.write(octets if self._deflater is None else self._deflater.deflate(octets))

    def _put(self, pieces: Sequence[Piece]) -> None:
        if self._deflater is None:
            self._carrier.write_all(pieces)
        else:
            self.write(b"".join(pieces))

    @property
    def stalled(self) -> bool:
        """The peer has more to read than it may leave unread, or is in the middle of a response: nothing more is to be said now."""
        return self._delivering or self._carrier.stalled

    async def deliver(self, pieces: Sequence[Piece]) -> None:
        """Send, and wait for a peer that does not read, with no more waiting for it than it may leave unread. Others run in between."""
        waiting = deque(_in_turns(pieces, GATHERED if self._deflater is None else DEFLATED))
        self._delivering = True
        try:
            while waiting:
                self._put(waiting.popleft())
                await self._carrier.drain()
                if waiting:
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            # A farewell may follow: no response is left half said, unless it is too long to be kept.
            left = sum(len(piece) for some in waiting for piece in some)
            if left > self._listener.limits.message_size + self._listener.limits.output_backlog:
                self._carrier.abort()
            for some in waiting:
                self._put(some)
            raise
        finally:
            self._delivering = False

    def end(self, verdict: Refuse | Defer) -> None:
        """The account may no longer be used: BYE now. A running command is broken off between two responses."""
        if self.session.phase is Phase.LOGOUT:
            return
        self._farewell = verdict
        if self._task is not None:
            self._break_off()
        else:
            said = farewell(verdict)
            self._bye(said.text, None if said.code is None else Code(said.code))

    def wake(self, news: int) -> asyncio.Task[None] | None:
        """Something of this kind may have changed; see Woken."""
        self.session.news |= news
        if self._task is not None or not self._has_to_tell():
            return None
        self._start(self._tell())
        return self._task

    def drain(self) -> None:
        """The server stops: who is idle is told now, who has a command running when it is done."""
        if self._task is None:
            self._bye("the server is stopping", UNAVAILABLE)
        else:
            self._forget()
            self._carrier.hold()

    def _forget(self) -> None:
        """What came is not looked at any more."""
        if self._framer is not None:
            self._framer.clear()
        if self._inflater is not None:
            self._inflater.clear()

    # --- commands

    def _allowance(self, parts: tuple[bytes, ...]) -> Allowance:
        limits = self._listener.limits
        if self.session.phase is Phase.NOT_AUTHENTICATED:
            return Allowance(limits.literal_before_login, limits.literal_before_login + limits.line_before_login)
        if carries_message(parts):
            room = max(UNCOUNTED, self._listener.intake.free)
            return Allowance(limits.message_size, limits.message_size + limits.literal + limits.line, room=room)
        return Allowance(limits.literal, limits.literal + limits.line)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        if self.session.phase is not Phase.NOT_AUTHENTICATED:
            self._carrier.expect(None)
        self._begun = False
        self._task = asyncio.get_running_loop().create_task(self._run(work))

    def _break_off(self) -> None:
        # A task that has not begun looks for itself; cancelled now, it would not even say goodbye.
        if self._task is not None and self._begun:
            self._task.cancel()

    async def _run(self, work: Coroutine[Any, Any, None]) -> None:
        """A piece of work and what follows it. Nothing gets out of here but the end of the process."""
        self._begun = True
        try:
            if self._farewell is not None or self.session.phase is Phase.LOGOUT:
                work.close()
            else:
                await work
        except asyncio.CancelledError:
            if self._farewell is None:
                self._carrier.abort()
        except (Ended, ConnectionError):
            self._finish()
        except Exception:
            number = _fault()
            log.exception("a connection failed", extra={"fields": {"id": number, "peer": self.peer}})
            self._bye(f"internal error ({number})", SERVERBUG)
        finally:
            self._task = None
            self._let_go()
        if self._farewell is not None:
            said = farewell(self._farewell)
            self._bye(said.text, None if said.code is None else Code(said.code))
            return
        if self.session.phase is Phase.LOGOUT or self._carrier.lost:
            self._finish()
            return
        if self._listener.stopping:
            self._bye("the server is stopping", UNAVAILABLE)
            return
        if self.session.phase is not Phase.NOT_AUTHENTICATED:
            self._carrier.expect(self._listener.limits.idle_timeout)
        self._partial = False
        if self._has_to_tell():
            self._start(self._tell())
            return
        self._carrier.listen()
        if self._framer is not None or self._inflater is not None:
            self._advance()

    def _has_to_tell(self) -> bool:
        session = self.session
        idling = self._idling is not None
        if session.news & News.ELSEWHERE and session.watch is not None:
            return True
        if session.selected is None:
            return False
        return bool(session.news & News.POLICY) or ((idling or session.heard.always) and bool(session.news & News.FOLDER))

    def _advance(self) -> None:
        """Make of what came what can be made of it."""
        room = INFLATED
        framer = self._framing()
        while self.session.phase is not Phase.LOGOUT:
            if self._asked is None and self._task is not None:
                if self.pending > QUEUED:
                    self._carrier.hold()
                return
            try:
                if self._asked is not None:
                    if self._asked.done():
                        return
                    line = framer.next_line()
                    if isinstance(line, bytes):
                        self._asked.set_result(line)
                        return
                elif self._idling is not None:
                    line = framer.next_line()
                    if isinstance(line, bytes):
                        tag, self._idling = self._idling, None
                        self._start(self._idled(tag, done=line.strip().upper() == b"DONE"))
                        return
                else:
                    found = framer.next_frame()
                    if isinstance(found, Frame):
                        self._start(self._serve(found))
                        return
                    if found is Want.GO_AHEAD:
                        self.write(b"+ OK\r\n")
                        continue
                if self._inflater is not None and self._inflater.waiting:
                    if room <= 0:
                        # Others first; until then nothing more is read.
                        self._carrier.hold()
                        asyncio.get_running_loop().call_soon(self._advance)
                        return
                    octets = self._inflater.take(room)
                    if not self._keep(octets):
                        return
                    room -= max(len(octets), LEAST)
                    continue
            except FramingError as error:
                if not self._misframed(error):
                    return
                continue
            except BrokenStream as broken:
                self._bye(str(broken))
                return
            if self._inflater is not None:
                self._carrier.listen()
            if framer.between_commands:
                self._framer = None
            elif self._asked is None and self._idling is None:
                self._await_the_rest()
            return

    def _await_the_rest(self) -> None:
        """The rest of a command that was begun has to come in time, however slowly the octets drip."""
        if not self._partial and self.session.phase is not Phase.NOT_AUTHENTICATED:
            self._partial = True
            self._carrier.expect(self._listener.limits.data_timeout)

    def _misframed(self, error: FramingError) -> bool:
        """True: the next command is read as usual."""
        if self._asked is not None and not self._asked.done():
            self._asked.set_exception(error)
            return False
        code = UNAVAILABLE if error.later else TOOBIG if error.too_big else None
        if error.ends:
            self._bye(error.message, code)
            return False
        self._let_go()
        tag, self._idling = (self._idling, None) if self._idling is not None else (error.tag, None)
        # A literal that is too big is a limit of ours, and the command was right: NO (RFC 7889, RFC 4469).
        condition = Condition.NO if (error.too_big or error.later) and tag is not None else Condition.BAD
        self.write(Status(condition, error.message, code, tag).spell())
        if error.later:
            return True
        return self._counted_bad()

    def _counted_bad(self) -> bool:
        limits = self._listener.limits
        self._bad += 1
        allowed = limits.bad_commands_before_login if self.session.phase is Phase.NOT_AUTHENTICATED else limits.bad_commands
        if self._bad < allowed:
            return True
        self._bye("too many bad commands")
        return False

    def _has_failed_too_often(self) -> bool:
        self._failed += 1
        return self._failed >= self._listener.limits.failed_logins

    async def _serve(self, frame: Frame) -> None:
        """One command, to its tagged answer."""
        await self._carrier.drain()
        session = self.session
        output = Output(self, utf8=session.takes_utf8, still=session.still)
        session.began = output.sent
        tag = name = b""
        row: Command | None = None
        answer = COMPLETED
        ended: Status | None = None  # what is said instead of OK
        stranger = False
        try:
            tag, name, cursor = command_name(frame, utf8=output.utf8, charset_is_utf8=b"UTF8=ACCEPT" in session.enabled)
            output.tag = tag
            if session.phase is not Phase.NOT_AUTHENTICATED:
                self._progressing().begin(output)
            row = self._listener.services.registry.commands.get(name)
            if row is None:
                raise Bad("there is no such command")
            if not may_speak(session.phase, row.phases):
                raise Bad(wrong_phase(session.phase, row.phases))
            if row.by_number and session.uid_only:
                raise Bad("message numbers are not used once UIDONLY is enabled", UIDREQUIRED)
            wanted = cursor.whole(row.syntax)
            answer = await row.answer(session, wanted, output) or COMPLETED
            # What SELECT says is of one moment; what happened since is told from the next command on.
            if not answer.idles and row.leads is not SELECTS:
                await session.settle(output, expunge_allowed=not row.keeps_numbers)
                if session.watch is not None and session.news & News.ELSEWHERE:
                    await session.watch.tell(output)
        except BadCharset as error:
            if error.saves and session.selected is not None:
                session.selected.view.save(())
            ended = Status(Condition.NO, error.message, badcharset(_CHARSETS), tag)
        except BadSyntax as error:
            ended = Status(Condition.BAD, error.message, None, tag or error.tag)
        except Bad as error:
            ended = Status(Condition.BAD, str(error), error.code, tag)
        except (BadSequence, UnknownRight) as error:
            ended = Status(Condition.BAD, str(error), None, tag)
        except No as error:
            ended = Status(Condition.NO, error.text, error.code, tag)
        except Refused as error:
            await session.have_looked(error.verdict)
            said = refusal(session.named(error.verdict, name.decode("ascii", "replace")), target=isinstance(error, MissingTarget))
            ended = Status(Condition.NO, said.text, None if said.code is None else Code(said.code), tag)
            if said.ends:
                output.say(ended)
                output.flush()
                self._bye(said.text)
                return
            stranger = row is not None and row.leads is LOGS_IN
        except Busy as error:
            said = refusal(later(error))
            ended = Status(Condition.NO, said.text, None if said.code is None else Code(said.code), tag)
        except (asyncio.CancelledError, ConnectionError, Ended):
            raise
        except Exception as error:
            number = _fault()
            level = logging.WARNING if isinstance(error, StoreError) else logging.ERROR
            fields = {"id": number, "command": None if row is None else row.name}
            log.log(level, "a command failed", exc_info=True, extra={"fields": fields})
            ended = Status(Condition.NO, f"internal error ({number})", SERVERBUG, tag)
        finally:
            session.pushed = None
            if self._progress is not None:
                self._progress.end()
        if ended is not None and ended.condition is Condition.BAD:
            output.say(ended)
            output.flush()
            if not self._counted_bad():
                raise Ended("too many bad commands")
            return
        self._bad = 0
        ok, code = ended is None, answer.code
        if row is not None and row.leads is not STAY:
            before = session.phase
            session.phase = after(before, row.leads, ok=ok)
            if before is Phase.NOT_AUTHENTICATED and session.phase is Phase.AUTHENTICATED:
                self._widen()
                code = session.capabilities().code
            elif before is not Phase.NOT_AUTHENTICATED and session.phase is Phase.NOT_AUTHENTICATED:
                # As a connection that has just begun, with as little patience.
                self._widen()
                self._carrier.expect(self._listener.limits.login_timeout)
                code = session.capabilities().code
        if ok and answer.idles:
            self._idling = tag
            output.flush()
            self._rest()
            return
        if ended is not None:
            output.say(ended)
        elif answer.text or code is not None:
            output.say(Status(Condition.OK, answer.text or f"{name.decode('ascii')} completed", code, tag))
        else:
            output(completed(tag, name))
        output.flush()
        if stranger and self._has_failed_too_often():
            self._bye("too many failed logins")
        elif ok and answer.then is not None:
            await answer.then()

    def _rest(self) -> None:
        """A client that idles may do so for hours; what memory commands take is needed elsewhere."""
        self._let_go_of_progress()
        if self._deflater is not None:
            self._deflater.rest()

    def _let_go_of_progress(self) -> None:
        if self._progress is not None:
            self._listener.wheel.forget(self._progress)
            self._progress = None

    def _progressing(self) -> _Progress:
        if self._progress is None:
            self._progress = _Progress(self._listener.wheel, self._listener.limits.progress_interval)
        return self._progress

    async def _idled(self, tag: bytes, *, done: bool) -> None:
        output = Output(self, utf8=self.session.takes_utf8, still=self.session.still)
        if not done:
            output.say(Status(Condition.BAD, "expected DONE", None, tag))
            output.flush()
            if not self._counted_bad():
                raise Ended("too many bad commands")
            return
        self.session.pushed = None
        try:
            await self.session.settle(output, expunge_allowed=True)
            output.say(Status(Condition.OK, "IDLE completed", None, tag))
        except Refused as refused:
            said = refusal(self.session.named(refused.verdict, "IDLE"))
            output.say(Status(Condition.NO, said.text, None if said.code is None else Code(said.code), tag))
        output.flush()

    async def _tell(self) -> None:
        """News while no command runs: of policy always, of messages while the client is idling or wants them at any time."""
        await self._carrier.drain()
        session = self.session
        output = Output(self, utf8=session.takes_utf8, still=session.still)
        try:
            if session.news & News.POLICY:
                await session.renew(output)
            idling = self._idling is not None
            if session.selected is not None and (idling or session.heard.always) and session.news & News.FOLDER:
                if session.pushed is None:
                    session.pushed = session.selected.view.modseq
                await session.settle(output, expunge_allowed=idling or session.heard.expunges_always)
            if session.watch is not None and session.news & News.ELSEWHERE:
                await session.watch.tell(output)
            output.flush()
            if self._idling is not None:
                self._rest()
        except Refused as refused:
            if isinstance(refused.verdict, Defer):
                # The store is busy; what was to be told is looked for again soon. What is said already is not said again.
                output.flush()
                await asyncio.sleep(0.2)
                session.news |= News.POLICY | News.FOLDER
                return
            said = farewell(refused.verdict)
            self._bye(said.text, None if said.code is None else Code(said.code))

    # --- beginning and end

    def _greet(self) -> None:
        text = f"{self._listener.hostname} ready"
        self.write(Status(Condition.OK, text, self.session.capabilities().code).spell())

    async def _greet_securely(self) -> None:
        context = self._listener.tls()
        if context is None:
            raise ConnectionResetError("there is no certificate")
        await self._secure(context)
        self._greet()

    def _bye(self, text: str, code: Code | None = None) -> None:
        if self.session.phase is not Phase.LOGOUT and not self._carrier.lost:
            self.write(Status(Condition.BYE, text, code).spell())
        self._finish()

    def _finish(self) -> None:
        self.session.leave()
        self._forget()
        self._carrier.close()


class ImapListener:
    """Where IMAP is spoken. `tls` gives the certificate to use now, None where there is none (it may be reloaded).

    Build it within a running loop; `start` as often as there are addresses.
    """

    def __init__(
        self,
        folders: Folders,
        login: Login,
        sessions: Sessions,
        changes: Changes,
        wheel: Wheel,
        admission: Admission | None = None,
        *,
        hostname: str,
        tls: Callable[[], ssl.SSLContext | None],
        shared_prefix: str = "Other Users/",
        refusals: Refusals | None = None,
        plaintext_login: bool = False,
        limits: Limits | None = None,
        mechanisms: tuple[str, ...] = ("PLAIN", "LOGIN"),
        intake: Intake | None = None,
    ) -> None:
        use_small_tls_buffers()
        self.limits = limits or Limits()
        self.services = Services(
            folders,
            login,
            sessions,
            changes,
            REGISTRY,
            States(),
            shared_prefix,
            plaintext_login,
            self.limits.message_size,
            mechanisms,
            self.limits.messages,
            self.limits.watched,
            refusals,
        )
        self.hostname = hostname
        self.intake = intake or Intake()
        self.tls = tls
        self.stopping = False
        self.wheel = wheel
        self._reading = Reading()
        self._servers: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._admission = admission
        self._all_gone: asyncio.Future[None] | None = None

    async def start(self, host: str, port: int, tls_mode: TlsMode = TlsMode.STARTTLS) -> tuple[str, int]:
        """Listen there; port 0: any free one. Returns the address that is listened at. Raises OSError."""

        server = await asyncio.get_running_loop().create_server(
            partial(self._carrier, tls_mode), host, port, backlog=BACKLOG, reuse_address=True
        )
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return str(bound[0]), int(bound[1])

    async def listen(self, bound: socket.socket, tls_mode: TlsMode = TlsMode.STARTTLS) -> None:
        """Listen on a socket that is bound already."""
        self._servers.append(await asyncio.get_running_loop().create_server(partial(self._carrier, tls_mode), sock=bound, backlog=BACKLOG))

    def _carrier(self, tls_mode: TlsMode) -> Carrier:
        return Carrier(
            self.wheel,
            self._reading,
            lambda made: Connection(self, tls_mode, made),
            output_backlog=self.limits.output_backlog,
            output_timeout=self.limits.output_timeout,
        )

    async def close(self, seconds: float = 20) -> None:
        """No new connections; BYE to who is idle now and to the others when their command is done, at the latest after so many seconds."""
        self.stopping = True
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.drain()
        end = asyncio.get_running_loop().time() + seconds
        await self._until_gone(end)
        for connection in list(self._connections):
            connection.end(Defer(Reason.BUSY))
        await self._until_gone(min(asyncio.get_running_loop().time() + 2, end + 1))
        for connection in list(self._connections):
            connection._carrier.abort()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def _until_gone(self, end: float) -> None:
        loop = asyncio.get_running_loop()
        if self._connections and loop.time() < end:
            self._all_gone = loop.create_future()
            await asyncio.wait({self._all_gone}, timeout=end - loop.time())

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._connections)

    def admit(self, connection: Connection) -> bool:
        """Counts a new connection. True: there are too many, it has to go again."""
        self._connections.add(connection)
        if self.stopping:
            return True
        if self._admission is None:
            return False
        if self._admission.enter(_address_of(connection)) is not None:
            return True
        connection.admitted = True
        return False

    def gone(self, connection: Connection) -> None:
        """Counts it no longer."""
        self._connections.discard(connection)
        if not self._connections and self._all_gone is not None and not self._all_gone.done():
            self._all_gone.set_result(None)
        if connection.admitted and self._admission is not None:
            connection.admitted = False
            self._admission.leave(_address_of(connection))


def _address_of(connection: Connection) -> str:
    return connection.peer.partition("%")[0].removeprefix("::ffff:")


def _fault() -> str:
    return f"e-{secrets.token_hex(4)}"


_CHARSETS: Final = tuple(name for name in CHARSETS if name not in (b"ASCII", b"UTF8"))
