"""One connection to another mail server: opened, greeted, secured, logged in, and given messages (RFC 5321, the client's side)."""

import asyncio
import base64
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

LINE: Final = 8 * 1024
"""Octets of one line of a reply; RFC 5321 section 4.5.3.1.5 allows 512."""
REPLY: Final = 64 * 1024
"""Octets of one reply; the longest real ones answer EHLO."""
AHEAD: Final = 256 * 1024
"""Octets of replies kept unread; then the peer has to wait."""
CHUNK: Final = 256 * 1024
WORDS: Final = 1000
"""Characters kept of a reply."""

_REPLY_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\r\n]*))?\r?\n")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")


class Tls(StrEnum):
    """What is asked of the connection. VERIFIED: a certificate for the host's name, by an authority that is trusted."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    REQUIRED = "required"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True)
class Peer:
    """Where to connect to. `host` is the name that a certificate has to have, `address` what is called: a name or an IP address."""

    host: str
    address: str
    port: int
    tls: Tls
    implicit_tls: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.host if self.host == self.address else f"{self.host} [{self.address}]"


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` without the code, lines joined by blanks, at most WORDS characters. `ours`: we say it in the peer's place."""

    code: int
    text: str
    ours: bool = False

    def __str__(self) -> str:
        return self.text if self.ours else f"{self.code} {self.text}".rstrip()

    @property
    def good(self) -> bool:
        """2yz."""
        return 200 <= self.code <= 299


class Unreachable(Exception):
    """No transaction can be begun there: no connection, no greeting, bad TLS, a refused login; or a connection that had been used
    before is gone. Nothing was handed over. `tls`: it is TLS that failed."""

    def __init__(self, words: str, *, tls: bool = False) -> None:
        super().__init__(words)
        self.tls = tls


class Lost(Exception):
    """The connection ended, or the time did, or what came was no SMTP, within a transaction. `dotted`: after the end of the message
    was sent, so that nobody knows whether it was taken (RFC 1047)."""

    def __init__(self, words: str, *, dotted: bool = False) -> None:
        super().__init__(words)
        self.dotted = dotted


@dataclass(frozen=True, slots=True)
class Envelope:
    """One transaction. `reverse_path` "" is the empty one. `mail`, `each` (one for each recipient): further parameters, spelled
    (RET=HDRS); those for which the peer lacks the extension DSN are left out. `smtputf8`: it cannot go without.
    `still`: asked when the peer waits for the message: may it go?"""

    reverse_path: str
    recipients: tuple[str, ...]
    smtputf8: bool = False
    mail: tuple[str, ...] = ()
    each: tuple[tuple[str, ...], ...] = ()
    still: Callable[[], Awaitable[bool]] | None = field(default=None, compare=False, repr=False)


class _Octets(asyncio.Protocol):
    """What came and was not read yet, bounded; and whether there is room for more to write."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.ended: str | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]  # uvloop's transports are no asyncio.Transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) > AHEAD and self.transport is not None:
            self.transport.pause_reading()
        self._news.set()

    def eof_received(self) -> bool:
        self.ended = self.ended or "the connection was closed"
        self._news.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = self.ended or (f"the connection broke: {exc}" if exc else "the connection was closed")
        self._news.set()
        self._room.set()

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def more(self) -> None:
        """Returns when something came since the buffer was looked at. Raises Lost."""
        if self.ended is not None:
            raise Lost(self.ended)
        if self.transport is not None and len(self.buffer) <= AHEAD:
            self.transport.resume_reading()
        self._news.clear()
        await self._news.wait()

    async def room(self) -> None:
        await self._room.wait()


class Connection:
    """`timeout`: seconds for each step; the answer to a whole message gets twice that (RFC 5321 section 4.5.3.2)."""

    def __init__(self, peer: Peer, octets: _Octets, timeout: float) -> None:
        self.peer = peer
        self.extensions: dict[str, str] = {}
        self.sent = 0
        self.opened_at = asyncio.get_running_loop().time()
        self._octets = octets
        self._timeout = timeout

    @property
    def usable(self) -> bool:
        """Is it still open, with nothing said that was not asked for (421 before it closes)?"""
        octets = self._octets
        return octets.ended is None and not octets.buffer and octets.transport is not None and not octets.transport.is_closing()

    async def send(self, envelope: Envelope, octets: bytes) -> list[Reply]:
        """One transaction; what was said of each recipient, in their order. Raises Unreachable where nothing was begun, Lost."""
        mail = self._mail(envelope, octets)
        if isinstance(mail, Reply):
            return [mail] * len(envelope.recipients)
        commands = [mail, *self._recipients(envelope), b"DATA\r\n"]
        if "PIPELINING" in self.extensions:
            replies, go = await self._pipelined(commands)
        else:
            replies, go = await self._one_by_one(commands)
        taken = [number for number, reply in enumerate(replies) if reply.good]
        if go is None or go.code != 354:
            if go is not None and taken:
                for number in taken:
                    replies[number] = go if not go.good else Reply(451, f"4.5.0 DATA was answered with {go}", ours=True)
            await self._reset()
            return replies
        if envelope.still is not None and not await envelope.still():
            # Ending the connection is the one way out of DATA without a message.
            self.abort()
            raise Lost("it was stopped")
        final = await self._message(octets if taken else b"")
        self.sent += 1
        if final.code == 421:
            self.abort()
        for number in taken:
            replies[number] = final
        return replies

    async def quit(self) -> None:
        """Politely, but without waiting for it."""
        with contextlib.suppress(Lost, TimeoutError):
            self._write(b"QUIT\r\n")
            async with asyncio.timeout(1.0):
                await self._reply()
        self.abort()

    def farewell(self) -> None:
        """QUIT, and the answer is not waited for."""
        with contextlib.suppress(Lost):
            self._write(b"QUIT\r\n")
        if self._octets.transport is not None:
            self._octets.transport.close()
        self._octets.ended = self._octets.ended or "the connection was closed"

    def patience(self, timeout: float) -> None:
        """Seconds for each step from here on."""
        self._timeout = timeout

    def abort(self) -> None:
        """At once."""
        if self._octets.transport is not None:
            self._octets.transport.abort()
        self._octets.ended = self._octets.ended or "the connection was closed"

    # --- a transaction

    def _mail(self, envelope: Envelope, octets: bytes) -> bytes | Reply:
        """The command, or what the peer would say to it."""
        words = [f"MAIL FROM:<{_path(envelope.reverse_path)}>"]
        if "SIZE" in self.extensions:
            most = self.extensions["SIZE"]
            if most.isascii() and most.isdigit() and 0 < int(most[:18]) < len(octets):
                return Reply(552, f"5.3.4 {self.peer} takes messages of up to {most} octets", ours=True)
            words.append(f"SIZE={len(octets)}")
        if envelope.smtputf8:
            if "SMTPUTF8" not in self.extensions:
                return Reply(553, f"5.6.7 {self.peer} does not take international addresses (SMTPUTF8)", ours=True)
            words.append("SMTPUTF8")
        if "8BITMIME" in self.extensions:
            words.append("BODY=8BITMIME")
        if "DSN" in self.extensions:
            words += envelope.mail
        return " ".join(words).encode() + b"\r\n"

    def _recipients(self, envelope: Envelope) -> list[bytes]:
        further = envelope.each if "DSN" in self.extensions else ()
        commands = []
        for number, recipient in enumerate(envelope.recipients):
            words = [f"RCPT TO:<{_path(recipient)}>", *(further[number] if number < len(further) else ())]
            commands.append(" ".join(words).encode() + b"\r\n")
        return commands

    async def _pipelined(self, commands: Sequence[bytes]) -> tuple[list[Reply], Reply | None]:
        """RFC 2920: all of it at once, then every answer. An end of the connection instead of the first one is no transaction."""
        self._write(b"".join(commands))
        first = await self._first()
        replies = [await self._answer() for _ in commands[1:-1]]
        go = await self._answer()
        if not first.good:
            replies = [first] * len(replies)
        return replies, go

    async def _one_by_one(self, commands: Sequence[bytes]) -> tuple[list[Reply], Reply | None]:
        self._write(commands[0])
        first = await self._first()
        if not first.good:
            return [first] * (len(commands) - 2), None
        replies = []
        for command in commands[1:-1]:
            self._write(command)
            replies.append(await self._answer())
        if not any(reply.good for reply in replies):
            return replies, None
        self._write(commands[-1])
        return replies, await self._answer()

    async def _first(self) -> Reply:
        try:
            reply = await self._answer()
        except Lost as lost:
            raise Unreachable(str(lost)) from None
        if reply.code == 421:
            self.abort()
            raise Unreachable(str(reply))
        return reply

    async def _answer(self) -> Reply:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._reply()
        except TimeoutError:
            self.abort()
            raise Lost(f"no reply within {self._timeout:.0f} s") from None

    async def _message(self, octets: bytes) -> Reply:
        """Dots are doubled (RFC 5321 section 4.5.2). No octet of the message can be taken for its end: lines end with CRLF only."""
        octets = on_the_wire(octets)
        if octets.startswith(b"."):
            octets = b"." + octets
        octets = octets.replace(b"\r\n.", b"\r\n..")
        try:
            whole = memoryview(octets)
            for start in range(0, len(octets), CHUNK):
                async with asyncio.timeout(self._timeout):
                    self._write(whole[start : start + CHUNK])
                    await self._octets.room()
            self._write(b".\r\n")
        except TimeoutError:
            self.abort()
            raise Lost(f"the message was not taken within {self._timeout:.0f} s") from None
        try:
            async with asyncio.timeout(2 * self._timeout):
                return await self._reply()
        except TimeoutError:
            self.abort()
            raise Lost(f"no reply to the message within {2 * self._timeout:.0f} s", dotted=True) from None
        except Lost as lost:
            raise Lost(str(lost), dotted=True) from None

    async def _reset(self) -> None:
        """After a transaction that came to nothing; a peer that does not even answer this is not used again."""
        try:
            self._write(b"RSET\r\n")
            if not (await self._answer()).good:
                self.abort()
        except Lost:
            self.abort()

    # --- replies

    def _write(self, octets: bytes | memoryview) -> None:
        transport = self._octets.transport
        if transport is None or self._octets.ended is not None or transport.is_closing():
            raise Lost(self._octets.ended or "the connection was closed")
        transport.write(octets)

    async def _reply(self) -> Reply:
        """Raises Lost, and has the connection closed, for what is no reply."""
        code, lines = await self._lines()
        return Reply(code, _words(b" ".join(lines)))

    async def _lines(self) -> tuple[int, list[bytes]]:
        """One reply: its code and its lines without it. Raises as _reply."""
        lines: list[bytes] = []
        total = 0
        buffer = self._octets.buffer
        while True:
            end = buffer.find(b"\n", 0, LINE)
            if end < 0:
                if len(buffer) >= LINE:
                    raise self._nonsense("a line of the reply does not end")
                await self._octets.more()
                continue
            line = bytes(buffer[: end + 1])
            del buffer[: end + 1]
            total += len(line)
            found = _REPLY_LINE.fullmatch(line)
            if found is None:
                raise self._nonsense(f"what came is no reply: {_words(line)[:100]!r}")
            if total > REPLY:
                raise self._nonsense("the reply is too long")
            lines.append(found[3] or b"")
            if found[2] != b"-":
                return int(found[1]), lines

    def _nonsense(self, words: str) -> Lost:
        self.abort()
        return Lost(words)

    # --- before the first transaction

    async def _command(self, command: bytes) -> Reply:
        self._write(command + b"\r\n")
        return await self._answer()

    async def _introduce(self, hostname: str, context: ssl.SSLContext | None) -> None:
        """Greeting, EHLO, STARTTLS, AUTH. Raises Unreachable, Lost."""
        peer = self.peer
        greeting = await self._answer()
        if greeting.code != 220:
            raise Unreachable(f"{peer} greets with {greeting}")
        await self._hello(hostname)
        if peer.tls is not Tls.NEVER and not peer.implicit_tls:
            if "STARTTLS" in self.extensions and context is not None:
                await self._start_tls(context)
                await self._hello(hostname)
            elif peer.tls is not Tls.IF_OFFERED:
                raise Unreachable(f"{peer} does not offer STARTTLS")
        if peer.username is not None:
            await self._login(peer.username, peer.password or "")

    async def _hello(self, hostname: str) -> None:
        """HELO where EHLO is not known."""
        self.extensions = {}
        self._write(f"EHLO {hostname}\r\n".encode())
        async with asyncio.timeout(self._timeout):
            code, lines = await self._lines()
        if code == 421:
            raise Unreachable(f"{self.peer} answers EHLO with 421 {_words(lines[0])}")
        if 200 <= code <= 299:
            for line in lines[1:]:  # the first one only greets
                name, _, value = line.decode("ascii", "replace").strip().partition(" ")
                self.extensions[name.upper()] = value
            return
        reply = await self._command(f"HELO {hostname}".encode())
        if not reply.good:
            raise Unreachable(f"{self.peer} answers HELO with {reply}")

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        try:
            reply = await self._command(b"STARTTLS")
        except Lost as lost:
            raise Unreachable(f"{self.peer} does not answer STARTTLS: {lost}", tls=True) from None
        if reply.code != 220:
            raise Unreachable(f"{self.peer} answers STARTTLS with {reply}", tls=True)
        octets = self._octets
        if octets.buffer:
            # Said in the clear, to be read as if it came under TLS.
            raise Unreachable(f"{self.peer} says something between STARTTLS and TLS")
        assert octets.transport is not None
        try:
            made = await asyncio.get_running_loop().start_tls(
                octets.transport, octets, context, server_hostname=self.peer.host, ssl_handshake_timeout=self._timeout
            )
        except ssl.SSLCertVerificationError as fault:
            raise Unreachable(f"the certificate of {self.peer} is not trusted: {fault.verify_message}", tls=True) from None
        except (OSError, TimeoutError) as fault:
            raise Unreachable(f"TLS with {self.peer}: {type(fault).__name__} {fault}".rstrip(), tls=True) from None
        if made is None:
            raise Unreachable(f"{self.peer} ends within the TLS handshake", tls=True)
        octets.connection_made(made)

    async def _login(self, username: str, password: str) -> None:
        """PLAIN, else LOGIN: under TLS that was verified, or to this machine, one is as good as the other. Raises Unreachable."""
        offered = self.extensions.get("AUTH", "").upper().split()
        if "PLAIN" in offered:
            reply = await self._command(b"AUTH PLAIN " + base64.b64encode(f"\0{username}\0{password}".encode()))
        elif "LOGIN" in offered:
            reply = await self._command(b"AUTH LOGIN")
            for word in (username, password):
                if reply.code == 334:
                    reply = await self._command(base64.b64encode(word.encode()))
        else:
            raise Unreachable(f"{self.peer} offers neither AUTH PLAIN nor LOGIN")
        if reply.code != 235:
            # Its words are not repeated: nothing keeps a server from quoting what it was given.
            raise Unreachable(f"{self.peer} refuses the login ({reply.code})")


async def connect(peer: Peer, hostname: str, patience: float, context: ssl.SSLContext | None) -> Connection:
    """Ready for the first transaction. `hostname`: ours, for EHLO. `patience`: seconds for each step. `context`: needed unless TLS is
    NEVER. Raises Unreachable."""
    octets = _Octets()
    connection = Connection(peer, octets, patience)
    try:
        async with asyncio.timeout(patience):
            await asyncio.get_running_loop().create_connection(
                lambda: octets,
                peer.address,
                peer.port,
                ssl=context if peer.implicit_tls else None,
                server_hostname=peer.host if peer.implicit_tls else None,
            )
        await connection._introduce(hostname, context)
    except Unreachable:
        connection.abort()
        raise
    except TimeoutError:
        connection.abort()
        raise Unreachable(f"{peer} did not answer within {patience:.0f} s") from None
    except ssl.SSLCertVerificationError as fault:
        connection.abort()
        raise Unreachable(f"the certificate of {peer} is not trusted: {fault.verify_message}", tls=True) from None
    except (Lost, OSError, ValueError) as fault:
        connection.abort()
        raise Unreachable(f"{peer}: {fault}") from None
    except BaseException:
        connection.abort()
        raise
    return connection


def on_the_wire(octets: bytes) -> bytes:
    """A message as it is sent, but for doubled dots: CRLF alone ends lines, the last one too. What is signed is this."""
    if _BARE.search(octets) is not None:
        octets = _BARE.sub(b"\r\n", octets)
    return octets + b"\r\n" if octets and not octets.endswith(b"\r\n") else octets


def _path(address: str) -> str:
    """Raises ValueError for what could end the command: an address never has it, but a database may be tampered with."""
    if _CONTROL.search(address.replace(" ", "") if address.startswith('"') else address) is not None:
        raise ValueError("an address with control characters")
    return address


def _words(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    return "".join(one if one.isprintable() else " " for one in text[: 2 * WORDS]).strip()[:WORDS]
